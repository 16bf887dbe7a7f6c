//! The page gate: is what the text layer found on a page text at all?
//!
//! Broken font maps yield look-alike letters without any error, so the page's own statistics decide: characters without a known
//! text, characters outside the alphabets that books here use, words that mix two alphabets, vowels.

use super::book::PageState;
use super::interpreter::PageContent;
use super::layout::Line;
use super::right_to_left::is_right_to_left;

/// More characters than this share without a known text, and the page is garbled.
const MAX_UNMAPPED: f64 = 0.05;
/// Fewer characters than this share from known alphabets, digits and punctuation, and the page is garbled.
const MIN_READABLE: f64 = 0.85;
/// More words than this share with Latin and Cyrillic letters, and the page is garbled.
const MAX_MIXED: f64 = 0.2;
/// More letters than this share with a diacritic or outside ASCII in Latin words, and the page is garbled: Turkmen and
/// Vietnamese stay below, Cyrillic bytes read as windows-1252 are nearly all above.
const MAX_ACCENTED: f64 = 0.6;
/// The share of vowels among letters in any text of these languages.
const VOWELS: std::ops::RangeInclusive<f64> = 0.18..=0.68;
/// The shares of words and vowels need at least this many letters to say anything.
const MIN_LETTERS: usize = 100;
/// Below this many characters a page with large images counts as scanned: its text is a stamp or a number.
const FEW_CHARACTERS: usize = 40;
/// Images that cover this share make a page without text a scan.
const SCAN_COVER: f64 = 0.3;

/// Counts over the characters of a page.
#[derive(Debug, Default)]
struct Counts {
    characters: usize,
    readable: usize,
    unmapped: usize,
    latin: usize,
    accented: usize,
    letters: usize,
    vowels: usize,
    words: usize,
    mixed_words: usize,
    right_to_left: usize,
}

fn is_latin(c: char) -> bool {
    c.is_alphabetic() && matches!(c, 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}')
}

fn is_cyrillic(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52F}')
}

fn is_greek(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3FF}')
}

/// Digits, punctuation and the signs of school mathematics.
fn is_known_sign(c: char) -> bool {
    c.is_ascii_digit()
        || c.is_ascii_punctuation()
        || matches!(c, '\u{A1}'..='\u{BF}' | '×' | '÷' | '\u{2010}'..='\u{2BFF}' | '\u{300}'..='\u{36F}')
}

fn is_vowel(c: char) -> bool {
    const VOWELS: &str = "aeiouyäöüýåæøœıəаеёиоуыэюяіїєәөүұ";
    // The vowel under the accent: á, ê, ō.
    let base = unicode_normalization::UnicodeNormalization::nfd(c.to_lowercase()).next().unwrap_or(c);
    VOWELS.contains(base) || c.to_lowercase().any(|c| VOWELS.contains(c))
}

impl Counts {
    fn word(&mut self, word: &str) {
        let (mut latin, mut cyrillic) = (false, false);
        for c in word.chars() {
            self.characters += 1;
            self.unmapped += usize::from(c == '\u{FFFD}');
            let letter = is_latin(c) || is_cyrillic(c) || is_greek(c);
            self.readable += usize::from(letter || is_known_sign(c));
            if letter {
                self.letters += 1;
                self.vowels += usize::from(is_vowel(c));
                self.latin += usize::from(is_latin(c));
                self.accented += usize::from(is_latin(c) && !c.is_ascii());
            }
            self.right_to_left += usize::from(is_right_to_left(c));
            latin |= is_latin(c);
            cyrillic |= is_cyrillic(c);
        }
        self.words += 1;
        self.mixed_words += usize::from(latin && cyrillic);
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The state of a page and the figures that it rests on.
pub(super) fn assess(content: &PageContent, lines: &[Line]) -> (PageState, String) {
    let mut counts = Counts::default();
    for word in lines.iter().flat_map(|line| &line.words) {
        counts.word(&word.text);
    }
    let unmapped = share(counts.unmapped, counts.characters);
    let readable = share(counts.readable, counts.characters - counts.unmapped);
    let accented = share(counts.accented, counts.latin);
    let mixed = share(counts.mixed_words, counts.words);
    let vowels = share(counts.vowels, counts.letters);
    let enough = counts.letters >= MIN_LETTERS;

    let complaint = if counts.characters == 0 && content.rotated > 0 {
        Some("all of its text is turned")
    } else if unmapped > MAX_UNMAPPED {
        Some("too many characters without a known text")
    } else if counts.right_to_left > counts.letters {
        Some("a script that runs from right to left, which no book here is in")
    } else if readable < MIN_READABLE && counts.characters > counts.unmapped {
        Some("too few characters of known alphabets")
    } else if enough && mixed > MAX_MIXED {
        Some("words mix two alphabets")
    } else if enough && counts.latin >= MIN_LETTERS && accented > MAX_ACCENTED {
        Some("too many accented letters")
    } else if enough && !VOWELS.contains(&vowels) {
        Some("a share of vowels that no language has")
    } else {
        None
    };
    let state = match complaint {
        _ if counts.characters < FEW_CHARACTERS && content.image_share >= SCAN_COVER => PageState::Scanned,
        _ if counts.characters == 0 && content.rotated > 0 => PageState::Garbled,
        _ if counts.characters == 0 => PageState::Empty,
        Some(_) => PageState::Garbled,
        None => PageState::Text,
    };

    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut evidence = format!(
        "{} characters, {} without a known text, {} of the others readable, {} vowels among {} letters, images cover {}",
        counts.characters,
        percent(unmapped),
        percent(readable),
        percent(vowels),
        counts.letters,
        percent(content.image_share)
    );
    if counts.unmapped > 0 {
        let silent = content.glyphs.iter().filter(|glyph| &*glyph.text == "\u{FFFD}");
        let mut silent: Vec<String> = silent
            .map(|glyph| &content.fonts[glyph.font])
            .map(|font| format!("{} ({})", font.name, font.silence))
            .collect();
        silent.sort_unstable();
        silent.dedup();
        evidence.push_str(&format!(", fonts that do not say what they show: {}", silent.join(", ")));
    }
    for (count, what) in
        [(content.rotated, "turned glyphs left out"), (content.outside, "glyphs outside the page left out")]
    {
        if count > 0 {
            evidence.push_str(&format!(", {count} {what}"));
        }
    }
    if content.quarters > 0 {
        evidence.push_str(&format!(", read after a turn by {}°", 90 * content.quarters));
    }
    if let (Some(complaint), PageState::Garbled) = (complaint, state) {
        evidence.push_str(": ");
        evidence.push_str(complaint);
    }
    (state, evidence)
}

#[cfg(test)]
mod tests {
    use super::super::layout::Word;
    use super::*;

    fn state_of(text: &str, image_share: f64) -> PageState {
        let words = text
            .split_whitespace()
            .map(|text| Word { text: text.to_owned(), x0: 0.0, x1: 1.0, ..Word::default() })
            .collect();
        let lines = [Line { words, y: 0.0, size: 10.0, ..Line::default() }];
        let content = PageContent { image_share, ..PageContent::default() };
        assess(&content, if text.is_empty() { &[] } else { &lines }).0
    }

    const RUSSIAN: &str = "Вода встречается в природе повсюду: в морях, реках, колодцах, облаках и даже внутри живых существ. Она бывает жидкой, твёрдой и газообразной.";
    const TURKMEN: &str = "Suw tebigatda hemme ýerde duş gelýär: deňizlerde, derýalarda, guýularda, bulutlarda we hatda janly-jandarlaryň içinde hem.";

    #[test]
    fn text_in_the_languages_of_the_books_passes() {
        for text in [RUSSIAN, TURKMEN, "2 + 3 = 5; 7 − 4 = 3; 12 : 4 = 3", "Length 40 km"] {
            assert_eq!(
                state_of(text, 0.9),
                if text.len() < 60 { PageState::Scanned } else { PageState::Text },
                "{text}"
            );
            assert_eq!(state_of(text, 0.0), PageState::Text, "{text}");
        }
    }

    #[test]
    fn mojibake_is_garbled() {
        // windows-1251 bytes read as windows-1252; a cipher of consonants; half the letters swapped for look-alikes.
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(RUSSIAN);
        assert_eq!(state_of(&encoding_rs::WINDOWS_1252.decode(&bytes).0, 0.0), PageState::Garbled);
        let shifted: String = RUSSIAN
            .chars()
            .map(|c| if c.is_alphabetic() { char::from(b'b' + (c as u32 % 3) as u8) } else { c })
            .collect();
        assert_eq!(state_of(&shifted, 0.0), PageState::Garbled);
        let mixed: String = RUSSIAN.chars().map(|c| if "аеорсВ".contains(c) { 'a' } else { c }).collect();
        assert_eq!(state_of(&mixed, 0.0), PageState::Garbled);
        assert_eq!(state_of(&RUSSIAN.replace('о', "\u{FFFD}"), 0.0), PageState::Garbled);
        assert_eq!(state_of("漢字と仮名の頁", 0.0), PageState::Garbled);
    }

    #[test]
    fn pages_without_text() {
        assert_eq!(state_of("", 0.0), PageState::Empty);
        assert_eq!(state_of("", 0.98), PageState::Scanned);
        assert_eq!(state_of("17", 0.98), PageState::Scanned);
        assert_eq!(state_of("17", 0.0), PageState::Text);
    }
}
