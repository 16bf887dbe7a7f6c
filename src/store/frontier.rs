//! The crawl's frontier, its hosts, and the index of the page archive.

use jiff::Timestamp;
use rusqlite::params;

use super::{Store, Writer, instant, parsed_option};
use crate::error::Result;
use crate::record::{Page, PageId, WarcRef};

/// Why a URL is visited. The order is the order of visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Named in the pipeline.
    Seed,
    /// A sitemap.
    Sitemap,
    /// An RSS or Atom feed.
    Feed,
    /// An article: a document is extracted from it.
    Article,
    /// Any other page: only its links matter.
    Page,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Sitemap => "sitemap",
            Self::Feed => "feed",
            Self::Article => "article",
            Self::Page => "page",
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "seed" => Self::Seed,
            "sitemap" => Self::Sitemap,
            "feed" => Self::Feed,
            "article" => Self::Article,
            _ => Self::Page,
        }
    }
}

/// A URL that is to be visited now.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Hash of `url`.
    pub id: PageId,
    /// Normalised.
    pub url: String,
    /// The site it belongs to.
    pub site: String,
    /// Why it is visited.
    pub role: Role,
    /// Links followed from a seed.
    pub depth: u32,
    /// Redirects followed to come here.
    pub redirects: u32,
    /// For a conditional request, from the last 200.
    pub etag: Option<String>,
    /// For a conditional request, from the last 200.
    pub last_modified: Option<String>,
    /// Hash of the last body.
    pub body_hash: Option<String>,
    /// Current revisit interval in seconds.
    pub interval: Option<u64>,
}

/// A URL that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Normalised.
    pub url: String,
    /// With the port where it is not the scheme's own.
    pub host: String,
    /// The site in whose scope it lies.
    pub site: String,
    /// Why it would be visited.
    pub role: Role,
    /// Links followed from a seed.
    pub depth: u32,
    /// Redirects followed to come here.
    pub redirects: u32,
    /// Where it was found.
    pub via: Option<PageId>,
}

/// What became of a visit.
#[derive(Debug, Clone)]
pub enum Visited {
    /// 200: the body is archived.
    Fetched {
        /// `Content-Type`.
        content_type: Option<String>,
        /// `ETag`.
        etag: Option<String>,
        /// `Last-Modified`.
        last_modified: Option<String>,
        /// BLAKE3 of the body, hexadecimal.
        body_hash: String,
        /// Where the body lies; `None` when it equals the last one.
        warc: Option<WarcRef>,
    },
    /// 304.
    NotModified,
    /// 3xx with a target (which was added as found, if in scope).
    Redirected,
    /// 404 or 410. What was fetched before stays archived.
    Gone,
    /// robots.txt forbids it.
    Forbidden,
    /// Anything else: tried again in the next round.
    Failed(String),
}

/// What is known of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRow {
    /// Status of robots.txt; `None`: it could not be reached.
    pub robots_status: Option<u16>,
    /// Its body.
    pub robots_body: Option<Vec<u8>>,
    /// When it was fetched; `None`: never.
    pub robots_fetched_at: Option<Timestamp>,
    /// Current delay between requests.
    pub delay_ms: u64,
    /// Not before.
    pub next_allowed_at: Option<Timestamp>,
}

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
        self.number("counting due URLs", "SELECT count(*) FROM url WHERE due = 1", [])
    }

    /// The next URL of a host that is due.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn next_visit(&self, host: &str) -> Result<Option<Visit>> {
        self.row(
            "taking a URL from the frontier",
            "SELECT id, url, site, role, depth, redirects, etag, last_modified, body_hash, interval_s FROM url
             WHERE host = ?1 AND due = 1 ORDER BY role_rank, depth, url LIMIT 1",
            [host],
            |row| {
                Ok(Visit {
                    id: PageId(row.get(0)?),
                    url: row.get(1)?,
                    site: row.get(2)?,
                    role: Role::from_name(&row.get::<_, String>(3)?),
                    depth: row.get(4)?,
                    redirects: row.get(5)?,
                    etag: row.get(6)?,
                    last_modified: row.get(7)?,
                    body_hash: row.get(8)?,
                    interval: row.get(9)?,
                })
            },
        )
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

    /// What is known of a host.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn host(&self, host: &str) -> Result<HostRow> {
        Ok(self
            .row(
                "reading a host",
                "SELECT robots_status, robots_body, robots_fetched_at, delay_ms, next_allowed_at FROM host WHERE host = ?1",
                [host],
                |row| {
                    Ok(HostRow {
                        robots_status: row.get(0)?,
                        robots_body: row.get(1)?,
                        robots_fetched_at: parsed_option(row, 2)?,
                        delay_ms: row.get(3)?,
                        next_allowed_at: parsed_option(row, 4)?,
                    })
                },
            )?
            .unwrap_or_default())
    }

    /// How far an archive file is committed, in bytes.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn warc_length(&self, file: &str) -> Result<u64> {
        self.number("reading the archive's length", "SELECT length FROM warc WHERE file = ?1", [file])
    }

    /// All articles whose body is archived: URL, site and body hash, by URL. Those that moved are
    /// left out; those that are gone, or may no longer be asked for, come when `with_gone` says so.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn archived_articles(&self, with_gone: bool) -> Result<Vec<(String, String, String)>> {
        self.rows(
            "listing archived articles",
            "SELECT url, site, body_hash FROM url WHERE role = 'article' AND body_hash IS NOT NULL
               AND (state IN ('fetched', 'failed', 'waiting') OR (?1 AND state IN ('gone', 'forbidden'))) ORDER BY url",
            [with_gone],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
    }

    /// The archived page of a URL.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn page(&self, url: &str) -> Result<Option<Page>> {
        self.row(
            "reading a page's row",
            "SELECT id, url, site, content_type, body_hash, warc_file, warc_offset, warc_length FROM url
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
    /// Begins a crawl round: every URL whose time has come is due.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn begin_round(&self, at: Timestamp) -> Result<i64> {
        self.execute("making URLs due", "UPDATE url SET due = 1 WHERE due = 0 AND next_visit_at <= ?1", [instant(at)])?;
        self.execute("beginning a crawl round", "INSERT INTO crawl_round (started_at) VALUES (?1)", [instant(at)])?;
        Ok(self.transaction.last_insert_rowid())
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

    /// Adds a URL to the frontier, or does nothing when it is known; a known one may rise to a better role, and a
    /// shorter way to it counts. Answers whether it is new.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn add_url(&self, found: &Found) -> Result<bool> {
        let id = PageId::of(&[found.url.as_bytes()]);
        let added = self.execute(
            "adding to the frontier",
            "INSERT INTO url (id, url, host, site, role, role_rank, depth, redirects, via, state, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?9, ?6, ?7, ?8, 'waiting', 1) ON CONFLICT (url) DO NOTHING",
            params![
                id.0,
                found.url,
                found.host,
                found.site,
                found.role.name(),
                found.depth,
                found.redirects,
                found.via.map(|via| via.0),
                found.role as u8
            ],
        )?;
        if added == 0 {
            self.execute(
                "updating the frontier",
                "UPDATE url SET depth = min(depth, ?2), role = CASE WHEN role_rank > ?4 THEN ?3 ELSE role END,
                   role_rank = min(role_rank, ?4) WHERE id = ?1 AND (depth > ?2 OR role_rank > ?4)",
                params![id.0, found.depth, found.role.name(), found.role as u8],
            )?;
        }
        Ok(added > 0)
    }

    /// Notes what became of a visit, and when the URL is to be visited again.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn visited(
        &self,
        id: PageId,
        status: Option<u16>,
        visited: &Visited,
        interval: u64,
        at: Timestamp,
        next_visit_at: Timestamp,
    ) -> Result<()> {
        let doing = "noting a visit";
        let common = params![id.0, status, interval, instant(at), instant(next_visit_at)];
        match visited {
            Visited::Fetched { content_type, etag, last_modified, body_hash, warc } => {
                self.execute(
                    doing,
                    "UPDATE url SET state = 'fetched', status = ?2, interval_s = ?3, fetched_at = ?4, next_visit_at = ?5, due = 0,
                       attempts = 0, error = NULL WHERE id = ?1",
                    common,
                )?;
                self.execute(
                    doing,
                    "UPDATE url SET content_type = ?2, etag = ?3, last_modified = ?4 WHERE id = ?1",
                    params![id.0, content_type, etag, last_modified],
                )?;
                if let Some(warc) = warc {
                    self.execute(
                        doing,
                        "UPDATE url SET body_hash = ?2, warc_file = ?3, warc_offset = ?4, warc_length = ?5, changed_at = ?6
                         WHERE id = ?1",
                        params![id.0, body_hash, warc.file, warc.offset, warc.length, instant(at)],
                    )?;
                }
            }
            Visited::NotModified => {
                self.execute(
                    doing,
                    "UPDATE url SET state = 'fetched', status = ?2, interval_s = ?3, fetched_at = ?4, next_visit_at = ?5, due = 0,
                       attempts = 0, error = NULL WHERE id = ?1",
                    common,
                )?;
            }
            Visited::Redirected | Visited::Gone | Visited::Forbidden | Visited::Failed(_) => {
                let (state, error) = match visited {
                    Visited::Redirected => ("redirect", None),
                    Visited::Gone => ("gone", None),
                    Visited::Forbidden => ("forbidden", None),
                    Visited::Failed(error) => ("failed", Some(error.as_str())),
                    Visited::Fetched { .. } | Visited::NotModified => return Ok(()),
                };
                self.execute(
                    doing,
                    "UPDATE url SET state = ?6, status = ?2, interval_s = ?3, fetched_at = ?4, next_visit_at = ?5, due = 0,
                       error = ?7, attempts = CASE WHEN ?6 = 'failed' THEN attempts + 1 ELSE 0 END WHERE id = ?1",
                    params![id.0, status, interval, instant(at), instant(next_visit_at), state, error],
                )?;
            }
        }
        Ok(())
    }

    /// Keeps what is known of a host.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_host(&self, host: &str, row: &HostRow) -> Result<()> {
        self.execute(
            "keeping a host",
            "INSERT INTO host (host, robots_status, robots_body, robots_fetched_at, delay_ms, next_allowed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (host) DO UPDATE SET robots_status = excluded.robots_status, robots_body = excluded.robots_body,
               robots_fetched_at = excluded.robots_fetched_at, delay_ms = excluded.delay_ms,
               next_allowed_at = excluded.next_allowed_at",
            params![
                host,
                row.robots_status,
                row.robots_body,
                row.robots_fetched_at.map(instant),
                row.delay_ms,
                row.next_allowed_at.map(instant)
            ],
        )?;
        Ok(())
    }

    /// Notes how far an archive file is written.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_warc_length(&self, file: &str, length: u64) -> Result<()> {
        self.execute(
            "noting the archive's length",
            "INSERT INTO warc (file, length) VALUES (?1, ?2) ON CONFLICT (file) DO UPDATE SET length = excluded.length",
            params![file, length],
        )?;
        Ok(())
    }
}
