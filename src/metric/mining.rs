//! How well pairs were mined, when it is known which are right: precision, recall and F1 over a threshold, as in the
//! shared task of BUCC (Zweigenbaum, Sharoff & Rapp 2018).

/// Counts of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mined {
    /// Found and right.
    pub right: usize,
    /// Found.
    pub found: usize,
    /// Right, found or not.
    pub gold: usize,
}

impl Mined {
    /// Counts the pairs of at least this score.
    pub fn at(threshold: f32, scored: &[(f32, bool)], gold: usize) -> Self {
        let kept = scored.iter().filter(|(score, _)| *score >= threshold);
        kept.fold(Self { gold, ..Self::default() }, |counts, (_, right)| Self {
            right: counts.right + usize::from(*right),
            found: counts.found + 1,
            gold,
        })
    }

    /// Share of the found that are right; 1 when nothing was found.
    pub fn precision(self) -> f64 {
        if self.found == 0 { 1.0 } else { self.right as f64 / self.found as f64 }
    }

    /// Share of the right that were found; 1 when there are none.
    pub fn recall(self) -> f64 {
        if self.gold == 0 { 1.0 } else { self.right as f64 / self.gold as f64 }
    }

    /// Their harmonic mean.
    pub fn f1(self) -> f64 {
        let sum = self.found + self.gold;
        if sum == 0 { 1.0 } else { 2.0 * self.right as f64 / sum as f64 }
    }
}

/// The threshold of the highest F1, half-way between the last score that is in and the first that is out; `None` without
/// pairs. `scored` are the mined pairs with whether they are right.
pub fn best_threshold(scored: &[(f32, bool)], gold: usize) -> Option<f32> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut counts, mut best) = (Mined { gold, ..Mined::default() }, None);
    for (number, (score, right)) in sorted.iter().enumerate() {
        counts.found += 1;
        counts.right += usize::from(*right);
        // Pairs of one score are in or out together.
        let next = sorted.get(number + 1).map(|(next, _)| *next);
        if next == Some(*score) {
            continue;
        }
        if best.is_none_or(|(f1, _)| counts.f1() > f1) {
            best = Some((counts.f1(), next.map_or(*score, |next| (score + next) / 2.0)));
        }
    }
    best.map(|(_, threshold)| threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_of_the_best_f1_by_hand() {
        // Of 4 right pairs three are found. In: 1 → F1 2/5; 2 → 4/6; 3 → 4/7; 4 → 6/8; 5 → 6/9.
        let scored = [(0.9, true), (0.8, true), (0.7, false), (0.6, true), (0.2, false)];
        assert!((best_threshold(&scored, 4).unwrap() - 0.4).abs() < 1e-6);
        let counts = Mined::at(0.4, &scored, 4);
        assert_eq!(counts, Mined { right: 3, found: 4, gold: 4 });
        assert!((counts.f1() - 0.75).abs() < 1e-12 && (counts.precision() - 0.75).abs() < 1e-12);
        assert_eq!(best_threshold(&[], 4), None);
    }

    #[test]
    fn equal_scores_are_in_or_out_together() {
        // At 0.5 there is one right and two wrong: taking all three is no better than none of them.
        let scored = [(0.9, true), (0.5, true), (0.5, false), (0.5, false)];
        assert!((best_threshold(&scored, 2).unwrap() - 0.7).abs() < 1e-6);
        assert_eq!(Mined::default().f1(), 1.0);
    }
}
