//! Models: texts to vectors. Each encoder names what its vectors depend on, so that they are never compared with those
//! of another.

use std::fmt;

use crate::error::Result;
use crate::record::Vectors;

pub mod adapter;
pub mod cache;
pub mod inspect;
pub mod lexical;
pub mod sentence_transformers;
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

    /// One row of [`Self::dim`] numbers a text, in the order of the texts.
    ///
    /// # Errors
    /// Kind `Model`; a text without any token is one, and the message names its index.
    fn encode(&mut self, texts: &[&str]) -> Result<Vectors>;
}
