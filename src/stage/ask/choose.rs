//! Candidates for questions, for each strategy in the order in which it would ask them.

use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use super::Params;
use crate::error::Result;
use crate::record::{PairId, Strategy, TaskId};
use crate::stage::Look;
use crate::store::tasks::Askable;

/// A pair to ask about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chosen {
    /// The pair.
    pub pair: PairId,
    /// Which repetition of the question it is; empty: the first.
    pub round: String,
    /// The known answer of a control item.
    pub answer: Option<String>,
}

impl Chosen {
    fn first(pair: PairId) -> Self {
        Self { pair, round: String::new(), answer: None }
    }
}

/// Candidates by strategy, those to ask first in front.
#[derive(Debug, Default)]
pub(super) struct Lists(HashMap<Strategy, Vec<Chosen>>);

impl Lists {
    pub(super) fn of(&self, strategy: Strategy) -> &[Chosen] {
        self.0.get(&strategy).map_or(&[], Vec::as_slice)
    }
}

/// The `most` entries with the lowest keys.
struct Lowest<K: Ord> {
    heap: BinaryHeap<(K, PairId)>,
    most: usize,
}

impl<K: Ord> Lowest<K> {
    fn new(most: usize) -> Self {
        Self { heap: BinaryHeap::new(), most }
    }

    fn push(&mut self, key: K, pair: PairId) {
        self.heap.push((key, pair));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    fn sorted(self) -> impl Iterator<Item = PairId> {
        self.heap.into_sorted_vec().into_iter().map(|(_, pair)| pair)
    }
}

/// A number from 0 to 1 as a key that sorts as it does.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10⁹")]
fn key(value: f64) -> u32 {
    (value.clamp(0.0, 1.0) * 1e9) as u32
}

/// A pair's lot.
fn lot(seed: u64, what: &str, pair: PairId) -> i64 {
    TaskId::of(&[&seed.to_be_bytes(), what.as_bytes(), &pair.0.to_be_bytes()]).0
}

/// Walks over all pairs once. More than `wanted` are taken for each strategy, since several may take the same pair and
/// some pairs turn out to make no question.
pub(super) fn choose(look: &Look<'_>, params: &Params, wanted: usize) -> Result<Lists> {
    let most = wanted.saturating_mul(4);
    let scope = look.scope();
    let words = look.store.adjudications(&scope)?;
    let asked = look.store.asked(&scope, params.interface)?;
    let known: HashSet<PairId> =
        words.iter().map(|word| word.pair).chain(asked.iter().map(|(_, pair, _)| *pair)).collect();
    let mut uncertain = Lowest::new(most);
    let mut random = Lowest::new(most);
    let mut strata: BTreeMap<(String, u8), Lowest<i64>> = BTreeMap::new();
    let mut disputed = Lowest::new(most);
    look.store.for_each_askable(&scope, |pair: Askable| {
        if known.contains(&pair.id) {
            return Ok(());
        }
        let score = f64::from(pair.score);
        let probability = pair.probability.map_or(score, f64::from);
        uncertain.push(key((probability - 0.5).abs()), pair.id);
        random.push(lot(params.seed, "random", pair.id), pair.id);
        if params.mix.stratified > 0.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
            let tenth = (score * 10.0).clamp(0.0, 9.0) as u8;
            let stratum = strata.entry((pair.from.clone(), tenth)).or_insert_with(|| Lowest::new(most));
            stratum.push(lot(params.seed, "stratified", pair.id), pair.id);
        }
        // A rule that objects to a pair that looks right, or two figures that tell different things.
        let ruled_out = pair.is_ruled_out.then_some(probability.min(score));
        let apart = pair.probability.map(|probability| (f64::from(probability) - score).abs());
        if let Some(dispute) = ruled_out.into_iter().chain(apart).reduce(f64::max) {
            disputed.push(key(1.0 - dispute), pair.id);
        }
        Ok(())
    })?;

    let mut lists = HashMap::new();
    let firsts = |pairs: &mut dyn Iterator<Item = PairId>| pairs.map(Chosen::first).collect::<Vec<_>>();
    lists.insert(Strategy::Uncertain, firsts(&mut uncertain.sorted()));
    lists.insert(Strategy::Random, firsts(&mut random.sorted()));
    lists.insert(
        Strategy::Stratified,
        firsts(&mut in_turn(strata.into_values().map(Lowest::sorted).collect()).into_iter()),
    );

    // Where people disagree, one more is asked, as often as it takes.
    let mut disputes: Vec<_> = words
        .iter()
        .filter(|word| word.verdict.is_none() && word.people() > 1 && word.corrected.is_none())
        .map(|word| Chosen { round: format!("after {} answers", word.people()), ..Chosen::first(word.pair) })
        .collect();
    disputes.extend(firsts(&mut disputed.sorted()));
    lists.insert(Strategy::Disagreement, disputes);

    // What is known well: by a gold answer, or by three people without a word against it.
    let mut rounds: HashMap<PairId, usize> = HashMap::new();
    for (_, pair, _) in asked.iter().filter(|(.., strategy)| strategy == Strategy::Gold.name()) {
        *rounds.entry(*pair).or_default() += 1;
    }
    let mut controls: Vec<(usize, i64, Chosen)> = words
        .iter()
        .filter(|word| word.gold || (word.people() >= 3 && word.votes.contains(&word.people())))
        .filter_map(|word| {
            let round = rounds.get(&word.pair).copied().unwrap_or(0);
            let answer = match params.interface {
                crate::record::Interface::Similarity => word.sts.map(|sts| format!("{sts:.0}")),
                crate::record::Interface::Translation => word.verdict.clone(),
                crate::record::Interface::Pairwise => None,
            };
            let chosen = Chosen { pair: word.pair, round: format!("control {}", round + 1), answer: Some(answer?) };
            Some((round, lot(params.seed, "control", word.pair), chosen))
        })
        .collect();
    controls.sort();
    lists.insert(Strategy::Gold, controls.into_iter().map(|(.., chosen)| chosen).collect());
    Ok(Lists(lists))
}

/// One of each list by turns.
fn in_turn<T>(mut lists: Vec<impl Iterator<Item = T>>) -> Vec<T> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_are_kept_in_order() {
        let mut lowest = Lowest::new(3);
        for (key, pair) in [(5, 1), (2, 2), (9, 3), (1, 4), (2, 5)] {
            lowest.push(key, PairId(pair));
        }
        assert_eq!(lowest.sorted().collect::<Vec<_>>(), [PairId(4), PairId(2), PairId(5)]);
    }

    #[test]
    fn strata_take_turns() {
        assert_eq!(
            in_turn(vec![vec![1, 4, 6].into_iter(), vec![2].into_iter(), vec![3, 5].into_iter()]),
            [1, 2, 3, 4, 5, 6]
        );
    }

    #[test]
    fn keys_sort_as_their_numbers() {
        assert!(key(0.1) < key(0.2) && key(-1.0) == 0 && key(2.0) == 1_000_000_000);
        assert_ne!(lot(1, "random", PairId(1)), lot(2, "random", PairId(1)));
    }
}
