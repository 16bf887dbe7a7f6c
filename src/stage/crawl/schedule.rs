//! When a URL is asked for again, and how long a host is left alone.

use std::time::Duration;

use jiff::Timestamp;

use super::Crawl;
use crate::net::Response;
use crate::store::visit::{Role, Visit, Visited};

/// Seconds until the next visit.
///
/// Seeds, sitemaps and feeds come at a fixed interval. Articles and list pages come as Nutch's adaptive schedule has
/// it: 1.4 times as late when nothing was new and 0.8 times as late when something was. What is new on a list page is
/// an article that was not known (`brought`): its bytes change with every item that moves down.
pub(super) fn interval(crawl: &Crawl, visit: &Visit, visited: &Visited, brought: u64) -> u64 {
    let shortest = match visit.role {
        Role::Seed | Role::Sitemap | Role::Feed => return crawl.revisit_lists.0.as_secs(),
        Role::Page => crawl.revisit_lists.0.as_secs(),
        Role::Article => crawl.revisit.0.as_secs(),
    };
    let longest = crawl.max_revisit.0.as_secs().max(shortest);
    let Some(old) = visit.interval else { return shortest };
    let is_new = match visited {
        Visited::Fetched { warc, .. } if visit.role == Role::Article => warc.is_some(),
        Visited::Fetched { .. } => brought > 0,
        Visited::NotModified | Visited::Gone | Visited::Redirected { .. } => false,
        Visited::Failed(_) | Visited::Forbidden | Visited::Postponed { .. } | Visited::Suspended(_) => return shortest,
    };
    let (numerator, denominator) = if is_new { (4, 5) } else { (7, 5) };
    (old.saturating_mul(numerator) / denominator).clamp(shortest, longest)
}

/// The longest time between two visits of a URL.
pub(super) fn longest_interval(crawl: &Crawl) -> Duration {
    crawl.max_revisit.0.max(crawl.revisit.0).max(crawl.revisit_lists.0)
}

/// The wait before a URL is tried again after `attempts` failures: doubled each time, and never past the longest delay.
pub(super) fn backoff(crawl: &Crawl, attempts: u32) -> Duration {
    let longest = crawl.max_delay.0.max(crawl.retry_delay.0);
    crawl.retry_delay.0.saturating_mul(1 << attempts.min(16)).min(longest)
}

/// Whether the same request may bring a page later.
pub(super) fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 522 | 524)
}

/// Whether the host itself is in trouble, or has had enough of us: then all of it is left alone, not this URL only.
pub(super) fn is_overloaded(response: &Response) -> bool {
    matches!(response.status, 429 | 503)
}

/// A pause made longer by up to a quarter, so that requests do not come as a clock's strokes. `seed` decides by how
/// much; a pause is never made shorter, since it may be the site's own wish.
pub(super) fn with_jitter(pause: Duration, seed: &[u8]) -> Duration {
    let hash = blake3::hash(seed);
    let [low, high, ..] = *hash.as_bytes();
    pause + pause.mul_f64(f64::from(u16::from_le_bytes([low, high])) / f64::from(u16::MAX) / 4.0)
}

/// An instant after another, as far as the calendar goes.
pub(super) fn later(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// An instant before another, as far as the calendar goes.
pub(super) fn earlier(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_sub(span).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Duration as Setting, PageId, WarcRef};

    fn visit(role: Role, interval: Option<u64>) -> Visit {
        Visit {
            id: PageId(1),
            url: "http://a.test/".into(),
            site: "a".into(),
            role,
            depth: 0,
            redirects: 0,
            attempts: 0,
            etag: None,
            last_modified: None,
            body_hash: None,
            is_lost: false,
            changed_at: None,
            interval,
        }
    }

    fn fetched(changed: bool) -> Visited {
        let warc = changed.then(|| WarcRef { file: "a".into(), offset: 0, length: 1 });
        Visited::Fetched { content_type: None, etag: None, last_modified: None, body_hash: "0".into(), warc }
    }

    const DAY: u64 = 86_400;

    #[test]
    fn articles_come_back_the_later_the_less_they_change() {
        let crawl = Crawl::default();
        let of = |old, visited: &Visited| interval(&crawl, &visit(Role::Article, old), visited, 0);
        assert_eq!(of(None, &fetched(true)), DAY, "a new one after a day");
        assert_eq!(of(Some(10 * DAY), &fetched(true)), 8 * DAY);
        assert_eq!(of(Some(10 * DAY), &fetched(false)), 14 * DAY, "the same bytes without ETag");
        assert_eq!(of(Some(10 * DAY), &Visited::NotModified), 14 * DAY);
        assert_eq!(of(Some(80 * DAY), &Visited::NotModified), 90 * DAY, "never later than the longest");
        assert_eq!(of(Some(DAY), &fetched(true)), DAY, "never sooner than the shortest");
        assert_eq!(of(Some(10 * DAY), &Visited::Failed("x".into())), DAY);
        assert_eq!(of(Some(10 * DAY), &Visited::Suspended("x".into())), DAY, "a maintenance page tells nothing");
    }

    #[test]
    fn list_pages_come_back_by_what_they_brought_and_entries_by_the_clock() {
        let crawl = Crawl::default();
        let hours =
            |role, visited: &Visited, brought| interval(&crawl, &visit(role, Some(20 * 3600)), visited, brought) / 3600;
        assert_eq!(hours(Role::Page, &fetched(true), 3), 16);
        assert_eq!(hours(Role::Page, &fetched(true), 0), 28, "other bytes, but no article that was not known");
        for role in [Role::Seed, Role::Sitemap, Role::Feed] {
            assert_eq!(hours(role, &Visited::NotModified, 0), 6);
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_delay() {
        let crawl = Crawl { retry_delay: Setting(Duration::from_secs(20)), ..Crawl::default() };
        let seconds: Vec<u64> = [0, 1, 2, 60].map(|attempts| backoff(&crawl, attempts).as_secs()).to_vec();
        assert_eq!(seconds, [20, 40, 60, 60]);
    }

    #[test]
    fn jitter_adds_up_to_a_quarter_and_never_shortens() {
        let second = Duration::from_secs(1);
        let pauses: Vec<Duration> = (0_u32..500).map(|seed| with_jitter(second, &seed.to_le_bytes())).collect();
        assert!(pauses.iter().all(|pause| (second..=second.mul_f64(1.25)).contains(pause)));
        let mean = pauses.iter().sum::<Duration>() / 500;
        assert!((1.1..1.15).contains(&mean.as_secs_f64()), "{mean:?}");
        assert_eq!(with_jitter(Duration::ZERO, b"x"), Duration::ZERO);
    }
}
