//! Evaluation against a reference: precision and recall of the kept pairs, and of the pairs of documents.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Inputs, Listing, Progress, Settings, Stage, Unit, table};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::metric::coverage::{Texts, coverage};
use crate::metric::{PairScores, pair_scores};
use crate::store::Store;
use crate::store::kept::KeptPair;
use crate::store::table::Table;
use crate::text::normalise::normalise;

/// Raised when the same pairs give other figures.
pub const VERSION: u32 = 2;

/// The stage.
#[derive(Debug)]
pub struct Evaluate;

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

impl Stage for Evaluate {
    fn name(&self) -> &'static str {
        "evaluate"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "reference"
    }

    fn after(&self) -> &'static [&'static str] {
        &["match", "dedup"]
    }

    fn reads(&self) -> &'static [Table] {
        &[
            Table::TextPair,
            Table::Occurrence,
            Table::Verdict,
            Table::NearDuplicate,
            Table::Document,
            Table::DocumentPair,
        ]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "evaluate": table(settings.get::<Params>()?)? }))
    }

    /// The references as one unit, if there are any.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let params = ctx.settings::<Params>()?;
        let mut hasher = blake3::Hasher::new();
        let paths: Vec<_> = [&params.pairs, &params.documents].into_iter().flatten().collect();
        if paths.is_empty() {
            return Ok(Listing::All(Vec::new()));
        }
        for path in paths {
            hasher.update(&files::read(&ctx.settings_folder().join(path))?);
        }
        let judged = ctx.store()?.judgement_stamp(&ctx.scope_name())?.to_string();
        let inputs = Inputs::new()
            .tables(&[Table::TextPair, Table::Occurrence, Table::Verdict, Table::NearDuplicate], &judged)
            // A document's location is part of its id.
            .tables(&[Table::DocumentPair, Table::Document], &ctx.stage_output("match")?)
            .value("reference", hasher.finalize().to_hex().as_str());
        Ok(Listing::All(vec![Unit::new(UNIT, inputs)]))
    }

    /// Compares.
    ///
    /// What a reference does not know, it cannot call wrong: precision counts *covered* pairs alone. A row that names two
    /// documents covers the kept pairs whose source and target documents are both named by some row, be they partners there
    /// or not. A row without documents covers the kept pairs that have one of its two texts.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let (store, scope, params) = (ctx.store()?, ctx.scope_name(), ctx.settings::<Params>()?);
        let folder = ctx.settings_folder();
        let pairs = params.pairs.as_ref();
        let pairs = pairs.map(|path| Pairs::read(&store, &scope, &folder.join(path), progress)).transpose()?;
        let documents = params.documents.as_ref();
        let documents = documents.map(|path| documents_of(&store, &scope, &folder.join(path))).transpose()?;
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
        Ok(Commit::nothing(&unit.input).figures(counts))
    }
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
    fn read(store: &Store, scope: &str, path: &Path, progress: &Progress<'_>) -> Result<Self> {
        let rows = read(path)?;
        let texts = |pair: KeptPair| (normalise(&pair.source), normalise(&pair.target));
        let mut pairs = Self { reference: BTreeSet::new(), covered: BTreeSet::new(), kept: BTreeSet::new() };
        for (number, row) in rows.iter().enumerate() {
            progress.check()?;
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
                pairs
                    .covered
                    .extend(store.kept_pairs_with_text(scope, Some(&row_texts.0), None)?.into_iter().map(texts));
                pairs
                    .covered
                    .extend(store.kept_pairs_with_text(scope, None, Some(&row_texts.1))?.into_iter().map(texts));
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
fn documents_of(store: &Store, scope: &str, path: &Path) -> Result<PairScores> {
    let reference: HashSet<_> = read(path)?.into_iter().map(|row| (row.source_url, row.target_url)).collect();
    let urls: BTreeSet<&String> = reference.iter().flat_map(|(source, target)| [source, target]).collect();
    let mut covered = HashSet::new();
    for url in urls {
        covered.extend(store.document_pairs_at(scope, url)?);
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
    pub fn current(store: &Store, scope: &str) -> Result<Option<Self>> {
        let Some(run) = store.unit_done_in(scope, "evaluate", UNIT)? else { return Ok(None) };
        let figures = store.figures(run)?.into_iter();
        let own = figures.filter(|(of, stage, ..)| of == scope && stage == "evaluate");
        Ok(Some(Self { run, values: own.map(|(_, _, name, value)| (name, value)).collect() }))
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
pub fn gate(store: &Store, scope: &str, params: &Params) -> Result<Option<String>> {
    if params.min_precision.is_none() && params.min_recall.is_none() {
        return Ok(None);
    }
    let figures = Figures::current(store, scope)?;
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
