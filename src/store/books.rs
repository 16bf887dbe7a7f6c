//! The pages of books, and what became of them; the fonts whose signs stood for other letters.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Store, Writer};
use crate::error::Result;
use crate::record::{BookPage, FontRepair, PageOcr, PageState};

/// What the pages of one book amount to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BookCounts {
    /// The book's location.
    pub location: String,
    /// All pages.
    pub pages: u64,
    /// Pages whose text layer is taken.
    pub text: u64,
    /// Pages whose text was recognised from their picture.
    pub ocr: u64,
    /// Pages without anything.
    pub empty: u64,
    /// Pages left out because their text layer does not say what they show.
    pub garbled: u64,
    /// Pages left out because they are pictures.
    pub scanned: u64,
    /// Fonts read by a table of letters, because their signs stood for others.
    pub repaired_fonts: u64,
    /// Characters replaced in them.
    pub repaired: u64,
}

impl BookCounts {
    /// Pages whose text is not taken though there is some.
    pub fn left_out(&self) -> u64 {
        self.garbled + self.scanned
    }
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<BookPage> {
    let state: String = row.get(1)?;
    let ocr: Option<bool> = row.get(3)?;
    let (confidence, note): (Option<f32>, Option<String>) = (row.get(4)?, row.get(5)?);
    Ok(BookPage {
        number: row.get(0)?,
        state: PageState::ALL.into_iter().find(|known| known.name() == state).unwrap_or(PageState::Empty),
        evidence: row.get(2)?,
        ocr: ocr.map(|used| PageOcr { used, confidence, note: note.unwrap_or_default() }),
    })
}

impl Store {
    /// The pages of a book, in order; none of a book that was never read.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn book_pages(&self, location: &str) -> Result<Vec<BookPage>> {
        self.rows(
            "reading a book's pages",
            "SELECT page, state, evidence, ocr, confidence, ocr_note FROM book_page WHERE location = ?1 ORDER BY page",
            [location],
            from_row,
        )
    }

    /// What the pages of all books amount to, by location.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn book_counts(&self) -> Result<Vec<BookCounts>> {
        let rows = self.rows(
            "counting the pages of books",
            "SELECT location, state, coalesce(ocr, 0), count(*) FROM book_page GROUP BY 1, 2, 3 ORDER BY 1",
            [],
            |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?, row.get::<_, u64>(3)?))
            },
        )?;
        let mut books: BTreeMap<String, BookCounts> = BTreeMap::new();
        for (location, state, ocr, count) in rows {
            let book = books.entry(location.clone()).or_insert_with(|| BookCounts {
                location,
                pages: 0,
                text: 0,
                ocr: 0,
                empty: 0,
                garbled: 0,
                scanned: 0,
                repaired_fonts: 0,
                repaired: 0,
            });
            book.pages += count;
            *match state.as_str() {
                _ if ocr => &mut book.ocr,
                "text" => &mut book.text,
                "garbled" => &mut book.garbled,
                "scanned" => &mut book.scanned,
                _ => &mut book.empty,
            } += count;
        }
        let repairs = self.rows(
            "counting repaired letters",
            "SELECT location, count(DISTINCT number), sum(times) FROM book_repair GROUP BY 1",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)),
        )?;
        for (location, fonts, letters) in repairs {
            if let Some(book) = books.get_mut(&location) {
                (book.repaired_fonts, book.repaired) = (fonts, letters);
            }
        }
        Ok(books.into_values().collect())
    }

    /// A book's fonts whose signs stood for other letters.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn book_repairs(&self, location: &str) -> Result<Vec<FontRepair>> {
        let rows = self.rows(
            "reading a book's repaired fonts",
            "SELECT number, font, by_table, sign, letter, times FROM book_repair WHERE location = ?1 ORDER BY number, sign",
            [location],
            |row| {
                let character = |text: String| text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
                let font = FontRepair { font: row.get(1)?, table: row.get(2)?, letters: Vec::new() };
                let letter = (character(row.get(3)?), character(row.get(4)?), row.get(5)?);
                Ok((row.get::<_, u32>(0)?, font, letter))
            },
        )?;
        let mut fonts: BTreeMap<u32, FontRepair> = BTreeMap::new();
        for (number, font, letter) in rows {
            fonts.entry(number).or_insert(font).letters.push(letter);
        }
        Ok(fonts.into_values().collect())
    }
}

impl Writer<'_> {
    /// Writes a book's pages and repairs in place of those before.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_book(&self, location: &str, shelf: &str, pages: &[BookPage], repairs: &[FontRepair]) -> Result<()> {
        self.delete_book(location)?;
        for (number, repair) in (1_i64..).zip(repairs) {
            for (sign, letter, times) in &repair.letters {
                let (sign, letter) = (sign.to_string(), letter.to_string());
                self.execute(
                    "keeping a book's repaired fonts",
                    "INSERT INTO book_repair (location, number, font, by_table, sign, letter, times)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![location, number, repair.font, repair.table, sign, letter, times],
                )?;
            }
        }
        for page in pages {
            let ocr = page.ocr.as_ref();
            self.execute(
                "keeping a book's pages",
                "INSERT INTO book_page (location, shelf, page, state, evidence, ocr, confidence, ocr_note)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    location,
                    shelf,
                    page.number,
                    page.state.name(),
                    page.evidence,
                    ocr.map(|ocr| ocr.used),
                    ocr.and_then(|ocr| ocr.confidence),
                    ocr.map(|ocr| &ocr.note),
                ],
            )?;
        }
        Ok(())
    }

    /// Forgets a book's pages and repairs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn delete_book(&self, location: &str) -> Result<()> {
        self.execute("forgetting a book's repairs", "DELETE FROM book_repair WHERE location = ?1", [location])?;
        self.execute("forgetting a book's pages", "DELETE FROM book_page WHERE location = ?1", [location])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::Access;

    #[test]
    fn pages_come_back_and_are_counted() {
        let page = |number, state, ocr: Option<bool>| BookPage {
            number,
            state,
            evidence: "e".into(),
            ocr: ocr.map(|used| PageOcr { used, confidence: used.then_some(91.5), note: "n".into() }),
        };
        let pages = [
            page(1, PageState::Scanned, Some(true)),
            page(2, PageState::Text, None),
            page(3, PageState::Garbled, Some(false)),
            page(4, PageState::Scanned, None),
            page(5, PageState::Empty, None),
        ];
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let writer = store.writer().unwrap();
        let repair = |font: &str, letters: &[(char, char, u64)]| FontRepair {
            font: font.into(),
            table: "t".into(),
            letters: letters.to_vec(),
        };
        // Two fonts of one name.
        let repairs = [repair("F", &[('¤', 'ň', 12), ('ÿ', 'ý', 30)]), repair("F", &[('¤', 'ň', 1)])];
        writer.put_book("s/a.pdf", "s", &[page(9, PageState::Text, None)], &[repair("G", &[('$', 'ş', 9)])]).unwrap();
        writer.put_book("s/a.pdf", "s", &pages, &repairs).unwrap();
        writer.commit().unwrap();
        assert_eq!(store.book_pages("s/a.pdf").unwrap(), pages);
        assert_eq!(store.book_repairs("s/a.pdf").unwrap(), repairs);
        let counts = store.book_counts().unwrap();
        assert_eq!((counts[0].repaired_fonts, counts[0].repaired), (2, 43));
        let counts =
            counts.iter().map(|book| (book.pages, book.text, book.ocr, book.empty, book.garbled, book.scanned));
        assert_eq!(counts.collect::<Vec<_>>(), [(5, 1, 1, 1, 1, 1)]);
    }
}
