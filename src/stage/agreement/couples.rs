//! Who agrees with whom: people two by two.

use super::Couple;
use super::gather::{Gathered, Rating, answers_of};
use crate::metric::agreement::{self, Weights};
use crate::record::Interface;

/// Two people who share fewer items are not compared.
pub const MIN_SHARED: usize = 10;
/// At most so many couples of people are compared: those who share most.
const COUPLES: usize = 20;

impl Gathered {
    /// Kappa of the people who share most: at most [`COUPLES`].
    ///
    /// Two people can only share as many items as each has, so whoever has fewer than [`MIN_SHARED`], or than the couples
    /// found so far share, is not looked at. Memory: linear in the ratings, whatever the number of couples.
    pub(super) fn couples(&self) -> Vec<Couple> {
        let mut best: Vec<Shared> = Vec::new();
        for (interface, items) in &self.items {
            self.most_shared(*interface, items, &mut best);
        }
        best.into_iter().map(|shared| self.couple(&shared)).collect()
    }

    /// Adds the couples of one kind of question to the best ones, most shared items first, then by name.
    fn most_shared(&self, interface: Interface, items: &[Vec<Rating>], best: &mut Vec<Shared>) {
        let mut rated: Vec<Vec<u32>> = vec![Vec::new(); self.people.len()];
        for (item, ratings) in (0..).zip(items) {
            ratings.iter().for_each(|rating| rated[rating.annotator as usize].push(item));
        }
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let mut order: Vec<u32> =
            (0..number(rated.len())).filter(|who| rated[*who as usize].len() >= MIN_SHARED).collect();
        order.sort_by_key(|who| std::cmp::Reverse(rated[*who as usize].len()));
        let mut place_of = vec![0_usize; rated.len()];
        order.iter().enumerate().for_each(|(place, who)| place_of[*who as usize] = place + 1);
        // People whose items are all done, and how many items the present one shares with each of the others.
        let mut shared = vec![0_u32; rated.len()];
        for (place, who) in (1..).zip(&order) {
            let least = if best.len() < COUPLES { MIN_SHARED } else { best[COUPLES - 1].items.max(MIN_SHARED) };
            let own = &rated[*who as usize];
            if own.len() < least {
                break;
            }
            let mut met = Vec::new();
            for item in own {
                for other in &items[*item as usize] {
                    let other = other.annotator as usize;
                    if place_of[other] > place {
                        if shared[other] == 0 {
                            met.push(other);
                        }
                        shared[other] += 1;
                    }
                }
            }
            for other in met {
                let count = std::mem::take(&mut shared[other]) as usize;
                if count >= least {
                    best.push(Shared {
                        interface,
                        one: (*who).min(number(other)),
                        other: (*who).max(number(other)),
                        items: count,
                    });
                }
            }
            // Sorted once a person, so that what is kept stays small.
            best.sort_by(|a, b| {
                b.items
                    .cmp(&a.items)
                    .then_with(|| self.names(a).cmp(&self.names(b)))
                    .then(a.interface.cmp(&b.interface))
            });
            best.truncate(COUPLES);
        }
    }

    fn names(&self, shared: &Shared) -> (&str, &str) {
        (&self.people[shared.one as usize].name, &self.people[shared.other as usize].name)
    }

    fn couple(&self, shared: &Shared) -> Couple {
        let Shared { interface, one, other, .. } = *shared;
        let place = |ratings: &[Rating], who: u32| {
            ratings.iter().find(|rating| rating.annotator == who).map(|rating| usize::from(rating.place))
        };
        let pairs: Vec<(usize, usize)> =
            self.items[&interface].iter().filter_map(|item| Some((place(item, one)?, place(item, other)?))).collect();
        let weights = if interface == Interface::Similarity { Weights::Quadratic } else { Weights::None };
        let equal = pairs.iter().filter(|(one, other)| one == other).count();
        let (one, other) = self.names(shared);
        Couple {
            interface,
            one: one.to_owned(),
            other: other.to_owned(),
            items: pairs.len(),
            equal: equal as f64 / pairs.len() as f64,
            kappa: agreement::cohen_kappa(&pairs, answers_of(interface), weights),
        }
    }
}

/// Two people, by number, and how many items of a kind both rated.
#[derive(Debug, Clone, Copy)]
struct Shared {
    interface: Interface,
    one: u32,
    other: u32,
    items: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::gather::tests::{gathered, said};
    use super::*;
    use crate::record::Annotation;

    #[test]
    fn two_who_share_little_are_not_compared() {
        let pair = |pair: i64, words: [&str; 3]| -> Vec<Annotation> {
            ["a", "b", "c"].iter().zip(words).map(|(who, word)| said(pair, pair, who, word)).collect()
        };
        let shared = i64::try_from(MIN_SHARED).unwrap();
        let word = |pair: i64| if pair % 2 == 0 { "yes" } else { "no" };
        let pairs: Vec<_> = (1..=shared).map(|of| pair(of, [word(of), word(of + i64::from(of == 1)), ""])).collect();
        let couples = gathered(&pairs).couples();
        assert_eq!(couples.len(), 1, "c passed everything by");
        assert_eq!((couples[0].one.as_str(), couples[0].other.as_str(), couples[0].items), ("a", "b", MIN_SHARED));
        assert!((couples[0].equal - 0.9).abs() < 1e-12);
        // Of ten, a says no five times and b four times: .9 are equal, .5 are by chance.
        assert!((couples[0].kappa.unwrap() - 0.8).abs() < 1e-12);
        assert!(gathered(&pairs[1..]).couples().is_empty());
    }

    /// The couples as they would be found by comparing everybody with everybody.
    fn all_couples(gathered: &Gathered) -> Vec<(Interface, String, String, usize)> {
        let mut shared: BTreeMap<(Interface, u32, u32), usize> = BTreeMap::new();
        for (interface, items) in &gathered.items {
            for rated in items {
                for (place, one) in rated.iter().enumerate() {
                    for other in &rated[place + 1..] {
                        let (one, other) = (one.annotator.min(other.annotator), one.annotator.max(other.annotator));
                        *shared.entry((*interface, one, other)).or_default() += 1;
                    }
                }
            }
        }
        let name = |who: u32| gathered.people[who as usize].name.clone();
        let mut all: Vec<_> = shared
            .into_iter()
            .filter(|(_, items)| *items >= MIN_SHARED)
            .map(|((interface, one, other), items)| (interface, name(one), name(other), items))
            .collect();
        all.sort_by(|a, b| b.3.cmp(&a.3).then_with(|| (&a.1, &a.2).cmp(&(&b.1, &b.2))));
        all.truncate(COUPLES);
        all
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]
        #[test]
        fn the_couples_are_those_of_comparing_everybody(
            answers in proptest::collection::vec(proptest::collection::vec(0_usize..5, 12), 1..40),
        ) {
            let words = ["yes", "partly", "no", "4", ""];
            let pairs: Vec<Vec<Annotation>> = (1..).zip(&answers).map(|(pair, given)| {
                given.iter().enumerate().map(|(who, word)| said(pair, pair, &format!("{who:02}"), words[*word])).collect()
            }).collect();
            let gathered = gathered(&pairs);
            let found: Vec<_> =
                gathered.couples().into_iter().map(|couple| (couple.interface, couple.one, couple.other, couple.items)).collect();
            proptest::prop_assert_eq!(found, all_couples(&gathered));
        }
    }
}
