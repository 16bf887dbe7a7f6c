//! Candidates of many rows at once: of each, the best products so far, and the threshold under which none counts.

use crate::error::Result;
use crate::model::torch::products::{Sums, Tile};

/// Sums that are looked at together.
const LANES: usize = 16;

/// For each of some rows, its best products with others. What is kept does not depend on the order in which they come.
#[derive(Debug)]
pub(super) struct Pools {
    keep: usize,
    /// The `keep`-th best product of each, as far as is known: a lower one is out.
    thresholds: Vec<f32>,
    lengths: Vec<u32>,
    /// `capacity` places for each row: product and number of the other.
    entries: Vec<(f32, u32)>,
}

/// One side's rows and the number of the first: `None` when its candidates are not asked for.
type Theirs<'a> = (Option<&'a mut Pools>, usize);

impl Pools {
    pub(super) fn new(rows: usize, keep: usize) -> Self {
        let capacity = Self::capacity(keep);
        Self {
            keep,
            thresholds: vec![f32::NEG_INFINITY; rows],
            lengths: vec![0; rows],
            entries: vec![(0.0, 0); rows * capacity],
        }
    }

    /// Half as many more than are kept, so that what is out is thrown away now and then only.
    fn capacity(keep: usize) -> usize {
        keep + keep / 2 + 1
    }

    pub(super) fn joined(keep: usize, parts: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::new(0, keep);
        for part in parts {
            all.thresholds.extend(part.thresholds);
            all.lengths.extend(part.lengths);
            all.entries.extend(part.entries);
        }
        all
    }

    /// The candidates of rows that have the same number each, found elsewhere.
    pub(super) fn found(products: &[f32], others: &[i64], each: usize) -> Self {
        let rows = products.len() / each.max(1);
        let mut pools = Self::new(rows, each);
        let number = |other: i64| usize::try_from(other).unwrap_or(usize::MAX);
        for (row, (products, others)) in products.chunks(each).zip(others.chunks(each)).enumerate() {
            products.iter().zip(others).for_each(|(product, other)| pools.offer(row, *product, number(*other)));
        }
        pools.prune_all();
        pools
    }

    /// Looks through a tile. `scales` are those of its rows and columns, for integers. `own` are the rows' pools with the
    /// number of the first row, `theirs` the columns'.
    pub(super) fn scan(
        tile: &Tile,
        scales: (Option<&[f32]>, Option<&[f32]>),
        own: (&mut Self, usize),
        theirs: Theirs<'_>,
    ) -> Result<()> {
        let ((own, first_row), (mut theirs, first_column)) = (own, theirs);
        let mut hits: Vec<(u32, f32)> = Vec::new();
        for (row, sums) in tile.rows()?.enumerate() {
            hits.clear();
            let columns = theirs.as_ref().map(|pools| pools.thresholds.as_slice());
            match sums {
                Sums::Int(sums) => {
                    let (Some(row_scales), Some(column_scales)) = scales else { continue };
                    find_ints(sums, row_scales[row], column_scales, own.thresholds[row], columns, &mut hits);
                }
                Sums::Float(sums) => find_floats(sums, own.thresholds[row], columns, &mut hits),
            }
            for &(column, product) in &hits {
                own.offer(row, product, first_column + column as usize);
                if let Some(pools) = &mut theirs {
                    pools.offer(column as usize, product, first_row + row);
                }
            }
        }
        Ok(())
    }

    fn offer(&mut self, row: usize, product: f32, other: usize) {
        // As high as the last is not out: which of equals is kept is decided by number.
        if product < self.thresholds[row] {
            return;
        }
        let (capacity, length) = (Self::capacity(self.keep), self.lengths[row] as usize);
        self.entries[row * capacity + length] = (product, u32::try_from(other).unwrap_or(u32::MAX));
        self.lengths[row] += 1;
        if length + 1 == capacity {
            self.prune(row);
        }
    }

    fn prune(&mut self, row: usize) {
        let (capacity, length) = (Self::capacity(self.keep), self.lengths[row] as usize);
        if length < self.keep || self.keep == 0 {
            return;
        }
        let entries = &mut self.entries[row * capacity..row * capacity + length];
        let better = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        entries.select_nth_unstable_by(self.keep - 1, better);
        self.thresholds[row] = entries[self.keep - 1].0;
        self.lengths[row] = u32::try_from(self.keep).unwrap_or(u32::MAX);
    }

    /// Leaves each row `keep` candidates, and the threshold true.
    pub(super) fn prune_all(&mut self) {
        (0..self.lengths.len()).for_each(|row| self.prune(row));
    }

    /// The candidates of a row with their products, in no order.
    pub(super) fn of(&self, row: usize) -> impl Iterator<Item = (f32, usize)> {
        let start = row * Self::capacity(self.keep);
        self.entries[start..start + self.lengths[row] as usize]
            .iter()
            .map(|(product, other)| (*product, *other as usize))
    }

    /// No product that is not among the candidates is above it.
    pub(super) fn threshold(&self, row: usize) -> f32 {
        self.thresholds[row]
    }

    /// Whether all of so many others are candidates.
    pub(super) fn is_whole(&self, row: usize, others: usize) -> bool {
        self.lengths[row] as usize == others
    }
}

/// Sums that reach the row's threshold or their column's.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn find_ints(
    sums: &[i32],
    row_scale: f32,
    column_scales: &[f32],
    threshold: f32,
    columns: Option<&[f32]>,
    hits: &mut Vec<(u32, f32)>,
) {
    let mut products = [0.0_f32; LANES];
    for start in (0..sums.len()).step_by(LANES) {
        let end = (start + LANES).min(sums.len());
        for ((product, sum), scale) in products.iter_mut().zip(&sums[start..end]).zip(&column_scales[start..end]) {
            #[expect(clippy::cast_precision_loss, reason = "rounded far coarser already")]
            let exact = *sum as f32;
            *product = exact * (row_scale * scale);
        }
        collect(&products[..end - start], start, threshold, columns, hits);
    }
}

/// As [`find_ints`].
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn find_floats(sums: &[f32], threshold: f32, columns: Option<&[f32]>, hits: &mut Vec<(u32, f32)>) {
    for (number, products) in sums.chunks(LANES).enumerate() {
        collect(products, number * LANES, threshold, columns, hits);
    }
}

#[inline(always)]
fn collect(products: &[f32], start: usize, threshold: f32, columns: Option<&[f32]>, hits: &mut Vec<(u32, f32)>) {
    let mut any = false;
    match columns {
        None => products.iter().for_each(|product| any |= *product >= threshold),
        Some(columns) => {
            let columns = &columns[start..start + products.len()];
            products
                .iter()
                .zip(columns)
                .for_each(|(product, column)| any |= *product >= threshold || product >= column);
        }
    }
    if any {
        // Nearly always one of them; who it is for is asked again by its pool.
        for (lane, product) in products.iter().enumerate() {
            if *product >= threshold || columns.is_some_and(|columns| *product >= columns[start + lane]) {
                hits.push((u32::try_from(start + lane).unwrap_or(u32::MAX), *product));
            }
        }
    }
}
