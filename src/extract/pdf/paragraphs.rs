//! From lines to blocks: where one paragraph ends and the next begins, what each is, and what goes on across a page break.
//!
//! Two lines belong together unless something speaks against it: another size, a wider gap, a label, an indent, or room that
//! the next word would have filled. What counts as wide or indented is measured on the book itself.

use std::collections::{BTreeMap, HashMap};

use super::book::Area;
use super::hyphens::{Lexicon, ends_in_hyphen};
use super::layout::{Line, Note, median};
use super::markers::{Marker, ends_sentence, is_formula_line, is_leader_line, marker, starts_lower, starts_upper};
use super::running::PageLines;
use super::tables;
use crate::record::BlockKind;

/// A gap wider than this, in usual line pitches, ends a block.
const WIDE_GAP: f64 = 1.3;
/// Sizes that differ by more than this share are different.
const OTHER_SIZE: f64 = 0.08;
/// An indent is at least this many ems.
const INDENT: f64 = 0.7;
/// Left edges within this many ems are the same.
const SAME_EDGE: f64 = 0.35;
/// From this many times the body size on, type is a heading's.
const HEADING_SIZE: f64 = 1.12;
/// Longer texts, in characters, are no headings, whatever their type.
const LONGEST_HEADING: usize = 200;
/// From this share of bold letters on, a line is bold.
const BOLD: f64 = 0.9;
/// Regions with at least this many lines tell the margins of the book.
const LARGE_REGION: usize = 8;

/// A block before it is written out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) kind: BlockKind,
    pub(super) text: String,
    /// The page on which it begins, counted from 1.
    pub(super) page: u32,
    /// Where it stands, a box a column.
    pub(super) boxes: Vec<Area>,
}

/// What is usual in the book.
#[derive(Debug)]
struct Usual {
    /// Size of the running text in points.
    body: f64,
    /// Distance of baselines, in font sizes.
    pitch: f64,
    /// Whether paragraphs begin with an indent.
    indented: bool,
    /// Whether the running text is bold, as in some primers: then bold type marks nothing.
    bold: bool,
}

/// A line with the margins of its column.
#[derive(Debug)]
struct Placed<'a> {
    line: &'a Line,
    text: String,
    page: u32,
    /// Height of the page in points.
    height: f64,
    left: f64,
    right: f64,
    marker: Option<Marker>,
    /// Whether it is a row of a table.
    row: bool,
}

/// Lines that belong together.
#[derive(Debug, Default)]
struct Draft {
    lines: Vec<usize>,
    /// Where the text after the label starts: lines that start there hang on the label.
    hang: Option<f64>,
    /// Whether the next draft continues it.
    continued: bool,
}

/// The size in which most of the letters of the book are set, in points; `None` without lines.
pub(super) fn body_size(pages: &[PageLines]) -> Option<f64> {
    let mut letters: HashMap<i64, usize> = HashMap::new();
    for line in pages.iter().flat_map(|page| &page.lines) {
        *letters.entry((line.size * 4.0).round() as i64).or_default() +=
            line.words.iter().map(|word| word.text.chars().count()).sum::<usize>();
    }
    letters.into_iter().max_by_key(|&(size, count)| (count, size)).map(|(size, _)| size as f64 / 4.0)
}

/// The blocks of a book whose running lines have been taken out.
pub(super) fn blocks(pages: &[PageLines]) -> Vec<Block> {
    let Some(body) = body_size(pages) else { return Vec::new() };
    let placed = place(pages, body);
    let usual = measure(&placed, body);
    let lexicon = lexicon(&placed);
    let is_note = |draft: &Draft| draft.lines.first().is_some_and(|&at| placed[at].line.note != Note::No);
    let (notes, mut drafts): (Vec<Draft>, Vec<Draft>) = drafts(&placed, &usual).into_iter().partition(is_note);
    link(&placed, &mut drafts, &usual);
    let drafts = with_notes(&placed, drafts, notes);
    write(&placed, &drafts, &usual, &lexicon)
}

/// Gives every line the margins of its column.
fn place(pages: &[PageLines], body: f64) -> Vec<Placed<'_>> {
    let mut heights: HashMap<u32, f64> = HashMap::new();
    heights.extend(pages.iter().map(|page| (page.number, page.height)));
    let regions: Vec<(u32, &[Line])> = pages
        .iter()
        .flat_map(|page| page.lines.chunk_by(|a, b| a.region == b.region).map(|lines| (page.number, lines)))
        .collect();
    let own: Vec<(f64, f64)> = regions.iter().map(|(_, lines)| margins(lines, body)).collect();
    let mut placed = Vec::new();
    for ((page, lines), &(left, right)) in regions.iter().zip(&own) {
        // A region's own margins are only as good as its lines; the nearest that larger regions have may contain them.
        let containing = regions.iter().zip(&own).filter(|((other, others), (l, r))| {
            others.len() >= LARGE_REGION && (other % 2 == page % 2 || regions.len() < 20) && {
                let outdent = left - l;
                (-0.5 * body..6.0 * body).contains(&outdent) && right <= r + 0.5 * body
            }
        });
        let nearest =
            containing.map(|(_, &(l, r))| (l, r)).min_by(|a, b| (left - a.0).abs().total_cmp(&(left - b.0).abs()));
        let sure = lines.len() >= 2 * LARGE_REGION;
        let (left, right) = match nearest {
            Some((l, r)) if !sure => {
                // Among margins equally near, the widest right one that occurs there.
                let widest = own
                    .iter()
                    .filter(|(other, _)| (other - l).abs() < 1.0)
                    .map(|own| own.1)
                    .filter(|&x| x <= r + body)
                    .fold(r, f64::max);
                (l, widest)
            }
            _ => (left, right),
        };
        placed.extend(lines.iter().zip(tables::rows(lines)).map(|(line, row)| {
            let text = line.text();
            let height = heights.get(page).copied().unwrap_or_default();
            let of_text = line.note == Note::No;
            let marker = marker(&text).filter(|_| of_text);
            Placed { line, marker, text, page: *page, height, left, right, row: row && of_text }
        }));
    }
    placed
}

/// The leftmost edge at which several lines start, and the rightmost edge.
fn margins(lines: &[Line], body: f64) -> (f64, f64) {
    let of_body: Vec<&Line> = lines.iter().filter(|line| (line.size - body).abs() <= 0.1 * body).collect();
    let lines: Vec<&Line> = if of_body.is_empty() { lines.iter().collect() } else { of_body };
    let mut starts: Vec<f64> = lines.iter().map(|line| line.x0()).collect();
    starts.sort_by(f64::total_cmp);
    let enough = 2.max(starts.len() * 15 / 100);
    let supported = starts.chunk_by(|a, b| b - a < 0.2 * body).find(|edge| edge.len() >= enough).map(|edge| edge[0]);
    let right = lines.iter().map(|line| line.x1()).fold(f64::NEG_INFINITY, f64::max);
    (supported.or(starts.first().copied()).unwrap_or(0.0), right)
}

impl Placed<'_> {
    fn area(&self) -> Area {
        self.line.area(self.page, self.height)
    }

    /// Distance of its left edge from the margin, in ems.
    fn indent(&self) -> f64 {
        (self.line.x0() - self.left) / self.line.size
    }

    /// Room between its right edge and the margin, in points.
    fn slack(&self) -> f64 {
        self.right - self.line.x1()
    }

    /// Whether a good part of the line is empty.
    fn is_short(&self) -> bool {
        self.slack() > 0.33 * (self.right - self.left)
    }

    fn is_centred(&self) -> bool {
        let before = self.line.x0() - self.left;
        before > 1.5 * self.line.size && (before - self.slack()).abs() < 1.5 * self.line.size
    }

    /// Whether the first word of `next` would have fitted on this line. A dash stays with the word before it.
    fn has_room_for(&self, next: &Self) -> bool {
        let words = &next.line.words;
        let dash = |word: &&super::layout::Word| matches!(word.text.as_str(), "—" | "–" | "-");
        let last = words.get(1).filter(dash).unwrap_or(&words[0]);
        0.25 * self.line.size + (last.x1 - words[0].x0) <= self.slack() + 0.05 * self.line.size
    }

    fn same_column(&self, next: &Self) -> bool {
        self.page == next.page && self.line.region == next.line.region
    }
}

fn same_size(a: f64, b: f64) -> bool {
    (a - b).abs() <= OTHER_SIZE * a.max(b)
}

fn measure(placed: &[Placed<'_>], body: f64) -> Usual {
    let of_body = |at: &Placed<'_>| same_size(at.line.size, body);
    let pitches =
        placed.windows(2).filter(|pair| pair[0].same_column(&pair[1]) && of_body(&pair[0]) && of_body(&pair[1]));
    let pitches =
        pitches.map(|pair| (pair[0].line.y - pair[1].line.y) / body).filter(|pitch| (0.8..2.5).contains(pitch));
    let pitch = median(pitches).unwrap_or(1.2);
    let at_margin = |at: &Placed<'_>| at.indent().abs() < SAME_EDGE;
    let first_lines = placed
        .windows(2)
        .filter(|pair| (INDENT..8.0).contains(&pair[0].indent()) && pair[0].marker.is_none() && at_margin(&pair[1]))
        .filter(|pair| pair[0].same_column(&pair[1]) && of_body(&pair[0]) && of_body(&pair[1]))
        .count();
    let lines = placed.iter().filter(|at| of_body(at)).count();
    let bold = placed.iter().filter(|at| of_body(at) && at.line.bold >= BOLD).count();
    Usual { body, pitch, indented: first_lines >= 2 && first_lines * 40 >= lines, bold: bold * 2 > lines }
}

fn lexicon(placed: &[Placed<'_>]) -> Lexicon {
    let mut lexicon = Lexicon::default();
    let mut after_break = false;
    for at in placed {
        lexicon.learn(at.line.words.iter().map(|word| word.text.as_str()), after_break);
        after_break = ends_in_hyphen(&at.text);
    }
    lexicon
}

fn drafts(placed: &[Placed<'_>], usual: &Usual) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (at, this) in placed.iter().enumerate() {
        if let Some(open) = drafts.last_mut()
            && !breaks(placed, open, this, usual)
        {
            // The second line shows where the lines hang, if not under the text of the first.
            if open.lines.len() == 1 && open.hang.is_some() && this.indent() >= INDENT {
                open.hang = Some(this.line.x0());
            }
            open.lines.push(at);
            continue;
        }
        let hang = this.marker.as_ref().and_then(|_| this.line.words.get(1)).map(|word| word.x0);
        drafts.push(Draft { lines: vec![at], hang, continued: false });
    }
    drafts
}

/// Whether `b` begins a new block after the lines of `open`.
fn breaks(placed: &[Placed<'_>], open: &Draft, b: &Placed<'_>, usual: &Usual) -> bool {
    let Some(a) = open.lines.last().map(|&at| &placed[at]) else { return true };
    if a.line.note != Note::No || b.line.note != Note::No {
        return a.line.note == Note::No || b.line.note != Note::GoesOn || !a.same_column(b);
    }
    if a.row || b.row {
        return true;
    }
    if !a.same_column(b) || !same_size(a.line.size, b.line.size) || is_leader_line(&a.text) || is_leader_line(&b.text) {
        return true;
    }
    let gap = a.line.y - b.line.y;
    if gap <= 0.0 || gap > WIDE_GAP * usual.pitch.max(1.0) * b.line.size {
        return true;
    }
    let hangs = |x: f64| (b.line.x0() - x).abs() < SAME_EDGE * b.line.size;
    if open.hang.is_some_and(hangs) && b.marker.is_none() {
        return false;
    }
    let broken_word = ends_in_hyphen(&a.text) && starts_lower(&b.text);
    if !broken_word && begins_with_label(a, b, open) {
        return true;
    }
    let heading = |at: &Placed<'_>| at.line.size >= HEADING_SIZE * usual.body || at.line.bold >= BOLD && !usual.bold;
    let new_start = !starts_lower(&b.text);
    if heading(a) && heading(b) {
        return new_start && a.has_room_for(b) && !a.is_centred();
    }
    let flips = (a.line.bold >= BOLD) != (b.line.bold >= BOLD) && (a.line.bold < 0.1 || b.line.bold < 0.1);
    if flips && !broken_word && new_start && (a.has_room_for(b) || ends_sentence(&a.text) || b.indent() >= INDENT) {
        return true;
    }
    if broken_word {
        return false;
    }
    breaks_by_shape(placed, open, a, b, usual)
}

/// A label at the start of a line is one only where a sentence could begin.
fn begins_with_label(a: &Placed<'_>, b: &Placed<'_>, open: &Draft) -> bool {
    let free = ends_sentence(&a.text) || a.has_room_for(b) || a.marker.is_some() && open.lines.len() == 1;
    let stands_out = b.indent() >= INDENT || open.hang.is_some();
    match &b.marker {
        None => false,
        Some(Marker::Bullet(_) | Marker::Exercise) => true,
        Some(Marker::Section) => free || stands_out,
        Some(Marker::Number | Marker::Letter) => free || stands_out,
        Some(Marker::Dash(_)) => free || b.indent() >= INDENT,
    }
}

/// Indents and short lines.
fn breaks_by_shape(placed: &[Placed<'_>], open: &Draft, a: &Placed<'_>, b: &Placed<'_>, usual: &Usual) -> bool {
    let room = a.has_room_for(b);
    let sentence_end = ends_sentence(&a.text);
    let new_start = !starts_lower(&b.text);
    if (INDENT..12.0).contains(&b.indent()) {
        let same_edge = (b.line.x0() - a.line.x0()).abs() < SAME_EDGE * b.line.size;
        let indented_block = open.lines.len() >= 2 && {
            let before = &placed[open.lines[open.lines.len() - 2]];
            (before.line.x0() - a.line.x0()).abs() < SAME_EDGE * b.line.size
        };
        let hanging = open.hang.is_some() && open.lines.len() == 1 && !sentence_end && !room;
        if !same_edge && !hanging && b.line.x0() > a.line.x0() && (new_start || usual.indented && sentence_end) {
            return true;
        }
        if same_edge && !indented_block && usual.indented && new_start && (sentence_end || room) {
            return true;
        }
    }
    if sentence_end {
        room && new_start && (!usual.indented || a.is_short())
    } else {
        room && starts_upper(&b.text) && a.is_short() && !a.is_centred()
    }
}

/// Marks the drafts that go on in the next column or on the next page.
fn link(placed: &[Placed<'_>], drafts: &mut [Draft], usual: &Usual) {
    let mut at = 0;
    while at + 1 < drafts.len() {
        let last = drafts[at].lines.last().map(|&line| &placed[line]);
        let next = drafts[at + 1].lines.first().map(|&line| &placed[line]);
        if let (Some(last), Some(next)) = (last, next)
            && !last.same_column(next)
        {
            // Small type at the foot of the page (what is no known note, too) stands between the halves of the paragraph.
            let is_note = |draft: &Draft| draft.lines.iter().all(|&line| placed[line].line.size < 0.95 * usual.body);
            let in_column = |draft: &Draft| draft.lines.first().is_some_and(|&line| placed[line].same_column(last));
            let open =
                (0..=at).rev().take_while(|&draft| in_column(&drafts[draft])).find(|&draft| !is_note(&drafts[draft]));
            if let Some(open) = open
                && goes_on(placed, &drafts[open], &drafts[at + 1], usual)
            {
                let notes = at - open;
                drafts[open].continued = true;
                // The continuation moves before the notes, next to its first half.
                drafts[open + 1..=at + 1].rotate_right(1);
                at += usize::from(notes > 0);
            }
        }
        at += 1;
    }
}

/// Puts footnotes behind the text of their page, and behind the end of the paragraph that runs on from there.
fn with_notes(placed: &[Placed<'_>], drafts: Vec<Draft>, notes: Vec<Draft>) -> Vec<Draft> {
    let first = |draft: &Draft| draft.lines.first().map(|&at| &placed[at]);
    let mut lasts: BTreeMap<u32, usize> = BTreeMap::new();
    lasts.extend(drafts.iter().enumerate().filter_map(|(at, draft)| Some((first(draft)?.page, at))));
    let mut behind: BTreeMap<Option<usize>, Vec<Draft>> = BTreeMap::new();
    let mut place = None;
    for note in notes {
        let Some(line) = first(&note) else { continue };
        let before = behind.get_mut(&place).and_then(|notes| notes.last_mut());
        match before.filter(|_| line.line.note == Note::GoesOn) {
            Some(before) => before.continued = true,
            None => {
                place = lasts.range(..=line.page).next_back().map(|(_, &at)| {
                    let more = drafts[at..].iter().take_while(|draft| draft.continued).count();
                    at + more
                });
            }
        }
        behind.entry(place).or_default().push(note);
    }
    let mut all = behind.remove(&None).unwrap_or_default();
    for (at, draft) in drafts.into_iter().enumerate() {
        all.push(draft);
        all.extend(behind.remove(&Some(at)).unwrap_or_default());
    }
    all
}

fn goes_on(placed: &[Placed<'_>], open: &Draft, next: &Draft, usual: &Usual) -> bool {
    let (Some(first), Some(a), Some(b)) = (open.lines.first(), open.lines.last(), next.lines.first()) else {
        return false;
    };
    let (first, a, b) = (&placed[*first], &placed[*a], &placed[*b]);
    let is_heading = |draft: &Draft| {
        matches!(kind(placed, draft, usual), BlockKind::Heading | BlockKind::Table | BlockKind::Formula)
    };
    if b.page > a.page + 3
        || b.marker.is_some()
        || !same_size(a.line.size, b.line.size)
        || is_heading(open)
        || is_heading(next)
    {
        return false;
    }
    let lower = starts_lower(&b.text);
    if ends_in_hyphen(&a.text) && lower {
        return true;
    }
    let hangs = open.hang.is_some_and(|x| ((x - first.left) - (b.line.x0() - b.left)).abs() < SAME_EDGE * b.line.size);
    let in_place = hangs || open.hang.is_none() && b.indent() < INDENT;
    let full = !a.has_room_for(b);
    if lower || !ends_sentence(&a.text) {
        return lower || full;
    }
    // After the end of a sentence only the shape speaks: where paragraphs begin with an indent, this one does not begin here.
    in_place && (hangs && full || open.hang.is_none() && usual.indented && !a.is_short())
}

/// What a draft is.
fn kind(placed: &[Placed<'_>], draft: &Draft, usual: &Usual) -> BlockKind {
    let lines: Vec<&Placed<'_>> = draft.lines.iter().map(|&at| &placed[at]).collect();
    let Some(first) = lines.first() else { return BlockKind::Paragraph };
    if first.line.note != Note::No {
        return BlockKind::Footnote;
    }
    if lines.iter().any(|at| is_leader_line(&at.text) || at.row) {
        return BlockKind::Table;
    }
    if first.marker.is_none() && lines.iter().all(|at| is_formula_line(&at.text)) {
        return BlockKind::Formula;
    }
    let length: usize = lines.iter().map(|at| at.text.chars().count()).sum();
    let has_letters = lines.iter().any(|at| at.text.chars().any(char::is_alphabetic));
    let last_text = lines.last().map_or("", |at| at.text.as_str());
    let large = first.line.size >= HEADING_SIZE * usual.body;
    let bold = !usual.bold && lines.iter().all(|at| at.line.bold >= BOLD) && lines.len() <= 3;
    let open_ended = !last_text.ends_with(['.', ',', ';', ':']);
    let capitals = lines.len() == 1
        && first.text.chars().filter(|c| c.is_uppercase()).count() >= 4
        && !first.text.chars().any(char::is_lowercase);
    let section = first.marker == Some(Marker::Section) && lines.len() <= 2;
    let is_heading = has_letters && length <= LONGEST_HEADING && (large || open_ended && (bold || capitals || section));
    match (&first.marker, is_heading) {
        (Some(Marker::Exercise), _) => BlockKind::Exercise,
        (Some(Marker::Bullet(_)), _) => BlockKind::Item,
        (_, true) => BlockKind::Heading,
        (Some(Marker::Number), false) => BlockKind::Exercise,
        (Some(Marker::Letter), false) => BlockKind::Item,
        (Some(Marker::Dash(length)), false) if starts_lower(&first.text[*length..]) => BlockKind::Item,
        _ => BlockKind::Paragraph,
    }
}

fn write(placed: &[Placed<'_>], drafts: &[Draft], usual: &Usual, lexicon: &Lexicon) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for draft in drafts {
        let Some(&first) = draft.lines.first() else { continue };
        let mut block = open.take().unwrap_or_else(|| Block {
            kind: kind(placed, draft, usual),
            text: String::new(),
            page: placed[first].page,
            boxes: Vec::new(),
        });
        block.boxes.extend(draft.lines.iter().map(|&line| placed[line].area()).reduce(Area::around));
        for &line in &draft.lines {
            lexicon.join(&mut block.text, &placed[line].text);
        }
        if draft.continued {
            open = Some(block);
        } else {
            blocks.push(block);
        }
    }
    blocks.extend(open);
    for block in &mut blocks {
        // The bullet of an item is typography; its text begins behind it.
        if block.kind == BlockKind::Item
            && let Some(Marker::Bullet(length) | Marker::Dash(length)) = marker(&block.text)
        {
            block.text.drain(..length);
        }
        block.text.retain(|c| c != '\u{AD}');
    }
    blocks
}
