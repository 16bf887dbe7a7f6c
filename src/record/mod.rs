//! The plain data that flows through the pipeline. No I/O, no logic beyond names and ids.
//!
//! ```text
//! Page ─▶ Document (blocks of text) ─▶ Sentence ─▶ Vectors ─▶ Pair (with Scores) ─▶ Verdict
//!              └ DocumentPair (with Evidence)                    └ Task ─▶ Annotation
//! ```
//!
//! Ids are derived from content (see [`id`]), so a run that is repeated or resumed writes the same rows.

/// Serde through `Display` and `FromStr`: as text, the way people write it.
macro_rules! serde_by_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub mod annotation;
pub mod book;
pub mod document;
pub mod features;
pub mod id;
pub mod language;
pub mod page;
pub mod pair;
pub mod quantity;
pub mod scope;
pub mod score;
pub mod sentence;
pub mod task;
pub mod vectors;

pub use annotation::{Adjudication, Annotation};
pub use book::{BookPage, FontRepair, PageOcr, PageState};
pub use document::{
    Block, BlockKind, Document, DocumentKind, DocumentPair, Evidence, EvidenceKind, TwinKind, TwinLink,
};
pub use features::{Features, SideFeatures};
pub use id::{DocumentId, OccurrenceId, PageId, PairId, SentenceId, TaskId, TextId};
pub use language::Language;
pub use page::{Page, WarcRef};
pub use pair::{Drop, DropReason, Origin, Pair, Side};
pub use quantity::{Bytes, Duration};
pub use scope::Scope;
pub use score::{Scorer, Scores};
pub use sentence::Sentence;
pub use task::{Interface, Strategy, Task};
pub use vectors::{Rows, Vectors};
