//! Stage keys: a hash of all that can change a stage's results beside its inputs. Limits are left out; everything else
//! of a stage's table is in, by serialization, so that a new setting cannot be forgotten.

use serde_json::{Map, Value, json};

use super::{Settings, Stage};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::model::ModelId;
use crate::record::Scope;

/// A stage's key and what was hashed into it.
#[derive(Debug, Clone, PartialEq)]
pub struct StageKey {
    /// 32 hexadecimal digits.
    pub key: String,
    /// What was hashed.
    pub parts: Value,
}

/// The key of a stage: its version, its parameters without limits, the language pair and the encoder.
///
/// # Errors
/// Kind `Bug` only.
pub fn stage_key(
    stage: &dyn Stage,
    settings: &Settings,
    scope: Option<Scope>,
    model: Option<&ModelId>,
) -> Result<StageKey> {
    let mut parts = Map::new();
    parts.insert("version".into(), stage.version().into());
    if let Some(scope) = scope {
        parts.insert("languages".into(), json!(scope));
    }
    if stage.uses_model() {
        parts.insert("model".into(), json!(model.map(|model| model.0.as_str())));
    }
    let params = stage.params(settings)?;
    let Value::Object(mut tables) = params else {
        return Err(Error::bug(format!("the parameters of {} are no table", stage.name())));
    };
    tables.values_mut().for_each(drop_limits);
    parts.append(&mut tables);
    let parts = Value::Object(parts);
    Ok(StageKey { key: fingerprint(&parts)?, parts })
}

/// Hash of a value's JSON: 32 hexadecimal digits.
///
/// # Errors
/// Kind `Bug` only.
pub fn fingerprint(content: &impl serde::Serialize) -> Result<String> {
    let json = serde_json::to_vec(content).context(ErrorKind::Bug, || "hashing a value".into())?;
    Ok(blake3::hash(&json).to_hex()[..32].to_owned())
}

/// Hash of several fingerprints.
pub fn combined(parts: &[&str]) -> String {
    let bytes: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    crate::record::id::hash_parts(&bytes).to_hex()[..32].to_owned()
}

/// Settings as JSON, as [`Stage::params`] answers them.
///
/// # Errors
/// Kind `Bug` only.
pub fn table(params: &impl serde::Serialize) -> Result<Value> {
    let doing = || "hashing a stage's settings".to_owned();
    // By way of text: so 0.9 stays 0.9 and does not become the 64-bit neighbour of a 32-bit number.
    let text = serde_json::to_string(params).context(ErrorKind::Bug, doing)?;
    serde_json::from_str(&text).context(ErrorKind::Bug, doing)
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
    use super::*;

    #[test]
    fn limits_are_left_out_at_any_depth() {
        let mut value = json!({ "a": 1, "limits": { "x": 1 }, "b": [{ "limits": 2, "c": { "limits": 3, "d": 4 } }] });
        drop_limits(&mut value);
        assert_eq!(value, json!({ "a": 1, "b": [{ "c": { "d": 4 } }] }));
    }

    #[test]
    fn a_difference_is_told_in_words() {
        let (old, new) = (json!({ "mine": { "min-margin": 1.06 } }), json!({ "mine": { "min-margin": 1.5, "k": 1 } }));
        assert_eq!(differences(&old, &new), ["mine.k null → 1", "mine.min-margin 1.06 → 1.5"]);
    }
}
