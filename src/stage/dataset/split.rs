//! Which examples train, which develop and which test: by documents, so that no part knows anything of another.
//!
//! Documents that translate each other belong together, and so do all documents and texts that judged pairs join. Such a
//! group goes to one part as a whole, by lot. The lot is drawn by the group's first document, so that a group keeps its
//! part while the corpus grows, unless two groups grow together.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::record::{DocumentId, Pair, PairId};
use crate::text::normalise::fold;

/// A part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// To train on.
    Train,
    /// To choose settings by.
    Dev,
    /// To report figures on.
    Test,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }

    /// Its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Train => "train.jsonl",
            Self::Dev => "dev.jsonl",
            Self::Test => "test.jsonl",
        }
    }
}

/// Groups of documents and texts, and their parts. Memory: some 40 bytes a document and judged text.
#[derive(Debug)]
pub struct Splitter {
    seed: u64,
    dev: f64,
    test: f64,
    places: HashMap<i64, usize>,
    keys: Vec<i64>,
    above: Vec<usize>,
    /// The lowest document of the group of a root; of a group of texts alone, the lowest text.
    first: Vec<(bool, i64)>,
}

impl Splitter {
    /// No groups yet. `dev` and `test` are shares, 0 to 1.
    pub fn new(seed: u64, dev: f64, test: f64) -> Self {
        Self { seed, dev, test, places: HashMap::new(), keys: Vec::new(), above: Vec::new(), first: Vec::new() }
    }

    /// These documents belong together.
    pub fn join_documents(&mut self, one: DocumentId, other: DocumentId) {
        let (one, other) = (self.document(one), self.document(other));
        self.unite(one, other);
    }

    /// What a pair holds belongs together: both documents, both texts.
    pub fn join(&mut self, pair: &Pair) {
        let texts = [self.text(&pair.source.text), self.text(&pair.target.text)];
        self.unite(texts[0], texts[1]);
        for document in [pair.source.document, pair.target.document].into_iter().flatten() {
            let document = self.document(document);
            self.unite(texts[0], document);
        }
    }

    /// The part of a pair that was joined.
    pub fn part_of(&self, pair: &Pair) -> Part {
        let key = text_key(&pair.source.text);
        self.places.get(&key).map_or_else(|| self.draw((true, key)), |place| self.part_at(*place))
    }

    /// The part of a text of a document. A text that no judged pair holds goes with its document.
    pub fn part_of_text(&self, text: &str, document: DocumentId) -> Part {
        match self.places.get(&text_key(text)).or_else(|| self.places.get(&document.0)) {
            Some(place) => self.part_at(*place),
            None => self.draw((false, document.0)),
        }
    }

    /// Whether nothing of a pair that was not joined stands in another part than the training part.
    pub fn may_train(&self, pair: &Pair) -> bool {
        let texts =
            [&pair.source.text, &pair.target.text].into_iter().filter_map(|text| self.places.get(&text_key(text)));
        let parts = texts.map(|place| self.part_at(*place));
        let documents = [pair.source.document, pair.target.document].into_iter().flatten();
        let of_documents = documents.map(|document| match self.places.get(&document.0) {
            Some(place) => self.part_at(*place),
            None => self.draw((false, document.0)),
        });
        parts.chain(of_documents).all(|part| part == Part::Train)
    }

    fn document(&mut self, id: DocumentId) -> usize {
        self.place(id.0, false)
    }

    fn text(&mut self, text: &str) -> usize {
        self.place(text_key(text), true)
    }

    fn place(&mut self, key: i64, is_text: bool) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.keys.len();
        self.places.insert(key, place);
        self.keys.push(key);
        self.above.push(place);
        self.first.push((is_text, key));
        place
    }

    fn root(&self, mut place: usize) -> usize {
        while self.above[place] != place {
            place = self.above[place];
        }
        place
    }

    fn unite(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        if one == other {
            return;
        }
        // The lowest stays on top, whatever the order in which groups meet.
        let (top, below) = if self.first[one] <= self.first[other] { (one, other) } else { (other, one) };
        self.above[below] = top;
    }

    fn part_at(&self, place: usize) -> Part {
        self.draw(self.first[self.root(place)])
    }

    /// The part that a group's first member draws.
    fn draw(&self, (_, key): (bool, i64)) -> Part {
        let lot = PairId::of(&[b"part", &self.seed.to_be_bytes(), &key.to_be_bytes()]).0 as f64 / i64::MAX as f64;
        if lot < self.test {
            Part::Test
        } else if lot < self.test + self.dev {
            Part::Dev
        } else {
            Part::Train
        }
    }
}

/// A text's key, without case and punctuation. Never that of a document: it is hashed with a word of its own.
fn text_key(text: &str) -> i64 {
    PairId::of(&[b"text of a dataset", fold(text).as_bytes()]).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Origin, Side};

    fn pair(source: (i64, u32), target: (i64, u32)) -> Pair {
        let side = |(document, text): (i64, u32), word: &str| Side {
            document: (document > 0).then_some(DocumentId(document)),
            sentences: Vec::new(),
            text: format!("{word} {text}"),
        };
        Pair {
            id: PairId(1),
            source: side(source, "текст"),
            target: side(target, "tekst"),
            origin: Origin::Mined,
            similarity: None,
            margin: None,
            score: 1.0,
            parent: None,
        }
    }

    proptest! {
        #[test]
        fn no_document_and_no_text_stands_in_two_parts(
            pairs in prop::collection::vec(((0..40_i64, 0..60_u32), (100..140_i64, 0..60_u32)), 1..60),
            twins in prop::collection::vec((1..40_i64, 100..140_i64), 0..10),
        ) {
            let mut splitter = Splitter::new(3, 0.3, 0.3);
            twins.iter().for_each(|(a, b)| splitter.join_documents(DocumentId(*a), DocumentId(*b)));
            let pairs: Vec<Pair> = pairs.into_iter().map(|(source, target)| pair(source, target)).collect();
            pairs.iter().for_each(|pair| splitter.join(pair));
            let mut part_of: HashMap<String, Part> = HashMap::new();
            for pair in &pairs {
                let part = splitter.part_of(pair);
                let sides = [(&pair.source, "s"), (&pair.target, "t")];
                let held = sides.iter().flat_map(|(side, name)| {
                    [Some(format!("{name} {}", side.text)), side.document.map(|id| id.to_string())].into_iter().flatten()
                });
                for thing in held {
                    prop_assert_eq!(*part_of.entry(thing).or_insert(part), part);
                }
                prop_assert_eq!(splitter.may_train(pair), part == Part::Train);
            }
            for (a, b) in twins {
                let part = |id: i64| splitter.part_of_text("of no pair", DocumentId(id));
                prop_assert_eq!(part(a), part(b));
            }
        }
    }

    #[test]
    fn shares_are_kept_about_and_a_seed_changes_them() {
        let parts = |seed| -> Vec<Part> {
            let splitter = Splitter::new(seed, 0.1, 0.2);
            (1..=2_000).map(|id| splitter.part_of_text("x", DocumentId(id))).collect()
        };
        let count = |part| parts(1).into_iter().filter(|own| *own == part).count();
        assert!((150..250).contains(&count(Part::Dev)), "{}", count(Part::Dev));
        assert!((340..460).contains(&count(Part::Test)), "{}", count(Part::Test));
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
    }

    #[test]
    fn a_group_keeps_its_part_while_it_grows() {
        let mut splitter = Splitter::new(1, 0.4, 0.3);
        splitter.join(&pair((5, 1), (105, 1)));
        let before = splitter.part_of(&pair((5, 1), (105, 1)));
        // More texts and a later document join.
        splitter.join(&pair((5, 2), (110, 2)));
        assert_eq!(splitter.part_of(&pair((5, 1), (105, 1))), before);
    }
}
