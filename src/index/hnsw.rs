//! Approximate search on a navigable small-world graph (Malkov & Yashunin 2018), through hnsw_rs.
//!
//! Vectors are inserted one after the other and the graph's levels come from a fixed seed, so the same rows give the
//! same graph. Distances that the graph works with are only for finding: the cosines answered are computed anew.

use std::sync::Arc;

use hnsw_rs::anndists::dist::distances::Distance;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::exact::Top;
use super::{Neighbours, VectorIndex, cosine, same_dimensions};
use crate::error::Result;
use crate::record::Vectors;

/// How the graph is built and searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HnswParams {
    /// Links of a node. More: better recall, more memory.
    pub links: usize,
    /// Candidates held while building. More: better graph, slower build.
    pub ef_construction: usize,
    /// Candidates held while searching. More: better recall, slower search.
    pub ef_search: usize,
}

impl Default for HnswParams {
    fn default() -> Self {
        Self { links: 16, ef_construction: 200, ef_search: 128 }
    }
}

/// 1 − cosine on unit vectors. hnsw_rs refuses negative distances, which rounding could give.
#[derive(Debug, Clone, Copy, Default)]
struct OneMinusCosine;

impl Distance<f32> for OneMinusCosine {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - cosine(a, b)).max(0.0)
    }
}

/// A graph over rows.
pub struct Hnsw {
    rows: Arc<Vectors>,
    graph: hnsw_rs::hnsw::Hnsw<'static, f32, OneMinusCosine>,
    ef_search: usize,
}

impl std::fmt::Debug for Hnsw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hnsw").field("rows", &self.rows.rows()).field("ef_search", &self.ef_search).finish()
    }
}

impl Hnsw {
    /// Builds the graph. Memory: the rows once more, and about `links × 16` bytes a row.
    pub fn build(rows: Arc<Vectors>, params: HnswParams) -> Self {
        let graph =
            hnsw_rs::hnsw::Hnsw::new(params.links, rows.rows().max(1), 16, params.ef_construction, OneMinusCosine);
        for (row, vector) in rows.iter().enumerate() {
            graph.insert((vector, row));
        }
        Self { rows, graph, ef_search: params.ef_search }
    }
}

impl VectorIndex for Hnsw {
    fn search(&self, queries: &Vectors, k: usize) -> Result<Neighbours> {
        same_dimensions(queries, &self.rows)?;
        if self.rows.rows() == 0 || k == 0 {
            return Ok(vec![Vec::new(); queries.rows()]);
        }
        Ok((0..queries.rows())
            .into_par_iter()
            .map(|query| {
                let query = queries.row(query);
                let mut top = Top::new(k);
                for neighbour in self.graph.search(query, k, self.ef_search.max(k)) {
                    top.offer(neighbour.d_id, cosine(query, self.rows.row(neighbour.d_id)));
                }
                top.entries
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Exact, recall};

    /// Points on a sphere from a small linear congruential generator: no crate, the same everywhere.
    fn points(count: usize, dim: usize) -> Vectors {
        let mut state = 1_u64;
        let data = (0..count * dim)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
            })
            .collect();
        Vectors::normalised(dim, data).unwrap()
    }

    #[test]
    fn it_finds_nearly_all_that_exact_search_finds_and_the_same_each_time() {
        let rows = Arc::new(points(2_000, 16));
        let queries = points(200, 16);
        let build = || Hnsw::build(Arc::clone(&rows), HnswParams::default()).search(&queries, 5).unwrap();
        let found = build();
        let exact = Exact::new(&rows).search(&queries, 5).unwrap();
        assert!(recall(&found, &exact).unwrap() > 0.95);
        assert_eq!(found, build());
    }

    #[test]
    fn an_empty_index_answers_nothing() {
        let rows = Arc::new(Vectors::empty(16));
        let found = Hnsw::build(rows, HnswParams::default()).search(&points(2, 16), 5).unwrap();
        assert_eq!(found, vec![vec![], vec![]]);
    }
}
