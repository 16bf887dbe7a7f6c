//! Character recognition of pages that are pictures, by Tesseract, if the user has it and asks for it.
//!
//! Runs in the process of the book, within its limits, picture by picture: the picture goes in on standard input, a
//! table of words with their confidence comes back.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::reader::{ReadBlock, ReadBook};
use super::worker::Told;
use crate::error::{Error, ErrorKind, Result};
use crate::extract::ocr::{Paragraph, confidence, has_its_letters, judge, paragraphs, without_running};
use crate::extract::pdf::{self, images};
use crate::record::{BlockKind, Language, PageOcr, PageState};

/// What the recogniser may write on one picture.
const MAX_TABLE: u64 = 50_000_000;
/// How long it may take to say which languages it knows.
const QUESTION: Duration = Duration::from_secs(20);

/// Whether pages that are pictures are recognised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ocr {
    /// They are left out.
    #[default]
    Off,
    /// By the program Tesseract.
    Tesseract,
}

/// How to recognise the pictures of one book.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OcrJob {
    /// The program.
    pub program: String,
    /// Its name for the book's language; `None` when the configuration knows none.
    pub pack: Option<String>,
    /// The book's language.
    pub language: Language,
    /// What it may be mistaken for.
    pub candidates: Vec<Language>,
    /// Paragraphs of less confidence are left out.
    pub min_confidence: f32,
    /// Time for one picture.
    pub time: Duration,
}

/// Recognises the pages of a book that are pictures, or whose text layer is garbled, and adds their text to it.
///
/// # Errors
/// Kind `Input`: the program or its language pack is missing; the message says what to install.
pub(super) fn recognise(
    book: &mut ReadBook,
    bytes: &[u8],
    limits: &pdf::Limits,
    job: &OcrJob,
    told: Told,
) -> Result<()> {
    let wanted: Vec<images::Wanted> = book
        .pages
        .iter()
        .filter(|page| page.is_left_out())
        .map(|page| images::Wanted { page: page.number, whole: page.state == PageState::Garbled })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut found: BTreeMap<u32, (PageOcr, Vec<Paragraph>)> = BTreeMap::new();
    if let Some(pack) = &job.pack {
        ask_for(&job.program, pack)?;
        images::pictures(bytes, limits, &wanted, |page, pictures| {
            let recognised = pictures.and_then(|pictures| {
                let mut text = Vec::new();
                for picture in &pictures {
                    told.picture(page);
                    text.extend(one(job, pack, picture)?);
                }
                Ok(text)
            });
            found.insert(page, gate(recognised, job));
            Ok(())
        })?;
    }
    without_running(found.values_mut().filter(|(ocr, _)| ocr.used).map(|(_, text)| text));
    gate_all(&mut found, job.language);
    for page in &mut book.pages {
        if let Some((ocr, text)) = found.remove(&page.number) {
            if ocr.used {
                let block = |text: Paragraph| ReadBlock {
                    kind: BlockKind::Paragraph,
                    text: text.text,
                    page: page.number,
                    boxes: Vec::new(),
                };
                book.blocks.extend(text.into_iter().map(block));
            }
            page.ocr = Some(ocr);
        } else if page.is_left_out() {
            let note = format!("extract.ocr-languages has no name for {}", job.language.name());
            page.ocr = Some(PageOcr { used: false, confidence: None, note });
        }
    }
    // Stable: the blocks of one page keep their order.
    book.blocks.sort_by_key(|block| block.page);
    Ok(())
}

/// What may be taken of one page.
fn gate(recognised: Result<Vec<Paragraph>, String>, job: &OcrJob) -> (PageOcr, Vec<Paragraph>) {
    let refused = |confidence, note| (PageOcr { used: false, confidence, note }, Vec::new());
    let mut text = match recognised {
        Ok(text) => text,
        Err(note) => return refused(None, note),
    };
    let (all, sure) = (text.len(), confidence(&text));
    text.retain(|paragraph| paragraph.confidence >= job.min_confidence);
    let Some(kept) = confidence(&text) else {
        let note = format!("none of {all} paragraphs is surer than {}", job.min_confidence);
        return refused(sure, note);
    };
    let joined: Vec<&str> = text.iter().map(|paragraph| paragraph.text.as_str()).collect();
    let joined = joined.join("\n\n");
    if let Err(note) = judge(&joined, job.language, &job.candidates) {
        return refused(sure, note);
    }
    match has_its_letters(&joined, job.language) {
        // The text is kept: it tells of the recogniser, and so of the book's other pages.
        Err(note) => (PageOcr { used: false, confidence: sure, note }, text),
        Ok(_) => {
            let note = format!("{} of {all} paragraphs, confidence {kept:.1}", text.len());
            (PageOcr { used: true, confidence: Some(kept), note }, text)
        }
    }
}

/// Short pages say little of the recogniser; all pages of the book together say more.
fn gate_all(found: &mut BTreeMap<u32, (PageOcr, Vec<Paragraph>)>, language: Language) {
    let recognised = found.values().flat_map(|(_, text)| text);
    let text: Vec<&str> = recognised.map(|paragraph| paragraph.text.as_str()).collect();
    let reason = match has_its_letters(&text.join("\n\n"), language) {
        Ok(Some(())) => return,
        Ok(None) => "too little text to tell whether the recogniser knows the letters of the language".to_owned(),
        Err(reason) => format!("of the book's recognised text: {reason}"),
    };
    for (ocr, _) in found.values_mut().filter(|(ocr, _)| ocr.used) {
        (ocr.used, ocr.note) = (false, reason.clone());
    }
}

/// The recogniser's version, as the first line of what it says; that of one that is not there is that it is not there.
pub(in crate::stage) fn version(program: &str) -> String {
    match run(Command::new(program).arg("--version"), &[], QUESTION) {
        // Old versions answer on standard error.
        Ok((told, complaint)) => {
            [told, complaint].iter().flat_map(|text| text.lines()).next().unwrap_or("").trim().into()
        }
        Err(Stop::Start(_)) => "missing".into(),
        Err(Stop::Other(_)) => "unknown".into(),
    }
}

/// Whether the program is there and knows the languages.
fn ask_for(program: &str, pack: &str) -> Result<()> {
    let off = "or set extract.ocr = \"off\"";
    let asked = run(Command::new(program).arg("--list-langs"), &[], QUESTION);
    let (told, complaint) = asked.map_err(|stop| match stop {
        Stop::Start(error) => Error::with_source(
            ErrorKind::Input,
            format!(
                "some of its pages are pictures, and {program:?} cannot be started to recognise them: install Tesseract \
                 (Debian: apt-get install tesseract-ocr), name it as extract.ocr-program, {off}"
            ),
            error,
        ),
        Stop::Other(reason) => Error::input(format!("asking {program:?} for its languages: {reason}")),
    })?;
    // Old versions answer on standard error.
    let known: Vec<&str> = told.lines().chain(complaint.lines()).map(str::trim).collect();
    match pack.split('+').find(|name| !known.contains(name)) {
        Some(missing) => Err(Error::input(format!(
            "some of its pages are pictures, and Tesseract has no language pack {missing:?}: install it (Debian: apt-get \
             install tesseract-ocr-{}), name another in extract.ocr-languages, {off}",
            missing.replace('_', "-")
        ))),
        None => Ok(()),
    }
}

/// The text of one picture, or why there is none.
fn one(job: &OcrJob, pack: &str, picture: &images::Picture) -> Result<Vec<Paragraph>, String> {
    let mut command = Command::new(&job.program);
    command.args(["stdin", "stdout", "-l", pack, "--dpi", &picture.dpi.to_string(), "tsv"]);
    match run(&mut command, &picture.bytes, job.time) {
        Ok((table, _)) => paragraphs(&table),
        Err(Stop::Start(error)) => Err(format!("{:?} cannot be started: {error}", job.program)),
        Err(Stop::Other(reason)) => Err(format!("{reason} (a picture stored as {})", picture.extension)),
    }
}

/// Why a program gave no answer.
enum Stop {
    Start(std::io::Error),
    Other(String),
}

/// Runs a program on some input; answers what it wrote on both its outputs.
fn run(command: &mut Command, input: &[u8], time: Duration) -> Result<(String, String), Stop> {
    let other = |error: std::io::Error| Stop::Other(error.to_string());
    let deadline = Instant::now() + time;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(Stop::Start)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (status, told, complaint) = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that has seen enough closes its end.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(input);
            }
        });
        let told = scope.spawn(move || {
            let mut bytes = Vec::new();
            // What could be read until the program ended is what it said.
            let _ = stdout.map(|stdout| stdout.take(MAX_TABLE).read_to_end(&mut bytes));
            bytes
        });
        let complaint = scope.spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.map(|stderr| stderr.take(MAX_TABLE).read_to_end(&mut bytes));
            bytes
        });
        let status = loop {
            match child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => {
                    // It may have ended just now.
                    let _ = child.kill();
                    let _ = child.wait();
                    break Ok(None);
                }
                Ok(Some(status)) => break Ok(Some(status)),
                Err(error) => break Err(error),
            }
        };
        (status, told.join().unwrap_or_default(), complaint.join().unwrap_or_default())
    });
    let complaint = text(complaint);
    match status.map_err(other)? {
        Some(status) if status.success() => Ok((text(told), complaint)),
        Some(status) => {
            let last = complaint.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing");
            Err(Stop::Other(format!("the recogniser failed ({status}) and said: {last}")))
        }
        None => Err(Stop::Other(format!(
            "the recogniser took longer than the {} allowed (extract.limits.ocr-picture-time)",
            crate::record::Duration(time)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recogniser_found_out_on_one_page_is_believed_on_none() {
        let job = OcrJob {
            program: String::new(),
            pack: None,
            language: Language::TURKMEN,
            candidates: vec![Language::RUSSIAN, Language::TURKMEN],
            min_confidence: 80.0,
            time: Duration::ZERO,
        };
        let page = |text: String| gate(Ok(vec![Paragraph { text, confidence: 95.0 }]), &job);
        let short = "Suw tebigatda üç görnüşde bolýar we biz ony hemişe görýäris.";
        let long = short.replace('ý', "y").repeat(9);
        let mut found = BTreeMap::from([(1, page(short.into())), (2, page(long))]);
        assert!(found[&1].0.used && !found[&2].0.used, "{found:#?}");
        gate_all(&mut found, job.language);
        assert!(!found[&1].0.used && found[&1].0.note.contains("does not know this letter"), "{found:#?}");
    }
}
