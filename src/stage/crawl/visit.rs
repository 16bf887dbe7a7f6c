//! What becomes of one answer: archived, noted, its links added; all in one transaction.

use std::time::Duration as Span;

use jiff::Timestamp;

use super::{Crawl, Host, Job, Scope, Tally, Watch, delay_after};
use crate::error::{Error, Result};
use crate::net::{FetchError, Response, Robots};
use crate::store::Store;
use crate::store::frontier::{Found, Role, Visit, Visited};
use crate::store::warc::{Exchange, WarcWriter};

/// An answer, or why there is none.
pub(super) struct Answer(Result<Response, FetchError>);

impl Answer {
    pub(super) fn of(result: Result<Response, FetchError>) -> Self {
        Self(result)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |response| response.body.len() as u64)
    }
}

/// Writes an answer down.
#[expect(clippy::too_many_arguments, reason = "the round's state, each part with its own owner")]
pub(super) fn commit(
    store: &mut Store,
    archive: &mut WarcWriter,
    scope: &Scope<'_>,
    crawl: &Crawl,
    host: &mut Host,
    job: &Job,
    answer: Answer,
    tally: &mut Tally,
    watch: &mut dyn Watch,
) -> Result<()> {
    let now = Timestamp::now();
    let bytes = answer.bytes();
    tally.bytes += bytes;
    let mut pause = Span::from_millis(host.row.delay_ms).max(crawl.delay.0);
    if let Ok(response) = &answer.0 {
        pause = delay_after(crawl, host, response);
        host.row.delay_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        // The server's own word, when it is overloaded, beats every formula.
        if let Some(wait) = response.retry_after(now).filter(|_| matches!(response.status, 429 | 503)) {
            pause = pause.max(wait);
        }
    }
    host.row.next_allowed_at = Some(now + pause);
    match &job.visit {
        None => {
            if let Some(error) = keep_robots(store, scope, host, job, answer.0, now)? {
                tally.failed += 1;
                watch.visited(job.url.as_str(), 1, Some(&error));
            }
            Ok(())
        }
        Some(visit) => {
            let (status, visited, found) = judge(archive, scope, visit, job, answer.0, now, tally)?;
            let interval = interval(crawl, visit, &visited);
            let writer = store.writer()?;
            let mut added = 0;
            for found in &found {
                added += u64::from(writer.add_url(found)?);
            }
            tally.found += added;
            let next_visit_at = now.checked_add(Span::from_secs(interval)).unwrap_or(Timestamp::MAX);
            writer.visited(visit.id, status, &visited, interval, now, next_visit_at)?;
            writer.set_warc_length(archive.name(), archive.len())?;
            writer.set_host(&job.host, &host.row)?;
            writer.commit()?;
            let error = if let Visited::Failed(error) = &visited { Some(error.as_str()) } else { None };
            watch.visited(&visit.url, added, error);
            Ok(())
        }
    }
}

/// robots.txt: what it says holds for a day. Answers why nothing may be asked of the host, if that is so.
fn keep_robots(
    store: &mut Store,
    scope: &Scope<'_>,
    host: &mut Host,
    job: &Job,
    answer: Result<Response, FetchError>,
    now: Timestamp,
) -> Result<Option<String>> {
    let (status, body, error) = match answer {
        Ok(response) => {
            let unknown = !Robots::is_known(Some(response.status));
            let error = unknown.then(|| format!("the server answered {}", response.status));
            (Some(response.status), response.body, error)
        }
        Err(error) => (None, Vec::new(), Some(Error::from(error).to_string())),
    };
    host.row.robots_status = status;
    host.row.robots_body = status.filter(|status| (200..300).contains(status)).map(|_| body);
    host.row.robots_fetched_at = Some(now);
    host.robots = None;
    let writer = store.writer()?;
    writer.set_host(&job.host, &host.row)?;
    if let Some(body) = &host.row.robots_body {
        for found in scope.sitemaps_of_robots(body, &job.url) {
            writer.add_url(&found)?;
        }
    }
    writer.commit()?;
    let consequence = "so nothing else is asked of this host until the next round";
    Ok(error.map(|error| format!("{error}, {consequence} (RFC 9309)")))
}

/// What an answer means for the frontier, with its body put into the archive.
fn judge(
    archive: &mut WarcWriter,
    scope: &Scope<'_>,
    visit: &Visit,
    job: &Job,
    answer: Result<Response, FetchError>,
    now: Timestamp,
    tally: &mut Tally,
) -> Result<(Option<u16>, Visited, Vec<Found>)> {
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            tally.failed += 1;
            let message = Error::from(error).to_string();
            return Ok((None, Visited::Failed(message), Vec::new()));
        }
    };
    let status = Some(response.status);
    let none = Vec::new();
    Ok(match response.status {
        200 => {
            let body_hash = blake3::hash(&response.body).to_hex().to_string();
            let header = |name: &str| response.header(name).map(str::to_owned);
            let (content_type, etag, last_modified) = (header("content-type"), header("etag"), header("last-modified"));
            if visit.body_hash.as_deref() == Some(body_hash.as_str()) {
                tally.unchanged += 1;
                (status, Visited::Fetched { content_type, etag, last_modified, body_hash, warc: None }, none)
            } else {
                let found = match scope.found_in(visit, &job.url, &response, content_type.as_deref()) {
                    Ok(found) => found,
                    Err(message) => {
                        tally.failed += 1;
                        return Ok((status, Visited::Failed(message), none));
                    }
                };
                tally.changed += 1;
                let warc = archive.append(&exchange(job, &response, now))?;
                (status, Visited::Fetched { content_type, etag, last_modified, body_hash, warc: Some(warc) }, found)
            }
        }
        304 if visit.body_hash.is_some() => {
            tally.unchanged += 1;
            (status, Visited::NotModified, none)
        }
        301 | 302 | 303 | 307 | 308 => {
            tally.redirected += 1;
            match scope.redirect(visit, &job.url, &response) {
                Ok(found) => (status, Visited::Redirected, found.into_iter().collect()),
                Err(message) => (status, Visited::Failed(message), none),
            }
        }
        404 | 410 => {
            tally.gone += 1;
            (status, Visited::Gone, none)
        }
        other => {
            tally.failed += 1;
            (status, Visited::Failed(format!("the server answered {other}: it is asked again in the next round")), none)
        }
    })
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

/// Seconds until the next visit: for articles, longer when nothing changed and shorter when something did, as Nutch's
/// adaptive schedule does.
fn interval(crawl: &Crawl, visit: &Visit, visited: &Visited) -> u64 {
    if visit.role != Role::Article {
        return crawl.revisit_lists.0.as_secs();
    }
    let (shortest, longest) = (crawl.revisit.0.as_secs(), crawl.max_revisit.0.as_secs());
    let Some(old) = visit.interval else { return shortest };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "seconds, far below 2^53"
    )]
    let scaled = |factor: f64| (old as f64 * factor) as u64;
    match visited {
        Visited::Fetched { warc: Some(_), .. } => scaled(0.8),
        Visited::Fetched { .. } | Visited::NotModified | Visited::Gone | Visited::Redirected => scaled(1.4),
        Visited::Failed(_) | Visited::Forbidden => shortest,
    }
    .clamp(shortest, longest.max(shortest))
}
