//! Finds the text of a page that nobody has described.
//!
//! 1. *Outline*: all elements in document order, without what is hidden, and the text that each holds.
//! 2. *Survey*: leave out what HTML or the names of classes call surroundings (menus, shares, comments), and what
//!    consists of links; measure the text of all else.
//! 3. *Root*: the element that calls itself the article, in tiers of falling explicitness, or what holds all its parts;
//!    if none of them holds enough of the page's prose, the element whose paragraphs score highest (length, commas, few
//!    links), widened to its neighbours while they are prose too.
//! 4. *Blocks* of the lead before the root and of the root, without those that are links, furniture or labels that lead
//!    to nothing.
//! 5. Too little text is likelier a mistake than a very short article: then the page's paragraphs, then the same without
//!    trust in the names of classes, then what the page shows to readers without programs.
//!
//! An element is never left out for its name alone if it holds most of the page's prose: `class="no-sidebar"` on a
//! page's outermost `<div>` and articles inside `<aside>` or `<form>` are common.

use std::collections::HashSet;

use scraper::{ElementRef, Html, Selector};

use super::blocks::{self, TextBlock};
use super::dom;
use super::measure::{Amount, Entry, Outline, PROSE};
use super::{furniture, names};
use crate::record::BlockKind;

/// Text shorter than this is no article, in characters without white space.
const ENOUGH: usize = 200;

/// The share of the page's prose that an element has to hold to be taken by its name, for each tier. What calls itself
/// `articleBody` means machines to read it, so it may be short beside the comments; other names are freely used.
const SHARES_OF_PROSE: [f64; names::TIERS] = [0.1, 0.3, 0.3, 0.3, 0.3];

/// Characters of other text that may lie between a lead and its body: a date, an author, the caption of a picture.
const LEAD_DISTANCE: usize = 400;

/// A lead is shorter than this, in characters.
const LEAD_LENGTH: usize = 1200;

/// The body's element and blocks. `also_dropped` are selectors of what is to be left out besides.
pub(super) fn body<'a>(
    page: &'a Html,
    also_dropped: &[Selector],
) -> (Option<ElementRef<'a>>, Vec<(BlockKind, String)>) {
    let (root, mut blocks) = visible_body(page, also_dropped);
    if size(&blocks) < ENOUGH {
        // A page that its programs build may have its text for readers without programs. A note that the page needs
        // them is shorter.
        let noscript = dom::parse(&noscript(page));
        let (_, other) = visible_body(&noscript, also_dropped);
        if size(&other) >= 3 * ENOUGH {
            blocks = other;
        }
    }
    (root, blocks.into_iter().map(|block| (block.kind, block.text)).collect())
}

/// The markup inside all `<noscript>` of a page.
fn noscript(page: &Html) -> String {
    let is_in_head = |element: ElementRef<'_>| dom::ancestors(element).any(|outer| outer.value().name() == "head");
    let found = dom::elements(page, "noscript").filter(|element| !is_in_head(*element));
    found.flat_map(|element| element.text().collect::<Vec<_>>()).collect()
}

fn visible_body<'a>(page: &'a Html, also_dropped: &[Selector]) -> (Option<ElementRef<'a>>, Vec<TextBlock>) {
    let mut parts = page.root_element().child_elements();
    let Some(whole) = parts.find(|part| part.value().name() == "body") else { return (None, Vec::new()) };
    let outline = Outline::of(whole);
    let mut best: Option<(usize, Vec<TextBlock>)> = None;
    for trust in [Trust::Names, Trust::Elements] {
        let survey = Survey::of(&outline, also_dropped, trust);
        let root = survey.by_name().unwrap_or_else(|| survey.by_score());
        let mut blocks = survey.lead(root).map(|lead| survey.blocks(lead)).unwrap_or_default();
        blocks.extend(survey.blocks(root));
        cut_labels(&mut blocks);
        if size(&blocks) < ENOUGH {
            // So little text is likelier a mistake than a very short article: take the page's paragraphs.
            let all = survey.blocks(0);
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
    let (root, blocks) = best.unwrap_or_default();
    (Some(outline.entries[root].element), blocks)
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
struct Survey<'o, 'a> {
    outline: &'o Outline<'a>,
    /// What the site's profile leaves out.
    also_dropped: &'o [Selector],
    is_dropped: Vec<bool>,
    /// What all elements hold.
    all: Vec<Amount>,
    /// What they hold without what is left out.
    amounts: Vec<Amount>,
}

/// Elements that are left out when they are lists of links.
const MAY_BE_LINKS: [&str; 13] =
    ["div", "ul", "ol", "dl", "li", "p", "table", "section", "header", "td", "center", "h4", "details"];

impl<'o, 'a> Survey<'o, 'a> {
    fn of(outline: &'o Outline<'a>, also_dropped: &'o [Selector], trust: Trust) -> Self {
        let mut is_dropped = vec![false; outline.entries.len()];
        let all = outline.measure(&is_dropped);
        let mut at = 1;
        while at < all.len() {
            let Entry { element, end, .. } = outline.entries[at];
            let holds_most = 2 * all[at].prose > all[0].prose;
            is_dropped[at] = names::is_comments(element)
                || also_dropped.iter().any(|drop| drop.matches(&element))
                || (!holds_most
                    && (dom::is_surrounding(element) || (trust == Trust::Names && names::is_surrounding(element))));
            at = if is_dropped[at] { end } else { at + 1 };
        }
        let kept = outline.measure(&is_dropped);
        let much_prose = (kept[0].prose / 5).max(ENOUGH);
        let mut at = 1;
        while at < kept.len() {
            let Entry { element, end, .. } = outline.entries[at];
            is_dropped[at] |= MAY_BE_LINKS.contains(&element.value().name())
                && kept[at].is_links()
                && (kept[at].links > 1 || !matches!(element.value().name(), "td" | "li"))
                && kept[at].prose < much_prose;
            at = if is_dropped[at] { end } else { at + 1 };
        }
        let amounts = outline.measure(&is_dropped);
        Self { outline, also_dropped, is_dropped, all, amounts }
    }

    /// The entries that are not left out.
    fn kept(&self) -> impl Iterator<Item = usize> {
        let mut next = 0;
        std::iter::from_fn(move || {
            while *self.is_dropped.get(next)? {
                next = self.outline.entries[next].end;
            }
            next += 1;
            Some(next - 1)
        })
    }

    /// The element that is called the article, by the most explicit tier whose elements hold enough.
    fn by_name(&self) -> Option<usize> {
        // Of each tier, the elements that stand in no other of the same.
        let mut called: [Vec<usize>; names::TIERS] = std::array::from_fn(|_| Vec::new());
        for at in self.kept() {
            let Entry { element, .. } = self.outline.entries[at];
            for (tier, called) in called.iter_mut().enumerate() {
                let is_outside = called.last().is_none_or(|&last| at >= self.outline.entries[last].end);
                if is_outside && names::is_article(element, tier) {
                    called.push(at);
                }
            }
        }
        called.iter().zip(SHARES_OF_PROSE).find_map(|(parts, share)| {
            let least = (self.amounts[0].prose as f64 * share).max(ENOUGH as f64);
            self.whole_of(parts).filter(|&at| self.amounts[at].prose as f64 >= least)
        })
    }

    /// The part with most prose; or, if the parts are about equal and what holds them all holds little else, that:
    /// articles come in parts, between them advertisements.
    fn whole_of(&self, parts: &[usize]) -> Option<usize> {
        let prose = |at: usize| self.amounts[at].prose;
        let best = parts.iter().copied().rev().max_by_key(|&at| prose(at))?;
        let all: usize = parts.iter().map(|&at| prose(at)).sum();
        let (first, last) = (parts.first()?, parts.last()?);
        let holds_all = |at: &usize| at <= first && self.outline.entries[*at].end > *last;
        let holder = self.outline.ancestors(best).find(holds_all).unwrap_or(best);
        let is_in_parts = 10 * prose(best) < 7 * all && 10 * prose(holder) < 12 * all;
        Some(if is_in_parts { holder } else { best })
    }

    /// The element whose paragraphs score highest. A paragraph counts fully for its parent and half for the parent of
    /// that, so that an article in sections is found as a whole.
    fn by_score(&self) -> usize {
        let mut scores = vec![0.0; self.amounts.len()];
        for at in self.kept() {
            if let Some(score) = self.paragraph_score(at) {
                // Text between line breaks is its element's own paragraph.
                let name = self.outline.entries[at].element.value().name();
                let is_paragraph = matches!(name, "p" | "pre" | "blockquote" | "li");
                let holders = std::iter::once(at).filter(|_| !is_paragraph).chain(self.outline.ancestors(at));
                for (holder, share) in holders.zip([1.0, 0.5, 0.25]) {
                    if scores[holder] == 0.0 {
                        scores[holder] = name_score(self.outline.entries[holder].element);
                    }
                    scores[holder] += score * share;
                }
            }
        }
        let total = |at: usize| scores[at] * (1.0 - self.amounts[at].link_density());
        // Ties go to the outer element.
        let best = (0..scores.len()).rev().max_by(|&one, &other| total(one).total_cmp(&total(other)));
        self.widened(best.unwrap_or(0))
    }

    /// How much an element's own text looks like a paragraph: 1, one more for each comma and each hundred characters.
    fn paragraph_score(&self, at: usize) -> Option<f64> {
        let own = match self.outline.entries[at].element.value().name() {
            "p" | "pre" | "blockquote" | "li" => self.amounts[at],
            "div" | "td" | "section" | "article" | "main" | "center" | "body" => {
                self.outline.own_text(at, &self.amounts)
            }
            _ => return None,
        };
        let unlinked = own.characters - own.linked;
        (unlinked >= 25).then(|| 1.0 + own.commas as f64 + (unlinked as f64 / 100.0).min(3.0))
    }

    /// An article is often cut in sibling elements: while the neighbours hold about as much prose as the element, what
    /// holds them all is meant.
    fn widened(&self, mut root: usize) -> usize {
        let mut outer = root;
        while outer != 0 {
            outer = self.outline.entries[outer].parent;
            let (now, then) = (self.amounts[root], self.amounts[outer]);
            let gain = then.prose - now.prose.min(then.prose);
            let ballast = then.characters - then.characters.min(then.prose);
            if ballast as f64 > 0.4 * then.characters as f64 {
                break;
            }
            // What only wraps the element gains nothing; what wraps it and its neighbours may come after that.
            if gain >= PROSE && gain as f64 >= 0.25 * now.prose as f64 {
                root = outer;
            }
        }
        root
    }

    /// The lead that stands before `root`: the nearest element of that name, if nothing but labels lies between.
    fn lead(&self, root: usize) -> Option<usize> {
        let entries = &self.outline.entries;
        let mut between = 0;
        let mut lead = None;
        for at in (1..root).rev() {
            if entries[at].end > root {
                continue;
            }
            let amount = self.all[at];
            if names::is_lead(entries[at].element) && amount.prose >= PROSE {
                lead = Some(at);
                break;
            }
            between += self.outline.own(at).characters;
            if between > LEAD_DISTANCE {
                break;
            }
        }
        lead.filter(|&at| {
            let (amount, element) = (self.all[at], entries[at].element);
            let mut around = std::iter::once(element).chain(dom::ancestors(element));
            let is_forbidden = around.any(|outer| self.also_dropped.iter().any(|drop| drop.matches(&outer)));
            amount.link_density() < 0.3 && amount.characters < LEAD_LENGTH && !is_forbidden
        })
    }

    /// The blocks of `root` that are text.
    fn blocks(&self, root: usize) -> Vec<TextBlock> {
        let entries = &self.outline.entries;
        let inside = root + 1..entries[root].end;
        let dropped: HashSet<usize> =
            inside.filter(|&at| self.is_dropped[at]).map(|at| dom::key(entries[at].element)).collect();
        let mut blocks = blocks::collect(entries[root].element, |element| dropped.contains(&dom::key(element)));
        blocks.retain(|block| !is_link_block(block) && !furniture::is_furniture(block));
        blocks
    }
}

/// Cuts headings and labels behind the last text: with nothing under them they belong to what was left out. Where all
/// are labels, they are the text.
fn cut_labels(blocks: &mut Vec<TextBlock>) {
    let is_text = |block: &TextBlock| block.kind != BlockKind::Heading && !is_label(block);
    let least = blocks.iter().position(|block| block.kind != BlockKind::Heading).map_or(0, |at| at + 1);
    blocks.truncate(blocks.iter().rposition(is_text).map_or(least, |at| at + 1));
}

fn is_link_block(block: &TextBlock) -> bool {
    let share = block.linked as f64 / block.characters.max(1) as f64;
    // Lists and tables are judged as a whole: one entry may well be a link.
    !matches!(block.kind, BlockKind::Item | BlockKind::Table)
        && (share > 0.9 || (share > 0.7 && block.characters < 100))
}

/// What may stand behind the end of a sentence.
const QUOTES: [char; 10] = ['"', '\'', '”', '“', '’', '»', '«', ')', '」', '』'];

/// What sentences end with.
const ENDS: [char; 11] = ['.', '!', '?', '…', '。', '！', '？', '؟', '۔', '।', '።'];

/// Whether a block is shorter than prose and does not end as sentences do: `Share this article`, `More on this`.
fn is_label(block: &TextBlock) -> bool {
    block.kind == BlockKind::Paragraph
        && block.characters < PROSE
        && !block.text.trim_end_matches(QUOTES).ends_with(ENDS)
}

fn name_score(element: ElementRef<'_>) -> f64 {
    if names::is_content(element) { 5.0 } else { 0.0 }
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
    fn the_lead_before_the_body_is_kept_and_a_distant_one_is_not() {
        let lead = "Мост, который строили три года, открыли в понедельник утром.";
        let body = format!("<div class=article-body><p>{FIRST}</p><p>{SECOND}</p><p>{THIRD}</p></div>");
        for tag in ["p class=article-lead", "div itemprop=description", "h2 class=subtitle", "div class=teaser-text"] {
            let html = format!(
                "<body><h1>Мост</h1><{tag}>{lead}</{}><p>14.03.2026, Редакция</p>{body}",
                &tag[..tag.find(' ').unwrap()]
            );
            assert_eq!(texts(&html), [lead, FIRST, SECOND, THIRD], "{tag}");
        }
        let dropped = format!("<body><div class='teaser ad-7'><p>{lead}</p></div>{body}");
        let page = dom::parse(&dropped);
        let (_, blocks) = super::body(&page, &[dom::css(".ad-7")]);
        assert_eq!(blocks[0].1, FIRST, "the site's profile drops what looks like a lead");
        let between = format!("<p>{FIRST}</p>").repeat(5);
        assert_eq!(texts(&format!("<body><div class=teaser>{lead}</div>{between}{body}")), [FIRST, SECOND, THIRD]);
        let link = format!("<body><div class=teaser><a href=/x>{lead}</a></div>{body}");
        assert_eq!(texts(&link), [FIRST, SECOND, THIRD]);
    }

    #[test]
    fn sections_in_wrappers_are_one_article() {
        let section = |text| format!("<div><div class=row><div class=col><p>{text}</p><p>{text}</p></div></div></div>");
        let article = format!("<div>{}{}{}</div>", section(FIRST), section(SECOND), section(THIRD));
        assert_eq!(texts(&page(&article)), [FIRST, FIRST, SECOND, SECOND, THIRD, THIRD]);
    }

    #[test]
    fn parts_of_an_article_are_taken_together_but_not_its_neighbour() {
        let part = |text: &str| format!("<div class=story-body><p>{text}</p><p>{text}</p></div>");
        let parts = format!("<div>{}<div>реклама</div>{}</div>", part(FIRST), part(SECOND));
        assert_eq!(texts(&parts), [FIRST, FIRST, "реклама", SECOND, SECOND]);
        let long = format!("{FIRST}</p><p>{SECOND}</p><p>{THIRD}");
        let alone = format!("<div>{}<article><p>{THIRD}</p></article></div>", part(&long));
        assert_eq!(texts(&alone), [FIRST, SECOND, THIRD, FIRST, SECOND, THIRD]);
    }

    #[test]
    fn a_marked_body_outweighs_longer_comments() {
        let body = format!("<div itemprop=articleBody><p>{FIRST}</p><p>{SECOND}</p><p>{THIRD}</p></div>");
        let comments = format!("<div class=forum>{}</div>", format!("<p>{THIRD}</p>").repeat(12));
        assert_eq!(texts(&format!("{body}{comments}")), [FIRST, SECOND, THIRD]);
    }

    #[test]
    fn labels_behind_the_last_sentence_go_unless_all_are_labels() {
        let html =
            format!("<article><p>{FIRST}</p><p>{SECOND}</p><h3>По теме</h3><p>Поделиться</p><p>14 марта</p></article>");
        assert_eq!(texts(&html), [FIRST, SECOND]);
        assert_eq!(texts("<p>Мост открыт</p><p>сегодня</p>"), ["Мост открыт"]);
    }

    #[test]
    fn cells_and_items_that_are_links_stay_in_tables_and_lists_that_are_not() {
        let row = |link, text| format!("<tr><td><a href=/1>{link}</a><td>{text}");
        let rows = [row("Мост", FIRST), row("Река", SECOND), row("Путь", THIRD)].concat();
        let list = "<ul><li><a href=/3>Длина</a><li>ширина пятнадцать метров, высота двадцать</ul>";
        let html = format!("<article><table>{rows}</table>{list}</article>");
        let items = ["Длина", "ширина пятнадцать метров, высота двадцать"];
        assert_eq!(texts(&html), [&["Мост", FIRST, "Река", SECOND, "Путь", THIRD], &items[..]].concat());
    }

    #[test]
    fn a_page_built_by_programs_is_read_without_them() {
        let text = format!("<p>{FIRST}</p><p>{SECOND}</p>").repeat(5);
        let html = format!("<body><div id=app></div><noscript><article>{text}</article></noscript>");
        assert_eq!(texts(&html).len(), 10);
        assert_eq!(texts(&format!("<body><noscript><p>{FIRST}</p></noscript>")), [""; 0]);
    }

    #[test]
    fn a_page_of_links_or_of_nothing_has_no_body() {
        let links: String = (0..30).map(|n| format!("<li><a href=/{n}>Заголовок новости номер {n}</a>")).collect();
        assert_eq!(texts(&format!("<body><ul>{links}</ul>")), [""; 0]);
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("<frameset><frame src=x></frameset>"), [""; 0]);
    }
}
