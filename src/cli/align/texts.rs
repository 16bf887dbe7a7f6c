//! Texts of a sentence a line, and beads of their lines, as `align` reads them.

use std::path::Path;

use crate::algo::align::Line;
use crate::cli::plain;
use crate::error::{Error, Result};
use crate::files;
use crate::metric::beads::Bead;
use crate::stage::align::{anchor, retain};
use crate::text::{labels, numbers};

/// A text.
pub(super) struct Text {
    /// Its file, to name it.
    pub(super) name: String,
    /// How many lines the file has, blank ones too.
    pub(super) total: usize,
    /// The number of each sentence's line, from 0.
    pub(super) numbers: Vec<usize>,
    /// The sentences, trimmed.
    pub(super) texts: Vec<String>,
    /// What the alignment knows of them.
    pub(super) lines: Vec<Line>,
}

impl Text {
    /// Reads a file: a sentence a line, blank lines between paragraphs.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let (name, all) = (path.display().to_string(), plain::read(path)?);
        let mut text = Self { name, total: 0, numbers: Vec::new(), texts: Vec::new(), lines: Vec::new() };
        let mut block = 0;
        for (number, line) in all.lines().enumerate() {
            text.total += 1;
            let line = line.trim();
            if line.is_empty() {
                block += u32::from(text.lines.last().is_some_and(|last: &Line| last.block == block));
                continue;
            }
            text.numbers.push(number);
            text.lines.push(Line {
                chars: line.chars().count(),
                block,
                kind: 0,
                numbers: numbers::numbers(line),
                label: labels::label(line).map(anchor),
            });
            text.texts.push(line.to_owned());
        }
        if text.lines.is_empty() {
            return Err(Error::input(format!("{}: no line of it has text", text.name)));
        }
        Ok(text)
    }

    /// Keeps the sentences at these places alone, which ascend; answers the lines of the others, from 0.
    pub(super) fn keep(&mut self, places: &[usize]) -> Vec<usize> {
        let mut kept = vec![false; self.texts.len()];
        places.iter().for_each(|place| kept[*place] = true);
        let left_out = self.numbers.iter().zip(&kept).filter(|(_, kept)| !**kept).map(|(number, _)| *number).collect();
        retain(&mut self.numbers, places);
        retain(&mut self.texts, places);
        retain(&mut self.lines, places);
        left_out
    }

    /// Whether blank lines divide it.
    fn has_blocks(&self) -> bool {
        self.lines.last().is_some_and(|last| last.block > 0)
    }
}

/// Paragraphs are evidence where both texts have them. In a text with paragraphs only their first lines can be numbered
/// parts.
pub(super) fn agree_on_blocks(source: &mut Text, target: &mut Text) {
    let both = source.has_blocks() && target.has_blocks();
    for text in [source, target] {
        let mut last = None;
        for line in &mut text.lines {
            if !both {
                line.block = 0;
            } else if last.replace(line.block) == Some(line.block) {
                line.label = None;
            }
        }
    }
}

/// Reads beads, `[0, 1]:[2]` a line, perhaps with a score behind.
pub(super) fn read_beads(path: &Path) -> Result<Vec<Bead>> {
    let text = files::read_text(path)?;
    let mut beads = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut fields = line.split(':');
        let bead = fields.next().and_then(list).zip(fields.next().and_then(list));
        beads.push(bead.ok_or_else(|| {
            Error::input(format!(
                "{}, line {}: {:?} is no bead; one looks like [0, 1]:[2], lines counted from 0",
                path.display(),
                number + 1,
                line.chars().take(60).collect::<String>()
            ))
        })?);
    }
    if beads.is_empty() {
        return Err(Error::input(format!("{}: there are no beads in it", path.display())));
    }
    Ok(beads)
}

/// `[0, 1]`.
fn list(text: &str) -> Option<Vec<usize>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    if inner.is_empty() {
        return Some(Vec::new());
    }
    inner.split(',').map(|number| number.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_lines() {
        assert_eq!(list("[]"), Some(vec![]));
        assert_eq!(list(" [3, 4 ,5] "), Some(vec![3, 4, 5]));
        assert_eq!((list("3"), list("[a]"), list("[1,]")), (None, None, None));
    }

    #[test]
    fn blank_lines_count_and_end_paragraphs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "\u{feff}\none\r\ntwo \n\n\nthree\n").unwrap();
        let text = Text::read(&path).unwrap();
        assert_eq!((text.total, text.numbers.as_slice()), (6, [1, 2, 5].as_slice()));
        assert_eq!(text.texts, ["one", "two", "three"]);
        let blocks: Vec<u32> = text.lines.iter().map(|line| line.block).collect();
        assert_eq!(blocks, [0, 0, 1]);
        let mut some = Text::read(&path).unwrap();
        assert_eq!(some.keep(&[0, 2]), [2], "the line of the sentence that goes");
        assert_eq!((some.texts.join(" "), some.numbers.as_slice()), ("one three".to_owned(), [1, 5].as_slice()));
        assert_eq!(some.lines.iter().map(|line| line.block).collect::<Vec<_>>(), [0, 1]);
        std::fs::write(&path, b"one\n\xff\n").unwrap();
        let error = Text::read(&path).err().unwrap().to_string();
        assert!(error.contains("a.txt, line 2: it is not UTF-8"), "{error}");
    }
}
