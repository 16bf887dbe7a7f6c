//! Why a site gave no article: said at the end of each round, until one was archived.

use url::Url;

use super::{Round, count};
use crate::error::Result;
use crate::extract::{charset, links};
use crate::net;
use crate::stage::site::Site;
use crate::store::visit::{Role, State};
use crate::store::warc;

/// Entry points of a site that are looked at.
const ENTRIES: usize = 3;

impl Round<'_> {
    /// Says of each site without an archived article why there is none.
    pub(super) fn report_barren_sites(&mut self) -> Result<()> {
        for site in self.scope.sites() {
            let hosts: Vec<String> = self.scope.hosts_of(site).map(str::to_owned).collect();
            let (mut archived, mut known, mut due) = (0, 0, 0);
            for host in &hosts {
                let (with_body, without) = self.store.articles_of_host(host)?;
                (archived, known) = (archived + with_body, known + without);
                due += self.store.due_of_host(host)?;
            }
            if archived > 0 {
                continue;
            }
            let mut reasons = Vec::new();
            let entries = site.seeds.iter().chain(&site.sitemaps).chain(&site.feeds);
            for entry in entries.take(ENTRIES) {
                reasons.push(self.reason(site, entry)?);
            }
            if reasons.is_empty() {
                reasons.push("it names no seeds, sitemaps or feeds".to_owned());
            }
            if known > 0 {
                let mut known = format!("{} known, and none could be fetched", count(known, "article"));
                for host in &hosts {
                    if let Some((url, error)) = self.store.failed_article(host)? {
                        known += &format!(" ({url}: {error})");
                        break;
                    }
                }
                reasons.push(known);
            }
            if due > 0 {
                reasons.push(format!("{} left for the next run", count(due, "URL")));
            }
            self.tally.attention(format!(
                "no article of the site {:?} was fetched yet: {}",
                site.name,
                reasons.join("; ")
            ));
        }
        Ok(())
    }

    /// What became of an entry point.
    fn reason(&self, site: &Site, entry: &str) -> Result<String> {
        let url = Url::parse(entry).ok().and_then(|url| net::normalise(&url, ""));
        let standing = match &url {
            Some(url) => self.store.standing(url.as_str())?,
            None => None,
        };
        let (Some(url), Some(standing)) = (url, standing) else {
            return Ok(format!("{entry} was not asked for yet"));
        };
        let status = standing.status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
        let error = standing.error.unwrap_or_default();
        Ok(match standing.state {
            State::Waiting if error.is_empty() => format!("{entry} was not asked for yet"),
            State::Waiting | State::Failed => format!("{entry} failed: {error}"),
            State::Gone => format!("{entry} answers {status}"),
            State::Forbidden => format!("{entry} is {} in robots.txt", standing.ruling.unwrap_or_default()),
            State::Redirect => match standing.moved_to {
                Some(target) => format!("{entry} redirects to {target}"),
                None if error.is_empty() => format!("{entry} redirects to a URL that is not followed"),
                None => format!("{entry}: {error}"),
            },
            State::Fetched if standing.role == Role::Seed => self.reading(site, &url)?,
            State::Fetched => format!("{entry} was read, and lists no article that could be fetched"),
        })
    }

    /// What a seed's archived page says.
    fn reading(&self, site: &Site, url: &Url) -> Result<String> {
        let Some(page) = self.store.page(url.as_str())?.filter(|page| !page.is_lost) else {
            return Ok(format!("{url} has no archived page"));
        };
        let body = match warc::read(&self.store.pages_folder(), &page.warc) {
            Ok(archived) => archived.body,
            Err(error) => return Ok(format!("{url} cannot be read: {error}")),
        };
        let html = charset::decode(&body, page.content_type.as_deref()).text;
        if links::forbids_following(&html) {
            return Ok(format!(
                "{url} asks robots not to follow its links (<meta name=\"robots\" content=\"nofollow\">)"
            ));
        }
        let links = links::links(&html, url);
        let ours: Vec<&links::Link> = links
            .iter()
            .filter(|link| self.scope.site_of(&link.url).is_some_and(|found| found.name == site.name))
            .collect();
        let articles =
            ours.iter().filter(|link| site.articles.iter().any(|pattern| pattern.matches(link.url.path()))).count();
        let of_articles = if articles == 0 {
            "none of them matches `articles`".to_owned()
        } else {
            let unfollowed = ours.iter().filter(|link| link.nofollow).count();
            format!("{articles} of them match `articles`, {unfollowed} are marked rel=nofollow")
        };
        Ok(format!(
            "{url} has {}, {} on the site's hosts, and {of_articles}",
            count(links.len() as u64, "link"),
            ours.len()
        ))
    }
}
