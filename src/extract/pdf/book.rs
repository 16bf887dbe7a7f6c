//! A book: its pages with their states, and its text as blocks.

use std::collections::HashMap;

use lopdf::Document;
use unicode_normalization::UnicodeNormalization as _;

use super::beads::Threads;
use super::font::{dict_entry, entry};
use super::frame::Frame;
use super::interpreter::{FontCache, PageContent, interpret};
use super::layout::{self, Line};
use super::repair::{Census, Repair};
use super::running::PageLines;
use super::sketch::Sketch;
use super::{Limits, footnotes, gate, open, paragraphs, running};
use crate::error::{Error, Result};
use crate::record::BlockKind;

/// What a page turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageState {
    /// Text that can be used.
    Text,
    /// A text layer that does not say what the page shows. Its text is left out.
    Garbled,
    /// A picture without text, or with a number or stamp only. Its text is left out.
    Scanned,
    /// Nothing.
    Empty,
}

/// A page of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookPage {
    /// Its number, counted from 1.
    pub number: u32,
    /// What it turned out to be.
    pub state: PageState,
    /// The shares and counts that the state rests on, in words.
    pub evidence: String,
}

/// A block of a book's text: Unicode NFC, one line, words broken at line ends joined.
#[derive(Debug, Clone, PartialEq)]
pub struct BookBlock {
    /// `Heading`, `Paragraph`, `Exercise` (with its number), `Item` (without its bullet), `Table` (a line of contents or
    /// a row of a table), `Formula` or `Footnote` (without its mark; it stands behind the text of its page).
    pub kind: BlockKind,
    /// Its text; never empty.
    pub text: String,
    /// The page on which it begins, counted from 1.
    pub page: u32,
    /// Where it stands, in reading order: one box a column, or two where it goes on in another.
    pub boxes: Vec<Area>,
}

/// A box on a page, in points from the top left corner of the page as viewers display it: its `/Rotate` applied, also where
/// the page was turned further to read it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
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

impl Area {
    /// The smallest box around both.
    pub(super) fn around(self, other: Self) -> Self {
        Self {
            page: self.page,
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }
}

/// A book as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Book {
    /// All pages, in order.
    pub pages: Vec<BookPage>,
    /// The title of the Info dictionary, if there is one. Programs write file names there, too.
    pub title: Option<String>,
    /// The text of the pages that are [`PageState::Text`], in reading order, without running heads, feet and page numbers.
    pub blocks: Vec<BookBlock>,
    /// Fonts whose signs were read as other letters than the file says.
    pub repairs: Vec<Repair>,
}

/// Reads a book.
///
/// # Errors
/// Kind `Input`: the file exceeds a limit, is damaged, or needs a password; or the PDF parser panicked on it.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Book> {
    open::with_document(bytes, limits, |doc| read(doc, limits, None).map(|(book, _)| book))
}

/// A page as it was understood, as an SVG drawing that stands alone: its columns, lines and words, and the blocks in colour with
/// their numbers in reading order, which are places in [`Book::blocks`] counted from 1.
///
/// # Errors
/// As [`extract`], and of kind `Input` if the book has no such page.
pub fn debug_svg(bytes: &[u8], page: u32, limits: &Limits) -> Result<String> {
    open::with_document(bytes, limits, |doc| {
        let (book, sketch) = read(doc, limits, Some(page))?;
        let found = book.pages.iter().find(|known| known.number == page).zip(sketch);
        let (known, sketch) =
            found.ok_or_else(|| Error::input(format!("there is no page {page}: the PDF has {}", book.pages.len())))?;
        Ok(sketch.draw(known, &book.blocks))
    })
}

/// Reads a book, and keeps the lines of one page.
fn read(doc: &Document, limits: &Limits, kept: Option<u32>) -> Result<(Book, Option<Sketch>)> {
    let mut fonts = FontCache::default();
    let mut reading = Reading::default();
    reading.read(doc, limits, &mut fonts, kept)?;
    let repairs = std::mem::take(&mut reading.census).repair();
    if !repairs.is_empty() {
        // The fonts say other letters now.
        reading = Reading::default();
        reading.read(doc, limits, &mut fonts, kept)?;
    }
    let Reading { mut pages, mut texts, sketch, turned, .. } = reading;
    if let Some(body) = paragraphs::body_size(&texts) {
        running::remove(&mut texts, body);
        footnotes::find(&mut texts, body);
    }
    let mut blocks = Vec::new();
    for mut block in paragraphs::blocks(&texts) {
        for area in &mut block.boxes {
            *area = turned.get(&area.page).map_or(*area, |frame| frame.displayed(*area));
        }
        match known_text(&block.text) {
            Some(text) if text.is_empty() => {}
            Some(text) => blocks.push(BookBlock { kind: block.kind, text, page: block.page, boxes: block.boxes }),
            // The rest of its page is text: one heading in a font that does not say what it shows is no reason against it.
            None => {
                if let Some(page) = pages.iter_mut().find(|page| page.number == block.page) {
                    page.evidence.push_str("; a block is left out, since it holds characters without a known text");
                }
            }
        }
    }
    Ok((Book { pages, title: title(doc), blocks, repairs }, sketch))
}

/// A block's text without signs that stand alone and have no known text (bullets, mostly); `None` when such a sign stands
/// in a word, so that what the block says is not known.
fn known_text(text: &str) -> Option<String> {
    let is_sign = |word: &&str| word.chars().all(|c| c == char::REPLACEMENT_CHARACTER);
    let words: Vec<&str> = text.split_whitespace().filter(|word| word.chars().count() > 1 || !is_sign(word)).collect();
    let text: String = words.join(" ").nfc().collect();
    (!text.contains(char::REPLACEMENT_CHARACTER)).then_some(text)
}

/// The pages of a book on the way.
#[derive(Debug, Default)]
struct Reading {
    pages: Vec<BookPage>,
    /// The lines of the pages that are text.
    texts: Vec<PageLines>,
    census: Census,
    sketch: Option<Sketch>,
    /// The pages that were turned to read them.
    turned: HashMap<u32, Frame>,
}

impl Reading {
    fn read(&mut self, doc: &Document, limits: &Limits, fonts: &mut FontCache, kept: Option<u32>) -> Result<()> {
        each_page(doc, limits, fonts, |number, content, lines| {
            self.census.add(&content);
            let (state, evidence) = gate::assess(&content, &lines);
            self.pages.push(BookPage { number, state, evidence });
            if kept == Some(number) {
                let (frame, height) = (Frame::of(&content), content.height);
                self.sketch = Some(Sketch { frame, height, lines: lines.clone() });
            }
            if content.quarters > 0 {
                self.turned.insert(number, Frame::of(&content));
            }
            if state == PageState::Text {
                self.texts.push(PageLines { number, height: content.height, lines });
            }
        })
    }
}

/// The lines of every page as the text layer reads them, before the page gate and the book's logic: to look at, not to use.
///
/// # Errors
/// As [`extract`].
pub fn text_layer(bytes: &[u8], limits: &Limits) -> Result<Vec<String>> {
    open::with_document(bytes, limits, |doc| {
        let mut pages = Vec::new();
        each_page(doc, limits, &mut FontCache::default(), |_, _, lines| {
            let lines: Vec<String> = lines.iter().map(Line::text).collect();
            pages.push(lines.join("\n"));
        })?;
        Ok(pages)
    })
}

/// Interprets the pages, one after another.
pub(super) fn each_page(
    doc: &Document,
    limits: &Limits,
    fonts: &mut FontCache,
    mut visit: impl FnMut(u32, PageContent, Vec<Line>),
) -> Result<()> {
    let (mut gutters, threads) = (Vec::new(), Threads::read(doc));
    for (at, page) in doc.page_iter().enumerate() {
        if at >= limits.max_pages {
            return Err(Error::input(format!(
                "the PDF has more than the {} pages allowed (max_pages)",
                limits.max_pages
            )));
        }
        let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let content = interpret(doc, page, number, fonts, limits)?;
        let lines = layout::lines(&content, &threads.beads(doc, page, &content), &mut gutters);
        visit(number, content, lines);
    }
    Ok(())
}

fn title(doc: &Document) -> Option<String> {
    let info = dict_entry(doc, &doc.trailer, b"Info")?;
    let title = lopdf::decode_text_string(entry(doc, info, b"Title")?).ok()?;
    let title: String = title.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect();
    let readable = !title.is_empty() && !title.chars().any(|c| c.is_control() || c == '\u{FFFD}');
    readable.then_some(title)
}

#[cfg(test)]
mod tests;
