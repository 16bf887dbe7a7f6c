//! Filtering: every pair gets a verdict, every drop its rule and what the rule saw. Nothing is deleted.
//!
//! The rules are asked in the order of `DropReason::ALL`; the first that objects is the reason. What people said of a
//! pair outweighs every rule, for it and against it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Languages, Listing, Look, Output, Records, Unit, Work, combined};
use crate::error::{Error, Result};
use crate::record::{Annotation, Drop, DropReason, Language, Origin, Pair, PairId};
use crate::text::{language, normalise, numbers};

/// Raised when the same pairs get other verdicts.
pub const VERSION: u32 = 1;

/// The rules' limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// The lowest score of an aligned pair, 0 to 1: the posterior of its bead.
    pub min_aligned_score: f32,
    /// The lowest score of a mined pair, 0 to 1: its calibrated probability.
    pub min_mined_score: f32,
    /// The fewest characters of a side.
    pub min_chars: usize,
    /// The most characters of a side.
    pub max_chars: usize,
    /// How many times longer one side may be, counted in characters with 15 added to each.
    pub max_length_ratio: f32,
    /// From this confidence on a side counts as written in another language, 0 to 1.
    pub language_confidence: f32,
    /// How many numbers the sides may disagree on.
    pub max_number_mismatches: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            min_aligned_score: 0.5,
            min_mined_score: 0.9,
            min_chars: 5,
            max_chars: 1_000,
            max_length_ratio: 2.2,
            language_confidence: 0.8,
            max_number_mismatches: 0,
        }
    }
}

/// Everything that made pairs: one unit for each of its units.
///
/// # Errors
/// Kind `Store`.
pub fn units(look: &Look<'_>) -> Result<Listing> {
    let annotated = look.store.annotated_pairs()?;
    let mut by_unit: HashMap<(String, String), Vec<PairId>> = HashMap::new();
    for (pair, owner) in look.store.owners(annotated.keys().copied())? {
        by_unit.entry(owner).or_default().push(pair);
    }
    let mut units = Vec::new();
    for (stage, unit) in look.store.pair_units()? {
        let Some(output) = look.store.unit_output(&stage, &unit)? else { continue };
        let mut judged = by_unit.remove(&(stage.clone(), unit.clone())).unwrap_or_default();
        judged.sort();
        let mut annotations = Vec::new();
        for pair in judged {
            annotations.extend(look.store.annotations(pair)?);
        }
        let input = combined(&[&output, &super::fingerprint(&annotations)?]);
        units.push(Unit::new(format!("{stage}/{unit}"), input));
    }
    Ok(Listing::All(units))
}

/// Reads a unit's pairs and their annotations; the rules run on any thread.
///
/// # Errors
/// Kind `Store`.
pub fn prepare(look: &Look<'_>, params: &Params, candidates: &[Language], unit: &Unit) -> Result<Work> {
    let (stage, name) =
        unit.name.split_once('/').ok_or_else(|| Error::bug(format!("{:?} names no unit", unit.name)))?;
    let pairs = look.store.pairs_of(stage, name)?;
    let mut annotations = HashMap::new();
    for pair in &pairs {
        annotations.insert(pair.id, look.store.annotations(pair.id)?);
    }
    let input = unit.input.clone();
    let rules = Rules { params: params.clone(), languages: look.languages, candidates: candidates.to_vec() };
    Ok(Box::new(move || {
        let verdicts: Vec<_> = pairs
            .iter()
            .map(|pair| {
                let drop = rules.judge(pair, annotations.get(&pair.id).map_or(&[][..], Vec::as_slice));
                (pair.id, fold(pair), drop)
            })
            .collect();
        let kept = verdicts.iter().filter(|(.., drop)| drop.is_none()).count() as f64;
        // Scores decide among duplicates, so a change of them must reach the next stage even if no verdict changes.
        let content = serde_json::json!((&input, &verdicts));
        Ok(Output::of(Records::Verdicts(verdicts), &content)?.count("pairs that pass", kept))
    }))
}

/// Hash of both sides without case, punctuation and accents of the encoding.
fn fold(pair: &Pair) -> i64 {
    PairId::of(&[normalise::fold(&pair.source.text).as_bytes(), normalise::fold(&pair.target.text).as_bytes()]).0
}

struct Rules {
    params: Params,
    languages: Languages,
    /// The languages that a side may be mistaken for.
    candidates: Vec<Language>,
}

impl Rules {
    fn judge(&self, pair: &Pair, annotations: &[Annotation]) -> Option<Drop> {
        match majority(annotations) {
            Some(true) => return None,
            Some(false) => {
                let detail = format!("{} of {} annotators say no", count(annotations, "no"), latest(annotations).len());
                return Some(Drop { reason: DropReason::Annotator, detail });
            }
            None => {}
        }
        let rules: [fn(&Self, &Pair) -> Option<Drop>; 6] =
            [Self::identical, Self::language, Self::length, Self::length_ratio, Self::numbers, Self::score];
        rules.iter().find_map(|rule| rule(self, pair))
    }

    fn identical(&self, pair: &Pair) -> Option<Drop> {
        let same = normalise::fold(&pair.source.text) == normalise::fold(&pair.target.text);
        same.then(|| Drop { reason: DropReason::Identical, detail: "both sides are the same text".into() })
    }

    fn language(&self, pair: &Pair) -> Option<Drop> {
        let sides = [
            ("source", &pair.source.text, self.languages.source),
            ("target", &pair.target.text, self.languages.target),
        ];
        sides.into_iter().find_map(|(side, text, expected)| {
            if let Some(script) = language::main_script(text).filter(|script| *script != expected.script()) {
                let detail = format!("the {side} is in {script:?} letters, expected {expected}");
                return Some(Drop { reason: DropReason::Language, detail });
            }
            let guess = language::identify(text, &self.candidates)?;
            (guess.language != expected && guess.confidence >= self.params.language_confidence).then(|| Drop {
                reason: DropReason::Language,
                detail: format!("the {side} is {} ({:.2}), expected {expected}", guess.language, guess.confidence),
            })
        })
    }

    fn length(&self, pair: &Pair) -> Option<Drop> {
        [("source", &pair.source.text), ("target", &pair.target.text)].into_iter().find_map(|(side, text)| {
            let chars = text.chars().count();
            let (least, most) = (self.params.min_chars, self.params.max_chars);
            (chars < least || chars > most).then(|| Drop {
                reason: DropReason::Length,
                detail: format!("the {side} has {chars} characters, allowed are {least} to {most}"),
            })
        })
    }

    fn length_ratio(&self, pair: &Pair) -> Option<Drop> {
        let chars = |text: &str| text.chars().count() as f32 + 15.0;
        let (source, target) = (chars(&pair.source.text), chars(&pair.target.text));
        let ratio = (source / target).max(target / source);
        (ratio > self.params.max_length_ratio).then(|| Drop {
            reason: DropReason::LengthRatio,
            detail: format!("{ratio:.2} > {:.2}", self.params.max_length_ratio),
        })
    }

    fn numbers(&self, pair: &Pair) -> Option<Drop> {
        let missing = numbers::disagreement(&numbers::numbers(&pair.source.text), &numbers::numbers(&pair.target.text));
        (missing.len() > self.params.max_number_mismatches)
            .then(|| Drop { reason: DropReason::Numbers, detail: format!("on one side only: {}", missing.join(", ")) })
    }

    fn score(&self, pair: &Pair) -> Option<Drop> {
        let least = match pair.origin {
            Origin::Aligned => self.params.min_aligned_score,
            Origin::Mined => self.params.min_mined_score,
            // Somebody vouched for it by bringing it.
            Origin::Imported => return None,
        };
        (pair.score < least)
            .then(|| Drop { reason: DropReason::Score, detail: format!("{:.3} < {least:.3}", pair.score) })
    }
}

/// The newest judgement of each annotator; skipped tasks say nothing.
fn latest(annotations: &[Annotation]) -> Vec<&Annotation> {
    let mut by_annotator: HashMap<&str, &Annotation> = HashMap::new();
    for annotation in annotations.iter().filter(|annotation| annotation.verdict.is_some()) {
        let newest = by_annotator.entry(&annotation.annotator).or_insert(annotation);
        if annotation.updated_at >= newest.updated_at {
            *newest = annotation;
        }
    }
    by_annotator.into_values().collect()
}

fn count(annotations: &[Annotation], verdict: &str) -> usize {
    latest(annotations).iter().filter(|annotation| annotation.verdict.as_deref() == Some(verdict)).count()
}

/// What most annotators say: `yes` is true, `no` is false; `partly` counts for neither, and a tie decides nothing. A
/// gold answer of the project's owner decides alone.
fn majority(annotations: &[Annotation]) -> Option<bool> {
    let gold = latest(annotations).into_iter().find(|annotation| annotation.ground_truth);
    if let Some(verdict) = gold.and_then(|annotation| annotation.verdict.as_deref()) {
        return match verdict {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
    }
    let (yes, no) = (count(annotations, "yes"), count(annotations, "no"));
    match yes.cmp(&no) {
        std::cmp::Ordering::Greater => Some(true),
        std::cmp::Ordering::Less => Some(false),
        std::cmp::Ordering::Equal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Side;

    fn pair(source: &str, target: &str, score: f32) -> Pair {
        let side = |text: &str| Side { document: None, sentences: Vec::new(), text: text.into() };
        Pair {
            id: PairId(1),
            source: side(source),
            target: side(target),
            origin: Origin::Aligned,
            similarity: None,
            margin: None,
            score,
        }
    }

    fn rules() -> Rules {
        let languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };
        let candidates = vec![Language::RUSSIAN, Language::TURKMEN, Language::TURKISH];
        Rules { params: Params::default(), languages, candidates }
    }

    fn reason(source: &str, target: &str, score: f32) -> Option<DropReason> {
        rules().judge(&pair(source, target, score), &[]).map(|drop| drop.reason)
    }

    fn annotation(annotator: &str, verdict: &str, minute: u32) -> Annotation {
        Annotation {
            pair: PairId(1),
            annotator: annotator.into(),
            external_id: format!("{annotator}{minute}"),
            verdict: Some(verdict.into()),
            problems: Vec::new(),
            sts: None,
            source_fix: None,
            target_fix: None,
            lead_time: None,
            updated_at: format!("2026-01-01T00:{minute:02}:00Z").parse().ok(),
            ground_truth: false,
        }
    }

    const RUSSIAN: &str = "В Ашхабаде открылась новая библиотека для детей.";
    const TURKMEN: &str = "Aşgabatda çagalar üçin täze kitaphana açyldy.";

    #[test]
    fn each_rule_has_its_case() {
        assert_eq!(reason(RUSSIAN, TURKMEN, 0.9), None);
        assert_eq!(reason(RUSSIAN, TURKMEN, 0.1), Some(DropReason::Score));
        assert_eq!(reason(RUSSIAN, &RUSSIAN.to_uppercase(), 0.9), Some(DropReason::Identical));
        assert_eq!(reason(RUSSIAN, "В столице прошёл большой праздник книги.", 0.9), Some(DropReason::Language));
        assert_eq!(reason("E goşundy.", "F goşundy.", 0.9), Some(DropReason::Language));
        assert_eq!(reason("Да.", TURKMEN, 0.9), Some(DropReason::Length));
        assert_eq!(reason(RUSSIAN, &TURKMEN.repeat(4), 0.9), Some(DropReason::LengthRatio));
        assert_eq!(
            reason("Здесь хранится 1200 книг и журналов.", "Bu ýerde 1300 kitap we žurnal saklanýar.", 0.9),
            Some(DropReason::Numbers)
        );
    }

    #[test]
    fn a_drop_says_what_the_rule_saw() {
        let drop = rules().judge(&pair(RUSSIAN, TURKMEN, 0.125), &[]).unwrap();
        assert_eq!(drop.detail, "0.125 < 0.500");
    }

    #[test]
    fn people_outweigh_rules_and_the_newest_word_of_each_counts() {
        let bad = pair(RUSSIAN, TURKMEN, 0.1);
        assert_eq!(rules().judge(&bad, &[annotation("a", "yes", 1)]), None);
        let good = pair(RUSSIAN, TURKMEN, 0.9);
        let changed_mind = [annotation("a", "yes", 1), annotation("a", "no", 2)];
        assert_eq!(rules().judge(&good, &changed_mind).unwrap().reason, DropReason::Annotator);
        let tie = [annotation("a", "yes", 1), annotation("b", "no", 2)];
        assert_eq!(rules().judge(&good, &tie), None);
    }
}
