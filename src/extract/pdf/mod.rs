//! PDF schoolbooks: our own text layer over lopdf's objects, streams and filters.
//!
//! ```text
//! lexer ─▶ interpreter (operators ─▶ glyphs) ─▶ layout (lines, columns; beads) ─▶ gate (is it text?) ─┐
//!            └ font ◀─ simple, composite, cmap, predefined, glyphs, encodings, program, repair        │
//!                       book ◀─ paragraphs (blocks) ◀─ hyphens ◀─ footnotes ◀─ running (heads) ◀──────┘
//! ```
//!
//! The rule above all others: never silently garbled. A code whose text no table of the file names becomes U+FFFD and is
//! counted; a page with too many of them, or whose letters make no words, is [`PageState::Garbled`] and its text is left out.
//!
//! Not read: turned and vertical text, text in annotations and form fields.

pub mod book;
pub mod images;

mod beads;
mod cmap;
mod columns;
mod composite;
mod encodings;
mod font;
mod footnotes;
mod frame;
mod gate;
mod glyphs;
mod hyphens;
mod interpreter;
mod layout;
mod lexer;
mod marked;
mod markers;
mod open;
mod page;
mod paragraphs;
mod predefined;
mod program;
mod repair;
mod right_to_left;
mod running;
#[cfg(test)]
mod sample;
mod simple;
mod sketch;
mod tables;
mod widths;

pub use book::{Area, Book, BookBlock, BookPage, PageState, debug_svg, extract, text_layer};
pub use repair::{Repair, TABLES, Table};

/// What one book may cost. Exceeding a limit is an error that names it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Size of the file in bytes.
    pub max_bytes: usize,
    /// Pages of the book.
    pub max_pages: usize,
    /// Glyphs that one page draws, its forms included.
    pub max_glyphs_per_page: usize,
    /// Told each page's number before the page is read: so whoever ends the reading knows how far it came.
    pub watch: Option<fn(u32)>,
}

impl Default for Limits {
    /// 300 MB, 2 000 pages, 200 000 glyphs: a dense page of a newspaper has about 20 000.
    fn default() -> Self {
        Self { max_bytes: 300_000_000, max_pages: 2_000, max_glyphs_per_page: 200_000, watch: None }
    }
}
