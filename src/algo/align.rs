//! Sentence alignment inside a pair of documents: the most probable monotone path through a lattice of beads, and for
//! each bead its posterior probability.
//!
//! A *bead* joins a run of source sentences with a run of target sentences (1:1, 2:1, 1:2, …) or leaves a sentence
//! alone (1:0, 0:1), as in Gale & Church 1993; all shapes up to 5:5 may compete. A bead's weight is a log-likelihood
//! ratio "translations" against "any two runs": from the similarity of the runs' vectors, measured in standard
//! deviations above what runs of these lengths have with the rest of the other document (so that it needs no threshold
//! per encoder, and longer runs have no advantage), less what they have in common with the lines just around the bead,
//! and weighed by how far translations stand out in this pair of documents; from their lengths; from the numbers they
//! name; from where blocks begin and what kind they are. On that scale to leave a sentence alone has one price for every
//! encoder. The best path is Viterbi's; the posterior of a bead is the share of all paths' weight that runs through it
//! (forward–backward), so it knows what the neighbours say: a sentence without a single common word is still sure
//! between two sure ones.
//!
//! Time and memory: `O(cells · shapes)` and 70 bytes a cell (with vectors of runs: 4 more a shape), where cells =
//! `(n + 1)(m + 1)` up to a limit. Beyond it `coarse` finds a band of about 60 cells a line, in time and memory linear
//! in the lines.

mod band;
mod coarse;
mod evidence;
mod lattice;
mod similarities;

use crate::record::Vectors;
use band::Band;
use lattice::Lattice;

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
    /// The most sentences that a bead may hold on one side, up to [`MOST`].
    pub max_bead: usize,
    /// Weight of leaving a sentence alone. Lower: fewer sentences are left alone.
    pub skip: f64,
    /// Weight of each sentence past the first on a side. Lower: fewer sentences are merged.
    pub merge: f64,
    /// Weight of holding several sentences on both sides, beside what they weigh as merged.
    pub many_to_many: f64,
    /// Weight of one standard deviation of similarity above the background, for vectors whose translations stand out by
    /// up to twice `neutral`; it grows where they stand out further.
    pub similarity: f64,
    /// Standard deviations of similarity that speak neither for nor against; of sharper vectors, half of what their
    /// translations stand out by.
    pub neutral: f64,
    /// How much of what a bead's runs have in common with the lines around the bead counts against it: those lines may
    /// belong to it.
    pub context: f64,
    /// The similarity of a bead of k sentences a side, on average, weighs k to this power.
    pub growth: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            max_bead: 5,
            skip: -2.0,
            merge: -1.0,
            many_to_many: 0.5,
            similarity: 0.42,
            neutral: 2.0,
            context: 0.6,
            growth: 0.2,
        }
    }
}

/// One side of a pair of documents.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its sentences.
    pub lines: &'a [Line],
    /// Their vectors, a row a sentence.
    pub vectors: &'a Vectors,
    /// Vectors of joined sentences, where an encoder has seen them: first of every two neighbours, then of every three,
    /// and so on; row i is that of the run that begins with sentence i. If either side has none, the vector of a run is
    /// the sum of its sentences'; else no bead is longer than what both sides have.
    pub runs: &'a [Vectors],
}

impl<'a> Side<'a> {
    /// Sentences and their vectors.
    pub fn new(lines: &'a [Line], vectors: &'a Vectors) -> Self {
        Self { lines, vectors, runs: &[] }
    }

    /// The vector of the run of `length` lines from `from` on; the caller knows that it is given.
    fn run(&self, from: usize, length: usize) -> &'a [f32] {
        if length == 1 { self.vectors.row(from) } else { self.runs[length - 2].row(from) }
    }
}

/// The most sentences that a bead can be asked to hold on one side.
pub const MOST: usize = 8;

/// Aligns two documents. `lines` and `vectors` of a side run in step.
///
/// Answers the beads in order; every line is in exactly one. Deterministic. Past `max_cells` cells only a band is
/// searched, around the path that shorter and shorter versions of the documents take.
pub fn align(source: Side<'_>, target: Side<'_>, params: &Params, max_cells: usize) -> Vec<Bead> {
    let (n, m) = (source.lines.len(), target.lines.len());
    if n == 0 || m == 0 {
        return alone(n, m);
    }
    let given = source.runs.len().min(target.runs.len()) + 1;
    let longest = params.max_bead.clamp(1, if given > 1 { given.min(MOST) } else { MOST });
    let band = if (n + 1).saturating_mul(m + 1) <= max_cells {
        Band::whole(n, m)
    } else {
        coarse::band(&source, &target, &band::anchors(source.lines, target.lines))
    };
    Lattice::new(&source, &target, params, band, longest).best_path()
}

/// The alignment when a side is empty.
fn alone(n: usize, m: usize) -> Vec<Bead> {
    let bead = |source, target| Bead { source, target, similarity: None, margin: None, posterior: 1.0 };
    (0..n).map(|i| bead(i..i + 1, 0..0)).chain((0..m).map(|j| bead(n..n, j..j + 1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::vectors::random;

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
            Side::new(&lines(lengths.0), &vectors(source_axes, dim)),
            Side::new(&lines(lengths.1), &vectors(target_axes, dim)),
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
            Side::new(&lines(&[50; 6]), &vectors(&[0, 1, 2, 3, 4, 5], dim)),
            Side::new(&lines(&[50, 100, 50, 50, 50]), &Vectors::normalised(dim, target).unwrap()),
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
            Side::new(&source, &same),
            Side::new(&target, &Vectors::normalised(2, vec![1.0; 6]).unwrap()),
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
        let beads = align(Side::new(&source, &silent(2)), Side::new(&target, &silent(3)), &Params::default(), 1 << 20);
        let last = beads.last().unwrap();
        assert!(last.source.contains(&1) && last.target.contains(&2), "{beads:?}");
        assert!(!last.target.contains(&1), "exercise 4 is not exercise 5: {beads:?}");
    }

    #[test]
    fn two_sentences_told_in_two_others_make_one_bead() {
        // What lines 2 and 3 say, their translations divide between them otherwise: each holds half of both.
        let dim = 16;
        let mut target = vec![0.05; 6 * dim];
        for (row, axes) in [vec![0], vec![1], vec![2, 3], vec![2, 3], vec![4], vec![5]].iter().enumerate() {
            axes.iter().for_each(|axis| target[row * dim + axis] = 1.0);
        }
        let target = Vectors::normalised(dim, target).unwrap();
        let beads = align(
            Side::new(&lines(&[50, 50, 20, 80, 50, 50]), &vectors(&[0, 1, 2, 3, 4, 5], dim)),
            Side::new(&lines(&[50, 50, 80, 20, 50, 50]), &target),
            &Params::default(),
            1 << 20,
        );
        assert_eq!(shapes(&beads), [(1, 1), (1, 1), (2, 2), (1, 1), (1, 1)]);
        let single = Params { max_bead: 1, ..Params::default() };
        let source = lines(&[50; 6]);
        let beads = align(
            Side::new(&source, &vectors(&[0, 1, 2, 3, 4, 5], dim)),
            Side::new(&source, &target),
            &single,
            1 << 20,
        );
        assert!(beads.iter().all(|bead| bead.source.len() < 2 && bead.target.len() < 2), "{beads:?}");
    }

    #[test]
    fn lengths_are_outvoted_where_translations_stand_far_out() {
        let axes: Vec<usize> = (0..14).collect();
        let (mut short, mut long) = ([50; 14], [50; 14]);
        (short[6], long[6]) = (10, 90);
        assert_eq!(shapes(&run(&axes, &axes, (&short, &long), 1 << 20)), [(1, 1); 14]);
        // Where half of the lines have nothing in common with any other, an agreement may be chance.
        let half: Vec<usize> = axes.iter().map(|axis| if axis % 2 == 0 { *axis } else { 15 }).collect();
        let beads = run(&axes, &half, (&short, &long), 1 << 20);
        assert!(!shapes(&beads)[6..8].starts_with(&[(1, 1)]), "{beads:?}");
    }

    #[test]
    fn given_vectors_of_runs_are_believed() {
        // Target line 1 is what source lines 1 and 2 say together, which only the vector of both shows.
        let dim = 16;
        let source = vectors(&[0, 1, 2, 3, 4], dim);
        let target = vectors(&[0, 7, 3, 4], dim);
        let (source_runs, target_runs) = ([vectors(&[8, 7, 9, 10], dim)], [vectors(&[11, 12, 13], dim)]);
        let (source_lines, target_lines) = (lines(&[50; 5]), lines(&[50, 100, 50, 50]));
        let beads = align(
            Side { lines: &source_lines, vectors: &source, runs: &source_runs },
            Side { lines: &target_lines, vectors: &target, runs: &target_runs },
            &Params::default(),
            1 << 20,
        );
        assert_eq!(shapes(&beads), [(1, 1), (2, 1), (1, 1), (1, 1)]);
        assert!(beads[1].similarity.is_some_and(|cosine| cosine > 0.9), "{beads:?}");
    }

    /// A book of numbered parts of twenty lines each.
    fn book(parts: &[u32], dim: usize) -> (Vec<Line>, Vectors) {
        let mut book = lines(&vec![50; parts.len() * 20]);
        let mut data = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            book[at * 20].label = Some(Label { section: true, kind: 1, number: *part });
            for line in 0..20 {
                // Lines of equal content have equal vectors, and no two others do.
                data.extend(std::iter::repeat_with(random(u64::from(part * 20 + line + 1))).take(dim));
            }
        }
        (book, Vectors::normalised(dim, data).unwrap())
    }

    /// How many of the lines that both editions have are right. The translation lacks parts 3 to 14: 240 lines, far
    /// more than the band is wide.
    fn right_past_a_hole(labelled: bool, spoken: bool) -> usize {
        let parts: Vec<u32> = (1..=40).collect();
        let kept: Vec<u32> = parts.iter().copied().filter(|part| !(3..15).contains(part)).collect();
        let ((mut source, mut source_vectors), (mut target, mut target_vectors)) = (book(&parts, 64), book(&kept, 64));
        if !labelled {
            source.iter_mut().chain(&mut target).for_each(|line| line.label = None);
        }
        if !spoken {
            let silent = |rows: usize| Vectors::normalised(2, vec![1.0; rows * 2]).unwrap();
            (source_vectors, target_vectors) = (silent(source.len()), silent(target.len()));
        }
        let beads =
            align(Side::new(&source, &source_vectors), Side::new(&target, &target_vectors), &Params::default(), 1000);
        let expected = |i: usize| if i < 40 { Some(i) } else { i.checked_sub(240).filter(|j| *j >= 40) };
        beads
            .iter()
            .filter(|bead| (bead.source.len(), bead.target.len()) == (1, 1))
            .filter(|bead| Some(bead.target.start) == expected(bead.source.start))
            .count()
    }

    #[test]
    fn shorter_versions_lead_the_band_past_chapters_that_one_edition_lacks() {
        let found = right_past_a_hole(false, true);
        assert!(found >= 28 * 20 - 2, "at the edge of the hole a line may go astray, no more: {found}");
    }

    #[test]
    fn numbered_parts_lead_it_where_vectors_are_silent() {
        let found = right_past_a_hole(true, false);
        assert!(found >= 28 * 20 - 25, "in the part before the hole nothing is sure: {found}");
        let without = right_past_a_hole(false, false);
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
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(12))]

        #[test]
        fn the_band_finds_what_the_whole_lattice_finds(axes in proptest::collection::vec(0_usize..16, 150..200)) {
            let lengths = vec![40; axes.len()];
            let whole = run(&axes, &axes, (&lengths, &lengths), 1 << 20);
            let banded = run(&axes, &axes, (&lengths, &lengths), 1_000);
            proptest::prop_assert_eq!(shapes(&whole), shapes(&banded));
        }
    }
}
