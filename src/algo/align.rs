//! Sentence alignment inside a pair of documents: the most probable monotone path through a lattice of beads, and for
//! each bead its posterior probability.
//!
//! A *bead* joins a run of source sentences with a run of target sentences (1:1, 2:1, 1:2, …) or leaves a sentence
//! alone (1:0, 0:1), as in Gale & Church 1993. A bead's weight is a log-likelihood ratio "translations" against "any
//! two runs": from the similarity of the runs' vectors, measured in standard deviations above what these two runs have
//! with the rest of the other document (so it needs no threshold per encoder); from their lengths; from the numbers
//! they name; from where blocks begin and what kind they are. The best path is Viterbi's; the posterior of a bead is
//! the share of all paths' weight that runs through it (forward–backward), so it knows what the neighbours say: a
//! sentence without a single common word is still sure between two sure ones.
//!
//! Time and memory: `O(cells · shapes)` and 24 bytes a cell, where cells = `(n + 1)(m + 1)` up to a limit, and a band
//! beyond it: through the numbered parts that both sides have, or along the diagonal.

mod band;
mod evidence;
mod similarities;

use crate::record::Vectors;
use band::Band;
use evidence::{label_weight, layout_weight, length_weight, number_weight};
use similarities::Similarities;

/// What the lattice knows of a sentence beside its vector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Its length in characters.
    pub chars: usize,
    /// Which block it stands in.
    pub block: u32,
    /// A tag of the block's kind; equal tags on both sides speak for the bead. 0 is running text.
    pub kind: u8,
    /// The numbers it names, sorted.
    pub numbers: Vec<String>,
    /// The number of the part of a book that begins with it: `§ 12`, `5-nji gönükme`.
    pub label: Option<Label>,
}

/// The number of a part of a book, the same in every edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label {
    /// Whether other parts are counted within it.
    pub section: bool,
    /// What is numbered, in numbers of the caller's; [`Label::PLAIN`] is a number alone.
    pub kind: u8,
    /// Its number.
    pub number: u32,
}

impl Label {
    /// A number without a word for what it counts.
    pub const PLAIN: u8 = 0;
}

/// A bead of the best path.
#[derive(Debug, Clone, PartialEq)]
pub struct Bead {
    /// Source lines.
    pub source: std::ops::Range<usize>,
    /// Target lines.
    pub target: std::ops::Range<usize>,
    /// Cosine of the two runs' vectors. `None` when a side is empty.
    pub similarity: Option<f32>,
    /// Ratio of that cosine to the mean cosine of both runs with the other document. `None` when a side is empty or
    /// the mean is not positive.
    pub margin: Option<f32>,
    /// Share of all alignments' weight that contains this bead, 0 to 1.
    pub posterior: f64,
}

/// What the alignment may do. Weights are natural logarithms.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// The most sentences that a bead may hold on one side.
    pub max_bead: usize,
    /// Weight of leaving a sentence alone. Lower: fewer sentences are left alone.
    pub skip: f64,
    /// Weight of each sentence past the first on a side. Lower: fewer sentences are merged.
    pub merge: f64,
    /// Weight of one standard deviation of similarity above the background.
    pub similarity: f64,
    /// Standard deviations of similarity that speak neither for nor against.
    pub neutral: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_bead: 3, skip: -1.5, merge: -1.0, similarity: 0.7, neutral: 1.0 }
    }
}

/// Similarity alone never says more than this, for or against: other evidence must be able to outvote an accident.
const SIMILARITY_CAP: f64 = 7.0;

/// Aligns two documents. `lines` and `vectors` of a side run in step.
///
/// Answers the beads in order; every line is in exactly one. Deterministic. Past `max_cells` cells only a band is
/// searched.
pub fn align(source: (&[Line], &Vectors), target: (&[Line], &Vectors), params: &Params, max_cells: usize) -> Vec<Bead> {
    let (n, m) = (source.0.len(), target.0.len());
    if n == 0 || m == 0 {
        return alone(n, m);
    }
    let lattice = Lattice::new(source, target, params, max_cells);
    lattice.best_path()
}

/// The alignment when a side is empty.
fn alone(n: usize, m: usize) -> Vec<Bead> {
    let bead = |source, target| Bead { source, target, similarity: None, margin: None, posterior: 1.0 };
    (0..n).map(|i| bead(i..i + 1, 0..0)).chain((0..m).map(|j| bead(n..n, j..j + 1))).collect()
}

struct Lattice<'a> {
    source: &'a [Line],
    target: &'a [Line],
    params: Params,
    shapes: Vec<(usize, usize)>,
    band: Band,
    similarities: Similarities,
    /// Characters of the target for one of the source.
    length_ratio: f64,
}

impl<'a> Lattice<'a> {
    fn new(source: (&'a [Line], &Vectors), target: (&'a [Line], &Vectors), params: &Params, max_cells: usize) -> Self {
        let (n, m) = (source.0.len(), target.0.len());
        let total = |lines: &[Line]| lines.iter().map(|line| line.chars).sum::<usize>().max(1) as f64;
        let band = Band::new(n, m, max_cells, &band::anchors(source.0, target.0));
        let similarities = Similarities::new(source, target, &band, params.max_bead.max(1));
        let mut shapes = vec![(1, 1), (1, 0), (0, 1)];
        for run in 2..=params.max_bead {
            // No 2:2 beads: where they fit, two 1:1 beads nearly always say more.
            shapes.extend([(run, 1), (1, run)]);
        }
        // A document that lacks half of the other still has sentences of the usual length.
        let length_ratio = (total(target.0) / m as f64) / (total(source.0) / n as f64);
        Self { source: source.0, target: target.0, params: *params, shapes, band, similarities, length_ratio }
    }

    /// The weight of the bead that ends before line (i, j), or `None` when it leaves the lattice.
    fn weight(&self, i: usize, j: usize, shape: (usize, usize)) -> Option<f64> {
        let (from_i, from_j) = (i.checked_sub(shape.0)?, j.checked_sub(shape.1)?);
        if !self.band.contains(from_i, from_j) {
            return None;
        }
        if shape.0 == 0 || shape.1 == 0 {
            return Some(self.params.skip);
        }
        let (source, target) = (&self.source[from_i..i], &self.target[from_j..j]);
        let deviations = self.similarities.deviations(from_i..i, from_j..j)?;
        let similarity =
            (self.params.similarity * (deviations - self.params.neutral)).clamp(-SIMILARITY_CAP, SIMILARITY_CAP);
        let merged = (shape.0 + shape.1 - 2) as f64 * self.params.merge;
        Some(
            similarity
                + merged
                + length_weight(source, target, self.length_ratio)
                + number_weight(source, target)
                + layout_weight(source, target, self.starts(from_i, from_j))
                + label_weight(&source[0], &target[0]),
        )
    }

    /// Whether the lines (i, j) begin a block of their document.
    fn starts(&self, i: usize, j: usize) -> (bool, bool) {
        let starts = |lines: &[Line], at: usize| at == 0 || lines[at - 1].block != lines[at].block;
        (starts(self.source, i), starts(self.target, j))
    }

    fn best_path(&self) -> Vec<Bead> {
        let (n, m) = (self.source.len(), self.target.len());
        let size = self.band.size();
        let mut best = vec![f64::NEG_INFINITY; size];
        let mut back = vec![0_u8; size];
        let mut forward = vec![f64::NEG_INFINITY; size];
        best[self.band.cell(0, 0)] = 0.0;
        forward[self.band.cell(0, 0)] = 0.0;
        for (i, j) in self.band.cells().skip(1) {
            let cell = self.band.cell(i, j);
            for (index, shape) in self.shapes.iter().enumerate() {
                let Some(weight) = self.weight(i, j, *shape) else { continue };
                let from = self.band.cell(i - shape.0, j - shape.1);
                if best[from] + weight > best[cell] {
                    best[cell] = best[from] + weight;
                    back[cell] = u8::try_from(index).unwrap_or(u8::MAX);
                }
                forward[cell] = log_add(forward[cell], forward[from] + weight);
            }
        }
        let backward = self.backward();
        let all = forward[self.band.cell(n, m)];
        let mut beads = Vec::new();
        let (mut i, mut j) = (n, m);
        while (i, j) != (0, 0) {
            let shape = self.shapes[usize::from(back[self.band.cell(i, j)])];
            let (from_i, from_j) = (i - shape.0, j - shape.1);
            let weight = self.weight(i, j, shape).unwrap_or(f64::NEG_INFINITY);
            let through = forward[self.band.cell(from_i, from_j)] + weight + backward[self.band.cell(i, j)];
            let both = shape.0 > 0 && shape.1 > 0;
            let similarity = both.then(|| self.similarities.cosine(from_i..i, from_j..j));
            beads.push(Bead {
                source: from_i..i,
                target: from_j..j,
                #[expect(clippy::cast_possible_truncation, reason = "a cosine")]
                similarity: similarity.map(|cosine| cosine as f32),
                margin: if both { self.similarities.margin(from_i..i, from_j..j) } else { None },
                posterior: (through - all).exp().clamp(0.0, 1.0),
            });
            (i, j) = (from_i, from_j);
        }
        beads.reverse();
        beads
    }

    /// For each cell, the log of all paths' weight from it to the end.
    fn backward(&self) -> Vec<f64> {
        let mut backward = vec![f64::NEG_INFINITY; self.band.size()];
        backward[self.band.cell(self.source.len(), self.target.len())] = 0.0;
        for (i, j) in self.band.cells().rev() {
            let here = backward[self.band.cell(i, j)];
            for shape in &self.shapes {
                let Some(weight) = self.weight(i, j, *shape) else { continue };
                let from = self.band.cell(i - shape.0, j - shape.1);
                backward[from] = log_add(backward[from], here + weight);
            }
        }
        backward
    }
}

/// ln(eᵃ + eᵇ) without overflow.
fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lengths: &[usize]) -> Vec<Line> {
        lengths.iter().map(|chars| Line { chars: *chars, ..Line::default() }).collect()
    }

    /// One-hot rows: row i points along axis `axes[i]`, with a little of everything.
    fn vectors(axes: &[usize], dim: usize) -> Vectors {
        let mut data = vec![0.05; axes.len() * dim];
        for (row, axis) in axes.iter().enumerate() {
            data[row * dim + axis] = 1.0;
        }
        Vectors::normalised(dim, data).unwrap()
    }

    fn shapes(beads: &[Bead]) -> Vec<(usize, usize)> {
        beads.iter().map(|bead| (bead.source.len(), bead.target.len())).collect()
    }

    fn run(source_axes: &[usize], target_axes: &[usize], lengths: (&[usize], &[usize]), max_cells: usize) -> Vec<Bead> {
        let dim = 16;
        align(
            (&lines(lengths.0), &vectors(source_axes, dim)),
            (&lines(lengths.1), &vectors(target_axes, dim)),
            &Params::default(),
            max_cells,
        )
    }

    #[test]
    fn equal_texts_align_one_to_one_and_surely() {
        let axes = [0, 1, 2, 3, 4, 5];
        let beads = run(&axes, &axes, (&[50; 6], &[50; 6]), 1 << 20);
        assert_eq!(shapes(&beads), vec![(1, 1); 6]);
        assert!(beads.iter().all(|bead| bead.posterior > 0.95), "{beads:?}");
    }

    #[test]
    fn a_missing_sentence_is_left_alone() {
        let beads = run(&[0, 1, 2, 3, 4, 5], &[0, 1, 3, 4, 5], (&[50; 6], &[50; 5]), 1 << 20);
        assert_eq!(shapes(&beads), [(1, 1), (1, 1), (1, 0), (1, 1), (1, 1), (1, 1)]);
        assert_eq!(beads[2].similarity, None);
    }

    #[test]
    fn two_sentences_merged_in_the_translation_make_one_bead() {
        let dim = 16;
        let mut target = vec![0.05; 5 * dim];
        for (row, axes) in [vec![0], vec![1, 2], vec![3], vec![4], vec![5]].iter().enumerate() {
            axes.iter().for_each(|axis| target[row * dim + axis] = 1.0);
        }
        let beads = align(
            (&lines(&[50; 6]), &vectors(&[0, 1, 2, 3, 4, 5], dim)),
            (&lines(&[50, 100, 50, 50, 50]), &Vectors::normalised(dim, target).unwrap()),
            &Params::default(),
            1 << 20,
        );
        assert_eq!(shapes(&beads), [(1, 1), (2, 1), (1, 1), (1, 1), (1, 1)]);
    }

    #[test]
    fn a_sentence_without_evidence_is_sure_between_sure_ones() {
        // Line 2 shares nothing with its translation, its neighbours do.
        let beads = run(&[0, 1, 2, 3, 4], &[0, 1, 9, 3, 4], (&[50; 5], &[50; 5]), 1 << 20);
        assert_eq!(shapes(&beads), vec![(1, 1); 5]);
        assert!(beads[2].posterior > 0.5 && beads[2].posterior < beads[1].posterior, "{beads:?}");
    }

    #[test]
    fn numbers_decide_where_vectors_are_silent() {
        let mut source = lines(&[40, 40]);
        let mut target = lines(&[40, 40, 40]);
        source[1].numbers = vec!["1975".into()];
        target[2].numbers = vec!["1975".into()];
        let same = Vectors::normalised(2, vec![1.0; 4]).unwrap();
        let beads = align(
            (&source, &same),
            (&target, &Vectors::normalised(2, vec![1.0; 6]).unwrap()),
            &Params::default(),
            1 << 20,
        );
        let last = beads.last().unwrap();
        assert!(last.source.contains(&1) && last.target.contains(&2), "{beads:?}");
    }

    #[test]
    fn a_label_finds_its_twin_where_vectors_are_silent() {
        let exercise = |number| Some(Label { section: false, kind: 2, number });
        let (mut source, mut target) = (lines(&[40, 40]), lines(&[40, 40, 40]));
        source[1].label = exercise(5);
        target[1].label = exercise(4);
        target[2].label = exercise(5);
        let silent = |rows: usize| Vectors::normalised(2, vec![1.0; rows * 2]).unwrap();
        let beads = align((&source, &silent(2)), (&target, &silent(3)), &Params::default(), 1 << 20);
        let last = beads.last().unwrap();
        assert!(last.source.contains(&1) && last.target.contains(&2), "{beads:?}");
        assert!(!last.target.contains(&1), "exercise 4 is not exercise 5: {beads:?}");
    }

    /// A book of numbered parts of twenty lines each. Lines of equal content have equal vectors.
    fn book(parts: &[u32], dim: usize) -> (Vec<Line>, Vectors) {
        let mut axes = Vec::new();
        let mut book = lines(&vec![50; parts.len() * 20]);
        for (at, part) in parts.iter().enumerate() {
            book[at * 20].label = Some(Label { section: true, kind: 1, number: *part });
            axes.extend((0..20).map(|line| (*part as usize * 31 + line * 17) % dim));
        }
        (book, vectors(&axes, dim))
    }

    #[test]
    fn numbered_parts_lead_the_band_past_chapters_that_one_edition_lacks() {
        let parts: Vec<u32> = (1..=40).collect();
        // The translation lacks parts 3 to 14: 240 lines, far more than the band is wide.
        let kept: Vec<u32> = parts.iter().copied().filter(|part| !(3..15).contains(part)).collect();
        let ((source, source_vectors), (target, target_vectors)) = (book(&parts, 64), book(&kept, 64));
        let right = |source: &[Line], target: &[Line]| {
            let beads = align((source, &source_vectors), (target, &target_vectors), &Params::default(), 1000);
            let expected = |i: usize| if i < 40 { Some(i) } else { i.checked_sub(240).filter(|j| *j >= 40) };
            beads
                .iter()
                .filter(|bead| (bead.source.len(), bead.target.len()) == (1, 1))
                .filter(|bead| Some(bead.target.start) == expected(bead.source.start))
                .count()
        };
        let found = right(&source, &target);
        assert!(found >= 28 * 20 - 2, "at the edge of the hole a line may go astray, no more: {found}");
        let unlabelled = |book: &[Line]| lines(&vec![50; book.len()]);
        let without = right(&unlabelled(&source), &unlabelled(&target));
        assert!(without < 28 * 20 / 2, "the test is about the labels: {without} right without them");
    }

    #[test]
    fn an_empty_side_leaves_all_alone() {
        assert_eq!(shapes(&alone(2, 0)), [(1, 0), (1, 0)]);
        assert_eq!(shapes(&run(&[], &[3], (&[], &[10]), 100)), [(0, 1)]);
    }

    proptest::proptest! {
        #[test]
        fn every_line_is_in_exactly_one_bead_and_order_is_kept(
            source in proptest::collection::vec(0_usize..16, 1..20),
            target in proptest::collection::vec(0_usize..16, 1..20),
            max_cells in 30_usize..500,
        ) {
            let beads = run(&source, &target, (&vec![30; source.len()], &vec![30; target.len()]), max_cells);
            let (mut i, mut j) = (0, 0);
            for bead in &beads {
                proptest::prop_assert_eq!((bead.source.start, bead.target.start), (i, j));
                proptest::prop_assert!((0.0..=1.0).contains(&bead.posterior));
                (i, j) = (bead.source.end, bead.target.end);
            }
            proptest::prop_assert_eq!((i, j), (source.len(), target.len()));
        }

        #[test]
        fn the_band_finds_what_the_whole_lattice_finds(axes in proptest::collection::vec(0_usize..16, 150..200)) {
            let lengths = vec![40; axes.len()];
            let whole = run(&axes, &axes, (&lengths, &lengths), 1 << 20);
            let banded = run(&axes, &axes, (&lengths, &lengths), 1_000);
            proptest::prop_assert_eq!(shapes(&whole), shapes(&banded));
        }
    }
}
