//! Which cells of the lattice are searched: all of them in a pair of pages, a band in a pair of books.
//!
//! The band runs along the path that shorter versions of the documents take (`coarse`); where both sides number their
//! parts alike, the parts of equal number draw that path to them ([`anchors`]).

use std::collections::HashMap;

use super::{Label, Line};

/// The cells of an (n+1) × (m+1) lattice that are searched.
#[derive(Debug, Clone)]
pub(super) struct Band {
    /// First and last column of each row, and the number of cells before it.
    rows: Vec<(usize, usize, usize)>,
    size: usize,
}

impl Band {
    /// Every cell.
    pub(super) fn whole(n: usize, m: usize) -> Self {
        Self::of((0..=n).map(|_| (0, m)))
    }

    /// What lies no more than `margin` rows or columns from a path through a lattice of half the size. The path is one
    /// of nodes, from (0, 0) to the last, by steps of at most one.
    pub(super) fn around(path: &[(usize, usize)], n: usize, m: usize, margin: usize) -> Self {
        let mut coarse: Vec<(usize, usize)> = Vec::new();
        for (row, column) in path {
            if *row == coarse.len() {
                coarse.push((*column, *column));
            }
            coarse[*row].1 = *column;
        }
        let last = coarse.len() - 1;
        Self::of((0..=n).map(|i| {
            let above = coarse[(i.saturating_sub(margin + 1) / 2).min(last)].0 * 2;
            let below = coarse[((i + margin) / 2).min(last)].1 * 2 + 1;
            let first = if i == 0 { 0 } else { above.saturating_sub(margin).min(m) };
            (first, if i == n { m } else { (below + margin).min(m) })
        }))
    }

    fn of(columns: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut size = 0;
        let rows = columns
            .map(|(first, last)| {
                size += last - first + 1;
                (first, last, size - (last - first + 1))
            })
            .collect();
        Self { rows, size }
    }

    /// The band of the lines themselves, of which there is one less than of lattice nodes, with the lines of every bead
    /// of up to `reach` lines between two nodes. Both sides have lines.
    pub(super) fn of_lines(&self, reach: usize) -> Self {
        let (n, m) = self.corner();
        Self::of((0..n).map(|i| {
            let first = self.rows[(i + 1).saturating_sub(reach)].0;
            let last = self.rows[(i + reach).min(n)].1;
            (first.min(m - 1), last.min(m - 1))
        }))
    }

    /// First and last column of a row.
    pub(super) fn columns(&self, i: usize) -> std::ops::RangeInclusive<usize> {
        let (first, last, _) = self.rows[i];
        first..=last
    }

    pub(super) fn contains(&self, i: usize, j: usize) -> bool {
        i < self.rows.len() && self.columns(i).contains(&j)
    }

    /// Where a cell of the band lies among all of them.
    pub(super) fn cell(&self, i: usize, j: usize) -> usize {
        let (first, _, before) = self.rows[i];
        before + j - first
    }

    /// How many rows.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The last cell.
    pub(super) fn corner(&self) -> (usize, usize) {
        (self.rows.len() - 1, self.rows[self.rows.len() - 1].1)
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn cells(&self) -> impl DoubleEndedIterator<Item = (usize, usize)> + '_ {
        (0..self.rows.len()).flat_map(|i| self.columns(i).map(move |j| (i, j)))
    }
}

/// Lines with the same label on both sides, where each side has that label once: the places at which two editions of
/// a book are surely side by side. Rising on both sides; where labels cross, the longest rising chain of them.
///
/// Exercises often begin again at 1 in each section, so a label counts together with the section it stands in.
pub(super) fn anchors(source: &[Line], target: &[Line]) -> Vec<(usize, usize)> {
    let (source, target) = (labelled(source), labelled(target));
    let mut common: Vec<(usize, usize)> = source
        .iter()
        .filter_map(|(label, places)| match (places.as_slice(), target.get(label).map(Vec::as_slice)) {
            ([i], Some([j])) => Some((*i, *j)),
            _ => None,
        })
        .collect();
    common.sort_unstable();
    longest_rise(&common)
}

/// Where each label stands: the section in force and the label, if that is another one.
fn labelled(lines: &[Line]) -> HashMap<(Option<Label>, Option<Label>), Vec<usize>> {
    let mut places: HashMap<_, Vec<usize>> = HashMap::new();
    let mut section = None;
    for (at, line) in lines.iter().enumerate() {
        let Some(label) = line.label else { continue };
        let key = if label.section {
            section = Some(label);
            (section, None)
        } else {
            (section, Some(label))
        };
        places.entry(key).or_default().push(at);
    }
    places
}

/// The longest chain of pairs whose second parts rise; the first parts do. O(k log k).
fn longest_rise(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the pair that ends a chain of that length lowest; and for each pair, the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, (_, j)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|&end| pairs[end].1 < *j);
        before.push(length.checked_sub(1).map(|last| ends[last]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut chain = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(pair) = at {
        chain.push(pairs[pair]);
        at = before[pair];
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: Option<(bool, u32)>) -> Line {
        let label = label.map(|(section, number)| Label { section, kind: u8::from(section), number });
        Line { chars: 20, label, ..Line::default() }
    }

    #[test]
    fn a_label_counts_with_its_section_and_only_when_it_is_the_only_one() {
        // § 1, exercises 1 and 2; § 2, exercise 1 — in the target § 2 has exercise 1 twice.
        let source: Vec<Line> =
            [(true, 1), (false, 1), (false, 2), (true, 2), (false, 1)].map(|label| line(Some(label))).into();
        let target: Vec<Line> = [
            line(None),
            line(Some((true, 1))),
            line(Some((false, 1))),
            line(None),
            line(Some((false, 2))),
            line(Some((true, 2))),
            line(Some((false, 1))),
            line(Some((false, 1))),
        ]
        .into();
        assert_eq!(anchors(&source, &target), [(0, 1), (1, 2), (2, 4), (3, 5)]);
    }

    #[test]
    fn labels_that_cross_are_left_out_of_the_chain() {
        assert_eq!(longest_rise(&[(0, 0), (1, 7), (2, 3), (3, 4), (4, 5), (5, 1)]), [(0, 0), (2, 3), (3, 4), (4, 5)]);
        assert_eq!(longest_rise(&[]), []);
    }

    /// A path that goes along row 100 of a lattice of 500 × 900.
    fn bent() -> Vec<(usize, usize)> {
        let first = (0..100).map(|i| (i, i));
        first.chain((100..500).map(|j| (100, j))).chain((0..=400).map(|i| (100 + i, 500 + i))).collect()
    }

    #[test]
    fn the_band_goes_along_its_path_and_holds_together() {
        let band = Band::around(&bent(), 1000, 1800, 10);
        for (i, j) in [(0, 0), (100, 100), (200, 200), (200, 600), (201, 1000), (600, 1400), (1000, 1800)] {
            assert!(band.contains(i, j), "{i} {j}");
        }
        assert!(!band.contains(500, 900) && !band.contains(250, 250), "elsewhere is not searched");
        for i in 0..1000 {
            assert!(band.columns(i + 1).start() <= band.columns(i).end(), "row {i}");
        }
        // A row sees 10 rows up and down the path and 10 columns left and right of it; 22 rows see the stretch along.
        assert!(band.size() <= 1001 * 45 + 22 * 800, "{}", band.size());
        let cells: Vec<_> = band.cells().collect();
        assert_eq!(cells.len(), band.size());
        assert!(cells.iter().enumerate().all(|(at, (i, j))| band.cell(*i, *j) == at));
    }

    #[test]
    fn the_lines_of_every_bead_lie_in_the_band_of_lines() {
        let band = Band::around(&bent(), 999, 1799, 4);
        let lines = band.of_lines(3);
        for (i, j) in band.cells() {
            for (back_i, back_j) in [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3), (3, 3)] {
                let (Some(from_i), Some(from_j)) = (i.checked_sub(back_i), j.checked_sub(back_j)) else { continue };
                if band.contains(from_i, from_j) {
                    assert!((from_i..i).all(|i| (from_j..j).all(|j| lines.contains(i, j))), "{i} {j}");
                }
            }
        }
    }
}
