//! How far probabilities can be trusted: reliability bins, expected calibration error, Brier score.

use serde::{Deserialize, Serialize};

use super::pairs::wilson;

/// A bin of a reliability diagram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Mean of the probabilities in it, 0 to 1.
    pub told: f64,
    /// Share of its examples that are right, 0 to 1.
    pub right: f64,
    /// Wilson's 95 % interval of that share.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Examples in it.
    pub count: usize,
}

/// Probabilities against what was true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// The bins that hold an example, by probability.
    pub bins: Vec<Bin>,
    /// Expected calibration error: the mean distance of told and right over the bins, by their examples (Naeini et al.
    /// 2015). 0 to 1; lower is better.
    pub ece: f64,
    /// Mean squared error of the probabilities (Brier 1950). 0 to 1; lower is better.
    pub brier: f64,
    /// The Brier score of telling the share of right examples for all: what there is to beat.
    pub brier_of_mean: f64,
    /// Examples.
    pub count: usize,
}

/// Compares probabilities (0 to 1) with outcomes in `bins` bins of equal width. `None` without examples.
pub fn reliability(examples: &[(f64, bool)], bins: usize) -> Option<Reliability> {
    if examples.is_empty() || bins == 0 {
        return None;
    }
    let count = examples.len() as f64;
    let value = |right: bool| f64::from(u8::from(right));
    let mut sums = vec![(0.0, 0_usize, 0_usize); bins];
    for (told, right) in examples {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among few bins")]
        let place = ((told.clamp(0.0, 1.0) * bins as f64) as usize).min(bins - 1);
        let (sum, rights, all) = &mut sums[place];
        *sum += told;
        *rights += usize::from(*right);
        *all += 1;
    }
    let bins: Vec<Bin> = sums
        .into_iter()
        .filter_map(|(sum, right, all)| {
            let (low, high) = wilson(right, all)?;
            Some(Bin { told: sum / all as f64, right: right as f64 / all as f64, low, high, count: all })
        })
        .collect();
    let mean = examples.iter().map(|(_, right)| value(*right)).sum::<f64>() / count;
    let squared = |told: f64, right: bool| (told - value(right)).powi(2);
    Some(Reliability {
        ece: bins.iter().map(|bin| bin.count as f64 * (bin.told - bin.right).abs()).sum::<f64>() / count,
        brier: examples.iter().map(|(told, right)| squared(*told, *right)).sum::<f64>() / count,
        brier_of_mean: examples.iter().map(|(_, right)| squared(mean, *right)).sum::<f64>() / count,
        bins,
        count: examples.len(),
    })
}

/// The share of pairs of one right and one wrong example of which the right one has the higher probability; ties count
/// half (area under the ROC curve). 0 to 1: .5 is chance, 1 is best. `None` without examples of both kinds.
pub fn auc(examples: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = examples.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wrong_below, mut won) = (0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let right = tied.iter().filter(|(_, right)| *right).count() as f64;
        let wrong = tied.len() as f64 - right;
        won += right * (wrong_below + wrong / 2.0);
        wrong_below += wrong;
    }
    let comparisons = wrong_below * (examples.len() as f64 - wrong_below);
    (comparisons > 0.0).then(|| won / comparisons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_by_hand() {
        // Right .9 and .4 against wrong .4 and .1: above both, above one and level with one.
        assert_eq!(auc(&[(0.9, true), (0.4, true), (0.4, false), (0.1, false)]), Some(3.5 / 4.0));
        assert_eq!(auc(&[(0.9, true)]), None);
    }

    #[test]
    fn by_hand() {
        // Bin 0: .1 wrong, .3 right: told .2, right .5. Bin 1: .9 and 1 right: told .95, right 1.
        let found = reliability(&[(0.1, false), (0.3, true), (0.9, true), (1.0, true)], 2).unwrap();
        assert_eq!(found.bins.len(), 2);
        assert!((found.ece - (2.0 * 0.3 + 2.0 * 0.05) / 4.0).abs() < 1e-12);
        assert!((found.brier - (0.01 + 0.49 + 0.01) / 4.0).abs() < 1e-12);
        assert!((found.brier_of_mean - 0.75 * 0.25).abs() < 1e-12);
        assert_eq!(reliability(&[], 10), None);
    }

    proptest::proptest! {
        #[test]
        fn errors_are_shares(examples in proptest::collection::vec((0.0_f64..=1.0, proptest::bool::ANY), 1..80)) {
            let found = reliability(&examples, 10).unwrap();
            proptest::prop_assert!((0.0..=1.0).contains(&found.ece) && (0.0..=1.0).contains(&found.brier));
            proptest::prop_assert_eq!(found.bins.iter().map(|bin| bin.count).sum::<usize>(), examples.len());
        }
    }
}
