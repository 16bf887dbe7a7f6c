//! Calibration: from a pair's figures to the probability that it is a translation, for one encoder and one pair of
//! languages.
//!
//! Examples are pairs that people judged, pairs that alignment or mining is sure of, taken for right, and such pairs
//! made wrong by a small change ([`spoil`]), a set share of them. So the probability answers: would a person find this
//! right, if that share of what looks sure were wrong in such ways? The more pairs are annotated, the less it leans on
//! what was made.
//!
//! A logistic regression turns the figures ([`FIGURES`]) into log-odds, and, if asked for, an isotonic curve those into
//! a probability. How far it can be trusted is measured on examples held out, five times over.
//!
//! A spoiled side gets a vector of its own. Its margin is the pair's, by as much lower as its cosine is: one changed word
//! leaves the neighbours nearly what they were, and searching for them would cost as much as mining does.

pub mod spoil;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use spoil::Damage;

use super::filter::measure;
use super::{Commit, Ctx, Inputs, Languages, Listing, Look, Progress, Settings, Stage, Unit, extract, table};
use crate::algo::isotonic::Isotonic;
use crate::algo::regression::{Regression, probability};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::metric::reliability::{Reliability, reliability};
use crate::model::{Encoder, ModelId};
use crate::record::{Adjudication, Features, Language, Pair, PairId, Sentence};
use crate::store::Store;
use crate::store::table::Table;
use crate::text::names;

/// Raised when the same pairs give another calibration.
pub const VERSION: u32 = 2;

/// The stage.
#[derive(Debug)]
pub struct Calibrate;

/// Its unit, and the name under which the calibration is kept, followed by the scope.
pub const ARTEFACT: &str = "calibration";

/// What the probability is computed from, in the order of the weights.
pub const FIGURES: [&str; 5] =
    ["similarity", "margin", "logarithm of the length ratio", "numbers on one side only", "names on one side only"];

/// Parts of the examples; each is held out once.
const FOLDS: usize = 5;
/// Bins of the reliability diagram.
const BINS: usize = 10;
/// Fewer examples of either kind say nothing.
const LEAST: usize = 20;
/// Standard deviations of the prior on the weights, squared and inverted.
const PRIOR: f64 = 1.0;

/// How log-odds become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By the logistic curve itself: smooth, and good with few examples.
    Logistic,
    /// By a rising curve of any form: for a thousand examples and more.
    Isotonic,
}

/// What changes a calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// How log-odds become probabilities.
    pub method: Method,
    /// The score from which an aligned or mined pair is taken for right, 0 to 1.
    pub sure_score: f32,
    /// How many such pairs are taken at most.
    pub sure_pairs: u32,
    /// The share of them that is made wrong, 0 to 1: what one would guess of the pairs that come to the filter.
    pub spoiled: f64,
    /// Whether a pair that people call partly right counts as right; else it counts for nothing.
    pub partly_is_right: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { method: Method::Logistic, sure_score: 0.9, sure_pairs: 2_000, spoiled: 0.2, partly_is_right: false }
    }
}

/// A calibration, with what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The encoder whose similarities and margins it takes.
    pub model: String,
    /// Source language.
    pub source: Language,
    /// Target language.
    pub target: Language,
    /// How log-odds become probabilities.
    pub method: Method,
    /// Sure pairs taken for right.
    pub sure: usize,
    /// Pairs that people judged.
    pub annotated: usize,
    /// Pairs made wrong, by what was done to them.
    pub spoiled: BTreeMap<Damage, usize>,
    /// On examples held out.
    pub reliability: Reliability,
    /// The share of pairs, one right and one wrong, held out, of which the right one has the higher probability: .5 is
    /// chance, 1 is best (area under the ROC curve).
    pub auc: f64,
    /// What a threshold at each hundredth keeps of them, from 0 up; thresholds that keep too few to tell are left out.
    pub thresholds: Vec<Threshold>,
    regression: Regression,
    isotonic: Option<Isotonic>,
}

/// What a threshold on the probability keeps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The lowest probability that passes, 0 to 1.
    pub at: f32,
    /// The share of right ones among those that pass, 0 to 1.
    pub precision: f32,
    /// The share of the right ones that pass, 0 to 1.
    pub recall: f32,
}

impl Calibration {
    /// The probability that a pair is a translation, 0 to 1; `None` for a pair that no encoder has scored.
    pub fn probability(&self, pair: &Pair, features: &Features) -> Option<f32> {
        self.told(pair.similarity(), pair.margin(), features)
    }

    /// The same from a pair's cosine and margin.
    pub fn told(&self, similarity: Option<f32>, margin: Option<f32>, features: &Features) -> Option<f32> {
        let figures = figures(f64::from(similarity?), f64::from(margin?), features);
        let log_odds = self.regression.log_odds(&figures);
        let told = self.isotonic.as_ref().map_or_else(|| probability(log_odds), |curve| curve.value(log_odds));
        #[expect(clippy::cast_possible_truncation, reason = "a probability")]
        Some(told as f32)
    }

    /// The lowest threshold whose precision is at least this, 0 to 1; `None`: none is known to reach it.
    pub fn threshold(&self, precision: f32) -> Option<Threshold> {
        self.thresholds.iter().find(|threshold| threshold.precision >= precision).copied()
    }

    /// What one standard deviation of each figure adds to the log-odds.
    pub fn weights(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        FIGURES.into_iter().zip(self.regression.weights.iter().copied())
    }
}

/// What each hundredth keeps of examples, given with their probabilities.
#[expect(clippy::cast_possible_truncation, reason = "shares")]
fn thresholds(told: &[(f64, bool)]) -> Vec<Threshold> {
    let right = told.iter().filter(|(_, right)| *right).count().max(1);
    (0..100)
        .map(|step| f64::from(step) / 100.0)
        .filter_map(|at| {
            let passing = told.iter().filter(|(probability, _)| *probability >= at);
            let (mut all, mut good) = (0_usize, 0_usize);
            passing.for_each(|(_, right)| (all, good) = (all + 1, good + usize::from(*right)));
            (all >= LEAST).then_some(Threshold {
                at: at as f32,
                precision: (good as f64 / all as f64) as f32,
                recall: (good as f64 / right as f64) as f32,
            })
        })
        .collect()
}

/// The name under which a language pair's calibration is kept.
pub fn artefact(languages: Languages) -> String {
    format!("{ARTEFACT}/{languages}")
}

/// The names of all that is kept of a language pair's calibration.
pub fn artefacts(scope: &str) -> [String; 2] {
    [format!("{ARTEFACT}/{scope}"), format!("{BASIS}/{scope}")]
}

/// The calibration of a language pair in the store; `None`: none was made, for want of examples.
///
/// # Errors
/// Kind `Store`.
pub fn stored(store: &Store, languages: Languages) -> Result<Option<Calibration>> {
    let Some(data) = store.artefact(&artefact(languages))? else { return Ok(None) };
    serde_json::from_slice(&data).context(ErrorKind::Store, || format!("reading the calibration of {languages}"))
}

/// The calibration of a language pair for similarities and margins of an encoder; `None`: none was made for this one.
///
/// # Errors
/// Kind `Store`.
pub fn stored_for(store: &Store, languages: Languages, model: Option<&ModelId>) -> Result<Option<Calibration>> {
    let fits = |found: &Calibration| {
        model.is_some_and(|model| model.0 == found.model)
            && (found.source, found.target) == (languages.source, languages.target)
    };
    Ok(stored(store, languages)?.filter(fits))
}

fn figures(similarity: f64, margin: f64, features: &Features) -> Vec<f64> {
    let missing = features.names_missing.len() as f64 / f64::from(features.names.max(1));
    // A list that lost its numbers is no worse than a sentence that lost three.
    let numbers = features.numbers.len().min(3) as f64;
    // Ratios of cosines near nothing grow without a bound and tell nothing by it.
    vec![similarity, margin.clamp(0.0, 4.0), f64::from(features.length_ratio).ln(), numbers, missing]
}

impl Stage for Calibrate {
    fn name(&self) -> &'static str {
        "calibrate"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "curve"
    }

    fn after(&self) -> &'static [&'static str] {
        &["segment", "align", "mine", "adjudicate"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::TextPair, Table::Occurrence, Table::Adjudication, Table::Task, Table::Sentence, Table::Artefact]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Artefact]
    }

    fn uses_model(&self) -> bool {
        true
    }

    fn parallel(&self) -> bool {
        false
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({
            "calibrate": table(settings.get::<Params>()?)?,
            "candidates": table(&settings.get::<extract::Params>()?.languages)?,
        }))
    }

    /// The one calibration of a scope.
    ///
    /// Every run changes some text pairs, and a new curve moves the probability of all. So the curve stays while its
    /// evidence is nearly the same: until 5 % of its sure pairs, or of its adjudications, are others.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let Some(model) = ctx.model()? else { return Ok(Listing::Idle) };
        let store = ctx.store()?;
        let look = ctx.look(&store)?;
        let basis = Basis::now(&look, ctx.settings::<Params>()?, &model)?;
        let known = stored_basis(&store, look.languages)?;
        let basis = known.filter(|known| known.is_near(&basis)).unwrap_or(basis);
        // Sentences beside a sure pair, and the strategy of a question, are evidence of the same pairs.
        let evidence = [Table::TextPair, Table::Occurrence, Table::Adjudication, Table::Task, Table::Sentence];
        let inputs = Inputs::new().tables(&evidence, &super::fingerprint(&basis)?).model(&model);
        Ok(Listing::All(vec![Unit::new(ARTEFACT, inputs)]))
    }

    /// Gathers examples, encodes the spoiled ones, and fits.
    fn run(&self, ctx: &Ctx<'_>, _unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let model = ctx.model()?.ok_or_else(|| Error::bug("calibration without an encoder"))?;
        let (store, params) = (ctx.store()?, ctx.settings::<Params>()?);
        let look = ctx.look(&store)?;
        let candidates = &ctx.settings::<extract::Params>()?.languages;
        let encoder = ctx.encoder()?;
        let examples = Examples::gather(&look, params, candidates, &mut **encoder.lock(), progress)?;
        let basis = Basis::now(&look, params, &model)?;
        let fitted = examples.fit(params, model.0, look.languages);
        let data = serde_json::to_vec(&fitted).context(ErrorKind::Bug, || "writing the calibration".into())?;
        let basis = serde_json::to_vec(&basis).context(ErrorKind::Bug, || "writing what it rests on".into())?;
        let content = blake3::hash(&data).to_hex().to_string();
        let (name, basis_name) = (artefact(look.languages), basis_artefact(look.languages));
        Ok(Commit::of(&content, move |writer, _| {
            writer.put_artefact(&name, &data)?;
            writer.put_artefact(&basis_name, &basis)
        })?
        .count("sure pairs", examples.sure as f64)
        .count("annotated pairs", examples.annotated as f64)
        .count("spoiled pairs", examples.spoiled.values().sum::<usize>() as f64))
    }
}

/// The share of the evidence that must change for a calibration to be made anew.
const REFIT: f64 = 0.05;

/// What a calibration rests on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Basis {
    model: String,
    /// Sure text pairs, sorted.
    sure: Vec<PairId>,
    /// Text pairs that people decided on, and a hash of what they decided; sorted.
    adjudicated: Vec<(PairId, PairId)>,
}

impl Basis {
    fn now(look: &Look<'_>, params: &Params, model: &ModelId) -> Result<Self> {
        let scope = look.scope();
        let mut sure: Vec<PairId> =
            look.store.sure_pairs(&scope, params.sure_score, params.sure_pairs)?.iter().map(|pair| pair.id).collect();
        sure.sort_unstable();
        let mut adjudicated = Vec::new();
        for one in look.store.adjudications(&scope)? {
            let content = serde_json::to_vec(&one).context(ErrorKind::Bug, || "hashing an adjudication".into())?;
            adjudicated.push((one.pair, PairId::of(&[&content])));
        }
        adjudicated.sort_unstable();
        Ok(Self { model: model.0.clone(), sure, adjudicated })
    }

    /// Whether so little changed that a calibration stands.
    fn is_near(&self, now: &Self) -> bool {
        self.model == now.model && is_near(&self.sure, &now.sure) && is_near(&self.adjudicated, &now.adjudicated)
    }
}

/// Whether under [`REFIT`] of either list is missing in the other. Both are sorted.
fn is_near<T: Ord>(one: &[T], other: &[T]) -> bool {
    let both = one.iter().filter(|item| other.binary_search(item).is_ok()).count();
    let most = one.len().max(other.len());
    (most - both) as f64 <= REFIT * most as f64
}

fn stored_basis(store: &Store, languages: Languages) -> Result<Option<Basis>> {
    let Some(data) = store.artefact(&basis_artefact(languages))? else { return Ok(None) };
    serde_json::from_slice(&data).context(ErrorKind::Store, || "reading what the calibration rests on".into())
}

fn basis_artefact(languages: Languages) -> String {
    format!("{BASIS}/{languages}")
}

/// What the name of a calibration's basis begins with.
const BASIS: &str = "calibration basis";

/// Adjudicated text pairs that an encoder scored, and whether they are right.
///
/// Questions chosen by score (`uncertain`, `disagreement`) say what people think of doubtful pairs, not of pairs: answers to
/// them count only where the others are too few to learn from.
fn unbiased(look: &Look<'_>, params: &Params, adjudications: Vec<Adjudication>) -> Result<Vec<(Pair, bool)>> {
    let by_score = look.store.asked_by_score(&look.scope())?;
    let (mut any, mut biased) = (Vec::new(), Vec::new());
    for one in adjudications {
        let Some(pair) = look.store.pair(one.pair)?.filter(|pair| pair.similarity().is_some()) else { continue };
        let partly = params.partly_is_right && one.verdict.as_deref() == Some("partly");
        let Some(right) = (if partly { Some(true) } else { one.is_right() }) else { continue };
        if by_score.contains(&one.pair) { biased.push((pair, right)) } else { any.push((pair, right)) }
    }
    let right = any.iter().filter(|(_, right)| *right).count();
    if right < LEAST || any.len() - right < LEAST {
        any.append(&mut biased);
    }
    Ok(any)
}

/// Labelled figures, in an order that does not depend on how they were found.
#[derive(Debug, Default)]
struct Examples {
    all: Vec<(Vec<f64>, bool)>,
    sure: usize,
    annotated: usize,
    spoiled: BTreeMap<Damage, usize>,
}

/// A sure pair and what becomes of it.
struct Spoiled {
    pair: Pair,
    damage: Damage,
    /// Both sides afterwards.
    texts: (String, String),
}

impl Examples {
    fn gather(
        look: &Look<'_>,
        params: &Params,
        candidates: &[Language],
        encoder: &mut dyn Encoder,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let measured = |source: &str, target: &str| measure::features(source, target, look.languages, candidates);
        let mut examples = Self::default();
        let adjudications = look.store.adjudications(&look.scope())?;
        let annotated: HashSet<PairId> = adjudications.iter().map(|one| one.pair).collect();
        for (pair, right) in unbiased(look, params, adjudications)? {
            progress.check()?;
            let (Some(similarity), Some(margin)) = (pair.similarity(), pair.margin()) else {
                continue;
            };
            let features = measured(&pair.source.text, &pair.target.text);
            examples.all.push((figures(f64::from(similarity), f64::from(margin), &features), right));
            examples.annotated += 1;
        }
        let mut sure = look.store.sure_pairs(&look.scope(), params.sure_score, params.sure_pairs)?;
        sure.retain(|pair| !annotated.contains(&pair.id));
        let (mut whole, mut chosen) = (Vec::new(), Vec::new());
        for (place, pair) in sure.into_iter().enumerate() {
            // As evenly among the others as the share allows.
            let so_far = |count: usize| (count as f64 * params.spoiled).floor();
            if so_far(place + 1) > so_far(place) { chosen.push(pair) } else { whole.push(pair) }
        }
        for pair in &whole {
            progress.check()?;
            let (Some(similarity), Some(margin)) = (pair.similarity(), pair.margin()) else { continue };
            let features = measured(&pair.source.text, &pair.target.text);
            examples.all.push((figures(f64::from(similarity), f64::from(margin), &features), true));
            examples.sure += 1;
        }
        let spoiled = spoil_all(look, chosen, &whole)?;
        for (spoiled, change) in changes(encoder, look.languages, spoiled)? {
            let (Some(similarity), Some(margin)) = (spoiled.pair.similarity(), spoiled.pair.margin()) else {
                continue;
            };
            let features = measured(&spoiled.texts.0, &spoiled.texts.1);
            let (similarity, margin) = (f64::from(similarity) + change.cosine, f64::from(margin) * change.share);
            examples.all.push((figures(similarity, margin, &features), false));
            *examples.spoiled.entry(spoiled.damage).or_insert(0) += 1;
        }
        Ok(examples)
    }

    /// The calibration; `None` for too few examples.
    fn fit(&self, params: &Params, model: String, languages: Languages) -> Option<Calibration> {
        let right = self.all.iter().filter(|(_, right)| *right).count();
        if right < LEAST || self.all.len() - right < LEAST {
            return None;
        }
        let isotonic = |log_odds: &[(f64, bool)]| {
            let labelled: Vec<_> = log_odds.iter().map(|(x, right)| (*x, f64::from(u8::from(*right)), 1.0)).collect();
            Isotonic::fit(&labelled)
        };
        let (mut held_out, mut held_log_odds) = (Vec::new(), Vec::new());
        for fold in 0..FOLDS {
            let part = |own: bool| {
                self.all.iter().enumerate().filter(move |(i, _)| (i % FOLDS == fold) == own).map(|(_, e)| e)
            };
            let others: Vec<_> = part(false).cloned().collect();
            let regression = Regression::fit(&others, PRIOR)?;
            let known: Vec<_> = others.iter().map(|(x, right)| (regression.log_odds(x), *right)).collect();
            let curve = (params.method == Method::Isotonic).then(|| isotonic(&known)).flatten();
            for (x, right) in part(true) {
                let log_odds = regression.log_odds(x);
                let told = curve.as_ref().map_or_else(|| probability(log_odds), |curve| curve.value(log_odds));
                held_out.push((told, *right));
                held_log_odds.push((log_odds, *right));
            }
        }
        Some(Calibration {
            model,
            source: languages.source,
            target: languages.target,
            method: params.method,
            sure: self.sure,
            annotated: self.annotated,
            spoiled: self.spoiled.clone(),
            reliability: reliability(&held_out, BINS)?,
            auc: crate::metric::reliability::auc(&held_out)?,
            thresholds: thresholds(&held_out),
            regression: Regression::fit(&self.all, PRIOR)?,
            // Of log-odds held out: on its own examples the regression is surer than it may be.
            isotonic: (params.method == Method::Isotonic).then(|| isotonic(&held_log_odds)).flatten(),
        })
    }
}

/// Makes pairs wrong, the kinds of damage by turns; a kind that finds no hold passes its turn on.
fn spoil_all(look: &Look<'_>, pairs: Vec<Pair>, others: &[Pair]) -> Result<Vec<Spoiled>> {
    let others: Vec<&str> = others.iter().flat_map(|pair| names::names(&pair.target.text)).collect();
    let mut spoiled = Vec::new();
    for (turn, pair) in pairs.into_iter().enumerate() {
        for kind in 0..Damage::ALL.len() {
            let damage = Damage::ALL[(turn + kind) % Damage::ALL.len()];
            if let Some(texts) = spoil(look, &pair, damage, &others, turn)? {
                spoiled.push(Spoiled { pair, damage, texts });
                break;
            }
        }
    }
    Ok(spoiled)
}

/// Both texts of a pair after the damage; the target is tried first.
fn spoil(
    look: &Look<'_>,
    pair: &Pair,
    damage: Damage,
    names: &[&str],
    turn: usize,
) -> Result<Option<(String, String)>> {
    let (source, target) = (pair.source.text.as_str(), pair.target.text.as_str());
    let on_target = |changed: Option<String>| changed.map(|changed| (source.to_owned(), changed));
    Ok(match damage {
        Damage::Number => on_target(spoil::number(target)),
        Damage::Name => {
            let from = turn % names.len().max(1);
            on_target(spoil::name(target, names.iter().skip(from).chain(names).copied()))
        }
        Damage::Negation => on_target(spoil::negation(target, look.languages.target)).or_else(|| {
            let changed = spoil::negation(source, look.languages.source)?;
            Some((changed, target.to_owned()))
        }),
        Damage::Neighbour => on_target(next_to(look, pair)?.map(|sentence| sentence.text)),
    })
}

/// The sentence after a pair's target side, or else the one before it.
fn next_to(look: &Look<'_>, pair: &Pair) -> Result<Option<Sentence>> {
    let Some(document) = pair.target.document else { return Ok(None) };
    let sentences = look.store.sentences(document)?;
    let at = |wanted| sentences.iter().position(|sentence| Some(&sentence.id) == wanted);
    let (Some(first), Some(last)) = (at(pair.target.sentences.first()), at(pair.target.sentences.last())) else {
        return Ok(None);
    };
    let near = sentences.get(last + 1).or_else(|| sentences.get(first.checked_sub(1)?));
    Ok(near.filter(|sentence| sentence.text != pair.target.text).cloned())
}

/// What spoiling does to a pair's figures.
struct Change {
    /// Added to the cosine.
    cosine: f64,
    /// The cosine as a share of what it was.
    share: f64,
}

/// Each spoiled pair with what that does to its figures.
fn changes(encoder: &mut dyn Encoder, languages: Languages, spoiled: Vec<Spoiled>) -> Result<Vec<(Spoiled, Change)>> {
    if spoiled.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<(Language, &str)> = spoiled
        .iter()
        .flat_map(|one| {
            [
                (languages.source, one.pair.source.text.as_str()),
                (languages.target, one.pair.target.text.as_str()),
                (languages.source, one.texts.0.as_str()),
                (languages.target, one.texts.1.as_str()),
            ]
        })
        .collect();
    let encoded = encoder.encode_tagged(&texts)?;
    let rows: Vec<Option<&[f32]>> = encoded.by_text().collect();
    let cosine = |a: usize, b: usize| -> Option<f64> {
        let (a, b) = (rows.get(a).copied().flatten()?, rows.get(b).copied().flatten()?);
        Some(a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
    };
    // One of which a side has no vector (its words are gone) says nothing of figures.
    let change = |place: usize| -> Option<Change> {
        let (whole, after) = (cosine(4 * place, 4 * place + 1)?, cosine(4 * place + 2, 4 * place + 3)?);
        // A cosine of about nothing has no shares.
        Some(Change { cosine: after - whole, share: (after / whole.max(0.02)).clamp(0.0, 1.5) })
    };
    let changes: Vec<Option<Change>> = (0..spoiled.len()).map(change).collect();
    Ok(spoiled.into_iter().zip(changes).filter_map(|(spoiled, change)| Some((spoiled, change?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Right pairs around a similarity of .8, wrong ones around .5, with some overlap.
    fn examples(count: usize) -> Examples {
        let all = (0..count)
            .map(|i| {
                let right = i % 4 != 0;
                let noise = (i * 37 % 101) as f64 / 101.0 * 0.5 - 0.25;
                let similarity = if right { 0.8 } else { 0.5 } + noise;
                (vec![similarity, 1.0 + similarity, 0.1, 0.0, 0.0], right)
            })
            .collect();
        Examples { all, sure: count, ..Examples::default() }
    }

    fn fitted(method: Method, count: usize) -> Option<Calibration> {
        let params = Params { method, ..Params::default() };
        let languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };
        examples(count).fit(&params, "lexical".into(), languages)
    }

    #[test]
    fn both_methods_tell_what_held_out_examples_bear_out() {
        for method in [Method::Logistic, Method::Isotonic] {
            let found = fitted(method, 2_000).unwrap();
            let reliability = &found.reliability;
            assert_eq!(reliability.count, 2_000, "each example is held out once");
            // The noise is even, which no logistic curve fits.
            let most = if method == Method::Logistic { 0.1 } else { 0.05 };
            assert!(reliability.ece < most, "{method:?}: {reliability:?}");
            assert!(reliability.brier < 0.6 * reliability.brier_of_mean && found.auc > 0.9, "{method:?}");
        }
    }

    #[test]
    fn a_higher_threshold_keeps_fewer_and_a_precision_finds_the_lowest() {
        let found = fitted(Method::Isotonic, 2_000).unwrap();
        let first = found.thresholds[0];
        assert!((first.at, first.recall) == (0.0, 1.0) && (first.precision - 0.75).abs() < 1e-6, "{first:?}");
        assert!(found.thresholds.windows(2).all(|pair| pair[1].recall <= pair[0].recall));
        let chosen = found.threshold(0.95).unwrap();
        assert!(chosen.precision >= 0.95 && chosen.recall > 0.5, "{chosen:?}");
        let below = found.thresholds.iter().filter(|threshold| threshold.at < chosen.at);
        assert!(below.into_iter().all(|threshold| threshold.precision < 0.95));
        assert_eq!(found.threshold(1.1), None);
    }

    #[test]
    fn too_few_examples_make_no_calibration() {
        assert!(fitted(Method::Logistic, 40).is_none());
        assert!(fitted(Method::Logistic, 200).is_some());
    }

    #[test]
    fn a_little_other_evidence_leaves_the_curve() {
        let basis = |pairs: std::ops::Range<i64>| Basis { sure: pairs.map(PairId).collect(), ..Basis::default() };
        assert!(basis(0..100).is_near(&basis(5..105)), "5 of 100 are others");
        assert!(!basis(0..100).is_near(&basis(6..106)));
        assert!(!basis(0..100).is_near(&basis(0..200)), "it grew");
        assert!(basis(0..0).is_near(&basis(0..0)));
        let other = Basis { model: "another".into(), ..basis(0..100) };
        assert!(!basis(0..100).is_near(&other));
        let answered = Basis { adjudicated: vec![(PairId(1), PairId(2))], ..basis(0..100) };
        assert!(!basis(0..100).is_near(&answered), "the first answer");
    }

    #[test]
    fn it_comes_back_from_the_store_as_it_was() {
        let found = fitted(Method::Isotonic, 400).unwrap();
        let data = serde_json::to_vec(&Some(&found)).unwrap();
        assert_eq!(serde_json::from_slice::<Option<Calibration>>(&data).unwrap().unwrap(), found);
        let none: Option<Calibration> = serde_json::from_slice(b"null").unwrap();
        assert!(none.is_none());
    }
}
