//! Bringing an exported file up to date: entries of text pairs that did not change are copied as they stand, the others are
//! written anew in their places. The result is byte for byte the file that a whole export would write.
//!
//! Files are sorted by score, best first, as they print it, then by id; so one pass over the old file and the sorted new
//! entries is enough. Cost: a sequential copy of the file, and a look-up for each changed text pair.

use std::collections::HashSet;
use std::io::{self, BufRead, Read, Write};

use crate::error::{Error, Result};
use crate::record::PairId;
use crate::stage::formats::Format;

/// Where an entry stands: the score × 10,000 as printed, highest first, then the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(std::cmp::Reverse<i32>, PairId);

impl Place {
    /// The place of a text pair with a score (0 to 1).
    pub fn of(score: f32, pair: PairId) -> Self {
        Self(std::cmp::Reverse(rank(score)), pair)
    }
}

/// A score × 10,000, rounded as files print it.
#[expect(clippy::cast_possible_truncation, reason = "scores are 0 to 1")]
pub fn rank(score: f32) -> i32 {
    format!("{score:.4}").parse::<f64>().map_or(i32::MIN, |printed| (printed * 1e4).round() as i32)
}

/// An entry of a file: its place and its bytes.
pub type Entry = (Place, Vec<u8>);

/// Copies `old` to `out` without the entries of `changed`, with the entries of `new` (sorted by place) in their places.
/// Header and footer of `old` are left out: the caller writes them. Answers how many entries were written.
///
/// # Errors
/// Kind `Input` when `old` is not a file that this program wrote; kind `Store` when it cannot be read or written.
pub fn merge(
    old: impl Read,
    format: Format,
    changed: &HashSet<PairId>,
    new: Vec<Entry>,
    out: &mut dyn Write,
) -> Result<u64> {
    let mut entries = Entries::new(io::BufReader::with_capacity(1 << 20, old), format)?;
    let mut new = new.into_iter().peekable();
    let mut count = 0;
    let io = |error| Error::with_source(crate::error::ErrorKind::Store, "updating an exported file", error);
    while let Some(place) = entries.next()? {
        if changed.contains(&place.1) {
            continue;
        }
        while let Some((_, bytes)) = new.next_if(|(other, _)| *other < place) {
            out.write_all(&bytes).map_err(io)?;
            count += 1;
        }
        out.write_all(&entries.bytes).map_err(io)?;
        count += 1;
    }
    for (_, bytes) in new {
        out.write_all(&bytes).map_err(io)?;
        count += 1;
    }
    Ok(count)
}

/// The entries of an exported file, one after the other.
struct Entries<R> {
    lines: R,
    format: Format,
    /// The entry that was read last.
    bytes: Vec<u8>,
}

impl<R: BufRead> Entries<R> {
    /// Reads past the header.
    fn new(lines: R, format: Format) -> Result<Self> {
        let mut entries = Self { lines, format, bytes: Vec::new() };
        let header_ends = |line: &[u8]| match format {
            Format::Tmx => line == b"<body>\n",
            _ => true,
        };
        if format == Format::Jsonl {
            return Ok(entries);
        }
        loop {
            entries.bytes.clear();
            if !entries.line()? {
                return Err(Error::input("the old file has no header"));
            }
            if header_ends(&entries.bytes) {
                return Ok(entries);
            }
        }
    }

    /// Appends a line to the entry; `false` at the end of the file.
    fn line(&mut self) -> Result<bool> {
        let read = self.lines.read_until(b'\n', &mut self.bytes);
        let read = read
            .map_err(|error| Error::with_source(crate::error::ErrorKind::Store, "reading an exported file", error))?;
        Ok(read > 0)
    }

    /// Reads the next entry; `None` at the end.
    fn next(&mut self) -> Result<Option<Place>> {
        self.bytes.clear();
        if !self.line()? {
            return Ok(None);
        }
        if self.format == Format::Tmx {
            if self.bytes == b"</body>\n" {
                return Ok(None);
            }
            while !self.bytes.ends_with(b"</tu>\n") {
                if !self.line()? {
                    return Err(Error::input("the old file ends inside a translation unit"));
                }
            }
        }
        let place = place(self.format, &self.bytes);
        place.map(Some).ok_or_else(|| {
            let start = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(60)]).into_owned();
            Error::input(format!("the old file has an entry that this program did not write: {start:?}"))
        })
    }
}

fn place(format: Format, bytes: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (id, score): (&str, f32) = match format {
        Format::Tsv => {
            let mut fields = text.split('\t');
            (fields.next()?, fields.nth(2)?.parse().ok()?)
        }
        Format::Jsonl => {
            // Parsing each line would take most of the time of an update. Inside a text a quotation mark has a backslash
            // before it, so `,"score":` is the field.
            let id = text.strip_prefix("{\"id\":\"")?.split('"').next()?;
            let score = text.split_once(",\"score\":")?.1.split([',', '}']).next()?;
            (id, score.parse().ok()?)
        }
        Format::Tmx => {
            let id = text.strip_prefix("<tu tuid=\"")?.split('"').next()?;
            let score = text.split_once("<prop type=\"x-score\">")?.1.split('<').next()?;
            (id, score.parse().ok()?)
        }
        Format::LabelStudio => return None,
    };
    Some(Place::of(score, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: i64, score: f32, text: &str) -> Vec<u8> {
        format!("{}\t{text}\t{text}\t{score:.4}\taligned\n", PairId(id)).into_bytes()
    }

    #[test]
    fn ranks_are_what_files_print() {
        assert_eq!([rank(0.0), rank(1.0), rank(0.12344), rank(0.99996), rank(0.5)], [0, 10_000, 1_234, 10_000, 5_000]);
        assert!(Place::of(0.9, PairId(7)) < Place::of(0.8, PairId(1)));
        assert!(Place::of(0.9, PairId(1)) < Place::of(0.90001, PairId(7)), "printed alike: by id");
    }

    #[test]
    fn unchanged_lines_are_copied_and_new_ones_stand_in_their_places() {
        let old = [b"header\n".to_vec(), line(3, 0.9, "a"), line(1, 0.8, "b"), line(2, 0.8, "c")].concat();
        let changed = HashSet::from([PairId(1), PairId(4), PairId(5)]);
        let new = vec![
            (Place::of(0.95, PairId(4)), line(4, 0.95, "new")),
            (Place::of(0.8, PairId(1)), line(1, 0.8, "changed")),
        ];
        let mut out = Vec::new();
        assert_eq!(merge(old.as_slice(), Format::Tsv, &changed, new, &mut out).unwrap(), 4);
        let expected = [line(4, 0.95, "new"), line(3, 0.9, "a"), line(1, 0.8, "changed"), line(2, 0.8, "c")].concat();
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
    }

    #[test]
    fn a_file_of_another_program_is_refused() {
        let merged = |old: &[u8], format| merge(old, format, &HashSet::new(), Vec::new(), &mut Vec::new());
        assert!(merged(b"header\nfoo\tbar\n", Format::Tsv).is_err());
        assert!(merged(b"", Format::Tsv).is_err());
        assert!(merged(b"<body>\n<tu tuid=\"p1\">\n", Format::Tmx).is_err());
        assert_eq!(merged(b"", Format::Jsonl).unwrap(), 0);
    }
}
