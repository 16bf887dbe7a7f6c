//! Books: the half of extraction that reads PDFs.
//!
//! ```text
//! shelf (which file is which book) ─▶ reader ─▶ crew ─▶ worker, another process ─▶ the book's document and its pages
//!                                                          ├ confine (memory, time)
//!                                                          └ ocr (pages that are pictures)
//! ```

mod confine;
pub mod crew;
pub mod ocr;
pub mod reader;
mod request;
pub mod shelf;
pub mod worker;

use serde::{Deserialize, Serialize};

use super::extract::{Params, identify};
use super::{Commit, Ctx, Inputs, Unit};
use crate::error::{Error, Result};
use crate::record::document::TextBuilder;
use crate::record::{BlockKind, BookPage, Bytes, Document, DocumentId, DocumentKind, Duration, FontRepair};

pub use crew::Crew;
pub use ocr::{Ocr, OcrJob};
pub use reader::{Job, PageBox, ReadBlock, ReadBook, Reader};
pub use shelf::{Book, Shelf, Shelves};

/// What one book may cost. Another limit brings back the books that failed, and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Memory for a book.
    pub book_memory: Bytes,
    /// Time for a book, without what character recognition takes.
    pub book_time: Duration,
    /// Time for the recognition of one picture.
    pub ocr_picture_time: Duration,
    /// Memory for a web page.
    pub page_memory: Bytes,
    /// Processor time for a web page.
    pub page_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = |seconds| Duration(std::time::Duration::from_secs(seconds));
        Self {
            book_memory: Bytes(2_000_000_000),
            book_time: seconds(300),
            ocr_picture_time: seconds(60),
            page_memory: Bytes(1_000_000_000),
            page_time: seconds(20),
        }
    }
}

/// Less than this, and not even an empty book can be read: the parser's own stack takes 64 MiB.
const LEAST_MEMORY: u64 = 100_000_000;

impl Limits {
    /// What types alone cannot say.
    ///
    /// # Errors
    /// Kind `Config`.
    pub fn check(&self) -> Result<()> {
        for (name, memory, what) in [("book", self.book_memory, "book"), ("page", self.page_memory, "page")] {
            if memory.0 < LEAST_MEMORY {
                return Err(Error::config(format!(
                    "extract.limits.{name}-memory = \"{memory}\": no {what} can be read in less than {}",
                    Bytes(LEAST_MEMORY)
                )));
            }
        }
        if self.page_time.0.as_secs() == 0 {
            return Err(Error::config(format!(
                "extract.limits.page-time = \"{}\": processor time is limited by whole seconds",
                self.page_time
            )));
        }
        Ok(())
    }
}

/// Every book, with the hash of its bytes, of what is said of it, and of the version of its recogniser if there is one.
pub(super) fn units(ctx: &Ctx<'_>, shelves: &Shelves, params: &Params, recogniser: Option<&str>) -> Result<Vec<Unit>> {
    let limits = &params.limits;
    let limits = super::fingerprint(&(limits.book_memory, limits.book_time, limits.ocr_picture_time))?;
    let unit = |(location, book): (&String, &Book)| {
        // A missing file is the unit's failure, not the run's.
        let hash = if book.path.is_file() { ctx.file_hash(&book.path)? } else { "missing".to_owned() };
        let inputs = Inputs::new()
            .value("file", &hash)
            .value("edition of", &book.twin_key)
            .value("shelf", &book.shelf)
            .value("language", book.language.code())
            .value("recogniser", recogniser.unwrap_or(""));
        Ok(Unit::new(location, inputs).limited(&limits))
    };
    shelves.books.iter().map(unit).collect()
}

/// Reads a book.
pub(super) fn read(location: &str, book: &Book, params: &Params, reader: &Reader) -> Result<Commit> {
    if !book.path.is_file() {
        return Err(Error::input(format!("{} names {}, which is not there", book.named_by, book.path.display())));
    }
    let read = reader
        .read(&job(book, params))
        .map_err(|error| error.while_doing(format!("reading the book {}", book.path.display())))?;
    commit(location, book, read, params)
}

impl Job {
    /// A look at a book that is on no shelf: nobody says its language, so its pictures are not recognised.
    pub fn to_look_at(params: &Params) -> Self {
        Self {
            path: std::path::PathBuf::new(),
            max_pages: params.max_book_pages,
            memory: params.limits.book_memory.0,
            time: params.limits.book_time.0,
            ocr: None,
        }
    }
}

fn job(book: &Book, params: &Params) -> Job {
    Job {
        path: book.path.clone(),
        ocr: (params.ocr == Ocr::Tesseract).then(|| OcrJob {
            program: params.ocr_program.clone(),
            pack: params.ocr_languages.get(&book.language).cloned(),
            language: book.language,
            candidates: params.languages.clone(),
            min_confidence: params.ocr_min_confidence,
            time: params.limits.ocr_picture_time.0,
        }),
        ..Job::to_look_at(params)
    }
}

/// The document of a book, unless there is too little text for one; its pages in any case.
fn commit(location: &str, book: &Book, read: ReadBook, params: &Params) -> Result<Commit> {
    let mut builder = TextBuilder::default();
    for block in &read.blocks {
        builder.push(block.kind, &block.text, Some(block.page));
    }
    let (text, blocks) = builder.finish();
    let guess = identify(&text, Some(book.language), params);
    let titled = blocks.iter().find(|block| block.kind == BlockKind::Title);
    let title = titled.map(|block| text[block.start as usize..block.end as usize].to_owned()).or(read.title);
    let document = Document {
        id: DocumentId::of(&[location.as_bytes()]),
        location: location.to_owned(),
        site: book.shelf.clone(),
        kind: DocumentKind::Pdf,
        content_hash: read.content_hash,
        language: guess.map(|guess| guess.language),
        language_confidence: guess.map_or(0.0, |guess| guess.confidence),
        declared_language: Some(book.language),
        title,
        date: None,
        author: None,
        tags: Vec::new(),
        agreement: None,
        text,
        blocks,
        twins: Vec::new(),
        images: Vec::new(),
        twin_key: Some(book.twin_key.clone()),
    };
    let count = |which: fn(&BookPage) -> bool| read.pages.iter().filter(|page| which(page)).count() as f64;
    let mut counts = vec![
        ("book pages", read.pages.len() as f64),
        ("book pages without usable text", count(BookPage::is_left_out)),
        ("book pages by OCR", count(BookPage::by_ocr)),
        ("fonts read by a table of old letters", read.repairs.len() as f64),
        ("letters read by such a table", read.repairs.iter().map(FontRepair::times).sum::<u64>() as f64),
    ];
    let enough = document.text.chars().count() >= params.min_chars;
    let fingerprint = if enough { crate::store::documents::fingerprint(&document)? } else { "too short".to_owned() };
    counts.push((if enough { "documents" } else { "too short" }, 1.0));
    let (location, shelf) = (location.to_owned(), book.shelf.clone());
    let (pages, repairs) = (read.pages, read.repairs);
    let commit = Commit::new(fingerprint, move |writer, _| {
        writer.put_book(&location, &shelf, &pages, &repairs)?;
        if enough { writer.put_document(&document) } else { writer.delete_document(&location) }
    });
    Ok(commit.counts(counts))
}
