//! Which index is the faster one for a task, by rates measured here and now.

use std::sync::Arc;
use std::time::Instant;

use super::{Exact, Hnsw, HnswParams, Sample};
use crate::error::Result;
use crate::model::torch::compute::rate;
use crate::model::torch::products::Form;
use crate::record::Rows;

/// Exact search that takes no longer than this, in seconds, needs no comparison.
const SHORT: f64 = 20.0;
/// Rows of the graph that is built to be timed.
const SAMPLE: usize = 4_000;
/// Queries that are timed in it, and the neighbours of each.
const QUERIES: usize = 1_000;
const K: usize = 8;

/// What each way would take, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Exact search.
    pub exact: f64,
    /// A graph, built and searched; `None` where exact search is short anyway.
    pub graph: Option<f64>,
}

impl Estimate {
    /// Estimates the search of `queries` queries among these rows. Exact search is a count of multiply-adds at the measured
    /// rate of products, half of them if the product is `shared` with the other direction. A graph over a sample of the rows
    /// is built and searched, as widely as it takes to find `floor` of the true neighbours. A row or query of the whole graph
    /// takes longer: by the ratio of the logarithms of their sizes (Malkov & Yashunin 2018, section 4.2), and by the cube
    /// root of the ratio of their sizes, since it lies beyond the caches and is searched more widely for the same recall
    /// (fitted: 60,000 × 2,048, 100,000 × 256 and 1,000,000 × 256 took 2.9, 3.1 and 6 times as long as the logarithms say,
    /// 2.5, 2.9 and 6.3 by the root). `kept` rows are in a graph already and only read, which is next to nothing.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn of(
        (queries, shared): (usize, bool),
        rows: &dyn Rows,
        (params, floor): (HnswParams, f64),
        kept: usize,
    ) -> Result<Self> {
        let products = 2.0 * queries as f64 * rows.rows() as f64 * rows.dim() as f64;
        // No product is as fast as its largest: a fifth is lost at the edges of tiles and in looking through them.
        let exact = products / (0.8 * rate(Form::fastest().multiply())?) / if shared { 2.0 } else { 1.0 };
        if exact < SHORT || rows.rows() <= SAMPLE {
            return Ok(Self { exact, graph: None });
        }
        let sample = Arc::new(rows.pick(&(0..SAMPLE).map(|row| row * (rows.rows() / SAMPLE)).collect::<Vec<_>>()));
        let began = Instant::now();
        let mut graph = Hnsw::build(sample.clone(), params);
        let build = began.elapsed().as_secs_f64() / SAMPLE as f64;
        let some = Sample::take(QUERIES, &sample, &Exact::new(sample.clone()), K)?;
        let search = some.widen(&mut graph, floor, f64::INFINITY)?.seconds / some.rows.len() as f64;
        let new = rows.rows().saturating_sub(kept);
        let deeper = (rows.rows() as f64).ln() / (SAMPLE as f64).ln() * (rows.rows() as f64 / SAMPLE as f64).cbrt();
        Ok(Self { exact, graph: Some(deeper * (new as f64 * build + queries as f64 * search)) })
    }

    /// Whether exact search is the faster way.
    pub fn prefers_exact(&self) -> bool {
        self.graph.is_none_or(|graph| self.exact <= graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Vectors;

    #[test]
    fn a_short_search_is_exact_and_the_faster_way_is_taken() {
        let rows = Vectors::normalised(4, (0..400).map(|n| (n % 7) as f32 + 1.0).collect()).unwrap();
        let estimate = Estimate::of((100, false), &rows, (HnswParams::default(), 0.995), 0).unwrap();
        assert!(estimate.exact < 1.0 && estimate.graph.is_none() && estimate.prefers_exact());
        let shared = Estimate::of((100, true), &rows, (HnswParams::default(), 0.995), 0).unwrap();
        assert!(shared.exact < 1.0 && shared.prefers_exact());
        assert!(Estimate { exact: 50.0, graph: Some(60.0) }.prefers_exact());
        assert!(!Estimate { exact: 70.0, graph: Some(60.0) }.prefers_exact());
    }
}
