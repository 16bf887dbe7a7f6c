//! One spelling for what looks the same: Unicode NFC, plain spaces, nothing invisible.

use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

/// Arabic to Sinhala: the scripts in which the two joiners change how a word is spelled or read.
const SCRIPTS_WITH_JOINERS: RangeInclusive<char> = '\u{600}'..='\u{DFF}';

/// Marks that Latin, Cyrillic and Greek letters carry where no composed letter exists, such as the stress of a schoolbook.
const STRESS_MARKS: RangeInclusive<char> = '\u{300}'..='\u{36F}';

/// Text in NFC, in which every run of white space (no-break, thin and ideographic spaces, tabs and line breaks among
/// them) is one space, with none at the ends, and without characters that nobody sees: control characters, soft
/// hyphens, zero-width and bidirectional marks, byte order marks, invisible operators, variation selectors and tags.
///
/// The zero-width joiner and non-joiner stay after a letter of an Arabic or Indic script, where they belong to the
/// spelling. `normalise(&normalise(text)) == normalise(text)`.
pub fn normalise(text: &str) -> String {
    if text.is_ascii() && is_plain_ascii(text) {
        return text.to_owned();
    }
    let visible: String = Visible::new(text).collect();
    if visible.chars().all(is_composed) { visible } else { visible.nfc().collect() }
}

/// Whether a character can only stand in text that is in NFC: Latin, Cyrillic and their punctuation, for which the
/// tables of the normaliser need not be asked.
fn is_composed(c: char) -> bool {
    matches!(c, ..'\u{300}' | '\u{400}'..='\u{482}' | '\u{48A}'..='\u{52F}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{203F}')
}

/// What is left of a text for telling duplicates: normalised, in lower case, only letters and digits, words parted by
/// single spaces.
///
/// Apostrophes and stress marks vanish without parting a word; every other sign parts. Idempotent.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut space = false;
    for c in normalise(text).chars().flat_map(char::to_lowercase) {
        let inside_word = !space && !folded.is_empty();
        let spelled = c.is_alphanumeric() || (inside_word && is_combining_mark(c));
        if STRESS_MARKS.contains(&c) || is_apostrophe(c) {
            continue;
        }
        if spelled {
            if space && !folded.is_empty() {
                folded.push(' ');
            }
            space = false;
            folded.push(c);
        } else {
            space = true;
        }
    }
    // Marks that were dropped may have kept two characters from composing.
    folded.nfc().collect()
}

/// Whether a character is one of the signs used as an apostrophe, the Uzbek letter modifiers among them.
pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | '´' | 'ʻ' | 'ʼ' | 'ʹ' | '′')
}

/// Whether `normalise` has nothing to do: only printable ASCII, single spaces inside.
fn is_plain_ascii(text: &str) -> bool {
    let bytes = text.as_bytes();
    !text.starts_with(' ')
        && !text.ends_with(' ')
        && bytes.iter().all(|&byte| (b' '..=b'~').contains(&byte))
        && bytes.windows(2).all(|pair| pair != b"  ")
}

/// The visible characters of a text, with one space for each inner run of white space.
struct Visible<'text> {
    chars: std::str::Chars<'text>,
    /// Whether a character has been given out.
    started: bool,
    /// White space has been read since the last character.
    space: bool,
    /// A character that waits behind the space given out before it.
    held: Option<char>,
    /// A joiner would belong to the spelling here.
    joinable: bool,
}

impl<'text> Visible<'text> {
    fn new(text: &'text str) -> Self {
        Self { chars: text.chars(), started: false, space: false, held: None, joinable: false }
    }
}

impl Iterator for Visible<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        for c in self.chars.by_ref() {
            if c.is_whitespace() {
                self.space = true;
                self.joinable = false;
                continue;
            }
            if is_invisible(c) || (is_joiner(c) && !self.joinable) {
                continue;
            }
            // A letter and all its marks count as one, since NFC may put the marks into another order.
            let is_mark = canonical_combining_class(c) != 0;
            self.joinable = SCRIPTS_WITH_JOINERS.contains(&c) || (is_mark && self.joinable);
            if std::mem::take(&mut self.space) && self.started {
                self.held = Some(c);
                return Some(' ');
            }
            self.started = true;
            return Some(c);
        }
        None
    }
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

/// Whether a character shows nothing, wherever it stands.
fn is_invisible(c: char) -> bool {
    match c {
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180B}'..='\u{180F}' | '\u{200B}' | '\u{200E}' | '\u{200F}' => true,
        // Directions; word joiner, invisible operators, isolates and the deprecated controls.
        '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => true,
        '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' => true,
        '\u{E0000}'..='\u{E0FFF}' => true,
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spaces_and_invisible_characters() {
        for (text, expected) in [
            ("  Türkmen\u{a0}\u{2009}dili\r\n\t ", "Türkmen dili"),
            ("\u{feff}\u{2063}A\u{200b}B\u{ad}C", "ABC"),
            ("a \u{200b} b", "a b"),
            ("Tu\u{308}rkmen y\u{301}", "Türkmen ý"),
            // A letter and its mark meet once the character between them is gone.
            ("u\u{200b}\u{308}", "ü"),
            ("И\u{306}од", "Йод"),
            ("nul\u{0}l\u{7f}", "null"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("ab\u{200d}c", "abc"),
            ("plain text", "plain text"),
            ("two  spaces", "two spaces"),
            ("", ""),
            (" \u{a0}\n", ""),
        ] {
            assert_eq!(normalise(text), expected, "{text:?}");
        }
    }

    #[test]
    fn folding_keeps_letters_and_digits() {
        for (text, expected) in [
            ("«Türkmenistan», 2-nji ýyl!", "türkmenistan 2 nji ýyl"),
            ("Türkmenistan 2 NJI  ÝYL", "türkmenistan 2 nji ýyl"),
            ("за\u{301}мок — Замок", "замок замок"),
            ("oʻzbek o'zbek", "ozbek ozbek"),
            ("İstanbul", "istanbul"),
            ("क्षमा।", "क्षमा"),
            ("— … !", ""),
        ] {
            assert_eq!(fold(text), expected, "{text:?}");
        }
    }

    /// Any characters, those that the rules name far more often than by chance.
    fn texts() -> impl Strategy<Value = String> {
        let special = prop::sample::select(
            " \u{a0}\n\u{200c}\u{200d}\u{ad}\u{308}\u{301}\u{307}uyIİıйиеқ\u{915}\u{94d}\u{64a}'-."
                .chars()
                .collect::<Vec<_>>(),
        );
        prop::collection::vec(prop_oneof![special, any::<char>()], 0..40).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in texts()) {
            let once = normalise(&text);
            prop_assert_eq!(&normalise(&once), &once);
            prop_assert!(!once.contains("  ") && once.trim() == once);
            prop_assert!(!once.chars().any(char::is_control));
        }

        #[test]
        fn folding_twice_changes_nothing(text in texts()) {
            let once = fold(&text);
            prop_assert_eq!(&fold(&once), &once);
            prop_assert!(!once.contains("  ") && once.trim() == once);
        }

        #[test]
        fn folding_ignores_case_of_turkmen(text in "[abçdeäfgžhijklmnňoöprsştuüwyýz ]{0,30}") {
            prop_assert_eq!(fold(&text.to_uppercase()), fold(&text));
        }
    }
}
