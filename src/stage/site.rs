//! What a pipeline says of a site. Crawling and extraction each take their part of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Error, Result};
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

/// The sites of a pipeline, by host.
#[derive(Debug, Clone)]
pub struct SitesByHost<'a> {
    by_host: BTreeMap<&'a str, &'a Site>,
}

impl<'a> SitesByHost<'a> {
    /// Collects the sites' hosts.
    ///
    /// # Errors
    /// Kind `Config`: a host belongs to two sites.
    pub fn new(sites: &'a [Site]) -> Result<Self> {
        let mut by_host: BTreeMap<&str, &Site> = BTreeMap::new();
        for site in sites {
            for host in &site.hosts {
                if let Some(other) = by_host.insert(host.as_str(), site) {
                    return Err(Error::config(format!(
                        "the host {host} belongs to two sites: {} and {}",
                        other.name, site.name
                    )));
                }
            }
        }
        Ok(Self { by_host })
    }

    /// All hosts that the pipeline names.
    pub fn hosts(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.by_host.keys().copied()
    }

    /// The site that names a host.
    pub fn named(&self, host: &str) -> Option<&'a Site> {
        self.by_host.get(host).copied()
    }

    /// The site of a host that the pipeline does not name, but names with or without `www.`.
    pub fn www_variant(&self, host: &str) -> Option<&'a Site> {
        if self.by_host.contains_key(host) { None } else { self.named(&www_counterpart(host)) }
    }

    /// The site of a URL that was fetched: that of its host, with or without `www.`.
    pub fn of_archived(&self, url: &Url) -> Option<&'a Site> {
        let host = host_of(url)?;
        self.named(&host).or_else(|| self.www_variant(&host))
    }
}

/// A URL's host name, with the port where it is not the scheme's own.
pub fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// The host with `www.` for one without, and the other way round.
pub fn www_counterpart(host: &str) -> String {
    host.strip_prefix("www.").map_or_else(|| format!("www.{host}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str, hosts: &[&str]) -> Site {
        let hosts = hosts.iter().map(|host| format!("{host:?}")).collect::<Vec<_>>().join(", ");
        toml::from_str(&format!("name = {name:?}\nhosts = [{hosts}]\narticles = [\"/{{id}}\"]")).unwrap()
    }

    #[test]
    fn a_url_belongs_to_the_site_that_names_its_host_with_or_without_www() {
        let sites = [site("a", &["a.test", "a.test:81"]), site("b", &["www.b.test"]), site("c", &["b.test"])];
        let by_host = SitesByHost::new(&sites).unwrap();
        let of = |url: &str| by_host.of_archived(&Url::parse(url).unwrap()).map(|site| site.name.as_str());
        assert_eq!(of("http://a.test/1"), Some("a"));
        assert_eq!(of("https://www.a.test/1"), Some("a"));
        assert_eq!(of("http://www.a.test:81/1"), Some("a"));
        assert_eq!(of("http://a.test:82/1"), None);
        assert_eq!(of("http://www.b.test/1"), Some("b"), "the named host comes before a variant");
        assert_eq!(of("http://b.test/1"), Some("c"));
        assert_eq!(of("http://x.a.test/1"), None);
        let twice = [site("a", &["a.test"]), site("b", &["a.test"])];
        assert!(SitesByHost::new(&twice).unwrap_err().to_string().contains("a.test belongs to two sites: a and b"));
    }
}
