//! How long to wait before the next request to a host: as long as the host itself needs to answer, within limits.
//!
//! The rule is the one of Scrapy's AutoThrottle extension (`scrapy/extensions/throttle.py`) at its target concurrency
//! of 1: the delay moves half-way towards the latency of the last answer when that is shorter, and follows it at once
//! when it is longer.

use std::time::Duration;

/// The limits of the delay between two requests to one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Politeness {
    /// Never shorter than this.
    pub min_delay: Duration,
    /// Never longer than this, unless robots.txt asks for more.
    pub max_delay: Duration,
}

/// The delay after an answer that took `latency` (request sent to headers received) and had this `status`, when the
/// delay before it was `old`.
///
/// `max(latency, (old + latency) / 2)`, clamped. Any status but 200 never lowers the delay: error pages come fast, and
/// would speed up a crawl of a server in trouble. A `Crawl-delay` is a lower bound, even above `max_delay`: it is the
/// site's word against ours.
pub fn next_delay(
    settings: &Politeness,
    crawl_delay: Option<Duration>,
    old: Duration,
    latency: Duration,
    status: u16,
) -> Duration {
    let shortest = settings.min_delay.max(crawl_delay.unwrap_or_default());
    let longest = settings.max_delay.max(shortest);
    let mut new = latency.max(old.saturating_add(latency) / 2);
    if status != 200 {
        new = new.max(old);
    }
    new.clamp(shortest, longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Politeness = Politeness { min_delay: Duration::from_secs(1), max_delay: Duration::from_secs(60) };

    fn delay(crawl_delay: Option<u64>, old_ms: u64, latency_ms: u64, status: u16) -> u128 {
        let crawl_delay = crawl_delay.map(Duration::from_secs);
        let (old, latency) = (Duration::from_millis(old_ms), Duration::from_millis(latency_ms));
        next_delay(&LIMITS, crawl_delay, old, latency, status).as_millis()
    }

    #[test]
    fn values_worked_by_hand() {
        assert_eq!(delay(None, 5000, 1000, 200), 3000, "half-way down: (5 + 1) / 2");
        assert_eq!(delay(None, 3000, 1000, 200), 2000, "and again: (3 + 1) / 2");
        assert_eq!(delay(None, 2000, 8000, 200), 8000, "up at once: max(8, 5)");
        assert_eq!(delay(None, 1000, 100, 200), 1000, "0.55 s lies under the minimum");
        assert_eq!(delay(None, 5000, 90_000, 200), 60_000, "90 s lies over the maximum");
    }

    #[test]
    fn only_an_answer_of_200_lowers_the_delay() {
        for status in [304, 404, 429, 500, 503] {
            assert_eq!(delay(None, 5000, 100, status), 5000);
        }
        assert_eq!(delay(None, 5000, 9000, 503), 9000, "it may raise it");
    }

    #[test]
    fn the_sites_own_delay_is_a_lower_bound() {
        assert_eq!(delay(Some(10), 5000, 1000, 200), 10_000);
        assert_eq!(delay(Some(0), 5000, 1000, 200), 3000);
        assert_eq!(delay(Some(120), 5000, 1000, 200), 120_000, "even above the maximum");
    }

    proptest! {
        #[test]
        fn always_within_the_limits(old in 0u64..100_000, latency in 0u64..100_000, status in 100u16..600) {
            let new = delay(None, old, latency, status);
            prop_assert!((1000..=60_000).contains(&new));
            if status != 200 {
                prop_assert!(new >= u128::from(old.min(60_000)));
            }
        }
    }
}
