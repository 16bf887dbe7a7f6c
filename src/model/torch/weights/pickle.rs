//! `pytorch_model.bin`: converted once to safetensors, which maps into memory, starts in no time and runs no code.
//!
//! Read by `archive`, one tensor in memory at a time.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::FILE as SAFE;
use super::archive::{Archive, Stored};
use super::write::{Entry, write};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;

/// The name of torch's own file of weights.
pub(super) const FILE: &str = "pytorch_model.bin";
/// The name of the file that says which of several files each tensor is in.
pub(super) const INDEX: &str = "pytorch_model.bin.index.json";

/// What every zip begins with; torch.save writes zips since release 1.6 of 2020.
const ZIP: &[u8] = b"PK\x03\x04";

/// Converted weights.
pub(super) struct Converted {
    /// The safetensors file.
    pub(super) path: PathBuf,
    /// What was done and why, if it was done just now.
    pub(super) told: Option<String>,
}

/// The converted weights of a folder, converted now if they are not yet; `None` where there is no `pytorch_model.bin`.
///
/// # Errors
/// Kind `Model`: the file is of the form before 2020, or damaged. Kind `Store`: neither the folder nor the cache can be
/// written.
pub(super) fn convert(folder: &Path) -> Result<Option<Converted>> {
    let sources = if folder.join(FILE).is_file() {
        vec![folder.join(FILE)]
    } else if folder.join(INDEX).is_file() {
        super::indexed(&folder.join(INDEX))?
    } else {
        return Ok(None);
    };
    let cached = cache_of(&sources)?.join(SAFE);
    if cached.is_file() {
        return Ok(Some(Converted { path: cached, told: None }));
    }
    let archives = sources.iter().map(|source| open(source)).collect::<Result<Vec<_>>>()?;
    // A snapshot of the Hub's cache is a folder of links that other tools look after.
    let foreign = sources.iter().any(|source| source.is_symlink());
    let beside = folder.join(SAFE);
    let path = if !foreign && save(&beside, &archives).is_ok() {
        beside
    } else {
        save(&cached, &archives)?;
        cached
    };
    let told = format!(
        "{} was converted once to {}: it is read faster there, and without running a pickle",
        sources.first().map(|source| source.display().to_string()).unwrap_or_default(),
        path.display()
    );
    Ok(Some(Converted { path, told: Some(told) }))
}

/// A file of `torch.save`.
fn open(path: &Path) -> Result<Archive> {
    let mut start = [0; 4];
    files::open(path)?
        .read_exact(&mut start)
        .context(ErrorKind::Model, || format!("reading {} (is the file cut off? fetch it again)", path.display()))?;
    if start != ZIP {
        return Err(Error::new(
            ErrorKind::Model,
            format!(
                "{} is not in the form that torch.save writes since 2020 (a zip), so it is not read: load and save it \
                 once with Python (transformers' from_pretrained, then save_pretrained)",
                path.display()
            ),
        ));
    }
    let archive = Archive::open(path)?;
    if archive.tensors().is_empty() {
        return Err(Error::new(ErrorKind::Model, format!("{} holds no tensors by name", path.display())));
    }
    Ok(archive)
}

/// Writes tensors; those that are one and the same (tied embeddings) once, with a remark of their other names, as
/// safetensors' own `save_model` does.
fn save(path: &Path, archives: &[Archive]) -> Result<()> {
    let mut kept: HashMap<(usize, &Stored), &str> = HashMap::new();
    let mut sources: HashMap<&str, (&Archive, &Stored)> = HashMap::new();
    let (mut entries, mut remarks) = (Vec::new(), Vec::new());
    for (number, archive) in archives.iter().enumerate() {
        for (name, tensor) in archive.tensors() {
            if let Some(first) = kept.get(&(number, tensor)) {
                remarks.push((name.clone(), (*first).to_owned()));
                continue;
            }
            kept.insert((number, tensor), name);
            sources.insert(name, (archive, tensor));
            entries.push(Entry { name: name.clone(), kind: tensor.kind.kind(), shape: tensor.shape.clone() });
        }
    }
    write(path, &entries, &remarks, |entry| {
        let (archive, tensor) = sources.get(entry.name.as_str()).ok_or_else(|| Error::bug("a lost tensor"))?;
        archive.read(tensor)
    })
}

/// Our own cache's folder for these very files: named by their paths, sizes and times.
fn cache_of(sources: &[PathBuf]) -> Result<PathBuf> {
    let mut hasher = blake3::Hasher::new();
    for source in sources {
        // Through links, so that a file of the Hub's cache has one place whatever snapshot names it.
        let doing = || format!("looking at {}", source.display());
        let real = source.canonicalize().context(ErrorKind::Model, doing)?;
        let data = real.metadata().context(ErrorKind::Model, doing)?;
        let modified = data.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        hasher.update(real.as_os_str().as_encoded_bytes());
        hasher.update(&data.len().to_le_bytes());
        hasher.update(&modified.unwrap_or_default().as_nanos().to_le_bytes());
    }
    Ok(our_cache().join("converted").join(&hasher.finalize().to_hex()[..32]))
}

/// `KOPRI_CACHE`, or `kopri` in `XDG_CACHE_HOME` or `~/.cache`.
pub fn our_cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("KOPRI_CACHE").unwrap_or_else(|| {
        let home = || variable("HOME").unwrap_or_else(|| PathBuf::from(".")).join(".cache");
        variable("XDG_CACHE_HOME").unwrap_or_else(home).join("kopri")
    })
}

#[cfg(test)]
mod tests {
    use super::super::Checkpoint;
    use super::*;

    #[test]
    fn a_file_of_torch_save_is_converted_once_beside_it_with_tied_tensors_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tied.bin");
        std::fs::copy(golden, folder.path().join(FILE)).unwrap();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert!(checkpoint.conversion().unwrap().contains("converted once"));
        let names: Vec<String> = checkpoint.entries().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["bf.weight", "count", "lm_head.weight", "shared.weight", "turned.weight"]);
        let numbers = |name: &str| {
            let tensor = checkpoint.tensor(name).unwrap().to_kind(tch::Kind::Float).contiguous().view(-1);
            Vec::<f32>::try_from(tensor).unwrap()
        };
        assert_eq!(numbers("lm_head.weight"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(numbers("shared.weight"), numbers("lm_head.weight"));
        assert_eq!(numbers("turned.weight"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(numbers("bf.weight"), [0.5, -2.0]);
        let written = std::fs::metadata(folder.path().join(SAFE)).unwrap().len();
        assert!(written < 8 + 600 + 24 + 24 + 8 + 4, "the tied tensor is there once: {written} bytes");
        let again = Checkpoint::open(folder.path()).unwrap();
        assert_eq!((again.conversion(), again.hash()), (None, checkpoint.hash()));
    }

    #[test]
    fn the_old_form_and_damage_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let error = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Checkpoint::open(folder.path()).unwrap_err().to_string()
        };
        assert!(error(b"\x80\x02\x8a\x0al").contains("since 2020"));
        assert!(error(b"PK").contains("cut off"));
        assert!(error(b"PK\x03\x04 and no zip").contains("damaged"));
    }
}
