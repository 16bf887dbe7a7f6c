//! The two kinds of units: the refresh of the lists that are there, and the search for a batch of texts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{Commit, Look, Unit};
use super::Params;
use super::pools::Pools;
use crate::error::{Error, ErrorKind, Result};
use crate::index::both::Kind;
use crate::index::hnsw::Grown;
use crate::index::{BothWays, Exact, Hnsw, HnswParams, Neighbours, Offers, Sample, VectorIndex as _};
use crate::model::ModelId;
use crate::record::{Rows, TextId};
use crate::store::neighbours::{Direction, NeighbourList};

/// An index over the texts that are found.
#[derive(Debug)]
pub(super) enum Found {
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

pub(super) const REFRESH: &str = "refresh";

/// Takes vanished texts out of the lists.
pub(super) fn refresh(look: &Look<'_>, params: &Params, pools: &mut Pools) -> Result<Commit> {
    let (mut put, mut delete, mut mended) = (Vec::new(), Vec::new(), 0_usize);
    for direction in [Direction::Forward, Direction::Backward] {
        let lists = pools.lists(look, look.key, direction, params.k)?;
        let shortened: Vec<(usize, Vec<(usize, f32)>)> =
            std::mem::take(&mut lists.shortened).into_iter().map(|row| (row, lists.entries[row].clone())).collect();
        let mut gone = std::mem::take(&mut lists.gone);
        // Lists of another key are of no use any more.
        gone.extend(look.store.stale_lists(&look.scope(), direction, look.key)?);
        mended += shortened.len() + gone.len();
        put.push((direction, named(shortened, pools.texts(direction))));
        delete.push((direction, gone));
    }
    let commit = commit(look, params, pools.fingerprint_of_refresh(), put, delete);
    Ok(commit.count("lists mended", mended as f64).advancing(0))
}

/// Lists to delete and to write.
fn commit(
    look: &Look<'_>,
    params: &Params,
    output: String,
    put: Vec<(Direction, Vec<NeighbourList>)>,
    delete: Vec<(Direction, Vec<TextId>)>,
) -> Commit {
    let (scope, key, k) = (look.scope(), look.key.to_owned(), params.k);
    Commit::new(output, move |writer, _| {
        for (direction, texts) in &delete {
            writer.delete_neighbours(&scope, *direction, texts)?;
        }
        put.iter().try_for_each(|(direction, lists)| writer.put_neighbours(&scope, *direction, &key, k, lists))
    })
}

/// Lists by the ids of their texts.
fn named(lists: Vec<(usize, Vec<(usize, f32)>)>, (own, others): (&[TextId], &[TextId])) -> Vec<NeighbourList> {
    let by_id = |list: Vec<(usize, f32)>| list.into_iter().map(|(row, cosine)| (others[row], cosine)).collect();
    lists.into_iter().map(|(row, list)| (own[row], by_id(list))).collect()
}

/// Searches for a batch of texts, and offers them to the lists that do not know them.
pub(super) fn search(
    look: &Look<'_>,
    params: &Params,
    model: &ModelId,
    pools: &mut Pools,
    unit: &Unit,
) -> Result<Commit> {
    let direction = if unit.name == Direction::Forward.name() { Direction::Forward } else { Direction::Backward };
    pools.open(look.store, model, params.limits.device)?;
    let waiting = pools.waiting(look, direction)?;
    let batch: Vec<TextId> = waiting.drain(..waiting.len().min(params.limits.batch)).collect();
    let left = waiting.len();
    let known = pools.lists(look, look.key, direction, params.k)?.entries.iter().filter(|list| !list.is_empty());
    let known = known.count();
    let old = pools.lists(look, look.key, direction.reversed(), params.k)?;
    let floors = old.want_offers().then(|| old.floors(params.room(), known));
    let mut counts = Vec::new();
    if !pools.indexes.contains_key(&direction) {
        let (index, grown) = index(look, params, model, pools, direction, batch.len() + left, floors.is_some())?;
        pools.indexes.insert(direction, index);
        counts.extend(grown);
    }
    let mut index = pools.indexes.remove(&direction).ok_or_else(|| Error::bug("the index was just made"))?;
    let (own, _, own_vectors, other_vectors) = pools.side(direction)?;
    let row = |text: &TextId| own.binary_search(text).map_err(|_| Error::bug(format!("{text} is in no pool")));
    let rows = batch.iter().map(row).collect::<Result<Vec<usize>>>()?;
    counts.push(("searched", batch.len() as f64));
    if !matches!(index, Found::Graph(..)) {
        counts.push(("searched in a graph", 0.0));
    }
    let queries = own_vectors.rows().pick(&rows);
    let room = params.room();
    let mut offers = Offers::new();
    let found = match (&mut index, &floors) {
        (Found::Exact(exact), Some(floors)) => {
            let (found, met) = exact.search_and_offer(&queries, room, floors)?;
            offers = met;
            found
        }
        (Found::Exact(exact), None) => exact.search(&queries, room)?,
        (Found::Both(both), _) => both.forward(&queries)?,
        (Found::Ready(lists), _) => rows.iter().map(|row| std::mem::take(&mut lists[*row])).collect(),
        (Found::Graph(graph, exact), floors) => {
            if let Some(floors) = floors {
                offers = other_vectors.offer(&queries, room, floors)?;
            }
            let sample = Sample::take(params.limits.recall_sample, &queries, exact, params.k)?;
            if params.search().widened(graph, &sample)?.is_some() {
                let found = graph.search(&queries, room)?;
                counts.extend([
                    ("searched in a graph", batch.len() as f64),
                    ("recall sample", sample.rows.len() as f64),
                    ("recall sum", sample.recall(&found) * sample.rows.len() as f64),
                ]);
                found
            } else {
                exact.search(&queries, room)?
            }
        }
    };
    pools.indexes.insert(direction, index);
    let mut put = Vec::new();
    if !offers.is_empty() {
        let old = pools.lists(look, look.key, direction.reversed(), params.k)?;
        let mut changed = Vec::new();
        for (row, list) in offers {
            if old.take_in(row, list.into_iter().map(|(query, cosine)| (rows[query], cosine)), room) {
                changed.push((row, old.entries[row].clone()));
            }
        }
        counts.push(("lists mended", changed.len() as f64));
        put.push((direction.reversed(), named(changed, pools.texts(direction.reversed()))));
    }
    let lists = pools.lists(look, look.key, direction, params.k)?;
    for (row, list) in rows.iter().zip(&found) {
        (lists.entries[*row], lists.complete[*row]) = (list.clone(), true);
    }
    put.push((direction, named(rows.into_iter().zip(found).collect(), pools.texts(direction))));
    let searched = batch.len() as u64;
    Ok(commit(look, params, unit.input.clone(), put, Vec::new()).counts(counts).advancing(searched))
}

/// What a direction searches in, when so many texts wait; and figures for the summary. `offered`: whether they are to
/// be offered to old lists too.
fn index(
    look: &Look<'_>,
    params: &Params,
    model: &ModelId,
    pools: &mut Pools,
    direction: Direction,
    waiting: usize,
    offered: bool,
) -> Result<(Found, Figures)> {
    let forward = pools.indexes.remove(&Direction::Forward);
    let backward_waits = pools.waiting(look, Direction::Backward)?.len();
    let (own, others, _, exact) = pools.side(direction)?;
    let rows = exact.rows();
    if let Some(Found::Both(both)) = forward
        && both.seen() == others.len()
    {
        return Ok((Found::Ready(both.backward(&**rows)?), Vec::new()));
    }
    let (search, file) = (params.search(), graph_file(look, direction));
    let from_scratch = direction == Direction::Forward && waiting == own.len() && backward_waits == others.len();
    // The product that offers texts to old lists finds their own neighbours at no cost.
    let is_exact = (offered && search.kind == Kind::Auto)
        || search.is_exact((waiting, from_scratch), &**rows, Hnsw::kept(&file, &model.0, params.hnsw))?;
    if is_exact {
        let index = if from_scratch && !search.is_on_gpu()? {
            Found::Both(Box::new(BothWays::new(Arc::clone(rows), params.room())?))
        } else {
            Found::Exact(Arc::clone(exact))
        };
        return Ok((index, Vec::new()));
    }
    let (graph, grown) = graph(&file, &model.0, others, rows, params.hnsw)?;
    Ok((Found::Graph(Box::new(graph), Arc::clone(exact)), grown))
}

/// Where the graph of the texts that a direction finds of a language pair is kept from run to run. It is a cache: without it, it is built.
fn graph_file(look: &Look<'_>, direction: Direction) -> PathBuf {
    look.store.graphs_folder().join(format!("{}-{}.hnsw", look.scope(), direction.name()))
}

/// The graph of the night before with the new texts in it, or one from scratch; and what became of it, for the summary.
fn graph(file: &Path, of: &str, texts: &[TextId], rows: &Arc<dyn Rows>, params: HnswParams) -> Result<(Hnsw, Figures)> {
    let keys: Vec<i64> = texts.iter().map(|text| text.0).collect();
    let (opened, damaged) = match Hnsw::open(file, of, &keys, Arc::clone(rows), params) {
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
