//! What the store knows of the page archive's files: how far they are indexed, and which bodies they hold.

use jiff::Timestamp;
use rusqlite::params;

use super::visit::FEED_COPY;
use super::{Store, Writer, instant};
use crate::error::Result;
use crate::record::WarcRef;

/// A body that an archive file holds and the index does not.
#[derive(Debug, Clone)]
pub struct FoundBody<'a> {
    /// The URL that it was fetched from.
    pub url: &'a str,
    /// `Content-Type`; [`FEED_COPY`] for a feed's copy.
    pub content_type: Option<&'a str>,
    /// `ETag`.
    pub etag: Option<&'a str>,
    /// `Last-Modified`.
    pub last_modified: Option<&'a str>,
    /// BLAKE3 of the body, hexadecimal.
    pub body_hash: &'a str,
    /// Where it lies.
    pub warc: &'a WarcRef,
    /// When it was fetched.
    pub at: Timestamp,
}

impl Store {
    /// The archive files that are indexed, and how far, in bytes.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn indexed_files(&self) -> Result<Vec<(String, u64)>> {
        self.rows("listing archive files", "SELECT file, length FROM warc ORDER BY file", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// Where the last indexed body of an archive file ends that lies wholly before `length`; 0 when none does.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn last_body_before(&self, file: &str, length: u64) -> Result<u64> {
        self.number(
            "looking for the last whole body",
            "SELECT max(warc_offset + warc_length) FROM url
             WHERE warc_file = ?1 AND body_hash IS NOT NULL AND body_lost = 0 AND warc_offset + warc_length <= ?2",
            params![file, length],
        )
    }

    /// How many bodies are lost.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn lost_bodies(&self) -> Result<u64> {
        self.number("counting lost bodies", "SELECT count(*) FROM url WHERE body_lost = 1", [])
    }
}

impl Writer<'_> {
    /// Notes how far an archive file is indexed.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_warc_length(&self, file: &str, length: u64) -> Result<()> {
        self.execute(
            "noting the archive's length",
            "INSERT INTO warc (file, length) VALUES (?1, ?2) ON CONFLICT (file) DO UPDATE SET length = excluded.length",
            params![file, length],
        )?;
        Ok(())
    }

    /// Notes that an archive file ends at `length`: the URLs whose bodies lay beyond it are fetched anew, in full.
    /// Answers how many there are.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn lose_bodies(&self, file: &str, length: u64) -> Result<usize> {
        self.execute(
            "noting lost bodies",
            "UPDATE url SET body_lost = 1, state = 'waiting', due = CASE WHEN role_rank < 3 THEN 1 ELSE 2 END,
               attempts = 0, not_before = NULL, etag = NULL, last_modified = NULL
             WHERE warc_file = ?1 AND body_hash IS NOT NULL AND body_lost = 0 AND warc_offset + warc_length > ?2",
            params![file, length],
        )
    }

    /// Indexes a body of a URL that is known, unless one that lies later in the archive is indexed already, or the body
    /// is a feed's copy and the page itself is archived. A URL that was being asked for when a run was killed stays due.
    /// Answers whether it was indexed.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn index_body(&self, body: &FoundBody<'_>) -> Result<bool> {
        let indexed = self.execute(
            "indexing an archived body",
            "UPDATE url SET content_type = ?2, etag = ?3, last_modified = ?4, body_hash = ?5, warc_file = ?6,
               warc_offset = ?7, warc_length = ?8, changed_at = ?9, body_lost = 0,
               status = CASE WHEN ?2 IS ?10 THEN status ELSE 200 END,
               state = CASE WHEN state = 'waiting' AND ?2 IS NOT ?10 THEN 'fetched' ELSE state END,
               due = CASE WHEN leased_at IS NULL AND ?2 IS NOT ?10 THEN 0 ELSE due END,
               fetched_at = CASE WHEN ?2 IS ?10 THEN fetched_at ELSE max(coalesce(fetched_at, ?9), ?9) END,
               next_visit_at = CASE WHEN ?2 IS ?10 THEN next_visit_at ELSE coalesce(next_visit_at, ?9) END
             WHERE url = ?1 AND role IN ('seed', 'article', 'page')
               AND (body_hash IS NULL OR body_lost = 1 OR warc_file < ?6 OR (warc_file = ?6 AND warc_offset < ?7)
                    OR (content_type IS ?10 AND ?2 IS NOT ?10))
               AND (?2 IS NOT ?10 OR (role = 'article' AND (body_hash IS NULL OR content_type IS ?10)))",
            params![
                body.url,
                body.content_type,
                body.etag,
                body.last_modified,
                body.body_hash,
                body.warc.file,
                body.warc.offset,
                body.warc.length,
                instant(body.at),
                FEED_COPY
            ],
        )?;
        Ok(indexed > 0)
    }
}
