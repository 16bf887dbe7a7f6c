//! What is measured of pairs, what the rules say of them, and which repeat a better one.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;

use super::{Store, Writer, json, to_json};
use crate::error::Result;
use crate::record::{Drop, Features, PairId};

/// A pair that a better one makes superfluous.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Duplicate {
    /// The pair.
    pub pair: PairId,
    /// The better one.
    pub of: PairId,
    /// The share of their n-grams that both have, 0 to 1; `None`: the same text but for case and punctuation.
    pub jaccard: Option<f64>,
}

impl Store {
    /// How many pairs were kept and how many each rule dropped.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn verdict_counts(&self) -> Result<BTreeMap<Option<String>, u64>> {
        let rows =
            self.rows("counting verdicts", "SELECT reason, count(*) FROM judgement GROUP BY reason", [], |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, u64>(1)?))
            })?;
        Ok(rows.into_iter().collect())
    }

    /// Pairs to which no rule objects: id and fold, best first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn duplicate_candidates(&self, scope: &str) -> Result<Vec<(PairId, i64)>> {
        self.rows(
            "listing candidates for duplicates",
            "SELECT pair.id, fold FROM verdict JOIN pair ON pair.id = verdict.pair
             WHERE pair.scope = ?1 AND reason IS NULL ORDER BY score DESC, pair.id",
            [scope],
            |row| Ok((PairId(row.get(0)?), row.get(1)?)),
        )
    }

    /// What was measured of a unit's pairs, each with the key under which it was.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn features_of(&self, scope: &str, stage: &str, unit: &str) -> Result<HashMap<PairId, (i64, Features)>> {
        let rows = self.rows(
            "reading a unit's features",
            "SELECT pair, key, features FROM pair_features JOIN pair ON pair.id = pair
             WHERE scope = ?1 AND stage = ?2 AND unit = ?3",
            [scope, stage, unit],
            |row| Ok((PairId(row.get(0)?), (row.get(1)?, json(row, 2)?))),
        )?;
        Ok(rows.into_iter().collect())
    }

    /// What was measured of a pair; `None` before the filter has seen it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn features(&self, pair: PairId) -> Result<Option<Features>> {
        self.row("reading features", "SELECT features FROM pair_features WHERE pair = ?1", [pair.0], |row| json(row, 0))
    }

    /// Whether the filter has judged a pair.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn is_judged(&self, pair: PairId) -> Result<bool> {
        Ok(self.number("looking up a verdict", "SELECT count(*) FROM verdict WHERE pair = ?1", [pair.0])? > 0)
    }

    /// Whether there is a kept pair with this hash of both sides without case and punctuation.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn is_kept_fold(&self, fold: i64) -> Result<bool> {
        let sql = "SELECT count(*) FROM verdict WHERE fold = ?1 AND reason IS NULL";
        Ok(self.number("looking for a kept pair", sql, [fold])? > 0)
    }

    /// The better pair that a pair repeats, if it does.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn duplicate_of(&self, pair: PairId) -> Result<Option<Duplicate>> {
        self.row(
            "looking up a duplicate",
            "SELECT pair, duplicate_of, jaccard FROM verdict WHERE pair = ?1 AND duplicate_of IS NOT NULL",
            [pair.0],
            duplicate,
        )
    }

    /// The pairs that repeat a pair, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn duplicates_of(&self, pair: PairId) -> Result<Vec<Duplicate>> {
        self.rows(
            "listing duplicates",
            "SELECT pair, duplicate_of, jaccard FROM verdict WHERE duplicate_of = ?1 ORDER BY pair",
            [pair.0],
            duplicate,
        )
    }
}

fn duplicate(row: &rusqlite::Row<'_>) -> rusqlite::Result<Duplicate> {
    Ok(Duplicate { pair: PairId(row.get(0)?), of: PairId(row.get(1)?), jaccard: row.get(2)? })
}

impl Writer<'_> {
    /// Writes what the rules say of a pair. The mark of a duplicate is left as it is.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_verdict(&self, pair: PairId, fold: i64, drop: Option<&Drop>) -> Result<()> {
        self.execute(
            "writing a verdict",
            "INSERT INTO verdict (pair, fold, reason, detail) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (pair) DO UPDATE SET fold = excluded.fold, reason = excluded.reason, detail = excluded.detail",
            params![
                pair.0,
                fold,
                drop.map(|drop| drop.reason.name()),
                drop.map(|drop| drop.detail.as_str()).unwrap_or_default()
            ],
        )?;
        Ok(())
    }

    /// Writes what was measured of a pair, and the key under which it was.
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

    /// Says which pairs are duplicates of a better one; every other mark of this kind is taken back.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_duplicates(&self, scope: &str, duplicates: &[Duplicate]) -> Result<()> {
        self.execute(
            "clearing duplicates",
            "UPDATE verdict SET duplicate_of = NULL, jaccard = NULL WHERE duplicate_of IS NOT NULL
               AND pair IN (SELECT id FROM pair WHERE scope = ?1)",
            [scope],
        )?;
        for duplicate in duplicates {
            self.execute(
                "marking a duplicate",
                "UPDATE verdict SET duplicate_of = ?2, jaccard = ?3 WHERE pair = ?1",
                params![duplicate.pair.0, duplicate.of.0, duplicate.jaccard],
            )?;
        }
        Ok(())
    }
}
