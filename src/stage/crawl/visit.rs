//! What becomes of one answer: archived, noted, its links added; all in one transaction.

use jiff::Timestamp;

use super::discover::Findings;
use super::host::known;
use super::schedule::{self, earlier, later};
use super::{Answer, Job, Round};
use crate::error::{Error, Result};
use crate::net::Response;
use crate::record::WarcRef;
use crate::store::visit::{FEED_COPY, Found, Outcome, Role, Visit, Visited};
use crate::store::warc::Exchange;

/// What an answer means for the frontier.
struct Judged {
    status: Option<u16>,
    visited: Visited,
    findings: Findings,
}

impl Judged {
    fn bare(status: u16, visited: Visited) -> Self {
        Self { status: Some(status), visited, findings: Findings::default() }
    }
}

impl Round<'_> {
    /// Writes an answer down.
    pub(super) fn take(&mut self, job: Job, answer: Answer) -> Result<()> {
        // As the store keeps it: an archived record that refers to another one by its date must name it exactly.
        let now = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap_or_default();
        let bytes = answer.as_ref().map_or(0, |response| response.body.len() as u64);
        self.tally.requests += 1;
        self.tally.bytes += bytes;
        let host = known(&mut self.hosts, &job.host)?;
        host.busy = false;
        host.row.bytes += bytes;
        let Some(visit) = &job.visit else {
            let error = self.take_robots(&job, answer, now)?;
            self.tally.failed += u64::from(error.is_some());
            self.watch.visited(job.url.as_str(), 1, error.as_deref());
            return Ok(());
        };
        self.set_pace(&job, &answer, now)?;
        let mut judged = self.judge(visit, &job, answer, now)?;
        self.keep_room(&job.host, &mut judged.findings)?;
        self.tally.trapped += judged.findings.traps.len() as u64;
        if let Some((url, trap)) = judged.findings.traps.first()
            && known(&mut self.hosts, &job.host)?.met_trap()
        {
            let note = format!("{}: links into traps are not followed; the first is {url}: {trap}", job.host);
            self.tally.notes.push(note);
        }
        let copies = self.archive_copies(std::mem::take(&mut judged.findings.copies), now)?;
        let added = self.write(&job, visit, &judged, &copies, now)?;
        let error = match &judged.visited {
            Visited::Failed(error) => Some(error.as_str()),
            _ => judged.findings.warning.as_deref(),
        };
        if judged.findings.warning.is_some() {
            self.tally.failed += 1;
        }
        let again = u64::from(matches!(judged.visited, Visited::Postponed { .. }));
        self.watch.visited(&visit.url, added + again, error);
        let last = match &judged.visited {
            Visited::Failed(error) | Visited::Postponed { error, .. } => error.clone(),
            _ => String::new(),
        };
        self.close_if_down(&job.host, &last)
    }

    /// The transaction; answers how many URLs became due.
    fn write(&mut self, job: &Job, visit: &Visit, judged: &Judged, copies: &[Copy], now: Timestamp) -> Result<u64> {
        let writer = self.store.writer()?;
        let (mut added, mut brought) = (0, 0);
        for found in &judged.findings.urls {
            if writer.add_url(found)? {
                added += 1;
                brought += u64::from(found.role == Role::Article);
                if found.role == Role::Page {
                    *self.alike.entry((found.host.clone(), found.shape.clone())).or_default() += 1;
                }
            }
        }
        self.tally.found += added;
        let mut woken = 0;
        for found in &judged.findings.urls {
            woken += u64::from(match (visit.role, found.role, found.changed) {
                (Role::Sitemap, Role::Sitemap, Some(changed)) => {
                    writer.wake(&found.url, changed.min(earlier(now, self.crawl.revisit_lists.0)))?
                }
                (Role::Sitemap, _, Some(changed)) => {
                    writer.wake(&found.url, changed.min(earlier(now, self.crawl.revisit.0)))?
                }
                // Lists are followed until one has nothing new; a list with news may have pushed some to the next page.
                (Role::Seed | Role::Page, Role::Page, _) if brought > 0 => {
                    writer.wake(&found.url, earlier(now, self.crawl.revisit_lists.0))?
                }
                _ => false,
            });
        }
        for copy in copies {
            writer.keep_feed_copy(&copy.url, &copy.body_hash, &copy.warc, now)?;
        }
        let interval = schedule::interval(self.crawl, visit, &judged.visited, brought);
        writer.visited(
            visit.id,
            &Outcome { status: judged.status, visited: &judged.visited, ruling: &job.ruling, at: now, interval },
        )?;
        writer.set_warc_length(self.archive.name(), self.archive.len())?;
        writer.set_host_pace(&job.host, &known(&mut self.hosts, &job.host)?.row)?;
        writer.commit()?;
        Ok(added + woken)
    }

    /// What an answer means, with its body put into the archive.
    fn judge(&mut self, visit: &Visit, job: &Job, answer: Answer, now: Timestamp) -> Result<Judged> {
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                let may_pass = error.is_transient();
                let visited = self.failure(visit, Error::from(error).to_string(), may_pass, now);
                return Ok(Judged { status: None, visited, findings: Findings::default() });
            }
        };
        let status = response.status;
        Ok(match status {
            200 => return self.judge_page(visit, job, &response, now),
            304 if visit.body_hash.is_some() => {
                self.tally.unchanged += 1;
                self.archive.append_revisit(&exchange(job, &response, now), visit.changed_at)?;
                Judged::bare(status, Visited::NotModified)
            }
            301 | 302 | 303 | 307 | 308 => {
                self.tally.redirected += 1;
                match self.scope.redirect(visit, &job.url, &response) {
                    Ok(found) => {
                        let findings = Findings { urls: found.into_iter().collect(), ..Findings::default() };
                        Judged { status: Some(status), visited: Visited::Redirected, findings }
                    }
                    Err(message) => {
                        self.tally.failed += 1;
                        Judged::bare(status, Visited::Failed(message))
                    }
                }
            }
            404 | 410 => {
                self.tally.gone += 1;
                Judged::bare(status, Visited::Gone)
            }
            other => {
                let message = format!("the server answered {other}");
                Judged::bare(status, self.failure(visit, message, schedule::may_pass(other), now))
            }
        })
    }

    fn judge_page(&mut self, visit: &Visit, job: &Job, response: &Response, now: Timestamp) -> Result<Judged> {
        let header = |name: &str| response.header(name).map(str::to_owned);
        let (content_type, etag, last_modified) = (header("content-type"), header("etag"), header("last-modified"));
        let body_hash = blake3::hash(&response.body).to_hex().to_string();
        let exchange = exchange(job, response, now);
        if visit.body_hash.as_deref() == Some(body_hash.as_str()) {
            self.tally.unchanged += 1;
            self.archive.append_revisit(&exchange, visit.changed_at)?;
            let visited = Visited::Fetched { content_type, etag, last_modified, body_hash, warc: None };
            return Ok(Judged::bare(200, visited));
        }
        let findings = match self.scope.found_in(visit, &job.url, response, content_type.as_deref()) {
            Ok(findings) => findings,
            Err(message) => {
                self.tally.failed += 1;
                return Ok(Judged::bare(200, Visited::Failed(message)));
            }
        };
        self.tally.changed += 1;
        let warc = Some(self.archive.append(&exchange)?);
        let visited = Visited::Fetched { content_type, etag, last_modified, body_hash, warc };
        Ok(Judged { status: Some(200), visited, findings })
    }

    /// A failure, put off while there are attempts left and it may pass.
    fn failure(&mut self, visit: &Visit, error: String, may_pass: bool, now: Timestamp) -> Visited {
        if may_pass && visit.attempts < self.crawl.retries {
            self.tally.postponed += 1;
            return Visited::Postponed { error, not_before: later(now, schedule::backoff(self.crawl, visit.attempts)) };
        }
        self.tally.failed += 1;
        let attempts = if may_pass { format!(" ({} attempts)", visit.attempts + 1) } else { String::new() };
        Visited::Failed(format!("{error}{attempts}: it is asked for again in the next round"))
    }

    /// Leaves out pages of a template that has brought enough of them already.
    fn keep_room(&mut self, host: &str, findings: &mut Findings) -> Result<()> {
        let mut coming = 0;
        let mut kept: Vec<Found> = Vec::with_capacity(findings.urls.len());
        for found in std::mem::take(&mut findings.urls) {
            if found.role == Role::Page {
                let key = (found.host.clone(), found.shape.clone());
                let known = match self.alike.get(&key) {
                    Some(&known) => known,
                    None => {
                        let known = self.store.alike(&key.0, &key.1)?;
                        self.alike.insert(key, known);
                        known
                    }
                };
                coming += 1;
                if known + coming > self.crawl.max_alike && !self.store.is_known(&found.url)? {
                    let limit = self.crawl.max_alike;
                    let note = format!(
                        "{host}: {limit} pages like {} are known, and no more of them are followed (max-alike); articles are",
                        found.shape
                    );
                    if !self.tally.notes.contains(&note) {
                        self.tally.notes.push(note);
                    }
                    continue;
                }
            }
            kept.push(found);
        }
        findings.urls = kept;
        Ok(())
    }

    /// Archives the whole texts of a feed whose articles were never fetched themselves.
    fn archive_copies(&mut self, copies: Vec<(String, String)>, now: Timestamp) -> Result<Vec<Copy>> {
        let mut archived = Vec::new();
        for (url, page) in copies {
            let body_hash = blake3::hash(page.as_bytes()).to_hex().to_string();
            let known = self.store.page(&url)?;
            let is_needed = known
                .is_none_or(|known| known.content_type.as_deref() == Some(FEED_COPY) && known.body_hash != body_hash);
            if is_needed {
                let warc = self.archive.append_resource(&url, now, FEED_COPY, page.as_bytes())?;
                archived.push(Copy { url, body_hash, warc });
            }
        }
        Ok(archived)
    }
}

/// A feed's copy of an article.
struct Copy {
    url: String,
    body_hash: String,
    warc: WarcRef,
}

fn exchange<'a>(job: &'a Job, response: &'a Response, at: Timestamp) -> Exchange<'a> {
    Exchange {
        url: job.url.as_str(),
        at,
        status: response.status,
        reason: None,
        response_headers: &response.headers,
        body: &response.body,
        request_headers: &response.request_headers,
        ip: response.address,
    }
}
