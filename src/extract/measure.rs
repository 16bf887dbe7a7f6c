//! How much text, prose and links each part of a page holds.

use std::collections::HashMap;

use scraper::ElementRef;

use super::dom::{self, Go, Step};

/// A piece of text of at least this many characters is prose rather than a label.
pub(super) const PROSE: usize = 40;

/// Amounts of text under an element, in characters without white space.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) characters: usize,
    /// Of them, inside links.
    pub(super) linked: usize,
    /// Of them, outside links and in pieces long enough to be prose.
    pub(super) prose: usize,
    pub(super) links: usize,
    pub(super) commas: usize,
}

impl Amount {
    pub(super) fn add(&mut self, other: Self) {
        self.characters += other.characters;
        self.linked += other.linked;
        self.prose += other.prose;
        self.links += other.links;
        self.commas += other.commas;
    }

    /// Share of the text that is links, 0 to 1; 0 for no text.
    pub(super) fn link_density(self) -> f64 {
        if self.characters == 0 { 0.0 } else { self.linked as f64 / self.characters as f64 }
    }

    /// Whether it is a list of links rather than text that has some.
    pub(super) fn is_links(self) -> bool {
        let mean = self.linked / self.links.max(1);
        let density = self.link_density();
        (self.characters < 200 && density > 0.8)
            || (self.links > 1 && density > 0.6)
            || (self.links > 4 && density > 0.4 && mean < 60)
    }
}

/// Measures all elements under `whole` but those left out.
pub(super) fn measure(whole: ElementRef<'_>, is_dropped: impl Fn(ElementRef<'_>) -> bool) -> HashMap<usize, Amount> {
    let mut amounts = HashMap::new();
    let mut open: Vec<Amount> = vec![Amount::default()];
    let mut links = 0usize;
    dom::walk(whole, |step| {
        match step {
            Step::Open(element) => {
                open.push(Amount::default());
                if element != whole && (dom::is_unread(element) || is_dropped(element)) {
                    links += usize::from(element.value().name() == "a");
                    return Go::Past;
                }
                if element.value().name() == "a" {
                    links += 1;
                    add(&mut open, Amount { links: 1, ..Amount::default() });
                }
            }
            Step::Text(text) => add(&mut open, amount_of(text, links > 0)),
            Step::Close(element) => {
                links -= usize::from(element.value().name() == "a");
                let amount = open.pop().unwrap_or_default();
                add(&mut open, amount);
                amounts.insert(dom::key(element), amount);
            }
        }
        Go::On
    });
    amounts
}

fn add(open: &mut [Amount], amount: Amount) {
    if let Some(innermost) = open.last_mut() {
        innermost.add(amount);
    }
}

fn amount_of(text: &str, is_linked: bool) -> Amount {
    let characters = text.chars().filter(|c| !c.is_whitespace()).count();
    Amount {
        characters,
        linked: if is_linked { characters } else { 0 },
        prose: if !is_linked && characters >= PROSE { characters } else { 0 },
        links: 0,
        commas: text.chars().filter(|c| matches!(c, ',' | '،' | '、' | '，')).count(),
    }
}

/// The text directly inside an element and its inline children.
pub(super) fn own_text(element: ElementRef<'_>) -> Amount {
    let mut own = Amount::default();
    for child in element.children() {
        match (child.value().as_text(), ElementRef::wrap(child)) {
            (Some(text), _) => own.add(amount_of(text, false)),
            (_, Some(inner)) if matches!(inner.value().name(), "b" | "i" | "em" | "strong" | "span" | "font") => {
                own.add(amount_of(&inner.text().collect::<String>(), false));
            }
            _ => {}
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_add_up_from_the_leaves() {
        let long = "это предложение длиннее сорока знаков, и потому считается прозой";
        let page = dom::parse(&format!("<div>{long}<a href=x>раз, <b>два</b></a><i class=out>нет</i><p>три</p></div>"));
        let root = page.select(&dom::css("div")).next().unwrap();
        let amounts = measure(root, |element| element.attr("class").is_some());
        let prose = long.chars().filter(|c| !c.is_whitespace()).count();
        let expected = Amount { characters: prose + 7 + 3, linked: 7, prose, links: 1, commas: 2 };
        assert_eq!(amounts[&dom::key(root)], expected);
        assert!((expected.link_density() - 7.0 / (prose + 10) as f64).abs() < 1e-12);
        assert_eq!(own_text(root).characters, prose + 3);
    }
}
