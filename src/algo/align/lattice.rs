//! The lattice of beads: its best path, and how much of all paths' weight runs through each bead of it.

use super::band::Band;
use super::evidence::{self, Features};
use super::similarities::Similarities;
use super::{Bead, Params, Side};

/// Similarity alone never says more than this, for or against: other evidence must be able to outvote an accident.
/// With sharp vectors accidents are as much rarer as their weight is higher.
const SIMILARITY_CAP: f64 = 6.0;

/// The weight of similarity grows by this power of how far translations stand out of chance. 1 is the log-likelihood
/// ratio of two normal distributions of one spread; where they stand further out, translations vary less beside it.
/// 1.25 to 2 were about equal.
const SHARPNESS: f64 = 1.5;

pub(super) struct Lattice<'a> {
    source: Features<'a>,
    target: Features<'a>,
    params: Params,
    band: Band,
    similarities: Similarities,
    longest: usize,
    cap: f64,
    /// How much the similarity of a bead of so many lines on both sides together weighs.
    growth: Vec<f64>,
}

impl<'a> Lattice<'a> {
    pub(super) fn new(source: &Side<'a>, target: &Side<'a>, params: &Params, band: Band, longest: usize) -> Self {
        let similarities = Similarities::new(source, target, &band, longest);
        // A document that lacks half of the other still has sentences of the usual length.
        let ratio = evidence::mean_length(target.lines) / evidence::mean_length(source.lines);
        let (source, target) = (Features::new(source.lines, longest, ratio), Features::new(target.lines, longest, 1.0));
        let growth = (0..=2 * longest).map(|lines| (lines as f64 / 2.0).powf(params.growth)).collect();
        // The weights are those of vectors whose translations stand out by twice what is neutral, or by less. Of sharper
        // ones a standard deviation says more, and neutral is still half way.
        let sharpness = (similarities.standing() / (2.0 * params.neutral).max(1.0)).max(1.0);
        let weight = sharpness.powf(SHARPNESS);
        let params = Params { similarity: params.similarity * weight, neutral: params.neutral * sharpness, ..*params };
        Self { source, target, params, band, similarities, longest, cap: SIMILARITY_CAP * weight, growth }
    }

    /// Calls `each` with the node where it begins and the weight of every bead that ends in the node (i, j).
    fn each_bead(&self, (i, j): (usize, usize), mut each: impl FnMut((usize, usize), f64)) {
        if i > 0 && self.band.contains(i - 1, j) {
            each((i - 1, j), self.params.skip);
        }
        if j > 0 && self.band.contains(i, j - 1) {
            each((i, j - 1), self.params.skip);
        }
        if i == 0 || j == 0 {
            return;
        }
        let most = (self.longest.min(i), self.longest.min(j));
        self.similarities.each_deviation((i - 1, j - 1), most, |p, q, deviations| {
            let from = (i - p, j - q);
            if self.band.contains(from.0, from.1) {
                each(from, self.weight(from, (p, q), deviations));
            }
        });
    }

    fn weight(&self, from: (usize, usize), (p, q): (usize, usize), deviations: f64) -> f64 {
        let params = &self.params;
        let last = (from.0 + p - 1, from.1 + q - 1);
        let context = if params.context > 0.0 { params.context * self.similarities.around(last, (p, q)) } else { 0.0 };
        let similarity = params.similarity * (deviations - context - params.neutral);
        let size = self.growth[p + q];
        let several = if p > 1 && q > 1 { params.many_to_many } else { 0.0 };
        similarity.clamp(-self.cap, self.cap) * size
            + (p + q - 2) as f64 * params.merge
            + several
            + evidence::weight((&self.source, &self.target), from, (p, q))
    }

    /// The beads of the best path.
    pub(super) fn best_path(&self) -> Vec<Bead> {
        let (n, m) = self.band.corner();
        let size = self.band.size();
        let mut best = vec![f64::NEG_INFINITY; size];
        // Lines of the best bead that ends here: source · 16 + target.
        let mut back = vec![0_u8; size];
        let mut forward = vec![f64::NEG_INFINITY; size];
        best[0] = 0.0;
        forward[0] = 0.0;
        for (i, j) in self.band.cells().skip(1) {
            let cell = self.band.cell(i, j);
            let (mut most, mut shape, mut all) = (f64::NEG_INFINITY, 0, Sum::default());
            self.each_bead((i, j), |(from_i, from_j), weight| {
                let from = self.band.cell(from_i, from_j);
                if best[from] + weight > most {
                    most = best[from] + weight;
                    shape = u8::try_from((i - from_i) * 16 + j - from_j).unwrap_or(u8::MAX);
                }
                all.add(forward[from] + weight);
            });
            (best[cell], back[cell], forward[cell]) = (most, shape, all.ln());
        }
        drop(best);
        let backward = self.backward();
        let all = forward[size - 1];
        let mut beads = Vec::new();
        let (mut i, mut j) = (n, m);
        while (i, j) != (0, 0) {
            let shape = usize::from(back[self.band.cell(i, j)]);
            let from = (i - shape / 16, j - shape % 16);
            let mut weight = f64::NEG_INFINITY;
            self.each_bead((i, j), |begin, found| {
                if begin == from {
                    weight = found;
                }
            });
            let through = forward[self.band.cell(from.0, from.1)] + weight + backward[self.band.cell(i, j)];
            let (source, target) = (from.0..i, from.1..j);
            let both = !source.is_empty() && !target.is_empty();
            let cosine = if both { self.similarities.cosine(source.clone(), target.clone()) } else { None };
            #[expect(clippy::cast_possible_truncation, reason = "cosines and their ratios")]
            beads.push(Bead {
                source,
                target,
                similarity: cosine.map(|(cosine, _)| cosine as f32),
                margin: cosine.and_then(|(_, margin)| margin).map(|margin| margin as f32),
                posterior: (through - all).exp().clamp(0.0, 1.0),
            });
            (i, j) = from;
        }
        beads.reverse();
        beads
    }

    /// For each cell, the log of all paths' weight from it to the end.
    fn backward(&self) -> Vec<f64> {
        let mut backward = vec![f64::NEG_INFINITY; self.band.size()];
        if let Some(end) = backward.last_mut() {
            *end = 0.0;
        }
        for (i, j) in self.band.cells().rev() {
            let here = backward[self.band.cell(i, j)];
            self.each_bead((i, j), |(from_i, from_j), weight| {
                let from = self.band.cell(from_i, from_j);
                backward[from] = log_add(backward[from], here + weight);
            });
        }
        backward
    }
}

/// Under e to the minus this, a share is lost in the last digit of a 64-bit number, and not worth its exponential.
const NOTHING: f64 = 40.0;

/// ln(eᵃ + eᵇ) without overflow.
fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low < high - NOTHING { high } else { high + (low - high).exp().ln_1p() }
}

/// The logarithm of a sum of exponentials, without overflow.
struct Sum {
    high: f64,
    rest: f64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { high: f64::NEG_INFINITY, rest: 0.0 }
    }
}

impl Sum {
    fn add(&mut self, term: f64) {
        if term > self.high {
            self.rest = self.rest * (self.high - term).exp() + 1.0;
            self.high = term;
        } else if term > self.high - NOTHING {
            self.rest += (term - self.high).exp();
        }
    }

    fn ln(&self) -> f64 {
        if self.rest > 0.0 { self.high + self.rest.ln() } else { f64::NEG_INFINITY }
    }
}
