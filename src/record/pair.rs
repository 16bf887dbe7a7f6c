//! A pair of sentences that translate each other, what scored it, and why it was dropped if it was.

use serde::{Deserialize, Serialize};

use super::{DocumentId, PairId, Scorer, Scores, SentenceId};

/// How a pair was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Aligned in order inside a pair of documents.
    Aligned,
    /// Found by nearest neighbours among all sentences.
    Mined,
    /// Brought in from a file.
    Imported,
    /// Another pair as people corrected it.
    Corrected,
    /// One side was made from the other by a translator.
    Translated,
}

impl Origin {
    /// Its name in the store and in exports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aligned => "aligned",
            Self::Mined => "mined",
            Self::Imported => "imported",
            Self::Corrected => "corrected",
            Self::Translated => "translated",
        }
    }

    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Aligned, Self::Mined, Self::Imported, Self::Corrected, Self::Translated];
        all.into_iter().find(|origin| origin.name() == name)
    }
}

/// One side of a pair: one or more neighbouring sentences of one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The document. `None` for a pair that was imported as bare text.
    pub document: Option<DocumentId>,
    /// The sentences, in order. Empty for a pair that was imported as bare text.
    pub sentences: Vec<SentenceId>,
    /// The sentences' texts, joined by a space.
    pub text: String,
}

/// A text pair at one of its occurrences: what a producer hands to the store; read back, at its best occurrence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The text pair: hash of both languages and both dedup keys (`text::dedup`).
    pub id: PairId,
    /// The side in the source language.
    pub source: Side,
    /// The side in the target language.
    pub target: Side,
    /// How it was found.
    pub origin: Origin,
    /// What an encoder measured; nothing for imported and corrected pairs.
    pub scores: Scores,
    /// The rank in the pool: 0 to 1, higher is surer. What it means for each origin: `stage::mine`.
    pub score: f32,
    /// The text pair that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<PairId>,
}

impl Pair {
    /// Cosine of the two sides' vectors, −1 to 1; `None`: no encoder has scored the pair.
    pub fn similarity(&self) -> Option<f32> {
        self.scores.get(Scorer::Similarity)
    }

    /// Ratio margin; `None`: no encoder has scored the pair.
    pub fn margin(&self) -> Option<f32> {
        self.scores.get(Scorer::Margin)
    }
}

/// Why a pair was dropped: the rule that objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// Its score is under the threshold.
    Score,
    /// A side is too short or too long.
    Length,
    /// One side is too long for the other.
    LengthRatio,
    /// Both sides are the same text.
    Identical,
    /// A side is in another language than it should be.
    Language,
    /// Too few of a side's letters are of the script that its language has.
    Script,
    /// A side is mostly no letters, or only one side is a question.
    Punctuation,
    /// A word of a side is too long to be one.
    LongWord,
    /// A side says the same phrase over and over.
    Repetition,
    /// Much of one side stands on the other untranslated.
    Copied,
    /// The sides name different numbers.
    Numbers,
    /// One side has names that the other lacks.
    Names,
    /// The probability that it is a translation is under the threshold.
    Probability,
    /// Nearly the same pair is already kept.
    NearDuplicate,
    /// An annotator said that these are no translations.
    Annotator,
}

impl DropReason {
    /// All, in the order in which the filter asks.
    pub const ALL: [Self; 15] = [
        Self::Annotator,
        Self::Identical,
        Self::Language,
        Self::Script,
        Self::Length,
        Self::LongWord,
        Self::LengthRatio,
        Self::Punctuation,
        Self::Repetition,
        Self::Copied,
        Self::Numbers,
        Self::Names,
        Self::Score,
        Self::Probability,
        Self::NearDuplicate,
    ];

    /// Its name in the store and in exports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Length => "length",
            Self::LengthRatio => "length-ratio",
            Self::Identical => "identical",
            Self::Language => "language",
            Self::Script => "script",
            Self::Punctuation => "punctuation",
            Self::LongWord => "long-word",
            Self::Repetition => "repetition",
            Self::Copied => "copied",
            Self::Numbers => "numbers",
            Self::Names => "names",
            Self::Probability => "probability",
            Self::NearDuplicate => "near-duplicate",
            Self::Annotator => "annotator",
        }
    }

    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A drop: the rule, the value that it saw and the limit it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drop {
    /// Which rule.
    pub reason: DropReason,
    /// What the rule saw, in words and figures: `3.4 > 2.5`.
    pub detail: String,
}
