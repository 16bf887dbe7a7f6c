//! Pairs that come in from files: TSV and JSON lines; TMX is read by `extract::tmx`.

use std::io::BufRead as _;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::record::{Origin, Pair, PairId, Side};
use crate::text::json::repaired;

/// Reads pairs from TSV with the columns `source` and `target` (as exported, or only these two).
///
/// # Errors
/// Kind `Input`, naming the line.
pub fn read_tsv(path: &Path) -> Result<Vec<Pair>> {
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
            imported(&unit_name(path), &row.source, &row.target)
                .map_err(|error| error.while_doing(format!("reading {}", path.display())))
        })
        .collect()
}

/// Reads pairs from JSON lines with `source` and `target` (as exported, or only these two). What other programs write
/// beside the standard is repaired (`text::json`).
///
/// # Errors
/// Kind `Input`, naming the line.
pub fn read_jsonl(path: &Path) -> Result<Vec<Pair>> {
    #[derive(Deserialize)]
    struct Line {
        source: String,
        target: String,
    }
    let mut pairs = Vec::new();
    for (index, line) in std::io::BufReader::new(files::open(path)?).split(b'\n').enumerate() {
        let doing = || format!("reading line {} of {}", index + 1, path.display());
        let (line, _) = repaired(&line.context(ErrorKind::Input, doing)?);
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_slice(&line).context(ErrorKind::Input, doing)?;
        pairs.push(imported(&unit_name(path), &line.source, &line.target).map_err(|error| error.while_doing(doing()))?);
    }
    Ok(pairs)
}

/// The unit that an imported file is: its name.
pub fn unit_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A pair that came as bare text. Its id is that of its texts and of the file that brought it.
///
/// # Errors
/// Kind `Input` when a side is empty.
pub fn imported(file: &str, source: &str, target: &str) -> Result<Pair> {
    if source.trim().is_empty() || target.trim().is_empty() {
        return Err(Error::input(format!("a pair has an empty side: {source:?} and {target:?}")));
    }
    let side = |text: &str| Side { document: None, sentences: Vec::new(), text: text.to_owned() };
    Ok(Pair {
        id: PairId::of(&[Origin::Imported.name().as_bytes(), file.as_bytes(), source.as_bytes(), target.as_bytes()]),
        source: side(source),
        target: side(target),
        origin: Origin::Imported,
        similarity: None,
        margin: None,
        score: 1.0,
        parent: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_with_a_mark_or_a_cut_emoji_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines =
            "\u{feff}{\"source\":\"a\",\"target\":\"b\",\"score\":NaN}\r\n\n{\"source\":\"c\\ud83d\",\"target\":\"d\"}";
        std::fs::write(file.path(), lines).unwrap();
        let read = read_jsonl(file.path()).unwrap();
        let texts: Vec<_> = read.iter().map(|pair| (pair.source.text.as_str(), pair.target.text.as_str())).collect();
        assert_eq!(texts, [("a", "b"), ("c\u{fffd}", "d")]);
    }

    #[test]
    fn an_empty_side_is_no_pair() {
        assert!(imported("f", "a", " ").is_err());
        let id = |file: &str| imported(file, "a", "b").unwrap().id;
        assert_eq!(id("f"), id("f"));
        assert_ne!(id("f"), id("g"), "each file owns its pairs");
    }
}
