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
//! along the diagonal beyond it.

use crate::record::Vectors;

/// What the lattice knows of a sentence beside its vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its length in characters.
    pub chars: usize,
    /// Which block it stands in.
    pub block: u32,
    /// A tag of the block's kind; equal tags on both sides speak for the bead. 0 is running text.
    pub kind: u8,
    /// The numbers it names, sorted.
    pub numbers: Vec<String>,
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
/// Answers the beads in order; every line is in exactly one. Deterministic. Cells past `max_cells` are given up for a
/// band along the diagonal.
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
        let band = Band::new(n, m, max_cells);
        let similarities = Similarities::new(source, target, &band);
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
                + layout_weight(source, target, self.starts(from_i, from_j)),
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
        for (i, j) in self.band.cells_reversed() {
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

/// Translations have about the same length, up to the pair's ratio; short ones vary more.
fn length_weight(source: &[Line], target: &[Line], ratio: f64) -> f64 {
    let chars = |lines: &[Line]| lines.iter().map(|line| line.chars).sum::<usize>().max(1) as f64;
    let (expected, found) = (chars(source) * ratio, chars(target));
    let spread = 0.25 + 1.5 / expected.sqrt();
    let deviations = (found / expected).ln() / spread;
    // The constant is what an agreement tells on average: lengths inside a text differ about three times as much.
    1.0 - deviations * deviations / 2.0
}

/// Numbers survive translation.
fn number_weight(source: &[Line], target: &[Line]) -> f64 {
    let numbers = |lines: &'_ [Line]| lines.iter().map(|line| line.numbers.len()).sum::<usize>();
    let (in_source, in_target) = (numbers(source), numbers(target));
    if in_source + in_target == 0 {
        return 0.0;
    }
    let mut rest: Vec<&String> = target.iter().flat_map(|line| &line.numbers).collect();
    let mut shared = 0;
    for number in source.iter().flat_map(|line| &line.numbers) {
        if let Some(at) = rest.iter().position(|other| *other == number) {
            rest.swap_remove(at);
            shared += 1;
        }
    }
    let missing = in_source + in_target - 2 * shared;
    (1.2 * shared as f64 - 0.8 * missing as f64).clamp(-3.0, 5.0)
}

/// Blocks begin at the same places, hold the same kinds of text, and a sentence does not run over their ends.
fn layout_weight(source: &[Line], target: &[Line], starts: (bool, bool)) -> f64 {
    let crosses = |lines: &[Line]| lines.windows(2).any(|pair| pair[0].block != pair[1].block);
    let mut weight = match starts {
        (true, true) => 0.7,
        (false, false) => 0.1,
        _ => -0.5,
    };
    if crosses(source) || crosses(target) {
        weight -= 3.0;
    }
    match (source[0].kind, target[0].kind) {
        (0, 0) => {}
        (a, b) if a == b => weight += 1.5,
        _ => weight -= 2.5,
    }
    weight
}

/// Cosines of lines, and of runs of lines, with their background.
struct Similarities {
    band: Band,
    /// Cosine of source i and target j, in the band's order, one line short of the lattice.
    cosines: Vec<f32>,
    source_weights: Weights,
    target_weights: Weights,
    source_means: Vec<f64>,
    target_means: Vec<f64>,
    deviation: f64,
}

/// A run's vector is the sum of its lines' vectors, each with the square root of its length: as tf-idf vectors of the
/// joined text would be, and close to what neural encoders give for it.
struct Weights {
    weight: Vec<f64>,
    /// Cosine of each line with the next and with the one after.
    next: [Vec<f64>; 2],
}

impl Weights {
    fn new(lines: &[Line], vectors: &Vectors) -> Self {
        let cosine = |a: usize, b: usize| dot(vectors.row(a), vectors.row(b));
        let neighbours = |step: usize| (0..lines.len().saturating_sub(step)).map(|i| cosine(i, i + step)).collect();
        Self {
            weight: lines.iter().map(|line| (line.chars.max(1) as f64).sqrt()).collect(),
            next: [neighbours(1), neighbours(2)],
        }
    }

    /// Length of a run's vector.
    fn norm(&self, run: &std::ops::Range<usize>) -> f64 {
        let mut square = 0.0;
        for i in run.clone() {
            square += self.weight[i] * self.weight[i];
            for (step, cosines) in self.next.iter().enumerate() {
                if i + step + 1 < run.end {
                    square += 2.0 * self.weight[i] * self.weight[i + step + 1] * cosines[i];
                }
            }
        }
        square.max(1e-12).sqrt()
    }
}

impl Similarities {
    fn new(source: (&[Line], &Vectors), target: (&[Line], &Vectors), lattice: &Band) -> Self {
        let (n, m) = (source.0.len(), target.0.len());
        let band = lattice.one_shorter();
        let mut cosines = vec![0.0; band.size()];
        let (mut source_sums, mut target_sums) = (vec![(0.0, 0_usize); n], vec![(0.0, 0_usize); m]);
        for (i, j) in band.cells() {
            let cosine = dot(source.1.row(i), target.1.row(j));
            #[expect(clippy::cast_possible_truncation, reason = "stored as it was computed")]
            {
                cosines[band.cell(i, j)] = cosine as f32;
            }
            source_sums[i].0 += cosine;
            source_sums[i].1 += 1;
            target_sums[j].0 += cosine;
            target_sums[j].1 += 1;
        }
        let means = |sums: Vec<(f64, usize)>| {
            sums.into_iter().map(|(sum, count)| if count == 0 { 0.0 } else { sum / count as f64 }).collect()
        };
        let (source_means, target_means): (Vec<f64>, Vec<f64>) = (means(source_sums), means(target_sums));
        // The spread of the background: the lower half of the deviations, mirrored, so that true pairs do not widen it.
        let (mut square, mut count) = (0.0, 0_usize);
        for (i, j) in band.cells() {
            let deviation = f64::from(cosines[band.cell(i, j)]) - (source_means[i] + target_means[j]) / 2.0;
            if deviation < 0.0 {
                square += deviation * deviation;
                count += 1;
            }
        }
        let deviation = if count == 0 { 0.01 } else { (square / count as f64).sqrt().max(0.01) };
        Self {
            band,
            cosines,
            source_weights: Weights::new(source.0, source.1),
            target_weights: Weights::new(target.0, target.1),
            source_means,
            target_means,
            deviation,
        }
    }

    /// Cosine of two runs, and the mean cosine of each with the lines of the other document.
    fn runs(&self, source: &std::ops::Range<usize>, target: &std::ops::Range<usize>) -> Option<(f64, f64)> {
        let (a, b) = (&self.source_weights, &self.target_weights);
        let (source_norm, target_norm) = (a.norm(source), b.norm(target));
        let mut sum = 0.0;
        for i in source.clone() {
            for j in target.clone() {
                if !self.band.contains(i, j) {
                    return None;
                }
                sum += a.weight[i] * b.weight[j] * f64::from(self.cosines[self.band.cell(i, j)]);
            }
        }
        let source_mean = source.clone().map(|i| a.weight[i] * self.source_means[i]).sum::<f64>() / source_norm;
        let target_mean = target.clone().map(|j| b.weight[j] * self.target_means[j]).sum::<f64>() / target_norm;
        Some((sum / (source_norm * target_norm), (source_mean + target_mean) / 2.0))
    }

    fn deviations(&self, source: std::ops::Range<usize>, target: std::ops::Range<usize>) -> Option<f64> {
        self.runs(&source, &target).map(|(cosine, mean)| (cosine - mean) / self.deviation)
    }

    fn cosine(&self, source: std::ops::Range<usize>, target: std::ops::Range<usize>) -> f64 {
        self.runs(&source, &target).map_or(0.0, |(cosine, _)| cosine)
    }

    fn margin(&self, source: std::ops::Range<usize>, target: std::ops::Range<usize>) -> Option<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "a ratio of cosines")]
        self.runs(&source, &target).filter(|(_, mean)| *mean > 1e-6).map(|(cosine, mean)| (cosine / mean) as f32)
    }
}

/// Summed in 64 bits in a fixed order: the same on every machine and for every layout.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (head_a, tail_a) = a.as_chunks::<8>();
    let (head_b, tail_b) = b.as_chunks::<8>();
    for (x, y) in head_a.iter().zip(head_b) {
        for lane in 0..8 {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    let rest: f64 = tail_a.iter().zip(tail_b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    sums.iter().sum::<f64>() + rest
}

/// The cells of an (n+1) × (m+1) lattice within `half` of the diagonal.
#[derive(Clone)]
struct Band {
    n: usize,
    m: usize,
    half: usize,
    /// First column and first cell of each row, and one past the last cell.
    rows: Vec<(usize, usize)>,
    size: usize,
}

impl Band {
    fn new(n: usize, m: usize, max_cells: usize) -> Self {
        let half = if (n + 1).saturating_mul(m + 1) <= max_cells {
            m + 1
        } else {
            (max_cells / (n + 1) / 2).max(m / (n + 1) + 64)
        };
        Self::with_half(n, m, half)
    }

    fn with_half(n: usize, m: usize, half: usize) -> Self {
        let mut band = Self { n, m, half, rows: Vec::with_capacity(n + 2), size: 0 };
        for i in 0..=n {
            let (first, last) = band.columns(i);
            band.rows.push((first, band.size));
            band.size += last - first + 1;
        }
        band
    }

    /// First and last column of a row.
    fn columns(&self, i: usize) -> (usize, usize) {
        let middle = (i * self.m).checked_div(self.n).unwrap_or(self.m);
        (middle.saturating_sub(self.half), (middle + self.half).min(self.m))
    }

    /// The band of the lines themselves, of which there is one less than of lattice nodes. A little wider, so that
    /// every bead between two nodes finds its cosines.
    fn one_shorter(&self) -> Self {
        Self::with_half(self.n - 1, self.m - 1, self.half.saturating_add(self.m / self.n.max(1) + 2))
    }

    fn contains(&self, i: usize, j: usize) -> bool {
        let (first, last) = self.columns(i);
        i <= self.n && (first..=last).contains(&j)
    }

    fn cell(&self, i: usize, j: usize) -> usize {
        let (first, start) = self.rows[i];
        start + j - first
    }

    fn size(&self) -> usize {
        self.size
    }

    fn cells(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..=self.n).flat_map(|i| {
            let (first, last) = self.columns(i);
            (first..=last).map(move |j| (i, j))
        })
    }

    fn cells_reversed(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..=self.n).rev().flat_map(|i| {
            let (first, last) = self.columns(i);
            (first..=last).rev().map(move |j| (i, j))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lengths: &[usize]) -> Vec<Line> {
        lengths.iter().map(|chars| Line { chars: *chars, block: 0, kind: 0, numbers: Vec::new() }).collect()
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
