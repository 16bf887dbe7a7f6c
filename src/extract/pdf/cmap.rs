//! CMaps: which character codes a font's strings hold, and which text or glyph each code stands for.
//!
//! Real ToUnicode CMaps are written by a hundred programs: without `CIDSystemInfo`, without the `defineresource` tail,
//! with wrong counts, one-byte codes written as two. This reader looks only at the sections that carry data and takes
//! each entry that makes sense.

use std::collections::HashMap;
use std::sync::Arc;

use super::glyphs;
use super::lexer::{Lexer, Token};
use super::predefined::Predefined;

/// Entries beyond this many are ignored; a CMap can name 65 536 codes and real ones name fewer.
const MAX_ENTRIES: usize = 200_000;

/// A parsed CMap.
#[derive(Debug, Default, Clone)]
pub(super) struct CMap {
    /// The CMap with a name that this one goes on from (`usecmap`).
    base: Option<Arc<Predefined>>,
    codespaces: Vec<Codespace>,
    texts: HashMap<u32, String>,
    text_ranges: Vec<TextRange>,
    cid_ranges: Vec<CidRange>,
}

#[derive(Debug, Clone, PartialEq)]
struct Codespace {
    low: Vec<u8>,
    high: Vec<u8>,
}

/// Codes `first..=last` whose texts differ in the last UTF-16 unit only.
#[derive(Debug, Clone, PartialEq)]
struct TextRange {
    first: u32,
    last: u32,
    units: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq)]
struct CidRange {
    first: u32,
    last: u32,
    cid: u32,
}

/// A character code and how many bytes of the string it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Code {
    pub(super) value: u32,
    pub(super) length: usize,
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().take(4).rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

/// UTF-16BE units of a destination string. A single byte is a unit of its own (`<41>` for A).
fn units(bytes: &[u8]) -> Vec<u16> {
    match bytes {
        [byte] => vec![u16::from(*byte)],
        _ => bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect(),
    }
}

fn text_of(units: &[u16]) -> Option<String> {
    let text: String = char::decode_utf16(units.iter().copied()).map(|unit| unit.unwrap_or('\u{FFFD}')).collect();
    glyphs::usable(text)
}

impl CMap {
    /// Reads what can be read; an unreadable CMap is an empty one.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut map = Self::default();
        let mut lexer = Lexer::new(bytes);
        let mut name = None;
        while let Some(token) = lexer.next() {
            match token {
                Token::Name(read) => name = Some(read),
                Token::Word(b"usecmap") => map.go_on_from(name.as_deref().unwrap_or_default()),
                Token::Word(b"begincodespacerange") => map.codespace_section(&mut lexer),
                Token::Word(b"beginbfchar") => map.char_section(&mut lexer),
                Token::Word(b"beginbfrange") => map.range_section(&mut lexer),
                Token::Word(b"begincidchar") => map.cid_section(&mut lexer, false),
                Token::Word(b"begincidrange") => map.cid_section(&mut lexer, true),
                _ => {}
            }
        }
        map
    }

    /// Takes from the CMap of this name what this one does not say itself.
    pub(super) fn go_on_from(&mut self, name: &[u8]) {
        if let Some(base) = Predefined::named(name) {
            self.base = Some(base);
        }
    }

    /// Whether it maps no code to text.
    pub(super) fn has_no_text(&self) -> bool {
        let base_has_none = self.base.as_ref().is_none_or(|base| base.text(1).is_none());
        self.texts.is_empty() && self.text_ranges.is_empty() && base_has_none
    }

    /// Whether its CIDs are its codes.
    pub(super) fn is_identity(&self) -> bool {
        let identity = |range: &CidRange| range.first == range.cid && range.last >= 0xFF;
        !self.cid_ranges.is_empty() && self.cid_ranges.iter().all(identity)
    }

    /// The CMap that it goes on from.
    pub(super) fn base(&self) -> Option<&Arc<Predefined>> {
        self.base.as_ref()
    }

    fn codespace_section(&mut self, lexer: &mut Lexer<'_>) {
        let mut low = None;
        for token in lexer {
            match (token, low.take()) {
                (Token::String(first), None) => low = Some(first),
                (Token::String(high), Some(low)) => {
                    let fits = !low.is_empty() && low.len() == high.len() && low.len() <= 4;
                    if fits && self.codespaces.len() < 1000 {
                        self.codespaces.push(Codespace { low, high });
                    }
                }
                (Token::Word(_), _) => return,
                _ => {}
            }
        }
    }

    fn char_section(&mut self, lexer: &mut Lexer<'_>) {
        let mut code = None;
        for token in lexer {
            match (token, code.take()) {
                (Token::String(bytes), None) => code = Some(big_endian(&bytes)),
                (Token::String(bytes), Some(code)) => self.insert(code, text_of(&units(&bytes))),
                (Token::Name(name), Some(code)) => self.insert(code, glyphs::text_of_name(&name)),
                (Token::Word(_), _) => return,
                _ => {}
            }
        }
    }

    fn range_section(&mut self, lexer: &mut Lexer<'_>) {
        let mut ends: Vec<u32> = Vec::new();
        while let Some(token) = lexer.next() {
            match token {
                Token::String(bytes) if ends.len() < 2 => ends.push(big_endian(&bytes)),
                Token::String(bytes) => {
                    let units = units(&bytes);
                    // `<first> <last> <>` maps to nothing; a reversed range is a slip that nobody can mend.
                    if ends[0] <= ends[1] && !units.is_empty() && self.text_ranges.len() < MAX_ENTRIES {
                        self.text_ranges.push(TextRange { first: ends[0], last: ends[1], units });
                    }
                    ends.clear();
                }
                Token::ArrayStart => {
                    let first = ends.first().copied();
                    ends.clear();
                    let mut offset = 0;
                    for token in lexer.by_ref() {
                        let text = match token {
                            Token::String(bytes) => text_of(&units(&bytes)),
                            Token::Name(name) => glyphs::text_of_name(&name),
                            Token::ArrayEnd => break,
                            Token::Word(_) => return,
                            _ => continue,
                        };
                        if let Some(code) = first.and_then(|first| first.checked_add(offset)) {
                            self.insert(code, text);
                        }
                        offset += 1;
                    }
                }
                Token::Word(_) => return,
                _ => {}
            }
        }
    }

    fn cid_section(&mut self, lexer: &mut Lexer<'_>, ranges: bool) {
        let mut ends: Vec<u32> = Vec::new();
        for token in lexer {
            match token {
                Token::String(bytes) => ends.push(big_endian(&bytes)),
                Token::Number(cid) => {
                    let bounds = match ends[..] {
                        [first, last] if ranges => Some((first, last)),
                        [code] if !ranges => Some((code, code)),
                        _ => None,
                    };
                    ends.clear();
                    if let Some((first, last)) = bounds
                        && (0.0..=65_535.0).contains(&cid)
                        && self.cid_ranges.len() < MAX_ENTRIES
                    {
                        self.cid_ranges.push(CidRange { first, last, cid: cid as u32 });
                    }
                }
                Token::Word(_) => return,
                _ => {}
            }
        }
    }

    fn insert(&mut self, code: u32, text: Option<String>) {
        if let Some(text) = text
            && self.texts.len() < MAX_ENTRIES
        {
            self.texts.insert(code, text);
        }
    }

    /// The text of a code. The width in bytes is not compared: one-byte fonts with two-byte CMaps are common.
    pub(super) fn text(&self, code: u32) -> Option<String> {
        if let Some(text) = self.texts.get(&code) {
            return Some(text.clone());
        }
        let Some(range) = self.text_ranges.iter().rfind(|range| (range.first..=range.last).contains(&code)) else {
            return self.base.as_ref()?.text(code);
        };
        let mut units = range.units.clone();
        let last = units.last_mut()?;
        *last = last.checked_add(u16::try_from(code - range.first).ok()?)?;
        text_of(&units)
    }

    /// The glyph id of a code, for a CMap that encodes a composite font.
    pub(super) fn cid(&self, Code { value, length }: Code) -> Option<u32> {
        let range = self.cid_ranges.iter().rfind(|range| (range.first..=range.last).contains(&value));
        let Some(range) = range else { return self.base.as_ref()?.cid(value, length) };
        range.cid.checked_add(value - range.first)
    }

    /// The next code of a string, by the codespace ranges; two bytes where none are given, one where none fits.
    pub(super) fn next_code(&self, bytes: &[u8]) -> Code {
        if self.codespaces.is_empty() && self.base.is_none() {
            return two_bytes(bytes);
        }
        for length in 1..=bytes.len().min(4) {
            let candidate = &bytes[..length];
            let fits = |space: &Codespace| {
                space.low.len() == length
                    && candidate
                        .iter()
                        .zip(&space.low)
                        .zip(&space.high)
                        .all(|((byte, low), high)| (low..=high).contains(&byte))
            };
            if self.codespaces.iter().any(fits) {
                return Code { value: big_endian(candidate), length };
            }
        }
        if let Some(base) = &self.base {
            return first_bytes(bytes, base.code_length(bytes));
        }
        let shortest = self.codespaces.iter().map(|space| space.low.len()).min().unwrap_or(1).min(bytes.len()).max(1);
        first_bytes(bytes, shortest)
    }
}

/// The code of so many bytes that a string starts with.
pub(super) fn first_bytes(bytes: &[u8], length: usize) -> Code {
    Code { value: big_endian(&bytes[..length.min(bytes.len())]), length }
}

/// The two-byte code that a string starts with; a last odd byte is a code of its own.
pub(super) fn two_bytes(bytes: &[u8]) -> Code {
    first_bytes(bytes, bytes.len().clamp(1, 2))
}

/// The character that a UTF-8 string starts with, at most four bytes long; a byte that begins none is a code of its own.
pub(super) fn utf8(bytes: &[u8]) -> Code {
    let length = match bytes.first() {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => 1,
    };
    let first = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()?.chars().next());
    // U+FFFD is the text of no code.
    first.map_or(Code { value: 0xFFFD, length: 1 }, |c| Code { value: c.into(), length })
}

/// The character that a UTF-32 string starts with.
pub(super) fn utf32(bytes: &[u8]) -> Code {
    first_bytes(bytes, bytes.len().clamp(1, 4))
}

/// The character that a UTF-16 string starts with: one unit, or the two of a surrogate pair.
pub(super) fn utf16(bytes: &[u8]) -> Code {
    match *bytes {
        [a @ 0xD8..=0xDB, b, c @ 0xDC..=0xDF, d, ..] => {
            let (high, low) = (u32::from(u16::from_be_bytes([a, b])), u32::from(u16::from_be_bytes([c, d])));
            Code { value: 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00), length: 4 }
        }
        _ => two_bytes(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chars_and_both_kinds_of_ranges() {
        let map = CMap::parse(
            b"1 begincodespacerange <0000> <FFFF> endcodespacerange
              2 beginbfchar <0001> <0422> <0002> <00660069> endbfchar
              2 beginbfrange <0010> <0012> <0430> <0020> <0021> [<0436> <D835DC00>] endbfrange",
        );
        assert_eq!(map.text(1).as_deref(), Some("Т"));
        assert_eq!(map.text(2).as_deref(), Some("fi"));
        assert_eq!(map.text(0x12).as_deref(), Some("в"));
        assert_eq!(map.text(0x20).as_deref(), Some("ж"));
        assert_eq!(map.text(0x21).as_deref(), Some("𝐀"));
        assert_eq!(map.text(0x13), None);
    }

    #[test]
    fn without_system_info_counts_and_tail_it_still_reads() {
        let map = CMap::parse(b"/CMapName /X def beginbfchar<41><0416>/junk <42> <0417>\nend end garbage ((");
        assert_eq!(map.text(0x41).as_deref(), Some("Ж"));
        assert_eq!(map.text(0x42).as_deref(), Some("З"));
    }

    #[test]
    fn codespaces_tell_one_byte_codes_from_two_byte_codes() {
        let map = CMap::parse(b"begincodespacerange <00> <7F> <8000> <FFFF> endcodespacerange");
        assert_eq!(map.next_code(b"A\x81"), Code { value: 0x41, length: 1 });
        assert_eq!(map.next_code(b"\x81\x02\x03"), Code { value: 0x8102, length: 2 });
        assert_eq!(map.next_code(b"\x81"), Code { value: 0x81, length: 1 });
    }

    #[test]
    fn codes_that_are_unicode() {
        let codes = |read: fn(&[u8]) -> Code, bytes: &[u8]| {
            let code = read(bytes);
            (char::from_u32(code.value), code.length)
        };
        assert_eq!(codes(utf8, "日A".as_bytes()), (Some('日'), 3));
        assert_eq!(codes(utf8, b"\xE6\x97"), (Some('\u{FFFD}'), 1));
        assert_eq!(codes(utf8, b""), (Some('\u{FFFD}'), 1));
        assert_eq!(codes(utf16, b"\xD8\x40\xDC\x0B"), (Some('\u{2000B}'), 4));
    }

    #[test]
    fn cids_of_an_encoding() {
        let map = CMap::parse(b"1 begincidrange <0020> <007E> 1 endcidrange 1 begincidchar <00A0> 200 endcidchar");
        let cid = |value: u32| map.cid(Code { value, length: 2 });
        assert_eq!((cid(0x21), cid(0xA0), cid(0x7F)), (Some(2), Some(200), None));
    }

    #[test]
    fn what_a_map_does_not_say_the_one_says_that_it_goes_on_from() {
        // 日 is CID 3284 of Adobe-Japan1, the Latin letters there begin with A at 34; the map itself changes B.
        let map = CMap::parse(b"/90ms-RKSJ-H usecmap 1 begincidchar <42> 700 endcidchar");
        let codes: Vec<Code> = [&b"\x93\xFA"[..], b"A", b"B"].map(|bytes| map.next_code(bytes)).to_vec();
        assert_eq!(codes.iter().map(|code| code.length).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(codes.iter().map(|&code| map.cid(code)).collect::<Vec<_>>(), [Some(3284), Some(264), Some(700)]);
        let texts = CMap::parse(b"/Adobe-Japan1-UCS2 usecmap 1 beginbfchar <0022> <0416> endbfchar");
        assert!(!texts.has_no_text() && CMap::parse(b"/Identity-H usecmap").has_no_text());
        assert_eq!((texts.text(0x22).as_deref(), texts.text(3284).as_deref()), (Some("Ж"), Some("日")));
    }

    #[test]
    fn nothing_and_private_characters_are_no_text() {
        let map = CMap::parse(b"beginbfchar <01> <> <02> <0000> <03> <F041> <04> <F0B7> <05> <FFFD> endbfchar");
        assert!((1..=3).all(|code| map.text(code).is_none()));
        assert_eq!(map.text(4).as_deref(), Some("•"));
        assert_eq!(map.text(5), None);
    }
}
