//! The plain data that flows through the pipeline. No I/O, no logic beyond names and ids.
//!
//! ```text
//! Page ─▶ Document (blocks of text) ─▶ Sentence ─▶ Vectors ─▶ Pair (with Scores) ─▶ Verdict
//!              └ DocumentPair (with Evidence)                    └ Task ─▶ Annotation
//! ```
//!
//! Ids are derived from content (see [`id`]), so a run that is repeated or resumed writes the same rows.

pub mod document;
pub mod id;
pub mod language;
pub mod page;
pub mod pair;
pub mod quantity;
pub mod sentence;
pub mod vectors;

pub use document::{
    Block, BlockKind, Document, DocumentKind, DocumentPair, Evidence, EvidenceKind, TwinKind, TwinLink,
};
pub use id::{DocumentId, PageId, PairId, SentenceId, TextId};
pub use language::Language;
pub use page::{Page, WarcRef};
pub use pair::{Annotation, Drop, DropReason, Origin, Pair, Side};
pub use quantity::{Bytes, Duration};
pub use sentence::Sentence;
pub use vectors::Vectors;
