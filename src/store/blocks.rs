//! Which blocks of pages stand in how many documents: what repeats from page to page is no content of any of them.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Store, Writer};
use crate::error::Result;
use crate::record::{BlockKind, Document, DocumentId, DocumentKind, TextId};
use crate::text::fold;

impl Store {
    /// The blocks that stand in at least `pages` documents of their site in the same language, as places in their
    /// documents. Documents without any are left out.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn boilerplate(&self, pages: u32) -> Result<BTreeMap<DocumentId, Vec<u32>>> {
        let mut found: BTreeMap<DocumentId, Vec<u32>> = BTreeMap::new();
        let rows = self.rows(
            "looking for boilerplate",
            // First by the index on hashes alone, which tells most blocks to be rare; then only the others by site.
            "WITH often AS (SELECT hash FROM block GROUP BY hash HAVING count(*) >= ?1),
                  boilerplate AS (
                    SELECT site, language, block.hash AS hash FROM often JOIN block ON block.hash = often.hash
                      JOIN document ON document.id = block.document
                    GROUP BY site, language, block.hash HAVING count(DISTINCT block.document) >= ?1)
             SELECT block.document, block.ordinal FROM boilerplate JOIN block ON block.hash = boilerplate.hash
               JOIN document ON document.id = block.document AND document.site = boilerplate.site
                 AND document.language IS boilerplate.language
             ORDER BY block.document, block.ordinal",
            [pages],
            |row| Ok((DocumentId(row.get(0)?), row.get(1)?)),
        )?;
        for (document, ordinal) in rows {
            found.entry(document).or_default().push(ordinal);
        }
        Ok(found)
    }
}

impl Writer<'_> {
    /// Replaces a document's blocks. Those of a page that could be boilerplate are kept: not its title, nor headings,
    /// which laws and lists repeat with other text below; a book is one document and repeats nothing.
    pub(super) fn put_blocks(&self, document: &Document) -> Result<()> {
        self.execute("replacing blocks", "DELETE FROM block WHERE document = ?1", [document.id.0])?;
        if document.kind != DocumentKind::Html {
            return Ok(());
        }
        for (ordinal, block) in document.blocks.iter().enumerate() {
            if matches!(block.kind, BlockKind::Title | BlockKind::Heading) {
                continue;
            }
            let folded = fold(document.block_text(block));
            if !folded.is_empty() {
                self.execute(
                    "writing a block",
                    "INSERT INTO block (document, ordinal, hash) VALUES (?1, ?2, ?3)",
                    params![
                        document.id.0,
                        i64::try_from(ordinal).unwrap_or(i64::MAX),
                        TextId::of(&[folded.as_bytes()]).0
                    ],
                )?;
            }
        }
        Ok(())
    }
}
