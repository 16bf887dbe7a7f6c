//! Weights of a model folder, by memory map: what a model asks for by name and shape, or one error that lists all that is
//! missing.
//!
//! ```text
//! model.safetensors ───────────────────────┐
//! model.safetensors.index.json ─ its files ┤
//! pytorch_model.bin ─ converted once ──────┼▶ Checkpoint ─ Loader ─▶ tensors, one error for all that is wrong
//! adapter_config.json ─ its base ──────────┤       │
//!                     └ its deltas ────────┘       └ entries, tensor ─▶ write
//! ```
//!
//! A checkpoint knows its tensors by the names of the base's files; an adapter's are laid over them: a delta is added to
//! a matrix when it is read, a tensor that the adapter stores whole takes the place of the base's.

mod archive;
mod file;
mod loader;
mod pickle;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

pub use loader::Loader;
pub use pickle::our_cache;
pub use write::{Entry, write, write_tensors};

use self::file::TensorFile;
use super::lora::{self, Delta};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;
use crate::model::adapter;

/// The name of the file that a transformers or sentence-transformers folder keeps its weights in.
pub const FILE: &str = "model.safetensors";

/// The open weights of a model.
#[derive(Debug)]
pub struct Checkpoint {
    /// What errors name: the file, or the folder of several.
    place: PathBuf,
    files: Vec<TensorFile>,
    /// Name of a tensor → the file it is in, and its name there.
    homes: HashMap<String, Home>,
    /// Name of a matrix → what an adapter adds to it.
    deltas: HashMap<String, Delta>,
    /// Hash of the adapter's settings.
    adapter: Option<blake3::Hash>,
    conversion: Option<String>,
    /// Whether matrices are read without what an adapter adds to them.
    apart: bool,
}

/// Tensors that are another under a second name: (second name, kept name).
pub type SecondNames = Vec<(String, String)>;

/// Where a tensor lies.
#[derive(Debug, Clone)]
struct Home {
    file: usize,
    name: String,
}

/// `model.safetensors.index.json`.
#[derive(Debug, Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens the weights of a folder: `model.safetensors`, the several files of an index, or `pytorch_model.bin`, which
    /// is converted once (beside it, or in our cache where the folder cannot be written). A folder with only a PEFT
    /// adapter opens the base that it names, changed by it. Nothing is read but headers.
    ///
    /// # Errors
    /// Kind `Model`: no weights in a form that is known, no valid header, a file of another length than its header says,
    /// an adapter that is not supported or does not fit.
    pub fn open(folder: &Path) -> Result<Self> {
        let weights = [FILE, INDEX, pickle::FILE, pickle::INDEX];
        if !weights.iter().any(|file| folder.join(file).is_file()) && folder.join(adapter::CONFIG).is_file() {
            return Self::open_adapted(&adapter::base(folder, None)?, folder);
        }
        if folder.join(FILE).is_file() {
            return Self::of_files(folder.join(FILE), vec![folder.join(FILE)], None);
        }
        if folder.join(INDEX).is_file() {
            return Self::of_files(folder.to_path_buf(), indexed(&folder.join(INDEX))?, None);
        }
        let Some(converted) = pickle::convert(folder)? else {
            return Err(Error::new(
                ErrorKind::Model,
                format!("{} has no {FILE}, {INDEX}, {} or {}", folder.display(), pickle::FILE, pickle::INDEX),
            ));
        };
        Self::of_files(converted.path.clone(), vec![converted.path], converted.told)
    }

    /// Opens the weights of a base, changed by a PEFT adapter's folder.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_adapted(base: &Path, adapter: &Path) -> Result<Self> {
        let mut checkpoint = Self::open(base)?;
        checkpoint.adapt(adapter).map_err(|error| {
            error.while_doing(format!("applying the adapter {} to {}", adapter.display(), base.display()))
        })?;
        Ok(checkpoint)
    }

    /// [`Self::open_adapted`] where there is an adapter, [`Self::open`] where there is none.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(folder: &Path, adapter: Option<&Path>) -> Result<Self> {
        adapter.map_or_else(|| Self::open(folder), |adapter| Self::open_adapted(folder, adapter))
    }

    fn of_files(place: PathBuf, paths: Vec<PathBuf>, conversion: Option<String>) -> Result<Self> {
        let files = paths.iter().map(|path| TensorFile::open(path)).collect::<Result<Vec<_>>>()?;
        let mut homes = HashMap::new();
        for (number, file) in files.iter().enumerate() {
            let names = file.names().into_iter().map(|name| (name.clone(), name));
            for (name, kept) in names.chain(file.aliases()) {
                homes.insert(name, Home { file: number, name: kept });
            }
        }
        Ok(Self { place, files, homes, deltas: HashMap::new(), adapter: None, conversion, apart: false })
    }

    /// Lays an adapter over the tensors.
    fn adapt(&mut self, folder: &Path) -> Result<()> {
        let config = adapter::AdapterConfig::read(folder)?;
        let path = folder.join(adapter::WEIGHTS);
        if !path.is_file() {
            return Err(Error::new(
                ErrorKind::Model,
                format!("{} is not there (adapter_model.bin is not read: save it with safetensors)", path.display()),
            ));
        }
        let file = TensorFile::open(&path)?;
        let shape = |name: &str| file.info(name).map(|info| info.shape.clone()).unwrap_or_default();
        let known = self.homes.iter().map(|(name, home)| {
            let shape = self.files[home.file].info(&home.name).map(|info| info.shape.clone()).unwrap_or_default();
            (name.clone(), shape)
        });
        let known: HashMap<String, Vec<usize>> = known.collect();
        let changes = lora::changes(&config, &file.names(), shape, &known)
            .map_err(|error| error.while_doing(format!("reading {}", path.display())))?;
        let number = self.files.len();
        for (name, kept) in changes.replaced {
            self.homes.insert(name, Home { file: number, name: kept });
        }
        self.deltas = changes.deltas;
        self.adapter = Some(blake3::hash(&files::read(&folder.join(adapter::CONFIG))?));
        self.files.push(file);
        Ok(())
    }

    /// Keeps what an adapter adds to a matrix apart from it: a [`Loader`] gives linear layers both, to be multiplied one
    /// beside the other, so that a small difference is not lost in the rounding of a matrix of few bits.
    pub fn keep_adapter_apart(&mut self) {
        self.apart = self.adapter.is_some();
    }

    /// Whether there is an adapter that is kept apart.
    pub fn is_apart(&self) -> bool {
        self.apart
    }

    /// The hash of all that the numbers depend on: of the file where there is one, else of all files and the adapter's
    /// settings.
    pub fn hash(&self) -> blake3::Hash {
        if let ([file], None) = (self.files.as_slice(), self.adapter) {
            return file.hash();
        }
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            hasher.update(file.hash().as_bytes());
        }
        if let Some(adapter) = self.adapter {
            hasher.update(adapter.as_bytes());
        }
        hasher.finalize()
    }

    /// What was converted when this was opened, and where the result lies; for people.
    pub fn conversion(&self) -> Option<&str> {
        self.conversion.as_deref()
    }

    /// Every tensor with its stored type and shape, sorted by name.
    ///
    /// # Errors
    /// Kind `Model`: a type that libtorch has no numbers for.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (name, home) in &self.homes {
            let file = &self.files[home.file];
            let dims = file.info(&home.name).map(|info| info.shape.clone()).unwrap_or_default();
            let shape = dims.iter().map(|&n| i64::try_from(n).unwrap_or(0)).collect();
            entries.push(Entry { name: name.clone(), kind: file.kind(&home.name)?, shape });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// [`Self::entries`] without the tensors that are another under a second name; those come as (name, kept name).
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub fn distinct(&self) -> Result<(Vec<Entry>, SecondNames)> {
        let (mut kept, mut second) = (Vec::new(), Vec::new());
        let mut first: HashMap<(usize, &str), String> = HashMap::new();
        for entry in self.entries()? {
            let Some(home) = self.homes.get(&entry.name) else { continue };
            // Under an adapter, tensors of one place may come apart.
            let place = (home.file, home.name.as_str());
            match first.get(&place).filter(|_| self.adapter.is_none()) {
                Some(name) => second.push((entry.name, name.clone())),
                None => {
                    first.insert(place, entry.name.clone());
                    kept.push(entry);
                }
            }
        }
        Ok((kept, second))
    }

    /// A tensor as it is stored (its type too), changed by the adapter if there is one, on the CPU.
    ///
    /// # Errors
    /// Kind `Model`: there is none of this name, or libtorch fails.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let Some(home) = self.homes.get(name) else {
            return Err(Error::new(ErrorKind::Model, format!("{} has no tensor {name:?}", self.place.display())));
        };
        let kind = self.files[home.file].kind(&home.name)?;
        if !self.deltas.contains_key(name) {
            return self.files[home.file].read(&home.name, kind, Device::Cpu);
        }
        self.read(name, kind, Device::Cpu)
    }

    /// Starts taking tensors out. Each name is tried behind each of `prefixes`.
    pub fn loader<'a>(&'a self, prefixes: &'a [&'a str], device: Device) -> Loader<'a> {
        Loader::new(self, prefixes, device)
    }

    fn shape(&self, stored: &str) -> Option<&[usize]> {
        let home = self.homes.get(stored)?;
        self.files[home.file].info(&home.name).map(|info| info.shape.as_slice())
    }

    /// A copy of a stored tensor, in numbers of `wanted`.
    fn read(&self, stored: &str, wanted: Kind, device: Device) -> Result<Tensor> {
        let Some(home) = self.homes.get(stored) else {
            return Err(Error::bug(format!("{stored} was found in the header and is gone")));
        };
        let file = &self.files[home.file];
        let kind = file.kind(&home.name)?;
        if !matches!(kind, Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16) {
            return Err(Error::new(
                ErrorKind::Model,
                format!("{}: {stored} holds {kind:?}; weights must be f64, f32, f16 or bf16", file.path().display()),
            ));
        }
        let Some((down, up)) = self.delta(stored, device)?.filter(|_| !self.apart) else {
            return file.read(&home.name, wanted, device);
        };
        // The sum is taken in f32, whatever it is turned into.
        let tensor = file.read(&home.name, Kind::Float, device)?;
        Ok(tensor.f_add(&up.f_matmul(&down)?)?.f_to_kind(wanted)?)
    }

    /// What the adapter adds to a matrix, in f32: A `[r, in]` and scale·B `[out, r]`.
    fn delta(&self, stored: &str, device: Device) -> Result<Option<(Tensor, Tensor)>> {
        let (Some(delta), Some(adapter)) = (self.deltas.get(stored), self.files.last()) else { return Ok(None) };
        let down = adapter.read(&delta.down, Kind::Float, device)?;
        let up = adapter.read(&delta.up, Kind::Float, device)?.f_mul_scalar(delta.scale)?;
        Ok(Some((down, up)))
    }

    /// [`Self::delta`], where it is kept apart.
    fn delta_apart(&self, stored: &str, device: Device) -> Result<Option<(Tensor, Tensor)>> {
        if self.apart { self.delta(stored, device) } else { Ok(None) }
    }
}

/// The name of the file that says which file each tensor is in.
pub const INDEX: &str = "model.safetensors.index.json";

/// The files of an index, in the order of their names.
fn indexed(index: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("reading {}", index.display());
    let text = files::read_text(index).context(ErrorKind::Model, doing)?;
    let table: Index = serde_json::from_str(&text).context(ErrorKind::Model, doing)?;
    let folder = index.parent().unwrap_or(Path::new("."));
    let mut names: Vec<String> = table.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    let mut paths = Vec::new();
    for name in names {
        let path = folder.join(&name);
        // An index of the web names files of its own folder and no others.
        if Path::new(&name).components().count() != 1 || !path.is_file() {
            return Err(Error::new(
                ErrorKind::Model,
                format!("{} names {name:?}, which is not there: fetch the model again", index.display()),
            ));
        }
        paths.push(path);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    fn write(folder: &Path, tensors: &[(&str, Dtype, &[usize], &[u8])]) {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            ((*name).to_owned(), TensorView::new(*dtype, shape.to_vec(), bytes).unwrap())
        });
        std::fs::write(folder.join(FILE), safetensors::serialize(views, None).unwrap()).unwrap();
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap()
    }

    #[test]
    fn names_are_found_behind_prefixes_and_under_their_old_form_and_half_precision_is_widened() {
        let folder = tempfile::tempdir().unwrap();
        let two = [1.5_f32, -2.0].map(f32::to_le_bytes).concat();
        let half = [half::f16::from_f32(0.5), half::f16::from_f32(3.0)].map(half::f16::to_le_bytes).concat();
        let brain = [half::bf16::from_f32(0.25), half::bf16::from_f32(-8.0)].map(half::bf16::to_le_bytes).concat();
        write(
            folder.path(),
            &[
                ("bert.a.LayerNorm.gamma", Dtype::F16, &[2], &half),
                ("bert.a.LayerNorm.beta", Dtype::BF16, &[2], &brain),
                ("bert.b.weight", Dtype::F32, &[1, 2], &two),
            ],
        );
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let mut loader = checkpoint.loader(&["", "bert."], Device::Cpu);
        let norm = loader.layer_norm("a.LayerNorm", 2, 1e-5).unwrap();
        let linear = loader.linear("b", 2, 1, false).unwrap();
        loader.finish().unwrap();
        assert_eq!(numbers(&norm.weight), [0.5, 3.0]);
        assert_eq!(numbers(&norm.bias), [0.25, -8.0]);
        assert_eq!(numbers(&linear.weight), [1.5, -2.0]);
        assert_eq!(norm.weight.kind(), Kind::Float);
    }

    #[test]
    fn one_error_names_everything_that_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("b.weight", Dtype::F32, &[2], &[0; 8])]);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let mut loader = checkpoint.loader(&["", "bert."], Device::Cpu);
        for (name, width) in [("a.weight", 1), ("b.weight", 3), ("c.weight", 1)] {
            let _ = loader.tensor(name, &[width]).unwrap();
        }
        let error = loader.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        let message = error.to_string();
        assert!(message.contains("2 of the 3 tensors of this architecture are missing"), "{message}");
        assert!(message.contains("a.weight, c.weight; the file holds 1 tensors: b.weight"), "{message}");
        assert!(message.contains("b.weight is [2] and should be [3]"), "{message}");
    }

    #[test]
    fn integers_are_no_weights_and_a_folder_without_any_says_what_it_may_hold() {
        let folder = tempfile::tempdir().unwrap();
        let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("has no model.safetensors, model.safetensors.index.json"), "{message}");

        write(folder.path(), &[("a", Dtype::I64, &[1], &[0; 8])]);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let error = checkpoint.loader(&[""], Device::Cpu).tensor("a", &[1]).unwrap_err();
        assert!(error.to_string().contains("a holds Int64"), "{error}");
    }

    #[test]
    fn several_files_are_one_model() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (1.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes());
        for (file, name, bytes) in [("model-1.safetensors", "a", one), ("model-2.safetensors", "b", two)] {
            write(folder.path(), &[(name, Dtype::F32, &[1], &bytes)]);
            std::fs::rename(folder.path().join(FILE), folder.path().join(file)).unwrap();
        }
        let index = r#"{"metadata": {"total_size": 8}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
        std::fs::write(folder.path().join(INDEX), index).unwrap();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let mut loader = checkpoint.loader(&[""], Device::Cpu);
        let (a, b) = (loader.tensor("a", &[1]).unwrap(), loader.tensor("b", &[1]).unwrap());
        loader.finish().unwrap();
        assert_eq!((numbers(&a), numbers(&b)), (vec![1.0], vec![2.0]));
        let before = checkpoint.hash();
        drop(checkpoint);
        std::fs::write(folder.path().join(INDEX), index.replace("model-2", "../model-2")).unwrap();
        assert!(Checkpoint::open(folder.path()).unwrap_err().to_string().contains("../model-2.safetensors"));
        std::fs::write(folder.path().join(INDEX), index).unwrap();
        write(folder.path(), &[("b", Dtype::F32, &[1], &one)]);
        std::fs::rename(folder.path().join(FILE), folder.path().join("model-2.safetensors")).unwrap();
        assert_ne!(Checkpoint::open(folder.path()).unwrap().hash(), before);
    }

    #[test]
    fn a_tensor_that_is_kept_under_another_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let one = [("shared".to_owned(), Tensor::from_slice(&[1.0_f32]))];
        let entries = [Entry::of("shared", &one[0].1).unwrap()];
        let remarks = [("tied".to_owned(), "shared".to_owned()), ("note".to_owned(), "no tensor".to_owned())];
        super::write(&folder.path().join(FILE), &entries, &remarks, |_| Ok(one[0].1.shallow_clone())).unwrap();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(numbers(&checkpoint.tensor("tied").unwrap()), [1.0]);
        assert_eq!(checkpoint.entries().unwrap().len(), 2);
    }

    #[test]
    fn a_cut_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("a", Dtype::F32, &[2], &[0; 8])]);
        let path = folder.path().join(FILE);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(Checkpoint::open(folder.path()).unwrap_err().kind(), ErrorKind::Model);
    }
}
