//! A model folder of any form that is read here (an adapter over its base, several files, a pickle, a plain folder with
//! a pooling), written as one folder of sentence-transformers that needs nothing else.

use std::path::Path;

use serde_json::Value;

use super::weights::{Checkpoint, Entry, FILE, write};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::model::inspect::architecture;
use crate::model::sentence_transformers::{HeadModule, ModelFolder};

/// Writes a model's folder. It appears under its name when it is whole; a folder of that name that holds anything is
/// left alone. Tensors keep their names and types; an adapter is merged (in f32, then back to the stored type).
///
/// # Errors
/// Kind `Store`: `target` is not empty or cannot be written. Kind `Model`: the weights cannot be read.
pub fn save(model: &ModelFolder, target: &Path) -> Result<()> {
    let occupied = std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) || target.is_file();
    if occupied {
        return Err(Error::new(
            ErrorKind::Store,
            format!("{} is there already and not empty: name another folder", target.display()),
        ));
    }
    files::write_folder_atomically(target, |folder| {
        let written = model.write(folder, width(model)?)?;
        let checkpoint = Checkpoint::open_with(&model.transformer, model.adapter.as_deref())?;
        copy(&checkpoint, &written.transformer.join(FILE))?;
        let dense = model.head.iter().filter_map(|head| match head {
            HeadModule::Dense(dense) => Some(dense),
            HeadModule::Normalize => None,
        });
        for (dense, folder) in dense.zip(&written.dense) {
            copy(&Checkpoint::open(&dense.folder)?, &folder.join(FILE))?;
        }
        Ok(())
    })
}

/// Writes a checkpoint's tensors, one in memory at a time.
fn copy(checkpoint: &Checkpoint, path: &Path) -> Result<()> {
    // Tensors of two names (tied embeddings) are written once, with a remark of the other name.
    let (entries, remarks) = checkpoint.distinct()?;
    write(path, &entries, &remarks, |entry: &Entry| checkpoint.tensor(&entry.name))
}

/// Numbers in a token's vector.
fn width(model: &ModelFolder) -> Result<usize> {
    let sizes = architecture(&model.transformer)?.sizes;
    let named = sizes.iter().find(|(name, _)| name == "hidden_size" || name == "d_model");
    let width = named.and_then(|(_, value)| Value::as_u64(value)).and_then(|width| usize::try_from(width).ok());
    // transformers' own default of the BERT family.
    Ok(width.unwrap_or(768))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::Encoder as _;
    use crate::model::torch::{Options, TorchEncoder};

    #[test]
    fn a_merged_adapter_has_the_vectors_of_the_two() {
        let golden = |name: &str| -> PathBuf { Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name) };
        let texts = ["Mugallym mekdebe irden gelýär.", "Мост!"];
        for name in ["bert-lora", "bert-cls-dense", "xlmr-mean"] {
            let target = tempfile::tempdir().unwrap();
            let target = target.path().join("merged");
            save(&ModelFolder::read(&golden(name)).unwrap(), &target).unwrap();
            let vectors =
                |folder: &Path| TorchEncoder::open(folder, &Options::default()).unwrap().encode(&texts).unwrap();
            assert_eq!(vectors(&target), vectors(&golden(name)), "{name}");
            assert!(!target.join("adapter_config.json").exists());
            let again = save(&ModelFolder::read(&golden(name)).unwrap(), &target).unwrap_err();
            assert!(again.to_string().contains("not empty"), "{again}");
        }
    }
}
