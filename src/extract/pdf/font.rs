//! Fonts: from the bytes of a shown string to texts and widths.
//!
//! A code's text comes from the best witness that speaks of it: the ToUnicode CMap, then the glyph name in
//! `/Differences`, then the base encoding, then the tables of the embedded program. Where none does (subset fonts whose
//! codes are glyph numbers), there is no text, the interpreter writes U+FFFD and counts it, and the page gate decides.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use lopdf::{Dictionary, Document, Object};

use super::cmap::{self, CMap, Code};
use super::encodings::BaseEncoding;
use super::glyphs;
use super::lexer::{Lexer, Token};
use super::program::Program;
use super::widths::{self, Widths};

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
    /// The embedded program, where CIDs lead into it.
    program: Option<Program>,
    /// The `CIDToGIDMap` of a composite TrueType font, if it is a stream: glyph ids in two bytes each.
    glyph_ids: Option<Vec<u8>>,
    widths: Widths,
    /// Characters that stand for others, see [`super::repair`].
    replaced: RefCell<Vec<(char, char)>>,
    /// CMap look-ups are linear in the number of ranges; each code is looked up once.
    known: RefCell<HashMap<u32, Known>>,
}

/// The text of a code, if it has one, and its width.
type Known = (Option<Rc<str>>, f64);

#[derive(Debug)]
enum Coding {
    /// One byte a code, with the text of each code.
    Simple(Vec<Option<String>>),
    /// `Identity-H` and `-V`: two bytes a code, which is the CID.
    Identity,
    /// A predefined CMap that is not known here, taken as two bytes a code.
    Unknown,
    /// `UniJIS-UTF16-H`, `UniGB-UCS2-H` and their kin: the codes are UTF-16 units.
    Unicode,
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

fn as_dict(object: &Object) -> Option<&Dictionary> {
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
            (composite_coding(doc, dict, encoding_name), widths::composite_widths(doc, described))
        } else {
            let texts = simple_texts(doc, dict, subtype, descriptor, program.as_ref(), &name);
            (Coding::Simple(texts), widths::simple_widths(doc, dict, descriptor, subtype, &name))
        };
        Self {
            bold: is_bold(doc, descriptor, &name),
            vertical: encoding_name.ends_with(b"-V"),
            to_unicode: to_unicode(doc, dict),
            silence: silence(&coding, dict, encoding_name, program.is_some()),
            program: program.filter(|_| composite),
            glyph_ids: descendant.and_then(|descendant| stream_entry(doc, descendant, b"CIDToGIDMap")),
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
            Coding::Unicode => cmap::utf16(bytes),
            Coding::Embedded(map) => map.next_code(bytes),
        };
        let known = self.known.borrow().get(&code.value).cloned();
        let (text, width) = known.unwrap_or_else(|| {
            let replaced = self.replaced.borrow();
            let letter = |c: char| replaced.iter().find(|pair| pair.0 == c).map_or(c, |pair| pair.1);
            let text = self.text(code.value).map(|text| text.chars().map(letter).collect::<String>());
            let looked_up = (text.map(Rc::from), self.widths.of(code.value, self.cid(code.value)));
            self.known.borrow_mut().insert(code.value, looked_up.clone());
            looked_up
        });
        Char { text, width, is_space_code: code.length == 1 && code.value == 32, length: code.length.max(1) }
    }

    /// From now on reads the first character of each pair as the second.
    pub(super) fn replace(&self, pairs: Vec<(char, char)>) {
        *self.replaced.borrow_mut() = pairs;
        self.known.borrow_mut().clear();
    }

    fn text(&self, code: u32) -> Option<String> {
        if let Some(text) = self.to_unicode.as_ref().and_then(|map| map.text(code)) {
            return Some(text);
        }
        match &self.coding {
            Coding::Simple(texts) => texts.get(code as usize).cloned().flatten(),
            Coding::Unicode => char::from_u32(code).and_then(|c| glyphs::usable(c.to_string())),
            Coding::Identity | Coding::Embedded(_) => self.text_of_cid(self.cid(code)),
            Coding::Unknown | Coding::Missing => None,
        }
    }

    fn cid(&self, code: u32) -> u32 {
        match &self.coding {
            Coding::Embedded(map) => map.cid(code).unwrap_or(code),
            _ => code,
        }
    }

    /// What the embedded program says of the glyph of a CID.
    fn text_of_cid(&self, cid: u32) -> Option<String> {
        let program = self.program.as_ref()?;
        let text = match &self.glyph_ids {
            Some(ids) => {
                let at = 2 * cid as usize;
                let id = ids.get(at..at + 2)?;
                program.glyph(u32::from(u16::from_be_bytes([id[0], id[1]])))
            }
            None => program.cid(cid),
        };
        text.cloned()
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

fn to_unicode(doc: &Document, dict: &Dictionary) -> Option<CMap> {
    if let Some(Object::Name(name)) = entry(doc, dict, b"ToUnicode")
        && name.starts_with(b"Identity")
    {
        // Codes are code points: the whole map in one range.
        return Some(CMap::parse(b"beginbfrange <0020> <D7FF> <0020> endbfrange"));
    }
    stream_entry(doc, dict, b"ToUnicode").map(|bytes| CMap::parse(&bytes)).filter(|map| !map.has_no_text())
}

fn composite_coding(doc: &Document, dict: &Dictionary, encoding_name: &[u8]) -> Coding {
    if let Some(bytes) = stream_entry(doc, dict, b"Encoding") {
        return Coding::Embedded(CMap::parse(&bytes));
    }
    let contains = |part: &[u8]| encoding_name.windows(part.len()).any(|window| window == part);
    if encoding_name.starts_with(b"Uni") && (contains(b"UCS2") || contains(b"UTF16")) {
        Coding::Unicode
    } else if encoding_name.starts_with(b"Identity") || encoding_name.is_empty() {
        Coding::Identity
    } else {
        Coding::Unknown
    }
}

/// The text of each of the 256 codes of a simple font, as its encoding says.
fn simple_texts(
    doc: &Document,
    dict: &Dictionary,
    subtype: &[u8],
    descriptor: Option<&Dictionary>,
    program: Option<&Program>,
    name: &str,
) -> Vec<Option<String>> {
    let encoding = entry(doc, dict, b"Encoding");
    let named = |object: &Object| object.as_name().ok().and_then(BaseEncoding::from_name);
    let base = match encoding {
        Some(object @ Object::Name(_)) => named(object),
        Some(Object::Dictionary(encoding)) => entry(doc, encoding, b"BaseEncoding").and_then(named),
        _ => None,
    };
    let mut texts: Vec<Option<String>> = match base {
        Some(base) => (0..=255).map(|code| base.text(code)).collect(),
        // A bitmap or drawn font has the glyphs that its differences name, and no others.
        None if subtype == b"Type3" => vec![None; 256],
        None => built_in_texts(doc, descriptor, program, name),
    };
    let differences = encoding
        .and_then(as_dict)
        .and_then(|encoding| entry(doc, encoding, b"Differences"))
        .and_then(|array| array.as_array().ok())
        .map_or(&[][..], Vec::as_slice);
    let mut code = 0_usize;
    for item in differences {
        match resolve(doc, item) {
            Some(Object::Name(name)) => {
                // A name that says nothing also takes back what the base encoding would have said.
                if let Some(slot) = texts.get_mut(code) {
                    *slot = glyphs::text_of_name(name).or_else(|| program?.named(name).cloned());
                }
                code = code.saturating_add(1);
            }
            Some(object) => code = number(object).map_or(code, |start| start.clamp(0.0, 256.0) as usize),
            None => {}
        }
    }
    texts
}

/// What the codes mean when no base encoding is named.
fn built_in_texts(
    doc: &Document,
    descriptor: Option<&Dictionary>,
    program: Option<&Program>,
    name: &str,
) -> Vec<Option<String>> {
    const SYMBOLIC: i64 = 1 << 2;
    if let Some(texts) = program.and_then(own_texts) {
        return texts;
    }
    let lower = name.to_lowercase();
    if let Some(encoding) = BaseEncoding::of_font(name) {
        return (0..=255).map(|code| encoding.text(code)).collect();
    }
    if ["dingbats", "wingdings", "webdings"].iter().any(|family| lower.contains(family)) {
        // Pictures; only the bullets that lists start with are text.
        let bullets: &[u8] = &[0x6C, 0x9F, 0xA7];
        return (0..=255)
            .map(|code| {
                (code == 32).then(|| " ".to_owned()).or_else(|| bullets.contains(&code).then(|| "•".to_owned()))
            })
            .collect();
    }
    let standard = || (0..=255).map(|code| BaseEncoding::Standard.text(code)).collect();
    let Some(descriptor) = descriptor else { return standard() };
    if let Some(program) = stream_entry(doc, descriptor, b"FontFile") {
        return type1_texts(&program).unwrap_or_else(standard);
    }
    let embedded = descriptor.has(b"FontFile2") || descriptor.has(b"FontFile3");
    let symbolic = entry(doc, descriptor, b"Flags").and_then(|flags| flags.as_i64().ok()).unwrap_or(0) & SYMBOLIC != 0;
    if embedded && symbolic { vec![None; 256] } else { standard() }
}

/// The codes as the embedded program encodes them; `None` where it has text for none.
fn own_texts(program: &Program) -> Option<Vec<Option<String>>> {
    let texts: Vec<Option<String>> = (0..=255).map(|code| program.code(code).cloned()).collect();
    texts.iter().any(Option::is_some).then_some(texts)
}

/// The `dup 65 /A put` lines of a Type 1 font program; `None` where it says that its encoding is the standard one.
fn type1_texts(program: &[u8]) -> Option<Vec<Option<String>>> {
    let clear = program.windows(5).position(|window| window == b"eexec").unwrap_or(program.len());
    let mut texts = vec![None; 256];
    let (mut found, mut in_encoding, mut code) = (false, false, None);
    for token in Lexer::new(&program[..clear]) {
        match token {
            Token::Name(name) if name.as_ref() == b"Encoding" => in_encoding = true,
            Token::Name(name) if in_encoding => {
                if let Some(slot) = code.and_then(|code: usize| texts.get_mut(code)) {
                    *slot = glyphs::text_of_name(&name);
                    found = true;
                }
            }
            Token::Number(number) => {
                code = Some(number.clamp(0.0, 256.0) as usize);
                continue;
            }
            Token::Word(b"readonly" | b"def") if in_encoding && found => break,
            _ => {}
        }
        code = None;
    }
    found.then_some(texts)
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
    fn the_built_in_encoding_of_a_type_1_program() {
        let program = b"%!PS\n/Encoding 256 array\n0 1 255 {1 index exch /.notdef put} for\ndup 65 /afii10017 put\ndup 66 /beta put\nreadonly def\ncurrentfile eexec \x80";
        let texts = type1_texts(program).unwrap();
        assert_eq!((texts[65].as_deref(), texts[66].as_deref(), texts[67].as_deref()), (Some("А"), Some("β"), None));
        assert!(type1_texts(b"/Encoding StandardEncoding def").is_none());
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
}
