//! Stage keys: a hash of all that can change a stage's results beside its inputs. Limits are left out; everything else
//! of a stage's table is in, by serialization, so that a new setting cannot be forgotten.

use serde_json::{Value, json};

use super::Pipeline;
use crate::error::{Context as _, ErrorKind, Result};
use crate::model::ModelId;
use crate::stage::{
    Stage, adjudicate, align, ask, calibrate, dataset, dedup, embed, evaluate, export, extract, filter, fingerprint,
    fit, matching, mine, neighbours, segment,
};

/// A stage's key and what was hashed into it.
#[derive(Debug, Clone, PartialEq)]
pub struct StageKey {
    /// 32 hexadecimal digits.
    pub key: String,
    /// What was hashed.
    pub parts: Value,
}

/// The key of a stage.
///
/// # Errors
/// Kind `Bug` only.
pub fn stage_key(pipeline: &Pipeline, stage: Stage, model: Option<&ModelId>) -> Result<StageKey> {
    let (version, params, needs_model) = match stage {
        Stage::Extract => (extract::VERSION, table(&pipeline.extract)?, false),
        Stage::Segment => (segment::VERSION, table(&pipeline.segment)?, false),
        Stage::Fit => (fit::VERSION, table(&pipeline.embed.lexical)?, false),
        Stage::Embed => (embed::VERSION, table(&pipeline.embed)?, true),
        Stage::Match => (matching::VERSION, table(&pipeline.matching)?, true),
        Stage::Align => (align::VERSION, table(&pipeline.align)?, true),
        Stage::Neighbours => (neighbours::VERSION, table(&pipeline.neighbours)?, true),
        Stage::Mine => (mine::VERSION, table(&pipeline.mine)?, true),
        Stage::Adjudicate => (adjudicate::VERSION, table(&pipeline.adjudicate)?, false),
        Stage::Calibrate => (calibrate::VERSION, table(&pipeline.calibrate)?, true),
        Stage::Filter => (filter::VERSION, table(&pipeline.filter)?, false),
        Stage::Dedup => (dedup::VERSION, table(&pipeline.dedup)?, false),
        Stage::Evaluate => (evaluate::VERSION, table(&pipeline.evaluate)?, false),
        // Where questions go changes none of them.
        Stage::Ask => {
            let params = ask::Params { label_studio: ask::Server::default(), ..pipeline.annotate.clone() };
            (ask::VERSION, table(&params)?, false)
        }
        Stage::Dataset => (dataset::VERSION, table(&pipeline.dataset)?, false),
        Stage::Export => (export::VERSION, Value::Null, false),
    };
    let parts = json!({
        "version": version,
        "languages": pipeline.languages(),
        "model": if needs_model { model.map(|model| model.0.as_str()) } else { None },
        // Who a text may be mistaken for is a setting of extraction that others share.
        "candidates": matches!(stage, Stage::Segment | Stage::Calibrate | Stage::Filter).then_some(&pipeline.extract.languages),
        stage.name(): params,
    });
    Ok(StageKey { key: fingerprint(&parts)?, parts })
}

/// A stage's settings as JSON, without its limits.
fn table(params: &impl serde::Serialize) -> Result<Value> {
    let doing = || "hashing a stage's settings".to_owned();
    // By way of text: so 0.9 stays 0.9 and does not become the 64-bit neighbour of a 32-bit number.
    let text = serde_json::to_string(params).context(ErrorKind::Bug, doing)?;
    let mut value = serde_json::from_str(&text).context(ErrorKind::Bug, doing)?;
    drop_limits(&mut value);
    Ok(value)
}

/// Takes every table called `limits` out.
fn drop_limits(value: &mut Value) {
    match value {
        Value::Object(table) => {
            table.shift_remove("limits");
            table.values_mut().for_each(drop_limits);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_limits),
        _ => {}
    }
}

/// What differs between two keys' parts, in words: `mine.min-margin 1.06 → 1.2`.
pub fn differences(old: &Value, new: &Value) -> Vec<String> {
    fn walk(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
        match (old, new) {
            (Value::Object(a), Value::Object(b)) => {
                let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
                keys.sort();
                keys.dedup();
                for key in keys {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
                }
            }
            (old, new) if old != new => found.push(format!("{path} {old} → {new}")),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk("", old, new, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn pipeline(sets: &[&str]) -> Pipeline {
        let text = "version = 1\nname = \"t\"\nsource = \"ru\"\ntarget = \"tk\"\nworkspace = \"w\"\n";
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Pipeline::parse(text, "t.toml", PathBuf::new(), &sets).unwrap()
    }

    fn key(sets: &[&str], stage: Stage) -> StageKey {
        stage_key(&pipeline(sets), stage, None).unwrap()
    }

    #[test]
    fn a_setting_changes_its_own_stage_alone() {
        for stage in Stage::ALL {
            let changed = key(&[], stage).key != key(&["mine.min-margin=1.5"], stage).key;
            assert_eq!(changed, stage == Stage::Mine, "{stage:?}");
        }
    }

    #[test]
    fn a_limit_changes_no_key() {
        for stage in Stage::ALL {
            let other =
                key(&["embed.limits.batch=7", "neighbours.limits.batch=7", "extract.limits.book-memory=3GB"], stage);
            assert_eq!(key(&[], stage), other, "{stage:?}");
        }
    }

    #[test]
    fn every_setting_of_every_table_changes_a_key_unless_it_is_a_limit() {
        let base = pipeline(&[]);
        let all = toml::Value::try_from(&base).unwrap();
        for table in [
            "extract",
            "segment",
            "embed",
            "match",
            "align",
            "neighbours",
            "mine",
            "adjudicate",
            "calibrate",
            "filter",
            "dedup",
            "annotate",
            "dataset",
        ] {
            for (name, value) in all[table].as_table().unwrap() {
                let other = match value {
                    toml::Value::Integer(number) => (number + 1).to_string(),
                    // Shares stay shares.
                    toml::Value::Float(number) if *number > 0.5 => (number - 0.25).to_string(),
                    toml::Value::Float(number) => (number + 0.25).to_string(),
                    toml::Value::Boolean(flag) => (!flag).to_string(),
                    _ => continue,
                };
                let changed = pipeline(&[&format!("{table}.{name}={other}")]);
                let keys = |pipeline: &Pipeline| Stage::ALL.map(|stage| stage_key(pipeline, stage, None).unwrap().key);
                assert_ne!(keys(&base), keys(&changed), "{table}.{name}");
            }
        }
    }

    #[test]
    fn a_difference_is_told_in_words() {
        let (old, new) = (key(&[], Stage::Mine), key(&["mine.min-margin=1.5"], Stage::Mine));
        let told = differences(&old.parts, &new.parts);
        assert_eq!(told, ["mine.min-margin 1.06 → 1.5"]);
    }
}
