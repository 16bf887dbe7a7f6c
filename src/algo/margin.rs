//! Margin scores (Artetxe & Schwenk 2019, "Margin-based parallel corpus mining with multilingual sentence embeddings"):
//! a cosine against the mean cosine of both sides' neighbours, so that sentences which are near to everything do not win.
//!
//! Scores and pairs are those of LASER's `mine_bitexts.py` and of sentence-transformers' `bitext_mining.py`, with two
//! differences. [`Retrieval::Max`] looks at all neighbours, they at the best of each row alone: where a row's best goes
//! to another, they leave it without a pair and ours goes on to its next. And a ratio to a mean that is not positive is
//! no score here, where they divide by it.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Which margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Margin {
    /// cos / mean; 1 is no better than the neighbours. Range: above 0 for positive cosines; higher is better.
    Ratio,
    /// cos − mean; 0 is no better than the neighbours. Range: −2 to 2; higher is better.
    Distance,
    /// cos. Range: −1 to 1; higher is better.
    Absolute,
}

/// From which side candidates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retrieval {
    /// The best target of each source.
    Forward,
    /// The best source of each target.
    Backward,
    /// Pairs that are each other's best.
    Intersect,
    /// All candidates of both directions, to be made one-to-one, best first.
    Max,
}

impl Margin {
    /// The margin of a pair from its cosine and the two sides' mean neighbour cosines. `None` when the ratio has no
    /// meaning: neighbours whose mean is not positive.
    pub fn score(self, cosine: f32, source_mean: f32, target_mean: f32) -> Option<f32> {
        let mean = (source_mean + target_mean) / 2.0;
        match self {
            Self::Ratio => (mean > 1e-6).then(|| cosine / mean),
            Self::Distance => Some(cosine - mean),
            Self::Absolute => Some(cosine),
        }
    }
}

/// Mean cosine of a neighbour list, summed in 64 bits; `None` when it is empty.
pub fn mean(cosines: impl ExactSizeIterator<Item = f32>) -> Option<f32> {
    let count = cosines.len();
    #[expect(clippy::cast_possible_truncation, reason = "a mean of 32-bit numbers fits 32 bits")]
    (count > 0).then(|| (cosines.map(f64::from).sum::<f64>() / count as f64) as f32)
}

/// A candidate: source row, target row, cosine, margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Row among the sources.
    pub source: usize,
    /// Row among the targets.
    pub target: usize,
    /// Cosine.
    pub cosine: f32,
    /// Margin.
    pub margin: f32,
}

/// All candidates of a retrieval mode, in no particular order.
///
/// `forward[i]` lists the neighbours of source `i` as (target row, cosine), best first; `backward[j]` those of target
/// `j`. Rows without neighbours take part in nothing.
pub fn candidates(
    forward: &[Vec<(usize, f32)>],
    backward: &[Vec<(usize, f32)>],
    margin: Margin,
    retrieval: Retrieval,
) -> Vec<Candidate> {
    let means = |lists: &[Vec<(usize, f32)>]| -> Vec<Option<f32>> {
        lists.iter().map(|list| mean(list.iter().map(|(_, cosine)| *cosine))).collect()
    };
    let (source_means, target_means) = (means(forward), means(backward));
    let scored = |source: usize, target: usize, cosine: f32| -> Option<Candidate> {
        let margin = margin.score(cosine, source_means[source]?, target_means[target]?)?;
        Some(Candidate { source, target, cosine, margin })
    };
    let of_source =
        |source: usize| forward[source].iter().filter_map(move |(target, cosine)| scored(source, *target, *cosine));
    let of_target =
        |target: usize| backward[target].iter().filter_map(move |(source, cosine)| scored(*source, target, *cosine));
    let best_targets = || (0..forward.len()).into_par_iter().map(|source| best(of_source(source)));
    let best_sources = || (0..backward.len()).into_par_iter().map(|target| best(of_target(target)));
    match retrieval {
        Retrieval::Forward => best_targets().flatten_iter().collect(),
        Retrieval::Backward => best_sources().flatten_iter().collect(),
        Retrieval::Intersect => {
            let back: Vec<Option<Candidate>> = best_sources().collect();
            let is_mutual =
                |candidate: &Candidate| back[candidate.target].is_some_and(|back| back.source == candidate.source);
            best_targets().flatten_iter().filter(is_mutual).collect()
        }
        Retrieval::Max => {
            let sources = (0..forward.len()).flat_map(of_source);
            let mut all: Vec<Candidate> = sources.chain((0..backward.len()).flat_map(of_target)).collect();
            all.par_sort_by_key(|candidate| (candidate.source, candidate.target));
            all.dedup_by_key(|candidate| (candidate.source, candidate.target));
            all
        }
    }
}

/// The highest margin; the earlier one among equals.
fn best(candidates: impl Iterator<Item = Candidate>) -> Option<Candidate> {
    candidates.reduce(|best, next| if next.margin > best.margin { next } else { best })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::algo::assign::one_to_one;

    type Lists = Vec<Vec<(usize, f32)>>;

    /// Two sources, two targets: s0–t0 .8, s0–t1 .4, s1–t0 .6, s1–t1 .6.
    /// Means: s0 .6, s1 .6, t0 .7, t1 .5. Ratios: s0t0 .8/.65, s0t1 .4/.55, s1t0 .6/.65, s1t1 .6/.55.
    fn lists() -> (Lists, Lists) {
        (
            vec![vec![(0, 0.8), (1, 0.4)], vec![(0, 0.6), (1, 0.6)]],
            vec![vec![(0, 0.8), (1, 0.6)], vec![(1, 0.6), (0, 0.4)]],
        )
    }

    #[test]
    fn ratio_by_hand() {
        let (forward, backward) = lists();
        let found = candidates(&forward, &backward, Margin::Ratio, Retrieval::Forward);
        assert_eq!(found.iter().map(|c| (c.source, c.target)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
        assert!((found[0].margin - 0.8 / 0.65).abs() < 1e-6);
        assert!((found[1].margin - 0.6 / 0.55).abs() < 1e-6);
    }

    #[test]
    fn modes() {
        let (forward, backward) = lists();
        let count = |retrieval| candidates(&forward, &backward, Margin::Ratio, retrieval).len();
        assert_eq!(count(Retrieval::Intersect), 2);
        assert_eq!(count(Retrieval::Backward), 2);
        assert_eq!(count(Retrieval::Max), 4);
    }

    #[test]
    fn rows_without_neighbours_take_part_in_nothing() {
        let found = candidates(&[vec![], vec![(0, 0.5)]], &[vec![(1, 0.5)]], Margin::Ratio, Retrieval::Max);
        assert_eq!(found.len(), 1);
        assert_eq!(mean([].into_iter()), None);
        assert_eq!(Margin::Ratio.score(0.5, -0.1, 0.1), None);
    }

    /// What LASER and sentence-transformers find: see `tests/golden/make_margins.py`.
    /// Mined pairs with their scores, by the name of the retrieval.
    type ByRetrieval = BTreeMap<String, Vec<(f32, usize, usize)>>;

    #[derive(serde::Deserialize)]
    struct Golden {
        k: usize,
        source: Vec<Vec<f32>>,
        target: Vec<Vec<f32>>,
        forward: Vec<Vec<usize>>,
        backward: Vec<Vec<usize>>,
        /// By margin, of each side's rows with their neighbours.
        scores: BTreeMap<String, [Vec<Vec<f32>>; 2]>,
        /// By margin and retrieval: score, source row, target row.
        laser: BTreeMap<String, ByRetrieval>,
        sentence_transformers: Vec<(f32, usize, usize)>,
    }

    impl Golden {
        fn read() -> Self {
            serde_json::from_str(include_str!("../../tests/golden/margins.json")).unwrap()
        }

        /// The neighbours of each row of one side, by comparing all.
        fn nearest(&self, rows: &[Vec<f32>], others: &[Vec<f32>]) -> Lists {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
            let cosine = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            let list = |row: &Vec<f32>| {
                let mut all: Vec<_> = others.iter().map(|other| cosine(row, other)).enumerate().collect();
                all.sort_by(|a, b| b.1.total_cmp(&a.1));
                all.truncate(self.k);
                all
            };
            rows.iter().map(list).collect()
        }

        fn lists(&self) -> (Lists, Lists) {
            (self.nearest(&self.source, &self.target), self.nearest(&self.target, &self.source))
        }
    }

    fn margin_of(name: &str) -> Margin {
        serde_json::from_value(name.into()).unwrap()
    }

    /// The same pairs in the same order, with the same scores.
    fn assert_same(found: &[Candidate], golden: &[(f32, usize, usize)], digits: f32, what: &str) {
        let rows = |found: &[Candidate]| found.iter().map(|c| (c.source, c.target)).collect::<Vec<_>>();
        assert_eq!(rows(found), golden.iter().map(|(_, i, j)| (*i, *j)).collect::<Vec<_>>(), "{what}");
        assert!(found.iter().zip(golden).all(|(c, (score, _, _))| (c.margin - score).abs() < digits), "{what}");
    }

    #[test]
    fn neighbours_and_scores_are_the_references() {
        let golden = Golden::read();
        let (forward, backward) = golden.lists();
        let rows = |lists: &Lists| -> Vec<Vec<usize>> {
            lists.iter().map(|list| list.iter().map(|(row, _)| *row).collect()).collect()
        };
        assert_eq!((rows(&forward), rows(&backward)), (golden.forward.clone(), golden.backward.clone()));
        for (name, [by_source, by_target]) in &golden.scores {
            let found = candidates(&forward, &backward, margin_of(name), Retrieval::Max);
            let score = |source: usize, target: usize| {
                found.iter().find(|c| (c.source, c.target) == (source, target)).map(|c| c.margin).unwrap()
            };
            for (i, (list, scores)) in forward.iter().zip(by_source).enumerate() {
                for ((j, _), expected) in list.iter().zip(scores) {
                    assert!((score(i, *j) - expected).abs() < 1e-5, "{name}: {i}, {j}");
                }
            }
            for (j, (list, scores)) in backward.iter().zip(by_target).enumerate() {
                for ((i, _), expected) in list.iter().zip(scores) {
                    assert!((score(*i, j) - expected).abs() < 1e-5, "{name}: {i}, {j}");
                }
            }
        }
        assert_eq!(golden.scores.len(), 3);
    }

    #[test]
    fn pairs_are_the_references() {
        let golden = Golden::read();
        let (forward, backward) = golden.lists();
        let mut more = 0;
        for (name, by_retrieval) in &golden.laser {
            let found = |retrieval| candidates(&forward, &backward, margin_of(name), retrieval);
            for (mode, retrieval) in
                [("fwd", Retrieval::Forward), ("bwd", Retrieval::Backward), ("intersect", Retrieval::Intersect)]
            {
                assert_same(&found(retrieval), &by_retrieval[mode], 1e-5, &format!("{name}, {mode}"));
            }
            // Theirs is the same greedy choice, among the best of each row alone.
            let mut best = [found(Retrieval::Forward), found(Retrieval::Backward)].concat();
            best.sort_by_key(|c| (c.source, c.target));
            best.dedup_by_key(|c| (c.source, c.target));
            let (best, all) = (one_to_one(best), one_to_one(found(Retrieval::Max)));
            assert_same(&best, &by_retrieval["max"], 1e-5, &format!("{name}, max"));
            assert!(all.len() >= best.len() && all[0] == best[0], "{name}");
            more += all.len() - best.len();
            if name == "ratio" {
                // It writes four digits.
                assert_same(&best, &golden.sentence_transformers, 6e-5, "sentence-transformers");
            }
        }
        assert!(golden.laser.len() == 3 && more > 0, "the data shows the difference: {more}");
    }
}
