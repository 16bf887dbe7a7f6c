//! What is measured of text pairs, what the filter decides on them, and which repeat a better one.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Store, Writer, json, to_json};
use crate::error::Result;
use crate::record::{Drop, Features, Origin, PairId, Scorer};

/// The reason in `verdict` of a text pair that occurs nowhere any more.
pub(super) const VANISHED: &str = "vanished";

/// A kept text pair that nearly repeats a better one.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Duplicate {
    /// The text pair.
    pub pair: PairId,
    /// The better one.
    pub of: PairId,
    /// The share of their n-grams that both have, 0 to 1.
    pub jaccard: f64,
}

/// What the filter decided on a text pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The text pair.
    pub pair: PairId,
    /// What was decided; `None`: no occurrence is left.
    pub decision: Option<Decision>,
    /// Whether anything that files and reports hold of it changed.
    pub changed: bool,
}

/// What the filter decided on a text pair that occurs.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Why it is dropped; `None`: it is kept.
    pub drop: Option<Drop>,
    /// How its best occurrence was found.
    pub origin: Origin,
    /// Its best occurrence's score, 0 to 1.
    pub score: f32,
    /// The score × 10,000 as files print it.
    pub rank: i32,
    /// The site, collection or import that it is from.
    pub source: String,
    /// The calibrated probability, 0 to 1; `None`: it cannot be computed.
    pub probability: Option<f32>,
}

impl Store {
    /// How many text pairs of a scope are kept and how many each rule dropped.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn verdict_counts(&self, scope: &str) -> Result<BTreeMap<Option<String>, u64>> {
        let sql = "SELECT reason, count(*) FROM judgement WHERE scope = ?1 GROUP BY reason";
        let rows = self.rows("counting verdicts", sql, [scope], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, u64>(1)?))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Text pairs of a scope that no rule drops, best first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn near_candidates(&self, scope: &str) -> Result<Vec<PairId>> {
        let mut candidates: Vec<(f32, i64)> = self.rows(
            "listing candidates for near duplicates",
            // In the order of the table: an index would look every row up.
            "SELECT score, pair FROM verdict NOT INDEXED WHERE scope = ?1 AND reason IS NULL",
            [scope],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Ok(candidates.into_iter().map(|(_, pair)| PairId(pair)).collect())
    }

    /// What was measured of a text pair; `None` before the filter has seen it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn features(&self, pair: PairId) -> Result<Option<Features>> {
        self.row("reading features", "SELECT features FROM pair_features WHERE pair = ?1", [pair.0], |row| json(row, 0))
    }

    /// A text pair's score by a scorer; `None`: it has none.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn score(&self, pair: PairId, scorer: Scorer) -> Result<Option<f32>> {
        let sql = "SELECT value FROM score WHERE pair = ?1 AND scorer = ?2";
        self.row("reading a score", sql, params![pair.0, scorer.name()], |row| row.get(0))
    }

    /// Whether a text pair is kept.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn is_kept(&self, pair: PairId) -> Result<bool> {
        let sql = "SELECT count(*) FROM judgement WHERE pair = ?1 AND reason IS NULL";
        Ok(self.number("looking for a kept text pair", sql, [pair.0])? > 0)
    }

    /// The better text pair that a text pair nearly repeats, if it does.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn duplicate_of(&self, pair: PairId) -> Result<Option<Duplicate>> {
        let sql = "SELECT pair, of, jaccard FROM near_duplicate WHERE pair = ?1 AND of IS NOT NULL";
        self.row("looking up a near duplicate", sql, [pair.0], duplicate)
    }

    /// The text pairs that nearly repeat a text pair, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn duplicates_of(&self, pair: PairId) -> Result<Vec<Duplicate>> {
        let sql = "SELECT pair, of, jaccard FROM near_duplicate WHERE of = ?1 ORDER BY pair";
        self.rows("listing near duplicates", sql, [pair.0], duplicate)
    }

    /// All near duplicates of a scope, by text pair.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn duplicates(&self, scope: &str) -> Result<BTreeMap<PairId, Duplicate>> {
        let sql = "SELECT pair, of, jaccard FROM near_duplicate WHERE scope = ?1 AND of IS NOT NULL";
        let rows = self.rows("listing near duplicates", sql, [scope], duplicate)?;
        Ok(rows.into_iter().map(|duplicate| (duplicate.pair, duplicate)).collect())
    }

    /// Signatures of the text pairs of a scope that no rule drops, by id: how each was made, and its bands.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_signature(
        &self,
        scope: &str,
        each: impl FnMut((PairId, u32, Vec<u32>)) -> Result<()>,
    ) -> Result<()> {
        self.walk(
            "reading signatures",
            // Both tables in their own order, the same: nothing is sorted.
            "SELECT signature.pair, bands FROM signature CROSS JOIN verdict NOT INDEXED ON verdict.pair = signature.pair
             WHERE scope = ?1 AND reason IS NULL ORDER BY signature.pair",
            [scope],
            |row| {
                let bytes = row.get_ref(1)?.as_blob().map_err(|error| super::conversion(1, error))?;
                let mut words = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
                Ok((PairId(row.get(0)?), words.next().unwrap_or(0), words.collect()))
            },
            each,
        )
    }

    /// Comparisons of text pairs that were made: both pairs, and their similarity where they are near.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_comparison(&self, each: impl FnMut((PairId, PairId, Option<f64>)) -> Result<()>) -> Result<()> {
        self.walk(
            "reading comparisons",
            "SELECT pair, other, jaccard FROM comparison",
            [],
            |row| Ok((PairId(row.get(0)?), PairId(row.get(1)?), row.get(2)?)),
            each,
        )
    }
}

fn duplicate(row: &rusqlite::Row<'_>) -> rusqlite::Result<Duplicate> {
    Ok(Duplicate { pair: PairId(row.get(0)?), of: PairId(row.get(1)?), jaccard: row.get(2)? })
}

impl Writer<'_> {
    /// Writes what the filter decided on a text pair and takes the pair off the filter's queue.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_verdict(&self, scope: &str, verdict: &Verdict) -> Result<()> {
        let pair = verdict.pair.0;
        if verdict.changed {
            let stamp = self.stamp()?;
            match &verdict.decision {
                Some(decision) => self.execute(
                    "writing a verdict",
                    "INSERT INTO verdict (pair, scope, reason, detail, origin, score, source, stamp, rank)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                     ON CONFLICT (pair) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
                       origin = excluded.origin, score = excluded.score, source = excluded.source, stamp = excluded.stamp,
                       rank = excluded.rank",
                    params![
                        pair,
                        scope,
                        decision.drop.as_ref().map(|drop| drop.reason.name()),
                        decision.drop.as_ref().map_or("", |drop| drop.detail.as_str()),
                        decision.origin.name(),
                        decision.score,
                        decision.source,
                        stamp,
                        decision.rank
                    ],
                )?,
                // One that was never judged needs no verdict.
                None => self.execute(
                    "noting a vanished text pair",
                    "UPDATE verdict SET reason = ?2, detail = '', stamp = ?3 WHERE pair = ?1",
                    params![pair, VANISHED, stamp],
                )?,
            };
        }
        match verdict.decision.as_ref().and_then(|decision| decision.probability) {
            Some(probability) => self.put_score(verdict.pair, Scorer::Probability, probability)?,
            None => {
                let sql = "DELETE FROM score WHERE pair = ?1 AND scorer = ?2";
                self.execute("deleting a score", sql, params![pair, Scorer::Probability.name()])?;
            }
        }
        self.execute("taking a text pair off the queue", "UPDATE text_pair SET stale = 0 WHERE id = ?1", [pair])?;
        Ok(())
    }

    /// Writes a score of a text pair.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_score(&self, pair: PairId, scorer: Scorer, value: f32) -> Result<()> {
        self.execute(
            "writing a score",
            "INSERT INTO score (pair, scorer, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (pair, scorer) DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
            params![pair.0, scorer.name(), value],
        )?;
        Ok(())
    }

    /// Writes what was measured of a text pair, and the key under which it was.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_features(&self, pair: PairId, key: i64, features: &Features) -> Result<()> {
        self.execute(
            "writing features",
            "INSERT INTO pair_features (pair, key, features) VALUES (?1, ?2, ?3)
             ON CONFLICT (pair) DO UPDATE SET key = excluded.key, features = excluded.features",
            params![pair.0, key, to_json(features)?],
        )?;
        Ok(())
    }

    /// Marks near duplicates, and takes the mark off text pairs that are none any more.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_duplicates(&self, scope: &str, marked: &[Duplicate], unmarked: &[PairId]) -> Result<()> {
        for duplicate in marked {
            self.execute(
                "marking a near duplicate",
                "INSERT INTO near_duplicate (pair, scope, of, jaccard, stamp) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (pair) DO UPDATE SET of = excluded.of, jaccard = excluded.jaccard, stamp = excluded.stamp",
                params![duplicate.pair.0, scope, duplicate.of.0, duplicate.jaccard, self.stamp()?],
            )?;
        }
        for pair in unmarked {
            self.execute(
                "taking a mark off",
                "UPDATE near_duplicate SET of = NULL, stamp = ?2 WHERE pair = ?1",
                params![pair.0, self.stamp()?],
            )?;
        }
        Ok(())
    }

    /// Writes signatures of text pairs, with how they were made. Comparisons of a pair whose signature was made otherwise go.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_signatures(&self, made: u32, signatures: &[(PairId, Vec<u32>)]) -> Result<()> {
        for (pair, bands) in signatures {
            let bytes: Vec<u8> = std::iter::once(&made).chain(bands).flat_map(|word| word.to_le_bytes()).collect();
            let sql = "DELETE FROM signature WHERE pair = ?1";
            if self.execute("deleting a signature", sql, [pair.0])? > 0 {
                self.execute("deleting comparisons", "DELETE FROM comparison WHERE pair = ?1 OR other = ?1", [pair.0])?;
            }
            let sql = "INSERT INTO signature (pair, bands) VALUES (?1, ?2)";
            self.execute("writing a signature", sql, params![pair.0, bytes])?;
        }
        Ok(())
    }

    /// Writes comparisons of text pairs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_comparisons(&self, comparisons: &[(PairId, PairId, Option<f64>)]) -> Result<()> {
        for (pair, other, jaccard) in comparisons {
            self.execute(
                "writing a comparison",
                "INSERT INTO comparison (pair, other, jaccard) VALUES (?1, ?2, ?3)
                 ON CONFLICT (pair, other) DO UPDATE SET jaccard = excluded.jaccard",
                params![pair.0, other.0, jaccard],
            )?;
        }
        Ok(())
    }
}
