//! Neighbours of two sets of vectors in each other, by the index that is faster here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Estimate, Exact, Hnsw, HnswParams, Neighbours, Sample, VectorIndex as _, both_ways};
use crate::error::Result;
use crate::model::torch::compute::{Compute, Device, Dtype};
use crate::record::{Rows, Vectors};

/// Which index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Whichever is faster here for what is to be searched, by measured rates.
    #[default]
    Auto,
    /// Every row against every other.
    Exact,
    /// A navigable graph.
    Hnsw,
}

/// How to search.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Which index.
    pub kind: Kind,
    /// The graph's settings.
    pub graph: HnswParams,
    /// Share of the exact neighbours that a graph must find on a sample, 0 to 1.
    pub min_recall: f64,
    /// Where exact search multiplies.
    pub device: Device,
}

/// The neighbours of both sides.
#[derive(Debug)]
pub struct Mutual {
    /// Of each row of the left side, on the right.
    pub forward: Neighbours,
    /// Of each row of the right side, on the left.
    pub backward: Neighbours,
    /// Share of the exact neighbours that the graphs found on a sample, the lower of both; `None` for exact search.
    pub recall: Option<f64>,
}

/// Queries whose exact neighbours are searched too, to measure a graph.
const SAMPLE: usize = 500;

impl Search {
    /// Whether exact search is what this asks for, or the faster way for so many queries. `shared`: one product serves the
    /// other direction too. `kept`: rows that a graph from a file has already. On a GPU exact search is the faster way as long as the rows fit there.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails or the device is not there.
    pub fn is_exact(&self, (queries, shared): (usize, bool), rows: &dyn Rows, kept: usize) -> Result<bool> {
        match self.kind {
            Kind::Exact => Ok(true),
            Kind::Hnsw => Ok(false),
            Kind::Auto if self.is_on_gpu()? => Ok(true),
            Kind::Auto => {
                Ok(Estimate::of((queries, shared), rows, (self.graph, self.min_recall), kept)?.prefers_exact())
            }
        }
    }

    /// Whether exact search is on a GPU.
    ///
    /// # Errors
    /// Kind `Model`, when the device is not there.
    pub fn is_on_gpu(&self) -> Result<bool> {
        Ok(Compute::choose(self.device, Dtype::Auto)?.iter().any(|compute| !compute.is_cpu()))
    }

    /// Searches both ways.
    ///
    /// # Errors
    /// Kind `Bug` when the dimensions differ; kind `Model` when libtorch fails or the device is not there.
    pub fn mutual(&self, left: &Arc<Vectors>, right: &Arc<Vectors>, k: usize) -> Result<Mutual> {
        if self.is_exact((left.rows(), true), &**right, 0)? {
            let (forward, backward) = if self.is_on_gpu()? {
                let one_way =
                    |queries: &Vectors, rows: &Arc<Vectors>| Exact::on(rows.clone(), self.device).search(queries, k);
                (one_way(left, right)?, one_way(right, left)?)
            } else {
                both_ways(left, right, k)?
            };
            return Ok(Mutual { forward, backward, recall: None });
        }
        let one_way = |queries: &Vectors, rows: &Arc<Vectors>| -> Result<(Neighbours, f64)> {
            let mut graph = Hnsw::build(rows.clone(), self.graph);
            let exact = Exact::on(rows.clone(), self.device);
            let sample = Sample::take(SAMPLE, queries, &exact, k)?;
            match self.widened(&mut graph, &sample)? {
                Some(recall) => Ok((graph.search(queries, k)?, recall)),
                None => Ok((exact.search(queries, k)?, 1.0)),
            }
        };
        let (forward, there) = one_way(left, right)?;
        let (backward, back) = one_way(right, left)?;
        Ok(Mutual { forward, backward, recall: Some(there.min(back)) })
    }

    /// Makes a graph search widely enough; answers the share that it finds. `None` when it turns out slower than exact
    /// search and the choice is ours: vectors of few large numbers are hard to find in a graph.
    ///
    /// # Errors
    /// Kind `Bug` when the dimensions differ.
    pub fn widened(&self, graph: &mut Hnsw, sample: &Sample) -> Result<Option<f64>> {
        let most = if self.kind == Kind::Auto { sample.seconds } else { f64::INFINITY };
        let widened = sample.widen(graph, self.min_recall, most)?;
        Ok((widened.seconds <= most).then_some(widened.recall))
    }
}
