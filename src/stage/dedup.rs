//! Duplicates: among pairs that say the same but for case and punctuation, the best stays.
//!
//! One pass over all pairs that pass the other rules, best first; 16 bytes a pair. Run when any verdict changed.

use std::collections::HashMap;

use super::{Listing, Look, Output, Records, Stage, Unit, Work};
use crate::error::Result;
use crate::record::PairId;
use crate::store::verdicts::Duplicate;

/// Raised when the same pairs give other duplicates.
pub const VERSION: u32 = 1;

/// The one pool.
///
/// # Errors
/// Kind `Store`.
pub fn units(look: &Look<'_>) -> Result<Listing> {
    let input = look.store.stage_output(Stage::Filter.name())?;
    Ok(Listing::All(vec![Unit::new("pool", input)]))
}

/// Reads the candidates, best first.
///
/// # Errors
/// Kind `Store`.
pub fn prepare(look: &Look<'_>, unit: &Unit) -> Result<Work> {
    let candidates = look.store.duplicate_candidates()?;
    let input = unit.input.clone();
    Ok(Box::new(move || {
        let mut best: HashMap<i64, PairId> = HashMap::new();
        let mut duplicates = Vec::new();
        for (pair, fold) in candidates {
            match best.get(&fold) {
                Some(better) => duplicates.push(Duplicate { pair, of: *better, jaccard: None }),
                None => {
                    best.insert(fold, pair);
                }
            }
        }
        let (kept, dropped) = (best.len() as f64, duplicates.len() as f64);
        // Verdicts and duplicates together are what files are made of.
        let fingerprint = super::fingerprint(&(input, &duplicates))?;
        Ok(Output {
            records: Records::Duplicates(duplicates),
            fingerprint,
            counts: vec![("pairs kept", kept), ("duplicates", dropped)],
        })
    }))
}
