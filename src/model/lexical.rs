//! An encoder without weights: hashed character n-grams over text written in Turkmen Latin, weighted by tf-idf.
//!
//! Names, numbers and loanwords are spelt alike once both sides are in one alphabet, and that alone finds many
//! translations: it is the honest baseline under every trained model, and needs no download.
//!
//! Each word, between two marks, gives its n-grams; an n-gram is hashed to one of `dim` coordinates and a sign (feature
//! hashing, Weinberger et al. 2009), so cosines are kept up to noise of about 1/√dim. Its weight is
//! (1 + ln tf) · idf with idf = 1 + ln((1 + N) / (1 + df)), where the document frequencies df come from one pass over
//! the workspace's own text.

use serde::{Deserialize, Serialize};

use super::{Encoded, Encoder, ModelId};
use crate::error::{Error, ErrorKind, Result};
use crate::text;

/// What the vectors depend on, beside the text the encoder was fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LexicalParams {
    /// Numbers in a vector. More: less noise, more disk.
    pub dim: usize,
    /// Shortest n-gram, in characters.
    pub min_gram: usize,
    /// Longest n-gram, in characters.
    pub max_gram: usize,
}

impl Default for LexicalParams {
    fn default() -> Self {
        Self { dim: 2048, min_gram: 3, max_gram: 5 }
    }
}

/// Document frequencies are counted in this many buckets: far more than coordinates, so that rare and common n-grams
/// seldom share one.
const BUCKETS: usize = 1 << 18;

/// The encoder, fitted.
#[derive(Debug)]
pub struct Lexical {
    params: LexicalParams,
    id: ModelId,
    /// How many texts it was fitted on.
    texts: u32,
    frequencies: Vec<u32>,
}

/// Counts document frequencies, text by text. Memory: 1 MB.
#[derive(Debug)]
pub struct LexicalFit {
    params: LexicalParams,
    texts: u32,
    frequencies: Vec<u32>,
}

impl LexicalFit {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// Kind `Config` for parameters without meaning.
    pub fn new(params: LexicalParams) -> Result<Self> {
        if params.dim < 16 || params.min_gram == 0 || params.max_gram < params.min_gram {
            return Err(Error::config(format!(
                "the lexical encoder cannot work with dim = {}, min-gram = {}, max-gram = {}: dim must be at least 16 and the grams in order",
                params.dim, params.min_gram, params.max_gram
            )));
        }
        Ok(Self { params, texts: 0, frequencies: vec![0; BUCKETS] })
    }

    /// Counts one text.
    pub fn add(&mut self, text: &str) {
        let mut buckets: Vec<usize> = Vec::new();
        for_each_gram(text, self.params, |hash| buckets.push(bucket(hash)));
        buckets.sort_unstable();
        buckets.dedup();
        for bucket in buckets {
            self.frequencies[bucket] += 1;
        }
        self.texts += 1;
    }

    /// The encoder.
    pub fn finish(self) -> Lexical {
        Lexical::new(self.params, self.texts, self.frequencies)
    }
}

impl Lexical {
    fn new(params: LexicalParams, texts: u32, frequencies: Vec<u32>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&texts.to_le_bytes());
        frequencies.iter().for_each(|count| {
            hasher.update(&count.to_le_bytes());
        });
        let hash = &hasher.finalize().to_hex()[..8];
        let id = ModelId(format!("lexical-{}-{}-{}-{hash}", params.min_gram, params.max_gram, params.dim));
        Self { params, id, texts, frequencies }
    }

    /// Its fitted state: the number of texts, then (bucket, count) for each bucket that was seen; all little-endian u32.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.texts.to_le_bytes().to_vec();
        for (bucket, count) in self.frequencies.iter().enumerate().filter(|(_, count)| **count > 0) {
            bytes.extend(u32::try_from(bucket).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(count.to_le_bytes());
        }
        bytes
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// Kind `Model` when the bytes are no fitted state.
    pub fn from_bytes(params: LexicalParams, bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::new(ErrorKind::Model, "the fitted lexical model is damaged");
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_err(|_| damaged());
        let texts = number(bytes.get(..4).ok_or_else(damaged)?)?;
        let mut frequencies = vec![0; BUCKETS];
        for entry in bytes[4..].chunks(8) {
            let bucket = number(entry.get(..4).ok_or_else(damaged)?)? as usize;
            *frequencies.get_mut(bucket).ok_or_else(damaged)? = number(entry.get(4..).ok_or_else(damaged)?)?;
        }
        Ok(Self::new(params, texts, frequencies))
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut hashes: Vec<u64> = Vec::new();
        for_each_gram(text, self.params, |hash| hashes.push(hash));
        if hashes.is_empty() {
            // A text of punctuation alone still has characters to compare.
            for_each_window(&text.chars().collect::<Vec<_>>(), 1, |hash| hashes.push(hash));
        }
        hashes.sort_unstable();
        let mut vector = vec![0.0_f32; self.params.dim];
        for run in hashes.chunk_by(|a, b| a == b) {
            let frequency = self.frequencies[bucket(run[0])];
            let idf = 1.0 + ((1.0 + f64::from(self.texts)) / (1.0 + f64::from(frequency))).ln();
            let weight = (1.0 + (run.len() as f64).ln()) * idf;
            #[expect(clippy::cast_possible_truncation, reason = "32 bits are the vectors' precision")]
            let signed = if run[0] >> 63 == 0 { weight } else { -weight } as f32;
            vector[usize::try_from(run[0] & 0xffff_ffff).unwrap_or(0) % self.params.dim] += signed;
        }
        if vector.iter().all(|x| *x == 0.0) {
            // The signs of all n-grams cancel each other. Without signs, and by other bits of the hash, none does.
            for run in hashes.chunk_by(|a, b| a == b) {
                #[expect(clippy::cast_precision_loss, reason = "a small count")]
                let weight = 1.0 + (run.len() as f32).ln();
                vector[usize::try_from(run[0] >> 32).unwrap_or(0) % self.params.dim] += weight;
            }
        }
        vector
    }
}

impl Encoder for Lexical {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn dim(&self) -> usize {
        self.params.dim
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Encoded> {
        use rayon::prelude::*;
        let row = |text: &&str| {
            if text.trim().is_empty() { vec![0.0; self.params.dim] } else { self.vector(text) }
        };
        let rows: Vec<Vec<f32>> = texts.par_iter().map(row).collect();
        Encoded::of_rows(self.params.dim, rows.concat())
    }
}

/// Calls `each` with the hash of every n-gram of every word.
fn for_each_gram(text: &str, params: LexicalParams, mut each: impl FnMut(u64)) {
    let latin = text::respell(&text::to_latin(text));
    let mut word: Vec<char> = Vec::new();
    for piece in latin.split(|c: char| !c.is_alphanumeric()).filter(|piece| !piece.is_empty()) {
        word.clear();
        word.push('⟨');
        word.extend(piece.chars());
        word.push('⟩');
        for size in params.min_gram..=params.max_gram {
            for_each_window(&word, size, &mut each);
        }
        if word.len() < params.min_gram {
            for_each_window(&word, word.len(), &mut each);
        }
    }
}

fn for_each_window(characters: &[char], size: usize, mut each: impl FnMut(u64)) {
    for window in characters.windows(size) {
        // FNV-1a over the code points, then mixed: its low bits alone are poor.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for character in window {
            hash = (hash ^ u64::from(u32::from(*character))).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
        each(hash ^ (hash >> 33));
    }
}

fn bucket(hash: u64) -> usize {
    usize::try_from((hash >> 32) & (BUCKETS as u64 - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(texts: &[&str]) -> Lexical {
        let mut fit = LexicalFit::new(LexicalParams::default()).unwrap();
        texts.iter().for_each(|text| fit.add(text));
        fit.finish()
    }

    #[test]
    fn names_meet_across_alphabets() {
        let mut model = fitted(&["Aşgabatda täze awtobus", "Сегодня в Мары прошёл турнир", "Kitaphana açyldy"]);
        let vectors = model
            .encode(&["Турнир по шахматам в Ашхабаде", "Aşgabatda küşt boýunça turnir", "Kitaphana irden açylýar"])
            .unwrap()
            .vectors;
        let cosine = |a: usize, b: usize| vectors.row(a).iter().zip(vectors.row(b)).map(|(x, y)| x * y).sum::<f32>();
        assert!(cosine(0, 1) > cosine(0, 2) + 0.05);
    }

    #[test]
    fn its_state_reads_back_to_the_same_model() {
        let mut model = fitted(&["bir iki üç", "iki üç dört"]);
        let mut again = Lexical::from_bytes(LexicalParams::default(), &model.to_bytes()).unwrap();
        assert_eq!(model.id(), again.id());
        assert_eq!(model.encode(&["üç dört"]).unwrap(), again.encode(&["üç dört"]).unwrap());
        assert!(Lexical::from_bytes(LexicalParams::default(), &[1, 2, 3]).is_err());
    }

    #[test]
    fn short_and_wordless_texts_have_vectors_and_blank_ones_none() {
        let mut model = fitted(&["bir"]);
        assert_eq!(model.encode(&["A", "…", "5"]).unwrap().vectors.rows(), 3);
        let encoded = model.encode(&["A", " \u{a0}", "\u{200b}", ""]).unwrap();
        assert_eq!((encoded.vectors.rows(), encoded.without.as_slice()), (2, [1, 3].as_slice()));
    }

    #[test]
    fn texts_whose_signs_cancel_have_vectors_of_their_own() {
        let mut model = fitted(&["bir", "iki"]);
        let texts = ["2 + 6", "6 : 2", "✨^", "🎓🎨"];
        for text in texts {
            // Two features in one coordinate, with opposite signs.
            let mut hashes = Vec::new();
            for_each_gram(text, model.params, |hash| hashes.push(hash));
            if hashes.is_empty() {
                for_each_window(&text.chars().collect::<Vec<_>>(), 1, |hash| hashes.push(hash));
            }
            let place = |hash: u64| (hash & 0xffff_ffff) % model.params.dim as u64;
            assert!(hashes.len() == 2 && place(hashes[0]) == place(hashes[1]), "{text}: {hashes:x?}");
            assert_ne!(hashes[0] >> 63, hashes[1] >> 63, "{text}");
        }
        let encoded = model.encode(&texts).unwrap();
        assert!(encoded.without.is_empty());
        let cosine = |a: usize, b: usize| -> f32 {
            encoded.vectors.row(a).iter().zip(encoded.vectors.row(b)).map(|(x, y)| x * y).sum()
        };
        assert!((cosine(0, 1) - 1.0).abs() < 1e-6, "the same words");
        assert!(cosine(0, 2).abs() < 1e-6 && cosine(2, 3).abs() < 1e-6, "nothing in common");
        assert_eq!(model.encode(&texts).unwrap(), encoded);
    }
}
