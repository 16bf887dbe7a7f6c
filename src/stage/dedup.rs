//! Duplicates: among pairs that say the same, the best stays.
//!
//! Two pairs say the same when they differ in case and punctuation alone, or, from a threshold on, when their sides
//! share nearly all character n-grams (`algo::minhash`, verified by the true Jaccard similarity). A pair that names
//! other numbers says something else, however near: the weather of another day, the table of another match.
//!
//! One pass over all pairs that pass the other rules, best first, whenever any verdict changed: a pair is held against
//! better ones that stay. Memory: 16 bytes a pair, and up to 400 more while near duplicates are sought (56 at the
//! threshold .9); texts are read again for candidates alone.
//!
//! What repeats inside a site makes no flood before it comes here: blocks that stand on many pages make no sentences
//! (`stage::segment`), the same sentence is one text to embed and to mine, wherever it stands, and mining is one to one.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Inputs, Listing, Progress, Settings, Stage, Unit, table};
use crate::algo::minhash::{Lsh, grams, jaccard};
use crate::error::Result;
use crate::record::PairId;
use crate::store::Store;
use crate::store::table::Table;
use crate::store::verdicts::Duplicate;
use crate::text::{normalise, numbers};

/// Raised when the same pairs give other duplicates.
pub const VERSION: u32 = 2;

/// The stage.
#[derive(Debug)]
pub struct Dedup;

/// Characters of an n-gram.
const GRAM: usize = 4;

/// What counts as a duplicate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// From this share of common character n-grams on (Jaccard similarity of both sides together, 0 to 1) a pair is a
    /// near duplicate of a better one; 0: only the same text is a duplicate.
    pub near: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { near: 0.9 }
    }
}

impl Stage for Dedup {
    fn name(&self) -> &'static str {
        "dedup"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "pool"
    }

    fn after(&self) -> &'static [&'static str] {
        &["filter"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Verdict, Table::Pair]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Verdict]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "dedup": table(settings.get::<Params>()?)? }))
    }

    /// The one pool.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        // The filter's output holds its input, and with it the pairs' scores and texts.
        let inputs = Inputs::new().tables(&[Table::Verdict, Table::Pair], &ctx.stage_output("filter")?);
        Ok(Listing::All(vec![Unit::new("pool", inputs)]))
    }

    /// Finds the duplicates; the store is asked for the texts of candidates.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let (store, scope, params) = (ctx.store()?, ctx.scope_name(), ctx.settings::<Params>()?);
        let (mut pool, mut duplicates) = exact(store.duplicate_candidates(&scope)?);
        let same = duplicates.len() as f64;
        if params.near > 0.0 {
            let near = near(&store, &pool, params.near, progress)?;
            let gone: HashSet<PairId> = near.iter().map(|duplicate| duplicate.pair).collect();
            pool.retain(|pair| !gone.contains(pair));
            duplicates.extend(near);
        }
        let (kept, nearly) = (pool.len() as f64, duplicates.len() as f64 - same);
        // Verdicts and duplicates together are what files are made of.
        let output = super::fingerprint(&(&unit.input, &duplicates))?;
        Ok(Commit::new(output, move |writer, _| writer.set_duplicates(&scope, &duplicates))
            .count("pairs kept", kept)
            .count("duplicates", same)
            .count("near duplicates", nearly))
    }
}

/// Parts pairs, given best first with the hash of their folded texts, into those that stay and exact duplicates.
fn exact(pairs: Vec<(PairId, i64)>) -> (Vec<PairId>, Vec<Duplicate>) {
    let mut best: HashMap<i64, PairId> = HashMap::with_capacity(pairs.len());
    let (mut pool, mut duplicates) = (Vec::with_capacity(pairs.len()), Vec::new());
    for (pair, fold) in pairs {
        match best.get(&fold) {
            Some(better) => duplicates.push(Duplicate { pair, of: *better, jaccard: None }),
            None => {
                best.insert(fold, pair);
                pool.push(pair);
            }
        }
    }
    (pool, duplicates)
}

/// The near duplicates among pairs, given best first.
fn near(store: &Store, pool: &[PairId], threshold: f64, progress: &Progress<'_>) -> Result<Vec<Duplicate>> {
    let mut lsh = Lsh::new(threshold);
    for pair in pool {
        progress.check()?;
        let (source, target) = store.pair_texts(*pair)?;
        lsh.add(&Sides::read(&source, &target).grams);
    }
    let mut duplicates: Vec<Duplicate> = Vec::new();
    let mut dropped = vec![false; pool.len()];
    let mut own: Option<(u32, Sides)> = None;
    for (later, earlier) in lsh.candidates() {
        progress.check()?;
        if dropped[later as usize] || dropped[earlier as usize] {
            continue;
        }
        let read = |place: u32| -> Result<Sides> {
            let (source, target) = store.pair_texts(pool[place as usize])?;
            Ok(Sides::read(&source, &target))
        };
        // Candidates come sorted by the later one, which is therefore read once.
        if own.as_ref().is_none_or(|(place, _)| *place != later) {
            own = Some((later, read(later)?));
        }
        let Some((_, own)) = &own else { continue };
        if let Some(jaccard) = own.near(&read(earlier)?, threshold) {
            dropped[later as usize] = true;
            let (pair, of) = (pool[later as usize], pool[earlier as usize]);
            duplicates.push(Duplicate { pair, of, jaccard: Some(jaccard) });
        }
    }
    Ok(duplicates)
}

/// What two pairs are compared by.
struct Sides {
    grams: Vec<u64>,
    numbers: [Vec<String>; 2],
}

impl Sides {
    fn read(source: &str, target: &str) -> Self {
        let grams = grams(&[&normalise::fold(source), &normalise::fold(target)], GRAM);
        Self { grams, numbers: [numbers::numbers(source), numbers::numbers(target)] }
    }

    /// The similarity of two pairs if it makes them near duplicates.
    fn near(&self, other: &Self, threshold: f64) -> Option<f64> {
        let similarity = jaccard(&self.grams, &other.grams);
        (similarity >= threshold && self.numbers == other.numbers).then_some(similarity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_one_of_the_same_stays() {
        let (pool, duplicates) = exact(vec![(PairId(1), 7), (PairId(2), 8), (PairId(3), 7), (PairId(4), 7)]);
        assert_eq!(pool, [PairId(1), PairId(2)]);
        let told: Vec<_> = duplicates.iter().map(|duplicate| (duplicate.pair, duplicate.of)).collect();
        assert_eq!(told, [(PairId(3), PairId(1)), (PairId(4), PairId(1))]);
    }

    #[test]
    fn another_number_is_another_pair() {
        let pair = |day: u32, end: &str| {
            Sides::read(
                &format!("Завтра, {day} мая, в столице страны ожидается ясная и сухая погода без осадков{end}"),
                &format!("Ertir, maýyň {day}-ne paýtagtda howanyň açyk we gurak, ygalsyz bolmagyna garaşylýar{end}"),
            )
        };
        assert!(pair(5, "").near(&pair(5, " вот"), 0.8).is_some());
        assert!(pair(5, "").near(&pair(6, ""), 0.8).is_none());
        assert!(jaccard(&pair(5, "").grams, &pair(6, "").grams) > 0.8, "though it is as near");
    }
}
