//! What is known of a host: its robots.txt, when it may be asked again, and what it was asked for tonight.

use jiff::Timestamp;
use rusqlite::params;

use super::{Store, Writer, instant, parsed_option};
use crate::error::Result;

/// A host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRow {
    /// Status of the last robots.txt that told something.
    pub robots_status: Option<u16>,
    /// Its body, when there was one.
    pub robots_body: Option<Vec<u8>>,
    /// When it was fetched; `None`: never.
    pub robots_fetched_at: Option<Timestamp>,
    /// When a later attempt to get it failed, if one did.
    pub robots_failed_at: Option<Timestamp>,
    /// How that attempt failed.
    pub robots_error: Option<String>,
    /// Current delay between requests.
    pub delay_ms: u64,
    /// Not before.
    pub next_allowed_at: Option<Timestamp>,
    /// When the night began that `requests` and `bytes` are counted in.
    pub night_began: Option<Timestamp>,
    /// Requests made in it.
    pub requests: u64,
    /// Bytes of bodies received in it.
    pub bytes: u64,
}

impl Store {
    /// What is known of a host.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn host(&self, host: &str) -> Result<HostRow> {
        let row = self.row(
            "reading a host",
            "SELECT robots_status, robots_body, robots_fetched_at, robots_failed_at, robots_error, delay_ms,
               next_allowed_at, night_began, requests, bytes FROM host WHERE host = ?1",
            [host],
            |row| {
                Ok(HostRow {
                    robots_status: row.get(0)?,
                    robots_body: row.get(1)?,
                    robots_fetched_at: parsed_option(row, 2)?,
                    robots_failed_at: parsed_option(row, 3)?,
                    robots_error: row.get(4)?,
                    delay_ms: row.get(5)?,
                    next_allowed_at: parsed_option(row, 6)?,
                    night_began: parsed_option(row, 7)?,
                    requests: row.get(8)?,
                    bytes: row.get(9)?,
                })
            },
        )?;
        Ok(row.unwrap_or_default())
    }
}

impl Store {
    /// Whether a host was ever asked, or is to be.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn knows_host(&self, host: &str) -> Result<bool> {
        Ok(self.number("looking for a host", "SELECT count(*) FROM host WHERE host = ?1", [host])? > 0)
    }
}

impl Writer<'_> {
    /// Keeps what is known of a host.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_host(&self, host: &str, row: &HostRow) -> Result<()> {
        self.execute(
            "keeping a host",
            "INSERT INTO host (host, robots_status, robots_body, robots_fetched_at, robots_failed_at, robots_error,
               delay_ms, next_allowed_at, night_began, requests, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (host) DO UPDATE SET robots_status = excluded.robots_status,
               robots_body = excluded.robots_body, robots_fetched_at = excluded.robots_fetched_at,
               robots_failed_at = excluded.robots_failed_at, robots_error = excluded.robots_error,
               delay_ms = excluded.delay_ms, next_allowed_at = excluded.next_allowed_at,
               night_began = excluded.night_began, requests = excluded.requests, bytes = excluded.bytes",
            params![
                host,
                row.robots_status,
                row.robots_body,
                row.robots_fetched_at.map(instant),
                row.robots_failed_at.map(instant),
                row.robots_error,
                row.delay_ms,
                row.next_allowed_at.map(instant),
                row.night_began.map(instant),
                row.requests,
                row.bytes,
            ],
        )?;
        Ok(())
    }

    /// Keeps when a host may be asked again, and what it was asked for: all that changes with every request.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn set_host_pace(&self, host: &str, row: &HostRow) -> Result<()> {
        self.execute(
            "keeping a host's pace",
            "UPDATE host SET delay_ms = ?2, next_allowed_at = ?3, night_began = ?4, requests = ?5, bytes = ?6
             WHERE host = ?1",
            params![
                host,
                row.delay_ms,
                row.next_allowed_at.map(instant),
                row.night_began.map(instant),
                row.requests,
                row.bytes
            ],
        )?;
        Ok(())
    }
}
