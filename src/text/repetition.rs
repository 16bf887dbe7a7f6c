//! Words that come again and again, as in spam, in the output of a translator that is stuck, and in broken pages.
//!
//! The idea is OpusFilter's `RepetitionFilter`, on words instead of characters: `ha ha ha ha`, `buy now buy now buy now`.

use super::normalise::fold;

/// Words of the longest phrase that is looked for.
const LONGEST: usize = 8;
/// Letters and digits that a phrase must have: `1 1 1` and `a a a` are rows of a table or a rhyme.
const LEAST_CHARS: usize = 3;

/// The phrase of up to eight words that most often follows itself without a break, and how often it then stands there
/// in all. `None` when nothing stands twice in a row. Case and punctuation do not count.
///
/// The shorter phrase among equals: `ha ha ha ha` is four times `ha`. Linear in the text for each length of phrase.
pub fn repetition(text: &str) -> Option<(usize, String)> {
    let folded = fold(text);
    let words: Vec<&str> = folded.split(' ').collect();
    let mut best: Option<(usize, String)> = None;
    for length in 1..=LONGEST.min(words.len() / 2) {
        let mut same = 0;
        for place in length..words.len() {
            if words[place] != words[place - length] {
                same = 0;
                continue;
            }
            same += 1;
            let times = same / length + 1;
            if same % length == 0 && best.as_ref().is_none_or(|(most, _)| times > *most) {
                let phrase = words[place + 1 - length..=place].join(" ");
                if phrase.chars().filter(|c| c.is_alphanumeric()).count() >= LEAST_CHARS {
                    best = Some((times, phrase));
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<(usize, String)> {
        repetition(text)
    }

    #[test]
    fn by_hand() {
        assert_eq!(told("Buy now! Buy now! Buy now, friends."), Some((3, "buy now".into())));
        assert_eq!(told("хорошо хорошо хорошо хорошо"), Some((4, "хорошо".into())));
        assert_eq!(told("gün-günden gowy"), None);
        assert_eq!(told("очень, очень важно"), Some((2, "очень".into())));
        assert_eq!(told("1 1 1 1 1"), None, "a row of a table");
        assert_eq!(told("bir iki bir üç bir iki"), None, "with breaks between");
        assert_eq!(told(""), None);
    }

    proptest::proptest! {
        #[test]
        fn a_phrase_said_again_is_found(phrase in "[a-f]{3,5}( [a-f]{3,5}){0,3}", times in 2_usize..6) {
            let found = repetition(&vec![phrase; times].join(", "));
            proptest::prop_assert!(found.is_some_and(|(most, _)| most >= times));
        }
    }
}
