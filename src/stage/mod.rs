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
//! | [`filter`] | what one unit made | pairs, answers | verdicts |
//! | [`dedup`] | all verdicts | folded texts | duplicates |
//! | [`evaluate`] | a gold file | kept pairs | precision and recall |
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

use std::collections::BTreeMap;

use crate::error::Result;
use crate::model::Encoder;
use crate::record::{
    Adjudication, BookPage, Document, DocumentId, DocumentPair, Drop, Features, FontRepair, Language, Pair, PairId,
    Sentence, Task, TextId,
};
use crate::store::extraction::PageNote;
use crate::store::pairs::{Direction, NeighbourList};
use crate::store::verdicts::Duplicate;
use crate::store::{Store, Writer};

/// The stages that the ledger knows, in the order in which they run. Crawling keeps its own ledger, the frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Pages and books to documents.
    Extract,
    /// Documents to sentences.
    Segment,
    /// The lexical encoder's weights.
    Fit,
    /// Texts to vectors.
    Embed,
    /// Documents to pairs of documents.
    Match,
    /// Pairs of documents to pairs of sentences.
    Align,
    /// Texts to their nearest neighbours.
    Neighbours,
    /// Neighbours to pairs of sentences.
    Mine,
    /// Annotations to one answer a pair.
    Adjudicate,
    /// Scored pairs to a curve of probabilities.
    Calibrate,
    /// Pairs to verdicts.
    Filter,
    /// Verdicts to duplicates.
    Dedup,
    /// Kept pairs against gold.
    Evaluate,
    /// Verdicts and answers to questions for people.
    Ask,
    /// Kept pairs to files.
    Export,
    /// Answers to training data.
    Dataset,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 16] = [
        Self::Extract,
        Self::Segment,
        Self::Fit,
        Self::Embed,
        Self::Match,
        Self::Align,
        Self::Neighbours,
        Self::Mine,
        Self::Adjudicate,
        Self::Calibrate,
        Self::Filter,
        Self::Dedup,
        Self::Evaluate,
        Self::Ask,
        Self::Export,
        Self::Dataset,
    ];

    /// Its name in the store, the configuration and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Segment => "segment",
            Self::Fit => "fit",
            Self::Embed => "embed",
            Self::Match => "match",
            Self::Align => "align",
            Self::Neighbours => "neighbours",
            Self::Mine => "mine",
            Self::Adjudicate => "adjudicate",
            Self::Calibrate => "calibrate",
            Self::Filter => "filter",
            Self::Dedup => "dedup",
            Self::Evaluate => "evaluate",
            Self::Ask => "annotate",
            Self::Export => "export",
            Self::Dataset => "dataset",
        }
    }

    /// What one of its units is called.
    pub fn unit_word(self) -> &'static str {
        match self {
            Self::Extract => "page",
            Self::Segment => "document",
            Self::Fit => "model",
            Self::Embed => "batch",
            Self::Match => "site",
            Self::Align => "document pair",
            Self::Neighbours => "batch",
            Self::Mine => "pool",
            Self::Adjudicate => "pool",
            Self::Calibrate => "curve",
            Self::Filter => "group",
            Self::Dedup => "pool",
            Self::Evaluate => "gold file",
            Self::Ask => "pool",
            Self::Export => "file",
            Self::Dataset => "dataset",
        }
    }
}

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name inside the stage.
    pub name: String,
    /// Fingerprint of what it reads.
    pub input: String,
    /// What it wrote outside the store is gone: it is done again, whatever the ledger says.
    pub lost: bool,
    /// Fingerprint of the limits under which it is worked on, if its failures may be lasting ones: such a failure stands
    /// until the limits change.
    pub limits: Option<String>,
}

impl Unit {
    /// A unit that the ledger speaks for.
    pub fn new(name: impl Into<String>, input: impl Into<String>) -> Self {
        Self { name: name.into(), input: input.into(), lost: false, limits: None }
    }
}

/// The units of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// All there are: those in the ledger but not here are retracted, with their records.
    All(Vec<Unit>),
    /// The next to do; ask again after it. The number is how many texts are left, this unit's included.
    Next(Option<Unit>, u64),
}

/// What a unit became.
#[derive(Debug)]
pub struct Output {
    /// What to write.
    pub records: Records,
    /// Fingerprint of the records: what stages downstream compare.
    pub fingerprint: String,
    /// Counts for the run's summary.
    pub counts: Vec<(&'static str, f64)>,
}

/// Records to write, in one transaction with the unit's `done`.
#[derive(Debug)]
pub enum Records {
    /// Nothing but the unit's `done`.
    Nothing,
    /// A document.
    Document {
        /// The document.
        document: Document,
        /// What its site's profile took from the page, if there is one.
        note: Option<PageNote>,
    },
    /// The page holds no text worth keeping: an older document of it goes.
    NoDocument {
        /// Its URL or path.
        location: String,
        /// What its site's profile took from the page, if there is one.
        note: Option<PageNote>,
    },
    /// A book: what became of its pages, and its document if it has text worth keeping.
    Book {
        /// The book.
        location: String,
        /// Its shelf.
        shelf: String,
        /// All pages.
        pages: Vec<BookPage>,
        /// Its fonts whose signs stood for other letters.
        repairs: Vec<FontRepair>,
        /// Its document.
        document: Option<Document>,
    },
    /// A document's sentences.
    Sentences {
        /// The document.
        document: DocumentId,
        /// Its sentences.
        sentences: Vec<Sentence>,
    },
    /// A fitted model.
    Artefact {
        /// Its name.
        name: String,
        /// Its state.
        data: Vec<u8>,
    },
    /// Vectors whose file is already written.
    Shard {
        /// The model.
        model: String,
        /// The file, inside `vectors/`.
        file: String,
        /// Numbers in a row.
        dim: usize,
        /// What each row is.
        texts: Vec<TextId>,
    },
    /// A site's pairs of documents.
    DocumentPairs {
        /// The site.
        site: String,
        /// Its pairs.
        pairs: Vec<DocumentPair>,
    },
    /// Pairs of sentences.
    Pairs {
        /// The stage that made them.
        stage: Stage,
        /// The unit that made them.
        unit: String,
        /// The pairs.
        pairs: Vec<Pair>,
    },
    /// What annotations come to, and the pairs that people corrected.
    Adjudications {
        /// The unit that made them.
        unit: String,
        /// Corrected pairs.
        pairs: Vec<Pair>,
        /// One answer a pair.
        adjudications: Vec<Adjudication>,
    },
    /// New questions.
    Tasks(Vec<Task>),
    /// Neighbour lists to write and to delete.
    Neighbours {
        /// The key under which they were made.
        key: String,
        /// Neighbours that a list is asked for; those behind them are spare.
        k: usize,
        /// Lists by direction.
        put: Vec<(Direction, Vec<NeighbourList>)>,
        /// Texts whose lists go.
        delete: Vec<(Direction, Vec<TextId>)>,
    },
    /// What was measured of pairs, and what the rules say of them.
    Verdicts {
        /// Measurements that are new: pair, key, features.
        features: Vec<(PairId, i64, Features)>,
        /// Pair, fold, drop.
        verdicts: Vec<(PairId, i64, Option<Drop>)>,
    },
    /// Pairs that repeat a better one.
    Duplicates(Vec<Duplicate>),
    /// Figures of the run.
    Figures(Vec<(&'static str, f64)>),
}

/// A unit ready to be computed on any thread.
pub type Work = Box<dyn FnOnce() -> Result<Output> + Send>;

/// What stages hold on to between their units.
#[derive(Default)]
pub struct Session {
    /// The encoder, once loaded.
    pub encoder: Option<Box<dyn Encoder>>,
    /// How far embedding has come.
    pub queue: Option<embed::Queue>,
    /// The pools of vectors, once loaded.
    pub pools: Option<neighbours::Pools>,
    /// The shelves of books, once read.
    pub shelves: Option<books::Shelves>,
    /// The version of the program that recognises pages, once asked for.
    pub recogniser: Option<String>,
    /// Blocks that are boilerplate, as places in their documents.
    pub boilerplate: BTreeMap<DocumentId, Vec<u32>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("encoder", &self.encoder.as_ref().map(|encoder| encoder.id().clone())).finish()
    }
}

impl Output {
    /// An output whose fingerprint is the hash of a JSON value.
    pub fn of(records: Records, content: &impl serde::Serialize) -> Result<Self> {
        Ok(Self { records, fingerprint: fingerprint(content)?, counts: Vec::new() })
    }

    /// With a count for the summary.
    #[must_use]
    pub fn count(mut self, name: &'static str, value: f64) -> Self {
        self.counts.push((name, value));
        self
    }
}

/// Hash of a value's JSON: 32 hexadecimal digits.
pub fn fingerprint(content: &impl serde::Serialize) -> Result<String> {
    use crate::error::{Context as _, ErrorKind};
    let json = serde_json::to_vec(content).context(ErrorKind::Bug, || "hashing a value".into())?;
    Ok(blake3::hash(&json).to_hex()[..32].to_owned())
}

/// Hash of several fingerprints.
pub fn combined(parts: &[&str]) -> String {
    let bytes: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    crate::record::id::hash_parts(&bytes).to_hex()[..32].to_owned()
}

impl Records {
    /// Writes them for a run.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn write(&self, writer: &Writer<'_>, run: i64) -> Result<()> {
        if let Self::Document { note: Some(note), .. } | Self::NoDocument { note: Some(note), .. } = self {
            writer.note_page(run, note)?;
        }
        match self {
            Self::Nothing | Self::Figures(_) => Ok(()),
            Self::Document { document, .. } => writer.put_document(document),
            Self::NoDocument { location, .. } => writer.delete_document(location),
            Self::Book { location, shelf, pages, repairs, document } => {
                writer.put_book(location, shelf, pages, repairs)?;
                match document {
                    Some(document) => writer.put_document(document),
                    None => writer.delete_document(location),
                }
            }
            Self::Sentences { document, sentences } => writer.put_sentences(*document, sentences),
            Self::Artefact { name, data } => writer.put_artefact(name, data),
            Self::Shard { model, file, dim, texts } => writer.put_shard(model, file, *dim, texts),
            Self::DocumentPairs { site, pairs } => writer.put_document_pairs(site, pairs),
            Self::Pairs { stage, unit, pairs } => writer.put_pairs(stage.name(), unit, pairs),
            Self::Neighbours { key, k, put, delete } => {
                for (direction, texts) in delete {
                    writer.delete_neighbours(*direction, texts)?;
                }
                put.iter().try_for_each(|(direction, lists)| writer.put_neighbours(*direction, key, *k, lists))
            }
            Self::Verdicts { features, verdicts } => {
                features.iter().try_for_each(|(pair, key, features)| writer.put_features(*pair, *key, features))?;
                verdicts.iter().try_for_each(|(pair, fold, drop)| writer.put_verdict(*pair, *fold, drop.as_ref()))
            }
            Self::Duplicates(duplicates) => writer.set_duplicates(duplicates),
            Self::Adjudications { unit, pairs, adjudications } => {
                writer.put_pairs(Stage::Adjudicate.name(), unit, pairs)?;
                writer.set_adjudications(adjudications)
            }
            Self::Tasks(tasks) => writer.put_tasks(tasks, jiff::Timestamp::now()).map(|_| ()),
        }
    }
}

/// Deletes what a unit wrote whose input is gone.
///
/// # Errors
/// Kind `Store`.
pub fn retract(writer: &Writer<'_>, stage: Stage, unit: &str) -> Result<()> {
    match stage {
        Stage::Extract => {
            writer.delete_document(unit)?;
            writer.delete_book(unit)?;
        }
        Stage::Match => writer.put_document_pairs(unit, &[])?,
        Stage::Align | Stage::Mine | Stage::Adjudicate => writer.put_pairs(stage.name(), unit, &[])?,
        // Sentences, verdicts and files go with what they hang on, or are written anew as a whole.
        Stage::Segment
        | Stage::Fit
        | Stage::Embed
        | Stage::Neighbours
        | Stage::Calibrate
        | Stage::Filter
        | Stage::Dedup
        | Stage::Evaluate
        | Stage::Ask
        | Stage::Export
        | Stage::Dataset => {}
    }
    writer.forget_unit(stage.name(), unit)
}

/// The two languages of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Languages {
    /// Source.
    pub source: Language,
    /// Target.
    pub target: Language,
}

impl Languages {
    /// Both, source first.
    pub fn both(self) -> [Language; 2] {
        [self.source, self.target]
    }
}

/// What every stage may look at.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The store, for reading.
    pub store: &'a Store,
    /// The languages of the pipeline.
    pub languages: Languages,
    /// The stage's key.
    pub key: &'a str,
}
