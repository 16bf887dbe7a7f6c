//! Near duplicates: among kept text pairs that say nearly the same, the best stays.
//!
//! Texts that differ in case and punctuation alone are one text pair already. Two text pairs are near duplicates when their
//! sides share, from a threshold on, nearly all character n-grams (`algo::minhash`, verified by the true Jaccard similarity).
//! A text pair that names other numbers says something else, however near: the weather of another day, the table of another
//! match.
//!
//! One pass over all text pairs that pass the other rules, best first, whenever any verdict changed. Hashes and comparisons
//! are kept in the store, so only new text pairs are read.
//!
//! What repeats inside a site is removed before: blocks that stand on many pages make no sentences (`stage::segment`), the
//! same sentence is one text to embed and to mine, wherever it stands, and mining is one to one.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Inputs, Listing, Progress, Settings, Stage, Unit, table};
use crate::algo::minhash::{Lsh, grams, jaccard};
use crate::error::{Error, Result};
use crate::record::PairId;
use crate::record::id::IdMap;
use crate::store::table::Table;
use crate::store::verdicts::Duplicate;
use crate::store::{Store, Writer};
use crate::text::{normalise, numbers};

/// Raised when the same pairs give other duplicates.
pub const VERSION: u32 = 3;

/// The stage.
#[derive(Debug)]
pub struct Dedup;

/// What counts as a duplicate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// From this share of common character n-grams on (Jaccard similarity of both sides together, 0 to 1) a text pair is a
    /// near duplicate of a better one; 0: none is.
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
        &[Table::Verdict, Table::TextPair]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::NearDuplicate, Table::Signature, Table::Comparison]
    }

    fn parallel(&self) -> bool {
        false
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "dedup": table(settings.get::<Params>()?)? }))
    }

    /// The one pool of a scope.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        // The stamp changes when any verdict or best occurrence does.
        let stamp = ctx.store()?.verdict_stamp(&ctx.scope_name())?.to_string();
        let inputs = Inputs::new().tables(&[Table::Verdict, Table::TextPair], &stamp);
        Ok(Listing::All(vec![Unit::new("pool", inputs)]))
    }

    /// Finds the near duplicates.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let (store, scope, params) = (ctx.store()?, ctx.scope_name(), ctx.settings::<Params>()?);
        let before = store.duplicates(&scope)?;
        let pass = Pass { before, ..pass(&store, &scope, params.near, progress)? };
        let (kept, near) = (pass.kept as f64, pass.duplicates.len() as f64);
        let duplicates: Vec<&Duplicate> = pass.duplicates.values().collect();
        let output = super::fingerprint(&(&unit.input, &duplicates))?;
        let commit = Commit::new(output, move |writer, _| pass.write(writer, &scope));
        Ok(commit.counts([("pairs kept", kept), ("near duplicates", near)]))
    }
}

/// Characters of an n-gram.
const GRAM: usize = 4;

/// Text pairs whose texts are read and hashed together, on all cores.
const CHUNK: usize = 8_192;

/// What a pass over the kept text pairs of a scope comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Pass {
    /// Near duplicates, by text pair.
    pub duplicates: BTreeMap<PairId, Duplicate>,
    /// Those of the last pass.
    before: BTreeMap<PairId, Duplicate>,
    /// Text pairs that stay.
    pub kept: usize,
    /// How signatures are made: the version of this code and the rows of a band.
    made: u32,
    /// Signatures that are new.
    signatures: Vec<(PairId, Vec<u32>)>,
    /// Comparisons that are new.
    comparisons: Vec<(PairId, PairId, Option<f64>)>,
}

/// Finds the near duplicates among the text pairs that no rule drops: each is held against better ones that stay.
///
/// Signatures and comparisons that the store has are used again, so that only new text pairs are read; the rest is a
/// sequential scan of 70 bytes a text pair, and a sort of its bands. Memory: 130 bytes a kept text pair at the default
/// threshold, 60 a comparison.
pub fn pass(store: &Store, scope: &str, threshold: f64, progress: &Progress<'_>) -> Result<Pass> {
    let order = store.near_candidates(scope)?;
    if threshold <= 0.0 {
        return Ok(Pass { kept: order.len(), ..Pass::default() });
    }
    let mut lsh = Lsh::new(threshold);
    let made = VERSION << 16 | u32::try_from(lsh.bands().rows).unwrap_or(u32::MAX) & 0xffff;
    let (mut known, mut bands): (IdMap<PairId, u32>, Vec<u32>) = Default::default();
    let width = lsh.bands().bands;
    store.for_each_signature(scope, |(pair, how, signature)| {
        if how == made && signature.len() == width {
            known.insert(pair, u32::try_from(known.len()).unwrap_or(u32::MAX));
            bands.extend(signature);
        }
        Ok(())
    })?;
    let mut pass = Pass { made, ..Pass::default() };
    for chunk in order.chunks(CHUNK) {
        progress.check()?;
        let mut texts = Vec::new();
        for pair in chunk.iter().filter(|pair| !known.contains_key(pair)) {
            texts.push((*pair, read(store, *pair)?));
        }
        let new: Vec<(PairId, Vec<u32>)> = texts
            .par_iter()
            .map(|(pair, (source, target))| (*pair, lsh.signature(&gram_set(source, target))))
            .collect();
        let mut fresh = new.iter();
        for pair in chunk {
            match known.get(pair) {
                Some(place) => lsh.add_signature(&bands[*place as usize * width..][..width]),
                None => {
                    let (_, signature) = fresh.next().ok_or_else(|| Error::bug("a text pair without a signature"))?;
                    lsh.add_signature(signature);
                }
            }
        }
        pass.signatures.extend(new);
    }
    drop((known, bands));
    let candidates = lsh.candidates();
    drop(lsh);
    pass.compare(store, &order, &candidates, threshold, progress)?;
    Ok(pass)
}

impl Pass {
    /// Holds candidates, sorted by the later and worse one, against each other.
    fn compare(
        &mut self,
        store: &Store,
        order: &[PairId],
        candidates: &[(u32, u32)],
        threshold: f64,
        progress: &Progress<'_>,
    ) -> Result<()> {
        let mut known: HashMap<(PairId, PairId), Option<f64>> = HashMap::new();
        store.for_each_comparison(|(pair, other, jaccard)| {
            known.insert((pair, other), jaccard);
            Ok(())
        })?;
        // Signatures that are made anew may be of other texts.
        let anew: HashSet<PairId> = self.signatures.iter().map(|(pair, _)| *pair).collect();
        let mut dropped = vec![false; order.len()];
        let mut own: Option<(u32, Sides)> = None;
        for (number, (later, earlier)) in candidates.iter().enumerate() {
            if number % CHUNK == 0 {
                progress.check()?;
            }
            if dropped[*later as usize] || dropped[*earlier as usize] {
                continue;
            }
            let (pair, of) = (order[*later as usize], order[*earlier as usize]);
            let key = (pair.min(of), pair.max(of));
            let remembered = known.get(&key).filter(|_| !anew.contains(&pair) && !anew.contains(&of));
            let jaccard = match remembered {
                Some(jaccard) => *jaccard,
                None => {
                    if own.as_ref().is_none_or(|(place, _)| place != later) {
                        own = Some((*later, Sides::read(store, pair)?));
                    }
                    let Some((_, own)) = &own else { continue };
                    let jaccard = own.jaccard(&Sides::read(store, of)?);
                    self.comparisons.push((key.0, key.1, jaccard));
                    jaccard
                }
            };
            if let Some(jaccard) = jaccard.filter(|jaccard| *jaccard >= threshold) {
                dropped[*later as usize] = true;
                self.duplicates.insert(pair, Duplicate { pair, of, jaccard });
            }
        }
        self.kept = order.len() - self.duplicates.len();
        Ok(())
    }

    /// Writes what is new.
    pub fn write(&self, writer: &Writer<'_>, scope: &str) -> Result<()> {
        writer.put_signatures(self.made, &self.signatures)?;
        writer.put_comparisons(&self.comparisons)?;
        let marked: Vec<Duplicate> = self
            .duplicates
            .values()
            .filter(|duplicate| self.before.get(&duplicate.pair) != Some(*duplicate))
            .copied()
            .collect();
        let unmarked: Vec<PairId> =
            self.before.keys().filter(|pair| !self.duplicates.contains_key(pair)).copied().collect();
        writer.put_duplicates(scope, &marked, &unmarked)
    }
}

fn read(store: &Store, pair: PairId) -> Result<(String, String)> {
    store.texts(pair)?.ok_or_else(|| Error::bug(format!("the text pair {pair} vanished while it was worked on")))
}

fn gram_set(source: &str, target: &str) -> Vec<u64> {
    grams(&[&normalise::fold(source), &normalise::fold(target)], GRAM)
}

/// What two text pairs are compared by.
struct Sides {
    grams: Vec<u64>,
    numbers: [Vec<String>; 2],
}

impl Sides {
    fn read(store: &Store, pair: PairId) -> Result<Self> {
        let (source, target) = read(store, pair)?;
        Ok(Self::of(&source, &target))
    }

    fn of(source: &str, target: &str) -> Self {
        Self { grams: gram_set(source, target), numbers: [numbers::numbers(source), numbers::numbers(target)] }
    }

    /// The similarity of two text pairs, 0 to 1; `None`: they name different numbers, which makes them say different things.
    fn jaccard(&self, other: &Self) -> Option<f64> {
        (self.numbers == other.numbers).then(|| jaccard(&self.grams, &other.grams))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_number_is_another_pair() {
        let pair = |day: u32, end: &str| {
            Sides::of(
                &format!("Завтра, {day} мая, в столице страны ожидается ясная и сухая погода без осадков{end}"),
                &format!("Ertir, maýyň {day}-ne paýtagtda howanyň açyk we gurak, ygalsyz bolmagyna garaşylýar{end}"),
            )
        };
        assert!(pair(5, "").jaccard(&pair(5, " вот")).is_some_and(|share| share >= 0.8));
        assert_eq!(pair(5, "").jaccard(&pair(6, "")), None);
        assert!(jaccard(&pair(5, "").grams, &pair(6, "").grams) > 0.8, "though it is as near");
    }
}
