//! A folder of sentence-transformers, written: all but the weights, which who has the tensors writes into it.
//!
//! The older form is written (type names of releases up to 5, one boolean a pooling mode): release 6 reads it as well,
//! and older ones read no other.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{BOOLEANS, HeadModule, MODULES, ModelFolder};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::model::adapter;

/// The files that a tokenizer may consist of.
pub const TOKENIZER_FILES: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
];

/// A folder whose configuration is written and whose weights are to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where the transformer's weights belong.
    pub transformer: PathBuf,
    /// Where the weights of the Dense modules belong (`linear.weight`, `linear.bias`), in order.
    pub dense: Vec<PathBuf>,
}

impl ModelFolder {
    /// Writes all but the weights of this model into `target`: modules.json and what it names, prompts, the length limit,
    /// the transformer's config.json and the tokenizer's files. `width` is the transformer's width; an adapter leaves no
    /// trace, for its weights are to be written merged.
    ///
    /// # Errors
    /// Kind `Store`: a file cannot be written; kind `Model`: one cannot be read; an activation that has no name in torch.
    pub fn write(&self, target: &Path, width: usize) -> Result<Written> {
        files::create_folder(target)?;
        let mut modules = vec![module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")];
        let mut dense_folders = Vec::new();
        let mut dim = width * self.pooling.modes.len();
        for (number, head) in self.head.iter().enumerate() {
            let number = number + 2;
            match head {
                HeadModule::Dense(dense) => {
                    let name = format!("{number}_Dense");
                    let folder = target.join(&name);
                    write_json(
                        &folder.join("config.json"),
                        &json!({
                            "in_features": dense.in_features,
                            "out_features": dense.out_features,
                            "bias": dense.bias,
                            "activation_function": activation_class(&dense.activation)?,
                        }),
                    )?;
                    modules.push(module(number, &name, "Dense"));
                    dense_folders.push(folder);
                    dim = dense.out_features;
                }
                HeadModule::Normalize => {
                    let name = format!("{number}_Normalize");
                    // An empty folder is lost by tools that carry files only.
                    write_json(&target.join(&name).join("config.json"), &json!({}))?;
                    modules.push(module(number, &name, "Normalize"));
                }
            }
        }
        let mut pooling = Map::new();
        pooling.insert("word_embedding_dimension".into(), json!(width));
        for (key, mode) in BOOLEANS {
            pooling.insert(key.into(), json!(self.pooling.modes.contains(&mode)));
        }
        pooling.insert("include_prompt".into(), json!(self.pooling.include_prompt));
        let in_order = BOOLEANS.iter().map(|(_, mode)| *mode).filter(|mode| self.pooling.modes.contains(mode));
        if !in_order.eq(self.pooling.modes.iter().copied()) {
            return Err(super::model_error(
                "its poolings are joined in an order that the older form of the folder cannot say".to_owned(),
            ));
        }
        write_json(&target.join("1_Pooling").join("config.json"), &Value::Object(pooling))?;

        if let Some(max) = self.max_seq_length {
            let value = json!({"max_seq_length": max, "do_lower_case": self.lower_case});
            write_json(&target.join("sentence_bert_config.json"), &value)?;
        } else if self.lower_case {
            let value = json!({"max_seq_length": null, "do_lower_case": true});
            write_json(&target.join("sentence_bert_config.json"), &value)?;
        }
        let mut model = json!({
            "model_type": "SentenceTransformer",
            "__version__": {"kopri": env!("CARGO_PKG_VERSION")},
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "similarity_fn_name": "cosine",
        });
        if let Some(first) = self.truncate_dim.filter(|first| *first < dim) {
            model["truncate_dim"] = json!(first);
        }
        write_json(&target.join("config_sentence_transformers.json"), &model)?;
        copy(&self.transformer.join("config.json"), &target.join("config.json"))?;
        for name in TOKENIZER_FILES {
            let places = [&self.tokenizer, &self.transformer];
            if let Some(source) = places.iter().map(|place| place.join(name)).find(|path| path.is_file()) {
                copy(&source, &target.join(name))?;
            }
        }
        // Last: who finds it finds a whole folder but for the weights.
        write_json(&target.join(MODULES), &Value::Array(modules))?;
        debug_assert!(!adapter::is_adapter(target));
        Ok(Written { transformer: target.to_path_buf(), dense: dense_folders })
    }
}

fn module(number: usize, path: &str, class: &str) -> Value {
    json!({
        "idx": number,
        "name": number.to_string(),
        "path": path,
        "type": format!("sentence_transformers.models.{class}"),
    })
}

/// The dotted name that sentence-transformers imports.
fn activation_class(name: &str) -> Result<&'static str> {
    Ok(match name {
        "Identity" | "linear" => "torch.nn.modules.linear.Identity",
        "Tanh" | "tanh" => "torch.nn.modules.activation.Tanh",
        "ReLU" | "relu" => "torch.nn.modules.activation.ReLU",
        "GELU" | "gelu" => "torch.nn.modules.activation.GELU",
        other => {
            return Err(super::model_error(format!("the activation {other:?} has no class in torch that is known")));
        }
    })
}

fn copy(source: &Path, target: &Path) -> Result<()> {
    let bytes = files::read(source).map_err(|error| Error::new(ErrorKind::Model, error.to_string()))?;
    files::write_atomically(target, |out| out.write_all(&bytes))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context(ErrorKind::Bug, || format!("writing {}", path.display()))?;
    files::write_atomically(path, |out| out.write_all(text.as_bytes()))
}
