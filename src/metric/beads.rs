//! Alignments against gold alignments, strict and lax: as Thompson & Koehn 2019 count them.

use std::collections::{HashMap, HashSet};

/// Lines of either side that belong together, in the texts' own numbers.
pub type Bead = (Vec<usize>, Vec<usize>);

/// How many of so many beads are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Beads that are right.
    pub right: usize,
    /// All beads.
    pub all: usize,
}

impl Share {
    /// 0 to 1, higher is better; `None` of nothing.
    pub fn value(self) -> Option<f64> {
        (self.all > 0).then(|| self.right as f64 / self.all as f64)
    }
}

/// Precision and recall in counts, so that several texts can be added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scores {
    /// Found beads that are right; insertions and deletions count.
    pub precision: Share,
    /// Gold beads that were found, insertions and deletions left out.
    pub recall: Share,
}

impl Scores {
    /// Harmonic mean of precision and recall: 0 to 1, higher is better; `None` where either is.
    pub fn f1(self) -> Option<f64> {
        let (p, r) = (self.precision.value()?, self.recall.value()?);
        Some(if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 })
    }
}

/// Both ways of counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BeadScores {
    /// A bead is right if it holds the same lines.
    pub strict: Scores,
    /// A bead is right if one of its source lines and one of its target lines stand in one bead of the other alignment.
    pub lax: Scores,
}

/// Compares an alignment with the gold one. Beads without any line, and repeated ones, do not count.
pub fn bead_scores(found: &[Bead], gold: &[Bead]) -> BeadScores {
    let (strict_precision, lax_precision) = shares(found, gold);
    let both = |beads: &[Bead]| -> Vec<Bead> {
        beads.iter().filter(|(source, target)| !source.is_empty() && !target.is_empty()).cloned().collect()
    };
    let (strict_recall, lax_recall) = shares(&both(gold), &both(found));
    BeadScores {
        strict: Scores { precision: strict_precision, recall: strict_recall },
        lax: Scores { precision: lax_precision, recall: lax_recall },
    }
}

/// How many of `beads` stand in `others` too, and how many share a line on both sides with a bead of theirs.
fn shares(beads: &[Bead], others: &[Bead]) -> (Share, Share) {
    let distinct = |beads: &'_ [Bead]| -> HashSet<Bead> {
        beads.iter().filter(|(source, target)| !source.is_empty() || !target.is_empty()).cloned().collect()
    };
    let (beads, others) = (distinct(beads), distinct(others));
    let mut partners: HashMap<usize, HashSet<usize>> = HashMap::new();
    for (source, target) in &others {
        for line in source {
            partners.entry(*line).or_default().extend(target);
        }
    }
    let (mut same, mut touching) = (0, 0);
    for bead in &beads {
        if others.contains(bead) {
            same += 1;
            touching += 1;
        } else if bead
            .0
            .iter()
            .filter_map(|line| partners.get(line))
            .any(|set| bead.1.iter().any(|line| set.contains(line)))
        {
            touching += 1;
        }
    }
    (Share { right: same, all: beads.len() }, Share { right: touching, all: beads.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beads(beads: &[(&[usize], &[usize])]) -> Vec<Bead> {
        beads.iter().map(|(source, target)| (source.to_vec(), target.to_vec())).collect()
    }

    #[test]
    fn values_worked_by_hand() {
        let gold = beads(&[(&[0], &[0]), (&[1, 2], &[1]), (&[3], &[]), (&[4], &[2, 3]), (&[], &[4]), (&[5], &[5])]);
        let found =
            beads(&[(&[0], &[0]), (&[1], &[1]), (&[2], &[]), (&[3], &[]), (&[4], &[2, 3]), (&[5], &[4]), (&[], &[5])]);
        let scores = bead_scores(&found, &gold);
        // 0:0, 3: and 4:2,3 are the same; 1:1 touches 1,2:1 as well. Without insertions and deletions gold has four
        // beads, of which 0:0 and 4:2,3 were found, and 1,2:1 touches 1:1.
        assert_eq!(scores.strict.precision, Share { right: 3, all: 7 });
        assert_eq!(scores.strict.recall, Share { right: 2, all: 4 });
        assert_eq!(scores.lax.precision, Share { right: 4, all: 7 });
        assert_eq!(scores.lax.recall, Share { right: 3, all: 4 });
        let f1 = scores.strict.f1().unwrap();
        assert!((f1 - 2.0 * (3.0 / 7.0) * 0.5 / (3.0 / 7.0 + 0.5)).abs() < 1e-12, "{f1}");
    }

    #[test]
    fn an_alignment_is_like_itself_and_nothing_has_no_score() {
        let gold = beads(&[(&[0], &[0]), (&[1], &[]), (&[], &[])]);
        let scores = bead_scores(&gold, &gold);
        assert_eq!((scores.strict.f1(), scores.lax.f1()), (Some(1.0), Some(1.0)));
        assert_eq!(scores.strict.precision.all, 2, "a bead of nothing does not count");
        assert_eq!(bead_scores(&[], &gold).strict.f1(), None);
    }
}
