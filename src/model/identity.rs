//! The id of a model folder's vectors, known without opening its weights: a hash of the folder's files and of how they
//! are opened.

use std::path::{Path, PathBuf};

use super::ModelId;
use super::sentence_transformers::{ModelFolder, Opening, StaticFolder};
use super::torch::Options;
use super::torch::compute::Compute;
use super::torch::network::NetworkConfig;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files::{self, FileHashes};

/// Raised when the same files give other vectors.
const VERSION: u32 = 1;

/// Files that vectors may depend on. Others (cards, pictures, other programs' formats) do not change the id.
const EXTENSIONS: [&str; 6] = ["json", "txt", "model", "safetensors", "bin", "vocab"];

/// Folders in folders that are looked into.
const MAX_DEPTH: usize = 3;

/// What the vectors of a folder depend on, in one name: a readable part and a hash. Where the folder lies and what it is
/// called is not part of it.
///
/// # Errors
/// Kind `Model`: the folder describes no model, or a device is not there.
pub fn of_folder(folder: &Path, opening: &Opening, options: &Options, hashes: &mut FileHashes) -> Result<ModelId> {
    let doing = || format!("looking at the model {}", folder.display());
    let found = describe(folder, opening, options).and_then(|(name, form, folders)| {
        let mut hasher = blake3::Hasher::new();
        let how = format!(
            "{VERSION} {:?} {:?} {:?} {} {form}",
            (opening.pooling, opening.normalize),
            options.prompt,
            options.lang,
            options.adapter_apart
        );
        hasher.update(how.as_bytes());
        for part in folders {
            for (name, path) in parts(&part)? {
                hasher.update(name.as_bytes());
                hasher.update(hashes.of(&path)?.as_bytes());
            }
        }
        Ok(ModelId(format!("{name}{form}-{}", &hasher.finalize().to_hex()[..16])))
    });
    found.map_err(|error| match error.kind() {
        ErrorKind::Model => error.while_doing(doing()),
        _ => Error::with_source(ErrorKind::Model, doing(), error),
    })
}

/// What it is, in what numbers it computes, and the folders that it is made of.
fn describe(folder: &Path, opening: &Opening, options: &Options) -> Result<(String, &'static str, Vec<PathBuf>)> {
    if StaticFolder::read(folder)?.is_some() {
        return Ok(("static".to_owned(), "", vec![folder.to_path_buf()]));
    }
    let model = ModelFolder::open(folder, opening)?;
    let config = NetworkConfig::read(&model.transformer)?;
    let modes: Vec<_> = model.pooling.modes.iter().map(|mode| mode.name()).collect();
    let computes = Compute::choose(options.device, options.dtype)?;
    let form = computes.first().map_or("", |compute| compute.suffix());
    // An adapter's base may lie elsewhere.
    let mut folders = vec![folder.to_path_buf()];
    let others = [Some(&model.transformer), Some(&model.tokenizer), model.adapter.as_ref()];
    folders.extend(others.into_iter().flatten().filter(|other| !other.starts_with(folder)).cloned());
    Ok((format!("{}-{}", config.describe(), modes.join("+")), form, folders))
}

/// The files of a folder that vectors may depend on, with their names below it, sorted.
fn parts(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    fn walk(folder: &Path, below: &str, depth: usize, found: &mut Vec<(String, PathBuf)>) -> Result<()> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for path in files::list(folder)? {
            let name = name(&path);
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if EXTENSIONS.contains(&extension) && !name.starts_with('.') {
                found.push((format!("{below}{name}"), path));
            }
        }
        for path in files::list_folders(folder)? {
            let name = name(&path);
            let other_program = matches!(name.as_str(), "onnx" | "openvino" | "coreml");
            if depth > 0 && !name.starts_with('.') && !other_program {
                walk(&path, &format!("{below}{name}/"), depth - 1, found)?;
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, "", MAX_DEPTH, &mut found).context(ErrorKind::Model, || format!("listing {}", folder.display()))?;
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(name: &str) -> tempfile::TempDir {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let to = tempfile::tempdir().unwrap();
        for (name, path) in parts(&from).unwrap() {
            let target = to.path().join(name);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(path, target).unwrap();
        }
        to
    }

    fn id(folder: &Path, options: &Options) -> ModelId {
        of_folder(folder, &Opening::default(), options, &mut FileHashes::default()).unwrap()
    }

    #[test]
    fn the_id_follows_the_files_and_the_way_of_opening_and_not_the_place() {
        let (one, other) = (copy("bert-cls-dense"), copy("bert-cls-dense"));
        let plain = id(one.path(), &Options::default());
        assert!(plain.0.starts_with("bert-"), "{plain}");
        assert_eq!(plain, id(other.path(), &Options::default()), "another place");
        std::fs::write(other.path().join("README.md"), "a card").unwrap();
        assert_eq!(plain, id(other.path(), &Options::default()), "a card");
        let prompted = Options { prompt: Some("query: ".into()), ..Options::default() };
        assert_ne!(plain, id(one.path(), &prompted));
        let weights =
            parts(other.path()).unwrap().into_iter().find(|(name, _)| name.ends_with("safetensors")).unwrap().1;
        // Weights that are cut off are not opened, and are other weights.
        std::fs::write(&weights, b"cut").unwrap();
        assert_ne!(plain, id(other.path(), &Options::default()));
        assert!(
            of_folder(&one.path().join("none"), &Opening::default(), &Options::default(), &mut FileHashes::default())
                .is_err()
        );
    }
}
