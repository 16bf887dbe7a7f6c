//! Exact search: every query against every row, as products of matrices. The reference by which others are judged, and
//! the fastest there is up to about a million rows: nothing is built.
//!
//! ```text
//! queries ─ i8 ┐ tile of products   ┌▶ candidates of each query: k and some more ─ cosine, f32 ─▶ k nearest
//! rows ─── i8 ─┴────────────────────┴▶ candidates of each row (both ways of one product)
//! ```
//!
//! A product in 8-bit integers only finds candidates; the cosines answered are computed anew, in one fixed order of
//! additions. What a product may be wrong by is added to it, so that it bounds the cosine from above: whatever was not a
//! candidate has a cosine no higher than the last candidate's bound. A query whose k-th cosine is not above this is
//! searched again, with more candidates, then in f32, at last one by one: so the answer is the exact one (with integers,
//! but for one cosine in 10⁹).
//!
//! On a GPU the candidates are found there ([`crate::model::torch::nearest`]); the rest is the same.
//!
//! Cost: `queries × rows × dim` multiply-adds. Memory: 1 byte a number of both sides beside the rows themselves, and
//! some `12 · (k + 32)` bytes for each row when both ways are searched.

mod settle;
mod sweep;

use std::sync::{Arc, Mutex, OnceLock};

use rayon::prelude::*;

pub(super) use self::settle::Top;
pub use self::settle::one_by_one;
use self::settle::{Room, settle, settled};
use self::sweep::{Columns, lock, sweep};
use super::pools::Pools;
use super::{Neighbours, VectorIndex, same_dimensions};
use crate::error::{Error, Result};
use crate::model::torch::compute::{Compute, Device, Dtype};
use crate::model::torch::nearest::Nearest;
use crate::model::torch::products::{Form, Packed};
use crate::record::{Rows, Vectors};

/// Candidates beyond the k that are asked for.
const SLACK: usize = 32;
/// And for queries that have more rows than these near their k-th: texts from one template, vectors of few large numbers.
const WIDE_SLACK: usize = 512;
/// And of those that reach a floor.
const OFFERED_SLACK: usize = 8;
/// Queries that are picked from their rows at once, for their memory.
const PICKED: usize = 4_096;
/// Multiply-adds under which nothing is gained by products.
const SMALL: usize = 1 << 24;

/// All rows, unordered.
#[derive(Debug)]
pub struct Exact {
    rows: Arc<dyn Rows>,
    /// Where to look for candidates.
    device: Device,
    /// Made at the first search that needs it.
    packed: OnceLock<Packed>,
    /// The same on a GPU; one search at a time.
    nearest: Mutex<Option<Nearest>>,
}

/// Rows that queries come near to: each row with its nearest queries and their cosines, best first. Rows that no query
/// comes near to are not among them.
pub type Offers = Vec<(usize, Vec<(usize, f32)>)>;

impl Exact {
    /// An index over these rows, on the processor.
    pub fn new(rows: Arc<dyn Rows>) -> Self {
        Self::on(rows, Device::Cpu)
    }

    /// An index over these rows. On a GPU (the first, when all are meant) it finds candidates there, in f16; what it
    /// answers is the same.
    pub fn on(rows: Arc<dyn Rows>, device: Device) -> Self {
        Self { rows, device, packed: OnceLock::new(), nearest: Mutex::new(None) }
    }

    /// The rows.
    pub fn rows(&self) -> &Arc<dyn Rows> {
        &self.rows
    }

    /// The `k` nearest rows of each query, and by the same product, for each row, the `k` nearest queries that are no
    /// farther than the row's floor: a cosine, −∞ for no floor, ∞ for a row that nothing is offered to.
    ///
    /// # Errors
    /// Kind `Bug` when the dimensions differ or there is not a floor for each row; kind `Model` when libtorch fails.
    pub fn search_and_offer(&self, queries: &Vectors, k: usize, floors: &[f32]) -> Result<(Neighbours, Offers)> {
        self.meet(queries, k, k, floors)
    }

    /// The second half of [`Exact::search_and_offer`] alone.
    ///
    /// # Errors
    /// As there.
    pub fn offer(&self, queries: &Vectors, k: usize, floors: &[f32]) -> Result<Offers> {
        self.meet(queries, 0, k, floors).map(|(_, offers)| offers)
    }

    fn meet(&self, queries: &Vectors, own: usize, k: usize, floors: &[f32]) -> Result<(Neighbours, Offers)> {
        if floors.len() != self.rows.rows() {
            return Err(Error::bug(format!("{} floors for {} rows", floors.len(), self.rows.rows())));
        }
        same_dimensions(queries, &*self.rows)?;
        if is_small(queries, &*self.rows) || k == 0 || self.is_elsewhere()? {
            return Ok((self.search(queries, own)?, self.offer_by_search(queries, k, floors)?));
        }
        let (form, rows) = (Form::fastest(), self.packed()?);
        let packed = Packed::new(queries, form)?;
        let columns = Columns::new(floors, k + OFFERED_SLACK);
        // Who looks for nothing has a floor that nothing reaches.
        let nothing = (own == 0).then(|| vec![f32::INFINITY; queries.rows()]);
        let keep = if own == 0 { 0 } else { own + SLACK };
        let candidates = sweep(&packed, rows, keep, nothing.as_deref(), Some((&columns, 0)))?;
        let found = if own == 0 {
            Vec::new()
        } else {
            settle(queries, &*self.rows, &candidates, own, |unsure| again(unsure, &*self.rows, Some(rows), own, form))?
        };
        drop(candidates);
        let offers = self.settle_offers(columns, (queries, &packed), k)?;
        Ok((found, reaching(offers, floors)))
    }

    /// From the candidates of rows among queries to offers.
    fn settle_offers(&self, columns: Columns, (queries, packed): (&Vectors, &Packed), k: usize) -> Result<Offers> {
        let blocks: Vec<(usize, Pools)> = columns.into_blocks().collect();
        let of_block = |(first, pools): &(usize, Pools)| -> (Offers, Vec<usize>) {
            let (mut offers, mut unsure) = (Offers::new(), Vec::new());
            let (mut numbers, mut room) = (Vec::new(), Room::default());
            for column in pools.with_candidates() {
                let row = first + column;
                let (list, sure) = settled(self.rows.read(row, &mut numbers), queries, (pools, column), k, &mut room);
                if sure { offers.push((row, list)) } else { unsure.push(row) }
            }
            (offers, unsure)
        };
        let parts: Vec<(Offers, Vec<usize>)> = blocks.par_iter().map(of_block).collect();
        let (mut offers, mut unsure) = (Offers::new(), Vec::new());
        for (some, left) in parts {
            offers.extend(some);
            unsure.extend(left);
        }
        let lists = again(&self.rows.pick(&unsure), queries, Some(packed), k, packed.form())?;
        offers.extend(unsure.into_iter().zip(lists));
        Ok(offers)
    }

    /// The same by a search for every row that may be offered to.
    fn offer_by_search(&self, queries: &Vectors, k: usize, floors: &[f32]) -> Result<Offers> {
        let index = Self::on(Arc::new(queries.clone()), self.device);
        let open: Vec<usize> = (0..floors.len()).filter(|row| floors[*row] < f32::INFINITY).collect();
        let mut offers = Vec::new();
        for some in open.chunks(PICKED) {
            let found = index.search(&self.rows.pick(some), k)?;
            offers.extend(reaching(some.iter().copied().zip(found).collect(), floors));
        }
        Ok(offers)
    }

    /// Makes ready what searches need, so that the first one takes no longer than the others.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn pack(&self) -> Result<()> {
        self.packed().map(|_| ())
    }

    /// Whether candidates are found on a GPU.
    fn is_elsewhere(&self) -> Result<bool> {
        Ok(!Compute::choose(self.device, Dtype::Auto)?.swap_remove(0).is_cpu())
    }

    /// Candidates from a GPU; `None` when the processor is to find them.
    fn elsewhere(&self, queries: &Vectors, keep: usize) -> Result<Option<Pools>> {
        if !self.is_elsewhere()? {
            return Ok(None);
        }
        let compute = Compute::choose(self.device, Dtype::Auto)?.swap_remove(0);
        let mut nearest = lock(&self.nearest);
        let nearest = match &mut *nearest {
            Some(nearest) => nearest,
            none => none.insert(Nearest::new(&*self.rows, compute)?),
        };
        let best = nearest.find(queries.data(), keep)?;
        Ok(Some(Pools::found(&best.products, &best.rows, best.each, nearest.error())))
    }

    fn packed(&self) -> Result<&Packed> {
        match self.packed.get() {
            Some(packed) => Ok(packed),
            None => {
                let packed = Packed::new(&*self.rows, Form::fastest())?;
                Ok(self.packed.get_or_init(|| packed))
            }
        }
    }
}

impl VectorIndex for Exact {
    fn search(&self, queries: &Vectors, k: usize) -> Result<Neighbours> {
        let rows = &*self.rows;
        same_dimensions(queries, rows)?;
        if is_small(queries, rows) || k == 0 {
            return Ok(one_by_one(queries, rows, k));
        }
        if let Some(found) = self.elsewhere(queries, k + SLACK)? {
            return settle(queries, rows, &found, k, |unsure| in_f32(unsure, rows, k));
        }
        let (form, own) = (Form::fastest(), self.packed()?);
        let packed = Packed::new(queries, form)?;
        let found = sweep(&packed, own, k + SLACK, None, None)?;
        settle(queries, rows, &found, k, |unsure| again(unsure, rows, Some(own), k, form))
    }
}

/// Whether nothing is gained by products.
fn is_small(left: &dyn Rows, right: &dyn Rows) -> bool {
    left.rows().saturating_mul(right.rows()).saturating_mul(left.dim()) < SMALL
}

/// Of offers, the entries that reach their row's floor; rows without one go.
fn reaching(offers: Offers, floors: &[f32]) -> Offers {
    let reaching = |(row, mut list): (usize, Vec<(usize, f32)>)| {
        list.retain(|(_, cosine)| *cosine >= floors[row]);
        (!list.is_empty()).then_some((row, list))
    };
    offers.into_iter().filter_map(reaching).collect()
}

/// The neighbours of each side's rows in the other, by one product for both ways: half the work of two searches.
///
/// # Errors
/// Kind `Bug` when the dimensions differ; kind `Model` when libtorch fails.
pub fn both_ways(left: &Vectors, right: &Arc<Vectors>, k: usize) -> Result<(Neighbours, Neighbours)> {
    if is_small(left, &**right) || k == 0 {
        same_dimensions(left, &**right)?;
        return Ok((one_by_one(left, &**right, k), one_by_one(&**right, left, k)));
    }
    let mut both = BothWays::new(Arc::<Vectors>::clone(right), k)?;
    Ok((both.forward(left)?, both.backward(left)?))
}

/// Both ways of one product, when the left side comes in parts.
#[derive(Debug)]
pub struct BothWays {
    right: Arc<dyn Rows>,
    packed: Packed,
    columns: Columns,
    k: usize,
    form: Form,
    /// Rows of the left side that have come.
    seen: usize,
}

impl BothWays {
    /// Waits for the left side's first rows.
    ///
    /// # Errors
    /// Kind `Model` when libtorch fails.
    pub fn new(right: Arc<dyn Rows>, k: usize) -> Result<Self> {
        Self::in_form(right, k, Form::fastest())
    }

    fn in_form(right: Arc<dyn Rows>, k: usize, form: Form) -> Result<Self> {
        let packed = Packed::new(&*right, form)?;
        let columns = Columns::new(&vec![f32::NEG_INFINITY; right.rows()], k + SLACK);
        Ok(Self { right, packed, columns, k, form, seen: 0 })
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
        same_dimensions(next, &*self.right)?;
        let packed = Packed::new(next, self.form)?;
        let found = sweep(&packed, &self.packed, self.k + SLACK, None, Some((&self.columns, self.seen)))?;
        self.seen += next.rows();
        let wider = |unsure: &Vectors| again(unsure, &*self.right, Some(&self.packed), self.k, self.form);
        settle(next, &*self.right, &found, self.k, wider)
    }

    /// The neighbours of the right side, once all of the left has come; `left` is all of it.
    ///
    /// # Errors
    /// Kind `Bug` when not all has come; kind `Model` when libtorch fails.
    pub fn backward(self, left: &dyn Rows) -> Result<Neighbours> {
        if self.seen != left.rows() {
            return Err(Error::bug(format!("{} of {} rows have come", self.seen, left.rows())));
        }
        let mut columns = Pools::joined(self.k + SLACK, self.columns.into_blocks().map(|(_, pools)| pools));
        columns.prune_all();
        let wider = |unsure: &Vectors| again(unsure, left, None, self.k, self.form);
        settle(&*self.right, left, &columns, self.k, wider)
    }
}

/// Searches once more for queries whose answer was not sure: among more candidates, then in f32, at last one by one.
fn again(queries: &Vectors, rows: &dyn Rows, packed: Option<&Packed>, k: usize, form: Form) -> Result<Neighbours> {
    if queries.rows() == 0 {
        return Ok(Vec::new());
    }
    if form == Form::F32 {
        return Ok(one_by_one(queries, rows, k));
    }
    let packed = match packed {
        Some(packed) => packed,
        None => &Packed::new(rows, form)?,
    };
    let mut found = Vec::with_capacity(queries.rows());
    for first in (0..queries.rows()).step_by(PICKED) {
        let some = queries.picked(first..(first + PICKED).min(queries.rows()));
        let own = Packed::new(&some, form)?;
        let candidates = sweep(&own, packed, k + WIDE_SLACK, None, None)?;
        found.extend(settle(&some, rows, &candidates, k, |unsure| in_f32(unsure, rows, k))?);
    }
    Ok(found)
}

fn in_f32(queries: &Vectors, rows: &dyn Rows, k: usize) -> Result<Neighbours> {
    let (a, b) = (Packed::new(queries, Form::F32)?, Packed::new(rows, Form::F32)?);
    let candidates = sweep(&a, &b, k + SLACK, None, None)?;
    settle(queries, rows, &candidates, k, |unsure| Ok(one_by_one(unsure, rows, k)))
}

#[cfg(test)]
mod tests;
