//! Counts over the whole workspace, for reports and `status`.

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use super::{Store, parsed_option};
use crate::error::{Context as _, ErrorKind, Result};
use crate::record::{DropReason, Language, PairId};

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

    /// Counts of all judged text pairs, and those to show, in one sequential scan of the verdicts. Scores are counted in
    /// `bins` equal bins from 0 to 1; each sample has at most `samples` text pairs. Memory: 8 bytes a near duplicate.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn pool_counts(&self, bins: u32, samples: usize) -> Result<BTreeMap<String, PoolCounts>> {
        let doing = "counting verdicts";
        let near: HashSet<i64> = self
            .rows(doing, "SELECT pair FROM near_duplicate WHERE of IS NOT NULL", [], |row| row.get(0))?
            .into_iter()
            .collect();
        let mut scopes: Vec<(String, PoolCounts)> = Vec::new();
        // In the order of the table, since any index would look every row up.
        let sql = "SELECT pair, scope, reason, origin, score, source FROM verdict NOT INDEXED";
        let mut statement = self.connection.prepare_cached(sql).context(ErrorKind::Store, || doing.into())?;
        let mut rows = statement.query([]).context(ErrorKind::Store, || doing.into())?;
        while let Some(row) = rows.next().context(ErrorKind::Store, || doing.into())? {
            let text = |column: usize| -> Result<Option<&str>> {
                let value = row.get_ref(column).context(ErrorKind::Store, || doing.into())?;
                value.as_str_or_null().context(ErrorKind::Store, || doing.into())
            };
            let pair: i64 = row.get(0).context(ErrorKind::Store, || doing.into())?;
            let score: f32 = row.get(4).context(ErrorKind::Store, || doing.into())?;
            let reason = match text(2)? {
                Some(super::verdicts::VANISHED) => continue,
                None if near.contains(&pair) => Some(DropReason::NearDuplicate.name()),
                reason => reason,
            };
            let (scope, origin, source) =
                (text(1)?.unwrap_or_default(), text(3)?.unwrap_or_default(), text(5)?.unwrap_or_default());
            let place = match scopes.iter().position(|(name, _)| name == scope) {
                Some(place) => place,
                None => {
                    scopes.push((scope.to_owned(), PoolCounts::default()));
                    scopes.len() - 1
                }
            };
            scopes[place].1.add((bins, samples), PairId(pair), origin, source, score, reason);
        }
        Ok(scopes.into_iter().map(|(scope, counts)| (scope, counts.sorted())).collect())
    }

    /// Every site's counts, by name. `kept` holds the kept pairs by the site of their source side.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn site_counts(&self, kept: &BTreeMap<String, u64>) -> Result<Vec<SiteCounts>> {
        let mut sites: BTreeMap<String, SiteCounts> = BTreeMap::new();
        let sql = "SELECT site, count(*), sum(role = 'article' AND body_hash IS NOT NULL), sum(state = 'failed'),
                     sum(coalesce(status, 0) = 304) FROM url GROUP BY site";
        let urls = self.rows("counting URLs", sql, [], |row| {
            Ok(SiteCounts {
                site: row.get(0)?,
                urls: row.get(1)?,
                articles: row.get(2)?,
                errors: row.get(3)?,
                not_modified: row.get(4)?,
                ..SiteCounts::default()
            })
        })?;
        sites.extend(urls.into_iter().map(|counts| (counts.site.clone(), counts)));
        let sql =
            "SELECT site, language, count(*) FROM document GROUP BY site, language ORDER BY count(*) DESC, language";
        let documents = self.rows("counting documents", sql, [], |row| {
            Ok((row.get::<_, String>(0)?, parsed_option::<Language>(row, 1)?, row.get::<_, u64>(2)?))
        })?;
        for (site, language, count) in documents {
            let counts = sites.entry(site.clone()).or_insert_with(|| SiteCounts { site, ..SiteCounts::default() });
            counts.documents += count;
            counts.languages.extend(language.map(|language| (language, count)));
        }
        let by_site = |sql: &str| {
            self.rows("counting a site's rows", sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))
        };
        for (site, count) in by_site("SELECT site, count(*) FROM document_pair GROUP BY site")? {
            sites.entry(site).and_modify(|counts| counts.document_pairs = count);
        }
        // Sentences in the order of documents, by the index that has both; sites of documents are few to look up.
        let sql = "SELECT document.site, sum(own) FROM
                     (SELECT document, count(*) AS own FROM sentence GROUP BY document) AS counted
                   CROSS JOIN document ON document.id = counted.document GROUP BY document.site";
        for (site, count) in by_site(sql)? {
            sites.entry(site).and_modify(|counts| counts.sentences = count);
        }
        for (site, counts) in &mut sites {
            counts.pairs_kept = kept.get(site).copied().unwrap_or(0);
        }
        Ok(sites.into_values().collect())
    }
}

/// What the filter decided on the text pairs of a scope, counted.
#[derive(Debug, Default)]
pub struct PoolCounts {
    /// By the rule that drops them; `None`: kept.
    pub verdicts: BTreeMap<Option<String>, u64>,
    /// By origin and bin of the score: kept, dropped.
    pub bins: BTreeMap<(String, u32), (u64, u64)>,
    /// Kept ones by the site, collection or import that they are from.
    pub kept_by_source: BTreeMap<String, u64>,
    /// The kept ones with the highest scores, best first.
    pub best: Vec<PairId>,
    /// The kept ones with the lowest scores, worst first.
    pub borderline: Vec<PairId>,
    /// Dropped ones, some of every rule in turn, the highest scores first.
    pub dropped: Vec<PairId>,
    highest: Ranked,
    lowest: Ranked,
    by_reason: BTreeMap<String, Ranked>,
    /// How many of `dropped` are wanted.
    samples: usize,
}

/// The first text pairs of an order: a number that sorts as the score does, or against it, and the text pair.
type Ranked = BinaryHeap<(i64, i64)>;

impl PoolCounts {
    fn add(
        &mut self,
        (bins, samples): (u32, usize),
        pair: PairId,
        origin: &str,
        source: &str,
        score: f32,
        reason: Option<&str>,
    ) {
        self.samples = samples;
        // A map that has the key is asked first, so that no text is copied for it.
        fn count<'m, V: Default>(map: &'m mut BTreeMap<String, V>, key: &str) -> &'m mut V {
            if !map.contains_key(key) {
                map.insert(key.to_owned(), V::default());
            }
            map.entry(key.to_owned()).or_default()
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of bins")]
        let bin = ((f64::from(score) * f64::from(bins)).max(0.0) as u32).min(bins.saturating_sub(1));
        let own = self.bins.entry((origin.to_owned(), bin)).or_default();
        *(if reason.is_none() { &mut own.0 } else { &mut own.1 }) += 1;
        *self.verdicts.entry(reason.map(str::to_owned)).or_default() += 1;
        #[expect(clippy::cast_possible_truncation, reason = "a score in units of 10⁻⁹")]
        let score = (f64::from(score) * 1e9) as i64;
        let keep = |ranked: &mut Ranked, key: i64| {
            if ranked.len() < samples || ranked.peek().is_some_and(|last| (key, pair.0) < *last) {
                ranked.push((key, pair.0));
                if ranked.len() > samples {
                    ranked.pop();
                }
            }
        };
        match reason {
            None => {
                *count(&mut self.kept_by_source, source) += 1;
                keep(&mut self.highest, -score);
                keep(&mut self.lowest, score);
            }
            Some(reason) => keep(count(&mut self.by_reason, reason), -score),
        }
    }

    fn sorted(mut self) -> Self {
        let ids =
            |ranked: Ranked| ranked.into_sorted_vec().into_iter().map(|(_, pair)| PairId(pair)).collect::<Vec<_>>();
        self.best = ids(std::mem::take(&mut self.highest));
        self.borderline = ids(std::mem::take(&mut self.lowest));
        let groups: Vec<Vec<PairId>> = std::mem::take(&mut self.by_reason).into_values().map(ids).collect();
        let turns = groups.iter().map(Vec::len).max().unwrap_or(0);
        self.dropped =
            (0..turns).flat_map(|turn| groups.iter().filter_map(move |group| group.get(turn))).copied().collect();
        self.dropped.truncate(self.samples);
        self
    }
}
