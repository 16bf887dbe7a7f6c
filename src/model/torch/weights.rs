//! Weights from a safetensors file, by memory map: what a model asks for by name and shape, or one error that lists all
//! that is missing.

use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};
use tch::{Device, Kind, Tensor};

use super::layers::{LayerNorm, Linear};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;

/// The name of the file that a transformers or sentence-transformers folder keeps its weights in.
pub const FILE: &str = "model.safetensors";

/// How many names an error lists before it counts the rest.
const LISTED: usize = 12;

/// An open safetensors file.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    map: Mmap,
    /// Where in the file the tensors' bytes begin: after the header's length (8 bytes) and the header.
    data_start: usize,
    metadata: Metadata,
}

impl Checkpoint {
    /// Opens `model.safetensors` of a folder. Nothing is read but the header.
    ///
    /// # Errors
    /// Kind `Model`: no such file (the message says what to do when the weights are there in another form), or no
    /// valid header, or a file of another length than its header says.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Err(Error::new(ErrorKind::Model, absent(folder)));
        }
        let doing = || format!("opening the weights {}", path.display());
        let map = files::map(&path).context(ErrorKind::Model, doing)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).context(ErrorKind::Model, doing)?;
        Ok(Self { data_start: 8 + header, metadata, map, path })
    }

    /// The hash of the whole file.
    pub fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.map)
    }

    /// Starts taking tensors out. Each name is tried behind each of `prefixes`.
    pub fn loader<'a>(&'a self, prefixes: &'a [&'a str], device: Device) -> Loader<'a> {
        Loader {
            checkpoint: self,
            prefixes,
            device,
            kind: Kind::Float,
            asked: 0,
            missing: Vec::new(),
            misshapen: Vec::new(),
        }
    }

    /// A copy of a stored tensor, in numbers of `wanted`.
    fn read(&self, stored: &str, shape: &[i64], wanted: Kind, device: Device) -> Result<Tensor> {
        let Some(info) = self.metadata.info(stored) else {
            return Err(Error::bug(format!("{stored} was found in the header and is gone")));
        };
        let kind = match info.dtype {
            Dtype::F64 => Kind::Double,
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            other => {
                return Err(Error::new(
                    ErrorKind::Model,
                    format!("{}: {stored} holds {other:?}; weights must be f64, f32, f16 or bf16", self.path.display()),
                ));
            }
        };
        // `read_metadata` has checked that the offsets lie inside the file and fit the shape.
        let (start, end) = info.data_offsets;
        let bytes = &self.map[self.data_start + start..self.data_start + end];
        Ok(Tensor::f_from_data_size(bytes, shape, kind)?.f_to_kind(wanted)?.f_to_device(device)?)
    }
}

/// Why a folder has no `model.safetensors`, as far as its files tell.
fn absent(folder: &Path) -> String {
    let place = folder.display();
    if folder.join("model.safetensors.index.json").is_file() {
        return format!("{place} holds its weights in several files; save the model again with one {FILE}");
    }
    if folder.join("pytorch_model.bin").is_file() {
        return format!(
            "{place} holds its weights as pytorch_model.bin, and {FILE} is needed: load the model once with \
             sentence-transformers and save it again"
        );
    }
    format!("{place} has no {FILE}")
}

/// Takes tensors out of a checkpoint and remembers what was not there, so that one error can name everything.
///
/// A tensor that is missing or misshapen comes back empty; [`Loader::finish`] must be called before any is used.
#[derive(Debug)]
#[must_use = "what is missing is only reported by `finish`"]
pub struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    prefixes: &'a [&'a str],
    device: Device,
    kind: Kind,
    asked: usize,
    missing: Vec<String>,
    misshapen: Vec<String>,
}

impl Loader<'_> {
    /// Gives tensors in numbers of this kind; without it, in f32.
    pub fn in_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Whether all that was asked for so far was there, in its shape.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty()
    }

    /// The tensor of a name and a shape.
    ///
    /// # Errors
    /// Kind `Model`: it is stored as integers, or libtorch fails. That it is missing is an error of [`Self::finish`].
    pub fn tensor(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        self.asked += 1;
        let Some(stored) = self.find(name) else {
            self.missing.push(name.to_owned());
            return Ok(Tensor::new());
        };
        let dims = self.checkpoint.metadata.info(&stored).map(|info| info.shape.clone()).unwrap_or_default();
        if !dims.iter().map(|&n| i64::try_from(n).ok()).eq(shape.iter().map(|&n| Some(n))) {
            self.misshapen.push(format!("{name} is {dims:?} and should be {shape:?}"));
            return Ok(Tensor::new());
        }
        self.checkpoint.read(&stored, shape, self.kind, self.device)
    }

    /// The tensor of a shape under the first of these names that is there: some models hold one tensor under several.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn tensor_of(&mut self, names: &[&str], shape: &[i64]) -> Result<Tensor> {
        let held = names.iter().find(|name| self.find(name).is_some()).or(names.first());
        self.tensor(held.copied().unwrap_or_default(), shape)
    }

    /// `NAME.weight` and, if there should be one, `NAME.bias`.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn linear(&mut self, name: &str, inputs: i64, outputs: i64, bias: bool) -> Result<Linear> {
        let weight = self.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = if bias { Some(self.tensor(&format!("{name}.bias"), &[outputs])?) } else { None };
        Ok(Linear { weight, bias })
    }

    /// `NAME.weight` and `NAME.bias`.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn layer_norm(&mut self, name: &str, width: i64, eps: f64) -> Result<LayerNorm> {
        let weight = self.tensor(&format!("{name}.weight"), &[width])?;
        let bias = self.tensor(&format!("{name}.bias"), &[width])?;
        Ok(LayerNorm { weight, bias, eps })
    }

    /// Under which name the file keeps it. Checkpoints converted from TensorFlow call a LayerNorm's weight and bias
    /// gamma and beta.
    fn find(&self, name: &str) -> Option<String> {
        let older = name
            .strip_suffix("LayerNorm.weight")
            .map(|start| format!("{start}LayerNorm.gamma"))
            .or_else(|| name.strip_suffix("LayerNorm.bias").map(|start| format!("{start}LayerNorm.beta")));
        std::iter::once(name.to_owned())
            .chain(older)
            .flat_map(|name| self.prefixes.iter().map(move |prefix| format!("{prefix}{name}")))
            .find(|stored| self.checkpoint.metadata.info(stored).is_some())
    }

    /// Ends the loading.
    ///
    /// # Errors
    /// Kind `Model`: names of all tensors that were not in the file or had another shape.
    pub fn finish(self) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        let mut message = self.checkpoint.path.display().to_string();
        if !self.missing.is_empty() {
            let prefixes: Vec<_> = self.prefixes.iter().map(|prefix| format!("{prefix:?}")).collect();
            message += &format!(
                ": {} of the {} tensors of this architecture are missing (looked for behind {}): {}",
                self.missing.len(),
                self.asked,
                prefixes.join(", "),
                listed(&self.missing)
            );
            let mut held: Vec<_> = self.checkpoint.metadata.tensors().into_keys().collect();
            held.sort();
            message += &format!("; the file holds {} tensors: {}", held.len(), listed(&held));
        }
        if !self.misshapen.is_empty() {
            message += &format!(": other shapes than the configuration asks for: {}", listed(&self.misshapen));
        }
        Err(Error::new(ErrorKind::Model, message))
    }
}

/// The first few, and how many more there are.
fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(LISTED)].join(", ");
    if names.len() > LISTED {
        text += &format!(" and {} more", names.len() - LISTED);
    }
    text
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

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
    fn integers_are_no_weights_and_other_forms_of_weights_get_advice() {
        let folder = tempfile::tempdir().unwrap();
        let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(message.ends_with("has no model.safetensors"), "{message}");
        std::fs::write(folder.path().join("pytorch_model.bin"), b"").unwrap();
        let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("save it again"), "{message}");

        write(folder.path(), &[("a", Dtype::I64, &[1], &[0; 8])]);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let error = checkpoint.loader(&[""], Device::Cpu).tensor("a", &[1]).unwrap_err();
        assert!(error.to_string().contains("a holds I64"), "{error}");
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
