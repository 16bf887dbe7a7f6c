//! Fonts: from the bytes of a shown string to texts and widths.
//!
//! A code's text comes from the best witness that speaks of it: the ToUnicode CMap; in a simple font then its encoding
//! ([`super::simple`]), in a composite one the tables of the embedded program, then the character collection that its CIDs
//! belong to. Where none speaks (subset fonts whose codes are glyph numbers), there is no text, the interpreter writes
//! U+FFFD and counts it, and the page gate decides.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use lopdf::{Dictionary, Document, Object};

use super::cmap::{self, CMap, Code};
use super::predefined::Predefined;
use super::program::Program;
use super::widths::{self, Widths};
use super::{composite, glyphs, simple};

/// CMaps and font programs larger than this are not read.
const MAX_STREAM: usize = 32 << 20;

/// One decoded character code.
#[derive(Debug, Clone)]
pub(super) struct Char {
    /// Its text; `None` where the font does not say.
    pub(super) text: Option<Rc<str>>,
    /// Its advance, in units of the font size.
    pub(super) width: f64,
    /// Whether it is the one-byte code 32, to which word spacing applies.
    pub(super) is_space_code: bool,
    /// How many bytes of the string it took.
    pub(super) length: usize,
}

/// A font as the text layer needs it.
#[derive(Debug)]
pub(super) struct Font {
    /// Base font name without the subset tag.
    pub(super) name: String,
    /// Whether its name or descriptor says that it is bold.
    pub(super) bold: bool,
    /// Whether its strings run downwards.
    pub(super) vertical: bool,
    /// Why codes of it may be without text.
    pub(super) silence: String,
    coding: Coding,
    to_unicode: Option<CMap>,
    /// The texts of its CIDs, where they are those of one of Adobe's character collections.
    collection: Option<Arc<Predefined>>,
    /// The embedded program.
    program: Option<Program>,
    /// The `CIDToGIDMap` of a composite TrueType font, if it is a stream: glyph ids in two bytes each.
    glyph_ids: Option<Vec<u8>>,
    widths: Widths,
    /// Characters that stand for others, see [`super::repair`].
    replaced: RefCell<Vec<(char, char)>>,
    /// CMap look-ups are linear in the number of ranges; each code is looked up once.
    known: RefCell<HashMap<Code, Known>>,
}

/// The text of a code, if it has one, and its width.
type Known = (Option<Rc<str>>, f64);

/// How the bytes of a string are codes.
#[derive(Debug)]
pub(super) enum Coding {
    /// One byte a code, with the text of each code.
    Simple(Vec<Option<String>>),
    /// `Identity-H` and `-V`: two bytes a code, which is the CID.
    Identity,
    /// A CMap that PDF knows by name.
    Named(Arc<Predefined>),
    /// `UniJIS-UTF16-H`, `UniGB-UCS2-H` and their kin: the codes are characters, and the CMap leads from UTF-16 to CIDs.
    Unicode(fn(&[u8]) -> Code, Option<Arc<Predefined>>),
    /// A CMap that nobody here knows, taken as two bytes a code.
    Unknown,
    /// An embedded CMap.
    Embedded(CMap),
    /// The font is missing from the resources.
    Missing,
}

/// Follows references; `None` for what is missing or null.
pub(super) fn resolve<'a>(doc: &'a Document, object: &'a Object) -> Option<&'a Object> {
    doc.dereference(object).ok().map(|(_, object)| object).filter(|object| !object.is_null())
}

/// The value of a key, references followed.
pub(super) fn entry<'a>(doc: &'a Document, dict: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
    dict.get(key).ok().and_then(|object| resolve(doc, object))
}

/// The value of a key that should be a dictionary, or the dictionary of a stream.
pub(super) fn dict_entry<'a>(doc: &'a Document, dict: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
    as_dict(entry(doc, dict, key)?)
}

pub(super) fn as_dict(object: &Object) -> Option<&Dictionary> {
    match object {
        Object::Dictionary(dict) => Some(dict),
        Object::Stream(stream) => Some(&stream.dict),
        _ => None,
    }
}

/// A finite number.
pub(super) fn number(object: &Object) -> Option<f64> {
    let value = match object {
        Object::Integer(value) => *value as f64,
        Object::Real(value) => f64::from(*value),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// The value of a key that should be a number.
pub(super) fn number_entry(doc: &Document, dict: &Dictionary, key: &[u8]) -> Option<f64> {
    entry(doc, dict, key).and_then(number)
}

/// The bytes of a stream; none where it is missing, too large or damaged.
pub(super) fn stream_entry(doc: &Document, dict: &Dictionary, key: &[u8]) -> Option<Vec<u8>> {
    let stream = entry(doc, dict, key)?.as_stream().ok()?;
    stream.get_plain_content_with_limit(MAX_STREAM).ok()
}

impl Font {
    /// Reads a font dictionary. Nothing in it is required: what is missing leaves codes without text or width.
    pub(super) fn load(doc: &Document, dict: &Dictionary) -> Self {
        let subtype = entry(doc, dict, b"Subtype").and_then(|name| name.as_name().ok()).unwrap_or_default();
        let descendant = entry(doc, dict, b"DescendantFonts")
            .and_then(|array| array.as_array().ok()?.first())
            .and_then(|font| as_dict(resolve(doc, font)?));
        let described = descendant.unwrap_or(dict);
        let descriptor = dict_entry(doc, described, b"FontDescriptor");
        let name = base_name(doc, dict).or_else(|| base_name(doc, described)).unwrap_or_default();
        let encoding_name = entry(doc, dict, b"Encoding").and_then(|name| name.as_name().ok()).unwrap_or_default();

        let program = descriptor.and_then(|descriptor| Program::read(doc, descriptor));

        let composite = subtype == b"Type0" || descendant.is_some();
        let (coding, widths) = if composite {
            (composite::coding(doc, dict, encoding_name), widths::composite_widths(doc, described))
        } else {
            let texts = simple::texts(doc, dict, subtype, descriptor, program.as_ref(), &name);
            (Coding::Simple(texts), widths::simple_widths(doc, dict, descriptor, subtype, &name))
        };
        let glyph_ids = descendant.and_then(|descendant| stream_entry(doc, descendant, b"CIDToGIDMap"));
        // Codes that lead to glyphs by a table are not glyph numbers, and may be characters.
        let to_unicode = composite::to_unicode(doc, dict, glyph_ids.is_some());
        let in_order = glyph_ids.is_some() || descriptor.is_none_or(|descriptor| !descriptor.has(b"FontFile2"));
        Self {
            bold: is_bold(doc, descriptor, &name),
            vertical: encoding_name == b"V" || encoding_name.ends_with(b"-V"),
            to_unicode,
            silence: silence(&coding, dict, encoding_name, program.as_ref().is_some_and(Program::has_text)),
            collection: composite::collection(doc, described, &coding, in_order),
            program,
            glyph_ids,
            replaced: RefCell::default(),
            known: RefCell::default(),
            name,
            coding,
            widths,
        }
    }

    /// Stands in for a font that the resources do not hold: its strings have no text.
    pub(super) fn missing() -> Self {
        Self {
            name: "(missing)".to_owned(),
            bold: false,
            vertical: false,
            coding: Coding::Missing,
            to_unicode: None,
            silence: "it is not in the resources of the page".to_owned(),
            collection: None,
            program: None,
            glyph_ids: None,
            widths: Widths::Fixed(0.5),
            replaced: RefCell::default(),
            known: RefCell::default(),
        }
    }

    /// The first character of a string that is not empty.
    pub(super) fn decode(&self, bytes: &[u8]) -> Char {
        let code = match &self.coding {
            Coding::Simple(_) | Coding::Missing => {
                Code { value: bytes.first().map_or(0, |&byte| byte.into()), length: 1 }
            }
            Coding::Identity | Coding::Unknown => cmap::two_bytes(bytes),
            Coding::Named(map) => cmap::first_bytes(bytes, map.code_length(bytes)),
            Coding::Unicode(first, _) => first(bytes),
            Coding::Embedded(map) => map.next_code(bytes),
        };
        let known = self.known.borrow().get(&code).cloned();
        let (text, width) = known.unwrap_or_else(|| {
            let replaced = self.replaced.borrow();
            let letter = |c: char| replaced.iter().find(|pair| pair.0 == c).map_or(c, |pair| pair.1);
            let text = self.text(code).map(|text| text.chars().map(letter).collect::<String>());
            let looked_up = (text.map(Rc::from), self.width(code));
            self.known.borrow_mut().insert(code, looked_up.clone());
            looked_up
        });
        Char { text, width, is_space_code: code.length == 1 && code.value == 32, length: code.length.max(1) }
    }

    /// From now on reads the first character of each pair as the second.
    pub(super) fn replace(&self, pairs: Vec<(char, char)>) {
        *self.replaced.borrow_mut() = pairs;
        self.known.borrow_mut().clear();
    }

    fn text(&self, code: Code) -> Option<String> {
        if let Some(text) = self.to_unicode.as_ref().and_then(|map| map.text(code.value)) {
            return Some(text);
        }
        match &self.coding {
            Coding::Simple(texts) => texts.get(code.value as usize).cloned().flatten(),
            Coding::Unicode(..) => char::from_u32(code.value).and_then(|c| glyphs::usable(c.to_string())),
            Coding::Identity | Coding::Named(_) | Coding::Embedded(_) => {
                let cid = self.cid(code)?;
                let of_glyph = || self.program.as_ref()?.glyph(self.glyph_of_cid(cid)?).cloned();
                of_glyph().or_else(|| self.collection.as_ref()?.text(cid))
            }
            Coding::Unknown | Coding::Missing => None,
        }
    }

    /// The CID of a code of a composite font.
    fn cid(&self, code: Code) -> Option<u32> {
        match &self.coding {
            Coding::Identity => Some(code.value),
            Coding::Named(map) => map.cid(code.value, code.length),
            Coding::Embedded(map) => map.cid(code),
            Coding::Unicode(_, map) => {
                let mut units = [0; 2];
                let units = char::from_u32(code.value)?.encode_utf16(&mut units);
                let utf16 = units.iter().fold(0, |value, &unit| value << 16 | u32::from(unit));
                map.as_ref()?.cid(utf16, 2 * units.len())
            }
            Coding::Simple(_) | Coding::Unknown | Coding::Missing => None,
        }
    }

    /// The glyph of a CID in the embedded program.
    fn glyph_of_cid(&self, cid: u32) -> Option<u32> {
        let Some(ids) = &self.glyph_ids else { return self.program.as_ref()?.glyph_of_cid(cid) };
        let at = 2 * cid as usize;
        let id = ids.get(at..at + 2)?;
        Some(u16::from_be_bytes([id[0], id[1]]).into())
    }

    /// The advance of a code: what the file says, then the embedded program of a simple font, then the default.
    fn width(&self, code: Code) -> f64 {
        let given = self.widths.given(code.value, self.cid(code).unwrap_or(code.value));
        given.or_else(|| self.width_of_glyph(code)).unwrap_or_else(|| self.widths.default_of(code.value))
    }

    fn width_of_glyph(&self, code: Code) -> Option<f64> {
        let Coding::Simple(texts) = &self.coding else { return None };
        let (program, byte) = (self.program.as_ref()?, u8::try_from(code.value).ok()?);
        program.advance(program.glyph_of_code(byte, texts.get(usize::from(byte))?.as_deref())?)
    }
}

/// Why a font may have codes without text, for the reader of a page's evidence.
fn silence(coding: &Coding, dict: &Dictionary, encoding_name: &[u8], has_program: bool) -> String {
    let map = if dict.has(b"ToUnicode") { "its ToUnicode map leaves codes out" } else { "it has no ToUnicode map" };
    let program = if has_program { "its program does not name the glyphs" } else { "its program says nothing of them" };
    match coding {
        Coding::Unknown => {
            format!("its codes follow {}, which is not known here, and {map}", String::from_utf8_lossy(encoding_name))
        }
        Coding::Simple(_) => format!("{map}, its encoding does not name the glyphs, and {program}"),
        _ => format!("{map}, and {program}"),
    }
}

/// `ABCDEF+Times-Bold` without its tag.
fn base_name(doc: &Document, dict: &Dictionary) -> Option<String> {
    let name = entry(doc, dict, b"BaseFont")?.as_name().ok()?;
    let name = String::from_utf8_lossy(name).into_owned();
    Some(match name.split_once('+') {
        Some((tag, rest)) if tag.len() == 6 => rest.to_owned(),
        _ => name,
    })
}

fn is_bold(doc: &Document, descriptor: Option<&Dictionary>, name: &str) -> bool {
    let lower = name.to_lowercase();
    let named = ["bold", "black", "heavy", "demi", "полужирн"].iter().any(|word| lower.contains(word));
    let described = descriptor.is_some_and(|descriptor| {
        const FORCE_BOLD: i64 = 1 << 18;
        let flags = entry(doc, descriptor, b"Flags").and_then(|flags| flags.as_i64().ok()).unwrap_or(0);
        flags & FORCE_BOLD != 0 || number_entry(doc, descriptor, b"FontWeight").is_some_and(|weight| weight >= 600.0)
    });
    named || described
}

#[cfg(test)]
mod tests {
    use lopdf::{Stream, dictionary};

    use super::*;

    fn texts(font: &Font, mut bytes: &[u8]) -> String {
        let mut text = String::new();
        while !bytes.is_empty() {
            let char = font.decode(bytes);
            text.push_str(char.text.as_deref().unwrap_or("\u{FFFD}"));
            bytes = &bytes[char.length.min(bytes.len())..];
        }
        text
    }

    fn simple(doc: &Document, encoding: Object) -> Font {
        Font::load(
            doc,
            &dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "AAAAAA+Some-Bold", "Encoding" => encoding },
        )
    }

    #[test]
    fn to_unicode_wins_over_the_encoding_and_the_encoding_fills_its_gaps() {
        let mut doc = Document::new();
        let map = doc.add_object(Stream::new(Dictionary::new(), b"beginbfchar <41> <0416> endbfchar".to_vec()));
        let font = Font::load(
            &doc,
            &dictionary! { "Subtype" => "TrueType", "Encoding" => "WinAnsiEncoding", "ToUnicode" => map },
        );
        assert_eq!(texts(&font, b"A\xE4"), "Жä");
    }

    #[test]
    fn differences_by_name_and_a_name_without_meaning_is_not_replaced_by_the_base() {
        let doc = Document::new();
        let differences =
            vec![65.into(), "uni0422".into(), "afii10085".into(), "g17".into(), 200.into(), "zcaron".into()];
        let font =
            simple(&doc, dictionary! { "BaseEncoding" => "WinAnsiEncoding", "Differences" => differences }.into());
        assert_eq!(texts(&font, b"ABCD\xC8"), "Ту\u{FFFD}Dž");
        assert_eq!((font.name.as_str(), font.bold), ("Some-Bold", true));
    }

    #[test]
    fn an_embedded_symbolic_font_without_an_encoding_has_no_text() {
        let mut doc = Document::new();
        let program = doc.add_object(Stream::new(Dictionary::new(), Vec::new()));
        let descriptor = doc.add_object(dictionary! { "Flags" => 4, "FontFile2" => program });
        let font = Font::load(&doc, &dictionary! { "Subtype" => "TrueType", "FontDescriptor" => descriptor });
        assert_eq!(texts(&font, b"AB"), "\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn composite_widths_of_both_forms() {
        let mut doc = Document::new();
        let widths = vec![10.into(), vec![250.into(), 300.into()].into(), 20.into(), 22.into(), 700.into()];
        let descendant = doc.add_object(dictionary! { "Subtype" => "CIDFontType2", "W" => widths, "DW" => 500 });
        let font = Font::load(
            &doc,
            &dictionary! { "Subtype" => "Type0", "Encoding" => "Identity-H", "DescendantFonts" => vec![descendant.into()] },
        );
        let width = |code: u8| font.decode(&[0, code]).width;
        assert_eq!([10, 11, 12, 21].map(width), [0.25, 0.3, 0.5, 0.7]);
        assert_eq!(font.decode(&[0, 10]).length, 2);
    }

    /// A composite font of this encoding, whose descendant says this.
    fn composite(doc: &mut Document, encoding: Object, mut descendant: Dictionary, ordering: &str) -> Font {
        let info = dictionary! { "Registry" => Object::string_literal("Adobe"), "Ordering" => Object::string_literal(ordering) };
        descendant.set("CIDSystemInfo", info);
        let descendant = doc.add_object(descendant);
        let fonts = vec![descendant.into()];
        Font::load(doc, &dictionary! { "Subtype" => "Type0", "Encoding" => encoding, "DescendantFonts" => fonts })
    }

    #[test]
    fn the_collection_of_the_cids_tells_their_text_but_not_that_of_a_programs_own_glyph_numbers() {
        let mut doc = Document::new();
        // CIDs of Adobe-Japan1: A is 34, 日 3284; in Adobe-Identity they are nothing.
        let codes = b"\x00\x22\x0C\xD4";
        let plain = dictionary! { "Subtype" => "CIDFontType0" };
        assert_eq!(texts(&composite(&mut doc, "Identity-H".into(), plain.clone(), "Japan1"), codes), "A日");
        assert_eq!(texts(&composite(&mut doc, "Identity-H".into(), plain, "Identity"), codes), "\u{FFFD}\u{FFFD}");
        let program = doc.add_object(Stream::new(Dictionary::new(), Vec::new()));
        let descriptor = doc.add_object(dictionary! { "FontFile2" => program });
        let embedded = dictionary! { "Subtype" => "CIDFontType2", "FontDescriptor" => descriptor };
        assert_eq!(texts(&composite(&mut doc, "Identity-H".into(), embedded, "Japan1"), codes), "\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn cmaps_by_name_lead_to_texts_and_to_widths() {
        let mut doc = Document::new();
        // CID 264 is the A of half width that 90ms-RKSJ means, CID 34 the proportional one of UniJIS-UTF16.
        let widths = vec![264.into(), vec![500.into()].into(), 34.into(), vec![700.into()].into()];
        let descendant = dictionary! { "Subtype" => "CIDFontType0", "W" => widths };
        let mut font = |encoding: Object| composite(&mut doc, encoding, descendant.clone(), "Japan1");
        let shift_jis = font("90ms-RKSJ-H".into());
        assert_eq!(texts(&shift_jis, b"A\x93\xFA\x96\x7B"), "A日本");
        assert_eq!((shift_jis.decode(b"A").width, shift_jis.decode(b"\x93\xFA").width), (0.5, 1.0));
        let unicode = font("UniJIS-UTF16-H".into());
        assert_eq!((texts(&unicode, b"\x65\xE5\x00A").as_str(), unicode.decode(b"\x00A").width), ("日A", 0.7));
        assert_eq!(texts(&font("UniJIS-UTF8-H".into()), "日A".as_bytes()), "日A");
        assert_eq!(texts(&font("UniJIS-UTF32-H".into()), b"\0\0\x65\xE5\0\0\0A"), "日A");
        assert_eq!(texts(&font("Nobody-Knows-H".into()), b"\x93\xFA"), "\u{FFFD}");
        let stream =
            Stream::new(dictionary! { "UseCMap" => "90ms-RKSJ-H" }, b"begincidchar <42> 34 endcidchar".to_vec());
        assert_eq!(texts(&font(stream.into()), b"AB\x93\xFA"), "AA日");
    }

    #[test]
    fn a_copy_of_identity_as_to_unicode_counts_where_codes_are_no_glyph_numbers() {
        let mut doc = Document::new();
        let map = b"1 begincodespacerange <0000> <FFFF> endcodespacerange 1 begincidrange <0000> <FFFF> 0 endcidrange";
        let map = doc.add_object(Stream::new(Dictionary::new(), map.to_vec()));
        let glyphs = doc.add_object(Stream::new(Dictionary::new(), vec![0; 512]));
        let mut font = |glyphs: Object| {
            let descendant = doc.add_object(dictionary! { "Subtype" => "CIDFontType2", "CIDToGIDMap" => glyphs });
            let fonts = vec![descendant.into()];
            let dict = dictionary! { "Subtype" => "Type0", "Encoding" => "Identity-H", "DescendantFonts" => fonts, "ToUnicode" => map };
            texts(&Font::load(&doc, &dict), b"\0J\0u")
        };
        assert_eq!((font(glyphs.into()).as_str(), font("Identity".into()).as_str()), ("Ju", "\u{FFFD}\u{FFFD}"));
    }

    #[test]
    fn widths_of_a_simple_font_come_from_its_program_where_the_file_gives_none() {
        let mut doc = Document::new();
        let words = |values: &[u16]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<u8>>();
        let (mut head, mut hhea) = (vec![0; 54], vec![0; 36]);
        (head[12..16]).copy_from_slice(&[0x5F, 0x0F, 0x3C, 0xF5]);
        (head[18..20]).copy_from_slice(&2000_u16.to_be_bytes());
        hhea[35] = 3;
        // A Unicode cmap of format 6: A is glyph 1, B glyph 2.
        let cmap = words(&[0, 1, 3, 1, 0, 12, 6, 14, 0, 65, 2, 1, 2]);
        let tables = [(b"cmap", cmap), (b"head", head), (b"hhea", hhea), (b"hmtx", words(&[1000, 0, 500, 0, 1500, 0]))];
        let mut file = [&[0, 1, 0, 0, 0, 4][..], &[0; 6]].concat();
        let mut offset = 12 + 16 * tables.len();
        for (tag, table) in &tables {
            file.extend(tag.iter().chain(&[0; 4]));
            file.extend([offset, table.len()].iter().flat_map(|&value| u32::try_from(value).unwrap().to_be_bytes()));
            offset += table.len();
        }
        file.extend(tables.iter().flat_map(|(_, table)| table));
        let program = doc.add_object(Stream::new(Dictionary::new(), file));
        let descriptor = doc.add_object(dictionary! { "FontFile2" => program });
        let mut font =
            dictionary! { "Subtype" => "TrueType", "Encoding" => "WinAnsiEncoding", "FontDescriptor" => descriptor };
        let width = |font: &Dictionary| {
            let font = Font::load(&doc, font);
            [b"A", b"B", b"C"].map(|code| font.decode(code).width)
        };
        assert_eq!(width(&font), [0.25, 0.75, 0.722], "500 and 1500 of 2000, and what Helvetica has");
        font.set("Widths", vec![640.into()]);
        font.set("FirstChar", 65);
        assert_eq!(width(&font), [0.64, 0.75, 0.0]);
    }
}
