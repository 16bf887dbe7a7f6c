//! The child's side: reads one book within its limits.

use std::io::{BufRead as _, Write as _};

use super::reader::{Answer, Job, ReadBlock, ReadBook};
use super::{confine, ocr};
use crate::error::{Context as _, ErrorKind, Result};
use crate::extract::pdf;
use crate::files;

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
    let answer = match read(&job, &mut |place| {
        // Whoever waited is gone when this fails, and the answer will not be read either.
        let _ = write(&place);
    }) {
        Ok(book) => Answer::Book(book),
        Err(error) => Answer::Failed(error.to_string()),
    };
    write(&answer)
}

fn write(answer: &Answer) -> Result<()> {
    let line = serde_json::to_string(answer).context(ErrorKind::Bug, || "writing an answer".into())? + "\n";
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).context(ErrorKind::Store, || "answering".into())
}

/// Reads a book in this process.
pub(super) fn read(job: &Job, watch: &mut (dyn FnMut(Answer) + Send)) -> Result<ReadBook> {
    let bytes = files::read(&job.path)?;
    let limits = job.limits();
    let book = pdf::extract_watched(&bytes, &limits, |page| watch(Answer::Page(page)))?;
    let blocks = book
        .blocks
        .into_iter()
        .map(|block| ReadBlock { kind: block.kind, text: block.text, page: block.page, area: None })
        .collect();
    let content_hash = blake3::hash(&bytes).to_hex().to_string();
    let mut read = ReadBook { content_hash, title: book.title, pages: book.pages, blocks };
    if let Some(job) = &job.ocr {
        ocr::recognise(&mut read, &bytes, &limits, job, watch)?;
    }
    Ok(read)
}
