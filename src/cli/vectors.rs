//! Files of vectors, written row by row: how many rows there are is known at the end only, and then mended in a header
//! that was left wide enough.

use std::io::{Seek as _, SeekFrom, Write};
use std::path::Path;

use crate::error::{Context as _, Error, ErrorKind, Result};

/// Bytes of a header; numpy wants a multiple of 64.
const NPY_HEADER: usize = 128;
/// Bytes of a header, its length not counted.
const SAFETENSORS_HEADER: usize = 256;

/// What a file of vectors is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// numpy's: `numpy.load`.
    Npy,
    /// One tensor, `embeddings`.
    Safetensors,
    /// One line a vector, numbers between tabs.
    Tsv,
}

impl Form {
    /// By the end of a file's name; `-` is standard output and TSV.
    ///
    /// # Errors
    /// Kind `Usage` for any other.
    pub(super) fn of(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Tsv);
        }
        match path.extension().and_then(|end| end.to_str()) {
            Some("npy") => Ok(Self::Npy),
            Some("safetensors") => Ok(Self::Safetensors),
            Some("tsv") => Ok(Self::Tsv),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!("{}: name a file that ends in .npy, .safetensors or .tsv, or - for TSV", path.display()),
            )),
        }
    }

    /// The beginning of a file of so many rows and columns.
    fn header(self, rows: u64, dim: usize) -> Vec<u8> {
        match self {
            Self::Npy => {
                let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
                text.extend(std::iter::repeat_n(' ', NPY_HEADER - 11 - text.len()));
                text.push('\n');
                let length = u16::try_from(text.len()).unwrap_or(0);
                [b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes(), text.as_bytes()].concat()
            }
            Self::Safetensors => {
                let end = rows * dim as u64 * 4;
                let mut text = format!(
                    r#"{{"__metadata__":{{"format":"pt"}},"embeddings":{{"dtype":"F32","shape":[{rows},{dim}],"data_offsets":[0,{end}]}}}}"#
                );
                text.extend(std::iter::repeat_n(' ', SAFETENSORS_HEADER - text.len()));
                [(SAFETENSORS_HEADER as u64).to_le_bytes().as_slice(), text.as_bytes()].concat()
            }
            Self::Tsv => Vec::new(),
        }
    }

    /// Writes the place of the header.
    pub(super) fn begin(self, out: &mut dyn Write, dim: usize) -> Result<()> {
        out.write_all(&self.header(0, dim)).context(ErrorKind::Store, || "writing vectors".into())
    }

    /// Writes one row.
    pub(super) fn row(self, out: &mut dyn Write, row: &[f32]) -> Result<()> {
        let bytes = match self {
            Self::Npy | Self::Safetensors => row.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::Tsv => {
                let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
                (numbers.join("\t") + "\n").into_bytes()
            }
        };
        out.write_all(&bytes).context(ErrorKind::Store, || "writing vectors".into())
    }

    /// Mends the header of a whole file.
    pub(super) fn end(self, file: &mut std::fs::File, rows: u64, dim: usize) -> Result<()> {
        let header = self.header(rows, dim);
        if header.is_empty() {
            return Ok(());
        }
        let mend = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&header));
        mend.context(ErrorKind::Store, || "writing the header of the vectors".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_length_whatever_the_count() {
        for form in [Form::Npy, Form::Safetensors] {
            assert_eq!(form.header(0, 1).len(), form.header(u64::MAX >> 16, 4096).len());
        }
        assert_eq!(Form::Npy.header(3, 2).len(), NPY_HEADER);
        let header = Form::Safetensors.header(3, 2);
        let table: serde_json::Value = serde_json::from_slice(&header[8..]).unwrap();
        assert_eq!(table["embeddings"]["data_offsets"][1], 24);
    }

    #[test]
    fn the_form_is_in_the_name() {
        assert_eq!(Form::of(Path::new("a.npy")).unwrap(), Form::Npy);
        assert_eq!(Form::of(Path::new("-")).unwrap(), Form::Tsv);
        assert_eq!(Form::of(Path::new("a.bin")).unwrap_err().kind(), ErrorKind::Usage);
    }
}
