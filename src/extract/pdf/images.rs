//! The pictures of scanned pages, as files that a character recogniser reads.
//!
//! | stored as | becomes |
//! |---|---|
//! | DCT (JPEG), JPX (JPEG 2000) | the same bytes |
//! | CCITT fax | the same bytes behind a TIFF header |
//! | anything that inflates to samples of 1 or 8 bits, grey, RGB or indexed | PBM, PGM or PPM |
//!
//! What cannot be taken out (JBIG2, CMYK samples, turned pages) is told with its reason.

use lopdf::{Dictionary, Document, Object, Stream};

use super::font::{dict_entry, entry, number, resolve};
use super::lexer::{Lexer, Token};
use super::page::{inflate, inherited, page_content, page_space};
use super::{Limits, open};
use crate::error::Result;

/// Bytes that one picture may inflate to: an A3 page at 600 dots an inch, in colour.
const MAX_SAMPLES: usize = 250 << 20;
/// Pictures with fewer samples on a side are ornaments, but for strips of a scan, which are as wide as the page.
const SMALLEST_WIDTH: i64 = 300;
const SMALLEST_HEIGHT: i64 = 24;
/// Pictures of one page; scans come in strips.
const MAX_PICTURES: usize = 64;
/// Forms inside forms.
const MAX_DEPTH: usize = 4;
/// How far the shape of a picture may differ from the page's for it to be the whole page.
const SAME_SHAPE: f64 = 1.2;

/// A page whose picture is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its number, counted from 1.
    pub page: u32,
    /// Whether only a picture of the whole page will do: a page with a text layer may show illustrations.
    pub whole: bool,
}

/// A picture as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file's contents.
    pub bytes: Vec<u8>,
    /// What such files are called: `jpg`, `jp2`, `tif`, `pbm`, `pgm`, `ppm`.
    pub extension: &'static str,
    /// Dots an inch, if the picture is as wide as the page.
    pub dpi: u32,
}

/// Hands the pictures of pages out, in the order in which the page draws them, or says why there are none.
///
/// # Errors
/// As [`super::extract`], and those of `visit`.
pub fn pictures(
    bytes: &[u8],
    limits: &Limits,
    wanted: &[Wanted],
    mut visit: impl FnMut(u32, Result<Vec<Picture>, String>) -> Result<()> + Send,
) -> Result<()> {
    open::with_document(bytes, limits, |doc| {
        for (number, id) in (1..).zip(doc.page_iter().take(limits.max_pages)) {
            let Some(wanted) = wanted.iter().find(|wanted| wanted.page == number) else { continue };
            let found = match doc.get_dictionary(id) {
                Ok(page) => of_page(doc, page, *wanted),
                Err(_) => Err("the page is damaged".to_owned()),
            };
            visit(number, found)?;
        }
        Ok(())
    })
}

fn of_page(doc: &Document, page: &Dictionary, wanted: Wanted) -> Result<Vec<Picture>, String> {
    if inherited(doc, page, b"Rotate").and_then(number).is_some_and(|turn| turn.rem_euclid(360.0) != 0.0) {
        return Err("the page is turned, which is not undone for pictures".into());
    }
    let (_, width, height) = page_space(doc, page);
    let content = page_content(doc, page, wanted.page).map_err(|error| error.to_string())?;
    let mut streams = Vec::new();
    if let Some(resources) = inherited(doc, page, b"Resources").and_then(|object| object.as_dict().ok()) {
        drawn(doc, resources, &content, wanted.page, MAX_DEPTH, &mut streams);
    }
    let mut pictures = Vec::new();
    for stream in streams {
        let (across, down) = (integer(doc, &stream.dict, b"Width"), integer(doc, &stream.dict, b"Height"));
        let (Some(across), Some(down)) = (across, down) else { continue };
        if across < SMALLEST_WIDTH || down < SMALLEST_HEIGHT {
            continue;
        }
        let shape = (across as f64 / down as f64) / (width / height);
        if wanted.whole && !(1.0 / SAME_SHAPE..=SAME_SHAPE).contains(&shape) {
            continue;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let dpi = (across as f64 / (width / 72.0)).round().clamp(70.0, 2400.0) as u32;
        let (bytes, extension) = file(doc, stream, across, down)?;
        pictures.push(Picture { bytes, extension, dpi });
    }
    match pictures.len() {
        0 if wanted.whole => Err("the page shows no picture of itself".into()),
        0 => Err("the page draws no picture that could hold text".into()),
        1..=MAX_PICTURES => Ok(pictures),
        count => Err(format!("the page is drawn in {count} pictures")),
    }
}

/// The pictures that a content stream draws, those of its forms included.
fn drawn<'a>(
    doc: &'a Document,
    resources: &'a Dictionary,
    content: &[u8],
    page: u32,
    depth: usize,
    found: &mut Vec<&'a Stream>,
) {
    let Some(objects) = dict_entry(doc, resources, b"XObject") else { return };
    let mut lexer = Lexer::new(content);
    let mut name = Vec::new();
    while let Some(token) = lexer.next() {
        match token {
            Token::Name(text) => name = text.into_owned(),
            Token::Word(b"ID") => lexer.skip_inline_image(),
            Token::Word(b"Do") => {
                let Some(stream) = entry(doc, objects, &name).and_then(|object| object.as_stream().ok()) else {
                    continue;
                };
                let subtype = entry(doc, &stream.dict, b"Subtype").and_then(|name| name.as_name().ok());
                if subtype == Some(b"Image") {
                    found.push(stream);
                } else if subtype == Some(b"Form") && depth > 0 && found.len() <= MAX_PICTURES {
                    let own = dict_entry(doc, &stream.dict, b"Resources").unwrap_or(resources);
                    let inner = inflate(stream, page).unwrap_or_default();
                    drawn(doc, own, &inner, page, depth - 1, found);
                }
            }
            _ => {}
        }
        if found.len() > MAX_PICTURES {
            return;
        }
    }
}

fn integer(doc: &Document, dict: &Dictionary, key: &[u8]) -> Option<i64> {
    entry(doc, dict, key).and_then(|object| object.as_i64().ok())
}

/// A picture as a file, and what such files are called.
fn file(doc: &Document, stream: &Stream, across: i64, down: i64) -> Result<(Vec<u8>, &'static str), String> {
    let filters = stream.filters().unwrap_or_default();
    let (last, before) = match filters.split_last() {
        Some((last, before)) => (*last, before),
        None => (&b""[..], &[][..]),
    };
    let as_is = match last {
        b"DCTDecode" | b"DCT" => Some("jpg"),
        b"JPXDecode" => Some("jp2"),
        b"CCITTFaxDecode" | b"CCF" => Some("tif"),
        b"JBIG2Decode" => return Err("the picture is stored as JBIG2, which cannot be taken out".into()),
        _ => None,
    };
    let Some(extension) = as_is else { return samples(doc, stream, across, down) };
    let bytes = undo(stream, before)?;
    if extension != "tif" {
        return Ok((bytes, extension));
    }
    Ok((fax(doc, stream, &bytes, across, down)?, extension))
}

/// The bytes of a stream with only these of its filters undone.
fn undo(stream: &Stream, filters: &[&[u8]]) -> Result<Vec<u8>, String> {
    if filters.is_empty() {
        return Ok(stream.content.clone());
    }
    let names: Vec<Object> = filters.iter().map(|name| Object::Name(name.to_vec())).collect();
    let mut outer = Dictionary::new();
    outer.set("Filter", names);
    let outer = Stream::new(outer, stream.content.clone());
    outer.get_plain_content_with_limit(MAX_SAMPLES).map_err(|error| format!("the picture does not inflate: {error}"))
}

/// How samples are to be understood.
enum Colours {
    Grey,
    Rgb,
    /// Entries of a table of RGB or grey values.
    Indexed {
        table: Vec<u8>,
        components: usize,
    },
}

fn colours(doc: &Document, object: Option<&Object>, depth: usize) -> Result<Colours, String> {
    let name = |object: &Object| object.as_name().map(<[u8]>::to_vec).unwrap_or_default();
    let (family, array) = match object {
        Some(Object::Array(array)) => {
            (array.first().and_then(|first| resolve(doc, first)).map(name).unwrap_or_default(), array.as_slice())
        }
        Some(object) => (name(object), &[][..]),
        None => (b"DeviceGray".to_vec(), &[][..]),
    };
    let second = array.get(1).and_then(|object| resolve(doc, object));
    match family.as_slice() {
        b"DeviceGray" | b"CalGray" | b"G" => Ok(Colours::Grey),
        b"DeviceRGB" | b"CalRGB" | b"RGB" => Ok(Colours::Rgb),
        b"ICCBased" => {
            match second.and_then(|object| object.as_stream().ok()).and_then(|s| integer(doc, &s.dict, b"N")) {
                Some(1) => Ok(Colours::Grey),
                Some(3) => Ok(Colours::Rgb),
                _ => Err("the picture's samples are neither grey nor RGB".into()),
            }
        }
        b"Indexed" | b"I" if depth > 0 => {
            let components = match colours(doc, second, 0)? {
                Colours::Grey => 1,
                Colours::Rgb => 3,
                Colours::Indexed { .. } => return Err("the picture's colours are a table of a table".into()),
            };
            let table = match array.get(3).and_then(|object| resolve(doc, object)) {
                Some(Object::String(bytes, _)) => bytes.clone(),
                Some(Object::Stream(stream)) => {
                    stream.get_plain_content_with_limit(1 << 16).map_err(|error| error.to_string())?
                }
                _ => return Err("the picture's table of colours is missing".into()),
            };
            Ok(Colours::Indexed { table, components })
        }
        other => Err(format!("the picture's samples are {}, not grey or RGB", String::from_utf8_lossy(other))),
    }
}

/// Samples as a PBM, PGM or PPM file.
fn samples(doc: &Document, stream: &Stream, across: i64, down: i64) -> Result<(Vec<u8>, &'static str), String> {
    let dict = &stream.dict;
    let mask = entry(doc, dict, b"ImageMask").and_then(|object| object.as_bool().ok()).unwrap_or(false);
    let bits = if mask { 1 } else { integer(doc, dict, b"BitsPerComponent").unwrap_or(8) };
    let colours = if mask { Colours::Grey } else { colours(doc, entry(doc, dict, b"ColorSpace"), 1)? };
    let (Ok(width), Ok(height)) = (usize::try_from(across), usize::try_from(down)) else {
        return Err("the picture has no size".into());
    };
    let components = if matches!(colours, Colours::Rgb) { 3 } else { 1 };
    let row = match bits {
        1 if components == 1 => width.div_ceil(8),
        8 => width * components,
        _ => return Err(format!("the picture's samples have {bits} bits, not 1 or 8")),
    };
    let size = row.checked_mul(height).filter(|size| *size <= MAX_SAMPLES);
    let size = size.ok_or("the picture is larger than any scan")?;
    let mut data = stream
        .get_plain_content_with_limit(size.max(1 << 16) + (1 << 16))
        .map_err(|error| format!("the picture does not inflate: {error}"))?;
    if data.len() < size {
        return Err(format!("the picture holds {} bytes of the {size} that it should", data.len()));
    }
    data.truncate(size);
    // The least sample may stand for white instead of black. A mask paints where its samples are 0, so 0 is ink too.
    let decode = entry(doc, dict, b"Decode").and_then(|object| object.as_array().ok());
    let inverted = decode.and_then(|array| array.first()).and_then(number).is_some_and(|first| first >= 1.0);
    match (&colours, bits) {
        (Colours::Indexed { table, components }, _) => {
            let index: Vec<u8> = if bits == 8 {
                data
            } else {
                let sample = |row: &[u8], x: usize| row[x / 8] >> (7 - x % 8) & 1;
                data.chunks_exact(row).flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
            };
            let mut out = Vec::with_capacity(index.len() * components);
            for entry in index {
                let at = usize::from(entry) * components;
                out.extend_from_slice(
                    table.get(at..at + components).ok_or("a sample is outside the table of colours")?,
                );
            }
            Ok(netpbm(if *components == 3 { 6 } else { 5 }, width, height, out))
        }
        (Colours::Grey, 1) => {
            // In a PBM, 1 is black; in a PDF, 0 is.
            if !inverted {
                data.iter_mut().for_each(|byte| *byte = !*byte);
            }
            Ok(netpbm(4, width, height, data))
        }
        _ => {
            if inverted {
                data.iter_mut().for_each(|byte| *byte = !*byte);
            }
            Ok(netpbm(if components == 3 { 6 } else { 5 }, width, height, data))
        }
    }
}

fn netpbm(kind: u8, width: usize, height: usize, data: Vec<u8>) -> (Vec<u8>, &'static str) {
    let depth = if kind == 4 { "" } else { "255\n" };
    let mut out = format!("P{kind}\n{width} {height}\n{depth}").into_bytes();
    out.extend(data);
    (
        out,
        match kind {
            4 => "pbm",
            5 => "pgm",
            _ => "ppm",
        },
    )
}

/// Fax data behind a TIFF header that says how to read it.
fn fax(doc: &Document, stream: &Stream, data: &[u8], across: i64, down: i64) -> Result<Vec<u8>, String> {
    let empty = Dictionary::new();
    // The parameters of the last filter.
    let parameters = match entry(doc, &stream.dict, b"DecodeParms") {
        Some(Object::Array(all)) => all.last().and_then(|last| resolve(doc, last)).and_then(|last| last.as_dict().ok()),
        Some(object) => object.as_dict().ok(),
        None => None,
    };
    let parameters = parameters.unwrap_or(&empty);
    let flag = |key: &[u8]| entry(doc, parameters, key).and_then(|object| object.as_bool().ok()).unwrap_or(false);
    if flag(b"EncodedByteAlign") {
        return Err("the picture is stored as a fax with aligned rows, which is not read".into());
    }
    let kind = integer(doc, parameters, b"K").unwrap_or(0);
    let columns = integer(doc, parameters, b"Columns").unwrap_or(1728);
    if columns != across {
        return Err(format!("the picture is {across} samples wide, its fax {columns}"));
    }
    let (compression, options) = match kind {
        ..0 => (4, 0),
        0 => (3, 0),
        _ => (3, 1),
    };
    let decode = entry(doc, &stream.dict, b"Decode").and_then(|object| object.as_array().ok());
    let inverted = decode.and_then(|array| array.first()).and_then(number).is_some_and(|first| first >= 1.0);
    // In a TIFF, 0 says that zeros are white, which is what faxes mean.
    let photometric = u32::from(flag(b"BlackIs1") != inverted);
    let number = |value: i64| u32::try_from(value).map_err(|_| "the picture is larger than any scan".to_owned());
    let length = u32::try_from(data.len()).map_err(|_| "the picture is larger than any scan".to_owned())?;
    let options_tag = if compression == 4 { 293 } else { 292 };
    let fields: [(u16, u32); 9] = [
        (256, number(across)?),
        (257, number(down)?),
        (258, 1),
        (259, compression),
        (262, photometric),
        (273, 8),
        (278, number(down)?),
        (279, length),
        (options_tag, options),
    ];
    let mut out = b"II\x2a\0".to_vec();
    let directory = 8 + length + length % 2;
    out.extend(directory.to_le_bytes());
    out.extend_from_slice(data);
    out.resize(directory as usize, 0);
    out.extend(9_u16.to_le_bytes());
    for (tag, value) in fields {
        out.extend(tag.to_le_bytes());
        // Type 4: a 32-bit number; one of it.
        out.extend(4_u16.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out.extend(0_u32.to_le_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use lopdf::dictionary;

    use super::super::sample::Sample;
    use super::*;

    const SIDE: usize = 320;

    fn image(more: Dictionary, data: &[u8]) -> Vec<u8> {
        let mut dict =
            dictionary! { "Type" => "XObject", "Subtype" => "Image", "Width" => SIDE as i64, "Height" => SIDE as i64 };
        dict.extend(&more);
        let mut sample = Sample::new();
        let id = sample.stream(dict, data);
        sample.object("I", id);
        sample.page(b"q 600 0 0 800 0 0 cm /I Do Q");
        sample.bytes()
    }

    fn taken(pdf: &[u8], whole: bool) -> Result<Vec<Picture>, String> {
        let mut found = None;
        pictures(pdf, &Limits::default(), &[Wanted { page: 1, whole }], |_, pictures| {
            found = Some(pictures);
            Ok(())
        })
        .unwrap();
        found.unwrap()
    }

    #[test]
    fn samples_become_files_of_their_kind() {
        let grey = dictionary! { "ColorSpace" => "DeviceGray", "BitsPerComponent" => 8 };
        let picture = &taken(&image(grey, &[7; SIDE * SIDE]), false).unwrap()[0];
        assert_eq!((picture.extension, picture.dpi), ("pgm", 70));
        assert!(picture.bytes.starts_with(b"P5\n320 320\n255\n\x07\x07"));

        let mask = dictionary! { "ImageMask" => true };
        let picture = &taken(&image(mask, &[0xF0; SIDE * SIDE / 8]), false).unwrap()[0];
        assert!(picture.bytes.starts_with(b"P4\n320 320\n\x0F"), "0 is ink");

        let table = Object::String(vec![9, 8, 7, 1, 2, 3], lopdf::StringFormat::Literal);
        let space: Vec<Object> = vec!["Indexed".into(), "DeviceRGB".into(), 1.into(), table];
        let indexed = dictionary! { "ColorSpace" => space, "BitsPerComponent" => 8 };
        let picture = &taken(&image(indexed, &[1; SIDE * SIDE]), false).unwrap()[0];
        assert!(picture.bytes.starts_with(b"P6\n320 320\n255\n\x01\x02\x03\x01"));
    }

    #[test]
    fn coded_pictures_are_passed_on() {
        let picture = &taken(&image(dictionary! { "Filter" => "DCTDecode" }, b"\xFF\xD8jpeg"), false).unwrap()[0];
        assert_eq!((picture.extension, picture.bytes.as_slice()), ("jpg", &b"\xFF\xD8jpeg"[..]));
        let parameters = dictionary! { "K" => -1, "Columns" => SIDE as i64 };
        let coded = dictionary! { "Filter" => "CCITTFaxDecode", "DecodeParms" => parameters };
        let picture = &taken(&image(coded, b"fax"), false).unwrap()[0];
        assert_eq!(&picture.bytes[..12], b"II\x2a\0\x0c\0\0\0fax\0");
        assert_eq!(picture.bytes.len(), 12 + 2 + 9 * 12 + 4);
    }

    #[test]
    fn what_cannot_be_taken_out_says_why() {
        let reason = |more: Dictionary, whole| taken(&image(more, &[0; 9]), whole).unwrap_err();
        assert!(reason(dictionary! { "Filter" => "JBIG2Decode" }, false).contains("JBIG2"));
        assert!(
            reason(dictionary! { "ColorSpace" => "DeviceCMYK", "BitsPerComponent" => 8 }, false).contains("DeviceCMYK")
        );
        assert!(reason(dictionary! { "BitsPerComponent" => 8 }, false).contains("9 bytes of the 102400"));
        // The page is 3:4, the picture is square: an illustration.
        assert!(reason(dictionary! { "Filter" => "DCTDecode" }, true).contains("no picture of itself"));
    }
}
