//! One-to-one choice among scored candidates.

use std::collections::HashSet;

use super::margin::Candidate;

/// Takes candidates best first, each row of either side at most once. Ties fall to the lower rows, so the result does
/// not depend on the order given. `O(n log n)`.
pub fn one_to_one(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates
        .sort_by(|a, b| b.margin.total_cmp(&a.margin).then(a.source.cmp(&b.source)).then(a.target.cmp(&b.target)));
    let (mut sources, mut targets) = (HashSet::new(), HashSet::new());
    candidates.retain(|candidate| {
        let free = !sources.contains(&candidate.source) && !targets.contains(&candidate.target);
        if free {
            sources.insert(candidate.source);
            targets.insert(candidate.target);
        }
        free
    });
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(source: usize, target: usize, margin: f32) -> Candidate {
        Candidate { source, target, cosine: margin, margin }
    }

    #[test]
    fn the_best_free_pair_wins() {
        let chosen =
            one_to_one(vec![candidate(0, 0, 1.0), candidate(0, 1, 1.2), candidate(1, 1, 1.1), candidate(1, 0, 0.9)]);
        assert_eq!(chosen.iter().map(|c| (c.source, c.target)).collect::<Vec<_>>(), [(0, 1), (1, 0)]);
    }

    proptest::proptest! {
        #[test]
        fn no_row_is_taken_twice_and_order_does_not_matter(
            rows in proptest::collection::vec((0_usize..8, 0_usize..8, 0_u8..5), 0..40),
            seed in 0_usize..40,
        ) {
            let candidates: Vec<_> = rows.iter().map(|(s, t, m)| candidate(*s, *t, f32::from(*m))).collect();
            let chosen = one_to_one(candidates.clone());
            let mut rotated = candidates;
            if !rotated.is_empty() {
                let middle = seed % rotated.len();
                rotated.rotate_left(middle);
            }
            let pairs = |chosen: &[Candidate]| chosen.iter().map(|c| (c.source, c.target)).collect::<Vec<_>>();
            proptest::prop_assert_eq!(pairs(&chosen), pairs(&one_to_one(rotated)));
            let sources: HashSet<_> = chosen.iter().map(|c| c.source).collect();
            proptest::prop_assert_eq!(sources.len(), chosen.len());
        }
    }
}
