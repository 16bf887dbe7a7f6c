//! A document: the text of one page or one book, as blocks, with what it says about its twins in other languages.

use serde::{Deserialize, Serialize};

use super::{DocumentId, Language};

/// What a document was extracted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// An HTML page.
    Html,
    /// A PDF book.
    Pdf,
}

/// What a block of text is on its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// The document's title. At most one, first.
    Title,
    /// A heading inside the text, or a chapter.
    Heading,
    /// Running text.
    Paragraph,
    /// A list item.
    Item,
    /// A block quotation.
    Quote,
    /// A table row's cells, or a caption.
    Table,
    /// A numbered exercise or question of a schoolbook.
    Exercise,
    /// A note at the foot of a page, without its mark.
    Footnote,
    /// Lines of mathematics.
    Formula,
}

/// A run of text that no sentence crosses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// First byte in the document's text.
    pub start: u32,
    /// One past its last byte in the document's text.
    pub end: u32,
    /// Page number inside a book, counted from 1; `None` for HTML.
    pub page: Option<u32>,
}

/// How a page names its twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TwinKind {
    /// `<link rel="alternate" hreflang=…>`.
    Hreflang,
    /// The language switch of the page's menu.
    Switch,
}

/// A link to the same content in another language, as the page itself claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinLink {
    /// How it is named.
    pub kind: TwinKind,
    /// The language that the link names.
    pub language: Language,
    /// Absolute URL.
    pub url: String,
}

/// The text of one page or book. Text is Unicode NFC; it is never rewritten after extraction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Hash of `location`.
    pub id: DocumentId,
    /// URL of the page, or path of the book relative to its folder.
    pub location: String,
    /// The configured site or book shelf it comes from.
    pub site: String,
    /// What it was extracted from.
    pub kind: DocumentKind,
    /// Hash of the bytes it was extracted from.
    pub content_hash: String,
    /// The language its text is in; `None` when the text is too short or mixed to tell.
    pub language: Option<Language>,
    /// Confidence of `language`, 0 to 1; higher is surer.
    pub language_confidence: f32,
    /// What the page declares (`lang` attribute, manifest). Kept as evidence; not trusted.
    pub declared_language: Option<Language>,
    /// Title, if one was found. It is also the first block.
    pub title: Option<String>,
    /// Publication time as the page gives it, if it could be read.
    pub date: Option<jiff::Timestamp>,
    /// Who wrote it, as the page says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The words under which its editors filed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How much of its text the site's profile and the generic extractor agree on, 0 to 1; higher is better. `None`
    /// where there is no profile, or neither finds text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// All blocks, joined by an empty line.
    pub text: String,
    /// The blocks, in order, not overlapping.
    pub blocks: Vec<Block>,
    /// Twins as claimed.
    pub twins: Vec<TwinLink>,
    /// Absolute URLs of the content's images.
    pub images: Vec<String>,
    /// What identifies the content across languages, where the profile names such a thing: an id in the URL,
    /// or (subject, grade, part) of a book.
    pub twin_key: Option<String>,
}

/// Builds `text` and `blocks` together, so that they always agree.
#[derive(Debug, Default)]
pub struct TextBuilder {
    text: String,
    blocks: Vec<Block>,
}

impl TextBuilder {
    /// Adds a block. Empty text is skipped.
    pub fn push(&mut self, kind: BlockKind, text: &str, page: Option<u32>) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        let start = offset(self.text.len());
        self.text.push_str(text);
        self.blocks.push(Block { kind, start, end: offset(self.text.len()), page });
    }

    /// The text and its blocks.
    pub fn finish(self) -> (String, Vec<Block>) {
        (self.text, self.blocks)
    }
}

/// Offsets are 32 bits: documents are limited to 200 MB long before this could saturate.
fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Document {
    /// The text of a block.
    pub fn block_text(&self, block: &Block) -> &str {
        &self.text[block.start as usize..block.end as usize]
    }
}

/// A kind of evidence that two documents are twins, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// Each names the other by hreflang.
    HreflangMutual,
    /// The manifest or the id in the URL is the same on both sides.
    Key,
    /// The language switch of one or both leads to the other.
    Switch,
    /// One names the other by hreflang, the other does not answer.
    HreflangOneWay,
    /// They share a picture that few other pages have.
    Image,
    /// They were published within a few minutes of each other.
    Time,
    /// Their texts' vectors are each other's nearest.
    Vectors,
}

impl EvidenceKind {
    /// Its name in the store and in exports.
    pub fn name(self) -> &'static str {
        match self {
            Self::HreflangMutual => "hreflang-mutual",
            Self::Key => "key",
            Self::Switch => "switch",
            Self::HreflangOneWay => "hreflang-one-way",
            Self::Image => "image",
            Self::Time => "time",
            Self::Vectors => "vectors",
        }
    }
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What kind.
    pub kind: EvidenceKind,
    /// In words and figures, for people.
    pub detail: String,
}

/// Two documents that say the same in two languages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentPair {
    /// The document in the source language.
    pub source: DocumentId,
    /// The document in the target language.
    pub target: DocumentId,
    /// Sum of the evidence's weights; higher is surer.
    pub score: f32,
    /// All evidence, strongest first. Never empty.
    pub evidence: Vec<Evidence>,
}
