//! What comes in from outside: Label Studio annotations, and pairs from TSV, JSON lines and TMX.
//!
//! Label Studio's JSON export is an array of tasks (one may be 250,000 long: the file is read whole, about ten times
//! its annotations' text). Fields that we do not know are ignored, since every release adds some.

use std::io::BufRead as _;
use std::path::Path;

use serde::Deserialize;

use super::formats::PairLine;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::record::{Annotation, Origin, Pair, PairId, Side};

/// A task of a Label Studio export.
#[derive(Debug, Deserialize)]
struct Task {
    id: i64,
    #[serde(default)]
    data: serde_json::Value,
    #[serde(default)]
    annotations: Vec<RawAnnotation>,
}

#[derive(Debug, Deserialize)]
struct RawAnnotation {
    id: i64,
    #[serde(default)]
    completed_by: serde_json::Value,
    #[serde(default)]
    result: Vec<RawResult>,
    #[serde(default)]
    was_cancelled: bool,
    #[serde(default)]
    ground_truth: bool,
    updated_at: Option<jiff::Timestamp>,
    lead_time: Option<f64>,
    unique_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RawResult {
    from_name: Option<String>,
    #[serde(default)]
    value: serde_json::Value,
}

/// Annotations of an export, and what could not be read of it.
#[derive(Debug, Default)]
pub struct Pulled {
    /// What was read.
    pub annotations: Vec<Annotation>,
    /// Tasks and annotations that were left out, and why.
    pub problems: Vec<String>,
}

/// Reads a Label Studio JSON export.
///
/// # Errors
/// Kind `Input` when the file is no array of tasks. A single task that is wrong is named in `problems`.
pub fn read_label_studio(path: &Path) -> Result<Pulled> {
    let text = files::read_text(path)?;
    let tasks: Vec<serde_json::Value> = serde_json::from_str(&text).context(ErrorKind::Input, || {
        format!("reading {}: expected Label Studio's JSON export, an array of tasks (JSON_MIN, CSV and TSV lack the pair ids' annotations)", path.display())
    })?;
    let mut pulled = Pulled::default();
    for (index, task) in tasks.into_iter().enumerate() {
        match serde_json::from_value::<Task>(task) {
            Ok(task) => read_task(task, &mut pulled),
            Err(error) => pulled.problems.push(format!("task {} of the file is left out: {error}", index + 1)),
        }
    }
    Ok(pulled)
}

fn read_task(task: Task, pulled: &mut Pulled) {
    let pair = match task.data.get("pair_id").and_then(|id| id.as_str()).map(str::parse::<PairId>) {
        Some(Ok(pair)) => pair,
        Some(Err(error)) => return pulled.problems.push(format!("task {}: {error}", task.id)),
        None => return pulled.problems.push(format!("task {} has no data.pair_id: it was not made by kopri", task.id)),
    };
    for raw in task.annotations {
        let id = raw.id;
        match annotation(pair, raw) {
            Ok(annotation) => pulled.annotations.push(annotation),
            Err(problem) => pulled.problems.push(format!("task {}, annotation {id}: {problem}", task.id)),
        }
    }
}

fn annotation(pair: PairId, raw: RawAnnotation) -> Result<Annotation, String> {
    let result = |name: &str| raw.result.iter().find(|result| result.from_name.as_deref() == Some(name));
    let choices = |name: &str| -> Vec<String> {
        result(name)
            .and_then(|result| result.value.get("choices")?.as_array())
            .map(|choices| choices.iter().filter_map(|choice| choice.as_str().map(str::to_owned)).collect())
            .unwrap_or_default()
    };
    let text = |name: &str| -> Option<String> {
        let texts = result(name)?.value.get("text")?;
        let text = texts.as_array().and_then(|texts| texts.first()).unwrap_or(texts);
        text.as_str().map(str::to_owned)
    };
    let verdict = choices("verdict").into_iter().next();
    if let Some(verdict) = verdict.as_deref().filter(|verdict| !["yes", "partly", "no"].contains(verdict)) {
        return Err(format!("the verdict {verdict:?} is none of yes, partly, no"));
    }
    let rating = result("sts").and_then(|result| result.value.get("rating").and_then(serde_json::Value::as_u64));
    let sts = rating.or_else(|| choices("sts").first().and_then(|choice| choice.parse().ok()));
    let sts = match sts.map(u8::try_from) {
        None => None,
        Some(Ok(sts @ 0..=5)) => Some(sts),
        Some(_) => return Err("the sts rating is not between 0 and 5".into()),
    };
    let annotator = match &raw.completed_by {
        serde_json::Value::Object(person) => person
            .get("email")
            .and_then(|email| email.as_str())
            .map_or_else(|| format!("user {}", person["id"]), str::to_owned),
        serde_json::Value::Number(id) => format!("user {id}"),
        _ => return Err("it does not say who made it (completed_by)".into()),
    };
    Ok(Annotation {
        pair,
        annotator,
        external_id: raw.unique_id.clone().unwrap_or_else(|| format!("label-studio:{}", raw.id)),
        verdict: verdict.filter(|_| !raw.was_cancelled),
        problems: choices("problems"),
        sts,
        source_fix: text("src_fix"),
        target_fix: text("tgt_fix"),
        lead_time: raw.lead_time,
        updated_at: raw.updated_at,
        ground_truth: raw.ground_truth,
    })
}

/// Reads pairs from TSV with the columns `source` and `target` (as exported, or only these two).
///
/// # Errors
/// Kind `Input`, naming the line.
pub fn read_tsv(path: &Path) -> Result<Vec<Pair>> {
    #[derive(Deserialize)]
    struct Row {
        source: String,
        target: String,
    }
    let mut reader =
        csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).flexible(true).from_reader(files::open(path)?);
    reader
        .deserialize()
        .map(|row| {
            let row: Row = row.context(ErrorKind::Input, || {
                format!("reading {}: expected a header line with the columns source and target", path.display())
            })?;
            imported(&unit_name(path), &row.source, &row.target)
                .map_err(|error| error.while_doing(format!("reading {}", path.display())))
        })
        .collect()
}

/// Reads pairs from JSON lines with `source` and `target`, as exported.
///
/// # Errors
/// Kind `Input`, naming the line.
pub fn read_jsonl(path: &Path) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for (index, line) in std::io::BufReader::new(files::open(path)?).lines().enumerate() {
        let doing = || format!("reading line {} of {}", index + 1, path.display());
        let line = line.context(ErrorKind::Input, doing)?;
        if line.trim().is_empty() {
            continue;
        }
        let line: PairLine = serde_json::from_str(&line).context(ErrorKind::Input, doing)?;
        pairs.push(imported(&unit_name(path), &line.source, &line.target).map_err(|error| error.while_doing(doing()))?);
    }
    Ok(pairs)
}

/// The unit that an imported file is: its name.
pub fn unit_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A pair that came as bare text. Its id is that of its texts and of the file that brought it.
///
/// # Errors
/// Kind `Input` when a side is empty.
pub fn imported(file: &str, source: &str, target: &str) -> Result<Pair> {
    if source.trim().is_empty() || target.trim().is_empty() {
        return Err(Error::input(format!("a pair has an empty side: {source:?} and {target:?}")));
    }
    let side = |text: &str| Side { document: None, sentences: Vec::new(), text: text.to_owned() };
    Ok(Pair {
        id: PairId::of(&[Origin::Imported.name().as_bytes(), file.as_bytes(), source.as_bytes(), target.as_bytes()]),
        source: side(source),
        target: side(target),
        origin: Origin::Imported,
        similarity: None,
        margin: None,
        score: 1.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulled(json: &str) -> Result<Pulled> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json).unwrap();
        read_label_studio(file.path())
    }

    #[test]
    fn an_annotation_with_everything() {
        let pulled = pulled(
            r#"[{"id":3,"data":{"pair_id":"p0000000000000007","src_text":"a"},"new_field":1,"annotations":[
              {"id":9,"completed_by":{"id":2,"email":"ayna@example.org"},"was_cancelled":false,"ground_truth":true,"lead_time":12.5,
               "updated_at":"2026-11-21T01:07:50.034431Z","unique_id":"u-1","result":[
                {"from_name":"verdict","to_name":"tgt","type":"choices","value":{"choices":["partly"]}},
                {"from_name":"problems","to_name":"tgt","type":"choices","value":{"choices":["omission","addition"]}},
                {"from_name":"sts","to_name":"tgt","type":"rating","value":{"rating":3}},
                {"from_name":"tgt_fix","to_name":"tgt","type":"textarea","value":{"text":["ýaşyl"]}}]}]}]"#,
        )
        .unwrap();
        let annotation = &pulled.annotations[0];
        assert_eq!(annotation.pair, PairId(7));
        assert_eq!(
            (annotation.annotator.as_str(), annotation.verdict.as_deref(), annotation.sts),
            ("ayna@example.org", Some("partly"), Some(3))
        );
        assert_eq!(
            (annotation.problems.len(), annotation.target_fix.as_deref(), annotation.ground_truth),
            (2, Some("ýaşyl"), true)
        );
    }

    #[test]
    fn one_wrong_task_does_not_lose_the_others() {
        let pulled = pulled(
            r#"[{"id":1,"data":{},"annotations":[]},
                {"id":2,"data":{"pair_id":"p0000000000000007"},"annotations":[
                  {"id":5,"completed_by":1,"result":[{"from_name":"verdict","value":{"choices":["maybe"]}}]},
                  {"id":6,"completed_by":1,"was_cancelled":true,"result":[]}]},
                {"nonsense":true}]"#,
        )
        .unwrap();
        assert_eq!(pulled.annotations.len(), 1);
        assert_eq!(pulled.annotations[0].verdict, None);
        assert_eq!(pulled.problems.len(), 3, "{:?}", pulled.problems);
    }

    #[test]
    fn another_kind_of_file_is_refused_with_advice() {
        assert!(pulled("a,b\n1,2").unwrap_err().to_string().contains("JSON export"));
    }

    #[test]
    fn an_empty_side_is_no_pair() {
        assert!(imported("f", "a", " ").is_err());
        let id = |file: &str| imported(file, "a", "b").unwrap().id;
        assert_eq!(id("f"), id("f"));
        assert_ne!(id("f"), id("g"), "each file owns its pairs");
    }
}
