//! Embedded font programs: what their own tables say that their glyphs stand for.
//!
//! A TrueType or OpenType program maps characters to glyphs (`cmap`), which read backwards gives the text of a glyph, and
//! may name its glyphs (`post`). A CFF program names them in its charset, unless it is keyed by CID. Only what names a
//! character counts: a `cmap` of the symbol or Macintosh platform numbers the glyphs of a subset as it likes, so it leads
//! from codes to glyphs, and to text only where the shapes of the glyphs bear out that its codes are those of ASCII.
//!
//! The program also knows how wide its glyphs are, where the file of a simple font does not say.

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
    /// Whether those codes, as far as they are printed ASCII, mean ASCII.
    ascii: bool,
    /// The glyphs by CID; `None` where the two are the same.
    cids: Option<HashMap<u32, u32>>,
    /// The advance of each glyph, in units of the font size; the last is also that of all glyphs after it.
    advances: Vec<f64>,
    /// The glyphs by text, of several the first.
    glyphs: HashMap<String, u32>,
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
                program.read_advances(&font);
                program.ascii = program.reads_as_ascii(&font).unwrap_or(false);
                if let Some(cff) = font.table_data(read_fonts::types::Tag::new(b"CFF ")) {
                    program.read_cff(cff.as_bytes());
                }
            }
            Err(_) => program.read_cff(bytes),
        }
        let mut by_glyph: Vec<(&u32, &String)> = program.texts.iter().collect();
        by_glyph.sort_unstable();
        for (&glyph, text) in by_glyph {
            program.glyphs.entry(text.clone()).or_insert(glyph);
        }
        let says_something = program.has_text() || !program.codes.is_empty() || !program.advances.is_empty();
        says_something.then_some(program)
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
                // Of several characters the first is the plain one: space before no-break space, hyphen before soft hyphen;
                // but not where it is a radical, which looks as the ideograph does that comes later.
                let known = self.texts.entry(glyph.to_u32()).or_insert_with(|| text.clone());
                if known.chars().all(|c| matches!(c, '\u{2E80}'..='\u{2FDF}')) {
                    *known = text;
                }
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

    fn read_advances(&mut self, font: &FontRef<'_>) {
        let (Ok(head), Ok(hmtx)) = (font.head(), font.hmtx()) else { return };
        let unit = f64::from(head.units_per_em());
        if unit > 0.0 {
            self.advances = hmtx.h_metrics().iter().map(|metric| f64::from(metric.advance()) / unit).collect();
        }
    }

    /// Whether the codes of a program that only numbers its glyphs are those of ASCII after all.
    ///
    /// Subsets that number their glyphs anew count on without a gap, or would have to hit by chance on what ASCII shows in
    /// any text font: nothing at the space and something at all other codes, digits of one width, and an `i`, `j` and `l`
    /// much narrower than `m` and `w`. A Cyrillic font on the codes of its keyboard or of its Latin neighbours has a wide
    /// `ш`, `и` or `л` there. Codes beyond ASCII differ from system to system, and stay without text.
    fn reads_as_ascii(&self, font: &FontRef<'_>) -> Option<bool> {
        let loca = font.loca(None).ok()?;
        let is_blank = |glyph: u32| loca.get_raw(glyph as usize) == loca.get_raw(glyph as usize + 1);
        let glyph = |code: &u8| self.codes.get(code).copied();
        let advances = |codes: &[u8]| codes.iter().filter_map(glyph).filter_map(|glyph| self.advance(glyph)).collect();
        let printed: Vec<u8> = (0x21..=0x7E).filter(|code| glyph(code).is_some()).collect();
        let [digits, narrow, wide]: [Vec<f64>; 3] = [advances(b"0123456789"), advances(b"ijl"), advances(b"mw")];
        let span = usize::from(printed.last()? - printed.first()?) + 1;
        let has_gaps = printed.len() >= 10 && 10 * printed.len() <= 9 * span;
        let is_whole = (digits.len(), narrow.len(), wide.len()) == (10, 3, 2);
        let space = glyph(&b' ').is_none_or(is_blank) && !printed.iter().filter_map(glyph).any(is_blank);
        let even = digits.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 1e-9);
        let letters =
            narrow.len() >= 2 && !wide.is_empty() && narrow.iter().all(|n| wide.iter().all(|w| *n <= 0.6 * w));
        Some((has_gaps || is_whole) && space && even && letters)
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

    /// Whether it knows the text of any glyph.
    pub(super) fn has_text(&self) -> bool {
        !self.texts.is_empty()
    }

    /// The glyph of a CID, where no `CIDToGIDMap` says otherwise.
    pub(super) fn glyph_of_cid(&self, cid: u32) -> Option<u32> {
        self.cids.as_ref().map_or(Some(cid), |cids| cids.get(&cid).copied())
    }

    /// The glyph of a simple font's code that stands for this text.
    pub(super) fn glyph_of_code(&self, code: u8, text: Option<&str>) -> Option<u32> {
        text.and_then(|text| self.glyphs.get(text)).or_else(|| self.codes.get(&code)).copied()
    }

    /// The advance of a glyph, in units of the font size.
    pub(super) fn advance(&self, glyph: u32) -> Option<f64> {
        self.advances.get(glyph as usize).or(self.advances.last()).copied()
    }

    /// The text of a code by the program's own encoding.
    pub(super) fn code(&self, code: u8) -> Option<String> {
        let text = self.glyph(*self.codes.get(&code)?).cloned();
        text.or_else(|| (self.ascii && matches!(code, 0x20..0x7F)).then(|| char::from(code).to_string()))
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
        assert_eq!(unicode.glyph_of_cid(8), Some(8));
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
        assert_eq!([b'a', b'b'].map(|code| program.code(code).unwrap()), ["у", "A"]);
        assert_eq!(program.named(b"afii10085").unwrap(), "у");
    }

    /// A TrueType file whose Macintosh `cmap` has these characters, glyphs numbered as they come, so many thousandths wide;
    /// all but the space have an outline of four bytes.
    fn macintosh(characters: &[u8], width: impl Fn(u8) -> u16) -> Vec<u8> {
        let count = u16::try_from(characters.len()).unwrap();
        let first = *characters.iter().min().unwrap();
        let glyph = |code: u8| characters.iter().position(|&c| c == code).map_or(0, |at| at + 1);
        let glyphs: Vec<u16> =
            (first..=*characters.iter().max().unwrap()).map(|code| u16::try_from(glyph(code)).unwrap()).collect();
        let mut head = vec![0; 54];
        (head[12..16]).copy_from_slice(&[0x5F, 0x0F, 0x3C, 0xF5]);
        (head[18..20]).copy_from_slice(&1000_u16.to_be_bytes());
        let mut hhea = vec![0; 36];
        hhea[34..].copy_from_slice(&(count + 1).to_be_bytes());
        let metrics: Vec<u16> =
            [500].into_iter().chain(characters.iter().map(|&c| width(c))).flat_map(|w| [w, 0]).collect();
        let mut offsets = vec![0, 2];
        for &c in characters {
            offsets.push(offsets[offsets.len() - 1] + if c == b' ' { 0 } else { 2 });
        }
        sfnt(&[
            (b"cmap", cmap(1, 0, first.into(), &glyphs)),
            (b"head", head),
            (b"hhea", hhea),
            (b"hmtx", words(&metrics)),
            (b"loca", words(&offsets)),
        ])
    }

    #[test]
    fn a_macintosh_cmap_means_ascii_only_where_the_glyphs_bear_it_out() {
        let latin = |c: u8| match c {
            b'i' | b'j' | b'l' | b' ' | b'.' => 278,
            b'm' | b'w' => 800,
            _ => 556,
        };
        let cyrillic = |c: u8| match c {
            b'i' => 780,
            _ => latin(c),
        };
        let text = |file: &[u8]| Program::parse(file).unwrap().code(b'l');
        let letters = b"Hello, wide jam 1986\xE4";
        let letters: Vec<u8> = (0_u8..=255).filter(|c| letters.contains(c)).collect();
        let program = Program::parse(&macintosh(&letters, latin)).unwrap();
        assert_eq!([b'l', b'1', b' '].map(|code| program.code(code).unwrap()), ["l", "1", " "]);
        assert_eq!((program.code(0xE4), program.code(b'x')), (None, None), "no system is known, and no glyph is there");
        assert_eq!(program.glyph_of_code(b'l', None).and_then(|glyph| program.advance(glyph)), Some(0.278));
        assert_eq!(text(&macintosh(&letters, cyrillic)), None);
        assert_eq!(text(&macintosh(&letters, |c| if c == b'1' { 300 } else { latin(c) })), None);
        assert_eq!(
            text(&macintosh(&(b'!'..=b'm').collect::<Vec<_>>(), latin)),
            None,
            "a subset that is counted through"
        );
        assert_eq!(text(&macintosh(&(b' '..=b'~').collect::<Vec<_>>(), latin)).as_deref(), Some("l"), "a whole font");
    }

    #[test]
    fn an_ideograph_is_read_rather_than_the_radical_that_looks_like_it() {
        // 日 as radical and as ideograph: one segment of format 12 each, both the glyph 5.
        let groups: Vec<u8> = [12 << 16, 40, 0, 2, 0x2F47, 0x2F47, 5, 0x65E5, 0x65E5, 5].map(u32::to_be_bytes).concat();
        let table = [words(&[0, 1, 3, 10, 0, 12]), groups].concat();
        let program = Program::parse(&sfnt(&[(b"cmap", table)])).unwrap();
        assert_eq!(program.glyph(5).map(String::as_str), Some("日"));
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
        assert_eq!(program.code(b'A').as_deref(), Some("И"));
        assert_eq!(program.named(b"afii10026").map(String::as_str), Some("И"));
        assert!(Program::parse(b"no font").is_none() && Program::parse(&file[..40]).is_none());
    }
}
