//! All products of two sides, tile by tile on all cores, and the candidates among them.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::pools::{Pools, Steps};
use crate::error::Result;
use crate::model::torch::compute::{share_out, threads};
use crate::model::torch::products::Packed;

/// Rows of either side in a tile: its sums stay in the cache, and products run at their full rate.
const TILE: (usize, usize) = (256, 2_048);

/// Candidates of columns, a block each: anyone's, one at a time.
#[derive(Debug)]
pub(super) struct Columns(Vec<Mutex<Pools>>);

impl Columns {
    /// For columns of which products from a floor on count; `keep` of them each.
    pub(super) fn new(floors: &[f32], keep: usize) -> Self {
        Self(floors.chunks(TILE.1).map(|floors| Mutex::new(Pools::above(floors.to_vec(), keep))).collect())
    }

    /// The candidates, with the number of each block's first column.
    pub(super) fn into_blocks(self) -> impl Iterator<Item = (usize, Pools)> {
        self.0.into_iter().enumerate().map(|(block, pools)| (block * TILE.1, into_inner(pools)))
    }
}

/// The best `keep` products of each row of `a`, from its floor on. `theirs` are offered the rows of `a`, under their
/// numbers from `first` on.
pub(super) fn sweep(
    a: &Packed,
    b: &Packed,
    keep: usize,
    floors: Option<&[f32]>,
    theirs: Option<(&Columns, usize)>,
) -> Result<Pools> {
    let (rows, columns) = (a.rows(), b.rows());
    let height = band(rows, threads());
    let bands: Vec<usize> = (0..rows).step_by(height).collect();
    let blocks: Vec<usize> = (0..columns).step_by(TILE.1).collect();
    let workers = threads().min(bands.len());
    let (own_slack, their_slack) = a.slack(b);
    let by_row = Mutex::new(Vec::new());
    let failed = Mutex::new(None);
    let next = AtomicUsize::new(0);
    share_out(workers, 1, |worker| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(&band) = bands.get(number) else { break };
            let last = (band + height).min(rows);
            let floors =
                floors.map_or_else(|| vec![f32::NEG_INFINITY; last - band], |floors| floors[band..last].to_vec());
            let mut own = Pools::above(floors, keep);
            // Workers begin at different blocks, so that they seldom want the same.
            for step in 0..blocks.len() {
                let block = (step + worker * blocks.len() / workers) % blocks.len();
                let range = blocks[block]..(blocks[block] + TILE.1).min(columns);
                let scanned = a.tile(band..last, b, range.clone()).and_then(|tile| {
                    let mut column = theirs.map(|(columns, first)| (lock(&columns.0[block]), first));
                    let first = column.as_ref().map_or(0, |(_, first)| *first);
                    let steps = (steps(a, &own_slack, band..last), steps(b, &their_slack, range.clone()));
                    let column = column.as_mut().map(|(pools, _)| &mut **pools);
                    Pools::scan(&tile, steps, (&mut own, first + band), (column, range.start))
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

fn steps<'a>(of: &'a Packed, slack: &'a [f32], range: Range<usize>) -> Steps<'a> {
    Steps { scales: of.scales().get(range.clone()).unwrap_or_default(), slack: &slack[range] }
}

/// Rows of a band: as many as a tile has, or fewer, so that all workers have as much to do.
fn band(rows: usize, workers: usize) -> usize {
    let each = rows.div_ceil(TILE.0 * workers).max(1) * workers;
    rows.div_ceil(each).max(1)
}

/// What a lock holds: no thread panics while it has one.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_no_taller_than_a_tile_and_of_one_height() {
        // 600 rows and two workers: two rounds of 150, not 256, 256 and 88.
        assert_eq!([band(600, 2), band(256, 1), band(10_000, 16), band(3, 16), band(0, 2)], [150, 256, 209, 1, 1]);
        for (rows, workers) in [(4_096, 2), (1, 1), (777, 3), (100_000, 7)] {
            assert!((1..=TILE.0).contains(&band(rows, workers)));
        }
    }
}
