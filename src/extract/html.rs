//! What one HTML page says.

use std::collections::HashSet;
use std::sync::LazyLock;

use jiff::Timestamp;
use scraper::{ElementRef, Html, Selector};
use serde::{Deserialize, Serialize};
use url::Url;

use super::profile::CompiledProfile;
use super::twins::Place;
use super::{blocks, credits, dom, generic, metadata};
use crate::record::{BlockKind, Language, TwinLink};

/// Pictures of a page, and links to it in other languages, that are kept at most.
pub(super) const MAX_NAMED: usize = 1000;

/// How the body of a page was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By the site's profile.
    Profile,
    /// By the generic body finder: there is no profile, or its body selectors find no text on this page.
    Generic,
}

impl Method {
    /// Its name in the store and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Generic => "generic",
        }
    }
}

/// What was read from a page. All text has its entities decoded, its white space folded, and is Unicode NFC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// The title, if there is one. It is not among the blocks.
    pub title: Option<String>,
    /// When it was published. A time without zone is taken to be Turkmenistan's (UTC+5), a date without time its midnight.
    pub date: Option<Timestamp>,
    /// Who wrote it, as the page says.
    pub author: Option<String>,
    /// The words under which it is filed.
    pub tags: Vec<String>,
    /// What the page's `hreflang` of itself, its address or its `lang` declare its language to be, the first of these.
    pub declared_language: Option<Language>,
    /// The body's blocks in order, none of them empty.
    pub blocks: Vec<(BlockKind, String)>,
    /// For each block, whether it is preformatted (`<pre>`): program code, logs, checksums.
    pub preformatted: Vec<bool>,
    /// The same content in other languages, as the page claims.
    pub twins: Vec<TwinLink>,
    /// Absolute addresses of the content's pictures: the one that the page names for sharing, then those in the body.
    pub images: Vec<String>,
    /// Absolute address that the page gives itself.
    pub canonical: Option<String>,
    /// How the body was found.
    pub method: Method,
}

/// Reads a page that was fetched from `url`, by its site's profile if there is one.
///
/// Never fails: a page without text has no blocks. Input past 20 MiB is ignored, and so are tags past a depth of 512.
pub fn extract(html: &str, url: &Url, profile: Option<&CompiledProfile>) -> Extracted {
    let page = dom::parse(html);
    let base = dom::base(&page, url);
    let canonical = metadata::canonical(&page, &base);
    let declared = metadata::declared_language(&page);
    let title = metadata::title(&page, profile);
    let date = metadata::date(&page, profile);
    let place = Place { page: &page, url, base: &base, canonical: canonical.as_ref(), declared };
    let twins = place.twins(profile);
    let declared_language = place.language(profile);
    let (method, roots, mut blocks) = body(&page, profile);
    if let Some(title) = &title
        && blocks.first().is_some_and(|(_, text)| is_same_title(text, title))
    {
        blocks.remove(0);
    }
    let images = images(&page, &roots, &base);
    let preformatted = preformatted(&page);
    let preformatted = blocks.iter().map(|(_, text)| preformatted.contains(text)).collect();
    Extracted {
        title,
        date,
        author: credits::author(&page, profile),
        tags: credits::tags(&page, profile),
        declared_language,
        blocks,
        preformatted,
        twins,
        images,
        canonical: canonical.map(String::from),
        method,
    }
}

/// The address that a page gives itself, for those who do not know where it was fetched from.
pub fn canonical(html: &str, url: &Url) -> Option<String> {
    let page = dom::parse(html);
    metadata::canonical(&page, &dom::base(&page, url)).map(String::from)
}

type Body<'a> = (Method, Vec<ElementRef<'a>>, Vec<(BlockKind, String)>);

fn body<'a>(page: &'a Html, profile: Option<&CompiledProfile>) -> Body<'a> {
    if let Some(profile) = profile {
        for selector in &profile.body {
            let (roots, blocks) = body_by_selector(page, selector, profile);
            if !blocks.is_empty() {
                return (Method::Profile, roots, blocks);
            }
        }
    }
    let (root, mut blocks) = generic::body(page, profile.map(|profile| &*profile.drop).unwrap_or_default());
    if let Some(profile) = profile {
        blocks.retain(|(_, text)| !profile.drop_text.contains(text));
    }
    (Method::Generic, root.into_iter().collect(), blocks)
}

/// The text of all elements that `selector` finds; one inside another counts once.
///
/// Those that stand in a menu, a side column or a dropped element are passed over, unless that leaves nothing: then the
/// page has its article there, and the profile knows better.
pub(super) fn body_by_selector<'a>(
    page: &'a Html,
    selector: &Selector,
    profile: &CompiledProfile,
) -> (Vec<ElementRef<'a>>, Vec<(BlockKind, String)>) {
    let is_dropped = |element: ElementRef<'_>| profile.drop.iter().any(|drop| drop.matches(&element));
    let all: Vec<_> = page
        .select(selector)
        .filter(|element| !dom::ancestors(*element).any(|outer| selector.matches(&outer)))
        .filter(|element| !std::iter::once(*element).chain(dom::ancestors(*element)).any(is_dropped))
        .collect();
    let mut roots = all.clone();
    roots.retain(|element| !dom::ancestors(*element).any(|outer| dom::is_surrounding(outer) || dom::is_unread(outer)));
    let text_of = |roots: &[ElementRef<'_>]| -> Vec<(BlockKind, String)> {
        let found = roots
            .iter()
            .flat_map(|root| blocks::collect(*root, |inner| dom::is_surrounding(inner) || is_dropped(inner)));
        found.map(|block| (block.kind, block.text)).filter(|(_, text)| !profile.drop_text.contains(text)).collect()
    };
    let blocks = text_of(&roots);
    if blocks.is_empty() && roots.len() < all.len() {
        let blocks = text_of(&all);
        return (all, blocks);
    }
    (roots, blocks)
}

/// The texts of all preformatted blocks.
fn preformatted(page: &Html) -> HashSet<String> {
    static PREFORMATTED: LazyLock<Selector> = LazyLock::new(|| dom::css("pre"));
    page.select(&PREFORMATTED).flat_map(|element| blocks::collect(element, |_| false)).map(|block| block.text).collect()
}

fn is_same_title(text: &str, title: &str) -> bool {
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    letters(text) == letters(title)
}

fn images(page: &Html, roots: &[ElementRef<'_>], base: &Url) -> Vec<String> {
    static IMAGE: LazyLock<Selector> = LazyLock::new(|| dom::css("img"));
    let mut images: Vec<String> = Vec::new();
    let mut known = HashSet::new();
    let mut add = |address: &str| {
        if let Some(url) = dom::resolve(base, address).filter(|url| known.insert(url.clone())) {
            images.push(url.into());
        }
    };
    if let Some(shared) = metadata::meta(page, &["og:image", "og:image:url", "og:image:secure_url"]) {
        add(&shared);
    }
    for image in roots.iter().flat_map(|root| root.select(&IMAGE)).take(MAX_NAMED) {
        // Pictures that load late have a placeholder in `src`.
        let address = ["data-src", "data-lazy-src", "src"].into_iter().find_map(|name| image.attr(name));
        if let Some(address) = address.filter(|address| !address.trim().is_empty()) {
            add(address);
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::super::charset;
    use super::super::profile::Profile;
    use super::*;
    use crate::record::TwinKind;

    fn profile(toml: &str) -> CompiledProfile {
        toml::from_str::<Profile>(toml).unwrap().compile().unwrap()
    }

    fn extract_from(html: &str, url: &str, profile: Option<&CompiledProfile>) -> Extracted {
        extract(html, &Url::parse(url).unwrap(), profile)
    }

    fn block(kind: BlockKind, text: &str) -> (BlockKind, String) {
        (kind, text.to_owned())
    }

    /// A page of a site that names its twins by hreflang; entities and raw letters are mixed, as its editor writes them.
    const HREFLANG_PAGE: &str = r##"<!DOCTYPE html><html lang="tm"><head>
        <title>T&auml;ze k&ouml;pri a&ccedil;yldy | Portal</title>
        <meta property="og:title" content="T&auml;ze köpri açyldy">
        <meta property="og:image" content="/img/7.jpg">
        <meta property="article:published_time" content="2026-03-14T09:30:00+05:00">
        <link rel="canonical" href="https://portal.test/tm/news/7-kopri">
        <link rel="alternate" hreflang="ru-RU" href="/ru/news/7-most">
        <link rel="alternate" hreflang="tk-TM" href="/tm/news/7-kopri">
        <link rel="alternate" hreflang="x-default" href="/ru/news/7-most"></head>
        <body><header><nav><a href="/ru">Русский</a> <a href="/tm/news">Habarlar</a></nav></header>
        <div class="text-3xl font-bold">T&auml;ze köpri açyldy</div>
        <div id="content">
          <p style="text-align: justify">T&auml;ze k&ouml;pri açyldy</p>
          <p style="text-align: justify">K&ouml;pri&nbsp;<strong>A&#351;gabatda</strong> gurulan iň uzyn k&ouml;pridir.</p>
          <div class="ads"><p>Mahabat</p></div>
          <p>&nbsp;</p>
          <p>Ol 2&nbsp;km uzynlykda.<br>Iki ýol bar.<br><br>Gurluşyk &laquo;ýyl&raquo; dowam etdi.<script>var a;</script></p>
          <figure><img src="data:,x" data-src="/img/8.jpg"><figcaption>Surat</figcaption></figure>
          <ul><li>birinji</li><li>ikinji</li></ul>
          <aside><p>Başga habar</p></aside>
        </div><footer><p>&copy; Portal</p></footer></body></html>"##;

    #[test]
    fn a_site_with_hreflang_and_entities() {
        let profile = profile("title = ['div.text-3xl']\nbody = ['#content p', '#content']\ndrop = ['.ads']");
        let found = extract_from(HREFLANG_PAGE, "https://portal.test/tm/news/7-kopri", Some(&profile));
        assert_eq!(found.title.as_deref(), Some("Täze köpri açyldy"));
        assert_eq!(found.date.unwrap().to_string(), "2026-03-14T04:30:00Z");
        assert_eq!(found.declared_language, Some(Language::TURKMEN));
        let expected = [
            block(BlockKind::Paragraph, "Köpri Aşgabatda gurulan iň uzyn köpridir."),
            block(BlockKind::Paragraph, "Ol 2 km uzynlykda. Iki ýol bar."),
            block(BlockKind::Paragraph, "Gurluşyk «ýyl» dowam etdi."),
        ];
        assert_eq!(found.blocks, expected);
        assert_eq!(found.method, Method::Profile);
        let twin = TwinLink {
            kind: TwinKind::Hreflang,
            language: "ru".parse().unwrap(),
            url: "https://portal.test/ru/news/7-most".into(),
        };
        assert_eq!(found.twins, [twin]);
        assert_eq!(found.images, ["https://portal.test/img/7.jpg"]);
        assert_eq!(found.canonical.as_deref(), Some("https://portal.test/tm/news/7-kopri"));
    }

    #[test]
    fn one_root_keeps_lists_and_pictures_but_no_surroundings() {
        let profile = profile("body = ['#content', 'body']\ndrop = ['.ads']");
        let found = extract_from(HREFLANG_PAGE, "https://portal.test/tm/news/7-kopri", Some(&profile));
        let texts: Vec<_> = found.blocks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts[2..], ["Gurluşyk «ýyl» dowam etdi.", "birinji", "ikinji"]);
        assert_eq!(found.blocks[4].0, BlockKind::Item);
        assert_eq!(found.images, ["https://portal.test/img/7.jpg", "https://portal.test/img/8.jpg"]);
    }

    #[test]
    fn a_site_with_ids_and_a_language_switch_in_windows_1251() {
        let html = r#"<html><head><meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><title>ORIENT</title></head>
            <body><div class="top"><ul class="lang"><li><a href="/ru/post/77/most">RU</a></li><li><a href="/tm/post/77/kopri">TM</a></li>
            <li><a href="/en">EN</a></li></ul></div><h1>Открыт новый мост</h1><div class="date">14 марта 2026 г., 09:30</div>
            <article><h2>Открыт новый мост</h2><p> ORIENT </p><p>Первый абзац &mdash; о&nbsp;мосте.</p><blockquote><p>Мы рады.</p></blockquote></article>
            <article><p>Второй абзац.</p><nav><p>Далее</p></nav></article></body></html>"#;
        let body = encoding_rs::WINDOWS_1251.encode(html).0;
        let text = charset::decode(&body, Some("text/html")).text;
        let profile = profile(
            "body = ['article p']\ndate = ['.none', '.date']\ndrop-text = ['ORIENT']\nlanguage-switch = ['ul.lang a']",
        );
        let found = extract_from(&text, "https://orient.test/ru/post/77/most", Some(&profile));
        assert_eq!(found.title.as_deref(), Some("Открыт новый мост"));
        assert_eq!(found.date.unwrap().to_string(), "2026-03-14T04:30:00Z");
        let expected = [
            block(BlockKind::Paragraph, "Первый абзац — о мосте."),
            block(BlockKind::Quote, "Мы рады."),
            block(BlockKind::Paragraph, "Второй абзац."),
        ];
        assert_eq!(found.blocks, expected);
        let twins: Vec<_> =
            found.twins.iter().map(|twin| (twin.kind, twin.language.code(), twin.url.as_str())).collect();
        assert_eq!(twins, [(TwinKind::Switch, "tk", "https://orient.test/tm/post/77/kopri")]);
    }

    #[test]
    fn a_profile_that_finds_nothing_gives_way_to_the_generic_finder() {
        let profile = profile("body = ['#moved']\ndrop-text = ['ORIENT']");
        let html = "<article><p>ORIENT</p><p>Мост открыт, и по нему уже едут машины.</p></article>";
        let found = extract_from(html, "https://a.test/ru/1", Some(&profile));
        assert_eq!(found.method, Method::Generic);
        assert_eq!(found.blocks, [block(BlockKind::Paragraph, "Мост открыт, и по нему уже едут машины.")]);
    }

    #[test]
    fn an_article_inside_an_aside_is_found_if_the_profile_says_so() {
        let html = "<aside><div class=text><p>Мост открыт.</p></div></aside>";
        let found = extract_from(html, "https://a.test/ru/1", Some(&profile("body = ['.text']")));
        assert_eq!((found.method, found.blocks.len()), (Method::Profile, 1));
    }

    #[test]
    fn hostile_nesting_ends_soon() {
        let deep = 100_000;
        let html = format!("<body>{}<p>core{}", "<div><b><a href=x>".repeat(deep), "</a></b></div>".repeat(deep));
        let start = std::time::Instant::now();
        let profile = profile("body = ['div div p']");
        let found = extract_from(&html, "https://a.test/", Some(&profile));
        assert_eq!(found.blocks, [block(BlockKind::Paragraph, "core")]);
        extract_from(&html, "https://a.test/", None);
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn no_markup_panics(html in "(<[/]?(div|p|b|a href=x|li|article|table|td|br|h1|script|form|svg)[ >]|text, |&nbsp;|ý| ){0,80}") {
            let found = extract_from(&html, "https://a.test/ru/x/1", None);
            proptest::prop_assert!(found.blocks.iter().all(|(_, text)| !text.is_empty() && text.trim() == text));
        }
    }
}
