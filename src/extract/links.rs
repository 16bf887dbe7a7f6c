//! Where a page leads.

use std::collections::HashMap;
use std::sync::LazyLock;

use scraper::{Html, Selector};
use serde::{Deserialize, Serialize};
use url::Url;

use super::dom;

/// A link of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Absolute `http` or `https` address, without fragment.
    pub url: Url,
    /// What it is called, white space folded, the first 300 characters. Empty for pictures and for `<link>`.
    pub text: String,
    /// Whether it leads to the next page of a list (`rel=next`).
    pub rel_next: bool,
    /// Whether the page names it as its own content in another language (`rel=alternate hreflang=…`).
    pub is_alternate: bool,
    /// Whether the page asks robots not to follow it, by the link's `rel` or for all its links.
    pub nofollow: bool,
}

/// Characters of a link's text that are read. Links can stand inside each other, with all text in the innermost.
const MAX_TEXT: usize = 300;

/// Bytes of addresses and texts of one page's links that are kept: some 400,000 short links.
const MAX_BYTES: usize = 32 << 20;

/// All links of a page in document order, each address once, as many as come to 32 MiB of addresses and texts. The
/// crawler chooses among them, so the bound is on memory and well above what it takes of one page.
///
/// Relative addresses start from the page's `<base href>`, or else from `base`, the address it was fetched from. An
/// address that is linked more than once gets its first text that is not empty, is `rel_next` or `is_alternate` if one
/// of the links is, and `nofollow` only if all of them are.
pub fn links(html: &str, base: &Url) -> Vec<Link> {
    static LINK: LazyLock<Selector> = LazyLock::new(|| dom::css("a[href], area[href], link[rel][href]"));
    let page = dom::parse(html);
    let base = dom::base(&page, base);
    let page_nofollow = asks_not_to_follow(&page);
    let mut links: Vec<Link> = Vec::new();
    let mut places: HashMap<Url, usize> = HashMap::new();
    let mut bytes = 0;
    for element in page.select(&LINK) {
        let rel_next = dom::has_word(element, "rel", "next");
        let is_alternate = dom::has_word(element, "rel", "alternate") && element.attr("hreflang").is_some();
        if element.value().name() == "link" && !rel_next && !is_alternate {
            continue;
        }
        let Some(url) = element.attr("href").and_then(|href| dom::resolve(&base, href)) else { continue };
        let nofollow = page_nofollow || dom::has_word(element, "rel", "nofollow");
        let text = dom::text_up_to(element, MAX_TEXT);
        if let Some(&place) = places.get(&url) {
            let known: &mut Link = &mut links[place];
            known.rel_next |= rel_next;
            known.is_alternate |= is_alternate;
            known.nofollow &= nofollow;
            if known.text.is_empty() {
                known.text = text;
            }
        } else if bytes < MAX_BYTES {
            bytes += url.as_str().len() + text.len();
            places.insert(url.clone(), links.len());
            links.push(Link { url, text, rel_next, is_alternate, nofollow });
        }
    }
    links
}

/// Where a page sends its reader by `<meta http-equiv=refresh>`; `None` when it only loads itself again.
pub fn refresh(html: &str, at: &Url) -> Option<Url> {
    static META: LazyLock<Selector> = LazyLock::new(|| dom::css("meta[http-equiv][content]"));
    // Most pages have none, and parsing costs more than looking for the word.
    if !contains_ignoring_case(html.as_bytes(), b"http-equiv") || !contains_ignoring_case(html.as_bytes(), b"refresh") {
        return None;
    }
    let page = dom::parse(html);
    let base = dom::base(&page, at);
    let target = page
        .select(&META)
        .filter(|meta| meta.attr("http-equiv").is_some_and(|name| name.trim().eq_ignore_ascii_case("refresh")))
        .filter_map(|meta| meta.attr("content"))
        .find_map(|content| {
            let (_, rest) = content.split_once([';', ','])?;
            let rest = rest.trim();
            let target = match rest.get(..3) {
                Some(name) if name.eq_ignore_ascii_case("url") => rest[3..].trim_start().strip_prefix('=')?.trim(),
                _ => rest,
            };
            dom::resolve(&base, target.trim_matches(['\'', '"']))
        })?;
    (target != *at).then_some(target)
}

/// Whether a page asks robots to follow none of its links.
pub fn forbids_following(html: &str) -> bool {
    asks_not_to_follow(&dom::parse(html))
}

fn contains_ignoring_case(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// `<meta name=robots content=nofollow>`; `none` is short for `noindex, nofollow`.
fn asks_not_to_follow(page: &Html) -> bool {
    static META: LazyLock<Selector> = LazyLock::new(|| dom::css("meta[name][content]"));
    page.select(&META)
        .filter(|meta| meta.attr("name").is_some_and(|name| name.trim().eq_ignore_ascii_case("robots")))
        .filter_map(|meta| meta.attr("content"))
        .flat_map(|content| content.split(','))
        .any(|word| matches!(&*word.trim().to_ascii_lowercase(), "nofollow" | "none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: &str) -> Vec<Link> {
        links(html, &Url::parse("https://a.tm/ru/news?page=1").unwrap())
    }

    #[test]
    fn addresses_are_absolute_and_come_once_in_order() {
        let html = "<a href='#top'><img></a><a href='/ru/news/2'>\n Второй  <b>мост</b></a><a href='?page=1'>here</a>
            <a href='news/3?a=1&amp;b=2#c'></a><a href='javascript:x()'>no</a><a name=x>no</a><a href='http://['>no</a>
            <a rel=nofollow href='/ru/news/2#d'>again</a>";
        let found = found(html);
        let seen: Vec<_> = found.iter().map(|link| (link.url.as_str(), link.text.as_str(), link.nofollow)).collect();
        let expected = [
            ("https://a.tm/ru/news?page=1", "here", false),
            ("https://a.tm/ru/news/2", "Второй мост", false),
            ("https://a.tm/ru/news/3?a=1&b=2", "", false),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn links_inside_links_do_not_multiply_their_text_and_are_counted() {
        let start = std::time::Instant::now();
        let nested: String = (0..500).map(|n| format!("<a href=/{n}><marquee>")).collect();
        let links = found(&format!("{nested}{}", "текст ".repeat(100_000)));
        assert!(!links.is_empty() && links.iter().all(|link| link.text.chars().count() <= MAX_TEXT));
        assert!(links[0].text.starts_with("текст текст"));
        // 16,777 addresses of 2,000 bytes come to 32 MiB, and the one that goes past them is kept.
        let folder = "a".repeat(2000 - "https://a.tm//00000".len());
        let many: String = (0..17_000).map(|n| format!("<a href={n:05}></a>")).collect();
        assert_eq!(found(&format!("<base href='/{folder}/'>{many}")).len(), 16_778);
        let base = format!("<base href='/{}'><a href=x>x</a>", "b".repeat(50_000));
        assert_eq!(found(&base)[0].url.as_str(), "https://a.tm/ru/x");
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }

    #[test]
    fn base_next_and_nofollow() {
        let html = "<base href='https://b.tm/x/'><link rel=next href='p2'><link rel=stylesheet href='s.css'>
            <a rel='NoFollow noopener' href='ad'>ad</a>";
        let found = found(html);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].url.as_str(), found[0].rel_next), ("https://b.tm/x/p2", true));
        assert_eq!((found[1].url.as_str(), found[1].nofollow), ("https://b.tm/x/ad", true));
    }

    #[test]
    fn other_languages_are_told_from_other_formats() {
        let html =
            "<link rel=alternate hreflang=tk-TM href=/tm/1><link rel=alternate type=application/rss+xml href=/rss>
            <a href=/tm/1>TM</a>";
        let found = found(html);
        let seen: Vec<_> = found.iter().map(|link| (link.url.path(), link.text.as_str(), link.is_alternate)).collect();
        assert_eq!(seen, [("/tm/1", "TM", true)]);
    }

    #[test]
    fn a_refresh_leads_elsewhere_or_nowhere() {
        let base = Url::parse("https://a.tm/ru/").unwrap();
        let to = |content: &str| {
            let html = format!("<html><head><META HTTP-EQUIV=Refresh content=\"{content}\"></head></html>");
            refresh(&html, &base).map(String::from)
        };
        assert_eq!(to("0; url=/tm/").as_deref(), Some("https://a.tm/tm/"));
        assert_eq!(to("5;URL='https://b.tm/x'").as_deref(), Some("https://b.tm/x"));
        assert_eq!(to("0, news/").as_deref(), Some("https://a.tm/ru/news/"));
        for itself in ["300", "300; url=", "300; url=/ru/", "300; url=#top"] {
            assert_eq!(to(itself), None, "{itself}");
        }
        assert_eq!(refresh("<p>refresh and http-equiv are words of the text</p>", &base), None);
    }

    #[test]
    fn the_page_can_ask_for_all_its_links() {
        for content in ["noindex, NOFOLLOW", "none"] {
            let html = format!("<meta name=Robots content='{content}'><a href=/x>x</a>");
            assert!(found(&html)[0].nofollow, "{content}");
            assert!(forbids_following(&html), "{content}");
        }
        assert!(!found("<meta name=robots content='index,follow'><a href=/x>x</a>")[0].nofollow);
    }
}
