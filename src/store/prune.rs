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
        let doing =
            || "compacting the database (stop other `kopri` commands on this workspace, then prune again)".into();
        self.connection.execute_batch("VACUUM").context(ErrorKind::Store, doing)?;
        // What was written to the log goes into the file, and the log is cut. A reader may hold it back: no harm.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).context(ErrorKind::Store, doing)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{TextId, Vectors};
    use crate::store::open::Access;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Access::Write).unwrap();
        (folder, store)
    }

    fn ids(store: &Store, sql: &str) -> Vec<i64> {
        store.rows("", sql, [], |row| row.get(0)).unwrap()
    }

    fn pruned<T>(store: &mut Store, prune: impl FnOnce(&Writer<'_>) -> Result<T>) -> T {
        let writer = store.writer().unwrap();
        let answer = prune(&writer).unwrap();
        writer.commit().unwrap();
        answer
    }

    /// Text pairs 1 to `count`, none of which occurs.
    fn put_pairs(store: &Store, scope: &str, ids: std::ops::RangeInclusive<i64>) {
        for id in ids {
            let sql = "INSERT INTO text_pair (id, scope, source_text, target_text, source_key, target_key, best, stale)
                       VALUES (?1, ?2, 'a', 'b', ?1, ?1, NULL, 0)";
            store.connection.execute(sql, params![id, scope]).unwrap();
            let sql = "INSERT INTO verdict VALUES (?1, ?2, 'vanished', '', 'mined', 0.5, 5000, 's', 7)";
            store.connection.execute(sql, params![id, scope]).unwrap();
        }
    }

    #[test]
    fn text_pairs_go_unless_they_occur_or_anything_refers_to_them() {
        let (_folder, mut store) = store();
        put_pairs(&store, "ru-tk", 1..=13);
        store
            .connection
            .execute_batch(
                "INSERT INTO score VALUES (1, 'probability', 0.5), (2, 'probability', 0.5);
                 INSERT INTO pair_features VALUES (1, 1, '{}');
                 INSERT INTO signature VALUES (1, x''), (2, x'');
                 INSERT INTO comparison VALUES (1, 2, 0.9);
                 INSERT INTO near_duplicate VALUES (1, 'ru-tk', NULL, 0.9, 7), (5, 'ru-tk', 4, 0.9, 7);
                 INSERT INTO annotation (external_id, pair, annotator, problems, ground_truth, preferred)
                   VALUES ('x', 2, 'a', '[]', 0, 3);
                 UPDATE text_pair SET split = 'train' WHERE id = 6;
                 UPDATE text_pair SET stale = 1 WHERE id = 7;
                 INSERT INTO task (id, interface, scope, pair, other, strategy, asked_at, body)
                   VALUES (1, 'i', 'ru-tk', 8, 9, 's', 't', '{}');
                 INSERT INTO adjudication VALUES (10, 'ru-tk', NULL, 0.5, NULL, 0, 0, 1, 0, 11);
                 INSERT INTO producer VALUES (1, 'ru-tk', 'align', 'u');
                 INSERT INTO occurrence VALUES (1, 12, 1, 'corrected', NULL, NULL, '[]', '[]', NULL, NULL, 0.5, '{}', 13, 1);
                 UPDATE text_pair SET best = 1 WHERE id = 12;
                 UPDATE clock SET now = 7;",
            )
            .unwrap();
        // 4 stays for its duplicate 5, which nothing refers to.
        assert_eq!(pruned(&mut store, |writer| writer.prune_text_pairs()).rows, 2);
        assert_eq!(ids(&store, "SELECT id FROM text_pair ORDER BY 1"), [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13]);
        assert_eq!(ids(&store, "SELECT pair FROM score"), [2]);
        assert_eq!(ids(&store, "SELECT pair FROM signature"), [2]);
        for table in ["pair_features", "comparison", "near_duplicate"] {
            assert_eq!(ids(&store, &format!("SELECT count(*) FROM {table}")), [0], "{table}");
        }
        assert_eq!(ids(&store, "SELECT now FROM clock UNION ALL SELECT pruned FROM clock"), [8, 8]);
        assert_eq!(store.judgement_stamp("ru-tk").unwrap(), 8, "who follows the stamps sees that something went");
        // The duplicate is gone, so its better one goes too; then nothing is left to do, and the clock stands.
        assert_eq!(pruned(&mut store, |writer| writer.prune_text_pairs()).rows, 1);
        assert_eq!(pruned(&mut store, |writer| writer.prune_text_pairs()), Deleted::default());
        assert_eq!(ids(&store, "SELECT pruned FROM clock"), [9]);
    }

    #[test]
    fn former_near_duplicates_go_and_present_ones_stay() {
        let (_folder, mut store) = store();
        put_pairs(&store, "ru-tk", 1..=3);
        let sql = "INSERT INTO near_duplicate VALUES (1, 'ru-tk', NULL, 0.9, 7), (2, 'ru-tk', 3, 0.9, 7)";
        store.connection.execute_batch(sql).unwrap();
        assert_eq!(pruned(&mut store, |writer| writer.prune_near_duplicates()).rows, 1);
        assert_eq!(ids(&store, "SELECT pair FROM near_duplicate"), [2]);
        assert_eq!(store.pruned_stamp().unwrap(), 1);
    }

    /// A document with sentences of these texts.
    fn put_sentences(store: &Store, texts: &[i64]) {
        let sql =
            "INSERT INTO document (id, location, site, kind, content_hash, language_confidence, text, blocks, twins,
                   images, fingerprint) VALUES (1, 'l', 's', 'html', 'h', 1.0, '', '[]', '[]', '[]', 'f')";
        store.connection.execute_batch(sql).unwrap();
        for text in texts {
            let sql = "INSERT INTO sentence VALUES (?1, 1, ?1, 0, 0, 1, 't', ?1, 'ru', 1.0)";
            store.connection.execute(sql, [text]).unwrap();
        }
    }

    #[test]
    fn vectors_of_dead_texts_and_other_models_go_and_a_sparse_shard_is_rewritten() {
        let (folder, mut store) = store();
        put_sentences(&store, &[3, 5]);
        let (vectors, all) = (folder.path().join("vectors"), Vectors::random(5, 4, 1));
        for file in ["m/a.f16", "old/a.f16"] {
            store.write_shard_file(file, &all).unwrap();
        }
        let texts: Vec<TextId> = (1..=5).map(TextId).collect();
        pruned(&mut store, |writer| {
            writer.put_shard("m", "m/a.f16", 4, &texts)?;
            writer.put_shard("old", "old/a.f16", 4, &texts)?;
            writer.put_no_vector("m", &[TextId(9)])
        });
        let before = store.vectors("m").read(&[TextId(3), TextId(5)]).unwrap();
        // 3 of `m`, the one without a vector, and 5 of the old model.
        assert_eq!(pruned(&mut store, |writer| writer.prune_vectors(Some("m"))).rows, 9);
        assert_eq!(pruned(&mut store, |writer| writer.prune_shards()).rows, 1);
        let sparse = pruned(&mut store, |writer| writer.sparse_shards());
        assert_eq!(sparse.iter().map(SparseShard::unused_bytes).collect::<Vec<_>>(), [3 * 4 * 2]);
        pruned(&mut store, |writer| writer.compact_shard(&vectors, &sparse[0]));
        let named = pruned(&mut store, |writer| writer.shard_files());
        let file = named.iter().next().unwrap();
        assert!(named.len() == 1 && file != "m/a.f16", "{named:?}");
        assert_eq!(std::fs::metadata(vectors.join(file)).unwrap().len(), 2 * 4 * 2);
        assert_eq!(store.vectors("m").read(&[TextId(3), TextId(5)]).unwrap().data(), before.data());
        assert!(pruned(&mut store, |writer| writer.sparse_shards()).is_empty());
    }

    #[test]
    fn vectors_of_all_models_stay_while_none_is_known_to_be_in_use() {
        let (_folder, mut store) = store();
        put_sentences(&store, &[1]);
        pruned(&mut store, |writer| writer.put_shard("m", "m/a.f16", 4, &[TextId(1), TextId(2)]));
        assert_eq!(pruned(&mut store, |writer| writer.prune_vectors(None)).rows, 1);
        assert_eq!(ids(&store, "SELECT text_id FROM vector"), [1]);
    }

    #[test]
    fn the_newest_runs_stay_and_so_do_figures_that_still_hold() {
        let (_folder, mut store) = store();
        for run in 1..=5 {
            let sql = "INSERT INTO run (id, started_at, pipeline, config, version) VALUES (?1, 't', 'p', '{}', 'v')";
            store.connection.execute(sql, [run]).unwrap();
            store.connection.execute("INSERT INTO figure VALUES (?1, '', 's', 'each', 1.0)", [run]).unwrap();
            let sql = "INSERT INTO crawl_round (id, started_at, finished_at) VALUES (?1, 't', nullif('t', ?2))";
            store.connection.execute(sql, params![run, if run == 1 { "t" } else { "" }]).unwrap();
        }
        store.connection.execute("INSERT INTO figure VALUES (1, '', 's', 'once', 1.0)", []).unwrap();
        // 3 figures, 3 runs; rounds 2 and 3, since 1 is open.
        assert_eq!(pruned(&mut store, |writer| writer.prune_runs(2)).rows, 8);
        assert_eq!(ids(&store, "SELECT id FROM run"), [4, 5]);
        assert_eq!(ids(&store, "SELECT run FROM figure ORDER BY run"), [1, 4, 5]);
        assert_eq!(ids(&store, "SELECT id FROM crawl_round"), [1, 4, 5]);
        assert_eq!(pruned(&mut store, |writer| writer.prune_runs(0)).rows, 3, "the last one always stays");
        assert_eq!(ids(&store, "SELECT id FROM run"), [5]);
    }

    #[test]
    fn neighbour_lists_of_other_settings_go() {
        let (_folder, mut store) = store();
        store
            .connection
            .execute_batch(
                "INSERT INTO stage VALUES ('ru-tk', 'neighbours', 'new', '{}');
                 INSERT INTO neighbours (scope, direction, text_id, key, list) VALUES ('ru-tk', 'forward', 1, 'old', x''),
                   ('ru-tk', 'forward', 2, 'new', x''), ('uz-tk', 'forward', 3, 'old', x'')",
            )
            .unwrap();
        assert_eq!(pruned(&mut store, |writer| writer.prune_neighbours("ru-tk")).rows, 1);
        assert_eq!(pruned(&mut store, |writer| writer.prune_neighbours("uz-tk")).rows, 0, "its stage never ran");
        assert_eq!(ids(&store, "SELECT text_id FROM neighbours ORDER BY 1"), [2, 3]);
    }

    #[test]
    fn of_a_deleted_scope_only_answers_and_their_pairs_stay() {
        let (_folder, mut store) = store();
        put_pairs(&store, "uz-tk", 1..=2);
        put_pairs(&store, "ru-tk", 3..=3);
        store
            .connection
            .execute_batch(
                "INSERT INTO producer VALUES (1, 'uz-tk', 'import', 'u'), (2, 'ru-tk', 'align', 'u');
                 INSERT INTO occurrence VALUES (1, 1, 1, 'imported', NULL, NULL, '[]', '[]', NULL, NULL, 0.5, '{}', NULL, 1),
                   (2, 2, 1, 'imported', NULL, NULL, '[]', '[]', NULL, NULL, 0.5, '{}', NULL, 1),
                   (3, 3, 2, 'aligned', NULL, NULL, '[]', '[]', NULL, NULL, 0.5, '{}', NULL, 1);
                 UPDATE text_pair SET best = id;
                 INSERT INTO annotation (external_id, pair, annotator, problems, ground_truth) VALUES ('x', 2, 'a', '[]', 0);
                 INSERT INTO unit (scope, stage, unit, key, input, output, state, attempts, run, finished_at)
                   VALUES ('uz-tk', 'import', 'u', '', '', '', 'done', 1, 1, 't'),
                   ('ru-tk', 'align', 'u', '', '', '', 'done', 1, 1, 't');
                 INSERT INTO import VALUES ('u', 'p', 'c', 'r', 'tsv', 2, 0, NULL, 't')",
            )
            .unwrap();
        pruned(&mut store, |writer| writer.delete_scope("uz-tk"));
        assert_eq!(ids(&store, "SELECT id FROM text_pair ORDER BY 1"), [2, 3]);
        assert_eq!(ids(&store, "SELECT coalesce(best, 0) FROM text_pair ORDER BY id"), [0, 3]);
        assert_eq!(ids(&store, "SELECT pair FROM annotation"), [2]);
        assert_eq!(ids(&store, "SELECT id FROM occurrence"), [3]);
        assert_eq!(ids(&store, "SELECT count(*) FROM import"), [0]);
        let known = pruned(&mut store, |writer| writer.known_scopes());
        assert!(
            known.contains("ru-tk") && known.contains("uz-tk"),
            "the pair with an answer is still there: {known:?}"
        );
    }

    #[test]
    fn a_database_of_free_pages_shrinks_and_keeps_what_it_has() {
        let (folder, mut store) = store();
        for row in 0..200 {
            let sql = "INSERT INTO artefact VALUES (?1, zeroblob(8000))";
            store.connection.execute(sql, [format!("a{row}")]).unwrap();
        }
        let deleted = pruned(&mut store, |writer| {
            let mut bytes = 0;
            for row in 1..200 {
                bytes += writer.delete_artefact(&format!("a{row}"))?.bytes;
            }
            Ok(bytes)
        });
        assert!(deleted >= 199 * 8_000, "{deleted}");
        assert!(pruned(&mut store, |writer| writer.pages()).is_sparse());
        store.vacuum().unwrap();
        assert!(!pruned(&mut store, |writer| writer.pages()).is_sparse());
        assert!(std::fs::metadata(folder.path().join("kopri.db")).unwrap().len() < deleted / 2);
        assert_eq!(store.artefact("a0").unwrap().unwrap().len(), 8_000);
    }
}
