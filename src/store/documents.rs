//! Documents and pairs of documents.

use rusqlite::params;

use super::{Store, Writer, json, parsed_option, to_json};
use crate::error::{Error, ErrorKind, Result};
use crate::record::id::hash_parts;
use crate::record::{Document, DocumentId, DocumentKind, DocumentPair, Language};

const COLUMNS: &str =
    "id, location, site, kind, content_hash, language, language_confidence, declared_language, title, date,
    text, blocks, twins, images, twin_key, author, tags, agreement";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        id: DocumentId(row.get(0)?),
        location: row.get(1)?,
        site: row.get(2)?,
        kind: if row.get::<_, String>(3)? == "pdf" { DocumentKind::Pdf } else { DocumentKind::Html },
        content_hash: row.get(4)?,
        language: parsed_option(row, 5)?,
        language_confidence: row.get(6)?,
        declared_language: parsed_option(row, 7)?,
        title: row.get(8)?,
        date: parsed_option(row, 9)?,
        text: row.get(10)?,
        blocks: json(row, 11)?,
        twins: json(row, 12)?,
        images: json(row, 13)?,
        twin_key: row.get(14)?,
        author: row.get(15)?,
        tags: json(row, 16)?,
        agreement: row.get(17)?,
    })
}

fn document_pair(row: &rusqlite::Row<'_>) -> rusqlite::Result<DocumentPair> {
    Ok(DocumentPair {
        source: DocumentId(row.get(0)?),
        target: DocumentId(row.get(1)?),
        score: row.get(2)?,
        evidence: json(row, 3)?,
    })
}

/// What the matching of documents looks at.
#[derive(Debug, Clone)]
pub struct DocumentClaims {
    /// The document.
    pub id: DocumentId,
    /// Its URL or book path.
    pub location: String,
    /// Its language.
    pub language: Language,
    /// Publication time.
    pub date: Option<jiff::Timestamp>,
    /// Twins as claimed.
    pub twins: Vec<crate::record::TwinLink>,
    /// Images.
    pub images: Vec<String>,
    /// Shared id.
    pub twin_key: Option<String>,
}

impl Store {
    /// One document.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn document(&self, id: DocumentId) -> Result<Option<Document>> {
        self.row("reading a document", &format!("SELECT {COLUMNS} FROM document WHERE id = ?1"), [id.0], from_row)
    }

    /// How many documents there are of each language, those of none first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn document_languages(&self) -> Result<Vec<(Option<Language>, u64)>> {
        self.rows(
            "counting languages",
            "SELECT language, count(*) FROM document GROUP BY language ORDER BY language",
            [],
            |row| Ok((parsed_option(row, 0)?, row.get(1)?)),
        )
    }

    /// All documents' ids and fingerprints, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn document_fingerprints(&self) -> Result<Vec<(DocumentId, String)>> {
        self.rows("listing documents", "SELECT id, fingerprint FROM document ORDER BY id", [], |row| {
            Ok((DocumentId(row.get(0)?), row.get(1)?))
        })
    }

    /// The documents in one of two languages: site, id, fingerprint; by site and id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn site_documents(&self, languages: [Language; 2]) -> Result<Vec<(String, DocumentId, String)>> {
        self.rows(
            "listing sites",
            "SELECT site, id, fingerprint FROM document WHERE language IN (?1, ?2) ORDER BY site, id",
            [languages[0].code(), languages[1].code()],
            |row| Ok((row.get(0)?, DocumentId(row.get(1)?), row.get(2)?)),
        )
    }

    /// The pairs of documents, of any scope, that a document takes part in.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pairs_with(&self, document: DocumentId) -> Result<Vec<DocumentPair>> {
        self.rows(
            "listing a document's pairs",
            "SELECT source, target, score, evidence FROM document_pair WHERE source = ?1 OR target = ?1
             ORDER BY source, target",
            [document.0],
            document_pair,
        )
    }

    /// What a site's documents claim, for documents in one of two languages.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn claims(&self, site: &str, languages: [Language; 2]) -> Result<Vec<DocumentClaims>> {
        let rows = self.rows(
            "reading a site's documents",
            "SELECT id, location, language, date, twins, images, twin_key FROM document
             WHERE site = ?1 AND language IN (?2, ?3) ORDER BY id",
            params![site, languages[0].code(), languages[1].code()],
            |row| {
                Ok((
                    parsed_option::<Language>(row, 2)?,
                    DocumentId(row.get(0)?),
                    row.get::<_, String>(1)?,
                    parsed_option(row, 3)?,
                    json(row, 4)?,
                    json(row, 5)?,
                    row.get::<_, Option<String>>(6)?,
                ))
            },
        )?;
        Ok(rows
            .into_iter()
            .filter_map(|(language, id, location, date, twins, images, twin_key)| {
                language.map(|language| DocumentClaims { id, location, language, date, twins, images, twin_key })
            })
            .collect())
    }

    /// The pairs of documents of a scope, by ids.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn document_pairs(&self, scope: &str) -> Result<Vec<DocumentPair>> {
        self.rows(
            "listing document pairs",
            "SELECT source, target, score, evidence FROM document_pair WHERE scope = ?1 ORDER BY source, target",
            [scope],
            document_pair,
        )
    }

    /// Where a document lies.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn location(&self, id: DocumentId) -> Result<Option<String>> {
        self.row("reading a document's place", "SELECT location FROM document WHERE id = ?1", [id.0], |row| row.get(0))
    }
}

impl Writer<'_> {
    /// Writes a document, with its blocks, over its older self.
    ///
    /// # Errors
    /// Kind `Store`; kind `Bug` when the id belongs to another location.
    pub fn put_document(&self, document: &Document) -> Result<()> {
        let fingerprint = fingerprint(document)?;
        // An UPSERT and not a REPLACE: replacing would delete the row first and cascade to pairs of documents.
        let written = self.execute(
            "writing a document",
            "INSERT INTO document (id, location, site, kind, content_hash, language, language_confidence,
               declared_language, title, date, text, blocks, twins, images, twin_key, fingerprint, author, tags,
               agreement)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
             ON CONFLICT (id) DO UPDATE SET site = excluded.site, kind = excluded.kind,
               content_hash = excluded.content_hash, language = excluded.language,
               language_confidence = excluded.language_confidence, declared_language = excluded.declared_language,
               title = excluded.title, date = excluded.date, text = excluded.text, blocks = excluded.blocks,
               twins = excluded.twins, images = excluded.images, twin_key = excluded.twin_key,
               fingerprint = excluded.fingerprint, author = excluded.author, tags = excluded.tags,
               agreement = excluded.agreement
             WHERE location = excluded.location",
            params![
                document.id.0,
                document.location,
                document.site,
                match document.kind {
                    DocumentKind::Html => "html",
                    DocumentKind::Pdf => "pdf",
                },
                document.content_hash,
                document.language.map(Language::code),
                document.language_confidence,
                document.declared_language.map(Language::code),
                document.title,
                document.date.map(super::instant),
                document.text,
                to_json(&document.blocks)?,
                to_json(&document.twins)?,
                to_json(&document.images)?,
                document.twin_key,
                fingerprint,
                document.author,
                to_json(&document.tags)?,
                document.agreement,
            ],
        )?;
        if written == 0 {
            return Err(Error::new(
                ErrorKind::Bug,
                format!("two documents share the id {}: {} is the second", document.id, document.location),
            ));
        }
        self.put_blocks(document)
    }

    /// Deletes a document with its sentences and document pairs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn delete_document(&self, location: &str) -> Result<()> {
        self.execute("deleting a document", "DELETE FROM document WHERE location = ?1", [location])?;
        Ok(())
    }

    /// Replaces a site's pairs of documents.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_document_pairs(&self, scope: &str, site: &str, pairs: &[DocumentPair]) -> Result<()> {
        self.execute(
            "replacing document pairs",
            "DELETE FROM document_pair WHERE scope = ?1 AND site = ?2",
            [scope, site],
        )?;
        for pair in pairs {
            self.execute(
                "writing a document pair",
                "INSERT INTO document_pair (scope, source, target, site, score, evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![scope, pair.source.0, pair.target.0, site, pair.score, to_json(&pair.evidence)?],
            )?;
        }
        Ok(())
    }
}

/// Hash of all that later stages read of a document.
pub fn fingerprint(document: &Document) -> Result<String> {
    let mut content = document.clone();
    // Bytes that only move boilerplate around change this hash and nothing that matters.
    content.content_hash = String::new();
    // For people alone; left out when empty, so that fingerprints from before they were kept still hold.
    (content.author, content.tags, content.agreement) = (None, Vec::new(), None);
    Ok(hash_parts(&[to_json(&content)?.as_bytes()]).to_hex()[..32].to_owned())
}
