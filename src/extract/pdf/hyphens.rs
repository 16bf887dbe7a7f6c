//! Words broken at line ends: which hyphens were put in by the typesetter, and which belong to the word.

use std::collections::HashMap;

/// The words of a book, as witnesses for how a broken word is written when it is whole.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    counts: HashMap<String, usize>,
}

/// The hyphens that end lines. A dash is not among them.
fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{AD}')
}

/// A word without the punctuation around it, in lower case, with one kind of hyphen.
fn bare(word: &str) -> String {
    let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
    trimmed
        .chars()
        .filter(|&c| c != '\u{AD}')
        .map(|c| if is_hyphen(c) { '-' } else { c })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a line ends inside a word or a compound: with a hyphen right after a letter or digit.
pub(super) fn ends_in_hyphen(line: &str) -> bool {
    let mut backwards = line.chars().rev();
    backwards.next().is_some_and(is_hyphen) && backwards.next().is_some_and(char::is_alphanumeric)
}

fn starts_lower(text: &str) -> bool {
    text.chars().next().is_some_and(char::is_lowercase)
}

impl Lexicon {
    /// Learns the words of a line that are whole for certain: not the last one before a hyphen, and not the first one
    /// after a broken line.
    pub(super) fn learn<'a>(&mut self, words: impl Iterator<Item = &'a str>, after_break: bool) {
        for word in words.skip(usize::from(after_break)) {
            if !ends_in_hyphen(word) {
                *self.counts.entry(bare(word)).or_default() += 1;
            }
        }
    }

    /// Appends the next line of a paragraph.
    pub(super) fn join(&self, text: &mut String, next: &str) {
        if text.is_empty() {
            text.push_str(next);
            return;
        }
        if !ends_in_hyphen(text) {
            text.push(' ');
            text.push_str(next);
            return;
        }
        let soft = text.ends_with('\u{AD}');
        if soft || starts_lower(next) && !self.keeps_hyphen(text, next) {
            text.pop();
        }
        text.push_str(next);
    }

    fn keeps_hyphen(&self, text: &str, next: &str) -> bool {
        let left = text.rsplit(char::is_whitespace).next().unwrap_or_default();
        let right = next.split(char::is_whitespace).next().unwrap_or_default();
        let stem = left.trim_end_matches(is_hyphen);
        // `2-nji`, `5-го`: a number is never broken before its ending.
        if stem.chars().next_back().is_some_and(|c| c.is_numeric()) {
            return true;
        }
        // These endings are only ever written with a hyphen.
        if matches!(bare(right).as_str(), "нибудь" | "либо") {
            return true;
        }
        let count = |word: &str| self.counts.get(&bare(word)).copied().unwrap_or(0);
        let hyphenated = count(&format!("{stem}-{right}"));
        hyphenated > 0 && hyphenated >= count(&format!("{stem}{right}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(known: &str, first: &str, second: &str) -> String {
        let mut lexicon = Lexicon::default();
        lexicon.learn(known.split_whitespace(), false);
        let mut text = first.to_owned();
        lexicon.join(&mut text, second);
        text
    }

    #[test]
    fn lines_join_with_a_space_and_broken_words_without() {
        assert_eq!(joined("", "вода в", "природе"), "вода в природе");
        assert_eq!(joined("", "вода пре-", "вращается в лёд"), "вода превращается в лёд");
        assert_eq!(joined("", "вода пре\u{AD}", "вращается"), "вода превращается");
        assert_eq!(joined("", "тире -", "это"), "тире - это");
    }

    #[test]
    fn compounds_keep_their_hyphen_where_the_book_writes_them_so() {
        assert_eq!(joined("говорит по-русски.", "пишет по-", "русски, а"), "пишет по-русски, а");
        assert_eq!(joined("", "пишет по-", "русски"), "пишет порусски");
        assert_eq!(joined("ak-suw aksuw aksuw", "ak-", "suw"), "aksuw");
        assert_eq!(joined("", "2-", "nji gönükme"), "2-nji gönükme");
        assert_eq!(joined("", "Санкт-", "Петербург"), "Санкт-Петербург");
        assert_eq!(joined("", "1941-", "1945"), "1941-1945");
        assert_eq!(joined("", "кто-", "нибудь"), "кто-нибудь");
    }
}
