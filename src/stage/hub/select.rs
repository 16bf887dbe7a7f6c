//! Which files of a model are fetched: configuration, tokenizer and one form of the weights, and not the same weights
//! again for five other frameworks.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::model::sentence_transformers::TOKENIZER_FILES;

/// A file as the Hub lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Its path in the model.
    #[serde(rename = "rfilename")]
    pub path: String,
    /// Its bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// Its git object: the SHA-1 of a small file's bytes, of a large file's pointer.
    #[serde(rename = "blobId", default)]
    pub object: Option<String>,
    /// A large file's own checksum.
    #[serde(default)]
    pub lfs: Option<Lfs>,
}

/// A large file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lfs {
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Its bytes.
    #[serde(default)]
    pub size: Option<u64>,
}

/// Small files that are wanted where they exist beside the tokenizer's, in the model's folder and in those of its modules.
const SMALL: [&str; 8] = [
    "config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "adapter_config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
];

/// The files to fetch, small ones first, so that what is wrong with a model shows before its gigabytes come.
///
/// # Errors
/// Kind `Model`: a path that leads out of the model's folder, or no weights in a form that is known.
pub fn wanted(listed: &[Listed]) -> Result<Vec<Listed>> {
    if let Some(odd) = listed.iter().find(|file| !is_tame(&file.path)) {
        return Err(Error::new(
            ErrorKind::Model,
            format!("the model lists the file {:?}, no path inside it", odd.path),
        ));
    }
    let (mut small, mut large): (Vec<Listed>, Vec<Listed>) = (Vec::new(), Vec::new());
    let folders: BTreeSet<&str> =
        listed.iter().map(|file| split(&file.path).0).filter(|folder| is_module(folder)).collect();
    for folder in folders {
        let here: Vec<&Listed> = listed.iter().filter(|file| split(&file.path).0 == folder).collect();
        let has = |name: &str| here.iter().any(|file| split(&file.path).1 == name);
        let weights: &dyn Fn(&str) -> bool = if has("model.safetensors") {
            &|name| name == "model.safetensors"
        } else if has("model.safetensors.index.json") {
            &|name| name.starts_with("model-") && name.ends_with(".safetensors")
        } else if has("adapter_model.safetensors") {
            &|name| name == "adapter_model.safetensors"
        } else if has("pytorch_model.bin") {
            &|name| name == "pytorch_model.bin"
        } else if has("pytorch_model.bin.index.json") {
            &|name| name.starts_with("pytorch_model-") && name.ends_with(".bin")
        } else {
            &|_| false
        };
        let safe = has("model.safetensors") || has("model.safetensors.index.json");
        for file in here {
            let name = split(&file.path).1;
            if (SMALL.contains(&name) || TOKENIZER_FILES.contains(&name))
                && !(safe && name == "pytorch_model.bin.index.json")
            {
                small.push(file.clone());
            } else if weights(name) {
                large.push(file.clone());
            }
        }
    }
    if large.is_empty() {
        return Err(Error::new(
            ErrorKind::Model,
            "the model has no weights in a form that is read here (safetensors, pytorch_model.bin)",
        ));
    }
    small.append(&mut large);
    Ok(small)
}

/// The model's own folder, or a module's: `1_Pooling`, `0_Transformer`.
fn is_module(folder: &str) -> bool {
    folder.is_empty()
        || folder.split_once('_').is_some_and(|(number, name)| {
            !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) && !name.contains('/')
        })
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Whether a path stays inside its folder, on every system.
fn is_tame(path: &str) -> bool {
    !path.contains(['\\', ':', '\0']) && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(listed: &[&str]) -> Result<Vec<String>> {
        let files: Vec<Listed> = listed
            .iter()
            .map(|path| Listed { path: (*path).to_owned(), size: Some(1), object: None, lfs: None })
            .collect();
        Ok(wanted(&files)?.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn one_form_of_the_weights_and_what_explains_them() {
        let labse = [
            ".gitattributes",
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
            "2_Dense/pytorch_model.bin",
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "model.safetensors",
            "modules.json",
            "onnx/model.onnx",
            "onnx/config.json",
            "pytorch_model.bin",
            "tf_model.h5",
            "tokenizer.json",
        ];
        let expected = [
            "config.json",
            "modules.json",
            "tokenizer.json",
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "model.safetensors",
            "2_Dense/model.safetensors",
        ];
        assert_eq!(paths(&labse).unwrap(), expected);
        assert_eq!(paths(&["config.json", "pytorch_model.bin"]).unwrap(), ["config.json", "pytorch_model.bin"]);
        let sharded =
            ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "pytorch_model.bin.index.json"];
        assert_eq!(paths(&sharded).unwrap(), ["model.safetensors.index.json", "model-00001-of-00002.safetensors"]);
        assert_eq!(paths(&["0_StaticEmbedding/model.safetensors"]).unwrap(), ["0_StaticEmbedding/model.safetensors"]);
    }

    #[test]
    fn paths_that_lead_elsewhere_and_models_without_weights_are_refused() {
        for path in ["../x", "/etc/passwd", "a//b", "a\\b", "c:x"] {
            assert!(paths(&["model.safetensors", path]).unwrap_err().to_string().contains("no path inside"), "{path}");
        }
        assert!(paths(&["config.json", "tf_model.h5"]).unwrap_err().to_string().contains("no weights"));
    }
}
