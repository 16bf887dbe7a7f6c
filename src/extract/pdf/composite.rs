//! Composite fonts: which bytes make a code, which CID a code has, and which tables say its text.

use std::sync::Arc;

use lopdf::{Dictionary, Document, Object};

use super::cmap::{self, CMap};
use super::font::{Coding, dict_entry, entry, stream_entry};
use super::predefined::Predefined;

/// The ToUnicode map of a font.
pub(super) fn to_unicode(doc: &Document, dict: &Dictionary, codes_may_be_characters: bool) -> Option<CMap> {
    // Codes are code points: the whole map in one range.
    let identity = || CMap::parse(b"beginbfrange <0020> <D7FF> <0020> endbfrange");
    if let Some(Object::Name(name)) = entry(doc, dict, b"ToUnicode") {
        if name.starts_with(b"Identity") {
            return Some(identity());
        }
        let mut map = CMap::default();
        map.go_on_from(name);
        return Some(map).filter(|map| !map.has_no_text());
    }
    let map = stream_entry(doc, dict, b"ToUnicode").map(|bytes| CMap::parse(&bytes))?;
    if map.has_no_text() {
        // The same, said by a copy of the CMap Identity-H; where codes are glyph numbers it would be mojibake.
        return (map.is_identity() && codes_may_be_characters).then(identity);
    }
    Some(map)
}

/// How the strings of a composite font are read.
pub(super) fn coding(doc: &Document, dict: &Dictionary, encoding_name: &[u8]) -> Coding {
    if let Some(bytes) = stream_entry(doc, dict, b"Encoding") {
        let mut map = CMap::parse(&bytes);
        let base = dict_entry(doc, dict, b"Encoding").and_then(|stream| entry(doc, stream, b"UseCMap")?.as_name().ok());
        if let (None, Some(base)) = (map.base(), base) {
            map.go_on_from(base);
        }
        return Coding::Embedded(map);
    }
    let name = String::from_utf8_lossy(encoding_name);
    if let Some((script, form)) = name.strip_prefix("Uni").and_then(|name| name.split_once('-')) {
        let cids = |name: &str| Predefined::named(name.as_bytes());
        // The tables know UTF-16 only, which numbers the same characters.
        let same = || cids(&format!("Uni{script}-UTF16-H"));
        match form.split('-').next() {
            Some("UCS2" | "UTF16") => return Coding::Unicode(cmap::utf16, cids(&name).or_else(same)),
            Some("UTF8") => return Coding::Unicode(cmap::utf8, same()),
            Some("UTF32" | "UCS4") => return Coding::Unicode(cmap::utf32, same()),
            _ => return Coding::Unknown,
        }
    }
    if name.starts_with("Identity") || name.is_empty() {
        Coding::Identity
    } else {
        Predefined::named(encoding_name).map_or(Coding::Unknown, Coding::Named)
    }
}

/// The texts of a composite font's CIDs.
///
/// A font whose codes are its CIDs says itself which collection they are of. Embedded TrueType programs that number their
/// glyphs by themselves (not `in_order`) say it as well, and mean their own glyph numbers.
pub(super) fn collection(
    doc: &Document,
    described: &Dictionary,
    coding: &Coding,
    in_order: bool,
) -> Option<Arc<Predefined>> {
    let of_base = match coding {
        Coding::Named(map) => map.texts_of_cids(),
        Coding::Embedded(map) => map.base().and_then(|base| base.texts_of_cids()),
        Coding::Identity => None,
        _ => return None,
    };
    let of_font = || {
        let info = dict_entry(doc, described, b"CIDSystemInfo").filter(|_| in_order)?;
        let string = |key: &[u8]| entry(doc, info, key)?.as_str().ok();
        Predefined::texts_of(string(b"Registry")?, string(b"Ordering")?)
    };
    of_base.or_else(of_font)
}
