//! Text that was left untranslated: how much of one side stands on the other in the same order.
//!
//! Both sides are spelled in the Latin letters of [`super::to_latin`] and [`super::respell`], so that a copy in another
//! alphabet is one too. Names and numbers do not count, since a translation keeps them; nor do short texts, of which a
//! loanword may be half. What sister languages share is mostly spelled otherwise: the marks of letters are kept.

use super::transliterate::{respell, to_latin};

/// Characters of an n-gram. Five do not meet by chance, and are about a stem.
const GRAM: usize = 5;
/// Texts with fewer n-grams than this say nothing.
const LEAST_GRAMS: usize = 20;
/// Characters that are read of a side.
const MOST_CHARS: usize = 2_000;

/// The share of the source's character 5-grams that stand on the target side in the same order, 0 to 1, counted from
/// whichever side is shorter. `None` when one of them has too little running text to tell.
///
/// Time: the product of the lengths of what is left between a common beginning and a common end.
pub fn copied(source: &str, target: &str) -> Option<f32> {
    let (source, target) = (grams(source)?, grams(target)?);
    Some(in_order(&source, &target) as f32 / source.len().min(target.len()) as f32)
}

/// The 5-grams of the running words: those that begin with a small letter, or all of a text in capitals.
fn grams(text: &str) -> Option<Vec<[char; GRAM]>> {
    let shouted = !text.chars().any(char::is_lowercase) && text.chars().any(char::is_uppercase);
    let running =
        |word: &&str| word.chars().next().is_some_and(|c| c.is_alphabetic() && (shouted || !c.is_uppercase()));
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(running).collect();
    let spelled: Vec<char> = respell(&to_latin(&words.join(" "))).chars().take(MOST_CHARS).collect();
    let grams: Vec<[char; GRAM]> = spelled.windows(GRAM).filter_map(|gram| gram.try_into().ok()).collect();
    (grams.len() >= LEAST_GRAMS).then_some(grams)
}

/// The length of the longest common subsequence.
fn in_order(one: &[[char; GRAM]], other: &[[char; GRAM]]) -> usize {
    let start = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[start..], &other[start..]);
    let end = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[..one.len() - end], &other[..other.len() - end]);
    // Most n-grams of a translation stand nowhere on the other side.
    let there: std::collections::HashSet<_> = other.iter().collect();
    let mut row = vec![0_usize; other.len() + 1];
    for a in one.iter().filter(|gram| there.contains(gram)) {
        let mut corner = 0;
        for (place, b) in other.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if a == b { corner + 1 } else { above.max(row[place]) };
            corner = above;
        }
    }
    start + end + row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSSIAN: &str = "В Ашхабаде открылась новая библиотека для детей и подростков.";
    const TURKMEN: &str = "Aşgabatda çagalar we ýetginjekler üçin täze kitaphana açyldy.";

    #[test]
    fn a_copy_is_one_in_any_alphabet() {
        assert_eq!(copied(RUSSIAN, RUSSIAN), Some(1.0));
        let spelled = "W Aşhabade otkrylas nowaýa biblioteka dlýa deteý i podrostkow.";
        assert!(copied(RUSSIAN, spelled).unwrap() > 0.9);
        assert!(copied(RUSSIAN, TURKMEN).unwrap() < 0.1);
    }

    #[test]
    fn half_a_copy_is_half() {
        // 39 characters of running words before the change: 35 of 62 n-grams.
        let mixed = "В Ашхабаде открылась новая библиотека для täze kitaphana açyldy diýip.";
        let share = copied(RUSSIAN, mixed).unwrap();
        assert!((0.45..0.75).contains(&share), "{share}");
    }

    #[test]
    fn names_alone_are_no_copy() {
        let (russian, turkmen) =
            ("Туркменистан, Азербайджан, Узбекистан и Казахстан", "Türkmenistan, Azerbaýjan, Özbegistan we Gazagystan");
        assert_eq!(copied(russian, turkmen), None);
        assert_eq!(copied("Проект.", "Proýekt."), None, "too short to tell");
    }

    #[test]
    fn sister_languages_are_no_copies() {
        let turkish = "Aşkabat'ta çocuklar ve gençler için yeni bir kütüphane açıldı.";
        assert!(copied(turkish, TURKMEN).unwrap() < 0.4);
    }

    proptest::proptest! {
        #[test]
        fn it_is_a_share_and_the_same_both_ways(one in "[a-d ]{0,60}", other in "[a-d ]{0,60}") {
            let share = copied(&one, &other);
            proptest::prop_assert_eq!(share, copied(&other, &one));
            proptest::prop_assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)));
        }
    }
}
