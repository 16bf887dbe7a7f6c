//! Measuring: everything about a pair's texts that a rule may ask for. No limit is known here.

use crate::record::{Features, Language, Pair, PairId, SideFeatures};
use crate::stage::Languages;
use crate::text::{copies, language, names, normalise, numbers, repetition, signs};

/// Raised when the same texts give other features: those in the store are then measured anew.
const VERSION: u32 = 2;

/// What a pair's features depend on, as one number.
pub fn key(pair: &Pair, languages: Languages, candidates: &[Language]) -> i64 {
    PairId::of(&[
        &VERSION.to_le_bytes(),
        languages.source.code().as_bytes(),
        languages.target.code().as_bytes(),
        candidates.iter().map(|language| language.code()).collect::<Vec<_>>().join(" ").as_bytes(),
        pair.source.text.as_bytes(),
        pair.target.text.as_bytes(),
    ])
    .0
}

/// The features of two texts. `candidates` are the languages that a side may be mistaken for.
pub fn features(source: &str, target: &str, languages: Languages, candidates: &[Language]) -> Features {
    let chars = |text: &str| text.chars().count() as f32 + 15.0;
    let (one, other) = (chars(source), chars(target));
    let (source_names, target_names) = (names::names(source), names::names(target));
    let mut missing = names::without_counterpart(&source_names, target);
    missing.extend(names::without_counterpart(&target_names, source));
    Features {
        source: side(source, languages.source, candidates),
        target: side(target, languages.target, candidates),
        identical: normalise::fold(source) == normalise::fold(target),
        length_ratio: (one / other).max(other / one),
        numbers: numbers::disagreement(&numbers::numbers(source), &numbers::numbers(target)),
        copied: copies::copied(source, target),
        names: u32::try_from(source_names.len() + target_names.len()).unwrap_or(u32::MAX),
        names_missing: missing.into_iter().map(str::to_owned).collect(),
    }
}

fn side(text: &str, expected: Language, candidates: &[Language]) -> SideFeatures {
    let other_script = language::main_script(text).filter(|script| *script != expected.script());
    SideFeatures {
        chars: text.chars().count(),
        longest_word: signs::longest_word(text),
        letters: signs::letter_share(text),
        script: signs::script_share(text, expected.script()),
        other_script: other_script.map(|script| format!("{script:?}")),
        language: language::identify_expected(text, Some(expected), candidates)
            .map(|guess| (guess.language, guess.confidence)),
        question: signs::is_question(text),
        repetition: repetition::repetition(text),
    }
}
