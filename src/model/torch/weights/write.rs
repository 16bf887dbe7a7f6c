//! Writing safetensors: one tensor in memory at a time, the whole file or none.

use std::path::Path;

use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// A tensor that will be written: its name, type and shape, known before its numbers are.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name in the file.
    pub name: String,
    /// How its numbers are stored.
    pub kind: Kind,
    /// Its shape.
    pub shape: Vec<i64>,
}

impl Entry {
    /// The entry of a tensor that is there.
    ///
    /// # Errors
    /// Kind `Model`: an undefined tensor.
    pub fn of(name: impl Into<String>, tensor: &Tensor) -> Result<Self> {
        Ok(Self { name: name.into(), kind: tensor.f_kind()?, shape: tensor.size() })
    }

    fn bytes(&self) -> u64 {
        let numbers: i64 = self.shape.iter().product();
        u64::try_from(numbers).unwrap_or(0) * self.kind.elt_size_in_bytes() as u64
    }
}

/// Writes tensors into a safetensors file, sorted by name (wide numbers before narrow ones, since readers want every
/// tensor at a multiple of its numbers' size). `tensor` is asked for each when its turn has come, so that no more than
/// one is in memory. `remarks` go into the file's metadata, beside the `format` without which transformers refuses it.
///
/// # Errors
/// Kind `Model`: a name that occurs twice, a type that the format does not have, a tensor that is not what its entry
/// says, and whatever `tensor` reports. Kind `Store`: the file cannot be written. The old file, if any, stays then.
pub fn write(
    path: &Path,
    entries: &[Entry],
    remarks: &[(String, String)],
    mut tensor: impl FnMut(&Entry) -> Result<Tensor>,
) -> Result<()> {
    let (header, sorted) = header(entries, remarks)
        .map_err(|error| error.while_doing(format!("writing the weights {}", path.display())))?;
    let mut failed = None;
    let written = files::write_atomically(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        let mut bytes = Vec::new();
        for entry in &sorted {
            if let Err(error) = tensor(entry).and_then(|tensor| copy_out(entry, &tensor, &mut bytes)) {
                failed = Some(error);
                return Err(std::io::Error::other("a tensor is missing"));
            }
            out.write_all(&bytes)?;
        }
        Ok(())
    });
    match failed {
        Some(error) => Err(error.while_doing(format!("writing the weights {}", path.display()))),
        None => written,
    }
}

/// Writes tensors that are all in memory.
///
/// # Errors
/// As [`fn@write`].
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let entries = tensors.iter().map(|(name, tensor)| Entry::of(name, tensor)).collect::<Result<Vec<_>>>()?;
    write(path, &entries, &[], |entry| {
        let found = tensors.iter().find(|(name, _)| *name == entry.name);
        found.map(|(_, tensor)| tensor.shallow_clone()).ok_or_else(|| Error::bug("a tensor lost its name"))
    })
}

/// The header, and the entries in the order of their bytes.
fn header<'a>(entries: &'a [Entry], remarks: &[(String, String)]) -> Result<(String, Vec<&'a Entry>)> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| {
        let width = |entry: &Entry| entry.kind.elt_size_in_bytes();
        width(b).cmp(&width(a)).then_with(|| a.name.cmp(&b.name))
    });
    let mut table = Map::new();
    let mut told = Map::new();
    told.insert("format".into(), json!("pt"));
    told.extend(remarks.iter().map(|(name, text)| (name.clone(), json!(text))));
    table.insert("__metadata__".into(), Value::Object(told));
    let mut offset = 0;
    for entry in &sorted {
        let end = offset + entry.bytes();
        let value = json!({"dtype": dtype(entry)?, "shape": entry.shape, "data_offsets": [offset, end]});
        if table.insert(entry.name.clone(), value).is_some() {
            return Err(Error::new(ErrorKind::Model, format!("two tensors are called {:?}", entry.name)));
        }
        offset = end;
    }
    let mut text = Value::Object(table).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    Ok((text, sorted))
}

fn dtype(entry: &Entry) -> Result<&'static str> {
    Ok(match entry.kind {
        Kind::Double => "F64",
        Kind::Float => "F32",
        Kind::Half => "F16",
        Kind::BFloat16 => "BF16",
        Kind::Int64 => "I64",
        Kind::Int => "I32",
        Kind::Int16 => "I16",
        Kind::Int8 => "I8",
        Kind::Uint8 => "U8",
        Kind::Bool => "BOOL",
        other => {
            return Err(Error::new(
                ErrorKind::Model,
                format!("{} holds {other:?}, which has no place in safetensors", entry.name),
            ));
        }
    })
}

/// The tensor's bytes, row-major.
fn copy_out(entry: &Entry, tensor: &Tensor, bytes: &mut Vec<u8>) -> Result<()> {
    if tensor.size() != entry.shape || tensor.f_kind()? != entry.kind {
        return Err(Error::bug(format!("{} is {tensor:?} and was announced otherwise", entry.name)));
    }
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    bytes.resize(usize::try_from(entry.bytes()).unwrap_or(0), 0);
    Ok(tensor.f_copy_data_u8(bytes, tensor.numel())?)
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn what_is_written_is_read_again_sorted_and_with_its_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/model.safetensors");
        let turned = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]).view([2, 3]).tr();
        let half = Tensor::from_slice(&[0.5_f32, -2.0]).to_kind(Kind::BFloat16);
        let tensors = vec![
            ("z.weight".to_owned(), turned),
            ("half".to_owned(), half),
            ("a.ids".to_owned(), Tensor::from_slice(&[7_i64])),
            ("a.scalar".to_owned(), Tensor::from(2.5_f32)),
            ("empty".to_owned(), Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))),
        ];
        write_tensors(&path, &tensors).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
        assert_eq!(metadata.offset_keys(), ["a.ids", "a.scalar", "empty", "z.weight", "half"]);
        let file = super::super::file::TensorFile::open(&path).unwrap();
        for (name, tensor) in &tensors {
            let read = file.read(name, tensor.kind(), Device::Cpu).unwrap();
            assert!(read.equal(tensor), "{name}");
        }
    }

    #[test]
    fn a_failure_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let one = vec![("a".to_owned(), Tensor::from_slice(&[1.0_f32]))];
        write_tensors(&path, &one).unwrap();
        let before = std::fs::read(&path).unwrap();
        let twice = vec![one[0].0.clone(), one[0].0.clone()].into_iter().map(|name| (name, one[0].1.shallow_clone()));
        let error = write_tensors(&path, &twice.collect::<Vec<_>>()).unwrap_err().to_string();
        assert!(error.contains("two tensors are called \"a\""), "{error}");
        let entries = [Entry { name: "b".into(), kind: Kind::Float, shape: vec![2] }];
        let error = write(&path, &entries, &[], |_| Err(Error::input("no power"))).unwrap_err().to_string();
        assert!(error.contains("model.safetensors: no power"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
