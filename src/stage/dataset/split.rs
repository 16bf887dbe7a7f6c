//! Which examples train, which develop and which test: by groups, so that no split knows anything of another.
//!
//! Documents that translate each other are one group, and so are the documents and texts that judged text pairs join, and
//! near duplicates. A group goes to one split as a whole.
//!
//! A split that was assigned is kept in the store and never changes by itself: the group of a text pair with an assigned
//! split has that split. A group without one draws it by the hash of its first member. When groups with different splits
//! grow together, what was assigned stays, and what is new in them goes into no split, since it would leak.
//!
//! A text that stands in many documents (see `FREQUENT`) does not join them: else one "thank you" would chain a corpus into
//! one group. Its text pair is a group by its texts alone.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::record::{DocumentId, Pair, PairId};
use crate::text::dedup::dedup_key;

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

    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    fn bit(self) -> u8 {
        1 << self as u8
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

/// Groups of documents and texts, and their splits. Memory: some 50 bytes a document and judged text.
#[derive(Debug)]
pub struct Splitter {
    seed: u64,
    dev: f64,
    test: f64,
    places: HashMap<i64, usize>,
    above: RefCell<Vec<usize>>,
    /// The lowest document of the group of a root; of a group of texts alone, the lowest text.
    first: Vec<(bool, i64)>,
    /// Splits assigned to members of the group of a root, as bits.
    assigned: Vec<u8>,
}

impl Splitter {
    /// No groups yet. `dev` and `test` are shares, 0 to 1.
    pub fn new(seed: u64, dev: f64, test: f64) -> Self {
        Self {
            seed,
            dev,
            test,
            places: HashMap::new(),
            above: RefCell::default(),
            first: Vec::new(),
            assigned: Vec::new(),
        }
    }

    /// These documents belong together.
    pub fn join_documents(&mut self, one: DocumentId, other: DocumentId) {
        let (one, other) = (self.place(one.0, false), self.place(other.0, false));
        self.unite(one, other);
    }

    /// Both texts of a pair belong together, and, unless one of them is frequent, both documents.
    pub fn join(&mut self, pair: &Pair, is_frequent: bool) {
        let texts = [self.text(&pair.source.text), self.text(&pair.target.text)];
        self.unite(texts[0], texts[1]);
        if is_frequent {
            return;
        }
        for document in [pair.source.document, pair.target.document].into_iter().flatten() {
            let document = self.place(document.0, false);
            self.unite(texts[0], document);
        }
    }

    /// The texts of a pair stand in this document too.
    pub fn join_occurrence(&mut self, pair: &Pair, document: DocumentId) {
        let (text, document) = (self.text(&pair.source.text), self.place(document.0, false));
        self.unite(text, document);
    }

    /// The texts of two pairs, which nearly repeat each other, belong together.
    pub fn join_near(&mut self, one: (&str, &str), other: (&str, &str)) {
        let (one, other) = ([self.text(one.0), self.text(one.1)], [self.text(other.0), self.text(other.1)]);
        self.unite(one[0], other[0]);
        self.unite(one[1], other[1]);
    }

    /// The split of a pair that was joined is this one since an earlier run.
    pub fn assign(&mut self, pair: &Pair, part: Part) {
        let place = self.text(&pair.source.text);
        let root = self.root(place);
        self.assigned[root] |= part.bit();
    }

    /// The split of a pair that was joined; `None`: its group has members in several splits.
    pub fn part_of(&self, pair: &Pair) -> Option<Part> {
        let key = text_key(&pair.source.text);
        self.places.get(&key).map_or_else(|| Some(self.draw((true, key))), |place| self.part_at(*place))
    }

    /// The split of a text of a document. A text that no judged pair holds goes with its document.
    pub fn part_of_text(&self, text: &str, document: DocumentId) -> Option<Part> {
        match self.places.get(&text_key(text)).or_else(|| self.places.get(&document.0)) {
            Some(place) => self.part_at(*place),
            None => Some(self.draw((false, document.0))),
        }
    }

    /// Whether nothing of a pair that was not joined stands in another split than the training split.
    pub fn may_train(&self, texts: &[String; 2], documents: [Option<DocumentId>; 2]) -> bool {
        let texts = texts.iter().filter_map(|text| self.places.get(&text_key(text)));
        let parts = texts.map(|place| self.part_at(*place));
        let of_documents = documents.into_iter().flatten().map(|document| match self.places.get(&document.0) {
            Some(place) => self.part_at(*place),
            None => Some(self.draw((false, document.0))),
        });
        parts.chain(of_documents).all(|part| part == Some(Part::Train))
    }

    fn text(&mut self, text: &str) -> usize {
        self.place(text_key(text), true)
    }

    fn place(&mut self, key: i64, is_text: bool) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.first.len();
        self.places.insert(key, place);
        self.first.push((is_text, key));
        self.above.get_mut().push(place);
        self.assigned.push(0);
        place
    }

    /// The root of a group. Paths are halved on the way, so that a look-up costs next to nothing.
    fn root(&self, mut place: usize) -> usize {
        let mut above = self.above.borrow_mut();
        while above[place] != place {
            let next = above[above[place]];
            above[place] = next;
            place = next;
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
        self.above.get_mut()[below] = top;
        self.assigned[top] |= self.assigned[below];
    }

    fn part_at(&self, place: usize) -> Option<Part> {
        let root = self.root(place);
        match self.assigned[root] {
            0 => Some(self.draw(self.first[root])),
            bits => Part::ALL.into_iter().find(|part| part.bit() == bits),
        }
    }

    /// The split that a group's first member draws.
    fn draw(&self, (_, key): (bool, i64)) -> Part {
        let drawn = PairId::of(&[b"part", &self.seed.to_be_bytes(), &key.to_be_bytes()]).0 as f64 / i64::MAX as f64;
        if drawn < self.test {
            Part::Test
        } else if drawn < self.test + self.dev {
            Part::Dev
        } else {
            Part::Train
        }
    }
}

/// A text's key, without case and punctuation. Never that of a document: it is hashed with a word of its own.
fn text_key(text: &str) -> i64 {
    PairId::of(&[b"text of a dataset", dedup_key(text).as_bytes()]).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn may_train(splitter: &Splitter, pair: &Pair) -> bool {
        let texts = [pair.source.text.clone(), pair.target.text.clone()];
        splitter.may_train(&texts, [pair.source.document, pair.target.document])
    }
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
            scores: crate::record::Scores::default(),
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
            pairs.iter().for_each(|pair| splitter.join(pair, false));
            let mut part_of: HashMap<String, Part> = HashMap::new();
            for pair in &pairs {
                let part = splitter.part_of(pair).unwrap();
                let sides = [(&pair.source, "s"), (&pair.target, "t")];
                let held = sides.iter().flat_map(|(side, name)| {
                    [Some(format!("{name} {}", side.text)), side.document.map(|id| id.to_string())].into_iter().flatten()
                });
                for thing in held {
                    prop_assert_eq!(*part_of.entry(thing).or_insert(part), part);
                }
                prop_assert_eq!(may_train(&splitter, pair), part == Part::Train);
            }
            for (a, b) in twins {
                let part = |id: i64| splitter.part_of_text("of no pair", DocumentId(id)).unwrap();
                prop_assert_eq!(part(a), part(b));
            }
        }
    }

    #[test]
    fn shares_are_kept_about_and_a_seed_changes_them() {
        let parts = |seed| -> Vec<Part> {
            let splitter = Splitter::new(seed, 0.1, 0.2);
            (1..=2_000).map(|id| splitter.part_of_text("x", DocumentId(id)).unwrap()).collect()
        };
        let count = |part| parts(1).into_iter().filter(|own| *own == part).count();
        assert!((150..250).contains(&count(Part::Dev)), "{}", count(Part::Dev));
        assert!((340..460).contains(&count(Part::Test)), "{}", count(Part::Test));
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
    }

    #[test]
    fn an_assigned_split_stays_whatever_joins_the_group() {
        for later in 1..60 {
            let mut splitter = Splitter::new(1, 0.4, 0.3);
            let (old, new) = (pair((50, 1), (105, 1)), pair((later, 2), (105, 2)));
            // The document that joins may have a lower id, which would draw for the group.
            splitter.join(&old, false);
            splitter.join(&new, false);
            splitter.assign(&old, Part::Test);
            assert_eq!((splitter.part_of(&old), splitter.part_of(&new)), (Some(Part::Test), Some(Part::Test)));
        }
    }

    #[test]
    fn the_documents_of_all_occurrences_are_one_group() {
        for second in 1..40 {
            let mut splitter = Splitter::new(1, 0.4, 0.3);
            let (one, other) = (pair((50, 1), (150, 1)), pair((second, 2), (second + 200, 2)));
            splitter.join(&one, false);
            splitter.join(&other, false);
            splitter.assign(&one, Part::Test);
            splitter.join_occurrence(&one, DocumentId(second + 200));
            assert_eq!(splitter.part_of(&other), Some(Part::Test));
        }
    }

    #[test]
    fn what_joins_two_splits_goes_into_none() {
        let mut splitter = Splitter::new(1, 0.1, 0.1);
        let (one, other) = (pair((1, 1), (101, 1)), pair((2, 2), (102, 2)));
        let bridge = pair((1, 3), (102, 3));
        for pair in [&one, &other, &bridge] {
            splitter.join(pair, false);
        }
        splitter.assign(&one, Part::Train);
        splitter.assign(&other, Part::Test);
        assert_eq!(splitter.part_of(&bridge), None);
        assert!(!may_train(&splitter, &bridge));
    }

    #[test]
    fn a_frequent_text_chains_no_documents_and_near_duplicates_stay_together() {
        let mut splitter = Splitter::new(1, 0.4, 0.3);
        for document in 1..=40 {
            splitter.join(&pair((document, 7), (document + 100, 7)), true);
            splitter.join(&pair((document, 100 + u32::try_from(document).unwrap()), (document + 100, 200)), true);
        }
        let parts: std::collections::HashSet<_> =
            (1..=40).map(|document| splitter.part_of_text("of no pair", DocumentId(document)).unwrap()).collect();
        assert_eq!(parts.len(), 3, "40 documents draw for themselves");

        let mut splitter = Splitter::new(1, 0.4, 0.3);
        let (one, other) = (pair((1, 1), (101, 1)), pair((2, 2), (102, 2)));
        splitter.join(&one, false);
        splitter.join(&other, false);
        splitter.join_near((&one.source.text, &one.target.text), (&other.source.text, &other.target.text));
        splitter.assign(&one, Part::Dev);
        assert_eq!(splitter.part_of(&other), Some(Part::Dev));
    }
}
