//! The folder form of sentence-transformers: which transformer, how its tokens become one vector, how long a text may
//! be.
//!
//! Read as plain data; no numbers are computed here. Both forms of the files are read: the one of releases up to 5 and
//! the one that release 6 writes. The older is written, since every release reads it.
//!
//! Three other folders are opened as if they were of that form: a plain one of transformers, when the caller says how to
//! pool; a PEFT adapter's, which has the form of its base; an adapter that was saved with modules of its own.

mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adapter;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;

pub use write::TOKENIZER_FILES;

/// The file that says of which modules a model is made.
const MODULES: &str = "modules.json";

/// What a folder alone does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// How to pool where there is no modules.json.
    pub pooling: Option<PoolingMode>,
    /// Whether vectors are then scaled to unit length by the model itself. (Ours always are at the end.)
    pub normalize: bool,
    /// The base of an adapter, instead of the one that it names.
    pub base: Option<PathBuf>,
}

/// A model folder, read.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFolder {
    /// The folder of config.json and the weights; of an adapter, its base's.
    pub transformer: PathBuf,
    /// The folder of tokenizer.json: the same, unless an adapter brings one.
    pub tokenizer: PathBuf,
    /// The folder of a PEFT adapter over the weights.
    pub adapter: Option<PathBuf>,
    /// The length limit in tokens, special tokens included; `None` when the folder names none.
    pub max_seq_length: Option<usize>,
    /// Whether texts are lower-cased before the tokenizer sees them.
    pub lower_case: bool,
    /// Whether a text over the limit loses its beginning rather than its end.
    pub truncate_left: bool,
    /// How tokens become one vector.
    pub pooling: Pooling,
    /// What follows, in order.
    pub head: Vec<HeadModule>,
    /// Named texts to put before what is encoded (`query: `).
    pub prompts: BTreeMap<String, String>,
    /// Which of them to use when nobody chooses.
    pub default_prompt_name: Option<String>,
    /// Only this many first numbers of a vector are meant to be used.
    pub truncate_dim: Option<usize>,
}

/// The folder of a model without a network: a table with one vector a token.
#[derive(Debug, Clone, PartialEq)]
pub struct StaticFolder {
    /// The folder of the table (`model.safetensors`) and tokenizer.json.
    pub embedding: PathBuf,
    /// Named texts to put before what is encoded.
    pub prompts: BTreeMap<String, String>,
    /// Which of them to use when nobody chooses.
    pub default_prompt_name: Option<String>,
    /// Only this many first numbers of a vector are meant to be used.
    pub truncate_dim: Option<usize>,
}

/// How tokens become one vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooling {
    /// One part of the vector each, joined in this order. Never empty.
    pub modes: Vec<PoolingMode>,
    /// Whether the prompt's tokens count.
    pub include_prompt: bool,
}

/// One way to make one vector of the tokens' vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolingMode {
    /// The first token's.
    Cls,
    /// The largest number of each column.
    Max,
    /// The mean.
    Mean,
    /// The sum over the square root of the number of tokens.
    #[serde(rename = "mean_sqrt_len_tokens")]
    MeanSqrt,
    /// The mean, the k-th token weighing k.
    WeightedMean,
    /// The last token's.
    LastToken,
}

impl std::str::FromStr for PoolingMode {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let all = BOOLEANS.map(|(_, mode)| mode);
        let found = all.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| format!("{text:?} is no pooling: expected {}", all.map(Self::name).join(", ")))
    }
}

impl PoolingMode {
    /// Its name in the new form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::MeanSqrt => "mean_sqrt_len_tokens",
            Self::WeightedMean => "weightedmean",
            Self::LastToken => "lasttoken",
        }
    }
}

/// What may follow the pooling.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadModule {
    /// A matrix and an activation.
    Dense(Dense),
    /// Scaling to unit length.
    Normalize,
}

/// A matrix and an activation.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// The folder of its config.json and weights.
    pub folder: PathBuf,
    /// Width before.
    pub in_features: usize,
    /// Width after.
    pub out_features: usize,
    /// Whether a bias is added.
    pub bias: bool,
    /// The last part of the activation's class name: `Tanh`, `Identity`.
    pub activation: String,
}

/// An entry of modules.json.
#[derive(Debug, Deserialize)]
struct ModuleEntry {
    path: String,
    #[serde(rename = "type")]
    class: String,
}

impl ModuleEntry {
    /// `Pooling` of `sentence_transformers.models.Pooling` and of
    /// `sentence_transformers.sentence_transformer.modules.pooling.Pooling`.
    fn name(&self) -> &str {
        last_part(&self.class)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ModelSettings {
    prompts: BTreeMap<String, Option<String>>,
    default_prompt_name: Option<String>,
    truncate_dim: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TransformerSettings {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenizerSettings {
    /// A huge number, beyond 64 bits, where there is no limit.
    model_max_length: Option<Value>,
    truncation_side: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Architecture {
    model_type: String,
}

#[derive(Debug, Deserialize)]
struct DenseSettings {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default = "tanh")]
    activation_function: String,
    #[serde(default)]
    use_residual: bool,
}

fn yes() -> bool {
    true
}

fn tanh() -> String {
    "Tanh".to_owned()
}

impl ModelFolder {
    /// Reads a model folder that says all itself.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(folder: &Path) -> Result<Self> {
        Self::open(folder, &Opening::default())
    }

    /// Reads a model folder, helped by what the caller knows.
    ///
    /// # Errors
    /// Kind `Model`, with the file: one that cannot be read, a module that is not known, modules in an order that is
    /// not (transformer, pooling, then any of Dense and Normalize), a pooling that nobody names or that two name
    /// differently, an adapter whose base is not there.
    pub fn open(folder: &Path, opening: &Opening) -> Result<Self> {
        if !folder.is_dir() {
            return Err(model_error(format!("{} is no folder", folder.display())));
        }
        let own = folder.join(MODULES).is_file();
        if !adapter::is_adapter(folder) {
            return if own { Self::of_modules(folder, opening) } else { Self::plain(folder, opening) };
        }
        let base = adapter::base(folder, opening.base.as_deref())?;
        let mut model = match base.join(MODULES).is_file() {
            // The adapter's own modules say how the vectors are made; the base's, where its transformer is.
            true if own => Self {
                transformer: Self::of_modules(&base, &Opening::default())?.transformer,
                ..Self::of_modules(folder, opening)?
            },
            true => Self::of_modules(&base, opening)?,
            false if own => Self { transformer: base, ..Self::of_modules(folder, opening)? },
            false => Self::plain(&base, opening)?,
        };
        let brings_one = folder.join("tokenizer.json").is_file();
        model.tokenizer = if brings_one { folder.to_path_buf() } else { model.transformer.clone() };
        model.adapter = Some(folder.to_path_buf());
        Ok(model)
    }

    /// A folder with modules.json.
    fn of_modules(folder: &Path, opening: &Opening) -> Result<Self> {
        let index = folder.join(MODULES);
        let entries: Vec<ModuleEntry> = read_json(&index)?;
        let names: Vec<_> = entries.iter().map(ModuleEntry::name).collect();
        let [first, second, rest @ ..] = entries.as_slice() else {
            return Err(wrong_modules(&index, &names));
        };
        if first.name() != "Transformer" || second.name() != "Pooling" {
            return Err(wrong_modules(&index, &names));
        }
        let pooling = read_pooling(&folder.join(&second.path))?;
        if let Some(wanted) = opening.pooling.filter(|wanted| pooling.modes != [*wanted]) {
            let said: Vec<_> = pooling.modes.iter().map(|mode| mode.name()).collect();
            return Err(model_error(format!(
                "{} says that the pooling is {}, and {} is asked for: leave the pooling out",
                index.display(),
                said.join(" + "),
                wanted.name()
            )));
        }
        let mut head = Vec::new();
        for entry in rest {
            head.push(match entry.name() {
                "Dense" => HeadModule::Dense(read_dense(&folder.join(&entry.path))?),
                "Normalize" => HeadModule::Normalize,
                _ => return Err(wrong_modules(&index, &names)),
            });
        }
        let model: ModelSettings = read_json_or_default(&folder.join("config_sentence_transformers.json"))?;
        Self::with(folder.join(&first.path), pooling, head, model)
    }

    /// A folder of transformers alone. The encoders of NLLB and T5 are averaged over their tokens when nobody names a
    /// pooling: nothing else is in use for them.
    fn plain(folder: &Path, opening: &Opening) -> Result<Self> {
        let config: Architecture = read_json_or_default(&folder.join("config.json"))?;
        let usual = ["m2m_100", "t5"].contains(&config.model_type.as_str()).then_some(PoolingMode::Mean);
        let Some(mode) = opening.pooling.or(usual) else {
            let what = if folder.join("config.json").is_file() { "a model of transformers" } else { "a folder" };
            return Err(model_error(format!(
                "{} is {what} that has no modules.json, so nothing says how a text's tokens become one vector: name the \
                 pooling (in a pipeline, embed.pooling = \"mean\"; elsewhere, --pooling mean), or give the folder of a \
                 sentence-transformers model",
                folder.display()
            )));
        };
        let pooling = Pooling { modes: vec![mode], include_prompt: true };
        let head = if opening.normalize { vec![HeadModule::Normalize] } else { Vec::new() };
        Self::with(folder.to_path_buf(), pooling, head, ModelSettings::default())
    }

    fn with(transformer: PathBuf, pooling: Pooling, head: Vec<HeadModule>, model: ModelSettings) -> Result<Self> {
        let settings: TransformerSettings = read_json_or_default(&transformer.join("sentence_bert_config.json"))?;
        let tokenizer: TokenizerSettings = read_json_or_default(&transformer.join("tokenizer_config.json"))?;
        Ok(Self {
            max_seq_length: settings.max_seq_length.or_else(|| token_limit(tokenizer.model_max_length.as_ref())),
            lower_case: settings.do_lower_case,
            truncate_left: tokenizer.truncation_side.as_deref() == Some("left"),
            tokenizer: transformer.clone(),
            adapter: None,
            transformer,
            pooling,
            head,
            prompts: model.prompts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect(),
            default_prompt_name: model.default_prompt_name,
            truncate_dim: model.truncate_dim,
        })
    }

    /// The prompt to use when nobody chooses one: empty, or the one that the folder names.
    ///
    /// # Errors
    /// Kind `Model`: the folder names a prompt that it does not hold.
    pub fn default_prompt(&self) -> Result<&str> {
        default_prompt(&self.prompts, self.default_prompt_name.as_deref())
    }
}

impl StaticFolder {
    /// Reads a model folder. `None` when its first module is no `StaticEmbedding`, or it has no modules.json.
    ///
    /// # Errors
    /// Kind `Model`, with the file: one that cannot be read, or a module that is not `Normalize` after the first.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let index = folder.join("modules.json");
        if !index.is_file() {
            return Ok(None);
        }
        let entries: Vec<ModuleEntry> = read_json(&index)?;
        let Some((first, rest)) = entries.split_first().filter(|(first, _)| first.name() == "StaticEmbedding") else {
            return Ok(None);
        };
        if let Some(other) = rest.iter().find(|entry| entry.name() != "Normalize") {
            return Err(model_error(format!(
                "{} lists the module {} after StaticEmbedding; only Normalize is supported there",
                index.display(),
                other.name()
            )));
        }
        let model: ModelSettings = read_json_or_default(&folder.join("config_sentence_transformers.json"))?;
        Ok(Some(Self {
            embedding: folder.join(&first.path),
            prompts: model.prompts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect(),
            default_prompt_name: model.default_prompt_name,
            truncate_dim: model.truncate_dim,
        }))
    }

    /// As [`ModelFolder::default_prompt`].
    ///
    /// # Errors
    /// As there.
    pub fn default_prompt(&self) -> Result<&str> {
        default_prompt(&self.prompts, self.default_prompt_name.as_deref())
    }
}

fn default_prompt<'a>(prompts: &'a BTreeMap<String, String>, name: Option<&str>) -> Result<&'a str> {
    let Some(name) = name else {
        return Ok("");
    };
    prompts.get(name).map(String::as_str).ok_or_else(|| {
        let known: Vec<_> = prompts.keys().map(String::as_str).collect();
        model_error(format!("the default prompt {name:?} is not among the model's prompts ({})", known.join(", ")))
    })
}
/// The modes and their switches in a pooling's config.json, in the order in which sentence-transformers joins them.
const BOOLEANS: [(&str, PoolingMode); 6] = [
    ("pooling_mode_cls_token", PoolingMode::Cls),
    ("pooling_mode_max_tokens", PoolingMode::Max),
    ("pooling_mode_mean_tokens", PoolingMode::Mean),
    ("pooling_mode_mean_sqrt_len_tokens", PoolingMode::MeanSqrt),
    ("pooling_mode_weightedmean_tokens", PoolingMode::WeightedMean),
    ("pooling_mode_lasttoken", PoolingMode::LastToken),
];

/// The pooling of `folder/config.json`: `pooling_mode` (a name or a list), or else one boolean a mode.
fn read_pooling(folder: &Path) -> Result<Pooling> {
    let path = folder.join("config.json");
    let settings: BTreeMap<String, Value> = read_json(&path)?;
    let modes: Vec<PoolingMode> = match settings.get("pooling_mode") {
        Some(Value::Array(names)) => names.iter().map(|name| pooling_mode(name, &path)).collect::<Result<_>>()?,
        Some(name) => vec![pooling_mode(name, &path)?],
        None => BOOLEANS
            .into_iter()
            .filter(|(key, _)| settings.get(*key) == Some(&Value::Bool(true)))
            .map(|(_, mode)| mode)
            .collect(),
    };
    if modes.is_empty() {
        return Err(model_error(format!("{} names no way of pooling", path.display())));
    }
    let include_prompt = settings.get("include_prompt") != Some(&Value::Bool(false));
    Ok(Pooling { modes, include_prompt })
}

fn pooling_mode(name: &Value, path: &Path) -> Result<PoolingMode> {
    PoolingMode::deserialize(name)
        .context(ErrorKind::Model, || format!("the pooling mode {name} of {}", path.display()))
}

fn read_dense(folder: &Path) -> Result<Dense> {
    let path = folder.join("config.json");
    let settings: DenseSettings = read_json(&path)?;
    if settings.use_residual {
        return Err(model_error(format!("{}: use_residual is not supported", path.display())));
    }
    Ok(Dense {
        folder: folder.to_path_buf(),
        in_features: settings.in_features,
        out_features: settings.out_features,
        bias: settings.bias,
        activation: last_part(&settings.activation_function).to_owned(),
    })
}

/// A tokenizer's limit, unless it is the huge number that stands for none.
fn token_limit(value: Option<&Value>) -> Option<usize> {
    value.and_then(Value::as_u64).filter(|&limit| limit <= 1 << 32).and_then(|limit| usize::try_from(limit).ok())
}

fn last_part(dotted: &str) -> &str {
    dotted.rsplit('.').next().unwrap_or(dotted)
}

fn wrong_modules(index: &Path, names: &[&str]) -> Error {
    model_error(format!(
        "{} lists the modules {}; supported are Transformer, Pooling, then any of Dense and Normalize",
        index.display(),
        names.join(", ")
    ))
}

fn model_error(message: String) -> Error {
    Error::new(ErrorKind::Model, message)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let doing = || format!("reading the model file {}", path.display());
    let text = files::read_text(path).context(ErrorKind::Model, doing)?;
    serde_json::from_str(&text).context(ErrorKind::Model, doing)
}

fn read_json_or_default<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    if path.is_file() { read_json(path) } else { Ok(T::default()) }
}

#[cfg(test)]
mod tests;
