//! Where a page says that its content is found in other languages.

use std::collections::HashSet;
use std::sync::LazyLock;

use scraper::{ElementRef, Html, Selector};
use url::Url;

use super::dom;
use super::html::MAX_NAMED;
use super::profile::CompiledProfile;
use crate::record::{Language, TwinKind, TwinLink};

/// How language switches name languages, in lower case. Short codes are listed one by one because not every word that is
/// a code names a language: a menu's "IT" is no Italian.
const NAMES: [(&str, &[&str]); 7] = [
    (
        "tk",
        &[
            "tm",
            "tk",
            "tkm",
            "tuk",
            "türkmençe",
            "türkmen",
            "türkmen dili",
            "türkmen dilinde",
            "turkmen",
            "turkmençe",
            "turkmence",
            "туркменский",
            "на туркменском",
            "туркменская версия",
        ],
    ),
    (
        "ru",
        &[
            "ru",
            "rus",
            "рус",
            "русский",
            "по-русски",
            "на русском",
            "русская версия",
            "russian",
            "rusça",
            "rus dili",
            "rus dilinde",
        ],
    ),
    (
        "en",
        &[
            "en",
            "eng",
            "english",
            "in english",
            "english version",
            "английский",
            "на английском",
            "iňlisçe",
            "iňlis dili",
            "iňlis dilinde",
        ],
    ),
    ("tr", &["tr", "tur", "türkçe", "turkish", "турецкий"]),
    ("az", &["az", "aze", "azərbaycan", "azərbaycanca"]),
    ("uz", &["uz", "uzb", "o‘zbekcha", "oʻzbekcha", "o'zbekcha", "узбекский"]),
    ("kk", &["kz", "kk", "kaz", "қазақша", "казахский"]),
];

/// More characters than any of these names has: a longer text is none of them.
const LONGEST_NAME: usize = 100;

/// What the search knows of the page it searches.
pub(super) struct Place<'a> {
    pub(super) page: &'a Html,
    /// Where the page was fetched from.
    pub(super) url: &'a Url,
    /// What its relative links start from.
    pub(super) base: &'a Url,
    /// Its `<link rel=canonical>`.
    pub(super) canonical: Option<&'a Url>,
    /// What it declares its language to be.
    pub(super) declared: Option<Language>,
}

impl Place<'_> {
    /// All twins, each address and language once, `hreflang` before switch.
    pub(super) fn twins(&self, profile: Option<&CompiledProfile>) -> Vec<TwinLink> {
        let ignored = profile.is_some_and(|profile| profile.ignore_hreflang);
        let alternates = if ignored { Vec::new() } else { self.alternates() };
        let own = self.own_language(&alternates);
        let mut twins = Vec::new();
        let mut known = HashSet::new();
        for (kind, links) in [(TwinKind::Hreflang, alternates), (TwinKind::Switch, self.switches(profile))] {
            for (language, url) in links {
                if Some(language) != own && !self.is_here(&url) && known.insert((language, url.clone())) {
                    twins.push(TwinLink { kind, language, url: url.into() });
                }
            }
        }
        twins
    }

    /// The language that the page is said to be in: by its own `hreflang`, its address, or itself.
    pub(super) fn language(&self, profile: Option<&CompiledProfile>) -> Option<Language> {
        let ignored = profile.is_some_and(|profile| profile.ignore_hreflang);
        self.own_language(&if ignored { Vec::new() } else { self.alternates() })
    }

    fn is_here(&self, url: &Url) -> bool {
        let mut here = self.url.clone();
        here.set_fragment(None);
        *url == here || Some(url) == self.canonical
    }

    /// `<link rel=alternate hreflang=…>`, the page itself included. `x-default` names no language; and sites that lack
    /// a translation like to name their front page instead.
    fn alternates(&self) -> Vec<(Language, Url)> {
        static ALTERNATE: LazyLock<Selector> = LazyLock::new(|| dom::css("link[rel][hreflang][href]"));
        self.page
            .select(&ALTERNATE)
            .filter(|link| dom::has_word(*link, "rel", "alternate"))
            .take(MAX_NAMED)
            .filter_map(|link| {
                let language = Language::guess_from_tag(link.attr("hreflang")?)?;
                Some((language, dom::resolve(self.base, link.attr("href")?)?))
            })
            .filter(|(_, url)| !is_front_page(url) || is_front_page(self.url))
            .collect()
    }

    /// The language of this very page. Its own `hreflang` and address are better witnesses than `lang`, which some
    /// sites set once for all pages.
    fn own_language(&self, alternates: &[(Language, Url)]) -> Option<Language> {
        let itself = alternates.iter().find(|(_, url)| self.is_here(url)).map(|&(language, _)| language);
        itself.or_else(|| language_of_address(self.url)).or(self.declared)
    }

    /// The links of the language switch. One that leads to a front page is a switch of the site, not of the page.
    fn switches(&self, profile: Option<&CompiledProfile>) -> Vec<(Language, Url)> {
        let mut links: Vec<(Language, Url)> = Vec::new();
        for rule in profile.map(|profile| &*profile.language_switch).unwrap_or_default() {
            let attribute = rule.attribute.as_deref().unwrap_or("href");
            let found = self.page.select(&rule.selector).take(MAX_NAMED).filter_map(|element| {
                let url = dom::resolve(self.base, element.attr(attribute)?)?;
                Some((language_of_link(element).or_else(|| language_of_address(&url))?, url))
            });
            links.extend(found);
            if !links.is_empty() {
                break;
            }
        }
        if links.is_empty() {
            static ANCHOR: LazyLock<Selector> = LazyLock::new(|| dom::css("a[href]"));
            links.extend(self.page.select(&ANCHOR).filter_map(|anchor| self.guess_switch(anchor)).take(MAX_NAMED));
        }
        links.retain(|(_, url)| path(url).len() > 1);
        links
    }

    /// A link of the header, the menu or a list of languages that is named by a language and by nothing else.
    fn guess_switch(&self, anchor: ElementRef<'_>) -> Option<(Language, Url)> {
        let named = language_of_link(anchor);
        let among_languages = || dom::ancestors(anchor).take(3).chain([anchor]).any(is_about_languages);
        if named.is_none() && !dom::text_up_to(anchor, LONGEST_NAME).is_empty() && !among_languages() {
            return None;
        }
        let in_menu = || dom::ancestors(anchor).any(|element| matches!(element.value().name(), "header" | "nav"));
        if !in_menu() && !among_languages() {
            return None;
        }
        let url = dom::resolve(self.base, anchor.attr("href")?)?;
        if !is_same_site(&url, self.url) {
            return None;
        }
        Some((named.or_else(|| language_of_address(&url))?, url))
    }
}

/// The language that a link's text names, or its picture's, or its attributes.
fn language_of_link(link: ElementRef<'_>) -> Option<Language> {
    static IMAGE: LazyLock<Selector> = LazyLock::new(|| dom::css("img[alt]"));
    let text = dom::text_up_to(link, LONGEST_NAME);
    if !text.is_empty() {
        return language_named(&text);
    }
    let picture = link.select(&IMAGE).find_map(|image| language_named(image.attr("alt")?));
    picture
        .or_else(|| ["title", "aria-label"].into_iter().find_map(|name| language_named(link.attr(name)?)))
        .or_else(|| ["hreflang", "lang"].into_iter().find_map(|name| Language::guess_from_tag(link.attr(name)?)))
}

fn language_named(text: &str) -> Option<Language> {
    let text = text.trim().to_lowercase();
    let (code, _) = NAMES.iter().find(|(_, names)| names.contains(&text.as_str()))?;
    Language::guess_from_tag(code)
}

/// The language that an address names: `/tm/news/17`, `/news/tm/17`, `tm.example.com` or `?lang=tm`.
fn language_of_address(url: &Url) -> Option<Language> {
    let subdomain = url.domain().and_then(|domain| domain.split_once('.')).filter(|(_, rest)| rest.contains('.'));
    let query = url.query_pairs().find(|(key, _)| matches!(&**key, "lang" | "language" | "locale" | "l" | "hl"));
    path_language(url).or_else(|| language_named(subdomain?.0)).or_else(|| language_named(&query?.1))
}

fn path_language(url: &Url) -> Option<Language> {
    path(url).into_iter().take(2).find_map(language_named)
}

/// `/` and `/tm/`.
fn is_front_page(url: &Url) -> bool {
    path(url).len() <= usize::from(path_language(url).is_some())
}

/// The segments of an address's path, without empty ones.
fn path(url: &Url) -> Vec<&str> {
    url.path_segments().map(|segments| segments.filter(|segment| !segment.is_empty()).collect()).unwrap_or_default()
}

/// The same host, or one beside it: `tm.example.com` and `www.example.com`.
fn is_same_site(one: &Url, other: &Url) -> bool {
    let tail = |url: &Url| {
        let labels: Vec<_> = url.host_str().unwrap_or_default().rsplitn(3, '.').map(str::to_owned).collect();
        labels.into_iter().take(2).collect::<Vec<_>>()
    };
    one.host() == other.host() || (one.domain().is_some() && tail(one) == tail(other))
}

fn is_about_languages(element: ElementRef<'_>) -> bool {
    let names = [element.attr("class"), element.attr("id")];
    names.into_iter().flatten().flat_map(|names| names.split(|c: char| !c.is_alphanumeric())).any(|word| {
        let word = word.to_ascii_lowercase();
        word.starts_with("lang") || matches!(&*word, "locale" | "locales" | "lng" | "i18n")
    })
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::*;

    fn twins(html: &str, url: &str, profile: Option<&Profile>) -> Vec<(TwinKind, &'static str, String)> {
        let page = dom::parse(html);
        let url = Url::parse(url).unwrap();
        let profile = profile.map(|profile| profile.compile().unwrap());
        let place = Place { page: &page, url: &url, base: &url, canonical: None, declared: None };
        place.twins(profile.as_ref()).into_iter().map(|twin| (twin.kind, twin.language.code(), twin.url)).collect()
    }

    const ALTERNATES: &str = "<link rel='alternate' hreflang='ru-RU' href='/ru/news/7-most'>
        <link rel='ALTERNATE' hreflang='tk-TM' href='/tm/news/7-kopri'>
        <link rel='alternate' hreflang='en-US' href='/en'>
        <link rel='alternate' hreflang='x-default' href='/ru/news/7-most'>
        <link rel='stylesheet' hreflang='tk' href='/tm/x.css'>";

    #[test]
    fn hreflang_without_the_page_itself_and_front_pages() {
        let found = twins(ALTERNATES, "https://a.tm/ru/news/7-most#top", None);
        assert_eq!(found, [(TwinKind::Hreflang, "tk", "https://a.tm/tm/news/7-kopri".to_owned())]);
    }

    #[test]
    fn a_switch_in_the_menu_by_name_and_by_picture() {
        let html = "<nav><a href='/ru/post/7'>RU</a><a href='/tm/post/7'>Türkmençe</a><a href='/en'>EN</a>
            <a href='/en/post/7'><img src=gb.png></a><a href='/tm/about/us'>Habarlar</a><a href='/ru/it/8'>IT</a></nav>
            <p><a href='/tm/post/9'>Türkmençe</a> <a href='/tm/post/10'></a></p>";
        let expected = [
            (TwinKind::Switch, "tk", "https://a.tm/tm/post/7".to_owned()),
            (TwinKind::Switch, "en", "https://a.tm/en/post/7".to_owned()),
        ];
        assert_eq!(twins(html, "https://a.tm/ru/post/7", None), expected);
    }

    #[test]
    fn a_list_of_languages_outside_the_menu_and_foreign_hosts() {
        let html = "<ul class='lang-list'><li><a href='https://tm.a.com/news/7'>TM</a><li><a href='https://b.com/en/x'>EN</a></ul>";
        let expected = [(TwinKind::Switch, "tk", "https://tm.a.com/news/7".to_owned())];
        assert_eq!(twins(html, "https://ru.a.com/news/7", None), expected);
    }

    #[test]
    fn the_profile_names_the_switch() {
        let html =
            "<nav><a href='/ru/post/8'>RU</a></nav><select id=s><option value='/tm/post/3'>Türkmen</option></select>";
        let profile =
            Profile { language_switch: vec!["#none a".into(), "#s option@value".into()], ..Profile::default() };
        let expected = [(TwinKind::Switch, "tk", "https://a.tm/tm/post/3".to_owned())];
        assert_eq!(twins(html, "https://a.tm/en/post/3", Some(&profile)), expected);
    }

    #[test]
    fn hreflang_that_is_known_to_be_wrong_is_not_believed() {
        let html = format!("{ALTERNATES}<nav><a href='/tm/news/9'>TM</a></nav>");
        let profile = Profile { ignore_hreflang: true, ..Profile::default() };
        let expected = [(TwinKind::Switch, "tk", "https://a.tm/tm/news/9".to_owned())];
        assert_eq!(twins(&html, "https://a.tm/ru/news/7-most", Some(&profile)), expected);
    }

    #[test]
    fn every_name_is_of_a_known_language() {
        for (code, names) in NAMES {
            assert!(Language::guess_from_tag(code).is_some(), "{code}");
            assert!(names.iter().all(|name| *name == name.to_lowercase()));
        }
    }
}
