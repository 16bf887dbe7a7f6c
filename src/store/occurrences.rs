//! Text pairs and where they occur: what the stages that make pairs write.
//!
//! A unit hands over all its occurrences; those that are the same as before are left alone, so that a unit that runs again
//! and says nearly the same costs what changed. Each text pair that gains, loses or changes an occurrence is settled: its
//! best occurrence is chosen anew, and it joins the filter's queue.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{OptionalExtension as _, params};

use super::{Store, Writer, json, to_json};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::record::{OccurrenceId, Pair, PairId, Scores, SentenceId};
use crate::text::dedup::{dedup_hash, dedup_key};

/// An occurrence of one sentence on either side, as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleOccurrence {
    /// Its id.
    pub id: OccurrenceId,
    /// The confidence of what found it, 0 to 1.
    pub score: f32,
    /// What else was measured.
    pub scores: Scores,
}

/// What put a text pair into the filter's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Its best occurrence, texts or adjudication changed.
    Changed,
    /// The rules changed; the pair did not.
    Rules,
}

impl Stale {
    fn code(self) -> i64 {
        match self {
            Self::Changed => 1,
            Self::Rules => 2,
        }
    }

    /// Reads the column.
    pub(super) fn from_code(code: i64) -> Self {
        if code == 2 { Self::Rules } else { Self::Changed }
    }
}

/// The best occurrence first: a correction before what it corrects, then the highest score, then the lowest id.
const BEST_FIRST: &str = "origin = 'corrected' DESC, score DESC, id";

impl Store {
    /// Units that made occurrences of a scope: stage and unit, sorted.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn producers(&self, scope: &str) -> Result<Vec<(String, String)>> {
        self.rows(
            "listing producers",
            "SELECT stage, unit FROM producer WHERE scope = ?1 ORDER BY stage, unit",
            [scope],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Scopes in which a unit made occurrences.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn scopes_of_producer(&self, stage: &str, unit: &str) -> Result<Vec<String>> {
        let sql = "SELECT scope FROM producer WHERE stage = ?1 AND unit = ?2 ORDER BY scope";
        self.rows("listing a producer's scopes", sql, [stage, unit], |row| row.get(0))
    }

    /// Occurrences that a unit made of one sentence on either side, by both sentences.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn single_occurrences(
        &self,
        scope: &str,
        stage: &str,
        unit: &str,
    ) -> Result<HashMap<(SentenceId, SentenceId), SingleOccurrence>> {
        let sql = "SELECT occurrence.id, source_sentences, target_sentences, score, scores
                   FROM occurrence JOIN producer ON producer.id = producer
                   WHERE scope = ?1 AND stage = ?2 AND unit = ?3";
        let rows = self.rows("reading a unit's occurrences", sql, [scope, stage, unit], |row| {
            let (source, target): (Vec<SentenceId>, Vec<SentenceId>) = (json(row, 1)?, json(row, 2)?);
            Ok(match (source.as_slice(), target.as_slice()) {
                ([source], [target]) => {
                    let one =
                        SingleOccurrence { id: OccurrenceId(row.get(0)?), score: row.get(3)?, scores: json(row, 4)? };
                    Some(((*source, *target), one))
                }
                _ => None,
            })
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// How many occurrences a unit made.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn occurrence_count(&self, scope: &str, stage: &str, unit: &str) -> Result<u64> {
        self.number(
            "counting occurrences",
            "SELECT count(*) FROM occurrence JOIN producer ON producer.id = producer
             WHERE scope = ?1 AND stage = ?2 AND unit = ?3",
            [scope, stage, unit],
        )
    }
}

impl Writer<'_> {
    /// Replaces the occurrences that a unit made. Answers how many were new or changed, and how many went.
    ///
    /// Two occurrences of one text pair in the same sentences (or, of bare text, in the same unit) are one: the first.
    ///
    /// # Errors
    /// Kind `Store`; kind `Bug` when two different text pairs have one id.
    pub fn put_occurrences(&self, scope: &str, stage: &str, unit: &str, pairs: &[Pair]) -> Result<(usize, usize)> {
        self.put_occurrences_beside(scope, stage, unit, &[], pairs)
    }

    /// The same, where the unit knows some of its occurrences to stay as they are: `kept`, by id.
    ///
    /// # Errors
    /// As [`Self::put_occurrences`].
    pub fn put_occurrences_beside(
        &self,
        scope: &str,
        stage: &str,
        unit: &str,
        kept: &[OccurrenceId],
        pairs: &[Pair],
    ) -> Result<(usize, usize)> {
        let producer = self.producer(scope, stage, unit)?;
        let mut known = self.known_occurrences(producer)?;
        let mut seen: BTreeSet<OccurrenceId> = kept.iter().copied().collect();
        known.retain(|id, _| !seen.contains(id));
        let (mut touched, mut written) = (BTreeSet::new(), 0);
        for pair in pairs {
            let id = occurrence_id(scope, stage, unit, pair)?;
            if !seen.insert(id) {
                continue;
            }
            let digest = digest(pair)?;
            if known.remove(&id).is_some_and(|(known, _)| known == digest) {
                continue;
            }
            let texts = self.put_text_pair(scope, pair, id)?;
            self.put_occurrence(producer, id, pair, digest, texts.as_ref())?;
            written += 1;
            // A new text pair has this one occurrence, which is its best already.
            if texts.is_some() {
                touched.insert(pair.id);
            }
        }
        let gone = known.len();
        for (id, (_, pair)) in known {
            self.execute("deleting an occurrence", "DELETE FROM occurrence WHERE id = ?1", [id.0])?;
            touched.insert(pair);
        }
        touched.into_iter().try_for_each(|pair| self.settle(pair))?;
        if seen.is_empty() {
            self.execute("deleting a producer", "DELETE FROM producer WHERE id = ?1", [producer])?;
        }
        Ok((written, gone))
    }

    fn producer(&self, scope: &str, stage: &str, unit: &str) -> Result<i64> {
        self.execute(
            "writing a producer",
            "INSERT INTO producer (scope, stage, unit) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            [scope, stage, unit],
        )?;
        let sql = "SELECT id FROM producer WHERE scope = ?1 AND stage = ?2 AND unit = ?3";
        let mut statement = self.statement("reading a producer", sql)?;
        statement
            .query_row([scope, stage, unit], |row| row.get(0))
            .context(ErrorKind::Store, || "reading a producer".into())
    }

    /// Occurrences of a producer by id: digest and text pair.
    fn known_occurrences(&self, producer: i64) -> Result<HashMap<OccurrenceId, (i64, PairId)>> {
        let doing = || "reading a unit's occurrences".to_owned();
        let mut statement = self.statement(&doing(), "SELECT id, digest, pair FROM occurrence WHERE producer = ?1")?;
        let rows = statement
            .query_map([producer], |row| Ok((OccurrenceId(row.get(0)?), (row.get(1)?, PairId(row.get(2)?)))))
            .context(ErrorKind::Store, doing)?;
        rows.collect::<rusqlite::Result<_>>().context(ErrorKind::Store, doing)
    }

    /// Makes the text pair if it is new, with this occurrence as its best; answers the texts of one that is not.
    fn put_text_pair(&self, scope: &str, pair: &Pair, occurrence: OccurrenceId) -> Result<Option<(String, String)>> {
        let written = self.execute(
            "writing a text pair",
            "INSERT INTO text_pair (id, scope, source_text, target_text, source_key, target_key, best, stale)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1) ON CONFLICT (id) DO NOTHING",
            params![
                pair.id.0,
                scope,
                pair.source.text,
                pair.target.text,
                dedup_hash(&pair.source.text),
                dedup_hash(&pair.target.text),
                occurrence.0
            ],
        )?;
        if written > 0 { Ok(None) } else { self.texts_of(pair.id).map(Some) }
    }

    /// Writes an occurrence; `texts` are those of its text pair, where they may differ from the occurrence's own.
    fn put_occurrence(
        &self,
        producer: i64,
        id: OccurrenceId,
        pair: &Pair,
        digest: i64,
        texts: Option<&(String, String)>,
    ) -> Result<()> {
        let differs = match texts {
            Some((source, target)) if *source != pair.source.text || *target != pair.target.text => {
                let key = |source: &str, target: &str| (dedup_key(source), dedup_key(target));
                if key(source, target) != key(&pair.source.text, &pair.target.text) {
                    return Err(Error::bug(format!(
                        "two different text pairs have the id {}: {source:?} – {target:?} and {:?} – {:?}",
                        pair.id, pair.source.text, pair.target.text
                    )));
                }
                true
            }
            _ => false,
        };
        let own = |text: &str| differs.then(|| text.to_owned());
        self.execute(
            "writing an occurrence",
            "INSERT INTO occurrence (id, pair, producer, origin, source_document, target_document, source_sentences,
               target_sentences, source_text, target_text, score, scores, parent, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (id) DO UPDATE SET origin = excluded.origin, source_document = excluded.source_document,
               target_document = excluded.target_document, source_sentences = excluded.source_sentences,
               target_sentences = excluded.target_sentences, source_text = excluded.source_text,
               target_text = excluded.target_text, score = excluded.score, scores = excluded.scores,
               parent = excluded.parent, digest = excluded.digest",
            params![
                id.0,
                pair.id.0,
                producer,
                pair.origin.name(),
                pair.source.document.map(|id| id.0),
                pair.target.document.map(|id| id.0),
                to_json(&pair.source.sentences)?,
                to_json(&pair.target.sentences)?,
                own(&pair.source.text),
                own(&pair.target.text),
                pair.score,
                to_json(&pair.scores)?,
                pair.parent.map(|id| id.0),
                digest
            ],
        )?;
        Ok(())
    }

    fn texts_of(&self, pair: PairId) -> Result<(String, String)> {
        let doing = || format!("reading the text pair {pair}");
        let mut statement = self.statement(&doing(), "SELECT source_text, target_text FROM text_pair WHERE id = ?1")?;
        statement.query_row([pair.0], |row| Ok((row.get(0)?, row.get(1)?))).context(ErrorKind::Store, doing)
    }

    /// Chooses a text pair's best occurrence, gives the pair that occurrence's texts, and puts it into the filter's queue.
    fn settle(&self, pair: PairId) -> Result<()> {
        let doing = || format!("choosing the best occurrence of {pair}");
        let best: Option<(i64, Option<String>, Option<String>)> = self
            .statement(
                &doing(),
                &format!(
                    "SELECT id, source_text, target_text FROM occurrence WHERE pair = ?1 ORDER BY {BEST_FIRST} LIMIT 1"
                ),
            )?
            .query_row([pair.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
            .context(ErrorKind::Store, doing)?;
        if let Some((_, Some(source), Some(target))) = &best {
            self.rename(pair, source, target)?;
        }
        self.execute(
            "choosing the best occurrence",
            "UPDATE text_pair SET best = ?2, stale = 1 WHERE id = ?1",
            params![pair.0, best.map(|(id, ..)| id)],
        )?;
        Ok(())
    }

    /// Gives a text pair the texts of its new best occurrence. Occurrences that have the same texts need none of their own;
    /// those that had the pair's old texts now differ from it.
    fn rename(&self, pair: PairId, source: &str, target: &str) -> Result<()> {
        let (old_source, old_target) = self.texts_of(pair)?;
        self.execute(
            "keeping an occurrence's texts",
            "UPDATE occurrence SET source_text = coalesce(source_text, ?2), target_text = coalesce(target_text, ?3)
             WHERE pair = ?1",
            params![pair.0, old_source, old_target],
        )?;
        self.execute(
            "renaming a text pair",
            "UPDATE text_pair SET source_text = ?2, target_text = ?3 WHERE id = ?1",
            params![pair.0, source, target],
        )?;
        self.execute(
            "dropping an occurrence's texts",
            "UPDATE occurrence SET source_text = NULL, target_text = NULL
             WHERE pair = ?1 AND source_text = ?2 AND target_text = ?3",
            params![pair.0, source, target],
        )?;
        // Numbers are read from the texts as they are written.
        self.execute("dropping a signature", "DELETE FROM signature WHERE pair = ?1", [pair.0])?;
        self.execute("dropping comparisons", "DELETE FROM comparison WHERE pair = ?1 OR other = ?1", [pair.0])?;
        Ok(())
    }

    /// Writes the splits of text pairs that became part of a dataset. One that has a split keeps it.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_splits(&self, splits: &[(PairId, &str)]) -> Result<()> {
        for (pair, split) in splits {
            let sql = "UPDATE text_pair SET split = ?2 WHERE id = ?1 AND split IS NULL";
            self.execute("writing a split", sql, params![pair.0, split])?;
        }
        Ok(())
    }

    /// Puts a text pair into the filter's queue; one that is not there is left out.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn mark_stale(&self, pair: PairId) -> Result<()> {
        self.execute("queueing a text pair", "UPDATE text_pair SET stale = 1 WHERE id = ?1", [pair.0])?;
        Ok(())
    }

    /// Puts all text pairs of a scope into the filter's queue.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn mark_all_stale(&self, scope: &str) -> Result<usize> {
        self.execute(
            "queueing all text pairs",
            "UPDATE text_pair SET stale = ?2 WHERE scope = ?1 AND stale = 0",
            params![scope, Stale::Rules.code()],
        )
    }
}

fn occurrence_id(scope: &str, stage: &str, unit: &str, pair: &Pair) -> Result<OccurrenceId> {
    let (source, target) = (to_json(&pair.source.sentences)?, to_json(&pair.target.sentences)?);
    let own = pair.id.0.to_be_bytes();
    let parts = [scope.as_bytes(), stage.as_bytes(), unit.as_bytes(), &own, source.as_bytes(), target.as_bytes()];
    Ok(OccurrenceId::of(&parts))
}

fn digest(pair: &Pair) -> Result<i64> {
    Ok(OccurrenceId::of(&[to_json(pair)?.as_bytes()]).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Language, Origin, Side};
    use crate::store::open::Access;
    use crate::text::dedup::text_pair_id;

    fn pair(source: &str, target: &str, origin: Origin, score: f32) -> Pair {
        let side = |text: &str| Side { document: None, sentences: Vec::new(), text: text.into() };
        Pair {
            id: text_pair_id((Language::RUSSIAN, source), (Language::TURKMEN, target)),
            source: side(source),
            target: side(target),
            origin,
            scores: Scores::default(),
            score,
            parent: None,
        }
    }

    fn write(store: &mut Store, stage: &str, unit: &str, pairs: &[Pair]) -> (usize, usize) {
        let writer = store.writer().unwrap();
        let changed = writer.put_occurrences("ru-tk", stage, unit, pairs).unwrap();
        writer.commit().unwrap();
        changed
    }

    fn seen(store: &mut Store) {
        let writer = store.writer().unwrap();
        writer.execute("", "UPDATE text_pair SET stale = 0", []).unwrap();
        writer.commit().unwrap();
    }

    #[test]
    fn occurrences_that_a_unit_keeps_stay_and_the_others_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let of = |number: i64, source: &str, target: &str| {
            let mut pair = pair(source, target, Origin::Mined, 0.5);
            (pair.source.sentences, pair.target.sentences) = (vec![SentenceId(number)], vec![SentenceId(number + 100)]);
            pair
        };
        let (first, second, third) = (of(1, "один", "bir"), of(2, "два", "iki"), of(3, "три", "üç"));
        write(&mut store, "mine", "pool", &[first.clone(), second]);
        let known = store.single_occurrences("ru-tk", "mine", "pool").unwrap();
        let kept = &known[&(SentenceId(1), SentenceId(101))];
        assert_eq!((known.len(), kept.score), (2, 0.5));
        seen(&mut store);
        let writer = store.writer().unwrap();
        let changed =
            writer.put_occurrences_beside("ru-tk", "mine", "pool", &[kept.id], std::slice::from_ref(&third)).unwrap();
        writer.commit().unwrap();
        assert_eq!(changed, (1, 1), "the third is new, the second gone");
        assert!(store.pair(first.id).unwrap().is_some() && store.pair(third.id).unwrap().is_some());
        assert_eq!(store.stale_count("ru-tk").unwrap(), 2, "the kept one is not queued");
        let again = write(&mut store, "mine", "pool", &[first, third]);
        assert_eq!(again, (0, 0), "the same as if all had been handed over");
    }

    #[test]
    fn one_text_pair_however_often_it_occurs() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let (low, high) = (pair("Да.", "Hawa.", Origin::Mined, 0.4), pair("да", "hawa!", Origin::Aligned, 0.9));
        assert_eq!(low.id, high.id);
        assert_eq!(write(&mut store, "mine", "pool", std::slice::from_ref(&low)), (1, 0));
        seen(&mut store);
        assert_eq!(write(&mut store, "align", "a-b", std::slice::from_ref(&high)), (1, 0));
        let found = store.pair(low.id).unwrap().unwrap();
        assert_eq!((found.source.text.as_str(), found.origin, found.score), ("да", Origin::Aligned, 0.9));
        assert_eq!(store.stale_count("ru-tk").unwrap(), 1, "a better occurrence is a change");
        seen(&mut store);
        assert_eq!(write(&mut store, "align", "a-b", std::slice::from_ref(&high)), (0, 0), "the same again");
        assert_eq!(store.stale_count("ru-tk").unwrap(), 0);
        // The better occurrence goes: the text pair stays, with the texts of the other one.
        assert_eq!(write(&mut store, "align", "a-b", &[]), (0, 1));
        let found = store.pair(low.id).unwrap().unwrap();
        assert_eq!((found.source.text.as_str(), found.origin), ("Да.", Origin::Mined));
        // All occurrences go: its texts are still known.
        assert_eq!(write(&mut store, "mine", "pool", &[]), (0, 1));
        assert!(store.pair(low.id).unwrap().is_none());
        assert_eq!(store.texts(low.id).unwrap().unwrap(), ("Да.".to_owned(), "Hawa.".to_owned()));
        assert!(store.producers("ru-tk").unwrap().is_empty());
    }

    #[test]
    fn a_correction_of_punctuation_stands_for_its_own_pair() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let old = pair("Да", "Hawa", Origin::Aligned, 0.99);
        let new = Pair { parent: Some(old.id), score: 0.5, ..pair("Да.", "Hawa.", Origin::Corrected, 0.5) };
        write(&mut store, "align", "a-b", std::slice::from_ref(&old));
        write(&mut store, "adjudicate", "answers", std::slice::from_ref(&new));
        let found = store.pair(old.id).unwrap().unwrap();
        assert_eq!((found.source.text.as_str(), found.origin, found.parent), ("Да.", Origin::Corrected, Some(old.id)));
    }

    #[test]
    fn two_units_with_the_same_texts_are_two_occurrences_and_one_unit_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let one = pair("Да", "Hawa", Origin::Imported, 1.0);
        assert_eq!(write(&mut store, "import", "f", &[one.clone(), one.clone()]), (1, 0));
        assert_eq!(write(&mut store, "import", "g", &[one]), (1, 0));
        assert_eq!(store.occurrence_count("ru-tk", "import", "f").unwrap(), 1);
        assert_eq!(write(&mut store, "import", "f", &[]), (0, 1));
        assert_eq!(store.occurrence_count("ru-tk", "import", "g").unwrap(), 1);
    }
}
