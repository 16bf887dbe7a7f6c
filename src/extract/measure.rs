//! How much text, prose and links each part of a page holds.

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

/// The elements of a page in document order, without those that nobody reads and what they hold.
///
/// An element is named by its place in the order. What is measured or left out is a vector beside the outline, so that
/// a page can be measured again without walking its tree again.
pub(super) struct Outline<'a> {
    pub(super) entries: Vec<Entry<'a>>,
}

/// An element of an [`Outline`].
pub(super) struct Entry<'a> {
    pub(super) element: ElementRef<'a>,
    /// The element around it; the first entry is its own.
    pub(super) parent: usize,
    /// The first entry that is not inside it any more.
    pub(super) end: usize,
    /// The text directly inside it.
    own: Amount,
}

impl<'a> Outline<'a> {
    /// The outline of `whole`, which is its first entry.
    pub(super) fn of(whole: ElementRef<'a>) -> Self {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let (mut innermost, mut links) = (0, 0_usize);
        dom::walk(whole, |step| {
            match step {
                Step::Open(element) => {
                    if element != whole && dom::is_unread(element) {
                        return Go::Past;
                    }
                    let is_link = element.value().name() == "a";
                    links += usize::from(is_link);
                    let own = Amount { links: usize::from(is_link), ..Amount::default() };
                    entries.push(Entry { element, parent: innermost, end: 0, own });
                    innermost = entries.len() - 1;
                }
                Step::Text(text) => entries[innermost].own.add(amount_of(text, links > 0)),
                Step::Close(element) => {
                    // The end of an element that was passed over comes too.
                    if entries[innermost].element == element {
                        links -= usize::from(element.value().name() == "a");
                        entries[innermost].end = entries.len();
                        innermost = entries[innermost].parent;
                    }
                }
            }
            Go::On
        });
        Self { entries }
    }

    /// Measures all elements; those that `is_dropped` marks, and all inside them, hold nothing.
    pub(super) fn measure(&self, is_dropped: &[bool]) -> Vec<Amount> {
        let mut amounts: Vec<Amount> = self.entries.iter().map(|entry| entry.own).collect();
        let mut at = 0;
        while at < amounts.len() {
            let end = if is_dropped[at] { self.entries[at].end } else { at };
            amounts[at..end].fill(Amount::default());
            at = end.max(at + 1);
        }
        for at in (1..amounts.len()).rev() {
            let amount = amounts[at];
            amounts[self.entries[at].parent].add(amount);
        }
        amounts
    }

    /// The text directly inside an element.
    pub(super) fn own(&self, at: usize) -> Amount {
        self.entries[at].own
    }

    /// The text directly inside an element and its inline children, by what all elements hold.
    pub(super) fn own_text(&self, at: usize, amounts: &[Amount]) -> Amount {
        let mut own = Amount { links: 0, ..self.entries[at].own };
        let mut child = at + 1;
        while child < self.entries[at].end {
            let entry = &self.entries[child];
            if matches!(entry.element.value().name(), "b" | "i" | "em" | "strong" | "span" | "font") {
                own.add(amounts[child]);
            }
            child = entry.end;
        }
        own
    }

    /// The elements around an element, innermost first.
    pub(super) fn ancestors(&self, mut at: usize) -> impl Iterator<Item = usize> {
        std::iter::from_fn(move || {
            let parent = self.entries[at].parent;
            (parent != at).then(|| {
                at = parent;
                parent
            })
        })
    }
}

fn amount_of(text: &str, is_linked: bool) -> Amount {
    let (mut characters, mut commas) = (0, 0);
    for character in text.chars() {
        characters += usize::from(!character.is_whitespace());
        commas += usize::from(matches!(character, ',' | '،' | '、' | '，'));
    }
    Amount {
        characters,
        linked: if is_linked { characters } else { 0 },
        prose: if !is_linked && characters >= PROSE { characters } else { 0 },
        links: 0,
        commas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_add_up_from_the_leaves() {
        let long = "это предложение длиннее сорока знаков, и потому считается прозой";
        let page = dom::parse(&format!(
            "<div>{long}<a href=x>раз, <b>два</b></a><i class=out>нет<b>!</b></i><script>x</script><p>три</p></div>"
        ));
        let root = page.select(&dom::css("div")).next().unwrap();
        let outline = Outline::of(root);
        let names: Vec<&str> = outline.entries.iter().map(|entry| entry.element.value().name()).collect();
        assert_eq!(names, ["div", "a", "b", "i", "b", "p"]);
        assert_eq!(outline.ancestors(2).collect::<Vec<_>>(), [1, 0]);
        let is_dropped: Vec<bool> = outline.entries.iter().map(|entry| entry.element.attr("class").is_some()).collect();
        let amounts = outline.measure(&is_dropped);
        let prose = long.chars().filter(|c| !c.is_whitespace()).count();
        let expected = Amount { characters: prose + 7 + 3, linked: 7, prose, links: 1, commas: 2 };
        assert_eq!(amounts[0], expected);
        assert_eq!((amounts[3], amounts[4]), (Amount::default(), Amount::default()));
        assert!((expected.link_density() - 7.0 / (prose + 10) as f64).abs() < 1e-12);
        assert_eq!(outline.own_text(0, &amounts).characters, prose);
    }
}
