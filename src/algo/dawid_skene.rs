//! What several annotators together say of each item, with each annotator's own habits taken into account: expectation
//! maximisation as in "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm" (Dawid & Skene 1979).

/// One answer. Ids are counted from 0 without gaps worth memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// What was judged.
    pub item: u32,
    /// Who judged it.
    pub annotator: u32,
    /// What they said.
    pub class: u32,
}

/// When to stop, and what is believed of an annotator before any answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The most iterations.
    pub iterations: usize,
    /// It ends when no probability of an item has moved by this much. 0: all iterations are made.
    pub tolerance: f64,
    /// How many answers to items of each class the prior is worth: a Dirichlet prior on each row of a confusion matrix,
    /// so that two answers make nobody perfect or perverse. 0: maximum likelihood, as in the paper.
    pub prior_answers: f64,
    /// The share of right ones among those answers, 0 to 1; the wrong ones are spread over the other classes evenly.
    pub prior_accuracy: f64,
}

impl Default for Options {
    /// As if everybody had given two answers of each class before, at 70 %.
    fn default() -> Self {
        Self { iterations: 200, tolerance: 1e-6, prior_answers: 2.0, prior_accuracy: 0.7 }
    }
}

/// What the answers say of the items and of those who gave them.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// How many classes there are.
    pub classes: usize,
    /// The probability of each class, items one after the other.
    pub posteriors: Vec<f64>,
    /// The share of each class among the items, 0 to 1.
    pub shares: Vec<f64>,
    /// For each annotator a row a true class: the probability of each answer. One after the other.
    pub confusions: Vec<f64>,
    /// Iterations made.
    pub iterations: usize,
    /// Whether the last one moved less than the tolerance.
    pub converged: bool,
}

impl Estimate {
    /// The probability of each class of an item.
    ///
    /// # Panics
    /// When there is no such item.
    pub fn posterior(&self, item: u32) -> &[f64] {
        &self.posteriors[item as usize * self.classes..][..self.classes]
    }

    /// The most probable class of an item and its probability; the lowest of equals.
    ///
    /// # Panics
    /// When there is no such item.
    pub fn best(&self, item: u32) -> (usize, f64) {
        let of_item = self.posterior(item).iter().copied().enumerate();
        of_item.reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap_or((0, 0.0))
    }

    /// The probability that an annotator answers right, 0 to 1, over items with the classes' shares.
    ///
    /// # Panics
    /// When there is no such annotator.
    pub fn accuracy(&self, annotator: u32) -> f64 {
        let matrix = &self.confusions[annotator as usize * self.classes * self.classes..];
        self.shares.iter().enumerate().map(|(class, share)| share * matrix[class * self.classes + class]).sum()
    }
}

/// Estimates the class of each item and the confusion matrix of each annotator. `known` items (item, class) stay what
/// they are and teach what the annotators are like. Starts from the share of the answers of each item. An item without
/// answers gets the classes' shares and teaches nothing. The order of the answers does not matter; an annotator who
/// judged an item twice counts twice. `None` without answers.
///
/// Time: answers × classes an iteration. Memory: 12 bytes an answer, 16 a class of an item, and 16 a cell of the
/// annotators' matrices.
///
/// # Panics
/// When a class is not below `classes`.
pub fn dawid_skene(labels: &[Label], classes: usize, known: &[(u32, u32)], options: &Options) -> Option<Estimate> {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    let annotators = labels.iter().map(|label| label.annotator as usize + 1).max()?;
    let judged = labels.iter().map(|label| label.item);
    let items = judged.clone().chain(known.iter().map(|(item, _)| *item)).max()? as usize + 1;
    let mut teaches = vec![false; items];
    judged.chain(known.iter().map(|(item, _)| *item)).for_each(|item| teaches[item as usize] = true);

    let mut state = Estimate {
        classes,
        posteriors: vec![0.0; items * classes],
        shares: vec![0.0; classes],
        confusions: vec![0.0; annotators * classes * classes],
        iterations: 0,
        converged: false,
    };
    for label in &labels {
        state.posteriors[label.item as usize * classes + label.class as usize] += 1.0;
    }
    state.posteriors.chunks_mut(classes).for_each(normalise);
    state.fix(known);
    state.learn(&labels, &teaches, options);
    while state.iterations < options.iterations && !state.converged {
        let before = state.posteriors.clone();
        state.judge(&labels);
        state.fix(known);
        state.learn(&labels, &teaches, options);
        state.iterations += 1;
        let moved = before.iter().zip(&state.posteriors).map(|(before, after)| (before - after).abs());
        state.converged = moved.fold(0.0, f64::max) < options.tolerance;
    }
    Some(state)
}

impl Estimate {
    /// Known items are what they are.
    fn fix(&mut self, known: &[(u32, u32)]) {
        for (item, class) in known {
            let of_item = &mut self.posteriors[*item as usize * self.classes..][..self.classes];
            of_item.fill(0.0);
            of_item[*class as usize] = 1.0;
        }
    }

    /// The M step: shares and confusions from the items' probabilities.
    fn learn(&mut self, labels: &[Label], teaches: &[bool], options: &Options) {
        self.shares.fill(0.0);
        for (of_item, _) in self.posteriors.chunks(self.classes).zip(teaches).filter(|(_, teaches)| **teaches) {
            self.shares.iter_mut().zip(of_item).for_each(|(share, probability)| *share += probability);
        }
        normalise(&mut self.shares);
        let others = self.classes.saturating_sub(1).max(1) as f64;
        for (place, cell) in self.confusions.iter_mut().enumerate() {
            let (class, answer) = (place / self.classes % self.classes, place % self.classes);
            let right = options.prior_accuracy;
            *cell = options.prior_answers * if class == answer { right } else { (1.0 - right) / others };
        }
        for label in labels {
            let matrix = label.annotator as usize * self.classes * self.classes;
            for class in 0..self.classes {
                let probability = self.posteriors[label.item as usize * self.classes + class];
                self.confusions[matrix + class * self.classes + label.class as usize] += probability;
            }
        }
        self.confusions.chunks_mut(self.classes).for_each(normalise);
    }

    /// The E step: the items' probabilities from shares and confusions. In logarithms, since many small factors would
    /// be zero.
    fn judge(&mut self, labels: &[Label]) {
        let shares: Vec<f64> = self.shares.iter().map(|share| share.ln()).collect();
        let confusions: Vec<f64> = self.confusions.iter().map(|cell| cell.ln()).collect();
        let mut left = labels;
        for (item, of_item) in self.posteriors.chunks_mut(self.classes).enumerate() {
            let answers = left.partition_point(|label| label.item as usize <= item);
            let (of_this, rest) = left.split_at(answers);
            left = rest;
            of_item.copy_from_slice(&shares);
            for label in of_this {
                let matrix = label.annotator as usize * self.classes * self.classes;
                for (class, sum) in of_item.iter_mut().enumerate() {
                    *sum += confusions[matrix + class * self.classes + label.class as usize];
                }
            }
            let most = of_item.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            of_item.iter_mut().for_each(|sum| *sum = (*sum - most).exp());
            normalise(of_item);
        }
    }
}

/// Makes numbers add up to 1. All zero, as where no item of a class was judged, says nothing: all are as probable.
fn normalise(row: &mut [f64]) {
    let sum: f64 = row.iter().sum();
    let even = 1.0 / row.len() as f64;
    row.iter_mut().for_each(|value| *value = if sum > 0.0 { *value / sum } else { even });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::vectors::random;

    const MAXIMUM_LIKELIHOOD: Options =
        Options { iterations: 50, tolerance: 0.0, prior_answers: 0.0, prior_accuracy: 1.0 };

    /// Answers of annotators who are right so often, each to a share of the items, and the truth.
    fn simulated(items: u32, classes: u32, rights: &[f32], share: f32, seed: u64) -> (Vec<Label>, Vec<u32>) {
        let mut draw = random(seed);
        let mut uniform = move || draw() + 0.5;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a class")]
        let mut any = move |share: f32| (uniform() < share, (uniform() * classes as f32) as u32);
        let truth: Vec<u32> = (0..items).map(|_| any(0.0).1).collect();
        let mut labels = Vec::new();
        for item in 0..items {
            for (annotator, right) in (0..).zip(rights) {
                let (is_right, guess) = any(*right);
                let other = (truth[item as usize] + 1 + guess % (classes - 1)) % classes;
                let class = if is_right { truth[item as usize] } else { other };
                if any(share).0 {
                    labels.push(Label { item, annotator, class });
                }
            }
        }
        (labels, truth)
    }

    fn found(labels: &[Label], classes: usize) -> Estimate {
        dawid_skene(labels, classes, &[], &Options::default()).unwrap()
    }

    fn label(item: u32, annotator: u32, class: u32) -> Label {
        Label { item, annotator, class }
    }

    #[test]
    fn the_first_step_by_hand() {
        // Item 0: both say 0. Item 1: 0 and 1. Majority start: (1, 0) and (.5, .5). Shares .75 and .25. Annotator 0 said
        // 0 twice: both rows (1, 0). Annotator 1: row 0 is (1, .5) of 1.5, row 1 is (0, .5) of .5.
        let labels = [label(0, 0, 0), label(0, 1, 0), label(1, 0, 0), label(1, 1, 1)];
        let found = dawid_skene(&labels, 2, &[], &Options { iterations: 1, ..MAXIMUM_LIKELIHOOD }).unwrap();
        // Item 0: .75 · 2/3 against .25 · 0. Item 1: .75 · 1/3 against .25 · 1: one half each.
        assert!(
            (found.posterior(0)[0] - 1.0).abs() < 1e-12 && (found.posterior(1)[0] - 0.5).abs() < 1e-12,
            "{found:?}"
        );
        assert_eq!((found.iterations, found.converged, found.best(0).0), (1, false, 0));
        assert_eq!(dawid_skene(&[], 2, &[(0, 1)], &Options::default()), None);
    }

    #[test]
    fn who_is_careless_is_outvoted() {
        let rights = [0.92, 0.92, 0.92, 0.4, 0.4];
        let (labels, truth) = simulated(400, 3, &rights, 0.7, 3);
        let estimate = found(&labels, 3);
        assert!(estimate.converged, "{}", estimate.iterations);
        let right = |item: usize, class: usize| usize::from(truth[item] as usize == class);
        let majority = |item: u32| {
            let mut votes = [0; 3];
            labels.iter().filter(|label| label.item == item).for_each(|label| votes[label.class as usize] += 1);
            (0..3).rev().max_by_key(|class| votes[*class]).unwrap()
        };
        let by_votes: usize = (0..400).map(|item| right(item as usize, majority(item))).sum();
        let by_habits: usize = (0..400).map(|item| right(item as usize, estimate.best(item).0)).sum();
        assert!(by_habits >= by_votes + 20, "{by_habits} {by_votes}");
        for (annotator, expected) in (0..).zip(rights) {
            let told = estimate.accuracy(annotator);
            assert!((told - f64::from(expected)).abs() < 0.06, "{annotator}: {told} {expected}");
        }
        // One good annotator against two careless ones.
        let dispute = (0..400).find(|item| {
            let of: Vec<_> = labels.iter().filter(|label| label.item == *item).map(|label| label.annotator).collect();
            of.len() == 3 && of[0] < 3 && of[1..] == [3, 4] && majority(*item) != truth[*item as usize] as usize
        });
        let dispute = dispute.expect("such an item among 400");
        assert_eq!(estimate.best(dispute).0, truth[dispute as usize] as usize);
    }

    #[test]
    fn two_answers_make_nobody_perfect() {
        let (mut labels, truth) = simulated(200, 2, &[0.9, 0.9, 0.9], 1.0, 5);
        let told = |class: u32| if class == 0 { 1 } else { 0 };
        for (annotator, right) in [(3, true), (4, false)] {
            for item in 0..2 {
                let class = truth[item as usize];
                labels.push(label(item, annotator, if right { class } else { told(class) }));
            }
        }
        let estimate = found(&labels, 2);
        let (lucky, unlucky) = (estimate.accuracy(3), estimate.accuracy(4));
        assert!(lucky > 0.7 && lucky < 0.9, "{lucky}");
        assert!(unlucky < 0.7 && unlucky > 0.3, "{unlucky}");
    }

    #[test]
    fn known_items_stay_and_teach() {
        // Two who always say the opposite outvote one who is right, until some answers are known.
        let truth = |item: u32| item % 2;
        let labels: Vec<Label> = (0..60)
            .flat_map(|item| {
                [(0, truth(item)), (1, 1 - truth(item)), (2, 1 - truth(item))].map(|(a, c)| label(item, a, c))
            })
            .collect();
        assert_eq!(found(&labels, 2).best(59).0, 0, "the majority is wrong");
        let known: Vec<(u32, u32)> = (0..20).map(|item| (item, truth(item))).chain([(80, 1)]).collect();
        let estimate = dawid_skene(&labels, 2, &known, &Options::default()).unwrap();
        assert_eq!(estimate.best(59).0, 1);
        for (item, class) in &known {
            assert_eq!(estimate.posterior(*item)[*class as usize], 1.0, "{item}");
        }
        assert!((estimate.posterior(79)[0] - estimate.shares[0]).abs() < 1e-3, "nobody judged it");
        assert_eq!(estimate.posteriors.len(), 81 * 2);
    }

    #[test]
    fn likelihood_never_falls() {
        let (labels, _) = simulated(120, 4, &[0.8, 0.6, 0.5, 0.3], 0.8, 11);
        let likelihood = |estimate: &Estimate| -> f64 {
            let of_item = |item: u32| -> f64 {
                let of_class = |class: usize| {
                    let answers = labels.iter().filter(|label| label.item == item);
                    let cell = |label: &Label| (label.annotator as usize * 4 + class) * 4 + label.class as usize;
                    estimate.shares[class] * answers.map(|label| estimate.confusions[cell(label)]).product::<f64>()
                };
                (0..4).map(of_class).sum::<f64>().ln()
            };
            (0..120).filter(|item| labels.iter().any(|label| label.item == *item)).map(of_item).sum()
        };
        let after = |iterations| {
            let options = Options { iterations, ..MAXIMUM_LIKELIHOOD };
            likelihood(&dawid_skene(&labels, 4, &[], &options).unwrap())
        };
        let course: Vec<f64> = (0..30).map(after).collect();
        assert!(course.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "{course:?}");
        assert!(course[29] > course[0] + 1.0, "{course:?}");
    }

    /// What crowd-kit, and a second program straight from the paper, find: see `tests/golden/make_agreement.py`.
    #[derive(serde::Deserialize)]
    struct Golden {
        dawid_skene: Vec<GoldenEstimate>,
    }

    #[derive(serde::Deserialize)]
    struct GoldenEstimate {
        by: String,
        classes: usize,
        iterations: usize,
        prior_answers: f64,
        prior_accuracy: f64,
        labels: Vec<(u32, u32, u32)>,
        known: Vec<(u32, u32)>,
        posteriors: Vec<Vec<f64>>,
        shares: Vec<f64>,
        confusions: Vec<Vec<Vec<f64>>>,
    }

    #[test]
    fn estimates_are_the_references() {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/agreement.json")).unwrap();
        for case in &golden.dawid_skene {
            let options = Options {
                iterations: case.iterations,
                tolerance: 0.0,
                prior_answers: case.prior_answers,
                prior_accuracy: case.prior_accuracy,
            };
            let labels: Vec<Label> = case.labels.iter().map(|(i, a, c)| label(*i, *a, *c)).collect();
            let found = dawid_skene(&labels, case.classes, &case.known, &options).unwrap();
            let near = |found: &[f64], expected: &[f64], what: &str| {
                assert_eq!(found.len(), expected.len(), "{what}");
                let apart = found.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
                assert!(apart < 1e-6, "{}: {what} are {apart} apart", case.by);
            };
            near(&found.posteriors, &case.posteriors.concat(), "posteriors");
            near(&found.shares, &case.shares, "shares");
            near(&found.confusions, &case.confusions.concat().concat(), "confusions");
        }
        let by = |name: &str| golden.dawid_skene.iter().filter(|case| case.by == name).count();
        assert!(by("crowd-kit") >= 2 && by("numpy") >= 2);
    }

    proptest::proptest! {
        #[test]
        fn neither_order_nor_names_matter(seed in 0_u64..500, middle in 0_usize..60) {
            let (labels, _) = simulated(20, 3, &[0.9, 0.7, 0.5, 0.4], 0.75, seed);
            let estimate = found(&labels, 3);
            for item in 0..u32::try_from(estimate.posteriors.len() / 3).unwrap() {
                proptest::prop_assert!((estimate.posterior(item).iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
            let mut rotated = labels.clone();
            rotated.rotate_left(middle % labels.len());
            proptest::prop_assert_eq!(&estimate, &found(&rotated, 3));
            let renamed: Vec<Label> =
                labels.iter().map(|known| label(known.item, 3 - known.annotator, (known.class + 1) % 3)).collect();
            let other = found(&renamed, 3);
            for (place, probability) in estimate.posteriors.iter().enumerate() {
                let (item, class) = (place / 3, place % 3);
                proptest::prop_assert!((probability - other.posteriors[item * 3 + (class + 1) % 3]).abs() < 1e-4);
            }
        }
    }
}
