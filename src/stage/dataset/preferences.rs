//! What people prefer of two candidates for a source.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::{Look, Preference};
use crate::error::Result;
use crate::record::{Interface, PairId, Task, TaskId};

/// Candidates for a source as two questions may ask about them: the pair, and both candidates in order.
type Choice = (PairId, [String; 2]);

/// Choices between two candidates, where more people chose one than the other. The newest choice of each person between
/// the same two counts, whichever question it answers. Texts come from the questions.
pub(super) fn preferences(look: &Look<'_>) -> Result<Vec<Preference>> {
    // The first question on each choice has the texts.
    let mut tasks: BTreeMap<TaskId, Task> = BTreeMap::new();
    let mut choices: HashMap<TaskId, Choice> = HashMap::new();
    let mut first: BTreeMap<Choice, TaskId> = BTreeMap::new();
    let mut on_pair: HashMap<PairId, TaskId> = HashMap::new();
    for (id, pair, _) in look.store.asked(&look.scope(), Interface::Pairwise)? {
        let Some(task) = look.store.task(id)? else { continue };
        let mut candidates = ["a_id", "b_id"].map(|key| task.body["data"][key].as_str().unwrap_or_default().to_owned());
        candidates.sort();
        let choice = (pair, candidates);
        choices.insert(id, choice.clone());
        on_pair.entry(pair).or_insert(id);
        if let Entry::Vacant(free) = first.entry(choice) {
            free.insert(id);
            tasks.insert(id, task);
        }
    }
    let mut votes: BTreeMap<TaskId, BTreeMap<String, PairId>> = BTreeMap::new();
    look.store.for_each_annotation(Some(&look.scope()), |annotation| {
        let Some(preferred) = annotation.preferred else { return Ok(()) };
        let asked = annotation.task.filter(|task| choices.contains_key(task));
        let asked = asked.or_else(|| on_pair.get(&annotation.pair).copied());
        if let Some(first) = asked.and_then(|task| first.get(&choices[&task])) {
            votes.entry(*first).or_default().insert(annotation.annotator, preferred);
        }
        Ok(())
    })?;
    let mut all = Vec::new();
    for (id, of) in votes {
        let Some(task) = tasks.get(&id) else { continue };
        let text = |key: &str| task.body["data"][key].as_str().unwrap_or_default().to_owned();
        let votes = |key: &str| of.values().filter(|chosen| chosen.to_string() == text(key)).count();
        let (a, b) = (votes("a_id"), votes("b_id"));
        let (better, worse, most, least) = match a.cmp(&b) {
            std::cmp::Ordering::Greater => ("cand_a", "cand_b", a, b),
            std::cmp::Ordering::Less => ("cand_b", "cand_a", b, a),
            std::cmp::Ordering::Equal => continue,
        };
        let people = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        all.push(Preference {
            source: text("src_text"),
            better: text(better),
            worse: text(worse),
            votes_for: people(most),
            votes_against: people(least),
        });
    }
    Ok(all)
}
