//! What a text is made of: letters of which script, words of what length, how it ends.

use super::language::script_of;
use crate::record::language::Script;

/// The share of a text's letters that belong to a script, 0 to 1; `None` for a text without letters.
pub fn script_share(text: &str, script: Script) -> Option<f32> {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let (mut all, mut own) = (0_u32, 0_u32);
    for letter in letters {
        all += 1;
        own += u32::from(script_of(letter) == Some(script));
    }
    (all > 0).then(|| own as f32 / all as f32)
}

/// The share of letters among the characters that are no white space, 0 to 1; marks on letters count with them. `None`
/// for a text of nothing.
pub fn letter_share(text: &str) -> Option<f32> {
    let (mut visible, mut letters) = (0_u32, 0_u32);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        visible += 1;
        letters += u32::from(c.is_alphabetic() || unicode_normalization::char::is_combining_mark(c));
    }
    (visible > 0).then(|| letters as f32 / visible as f32)
}

/// Characters of the longest word: the longest run without white space.
pub fn longest_word(text: &str) -> usize {
    text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0)
}

/// Whether a text ends as a question, closing quotes and brackets aside. Also of `?!`, `?..`, and the Arabic and
/// full-width signs.
pub fn is_question(text: &str) -> bool {
    let closing = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '»' | '”' | '’' | '“' | ')' | ']' | '…');
    let end = text.trim_end_matches(|c| closing(c) || matches!(c, '!' | '.'));
    end.ends_with(['?', '؟', '？'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        assert_eq!(script_share("Сеть Wi-Fi", Script::Cyrillic), Some(0.5));
        assert_eq!(script_share("12:30", Script::Latin), None);
        assert_eq!(letter_share("a, b; 1"), Some(0.4));
        assert_eq!(letter_share(" "), None);
        assert_eq!(longest_word("bir ikinji üç"), 6);
    }

    #[test]
    fn questions_behind_quotes() {
        for question in ["Кто там?", "«Кто там?»", "Näme üçin?!", "(Haçan?)", "Что?.."] {
            assert!(is_question(question), "{question}");
        }
        for other in ["Кто там? Никого.", "Да!", "", "? да"] {
            assert!(!is_question(other), "{other}");
        }
    }
}
