//! Legacy Turkmen: fonts in which a glyph stands for another letter than its code says.
//!
//! The first Latin alphabet of 1993 took its new letters from keyboards: `¥ ÿ` for Ý ý, `Ñ ñ` for Ň ň, `$ ¢` for Ş ş,
//! `£ ſ` for Ž ž. Later fonts drew the letters of today in the places of other code pages, so that a file says `ò` and shows
//! ň. A font is repaired where such signs stand inside words, the letters that they would stand for occur nowhere in it, and
//! the repaired text is Turkmen. Since those letters did not occur before, each repair can be undone.

use std::collections::HashMap;
use std::rc::Rc;

use super::font::Font;
use super::interpreter::PageContent;
use crate::record::Language;
use crate::text::language;

/// Which signs stand for which letters.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, as results record it.
    pub name: &'static str,
    /// The signs and their letters.
    pub letters: &'static [(char, char)],
}

/// The tables that the program knows.
pub const TABLES: [Table; 3] = [
    Table {
        name: "turkmen-1993",
        letters: &[('¥', 'Ý'), ('ÿ', 'ý'), ('Ñ', 'Ň'), ('ñ', 'ň'), ('$', 'Ş'), ('¢', 'ş'), ('£', 'Ž'), ('ſ', 'ž')],
    },
    // Windows-1254 has ş; ý and ň took the places of their look-alikes there.
    Table {
        name: "turkmen-windows-1254",
        letters: &[('Ÿ', 'Ý'), ('ÿ', 'ý'), ('Ñ', 'Ň'), ('ñ', 'ň'), ('Þ', 'Ş'), ('þ', 'ş')],
    },
    // Windows-1250, which has every letter of the alphabet, taken for windows-1252.
    Table { name: "turkmen-windows-1250", letters: &[('Ò', 'Ň'), ('ò', 'ň'), ('ª', 'Ş'), ('º', 'ş')] },
];

/// A font of the book whose signs were read as other letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Name of the font.
    pub font: String,
    /// Name of the table in [`TABLES`].
    pub table: &'static str,
    /// What the file says, what was read instead, and how often. None of those letters stood in the font's own text, so that
    /// the way back is exact.
    pub letters: Vec<(char, char, usize)>,
}

/// Signs inside words from which on a font can be suspected.
const MIN_SIGNS: usize = 3;
/// The share of a sign's occurrences that must stand beside letters: the dollar of a price does not.
const MIN_INSIDE: f64 = 0.9;
/// The repaired text must be Turkmen with this confidence.
const MIN_CONFIDENCE: f32 = 0.8;
/// Characters of a font's text that are looked at.
const MAX_TEXT: usize = 20_000;

/// What is known of one font's text.
#[derive(Debug)]
struct Usage {
    font: Rc<Font>,
    /// Words in which the font takes part.
    text: String,
    /// Signs and letters of the tables: how often they occur, and how often beside a letter.
    counts: HashMap<char, (usize, usize)>,
}

/// The texts of the fonts of a book.
#[derive(Debug, Default)]
pub(super) struct Census {
    fonts: HashMap<usize, Usage>,
}

fn is_of_tables(c: char) -> bool {
    !c.is_ascii_alphanumeric() && TABLES.iter().any(|table| table.letters.iter().any(|&(a, b)| a == c || b == c))
}

impl Census {
    /// Counts the words of a page, in drawing order.
    pub(super) fn add(&mut self, content: &PageContent) {
        let mut word: Vec<(char, usize)> = Vec::new();
        let mut end = (f64::NEG_INFINITY, 0.0);
        for glyph in &content.glyphs {
            let apart = (glyph.x - end.0).abs() > 0.2 * glyph.size || (glyph.y - end.1).abs() > 0.2 * glyph.size;
            if apart || glyph.text.contains(char::is_whitespace) {
                self.add_word(&word, content);
                word.clear();
            }
            word.extend(glyph.text.chars().filter(|c| !c.is_whitespace()).map(|c| (c, glyph.font)));
            end = (glyph.x + glyph.width, glyph.y);
        }
        self.add_word(&word, content);
    }

    fn add_word(&mut self, word: &[(char, usize)], content: &PageContent) {
        let mut fonts: Vec<usize> = word.iter().map(|&(_, font)| font).collect();
        fonts.sort_unstable();
        fonts.dedup();
        for font in fonts {
            let known = &content.fonts[font];
            let usage = self.fonts.entry(Rc::as_ptr(known) as usize).or_insert_with(|| Usage {
                font: Rc::clone(known),
                text: String::new(),
                counts: HashMap::new(),
            });
            if usage.text.len() < MAX_TEXT {
                usage.text.extend(word.iter().map(|&(c, _)| c));
                usage.text.push(' ');
            }
            for (at, &(c, of)) in word.iter().enumerate() {
                if of == font && is_of_tables(c) {
                    let mut beside =
                        [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| word.get(at));
                    let count = usage.counts.entry(c).or_default();
                    count.0 += 1;
                    let inside = beside.clone().any(|(c, _)| c.is_alphabetic()) && !beside.any(|(c, _)| c.is_numeric());
                    count.1 += usize::from(inside);
                }
            }
        }
    }

    /// Repairs the fonts that need it; what they showed before must be read anew.
    pub(super) fn repair(self) -> Vec<Repair> {
        let mut usages: Vec<Usage> = self.fonts.into_values().collect();
        usages.sort_by(|a, b| a.font.name.cmp(&b.font.name).then_with(|| a.text.cmp(&b.text)));
        let mut choices: Vec<Option<&'static Table>> = usages.iter().map(Usage::table).collect();
        // A font of few words follows the others of its book.
        for (usage, choice) in usages.iter().zip(choices.clone()) {
            if let Some(table) = choice {
                for (other, chosen) in usages.iter().zip(&mut choices) {
                    let shares = !std::ptr::eq(usage, other) && !other.pairs(table).is_empty();
                    if chosen.is_none() && shares {
                        *chosen = Some(table);
                    }
                }
            }
        }
        let mut repairs = Vec::new();
        for (usage, table) in usages.iter().zip(choices) {
            let Some(table) = table else { continue };
            let letters = usage.pairs(table);
            usage.font.replace(letters.iter().map(|&(sign, letter, _)| (sign, letter)).collect());
            repairs.push(Repair { font: usage.font.name.clone(), table: table.name, letters });
        }
        repairs
    }
}

impl Usage {
    /// The signs of a table that would be replaced, their letters, and how often.
    fn pairs(&self, table: &Table) -> Vec<(char, char, usize)> {
        let count = |c: char| self.counts.get(&c).copied().unwrap_or_default();
        let pairs = table.letters.iter().map(|&(sign, letter)| (sign, letter, count(sign), count(letter).0));
        pairs
            .filter(|&(.., (all, inside), own)| all > 0 && inside as f64 >= MIN_INSIDE * all as f64 && own == 0)
            .map(|(sign, letter, (all, _), _)| (sign, letter, all))
            .collect()
    }

    /// The table that makes its text Turkmen.
    fn table(&self) -> Option<&'static Table> {
        let signs = |table: &Table| self.pairs(table).iter().map(|pair| pair.2).sum::<usize>();
        let mut tables: Vec<&'static Table> = TABLES.iter().filter(|table| signs(table) >= MIN_SIGNS).collect();
        tables.sort_by_key(|table| std::cmp::Reverse(signs(table)));
        tables.into_iter().find(|table| {
            let pairs = self.pairs(table);
            let letter = |c: char| pairs.iter().find(|pair| pair.0 == c).map_or(c, |pair| pair.1);
            let repaired: String = self.text.chars().map(letter).collect();
            language::identify(&repaired, &[])
                .is_some_and(|guess| guess.language == Language::TURKMEN && guess.confidence >= MIN_CONFIDENCE)
        })
    }
}

#[cfg(test)]
mod tests {
    use lopdf::dictionary;

    use super::super::sample::Sample;
    use super::super::{Limits, extract};

    const TURKMEN: &str = "Suw tebigatda hemme ýerde duş gelýär: deňizlerde, derýalarda, guýularda, bulutlarda we hatda janly-jandarlaryň içinde hem. Şu sebäpden adamlar suwy aýap saklaýarlar. Güýzüň aýlary Ýurdumyzda ýagyşly bolýar.";

    fn as_written(text: &str, signs: &[(char, char)]) -> String {
        text.chars().map(|c| signs.iter().find(|(_, letter)| *letter == c).map_or(c, |pair| pair.0)).collect()
    }

    fn book(font: &str, text: &str) -> Vec<u8> {
        let mut sample = Sample::new();
        let mut content = String::new();
        for (at, line) in text.split(". ").enumerate() {
            let (bytes, _, unknown) = encoding_rs::WINDOWS_1252.encode(line);
            assert!(!unknown);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            content += &format!("BT /{font} 6 Tf 20 {} Td <{hex}> Tj ET\n", 700 - 9 * at);
        }
        sample.font("D", dictionary! { "Type" => "Font", "Subtype" => "TrueType", "BaseFont" => "TurkmenTimes", "Encoding" => "WinAnsiEncoding" });
        sample.page(content.as_bytes());
        sample.bytes()
    }

    fn text(bytes: &[u8]) -> (String, Vec<super::Repair>) {
        let book = extract(bytes, &Limits::default()).unwrap();
        let texts: Vec<String> = book.blocks.into_iter().map(|block| block.text).collect();
        (texts.join(" "), book.repairs)
    }

    #[test]
    fn signs_become_letters_and_the_record_leads_back() {
        for table in &super::TABLES {
            let written = as_written(TURKMEN, table.letters);
            let bytes = book("D", &written);
            let (read, repairs) = text(&bytes);
            assert_eq!(read, TURKMEN.replace(". ", " "), "{}", table.name);
            let [repair] = &repairs[..] else { panic!("{repairs:?}") };
            assert_eq!((repair.font.as_str(), repair.table), ("TurkmenTimes", table.name));
            let back: Vec<(char, char)> = repair.letters.iter().map(|&(sign, letter, _)| (sign, letter)).collect();
            assert_eq!(as_written(&read, &back), written.replace(". ", " "));
            let replaced: usize = repair.letters.iter().map(|letter| letter.2).sum();
            assert_eq!(replaced, read.chars().zip(written.replace(". ", " ").chars()).filter(|(a, b)| a != b).count());
        }
    }

    #[test]
    fn other_languages_and_prices_stay_as_they_are() {
        for other in [
            TURKMEN.replace('ň', "n").replace('ş', "s").replace('Ş', "S") + " Bahasy 5$ we 7$, 20¥ we 30¥",
            "El niño pequeño soñaba con una montaña. La señora española enseñaba a los niños el camino del año"
                .to_owned(),
        ] {
            let (read, repairs) = text(&book("D", &other));
            assert_eq!(repairs, []);
            assert_eq!(read, other.replace(". ", " "));
        }
    }
}
