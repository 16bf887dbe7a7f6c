//! A sentence: a byte range of a document's text.

use serde::{Deserialize, Serialize};

use super::{DocumentId, Language, SentenceId, TextId};

/// A sentence of a document. `document.text[start..end] == text`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// Hash of the document, the text and its repetition inside the document: it survives edits elsewhere on the page.
    pub id: SentenceId,
    /// Where it stands.
    pub document: DocumentId,
    /// Place among the document's sentences, counted from 0.
    pub ordinal: u32,
    /// Place of its block among the document's blocks, counted from 0.
    pub block: u32,
    /// First byte in the document's text.
    pub start: u32,
    /// One past its last byte in the document's text.
    pub end: u32,
    /// Its text.
    pub text: String,
    /// Hash of its language and text.
    pub text_id: TextId,
    /// Its language, or its document's where it is too short to tell; `None` when neither is known, or when it is
    /// written in another alphabet than its document.
    pub language: Option<Language>,
    /// Confidence of `language`, 0 to 1; higher is surer.
    pub language_confidence: f32,
}
