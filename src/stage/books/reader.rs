//! What is asked of whoever reads a book, and what comes back.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::crew::Crew;
use super::ocr::OcrJob;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::extract::pdf;
use crate::record::{BlockKind, BookPage, FontRepair};
use crate::stage::pages::{PageJob, PageReader, ReadPage};

/// The subcommand to which the program answers when it reads books for itself.
pub const SUBCOMMAND: &str = "read-book";

/// Who reads books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reader {
    /// Nobody was named: books are refused, and pages are read in this process.
    #[default]
    Missing,
    /// Processes of a program that answers to [`SUBCOMMAND`]: `kopri` itself.
    Worker(Crew),
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
    /// Fonts whose glyphs stood for other letters (Turkmen alphabets of the 1990s), and what was read instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<FontRepair>,
}

impl Reader {
    /// A program that answers to [`SUBCOMMAND`].
    pub fn worker(program: impl Into<PathBuf>) -> Self {
        Self::Worker(Crew::of(program))
    }

    /// Ends what waits for a next book.
    pub fn rest(&self) {
        if let Self::Worker(crew) = self {
            crew.rest();
        }
    }

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
            Self::Worker(crew) => crew.read(job),
        }
    }

    /// Reads a web page of these bytes.
    ///
    /// # Errors
    /// Kind `Input`: it cost more than it may; the message names the limit. Kind `Config` for a profile that is wrong.
    pub fn page(&self, job: &PageJob, body: &[u8]) -> Result<ReadPage> {
        match self {
            Self::Missing | Self::InProcess => PageReader::default().read(job, body),
            Self::Worker(crew) => crew.page(job, body),
        }
    }

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
