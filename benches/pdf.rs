//! How well PDFs are read that nobody here has made, and what becomes of damaged ones:
//!
//! ```text
//! cargo bench --bench pdf -- DATA_DIR [--seconds LIMIT] [--differences]
//! ```
//!
//! 1. *Expected text*: every `X.pdf` of the folder beside which an `X.pdf.txt` (text in drawing order) or an
//!    `X.pdf-sorted.txt` (sorted by place) lies, as in the tests of PDFBox. Compared is the raw text of the pages
//!    ([`kopri::extract::pdf::text_layer`]), before running heads go and hyphens close, since the expected texts keep
//!    both. The similarity is 1 − the Levenshtein distance over the length of the longer text, white space folded.
//! 2. *Handmade cases*: the files `a…` to `j…` of `handmade-cases`, each a trap with a known text.
//! 3. *Outcomes*: every PDF under the folder: the states of its pages, or the error; time and peak memory. Each file is
//!    read by a process of its own, which is ended after the limit (60 seconds).
#![allow(clippy::print_stdout, reason = "the report is what this program is for")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kopri::extract::pdf::{self, Limits, PageState};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "cargo bench --bench pdf -- DATA_DIR [--seconds LIMIT] [--differences]";

fn main() -> Outcome<()> {
    let (mut data, mut limit, mut differences) = (None, Duration::from_secs(60), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--bench" => {} // Cargo's own
            "--read-one" => return read_one(Path::new(&arguments.next().ok_or(USAGE)?)),
            "--seconds" => limit = Duration::from_secs_f64(arguments.next().ok_or(USAGE)?.parse()?),
            "--differences" => differences = true,
            _ if argument.starts_with('-') => return Err(USAGE.into()),
            _ => data = Some(PathBuf::from(argument)),
        }
    }
    let Some(data) = data else {
        println!("pdf: passed over, it needs data: {USAGE}");
        return Ok(());
    };
    let mut files = Vec::new();
    collect(&data, &mut files)?;
    files.sort();
    let ends: Vec<End> = files.par_iter().map(|file| read_apart(file, limit)).collect();
    let read: Vec<(&Path, &End)> = files.iter().map(PathBuf::as_path).zip(&ends).collect();
    expected_texts(&data, &read, differences);
    handmade(&data, &read);
    outcomes(&data, &read);
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pdf")) {
            files.push(path);
        }
    }
    Ok(())
}

/// What a process that reads one file reports.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    /// The raw text of the pages.
    text: Option<String>,
    /// The states of the pages: text, garbled, scanned, empty.
    pages: [usize; 4],
    /// Letters that repair tables replaced.
    repaired: usize,
    /// Why pages are garbled.
    reasons: Vec<String>,
    error: Option<String>,
    seconds: f64,
    /// The most memory that the process held beyond what it began with, in megabytes.
    megabytes: f64,
}

#[derive(Debug)]
enum End {
    Read(Report),
    Crashed(String),
    TooSlow,
}

fn read_one(path: &Path) -> Outcome<()> {
    let bytes = fs::read(path)?;
    let before = megabytes("VmRSS:"); // libtorch, which the library links
    let start = Instant::now();
    let mut report = Report::default();
    match pdf::extract(&bytes, &Limits::default()) {
        Ok(book) => {
            report.repaired = book.repairs.iter().flat_map(|repair| &repair.letters).map(|letter| letter.2).sum();
            for page in &book.pages {
                report.pages[place(page.state)] += 1;
                if page.state == PageState::Garbled {
                    report.reasons.extend(page.evidence.rsplit(": ").next().map(str::to_owned));
                }
            }
        }
        Err(error) => report.error = Some(error.to_string()),
    }
    report.seconds = start.elapsed().as_secs_f64();
    report.text = pdf::text_layer(&bytes, &Limits::default()).ok().map(|pages| pages.join("\n"));
    report.megabytes = (megabytes("VmHWM:") - before).max(0.0);
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// A line of the kernel's record of this process; zero where there is none.
fn megabytes(key: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}

fn place(state: PageState) -> usize {
    match state {
        PageState::Text => 0,
        PageState::Garbled => 1,
        PageState::Scanned => 2,
        PageState::Empty => 3,
    }
}

/// Reads a file in a process of its own.
fn read_apart(path: &Path, limit: Duration) -> End {
    attempt(path, limit).unwrap_or_else(|error| End::Crashed(error.to_string()))
}

fn attempt(path: &Path, limit: Duration) -> Outcome<End> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--read-one")
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut pipe = child.stdout.take().ok_or("no pipe")?;
    let reader = std::thread::spawn(move || {
        let mut answer = String::new();
        pipe.read_to_string(&mut answer).map(|_| answer)
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(End::TooSlow);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if !status.success() {
        return Ok(End::Crashed(status.to_string()));
    }
    let answer = reader.join().map_err(|_| "the reader panicked")??;
    Ok(End::Read(serde_json::from_str(&answer)?))
}

/// White space folded: every run of it is one space.
fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn expected_texts(data: &Path, read: &[(&Path, &End)], differences: bool) {
    println!("expected texts: similarity of the raw page text to both, and the better one");
    let mut scores: Vec<[f64; 3]> = Vec::new();
    for (path, end) in read {
        let expected = |suffix: &str| {
            let text = fs::read(format!("{}{suffix}", path.display())).ok()?;
            Some(fold(String::from_utf8_lossy(&text).trim_start_matches('\u{FEFF}')))
        };
        let expected = [expected(".txt"), expected("-sorted.txt")];
        if expected.iter().all(Option::is_none) {
            continue;
        }
        let text = match end {
            End::Read(Report { text: Some(text), .. }) => fold(text),
            _ => String::new(),
        };
        let [drawn, sorted] = expected.each_ref().map(|expected| expected.as_deref().map(|it| similarity(it, &text)));
        let best = drawn.unwrap_or(0.0).max(sorted.unwrap_or(0.0));
        let shown = |score: Option<f64>| score.map_or("    –".to_owned(), |score| format!("{score:.3}"));
        let name = path.strip_prefix(data).unwrap_or(path).display();
        println!("  {}  {}  {best:.3}  {name}{}", shown(drawn), shown(sorted), remark(end));
        if differences && best < 0.95 {
            let short = |text: &str| text.chars().take(1500).collect::<String>();
            println!("    expected: {}", short(expected.iter().flatten().next().map_or("", String::as_str)));
            println!("    read:     {}", short(&text));
        }
        scores.push([drawn.unwrap_or(best), sorted.unwrap_or(best), best]);
    }
    let mean = |at: usize| scores.iter().map(|score| score[at]).sum::<f64>() / scores.len().max(1) as f64;
    println!("  {:.3}  {:.3}  {:.3}  mean of {} files", mean(0), mean(1), mean(2), scores.len());
}

/// What else a reader of the table should know.
fn remark(end: &End) -> String {
    match end {
        End::Read(report) => match (&report.error, report.pages) {
            (Some(error), _) => format!("  (error: {error})"),
            (None, [_, 0, ..]) => String::new(),
            (None, [_, garbled, ..]) => format!("  ({garbled} pages garbled)"),
        },
        End::Crashed(how) => format!("  (crashed: {how})"),
        End::TooSlow => "  (too slow)".to_owned(),
    }
}

/// 1 − the Levenshtein distance over the length of the longer text, in characters.
fn similarity(one: &str, other: &str) -> f64 {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let longer = one.len().max(other.len());
    if longer == 0 { 1.0 } else { 1.0 - distance(&one, &other) as f64 / longer as f64 }
}

/// The Levenshtein distance, 64 rows of the table at a time: a row differs from the one above by −1, 0 or 1, and words
/// of bits hold where it rises (`up`) and where it falls (`down`).
fn distance(pattern: &[char], text: &[char]) -> usize {
    if pattern.is_empty() {
        return text.len();
    }
    let blocks = pattern.len().div_ceil(64);
    let mut places: BTreeMap<char, Vec<u64>> = BTreeMap::new();
    for (at, &c) in pattern.iter().enumerate() {
        places.entry(c).or_insert_with(|| vec![0; blocks])[at / 64] |= 1 << (at % 64);
    }
    let nowhere = vec![0; blocks];
    let (mut up, mut down) = (vec![u64::MAX; blocks], vec![0_u64; blocks]);
    let mut distance = pattern.len();
    let last = 1_u64 << ((pattern.len() - 1) % 64);
    for c in text {
        let equal = places.get(c).unwrap_or(&nowhere);
        // What enters a block from the one above: the first row of the table rises by one with each column.
        let (mut rises, mut falls) = (1_u64, 0_u64);
        for block in 0..blocks {
            let (p, n) = (up[block], down[block]);
            let matches = equal[block] | falls;
            let x = ((matches & p).wrapping_add(p) ^ p) | matches;
            let (mut right, mut left) = (n | !(x | p), p & x);
            if block + 1 == blocks {
                distance = distance + usize::from(right & last != 0) - usize::from(left & last != 0);
            }
            let (next_rises, next_falls) = (right >> 63, left >> 63);
            right = right << 1 | rises;
            left = left << 1 | falls;
            let vertical = equal[block] | n;
            up[block] = left | !(vertical | right);
            down[block] = right & vertical;
            (rises, falls) = (next_rises, next_falls);
        }
    }
    distance
}

/// The texts of the handmade cases, by the beginning of the file's name; `None` must come out as garbled.
const HANDMADE: [(&str, Option<&str>); 13] = [
    ("a_", Some("Туркменистан строит школы")),
    ("b_", Some("Туркменистан строит школы")),
    ("b2_", Some("Туркменистан строит школы")),
    ("c_", Some("Туркменистан строит школы")),
    ("d_", Some("Туркменистан строит школы")),
    ("e_", None),
    ("f_", Some("Hello big world")),
    ("f2_", Some("Hello big world")),
    ("g_", Some("First line of text\nsecond line of text\nthird line")),
    ("g2_", Some("Each word placed")),
    ("h_", Some("Text inside a form")),
    (
        "i_",
        Some(
            "left col line 0\nleft col line 1\nleft col line 2\nleft col line 3\nright col line 0\nright col line 1\nright col line 2\nright col line 3",
        ),
    ),
    // The font of `xx` is missing: what it shows is unknown.
    ("j_", Some("before\n\u{FFFD}\u{FFFD}\nafter Q")),
];

fn handmade(data: &Path, read: &[(&Path, &End)]) {
    println!("handmade cases");
    let (mut right, mut all) = (0, 0);
    for (path, end) in read.iter().filter(|(path, _)| path.to_string_lossy().contains("handmade-cases")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((_, expected)) = HANDMADE.iter().find(|(start, _)| name.starts_with(start)) else { continue };
        let End::Read(report) = end else { continue };
        all += 1;
        let good = match expected {
            Some(expected) => report.text.as_deref() == Some(expected),
            None => report.pages == [0, 1, 0, 0],
        };
        right += usize::from(good);
        if !good {
            println!("  wrong: {}: {report:?}", path.strip_prefix(data).unwrap_or(path).display());
        }
    }
    println!("  {right} of {all} right");
}

/// Counts over one folder.
#[derive(Default)]
struct Tally {
    files: usize,
    pages: [usize; 4],
    failed: usize,
    crashed: usize,
    slow: usize,
    repaired: usize,
    seconds: f64,
    slowest: f64,
    megabytes: f64,
}

fn outcomes(data: &Path, read: &[(&Path, &End)]) {
    let mut folders: BTreeMap<String, Tally> = BTreeMap::new();
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut extremes: Vec<(f64, f64, String)> = Vec::new();
    for (path, end) in read {
        let inside = path.strip_prefix(data).unwrap_or(path);
        let folder = inside.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        for key in [folder.unwrap_or_default(), "all".to_owned()] {
            let tally = folders.entry(key).or_default();
            tally.files += 1;
            match end {
                End::Crashed(_) => tally.crashed += 1,
                End::TooSlow => tally.slow += 1,
                End::Read(report) => {
                    tally.failed += usize::from(report.error.is_some());
                    tally.pages.iter_mut().zip(report.pages).for_each(|(sum, count)| *sum += count);
                    tally.repaired += report.repaired;
                    tally.seconds += report.seconds;
                    tally.slowest = tally.slowest.max(report.seconds);
                    tally.megabytes = tally.megabytes.max(report.megabytes);
                }
            }
        }
        match end {
            End::Read(report) => {
                report.reasons.iter().for_each(|reason| *reasons.entry(reason.clone()).or_default() += 1);
                extremes.push((report.seconds, report.megabytes, inside.display().to_string()));
                if let Some(error) = &report.error {
                    *errors.entry(kind(error)).or_default() += 1;
                }
            }
            other => println!("  {}: {other:?}", inside.display()),
        }
    }
    println!("outcomes by folder");
    println!(
        "  files  text pages  garbled  scanned  empty  errors  crashed  too slow  repaired  seconds  slowest  peak MB"
    );
    for (name, tally) in &folders {
        let [text, garbled, scanned, empty] = tally.pages;
        println!(
            "  {:5}  {text:10}  {garbled:7}  {scanned:7}  {empty:5}  {:6}  {:7}  {:8}  {:8}  {:7.1}  {:7.2}  {:7.0}  {name}",
            tally.files,
            tally.failed,
            tally.crashed,
            tally.slow,
            tally.repaired,
            tally.seconds,
            tally.slowest,
            tally.megabytes
        );
    }
    println!("garbled pages");
    reasons.iter().for_each(|(reason, count)| println!("  {count:5}  {reason}"));
    println!("errors");
    errors.iter().for_each(|(error, count)| println!("  {count:5}  {error}"));
    println!("slowest and largest");
    extremes.sort_by(|a, b| b.0.total_cmp(&a.0));
    extremes.iter().take(3).for_each(|(seconds, _, name)| println!("  {seconds:.2} s  {name}"));
    extremes.sort_by(|a, b| b.1.total_cmp(&a.1));
    extremes.iter().take(3).for_each(|(_, megabytes, name)| println!("  {megabytes:.0} MB  {name}"));
}

/// An error without what differs from file to file.
fn kind(error: &str) -> String {
    let mut kind = String::new();
    for c in error.chars().take(100) {
        match c {
            c if c.is_ascii_digit() && kind.ends_with('#') => {}
            c if c.is_ascii_digit() => kind.push('#'),
            c => kind.push(c),
        }
    }
    kind
}
