//! When two texts are one: the dedup key, and the id of a pair of texts that follows from it.

use crate::record::{Language, PairId, Scope};
use crate::text::normalise::{fold, normalise};

/// What a text is compared by: the text without case, punctuation and white space differences; letters and digits count.
/// A text without letters and digits, such as `***`, is compared as it is, normalised.
pub fn dedup_key(text: &str) -> String {
    let folded = fold(text);
    if folded.is_empty() { normalise(text) } else { folded }
}

/// A hash of a text's dedup key, by which text pairs are looked up by one side.
pub fn dedup_hash(text: &str) -> i64 {
    PairId::of(&[b"text", dedup_key(text).as_bytes()]).0
}

/// The id of two texts of a language pair: a hash of both languages and both dedup keys. It depends on nothing else, so
/// wherever the two texts are found together, they are one text pair.
pub fn text_pair_id(source: (Language, &str), target: (Language, &str)) -> PairId {
    PairId::of(&[
        source.0.code().as_bytes(),
        dedup_key(source.1).as_bytes(),
        target.0.code().as_bytes(),
        dedup_key(target.1).as_bytes(),
    ])
}

/// The id of two texts as a text pair of a scope.
pub fn text_pair(scope: Scope, source: &str, target: &str) -> PairId {
    text_pair_id((scope.source, source), (scope.target, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(source: &str, target: &str) -> PairId {
        text_pair_id((Language::RUSSIAN, source), (Language::TURKMEN, target))
    }

    #[test]
    fn case_punctuation_and_spaces_make_no_other_pair_but_numbers_do() {
        assert_eq!(id("Привет, мир!", "Salam, dünýä!"), id("  привет  мир", "SALAM DÜNÝÄ."));
        assert_ne!(id("В 2024 году", "2024-nji ýylda"), id("В 2025 году", "2025-nji ýylda"));
        assert_ne!(id("Да", "Hawa"), id("Hawa", "Да"));
        let turned = text_pair_id((Language::TURKMEN, "Hawa"), (Language::RUSSIAN, "Да"));
        assert_ne!(id("Да", "Hawa"), turned, "the direction counts");
    }

    #[test]
    fn texts_without_letters_are_not_all_one() {
        assert_ne!(dedup_key("***"), dedup_key("…"));
        assert_eq!(dedup_key(" *** "), dedup_key("***"));
    }
}
