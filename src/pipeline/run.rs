//! A run: the crawl, then all stages, then what is left to say.

use std::path::PathBuf;

use jiff::Timestamp;

use super::prune::{self, PruneOptions};
use super::{Event, Observer, Pipeline, languages};
use crate::engine::{Driver, Stop};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Client, Settings, SiteServer};
use crate::record::Scope;
use crate::stage::pages::Cost;
use crate::stage::{crawl, drift, evaluate};
use crate::store::Store;
use crate::store::extraction::Drift;
use crate::store::open::Access;

pub use crate::engine::{StageReport, StageTally};

/// How to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Stages to run; all when `None`. Crawling belongs to the whole run and to [`Only::Crawl`].
    pub only: Option<Only>,
    /// Work on the pages that are archived.
    pub no_crawl: bool,
    /// Whether a workspace of a pipeline of another name becomes this one's.
    pub take_over: bool,
    /// Stop, as if killed, after so many units (visits included). For tests of resuming.
    pub stop_after: Option<u64>,
    /// Note every table that stages read, and hold it against what they declare. For tests: units run one by one.
    pub audit: bool,
}

/// A part of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// Only crawl.
    Crawl,
    /// Only one stage, by its name, on what is there.
    Stage(&'static str),
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
    /// What each stage came to in each scope, in order.
    pub stages: Vec<StageReport>,
    /// Sites whose layout has moved away from their profile, of which the run could know.
    pub alarms: Vec<Drift>,
    /// What a person should know of the workspace as a whole.
    pub notes: Vec<String>,
    /// What cannot be as it was meant, in words, with what to do: the run does not end as a success.
    pub attention: Vec<String>,
    /// Why the quality gate is not passed, in words; `None`: it is, or the run did not evaluate.
    pub gate: Option<String>,
    /// With [`RunOptions::audit`]: tables that stages read and did not declare, or that no input covers.
    pub violations: Vec<String>,
}

impl RunReport {
    /// Units that failed in this run.
    pub fn failed(&self) -> u64 {
        self.stages.iter().map(|report| report.tally.failed).sum::<u64>()
            + self.crawl.as_ref().map_or(0, |crawl| crawl.failed)
    }

    /// Units that failed in an earlier run and were not tried again.
    pub fn given_up(&self) -> u64 {
        self.stages.iter().map(|report| report.tally.given_up).sum()
    }

    /// Units done, new or changed pages included.
    pub fn done(&self) -> u64 {
        self.stages.iter().map(|report| report.tally.done).sum::<u64>()
            + self.crawl.as_ref().map_or(0, |crawl| crawl.changed)
    }

    /// Whether anything changed.
    pub fn is_nothing_new(&self) -> bool {
        self.done() + self.failed() == 0 && self.stages.iter().all(|report| report.tally.retracted == 0)
    }

    /// What a stage came to, in its first scope; `None`: it did not run.
    pub fn stage(&self, name: &str) -> Option<&StageTally> {
        self.stages.iter().find(|report| report.stage == name).map(|report| &report.tally)
    }

    /// What a stage came to in a language pair; `None`: it did not run for it.
    pub fn stage_of(&self, name: &str, scope: Scope) -> Option<&StageTally> {
        let own = |report: &&StageReport| report.stage == name && report.scope == Some(scope);
        self.stages.iter().find(own).map(|report| &report.tally)
    }
}

/// Runs a pipeline in its workspace.
///
/// # Errors
/// The error that ended the run; failures of single units are in the report instead. Kind `Usage`: the workspace belongs
/// to another pipeline.
pub fn run(pipeline: &Pipeline, options: RunOptions, observer: &mut dyn Observer) -> Result<RunReport> {
    let mut store = Store::open(&pipeline.workspace_folder(), Access::Write)?;
    claim(&mut store, pipeline, options.take_over)?;
    let started_at = Timestamp::now();
    let config = serde_json::to_value(pipeline).map_err(|error| Error::bug(error.to_string()))?;
    let writer = store.writer()?;
    let run = writer.begin_run(started_at, &pipeline.name, &config)?;
    writer.commit()?;
    observer.event(&Event::RunBegins { run, pipeline: &pipeline.name });
    let mut units_left = options.stop_after;
    let mut running =
        Running { pipeline, options, stop: observer.stop(), observer, run, started_at, units_left: &mut units_left };
    let outcome = running.everything(&mut store);
    let word = match &outcome {
        Err(error) if error.kind() == ErrorKind::Interrupted => "interrupted",
        Err(_) => "failed",
        Ok(report) if report.gate.is_some() => "failed its gate",
        Ok(report) if report.failed() + report.given_up() > 0 => "done with failures",
        Ok(report) if !report.alarms.is_empty() => "done with alarms",
        Ok(report) if !report.attention.is_empty() => "done, needs attention",
        Ok(_) => "done",
    };
    // A run that a test stops leaves what a killed one leaves: no end.
    let closed = if units_left == Some(0) { Ok(()) } else { close(&mut store, run, word) };
    let (done, failed) = outcome.as_ref().map_or((0, 0), |report| (report.done(), report.failed() + report.given_up()));
    observer.event(&Event::RunEnds { outcome: word, done, failed });
    let report = outcome?;
    closed?;
    Ok(report)
}

fn close(store: &mut Store, run: i64, outcome: &str) -> Result<()> {
    let writer = store.writer()?;
    writer.finish_run(run, Timestamp::now(), outcome)?;
    writer.commit()
}

/// A workspace belongs to one pipeline: another one's pages, scopes and answers would be taken for its own.
fn claim(store: &mut Store, pipeline: &Pipeline, take_over: bool) -> Result<()> {
    let owner = store.owner()?;
    if owner.as_deref() == Some(pipeline.name.as_str()) {
        return Ok(());
    }
    if let Some(owner) = owner.filter(|_| !take_over) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "the workspace {} belongs to the pipeline {owner:?}, and this one is called {:?}: give this one a \
                 workspace of its own, or, if it is the same pipeline under a new name, run `kopri run --take-over` once",
                store.folder().display(),
                pipeline.name
            ),
        ));
    }
    let writer = store.writer()?;
    writer.set_owner(&pipeline.name)?;
    writer.commit()
}

struct Running<'a> {
    pipeline: &'a Pipeline,
    options: RunOptions,
    stop: Stop,
    observer: &'a mut dyn Observer,
    run: i64,
    started_at: Timestamp,
    units_left: &'a mut Option<u64>,
}

impl Running<'_> {
    fn everything(&mut self, store: &mut Store) -> Result<RunReport> {
        let notes = self.scopes_gone(store)?;
        let crawl = match self.options.only {
            None | Some(Only::Crawl) if !self.pipeline.site.is_empty() && !self.options.no_crawl => {
                Some(self.crawl(store)?)
            }
            _ => None,
        };
        let (stages, violations) = match self.options.only {
            Some(Only::Crawl) => (Vec::new(), Vec::new()),
            None => self.stages(store, None)?,
            Some(Only::Stage(stage)) => self.stages(store, Some(stage))?,
        };
        let alarms = self.alarms(store)?;
        let mut attention: Vec<String> = crawl.iter().flat_map(|crawl| crawl.attention.clone()).collect();
        if stages.iter().any(|report| report.stage == "extract") {
            let doubts = languages::doubts(store, self.pipeline)?;
            for text in &doubts {
                self.observer.event(&Event::Note { stage: "extract", text });
            }
            attention.extend(doubts);
        }
        let gate = self.gate(store, &stages)?;
        let mut notes = notes;
        if self.options.only.is_none() && self.pipeline.prune.nightly {
            self.prune(store, &mut notes, &mut attention)?;
        }
        let (run, started_at, finished_at) = (self.run, self.started_at, Timestamp::now());
        Ok(RunReport { run, started_at, finished_at, crawl, stages, alarms, notes, attention, gate, violations })
    }

    fn stages(&mut self, store: &mut Store, only: Option<&str>) -> Result<(Vec<StageReport>, Vec<String>)> {
        let mut engine = self.pipeline.engine(store.folder())?;
        if self.options.audit {
            engine = engine.recording(crate::store::open::TableLog::default());
        }
        let mut driver = Driver {
            engine: &engine,
            store,
            observer: self.observer,
            stop: self.stop.clone(),
            run: self.run,
            units_left: self.units_left,
            violations: self.options.audit.then(Vec::new),
        };
        let outcome = driver.run(only);
        let violations = driver.violations.take().unwrap_or_default();
        engine.save_hashes()?;
        Ok((outcome?, violations))
    }

    /// Deletes what nothing refers to any more.
    fn prune(&mut self, store: &mut Store, notes: &mut Vec<String>, attention: &mut Vec<String>) -> Result<()> {
        let options = PruneOptions { params: self.pipeline.prune, ..PruneOptions::default() };
        let pruned = prune::prune(self.pipeline, store, &options)?;
        if pruned.count() > 0 {
            let text =
                format!("pruned {} rows, files and folders, {} bytes of the disk", pruned.count(), pruned.freed());
            self.observer.event(&Event::Note { stage: "prune", text: &text });
            notes.push(text);
        }
        attention.extend(pruned.failures.into_iter().map(|failure| format!("pruning: {failure}")));
        Ok(())
    }

    /// Why a quality gate of a language pair that was evaluated is not passed.
    fn gate(&self, store: &Store, stages: &[StageReport]) -> Result<Option<String>> {
        let scopes = self.pipeline.scopes();
        let mut failures = Vec::new();
        for scope in stages.iter().filter(|report| report.stage == "evaluate").filter_map(|report| report.scope) {
            let gate = evaluate::gate(store, &scope.name(), &self.pipeline.settings(scope).evaluate)?;
            failures.extend(gate.map(|why| if scopes.len() > 1 { format!("{scope}: {why}") } else { why }));
        }
        Ok((!failures.is_empty()).then(|| failures.join("; ")))
    }

    /// Language pairs that the workspace knows and the pipeline does not.
    fn scopes_gone(&mut self, store: &Store) -> Result<Vec<String>> {
        let own: Vec<String> = self.pipeline.scopes().iter().map(Scope::name).collect();
        let gone: Vec<String> = store.scopes()?.into_iter().filter(|scope| !own.contains(scope)).collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let note = format!(
            "the workspace holds results of {}, which the pipeline names no longer: they stay as they are",
            gone.join(", ")
        );
        self.observer.event(&Event::Note { stage: "run", text: &note });
        Ok(vec![note])
    }

    /// The alarms that hold, told to whoever listens. A run that does not extract knows of none.
    fn alarms(&mut self, store: &Store) -> Result<Vec<Drift>> {
        if !matches!(self.options.only, None | Some(Only::Stage("extract"))) {
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
        let mut watch = CrawlWatch { observer: self.observer, stop: &self.stop, units_left: self.units_left };
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
            writer.set_figure(self.run, Scope::WORKSPACE, "crawl", name, value as f64)?;
        }
        writer.set_figure(self.run, Scope::WORKSPACE, "crawl", "seconds", tally.seconds)?;
        writer.commit()?;
        Ok(tally)
    }
}

/// Passes the crawl's news on.
struct CrawlWatch<'a, 'b> {
    observer: &'a mut dyn Observer,
    stop: &'b Stop,
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
        *self.units_left == Some(0) || self.stop.is_set()
    }
}
