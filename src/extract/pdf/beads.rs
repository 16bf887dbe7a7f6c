//! Article threads (ISO 32000-1, 12.4.3): boxes on the pages, called beads, that say in which order an article is read.
//!
//! Whoever set the page knew the order, so where beads cover most of a page's text, their order goes before what the
//! layout shows: each bead is read as a page of its own, and what lies in none stands before or behind them.

use std::collections::{HashMap, HashSet};

use lopdf::{Dictionary, Document, Object, ObjectId};

use super::font::{dict_entry, entry, number, resolve};
use super::interpreter::{Glyph, PageContent};
use super::layout::is_space;
use super::page::{Matrix, page_space};

/// Beads of a page, and of a document, that are looked at: the files are not trusted.
const MAX_ON_PAGE: usize = 200;
const MAX_BEADS: usize = 100_000;
/// The share of a page's signs that must lie in its beads.
const COVERED: f64 = 0.5;

/// A box on a page as displayed, in points from its lower left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bead {
    x0: f64,
    y0: f64,
    x1: f64,
    y1: f64,
}

impl Bead {
    /// Whether the middle of a glyph lies in it.
    fn holds(&self, glyph: &Glyph) -> bool {
        let (x, y) = (glyph.x + 0.5 * glyph.width, glyph.y + 0.25 * glyph.size);
        (self.x0..=self.x1).contains(&x) && (self.y0..=self.y1).contains(&y)
    }
}

/// The beads of a document by page, in the order of their threads: for pages that do not list theirs.
#[derive(Debug, Default)]
pub(super) struct Threads(HashMap<ObjectId, Vec<[f64; 4]>>);

impl Threads {
    /// Follows the threads of the catalog, each once around.
    pub(super) fn read(doc: &Document) -> Self {
        let mut pages: HashMap<ObjectId, Vec<[f64; 4]>> = HashMap::new();
        let mut seen: HashSet<ObjectId> = HashSet::new();
        let catalog = dict_entry(doc, &doc.trailer, b"Root");
        let threads = catalog.and_then(|catalog| entry(doc, catalog, b"Threads")?.as_array().ok());
        for thread in threads.into_iter().flatten() {
            let thread = resolve(doc, thread).and_then(|thread| thread.as_dict().ok());
            let mut next = thread.and_then(|thread| thread.get(b"F").and_then(Object::as_reference).ok());
            while let Some(id) = next.filter(|_| seen.len() < MAX_BEADS).filter(|id| seen.insert(*id)) {
                let Ok(bead) = doc.get_dictionary(id) else { break };
                if let (Ok(page), Some(area)) = (bead.get(b"P").and_then(Object::as_reference), area(doc, bead)) {
                    pages.entry(page).or_default().push(area);
                }
                next = bead.get(b"N").and_then(Object::as_reference).ok();
            }
        }
        Self(pages)
    }

    /// The beads of a page, in reading order. A page that is read turned has none.
    pub(super) fn beads(&self, doc: &Document, page: ObjectId, content: &PageContent) -> Vec<Bead> {
        let Ok(dict) = doc.get_dictionary(page) else { return Vec::new() };
        let listed = entry(doc, dict, b"B").and_then(|beads| beads.as_array().ok());
        let beads =
            listed.into_iter().flatten().take(MAX_ON_PAGE).filter_map(|bead| resolve(doc, bead)?.as_dict().ok());
        let mut areas: Vec<[f64; 4]> = beads.filter_map(|bead| area(doc, bead)).collect();
        if areas.is_empty() {
            areas.extend(self.0.get(&page).into_iter().flatten().take(MAX_ON_PAGE));
        }
        if areas.is_empty() || content.quarters > 0 {
            return Vec::new();
        }
        let (to_page, ..) = page_space(doc, dict);
        areas.into_iter().map(|area| displayed(area, to_page)).collect()
    }
}

fn area(doc: &Document, bead: &Dictionary) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = entry(doc, bead, b"R")?
        .as_array()
        .ok()?
        .iter()
        .filter_map(|item| resolve(doc, item).and_then(number))
        .collect();
    numbers.try_into().ok()
}

fn displayed([a, b, c, d]: [f64; 4], to_page: Matrix) -> Bead {
    let corner = |x, y| {
        let [.., x, y] = Matrix::shift(x, y).then(to_page).0;
        (x, y)
    };
    let (one, other) = (corner(a, b), corner(c, d));
    Bead { x0: one.0.min(other.0), y0: one.1.min(other.1), x1: one.0.max(other.0), y1: one.1.max(other.1) }
}

/// The glyphs of a page in groups to be read one after another: what lies above the beads, bead by bead, and the rest. One
/// group where there are no beads, or they do not cover the text.
pub(super) fn groups<'a>(glyphs: Vec<&'a Glyph>, beads: &[Bead]) -> Vec<Vec<&'a Glyph>> {
    let Some(top) = beads.iter().map(|bead| bead.y1).reduce(f64::max) else { return vec![glyphs] };
    let mut groups: Vec<Vec<&Glyph>> = vec![Vec::new(); beads.len() + 2];
    let (mut inside, mut all) = (0, 0);
    for &glyph in &glyphs {
        let found = beads.iter().position(|bead| bead.holds(glyph));
        all += usize::from(!is_space(glyph));
        inside += usize::from(found.is_some() && !is_space(glyph));
        let rest = if glyph.y >= top { 0 } else { beads.len() + 1 };
        groups[found.map_or(rest, |at| at + 1)].push(glyph);
    }
    if (inside as f64) < COVERED * all as f64 {
        return vec![glyphs];
    }
    groups
}

#[cfg(test)]
mod tests {
    use lopdf::{Object, ObjectId, dictionary};

    use super::super::sample::{Sample, saved, set};
    use super::super::{Limits, text_layer};

    const AREAS: [[i64; 4]; 3] = [[40, 600, 300, 720], [310, 600, 560, 720], [40, 400, 300, 520]];

    /// A page of three words in three boxes, a head above and a foot below, with beads that are read third, first, second.
    fn page(listed: bool, far: bool) -> Vec<u8> {
        let mut sample = Sample::new();
        let mut content = set("U", 10.0, 50.0, 760.0, "head") + &set("U", 10.0, 50.0, 60.0, "foot");
        for (area, word) in AREAS.iter().zip(["one", "two", "three"]) {
            content += &set("U", 10.0, area[0] as f64 + 10.0, area[3] as f64 - 20.0, word);
        }
        let ids: Vec<ObjectId> = AREAS.iter().map(|_| sample.doc.new_object_id()).collect();
        let order = [2_usize, 0, 1];
        let beads: Vec<Object> = order.iter().map(|&at| ids[at].into()).collect();
        sample.page_with(
            content.as_bytes(),
            if listed {
                dictionary! { "B" => beads }
            } else {
                dictionary! {}
            },
        );
        let mut doc = sample.finish();
        let page = doc.page_iter().next().unwrap();
        for (place, &at) in order.iter().enumerate() {
            let area: Vec<Object> = AREAS[at].iter().map(|&x| (if far { x + 5000 } else { x }).into()).collect();
            // The last bead leads to the second, so that whoever only looks out for the first goes around for ever.
            let next = ids[order[if place == 2 { 1 } else { place + 1 }]];
            doc.objects.insert(ids[at], dictionary! { "N" => next, "P" => page, "R" => area }.into());
        }
        let root = doc.trailer.get(b"Root").and_then(Object::as_reference).unwrap();
        let threads = vec![dictionary! { "F" => ids[2] }.into()];
        doc.get_dictionary_mut(root).unwrap().set("Threads", Object::Array(threads));
        saved(doc)
    }

    #[test]
    fn beads_give_the_order_whether_the_page_lists_them_or_the_thread_alone() {
        for listed in [true, false] {
            let text = text_layer(&page(listed, false), &Limits::default()).unwrap();
            assert_eq!(text, ["head\nthree\none\ntwo\nfoot"], "{listed}");
        }
    }

    #[test]
    fn beads_that_do_not_cover_the_text_say_nothing() {
        assert_eq!(text_layer(&page(true, true), &Limits::default()).unwrap(), ["head\none two\nthree\nfoot"]);
    }
}
