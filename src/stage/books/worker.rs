//! The other process's side: reads one book or page after another within its limits.

use std::io::{BufRead as _, Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use super::confine::Confined;
use super::crew::Answer;
use super::ocr;
use super::reader::{Job, PageBox, ReadBlock, ReadBook};
use super::request::Request;
use crate::error::{Context as _, ErrorKind, Result};
use crate::extract::pdf;
use crate::files;
use crate::record::{BookPage, FontRepair, PageState};
use crate::stage::pages::PageReader;

/// What a job may look like: a path and some settings.
const MAX_JOB: u64 = 1 << 20;

/// The number of the book in hand.
static IN_HAND: AtomicU64 = AtomicU64::new(0);

/// Reads jobs from standard input, one after another, and answers on standard output; until the input ends, or this process
/// has grown too large for another book.
///
/// # Errors
/// Kind `Usage` when the input is no job; kind `Bug` when the limits are refused. A file that is at fault is an answer.
pub fn serve() -> Result<()> {
    let mut input = std::io::stdin().lock();
    let mut limits: Option<Confined> = None;
    let mut pages = PageReader::default();
    loop {
        let mut line = String::new();
        let length = input.by_ref().take(MAX_JOB).read_line(&mut line);
        if length.context(ErrorKind::Usage, || "reading a job".into())? == 0 {
            return Ok(());
        }
        let (number, request): (u64, Request) = serde_json::from_str(&line)
            .context(ErrorKind::Usage, || "reading a job: this command is for kopri itself".into())?;
        let confined = match limits {
            Some(confined) => confined,
            None => *limits.insert(Confined::new(request.limits())?),
        };
        confined.begin()?;
        IN_HAND.store(number, Ordering::Relaxed);
        let result = match &request {
            Request::Book(job) => read(job, Told::OnOutput).map(Answer::Book),
            Request::Page(job, length) => {
                let mut body = Vec::new();
                let read = input.by_ref().take(*length).read_to_end(&mut body);
                if read.context(ErrorKind::Usage, || "reading a page".into())? as u64 != *length {
                    return Ok(());
                }
                pages.read(job, &body).map(Answer::Html)
            }
        };
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => Answer::Failed { message: error.to_string(), lasting: error.is_lasting() },
        };
        write(&answer)?;
        drop(answer);
        if confined.is_grown() {
            return Ok(());
        }
    }
}

/// Who is told how far the reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Whoever started this process.
    OnOutput,
    /// Nobody.
    Nobody,
}

impl Told {
    /// That a picture of a page is being recognised.
    pub(super) fn picture(self, page: u32) {
        if self == Self::OnOutput {
            tell(Answer::Picture(page));
        }
    }
}

/// Says how far the reading has come.
#[expect(clippy::exit, reason = "the reader of PDFs only tells where it is, and cannot be told to stop")]
fn tell(place: Answer) {
    if write(&place).is_err() {
        // Whoever waited is gone, and the answer would not be read either.
        std::process::exit(crate::error::exit::STORE.into());
    }
}

fn write(answer: &Answer) -> Result<()> {
    let said = (IN_HAND.load(Ordering::Relaxed), answer);
    let line = serde_json::to_string(&said).context(ErrorKind::Bug, || "writing an answer".into())? + "\n";
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).context(ErrorKind::Store, || "answering".into())
}

/// Reads a book in this process.
pub(super) fn read(job: &Job, told: Told) -> Result<ReadBook> {
    let bytes = files::read(&job.path)?;
    let limits = job.limits(match told {
        Told::OnOutput => Some(|page| tell(Answer::Page(page))),
        Told::Nobody => None,
    });
    // Damaged, locked or too large it stays, whoever reads it.
    let book = pdf::extract(&bytes, &limits).map_err(crate::error::Error::lasting)?;
    let blocks = book
        .blocks
        .into_iter()
        .map(|block| {
            let boxes = block.boxes.iter().map(|area| {
                let pdf::Area { page, x0, y0, x1, y1 } = *area;
                PageBox { page, x0, y0, x1, y1 }
            });
            ReadBlock { kind: block.kind, text: block.text, page: block.page, boxes: boxes.collect() }
        })
        .collect();
    let pages = book.pages.into_iter().map(|page| BookPage {
        number: page.number,
        state: match page.state {
            pdf::PageState::Text => PageState::Text,
            pdf::PageState::Garbled => PageState::Garbled,
            pdf::PageState::Scanned => PageState::Scanned,
            pdf::PageState::Empty => PageState::Empty,
        },
        evidence: page.evidence,
        ocr: None,
    });
    let content_hash = blake3::hash(&bytes).to_hex().to_string();
    let repairs = book.repairs.into_iter().map(|repair| FontRepair {
        font: repair.font,
        table: repair.table.to_owned(),
        letters: repair.letters.into_iter().map(|(sign, letter, times)| (sign, letter, times as u64)).collect(),
    });
    let repairs = repairs.collect();
    let mut read = ReadBook { content_hash, title: book.title, pages: pages.collect(), blocks, repairs };
    if let Some(job) = &job.ocr {
        ocr::recognise(&mut read, &bytes, &limits, job, told)?;
    }
    Ok(read)
}
