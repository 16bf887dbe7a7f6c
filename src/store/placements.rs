//! Which tasks lie in which project of an annotation server, and how far its annotations have been pulled.
//!
//! A batch is written down before it is sent, without the numbers that its tasks will have there. What a kill or a lost
//! reply leaves without a number is in flight: the server is asked what became of it.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Store, Writer, instant, json, parsed_option, to_json};
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

/// What the last comparison of a whole project with the workspace found; by default, as many tasks on both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// How many more tasks the server had than the workspace knew of; fewer: negative. A task that is pushed counts on
    /// both sides, so the difference stays until somebody adds or deletes tasks there.
    pub surplus: i64,
    /// Tasks there that are not ours.
    pub foreign: u64,
    /// Tasks of ours that are no longer there.
    pub gone: u64,
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

    /// What the last comparison of a project found; `None`: there was none.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn compared(&self, project: i64) -> Result<Option<Compared>> {
        let sql = "SELECT compared FROM project WHERE id = ?1 AND compared IS NOT NULL";
        self.row("reading a comparison", sql, [project], |row| json(row, 0))
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
        let mut tasks = self.open_tasks(None, interface, people)?;
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

    /// Whether there is such a task.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn has_task(&self, task: TaskId) -> Result<bool> {
        let found = self.row("looking up a task", "SELECT 1 FROM task WHERE id = ?1", [task.0], |_| Ok(()))?;
        Ok(found.is_some())
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

    /// Keeps what comparing a project as a whole found.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_compared(&self, project: i64, compared: &Compared) -> Result<()> {
        self.execute(
            "keeping a comparison",
            "UPDATE project SET compared = ?2 WHERE id = ?1",
            params![project, to_json(compared)?],
        )?;
        Ok(())
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::{Annotation, Origin, Pair, PairId, Side, Strategy, Task};
    use crate::store::open::Access;

    /// A workspace with tasks 1 to `count`, on pairs of the same numbers.
    pub(in crate::store) fn store(count: i64) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let side = |text: &str| Side { document: None, sentences: Vec::new(), text: text.to_owned() };
        let pairs: Vec<Pair> = (1..=count)
            .map(|id| Pair {
                id: PairId(id),
                source: side("a"),
                target: side("b"),
                origin: Origin::Imported,
                scores: crate::record::Scores::default(),
                score: 1.0,
                parent: None,
            })
            .collect();
        let tasks: Vec<Task> = (1..=count)
            .map(|id| Task {
                id: TaskId(id),
                interface: Interface::Translation,
                pair: PairId(id),
                other: None,
                strategy: Strategy::Random,
                control: None,
                body: serde_json::json!({ "data": { "task_id": TaskId(id) } }),
            })
            .collect();
        let writer = store.writer().unwrap();
        writer.put_occurrences("ru-tk", "import", "file", &pairs).unwrap();
        writer.put_tasks("ru-tk", &tasks, Timestamp::UNIX_EPOCH).unwrap();
        writer.commit().unwrap();
        (folder, store)
    }

    pub(in crate::store) fn answer(task: i64, remote: Option<i64>) -> Annotation {
        Annotation {
            task: Some(TaskId(task)),
            remote,
            verdict: Some("yes".to_owned()),
            ..Annotation::blank(PairId(task), &format!("person {remote:?}"), &format!("u-{task}-{remote:?}"))
        }
    }

    #[test]
    fn a_batch_is_in_flight_until_its_numbers_are_known_or_it_is_forgotten() {
        let (_folder, mut store) = store(5);
        let writer = store.writer().unwrap();
        let project = writer.put_project("http://a.test", 9, "title", "translation").unwrap();
        writer.place(project, "b1", &[TaskId(1), TaskId(2)]).unwrap();
        writer.place(project, "b2", &[TaskId(3)]).unwrap();
        writer.set_placed(project, TaskId(2), "b1", 70).unwrap();
        writer.commit().unwrap();
        assert_eq!(store.placed(project).unwrap(), Placed { known: 1, in_flight: 2 });
        assert_eq!(store.batches_in_flight(project).unwrap(), ["b1", "b2"]);
        assert_eq!(store.in_flight(project, "b1").unwrap(), [TaskId(1)]);
        let open = |store: &Store| store.unplaced(project, Interface::Translation, 1).unwrap();
        assert_eq!(open(&store), [TaskId(4), TaskId(5)]);
        assert!(store.unplaced(project, Interface::Similarity, 1).unwrap().is_empty());
        assert_eq!(store.placement(project, TaskId(2)).unwrap(), Some(Some(70)));
        assert_eq!(store.placement(project, TaskId(1)).unwrap(), Some(None));
        assert_eq!(store.placement(project, TaskId(4)).unwrap(), None);

        let writer = store.writer().unwrap();
        writer.forget_batch(project, "b1").unwrap();
        writer.put_annotation(&answer(5, Some(1)), None).unwrap();
        writer.commit().unwrap();
        assert_eq!(open(&store), [TaskId(1), TaskId(4)], "5 is answered, 2 keeps its number, 3 is in flight");
    }

    #[test]
    fn a_project_is_known_by_server_and_number() {
        let (_folder, mut store) = store(0);
        let writer = store.writer().unwrap();
        let first = writer.put_project("http://a.test", 9, "old", "translation").unwrap();
        let other = writer.put_project("http://b.test", 9, "old", "translation").unwrap();
        assert_eq!(writer.put_project("http://a.test", 9, "new", "similarity").unwrap(), first);
        writer.set_pulled_until(first, "2026-11-21T21:55:15.956335Z".parse().unwrap()).unwrap();
        writer.commit().unwrap();
        assert_ne!(first, other);
        let known = store.projects("http://a.test").unwrap();
        assert_eq!((known.len(), known[0].title.as_str(), known[0].interface.as_str()), (1, "new", "similarity"));
        assert_eq!(known[0].pulled_until.unwrap().to_string(), "2026-11-21T21:55:15.956335Z");
    }
}
