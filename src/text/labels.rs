//! The numbers of chapters and exercises: `§ 12`, `Глава 2`, `2-nji bap`, `Упражнение 5`, `5-nji gönükme`, `7.`.
//!
//! The editions of a schoolbook number alike in every language, so a number is what a Russian exercise and its Turkmen
//! twin have in common beyond all words.

use serde::Serialize;

/// What is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Numbered {
    /// A chapter, a paragraph of a book, a lesson.
    Section,
    /// An exercise, a question, a task.
    Exercise,
    /// A number alone, in front of the text.
    Plain,
}

/// The number of a block of a schoolbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Label {
    /// What is numbered.
    pub numbered: Numbered,
    /// Its number.
    pub number: u32,
}

/// What parts of a schoolbook are called.
pub const SECTIONS: [&str; 9] = ["глава", "раздел", "урок", "тема", "параграф", "bap", "bölüm", "sapak", "tema"];
/// A part too, when it is numbered; in running text the word is too common to begin one.
const NUMBERED_SECTION: &str = "часть";
/// What its exercises are called.
pub const EXERCISES: [&str; 12] = [
    "упражнение",
    "задание",
    "вопрос",
    "задача",
    "пример",
    "опыт",
    "gönükme",
    "ýumuş",
    "sorag",
    "mesele",
    "mysal",
    "tejribe",
];

/// The label at the start of a block, if there is one.
pub fn label(text: &str) -> Option<Label> {
    let text = text.trim_start();
    for (sign, numbered) in [('§', Numbered::Section), ('№', Numbered::Exercise)] {
        if let Some(rest) = text.strip_prefix(sign) {
            return number(rest.split_whitespace().next()?).map(|number| Label { numbered, number });
        }
    }
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let second = words.next();
    let of = |word: &str| {
        let word: String = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let is = |list: &[&str]| list.contains(&word.as_str());
        if is(&SECTIONS) || word == NUMBERED_SECTION {
            Some(Numbered::Section)
        } else {
            is(&EXERCISES).then_some(Numbered::Exercise)
        }
    };
    if let Some(numbered) = of(first) {
        let word = second.filter(|word| *word != "№").or_else(|| words.next())?;
        return number(word).map(|number| Label { numbered, number });
    }
    let plain = number(first)?;
    match second.and_then(of) {
        Some(numbered) => Some(Label { numbered, number: plain }),
        // A number alone is one only with its full stop or bracket: `5 яблок` counts apples.
        None => (first.ends_with(['.', ')']) && second.is_some() && first.starts_with(|c: char| c.is_ascii_digit()))
            .then_some(Label { numbered: Numbered::Plain, number: plain }),
    }
}

/// A number as labels write it: up to three digits, a Turkmen ordinal, a Roman numeral.
fn number(word: &str) -> Option<u32> {
    let word = word.trim_end_matches(['.', ')', ':', ',']);
    let digits = match word.split_once('-') {
        Some((digits, ending)) if ["nji", "njy"].contains(&ending.to_lowercase().as_str()) => digits,
        Some(_) => return None,
        None => word,
    };
    if (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.parse().ok();
    }
    roman(digits)
}

/// Up to 39: what chapters need. The Cyrillic letters that look like them are taken too.
fn roman(word: &str) -> Option<u32> {
    let value = |c| match c {
        'I' | 'І' => Some(1),
        'V' => Some(5),
        'X' | 'Х' => Some(10),
        _ => None,
    };
    let values: Vec<u32> = word.chars().map(value).collect::<Option<_>>()?;
    if values.is_empty() || values.len() > 6 {
        return None;
    }
    // A sign before a greater one is taken off it.
    let (mut sum, mut after) = (0, 0);
    for value in values.into_iter().rev() {
        sum = if value < after { sum - value } else { sum + value };
        after = value;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_of_both_languages() {
        use Numbered::{Exercise, Plain, Section};
        for (text, expected) in [
            ("§ 12. Вода", Some((Section, 12))),
            ("§5. Вода", Some((Section, 5))),
            ("Глава 2", Some((Section, 2))),
            ("ГЛАВА IV. Вода", Some((Section, 4))),
            ("2-nji bap. Suw", Some((Section, 2))),
            ("XIV bap", Some((Section, 14))),
            ("Упражнение № 5. Прочитай", Some((Exercise, 5))),
            ("5-nji gönükme. Oka", Some((Exercise, 5))),
            ("№ 7. Реши", Some((Exercise, 7))),
            ("12) Sana", Some((Plain, 12))),
            ("7. Назови", Some((Plain, 7))),
            ("5 яблок", None),
            ("1941. Год", None),
            ("Вода 5", None),
            ("и так далее", None),
            ("V. Вода", None),
            ("", None),
        ] {
            assert_eq!(label(text).map(|label| (label.numbered, label.number)), expected, "{text}");
        }
    }
}
