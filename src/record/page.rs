//! A fetched page: what the server said, and where its bytes lie.

use serde::{Deserialize, Serialize};

use super::PageId;

/// Where a response lies in the page archive: a gzip member of a WARC file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarcRef {
    /// File name inside `pages/`.
    pub file: String,
    /// Byte offset of the gzip member.
    pub offset: u64,
    /// Length of the gzip member in bytes.
    pub length: u64,
}

/// The last successful fetch of a URL: an answer with the status 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Hash of the URL.
    pub id: PageId,
    /// The URL as asked for, normalised.
    pub url: String,
    /// Which configured site it belongs to.
    pub site: String,
    /// `Content-Type` as sent, if sent.
    pub content_type: Option<String>,
    /// BLAKE3 of the body, hexadecimal.
    pub body_hash: String,
    /// The body's bytes.
    pub warc: WarcRef,
    /// Whether the archive no longer holds them, so that the next crawl fetches them again.
    pub is_lost: bool,
}
