//! Who wrote a page, and under which words its editors file it.

use std::sync::LazyLock;

use scraper::{Html, Selector};
use serde_json::Value;

use super::profile::CompiledProfile;
use super::{dom, metadata};
use crate::text::normalise;

/// A longer author is a sentence about one.
const LONGEST_AUTHOR: usize = 200;

/// A longer tag is no tag.
const LONGEST_TAG: usize = 100;

/// More tags than an editor would set: pages list all tags of the site.
const MOST_TAGS: usize = 50;

/// The profile's; else that of the page's metadata, JSON-LD, a link or element that is marked as the author.
pub(super) fn author(page: &Html, profile: Option<&CompiledProfile>) -> Option<String> {
    static MARKED: LazyLock<Selector> = LazyLock::new(|| dom::css("[rel~='author' i], [itemprop~='author' i]"));
    let rules = profile.map(|profile| &*profile.author).unwrap_or_default();
    if let Some(author) = rules.iter().find_map(|rule| rule.values(page).next()) {
        return Some(author);
    }
    let named = ["author", "article:author", "dc.creator", "parsely-author"];
    let mut found = named.into_iter().flat_map(|name| metadata::metas(page, name));
    found.find(|text| is_name(text)).or_else(|| metadata::json_ld(page, "author").iter().find_map(names)).or_else(
        || {
            let marked = page.select(&MARKED).filter(|element| !dom::ancestors(*element).any(dom::is_surrounding));
            marked.map(dom::text).find(|text| is_name(text))
        },
    )
}

/// An author in JSON-LD: a name, an object with one, or a list of either.
fn names(value: &Value) -> Option<String> {
    let one = |value: &Value| {
        let name = value.as_str().or_else(|| value.get("name")?.as_str())?;
        Some(normalise(name)).filter(|name| is_name(name))
    };
    let all: Vec<String> = match value {
        Value::Array(values) => values.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    };
    Some(all.join(", ")).filter(|names| is_name(names))
}

/// `article:author` is an address on many sites, which names nobody.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains("://") && text.chars().count() <= LONGEST_AUTHOR
}

/// The profile's; else those of the first of `article:tag`, the keywords, `rel=tag` and JSON-LD that has any. Each once.
pub(super) fn tags(page: &Html, profile: Option<&CompiledProfile>) -> Vec<String> {
    static TAG: LazyLock<Selector> = LazyLock::new(|| dom::css("a[rel~='tag' i]"));
    let rules = profile.map(|profile| &*profile.tags).unwrap_or_default();
    let by_profile = rules.iter().map(|rule| listed(rule.values(page)));
    let by_name =
        ["article:tag", "keywords", "news_keywords"].into_iter().map(|name| listed(metadata::metas(page, name)));
    let mut ways = by_profile.chain(by_name);
    ways.find(|tags| !tags.is_empty())
        .or_else(|| Some(listed(page.select(&TAG).map(dom::text))).filter(|tags| !tags.is_empty()))
        .unwrap_or_else(|| {
            listed(metadata::json_ld(page, "keywords").iter().flat_map(|value| match value {
                Value::Array(values) => values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect(),
                value => value.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
            }))
        })
}

/// Single tags out of texts that may hold several, parted by commas or semicolons.
fn listed(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for text in texts {
        for tag in text.split([',', ';', '،']) {
            let tag = normalise(tag.trim().trim_start_matches('#'));
            let known = |other: &String| other.to_lowercase() == tag.to_lowercase();
            if !tag.is_empty() && tag.chars().count() <= LONGEST_TAG && !tags.iter().any(known) {
                tags.push(tag);
            }
        }
    }
    tags.truncate(MOST_TAGS);
    tags
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::*;

    fn found(html: &str) -> (Option<String>, Vec<String>) {
        let page = dom::parse(html);
        (author(&page, None), tags(&page, None))
    }

    #[test]
    fn authors_by_falling_trust() {
        let marked = "<aside><a rel=author>Чужой</a></aside><a rel='nofollow author' href=/a>Maýa Annaýewa</a>";
        let json = r#"<script type="application/ld+json">{"author":[{"@type":"Person","name":"А. Мырадов"},"B. Ata"]}</script>"#;
        let meta = "<meta property='article:author' content='https://a.test/7'><meta name=author content='Гозель О.'>";
        for (html, expected) in [
            (marked.to_owned(), Some("Maýa Annaýewa")),
            (format!("{marked}{json}"), Some("А. Мырадов, B. Ata")),
            (format!("{marked}{json}{meta}"), Some("Гозель О.")),
            ("<meta name=author content=''>".to_owned(), None),
        ] {
            assert_eq!(found(&html).0.as_deref(), expected, "{html}");
        }
    }

    #[test]
    fn tags_are_single_words_each_once() {
        let keywords = "<meta name=keywords content='Aşgabat, köpri; #ýol,köpri,'>";
        assert_eq!(found(keywords).1, ["Aşgabat", "köpri", "ýol"]);
        let articles = "<meta property='article:tag' content=suw><meta property='article:tag' content=Suw>";
        assert_eq!(found(&format!("{keywords}{articles}")).1, ["suw"]);
        assert_eq!(found("<a rel=tag href=/t/1>#Мост</a> <a href=/t/2>Река</a>").1, ["Мост"]);
        let json = r#"<script type="application/ld+json">{"keywords":["мост","река"]}</script>"#;
        assert_eq!(found(json).1, ["мост", "река"]);
        assert_eq!(found("").1, [""; 0]);
    }

    #[test]
    fn the_profile_comes_first() {
        let text = "author = ['.none', '.by@title']\ntags = ['.tags a']";
        let profile = toml::from_str::<Profile>(text).unwrap().compile().unwrap();
        let page = dom::parse(
            "<meta name=author content=X><b class=by title=' O. Ata '></b><p class=tags><a>suw</a><a>ýol</a></p>",
        );
        assert_eq!(author(&page, Some(&profile)).as_deref(), Some("O. Ata"));
        assert_eq!(tags(&page, Some(&profile)), ["suw", "ýol"]);
    }
}
