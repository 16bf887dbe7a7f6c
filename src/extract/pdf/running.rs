//! Running heads, running feet and page numbers: recognised by repetition, then taken out.
//!
//! A line at the edge of the page is one when its text, digits aside, stands at the same height on three pages that follow
//! one another or alternate. Heads that name the chapter may not live that long; they are recognised by standing where
//! others were found, in the same size, apart from the text.

use std::collections::{HashMap, HashSet};

use super::layout::Line;

/// Lines at either edge of the page that are looked at.
const EDGE_LINES: usize = 3;
/// Share of the page height, from either edge, in which running lines stand.
const EDGE_ZONE: f64 = 0.2;
/// Pages on which a running line must stand.
const MIN_PAGES: usize = 3;
/// Pages from one occurrence to the next: every other page, and one more for a full-page figure.
const MAX_STEP: u32 = 3;
/// Lines of one text stand no further apart than this, in ems.
const TEXT_GAP: f64 = 1.4;
/// Points by which running lines may differ in height.
const SAME_HEIGHT: f64 = 3.0;

/// A page with its lines in reading order.
#[derive(Debug, Clone)]
pub(super) struct PageLines {
    /// Page number, counted from 1.
    pub(super) number: u32,
    /// Height of the page in points.
    pub(super) height: f64,
    pub(super) lines: Vec<Line>,
}

/// A line at the edge of a page.
#[derive(Debug, Clone)]
struct EdgeLine {
    page: usize,
    number: u32,
    line: usize,
    at_top: bool,
    /// Distance of its baseline from its edge of the page.
    distance: f64,
    size: f64,
    /// Distance to the next line towards the middle of the page.
    gap: f64,
    /// That line.
    inner: Option<usize>,
    keys: Vec<String>,
    /// The numbers that it starts and ends with.
    numbers: Vec<i64>,
    running: bool,
}

/// Takes out the running lines of all pages.
pub(super) fn remove(pages: &mut [PageLines], body_size: f64) {
    let mut edges: Vec<EdgeLine> = pages.iter().enumerate().flat_map(|(at, page)| edge_lines(at, page)).collect();
    mark_repeated(&mut edges);
    mark_numbered(&mut edges);
    mark_same_place(&mut edges, body_size);
    let mut doomed: Vec<(usize, usize)> =
        edges.iter().filter(|edge| edge.running).map(|edge| (edge.page, edge.line)).collect();
    doomed.sort_unstable();
    doomed.dedup();
    for (page, line) in doomed.into_iter().rev() {
        pages[page].lines.remove(line);
    }
}

fn edge_lines(page: usize, content: &PageLines) -> Vec<EdgeLine> {
    let mut by_height: Vec<usize> = (0..content.lines.len()).collect();
    by_height.sort_by(|&a, &b| content.lines[b].y.total_cmp(&content.lines[a].y));
    let mut found = Vec::new();
    for at_top in [true, false] {
        if !at_top {
            by_height.reverse();
        }
        for (rank, &line) in by_height.iter().enumerate().take(EDGE_LINES) {
            let this = &content.lines[line];
            let distance = if at_top { content.height - this.y } else { this.y };
            if distance > EDGE_ZONE * content.height {
                continue;
            }
            let inner = by_height.get(rank + 1).copied();
            let gap = inner.map_or(f64::INFINITY, |next| (this.y - content.lines[next].y).abs());
            found.push(EdgeLine {
                page,
                number: content.number,
                line,
                at_top,
                distance,
                size: this.size,
                gap,
                inner,
                keys: keys(this),
                numbers: numbers(this),
                running: false,
            });
        }
    }
    found
}

/// The parts of a line that stand apart from one another (title left, chapter right), each with its digits folded.
fn keys(line: &Line) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut end = f64::NEG_INFINITY;
    for word in &line.words {
        match parts.last_mut() {
            Some(part) if word.x0 - end < 1.5 * line.size => {
                part.push(' ');
                part.push_str(&word.text);
            }
            _ => parts.push(word.text.clone()),
        }
        end = word.x1;
    }
    parts.iter().map(|part| folded(part)).filter(|key| key.chars().any(|c| c == '#' || c.is_alphabetic())).collect()
}

/// The first and the last word, where they are numbers, dashes around them aside.
fn numbers(line: &Line) -> Vec<i64> {
    let mut words: Vec<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
    words.retain(|word| word.chars().any(char::is_alphanumeric));
    let ends = [words.first(), words.last()];
    ends.into_iter()
        .flatten()
        .filter_map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).parse().ok())
        .collect()
}

fn folded(text: &str) -> String {
    let mut key = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            c if c.is_numeric() && key.ends_with('#') => {}
            c if c.is_numeric() => key.push('#'),
            c => key.push(c),
        }
    }
    key
}

/// Marks lines by their text.
fn mark_repeated(edges: &mut [EdgeLine]) {
    let mut groups: HashMap<(bool, &str), Vec<usize>> = HashMap::new();
    for (at, edge) in edges.iter().enumerate() {
        for key in &edge.keys {
            groups.entry((edge.at_top, key)).or_default().push(at);
        }
    }
    let running = recurring(edges, groups.into_values());
    running.into_iter().for_each(|at| edges[at].running = true);
    // The last words of a paragraph or a footnote may well be those of another page. What stands as close to the text
    // as its lines to one another is a part of it, unless that is a running line too.
    loop {
        let places: HashSet<(usize, usize)> =
            edges.iter().filter(|edge| edge.running).map(|edge| (edge.page, edge.line)).collect();
        let of_text = |edge: &EdgeLine| {
            let joins = edge.inner.is_some_and(|inner| !places.contains(&(edge.page, inner)));
            edge.running && joins && edge.gap < TEXT_GAP * edge.size
        };
        let mistaken: Vec<usize> = (0..edges.len()).filter(|&at| of_text(&edges[at])).collect();
        if mistaken.is_empty() {
            return;
        }
        mistaken.into_iter().for_each(|at| edges[at].running = false);
    }
}

/// Marks lines that start or end with the page's number, whatever else they say.
fn mark_numbered(edges: &mut [EdgeLine]) {
    let mut groups: HashMap<(bool, i64), Vec<usize>> = HashMap::new();
    for (at, edge) in edges.iter().enumerate() {
        for number in &edge.numbers {
            groups.entry((edge.at_top, number - i64::from(edge.number))).or_default().push(at);
        }
    }
    let running = recurring(edges, groups.into_values());
    running.into_iter().for_each(|at| edges[at].running = true);
}

/// The lines of those groups that stand at one height on enough pages.
fn recurring(edges: &[EdgeLine], groups: impl Iterator<Item = Vec<usize>>) -> Vec<usize> {
    let mut running: Vec<usize> = Vec::new();
    for mut group in groups {
        group.sort_by(|&a, &b| edges[a].distance.total_cmp(&edges[b].distance));
        for level in group.chunk_by(|&a, &b| edges[b].distance - edges[a].distance <= SAME_HEIGHT) {
            let mut pages: Vec<u32> = level.iter().map(|&at| edges[at].number).collect();
            pages.sort_unstable();
            pages.dedup();
            if pages.chunk_by(|a, b| b - a <= MAX_STEP).any(|run| run.len() >= MIN_PAGES) {
                running.extend(level);
            }
        }
    }
    running
}

fn mark_same_place(edges: &mut [EdgeLine], body_size: f64) {
    let same_size = |a: f64, b: f64| (a - b).abs() <= 0.04 * b;
    let places: Vec<(bool, f64, f64)> =
        edges.iter().filter(|edge| edge.running).map(|edge| (edge.at_top, edge.distance, edge.size)).collect();
    for edge in edges {
        let stands_there = places.iter().any(|&(at_top, distance, size)| {
            at_top == edge.at_top && (distance - edge.distance).abs() <= SAME_HEIGHT && same_size(edge.size, size)
        });
        edge.running |= stands_there && (!same_size(edge.size, body_size) || edge.gap > 1.7 * edge.size);
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Word;
    use super::*;

    fn line(text: &str, x: f64, y: f64, size: f64) -> Line {
        let mut x0 = x;
        let words = text
            .split(' ')
            .map(|text| {
                let word =
                    Word { text: text.to_owned(), x0, x1: x0 + size * 0.5 * text.len() as f64, ..Word::default() };
                x0 = word.x1 + 0.3 * size;
                word
            })
            .collect();
        Line { words, y, size, ..Line::default() }
    }

    fn left(pages: &[PageLines]) -> Vec<Vec<String>> {
        pages.iter().map(|page| page.lines.iter().map(Line::text).collect()).collect()
    }

    #[test]
    fn alternating_heads_numbers_and_a_head_that_stands_once_are_taken_out() {
        let mut pages: Vec<PageLines> = (0..8_u32)
            .map(|at| {
                let head = if at == 3 {
                    "Rare"
                } else if at % 2 == 0 {
                    "Book"
                } else {
                    "Chapter"
                };
                let lines = vec![
                    line(head, 50.0, 770.0, 8.0),
                    line(&format!("Text of page {}", "abcdefgh".chars().nth(at as usize).unwrap()), 50.0, 740.0, 11.0),
                    line("Same end", 50.0, 100.0 + 13.0 * f64::from(at % 4), 11.0),
                    line(&format!("{}", at + 10), 300.0, 30.0, 9.0),
                ];
                PageLines { number: at + 1, height: 800.0, lines }
            })
            .collect();
        remove(&mut pages, 11.0);
        assert!(
            left(&pages).iter().all(|lines| lines.len() == 2 && lines[0].starts_with("Text of page")),
            "{:?}",
            left(&pages)
        );
    }

    #[test]
    fn the_same_last_words_of_paragraphs_are_no_running_foot() {
        let mut pages: Vec<PageLines> = (1..6)
            .zip(["Birinji", "Ikinji", "Üçünji", "Dördünji", "Bäşinji"])
            .map(|(number, word)| {
                let lines = vec![
                    line(&format!("{word} makalada"), 50.0, 62.0, 8.0),
                    line("hem aýdylýar.", 50.0, 52.0, 8.0),
                    line("Okuw kitaby", 50.0, 30.0, 8.0),
                ];
                PageLines { number, height: 800.0, lines }
            })
            .collect();
        remove(&mut pages, 11.0);
        for page in left(&pages) {
            assert!(page.len() == 2 && page[1] == "hem aýdylýar.", "{page:?}");
        }
    }

    #[test]
    fn what_stands_on_two_pages_only_stays() {
        let page = |number| PageLines {
            number,
            height: 800.0,
            lines: vec![line("Questions", 50.0, 770.0, 11.0), line("x", 50.0, 750.0, 11.0)],
        };
        let mut pages = vec![page(1), page(2), page(40)];
        remove(&mut pages, 11.0);
        assert!(pages.iter().all(|page| page.lines.len() == 2));
    }

    #[test]
    fn heads_that_change_on_every_page_are_known_by_the_page_number_in_them() {
        let head = |at: u32, name: &str| {
            if at.is_multiple_of(2) { format!("{} {name}", at + 6) } else { format!("{name} {}", at + 6) }
        };
        let mut pages: Vec<PageLines> = (1..5)
            .zip(["Water", "Woods", "Sand", "Sky"])
            .map(|(number, name)| {
                let lines = vec![line(&head(number, name), 50.0, 770.0, 11.0), line(name, 50.0, 755.0, 11.0)];
                PageLines { number, height: 800.0, lines }
            })
            .collect();
        remove(&mut pages, 11.0);
        assert_eq!(left(&pages), [["Water"], ["Woods"], ["Sand"], ["Sky"]]);
    }
}
