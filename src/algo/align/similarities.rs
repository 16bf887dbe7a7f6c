//! Cosines between the lines of two documents, and between runs of lines, against their background.

use super::Line;
use super::band::Band;
use crate::record::Vectors;

/// Cosines of lines, and of runs of lines, with their background.
pub(super) struct Similarities {
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
    /// Of every two lines that a bead of up to `reach` lines of the lattice can join.
    pub(super) fn new(source: (&[Line], &Vectors), target: (&[Line], &Vectors), lattice: &Band, reach: usize) -> Self {
        let (n, m) = (source.0.len(), target.0.len());
        let band = lattice.of_lines(reach);
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

    pub(super) fn deviations(&self, source: std::ops::Range<usize>, target: std::ops::Range<usize>) -> Option<f64> {
        self.runs(&source, &target).map(|(cosine, mean)| (cosine - mean) / self.deviation)
    }

    pub(super) fn cosine(&self, source: std::ops::Range<usize>, target: std::ops::Range<usize>) -> f64 {
        self.runs(&source, &target).map_or(0.0, |(cosine, _)| cosine)
    }

    pub(super) fn margin(&self, source: std::ops::Range<usize>, target: std::ops::Range<usize>) -> Option<f32> {
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
