//! Cosines between the runs of two documents, and what chance would give.
//!
//! A run's vector is the encoder's own where the caller has it. Else it is the sum of its lines' vectors, each with the
//! square root of its length: as tf-idf vectors of the joined text would be, and close to what neural encoders give.
//! Such sums are never made: their cosines follow from those of the lines.

use std::ops::Range;

use rayon::prelude::*;

use super::band::Band;
use super::{MOST, Side};

/// Pairs of lines from which the spread of chance is estimated.
const SAMPLE: usize = 1 << 16;
/// The same, for each shape longer than a line.
const SHAPE_SAMPLE: usize = 1 << 12;

/// Deviations from chance at which a translation is as sure as it gets.
const SURE: f32 = 10.0;

/// Cosines in a band of the lattice.
pub(super) struct Similarities {
    /// Of lines: one short of the lattice.
    band: Band,
    /// For each cell of the band, the cosines of the runs that end with it: of one line with one, two, …; two with one, …
    /// Where runs are sums, of the lines alone.
    cosines: Vec<f32>,
    given: bool,
    longest: usize,
    source: Runs,
    target: Runs,
    /// For each shape, one standard deviation of chance.
    spreads: Vec<f64>,
    /// See [`Self::beside_of`].
    beside: Vec<f32>,
    /// See [`Self::standing`].
    standing: f64,
}

/// One side's runs.
struct Runs {
    longest: usize,
    /// Weight of each line in a sum.
    weights: Vec<f64>,
    /// For runs of one, two, … lines, by their first line: 1 over the length of the sum of their lines.
    scales: Vec<Vec<f64>>,
    /// For runs of one, two, … lines: of each, by its first line, the mean cosine with runs of one, two, … lines of the
    /// other side.
    means: Vec<Vec<f32>>,
}

impl Runs {
    fn new(side: &Side<'_>, other: &Side<'_>, longest: usize, given: bool) -> Self {
        let n = side.lines.len();
        let weights = weights(side);
        let scales = scales(side, &weights, longest);
        let other_weights = if given { Vec::new() } else { self::weights(other) };
        let other_scales = if given { Vec::new() } else { self::scales(other, &other_weights, longest) };
        // The mean vector of the other side's runs of each length: a mean of cosines is the cosine's with the mean.
        let dim = other.vectors.dim();
        let centres: Vec<Vec<f64>> = (1..=longest)
            .map(|run| {
                let mut sum = vec![0.0; dim];
                let count = other.lines.len().saturating_sub(run - 1);
                let mut add = |row: &[f32], scale: f64| {
                    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += scale * f64::from(*x));
                };
                if given {
                    (0..count).for_each(|from| add(other.run(from, run), 1.0));
                } else {
                    for (from, scale) in other_scales[run - 1].iter().enumerate() {
                        (from..from + run).for_each(|line| add(other.vectors.row(line), other_weights[line] * scale));
                    }
                }
                sum.iter_mut().for_each(|x| *x /= count.max(1) as f64);
                sum
            })
            .collect();
        #[expect(clippy::cast_possible_truncation, reason = "a mean of cosines")]
        let with_centres = |row: &[f32]| -> Vec<f32> {
            centres
                .iter()
                .map(|centre| row.iter().zip(centre).map(|(x, y)| f64::from(*x) * y).sum::<f64>() as f32)
                .collect()
        };
        let of_given = |run: usize| -> Vec<f32> {
            (0..(n + 1).saturating_sub(run))
                .into_par_iter()
                .flat_map_iter(|at| with_centres(side.run(at, run)))
                .collect()
        };
        let mut means = vec![of_given(1)];
        for run in 2..=longest {
            means.push(if given {
                of_given(run)
            } else {
                means_of_sums(&means[0], &weights, &scales[run - 1], run, longest)
            });
        }
        Self { longest, weights, scales, means }
    }

    /// Mean cosine of the run of `length` lines from `from` on with the other side's runs of `other` lines.
    fn mean(&self, from: usize, length: usize, other: usize) -> f64 {
        f64::from(self.means[length - 1][from * self.longest + other - 1])
    }
}

/// The means of sums of `run` lines, from those of the lines.
fn means_of_sums(lines: &[f32], weights: &[f64], scales: &[f64], run: usize, longest: usize) -> Vec<f32> {
    let of_run = |(from, scale): (usize, &f64)| -> Vec<f32> {
        (0..longest)
            .map(|other| {
                let sum: f64 =
                    (from..from + run).map(|line| weights[line] * f64::from(lines[line * longest + other])).sum();
                #[expect(clippy::cast_possible_truncation, reason = "a mean of cosines")]
                {
                    (sum * scale) as f32
                }
            })
            .collect()
    };
    scales.iter().enumerate().flat_map(of_run).collect()
}

/// The square root of a line's length.
fn weights(side: &Side<'_>) -> Vec<f64> {
    side.lines.iter().map(|line| (line.chars.max(1) as f64).sqrt()).collect()
}

fn scales(side: &Side<'_>, weights: &[f64], longest: usize) -> Vec<Vec<f64>> {
    let n = weights.len();
    // Cosine of each line with those behind it.
    let behind: Vec<Vec<f64>> = (0..n)
        .into_par_iter()
        .map(|i| {
            (1..longest)
                .take_while(|step| i + step < n)
                .map(|step| dot(side.vectors.row(i), side.vectors.row(i + step)))
                .collect()
        })
        .collect();
    let mut squares: Vec<f64> = weights.iter().map(|weight| weight * weight).collect();
    let mut scales = Vec::with_capacity(longest);
    for run in 1..=longest {
        if run > 1 {
            squares.truncate((n + 1).saturating_sub(run));
            for (from, square) in squares.iter_mut().enumerate() {
                let last = from + run - 1;
                let with_others: f64 = (from..last).map(|i| weights[i] * behind[i][last - i - 1]).sum();
                *square += weights[last] * (weights[last] + 2.0 * with_others);
            }
        }
        scales.push(squares.iter().map(|square| 1.0 / square.max(1e-12).sqrt()).collect());
    }
    scales
}

impl Similarities {
    /// Of every two runs of up to `longest` lines that a bead of the lattice can join.
    pub(super) fn new(source: &Side<'_>, target: &Side<'_>, lattice: &Band, longest: usize) -> Self {
        let given = longest > 1 && !source.runs.is_empty();
        let band = lattice.of_lines(longest);
        let cosines = cosines(source, target, &band, if given { longest } else { 1 });
        let (source_runs, target_runs) =
            (Runs::new(source, target, longest, given), Runs::new(target, source, longest, given));
        let mut similarities = Self {
            band,
            cosines,
            given,
            longest,
            source: source_runs,
            target: target_runs,
            spreads: Vec::new(),
            beside: Vec::new(),
            standing: 0.0,
        };
        similarities.spreads = similarities.spreads_of(source, target);
        similarities.beside = similarities.beside_of();
        similarities.temper();
        similarities
    }

    /// The spread of chance for each shape: the lower half of the deviations, mirrored, so that true pairs do not widen
    /// it.
    fn spreads_of(&self, source: &Side<'_>, target: &Side<'_>) -> Vec<f64> {
        let spread = |p: usize, q: usize, most: usize| {
            let (n, m) = ((source.lines.len() + 1).saturating_sub(p), (target.lines.len() + 1).saturating_sub(q));
            let deviations: Vec<f64> = sample(n, m, most)
                .into_par_iter()
                .map(|(i, j)| dot(source.run(i, p), target.run(j, q)) - self.mean(i..i + p, j..j + q))
                .filter(|deviation| *deviation < 0.0)
                .collect();
            let square: f64 = deviations.iter().map(|deviation| deviation * deviation).sum();
            (!deviations.is_empty()).then(|| (square / deviations.len() as f64).sqrt().max(0.01))
        };
        let lines = spread(1, 1, SAMPLE).unwrap_or(0.01);
        let shapes = (1..=self.longest).flat_map(|p| (1..=self.longest).map(move |q| (p, q)));
        shapes
            .map(|(p, q)| if self.given && p + q > 2 { spread(p, q, SHAPE_SAMPLE).unwrap_or(lines) } else { lines })
            .collect()
    }

    /// What chance gives the two runs: the mean of what each has with the other document.
    fn mean(&self, source: Range<usize>, target: Range<usize>) -> f64 {
        let (p, q) = (source.len(), target.len());
        (self.source.mean(source.start, p, q) + self.target.mean(target.start, q, p)) / 2.0
    }

    /// Calls `each` with the shape and the deviations from chance, in standard deviations, of every bead that ends with
    /// the lines (i, j), up to so many lines on either side.
    pub(super) fn each_deviation(
        &self,
        (i, j): (usize, usize),
        most: (usize, usize),
        mut each: impl FnMut(usize, usize, f64),
    ) {
        // Sums over rectangles that grow from the corner (i, j): one addition a shape.
        let mut columns = [0.0_f64; MOST];
        for p in 1..=most.0 {
            let mut row = 0.0;
            for q in 1..=most.1 {
                let Some(cosine) = self.corner((i, j), (p, q), &mut columns, &mut row) else { break };
                let (source, target) = (i + 1 - p..i + 1, j + 1 - q..j + 1);
                let spread = self.spreads[(p - 1) * self.longest + q - 1];
                each(p, q, (cosine - self.mean(source, target)) / spread);
            }
        }
    }

    /// The cosine of the runs of (p, q) lines that end with (i, j). `None` out of the band.
    fn corner(
        &self,
        (i, j): (usize, usize),
        (p, q): (usize, usize),
        columns: &mut [f64; MOST],
        row: &mut f64,
    ) -> Option<f64> {
        if self.given {
            let size = self.longest * self.longest;
            return self
                .band
                .contains(i, j)
                .then(|| f64::from(self.cosines[self.band.cell(i, j) * size + (p - 1) * self.longest + q - 1]));
        }
        let (line, other) = (i + 1 - p, j + 1 - q);
        if !self.band.contains(line, other) {
            return None;
        }
        let (a, b) = (&self.source, &self.target);
        *row += a.weights[line] * b.weights[other] * f64::from(self.cosines[self.band.cell(line, other)]);
        columns[q - 1] += *row;
        Some(columns[q - 1] * a.scales[p - 1][line] * b.scales[q - 1][other])
    }

    /// Widens the spreads where translations stand out by more than [`SURE`] of them: a sharp encoder's vectors, above all
    /// long ones, make chance look so narrow that every fair match would be as good as a perfect one.
    fn temper(&mut self) {
        let width = 2 * self.longest;
        let mut best: Vec<f32> = (0..self.band.rows())
            .filter_map(|i| {
                let first = self.band.cell(i, *self.band.columns(i).start());
                let row = &self.beside[first * width..(first + self.band.columns(i).count()) * width];
                row.iter().step_by(width).copied().max_by(f32::total_cmp)
            })
            .collect();
        best.sort_by(f32::total_cmp);
        let of_sorted = |at: usize| best.get(at).copied().unwrap_or(0.0);
        let excess = (of_sorted(best.len() / 2) / SURE).max(1.0);
        self.standing = f64::from(of_sorted(best.len() / 4) / excess);
        if excess > 1.0 {
            self.spreads.iter_mut().for_each(|spread| *spread *= f64::from(excess));
            self.beside.iter_mut().for_each(|deviations| *deviations /= excess);
        }
    }

    /// How far translations stand out of chance: the best line for three source lines in four does by so many standard
    /// deviations or more. Of vectors that tell little, or of a text without translations, what the best of all lines
    /// does by chance: 3 to 4.
    pub(super) fn standing(&self) -> f64 {
        self.standing
    }

    /// How much the runs of (p, q) lines that end with (i, j) have of the lines just before and behind them on the other
    /// side: the mean of the four deviations from chance. 0 for what is not there or out of the band.
    pub(super) fn around(&self, (i, j): (usize, usize), (p, q): (usize, usize)) -> f64 {
        let at = |i: usize, j: usize, of: usize| {
            if self.band.contains(i, j) {
                f64::from(self.beside[self.band.cell(i, j) * 2 * self.longest + of])
            } else {
                0.0
            }
        };
        let (of_source, of_target) = (p - 1, self.longest + q - 1);
        let before = (j + 1).checked_sub(q + 1).map_or(0.0, |other| at(i, other, of_source))
            + (i + 1).checked_sub(p + 1).map_or(0.0, |other| at(other, j, of_target));
        (at(i, j + 1, of_source) + at(i + 1, j, of_target) + before) / 4.0
    }

    /// For each cell of the band, the deviations from chance of the source runs of one, two, … lines that end with it and
    /// its target line; then of its source line and the target runs. 0 where a run leaves the band.
    fn beside_of(&self) -> Vec<f32> {
        let width = 2 * self.longest;
        let mut beside = vec![0.0_f32; self.band.size() * width];
        for ((i, j), cell) in self.band.cells().zip(beside.chunks_exact_mut(width)) {
            let mut columns = [0.0; MOST];
            for p in 1..=self.longest.min(i + 1) {
                let mut row = 0.0;
                let Some(cosine) = self.corner((i, j), (p, 1), &mut columns, &mut row) else { break };
                cell[p - 1] = self.deviation(cosine, i + 1 - p..i + 1, j..j + 1);
            }
            columns = [0.0; MOST];
            let mut row = 0.0;
            for q in 1..=self.longest.min(j + 1) {
                let Some(cosine) = self.corner((i, j), (1, q), &mut columns, &mut row) else { break };
                cell[self.longest + q - 1] = self.deviation(cosine, i..i + 1, j + 1 - q..j + 1);
            }
        }
        beside
    }

    #[expect(clippy::cast_possible_truncation, reason = "a number of standard deviations")]
    fn deviation(&self, cosine: f64, source: Range<usize>, target: Range<usize>) -> f32 {
        let spread = self.spreads[(source.len() - 1) * self.longest + target.len() - 1];
        ((cosine - self.mean(source, target)) / spread) as f32
    }

    /// Cosine of two runs, and its ratio to what chance gives them if that is positive.
    pub(super) fn cosine(&self, source: Range<usize>, target: Range<usize>) -> Option<(f64, Option<f64>)> {
        let mean = self.mean(source.clone(), target.clone());
        let mut columns = [0.0_f64; MOST];
        let mut cosine = None;
        for p in 1..=source.len() {
            let mut row = 0.0;
            for q in 1..=target.len() {
                cosine = self.corner((source.end - 1, target.end - 1), (p, q), &mut columns, &mut row);
                cosine?;
            }
        }
        cosine.map(|cosine| (cosine, (mean > 1e-6).then(|| cosine / mean)))
    }
}

/// The cosines of every two runs of up to `longest` lines that end in a cell of the band.
fn cosines(source: &Side<'_>, target: &Side<'_>, band: &Band, longest: usize) -> Vec<f32> {
    let size = longest * longest;
    let mut cosines = vec![0.0_f32; band.size() * size];
    let mut rows = Vec::with_capacity(band.rows());
    let mut rest = cosines.as_mut_slice();
    for i in 0..band.rows() {
        let (row, behind) = rest.split_at_mut(band.columns(i).count() * size);
        rows.push((i, row));
        rest = behind;
    }
    rows.into_par_iter().for_each(|(i, row)| {
        for (cells, j) in row.chunks_exact_mut(size).zip(band.columns(i)) {
            for p in 1..=longest.min(i + 1) {
                for q in 1..=longest.min(j + 1) {
                    #[expect(clippy::cast_possible_truncation, reason = "stored as it was computed")]
                    {
                        cells[(p - 1) * longest + q - 1] =
                            dot(source.run(i + 1 - p, p), target.run(j + 1 - q, q)) as f32;
                    }
                }
            }
        }
    });
    cosines
}

/// All places of an n × m table if there are no more than `most`; else so many, spread evenly and always the same.
pub(super) fn sample(n: usize, m: usize, most: usize) -> Vec<(usize, usize)> {
    if n.saturating_mul(m) <= most {
        return (0..n).flat_map(|i| (0..m).map(move |j| (i, j))).collect();
    }
    // Rows in order; columns by the golden ratio, which comes back to no column before it has been everywhere.
    let mut column = 0.0_f64;
    (0..most)
        .map(|at| {
            column = (column + 0.618_033_988_749_895).fract();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below m")]
            let j = (column * m as f64) as usize;
            (at * n / most, j.min(m - 1))
        })
        .collect()
}

/// Summed in a fixed order: the same on every machine and for every layout.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f32; 16];
    let (head_a, tail_a) = a.as_chunks::<16>();
    let (head_b, tail_b) = b.as_chunks::<16>();
    for (x, y) in head_a.iter().zip(head_b) {
        for lane in 0..16 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = tail_a.iter().zip(tail_b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + rest
}
