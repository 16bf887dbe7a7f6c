//! The HTML parser within limits that no markup gets around.
//!
//! For most tags the parser looks through its stack of open elements, and in every paragraph it opens all formatting
//! elements anew that somebody forgot to close. Neither is limited by the parser, so that half a megabyte of `<ul><li>`
//! or `<font>` would cost minutes. What is open cannot be told from the tags alone: an end tag that matches nothing
//! closes nothing, others close many elements. So a guard stands between tokenizer and tree builder, and asks the latter
//! what it holds.
//!
//! A start tag past a limit is left out together with one end tag of its name, and what stands between them stays.
//! Browsers limit the depth as well (Chrome to 512). Parsing thus takes time in proportion to the length of the page.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use html5ever::interface::TreeSink;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};
use html5ever::tree_builder::{Tracer, TreeBuilder, TreeBuilderOpts};
use html5ever::{LocalName, ParseOpts, TokenizerResult};
use scraper::{Html, HtmlTreeSink};

/// Elements open at one time.
const MAX_DEPTH: usize = 512;

/// How many more may be of those that their next sibling closes, so that paragraphs at the limit stay paragraphs.
const MARGIN: usize = 32;

const SELF_ENDING: [&str; 11] = ["p", "li", "dt", "dd", "option", "tr", "td", "th", "thead", "tbody", "tfoot"];

/// Formatting elements at one time that are open, or opened anew in the next paragraph.
const MAX_FORMATTING: usize = 64;

/// Elements of a page: honest ones have a few ten thousand. Formatting elements that are opened anew count too.
const MAX_ELEMENTS: usize = 1_000_000;

/// Longest value of an attribute, in bytes; longer ones (data URLs, programs) are left out, nothing reads them.
const MAX_VALUE: usize = 64 * 1024;

const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Elements that hold no elements, so that they add nothing to the depth of others.
const LEAVES: [&str; 23] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    "script", "style", "textarea", "title", "xmp", "noscript", "iframe", "noembed", "noframes",
];

type Handle = <HtmlTreeSink as TreeSink>::Handle;

/// Parses a page of any quality.
pub(super) fn parse(html: &str) -> Html {
    let ParseOpts { tokenizer, tree_builder } = ParseOpts::default();
    let guard = Guard::new(tree_builder);
    let tokenizer = Tokenizer::new(guard, tokenizer);
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // It stops behind programs and declarations of a charset, for whoever would run the former or heed the latter.
    while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    tokenizer.end();
    tokenizer.sink.builder.sink.finish()
}

/// Stands between the tokenizer and the tree builder.
struct Guard {
    builder: TreeBuilder<Handle, HtmlTreeSink>,
    /// Nodes of the tree when the builder was last asked.
    nodes: Cell<usize>,
    /// Elements that were open then.
    open: Cell<usize>,
    /// At least as many formatting elements as the builder holds.
    formatting: Cell<usize>,
    /// How many start tags of a name were left out whose end tags are yet to come.
    left_out: RefCell<HashMap<LocalName, usize>>,
}

/// What the builder holds: open elements, and formatting elements whether open or not. One that is both comes twice.
#[derive(Default)]
struct Held(RefCell<Vec<Handle>>);

impl Tracer for Held {
    type Handle = Handle;

    fn trace_handle(&self, handle: &Handle) {
        self.0.borrow_mut().push(*handle);
    }
}

impl Guard {
    fn new(opts: TreeBuilderOpts) -> Self {
        let builder = TreeBuilder::new(HtmlTreeSink::new(Html::new_document()), opts);
        let (nodes, open, formatting) = Default::default();
        Self { builder, nodes, open, formatting, left_out: RefCell::default() }
    }

    fn held(&self) -> Vec<Handle> {
        let held = Held::default();
        self.builder.trace_handles(&held);
        held.0.into_inner()
    }

    fn nodes(&self) -> usize {
        self.builder.sink.0.borrow().tree.values().len()
    }

    /// Whether no further element may be opened. Formatting elements that the builder remembers count as open.
    fn is_deep(&self, name: &str) -> bool {
        let most = if SELF_ENDING.contains(&name) { MAX_DEPTH + MARGIN } else { MAX_DEPTH };
        // Every element that was opened since is a new node.
        let nodes = self.nodes();
        if self.open.get() + (nodes - self.nodes.get()) < most {
            return false;
        }
        self.open.set(self.held().len());
        self.nodes.set(nodes);
        self.open.get() >= most
    }

    /// Whether no further formatting element may be opened.
    fn is_formatted(&self) -> bool {
        self.formatting.set(self.formatting.get() + 1);
        if self.formatting.get() <= MAX_FORMATTING {
            return false;
        }
        let held = self.held();
        let html = self.builder.sink.0.borrow();
        let is_formatting = |handle: &&Handle| {
            let element = html.tree.get(**handle).and_then(|node| node.value().as_element());
            element.is_some_and(|element| FORMATTING.contains(&element.name()))
        };
        let formatting: HashSet<&Handle> = held.iter().filter(is_formatting).collect();
        self.formatting.set(formatting.len());
        formatting.len() >= MAX_FORMATTING
    }

    /// Whether a tag is left out.
    fn leaves_out(&self, tag: &Tag) -> bool {
        if self.nodes() >= MAX_ELEMENTS {
            // End tags make elements as well: `</p>`, `</br>`.
            return true;
        }
        let mut left_out = self.left_out.borrow_mut();
        if tag.kind == TagKind::EndTag {
            return match left_out.get_mut(&tag.name) {
                Some(count @ 1..) => {
                    *count -= 1;
                    true
                }
                _ => false,
            };
        }
        let name = &*tag.name;
        if LEAVES.contains(&name) || !(self.is_deep(name) || FORMATTING.contains(&name) && self.is_formatted()) {
            return false;
        }
        if !tag.self_closing {
            *left_out.entry(tag.name.clone()).or_default() += 1;
        }
        true
    }
}

impl TokenSink for Guard {
    type Handle = Handle;

    fn process_token(&self, token: Token, line_number: u64) -> TokenSinkResult<Handle> {
        match token {
            // Nobody asks for them.
            Token::ParseError(_) => TokenSinkResult::Continue,
            Token::TagToken(tag) if self.leaves_out(&tag) => TokenSinkResult::Continue,
            Token::TagToken(mut tag) => {
                tag.attrs.retain(|attribute| attribute.value.len() <= MAX_VALUE);
                let result = self.builder.process_token(Token::TagToken(tag), line_number);
                self.builder.sink.0.borrow_mut().errors.clear();
                result
            }
            token => self.builder.process_token(token, line_number),
        }
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// The depth of the deepest element; `html` has 1.
    fn depth(page: &Html) -> usize {
        let elements = page.tree.nodes().filter_map(scraper::ElementRef::wrap);
        elements.map(|element| 1 + super::super::dom::ancestors(element).count()).max().unwrap_or(0)
    }

    fn text(page: &Html) -> String {
        page.root_element().text().collect()
    }

    #[test]
    fn pages_are_parsed_as_the_parser_alone_does() {
        let paragraphs = "<p>text <br><li>item <td>cell <b>bold<a href=x>link</b> more".repeat(30);
        for html in [
            "",
            "a < b",
            "<!doctype html><html lang=tk><head><title>x</title><body><div><p>a</div>b",
            "<table><tr><td>a<b>c</table>d<svg><path d=''/><g><p>e</svg>",
            "<script>if (a < b) '<p>'</script><textarea><p></textarea><noscript><p>x</noscript>",
            "<head><meta charset=windows-1251><title>x</title></head><body><p>a",
            "<select><option>a<option>b</select><template><p>x</template></p></br>",
            &paragraphs,
        ] {
            assert_eq!(parse(html).html(), Html::parse_document(html).html(), "{html}");
        }
    }

    #[test]
    fn tags_past_the_depth_go_in_pairs_and_their_text_stays() {
        let deep = 3 * MAX_DEPTH;
        let html = format!("{}<i>core</i>{}<p>after</p>", "<div>".repeat(deep), "</div>".repeat(deep));
        let page = parse(&html);
        assert!((MAX_DEPTH - 5..=MAX_DEPTH).contains(&depth(&page)), "{}", depth(&page));
        assert_eq!(text(&page), "coreafter");
        let after = page.select(&super::super::dom::css("body > p")).count();
        assert_eq!(after, 1, "all that was opened is closed");
    }

    #[test]
    fn end_tags_that_match_nothing_do_not_hide_the_depth() {
        for unit in ["<div></x>", "<ul><li></x>", "<table><tr><td></x>", "<svg></p>", "<b></i>", "<marquee><a href=x>"]
        {
            let html = format!("{}core", unit.repeat(600_000 / unit.len()));
            let start = Instant::now();
            let page = parse(&html);
            assert!(start.elapsed() < Duration::from_secs(5), "{unit}: {:?}", start.elapsed());
            assert!(depth(&page) < MAX_DEPTH + MARGIN + 10, "{unit}: {}", depth(&page));
            assert_eq!(text(&page), "core", "{unit}");
        }
    }

    #[test]
    fn a_full_stack_is_searched_in_little_time() {
        for unit in ["<li></li>", "</x>", "<p>", "<a></a>", "<br>", "<table></table>", "<h1></h2>"] {
            let html = format!("{}{}", "<div>".repeat(MAX_DEPTH), unit.repeat(600_000 / unit.len()));
            let start = Instant::now();
            parse(&html);
            assert!(start.elapsed() < Duration::from_secs(5), "{unit}: {:?}", start.elapsed());
        }
    }

    #[test]
    fn forgotten_ends_of_formatting_do_not_pile_up() {
        let html: String = (0..2000).map(|size| format!("<p><font size={size}></x>x")).collect();
        let page = parse(&html);
        let deepest = depth(&page);
        assert!(deepest < MAX_FORMATTING + 10, "{deepest}");
        assert_eq!(text(&page), "x".repeat(2000));
    }

    #[test]
    fn a_page_has_no_more_than_so_many_nodes() {
        let page = parse(&format!("{}end", "<i></i>".repeat(MAX_ELEMENTS + 1000)));
        assert!(page.tree.values().len() <= MAX_ELEMENTS + 1);
        assert!(text(&page).ends_with("end"));
    }

    #[test]
    fn long_values_are_left_out() {
        let html = format!("<img alt=x src='{}'><img src='{}'>", "a".repeat(MAX_VALUE + 1), "a".repeat(MAX_VALUE));
        let page = parse(&html);
        let sources = super::super::dom::elements(&page, "img").map(|image| image.attr("src").map(str::len));
        assert_eq!(sources.collect::<Vec<_>>(), [None, Some(MAX_VALUE)]);
    }
}
