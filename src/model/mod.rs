//! Models: texts to vectors, and texts to texts of another language. Each names what its results depend on, so that
//! vectors are never compared with those of another.

use std::fmt;
use std::path::Path;

use crate::error::Result;
use crate::record::{Language, Vectors};

pub mod adapter;
pub mod cache;
pub mod identity;
pub mod inspect;
pub mod lexical;
pub mod sentence_transformers;
pub mod static_embedding;
pub mod torch;

/// What a model's vectors depend on, in one name: a readable part and a hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(pub String);

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an encoder has read since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Tokens, special ones included.
    pub tokens: u64,
    /// Texts that were longer than the model takes, and lost their end.
    pub truncated: u64,
}

/// What an encoder makes of some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// A row for each text that has a vector, in the order of the texts.
    pub vectors: Vectors,
    /// The places, from 0 and ascending, of the texts that have none: nothing of them is a token of the model.
    pub without: Vec<usize>,
}

impl Encoded {
    /// From one row a text, of any length; that of a text without a vector is all zero.
    ///
    /// # Errors
    /// Kind `Model`: a row is not finite.
    pub fn of_rows(dim: usize, data: Vec<f32>) -> Result<Self> {
        let (vectors, without) = Vectors::normalised_without_zeros(dim, data)?;
        Ok(Self { vectors, without })
    }

    /// How many texts there were.
    pub fn texts(&self) -> usize {
        self.vectors.rows() + self.without.len()
    }

    /// The vector of each text, in order; `None` for one that has none.
    pub fn by_text(&self) -> impl Iterator<Item = Option<&[f32]>> {
        let (mut rows, mut without) = (self.vectors.iter(), self.without.iter().peekable());
        (0..self.texts()).map(move |text| if without.next_if_eq(&&text).is_some() { None } else { rows.next() })
    }

    /// The places of the texts that have a vector, ascending: text `with()[r]` has row `r`.
    pub fn with(&self) -> Vec<usize> {
        self.by_text().enumerate().filter_map(|(text, row)| row.map(|_| text)).collect()
    }
}

/// Texts to unit vectors.
pub trait Encoder: Send {
    /// What identifies its vectors: architecture, weights' hash, pooling, length limit, prompt. It is part of every key
    /// of what is computed from them.
    fn id(&self) -> &ModelId;

    /// Numbers in a vector.
    fn dim(&self) -> usize;

    /// What it has read so far; `None` for an encoder without tokens.
    fn tally(&self) -> Option<Tally> {
        None
    }

    /// What its user should know of its opening; one line.
    fn remark(&self) -> Option<&str> {
        None
    }

    /// How many texts at once serve it best.
    fn window(&self) -> usize {
        1_024
    }

    /// One row of [`Self::dim`] numbers a text, in the order of the texts, except for texts without any token.
    ///
    /// # Errors
    /// Kind `Model`.
    fn encode(&mut self, texts: &[&str]) -> Result<Encoded>;

    /// Whether it must be told the language of its texts, by [`Self::read_as`] or with them
    /// ([`Self::encode_tagged`]).
    fn wants_language(&self) -> bool {
        false
    }

    /// Whether texts of a language can be read, named as for [`Self::read_as`]. One that knows no languages reads any.
    fn has_language(&self, _language: &str) -> bool {
        true
    }

    /// Reads the texts that follow in a language, named as the model does (`tuk_Latn`) or by its code (`tk`). One that
    /// knows no languages reads as before.
    ///
    /// # Errors
    /// Kind `Model`: a model that wants a language has no such one.
    fn read_as(&mut self, _language: &str) -> Result<()> {
        Ok(())
    }

    /// As [`Self::encode`], of texts with their languages, which a model that must know them is told.
    ///
    /// # Errors
    /// As [`Self::encode`]; a language that such a model does not have is one.
    fn encode_tagged(&mut self, texts: &[(Language, &str)]) -> Result<Encoded> {
        let texts: Vec<&str> = texts.iter().map(|(_, text)| *text).collect();
        self.encode(&texts)
    }
}

/// Opens a model folder: a static embedding, or a network on libtorch.
///
/// # Errors
/// Kind `Model`: a file that is missing or wrong, or describes what is not supported.
pub fn open(folder: &Path, options: &torch::Options) -> Result<Box<dyn Encoder>> {
    open_as(folder, &sentence_transformers::Opening::default(), options)
}

/// Opens a model folder, helped by what the caller knows (the pooling of a plain folder, an adapter's base).
///
/// # Errors
/// As [`open`].
pub fn open_as(
    folder: &Path,
    opening: &sentence_transformers::Opening,
    options: &torch::Options,
) -> Result<Box<dyn Encoder>> {
    match static_embedding::StaticEmbedding::open(folder, options.prompt.as_deref())? {
        Some(encoder) => Ok(Box::new(encoder)),
        None => Ok(Box::new(torch::TorchEncoder::open_as(folder, opening, options)?)),
    }
}

/// Texts to texts of another language, which language being a matter of the model and its options.
pub trait Translator: Send {
    /// What identifies its translations: architecture, weights' hash, languages, search, limits. It is part of every key
    /// of what is computed from them.
    fn id(&self) -> &ModelId;

    /// One translation a text, in the order of the texts.
    ///
    /// # Errors
    /// Kind `Model`; a text without any token is one, and the message names its index.
    fn translate(&mut self, texts: &[&str]) -> Result<Vec<Translation>>;
}

/// A text, translated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Translation {
    /// It may be empty: a model can find nothing to say.
    pub text: String,
    /// How sure the model is: the logarithm of a probability, a token's on average (by the search's length penalty).
    /// `None` for a translator that does not tell.
    pub score: Option<f32>,
    /// Whether the text was longer than the model takes, so that its end is not translated.
    pub source_cut: bool,
    /// Whether the translation was cut at the length limit.
    pub cut: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_without_a_vector_keep_their_place_among_the_others() {
        let encoded = Encoded::of_rows(2, vec![0.0, 0.0, 3.0, 4.0, 0.0, -2.0, 0.0, 0.0]).unwrap();
        assert_eq!((encoded.texts(), encoded.without.as_slice()), (4, [0, 3].as_slice()));
        assert_eq!(encoded.with(), [1, 2]);
        let rows: Vec<Option<&[f32]>> = encoded.by_text().collect();
        assert_eq!(rows, [None, Some([0.6, 0.8].as_slice()), Some([0.0, -1.0].as_slice()), None]);
    }
}
