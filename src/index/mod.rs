//! Nearest neighbours among unit vectors.

pub mod both;
pub mod choice;
pub mod exact;
pub mod hnsw;
mod pools;
pub mod sample;

use crate::error::{Error, Result};
use crate::record::{Rows, Vectors};

pub use choice::Estimate;
pub use exact::{BothWays, Exact, Offers, both_ways};
pub use hnsw::{Hnsw, HnswParams};
pub use sample::Sample;

/// For each query its nearest rows with their cosines, best first; ties fall to the lower row. Fewer than asked for
/// when the index holds fewer: never padded.
pub type Neighbours = Vec<Vec<(usize, f32)>>;

/// Something that finds neighbours. Higher cosine is nearer.
pub trait VectorIndex: Sync {
    /// The `k` nearest rows of each query.
    ///
    /// # Errors
    /// Kind `Bug` when the dimensions differ.
    fn search(&self, queries: &Vectors, k: usize) -> Result<Neighbours>;
}

/// What every search asks first.
fn same_dimensions(queries: &Vectors, rows: &dyn Rows) -> Result<()> {
    if queries.rows() > 0 && rows.rows() > 0 && queries.dim() != rows.dim() {
        return Err(Error::bug(format!("queries have {} dimensions, the index {}", queries.dim(), rows.dim())));
    }
    Ok(())
}

/// Share of the exact neighbours that were found, 0 to 1; `None` when there is nothing to find.
pub fn recall(found: &Neighbours, exact: &Neighbours) -> Option<f64> {
    let (mut right, mut all) = (0_usize, 0_usize);
    for (found, exact) in found.iter().zip(exact) {
        all += exact.len();
        right += exact.iter().filter(|(row, _)| found.iter().any(|(other, _)| other == row)).count();
    }
    (all > 0).then(|| right as f64 / all as f64)
}

/// Cosine of two unit vectors. One fixed order of additions whatever the layout of the search, so that a score does not
/// depend on which index or which batch found it.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (head_a, tail_a) = a.as_chunks::<16>();
    let (head_b, tail_b) = b.as_chunks::<16>();
    for (x, y) in head_a.iter().zip(head_b) {
        for lane in 0..16 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let tail: f32 = tail_a.iter().zip(tail_b).map(|(x, y)| x * y).sum();
    // Pairwise, from 16 lanes to one.
    let mut width = 8;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0] + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_by_hand() {
        assert!((cosine(&[0.6, 0.8], &[1.0, 0.0]) - 0.6).abs() < 1e-7);
        let ones = vec![0.25; 16];
        assert!((cosine(&ones, &ones) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn recall_counts_what_was_missed() {
        let exact = vec![vec![(0, 0.9), (1, 0.8)], vec![(2, 0.7)]];
        let found = vec![vec![(0, 0.9), (5, 0.1)], vec![(2, 0.7)]];
        assert!((recall(&found, &exact).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(recall(&vec![], &vec![]), None);
    }
}
