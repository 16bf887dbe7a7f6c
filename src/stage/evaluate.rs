//! Evaluation against a gold file: precision and recall of the kept pairs, and of the pairs of documents.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Inputs, Listing, Progress, Settings, Stage, Unit, table};
use crate::error::{Context as _, ErrorKind, Result};
use crate::files;
use crate::metric::{PairScores, pair_scores};
use crate::store::pairs::Selection;
use crate::store::table::Table;
use crate::text::normalise::normalise;

/// Raised when the same pairs give other figures.
pub const VERSION: u32 = 1;

/// The stage.
#[derive(Debug)]
pub struct Evaluate;

/// What to compare with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// TSV with the columns source_url, target_url, source_text, target_text; relative to the pipeline file.
    pub pairs: Option<PathBuf>,
    /// TSV with the columns source_url, target_url.
    pub documents: Option<PathBuf>,
    /// The run fails (exit code 4) when strict precision lies below it, 0 to 1.
    pub min_precision: Option<f64>,
    /// The run fails (exit code 4) when strict recall lies below it, 0 to 1.
    pub min_recall: Option<f64>,
}

/// The names of the figures that evaluation leaves.
pub mod figures {
    /// Pairs kept.
    pub const FOUND: &str = "found";
    /// Gold pairs.
    pub const GOLD: &str = "gold";
    /// Kept pairs that equal a gold pair.
    pub const RIGHT: &str = "right";
    /// Kept pairs that overlap a gold pair on both sides.
    pub const LAX_RIGHT: &str = "lax right";
    /// Gold pairs that a kept pair overlaps on both sides.
    pub const LAX_FOUND: &str = "lax found";
    /// Pairs of documents found.
    pub const DOCUMENTS_FOUND: &str = "documents found";
    /// Pairs of documents in gold.
    pub const DOCUMENTS_GOLD: &str = "documents gold";
    /// Pairs of documents that are right.
    pub const DOCUMENTS_RIGHT: &str = "documents right";
}

/// A row of either gold file.
#[derive(Debug, Deserialize)]
struct GoldRow {
    source_url: String,
    target_url: String,
    #[serde(default)]
    source_text: String,
    #[serde(default)]
    target_text: String,
}

impl Stage for Evaluate {
    fn name(&self) -> &'static str {
        "evaluate"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "gold file"
    }

    fn after(&self) -> &'static [&'static str] {
        &["match", "dedup"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Pair, Table::Verdict, Table::Document, Table::DocumentPair]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "evaluate": table(settings.get::<Params>()?)? }))
    }

    /// The gold files as one unit, if there are any.
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
        let inputs = Inputs::new()
            .tables(&[Table::Pair, Table::Verdict], &ctx.stage_output("dedup")?)
            // A document's location is part of its id.
            .tables(&[Table::DocumentPair, Table::Document], &ctx.stage_output("match")?)
            .value("gold", hasher.finalize().to_hex().as_str());
        Ok(Listing::All(vec![Unit::new("gold", inputs)]))
    }

    /// Compares.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let (store, scope, params) = (ctx.store()?, ctx.scope_name(), ctx.settings::<Params>()?);
        let folder = ctx.settings_folder();
        let mut found_figures = Vec::new();
        if let Some(path) = &params.pairs {
            let gold = read(&folder.join(path))?;
            let mut found = Vec::new();
            store.for_each_pair(&scope, Selection::Kept, |judged| {
                found.push((normalise(&judged.pair.source.text), normalise(&judged.pair.target.text)));
                progress.check()
            })?;
            let gold: Vec<_> =
                gold.iter().map(|row| (normalise(&row.source_text), normalise(&row.target_text))).collect();
            found_figures.extend(compare(&found, &gold));
        }
        if let Some(path) = &params.documents {
            let gold: HashSet<_> =
                read(&folder.join(path))?.into_iter().map(|row| (row.source_url, row.target_url)).collect();
            let mut found = HashSet::new();
            for pair in store.document_pairs(&scope)? {
                progress.check()?;
                if let (Some(source), Some(target)) = (store.location(pair.source)?, store.location(pair.target)?) {
                    found.insert((source, target));
                }
            }
            let PairScores { found, gold, right } = pair_scores(&found, &gold);
            found_figures.extend([
                (figures::DOCUMENTS_FOUND, found as f64),
                (figures::DOCUMENTS_GOLD, gold as f64),
                (figures::DOCUMENTS_RIGHT, right as f64),
            ]);
        }
        Ok(Commit::nothing(&unit.input).figures(found_figures))
    }
}

fn read(path: &Path) -> Result<Vec<GoldRow>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).from_reader(files::open(path)?);
    reader
        .deserialize()
        .map(|row| row.context(ErrorKind::Input, || format!("reading the gold file {}", path.display())))
        .collect()
}

/// Strict: the same sentences on both sides. Lax: some sentence shared on both sides, which is a text inside the other.
fn compare(found: &[(String, String)], gold: &[(String, String)]) -> Vec<(&'static str, f64)> {
    let as_set = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<HashSet<_>>();
    let strict = pair_scores(&as_set(found), &as_set(gold));
    let overlaps = |a: &(String, String), b: &(String, String)| {
        let inside = |a: &str, b: &str| a.contains(b) || b.contains(a);
        inside(&a.0, &b.0) && inside(&a.1, &b.1)
    };
    let lax = |some: &[(String, String)], others: &[(String, String)]| {
        let exact: HashSet<&(String, String)> = others.iter().collect();
        let near = Words::new(others);
        some.iter()
            .filter(|pair| exact.contains(pair) || near.candidates(pair).any(|other| overlaps(pair, other)))
            .count() as f64
    };
    vec![
        (figures::FOUND, strict.found as f64),
        (figures::GOLD, strict.gold as f64),
        (figures::RIGHT, strict.right as f64),
        (figures::LAX_RIGHT, lax(found, gold)),
        (figures::LAX_FOUND, lax(gold, found)),
    ]
}

/// Pairs by the words of their source side, so that overlaps are looked for among few.
struct Words<'a> {
    pairs: &'a [(String, String)],
    by_word: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Words<'a> {
    fn new(pairs: &'a [(String, String)]) -> Self {
        let mut by_word: HashMap<&str, Vec<usize>> = HashMap::new();
        for (row, (source, _)) in pairs.iter().enumerate() {
            for word in source.split(' ').collect::<HashSet<_>>() {
                by_word.entry(word).or_default().push(row);
            }
        }
        Self { pairs, by_word }
    }

    /// Pairs that share a word of the source side: one that holds the other, or is held by it, does.
    fn candidates(&self, pair: &(String, String)) -> impl Iterator<Item = &'a (String, String)> + use<'_, 'a> {
        let mut rows: Vec<usize> =
            pair.0.split(' ').filter_map(|word| self.by_word.get(word)).flatten().copied().collect();
        rows.sort_unstable();
        rows.dedup();
        rows.into_iter().map(|row| &self.pairs[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_and_lax_by_hand() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let gold = [pair("Один.", "Bir."), pair("Два. Три.", "Iki we üç."), pair("Пять.", "Bäş.")];
        let found = [pair("Один.", "Bir."), pair("Два.", "Iki we üç."), pair("Шесть.", "Bäş.")];
        let figures: HashMap<_, _> = compare(&found, &gold).into_iter().collect();
        assert_eq!((figures[figures::RIGHT], figures[figures::FOUND], figures[figures::GOLD]), (1.0, 3.0, 3.0));
        assert_eq!((figures[figures::LAX_RIGHT], figures[figures::LAX_FOUND]), (2.0, 2.0));
    }
}
