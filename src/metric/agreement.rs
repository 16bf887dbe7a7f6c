//! How far annotators agree beyond chance: Krippendorff's alpha with its bootstrap interval, Cohen's kappa, and the
//! raw share of equal answers.

use std::collections::BTreeMap;

/// How far two different answers are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Answers are names: any two are equally far apart.
    Nominal,
    /// Answers have an order: what counts is how many ratings lie between two of them.
    Ordinal,
    /// Answers are numbers on one scale: what counts is the square of their difference.
    Interval,
}

/// Krippendorff's alpha of units (items) with any number of ratings each, as in "Computing Krippendorff's
/// Alpha-Reliability" (Krippendorff 2011), section E: 1 is perfect agreement, 0 is what chance gives, below 0 is
/// systematic disagreement. A missing rating is simply not there; a unit with fewer than two counts for nothing. Ratings
/// must be finite. `None`: no unit has two ratings, or all ratings are the same, where alpha is undefined.
///
/// Time: linear in the ratings, and quadratic in the distinct values, by way of their coincidence matrix. Memory: 16
/// bytes a rating and 8 a cell of that matrix.
pub fn krippendorff(units: &[Vec<f64>], level: Level) -> Option<f64> {
    let table = Table::of(units);
    table.alpha(&table.tally(table.pattern_of.iter().copied()), level)
}

/// The percentile bootstrap's 95 % interval of [`krippendorff`] (Efron 1979), over units, as Zapf et al. (2016)
/// recommend it. The same for the same seed. Resamples that lack any variation are left out; `None` when these are more
/// than half, or alpha is undefined.
///
/// Time: `resamples` × units.
pub fn krippendorff_interval(units: &[Vec<f64>], level: Level, resamples: usize, seed: u64) -> Option<(f64, f64)> {
    let table = Table::of(units);
    table.alpha(&table.tally(table.pattern_of.iter().copied()), level)?;
    let (mut draw, count) = (draws(seed), table.pattern_of.len());
    let mut alphas: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            let drawn = (0..count).map(|_| table.pattern_of[draw(count)]);
            table.alpha(&table.tally(drawn), level)
        })
        .collect();
    if alphas.is_empty() || alphas.len() * 2 < resamples {
        return None;
    }
    alphas.sort_by(f64::total_cmp);
    Some((quantile(&alphas, 0.025), quantile(&alphas, 0.975)))
}

/// Ratings by unit. Units of which the same was said are one pattern, so that a resample is a tally of patterns.
struct Table {
    /// Distinct values, ascending.
    values: Vec<f64>,
    /// Distinct patterns: which values (by place), and how often each.
    patterns: Vec<Vec<(usize, f64)>>,
    /// The pattern of each unit that has two ratings.
    pattern_of: Vec<usize>,
}

impl Table {
    fn of(units: &[Vec<f64>]) -> Self {
        let paired = || units.iter().filter(|ratings| ratings.len() >= 2);
        // Adding zero makes one zero of both.
        let mut values: Vec<f64> = paired().flatten().map(|value| value + 0.0).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let mut numbers: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let pattern_of = paired()
            .map(|ratings| {
                let place = |value: &f64| values.partition_point(|other| other < value);
                let mut places: Vec<usize> = ratings.iter().map(place).collect();
                places.sort_unstable();
                let next = numbers.len();
                *numbers.entry(places).or_insert(next)
            })
            .collect();
        let mut patterns = vec![Vec::new(); numbers.len()];
        for (places, number) in numbers {
            let counted = places.chunk_by(|a, b| a == b).map(|equal| (equal[0], equal.len() as f64));
            patterns[number] = counted.collect();
        }
        Self { values, patterns, pattern_of }
    }

    /// How often each pattern is among `drawn`.
    fn tally(&self, drawn: impl Iterator<Item = usize>) -> Vec<f64> {
        let mut times = vec![0.0; self.patterns.len()];
        drawn.for_each(|pattern| times[pattern] += 1.0);
        times
    }

    /// Alpha where each pattern is there so many times.
    fn alpha(&self, times: &[f64], level: Level) -> Option<f64> {
        let size = self.values.len();
        let mut coincidences = vec![0.0; size * size];
        for (pattern, times) in self.patterns.iter().zip(times) {
            let ratings: f64 = pattern.iter().map(|(_, count)| count).sum();
            for (one, count) in pattern {
                for (other, others) in pattern {
                    let pairs = count * (others - f64::from(u8::from(one == other)));
                    coincidences[one * size + other] += times * pairs / (ratings - 1.0);
                }
            }
        }
        let totals: Vec<f64> = coincidences.chunks(size.max(1)).map(|row| row.iter().sum()).collect();
        let all: f64 = totals.iter().sum();
        let positions = self.positions(&totals, level);
        let apart = |one: usize, other: usize| match level {
            Level::Nominal => f64::from(u8::from(one != other)),
            Level::Ordinal | Level::Interval => (positions[one] - positions[other]).powi(2),
        };
        let (mut observed, mut expected) = (0.0, 0.0);
        for one in 0..size {
            for other in 0..size {
                observed += coincidences[one * size + other] * apart(one, other);
                expected += totals[one] * totals[other] * apart(one, other);
            }
        }
        (expected > 0.0).then(|| 1.0 - (all - 1.0) * observed / expected)
    }

    /// Where each value stands: for ordinal data at the mean rank of its ratings, which makes the ordinal difference
    /// (the ratings from one value to the other, less half of those of both ends) a difference of two positions.
    fn positions(&self, totals: &[f64], level: Level) -> Vec<f64> {
        let mut below = 0.0;
        let rank = |count: &f64| {
            below += count;
            below - count / 2.0
        };
        match level {
            Level::Nominal | Level::Interval => self.values.clone(),
            Level::Ordinal => totals.iter().map(rank).collect(),
        }
    }
}

/// Numbers below a bound, by SplitMix64 (Steele, Lea & Flood 2014): the same for the same seed.
fn draws(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |bound| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        #[expect(clippy::cast_possible_truncation, reason = "below the bound")]
        let drawn = ((u128::from(x ^ (x >> 31)) * bound as u128) >> 64) as usize;
        drawn
    }
}

/// The value below which a share of sorted values lies, straight between neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among them")]
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - at.floor()) * (sorted[above] - sorted[below])
}

/// How much a disagreement weighs in Cohen's kappa, by the distance of the two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// All the same (Cohen 1960).
    None,
    /// The distance (Cohen 1968).
    Linear,
    /// Its square (Cohen 1968).
    Quadratic,
}

/// Cohen's kappa of two annotators over the items that both judged: their classes, each below `classes`. 1 is perfect
/// agreement, 0 is what their own habits give by chance. Weights need classes in order. `None`: no shared items, or
/// both gave one and the same class throughout.
pub fn cohen_kappa(pairs: &[(usize, usize)], classes: usize, weights: Weights) -> Option<f64> {
    let mut counts = vec![0.0; classes * classes];
    let (mut ones, mut others) = (vec![0.0; classes], vec![0.0; classes]);
    for (one, other) in pairs {
        counts[one * classes + other] += 1.0;
        ones[*one] += 1.0;
        others[*other] += 1.0;
    }
    let weight = |one: usize, other: usize| {
        let distance = one.abs_diff(other) as f64;
        match weights {
            Weights::None => f64::from(u8::from(one != other)),
            Weights::Linear => distance,
            Weights::Quadratic => distance * distance,
        }
    };
    let (mut observed, mut expected) = (0.0, 0.0);
    for one in 0..classes {
        for other in 0..classes {
            observed += weight(one, other) * counts[one * classes + other];
            expected += weight(one, other) * ones[one] * others[other] / pairs.len() as f64;
        }
    }
    (expected > 0.0).then(|| 1.0 - observed / expected)
}

/// The share of pairs of ratings of one unit that are equal, 0 to 1: what is left of agreement when chance is not taken
/// off. `None`: no unit has two ratings.
pub fn raw_agreement(units: &[Vec<f64>]) -> Option<f64> {
    let (mut equal, mut all) = (0.0, 0.0);
    for ratings in units {
        let mut sorted: Vec<f64> = ratings.iter().map(|value| value + 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        let pairs = |count: usize| (count * count.saturating_sub(1) / 2) as f64;
        equal += sorted.chunk_by(|a, b| a == b).map(|same| pairs(same.len())).sum::<f64>();
        all += pairs(sorted.len());
    }
    (all > 0.0).then(|| equal / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units of a table with a row an annotator.
    fn units(rows: &[Vec<Option<f64>>]) -> Vec<Vec<f64>> {
        (0..rows[0].len()).map(|unit| rows.iter().filter_map(|row| row[unit]).collect()).collect()
    }

    /// The table in Krippendorff (2011), section C: four observers, twelve units. A point is a missing rating.
    fn published() -> Vec<Vec<f64>> {
        let rows = ["1233214 12...", "12332241 25.3", ".33323422 51.", "1233244125 1."];
        let row = |row: &str| row.chars().filter(|c| *c != ' ').map(|c| c.to_digit(10).map(f64::from)).collect();
        units(&rows.map(row))
    }

    #[test]
    fn the_published_example() {
        let found = [Level::Nominal, Level::Ordinal, Level::Interval].map(|level| krippendorff(&published(), level));
        for (found, expected) in found.into_iter().zip([0.743, 0.815, 0.849]) {
            assert!((found.unwrap() - expected).abs() < 5e-4, "{found:?} {expected}");
        }
    }

    #[test]
    fn alpha_by_hand() {
        // Two observers: yes yes, yes yes, yes no, no no. Of 8 ratings 5 are yes and 3 no; 2 of 8 coincidences differ;
        // chance gives 2·5·3 / 7.
        let ratings = [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]].map(|unit| unit.to_vec());
        let expected = 1.0 - 2.0 / (30.0 / 7.0);
        for level in [Level::Nominal, Level::Ordinal, Level::Interval] {
            assert!((krippendorff(&ratings, level).unwrap() - expected).abs() < 1e-12, "{level:?}");
        }
        assert_eq!(raw_agreement(&ratings), Some(0.75));
        assert_eq!(raw_agreement(&[vec![1.0, 1.0, 2.0], vec![7.0]]), Some(1.0 / 3.0));
    }

    #[test]
    fn without_pairs_or_variation_there_is_no_alpha() {
        for units in [vec![], vec![vec![1.0], vec![2.0], vec![]], vec![vec![3.0, 3.0], vec![3.0, 3.0, 3.0]]] {
            assert_eq!(krippendorff(&units, Level::Nominal), None);
            assert_eq!(krippendorff_interval(&units, Level::Interval, 100, 1), None);
        }
        assert_eq!((raw_agreement(&[vec![1.0]]), raw_agreement(&[])), (None, None));
        assert_eq!(krippendorff(&[vec![0.0, -0.0], vec![1.0, 1.0]], Level::Nominal), Some(1.0), "there is one zero");
    }

    #[test]
    fn the_interval_holds_alpha_and_narrows_with_units() {
        let width = |units: &[Vec<f64>]| {
            let alpha = krippendorff(units, Level::Nominal).unwrap();
            let (low, high) = krippendorff_interval(units, Level::Nominal, 1000, 7).unwrap();
            assert!(low < alpha && alpha < high, "{low} {alpha} {high}");
            high - low
        };
        let many = vec![published(); 25].concat();
        assert!(width(&many) < width(&published()) / 3.0);
        let again = || krippendorff_interval(&many, Level::Ordinal, 200, 7);
        assert_eq!(again(), again());
        assert_ne!(again(), krippendorff_interval(&many, Level::Ordinal, 200, 8));
    }

    #[test]
    fn kappa_by_hand() {
        // Cohen's own kind of table: 20 both yes, 5 yes/no, 10 no/yes, 15 both no: (.7 − .5) / (1 − .5).
        let mut pairs = vec![(0, 0); 20];
        pairs.extend([vec![(0, 1); 5], vec![(1, 0); 10], vec![(1, 1); 15]].concat());
        for weights in [Weights::None, Weights::Linear, Weights::Quadratic] {
            assert!(
                (cohen_kappa(&pairs, 2, weights).unwrap() - 0.4).abs() < 1e-12,
                "with two classes all are the same"
            );
        }
        assert_eq!(cohen_kappa(&[], 3, Weights::None), None);
        assert_eq!(cohen_kappa(&[(1, 1), (1, 1)], 3, Weights::Linear), None);
        assert_eq!(cohen_kappa(&[(0, 1), (0, 1)], 2, Weights::None), Some(0.0), "no better than their habits");
    }

    /// What the Python packages krippendorff and scikit-learn find: see `tests/golden/make_agreement.py`.
    #[derive(serde::Deserialize)]
    struct Golden {
        alpha: Vec<GoldenAlpha>,
        kappa: Vec<GoldenKappa>,
    }

    #[derive(serde::Deserialize)]
    struct GoldenAlpha {
        level: String,
        ratings: Vec<Vec<Option<f64>>>,
        alpha: f64,
    }

    #[derive(serde::Deserialize)]
    struct GoldenKappa {
        classes: usize,
        pairs: Vec<(usize, usize)>,
        unweighted: f64,
        linear: f64,
        quadratic: f64,
    }

    fn golden() -> Golden {
        serde_json::from_str(include_str!("../../tests/golden/agreement.json")).unwrap()
    }

    #[test]
    fn alphas_are_the_references() {
        let cases = golden().alpha;
        for case in &cases {
            let level = match case.level.as_str() {
                "nominal" => Level::Nominal,
                "ordinal" => Level::Ordinal,
                _ => Level::Interval,
            };
            let found = krippendorff(&units(&case.ratings), level).unwrap();
            assert!((found - case.alpha).abs() < 1e-9, "{}: {found} {}", case.level, case.alpha);
        }
        for level in ["nominal", "ordinal", "interval"] {
            assert!(cases.iter().filter(|case| case.level == level).count() >= 5, "{level}");
        }
    }

    #[test]
    fn kappas_are_the_references() {
        let cases = golden().kappa;
        for GoldenKappa { classes, pairs, unweighted, linear, quadratic } in &cases {
            for (weights, expected) in
                [(Weights::None, unweighted), (Weights::Linear, linear), (Weights::Quadratic, quadratic)]
            {
                let found = cohen_kappa(pairs, *classes, weights).unwrap();
                assert!((found - expected).abs() < 1e-9, "{weights:?}: {found} {expected}");
            }
        }
        assert!(cases.len() >= 5);
    }

    proptest::proptest! {
        #[test]
        fn names_and_scales_do_not_matter(
            units in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..5), 1..20),
        ) {
            let with = |change: fn(u8) -> f64| -> Vec<Vec<f64>> {
                units.iter().map(|unit| unit.iter().map(|value| change(*value)).collect()).collect()
            };
            let plain = with(f64::from);
            let same = |one: Option<f64>, other: Option<f64>| match (one, other) {
                (Some(one), Some(other)) => (one - other).abs() < 1e-9 && one <= 1.0 + 1e-12,
                (one, other) => one == other,
            };
            let alpha = |units: &[Vec<f64>], level| krippendorff(units, level);
            let renamed = with(|value| f64::from([3, 0, 2, 1][usize::from(value)]));
            proptest::prop_assert!(same(alpha(&plain, Level::Nominal), alpha(&renamed, Level::Nominal)));
            let scaled = with(|value| f64::from(value) * -2.5 + 7.0);
            proptest::prop_assert!(same(alpha(&plain, Level::Interval), alpha(&scaled, Level::Interval)));
            proptest::prop_assert!(same(alpha(&plain, Level::Ordinal), alpha(&scaled, Level::Ordinal)));
            let curved = with(|value| f64::from(value).exp());
            proptest::prop_assert!(same(alpha(&plain, Level::Ordinal), alpha(&curved, Level::Ordinal)));
            let reversed: Vec<Vec<f64>> = plain.iter().rev().map(|unit| unit.iter().rev().copied().collect()).collect();
            proptest::prop_assert!(same(alpha(&plain, Level::Interval), alpha(&reversed, Level::Interval)));
        }

        #[test]
        fn perfect_agreement_is_one(values in proptest::collection::vec(0_u8..4, 2..20)) {
            let units: Vec<Vec<f64>> = values.iter().map(|value| vec![f64::from(*value); 3]).collect();
            let varied = values.iter().any(|value| *value != values[0]);
            for level in [Level::Nominal, Level::Ordinal, Level::Interval] {
                proptest::prop_assert_eq!(krippendorff(&units, level), varied.then_some(1.0));
            }
            proptest::prop_assert_eq!(raw_agreement(&units), Some(1.0));
        }
    }
}
