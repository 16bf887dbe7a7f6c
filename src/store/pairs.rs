//! Pairs, and the neighbour lists behind mining.

use rusqlite::params;

use super::{Store, Writer, json, to_json};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{DocumentId, Drop, DropReason, Origin, Pair, PairId, Side, TextId};

const COLUMNS: &str =
    "pair.id, origin, source_document, target_document, source_sentences, target_sentences, source_text,
    target_text, similarity, margin, score, parent";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Pair> {
    let origin: String = row.get(1)?;
    Ok(Pair {
        id: PairId(row.get(0)?),
        origin: Origin::from_name(&origin)
            .ok_or_else(|| super::conversion(1, Error::new(ErrorKind::Store, format!("unknown origin {origin:?}"))))?,
        source: Side {
            document: row.get::<_, Option<i64>>(2)?.map(DocumentId),
            sentences: json(row, 4)?,
            text: row.get(6)?,
        },
        target: Side {
            document: row.get::<_, Option<i64>>(3)?.map(DocumentId),
            sentences: json(row, 5)?,
            text: row.get(7)?,
        },
        similarity: row.get(8)?,
        margin: row.get(9)?,
        score: row.get(10)?,
        parent: row.get::<_, Option<i64>>(11)?.map(PairId),
    })
}

/// A pair as exported: with where it comes from and what the filter said.
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

/// Which pairs to walk over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Pairs that passed the filter.
    Kept,
    /// Pairs that the filter dropped.
    Dropped,
    /// All pairs that the filter has seen.
    All,
}

/// Which way neighbours were looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// A source text's neighbours among the target texts.
    Forward,
    /// A target text's neighbours among the source texts.
    Backward,
}

impl Direction {
    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        }
    }

    /// The other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

/// A text and its nearest neighbours with their cosines, best first.
pub type NeighbourList = (TextId, Vec<(TextId, f32)>);

fn pack(list: &[(TextId, f32)]) -> Vec<u8> {
    list.iter().flat_map(|(text, cosine)| text.0.to_le_bytes().into_iter().chain(cosine.to_le_bytes())).collect()
}

fn unpack(bytes: &[u8]) -> impl ExactSizeIterator<Item = (TextId, f32)> {
    bytes.as_chunks::<12>().0.iter().map(|entry| {
        let (mut id, mut cosine) = ([0; 8], [0; 4]);
        id.copy_from_slice(&entry[..8]);
        cosine.copy_from_slice(&entry[8..]);
        (TextId(i64::from_le_bytes(id)), f32::from_le_bytes(cosine))
    })
}

impl Store {
    /// The pairs that a unit made, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pairs_of(&self, scope: &str, stage: &str, unit: &str) -> Result<Vec<Pair>> {
        self.rows(
            "reading a unit's pairs",
            &format!("SELECT {COLUMNS} FROM pair WHERE scope = ?1 AND stage = ?2 AND unit = ?3 ORDER BY id"),
            [scope, stage, unit],
            from_row,
        )
    }

    /// The source and target sentences of aligned pairs whose score is at least `score`.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn aligned_sentences(
        &self,
        scope: &str,
        score: f32,
    ) -> Result<Vec<(Vec<crate::record::SentenceId>, Vec<crate::record::SentenceId>)>> {
        self.rows(
            "listing aligned sentences",
            "SELECT source_sentences, target_sentences FROM pair
             WHERE scope = ?1 AND origin = 'aligned' AND score >= ?2 ORDER BY id",
            params![scope, score],
            |row| Ok((json(row, 0)?, json(row, 1)?)),
        )
    }

    /// Pairs that an encoder has scored, with a score of at least `score`: the first `limit` by id, which is as good as
    /// drawn by lot, and the same pairs in a store that has grown.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn sure_pairs(&self, scope: &str, score: f32, limit: u32) -> Result<Vec<Pair>> {
        self.rows(
            "listing sure pairs",
            &format!(
                "SELECT {COLUMNS} FROM pair WHERE scope = ?1 AND similarity IS NOT NULL AND margin IS NOT NULL AND score >= ?2
                 ORDER BY id LIMIT ?3"
            ),
            params![scope, score, limit],
            from_row,
        )
    }

    /// Texts that have a neighbour list of a direction under `key`, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn listed_texts(&self, scope: &str, direction: Direction, key: &str) -> Result<Vec<TextId>> {
        self.rows(
            "listing neighbour lists",
            "SELECT text_id FROM neighbours WHERE scope = ?1 AND direction = ?2 AND key = ?3 ORDER BY text_id",
            [scope, direction.name(), key],
            |row| Ok(TextId(row.get(0)?)),
        )
    }

    /// Texts whose list was made under another key.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn stale_lists(&self, scope: &str, direction: Direction, key: &str) -> Result<Vec<TextId>> {
        self.rows(
            "listing stale neighbour lists",
            "SELECT text_id FROM neighbours WHERE scope = ?1 AND direction = ?2 AND key <> ?3 ORDER BY text_id",
            [scope, direction.name(), key],
            |row| Ok(TextId(row.get(0)?)),
        )
    }

    /// Units that made pairs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pair_units(&self, scope: &str) -> Result<Vec<(String, String)>> {
        self.rows(
            "listing units with pairs",
            "SELECT DISTINCT stage, unit FROM pair WHERE scope = ?1 ORDER BY stage, unit",
            [scope],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// One pair with its verdict.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn judged_pair(&self, id: PairId) -> Result<Option<JudgedPair>> {
        self.row("reading a pair", &format!("{} WHERE pair.id = ?1", judged_sql("LEFT")), [id.0], judged_from_row)
    }

    /// The language pair that a pair belongs to.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pair_scope(&self, id: PairId) -> Result<Option<String>> {
        self.row("looking up a pair's scope", "SELECT scope FROM pair WHERE id = ?1", [id.0], |row| row.get(0))
    }

    /// Walks over a scope's judged pairs, best first (score, then id), without holding them all.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_pair(
        &self,
        scope: &str,
        selection: Selection,
        each: impl FnMut(JudgedPair) -> Result<()>,
    ) -> Result<()> {
        let doing = "walking over pairs";
        let condition = match selection {
            Selection::Kept => "AND reason IS NULL",
            Selection::Dropped => "AND reason IS NOT NULL",
            Selection::All => "",
        };
        let sql = format!("{} WHERE pair.scope = ?1 {condition} ORDER BY score DESC, pair.id", judged_sql("INNER"));
        self.walk(doing, &sql, [scope], judged_from_row, each)
    }

    /// Walks over the pairs whose score is nearest to one half, among those kept or dropped for their score.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_uncertain_pair(
        &self,
        scope: &str,
        limit: u64,
        each: impl FnMut(JudgedPair) -> Result<()>,
    ) -> Result<()> {
        let doing = "walking over uncertain pairs";
        let sql = format!(
            "{} WHERE pair.scope = ?1 AND (reason IS NULL OR reason = 'score')
             ORDER BY abs(score - 0.5), pair.id LIMIT ?2",
            judged_sql("INNER")
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.walk(doing, &sql, params![scope, limit], judged_from_row, each)
    }

    /// Pairs for people to look at: `limit` of them from `offset`, ordered by score.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn sample_pairs(&self, condition: SampleOf, limit: u32) -> Result<Vec<JudgedPair>> {
        let tail = match condition {
            SampleOf::Best => "WHERE reason IS NULL ORDER BY score DESC, pair.id LIMIT ?1",
            SampleOf::Borderline => "WHERE reason IS NULL ORDER BY score, pair.id LIMIT ?1",
            // Every reason has its turn.
            SampleOf::Dropped => {
                "WHERE reason IS NOT NULL ORDER BY
                   row_number() OVER (PARTITION BY reason ORDER BY score DESC, pair.id), reason LIMIT ?1"
            }
        };
        self.rows("sampling pairs", &format!("{} {tail}", judged_sql("INNER")), [limit], judged_from_row)
    }

    /// Where a pair is from: the site or shelf of its source document, or the file that brought it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn source_of(&self, pair: PairId) -> Result<Option<String>> {
        self.row(
            "looking up where a pair is from",
            "SELECT coalesce(document.site, pair.unit) FROM pair
             LEFT JOIN document ON document.id = pair.source_document WHERE pair.id = ?1",
            [pair.0],
            |row| row.get(0),
        )
    }

    /// Both texts of a pair, source first.
    ///
    /// # Errors
    /// Kind `Store`; kind `Bug` when there is no such pair.
    pub fn pair_texts(&self, pair: PairId) -> Result<(String, String)> {
        let texts = self.row(
            "reading a pair's texts",
            "SELECT source_text, target_text FROM pair WHERE id = ?1",
            [pair.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        texts.ok_or_else(|| Error::bug(format!("the pair {pair} vanished while it was worked on")))
    }

    /// Which unit made each of some pairs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn owners(&self, pairs: impl Iterator<Item = PairId>) -> Result<Vec<(PairId, (String, String))>> {
        let mut owners = Vec::new();
        for pair in pairs {
            let owner =
                self.row("looking up a pair's unit", "SELECT stage, unit FROM pair WHERE id = ?1", [pair.0], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            owners.extend(owner.map(|owner| (pair, owner)));
        }
        Ok(owners)
    }

    /// The neighbour list of a text, if there is one under `key`; without the spare ones.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn neighbour_list(
        &self,
        scope: &str,
        direction: Direction,
        key: &str,
        text: TextId,
    ) -> Result<Option<Vec<(TextId, f32)>>> {
        self.row(
            "reading a neighbour list",
            "SELECT list FROM neighbours WHERE scope = ?1 AND direction = ?2 AND text_id = ?3 AND key = ?4",
            params![scope, direction.name(), text.0, key],
            |row| Ok(unpack(&row.get::<_, Vec<u8>>(0)?).collect()),
        )
    }

    /// All neighbour lists of a direction made under `key`, by text id, with the spare ones at their ends.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn neighbour_lists(&self, scope: &str, direction: Direction, key: &str) -> Result<NeighbourLists> {
        let mut lists = NeighbourLists::default();
        let blob = |row: &rusqlite::Row<'_>, column: usize, to: &mut Vec<u8>| -> rusqlite::Result<()> {
            to.extend(row.get_ref(column)?.as_blob().map_err(|error| super::conversion(column, error))?);
            Ok(())
        };
        self.walk(
            "reading neighbour lists",
            "SELECT text_id, list, spare FROM neighbours WHERE scope = ?1 AND direction = ?2 AND key = ?3 ORDER BY text_id",
            [scope, direction.name(), key],
            |row| {
                lists.texts.push(TextId(row.get(0)?));
                blob(row, 1, &mut lists.bytes)?;
                blob(row, 2, &mut lists.bytes)?;
                lists.ends.push(lists.bytes.len());
                Ok(())
            },
            Ok,
        )?;
        Ok(lists)
    }
}

/// Many neighbour lists as they are stored. Memory: 12 bytes a neighbour and 16 a list.
#[derive(Debug, Default)]
pub struct NeighbourLists {
    /// Whose they are, by id.
    pub texts: Vec<TextId>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl NeighbourLists {
    /// The neighbours of one of the texts, by its number, and their cosines; best first.
    pub fn list(&self, number: usize) -> impl ExactSizeIterator<Item = (TextId, f32)> {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        unpack(&self.bytes[start..self.ends[number]])
    }
}

/// Which pairs [`Store::sample_pairs`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleOf {
    /// The kept pairs with the highest scores.
    Best,
    /// The kept pairs with the lowest scores.
    Borderline,
    /// Dropped pairs, some of every reason, the highest scores first.
    Dropped,
}

fn judged_sql(join: &str) -> String {
    format!(
        "SELECT {COLUMNS}, judgement.reason, coalesce(judgement.detail, ''), source.location, target.location FROM pair
         {join} JOIN judgement ON judgement.pair = pair.id
         LEFT JOIN document AS source ON source.id = pair.source_document
         LEFT JOIN document AS target ON target.id = pair.target_document"
    )
}

fn judged_from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<JudgedPair> {
    let reason: Option<String> = row.get(12)?;
    let detail = row.get(13)?;
    Ok(JudgedPair {
        pair: from_row(row)?,
        drop: reason.as_deref().and_then(DropReason::from_name).map(|reason| Drop { reason, detail }),
        source_location: row.get(14)?,
        target_location: row.get(15)?,
    })
}

impl Writer<'_> {
    /// Replaces the pairs that a unit made. One that it made before keeps its row, and with it its verdict: the filter
    /// runs again only when the unit's output differs.
    ///
    /// # Errors
    /// Kind `Store`; kind `Bug` when another unit has made a pair of the same id.
    pub fn put_pairs(&self, scope: &str, stage: &str, unit: &str, pairs: &[Pair]) -> Result<()> {
        let ids: Vec<i64> = pairs.iter().map(|pair| pair.id.0).collect();
        self.execute(
            "replacing a unit's pairs",
            "DELETE FROM pair WHERE scope = ?1 AND stage = ?2 AND unit = ?3 AND id NOT IN (SELECT value FROM json_each(?4))",
            params![scope, stage, unit, to_json(&ids)?],
        )?;
        for pair in pairs {
            let written = self.execute(
                "writing a pair",
                "INSERT INTO pair (id, stage, unit, origin, source_document, target_document, source_sentences,
                   target_sentences, source_text, target_text, similarity, margin, score, parent, scope)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                 ON CONFLICT (id) DO UPDATE SET source_document = excluded.source_document,
                   target_document = excluded.target_document, source_sentences = excluded.source_sentences,
                   target_sentences = excluded.target_sentences, source_text = excluded.source_text,
                   target_text = excluded.target_text, similarity = excluded.similarity, margin = excluded.margin,
                   score = excluded.score, parent = excluded.parent
                 WHERE scope = excluded.scope AND stage = excluded.stage AND unit = excluded.unit",
                params![
                    pair.id.0,
                    stage,
                    unit,
                    pair.origin.name(),
                    pair.source.document.map(|id| id.0),
                    pair.target.document.map(|id| id.0),
                    to_json(&pair.source.sentences)?,
                    to_json(&pair.target.sentences)?,
                    pair.source.text,
                    pair.target.text,
                    pair.similarity,
                    pair.margin,
                    pair.score,
                    pair.parent.map(|id| id.0),
                    scope
                ],
            )?;
            if written == 0 {
                return Err(Error::new(
                    ErrorKind::Bug,
                    format!("the pair {} of {stage} {unit} belongs to another unit", pair.id),
                ));
            }
        }
        Ok(())
    }

    /// Writes neighbour lists; what is behind the first `k` is spare.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_neighbours(
        &self,
        scope: &str,
        direction: Direction,
        key: &str,
        k: usize,
        lists: &[NeighbourList],
    ) -> Result<()> {
        for (text, list) in lists {
            let (list, spare) = list.split_at(k.min(list.len()));
            self.execute(
                "writing neighbours",
                "INSERT INTO neighbours (scope, direction, text_id, key, list, spare) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (scope, direction, text_id) DO UPDATE SET key = excluded.key, list = excluded.list,
                   spare = excluded.spare",
                params![scope, direction.name(), text.0, key, pack(list), pack(spare)],
            )?;
        }
        Ok(())
    }

    /// Deletes neighbour lists.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn delete_neighbours(&self, scope: &str, direction: Direction, texts: &[TextId]) -> Result<()> {
        for text in texts {
            self.execute(
                "deleting neighbours",
                "DELETE FROM neighbours WHERE scope = ?1 AND direction = ?2 AND text_id = ?3",
                params![scope, direction.name(), text.0],
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbour_lists_survive_packing() {
        let list = vec![(TextId(7), 0.25), (TextId(i64::MAX), -1.0)];
        assert_eq!(unpack(&pack(&list)).collect::<Vec<_>>(), list);
    }
}
