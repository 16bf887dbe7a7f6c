//! How far people agree, who they are and how careful: what an owner of annotations wants to know before using them.
//!
//! Only the newest answer of a person to a question counts, and a question passed by counts for none. Gold answers are
//! what others are measured by: they stand among the conflicts, but are no ratings, since whoever gives one may have seen
//! the others' answers. Of several questions on one pair, as control items are, a person's newest answer is the rating.
//!
//! Everything is read in one walk over the annotations, pair by pair. Memory: some 60 bytes a rating, and the texts of
//! the conflicts that are asked for.

mod couples;
mod gather;

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

pub use self::couples::MIN_SHARED;
use self::gather::{Found, Gathered, newest, words};
use super::adjudicate;
use crate::error::Result;
use crate::record::{Annotation, Interface, PairId};
use crate::store::Store;

/// How far people agree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Who annotated, most answers first.
    pub people: Vec<Person>,
    /// For each kind of question that people rated.
    pub questions: Vec<Question>,
    /// People two by two, those who share most items first.
    pub couples: Vec<Couple>,
    /// Items on which answers differ, worst first: as many as were asked for.
    pub conflicts: Vec<Conflict>,
    /// How many such items there are in all.
    pub all_conflicts: usize,
}

/// One annotator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Person {
    /// As the annotation tool names them.
    pub name: String,
    /// Questions answered.
    pub answers: usize,
    /// Questions passed by and not answered since.
    pub skipped: usize,
    /// Seconds an answer took, of those that say.
    pub median_seconds: Option<f64>,
    /// Their mean.
    pub mean_seconds: Option<f64>,
    /// Answers that do not say how long they took.
    pub untimed: usize,
    /// How many of their answers to control items are right; `None`: they had none.
    pub controls: Option<Controls>,
    /// The probability that their verdicts are right, 0 to 1, as all answers together show (Dawid & Skene 1979); `None`:
    /// they gave no verdict.
    pub estimated: Option<f64>,
}

/// Answers to questions whose answer is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Controls {
    /// Right answers. A similarity is right within one point.
    pub right: usize,
    /// All of them.
    pub of: usize,
    /// Wilson's 95 % interval of the share.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Agreement on one kind of question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// What was asked.
    pub interface: Interface,
    /// Items that at least two people rated.
    pub items: usize,
    /// Their ratings.
    pub ratings: usize,
    /// The share of pairs of ratings that are equal, 0 to 1.
    pub equal: Option<f64>,
    /// Krippendorff's alpha: on the scale of 0 to 5 for similarity (interval), else of names (nominal). 1 is perfect, 0 is
    /// chance; `None`: too few ratings, or all are the same.
    pub alpha: Option<f64>,
    /// The lower end of its 95 % interval (bootstrap over items).
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// Two people on one kind of question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Couple {
    /// What was asked.
    pub interface: Interface,
    /// One of them.
    pub one: String,
    /// The other.
    pub other: String,
    /// Items that both rated.
    pub items: usize,
    /// The share of them on which they say the same, 0 to 1.
    pub equal: f64,
    /// Cohen's kappa, with quadratic weights for similarity; `None`: both always said one and the same.
    pub kappa: Option<f64>,
}

/// An item on which answers differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conflict {
    /// What was asked.
    pub interface: Interface,
    /// The pair.
    pub pair: PairId,
    /// Its language pair, `ru-tk`; `None`: the pair is not in the workspace.
    pub scope: Option<String>,
    /// How far answers are apart: the mean over all two of them, 0 to 1.
    pub apart: f64,
    /// The source text; `None`: neither the pair nor the question is in the workspace.
    pub source: Option<String>,
    /// The target text; of two candidates, the pair's own.
    pub target: Option<String>,
    /// The other candidate.
    pub other: Option<String>,
    /// Who said what.
    pub answers: Vec<Said>,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Who.
    pub who: String,
    /// `yes`, `partly`, `no`; `0` to `5`; `first`, `second`, `both right`, `both wrong`.
    pub answer: String,
    /// Whether it is a gold answer.
    pub gold: bool,
}

impl Agreement {
    /// With people's addresses without their hosts, for pages that are passed on; two that would be the same stay whole.
    #[must_use]
    pub fn without_hosts(mut self) -> Self {
        let local = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        let mut count: HashMap<String, usize> = HashMap::new();
        self.people.iter().for_each(|person| *count.entry(local(&person.name)).or_default() += 1);
        let shorten = |name: &mut String| {
            let short = local(name);
            if !short.is_empty() && count.get(&short).is_none_or(|count| *count < 2) {
                *name = short;
            }
        };
        self.people.iter_mut().for_each(|person| shorten(&mut person.name));
        for couple in &mut self.couples {
            shorten(&mut couple.one);
            shorten(&mut couple.other);
        }
        self.conflicts.iter_mut().flat_map(|conflict| &mut conflict.answers).for_each(|said| shorten(&mut said.who));
        self
    }
}

/// A kind of question, by the answers that it takes.
pub fn question(interface: Interface) -> &'static str {
    match interface {
        Interface::Translation => "yes, partly or no",
        Interface::Similarity => "similarity, 0 to 5",
        Interface::Pairwise => "the better of two",
    }
}

/// How far people agree, with at most so many conflicts; `None`: there are no annotations.
///
/// # Errors
/// Kind `Store`.
pub fn agreement(store: &Store, conflicts: usize) -> Result<Option<Agreement>> {
    let mut gathered = Gathered::new(store.control_answers()?);
    let mut of_pair: Vec<Annotation> = Vec::new();
    store.for_each_annotation(None, |annotation| {
        if of_pair.first().is_some_and(|first| first.pair != annotation.pair) {
            gathered.take(&of_pair);
            of_pair.clear();
        }
        of_pair.push(annotation);
        Ok(())
    })?;
    gathered.take(&of_pair);
    if gathered.is_empty() {
        return Ok(None);
    }
    let found = gathered.conflicts();
    let worst: Result<Vec<Conflict>> = found.iter().take(conflicts).map(|found| conflict(store, found)).collect();
    Ok(Some(Agreement {
        people: gathered.people(&estimated(store)?),
        questions: gathered.questions(),
        couples: gathered.couples(),
        conflicts: worst?,
        all_conflicts: found.len(),
    }))
}

/// The probability that each person's verdicts are right: what adjudication weighs them by.
fn estimated(store: &Store) -> Result<HashMap<String, f64>> {
    let answers = adjudicate::Answers::read(store, None)?;
    let Some(estimate) = answers.estimate() else { return Ok(HashMap::new()) };
    let voters = answers.of.values().flatten().filter(|answer| answer.verdict.is_some() && !answer.gold);
    let accuracy = |number: u32| (answers.annotators[number as usize].clone(), estimate.accuracy(number));
    let voters: BTreeSet<u32> = voters.map(|answer| answer.annotator).collect();
    Ok(voters.into_iter().map(accuracy).collect())
}

/// A conflict with its texts, as people saw them where that is known.
fn conflict(store: &Store, found: &Found) -> Result<Conflict> {
    let annotations = store.annotations(found.pair)?;
    let said = newest(found.interface, &annotations);
    let asked = said.iter().find_map(|(annotation, _)| annotation.task);
    let task = asked.map(|task| store.task(task)).transpose()?.flatten();
    let shown = |key: &str| Some(task.as_ref()?.body["data"][key].as_str()?.to_owned());
    let (mut source, mut target, mut other) = (shown("src_text"), shown("tgt_text"), None);
    if found.interface == Interface::Pairwise {
        let is_left = shown("a_id").is_some_and(|id| id == found.pair.to_string());
        (target, other) = if is_left { (shown("cand_a"), shown("cand_b")) } else { (shown("cand_b"), shown("cand_a")) };
    }
    if source.is_none() || target.is_none() {
        (source, target) = store.texts(found.pair)?.unzip();
    }
    let mut answers: Vec<(u8, Said)> = said
        .iter()
        .map(|(annotation, place)| {
            let (who, answer) = (annotation.annotator.clone(), words(found.interface, *place));
            (*place, Said { who, answer, gold: annotation.ground_truth })
        })
        .collect();
    answers.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.who.cmp(&b.1.who)));
    Ok(Conflict {
        interface: found.interface,
        pair: found.pair,
        scope: store.scope_of(found.pair)?,
        apart: found.apart,
        source,
        target,
        other,
        answers: answers.into_iter().map(|(_, said)| said).collect(),
    })
}
