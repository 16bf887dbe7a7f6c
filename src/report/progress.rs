//! Progress while a run goes on: a bar on a terminal, a plain line every few seconds in a log, nothing under `--quiet`
//! but the units that failed.
//!
//! All calls may come from several threads. Nothing here decides anything: a run without a [`Progress`] would do the same.

use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::format::{count, duration, left, percent, plural, plural_of, printable, rate};
use crate::error::Error;

/// Columns of a stage's name: `neighbours ru-tk`.
const NAME_WIDTH: usize = 16;
/// In a log, a stage says at most this often how far it is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Failed units that a stage names; a site that is down would else fill the log.
const NAMED_FAILURES: u64 = 20;
/// How often a bar moves on its own, so that its time does not stand still during a long unit.
const TICK: Duration = Duration::from_millis(250);
/// Shown before an estimate of the remaining time means anything.
const ESTIMATE_AFTER: Duration = Duration::from_secs(2);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// A bar that is redrawn.
    Bar {
        /// With ANSI colours.
        colour: bool,
    },
    /// Plain lines.
    Lines,
    /// Failed units only.
    Quiet,
}

impl View {
    /// What suits stderr: `--quiet` before all, a bar on a terminal, lines elsewhere. A `NO_COLOR` that is not empty
    /// takes the colours, and a terminal that calls itself `dumb` gets lines.
    pub fn of_stderr(quiet: bool) -> Self {
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let terminal = std::io::stderr().is_terminal() && variable("TERM") != "dumb";
        Self::choose(quiet, terminal, variable("NO_COLOR").is_empty())
    }

    fn choose(quiet: bool, terminal: bool, colour: bool) -> Self {
        match (quiet, terminal) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bar { colour },
            (false, false) => Self::Lines,
        }
    }
}

/// Progress of a run, one stage after the other.
pub struct Progress {
    view: View,
    line_every: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    out: Box<dyn Write + Send>,
    stage: Option<Stage>,
}

struct Stage {
    name: String,
    unit_word: String,
    total: Option<u64>,
    done: u64,
    failed: u64,
    started: Instant,
    /// When a line was last written.
    told: Instant,
    message: String,
    /// The bar, in that view.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress on stderr.
    pub fn new(view: View) -> Self {
        Self::with_output(view, Box::new(std::io::stderr()), LINE_EVERY)
    }

    /// Lines into another place. A bar is always drawn on stderr.
    fn with_output(view: View, out: Box<dyn Write + Send>, line_every: Duration) -> Self {
        Self { view, line_every, inner: Mutex::new(Inner { out, stage: None }) }
    }

    /// Begins a stage of `total` units, each a `unit_word` (an English singular: `page`). `None` when nobody knows how
    /// many there will be. A stage that was not finished is finished first.
    pub fn stage(&self, name: &str, total: Option<u64>, unit_word: &str) {
        self.finish("");
        let mut inner = self.lock();
        let now = Instant::now();
        let stage = Stage {
            name: printable(name),
            unit_word: unit_word.to_owned(),
            total,
            done: 0,
            failed: 0,
            started: now,
            told: now,
            message: String::new(),
            bar: self.colour().map(|colour| new_bar(name, total, unit_word, colour)),
        };
        // A log tells what is under way, in case the run dies in it.
        if self.view == View::Lines && total != Some(0) {
            let how_much =
                total.map_or_else(|| "started".to_owned(), |total| format!("{} to do", plural(total, unit_word)));
            inner.say(&format!("{}: {how_much}", stage.name));
        }
        inner.stage = Some(stage);
    }

    /// Corrects the stage's total: a crawl learns of pages while it goes.
    pub fn total(&self, total: u64) {
        let colour = self.colour().unwrap_or(false);
        self.on_stage(|stage| {
            let was_known = stage.total.replace(total).is_some();
            if let Some(bar) = &stage.bar {
                bar.set_length(total);
                if !was_known {
                    bar.set_style(bar_style(true, &stage.unit_word, colour));
                }
            }
        });
    }

    /// So many more units are settled, whether done or failed.
    pub fn advance(&self, units: u64) {
        self.on_stage(|stage| {
            stage.done += units;
            if let Some(bar) = &stage.bar {
                bar.inc(units);
            }
        });
    }

    /// What is in hand: the current URL or book.
    pub fn message(&self, text: &str) {
        self.on_stage(|stage| {
            stage.message = printable(text);
            if let Some(bar) = &stage.bar {
                bar.set_message(stage.message.clone());
            }
        });
    }

    /// Ends the stage and leaves one line of it; `note` is added to that line.
    pub fn finish(&self, note: &str) {
        let mut inner = self.lock();
        let Some(stage) = inner.stage.take() else { return };
        if let Some(bar) = &stage.bar {
            bar.finish_and_clear();
        }
        if self.view != View::Quiet {
            inner.say(&stage.last_line(&printable(note)));
        }
    }

    /// Says that a unit failed, above the bar. It does not count as settled by that: [`Self::advance`] does.
    pub fn failed_unit(&self, stage: &str, unit: &str, error: &Error) {
        let mut inner = self.lock();
        let Inner { out, stage: running } = &mut *inner;
        let failed = running.as_mut().map_or(1, |running| {
            running.failed += 1;
            running.failed
        });
        let line = match failed {
            ..=NAMED_FAILURES => {
                format!("{}: failed: {}: {}", printable(stage), printable(unit), printable(&error.to_string()))
            }
            _ if failed == NAMED_FAILURES + 1 => {
                format!("{}: further failures are only counted; `kopri status` lists them", printable(stage))
            }
            _ => return,
        };
        match running.as_ref().and_then(|running| running.bar.as_ref()) {
            Some(bar) => bar.suspend(|| say(out, &line)),
            None => say(out, &line),
        }
    }

    /// Tells something that is no failure.
    pub fn note(&self, stage: &str, text: &str) {
        let mut inner = self.lock();
        let Inner { out, stage: running } = &mut *inner;
        let line = format!("{}: {}", printable(stage), printable(text));
        match running.as_ref().and_then(|running| running.bar.as_ref()) {
            Some(bar) => bar.suspend(|| say(out, &line)),
            None => say(out, &line),
        }
    }

    /// Whether the bar has colours; `None` when there is no bar.
    fn colour(&self) -> Option<bool> {
        match self.view {
            View::Bar { colour } => Some(colour),
            View::Lines | View::Quiet => None,
        }
    }

    /// Changes the stage, if one is running, and tells the log when it is time to.
    fn on_stage(&self, change: impl FnOnce(&mut Stage)) {
        let mut inner = self.lock();
        let Inner { out, stage } = &mut *inner;
        let Some(stage) = stage else { return };
        change(stage);
        if self.view == View::Lines && stage.told.elapsed() >= self.line_every {
            stage.told = Instant::now();
            say(out, &stage.line());
        }
    }

    /// A thread that panicked while it held the lock left at worst a wrong count.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    /// An error on its way up must not be printed into a bar.
    fn drop(&mut self) {
        if let Some(bar) = self.lock().stage.take().and_then(|stage| stage.bar) {
            bar.finish_and_clear();
        }
    }
}

impl Inner {
    fn say(&mut self, line: &str) {
        say(&mut self.out, line);
    }
}

/// Progress is a courtesy: when stderr is closed, the run goes on without it.
fn say(out: &mut impl Write, line: &str) {
    let _ = writeln!(out, "{line}");
}

impl Stage {
    fn line(&self) -> String {
        let state = state(self.done, self.total, self.started.elapsed(), &self.unit_word);
        let failed = if self.failed > 0 { format!(", {} failed", count(self.failed)) } else { String::new() };
        let message = if self.message.is_empty() { String::new() } else { format!(" · {}", self.message) };
        format!("{}: {state}{failed}{message}", self.name)
    }

    /// `crawl      1 204 of 12 480 pages in 3 min 12 s, 4 failed · interrupted`
    fn last_line(&self, note: &str) -> String {
        let units = match self.total {
            Some(total) if total > self.done => format!("{} of {}", count(self.done), plural(total, &self.unit_word)),
            _ => plural(self.done, &self.unit_word),
        };
        let failed = if self.failed > 0 { format!(", {} failed", count(self.failed)) } else { String::new() };
        let note = if note.is_empty() { String::new() } else { format!(" · {note}") };
        format!(
            "{} {units} in {}{failed}{note}",
            left(&self.name, NAME_WIDTH),
            duration(self.started.elapsed().as_secs_f64())
        )
    }
}

/// `1 204/12 480 pages (9.6 %), 6.3 pages/s, 30 min 04 s left`: what is known of it.
fn state(done: u64, total: Option<u64>, elapsed: Duration, unit_word: &str) -> String {
    let mut parts = vec![match total {
        Some(total) => format!("{}/{} {} ({})", count(done), count(total), plural_of(unit_word), percent(done, total)),
        None => plural(done, unit_word),
    }];
    parts.extend(rate(done, elapsed.as_secs_f64(), unit_word));
    parts.extend(remaining(done, total, elapsed).map(|time| format!("{time} left")));
    parts.join(", ")
}

/// The time left at the mean speed so far, to whole seconds: tenths would only flicker.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn remaining(done: u64, total: Option<u64>, elapsed: Duration) -> Option<String> {
    let left = total?.checked_sub(done).filter(|left| *left > 0)?;
    let known = done > 0 && elapsed >= ESTIMATE_AFTER;
    let seconds = known.then(|| (elapsed.as_secs_f64() / done as f64 * left as f64).ceil())?;
    Some(if seconds < 60.0 { format!("{seconds:.0} s") } else { duration(seconds) })
}

fn new_bar(name: &str, total: Option<u64>, unit_word: &str, colour: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    bar.set_style(bar_style(total.is_some(), unit_word, colour));
    bar.set_prefix(left(&printable(name), NAME_WIDTH));
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar where the total is known, else a spinner.
fn bar_style(known: bool, unit_word: &str, colour: bool) -> ProgressStyle {
    let unit_word = unit_word.to_owned();
    let template = match (known, colour) {
        (true, true) => "{prefix:.bold} {bar:20.cyan/dim} {state}  {wide_msg:.dim}",
        (true, false) => "{prefix} {bar:20} {state}  {wide_msg}",
        (false, true) => "{prefix:.bold} {spinner:.cyan} {state}  {wide_msg:.dim}",
        (false, false) => "{prefix} {spinner} {state}  {wide_msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("█▉▊▋▌▍▎▏░").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧ ").with_key(
        "state",
        move |bar: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&state(bar.pos(), bar.len(), bar.elapsed(), &unit_word));
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::sync::Arc;

    /// What was written, line by line.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn progress(&self, view: View, line_every: Duration) -> Progress {
            Progress::with_output(view, Box::new(self.clone()), line_every)
        }

        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn quiet_goes_before_the_terminal() {
        assert_eq!(View::choose(true, true, true), View::Quiet);
        assert_eq!(View::choose(false, true, false), View::Bar { colour: false });
        assert_eq!(View::choose(false, false, true), View::Lines);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let seconds = Duration::from_secs;
        assert_eq!(state(0, Some(12_480), seconds(0), "page"), "0/12 480 pages (0 %)");
        assert_eq!(
            state(1_204, Some(12_480), seconds(192), "page"),
            "1 204/12 480 pages (9.6 %), 6.3 pages/s, 29 min 59 s left"
        );
        assert_eq!(state(34, None, seconds(10), "page"), "34 pages, 3.4 pages/s");
        assert_eq!(state(3, Some(3), seconds(60), "book"), "3/3 books (100 %), 3.0 books/min");
        // The first moments say nothing about the speed, and a wrong total leaves nothing to wait for.
        assert_eq!(remaining(1, Some(100), Duration::from_millis(100)), None);
        assert_eq!(remaining(5, Some(4), seconds(9)), None);
        assert_eq!(remaining(9, Some(10), seconds(27)).as_deref(), Some("3 s"));
    }

    #[test]
    fn a_log_gets_few_lines() {
        let log = Log::default();
        let progress = log.progress(View::Lines, Duration::from_secs(3600));
        progress.stage("crawl", Some(500), "page");
        for page in 0..500 {
            progress.message(&format!("https://habar.example/{page}"));
            progress.advance(1);
        }
        progress.finish("2 sites");
        progress.stage("mine", Some(0), "pool");
        progress.finish("");
        let lines = log.lines();
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert_eq!(lines[0], "crawl: 500 pages to do");
        assert!(
            lines[1].starts_with("crawl            500 pages in ") && lines[1].ends_with("s · 2 sites"),
            "{}",
            lines[1]
        );
        assert!(lines[2].starts_with("mine             0 pools in "), "{}", lines[2]);
    }

    #[test]
    fn a_line_tells_how_far_it_is_and_what_is_in_hand() {
        let log = Log::default();
        let progress = log.progress(View::Lines, Duration::ZERO);
        progress.stage("crawl", None, "page");
        progress.message("https://habar.example/\u{1b}[2Ka");
        progress.total(4);
        progress.advance(1);
        progress.stage("extract", Some(1), "page");
        let lines = log.lines();
        assert_eq!(lines[0], "crawl: started");
        assert_eq!(lines[1], "crawl: 0 pages · https://habar.example/\u{fffd}[2Ka");
        assert!(lines[3].starts_with("crawl: 1/4 pages (25.0 %), "), "{}", lines[3]);
        // The next stage ended this one, and says so.
        assert!(lines[4].starts_with("crawl            1 of 4 pages in "), "{}", lines[4]);
        assert_eq!(lines[5], "extract: 1 page to do");
    }

    #[test]
    fn failures_are_named_until_they_would_flood_the_log() {
        let log = Log::default();
        let progress = log.progress(View::Quiet, Duration::ZERO);
        progress.stage("crawl", Some(1000), "page");
        let error = Error::new(ErrorKind::Network, "asking habar.example:\nno answer");
        for page in 0..1000 {
            progress.failed_unit("crawl", &format!("https://habar.example/{page}"), &error);
            progress.advance(1);
        }
        progress.finish("");
        let lines = log.lines();
        assert_eq!(lines.len(), 21);
        assert_eq!(lines[0], "crawl: failed: https://habar.example/0: asking habar.example: no answer");
        assert!(lines[20].contains("only counted"), "{}", lines[20]);
    }

    #[test]
    fn threads_may_share_it() {
        let log = Log::default();
        let progress = log.progress(View::Lines, Duration::from_secs(3600));
        progress.stage("embed", Some(400), "text");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| progress.advance(1)));
            }
        });
        progress.finish("");
        assert!(log.lines()[1].starts_with("embed            400 texts in "));
    }

    #[test]
    fn templates_are_well_formed() {
        for (known, colour) in [(true, true), (true, false), (false, true), (false, false)] {
            let _ = bar_style(known, "page", colour);
        }
    }
}
