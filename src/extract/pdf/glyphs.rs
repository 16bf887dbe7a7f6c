//! From glyph names and base encodings to text.
//!
//! The names follow the Adobe Glyph List. Most of its 4 281 entries are regular, so they are made by rule: base letter and
//! accent (`ncaron`), code point (`uni0422`, `u1D400`), the numbers of the Cyrillic block (`afii10036`). A name that no
//! rule knows (`g37`, `cid123`) says nothing about its text, and yields none: a guess here is how books come out as
//! mojibake without an error.

use unicode_normalization::UnicodeNormalization as _;

/// Accents as glyph names spell them, with the combining character. Longest names first where one ends another.
const ACCENTS: [(&str, char); 13] = [
    ("hungarumlaut", '\u{30B}'),
    ("commaaccent", '\u{327}'),
    ("circumflex", '\u{302}'),
    ("dotaccent", '\u{307}'),
    ("dieresis", '\u{308}'),
    ("cedilla", '\u{327}'),
    ("ogonek", '\u{328}'),
    ("macron", '\u{304}'),
    ("acute", '\u{301}'),
    ("grave", '\u{300}'),
    ("tilde", '\u{303}'),
    ("caron", '\u{30C}'),
    ("breve", '\u{306}'),
];

/// Names that are no letter with an accent.
#[rustfmt::skip]
const NAMED: &[(&str, &str)] = &[
    ("space", " "), ("nbspace", " "), ("nonbreakingspace", " "), ("exclam", "!"), ("quotedbl", "\""),
    ("numbersign", "#"), ("dollar", "$"), ("percent", "%"), ("ampersand", "&"), ("quotesingle", "'"),
    ("parenleft", "("), ("parenright", ")"), ("asterisk", "*"), ("plus", "+"), ("comma", ","), ("hyphen", "-"),
    ("period", "."), ("slash", "/"), ("zero", "0"), ("one", "1"), ("two", "2"), ("three", "3"), ("four", "4"),
    ("five", "5"), ("six", "6"), ("seven", "7"), ("eight", "8"), ("nine", "9"), ("colon", ":"), ("semicolon", ";"),
    ("less", "<"), ("equal", "="), ("greater", ">"), ("question", "?"), ("at", "@"), ("bracketleft", "["),
    ("backslash", "\\"), ("bracketright", "]"), ("asciicircum", "^"), ("underscore", "_"), ("grave", "`"),
    ("braceleft", "{"), ("bar", "|"), ("braceright", "}"), ("asciitilde", "~"), ("exclamdown", "¡"), ("cent", "¢"),
    ("sterling", "£"), ("currency", "¤"), ("yen", "¥"), ("brokenbar", "¦"), ("section", "§"), ("dieresis", "¨"),
    ("copyright", "©"), ("ordfeminine", "ª"), ("guillemotleft", "«"), ("logicalnot", "¬"), ("registered", "®"),
    ("sfthyphen", "\u{AD}"), ("softhyphen", "\u{AD}"), ("hyphentwo", "-"), ("macron", "¯"), ("degree", "°"), ("plusminus", "±"),
    ("acute", "´"), ("mu", "µ"), ("paragraph", "¶"), ("periodcentered", "·"), ("middot", "·"), ("cedilla", "¸"),
    ("onesuperior", "¹"), ("twosuperior", "²"), ("threesuperior", "³"), ("ordmasculine", "º"),
    ("guillemotright", "»"), ("onequarter", "¼"), ("onehalf", "½"), ("threequarters", "¾"), ("questiondown", "¿"),
    ("AE", "Æ"), ("ae", "æ"), ("OE", "Œ"), ("oe", "œ"), ("Oslash", "Ø"), ("oslash", "ø"), ("Lslash", "Ł"),
    ("lslash", "ł"), ("Eth", "Ð"), ("eth", "ð"), ("Thorn", "Þ"), ("thorn", "þ"), ("germandbls", "ß"),
    ("Dcroat", "Đ"), ("dcroat", "đ"), ("Hbar", "Ħ"), ("hbar", "ħ"), ("dotlessi", "ı"), ("dotlessj", "ȷ"),
    ("Aring", "Å"), ("aring", "å"), ("Uring", "Ů"), ("uring", "ů"), ("Idot", "İ"), ("Eng", "Ŋ"), ("eng", "ŋ"),
    ("Schwa", "Ə"), ("schwa", "ə"), ("multiply", "×"), ("divide", "÷"), ("minus", "−"), ("endash", "–"),
    ("emdash", "—"), ("horizontalbar", "―"), ("quoteleft", "‘"), ("quoteright", "’"), ("quotesinglbase", "‚"),
    ("quotedblleft", "“"), ("quotedblright", "”"), ("quotedblbase", "„"), ("guilsinglleft", "‹"),
    ("guilsinglright", "›"), ("dagger", "†"), ("daggerdbl", "‡"), ("bullet", "•"), ("ellipsis", "…"),
    ("perthousand", "‰"), ("minute", "′"), ("second", "″"), ("fraction", "⁄"), ("Euro", "€"), ("euro", "€"), ("trademark", "™"),
    ("circumflex", "ˆ"), ("caron", "ˇ"), ("breve", "˘"), ("dotaccent", "˙"), ("ring", "˚"), ("ogonek", "˛"),
    ("tilde", "˜"), ("hungarumlaut", "˝"), ("florin", "ƒ"), ("fi", "fi"), ("fl", "fl"), ("ff", "ff"),
    ("ffi", "ffi"), ("ffl", "ffl"), ("infinity", "∞"), ("notequal", "≠"), ("lessequal", "≤"),
    ("greaterequal", "≥"), ("approxequal", "≈"), ("equivalence", "≡"), ("partialdiff", "∂"), ("summation", "∑"),
    ("product", "∏"), ("radical", "√"), ("integral", "∫"), ("angle", "∠"), ("perpendicular", "⊥"),
    ("element", "∈"), ("emptyset", "∅"), ("intersection", "∩"), ("union", "∪"), ("triangle", "△"),
    ("arrowleft", "←"), ("arrowup", "↑"), ("arrowright", "→"), ("arrowdown", "↓"), ("arrowboth", "↔"),
    ("arrowdblright", "⇒"), ("lozenge", "◊"), ("filledbox", "■"), ("H22073", "□"), ("circle", "○"), ("openbullet", "◦"),
    ("dotmath", "⋅"), ("asteriskmath", "∗"), ("similar", "∼"), ("congruent", "≅"), ("proportional", "∝"),
    ("Alpha", "Α"), ("Beta", "Β"), ("Gamma", "Γ"), ("Delta", "∆"), ("Epsilon", "Ε"), ("Zeta", "Ζ"), ("Eta", "Η"),
    ("Theta", "Θ"), ("Iota", "Ι"), ("Kappa", "Κ"), ("Lambda", "Λ"), ("Mu", "Μ"), ("Nu", "Ν"), ("Xi", "Ξ"),
    ("Omicron", "Ο"), ("Pi", "Π"), ("Rho", "Ρ"), ("Sigma", "Σ"), ("Tau", "Τ"), ("Upsilon", "Υ"), ("Phi", "Φ"),
    ("Chi", "Χ"), ("Psi", "Ψ"), ("Omega", "Ω"), ("alpha", "α"), ("beta", "β"), ("gamma", "γ"), ("delta", "δ"),
    ("epsilon", "ε"), ("zeta", "ζ"), ("eta", "η"), ("theta", "θ"), ("iota", "ι"), ("kappa", "κ"), ("lambda", "λ"),
    ("nu", "ν"), ("xi", "ξ"), ("omicron", "ο"), ("pi", "π"), ("rho", "ρ"), ("sigma", "σ"), ("sigma1", "ς"),
    ("tau", "τ"), ("upsilon", "υ"), ("phi", "φ"), ("chi", "χ"), ("psi", "ψ"), ("omega", "ω"),
    ("numero", "№"), ("afii61352", "№"), ("afii00208", "―"),
];

/// Cyrillic letters outside the Russian alphabet, by the number of their `afii` name.
#[rustfmt::skip]
const AFII: [(u32, char); 30] = [
    (10050, 'Ґ'), (10051, 'Ђ'), (10052, 'Ѓ'), (10053, 'Є'), (10054, 'Ѕ'), (10055, 'І'), (10056, 'Ї'), (10057, 'Ј'),
    (10058, 'Љ'), (10059, 'Њ'), (10060, 'Ћ'), (10061, 'Ќ'), (10062, 'Ў'), (10145, 'Џ'), (10098, 'ґ'), (10099, 'ђ'),
    (10100, 'ѓ'), (10101, 'є'), (10102, 'ѕ'), (10103, 'і'), (10104, 'ї'), (10105, 'ј'), (10106, 'љ'), (10107, 'њ'),
    (10108, 'ћ'), (10109, 'ќ'), (10110, 'ў'), (10193, 'џ'), (10846, 'ә'), (10146, 'Ѣ'),
];

/// A text as it may leave a font: ligatures taken apart, nothing where the map names no character.
///
/// Private-use code points are glyph numbers in disguise, except the bullets that word processors write.
pub(super) fn usable(text: String) -> Option<String> {
    let unmapped = |c: char| matches!(c, '\0'..='\u{8}' | '\u{E}'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{FFFD}' | '\u{FFFE}' | '\u{FFFF}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{FB00}'..='\u{FB06}' => out.extend(std::iter::once(c).nfkc()),
            '\u{F0B7}' | '\u{F06C}' | '\u{F09F}' => out.push('•'),
            '\u{F0A7}' | '\u{F06E}' => out.push('■'),
            '\u{F020}' => out.push(' '),
            '\u{E000}'..='\u{F8FF}' | '\u{F0000}'.. => return None,
            c if unmapped(c) => return None,
            c => out.push(c),
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The text of a glyph name, or nothing if no rule knows it.
pub(super) fn text_of_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    // `a.sc` and `one.oldstyle` are variants of the glyph before the dot; `.notdef` is none.
    let stem = name.split('.').next().filter(|stem| !stem.is_empty())?;
    let mut text = String::new();
    for part in stem.split('_').filter(|part| !part.is_empty()) {
        text.push_str(&text_of_part(part)?);
    }
    usable(text)
}

fn text_of_part(name: &str) -> Option<String> {
    if let Ok(at) = NAMED_BY_NAME.binary_search_by_key(&name, |&(name, _)| name) {
        return Some(NAMED_BY_NAME[at].1.to_owned());
    }
    let mut chars = name.chars();
    if let (Some(letter), None) = (chars.next(), chars.next()) {
        return letter.is_ascii_alphabetic().then(|| letter.to_string());
    }
    if let Some(number) = name.strip_prefix("afii") {
        return afii(number.parse().ok()?).map(String::from);
    }
    if let Some(hex) = name.strip_prefix("uni") {
        if let Some(text) = code_units(hex) {
            return Some(text);
        }
    } else if let Some(hex) = name.strip_prefix('u')
        && (4..=6).contains(&hex.len())
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).map(String::from);
    }
    accented(name)
}

/// `0422` or `00660069`: groups of four hexadecimal digits.
fn code_units(hex: &str) -> Option<String> {
    if hex.is_empty() || !hex.len().is_multiple_of(4) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let unit = |at: usize| u16::from_str_radix(&hex[at..at + 4], 16).ok();
    let units: Option<Vec<u16>> = (0..hex.len()).step_by(4).map(unit).collect();
    String::from_utf16(&units?).ok()
}

fn afii(number: u32) -> Option<char> {
    // А–Я and а–я stand in order, with Ё after Е as in the alphabet.
    let letter = |offset: u32, first: char, yo: char| match offset {
        0..=5 => char::from_u32(u32::from(first) + offset),
        6 => Some(yo),
        _ => char::from_u32(u32::from(first) + offset - 1),
    };
    match number {
        10017..=10049 => letter(number - 10017, 'А', 'Ё'),
        10065..=10097 => letter(number - 10065, 'а', 'ё'),
        _ => AFII.iter().find(|(known, _)| *known == number).map(|&(_, c)| c),
    }
}

/// `ncaron`: a letter and an accent, where Unicode has the two as one character.
fn accented(name: &str) -> Option<String> {
    let letter = name.chars().next().filter(char::is_ascii_alphabetic)?;
    let accent = ACCENTS.iter().find(|(accent, _)| *accent == &name[1..])?.1;
    let accent = if accent == '\u{327}' && name.ends_with("commaaccent") && letter.eq_ignore_ascii_case(&'s') {
        '\u{326}'
    } else {
        accent
    };
    let composed: String = [letter, accent].into_iter().nfc().collect();
    (composed.chars().count() == 1).then_some(composed)
}

/// [`NAMED`] in order of its names.
static NAMED_BY_NAME: std::sync::LazyLock<Vec<(&str, &str)>> = std::sync::LazyLock::new(|| {
    let mut named = NAMED.to_vec();
    named.sort_unstable();
    named
});

/// The encodings that a font may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BaseEncoding {
    /// `WinAnsiEncoding`: windows-1252.
    WinAnsi,
    /// `MacRomanEncoding`.
    MacRoman,
    /// `StandardEncoding`, that of Type 1 text fonts.
    Standard,
}

/// Standard encoding from 0xA1 on; `\0` where it has no glyph.
const STANDARD_HIGH: &str = "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ\0–†‡·\0¶•‚„”»…‰\0¿\0`´ˆ˜¯˘˙¨\0˚¸\0˝˛ˇ—\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0Æ\0ª\0\0\0\0ŁØŒº\0\0\0\0\0æ\0\0\0ı\0\0łøœß";

impl BaseEncoding {
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
            (Self::Standard, b'\'') => Some("’".to_owned()),
            (Self::Standard, b'`') => Some("‘".to_owned()),
            (_, 0x20..0x7F) => Some(char::from(code).to_string()),
            // The unused codes of WinAnsi are bullets, by the note under the table in ISO 32000-1, annex D.2.
            (Self::WinAnsi, 0x7F | 0x81 | 0x8D | 0x8F | 0x90 | 0x9D) => Some("•".to_owned()),
            (Self::WinAnsi, 0xAD) => Some("-".to_owned()),
            (Self::WinAnsi, _) => usable(table(encoding_rs::WINDOWS_1252)),
            (Self::MacRoman, _) => usable(table(encoding_rs::MACINTOSH)),
            (Self::Standard, 0x7F..=0xA0) => None,
            (Self::Standard, _) => {
                STANDARD_HIGH.chars().nth(usize::from(code - 0xA1)).and_then(|c| usable(c.to_string()))
            }
        }
    }
}

/// Widths of ASCII 0x20–0x7E in Helvetica, in thousandths of the font size: PDFs may leave out those of the standard fonts.
#[rustfmt::skip]
pub(super) const HELVETICA_WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667,
    778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556,
    222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// The same for Times Roman.
#[rustfmt::skip]
pub(super) const TIMES_WIDTHS: [u16; 95] = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500, 500, 500, 500, 500, 500, 500,
    500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611, 556, 722, 722, 333, 389, 722, 611, 889, 722, 722, 556,
    722, 667, 556, 611, 722, 722, 944, 722, 722, 611, 333, 278, 333, 469, 500, 333, 444, 500, 444, 500, 444, 333, 500, 500,
    278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444, 480, 200, 480, 541,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> Option<String> {
        text_of_name(name.as_bytes())
    }

    #[test]
    fn names_of_the_turkmen_and_russian_alphabets() {
        let latin =
            ["ccedilla", "adieresis", "zcaron", "ncaron", "odieresis", "scedilla", "udieresis", "yacute", "Scedilla"];
        assert_eq!(latin.iter().filter_map(|name| text(name)).collect::<String>(), "çäžňöşüýŞ");
        let cyrillic: String = (10017..=10049).chain(10065..=10097).filter_map(afii).collect();
        assert_eq!(cyrillic, "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя");
    }

    #[test]
    fn names_by_code_point_and_with_suffixes() {
        assert_eq!(text("uni0422").as_deref(), Some("Т"));
        assert_eq!(text("uni00660069").as_deref(), Some("fi"));
        assert_eq!(text("u1D400").as_deref(), Some("𝐀"));
        assert_eq!(text("a.sc").as_deref(), Some("a"));
        assert_eq!(text("f_f_i").as_deref(), Some("ffi"));
        assert_eq!(text("Scommaaccent").as_deref(), Some("Ș"));
        assert_eq!(text("union").as_deref(), Some("∪"));
        assert_eq!(text("udieresis").as_deref(), Some("ü"));
    }

    #[test]
    fn names_that_say_nothing_have_no_text() {
        for name in ["g37", "cid123", "glyph5", ".notdef", "uniF041", "uni12", "uD800", "afii99999", "", "Ð", "qcaron"]
        {
            assert_eq!(text(name), None, "{name}");
        }
    }

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
}
