//! When to try again: a server restarts, a proxy loses it for a minute, or it asks to be left alone.

use std::time::Duration;

/// How long failures are put up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The pause after the first failure; doubled after each further one.
    pub first: Duration,
    /// No pause is longer, unless the server asks for it.
    pub longest: Duration,
    /// For a server that has not answered yet in this run: it may not be running at all.
    pub before_any_answer: Duration,
    /// For one that has: long enough to restart.
    pub after_an_answer: Duration,
}

impl Default for Patience {
    /// Pauses of 1 s, 2 s, … 30 s; a minute for a server never heard of, ten for one that was there.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            before_any_answer: Duration::from_secs(60),
            after_an_answer: Duration::from_secs(600),
        }
    }
}

impl Patience {
    /// The pause before the next attempt, after `failures` in a row (at least one) that began `since` ago; `None` when
    /// patience ends. `asked` is what the server asked for (`Retry-After`).
    pub fn pause(
        &self,
        failures: u32,
        since: Duration,
        asked: Option<Duration>,
        answered_before: bool,
    ) -> Option<Duration> {
        let limit = if answered_before { self.after_an_answer } else { self.before_any_answer };
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
        let pause = doubled.min(self.longest).max(asked.unwrap_or_default());
        (since.saturating_add(pause) <= limit).then_some(pause)
    }
}

/// Whether a status may be another one soon, for the same request.
pub fn is_for_now(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_end_with_patience() {
        let patience = Patience::default();
        let seconds = Duration::from_secs;
        let pause = |failures, since, asked: Option<u64>, known| {
            patience.pause(failures, seconds(since), asked.map(seconds), known).map(|pause| pause.as_secs())
        };
        assert_eq!([1, 2, 3, 4, 5, 6, 40].map(|n| pause(n, 0, None, true).unwrap()), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause(1, 0, Some(90), true), Some(90), "the server's word counts");
        assert_eq!(pause(3, 0, Some(1), true), Some(4), "but does not hurry us");
        assert_eq!(pause(1, 0, Some(3600), true), None, "an hour is more than patience has");
        assert_eq!((pause(6, 40, None, false), pause(6, 40, None, true)), (None, Some(30)));
        assert_eq!((pause(9, 570, None, true), pause(9, 571, None, true)), (Some(30), None));
    }

    #[test]
    fn what_the_request_itself_has_wrong_is_not_for_now() {
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(is_for_now));
        assert!(![200, 201, 204, 301, 400, 401, 403, 404, 409, 413, 501].into_iter().any(is_for_now));
    }
}
