//! The encodings that fonts name, and those that the standard fonts of signs have built in.

use super::glyphs::usable;

/// The encodings that a font may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BaseEncoding {
    /// `WinAnsiEncoding`: windows-1252.
    WinAnsi,
    /// `MacRomanEncoding`.
    MacRoman,
    /// `StandardEncoding`, that of Type 1 text fonts.
    Standard,
    /// The built-in encoding of the standard font Symbol.
    Symbol,
    /// The built-in encoding of the standard font Zapf Dingbats.
    Dingbats,
}

/// Standard encoding from 0xA1 on; `\0` where it has no glyph.
const STANDARD_HIGH: &str = "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ\0–†‡·\0¶•‚„”»…‰\0¿\0`´ˆ˜¯˘˙¨\0˚¸\0˝˛ˇ—\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0Æ\0ª\0\0\0\0ŁØŒº\0\0\0\0\0æ\0\0\0ı\0\0łøœß";

/// Symbol from 0x20 on, and from 0xA0 on; `\0` where it has no glyph, or one that is part of a larger sign.
const SYMBOL_LOW: &str =
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧ∆ΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_\0αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼";
const SYMBOL_HIGH: &str =
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…│─↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊⟨®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪\0⟩∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭";

/// Zapf Dingbats stand in the order of their Unicode block, but for those that Unicode had elsewhere.
const DINGBATS_ELSEWHERE: [(u8, char); 17] = [
    (0x20, ' '),
    (0x25, '☎'),
    (0x2A, '☛'),
    (0x2B, '☞'),
    (0x48, '★'),
    (0x6C, '●'),
    (0x6E, '■'),
    (0x73, '▲'),
    (0x74, '▼'),
    (0x75, '◆'),
    (0x77, '◗'),
    (0xA8, '♣'),
    (0xA9, '♦'),
    (0xAA, '♥'),
    (0xAB, '♠'),
    (0xD6, '↔'),
    (0xD7, '↕'),
];

fn dingbat(code: u8) -> Option<char> {
    let at = u32::from(code);
    let elsewhere = DINGBATS_ELSEWHERE.iter().find(|(known, _)| *known == code).map(|&(_, c)| c);
    elsewhere.or_else(|| match code {
        0x21..=0x7E => char::from_u32(0x2700 + at - 0x20),
        0xA1..=0xA7 => char::from_u32(0x2761 + at - 0xA1),
        0xAC..=0xB5 => char::from_u32(0x2460 + at - 0xAC),
        0xB6..=0xD4 => char::from_u32(0x2776 + at - 0xB6),
        0xD5 => Some('→'),
        0xD8..=0xEF | 0xF1..=0xFE => char::from_u32(0x2798 + at - 0xD8),
        _ => None,
    })
}

/// The sign at an offset in a table.
fn in_table(table: &str, at: u8) -> Option<String> {
    table.chars().nth(usize::from(at)).and_then(|c| usable(c.to_string()))
}

impl BaseEncoding {
    /// The encoding of a standard font that has one of its own.
    pub(super) fn of_font(name: &str) -> Option<Self> {
        let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is(&["Symbol", "SymbolMT", "Symbol,Bold", "Symbol,Italic"]) {
            Some(Self::Symbol)
        } else if is(&["ZapfDingbats", "ITCZapfDingbats", "Dingbats"]) {
            Some(Self::Dingbats)
        } else {
            None
        }
    }

    /// The encoding of a name such as `WinAnsiEncoding`.
    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"WinAnsiEncoding" => Some(Self::WinAnsi),
            b"MacRomanEncoding" => Some(Self::MacRoman),
            b"StandardEncoding" => Some(Self::Standard),
            _ => None,
        }
    }

    /// The text of a code; nothing for the codes that stand for no glyph.
    pub(super) fn text(self, code: u8) -> Option<String> {
        let table =
            |encoding: &'static encoding_rs::Encoding| encoding.decode_without_bom_handling(&[code]).0.into_owned();
        match (self, code) {
            (_, 0..0x20) => None,
            (Self::Symbol, 0x20..0x7F) => in_table(SYMBOL_LOW, code - 0x20),
            (Self::Symbol, 0x7F..0xA0) => None,
            (Self::Symbol, _) => in_table(SYMBOL_HIGH, code - 0xA0),
            (Self::Dingbats, _) => dingbat(code).map(String::from),
            (Self::Standard, b'\'') => Some("’".to_owned()),
            (Self::Standard, b'`') => Some("‘".to_owned()),
            (_, 0x20..0x7F) => Some(char::from(code).to_string()),
            // The unused codes of WinAnsi are bullets, by the note under the table in ISO 32000-1, annex D.2.
            (Self::WinAnsi, 0x7F | 0x81 | 0x8D | 0x8F | 0x90 | 0x9D) => Some("•".to_owned()),
            (Self::WinAnsi, 0xAD) => Some("-".to_owned()),
            (Self::WinAnsi, _) => usable(table(encoding_rs::WINDOWS_1252)),
            (Self::MacRoman, _) => usable(table(encoding_rs::MACINTOSH)),
            (Self::Standard, 0x7F..=0xA0) => None,
            (Self::Standard, _) => in_table(STANDARD_HIGH, code - 0xA1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_encodings_differ_where_the_tables_do() {
        assert_eq!(BaseEncoding::WinAnsi.text(0xE4).as_deref(), Some("ä"));
        assert_eq!(BaseEncoding::MacRoman.text(0x8A).as_deref(), Some("ä"));
        assert_eq!(BaseEncoding::Standard.text(0xAE).as_deref(), Some("fi"));
        assert_eq!(BaseEncoding::Standard.text(0xD0).as_deref(), Some("—"));
        assert_eq!(BaseEncoding::Standard.text(0xE1).as_deref(), Some("Æ"));
        assert_eq!(BaseEncoding::Standard.text(0xFB).as_deref(), Some("ß"));
        assert_eq!(BaseEncoding::Standard.text(0xE4), None);
        assert_eq!(BaseEncoding::WinAnsi.text(0x95).as_deref(), Some("•"));
    }

    #[test]
    fn the_standard_fonts_of_signs() {
        let text = |encoding: BaseEncoding, codes: &[u8]| -> String {
            codes.iter().map(|&code| encoding.text(code).unwrap_or_else(|| "?".to_owned())).collect()
        };
        assert_eq!(text(BaseEncoding::Symbol, b"abgpWDS"), "αβγπΩ∆Σ");
        assert_eq!(text(BaseEncoding::Symbol, &[0xA3, 0xB0, 0xB1, 0xB7, 0xD6, 0xE5, 0xF0, 0xF2, 0xFE]), "≤°±•√∑?∫⎭");
        assert_eq!(text(BaseEncoding::Dingbats, &[0x33, 0x34, 0x48, 0x6C, 0xAC, 0xD5, 0xE8, 0xF0]), "✓✔★●①→➨?");
        assert_eq!(BaseEncoding::of_font("SegoeUISymbol"), None);
    }
}
