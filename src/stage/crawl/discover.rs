//! Which URLs a response leads to, and whether they are ours to visit.

use std::collections::BTreeSet;

use jiff::civil::Date;
use url::Url;

use crate::error::{Error, Result};
use crate::extract::feeds;
use crate::net::traps::Trap;
use crate::net::{self, Response, Robots};
use crate::record::PageId;
use crate::stage::books::{Limits, Reader};
use crate::stage::pages::{Cost, PageJob, ReadPage};
use crate::stage::site::{Site, SitesByHost, host_of, www_counterpart};
use crate::store::visit::{Found, Role, Visit};

/// Redirects followed from one URL.
const MAX_REDIRECTS: u32 = 5;

/// Links of one page that are followed, articles before others. The longest honest index pages have a few thousand.
const MAX_LINKS: usize = 20_000;

/// The sites of a pipeline, by host.
#[derive(Debug)]
pub struct Scope<'a> {
    sites: &'a [Site],
    by_host: SitesByHost<'a>,
    /// Hosts that differ from a named one in `www.` alone, and to which that one redirects.
    variants: BTreeSet<String>,
    max_depth: u32,
    today: Date,
    /// Who reads pages, and what each may cost.
    reader: (Reader, Cost),
}

/// What an answer leads to.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// URLs in scope.
    pub(super) urls: Vec<Found>,
    /// Articles whose whole text a feed carries: their URL, and the text as a page.
    pub(super) copies: Vec<(String, String)>,
    /// Why a sitemap or page was not read to its end.
    pub(super) warning: Option<String>,
    /// Links that lead into traps.
    pub(super) traps: Vec<(Url, Trap)>,
    /// Links past [`MAX_LINKS`].
    pub(super) too_many: usize,
    /// Where a page sends its reader by `<meta http-equiv=refresh>`.
    pub(super) refresh: Option<Lead>,
}

/// Where a redirect leads.
#[derive(Debug)]
pub(super) enum Lead {
    /// To one of our URLs.
    Ours(Found),
    /// To a host that differs from the redirecting one in `www.` alone, and that the pipeline does not name.
    Variant(Found),
    /// To the same URL.
    Itself,
    /// To a URL of a host that no site names.
    Outside(Url),
    /// To a URL of ours that is not followed: a trap, or a path beside `follow`.
    NotFollowed,
}

impl<'a> Scope<'a> {
    /// Collects the sites' hosts.
    ///
    /// # Errors
    /// Kind `Config`: a host belongs to two sites, or an entry point is no URL on one of its site's hosts.
    pub fn new(sites: &'a [Site], max_depth: u32) -> Result<Self> {
        let by_host = SitesByHost::new(sites)?;
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let reader = (Reader::InProcess, Cost::from(&Limits::default()));
        let scope = Self { sites, by_host, variants: BTreeSet::new(), max_depth, today, reader };
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

    /// The same scope, with pages read by `reader` instead of this process.
    #[must_use]
    pub fn read_by(self, reader: &Reader, cost: Cost) -> Self {
        Self { reader: (reader.clone(), cost), ..self }
    }

    /// The sites.
    pub(super) fn sites(&self) -> &'a [Site] {
        self.sites
    }

    /// All hosts, accepted variants among them.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> + '_ {
        self.by_host.hosts().chain(self.variants.iter().map(String::as_str))
    }

    /// The hosts of a site, accepted variants among them.
    pub(super) fn hosts_of<'s>(&'s self, site: &'s Site) -> impl Iterator<Item = &'s str> + 's {
        self.hosts().filter(|host| self.site_of_host(host).is_some_and(|found| found.name == site.name))
    }

    /// Hosts that differ from a named one in `www.` alone.
    pub(super) fn possible_variants(&self) -> Vec<String> {
        let counterparts = self.by_host.hosts().map(www_counterpart);
        counterparts.filter(|host| self.by_host.www_variant(host).is_some()).collect()
    }

    /// Takes a variant of a named host for the same site.
    pub(super) fn accept_variant(&mut self, host: &str) {
        self.variants.insert(host.to_owned());
    }

    /// The site of a host.
    pub(super) fn site_of_host(&self, host: &str) -> Option<&'a Site> {
        self.by_host.named(host).or_else(|| self.by_host.www_variant(host).filter(|_| self.variants.contains(host)))
    }

    pub(super) fn site_of(&self, url: &Url) -> Option<&'a Site> {
        if matches!(url.scheme(), "http" | "https") { self.site_of_host(&host_of(url)?) } else { None }
    }

    /// The sites' entry points.
    pub fn entries(&self) -> Vec<Found> {
        let of = |site: &Site, urls: &[String], role| -> Vec<Found> {
            urls.iter()
                .filter_map(|url| {
                    let url = Url::parse(url).ok().and_then(|url| net::normalise(&url, ""))?;
                    of_url(url, site, role)
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
            .filter_map(|sitemap| self.found(at, sitemap, Some(Role::Sitemap), 0, None).ok())
            .collect()
    }

    /// Where a redirect leads; or why that cannot be told.
    pub(super) fn redirect(&self, visit: &Visit, at: &Url, response: &Response) -> std::result::Result<Lead, String> {
        let Some(target) = response.location() else {
            return Err(format!("the server answered {} without a Location", response.status));
        };
        if visit.redirects >= MAX_REDIRECTS {
            return Err(format!("more than {MAX_REDIRECTS} redirects, the last to {target}"));
        }
        Ok(self.lead(visit, at, target))
    }

    /// Where a visit is sent.
    fn lead(&self, visit: &Visit, at: &Url, target: Url) -> Lead {
        if net::normalise(at, target.as_str()).is_some_and(|target| target == *at) {
            return Lead::Itself;
        }
        let role = match visit.role {
            Role::Seed | Role::Sitemap | Role::Feed => Some(visit.role),
            // An old address of an article leads to the article, and the new address says which it is.
            Role::Article | Role::Page => None,
        };
        let further = |found: Found| Found { redirects: visit.redirects + 1, ..found };
        if self.site_of(&target).is_some() {
            return match self.found(at, target.as_str(), role, visit.depth, Some(visit)) {
                Ok(found) => Lead::Ours(further(found)),
                Err(_) => Lead::NotFollowed,
            };
        }
        let (from, to) = (host_of(at).unwrap_or_default(), host_of(&target).unwrap_or_default());
        match self.by_host.www_variant(&to) {
            Some(site) if www_counterpart(&to) == from => {
                match self.found_on(site, at, target.as_str(), role, visit.depth, Some(visit)) {
                    Ok(found) => Lead::Variant(further(found)),
                    Err(_) => Lead::NotFollowed,
                }
            }
            _ => Lead::Outside(target),
        }
    }

    /// All that a page, sitemap or feed leads to; or why a sitemap or feed cannot be read.
    pub(super) fn found_in(
        &self,
        visit: &Visit,
        at: &Url,
        body: &[u8],
        content_type: Option<&str>,
    ) -> std::result::Result<Findings, String> {
        let deeper = visit.depth + 1;
        let traps = std::cell::RefCell::new(Vec::new());
        let found = |reference: &str, role| {
            let found = self.found(at, reference, role, deeper, Some(visit));
            found.map_err(|trap| traps.borrow_mut().extend(trap.map(|trap| *trap))).ok()
        };
        let mut findings = Findings::default();
        match visit.role {
            Role::Sitemap => {
                let sitemap = feeds::sitemap(body).map_err(|error| error.to_string())?;
                let nested = sitemap.sitemaps.iter().map(|(url, changed)| (found(url, Some(Role::Sitemap)), *changed));
                let pages = sitemap.urls.iter().map(|(url, changed)| (found(url, None), *changed));
                let all = nested.chain(pages).filter_map(|(found, changed)| Some(Found { changed, ..found? }));
                findings.urls = all.collect();
                findings.warning = sitemap.warning;
            }
            Role::Feed => {
                for item in feeds::feed(body, at).map_err(|error| error.to_string())? {
                    let Some(found) = found(item.url.as_str(), None) else { continue };
                    if found.role == Role::Article {
                        findings.copies.extend(feeds::page_of(&item).map(|page| (found.url.clone(), page)));
                    }
                    findings.urls.push(found);
                }
            }
            Role::Seed | Role::Article | Role::Page => {
                if deeper > self.max_depth || content_type.is_some_and(|kind| !kind.contains("html")) {
                    return Ok(findings);
                }
                let (reader, cost) = &self.reader;
                let (links, refresh) = match reader.page(&PageJob::links(at, content_type, *cost), body) {
                    Ok(ReadPage::Links { links, refresh }) => (links, refresh),
                    Ok(ReadPage::Text { .. }) => (Vec::new(), None),
                    // The page itself is archived all the same.
                    Err(error) => {
                        findings.warning = Some(format!("its links are not followed: {error}"));
                        return Ok(findings);
                    }
                };
                findings.urls = links
                    .iter()
                    .filter(|link| !link.nofollow)
                    .filter_map(|link| Some(Found { is_twin: link.is_alternate, ..found(link.url.as_str(), None)? }))
                    .collect();
                if findings.urls.len() > MAX_LINKS {
                    findings.too_many = findings.urls.len() - MAX_LINKS;
                    findings.urls.sort_by_key(|found| found.role != Role::Article);
                    findings.urls.truncate(MAX_LINKS);
                }
                if visit.role != Role::Article && visit.redirects < MAX_REDIRECTS {
                    findings.refresh = refresh.map(|target| self.lead(visit, at, target));
                }
            }
        }
        findings.traps = traps.take();
        Ok(findings)
    }

    /// A reference as a URL of the frontier, if it is in scope; the error is the trap that it leads into, if it does.
    pub(super) fn found(
        &self,
        base: &Url,
        reference: &str,
        role: Option<Role>,
        depth: u32,
        via: Option<&Visit>,
    ) -> std::result::Result<Found, Option<Box<(Url, Trap)>>> {
        let url = net::normalise(base, reference).ok_or(None)?;
        let site = self.site_of(&url).ok_or(None)?;
        self.found_on(site, base, reference, role, depth, via)
    }

    /// The same, for a URL that belongs to a site.
    fn found_on(
        &self,
        site: &Site,
        base: &Url,
        reference: &str,
        role: Option<Role>,
        depth: u32,
        via: Option<&Visit>,
    ) -> std::result::Result<Found, Option<Box<(Url, Trap)>>> {
        let url = net::normalise(base, reference).ok_or(None)?;
        let path = url.path();
        let role = role.or_else(|| {
            if site.articles.iter().any(|pattern| pattern.matches(path)) {
                Some(Role::Article)
            } else {
                (site.follow.is_empty() || site.follow.iter().any(|pattern| pattern.matches(path)))
                    .then_some(Role::Page)
            }
        });
        let role = role.ok_or(None)?;
        // What the pipeline's author calls an article is one, however its address looks.
        if role == Role::Page
            && let Some(trap) = net::trap(&url, self.today)
        {
            return Err(Some(Box::new((url, trap))));
        }
        let via: Option<PageId> = via.map(|visit| visit.id);
        Ok(Found { depth, via, ..of_url(url, site, role).ok_or(None)? })
    }
}

/// A URL as it enters the frontier, reached by no link.
fn of_url(url: Url, site: &Site, role: Role) -> Option<Found> {
    Some(Found {
        host: host_of(&url)?,
        site: site.name.clone(),
        role,
        depth: 0,
        redirects: 0,
        via: None,
        is_twin: false,
        shape: net::shape(&url),
        changed: None,
        url: url.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(role: Role, body: &str) -> std::result::Result<Vec<String>, String> {
        let site = Site {
            name: "a".into(),
            hosts: vec!["a.test".into()],
            seeds: Vec::new(),
            sitemaps: Vec::new(),
            feeds: Vec::new(),
            follow: Vec::new(),
            articles: vec![crate::text::url_pattern::UrlPattern::parse("/news/{id}")?],
            same_id: false,
            language: None,
            extract: None,
        };
        let sites = [site];
        let scope = Scope::new(&sites, 5).map_err(|error| error.to_string())?;
        let at = Url::parse("http://a.test/list").unwrap();
        let visit = Visit {
            id: PageId(1),
            url: at.to_string(),
            site: "a".into(),
            role,
            depth: 0,
            redirects: 0,
            attempts: 0,
            etag: None,
            last_modified: None,
            body_hash: None,
            is_lost: false,
            changed_at: None,
            interval: None,
        };
        Ok(scope.found_in(&visit, &at, body.as_bytes(), None)?.urls.into_iter().map(|found| found.url).collect())
    }

    #[test]
    fn links_feeds_and_sitemaps_lead_to_pages_in_scope() {
        let page = found(Role::Page, "<a href=/news/7>7</a> <a href=http://b.test/news/8>8</a>");
        assert_eq!(page.unwrap(), ["http://a.test/news/7"]);
        let sitemap = "<urlset><url><loc>http://a.test/news/9</loc></url></urlset>";
        assert_eq!(found(Role::Sitemap, sitemap).unwrap(), ["http://a.test/news/9"]);
    }

    #[test]
    fn a_feed_that_cannot_be_read_is_told_and_not_taken_for_an_empty_one() {
        assert!(!found(Role::Feed, "<html>no feed</html>").unwrap_err().is_empty());
    }
}
