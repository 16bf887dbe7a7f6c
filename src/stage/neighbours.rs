//! Neighbours: for each text the k nearest in the other language, kept in the store and mended as texts come and go.
//!
//! A night that adds 1 % of texts searches for those alone. Before that, one *refresh* mends the lists that exist:
//! lists with a vanished neighbour are dropped (their texts search again), and new texts are offered to all others'
//! lists, by exact comparison. With exact search the lists are those of a search from scratch, whatever the order of
//! nights; with a graph, its recall against exact search is measured on a sample of every batch, and the graph searches
//! more widely until that reaches a floor.
//!
//! A graph is kept in a file of the workspace and grows from night to night.
//!
//! A run from scratch searches both directions with one product; a run that is killed in it searches the second one anew.
//!
//! Memory: both pools' vectors, 5 bytes a number; the lists, 16 bytes a neighbour; and for each target text 12 bytes for
//! each of k + 32 candidates in a run from scratch, or 200 bytes for each text in a graph.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Listing, Look, Output, Records, Session, Stage, Unit, Work, combined};
use crate::error::{Error, ErrorKind, Result};
use crate::index::both::{Kind, Search};
use crate::index::hnsw::Grown;
use crate::index::{BothWays, Exact, Hnsw, HnswParams, Neighbours, Sample, VectorIndex as _};
use crate::model::ModelId;
use crate::model::torch::compute::Device;
use crate::record::{TextId, Vectors};
use crate::store::Store;
use crate::store::pairs::{Direction, NeighbourList};

/// Raised when the same vectors give other lists.
pub const VERSION: u32 = 1;

/// What changes neighbour lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// Neighbours of a text, in either direction.
    pub k: usize,
    /// Which index.
    pub index: Kind,
    /// The graph's settings.
    pub hnsw: HnswParams,
    /// Share of the exact neighbours that a graph must find on the sample, 0 to 1; under it, it searches more widely.
    pub min_recall: f64,
    /// What cannot change a list.
    pub limits: Limits,
}

/// What cannot change a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Texts of a unit.
    pub batch: usize,
    /// Texts of a batch whose neighbours are also looked for exactly, to measure recall.
    pub recall_sample: usize,
    /// Where exact search multiplies.
    pub device: Device,
}

impl Default for Params {
    fn default() -> Self {
        Self { k: 8, index: Kind::Auto, hnsw: HnswParams::default(), min_recall: 0.995, limits: Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch: 4_096, recall_sample: 200, device: Device::Auto }
    }
}

impl Params {
    fn search(&self) -> Search {
        Search { kind: self.index, graph: self.hnsw, min_recall: self.min_recall, device: self.limits.device }
    }
}

/// Both languages' texts with their vectors.
#[derive(Debug)]
pub struct Pools {
    /// Source texts, by id.
    pub sources: Vec<TextId>,
    /// Target texts, by id.
    pub targets: Vec<TextId>,
    /// Fingerprint of both lists and the model.
    pub fingerprint: String,
    /// Exact search over either, which packs its vectors once for all that they are needed for.
    vectors: Option<(Arc<Exact>, Arc<Exact>)>,
    /// The index over the texts that are found, by direction.
    indexes: HashMap<Direction, Found>,
    /// Texts of each direction that wait for a list, by id, once the refresh is done.
    waiting: HashMap<Direction, VecDeque<TextId>>,
}

/// An index over the texts that are found.
#[derive(Debug)]
enum Found {
    Exact(Arc<Exact>),
    /// Forward, when no text has a list yet: one product for both directions.
    Both(Box<BothWays>),
    /// Backward, after that: all lists, waiting to be written batch by batch.
    Ready(Neighbours),
    /// With what its recall is measured against.
    Graph(Box<Hnsw>, Arc<Exact>),
}

/// Figures for the summary.
type Figures = Vec<(&'static str, f64)>;

/// Texts that search, texts that are found, and the vectors of both.
type Side<'a> = (&'a [TextId], &'a [TextId], &'a Arc<Exact>, &'a Arc<Exact>);

impl Pools {
    fn list(look: &Look<'_>, model: &ModelId) -> Result<Self> {
        let (sources, targets) = (look.store.pool(look.languages.source)?, look.store.pool(look.languages.target)?);
        let mut hasher = blake3::Hasher::new();
        for pool in [&sources, &targets] {
            hasher.update(&(pool.len() as u64).to_le_bytes());
            pool.iter().for_each(|text| {
                hasher.update(&text.0.to_le_bytes());
            });
        }
        let fingerprint = combined(&[hasher.finalize().to_hex().as_str(), &model.0]);
        Ok(Self { sources, targets, fingerprint, vectors: None, indexes: HashMap::new(), waiting: HashMap::new() })
    }

    /// One direction's view of the pools.
    fn side(&self, direction: Direction) -> Result<Side<'_>> {
        let (source, target) = self.vectors.as_ref().ok_or_else(|| Error::bug("the pools' vectors are not loaded"))?;
        Ok(match direction {
            Direction::Forward => (&self.sources, &self.targets, source, target),
            Direction::Backward => (&self.targets, &self.sources, target, source),
        })
    }
}

/// The fingerprint of both pools: what mining depends on.
///
/// # Errors
/// Kind `Store`.
pub fn pools<'s>(look: &Look<'_>, model: &ModelId, session: &'s mut Session) -> Result<&'s Pools> {
    if session.pools.is_none() {
        session.pools = Some(Pools::list(look, model)?);
    }
    session.pools.as_ref().ok_or_else(|| Error::bug("the pools were just listed"))
}

/// First the refresh of the lists that exist, then batches of texts without a list.
///
/// # Errors
/// Kind `Store`.
pub fn units(look: &Look<'_>, params: &Params, model: &ModelId, session: &mut Session) -> Result<Listing> {
    pools(look, model, session)?;
    let pools = session.pools.as_mut().ok_or_else(|| Error::bug("the pools were just listed"))?;
    if pools.sources.is_empty() || pools.targets.is_empty() {
        return Ok(Listing::Next(None, 0));
    }
    let refresh = Unit::new(REFRESH, pools.fingerprint.clone());
    let done = look
        .store
        .units(Stage::Neighbours.name())?
        .remove(REFRESH)
        .is_some_and(|row| row.done && row.key == look.key && row.input == refresh.input);
    if !done {
        return Ok(Listing::Next(Some(refresh), 0));
    }
    for direction in [Direction::Forward, Direction::Backward] {
        if !pools.waiting.contains_key(&direction) {
            let missing = missing(look, pools, direction)?;
            pools.waiting.insert(direction, missing);
        }
        let waiting = &pools.waiting[&direction];
        if !waiting.is_empty() {
            let ids: Vec<String> = waiting.iter().take(params.limits.batch).map(TextId::to_string).collect();
            let input = combined(&ids.iter().map(String::as_str).collect::<Vec<_>>());
            return Ok(Listing::Next(Some(Unit::new(direction.name(), input)), waiting.len() as u64));
        }
    }
    Ok(Listing::Next(None, 0))
}

const REFRESH: &str = "refresh";

/// Texts of a direction without a list under the current key, by id.
fn missing(look: &Look<'_>, pools: &Pools, direction: Direction) -> Result<VecDeque<TextId>> {
    let have: HashSet<TextId> = look.store.listed_texts(direction, look.key)?.into_iter().collect();
    let texts = match direction {
        Direction::Forward => &pools.sources,
        Direction::Backward => &pools.targets,
    };
    Ok(texts.iter().filter(|text| !have.contains(text)).copied().collect())
}

/// Runs a unit here: the index is built once a run, and its search uses all threads by itself.
///
/// # Errors
/// Kind `Store`.
pub fn prepare(look: &Look<'_>, params: &Params, model: &ModelId, session: &mut Session, unit: &Unit) -> Result<Work> {
    let pools = session.pools.as_mut().ok_or_else(|| Error::bug("neighbours without pools"))?;
    if pools.vectors.is_none() {
        let mut reader = look.store.vectors(&model.0);
        let device = params.limits.device;
        let mut read =
            |texts: &[TextId]| -> Result<_> { Ok(Arc::new(Exact::on(Arc::new(reader.read(texts)?), device))) };
        pools.vectors = Some((read(&pools.sources)?, read(&pools.targets)?));
    }
    let output =
        if unit.name == REFRESH { refresh(look, params, pools)? } else { search(look, params, model, pools, unit)? };
    Ok(Box::new(move || Ok(output)))
}

/// Mends the lists that exist.
fn refresh(look: &Look<'_>, params: &Params, pools: &Pools) -> Result<Output> {
    let (mut put, mut delete, mut mended) = (Vec::new(), Vec::new(), 0_usize);
    let mut lists = HashMap::new();
    for direction in [Direction::Forward, Direction::Backward] {
        lists.insert(direction, look.store.neighbour_lists(direction, look.key)?);
    }
    for direction in [Direction::Forward, Direction::Backward] {
        let (own, others, own_vectors, other_vectors) = pools.side(direction)?;
        let own_rows: HashMap<TextId, usize> = own.iter().enumerate().map(|(row, text)| (*text, row)).collect();
        let alive: HashSet<TextId> = others.iter().copied().collect();
        let (kept, gone): (Vec<&NeighbourList>, Vec<&NeighbourList>) =
            lists[&direction].iter().partition(|(text, list)| {
                own_rows.contains_key(text) && list.iter().all(|(other, _)| alive.contains(other))
            });
        let mut gone: Vec<TextId> = gone.iter().map(|(text, _)| *text).collect();
        // Lists of another key are of no use any more.
        gone.extend(look.store.stale_lists(direction, look.key)?);
        let known: HashSet<TextId> = lists[&direction.reversed()].iter().map(|(text, _)| *text).collect();
        let new: Vec<usize> = (0..others.len()).filter(|row| !known.contains(&others[*row])).collect();
        let changed = if kept.is_empty() || new.is_empty() {
            Vec::new()
        } else {
            offer(&kept, &own_rows, own_vectors, others, other_vectors.rows(), &new, params.k)?
        };
        mended += changed.len() + gone.len();
        put.push((direction, changed));
        delete.push((direction, gone));
    }
    let records = Records::Neighbours { key: look.key.to_owned(), put, delete };
    Ok(Output { records, fingerprint: pools.fingerprint.clone(), counts: vec![("lists mended", mended as f64)] })
}

/// Lists that change when new texts are offered to them.
fn offer(
    lists: &[&NeighbourList],
    own_rows: &HashMap<TextId, usize>,
    own_vectors: &Exact,
    others: &[TextId],
    other_vectors: &Vectors,
    new: &[usize],
    k: usize,
) -> Result<Vec<NeighbourList>> {
    // What cannot enter a list is not looked at, and what has no list looks for nothing.
    let mut floors = vec![f32::INFINITY; own_vectors.rows().rows()];
    for (text, list) in lists {
        let last = list.last().filter(|_| list.len() >= k);
        floors[own_rows[text]] = last.map_or(f32::NEG_INFINITY, |(_, cosine)| *cosine);
    }
    let new_texts = Exact::new(Arc::new(other_vectors.picked(new.iter().copied())));
    let mut found = new_texts.search_above(own_vectors, k, &floors)?;
    Ok(lists
        .iter()
        .map(|list| (list, std::mem::take(&mut found[own_rows[&list.0]])))
        .filter_map(|((text, old), found)| {
            let mut list = old.clone();
            let added = found.into_iter().map(|(row, cosine)| (others[new[row]], cosine));
            list.extend(added.filter(|(other, _)| !old.iter().any(|(known, _)| known == other)));
            // The order of an exact search: cosine, then id, since pools are sorted by id.
            list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            list.truncate(k);
            (list != *old).then_some((*text, list))
        })
        .collect())
}

/// Searches for a batch of texts.
fn search(look: &Look<'_>, params: &Params, model: &ModelId, pools: &mut Pools, unit: &Unit) -> Result<Output> {
    let direction = if unit.name == Direction::Forward.name() { Direction::Forward } else { Direction::Backward };
    let waiting = pools.waiting.get_mut(&direction).ok_or_else(|| Error::bug("a search before its listing"))?;
    let batch: Vec<TextId> = waiting.drain(..waiting.len().min(params.limits.batch)).collect();
    let left = waiting.len();
    let mut counts = Vec::new();
    if !pools.indexes.contains_key(&direction) {
        let (index, grown) = index(look, params, model, pools, direction, batch.len() + left)?;
        pools.indexes.insert(direction, index);
        counts.extend(grown);
    }
    let mut index = pools.indexes.remove(&direction).ok_or_else(|| Error::bug("the index was just made"))?;
    let (own, others, own_vectors, _) = pools.side(direction)?;
    let row = |text: &TextId| own.binary_search(text).map_err(|_| Error::bug(format!("{text} is in no pool")));
    let batch_rows = batch.iter().map(row).collect::<Result<Vec<usize>>>()?;
    let queries = own_vectors.rows().picked(batch_rows.iter().copied());
    counts.push(("searched", batch.len() as f64));
    if !matches!(index, Found::Graph(..)) {
        counts.push(("searched in a graph", 0.0));
    }
    let found = match &mut index {
        Found::Exact(exact) => exact.search(&queries, params.k)?,
        Found::Both(both) => both.forward(&queries)?,
        Found::Ready(lists) => batch_rows.iter().map(|row| std::mem::take(&mut lists[*row])).collect(),
        Found::Graph(graph, exact) => {
            let sample = Sample::take(params.limits.recall_sample, &queries, exact, params.k)?;
            if params.search().widened(graph, &sample)?.is_some() {
                let found = graph.search(&queries, params.k)?;
                counts.extend([
                    ("searched in a graph", batch.len() as f64),
                    ("recall sample", sample.rows.len() as f64),
                    ("recall sum", sample.recall(&found) * sample.rows.len() as f64),
                ]);
                found
            } else {
                exact.search(&queries, params.k)?
            }
        }
    };
    let lists: Vec<NeighbourList> = batch
        .into_iter()
        .zip(found)
        .map(|(text, list)| (text, list.into_iter().map(|(row, cosine)| (others[row], cosine)).collect()))
        .collect();
    let records = Records::Neighbours { key: look.key.to_owned(), put: vec![(direction, lists)], delete: Vec::new() };
    pools.indexes.insert(direction, index);
    Ok(Output { records, fingerprint: unit.input.clone(), counts })
}

/// What a direction searches in, when so many texts wait; and figures for the summary.
fn index(
    look: &Look<'_>,
    params: &Params,
    model: &ModelId,
    pools: &mut Pools,
    direction: Direction,
    waiting: usize,
) -> Result<(Found, Figures)> {
    let forward = pools.indexes.remove(&Direction::Forward);
    let (own, others, _, exact) = pools.side(direction)?;
    let rows = exact.rows();
    if let Some(Found::Both(both)) = forward
        && both.seen() == others.len()
    {
        return Ok((Found::Ready(both.backward(rows)?), Vec::new()));
    }
    let (search, file) = (params.search(), graph_file(look.store, direction));
    let from_scratch = direction == Direction::Forward && waiting == own.len();
    // One product for both directions: half of it is for this one.
    let queries = if from_scratch { waiting / 2 } else { waiting };
    if search.is_exact(queries, rows, Hnsw::kept(&file, &model.0, params.hnsw))? {
        let index = if from_scratch && !search.is_on_gpu()? {
            Found::Both(Box::new(BothWays::new(Arc::clone(rows), params.k)?))
        } else {
            Found::Exact(Arc::clone(exact))
        };
        return Ok((index, Vec::new()));
    }
    let (graph, grown) = graph(&file, &model.0, others, rows, params.hnsw)?;
    Ok((Found::Graph(Box::new(graph), Arc::clone(exact)), grown))
}

/// Where the graph of the texts that a direction finds is kept from night to night. It is a cache: without it, it is built.
fn graph_file(store: &Store, direction: Direction) -> PathBuf {
    store.graphs_folder().join(format!("{}.hnsw", direction.name()))
}

/// The graph of the night before with the new texts in it, or one from scratch; and what became of it, for the summary.
fn graph(file: &Path, of: &str, texts: &[TextId], rows: &Arc<Vectors>, params: HnswParams) -> Result<(Hnsw, Figures)> {
    let keys: Vec<i64> = texts.iter().map(|text| text.0).collect();
    let (opened, damaged) = match Hnsw::open(file, of, &keys, rows, params) {
        Ok(opened) => (opened, 0.0),
        // Nothing is lost: what it was made of is in the store.
        Err(error) if error.kind() == ErrorKind::Store => (None, 1.0),
        Err(error) => return Err(error),
    };
    let (graph, grown) = opened.unwrap_or_else(|| {
        let grown = Grown { kept: 0, inserted: keys.len(), gone: 0 };
        (Hnsw::build_keyed(&keys, Arc::clone(rows), params), grown)
    });
    if grown.inserted > 0 {
        graph.save(file, of, params)?;
    }
    let counts = vec![
        ("graph nodes kept", grown.kept as f64),
        ("graph nodes inserted", grown.inserted as f64),
        ("graph nodes gone", grown.gone as f64),
        ("graphs damaged", damaged),
    ];
    Ok((graph, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(numbers: &[f32]) -> Vectors {
        // Shifted, so that no row is zero.
        Vectors::normalised(3, numbers.iter().map(|x| x + 2.0).collect()).unwrap()
    }

    proptest::proptest! {
        /// Lists made when some texts were not there yet, mended when they came, are those of a search among all.
        #[test]
        fn mended_lists_equal_lists_from_scratch(
            own in proptest::collection::vec(-1.0_f32..1.0, 3 * 4),
            others in proptest::collection::vec(-1.0_f32..1.0, 3 * 12),
            known in proptest::collection::vec(proptest::bool::ANY, 12),
            k in 1_usize..5,
        ) {
            let (own, others) = (vectors(&own), vectors(&others));
            let ids: Vec<TextId> = (0..12).map(TextId).collect();
            let own_rows: HashMap<TextId, usize> = (0..4).map(|row| (TextId(row as i64 + 100), row)).collect();
            let as_lists = |found: Neighbours, rows: &[usize]| -> Vec<NeighbourList> {
                let named = |list: Vec<(usize, f32)>| list.into_iter().map(|(row, cosine)| (ids[rows[row]], cosine)).collect();
                found.into_iter().enumerate().map(|(row, list)| (TextId(row as i64 + 100), named(list))).collect()
            };
            let subset = |wanted: bool| -> Vec<usize> { (0..12).filter(|row| known[*row] == wanted).collect() };
            let gather = |rows: &[usize]| others.picked(rows.iter().copied());
            let (old, new) = (subset(true), subset(false));
            let before = as_lists(Exact::new(Arc::new(gather(&old))).search(&own, k).unwrap(), &old);
            let mut mended: HashMap<TextId, Vec<(TextId, f32)>> = before.iter().cloned().collect();
            let lists: Vec<&NeighbourList> = before.iter().collect();
            mended.extend(offer(&lists, &own_rows, &Exact::new(Arc::new(own.clone())), &ids, &others, &new, k).unwrap());
            let all: Vec<usize> = (0..12).collect();
            for (text, list) in as_lists(Exact::new(Arc::new(others.clone())).search(&own, k).unwrap(), &all) {
                proptest::prop_assert_eq!(&mended[&text], &list);
            }
        }
    }
}
