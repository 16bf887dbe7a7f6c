//! Names: which words of a text look like one, and whether the other side has them.
//!
//! A capital letter inside a sentence is all that is looked at, so this is evidence and no proof: German writes every
//! noun so, and many places have another name in every language (`Вена`, `Wien`). Scripts without capitals have none.

use super::transliterate::{respell, skeleton, to_latin};

/// Letters of the shortest word that counts.
const LEAST_CHARS: usize = 3;
/// Two words are one name from this share of the shorter one's letters on that both have in the same order.
const ENOUGH: f32 = 0.65;

/// Words with a capital first letter that do not begin a sentence, in order. Abbreviations in capitals are left out:
/// they are translated (`США`, `ABŞ`).
pub fn names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut begins = true;
    for piece in text.split_whitespace() {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric());
        let opened = piece.starts_with(['«', '"', '“', '„', '(', '—', '–', '-']);
        let mut chars = word.chars();
        let capital = chars.next().is_some_and(char::is_uppercase);
        let named = capital && chars.any(char::is_lowercase) && word.chars().count() >= LEAST_CHARS;
        // A title in quotes has a capital of its own.
        if named && !begins && !opened {
            names.push(word);
        }
        if !word.is_empty() {
            let end = piece.trim_end_matches(['»', '"', '”', ')']);
            begins = end.ends_with(['.', '!', '?', ':', '…']);
        } else {
            begins = begins || piece.starts_with(['—', '–', '-', '•', '*']);
        }
    }
    names
}

/// Those names that no word of the other text resembles, once both are spelled in plain Latin letters without marks:
/// `Ашхабаде` has `Aşgabatda`.
pub fn without_counterpart<'n>(names: &[&'n str], other: &str) -> Vec<&'n str> {
    if names.is_empty() {
        return Vec::new();
    }
    let words: Vec<Vec<char>> =
        other.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(plain).collect();
    names.iter().copied().filter(|name| !words.iter().any(|word| resembles(&plain(name), word))).collect()
}

/// A word as compared.
pub(super) fn plain(word: &str) -> Vec<char> {
    skeleton(&respell(&to_latin(word))).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether two words may be one name with other endings.
fn resembles(name: &[char], word: &[char]) -> bool {
    let shorter = name.len().min(word.len());
    // An ending of one language may be longer than a short name, but not by much.
    if shorter < LEAST_CHARS.min(name.len()) || name.len().abs_diff(word.len()) > shorter + 2 {
        return false;
    }
    common_in_order(name, word) as f32 >= ENOUGH * shorter as f32
        && name[..2.min(shorter)].iter().any(|c| word[..2.min(shorter)].contains(c))
}

/// The length of the longest common subsequence.
fn common_in_order(one: &[char], other: &[char]) -> usize {
    let mut row = vec![0; other.len() + 1];
    for a in one {
        let mut corner = 0;
        for (place, b) in other.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if a == b { corner + 1 } else { above.max(row[place]) };
            corner = above;
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_inside_sentences() {
        assert_eq!(
            names("Сегодня в Ашхабаде Мая Аннаева открыла «Книжный дом» и ТНГ."),
            ["Ашхабаде", "Мая", "Аннаева"]
        );
        assert_eq!(names("Сегодня дождь. Завтра снег. — Да, Олег."), ["Олег"]);
        assert_eq!(names("— Завтра: Москва"), [""; 0]);
    }

    #[test]
    fn names_meet_across_alphabets() {
        let turkmen = "Şu gün Aşgabatda Maýa Annaýewa «Kitap öýüni» açdy.";
        assert_eq!(without_counterpart(&["Ашхабаде", "Мая", "Аннаева"], turkmen), [""; 0]);
        assert_eq!(without_counterpart(&["Ашхабаде", "Сергей", "Петров"], turkmen), ["Сергей", "Петров"]);
        assert_eq!(without_counterpart(&["Вашингтоне"], "Waşingtonda boldy."), [""; 0]);
    }

    #[test]
    fn common_letters_by_hand() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(common_in_order(&chars("asgabatda"), &chars("ashabade")), 6);
        assert_eq!(common_in_order(&chars("abc"), &[]), 0);
    }
}
