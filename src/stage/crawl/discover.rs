//! Which URLs a response leads to, and whether they are ours to visit.

use std::collections::BTreeMap;

use url::Url;

use crate::error::{Error, Result};
use crate::extract::{charset, feeds, links};
use crate::net::{self, Response, Robots};
use crate::record::PageId;
use crate::stage::site::Site;
use crate::store::frontier::{Found, Role, Visit};

/// Redirects followed from one URL.
const MAX_REDIRECTS: u32 = 5;

/// The sites of a pipeline, by host.
#[derive(Debug)]
pub struct Scope<'a> {
    sites: &'a [Site],
    by_host: BTreeMap<&'a str, &'a Site>,
    max_depth: u32,
}

impl<'a> Scope<'a> {
    /// Collects the sites' hosts.
    ///
    /// # Errors
    /// Kind `Config`: a host belongs to two sites, or an entry point is no URL on one of its site's hosts.
    pub fn new(sites: &'a [Site], max_depth: u32) -> Result<Self> {
        let mut by_host = BTreeMap::new();
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
        let scope = Self { sites, by_host, max_depth };
        for site in sites {
            for entry in site.seeds.iter().chain(&site.sitemaps).chain(&site.feeds) {
                let url = Url::parse(entry)
                    .ok()
                    .filter(|url| scope.site_of(url).is_some_and(|found| found.name == site.name));
                if url.is_none() {
                    return Err(Error::config(format!(
                        "{entry:?} of the site {} is no http(s) URL on one of its hosts ({})",
                        site.name,
                        site.hosts.join(", ")
                    )));
                }
            }
        }
        Ok(scope)
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.by_host.keys().copied()
    }

    fn site_of(&self, url: &Url) -> Option<&'a Site> {
        matches!(url.scheme(), "http" | "https").then(|| self.by_host.get(host_of(url)?.as_str()).copied()).flatten()
    }

    /// The sites' entry points.
    pub fn entries(&self) -> Vec<Found> {
        let of = |site: &Site, urls: &[String], role| -> Vec<Found> {
            urls.iter()
                .filter_map(|url| {
                    let url = Url::parse(url).ok().and_then(|url| net::normalise(&url, ""))?;
                    let host = host_of(&url)?;
                    Some(Found {
                        url: url.into(),
                        host,
                        site: site.name.clone(),
                        role,
                        depth: 0,
                        redirects: 0,
                        via: None,
                    })
                })
                .collect()
        };
        self.sites
            .iter()
            .flat_map(|site| {
                [
                    of(site, &site.seeds, Role::Seed),
                    of(site, &site.sitemaps, Role::Sitemap),
                    of(site, &site.feeds, Role::Feed),
                ]
            })
            .flatten()
            .collect()
    }

    /// The sitemaps that a robots.txt names, where they lie on our hosts.
    pub fn sitemaps_of_robots(&self, body: &[u8], at: &Url) -> Vec<Found> {
        Robots::from_response(Some(200), body, "kopri")
            .sitemaps()
            .iter()
            .filter_map(|sitemap| self.found(at, sitemap, Some(Role::Sitemap), 0, None))
            .collect()
    }

    /// Where a redirect leads: `None` when that is none of our pages.
    pub(super) fn redirect(
        &self,
        visit: &Visit,
        at: &Url,
        response: &Response,
    ) -> std::result::Result<Option<Found>, String> {
        let Some(target) = response.location() else {
            return Err(format!("the server answered {} without a Location", response.status));
        };
        if visit.redirects >= MAX_REDIRECTS {
            return Err(format!("more than {MAX_REDIRECTS} redirects, the last to {target}"));
        }
        let role = match visit.role {
            Role::Seed | Role::Sitemap | Role::Feed => Some(visit.role),
            // An old address of an article leads to the article, and the new address says which it is.
            Role::Article | Role::Page => None,
        };
        Ok(self
            .found(at, target.as_str(), role, visit.depth, Some(visit))
            .map(|found| Found { redirects: visit.redirects + 1, ..found }))
    }

    /// All that a page, sitemap or feed leads to.
    pub(super) fn found_in(
        &self,
        visit: &Visit,
        at: &Url,
        response: &Response,
        content_type: Option<&str>,
    ) -> Vec<Found> {
        let deeper = visit.depth + 1;
        match visit.role {
            Role::Sitemap => {
                let Ok(sitemap) = feeds::sitemap(&response.body) else { return Vec::new() };
                let nested = sitemap
                    .sitemaps
                    .iter()
                    .filter_map(|(url, _)| self.found(at, url, Some(Role::Sitemap), deeper, Some(visit)));
                let pages = sitemap.urls.iter().filter_map(|(url, _)| self.found(at, url, None, deeper, Some(visit)));
                nested.chain(pages).collect()
            }
            Role::Feed => feeds::feed(&response.body, at)
                .unwrap_or_default()
                .iter()
                .filter_map(|item| self.found(at, item.url.as_str(), None, deeper, Some(visit)))
                .collect(),
            Role::Seed | Role::Article | Role::Page => {
                if deeper > self.max_depth || content_type.is_some_and(|kind| !kind.contains("html")) {
                    return Vec::new();
                }
                let html = charset::decode(&response.body, content_type);
                links::links(&html.text, at)
                    .iter()
                    .filter(|link| !link.nofollow)
                    .filter_map(|link| self.found(at, link.url.as_str(), None, deeper, Some(visit)))
                    .collect()
            }
        }
    }

    /// A reference as a URL of the frontier, if it is in scope.
    fn found(&self, base: &Url, reference: &str, role: Option<Role>, depth: u32, via: Option<&Visit>) -> Option<Found> {
        let url = net::normalise(base, reference)?;
        let site = self.site_of(&url)?;
        let path = url.path();
        let role = role.or_else(|| {
            if site.articles.iter().any(|pattern| pattern.matches(path)) {
                Some(Role::Article)
            } else {
                (site.follow.is_empty() || site.follow.iter().any(|pattern| pattern.matches(path)))
                    .then_some(Role::Page)
            }
        })?;
        let via: Option<PageId> = via.map(|visit| visit.id);
        Some(Found { host: host_of(&url)?, site: site.name.clone(), role, depth, redirects: 0, via, url: url.into() })
    }
}

/// Host name, with the port where it is not the scheme's own.
fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}
