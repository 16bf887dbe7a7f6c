//! Languages by their BCP 47 code, with the script where it is not the usual one.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The script of a language's usual orthography.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Script {
    /// Latin letters.
    Latin,
    /// Cyrillic letters.
    Cyrillic,
    /// Devanagari.
    Devanagari,
    /// Arabic letters.
    Arabic,
    /// Chinese characters.
    Han,
}

impl Script {
    /// By the ISO 15924 code of a language tag's script subtag, in any case. `Hant` is none of these: the table's
    /// Chinese is in simplified characters.
    fn of_subtag(subtag: &str) -> Option<Self> {
        SUBTAGS.iter().find(|(code, _)| code.eq_ignore_ascii_case(subtag)).map(|&(_, script)| script)
    }
}

/// ISO 15924 codes of the scripts that the table's languages are written in. `Aran` is Arabic in the Nastaliq style,
/// `Hani` Chinese characters without saying which.
const SUBTAGS: [(&str, Script); 7] = [
    ("Arab", Script::Arabic),
    ("Aran", Script::Arabic),
    ("Cyrl", Script::Cyrillic),
    ("Deva", Script::Devanagari),
    ("Hani", Script::Han),
    ("Hans", Script::Han),
    ("Latn", Script::Latin),
];

struct Entry {
    /// The language, and its script (`tk-Cyrl`) where it is not the usual one.
    code: &'static str,
    /// Other names of the language, without a script, seen in `lang` attributes, URLs, file names and FLORES codes. In
    /// lower case.
    aliases: &'static [&'static str],
    name: &'static str,
    script: Script,
}

const fn entry(code: &'static str, aliases: &'static [&'static str], name: &'static str, script: Script) -> Entry {
    Entry { code, aliases, name, script }
}

/// Sorted by code.
const TABLE: &[Entry] = &[
    entry("ar", &["ara", "arb"], "Arabic", Script::Arabic),
    entry("az", &["aze", "azj"], "Azerbaijani", Script::Latin),
    entry("ba", &["bak"], "Bashkir", Script::Cyrillic),
    entry("be", &["bel"], "Belarusian", Script::Cyrillic),
    entry("bg", &["bul"], "Bulgarian", Script::Cyrillic),
    entry("de", &["deu", "ger"], "German", Script::Latin),
    entry("en", &["eng"], "English", Script::Latin),
    entry("es", &["spa"], "Spanish", Script::Latin),
    entry("fa", &["fas", "pes"], "Persian", Script::Arabic),
    entry("fr", &["fra"], "French", Script::Latin),
    entry("hi", &["hin"], "Hindi", Script::Devanagari),
    entry("it", &["ita"], "Italian", Script::Latin),
    entry("kk", &["kaz", "kz"], "Kazakh", Script::Cyrillic),
    entry("ky", &["kir", "kg"], "Kyrgyz", Script::Cyrillic),
    entry("mr", &["mar"], "Marathi", Script::Devanagari),
    entry("ne", &["nep", "npi"], "Nepali", Script::Devanagari),
    entry("nl", &["nld"], "Dutch", Script::Latin),
    entry("pl", &["pol"], "Polish", Script::Latin),
    entry("pt", &["por"], "Portuguese", Script::Latin),
    entry("ru", &["rus"], "Russian", Script::Cyrillic),
    entry("tg", &["tgk"], "Tajik", Script::Cyrillic),
    // `tm` is the country; Turkmen sites use it for the language all the same.
    entry("tk", &["tuk", "tm", "tkm"], "Turkmen", Script::Latin),
    entry("tk-Cyrl", &["tuk", "tm", "tkm"], "Turkmen in Cyrillic", Script::Cyrillic),
    entry("tr", &["tur"], "Turkish", Script::Latin),
    entry("tt", &["tat"], "Tatar", Script::Cyrillic),
    entry("uk", &["ukr"], "Ukrainian", Script::Cyrillic),
    entry("uz", &["uzb", "uzn"], "Uzbek", Script::Latin),
    entry("uz-Cyrl", &["uzb", "uzn"], "Uzbek in Cyrillic", Script::Cyrillic),
    entry("zh", &["zho", "cmn"], "Chinese", Script::Han),
];

/// Longest tag that is read, in bytes: what RFC 5646 (section 4.4.1) asks every program to have room for.
const MAX_TAG: usize = 35;

/// A language that the program knows by name. Compared and sorted by code.
///
/// Holds the language's place in the table, which is sorted by code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(u8);

impl Language {
    /// Turkmen in Latin letters.
    pub const TURKMEN: Self = Self::known("tk");
    /// Turkmen in Cyrillic letters, as printed before 1993.
    pub const TURKMEN_CYRILLIC: Self = Self::known("tk-Cyrl");
    /// Russian.
    pub const RUSSIAN: Self = Self::known("ru");
    /// English.
    pub const ENGLISH: Self = Self::known("en");
    /// Turkish.
    pub const TURKISH: Self = Self::known("tr");
    /// Azerbaijani in Latin letters.
    pub const AZERBAIJANI: Self = Self::known("az");
    /// Uzbek in Latin letters.
    pub const UZBEK: Self = Self::known("uz");
    /// Uzbek in Cyrillic letters.
    pub const UZBEK_CYRILLIC: Self = Self::known("uz-Cyrl");
    /// Kazakh.
    pub const KAZAKH: Self = Self::known("kk");
    /// Hindi.
    pub const HINDI: Self = Self::known("hi");

    /// A language of the table, for constants: a code that is not there does not compile.
    const fn known(code: &str) -> Self {
        let mut at = 0;
        while at < TABLE.len() {
            if is_same(TABLE[at].code.as_bytes(), code.as_bytes()) {
                return Self(at as u8);
            }
            at += 1;
        }
        panic!("the table has no such language")
    }

    /// Its BCP 47 code.
    pub fn code(self) -> &'static str {
        self.entry().code
    }

    /// Its English name.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The script of its code.
    pub fn script(self) -> Script {
        self.entry().script
    }

    /// All that the program knows, by code.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(|at| Self(at as u8))
    }

    /// Reads a code as found in the wild (`ru-RU`, `tm`, `rus_Cyrl`), or `None`.
    ///
    /// Regions and all that follows them are dropped, scripts are not: a tag whose script is not the usual one of its
    /// language (`uz-Cyrl`, `kaz_Latn`, `zh-Hant`) names the table's entry in that script, or nothing. Tags longer than
    /// 35 bytes name nothing.
    pub fn guess_from_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim();
        if tag.len() > MAX_TAG {
            return None;
        }
        let mut subtags = tag.split(['-', '_']);
        let language = subtags.next()?;
        // Extended languages (`zh-cmn-Hans`) stand before the script.
        let mut subtags = subtags.skip_while(|subtag| is_letters(subtag, 3)).peekable();
        let script = subtags.next_if(|subtag| is_letters(subtag, 4));
        let region = subtags.next().filter(|subtag| is_letters(subtag, 2));
        let is_wanted = |entry: &Entry| match (script, region) {
            (Some(script), _) => Script::of_subtag(script) == Some(entry.script),
            (None, Some(region)) => entry.is_default() && !(entry.code == "zh" && is_traditional(region)),
            (None, None) => entry.is_default(),
        };
        let place = TABLE.iter().position(|entry| entry.is_called(language) && is_wanted(entry))?;
        Some(Self(place as u8))
    }

    fn entry(self) -> &'static Entry {
        &TABLE[usize::from(self.0)]
    }
}

impl Entry {
    /// The code without its script.
    fn language(&self) -> &'static str {
        self.code.split_once('-').map_or(self.code, |(language, _)| language)
    }

    /// Whether its script is the usual one of its language.
    fn is_default(&self) -> bool {
        self.language().len() == self.code.len()
    }

    fn is_called(&self, language: &str) -> bool {
        std::iter::once(self.language())
            .chain(self.aliases.iter().copied())
            .any(|name| name.eq_ignore_ascii_case(language))
    }
}

/// Whether a subtag is `length` letters.
fn is_letters(subtag: &str, length: usize) -> bool {
    subtag.len() == length && subtag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether Chinese of a region is written in traditional characters, which the table's Chinese is not.
fn is_traditional(region: &str) -> bool {
    ["tw", "hk", "mo"].iter().any(|traditional| traditional.eq_ignore_ascii_case(region))
}

/// `==` for constants.
const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::guess_from_tag(text).ok_or_else(|| {
            let known: Vec<_> = Self::all().map(Self::code).collect();
            Error::input(format!("unknown language {text:?}; known are {}", known.join(", ")))
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

serde_by_text!(Language);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_the_wild() {
        for (tag, code) in
            [("ru-RU", "ru"), ("tk-TM", "tk"), ("TM", "tk"), ("rus_Cyrl", "ru"), ("tk-Cyrl", "tk-Cyrl"), ("tuk", "tk")]
        {
            assert_eq!(Language::guess_from_tag(tag).map(Language::code), Some(code), "{tag}");
        }
        assert_eq!(Language::guess_from_tag("x-default"), None);
        assert_eq!(Language::guess_from_tag(""), None);
    }

    #[test]
    fn a_script_is_never_dropped() {
        for (tag, code) in [
            ("kaz_Cyrl", Some("kk")),
            ("kaz_Latn", None),
            ("kk-Arab-CN", None),
            ("uzn_Cyrl", Some("uz-Cyrl")),
            ("uz-Cyrl", Some("uz-Cyrl")),
            ("UZ_cyrl_uz", Some("uz-Cyrl")),
            ("uzn_Latn", Some("uz")),
            ("uz-Arab", None),
            ("az-Latn-AZ", Some("az")),
            ("az-Cyrl", None),
            ("tuk_Cyrl", Some("tk-Cyrl")),
            ("tm-Cyrl", Some("tk-Cyrl")),
            ("tk-Latn", Some("tk")),
            ("zh-Hans-CN", Some("zh")),
            ("zh-cmn-Hans", Some("zh")),
            ("zh-Hant", None),
            ("zh-TW", None),
            ("zh-SG", Some("zh")),
            ("sr-Latn", None),
            ("fa-Aran", Some("fa")),
            ("ru-Xyzz", None),
            // Neither is a script: a three-letter region, a variant, a private part, a POSIX locale.
            ("tk-TKM", Some("tk")),
            ("de-1996", Some("de")),
            ("en-x-cyrl", Some("en")),
            ("ru_RU.UTF-8", Some("ru")),
        ] {
            assert_eq!(Language::guess_from_tag(tag).map(Language::code), code, "{tag}");
        }
    }

    #[test]
    fn the_table_is_sorted_by_code_and_every_script_has_a_subtag() {
        assert!(TABLE.is_sorted_by(|one, other| one.code < other.code));
        assert!(TABLE.len() <= usize::from(u8::MAX));
        for entry in TABLE {
            assert!(SUBTAGS.iter().any(|&(_, script)| script == entry.script), "{}", entry.code);
        }
        assert_eq!(Language::UZBEK_CYRILLIC.script(), Script::Cyrillic);
        assert_eq!(Language::KAZAKH.name(), "Kazakh");
    }

    #[test]
    fn long_tags_name_nothing_and_cost_nothing() {
        assert_eq!(Language::guess_from_tag("ru-aaaaaaaa-bbbbbbbb-cccccccc-ddddd").map(Language::code), Some("ru"));
        assert_eq!(Language::guess_from_tag("ru-aaaaaaaa-bbbbbbbb-cccccccc-dddddd"), None, "36 bytes");
        let long = "a-".repeat(60_000_000);
        let start = std::time::Instant::now();
        assert_eq!(Language::guess_from_tag(&long), None);
        assert!(start.elapsed().as_secs() < 1, "{:?}", start.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn no_tag_panics(tag in "\\PC{0,40}|([a-zA-Z0-9]{0,9}[-_ ]){0,20}") {
            if let Some(language) = Language::guess_from_tag(&tag) {
                proptest::prop_assert_eq!(Language::guess_from_tag(language.code()), Some(language));
                proptest::prop_assert!(tag.trim().len() <= MAX_TAG);
            }
        }

        #[test]
        fn regions_and_variants_change_nothing(at in 0..TABLE.len(), rest in "(-([A-Z]{2}|[0-9]{3}))?(-[a-z]{5,8})?") {
            let language = Language(at as u8);
            let tag = format!("{language}{rest}");
            let traditional = language.code() == "zh" && ["TW", "HK", "MO"].iter().any(|region| tag.contains(region));
            proptest::prop_assert_eq!(Language::guess_from_tag(&tag), Some(language).filter(|_| !traditional));
        }
    }

    #[test]
    fn every_code_is_its_own_tag() {
        for language in Language::all() {
            assert_eq!(Language::guess_from_tag(language.code()), Some(language));
        }
    }
}
