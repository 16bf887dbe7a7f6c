//! The driver: runs the stages in order, and is the only one to write.
//!
//! For each stage it compares the units listed with the ledger. A unit is pending when it is new, when its input or the
//! stage's key changed, or when it failed; but not when it failed for a reason that lies in its input, which is the same. Units are read here, computed on all cores, and written here one by one,
//! each in one transaction with its `done`; so the process may die at any instant. A unit that fails is noted and the
//! run goes on, unless the store, the model or the program itself is at fault.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rayon::prelude::*;

use super::key::StageKey;
use super::{Event, Observer, Pipeline, dispatch};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Client, Settings, SiteServer};
use crate::stage::pages::Cost;
use crate::stage::{self, Listing, Output, Records, Session, Stage, Unit, Work, crawl, drift};
use crate::store::Store;
use crate::store::extraction::Drift;
use crate::store::open::Access;
use crate::store::units::UnitRow;

/// How to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Stages to run; all when `None`. Crawling belongs to the whole run and to [`Only::Crawl`].
    pub only: Option<Only>,
    /// Work on the pages that are archived.
    pub no_crawl: bool,
    /// Stop, as if killed, after so many units (visits included). For tests of resuming.
    pub stop_after: Option<u64>,
}

/// A part of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// Only crawl.
    Crawl,
    /// Only one stage, on what is there.
    Stage(Stage),
}

/// What a stage came to in a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageTally {
    /// Units done.
    pub done: u64,
    /// Units that failed.
    pub failed: u64,
    /// Units that failed in an earlier run and were not tried again, since the reason lies in what they read.
    pub given_up: u64,
    /// Units that needed nothing.
    pub unchanged: u64,
    /// Units whose input is gone.
    pub retracted: u64,
    /// Time spent.
    pub time: Duration,
    /// Counts of records.
    pub counts: BTreeMap<&'static str, f64>,
    /// What a person should know, and no failure.
    pub notes: Vec<String>,
}

impl StageTally {
    /// What was counted, in words. The sums behind a ratio tell nothing by themselves.
    pub fn note(&self) -> String {
        let counts = self.counts.iter().filter(|(name, count)| !name.starts_with("recall") && **count > 0.0);
        let mut parts: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
        if self.retracted > 0 {
            parts.push(format!("{} retracted", self.retracted));
        }
        parts.join(", ")
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// The run's number in the workspace.
    pub run: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What the crawl came to, if there was one.
    pub crawl: Option<crawl::Tally>,
    /// What each stage came to, in order.
    pub stages: Vec<(Stage, StageTally)>,
    /// Sites whose layout has moved away from their profile, of which the run could know.
    pub alarms: Vec<Drift>,
}

impl RunReport {
    /// Units that failed in this run.
    pub fn failed(&self) -> u64 {
        self.stages.iter().map(|(_, tally)| tally.failed).sum::<u64>()
            + self.crawl.as_ref().map_or(0, |crawl| crawl.failed)
    }

    /// Units that failed in an earlier run and were not tried again.
    pub fn given_up(&self) -> u64 {
        self.stages.iter().map(|(_, tally)| tally.given_up).sum()
    }

    /// Units done, new or changed pages included.
    pub fn done(&self) -> u64 {
        self.stages.iter().map(|(_, tally)| tally.done).sum::<u64>()
            + self.crawl.as_ref().map_or(0, |crawl| crawl.changed)
    }

    /// Whether anything changed.
    pub fn is_nothing_new(&self) -> bool {
        self.done() + self.failed() == 0 && self.stages.iter().all(|(_, tally)| tally.retracted == 0)
    }
}

/// Runs a pipeline in its workspace.
///
/// # Errors
/// The error that ended the run; failures of single units are in the report instead.
pub fn run(pipeline: &Pipeline, options: RunOptions, observer: &mut dyn Observer) -> Result<RunReport> {
    let mut store = Store::open(&pipeline.workspace_folder(), Access::Write)?;
    let started_at = Timestamp::now();
    let config = serde_json::to_value(pipeline).map_err(|error| Error::bug(error.to_string()))?;
    let writer = store.writer()?;
    let run = writer.begin_run(started_at, &pipeline.name, &config)?;
    writer.commit()?;
    observer.event(&Event::RunBegins { run, pipeline: &pipeline.name });
    let mut driver = Driver {
        pipeline,
        options,
        observer,
        run,
        units_left: options.stop_after,
        session: Session::default(),
        keys: BTreeMap::new(),
    };
    let outcome = driver.everything(&mut store);
    let finished_at = Timestamp::now();
    let report = outcome.as_ref().ok().map(|(crawl, stages)| RunReport {
        run,
        started_at,
        finished_at,
        crawl: crawl.clone(),
        stages: stages.clone(),
        alarms: Vec::new(),
    });
    let report = match report {
        Some(report) => Some(RunReport { alarms: driver.alarms(&store)?, ..report }),
        None => None,
    };
    let word = match (&outcome, &report) {
        (Err(error), _) if error.kind() == ErrorKind::Interrupted => "interrupted",
        (Err(_), _) => "failed",
        (Ok(_), Some(report)) if report.failed() + report.given_up() > 0 => "done with failures",
        (Ok(_), Some(report)) if !report.alarms.is_empty() => "done with alarms",
        (Ok(_), _) => "done",
    };
    // A run that a test stops leaves what a killed one leaves: no end.
    if driver.units_left != Some(0) {
        let writer = store.writer()?;
        writer.finish_run(run, finished_at, word)?;
        writer.commit()?;
    }
    let (done, failed) = report.as_ref().map_or((0, 0), |report| (report.done(), report.failed() + report.given_up()));
    driver.observer.event(&Event::RunEnds { outcome: word, done, failed });
    outcome?;
    report.ok_or_else(|| Error::bug("a run without a report"))
}

/// How many units are read before they are computed together. Bounds memory to so many documents.
const CHUNK: usize = 64;

struct Driver<'a> {
    pipeline: &'a Pipeline,
    options: RunOptions,
    observer: &'a mut dyn Observer,
    run: i64,
    units_left: Option<u64>,
    session: Session,
    keys: BTreeMap<Stage, StageKey>,
}

type Everything = (Option<crawl::Tally>, Vec<(Stage, StageTally)>);

impl Driver<'_> {
    fn everything(&mut self, store: &mut Store) -> Result<Everything> {
        let crawl = match self.options.only {
            None | Some(Only::Crawl) if !self.pipeline.site.is_empty() && !self.options.no_crawl => {
                Some(self.crawl(store)?)
            }
            _ => None,
        };
        let mut stages = Vec::new();
        for stage in Stage::ALL {
            if self.options.only.is_none_or(|only| only == Only::Stage(stage)) {
                stages.push((stage, self.stage(store, stage)?));
                if stage == Stage::Extract {
                    self.judge_profiles(store)?;
                }
            }
        }
        Ok((crawl, stages))
    }

    /// Holds the pages that were extracted against those before. What a killed run left unjudged is judged now.
    fn judge_profiles(&self, store: &mut Store) -> Result<()> {
        let drifts = drift::judge(store, &self.pipeline.site)?;
        if drifts.is_empty() {
            return Ok(());
        }
        let writer = store.writer()?;
        for drift in &drifts {
            writer.put_drift(self.run, drift)?;
        }
        writer.commit()
    }

    /// The alarms that hold, told to whoever listens. A run that does not extract knows of none.
    fn alarms(&mut self, store: &Store) -> Result<Vec<Drift>> {
        if !matches!(self.options.only, None | Some(Only::Stage(Stage::Extract))) {
            return Ok(Vec::new());
        }
        let alarms = drift::standing(store, &self.pipeline.site)?;
        for alarm in &alarms {
            self.observer.event(&Event::Alarm {
                site: &alarm.site,
                message: alarm.alarm.as_deref().unwrap_or_default(),
                example: &alarm.example,
                command: &self.pipeline.check_command(&alarm.example),
            });
        }
        Ok(alarms)
    }

    fn crawl(&mut self, store: &mut Store) -> Result<crawl::Tally> {
        let pipeline = self.pipeline;
        let served: Vec<(String, PathBuf)> =
            pipeline.serve.iter().map(|serve| (serve.host.clone(), pipeline.folder.join(&serve.folder))).collect();
        let server = if served.is_empty() { None } else { Some(SiteServer::start(&served)?) };
        let settings = Settings {
            timeout: pipeline.crawl.timeout.0,
            max_body_bytes: pipeline.crawl.max_page.0,
            resolve: server.as_ref().map(SiteServer::resolve).unwrap_or_default(),
            allow_private_hosts: pipeline.crawl.allow_private.iter().cloned().collect(),
            ..Settings::new(pipeline.crawl.agent())
        };
        let client = Client::new(&settings)?;
        self.observer.event(&Event::StageBegins { stage: "crawl", total: Some(store.due_count()?), unit_word: "URL" });
        let mut watch = CrawlWatch { observer: self.observer, units_left: &mut self.units_left };
        let reader = (&pipeline.reader, Cost::from(&pipeline.extract.limits));
        let tally = crawl::run(store, &pipeline.crawl, &pipeline.site, &client, reader, &mut watch)?;
        pipeline.reader.rest();
        let note = format!(
            "{} requests: {} new or changed, {} unchanged, {} redirected, {} gone, {} forbidden, {} put off, {} failed",
            tally.requests,
            tally.changed,
            tally.unchanged,
            tally.redirected,
            tally.gone,
            tally.forbidden,
            tally.postponed,
            tally.failed
        );
        self.observer.event(&Event::StageEnds { stage: "crawl", note: &note });
        for text in &tally.notes {
            self.observer.event(&Event::Note { stage: "crawl", text });
        }
        let writer = store.writer()?;
        let figures = [
            ("requests", tally.requests),
            ("changed", tally.changed),
            ("unchanged", tally.unchanged),
            ("redirected", tally.redirected),
            ("gone", tally.gone),
            ("forbidden", tally.forbidden),
            ("postponed", tally.postponed),
            ("failed", tally.failed),
            ("bytes", tally.bytes),
        ];
        for (name, value) in figures {
            writer.set_figure(self.run, "crawl", name, value as f64)?;
        }
        writer.set_figure(self.run, "crawl", "seconds", tally.seconds)?;
        writer.commit()?;
        Ok(tally)
    }

    fn stage(&mut self, store: &mut Store, stage: Stage) -> Result<StageTally> {
        let began = Instant::now();
        let mut tally = StageTally::default();
        let mut announced = false;
        while let Some(listing) = self.listing(store, stage)? {
            let (pending, total) = match listing {
                Listing::All(units) => {
                    let pending = self.compare(store, stage, units, &mut tally)?;
                    let total = pending.len() as u64;
                    (pending, total)
                }
                Listing::Next(None, _) => break,
                Listing::Next(Some(unit), left) => (vec![unit], left),
            };
            let again = matches!(stage, Stage::Embed | Stage::Neighbours);
            if pending.is_empty() {
                break;
            }
            if !announced {
                let word = if again { "text" } else { stage.unit_word() };
                self.observer.event(&Event::StageBegins { stage: stage.name(), total: Some(total), unit_word: word });
                announced = true;
            }
            self.note_key(store, stage)?;
            let failed_before = tally.failed;
            for chunk in pending.chunks(if self.units_left.is_some() { 1 } else { CHUNK }) {
                self.chunk(store, stage, chunk, &mut tally)?;
            }
            // A batch that fails would be the next one for ever.
            if !again || tally.failed > failed_before {
                break;
            }
        }
        if stage == Stage::Extract {
            // The stages after it need the memory.
            self.pipeline.reader.rest();
        }
        if let (Stage::Extract, Some(shelves)) = (stage, &self.session.shelves) {
            tally.notes.extend_from_slice(&shelves.notes);
        }
        if let (Stage::Embed, Some(encoder)) = (stage, &self.session.encoder) {
            tally.notes.extend(encoder.remark().map(str::to_owned));
        }
        tally.time = began.elapsed();
        if announced {
            let note = tally.note();
            self.observer.event(&Event::StageEnds { stage: stage.name(), note: &note });
            let writer = store.writer()?;
            writer.set_figure(self.run, stage.name(), "seconds", tally.time.as_secs_f64())?;
            writer.commit()?;
        }
        for text in &tally.notes {
            self.observer.event(&Event::Note { stage: stage.name(), text });
        }
        Ok(tally)
    }

    /// The stage's units; `None` when it has nothing to work with. Keeps the stage's key on the way.
    fn listing(&mut self, store: &Store, stage: Stage) -> Result<Option<Listing>> {
        let (key, listing) = dispatch::listing(self.pipeline, store, stage, &mut self.session)?;
        self.keys.insert(stage, key);
        Ok(listing)
    }

    /// Pending units; retracts those whose input is gone.
    fn compare(
        &mut self,
        store: &mut Store,
        stage: Stage,
        units: Vec<Unit>,
        tally: &mut StageTally,
    ) -> Result<Vec<Unit>> {
        let key = self.key(stage)?.key.clone();
        let mut ledger = store.units(stage.name())?;
        let (mut pending, mut given_up) = (Vec::new(), Vec::new());
        for unit in units {
            let row = ledger.remove(&unit.name);
            if is_pending(&unit, row.as_ref(), &key) {
                pending.push(unit);
            } else if row.is_some_and(|row| !row.done) {
                given_up.push(unit.name);
            } else {
                tally.unchanged += 1;
            }
        }
        tally.given_up = given_up.len() as u64;
        tally.notes.extend(given_up_in_words(&given_up));
        for unit in ledger.into_keys() {
            self.spend_unit()?;
            let writer = store.writer()?;
            stage::retract(&writer, stage, &unit)?;
            writer.commit()?;
            tally.retracted += 1;
        }
        Ok(pending)
    }

    /// Reads some units, computes them on all cores and writes them one by one.
    fn chunk(&mut self, store: &mut Store, stage: Stage, units: &[Unit], tally: &mut StageTally) -> Result<()> {
        let key = self.key(stage)?.key.clone();
        let mut works = Vec::with_capacity(units.len());
        for unit in units {
            if self.observer.must_stop() {
                return Err(Error::new(ErrorKind::Interrupted, "the run was interrupted: run again to go on"));
            }
            works.push(dispatch::prepare(self.pipeline, store, stage, &key, &mut self.session, unit));
        }
        let outputs: Vec<Result<Output>> = works.into_par_iter().map(|work| work.and_then(guarded)).collect();
        for (unit, output) in units.iter().zip(outputs) {
            self.spend_unit()?;
            let now = Timestamp::now();
            match output {
                Ok(output) => {
                    let writer = store.writer()?;
                    output.records.write(&writer, self.run)?;
                    writer.unit_done(
                        stage.name(),
                        &unit.name,
                        &key,
                        &unit.input,
                        &output.fingerprint,
                        self.run,
                        now,
                    )?;
                    self.note_figures(&writer, stage, &output)?;
                    writer.commit()?;
                    self.after(stage);
                    tally.done += 1;
                    output.counts.iter().for_each(|(name, count)| *tally.counts.entry(name).or_default() += count);
                    self.observer.event(&Event::Advanced { done: advance(stage, &output), added: 0, what: &unit.name });
                }
                Err(error) if error.kind().is_fatal() => {
                    return Err(error.while_doing(format!("{} of {}", stage.name(), unit.name)));
                }
                Err(error) => {
                    let writer = store.writer()?;
                    writer.unit_failed(
                        stage.name(),
                        &unit.name,
                        &key,
                        &unit.input,
                        &error,
                        unit.limits.as_deref(),
                        self.run,
                        now,
                    )?;
                    writer.commit()?;
                    tally.failed += 1;
                    let error = error.to_string();
                    self.observer.event(&Event::UnitFailed { stage: stage.name(), unit: &unit.name, error: &error });
                    self.observer.event(&Event::Advanced { done: 1, added: 0, what: &unit.name });
                }
            }
        }
        Ok(())
    }

    /// What the session must forget once a stage has written.
    fn after(&mut self, stage: Stage) {
        match stage {
            Stage::Fit => (self.session.encoder, self.session.queue) = (None, None),
            Stage::Segment => (self.session.pools, self.session.queue) = (None, None),
            // The stages after it need the memory.
            Stage::Mine => self.session.pools = None,
            _ => {}
        }
    }

    fn note_figures(&self, writer: &crate::store::Writer<'_>, stage: Stage, output: &Output) -> Result<()> {
        for (name, count) in &output.counts {
            writer.add_figure(self.run, stage.name(), name, *count)?;
        }
        if let Records::Figures(figures) = &output.records {
            for (name, value) in figures {
                writer.set_figure(self.run, stage.name(), name, *value)?;
            }
        }
        Ok(())
    }

    fn note_key(&self, store: &mut Store, stage: Stage) -> Result<()> {
        let StageKey { key, parts } = self.key(stage)?;
        let writer = store.writer()?;
        writer.set_stage_key(stage.name(), key, parts)?;
        writer.commit()
    }

    fn key(&self, stage: Stage) -> Result<&StageKey> {
        self.keys.get(&stage).ok_or_else(|| Error::bug(format!("{} has no key yet", stage.name())))
    }

    /// Stops a run that a test wants stopped here.
    fn spend_unit(&mut self) -> Result<()> {
        spend(&mut self.units_left)
    }
}

fn spend(units_left: &mut Option<u64>) -> Result<()> {
    match units_left {
        Some(0) => Err(Error::new(ErrorKind::Interrupted, "stopped after the units asked for")),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

/// Whether a unit must be done.
pub(super) fn is_pending(unit: &Unit, row: Option<&UnitRow>, key: &str) -> bool {
    let settled = |row: &UnitRow| row.done || (row.given_up.is_some() && row.given_up == unit.limits);
    unit.lost || row.is_none_or(|row| !settled(row) || row.key != key || row.input != unit.input)
}

/// Says of which units it is known that they fail.
fn given_up_in_words(units: &[String]) -> Option<String> {
    /// Units that are named.
    const NAMED: usize = 3;
    let first = units.get(..units.len().min(NAMED)).filter(|first| !first.is_empty())?.join(", ");
    let more = if units.len() > NAMED { ", …" } else { "" };
    Some(format!(
        "not tried again until the files, the limits or kopri change: {} that failed before: {first}{more}",
        units.len()
    ))
}

/// How much of what the progress counts a unit was.
fn advance(stage: Stage, output: &Output) -> u64 {
    let counted =
        |wanted: &str| output.counts.iter().find(|(name, _)| *name == wanted).map_or(0.0, |(_, count)| *count);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    match stage {
        Stage::Embed => counted("texts") as u64,
        Stage::Neighbours => counted("searched") as u64,
        _ => 1,
    }
}

/// A panic on one unit is that unit's failure: hostile pages must not end the night.
fn guarded(work: Work) -> Result<Output> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(Error::input(format!("a defect of the program showed on this input, please report it: {message}")))
    })
}

/// Passes the crawl's news on.
struct CrawlWatch<'a, 'b> {
    observer: &'a mut dyn Observer,
    units_left: &'b mut Option<u64>,
}

impl crawl::Watch for CrawlWatch<'_, '_> {
    fn visited(&mut self, url: &str, added: u64, error: Option<&str>) {
        if let Some(left) = self.units_left {
            *left = left.saturating_sub(1);
        }
        self.observer.event(&Event::Advanced { done: 1, added, what: url });
        if let Some(error) = error {
            self.observer.event(&Event::UnitFailed { stage: "crawl", unit: url, error });
        }
    }

    fn must_stop(&mut self) -> bool {
        *self.units_left == Some(0) || self.observer.must_stop()
    }
}
