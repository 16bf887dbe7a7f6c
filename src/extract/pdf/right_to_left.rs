//! Right-to-left scripts: no books here are in them, but a line of one must not come out backwards.
//!
//! The glyphs of a line are known from left to right. Where most letters are Arabic, Hebrew or Syriac, the line is read from
//! its right end, and numbers and Latin words inside it from their left ends. This is not the whole bidirectional
//! algorithm: lines that are mostly left-to-right keep their order as it stands on the page.

use super::layout::Word;

/// Letters of scripts that run from right to left.
pub(super) fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10800}'..='\u{10FFF}')
}

/// What keeps its direction inside such a line.
fn is_left_to_right(text: &str) -> bool {
    text.chars().any(|c| {
        c.is_alphanumeric() && !is_right_to_left(c) || matches!(c, '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}')
    })
}

/// A word and its glyphs' texts, left to right.
pub(super) type Pieces<'a> = (Word, Vec<&'a str>);

/// Writes the texts of a line's words, and orders the words as they are read.
pub(super) fn read(words: Vec<Pieces<'_>>) -> Vec<Word> {
    let letters =
        || words.iter().flat_map(|(_, pieces)| pieces).flat_map(|piece| piece.chars()).filter(|c| c.is_alphabetic());
    let backwards = letters().filter(|&c| is_right_to_left(c)).count() * 2 > letters().count();
    let mut read: Vec<Word> = words
        .into_iter()
        .map(|(mut word, mut pieces)| {
            if backwards {
                turn(&mut pieces, |piece| is_left_to_right(piece));
                word.text = pieces.iter().map(|piece| mirrored(piece)).collect();
            } else {
                word.text = pieces.concat();
            }
            word
        })
        .collect();
    if backwards {
        turn(&mut read, |word| is_left_to_right(&word.text));
    }
    read
}

/// Reverses all, and then each run of those that keep their direction.
fn turn<T>(items: &mut [T], keeps: impl Fn(&T) -> bool) {
    items.reverse();
    for run in items.chunk_by_mut(|a, b| keeps(a) == keeps(b)) {
        if keeps(&run[0]) {
            run.reverse();
        }
    }
}

/// A bracket seen from the other side.
fn mirrored(piece: &str) -> &str {
    const PAIRS: [(&str, &str); 4] = [("(", ")"), ("[", "]"), ("«", "»"), ("<", ">")];
    let found = PAIRS.iter().find_map(|&(a, b)| if a == piece { Some(b) } else { (b == piece).then_some(a) });
    found.unwrap_or(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seen: &str) -> String {
        let word = || Word { text: String::new(), x0: 0.0, x1: 1.0, ..Word::default() };
        let split = |text: &'static str| text.split_inclusive(|_| true).collect::<Vec<_>>();
        let leaked: &'static str = String::leak(seen.to_owned());
        let words = read(leaked.split(' ').map(|text| (word(), split(text))).collect());
        words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lines_are_read_from_the_right_and_numbers_in_them_from_the_left() {
        // As seen from left to right: the last letter of the last word first.
        assert_eq!(line("םלוע םולש"), "שלום עולם");
        assert_eq!(line("(םולש) New York 12 םולש"), "שלום New York 12 (שלום)");
        assert_eq!(line("Слово םולש здесь"), "Слово םולש здесь");
    }
}
