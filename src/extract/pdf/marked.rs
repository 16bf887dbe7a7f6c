//! Marked content whose `/ActualText` says what its glyphs stand for: it takes the place of the glyphs' own text.

use std::rc::Rc;

use lopdf::{Object, StringFormat};

use super::glyphs::usable;
use super::interpreter::Glyph;

/// Marked-content sequences inside one another; deeper ones are counted only.
const MAX_MARKS: usize = 256;

/// A sequence that is open.
#[derive(Debug)]
struct Mark {
    /// The text of the sequence and the number of glyphs that stood before it.
    text: Option<(String, usize)>,
}

/// The open sequences of a page, outermost first.
#[derive(Debug, Default)]
pub(super) struct Marks {
    open: Vec<Mark>,
    /// Sequences beyond [`MAX_MARKS`].
    beyond: usize,
}

impl Marks {
    /// `BMC`, `BDC`: opens a sequence before which `glyphs` glyphs stand. Of nested texts the outermost counts.
    pub(super) fn open(&mut self, actual_text: Option<&[u8]>, glyphs: usize) {
        if self.open.len() >= MAX_MARKS {
            self.beyond += 1;
            return;
        }
        let inside = self.open.iter().any(|mark| mark.text.is_some());
        let text = actual_text.filter(|_| !inside).and_then(decode).map(|text| (text, glyphs));
        self.open.push(Mark { text });
    }

    /// `EMC`: closes the innermost sequence and puts its text in place.
    pub(super) fn close(&mut self, glyphs: &mut Vec<Glyph>) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if let Some(Mark { text: Some((text, start)) }) = self.open.pop() {
            retell(glyphs, start, &text);
        }
    }

    /// Closes what a damaged page leaves open.
    pub(super) fn close_all(&mut self, glyphs: &mut Vec<Glyph>) {
        self.beyond = 0;
        while !self.open.is_empty() {
            self.close(glyphs);
        }
    }
}

/// A text string of UTF-16, UTF-8 or PDFDocEncoding; nothing where it holds what names no character.
fn decode(bytes: &[u8]) -> Option<String> {
    let text = match bytes {
        // Little-endian is not allowed, and written nevertheless.
        [0xFF, 0xFE, rest @ ..] => {
            let units = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{FFFD}')).collect()
        }
        _ => lopdf::decode_text_string(&Object::String(bytes.to_vec(), StringFormat::Literal)).ok()?,
    };
    if text.is_empty() { Some(text) } else { usable(text) }
}

/// Lets the glyphs from `start` on say `text`, a line of it on each of their lines, and shares each line's width among
/// its words.
fn retell(glyphs: &mut Vec<Glyph>, start: usize, text: &str) {
    let told = glyphs.split_off(start.min(glyphs.len()));
    let total = told.len();
    let mut words = text.split_inclusive(char::is_whitespace).peekable();
    let length = text.chars().count();
    let (mut seen, mut written) = (0, 0);
    for line in told.chunk_by(|a, b| (a.y - b.y).abs() < 0.5 * a.size.max(b.size)) {
        seen += line.len();
        // A word goes to the line that holds its beginning.
        let mut share: Vec<char> = Vec::new();
        while let Some(word) = words.next_if(|_| seen == total || written * total < seen * length) {
            written += word.chars().count();
            share.extend(word.chars());
        }
        let x0 = line.iter().map(|glyph| glyph.x).fold(f64::INFINITY, f64::min);
        let x1 = line.iter().map(|glyph| glyph.x + glyph.width).fold(f64::NEG_INFINITY, f64::max);
        let width = (x1 - x0) / share.len().max(1) as f64;
        let told = |text: &[char], x: f64, width: f64| Glyph {
            text: Rc::from(text.iter().collect::<String>()),
            x,
            width,
            ..line[0].clone()
        };
        if share.len() == line.len() {
            // One sign for one glyph keeps every place: a mended letter, a soft hyphen.
            glyphs.extend(line.iter().zip(&share).map(|(glyph, &c)| told(&[c], glyph.x, glyph.width)));
            continue;
        }
        let mut at = 0;
        for run in share.chunk_by(|a, b| a.is_whitespace() == b.is_whitespace()) {
            glyphs.push(told(run, x0 + width * at as f64, width * run.len() as f64));
            at += run.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::super::{Limits, text_layer};
    use lopdf::{Dictionary, Object, dictionary};

    fn page(content: &str) -> String {
        let mut sample = Sample::new();
        let properties: Dictionary = dictionary! { "P" => dictionary! { "ActualText" => lopdf::text_string("ýyl") } };
        let font: Object = dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica" }.into();
        let resources = dictionary! { "Properties" => properties, "Font" => dictionary! { "H" => font } };
        sample.page_with(content.as_bytes(), dictionary! { "Resources" => resources });
        text_layer(&sample.bytes(), &Limits::default()).unwrap().join("\n")
    }

    #[test]
    fn actual_text_replaces_what_the_glyphs_say() {
        for (properties, expected) in [
            ("<</Lang(tk)/ActualText<FEFF0073007500FD>>>", "Bir suý bar"),
            ("<</ActualText(s\\374\\375)>>", "Bir süý bar"),
            ("/P", "Bir ýyl bar"),
            ("<</ActualText()>>", "Bir bar"),
            ("<</Other(x)>>", "Bir xyz bar"),
            ("/Unknown", "Bir xyz bar"),
        ] {
            let content = format!("BT /H 12 Tf 50 700 Td (Bir ) Tj /Span {properties} BDC (xyz) Tj EMC ( bar) Tj ET");
            assert_eq!(page(&content), expected, "{properties}");
        }
    }

    #[test]
    fn a_word_broken_over_lines_stands_whole_on_the_first_and_a_long_text_is_shared() {
        let two = |text: &str| {
            page(&format!("BT /H 12 Tf 50 700 Td /Span <</ActualText({text})>> BDC (wa-) Tj 0 -14 Td (ter) Tj EMC ET"))
        };
        assert_eq!(two("water"), "water");
        assert_eq!(two("one two three four"), "one two three\nfour");
    }

    #[test]
    fn sequences_that_are_nested_or_never_closed() {
        let nested = "/S <</ActualText(outer)>> BDC /T <</ActualText(in)>> BDC (ab) Tj EMC /M BMC (cd) Tj EMC EMC";
        assert_eq!(page(&format!("BT /H 12 Tf 50 700 Td {nested} ( end) Tj ET")), "outer end");
        assert_eq!(page("BT /H 12 Tf 50 700 Td /S <</ActualText(told)>> BDC (ab) Tj ET"), "told");
        assert_eq!(page("BT /H 12 Tf 50 700 Td EMC EMC (ab) Tj ET"), "ab");
    }
}
