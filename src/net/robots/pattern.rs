//! The path patterns of `Allow` and `Disallow` (RFC 9309, sections 2.2.2 and 2.2.3).
//!
//! Pattern and URL are brought into one spelling before they are compared: unreserved characters decoded, reserved ones
//! as they were sent (`/` and `%2F` are two things), everything else as upper-case percent-encoded octets. A `*` or `$`
//! of a URL becomes `%2A` or `%24`, so that in a pattern they mean only themselves when they are encoded there too.

use url::{Position, Url};

use super::super::url::encoded_byte;

/// Reserved characters of RFC 3986, section 2.2: encoded or not, they stay as they are.
const RESERVED: &[u8] = b":/?#[]@!$&'()*+,;=";

/// What the RFC's table shows in its encoded form inside a query (`?baz=https://foo.bar` is
/// `?baz=https%3A%2F%2Ffoo.bar`), and the apostrophe, which browsers encode there.
const ENCODED_IN_QUERY: &[char] = &[':', '/', '?', '#', '[', ']', '@', '\''];

/// A path in the spelling that it is compared in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spelling {
    plain: String,
    /// The same with its query by the RFC's table, when that makes a difference.
    by_table: Option<String>,
}

impl Spelling {
    fn of(plain: String) -> Self {
        let by_table =
            plain.split_once('?').filter(|(_, query)| query.contains(ENCODED_IN_QUERY)).map(|(path, query)| {
                let mut out = format!("{path}?");
                for c in query.chars() {
                    match u8::try_from(c) {
                        Ok(byte) if ENCODED_IN_QUERY.contains(&c) => push_encoded(&mut out, byte),
                        _ => out.push(c),
                    }
                }
                out
            });
        Self { plain, by_table }
    }

    fn by_table(&self) -> &str {
        self.by_table.as_deref().unwrap_or(&self.plain)
    }
}

/// Path and query of a URL, ready to be matched.
#[derive(Debug)]
pub(super) struct Target(Spelling);

impl Target {
    pub(super) fn of(url: &Url) -> Self {
        let text = &url[Position::BeforePath..Position::AfterQuery];
        Self(Spelling::of(one_spelling(text.as_bytes(), b"")))
    }
}

/// A pattern: matches from the first octet on; `*` is any run of octets, `$` at the end is the end of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: Spelling,
    anchored: bool,
}

impl Pattern {
    /// The pattern of a rule's value; `None` for one that matches no path. By the grammar those are the empty pattern
    /// and whatever does not begin with `/`; a `*` at the start is custom, and means what it says.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        if !matches!(value.first(), Some(b'/' | b'*')) {
            return None;
        }
        let (text, anchored) = match value.strip_suffix(b"$") {
            Some(text) => (text, true),
            None => (value, false),
        };
        Some(Self { text: Spelling::of(one_spelling(text, b"*")), anchored })
    }

    /// How specific it is: of two rules that match, the one of more octets decides.
    pub(super) fn octets(&self) -> usize {
        self.text.plain.len() + usize::from(self.anchored)
    }

    pub(super) fn matches(&self, target: &Target) -> bool {
        glob(&self.text.plain, self.anchored, &target.0.plain)
            || ((self.text.by_table.is_some() || target.0.by_table.is_some())
                && glob(self.text.by_table(), self.anchored, target.0.by_table()))
    }
}

/// Whether `text` starts with `pattern` (`anchored`: is it from end to end). The pieces between the stars are looked for
/// one after the other, each as far to the left as it is found, so the time is linear in the text.
fn glob(pattern: &str, anchored: bool, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else {
        return if anchored { text == pattern } else { text.starts_with(pattern) };
    };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (middle, last) = others.rsplit_once('*').unwrap_or(("", others));
    for piece in middle.split('*') {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    if anchored { rest.ends_with(last) } else { rest.contains(last) }
}

/// The one spelling of the module's description; the characters of `special` keep the meaning that they have there.
fn one_spelling(text: &[u8], special: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        match encoded_byte(&text[at - 1..]) {
            Some(decoded) => {
                at += 2;
                if is_unreserved(decoded) { out.push(char::from(decoded)) } else { push_encoded(&mut out, decoded) }
            }
            None if special.contains(&byte) => out.push(char::from(byte)),
            None if byte == b'*' || byte == b'$' => push_encoded(&mut out, byte),
            None if is_unreserved(byte) || RESERVED.contains(&byte) => out.push(char::from(byte)),
            None => push_encoded(&mut out, byte),
        }
    }
    out
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn push_encoded(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let url = Url::parse(&format!("http://bossan.test{path}")).unwrap();
        Pattern::parse(pattern.as_bytes()).is_some_and(|pattern| pattern.matches(&Target::of(&url)))
    }

    #[test]
    fn wildcards_by_table() {
        let table: [(&str, &[&str], &[&str]); 14] = [
            ("/", &["/", "/a", "/?q"], &[]),
            ("/fish", &["/fish", "/fish.html", "/fishes/1", "/fish?id=1"], &["/Fish", "/cat/fish", "/fis"]),
            ("/fish/", &["/fish/", "/fish/?id=1", "/fish/salmon"], &["/fish", "/fish.html", "/animals/fish/"]),
            ("/fish*", &["/fish", "/fishes"], &["/catfish"]),
            ("/*.php", &["/index.php", "/a/b.php?x=1", "/a.php/b", "/.php"], &["/", "/a.PHP"]),
            ("/*.php$", &["/a.php", "/a.php.php"], &["/a.php?x", "/a.php/", "/a.php5"]),
            ("/fish*.php", &["/fish.php", "/fishes/cat.php?x"], &["/Fish.php", "/fish.ph"]),
            ("/$", &["/"], &["/a", "/?q"]),
            ("/a$b", &["/a$b", "/a%24b/c"], &["/a", "/ab"]),
            ("*.pdf", &["/x.pdf", "/a/b.pdf?x"], &["/x.doc"]),
            ("*", &["/", "/a"], &[]),
            ("/*/*/print$", &["/a/b/print", "/a/b/c/print"], &["/a/print", "/a/b/printer"]),
            ("/**a**$", &["/a", "/xay"], &["/b"]),
            ("/*?*sort=", &["/n?sort=1", "/n?a=1&sort=1"], &["/n", "/sort=1"]),
        ];
        for (pattern, yes, no) in table {
            for path in yes {
                assert!(matches(pattern, path), "{pattern} and {path}");
            }
            for path in no {
                assert!(!matches(pattern, path), "{pattern} and {path}");
            }
        }
    }

    #[test]
    fn one_spelling_by_the_table_of_the_rfc() {
        // Each row: one path in several spellings, any of which matches any other.
        let rows: [&[&str]; 5] = [
            &["/foo/bar?baz=quz"],
            &["/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar?baz=https%3a//foo.bar"],
            &["/foo/bar/ツ", "/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84"],
            &["/foo/bar/baz", "/foo/bar/%62%61%7A"],
            &["/path/file-with-a-%2A.html", "/path/file-with-a-%2a.html"],
        ];
        for row in rows {
            for pattern in row {
                for path in row {
                    assert!(matches(pattern, path), "{pattern} and {path}");
                }
            }
        }
        assert!(matches("/path/file-with-a-%2A.html", "/path/file-with-a-*.html"));
        assert!(matches("/a?q='x'", "/a?q='x'"), "the apostrophe of a query comes encoded");
        assert!(matches("/a b", "/a%20b"), "a space inside is against the grammar, and clear all the same");
        assert!(matches("/100%", "/100%25"));
        for (pattern, path) in [
            ("/a%2Fb", "/a/b"),
            ("/a/b", "/a%2Fb"),
            ("/path/foo-%24", "/path/foo-"),
            ("/path/file-with-a-%2A.html", "/path/file-with-a-x.html"),
            ("/a?b", "/a%3Fb"),
        ] {
            assert!(!matches(pattern, path), "{pattern} and {path}");
        }
        assert!(
            matches("/*/print", "/go?to=/print") && matches("/*%2Fprint", "/go?to=%2Fprint"),
            "as they are written"
        );
    }

    #[test]
    fn what_is_no_pattern() {
        for value in ["", "private/", "http://bossan.test/private", "$", "?q=", "\u{feff}/a"] {
            assert_eq!(Pattern::parse(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_few() {
        let path = format!("/{}", "a".repeat(1900));
        let pattern = format!("/{}b", "*a".repeat(900));
        let started = std::time::Instant::now();
        for _ in 0..100 {
            assert!(!matches(&pattern, &path));
        }
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    /// The definition, with all its recursion.
    fn naive(pattern: &[u8], anchored: bool, text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => !anchored || text.is_empty(),
            (Some((b'*', rest)), None) => naive(rest, anchored, text),
            (Some((b'*', rest)), Some((_, tail))) => naive(rest, anchored, text) || naive(pattern, anchored, tail),
            (Some((byte, rest)), Some((first, tail))) => byte == first && naive(rest, anchored, tail),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn glob_is_its_definition(pattern in "[ab*]{0,7}", anchored: bool, text in "[ab]{0,9}") {
            prop_assert_eq!(
                glob(&pattern, anchored, &text),
                naive(pattern.as_bytes(), anchored, text.as_bytes()),
            );
        }

        #[test]
        fn a_path_matches_itself_and_what_it_begins(bytes in proptest::collection::vec(any::<u8>(), 0..24), more in "[a-z/]{0,5}") {
            // The characters with a meaning in patterns or URLs are left out: they have tests of their own.
            let text: Vec<u8> = bytes.into_iter().filter(|byte| !b"*$%?#\\.\r\n\t".contains(byte)).collect();
            let encoded: String = text.iter().map(|byte| format!("%{byte:02x}")).collect();
            let url = Url::parse(&format!("http://bossan.test/{encoded}{more}")).unwrap();
            let pattern = Pattern::parse(format!("/{encoded}").as_bytes()).unwrap();
            prop_assert!(pattern.matches(&Target::of(&url)));
        }

        #[test]
        fn spelling_again_changes_nothing(text: Vec<u8>) {
            let once = one_spelling(&text, b"");
            prop_assert_eq!(one_spelling(once.as_bytes(), b""), once.clone());
            prop_assert!(once.is_ascii());
        }
    }
}
