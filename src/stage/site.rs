//! What a pipeline says of a site. Crawling and extraction each take their part of it.

use serde::{Deserialize, Serialize};

use crate::extract::profile::Profile;
use crate::record::Language;
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
    /// The language of pages that name none, neither in their markup nor in their address.
    #[serde(default)]
    pub language: Option<Language>,
    /// Selectors; without them the generic extractor decides.
    #[serde(default)]
    pub extract: Option<Profile>,
}
