//! Patterns for the path of a URL: `/{lang}/news/{id}-*`.
//!
//! `*` stands for anything inside one segment, `**` for anything at all, `{id}` for digits and `{lang}` for one segment;
//! what these two stood for can be asked for. Everything else stands for itself. The pattern covers the whole path.

use std::fmt;

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// Not `/`.
    Segment,
    Anything,
    /// One or more digits.
    Id,
    /// One or more characters other than `/`.
    Lang,
}

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPattern {
    written: String,
    pieces: Vec<Piece>,
}

/// What the named parts of a pattern stood for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    /// `{id}`.
    pub id: Option<String>,
    /// `{lang}`.
    pub lang: Option<String>,
}

impl UrlPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Words saying what is wrong.
    pub fn parse(written: &str) -> Result<Self, String> {
        if !written.starts_with('/') {
            return Err(format!("the URL pattern {written:?} must start with /: it covers the whole path"));
        }
        let mut pieces = Vec::new();
        let mut rest = written;
        while !rest.is_empty() {
            let (piece, length) = if rest.starts_with("**") {
                (Piece::Anything, 2)
            } else if rest.starts_with('*') {
                (Piece::Segment, 1)
            } else if rest.starts_with("{id}") {
                (Piece::Id, 4)
            } else if rest.starts_with("{lang}") {
                (Piece::Lang, 6)
            } else if rest.starts_with('{') || rest.starts_with('}') {
                return Err(format!("the URL pattern {written:?} has a brace that is neither {{id}} nor {{lang}}"));
            } else {
                let length = rest.find(['*', '{', '}']).unwrap_or(rest.len());
                (Piece::Literal(rest[..length].to_owned()), length)
            };
            pieces.push(piece);
            rest = &rest[length..];
        }
        Ok(Self { written: written.to_owned(), pieces })
    }

    /// What the named parts stand for, if the path fits.
    pub fn captures(&self, path: &str) -> Option<Captures> {
        let mut captures = Captures::default();
        // Paths are short (2,000 characters at most), patterns shorter, and each piece is tried shortest first.
        fits(&self.pieces, path, &mut captures).then_some(captures)
    }

    /// Whether the path fits.
    pub fn matches(&self, path: &str) -> bool {
        self.captures(path).is_some()
    }
}

fn fits(pieces: &[Piece], path: &str, captures: &mut Captures) -> bool {
    let Some((piece, rest)) = pieces.split_first() else { return path.is_empty() };
    if let Piece::Literal(literal) = piece {
        return path.strip_prefix(literal.as_str()).is_some_and(|path| fits(rest, path, captures));
    }
    let allowed = |c: char| match piece {
        Piece::Id => c.is_ascii_digit(),
        Piece::Segment | Piece::Lang => c != '/',
        Piece::Anything | Piece::Literal(_) => true,
    };
    let longest = path.find(|c| !allowed(c)).unwrap_or(path.len());
    let mut lengths: Vec<usize> = path[..longest].char_indices().map(|(at, _)| at).chain([longest]).collect();
    if matches!(piece, Piece::Id | Piece::Lang) {
        lengths.retain(|length| *length > 0);
        // An id is the whole run of digits.
        lengths.reverse();
    }
    for length in lengths {
        if fits(rest, &path[length..], captures) {
            match piece {
                Piece::Id => captures.id = Some(path[..length].to_owned()),
                Piece::Lang => captures.lang = Some(path[..length].to_owned()),
                _ => {}
            }
            return true;
        }
    }
    false
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl serde::Serialize for UrlPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> serde::Deserialize<'de> for UrlPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&written).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(pattern: &str, path: &str) -> Option<(Option<String>, Option<String>)> {
        UrlPattern::parse(pattern).unwrap().captures(path).map(|found| (found.lang, found.id))
    }

    #[test]
    fn the_patterns_of_news_sites() {
        let yes = |lang: &str, id: &str| Some((Some(lang.to_owned()), Some(id.to_owned())));
        assert_eq!(captures("/{lang}/news/{id}-*", "/ru/news/5012-v-mary"), yes("ru", "5012"));
        assert_eq!(captures("/{lang}/post/{id}/*", "/tm/post/70104/ady"), yes("tm", "70104"));
        assert_eq!(captures("/{lang}/post/{id}/*", "/tm/post/70104/ady/more"), None);
        assert_eq!(captures("/ru/**", "/ru/a/b/c"), Some((None, None)));
        assert_eq!(captures("/ru/**", "/tm/a"), None);
        assert_eq!(captures("/{lang}/news/{id}-*", "/ru/news/page/2"), None);
    }

    #[test]
    fn an_id_is_the_whole_run_of_digits() {
        assert_eq!(captures("/{id}*", "/123abc").unwrap().1.as_deref(), Some("123"));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(UrlPattern::parse("news/*").unwrap_err().contains("must start with /"));
        assert!(UrlPattern::parse("/{page}").unwrap_err().contains("neither {id} nor {lang}"));
    }
}
