//! The driver: runs steps in order, and is the only one to write.
//!
//! For each stage it compares the units listed with the ledger ([`super::ledger`]). Units run on all cores where the stage
//! allows it, and are committed here one by one, each with its row in the ledger. A unit that fails, or panics, is noted
//! and the run goes on, unless the store, the model or the program itself is at fault.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rayon::prelude::*;

use super::job::{About, Job};
use super::{Commit, Ctx, Engine, Event, Listing, Observer, Progress, Stage, Stop, Unit, audit, ledger};
use crate::error::{Error, ErrorKind, Result};
use crate::record::Scope;
use crate::store::{Store, Writer};

/// How many units run before they are committed together. Bounds memory to the records of so many.
const CHUNK: usize = 64;

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

/// A stage in a scope, and what it came to.
#[derive(Debug, Clone, PartialEq)]
pub struct StageReport {
    /// The stage's name.
    pub stage: &'static str,
    /// The language pair; `None`: the stage runs once for all.
    pub scope: Option<Scope>,
    /// Both, as they are shown: the pair only where there are several.
    pub label: String,
    /// What it came to.
    pub tally: StageTally,
}

/// Runs stages.
pub struct Driver<'a> {
    /// The stages and their settings.
    pub engine: &'a Engine,
    /// The workspace.
    pub store: &'a mut Store,
    /// Who listens.
    pub observer: &'a mut dyn Observer,
    /// Ends the run.
    pub stop: Stop,
    /// The run's number.
    pub run: i64,
    /// Units after which the run stops, as if killed. For tests of resuming.
    pub units_left: &'a mut Option<u64>,
    /// Violations of what stages declare, when they are looked for.
    pub violations: Option<Vec<String>>,
}

impl std::fmt::Debug for Driver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Driver<'_> {
    /// Runs all stages, or the one of a name.
    ///
    /// # Errors
    /// What ends the run.
    pub fn run(&mut self, only: Option<&str>) -> Result<Vec<StageReport>> {
        let engine = self.engine;
        let mut reports = Vec::new();
        for (stage, scope) in engine.registry().steps(engine.scopes().len()) {
            if only.is_none_or(|only| only == stage.name()) {
                reports.push(self.stage(stage, scope)?);
            }
        }
        Ok(reports)
    }

    /// Runs a stage in a scope, by the scope's place.
    ///
    /// # Errors
    /// What ends the run.
    pub fn stage(&mut self, stage: &'static dyn Stage, scope: Option<usize>) -> Result<StageReport> {
        let began = Instant::now();
        let mut tally = StageTally::default();
        let mut announced = false;
        let mut ctx = self.engine.context(stage, scope)?;
        let label = ctx.label();
        loop {
            self.stop.check()?;
            self.engine.take_log();
            let listing = ctx.list()?;
            self.check_listing(stage, &listing);
            let (pending, total, noun, again) = match listing {
                Listing::Idle => break,
                Listing::All(units) => {
                    let pending = self.compare(&ctx, stage, units, &mut tally)?;
                    let total = pending.len() as u64;
                    (pending, total, stage.unit_noun(), false)
                }
                Listing::Next { unit: None, .. } => break,
                Listing::Next { unit: Some(unit), left, noun, .. } => (vec![unit], left, noun, true),
            };
            if pending.is_empty() {
                break;
            }
            if !announced {
                self.observer.event(&Event::StageBegins { stage: &label, total: Some(total), unit_word: noun });
                announced = true;
                self.note_key(&ctx, stage)?;
            }
            let failed_before = tally.failed;
            let one_by_one = self.units_left.is_some() || !stage.parallel() || self.violations.is_some();
            for chunk in pending.chunks(if one_by_one { 1 } else { CHUNK }) {
                self.chunk(&ctx, stage, chunk, &mut tally)?;
            }
            // A batch that fails would be the next one for ever.
            if !again || tally.failed > failed_before {
                break;
            }
        }
        // What the stage has written may have changed the encoder, and with it the key.
        ctx = self.engine.context(stage, scope)?;
        let finish = guarded(|| stage.finish(&ctx))?;
        tally.notes.extend(finish.notes);
        if let Some(write) = finish.write {
            let writer = self.store.writer()?;
            guarded(|| write(&writer, self.run))?;
            writer.commit()?;
        }
        tally.time = began.elapsed();
        if announced {
            let note = tally.note();
            self.observer.event(&Event::StageEnds { stage: &label, note: &note });
            let writer = self.store.writer()?;
            writer.set_figure(self.run, &ctx.scope_name(), stage.name(), "seconds", tally.time.as_secs_f64())?;
            writer.commit()?;
        }
        for text in &tally.notes {
            self.observer.event(&Event::Note { stage: &label, text });
        }
        let scope = scope.and_then(|place| self.engine.scopes().nth(place));
        Ok(StageReport { stage: stage.name(), scope, label, tally })
    }

    fn check_listing(&mut self, stage: &dyn Stage, listing: &Listing) {
        let Some(violations) = &mut self.violations else { return };
        let (read, registry) = (self.engine.take_log(), self.engine.registry());
        let units = match listing {
            Listing::All(units) => units.as_slice(),
            Listing::Next { unit: Some(unit), .. } => std::slice::from_ref(unit),
            Listing::Next { .. } | Listing::Idle => &[],
        };
        violations.extend(audit::listing(registry, stage, &read, units));
    }

    /// Pending units; retracts those whose input is gone.
    fn compare(
        &mut self,
        ctx: &Ctx<'_>,
        stage: &dyn Stage,
        units: Vec<Unit>,
        tally: &mut StageTally,
    ) -> Result<Vec<Unit>> {
        let scope = ctx.scope_name();
        let compared = ledger::compare(units, self.store.units(&scope, stage.name())?, ctx.key());
        tally.unchanged += compared.unchanged;
        tally.given_up = compared.given_up.len() as u64;
        tally.notes.extend(ledger::given_up_in_words(&compared.given_up));
        for unit in compared.gone {
            spend(self.units_left)?;
            let writer = self.store.writer()?;
            stage.retract(&writer, &scope, &unit)?;
            writer.forget_unit(&scope, stage.name(), &unit)?;
            writer.commit()?;
            stage.invalidate(self.engine.shared(), &scope);
            tally.retracted += 1;
        }
        Ok(compared.pending)
    }

    /// Runs some units and commits them one by one.
    fn chunk(&mut self, ctx: &Ctx<'_>, stage: &dyn Stage, units: &[Unit], tally: &mut StageTally) -> Result<()> {
        self.stop.check()?;
        let jobs = units.iter().map(|unit| self.job(ctx, stage, unit)).collect::<Result<Vec<Option<Job>>>>()?;
        let stop = &self.stop;
        let run = |(unit, job): (&Unit, &Option<Job>)| {
            let progress = job.as_ref().map_or_else(|| Progress::new(stop), |job| Progress::of_job(stop, job));
            guarded(|| {
                progress.check()?;
                stage.run(ctx, unit, &progress)
            })
        };
        self.engine.take_log();
        let outcomes: Vec<Result<Commit>> = match units {
            // On this thread: the stage may use all cores inside, and stays where its model lives.
            [unit] => vec![run((unit, &jobs[0]))],
            _ => units.par_iter().zip(&jobs).map(run).collect(),
        };
        if let (Some(violations), [unit]) = (&mut self.violations, units) {
            violations.extend(audit::unit(self.engine.registry(), stage, &self.engine.take_log(), unit));
        }
        let mut interrupted = None;
        for ((unit, job), outcome) in units.iter().zip(jobs).zip(outcomes) {
            if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
                // What others have computed is committed first.
                interrupted = outcome.err();
                continue;
            }
            spend(self.units_left)?;
            let committed = self.settle(ctx, stage, unit, outcome, tally)?;
            // A unit that failed keeps its checkpoints for the next attempt.
            if let Some(job) = job.filter(|_| committed) {
                job.remove()?;
            }
        }
        interrupted.map_or(Ok(()), Err)
    }

    fn job(&self, ctx: &Ctx<'_>, stage: &dyn Stage, unit: &Unit) -> Result<Option<Job>> {
        if !stage.long_running() {
            return Ok(None);
        }
        let about = About {
            scope: ctx.scope_name(),
            stage: stage.name().to_owned(),
            unit: unit.name.clone(),
            key: ctx.key().to_owned(),
            input: unit.input.clone(),
        };
        Job::open(&self.store.jobs_folder(), &about).map(Some)
    }

    /// Writes what became of a unit; answers whether it is done.
    fn settle(
        &mut self,
        ctx: &Ctx<'_>,
        stage: &dyn Stage,
        unit: &Unit,
        outcome: Result<Commit>,
        tally: &mut StageTally,
    ) -> Result<bool> {
        let (scope, now, label) = (ctx.scope_name(), Timestamp::now(), ctx.label());
        let committed = outcome.and_then(|commit| {
            let Commit { write, output, counts, figures, files, advance } = commit;
            let writer = self.store.writer()?;
            guarded(|| write(&writer, self.run))?;
            writer.unit_done(&scope, stage.name(), &unit.name, ctx.key(), &unit.input, &output, self.run, now)?;
            note_figures(&writer, self.run, &scope, stage.name(), &counts, &figures)?;
            files.into_iter().try_for_each(crate::files::Staged::publish)?;
            writer.commit()?;
            Ok((counts, advance))
        });
        match committed {
            Ok((counts, advance)) => {
                stage.invalidate(self.engine.shared(), &scope);
                tally.done += 1;
                counts.iter().for_each(|(name, count)| *tally.counts.entry(name).or_default() += count);
                self.observer.event(&Event::Advanced { done: advance, added: 0, what: &unit.name });
                Ok(true)
            }
            Err(error) if error.kind().is_fatal() => Err(error.while_doing(format!("{label} of {}", unit.name))),
            Err(error) => {
                let limits = unit.limits.as_deref();
                let writer = self.store.writer()?;
                writer.unit_failed(
                    &scope,
                    stage.name(),
                    &unit.name,
                    ctx.key(),
                    &unit.input,
                    &error,
                    limits,
                    self.run,
                    now,
                )?;
                writer.commit()?;
                tally.failed += 1;
                let error = error.to_string();
                self.observer.event(&Event::UnitFailed { stage: &label, unit: &unit.name, error: &error });
                self.observer.event(&Event::Advanced { done: 1, added: 0, what: &unit.name });
                Ok(false)
            }
        }
    }

    fn note_key(&mut self, ctx: &Ctx<'_>, stage: &dyn Stage) -> Result<()> {
        let key = ctx.stage_key();
        let writer = self.store.writer()?;
        writer.set_stage_key(&ctx.scope_name(), stage.name(), &key.key, &key.parts)?;
        writer.commit()
    }
}

fn note_figures(
    writer: &Writer<'_>,
    run: i64,
    scope: &str,
    stage: &str,
    counts: &[(&'static str, f64)],
    figures: &[(&'static str, f64)],
) -> Result<()> {
    for (name, count) in counts {
        writer.add_figure(run, scope, stage, name, *count)?;
    }
    figures.iter().try_for_each(|(name, value)| writer.set_figure(run, scope, stage, name, *value))
}

/// Stops a run that a test wants stopped here.
///
/// # Errors
/// Kind `Interrupted`.
pub fn spend(units_left: &mut Option<u64>) -> Result<()> {
    match units_left {
        Some(0) => Err(Error::new(ErrorKind::Interrupted, "stopped after the units asked for")),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

/// A panic is a failure of what was being done: a hostile page must not end the run.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(Error::input(format!("a defect of the program showed on this input, please report it: {message}")))
    })
}
