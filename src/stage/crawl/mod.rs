//! Crawling: from seeds, sitemaps and feeds along links, politely, into the page archive.
//!
//! The frontier in the store is the crawl's ledger: a visit, what it found and what it fetched are one transaction, so
//! a killed crawl loses no URL and asks for none twice. A *round* is one night's crawl; URLs are due when their revisit
//! time lies before the round's beginning, and an interrupted round is gone on with. One thread asks the store and
//! writes it; a few others wait on the network, one request at a time a host.

mod discover;
mod visit;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration as Span;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::site::Site;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Client, FetchError, GetRequest, Politeness, Response, Robots, Verdict};
use crate::record::{Bytes, Duration};
use crate::store::Store;
use crate::store::frontier::{HostRow, Visit, Visited};
use crate::store::warc::WarcWriter;
pub use discover::Scope;
use visit::Answer;

/// What the crawl does. None of it changes what a page says, so none of it enters a stage key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Crawl {
    /// Who asks: product token and version.
    pub user_agent: String,
    /// A URL or mail address where a site's owner reaches a person. Required on the real web.
    pub contact: Option<String>,
    /// The shortest delay between two requests to a host.
    pub delay: Duration,
    /// The longest, unless robots.txt asks for more.
    pub max_delay: Duration,
    /// The shortest time until an article is asked for again.
    pub revisit: Duration,
    /// The longest.
    pub max_revisit: Duration,
    /// The time until a seed, list page, sitemap or feed is asked for again.
    pub revisit_lists: Duration,
    /// Links followed from a seed.
    pub max_depth: u32,
    /// Requests to a host in one round.
    pub requests_per_host: u64,
    /// Bytes from a host in one round.
    pub bytes_per_host: Bytes,
    /// Time of a run's crawl.
    pub time: Duration,
    /// Hosts asked at the same time.
    pub parallel_hosts: usize,
    /// The longest wait for an answer.
    pub timeout: Duration,
    /// The largest page.
    pub max_page: Bytes,
    /// Hosts that may have private or loopback addresses.
    pub allow_private: Vec<String>,
}

impl Default for Crawl {
    fn default() -> Self {
        let time = |seconds| Duration(Span::from_secs(seconds));
        Self {
            user_agent: concat!("kopri/", env!("CARGO_PKG_VERSION")).into(),
            contact: None,
            delay: time(1),
            max_delay: time(60),
            revisit: time(86_400),
            max_revisit: time(90 * 86_400),
            revisit_lists: time(6 * 3_600),
            max_depth: 8,
            requests_per_host: 5_000,
            bytes_per_host: Bytes(2_000_000_000),
            time: time(6 * 3_600),
            parallel_hosts: 8,
            timeout: time(30),
            max_page: Bytes(20_000_000),
            allow_private: Vec::new(),
        }
    }
}

impl Crawl {
    /// The `User-Agent` header.
    pub fn agent(&self) -> String {
        match &self.contact {
            Some(contact) => format!("{} (+{contact})", self.user_agent),
            None => self.user_agent.clone(),
        }
    }
}

/// What a round came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Wall-clock time, seconds.
    pub seconds: f64,
    /// Requests made, robots.txt included.
    pub requests: u64,
    /// Pages whose body is new or changed.
    pub changed: u64,
    /// Pages that are as they were: 304, or the same bytes.
    pub unchanged: u64,
    /// Redirects.
    pub redirected: u64,
    /// 404 and 410.
    pub gone: u64,
    /// Forbidden by robots.txt.
    pub forbidden: u64,
    /// Everything else that gave no page.
    pub failed: u64,
    /// URLs found.
    pub found: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Whether a budget ended the round before the frontier was empty.
    pub budget_spent: bool,
}

/// What the crawl tells while it runs.
pub trait Watch {
    /// A visit was committed; it made `added` new URLs due. `error` says why it gave no page, if it should have.
    fn visited(&mut self, url: &str, added: u64, error: Option<&str>);
    /// Whether to stop now, between two visits.
    fn must_stop(&mut self) -> bool;
}

/// A host while the round runs.
struct Host {
    row: HostRow,
    robots: Option<Robots>,
    busy: bool,
    requests: u64,
    bytes: u64,
}

/// A request on its way.
struct Job {
    host: String,
    /// `None`: robots.txt.
    visit: Option<Visit>,
    url: Url,
}

/// How long a robots.txt holds (RFC 9309, section 2.4).
const ROBOTS_LIFE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Runs a round to its end, or goes on with one that was interrupted.
///
/// # Errors
/// Kind `Store`; kind `Interrupted` when `watch` says so. Failures of single URLs are kept in the frontier.
pub fn run(store: &mut Store, crawl: &Crawl, sites: &[Site], client: &Client, watch: &mut dyn Watch) -> Result<Tally> {
    let clock = std::time::Instant::now();
    let scope = Scope::new(sites, crawl.max_depth)?;
    let (round, began) = open_round(store, &scope)?;
    let mut archive = open_archive(store, began)?;
    let mut tally = Tally::default();
    let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
    let (answers_in, answers) = mpsc::channel::<(Job, Answer)>();
    let result = std::thread::scope(|threads| {
        let mut flying = 0_usize;
        loop {
            if watch.must_stop() {
                return Err(Error::new(ErrorKind::Interrupted, "the crawl was interrupted: run again to go on"));
            }
            let mut wake = None;
            // Of this run, not of the round: one that was interrupted last night has all of tonight to go on.
            let over_time = clock.elapsed() > crawl.time.0;
            tally.budget_spent |= over_time;
            for name in scope.hosts().filter(|_| !over_time) {
                let host = load_host(&mut hosts, store, name)?;
                if host.busy || flying >= crawl.parallel_hosts.max(1) {
                    continue;
                }
                if host.requests >= crawl.requests_per_host || host.bytes >= crawl.bytes_per_host.0 {
                    tally.budget_spent |= store.next_visit(name)?.is_some();
                    continue;
                }
                if store.next_visit(name)?.is_none() {
                    continue;
                }
                if let Some(at) = host.row.next_allowed_at.filter(|at| *at > Timestamp::now()) {
                    wake = Some(wake.map_or(at, |wake: Timestamp| wake.min(at)));
                    continue;
                }
                let Some(job) = next_job(store, host, name, began, crawl, &mut tally, watch)? else { continue };
                host.busy = true;
                flying += 1;
                let answers_in = answers_in.clone();
                threads.spawn(move || {
                    let answer = Answer::of(fetch(client, &job));
                    // The receiver is gone only when the round has ended in an error.
                    let _ = answers_in.send((job, answer));
                });
            }
            if flying == 0 {
                match wake {
                    None => return Ok(()),
                    Some(at) => {
                        let wait = at.duration_since(Timestamp::now()).unsigned_abs();
                        std::thread::sleep(wait.min(Span::from_millis(100)));
                        continue;
                    }
                }
            }
            let Ok((job, answer)) = answers.recv_timeout(Span::from_millis(100)) else { continue };
            flying -= 1;
            tally.requests += 1;
            let host = load_host(&mut hosts, store, &job.host)?;
            host.busy = false;
            host.requests += 1;
            host.bytes += answer.bytes();
            visit::commit(store, &mut archive, &scope, crawl, host, &job, answer, &mut tally, watch)?;
        }
    });
    archive.sync()?;
    result?;
    let writer = store.writer()?;
    writer.finish_round(round, Timestamp::now())?;
    writer.commit()?;
    tally.seconds = clock.elapsed().as_secs_f64();
    Ok(tally)
}

/// Goes on with an interrupted round, or begins one with the sites' entry points.
fn open_round(store: &mut Store, scope: &Scope<'_>) -> Result<(i64, Timestamp)> {
    if let Some(round) = store.open_round()? {
        return Ok(round);
    }
    let began = Timestamp::now();
    let writer = store.writer()?;
    for found in scope.entries() {
        writer.add_url(&found)?;
    }
    let round = writer.begin_round(began)?;
    writer.commit()?;
    // What the store gives back is what comparisons are made with.
    store.open_round()?.ok_or_else(|| Error::bug(format!("crawl round {round} was not kept")))
}

/// One archive file a month: long enough to be few, short enough to move away.
fn open_archive(store: &Store, began: Timestamp) -> Result<WarcWriter> {
    let name = format!("{}.warc.gz", began.strftime("%Y-%m"));
    WarcWriter::open(&store.pages_folder(), &name, store.warc_length(&name)?)
}

fn load_host<'h>(hosts: &'h mut BTreeMap<String, Host>, store: &Store, name: &str) -> Result<&'h mut Host> {
    if !hosts.contains_key(name) {
        let row = store.host(name)?;
        hosts.insert(name.to_owned(), Host { row, robots: None, busy: false, requests: 0, bytes: 0 });
    }
    hosts.get_mut(name).ok_or_else(|| Error::bug("a host that was just put in is not there"))
}

/// The next request of a host: robots.txt when its rules are unknown or old, else the next due URL that they allow.
fn next_job(
    store: &mut Store,
    host: &mut Host,
    name: &str,
    began: Timestamp,
    crawl: &Crawl,
    tally: &mut Tally,
    watch: &mut dyn Watch,
) -> Result<Option<Job>> {
    let now = Timestamp::now();
    let known = Robots::is_known(host.row.robots_status);
    let fresh = host
        .row
        .robots_fetched_at
        .is_some_and(|at| if known { now.duration_since(at) < ROBOTS_LIFE } else { at >= began });
    if fresh && !known {
        // What the host forbids is unknown: its URLs stay due, and the next round asks for robots.txt again.
        return Ok(None);
    }
    if !fresh {
        let Some(visit) = store.next_visit(name)? else { return Ok(None) };
        let url = parse(&visit.url)?.join("/robots.txt").map_err(|_| Error::bug("no robots.txt beside a URL"))?;
        return Ok(Some(Job { host: name.to_owned(), visit: None, url }));
    }
    let agent = crawl.agent();
    let row = &host.row;
    let robots = host.robots.get_or_insert_with(|| {
        Robots::from_response(row.robots_status, row.robots_body.as_deref().unwrap_or_default(), &agent)
    });
    while let Some(visit) = store.next_visit(name)? {
        let url = parse(&visit.url)?;
        if robots.verdict(&url) == Verdict::Allowed {
            return Ok(Some(Job { host: name.to_owned(), visit: Some(visit), url }));
        }
        tally.forbidden += 1;
        let writer = store.writer()?;
        let life = Span::from_secs(86_400);
        writer.visited(visit.id, None, &Visited::Forbidden, life.as_secs(), now, now + life)?;
        writer.commit()?;
        watch.visited(&visit.url, 0, None);
    }
    Ok(None)
}

fn parse(url: &str) -> Result<Url> {
    Url::parse(url).map_err(|error| Error::with_source(ErrorKind::Bug, format!("the frontier holds {url:?}"), error))
}

/// Redirects followed for a robots.txt (RFC 9309, section 2.3.1.2). A page's are followed through the frontier instead.
const ROBOTS_HOPS: usize = 5;

/// Makes a job's request.
fn fetch(client: &Client, job: &Job) -> Result<Response, FetchError> {
    let mut response = client.get(&request(job))?;
    if job.visit.is_none() {
        for _ in 0..ROBOTS_HOPS {
            let Some(target) = response.location().filter(|_| (300..400).contains(&response.status)) else { break };
            response = client.get(&GetRequest::new(&target))?;
        }
    }
    Ok(response)
}

fn request(job: &Job) -> GetRequest<'_> {
    let mut request = GetRequest::new(&job.url);
    if let Some(visit) = &job.visit {
        request.etag = visit.etag.as_deref();
        request.last_modified = visit.last_modified.as_deref();
    }
    request
}

/// The next delay of a host after an answer.
fn delay_after(crawl: &Crawl, host: &Host, response: &Response) -> Span {
    let politeness = Politeness { min_delay: crawl.delay.0, max_delay: crawl.max_delay.0 };
    let crawl_delay = host.robots.as_ref().and_then(Robots::crawl_delay);
    // 304 is an answer as good as 200: it must not freeze the delay.
    let status = if response.status == 304 { 200 } else { response.status };
    crate::net::next_delay(&politeness, crawl_delay, Span::from_millis(host.row.delay_ms), response.latency, status)
}
