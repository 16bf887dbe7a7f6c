//! Kept pairs by document or by text: what an evaluation looks up. Each look-up is by an index.

use rusqlite::params;

use super::Store;
use crate::error::Result;

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

const KEPT: &str = "SELECT source_text, target_text, source.location, target.location FROM pair
     JOIN judgement ON judgement.pair = pair.id AND judgement.reason IS NULL
     LEFT JOIN document AS source ON source.id = pair.source_document
     LEFT JOIN document AS target ON target.id = pair.target_document";

impl Store {
    /// Kept pairs whose source is from the document at `source_url`, and whose target is from the one at `target_url`, or
    /// from any if that is `None`; by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn kept_pairs_of_documents(&self, source_url: &str, target_url: Option<&str>) -> Result<Vec<KeptPair>> {
        let sql = format!(
            "{KEPT} WHERE pair.source_document = (SELECT id FROM document WHERE location = ?1)
             AND (?2 IS NULL OR target.location = ?2) ORDER BY pair.id"
        );
        self.rows("reading the kept pairs of documents", &sql, params![source_url, target_url], from_row)
    }

    /// Kept pairs with exactly these texts (normalised, as all texts of the store are) on the sides that are given; by id.
    /// None, if no side is given.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn kept_pairs_with_text(&self, source: Option<&str>, target: Option<&str>) -> Result<Vec<KeptPair>> {
        let doing = "reading the kept pairs of a text";
        let by = |condition: &str| format!("{KEPT} WHERE {condition} ORDER BY pair.id");
        match (source, target) {
            (Some(source), Some(target)) => {
                self.rows(doing, &by("source_text = ?1 AND target_text = ?2"), [source, target], from_row)
            }
            (Some(source), None) => self.rows(doing, &by("source_text = ?1"), [source], from_row),
            (None, Some(target)) => self.rows(doing, &by("target_text = ?1"), [target], from_row),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// The locations of all pairs of documents of which one lies at `url`, source first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn document_pairs_at(&self, url: &str) -> Result<Vec<(String, String)>> {
        self.rows(
            "reading a document's pairs",
            "WITH here AS (SELECT id FROM document WHERE location = ?1),
                  found AS (SELECT source, target FROM document_pair WHERE source = (SELECT id FROM here)
                            UNION SELECT source, target FROM document_pair WHERE target = (SELECT id FROM here))
             SELECT source.location, target.location FROM found
             JOIN document AS source ON source.id = found.source
             JOIN document AS target ON target.id = found.target ORDER BY 1, 2",
            [url],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }
}
