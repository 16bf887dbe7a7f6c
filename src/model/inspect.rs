//! What can be said of a model folder without computing a vector: files, sizes, and what its tokenizer does to text.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::sentence_transformers::ModelFolder;
use crate::error::{Context as _, ErrorKind, Result};
use crate::files;

/// `config.json`, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// `model_type`.
    pub name: String,
    /// Settings that tell its size, as they are in the file.
    pub sizes: Vec<(String, Value)>,
}

/// What a tokenizer does to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenized {
    /// How many tokens, without special ones.
    pub tokens: usize,
    /// How many of them say that nothing is known.
    pub unknown: usize,
    /// The tokens as text again.
    pub again: String,
}

/// Settings of a size, under any name that architectures have for them.
const SIZES: [&str; 13] = [
    "hidden_size",
    "d_model",
    "num_hidden_layers",
    "encoder_layers",
    "num_layers",
    "num_attention_heads",
    "encoder_attention_heads",
    "num_heads",
    "intermediate_size",
    "encoder_ffn_dim",
    "d_ff",
    "vocab_size",
    "max_position_embeddings",
];

/// Reads `config.json` of a folder.
///
/// # Errors
/// Kind `Model`: it cannot be read.
pub fn architecture(folder: &Path) -> Result<Architecture> {
    let path = folder.join("config.json");
    let doing = || format!("reading the model configuration {}", path.display());
    let text = files::read_text(&path).context(ErrorKind::Model, doing)?;
    let table: Map<String, Value> = serde_json::from_str(&text).context(ErrorKind::Model, doing)?;
    let name = table.get("model_type").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    let sizes = SIZES.iter().filter_map(|key| Some(((*key).to_owned(), table.get(*key)?.clone()))).collect();
    Ok(Architecture { name, sizes })
}

/// Takes texts to tokens and back.
///
/// # Errors
/// Kind `Model`: there is no tokenizer.json, or it fails.
pub fn tokenize(model: &ModelFolder, texts: &[&str]) -> Result<Vec<Tokenized>> {
    let path = model.tokenizer.join("tokenizer.json");
    let doing = || format!("reading the tokenizer {}", path.display());
    let bytes = files::read(&path).context(ErrorKind::Model, doing)?;
    let mut tokenizer = Tokenizer::from_bytes(&bytes).context(ErrorKind::Model, doing)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).context(ErrorKind::Model, doing)?;
    let unknown = ["[UNK]", "<unk>"].iter().find_map(|name| tokenizer.token_to_id(name));
    texts
        .iter()
        .map(|text| {
            let encoding = tokenizer.encode_fast(*text, false).context(ErrorKind::Model, || "tokenizing".to_owned())?;
            let again =
                tokenizer.decode(encoding.get_ids(), true).context(ErrorKind::Model, || "decoding".to_owned())?;
            let lost = encoding.get_ids().iter().filter(|&&id| Some(id) == unknown).count();
            Ok(Tokenized { tokens: encoding.get_ids().len(), unknown: lost, again })
        })
        .collect()
}
