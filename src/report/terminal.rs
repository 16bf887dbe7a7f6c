//! The end-of-run summary for a terminal or a log: what was kept, how good it is, what failed and what to do about it,
//! and where the results lie.

use super::format::{
    NONE, columns, count, duration, instant, left, measure, percent, plural, printable, right, shorten, wrap,
};
use super::summary::{Alarm, Bar, Metric, Outcome, Summary, WaterfallStep, advice, pages_in_words};
use crate::record::Scope;
use crate::stage::agreement::question;

/// Failed units that are named, for each stage and kind.
const NAMED_FAILURES: usize = 3;
/// Books with pages that are left out that are named.
const NAMED_BOOKS: usize = 10;
/// Names of stages are cut to this many columns.
const WIDEST_STAGE: usize = 24;
/// Bars grow no wider than this, however wide the terminal is.
const WIDEST_BAR: usize = 44;
/// Narrower bars would not tell anything.
const NARROWEST_BAR: usize = 8;

/// Draws the summary, `width` columns wide (at least 40 are used); colours are ANSI sequences. Paths, URLs and failed
/// units are never cut, so that they can be copied: such a line may be longer. Ends with a line feed.
pub fn summary(summary: &Summary, width: usize, colour: bool) -> String {
    let mut page = Page { out: String::new(), width: width.max(40), colour };
    page.head(summary);
    page.alarms(summary);
    page.stages(summary);
    page.waterfall(summary);
    page.quality(summary);
    page.annotators(summary);
    page.books(summary);
    page.failures(summary);
    page.files(summary);
    page.out
}

/// An alarm by itself, for runs that end without a summary.
pub fn alarm(alarm: &Alarm) -> String {
    let Alarm { site, message, command, .. } = alarm;
    format!("alarm: {}: {}\n  {}", printable(site), printable(message), printable(command))
}

#[derive(Clone, Copy)]
enum Paint {
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
    /// The heading of a failure.
    BoldBad,
}

struct Page {
    out: String,
    width: usize,
    colour: bool,
}

impl Page {
    /// Text is measured and padded before it is painted, since the sequences take no columns.
    fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Good => "32",
            Paint::Warn => "33",
            Paint::Bad => "31",
            Paint::BoldBad => "1;31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn heading(&mut self, paint: Paint, text: &str) {
        let heading = self.paint(paint, text);
        self.line("");
        self.line(&heading);
    }

    /// Words in lines of the page's width behind an indent.
    fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.width - indent) {
            self.line(&format!("{}{line}", " ".repeat(indent)));
        }
    }

    fn head(&mut self, summary: &Summary) {
        let paint = match summary.outcome {
            Outcome::Done => Paint::Good,
            Outcome::SomeFailed
            | Outcome::Alarmed
            | Outcome::Attention
            | Outcome::Interrupted
            | Outcome::Unfinished => Paint::Warn,
            Outcome::GateFailed | Outcome::Failed => Paint::Bad,
        };
        let outcome = self.paint(paint, &format!("{} {}", summary.outcome.sign(), summary.outcome.words()));
        let name = self.paint(Paint::Bold, &printable(&summary.pipeline));
        self.line(&format!("{name}, run {}: {outcome}", count(summary.run)));
        let took = summary.seconds().map_or_else(String::new, |seconds| format!(", {}", duration(seconds)));
        self.paragraph(0, &format!("{}, {} UTC{took}", summary.languages(), instant(summary.started)));
        if let (Some(kept), Some(candidates)) = (summary.kept(), summary.candidates()) {
            let of = format!("{} ({})", plural(candidates, "candidate"), percent(kept, candidates));
            self.paragraph(0, &format!("{} kept of {of}", plural(kept, "pair")));
        }
    }

    /// Before all figures: they may be wrong for it.
    fn alarms(&mut self, summary: &Summary) {
        for alarm in &summary.alarms {
            self.heading(Paint::BoldBad, &format!("Alarm: {}", printable(&alarm.site)));
            self.paragraph(2, &printable(&alarm.message));
            self.paragraph(2, Alarm::ADVICE);
            self.line(&format!("  {}", printable(&alarm.command)));
        }
        if !summary.attention.is_empty() {
            self.heading(Paint::BoldBad, "Attention");
            summary.attention.iter().for_each(|text| self.paragraph(2, &printable(text)));
        }
    }

    fn stages(&mut self, summary: &Summary) {
        if summary.stages.is_empty() {
            return;
        }
        // A name with its language pair, such as `calibrate ru-tk`, is longer than that of a stage.
        let names = summary.stages.iter().map(|stage| columns(&printable(&stage.name)));
        let name = names.max().unwrap_or(0).clamp(11, WIDEST_STAGE);
        let heading =
            format!("{} {:>9} {:>7} {:>10} {:>12}", left("Stages", name), "done", "failed", "unchanged", "time");
        self.heading(Paint::Bold, &heading);
        let room = self.width.saturating_sub(name + 10 + 8 + 11 + 13 + 2);
        for stage in &summary.stages {
            let failed = right(&count(stage.failed), 7);
            let failed = if stage.failed > 0 { self.paint(Paint::Bad, &failed) } else { failed };
            let note = if room >= 12 { shorten(&printable(&stage.note), room) } else { String::new() };
            self.line(&format!(
                "{} {} {failed} {} {}  {}",
                left(&printable(&stage.name), name),
                right(&count(stage.done), 9),
                right(&count(stage.skipped_unchanged), 10),
                right(&duration(stage.seconds), 12),
                self.paint(Paint::Dim, &note)
            ));
        }
    }

    fn waterfall(&mut self, summary: &Summary) {
        if summary.waterfall.is_empty() {
            return;
        }
        self.heading(Paint::Bold, "From pages to pairs");
        let volumes: Vec<_> =
            summary.volumes().map(|row| format!("{} {}", count(row.count), printable(&row.label))).collect();
        self.paragraph(0, &volumes.join(" → "));
        for pair in &summary.pairs {
            if summary.pairs.len() > 1 {
                self.line(&format!("{} – {}", pair.source.name(), pair.target.name()));
            }
            self.bars(summary, *pair);
        }
    }

    /// The bars of one language pair.
    fn bars(&mut self, summary: &Summary, pair: Scope) {
        let bars = summary.bars(pair);
        let whole = summary.candidates_of(pair);
        // Figures first, then names, and a bar from what is left.
        let count_width = bars.iter().map(|bar| columns(&count(bar.count))).max().unwrap_or(0);
        let room = self.width.saturating_sub(count_width + 10);
        let label_width = bars.iter().map(|bar| columns(bar.label) + 2).max().unwrap_or(0).min(room);
        let bar_width = room.saturating_sub(label_width + 2).min(WIDEST_BAR);
        for bar in &bars {
            let sign = match bar.step {
                WaterfallStep::Dropped => '−',
                WaterfallStep::Kept => '=',
                WaterfallStep::Candidates | WaterfallStep::Volume => ' ',
            };
            let mut row = format!(
                "{} {} {}",
                left(&format!("{sign} {}", printable(bar.label)), label_width),
                right(&count(bar.count), count_width),
                right(&percent(bar.count, whole), 8)
            );
            if bar.step == WaterfallStep::Kept {
                row = self.paint(Paint::Good, &row);
            }
            if bar_width >= NARROWEST_BAR {
                row.push_str("  ");
                row.push_str(&self.blocks(bar, bar_width));
            }
            self.line(&row);
        }
        if let Some(rest) = summary.unaccounted(pair) {
            let text = format!("candidates less drops less kept leave {rest}: pairs not judged yet, or counted twice");
            self.paragraph(0, &text);
        }
    }

    /// The bar's span in blocks: full for kept, light for dropped. What is there at all shows at least one block.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 ≤ start ≤ end ≤ 1"
    )]
    fn blocks(&self, bar: &Bar<'_>, width: usize) -> String {
        let at = |share: f64| (share * width as f64).round() as usize;
        let length = (at(bar.end) - at(bar.start)).max(usize::from(bar.count > 0)).min(width);
        let offset = at(bar.start).min(width - length);
        let (block, paint) = match bar.step {
            WaterfallStep::Dropped => ("░", Paint::Warn),
            WaterfallStep::Kept => ("█", Paint::Good),
            WaterfallStep::Candidates | WaterfallStep::Volume => ("▒", Paint::Dim),
        };
        " ".repeat(offset) + &self.paint(paint, &block.repeat(length))
    }

    /// Books of which something is missing, and files that are no books.
    fn books(&mut self, summary: &Summary) {
        let torn: Vec<_> = summary.books.iter().filter(|book| book.left_out() > 0).collect();
        if torn.is_empty() && summary.notes.is_empty() {
            return;
        }
        self.heading(Paint::Bold, "Books");
        for book in torn.iter().take(NAMED_BOOKS) {
            self.line(&printable(&book.location));
            self.paragraph(2, &pages_in_words(book));
        }
        if torn.len() > NAMED_BOOKS {
            self.line(&format!("and {} more: kopri status", torn.len() - NAMED_BOOKS));
        }
        if let Some(book) = torn.first() {
            self.line(&format!("which and why: kopri show PIPELINE.toml {}", printable(&book.location)));
        }
        for note in &summary.notes {
            self.paragraph(0, &printable(note));
        }
    }

    fn quality(&mut self, summary: &Summary) {
        if summary.evaluation.is_empty() && summary.index.is_empty() {
            return;
        }
        self.heading(Paint::Bold, "Quality");
        let name_width = summary.evaluation.iter().map(|metric| columns(&metric.name)).max().unwrap_or(0);
        let name_width = name_width.min(self.width - 26);
        let widest_note = summary.evaluation.iter().map(|metric| columns(&metric.note)).max().unwrap_or(0);
        let notes_fit = name_width + 26 + widest_note <= self.width;
        for metric in &summary.evaluation {
            let name = left(&printable(&metric.name), name_width);
            let value = self.paint(Paint::Bold, &right(&measure(metric.value), 7));
            let (interval, note) = (left(&interval(metric), 16), printable(&metric.note));
            if notes_fit {
                let note = self.paint(Paint::Dim, &note);
                self.line(&format!("{name} {value} {interval} {note}"));
            } else {
                self.line(&format!("{name} {value} {interval}"));
                for line in wrap(&note, self.width - 2) {
                    let line = self.paint(Paint::Dim, &line);
                    self.line(&format!("  {line}"));
                }
            }
        }
        for index in &summary.index {
            let recall = index.recall_at_k.map_or_else(
                || if index.kind == "exact" { "no neighbour is missed" } else { "recall not measured" }.to_owned(),
                |recall| {
                    format!("recall at {} {} on {}", index.k, measure(recall), plural(index.sample as u64, "query"))
                },
            );
            let graph = index.graph.map_or_else(String::new, |graph| format!("; {}", graph.told()));
            let took = duration(index.seconds);
            let pair = summary.prefix(index.pair);
            self.paragraph(0, &format!("{pair}index {}: {recall}, {took}{graph}", printable(&index.kind)));
        }
    }

    /// People's answers, once there are two people to compare.
    fn annotators(&mut self, summary: &Summary) {
        let Some(found) = summary.agreement.as_ref().filter(|found| found.people.len() > 1) else { return };
        let answers = found.people.iter().map(|person| person.answers as u64).sum();
        let (people, conflicts) = (found.people.len() as u64, found.all_conflicts as u64);
        self.heading(Paint::Bold, "Annotators");
        let counts = format!("{} of {}", plural(answers, "answer"), plural(people, "annotator"));
        self.paragraph(0, &format!("{counts}, {}: kopri agreement", plural(conflicts, "conflict")));
        for row in &found.questions {
            let interval = row.low.zip(row.high).map(|(low, high)| format!(" [{}, {}]", measure(low), measure(high)));
            let alpha = row.alpha.map_or_else(|| NONE.to_owned(), measure) + &interval.unwrap_or_default();
            let items = plural(row.items as u64, "item");
            self.paragraph(0, &format!("{}: alpha {alpha} on {items}", question(row.interface)));
        }
    }

    fn failures(&mut self, summary: &Summary) {
        for group in summary.failure_groups() {
            let number = group.failures.len();
            let what = format!(
                "Failed in {}: {}",
                printable(group.stage),
                plural(number as u64, &format!("{} error", group.kind))
            );
            self.heading(Paint::BoldBad, &what);
            self.paragraph(2, advice(group.kind));
            for failure in group.failures.iter().take(NAMED_FAILURES) {
                self.line(&format!("  • {}", printable(&failure.unit)));
                self.paragraph(4, &printable(&failure.message));
            }
            if number > NAMED_FAILURES {
                self.paragraph(2, &format!("and {} more: kopri status", count((number - NAMED_FAILURES) as u64)));
            }
        }
    }

    fn files(&mut self, summary: &Summary) {
        if summary.exports.is_empty() && summary.report.is_none() {
            return;
        }
        self.heading(Paint::Bold, "Written");
        let mut files: Vec<(String, &str)> = Vec::new();
        files.extend(summary.exports.iter().map(|(path, rows)| (plural(*rows, "row"), path.as_str())));
        files.extend(summary.report.iter().map(|path| ("report".to_owned(), path.as_str())));
        let width = files.iter().map(|(what, _)| columns(what)).max().unwrap_or(0);
        for (what, path) in files {
            self.line(&format!("{}  {}", right(&what, width), printable(path)));
        }
    }
}

/// `[0.921, 0.961]`, or nothing; an end that is not known is a dash.
fn interval(metric: &Metric) -> String {
    let end = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), measure);
    match (metric.low, metric.high) {
        (None, None) => String::new(),
        (low, high) => format!("[{}, {}]", end(low), end(high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_whole_summary_at_80_columns() {
        let expected = "\
turkmen-russian, run 42: ! done, some units failed
Russian – Turkmen, 2025-11-21 02:00 UTC, 12 min 04 s
25 464 pairs kept of 60 302 candidates (42.2 %)

Alarm: habar
  the profile's body selectors find nothing on 14 of 16 pages
  The site's layout may have changed: see what its selectors take now, and mend
  them in the pipeline file. The alarm holds until they are changed, or fit
  again.
  kopri site check nightly.toml https://habar.example/tm/habar/suw?id=5051

Stages           done  failed  unchanged         time
crawl           1 204       4     11 272   8 min 02 s  waited 6 min for a polit…
extract           311       1      9 620         14 s
segment           311       0      9 620        3.1 s
embed               9       0        287   1 min 32 s  LaBSE on the CPU
pair                1       0          0        4.0 s
align             148       0      4 402         22 s
mine                1       0          0   1 min 04 s  margin threshold 1.06
filter             60       0        543        5.8 s
export              3       0          0       740 ms

From pages to pairs
12 480 pages fetched → 9 931 documents → 301 223 sentences
  candidates, aligned 41 870   69.4 %  ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
  candidates, mined   18 432   30.6 %                              ▒▒▒▒▒▒▒▒▒▒▒▒▒
− annotator said no       14   <0.1 %                                          ░
− identical            1 204    2.0 %                                          ░
− other language       2 310    3.8 %                                         ░
− length               1 876    3.1 %                                       ░░
− length ratio         2 944    4.9 %                                     ░░
− numbers differ       1 511    2.5 %                                    ░
− score               21 877   36.3 %                     ░░░░░░░░░░░░░░░
− duplicate            3 102    5.1 %                   ░░
= kept                25 464   42.2 %  █████████████████

Quality
precision against gold            0.943 [0.921, 0.961]
  400 pairs judged by two annotators; 95 % bootstrap
recall against gold               0.872 [0.838, 0.904]
  of 512 aligned by hand in 12 documents
xsim error rate                   0.031
  Russian → Turkmen, 1012 sentences
chrF of the translation control    48.3 [47.1, 49.5]
  1012 sentences
index hnsw: recall at 8 0.987 on 1 000 queries, 42 s; graph of 1 234 texts, 34
of them new, 2 gone

Annotators
420 answers of 3 annotators, 31 conflicts: kopri agreement
yes, partly or no: alpha 0.712 [0.631, 0.784] on 180 items
similarity, 0 to 5: alpha 0.840 on 12 items

Failed in crawl: 4 network errors
  Often passes by itself: the next run asks again.
  • https://habar.example/ru/news/5101
    asking habar.example: no answer within 30 s
  • https://habar.example/tm/habar/5101
    asking habar.example: no answer within 30 s
  • https://habar.example/ru/news/5102
    asking habar.example: status 503
  and 1 more: kopri status

Failed in extract: 1 input error
  The file or page itself is wrong: mend it, or exclude it in the pipeline file.
  • книги/физика-8.pdf
    reading page 3 of книги/физика-8.pdf: the font F2 has no ToUnicode table

Written
25 464 rows  workspaces/nightly/export/ru-tk.tsv
25 464 rows  workspaces/nightly/export/ru-tk.tmx
34 838 rows  workspaces/nightly/export/dropped.jsonl
     report  workspaces/nightly/reports/run-42.html
";
        assert_eq!(summary(&sample::summary(), 80, false), expected);
    }

    #[test]
    fn a_narrow_terminal_keeps_the_figures() {
        let mut narrow = sample::summary();
        narrow.stages.truncate(1);
        narrow.alarms.clear();
        narrow.failures.truncate(1);
        narrow.waterfall.drain(4..11);
        narrow.waterfall[3].count = 50_443;
        narrow.evaluation.truncate(1);
        narrow.agreement = None;
        let expected = "\
turkmen-russian, run 42: ! done, some units failed
Russian – Turkmen, 2025-11-21 02:00 UTC,
12 min 04 s
25 464 pairs kept of 50 443 candidates
(50.5 %)

Stages           done  failed  unchanged         time
crawl           1 204       4     11 272   8 min 02 s

From pages to pairs
12 480 pages fetched → 9 931 documents →
301 223 sentences
  candidates, aligned 50 443    100 %
− score               21 877   43.4 %
− duplicate            3 102    6.1 %
= kept                25 464   50.5 %

Quality
precision aga…   0.943 [0.921, 0.961]
  400 pairs judged by two annotators; 95
  % bootstrap
index hnsw: recall at 8 0.987 on 1 000
queries, 42 s; graph of 1 234 texts, 34
of them new, 2 gone

Failed in crawl: 1 network error
  Often passes by itself: the next run
  asks again.
  • https://habar.example/ru/news/5101
    asking habar.example: no answer
    within 30 s

Written
25 464 rows  workspaces/nightly/export/ru-tk.tsv
25 464 rows  workspaces/nightly/export/ru-tk.tmx
34 838 rows  workspaces/nightly/export/dropped.jsonl
     report  workspaces/nightly/reports/run-42.html
";
        assert_eq!(summary(&narrow, 20, false), expected);
    }

    #[test]
    fn colours_move_nothing() {
        let painted = summary(&sample::summary(), 100, true);
        let mut plain = String::new();
        for (place, piece) in painted.split('\u{1b}').enumerate() {
            plain.push_str(if place == 0 { piece } else { piece.split_once('m').unwrap().1 });
        }
        let trimmed: Vec<_> = plain.lines().map(str::trim_end).collect();
        assert_eq!(trimmed, summary(&sample::summary(), 100, false).lines().collect::<Vec<_>>());
        assert!(painted.contains("\u{1b}[33m! done, some units failed\u{1b}[0m"));
    }

    #[test]
    fn cyrillic_and_turkmen_names_keep_the_columns() {
        let mut named = sample::summary();
        named.waterfall[3].label = "кандидаты, вровень".into();
        named.waterfall[4].label = "ýakyn goňşular".into();
        let text = summary(&named, 80, false);
        let ends: Vec<_> = text
            .lines()
            .filter(|line| line.contains('▒'))
            .map(|line| line.find(" %").map(|at| columns(&line[..at])))
            .collect();
        assert_eq!(ends, [Some(34), Some(34)], "{text}");
    }

    #[test]
    fn books_with_pages_left_out_and_files_that_nothing_names_are_told() {
        let book = |location: &str, scanned| crate::store::books::BookCounts {
            location: location.into(),
            pages: 120 + scanned,
            text: 116,
            ocr: 4,
            empty: 0,
            garbled: 0,
            scanned,
            repaired_fonts: 0,
            repaired: 0,
        };
        let mut told = sample::summary();
        told.books = vec![book("s/a.pdf", 15), book("s/whole.pdf", 0)];
        told.notes = vec!["shelf s: no pattern fits 1 of its 3 PDFs: x.pdf".into()];
        let expected = "\
Books
s/a.pdf
  135 pages: 116 text, 4 recognised; left out: 15 scanned
which and why: kopri show PIPELINE.toml s/a.pdf
shelf s: no pattern fits 1 of its 3 PDFs: x.pdf
";
        let text = summary(&told, 80, false);
        assert!(text.contains(expected) && !text.contains("whole.pdf"), "{text}");
    }

    #[test]
    fn what_did_not_take_place_is_left_out() {
        let mut empty = sample::summary();
        empty.finished = None;
        empty.outcome = Outcome::Interrupted;
        empty.stages.clear();
        empty.waterfall.clear();
        empty.evaluation.clear();
        empty.index.clear();
        empty.agreement = None;
        empty.alarms.clear();
        empty.failures.clear();
        empty.exports.clear();
        empty.report = None;
        let expected = "turkmen-russian, run 42: … interrupted\nRussian – Turkmen, 2025-11-21 02:00 UTC\n";
        assert_eq!(summary(&empty, 80, false), expected);
    }

    #[test]
    fn rows_that_do_not_add_up_are_told() {
        let mut lost = sample::summary();
        lost.waterfall.last_mut().unwrap().count -= 7;
        assert!(summary(&lost, 80, false).contains("less kept leave 7:"));
    }
}
