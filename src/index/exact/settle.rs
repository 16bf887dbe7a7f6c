//! From candidates to neighbours: their cosines in f32, the best k, and whether these are sure to be the right ones.

use rayon::prelude::*;

use super::super::pools::Pools;
use super::super::{Neighbours, cosine};
use crate::error::Result;
use crate::record::{Rows, Vectors};

/// The best k of a query's candidates, counted anew. Whether another row could be among them, that is no candidate, is
/// answered beside it.
pub(super) fn settled(
    query: &[f32],
    rows: &dyn Rows,
    (candidates, number): (&Pools, usize),
    k: usize,
    room: &mut Room,
) -> (Vec<(usize, f32)>, bool) {
    let mut top = Top::new(k);
    room.candidates.clear();
    room.candidates.extend(candidates.of(number));
    room.candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    for (product, row) in &room.candidates {
        // No cosine is higher than its product may stand for.
        if top.entries.len() == k && top.entries.last().is_none_or(|(_, last)| product < last) {
            break;
        }
        top.offer(*row, cosine(query, rows.read(*row, &mut room.numbers)));
    }
    // Nothing is left out, or nothing that is left out can reach the k-th.
    let sure = candidates.has_room(number)
        || candidates.is_whole(number, rows.rows())
        || top.entries.len() == k && top.entries.last().is_none_or(|(_, last)| *last > candidates.threshold(number));
    (top.entries, sure)
}

/// What is used again for the next query.
#[derive(Debug, Default)]
pub(super) struct Room {
    candidates: Vec<(f32, usize)>,
    numbers: Vec<f32>,
}

/// The neighbours of all queries; `again` searches for those that are not sure of theirs.
pub(super) fn settle(
    queries: &dyn Rows,
    rows: &dyn Rows,
    candidates: &Pools,
    k: usize,
    again: impl FnOnce(&Vectors) -> Result<Neighbours>,
) -> Result<Neighbours> {
    let (mut found, sure): (Neighbours, Vec<bool>) = (0..queries.rows())
        .into_par_iter()
        .map_init(
            || (Vec::new(), Room::default()),
            |(own, room), number| settled(queries.read(number, own), rows, (candidates, number), k, room),
        )
        .unzip();
    let unsure: Vec<usize> = (0..queries.rows()).filter(|query| !sure[*query]).collect();
    if unsure.is_empty() {
        return Ok(found);
    }
    for (query, list) in unsure.iter().zip(again(&queries.pick(&unsure))?) {
        found[*query] = list;
    }
    Ok(found)
}

/// Each query against each row, one cosine at a time.
pub fn one_by_one(queries: &dyn Rows, rows: &dyn Rows, k: usize) -> Neighbours {
    if k == 0 {
        return vec![Vec::new(); queries.rows()];
    }
    let chunks: Vec<usize> = (0..queries.rows()).step_by(16).collect();
    let found: Vec<Neighbours> = chunks
        .par_iter()
        .map(|first| {
            let last = (first + 16).min(queries.rows());
            let queries = queries.pick(&(*first..last).collect::<Vec<_>>());
            let mut tops: Vec<Top> = queries.iter().map(|_| Top::new(k)).collect();
            let mut buffer = Vec::new();
            for row in 0..rows.rows() {
                let numbers = rows.read(row, &mut buffer);
                queries.iter().zip(&mut tops).for_each(|(query, top)| top.offer(row, cosine(query, numbers)));
            }
            tops.into_iter().map(|top| top.entries).collect()
        })
        .collect();
    found.into_iter().flatten().collect()
}

/// The best `k` so far, sorted: `k` is small, so shifting beats a heap.
#[derive(Debug)]
pub(in crate::index) struct Top {
    k: usize,
    pub(in crate::index) entries: Vec<(usize, f32)>,
}

impl Top {
    pub(in crate::index) fn new(k: usize) -> Self {
        Self { k, entries: Vec::with_capacity(k + 1) }
    }

    pub(in crate::index) fn offer(&mut self, row: usize, cosine: f32) {
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
