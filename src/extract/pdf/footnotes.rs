//! Footnotes: which lines at the foot of a page are notes, and which raised numbers in its text call them.
//!
//! Small type at the foot of a page may as well be a caption, an exercise or the small print, so a note must be vouched
//! for: it begins with a mark, and the text of its page bears the same mark raised; or the mark is itself raised before
//! the note, and a gap parts it from the text. What follows in the same small type, down to the foot, belongs to it.
//!
//! The marks are typography, as bullets are: for whoever reads the sentences, `school¹` is the word `school`. So they are
//! left out of the note and, where the page has a note with that mark, of the text; other raised numbers (`km²`) stay.

use std::collections::HashSet;

use super::hyphens::ends_in_hyphen;
use super::layout::{Line, Note, Word, median};
use super::markers::{ends_sentence, starts_lower};
use super::running::PageLines;

/// Notes are set in type of at most this share of the body size.
const SMALL: f64 = 0.93;
/// A note whose mark nothing in the text bears stands at least so far from it, in usual distances of lines.
const APART: f64 = 1.25;
/// With more lines of other columns below it than this, a line is not at the foot of its page. So many above it are
/// enough to tell what is usual.
const ENOUGH_LINES: usize = 64;

/// Marks the lines of footnotes, and takes their marks out of them and of the text.
pub(super) fn find(pages: &mut [PageLines], body: f64) {
    let mut open = false;
    for page in pages {
        let feet = feet(&page.lines, body);
        let in_foot: HashSet<usize> = feet.iter().cloned().flatten().collect();
        let references = references(&page.lines, &in_foot);
        let called: HashSet<&str> = references.iter().map(|reference| &*reference.mark).collect();
        let mut found: Vec<(usize, Note, Option<Mark>)> = Vec::new();
        for foot in feet {
            found.extend(notes(&page.lines, foot, body, &called, &mut open));
        }
        let marks: HashSet<String> =
            found.iter().filter_map(|(.., mark)| mark.as_ref()).map(|mark| mark.text.clone()).collect();
        for (line, word) in of_notes(&references, &marks) {
            strike(&mut page.lines[line], word, None);
        }
        for (at, note, mark) in found {
            page.lines[at].note = note;
            if let Some(mark) = mark {
                strike(&mut page.lines[at], 0, Some(mark.length));
            }
        }
    }
}

/// The mark that a line begins with.
#[derive(Debug, PartialEq)]
struct Mark {
    text: String,
    /// Its bytes in the first word.
    length: usize,
    /// Whether it is a raised number, which few other lines begin with.
    raised: bool,
}

/// A raised mark in the text.
#[derive(Debug)]
struct Reference {
    line: usize,
    word: usize,
    mark: String,
    /// Whether it may as well be a power or the end of a unit.
    is_power: bool,
}

/// A mark as the text and the note may both write it.
fn normal(mark: &str) -> String {
    let digit =
        |c: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().position(|other| other == c).and_then(|at| char::from_digit(at as u32, 10));
    mark.trim_matches(|c: char| matches!(c, ')' | '.' | ',')).chars().map(|c| digit(c).unwrap_or(c)).collect()
}

/// A word's raised signs. Not trusted without a look: in lines that run from right to left they stand elsewhere.
fn raised(word: &Word) -> Option<&str> {
    let text = word.text.get(word.raised.clone()).filter(|text| !text.is_empty())?;
    text.chars().all(|c| "*†‡⁰¹²³⁴⁵⁶⁷⁸⁹),".contains(c) || c.is_ascii_digit()).then_some(text)
}

/// The mark at the start of a line: `¹Text`, `* Text`, `1 Text`, `1) Text`, `1Text`.
fn mark(line: &Line) -> Option<Mark> {
    let first = line.words.first()?;
    let (length, is_raised) = match raised(first) {
        Some(mark) if first.raised.start == 0 => (mark.len(), true),
        _ => {
            let digits = first.text.bytes().take_while(u8::is_ascii_digit).count();
            let rest = &first.text[digits..];
            let begins_text = |c: char| c.is_uppercase() || "«\"“„(".contains(c);
            match rest {
                "" | ")" | "." => (first.text.len(), false),
                _ if rest.starts_with(begins_text) => (digits, false),
                _ => return None,
            }
        }
    };
    let text = normal(&first.text[..length]);
    // Hours and minutes are set raised, too: `²⁰:15`.
    if first.text[length..].starts_with([':', ',', '/', '-', '–', '%', '°']) {
        return None;
    }
    let rest_of_line = length < first.text.len() || line.words.len() > 1;
    (rest_of_line && (1..=3).contains(&text.chars().count())).then(|| Mark {
        raised: is_raised && text.starts_with(|c: char| c.is_ascii_digit()),
        text,
        length,
    })
}

/// Runs of lines in small type at the end of a region with nothing but page numbers below them.
fn feet(lines: &[Line], body: f64) -> Vec<std::ops::Range<usize>> {
    let is_number = |line: &Line| line.words.iter().all(|word| !word.text.chars().any(char::is_alphabetic));
    let mut by_height: Vec<&Line> = lines.iter().collect();
    by_height.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut feet = Vec::new();
    let mut start = 0;
    for region in lines.chunk_by(|a, b| a.region == b.region) {
        let end = start + region.len() - region.iter().rev().take_while(|line| is_number(line)).count();
        let small = lines[start..end].iter().rev().take_while(|line| line.size <= SMALL * body).count();
        start += region.len();
        let Some(last) = lines[end - small..end].last() else { continue };
        let below = by_height.iter().take_while(|line| line.y < last.y);
        let covers = |line: &&&Line| !is_number(line) && line.x0() < last.x1() && last.x0() < line.x1();
        if below.clone().take(ENOUGH_LINES + 1).count() <= ENOUGH_LINES
            && !below.take(ENOUGH_LINES).any(|line| covers(&line))
        {
            feet.push(end - small..end);
        }
    }
    feet
}

/// The raised marks in the text, behind a word or alone.
fn references(lines: &[Line], in_foot: &HashSet<usize>) -> Vec<Reference> {
    let mut references = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(at, _)| !in_foot.contains(at)) {
        for (place, word) in line.words.iter().enumerate() {
            let Some(mark) = raised(word).map(normal).filter(|mark| !mark.is_empty()) else { continue };
            let (stem, rest) = (&word.text[..word.raised.start], &word.text[word.raised.end..]);
            // What follows it ends the sentence, or the quotation; letters and digits make it a part of something else.
            if rest.chars().any(char::is_alphanumeric) || stem.is_empty() && place == 0 {
                continue;
            }
            let letters = stem.chars().rev().take_while(|c| c.is_alphabetic()).count();
            let is_power = (1..=2).contains(&letters) || stem.ends_with(|c: char| c.is_ascii_digit());
            references.push(Reference { line: at, word: place, mark, is_power });
        }
    }
    references
}

/// The references to these notes, the last word of a line first. One behind a unit counts only where no other does.
fn of_notes(references: &[Reference], marks: &HashSet<String>) -> Vec<(usize, usize)> {
    let sure: HashSet<&str> =
        references.iter().filter(|reference| !reference.is_power).map(|reference| &*reference.mark).collect();
    let is_call = |reference: &&Reference| {
        marks.contains(&reference.mark) && (!reference.is_power || !sure.contains(&*reference.mark))
    };
    references.iter().rev().filter(is_call).map(|reference| (reference.line, reference.word)).collect()
}

/// The lines of a foot that are notes, and their marks. `open` tells whether the last note so far waits for its end.
fn notes(
    lines: &[Line],
    foot: std::ops::Range<usize>,
    body: f64,
    called: &HashSet<&str>,
    open: &mut bool,
) -> Vec<(usize, Note, Option<Mark>)> {
    let mut notes: Vec<(usize, Note, Option<Mark>)> = Vec::new();
    let mut number: Option<u32> = None;
    for at in foot.clone() {
        let apart = || notes.is_empty() && stands_apart(lines, at, body);
        let mark = mark(&lines[at]).filter(|mark| {
            let next = number.is_some_and(|number| mark.text.parse() == Ok(number + 1));
            called.contains(&*mark.text) || mark.raised && (!notes.is_empty() || apart()) || next
        });
        match mark {
            Some(mark) => {
                number = mark.text.parse().ok();
                notes.push((at, Note::Begins, Some(mark)));
            }
            None if !notes.is_empty() => notes.push((at, Note::GoesOn, None)),
            None if at == foot.start && *open && starts_lower(&lines[at].text()) && apart() => {
                notes.push((at, Note::GoesOn, None));
            }
            None => {}
        }
    }
    if let Some((last, ..)) = notes.last() {
        let text = lines[*last].text();
        *open = ends_in_hyphen(&text) || !ends_sentence(&text);
    }
    notes
}

/// Whether a wider gap than usual parts a line from the one above it.
fn stands_apart(lines: &[Line], at: usize, body: f64) -> bool {
    let Some(above) = at.checked_sub(1).filter(|&above| lines[above].region == lines[at].region) else { return true };
    let region = lines[..at].iter().rev().take(ENOUGH_LINES).take_while(|line| line.region == lines[at].region);
    let heights: Vec<f64> = region.map(|line| line.y).collect();
    let usual = median(heights.windows(2).map(|pair| pair[1] - pair[0])).unwrap_or(1.2 * body);
    lines[above].y - lines[at].y >= APART * usual.min(1.5 * body)
}

/// Takes the first bytes, or else the raised signs, out of a word; a word that is nothing else goes, unless it is the last.
fn strike(line: &mut Line, word: usize, length: Option<usize>) {
    let alone = line.words.len() == 1;
    let Some(this) = line.words.get_mut(word) else { return };
    let range = length.map_or(std::mem::take(&mut this.raised), |length| 0..length);
    if this.text.get(range.clone()).is_none() || range.len() == this.text.len() && alone {
        return;
    }
    this.raised = 0..0;
    this.text.replace_range(range, "");
    if this.text.is_empty() {
        line.words.remove(word);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, set};
    use super::super::{Limits, extract};
    use crate::record::BlockKind::{self, *};

    /// A page: full lines of the text in 10 points from 700 down, 12 apart, then small lines of 8 points from 100 down. In
    /// both a `^` raises the sign after it.
    fn page(text: &[&str], small: &[&str]) -> Vec<u8> {
        let mut content = String::new();
        let mut put = |size: f64, y: f64, line: &str| {
            let (mut x, mut raised) = (50.0, false);
            for c in line.chars() {
                let (own, up) = if raised { (0.6 * size, 0.4 * size) } else { (size, 0.0) };
                if c == '^' {
                    raised = true;
                    continue;
                }
                content += &set("U", own, x, y + up, &c.to_string());
                x += 0.5 * own;
                raised = false;
            }
        };
        text.iter().zip(0..).for_each(|(line, at)| put(10.0, 700.0 - 12.0 * f64::from(at), line));
        small.iter().zip(0..).for_each(|(line, at)| put(8.0, 100.0 - 9.0 * f64::from(at), line));
        content.into_bytes()
    }

    fn blocks(pages: &[Vec<u8>]) -> Vec<(BlockKind, String, u32)> {
        let mut sample = Sample::new();
        pages.iter().for_each(|page| sample.page(page));
        let book = extract(&sample.bytes(), &Limits::default()).unwrap();
        book.blocks.into_iter().map(|block| (block.kind, block.text, block.page)).collect()
    }

    fn block(kind: BlockKind, text: &str, page: u32) -> (BlockKind, String, u32) {
        (kind, text.to_owned(), page)
    }

    #[test]
    fn a_note_stands_behind_the_paragraph_that_runs_over_the_page_and_its_mark_is_gone() {
        let pages = [
            page(
                &["The river^1 carries water from the hills", "to the sea, and the fields^2 on its banks"],
                &["^1Longest of the country. It is 5 km^2", "wide.", "^2 Cotton and wheat."],
            ),
            page(&["drink from it. The ditches are 3 m^2 wide."], &[]),
        ];
        let expected = [
            block(
                Paragraph,
                "The river carries water from the hills to the sea, and the fields on its banks drink from it. The ditches are 3 m2 wide.",
                1,
            ),
            block(Footnote, "Longest of the country. It is 5 km2 wide.", 1),
            block(Footnote, "Cotton and wheat.", 1),
        ];
        assert_eq!(blocks(&pages), expected);
    }

    #[test]
    fn a_level_number_or_a_star_needs_its_call_in_the_text() {
        let text = "The river* carries much water^1, and the field is 20 m^2 long and wide.";
        let found = blocks(&[page(&[text], &["* Of the north.", "1 In spring."])]);
        assert_eq!(found[0].1, "The river carries much water, and the field is 20 m2 long and wide.");
        assert_eq!(found[1..], [block(Footnote, "Of the north.", 1), block(Footnote, "In spring.", 1)]);

        let found =
            blocks(&[page(&["The river carries 100 m^3 of much water."], &["1. Draw a river.", "2. Name a sea."])]);
        assert_eq!(found[0].1, "The river carries 100 m3 of much water.");
        assert!(found.len() == 3 && found[1..].iter().all(|(kind, ..)| *kind == Exercise), "{found:?}");

        let caption = blocks(&[page(&["The river carries much water to the sea."], &["The river in spring"])]);
        assert_eq!(caption[1], block(Paragraph, "The river in spring", 1));
    }

    #[test]
    fn a_raised_number_with_a_gap_is_a_note_without_a_call_and_a_note_goes_on_over_the_page() {
        let text = ["The river carries much water to the sea,", "and no boat goes on it in the winter time."];
        let pages =
            [page(&text, &["^3 In spring, when the snow of the"]), page(&text, &["hills melts.", "^4 In the south."])];
        let notes: Vec<_> = blocks(&pages).into_iter().filter(|(kind, ..)| *kind == Footnote).collect();
        assert_eq!(
            notes,
            [block(Footnote, "In spring, when the snow of the hills melts.", 1), block(Footnote, "In the south.", 2)]
        );
    }

    #[test]
    fn raised_numbers_of_a_page_without_notes_stay() {
        let timetable =
            blocks(&[page(&["The river carries much water to the sea."], &["^2^0:15 A boat leaves the town."])]);
        assert_eq!(timetable[1], block(Paragraph, "20:15 A boat leaves the town.", 1));
        let found = blocks(&[page(&["The area^1 is 5 km^2 and x^2 = 4."], &[])]);
        assert_eq!(found[0].1, "The area1 is 5 km2 and x2 = 4.");
    }
}
