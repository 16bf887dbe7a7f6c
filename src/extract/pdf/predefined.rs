//! The CMaps that PDF knows by name (ISO 32000-1, table 118), and what the CIDs of Adobe's collections stand for.
//!
//! Fonts of Chinese, Japanese and Korean may say no more than `90ms-RKSJ-H`: the reader has to know which bytes make a code
//! of it, which CID a code has, and which character a CID of that collection shows. The second and third come from Adobe's
//! own tables, as `hayro-cmap` packs them; it leaves out the first, so the code spaces stand here.
//!
//! The tables are trusted, so nothing here depends on the file but a name, and each table is parsed once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use hayro_cmap::{BfString, CMapName, CidFamily, load_embedded};

use super::glyphs;

/// The bytes of a code: lowest and highest value of each.
type Space = &'static [(u8, u8)];

const ASCII: Space = &[(0x00, 0x80)];
const TWO_BYTES: Space = &[(0x00, 0xFF), (0x00, 0xFF)];
const EUC: Space = &[(0xA1, 0xFE), (0xA1, 0xFE)];
const SHIFT_JIS: &[Space] =
    &[ASCII, &[(0xA0, 0xDF)], &[(0xFD, 0xFF)], &[(0x81, 0x9F), (0x40, 0xFC)], &[(0xE0, 0xFC), (0x40, 0xFC)]];

/// The code spaces by the beginning of a CMap's name; the longer name stands before the one that begins it.
const SPACES: [(&str, &[Space]); 20] = [
    ("Identity-", &[TWO_BYTES]),
    ("Adobe-", &[TWO_BYTES]),
    ("Uni", &[&[(0xD8, 0xDB), (0x00, 0xFF), (0xDC, 0xDF), (0x00, 0xFF)], TWO_BYTES]),
    ("GBpc-EUC-", &[ASCII, &[(0xFD, 0xFF)], &[(0xA1, 0xFC), (0xA1, 0xFE)]]),
    ("GB-EUC-", &[ASCII, EUC]),
    ("GBK2K-", &[ASCII, &[(0x81, 0xFE), (0x30, 0x39), (0x81, 0xFE), (0x30, 0x39)], &[(0x81, 0xFE), (0x40, 0xFE)]]),
    ("GBK", &[ASCII, &[(0x81, 0xFE), (0x40, 0xFE)]]),
    ("B5pc-", &[ASCII, &[(0xFD, 0xFF)], &[(0xA1, 0xFC), (0x40, 0xFE)]]),
    ("HKscs-B5-", &[ASCII, &[(0x87, 0xFE), (0x40, 0xFE)]]),
    ("ETen", &[ASCII, &[(0xA1, 0xFE), (0x40, 0xFE)]]),
    ("CNS-EUC-", &[ASCII, EUC, &[(0x8E, 0x8E), (0xA1, 0xA7), (0xA1, 0xFE), (0xA1, 0xFE)]]),
    ("83pv-RKSJ-", SHIFT_JIS),
    ("90", SHIFT_JIS),
    ("Add-RKSJ-", SHIFT_JIS),
    ("Ext-RKSJ-", SHIFT_JIS),
    ("EUC-", &[ASCII, &[(0x8E, 0x8E), (0xA0, 0xDF)], EUC]),
    ("KSC-EUC-", &[ASCII, EUC]),
    ("KSCms-UHC-", &[ASCII, &[(0x81, 0xFE), (0x41, 0xFE)]]),
    ("KSCpc-EUC-", &[&[(0x00, 0x84)], &[(0xFE, 0xFF)], &[(0xA1, 0xFD), (0x41, 0xFE)]]),
    ("", &[&[(0x21, 0x7E), (0x21, 0x7E)]]), // H and V: JIS X 0208 in seven bits
];

/// A CMap that has a name.
#[derive(Debug)]
pub(super) struct Predefined {
    map: hayro_cmap::CMap,
    spaces: &'static [Space],
}

impl Predefined {
    /// The CMap of this name, if it is one of PDF's, or one from CIDs to text (`Adobe-Japan1-UCS2`).
    pub(super) fn named(name: &[u8]) -> Option<Arc<Self>> {
        static READ: LazyLock<Mutex<HashMap<Vec<u8>, Arc<Predefined>>>> = LazyLock::new(Mutex::default);
        let known = CMapName::from_bytes(name);
        if matches!(known, CMapName::Custom(_)) {
            return None;
        }
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = read.get(name) {
            return Some(Arc::clone(map));
        }
        let map = match name {
            b"Identity-H" => hayro_cmap::CMap::identity_h(),
            b"Identity-V" => hayro_cmap::CMap::identity_v(),
            _ => hayro_cmap::CMap::parse(load_embedded(known)?, load_embedded)?,
        };
        let text = std::str::from_utf8(name).ok()?;
        let spaces = SPACES.iter().find(|(start, _)| text.starts_with(start))?.1;
        let map = Arc::new(Self { map, spaces });
        read.insert(name.to_vec(), Arc::clone(&map));
        Some(map)
    }

    /// The texts of the CIDs of a character collection, such as `Japan1` of `Adobe`.
    pub(super) fn texts_of(registry: &[u8], ordering: &[u8]) -> Option<Arc<Self>> {
        let family = CidFamily::from_registry_ordering(registry, ordering);
        Self::named(family.ucs2_cmap()?.to_bytes())
    }

    /// The texts of the CIDs that this CMap leads to.
    pub(super) fn texts_of_cids(&self) -> Option<Arc<Self>> {
        let collection = self.map.metadata().character_collection.as_ref()?;
        Self::named(collection.family.ucs2_cmap()?.to_bytes())
    }

    /// How many bytes the first code of a string takes: one where none fits whole, but two after what begins a pair.
    pub(super) fn code_length(&self, bytes: &[u8]) -> usize {
        let fits = |space: &Space, length: usize| {
            space.iter().zip(bytes).take(length).all(|((low, high), byte)| (low..=high).contains(&byte))
        };
        let whole = self.spaces.iter().find(|space| space.len() <= bytes.len() && fits(space, space.len()));
        let begun = || self.spaces.iter().find(|space| fits(space, 1));
        whole.or_else(begun).map_or(1, |space| space.len()).min(bytes.len().max(1))
    }

    /// The CID of a code of this many bytes.
    pub(super) fn cid(&self, code: u32, length: usize) -> Option<u32> {
        self.map.lookup_cid_code(code, u8::try_from(length).ok()?)
    }

    /// The text of a CID, for a CMap that leads to text.
    pub(super) fn text(&self, cid: u32) -> Option<String> {
        glyphs::usable(match self.map.lookup_bf_string(cid)? {
            BfString::Char(c) => c.to_string(),
            BfString::String(text) => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a string of codes.
    fn read(name: &str, mut bytes: &[u8]) -> String {
        let map = Predefined::named(name.as_bytes()).unwrap();
        let texts = map.texts_of_cids().unwrap();
        let mut text = String::new();
        while !bytes.is_empty() {
            let (code, rest) = bytes.split_at(map.code_length(bytes));
            let value = code.iter().fold(0, |value, &byte| value << 8 | u32::from(byte));
            let known = map.cid(value, code.len()).filter(|&cid| cid > 0).and_then(|cid| texts.text(cid));
            text.push_str(known.as_deref().unwrap_or("?"));
            bytes = rest;
        }
        text
    }

    #[test]
    fn each_family_of_codes_is_read_as_the_charset_that_it_follows() {
        for (name, charset, text) in [
            ("90ms-RKSJ-H", encoding_rs::SHIFT_JIS, "日本語ｱA"),
            ("90msp-RKSJ-H", encoding_rs::SHIFT_JIS, "日本語A"),
            ("83pv-RKSJ-H", encoding_rs::SHIFT_JIS, "日本A"),
            ("EUC-H", encoding_rs::EUC_JP, "日本語A"),
            ("GB-EUC-H", encoding_rs::GBK, "中文A"),
            ("GBpc-EUC-H", encoding_rs::GBK, "中文A"),
            ("GBK-EUC-H", encoding_rs::GBK, "中國A"),
            ("GBKp-EUC-V", encoding_rs::GBK, "中國A"),
            ("GBK2K-H", encoding_rs::GB18030, "中文㐁A"),
            ("B5pc-H", encoding_rs::BIG5, "中文A"),
            ("ETen-B5-H", encoding_rs::BIG5, "中文A"),
            ("HKscs-B5-H", encoding_rs::BIG5, "中文嘅A"),
            ("KSC-EUC-H", encoding_rs::EUC_KR, "한국어A"),
            ("KSCms-UHC-H", encoding_rs::EUC_KR, "한국똠A"),
            ("KSCpc-EUC-H", encoding_rs::EUC_KR, "한국A"),
        ] {
            let (bytes, _, failed) = charset.encode(text);
            assert!(!failed, "{name}");
            assert_eq!(read(name, &bytes), text, "{name}");
        }
        // Seven bits; and the four bytes of a character of the second plane of CNS 11643 (乂 is its first).
        assert_eq!(read("H", b"\x46\x7C\x4B\x5C"), "日本");
        assert_eq!(read("CNS-EUC-H", b"A\xC4\xA1\x8E\xA2\xA1\xA1"), "A一乂");
        assert_eq!(read("UniJIS-UTF16-H", b"\x65\xE5\x00\x41"), "日A");
    }

    #[test]
    fn broken_codes_end_and_unknown_names_are_none() {
        assert_eq!(read("90ms-RKSJ-H", b"\x93\x20\x93\xFA\x93"), "?日?");
        assert!(Predefined::named(b"Unknown-H").is_none() && Predefined::named(b"").is_none());
        assert!(Predefined::texts_of(b"Adobe", b"Identity").is_none());
        assert_eq!(Predefined::texts_of(b"Adobe", b"Japan1").unwrap().text(34).as_deref(), Some("A"));
    }
}
