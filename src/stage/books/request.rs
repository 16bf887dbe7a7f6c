//! What a process of the crew is asked for, and within which limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reader::Job;
use crate::stage::pages::PageJob;

/// A line of a process's standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Request {
    /// To read a book.
    Book(Job),
    /// To read a page of so many bytes, which follow the line.
    Page(PageJob, u64),
}

/// What a process confines itself to before its first request. It serves only requests of the same limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Confines {
    /// Of what.
    pub(super) kind: Kind,
    /// Bytes of memory for each request.
    pub(super) memory: u64,
    /// Time for each request: of a book by the clock, of a page by the processor.
    pub(super) time: Duration,
}

/// Books and pages have limits of their own, and so processes of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Book,
    Page,
}

impl Request {
    pub(super) fn limits(&self) -> Confines {
        match self {
            Self::Book(job) => Confines { kind: Kind::Book, memory: job.memory, time: job.time },
            Self::Page(job, _) => Confines { kind: Kind::Page, memory: job.cost.memory, time: job.cost.time },
        }
    }
}

impl Kind {
    /// How `extract.limits` begins the names of its limits.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Page => "page",
        }
    }

    /// Requests that one process serves at most.
    pub(super) fn most(self) -> u32 {
        match self {
            Self::Book => 200,
            Self::Page => 5_000,
        }
    }
}

impl Confines {
    /// Seconds of processor time for each request. A book's limit is by the clock, for it and the one program that it
    /// starts: whoever waits for it has ended it long before, and this ends it when nobody waits any more.
    #[cfg(unix)]
    pub(super) fn processor_seconds(&self) -> u64 {
        match self.kind {
            Kind::Book => self.time.as_secs().saturating_add(1).saturating_mul(2),
            Kind::Page => self.time.as_secs().max(1),
        }
    }

    /// How long to wait for an answer, by the clock. A page's processor time is limited by the system; on a busy machine
    /// it takes longer.
    pub(super) fn patience(&self) -> Duration {
        match self.kind {
            Kind::Book => self.time,
            Kind::Page if cfg!(unix) => self.time.saturating_mul(20),
            Kind::Page => self.time,
        }
    }
}
