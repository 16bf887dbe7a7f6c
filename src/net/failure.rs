//! Why a request brought no answer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use url::Url;

use super::address::PrivateAddress;
use super::url::MAX_CHARS;
use crate::error::{Error, ErrorKind};

/// Why a URL was never asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither `http` nor `https`.
    #[error("its scheme is neither http nor https")]
    Scheme,
    /// A user name or password in the URL; nothing that we store may hold one.
    #[error("it holds a user name or password; give credentials by a header")]
    Credentials,
    /// Longer than [`MAX_CHARS`].
    #[error("it is longer than {MAX_CHARS} characters")]
    TooLong,
    /// The host lies in a private network.
    #[error("{0}; add the host to the allowed private hosts if that is meant")]
    Private(PrivateAddress),
    /// A header that HTTP cannot carry.
    #[error("the value of its header {0} holds characters that HTTP cannot carry")]
    Header(String),
}

/// A request without a usable answer. An answer with an error status is a [`Response`](super::Response), not this.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request was not made.
    #[error("{url} was not asked for: {reason}")]
    Refused {
        /// The URL.
        url: String,
        /// Why not.
        reason: Refusal,
    },
    /// The body, decompressed, exceeds the limit.
    #[error("{url} is larger than {limit} bytes; raise the size limit if files of this site are meant to be so large")]
    TooLarge {
        /// The URL.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The whole body had not come in time.
    #[error("{url} did not come within {limit:?}; the server is slow or down, try later or raise the time limit")]
    Timeout {
        /// The URL.
        url: String,
        /// The limit.
        limit: Duration,
    },
    /// The server closed the connection before the end of its answer.
    #[error("{url} broke off before its end; try later")]
    Truncated {
        /// The URL.
        url: String,
    },
    /// The body is compressed in a way that we did not offer.
    #[error("{url} came in the encoding {encoding:?}, which was not offered; report it to the site")]
    Encoding {
        /// The URL.
        url: String,
        /// `Content-Encoding` as sent.
        encoding: String,
    },
    /// The answer is of a kind that was not asked for; its body was not read.
    #[error("{url} is of the type {content_type:?}, none that is wanted here; it was not read")]
    WrongKind {
        /// The URL.
        url: String,
        /// `Content-Type` as sent; a long one is cut.
        content_type: String,
    },
    /// Anything else: no such host, connection refused, a bad certificate, an answer that is not HTTP.
    #[error("{url} cannot be reached; check its spelling and the network, or try later")]
    Network {
        /// The URL.
        url: String,
        /// What failed.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl FetchError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::TooLarge { .. } | Self::Encoding { .. } | Self::WrongKind { .. } => false,
            Self::Timeout { .. } | Self::Truncated { .. } | Self::Network { .. } => true,
        }
    }

    /// A short name for logs and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::TooLarge { .. } => "too-large",
            Self::Timeout { .. } => "timeout",
            Self::Truncated { .. } => "truncated",
            Self::Encoding { .. } => "encoding",
            Self::WrongKind { .. } => "wrong-kind",
            Self::Network { .. } => "network",
        }
    }

    /// Names the cause of what reqwest reports. `limit` is the one that a time-out would be of.
    pub(super) fn of_request(url: &Url, error: reqwest::Error, limit: Duration) -> Self {
        let private = causes(&error).find_map(|cause| cause.downcast_ref::<PrivateAddress>()).cloned();
        let broke_off = causes(&error).any(breaks_off);
        let url = url.to_string();
        match private {
            Some(address) => Self::Refused { url, reason: Refusal::Private(address) },
            None if error.is_timeout() => Self::Timeout { url, limit },
            None if broke_off => Self::Truncated { url },
            None => Self::Network { url, source: Box::new(error.without_url()) },
        }
    }

    /// The same for a failure while the body is read: reqwest's errors come wrapped into those of `Read`.
    pub(super) fn of_body(url: &Url, error: io::Error, limit: Duration) -> Self {
        match error.downcast::<reqwest::Error>() {
            Ok(error) => Self::of_request(url, error, limit),
            Err(error) if breaks_off(&error) => Self::Truncated { url: url.to_string() },
            Err(error) => Self::Network { url: url.to_string(), source: Box::new(error) },
        }
    }
}

/// Whether this very error says that the bytes ended early: on the wire, or inside the compression.
fn breaks_off(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
        || error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset))
}

/// An error and its causes. `io::Error` hides the error that it wraps from `source`, so it is asked for it.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        let message = error.to_string();
        match error {
            FetchError::Network { source, .. } => Self::with_source(ErrorKind::Network, message, source),
            _ => Self::new(ErrorKind::Network, message),
        }
    }
}
