//! Crawling: from seeds, sitemaps and feeds along links, politely, into the page archive.
//!
//! ```text
//!            ┌───────────────────── frontier (SQLite) ◀───────────────┐
//!   Host::next: robots.txt, budgets, pace, lease                      │ one transaction: outcome, URLs found,
//!            └─▶ Job ─▶ a thread: one request ─▶ Answers ─▶ take_all ──┘ archive position, the host's next instant
//! ```
//!
//! Answers that came together are appended to the archive, which is synced once for all of them before the first of
//! these transactions.
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

mod alike;
mod barren;
mod cookies;
mod discover;
mod host;
pub mod repair;
mod schedule;
mod settings;
mod visit;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration as Span, Instant};

use jiff::Timestamp;
use url::Url;

use super::books::Reader;
use super::pages::Cost;
use super::site::{Site, SitesByHost};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Client, FetchError, GetRequest, Response};
use crate::store::Store;
use crate::store::visit::{Role, Visit};
use crate::store::warc::WarcWriter;
use alike::Templates;
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
    /// Of them, those that hold for now, of URLs whose page is archived: that page is kept.
    pub suspended: u64,
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
    /// What a person must look at, and no failure of a single URL: sites that give nothing, entry points that lead out of
    /// scope, pages lost from the archive. They are among the notes too.
    pub attention: Vec<String>,
}

impl Tally {
    /// Says something that a person must look at.
    fn attention(&mut self, text: String) {
        if !self.attention.contains(&text) {
            self.notes.push(text.clone());
            self.attention.push(text);
        }
    }
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
    hosts: BTreeMap<String, Host>,
    templates: Templates,
    /// The first URL that redirects for now, and where to.
    first_suspended: Option<(String, String)>,
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
    /// The `Cookie` header.
    cookie: Option<String>,
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
    let mut scope = Scope::new(sites, crawl.max_depth)?.read_by(reader.0, reader.1);
    let began = Timestamp::now();
    let mut tally = Tally::default();
    for host in scope.possible_variants() {
        if store.knows_host(&host)? {
            scope.accept_variant(&host);
        }
    }
    file_under_sites(store, sites)?;
    correct_times(store, crawl, began, &mut tally)?;
    repair::before_crawl(store, crawl, &scope, &mut tally)?;
    let (id, round_began) = open_round(store, crawl, &scope)?;
    let archive = WarcWriter::open(&store.pages_folder(), &archive_name(round_began))?;
    let mut hosts = BTreeMap::new();
    for name in scope.hosts() {
        hosts.insert(name.to_owned(), Host::new(store.host(name)?, began));
    }
    let (templates, clock) = (Templates::default(), Instant::now());
    let mut round =
        Round { store, crawl, scope, archive, watch, hosts, templates, first_suspended: None, began, clock, tally };
    round.report_leases()?;
    round.all(client)?;
    let writer = round.store.writer()?;
    writer.finish_round(id, Timestamp::now())?;
    writer.commit()?;
    round.conclude()?;
    round.tally.seconds = round.clock.elapsed().as_secs_f64();
    Ok(round.tally)
}

/// Files each host's URLs under the site that names the host now: a site may have been renamed, or a host moved.
fn file_under_sites(store: &mut Store, sites: &[Site]) -> Result<()> {
    let by_host = SitesByHost::new(sites)?;
    let filed = store.filed_hosts()?;
    let writer = store.writer()?;
    for (host, site) in &filed {
        if let Some(now) = by_host.named(host).or_else(|| by_host.www_variant(host)).filter(|now| now.name != *site) {
            writer.file_host(host, &now.name)?;
        }
    }
    writer.commit()
}

/// Takes back what a clock that was ahead noted of visits.
fn correct_times(store: &mut Store, crawl: &Crawl, now: Timestamp, tally: &mut Tally) -> Result<()> {
    let writer = store.writer()?;
    let corrected = writer.correct_future_visits(now, crawl.max_delay.0.max(crawl.retry_delay.0))?;
    writer.commit()?;
    if corrected > 0 {
        let visits = count(corrected as u64, "visit");
        tally
            .notes
            .push(format!("{visits} dated after now, by a clock that was ahead: these URLs are asked for again"));
    }
    Ok(())
}

/// Goes on with an interrupted round, or begins one with the sites' entry points.
fn open_round(store: &mut Store, crawl: &Crawl, scope: &Scope<'_>) -> Result<(i64, Timestamp)> {
    if let Some(round) = store.open_round()? {
        return Ok(round);
    }
    let began = Timestamp::now();
    let writer = store.writer()?;
    for found in scope.entries() {
        writer.add_url(&found)?;
    }
    let round = writer.begin_round(began, schedule::longest_interval(crawl))?;
    writer.commit()?;
    // What the store gives back is what comparisons are made with.
    store.open_round()?.ok_or_else(|| Error::bug(format!("crawl round {round} was not kept")))
}

/// One archive file a month: long enough to be few, short enough to be backed up one by one.
fn archive_name(began: Timestamp) -> String {
    format!("{}.warc.gz", began.strftime("%Y-%m"))
}

/// How long the round sleeps at most before it looks whether it must stop.
const NAP: Span = Span::from_millis(100);

impl Round<'_> {
    /// Asks until nothing is left that may be asked for.
    fn all(&mut self, client: &Client) -> Result<()> {
        let (answers_in, answers) = mpsc::channel::<(Job, Answer)>();
        std::thread::scope(|threads| {
            let mut flying = 0_usize;
            loop {
                let stopping = self.watch.must_stop();
                let mut wake: Option<Timestamp> = None;
                // A redirect may have added one.
                let names: Vec<String> = self.hosts.keys().cloned().collect();
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
                let Ok(first) = answers.recv_timeout(nap.min(NAP)) else { continue };
                let mut all = vec![first];
                all.extend(answers.try_iter());
                flying -= all.len();
                self.take_all(all)?;
            }
        })
    }

    /// Adds to the notes what is known at the end only.
    fn conclude(&mut self) -> Result<()> {
        self.tally.notes.extend(self.templates.notes());
        if let Some((url, target)) = &self.first_suspended {
            let pages = count(self.tally.suspended, "archived page");
            self.tally.notes.push(format!(
                "{pages} redirected for now (302, 303, 307), and kept as they were; the first: {url} to {target}"
            ));
        }
        self.report_barren_sites()
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
    let cookie = job.cookie.as_deref().map(|cookie| [("cookie", cookie)]);
    let headers = cookie.as_ref().map_or(&[][..], |cookie| &cookie[..]);
    if job.visit.is_some() { client.get(&request(job, headers)) } else { client.get_robots(&job.url) }
}

fn request<'a>(job: &'a Job, headers: &'a [(&'a str, &'a str)]) -> GetRequest<'a> {
    let mut request = GetRequest { headers, ..GetRequest::new(&job.url) };
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
