//! Neighbours of two sets of vectors in each other, by the index that is faster here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Estimate, Exact, Hnsw, HnswParams, Neighbours, Sample, VectorIndex as _, both_ways};
use crate::error::Result;
use crate::record::Vectors;

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

impl Kind {
    /// Whether exact search is what this asks for, or the faster way for so many queries. `kept`: rows that a graph from
    /// a file has already.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn is_exact(self, queries: usize, rows: &Vectors, params: HnswParams, kept: usize) -> Result<bool> {
        match self {
            Self::Exact => Ok(true),
            Self::Hnsw => Ok(false),
            Self::Auto => Ok(Estimate::of(queries, rows, params, kept)?.prefers_exact()),
        }
    }
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

/// Searches both ways. With a graph, `floor` is the share of the exact neighbours that it must find on a sample.
///
/// # Errors
/// Kind `Bug` when the dimensions differ; kind `Model` when libtorch fails.
pub fn mutual(
    left: &Arc<Vectors>,
    right: &Arc<Vectors>,
    k: usize,
    kind: Kind,
    params: HnswParams,
    floor: f64,
) -> Result<Mutual> {
    // One product serves both ways, so it answers half of each.
    if kind.is_exact(left.rows() / 2, right, params, 0)? {
        let (forward, backward) = both_ways(left, right, k)?;
        return Ok(Mutual { forward, backward, recall: None });
    }
    let one_way = |queries: &Arc<Vectors>, rows: &Arc<Vectors>| -> Result<(Neighbours, f64)> {
        let mut graph = Hnsw::build(Arc::clone(rows), params);
        let sample = Sample::take(SAMPLE, queries, &Exact::new(Arc::clone(rows)), k)?;
        let recall = sample.widen(&mut graph, floor)?;
        Ok((graph.search(queries, k)?, recall))
    };
    let (forward, there) = one_way(left, right)?;
    let (backward, back) = one_way(right, left)?;
    Ok(Mutual { forward, backward, recall: Some(there.min(back)) })
}
