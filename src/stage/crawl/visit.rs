//! What becomes of an answer: archived, and, once the archive is synced, noted with the links that it adds, in one
//! transaction.

use jiff::Timestamp;

use super::discover::{Findings, Lead};
use super::host::{Host, known};
use super::schedule::{self, earlier, later};
use super::{Answer, Job, Round, count};
use crate::error::{Error, Result};
use crate::net::Response;
use crate::record::WarcRef;
use crate::store::visit::{FEED_COPY, Found, Outcome, Role, State, Visit, Visited};
use crate::store::warc::Exchange;

/// What an answer means for the frontier.
struct Judged {
    status: Option<u16>,
    visited: Visited,
    findings: Findings,
    /// A URL that redirected here, and is asked for again with the cookies that it set.
    retry: Option<String>,
}

impl Judged {
    fn bare(status: u16, visited: Visited) -> Self {
        Self { status: Some(status), visited, findings: Findings::default(), retry: None }
    }
}

/// An answer whose records are appended to the archive, and that is not yet noted in the store.
struct Taken {
    job: Job,
    visit: Visit,
    judged: Judged,
    copies: Vec<Copy>,
    now: Timestamp,
}

impl Round<'_> {
    /// Writes answers down: first what the archive keeps of them all, then, with that on the disk, what the store does.
    /// One sync for all of them, so that a slow disk does not slow the crawl of many hosts.
    pub(super) fn take_all(&mut self, answers: Vec<(Job, Answer)>) -> Result<()> {
        let mut all = Vec::with_capacity(answers.len());
        for (job, answer) in answers {
            all.extend(self.take(job, answer)?);
        }
        self.archive.sync()?;
        all.into_iter().try_for_each(|taken| self.note(taken))
    }

    /// Judges an answer and archives it. A robots.txt is noted at once, since it is not archived.
    fn take(&mut self, job: Job, answer: Answer) -> Result<Option<Taken>> {
        // As the store keeps it: an archived record that refers to another one by its date must name it exactly.
        let now = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap_or_default();
        let bytes = answer.as_ref().map_or(0, |response| response.body.len() as u64);
        self.tally.requests += 1;
        self.tally.bytes += bytes;
        let host = known(&mut self.hosts, &job.host)?;
        host.busy = false;
        host.row.bytes += bytes;
        let Some(visit) = job.visit.clone() else {
            let error = self.take_robots(&job, answer, now)?;
            self.tally.failed += u64::from(error.is_some());
            self.watch.visited(job.url.as_str(), 1, error.as_deref());
            return Ok(None);
        };
        self.set_pace(&job, &answer, now)?;
        let mut judged = self.judge(&visit, &job, answer, now)?;
        let urls = std::mem::take(&mut judged.findings.urls);
        judged.findings.urls = self.templates.keep_room(self.store, self.crawl.max_alike, urls)?;
        self.tally.trapped += judged.findings.traps.len() as u64;
        if let Some((url, trap)) = judged.findings.traps.first()
            && known(&mut self.hosts, &job.host)?.met_trap()
        {
            let note = format!("{}: links into traps are not followed; the first is {url}: {trap}", job.host);
            self.tally.notes.push(note);
        }
        if judged.findings.too_many > 0 {
            let links = count(judged.findings.too_many as u64, "link");
            self.tally.notes.push(format!("{}: {links} too many for one page, and not followed", visit.url));
        }
        let copies = self.archive_copies(std::mem::take(&mut judged.findings.copies), now)?;
        Ok(Some(Taken { job, visit, judged, copies, now }))
    }

    /// Notes an answer in the store.
    fn note(&mut self, taken: Taken) -> Result<()> {
        let Taken { job, visit, judged, copies, now } = &taken;
        let added = self.write(job, visit, judged, copies, *now)?;
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
                self.templates.added(found);
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
        if let Some(url) = &judged.retry {
            woken += u64::from(writer.retry_redirect(url)?);
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
                return Ok(Judged { status: None, visited, findings: Findings::default(), retry: None });
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
            301 | 302 | 303 | 307 | 308 => self.judge_redirect(visit, job, &response, now)?,
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

    /// A redirect is followed through the frontier. One that holds for now only (302, 303, 307) does not take away the
    /// page that was archived before.
    fn judge_redirect(&mut self, visit: &Visit, job: &Job, response: &Response, now: Timestamp) -> Result<Judged> {
        let status = response.status;
        self.tally.redirected += 1;
        let lead = match self.scope.redirect(visit, &job.url, response) {
            Ok(lead) => lead,
            Err(message) => {
                self.tally.failed += 1;
                return Ok(Judged::bare(status, Visited::Failed(message)));
            }
        };
        known(&mut self.hosts, &job.host)?.cookies.offer(response);
        let target = response.location().map(String::from).unwrap_or_default();
        let (mut findings, mut retry, mut to, mut error) = (Findings::default(), None, None, None);
        match lead {
            Lead::Itself => {
                if known(&mut self.hosts, &job.host)?.cookies.accept() {
                    self.tally.postponed += 1;
                    let error = "the server sets a cookie and redirects the URL to itself".into();
                    return Ok(Judged::bare(status, Visited::Postponed { error, not_before: now }));
                }
                self.tally.failed += 1;
                let error = format!("the server redirects the URL to itself ({target}), with nothing else to go by");
                return Ok(Judged::bare(status, Visited::Failed(error)));
            }
            Lead::Ours(found) => {
                let standing = self.store.standing(&found.url)?;
                // The way back to a URL that led here: most likely it wants its cookies back.
                if standing.is_some_and(|known| known.state == State::Redirect && !known.has_body)
                    && known(&mut self.hosts, &job.host)?.cookies.accept()
                {
                    retry = Some(found.url.clone());
                }
                to = Some(found.url.clone());
                findings.urls.push(found);
            }
            Lead::Variant(found) => {
                self.accept_variant(&job.host, &found)?;
                to = Some(found.url.clone());
                findings.urls.push(found);
            }
            Lead::Outside(target) => error = self.leaves_scope(visit, "redirects to", &target),
            Lead::NotFollowed => {}
        }
        let is_temporary = matches!(status, 302 | 303 | 307);
        let visited = if is_temporary && (visit.body_hash.is_some() || visit.is_lost) {
            self.tally.suspended += 1;
            self.first_suspended.get_or_insert_with(|| (visit.url.clone(), target.clone()));
            Visited::Suspended(format!("it redirects to {target} for now ({status}): the page archived before is kept"))
        } else {
            Visited::Redirected { to, error }
        };
        Ok(Judged { status: Some(status), visited, findings, retry })
    }

    /// An entry point that leads to a host of no site would end in silence; answers what is wrong with it.
    fn leaves_scope(&mut self, visit: &Visit, leads: &str, target: &url::Url) -> Option<String> {
        let kind = match visit.role {
            Role::Seed => "seed",
            Role::Sitemap => "sitemap",
            Role::Feed => "feed",
            Role::Article | Role::Page => return None,
        };
        let host = crate::stage::site::host_of(target).unwrap_or_default();
        let error = format!("it {leads} {target}, and no site's hosts list {host}");
        self.tally.attention(format!(
            "the {kind} {} {leads} {target}, which no site's hosts list: add {host:?} to the hosts of {:?}, or correct the {kind}",
            visit.url, visit.site
        ));
        Some(error)
    }

    /// Asks a host that differs from one of ours in `www.` alone, since that one redirects to it.
    fn accept_variant(&mut self, from: &str, found: &Found) -> Result<()> {
        if self.hosts.contains_key(&found.host) {
            return Ok(());
        }
        let host = Host::new(self.store.host(&found.host)?, self.began);
        // The next run knows it by this row.
        let writer = self.store.writer()?;
        writer.set_host(&found.host, &host.row)?;
        writer.commit()?;
        self.scope.accept_variant(&found.host);
        self.hosts.insert(found.host.clone(), host);
        self.tally.notes.push(format!(
            "{from} redirects to {}, which is taken for a host of the site {:?}",
            found.host, found.site
        ));
        Ok(())
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
        let found = self.scope.found_in(visit, &job.url, &response.body, content_type.as_deref());
        let mut findings = match found {
            Ok(findings) => findings,
            Err(message) => {
                self.tally.failed += 1;
                return Ok(Judged::bare(200, Visited::Failed(message)));
            }
        };
        match findings.refresh.take() {
            Some(Lead::Ours(found)) => findings.urls.push(found),
            Some(Lead::Variant(found)) => {
                self.accept_variant(&job.host, &found)?;
                findings.urls.push(found);
            }
            Some(Lead::Outside(target)) => {
                self.leaves_scope(visit, "sends its reader (meta refresh) to", &target);
            }
            Some(Lead::Itself | Lead::NotFollowed) | None => {}
        }
        self.tally.changed += 1;
        let warc = Some(self.archive.append(&exchange)?);
        let visited = Visited::Fetched { content_type, etag, last_modified, body_hash, warc };
        Ok(Judged { status: Some(200), visited, findings, retry: None })
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

    /// Archives the whole texts of a feed whose articles were never fetched themselves.
    fn archive_copies(&mut self, copies: Vec<(String, String)>, now: Timestamp) -> Result<Vec<Copy>> {
        let mut archived = Vec::new();
        for (url, page) in copies {
            let body_hash = blake3::hash(page.as_bytes()).to_hex().to_string();
            let known = self.store.page(&url)?;
            let is_needed = known.is_none_or(|known| {
                known.content_type.as_deref() == Some(FEED_COPY) && (known.is_lost || known.body_hash != body_hash)
            });
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
