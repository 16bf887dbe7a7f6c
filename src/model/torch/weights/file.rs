//! One safetensors file, mapped into memory. Tensors are copied out strip by strip, and the kernel is told after each
//! strip that the file's pages are not needed any more: so a model costs its own size and not twice that, although the
//! largest tensor (the word embedding of a multilingual model) is most of the file.

use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use tch::{Device, Kind, Tensor};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;

/// Bytes copied at once; a multiple of every element's size.
const STRIP: usize = 16 << 20;

/// An open safetensors file.
#[derive(Debug)]
pub(super) struct TensorFile {
    path: PathBuf,
    map: Mmap,
    /// Where in the file the tensors' bytes begin: after the header's length (8 bytes) and the header.
    data_start: usize,
    metadata: Metadata,
}

impl TensorFile {
    /// Opens a file. Nothing is read but the header.
    ///
    /// # Errors
    /// Kind `Model`: no valid header, or a file of another length than its header says.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let doing = || format!("opening the weights {}", path.display());
        let map = files::map(path).context(ErrorKind::Model, doing)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).context(ErrorKind::Model, || {
            format!("opening the weights {} (is the file cut off? fetch it again)", path.display())
        })?;
        // Only advice: where the kernel does not take it, pages are read as they are asked for.
        let _ = map.advise(Advice::Sequential);
        Ok(Self { path: path.to_path_buf(), data_start: 8 + header, metadata, map })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The hash of the whole file.
    pub(super) fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (number, strip) in self.map.chunks(STRIP).enumerate() {
            hasher.update(strip);
            files::release(&self.map, number * STRIP, strip.len());
        }
        hasher.finalize()
    }

    /// The names of its tensors.
    pub(super) fn names(&self) -> Vec<String> {
        self.metadata.tensors().into_keys().collect()
    }

    /// Type, shape and place of a tensor.
    pub(super) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.metadata.info(name)
    }

    /// Other names of tensors: `save_model` of safetensors' Python package keeps tensors that are one and the same once,
    /// and writes (other name, kept name) among the file's remarks.
    pub(super) fn aliases(&self) -> Vec<(String, String)> {
        let remarks = self.metadata.metadata().iter().flatten();
        remarks
            .filter(|(name, kept)| self.info(kept).is_some() && self.info(name).is_none())
            .map(|(name, kept)| (name.clone(), kept.clone()))
            .collect()
    }

    /// How a tensor's numbers are stored.
    ///
    /// # Errors
    /// Kind `Model`: a type that libtorch has no numbers for, or no such tensor.
    pub(super) fn kind(&self, name: &str) -> Result<Kind> {
        let info = self.expect(name)?;
        kind_of(info.dtype).ok_or_else(|| {
            Error::new(
                ErrorKind::Model,
                format!("{}: {name} holds {:?}, which is not supported", self.path.display(), info.dtype),
            )
        })
    }

    /// A copy of a tensor, its numbers turned into `kind`, in its stored shape.
    ///
    /// # Errors
    /// As [`Self::kind`]; also when libtorch fails (no memory).
    pub(super) fn read(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor> {
        let info = self.expect(name)?;
        let stored = self.kind(name)?;
        let shape = signed(&info.shape)?;
        let copy = Tensor::f_empty([shape.iter().product::<i64>()], (kind, device))?;
        // `read_metadata` has checked that the offsets lie inside the file and fit the shape.
        let (start, end) = (self.data_start + info.data_offsets.0, self.data_start + info.data_offsets.1);
        let (width, mut done) = (stored.elt_size_in_bytes(), 0);
        for (number, strip) in self.map[start..end].chunks(STRIP).enumerate() {
            let count = i64::try_from(strip.len() / width).unwrap_or(0);
            let piece = Tensor::f_from_data_size(strip, &[count], stored)?;
            copy.f_narrow(0, done, count)?.f_copy_(&piece)?;
            done += count;
            files::release(&self.map, start + number * STRIP, strip.len());
        }
        Ok(copy.f_view(shape.as_slice())?)
    }

    fn expect(&self, name: &str) -> Result<&TensorInfo> {
        self.info(name).ok_or_else(|| Error::bug(format!("{name} was found in the header and is gone")))
    }
}

/// A shape as libtorch counts.
fn signed(shape: &[usize]) -> Result<Vec<i64>> {
    shape.iter().map(|&n| i64::try_from(n).context(ErrorKind::Model, || "reading a shape".to_owned())).collect()
}

/// libtorch's type of a stored one.
fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}
