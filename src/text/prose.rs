//! What of a text is written in a language: not its addresses, file names, identifiers and checksums.

use std::borrow::Cow;

/// Digits of a number in base 16 from which on it is a checksum or an id.
const CHECKSUM_DIGITS: usize = 8;

/// A text without the tokens that are in no language. Borrowed when there are none.
pub(super) fn prose(text: &str) -> Cow<'_, str> {
    let mut tokens = text.split_inclusive(char::is_whitespace);
    let Some(first) = tokens.clone().position(is_technical) else { return Cow::Borrowed(text) };
    let mut kept = String::with_capacity(text.len());
    tokens.by_ref().take(first).for_each(|token| kept.push_str(token));
    tokens.filter(|token| !is_technical(token)).for_each(|token| kept.push_str(token));
    Cow::Owned(kept)
}

/// Whether a token is an address, a path, a file or host name, an identifier, an option or a checksum.
fn is_technical(token: &str) -> bool {
    let token = token.trim_matches(|c: char| c.is_whitespace() || "()[]«»\"'„“”‘’,;:!?.…*".contains(c));
    if token.bytes().all(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii()) {
        return false;
    }
    token.contains(['_', '\\', '{', '}', '<', '>', '=', '@', '$', '|', '#', '^', '~'])
        || token.contains("://")
        || token.contains("::")
        || token.contains("->")
        || token.starts_with("www.")
        || token.strip_prefix("--").is_some_and(|option| option.starts_with(|c: char| c.is_ascii_alphabetic()))
        || is_path(token)
        || is_dotted_name(token)
        || is_checksum(token)
}

/// `/usr/lib`, `./make`, `a/b/c`; one stroke inside a token parts two words.
fn is_path(token: &str) -> bool {
    token.starts_with('/') && token.len() > 1 || token.starts_with("./") || token.matches('/').count() > 1
}

/// `setup.py`, `example.org`; not `z.B`, nor the end of a sentence that lacks its space.
fn is_dotted_name(token: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/' | b':'))
    };
    let Some((rest, last)) = token.rsplit_once('.') else { return false };
    rest.len() > 1
        && rest.split('.').all(is_part)
        && is_part(last)
        && last.len() > 1
        && last.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_checksum(token: &str) -> bool {
    let digits = token.strip_prefix("0x").unwrap_or(token);
    digits.len() >= CHECKSUM_DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && digits.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_as_they_are() {
        for text in [
            "Він прийшов о 9:00, в/на 2026-njy ýylda.",
            "z. B. der z.B. Hund u.a. hier",
            "he left.Next he came back (soon), and/or not",
            "don't – well-known Wi-Fi 3.5 12/13",
            "",
        ] {
            assert!(matches!(prose(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn technical_tokens_go() {
        let text = "Запустіть ./configure --prefix=/usr або setup.py з https://example.org/a?b=c, \
                    файл sha256 9f86d081884c7d65 і fcntl::open (див. www.kernel.org), x_y_z.";
        assert_eq!(prose(text), "Запустіть або з файл sha256 і (див. ");
    }
}
