//! What an annotation says as a number, and what all of them together say: people, ratings, conflicts.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Controls, Person, Question};
use crate::metric::agreement::{self, Level};
use crate::metric::pairs::wilson;
use crate::record::annotation::VERDICTS;
use crate::record::{Annotation, Interface, PairId, TaskId};

/// Resamples behind an interval of alpha.
const RESAMPLES: usize = 1000;
/// The same annotations, the same interval.
const SEED: u64 = 1;

/// The answers to a choice between two, by place.
const CHOICES: [&str; 4] = ["first", "second", "both right", "both wrong"];

/// What one person answered, as a number: a place in [`VERDICTS`], a similarity, a place in [`CHOICES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rating {
    pub(super) annotator: u32,
    pub(super) place: u8,
}

/// What is known of a person after a part of the walk.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) name: String,
    answers: usize,
    skipped: usize,
    seconds: Vec<f64>,
    right: usize,
    controls: usize,
}

/// An item on which answers differ.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) interface: Interface,
    pub(super) pair: PairId,
    pub(super) apart: f64,
    people: usize,
}

/// What the walk over the annotations has gathered so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The known answers of control items.
    controls: HashMap<TaskId, String>,
    numbers: HashMap<String, u32>,
    pub(super) people: Vec<Tally>,
    /// Items with at least two ratings.
    pub(super) items: BTreeMap<Interface, Vec<Vec<Rating>>>,
    conflicts: Vec<Found>,
}

impl Gathered {
    /// Nothing yet, and the known answers of control items.
    pub(super) fn new(controls: HashMap<TaskId, String>) -> Self {
        Self { controls, ..Self::default() }
    }

    /// Whether nobody annotated.
    pub(super) fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Takes all annotations of a pair, oldest first.
    pub(super) fn take(&mut self, annotations: &[Annotation]) {
        // The newest answer to each question, and to each kind of them.
        let mut answers: BTreeMap<(u32, Option<TaskId>, Option<Interface>), &Annotation> = BTreeMap::new();
        let mut skipped: BTreeSet<(u32, Option<TaskId>)> = BTreeSet::new();
        for annotation in annotations {
            let annotator = self.number(&annotation.annotator);
            let given = ratings(annotation);
            match given.first() {
                None if !is_answer(annotation) => drop(skipped.insert((annotator, annotation.task))),
                first => drop(
                    answers.insert((annotator, annotation.task, first.map(|(interface, _)| *interface)), annotation),
                ),
            }
        }
        let gold = Gold::of(annotations);
        for ((annotator, task, _), annotation) in &answers {
            skipped.remove(&(*annotator, *task));
            let tally = &mut self.people[*annotator as usize];
            tally.answers += 1;
            tally.seconds.extend(annotation.lead_time.filter(|seconds| seconds.is_finite() && *seconds >= 0.0));
            self.check(*annotator, annotation, &gold);
        }
        skipped.iter().for_each(|(annotator, _)| self.people[*annotator as usize].skipped += 1);
        for interface in Interface::ALL {
            self.compare(interface, annotations);
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.to_owned(), number);
        self.people.push(Tally { name: name.to_owned(), ..Tally::default() });
        number
    }

    /// Compares an answer with what is known: by somebody else's gold answer, or because the question is a control item.
    fn check(&mut self, annotator: u32, annotation: &Annotation, gold: &Gold<'_>) {
        if annotation.ground_truth {
            return;
        }
        for (interface, place) in ratings(annotation) {
            // A control item may be known by this person's own word.
            let own = gold.people.contains(annotation.annotator.as_str());
            let control = annotation.task.filter(|_| !own).and_then(|task| self.controls.get(&task));
            let known = gold
                .of_others(interface, &annotation.annotator)
                .or_else(|| known(interface, control?, annotation.pair));
            let Some(known) = known else { continue };
            let tally = &mut self.people[annotator as usize];
            let slack = u8::from(interface == Interface::Similarity);
            tally.controls += 1;
            tally.right += usize::from(place.abs_diff(known) <= slack);
        }
    }

    /// Notes the item's ratings, and whether answers differ.
    fn compare(&mut self, interface: Interface, annotations: &[Annotation]) {
        let said = newest(interface, annotations);
        let Some(pair) = annotations.first().map(|first| first.pair) else { return };
        let apart = apart(interface, &said.iter().map(|(_, place)| *place).collect::<Vec<_>>());
        if apart > 0.0 {
            self.conflicts.push(Found { interface, pair, apart, people: said.len() });
        }
        let rated: Vec<Rating> = newest(interface, annotations.iter().filter(|annotation| !annotation.ground_truth))
            .into_iter()
            .map(|(annotation, place)| Rating { annotator: self.number(&annotation.annotator), place })
            .collect();
        if rated.len() > 1 {
            self.items.entry(interface).or_default().push(rated);
        }
    }

    /// Items on which answers differ, worst first; of equals, those that most people answered.
    pub(super) fn conflicts(&mut self) -> Vec<Found> {
        let mut found = std::mem::take(&mut self.conflicts);
        found.sort_by(|a, b| b.apart.total_cmp(&a.apart).then(b.people.cmp(&a.people)).then(a.pair.cmp(&b.pair)));
        found
    }

    /// Who annotated, most answers first.
    pub(super) fn people(&self, estimated: &HashMap<String, f64>) -> Vec<Person> {
        let mut people: Vec<Person> = self.people.iter().map(|tally| tally.told(estimated)).collect();
        people.sort_by(|a, b| b.answers.cmp(&a.answers).then(a.name.cmp(&b.name)));
        people
    }

    /// Alpha for each kind of question.
    pub(super) fn questions(&self) -> Vec<Question> {
        let question = |(interface, items): (&Interface, &Vec<Vec<Rating>>)| {
            let values = |ratings: &Vec<Rating>| ratings.iter().map(|rating| f64::from(rating.place)).collect();
            let units: Vec<Vec<f64>> = items.iter().map(values).collect();
            let level = if *interface == Interface::Similarity { Level::Interval } else { Level::Nominal };
            let interval = agreement::krippendorff_interval(&units, level, RESAMPLES, SEED);
            Question {
                interface: *interface,
                items: units.len(),
                ratings: units.iter().map(Vec::len).sum(),
                equal: agreement::raw_agreement(&units),
                alpha: agreement::krippendorff(&units, level),
                low: interval.map(|(low, _)| low),
                high: interval.map(|(_, high)| high),
            }
        };
        self.items.iter().map(question).collect()
    }
}

/// The gold answers on a pair.
struct Gold<'a> {
    /// Who gave any.
    people: HashSet<&'a str>,
    /// By kind of question: the newest, and the newest of anybody but its author.
    newest: BTreeMap<Interface, [Option<(&'a str, u8)>; 2]>,
}

impl<'a> Gold<'a> {
    fn of(annotations: &'a [Annotation]) -> Self {
        let mut gold = Self { people: HashSet::new(), newest: BTreeMap::new() };
        for annotation in annotations.iter().rev().filter(|annotation| annotation.ground_truth) {
            gold.people.insert(&annotation.annotator);
            for (interface, place) in ratings(annotation) {
                let [newest, second] = gold.newest.entry(interface).or_default();
                let given = Some((annotation.annotator.as_str(), place));
                match newest {
                    None => *newest = given,
                    Some((author, _)) if second.is_none() && *author != annotation.annotator => *second = given,
                    Some(_) => {}
                }
            }
        }
        gold
    }

    /// The newest answer of anybody else.
    fn of_others(&self, interface: Interface, annotator: &str) -> Option<u8> {
        let newest = self.newest.get(&interface)?;
        newest.iter().flatten().find(|(author, _)| *author != annotator).map(|(_, place)| *place)
    }
}

impl Tally {
    fn told(&self, estimated: &HashMap<String, f64>) -> Person {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        let count = seconds.len();
        let median = (count > 0).then(|| (seconds[(count - 1) / 2] + seconds[count / 2]) / 2.0);
        let controls = wilson(self.right, self.controls);
        Person {
            name: self.name.clone(),
            answers: self.answers,
            skipped: self.skipped,
            median_seconds: median,
            mean_seconds: (count > 0).then(|| seconds.iter().sum::<f64>() / count as f64),
            untimed: self.answers - count,
            controls: controls.map(|(low, high)| Controls { right: self.right, of: self.controls, low, high }),
            estimated: estimated.get(&self.name).copied(),
        }
    }
}

/// Whether an annotation says anything.
fn is_answer(annotation: &Annotation) -> bool {
    let fixed = annotation.source_fix.is_some() || annotation.target_fix.is_some();
    !annotation.skipped && (fixed || !ratings(annotation).is_empty())
}

/// The questions that an annotation answers, and the answers as numbers.
fn ratings(annotation: &Annotation) -> Vec<(Interface, u8)> {
    if annotation.skipped {
        return Vec::new();
    }
    let place = |word: &str, among: &[&str]| {
        among.iter().position(|known| *known == word).and_then(|place| u8::try_from(place).ok())
    };
    let verdict = annotation.verdict.as_deref().and_then(|verdict| place(verdict, &VERDICTS));
    let tie = || annotation.problems.iter().find_map(|problem| place(&problem.replace('_', " "), &CHOICES));
    let choice = annotation.preferred.map(|preferred| u8::from(preferred != annotation.pair)).or_else(tie);
    let given =
        [(Interface::Translation, verdict), (Interface::Similarity, annotation.sts), (Interface::Pairwise, choice)];
    given.into_iter().filter_map(|(interface, place)| Some((interface, place?))).collect()
}

/// An answer in words.
pub(super) fn words(interface: Interface, place: u8) -> String {
    let among: &[&str] = match interface {
        Interface::Translation => &VERDICTS,
        Interface::Pairwise => &CHOICES,
        Interface::Similarity => return place.to_string(),
    };
    among.get(usize::from(place)).map_or_else(|| place.to_string(), |word| (*word).to_owned())
}

/// How many answers there are to choose from.
pub(super) fn answers_of(interface: Interface) -> usize {
    match interface {
        Interface::Translation => VERDICTS.len(),
        Interface::Pairwise => CHOICES.len(),
        Interface::Similarity => 6,
    }
}

/// The known answer of a control item as a number.
fn known(interface: Interface, control: &str, pair: PairId) -> Option<u8> {
    match interface {
        Interface::Translation => {
            VERDICTS.iter().position(|verdict| *verdict == control).and_then(|place| u8::try_from(place).ok())
        }
        Interface::Similarity => control.parse().ok(),
        Interface::Pairwise => control.parse::<PairId>().ok().map(|right| u8::from(right != pair)),
    }
}

/// The newest answer of each person to a kind of question, in the order of their first.
pub(super) fn newest<'a>(
    interface: Interface,
    annotations: impl IntoIterator<Item = &'a Annotation>,
) -> Vec<(&'a Annotation, u8)> {
    let mut newest: Vec<(&Annotation, u8)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for annotation in annotations {
        let Some((_, place)) = ratings(annotation).into_iter().find(|(of, _)| *of == interface) else { continue };
        match places.entry(&annotation.annotator) {
            Entry::Occupied(older) => newest[*older.get()] = (annotation, place),
            Entry::Vacant(free) => {
                free.insert(newest.len());
                newest.push((annotation, place));
            }
        }
    }
    newest
}

/// How far answers are apart: the mean over all two of them, 0 to 1. From yes to no it is as far as from 0 to 5; choices
/// are the same or not.
fn apart(interface: Interface, places: &[u8]) -> f64 {
    let distance = |one: u8, other: u8| match interface {
        Interface::Translation => f64::from(one.abs_diff(other)) / 2.0,
        Interface::Similarity => f64::from(one.abs_diff(other)) / 5.0,
        Interface::Pairwise => f64::from(u8::from(one != other)),
    };
    // There are few different answers, however many people gave them.
    let mut counts: BTreeMap<u8, f64> = BTreeMap::new();
    places.iter().for_each(|place| *counts.entry(*place).or_default() += 1.0);
    let sum: f64 = counts
        .iter()
        .flat_map(|one| counts.range(one.0 + 1..).map(move |other| distance(*one.0, *other.0) * one.1 * other.1))
        .sum();
    let people = places.len() as f64;
    if people > 1.0 { sum / (people * (people - 1.0) / 2.0) } else { 0.0 }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Who said what of a pair in a task; an empty word passes by.
    pub(in crate::stage::agreement) fn said(pair: i64, task: i64, who: &str, word: &str) -> Annotation {
        let is_number = word.parse::<u8>().is_ok();
        Annotation {
            task: (task > 0).then_some(TaskId(task)),
            skipped: word.is_empty(),
            verdict: VERDICTS.contains(&word).then(|| word.to_owned()),
            problems: if word == "both_right" { vec![word.to_owned()] } else { Vec::new() },
            sts: is_number.then(|| word.parse().unwrap()),
            preferred: ["first", "second"]
                .iter()
                .position(|choice| *choice == word)
                .map(|place| PairId(if place == 0 { pair } else { 1000 })),
            ..Annotation::blank(PairId(pair), who, "")
        }
    }

    fn gold(pair: i64, who: &str, word: &str) -> Annotation {
        Annotation { ground_truth: true, ..said(pair, 0, who, word) }
    }

    pub(in crate::stage::agreement) fn gathered(pairs: &[Vec<Annotation>]) -> Gathered {
        let controls =
            [(TaskId(91), "yes".to_owned()), (TaskId(92), "3".to_owned()), (TaskId(93), PairId(5).to_string())];
        let mut gathered = Gathered::new(controls.into());
        pairs.iter().for_each(|annotations| gathered.take(annotations));
        gathered
    }

    fn person(gathered: &Gathered, name: &str) -> Person {
        gathered.people(&HashMap::new()).into_iter().find(|person| person.name == name).unwrap()
    }

    #[test]
    fn the_newest_answer_to_a_question_counts() {
        let timed = |seconds, annotation| Annotation { lead_time: seconds, ..annotation };
        let gathered = gathered(&[
            vec![
                timed(Some(90.0), said(1, 1, "a", "yes")),
                timed(Some(5.0), said(1, 1, "a", "no")),
                said(1, 1, "b", ""),
                timed(Some(8.0), said(1, 1, "c", "no")),
                said(1, 1, "c", ""),
            ],
            vec![timed(Some(10.0), said(2, 2, "a", "yes")), said(2, 2, "b", ""), said(2, 2, "b", "yes")],
            vec![timed(Some(30.0), said(3, 3, "a", "4")), timed(Some(f64::NAN), said(3, 0, "b", "both_right"))],
        ]);
        let told = |name: &str| {
            let Person { answers, skipped, median_seconds, mean_seconds, untimed, .. } = person(&gathered, name);
            (answers, skipped, median_seconds, mean_seconds, untimed)
        };
        assert_eq!(told("a"), (3, 0, Some(10.0), Some(15.0), 0));
        assert_eq!(told("b"), (2, 1, None, None, 2));
        assert_eq!(told("c"), (1, 0, Some(8.0), Some(8.0), 0), "passing by later takes no word back");
        let verdicts = &gathered.questions()[0];
        assert_eq!((verdicts.items, verdicts.ratings, verdicts.equal), (2, 4, Some(1.0)));
        assert_eq!(verdicts.alpha, Some(1.0));
        assert_eq!(gathered.questions().len(), 1, "one person alone agrees with nobody");
        assert_eq!(gathered.people(&HashMap::new()).iter().map(|person| person.answers).collect::<Vec<_>>(), [3, 2, 1]);
    }

    #[test]
    fn people_are_measured_by_what_is_known() {
        let gathered = gathered(&[
            // By gold answers of somebody else.
            vec![gold(1, "owner", "no"), said(1, 1, "a", "no"), said(1, 1, "b", "yes"), said(1, 91, "owner", "yes")],
            // By control items, whatever the person said of the pair before.
            vec![said(2, 2, "a", "no"), said(2, 91, "a", "yes"), said(2, 91, "b", "no")],
            vec![said(3, 92, "a", "4"), said(3, 92, "b", "5"), said(3, 3, "b", "0")],
            vec![said(5, 93, "a", "first"), said(5, 93, "b", "second")],
        ]);
        let controls = |name: &str| person(&gathered, name).controls.map(|controls| (controls.right, controls.of));
        assert_eq!(controls("a"), Some((4, 4)));
        assert_eq!(controls("b"), Some((0, 4)));
        assert_eq!(controls("owner"), None, "nobody is measured by themselves");
        let Controls { low, high, .. } = person(&gathered, "a").controls.unwrap();
        assert_eq!(Some((low, high)), wilson(4, 4));
        let verdicts = &gathered.questions()[0];
        // a, b and the owner's own plain answer on 1; the newest of a and b on 2: no gold among them.
        assert_eq!((verdicts.items, verdicts.ratings), (2, 5));
    }

    #[test]
    fn conflicts_come_worst_first() {
        let mut gathered = gathered(&[
            vec![said(1, 1, "a", "yes"), said(1, 1, "b", "partly")],
            vec![said(2, 2, "a", "yes"), said(2, 2, "b", "yes"), said(2, 2, "c", "no")],
            vec![said(3, 3, "a", "5"), said(3, 3, "b", "2")],
            vec![said(4, 4, "a", "yes"), said(4, 4, "b", "yes")],
            vec![gold(5, "owner", "no"), said(5, 5, "a", "yes")],
            vec![said(6, 6, "a", "first"), said(6, 6, "b", "both_right"), said(6, 6, "c", "first")],
        ]);
        let found: Vec<_> = gathered.conflicts().iter().map(|found| (found.pair.0, found.apart)).collect();
        let expected = [(5, 1.0), (2, 2.0 / 3.0), (6, 2.0 / 3.0), (3, 0.6), (1, 0.5)];
        assert_eq!(found.len(), expected.len());
        for ((pair, apart), (wanted, as_far)) in found.iter().zip(expected) {
            assert!(*pair == wanted && (apart - as_far).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(words(Interface::Pairwise, 2), "both right");
    }

    #[test]
    fn thousands_may_annotate_one_item() {
        let started = std::time::Instant::now();
        let many: Vec<Annotation> =
            (0..6000).map(|who| said(1, 1, &format!("{who:04}"), if who % 3 == 0 { "no" } else { "yes" })).collect();
        let mut gathered = gathered(&[many]);
        assert!(gathered.couples().is_empty());
        let conflicts = gathered.conflicts();
        // 2000 · 4000 of 6000 · 5999 / 2 couples differ, by all the scale.
        assert!((conflicts[0].apart - 8_000_000.0 / 17_997_000.0).abs() < 1e-12, "{conflicts:?}");
        let questions = gathered.questions();
        assert_eq!((questions[0].items, questions[0].ratings), (1, 6000));
        assert_eq!(gathered.people(&HashMap::new()).len(), 6000);
        assert!(started.elapsed().as_secs_f64() < 5.0, "{:?} even without optimisation", started.elapsed());
    }
}
