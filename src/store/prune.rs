//! Deleting what nothing refers to: rows in one transaction, then the files that no row names any more.
//!
//! A process that is killed before the commit leaves all as it was; one that is killed after it leaves files that no row
//! names, which the next pruning deletes.

use std::collections::HashSet;

use half::f16;
use rusqlite::params;

use super::{Store, Writer};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;

/// From this share of free pages on, a database is written anew without them.
const MOST_FREE: f64 = 0.2;

/// A shard of which a smaller share is in use is written anew.
const LEAST_USED: f64 = 0.5;

/// Text pairs that no occurrence has, that the filter has seen vanish, and that nothing refers to.
const DEAD_PAIRS: &str = "SELECT id FROM text_pair WHERE best IS NULL AND stale = 0 AND split IS NULL
    AND NOT EXISTS (SELECT 1 FROM occurrence WHERE occurrence.pair = text_pair.id)
    AND NOT EXISTS (SELECT 1 FROM near_duplicate WHERE near_duplicate.of = text_pair.id)
    AND id NOT IN (SELECT parent FROM occurrence WHERE parent IS NOT NULL)
    AND id NOT IN (SELECT pair FROM annotation)
    AND id NOT IN (SELECT preferred FROM annotation WHERE preferred IS NOT NULL)
    AND id NOT IN (SELECT pair FROM task)
    AND id NOT IN (SELECT other FROM task WHERE other IS NOT NULL)
    AND id NOT IN (SELECT pair FROM adjudication)
    AND id NOT IN (SELECT corrected FROM adjudication WHERE corrected IS NOT NULL)";

/// How much of a kind was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Rows.
    pub rows: u64,
    /// Bytes of database pages that became free: whole pages, so that few rows may free none.
    pub bytes: u64,
}

/// A shard of which most rows are used by no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseShard {
    id: i64,
    model: String,
    file: String,
    rows: u64,
    used: u64,
    dim: u64,
}

impl SparseShard {
    /// Bytes of the rows that no text uses.
    pub fn unused_bytes(&self) -> u64 {
        (self.rows - self.used) * self.dim * 2
    }
}

/// The database's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// All of them.
    pub all: u64,
    /// Those that hold nothing.
    pub free: u64,
    /// Bytes of a page.
    pub size: u64,
}

impl Pages {
    /// Whether the file is worth writing anew.
    pub fn is_sparse(self) -> bool {
        self.free as f64 > self.all as f64 * MOST_FREE
    }
}

impl Store {
    /// Whether a commit survives a power cut at once: before files are deleted that the rows named.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_durable(&self, durable: bool) -> Result<()> {
        self.connection
            .pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })
            .context(ErrorKind::Store, || "setting how commits are synced".into())
    }

    /// Writes the database anew without its free pages. A kill leaves the old file.
    ///
    /// # Errors
    /// Kind `Store`; among others when another process reads just now.
    pub fn vacuum(&mut self) -> Result<()> {
        let doing = || "compacting the database (stop other `kopri` commands on this workspace, then prune again)".into();
        self.connection.execute_batch("VACUUM").context(ErrorKind::Store, doing)?;
        // What was written to the log goes into the file, and the log is cut. A reader may hold it back: no harm.
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .context(ErrorKind::Store, doing)
    }
}

impl Writer<'_> {
    /// Runs a deletion, and measures it.
    fn measured(&self, delete: impl FnOnce() -> Result<usize>) -> Result<Deleted> {
        let before = self.pages()?;
        let rows = delete()? as u64;
        let after = self.pages()?;
        Ok(Deleted { rows, bytes: after.free.saturating_sub(before.free) * after.size })
    }

    /// The database's pages, as this transaction leaves them.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pages(&self) -> Result<Pages> {
        let pragma = |name: &str| -> Result<u64> {
            self.transaction
                .pragma_query_value(None, name, |row| row.get(0))
                .context(ErrorKind::Store, || "measuring the database".into())
        };
        Ok(Pages { all: pragma("page_count")?, free: pragma("freelist_count")?, size: pragma("page_size")? })
    }

    /// Deletes text pairs that occur nowhere any more and that nobody asked about, judged or put into a dataset, with all
    /// that hangs on them. A sequential scan of the text pairs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn prune_text_pairs(&self) -> Result<Deleted> {
        let doing = "deleting text pairs without an occurrence";
        let deleted =
            self.measured(|| self.execute(doing, &format!("DELETE FROM text_pair WHERE id IN ({DEAD_PAIRS})"), []))?;
        self.mark_pruned(deleted)
    }

    /// Deletes the rows of text pairs that are near duplicates no longer.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn prune_near_duplicates(&self) -> Result<Deleted> {
        let sql = "DELETE FROM near_duplicate WHERE of IS NULL";
        let deleted = self.measured(|| self.execute("deleting former near duplicates", sql, []))?;
        self.mark_pruned(deleted)
    }

    /// A file that is older than this deletion cannot know from stamps what was deleted.
    fn mark_pruned(&self, deleted: Deleted) -> Result<Deleted> {
        if deleted.rows > 0 {
            let stamp = self.stamp()?;
            self.execute("noting that rows were deleted", "UPDATE clock SET pruned = ?1", [stamp])?;
        }
        Ok(deleted)
    }

    /// Deletes vectors of texts that no sentence has, and of models other than `model`; `None`: which model is in use is
    /// not known, so those of all models stay.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn prune_vectors(&self, model: Option<&str>) -> Result<Deleted> {
        self.measured(|| {
            let mut rows = 0;
            for table in ["vector", "no_vector"] {
                rows += self.execute(
                    "deleting vectors",
                    &format!(
                        "DELETE FROM {table} WHERE model <> coalesce(?1, model)
                         OR NOT EXISTS (SELECT 1 FROM sentence WHERE sentence.text_id = {table}.text_id)"
                    ),
                    [model],
                )?;
            }
            Ok(rows)
        })
    }

    /// Deletes shards none of whose rows is used.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn prune_shards(&self) -> Result<Deleted> {
        let sql = "DELETE FROM shard WHERE id NOT IN (SELECT shard FROM vector)";
        self.measured(|| self.execute("deleting unused vector shards", sql, []))
    }

    /// Shards of which less than half of the rows are used, in the order of their ids.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn sparse_shards(&self) -> Result<Vec<SparseShard>> {
        let doing = "counting the vectors in use";
        let sql = "SELECT id, shard.model, file, rows, count(*), dim FROM shard JOIN vector ON vector.shard = shard.id
                   GROUP BY id HAVING count(*) < rows * ?1 ORDER BY id";
        let mut statement = self.statement(doing, sql)?;
        let rows = statement.query_map([LEAST_USED], |row| {
            Ok(SparseShard {
                id: row.get(0)?,
                model: row.get(1)?,
                file: row.get(2)?,
                rows: row.get(3)?,
                used: row.get(4)?,
                dim: row.get(5)?,
            })
        });
        rows.and_then(Iterator::collect).context(ErrorKind::Store, || doing.into())
    }

    /// Writes the rows of a shard that are in use to a new file, and lets the shard name that one. The old file stays
    /// until the transaction is committed.
    ///
    /// # Errors
    /// Kind `Store`: among others when the old file is not as long as its row says.
    pub fn compact_shard(&self, vectors: &std::path::Path, shard: &SparseShard) -> Result<()> {
        let doing = || format!("compacting the vector shard {}", shard.file);
        let places: Vec<(i64, u64)> = self
            .statement(&doing(), "SELECT text_id, row FROM vector WHERE shard = ?1 ORDER BY row")?
            .query_map([shard.id], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .context(ErrorKind::Store, doing)?;
        let old = files::map(&vectors.join(&shard.file))?;
        let width = usize::try_from(shard.dim).unwrap_or(usize::MAX).saturating_mul(size_of::<f16>());
        let mut hasher = blake3::Hasher::new();
        for (text, _) in &places {
            hasher.update(&text.to_le_bytes());
        }
        let file = format!("{}/c{}.f16", shard.model, &hasher.finalize().to_hex()[..31]);
        let mut bytes = Vec::with_capacity(places.len() * width);
        for (_, row) in &places {
            let start = usize::try_from(*row).unwrap_or(usize::MAX).saturating_mul(width);
            let vector = old.get(start..start.saturating_add(width)).ok_or_else(|| {
                Error::new(ErrorKind::Store, format!("{} is shorter than its {} rows", shard.file, shard.rows))
            })?;
            bytes.extend_from_slice(vector);
        }
        files::write_atomically(&vectors.join(&file), |out| out.write_all(&bytes))?;
        for (new, (text, _)) in places.iter().enumerate() {
            let sql = "UPDATE vector SET row = ?3 WHERE model = ?1 AND text_id = ?2";
            self.execute(&doing(), sql, params![shard.model, text, new as i64])?;
        }
        let sql = "UPDATE shard SET file = ?2, rows = ?3 WHERE id = ?1";
        self.execute(&doing(), sql, params![shard.id, file, places.len() as i64])?;
        Ok(())
    }

    /// Files of vector shards that rows name, relative to the folder of vectors.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn shard_files(&self) -> Result<HashSet<String>> {
        self.names("listing vector shards", "SELECT file FROM shard")
    }

    /// Language pairs that the ledger or any text pair names.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn known_scopes(&self) -> Result<HashSet<String>> {
        let sql = "SELECT scope FROM unit WHERE scope <> '' UNION SELECT scope FROM text_pair";
        self.names("listing language pairs", sql)
    }

    fn names(&self, doing: &str, sql: &str) -> Result<HashSet<String>> {
        let mut statement = self.statement(doing, sql)?;
        let rows = statement.query_map([], |row| row.get(0));
        rows.and_then(Iterator::collect).context(ErrorKind::Store, || doing.into())
    }

    /// Deletes neighbour lists of a language pair that were made under another key than that of its last run.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn prune_neighbours(&self, scope: &str) -> Result<Deleted> {
        let sql = "DELETE FROM neighbours WHERE scope = ?1
                   AND key <> coalesce((SELECT key FROM stage WHERE scope = ?1 AND name = 'neighbours'), key)";
        self.measured(|| self.execute("deleting old neighbour lists", sql, [scope]))
    }

    /// Deletes all that was made for a language pair. Text pairs that people were asked about, judged or put into a
    /// dataset stay, as pairs that occur nowhere; so do questions, answers and what these come to.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn delete_scope(&self, scope: &str) -> Result<Deleted> {
        let doing = "deleting a language pair";
        let deleted = self.measured(|| {
            let mut rows = 0;
            for sql in [
                "DELETE FROM occurrence WHERE producer IN (SELECT id FROM producer WHERE scope = ?1)",
                "DELETE FROM producer WHERE scope = ?1",
                "DELETE FROM document_pair WHERE scope = ?1",
                "DELETE FROM neighbours WHERE scope = ?1",
                "DELETE FROM near_duplicate WHERE scope = ?1",
                "DELETE FROM verdict WHERE scope = ?1",
                "DELETE FROM import WHERE id IN (SELECT unit FROM unit WHERE scope = ?1 AND stage = 'import')",
                "DELETE FROM unit WHERE scope = ?1",
                "DELETE FROM stage WHERE scope = ?1",
                "DELETE FROM figure WHERE scope = ?1",
            ] {
                rows += self.execute(doing, sql, [scope])?;
            }
            self.execute(doing, "UPDATE text_pair SET best = NULL, stale = 0 WHERE scope = ?1", [scope])?;
            let dead = format!("DELETE FROM text_pair WHERE scope = ?1 AND id IN ({DEAD_PAIRS})");
            Ok(rows + self.execute(doing, &dead, [scope])?)
        })?;
        self.mark_pruned(deleted)
    }

    /// Deletes a fitted model.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn delete_artefact(&self, name: &str) -> Result<Deleted> {
        self.measured(|| self.execute("deleting a fitted model", "DELETE FROM artefact WHERE name = ?1", [name]))
    }

    /// Deletes runs but the newest `keep` (at least one), and crawl rounds likewise. Of figures and of what the layout
    /// check came to, the newest of each name and site stay, since they still hold. What profiles took from pages stays:
    /// it is cut site by site when it is written.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn prune_runs(&self, keep: u32) -> Result<Deleted> {
        let doing = "deleting old runs";
        self.measured(|| {
            let oldest = "coalesce((SELECT min(id) FROM (SELECT id FROM run ORDER BY id DESC LIMIT max(?1, 1))), 0)";
            let mut rows = 0;
            for sql in [
                format!(
                    "DELETE FROM figure WHERE run < {oldest} AND run < (SELECT max(run) FROM figure AS newer
                     WHERE newer.scope = figure.scope AND newer.stage = figure.stage AND newer.name = figure.name)"
                ),
                format!(
                    "DELETE FROM drift WHERE run < {oldest} AND run < (SELECT max(run) FROM drift AS newer
                     WHERE newer.site = drift.site AND newer.key = drift.key)"
                ),
                format!("DELETE FROM run WHERE id < {oldest}"),
                "DELETE FROM crawl_round WHERE finished_at IS NOT NULL
                 AND id NOT IN (SELECT id FROM crawl_round ORDER BY id DESC LIMIT max(?1, 1))"
                    .to_owned(),
            ] {
                rows += self.execute(doing, &sql, [keep])?;
            }
            Ok(rows)
        })
    }

    /// Whether a run has a row.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn has_run(&self, run: i64) -> Result<bool> {
        self.exists("looking up a run", "SELECT EXISTS (SELECT 1 FROM run WHERE id = ?1)", [run])
    }

    /// Whether a unit is done with a key and an input.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn is_done(&self, (scope, stage, unit): (&str, &str, &str), key: &str, input: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM unit WHERE scope = ?1 AND stage = ?2 AND unit = ?3 AND key = ?4
                   AND input = ?5 AND state = 'done')";
        self.exists("looking up a unit", sql, params![scope, stage, unit, key, input])
    }

    /// Whether a unit of a stage wrote this last.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn is_output(&self, stage: &str, output: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM unit WHERE stage = ?1 AND output = ?2)";
        self.exists("looking up an output", sql, [stage, output])
    }

    fn exists(&self, doing: &str, sql: &str, parameters: impl rusqlite::Params) -> Result<bool> {
        self.statement(doing, sql)?
            .query_row(parameters, |row| row.get(0))
            .context(ErrorKind::Store, || doing.to_owned())
    }
}
