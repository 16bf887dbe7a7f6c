//! Both languages' texts, their vectors and their lists, for as long as a run needs them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rayon::prelude::*;

use super::super::{Look, combined};
use super::search::Found;
use crate::error::{Error, Result};
use crate::index::{Exact, Neighbours};
use crate::model::ModelId;
use crate::model::torch::compute::Device;
use crate::record::id::IdMap;
use crate::record::{SentenceId, TextId};
use crate::store::Store;
use crate::store::neighbours::Direction;

/// Both languages' texts with their vectors and lists.
#[derive(Debug)]
pub struct Pools {
    /// Source texts, by id.
    pub sources: Vec<TextId>,
    /// Target texts, by id.
    pub targets: Vec<TextId>,
    /// Fingerprint of both lists and the model.
    pub fingerprint: String,
    /// Fingerprint of the first sentences that hold the texts.
    pub places: String,
    /// Exact search over either, which packs its vectors once for all that they are needed for.
    vectors: Option<(Arc<Exact>, Arc<Exact>)>,
    /// The index over the texts that are found, by direction.
    pub(super) indexes: HashMap<Direction, Found>,
    /// Texts of each direction that wait for a list, by id, once the refresh is done.
    waiting: HashMap<Direction, VecDeque<TextId>>,
    /// The lists, once they are needed.
    lists: HashMap<Direction, Lists>,
    /// Whether there were no lists before this run's texts, so that those there are know all texts.
    from_scratch: bool,
}

/// A direction's lists, by row.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Nearest first, by row of the texts that are found; an empty one: none.
    pub(super) entries: Neighbours,
    /// Of each list, whether no text can be missing that waits itself: it was made in this run, among all.
    pub(super) complete: Vec<bool>,
    /// Texts whose list is of no use any more: they vanished, or too many of their neighbours did.
    pub(super) gone: Vec<TextId>,
    /// Rows whose list has lost a neighbour and has enough.
    pub(super) shortened: Vec<usize>,
}

/// Texts that search, texts that are found, and the vectors of both.
pub(super) type Side<'a> = (&'a [TextId], &'a [TextId], &'a Arc<Exact>, &'a Arc<Exact>);

/// What the refresh says when it found no list.
const FROM_SCRATCH: &str = "from scratch";

impl Pools {
    pub(super) fn list(look: &Look<'_>, model: &ModelId) -> Result<Self> {
        let without = look.store.texts_without(&model.0)?;
        let pool = |language| -> Result<Vec<(TextId, SentenceId)>> {
            let mut texts = look.store.pool(language)?;
            texts.retain(|(text, _)| !without.contains(text));
            Ok(texts)
        };
        let (sources, targets) = (pool(look.languages.source)?, pool(look.languages.target)?);
        let (mut hasher, mut places) = (blake3::Hasher::new(), blake3::Hasher::new());
        for pool in [&sources, &targets] {
            hasher.update(&(pool.len() as u64).to_le_bytes());
            pool.iter().for_each(|(text, first)| {
                hasher.update(&text.0.to_le_bytes());
                places.update(&first.0.to_le_bytes());
            });
        }
        let texts = |pool: Vec<(TextId, SentenceId)>| pool.into_iter().map(|(text, _)| text).collect();
        let fingerprint = combined(&[hasher.finalize().to_hex().as_str(), &model.0]);
        Ok(Self {
            sources: texts(sources),
            targets: texts(targets),
            fingerprint,
            places: places.finalize().to_hex()[..32].to_owned(),
            vectors: None,
            indexes: HashMap::new(),
            waiting: HashMap::new(),
            lists: HashMap::new(),
            from_scratch: false,
        })
    }

    /// The texts of a direction: those that search, those that are found.
    pub(super) fn texts(&self, direction: Direction) -> (&[TextId], &[TextId]) {
        match direction {
            Direction::Forward => (&self.sources, &self.targets),
            Direction::Backward => (&self.targets, &self.sources),
        }
    }

    /// Opens the vectors of both pools.
    pub(super) fn open(&mut self, store: &Store, model: &ModelId, device: Device) -> Result<()> {
        if self.vectors.is_none() {
            let mut reader = store.vectors(&model.0);
            let mut open =
                |texts: &[TextId]| -> Result<_> { Ok(Arc::new(Exact::on(Arc::new(reader.stored(texts)?), device))) };
            self.vectors = Some((open(&self.sources)?, open(&self.targets)?));
        }
        Ok(())
    }

    /// One direction's view of the pools.
    pub(super) fn side(&self, direction: Direction) -> Result<Side<'_>> {
        let (source, target) = self.vectors.as_ref().ok_or_else(|| Error::bug("the pools' vectors are not open"))?;
        let (own, others) = self.texts(direction);
        Ok(match direction {
            Direction::Forward => (own, others, source, target),
            Direction::Backward => (own, others, target, source),
        })
    }

    /// What the refresh answers of itself, for a run that goes on after it.
    pub(super) fn fingerprint_of_refresh(&self) -> String {
        let is_empty = |lists: &Lists| lists.entries.iter().all(Vec::is_empty);
        if self.lists.values().all(is_empty) { FROM_SCRATCH.into() } else { self.fingerprint.clone() }
    }

    /// Takes note of what the refresh of these pools answered.
    pub(super) fn refreshed(&mut self, output: &str) {
        self.from_scratch = output == FROM_SCRATCH;
    }

    /// Texts of a direction that wait for a list, by id.
    pub(super) fn waiting(&mut self, look: &Look<'_>, direction: Direction) -> Result<&mut VecDeque<TextId>> {
        if !self.waiting.contains_key(&direction) {
            let waiting = match self.lists.get(&direction) {
                Some(lists) => {
                    let rows = lists.entries.iter().zip(self.texts(direction).0);
                    rows.filter(|(list, _)| list.is_empty()).map(|(_, text)| *text).collect()
                }
                None => self.without_list(look, direction)?,
            };
            self.waiting.insert(direction, waiting);
        }
        self.waiting.get_mut(&direction).ok_or_else(|| Error::bug("what waits was just listed"))
    }

    /// Texts of a direction without a list, without reading the lists.
    fn without_list(&self, look: &Look<'_>, direction: Direction) -> Result<VecDeque<TextId>> {
        let mut listed = look.store.listed_texts(&look.scope(), direction, look.key)?.into_iter().peekable();
        let mut waiting = VecDeque::new();
        for text in self.texts(direction).0 {
            while listed.next_if(|other| other < text).is_some() {}
            if listed.peek() != Some(text) {
                waiting.push_back(*text);
            }
        }
        Ok(waiting)
    }

    /// A direction's lists, with room to change them. Those of the store that name vanished texts are shortened, and gone
    /// when fewer than `k` are left.
    pub(super) fn lists(&mut self, look: &Look<'_>, key: &str, direction: Direction, k: usize) -> Result<&mut Lists> {
        if !self.lists.contains_key(&direction) {
            let lists = self.read(look, key, direction, k)?;
            self.lists.insert(direction, lists);
        }
        self.lists.get_mut(&direction).ok_or_else(|| Error::bug("the lists were just read"))
    }

    fn read(&self, look: &Look<'_>, key: &str, direction: Direction, k: usize) -> Result<Lists> {
        let (own, others) = self.texts(direction);
        let stored = look.store.neighbour_lists(&look.scope(), direction, key)?;
        let row_of: IdMap<TextId, usize> = others.iter().enumerate().map(|(row, text)| (*text, row)).collect();
        let alive: Vec<(Vec<(usize, f32)>, bool)> = (0..stored.texts.len())
            .into_par_iter()
            .map(|number| {
                let list = stored.list(number);
                let (length, mut named) = (list.len(), Vec::with_capacity(list.len()));
                named.extend(list.filter_map(|(text, cosine)| Some((*row_of.get(&text)?, cosine))));
                let lost = named.len() < length;
                (named, lost)
            })
            .collect();
        let mut lists = Lists {
            entries: vec![Vec::new(); own.len()],
            complete: vec![self.from_scratch; own.len()],
            ..Lists::default()
        };
        // Both are sorted by id.
        let mut row = 0;
        for (text, (list, lost)) in stored.texts.into_iter().zip(alive) {
            row += own[row..].partition_point(|other| *other < text);
            if own.get(row) != Some(&text) || (lost && list.len() < k) {
                lists.gone.push(text);
                continue;
            }
            if lost {
                lists.shortened.push(row);
            }
            lists.entries[row] = list;
        }
        Ok(lists)
    }

    /// Both directions' lists, forward first, for whoever needs them last: they, vectors and indexes are read again the
    /// next time.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn take_lists(&mut self, look: &Look<'_>, key: &str, k: usize) -> Result<(Neighbours, Neighbours)> {
        self.indexes.clear();
        self.vectors = None;
        let mut take = |direction| -> Result<Neighbours> {
            let mut lists = std::mem::take(self.lists(look, key, direction, k)?).entries;
            self.lists.remove(&direction);
            lists.iter_mut().for_each(|list| list.truncate(k));
            Ok(lists)
        };
        Ok((take(Direction::Forward)?, take(Direction::Backward)?))
    }
}

impl Lists {
    /// The cosine from which on a text enters each list: ∞ where there is none or nothing can be missing. `known` is the
    /// number of texts that the lists know.
    pub(super) fn floors(&self, room: usize, known: usize) -> Vec<f32> {
        let floor = |(list, complete): (&Vec<(usize, f32)>, &bool)| match list.last() {
            None => f32::INFINITY,
            Some(_) if *complete => f32::INFINITY,
            // All that it could hold.
            Some(_) if list.len() < room && list.len() >= known => f32::NEG_INFINITY,
            Some((_, cosine)) => *cosine,
        };
        self.entries.iter().zip(&self.complete).map(floor).collect()
    }

    /// Whether any list may lack a text that waits.
    pub(super) fn want_offers(&self) -> bool {
        self.entries.iter().zip(&self.complete).any(|(list, complete)| !list.is_empty() && !complete)
    }

    /// Puts what was offered in its place; answers whether the list is another now.
    pub(super) fn take_in(&mut self, row: usize, offered: impl Iterator<Item = (usize, f32)>, room: usize) -> bool {
        let list = &mut self.entries[row];
        let mut changed = false;
        for (other, cosine) in offered {
            if list.iter().any(|(known, _)| *known == other) {
                continue;
            }
            // The order of an exact search: cosine, then id, since pools are sorted by id.
            let at = list
                .partition_point(|(known, own)| own.total_cmp(&cosine).is_gt() || (*own == cosine && *known < other));
            if at < room {
                list.insert(at, (other, cosine));
                list.truncate(room);
                changed = true;
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::VectorIndex as _;
    use crate::record::Vectors;

    const K: usize = 2;
    const ROOM: usize = 4;

    /// Lists of some rows among others of which some are there, as a search finds them.
    fn searched(own: &Vectors, others: &Vectors, there: &[usize]) -> Neighbours {
        let found = Exact::new(Arc::new(others.picked(there.iter().copied()))).search(own, ROOM).unwrap();
        let named = |list: Vec<(usize, f32)>| list.into_iter().map(|(row, cosine)| (there[row], cosine)).collect();
        found.into_iter().map(named).collect()
    }

    proptest! {
        /// Nights on which some texts come and some vanish: the lists are those of a search among all that are there.
        #[test]
        fn mended_lists_equal_lists_from_scratch(
            own in proptest::collection::vec(-1.0_f32..1.0, 3 * 4),
            others in proptest::collection::vec(-1.0_f32..1.0, 3 * 16),
            nights in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 16), 1..5),
        ) {
            // Shifted, so that no row is zero; in steps, so that some are equally near.
            let vectors = |numbers: &[f32]| {
                Vectors::normalised(3, numbers.iter().map(|x| (x * 4.0).round() + 6.0).collect()).unwrap()
            };
            let (own, others) = (vectors(&own), vectors(&others));
            let there = |night: &[bool]| -> Vec<usize> { (0..16).filter(|row| night[*row]).collect() };
            let mut before: Vec<usize> = there(&nights[0]);
            let mut lists = Lists { entries: searched(&own, &others, &before), ..Lists::default() };
            for night in &nights {
                let now = there(night);
                lists.complete = vec![false; 4];
                for list in &mut lists.entries {
                    list.retain(|(other, _)| now.contains(other));
                    if list.len() < K {
                        list.clear();
                    }
                }
                let (old, new): (Vec<usize>, Vec<usize>) = now.iter().partition(|row| before.contains(row));
                // New ones come in two batches.
                let mut known = old.len();
                for batch in [&new[..new.len() / 2], &new[new.len() / 2..]] {
                    let floors = lists.floors(ROOM, known);
                    for (row, offered) in searched(&own, &others, batch).into_iter().enumerate() {
                        lists.take_in(row, offered.into_iter().filter(|(_, cosine)| *cosine >= floors[row]), ROOM);
                    }
                    known += batch.len();
                }
                for (row, list) in searched(&own, &others, &now).into_iter().enumerate() {
                    let k = K.min(now.len());
                    if lists.entries[row].is_empty() {
                        lists.entries[row] = list;
                    } else {
                        prop_assert_eq!(&lists.entries[row][..k], &list[..k]);
                    }
                }
                before = now;
            }
        }
    }
}
