//! Reading a book in a process of its own, with limits on memory and time: a bomb, a hang or a crash is one failed book.
//!
//! ```text
//! kopri run ──▶ kopri read-book        one for each book, as many at once as there are cores
//!        │  job: the file, the limits     ▶ standard input, one line of JSON
//!        │  page 1, page 2, …, the book   ◀ standard output, lines of JSON
//! ```
//!
//! The child's environment holds nothing but where programs and libraries are found.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::confine;
use super::ocr::OcrJob;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::extract::pdf;
use crate::record::{BlockKind, BookPage};

/// The subcommand to which the program answers as a child.
pub const SUBCOMMAND: &str = "read-book";
/// What a child may write: far more than the text of any book.
const MAX_ANSWER: u64 = 1_000_000_000;
/// The end of what a child says on standard error, in bytes: a panic, or that memory was refused.
const LAST_WORDS: usize = 4_000;
/// How long a child that has answered may take to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// What a child's environment keeps of ours.
const ENVIRONMENT: [&str; 8] =
    ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TESSDATA_PREFIX", "TMPDIR", "TEMP", "LANG", "SystemRoot"];

/// Who reads books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reader {
    /// Nobody was named.
    #[default]
    Missing,
    /// A program that answers to [`SUBCOMMAND`]: `kopri` itself.
    Worker(PathBuf),
    /// This process, without limits on memory and time: a hostile file may end it.
    InProcess,
}

/// What is to be read, and what it may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The file.
    pub path: PathBuf,
    /// Pages that it may have.
    pub max_pages: u32,
    /// Bytes of memory for it.
    pub memory: u64,
    /// Time for it.
    pub time: Duration,
    /// How to recognise the text of pages that are pictures, if that is wanted.
    pub ocr: Option<OcrJob>,
}

/// A block of a book's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadBlock {
    /// What it is.
    pub kind: BlockKind,
    /// Its text.
    pub text: String,
    /// The page on which it begins, counted from 1.
    pub page: u32,
    /// Where it stands, as far as that is known: one box a column, or more where it goes on elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<PageBox>,
}

/// A box on a page, in points from the top left corner of the page as displayed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PageBox {
    /// The page, counted from 1.
    pub page: u32,
    /// Left edge.
    pub x0: f64,
    /// Upper edge.
    pub y0: f64,
    /// Right edge.
    pub x1: f64,
    /// Lower edge.
    pub y1: f64,
}

/// A book that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadBook {
    /// Hash of the bytes that were read.
    pub content_hash: String,
    /// The title that the file names.
    pub title: Option<String>,
    /// All pages, in order.
    pub pages: Vec<BookPage>,
    /// The text of those that can be used, in reading order.
    pub blocks: Vec<ReadBlock>,
    /// Fonts whose glyphs stood for other letters (Turkmen alphabets of the 1990s), and what was read instead, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
}

/// A line that a child writes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// A page is being read.
    Page(u32),
    /// A picture of a page is being recognised.
    Picture(u32),
    /// The book.
    Book(ReadBook),
    /// The file is at fault.
    Failed(String),
}

impl Reader {
    /// Reads a book.
    ///
    /// # Errors
    /// Kind `Input`: the file is damaged, needs a password, or cost more than it may; the message names the limit, and
    /// the page if that is known. Kind `Config` when there is nobody to read.
    pub fn read(&self, job: &Job) -> Result<ReadBook> {
        match self {
            Self::Missing => Err(Error::config(
                "nobody reads books: a program that uses kopri as a library names the `kopri` program as \
                 Pipeline::reader, or asks for Reader::InProcess",
            )),
            Self::InProcess => super::worker::read(job, super::worker::Told::Nobody),
            Self::Worker(program) => read_apart(program, job),
        }
    }
}

impl Reader {
    /// Reads a book that is no file, but bytes that came from elsewhere.
    ///
    /// # Errors
    /// Kind `Store` when they cannot be written down; else as [`Self::read`].
    pub fn read_bytes(&self, bytes: &[u8], job: &Job) -> Result<ReadBook> {
        let doing = || "keeping a book for the process that reads it".to_owned();
        let mut file = tempfile::NamedTempFile::new().context(ErrorKind::Store, doing)?;
        file.write_all(bytes).and_then(|()| file.flush()).context(ErrorKind::Store, doing)?;
        self.read(&Job { path: file.path().to_path_buf(), ..job.clone() })
    }
}

impl Job {
    /// What the PDF reader is told.
    pub(super) fn limits(&self, watch: Option<fn(u32)>) -> pdf::Limits {
        pdf::Limits { max_pages: self.max_pages as usize, watch, ..pdf::Limits::default() }
    }
}

/// A child that is ended when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing is left to do when even this fails.
        let _ = confine::end(&mut self.0);
    }
}

/// What the two pipes of a child bring.
enum News {
    Answer(Answer),
    /// The end of standard output: of an answer in full, or not.
    End,
    /// What was written is no answer.
    Nonsense(String),
}

/// Where a child was when it was last heard of.
#[derive(Default)]
struct Place(Option<Answer>);

fn read_apart(program: &Path, job: &Job) -> Result<ReadBook> {
    let deadline = Instant::now() + job.time;
    let mut child = start(program)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take())
    else {
        return Err(Error::bug("a child without pipes"));
    };
    let line = serde_json::to_string(job).context(ErrorKind::Bug, || "writing a job".into())? + "\n";
    // A child that does not even listen says why by how it ends.
    let _ = stdin.write_all(line.as_bytes());
    drop(stdin);
    let (sender, news) = channel();
    std::thread::scope(|scope| {
        scope.spawn(move || listen(stdout, &sender));
        let last_words = scope.spawn(move || last_words(stderr));
        let mut place = Place::default();
        let outcome = wait(&news, deadline, job, &mut place);
        // Both pipes end with the child, so the threads do too.
        let timed_out = matches!(outcome, Err(Stop::Time));
        let status = if timed_out { confine::end(&mut child.0) } else { farewell(&mut child.0) }
            .context(ErrorKind::Input, || "waiting for the process that read the book".into())?;
        let last_words = last_words.join().unwrap_or_default();
        match outcome {
            Ok(book) => Ok(book),
            Err(Stop::Failed(message)) => Err(Error::input(message)),
            Err(Stop::Time) => Err(Error::input(format!(
                "it took longer than the {} allowed (extract.limits.book-time){}",
                crate::record::Duration(job.time),
                place.words()
            ))),
            Err(Stop::Silence(said)) => Err(Error::input(why(status, &last_words, &said, job, &place))),
        }
    })
}

fn start(program: &Path) -> Result<Running> {
    let mut command = Command::new(program);
    command.arg(SUBCOMMAND).env_clear();
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // Books are read side by side; no recogniser needs all cores for itself.
    command.env("OMP_THREAD_LIMIT", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    confine::in_own_group(&mut command);
    let child = command.spawn().context(ErrorKind::Input, || format!("starting {} to read it", program.display()))?;
    Ok(Running(child))
}

/// Hands on what a child writes, line by line, until it ends or writes too much.
fn listen(stdout: ChildStdout, sender: &Sender<News>) {
    let mut lines = BufReader::new(stdout.take(MAX_ANSWER));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        let news = match read {
            Ok(0) | Err(_) => News::End,
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(answer) => News::Answer(answer),
                Err(_) => News::Nonsense(String::from_utf8_lossy(&line).chars().take(200).collect()),
            },
        };
        let last = !matches!(news, News::Answer(_));
        if sender.send(news).is_err() || last {
            return;
        }
    }
}

/// The end of what a child says on standard error; all of it is read, so that it never waits for us.
fn last_words(stderr: ChildStderr) -> String {
    let mut kept = VecDeque::new();
    let mut stderr = BufReader::new(stderr);
    loop {
        let length = match stderr.fill_buf() {
            Ok([]) | Err(_) => break,
            Ok(bytes) => {
                kept.extend(bytes.iter().copied());
                bytes.len()
            }
        };
        stderr.consume(length);
        kept.drain(..kept.len().saturating_sub(LAST_WORDS));
    }
    String::from_utf8_lossy(kept.make_contiguous()).trim().to_owned()
}

/// Why there is no book.
enum Stop {
    /// The child says so.
    Failed(String),
    /// Its time is over.
    Time,
    /// It ended without a word, or with one that makes no sense.
    Silence(String),
}

fn wait(news: &Receiver<News>, mut deadline: Instant, job: &Job, place: &mut Place) -> Result<ReadBook, Stop> {
    loop {
        match news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(News::Answer(Answer::Book(book))) => return Ok(book),
            Ok(News::Answer(Answer::Failed(message))) => return Err(Stop::Failed(message)),
            Ok(News::Answer(answer)) => {
                // Each picture has a time of its own, which the child sees to; the book's time goes on behind it.
                if let (Answer::Picture(_), Some(ocr)) = (&answer, &job.ocr) {
                    deadline = deadline.max(Instant::now() + ocr.time) + FAREWELL;
                }
                place.0 = Some(answer);
            }
            Ok(News::Nonsense(line)) => return Err(Stop::Silence(line)),
            Ok(News::End) | Err(RecvTimeoutError::Disconnected) => return Err(Stop::Silence(String::new())),
            Err(RecvTimeoutError::Timeout) => return Err(Stop::Time),
        }
    }
}

/// Waits for a child that has said all it will say, but not for ever.
fn farewell(child: &mut Child) -> std::io::Result<ExitStatus> {
    let deadline = Instant::now() + FAREWELL;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    confine::end(child)
}

/// Why a child ended without an answer, as far as its end tells.
fn why(status: ExitStatus, last_words: &str, said: &str, job: &Job, place: &Place) -> String {
    let place = place.words();
    // What Rust's allocator says before it aborts.
    if last_words.contains("memory allocation of") {
        return format!(
            "it needs more than the {} of memory allowed (extract.limits.book-memory){place}",
            crate::record::Bytes(job.memory)
        );
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let words = last_words.lines().last().filter(|_| !last_words.is_empty());
        let words = words.map(|words| format!(": {words}")).unwrap_or_default();
        return format!("the process that read it crashed (signal {signal}){place}{words}");
    }
    let words = [said.trim(), last_words].into_iter().find(|words| !words.is_empty()).unwrap_or("nothing");
    format!("the process that read it ended without the book ({status}){place}; it said: {words}")
}

impl Place {
    fn words(&self) -> String {
        match self.0 {
            Some(Answer::Page(page)) => format!(", at page {page}"),
            Some(Answer::Picture(page)) => format!(", at a picture of page {page}"),
            _ => ", before its first page".into(),
        }
    }
}
