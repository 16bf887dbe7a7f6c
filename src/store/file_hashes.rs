//! What files hashed to when they were last read, so that those that look the same need no reading.

use rusqlite::params;

use super::{Store, Writer};
use crate::error::Result;

/// How a file looks without being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    /// Bytes.
    pub size: u64,
    /// Last change of its bytes, in nanoseconds since 1970, UTC.
    pub modified: i64,
    /// Its number in the file system; 0 where the system has none.
    pub inode: u64,
}

/// A file, how it looked, and the hash of its bytes in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHash {
    /// Its absolute path.
    pub path: String,
    /// How it looked.
    pub stamp: FileStamp,
    /// BLAKE3 of its bytes.
    pub hash: String,
}

/// SQLite's integers are signed; the same bits.
fn bits(number: u64) -> i64 {
    number.cast_signed()
}

impl Store {
    /// The hash of a file that looked just so when it was read; `None`: it must be read.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn file_hash(&self, path: &str, stamp: FileStamp) -> Result<Option<String>> {
        self.row(
            "looking up a file's hash",
            "SELECT hash FROM file_hash WHERE path = ?1 AND size = ?2 AND modified = ?3 AND inode = ?4",
            params![path, bits(stamp.size), stamp.modified, bits(stamp.inode)],
            |row| row.get(0),
        )
    }
}

impl Writer<'_> {
    /// Notes the hashes of files, over those of their earlier states.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_file_hashes(&self, files: &[FileHash]) -> Result<()> {
        for FileHash { path, stamp, hash } in files {
            self.execute(
                "noting a file's hash",
                "INSERT INTO file_hash (path, size, modified, inode, hash) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (path) DO UPDATE SET size = excluded.size, modified = excluded.modified,
                   inode = excluded.inode, hash = excluded.hash",
                params![path, bits(stamp.size), stamp.modified, bits(stamp.inode), hash],
            )?;
        }
        Ok(())
    }
}
