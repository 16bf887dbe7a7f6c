//! Pairs that come in from files: TSV and JSON lines; TMX is read by `extract::tmx`.

use std::io::BufRead as _;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::record::{Origin, Pair, Scores, Side};
use crate::stage::Languages;
use crate::text::normalise::normalise;

/// Reads pairs from TSV with the columns `source` and `target` (as exported, or only these two).
///
/// # Errors
/// Kind `Input`, naming the line.
pub fn read_tsv(path: &Path, languages: Languages) -> Result<Vec<Pair>> {
    #[derive(Deserialize)]
    struct Row {
        source: String,
        target: String,
    }
    let mut reader =
        csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).flexible(true).from_reader(files::open(path)?);
    reader
        .deserialize()
        .map(|row| {
            let row: Row = row.context(ErrorKind::Input, || {
                format!("reading {}: expected a header line with the columns source and target", path.display())
            })?;
            imported(languages, &row.source, &row.target)
                .map_err(|error| error.while_doing(format!("reading {}", path.display())))
        })
        .collect()
}

/// Reads pairs from JSON lines with `source` and `target` (as exported, or only these two).
///
/// # Errors
/// Kind `Input`, naming the line.
pub fn read_jsonl(path: &Path, languages: Languages) -> Result<Vec<Pair>> {
    #[derive(Deserialize)]
    struct Line {
        source: String,
        target: String,
    }
    let mut pairs = Vec::new();
    for (index, line) in std::io::BufReader::new(files::open(path)?).lines().enumerate() {
        let doing = || format!("reading line {} of {}", index + 1, path.display());
        let line = line.context(ErrorKind::Input, doing)?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).context(ErrorKind::Input, doing)?;
        pairs.push(imported(languages, &line.source, &line.target).map_err(|error| error.while_doing(doing()))?);
    }
    Ok(pairs)
}

/// The unit that an imported file is: its name.
pub fn unit_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A text pair that came as bare text.
///
/// # Errors
/// Kind `Input` when a side is empty.
pub fn imported(languages: Languages, source: &str, target: &str) -> Result<Pair> {
    if source.trim().is_empty() || target.trim().is_empty() {
        return Err(Error::input(format!("a pair has an empty side: {source:?} and {target:?}")));
    }
    let side = |text: &str| Side { document: None, sentences: Vec::new(), text: normalise(text) };
    Ok(Pair {
        id: languages.text_pair(source, target),
        source: side(source),
        target: side(target),
        origin: Origin::Imported,
        scores: Scores::default(),
        score: 1.0,
        parent: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Language;

    #[test]
    fn an_empty_side_is_no_pair() {
        let languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };
        assert!(imported(languages, "a", " ").is_err());
        assert!(imported(languages, "a", "b").is_ok());
    }
}
