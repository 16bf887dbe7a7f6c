//! The made corpus: documents of ten sentences in two languages, and the neighbours of each text.
//!
//! Everything follows from numbers: sentence `i` is sentence `i % 10` of document pair `i / 10`, and its texts depend on how
//! often the document was rewritten. Nine sentences of ten are aligned; the last one is left for mining.

use kopri::record::id::hash_parts;
use kopri::record::{Language, TextId};

/// Sentences of a document.
pub(crate) const SENTENCES: u64 = 10;
/// Sites.
pub(crate) const SITES: u64 = 8;
/// Neighbours of a text.
pub(crate) const K: usize = 8;
/// Every so many document pairs, the first sentence is one of [`FREQUENT`] that many documents share.
const FREQUENT_EVERY: u64 = 20;
/// Sentences that many documents share.
const FREQUENT: u64 = 12;

const SYLLABLES: [[&str; 40]; 2] = [
    [
        "ста", "но", "ве", "пра", "ли", "ро", "ди", "ка", "го", "мен", "те", "ло", "ви", "са", "ре", "по", "тор",
        "зна", "ми", "ху", "бе", "ра", "сто", "ни", "кур", "де", "жи", "ма", "воз", "лю", "цен", "да", "ше", "то",
        "пе", "нар", "су", "вы", "гла", "че",
    ],
    [
        "ýa", "dy", "gel", "mek", "ler", "bo", "la", "gö", "ni", "üst", "aý", "ça", "gy", "ly", "tur", "ka", "se",
        "ri", "dö", "wi", "şa", "en", "bi", "len", "gur", "mu", "ço", "zy", "or", "ta", "nyň", "be", "ry", "öw", "ha",
        "sa", "pu", "ji", "ol", "ma",
    ],
];
const FUNCTION: [[&str; 12]; 2] = [
    ["в", "и", "на", "не", "что", "для", "это", "после", "также", "который", "они", "были"],
    ["we", "bilen", "üçin", "bolan", "şol", "hem", "onuň", "olar", "soň", "barada", "edýär", "boldy"],
];

/// A hash of a few numbers.
fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state, part| {
        let mut value = state ^ part.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    })
}

/// A share from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "24 bits")]
fn share(parts: &[u64]) -> f32 {
    (mix(parts) >> 40) as f32 / (1_u64 << 24) as f32
}

/// The made corpus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    /// Document pairs.
    pub(crate) documents: u64,
    /// Every so many document pairs one is rewritten in the second run.
    pub(crate) step: u64,
    /// Whether the second run has begun.
    pub(crate) changed: bool,
}

impl World {
    /// Sentences of a language.
    pub(crate) fn sentences(&self) -> u64 {
        self.documents * SENTENCES
    }

    /// Whether the second run rewrites a document pair.
    pub(crate) fn is_rewritten(&self, document: u64) -> bool {
        document % self.step == self.step / 2
    }

    fn generation(&self, document: u64) -> u64 {
        u64::from(self.changed && self.is_rewritten(document))
    }

    /// Whether a sentence is one that many documents share.
    pub(crate) fn is_frequent(sentence: u64) -> bool {
        sentence.is_multiple_of(SENTENCES * FREQUENT_EVERY)
    }

    /// The text of a sentence; side 0 is Russian.
    pub(crate) fn text(&self, sentence: u64, side: usize) -> String {
        let generation = self.generation(sentence / SENTENCES);
        if Self::is_frequent(sentence) {
            return made(&[1, sentence / SENTENCES / FREQUENT_EVERY % FREQUENT], side, false);
        }
        // Five of a hundred differ from another one by a letter.
        let near = sentence % 20 == 13 && sentence > 20;
        made(&[2, generation, if near { sentence - 7 } else { sentence }], side, near)
    }

    /// The sentences of the other language that lie near one, with their cosines, best first. One in twenty has a wrong one
    /// nearest.
    pub(crate) fn near(&self, sentence: u64, side: usize) -> Vec<(u64, f32)> {
        let own = match sentence % 40 {
            11 if sentence + 4 < self.sentences() => (sentence + 4, 0.48),
            15 => (sentence - 4, 0.48),
            _ => (sentence, cosine(sentence)),
        };
        let mut near = vec![own];
        for number in 1.. {
            if near.len() == K {
                break;
            }
            let other = mix(&[3, side as u64, sentence, number]) % self.sentences();
            if !Self::is_frequent(other) && near.iter().all(|(known, _)| *known != other) && other != sentence {
                near.push((other, 0.25 + 0.15 * share(&[4, side as u64, sentence, number])));
            }
        }
        near.sort_by(|a, b| b.1.total_cmp(&a.1));
        near
    }
}

/// The cosine of a sentence and its translation.
pub(crate) fn cosine(sentence: u64) -> f32 {
    0.72 + 0.2 * share(&[5, sentence])
}

/// The posterior of an aligned pair.
pub(crate) fn posterior(sentence: u64) -> f32 {
    1.0 - 0.6 * share(&[6, sentence]).powi(3)
}

/// A sentence's language.
pub(crate) fn language(side: usize) -> Language {
    [Language::RUSSIAN, Language::TURKMEN][side]
}

/// The id of a text.
pub(crate) fn text_id(text: &str, side: usize) -> TextId {
    TextId::of(&[language(side).code().as_bytes(), text.as_bytes()])
}

/// A hash as text.
pub(crate) fn digest(text: &str) -> String {
    hash_parts(&[text.as_bytes()]).to_hex()[..32].to_owned()
}

/// A made sentence: both sides have the same numbers and names, and as many words.
fn made(seed: &[u64], side: usize, altered: bool) -> String {
    let seed = mix(seed);
    let count = 7 + mix(&[seed, 1]) % 4;
    let mut text = String::new();
    for place in 0..count {
        if place > 0 {
            text.push(' ');
        }
        let draw = mix(&[seed, 2, place]);
        match draw % 16 {
            0 if place > 0 => text.push_str(&(draw / 16 % 900 + 100).to_string()),
            1 => push_word(&mut text, draw / 16 % 500, side, true),
            2..=6 => text.push_str(FUNCTION[side][usize::try_from(draw / 16 % 12).unwrap_or(0)]),
            _ => push_word(&mut text, 500 + draw / 16 % 30_000, side, place == 0),
        }
    }
    if altered {
        text.push_str(["м", "m"][side]);
    }
    text.push('.');
    text
}

fn push_word(text: &mut String, word: u64, side: usize, capital: bool) {
    let start = text.len();
    for number in 0..2 + mix(&[word, 7]) % 3 {
        let place = mix(&[word, 8, number]) % 40;
        text.push_str(SYLLABLES[side][usize::try_from(place).unwrap_or(0)]);
    }
    if capital {
        let first: String = text[start..].chars().take(1).flat_map(char::to_uppercase).collect();
        let rest: String = text[start..].chars().skip(1).collect();
        text.truncate(start);
        text.push_str(&first);
        text.push_str(&rest);
    }
}
