//! What a graph misses, measured on some queries.

use std::time::Instant;

use super::{Exact, Hnsw, Neighbours, VectorIndex as _, recall};
use crate::error::Result;
use crate::record::Vectors;

/// Candidates that a graph holds at most: beyond, something else is wrong with it, and the recall tells.
const WIDEST: usize = 4_096;

/// Some queries, evenly spread, with their exact neighbours.
#[derive(Debug)]
pub struct Sample {
    /// Which of the queries.
    pub rows: Vec<usize>,
    queries: Vectors,
    exact: Neighbours,
    k: usize,
    /// What the exact search took, in seconds.
    pub seconds: f64,
}

/// A graph that holds enough candidates, or as many as it may.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Widened {
    /// Share of the sample's exact neighbours that it finds, 0 to 1.
    pub recall: f64,
    /// What it takes to search for the sample, in seconds.
    pub seconds: f64,
}

impl Sample {
    /// Takes `count` of the queries, and searches for their `k` exact neighbours.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn take(count: usize, queries: &Vectors, exact: &Exact, k: usize) -> Result<Self> {
        let count = count.min(queries.rows());
        let picked: Vec<usize> = (0..count).map(|i| i * queries.rows() / count).collect();
        let some = queries.picked(picked.iter().copied());
        exact.pack()?;
        let began = Instant::now();
        let exact = exact.search(&some, k)?;
        Ok(Self { rows: picked, queries: some, exact, k, seconds: began.elapsed().as_secs_f64() })
    }

    /// Makes a graph hold more candidates until it finds this share of the exact neighbours, 0 to 1, or takes longer than
    /// `most` seconds for the sample.
    ///
    /// # Errors
    /// Kind `Bug`, when the dimensions differ.
    pub fn widen(&self, graph: &mut Hnsw, floor: f64, most: f64) -> Result<Widened> {
        loop {
            let began = Instant::now();
            let found = graph.search(&self.queries, self.k)?;
            let seconds = began.elapsed().as_secs_f64();
            let recall = recall(&found, &self.exact).unwrap_or(1.0);
            if recall >= floor || graph.ef_search() >= WIDEST || seconds > most {
                return Ok(Widened { recall, seconds });
            }
            graph.set_ef_search(graph.ef_search() * 2);
        }
    }

    /// The share of the sample's exact neighbours that are among those found for all queries.
    pub fn recall(&self, found: &Neighbours) -> f64 {
        let found: Neighbours = self.rows.iter().map(|row| found[*row].clone()).collect();
        recall(&found, &self.exact).unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::index::HnswParams;

    #[test]
    fn a_narrow_search_is_widened_until_it_finds_enough() {
        let rows = Arc::new(Vectors::random(3_000, 24, 3));
        let params = HnswParams { links: 6, ef_construction: 24, ef_search: 4 };
        let mut graph = Hnsw::build(rows.clone(), params);
        let sample = Sample::take(100, &rows, &Exact::new(rows.clone()), 5).unwrap();
        let narrow = sample.widen(&mut graph, 0.0, f64::INFINITY).unwrap().recall;
        assert!(narrow < 0.95 && graph.ef_search() == 4, "{narrow}");
        let wide = sample.widen(&mut graph, 0.98, f64::INFINITY).unwrap().recall;
        assert!(wide >= 0.98 && graph.ef_search() > 4, "{wide}");
        assert_eq!(sample.recall(&graph.search(&rows, 5).unwrap()), wide);
        // With no time for it, it stays as narrow as it is.
        graph.set_ef_search(4);
        let hurried = sample.widen(&mut graph, 0.98, 0.0).unwrap();
        assert!(hurried.recall == narrow && hurried.seconds > 0.0 && graph.ef_search() == 4);
    }
}
