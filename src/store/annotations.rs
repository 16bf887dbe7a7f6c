//! What people said, under which names, and what it comes to.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params};

use super::{Store, Writer, json, parsed_option, to_json};
use crate::error::{Context, ErrorKind, Result};
use crate::record::{Adjudication, Annotation, PairId, TaskId};

const COLUMNS: &str =
    "external_id, pair, annotator, verdict, problems, sts, source_fix, target_fix, lead_time, updated_at,
    ground_truth, task, remote, skipped, preferred";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Annotation> {
    Ok(Annotation {
        external_id: row.get(0)?,
        pair: PairId(row.get(1)?),
        annotator: row.get(2)?,
        verdict: row.get(3)?,
        problems: json(row, 4)?,
        sts: row.get(5)?,
        source_fix: row.get(6)?,
        target_fix: row.get(7)?,
        lead_time: row.get(8)?,
        updated_at: parsed_option(row, 9)?,
        ground_truth: row.get(10)?,
        task: row.get::<_, Option<i64>>(11)?.map(TaskId),
        remote: row.get(12)?,
        skipped: row.get(13)?,
        preferred: row.get::<_, Option<i64>>(14)?.map(PairId),
    })
}

/// What writing an annotation changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    New,
    /// Its older self said something else.
    Changed,
    /// Nothing.
    None,
}

impl Store {
    /// Annotations of a pair, oldest first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn annotations(&self, pair: PairId) -> Result<Vec<Annotation>> {
        self.rows(
            "reading annotations",
            &format!("SELECT {COLUMNS} FROM annotation WHERE pair = ?1 ORDER BY updated_at, external_id"),
            [pair.0],
            from_row,
        )
    }

    /// Walks over all annotations, those of a pair one after the other, oldest first.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_annotation(&self, each: impl FnMut(Annotation) -> Result<()>) -> Result<()> {
        let doing = "walking over annotations";
        let sql = format!("SELECT {COLUMNS} FROM annotation ORDER BY pair, updated_at, external_id");
        self.walk(doing, &sql, [], from_row, each)
    }

    /// Walks over the annotations of a scope: all but those on pairs of another scope. An answer on a pair that is gone
    /// belongs to every scope.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_annotation_in(&self, scope: &str, each: impl FnMut(Annotation) -> Result<()>) -> Result<()> {
        let doing = "walking over annotations";
        let sql = format!(
            "SELECT {COLUMNS} FROM annotation
             WHERE NOT EXISTS (SELECT 1 FROM pair WHERE pair.id = annotation.pair AND pair.scope <> ?1)
             ORDER BY pair, updated_at, external_id"
        );
        self.walk(doing, &sql, [scope], from_row, each)
    }

    /// Hash of all annotations: changes when any of them does.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn annotations_fingerprint(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        self.for_each_annotation(|annotation| {
            let line = serde_json::to_vec(&annotation).context(ErrorKind::Bug, || "hashing an annotation".into())?;
            hasher.update(&line);
            Ok(())
        })?;
        Ok(hasher.finalize().to_hex()[..32].to_owned())
    }

    /// How many annotations there are, and how many of them are of pairs that the workspace does not have.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn annotation_counts(&self) -> Result<(u64, u64)> {
        let all = self.number("counting annotations", "SELECT count(*) FROM annotation", [])?;
        let unknown = self.number(
            "counting annotations of unknown pairs",
            "SELECT count(*) FROM annotation WHERE pair NOT IN (SELECT id FROM pair)",
            [],
        )?;
        Ok((all, unknown))
    }

    /// What people's answers about a pair come to; `None`: nobody was asked, or the answers were not yet weighed.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn adjudication(&self, pair: PairId) -> Result<Option<Adjudication>> {
        self.row(
            "reading an adjudication",
            &format!("SELECT {ADJUDICATION} FROM adjudication WHERE pair = ?1 ORDER BY scope LIMIT 1"),
            [pair.0],
            adjudication,
        )
    }

    /// All adjudications, by pair. Memory: about 150 bytes each.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn adjudications(&self, scope: &str) -> Result<Vec<Adjudication>> {
        self.rows(
            "reading adjudications",
            &format!("SELECT {ADJUDICATION} FROM adjudication WHERE scope = ?1 ORDER BY pair"),
            [scope],
            adjudication,
        )
    }
}

const ADJUDICATION: &str = "pair, verdict, confidence, sts, yes, partly, no, gold, corrected";

fn adjudication(row: &rusqlite::Row<'_>) -> rusqlite::Result<Adjudication> {
    Ok(Adjudication {
        pair: PairId(row.get(0)?),
        verdict: row.get(1)?,
        confidence: row.get(2)?,
        sts: row.get(3)?,
        votes: [row.get(4)?, row.get(5)?, row.get(6)?],
        gold: row.get(7)?,
        corrected: row.get::<_, Option<i64>>(8)?.map(PairId),
    })
}

impl Writer<'_> {
    /// Writes an annotation over its older self.
    ///
    /// An annotation is known by its external id, or, where an export gives none, by its number and pair. A name takes
    /// the place of a number, never the other way round.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_annotation(&self, annotation: &Annotation) -> Result<Change> {
        let known = self.known_annotation(annotation)?;
        let key = known.as_ref().map_or(&annotation.external_id, |(key, _)| key);
        let annotator = match &known {
            Some((_, name)) if is_number(&annotation.annotator) => name,
            _ => &annotation.annotator,
        };
        let changed = self.execute(
            "writing an annotation",
            &format!(
                "INSERT INTO annotation ({COLUMNS})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                 ON CONFLICT (external_id) DO UPDATE SET pair = excluded.pair, annotator = excluded.annotator,
                   verdict = excluded.verdict, problems = excluded.problems, sts = excluded.sts,
                   source_fix = excluded.source_fix, target_fix = excluded.target_fix, lead_time = excluded.lead_time,
                   updated_at = excluded.updated_at, ground_truth = excluded.ground_truth,
                   task = coalesce(excluded.task, task), remote = coalesce(excluded.remote, remote),
                   skipped = excluded.skipped, preferred = excluded.preferred
                 WHERE (pair, annotator, verdict, problems, sts, source_fix, target_fix, lead_time, updated_at,
                     ground_truth, task, remote, skipped, preferred)
                   IS NOT (excluded.pair, excluded.annotator, excluded.verdict, excluded.problems, excluded.sts,
                     excluded.source_fix, excluded.target_fix, excluded.lead_time, excluded.updated_at,
                     excluded.ground_truth, coalesce(excluded.task, task), coalesce(excluded.remote, remote),
                     excluded.skipped, excluded.preferred)"
            ),
            params![
                key,
                annotation.pair.0,
                annotator,
                annotation.verdict,
                to_json(&annotation.problems)?,
                annotation.sts,
                annotation.source_fix,
                annotation.target_fix,
                annotation.lead_time,
                annotation.updated_at.map(super::instant),
                annotation.ground_truth,
                annotation.task.map(|id| id.0),
                annotation.remote,
                annotation.skipped,
                annotation.preferred.map(|id| id.0)
            ],
        )?;
        Ok(match (changed, known) {
            (0, _) => Change::None,
            (_, None) => Change::New,
            (_, Some(_)) => Change::Changed,
        })
    }

    /// The key and the annotator of the annotation as it was written before.
    fn known_annotation(&self, annotation: &Annotation) -> Result<Option<(String, String)>> {
        let doing = || "looking up an annotation".to_owned();
        let by_key = self
            .transaction
            .prepare_cached("SELECT external_id, annotator FROM annotation WHERE external_id = ?1")
            .and_then(|mut statement| {
                statement.query_row([&annotation.external_id], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .context(ErrorKind::Store, doing)?;
        if by_key.is_some() {
            return Ok(by_key);
        }
        let Some(remote) = annotation.remote else { return Ok(None) };
        // Two servers may number alike: only an export without ids of its own is matched by number.
        let without_id = |id: &str| id.starts_with(NUMBERED);
        let by_number: Option<(String, String)> = self
            .transaction
            .prepare_cached("SELECT external_id, annotator FROM annotation WHERE remote = ?1 AND pair = ?2")
            .and_then(|mut statement| {
                statement.query_row([remote, annotation.pair.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .context(ErrorKind::Store, doing)?;
        let Some((key, annotator)) = by_number else { return Ok(None) };
        if without_id(&annotation.external_id) {
            return Ok(Some((key, annotator)));
        }
        if without_id(&key) {
            // Now it has an id.
            self.execute(
                "naming an annotation",
                "UPDATE annotation SET external_id = ?2 WHERE external_id = ?1",
                [&key, &annotation.external_id],
            )?;
            return Ok(Some((annotation.external_id.clone(), annotator)));
        }
        Ok(None)
    }

    /// Notes under which name a number goes, and names what came under the number. A number that has another name
    /// already keeps it: then `false`.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn name_annotator(&self, alias: &str, name: &str) -> Result<bool> {
        let written = self.execute(
            "naming an annotator",
            "INSERT INTO annotator_alias (alias, name) VALUES (?1, ?2)
             ON CONFLICT (alias) DO UPDATE SET name = excluded.name WHERE name = excluded.name",
            [alias, name],
        )?;
        if written > 0 {
            self.execute(
                "naming annotations",
                "UPDATE annotation SET annotator = ?2 WHERE annotator = ?1",
                [alias, name],
            )?;
        }
        Ok(written > 0)
    }

    /// Whether there is such a pair.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn has_pair(&self, pair: PairId) -> Result<bool> {
        self.transaction
            .prepare_cached("SELECT 1 FROM pair WHERE id = ?1")
            .and_then(|mut statement| statement.exists([pair.0]))
            .context(ErrorKind::Store, || "looking up a pair".into())
    }

    /// Names of annotators by the numbers under which some exports know them.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn annotator_aliases(&self) -> Result<BTreeMap<String, String>> {
        let doing = || "reading annotators' names".to_owned();
        let mut statement =
            self.transaction.prepare("SELECT alias, name FROM annotator_alias").context(ErrorKind::Store, doing)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).context(ErrorKind::Store, doing)?;
        rows.collect::<rusqlite::Result<_>>().context(ErrorKind::Store, doing)
    }

    /// Replaces all adjudications.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_adjudications(&self, scope: &str, adjudications: &[Adjudication]) -> Result<()> {
        self.execute("clearing adjudications", "DELETE FROM adjudication WHERE scope = ?1", [scope])?;
        for one in adjudications {
            self.execute(
                "writing an adjudication",
                &format!(
                    "INSERT INTO adjudication ({ADJUDICATION}, scope)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
                ),
                params![
                    one.pair.0,
                    one.verdict,
                    one.confidence,
                    one.sts,
                    one.votes[0],
                    one.votes[1],
                    one.votes[2],
                    one.gold,
                    one.corrected.map(|id| id.0),
                    scope
                ],
            )?;
        }
        Ok(())
    }
}

/// What the id of an annotation begins with whose export gave none of its own.
pub const NUMBERED: &str = "label-studio:";

/// Whether an annotator goes by a number only.
pub fn is_number(annotator: &str) -> bool {
    annotator.strip_prefix("user ").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}
