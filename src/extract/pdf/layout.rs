//! From glyphs to lines of words in reading order.
//!
//! Glyphs are chained into *fragments* as they were drawn, fragments of one baseline form a *row*, rows are split at a clear
//! gutter into columns, and what stands side by side in a column is a *line*. Distances are in ems (the font size), so
//! that the same figures serve footnotes and titles.
//!
//! Small raised signs stay in their word (`km²`), which remembers where they stand: some are the marks of footnotes.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use super::beads::{self, Bead};
use super::book::Area;
use super::columns::{Columns, find_columns};
use super::font::Font;
use super::interpreter::{Glyph, PageContent};
use super::right_to_left::{self, Pieces};

/// A gap wider than this separates words.
const WORD_GAP: f64 = 0.2;
/// The same on a row that draws no spaces, where all of them are gaps: tight lines set narrow ones.
const WORD_GAP_WITHOUT_SPACES: f64 = 0.15;
/// A gap wider than this ends a fragment.
const FRAGMENT_GAP: f64 = 0.6;
/// Columns inside columns.
const MAX_COLUMN_DEPTH: usize = 4;

/// A word and where it stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Left and right edge, in points.
    pub(super) x0: f64,
    pub(super) x1: f64,
    /// The bytes of its text that are raised and small as the mark of a note is; mostly empty.
    pub(super) raised: Range<usize>,
}

/// Whether a line belongs to a footnote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Note {
    #[default]
    No,
    /// It is the first line of one.
    Begins,
    /// It goes on with one, which may have begun in another column or on another page.
    GoesOn,
}

/// A line of one column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    /// Its words in reading order; at least one.
    pub(super) words: Vec<Word>,
    /// Baseline, in points from the bottom of the page.
    pub(super) y: f64,
    /// Font size of most of its glyphs, in points.
    pub(super) size: f64,
    /// Share of its letters that are bold, 0 to 1.
    pub(super) bold: f64,
    /// Number of the text region on the page, in reading order: it changes where a column begins or ends.
    pub(super) region: usize,
    /// Whether it belongs to a footnote, once the book has been looked through for them.
    pub(super) note: Note,
}

impl Line {
    /// Its words, separated by spaces.
    pub(super) fn text(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }

    /// Left edge in points.
    pub(super) fn x0(&self) -> f64 {
        self.words.iter().map(|word| word.x0).reduce(f64::min).unwrap_or(0.0)
    }

    /// Right edge in points.
    pub(super) fn x1(&self) -> f64 {
        self.words.iter().map(|word| word.x1).reduce(f64::max).unwrap_or(0.0)
    }

    /// Its box on a page of this height, from the ascenders to the descenders.
    pub(super) fn area(&self, page: u32, height: f64) -> Area {
        let (y0, y1) = (height - self.y - 0.75 * self.size, height - self.y + 0.25 * self.size);
        Area { page, x0: self.x0(), y0, x1: self.x1(), y1 }
    }
}

/// Glyphs drawn one after another on one baseline.
#[derive(Debug, Clone)]
pub(super) struct Fragment<'a> {
    pub(super) glyphs: Vec<&'a Glyph>,
    pub(super) x0: f64,
    pub(super) x1: f64,
    pub(super) y: f64,
    pub(super) size: f64,
}

/// Fragments of one baseline, left to right.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    pub(super) fragments: Vec<Fragment<'a>>,
    pub(super) y: f64,
    pub(super) size: f64,
    /// Width of the fragment that sets `y` and `size`.
    weight: f64,
}

/// The lines of a page in reading order: top to bottom, column by column where there are columns, bead by bead where the
/// page has beads.
///
/// `gutters` holds where right columns began on earlier pages of the book, and learns those of this page: a last page of few
/// lines shows its columns only to someone who has seen the others.
pub(super) fn lines(content: &PageContent, beads: &[Bead], gutters: &mut Vec<f64>) -> Vec<Line> {
    let mut order = Order { fonts: &content.fonts, gutters, lines: Vec::new(), region: 0 };
    for glyphs in beads::groups(without_overprints(&content.glyphs), beads) {
        order.arrange(&rows(fragments(&glyphs)), 0);
    }
    order.lines
}

/// Drops glyphs that are drawn again at nearly the same place, as programs do that have no bold font.
fn without_overprints(glyphs: &[Glyph]) -> Vec<&Glyph> {
    type Cell<'a> = (&'a str, i64, i64);
    let mut seen: HashMap<Cell<'_>, Vec<(f64, f64)>> = HashMap::new();
    let mut kept = Vec::with_capacity(glyphs.len());
    let cell = |value: f64| (value / 4.0).floor() as i64;
    for glyph in glyphs {
        let reach = 0.15 * glyph.size;
        let cells = |value: f64| cell(value - reach)..=cell(value + reach);
        let near = |place: &(f64, f64)| (place.0 - glyph.x).abs() < reach && (place.1 - glyph.y).abs() < reach;
        let again = cells(glyph.x).any(|x| {
            cells(glyph.y).any(|y| seen.get(&(&*glyph.text, x, y)).is_some_and(|places| places.iter().any(near)))
        });
        if !again || glyph.text.trim().is_empty() {
            seen.entry((&*glyph.text, cell(glyph.x), cell(glyph.y))).or_default().push((glyph.x, glyph.y));
            kept.push(glyph);
        }
    }
    kept
}

pub(super) fn is_space(glyph: &Glyph) -> bool {
    glyph.text.chars().all(char::is_whitespace)
}

fn fragments<'a>(glyphs: &[&'a Glyph]) -> Vec<Fragment<'a>> {
    let mut fragments: Vec<Fragment<'a>> = Vec::new();
    for &glyph in glyphs {
        let end = glyph.x + glyph.width;
        if let Some(open) = fragments.last_mut() {
            let em = glyph.size.min(open.size);
            let gap = glyph.x - open.x1;
            let same_line = (glyph.y - open.y).abs() < 0.05 * em && glyph.size.max(open.size) < 1.3 * em;
            if same_line && gap > -0.5 * em && gap < FRAGMENT_GAP * em && glyph.x >= open.x0 {
                open.x1 = open.x1.max(end);
                open.glyphs.push(glyph);
                continue;
            }
        }
        fragments.push(Fragment { glyphs: vec![glyph], x0: glyph.x, x1: end, y: glyph.y, size: glyph.size });
    }
    // White space at the ends of a fragment is no text, and would close the gutters that it reaches into.
    fragments.retain_mut(|fragment| {
        while fragment.glyphs.last().is_some_and(|glyph| is_space(glyph)) {
            fragment.glyphs.pop();
        }
        let blank = fragment.glyphs.iter().take_while(|glyph| is_space(glyph)).count();
        fragment.glyphs.drain(..blank);
        fragment.x0 = fragment.glyphs.first().map_or(0.0, |glyph| glyph.x);
        fragment.x1 = fragment.glyphs.iter().map(|glyph| glyph.x + glyph.width).fold(fragment.x0, f64::max);
        !fragment.glyphs.is_empty()
    });
    fragments
}

/// Groups fragments whose letters overlap vertically by half or more: superscripts join their line, the next line does not.
/// A large heading in one column may stand beside two lines of the other; those are above one another, and stay apart.
fn rows(mut fragments: Vec<Fragment<'_>>) -> Vec<Row<'_>> {
    let extent = |y: f64, size: f64| (y - 0.2 * size, y + 0.7 * size);
    fragments.sort_by(|a, b| b.y.total_cmp(&a.y).then(a.x0.total_cmp(&b.x0)));
    let mut rows: Vec<Row<'_>> = Vec::new();
    for fragment in fragments {
        let (low, high) = extent(fragment.y, fragment.size);
        let joins = |row: &&mut Row<'_>| {
            let (row_low, row_high) = extent(row.y, row.size);
            let beside = high.min(row_high) - low.max(row_low) >= 0.5 * (high - low).min(row_high - row_low);
            beside && !row.fragments.iter().any(|other| are_stacked(other, &fragment))
        };
        let weight = fragment.x1 - fragment.x0;
        match rows.iter_mut().rev().take(4).find(joins) {
            Some(row) => {
                if weight > row.weight {
                    (row.y, row.size, row.weight) = (fragment.y, fragment.size, weight);
                }
                row.fragments.push(fragment);
            }
            None => rows.push(Row { y: fragment.y, size: fragment.size, weight, fragments: vec![fragment] }),
        }
    }
    for row in &mut rows {
        row.fragments.sort_by(|a, b| a.x0.total_cmp(&b.x0));
    }
    rows.sort_by(|a, b| b.y.total_cmp(&a.y));
    rows
}

/// Whether two fragments stand above one another on different baselines. An accent over its letter is narrower.
fn are_stacked(one: &Fragment<'_>, other: &Fragment<'_>) -> bool {
    let em = one.size.min(other.size);
    (one.y - other.y).abs() > 0.3 * em && one.x1.min(other.x1) - one.x0.max(other.x0) > em
}

/// Writes lines in reading order.
struct Order<'a> {
    fonts: &'a [Rc<Font>],
    gutters: &'a mut Vec<f64>,
    lines: Vec<Line>,
    region: usize,
}

impl Order<'_> {
    fn arrange(&mut self, rows: &[Row<'_>], depth: usize) {
        if rows.is_empty() {
            return;
        }
        let columns = if depth < MAX_COLUMN_DEPTH { find_columns(rows, self.gutters) } else { None };
        let Some(Columns { start, end, x }) = columns else {
            let region = self.region;
            self.region += 1;
            self.lines.extend(rows.iter().filter_map(|row| line(row, self.fonts, region)));
            return;
        };
        if !self.gutters.iter().any(|known| (known - x).abs() < 1.0) {
            self.gutters.push(x);
        }
        self.arrange(&rows[..start], depth + 1);
        // Rows are found anew on either side: a raised sign may have joined a line of the other.
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for row in &rows[start..end] {
            for fragment in &row.fragments {
                let side = if fragment.x0 > x - 0.5 * row.size { &mut right } else { &mut left };
                side.push(fragment.clone());
            }
        }
        self.arrange(&self::rows(left), depth + 1);
        self.arrange(&self::rows(right), depth + 1);
        self.arrange(&rows[end..], depth);
    }
}

/// The middle value, the higher of two.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// A row as a line of words.
fn line(row: &Row<'_>, fonts: &[Rc<Font>], region: usize) -> Option<Line> {
    let glyphs: Vec<&Glyph> = row.fragments.iter().flat_map(|fragment| fragment.glyphs.iter().copied()).collect();
    let threshold = word_gap(&row.fragments);
    let mut pieces: Vec<Pieces<'_>> = Vec::new();
    let mut apart = true;
    for glyph in &glyphs {
        if is_space(glyph) {
            apart = true;
            continue;
        }
        let end = glyph.x + glyph.width;
        match pieces.last_mut() {
            Some((word, texts)) if !apart && glyph.x - word.x1 <= threshold * glyph.size.max(0.7 * row.size) => {
                texts.push(&glyph.text);
                word.x1 = word.x1.max(end);
            }
            _ => pieces.push((Word { x0: glyph.x, x1: end, ..Word::default() }, vec![&glyph.text])),
        }
        apart = false;
        if is_raised(glyph, row)
            && let Some((word, texts)) = pieces.last_mut()
        {
            // Of several runs the last one, but for the mark that a note begins with.
            let (at, run) = (texts.len() - 1, &mut word.raised);
            if run.end == at && run.start < at {
                run.end = at + 1;
            } else if run.start > 0 || run.end == 0 {
                *run = at..at + 1;
            }
        }
    }
    for (word, texts) in pieces.iter_mut().filter(|(word, _)| word.raised.end > 0) {
        let start = composed(&texts[..word.raised.start].concat()).len();
        word.raised = start..start + composed(&texts[word.raised.clone()].concat()).len();
    }
    let mut words = right_to_left::read(pieces);
    for word in &mut words {
        // Accents drawn after their letter become one character with it; white space inside a glyph's text goes.
        word.text = composed(&word.text);
    }
    words.retain(|word| !word.text.is_empty());
    let printed: Vec<&&Glyph> = glyphs.iter().filter(|glyph| !is_space(glyph)).collect();
    let bold = printed.iter().filter(|glyph| fonts.get(glyph.font).is_some_and(|font| font.bold)).count();
    (!words.is_empty()).then(|| Line {
        words,
        y: row.y,
        size: usual_size(&printed).unwrap_or(row.size),
        bold: bold as f64 / printed.len().max(1) as f64,
        region,
        note: Note::No,
    })
}

fn composed(text: &str) -> String {
    unicode_normalization::UnicodeNormalization::nfc(text).filter(|c| !c.is_whitespace()).collect()
}

/// Whether a glyph stands as the mark of a note does: a digit or a star above the baseline and smaller than its line. Some
/// characters do so by their nature.
fn is_raised(glyph: &Glyph, row: &Row<'_>) -> bool {
    let smaller = glyph.size <= 0.8 * row.size && glyph.y - row.y >= 0.15 * row.size;
    let mark = |c: char| c.is_ascii_digit() || matches!(c, ')' | ',');
    glyph.text.chars().all(|c| "*†‡⁰¹²³⁴⁵⁶⁷⁸⁹".contains(c) || smaller && mark(c))
}

/// The gap that separates words on a row, in ems: more than usual where the letters themselves are spaced.
fn word_gap(fragments: &[Fragment<'_>]) -> f64 {
    let mut gaps: Vec<f64> = Vec::new();
    for fragment in fragments {
        for pair in fragment.glyphs.windows(2) {
            if !is_space(pair[0]) && !is_space(pair[1]) {
                gaps.push((pair[1].x - pair[0].x - pair[0].width) / pair[1].size);
            }
        }
    }
    let has_wider = |usual: f64| gaps.iter().any(|&gap| gap > 2.0 * usual);
    let draws_spaces = fragments.iter().flat_map(|fragment| &fragment.glyphs).any(|glyph| is_space(glyph));
    match median(gaps.iter().copied()) {
        Some(usual) if usual > 0.1 && gaps.len() >= 8 && has_wider(usual) => usual + 0.15,
        _ if draws_spaces => WORD_GAP,
        _ => WORD_GAP_WITHOUT_SPACES,
    }
}

fn usual_size(glyphs: &[&&Glyph]) -> Option<f64> {
    let mut counts: HashMap<i64, (usize, f64)> = HashMap::new();
    for glyph in glyphs {
        let entry = counts.entry((glyph.size * 10.0).round() as i64).or_insert((0, glyph.size));
        entry.0 += 1;
    }
    counts.into_values().max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))).map(|(_, size)| size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets a string at 10 points with 5-point letters, spaces included as gaps only.
    fn set(glyphs: &mut Vec<Glyph>, text: &str, x: f64, y: f64) {
        for (at, c) in text.chars().enumerate().filter(|(_, c)| *c != ' ') {
            glyphs.push(Glyph {
                text: Rc::from(c.to_string().as_str()),
                x: x + 5.0 * at as f64,
                y,
                width: 5.0,
                size: 10.0,
                font: 0,
            });
        }
    }

    fn texts(glyphs: Vec<Glyph>) -> Vec<String> {
        lines(&PageContent { width: 600.0, height: 800.0, glyphs, ..PageContent::default() }, &[], &mut Vec::new())
            .iter()
            .map(Line::text)
            .collect()
    }

    #[test]
    fn gaps_make_words_and_baselines_make_lines_whatever_the_drawing_order() {
        let mut glyphs = Vec::new();
        set(&mut glyphs, "second line", 50.0, 688.0);
        set(&mut glyphs, "words", 85.0, 700.0);
        set(&mut glyphs, "three", 50.0, 700.2);
        assert_eq!(texts(glyphs), ["three words", "second line"]);
    }

    #[test]
    fn superscripts_stay_in_their_line() {
        let mut glyphs = Vec::new();
        set(&mut glyphs, "5 km", 50.0, 700.0);
        glyphs.push(Glyph { text: Rc::from("2"), x: 70.0, y: 703.5, width: 3.0, size: 6.0, font: 0 });
        set(&mut glyphs, "next", 50.0, 688.0);
        assert_eq!(texts(glyphs), ["5 km2", "next"]);
    }

    #[test]
    fn a_poor_mans_bold_is_read_once_but_double_letters_stay() {
        let mut glyphs = Vec::new();
        set(&mut glyphs, "ball", 50.0, 700.0);
        set(&mut glyphs, "ball", 50.4, 700.0);
        assert_eq!(texts(glyphs), ["ball"]);
    }

    #[test]
    fn columns_are_read_one_after_the_other_under_a_heading_that_spans_them() {
        let mut glyphs = Vec::new();
        set(&mut glyphs, "a heading that spans both of the columns of text", 50.0, 730.0);
        for row in 0..5 {
            let y = 700.0 - 12.0 * f64::from(row);
            set(&mut glyphs, &format!("left column line {row}"), 50.0, y);
            set(&mut glyphs, &format!("right column line {row}"), 200.0, y - 3.0);
        }
        let expected: Vec<String> = std::iter::once("a heading that spans both of the columns of text".to_owned())
            .chain((0..5).map(|row| format!("left column line {row}")))
            .chain((0..5).map(|row| format!("right column line {row}")))
            .collect();
        assert_eq!(texts(glyphs), expected);
    }

    #[test]
    fn a_raised_sign_of_one_column_between_the_lines_of_the_other_stays_with_its_line() {
        let mut glyphs = Vec::new();
        for row in 0..8 {
            let y = 700.0 - 12.0 * f64::from(row);
            set(&mut glyphs, &format!("right column line {row}"), 200.0, y);
            set(&mut glyphs, &format!("left column line {row}"), 60.0, y - 6.0);
        }
        // Before the left line 4 at 646, whose neighbours on the right are at 652 and 640: nearer to the upper one.
        glyphs.push(Glyph { text: Rc::from("1"), x: 57.0, y: 650.0, width: 3.0, size: 6.0, font: 0 });
        assert_eq!(texts(glyphs)[4], "1left column line 4");
    }

    #[test]
    fn a_large_heading_beside_two_lines_of_the_other_column_joins_neither_to_the_other() {
        let mut glyphs = Vec::new();
        for row in 0..8 {
            let y = 700.0 - 12.0 * f64::from(row);
            set(&mut glyphs, &format!("right column line {row}"), 200.0, y);
            if row < 6 {
                set(&mut glyphs, &format!("left column line {row}"), 50.0, y - 6.0);
            }
        }
        // Between the lines 6 and 7 of the right column.
        for (at, c) in "heading".chars().enumerate() {
            let (text, x) = (Rc::from(c.to_string().as_str()), 50.0 + 8.0 * at as f64);
            glyphs.push(Glyph { text, x, y: 621.0, width: 8.0, size: 16.0, font: 0 });
        }
        let lines = texts(glyphs);
        assert_eq!(lines[6], "heading");
        assert_eq!(lines[13..], ["right column line 6", "right column line 7"]);
    }

    #[test]
    fn the_labels_of_a_list_are_no_column() {
        let mut glyphs = Vec::new();
        for row in 0..6 {
            let y = 700.0 - 12.0 * f64::from(row);
            set(&mut glyphs, &format!("{row}."), 50.0, y);
            set(&mut glyphs, "the text of the item in one long line", 75.0, y);
        }
        assert_eq!(texts(glyphs)[1], "1. the text of the item in one long line");
    }

    #[test]
    fn the_cells_of_a_table_are_read_row_by_row() {
        let mut glyphs = Vec::new();
        for row in 0..6 {
            let y = 700.0 - 12.0 * f64::from(row);
            for (text, x) in [("a long name of a thing", 50.0), ("12 tonnes", 200.0), ("of something", 300.0)] {
                set(&mut glyphs, text, x, y);
            }
        }
        assert!(texts(glyphs).iter().all(|line| line == "a long name of a thing 12 tonnes of something"));
    }

    #[test]
    fn a_last_page_of_few_lines_is_parted_where_other_pages_were() {
        let page = |right: i32| {
            let mut glyphs = Vec::new();
            for row in 0..6 {
                let y = 700.0 - 12.0 * f64::from(row);
                set(&mut glyphs, "left column of text", 50.0, y);
                if row < right {
                    set(&mut glyphs, "right column of text", 160.0, y);
                }
            }
            PageContent { width: 600.0, height: 800.0, glyphs, ..PageContent::default() }
        };
        let mut gutters = Vec::new();
        assert_eq!(lines(&page(2), &[], &mut gutters)[0].text(), "left column of text right column of text");
        assert_eq!(lines(&page(6), &[], &mut gutters)[6].text(), "right column of text");
        assert_eq!(lines(&page(2), &[], &mut gutters)[6].text(), "right column of text");
    }
}
