//! Evaluation against a reference: precision and recall of the kept pairs, and of the pairs of documents.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Listing, Look, Output, Records, Stage, Unit, Work, combined};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::metric::coverage::{Texts, coverage};
use crate::metric::{PairScores, pair_scores};
use crate::store::Store;
use crate::store::kept::KeptPair;
use crate::text::normalise::normalise;

/// Raised when the same pairs give other figures.
pub const VERSION: u32 = 2;

/// What to compare with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// TSV with the columns source_text and target_text, and source_url and target_url where the documents are known;
    /// relative to the pipeline file.
    pub pairs: Option<PathBuf>,
    /// TSV with the columns source_url, target_url.
    pub documents: Option<PathBuf>,
    /// The run fails (exit code 4) when strict precision lies below it or cannot be measured, 0 to 1.
    pub min_precision: Option<f64>,
    /// The run fails (exit code 4) when strict recall lies below it or cannot be measured, 0 to 1.
    pub min_recall: Option<f64>,
}

/// The names of the figures that evaluation leaves. All are counts of distinct pairs.
pub mod figures {
    /// Pairs of the reference.
    pub const REFERENCE: &str = "reference pairs";
    /// Kept pairs of which the reference can tell whether they are right.
    pub const COVERED: &str = "covered";
    /// Covered pairs that the reference has.
    pub const RIGHT: &str = "right";
    /// Pairs of the reference that are kept.
    pub const FOUND: &str = "found";
    /// Covered pairs that overlap one of the reference on both sides.
    pub const LAX_RIGHT: &str = "lax right";
    /// Pairs of the reference that a kept pair overlaps on both sides.
    pub const LAX_FOUND: &str = "lax found";
    /// Pairs of documents of the reference.
    pub const DOCUMENTS_REFERENCE: &str = "reference document pairs";
    /// Pairs of documents that were matched, of which the reference names a side.
    pub const DOCUMENTS_COVERED: &str = "covered document pairs";
    /// Pairs of documents that are right.
    pub const DOCUMENTS_RIGHT: &str = "right document pairs";
}

/// The one unit, if there is a reference.
pub const UNIT: &str = "gold";

/// A row of either reference.
#[derive(Debug, Deserialize)]
struct ReferenceRow {
    #[serde(default)]
    source_url: String,
    #[serde(default)]
    target_url: String,
    #[serde(default)]
    source_text: String,
    #[serde(default)]
    target_text: String,
}

impl ReferenceRow {
    /// Whether it says which two documents it is of.
    fn names_documents(&self) -> bool {
        !self.source_url.is_empty() && !self.target_url.is_empty()
    }
}

/// The gold files as one unit, if there are any.
///
/// # Errors
/// Kind `Store`; kind `Input` when a gold file cannot be read.
pub fn units(look: &Look<'_>, params: &Params, folder: &Path) -> Result<Listing> {
    let mut hasher = blake3::Hasher::new();
    let paths: Vec<_> = [&params.pairs, &params.documents].into_iter().flatten().collect();
    if paths.is_empty() {
        return Ok(Listing::All(Vec::new()));
    }
    for path in paths {
        hasher.update(&files::read(&folder.join(path))?);
    }
    let kept = look.store.judgement_stamp(&look.languages.scope())?.to_string();
    let matched = look.store.stage_output(Stage::Match.name())?;
    let input = combined(&[&kept, &matched, hasher.finalize().to_hex().as_str()]);
    Ok(Listing::All(vec![Unit::new(UNIT, input)]))
}

/// Compares.
///
/// What a reference does not know, it cannot call wrong: precision counts *covered* pairs alone. A row that names two
/// documents covers the kept pairs whose source and target documents are both named by some row, be they partners there or
/// not. A row without documents covers the kept pairs that have one of its two texts.
///
/// # Errors
/// Kind `Store`; kind `Input` naming the line of a reference that cannot be read.
pub fn prepare(look: &Look<'_>, params: &Params, folder: &Path, unit: &Unit) -> Result<Work> {
    let pairs = params.pairs.as_ref().map(|path| Pairs::read(look.store, &look.languages.scope(), &folder.join(path))).transpose()?;
    let documents = params.documents.as_ref().map(|path| documents(look.store, &folder.join(path))).transpose()?;
    let fingerprint = unit.input.clone();
    Ok(Box::new(move || {
        let mut counts: Vec<(&'static str, f64)> = Vec::new();
        let mut add = |name, count: usize| counts.push((name, count as f64));
        if let Some(Pairs { reference, covered, kept }) = &pairs {
            let coverage = coverage(reference, covered, kept);
            add(figures::REFERENCE, coverage.reference);
            add(figures::COVERED, coverage.covered);
            add(figures::RIGHT, coverage.right);
            add(figures::FOUND, coverage.found);
            add(figures::LAX_RIGHT, coverage.lax_right);
            add(figures::LAX_FOUND, coverage.lax_found);
        }
        if let Some(PairScores { found, gold, right }) = documents {
            add(figures::DOCUMENTS_COVERED, found);
            add(figures::DOCUMENTS_REFERENCE, gold);
            add(figures::DOCUMENTS_RIGHT, right);
        }
        Ok(Output { records: Records::Figures(counts), fingerprint, counts: Vec::new() })
    }))
}

/// The pairs of a reference, and the kept pairs that have to do with it.
struct Pairs {
    reference: BTreeSet<Texts>,
    covered: BTreeSet<Texts>,
    /// Pairs of the reference that are kept, covered or not.
    kept: BTreeSet<Texts>,
}

impl Pairs {
    /// Reads a reference and looks up what is kept: a few queries a row, whatever the size of the corpus.
    fn read(store: &Store, scope: &str, path: &Path) -> Result<Self> {
        let rows = read(path)?;
        let texts = |pair: KeptPair| (normalise(&pair.source), normalise(&pair.target));
        let mut pairs = Self { reference: BTreeSet::new(), covered: BTreeSet::new(), kept: BTreeSet::new() };
        for (number, row) in rows.iter().enumerate() {
            let row_texts = (normalise(&row.source_text), normalise(&row.target_text));
            if row_texts.0.is_empty() || row_texts.1.is_empty() {
                let line = number + 2;
                return Err(Error::input(format!(
                    "{}:{line}: the row has no {}: every row needs both texts",
                    path.display(),
                    if row_texts.0.is_empty() { "source_text" } else { "target_text" }
                )));
            }
            if !row.names_documents() {
                pairs.covered.extend(store.kept_pairs_with_text(scope, Some(&row_texts.0), None)?.into_iter().map(texts));
                pairs.covered.extend(store.kept_pairs_with_text(scope, None, Some(&row_texts.1))?.into_iter().map(texts));
            }
            if !store.kept_pairs_with_text(scope, Some(&row_texts.0), Some(&row_texts.1))?.is_empty() {
                pairs.kept.insert(row_texts.clone());
            }
            pairs.reference.insert(row_texts);
        }
        let named = || rows.iter().filter(|row| row.names_documents());
        let sources: BTreeSet<&str> = named().map(|row| row.source_url.as_str()).collect();
        let targets: HashSet<&str> = named().map(|row| row.target_url.as_str()).collect();
        for source in sources {
            let kept = store.kept_pairs_of_documents(scope, source, None)?;
            let is_covered = |pair: &KeptPair| pair.target_location.as_deref().is_some_and(|url| targets.contains(url));
            pairs.covered.extend(kept.into_iter().filter(is_covered).map(texts));
        }
        Ok(pairs)
    }
}

/// Matched pairs of documents against a reference; `found` are those of which it names a side.
fn documents(store: &Store, path: &Path) -> Result<PairScores> {
    let reference: HashSet<_> = read(path)?.into_iter().map(|row| (row.source_url, row.target_url)).collect();
    let urls: BTreeSet<&String> = reference.iter().flat_map(|(source, target)| [source, target]).collect();
    let mut covered = HashSet::new();
    for url in urls {
        covered.extend(store.document_pairs_at(url)?);
    }
    Ok(pair_scores(&covered, &reference))
}

fn read(path: &Path) -> Result<Vec<ReferenceRow>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).from_reader(files::open(path)?);
    reader
        .deserialize()
        .map(|row| row.context(ErrorKind::Input, || format!("reading the reference {}", path.display())))
        .collect()
}

/// The figures that hold for what is in the workspace now, by name, and the run that counted them.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The run that counted them.
    pub run: i64,
    values: BTreeMap<String, f64>,
}

impl Figures {
    /// The figures of the evaluation as it was last done; `None` when there is none, its reference is gone, or it failed
    /// since: figures of an earlier state say nothing about this one.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn current(store: &Store) -> Result<Option<Self>> {
        let Some(run) = store.unit_done_in(Stage::Evaluate.name(), UNIT)? else { return Ok(None) };
        let figures = store.figures(run)?.into_iter().filter(|(stage, ..)| stage == Stage::Evaluate.name());
        Ok(Some(Self { run, values: figures.map(|(_, name, value)| (name, value)).collect() }))
    }

    /// A count; `None` where it was not taken.
    pub fn count(&self, name: &str) -> Option<usize> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        self.values.get(name).map(|value| *value as usize)
    }
}

/// Why the quality gate is not passed, in words; `None`: it is, or none is set. A floor below which nothing can be measured
/// is not passed. To be asked after an evaluation.
///
/// # Errors
/// Kind `Store`.
pub fn gate(store: &Store, params: &Params) -> Result<Option<String>> {
    if params.min_precision.is_none() && params.min_recall.is_none() {
        return Ok(None);
    }
    let figures = Figures::current(store)?;
    let count = |name| figures.as_ref().and_then(|figures| figures.count(name));
    let gates = [
        (
            "min-precision",
            "precision",
            params.min_precision,
            figures::RIGHT,
            figures::COVERED,
            "no kept pair lies in what the reference covers",
        ),
        ("min-recall", "recall", params.min_recall, figures::FOUND, figures::REFERENCE, "the reference has no pair"),
    ];
    for (setting, name, floor, of_those, all, nothing) in gates {
        let Some(floor) = floor else { continue };
        let unknown = |why: &str| Ok(Some(format!("evaluate.{setting} = {floor} cannot be checked: {why}")));
        if params.pairs.is_none() {
            return unknown("evaluate.pairs names no reference");
        }
        match (count(of_those), count(all)) {
            (Some(_), Some(0)) => return unknown(nothing),
            (Some(part), Some(all)) => {
                let value = part as f64 / all as f64;
                if value < floor {
                    return Ok(Some(format!(
                        "{name} against the reference, strict, is {value:.3} ({part} of {all}); its floor is {floor}"
                    )));
                }
            }
            _ => {
                return unknown(
                    "the evaluation has not been done on the present pairs; `kopri status` says what failed",
                );
            }
        }
    }
    Ok(None)
}
