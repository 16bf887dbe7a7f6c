//! What the first words of a line say about it: an exercise, a list item, a numbered section, a line of contents.

use crate::text::labels::{EXERCISES, SECTIONS};

/// What a line starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Marker {
    /// `5.`, `5)`: an exercise, or a numbered heading where the type is large.
    Number,
    /// `Упражнение 5`, `5-nji gönükme`, `№ 5`.
    Exercise,
    /// `а)`: an item that keeps its letter.
    Letter,
    /// A bullet of so many bytes, white space included, that is no part of the text.
    Bullet(usize),
    /// A dash: an item when a lower-case letter follows, else a line of dialogue.
    Dash(usize),
    /// `§ 5`, `Глава 2`, `2-nji bap`.
    Section,
}

const BULLETS: &str = "•●▪■◦○‣➢►✓∙·*";
const DASHES: &str = "–—-−";
/// A number as labels write it: up to three digits.
fn is_number(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_roman(text: &str) -> bool {
    (1..=6).contains(&text.len()) && text.chars().all(|c| "IVXLС".contains(c))
}

/// `5-nji`, `6-njy`: a Turkmen ordinal.
fn is_ordinal(text: &str) -> bool {
    text.split_once('-')
        .is_some_and(|(number, ending)| is_number(number) && matches!(ending, "nji" | "njy" | "НJI" | "NJI" | "NJY"))
}

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// The marker at the start of a line or block.
pub(super) fn marker(text: &str) -> Option<Marker> {
    let mut words = text.split_whitespace();
    let (first, second) = (words.next()?, words.next());
    let label = first.trim_end_matches(['.', ')', ':']);
    let closed = label.len() < first.len();

    if closed && is_number(label) && second.is_some() {
        return Some(Marker::Number);
    }
    let mut chars = first.chars();
    if let (Some(sign), None) = (chars.next(), chars.next()) {
        let length = text.find(char::is_whitespace).map_or(text.len(), |at| text.len() - text[at..].trim_start().len());
        if BULLETS.contains(sign) && second.is_some() {
            return Some(Marker::Bullet(length));
        }
        if DASHES.contains(sign) && second.is_some() {
            return Some(Marker::Dash(length));
        }
    }
    let mut letters = label.chars();
    if let (Some(letter), None, true, Some(_)) = (letters.next(), letters.next(), first.ends_with(')'), second)
        && letter.is_alphabetic()
        && !first.starts_with('(')
    {
        return Some(Marker::Letter);
    }
    let numbered = second
        .map(|word| word.trim_end_matches(['.', ')', ':', ',']))
        .is_some_and(|word| is_number(word) || is_roman(word));
    let (first_word, second_word) = (bare(first), second.map(bare).unwrap_or_default());
    let marks = |list: &[&str]| {
        let before = list.contains(&first_word.as_str()) && (numbered || second == Some("№"));
        before || (is_ordinal(label) || is_roman(label)) && list.contains(&second_word.as_str())
    };
    if marks(&EXERCISES) || first == "№" && numbered {
        return Some(Marker::Exercise);
    }
    (marks(&SECTIONS) || first.starts_with('§')).then_some(Marker::Section)
}

/// A line of a table of contents: dots lead to a page number.
pub(super) fn is_leader_line(text: &str) -> bool {
    text.contains("....") || text.contains(". . . .") || text.contains("………") || text.contains("____")
}

/// A line of mathematics: more digits and signs than letters of words, and an operator or a relation among them. One or two
/// letters are a variable or a unit.
pub(super) fn is_formula_line(text: &str) -> bool {
    let printed = text.chars().filter(|c| !c.is_whitespace()).count();
    let words = text.split(|c: char| !c.is_alphabetic()).map(|word| word.chars().count());
    let letters: usize = words.filter(|&length| length > 2).sum();
    let signs = "=<>≤≥≈≠≡+−×÷·∙√∑∫±→⇒";
    printed >= 3
        && 2 * letters < printed
        && text.contains(|c| signs.contains(c))
        && text.contains(char::is_alphanumeric)
}

/// Whether a line ends a sentence, or announces a list.
pub(super) fn ends_sentence(text: &str) -> bool {
    let core = text.trim_end_matches(['»', '”', '"', '“', ')', ']', '’']);
    core.ends_with(['.', '!', '?', '…', ':', ';'])
}

/// The first letter or digit.
fn first_sign(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_alphanumeric())
}

/// Whether a line can only continue a sentence.
pub(super) fn starts_lower(text: &str) -> bool {
    first_sign(text).is_some_and(char::is_lowercase)
}

/// Whether a line could begin a sentence, by its letter.
pub(super) fn starts_upper(text: &str) -> bool {
    first_sign(text).is_some_and(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exercises_items_and_sections() {
        for (text, expected) in [
            ("5. Назови", Some(Marker::Number)),
            ("12) Sana", Some(Marker::Number)),
            ("Упражнение 5. Прочитай", Some(Marker::Exercise)),
            ("5-nji gönükme. Oka", Some(Marker::Exercise)),
            ("Gönükme 5", Some(Marker::Exercise)),
            ("№ 7. Реши", Some(Marker::Exercise)),
            ("а) вода", Some(Marker::Letter)),
            ("• Не оставляй", Some(Marker::Bullet(4))),
            ("– вода;", Some(Marker::Dash(4))),
            ("§ 5. Вода", Some(Marker::Section)),
            ("§5. Вода", Some(Marker::Section)),
            ("Глава 2", Some(Marker::Section)),
            ("II bap", Some(Marker::Section)),
            ("1941. Год", None),
            ("5.", None),
            ("Вода 5", None),
            ("5 яблок", None),
            ("3.14 is", None),
        ] {
            assert_eq!(marker(text), expected, "{text}");
        }
    }

    #[test]
    fn formulas() {
        for (text, expected) in [
            ("2 + 3 = 5", true),
            ("x² − 4 = 0", true),
            ("S = a · b", true),
            ("12", false),
            ("1941–1945", false),
            ("5 + 3 = ? Реши пример", false),
            ("tg 45° = 1", true),
        ] {
            assert_eq!(is_formula_line(text), expected, "{text}");
        }
    }

    #[test]
    fn sentence_ends() {
        assert!(ends_sentence("Он сказал: «Иди!»"));
        assert!(ends_sentence("(см. рис. 5)."));
        assert!(!ends_sentence("вода,"));
        assert!(starts_lower("«вода»") && !starts_lower("12 вод") && !starts_lower("Вода"));
    }
}
