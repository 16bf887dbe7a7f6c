//! The folder form of PEFT's LoRA adapters (Hu et al. 2022): which base they change, and by how much. Plain data; the
//! numbers are in `torch/lora.rs`.
//!
//! What would change the result and is not done here (DoRA, biases, initialisations that change the base) is refused by
//! its name: an adapter that is applied in part gives vectors that look right and are not.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::cache;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;

/// The file that makes a folder an adapter's.
pub const CONFIG: &str = "adapter_config.json";
/// The file of its tensors.
pub const WEIGHTS: &str = "adapter_model.safetensors";

/// `adapter_config.json`, as far as it changes numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterConfig {
    /// The base as the adapter names it: a folder or a Hub id.
    pub base: Option<String>,
    /// Columns of A and rows of B, unless [`Self::rank_pattern`] says otherwise.
    pub rank: usize,
    /// The scale is alpha / rank (with [`Self::rslora`], alpha / √rank), unless [`Self::alpha_pattern`] says otherwise.
    pub alpha: f64,
    /// Rank-stabilised scaling (Kalajdzievski 2023).
    pub rslora: bool,
    /// Modules by the end of their path, and their ranks. The first that fits counts.
    pub rank_pattern: Vec<(String, f64)>,
    /// The same for alpha.
    pub alpha_pattern: Vec<(String, f64)>,
    /// The modules that are changed, by the end of their path.
    pub target_modules: Vec<String>,
    /// Modules that are stored whole.
    pub modules_to_save: Vec<String>,
    /// `FEATURE_EXTRACTION`, `SEQ_CLS`, `SEQ_2_SEQ_LM` or nothing.
    pub task: Option<String>,
    /// What training dropped; without effect later.
    pub dropout: f64,
}

impl AdapterConfig {
    /// Reads `adapter_config.json` of a folder. Absent settings are as in peft.
    ///
    /// # Errors
    /// Kind `Model`: the file cannot be read, or asks for what is not supported.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG);
        let doing = || format!("reading the adapter {}", path.display());
        let text = files::read_text(&path).context(ErrorKind::Model, doing)?;
        let table: Map<String, Value> = serde_json::from_str(&text).context(ErrorKind::Model, doing)?;
        Self::of(&table).map_err(|error| error.while_doing(doing()))
    }

    fn of(table: &Map<String, Value>) -> Result<Self> {
        check(table)?;
        let number = |key: &str, absent: f64| match table.get(key) {
            None | Some(Value::Null) => Ok(absent),
            Some(value) => value.as_f64().ok_or_else(|| wrong(format!("{key} is {value}, no number"))),
        };
        let text = |key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
        let names = |key: &str| match table.get(key) {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            // A pattern or `all-linear`; the tensors' names say the same.
            Some(Value::String(name)) => vec![name.clone()],
            _ => Vec::new(),
        };
        let rank = number("r", 8.0)?;
        if rank < 1.0 || rank.fract() != 0.0 {
            return Err(wrong(format!("r is {rank}, no rank")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
        let rank = rank as usize;
        Ok(Self {
            base: text("base_model_name_or_path").filter(|name| !name.is_empty()),
            rank,
            alpha: number("lora_alpha", 8.0)?,
            rslora: table.get("use_rslora") == Some(&Value::Bool(true)),
            rank_pattern: pattern(table, "rank_pattern")?,
            alpha_pattern: pattern(table, "alpha_pattern")?,
            target_modules: names("target_modules"),
            modules_to_save: names("modules_to_save"),
            task: text("task_type"),
            dropout: number("lora_dropout", 0.0)?,
        })
    }

    /// What B·A is multiplied by in a module, by its path inside the model (`encoder.layer.0.attention.self.query`).
    pub fn scale(&self, module: &str) -> f64 {
        let alpha = fitting(&self.alpha_pattern, module).unwrap_or(self.alpha);
        let rank = self.rank_of(module);
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// The rank of a module.
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    pub fn rank_of(&self, module: &str) -> f64 {
        fitting(&self.rank_pattern, module).unwrap_or(self.rank as f64)
    }

    /// Writes `adapter_config.json`, in the form that peft 0.21 reads.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let list = |names: &[String]| if names.is_empty() { Value::Null } else { json!(names) };
        let table = |entries: &[(String, f64)]| {
            entries.iter().map(|(name, number)| (name.clone(), plain(*number))).collect::<Map<_, _>>()
        };
        let value = json!({
            "base_model_name_or_path": self.base,
            "task_type": self.task,
            "peft_type": "LORA",
            "r": self.rank,
            "lora_alpha": plain(self.alpha),
            "lora_dropout": self.dropout,
            "target_modules": self.target_modules,
            "modules_to_save": list(&self.modules_to_save),
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "use_rslora": self.rslora,
            "use_dora": false,
            "rank_pattern": table(&self.rank_pattern),
            "alpha_pattern": table(&self.alpha_pattern),
            "layers_to_transform": null,
            "layers_pattern": null,
        });
        let text = serde_json::to_string_pretty(&value).map_err(|error| Error::bug(error.to_string()))?;
        files::write_atomically(&folder.join(CONFIG), |out| out.write_all(text.as_bytes()))
    }
}

/// Whether a folder holds an adapter and no whole model.
pub fn is_adapter(folder: &Path) -> bool {
    folder.join(CONFIG).is_file() && !folder.join("config.json").is_file()
}

/// The folder of an adapter's base: `given` by the caller, or what the adapter names: an absolute folder, a folder
/// beside the adapter's or in it, a model in the cache of downloaded ones.
///
/// # Errors
/// Kind `Model`: none of them is there; the message says where it was looked for and how to get it.
pub fn base(folder: &Path, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_path_buf());
    }
    let config = AdapterConfig::read(folder)?;
    let place = folder.join(CONFIG);
    let Some(name) = config.base else {
        return Err(wrong(format!(
            "{} names no base_model_name_or_path: write there the folder or the Hub id of the model that the adapter was \
             trained on",
            place.display()
        )));
    };
    let last = Path::new(&name).file_name().map(PathBuf::from).unwrap_or_default();
    // `canonicalize`, since the parent of `.` or of a link has another name.
    let beside = folder.canonicalize().ok().and_then(|folder| folder.parent().map(Path::to_path_buf));
    let beside = beside.unwrap_or_default();
    let places = [folder.join(&name), beside.join(&name), beside.join(&last)];
    let holds_model = |place: &&PathBuf| place.join("config.json").is_file() || place.join("modules.json").is_file();
    if let Some(found) = places.iter().find(holds_model) {
        return Ok(found.clone());
    }
    if cache::is_id(&name) {
        return cache::find(&name).map_err(|error| error.while_doing(format!("the base of {}", place.display())));
    }
    Err(wrong(format!(
        "the base model {name:?} that {} names is not there (looked for {}): put it beside the adapter's folder",
        place.display(),
        places.map(|place| place.display().to_string()).join(", ")
    )))
}

/// Refuses what would change the numbers in ways that are not computed here.
fn check(table: &Map<String, Value>) -> Result<()> {
    let empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match table.get("peft_type").and_then(Value::as_str) {
        Some("LORA") => {}
        other => return Err(wrong(format!("the peft_type {other:?} is not supported (LORA is)"))),
    }
    const REFUSED: [&str; 17] = [
        "use_dora",
        "use_qalora",
        "use_bdlora",
        "lora_bias",
        "target_parameters",
        "fan_in_fan_out",
        "trainable_token_indices",
        "layer_replication",
        "megatron_config",
        "alora_invocation_tokens",
        "arrow_config",
        "corda_config",
        "loftq_config",
        "kasa_config",
        "monteclora_config",
        "velora_config",
        "ensure_weight_tying",
    ];
    if let Some(name) = REFUSED.into_iter().find(|name| table.get(*name).is_some_and(|value| !empty(value))) {
        return Err(wrong(format!("{name} is {}: not supported", table[name])));
    }
    if let Some(bias) = table.get("bias").and_then(Value::as_str).filter(|bias| *bias != "none") {
        return Err(wrong(format!("bias is {bias:?}: adapters that train biases are not supported")));
    }
    // The others (pissa, olora, corda, loftq, lora_ga) change the base's own weights.
    match table.get("init_lora_weights") {
        None | Some(Value::Null | Value::Bool(_)) => Ok(()),
        Some(Value::String(name)) if ["gaussian", "eva", "orthogonal"].contains(&name.as_str()) => Ok(()),
        Some(other) => {
            Err(wrong(format!("init_lora_weights is {other}, which changes the base itself: not supported")))
        }
    }
}

/// A table of module endings and numbers. peft reads the endings as regular expressions; those that are more than a
/// name are refused.
fn pattern(table: &Map<String, Value>, key: &str) -> Result<Vec<(String, f64)>> {
    let Some(Value::Object(entries)) = table.get(key) else { return Ok(Vec::new()) };
    entries
        .iter()
        .map(|(name, value)| {
            if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-')) {
                return Err(wrong(format!("{key} holds the pattern {name:?}: only names of modules are supported")));
            }
            let number = value.as_f64().filter(|number| *number > 0.0);
            number.map(|number| (name.clone(), number)).ok_or_else(|| wrong(format!("{key}: {name} is {value}")))
        })
        .collect()
}

/// The first entry whose name is the module's path or the end of it.
fn fitting(entries: &[(String, f64)], module: &str) -> Option<f64> {
    let fits = |name: &str| module.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    entries.iter().find(|(name, _)| fits(name)).map(|(_, number)| *number)
}

/// Whole numbers without a fraction: peft's own files have them so.
fn plain(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "only when nothing is lost")]
    if number.fract() == 0.0 && number.abs() < 1e9 { json!(number as i64) } else { json!(number) }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Model, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<AdapterConfig> {
        AdapterConfig::of(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn scales_follow_rank_alpha_and_their_patterns() {
        let config = read(r#"{"peft_type": "LORA", "r": 16, "lora_alpha": 32}"#).unwrap();
        assert_eq!(config.scale("encoder.layer.0.attention.self.query"), 2.0);
        let config = read(
            r#"{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_rslora": true,
                "rank_pattern": {"layer.1.attention.self.query": 16}, "alpha_pattern": {"value": 2}}"#,
        )
        .unwrap();
        assert_eq!(config.scale("encoder.layer.0.attention.self.query"), 4.0); // 8 / √4
        assert_eq!(config.scale("encoder.layer.1.attention.self.query"), 2.0); // 8 / √16
        assert_eq!(config.scale("encoder.layer.1.attention.self.value"), 1.0); // 2 / √4
        assert_eq!(config.scale("encoder.layer.1.attention.self.devalue"), 4.0, "only whole names fit");
        let defaults = read(r#"{"peft_type": "LORA"}"#).unwrap();
        assert_eq!((defaults.rank, defaults.alpha), (8, 8.0));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (setting, part) in [
            (r#""use_dora": true"#, "use_dora"),
            (r#""bias": "lora_only""#, "lora_only"),
            (r#""fan_in_fan_out": true"#, "fan_in_fan_out"),
            (r#""init_lora_weights": "pissa""#, "pissa"),
            (r#""rank_pattern": {"^layer.*": 3}"#, "^layer.*"),
            (r#""target_parameters": ["experts"]"#, "target_parameters"),
            (r#""r": 0"#, "no rank"),
        ] {
            let error = read(&format!(r#"{{"peft_type": "LORA", {setting}}}"#)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(read(r#"{"peft_type": "IA3"}"#).unwrap_err().to_string().contains("IA3"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut config =
            read(r#"{"peft_type": "LORA", "r": 4, "lora_alpha": 6.5, "target_modules": ["query"]}"#).unwrap();
        config.base = Some("bert".into());
        config.alpha_pattern = vec![("value".into(), 3.0)];
        config.write(folder.path()).unwrap();
        assert_eq!(AdapterConfig::read(folder.path()).unwrap(), config);
        assert!(is_adapter(folder.path()));
        let message = base(folder.path(), None).unwrap_err().to_string();
        assert!(message.contains("\"bert\"") && message.contains("beside the adapter"), "{message}");
        assert_eq!(base(folder.path(), Some(Path::new("x"))).unwrap(), Path::new("x"));
    }
}
