//! `labelstudio push`, `labelstudio pull`: questions to a Label Studio server, and people's answers back.

use clap::{Args, Subcommand};
use url::Url;

use super::{Common, DONE, json_line, print, say};
use crate::engine::Stop;
use crate::error::{Error, Result, exit};
use crate::pipeline::Pipeline;
use crate::report::format::{count, duration, plural, printable, rate};
use crate::report::meter::{Meter, left};
use crate::report::progress::View;
use crate::stage::label_studio::Step;
use crate::stage::label_studio::pull::{self, Pulled};
use crate::stage::label_studio::push::{self, Pushed, Target};
use crate::stage::label_studio::retry::Patience;
use crate::stage::label_studio::server::{Limits, Server};
use crate::stage::label_studio::token::Credentials;
use crate::store::Store;
use crate::store::open::Access;

/// Arguments of `labelstudio`.
#[derive(Debug, Args)]
pub(super) struct LabelStudioArgs {
    #[command(subcommand)]
    command: LabelStudioCommand,
}

#[derive(Debug, Subcommand)]
enum LabelStudioCommand {
    /// Send the questions that the project does not hold yet. Nothing is sent twice, whatever breaks off.
    Push(PushArgs),
    /// Fetch what people have answered, changed and taken back since the last time.
    Pull(PullArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The server is annotate.label-studio.url of the pipeline. The token comes from the environment variable LABEL_STUDIO_TOKEN
alone: a personal access token (Account & Settings), or a legacy token. The project is found by its title, or made; its
labelling interface and the number of answers wanted are set. A push that was interrupted, or whose replies were lost,
asks the server what it has before it sends more.

Examples:
  kopri labelstudio push pipelines/demo.toml
  kopri labelstudio push pipelines/demo.toml --project 7 --limit 200
  kopri labelstudio push pipelines/demo.toml --set annotate.label-studio.url=https://label.example.org")]
struct PushArgs {
    #[command(flatten)]
    common: Common,
    /// The number of the project, instead of its title.
    #[arg(long, value_name = "NUMBER")]
    project: Option<i64>,
    /// The most questions to send now.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Lay our labelling interface over the project's, though people have answered by it.
    #[arg(long)]
    reset_interface: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The first pull fetches a snapshot of the whole project; later ones fetch the tasks that have changed since. --full fetches
a snapshot again. Answers take effect with the next `kopri run`.

Examples:
  kopri labelstudio pull pipelines/demo.toml
  kopri labelstudio pull pipelines/demo.toml --full --json")]
struct PullArgs {
    #[command(flatten)]
    common: Common,
    /// The number of the project, instead of its title.
    #[arg(long, value_name = "NUMBER")]
    project: Option<i64>,
    /// Fetch everything, not only what has changed.
    #[arg(long)]
    full: bool,
}

pub(super) fn labelstudio(arguments: &LabelStudioArgs) -> Result<u8> {
    match &arguments.command {
        LabelStudioCommand::Push(arguments) => push(arguments),
        LabelStudioCommand::Pull(arguments) => pull(arguments),
    }
}

fn push(arguments: &PushArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let desk = Desk::new(&pipeline, arguments.project, arguments.common.quiet)?;
    push_from(desk, &arguments.common, arguments.reset_interface, arguments.limit)
}

/// Sends the questions that a night has chosen.
pub(super) fn push_nightly(common: &Common, pipeline: &Pipeline, stop: &Stop) -> Result<u8> {
    let desk = Desk { stop: Some(stop.clone()), ..Desk::new(pipeline, None, common.quiet)? };
    push_from(desk, common, false, None)
}

fn push_from(mut desk: Desk<'_>, common: &Common, reset_interface: bool, limit: Option<usize>) -> Result<u8> {
    let mut store = Store::open(&desk.pipeline.workspace_folder(), Access::Write)?;
    let pushed = desk.work("pushed", |server, target| {
        push::push(&mut store, server, &Target { reset_interface, limit, ..*target })
    })?;
    if common.json {
        print(&json_line(&pushed)?)?;
    } else if !common.quiet {
        told_of_push(&pushed, &desk).iter().for_each(|line| say(&printable(line)));
    }
    Ok(if pushed.unfit == 0 { DONE } else { exit::SOME_FAILED })
}

fn pull(arguments: &PullArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let desk = Desk::new(&pipeline, arguments.project, arguments.common.quiet)?;
    pull_from(desk, &arguments.common, arguments.full)
}

/// Fetches answers before a night; before the first push there is no project to have any.
pub(super) fn pull_nightly(common: &Common, pipeline: &Pipeline) -> Result<u8> {
    let desk = Desk::new(pipeline, None, common.quiet)?;
    let folder = pipeline.workspace_folder();
    let pushed =
        folder.join("kopri.db").is_file() && !Store::open(&folder, Access::Write)?.projects(&desk.name)?.is_empty();
    if pushed { pull_from(desk, common, false) } else { Ok(DONE) }
}

fn pull_from(mut desk: Desk<'_>, common: &Common, full: bool) -> Result<u8> {
    let mut store = Store::open(&desk.pipeline.workspace_folder(), Access::Write)?;
    let pulled = desk.work("read", |server, target| pull::pull(&mut store, server, target, full))?;
    if common.json {
        print(&json_line(&pulled)?)?;
    } else if !common.quiet {
        told_of_pull(&pulled, &desk).iter().for_each(|line| say(&printable(line)));
    }
    Ok(if pulled.tally.problems() == 0 { DONE } else { exit::SOME_FAILED })
}

/// What a command needs of the pipeline and the environment, before the workspace is opened.
struct Desk<'p> {
    pipeline: &'p Pipeline,
    url: Url,
    /// The URL as it is kept: without a slash at its end.
    name: String,
    credentials: Option<Credentials>,
    project: Option<i64>,
    title: String,
    config: String,
    quiet: bool,
    /// Set when the user wants the work to end; `None`: an interrupt ends the process.
    stop: Option<Stop>,
}

impl<'p> Desk<'p> {
    fn new(pipeline: &'p Pipeline, project: Option<i64>, quiet: bool) -> Result<Self> {
        let settings = &pipeline.annotate.label_studio;
        let missing = || {
            Error::config(
                "annotate.label-studio.url is missing: set it to the server's URL, such as http://localhost:8080",
            )
        };
        let url = settings.address()?.ok_or_else(missing)?;
        let title =
            settings.title.clone().unwrap_or_else(|| title_of(&pipeline.name, pipeline.annotate.interface.name()));
        Ok(Self {
            pipeline,
            name: url.as_str().trim_end_matches('/').to_owned(),
            url,
            credentials: Some(Credentials::from_environment()?),
            project: project.or(settings.project.and_then(|number| i64::try_from(number).ok())),
            title,
            config: pipeline.annotate.labelling(&pipeline.folder)?.0,
            quiet,
            stop: None,
        })
    }

    /// Works with the server while a meter tells how far it is. `doing` reads after the numbers: `200 tasks pushed`.
    fn work<T>(&mut self, doing: &str, work: impl FnOnce(&mut Server<'_>, &Target<'_>) -> Result<T>) -> Result<T> {
        let credentials = self.credentials.take().ok_or_else(|| Error::bug("the server is asked for twice"))?;
        let target = Target {
            server: &self.name,
            project: self.project,
            title: &self.title,
            interface: self.pipeline.annotate.interface,
            config: &self.config,
            answers: self.pipeline.annotate.annotators,
            reset_interface: false,
            limit: None,
        };
        let mut meter = Meter::new(View::of_stderr(self.quiet));
        let (mut total, mut done, mut begun) = (None, 0, std::time::Duration::ZERO);
        let mut tell = |step: Step<'_>| match step {
            Step::Begin(count) => (total, done, begun) = (count, 0, meter.elapsed()),
            Step::Done(more) => {
                done += more;
                meter.show(|elapsed| {
                    // What came before, such as a snapshot in the making, says nothing about the speed.
                    let elapsed = elapsed.saturating_sub(begun);
                    let of = total.map(|total| format!(" of {}", count(total))).unwrap_or_default();
                    let speed = rate(done, elapsed.as_secs_f64(), "task").map(|rate| format!(", {rate}"));
                    let speed = speed.unwrap_or_default();
                    format!("{}{of} tasks {doing}{speed}{}", count(done), left(done, total, elapsed))
                });
            }
            Step::Note(text) => meter.note(text),
        };
        let local = matches!(self.url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if self.url.scheme() == "http" && !local && !self.quiet {
            say(&format!("{} is no https: the token and all texts cross the network in clear", self.name));
        }
        let settings = &self.pipeline.annotate.label_studio;
        let limits = Limits { answer: settings.max_answer.0, snapshot: settings.max_snapshot.0 };
        let server = Server::new(&self.url, credentials, Patience::default(), limits, &mut tell)?;
        let mut server = server.stopping_at(self.stop.clone());
        work(&mut server, &target)
    }
}

/// The title of a project that nobody has named: Label Studio wants 3 to 50 characters.
fn title_of(pipeline: &str, interface: &str) -> String {
    let room = 50 - interface.chars().count() - 2;
    format!("{}: {interface}", pipeline.chars().take(room).collect::<String>())
}

fn told_of_push(pushed: &Pushed, desk: &Desk<'_>) -> Vec<String> {
    let made = if pushed.made { ", which was made for them" } else { "" };
    let speed = rate(pushed.sent, pushed.seconds, "task").map(|rate| format!(" ({rate})")).unwrap_or_default();
    let mut lines = vec![format!(
        "{} pushed in {}{speed} to project {} of {}{made}",
        plural(pushed.sent, "task"),
        duration(pushed.seconds),
        pushed.project,
        desk.name
    )];
    let parts = [
        (pushed.there, "there already"),
        (pushed.found, "found there that were sent without a reply, or by another workspace"),
        (pushed.doubles, "deleted there, as doubles of others"),
        (pushed.gone, "deleted there by people; not sent again"),
        (pushed.foreign, "there that are not from this workspace"),
        (pushed.unfit, "not sent: they do not fit the labelling interface, which was another one when they were made"),
    ];
    lines.extend(
        parts.iter().filter(|part| part.0 > 0).map(|(tasks, what)| format!("{} {what}", plural(*tasks, "task"))),
    );
    lines
}

fn told_of_pull(pulled: &Pulled, desk: &Desk<'_>) -> Vec<String> {
    let how = if pulled.full { "all of it" } else { "what has changed" };
    let mut lines =
        vec![format!("project {} of {}, {how}, in {}", pulled.project, desk.name, duration(pulled.seconds))];
    lines.extend(pulled.tally.lines());
    if pulled.taken_back > 0 {
        lines.push(format!("{} taken back there, and here", plural(pulled.taken_back, "annotation")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_as_long_as_label_studio_takes_them() {
        assert_eq!(title_of("demo", "translation"), "demo: translation");
        assert_eq!(title_of(&"я".repeat(80), "translation").chars().count(), 50);
    }
}
