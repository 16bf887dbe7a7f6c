//! Candidates of many rows at once: of each, the best products so far, and the threshold under which none counts. A
//! product stands for the highest cosine that it can come from, its errors being what they are.

use std::ops::Range;

use crate::error::Result;
use crate::model::torch::products::{Sums, Tile};

/// Sums that are looked at together.
const LANES: usize = 64;
/// And when one of them counts.
const FEW: usize = 8;

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

/// What the steps of some rows are worth (nothing, for f32), and by how much they may be wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps<'a> {
    pub(super) scales: &'a [f32],
    pub(super) slack: &'a [f32],
}

/// One side's rows and the number of the first: `None` when its candidates are not asked for.
type Theirs<'a> = (Option<&'a mut Pools>, usize);

impl Pools {
    pub(super) fn new(rows: usize, keep: usize) -> Self {
        Self::above(vec![f32::NEG_INFINITY; rows], keep)
    }

    /// For rows of which only products from a floor on count.
    pub(super) fn above(floors: Vec<f32>, keep: usize) -> Self {
        let (lengths, entries) = (vec![0; floors.len()], vec![(0.0, 0); floors.len() * Self::capacity(keep)]);
        Self { keep, thresholds: floors, lengths, entries }
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

    /// The candidates of rows that have the same number each, found elsewhere. `error`: by how much a product may be wrong.
    pub(super) fn found(products: &[f32], others: &[i64], each: usize, error: f32) -> Self {
        let rows = products.len() / each.max(1);
        let mut pools = Self::new(rows, each);
        let number = |other: i64| usize::try_from(other).unwrap_or(usize::MAX);
        for (row, (products, others)) in products.chunks(each).zip(others.chunks(each)).enumerate() {
            products.iter().zip(others).for_each(|(product, other)| pools.offer(row, product + error, number(*other)));
        }
        pools.prune_all();
        pools
    }

    /// Looks through a tile of products of `rows` with `columns`. `own` are the rows' pools with the number of the first
    /// row, `theirs` the columns'.
    pub(super) fn scan(
        tile: &Tile,
        (rows, columns): (Steps<'_>, Steps<'_>),
        own: (&mut Self, usize),
        theirs: Theirs<'_>,
    ) -> Result<()> {
        let ((own, first_row), (mut theirs, first_column)) = (own, theirs);
        let mut hits: Vec<(u32, f32)> = Vec::new();
        for (row, sums) in tile.rows()?.enumerate() {
            hits.clear();
            let thresholds = (own.thresholds[row], theirs.as_ref().map(|pools| pools.thresholds.as_slice()));
            match sums {
                Sums::Int(sums) => {
                    let (own, others) = ((rows.scales[row], rows.slack[row]), (columns.scales, columns.slack));
                    find_ints(sums, own, others, thresholds, &mut hits);
                }
                Sums::Float(sums) => find_floats(sums, rows.slack[row], columns.slack, thresholds, &mut hits),
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

    /// Rows that have a candidate.
    pub(super) fn with_candidates(&self) -> impl Iterator<Item = usize> {
        (0..self.lengths.len()).filter(|row| self.lengths[*row] > 0)
    }

    /// No product that is not among the candidates is above it.
    pub(super) fn threshold(&self, row: usize) -> f32 {
        self.thresholds[row]
    }

    /// Whether there was room for more candidates than came: none was left out that counts.
    pub(super) fn has_room(&self, row: usize) -> bool {
        (self.lengths[row] as usize) < self.keep
    }

    /// Whether all of so many others are candidates.
    pub(super) fn is_whole(&self, row: usize, others: usize) -> bool {
        self.lengths[row] as usize == others
    }
}

/// Products that reach the row's threshold or their column's; `threshold` is the row's.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn find_ints(
    sums: &[i32],
    (row_scale, row_slack): (f32, f32),
    (column_scales, column_slack): (&[f32], &[f32]),
    (threshold, thresholds): (f32, Option<&[f32]>),
    hits: &mut Vec<(u32, f32)>,
) {
    // Loops over arrays are the ones that a compiler unrolls.
    let (whole, rest) = sums.as_chunks::<LANES>();
    let ((scales, last_scales), (slack, last_slack)) = (column_scales.as_chunks(), column_slack.as_chunks());
    let mut products = [0.0_f32; LANES];
    #[expect(clippy::cast_precision_loss, reason = "rounded far coarser already")]
    let product = |sum: i32, scale: f32, slack: f32| sum as f32 * (row_scale * scale) + (row_slack + slack);
    let fill = |products: &mut [f32; LANES], sums: &[i32; LANES], scales: &[f32; LANES], slack: &[f32; LANES]| {
        (0..LANES).for_each(|lane| products[lane] = product(sums[lane], scales[lane], slack[lane]));
    };
    let all = whole.iter().zip(scales.iter().zip(slack)).enumerate();
    match thresholds {
        None => {
            for (number, (sums, (scales, slack))) in all {
                fill(&mut products, sums, scales, slack);
                collect(&products, number * LANES, threshold, None, hits);
            }
        }
        Some(thresholds) => {
            for ((number, (sums, (scales, slack))), thresholds) in all.zip(thresholds.as_chunks().0) {
                fill(&mut products, sums, scales, slack);
                collect(&products, number * LANES, threshold, Some(thresholds), hits);
            }
        }
    }
    let start = whole.len() * LANES;
    for (place, (sum, (scale, slack))) in (start..).zip(rest.iter().zip(last_scales.iter().zip(last_slack))) {
        note(place, product(*sum, *scale, *slack), threshold, thresholds.map(|thresholds| thresholds[place]), hits);
    }
}

/// As [`find_ints`].
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn find_floats(
    sums: &[f32],
    row_slack: f32,
    column_slack: &[f32],
    (threshold, thresholds): (f32, Option<&[f32]>),
    hits: &mut Vec<(u32, f32)>,
) {
    let ((whole, rest), (slack, last_slack)) = (sums.as_chunks::<LANES>(), column_slack.as_chunks::<LANES>());
    let mut products = [0.0_f32; LANES];
    for (number, (sums, slack)) in whole.iter().zip(slack).enumerate() {
        (0..LANES).for_each(|lane| products[lane] = sums[lane] + (row_slack + slack[lane]));
        let thresholds = thresholds.and_then(|thresholds| thresholds[number * LANES..].first_chunk());
        collect(&products, number * LANES, threshold, thresholds, hits);
    }
    for (place, (sum, slack)) in (whole.len() * LANES..).zip(rest.iter().zip(last_slack)) {
        let product = sum + (row_slack + slack);
        note(place, product, threshold, thresholds.map(|thresholds| thresholds[place]), hits);
    }
}

/// Most have none that reaches, and those that do have one: first it is asked of all, then of a few at a time.
#[inline(always)]
fn collect(
    products: &[f32; LANES],
    start: usize,
    threshold: f32,
    columns: Option<&[f32; LANES]>,
    hits: &mut Vec<(u32, f32)>,
) {
    let reaches = |lanes: Range<usize>| {
        let mut any = 0_u32;
        match columns {
            None => lanes.for_each(|lane| any |= u32::from(products[lane] >= threshold)),
            Some(columns) => lanes.for_each(|lane| {
                any |= u32::from(products[lane] >= threshold) | u32::from(products[lane] >= columns[lane]);
            }),
        }
        any != 0
    };
    if !reaches(0..LANES) {
        return;
    }
    for few in (0..LANES).step_by(FEW) {
        if reaches(few..few + FEW) {
            for lane in few..few + FEW {
                note(start + lane, products[lane], threshold, columns.map(|columns| columns[lane]), hits);
            }
        }
    }
}

#[inline(always)]
fn note(place: usize, product: f32, threshold: f32, column: Option<f32>, hits: &mut Vec<(u32, f32)>) {
    if product >= threshold || column.is_some_and(|column| product >= column) {
        hits.push((u32::try_from(place).unwrap_or(u32::MAX), product));
    }
}
