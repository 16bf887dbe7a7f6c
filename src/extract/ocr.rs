//! What a character recogniser says of a page: its words with their confidence, put together to paragraphs, and the gate
//! that they must pass.
//!
//! A recogniser is sure of letters that it does not know, too: trained on Turkish, it reads Turkmen without a single ý,
//! at a confidence of 91. So a text must have the letters of its language, about as often as the language has them.

use crate::record::Language;
use crate::text::identify;
use crate::text::language::script_of;

/// Less of the letters than this share in the language's script, and the text is none of it.
const MIN_SCRIPT: f64 = 0.9;
/// A letter that should stand at least so often in a text tells something by being missing…
const EXPECTED: f64 = 12.0;
/// …when it stands less than this share as often.
const MIN_FOUND: f64 = 1.0 / 3.0;

/// Letters outside ASCII by which recognisers fail, and their share of all letters in running text (FLORES-200).
const LETTERS: [(Language, &[(char, f64)]); 1] = [(
    Language::TURKMEN,
    &[('ý', 0.036), ('ň', 0.018), ('ş', 0.015), ('ä', 0.013), ('ü', 0.013), ('ç', 0.012), ('ö', 0.011)],
)];

/// A paragraph that was recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct Paragraph {
    /// Its text on one line, words broken at line ends joined.
    pub text: String,
    /// Mean confidence of its characters, 0 to 100.
    pub confidence: f32,
}

/// Reads what Tesseract writes as TSV: levels, places, confidence, text.
///
/// # Errors
/// Words saying what is no such table.
pub fn paragraphs(tsv: &str) -> Result<Vec<Paragraph>, String> {
    let mut lines = tsv.lines();
    let header = lines.next().unwrap_or_default();
    if !header.starts_with("level\tpage_num\tblock_num\tpar_num\tline_num") || !header.ends_with("\tconf\ttext") {
        let header: String = header.chars().take(80).collect();
        return Err(format!("its answer is no table of words, but begins {header:?}"));
    }
    let mut paragraphs: Vec<(Place, Building)> = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let [level, page, block, paragraph, row, _, _, _, _, _, confidence, word] = fields[..] else { continue };
        let word = word.trim();
        // Level 5 is a word; others frame it.
        if level != "5" || word.is_empty() {
            continue;
        }
        let confidence: f64 = confidence.parse().map_err(|_| format!("{confidence:?} is no confidence"))?;
        let place = (page, block, paragraph);
        if paragraphs.last().is_none_or(|(last, _)| *last != place) {
            paragraphs.push((place, Building::default()));
        }
        if let Some((_, building)) = paragraphs.last_mut() {
            building.push(word, row, confidence);
        }
    }
    Ok(paragraphs.into_iter().map(|(_, building)| building.finish()).collect())
}

/// Page, block and paragraph.
type Place<'a> = (&'a str, &'a str, &'a str);

#[derive(Default)]
struct Building<'a> {
    text: String,
    row: &'a str,
    weighted: f64,
    characters: f64,
}

impl<'a> Building<'a> {
    fn push(&mut self, word: &str, row: &'a str, confidence: f64) {
        let lower = word.chars().next().is_some_and(char::is_lowercase);
        let stem = self.text.strip_suffix('-').filter(|_| self.row != row && lower);
        match stem.map(|stem| (stem.len(), stem.ends_with(char::is_alphabetic))) {
            // A word broken at the line's end; behind a digit (`5-` `nji`) the hyphen is part of it.
            Some((length, true)) => self.text.truncate(length),
            Some((_, false)) => {}
            None if self.text.is_empty() => {}
            None => self.text.push(' '),
        }
        self.text.push_str(word);
        self.row = row;
        let characters = word.chars().count() as f64;
        self.weighted += characters * confidence;
        self.characters += characters;
    }

    fn finish(self) -> Paragraph {
        use unicode_normalization::UnicodeNormalization as _;
        #[expect(clippy::cast_possible_truncation, reason = "0 to 100")]
        let confidence = (self.weighted / self.characters) as f32;
        Paragraph { text: self.text.nfc().collect(), confidence }
    }
}

/// Mean confidence over the characters of paragraphs; `None` without any.
pub fn confidence(paragraphs: &[Paragraph]) -> Option<f32> {
    let length = |paragraph: &Paragraph| paragraph.text.chars().count() as f64;
    let all: f64 = paragraphs.iter().map(length).sum();
    let sum: f64 = paragraphs.iter().map(|paragraph| length(paragraph) * f64::from(paragraph.confidence)).sum();
    #[expect(clippy::cast_possible_truncation, reason = "0 to 100")]
    (all > 0.0).then(|| (sum / all) as f32)
}

/// On so many pages the same first or last paragraph, and it is no text of the book.
const RUNNING: usize = 3;

/// Takes out what stands at the head or foot of several pages, but for its numbers, and page numbers.
pub fn without_running<'a>(pages: impl Iterator<Item = &'a mut Vec<Paragraph>>) {
    let bare = |text: &str| text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect::<String>();
    let mut pages: Vec<&mut Vec<Paragraph>> = pages.collect();
    // A head of two parts is two paragraphs: what is behind one that goes is at the head then.
    for _ in 0..2 {
        for last in [false, true] {
            let at_edge = |page: &[Paragraph]| {
                let paragraph = if last { page.last() } else { page.first() };
                paragraph.map(|paragraph| bare(&paragraph.text))
            };
            let edges: Vec<Option<String>> = pages.iter().map(|page| at_edge(page)).collect();
            for (page, edge) in pages.iter_mut().zip(&edges) {
                let Some(text) = edge else { continue };
                let times = edges.iter().flatten().filter(|other| *other == text).count();
                if text.is_empty() || times >= RUNNING {
                    page.remove(if last { page.len() - 1 } else { 0 });
                }
            }
        }
    }
}

/// Whether a page's text is text of a language; if not, why.
///
/// # Errors
/// The reason in words.
pub fn judge(text: &str, language: Language, candidates: &[Language]) -> Result<(), String> {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let own = text.chars().filter(|c| c.is_alphabetic() && script_of(*c) == Some(language.script())).count();
    if (own as f64) < MIN_SCRIPT * letters as f64 {
        return Err(format!("{own} of its {letters} letters are of the script of {}", language.name()));
    }
    match identify(text, candidates) {
        Some(guess) if guess.language == language => Ok(()),
        Some(guess) => Err(format!("it reads as {}, not as {}", guess.language.name(), language.name())),
        None => Err(format!("it cannot be told to be {}", language.name())),
    }
}

/// Whether a text has the letters of its language: `None` when it is too short to tell.
///
/// # Errors
/// The letter that is missing, in words.
pub fn has_its_letters(text: &str, language: Language) -> Result<Option<()>, String> {
    let Some((_, table)) = LETTERS.iter().find(|(other, _)| *other == language) else { return Ok(Some(())) };
    let lower: Vec<char> = text.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphabetic()).collect();
    let mut told = None;
    for (letter, share) in *table {
        let expected = share * lower.len() as f64;
        if expected < EXPECTED {
            continue;
        }
        let found = lower.iter().filter(|c| *c == letter).count();
        if (found as f64) < MIN_FOUND * expected {
            return Err(format!(
                "it has {found} times {letter:?} where {} has about {expected:.0}: the recogniser does not know this \
                 letter",
                language.name()
            ));
        }
        told = Some(());
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n";

    fn word(paragraph: u32, line: u32, confidence: f32, text: &str) -> String {
        format!("5\t1\t1\t{paragraph}\t{line}\t1\t0\t0\t9\t9\t{confidence}\t{text}\n")
    }

    #[test]
    fn words_become_paragraphs_and_broken_words_are_joined() {
        let tsv = [
            HEAD.to_owned(),
            "4\t1\t1\t1\t1\t0\t0\t0\t9\t9\t-1\t\n".into(),
            word(1, 1, 90.0, "Вода"),
            word(1, 1, 80.0, "кипе-"),
            word(1, 2, 90.0, "ла"),
            word(1, 2, 70.0, "5-"),
            word(1, 3, 70.0, "nji"),
            word(2, 1, 95.0, " "),
            word(3, 1, 60.0, "Конец."),
        ];
        let found = paragraphs(&tsv.concat()).unwrap();
        assert_eq!(found[0].text, "Вода кипела 5-nji");
        assert_eq!((found[1].text.as_str(), found[1].confidence), ("Конец.", 60.0));
        // 4·90 + 5·80 + 2·90 + 2·70 + 3·70 over 16 characters.
        assert!((found[0].confidence - 1290.0 / 16.0).abs() < 1e-4);
        assert_eq!(confidence(&[]), None);
        assert!(paragraphs("no table").unwrap_err().contains("\"no table\""));
    }

    #[test]
    fn running_heads_and_page_numbers_go() {
        let page = |number: u32| -> Vec<Paragraph> {
            let texts = [
                format!("Природа, {number}"),
                format!("Текст страницы {}", "абв".repeat(number as usize)),
                number.to_string(),
            ];
            texts.into_iter().map(|text| Paragraph { text, confidence: 90.0 }).collect()
        };
        let mut pages = [page(1), page(2), page(3)];
        without_running(pages.iter_mut());
        assert!(pages.iter().all(|page| page.len() == 1 && page[0].text.starts_with("Текст")), "{pages:#?}");
    }

    const TURKMEN: &str = "Suw tebigatda üç görnüşde bolýar: suwuk, gaty we gaz. Deňizlerde, derýalarda we köllerde suw \
        suwuk haldadyr. Gyşyna suw doňýar we buza öwrülýär. Gün suwy gyzdyrýar, suw bugarýar we howa göterilýär. Ýokarda \
        howa sowuk, şonuň üçin bug ýene suwuň damjalaryna öwrülýär. Şeýdip bulutlar emele gelýär. Çagalar, näme üçin \
        ýagyş ýagýar? Muny indi siz bilýärsiňiz, beýlekilere hem düşündirip bilersiňiz. ";

    #[test]
    fn a_recogniser_that_does_not_know_the_letters_is_found_out() {
        let candidates = [Language::RUSSIAN, Language::TURKMEN, Language::TURKISH];
        assert_eq!(judge(TURKMEN, Language::TURKMEN, &candidates), Ok(()));
        let plain = TURKMEN.replace('ý', "y").replace('Ý', "Y");
        let reason = has_its_letters(&plain.repeat(2), Language::TURKMEN).unwrap_err();
        assert!(reason.contains("0 times 'ý'"), "{reason}");
        assert_eq!(has_its_letters("Suw bar.", Language::TURKMEN), Ok(None));
        assert_eq!(has_its_letters("Вода.", Language::RUSSIAN), Ok(Some(())));
    }

    #[test]
    fn another_script_or_language_is_refused() {
        let candidates = [Language::RUSSIAN, Language::TURKMEN];
        assert!(judge(TURKMEN, Language::RUSSIAN, &candidates).unwrap_err().contains("script of Russian"));
        let russian = "Вода в природе бывает жидкой, твёрдой и газообразной.";
        assert_eq!(judge(russian, Language::RUSSIAN, &candidates), Ok(()));
        assert!(judge("17 || 12", Language::RUSSIAN, &candidates).is_err());
    }
}
