//! Approximate search on a navigable small-world graph (Malkov & Yashunin 2018).
//!
//! The graph works on 8-bit integers: most of a search is waiting for vectors from memory, and these are a quarter of
//! f32's size. That is only for finding: of more candidates than are asked for, the cosines are computed anew.
//!
//! ```text
//! rows ─ codes (i8) ─▶ rounds of new nodes: look, link, link back ─▶ graph ◀─▶ a file, for the next night
//! queries ─ codes ─▶ walk from level to level ─ 2 k candidates ─ cosine, f32 ─▶ k nearest
//! ```
//!
//! Built by any number of threads, the same rows give the same graph; rows that come later are inserted, rows that go
//! are passed through and not answered. What it misses is measured wherever it is used.
//!
//! Our own rather than hnsw_rs's: that spent more than half of its time on its shared pointers, hash tables and locks,
//! built twice as slowly as FAISS, and gave another graph each time. `benches/index.rs` measures both.
//!
//! Memory: a byte a number, and about `9 · links + 30` bytes a row, beside the rows themselves.

mod codes;
mod dump;
mod graph;
mod grow;
mod walks;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::graph::{Graph, NONE};
use self::walks::Walks;
use super::exact::Top;
use super::{Neighbours, VectorIndex, cosine, same_dimensions};
use crate::error::{Error, Result};
use crate::record::{Rows, Vectors};

/// How the graph is built and searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HnswParams {
    /// Links of a node, 2 to 256. More: better recall, more memory.
    pub links: usize,
    /// Candidates held while building. More: better graph, slower build.
    pub ef_construction: usize,
    /// Candidates held while searching, at least. More: better recall, slower search.
    pub ef_search: usize,
}

impl Default for HnswParams {
    fn default() -> Self {
        Self { links: 16, ef_construction: 200, ef_search: 128 }
    }
}

/// A graph over rows.
#[derive(Debug)]
pub struct Hnsw {
    rows: Arc<dyn Rows>,
    graph: Graph,
    /// The row of each node; [`NONE`] when it is gone.
    row_of: Vec<u32>,
    walks: Walks,
    ef_search: usize,
}

/// What became of a graph that was read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// Nodes that were there and still stand for a row.
    pub kept: usize,
    /// Nodes that were inserted.
    pub inserted: usize,
    /// Nodes that stand for no row any more.
    pub gone: usize,
}

/// Queries that a thread takes at a time.
const TAKEN: usize = 16;
/// When more than one in so many nodes is gone, the graph is built anew.
const GONE: usize = 4;

impl Hnsw {
    /// Builds the graph; the key of a row is its number.
    pub fn build(rows: Arc<dyn Rows>, params: HnswParams) -> Self {
        let keys: Vec<i64> = (0_i64..).take(rows.rows()).collect();
        Self::build_keyed(&keys, rows, params)
    }

    /// Builds the graph. `keys` name the rows, in their order, each once: by them a graph from a file finds its rows
    /// among those of another night.
    pub fn build_keyed(keys: &[i64], rows: Arc<dyn Rows>, params: HnswParams) -> Self {
        let graph = Graph::new(params.links.clamp(2, 256), rows.dim(), codes::step(&*rows));
        let mut hnsw = Self { rows, graph, row_of: Vec::new(), walks: Walks::default(), ef_search: params.ef_search };
        let all: Vec<usize> = (0..keys.len()).collect();
        hnsw.insert(keys, &all, params);
        hnsw
    }

    /// Reads a graph from a file and makes it one of these rows: new rows are inserted, nodes of rows that are not
    /// there any more are passed through. `None` when there is no file, when it is of other vectors (`of` says of which)
    /// or other parameters, or when too many rows are gone.
    ///
    /// # Errors
    /// Kind `Store`, with the path, when the file cannot be read or is damaged.
    pub fn open(
        path: &Path,
        of: &str,
        keys: &[i64],
        rows: Arc<dyn Rows>,
        params: HnswParams,
    ) -> Result<Option<(Self, Grown)>> {
        let Some(graph) = dump::read(path, of, params.links, params.ef_construction)? else { return Ok(None) };
        if graph.dim != rows.dim() {
            return Ok(None);
        }
        #[expect(clippy::cast_possible_truncation, reason = "rows are below 2³¹")]
        let mut row_of_key: HashMap<i64, u32> = keys.iter().enumerate().map(|(row, key)| (*key, row as u32)).collect();
        let row_of: Vec<u32> = graph.keys.iter().map(|key| row_of_key.remove(key).unwrap_or(NONE)).collect();
        let gone = row_of.iter().filter(|row| **row == NONE).count();
        if gone * GONE > row_of.len() {
            return Ok(None);
        }
        let mut new: Vec<usize> = row_of_key.into_values().map(|row| row as usize).collect();
        new.sort_unstable();
        let grown = Grown { kept: row_of.len() - gone, inserted: new.len(), gone };
        let mut hnsw = Self { rows, graph, row_of, walks: Walks::default(), ef_search: params.ef_search };
        hnsw.insert(keys, &new, params);
        Ok(Some((hnsw, grown)))
    }

    /// How many nodes [`Hnsw::open`] would find in a file, before their rows are looked for. 0 where it would not use it.
    pub fn kept(path: &Path, of: &str, params: HnswParams) -> usize {
        dump::nodes(path, of, params.links, params.ef_construction)
    }

    /// Writes the graph to a file, whole or not at all.
    ///
    /// # Errors
    /// Kind `Store`, with the path.
    pub fn save(&self, path: &Path, of: &str, params: HnswParams) -> Result<()> {
        dump::write(&self.graph, path, of, params.ef_construction)
    }

    fn insert(&mut self, keys: &[i64], new: &[usize], params: HnswParams) {
        let named = new.iter().map(|row| (keys[*row], *row));
        grow::insert(&mut self.graph, named, &*self.rows, params.ef_construction, &self.walks);
        #[expect(clippy::cast_possible_truncation, reason = "rows are below 2³¹")]
        self.row_of.extend(new.iter().map(|row| *row as u32));
    }

    /// Candidates held while searching.
    pub fn ef_search(&self) -> usize {
        self.ef_search
    }

    /// Holds more or fewer candidates from now on.
    pub fn set_ef_search(&mut self, ef_search: usize) {
        self.ef_search = ef_search;
    }
}

impl VectorIndex for Hnsw {
    fn search(&self, queries: &Vectors, k: usize) -> Result<Neighbours> {
        same_dimensions(queries, &*self.rows)?;
        if self.graph.top().is_none() || k == 0 {
            return Ok(vec![Vec::new(); queries.rows()]);
        }
        if queries.rows() > 0 && queries.dim() != self.graph.dim {
            return Err(Error::bug("a graph of other dimensions than its rows"));
        }
        // Near ones may have changed places in the rounding.
        let wanted = (2 * k).min(self.rows.rows());
        let ef = self.ef_search.max(wanted);
        let numbers: Vec<usize> = (0..queries.rows()).collect();
        let one = |query: &[f32], walk: &mut graph::Walk| {
            let mut code = Vec::with_capacity(query.len());
            codes::code(query, self.graph.step, &mut code);
            let from = self.graph.descend(&code, 0, walk);
            self.graph.search(&code, &[from], ef, 0, walk);
            let (mut top, mut buffer) = (Top::new(k), Vec::new());
            let rows = walk.beam.iter().map(|rank| self.row_of[rank.node() as usize]).filter(|row| *row != NONE);
            for row in rows.take(wanted) {
                top.offer(row as usize, cosine(query, self.rows.read(row as usize, &mut buffer)));
            }
            top.entries
        };
        Ok(numbers
            .par_chunks(TAKEN)
            .flat_map_iter(|taken| {
                self.walks.with(|walk| taken.iter().map(|query| one(queries.row(*query), walk)).collect::<Vec<_>>())
            })
            .collect())
    }
}

#[cfg(test)]
mod tests;
