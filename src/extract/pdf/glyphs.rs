//! From glyph names to text.
//!
//! The names follow the Adobe Glyph List. Most of its 4 281 entries are regular, so they are made by rule: base letter and
//! accent (`ncaron`), code point (`uni0422`, `u1D400`), the numbers of the Cyrillic block (`afii10036`). The rest comes
//! from the list itself, as the font crate carries it. A name that neither knows (`g37`, `cid123`) says nothing about its
//! text, and yields none: a guess here is how books come out as mojibake without an error.

use read_fonts::ps::agl;
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
    // Names of TeX's fonts that the list does not have.
    ("epsilon1", "ϵ"), ("rho1", "ϱ"), ("visiblespace", "␣"), ("circlecopyrt", "©"),
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
            // The shapes of Arabic letters; those that stand alone come with a space.
            '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' => {
                out.extend(std::iter::once(c).nfkc().filter(|c| *c != ' '));
            }
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
    accented(name).or_else(|| listed(name))
}

/// A name of the list itself. `a12` is a number in bitmap fonts, and a picture in Zapf Dingbats only.
fn listed(name: &str) -> Option<String> {
    let numbered = name.len() > 1 && name[1..].bytes().all(|byte| byte.is_ascii_digit());
    if numbered { None } else { agl::name_to_char(name).map(String::from) }
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
        assert_eq!((text("epsilon1").as_deref(), text("visiblespace").as_deref()), (Some("ϵ"), Some("␣")));
    }

    #[test]
    fn names_that_say_nothing_have_no_text() {
        for name in ["g37", "cid123", "glyph5", ".notdef", "uniF041", "uni12", "uD800", "afii99999", "", "Ð", "qcaron"]
        {
            assert_eq!(text(name), None, "{name}");
        }
    }
}
