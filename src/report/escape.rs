//! Text into HTML. Everything that a report shows comes from the web, so nothing reaches the page but through here.

use std::fmt::{self, Write as _};

use super::format;

/// A text that is safe between tags and inside quoted attributes.
pub(super) struct Escaped<'a>(&'a str);

/// Escapes when it is printed.
pub(super) fn escape(text: &str) -> Escaped<'_> {
    Escaped(text)
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\r' => f.write_char(' ')?,
                // HTML has no way to write the other control characters.
                c if c.is_control() && c != '\n' && c != '\t' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A figure, escaped, whose spaces neither break nor gape: `12 480`, `3 min 12 s`.
pub(super) fn figure(text: &str) -> String {
    escape(&text.replace(' ', "\u{202f}")).to_string()
}

/// A count with thin separators.
pub(super) fn number(count: u64) -> String {
    figure(&format::count(count))
}

/// A count and its noun, on one line.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let noun = if count == 1 { noun.to_owned() } else { format::plural_of(noun) };
    format!("{}\u{a0}{}", number(count), escape(&noun))
}

/// Where a text comes from: an anchor for a web address, else plain text. Any other scheme (`javascript:`, `data:`,
/// `file:`) is shown and never followed.
pub(super) fn location(location: &str) -> String {
    match web_address(location) {
        Some(shown) => format!(
            r#"<a href="{}" rel="noopener noreferrer">{}</a>"#,
            escape(location),
            escape(&format::shorten(shown, 70))
        ),
        None => format!("<span>{}</span>", escape(location)),
    }
}

/// The address without its scheme, if it is `http` or `https` and holds nothing that a browser would rewrite.
fn web_address(location: &str) -> Option<&str> {
    let (scheme, rest) = location.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let is_clean = !rest.is_empty() && !location.chars().any(|c| c.is_control() || c.is_whitespace());
    (is_web && is_clean).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_html_gives_meaning_to_loses_it() {
        assert_eq!(
            escape(r#"<a href="x" title='y'>&amp;</a>"#).to_string(),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;"
        );
        assert_eq!(escape("köpri — мост\n\tи\r\u{0}\u{1b}").to_string(), "köpri — мост\n\tи \u{fffd}\u{fffd}");
        assert_eq!(figure("<0.1 %"), "&lt;0.1\u{202f}%");
        assert_eq!(number(12_480), "12\u{202f}480");
        assert_eq!(counted(2, "query"), "2\u{a0}queries");
    }

    #[test]
    fn only_web_addresses_become_anchors() {
        assert_eq!(
            location("https://habar.example/?a=1&b=\"2\""),
            r#"<a href="https://habar.example/?a=1&amp;b=&quot;2&quot;" rel="noopener noreferrer">habar.example/?a=1&amp;b=&quot;2&quot;</a>"#
        );
        assert!(location("HTTP://habar.example").starts_with("<a "));
        for other in [
            "javascript:alert(1)",
            "javascript://x/%0aalert(1)",
            " https://habar.example",
            "https://habar.example/a b",
            "java\nscript:https://x",
            "data:text/html,<script>",
            "file:///etc/hosts",
            "https://",
            "книги/физика-8.pdf, с. 3",
            "",
        ] {
            assert!(location(other).starts_with("<span>"), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_escapes_unescaped(text in any::<String>()) {
            let escaped = escape(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let back = escaped
                .replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
            let shown: String = text.chars().map(|c| match c {
                '\r' => ' ',
                c if c.is_control() && c != '\n' && c != '\t' => '\u{fffd}',
                c => c,
            }).collect();
            prop_assert_eq!(back, shown);
        }
    }
}
