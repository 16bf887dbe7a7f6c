//! Patterns for the files of a shelf of schoolbooks: `{subject}_{grade}_{language}.pdf`.
//!
//! `{subject}` stands for anything inside one folder or file name, `{grade}` and `{part}` for digits, `{language}` for a
//! language's code or short name (`ru`, `rus`, `tk`, `tkm`, `tm`); `*` for anything inside one name, `**` for anything
//! at all. Everything else stands for itself. The pattern covers the whole path below the shelf's folder, with `/`
//! between names.

use std::fmt;

use crate::record::Language;

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Subject,
    Grade,
    Part,
    Language,
    /// Not `/`.
    Name,
    Anything,
}

const FIELDS: [(&str, Piece); 6] = [
    ("{subject}", Piece::Subject),
    ("{grade}", Piece::Grade),
    ("{part}", Piece::Part),
    ("{language}", Piece::Language),
    ("**", Piece::Anything),
    ("*", Piece::Name),
];

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePattern {
    written: String,
    pieces: Vec<Piece>,
}

/// What a file's name says of the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookName {
    /// `{subject}`.
    pub subject: String,
    /// `{grade}`; empty when the pattern has none.
    pub grade: String,
    /// `{part}`; empty when the pattern has none.
    pub part: String,
    /// `{language}`.
    pub language: Language,
}

/// What the fields stood for so far.
#[derive(Debug, Default)]
struct Found {
    subject: Option<String>,
    grade: Option<String>,
    part: Option<String>,
    language: Option<Language>,
}

impl FilePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Words saying what is wrong.
    pub fn parse(written: &str) -> Result<Self, String> {
        if written.starts_with('/') {
            return Err(format!("the file pattern {written:?} must not start with /: it begins at the shelf's folder"));
        }
        let mut pieces = Vec::new();
        let mut rest = written;
        while !rest.is_empty() {
            let (piece, length) = match FIELDS.iter().find(|(field, _)| rest.starts_with(field)) {
                Some((field, piece)) => (piece.clone(), field.len()),
                None if rest.starts_with(['{', '}']) => {
                    return Err(format!(
                        "the file pattern {written:?} has a brace that is none of {{subject}}, {{grade}}, {{part}}, \
                         {{language}}"
                    ));
                }
                None => {
                    let length = rest.find(['*', '{', '}']).unwrap_or(rest.len());
                    (Piece::Literal(rest[..length].to_owned()), length)
                }
            };
            pieces.push(piece);
            rest = &rest[length..];
        }
        for (field, piece) in FIELDS.iter().take(4) {
            let times = pieces.iter().filter(|other| *other == piece).count();
            let needed = matches!(piece, Piece::Subject | Piece::Language);
            if times > 1 || (needed && times == 0) {
                let times = if times == 0 { "does not have".to_owned() } else { format!("has {times} times") };
                return Err(format!(
                    "the file pattern {written:?} {times} {field}: editions are paired by subject and language"
                ));
            }
        }
        Ok(Self { written: written.to_owned(), pieces })
    }

    /// What a path below the shelf's folder says of the book, if it fits.
    pub fn read(&self, path: &str) -> Option<BookName> {
        let mut found = Found::default();
        fits(&self.pieces, path, &mut found).then_some(())?;
        Some(BookName {
            subject: found.subject?,
            grade: found.grade.unwrap_or_default(),
            part: found.part.unwrap_or_default(),
            language: found.language?,
        })
    }
}

/// Paths and patterns are short, and each piece is tried shortest first, but for what is a whole run of signs.
fn fits(pieces: &[Piece], path: &str, found: &mut Found) -> bool {
    let Some((piece, rest)) = pieces.split_first() else { return path.is_empty() };
    if let Piece::Literal(literal) = piece {
        return path.strip_prefix(literal.as_str()).is_some_and(|path| fits(rest, path, found));
    }
    let allowed = |c: char| match piece {
        Piece::Grade | Piece::Part => c.is_ascii_digit(),
        Piece::Language => c.is_ascii_alphabetic() || c == '-',
        Piece::Subject | Piece::Name => c != '/',
        Piece::Anything | Piece::Literal(_) => true,
    };
    let longest = path.find(|c| !allowed(c)).unwrap_or(path.len());
    let mut lengths: Vec<usize> = path[..longest].char_indices().map(|(at, _)| at).chain([longest]).collect();
    if !matches!(piece, Piece::Name | Piece::Anything) {
        lengths.retain(|length| *length > 0);
    }
    if matches!(piece, Piece::Grade | Piece::Part | Piece::Language) {
        lengths.reverse();
    }
    for length in lengths {
        let (text, path) = path.split_at(length);
        let language = match piece {
            Piece::Language => match Language::guess_from_tag(text) {
                Some(language) => Some(language),
                None => continue,
            },
            _ => None,
        };
        if fits(rest, path, found) {
            match piece {
                Piece::Subject => found.subject = Some(text.to_owned()),
                Piece::Grade => found.grade = Some(text.to_owned()),
                Piece::Part => found.part = Some(text.to_owned()),
                Piece::Language => found.language = language,
                Piece::Name | Piece::Anything | Piece::Literal(_) => {}
            }
            return true;
        }
    }
    false
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl serde::Serialize for FilePattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> serde::Deserialize<'de> for FilePattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&written).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, path: &str) -> Option<(String, String, String, &'static str)> {
        let name = FilePattern::parse(pattern).unwrap().read(path)?;
        Some((name.subject, name.grade, name.part, name.language.code()))
    }

    fn book(
        subject: &str,
        grade: &str,
        part: &str,
        language: &'static str,
    ) -> Option<(String, String, String, &'static str)> {
        Some((subject.to_owned(), grade.to_owned(), part.to_owned(), language))
    }

    #[test]
    fn the_names_of_real_shelves() {
        let pattern = "{subject}_{part}qism_{grade}_{language}.pdf";
        assert_eq!(read(pattern, "ona_tili_2qism_3_uzb.pdf"), book("ona_tili", "3", "2", "uz"));
        assert_eq!(read(pattern, "matematika_1qism_4_tkm.pdf"), book("matematika", "4", "1", "tk"));
        assert_eq!(read("{subject}-{grade}_{language}.pdf", "geografiya-6_rus.pdf"), book("geografiya", "6", "", "ru"));
        assert_eq!(read("{language}/**/{grade}-{subject}.pdf", "tm/old/5-taryh.pdf"), book("taryh", "5", "", "tk"));
        assert_eq!(
            read("{subject} {grade}*{language}.pdf", "Физика 7 кл. tk-Cyrl.pdf"),
            book("Физика", "7", "", "tk-Cyrl")
        );
    }

    #[test]
    fn other_files_and_unknown_languages_do_not_fit() {
        let pattern = "{subject}-{grade}_{language}.pdf";
        for path in
            ["readme.txt", "geografiya-6_xxx.pdf", "geografiya-_rus.pdf", "-6_rus.pdf", "a/geografiya-6_rus.pdf.bak"]
        {
            assert_eq!(read(pattern, path), None, "{path}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (pattern, word) in [
            ("/{subject}_{language}.pdf", "must not start with /"),
            ("{subject}_{langage}.pdf", "none of {subject}"),
            ("{subject}.pdf", "does not have {language}"),
            ("{subject}_{subject}_{language}.pdf", "has 2 times {subject}"),
        ] {
            let error = FilePattern::parse(pattern).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
