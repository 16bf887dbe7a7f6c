//! What a page says about itself: title, date, language, address.

use std::sync::LazyLock;

use jiff::Timestamp;
use scraper::{ElementRef, Html, Selector};
use url::Url;

use super::profile::CompiledProfile;
use super::{dates, dom};
use crate::record::Language;
use crate::text::normalise;

/// How far into a title, in characters, the name of the site is looked for.
const LONGEST_TITLE: usize = 500;

/// The profile's; else that of `og:title`, the first heading, `<title>`, without the site's name behind it.
pub(super) fn title(page: &Html, profile: Option<&CompiledProfile>) -> Option<String> {
    static TITLE: LazyLock<Selector> = LazyLock::new(|| dom::css("head title"));
    for rule in profile.map(|profile| &*profile.title).unwrap_or_default() {
        if let Some(title) = rule.values(page).next() {
            return Some(title);
        }
    }
    let heading = dom::elements(page, "h1")
        .filter(|heading| !dom::ancestors(*heading).chain([*heading]).any(dom::is_unread))
        .map(dom::text)
        .find(|text| !text.is_empty());
    let site_name = meta(page, &["og:site_name"]);
    if let Some(shared) = meta(page, &["og:title"]) {
        return Some(without_site_name(&shared, heading.as_deref(), site_name.as_deref()).to_owned());
    }
    // The first heading of some pages is the site's logo.
    if let Some(heading) = heading.clone().filter(|heading| Some(heading) != site_name.as_ref()) {
        return Some(heading);
    }
    let title =
        page.select(&TITLE).map(|title| normalise(&title.text().collect::<String>())).find(|text| !text.is_empty())?;
    Some(without_site_name(&title, heading.as_deref(), site_name.as_deref()).to_owned())
}

/// `Headline | Site` without the site: told by its name, or by the page's heading being the longer, first part.
fn without_site_name<'a>(title: &'a str, heading: Option<&str>, site_name: Option<&str>) -> &'a str {
    for (at, _) in title.char_indices().take(LONGEST_TITLE) {
        let (before, after) = title.split_at(at);
        let Some(behind) = after.strip_prefix([' ', '|']) else { continue };
        let site = behind.trim_start_matches(['|', '-', '–', '—', '·', '•', '«', '»', ':', '/']).trim();
        let is_separated = site.len() < behind.trim().len() || after.starts_with('|');
        let before = before.trim_end();
        let is_heading = heading.is_some_and(|heading| heading == before && before.len() > site.len());
        if is_separated && !before.is_empty() && (Some(site) == site_name || is_heading) {
            return before;
        }
    }
    title
}

/// The profile's; else the page's metadata, `<time>`, JSON-LD: the first that reads as a date.
pub(super) fn date(page: &Html, profile: Option<&CompiledProfile>) -> Option<Timestamp> {
    let read = |text: &str| dates::parse(text, dates::TURKMENISTAN);
    for rule in profile.map(|profile| &*profile.date).unwrap_or_default() {
        if let Some(date) = rule.values(page).find_map(|text| read(&text)) {
            return Some(date);
        }
    }
    meta(page, &["article:published_time", "og:published_time", "datepublished", "dc.date.issued"])
        .and_then(|text| read(&text))
        .or_else(|| {
            // A side column dates other articles.
            let times = dom::elements(page, "time").filter(|time| !dom::ancestors(*time).any(dom::is_surrounding));
            times.filter_map(|time| time.attr("datetime")).find_map(read)
        })
        .or_else(|| json_ld(page, "datePublished").iter().find_map(|value| read(value.as_str()?)))
}

/// The values of `key` in the page's JSON-LD, at any depth.
pub(super) fn json_ld(page: &Html, key: &str) -> Vec<serde_json::Value> {
    let mut values = Vec::new();
    let is_data = |script: &ElementRef<'_>| dom::attr(*script, "type") == Some("application/ld+json");
    for script in dom::elements(page, "script").filter(is_data) {
        let Ok(root) = serde_json::from_str::<serde_json::Value>(script.text().collect::<String>().trim()) else {
            continue;
        };
        let mut open = vec![&root];
        while let Some(value) = open.pop() {
            match value {
                serde_json::Value::Array(items) => open.extend(items.iter().rev()),
                serde_json::Value::Object(fields) => {
                    values.extend(fields.get(key).cloned());
                    open.extend(fields.values().rev());
                }
                _ => {}
            }
        }
    }
    values
}

/// The content of the first `<meta>` of these names, whether they stand in `property`, `name` or `itemprop`. Earlier
/// names come first.
pub(super) fn meta(page: &Html, names: &[&str]) -> Option<String> {
    let mut best = None;
    let mut best_rank = names.len();
    for meta in dom::elements(page, "meta") {
        let Some(content) = dom::attr(meta, "content") else { continue };
        let own = ["property", "name", "itemprop"].into_iter().filter_map(|name| dom::attr(meta, name));
        let rank = own.filter_map(|own| names.iter().position(|name| own.trim().eq_ignore_ascii_case(name))).min();
        if let Some(rank) = rank.filter(|&rank| rank < best_rank) {
            let content = normalise(content);
            if !content.is_empty() {
                (best, best_rank) = (Some(content), rank);
            }
        }
    }
    best
}

/// The contents of all `<meta>` of one name.
pub(super) fn metas<'a>(page: &'a Html, wanted: &'a str) -> impl Iterator<Item = String> + 'a {
    dom::elements(page, "meta")
        .filter(move |meta| {
            let mut names = ["property", "name", "itemprop"].into_iter().filter_map(|name| dom::attr(*meta, name));
            names.any(|name| name.trim().eq_ignore_ascii_case(wanted))
        })
        .filter_map(|meta| dom::attr(meta, "content").map(normalise))
        .filter(|content| !content.is_empty())
}

/// By `<html lang>`, the `Content-Language` that stands for a header, or `og:locale`.
pub(super) fn declared_language(page: &Html) -> Option<Language> {
    static HEADER: LazyLock<Selector> = LazyLock::new(|| dom::css("meta[http-equiv='content-language' i][content]"));
    let root = page.root_element();
    let attribute = ["lang", "xml:lang"].into_iter().find_map(|name| Language::guess_from_tag(root.attr(name)?));
    attribute
        .or_else(|| page.select(&HEADER).find_map(|meta| Language::guess_from_tag(dom::attr(meta, "content")?)))
        .or_else(|| Language::guess_from_tag(&meta(page, &["og:locale"])?))
}

/// The address of `<link rel=canonical>`.
pub(super) fn canonical(page: &Html, base: &Url) -> Option<Url> {
    let mut links = dom::elements(page, "link").filter(|link| dom::has_word(*link, "rel", "canonical"));
    dom::resolve(base, links.find_map(|link| link.attr("href"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_lose_the_name_of_the_site_and_nothing_else() {
        for (head, body, expected) in [
            (
                "<meta property=og:title content='Мост - открыт | Портал'><meta property=og:site_name content='Портал'>",
                "",
                "Мост - открыт",
            ),
            ("<meta property=og:title content='Мост — открыт'>", "<h1>Мост</h1>", "Мост — открыт"),
            ("<title>Новый мост открыт — Портал</title>", "", "Новый мост открыт — Портал"),
            (
                "<title>Новый мост открыт — Портал</title><meta property=og:site_name content='Портал'>",
                "<h1> Портал </h1>",
                "Новый мост открыт",
            ),
            (
                "<meta property=og:title content='Новый мост открыт :: Портал'>",
                "<h1>Новый мост открыт</h1>",
                "Новый мост открыт",
            ),
            ("<title>t</title>", "<h1><img></h1><h1>Мост</h1>", "Мост"),
        ] {
            let html = format!("<html><head>{head}</head><body>{body}</body></html>");
            assert_eq!(title(&dom::parse(&html), None).as_deref(), Some(expected), "{head}");
        }
        assert_eq!(title(&dom::parse(""), None), None);
    }

    #[test]
    fn dates_by_falling_trust() {
        let json = r#"<script type="application/ld+json">{"@graph":[{"@type":"WebSite"},{"datePublished":"2026-01-03T00:00:00Z"}]}</script>"#;
        let time = "<aside><time datetime='2026-01-09'></time></aside><time datetime='no'></time><time datetime='2026-01-02T00:00:00Z'></time>";
        let meta = "<meta property='article:published_time' content='2026-01-01T00:00:00Z'>";
        for (html, day) in [(json.to_owned(), 3), (format!("{json}{time}"), 2), (format!("{json}{time}{meta}"), 1)] {
            let found = date(&dom::parse(&html), None).unwrap();
            assert_eq!(found.to_string(), format!("2026-01-0{day}T00:00:00Z"));
        }
    }

    #[test]
    fn what_the_page_declares() {
        for (html, code) in [
            ("<html lang='tm'>", Some("tk")),
            ("<html lang='' xml:lang='ru-RU'>", Some("ru")),
            ("<html><meta http-equiv='Content-Language' content='ru'>", Some("ru")),
            ("<html><meta property='og:locale' content='tk_TM'>", Some("tk")),
            ("<html lang='xx'>", None),
        ] {
            let found = declared_language(&dom::parse(html));
            assert_eq!(found.map(Language::code), code, "{html}");
        }
    }
}
