//! Advance widths: how far each code moves the pen, in units of the font size.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Object};

use super::font::{entry, number, number_entry, resolve};

/// The widths of a font.
#[derive(Debug)]
pub(super) enum Widths {
    /// By code, from `first` on.
    Simple { first: u32, widths: Vec<f64>, missing: Option<f64> },
    /// Those of a standard font, ASCII only.
    Standard(&'static [u16; 95]),
    /// The same for all.
    Fixed(f64),
    /// By CID.
    Composite { by_cid: HashMap<u32, f64>, ranges: Vec<(u32, u32, f64)>, default: f64 },
}

impl Widths {
    /// The width of a code that the file gives itself; a composite font knows the code by its CID.
    pub(super) fn given(&self, code: u32, cid: u32) -> Option<f64> {
        match self {
            Self::Simple { first, widths, missing } => {
                let at = code.checked_sub(*first).map_or(usize::MAX, |at| at as usize);
                widths.get(at).copied().or(*missing)
            }
            Self::Standard(_) | Self::Fixed(_) => None,
            Self::Composite { by_cid, ranges, default } => {
                let ranged =
                    || ranges.iter().find(|(first, last, _)| (first..=last).contains(&&cid)).map(|&(.., width)| width);
                Some(by_cid.get(&cid).copied().or_else(ranged).unwrap_or(*default))
            }
        }
    }

    /// The width of a code of which neither the file nor the font's program says one.
    pub(super) fn default_of(&self, code: u32) -> f64 {
        match self {
            Self::Simple { .. } | Self::Composite { .. } => 0.0,
            Self::Standard(table) => {
                let ascii = code.checked_sub(32).and_then(|at| table.get(at as usize));
                ascii.map_or(0.5, |&width| f64::from(width) / 1000.0)
            }
            Self::Fixed(width) => *width,
        }
    }
}

/// The widths of a simple font, or of the standard font that its name suggests.
pub(super) fn simple_widths(
    doc: &Document,
    dict: &Dictionary,
    descriptor: Option<&Dictionary>,
    subtype: &[u8],
    name: &str,
) -> Widths {
    // Type 3 widths are in glyph space, which its font matrix maps to text space.
    let matrix = entry(doc, dict, b"FontMatrix").and_then(|matrix| matrix.as_array().ok()?.first()).and_then(number);
    let unit = if subtype == b"Type3" { matrix.unwrap_or(0.001).abs() } else { 0.001 };
    let missing = descriptor.and_then(|descriptor| number_entry(doc, descriptor, b"MissingWidth"));
    let missing = missing.map(|width| width * unit);
    if let Some(array) = entry(doc, dict, b"Widths").and_then(|widths| widths.as_array().ok()) {
        let widths = array.iter().map(|width| resolve(doc, width).and_then(number).unwrap_or(0.0) * unit).collect();
        let first = number_entry(doc, dict, b"FirstChar").unwrap_or(0.0).clamp(0.0, 255.0) as u32;
        return Widths::Simple { first, widths, missing };
    }
    let lower = name.to_lowercase();
    if lower.contains("courier") {
        Widths::Fixed(0.6)
    } else if lower.contains("times") || lower.contains("serif") && !lower.contains("sans") {
        Widths::Standard(&TIMES_WIDTHS)
    } else {
        Widths::Standard(&HELVETICA_WIDTHS)
    }
}

/// The widths of the descendant of a composite font.
pub(super) fn composite_widths(doc: &Document, descendant: &Dictionary) -> Widths {
    let mut by_cid = HashMap::new();
    let mut ranges = Vec::new();
    let empty = Vec::new();
    let array = entry(doc, descendant, b"W").and_then(|widths| widths.as_array().ok()).unwrap_or(&empty);
    let mut pending: Vec<f64> = Vec::new();
    for item in array {
        match resolve(doc, item) {
            Some(Object::Array(widths)) => {
                if let Some(first) = pending.pop() {
                    for (cid, width) in (first.max(0.0) as u32..).zip(widths.iter().take(65_536)) {
                        by_cid.insert(cid, resolve(doc, width).and_then(number).unwrap_or(0.0) / 1000.0);
                    }
                }
                pending.clear();
            }
            Some(object) => {
                pending.extend(number(object));
                if let [first, last, width] = pending[..] {
                    ranges.push((first.max(0.0) as u32, last.max(0.0) as u32, width / 1000.0));
                    pending.clear();
                }
            }
            None => {}
        }
    }
    // Files without one are set with the 1000 of ISO 32000-1, table 117, whatever their fonts' programs say.
    let default = number_entry(doc, descendant, b"DW").unwrap_or(1000.0) / 1000.0;
    Widths::Composite { by_cid, ranges, default }
}

/// Widths of ASCII 0x20–0x7E in Helvetica, in thousandths of the font size: PDFs may leave out those of the standard fonts.
#[rustfmt::skip]
const HELVETICA_WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667,
    778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556,
    222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// The same for Times Roman.
#[rustfmt::skip]
const TIMES_WIDTHS: [u16; 95] = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500, 500, 500, 500, 500, 500, 500,
    500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611, 556, 722, 722, 333, 389, 722, 611, 889, 722, 722, 556,
    722, 667, 556, 611, 722, 722, 944, 722, 722, 611, 333, 278, 333, 469, 500, 333, 444, 500, 444, 500, 444, 333, 500, 500,
    278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444, 480, 200, 480, 541,
];
