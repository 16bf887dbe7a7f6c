//! The stages: each lists its units and turns one unit into records. A stage reads the store and never writes it.
//!
//! A unit is done for a *stage key* (a hash of the stage's version, its `Params` and its models) and an *input* (a hash
//! of what it reads). Inputs are hashes of content, so a change upstream reaches a unit exactly when it changes what the
//! unit reads: a page whose menu changed is extracted again, gives the same text, and nothing after it runs.
//!
//! | stage | a unit | reads | makes |
//! |---|---|---|---|
//! | [`crawl`] | a URL | the web | pages |
//! | [`extract`] | a page or book | its bytes | a document |
//! | [`segment`] | a document | its text | sentences |
//! | [`fit`] | the encoder | all texts | the lexical encoder's weights |
//! | [`embed`] | a batch of texts | texts | vectors |
//! | [`matching`] | a site | its documents | pairs of documents |
//! | [`align`] | a pair of documents | sentences, vectors | pairs in order |
//! | [`neighbours`] | a batch of texts | vectors | k nearest neighbours |
//! | [`mine`] | the pool | neighbours | pairs out of order |
//! | [`adjudicate`] | all answers | annotations | one answer a pair, corrected pairs |
//! | [`calibrate`] | the encoder | scored pairs, answers | probabilities |
//! | [`filter`] | a batch of changed text pairs | occurrences, answers | verdicts |
//! | [`dedup`] | a scope's kept text pairs | texts | near duplicates |
//! | [`evaluate`] | a reference | kept pairs | precision and recall |
//! | [`ask`] | the pool | verdicts, answers | questions for people |
//! | [`export`] | a file | kept pairs, questions | TSV, JSONL, TMX, Label Studio tasks |
//! | [`dataset`] | the dataset | answers, pairs | training data by parts, with a card |

pub mod adjudicate;
pub mod agreement;
pub mod align;
pub mod annotate;
pub mod ask;
pub mod books;
pub mod calibrate;
pub mod crawl;
pub mod dataset;
pub mod dedup;
pub mod drift;
pub mod embed;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod extract;
pub mod filter;
pub mod fit;
pub mod formats;
pub mod hub;
pub mod interface;
pub mod label_studio;
pub mod matching;
pub mod mine;
pub mod neighbours;
pub mod pages;
pub mod pairs_in;
pub mod segment;
pub mod site;

pub use crate::engine::{
    Commit, Ctx, Finish, Grain, Inputs, Listing, Look, Progress, Registry, Settings, Shared, Stage, Unit, combined,
    fingerprint, table,
};
/// The languages of a pair.
pub use crate::record::Scope as Languages;

/// The stages that the ledger knows, in the order in which they run. Crawling keeps its own ledger, the frontier.
pub fn registry() -> Registry {
    Registry::new(&[
        &extract::Extract,
        &segment::Segment,
        &fit::Fit,
        &embed::Embed,
        &matching::Match,
        &align::Align,
        &neighbours::Neighbours,
        &mine::Mine,
        &adjudicate::Adjudicate,
        &calibrate::Calibrate,
        &filter::Filter,
        &dedup::Dedup,
        &evaluate::Evaluate,
        &ask::Ask,
        &export::Export,
        &dataset::Dataset,
    ])
}
