//! Embedded font programs: what their own tables say that their glyphs stand for.
//!
//! A TrueType or OpenType program maps characters to glyphs (`cmap`), which read backwards gives the text of a glyph, and
//! may name its glyphs (`post`). A CFF program names them in its charset, unless it is keyed by CID. Only what names a
//! character counts: a `cmap` of the symbol or Macintosh platform numbers the glyphs of a subset as it likes, so it leads
//! from codes to glyphs, never to text.

use std::collections::HashMap;

use lopdf::{Dictionary, Document};
use read_fonts::ps::cff::CffFontRef;
use read_fonts::tables::cmap::{Cmap, CmapSubtable, PlatformId};
use read_fonts::types::GlyphId;
use read_fonts::{FontRef, TableProvider as _};

use super::font::stream_entry;
use super::glyphs;

/// Pairs read from one `cmap` subtable, and names from one `post` table: a font has 65 536 glyphs at most.
const MAX_PAIRS: usize = 200_000;

/// What a font program says about its glyphs.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// The text of each glyph that has one.
    texts: HashMap<u32, String>,
    /// The glyphs by name.
    names: HashMap<String, u32>,
    /// The glyphs of one-byte codes, where the program encodes itself.
    codes: HashMap<u8, u32>,
    /// The glyphs by CID; `None` where the two are the same.
    cids: Option<HashMap<u32, u32>>,
}

impl Program {
    /// The TrueType, OpenType or CFF program of a font descriptor, if it has one that can be read.
    pub(super) fn read(doc: &Document, descriptor: &Dictionary) -> Option<Self> {
        let bytes =
            stream_entry(doc, descriptor, b"FontFile2").or_else(|| stream_entry(doc, descriptor, b"FontFile3"))?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut program = Self::default();
        match FontRef::new(bytes) {
            Ok(font) => {
                if let Ok(cmap) = font.cmap() {
                    program.read_cmap(&cmap);
                }
                program.read_post(&font);
                if let Some(cff) = font.table_data(read_fonts::types::Tag::new(b"CFF ")) {
                    program.read_cff(cff.as_bytes());
                }
            }
            Err(_) => program.read_cff(bytes),
        }
        (!program.texts.is_empty() || !program.codes.is_empty()).then_some(program)
    }

    fn read_cmap(&mut self, cmap: &Cmap<'_>) {
        let subtables: Vec<(PlatformId, u16, CmapSubtable<'_>)> = cmap
            .encoding_records()
            .iter()
            .filter_map(|record| {
                Some((record.platform_id(), record.encoding_id(), record.subtable(cmap.offset_data()).ok()?))
            })
            .collect();
        for (platform, encoding, subtable) in &subtables {
            if *platform == PlatformId::Unicode || *platform == PlatformId::Windows && matches!(encoding, 1 | 10) {
                self.read_unicode(subtable);
            }
        }
        let of = |wanted: PlatformId| {
            subtables.iter().find(|(platform, encoding, _)| *platform == wanted && *encoding == 0).map(|found| &found.2)
        };
        let (symbol, macintosh) = (of(PlatformId::Windows), of(PlatformId::Macintosh));
        for code in 0..=255_u8 {
            let in_symbol = symbol.and_then(|table| {
                [0xF000, 0, 0xF100, 0xF200].iter().find_map(|base| mapped(table, base + u32::from(code)))
            });
            if let Some(glyph) = in_symbol.or_else(|| mapped(macintosh?, code.into())) {
                self.codes.insert(code, glyph);
            }
        }
    }

    fn read_unicode(&mut self, subtable: &CmapSubtable<'_>) {
        for (c, glyph) in subtable.iter().take(MAX_PAIRS) {
            let text = char::from_u32(c).and_then(|c| glyphs::usable(c.to_string()));
            if let (Some(text), 1..) = (text, glyph.to_u32()) {
                // Of several characters the first is the plain one: space before no-break space, hyphen before soft hyphen.
                self.texts.entry(glyph.to_u32()).or_insert(text);
            }
        }
    }

    fn read_post(&mut self, font: &FontRef<'_>) {
        let Ok(post) = font.post() else { return };
        // Without names of its own, the table says that the glyphs are those of the Macintosh set: true of whole fonts only.
        if post.glyph_name_index().is_none() {
            return;
        }
        for (glyph, name) in post.glyph_names().take(MAX_PAIRS) {
            self.name(glyph.to_u32(), name);
        }
    }

    fn read_cff(&mut self, bytes: &[u8]) {
        let Ok(font) = CffFontRef::new_cff(bytes, 0, None) else { return };
        let Some(charset) = font.charset() else { return };
        if font.is_cid() {
            let cids = charset.iter().take(MAX_PAIRS).map(|(glyph, cid)| (u32::from(cid.to_u16()), glyph.to_u32()));
            self.cids = Some(cids.collect());
            return;
        }
        for (glyph, sid) in charset.iter().take(MAX_PAIRS) {
            if let Some(name) = font.string(sid).and_then(|name| std::str::from_utf8(name).ok()) {
                self.name(glyph.to_u32(), name);
            }
        }
        let Some(encoding) = font.encoding() else { return };
        for code in 0..=255_u8 {
            if let Some(glyph) = encoding.map(code).map(GlyphId::to_u32).filter(|&glyph| glyph > 0) {
                self.codes.insert(code, glyph);
            }
        }
    }

    fn name(&mut self, glyph: u32, name: &str) {
        if let Some(text) = glyphs::text_of_name(name.as_bytes()) {
            self.texts.entry(glyph).or_insert(text);
        }
        self.names.entry(name.to_owned()).or_insert(glyph);
    }

    /// The text of a glyph.
    pub(super) fn glyph(&self, glyph: u32) -> Option<&String> {
        self.texts.get(&glyph)
    }

    /// The text of the glyph of a CID, where no `CIDToGIDMap` says otherwise.
    pub(super) fn cid(&self, cid: u32) -> Option<&String> {
        match &self.cids {
            Some(cids) => self.glyph(*cids.get(&cid)?),
            None => self.glyph(cid),
        }
    }

    /// The text of a code by the program's own encoding.
    pub(super) fn code(&self, code: u8) -> Option<&String> {
        self.glyph(*self.codes.get(&code)?)
    }

    /// The text of the glyph of this name, by what else is known of the glyph.
    pub(super) fn named(&self, name: &[u8]) -> Option<&String> {
        self.glyph(*self.names.get(std::str::from_utf8(name).ok()?)?)
    }
}

/// The glyph of a character, except the one for missing characters.
fn mapped(subtable: &CmapSubtable<'_>, c: u32) -> Option<u32> {
    subtable.map_codepoint(c).map(GlyphId::to_u32).filter(|&glyph| glyph > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A font file of these tables, sums left out.
    fn sfnt(tables: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
        let count = u16::try_from(tables.len()).unwrap();
        let mut file = [&[0, 1, 0, 0][..], &count.to_be_bytes(), &[0; 6]].concat();
        let mut offset = 12 + 16 * tables.len();
        for (tag, table) in tables {
            file.extend(tag.iter().chain(&[0; 4]));
            file.extend(u32::try_from(offset).unwrap().to_be_bytes());
            file.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
            offset += table.len();
        }
        file.extend(tables.iter().flat_map(|(_, table)| table));
        file
    }

    fn words(values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_be_bytes()).collect()
    }

    /// A `cmap` with one subtable of format 6: glyphs for characters from `first` on.
    fn cmap(platform: u16, encoding: u16, first: u16, glyphs: &[u16]) -> Vec<u8> {
        let count = u16::try_from(glyphs.len()).unwrap();
        [words(&[0, 1, platform, encoding, 0, 12, 6, 10 + 2 * count, 0, first, count]), words(glyphs)].concat()
    }

    #[test]
    fn a_unicode_cmap_is_read_backwards_and_others_only_lead_to_glyphs() {
        let unicode = Program::parse(&sfnt(&[(b"cmap", cmap(3, 1, 0x416, &[7, 8, 7]))])).unwrap();
        assert_eq!([7, 8, 9].map(|glyph| unicode.glyph(glyph).map(String::as_str)), [Some("Ж"), Some("З"), None]);
        assert_eq!(unicode.cid(8).map(String::as_str), Some("З"));
        assert_eq!(unicode.code(b'A'), None);
        let symbol = Program::parse(&sfnt(&[(b"cmap", cmap(3, 0, 0xF041, &[7, 8]))])).unwrap();
        assert_eq!((symbol.glyph(7), symbol.code(b'A')), (None, None), "a glyph without a name has no text");
    }

    #[test]
    fn names_of_a_post_table_and_codes_of_a_symbol_cmap() {
        // Version 2, three glyphs: .notdef, A by its number in the Macintosh set, and a name of its own.
        let post = [words(&[2, 0]), vec![0; 28], words(&[3, 0, 36, 258]), b"\x09afii10085".to_vec()].concat();
        let program = Program::parse(&sfnt(&[(b"cmap", cmap(3, 0, 0xF061, &[2, 1])), (b"post", post)])).unwrap();
        assert_eq!([1, 2].map(|glyph| program.glyph(glyph).map(String::as_str)), [Some("A"), Some("у")]);
        assert_eq!((program.code(b'a').unwrap().as_str(), program.code(b'b').unwrap().as_str()), ("у", "A"));
        assert_eq!(program.named(b"afii10085").unwrap(), "у");
    }

    #[test]
    fn names_and_codes_of_a_bare_cff_program() {
        let index = |items: &[&[u8]]| {
            let mut bytes = words(&[u16::try_from(items.len()).unwrap()]);
            if !items.is_empty() {
                let mut end = 1_u8;
                bytes.extend([1, end]);
                for item in items {
                    end += u8::try_from(item.len()).unwrap();
                    bytes.push(end);
                }
            }
            bytes.extend(items.concat());
            bytes
        };
        // Offsets in the top dictionary as three-byte numbers: charset, encoding, glyphs, the private dictionary.
        let number = |value: usize| [28, (value >> 8) as u8, value as u8];
        let head = [vec![1, 0, 4, 1], index(&[b"F"])].concat();
        let strings = index(&[b"afii10026"]);
        let after = head.len() + 5 + 19 + strings.len() + 2;
        let glyphs = index(&[&[14], &[14], &[14]]);
        let (charset, encoding) = (words(&[391, 34]), [0, 2, 0x41, 0x42]);
        let at = [after, after + 1 + charset.len(), after + 1 + charset.len() + encoding.len()];
        let mut top = Vec::new();
        top.extend(number(at[0]).iter().chain(&[15]).chain(&number(at[1])).chain(&[16]));
        top.extend(number(at[2]).iter().chain(&[17]).chain(&number(0)).chain(&number(at[0])).chain(&[18]));
        assert_eq!(top.len(), 19);
        let file = [head, index(&[&top]), strings, words(&[0]), vec![0], charset, encoding.to_vec(), glyphs].concat();
        let program = Program::parse(&file).unwrap();
        assert_eq!([1, 2].map(|glyph| program.glyph(glyph).map(String::as_str)), [Some("И"), Some("A")]);
        assert_eq!(program.code(b'A').map(String::as_str), Some("И"));
        assert_eq!(program.named(b"afii10026").map(String::as_str), Some("И"));
        assert!(Program::parse(b"no font").is_none() && Program::parse(&file[..40]).is_none());
    }
}
