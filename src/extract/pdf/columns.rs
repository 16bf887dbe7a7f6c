//! Columns: where a gutter parts the rows of a page, and what only looks like one.
//!
//! Interleaved columns are fluent-looking nonsense, and a table read by columns is too, so a gutter must prove itself: many
//! rows leave it free, most lines of the right column start at its edge, and both sides hold running text.

use super::layout::{Row, is_space, median};

/// A gap at least this wide may be a gutter between columns; wide word spaces are as wide, but not above one another.
const GUTTER: f64 = 0.6;
/// Gutters narrower than this need twice as many rows.
const NARROW_GUTTER: f64 = 1.3;
/// Columns are believed from this many rows on either side.
const MIN_COLUMN_ROWS: usize = 4;
/// And from this many glyphs on the average row: cells of tables hold fewer.
const MIN_COLUMN_GLYPHS: f64 = 12.0;

/// A stretch of a row between wide gaps.
#[derive(Debug, Clone, Copy)]
struct Segment {
    x0: f64,
    x1: f64,
    /// Glyphs other than spaces.
    printed: usize,
}

fn segments(row: &Row<'_>) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for fragment in &row.fragments {
        let printed = fragment.glyphs.iter().filter(|glyph| !is_space(glyph)).count();
        match segments.last_mut() {
            Some(open) if fragment.x0 - open.x1 < GUTTER * row.size => {
                open.x1 = open.x1.max(fragment.x1);
                open.printed += printed;
            }
            _ => segments.push(Segment { x0: fragment.x0, x1: fragment.x1, printed }),
        }
    }
    segments
}

/// Rows `start..end` that stand in two columns; the right one begins at `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Columns {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) x: f64,
}

/// Looks for a gutter: many segments begin at one x in the middle of the text, and rows above one another leave it free.
pub(super) fn find_columns(rows: &[Row<'_>], known: &[f64]) -> Option<Columns> {
    let segmented: Vec<Vec<Segment>> = rows.iter().map(segments).collect();
    let all = || segmented.iter().flatten();
    let left = all().map(|segment| segment.x0).fold(f64::INFINITY, f64::min);
    let right = all().map(|segment| segment.x1).fold(f64::NEG_INFINITY, f64::max);
    let width = right - left;
    let em = median(rows.iter().map(|row| row.size))?;

    let mut starts: Vec<f64> =
        all().map(|segment| segment.x0).filter(|x| (left + 0.2 * width..left + 0.8 * width).contains(x)).collect();
    starts.sort_by(f64::total_cmp);
    let mut candidates: Vec<(usize, f64)> = Vec::new();
    for (at, &x) in starts.iter().enumerate() {
        let support = starts[at..].iter().take_while(|&&other| other - x < 0.3 * em).count();
        let new = candidates.last().is_none_or(|&(_, last)| x - last > 0.3 * em);
        if support >= MIN_COLUMN_ROWS && new {
            candidates.push((support, x));
        }
    }
    candidates.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let found = candidates.iter().take(8).find_map(|&(_, x)| columns_at(&segmented, x, em, width, false));
    found.or_else(|| known.iter().find_map(|&x| columns_at(&segmented, x, em, width, true)))
}

/// The first run of rows that leave the gutter before `x` free and look like two columns of running text. A gutter `known` from
/// other pages needs less.
fn columns_at(rows: &[Vec<Segment>], x: f64, em: f64, width: f64, known: bool) -> Option<Columns> {
    let crosses = |segment: &Segment| segment.x0 < x - 0.5 * em && segment.x1 > x - 0.4 * em;
    let mut start = 0;
    while start < rows.len() {
        let run = rows[start..].iter().take_while(|row| !row.iter().any(crosses)).count();
        let end = start + run;
        let of_side = |right: bool| -> Vec<Vec<Segment>> {
            let on_side = |segment: &&Segment| (segment.x0 >= x - 0.5 * em) == right;
            let side = rows[start..end].iter().map(|row| row.iter().filter(on_side).copied().collect());
            side.filter(|row: &Vec<Segment>| !row.is_empty()).collect()
        };
        let (left, right) = (of_side(false), of_side(true));
        let found = if known {
            shows_gutter(&left, &right, x, em)
        } else {
            is_column(&left, width, em) && is_column(&right, width, em) && is_gutter(&left, &right, x, em)
        };
        if found {
            return Some(Columns { start, end, x });
        }
        start = end + 1;
    }
    None
}

/// Enough rows, wide enough, mostly filled, and with words in them: the labels of a list and the cells of a table are not.
fn is_column(rows: &[Vec<Segment>], text_width: f64, em: f64) -> bool {
    let left = rows.iter().map(|row| row[0].x0).fold(f64::INFINITY, f64::min);
    let right = rows.iter().map(|row| row[row.len() - 1].x1).fold(f64::NEG_INFINITY, f64::max);
    let count = rows.len() as f64;
    let filled = rows.iter().map(|row| row[row.len() - 1].x1 - row[0].x0).sum::<f64>() / count;
    let printed = rows.iter().flatten().map(|segment| segment.printed).sum::<usize>() as f64 / count;
    rows.len() >= MIN_COLUMN_ROWS
        && right - left >= 0.15 * text_width
        && filled >= 0.5 * (right - left)
        && printed >= MIN_COLUMN_GLYPHS
        && !is_table(rows, em)
}

/// Whether the gaps inside the rows stand above one another, as between the columns of a table.
fn is_table(rows: &[Vec<Segment>], em: f64) -> bool {
    let mut inner: Vec<f64> = rows.iter().flat_map(|row| &row[1..]).map(|segment| segment.x0).collect();
    inner.sort_by(f64::total_cmp);
    let above = |at: usize| inner[at..].iter().take_while(|&&x| x - inner[at] < 0.35 * em).count();
    (0..inner.len()).any(|at| above(at) >= 3.max(rows.len().div_ceil(2)))
}

/// Whether most lines of the right column start at its edge. Narrow gutters need more lines, since the word spaces of
/// a few justified lines may happen to stand above one another.
fn is_gutter(left: &[Vec<Segment>], right: &[Vec<Segment>], x: f64, em: f64) -> bool {
    let aligned = right.iter().filter(|row| (row[0].x0 - x).abs() < 0.35 * em).count();
    let gutter = x - left.iter().map(|row| row[row.len() - 1].x1).fold(f64::NEG_INFINITY, f64::max);
    let needed = if gutter < NARROW_GUTTER * em { 2 * MIN_COLUMN_ROWS } else { MIN_COLUMN_ROWS };
    2 * aligned >= right.len() && left.len().min(right.len()) >= needed
}

/// Whether a few rows agree with a gutter of other pages: the left ones reach up to it, the right ones start behind it.
fn shows_gutter(left: &[Vec<Segment>], right: &[Vec<Segment>], x: f64, em: f64) -> bool {
    let aligned = right.iter().filter(|row| (row[0].x0 - x).abs() < 0.35 * em).count();
    let reached = left.iter().any(|row| row[row.len() - 1].x1 > x - 4.0 * em);
    left.len() >= 2
        && aligned > 0
        && 2 * aligned >= right.len()
        && reached
        && !is_table(left, em)
        && !is_table(right, em)
}
