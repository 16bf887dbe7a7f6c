//! Files of pairs that were brought in: which, and where their pairs are from.

use jiff::Timestamp;
use rusqlite::params;

use super::{Store, Writer, instant, parsed};
use crate::error::Result;

/// A file of pairs that was brought in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Import {
    /// `i` and 16 hexadecimal digits, of its path.
    pub id: String,
    /// The canonical path.
    pub path: String,
    /// Hash of its bytes.
    pub content: String,
    /// How it was read.
    pub reading: String,
    /// The format's name.
    pub format: String,
    /// Pairs that it brought.
    pub pairs: u64,
    /// Rows that were left out, since they are bad.
    pub left_out: u64,
    /// The licence, if it was given.
    pub licence: Option<String>,
    /// When.
    pub imported_at: Timestamp,
}

const COLUMNS: &str = "id, path, content, reading, format, pairs, left_out, licence, imported_at";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Import> {
    Ok(Import {
        id: row.get(0)?,
        path: row.get(1)?,
        content: row.get(2)?,
        reading: row.get(3)?,
        format: row.get(4)?,
        pairs: row.get(5)?,
        left_out: row.get(6)?,
        licence: row.get(7)?,
        imported_at: parsed(row, 8)?,
    })
}

impl Store {
    /// All imports, oldest first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn imports(&self) -> Result<Vec<Import>> {
        let sql = format!("SELECT {COLUMNS} FROM import ORDER BY imported_at, id");
        self.rows("listing imports", &sql, [], from_row)
    }

    /// An import by its id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn import(&self, id: &str) -> Result<Option<Import>> {
        let sql = format!("SELECT {COLUMNS} FROM import WHERE id = ?1");
        self.row("looking up an import", &sql, [id], from_row)
    }

    /// The import of these bytes, wherever they lay.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn import_of_content(&self, content: &str) -> Result<Option<Import>> {
        let sql = format!("SELECT {COLUMNS} FROM import WHERE content = ?1");
        self.row("looking up an import", &sql, [content], from_row)
    }
}

impl Writer<'_> {
    /// Writes an import's row, in place of an earlier one of the same id.
    ///
    /// # Errors
    /// Kind `Store`; the same content under another id breaks a constraint and is refused.
    pub fn put_import(&self, import: &Import) -> Result<()> {
        self.delete_import(&import.id)?;
        self.execute(
            "writing an import",
            &format!("INSERT INTO import ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
            params![
                import.id,
                import.path,
                import.content,
                import.reading,
                import.format,
                import.pairs,
                import.left_out,
                import.licence,
                instant(import.imported_at)
            ],
        )?;
        Ok(())
    }

    /// Deletes an import's row; its pairs are deleted by who asks for it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn delete_import(&self, id: &str) -> Result<()> {
        self.execute("deleting an import", "DELETE FROM import WHERE id = ?1", [id])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::Access;

    #[test]
    fn an_import_is_replaced_by_its_id_and_its_content_is_unique() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let first = Import {
            id: "i1".into(),
            path: "/a/ru-tk.tmx".into(),
            content: "c1".into(),
            reading: "tmx ru tk 1".into(),
            format: "tmx".into(),
            pairs: 7,
            left_out: 1,
            licence: Some("CC0-1.0".into()),
            imported_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        let again = Import { content: "c2".into(), licence: None, ..first.clone() };
        let writer = store.writer().unwrap();
        writer.put_import(&first).unwrap();
        writer.put_import(&again).unwrap();
        assert!(writer.put_import(&Import { id: "i2".into(), ..again.clone() }).is_err());
        writer.commit().unwrap();
        assert_eq!(store.imports().unwrap(), std::slice::from_ref(&again));
        assert_eq!(store.import("i1").unwrap(), Some(again.clone()));
        assert_eq!(
            (store.import_of_content("c1").unwrap(), store.import_of_content("c2").unwrap()),
            (None, Some(again))
        );
    }
}
