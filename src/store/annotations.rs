//! What people said, under which names, and what it comes to.

use std::collections::BTreeMap;

use rusqlite::params;

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
    /// Nothing: a later version of it is there.
    Older,
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

    /// Walks over the annotations of a scope's text pairs (of all there are when `None`), those of a text pair one after the other, oldest first.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_annotation(&self, scope: Option<&str>, each: impl FnMut(Annotation) -> Result<()>) -> Result<()> {
        let doing = "walking over annotations";
        let sql = format!(
            "SELECT {COLUMNS} FROM annotation
             WHERE ?1 IS NULL OR (SELECT scope FROM text_pair WHERE text_pair.id = annotation.pair) = ?1
             ORDER BY pair, updated_at, external_id"
        );
        self.walk(doing, &sql, [scope], from_row, each)
    }

    /// Hash of all annotations of a scope's text pairs: changes when any of them does.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn annotations_fingerprint(&self, scope: &str) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        self.for_each_annotation(Some(scope), |annotation| {
            let line = serde_json::to_vec(&annotation).context(ErrorKind::Bug, || "hashing an annotation".into())?;
            hasher.update(&line);
            Ok(())
        })?;
        Ok(hasher.finalize().to_hex()[..32].to_owned())
    }

    /// Hash of the uncorrected text pairs that annotations of a scope correct.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn corrected_fingerprint(&self, scope: &str) -> Result<String> {
        let pairs = self.rows(
            "listing corrected text pairs",
            "SELECT DISTINCT pair FROM annotation JOIN text_pair ON text_pair.id = pair
             WHERE scope = ?1 AND (source_fix IS NOT NULL OR target_fix IS NOT NULL) ORDER BY pair",
            [scope],
            |row| Ok(PairId(row.get(0)?)),
        )?;
        let mut hasher = blake3::Hasher::new();
        for pair in pairs {
            let pair = self.uncorrected_pair(pair)?;
            hasher.update(&serde_json::to_vec(&pair).context(ErrorKind::Bug, || "hashing a text pair".into())?);
        }
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
            "SELECT count(*) FROM annotation WHERE pair NOT IN (SELECT id FROM text_pair)",
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

    /// All adjudications of a scope, by text pair. Memory: about 150 bytes each.
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

    /// Adjudications of a scope's text pairs with ids from `first` to `last`.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn adjudications_between(&self, scope: &str, first: PairId, last: PairId) -> Result<Vec<Adjudication>> {
        self.rows(
            "reading adjudications",
            &format!("SELECT {ADJUDICATION} FROM adjudication WHERE scope = ?1 AND pair BETWEEN ?2 AND ?3"),
            params![scope, first.0, last.0],
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
    /// Writes an annotation, unless a later version of it is there: the one with the later `updated_at` stays (none is
    /// earlier than any), of equals one that does not depend on the order of reading; where both lack it, the one that is
    /// read last. `project` is the project that it was read from, where that is known.
    ///
    /// An annotation is known by its external id, or, where an export gives none, by its number and pair. A name takes
    /// the place of a number, never the other way round.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_annotation(&self, annotation: &Annotation, project: Option<i64>) -> Result<Change> {
        let Some(key) = self.known_annotation(annotation, project)? else {
            let key = self.free_key(annotation, project)?;
            self.write_annotation(&Annotation { external_id: key, ..annotation.clone() }, project)?;
            return Ok(Change::New);
        };
        let (old, old_project) = self.annotation_at(&key)?;
        let new = annotation.clone();
        let is_older = moment(&new) < moment(&old);
        // Where neither says when it was written, only the order of reading is left.
        let is_timed = new.updated_at.is_some() || old.updated_at.is_some();
        let old_stays = is_timed && rank(&new)? < rank(&old)?;
        let (newer, older) = if old_stays { (old.clone(), new) } else { (new, old.clone()) };
        let merged = Annotation {
            external_id: if is_numbered(&annotation.external_id) {
                key.clone()
            } else {
                annotation.external_id.clone()
            },
            task: newer.task.or(older.task),
            remote: newer.remote.or(older.remote),
            annotator: if is_number(&newer.annotator) { older.annotator } else { newer.annotator },
            ..newer
        };
        let merged_project = project.or(old_project);
        if merged == old && merged_project == old_project {
            return Ok(if is_older { Change::Older } else { Change::None });
        }
        self.execute("replacing an annotation", "DELETE FROM annotation WHERE external_id = ?1", [&key])?;
        self.write_annotation(&merged, merged_project)?;
        let says_the_same = Annotation { external_id: old.external_id.clone(), ..merged } == old;
        Ok(if says_the_same { Change::None } else { Change::Changed })
    }

    fn write_annotation(&self, annotation: &Annotation, project: Option<i64>) -> Result<()> {
        self.execute(
            "writing an annotation",
            &format!(
                "INSERT INTO annotation ({COLUMNS}, project)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
            ),
            params![
                annotation.external_id,
                annotation.pair.0,
                annotation.annotator,
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
                annotation.preferred.map(|id| id.0),
                project
            ],
        )?;
        Ok(())
    }

    /// An annotation that is there, and the project that it was read from.
    fn annotation_at(&self, key: &str) -> Result<(Annotation, Option<i64>)> {
        let doing = || "reading an annotation".to_owned();
        self.transaction
            .prepare_cached(&format!("SELECT {COLUMNS}, project FROM annotation WHERE external_id = ?1"))
            .and_then(|mut statement| statement.query_row([key], |row| Ok((from_row(row)?, row.get(15)?))))
            .context(ErrorKind::Store, doing)
    }

    /// The key of the annotation as it was written before.
    fn known_annotation(&self, annotation: &Annotation, project: Option<i64>) -> Result<Option<String>> {
        let doing = || "looking up an annotation".to_owned();
        let without_id = is_numbered(&annotation.external_id);
        if !without_id && self.has_annotation(&annotation.external_id)? {
            return Ok(Some(annotation.external_id.clone()));
        }
        let Some(remote) = annotation.remote else { return Ok(None) };
        // Two servers may number alike: only an annotation without an id of its own is matched by number, and none with
        // one that is known to be of another project.
        let mut statement = self
            .transaction
            .prepare_cached(
                "SELECT external_id FROM annotation
                 WHERE remote = ?1 AND pair = ?2 AND (project IS NULL OR ?3 IS NULL OR project = ?3)
                 ORDER BY project IS NOT ?3, external_id",
            )
            .context(ErrorKind::Store, doing)?;
        let keys: Vec<String> = statement
            .query_map(params![remote, annotation.pair.0, project], |row| row.get(0))
            .and_then(Iterator::collect)
            .context(ErrorKind::Store, doing)?;
        Ok(keys.into_iter().find(|key| without_id || is_numbered(key)))
    }

    fn has_annotation(&self, key: &str) -> Result<bool> {
        self.transaction
            .prepare_cached("SELECT 1 FROM annotation WHERE external_id = ?1")
            .and_then(|mut statement| statement.exists([key]))
            .context(ErrorKind::Store, || "looking up an annotation".into())
    }

    /// The key of a new annotation: its id, or a name that no annotation of another pair or project has.
    fn free_key(&self, annotation: &Annotation, project: Option<i64>) -> Result<String> {
        if !is_numbered(&annotation.external_id) {
            return Ok(annotation.external_id.clone());
        }
        let key = format!("{}:{}", annotation.external_id, annotation.pair);
        Ok(match project {
            Some(project) if self.has_annotation(&key)? => format!("{key}:{project}"),
            _ => key,
        })
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
            .prepare_cached("SELECT 1 FROM text_pair WHERE id = ?1")
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

    /// Replaces the adjudications of a scope. A text pair whose adjudication is new, changed or gone joins the filter's queue.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_adjudications(&self, scope: &str, adjudications: &[Adjudication]) -> Result<()> {
        let doing = || "reading adjudications".to_owned();
        let mut known: BTreeMap<PairId, Adjudication> = self
            .statement(&doing(), &format!("SELECT {ADJUDICATION} FROM adjudication WHERE scope = ?1"))?
            .query_map([scope], adjudication)
            .and_then(|rows| rows.map(|row| row.map(|one| (one.pair, one))).collect())
            .context(ErrorKind::Store, doing)?;
        for one in adjudications {
            if known.remove(&one.pair).is_some_and(|known| known == *one) {
                continue;
            }
            self.execute(
                "writing an adjudication",
                &format!(
                    "INSERT OR REPLACE INTO adjudication ({ADJUDICATION}, scope)
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
            self.mark_stale(one.pair)?;
        }
        for pair in known.into_keys() {
            self.execute("deleting an adjudication", "DELETE FROM adjudication WHERE pair = ?1", [pair.0])?;
            self.mark_stale(pair)?;
        }
        Ok(())
    }
}

/// What the id of an annotation begins with whose export gave none of its own.
pub const NUMBERED: &str = "label-studio:";

/// Whether an annotation goes by its number, since its export gave it no id.
fn is_numbered(external_id: &str) -> bool {
    external_id.starts_with(NUMBERED)
}

/// When a version was written, as the store keeps it: to the microsecond.
fn moment(annotation: &Annotation) -> Option<String> {
    annotation.updated_at.map(super::instant)
}

/// Which of two versions of an annotation stays: the later one; of equals a gold answer, since JSON_MIN does not say
/// which are; else the one whose content is greater as text, whatever was read first.
fn rank(annotation: &Annotation) -> Result<(Option<String>, bool, String)> {
    let content = Annotation {
        annotator: String::new(),
        external_id: String::new(),
        remote: None,
        task: None,
        updated_at: None,
        ..annotation.clone()
    };
    Ok((moment(annotation), annotation.ground_truth, to_json(&content)?))
}

/// Whether an annotator goes by a number only.
pub fn is_number(annotator: &str) -> bool {
    annotator.strip_prefix("user ").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}
