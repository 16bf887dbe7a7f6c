//! What became of the pages of a book.

use serde::{Deserialize, Serialize};

/// What a page turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageState {
    /// Text that can be used.
    Text,
    /// A text layer that does not say what the page shows. Its text is left out.
    Garbled,
    /// A picture without text, or with a number or stamp only.
    Scanned,
    /// Nothing.
    Empty,
}

impl PageState {
    /// All.
    pub const ALL: [Self; 4] = [Self::Text, Self::Garbled, Self::Scanned, Self::Empty];

    /// Its name in the store and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Garbled => "garbled",
            Self::Scanned => "scanned",
            Self::Empty => "empty",
        }
    }
}

/// What character recognition made of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageOcr {
    /// Whether its text was taken. If not, `note` says why.
    pub used: bool,
    /// Mean confidence over the recognised words, 0 to 100; higher is surer. `None` when nothing was recognised.
    pub confidence: Option<f32>,
    /// What it rests on, in words.
    pub note: String,
}

/// A font of a book whose signs stood for other letters, and what was read instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FontRepair {
    /// Its name.
    pub font: String,
    /// The table of letters by which it was read.
    pub table: String,
    /// What the file says, what was read instead, and how often. The way back is exact: none of these letters stood in the
    /// font's own text.
    pub letters: Vec<(char, char, u64)>,
}

impl FontRepair {
    /// Characters that were replaced.
    pub fn times(&self) -> u64 {
        self.letters.iter().map(|(_, _, times)| times).sum()
    }

    /// In words: `the font F was read by the table T: ¤ → ň (12), ÿ → ý (30)`.
    pub fn words(&self) -> String {
        let letters: Vec<String> =
            self.letters.iter().map(|(sign, letter, times)| format!("{sign} → {letter} ({times})")).collect();
        format!("the font {} was read by the table {}: {}", self.font, self.table, letters.join(", "))
    }
}

/// A page of a book.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BookPage {
    /// Its number, counted from 1.
    pub number: u32,
    /// What it turned out to be.
    pub state: PageState,
    /// The shares and counts that the state rests on, in words.
    pub evidence: String,
    /// What character recognition made of it; `None` when it was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocr: Option<PageOcr>,
}

impl BookPage {
    /// Whether its text was recognised from its picture.
    pub fn by_ocr(&self) -> bool {
        self.ocr.as_ref().is_some_and(|ocr| ocr.used)
    }

    /// Whether something is on it whose text is not taken.
    pub fn is_left_out(&self) -> bool {
        matches!(self.state, PageState::Garbled | PageState::Scanned) && !self.by_ocr()
    }

    /// Why it is left out, or how its text was found.
    pub fn reason(&self) -> String {
        match &self.ocr {
            Some(ocr) => format!("{}; OCR: {}", self.evidence, ocr.note),
            None => self.evidence.clone(),
        }
    }
}
