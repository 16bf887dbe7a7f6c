//! Which blocks of pages stand in how many documents: what repeats from page to page is no content of any of them.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Store, Writer};
use crate::error::Result;
use crate::record::{BlockKind, Document, DocumentId, DocumentKind, Language, TextId};
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
            // The hash holds site and language, so the index on hashes tells it all: 2 s for 100 000 documents of 20 blocks.
            "SELECT document, ordinal FROM block
             WHERE hash IN (SELECT hash FROM block GROUP BY hash HAVING count(DISTINCT document) >= ?1)
             ORDER BY document, ordinal",
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
        let language = document.language.map_or("", Language::code);
        for (ordinal, block) in document.blocks.iter().enumerate() {
            if matches!(block.kind, BlockKind::Title | BlockKind::Heading) {
                continue;
            }
            let folded = fold(document.block_text(block));
            if !folded.is_empty() {
                let hash = TextId::of(&[document.site.as_bytes(), language.as_bytes(), folded.as_bytes()]);
                self.execute(
                    "writing a block",
                    "INSERT INTO block (document, ordinal, hash) VALUES (?1, ?2, ?3)",
                    params![document.id.0, i64::try_from(ordinal).unwrap_or(i64::MAX), hash.0],
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::document::TextBuilder;
    use crate::store::open::Access;

    fn document(number: i64, site: &str, language: Language, texts: &[(BlockKind, &str)]) -> Document {
        let mut builder = TextBuilder::default();
        texts.iter().for_each(|(kind, text)| builder.push(*kind, text, None));
        let (text, blocks) = builder.finish();
        Document {
            id: DocumentId(number),
            location: number.to_string(),
            site: site.into(),
            kind: DocumentKind::Html,
            content_hash: String::new(),
            language: Some(language),
            language_confidence: 1.0,
            declared_language: None,
            title: None,
            date: None,
            author: None,
            tags: Vec::new(),
            agreement: None,
            text,
            blocks,
            twins: Vec::new(),
            images: Vec::new(),
            twin_key: None,
        }
    }

    #[test]
    fn boilerplate_is_of_one_site_and_language_and_no_heading() {
        const NOTICE: (BlockKind, &str) = (BlockKind::Paragraph, "© Портал, 2026");
        let own = |text| (BlockKind::Paragraph, text);
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let writer = store.writer().unwrap();
        let heading = (BlockKind::Heading, "Общие положения");
        for page in [
            document(1, "a", Language::RUSSIAN, &[heading, own("Один."), NOTICE]),
            document(2, "a", Language::RUSSIAN, &[heading, own("портал 2026!"), own("Два."), own("Два.")]),
            // Neither another language nor another site, nor twice in one document, makes three pages.
            document(3, "a", Language::TURKMEN, &[NOTICE]),
            document(4, "b", Language::RUSSIAN, &[NOTICE, NOTICE]),
        ] {
            writer.put_document(&page).unwrap();
        }
        writer.commit().unwrap();
        let two = [(DocumentId(1), vec![2]), (DocumentId(2), vec![1])];
        assert_eq!(store.boilerplate(2).unwrap(), BTreeMap::from(two));
        assert!(store.boilerplate(3).unwrap().is_empty());
        // A page that changes takes its vote back.
        let writer = store.writer().unwrap();
        writer.put_document(&document(2, "a", Language::RUSSIAN, &[own("Два.")])).unwrap();
        writer.commit().unwrap();
        assert!(store.boilerplate(2).unwrap().is_empty());
    }
}
