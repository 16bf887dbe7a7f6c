//! Which tasks lie in which project of an annotation server, and how far its annotations have been pulled.
//!
//! A batch is written down before it is sent, without the numbers that its tasks will have there. What a kill or a lost
//! reply leaves without a number is in flight: the server is asked what became of it.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::params;

use super::{Store, Writer, instant, parsed_option, to_json};
use crate::error::Result;
use crate::record::{Interface, TaskId};

/// A project on an annotation server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// Its number here.
    pub id: i64,
    /// The server's URL, without credentials or a slash at its end.
    pub server: String,
    /// Its number there.
    pub remote: i64,
    /// Its title.
    pub title: String,
    /// The interface of its tasks.
    pub interface: String,
    /// Changes up to then have been pulled, by the server's clock.
    pub pulled_until: Option<Timestamp>,
}

/// How many tasks a project holds, as far as we know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placed {
    /// Those whose number there is known.
    pub known: u64,
    /// Those that were sent, without a reply so far.
    pub in_flight: u64,
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<ProjectRow> {
    Ok(ProjectRow {
        id: row.get(0)?,
        server: row.get(1)?,
        remote: row.get(2)?,
        title: row.get(3)?,
        interface: row.get(4)?,
        pulled_until: parsed_option(row, 5)?,
    })
}

impl Store {
    /// Projects on a server, the newest first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn projects(&self, server: &str) -> Result<Vec<ProjectRow>> {
        self.rows(
            "listing projects",
            "SELECT id, server, remote, title, interface, pulled_until FROM project WHERE server = ?1 ORDER BY id DESC",
            [server],
            from_row,
        )
    }

    /// How many tasks lie in a project.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn placed(&self, project: i64) -> Result<Placed> {
        let count = |condition: &str| {
            let sql = format!("SELECT count(*) FROM placement WHERE project = ?1 AND remote {condition}");
            self.number("counting placements", &sql, [project])
        };
        Ok(Placed { known: count("IS NOT NULL")?, in_flight: count("IS NULL")? })
    }

    /// Questions that still wait for answers of `people` and were never sent to a project, by id. Memory: 16 bytes each,
    /// and 16 for each that was sent.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn unplaced(&self, project: i64, interface: Interface, people: u32) -> Result<Vec<TaskId>> {
        let placed: HashSet<i64> = self
            .rows("listing placements", "SELECT task FROM placement WHERE project = ?1", [project], |row| row.get(0))?
            .into_iter()
            .collect();
        let mut tasks = self.open_tasks(interface, people)?;
        tasks.retain(|task| !placed.contains(&task.0));
        Ok(tasks)
    }

    /// Batches that were sent to a project and had no reply.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn batches_in_flight(&self, project: i64) -> Result<Vec<String>> {
        self.rows(
            "listing batches in flight",
            "SELECT DISTINCT batch FROM placement WHERE project = ?1 AND remote IS NULL ORDER BY batch",
            [project],
            |row| row.get(0),
        )
    }

    /// Tasks of a batch that have no number there.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn in_flight(&self, project: i64, batch: &str) -> Result<Vec<TaskId>> {
        self.rows(
            "listing a batch in flight",
            "SELECT task FROM placement WHERE project = ?1 AND batch = ?2 AND remote IS NULL ORDER BY task",
            params![project, batch],
            |row| Ok(TaskId(row.get(0)?)),
        )
    }

    /// A task as it leaves, JSON; `None` when there is no such task.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn task_body(&self, task: TaskId) -> Result<Option<String>> {
        self.row("reading a task", "SELECT body FROM task WHERE id = ?1", [task.0], |row| row.get(0))
    }

    /// The number of a task in a project; `Some(None)` when it was sent without a reply so far.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn placement(&self, project: i64, task: TaskId) -> Result<Option<Option<i64>>> {
        self.row(
            "looking up a placement",
            "SELECT remote FROM placement WHERE project = ?1 AND task = ?2",
            params![project, task.0],
            |row| row.get(0),
        )
    }
}

impl Writer<'_> {
    /// Keeps a project, under a new title or interface if it has one; answers its number here.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_project(&self, server: &str, remote: i64, title: &str, interface: &str) -> Result<i64> {
        self.execute(
            "keeping a project",
            "INSERT INTO project (server, remote, title, interface) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (server, remote) DO UPDATE SET title = excluded.title, interface = excluded.interface",
            params![server, remote, title, interface],
        )?;
        let mut statement = self
            .transaction
            .prepare_cached("SELECT id FROM project WHERE server = ?1 AND remote = ?2")
            .map_err(|error| failed("looking up a project", error))?;
        statement
            .query_row(params![server, remote], |row| row.get(0))
            .map_err(|error| failed("looking up a project", error))
    }

    /// Says that these tasks are about to be sent.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn place(&self, project: i64, batch: &str, tasks: &[TaskId]) -> Result<()> {
        for task in tasks {
            self.execute(
                "writing a placement",
                "INSERT INTO placement (project, task, batch) VALUES (?1, ?2, ?3)",
                params![project, task.0, batch],
            )?;
        }
        Ok(())
    }

    /// Keeps the number that a task has there.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_placed(&self, project: i64, task: TaskId, batch: &str, remote: i64) -> Result<()> {
        self.execute(
            "keeping a task's number",
            "INSERT INTO placement (project, task, batch, remote) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (project, task) DO UPDATE SET remote = excluded.remote",
            params![project, task.0, batch, remote],
        )?;
        Ok(())
    }

    /// Forgets the tasks of a batch that have no number: the server took none of them.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn forget_batch(&self, project: i64, batch: &str) -> Result<()> {
        self.execute(
            "forgetting a batch",
            "DELETE FROM placement WHERE project = ?1 AND batch = ?2 AND remote IS NULL",
            params![project, batch],
        )?;
        Ok(())
    }

    /// Takes answers away that a task in a project no longer has: those whose number is none of `numbers`. A task that
    /// lies in several projects keeps them, since their numbers do not say where they were given. Answers how many.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn retract_answers(&self, project: i64, task: TaskId, numbers: &[i64]) -> Result<u64> {
        let taken = self.execute(
            "taking answers back",
            "DELETE FROM annotation WHERE task = ?2 AND remote NOT IN (SELECT value FROM json_each(?3))
               AND EXISTS (SELECT 1 FROM placement WHERE project = ?1 AND task = ?2)
               AND NOT EXISTS (SELECT 1 FROM placement WHERE project <> ?1 AND task = ?2)",
            params![project, task.0, to_json(&numbers)?],
        )?;
        Ok(taken as u64)
    }

    /// Keeps how far a project's annotations have been pulled.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_pulled_until(&self, project: i64, until: Timestamp) -> Result<()> {
        self.execute(
            "keeping how far was pulled",
            "UPDATE project SET pulled_until = ?2 WHERE id = ?1",
            params![project, instant(until)],
        )?;
        Ok(())
    }
}

fn failed(doing: &str, error: rusqlite::Error) -> crate::error::Error {
    crate::error::Error::with_source(crate::error::ErrorKind::Store, doing, error)
}
