//! Pairs that are made wrong: one side says something slightly else. What a calibration must learn to doubt.
//!
//! The kinds follow xsim++ (Chen et al. 2023): numbers, names, negation; and the sentence next to the right one, which
//! is the commonest mistake of an alignment. Negation goes by a few endings and particles a language: not every
//! sentence it makes is good language, but each says the contrary.

use crate::record::Language;
use crate::text::names;

/// What was done to a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// One side names another number.
    Number,
    /// One side has another name.
    Name,
    /// One side says the contrary.
    Negation,
    /// One side is the sentence next to the right one.
    Neighbour,
}

impl Damage {
    /// All, in the order in which they take turns.
    pub const ALL: [Self; 4] = [Self::Number, Self::Name, Self::Negation, Self::Neighbour];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Number => "another number",
            Self::Name => "another name",
            Self::Negation => "negation",
            Self::Neighbour => "the sentence next to it",
        }
    }
}

/// The text with the last digit of its last number changed; `None` without one.
pub fn number(text: &str) -> Option<String> {
    let (place, digit) = text.char_indices().rev().find(|(_, c)| c.is_ascii_digit())?;
    let other = char::from_digit((digit.to_digit(10)? + 3) % 10, 10)?;
    Some(format!("{}{other}{}", &text[..place], &text[place + 1..]))
}

/// The text with its first name replaced by the first of `others` that it does not hold; `None` without either.
pub fn name<'o>(text: &str, others: impl IntoIterator<Item = &'o str>) -> Option<String> {
    let own = *names::names(text).first()?;
    let other = others.into_iter().find(|other| !text.contains(other))?;
    // The word itself, and not one that holds it.
    let place = text.match_indices(own).map(|(place, _)| place).find(|place| {
        let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        !letter(text[..*place].chars().next_back()) && !letter(text[place + own.len()..].chars().next())
    })?;
    Some(format!("{}{other}{}", &text[..place], &text[place + own.len()..]))
}

/// How a language negates.
struct Negation {
    language: Language,
    /// Words that turn the sense when they are taken away.
    particles: &'static [&'static str],
    /// Endings of a sentence's last word, and what they become.
    endings: &'static [(&'static str, &'static str)],
    /// A particle put beside the first word that has one of these endings, or is one of them (`=`).
    beside: Option<(Side, &'static str, &'static [&'static str])>,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Before,
    After,
}

/// Longer endings first.
static NEGATIONS: &[Negation] = &[
    Negation {
        language: Language::RUSSIAN,
        particles: &["не"],
        endings: &[],
        beside: Some((
            Side::Before,
            "не",
            &[
                "лся",
                "лась",
                "лось",
                "лись",
                "ется",
                "ится",
                "ются",
                "ятся",
                "ает",
                "яет",
                "ует",
                "ают",
                "уют",
                "ила",
                "или",
                "ала",
                "али",
                "ило",
                "ало",
                "ена",
                "ены",
                "ено",
                "=был",
                "=была",
                "=было",
                "=были",
                "=будет",
                "=будут",
                "ил",
                "ал",
                "ит",
                "ят",
            ],
        )),
    },
    Negation {
        language: Language::TURKMEN,
        particles: &["däl"],
        endings: &[
            ("maýar", "ýar"),
            ("meýär", "ýär"),
            ("mady", "dy"),
            ("medi", "di"),
            ("ýar", "maýar"),
            ("ýär", "meýär"),
            ("dy", "mady"),
            ("di", "medi"),
            ("lar", "maz"),
            ("ler", "mez"),
        ],
        beside: None,
    },
    Negation {
        language: Language::ENGLISH,
        particles: &["not"],
        endings: &[],
        beside: Some((
            Side::After,
            "not",
            &[
                "=is", "=are", "=was", "=were", "=has", "=have", "=had", "=will", "=would", "=can", "=could", "=must",
                "=should", "=may",
            ],
        )),
    },
    Negation {
        language: Language::TURKISH,
        particles: &["değil"],
        endings: &[
            ("madı", "dı"),
            ("medi", "di"),
            ("dı", "madı"),
            ("tı", "madı"),
            ("du", "madı"),
            ("tu", "madı"),
            ("di", "medi"),
            ("ti", "medi"),
            ("dü", "medi"),
            ("tü", "medi"),
            ("dır", " değildir"),
            ("dir", " değildir"),
            ("tır", " değildir"),
            ("tir", " değildir"),
            ("acak", "mayacak"),
            ("ecek", "meyecek"),
        ],
        beside: None,
    },
    Negation {
        language: Language::KAZAKH,
        particles: &["емес"],
        endings: &[("мады", "ды"), ("меді", "ді"), ("ды", "мады"), ("ты", "мады"), ("ді", "меді"), ("ті", "меді")],
        beside: None,
    },
    Negation {
        language: Language::HINDI,
        particles: &["नहीं"],
        endings: &[],
        beside: Some((Side::Before, "नहीं", &["=है", "=हैं", "=था", "=थी", "=थे", "=गया", "=गई", "=गए", "=किया", "=की"])),
    },
];

/// The text saying the contrary; `None` for a language that is not known here, or a text that gives no hold.
pub fn negation(text: &str, language: Language) -> Option<String> {
    let way = NEGATIONS.iter().find(|negation| negation.language == language)?;
    let words: Vec<&str> = text.split(' ').collect();
    if let Some(place) = words.iter().position(|word| way.particles.contains(&bare(word))) {
        // Its punctuation goes to the word before.
        let mut rest: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let word = rest.remove(place);
        let tail = word.split_once(bare(words[place])).map(|(_, tail)| tail.to_owned()).unwrap_or_default();
        if let Some(before) = place.checked_sub(1) {
            rest[before].push_str(&tail);
        }
        return Some(rest.join(" ")).filter(|text| !text.trim().is_empty());
    }
    if let Some((side, particle, anchors)) = way.beside {
        let fits = |word: &str| {
            anchors.iter().any(|anchor| match anchor.strip_prefix('=') {
                Some(whole) => word == whole,
                None => word.chars().count() >= anchor.chars().count() + 2 && word.ends_with(anchor),
            })
        };
        let place = words.iter().skip(1).position(|word| fits(bare(word)))? + 1;
        let mut more = words.clone();
        more.insert(if side == Side::After { place + 1 } else { place }, particle);
        return Some(more.join(" "));
    }
    let last = words.iter().rposition(|word| !bare(word).is_empty())?;
    let word = bare(words[last]);
    let (ending, other) =
        way.endings.iter().find(|(ending, _)| word.len() > ending.len() + 1 && word.ends_with(ending))?;
    let start = words[last].find(word)?;
    let (head, tail) = (&words[last][..start], &words[last][start + word.len()..]);
    let changed = format!("{head}{}{other}{tail}", &word[..word.len() - ending.len()]);
    let mut more: Vec<&str> = words.clone();
    more[last] = &changed;
    Some(more.join(" "))
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| {
        c.is_ascii_punctuation() || matches!(c, '«' | '»' | '“' | '”' | '„' | '…' | '—' | '–' | '।')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        assert_eq!(number("120 kitap, 35 orun.").unwrap(), "120 kitap, 38 orun.");
        assert_eq!(number("1999-njy ýyl").unwrap(), "1992-njy ýyl");
        assert_eq!(number("hiç"), None);
        let others = ["Maýa", "Oraz"];
        assert_eq!(name("Düýn Maýa geldi.", others).unwrap(), "Düýn Oraz geldi.");
        assert_eq!(name("Düýn Maýada Maýa geldi.", ["Oraz"]).unwrap(), "Düýn Oraz Maýa geldi.");
        assert_eq!(name("Düýn geldi.", others), None);
    }

    #[test]
    fn negation_by_language() {
        for (language, text, negated) in [
            (
                Language::RUSSIAN,
                "Вчера он открыл дверь, и она закрылась.",
                "Вчера он открыл дверь, и она не закрылась.",
            ),
            (Language::RUSSIAN, "Это не так.", "Это так."),
            (Language::TURKMEN, "Kitaphana açyldy.", "Kitaphana açylmady."),
            (Language::TURKMEN, "Ol işleýär.", "Ol işlemeýär."),
            (Language::TURKMEN, "Ol gelmedi.", "Ol geldi."),
            (Language::TURKMEN, "Bu beýle däl.", "Bu beýle."),
            (Language::ENGLISH, "The library was opened.", "The library was not opened."),
            (Language::ENGLISH, "It is not true.", "It is true."),
            (Language::TURKISH, "Kütüphane açıldı.", "Kütüphane açılmadı."),
            (Language::KAZAKH, "Кітапхана ашылды.", "Кітапхана ашылмады."),
            (Language::HINDI, "पुस्तकालय नया है।", "पुस्तकालय नया नहीं है।"),
        ] {
            assert_eq!(negation(text, language).as_deref(), Some(negated), "{text}");
        }
        assert_eq!(negation("Guten Tag.", "de".parse().unwrap()), None);
        assert_eq!(negation("", Language::TURKMEN), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_spoiled_differs(text in "[А-Яа-яA-Za-z0-9äöüýňşçž .,«»]{0,60}") {
            for language in [Language::RUSSIAN, Language::TURKMEN, Language::ENGLISH, Language::TURKISH] {
                proptest::prop_assert_ne!(negation(&text, language), Some(text.clone()));
            }
            proptest::prop_assert_ne!(number(&text), Some(text.clone()));
            proptest::prop_assert_ne!(name(&text, ["Oraz"]), Some(text.clone()));
        }
    }
}
