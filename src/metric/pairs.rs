//! Precision and recall of mined pairs against gold pairs, with Wilson intervals.

use std::collections::HashSet;
use std::hash::Hash;

/// Counts and what follows from them. Range of each share: 0 to 1; higher is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairScores {
    /// Pairs found.
    pub found: usize,
    /// Pairs in the gold set.
    pub gold: usize,
    /// Pairs found that are gold.
    pub right: usize,
}

impl PairScores {
    /// Right among the found; `None` when nothing was found.
    pub fn precision(self) -> Option<f64> {
        (self.found > 0).then(|| self.right as f64 / self.found as f64)
    }

    /// Found among the gold; `None` when there is no gold.
    pub fn recall(self) -> Option<f64> {
        (self.gold > 0).then(|| self.right as f64 / self.gold as f64)
    }

    /// Harmonic mean; `None` when either is.
    pub fn f1(self) -> Option<f64> {
        let (p, r) = (self.precision()?, self.recall()?);
        Some(if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 })
    }
}

/// Compares two sets of pairs. Repeated pairs count once.
pub fn pair_scores<T: Eq + Hash>(found: &HashSet<T>, gold: &HashSet<T>) -> PairScores {
    PairScores { found: found.len(), gold: gold.len(), right: found.intersection(gold).count() }
}

/// Wilson's 95 % interval of a share (Wilson 1927). `None` for no trials.
pub fn wilson(right: usize, of: usize) -> Option<(f64, f64)> {
    if of == 0 {
        return None;
    }
    let (n, z) = (of as f64, 1.959_963_985);
    let p = right as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let scores = pair_scores(&HashSet::from([1, 2, 3, 4]), &HashSet::from([2, 3, 4, 5, 6, 7]));
        assert_eq!((scores.precision(), scores.recall()), (Some(0.75), Some(0.5)));
        assert!((scores.f1().unwrap() - 0.6).abs() < 1e-12);
    }

    #[test]
    fn nothing_found_has_no_precision() {
        let scores = pair_scores(&HashSet::<u8>::new(), &HashSet::from([1]));
        assert_eq!((scores.precision(), scores.recall(), scores.f1()), (None, Some(0.0), None));
    }

    #[test]
    fn wilson_of_8_in_10() {
        // Published example: 8 of 10 gives about .490 to .943.
        let (low, high) = wilson(8, 10).unwrap();
        assert!((low - 0.490).abs() < 1e-3 && (high - 0.943).abs() < 1e-3, "{low} {high}");
        assert_eq!(wilson(0, 0), None);
    }
}
