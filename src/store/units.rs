//! The ledger: runs, stage keys, units and figures.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;

use super::{Store, Writer, instant, json, to_json};
use crate::error::{Error, Result};

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRow {
    /// The unit's name inside its stage.
    pub unit: String,
    /// The stage key under which it was last run.
    pub key: String,
    /// Fingerprint of what it read.
    pub input: String,
    /// Fingerprint of what it wrote; empty when it failed.
    pub output: String,
    /// Whether it is done; else it failed.
    pub done: bool,
    /// Of one that failed for a reason that lies in its input: the limits under which it was tried.
    pub given_up: Option<String>,
}

/// A failed unit, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FailedUnit {
    /// The language pair; empty for stages that run once for all.
    pub scope: String,
    /// Stage name.
    pub stage: String,
    /// Unit name.
    pub unit: String,
    /// `error::ErrorKind::name`.
    pub kind: String,
    /// The whole error.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The run that tried it last.
    pub run: i64,
    /// Whether it is not tried again until its file, the limits or the program change.
    pub given_up: bool,
}

/// A run, as kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunRow {
    /// Counted from 1.
    pub id: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs, or when it was killed.
    pub finished_at: Option<Timestamp>,
    /// `done`, `failed`, `interrupted`; `None` while it runs, or when it was killed.
    pub outcome: Option<String>,
    /// The pipeline's name.
    pub pipeline: String,
    /// The program's version.
    pub version: String,
}

impl Store {
    /// The ledger of a stage, by unit.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn units(&self, scope: &str, stage: &str) -> Result<BTreeMap<String, UnitRow>> {
        let rows = self.rows(
            "reading the ledger",
            "SELECT unit, key, input, output, state = 'done', given_up FROM unit WHERE scope = ?1 AND stage = ?2",
            [scope, stage],
            |row| {
                Ok(UnitRow {
                    unit: row.get(0)?,
                    key: row.get(1)?,
                    input: row.get(2)?,
                    output: row.get(3)?,
                    done: row.get(4)?,
                    given_up: row.get(5)?,
                })
            },
        )?;
        Ok(rows.into_iter().map(|row| (row.unit.clone(), row)).collect())
    }

    /// The output fingerprint of a unit when it last succeeded; a failure since then leaves it, as it leaves the records.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn unit_output(&self, scope: &str, stage: &str, unit: &str) -> Result<Option<String>> {
        self.row(
            "reading the ledger",
            "SELECT output FROM unit WHERE scope = ?1 AND stage = ?2 AND unit = ?3 AND output <> ''",
            [scope, stage, unit],
            |row| row.get(0),
        )
    }

    /// The run that last did a unit; `None`: it was never done, or failed since.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn unit_done_in(&self, scope: &str, stage: &str, unit: &str) -> Result<Option<i64>> {
        self.row(
            "reading the ledger",
            "SELECT run FROM unit WHERE scope = ?1 AND stage = ?2 AND unit = ?3 AND state = 'done'",
            [scope, stage, unit],
            |row| row.get(0),
        )
    }

    /// When a unit was last done; `None`: it is not.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn unit_finished_at(&self, scope: &str, stage: &str, unit: &str) -> Result<Option<Timestamp>> {
        self.row(
            "reading the ledger",
            "SELECT finished_at FROM unit WHERE scope = ?1 AND stage = ?2 AND unit = ?3 AND state = 'done'",
            [scope, stage, unit],
            |row| super::parsed(row, 0),
        )
    }

    /// One fingerprint over the outputs of all units of a stage.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn stage_output(&self, scope: &str, stage: &str) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        let outputs = self.rows(
            "reading the ledger",
            "SELECT unit, output FROM unit WHERE scope = ?1 AND stage = ?2 ORDER BY unit",
            [scope, stage],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )?;
        for (unit, output) in outputs {
            hasher.update(crate::record::id::hash_parts(&[unit.as_bytes(), output.as_bytes()]).as_bytes());
        }
        Ok(hasher.finalize().to_hex()[..32].to_owned())
    }

    /// Units that failed when they were last tried.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn failed_units(&self) -> Result<Vec<FailedUnit>> {
        self.rows(
            "listing failed units",
            "SELECT scope, stage, unit, coalesce(error_kind, ''), coalesce(error, ''), attempts, run, given_up IS NOT NULL
             FROM unit
             WHERE state = 'failed' ORDER BY scope, stage, unit",
            [],
            |row| {
                Ok(FailedUnit {
                    scope: row.get(0)?,
                    stage: row.get(1)?,
                    unit: row.get(2)?,
                    kind: row.get(3)?,
                    message: row.get(4)?,
                    attempts: row.get(5)?,
                    run: row.get(6)?,
                    given_up: row.get(7)?,
                })
            },
        )
    }

    /// How many units of each stage are done and failed, over all scopes.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn unit_counts(&self) -> Result<BTreeMap<String, (u64, u64)>> {
        let rows = self.rows(
            "counting units",
            "SELECT stage, sum(state = 'done'), sum(state = 'failed') FROM unit GROUP BY stage",
            [],
            |row| Ok((row.get::<_, String>(0)?, (row.get::<_, u64>(1)?, row.get::<_, u64>(2)?))),
        )?;
        Ok(rows.into_iter().collect())
    }

    /// The key and its parts under which a stage last ran.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn stage_key(&self, scope: &str, stage: &str) -> Result<Option<(String, serde_json::Value)>> {
        self.row(
            "reading a stage's key",
            "SELECT key, parts FROM stage WHERE scope = ?1 AND name = ?2",
            [scope, stage],
            |row| Ok((row.get(0)?, json(row, 1)?)),
        )
    }

    /// The input fingerprint with which a unit was last run.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn unit_input(&self, scope: &str, stage: &str, unit: &str) -> Result<Option<String>> {
        self.row(
            "reading the ledger",
            "SELECT input FROM unit WHERE scope = ?1 AND stage = ?2 AND unit = ?3",
            [scope, stage, unit],
            |row| row.get(0),
        )
    }

    /// The language pairs that the ledger knows, by name.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn scopes(&self) -> Result<Vec<String>> {
        self.rows("listing scopes", "SELECT DISTINCT scope FROM unit WHERE scope <> '' ORDER BY scope", [], |row| {
            row.get(0)
        })
    }

    /// The name of the pipeline whose workspace this is; `None`: none has run in it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn owner(&self) -> Result<Option<String>> {
        self.row("reading whose workspace this is", "SELECT pipeline FROM workspace", [], |row| row.get(0))
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRow>> {
        self.rows(
            "listing runs",
            "SELECT id, started_at, finished_at, outcome, pipeline, version FROM run ORDER BY id DESC LIMIT ?1",
            [limit],
            |row| {
                Ok(RunRow {
                    id: row.get(0)?,
                    started_at: super::parsed(row, 1)?,
                    finished_at: super::parsed_option(row, 2)?,
                    outcome: row.get(3)?,
                    pipeline: row.get(4)?,
                    version: row.get(5)?,
                })
            },
        )
    }

    /// The figures of a run: scope, stage, name, value.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn figures(&self, run: i64) -> Result<Vec<(String, String, String, f64)>> {
        self.rows(
            "reading a run's figures",
            "SELECT scope, stage, name, value FROM figure WHERE run = ?1 ORDER BY scope, stage, name",
            [run],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
    }

    /// The newest value of a figure, whichever run left it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn latest_figure(&self, scope: &str, stage: &str, name: &str) -> Result<Option<f64>> {
        self.row(
            "reading a figure",
            "SELECT value FROM figure WHERE scope = ?1 AND stage = ?2 AND name = ?3 ORDER BY run DESC LIMIT 1",
            [scope, stage, name],
            |row| row.get(0),
        )
    }
}

impl Writer<'_> {
    /// Begins a run.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn begin_run(&self, at: Timestamp, pipeline: &str, config: &serde_json::Value) -> Result<i64> {
        self.execute(
            "beginning a run",
            "INSERT INTO run (started_at, pipeline, config, version) VALUES (?1, ?2, ?3, ?4)",
            params![instant(at), pipeline, to_json(config)?, env!("CARGO_PKG_VERSION")],
        )?;
        Ok(self.transaction.last_insert_rowid())
    }

    /// Notes whose workspace this is.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_owner(&self, pipeline: &str) -> Result<()> {
        self.execute(
            "noting whose workspace this is",
            "INSERT INTO workspace (id, pipeline) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET pipeline = excluded.pipeline",
            [pipeline],
        )?;
        Ok(())
    }

    /// Ends a run.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn finish_run(&self, run: i64, at: Timestamp, outcome: &str) -> Result<()> {
        self.execute(
            "ending a run",
            "UPDATE run SET finished_at = ?2, outcome = ?3 WHERE id = ?1",
            params![run, instant(at), outcome],
        )?;
        Ok(())
    }

    /// Notes what a stage is run with.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_stage_key(&self, scope: &str, stage: &str, key: &str, parts: &serde_json::Value) -> Result<()> {
        self.execute(
            "noting a stage's key",
            "INSERT INTO stage (scope, name, key, parts) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (scope, name) DO UPDATE SET key = excluded.key, parts = excluded.parts",
            params![scope, stage, key, to_json(parts)?],
        )?;
        Ok(())
    }

    /// Marks a unit as done. Belongs in the transaction that writes its records.
    ///
    /// # Errors
    /// Kind `Store`.
    #[expect(clippy::too_many_arguments, reason = "they are the row's columns")]
    pub fn unit_done(
        &self,
        scope: &str,
        stage: &str,
        unit: &str,
        key: &str,
        input: &str,
        output: &str,
        run: i64,
        at: Timestamp,
    ) -> Result<()> {
        self.execute(
            "marking a unit as done",
            "INSERT INTO unit (scope, stage, unit, key, input, output, state, attempts, run, finished_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'done', 1, ?7, ?8)
             ON CONFLICT (scope, stage, unit) DO UPDATE SET key = excluded.key, input = excluded.input,
               output = excluded.output, state = 'done', attempts = 1, error_kind = NULL, error = NULL, given_up = NULL,
               run = excluded.run, finished_at = excluded.finished_at",
            params![scope, stage, unit, key, input, output, run, instant(at)],
        )?;
        Ok(())
    }

    /// Marks a unit as failed, and why; and if that lies in the unit itself, under which limits it was given up. What it
    /// wrote when it last succeeded stays, and its output fingerprint with it, so that later stages keep what they made of it.
    ///
    /// # Errors
    /// Kind `Store`.
    #[expect(clippy::too_many_arguments, reason = "they are the row's columns")]
    pub fn unit_failed(
        &self,
        scope: &str,
        stage: &str,
        unit: &str,
        key: &str,
        input: &str,
        error: &Error,
        limits: Option<&str>,
        run: i64,
        at: Timestamp,
    ) -> Result<()> {
        let given_up = limits.filter(|_| error.is_lasting());
        self.execute(
            "marking a unit as failed",
            "INSERT INTO unit (scope, stage, unit, key, input, output, state, attempts, error_kind, error, run, finished_at, given_up)
             VALUES (?1, ?2, ?3, ?4, ?5, '', 'failed', 1, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (scope, stage, unit) DO UPDATE SET key = excluded.key, input = excluded.input,
               state = 'failed', attempts = unit.attempts + 1, error_kind = excluded.error_kind,
               error = excluded.error, run = excluded.run, finished_at = excluded.finished_at,
               given_up = excluded.given_up",
            params![scope, stage, unit, key, input, error.kind().name(), error.to_string(), run, instant(at), given_up],
        )?;
        Ok(())
    }

    /// Forgets a unit whose input is gone. Its records are deleted by its stage.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn forget_unit(&self, scope: &str, stage: &str, unit: &str) -> Result<()> {
        self.execute(
            "forgetting a unit",
            "DELETE FROM unit WHERE scope = ?1 AND stage = ?2 AND unit = ?3",
            [scope, stage, unit],
        )?;
        Ok(())
    }

    /// Adds to a figure of a run.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn add_figure(&self, run: i64, scope: &str, stage: &str, name: &str, value: f64) -> Result<()> {
        self.execute(
            "adding to a figure",
            "INSERT INTO figure (run, scope, stage, name, value) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (run, scope, stage, name) DO UPDATE SET value = value + excluded.value",
            params![run, scope, stage, name, value],
        )?;
        Ok(())
    }

    /// Sets a figure of a run.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_figure(&self, run: i64, scope: &str, stage: &str, name: &str, value: f64) -> Result<()> {
        self.execute(
            "setting a figure",
            "INSERT INTO figure (run, scope, stage, name, value) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (run, scope, stage, name) DO UPDATE SET value = excluded.value",
            params![run, scope, stage, name, value],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::store::open::Access;

    #[test]
    fn a_unit_fails_twice_then_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let writer = store.writer().unwrap();
        let run = writer.begin_run(at, "test", &serde_json::json!({})).unwrap();
        let error = Error::new(ErrorKind::Input, "page 3 is torn");
        writer.unit_failed("", "extract", "a", "k", "i", &error, Some("l"), run, at).unwrap();
        writer.unit_failed("", "extract", "a", "k", "i", &error, Some("l"), run, at).unwrap();
        writer.commit().unwrap();
        let failed = store.failed_units().unwrap();
        assert_eq!(
            (failed[0].attempts, failed[0].message.as_str(), failed[0].kind.as_str()),
            (2, "page 3 is torn", "input")
        );
        assert_eq!(store.unit_output("", "extract", "a").unwrap(), None);
        assert!(!failed[0].given_up && failed[0].run == run);
        let writer = store.writer().unwrap();
        writer.unit_failed("", "extract", "a", "k", "i", &error.lasting(), Some("l"), run, at).unwrap();
        writer.commit().unwrap();
        assert_eq!(store.units("", "extract").unwrap()["a"].given_up.as_deref(), Some("l"));

        let writer = store.writer().unwrap();
        writer.unit_done("", "extract", "a", "k", "i", "o", run, at).unwrap();
        writer.commit().unwrap();
        assert!(store.failed_units().unwrap().is_empty());
        assert_eq!(store.units("", "extract").unwrap()["a"].given_up, None);
        assert_eq!(store.unit_output("", "extract", "a").unwrap().as_deref(), Some("o"));
        assert_eq!(store.unit_counts().unwrap()["extract"], (1, 0));

        // A failure after a success keeps the output: later stages keep what they made of it.
        let before = store.stage_output("", "extract").unwrap();
        let writer = store.writer().unwrap();
        let error = Error::new(ErrorKind::Input, "page 3 is torn");
        writer.unit_failed("", "extract", "a", "k2", "i2", &error, None, run, at).unwrap();
        writer.commit().unwrap();
        assert_eq!(store.unit_output("", "extract", "a").unwrap().as_deref(), Some("o"));
        assert_eq!(store.stage_output("", "extract").unwrap(), before);
        assert!(!store.units("", "extract").unwrap()["a"].done);
        assert_eq!(store.unit_output("ru-tk", "extract", "a").unwrap(), None, "another scope has units of its own");
    }

    #[test]
    fn a_workspace_belongs_to_the_pipeline_that_claimed_it_last() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        assert_eq!(store.owner().unwrap(), None);
        for name in ["one", "two"] {
            let writer = store.writer().unwrap();
            writer.set_owner(name).unwrap();
            writer.commit().unwrap();
            assert_eq!(store.owner().unwrap().as_deref(), Some(name));
        }
        assert!(store.scopes().unwrap().is_empty());
    }

    #[test]
    fn a_transaction_that_is_dropped_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let writer = store.writer().unwrap();
        writer.begin_run(Timestamp::UNIX_EPOCH, "test", &serde_json::json!({})).unwrap();
        drop(writer);
        assert!(store.runs(10).unwrap().is_empty());
    }
}
