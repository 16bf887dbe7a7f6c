//! A page as an object: its box and rotation, its inherited attributes, its content streams.

use lopdf::{Dictionary, Document, Object, Stream};

use super::font::{dict_entry, entry, number, resolve};
use crate::error::{Error, Result};

/// Bytes that the content of one page, or of one form, may inflate to.
const MAX_CONTENT: usize = 64 << 20;
/// The size of a page that does not say its own: US Letter, as viewers assume.
const DEFAULT_BOX: [f64; 4] = [0.0, 0.0, 612.0, 792.0];

/// A transformation `[a b c d e f]` of row vectors, as PDF writes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix(pub(super) [f64; 6]);

impl Matrix {
    pub(super) const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// First `self`, then `next`.
    pub(super) fn then(self, next: Self) -> Self {
        let ([a, b, c, d, e, f], n) = (self.0, next.0);
        Self([
            a * n[0] + b * n[2],
            a * n[1] + b * n[3],
            c * n[0] + d * n[2],
            c * n[1] + d * n[3],
            e * n[0] + f * n[2] + n[4],
            e * n[1] + f * n[3] + n[5],
        ])
    }

    pub(super) fn shift(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    pub(super) fn area(self) -> f64 {
        (self.0[0] * self.0[3] - self.0[1] * self.0[2]).abs()
    }
}

/// A page attribute, from the page or from the nearest node of the page tree above it that has it.
pub(super) fn inherited<'a>(doc: &'a Document, page: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
    let mut node = page;
    for _ in 0..64 {
        if let Some(object) = entry(doc, node, key) {
            return Some(object);
        }
        node = dict_entry(doc, node, b"Parent")?;
    }
    None
}

fn rectangle(doc: &Document, page: &Dictionary, key: &[u8]) -> Option<[f64; 4]> {
    let array = inherited(doc, page, key)?.as_array().ok()?;
    let numbers: Vec<f64> = array.iter().filter_map(|item| resolve(doc, item).and_then(number)).collect();
    let [a, b, c, d] = numbers[..] else { return None };
    let rectangle = [a.min(c), b.min(d), a.max(c), b.max(d)];
    (rectangle[2] - rectangle[0] > 1.0 && rectangle[3] - rectangle[1] > 1.0).then_some(rectangle)
}

/// The matrix from the page's user space to the page as displayed (its crop box, turned by `/Rotate`), and its size.
pub(super) fn page_space(doc: &Document, page: &Dictionary) -> (Matrix, f64, f64) {
    let media = rectangle(doc, page, b"MediaBox").unwrap_or(DEFAULT_BOX);
    let crop = rectangle(doc, page, b"CropBox").unwrap_or(media);
    // A crop box beyond the medium shows nothing more than the medium.
    let clipped = [crop[0].max(media[0]), crop[1].max(media[1]), crop[2].min(media[2]), crop[3].min(media[3])];
    let [x0, y0, x1, y1] = if clipped[2] - clipped[0] > 1.0 && clipped[3] - clipped[1] > 1.0 { clipped } else { media };
    let (width, height) = (x1 - x0, y1 - y0);
    let turn = inherited(doc, page, b"Rotate").and_then(number).unwrap_or(0.0);
    match (turn / 90.0).round().rem_euclid(4.0) as u8 {
        1 => (Matrix([0.0, -1.0, 1.0, 0.0, -y0, x1]), height, width),
        2 => (Matrix([-1.0, 0.0, 0.0, -1.0, x1, y1]), width, height),
        3 => (Matrix([0.0, 1.0, -1.0, 0.0, y1, -x0]), height, width),
        _ => (Matrix::shift(-x0, -y0), width, height),
    }
}

/// The content streams of a page, joined by line feeds, since an operator may not span two.
pub(super) fn page_content(doc: &Document, page: &Dictionary, number: u32) -> Result<Vec<u8>> {
    let parts: Vec<&Object> = match entry(doc, page, b"Contents") {
        Some(Object::Array(parts)) => parts.iter().filter_map(|part| resolve(doc, part)).collect(),
        Some(object) => vec![object],
        None => Vec::new(),
    };
    let mut content = Vec::new();
    for stream in parts.iter().filter_map(|part| part.as_stream().ok()) {
        content.extend(inflate_up_to(stream, MAX_CONTENT - content.len().min(MAX_CONTENT), number)?);
        content.push(b'\n');
    }
    Ok(content)
}

/// The bytes of a stream; none where its filters fail, since the rest of the page may be sound.
pub(super) fn inflate(stream: &Stream, page: u32) -> Result<Vec<u8>> {
    inflate_up_to(stream, MAX_CONTENT, page)
}

fn inflate_up_to(stream: &Stream, limit: usize, page: u32) -> Result<Vec<u8>> {
    match stream.get_plain_content_with_limit(limit) {
        Ok(content) => Ok(content),
        Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. })) => {
            Err(Error::input(format!(
                "page {page}: its content inflates to more than {MAX_CONTENT} bytes; the file is damaged or hostile"
            )))
        }
        Err(_) => Ok(Vec::new()),
    }
}
