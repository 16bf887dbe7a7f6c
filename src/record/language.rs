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

struct Entry {
    code: &'static str,
    /// Other names seen in `lang` attributes, URLs, file names and FLORES codes, in lower case.
    aliases: &'static [&'static str],
    name: &'static str,
    script: Script,
}

const fn entry(code: &'static str, aliases: &'static [&'static str], name: &'static str, script: Script) -> Entry {
    Entry { code, aliases, name, script }
}

/// Sorted by code.
static TABLE: &[Entry] = &[
    entry("ar", &["ara", "arb"], "Arabic", Script::Arabic),
    entry("az", &["aze", "azj", "azj-latn", "az-latn"], "Azerbaijani", Script::Latin),
    entry("ba", &["bak"], "Bashkir", Script::Cyrillic),
    entry("be", &["bel"], "Belarusian", Script::Cyrillic),
    entry("bg", &["bul"], "Bulgarian", Script::Cyrillic),
    entry("de", &["deu", "ger"], "German", Script::Latin),
    entry("en", &["eng", "eng-latn"], "English", Script::Latin),
    entry("es", &["spa"], "Spanish", Script::Latin),
    entry("fa", &["fas", "pes"], "Persian", Script::Arabic),
    entry("fr", &["fra"], "French", Script::Latin),
    entry("hi", &["hin", "hin-deva"], "Hindi", Script::Devanagari),
    entry("it", &["ita"], "Italian", Script::Latin),
    entry("kk", &["kaz", "kz", "kaz-cyrl"], "Kazakh", Script::Cyrillic),
    entry("ky", &["kir", "kg"], "Kyrgyz", Script::Cyrillic),
    entry("mr", &["mar"], "Marathi", Script::Devanagari),
    entry("ne", &["nep", "npi"], "Nepali", Script::Devanagari),
    entry("nl", &["nld"], "Dutch", Script::Latin),
    entry("pl", &["pol"], "Polish", Script::Latin),
    entry("pt", &["por"], "Portuguese", Script::Latin),
    entry("ru", &["rus", "rus-cyrl"], "Russian", Script::Cyrillic),
    entry("tg", &["tgk"], "Tajik", Script::Cyrillic),
    // `tm` is the country; Turkmen sites use it for the language all the same.
    entry("tk", &["tuk", "tm", "tk-latn", "tuk-latn", "tkm"], "Turkmen", Script::Latin),
    entry("tk-Cyrl", &["tuk-cyrl"], "Turkmen in Cyrillic", Script::Cyrillic),
    entry("tr", &["tur", "tur-latn"], "Turkish", Script::Latin),
    entry("tt", &["tat"], "Tatar", Script::Cyrillic),
    entry("uk", &["ukr"], "Ukrainian", Script::Cyrillic),
    entry("uz", &["uzb", "uzn", "uz-latn", "uzn-latn"], "Uzbek", Script::Latin),
    entry("uz-Cyrl", &["uzb-cyrl"], "Uzbek in Cyrillic", Script::Cyrillic),
    entry("zh", &["zho", "cmn"], "Chinese", Script::Han),
];

/// A language that the program knows by name. Compared and sorted by code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(&'static str);

impl Language {
    /// Turkmen in Latin letters.
    pub const TURKMEN: Self = Self("tk");
    /// Turkmen in Cyrillic letters, as printed before 1993.
    pub const TURKMEN_CYRILLIC: Self = Self("tk-Cyrl");
    /// Russian.
    pub const RUSSIAN: Self = Self("ru");
    /// English.
    pub const ENGLISH: Self = Self("en");
    /// Turkish.
    pub const TURKISH: Self = Self("tr");
    /// Azerbaijani in Latin letters.
    pub const AZERBAIJANI: Self = Self("az");
    /// Uzbek in Latin letters.
    pub const UZBEK: Self = Self("uz");
    /// Uzbek in Cyrillic letters.
    pub const UZBEK_CYRILLIC: Self = Self("uz-Cyrl");
    /// Kazakh.
    pub const KAZAKH: Self = Self("kk");
    /// Hindi.
    pub const HINDI: Self = Self("hi");

    /// Its BCP 47 code.
    pub fn code(self) -> &'static str {
        self.0
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
        TABLE.iter().map(|entry| Self(entry.code))
    }

    /// Reads a code as found in the wild (`ru-RU`, `tm`, `rus_Cyrl`), or `None`. A region is dropped.
    pub fn guess_from_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_ascii_lowercase().replace('_', "-");
        let exact = |wanted: &str| {
            TABLE
                .iter()
                .find(|entry| entry.code.eq_ignore_ascii_case(wanted) || entry.aliases.contains(&wanted))
                .map(|entry| Self(entry.code))
        };
        exact(&tag).or_else(|| tag.rsplit_once('-').and_then(|(language, _region)| Self::guess_from_tag(language)))
    }

    fn entry(self) -> &'static Entry {
        TABLE.iter().find(|entry| entry.code == self.0).unwrap_or(&TABLE[0])
    }
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
        f.write_str(self.0)
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
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
    fn every_code_is_its_own_tag() {
        for language in Language::all() {
            assert_eq!(Language::guess_from_tag(language.code()), Some(language));
        }
    }
}
