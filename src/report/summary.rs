//! All that the report of one run shows, as plain data. The store fills it; [`super::terminal`] and [`super::html`]
//! draw it; `kopri report --json` writes it as it is.
//!
//! A list that is empty and a value that is `None` mean "not part of this run" and are shown as such, never as zero.

use serde::Serialize;

use crate::metric::reliability::Reliability;
use crate::record::{Language, Origin, PairId, Scope};
use crate::stage::agreement::Agreement;
use crate::store::books::BookCounts;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The pipeline's name.
    pub pipeline: String,
    /// Path of the workspace as the user gave it.
    pub workspace: String,
    /// The run's number in the workspace, counted from 1.
    pub run: u64,
    /// When it started.
    pub started: jiff::Timestamp,
    /// When it ended; `None` for a run that is still going or was killed.
    pub finished: Option<jiff::Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// The language pairs, in the pipeline's order.
    pub pairs: Vec<Scope>,
    /// The stages in the order in which they ran.
    pub stages: Vec<StageRow>,
    /// From pages to kept pairs, top to bottom; one language pair after the other.
    pub waterfall: Vec<WaterfallRow>,
    /// Scores of the judged pairs, one histogram an origin.
    pub histograms: Vec<Histogram>,
    /// Pairs to look at: best, borderline, dropped.
    pub samples: Vec<SampleGroup>,
    /// What each site and book shelf gave.
    pub sites: Vec<SiteRow>,
    /// What became of the pages of each book.
    pub books: Vec<BookCounts>,
    /// What a person should know, and no failure: files of a shelf that nothing names.
    pub notes: Vec<String>,
    /// The nearest-neighbour index of each language pair that used one.
    pub index: Vec<IndexReport>,
    /// How far the probabilities of each language pair can be trusted; without those that had too few examples.
    pub calibration: Vec<CalibrationReport>,
    /// Measured quality, most telling first.
    pub evaluation: Vec<Metric>,
    /// Who annotated and how far they agree; `None`: nobody did.
    pub agreement: Option<Agreement>,
    /// Sites whose layout has moved away from their profile.
    pub alarms: Vec<Alarm>,
    /// What cannot be as it was meant, with what to do about it.
    pub attention: Vec<String>,
    /// Units that failed when they were last tried, in order: in this run, or before it.
    pub failures: Vec<Failure>,
    /// Files written: path and rows.
    pub exports: Vec<(String, u64)>,
    /// Path of the HTML report, once it is known; the terminal summary names it.
    pub report: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything was done.
    Done,
    /// It ran to its end, but some units failed.
    SomeFailed,
    /// It ran to its end without a failure, but a site's layout has moved away from its profile.
    Alarmed,
    /// It ran to its end without a failure, but what it came to cannot be what was meant.
    Attention,
    /// It ran to its end, but a measured quality is under its floor.
    GateFailed,
    /// An error stopped it.
    Failed,
    /// The user stopped it; the next run goes on.
    Interrupted,
    /// It is still going, or was killed.
    Unfinished,
}

impl Outcome {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::SomeFailed => "done, some units failed",
            Self::Alarmed => "done, a site has changed",
            Self::Attention => "done, needs attention",
            Self::GateFailed => "quality under the floor",
            Self::Failed => "stopped by an error",
            Self::Interrupted => "interrupted",
            Self::Unfinished => "not finished",
        }
    }

    /// A sign that tells the cases apart without colour.
    pub fn sign(self) -> char {
        match self {
            Self::Done => '✓',
            Self::SomeFailed | Self::Alarmed | Self::Attention => '!',
            Self::GateFailed | Self::Failed => '✗',
            Self::Interrupted | Self::Unfinished => '…',
        }
    }
}

/// One stage of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageRow {
    /// `crawl`, `extract`, …
    pub name: String,
    /// Units done in this run.
    pub done: u64,
    /// Units failed in this run.
    pub failed: u64,
    /// Units that were done before and are unchanged.
    pub skipped_unchanged: u64,
    /// Wall-clock time, seconds.
    pub seconds: f64,
    /// What else is worth a glance; may be empty.
    pub note: String,
}

/// What a row of the waterfall counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaterfallStep {
    /// Something other than pairs (pages, documents, sentences): told as a figure, since bars of different things
    /// cannot be compared.
    Volume,
    /// Candidate pairs; several rows (aligned, mined) add up to the whole.
    Candidates,
    /// Pairs dropped for one reason.
    Dropped,
    /// Pairs kept.
    Kept,
}

/// One row of the waterfall.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WaterfallRow {
    /// The language pair that it counts; `None`: what all share, such as pages.
    pub pair: Option<Scope>,
    /// What is counted.
    pub step: WaterfallStep,
    /// Its name: `pages fetched`, `numbers differ`.
    pub label: String,
    /// How many.
    pub count: u64,
    /// What the rule holds, or what else there is to know; may be empty.
    pub note: String,
}

/// Scores of kept and dropped pairs in the same bins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Whose scores: an origin.
    pub name: String,
    /// Edges of the bins, ascending; one more than there are bins. A bin holds its lower edge; the last holds both.
    pub edges: Vec<f64>,
    /// Pairs kept, by bin.
    pub kept: Vec<u64>,
    /// Pairs dropped, by bin, whatever the reason.
    pub dropped: Vec<u64>,
    /// The score under which pairs are dropped.
    pub threshold: Option<f64>,
}

impl Histogram {
    /// `bins` empty bins of equal width between two finite scores.
    #[expect(clippy::cast_precision_loss, reason = "bins are few")]
    pub fn new(name: impl Into<String>, lowest: f64, highest: f64, bins: usize, threshold: Option<f64>) -> Self {
        let width = (highest - lowest) / bins as f64;
        let edges = (0..=bins).map(|edge| if edge == bins { highest } else { lowest + edge as f64 * width }).collect();
        Self { name: name.into(), edges, kept: vec![0; bins], dropped: vec![0; bins], threshold }
    }

    /// Counts one pair. A score beyond the edges falls into the outermost bin, so that the bars add up to all pairs;
    /// one that is no number is not counted.
    pub fn add(&mut self, score: f64, kept: bool) {
        let counts = if kept { &mut self.kept } else { &mut self.dropped };
        if counts.is_empty() || score.is_nan() {
            return;
        }
        let bin = self.edges.partition_point(|edge| *edge <= score).saturating_sub(1).min(counts.len() - 1);
        counts[bin] += 1;
    }
}

/// Pairs to look at together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleGroup {
    /// Heading.
    pub title: String,
    /// How they were chosen and what to look for.
    pub explanation: String,
    /// The languages of the pairs.
    pub languages: Scope,
    /// The pairs, in the order to read them in.
    pub pairs: Vec<SamplePair>,
}

/// One pair to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplePair {
    /// Its id, for `kopri show`.
    pub id: PairId,
    /// Text in the source language.
    pub source: String,
    /// Text in the target language.
    pub target: String,
    /// URL or book and page of the source; `None` for bare imported text.
    pub source_url: Option<String>,
    /// URL or book and page of the target; `None` for bare imported text.
    pub target_url: Option<String>,
    /// Rank in the pool, 0 to 1; higher is surer.
    pub score: f64,
    /// Cosine, −1 to 1; higher is nearer.
    pub similarity: Option<f64>,
    /// Ratio margin; 1 is no better than the neighbours, higher is better.
    pub margin: Option<f64>,
    /// How it was found.
    pub origin: Origin,
    /// Why it was dropped, with what the rule saw; `None` when it is kept.
    pub reason: Option<String>,
}

/// What one site or book shelf gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SiteRow {
    /// Its configured name.
    pub site: String,
    /// Documents by language, most first. What is missing from `documents` is of no certain language.
    pub languages: Vec<(Language, u64)>,
    /// Pages asked for in this run.
    pub pages: u64,
    /// Of them, articles.
    pub articles: u64,
    /// Pages that the server called unchanged (status 304).
    pub not_modified: u64,
    /// Pages that failed.
    pub errors: u64,
    /// Documents in the store.
    pub documents: u64,
    /// Documents that found their twin, in pairs.
    pub document_pairs: u64,
    /// Sentences in the store.
    pub sentences: u64,
    /// Pairs kept of which a side is from here.
    pub pairs_kept: u64,
}

/// How well the approximate index finds what an exact search finds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexReport {
    /// The language pair.
    pub pair: Scope,
    /// `hnsw` or `exact`.
    pub kind: String,
    /// Share of the true `k` nearest neighbours that the index finds, 0 to 1; `None` when not measured.
    pub recall_at_k: Option<f64>,
    /// Neighbours asked for.
    pub k: usize,
    /// Queries in the measurement.
    pub sample: usize,
    /// Time of building or updating, seconds.
    pub seconds: f64,
    /// What became of the graph of the night before; `None` without one.
    pub graph: Option<GraphReport>,
}

/// How a graph grew, in nodes; both directions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GraphReport {
    /// Were there and still stand for a text.
    pub kept: u64,
    /// Were inserted.
    pub inserted: u64,
    /// Stand for no text any more.
    pub gone: u64,
}

impl GraphReport {
    /// In words.
    pub fn told(&self) -> String {
        let counted = |number| super::format::plural(number, "text");
        format!("graph of {}, {} of them new, {} gone", counted(self.kept + self.inserted), self.inserted, self.gone)
    }
}

/// From figures to probabilities, and how far these can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationReport {
    /// The language pair.
    pub pair: Scope,
    /// The encoder.
    pub model: String,
    /// `logistic` or `isotonic`.
    pub method: String,
    /// When it was fitted.
    pub fitted: Option<jiff::Timestamp>,
    /// Pairs that people judged.
    pub annotated: usize,
    /// Pairs taken for right.
    pub sure: usize,
    /// Pairs made wrong: how, and how many.
    pub spoiled: Vec<(String, usize)>,
    /// What a standard deviation of each figure adds to the log-odds.
    pub weights: Vec<(String, f64)>,
    /// On examples held out.
    pub reliability: Reliability,
    /// Area under the ROC curve, on the same.
    pub auc: f64,
}

/// One measured quality.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// `precision against gold`, `chrF`, …
    pub name: String,
    /// Its value, in the metric's own range.
    pub value: f64,
    /// Lower end of the confidence interval, where one was computed.
    pub low: Option<f64>,
    /// Upper end of the confidence interval, where one was computed.
    pub high: Option<f64>,
    /// Against what and on how many; may be empty.
    pub note: String,
}

/// A site whose layout has moved away from its profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// The site's name.
    pub site: String,
    /// In words and figures.
    pub message: String,
    /// The page on which it shows most.
    pub example: String,
    /// The command to look at it.
    pub command: String,
}

impl Alarm {
    /// What a reader can do about it.
    pub const ADVICE: &str = "The site's layout may have changed: see what its selectors take now, and mend them in the \
                              pipeline file. The alarm holds until they are changed, or fit again.";
}

/// A unit that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its stage.
    pub stage: String,
    /// Its name inside the stage: a URL, a document id, a book.
    pub unit: String,
    /// [`crate::error::ErrorKind::name`].
    pub kind: String,
    /// The whole error in one line.
    pub message: String,
}

/// What a reader can do about failures of a kind ([`crate::error::ErrorKind::name`]).
pub fn advice(kind: &str) -> &'static str {
    match kind {
        "network" => "Often passes by itself: the next run asks again.",
        "input" => "The file or page itself is wrong: mend it, or exclude it in the pipeline file.",
        "config" => "Correct the pipeline file; `kopri config show --origin` says where each value comes from.",
        "usage" => "Correct the command line; `kopri help` lists what there is.",
        "store" => "Look at free disk space and the workspace's permissions; units that are done are kept.",
        "model" => "See whether the model and libtorch are in place: `kopri models list`.",
        "gate" => "Read the dropped and borderline samples before lowering the floor.",
        "interrupted" => "Run again to go on where it stopped.",
        "bug" => "A defect of kopri: please report it with this message.",
        _ => "`kopri status` lists the failed units.",
    }
}

/// Failures of one stage and kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FailureGroup<'a> {
    pub(crate) stage: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) failures: Vec<&'a Failure>,
}

/// A bar of the waterfall: from `start` to `end`, as shares (0 to 1) of all candidates.
#[derive(Debug, PartialEq)]
pub(crate) struct Bar<'a> {
    pub(crate) step: WaterfallStep,
    pub(crate) label: &'a str,
    pub(crate) note: &'a str,
    pub(crate) count: u64,
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// The pages of a book in words: `120 pages: 100 text, 4 recognised; left out: 15 scanned, 1 garbled`.
pub fn pages_in_words(book: &BookCounts) -> String {
    let list = |counts: &[(u64, &str)]| {
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        counts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    };
    let taken = list(&[(book.text, "text"), (book.ocr, "recognised"), (book.empty, "empty")]);
    let left_out = list(&[(book.scanned, "scanned"), (book.garbled, "garbled")]);
    let taken = if taken.is_empty() { "none with text".to_owned() } else { taken };
    let left_out = if left_out.is_empty() { left_out } else { format!("; left out: {left_out}") };
    let repaired = if book.repaired > 0 {
        let (letters, fonts) =
            (super::format::plural(book.repaired, "letter"), super::format::plural(book.repaired_fonts, "font"));
        format!("; {letters} of {fonts} read by a table")
    } else {
        String::new()
    };
    format!("{}: {taken}{left_out}{repaired}", super::format::plural(book.pages, "page"))
}

impl Summary {
    /// Wall-clock time of the run, seconds; `None` while it is not finished.
    pub fn seconds(&self) -> Option<f64> {
        self.finished.map(|finished| finished.duration_since(self.started).as_secs_f64())
    }

    /// The language pairs in words: `Russian – Turkmen, English – Turkmen`.
    pub fn languages(&self) -> String {
        let names = self.pairs.iter().map(|pair| format!("{} – {}", pair.source.name(), pair.target.name()));
        names.collect::<Vec<_>>().join(", ")
    }

    /// A prefix that tells language pairs apart, `ru-tk: `; empty where there is one.
    pub fn prefix(&self, pair: Scope) -> String {
        if self.pairs.len() > 1 { format!("{pair}: ") } else { String::new() }
    }

    /// All candidate pairs; `None` when the run made none of the waterfall.
    pub fn candidates(&self) -> Option<u64> {
        self.total(WaterfallStep::Candidates, None)
    }

    /// All pairs kept; `None` when the run judged none.
    pub fn kept(&self) -> Option<u64> {
        self.total(WaterfallStep::Kept, None)
    }

    /// The sum of a step's rows, of one language pair or of all.
    fn total(&self, step: WaterfallStep, pair: Option<Scope>) -> Option<u64> {
        let rows = self.waterfall.iter().filter(|row| row.step == step && (pair.is_none() || row.pair == pair));
        let mut rows = rows.map(|row| row.count).peekable();
        rows.peek().is_some().then(|| rows.sum())
    }

    /// What is told as figures: pages, documents, sentences.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &WaterfallRow> {
        self.waterfall.iter().filter(|row| row.step == WaterfallStep::Volume)
    }

    /// All candidates of a language pair.
    pub(crate) fn candidates_of(&self, pair: Scope) -> u64 {
        self.total(WaterfallStep::Candidates, Some(pair)).unwrap_or(0)
    }

    /// What is told as bars, of one language pair: candidates end to end, each drop cut from what was left, and what is kept.
    pub(crate) fn bars(&self, pair: Scope) -> Vec<Bar<'_>> {
        let whole = self.candidates_of(pair);
        let (mut gathered, mut left) = (0_u64, whole);
        let pairs = self.waterfall.iter().filter(|row| row.step != WaterfallStep::Volume && row.pair == Some(pair));
        let bars = pairs.map(|row| {
            let (from, to) = match row.step {
                WaterfallStep::Candidates => {
                    gathered += row.count;
                    (gathered - row.count, gathered)
                }
                WaterfallStep::Dropped => {
                    let before = left;
                    left = left.saturating_sub(row.count);
                    (left, before)
                }
                WaterfallStep::Kept | WaterfallStep::Volume => (0, row.count),
            };
            let share = |pairs: u64| super::format::fraction(pairs, whole).min(1.0);
            let (start, end) = (share(from), share(to));
            Bar { step: row.step, label: &row.label, note: &row.note, count: row.count, start, end }
        });
        bars.collect()
    }

    /// Candidates of a language pair less drops less kept, when that is not zero: pairs not judged yet, or a defect. Worth a
    /// line either way.
    pub(crate) fn unaccounted(&self, pair: Scope) -> Option<i128> {
        let total = |step| self.total(step, Some(pair)).map(i128::from);
        let (candidates, kept) = (total(WaterfallStep::Candidates)?, total(WaterfallStep::Kept)?);
        let dropped = total(WaterfallStep::Dropped).unwrap_or(0);
        Some(candidates - dropped - kept).filter(|rest| *rest != 0)
    }

    /// Failures by stage and kind, in the order of their first.
    pub(crate) fn failure_groups(&self) -> Vec<FailureGroup<'_>> {
        let mut groups: Vec<FailureGroup<'_>> = Vec::new();
        for failure in &self.failures {
            match groups.iter_mut().find(|group| group.stage == failure.stage && group.kind == failure.kind) {
                Some(group) => group.failures.push(failure),
                None => {
                    groups.push(FailureGroup { stage: &failure.stage, kind: &failure.kind, failures: vec![failure] })
                }
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::report::sample;

    #[test]
    fn drops_are_cut_from_what_was_left() {
        let row = |step, count| {
            let pair = (step != WaterfallStep::Volume).then_some(sample::PAIR);
            WaterfallRow { pair, step, label: String::new(), count, note: String::new() }
        };
        let summary = Summary {
            waterfall: vec![
                row(WaterfallStep::Volume, 9),
                row(WaterfallStep::Candidates, 60),
                row(WaterfallStep::Candidates, 40),
                row(WaterfallStep::Dropped, 25),
                row(WaterfallStep::Dropped, 50),
                row(WaterfallStep::Kept, 25),
            ],
            ..sample::summary()
        };
        let spans: Vec<_> = summary.bars(sample::PAIR).iter().map(|bar| (bar.start, bar.end)).collect();
        assert_eq!(spans, [(0.0, 0.6), (0.6, 1.0), (0.75, 1.0), (0.25, 0.75), (0.0, 0.25)]);
        assert_eq!(summary.unaccounted(sample::PAIR), None);
        assert_eq!((summary.candidates(), summary.kept()), (Some(100), Some(25)));
    }

    #[test]
    fn the_sample_adds_up_and_a_lost_pair_is_noticed() {
        let mut summary = sample::summary();
        assert_eq!(summary.unaccounted(sample::PAIR), None);
        summary.waterfall.last_mut().unwrap().count -= 3;
        assert_eq!(summary.unaccounted(sample::PAIR), Some(3));
        summary.waterfall.clear();
        assert_eq!((summary.unaccounted(sample::PAIR), summary.kept()), (None, None));
    }

    #[test]
    fn every_score_finds_a_bin() {
        let mut histogram = Histogram::new("aligned", 0.0, 1.0, 4, Some(0.5));
        assert_eq!(histogram.edges, [0.0, 0.25, 0.5, 0.75, 1.0]);
        for score in [0.0, 0.25, 0.74, 1.0, 7.0] {
            histogram.add(score, true);
        }
        histogram.add(-3.0, false);
        histogram.add(f64::NAN, false);
        assert_eq!(histogram.kept, [1, 1, 1, 2]);
        assert_eq!(histogram.dropped, [1, 0, 0, 0]);
    }

    #[test]
    fn every_kind_of_error_has_its_own_advice() {
        use ErrorKind::{Bug, Config, Gate, Input, Interrupted, Model, Network, Store, Usage};
        for kind in [Usage, Config, Input, Network, Store, Model, Gate, Interrupted, Bug] {
            assert_ne!(advice(kind.name()), advice("another"), "{kind:?}");
        }
    }

    #[test]
    fn failures_are_grouped_by_stage_and_kind() {
        let summary = sample::summary();
        let groups: Vec<_> =
            summary.failure_groups().iter().map(|group| (group.stage, group.kind, group.failures.len())).collect();
        assert_eq!(groups, [("crawl", "network", 4), ("extract", "input", 1)]);
    }
}
