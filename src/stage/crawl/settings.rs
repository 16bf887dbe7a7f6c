//! What a pipeline file says of crawling.

use std::time::Duration as Span;

use serde::{Deserialize, Serialize};

use crate::record::{Bytes, Duration};

/// What the crawl does. None of it changes what a page says, so none of it enters a stage key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Crawl {
    /// Who asks: product token and version.
    pub user_agent: String,
    /// A URL or mail address where a site's owner reaches a person. Required on the real web.
    pub contact: Option<String>,
    /// The shortest delay between two requests to a host.
    pub delay: Duration,
    /// The longest, unless robots.txt or `Retry-After` asks for more.
    pub max_delay: Duration,
    /// How long a run waits for a host that asks to be left alone; one that asks for more is left for the next run.
    pub patience: Duration,
    /// Further attempts for a URL that failed for a reason that may pass: no answer, 408, 429, 500, 502 to 504.
    pub retries: u32,
    /// The wait before the first of them; each further one waits twice as long.
    pub retry_delay: Duration,
    /// The shortest time until an article is asked for again.
    pub revisit: Duration,
    /// The longest.
    pub max_revisit: Duration,
    /// The time until a seed, sitemap or feed is asked for again, and the shortest for a list page.
    pub revisit_lists: Duration,
    /// Links followed from a seed.
    pub max_depth: u32,
    /// Pages that are no articles and whose URLs are alike but for their numbers: calendars and lists without end.
    pub max_alike: u64,
    /// Requests to a host in one night, robots.txt included.
    pub requests_per_host: u64,
    /// Bytes from a host in one night.
    pub bytes_per_host: Bytes,
    /// Time for a host in one run.
    pub time_per_host: Duration,
    /// Requests in one night, to all hosts.
    pub requests: u64,
    /// Bytes in one night, from all hosts.
    pub bytes: Bytes,
    /// Time of a run's crawl.
    pub time: Duration,
    /// Hosts asked at the same time.
    pub parallel_hosts: usize,
    /// The longest wait for an answer.
    pub timeout: Duration,
    /// The largest page.
    pub max_page: Bytes,
    /// Hosts that may have private or loopback addresses.
    pub allow_private: Vec<String>,
}

impl Default for Crawl {
    fn default() -> Self {
        let time = |seconds| Duration(Span::from_secs(seconds));
        Self {
            user_agent: concat!("kopri/", env!("CARGO_PKG_VERSION")).into(),
            contact: None,
            delay: time(1),
            max_delay: time(60),
            patience: time(15 * 60),
            retries: 2,
            retry_delay: time(30),
            revisit: time(86_400),
            max_revisit: time(90 * 86_400),
            revisit_lists: time(6 * 3_600),
            max_depth: 8,
            max_alike: 5_000,
            requests_per_host: 5_000,
            bytes_per_host: Bytes(2_000_000_000),
            time_per_host: time(6 * 3_600),
            requests: 50_000,
            bytes: Bytes(20_000_000_000),
            time: time(6 * 3_600),
            parallel_hosts: 8,
            timeout: time(30),
            max_page: Bytes(20_000_000),
            allow_private: Vec::new(),
        }
    }
}

impl Crawl {
    /// The `User-Agent` header.
    pub fn agent(&self) -> String {
        match &self.contact {
            Some(contact) => format!("{} (+{contact})", self.user_agent),
            None => self.user_agent.clone(),
        }
    }
}
