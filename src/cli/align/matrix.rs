//! Ready vectors of lines and of runs of lines: numpy's .npy, or raw f32 rows, perhaps with the text of each row.

use std::collections::HashMap;
use std::path::Path;

use super::texts::Text;
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::record::Vectors;

/// Bytes of a span's text that vecalign's files keep at the most, in characters.
const LONGEST_SPAN: usize = 10_000;

/// The numbers of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    F16,
    F32,
    F64,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// A file of vectors.
pub(super) struct Given {
    name: String,
    bytes: memmap2::Mmap,
    /// Where the numbers begin.
    start: usize,
    kind: Kind,
    /// Layers (1 of a plain matrix), rows of a layer, numbers of a row.
    shape: (usize, usize, usize),
    /// Which row has which text.
    spans: Option<Spans>,
}

struct Spans {
    name: String,
    rows: HashMap<String, usize>,
}

impl Given {
    /// Opens a file, with the texts of its rows if they are told.
    pub(super) fn open(path: &Path, spans: Option<&Path>, dim: Option<usize>) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = files::map(path).map_err(|error| Error::with_source(ErrorKind::Input, "ready vectors", error))?;
        let spans = spans.map(Spans::read).transpose()?;
        let is_npy = bytes.starts_with(b"\x93NUMPY");
        let (start, kind, shape) = if is_npy {
            let (start, kind, shape) = header(&bytes).map_err(|why| Error::input(format!("{name}: {why}")))?;
            let shape = match shape.as_slice() {
                [rows, dim] => (1, *rows, *dim),
                [layers, rows, dim] if spans.is_none() => (*layers, *rows, *dim),
                _ => {
                    return Err(Error::input(format!(
                        "{name}: its shape is {shape:?}; wanted are [lines, numbers] or, without spans, [layers, lines, numbers]"
                    )));
                }
            };
            (start, kind, shape)
        } else {
            let numbers = bytes.len() / 4;
            let of_spans = || spans.as_ref().map(|spans| numbers / spans.rows.len().max(1));
            let dim = dim.or_else(of_spans).filter(|dim| *dim > 0).ok_or_else(|| {
                Error::new(
                    ErrorKind::Usage,
                    format!("{name} is no .npy file: give --dim, the numbers in a row of raw f32"),
                )
            })?;
            if bytes.len() % (dim * 4) != 0 {
                return Err(Error::input(format!("{name}: {} bytes do not make rows of {dim} f32", bytes.len())));
            }
            (0, Kind::F32, (1, numbers / dim, dim))
        };
        let wanted = shape.0.saturating_mul(shape.1).saturating_mul(shape.2).saturating_mul(kind.bytes());
        if shape.2 == 0 || bytes.len() - start != wanted {
            return Err(Error::input(format!(
                "{name}: {} bytes of numbers where {} × {} × {} of {} bytes were told",
                bytes.len() - start,
                shape.0,
                shape.1,
                shape.2,
                kind.bytes()
            )));
        }
        if let Some(spans) = &spans
            && spans.rows.len() != shape.1
        {
            return Err(Error::input(format!(
                "{name} has {} rows and {} {} texts",
                shape.1,
                spans.name,
                spans.rows.len()
            )));
        }
        Ok(Self { name, bytes, start, kind, shape, spans })
    }

    /// The vectors of a text's lines, and of its runs of 2, 3, … lines, by their first line. `explicit` is the longest run
    /// that the user insists on; without it, what is there is taken, up to `longest`.
    pub(super) fn of(&self, text: &Text, longest: usize, explicit: Option<usize>) -> Result<(Vectors, Vec<Vectors>)> {
        let lines = text.texts.len();
        let mut layers = Vec::new();
        for run in 1..=longest.min(lines) {
            let rows = match &self.spans {
                Some(spans) => spans.layer(text, run, explicit.is_some() || run == 1)?,
                None => self.layer(text, run, explicit)?,
            };
            match rows {
                Some(rows) => layers.push(self.take(text, run, &rows)?),
                None => break,
            }
        }
        // A text shorter than the longest bead still has runs of every length that the other has: none.
        let complete = layers.len() == lines && layers.len() < longest && (self.spans.is_some() || self.shape.0 > 1);
        let missing = if complete {
            longest.min(self.shape.0.max(if self.spans.is_some() { longest } else { 1 })) - layers.len()
        } else {
            0
        };
        let mut layers = layers.into_iter();
        let first = layers.next().ok_or_else(|| Error::bug("no vectors of lines"))?;
        let empty = Vectors::empty(self.shape.2);
        Ok((first, layers.chain(std::iter::repeat_n(empty, missing)).collect()))
    }

    /// Where the runs of `run` lines lie: row i of layer r is that of the r + 1 lines that end with line i.
    fn layer(&self, text: &Text, run: usize, explicit: Option<usize>) -> Result<Option<Vec<usize>>> {
        let (layers, rows, _) = self.shape;
        if run > layers {
            if layers > 1 && explicit.is_some() {
                return Err(Error::input(format!(
                    "{}: it has runs of up to {layers} lines, and --max-bead asks for {run}",
                    self.name
                )));
            }
            return Ok(None);
        }
        let lines = text.texts.len();
        if rows != text.total && rows != lines {
            let blank = if lines < text.total { format!(" ({lines} without the blank ones)") } else { String::new() };
            return Err(Error::input(format!(
                "{} has {rows} rows and {} {} lines{blank}",
                self.name, text.name, text.total
            )));
        }
        if rows != lines && layers > 1 {
            return Err(Error::input(format!(
                "{}: its runs count the blank lines of {}; leave those out of both",
                self.name, text.name
            )));
        }
        let row = |line: usize| if rows == lines { line } else { text.numbers[line] };
        Ok(Some((run - 1..lines).map(|end| (run - 1) * rows + row(end)).collect()))
    }

    /// Those rows, at unit length.
    fn take(&self, text: &Text, run: usize, rows: &[usize]) -> Result<Vectors> {
        let dim = self.shape.2;
        let mut data = Vec::with_capacity(rows.len() * dim);
        for (first, row) in rows.iter().enumerate() {
            let from = self.start + row * dim * self.kind.bytes();
            let bytes = &self.bytes[from..from + dim * self.kind.bytes()];
            let begin = data.len();
            match self.kind {
                Kind::F16 => {
                    data.extend(bytes.as_chunks::<2>().0.iter().map(|x| half::f16::from_le_bytes(*x).to_f32()))
                }
                Kind::F32 => data.extend(bytes.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x))),
                #[expect(clippy::cast_possible_truncation, reason = "32 bits are the vectors' precision")]
                Kind::F64 => data.extend(bytes.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x) as f32)),
            }
            let square: f64 = data[begin..].iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            if !square.is_finite() || square < 1e-24 {
                return Err(Error::input(format!(
                    "{}: row {row}, of {}, is no usable vector: its norm is {}",
                    self.name,
                    lines_of(text, first, run),
                    square.sqrt()
                )));
            }
        }
        Vectors::normalised(dim, data)
    }
}

impl Spans {
    fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let mut rows = HashMap::new();
        for (row, line) in files::read_text(path)?.lines().enumerate() {
            if let Some(earlier) = rows.insert(line.trim().to_owned(), row) {
                return Err(Error::input(format!("{name}: lines {} and {} are the same span", earlier + 1, row + 1)));
            }
        }
        Ok(Self { name, rows })
    }

    /// The rows of all runs of so many lines. `None`: there is not one, and none need be.
    fn layer(&self, text: &Text, run: usize, wanted: bool) -> Result<Option<Vec<usize>>> {
        let mut rows = Vec::new();
        let mut missing = None;
        for (first, lines) in text.texts.windows(run).enumerate() {
            let joined = lines.join(" ");
            let cut = joined.char_indices().nth(LONGEST_SPAN).map_or(joined.as_str(), |(at, _)| &joined[..at]);
            match self.rows.get(cut.trim()) {
                Some(row) => rows.push(*row),
                None => {
                    missing.get_or_insert((first, cut.chars().take(80).collect::<String>()));
                }
            }
        }
        match missing {
            None => Ok(Some(rows)),
            Some(_) if rows.is_empty() && !wanted => Ok(None),
            Some((first, span)) => Err(Error::input(format!(
                "{} lacks the span of {}: {span:?}{}",
                self.name,
                lines_of(text, first, run),
                if run > 1 {
                    format!("; give all spans of {run} lines, or --max-bead {}", run - 1)
                } else {
                    String::new()
                }
            ))),
        }
    }
}

/// `a.txt, line 3` or `a.txt, lines 3 to 5`.
fn lines_of(text: &Text, first: usize, run: usize) -> String {
    let number = |line: usize| text.numbers[line] + 1;
    if run == 1 {
        format!("{}, line {}", text.name, number(first))
    } else {
        format!("{}, lines {} to {}", text.name, number(first), number(first + run - 1))
    }
}

/// Where the numbers of an .npy file begin, what they are, and its shape.
fn header(bytes: &[u8]) -> std::result::Result<(usize, Kind, Vec<usize>), String> {
    let broken = || "its .npy header is damaged".to_owned();
    let (length, begin) = match bytes.get(6).ok_or_else(broken)? {
        1 => {
            (usize::from(u16::from_le_bytes(bytes.get(8..10).and_then(|b| b.try_into().ok()).ok_or_else(broken)?)), 10)
        }
        2 | 3 => {
            (u32::from_le_bytes(bytes.get(8..12).and_then(|b| b.try_into().ok()).ok_or_else(broken)?) as usize, 12)
        }
        other => return Err(format!("version {other} of .npy is not known")),
    };
    let text = bytes.get(begin..begin + length).and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(broken)?;
    let value = |key: &str| text.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let kind = match value("descr").and_then(|rest| rest.split('\'').nth(1)).ok_or_else(broken)? {
        "<f2" => Kind::F16,
        "<f4" => Kind::F32,
        "<f8" => Kind::F64,
        other => return Err(format!("its numbers are {other:?}; wanted are little-endian floats: <f4, <f2 or <f8")),
    };
    if !value("fortran_order").ok_or_else(broken)?.starts_with("False") {
        return Err("it lies column by column (fortran_order): save numpy.ascontiguousarray(…)".into());
    }
    let inside = value("shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next()).ok_or_else(broken)?;
    let numbers = inside.split(',').map(str::trim).filter(|number| !number.is_empty());
    let shape = numbers.map(|number| number.parse().map_err(|_| broken())).collect::<std::result::Result<_, _>>()?;
    Ok((begin + length, kind, shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(dict: &str) -> Vec<u8> {
        let length = u16::try_from(dict.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &length, dict.as_bytes()].concat()
    }

    #[test]
    fn headers_of_numpy() {
        let header = |dict: &str| super::header(&npy(dict));
        let dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }  \n";
        assert_eq!(header(dict), Ok((10 + dict.len(), Kind::F32, vec![2, 3, 4])));
        assert!(header(&dict.replace("False", "True")).unwrap_err().contains("ascontiguousarray"));
        assert!(header(&dict.replace("<f4", ">f4")).unwrap_err().contains("\">f4\""));
        assert!(header("{}").unwrap_err().contains("damaged"));
        assert!(super::header(b"\x93NUMPY\x01\x00\xff").is_err());
    }
}
