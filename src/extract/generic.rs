//! Finds the text of a page that nobody has described.
//!
//! 1. *Survey*: leave out what is hidden, what HTML or the names of classes call surroundings (menus, shares, comments),
//!    and what consists of links; measure the text of all else.
//! 2. *Root*: the element that calls itself the article, in tiers of falling explicitness; if none of them holds enough
//!    of the page's prose, the element whose paragraphs score highest (length, commas, few links).
//! 3. *Blocks* of the root, without those that are links or lead to nothing.
//!
//! An element is never left out for its name alone if it holds most of the page's prose: `class="no-sidebar"` on a
//! page's outermost `<div>` and articles inside `<aside>` or `<form>` are common.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use scraper::{ElementRef, Html, Selector};

use super::blocks::{self, TextBlock};
use super::dom::{self, Go, Step};
use super::measure::{Amount, PROSE, measure, own_text};
use crate::record::BlockKind;

/// Words in `class`, `id` and `role` that name surroundings.
const SURROUNDING_WORDS: &[&str] = &[
    "ad",
    "ads",
    "advert",
    "advertisement",
    "adsbygoogle",
    "banner",
    "banners",
    "breadcrumb",
    "breadcrumbs",
    "byline",
    "caption",
    "contentinfo",
    "cookie",
    "cookies",
    "consent",
    "copyright",
    "credits",
    "disclaimer",
    "dialog",
    "extra",
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
    "popular",
    "popup",
    "promo",
    "rating",
    "readmore",
    "recommended",
    "recommendations",
    "related",
    "search",
    "share",
    "shares",
    "sharing",
    "sharedaddy",
    "shariff",
    "sidebar",
    "signup",
    "skip",
    "slider",
    "social",
    "socials",
    "sponsor",
    "sponsored",
    "subscribe",
    "subscription",
    "taboola",
    "tags",
    "tagcloud",
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
const COMMENT_WORDS: &[&str] = &["comment", "comments", "commentlist", "disqus", "respond", "replies"];

/// Words that name the content.
const CONTENT_WORDS: &[&str] = &["article", "articlebody", "content", "entry", "main", "post", "story", "text"];

/// What pages call their article, the most explicit name first.
static TIERS: LazyLock<Vec<Selector>> = LazyLock::new(|| {
    [
        "[itemprop~='articleBody' i]",
        ".article-body, .article__body, .articleBody, .article-content, .article__content, .article-text, \
         .article__text, .post-content, .post-body, .post-text, .entry-content, .news-content, .news-text, .news-body, \
         .story-body, .story-content, #article-body, #article-content, #articleContent, #post-content",
        "article, [role='article']",
        "#content, .content, #main-content, .main-content, #content-main, .content-main",
        "main, [role='main'], #main",
    ]
    .into_iter()
    .map(dom::css)
    .collect()
});

/// Text shorter than this is no article, in characters without white space.
const ENOUGH: usize = 200;

/// The share of the page's prose that an element has to hold to be taken by its name.
const SHARE_OF_PROSE: f64 = 0.3;

/// The body's element and blocks. `also_dropped` are selectors of what is to be left out besides.
pub(super) fn body<'a>(
    page: &'a Html,
    also_dropped: &[Selector],
) -> (Option<ElementRef<'a>>, Vec<(BlockKind, String)>) {
    static BODY: LazyLock<Selector> = LazyLock::new(|| dom::css("body"));
    let Some(whole) = page.select(&BODY).next() else { return (None, Vec::new()) };
    let mut best: Option<(ElementRef<'a>, Vec<TextBlock>)> = None;
    for trust in [Trust::Names, Trust::Elements] {
        let survey = Survey::of(whole, also_dropped, trust);
        let root = survey.by_name(page, whole).or_else(|| survey.by_score(whole)).unwrap_or(whole);
        let mut blocks = survey.blocks(root);
        if size(&blocks) < ENOUGH {
            // So little text is likelier a mistake than a very short article: take the page's paragraphs.
            let all = survey.blocks(whole);
            let paragraphs = all.into_iter().filter(|block| block.kind != BlockKind::Item && block.characters >= PROSE);
            blocks = longer(blocks, paragraphs.collect());
        }
        if best.as_ref().is_none_or(|(_, found)| size(&blocks) > 2 * size(found)) {
            best = Some((root, blocks));
        }
        if best.as_ref().is_some_and(|(_, found)| size(found) >= ENOUGH) {
            break;
        }
    }
    let (root, blocks) = best.unwrap_or((whole, Vec::new()));
    (Some(root), blocks.into_iter().map(|block| (block.kind, block.text)).collect())
}

/// What says that an element is surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// HTML's own elements, and the names of classes.
    Names,
    /// HTML's own elements only: page builders call every paragraph a `widget`.
    Elements,
}

fn size(blocks: &[TextBlock]) -> usize {
    blocks.iter().map(|block| block.characters).sum()
}

fn longer(one: Vec<TextBlock>, other: Vec<TextBlock>) -> Vec<TextBlock> {
    if size(&other) > size(&one) { other } else { one }
}

/// What to leave out of a page, and how much text the rest holds.
struct Survey {
    dropped: HashSet<usize>,
    amounts: HashMap<usize, Amount>,
}

/// Elements that are left out when they are lists of links.
const MAY_BE_LINKS: [&str; 13] =
    ["div", "ul", "ol", "dl", "li", "p", "table", "section", "header", "td", "center", "h4", "details"];

impl Survey {
    fn of(whole: ElementRef<'_>, also_dropped: &[Selector], trust: Trust) -> Self {
        let all = measure(whole, |_| false);
        let page_prose = all[&dom::key(whole)].prose;
        let mut dropped = HashSet::new();
        dom::walk(whole, |step| {
            let Step::Open(element) = step else { return Go::On };
            let holds_most = 2 * all.get(&dom::key(element)).copied().unwrap_or_default().prose > page_prose;
            let is_dropped = element != whole
                && (is_comments(element)
                    || also_dropped.iter().any(|drop| drop.matches(&element))
                    || (!holds_most
                        && (dom::is_surrounding(element)
                            || (trust == Trust::Names && is_called_surrounding(element)))));
            if is_dropped {
                dropped.insert(dom::key(element));
                return Go::Past;
            }
            Go::On
        });
        let kept = measure(whole, |element| dropped.contains(&dom::key(element)));
        let much_prose = (kept[&dom::key(whole)].prose / 5).max(ENOUGH);
        dom::walk(whole, |step| {
            if let Step::Open(element) = step
                && element != whole
                && MAY_BE_LINKS.contains(&element.value().name())
                && kept.get(&dom::key(element)).is_some_and(|amount| amount.is_links() && amount.prose < much_prose)
            {
                dropped.insert(dom::key(element));
                return Go::Past;
            }
            Go::On
        });
        let amounts = measure(whole, |element| dropped.contains(&dom::key(element)));
        Self { dropped, amounts }
    }

    fn amount(&self, element: ElementRef<'_>) -> Amount {
        self.amounts.get(&dom::key(element)).copied().unwrap_or_default()
    }

    /// The element that is called the article: of each tier, the one with most prose, if that is enough.
    fn by_name<'a>(&self, page: &'a Html, whole: ElementRef<'_>) -> Option<ElementRef<'a>> {
        let least = (self.amount(whole).prose as f64 * SHARE_OF_PROSE).max(ENOUGH as f64);
        TIERS.iter().find_map(|tier| {
            let best = page.select(tier).max_by_key(|element| self.amount(*element).prose)?;
            (self.amount(best).prose as f64 >= least).then_some(best)
        })
    }

    /// The element whose paragraphs score highest. A paragraph counts fully for its parent and half for the parent of
    /// that, so that an article in sections is found as a whole.
    fn by_score<'a>(&self, whole: ElementRef<'a>) -> Option<ElementRef<'a>> {
        let mut scores: HashMap<usize, (ElementRef<'a>, f64)> = HashMap::new();
        dom::walk(whole, |step| {
            let Step::Open(element) = step else { return Go::On };
            if self.dropped.contains(&dom::key(element)) || dom::is_unread(element) {
                return Go::Past;
            }
            if let Some(score) = self.paragraph_score(element) {
                // Text between line breaks is its element's own paragraph.
                let is_paragraph = matches!(element.value().name(), "p" | "pre" | "blockquote" | "li");
                let holders = dom::ancestors(element).take_while(|outer| outer.value().name() != "html");
                let holders = std::iter::once(element).filter(|_| !is_paragraph).chain(holders);
                for (holder, share) in holders.zip([1.0, 0.5, 0.25]) {
                    scores.entry(dom::key(holder)).or_insert((holder, name_score(holder))).1 += score * share;
                }
            }
            Go::On
        });
        let total = |&(element, score): &(ElementRef<'a>, f64)| score * (1.0 - self.amount(element).link_density());
        let (best, _) = scores.values().max_by(|one, other| {
            // Ties go to the larger element, so that the outcome does not hang on the order of a hash map.
            let size = |entry: &(ElementRef<'a>, f64)| self.amount(entry.0).characters;
            total(one)
                .total_cmp(&total(other))
                .then_with(|| size(one).cmp(&size(other)))
                .then_with(|| dom::key(other.0).cmp(&dom::key(one.0)))
        })?;
        Some(self.widened(*best, whole))
    }

    /// How much an element's own text looks like a paragraph: 1, one more for each comma and each hundred characters.
    fn paragraph_score(&self, element: ElementRef<'_>) -> Option<f64> {
        let own = match element.value().name() {
            "p" | "pre" | "blockquote" | "li" => self.amount(element),
            "div" | "td" | "section" | "article" | "main" | "center" | "body" => own_text(element),
            _ => return None,
        };
        let unlinked = own.characters - own.linked;
        (unlinked >= 25).then(|| 1.0 + own.commas as f64 + (unlinked as f64 / 100.0).min(3.0))
    }

    /// An article is often cut in sibling elements: while the neighbours hold about as much prose as the element, what
    /// holds them all is meant.
    fn widened<'a>(&self, mut root: ElementRef<'a>, whole: ElementRef<'a>) -> ElementRef<'a> {
        while root != whole {
            let Some(parent) = dom::ancestors(root).next() else { break };
            let (inner, outer) = (self.amount(root), self.amount(parent));
            let gain = outer.prose - inner.prose.min(outer.prose);
            let ballast = (outer.characters - outer.characters.min(outer.prose)) as f64;
            if gain < PROSE || (gain as f64) < 0.15 * inner.prose as f64 || ballast > 0.4 * outer.characters as f64 {
                break;
            }
            root = parent;
        }
        root
    }

    /// The blocks of `root` that are text.
    fn blocks(&self, root: ElementRef<'_>) -> Vec<TextBlock> {
        let mut blocks = blocks::collect(root, |element| self.dropped.contains(&dom::key(element)));
        blocks.retain(|block| !is_link_block(block));
        // A heading with nothing under it belongs to what was left out.
        while blocks.last().is_some_and(|block| block.kind == BlockKind::Heading) {
            blocks.pop();
        }
        blocks
    }
}

fn is_link_block(block: &TextBlock) -> bool {
    let share = block.linked as f64 / block.characters.max(1) as f64;
    share > 0.9 || (share > 0.7 && block.characters < 100)
}

fn is_called_surrounding(element: ElementRef<'_>) -> bool {
    // A word of the content beside it, as in `post-meta`, changes nothing; only the whole page is beyond suspicion.
    !matches!(element.value().name(), "html" | "body" | "article" | "main" | "h1")
        && names(element).any(|word| SURROUNDING_WORDS.contains(&word.as_str()))
}

fn is_comments(element: ElementRef<'_>) -> bool {
    !matches!(element.value().name(), "html" | "body" | "article" | "main")
        && [element.attr("id"), element.attr("class")].into_iter().flatten().any(|names| {
            let mut words = names.split_whitespace().filter_map(|name| name.split(['-', '_']).next());
            words.any(|word| COMMENT_WORDS.contains(&word.to_ascii_lowercase().as_str()))
        })
}

fn name_score(element: ElementRef<'_>) -> f64 {
    if names(element).any(|word| CONTENT_WORDS.contains(&word.as_str())) { 5.0 } else { 0.0 }
}

/// The words of an element's `class`, `id` and `role`, in lower case: `post-meta`, `post_meta` and `postMeta` have two.
fn names(element: ElementRef<'_>) -> impl Iterator<Item = String> {
    let attributes = [element.attr("class"), element.attr("id"), element.attr("role")];
    attributes.into_iter().flatten().flat_map(words).collect::<Vec<_>>().into_iter()
}

fn words(names: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in names.chars() {
        if !character.is_ascii_alphanumeric() || (was_lower && character.is_ascii_uppercase()) {
            words.push(String::new());
        }
        was_lower = character.is_ascii_lowercase();
        if character.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(character.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(html: &str) -> Vec<String> {
        body(&dom::parse(html), &[]).1.into_iter().map(|(_, text)| text).collect()
    }

    const FIRST: &str =
        "Новый мост через реку открыли в понедельник утром, сообщили в министерстве, и по нему сразу пошли машины.";
    const SECOND: &str =
        "Строили его три года, с большими перерывами, потому что река весной поднимается, а дно меняется каждый месяц.";
    const THIRD: &str = "Теперь дорога до соседнего города, по словам водителей, занимает двадцать минут, а раньше занимала целых два часа.";

    /// A whole page around `article`.
    fn page(article: &str) -> String {
        format!(
            "<body class='page with-sidebar'><header><nav><ul><li><a href=/>Главная</a><li><a href=/n>Новости</a></ul></nav></header>
            <div id=wrapper class='wrapper has-sidebar'>
            <div class=breadcrumbs><a href=/>Главная</a> » <a href=/n>Новости</a></div>
            {article}
            <div class='social-share'>Поделиться: <a href=#>Telegram</a></div>
            <div class=sidebar><h3>Популярное</h3><p>Прогноз погоды, который мы напечатали в пятницу, оказался верным и для субботы.</p></div>
            <ul><li><a href=/1>Другая новость с длинным заголовком</a><li><a href=/2>И ещё одна новость</a></ul>
            <div id=comments><p>Я живу у этого моста, и машин там, поверьте, стало больше, чем было.</p></div>
            </div><form><p>Подпишитесь на рассылку, чтобы читать новости первыми, каждое утро, без рекламы.</p></form>
            <footer><p>© Портал. Все права защищены, перепечатка только с согласия редакции, ссылка обязательна.</p></footer>"
        )
    }

    #[test]
    fn a_named_article_without_its_surroundings() {
        let article = format!(
            "<article><h1>Мост</h1><div class=post-meta>14.03.2026, Редакция</div><p>{FIRST}</p><h2>Река</h2><p>{SECOND}</p>
            <ul><li>длина 1200 м</li><li>ширина 15 м</li></ul><p>{THIRD} <a href=/x>Подробнее о мосте</a></p>
            <p><a href=/y>Читайте также: другой мост</a></p><h3>По теме</h3></article>"
        );
        let last = format!("{THIRD} Подробнее о мосте");
        let expected = ["Мост", FIRST, "Река", SECOND, "длина 1200 м", "ширина 15 м", &last];
        assert_eq!(texts(&page(&article)), expected);
    }

    #[test]
    fn an_article_that_nothing_names() {
        let article = format!("<div class=x1><div><p>{FIRST}</p><p>{SECOND}</p><p>{THIRD}</p></div></div>");
        assert_eq!(texts(&page(&article)), [FIRST, SECOND, THIRD]);
    }

    #[test]
    fn paragraphs_by_line_breaks_in_a_layout_table() {
        let article = format!(
            "<table><tr><td><a href=/>Меню</a></td><td>{FIRST}<br><br>{SECOND}<br><br>{THIRD}</td></tr></table>"
        );
        assert_eq!(texts(&page(&article)), [FIRST, SECOND, THIRD]);
    }

    #[test]
    fn an_article_inside_a_form_or_an_aside_or_in_widgets() {
        for (open, close) in [("<form>", "</form>"), ("<aside>", "</aside>"), ("<div class=widget>", "</div>")] {
            let html = format!("<body>{open}<p>{FIRST}</p><p>{SECOND}</p>{close}</body>");
            assert_eq!(texts(&html), [FIRST, SECOND], "{open}");
        }
        let widget = |text| format!("<div class='builder-widget'><p>{text}</p></div>");
        let html = format!("<body><main>{}{}{}</main></body>", widget(FIRST), widget(SECOND), widget(THIRD));
        assert_eq!(texts(&html), [FIRST, SECOND, THIRD]);
    }

    #[test]
    fn a_page_of_links_or_of_nothing_has_no_body() {
        let links: String = (0..30).map(|n| format!("<li><a href=/{n}>Заголовок новости номер {n}</a>")).collect();
        assert_eq!(texts(&format!("<body><ul>{links}</ul>")), [""; 0]);
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("<frameset><frame src=x></frameset>"), [""; 0]);
    }

    #[test]
    fn names_are_cut_at_hyphens_underscores_and_humps() {
        assert_eq!(words("post-meta PostBody_main"), ["post", "meta", "post", "body", "main"]);
    }
}
