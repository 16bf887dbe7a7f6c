//! What is cut from markup before the HTML parser sees it.
//!
//! What no extractor reads is not parsed either: programs, style sheets and drawings are half of the bytes of many a
//! page, so their insides are cut. JSON-LD stays, it is metadata.
//!
//! The parser compares every attribute with those before it in its tag, so a hundred thousand attributes of one tag
//! cost minutes: such tags are cut too. How deep elements may nest is not decided here but in [`super::tree`], by what
//! the parser really holds open. Pages under the limits, that is all honest ones, pass untouched.

use std::borrow::Cow;

/// Bytes of one tag outside quoted values: room for thousands of attributes. Long values (data URLs) are no problem.
const MAX_TAG: usize = 16 * 1024;

/// Longest input, in bytes, of which the rest is cut off.
const MAX_INPUT: usize = 20 * 1024 * 1024;

/// Elements whose content is text up to their end tag.
const RAW_TEXT: [&str; 7] = ["script", "style", "textarea", "title", "xmp", "noscript", "iframe"];

/// Elements of plain drawings.
const DRAWING: [&str; 18] = [
    "path",
    "g",
    "use",
    "circle",
    "rect",
    "line",
    "polygon",
    "polyline",
    "ellipse",
    "defs",
    "symbol",
    "stop",
    "mask",
    "clippath",
    "lineargradient",
    "radialgradient",
    "animate",
    "animatetransform",
];

/// The same markup, but without the insides of programs and drawings and without tags of too many attributes.
pub(super) fn limit(html: &str) -> Cow<'_, str> {
    let html = &html[..html.floor_char_boundary(MAX_INPUT)];
    let mut out = String::new();
    let mut copied = 0;
    let mut tags = Tags { html, at: 0 };
    while let Some(tag) = tags.next() {
        if tag.unquoted > MAX_TAG {
            out.push_str(&html[copied..tag.start]);
            copied = tag.end;
        }
        let end_of_unread = if is_program(&tag, html) && is_plain(&html[tag.end..tags.at]) {
            Some(tags.at)
        } else if tag.name == "svg" && !tag.is_end && !tag.self_closing {
            end_of_drawing(html, tag.end)
        } else {
            None
        };
        if let Some(end) = end_of_unread {
            out.push_str(&html[copied..tag.end.max(copied)]);
            (copied, tags.at) = (end, end);
        }
    }
    if copied == 0 {
        return Cow::Borrowed(html);
    }
    out.push_str(&html[copied..]);
    Cow::Owned(out)
}

fn is_program(tag: &Tag, html: &str) -> bool {
    !tag.is_end && (tag.name == "style" || (tag.name == "script" && !html[tag.start..tag.end].contains("json")))
}

/// Whether raw text surely ends at the first end tag: after `<!--` and another start tag it would not.
fn is_plain(raw_text: &str) -> bool {
    !raw_text.is_empty() && !raw_text.contains("<!--")
}

/// Where the `</svg>` stands that ends the drawing begun before `start`; `None` if there is more than a drawing, since an
/// element of HTML would end it early.
fn end_of_drawing(html: &str, start: usize) -> Option<usize> {
    let mut inside = Tags { html, at: start };
    loop {
        let tag = inside.next()?;
        if tag.is_end && tag.name == "svg" {
            return Some(tag.start);
        }
        if !DRAWING.contains(&&*tag.name) {
            return None;
        }
    }
}

struct Tag {
    /// In lower case.
    name: String,
    is_end: bool,
    self_closing: bool,
    start: usize,
    end: usize,
    /// Length without quoted attribute values.
    unquoted: usize,
}

/// The tags of a document, by a lexer that knows comments, raw text and quotes, and no more.
struct Tags<'a> {
    html: &'a str,
    at: usize,
}

impl Tags<'_> {
    fn next(&mut self) -> Option<Tag> {
        let bytes = self.html.as_bytes();
        loop {
            let start = self.at + self.html[self.at..].find('<')?;
            let rest = &self.html[start..];
            if rest.starts_with("<!--") {
                self.at = start + end_of_comment(rest)?;
                continue;
            }
            let is_end = rest.starts_with("</");
            let name_start = start + 1 + usize::from(is_end);
            if !bytes.get(name_start).is_some_and(u8::is_ascii_alphabetic) {
                self.at = start + 1;
                continue;
            }
            let tag = self.tag(start, name_start, is_end)?;
            self.at = tag.end;
            if !is_end && RAW_TEXT.contains(&&*tag.name) {
                self.skip_raw_text(&tag.name);
            }
            return Some(tag);
        }
    }

    /// Reads the tag to its `>`; a quote counts as one only after `=`.
    fn tag(&self, start: usize, name_start: usize, is_end: bool) -> Option<Tag> {
        let bytes = self.html.as_bytes();
        let name_length =
            bytes[name_start..].iter().position(|byte| byte.is_ascii_whitespace() || b"/>".contains(byte))?;
        let name = self.html[name_start..name_start + name_length].to_ascii_lowercase();
        let (mut at, mut unquoted, mut last) = (name_start + name_length, name_length, b' ');
        loop {
            match *bytes.get(at)? {
                b'>' => break,
                quote @ (b'"' | b'\'') if last == b'=' => {
                    at += 1 + bytes[at + 1..].iter().position(|&byte| byte == quote)?;
                    last = quote;
                }
                byte if byte.is_ascii_whitespace() => {}
                byte => last = byte,
            }
            at += 1;
            unquoted += 1;
        }
        Some(Tag { name, is_end, self_closing: last == b'/', start, end: at + 1, unquoted })
    }

    fn skip_raw_text(&mut self, name: &str) {
        let bytes = self.html.as_bytes();
        let mut at = self.at;
        while let Some(found) = self.html[at..].find('<') {
            at += found + 1;
            let is_end = bytes[at..]
                .get(..=name.len())
                .is_some_and(|text| text[0] == b'/' && text[1..].eq_ignore_ascii_case(name.as_bytes()));
            if is_end {
                self.at = at - 1;
                return;
            }
        }
        self.at = bytes.len();
    }
}

/// Where a comment ends: `-->` and `--!>` end it, and `<!-->` and `<!--->` are whole ones.
fn end_of_comment(comment: &str) -> Option<usize> {
    let inside = &comment[4..];
    let empty = [">", "->"].into_iter().find(|end| inside.starts_with(end));
    if let Some(end) = empty {
        return Some(4 + end.len());
    }
    let mut at = 4;
    loop {
        at += comment[at..].find("--")? + 2;
        let end = comment[at..].trim_start_matches('-');
        if let Some(behind) = end.strip_prefix('>').or_else(|| end.strip_prefix("!>")) {
            return Some(comment.len() - behind.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_pages_pass_untouched() {
        let paragraphs = "<p>text <br><li>item <td>cell".repeat(5000);
        for html in ["<div><p>a</div>", "<script></script><p title='a>b'>c", "", "a < b", &*paragraphs] {
            assert!(matches!(limit(html), Cow::Borrowed(same) if same == html));
        }
    }

    #[test]
    fn a_tag_of_endless_attributes_goes_but_long_values_stay() {
        let attributes: String = (0..9000).map(|n| format!("a{n} ")).collect();
        assert_eq!(limit(&format!("<p>a<b {attributes}>b")), "<p>ab");
        let image = format!("<img src=\"data:image/png;base64,{}\">", "A".repeat(100_000));
        assert_eq!(limit(&image), image);
    }

    #[test]
    fn comments_end_where_the_parser_ends_them() {
        let endless: String = (0..9000).map(|n| format!("a{n} ")).collect();
        for comment in ["<!-- <p> -->", "<!-->", "<!--->", "<!-- --!>", "<!-- --->", "<!---- - -- -->"] {
            assert_eq!(limit(&format!("{comment}<b {endless}>x")), format!("{comment}x"));
        }
        let open = format!("<!-- <b {endless}>x");
        assert_eq!(limit(&open), open);
    }

    #[test]
    fn programs_and_drawings_are_hollow() {
        for (html, expected) in [
            ("a<script src=x>'<p>'</script>b<STYLE>p{}</style >c", "a<script src=x></script>b<STYLE></style >c"),
            ("<script>endless <p>", "<script>"),
            ("<svg class=a><g><path d=''/></g></svg>b", "<svg class=a></svg>b"),
        ] {
            assert_eq!(limit(html), expected);
        }
        for kept in [
            "<script type='application/ld+json'>{}</script>",
            "<script><!-- <script></script> --></script>",
            "<svg><path><p>text</svg>",
            "<svg><path>no end",
            "<svg/><path></svg>",
        ] {
            assert_eq!(limit(kept), kept);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(html in "(<|>|/|!--|-->|a|div|script|=|\"|'| |ý){0,60}") {
            limit(&html);
        }
    }
}
