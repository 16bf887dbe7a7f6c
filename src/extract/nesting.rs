//! A guard before the HTML parser against markup that would make it slow.
//!
//! What no extractor reads is not parsed either: programs, style sheets and drawings are half of the bytes of many a
//! page, so their insides are cut. JSON-LD stays, it is metadata.
//!
//! The parser itself neither recurses nor limits anything: for every tag it looks through the stack of open elements,
//! and for every attribute through those of its tag, so a hundred thousand nested `<div>` or attributes cost minutes.
//! Browsers cap the depth too (Chrome at 512). Pages under the limits, that is all honest ones, pass untouched.

use std::borrow::Cow;

/// Elements open at one time.
const MAX_DEPTH: usize = 1000;

/// Formatting elements open at one time. The parser opens all of them anew in every paragraph that follows, so some
/// hundred forgotten `</font>` would multiply a page.
const MAX_FORMATTING: usize = 64;

const FORMATTING: [&str; 13] =
    ["b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Bytes of one tag outside quoted values: room for thousands of attributes. Long values (data URLs) are no problem.
const MAX_TAG: usize = 16 * 1024;

/// Longest input, in bytes, of which the rest is cut off.
const MAX_INPUT: usize = 20 * 1024 * 1024;

/// Elements that hold nothing, so that their tags open nothing.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// Elements that their next sibling closes: authors leave the end tag out by the thousand.
const SELF_ENDING: [&str; 11] = ["p", "li", "dt", "dd", "option", "tr", "td", "th", "thead", "tbody", "tfoot"];

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

/// The same markup, but without the insides of programs and drawings and without the tags past the limits. Their text stays.
pub(super) fn limit(html: &str) -> Cow<'_, str> {
    let html = &html[..html.floor_char_boundary(MAX_INPUT)];
    let mut out = String::new();
    let mut copied = 0;
    let mut depth = Depth { open: 0, most: MAX_DEPTH };
    let mut formatting = Depth { open: 0, most: MAX_FORMATTING };
    // Inside SVG and MathML no rule of HTML ends an element early.
    let mut foreign = 0usize;
    let mut tags = Tags { html, at: 0 };
    while let Some(tag) = tags.next() {
        let counts = foreign > 0 || !(VOID.contains(&&*tag.name) || SELF_ENDING.contains(&&*tag.name));
        let mut too_deep = false;
        if counts && !(foreign > 0 && tag.self_closing) {
            too_deep = depth.passes(tag.is_end);
            if FORMATTING.contains(&&*tag.name) {
                too_deep |= formatting.passes(tag.is_end);
            }
        }
        if tag.name == "svg" || tag.name == "math" {
            foreign = if tag.is_end { foreign.saturating_sub(1) } else { foreign + usize::from(!tag.self_closing) };
        }
        if too_deep || tag.unquoted > MAX_TAG {
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

struct Depth {
    open: usize,
    most: usize,
}

impl Depth {
    /// Counts a tag, and says whether it opens or ends an element past the limit.
    fn passes(&mut self, is_end: bool) -> bool {
        if is_end {
            self.open = self.open.saturating_sub(1);
            self.open >= self.most
        } else {
            self.open += 1;
            self.open > self.most
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
                self.at = start + 2 + rest[2..].find("-->")? + 3;
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
    fn tags_past_the_depth_go_in_pairs_and_their_text_stays() {
        let deep = 3 * MAX_DEPTH;
        let html = format!("{}<b>core</b>{}<p>after</p>", "<div>".repeat(deep), "</div>".repeat(deep));
        let expected = format!("{}core{}<p>after</p>", "<div>".repeat(MAX_DEPTH), "</div>".repeat(MAX_DEPTH));
        assert_eq!(limit(&html), expected);
    }

    #[test]
    fn forgotten_ends_of_formatting_do_not_pile_up() {
        let html: String = (0..500).map(|size| format!("<p><font size={size}>x")).collect();
        assert_eq!(limit(&html).matches("<font").count(), MAX_FORMATTING);
        assert_eq!(limit(&html).matches("<p>x").count(), 500 - MAX_FORMATTING);
    }

    #[test]
    fn elements_that_end_themselves_in_html_nest_in_svg() {
        let html = format!("<svg>{}", "<tr>".repeat(3 * MAX_DEPTH));
        assert_eq!(limit(&html).matches("<tr>").count(), MAX_DEPTH - 1);
    }

    #[test]
    fn a_tag_of_endless_attributes_goes_but_long_values_stay() {
        let attributes: String = (0..9000).map(|n| format!("a{n} ")).collect();
        assert_eq!(limit(&format!("<p>a<b {attributes}>b")), "<p>ab");
        let image = format!("<img src=\"data:image/png;base64,{}\">", "A".repeat(100_000));
        assert_eq!(limit(&image), image);
    }

    #[test]
    fn raw_text_holds_no_tags() {
        let html = format!("<textarea>{}</TEXTAREA><p>x", "<div>".repeat(3 * MAX_DEPTH));
        assert_eq!(limit(&html), html);
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
