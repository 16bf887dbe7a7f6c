//! The processes that read books and pages: a bomb, a hang or a crash is one failed book, and a start is paid for once.
//!
//! ```text
//! kopri run ──▶ kopri read-book        as many at once as there are cores, each for one book after another
//!        │  [17, the job: the file, its limits]        ▶ standard input, a line of JSON for each book
//!        │  [17, page 1], [17, page 2], …, [17, book]  ◀ standard output, lines of JSON
//! ```
//!
//! A web page is asked for likewise, with its bytes behind the line. What is said of books here holds for pages; the time
//! of a page is the processor's, which the system limits.
//!
//! A process is started when there is a book and none that waits, and reads one book at a time, so that it is certain
//! which book it was that crashed it. It ends when its standard input does. It is replaced when it crashed, was ended for
//! its time, spoke out of turn, has read as many as one may, or keeps too much memory (it sees to that itself, see
//! `confine`).
//!
//! No book pays for those before it: one that fails in a process that has read others is read once more, in a new one,
//! and what happens there is what counts. Only a book whose time was over is not: that would double the time.
//!
//! The environment of these processes holds nothing but where programs and libraries are found.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::confine;
use super::reader::{Job, ReadBook, SUBCOMMAND};
use super::request::{Confines, Kind, Request};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::stage::pages::{PageJob, ReadPage};

/// What a process may write about one book: far more than the text of any.
const MAX_ANSWER: u64 = 1_000_000_000;
/// Answers that wait to be heard; a process that says more waits.
const UNHEARD: usize = 64;
/// The end of what a process says on standard error, in bytes: a panic, or that memory was refused.
const LAST_WORDS: usize = 4_000;
/// How long a process that has closed its standard output may take to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// What its environment keeps of ours.
const ENVIRONMENT: [&str; 8] =
    ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TESSDATA_PREFIX", "TMPDIR", "TEMP", "LANG", "SystemRoot"];

/// The processes that read books, all of one program. A clone is the same crew.
#[derive(Debug, Clone)]
pub struct Crew(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// A program that answers to [`SUBCOMMAND`].
    program: PathBuf,
    /// Those that wait for a book.
    waiting: Mutex<Vec<Member>>,
    /// Books that were given out: each has its number.
    books: AtomicU64,
}

/// Two crews of one program read alike.
impl PartialEq for Crew {
    fn eq(&self, other: &Self) -> bool {
        self.0.program == other.0.program
    }
}

impl Eq for Crew {}

/// What a process says, together with the number of the book of which it speaks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// A page is being read.
    Page(u32),
    /// A picture of a page is being recognised.
    Picture(u32),
    /// The book.
    Book(ReadBook),
    /// The web page.
    Html(ReadPage),
    /// There is no book.
    Failed {
        /// Why.
        message: String,
        /// Whether the reason lies in the file.
        lasting: bool,
    },
}

/// A process of the crew.
#[derive(Debug)]
struct Member {
    process: Running,
    jobs: ChildStdin,
    news: Receiver<News>,
    last_words: JoinHandle<String>,
    /// The limits to which it has confined itself, once and for all.
    limits: Confines,
    /// Books or pages that it was given.
    requests: u32,
}

/// A process that is ended when nobody wants it any more.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing is left to do when even this fails.
        let _ = confine::end(&mut self.0);
    }
}

/// What a process's standard output brings.
#[derive(Debug)]
enum News {
    Answer(u64, Answer),
    /// Its end.
    End,
    /// What was written is no answer.
    Nonsense(String),
}

/// Why there is no book.
enum Stop {
    /// The process says so.
    Failed { message: String, lasting: bool },
    /// Its time is over.
    Time,
    /// The process ended without a word.
    End,
    /// It said something that makes no sense.
    Nonsense(String),
}

/// Where a process was when it was last heard of.
#[derive(Default)]
struct Place(Option<Answer>);

impl Crew {
    /// A crew of a program that answers to [`SUBCOMMAND`]. Nothing is started yet.
    pub fn of(program: impl Into<PathBuf>) -> Self {
        let (program, waiting, books) = (program.into(), Mutex::default(), AtomicU64::default());
        Self(Arc::new(Shared { program, waiting, books }))
    }

    /// Ends the processes that wait for a book. The next book starts a new one.
    pub fn rest(&self) {
        self.waiting().clear();
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Member>> {
        // Whoever panicked has not left half a process here.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a book.
    pub(super) fn read(&self, job: &Job) -> Result<ReadBook> {
        match self.ask(&Request::Book(job.clone()), &[])? {
            Answer::Book(book) => Ok(book),
            other => Err(Error::bug(format!("asked for a book, a process answered {:.200}", format!("{other:?}")))),
        }
    }

    /// Reads a page.
    pub(super) fn page(&self, job: &PageJob, body: &[u8]) -> Result<ReadPage> {
        match self.ask(&Request::Page(job.clone(), body.len() as u64), body)? {
            Answer::Html(page) => Ok(page),
            other => Err(Error::bug(format!("asked for a page, a process answered {:.200}", format!("{other:?}")))),
        }
    }

    fn ask(&self, request: &Request, body: &[u8]) -> Result<Answer> {
        let number = self.0.books.fetch_add(1, Ordering::Relaxed);
        if let Some(mut member) = self.take(request) {
            let mut place = Place::default();
            match member.ask(number, request, body, &mut place) {
                // Perhaps by what others have left behind.
                Err(Stop::End | Stop::Nonsense(_)) => {}
                outcome => return self.conclude(member, outcome, request, &place),
            }
        }
        let mut member = Member::start(&self.0.program, request)?;
        let mut place = Place::default();
        let outcome = member.ask(number, request, body, &mut place);
        self.conclude(member, outcome, request, &place)
    }

    /// A process that waits and is as good as a new one.
    fn take(&self, request: &Request) -> Option<Member> {
        let limits = request.limits();
        loop {
            // The lock is not held while a process is ended.
            let (member, outdated) = {
                let mut waiting = self.waiting();
                let outdated: Vec<Member> = waiting
                    .extract_if(.., |member| member.limits.kind == limits.kind && member.limits != limits)
                    .collect();
                let place = waiting.iter().rposition(|member| member.limits == limits);
                (place.map(|place| waiting.swap_remove(place)), outdated)
            };
            drop(outdated);
            let member = member?;
            // Otherwise it has ended, or speaks although nobody asked.
            if matches!(member.news.try_recv(), Err(TryRecvError::Empty)) {
                return Some(member);
            }
        }
    }

    /// What came of a request; the process waits for the next one if it is fit for it.
    fn conclude(
        &self,
        member: Member,
        outcome: Result<Answer, Stop>,
        request: &Request,
        place: &Place,
    ) -> Result<Answer> {
        let stop = match outcome {
            Ok(answer) => {
                self.keep(member);
                return Ok(answer);
            }
            Err(Stop::Failed { message, lasting }) => {
                self.keep(member);
                let error = Error::input(message);
                return Err(if lasting { error.lasting() } else { error });
            }
            Err(stop) => stop,
        };
        let limits = request.limits();
        let place = place.words(limits.kind);
        let (status, last_words) = member
            .bury(matches!(stop, Stop::End))
            .context(ErrorKind::Input, || format!("waiting for the process that read the {}", limits.kind.name()))?;
        Err(match stop {
            Stop::Time => took_too_long(limits, &place),
            Stop::Nonsense(said) => {
                Error::input(format!("the process that read it gave no answer{place}; it said: {}", said.trim()))
            }
            Stop::Failed { .. } | Stop::End => why(status, &last_words, limits, &place),
        })
    }

    fn keep(&self, member: Member) {
        if member.requests < member.limits.kind.most() {
            self.waiting().push(member);
        }
    }
}

impl Member {
    fn start(program: &PathBuf, request: &Request) -> Result<Self> {
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
        let child =
            command.spawn().context(ErrorKind::Input, || format!("starting {} to read it", program.display()))?;
        let mut process = Running(child);
        let pipes = (process.0.stdin.take(), process.0.stdout.take(), process.0.stderr.take());
        let (Some(jobs), Some(stdout), Some(stderr)) = pipes else {
            return Err(Error::bug("a process without pipes"));
        };
        let (sender, news) = sync_channel(UNHEARD);
        // Both pipes end with the process, so the threads do too.
        std::thread::spawn(move || listen(stdout, &sender));
        let last_words = std::thread::spawn(move || last_words(stderr));
        Ok(Self { process, jobs, news, last_words, limits: request.limits(), requests: 0 })
    }

    fn ask(&mut self, number: u64, request: &Request, body: &[u8], place: &mut Place) -> Result<Answer, Stop> {
        let mut deadline = Instant::now() + self.limits.patience();
        self.requests += 1;
        // Neither can fail but by a path that is no text.
        let line = serde_json::to_string(&(number, request)).map_err(|error| Stop::Failed {
            message: format!("its path cannot be told to the process that reads it: {error}"),
            lasting: false,
        })? + "\n";
        // A process that does not even listen says why by how it ends.
        let _ = self.jobs.write_all(line.as_bytes()).and_then(|()| self.jobs.write_all(body));
        loop {
            match self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(News::Answer(of, answer)) if of != number => {
                    return Err(Stop::Nonsense(format!("{:.200}", format!("of another book: {answer:?}"))));
                }
                Ok(News::Answer(_, answer @ (Answer::Book(_) | Answer::Html(_)))) => return Ok(answer),
                Ok(News::Answer(_, Answer::Failed { message, lasting })) => {
                    return Err(Stop::Failed { message, lasting });
                }
                Ok(News::Answer(_, answer)) => {
                    // Each picture has a time of its own, which the process sees to; the book's time goes on behind it.
                    if let (Answer::Picture(_), Request::Book(Job { ocr: Some(ocr), .. })) = (&answer, request) {
                        deadline = deadline.max(Instant::now() + ocr.time) + FAREWELL;
                    }
                    place.0 = Some(answer);
                }
                Ok(News::Nonsense(line)) => return Err(Stop::Nonsense(line)),
                Ok(News::End) | Err(RecvTimeoutError::Disconnected) => return Err(Stop::End),
                Err(RecvTimeoutError::Timeout) => return Err(Stop::Time),
            }
        }
    }

    /// Ends it, with some patience if it is ending by itself; answers how it ended, and its last words.
    fn bury(self, patience: bool) -> std::io::Result<(ExitStatus, String)> {
        let Self { mut process, jobs, news, last_words, .. } = self;
        // It waits for neither any more.
        drop((jobs, news));
        let status = if patience { farewell(&mut process.0)? } else { confine::end(&mut process.0)? };
        // What it started may hold the other end of the pipe.
        drop(process);
        Ok((status, last_words.join().unwrap_or_default()))
    }
}

/// Hands on what a process writes, line by line, until it ends or writes too much about one book.
fn listen(stdout: ChildStdout, sender: &SyncSender<News>) {
    let mut lines = BufReader::new(stdout);
    let mut left = MAX_ANSWER;
    loop {
        let mut line = Vec::new();
        let news = match lines.by_ref().take(left).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => News::End,
            Ok(_) => match serde_json::from_slice(&line) {
                Ok((of, answer)) => News::Answer(of, answer),
                Err(_) => News::Nonsense(String::from_utf8_lossy(&line).chars().take(200).collect()),
            },
        };
        left = match &news {
            News::Answer(_, Answer::Book(_) | Answer::Html(_) | Answer::Failed { .. }) => MAX_ANSWER,
            _ => left.saturating_sub(line.len() as u64),
        };
        let last = !matches!(news, News::Answer(..));
        if sender.send(news).is_err() || last {
            return;
        }
    }
}

/// The end of what a process says on standard error; all of it is read, so that it never waits for us.
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

/// Waits for a process that has said all it will say, but not for ever.
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

/// Why a process ended without an answer, as far as its end tells. A crash lies in the program as well as in the file, or
/// in a system that has no memory left: it may pass.
fn why(status: ExitStatus, last_words: &str, limits: Confines, place: &str) -> Error {
    // What Rust's allocator says before it aborts.
    if last_words.contains("memory allocation of") {
        return Error::input(format!(
            "it needs more than the {} of memory allowed (extract.limits.{}-memory){place}",
            crate::record::Bytes(limits.memory),
            limits.kind.name()
        ))
        .lasting();
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        if limits.kind == Kind::Page && signal == rustix::process::Signal::XCPU.as_raw() {
            return took_too_long(limits, place);
        }
        let words = last_words.lines().last().map(|words| format!(": {words}")).unwrap_or_default();
        return Error::input(format!("the process that read it crashed (signal {signal}){place}{words}"));
    }
    let words = if last_words.is_empty() { "nothing" } else { last_words };
    Error::input(format!(
        "the process that read it ended without the {} ({status}){place}; it said: {words}",
        limits.kind.name()
    ))
}

fn took_too_long(limits: Confines, place: &str) -> Error {
    let what = match limits.kind {
        Kind::Book => "",
        Kind::Page => " of processor time",
    };
    Error::input(format!(
        "it took longer than the {}{what} allowed (extract.limits.{}-time){place}",
        crate::record::Duration(limits.time),
        limits.kind.name()
    ))
    .lasting()
}

impl Place {
    fn words(&self, kind: Kind) -> String {
        match self.0 {
            _ if kind == Kind::Page => String::new(),
            Some(Answer::Page(page)) => format!(", at page {page}"),
            Some(Answer::Picture(page)) => format!(", at a picture of page {page}"),
            _ => ", before its first page".into(),
        }
    }
}
