//! From bytes to text, whatever the page claims about its charset.
//!
//! Evidence in falling order of trust: byte order mark, HTTP header, the document's own `<meta>` or XML declaration,
//! the bytes being valid UTF-8, and at last the statistics of `chardetng`. A declared charset that the bytes contradict
//! gives way to the next one that they do not: servers send `charset=utf-8` for whole folders of windows-1251.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252, X_USER_DEFINED};

/// How far into the document a declaration is looked for, in bytes. The HTML standard says 1024; pages with long
/// comments and scripts above their `<meta>` are common enough for more.
const PRESCAN: usize = 4096;

/// A decoded body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without byte order mark.
    pub text: String,
    /// Name of the charset in the WHATWG list, such as `windows-1251`.
    pub charset: &'static str,
    /// Whether bytes had to be replaced by U+FFFD.
    pub had_errors: bool,
}

/// Decodes `body`; `content_type` is the HTTP header's value, if the server sent one.
pub fn decode(body: &[u8], content_type: Option<&str>) -> Decoded {
    if let Some((encoding, _bom_length)) = Encoding::for_bom(body) {
        return decode_as(encoding, body);
    }
    let mut first_choice = None;
    for encoding in [content_type.and_then(from_header), declared_inside(body)].into_iter().flatten() {
        let decoded = decode_as(encoding, body);
        if !decoded.had_errors {
            return decoded;
        }
        first_choice.get_or_insert(decoded);
    }
    if is_utf8(body) {
        return decode_as(UTF_8, body);
    }
    first_choice.unwrap_or_else(|| decode_as(guess(body), body))
}

fn decode_as(encoding: &'static Encoding, body: &[u8]) -> Decoded {
    let (text, used, had_errors) = encoding.decode(body);
    Decoded { text: text.into_owned(), charset: used.name(), had_errors }
}

/// `text/html; charset="windows-1251"`.
fn from_header(content_type: &str) -> Option<&'static Encoding> {
    label_after_charset(content_type.as_bytes())
}

/// Valid UTF-8, but for a last character that a size limit may have cut.
fn is_utf8(body: &[u8]) -> bool {
    match std::str::from_utf8(body) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

fn guess(body: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(body, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// `<meta charset=…>`, `<meta http-equiv=… content="…; charset=…">` or `<?xml … encoding=…?>`, outside comments.
fn declared_inside(body: &[u8]) -> Option<&'static Encoding> {
    let head = body[..body.len().min(PRESCAN)].to_ascii_lowercase();
    let mut rest = head.as_slice();
    while let Some(at) = find(rest, b"<") {
        rest = &rest[at..];
        if rest.starts_with(b"<!--") {
            // As the standard has it, `<!-->` is a whole comment: the end may overlap the beginning.
            rest = &rest[2 + find(&rest[2..], b"-->")? + 3..];
            continue;
        }
        let tag = &rest[..find(rest, b">").unwrap_or(rest.len())];
        let found = if tag.starts_with(b"<meta") {
            label_after_charset(tag)
        } else if tag.starts_with(b"<?xml") {
            label_after(tag, b"encoding")
        } else {
            None
        };
        if let Some(encoding) = found {
            return Some(readable_as_ascii(encoding));
        }
        rest = &rest[1..];
    }
    None
}

/// The declaration was read byte by byte, so it cannot be true of UTF-16; the standard says what to do instead.
fn readable_as_ascii(encoding: &'static Encoding) -> &'static Encoding {
    if !encoding.is_ascii_compatible() {
        UTF_8
    } else if encoding == X_USER_DEFINED {
        WINDOWS_1252
    } else {
        encoding
    }
}

fn label_after_charset(text: &[u8]) -> Option<&'static Encoding> {
    label_after(&text.to_ascii_lowercase(), b"charset")
}

/// The charset that follows `key =`, quoted or not. `text` is in lower case.
fn label_after(text: &[u8], key: &[u8]) -> Option<&'static Encoding> {
    let mut rest = text;
    while let Some(at) = find(rest, key) {
        rest = &rest[at + key.len()..];
        let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") else { continue };
        let value = value.trim_ascii_start();
        let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"';>,/?".contains(byte);
        let label = &value[..value.iter().position(ends).unwrap_or(value.len())];
        if let Some(encoding) = Encoding::for_label(label) {
            return Some(encoding);
        }
    }
    None
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::WINDOWS_1251;

    const RUSSIAN: &str = "Новости Ашхабада: открыт новый мост через реку, движение началось в понедельник";

    fn cp1251(text: &str) -> Vec<u8> {
        WINDOWS_1251.encode(text).0.into_owned()
    }

    #[test]
    fn a_byte_order_mark_beats_the_header() {
        let body = [b"\xEF\xBB\xBF".as_slice(), "ýň".as_bytes()].concat();
        let decoded = decode(&body, Some("text/html; charset=windows-1251"));
        assert_eq!(decoded, Decoded { text: "ýň".into(), charset: "UTF-8", had_errors: false });
    }

    #[test]
    fn the_header_beats_the_meta_tag() {
        let body = cp1251(&format!("<meta charset=koi8-r>{RUSSIAN}"));
        let decoded = decode(&body, Some("text/html; Charset=\"Windows-1251\""));
        assert_eq!(decoded.charset, "windows-1251");
        assert!(decoded.text.ends_with(RUSSIAN));
    }

    #[test]
    fn both_forms_of_the_meta_tag_and_the_xml_declaration() {
        for head in [
            "<META CHARSET = 'windows-1251'>",
            "<meta http-equiv='Content-Type' content='text/html; charset=cp1251'>",
            "<?xml version='1.0' encoding='windows-1251'?>",
            "<!-- <meta charset=koi8-r> --><meta charset=windows-1251 />",
        ] {
            let decoded = decode(&cp1251(&format!("{head}{RUSSIAN}")), Some("text/html"));
            assert_eq!(decoded.charset, "windows-1251", "{head}");
            assert!(decoded.text.ends_with(RUSSIAN), "{head}");
        }
    }

    #[test]
    fn a_declaration_that_the_bytes_contradict_gives_way() {
        let body = cp1251(&format!("<meta charset=windows-1251>{RUSSIAN}"));
        assert_eq!(decode(&body, Some("text/html; charset=utf-8")).charset, "windows-1251");
        // Nothing fits: the first choice stands, and says so.
        let decoded = decode(b"caf\xE9 \xFF", Some("text/html; charset=utf-8"));
        assert_eq!((decoded.charset, decoded.had_errors), ("UTF-8", true));
    }

    #[test]
    fn undeclared_text_is_utf8_if_it_can_be_and_guessed_otherwise() {
        assert_eq!(decode("Täze köpri açyldy".as_bytes(), None).charset, "UTF-8");
        let cut = &"köpri ý".as_bytes()[.."köpri ý".len() - 1];
        assert_eq!(decode(cut, None).charset, "UTF-8", "a character cut by a size limit");
        let decoded = decode(&cp1251(RUSSIAN), None);
        assert_eq!((decoded.charset, decoded.text.as_str()), ("windows-1251", RUSSIAN));
    }

    #[test]
    fn koi8_r_by_its_name_and_by_its_letters() {
        let body = encoding_rs::KOI8_R.encode(RUSSIAN).0;
        for header in [Some("text/html; charset=koi8-r"), Some("text/html"), None] {
            assert_eq!(decode(&body, header).text, RUSSIAN, "{header:?}");
        }
    }

    #[test]
    fn utf16_cannot_be_declared_in_ascii() {
        let decoded = decode("<meta charset=utf-16le>ýaş".as_bytes(), None);
        assert_eq!((decoded.charset, decoded.had_errors), ("UTF-8", false));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(body: Vec<u8>, header: Option<String>) {
            decode(&body, header.as_deref());
            decode(&[b"<!-".as_slice(), &body].concat(), None);
        }
    }
}
