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

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Context as _, ErrorKind, Result};
use crate::files;
use crate::record::annotation::VERDICTS;
use crate::record::{Annotation, PairId, TaskId};
use crate::store::annotations::{Change, NUMBERED};
use crate::store::{Store, Writer};
use crate::text::normalise::normalise;

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
        let read = self.new + self.changed + self.unchanged;
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
/// Kind `Input` when the file is no array of tasks, with the place where it breaks off; nothing is written then. A single
/// task that is wrong is left out and told.
pub fn read_label_studio(store: &mut Store, path: &Path) -> Result<Tally> {
    let writer = store.writer()?;
    let mut intake = Intake::new(&writer)?;
    for_each_task(path, &mut |task| intake.task(task))?;
    let tally = intake.finish();
    writer.commit()?;
    Ok(tally)
}

/// Reads an export task by task, or row by row. Memory: one of them.
///
/// # Errors
/// Kind `Input` when the file is no array, or breaks off; and what `each` answers.
pub fn for_each_task(path: &Path, each: &mut dyn FnMut(Value) -> Result<()>) -> Result<()> {
    let file = std::io::BufReader::with_capacity(1 << 20, files::open(path)?);
    let mut failed = None;
    let mut take = |task: Value| match each(task) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    };
    let mut reader = serde_json::Deserializer::from_reader(file);
    let read = Tasks(&mut take).deserialize(&mut reader).and_then(|()| reader.end());
    if let Some(error) = failed {
        return Err(error);
    }
    read.context(ErrorKind::Input, || {
        format!(
            "reading {}: expected Label Studio's export as JSON or JSON_MIN, an array of tasks (CSV and TSV lose what an annotation is made of)",
            path.display()
        )
    })
}

/// Hands on the elements of an array one by one, until one is refused.
struct Tasks<'a>(&'a mut dyn FnMut(Value) -> bool);

impl<'de> DeserializeSeed<'de> for Tasks<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Tasks<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tasks: A) -> Result<(), A::Error> {
        while let Some(task) = tasks.next_element()? {
            if !(self.0)(task) {
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// A task of an export, or of the API's list.
#[derive(Debug, Deserialize)]
struct Task {
    id: i64,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    annotations: Vec<RawAnnotation>,
    #[serde(default)]
    drafts: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct RawAnnotation {
    id: i64,
    #[serde(default)]
    completed_by: Value,
    #[serde(default)]
    result: Vec<RawResult>,
    #[serde(default)]
    was_cancelled: bool,
    #[serde(default)]
    ground_truth: bool,
    updated_at: Option<jiff::Timestamp>,
    lead_time: Option<f64>,
    unique_id: Option<String>,
    import_id: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct RawResult {
    from_name: Option<String>,
    #[serde(default)]
    value: Value,
}

/// A row of JSON_MIN, beside the task's data and the controls, which are keys of the same object.
#[derive(Debug, Deserialize)]
struct Row {
    id: i64,
    annotation_id: i64,
    annotator: Value,
    updated_at: Option<jiff::Timestamp>,
    lead_time: Option<f64>,
}

/// Takes tasks with their annotations into the store.
pub struct Intake<'w> {
    writer: &'w Writer<'w>,
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
    /// Begins.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn new(writer: &'w Writer<'w>) -> Result<Self> {
        let aliases = writer.annotator_aliases()?;
        Ok(Self { writer, aliases, named: BTreeSet::new(), tally: Tally::default() })
    }

    /// What it came to.
    pub fn finish(self) -> Tally {
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
        let task: Task = match serde_json::from_value(task) {
            Ok(task) => task,
            Err(error) => {
                self.tally.leave_out(format!("task {number} of the file: {error}"));
                return Ok(());
            }
        };
        self.tally.drafts += task.drafts.len() as u64;
        if task.annotations.is_empty() {
            return Ok(());
        }
        let told = match Told::of(&task.data) {
            Ok(told) => told,
            Err(why) => {
                self.tally.leave_out(format!("task {}: {why}", task.id));
                return Ok(());
            }
        };
        for raw in task.annotations {
            let id = raw.id;
            match told.annotation(&raw) {
                Ok(annotation) => {
                    self.put(annotation, &raw.completed_by, &format!("task {}, annotation {id}", task.id))?
                }
                Err(why) => self.tally.leave_out(format!("task {}, annotation {id}: {why}", task.id)),
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Value) -> Result<()> {
        let number = self.tally.tasks;
        let read = || -> Result<(Annotation, Value, i64), String> {
            let head: Row = serde_json::from_value(row.clone()).map_err(|error| error.to_string())?;
            let raw = RawAnnotation {
                id: head.annotation_id,
                completed_by: head.annotator,
                result: CONTROLS.iter().filter_map(|name| min_result(name, row)).collect(),
                was_cancelled: false,
                ground_truth: false,
                updated_at: head.updated_at,
                lead_time: head.lead_time,
                unique_id: None,
                import_id: None,
            };
            Ok((Told::of(row)?.annotation(&raw)?, raw.completed_by, head.id))
        };
        match read() {
            Ok((annotation, by, task)) => self.put(annotation, &by, &format!("row {number}, task {task}")),
            Err(why) => {
                self.tally.leave_out(format!("row {number}: {why}"));
                Ok(())
            }
        }
    }

    fn put(&mut self, mut annotation: Annotation, by: &Value, place: &str) -> Result<()> {
        let Some((number, address)) = person(by) else {
            self.tally.leave_out(format!("{place}: it does not say who made it (completed_by)"));
            return Ok(());
        };
        if let (Some(number), Some(address)) = (&number, &address) {
            self.name(number, address)?;
        }
        let by_number = number.map(|number| self.aliases.get(&number).cloned().unwrap_or(number));
        annotation.annotator = address.or(by_number).unwrap_or_default();
        match self.writer.put_annotation(&annotation)? {
            Change::New => self.tally.new += 1,
            Change::Changed => self.tally.changed += 1,
            Change::None => self.tally.unchanged += 1,
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

/// What a task's data tells of the question.
struct Told<'a> {
    pair: PairId,
    task: Option<TaskId>,
    data: &'a Value,
}

impl<'a> Told<'a> {
    fn of(data: &'a Value) -> Result<Self, String> {
        let pair = data["pair_id"].as_str().ok_or("it has no data.pair_id: kopri did not make it")?;
        let task = data["task_id"]
            .as_str()
            .map(str::parse)
            .transpose()
            .map_err(|error: crate::error::Error| error.to_string())?;
        Ok(Self { pair: pair.parse().map_err(|error: crate::error::Error| error.to_string())?, task, data })
    }

    /// The annotation, but for the annotator's name.
    fn annotation(&self, raw: &RawAnnotation) -> Result<Annotation, String> {
        let result = |name: &str| raw.result.iter().find(|result| result.from_name.as_deref() == Some(name));
        let choices = |name: &str| -> Vec<String> {
            let value = result(name).and_then(|result| result.value.get("choices")).and_then(Value::as_array);
            value.into_iter().flatten().filter_map(|choice| choice.as_str().map(str::to_owned)).collect()
        };
        let verdict = choices("verdict").into_iter().next();
        if let Some(other) = verdict.as_deref().filter(|verdict| !VERDICTS.contains(verdict)) {
            return Err(format!("the verdict {other:?} is none of {}", VERDICTS.join(", ")));
        }
        let rating = result("sts").and_then(|result| result.value.get("rating")).and_then(Value::as_u64);
        let sts = rating.or_else(|| choices("sts").first().and_then(|choice| choice.parse().ok()));
        let sts = match sts.map(u8::try_from) {
            None => None,
            Some(Ok(sts @ 0..=5)) => Some(sts),
            Some(_) => return Err("the similarity is not between 0 and 5".into()),
        };
        let preferred = match result("better").and_then(|result| result.value.get("selected")).and_then(Value::as_str) {
            Some(side @ ("left" | "right")) => {
                let key = if side == "left" { "a_id" } else { "b_id" };
                let id = self.data[key]
                    .as_str()
                    .ok_or_else(|| format!("a choice between two, and the task has no data.{key}"))?;
                Some(id.parse().map_err(|error: crate::error::Error| error.to_string())?)
            }
            Some(other) => return Err(format!("the choice {other:?} is neither left nor right")),
            None => None,
        };
        let fix = |name: &str, old: &str| {
            let texts = result(name).and_then(|result| result.value.get("text"));
            let text = match texts {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
                _ => return None,
            };
            let text = normalise(&text);
            let same = self.data[old].as_str().is_some_and(|old| normalise(old) == text);
            (!same && !text.is_empty()).then_some(text)
        };
        let mut problems = choices("problems");
        problems.extend(choices("tie"));
        let counts = !raw.was_cancelled;
        Ok(Annotation {
            pair: self.pair,
            task: self.task,
            annotator: String::new(),
            external_id: raw.unique_id.clone().unwrap_or_else(|| format!("{NUMBERED}{}", raw.id)),
            remote: Some(raw.id),
            skipped: raw.was_cancelled,
            verdict: verdict.filter(|_| counts),
            problems: if raw.was_cancelled { Vec::new() } else { problems },
            sts: sts.filter(|_| counts),
            preferred: preferred.filter(|_| counts),
            source_fix: fix("src_fix", "src_text").filter(|_| counts),
            target_fix: fix("tgt_fix", "tgt_text").filter(|_| counts),
            lead_time: raw.lead_time,
            updated_at: raw.updated_at,
            ground_truth: raw.ground_truth && raw.import_id.is_none(),
        })
    }
}

/// The controls that we read.
const CONTROLS: [&str; 7] = ["verdict", "problems", "sts", "better", "tie", "src_fix", "tgt_fix"];

/// A control's value in JSON_MIN, in the form that it has in JSON: there a single choice and a single line of text are
/// plain strings, several are objects, and everything else is a list of objects.
fn min_result(name: &str, row: &Value) -> Option<RawResult> {
    let value = match (name, row.get(name)?) {
        ("src_fix" | "tgt_fix", Value::String(text)) => serde_json::json!({ "text": [text] }),
        (_, Value::String(choice)) => serde_json::json!({ "choices": [choice] }),
        (_, Value::Array(values)) => values.first()?.clone(),
        (_, Value::Object(fields)) => Value::Object(fields.clone()),
        _ => return None,
    };
    Some(RawResult { from_name: Some(name.to_owned()), value })
}

#[cfg(test)]
mod tests;
