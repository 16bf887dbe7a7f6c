//! Crawling: from seeds, sitemaps and feeds along links, politely, into the page archive.
//!
//! ```text
//!            ┌───────────────────── frontier (SQLite) ◀───────────────┐
//!   Host::next: robots.txt, budgets, pace, lease                      │ one transaction: outcome, URLs found,
//!            └─▶ Job ─▶ a thread: one request ─▶ Answer ─▶ Round::take┘ archive position, the host's next instant
//! ```
//!
//! The frontier in the store is the crawl's ledger: a visit, what it found and what it fetched are one transaction, so
//! a killed crawl loses no URL, and none whose answer was written down is asked for twice. A URL is *leased* while it
//! is asked for; what a killed run left leased is asked for again, at the host's own pace, since nobody knows whether
//! its request went out. A *round* is one night's crawl; URLs are due when their revisit time lies before the round's
//! beginning, and an interrupted round is gone on with. One thread asks the store and writes it; a few others wait on
//! the network, one request at a time a host.
//!
//! Politeness is kept in the store too: when a host may be asked again (`schedule`, `Retry-After`), what robots.txt
//! said (RFC 9309; the last good copy serves for 30 days when the file cannot be had), and what was spent of the
//! night's budget. So neither a restart nor a second run in one night asks for more than a site's owner was promised.

mod discover;
mod host;
mod schedule;
mod settings;
mod visit;

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;
use std::time::{Duration as Span, Instant};

use jiff::Timestamp;
use url::Url;

use super::books::Reader;
use super::pages::Cost;
use super::site::Site;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Client, FetchError, GetRequest, Response};
use crate::store::Store;
use crate::store::visit::{Role, Visit};
use crate::store::warc::WarcWriter;
pub use discover::Scope;
use host::{Host, Next};
pub use settings::Crawl;

/// What a round came to.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// Attempts that failed and were put off.
    pub postponed: u64,
    /// Everything else that gave no page.
    pub failed: u64,
    /// URLs found.
    pub found: u64,
    /// Links that were not followed because they lead into a trap.
    pub trapped: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// What a person should know: hosts that were left before their frontier was empty, and why.
    pub notes: Vec<String>,
}

/// What the crawl tells while it runs.
pub trait Watch {
    /// A visit was committed; it made `added` more URLs due. `error` says why it gave no page, if it should have.
    fn visited(&mut self, url: &str, added: u64, error: Option<&str>);
    /// Whether to stop now, between two visits.
    fn must_stop(&mut self) -> bool;
}

/// A round that runs.
struct Round<'a> {
    store: &'a mut Store,
    crawl: &'a Crawl,
    scope: Scope<'a>,
    archive: WarcWriter,
    watch: &'a mut dyn Watch,
    hosts: BTreeMap<&'a str, Host>,
    /// Pages that are no articles, by host and shape.
    alike: HashMap<(String, String), u64>,
    /// When this run began; the round may be older.
    began: Timestamp,
    clock: Instant,
    tally: Tally,
}

/// A request on its way.
struct Job {
    host: String,
    url: Url,
    /// `None`: robots.txt.
    visit: Option<Visit>,
    /// What robots.txt says of the URL.
    ruling: String,
}

type Answer = std::result::Result<Response, FetchError>;

/// Runs a round to its end, or goes on with one that was interrupted.
///
/// # Errors
/// Kind `Store`; kind `Interrupted` when `watch` says so. Failures of single URLs are kept in the frontier.
pub fn run(
    store: &mut Store,
    crawl: &Crawl,
    sites: &[Site],
    client: &Client,
    reader: (&Reader, Cost),
    watch: &mut dyn Watch,
) -> Result<Tally> {
    let scope = Scope::new(sites, crawl.max_depth)?.read_by(reader.0, reader.1);
    let began = Timestamp::now();
    let (id, round_began) = open_round(store, &scope)?;
    let archive = open_archive(store, round_began)?;
    let mut hosts = BTreeMap::new();
    for name in scope.hosts() {
        hosts.insert(name, Host::new(store.host(name)?, began));
    }
    let (alike, tally, clock) = (HashMap::new(), Tally::default(), Instant::now());
    let mut round = Round { store, crawl, scope, archive, watch, hosts, alike, began, clock, tally };
    round.report_leases()?;
    let result = round.all(client);
    round.archive.sync()?;
    result?;
    let writer = round.store.writer()?;
    writer.finish_round(id, Timestamp::now())?;
    writer.commit()?;
    round.tally.seconds = round.clock.elapsed().as_secs_f64();
    Ok(round.tally)
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

/// How long the round sleeps at most before it looks whether it must stop.
const NAP: Span = Span::from_millis(100);

impl Round<'_> {
    /// Asks until nothing is left that may be asked for.
    fn all(&mut self, client: &Client) -> Result<()> {
        let (answers_in, answers) = mpsc::channel::<(Job, Answer)>();
        let names: Vec<&str> = self.hosts.keys().copied().collect();
        std::thread::scope(|threads| {
            let mut flying = 0_usize;
            loop {
                let stopping = self.watch.must_stop();
                let mut wake: Option<Timestamp> = None;
                for name in names.iter().filter(|_| !stopping) {
                    if flying >= self.crawl.parallel_hosts.max(1) {
                        break;
                    }
                    match self.next(name)? {
                        Next::Nothing => {}
                        Next::Wait(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
                        Next::Job(job) => {
                            flying += 1;
                            let answers_in = answers_in.clone();
                            threads.spawn(move || {
                                let answer = fetch(client, &job);
                                // The receiver is gone only when the round has ended in an error.
                                let _ = answers_in.send((*job, answer));
                            });
                        }
                    }
                }
                if flying == 0 {
                    if stopping {
                        return Err(Error::new(
                            ErrorKind::Interrupted,
                            "the crawl was interrupted: run again to go on",
                        ));
                    }
                    let Some(at) = wake else { return Ok(()) };
                    let wait = Span::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
                    std::thread::sleep(wait.min(NAP));
                    continue;
                }
                // Another host may be due before an answer comes.
                let nap =
                    wake.map_or(NAP, |at| Span::try_from(at.duration_since(Timestamp::now())).unwrap_or_default());
                let Ok((job, answer)) = answers.recv_timeout(nap.min(NAP)) else { continue };
                flying -= 1;
                self.take(job, answer)?;
            }
        })
    }

    /// Takes back what a killed run was asking for.
    fn report_leases(&mut self) -> Result<()> {
        let writer = self.store.writer()?;
        let (released, given_up) = writer.release_leases(self.began)?;
        writer.commit()?;
        if released + given_up > 0 {
            self.tally.notes.push(format!(
                "the last run was killed with {} in flight: {released} asked for again, {given_up} given up",
                count(released as u64 + given_up as u64, "request")
            ));
        }
        Ok(())
    }
}

/// What a crawler reads, by what a URL is asked for. A film or an archive behind a link ends at its headers.
const PAGES: &[&str] = &["text/html", "application/xhtml+xml", "text/plain", "application/xml", "text/xml"];
const LISTS: &[&str] = &["text/", "application/"];

/// Makes a job's request. A page's redirects are followed through the frontier instead.
fn fetch(client: &Client, job: &Job) -> Answer {
    if job.visit.is_some() { client.get(&request(job)) } else { client.get_robots(&job.url) }
}

fn request(job: &Job) -> GetRequest<'_> {
    let mut request = GetRequest::new(&job.url);
    if let Some(visit) = &job.visit {
        request.etag = visit.etag.as_deref();
        request.last_modified = visit.last_modified.as_deref();
        request.kinds = match visit.role {
            Role::Sitemap | Role::Feed => LISTS,
            Role::Seed | Role::Article | Role::Page => PAGES,
        };
    }
    request
}

/// `1 URL`, `2 URLs`.
fn count(number: u64, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
