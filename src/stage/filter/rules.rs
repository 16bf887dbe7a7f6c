//! The rules: each holds one feature against one limit, and says both.

use serde::Serialize;

use super::{Params, measure};
use crate::record::{Adjudication, Drop, DropReason, Features, Language, Origin, Pair, SideFeatures};
use crate::stage::Languages;
use crate::stage::calibrate::Calibration;

/// What one rule makes of a pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The rule.
    pub rule: DropReason,
    /// What it saw.
    pub value: String,
    /// What it allows.
    pub limit: String,
    /// Why it objects, with value and limit; `None` when the pair passes.
    pub objection: Option<String>,
}

/// The rules with their limits.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The limits.
    pub params: Params,
    /// The languages that the sides should be in.
    pub languages: Languages,
    /// The languages that a side may be mistaken for.
    pub candidates: Vec<Language>,
    /// From figures to a probability, if there is one.
    pub calibration: Option<Calibration>,
}

/// What rules look at.
struct Seen<'a> {
    pair: &'a Pair,
    features: &'a Features,
    people: Option<&'a Adjudication>,
}

impl Rules {
    /// The features of a pair, measured.
    pub fn features(&self, pair: &Pair) -> Features {
        measure::features(&pair.source.text, &pair.target.text, self.languages, &self.candidates)
    }

    /// Why a pair is dropped: the first rule that objects, unless people say that it is right. `None`: it passes.
    pub fn judge(&self, pair: &Pair, features: &Features, people: Option<&Adjudication>) -> Option<Drop> {
        let stands = |word: &Adjudication| word.corrected.is_none_or(|corrected| corrected == pair.id);
        if people.is_some_and(|word| word.is_right() == Some(true) && stands(word)) {
            return None;
        }
        let seen = Seen { pair, features, people };
        RULES.iter().find_map(|rule| {
            let check = rule(self, &seen);
            check.objection.map(|detail| Drop { reason: check.rule, detail })
        })
    }

    /// What every rule makes of a pair, in the order in which they are asked.
    pub fn checks(&self, pair: &Pair, features: &Features, people: Option<&Adjudication>) -> Vec<Check> {
        let seen = Seen { pair, features, people };
        RULES.iter().map(|rule| rule(self, &seen)).collect()
    }

    fn annotator(&self, seen: &Seen<'_>) -> Check {
        let check = |value: String, objects: bool| Check {
            rule: DropReason::Annotator,
            objection: objects.then(|| value.clone()),
            value,
            limit: "neither wrong nor corrected".into(),
        };
        let Some(word) = seen.people else { return check("not judged".into(), false) };
        if let Some(corrected) = word.corrected.filter(|corrected| *corrected != seen.pair.id) {
            return check(format!("corrected: {corrected} stands for it"), true);
        }
        let no = format!("{} of {} annotators say no", word.votes[2], word.people());
        match (word.is_right(), word.gold) {
            (Some(false), true) => check("the gold answer is no".into(), true),
            (Some(false), false) => check(no, true),
            _ => check(no, false),
        }
    }

    fn identical(&self, seen: &Seen<'_>) -> Check {
        let same = seen.features.identical;
        Check {
            rule: DropReason::Identical,
            value: if same { "the same" } else { "different" }.into(),
            limit: "different texts".into(),
            objection: same.then(|| "both sides are the same text".into()),
        }
    }

    fn language(&self, seen: &Seen<'_>) -> Check {
        let surest = self.params.language_confidence;
        let sides = [
            ("source", &seen.features.source, self.languages.source),
            ("target", &seen.features.target, self.languages.target),
        ];
        let objection = sides.iter().find_map(|(side, features, expected)| {
            if let Some(script) = &features.other_script {
                return Some(format!("the {side} is in {script} letters, expected {expected}"));
            }
            let (language, confidence) = features.language?;
            (language != *expected && confidence >= surest)
                .then(|| format!("the {side} is {language} ({confidence:.2}), expected {expected}"))
        });
        Check {
            rule: DropReason::Language,
            value: on_both(seen.features, |side| match (&side.other_script, side.language) {
                (Some(script), _) => format!("{script} letters"),
                (None, Some((language, confidence))) => format!("{language} ({confidence:.2})"),
                (None, None) => "unclear".into(),
            }),
            limit: format!("no other language than {} and {} from {surest:.2} on", sides[0].2, sides[1].2),
            objection,
        }
    }

    fn script(&self, seen: &Seen<'_>) -> Check {
        let least = self.params.min_script_share;
        Check {
            rule: DropReason::Script,
            value: on_both(seen.features, |side| share(side.script)),
            limit: format!("at least {least:.2} of the letters"),
            objection: either(seen.features, |name, side| {
                let own = side.script.filter(|own| *own < least)?;
                Some(format!("{own:.2} of the {name}'s letters are of its script < {least:.2}"))
            }),
        }
    }

    fn length(&self, seen: &Seen<'_>) -> Check {
        let (least, most) = (self.params.min_chars, self.params.max_chars);
        Check {
            rule: DropReason::Length,
            value: on_both(seen.features, |side| side.chars.to_string()),
            limit: format!("{least} to {most} characters"),
            objection: either(seen.features, |name, side| {
                (side.chars < least || side.chars > most)
                    .then(|| format!("the {name} has {} characters, allowed are {least} to {most}", side.chars))
            }),
        }
    }

    fn long_word(&self, seen: &Seen<'_>) -> Check {
        let most = self.params.max_word_chars;
        Check {
            rule: DropReason::LongWord,
            value: on_both(seen.features, |side| side.longest_word.to_string()),
            limit: format!("at most {most} characters a word"),
            objection: either(seen.features, |name, side| {
                (side.longest_word > most)
                    .then(|| format!("a word of the {name} has {} characters > {most}", side.longest_word))
            }),
        }
    }

    fn length_ratio(&self, seen: &Seen<'_>) -> Check {
        let (ratio, most) = (seen.features.length_ratio, self.params.max_length_ratio);
        Check {
            rule: DropReason::LengthRatio,
            value: format!("{ratio:.2}"),
            limit: format!("at most {most:.2}"),
            objection: (ratio > most).then(|| format!("{ratio:.2} > {most:.2}")),
        }
    }

    fn punctuation(&self, seen: &Seen<'_>) -> Check {
        let (least, same) = (self.params.min_letters, self.params.same_questions);
        let Features { source, target, .. } = seen.features;
        let few = either(seen.features, |name, side| {
            let letters = side.letters.filter(|letters| *letters < least)?;
            Some(format!("{letters:.2} of the {name} is letters < {least:.2}"))
        });
        let asked = (same && source.question != target.question).then(|| {
            let name = if source.question { "source" } else { "target" };
            format!("the {name} alone is a question")
        });
        Check {
            rule: DropReason::Punctuation,
            value: on_both(seen.features, |side| {
                format!("{}{}", share(side.letters), if side.question { " and a question" } else { "" })
            }),
            limit: format!(
                "at least {least:.2} letters{}",
                if same { ", a question on both sides or none" } else { "" }
            ),
            objection: few.or(asked),
        }
    }

    fn repetition(&self, seen: &Seen<'_>) -> Check {
        let most = self.params.max_repetitions;
        Check {
            rule: DropReason::Repetition,
            value: on_both(seen.features, |side| match &side.repetition {
                Some((times, phrase)) => format!("{times} times {phrase:?}"),
                None => "none".into(),
            }),
            limit: format!("a phrase at most {most} times in a row"),
            objection: either(seen.features, |name, side| {
                let (times, phrase) = side.repetition.as_ref().filter(|(times, _)| *times > most)?;
                Some(format!("the {name} says {phrase:?} {times} times in a row > {most}"))
            }),
        }
    }

    fn copied(&self, seen: &Seen<'_>) -> Check {
        let most = self.params.max_copied;
        Check {
            rule: DropReason::Copied,
            value: share(seen.features.copied),
            limit: format!("at most {most:.2} of the shorter side"),
            objection: seen
                .features
                .copied
                .filter(|copied| *copied > most)
                .map(|copied| format!("{copied:.2} of the shorter side is untranslated > {most:.2}")),
        }
    }

    fn numbers(&self, seen: &Seen<'_>) -> Check {
        let missing = &seen.features.numbers;
        Check {
            rule: DropReason::Numbers,
            value: if missing.is_empty() { "none missing".into() } else { missing.join(", ") },
            limit: format!("at most {} on one side only", self.params.max_number_mismatches),
            objection: (missing.len() > self.params.max_number_mismatches)
                .then(|| format!("on one side only: {}", missing.join(", "))),
        }
    }

    fn names(&self, seen: &Seen<'_>) -> Check {
        let (missing, most) = (&seen.features.names_missing, self.params.max_missing_names);
        let of = seen.features.names;
        let lacking = missing.len() as f32 / (of as f32).max(1.0);
        let told = missing.join(", ");
        Check {
            rule: DropReason::Names,
            value: match (of, missing.is_empty()) {
                (0, _) => "no names".into(),
                (_, true) => format!("{of}, none missing"),
                (_, false) => format!("{of}, missing {told}"),
            },
            limit: if most >= 1.0 { "off".into() } else { format!("at most {most:.2} missing") },
            // One name may always be called otherwise.
            objection: (missing.len() >= 2 && lacking > most)
                .then(|| format!("{lacking:.2} of the names are on one side only > {most:.2}: {told}")),
        }
    }

    fn score(&self, seen: &Seen<'_>) -> Check {
        let least = match seen.pair.origin {
            Origin::Aligned => Some(self.params.min_aligned_score),
            Origin::Mined => Some(self.params.min_mined_score),
            // Somebody vouched for it by bringing it.
            Origin::Imported | Origin::Corrected | Origin::Translated => None,
        };
        let score = seen.pair.score;
        Check {
            rule: DropReason::Score,
            value: format!("{score:.3}"),
            limit: least.map_or_else(|| "any: it was brought in".into(), |least| format!("at least {least:.3}")),
            objection: least.filter(|least| score < *least).map(|least| format!("{score:.3} < {least:.3}")),
        }
    }

    fn probability(&self, seen: &Seen<'_>) -> Check {
        let (least, why) = self.least_probability();
        let told = self.calibration.as_ref().and_then(|curve| curve.probability(seen.pair, seen.features));
        Check {
            rule: DropReason::Probability,
            value: told.map_or_else(|| "cannot be told".into(), |told| format!("{told:.3}")),
            limit: if least > 0.0 { format!("at least {least:.3}{why}") } else { "off".into() },
            objection: told.filter(|told| *told < least).map(|told| format!("{told:.3} < {least:.3}")),
        }
    }

    /// The lowest probability that passes, and why it is that one.
    pub fn least_probability(&self) -> (f32, String) {
        let (least, wanted) = (self.params.min_probability, self.params.min_precision);
        let Some(curve) = self.calibration.as_ref().filter(|_| wanted > 0.0) else { return (least, String::new()) };
        let learned = curve.threshold(wanted).map_or(NONE_REACHES_IT, |threshold| threshold.at);
        if learned <= least {
            return (least, String::new());
        }
        (learned, format!(", for a precision of {wanted:.3}"))
    }
}

/// The threshold where no known one reaches the precision that is wanted: only the surest pass.
const NONE_REACHES_IT: f32 = 0.99;

type Rule = fn(&Rules, &Seen<'_>) -> Check;

/// In the order of `DropReason::ALL`.
const RULES: [Rule; 14] = [
    Rules::annotator,
    Rules::identical,
    Rules::language,
    Rules::script,
    Rules::length,
    Rules::long_word,
    Rules::length_ratio,
    Rules::punctuation,
    Rules::repetition,
    Rules::copied,
    Rules::numbers,
    Rules::names,
    Rules::score,
    Rules::probability,
];

/// The first side's objection.
fn either(features: &Features, objects: impl Fn(&str, &SideFeatures) -> Option<String>) -> Option<String> {
    objects("source", &features.source).or_else(|| objects("target", &features.target))
}

/// Both sides' values: one if they are the same.
fn on_both(features: &Features, told: impl Fn(&SideFeatures) -> String) -> String {
    let (source, target) = (told(&features.source), told(&features.target));
    if source == target { source } else { format!("{source} | {target}") }
}

fn share(share: Option<f32>) -> String {
    share.map_or_else(|| "cannot be told".into(), |share| format!("{share:.2}"))
}
