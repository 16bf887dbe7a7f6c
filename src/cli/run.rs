//! `run`, `crawl`, `stage`: work on a pipeline, with progress, a summary and a report.

use clap::Args;

use super::{Common, DONE, displayed, labelstudio, print, say, signals};
use crate::engine::Stop;
use crate::error::{Error, ErrorKind, Result, exit};
use crate::files;
use crate::pipeline::run::Only;
use crate::pipeline::{Event, Observer, Pipeline, RunOptions, RunReport};
use crate::report::format::{plural, printable};
use crate::report::progress::{Progress, View};
use crate::report::summary::Outcome;
use crate::report::{Summary, collect, html, terminal};
use crate::stage::registry;
use crate::store::Store;
use crate::store::open::Access;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    common: Common,
    /// Do not crawl: work on the pages that are archived.
    #[arg(long)]
    no_crawl: bool,
    /// Make a workspace of a pipeline of another name this one's: when a pipeline was renamed.
    #[arg(long)]
    take_over: bool,
}

/// Arguments of `stage`.
#[derive(Debug, Args)]
pub(super) struct StageArgs {
    /// Which stage.
    #[arg(value_parser = registry().names())]
    stage: String,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(arguments: &RunArgs) -> Result<u8> {
    let options = RunOptions { no_crawl: arguments.no_crawl, take_over: arguments.take_over, ..RunOptions::default() };
    let (common, pipeline) = (&arguments.common, arguments.common.load()?);
    let stop = Stop::default();
    if !pipeline.annotate.label_studio.nightly {
        return work(common, &pipeline, options, &stop);
    }
    let pulled = exchanged("fetching answers", labelstudio::pull_nightly(common, &pipeline))?;
    let ran = work(common, &pipeline, options, &stop)?;
    let pushed = exchanged("sending questions", labelstudio::push_nightly(common, &pipeline, &stop))?;
    Ok(if ran == DONE { pulled.max(pushed) } else { ran })
}

/// A run goes on whatever is wrong with Label Studio: a token that is missing or has expired, a project that was deleted
/// or renamed, a server that cannot be reached or refuses. The failure is reported, with what to do, and exit code 3. Only
/// a workspace that fails, an interrupt and a defect of the program end the run.
fn exchanged(doing: &str, result: Result<u8>) -> Result<u8> {
    match result {
        Err(error)
            if matches!(error.kind(), ErrorKind::Network | ErrorKind::Input | ErrorKind::Usage | ErrorKind::Config) =>
        {
            let error = error.while_doing(doing);
            say(&format!(
                "Label Studio: {}\n  the run does not depend on it; `kopri labelstudio pull` and `push` make up for it",
                printable(&error.to_string())
            ));
            Ok(exit::SOME_FAILED)
        }
        other => other,
    }
}

pub(super) fn crawl(common: &Common) -> Result<u8> {
    let options = RunOptions { only: Some(Only::Crawl), ..RunOptions::default() };
    work(common, &common.load()?, options, &Stop::default())
}

pub(super) fn stage(arguments: &StageArgs) -> Result<u8> {
    let stage = registry().find(&arguments.stage).map(|stage| stage.name());
    let stage =
        stage.ok_or_else(|| Error::new(ErrorKind::Usage, format!("there is no stage {:?}", arguments.stage)))?;
    work(
        &arguments.common,
        &arguments.common.load()?,
        RunOptions { only: Some(Only::Stage(stage)), ..RunOptions::default() },
        &Stop::default(),
    )
}

/// Runs; an interrupt sets `stop`.
fn work(common: &Common, pipeline: &Pipeline, mut options: RunOptions, stop: &Stop) -> Result<u8> {
    // For scripts that try resuming: stop, as if killed, after so many units.
    if let Some(units) = std::env::var_os("KOPRI_STOP_AFTER_UNITS") {
        options.stop_after = units.to_str().and_then(|units| units.parse().ok());
    }
    signals::listen(stop.clone())?;
    let stop = stop.clone();

    let mut listener =
        Listener { progress: Progress::new(View::of_stderr(common.quiet)), json: common.json, stop, crawl_total: None };
    let report = crate::pipeline::run(pipeline, options, &mut listener)?;
    conclude(common, pipeline, &report, options)
}

/// The summary, the HTML report and the exit code.
fn conclude(common: &Common, pipeline: &Pipeline, report: &RunReport, options: RunOptions) -> Result<u8> {
    let store = Store::open(&pipeline.workspace_folder(), Access::Read)?;
    let mut summary = collect::summary(pipeline, &store, report)?;
    let code = match summary.outcome {
        Outcome::GateFailed => exit::GATE,
        Outcome::SomeFailed | Outcome::Alarmed | Outcome::Attention => exit::SOME_FAILED,
        _ => exit::DONE,
    };
    let attention = report.attention.iter().map(|text| format!("attention: {text}"));
    let gate = report.gate.iter().map(|text| format!("quality gate: {text}"));
    let alarms: Vec<String> = summary.alarms.iter().map(terminal::alarm).chain(attention).chain(gate).collect();
    if options.only.is_some() {
        alarms.iter().for_each(|alarm| say(alarm));
        return Ok(code);
    }
    let path = write_report(&store, &mut summary)?;
    if common.quiet || common.json {
        alarms.iter().for_each(|alarm| say(alarm));
        return Ok(code);
    }
    if report.is_nothing_new() {
        let requests = report.crawl.as_ref().map_or(0, |crawl| crawl.requests);
        alarms.iter().for_each(|alarm| say(alarm));
        // No news, and not to be forgotten all the same.
        if report.given_up() > 0 {
            say(&format!("{} failed before and stay so: `kopri status` says why", plural(report.given_up(), "unit")));
        }
        say(&format!(
            "nothing new: {requests} URLs asked, every page as it was, every stage up to date ({:.1} s)\nreport: {path}",
            report.finished_at.duration_since(report.started_at).as_secs_f64()
        ));
    } else {
        use std::io::IsTerminal as _;
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        say(&terminal::summary(&summary, 100, colour));
    }
    Ok(code)
}

/// Writes the run's HTML page and `latest.html`; answers the path to show.
pub(super) fn write_report(store: &Store, summary: &mut Summary) -> Result<String> {
    let folder = store.folder().join("report");
    let page = html::render(summary);
    files::write_atomically(&folder.join(format!("run-{:05}.html", summary.run)), |out| {
        out.write_all(page.as_bytes())
    })?;
    let latest = folder.join("latest.html");
    files::write_atomically(&latest, |out| out.write_all(page.as_bytes()))?;
    let shown = displayed(&latest);
    summary.report = Some(shown.clone());
    summary.workspace = displayed(store.folder());
    for (path, _) in &mut summary.exports {
        *path = displayed(std::path::Path::new(path));
    }
    Ok(shown)
}

/// Turns events into progress or JSON lines.
struct Listener {
    progress: Progress,
    json: bool,
    stop: Stop,
    /// The crawl's total grows as links are found.
    crawl_total: Option<u64>,
}

impl Observer for Listener {
    fn event(&mut self, event: &Event<'_>) {
        if self.json {
            if let Ok(line) = serde_json::to_string(event) {
                // A closed pipe shows again, and as an error, where results are written.
                let _ = print(&(line + "\n"));
            }
            return;
        }
        match event {
            Event::StageBegins { stage, total, unit_word } => {
                self.crawl_total = *total;
                self.progress.stage(stage, *total, unit_word);
            }
            Event::Advanced { done, added, what } => {
                if let Some(total) = self.crawl_total.as_mut().filter(|_| *added > 0) {
                    *total += added;
                    self.progress.total(*total);
                }
                self.progress.advance(*done);
                self.progress.message(what);
            }
            Event::UnitFailed { stage, unit, error } => {
                self.progress.failed_unit(stage, unit, &Error::input(*error));
            }
            Event::Note { stage, text } => self.progress.note(stage, text),
            Event::StageEnds { note, .. } => self.progress.finish(note),
            // Alarms come with the summary, where they are not overlooked.
            Event::Alarm { .. } | Event::RunBegins { .. } | Event::RunEnds { .. } => {}
        }
    }

    fn stop(&self) -> Stop {
        self.stop.clone()
    }
}
