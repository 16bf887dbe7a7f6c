//! How single URLs and hosts stand: what a crawl says of a site that gave nothing.

use super::Store;
use super::visit::{Role, Standing, State};
use crate::error::Result;

impl Store {
    /// How a URL stands; `None` when it is unknown.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn standing(&self, url: &str) -> Result<Option<Standing>> {
        self.row(
            "looking for a URL",
            "SELECT role, state, depth, body_hash IS NOT NULL AND body_lost = 0, moved_to, status, error, ruling
             FROM url WHERE url = ?1",
            [url],
            |row| {
                Ok(Standing {
                    role: Role::from_name(&row.get::<_, String>(0)?),
                    state: State::from_name(&row.get::<_, String>(1)?),
                    depth: row.get(2)?,
                    has_body: row.get(3)?,
                    moved_to: row.get(4)?,
                    status: row.get(5)?,
                    error: row.get(6)?,
                    ruling: row.get(7)?,
                })
            },
        )
    }

    /// How many articles of a host were archived, and how many more are known.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn articles_of_host(&self, host: &str) -> Result<(u64, u64)> {
        let counts = self.row(
            "counting articles",
            "SELECT count(body_hash), count(*) - count(body_hash) FROM url WHERE host = ?1 AND role = 'article'",
            [host],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(counts.unwrap_or_default())
    }

    /// The error of one of a host's articles whose last visit failed, if any did.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn failed_article(&self, host: &str) -> Result<Option<(String, String)>> {
        self.row(
            "looking for a failed article",
            "SELECT url, coalesce(error, ruling, '') FROM url WHERE host = ?1 AND role = 'article'
               AND state IN ('failed', 'forbidden') ORDER BY url LIMIT 1",
            [host],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// The hosts and sites that URLs are filed under.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn filed_hosts(&self) -> Result<Vec<(String, String)>> {
        self.rows("listing hosts", "SELECT DISTINCT host, site FROM url ORDER BY host, site", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }
}
