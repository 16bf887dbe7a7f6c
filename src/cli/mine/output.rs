//! Mined pairs as files.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;

use super::Found;
use super::lines::Lines;
use crate::algo::margin::Candidate;
use crate::error::{Error, ErrorKind, Result};
use crate::stage::formats::tsv_field;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A header, then score, cosine, line numbers from 1, and both texts.
    Tsv,
    /// Score and both texts, as LASER's mine_bitexts writes them.
    Laser,
    /// An object a pair.
    Jsonl,
}

impl Format {
    /// The one asked for, or by the end of the file's name.
    pub(super) fn of(asked: Option<Self>, path: &Path) -> Result<Self> {
        let by_name = || match path.extension().and_then(|end| end.to_str()) {
            Some("tsv" | "txt") => Some(Self::Tsv),
            Some("jsonl") => Some(Self::Jsonl),
            _ => (path == Path::new("-")).then_some(Self::Tsv),
        };
        asked.or_else(by_name).ok_or_else(|| {
            let what = format!("{}: name a file that ends in .tsv or .jsonl, or give --format", path.display());
            Error::new(ErrorKind::Usage, what)
        })
    }
}

/// A pair as a line of JSON.
#[derive(serde::Serialize)]
struct JsonPair<'a> {
    score: f32,
    cosine: f32,
    source_line: usize,
    target_line: usize,
    source: &'a str,
    target: &'a str,
}

/// Writes pairs of two texts.
pub(super) struct Writer<'a> {
    pub(super) source: &'a Lines,
    pub(super) target: &'a Lines,
    pub(super) format: Format,
}

impl Writer<'_> {
    /// One after the other, in their order.
    pub(super) fn write(&self, out: &mut dyn Write, pairs: &[Found]) -> io::Result<()> {
        if self.format == Format::Tsv {
            writeln!(out, "score\tcosine\tsource_line\ttarget_line\tsource\ttarget")?;
        }
        for Found { candidate: Candidate { source, target, cosine, margin }, lines } in pairs {
            let (source_line, target_line) = (lines.0 + 1, lines.1 + 1);
            let (source, target) = (self.source.texts[*source].as_str(), self.target.texts[*target].as_str());
            match self.format {
                Format::Tsv => {
                    let (source, target) = (tsv_field(source), tsv_field(target));
                    writeln!(out, "{margin:.6}\t{cosine:.6}\t{source_line}\t{target_line}\t{source}\t{target}")?;
                }
                Format::Laser => writeln!(out, "{margin:.6}\t{}\t{}", tsv_field(source), tsv_field(target))?,
                Format::Jsonl => {
                    let pair = JsonPair { score: *margin, cosine: *cosine, source_line, target_line, source, target };
                    serde_json::to_writer(&mut *out, &pair)?;
                    writeln!(out)?;
                }
            }
        }
        Ok(())
    }
}
