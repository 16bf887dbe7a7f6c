//! Sentences, and the pools of texts that embedding and mining work on.

use rusqlite::params;

use super::{Store, Writer, parsed, parsed_option};
use crate::error::Result;
use crate::record::{DocumentId, Language, Sentence, SentenceId, TextId};

const COLUMNS: &str = r#"id, document, ordinal, block, start, "end", text, text_id, language, language_confidence"#;

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Sentence> {
    Ok(Sentence {
        id: SentenceId(row.get(0)?),
        document: DocumentId(row.get(1)?),
        ordinal: row.get(2)?,
        block: row.get(3)?,
        start: row.get(4)?,
        end: row.get(5)?,
        text: row.get(6)?,
        text_id: TextId(row.get(7)?),
        language: parsed_option(row, 8)?,
        language_confidence: row.get(9)?,
    })
}

/// Codes as a JSON array, for `json_each`.
fn codes(languages: &[Language]) -> Result<String> {
    super::to_json(&languages.iter().map(|language| language.code()).collect::<Vec<_>>())
}

impl Store {
    /// A document's sentences, in order.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn sentences(&self, document: DocumentId) -> Result<Vec<Sentence>> {
        self.rows(
            "reading a document's sentences",
            &format!("SELECT {COLUMNS} FROM sentence WHERE document = ?1 ORDER BY ordinal"),
            [document.0],
            from_row,
        )
    }

    /// One sentence.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn sentence(&self, id: SentenceId) -> Result<Option<Sentence>> {
        self.row("reading a sentence", &format!("SELECT {COLUMNS} FROM sentence WHERE id = ?1"), [id.0], from_row)
    }

    /// Where a text stands: the sentence with the smallest id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn first_sentence(&self, text: TextId) -> Result<Option<Sentence>> {
        self.row(
            "looking up a text",
            &format!("SELECT {COLUMNS} FROM sentence WHERE text_id = ?1 ORDER BY id LIMIT 1"),
            [text.0],
            from_row,
        )
    }

    /// The id of [`Self::first_sentence`], by an index alone.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn first_sentence_id(&self, text: TextId) -> Result<Option<SentenceId>> {
        let sql = "SELECT id FROM sentence WHERE text_id = ?1 ORDER BY id LIMIT 1";
        self.row("looking up a text", sql, [text.0], |row| Ok(SentenceId(row.get(0)?)))
    }

    /// The distinct texts of a language with the first sentence that holds each, by text id. Memory: 16 bytes a text.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pool(&self, language: Language) -> Result<Vec<(TextId, SentenceId)>> {
        self.rows(
            "listing a language's texts",
            "SELECT text_id, min(id) FROM sentence WHERE language = ?1 GROUP BY text_id ORDER BY text_id",
            [language.code()],
            |row| Ok((TextId(row.get(0)?), SentenceId(row.get(1)?))),
        )
    }

    /// Which text each sentence has, in no order. Memory: 16 bytes a sentence.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn sentence_texts(&self) -> Result<Vec<(SentenceId, TextId)>> {
        self.rows("reading sentences' texts", "SELECT id, text_id FROM sentence", [], |row| {
            Ok((SentenceId(row.get(0)?), TextId(row.get(1)?)))
        })
    }

    /// How many distinct texts a pair of languages has.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn text_count(&self, languages: &[Language]) -> Result<u64> {
        self.number(
            "counting texts",
            "SELECT count(DISTINCT text_id) FROM sentence WHERE language IN (SELECT value FROM json_each(?1))",
            [codes(languages)?],
        )
    }

    /// Texts of two languages that a model has not seen yet (it may have no vector for a text that it has seen), at most `limit`, by id, from the one behind `after` on.
    /// A text that occurs in both comes as one of the language whose code is first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn texts_without_vector(
        &self,
        model: &str,
        languages: &[Language],
        after: Option<TextId>,
        limit: usize,
    ) -> Result<Vec<(TextId, Language, String)>> {
        self.rows(
            "listing texts without a vector",
            // By the index on texts, so that a batch costs what it holds and no batch sorts the corpus.
            "SELECT text_id, min(language), min(text) FROM sentence INDEXED BY sentence_text WHERE text_id > ?4
               AND language IN (SELECT value FROM json_each(?2))
               AND NOT EXISTS (SELECT 1 FROM vector WHERE model = ?1 AND vector.text_id = sentence.text_id)
               AND NOT EXISTS (SELECT 1 FROM no_vector WHERE model = ?1 AND no_vector.text_id = sentence.text_id)
             GROUP BY text_id ORDER BY text_id LIMIT ?4",
            params![
                model,
                codes(languages)?,
                i64::try_from(limit).unwrap_or(i64::MAX),
                after.map_or(-1, |text| text.0)
            ],
            |row| Ok((TextId(row.get(0)?), parsed(row, 1)?, row.get(2)?)),
        )
    }

    /// Walks over the distinct texts of two languages, by id, without holding them all.
    ///
    /// # Errors
    /// Kind `Store`, or what `each` answers.
    pub fn for_each_text(&self, languages: &[Language], mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
        use crate::error::{Context as _, ErrorKind};
        let doing = || "walking over texts".to_owned();
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT min(text) FROM sentence WHERE language IN (SELECT value FROM json_each(?1))
                 GROUP BY text_id ORDER BY text_id",
            )
            .context(ErrorKind::Store, doing)?;
        let mut rows = statement.query([codes(languages)?]).context(ErrorKind::Store, doing)?;
        while let Some(row) = rows.next().context(ErrorKind::Store, doing)? {
            let text: String = row.get(0).context(ErrorKind::Store, doing)?;
            each(&text)?;
        }
        Ok(())
    }
}

impl Writer<'_> {
    /// Replaces a document's sentences.
    ///
    /// # Errors
    /// Kind `Store`; a second, different sentence under a known id breaks the primary key and is refused.
    pub fn put_sentences(&self, document: DocumentId, sentences: &[Sentence]) -> Result<()> {
        self.execute("replacing sentences", "DELETE FROM sentence WHERE document = ?1", [document.0])?;
        for sentence in sentences {
            self.execute(
                "writing a sentence",
                r#"INSERT INTO sentence (id, document, ordinal, block, start, "end", text, text_id, language, language_confidence)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"#,
                params![
                    sentence.id.0,
                    document.0,
                    sentence.ordinal,
                    sentence.block,
                    sentence.start,
                    sentence.end,
                    sentence.text,
                    sentence.text_id.0,
                    sentence.language.map(Language::code),
                    sentence.language_confidence
                ],
            )?;
        }
        Ok(())
    }
}
