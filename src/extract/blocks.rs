//! From a subtree to blocks of text: runs that no sentence crosses.

use scraper::ElementRef;

use super::dom::{self, Go, Step};
use crate::record::BlockKind;
use crate::text::normalise;

/// Elements that begin and end a block. All others are inline: their text belongs to the block around them.
const BLOCK_ELEMENTS: [&str; 43] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "html",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "td",
    "th",
    "tr",
    "ul",
    "tbody",
];

/// Elements that start afresh whatever list or quotation they stand in.
const CONTAINERS: [&str; 6] = ["article", "body", "main", "section", "table", "td"];

/// A block of text, and how much of it is links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextBlock {
    pub(super) kind: BlockKind,
    /// White space folded, NFC, not empty.
    pub(super) text: String,
    /// Characters, white space not counted.
    pub(super) characters: usize,
    /// Those of them inside links.
    pub(super) linked: usize,
}

/// The blocks of `root`, without what nobody reads and without the elements that `is_dropped` names.
///
/// Headings, paragraphs, list items, quotations and table cells are blocks each; so is text that stands between them.
/// Two line breaks in a row split a block: old pages write paragraphs so. A single one is a space, unless it stands
/// between the items of a list.
pub(super) fn collect(root: ElementRef<'_>, is_dropped: impl Fn(ElementRef<'_>) -> bool) -> Vec<TextBlock> {
    let mut collector = Collector::default();
    let around = kind_around(root);
    dom::walk(root, |step| {
        match step {
            Step::Open(element) => {
                let name = element.value().name();
                let is_block = BLOCK_ELEMENTS.contains(&name);
                if is_block {
                    collector.end_block();
                }
                if element != root && (dom::is_unread(element) || is_dropped(element)) {
                    return Go::Past;
                }
                if is_block {
                    let outer = collector.open.last().map_or(around, |&(_, kind)| kind);
                    collector.open.push((dom::key(element), kind_of(name, outer)));
                }
                match name {
                    "br" => collector.line_break(),
                    "a" => collector.links += 1,
                    _ => {}
                }
            }
            Step::Text(text) => collector.text(text, around),
            Step::Close(element) => {
                if collector.open.last().is_some_and(|&(key, _)| key == dom::key(element)) {
                    collector.end_block();
                    collector.open.pop();
                } else if element.value().name() == "a" {
                    collector.links = collector.links.saturating_sub(1);
                }
            }
        }
        Go::On
    });
    collector.end_block();
    collector.blocks
}

#[derive(Default)]
struct Collector {
    blocks: Vec<TextBlock>,
    /// The block elements around the walk's place: which, and what text directly inside them is.
    open: Vec<(usize, BlockKind)>,
    /// Links around the walk's place.
    links: usize,
    /// Line breaks since the last text.
    breaks: usize,
    kind: Option<BlockKind>,
    buffer: String,
    characters: usize,
    linked: usize,
}

impl Collector {
    fn text(&mut self, text: &str, around: BlockKind) {
        let characters = text.chars().filter(|c| !c.is_whitespace()).count();
        if characters > 0 {
            if self.breaks == 1 && begins_item(text) {
                self.end_block();
            }
            self.breaks = 0;
            self.kind.get_or_insert(self.open.last().map_or(around, |&(_, kind)| kind));
            self.characters += characters;
            if self.links > 0 {
                self.linked += characters;
            }
        }
        self.buffer.push_str(text);
    }

    fn line_break(&mut self) {
        self.breaks += 1;
        if self.breaks > 2 {
            // Nothing stands between this one and the block that has ended.
            return;
        }
        // `…:<br>1) …;<br>2) …` is a list, however it is marked up.
        if self.breaks == 2 || self.buffer.trim_end().ends_with([';', ':']) {
            self.end_block();
        }
        self.buffer.push(' ');
    }

    fn end_block(&mut self) {
        let text = normalise(&self.buffer);
        self.buffer.clear();
        let (characters, linked) = (std::mem::take(&mut self.characters), std::mem::take(&mut self.linked));
        if let Some(kind) = self.kind.take().filter(|_| !text.is_empty()) {
            self.blocks.push(TextBlock { kind, text, characters, linked });
        }
    }
}

/// Whether a line begins as items of plain-text lists do: `1) …`, `б) …`, `• …`, `– …`.
fn begins_item(line: &str) -> bool {
    let line = line.trim_start();
    let mark = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = mark.len() < line.len() && mark.starts_with(')');
    let mut characters = line.chars();
    let lettered = characters.next().is_some_and(char::is_alphabetic) && characters.next() == Some(')');
    numbered || lettered || ["• ", "– ", "— ", "- "].iter().any(|bullet| line.starts_with(bullet))
}

/// What text directly inside an element is, given what text around it is.
fn kind_of(name: &str, outer: BlockKind) -> BlockKind {
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => BlockKind::Heading,
        "blockquote" => BlockKind::Quote,
        "li" | "dt" | "dd" => BlockKind::Item,
        "td" | "th" | "caption" => BlockKind::Table,
        // A paragraph in a cell is a paragraph: tables were, and are, used for layout.
        "p" if outer == BlockKind::Table => BlockKind::Paragraph,
        "article" | "main" | "section" => BlockKind::Paragraph,
        _ => outer,
    }
}

/// What text just outside `root` is, for a profile that selects the paragraphs themselves.
fn kind_around(root: ElementRef<'_>) -> BlockKind {
    dom::ancestors(root)
        .map(|element| element.value().name())
        .take_while(|name| !CONTAINERS.contains(name))
        .map(|name| kind_of(name, BlockKind::Paragraph))
        .find(|&kind| kind != BlockKind::Paragraph)
        .unwrap_or(BlockKind::Paragraph)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(html: &str, selector: &str) -> Vec<(BlockKind, String)> {
        let page = dom::parse(html);
        let root = page.select(&dom::css(selector)).next().unwrap();
        collect(root, |element| element.attr("class") == Some("ad")).into_iter().map(|b| (b.kind, b.text)).collect()
    }

    fn pair(kind: BlockKind, text: &str) -> (BlockKind, String) {
        (kind, text.to_owned())
    }

    #[test]
    fn every_kind() {
        let html = "<h2>Head</h2>loose <b>text</b><p>one<p>two <a>three</a><ul><li>item<p>more</li></ul>
            <blockquote>said<p>again</blockquote><table><caption>cap</caption><tr><th>a<td>b<td><p>laid out</table><hr>end";
        let expected = [
            pair(BlockKind::Heading, "Head"),
            pair(BlockKind::Paragraph, "loose text"),
            pair(BlockKind::Paragraph, "one"),
            pair(BlockKind::Paragraph, "two three"),
            pair(BlockKind::Item, "item"),
            pair(BlockKind::Item, "more"),
            pair(BlockKind::Quote, "said"),
            pair(BlockKind::Quote, "again"),
            pair(BlockKind::Table, "cap"),
            pair(BlockKind::Table, "a"),
            pair(BlockKind::Table, "b"),
            pair(BlockKind::Paragraph, "laid out"),
            pair(BlockKind::Paragraph, "end"),
        ];
        assert_eq!(blocks(html, "body"), expected);
    }

    #[test]
    fn a_list_made_with_line_breaks_is_a_list() {
        let found = blocks("<p>Ygtyýarly edara:<br>1) birinji;<br/>2) ikinji<br>3) üçünji, we<br>dowamy.</p>", "p");
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["Ygtyýarly edara:", "1) birinji;", "2) ikinji", "3) üçünji, we dowamy."]);
    }

    #[test]
    fn two_line_breaks_split_and_one_is_a_space() {
        let found = blocks("<div>one<br>line<br> &nbsp;<br/>two<b><br><br>three</b><br></div>", "div");
        let texts: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["one line", "two", "three"]);
    }

    #[test]
    fn many_line_breaks_take_little_time() {
        for unit in ["<br>", "</br>", "<br> ", "x<br>", "<br><b> </b>"] {
            let html = format!("<div>one{}two</div>", unit.repeat(600_000 / unit.len()));
            let start = std::time::Instant::now();
            let found = blocks(&html, "div");
            assert!(start.elapsed().as_secs() < 5, "{unit}: {:?}", start.elapsed());
            assert!(found[0].1.starts_with("one") && found[found.len() - 1].1.ends_with("two"), "{unit}");
        }
    }

    #[test]
    fn dropped_and_unread_elements_leave_nothing_but_inline_ones_do_not_split() {
        let found = blocks("<div>a<span class=ad>x</span>b<script>y</script>c<div class=ad>z</div>d</div>", "div");
        let texts: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["abc", "d"]);
    }

    #[test]
    fn a_selected_paragraph_knows_the_quotation_around_it() {
        assert_eq!(blocks("<article><blockquote><p>q</p></blockquote></article>", "p"), [pair(BlockKind::Quote, "q")]);
        assert_eq!(blocks("<ul><li><article><p>q</p></article></ul>", "p"), [pair(BlockKind::Paragraph, "q")]);
    }

    #[test]
    fn links_are_counted() {
        let page = dom::parse("<p>ab <a href=x>cd <b>ef</b></a> g");
        let root = page.select(&dom::css("p")).next().unwrap();
        let found = collect(root, |_| false);
        assert_eq!((found[0].characters, found[0].linked), (7, 4));
    }
}
