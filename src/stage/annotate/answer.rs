//! One annotation of Label Studio, read: what was asked, and what the results under our controls say. A result that is
//! not in the form that our labelling interfaces give it is refused by name: to guess would make an answer that nobody
//! gave.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::Error;
use crate::record::annotation::VERDICTS;
use crate::record::{Annotation, Interface, PairId, TaskId};
use crate::store::annotations::NUMBERED;
use crate::text::normalise::normalise;

/// A task of an export, or of the API's list.
#[derive(Debug, Deserialize)]
pub(super) struct RawTask {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) data: Value,
    /// Each is read by itself, so that a wrong one does not lose the others.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) annotations: Vec<Value>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) drafts: Vec<Value>,
    /// What annotations were called before Label Studio 1.0.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) completions: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawAnnotation {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) completed_by: Value,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) result: Vec<RawResult>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) was_cancelled: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ground_truth: bool,
    pub(super) updated_at: Option<jiff::Timestamp>,
    pub(super) lead_time: Option<f64>,
    pub(super) unique_id: Option<String>,
    pub(super) import_id: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawResult {
    from_name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
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

/// `null` where a field may also be missing.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// What a task's data says of the question.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pair: PairId,
    pub(super) task: Option<TaskId>,
    data: &'a Value,
}

impl<'a> Question<'a> {
    pub(super) fn of(data: &'a Value) -> Result<Self, String> {
        let pair = data["pair_id"].as_str().ok_or("it has no data.pair_id: kopri did not make it")?;
        let task = data["task_id"].as_str().map(str::parse).transpose().map_err(|error: Error| error.to_string())?;
        Ok(Self { pair: pair.parse().map_err(|error: Error| error.to_string())?, task, data })
    }

    /// The annotation, but for the annotator's name. `interface` is the one of the question, where that is known.
    ///
    /// # Errors
    /// In words: which control has what wrong.
    pub(super) fn annotation(&self, raw: &RawAnnotation, interface: Option<Interface>) -> Result<Annotation, String> {
        let mut annotation = Annotation {
            pair: self.pair,
            task: self.task,
            annotator: String::new(),
            external_id: raw.unique_id.clone().unwrap_or_else(|| format!("{NUMBERED}{}", raw.id)),
            remote: Some(raw.id),
            skipped: raw.was_cancelled,
            verdict: None,
            problems: Vec::new(),
            sts: None,
            preferred: None,
            source_fix: None,
            target_fix: None,
            lead_time: raw.lead_time,
            updated_at: raw.updated_at,
            ground_truth: raw.ground_truth && raw.import_id.is_none(),
        };
        // What somebody chose before they skipped the task counts for nothing.
        if !raw.was_cancelled {
            let results = Results(&raw.result);
            self.fill(&mut annotation, &results)?;
            let tie = results.single("tie")?;
            let is_answered =
                annotation.verdict.is_some() || annotation.sts.is_some() || annotation.preferred.is_some();
            annotation.problems.extend(tie.clone());
            if !is_answered && tie.is_none() {
                results.renamed(interface)?;
            }
        }
        Ok(annotation)
    }

    fn fill(&self, annotation: &mut Annotation, results: &Results<'_>) -> Result<(), String> {
        annotation.verdict = results.single("verdict")?;
        if let Some(other) = annotation.verdict.as_deref().filter(|verdict| !VERDICTS.contains(verdict)) {
            return Err(format!("the verdict {other:?} is none of {}", VERDICTS.join(", ")));
        }
        annotation.sts = results.similarity()?;
        annotation.preferred = results.side()?.map(|side| self.candidate(side)).transpose()?;
        annotation.problems = results.choices("problems")?.unwrap_or_default();
        let fix = |name: &str, old: &str| -> Result<Option<String>, String> {
            let text = results.text(name)?.map(|text| normalise(&text));
            // The interface fills its fields with the text of the task.
            let is_same = |text: &String| self.data[old].as_str().is_some_and(|old| normalise(old) == *text);
            Ok(text.filter(|text| !text.is_empty() && !is_same(text)))
        };
        annotation.source_fix = fix("src_fix", "src_text")?;
        annotation.target_fix = fix("tgt_fix", "tgt_text")?;
        Ok(())
    }

    fn candidate(&self, side: &str) -> Result<PairId, String> {
        let key = if side == "left" { "a_id" } else { "b_id" };
        let id =
            self.data[key].as_str().ok_or_else(|| format!("a choice between two, and the task has no data.{key}"))?;
        id.parse().map_err(|error: Error| error.to_string())
    }
}

/// The results of an annotation, by the control that they come from.
struct Results<'r>(&'r [RawResult]);

impl Results<'_> {
    fn of(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |result| result.from_name.as_deref() == Some(name)).map(|result| &result.value)
    }

    /// All choices of a control; `None`: it has no result.
    fn choices(&self, name: &str) -> Result<Option<Vec<String>>, String> {
        let mut all = None;
        for value in self.of(name) {
            let chosen = match &value["choices"] {
                Value::Array(chosen) => chosen,
                Value::Null => return Err(format!("control '{name}' has no choices ({})", keys(value))),
                other => return Err(format!("the choices of control '{name}' are {}, expected a list", kind(other))),
            };
            let list: &mut Vec<String> = all.get_or_insert_default();
            for choice in chosen {
                let choice = choice.as_str().ok_or_else(|| {
                    format!("control '{name}' holds {} among its choices, expected text", kind(choice))
                })?;
                if !list.iter().any(|known| known == choice) {
                    list.push(choice.to_owned());
                }
            }
        }
        Ok(all)
    }

    /// The choice of a control that takes one.
    fn single(&self, name: &str) -> Result<Option<String>, String> {
        let Some(mut chosen) = self.choices(name)? else { return Ok(None) };
        match (chosen.pop(), chosen.len()) {
            (Some(choice), 0) => Ok(Some(choice)),
            (Some(last), _) => {
                chosen.push(last);
                Err(format!("control '{name}' holds {} choices ({}), expected one", chosen.len(), chosen.join(", ")))
            }
            (None, _) => Err(format!("control '{name}' holds no choice")),
        }
    }

    /// A similarity, from stars or from choices.
    fn similarity(&self) -> Result<Option<u8>, String> {
        let stars: Vec<&Value> = self.of("sts").filter_map(|value| value.get("rating")).collect();
        let given = match stars.as_slice() {
            [] => self.single("sts")?,
            [stars] => Some(stars.as_f64().map_or_else(|| stars.to_string(), |stars| stars.to_string())),
            more => return Err(format!("control 'sts' holds {} ratings, expected one", more.len())),
        };
        let Some(given) = given else { return Ok(None) };
        match given.parse() {
            Ok(sts @ 0..=5) => Ok(Some(sts)),
            _ => Err(format!("the similarity {given:?} of control 'sts' is not a whole number from 0 to 5")),
        }
    }

    /// The side of a choice between two: `left` or `right`.
    fn side(&self) -> Result<Option<&str>, String> {
        let mut side = None;
        for value in self.of("better") {
            match value["selected"].as_str() {
                Some(chosen @ ("left" | "right")) if side.is_none_or(|side| side == chosen) => side = Some(chosen),
                Some("left" | "right") => return Err("control 'better' selects both sides".into()),
                Some(other) => {
                    return Err(format!("the choice {other:?} of control 'better' is neither left nor right"));
                }
                None => return Err(format!("control 'better' selects nothing ({})", keys(value))),
            }
        }
        Ok(side)
    }

    /// The text of a control; several lines are joined by spaces.
    fn text(&self, name: &str) -> Result<Option<String>, String> {
        let mut all: Option<Vec<&str>> = None;
        for value in self.of(name) {
            let lines = all.get_or_insert_default();
            match &value["text"] {
                Value::String(text) => lines.push(text),
                Value::Array(texts) => {
                    for text in texts {
                        let wrong = || format!("control '{name}' holds {} among its lines, expected text", kind(text));
                        lines.push(text.as_str().ok_or_else(wrong)?);
                    }
                }
                Value::Null => return Err(format!("control '{name}' has no text ({})", keys(value))),
                other => {
                    return Err(format!("the text of control '{name}' is {}, expected a list of lines", kind(other)));
                }
            }
        }
        Ok(all.map(|lines| lines.join(" ")))
    }

    /// Says so when answers lie under names that we do not read, while the question that we asked has none.
    fn renamed(&self, interface: Option<Interface>) -> Result<(), String> {
        let is_ours = |result: &&RawResult| result.from_name.as_deref().is_some_and(|name| CONTROLS.contains(&name));
        let asks = |result: &&RawResult| {
            matches!(result.kind.as_deref(), Some("choices" | "rating" | "pairwise"))
                || ["choices", "rating", "selected"].iter().any(|key| result.value.get(key).is_some())
        };
        let anything_ours = self.0.iter().any(|result| is_ours(&result));
        let others = self.0.iter().filter(|result| !is_ours(result)).filter(|result| !anything_ours || asks(result));
        let names: BTreeSet<String> =
            others.filter_map(|result| result.from_name.as_ref()).map(|name| format!("'{name}'")).collect();
        if names.is_empty() {
            return Ok(());
        }
        let missing = match interface {
            Some(Interface::Translation) => "control 'verdict' is missing",
            Some(Interface::Similarity) => "control 'sts' is missing",
            Some(Interface::Pairwise) => "control 'better' is missing",
            None => "the controls 'verdict', 'sts' and 'better' are missing",
        };
        let names: Vec<String> = names.into_iter().collect();
        Err(format!(
            "{missing}; the results are under {}: give the control its old name in the labelling interface, and import \
             or pull again",
            names.join(", ")
        ))
    }
}

/// What a value holds instead of what was expected.
fn keys(value: &Value) -> String {
    match value.as_object() {
        Some(fields) if fields.is_empty() => "its value is empty".into(),
        Some(fields) => format!("its value has {}", fields.keys().cloned().collect::<Vec<_>>().join(", ")),
        None => format!("its value is {}", kind(value)),
    }
}

/// A value of the wrong kind, in words.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the text {:?}", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// The controls that we read.
pub(super) const CONTROLS: [&str; 7] = ["verdict", "problems", "sts", "better", "tie", "src_fix", "tgt_fix"];

/// Keys of a row of JSON_MIN that are no controls: the data of our tasks, and what Label Studio adds.
const NO_CONTROLS: [&str; 20] = [
    "task_id",
    "pair_id",
    "src_text",
    "src_lang",
    "src_url",
    "tgt_text",
    "tgt_lang",
    "tgt_url",
    "origin",
    "batch",
    "a_id",
    "b_id",
    "cand_a",
    "cand_b",
    "id",
    "annotator",
    "annotation_id",
    "created_at",
    "updated_at",
    "lead_time",
];

/// A row of JSON_MIN as an annotation, and the number of its task.
pub(super) fn of_row(row: &Value) -> Result<(RawAnnotation, i64), String> {
    let head: Row = serde_json::from_value(row.clone()).map_err(|error| error.to_string())?;
    let fields = row.as_object().into_iter().flatten();
    let result = fields.filter(|(name, _)| !NO_CONTROLS.contains(&name.as_str()));
    let raw = RawAnnotation {
        id: head.annotation_id,
        completed_by: head.annotator,
        result: result.flat_map(|(name, value)| min_results(name, value)).collect(),
        was_cancelled: false,
        ground_truth: false,
        updated_at: head.updated_at,
        lead_time: head.lead_time,
        unique_id: None,
        import_id: None,
    };
    Ok((raw, head.id))
}

/// A control's values in JSON_MIN, in the form that they have in JSON: there a single choice and a single line of text
/// are plain strings, several are objects, and everything else is a list of objects.
fn min_results(name: &str, value: &Value) -> Vec<RawResult> {
    let is_text = matches!(name, "src_fix" | "tgt_fix");
    let one = |value: Value| RawResult { from_name: Some(name.to_owned()), kind: None, value };
    let text = |text: &Value| {
        let key = match name {
            "src_fix" | "tgt_fix" => "text",
            "better" => return one(serde_json::json!({ "selected": text })),
            _ => "choices",
        };
        one(serde_json::json!({ key: [text] }))
    };
    match value {
        Value::String(_) => vec![text(value)],
        Value::Array(values) if values.iter().all(Value::is_string) && !values.is_empty() => {
            let key = if is_text { "text" } else { "choices" };
            vec![one(serde_json::json!({ key: values }))]
        }
        Value::Array(values) => values.iter().cloned().map(one).collect(),
        Value::Object(_) => vec![one(value.clone())],
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
