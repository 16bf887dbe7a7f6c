//! Exact search: every query against every row, as products of matrices. The reference by which others are judged, and
//! the fastest there is up to about a million rows: nothing is built.
//!
//! ```text
//! queries ─ i8 ┐ tile of products   ┌▶ candidates of each query: k and some more ─ cosine, f32 ─▶ k nearest
//! rows ─── i8 ─┴────────────────────┴▶ candidates of each row (both ways of one product)
//! ```
//!
//! A product in 8-bit integers only finds candidates; the cosines answered are computed anew, in one fixed order of
//! additions. Whatever was not a candidate has a product under the last candidate's, and so a cosine under that plus the
//! error of a product. A query whose k-th cosine is not above this is searched again, with more candidates, then in f32,
//! at last one by one: so the answer is the exact one (with integers, but for one cosine in 10⁹).
//!
//! On a GPU the candidates are found there ([`crate::model::torch::nearest`]); the rest is the same.
//!
//! Cost: `queries × rows × dim` multiply-adds. Memory: 1 byte a number of both sides beside the vectors themselves, and
//! some `12 · (k + 32)` bytes for each row when both ways are searched.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rayon::prelude::*;

use super::pools::Pools;
use super::{Neighbours, VectorIndex, cosine, same_dimensions};
use crate::error::{Error, Result};
use crate::model::torch::compute::{Compute, Device, Dtype, share_out, threads};
use crate::model::torch::nearest::Nearest;
use crate::model::torch::products::{Form, Packed};
use crate::record::Vectors;

/// Queries and rows of a tile: its sums stay in the second-level cache, and products run at their full rate.
const TILE: (usize, usize) = (256, 2_048);
/// Candidates beyond the k that are asked for.
const SLACK: usize = 32;
/// And for queries that have more rows than these near their k-th: texts from one template, vectors of few large numbers.
const WIDE_SLACK: usize = 512;
/// Queries that are searched with so many at once, for their memory.
const WIDE: usize = 4_096;
/// Multiply-adds under which nothing is gained by products.
const SMALL: usize = 1 << 24;

/// All rows, unordered.
#[derive(Debug)]
pub struct Exact {
    rows: Arc<Vectors>,
    /// Where to look for candidates.
    device: Device,
    /// Made at the first search that needs it.
    packed: OnceLock<Packed>,
    /// The same on a GPU; one search at a time.
    nearest: Mutex<Option<Nearest>>,
}

impl Exact {
    /// An index over these rows, on the processor.
    pub fn new(rows: Arc<Vectors>) -> Self {
        Self::on(rows, Device::Cpu)
    }

    /// An index over these rows. On a GPU (the first, when all are meant) it finds candidates there, in f16; what it
    /// answers is the same.
    pub fn on(rows: Arc<Vectors>, device: Device) -> Self {
        Self { rows, device, packed: OnceLock::new(), nearest: Mutex::new(None) }
    }

    /// The rows.
    pub fn rows(&self) -> &Arc<Vectors> {
        &self.rows
    }

    /// The `k` nearest rows of each query, when they are no farther than its floor: a cosine, −∞ for no floor, ∞ for a query
    /// that nothing is looked for. Below the floor, rows may be missing. Far faster than a search when few reach it. Queries
    /// that are an index themselves are packed once for all they are used for.
    ///
    /// # Errors
    /// Kind `Bug` when the dimensions differ or there is not a floor for each query; kind `Model` when libtorch fails.
    pub fn search_above(&self, queries: &Self, k: usize, floors: &[f32]) -> Result<Neighbours> {
        let own = &queries.rows;
        if floors.len() != own.rows() {
            return Err(Error::bug(format!("{} floors for {} queries", floors.len(), own.rows())));
        }
        same_dimensions(own, &self.rows)?;
        if is_small(own, &self.rows) || k == 0 {
            return Ok(one_by_one(own, &self.rows, k));
        }
        let (form, rows, packed) = (Form::fastest(), self.packed()?, queries.packed()?);
        let error = packed.error(rows);
        let floors: Vec<f32> = floors.iter().map(|floor| floor - error).collect();
        let found = sweep((packed, own.rows()), (rows, self.rows.rows()), k + SLACK, Some(&floors), None)?;
        settle(own, &self.rows, &found, k, error, |unsure| again(unsure, &self.rows, Some(rows), k, form))
    }

    /// Makes ready what searches need, so that the first one takes no longer than the others.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn pack(&self) -> Result<()> {
        self.packed().map(|_| ())
    }

    /// Candidates from a GPU with the error of their products; `None` when the processor is to find them.
    fn elsewhere(&self, queries: &Vectors, keep: usize) -> Result<Option<(Pools, f32)>> {
        let compute = Compute::choose(self.device, Dtype::Auto)?.swap_remove(0);
        if compute.is_cpu() {
            return Ok(None);
        }
        let mut nearest = lock(&self.nearest);
        let nearest = match &mut *nearest {
            Some(nearest) => nearest,
            none => none.insert(Nearest::new(self.rows.data(), self.rows.dim(), compute)?),
        };
        let best = nearest.find(queries.data(), keep)?;
        Ok(Some((Pools::found(&best.products, &best.rows, best.each), nearest.error())))
    }

    fn packed(&self) -> Result<&Packed> {
        match self.packed.get() {
            Some(packed) => Ok(packed),
            None => {
                let packed = Packed::new(self.rows.data(), self.rows.dim(), Form::fastest())?;
                Ok(self.packed.get_or_init(|| packed))
            }
        }
    }
}

impl VectorIndex for Exact {
    fn search(&self, queries: &Vectors, k: usize) -> Result<Neighbours> {
        same_dimensions(queries, &self.rows)?;
        if is_small(queries, &self.rows) || k == 0 {
            return Ok(one_by_one(queries, &self.rows, k));
        }
        if let Some((found, error)) = self.elsewhere(queries, k + SLACK)? {
            return settle(queries, &self.rows, &found, k, error, |unsure| in_f32(unsure, &self.rows, k));
        }
        let (form, rows) = (Form::fastest(), self.packed()?);
        let packed = Packed::new(queries.data(), queries.dim(), form)?;
        let found = sweep((&packed, queries.rows()), (rows, self.rows.rows()), k + SLACK, None, None)?;
        settle(queries, &self.rows, &found, k, packed.error(rows), |unsure| {
            again(unsure, &self.rows, Some(rows), k, form)
        })
    }
}

/// Whether nothing is gained by products.
fn is_small(left: &Vectors, right: &Vectors) -> bool {
    left.rows().saturating_mul(right.rows()).saturating_mul(left.dim()) < SMALL
}

/// The neighbours of each side's rows in the other, by one product for both ways: half the work of two searches.
///
/// # Errors
/// Kind `Bug` when the dimensions differ; kind `Model` when libtorch fails.
pub fn both_ways(left: &Vectors, right: &Arc<Vectors>, k: usize) -> Result<(Neighbours, Neighbours)> {
    if is_small(left, right) || k == 0 {
        same_dimensions(left, right)?;
        return Ok((one_by_one(left, right, k), one_by_one(right, left, k)));
    }
    let mut both = BothWays::new(Arc::clone(right), k)?;
    Ok((both.forward(left)?, both.backward(left)?))
}

/// Both ways of one product, when the left side comes in parts.
#[derive(Debug)]
pub struct BothWays {
    right: Arc<Vectors>,
    packed: Packed,
    by_column: ByColumn,
    k: usize,
    form: Form,
    /// Rows of the left side that have come.
    seen: usize,
    /// The largest error of a part's products.
    error: f32,
}

impl BothWays {
    /// Waits for the left side's first rows.
    ///
    /// # Errors
    /// Kind `Model` when libtorch fails.
    pub fn new(right: Arc<Vectors>, k: usize) -> Result<Self> {
        Self::in_form(right, k, Form::fastest())
    }

    fn in_form(right: Arc<Vectors>, k: usize, form: Form) -> Result<Self> {
        let packed = Packed::new(right.data(), right.dim(), form)?;
        let by_column = by_column(right.rows(), k + SLACK);
        Ok(Self { right, packed, by_column, k, form, seen: 0, error: 0.0 })
    }

    /// How many of the left side's rows have come.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// The neighbours of the left side's next rows.
    ///
    /// # Errors
    /// Kind `Bug` when the dimensions differ; kind `Model` when libtorch fails.
    pub fn forward(&mut self, next: &Vectors) -> Result<Neighbours> {
        same_dimensions(next, &self.right)?;
        let packed = Packed::new(next.data(), next.dim(), self.form)?;
        let (own, right) = ((&packed, next.rows()), (&self.packed, self.right.rows()));
        let found = sweep(own, right, self.k + SLACK, None, Some((&self.by_column, self.seen)))?;
        let error = packed.error(&self.packed);
        (self.seen, self.error) = (self.seen + next.rows(), self.error.max(error));
        let wider = |unsure: &Vectors| again(unsure, &self.right, Some(&self.packed), self.k, self.form);
        settle(next, &self.right, &found, self.k, error, wider)
    }

    /// The neighbours of the right side, once all of the left has come; `left` is all of it.
    ///
    /// # Errors
    /// Kind `Bug` when not all has come; kind `Model` when libtorch fails.
    pub fn backward(self, left: &Vectors) -> Result<Neighbours> {
        if self.seen != left.rows() {
            return Err(Error::bug(format!("{} of {} rows have come", self.seen, left.rows())));
        }
        let mut columns = Pools::joined(self.k + SLACK, self.by_column.into_iter().map(into_inner));
        columns.prune_all();
        settle(&self.right, left, &columns, self.k, self.error, |unsure| again(unsure, left, None, self.k, self.form))
    }
}

/// Each query against each row, one cosine at a time.
pub fn one_by_one(queries: &Vectors, rows: &Vectors, k: usize) -> Neighbours {
    let chunks: Vec<usize> = (0..queries.rows()).step_by(16).collect();
    let found: Vec<Neighbours> = chunks
        .par_iter()
        .map(|first| {
            let last = (first + 16).min(queries.rows());
            let mut tops: Vec<Top> = (*first..last).map(|_| Top::new(k)).collect();
            // A block of rows stays in the cache while the queries pass over it.
            for block in (0..rows.rows()).step_by(64) {
                for (query, top) in (*first..last).zip(&mut tops) {
                    for row in block..(block + 64).min(rows.rows()) {
                        top.offer(row, cosine(queries.row(query), rows.row(row)));
                    }
                }
            }
            tops.into_iter().map(|top| top.entries).collect()
        })
        .collect();
    found.into_iter().flatten().collect()
}

/// Searches once more for queries whose answer was not sure: among more candidates, then in f32, at last one by one.
fn again(queries: &Vectors, rows: &Vectors, packed: Option<&Packed>, k: usize, form: Form) -> Result<Neighbours> {
    if form == Form::F32 {
        return Ok(one_by_one(queries, rows, k));
    }
    let packed = match packed {
        Some(packed) => packed,
        None => &Packed::new(rows.data(), rows.dim(), form)?,
    };
    let mut found = Vec::with_capacity(queries.rows());
    for first in (0..queries.rows()).step_by(WIDE) {
        let some = queries.picked(first..(first + WIDE).min(queries.rows()));
        let own = Packed::new(some.data(), some.dim(), form)?;
        let candidates = sweep((&own, some.rows()), (packed, rows.rows()), k + WIDE_SLACK, None, None)?;
        found.extend(settle(&some, rows, &candidates, k, own.error(packed), |unsure| in_f32(unsure, rows, k))?);
    }
    Ok(found)
}

fn in_f32(queries: &Vectors, rows: &Vectors, k: usize) -> Result<Neighbours> {
    let pack = |vectors: &Vectors| Packed::new(vectors.data(), vectors.dim(), Form::F32);
    let (a, b) = (pack(queries)?, pack(rows)?);
    let candidates = sweep((&a, queries.rows()), (&b, rows.rows()), k + SLACK, None, None)?;
    settle(queries, rows, &candidates, k, a.error(&b), |unsure| Ok(one_by_one(unsure, rows, k)))
}

/// Pools of columns, a block each: anyone's, one at a time.
type ByColumn = Vec<Mutex<Pools>>;

fn by_column(columns: usize, keep: usize) -> ByColumn {
    (0..columns).step_by(TILE.1).map(|block| Mutex::new(Pools::new(TILE.1.min(columns - block), keep))).collect()
}

/// The best `keep` products of each row of `a`, from its floor on; with `theirs`, which has pools of all rows of `b`, these are offered the
/// rows of `a` under their numbers from `first` on.
fn sweep(
    (a, rows): (&Packed, usize),
    (b, columns): (&Packed, usize),
    keep: usize,
    floors: Option<&[f32]>,
    theirs: Option<(&ByColumn, usize)>,
) -> Result<Pools> {
    let bands: Vec<usize> = (0..rows).step_by(TILE.0).collect();
    let blocks: Vec<usize> = (0..columns).step_by(TILE.1).collect();
    let workers = threads().min(bands.len());
    let by_row = Mutex::new(Vec::new());
    let failed = Mutex::new(None);
    let next = AtomicUsize::new(0);
    share_out(workers, 1, |worker| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(&band) = bands.get(number) else { break };
            let last = (band + TILE.0).min(rows);
            let floors =
                floors.map_or_else(|| vec![f32::NEG_INFINITY; last - band], |floors| floors[band..last].to_vec());
            let mut own = Pools::above(floors, keep);
            // Workers begin at different blocks, so that they seldom want the same.
            for step in 0..blocks.len() {
                let block = (step + worker * blocks.len() / workers) % blocks.len();
                let range = blocks[block]..(blocks[block] + TILE.1).min(columns);
                let scanned = a.tile(band..last, b, range.clone()).and_then(|tile| {
                    let mut column = theirs.map(|(pools, first)| (lock(&pools[block]), first));
                    let first = column.as_ref().map_or(0, |(_, first)| *first);
                    let scales = (a.scales().get(band..last), b.scales().get(range.clone()));
                    let column = column.as_mut().map(|(pools, _)| &mut **pools);
                    Pools::scan(&tile, scales, (&mut own, first + band), (column, range.start))
                });
                if let Err(error) = scanned {
                    lock(&failed).get_or_insert(error);
                    return;
                }
            }
            own.prune_all();
            lock(&by_row).push((band, own));
        }
    });
    if let Some(error) = into_inner(failed) {
        return Err(error);
    }
    let mut by_row: Vec<(usize, Pools)> = into_inner(by_row);
    by_row.sort_by_key(|(band, _)| *band);
    Ok(Pools::joined(keep, by_row.into_iter().map(|(_, pools)| pools)))
}

/// From candidates to neighbours: cosines, the best k, and another search for queries where these are not sure to be the
/// right ones.
fn settle(
    queries: &Vectors,
    rows: &Vectors,
    candidates: &Pools,
    k: usize,
    error: f32,
    again: impl FnOnce(&Vectors) -> Result<Neighbours>,
) -> Result<Neighbours> {
    let (mut found, sure): (Neighbours, Vec<bool>) = (0..queries.rows())
        .into_par_iter()
        .map(|query| {
            let mut top = Top::new(k);
            // The k-th cosine is no lower than this one less the error, and one that reaches it has a product no lower
            // than that less the error again.
            let mut products: Vec<f32> = candidates.of(query).map(|(product, _)| product).collect();
            let least = if products.len() > k {
                *products.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1 - 2.0 * error
            } else {
                f32::NEG_INFINITY
            };
            for (_, row) in candidates.of(query).filter(|(product, _)| *product >= least) {
                top.offer(row, cosine(queries.row(query), rows.row(row)));
            }
            // Nothing is left out, or nothing that is left out can reach the k-th.
            let sure = candidates.has_room(query)
                || candidates.is_whole(query, rows.rows())
                || top.entries.len() == k
                    && top.entries.last().is_none_or(|(_, last)| *last > candidates.threshold(query) + error);
            (top.entries, sure)
        })
        .unzip();
    let unsure: Vec<usize> = (0..queries.rows()).filter(|query| !sure[*query]).collect();
    if unsure.is_empty() {
        return Ok(found);
    }
    let left = queries.picked(unsure.iter().copied());
    for (query, list) in unsure.into_iter().zip(again(&left)?) {
        found[query] = list;
    }
    Ok(found)
}

/// What a lock holds: no thread panics while it has one.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
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
mod tests;
