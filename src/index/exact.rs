//! Exact search: every query against every row. The reference by which others are judged.
//!
//! Cost: `queries × rows × dim` multiply-adds; memory: 4 bytes a number of the indexed side, which is held whole, and
//! `k` entries a query.

use rayon::prelude::*;

use super::{Neighbours, VectorIndex, cosine, same_dimensions};
use crate::error::Result;
use crate::record::Vectors;

/// Rows of a block: with 16 queries at a time, a block of rows stays in the second-level cache.
const BLOCK: usize = 64;
const QUERIES: usize = 16;

/// All rows, unordered.
#[derive(Debug)]
pub struct Exact<'a> {
    rows: &'a Vectors,
}

impl<'a> Exact<'a> {
    /// An index over these rows.
    pub fn new(rows: &'a Vectors) -> Self {
        Self { rows }
    }
}

impl VectorIndex for Exact<'_> {
    fn search(&self, queries: &Vectors, k: usize) -> Result<Neighbours> {
        same_dimensions(queries, self.rows)?;
        let chunks: Vec<usize> = (0..queries.rows()).step_by(QUERIES).collect();
        let found: Vec<Neighbours> = chunks
            .par_iter()
            .map(|first| {
                let last = (first + QUERIES).min(queries.rows());
                let mut tops: Vec<Top> = (*first..last).map(|_| Top::new(k)).collect();
                for block in (0..self.rows.rows()).step_by(BLOCK) {
                    let end = (block + BLOCK).min(self.rows.rows());
                    for (query, top) in (*first..last).zip(&mut tops) {
                        let query = queries.row(query);
                        for row in block..end {
                            top.offer(row, cosine(query, self.rows.row(row)));
                        }
                    }
                }
                tops.into_iter().map(|top| top.entries).collect()
            })
            .collect();
        Ok(found.into_iter().flatten().collect())
    }
}

/// The best `k` so far, sorted: `k` is small, so shifting beats a heap.
#[derive(Debug)]
pub(super) struct Top {
    k: usize,
    pub(super) entries: Vec<(usize, f32)>,
}

impl Top {
    pub(super) fn new(k: usize) -> Self {
        Self { k, entries: Vec::with_capacity(k + 1) }
    }

    pub(super) fn offer(&mut self, row: usize, cosine: f32) {
        if self.entries.len() == self.k
            && self.entries.last().is_none_or(|(last_row, last)| !better((row, cosine), (*last_row, *last)))
        {
            return;
        }
        let at = self.entries.partition_point(|entry| better(*entry, (row, cosine)));
        self.entries.insert(at, (row, cosine));
        self.entries.truncate(self.k);
    }
}

/// Higher cosine first, then the lower row: a total order.
fn better(a: (usize, f32), b: (usize, f32)) -> bool {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)).is_lt()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_equals_a_naive_search(
            numbers in proptest::collection::vec(-1.0_f32..1.0, 3 * 3..3 * 200),
            k in 0_usize..6,
        ) {
            let whole = numbers.len() / 3 * 3;
            let data: Vec<f32> = numbers[..whole].iter().map(|x| x + 2.0).collect();
            let vectors = Vectors::normalised(3, data).unwrap();
            let found = Exact::new(&vectors).search(&vectors, k).unwrap();
            for (query, found) in found.iter().enumerate() {
                let mut all: Vec<(usize, f32)> =
                    (0..vectors.rows()).map(|row| (row, cosine(vectors.row(query), vectors.row(row)))).collect();
                all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                all.truncate(k);
                proptest::prop_assert_eq!(found, &all);
            }
        }
    }

    #[test]
    fn fewer_rows_than_asked_for_are_not_padded() {
        let vectors = Vectors::normalised(2, vec![1.0, 0.0]).unwrap();
        assert_eq!(Exact::new(&vectors).search(&vectors, 5).unwrap()[0].len(), 1);
        assert_eq!(Exact::new(&Vectors::empty(2)).search(&vectors, 5).unwrap(), vec![vec![]]);
    }
}
