//! Tasks to the server: each once, whatever breaks off in between.

use std::collections::HashMap;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use super::api::{IDS, Pages, Project};
use super::server::{Failure, Server, item_at_fault};
use super::{Remote, Step, data_equals, remote};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::record::id::hash_parts;
use crate::record::{Interface, TaskId};
use crate::stage::interface::LabelConfig;
use crate::store::Store;
use crate::store::placements::Compared;

/// Tasks a request.
pub const BATCH: usize = 500;

/// Where tasks go.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The server's URL, without a slash at its end.
    pub server: &'a str,
    /// The project's number; else it is found by title, or made.
    pub project: Option<i64>,
    /// The project's title.
    pub title: &'a str,
    /// What the tasks ask.
    pub interface: Interface,
    /// Its labelling interface, XML.
    pub config: &'a str,
    /// Answers wanted a task.
    pub answers: u32,
    /// Whether our labelling interface replaces one that would do and by which people have answered.
    pub reset_interface: bool,
    /// The most tasks to send.
    pub limit: Option<usize>,
}

/// Tasks that are not sent are told one by one up to here.
const TOLD: u64 = 5;

/// What a push did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pushed {
    /// The project's number on the server.
    pub project: i64,
    /// Whether it was made.
    pub made: bool,
    /// Tasks sent.
    pub sent: u64,
    /// Tasks of ours that were there before.
    pub there: u64,
    /// Tasks found there that were sent without a reply, or that this workspace did not know of.
    pub found: u64,
    /// Doubles of ours that were deleted.
    pub doubles: u64,
    /// Tasks that somebody has deleted there. They are not sent again.
    pub gone: u64,
    /// Tasks there that are not ours.
    pub foreign: u64,
    /// Tasks whose predictions do not fit the labelling interface: Label Studio would take them and show no prediction.
    pub unfit: u64,
    /// Seconds in all.
    pub seconds: f64,
}

/// Sends the tasks that the project does not hold yet.
///
/// # Errors
/// Kind `Usage`: the token, the project or its labelling interface does not fit; kind `Network`: the server cannot be
/// reached; kind `Input`: it refuses a task; kind `Store`.
pub fn push(store: &mut Store, server: &mut Server<'_>, target: &Target<'_>) -> Result<Pushed> {
    let started = Instant::now();
    let (project, made) = find(store, server, target)?;
    fit(server, &project, target)?;
    let writer = store.writer()?;
    let row = writer.put_project(target.server, project.id, target.title, target.interface.name())?;
    writer.commit()?;

    let pushed = Pushed { project: project.id, made, ..Pushed::default() };
    let mut push = Push { store, server, row, remote: project.id, size: BATCH, unsure: Vec::new(), pushed };
    let before = push.store.placed(row)?.known;
    for batch in push.store.batches_in_flight(row)? {
        let missing = push.settle(&batch)?;
        push.send(&batch, missing)?;
    }
    push.compare()?;
    let mut tasks = push.store.unplaced(row, target.interface, target.answers)?;
    tasks.truncate(target.limit.unwrap_or(usize::MAX));
    let tasks = push.fitting(tasks, &LabelConfig::parse(target.config)?)?;
    push.server.tell(Step::Begin(Some(tasks.len() as u64)));
    push.send_all(&tasks)?;
    for batch in std::mem::take(&mut push.unsure) {
        push.settle(&batch)?;
    }
    let mut pushed = push.pushed;
    pushed.there = before;
    pushed.seconds = started.elapsed().as_secs_f64();
    Ok(pushed)
}

/// The project: the one that is named, the one of an earlier push, the one of our title, or a new one.
fn find(store: &Store, server: &mut Server<'_>, target: &Target<'_>) -> Result<(Project, bool)> {
    if let Some(number) = target.project {
        let project = server.project(number)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                format!("{} has no project {number} that the token's owner may see", target.server),
            )
        })?;
        return Ok((project, false));
    }
    if let Some(project) = known(store, server, target)? {
        return Ok((project, false));
    }
    let (started, mut failures) = (Instant::now(), 0);
    loop {
        let mut found = server.projects_titled(target.title)?;
        if found.len() > 1 {
            let numbers: Vec<String> = found.iter().map(|project| project.id.to_string()).collect();
            let (title, server) = (target.title, target.server);
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{server} has several projects {title:?} ({}): choose one by --project", numbers.join(", ")),
            ));
        }
        if let Some(project) = found.pop() {
            return Ok((project, failures > 0));
        }
        match server.create_project(target.title, target.config, target.answers) {
            Ok(project) => return Ok((project, true)),
            // It may have been made all the same: it is looked for again.
            Err(failure) => {
                failures += 1;
                server.wait(failure, failures, started)?;
            }
        }
    }
}

/// The project of an earlier push under the same title, if it is still there.
pub(super) fn known(store: &Store, server: &mut Server<'_>, target: &Target<'_>) -> Result<Option<Project>> {
    let rows = store.projects(target.server)?;
    let same = |row: &&crate::store::placements::ProjectRow| {
        row.title == target.title && row.interface == target.interface.name()
    };
    for row in rows.iter().filter(same) {
        match server.project(row.remote)? {
            Some(project) => return Ok(Some(project)),
            None => server.tell(Step::Note(&format!("project {} is no longer on {}", row.remote, row.server))),
        }
    }
    Ok(None)
}

/// Makes the project ask what our tasks are made for. Where people have answered already, a labelling interface that
/// asks it in other words stays, and one that asks something else is an error.
fn fit(server: &mut Server<'_>, project: &Project, target: &Target<'_>) -> Result<()> {
    let (ours, theirs) = (target.config.trim(), project.label_config.trim());
    let answered = project.total_annotations_number.unwrap_or(0) > 0;
    let misfit = LabelConfig::parse(theirs).and_then(|theirs| theirs.serves(target.interface)).err();
    match misfit {
        _ if ours == theirs => {}
        Some(misfit) if answered => {
            return Err(misfit.while_doing(format!(
                "project {} asks something else than its tasks would be made for ({}), and people have answered it; push \
                 to another project (annotate.label-studio.title, or --project)",
                project.id,
                target.interface.name()
            )));
        }
        None if answered && !target.reset_interface => {
            let note = "has another labelling interface, by which people have answered: it stays (--reset-interface sets ours)";
            server.tell(Step::Note(&format!("project {} {note}", project.id)));
        }
        _ => {
            server.change_project(project.id, &json!({ "label_config": target.config }))?;
            let name = target.interface.name();
            server.tell(Step::Note(&format!("project {}: labelling interface set to {name}", project.id)));
        }
    }
    if project.maximum_annotations != target.answers {
        server.change_project(project.id, &json!({ "maximum_annotations": target.answers }))?;
    }
    Ok(())
}

/// A push under way.
struct Push<'a, 't> {
    store: &'a mut Store,
    server: &'a mut Server<'t>,
    /// The project's number here.
    row: i64,
    /// The project's number there.
    remote: i64,
    /// Tasks a request; a proxy may allow fewer.
    size: usize,
    /// Batches that had a lost reply: the server may have been at work on them still when it was asked.
    unsure: Vec<String>,
    pushed: Pushed,
}

impl Push<'_, '_> {
    /// The tasks whose predictions fit the labelling interface, which may be another one than when they were made. A text
    /// that is missing is for the server to refuse: it names it, and our interface may not be the one that it has.
    fn fitting(&mut self, tasks: Vec<TaskId>, labelling: &LabelConfig) -> Result<Vec<TaskId>> {
        let mut fitting = Vec::with_capacity(tasks.len());
        for task in tasks {
            let text = self.store.task_body(task)?.unwrap_or_default();
            let body: Value =
                serde_json::from_str(&text).context(ErrorKind::Store, || format!("reading the task {task}"))?;
            match labelling.check_predictions(&body) {
                Ok(()) => fitting.push(task),
                Err(why) => {
                    self.pushed.unfit += 1;
                    if self.pushed.unfit <= TOLD {
                        self.server.tell(Step::Note(&format!("the task {task} is not sent: {why}")));
                    }
                }
            }
        }
        Ok(fitting)
    }

    fn send_all(&mut self, tasks: &[TaskId]) -> Result<()> {
        let mut left = tasks;
        while !left.is_empty() {
            let (now, later) = left.split_at(self.size.min(left.len()));
            let batch = self.name(now);
            let writer = self.store.writer()?;
            writer.place(self.row, &batch, now)?;
            writer.commit()?;
            if self.send(&batch, now.to_vec())? {
                left = later;
            }
        }
        Ok(())
    }

    /// A batch is named after what it holds.
    fn name(&self, tasks: &[TaskId]) -> String {
        let numbers: Vec<[u8; 8]> =
            std::iter::once(self.remote).chain(tasks.iter().map(|task| task.0)).map(i64::to_le_bytes).collect();
        let parts: Vec<&[u8]> = numbers.iter().map(<[u8; 8]>::as_slice).collect();
        format!("b{}", &hash_parts(&parts).to_hex()[..16])
    }

    /// Sends tasks of a batch until the server has them all. Answers false when the batch is too large for what stands
    /// before the server: then it is forgotten, and smaller ones are to be made.
    fn send(&mut self, batch: &str, mut tasks: Vec<TaskId>) -> Result<bool> {
        let (started, mut failures) = (Instant::now(), 0);
        while !tasks.is_empty() {
            let body = self.body(batch, &tasks)?;
            match self.server.import(self.remote, &body) {
                Ok(imported) if imported.task_ids.len() == tasks.len() => {
                    let writer = self.store.writer()?;
                    for (task, number) in tasks.iter().zip(&imported.task_ids) {
                        writer.set_placed(self.row, *task, batch, *number)?;
                    }
                    writer.commit()?;
                    self.sent(tasks.len());
                    return Ok(true);
                }
                Ok(imported) => {
                    let (made, wanted) = (imported.task_ids.len(), tasks.len());
                    self.server.tell(Step::Note(&format!(
                        "the server names {made} tasks after {wanted} were sent: it is asked which"
                    )));
                    failures += 1;
                    if failures > 3 {
                        return Err(super::unlike("no numbers of the tasks that it was sent"));
                    }
                }
                Err(failure @ Failure::Lost { .. }) => {
                    failures += 1;
                    if !self.unsure.iter().any(|unsure| unsure == batch) {
                        self.unsure.push(batch.to_owned());
                    }
                    self.server.wait(failure, failures, started)?;
                }
                Err(Failure::Refused { status: 413, .. }) if tasks.len() > 1 => {
                    self.forget(batch)?;
                    self.size = tasks.len().div_ceil(2);
                    let note = format!(
                        "{} tasks at once are too many for the server or its proxy: {} from now on",
                        tasks.len(),
                        self.size
                    );
                    self.server.tell(Step::Note(&note));
                    return Ok(false);
                }
                Err(Failure::Refused { status, words, doing }) => {
                    // It took none of them.
                    self.forget(batch)?;
                    let at_fault = item_at_fault(&words).and_then(|item| tasks.get(item));
                    let words = match at_fault {
                        Some(task) => format!("the task {task} of {}: {words}", tasks.len()),
                        None => words,
                    };
                    return Err(Failure::Refused { status, words, doing }.into());
                }
                Err(failure @ (Failure::Final(_) | Failure::TooLarge(_))) => return Err(failure.into()),
            }
            let all = tasks.len();
            tasks = self.settle(batch)?;
            self.server.tell(Step::Done((all - tasks.len()) as u64));
        }
        Ok(true)
    }

    fn sent(&mut self, count: usize) {
        self.pushed.sent += count as u64;
        self.server.tell(Step::Done(count as u64));
    }

    fn forget(&mut self, batch: &str) -> Result<()> {
        let writer = self.store.writer()?;
        writer.forget_batch(self.row, batch)?;
        writer.commit()
    }

    /// The body of an import: the tasks as they were made, with the batch's name in their data.
    fn body(&self, batch: &str, tasks: &[TaskId]) -> Result<String> {
        let mut bodies = Vec::with_capacity(tasks.len());
        for task in tasks {
            let text = self
                .store
                .task_body(*task)?
                .ok_or_else(|| Error::bug(format!("the task {task} vanished while it was sent")))?;
            let mut body: Value =
                serde_json::from_str(&text).context(ErrorKind::Store, || format!("reading the task {task}"))?;
            match body.get_mut("data").and_then(Value::as_object_mut) {
                Some(data) => data.insert("batch".into(), batch.into()),
                None => return Err(Error::bug(format!("the task {task} has no data"))),
            };
            bodies.push(body);
        }
        serde_json::to_string(&bodies).context(ErrorKind::Bug, || "writing tasks".into())
    }

    /// Asks which tasks of a batch are there, and keeps their numbers; answers those that are not.
    fn settle(&mut self, batch: &str) -> Result<Vec<TaskId>> {
        let found = self.walk(&[data_equals("batch", batch)])?;
        self.keep(batch, found.first)?;
        self.store.in_flight(self.row, batch)
    }

    /// Compares the whole project with what we know of it, when their numbers differ otherwise than they did after the last
    /// comparison: tasks of a workspace that came from a backup are found, and doubles that a lost reply left. What was
    /// deleted there, and what others put there, makes the numbers differ for good.
    fn compare(&mut self) -> Result<()> {
        let known = self.store.placed(self.row)?.known;
        let number = self.server.project(self.remote)?.and_then(|project| project.task_number);
        let last = self.store.compared(self.row)?.unwrap_or_default();
        if number.is_some_and(|number| surplus(number, known) == last.surplus) {
            (self.pushed.foreign, self.pushed.gone) = (last.foreign, last.gone);
            return Ok(());
        }
        let doubles = self.pushed.doubles;
        let found = self.walk(&[])?;
        let ours = found.first.len() as u64;
        self.pushed.foreign = found.foreign;
        self.keep("found", found.first)?;
        let known = self.store.placed(self.row)?.known;
        self.pushed.gone = known.saturating_sub(ours);
        if let Some(number) = number {
            let left = number.saturating_sub(self.pushed.doubles - doubles);
            let compared =
                Compared { surplus: surplus(left, known), foreign: self.pushed.foreign, gone: self.pushed.gone };
            let writer = self.store.writer()?;
            writer.set_compared(self.row, &compared)?;
            writer.commit()?;
        }
        Ok(())
    }

    /// Walks over tasks of the project; of those that hold the same task of ours, the newer one that nobody has touched
    /// is deleted. (Drafts of others than the token's owner are not shown; they are lost with it.)
    fn walk(&mut self, filters: &[Value]) -> Result<Found> {
        let mut found = Found::default();
        let (mut after, mut pages) = (0, Pages::default());
        loop {
            let page = self.server.tasks_after(self.remote, after, filters, IDS)?;
            pages.take("listing tasks", page.tasks.len() as u64, page.total)?;
            for task in &page.tasks {
                let (number, remote) = remote(task)?;
                if number <= after {
                    return Err(super::unlike("tasks out of order"));
                }
                after = number;
                match remote {
                    Some(remote) if self.store.has_task(remote.task)? => self.meet(&mut found, remote)?,
                    _ => found.foreign += 1,
                }
            }
            if page.is_last() {
                return Ok(found);
            }
        }
    }

    fn meet(&mut self, found: &mut Found, new: Remote) -> Result<()> {
        let Some(old) = found.first.get(&new.task).copied() else {
            found.first.insert(new.task, new);
            return Ok(());
        };
        let (kept, double) = if new.touched && !old.touched { (new, old) } else { (old, new) };
        if double.touched {
            let note = format!(
                "tasks {} and {} are both {}, and people have answered both: both stay",
                old.number, new.number, new.task
            );
            self.server.tell(Step::Note(&note));
            return Ok(());
        }
        self.server.delete_task(double.number)?;
        self.pushed.doubles += 1;
        found.first.insert(new.task, kept);
        Ok(())
    }

    /// Keeps numbers that were not known.
    fn keep(&mut self, batch: &str, found: HashMap<TaskId, Remote>) -> Result<()> {
        let mut new = 0;
        let mut news = Vec::new();
        for remote in found.into_values() {
            let before = self.store.placement(self.row, remote.task)?;
            if before != Some(Some(remote.number)) {
                new += u64::from(before.flatten().is_none());
                news.push(remote);
            }
        }
        let writer = self.store.writer()?;
        for remote in news {
            writer.set_placed(self.row, remote.task, batch, remote.number)?;
        }
        writer.commit()?;
        self.pushed.found += new;
        Ok(())
    }
}

/// How many more tasks the server has than we know of; fewer: negative.
fn surplus(number: u64, known: u64) -> i64 {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    signed(number).saturating_sub(signed(known))
}

/// What a walk over the project met.
#[derive(Debug, Default)]
struct Found {
    /// Tasks of ours, by our id.
    first: HashMap<TaskId, Remote>,
    /// How many others.
    foreign: u64,
}
