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
        let bytes = stream_entry(doc, descriptor, b"FontFile2").or_else(|| stream_entry(doc, descriptor, b"FontFile3"))?;
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
