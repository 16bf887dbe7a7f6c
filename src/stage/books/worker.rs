//! The child's side: reads one book within its limits.

use std::io::{BufRead as _, Write as _};

use super::reader::{Answer, Job, PageBox, ReadBlock, ReadBook};
use super::{confine, ocr};
use crate::error::{Context as _, ErrorKind, Result};
use crate::extract::pdf;
use crate::files;
use crate::record::{BookPage, PageState};

/// What a job may look like: a path and some settings.
const MAX_JOB: u64 = 1 << 20;

/// Reads the job from standard input and answers on standard output.
///
/// # Errors
/// Kind `Usage` when the input is no job; kind `Bug` when the limits are refused. A file that is at fault is an answer.
pub fn serve() -> Result<()> {
    let mut line = String::new();
    let mut input = std::io::Read::take(std::io::stdin().lock(), MAX_JOB);
    input.read_line(&mut line).context(ErrorKind::Usage, || "reading a job".into())?;
    let job: Job = serde_json::from_str(&line)
        .context(ErrorKind::Usage, || "reading a job: this command is for kopri itself".into())?;
    confine::confine(job.memory, job.time)?;
    let answer = match read(&job, Told::OnOutput) {
        Ok(book) => Answer::Book(book),
        Err(error) => Answer::Failed(error.to_string()),
    };
    write(&answer)
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
fn tell(place: Answer) {
    // Whoever waited is gone when this fails, and the answer will not be read either.
    let _ = write(&place);
}

fn write(answer: &Answer) -> Result<()> {
    let line = serde_json::to_string(answer).context(ErrorKind::Bug, || "writing an answer".into())? + "\n";
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
    let book = pdf::extract(&bytes, &limits)?;
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
    let repairs = book.repairs.iter().map(|repair| {
        let letters: Vec<String> =
            repair.letters.iter().map(|(from, to, times)| format!("{from} → {to} ({times})")).collect();
        format!("the font {} was read by the table {}: {}", repair.font, repair.table, letters.join(", "))
    });
    let repairs = repairs.collect();
    let mut read = ReadBook { content_hash, title: book.title, pages: pages.collect(), blocks, repairs };
    if let Some(job) = &job.ocr {
        ocr::recognise(&mut read, &bytes, &limits, job, told)?;
    }
    Ok(read)
}
