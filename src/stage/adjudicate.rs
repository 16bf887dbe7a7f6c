//! Adjudication: from what several people say of a pair to one answer, and from their corrections to new pairs.
//!
//! The newest answer of each person counts; a question passed by counts for nothing. A gold answer of the project's owner
//! decides alone. Else the [`Method`] decides, and an answer that is not surer than `min-confidence` is none: then the
//! filter's rules decide, and the strategy `disagreement` asks one more person.
//!
//! A correction becomes a pair of its own, right because a person wrote it, and stands for the one that it corrects,
//! which stays in the store with its answers. Of several corrections the one that most people wrote wins, then the newest;
//! none wins against more people who gave a verdict and changed nothing.
//!
//! Everything is weighed anew when any annotation or any pair changed. Memory: about 100 bytes an annotation, and the
//! corrected texts.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Inputs, Languages, Listing, Progress, Settings, Stage, Unit, table};
use crate::algo::dawid_skene::{self, Label};
use crate::error::Result;
use crate::record::annotation::VERDICTS;
use crate::record::{Adjudication, Annotation, Origin, Pair, PairId, Scores};
use crate::store::table::Table;
use crate::store::{Store, Writer};
use crate::text::dedup::text_pair;
use crate::text::normalise::normalise;

/// Raised when the same answers come to something else.
pub const VERSION: u32 = 1;

/// The stage.
#[derive(Debug)]
pub struct Adjudicate;

/// The one unit.
pub const UNIT: &str = "answers";

/// How answers that differ are weighed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Everybody's word weighs the same.
    #[default]
    Majority,
    /// By how accurate each person is for each kind of answer, as the answers themselves and the control items show
    /// (Dawid & Skene 1979).
    DawidSkene,
    /// Where people disagree, only a gold answer decides.
    Manual,
}

/// What changes an adjudication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// How answers that differ are weighed.
    pub method: Method,
    /// A verdict must be surer than this, 0 to 1.
    pub min_confidence: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { method: Method::default(), min_confidence: 0.5 }
    }
}

impl Stage for Adjudicate {
    fn name(&self) -> &'static str {
        "adjudicate"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "pool"
    }

    fn after(&self) -> &'static [&'static str] {
        &["align", "mine"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Annotation, Table::TextPair, Table::Occurrence]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Adjudication, Table::TextPair, Table::Occurrence, Table::Producer]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "adjudicate": table(settings.get::<Params>()?)? }))
    }

    /// All answers of a scope, as one unit.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let (store, scope) = (ctx.store()?, ctx.scope_name());
        // A correction needs the texts of the pair that it corrects, which may be written otherwise at another place.
        let inputs = Inputs::new()
            .table(Table::Annotation, &store.annotations_fingerprint(&scope)?)
            .tables(&[Table::TextPair, Table::Occurrence], &store.corrected_fingerprint(&scope)?);
        Ok(Listing::All(vec![Unit::new(UNIT, inputs)]))
    }

    fn run(&self, ctx: &Ctx<'_>, _unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let (store, scope) = (ctx.store()?, ctx.scope_name());
        let answers = Answers::read(&store, Some(&scope))?;
        progress.check()?;
        let mut adjudications = answers.weigh(ctx.settings()?);
        let pairs = corrections(&store, ctx.pair()?, &answers, &mut adjudications)?;
        let adjudications: Vec<Adjudication> = adjudications.into_values().collect();
        let decided = adjudications.iter().filter(|one| one.verdict.is_some()).count() as f64;
        let undecided = adjudications.iter().filter(|one| one.verdict.is_none() && one.people() > 1).count() as f64;
        let (corrected, content) = (pairs.len() as f64, serde_json::json!((&pairs, &adjudications)));
        let commit = Commit::of(&content, move |writer, _| {
            writer.put_occurrences(&scope, "adjudicate", UNIT, &pairs)?;
            writer.set_adjudications(&scope, &adjudications)
        })?;
        Ok(commit
            .count("pairs decided", decided)
            .count("pairs in dispute", undecided)
            .count("pairs corrected", corrected))
    }

    fn retract(&self, writer: &Writer<'_>, scope: &str, unit: &str) -> Result<()> {
        writer.put_occurrences(scope, "adjudicate", unit, &[])?;
        writer.set_adjudications(scope, &[])
    }
}

/// The newest word of each person on each pair.
#[derive(Debug, Default)]
pub struct Answers {
    /// Who: names by number.
    pub annotators: Vec<String>,
    /// By pair.
    pub of: BTreeMap<PairId, Vec<Answer>>,
}

/// What reading answers has to look up. All answers of a pair come one after the other.
#[derive(Debug, Default)]
struct Known {
    annotators: HashMap<String, u32>,
    pair: Option<PairId>,
    /// Where the answer of each annotator stands among those of the pair.
    places: HashMap<u32, usize>,
}

/// What one person says of one pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Who, as a place in [`Answers::annotators`].
    pub annotator: u32,
    /// A place in [`VERDICTS`].
    pub verdict: Option<u32>,
    /// Similarity, 0 to 5.
    pub sts: Option<u8>,
    /// Source and target as corrected; a side that is as it was is `None`.
    pub fix: Option<(Option<String>, Option<String>)>,
    /// Whether it is a gold answer.
    pub gold: bool,
    /// When it was given.
    at: Option<jiff::Timestamp>,
}

impl Answers {
    /// Reads all annotations of a scope's text pairs; of all when `None`.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn read(store: &Store, scope: Option<&str>) -> Result<Self> {
        let mut answers = Self::default();
        let mut known = Known::default();
        store.for_each_annotation(scope, |annotation| {
            answers.add(annotation, &mut known);
            Ok(())
        })?;
        Ok(answers)
    }

    /// Takes an annotation in; those of a pair come oldest first.
    fn add(&mut self, annotation: Annotation, known: &mut Known) {
        let Annotation { pair, annotator, skipped, verdict, sts, source_fix, target_fix, updated_at, .. } = annotation;
        if skipped || (verdict.is_none() && sts.is_none() && source_fix.is_none() && target_fix.is_none()) {
            return;
        }
        let next = u32::try_from(known.annotators.len()).unwrap_or(u32::MAX);
        let annotator = *known.annotators.entry(annotator).or_insert_with_key(|name| {
            self.annotators.push(name.clone());
            next
        });
        let verdict = verdict.and_then(|verdict| VERDICTS.iter().position(|known| *known == verdict));
        let verdict = verdict.and_then(|place| u32::try_from(place).ok());
        let fix = (source_fix.is_some() || target_fix.is_some()).then_some((source_fix, target_fix));
        let gold = annotation.ground_truth;
        let of = self.of.entry(pair).or_default();
        if known.pair != Some(pair) {
            known.pair = Some(pair);
            known.places.clear();
        }
        let place = *known.places.entry(annotator).or_insert(of.len());
        match of.get_mut(place) {
            // A similarity is another question: it leaves the verdict as it was.
            Some(older) if verdict.is_none() && fix.is_none() => older.sts = sts,
            Some(older) => *older = Answer { annotator, verdict, sts: sts.or(older.sts), fix, gold, at: updated_at },
            None => of.push(Answer { annotator, verdict, sts, fix, gold, at: updated_at }),
        }
    }

    fn weigh(&self, params: &Params) -> BTreeMap<PairId, Adjudication> {
        let estimate = (params.method == Method::DawidSkene).then(|| self.estimate()).flatten();
        let decide = |place: usize, votes: [u32; 3]| -> (Option<u32>, f64) {
            let people = votes.iter().sum::<u32>();
            let most = (0..3).max_by_key(|&verdict| (votes[verdict], 3 - verdict)).unwrap_or(0);
            let share = f64::from(votes[most]) / f64::from(people.max(1));
            let item = u32::try_from(place).unwrap_or(u32::MAX);
            let (verdict, confidence) = match (params.method, &estimate) {
                (Method::DawidSkene, Some(estimate)) => estimate.best(item),
                (Method::Manual, _) if share < 1.0 => return (None, share),
                _ => (most, share),
            };
            // Not for a rounding of one half.
            let stands = people > 0 && confidence > params.min_confidence + 1e-9;
            (stands.then(|| u32::try_from(verdict).unwrap_or(0)), confidence)
        };
        let weigh = |(place, (pair, answers)): (usize, (&PairId, &Vec<Answer>))| {
            let mut votes = [0; 3];
            answers.iter().filter_map(|answer| answer.verdict).for_each(|verdict| votes[verdict as usize] += 1);
            let gold = newest(answers.iter().filter(|answer| answer.gold));
            let (verdict, confidence) = match gold.and_then(|answer| answer.verdict) {
                Some(verdict) => (Some(verdict), 1.0),
                None => decide(place, votes),
            };
            let rated: Vec<f64> = match gold.and_then(|answer| answer.sts) {
                Some(sts) => vec![f64::from(sts)],
                None => answers.iter().filter_map(|answer| answer.sts).map(f64::from).collect(),
            };
            let adjudication = Adjudication {
                pair: *pair,
                verdict: verdict.map(|place| VERDICTS[place as usize].to_owned()),
                confidence,
                sts: (!rated.is_empty()).then(|| rated.iter().sum::<f64>() / rated.len() as f64),
                votes,
                gold: gold.is_some(),
                corrected: None,
            };
            (*pair, adjudication)
        };
        self.of.iter().enumerate().map(weigh).collect()
    }

    /// Accuracies and posteriors of the verdicts; gold answers are known. Items are places in [`Self::of`].
    pub fn estimate(&self) -> Option<dawid_skene::Estimate> {
        let (mut labels, mut known) = (Vec::new(), Vec::new());
        for (item, answers) in (0..).zip(self.of.values()) {
            labels.extend(
                answers
                    .iter()
                    .filter(|answer| !answer.gold)
                    .filter_map(|answer| Some(Label { item, annotator: answer.annotator, class: answer.verdict? })),
            );
            let gold = newest(answers.iter().filter(|answer| answer.gold)).and_then(|answer| answer.verdict);
            known.extend(gold.map(|verdict| (item, verdict)));
        }
        dawid_skene::dawid_skene(&labels, VERDICTS.len(), &known, &dawid_skene::Options::default())
    }
}

fn newest<'a>(answers: impl Iterator<Item = &'a Answer>) -> Option<&'a Answer> {
    answers.max_by_key(|answer| answer.at)
}

/// Both texts of a correction.
type Texts = (String, String);

/// Makes pairs of corrections, and says which they stand for. A corrected pair may be corrected itself, so this goes on
/// until nothing more comes of it.
fn corrections(
    store: &Store,
    languages: Languages,
    answers: &Answers,
    adjudications: &mut BTreeMap<PairId, Adjudication>,
) -> Result<Vec<Pair>> {
    let mut made: BTreeMap<PairId, Pair> = BTreeMap::new();
    let mut waiting: Vec<PairId> = answers
        .of
        .iter()
        .filter(|(_, of)| of.iter().any(|answer| answer.fix.is_some()))
        .map(|(pair, _)| *pair)
        .collect();
    loop {
        let before = waiting.len();
        let mut still = Vec::new();
        for id in waiting {
            let parent = match made.get(&id) {
                Some(pair) => Some(pair.clone()),
                None => store.uncorrected_pair(id)?,
            };
            let Some(parent) = parent else {
                still.push(id);
                continue;
            };
            let Some((texts, people, gold)) = chosen(&parent, &answers.of[&id]) else { continue };
            let pair = corrected(&parent, texts, languages);
            if let Some(own) = adjudications.get_mut(&id) {
                own.corrected = Some(pair.id);
                // Only its writing changed: as it is written now, it is right.
                if pair.id == id {
                    (own.verdict, own.confidence) = (Some(VERDICTS[0].to_owned()), 1.0);
                }
            }
            // What people say of the corrected pair itself goes before what its author thinks.
            adjudications.entry(pair.id).or_insert_with(|| Adjudication {
                pair: pair.id,
                verdict: Some(VERDICTS[0].to_owned()),
                confidence: 1.0,
                sts: None,
                votes: [people, 0, 0],
                gold,
                corrected: None,
            });
            made.insert(pair.id, pair);
        }
        if still.len() == before || still.is_empty() {
            return Ok(made.into_values().collect());
        }
        waiting = still;
    }
}

/// The correction that stands, how many people wrote it, and whether it is a gold answer's.
fn chosen(parent: &Pair, answers: &[Answer]) -> Option<(Texts, u32, bool)> {
    let old = (normalise(&parent.source.text), normalise(&parent.target.text));
    let texts = |answer: &Answer| -> Option<Texts> {
        let (source, target) = answer.fix.clone()?;
        let new = (
            source.map_or(old.0.clone(), |text| normalise(&text)),
            target.map_or(old.1.clone(), |text| normalise(&text)),
        );
        (new != old && !new.0.is_empty() && !new.1.is_empty()).then_some(new)
    };
    if let Some(gold) = newest(answers.iter().filter(|answer| answer.gold)) {
        return texts(gold).map(|texts| (texts, 1, true));
    }
    let mut written: BTreeMap<Texts, (u32, Option<jiff::Timestamp>)> = BTreeMap::new();
    let mut unchanged = 0;
    for answer in answers {
        match texts(answer) {
            Some(texts) => {
                let (people, at) = written.entry(texts).or_default();
                *people += 1;
                *at = (*at).max(answer.at);
            }
            None => unchanged += u32::from(answer.verdict.is_some()),
        }
    }
    let writers: u32 = written.values().map(|(people, _)| people).sum();
    let best = written.into_iter().max_by_key(|(_, (people, at))| (*people, *at))?;
    (writers >= unchanged).then_some((best.0, best.1.0, false))
}

/// The pair of a correction. It stands where its parent stands; no encoder has scored its texts.
fn corrected(parent: &Pair, (source, target): Texts, languages: Languages) -> Pair {
    let mut pair = Pair {
        id: text_pair(languages, &source, &target),
        origin: Origin::Corrected,
        scores: Scores::default(),
        score: 1.0,
        parent: Some(parent.id),
        ..parent.clone()
    };
    pair.source.text = source;
    pair.target.text = target;
    pair
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Language, Side};

    fn said(pair: i64, who: &str, verdict: &str, minute: u32) -> Annotation {
        Annotation {
            skipped: verdict.is_empty(),
            verdict: (!verdict.is_empty()).then(|| verdict.to_owned()),
            updated_at: format!("2026-01-01T00:{minute:02}:00Z").parse().ok(),
            ..Annotation::blank(PairId(pair), who, &format!("{pair} {who} {minute}"))
        }
    }

    fn answers(annotations: Vec<Annotation>) -> Answers {
        let (mut answers, mut known) = (Answers::default(), Known::default());
        annotations.into_iter().for_each(|annotation| answers.add(annotation, &mut known));
        answers
    }

    fn verdict(annotations: Vec<Annotation>, method: Method) -> Option<String> {
        let params = Params { method, ..Params::default() };
        answers(annotations).weigh(&params).remove(&PairId(1)).unwrap().verdict
    }

    #[test]
    fn the_newest_word_of_each_counts_and_a_tie_decides_nothing() {
        let three = vec![said(1, "a", "no", 1), said(1, "b", "yes", 2), said(1, "c", "yes", 3)];
        assert_eq!(verdict(three.clone(), Method::Majority).as_deref(), Some("yes"));
        let mut changed = three.clone();
        changed.push(said(1, "b", "no", 4));
        assert_eq!(verdict(changed, Method::Majority).as_deref(), Some("no"));
        let mut skipped = three.clone();
        skipped.push(said(1, "b", "", 4));
        assert_eq!(verdict(skipped, Method::Majority).as_deref(), Some("yes"), "passing by takes no word back");
        assert_eq!(verdict(vec![said(1, "a", "no", 1), said(1, "b", "yes", 2)], Method::Majority), None);
        assert_eq!(verdict(three, Method::Manual), None);
        assert_eq!(verdict(vec![said(1, "a", "no", 1)], Method::Manual).as_deref(), Some("no"));
    }

    #[test]
    fn a_gold_answer_decides_alone() {
        let gold = Annotation { ground_truth: true, ..said(1, "owner", "no", 1) };
        for method in [Method::Majority, Method::DawidSkene, Method::Manual] {
            let all = vec![gold.clone(), said(1, "a", "yes", 2), said(1, "b", "yes", 3)];
            assert_eq!(verdict(all, method).as_deref(), Some("no"), "{method:?}");
        }
    }

    #[test]
    fn who_is_often_wrong_weighs_less() {
        // c says yes to everything; on nine other pairs a and b agree that a third is wrong.
        let mut all = Vec::new();
        for pair in 2..=30 {
            let truth = if pair % 3 == 0 { "no" } else { "yes" };
            all.extend([said(pair, "a", truth, 1), said(pair, "b", truth, 2), said(pair, "c", "yes", 3)]);
        }
        let disputed = vec![said(1, "a", "no", 1), said(1, "c", "yes", 3)];
        assert_eq!(verdict(disputed.clone(), Method::Majority), None);
        all.extend(disputed);
        assert_eq!(verdict(all, Method::DawidSkene).as_deref(), Some("no"));
    }

    #[test]
    fn similarities_are_averaged_and_leave_the_verdict() {
        let sts =
            |who: &str, sts: u8| Annotation { sts: Some(sts), verdict: None, skipped: false, ..said(1, who, "", 5) };
        let all = answers(vec![said(1, "a", "yes", 1), sts("a", 5), sts("b", 2)]);
        let word = all.weigh(&Params::default()).remove(&PairId(1)).unwrap();
        assert_eq!((word.sts, word.verdict.as_deref(), word.votes), (Some(3.5), Some("yes"), [1, 0, 0]));
    }

    #[test]
    fn the_correction_of_most_people_wins_unless_more_changed_nothing() {
        let side = |text: &str| Side { document: None, sentences: Vec::new(), text: text.into() };
        let (source, target) = (side("Он подписал."), side("Ol gol çekdi."));
        let parent = Pair {
            id: PairId(1),
            source,
            target,
            origin: Origin::Aligned,
            scores: Scores::of_encoder(Some(0.5), Some(1.1)),
            score: 0.7,
            parent: None,
        };
        let fixed = |who: &str, text: &str, minute| Annotation {
            target_fix: Some(text.into()),
            ..said(1, who, "partly", minute)
        };
        let of = |all: Vec<Annotation>| answers(all).of.remove(&PairId(1)).unwrap();
        let both =
            of(vec![fixed("a", "Ol gol goýdy.", 1), fixed("b", "Ol gol  goýdy.", 2), fixed("c", "Gol çekdi.", 3)]);
        let ((_, target), people, gold) = chosen(&parent, &both).unwrap();
        assert_eq!((target.as_str(), people, gold), ("Ol gol goýdy.", 2, false));
        assert!(chosen(&parent, &of(vec![fixed("a", "Ol gol çekdi.", 1)])).is_none(), "the same text");
        let outvoted = vec![fixed("a", "Ol gol goýdy.", 1), said(1, "b", "yes", 2), said(1, "c", "yes", 3)];
        assert!(chosen(&parent, &of(outvoted)).is_none());

        let languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };
        let pair = corrected(&parent, ("Он подписал.".into(), "Ol gol goýdy.".into()), languages);
        assert_eq!((pair.parent, pair.origin, pair.similarity()), (Some(PairId(1)), Origin::Corrected, None));
        assert_ne!(pair.id, parent.id);
    }
}
