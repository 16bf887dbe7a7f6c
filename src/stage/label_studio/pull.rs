//! Answers from the server: all of them from a snapshot, or those that have changed since.
//!
//! A task's `updated_at` moves when an annotation of it is made, changed, skipped, deleted or called a gold answer
//! (1.23.2, tried); not when somebody saves a draft. So what has changed are the tasks behind a moment that the server
//! itself has named. Each of them is read with all its annotations, and what it no longer has is taken back here.

use std::io::Write as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde::Serialize;
use serde_json::{Value, json};

use super::api::{ANSWERS, Pages, Project, Snapshot};
use super::push::{Target, known};
use super::server::{Failure, Server};
use super::{SNAPSHOT, Step, remote, unlike};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::stage::annotate::{Intake, Tally, for_each_task};
use crate::store::{Store, Writer};
use crate::text::json::Repairs;

/// Transactions of the server that are under way when it answers may carry an earlier time than the newest it shows.
const OVERLAP: Duration = Duration::from_secs(60);
/// How often the server is asked whether a snapshot is ready.
const POLL: Duration = Duration::from_secs(2);
/// How long a snapshot may be in the making.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a snapshot's file may take to come.
const LONGEST_FETCH: Duration = Duration::from_secs(4 * 3600);
const PIECE: usize = 1 << 16;

/// What a pull brought.
#[derive(Debug, Serialize)]
pub struct Pulled {
    /// The project's number on the server.
    pub project: i64,
    /// Whether all of it was fetched.
    pub full: bool,
    /// Annotations that the server no longer has, and that went here too.
    pub taken_back: u64,
    /// What was read.
    #[serde(flatten)]
    pub tally: Tally,
    /// Seconds in all.
    pub seconds: f64,
}

/// Fetches answers into the store, in one transaction: all, or none of them.
///
/// # Errors
/// Kind `Usage`: the token, or no such project; kind `Network`: the server cannot be reached, or a snapshot fails; kind
/// `Store`.
pub fn pull(store: &mut Store, server: &mut Server<'_>, target: &Target<'_>, full: bool) -> Result<Pulled> {
    let started = Instant::now();
    let project = find(store, server, target)?;
    let writer = store.writer()?;
    let row = writer.put_project(target.server, project.id, target.title, target.interface.name())?;
    writer.commit()?;
    let since =
        store.projects(target.server)?.into_iter().find(|known| known.id == row).and_then(|row| row.pulled_until);
    let (tally, taken_back, full) = match since.filter(|_| !full) {
        Some(since) => {
            let (tally, taken_back) = changes(store, server, (row, project.id), since)?;
            (tally, taken_back, false)
        }
        None => {
            let (tally, taken_back) = everything(store, server, (row, project.id))?;
            (tally, taken_back, true)
        }
    };
    Ok(Pulled { project: project.id, full, taken_back, tally, seconds: started.elapsed().as_secs_f64() })
}

/// The project of the pushes. None is made.
fn find(store: &Store, server: &mut Server<'_>, target: &Target<'_>) -> Result<Project> {
    let none = |what: String| Error::new(ErrorKind::Usage, format!("{} has no project {what}", target.server));
    if let Some(number) = target.project {
        return server.project(number)?.ok_or_else(|| none(format!("{number} that the token's owner may see")));
    }
    if let Some(project) = known(store, server, target)? {
        return Ok(project);
    }
    let mut found = server.projects_titled(target.title)?;
    match (found.pop(), found.len()) {
        (Some(project), 0) => Ok(project),
        (Some(_), _) => Err(none(format!("that alone is called {:?}: choose one by --project", target.title))),
        (None, _) => Err(none(format!("called {:?}: `kopri labelstudio push` makes it", target.title))),
    }
}

/// Takes answers in, task by task.
struct Taking<'w> {
    writer: &'w Writer<'w>,
    intake: Intake<'w>,
    row: i64,
    taken_back: u64,
}

impl<'w> Taking<'w> {
    fn new(writer: &'w Writer<'w>, row: i64) -> Result<Self> {
        Ok(Self { writer, intake: Intake::of_project(writer, row)?, row, taken_back: 0 })
    }

    fn task(&mut self, task: Value) -> Result<()> {
        let annotations = task.get("annotations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let counted = |field: &str| task.get(field).and_then(Value::as_u64);
        // A list that is shorter than the server counts must not pass for one from which something was taken.
        let whole = counted("total_annotations")
            .zip(counted("cancelled_annotations"))
            .is_some_and(|(given, skipped)| given + skipped == annotations.len() as u64);
        if whole && let (_, Some(ours)) = remote(&task)? {
            let numbers: Vec<i64> = annotations.iter().filter_map(|one| one.get("id")?.as_i64()).collect();
            let at = task.get("updated_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
            self.taken_back += self.writer.put_listing(self.row, ours.task, at, &numbers)?;
        }
        self.intake.task(task)
    }
}

/// The tasks behind `since`.
fn changes(
    store: &mut Store,
    server: &mut Server<'_>,
    (row, project): (i64, i64),
    since: Timestamp,
) -> Result<(Tally, u64)> {
    let from = since.checked_sub(OVERLAP).unwrap_or(since);
    let behind = json!({
        "filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": format!("{from:.6}"),
    });
    let writer = store.writer()?;
    let mut taking = Taking::new(&writer, row)?;
    let (mut after, mut newest, mut pages) = (0, since, Pages::default());
    server.tell(Step::Begin(None));
    loop {
        let page = server.tasks_after(project, after, std::slice::from_ref(&behind), ANSWERS)?;
        if after == 0 && !page.tasks.is_empty() {
            // A listing knows people by their numbers alone.
            for user in server.users()?.into_iter().filter(|user| !user.email.is_empty()) {
                taking.intake.name(&format!("user {}", user.id), &user.email)?;
            }
        }
        let (count, last) = (page.tasks.len() as u64, page.is_last());
        pages.take("listing changed tasks", count, page.total)?;
        for task in page.tasks {
            let (number, _) = remote(&task)?;
            if number <= after {
                return Err(unlike("tasks out of order"));
            }
            after = number;
            let moved = task.get("updated_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
            newest = newest.max(moved.unwrap_or(newest));
            taking.task(task)?;
        }
        server.tell(Step::Done(count));
        if last {
            break;
        }
    }
    let repairs = Repairs { characters: server.replaced, numbers: 0 };
    let (tally, taken_back) = (taking.intake.finish(repairs), taking.taken_back);
    writer.set_pulled_until(row, newest)?;
    writer.commit()?;
    Ok((tally, taken_back))
}

/// All tasks, through a snapshot.
fn everything(store: &mut Store, server: &mut Server<'_>, (row, project): (i64, i64)) -> Result<(Tally, u64)> {
    // What a killed pull left.
    for old in server.snapshots(project)?.iter().filter(|old| is_ours(old)) {
        server.delete_snapshot(project, old.id)?;
    }
    let snapshot = make(server, project)?;
    let file = fetch(server, project, &snapshot, store)?;
    let writer = store.writer()?;
    let mut taking = Taking::new(&writer, row)?;
    server.tell(Step::Begin(None));
    let repairs = for_each_task(file.path(), &mut |mut task| {
        server.go_on()?;
        server.tell(Step::Done(1));
        server.hide_in(&mut task);
        taking.task(task)
    })?;
    let (tally, taken_back) = (taking.intake.finish(repairs), taking.taken_back);
    if let Some(begun) = snapshot.created_at {
        writer.set_pulled_until(row, begun)?;
    }
    writer.commit()?;
    server.delete_snapshot(project, snapshot.id)?;
    Ok((tally, taken_back))
}

fn is_ours(snapshot: &Snapshot) -> bool {
    snapshot.title.as_deref().is_some_and(|title| title.starts_with(SNAPSHOT))
}

/// Makes a snapshot and waits until it is ready.
fn make(server: &mut Server<'_>, project: i64) -> Result<Snapshot> {
    let (started, mut failures) = (Instant::now(), 0);
    let mut snapshot = loop {
        match server.create_snapshot(project, SNAPSHOT) {
            Ok(snapshot) => break snapshot,
            Err(failure) => {
                failures += 1;
                server.wait(failure, failures, started)?;
                // It may be in the making all the same.
                if let Some(begun) = server.snapshots(project)?.into_iter().find(is_ours) {
                    break begun;
                }
            }
        }
    };
    while matches!(snapshot.status.as_str(), "created" | "in_progress") {
        if started.elapsed() > LONGEST {
            return Err(Error::new(
                ErrorKind::Network,
                format!(
                    "snapshot {} of project {project} is not ready after an hour: the next pull begins anew",
                    snapshot.id
                ),
            ));
        }
        server.pause(POLL)?;
        snapshot = server.snapshot(project, snapshot.id)?;
    }
    if snapshot.status != "completed" {
        return Err(Error::new(
            ErrorKind::Network,
            format!(
                "the server could not make snapshot {} of project {project} ({:?}): look into its log",
                snapshot.id, snapshot.status
            ),
        ));
    }
    Ok(snapshot)
}

/// Fetches a snapshot's file into the workspace, and tests its checksum; it goes when the answer is dropped.
fn fetch(server: &mut Server<'_>, project: i64, snapshot: &Snapshot, store: &Store) -> Result<tempfile::NamedTempFile> {
    let doing = || format!("keeping snapshot {} of project {project}", snapshot.id);
    let (started, mut failures) = (Instant::now(), 0);
    loop {
        let mut file = tempfile::NamedTempFile::new_in(store.folder()).context(ErrorKind::Store, doing)?;
        let failure = match server.download(project, snapshot.id) {
            Ok(mut stream) => {
                let (mut buffer, mut hash) = (vec![0; PIECE], Md5::new());
                let mut size = 0;
                let broken = loop {
                    server.go_on()?;
                    match stream.read(&mut buffer) {
                        Ok(0) => break None,
                        Ok(count) => {
                            size += count as u64;
                            bounded(server, size, started).map_err(|error| error.while_doing(doing()))?;
                            hash.update(&buffer[..count]);
                            file.write_all(&buffer[..count]).context(ErrorKind::Store, doing)?;
                        }
                        Err(error) => break Some(Error::from(error)),
                    }
                };
                let sum: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                let wrong = snapshot.md5.as_ref().is_some_and(|right| !right.eq_ignore_ascii_case(&sum));
                let wrong =
                    wrong.then(|| Error::new(ErrorKind::Network, format!("{}: its checksum is wrong", doing())));
                match broken.or(wrong) {
                    None => {
                        file.flush().context(ErrorKind::Store, doing)?;
                        return Ok(file);
                    }
                    Some(error) => Failure::Lost { error, status: None, wait: None },
                }
            }
            Err(failure) => failure,
        };
        failures += 1;
        server.wait(failure, failures, started)?;
    }
}

/// Whether a snapshot may still grow: neither its size nor the time that it takes is without limit.
fn bounded(server: &Server<'_>, size: u64, started: Instant) -> Result<()> {
    let limit = server.limits().snapshot;
    if size > limit {
        return Err(Error::new(
            ErrorKind::Network,
            format!("it is larger than {limit} bytes: raise annotate.label-studio.max-snapshot if that is right"),
        ));
    }
    if started.elapsed() > LONGEST_FETCH {
        return Err(Error::new(
            ErrorKind::Network,
            format!("it did not come within {} hours: the next pull begins anew", LONGEST_FETCH.as_secs() / 3600),
        ));
    }
    Ok(())
}
