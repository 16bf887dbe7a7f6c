//! Questions put to people.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, params};

use super::{Store, Writer, json, to_json};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::record::{Interface, PairId, Strategy, Task, TaskId};

pub(super) const COLUMNS: &str =
    "task.id, task.interface, task.pair, task.other, task.strategy, task.control, task.body";

pub(super) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Task> {
    let (interface, strategy): (String, String) = (row.get(1)?, row.get(4)?);
    let unknown = |column, word: &str| {
        super::conversion(column, Error::new(ErrorKind::Store, format!("a task of an unknown kind: {word:?}")))
    };
    Ok(Task {
        id: TaskId(row.get(0)?),
        interface: Interface::from_name(&interface).ok_or_else(|| unknown(1, &interface))?,
        pair: PairId(row.get(2)?),
        other: row.get::<_, Option<i64>>(3)?.map(PairId),
        strategy: Strategy::from_name(&strategy).ok_or_else(|| unknown(4, &strategy))?,
        control: row.get(5)?,
        body: json(row, 6)?,
    })
}

/// Who has answered a question: a person counts once, and passing it by is an answer. An answer that does not name its
/// question is one to those that were asked before it.
const ANSWERS: &str = "(SELECT count(DISTINCT annotator) FROM annotation
    WHERE annotation.task = task.id OR (annotation.task IS NULL AND annotation.pair = task.pair AND annotation.updated_at >= task.asked_at))";

/// Whether the pair of a question is still there: nobody is asked about one that has vanished.
const IS_THERE: &str = "EXISTS (SELECT 1 FROM text_pair WHERE text_pair.id = task.pair AND best IS NOT NULL)";

impl Store {
    /// Questions of a scope (of all when `None`) in an interface that wait for answers of `people` and whose pair still
    /// occurs, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn open_tasks(&self, scope: Option<&str>, interface: Interface, people: u32) -> Result<Vec<TaskId>> {
        self.rows(
            "listing open questions",
            &format!(
                "SELECT id FROM task WHERE (?3 IS NULL OR scope = ?3) AND interface = ?1 AND {IS_THERE} AND {ANSWERS} < ?2
                 ORDER BY id"
            ),
            params![interface.name(), people, scope],
            |row| Ok(TaskId(row.get(0)?)),
        )
    }

    /// Every question of an interface: its id, pair and strategy. Memory: 40 bytes each.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn asked(&self, scope: &str, interface: Interface) -> Result<Vec<(TaskId, PairId, String)>> {
        self.rows(
            "listing questions",
            "SELECT id, pair, strategy FROM task WHERE scope = ?1 AND interface = ?2 ORDER BY id",
            [scope, interface.name()],
            |row| Ok((TaskId(row.get(0)?), PairId(row.get(1)?), row.get(2)?)),
        )
    }

    /// Text pairs of a scope whose first question was chosen by their score.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn asked_by_score(&self, scope: &str) -> Result<std::collections::HashSet<PairId>> {
        let rows = self.rows(
            "listing questions chosen by score",
            "SELECT pair FROM task AS first WHERE scope = ?1 AND strategy IN ('uncertain', 'disagreement')
               AND NOT EXISTS (SELECT 1 FROM task WHERE task.pair = first.pair AND task.asked_at < first.asked_at)",
            [scope],
            |row| Ok(PairId(row.get(0)?)),
        )?;
        Ok(rows.into_iter().collect())
    }

    /// A question.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn task(&self, id: TaskId) -> Result<Option<Task>> {
        self.row("reading a question", &format!("SELECT {COLUMNS} FROM task WHERE id = ?1"), [id.0], from_row)
    }

    /// The first question on a pair in an interface.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn task_on(&self, interface: Interface, pair: PairId) -> Result<Option<Task>> {
        self.row(
            "reading a question",
            &format!("SELECT {COLUMNS} FROM task WHERE interface = ?1 AND pair = ?2 ORDER BY id LIMIT 1"),
            params![interface.name(), pair.0],
            from_row,
        )
    }

    /// The known answers of control items. Memory: 40 bytes each.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn control_answers(&self) -> Result<HashMap<TaskId, String>> {
        let rows =
            self.rows("listing control items", "SELECT id, control FROM task WHERE control IS NOT NULL", [], |row| {
                Ok((TaskId(row.get(0)?), row.get(1)?))
            })?;
        Ok(rows.into_iter().collect())
    }

    /// Walks over the questions of [`open_tasks`](Self::open_tasks), by id.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_open_task(
        &self,
        scope: &str,
        interface: Interface,
        people: u32,
        each: impl FnMut(Task) -> Result<()>,
    ) -> Result<()> {
        let doing = "walking over questions";
        let sql = format!(
            "SELECT {COLUMNS} FROM task WHERE scope = ?3 AND interface = ?1 AND {IS_THERE} AND {ANSWERS} < ?2 ORDER BY id"
        );
        self.walk(doing, &sql, params![interface.name(), people, scope], from_row, each)
    }
}

/// Questions and answers, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PeopleCounts {
    /// Questions ever asked, in all interfaces.
    pub asked: u64,
    /// Those that wait for an answer, of the interface that is asked now; left 0 by [`Store::people_counts`].
    pub waiting: u64,
    /// Annotations.
    pub annotations: u64,
    /// Of them, those of pairs that the workspace does not have.
    pub unknown: u64,
    /// Pairs that people corrected.
    pub corrected: u64,
}

impl Store {
    /// How much was asked, and what came of it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn people_counts(&self) -> Result<PeopleCounts> {
        let (annotations, unknown) = self.annotation_counts()?;
        Ok(PeopleCounts {
            asked: self.number("counting questions", "SELECT count(*) FROM task", [])?,
            waiting: 0,
            annotations,
            unknown,
            corrected: self.number(
                "counting corrections",
                "SELECT count(*) FROM occurrence WHERE origin = 'corrected'",
                [],
            )?,
        })
    }
}

/// A text pair that people could be asked about.
#[derive(Debug, Clone)]
pub struct Askable {
    /// The text pair.
    pub id: PairId,
    /// Where it comes from: how it was found, and the site, collection or import of its source side.
    pub from: String,
    /// Its score, 0 to 1.
    pub score: f32,
    /// Its calibrated probability, 0 to 1; `None`: it has none.
    pub probability: Option<f32>,
    /// Whether a rule on its texts dropped it, and not one on its score or probability.
    pub is_ruled_out: bool,
}

impl Store {
    /// Walks over the text pairs of a scope that people could still decide on, by id: all but duplicates, copies, and those
    /// that people decided on.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_askable(&self, scope: &str, each: impl FnMut(Askable) -> Result<()>) -> Result<()> {
        let doing = "walking over pairs to ask about";
        let sql = "SELECT judgement.pair, judgement.origin || ' ' || judgement.source, judgement.score, value,
                     reason IS NOT NULL AND reason NOT IN ('score', 'probability')
                   FROM judgement LEFT JOIN score ON score.pair = judgement.pair AND scorer = 'probability'
                   WHERE +judgement.scope = ?1
                     AND (reason IS NULL OR reason NOT IN ('annotator', 'near-duplicate', 'identical'))
                   ORDER BY judgement.pair";
        self.walk(doing, sql, [scope], askable, each)
    }
}

fn askable(row: &rusqlite::Row<'_>) -> rusqlite::Result<Askable> {
    Ok(Askable {
        id: PairId(row.get(0)?),
        from: row.get(1)?,
        score: row.get(2)?,
        probability: row.get(3)?,
        is_ruled_out: row.get(4)?,
    })
}

impl Writer<'_> {
    /// What a question asks; `None`: the workspace does not have it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn task_interface(&self, task: TaskId) -> Result<Option<Interface>> {
        let name: Option<String> = self
            .transaction
            .prepare_cached("SELECT interface FROM task WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([task.0], |row| row.get(0)).optional())
            .context(ErrorKind::Store, || "looking up a question".into())?;
        Ok(name.as_deref().and_then(Interface::from_name))
    }

    /// Writes new questions; one that is there already stays as it was asked.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_tasks(&self, scope: &str, tasks: &[Task], now: jiff::Timestamp) -> Result<u64> {
        let mut written = 0;
        for task in tasks {
            written += self.execute(
                "writing a question",
                "INSERT INTO task (id, interface, pair, other, strategy, control, asked_at, body, scope)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
                params![
                    task.id.0,
                    task.interface.name(),
                    task.pair.0,
                    task.other.map(|id| id.0),
                    task.strategy.name(),
                    task.control,
                    super::instant(now),
                    to_json(&task.body)?,
                    scope
                ],
            )? as u64;
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::placements::tests::store;

    #[test]
    fn nobody_is_asked_about_a_pair_that_has_vanished() {
        let (_folder, mut store) = store(2);
        let walked = |store: &Store| {
            let mut walked = Vec::new();
            let each = |task: Task| {
                walked.push(task.id);
                Ok(())
            };
            store.for_each_open_task("ru-tk", Interface::Translation, 1, each).unwrap();
            assert_eq!(walked, store.open_tasks(None, Interface::Translation, 1).unwrap());
            walked
        };
        assert_eq!(walked(&store), [TaskId(1), TaskId(2)]);
        let writer = store.writer().unwrap();
        writer.put_occurrences("ru-tk", "import", "file", &[]).unwrap();
        assert_eq!(writer.task_interface(TaskId(1)).unwrap(), Some(Interface::Translation));
        writer.commit().unwrap();
        assert!(walked(&store).is_empty());
    }
}
