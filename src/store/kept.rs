//! Kept pairs by document or by text: what an evaluation looks up. Each look-up is by an index.

use rusqlite::params;

use super::Store;
use crate::error::Result;
use crate::text::dedup::dedup_hash;

/// The texts of a kept pair and where they are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPair {
    /// The source side.
    pub source: String,
    /// The target side.
    pub target: String,
    /// URL or book path of the source side; `None`: it was imported, or the document is gone.
    pub source_location: Option<String>,
    /// URL or book path of the target side; `None`: it was imported, or the document is gone.
    pub target_location: Option<String>,
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<KeptPair> {
    Ok(KeptPair {
        source: row.get(0)?,
        target: row.get(1)?,
        source_location: row.get(2)?,
        target_location: row.get(3)?,
    })
}

/// Kept text pairs of a scope, at each of their occurrences, with the texts of the occurrence.
const KEPT: &str = "SELECT coalesce(occurrence.source_text, text_pair.source_text),
       coalesce(occurrence.target_text, text_pair.target_text), source.location, target.location
     FROM text_pair JOIN occurrence ON occurrence.pair = text_pair.id
     JOIN judgement ON judgement.pair = text_pair.id AND judgement.reason IS NULL
     LEFT JOIN document AS source ON source.id = occurrence.source_document
     LEFT JOIN document AS target ON target.id = occurrence.target_document";

impl Store {
    /// Kept text pairs of a scope that occur with their source in the document at `source_url`, and their target in the one
    /// at `target_url`, or in any if that is `None`; by occurrence.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn kept_pairs_of_documents(
        &self,
        scope: &str,
        source_url: &str,
        target_url: Option<&str>,
    ) -> Result<Vec<KeptPair>> {
        let sql = format!(
            "{KEPT} WHERE text_pair.scope = ?1
             AND occurrence.source_document = (SELECT id FROM document WHERE location = ?2)
             AND (?3 IS NULL OR target.location = ?3) ORDER BY occurrence.id"
        );
        self.rows("reading the kept pairs of documents", &sql, params![scope, source_url, target_url], from_row)
    }

    /// Kept text pairs of a scope whose texts have the dedup keys of these, on the sides that are given; at each of their
    /// occurrences, by occurrence. None, if no side is given.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn kept_pairs_with_text(
        &self,
        scope: &str,
        source: Option<&str>,
        target: Option<&str>,
    ) -> Result<Vec<KeptPair>> {
        let doing = "reading the kept pairs of a text";
        let by = |condition: &str| format!("{KEPT} WHERE text_pair.scope = ?1 AND {condition} ORDER BY occurrence.id");
        let key = dedup_hash;
        match (source, target) {
            (Some(source), Some(target)) => {
                let sql = by("source_key = ?2 AND target_key = ?3");
                self.rows(doing, &sql, params![scope, key(source), key(target)], from_row)
            }
            (Some(source), None) => self.rows(doing, &by("source_key = ?2"), params![scope, key(source)], from_row),
            (None, Some(target)) => self.rows(doing, &by("target_key = ?2"), params![scope, key(target)], from_row),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// The locations of all pairs of documents of a scope of which one lies at `url`, source first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn document_pairs_at(&self, scope: &str, url: &str) -> Result<Vec<(String, String)>> {
        self.rows(
            "reading a document's pairs",
            "WITH here AS (SELECT id FROM document WHERE location = ?1),
                  found AS (SELECT source, target FROM document_pair WHERE scope = ?2 AND source = (SELECT id FROM here)
                            UNION SELECT source, target FROM document_pair
                            WHERE scope = ?2 AND target = (SELECT id FROM here))
             SELECT source.location, target.location FROM found
             JOIN document AS source ON source.id = found.source
             JOIN document AS target ON target.id = found.target ORDER BY 1, 2",
            [url, scope],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }
}
