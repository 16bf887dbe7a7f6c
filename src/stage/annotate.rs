//! Annotations that come in from Label Studio: its JSON export, its snapshots, its JSON_MIN export, and tasks as its API
//! lists them.
//!
//! An export is an array of tasks, and may hold hundreds of thousands: it is read task by task, in one transaction.
//! Memory: one task, and a name for each annotator. Fields that we do not know are ignored, since every release adds
//! some. What the formats mean:
//!
//! - A skipped task (`was_cancelled`) is an annotation without an answer. A draft is none yet; drafts are counted.
//! - A correction that equals the text of the task is none: the interface fills its fields with the text.
//! - `ground_truth` makes an annotation a gold answer. Not one that was itself imported into Label Studio (`import_id`):
//!   there Label Studio sets the mark by itself.
//! - People go by number, or in snapshots by address; once both are seen together, the address stands for the number.
//! - JSON_MIN has a row for each annotation, with neither gold answers nor skipped tasks nor ids of its own; its rows are
//!   known by their number and pair.
//!
//! Files may be read in any order: of two versions of an annotation the one with the later `updated_at` stays. An answer
//! that was taken back on a server, as a pull has seen, does not come back from an older file of its project.

mod answer;
mod export;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use self::answer::{Question, RawAnnotation, RawTask, of_row};
pub use self::export::for_each_task;
use crate::error::Result;
use crate::record::{Annotation, Interface};
use crate::store::annotations::Change;
use crate::store::{Store, Writer};
use crate::text::json::Repairs;

/// Problems that are told one by one; more are counted.
const TOLD: usize = 20;

/// What taking annotations in came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Tasks, or rows of JSON_MIN.
    pub tasks: u64,
    /// Annotations that were not there before.
    pub new: u64,
    /// Annotations whose older self said something else.
    pub changed: u64,
    /// Annotations that were there as they are.
    pub unchanged: u64,
    /// Annotations of which a later version is there: that one stays.
    pub older: u64,
    /// Annotations that were taken back on the server after they were written to the file: they are left out.
    pub withdrawn: u64,
    /// Annotations whose results are not as our labelling interfaces make them. They are left out: their questions
    /// count as not answered.
    pub unreadable: u64,
    /// Lone surrogates and broken bytes that were read as U+FFFD.
    pub replaced: u64,
    /// Of all these, tasks that were passed by.
    pub skipped: u64,
    /// Drafts, which are no annotations yet.
    pub drafts: u64,
    /// Annotations of pairs that the workspace does not have. They are kept: a page may come back.
    pub unknown: u64,
    /// Annotations by annotator.
    pub by: BTreeMap<String, u64>,
    /// What was left out, and why: the first of them.
    pub left_out: Vec<String>,
    /// How many more were left out.
    pub more_left_out: u64,
}

impl Tally {
    /// How many tasks and annotations were left out.
    pub fn problems(&self) -> u64 {
        self.left_out.len() as u64 + self.more_left_out
    }

    fn leave_out(&mut self, problem: String) {
        if self.left_out.len() < TOLD {
            self.left_out.push(problem);
        } else {
            self.more_left_out += 1;
        }
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.left_out.iter().map(|problem| format!("left out: {problem}")).collect();
        if self.more_left_out > 0 {
            lines.push(format!("left out: {} more", self.more_left_out));
        }
        let read = self.new + self.changed + self.unchanged + self.older;
        lines.push(format!(
            "{read} annotations of {} tasks: {} new, {} changed, {} as they were",
            self.tasks, self.new, self.changed, self.unchanged
        ));
        let by: Vec<String> = self.by.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if !by.is_empty() {
            lines.push(format!("by {}", by.join(", ")));
        }
        for (count, what) in [
            (self.skipped, "tasks passed by"),
            (self.drafts, "drafts, which count once they are submitted"),
            (self.older, "annotations are older than what the workspace has: the later answer stays"),
            (self.withdrawn, "annotations were taken back on the server after they were exported: left out"),
            (self.unreadable, "annotations cannot be read: their questions count as not answered"),
            (self.replaced, "characters are broken (lone surrogates, no UTF-8) and read as U+FFFD"),
            (
                self.unknown,
                "annotations of pairs that the workspace does not have; they are kept for the day they return",
            ),
        ] {
            if count > 0 {
                lines.push(format!("{count} {what}"));
            }
        }
        lines
    }
}

/// Takes in a file that Label Studio exported: JSON, a snapshot or JSON_MIN. All or nothing; a second time changes
/// nothing.
///
/// # Errors
/// Kind `Input` when the file holds no tasks, with the place where it breaks off; nothing is written then. A single
/// task that is wrong is left out and reported.
pub fn read_label_studio(store: &mut Store, path: &Path) -> Result<Tally> {
    let writer = store.writer()?;
    let mut intake = Intake::new(&writer)?;
    let repairs = for_each_task(path, &mut |task| intake.task(task))?;
    let tally = intake.finish(repairs);
    writer.commit()?;
    Ok(tally)
}

/// Takes tasks with their annotations into the store.
pub struct Intake<'w> {
    writer: &'w Writer<'w>,
    /// The project on whose server the tasks are now; `None`: they come from a file.
    project: Option<i64>,
    aliases: BTreeMap<String, String>,
    /// Numbers whose name is noted, or cannot be.
    named: BTreeSet<String>,
    tally: Tally,
}

impl std::fmt::Debug for Intake<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("tally", &self.tally).finish()
    }
}

impl<'w> Intake<'w> {
    /// Begins, with tasks from a file.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn new(writer: &'w Writer<'w>) -> Result<Self> {
        let aliases = writer.annotator_aliases()?;
        Ok(Self { writer, project: None, aliases, named: BTreeSet::new(), tally: Tally::default() })
    }

    /// Begins, with tasks as a project on a server holds them now.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn of_project(writer: &'w Writer<'w>, project: i64) -> Result<Self> {
        Ok(Self { project: Some(project), ..Self::new(writer)? })
    }

    /// What it came to; `repairs` is what reading the file repaired.
    pub fn finish(mut self, repairs: Repairs) -> Tally {
        self.tally.replaced = repairs.characters;
        self.tally
    }

    /// Takes one task, or one row of JSON_MIN. What is wrong with it is noted in the tally.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn task(&mut self, task: Value) -> Result<()> {
        self.tally.tasks += 1;
        if task.get("annotation_id").is_some() && task.get("annotations").is_none() {
            return self.row(&task);
        }
        let number = self.tally.tasks;
        let task: RawTask = match serde_json::from_value(task) {
            Ok(task) => task,
            Err(error) => {
                self.tally.leave_out(format!("task {number} of the file: {error}"));
                return Ok(());
            }
        };
        self.tally.drafts += task.drafts.len() as u64;
        if !task.completions.is_empty() {
            let why = "its answers are \"completions\", of Label Studio before 1.0: export them with a newer release";
            self.tally.leave_out(format!("task {}: {why}", task.id));
        }
        if task.annotations.is_empty() {
            return Ok(());
        }
        let question = match Question::of(&task.data) {
            Ok(question) => question,
            Err(why) => {
                self.tally.leave_out(format!("task {}: {why}", task.id));
                return Ok(());
            }
        };
        let asked = self.asked(&question, task.id, &task.data)?;
        for (place, raw) in (1..).zip(task.annotations) {
            let name = raw["id"].as_i64().map_or_else(|| format!("number {place}"), |id| id.to_string());
            let place = format!("task {}, annotation {name}", task.id);
            match serde_json::from_value(raw) {
                Ok(raw) => self.annotation(&question, &raw, asked, &place)?,
                Err(error) => self.unreadable(&place, &error.to_string()),
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Value) -> Result<()> {
        let number = self.tally.tasks;
        let read = of_row(row).and_then(|(raw, task)| Ok((Question::of(row)?, raw, task)));
        match read {
            Ok((question, raw, task)) => {
                let asked = self.asked(&question, task, row)?;
                self.annotation(&question, &raw, asked, &format!("row {number}, task {task}"))
            }
            Err(why) => {
                self.tally.leave_out(format!("row {number}: {why}"));
                Ok(())
            }
        }
    }

    /// What the question asks, and the project in which it has this number, as far as the workspace knows.
    fn asked(&self, question: &Question<'_>, number: i64, data: &Value) -> Result<Asked> {
        let Some(task) = question.task else { return Ok(Asked { interface: None, project: self.project }) };
        let project = match self.project {
            // Only what was pushed names a batch: the same tasks in a project of somebody else have none.
            None if data["batch"].is_string() => self.writer.project_of(task, number)?,
            project => project,
        };
        Ok(Asked { interface: self.writer.task_interface(task)?, project })
    }

    fn annotation(&mut self, question: &Question<'_>, raw: &RawAnnotation, asked: Asked, place: &str) -> Result<()> {
        match question.annotation(raw, asked.interface) {
            Ok(annotation) => self.put(annotation, &raw.completed_by, asked.project, place),
            Err(why) => {
                self.unreadable(place, &why);
                Ok(())
            }
        }
    }

    fn unreadable(&mut self, place: &str, why: &str) {
        self.tally.unreadable += 1;
        self.tally.leave_out(format!("{place}: {why}"));
    }

    fn put(&mut self, mut annotation: Annotation, by: &Value, project: Option<i64>, place: &str) -> Result<()> {
        let Some((number, address)) = person(by) else {
            self.tally.leave_out(format!("{place}: it does not say who made it (completed_by)"));
            return Ok(());
        };
        if let (Some(number), Some(address)) = (&number, &address) {
            self.name(number, address)?;
        }
        let by_number = number.map(|number| self.aliases.get(&number).cloned().unwrap_or(number));
        annotation.annotator = address.or(by_number).unwrap_or_default();
        // What a server holds now it has not taken back.
        if let (None, Some(project)) = (self.project, project)
            && self.writer.is_withdrawn(project, &annotation)?
        {
            self.tally.withdrawn += 1;
            return Ok(());
        }
        match self.writer.put_annotation(&annotation, project)? {
            Change::New => self.tally.new += 1,
            Change::Changed => self.tally.changed += 1,
            Change::None => self.tally.unchanged += 1,
            Change::Older => self.tally.older += 1,
        }
        self.tally.skipped += u64::from(annotation.skipped);
        self.tally.unknown += u64::from(!self.writer.has_pair(annotation.pair)?);
        *self.tally.by.entry(annotation.annotator).or_default() += 1;
        Ok(())
    }

    /// Notes the address of the person that goes by a number, as in `user 3`.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn name(&mut self, number: &str, address: &str) -> Result<()> {
        if !self.named.insert(number.to_owned()) {
            return Ok(());
        }
        if self.writer.name_annotator(number, address)? {
            self.aliases.insert(number.to_owned(), address.to_owned());
        } else {
            let known = self.aliases.get(number).cloned().unwrap_or_default();
            self.tally.leave_out(format!("the name {address} of {number}, who is {known}: exports of two servers?"));
        }
        Ok(())
    }
}

/// What the workspace knows of a question.
#[derive(Debug, Clone, Copy)]
struct Asked {
    interface: Option<Interface>,
    project: Option<i64>,
}

/// A person's number, as in `user 3`, and address, as far as an export tells them.
fn person(by: &Value) -> Option<(Option<String>, Option<String>)> {
    let number = |id: &Value| id.as_i64().map(|id| format!("user {id}"));
    match by {
        Value::Number(_) => Some((number(by), None)),
        Value::Object(person) => {
            let address =
                person.get("email").and_then(Value::as_str).filter(|email| !email.is_empty()).map(str::to_owned);
            let number = person.get("id").and_then(number);
            (number.is_some() || address.is_some()).then_some((number, address))
        }
        Value::String(name) if !name.is_empty() => Some((None, Some(name.clone()))),
        _ => None,
    }
}

#[cfg(test)]
mod order;
#[cfg(test)]
mod tests;
