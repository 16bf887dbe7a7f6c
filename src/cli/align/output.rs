//! Alignments as files.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;

use super::numbers;
use super::texts::Text;
use crate::algo::align::Bead;
use crate::cli::plain;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Language, Origin, Pair, PairId, Scores, Side};
use crate::report::alignment::{Lines, Row, Sheet};
use crate::stage::Languages;
use crate::stage::formats::{self, PairWriter};
use crate::store::text_pairs::JudgedPair;
use crate::text::language;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// `[0, 1]:[0]:0.97`, lines counted from 0.
    Beads,
    /// A header, then a pair a line; lines counted from 1.
    Tsv,
    /// Translation Memory eXchange 1.4.
    Tmx,
    /// Side by side, for reading.
    Html,
    /// An object a bead; lines counted from 1.
    Jsonl,
}

impl Format {
    /// The one asked for, or by the end of the file's name; beads on standard output.
    pub(super) fn of(asked: Option<Self>, path: &Path) -> Result<Self> {
        let by_name = || match path.extension().and_then(|end| end.to_str()) {
            Some("tsv") => Some(Self::Tsv),
            Some("tmx") => Some(Self::Tmx),
            Some("html" | "htm") => Some(Self::Html),
            Some("jsonl") => Some(Self::Jsonl),
            Some("beads" | "txt") => Some(Self::Beads),
            _ => (path == Path::new("-")).then_some(Self::Beads),
        };
        asked.or_else(by_name).ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                format!(
                    "{}: name a file that ends in .beads, .tsv, .tmx, .html or .jsonl, or give --format",
                    path.display()
                ),
            )
        })
    }
}

/// A bead as a line of JSON.
#[derive(serde::Serialize)]
struct JsonBead<'a> {
    /// Lines of the files, from 1.
    source_lines: Vec<usize>,
    target_lines: Vec<usize>,
    source: &'a str,
    target: &'a str,
    probability: f64,
    similarity: Option<f32>,
    margin: Option<f32>,
}

/// All that is written.
pub(super) struct Alignment<'a> {
    pub(super) source: &'a Text,
    pub(super) target: &'a Text,
    pub(super) beads: &'a [Bead],
    /// As far as the user says.
    pub(super) languages: [Option<Language>; 2],
    pub(super) min_probability: f64,
    pub(super) model: &'a str,
}

impl Alignment<'_> {
    /// Writes the file, whole or not at all; `-` is standard output.
    pub(super) fn write(&self, path: &Path, format: Format) -> Result<()> {
        let languages = [self.language(0), self.language(1)];
        let pair = match (format, languages) {
            (_, [Some(source), Some(target)]) => Some(Languages { source, target }),
            (Format::Tmx, [found, _]) => {
                let (text, option) =
                    if found.is_none() { (self.source, "--source-lang") } else { (self.target, "--target-lang") };
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("{}: its language is unclear: give {option}", text.name),
                ));
            }
            _ => None,
        };
        let write = |out: &mut dyn Write| match (format, pair) {
            (Format::Beads, _) => self.beads(out),
            (Format::Tsv, _) => self.tsv(out),
            (Format::Jsonl, _) => self.jsonl(out),
            (Format::Tmx, Some(languages)) => self.tmx(out, languages),
            (Format::Tmx | Format::Html, _) => out.write_all(self.sheet(languages).html().as_bytes()),
        };
        plain::write(path, write)
    }

    /// The language of a side: what the user says, else what its beginning looks like.
    fn language(&self, side: usize) -> Option<Language> {
        self.languages[side].or_else(|| {
            let text = [self.source, self.target][side];
            let beginning: Vec<&str> = text.texts.iter().map(String::as_str).take(100).collect();
            language::identify(&beginning.join(" "), &[]).map(|guess| guess.language)
        })
    }

    /// The beads that are sure enough, with their texts.
    fn kept(&self) -> impl Iterator<Item = (&Bead, String, String)> {
        self.beads.iter().filter(|bead| bead.posterior >= self.min_probability).map(|bead| {
            let (source, target) = (&self.source.texts[bead.source.clone()], &self.target.texts[bead.target.clone()]);
            (bead, source.join(" "), target.join(" "))
        })
    }

    /// The lines of a bead, from 1.
    fn lines(&self, bead: &Bead) -> (Vec<usize>, Vec<usize>) {
        let (source, target) = numbers(bead, self.source, self.target);
        let from_one = |lines: Vec<usize>| lines.into_iter().map(|line| line + 1).collect();
        (from_one(source), from_one(target))
    }

    fn beads(&self, out: &mut dyn Write) -> io::Result<()> {
        for bead in self.beads {
            let (source, target) = numbers(bead, self.source, self.target);
            writeln!(out, "{source:?}:{target:?}:{:.4}", bead.posterior)?;
        }
        Ok(())
    }

    fn tsv(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "source\ttarget\tprobability\tsimilarity\tmargin\tsource_lines\ttarget_lines")?;
        let number = |number: Option<f32>| number.map(|number| format!("{number:.4}")).unwrap_or_default();
        let list = |lines: &[usize]| lines.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        for (bead, source, target) in
            self.kept().filter(|(bead, ..)| !bead.source.is_empty() && !bead.target.is_empty())
        {
            let lines = self.lines(bead);
            writeln!(
                out,
                "{}\t{}\t{:.4}\t{}\t{}\t{}\t{}",
                source.replace(['\t', '\r'], " "),
                target.replace(['\t', '\r'], " "),
                bead.posterior,
                number(bead.similarity),
                number(bead.margin),
                list(&lines.0),
                list(&lines.1)
            )?;
        }
        Ok(())
    }

    fn jsonl(&self, out: &mut dyn Write) -> io::Result<()> {
        for (bead, source, target) in self.kept() {
            let (source_lines, target_lines) = self.lines(bead);
            let line = JsonBead {
                source_lines,
                target_lines,
                source: &source,
                target: &target,
                probability: bead.posterior,
                similarity: bead.similarity,
                margin: bead.margin,
            };
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn tmx(&self, out: &mut dyn Write, languages: Languages) -> io::Result<()> {
        let mut writer = PairWriter::begin(out, formats::Format::Tmx, languages)?;
        for (bead, source, target) in
            self.kept().filter(|(bead, ..)| !bead.source.is_empty() && !bead.target.is_empty())
        {
            let (source_lines, target_lines) = self.lines(bead);
            let place = |text: &Text, lines: &[usize]| match lines {
                [first, .., last] => format!("{}#L{first}-L{last}", text.name),
                lines => format!("{}#L{}", text.name, lines.first().copied().unwrap_or_default()),
            };
            let places = (place(self.source, &source_lines), place(self.target, &target_lines));
            let side = |text: String| Side { document: None, sentences: Vec::new(), text };
            #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
            let score = bead.posterior as f32;
            writer.write(&JudgedPair {
                pair: Pair {
                    id: PairId::of(&[places.0.as_bytes(), places.1.as_bytes()]),
                    source: side(source),
                    target: side(target),
                    origin: Origin::Aligned,
                    scores: Scores::of_encoder(bead.similarity, bead.margin),
                    score,
                    parent: None,
                },
                drop: None,
                source_location: Some(places.0),
                target_location: Some(places.1),
            })?;
        }
        writer.finish().map(|_| ())
    }

    fn sheet(&self, languages: [Option<Language>; 2]) -> Sheet {
        let lines = |text: &Text, run: &std::ops::Range<usize>| Lines {
            numbers: text.numbers[run.clone()].iter().map(|line| line + 1).collect(),
            texts: text.texts[run.clone()].to_vec(),
        };
        Sheet {
            names: [self.source.name.clone(), self.target.name.clone()],
            languages: languages.map(|language| language.map(|language| language.code().to_owned())),
            model: self.model.to_owned(),
            rows: self
                .beads
                .iter()
                .map(|bead| Row {
                    source: lines(self.source, &bead.source),
                    target: lines(self.target, &bead.target),
                    probability: bead.posterior,
                    similarity: bead.similarity,
                })
                .collect(),
        }
    }
}
