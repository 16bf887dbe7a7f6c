//! The largest products of queries with many rows, all on one device: exact search on a GPU.
//!
//! ```text
//! 4,096 queries × a block of rows ─▶ products ─▶ the largest of each 64 ─▶ the best groups ─▶ their products ─▶ the best
//! ```
//!
//! The `keep` largest of all lie in the `keep` groups whose largest are largest, so only these are sorted: sorting
//! everything takes many times as long as the products do.
//!
//! Memory on the device: 2 bytes a number of the rows, and some 1.5 GB.

use tch::{Device, Kind, Tensor};

use super::batch::signed;
use super::compute::{Compute, Multiply};
use crate::error::{Error, Result};
use crate::record::Rows;

/// Queries multiplied at once.
const QUERIES: usize = 4_096;
/// Rows multiplied at once; whole groups.
const BLOCK: usize = 1 << 16;
/// Products of which at first only the largest is looked at.
const GROUP: usize = 64;

/// Rows on a device.
#[derive(Debug)]
pub struct Nearest {
    /// `[rows, dim]`, f16 on a GPU.
    rows: Tensor,
    dim: usize,
    block: usize,
}

/// For each query its best products and the rows they are with, in no order; all queries have the same number.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// `queries × each`.
    pub products: Vec<f32>,
    /// Rows of these products.
    pub rows: Vec<i64>,
    /// How many a query has.
    pub each: usize,
}

impl Nearest {
    /// Sends rows to a device.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails (no memory there).
    pub fn new(rows: &dyn Rows, compute: Compute) -> Result<Self> {
        let kind = if compute.multiply == Multiply::Blas { Kind::Float } else { Kind::Half };
        Self::in_blocks(rows, compute.device, kind, BLOCK)
    }

    fn in_blocks(rows: &dyn Rows, device: Device, kind: Kind, block: usize) -> Result<Self> {
        let (count, dim) = (rows.rows(), rows.dim());
        let there = Tensor::f_empty([signed(count), signed(dim)], (kind, device))?;
        for first in (0..count).step_by(block) {
            let last = (first + block).min(count);
            let part = sent(rows.pick(&(first..last).collect::<Vec<_>>()).data(), dim, device, kind)?;
            there.f_narrow(0, signed(first), signed(last - first))?.f_copy_(&part)?;
        }
        Ok(Self { rows: there, dim, block })
    }

    /// By how much a product may be wrong. In f16: two unit rows rounded to 11 bits, and their sum once more.
    pub fn error(&self) -> f32 {
        if self.rows.kind() == Kind::Float { 1e-5 } else { 2e-3 }
    }

    /// The `keep` largest products of each query, or all when there are fewer rows.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn find(&self, queries: &[f32], keep: usize) -> Result<Best> {
        let keep = keep.min(usize::try_from(self.rows.size()[0]).unwrap_or(0));
        let mut best = Best { products: Vec::new(), rows: Vec::new(), each: keep };
        for some in queries.chunks(QUERIES * self.dim) {
            let some = sent(some, self.dim, self.rows.device(), self.rows.kind())?;
            let (products, rows) = self.of_some(&some, keep)?;
            best.products.extend(Vec::<f32>::try_from(products.f_to_kind(Kind::Float)?.f_reshape([-1])?)?);
            best.rows.extend(Vec::<i64>::try_from(rows.f_reshape([-1])?)?);
        }
        Ok(best)
    }

    fn of_some(&self, queries: &Tensor, keep: usize) -> Result<(Tensor, Tensor)> {
        let (count, rows) = (queries.size()[0], self.rows.size()[0]);
        let group = signed(GROUP);
        let within = Tensor::f_arange(group, (Kind::Int64, self.rows.device()))?;
        let mut best: Option<(Tensor, Tensor)> = None;
        for first in (0..rows).step_by(self.block) {
            let length = signed(self.block).min(rows - first);
            let products = queries.f_matmul(&self.rows.f_narrow(0, first, length)?.f_transpose(0, 1)?)?;
            // The last block is filled up to whole groups with what is never among the best.
            let missing = (group - length % group) % group;
            let products = match missing {
                0 => products,
                _ => products.f_pad([0, missing], "constant", f64::NEG_INFINITY)?,
            };
            let groups = (length + missing) / group;
            let products = products.f_view([count, groups, group])?;
            let taken = signed(keep).min(groups);
            let (_, which) = products.f_amax([-1].as_slice(), false)?.f_topk(taken, -1, true, false)?;
            let which = which.f_unsqueeze(-1)?;
            let some = products.f_gather(1, &which.f_expand([count, taken, group], false)?, false)?;
            let numbers = (which.f_mul_scalar(group)? + &within).f_add_scalar(first)?;
            let (mut some, mut numbers) = (some.f_reshape([count, -1])?, numbers.f_reshape([count, -1])?);
            if let Some((before, theirs)) = best.take() {
                some = Tensor::f_cat(&[before, some], 1)?;
                numbers = Tensor::f_cat(&[theirs, numbers], 1)?;
            }
            let (values, at) = some.f_topk(signed(keep).min(some.size()[1]), -1, true, false)?;
            best = Some((values, numbers.f_gather(1, &at, false)?));
        }
        best.ok_or_else(|| Error::bug("a search among no rows"))
    }
}

/// Rows on their way to a device; as f16 only there, since there it is fast.
fn sent(rows: &[f32], dim: usize, device: Device, kind: Kind) -> Result<Tensor> {
    let rows = Tensor::f_from_slice(rows)?.f_view([-1, signed(dim)])?;
    Ok(rows.f_to_device(device)?.f_to_kind(kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Vectors;

    #[test]
    fn the_best_of_all_blocks_and_groups_are_found() {
        // Three blocks, the last of no whole group; more queries than are multiplied at once.
        let (dim, keep) = (12, 7);
        let (rows, queries) = (Vectors::random(300, dim, 1), Vectors::random(QUERIES + 5, dim, 2));
        for (kind, error) in [(Kind::Float, 1e-5), (Kind::Half, 2e-3)] {
            let index = Nearest::in_blocks(&rows, Device::Cpu, kind, 128).unwrap();
            assert_eq!(index.error(), error);
            let best = index.find(queries.data(), keep).unwrap();
            assert_eq!((best.each, best.products.len()), (keep, (QUERIES + 5) * keep));
            for (number, query) in queries.iter().enumerate() {
                let product = |row: &[f32]| row.iter().zip(query).map(|(x, y)| x * y).sum::<f32>();
                let mut all: Vec<f32> = rows.iter().map(product).collect();
                let found = number * keep..(number + 1) * keep;
                for (told, row) in best.products[found.clone()].iter().zip(&best.rows[found.clone()]) {
                    assert!((told - all[usize::try_from(*row).unwrap()]).abs() <= error);
                }
                let mut rows = best.rows[found].to_vec();
                rows.sort_unstable();
                rows.dedup();
                assert_eq!(rows.len(), keep, "a row twice");
                let least = rows.iter().map(|row| all[usize::try_from(*row).unwrap()]).fold(f32::MAX, f32::min);
                all.sort_by(|a, b| b.total_cmp(a));
                assert!(least >= all[keep - 1] - 2.0 * error, "{least} {}", all[keep - 1]);
            }
        }
    }

    #[test]
    fn fewer_rows_than_asked_for_are_all_found() {
        let rows = Vectors::random(3, 4, 3);
        let index = Nearest::in_blocks(&rows, Device::Cpu, Kind::Half, 128).unwrap();
        let best = index.find(rows.row(0), 9).unwrap();
        let mut found = best.rows;
        found.sort_unstable();
        assert_eq!((best.each, found), (3, vec![0, 1, 2]));
    }
}
