//! The workspace on disk: the only SQL of the program.
//!
//! ```text
//! workspace/
//!   kopri.db          SQLite, write-ahead log, STRICT tables (the migrations in schemas/ tell every column)
//!   lock              held by the one run that may write
//!   pages/*.warc.gz   raw responses, WARC 1.1; rows of `url` name file, offset and length
//!   pages/*.torn      what was cut off a damaged end of an archive file
//!   vectors/*.f16     embeddings, row-major half floats; rows of `shard` and `vector` name them
//!   graphs/*.hnsw     search graphs of the run before, by scope; a cache, which may be deleted
//!   jobs/             heartbeats and checkpoints of long units that are not done
//!   hashes.json       hashes of model files and books by size and time of change; a cache, which may be deleted
//!   export/           what the export stage wrote
//!   report/           one HTML page a run, and `latest.html`
//! ```
//!
//! Reading goes through [`Store`], writing through [`Writer`], which is one transaction. Stages are handed a
//! connection that only reads. Files are written and synced before the row that names them is committed.

pub mod annotations;
pub mod archive;
pub mod blocks;
pub mod books;
pub mod documents;
pub mod extraction;
pub mod frontier;
pub mod hosts;
pub mod imports;
pub mod kept;
pub mod listings;
pub mod neighbours;
pub mod occurrences;
pub mod open;
pub mod placements;
pub mod prune;
pub mod rows;
pub mod sentences;
pub mod standing;
pub mod summary;
pub mod table;
pub mod tasks;
pub mod text_pairs;
pub mod units;
pub mod vectors;
pub mod verdicts;
pub mod visit;
pub mod warc;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction};

use crate::error::{Context, ErrorKind, Result};

/// An open workspace.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    folder: PathBuf,
    _lock: Option<std::fs::File>,
}

/// One transaction. Dropped without [`Writer::commit`], it leaves no trace.
#[derive(Debug)]
pub struct Writer<'store> {
    transaction: Transaction<'store>,
    /// The clock's value for this transaction, once something asked for it.
    stamp: std::cell::Cell<Option<i64>>,
}

impl Store {
    /// Begins a transaction.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn writer(&mut self) -> Result<Writer<'_>> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .context(ErrorKind::Store, || "beginning a transaction".into())?;
        Ok(Writer { transaction, stamp: std::cell::Cell::new(None) })
    }

    /// The workspace's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where raw pages lie.
    pub fn pages_folder(&self) -> PathBuf {
        self.folder.join("pages")
    }

    /// Where vectors lie.
    pub fn vectors_folder(&self) -> PathBuf {
        self.folder.join("vectors")
    }

    /// Where long units keep heartbeats and checkpoints.
    pub fn jobs_folder(&self) -> PathBuf {
        self.folder.join("jobs")
    }

    /// Where search graphs are kept from night to night.
    pub fn graphs_folder(&self) -> PathBuf {
        self.folder.join("graphs")
    }

    /// Walks over the rows of a query, in order, without holding them.
    fn walk<T>(
        &self,
        doing: &str,
        sql: &str,
        parameters: impl rusqlite::Params,
        mut row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
        mut each: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let doing = || doing.to_owned();
        let mut statement = self.connection.prepare(sql).context(ErrorKind::Store, doing)?;
        let mut rows = statement.query(parameters).context(ErrorKind::Store, doing)?;
        while let Some(next) = rows.next().context(ErrorKind::Store, doing)? {
            each(row(next).context(ErrorKind::Store, doing)?)?;
        }
        Ok(())
    }

    /// The rows of a query, in order.
    fn rows<T>(
        &self,
        doing: &str,
        sql: &str,
        parameters: impl rusqlite::Params,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql).context(ErrorKind::Store, || doing.into())?;
        let rows = statement.query_map(parameters, row).context(ErrorKind::Store, || doing.into())?;
        rows.collect::<rusqlite::Result<_>>().context(ErrorKind::Store, || doing.into())
    }

    /// The first row of a query, if there is one.
    fn row<T>(
        &self,
        doing: &str,
        sql: &str,
        parameters: impl rusqlite::Params,
        row: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        use rusqlite::OptionalExtension as _;
        let mut statement = self.connection.prepare_cached(sql).context(ErrorKind::Store, || doing.into())?;
        statement.query_row(parameters, row).optional().context(ErrorKind::Store, || doing.into())
    }

    /// A count or another single number.
    fn number(&self, doing: &str, sql: &str, parameters: impl rusqlite::Params) -> Result<u64> {
        let number: Option<i64> = self.row(doing, sql, parameters, |row| row.get::<_, Option<i64>>(0))?.flatten();
        Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
    }
}

impl Writer<'_> {
    /// Makes all of it permanent.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn commit(self) -> Result<()> {
        self.transaction.commit().context(ErrorKind::Store, || "committing".into())
    }

    /// A stamp for what this transaction changes: one more than that of any earlier transaction.
    fn stamp(&self) -> Result<i64> {
        if let Some(stamp) = self.stamp.get() {
            return Ok(stamp);
        }
        let doing = || "advancing the clock".to_owned();
        let stamp = self
            .statement(&doing(), "UPDATE clock SET now = now + 1 RETURNING now")?
            .query_row([], |row| row.get(0))
            .context(ErrorKind::Store, doing)?;
        self.stamp.set(Some(stamp));
        Ok(stamp)
    }

    /// A statement, prepared once a connection.
    fn statement(&self, doing: &str, sql: &str) -> Result<rusqlite::CachedStatement<'_>> {
        self.transaction.prepare_cached(sql).context(ErrorKind::Store, || doing.into())
    }

    /// Runs one statement; answers how many rows it touched.
    fn execute(&self, doing: &str, sql: &str, parameters: impl rusqlite::Params) -> Result<usize> {
        self.statement(doing, sql)?.execute(parameters).context(ErrorKind::Store, || doing.into())
    }
}

/// Reads a column that holds text in one of our own notations.
fn parsed<T: std::str::FromStr>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| conversion(column, error))
}

/// Like [`parsed`], for a column that may be NULL.
fn parsed_option<T: std::str::FromStr>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|error: T::Err| conversion(column, error))).transpose()
}

/// Reads a column of JSON.
fn json<T: serde::de::DeserializeOwned>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| conversion(column, error))
}

fn conversion(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// An instant as text that sorts as time does: always microseconds.
fn instant(at: jiff::Timestamp) -> String {
    format!("{at:.6}")
}

/// Our own types always become JSON; a failure would be a defect.
fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).context(ErrorKind::Bug, || "writing JSON".into())
}
