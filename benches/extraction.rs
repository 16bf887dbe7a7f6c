//! How well and how fast pages are read that nobody has described, on sets whose text others have marked:
//!
//! ```text
//! cargo bench --bench extraction -- DATA_DIR [--python PYTHON] [--list-misses]
//! ```
//!
//! `DATA_DIR` holds, as folders or as `*.tar.xz` in any folder of it, the evaluation set of trafilatura
//! (`html_trafilatura_eval`, with `evaldata.json`) and the test pages of Readability (`html_readability`).
//!
//! 1. *Segments*: every page of trafilatura's set names text that has to be found and text that must not be. As its own
//!    evaluation does: white space folded, a segment counts if it stands in the text, one P/R/F1 over all pages. The
//!    text is the body's blocks; the title that we keep apart from them is not counted. By a hash of the file's name
//!    the pages fall in two halves: rules are tried on A and checked on B.
//! 2. *Text*: Readability's pages have their whole text. Four words in a row are one shingle; precision and recall are
//!    means over pages.
//! 3. *Speed* over the pages of trafilatura's set, from bytes to blocks, on one core and on all. With `--python`,
//!    trafilatura runs on the same pages, see `trafilatura_speed.py`.
#![allow(clippy::print_stdout, reason = "the report is what this program is for")]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use kopri::extract::{charset, html};
use rayon::prelude::*;
use scraper::Html;
use serde_json::Value;
use url::Url;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "cargo bench --bench extraction -- DATA_DIR [--python PYTHON] [--list-misses]";

fn main() -> Outcome<()> {
    let (mut data, mut python, mut list_misses) = (None, None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--bench" => {} // Cargo's own
            "--python" => python = Some(arguments.next().ok_or(USAGE)?),
            "--list-misses" => list_misses = true,
            _ if argument.starts_with('-') => return Err(USAGE.into()),
            _ => data = Some(PathBuf::from(argument)),
        }
    }
    let Some(data) = data else {
        println!("extraction: passed over, it needs data: {USAGE}");
        return Ok(());
    };
    let unpacked = tempfile::tempdir()?;
    let segments = folder(&data, "html_trafilatura_eval", unpacked.path())?;
    let pages = segment_pages(&segments)?;
    score_segments(&pages, list_misses);
    score_text(&folder(&data, "html_readability", unpacked.path())?.join("test/test-pages"), list_misses)?;
    let ours = speed(&pages)?;
    if let Some(python) = python {
        compare(&python, &segments, ours)?;
    }
    Ok(())
}

/// The folder of this name in `data`, or that of the archive of this name, unpacked into `target`.
fn folder(data: &Path, name: &str, target: &Path) -> Outcome<PathBuf> {
    let mut places = vec![data.to_owned()];
    for entry in fs::read_dir(data)? {
        places.push(entry?.path());
    }
    if let Some(found) = places.iter().map(|place| place.join(name)).find(|path| path.is_dir()) {
        return Ok(found);
    }
    let archive = places.iter().map(|place| place.join(format!("{name}.tar.xz"))).find(|path| path.is_file());
    let archive = archive.ok_or_else(|| format!("{}: neither {name} nor {name}.tar.xz", data.display()))?;
    let status = Command::new("tar").arg("xJf").arg(&archive).arg("-C").arg(target).status()?;
    if !status.success() {
        return Err(format!("tar cannot unpack {}", archive.display()).into());
    }
    Ok(target.join(name))
}

/// A page of trafilatura's set.
struct SegmentPage {
    file: String,
    url: Url,
    bytes: Vec<u8>,
    with: Vec<String>,
    without: Vec<String>,
}

/// The pages that have a file; says how many annotations have none.
fn segment_pages(set: &Path) -> Outcome<Vec<SegmentPage>> {
    let annotations: HashMap<String, Value> = serde_json::from_slice(&fs::read(set.join("evaldata.json"))?)?;
    let (mut pages, mut missing) = (Vec::new(), Vec::new());
    for (url, annotation) in &annotations {
        let file = annotation["file"].as_str().ok_or("an annotation without file")?.to_owned();
        let path = ["cache", "eval"].map(|place| set.join(place).join(&file)).into_iter().find(|path| path.is_file());
        let Some(path) = path else {
            missing.push(file);
            continue;
        };
        let texts = |key: &str| -> Vec<String> {
            annotation[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(fold).collect()
        };
        let (with, without) = (texts("with"), texts("without"));
        pages.push(SegmentPage { url: Url::parse(url)?, bytes: fs::read(path)?, with, without, file });
    }
    pages.sort_by(|one, other| one.file.cmp(&other.file));
    missing.sort();
    println!("segments: {} annotations, {} of them without a file in the set", annotations.len(), missing.len());
    if !missing.is_empty() {
        println!("  without a file: {}", missing.join(" "));
    }
    Ok(pages)
}

/// White space as trafilatura's evaluation folds it.
fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn body(bytes: &[u8], url: &Url) -> String {
    let page = html::extract(&charset::decode(bytes, None).text, url, None);
    page.blocks.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

#[derive(Default, Clone, Copy)]
struct Counts {
    found: usize,
    missed: usize,
    unwanted: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.found += other.found;
        self.missed += other.missed;
        self.unwanted += other.unwanted;
    }

    fn print(self, name: &str, pages: usize) {
        let ratio = |rest: usize| self.found as f64 / (self.found + rest).max(1) as f64;
        let f1 = 2.0 * self.found as f64 / (2 * self.found + self.missed + self.unwanted).max(1) as f64;
        let (precision, recall) = (ratio(self.unwanted), ratio(self.missed));
        println!("  {name:12} {pages:4} pages   P {precision:.3}  R {recall:.3}  F1 {f1:.4}");
    }
}

fn score_segments(pages: &[SegmentPage], list_misses: bool) {
    let texts: Vec<String> = pages.par_iter().map(|page| fold(&body(&page.bytes, &page.url))).collect();
    let mut halves = [(Counts::default(), 0), (Counts::default(), 0)];
    for (page, text) in pages.iter().zip(&texts) {
        let missed: Vec<&String> = page.with.iter().filter(|segment| !text.contains(&***segment)).collect();
        let unwanted: Vec<&String> = page.without.iter().filter(|segment| text.contains(&***segment)).collect();
        if list_misses && !(missed.is_empty() && unwanted.is_empty()) {
            println!("{} ({} characters)", page.file, text.chars().count());
            missed.iter().for_each(|segment| println!("  - {segment}"));
            unwanted.iter().for_each(|segment| println!("  + {segment}"));
        }
        let half = &mut halves[usize::from(blake3::hash(page.file.as_bytes()).as_bytes()[0] & 1)];
        let found = page.with.len() - missed.len();
        half.0.add(Counts { found, missed: missed.len(), unwanted: unwanted.len() });
        half.1 += 1;
    }
    let [(mut all, count), (other, other_count)] = halves;
    all.print("half A", count);
    other.print("half B", other_count);
    all.add(other);
    all.print("all", count + other_count);
}

fn score_text(folder: &Path, list_misses: bool) -> Outcome<()> {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    cases.sort();
    let url = Url::parse("http://fakehost/test/page.html")?; // Readability's own, for all of them
    let scores = cases.par_iter().map(|case| -> io::Result<Overlap> {
        let expected = Html::parse_document(&charset::decode(&fs::read(case.join("expected.html"))?, None).text);
        let text = body(&fs::read(case.join("source.html"))?, &url);
        Ok(Overlap::of(&text_of(&expected), &text))
    });
    let scores = scores.collect::<io::Result<Vec<Overlap>>>()?;
    for (case, score) in cases.iter().zip(&scores).filter(|_| list_misses) {
        let (precision, recall) = (score.precision.unwrap_or(1.0), score.recall.unwrap_or(1.0));
        if precision.min(recall) < 0.9 {
            println!("{}: P {precision:.2}  R {recall:.2}", case.file_name().unwrap_or_default().display());
        }
    }
    println!("text: Readability's {} test pages, shingles of 4 words", scores.len());
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let precision = mean(scores.iter().filter_map(|score| score.precision).collect());
    let recall = mean(scores.iter().filter_map(|score| score.recall).collect());
    let f1 = 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE);
    println!("  P {precision:.3}  R {recall:.3}  F1 {f1:.4}");
    Ok(())
}

/// All text of a page, its blocks apart as far as their beginnings tell.
fn text_of(page: &Html) -> String {
    const INLINE: [&str; 14] =
        ["a", "abbr", "b", "code", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "u"];
    let mut text = String::new();
    for node in page.root_element().descendants() {
        match (node.value().as_text(), node.value().as_element()) {
            (Some(piece), _) => text.push_str(piece),
            (_, Some(element)) if !INLINE.contains(&element.name()) => text.push(' '),
            _ => {}
        }
    }
    text
}

/// How much of a text is the expected one, and the reverse; `None` for a text without words.
struct Overlap {
    precision: Option<f64>,
    recall: Option<f64>,
}

impl Overlap {
    fn of(expected: &str, found: &str) -> Self {
        let (expected, found) = (words(expected), words(found));
        let (expected, found) = (shingles(&expected), shingles(&found));
        let common: usize =
            expected.iter().map(|(shingle, &count)| count.min(found.get(shingle).copied().unwrap_or(0))).sum();
        let share = |of: &HashMap<&[String], usize>| {
            let total: usize = of.values().sum();
            (total > 0).then(|| common as f64 / total as f64)
        };
        Self { precision: share(&found), recall: share(&expected) }
    }
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn shingles(words: &[String]) -> HashMap<&[String], usize> {
    let mut counts = HashMap::new();
    for shingle in words.windows(4.min(words.len()).max(1)) {
        *counts.entry(shingle).or_insert(0) += 1;
    }
    counts
}

/// Pages a second on one core and on all.
fn speed(pages: &[SegmentPage]) -> Outcome<[f64; 2]> {
    let megabytes = pages.iter().map(|page| page.bytes.len()).sum::<usize>() as f64 / 1e6;
    println!("speed: {} pages, {megabytes:.0} MB, from bytes to blocks", pages.len());
    let mut speeds = [0.0; 2];
    for (threads, speed) in [1, std::thread::available_parallelism()?.get()].into_iter().zip(&mut speeds) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let start = Instant::now();
        let characters: usize = pool.install(|| pages.par_iter().map(|page| body(&page.bytes, &page.url).len()).sum());
        *speed = pages.len() as f64 / start.elapsed().as_secs_f64();
        println!("  kopri, {threads} threads: {speed:.1} pages/s ({characters} bytes of text)");
    }
    Ok(speeds)
}

/// The same by trafilatura, with its score on the same pages.
fn compare(python: &str, set: &Path, ours: [f64; 2]) -> Outcome<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/trafilatura_speed.py");
    let output = Command::new(python).arg(script).arg(set).stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{python}: {}", output.status).into());
    }
    for (line, ours) in String::from_utf8(output.stdout)?.lines().zip(ours) {
        let run: Value = serde_json::from_str(line)?;
        let number = |key: &str| run[key].as_u64().unwrap_or(0) as usize;
        let theirs = run["pages_per_second"].as_f64().ok_or("no pages_per_second")?;
        let name = format!("trafilatura {}, {} processes", run["version"].as_str().unwrap_or("?"), number("processes"));
        println!("  {name}: {theirs:.1} pages/s; kopri is {:.1} times as fast", ours / theirs);
        let counts = Counts { found: number("found"), missed: number("missed"), unwanted: number("unwanted") };
        counts.print("trafilatura", number("pages"));
    }
    Ok(())
}
