//! What the extractors share about a parsed page: walking it, reading it, resolving its addresses.

use scraper::{ElementRef, Html, Selector};
use url::Url;

use super::{nesting, tree};
use crate::text::normalise;

/// Elements whose text no reader sees as text: code, controls, embedded objects.
const UNREAD: [&str; 17] = [
    "script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "math", "canvas", "video", "audio",
    "select", "textarea", "datalist", "button", "head",
];

/// Elements that surround the content of a page.
const SURROUNDINGS: [&str; 6] = ["nav", "aside", "footer", "form", "figure", "dialog"];

/// Longest address that is read, in bytes: a `<base>` of some megabytes would multiply with every link of its page.
const MAX_ADDRESS: usize = 8 * 1024;

/// Parses a page of any quality; see [`nesting`] and [`tree`] for its limits.
pub(super) fn parse(html: &str) -> Html {
    tree::parse(&nesting::limit(html))
}

/// A selector of our own.
pub(super) fn css(text: &str) -> Selector {
    Selector::parse(text).unwrap_or_else(|error| panic!("the built-in selector {text:?}: {error}"))
}

/// One step of [`walk`].
pub(super) enum Step<'a> {
    /// An element begins.
    Open(ElementRef<'a>),
    /// Text between tags, entities decoded.
    Text(&'a str),
    /// An element ends. Comes also for one that was skipped.
    Close(ElementRef<'a>),
}

/// Whether [`walk`] goes into the element that just began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// Into it.
    On,
    /// Straight to its end.
    Past,
    /// No further at all.
    Stop,
}

/// Visits `root` and all under it in document order. Needs no stack, however deep the page is.
pub(super) fn walk<'a>(root: ElementRef<'a>, mut visit: impl FnMut(Step<'a>) -> Go) {
    let mut node = *root;
    loop {
        let mut go = Go::On;
        if let Some(element) = ElementRef::wrap(node) {
            go = visit(Step::Open(element));
        } else if let Some(text) = node.value().as_text() {
            go = visit(Step::Text(text));
        }
        if go == Go::Stop {
            return;
        }
        if let Some(child) = node.first_child().filter(|_| go == Go::On) {
            node = child;
            continue;
        }
        loop {
            if let Some(element) = ElementRef::wrap(node) {
                visit(Step::Close(element));
            }
            if node == *root {
                return;
            }
            if let Some(sibling) = node.next_sibling() {
                node = sibling;
                break;
            }
            let Some(parent) = node.parent() else { return };
            node = parent;
        }
    }
}

/// The elements of a page that have this name, in the order of its source; much faster than by a selector.
pub(super) fn elements<'a>(page: &'a Html, name: &'a str) -> impl Iterator<Item = ElementRef<'a>> {
    let elements = page.tree.nodes().filter_map(ElementRef::wrap);
    elements.filter(move |element| element.value().name() == name)
}

/// What identifies an element within its page: the tree's own ids have no public name, so the place in memory.
pub(super) fn key(element: ElementRef<'_>) -> usize {
    std::ptr::from_ref(element.value()) as usize
}

/// An attribute's value. Faster than the element's own method, which makes a name of `name` for every question.
pub(super) fn attr<'a>(element: ElementRef<'a>, name: &str) -> Option<&'a str> {
    element.value().attrs().find(|&(own, _)| own == name).map(|(_, value)| value)
}

/// The elements around `element`, innermost first.
pub(super) fn ancestors(element: ElementRef<'_>) -> impl Iterator<Item = ElementRef<'_>> {
    element.ancestors().filter_map(ElementRef::wrap)
}

/// Whether nobody reads its text: code, controls, or hidden.
pub(super) fn is_unread(element: ElementRef<'_>) -> bool {
    UNREAD.contains(&element.value().name()) || is_hidden(element)
}

/// Whether it is one of the elements that HTML has for what stands around the content.
pub(super) fn is_surrounding(element: ElementRef<'_>) -> bool {
    SURROUNDINGS.contains(&element.value().name())
}

fn is_hidden(element: ElementRef<'_>) -> bool {
    if attr(element, "hidden").is_some() || attr(element, "aria-hidden") == Some("true") {
        return true;
    }
    attr(element, "style").is_some_and(|style| {
        let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        style.contains("display:none") || style.contains("visibility:hidden")
    })
}

/// Its text on one line, without what nobody reads.
pub(super) fn text(element: ElementRef<'_>) -> String {
    let mut text = String::new();
    walk(element, |step| {
        match step {
            Step::Open(inner) if inner != element && is_unread(inner) => return Go::Past,
            Step::Open(inner) if inner.value().name() == "br" => text.push(' '),
            Step::Text(piece) => text.push_str(piece),
            Step::Open(_) | Step::Close(_) => {}
        }
        Go::On
    });
    normalise(&text)
}

/// The beginning of its text, as of [`text`]: about `most` characters, from its first ten thousand nodes. For elements
/// that can stand inside each other, so that each of them would hold the text of all.
pub(super) fn text_up_to(element: ElementRef<'_>, most: usize) -> String {
    const MAX_STEPS: usize = 10_000;
    let mut text = String::new();
    let (mut characters, mut steps) = (0, 0);
    walk(element, |step| {
        steps += 1;
        match step {
            Step::Open(inner) if inner != element && is_unread(inner) => return Go::Past,
            Step::Open(inner) if inner.value().name() == "br" => text.push(' '),
            Step::Text(piece) => {
                let mut places = piece.char_indices().skip(most - characters);
                let end = places.next().map_or(piece.len(), |(at, _)| at);
                text.push_str(&piece[..end]);
                // White space is folded in the end.
                characters += piece[..end].split_whitespace().map(|word| word.chars().count() + 1).sum::<usize>();
            }
            Step::Open(_) | Step::Close(_) => {}
        }
        if characters >= most || steps >= MAX_STEPS { Go::Stop } else { Go::On }
    });
    normalise(&text)
}

/// The address that the page's relative links start from: its `<base href>`, or its own.
pub(super) fn base(page: &Html, url: &Url) -> Url {
    elements(page, "base")
        .find_map(|base| base.attr("href"))
        .filter(|href| href.len() <= MAX_ADDRESS)
        .and_then(|href| url.join(href.trim()).ok())
        .unwrap_or_else(|| url.clone())
}

/// An absolute `http` or `https` address without fragment; `None` for anything else.
pub(super) fn resolve(base: &Url, href: &str) -> Option<Url> {
    if href.len() > MAX_ADDRESS {
        return None;
    }
    let mut url = base.join(href.trim()).ok()?;
    url.set_fragment(None);
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Whether a space-separated attribute such as `rel` holds `word`, in any case.
pub(super) fn has_word(element: ElementRef<'_>, attribute: &str, word: &str) -> bool {
    attr(element, attribute).is_some_and(|value| value.split_whitespace().any(|part| part.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(page: &Html) -> ElementRef<'_> {
        page.select(&css("body")).next().unwrap()
    }

    #[test]
    fn text_is_folded_composed_and_without_what_nobody_reads() {
        let page = parse(
            "<p>Ta\u{308}ze&nbsp;<b>k&ouml;pri</b>\n<script>no()</script><i hidden>no</i><i style='DISPLAY : none'>no</i>a<br>ç</p>",
        );
        assert_eq!(text(body(&page)), "Täze köpri a ç");
    }

    #[test]
    fn the_beginning_of_a_text_is_cut_by_characters() {
        let page = parse("<p>ýüz <b>on</b><br>alty<script>no</script> köpri</p>");
        for (most, expected) in [(3, "ýüz"), (6, "ýüz on"), (100, "ýüz on alty köpri")] {
            let text = text_up_to(body(&page), most);
            assert!(text.starts_with(expected) && text.chars().count() <= most, "{most}: {text}");
        }
        let long = parse(&format!("<p>{}", "<i>a b </i>".repeat(1000)));
        assert!((200..=300).contains(&text_up_to(body(&long), 300).chars().count()));
    }

    #[test]
    fn a_walk_can_pass_over_an_element_and_ends_at_its_root() {
        let page = parse("<div id=r>a<p>b<i>c</i></p>d</div>e");
        let root = page.select(&css("#r")).next().unwrap();
        let mut seen = String::new();
        walk(root, |step| {
            match step {
                Step::Open(element) => {
                    seen += &format!("<{}>", element.value().name());
                    if element.value().name() == "p" {
                        return Go::Past;
                    }
                }
                Step::Text(text) => seen += text,
                Step::Close(element) => seen += &format!("</{}>", element.value().name()),
            }
            Go::On
        });
        assert_eq!(seen, "<div>a<p></p>d</div>");
    }

    #[test]
    fn a_hundred_thousand_nested_elements_take_no_stack_and_little_time() {
        let deep = 100_000;
        let start = std::time::Instant::now();
        for tag in ["div", "b", "blockquote", "svg"] {
            let html = format!("{}core{}", format!("<{tag}>").repeat(deep), format!("</{tag}>").repeat(deep));
            let page = parse(&html);
            assert_eq!(text(body(&page)), if tag == "svg" { "" } else { "core" }, "{tag}");
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    #[test]
    fn addresses() {
        let url = Url::parse("https://a.tm/ru/news/1").unwrap();
        let page = parse("<base href='/tm/'>");
        let base = base(&page, &url);
        assert_eq!(resolve(&base, " x?y=1#z ").unwrap().as_str(), "https://a.tm/tm/x?y=1");
        for href in ["mailto:a@b.tm", "javascript:void(0)", "tel:+993", "data:,x"] {
            assert_eq!(resolve(&base, href), None, "{href}");
        }
    }
}
