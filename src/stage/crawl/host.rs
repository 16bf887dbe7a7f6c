//! What a host is to be asked for next, and when: robots.txt, budgets, pace.

use std::time::{Duration as Span, Instant};

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::cookies::Cookies;
use super::schedule::{self, earlier, later};
use super::{Answer, Job, Round, count};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{self, FetchError, Politeness, Response, Robots, Verdict};
use crate::store::hosts::HostRow;
use crate::store::visit::{Outcome, Visited};

/// How long a robots.txt holds (RFC 9309, section 2.4).
const ROBOTS_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// How long the last good one serves while a newer one cannot be had (section 2.3.1.4 names 30 days).
const ROBOTS_LAST_GOOD: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How long a night's budget counts. Less than a day, so that a job that begins at 2 o'clock each night finds it whole.
const NIGHT: SignedDuration = SignedDuration::from_hours(20);

/// Requests that fail in a row before a host is taken to be down.
const MAX_FAILURES: u32 = 10;

/// A host while the round runs.
pub(super) struct Host {
    pub(super) row: HostRow,
    pub(super) robots: Option<Robots>,
    /// Whether a request is on its way.
    pub(super) busy: bool,
    /// Requests that failed in a row.
    failures: u32,
    /// When this run first asked it.
    first_asked: Option<Instant>,
    /// Whether it is left alone until the next run.
    closed: bool,
    /// Whether a link into a trap was told of.
    has_traps: bool,
    /// What its redirects set.
    pub(super) cookies: Cookies,
}

/// What to do about a host.
pub(super) enum Next {
    /// Ask.
    Job(Box<Job>),
    /// Wait until then.
    Wait(Timestamp),
    /// Nothing now.
    Nothing,
}

impl Host {
    pub(super) fn new(mut row: HostRow, now: Timestamp) -> Self {
        // The clock was ahead when these were noted: what was to be waited for until then is not known, so the host is
        // left alone for its usual delay, and its robots.txt is asked for anew.
        if row.night_began.is_some_and(|began| began > now) {
            row.night_began = None;
            row.next_allowed_at = row.next_allowed_at.map(|at| at.min(later(now, Span::from_millis(row.delay_ms))));
        }
        if row.robots_fetched_at.is_some_and(|at| at > now) {
            row.robots_fetched_at = Some(earlier(now, ROBOTS_LIFE.unsigned_abs()));
        }
        row.robots_failed_at = row.robots_failed_at.filter(|at| *at <= now);
        if row.night_began.is_none_or(|began| now.duration_since(began) >= NIGHT) {
            (row.night_began, row.requests, row.bytes) = (Some(now), 0, 0);
        }
        Self {
            row,
            robots: None,
            busy: false,
            failures: 0,
            first_asked: None,
            closed: false,
            has_traps: false,
            cookies: Cookies::default(),
        }
    }
}

impl Round<'_> {
    /// The next request of a host: robots.txt when its rules are unknown or old, else the next due URL that they allow.
    /// What is asked for is leased, and the host's pace kept, before the request goes out.
    pub(super) fn next(&mut self, name: &str) -> Result<Next> {
        let now = Timestamp::now();
        let host = known(&mut self.hosts, name)?;
        if host.busy || host.closed {
            return Ok(Next::Nothing);
        }
        if let Some(at) = host.row.next_allowed_at.filter(|at| *at > now) {
            return if self.store.has_due(name)? { self.wait(name, at, now) } else { Ok(Next::Nothing) };
        }
        if self.store.next_visit(name, now)?.is_none() {
            // Only retries may be left.
            return match self.store.first_due(name)? {
                Some(at) => self.wait(name, at, now),
                None => Ok(Next::Nothing),
            };
        }
        if let Some(spent) = self.spent(name)? {
            self.close(name, &spent)?;
            return Ok(Next::Nothing);
        }
        match self.robots_needed(name, now)? {
            Needed::Fetch => {
                let Some(visit) = self.store.next_visit(name, now)? else { return Ok(Next::Nothing) };
                let url = parse(&visit.url)?.join("/robots.txt");
                let url = url.map_err(|_| Error::bug("no robots.txt beside a URL"))?;
                self.departs(name, None, now)?;
                let ruling = String::new();
                Ok(Next::Job(Box::new(Job { host: name.to_owned(), url, visit: None, ruling, cookie: None })))
            }
            Needed::Nothing => self.next_page(name, now),
            Needed::Unknown(error) => {
                let why = format!("robots.txt cannot be had ({error}), so nothing may be asked for (RFC 9309)");
                self.close(name, &why)?;
                Ok(Next::Nothing)
            }
        }
    }

    /// Waits for a host, or leaves it when that would take too long.
    fn wait(&mut self, name: &str, at: Timestamp, now: Timestamp) -> Result<Next> {
        let wait = Span::try_from(at.duration_since(now)).unwrap_or_default();
        // A `Crawl-delay` may be longer than our patience, and is still worth waiting for.
        let usual = Span::from_millis(known(&mut self.hosts, name)?.row.delay_ms).mul_f64(1.25);
        if wait > self.crawl.patience.0.max(usual) {
            self.close(name, &format!("it is not to be asked before {}", shown(at)))?;
            return Ok(Next::Nothing);
        }
        Ok(Next::Wait(at))
    }

    /// The next due URL that robots.txt allows; notes those that it forbids on the way.
    fn next_page(&mut self, name: &str, now: Timestamp) -> Result<Next> {
        while let Some(visit) = self.store.next_visit(name, now)? {
            let url = parse(&visit.url)?;
            let host = known(&mut self.hosts, name)?;
            let ruling = host.rules(&self.crawl.agent()).ruling(&url);
            if ruling.verdict == Verdict::Allowed {
                self.departs(name, Some(visit.id), now)?;
                let cookie = known(&mut self.hosts, name)?.cookies.header();
                let (host, ruling) = (name.to_owned(), ruling.to_string());
                return Ok(Next::Job(Box::new(Job { host, url, visit: Some(visit), ruling, cookie })));
            }
            self.tally.forbidden += 1;
            let writer = self.store.writer()?;
            let (visited, ruling) = (Visited::Forbidden, ruling.to_string());
            let interval = schedule::interval(self.crawl, &visit, &visited, 0);
            writer
                .visited(visit.id, &Outcome { status: None, visited: &visited, ruling: &ruling, at: now, interval })?;
            writer.commit()?;
            self.watch.visited(&visit.url, 0, None);
        }
        Ok(Next::Nothing)
    }

    /// Writes down that a request goes out, before it does: were we killed now, the next run would know whom not to
    /// hurry, what was spent, and which URL is in doubt.
    fn departs(&mut self, name: &str, visit: Option<crate::record::PageId>, now: Timestamp) -> Result<()> {
        let host = known(&mut self.hosts, name)?;
        host.busy = true;
        host.first_asked.get_or_insert_with(Instant::now);
        host.row.requests += 1;
        let pause = Span::from_millis(host.row.delay_ms).max(self.crawl.delay.0);
        host.row.next_allowed_at = Some(later(now, pause));
        let writer = self.store.writer()?;
        match visit {
            Some(id) => {
                writer.lease(id, now)?;
                writer.set_host_pace(name, &host.row)?;
            }
            None => writer.set_host(name, &host.row)?,
        }
        writer.commit()
    }

    /// Which budget is spent, if one is.
    fn spent(&self, name: &str) -> Result<Option<String>> {
        let host = self.hosts.get(name).ok_or_else(|| Error::bug(format!("the host {name} is unknown")))?;
        let crawl = self.crawl;
        let nights = |of: fn(&HostRow) -> u64| self.hosts.values().map(|host| of(&host.row)).sum::<u64>();
        let again = host.row.night_began.map(|began| shown(later(began, NIGHT.unsigned_abs()))).unwrap_or_default();
        let a_night = |what: String| Some(format!("the night's {what} are spent; the next night begins at {again}"));
        Ok(if self.clock.elapsed() > crawl.time.0 {
            Some("the run's time for crawling is over".into())
        } else if host.first_asked.is_some_and(|at| at.elapsed() > crawl.time_per_host.0) {
            Some("the run's time for this host is over".into())
        } else if host.row.requests >= crawl.requests_per_host {
            a_night(count(crawl.requests_per_host, "request"))
        } else if host.row.bytes >= crawl.bytes_per_host.0 {
            a_night(count(crawl.bytes_per_host.0, "byte"))
        } else if nights(|row| row.requests) >= crawl.requests {
            a_night(format!("{} of all hosts", count(crawl.requests, "request")))
        } else if nights(|row| row.bytes) >= crawl.bytes.0 {
            a_night(format!("{} of all hosts", count(crawl.bytes.0, "byte")))
        } else {
            None
        })
    }

    /// Leaves a host alone until the next run, and says so if it still has URLs that are due.
    pub(super) fn close(&mut self, name: &str, why: &str) -> Result<()> {
        known(&mut self.hosts, name)?.closed = true;
        let left = self.store.due_of_host(name)?;
        if left > 0 {
            self.tally.notes.push(format!("{name}: {why}; {} left for the next run", count(left, "URL")));
        }
        Ok(())
    }

    fn robots_needed(&mut self, name: &str, now: Timestamp) -> Result<Needed> {
        let row = &known(&mut self.hosts, name)?.row;
        let age = row.robots_fetched_at.map(|at| now.duration_since(at));
        if age.is_some_and(|age| age < ROBOTS_LIFE) {
            return Ok(Needed::Nothing);
        }
        // One attempt a run.
        if row.robots_failed_at.is_none_or(|at| at < self.began) {
            return Ok(Needed::Fetch);
        }
        Ok(match age {
            Some(age) if age < ROBOTS_LAST_GOOD => Needed::Nothing,
            _ => Needed::Unknown(row.robots_error.clone().unwrap_or_default()),
        })
    }

    /// Keeps what robots.txt says; answers why it could not be had, if so.
    pub(super) fn take_robots(&mut self, job: &Job, answer: Answer, now: Timestamp) -> Result<Option<String>> {
        let host = known(&mut self.hosts, &job.host)?;
        if let Ok(response) = &answer
            && Robots::is_known(Some(response.status))
        {
            host.row.robots_status = Some(response.status);
            host.row.robots_body = (200..300).contains(&response.status).then(|| response.body.clone());
            host.row.robots_fetched_at = Some(now);
        }
        // Before the pace is set: the new rules may ask for a longer one.
        host.robots = None;
        host.rules(&self.crawl.agent());
        self.set_pace(job, &answer, now)?;
        let failure = match answer {
            Ok(response) if Robots::is_known(Some(response.status)) => None,
            Ok(response) => Some(format!("the server answered {}", response.status)),
            Err(error) => Some(Error::from(error).to_string()),
        };
        let host = known(&mut self.hosts, &job.host)?;
        host.row.robots_failed_at = failure.is_some().then_some(now);
        host.row.robots_error.clone_from(&failure);
        let (has_copy, writer) = (host.row.robots_fetched_at.is_some(), self.store.writer()?);
        writer.set_host(&job.host, &host.row)?;
        let mut added = 0;
        if let Some(body) = host.row.robots_body.as_ref().filter(|_| failure.is_none()) {
            for found in self.scope.sitemaps_of_robots(body, &job.url) {
                added += u64::from(writer.add_url(&found)?);
            }
        }
        writer.commit()?;
        self.tally.found += added;
        let consequence = if has_copy { "the last good copy serves" } else { "nothing else is asked of this host" };
        Ok(failure.map(|failure| format!("{failure}: {consequence} (RFC 9309)")))
    }

    /// Sets when a host may be asked again.
    pub(super) fn set_pace(&mut self, job: &Job, answer: &Answer, now: Timestamp) -> Result<()> {
        let crawl = self.crawl;
        let host = known(&mut self.hosts, &job.host)?;
        let mut pause = Span::from_millis(host.row.delay_ms).max(crawl.delay.0);
        if let Ok(response) = answer {
            pause = host.delay_after(&Politeness { min_delay: crawl.delay.0, max_delay: crawl.max_delay.0 }, response);
            host.row.delay_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        }
        pause = schedule::with_jitter(pause, format!("{} {now}", job.url).as_bytes());
        let in_trouble = match answer {
            Ok(response) => schedule::may_pass(response.status),
            Err(error) => error.is_transient(),
        };
        host.failures = if in_trouble { host.failures + 1 } else { 0 };
        match answer {
            Ok(response) if schedule::is_overloaded(response) => {
                // The server's own word, when it has one, beats every formula.
                let wait = response.retry_after(now);
                pause = pause.max(wait.unwrap_or_else(|| schedule::backoff(crawl, host.failures - 1)));
            }
            Err(FetchError::Network { .. } | FetchError::Timeout { .. }) => {
                pause = pause.max(schedule::backoff(crawl, host.failures - 1));
            }
            _ => {}
        }
        host.row.next_allowed_at = Some(later(now, pause));
        Ok(())
    }

    /// Leaves a host that only fails.
    pub(super) fn close_if_down(&mut self, name: &str, last: &str) -> Result<()> {
        let host = known(&mut self.hosts, name)?;
        if host.failures >= MAX_FAILURES && !host.closed {
            self.close(name, &format!("{MAX_FAILURES} requests failed in a row, the last one so: {last}"))?;
        }
        Ok(())
    }
}

impl Host {
    /// Whether this is its first trap.
    pub(super) fn met_trap(&mut self) -> bool {
        !std::mem::replace(&mut self.has_traps, true)
    }

    /// What its robots.txt says, read once.
    fn rules(&mut self, agent: &str) -> &Robots {
        let row = &self.row;
        self.robots.get_or_insert_with(|| {
            Robots::from_response(row.robots_status, row.robots_body.as_deref().unwrap_or_default(), agent)
        })
    }

    /// The delay after an answer.
    fn delay_after(&self, limits: &Politeness, response: &Response) -> Span {
        let crawl_delay = self.robots.as_ref().and_then(Robots::crawl_delay);
        // 304 is an answer as good as 200: it must not freeze the delay.
        let status = if response.status == 304 { 200 } else { response.status };
        net::next_delay(limits, crawl_delay, Span::from_millis(self.row.delay_ms), response.latency, status)
    }
}

/// What is to be done about a host's robots.txt.
enum Needed {
    Fetch,
    Nothing,
    /// It cannot be had: this is why.
    Unknown(String),
}

pub(super) fn known<'h>(hosts: &'h mut std::collections::BTreeMap<String, Host>, name: &str) -> Result<&'h mut Host> {
    hosts.get_mut(name).ok_or_else(|| Error::bug(format!("the host {name} is unknown")))
}

fn parse(url: &str) -> Result<Url> {
    Url::parse(url).map_err(|error| Error::with_source(ErrorKind::Bug, format!("the frontier holds {url:?}"), error))
}

/// An instant as people read it.
fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_clock_that_was_ahead_noted_of_a_host_does_not_hold() {
        let now: Timestamp = "2026-05-01T02:00:00Z".parse().unwrap();
        let year: Timestamp = "2027-05-01T02:00:00Z".parse().unwrap();
        let row = HostRow {
            robots_status: Some(200),
            robots_fetched_at: Some(year),
            robots_failed_at: Some(year),
            delay_ms: 2000,
            next_allowed_at: Some(year),
            night_began: Some(year),
            requests: 5000,
            ..HostRow::default()
        };
        let host = Host::new(row.clone(), now).row;
        assert_eq!((host.night_began, host.requests), (Some(now), 0), "a new night's budget");
        assert_eq!(host.next_allowed_at, Some("2026-05-01T02:00:02Z".parse().unwrap()));
        assert_eq!(
            host.robots_fetched_at,
            Some("2026-04-30T02:00:00Z".parse().unwrap()),
            "old, and still the last good one"
        );
        assert_eq!(host.robots_failed_at, None);
        // A server may ask for a long rest, and the clock was right.
        let rest = HostRow { night_began: Some("2026-05-01T01:00:00Z".parse().unwrap()), ..row };
        assert_eq!(Host::new(rest, now).row.next_allowed_at, Some(year));
    }
}
