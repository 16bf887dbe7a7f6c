//! What a pipeline says of a site and of a shelf of books. Crawling and extraction each take their part of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::extract::profile::Profile;
use crate::text::url_pattern::UrlPattern;

/// A web site in several languages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Site {
    /// A short name, used in reports.
    pub name: String,
    /// Host names in scope, with a port where it is not the usual one.
    pub hosts: Vec<String>,
    /// Where crawling starts.
    #[serde(default)]
    pub seeds: Vec<String>,
    /// Sitemaps beside those that robots.txt names.
    #[serde(default)]
    pub sitemaps: Vec<String>,
    /// RSS or Atom feeds.
    #[serde(default)]
    pub feeds: Vec<String>,
    /// Paths whose links are followed. Empty: the whole host.
    #[serde(default)]
    pub follow: Vec<UrlPattern>,
    /// Paths that are articles: documents are extracted from these alone.
    pub articles: Vec<UrlPattern>,
    /// Whether `{id}` in `articles` is the same number in every language.
    #[serde(default)]
    pub same_id: bool,
    /// Selectors; without them the generic extractor decides.
    #[serde(default)]
    pub extract: Option<Profile>,
}

/// A folder of schoolbooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Shelf {
    /// A short name, used in reports.
    pub name: String,
    /// The folder, relative to the pipeline file.
    pub folder: PathBuf,
    /// CSV in the folder with the columns subject, grade, part, language, file (title and others are ignored).
    #[serde(default = "default_manifest")]
    pub manifest: String,
}

fn default_manifest() -> String {
    "manifest.csv".into()
}
