//! Reading text pairs: at their best occurrence, with what was decided on them.

use rusqlite::params;

use super::occurrences::Stale;
use super::{Store, json};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{DocumentId, Drop, DropReason, Features, Origin, Pair, PairId, Scores, SentenceId, Side};

/// Columns of a pair at its best occurrence, from [`PAIRS`].
const COLUMNS: &str =
    "text_pair.id, occurrence.origin, source_document, target_document, source_sentences, target_sentences,
    text_pair.source_text, text_pair.target_text, scores, occurrence.score, parent";

/// Text pairs that occur somewhere, at their best occurrence.
const PAIRS: &str = "text_pair JOIN occurrence ON occurrence.id = best";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Pair> {
    let origin: String = row.get(1)?;
    Ok(Pair {
        id: PairId(row.get(0)?),
        origin: Origin::from_name(&origin)
            .ok_or_else(|| super::conversion(1, Error::new(ErrorKind::Store, format!("unknown origin {origin:?}"))))?,
        source: Side { document: document(row, 2)?, sentences: json(row, 4)?, text: row.get(6)? },
        target: Side { document: document(row, 3)?, sentences: json(row, 5)?, text: row.get(7)? },
        scores: json(row, 8)?,
        score: row.get(9)?,
        parent: row.get::<_, Option<i64>>(10)?.map(PairId),
    })
}

fn document(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<DocumentId>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(DocumentId))
}

/// A column of sentence ids, as they are written: `["s0123456789abcdef"]`. Read without a JSON parser, which takes most of
/// the time of a scan.
fn sentence_ids(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Vec<SentenceId>> {
    let text = row.get_ref(column)?.as_str().map_err(|error| super::conversion(column, error))?;
    let inside = text.trim_matches(['[', ']']);
    let ids = inside.split(',').filter(|id| !id.is_empty());
    ids.map(|id| id.trim_matches('"').parse().map_err(|error: Error| super::conversion(column, error))).collect()
}

/// A pair as exported: where it occurs and what was decided on it.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedPair {
    /// The pair.
    pub pair: Pair,
    /// Why it was dropped; `None`: kept.
    pub drop: Option<Drop>,
    /// URL or book path of the source side.
    pub source_location: Option<String>,
    /// URL or book path of the target side.
    pub target_location: Option<String>,
}

/// Which text pairs to walk over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Text pairs that passed the filter.
    Kept,
    /// Text pairs that the filter dropped.
    Dropped,
    /// All text pairs that the filter has seen.
    All,
}

impl Selection {
    fn condition(self) -> &'static str {
        match self {
            Self::Kept => "judgement.reason IS NULL",
            Self::Dropped => "judgement.reason IS NOT NULL",
            Self::All => "TRUE",
        }
    }
}

/// A kept text pair as training data needs it; arrays are source and target.
#[derive(Debug, Clone)]
pub struct KeptText {
    /// Its id.
    pub id: PairId,
    /// Its texts.
    pub texts: [String; 2],
    /// The documents of its best occurrence; `None`: bare text.
    pub documents: [Option<DocumentId>; 2],
    /// The text pair that it corrects.
    pub parent: Option<PairId>,
    /// Its split; `None`: it is part of no dataset.
    pub split: Option<String>,
    /// The site, collection or import that it is from.
    pub from: String,
    /// URLs or book paths of the documents.
    pub locations: [Option<String>; 2],
}

/// A text pair in the filter's queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its id.
    pub id: PairId,
    /// Why it is there.
    pub stale: Stale,
    /// At its best occurrence; `None`: no occurrence is left.
    pub pair: Option<Pair>,
    /// The site, collection or import of its best occurrence; empty where there is none.
    pub source: String,
    /// What was measured of it, and the key under which it was.
    pub features: Option<(i64, Features)>,
    /// What was decided last: the reason of a drop and its detail; `None`: nothing yet.
    pub verdict: Option<(Option<String>, String)>,
}

/// Where a text pair occurs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Occurrence {
    /// The stage that made it.
    pub stage: String,
    /// The unit of the stage.
    pub unit: String,
    /// How it was found.
    pub origin: Origin,
    /// The confidence of what found it, 0 to 1.
    pub score: f32,
    /// URL or book path of the source side; `None`: bare text.
    pub source_location: Option<String>,
    /// URL or book path of the target side; `None`: bare text.
    pub target_location: Option<String>,
}

fn judged_sql() -> String {
    format!(
        "SELECT {COLUMNS}, judgement.reason, judgement.detail, source.location, target.location
         FROM {PAIRS} JOIN judgement ON judgement.pair = text_pair.id
         LEFT JOIN document AS source ON source.id = source_document
         LEFT JOIN document AS target ON target.id = target_document"
    )
}

fn judged(row: &rusqlite::Row<'_>) -> rusqlite::Result<JudgedPair> {
    let reason: Option<String> = row.get(11)?;
    let detail: Option<String> = row.get(12)?;
    let reason = reason
        .map(|name| {
            DropReason::from_name(&name)
                .ok_or_else(|| super::conversion(11, Error::new(ErrorKind::Store, format!("unknown reason {name:?}"))))
        })
        .transpose()?;
    Ok(JudgedPair {
        pair: from_row(row)?,
        drop: reason.map(|reason| Drop { reason, detail: detail.unwrap_or_default() }),
        source_location: row.get(13)?,
        target_location: row.get(14)?,
    })
}

impl Store {
    /// A text pair at its best occurrence; `None`: no occurrence is left, or there never was one.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pair(&self, id: PairId) -> Result<Option<Pair>> {
        let sql = format!("SELECT {COLUMNS} FROM {PAIRS} WHERE text_pair.id = ?1");
        self.row("reading a text pair", &sql, [id.0], from_row)
    }

    /// Both texts of a text pair, whether it still occurs or not; `None`: it is unknown.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn texts(&self, pair: PairId) -> Result<Option<(String, String)>> {
        let sql = "SELECT source_text, target_text FROM text_pair WHERE id = ?1";
        self.row("reading a text pair's texts", sql, [pair.0], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The scope of a text pair; `None`: it is unknown.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn scope_of(&self, pair: PairId) -> Result<Option<String>> {
        self.row("reading a text pair's scope", "SELECT scope FROM text_pair WHERE id = ?1", [pair.0], |row| row.get(0))
    }

    /// Where a text pair occurs, best first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn occurrences(&self, id: PairId) -> Result<Vec<Occurrence>> {
        self.rows(
            "listing occurrences",
            "SELECT stage, unit, origin, score, source.location, target.location
             FROM occurrence JOIN producer ON producer.id = producer
             LEFT JOIN document AS source ON source.id = source_document
             LEFT JOIN document AS target ON target.id = target_document
             WHERE pair = ?1 ORDER BY origin = 'corrected' DESC, score DESC, occurrence.id",
            [id.0],
            |row| {
                let origin: String = row.get(2)?;
                let unknown = || Error::new(ErrorKind::Store, format!("unknown origin {origin:?}"));
                Ok(Occurrence {
                    stage: row.get(0)?,
                    unit: row.get(1)?,
                    origin: Origin::from_name(&origin).ok_or_else(|| super::conversion(2, unknown()))?,
                    score: row.get(3)?,
                    source_location: row.get(4)?,
                    target_location: row.get(5)?,
                })
            },
        )
    }

    /// The split of a text pair; `None`: it is part of no dataset.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn split(&self, id: PairId) -> Result<Option<String>> {
        let split =
            self.row("reading a split", "SELECT split FROM text_pair WHERE id = ?1", [id.0], |row| row.get(0))?;
        Ok(split.flatten())
    }

    /// In how many documents each side of a text pair stands, in the sentences of its best occurrence; the greater number.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn frequency(&self, pair: &Pair) -> Result<u64> {
        let mut most = 0;
        for sentence in [&pair.source, &pair.target].into_iter().filter_map(|side| match side.sentences.as_slice() {
            [only] => Some(only),
            _ => None,
        }) {
            let sql = "SELECT count(DISTINCT document) FROM sentence
                       WHERE text_id = (SELECT text_id FROM sentence WHERE id = ?1)";
            most = most.max(self.number("counting the documents of a text", sql, [sentence.0])?);
        }
        Ok(most)
    }

    /// The documents of all occurrences of a text pair, each once, in order of their ids.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn documents_of_pair(&self, id: PairId) -> Result<Vec<DocumentId>> {
        self.rows(
            "reading the documents of a text pair",
            "SELECT source_document FROM occurrence WHERE pair = ?1 AND source_document IS NOT NULL
             UNION SELECT target_document FROM occurrence WHERE pair = ?1 AND target_document IS NOT NULL ORDER BY 1",
            [id.0],
            |row| row.get(0).map(DocumentId),
        )
    }

    /// One text pair with what was decided on it; `None`: it does not occur, or nothing was decided yet.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn judged_pair(&self, id: PairId) -> Result<Option<JudgedPair>> {
        self.row("reading a text pair", &format!("{} WHERE text_pair.id = ?1", judged_sql()), [id.0], judged)
    }

    /// Walks over judged text pairs of a scope, best first (score as files print it, then id), without holding them.
    /// SQLite sorts them in a temporary file.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_pair(
        &self,
        scope: &str,
        selection: Selection,
        each: impl FnMut(JudgedPair) -> Result<()>,
    ) -> Result<()> {
        let sql = format!(
            "{} WHERE judgement.scope = ?1 AND {} ORDER BY judgement.rank DESC, text_pair.id",
            judged_sql(),
            selection.condition()
        );
        self.walk("walking over text pairs", &sql, [scope], judged, each)
    }

    /// Walks over the text pairs whose score is nearest to one half, among those kept or dropped for their score.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_uncertain_pair(
        &self,
        scope: &str,
        limit: u64,
        each: impl FnMut(JudgedPair) -> Result<()>,
    ) -> Result<()> {
        let sql = format!(
            "{} WHERE judgement.scope = ?1 AND (judgement.reason IS NULL OR judgement.reason = 'score')
             ORDER BY abs(judgement.score - 0.5), text_pair.id LIMIT ?2",
            judged_sql()
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.walk("walking over uncertain text pairs", &sql, params![scope, limit], judged, each)
    }

    /// Text pairs of a scope that an encoder has scored, with a score of at least `score`: the first `limit` by id, which
    /// is as good as random, and the same pairs in a store that has grown.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn sure_pairs(&self, scope: &str, score: f32, limit: u32) -> Result<Vec<Pair>> {
        self.rows(
            "listing sure text pairs",
            &format!(
                "SELECT {COLUMNS} FROM {PAIRS} WHERE text_pair.scope = ?1 AND occurrence.origin IN ('aligned', 'mined')
                   AND occurrence.score >= ?2 ORDER BY text_pair.id LIMIT ?3"
            ),
            params![scope, score, limit],
            from_row,
        )
    }

    /// Walks over the source and target sentences of a scope's aligned occurrences whose score is at least `score`, in no
    /// order: one sequential scan of the occurrences.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_aligned(
        &self,
        scope: &str,
        score: f32,
        each: impl FnMut((Vec<SentenceId>, Vec<SentenceId>)) -> Result<()>,
    ) -> Result<()> {
        let producers = self.rows("listing producers", "SELECT id FROM producer WHERE scope = ?1", [scope], |row| {
            row.get::<_, i64>(0)
        })?;
        let producers: std::collections::HashSet<i64> = producers.into_iter().collect();
        let mut each = each;
        self.walk(
            "listing aligned sentences",
            "SELECT producer, source_sentences, target_sentences FROM occurrence NOT INDEXED
             WHERE origin = 'aligned' AND score >= ?1",
            [score],
            |row| {
                let own = producers.contains(&row.get(0)?);
                Ok(if own { Some((sentence_ids(row, 1)?, sentence_ids(row, 2)?)) } else { None })
            },
            |found| found.map_or(Ok(()), &mut each),
        )
    }

    /// Walks over the kept text pairs of a scope, by id, with what training data needs of them: one sequential scan of the
    /// verdicts and texts, and three look-ups a text pair.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_kept(&self, scope: &str, each: impl FnMut(KeptText) -> Result<()>) -> Result<()> {
        self.walk(
            "walking over kept text pairs",
            "SELECT verdict.pair, text_pair.source_text, text_pair.target_text, source_document, target_document, parent,
               split, verdict.source, source.location, target.location
             FROM verdict NOT INDEXED CROSS JOIN text_pair ON text_pair.id = verdict.pair
             CROSS JOIN occurrence ON occurrence.id = best
             LEFT JOIN near_duplicate ON near_duplicate.pair = verdict.pair
             LEFT JOIN document AS source ON source.id = source_document
             LEFT JOIN document AS target ON target.id = target_document
             WHERE verdict.scope = ?1 AND reason IS NULL AND of IS NULL ORDER BY verdict.pair",
            [scope],
            |row| {
                Ok(KeptText {
                    id: PairId(row.get(0)?),
                    texts: [row.get(1)?, row.get(2)?],
                    documents: [document(row, 3)?, document(row, 4)?],
                    parent: row.get::<_, Option<i64>>(5)?.map(PairId),
                    split: row.get(6)?,
                    from: row.get(7)?,
                    locations: [row.get(8)?, row.get(9)?],
                })
            },
            each,
        )
    }

    /// A text pair as it stands without corrections of its writing: at its best occurrence that is none; where no such
    /// occurrence is left, its texts alone. `None`: it is unknown.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn uncorrected_pair(&self, id: PairId) -> Result<Option<Pair>> {
        let sql = "SELECT text_pair.id, origin, source_document, target_document, source_sentences, target_sentences,
                     coalesce(occurrence.source_text, text_pair.source_text),
                     coalesce(occurrence.target_text, text_pair.target_text), scores, score, parent
                   FROM text_pair JOIN occurrence ON occurrence.pair = text_pair.id
                   WHERE text_pair.id = ?1 AND origin <> 'corrected' ORDER BY score DESC, occurrence.id LIMIT 1";
        let found = self.row("reading an uncorrected text pair", sql, [id.0], from_row)?;
        if found.is_some() {
            return Ok(found);
        }
        let side = |text| Side { document: None, sentences: Vec::new(), text };
        Ok(self.texts(id)?.map(|(source, target)| Pair {
            id,
            source: side(source),
            target: side(target),
            origin: Origin::Imported,
            scores: Scores::default(),
            score: 1.0,
            parent: None,
        }))
    }

    /// The site, collection or import that a judged text pair is from.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn source_of(&self, pair: PairId) -> Result<Option<String>> {
        self.row("looking up a pair's source", "SELECT source FROM verdict WHERE pair = ?1", [pair.0], |row| row.get(0))
    }

    /// How many text pairs wait for the filter.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn stale_count(&self, scope: &str) -> Result<u64> {
        let sql = "SELECT count(*) FROM text_pair WHERE scope = ?1 AND stale <> 0";
        self.number("counting queued text pairs", sql, [scope])
    }

    /// The next text pairs that wait for the filter, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn stale_pairs(&self, scope: &str, limit: usize) -> Result<Vec<Queued>> {
        let sql = format!(
            "SELECT {COLUMNS}, stale, coalesce(document.site, producer.unit, ''), pair_features.key, features,
               verdict.reason, verdict.detail, text_pair.id
             FROM text_pair LEFT JOIN occurrence ON occurrence.id = best LEFT JOIN producer ON producer.id = producer
             LEFT JOIN document ON document.id = source_document
             LEFT JOIN pair_features ON pair_features.pair = text_pair.id
             LEFT JOIN verdict ON verdict.pair = text_pair.id
             WHERE text_pair.scope = ?1 AND stale <> 0 ORDER BY text_pair.id LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows("reading queued text pairs", &sql, params![scope, limit], |row| {
            let occurs = row.get_ref(1)? != rusqlite::types::ValueRef::Null;
            let features: Option<i64> = row.get(13)?;
            let detail: Option<String> = row.get(16)?;
            Ok(Queued {
                id: PairId(row.get(17)?),
                stale: Stale::from_code(row.get(11)?),
                pair: if occurs { Some(from_row(row)?) } else { None },
                source: row.get(12)?,
                features: match features {
                    Some(key) => Some((key, json(row, 14)?)),
                    None => None,
                },
                verdict: match detail {
                    Some(detail) => Some((row.get(15)?, detail)),
                    None => None,
                },
            })
        })
    }

    /// The newest stamp of what the filter decided in a scope; 0: nothing was. It changes when any verdict, or the best
    /// occurrence of any text pair, does.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn verdict_stamp(&self, scope: &str) -> Result<u64> {
        self.number("reading the newest verdict", "SELECT max(stamp) FROM verdict WHERE scope = ?1", [scope])
    }

    /// The newest stamp of verdicts and near duplicates together, those that were deleted included.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn judgement_stamp(&self, scope: &str) -> Result<u64> {
        let near = "SELECT max(stamp) FROM near_duplicate WHERE scope = ?1";
        let newest = self.verdict_stamp(scope)?.max(self.number("reading the newest near duplicate", near, [scope])?);
        Ok(newest.max(self.pruned_stamp()?))
    }

    /// The stamp at which text pairs were last deleted; 0: never.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pruned_stamp(&self) -> Result<u64> {
        self.number("reading when text pairs were deleted", "SELECT pruned FROM clock", [])
    }

    /// Text pairs of a scope on which anything changed after a stamp, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn changed_pairs(&self, scope: &str, since: u64) -> Result<Vec<PairId>> {
        self.rows(
            "listing changed text pairs",
            "SELECT pair FROM verdict WHERE scope = ?1 AND stamp > ?2
             UNION SELECT pair FROM near_duplicate WHERE scope = ?1 AND stamp > ?2 ORDER BY 1",
            params![scope, since],
            |row| Ok(PairId(row.get(0)?)),
        )
    }
}
