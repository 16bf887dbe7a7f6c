//! Texts of a sentence a line, each sentence once; and pairs of their lines that are right.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::cli::plain;
use crate::error::{Error, Result};
use crate::files;

/// A text.
pub(super) struct Lines {
    /// Its file, to name it.
    pub(super) name: String,
    /// How many lines the file has.
    pub(super) total: usize,
    /// The sentences, trimmed, each once.
    pub(super) texts: Vec<String>,
    /// The number of the first line of each, from 0.
    pub(super) numbers: Vec<usize>,
    /// The sentence of each line; none where it is empty.
    rows: Vec<Option<usize>>,
}

impl Lines {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let (name, all) = (path.display().to_string(), plain::read(path)?);
        let mut lines = Self { name, total: 0, texts: Vec::new(), numbers: Vec::new(), rows: Vec::new() };
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (number, line) in all.lines().enumerate() {
            lines.total += 1;
            let line = line.trim();
            if line.is_empty() {
                lines.rows.push(None);
                continue;
            }
            let row = *known.entry(line).or_insert_with(|| {
                lines.texts.push(line.to_owned());
                lines.numbers.push(number);
                lines.texts.len() - 1
            });
            lines.rows.push(Some(row));
        }
        if lines.texts.is_empty() {
            return Err(Error::input(format!("{}: no line of it has text", lines.name)));
        }
        Ok(lines)
    }

    /// All lines that have this sentence, from 0.
    pub(super) fn lines_of(&self, row: usize) -> impl Iterator<Item = usize> {
        self.rows.iter().enumerate().filter(move |(_, other)| **other == Some(row)).map(|(line, _)| line)
    }

    /// The sentence of a line.
    pub(super) fn row_of(&self, line: usize) -> Option<usize> {
        self.rows.get(line).copied().flatten()
    }
}

/// Pairs of sentences that are right, from a file of `SOURCE-LINE<tab>TARGET-LINE`.
pub(super) fn read_gold(path: &Path, source: &Lines, target: &Lines) -> Result<HashSet<(usize, usize)>> {
    let mut pairs = HashSet::new();
    for (number, line) in files::read_text(path)?.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |why: String| Error::input(format!("{}, line {}: {why}", path.display(), number + 1));
        let mut fields = line.split('\t').map(|field| field.trim().parse::<usize>().ok().filter(|line| *line > 0));
        let (Some(Some(left)), Some(Some(right)), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(wrong(format!("wanted are two line numbers, counted from 1, with a tab between: {line:?}")));
        };
        let row = |lines: &Lines, line: usize| {
            lines.row_of(line - 1).ok_or_else(|| wrong(format!("{} has no sentence on line {line}", lines.name)))
        };
        pairs.insert((row(source, left)?, row(target, right)?));
    }
    if pairs.is_empty() {
        return Err(Error::input(format!("{}: no pair is in it", path.display())));
    }
    Ok(pairs)
}
