//! How far one long task is, in one line of its own words: redrawn on a terminal, every ten seconds in a log, not at all
//! under `--quiet`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::format::{duration, printable};
use super::progress::View;

const REDRAW: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A line about one task.
#[derive(Debug)]
pub struct Meter {
    bar: Option<ProgressBar>,
    every: Option<Duration>,
    started: Instant,
    told: Instant,
}

impl Meter {
    /// A meter on standard error.
    pub fn new(view: View) -> Self {
        let now = Instant::now();
        let bar = matches!(view, View::Bar { .. }).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.with_style(ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let every = match view {
            View::Bar { .. } => Some(REDRAW),
            View::Lines => Some(LINE_EVERY),
            View::Quiet => None,
        };
        Self { bar, every, started: now, told: now }
    }

    /// How long the task has taken.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Says how far it is, when it is time to.
    pub fn show(&mut self, text: impl FnOnce(Duration) -> String) {
        if self.every.is_none_or(|every| self.told.elapsed() < every) {
            return;
        }
        self.told = Instant::now();
        let text = printable(&text(self.elapsed()));
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => say(&text),
        }
    }

    /// Says something that stays.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

fn say(text: &str) {
    // Nothing is left to do when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// Bytes for people: `812 MB`, `1.9 GB`.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub fn bytes(count: u64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let (mut size, mut unit) = (count as f64, 0);
    while size >= 999.5 && unit + 1 < units.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 || size >= 9.95 { format!("{size:.0} {}", units[unit]) } else { format!("{size:.1} {}", units[unit]) }
}

/// What is left, judged by what was done: `, 2 min 03 s left`. Nothing before two seconds have passed.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub fn left(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    match total {
        Some(total) if done > 0 && total > done && elapsed >= Duration::from_secs(2) => {
            let seconds = elapsed.as_secs_f64() * (total - done) as f64 / done as f64;
            format!(", {} left", duration(seconds))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_remaining_time() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(999_600), "1.0 MB");
        assert_eq!(bytes(1_883_000_000), "1.9 GB");
        assert_eq!(bytes(471_000_000), "471 MB");
        assert_eq!(left(10, Some(40), Duration::from_secs(10)), ", 30 s left");
        assert_eq!(left(10, Some(40), Duration::from_secs(1)), "");
        assert_eq!(left(10, None, Duration::from_secs(10)), "");
    }
}
