//! Approximate search on a navigable small-world graph (Malkov & Yashunin 2018), through hnsw_rs.
//!
//! The graph works on 8-bit integers: most of a search is waiting for vectors from memory, and these are a quarter of
//! f32's size. That is only for finding: of more candidates than are asked for, the cosines are computed anew.
//!
//! Built by several threads, the same rows give a slightly different graph each time, as with every such index; built by
//! one ([`HnswParams::parallel`]), the same. What it misses is measured wherever it is used.

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
    /// Candidates held while searching, at least. More: better recall, slower search.
    pub ef_search: usize,
    /// Whether all cores build it. One alone makes the same graph of the same rows, more slowly.
    pub parallel: bool,
}

impl Default for HnswParams {
    fn default() -> Self {
        Self { links: 16, ef_construction: 200, ef_search: 128, parallel: true }
    }
}

/// 1 − cosine of unit vectors in steps of one size, the same for all. hnsw_rs refuses negative distances, which rounding
/// could give.
#[derive(Debug, Clone, Copy)]
struct OneMinusCosine {
    /// What a step is worth, squared.
    square: f32,
}

/// The largest step.
const STEPS: f32 = 127.0;

impl Distance<i8> for OneMinusCosine {
    fn eval(&self, a: &[i8], b: &[i8]) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "a distance that is only compared")]
        let dot = dot(a, b) as f32;
        (1.0 - dot * self.square).max(0.0)
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
}

/// A unit vector in steps of this size. What is beyond the last step is cut.
fn steps(vector: &[f32], step: f32) -> Vec<i8> {
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    vector.iter().map(|number| (number / step).round().clamp(-STEPS, STEPS) as i8).collect()
}

/// A graph over rows.
pub struct Hnsw {
    rows: Arc<Vectors>,
    graph: hnsw_rs::hnsw::Hnsw<'static, i8, OneMinusCosine>,
    ef_search: usize,
    /// What a step is worth: the largest number of all rows makes the last one.
    step: f32,
}

impl std::fmt::Debug for Hnsw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hnsw").field("rows", &self.rows.rows()).field("ef_search", &self.ef_search).finish()
    }
}

/// Rows that are inserted at once: enough for all cores, few enough that those before them are there.
const BATCH: usize = 4_096;

impl Hnsw {
    /// Builds the graph. Memory: a byte a number, and about `links × 16` bytes a row, beside the rows themselves.
    pub fn build(rows: Arc<Vectors>, params: HnswParams) -> Self {
        let largest = rows.data().iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        let step = if largest > 0.0 { largest / STEPS } else { 1.0 };
        let distance = OneMinusCosine { square: step * step };
        let graph = hnsw_rs::hnsw::Hnsw::new(params.links, rows.rows().max(1), 16, params.ef_construction, distance);
        for first in (0..rows.rows()).step_by(BATCH) {
            let last = (first + BATCH).min(rows.rows());
            let batch: Vec<(Vec<i8>, usize)> = (first..last).map(|row| (steps(rows.row(row), step), row)).collect();
            if params.parallel {
                batch.par_iter().for_each(|(numbers, row)| graph.insert((numbers, *row)));
            } else {
                batch.iter().for_each(|(numbers, row)| graph.insert((numbers, *row)));
            }
        }
        Self { rows, graph, ef_search: params.ef_search, step }
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
        same_dimensions(queries, &self.rows)?;
        if self.rows.rows() == 0 || k == 0 {
            return Ok(vec![Vec::new(); queries.rows()]);
        }
        // Near ones may have changed places in the rounding.
        let wanted = (2 * k).min(self.rows.rows());
        Ok((0..queries.rows())
            .into_par_iter()
            .map(|query| {
                let query = queries.row(query);
                let mut top = Top::new(k);
                for neighbour in self.graph.search(&steps(query, self.step), wanted, self.ef_search.max(wanted)) {
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
        let params = HnswParams { parallel: false, ..HnswParams::default() };
        let build = || Hnsw::build(Arc::clone(&rows), params).search(&queries, 5).unwrap();
        let found = build();
        let exact = Exact::new(Arc::clone(&rows)).search(&queries, 5).unwrap();
        assert!(recall(&found, &exact).unwrap() > 0.95);
        assert_eq!(found, build());
        let by_all_cores = Hnsw::build(Arc::clone(&rows), HnswParams::default()).search(&queries, 5).unwrap();
        assert!(recall(&by_all_cores, &exact).unwrap() > 0.95);
    }

    #[test]
    fn sparse_vectors_of_few_large_numbers_are_found_too() {
        // Some ten of 400 numbers in each row, as words would be: far from evenly spread.
        let mut data = points(1_500, 400).data().to_vec();
        for row in data.chunks_exact_mut(400) {
            let largest = row.iter().fold(0.0_f32, |largest, number| largest.max(*number));
            row.iter_mut().for_each(|number| *number = (*number - 0.95 * largest).max(0.0));
        }
        let rows = Arc::new(Vectors::normalised(400, data).unwrap());
        let zeros = rows.data().iter().filter(|number| **number == 0.0).count();
        assert!(zeros > rows.data().len() * 9 / 10, "{zeros}");
        let params = HnswParams { parallel: false, ..HnswParams::default() };
        let found = Hnsw::build(Arc::clone(&rows), params).search(&rows, 1).unwrap();
        let itself = found.iter().enumerate().filter(|(row, list)| list.first().is_some_and(|found| found.0 == *row));
        let share = itself.count() as f64 / 1_500.0;
        assert!(share > 0.95, "{share}");
    }

    #[test]
    fn an_empty_index_answers_nothing() {
        let rows = Arc::new(Vectors::empty(16));
        let found = Hnsw::build(rows, HnswParams::default()).search(&points(2, 16), 5).unwrap();
        assert_eq!(found, vec![vec![], vec![]]);
    }
}
