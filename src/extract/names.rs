//! What the names that pages give their elements say: `class`, `id`, `role` and `itemprop`.

use scraper::ElementRef;

use super::dom;

/// Words in `class`, `id` and `role` that name surroundings. In alphabetical order, as all lists here.
const SURROUNDING_WORDS: &[&str] = &[
    "ad",
    "ads",
    "adsbygoogle",
    "advert",
    "advertisement",
    "appstore",
    "appstores",
    "authorbox",
    "banner",
    "banners",
    "bio",
    "breadcrumb",
    "breadcrumbs",
    "byline",
    "caption",
    "consent",
    "contentinfo",
    "cookie",
    "cookies",
    "copyright",
    "credits",
    "cta",
    "dialog",
    "disclaimer",
    "disclosure",
    "donate",
    "donation",
    "extra",
    "feedback",
    "footer",
    "gallery",
    "login",
    "masthead",
    "menu",
    "meta",
    "modal",
    "nav",
    "navbar",
    "navi",
    "navigation",
    "newsletter",
    "outbrain",
    "pager",
    "pagination",
    "paginator",
    "partners",
    "paywall",
    "popular",
    "popup",
    "promo",
    "rating",
    "ratings",
    "readmore",
    "recommendations",
    "recommended",
    "related",
    "search",
    "share",
    "sharebar",
    "shareblock",
    "sharebuttons",
    "sharedaddy",
    "shares",
    "shariff",
    "sharing",
    "sidebar",
    "signup",
    "skip",
    "slider",
    "social",
    "socialmedia",
    "socials",
    "sponsor",
    "sponsored",
    "subscribe",
    "subscription",
    "taboola",
    "tagcloud",
    "tags",
    "teaser",
    "teasers",
    "toolbar",
    "trending",
    "vote",
    "widget",
    "widgets",
    "yarpp",
];

/// Words that name what readers wrote. It may well be most of a page, and still is not the article.
const COMMENT_WORDS: &[&str] = &[
    "comentarios",
    "comment",
    "commentaires",
    "commenti",
    "commentlist",
    "comments",
    "disqus",
    "komentarze",
    "kommentar",
    "kommentare",
    "reacties",
    "replies",
    "respond",
];

/// Words that name the content.
const CONTENT_WORDS: &[&str] = &["article", "articlebody", "content", "entry", "main", "post", "story", "text"];

/// Words that name the lead: the paragraph between headline and body that says what follows.
const LEAD_WORDS: &[&str] = &[
    "abstract",
    "bajada",
    "chapeau",
    "chapo",
    "deck",
    "dek",
    "excerpt",
    "intro",
    "introduction",
    "introtext",
    "kicker",
    "lead",
    "leadtext",
    "lede",
    "sommario",
    "standfirst",
    "subheadline",
    "subtitle",
    "summary",
    "teaser",
    "vorspann",
];

/// Classes and ids that name the article's text as a whole.
const ARTICLE_NAMES: &[&str] = &[
    "article-body",
    "article-content",
    "article-text",
    "article__body",
    "article__content",
    "article__text",
    "articlebody",
    "articlecontent",
    "entry-content",
    "news-body",
    "news-content",
    "news-text",
    "post-body",
    "post-content",
    "post-text",
    "story-body",
    "story-content",
];

/// Classes and ids that name the page's content as a whole.
const CONTENT_NAMES: &[&str] = &["content", "content-main", "main-content"];

/// Classes of what is not meant for paper, or only for being read aloud: controls and labels, not content.
const SCREEN_ONLY_NAMES: &[&str] = &[
    "assistive-text",
    "d-print-none",
    "do-not-print",
    "donotprint",
    "element-invisible",
    "hidden-print",
    "hide-for-print",
    "no-print",
    "noprint",
    "offscreen",
    "print-hidden",
    "print-none",
    "print:hidden",
    "screen-reader-text",
    "screenreader",
    "sr-only",
    "visually-hidden",
    "visuallyhidden",
];

/// How explicitly elements call themselves the article: tiers, the most explicit first.
pub(super) const TIERS: usize = 5;

/// Whether a page calls this element its article, with the explicitness of `tier`.
pub(super) fn is_article(element: ElementRef<'_>, tier: usize) -> bool {
    let is_one_of = |list| names(element).any(|name| is_in(list, name));
    let name = element.value().name();
    match tier {
        0 => dom::has_word(element, "itemprop", "articleBody"),
        1 => is_one_of(ARTICLE_NAMES),
        2 => name == "article" || dom::attr(element, "role") == Some("article"),
        3 => is_one_of(CONTENT_NAMES),
        _ => name == "main" || dom::attr(element, "role") == Some("main") || dom::attr(element, "id") == Some("main"),
    }
}

/// Whether a word of its names is one for surroundings.
///
/// A word of the content beside it, as in `post-meta`, changes nothing; only the whole page is beyond suspicion.
pub(super) fn is_surrounding(element: ElementRef<'_>) -> bool {
    !matches!(element.value().name(), "html" | "body" | "article" | "main" | "h1")
        && (words(element).any(|word| is_in(SURROUNDING_WORDS, word))
            || names(element).any(|name| is_in(SCREEN_ONLY_NAMES, name)))
}

/// Whether it is named as what readers wrote.
pub(super) fn is_comments(element: ElementRef<'_>) -> bool {
    !matches!(element.value().name(), "html" | "body" | "article" | "main")
        && names(element).filter_map(|name| name.split(['-', '_']).next()).any(|word| is_in(COMMENT_WORDS, word))
}

/// Whether a word of its names is one for content.
pub(super) fn is_content(element: ElementRef<'_>) -> bool {
    words(element).any(|word| is_in(CONTENT_WORDS, word))
}

/// Whether it is named as the lead, or marked as the article's description.
pub(super) fn is_lead(element: ElementRef<'_>) -> bool {
    dom::has_word(element, "itemprop", "description") || words(element).any(|word| is_in(LEAD_WORDS, word))
}

/// Whether a sorted list holds a word, in any case.
fn is_in(list: &[&str], word: &str) -> bool {
    let lower = || word.bytes().map(|byte| byte.to_ascii_lowercase());
    list.binary_search_by(|entry| entry.bytes().cmp(lower())).is_ok()
}

fn names(element: ElementRef<'_>) -> impl Iterator<Item = &str> {
    let attributes = [dom::attr(element, "class"), dom::attr(element, "id")];
    attributes.into_iter().flatten().flat_map(str::split_ascii_whitespace)
}

/// The words of an element's `class`, `id` and `role`: `post-meta`, `post_meta` and `postMeta` have two.
fn words(element: ElementRef<'_>) -> impl Iterator<Item = &str> {
    let attributes = [dom::attr(element, "class"), dom::attr(element, "id"), dom::attr(element, "role")];
    attributes.into_iter().flatten().flat_map(words_of)
}

fn words_of(names: &str) -> impl Iterator<Item = &str> {
    let mut rest = names;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let bytes = rest.as_bytes();
        let is_end = |at: usize| {
            !bytes[at].is_ascii_alphanumeric() || (bytes[at].is_ascii_uppercase() && bytes[at - 1].is_ascii_lowercase())
        };
        let (word, behind) = rest.split_at((1..bytes.len()).find(|&at| is_end(at)).unwrap_or(bytes.len()));
        rest = behind;
        (!word.is_empty()).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_order() {
        let lists = [
            SURROUNDING_WORDS,
            COMMENT_WORDS,
            CONTENT_WORDS,
            LEAD_WORDS,
            ARTICLE_NAMES,
            CONTENT_NAMES,
            SCREEN_ONLY_NAMES,
        ];
        for list in lists {
            assert!(list.is_sorted(), "{list:?}");
            assert!(list.iter().all(|word| is_in(list, &word.to_ascii_uppercase())));
        }
        assert!(!is_in(SURROUNDING_WORDS, "") && !is_in(SURROUNDING_WORDS, "zzz"));
    }

    #[test]
    fn names_are_cut_at_hyphens_underscores_and_humps() {
        let words: Vec<&str> = words_of(" post-meta PostBody_main--ý2x").collect();
        assert_eq!(words, ["post", "meta", "Post", "Body", "main", "2x"]);
        assert_eq!(words_of("--").count(), 0);
    }
}
