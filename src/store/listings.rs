//! Which answers a server had when it was asked, so that what people took back there stays taken back.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Writer, instant, to_json};
use crate::error::{Context as _, ErrorKind, Result};
use crate::record::{Annotation, TaskId};

impl Writer<'_> {
    /// Keeps which annotations (by number) a task of a project had at a moment, and takes away those that it no longer
    /// has. `at` is the task's last change by the server's clock; without it nothing is kept for later. Answers how many
    /// were taken away. An answer whose project is not known stays: numbers alone do not say where it was given.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_listing(&self, project: i64, task: TaskId, at: Option<Timestamp>, numbers: &[i64]) -> Result<u64> {
        let (at, numbers) = (at.map(instant), to_json(&numbers)?);
        if let Some(at) = &at {
            self.execute(
                "keeping a task's answers",
                "INSERT OR REPLACE INTO listing (project, task, at, numbers) VALUES (?1, ?2, ?3, ?4)",
                params![project, task.0, at, numbers],
            )?;
        }
        let taken = self.execute(
            "taking answers back",
            "DELETE FROM annotation WHERE task = ?2 AND project = ?1 AND remote IS NOT NULL
               AND (?3 IS NULL OR updated_at IS NULL OR updated_at <= ?3)
               AND remote NOT IN (SELECT value FROM json_each(?4))",
            params![project, task.0, at, numbers],
        )?;
        Ok(taken as u64)
    }

    /// Whether an annotation of a project had been taken back there when its task was last pulled.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn is_withdrawn(&self, project: i64, annotation: &Annotation) -> Result<bool> {
        let (Some(task), Some(remote)) = (annotation.task, annotation.remote) else { return Ok(false) };
        self.transaction
            .prepare_cached(
                "SELECT 1 FROM listing WHERE project = ?1 AND task = ?2 AND (?3 IS NULL OR ?3 <= at)
                   AND ?4 NOT IN (SELECT value FROM json_each(numbers))",
            )
            .and_then(|mut statement| {
                statement.exists(params![project, task.0, annotation.updated_at.map(instant), remote])
            })
            .context(ErrorKind::Store, || "looking up a task's answers".into())
    }

    /// The one project in which a question has this number; `None`: there is none, or there are several.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn project_of(&self, task: TaskId, number: i64) -> Result<Option<i64>> {
        let found: Option<(i64, i64)> = self
            .transaction
            .prepare_cached(
                "SELECT min(project), count(*) FROM placement WHERE task = ?1 AND remote = ?2 HAVING count(*) > 0",
            )
            .and_then(|mut statement| {
                statement.query_row(params![task.0, number], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .context(ErrorKind::Store, || "looking up a task's project".into())?;
        Ok(found.filter(|(_, count)| *count == 1).map(|(project, _)| project))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PairId;
    use crate::store::placements::tests::{answer, store};

    fn at(minute: u32) -> Option<Timestamp> {
        format!("2026-01-01T00:{minute:02}:00Z").parse().ok()
    }

    #[test]
    fn answers_are_taken_back_where_their_project_no_longer_has_them() {
        let (_folder, mut store) = store(3);
        let writer = store.writer().unwrap();
        let project = writer.put_project("http://a.test", 9, "title", "translation").unwrap();
        let other = writer.put_project("http://b.test", 9, "title", "translation").unwrap();
        for (task, of) in [(1, Some(project)), (2, Some(other)), (3, None)] {
            for remote in [Some(10 * task), Some(10 * task + 1), None] {
                writer.put_annotation(&answer(task, remote), of).unwrap();
            }
        }
        let put = |task, numbers: &[i64]| writer.put_listing(project, TaskId(task), at(5), numbers).unwrap();
        assert_eq!(put(1, &[10]), 1, "11 is gone; what has no number stays");
        assert_eq!(put(2, &[]), 0, "they were given in another project");
        assert_eq!(put(3, &[]), 0, "nobody knows where they were given");
        assert_eq!(put(1, &[]), 1);
        let newer = Annotation { updated_at: at(6), ..answer(1, Some(12)) };
        writer.put_annotation(&newer, Some(project)).unwrap();
        assert_eq!(put(1, &[]), 0, "it was given after the listing");
        // Read from a file again.
        let withdrawn = |of, annotation: &Annotation| writer.is_withdrawn(of, annotation).unwrap();
        assert!(withdrawn(project, &answer(1, Some(10))) && !withdrawn(other, &answer(1, Some(10))));
        assert!(withdrawn(project, &Annotation { updated_at: at(5), ..answer(1, Some(10)) }));
        assert!(!withdrawn(project, &newer) && !withdrawn(project, &answer(1, None)));
        put(1, &[10]);
        assert!(!withdrawn(project, &answer(1, Some(10))), "it is there again");
        writer.commit().unwrap();
        let left: Vec<_> = store.annotations(PairId(1)).unwrap().into_iter().map(|answer| answer.remote).collect();
        assert_eq!(left, [None, Some(12)]);
    }

    #[test]
    fn a_number_names_a_project_where_it_is_in_one_alone() {
        let (_folder, mut store) = store(2);
        let writer = store.writer().unwrap();
        let projects: Vec<i64> =
            [1, 2].map(|remote| writer.put_project("http://a.test", remote, "title", "translation").unwrap()).into();
        writer.set_placed(projects[0], TaskId(1), "b", 70).unwrap();
        writer.set_placed(projects[0], TaskId(2), "b", 71).unwrap();
        writer.set_placed(projects[1], TaskId(2), "b", 71).unwrap();
        let of = |task, number| writer.project_of(TaskId(task), number).unwrap();
        assert_eq!((of(1, 70), of(1, 71), of(2, 71)), (Some(projects[0]), None, None));
    }
}
