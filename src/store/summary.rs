//! Counts over the whole workspace, for reports and `status`.

use super::{Store, parsed_option};
use crate::error::Result;
use crate::record::Language;

/// What one site or shelf amounts to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteCounts {
    /// Its name.
    pub site: String,
    /// Documents by language.
    pub languages: Vec<(Language, u64)>,
    /// URLs in the frontier.
    pub urls: u64,
    /// Of them, articles with an archived body.
    pub articles: u64,
    /// URLs whose last visit failed.
    pub errors: u64,
    /// URLs whose last visit said 304.
    pub not_modified: u64,
    /// Documents.
    pub documents: u64,
    /// Pairs of documents.
    pub document_pairs: u64,
    /// Sentences.
    pub sentences: u64,
    /// Kept pairs whose source side is from here.
    pub pairs_kept: u64,
}

/// A bin of a histogram: origin, bin number, kept, dropped.
pub type ScoreBin = (String, u32, u64, u64);

impl Store {
    /// Rows of the whole workspace: pages fetched, documents, sentences, distinct texts, document pairs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn volumes(&self) -> Result<[(&'static str, u64); 5]> {
        let count = |sql: &str| self.number("counting rows", sql, []);
        Ok([
            ("pages archived", count("SELECT count(*) FROM url WHERE body_hash IS NOT NULL")?),
            ("documents", count("SELECT count(*) FROM document")?),
            ("sentences", count("SELECT count(*) FROM sentence")?),
            ("distinct texts", count("SELECT count(DISTINCT text_id) FROM sentence")?),
            ("document pairs", count("SELECT count(*) FROM document_pair")?),
        ])
    }

    /// Text pairs of a scope that the filter has judged, by origin.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn candidate_counts(&self, scope: &str) -> Result<Vec<(String, u64)>> {
        self.rows(
            "counting candidates",
            "SELECT origin, count(*) FROM judgement WHERE scope = ?1 GROUP BY origin ORDER BY origin",
            [scope],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Scores of judged text pairs of a scope in `bins` equal bins from 0 to 1.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn score_bins(&self, scope: &str, bins: u32) -> Result<Vec<ScoreBin>> {
        self.rows(
            "counting scores",
            "SELECT origin, min(cast(score * ?2 AS INTEGER), ?2 - 1) AS bin, sum(reason IS NULL), sum(reason IS NOT NULL)
             FROM judgement WHERE scope = ?1 GROUP BY origin, bin ORDER BY origin, bin",
            rusqlite::params![scope, bins],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
    }

    /// Every site's counts, by name.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn site_counts(&self) -> Result<Vec<SiteCounts>> {
        let names = self.rows(
            "listing sites",
            "SELECT site FROM url UNION SELECT site FROM document ORDER BY site",
            [],
            |row| row.get::<_, String>(0),
        )?;
        names.into_iter().map(|site| self.one_site(site)).collect()
    }

    fn one_site(&self, site: String) -> Result<SiteCounts> {
        let count = |sql: &str| self.number("counting a site", sql, [&site]);
        Ok(SiteCounts {
            languages: self
                .rows(
                    "counting a site's languages",
                    "SELECT language, count(*) FROM document WHERE site = ?1 GROUP BY language ORDER BY count(*) DESC, language",
                    [&site],
                    |row| Ok((parsed_option(row, 0)?, row.get(1)?)),
                )?
                .into_iter()
                .filter_map(|(language, count)| language.map(|language| (language, count)))
                .collect(),
            urls: count("SELECT count(*) FROM url WHERE site = ?1")?,
            articles: count("SELECT count(*) FROM url WHERE site = ?1 AND role = 'article' AND body_hash IS NOT NULL")?,
            errors: count("SELECT count(*) FROM url WHERE site = ?1 AND state = 'failed'")?,
            not_modified: count("SELECT count(*) FROM url WHERE site = ?1 AND status = 304")?,
            documents: count("SELECT count(*) FROM document WHERE site = ?1")?,
            document_pairs: count("SELECT count(*) FROM document_pair WHERE site = ?1")?,
            sentences: count("SELECT count(*) FROM sentence JOIN document ON document.id = document WHERE site = ?1")?,
            pairs_kept: count("SELECT count(*) FROM judgement WHERE source = ?1 AND reason IS NULL")?,
            site,
        })
    }
}
