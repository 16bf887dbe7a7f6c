//! What the frontier knows of a URL, is told of one, and hands out to be visited.

use jiff::Timestamp;

use crate::record::{PageId, WarcRef};

/// Why a URL is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Sitemap => "sitemap",
            Self::Feed => "feed",
            Self::Article => "article",
            Self::Page => "page",
        }
    }

    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "seed" => Self::Seed,
            "sitemap" => Self::Sitemap,
            "feed" => Self::Feed,
            "article" => Self::Article,
            _ => Self::Page,
        }
    }

    /// Its place in the order of visits. The twin of an article that is there already comes before other articles:
    /// when a budget ends the night, pairs are whole.
    pub(super) fn rank(self, is_twin: bool) -> u8 {
        match self {
            Self::Seed => 0,
            Self::Sitemap => 1,
            Self::Feed => 2,
            Self::Article if is_twin => 3,
            Self::Article => 4,
            Self::Page => 5,
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
    /// Failures in this round.
    pub attempts: u32,
    /// For a conditional request, from the last 200.
    pub etag: Option<String>,
    /// For a conditional request, from the last 200.
    pub last_modified: Option<String>,
    /// Hash of the last body, while the archive holds it.
    pub body_hash: Option<String>,
    /// Whether a body was archived and is lost: documents made from it are still there.
    pub is_lost: bool,
    /// When that body was fetched.
    pub changed_at: Option<Timestamp>,
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
    /// Whether the page it was found on names it as its own content in another language.
    pub is_twin: bool,
    /// The URL with numbers and values taken out.
    pub shape: String,
    /// When it last changed, by a sitemap's word.
    pub changed: Option<Timestamp>,
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
    /// A redirect with a target (which was added as found, if in scope): for ever (301, 308), or of a URL that never
    /// gave a page.
    Redirected {
        /// The target, if in scope.
        to: Option<String>,
        /// What is wrong with it, if a person must know.
        error: Option<String>,
    },
    /// A redirect for now (302, 303, 307) of a URL whose page is archived: maintenance, a login, a cookie wall. What was
    /// fetched before stays what the URL says.
    Suspended(String),
    /// 404 or 410. What was fetched before stays archived.
    Gone,
    /// robots.txt forbids it.
    Forbidden,
    /// Anything else: tried again in the next round.
    Failed(String),
    /// A failure that may pass: tried again in this round, but not before an instant.
    Postponed {
        /// What failed.
        error: String,
        /// The instant.
        not_before: Timestamp,
    },
}

/// A visit that is over.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// HTTP status; `None` without an answer.
    pub status: Option<u16>,
    /// What became of it.
    pub visited: &'a Visited,
    /// What robots.txt said of the URL.
    pub ruling: &'a str,
    /// When.
    pub at: Timestamp,
    /// Seconds until the next visit.
    pub interval: u64,
}

/// An article whose body was archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedArticle {
    /// Normalised.
    pub url: String,
    /// Hash of the body.
    pub body_hash: String,
    /// What its last visit came to.
    pub state: State,
    /// Where it redirects to, within the pipeline's scope.
    pub moved_to: Option<String>,
    /// What the server said that the body is; the character encoding may be in it.
    pub content_type: Option<String>,
}

/// What the last visit of a URL came to, or that there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never visited, or to be fetched anew.
    Waiting,
    /// Its page is archived.
    Fetched,
    /// It redirects.
    Redirect,
    /// 404 or 410.
    Gone,
    /// robots.txt forbids it.
    Forbidden,
    /// Anything else.
    Failed,
}

impl State {
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "fetched" => Self::Fetched,
            "redirect" => Self::Redirect,
            "gone" => Self::Gone,
            "forbidden" => Self::Forbidden,
            "failed" => Self::Failed,
            _ => Self::Waiting,
        }
    }
}

/// How a URL stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Why it is visited.
    pub role: Role,
    /// What its last visit came to.
    pub state: State,
    /// Links followed from a seed.
    pub depth: u32,
    /// Whether its body is archived.
    pub has_body: bool,
    /// Where it redirects to, within the pipeline's scope.
    pub moved_to: Option<String>,
    /// Status of its last answer.
    pub status: Option<u16>,
    /// What went wrong, or is remarkable.
    pub error: Option<String>,
    /// What robots.txt said of it.
    pub ruling: Option<String>,
}

/// The `Content-Type` of a page whose text was taken from a feed, because the page itself was never fetched.
pub const FEED_COPY: &str = "text/html; charset=utf-8; source=feed";
