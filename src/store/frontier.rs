//! The crawl's frontier, and the index of the page archive.

use std::time::Duration as Span;

use jiff::Timestamp;
use rusqlite::params;

use super::visit::{ArchivedArticle, FEED_COPY, Found, Outcome, Role, State, Visit, Visited};
use super::{Store, Writer, instant, parsed_option};
use crate::error::Result;
use crate::record::{Page, PageId, WarcRef};

/// How long a sitemap is left unread because the index that names it says that it has not changed.
const SITEMAP_REST: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 7);

/// Runs that may die while they ask for a URL, until it is given up for the round.
pub const FATAL_ATTEMPTS: u32 = 5;

impl Store {
    /// The open crawl round, if the last one was interrupted: its id and start.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn open_round(&self) -> Result<Option<(i64, Timestamp)>> {
        self.row(
            "reading the crawl round",
            "SELECT id, started_at FROM crawl_round WHERE finished_at IS NULL ORDER BY id DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, super::parsed(row, 1)?)),
        )
    }

    /// How many URLs are due.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn due_count(&self) -> Result<u64> {
        self.number("counting due URLs", "SELECT count(*) FROM url WHERE due > 0", [])
    }

    /// The next URL of a host that is due and may be asked for at `now`.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn next_visit(&self, host: &str, now: Timestamp) -> Result<Option<Visit>> {
        self.row(
            "taking a URL from the frontier",
            "SELECT id, url, site, role, depth, redirects, attempts, etag, last_modified,
               CASE WHEN body_lost = 0 THEN body_hash END, body_lost, changed_at, interval_s
             FROM url WHERE host = ?1 AND due > 0 AND (not_before IS NULL OR not_before <= ?2)
             ORDER BY due, next_visit_at, role_rank, depth, url LIMIT 1",
            params![host, instant(now)],
            |row| {
                Ok(Visit {
                    id: PageId(row.get(0)?),
                    url: row.get(1)?,
                    site: row.get(2)?,
                    role: Role::from_name(&row.get::<_, String>(3)?),
                    depth: row.get(4)?,
                    redirects: row.get(5)?,
                    attempts: row.get(6)?,
                    etag: row.get(7)?,
                    last_modified: row.get(8)?,
                    body_hash: row.get(9)?,
                    is_lost: row.get(10)?,
                    changed_at: parsed_option(row, 11)?,
                    interval: row.get(12)?,
                })
            },
        )
    }

    /// When the first of a host's due URLs may be asked for; `None` when none is due. Looks at all of them.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn first_due(&self, host: &str) -> Result<Option<Timestamp>> {
        let first: Option<Option<Timestamp>> = self.row(
            "looking for retries",
            "SELECT min(coalesce(not_before, '0001-01-01T00:00:00.000000Z')) FROM url WHERE host = ?1 AND due > 0",
            [host],
            |row| parsed_option(row, 0),
        )?;
        Ok(first.flatten())
    }

    /// Whether any URL of a host is due.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn has_due(&self, host: &str) -> Result<bool> {
        Ok(self.number(
            "looking for due URLs",
            "SELECT EXISTS (SELECT 1 FROM url WHERE host = ?1 AND due > 0)",
            [host],
        )? > 0)
    }

    /// How many of a host's URLs are due.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn due_of_host(&self, host: &str) -> Result<u64> {
        self.number("counting due URLs", "SELECT count(*) FROM url WHERE host = ?1 AND due > 0", [host])
    }

    /// How many pages of a host that are no articles share a shape.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn alike(&self, host: &str, shape: &str) -> Result<u64> {
        self.number(
            "counting pages that are alike",
            "SELECT count(*) FROM url WHERE host = ?1 AND shape = ?2 AND role = 'page'",
            [host, shape],
        )
    }

    /// Whether a URL is in the frontier.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn is_known(&self, url: &str) -> Result<bool> {
        Ok(self.number("looking for a URL", "SELECT count(*) FROM url WHERE url = ?1", [url])? > 0)
    }

    /// URLs whose last visit failed, and why.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn failed_urls(&self) -> Result<Vec<(String, String)>> {
        self.rows(
            "listing failed URLs",
            "SELECT url, coalesce(error, '') FROM url WHERE state = 'failed' ORDER BY url",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// All articles whose body was archived, by URL.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn archived_articles(&self) -> Result<Vec<ArchivedArticle>> {
        self.rows(
            "listing archived articles",
            "SELECT url, body_hash, state, moved_to, content_type FROM url WHERE role = 'article' AND body_hash IS NOT NULL ORDER BY url",
            [],
            |row| {
                Ok(ArchivedArticle {
                    url: row.get(0)?,
                    body_hash: row.get(1)?,
                    state: State::from_name(&row.get::<_, String>(2)?),
                    moved_to: row.get(3)?,
                    content_type: row.get(4)?,
                })
            },
        )
    }

    /// The archived page of a URL.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn page(&self, url: &str) -> Result<Option<Page>> {
        self.row(
            "reading a page's row",
            "SELECT id, url, site, content_type, body_hash, warc_file, warc_offset, warc_length, body_lost FROM url
             WHERE url = ?1 AND body_hash IS NOT NULL",
            [url],
            |row| {
                Ok(Page {
                    id: PageId(row.get(0)?),
                    url: row.get(1)?,
                    site: row.get(2)?,
                    content_type: row.get(3)?,
                    body_hash: row.get(4)?,
                    warc: WarcRef { file: row.get(5)?, offset: row.get(6)?, length: row.get(7)? },
                    is_lost: row.get(8)?,
                })
            },
        )
    }

    /// A URL's row for people: every column by name.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn url_details(&self, id: PageId) -> Result<Option<Vec<(String, String)>>> {
        self.row("reading a URL", "SELECT * FROM url WHERE id = ?1", [id.0], |row| {
            let names: Vec<String> = row.as_ref().column_names().map(str::to_owned).collect();
            names
                .into_iter()
                .enumerate()
                .map(|(index, name)| {
                    use rusqlite::types::ValueRef;
                    let value = match row.get_ref(index)? {
                        ValueRef::Null => String::new(),
                        ValueRef::Integer(id) if matches!(name.as_str(), "id" | "via") => PageId(id).to_string(),
                        ValueRef::Integer(number) => number.to_string(),
                        ValueRef::Real(number) => number.to_string(),
                        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
                    };
                    Ok((name, value))
                })
                .collect()
        })
    }
}

impl Writer<'_> {
    /// Begins a crawl round: every URL whose time has come is due, but for sitemaps that were read since they last
    /// changed, by the word of the index that names them. A next visit that is further ahead than `longest`, the longest
    /// interval between two visits, was noted by a clock that was ahead, and has come.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn begin_round(&self, at: Timestamp, longest: Span) -> Result<i64> {
        self.execute(
            "making URLs due",
            "UPDATE url SET due = CASE WHEN role_rank < 3 THEN 1 ELSE 3 END, attempts = 0, not_before = NULL
             WHERE due = 0 AND (next_visit_at <= ?1 OR next_visit_at > ?3)
               AND NOT (role = 'sitemap' AND next_visit_at <= ?1
                        AND coalesce(said_changed_at < fetched_at AND fetched_at > ?2, 0))",
            params![
                instant(at),
                instant(at.checked_sub(SITEMAP_REST).unwrap_or(Timestamp::MIN)),
                instant(at.checked_add(longest).unwrap_or(Timestamp::MAX))
            ],
        )?;
        self.execute("beginning a crawl round", "INSERT INTO crawl_round (started_at) VALUES (?1)", [instant(at)])?;
        Ok(self.transaction.last_insert_rowid())
    }

    /// Corrects visits that are dated after `now`, by a clock that was ahead: such a visit counts as made now, and the
    /// next one is due now, or after `longest_wait` at the most when it was put off. Answers how many there were.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn correct_future_visits(&self, now: Timestamp, longest_wait: Span) -> Result<usize> {
        let corrected = self.execute(
            "correcting visits in the future",
            "UPDATE url SET fetched_at = ?1, next_visit_at = ?1 WHERE fetched_at > ?1",
            [instant(now)],
        )?;
        self.execute(
            "correcting retries in the future",
            "UPDATE url SET not_before = ?1 WHERE due > 0 AND not_before > ?2",
            params![instant(now), instant(now.checked_add(longest_wait).unwrap_or(Timestamp::MAX))],
        )?;
        Ok(corrected)
    }

    /// Files all URLs of a host under a site.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn file_host(&self, host: &str, site: &str) -> Result<()> {
        self.execute(
            "filing a host's URLs",
            "UPDATE url SET site = ?2 WHERE host = ?1 AND site <> ?2",
            params![host, site],
        )?;
        Ok(())
    }

    /// Makes a URL due again that redirected, and never gave a page: with a cookie it may give one. Answers whether it
    /// was not due yet.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn retry_redirect(&self, url: &str) -> Result<bool> {
        let woken = self.execute(
            "making a redirect due",
            "UPDATE url SET due = CASE WHEN role_rank < 3 THEN 1 ELSE 3 END, not_before = NULL
             WHERE url = ?1 AND due = 0 AND state = 'redirect' AND body_hash IS NULL",
            [url],
        )?;
        Ok(woken > 0)
    }

    /// Ends a crawl round.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn finish_round(&self, round: i64, at: Timestamp) -> Result<()> {
        self.execute(
            "ending a crawl round",
            "UPDATE crawl_round SET finished_at = ?2 WHERE id = ?1",
            params![round, instant(at)],
        )?;
        Ok(())
    }

    /// Takes back what a killed run left leased, and counts it as a failed attempt. A URL that was in flight each time
    /// that [`FATAL_ATTEMPTS`] runs died is given up for the round: it may be what kills them. Answers how many there
    /// were, and how many were given up.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn release_leases(&self, at: Timestamp) -> Result<(usize, usize)> {
        let given_up = self.execute(
            "giving a URL up",
            "UPDATE url SET state = 'failed', due = 0, leased_at = NULL, attempts = attempts + 1, next_visit_at = ?1,
               error = 'the program died each time it asked for this URL: it is asked for again in the next round'
             WHERE leased_at IS NOT NULL AND attempts + 1 >= ?2",
            params![instant(at), FATAL_ATTEMPTS],
        )?;
        let released = self.execute(
            "taking leases back",
            "UPDATE url SET leased_at = NULL, attempts = attempts + 1 WHERE leased_at IS NOT NULL",
            [],
        )?;
        Ok((released, given_up))
    }

    /// Notes that a URL is about to be asked for.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn lease(&self, id: PageId, at: Timestamp) -> Result<()> {
        self.execute("leasing a URL", "UPDATE url SET leased_at = ?2 WHERE id = ?1", params![id.0, instant(at)])?;
        Ok(())
    }

    /// Adds a URL to the frontier, or does nothing when it is known; a known one may rise to a better role, and a
    /// shorter way to it counts. Answers whether it is new.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn add_url(&self, found: &Found) -> Result<bool> {
        let id = PageId::of(&[found.url.as_bytes()]);
        let rank = found.role.rank(found.is_twin);
        let added = self.execute(
            "adding to the frontier",
            "INSERT INTO url (id, url, host, site, role, role_rank, depth, redirects, via, shape, state, due, said_changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?9, ?6, ?7, ?8, ?10, 'waiting', CASE WHEN ?9 < 3 THEN 1 ELSE 2 END, ?11)
             ON CONFLICT (url) DO NOTHING",
            params![
                id.0,
                found.url,
                found.host,
                found.site,
                found.role.name(),
                found.depth,
                found.redirects,
                found.via.map(|via| via.0),
                rank,
                found.shape,
                found.changed.map(instant)
            ],
        )?;
        if added == 0 {
            self.execute(
                "updating the frontier",
                "UPDATE url SET depth = min(depth, ?2), role = CASE WHEN role_rank > ?4 THEN ?3 ELSE role END,
                   role_rank = min(role_rank, ?4) WHERE id = ?1 AND (depth > ?2 OR role_rank > ?4)",
                params![id.0, found.depth, found.role.name(), rank],
            )?;
            if let Some(changed) = found.changed {
                self.execute(
                    "keeping a sitemap's word",
                    "UPDATE url SET said_changed_at = ?2 WHERE id = ?1 AND said_changed_at IS NOT ?2",
                    params![id.0, instant(changed)],
                )?;
            }
        }
        Ok(added > 0)
    }

    /// Makes a known URL due that was last asked for before `before`. Answers whether it was not due yet.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn wake(&self, url: &str, before: Timestamp) -> Result<bool> {
        let woken = self.execute(
            "making a URL due",
            "UPDATE url SET due = CASE WHEN role_rank < 3 THEN 1 ELSE 3 END, attempts = 0, not_before = NULL
             WHERE url = ?1 AND due = 0 AND fetched_at < ?2
               AND state NOT IN ('forbidden', 'failed')",
            params![url, instant(before)],
        )?;
        Ok(woken > 0)
    }

    /// Keeps a feed's own copy of an article that was never fetched itself.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn keep_feed_copy(&self, url: &str, body_hash: &str, warc: &WarcRef, at: Timestamp) -> Result<()> {
        self.execute(
            "keeping a feed's copy",
            "UPDATE url SET content_type = ?2, body_hash = ?3, warc_file = ?4, warc_offset = ?5, warc_length = ?6,
               changed_at = ?7, body_lost = 0
             WHERE url = ?1 AND role = 'article' AND (body_hash IS NULL OR content_type = ?2)",
            params![url, FEED_COPY, body_hash, warc.file, warc.offset, warc.length, instant(at)],
        )?;
        Ok(())
    }

    /// Notes what became of a visit, and when the URL is to be visited again.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn visited(&self, id: PageId, outcome: &Outcome<'_>) -> Result<()> {
        let doing = "noting a visit";
        let (state, error) = match outcome.visited {
            Visited::Fetched { .. } | Visited::NotModified => ("fetched", None),
            Visited::Redirected { error, .. } => ("redirect", error.as_deref()),
            Visited::Suspended(note) => ("suspended", Some(note.as_str())),
            Visited::Gone => ("gone", None),
            Visited::Forbidden => ("forbidden", None),
            Visited::Failed(error) => ("failed", Some(error.as_str())),
            Visited::Postponed { error, not_before } => {
                self.execute(
                    doing,
                    "UPDATE url SET leased_at = NULL, attempts = attempts + 1, status = ?2, error = ?3, not_before = ?4,
                       ruling = ?5 WHERE id = ?1",
                    params![id.0, outcome.status, error, instant(*not_before), outcome.ruling],
                )?;
                return Ok(());
            }
        };
        let next_visit_at = outcome.at.checked_add(Span::from_secs(outcome.interval)).unwrap_or(Timestamp::MAX);
        let moved_to = match outcome.visited {
            Visited::Redirected { to, .. } => to.as_deref(),
            _ => None,
        };
        self.execute(
            doing,
            // A page that is suspended stays what it was, and one that failed before is back in the same condition.
            "UPDATE url SET state = CASE WHEN ?2 <> 'suspended' THEN ?2 WHEN state = 'failed' THEN 'fetched' ELSE state END,
               status = ?3, interval_s = ?4, fetched_at = ?5, next_visit_at = ?6, error = ?7,
               ruling = ?8, attempts = CASE WHEN ?2 = 'failed' THEN attempts + 1 ELSE 0 END,
               moved_to = CASE WHEN ?2 = 'redirect' THEN ?9 WHEN ?2 IN ('suspended', 'failed') THEN moved_to END,
               due = 0, leased_at = NULL, not_before = NULL WHERE id = ?1",
            params![
                id.0,
                state,
                outcome.status,
                outcome.interval,
                instant(outcome.at),
                instant(next_visit_at),
                error,
                outcome.ruling,
                moved_to
            ],
        )?;
        if let Visited::Fetched { content_type, etag, last_modified, body_hash, warc } = outcome.visited {
            self.execute(
                doing,
                "UPDATE url SET content_type = ?2, etag = ?3, last_modified = ?4 WHERE id = ?1",
                params![id.0, content_type, etag, last_modified],
            )?;
            if let Some(warc) = warc {
                self.execute(
                    doing,
                    "UPDATE url SET body_hash = ?2, warc_file = ?3, warc_offset = ?4, warc_length = ?5, changed_at = ?6,
                       body_lost = 0 WHERE id = ?1",
                    params![id.0, body_hash, warc.file, warc.offset, warc.length, instant(outcome.at)],
                )?;
            }
        }
        Ok(())
    }
}
