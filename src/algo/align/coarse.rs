//! Where to search in long documents: a path through shorter and shorter ones, each half as long as the one before.
//!
//! Neighbouring lines are put together two by two until the whole lattice is small; the best path through that is drawn
//! at twice the size, the best path near it found, and so on. What a side has more than the other costs the path a
//! little a block, so that chapters that only one side has are walked past wherever they stand. Averaging keeps what
//! translations share and loses what is accident, once the mean of the whole document is taken out. Linear in time and
//! memory: the levels together are no longer than the documents.
//!
//! After the idea of FastDTW (Salvador & Chan 2007), used for sentences by Thompson & Koehn 2019.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Side;
use super::band::Band;
use super::similarities::{dot, sample};

/// Cells of the shortest lattice, which is searched whole.
const WHOLE: usize = 1 << 19;
/// Blocks to either side of the path of the level before that are searched.
const MARGIN: usize = 12;
/// Lines to either side of the path of blocks of two that the lattice of beads searches.
const LAST_MARGIN: usize = 24;
/// Pairs of blocks from which the spread of chance is estimated.
const SAMPLE: usize = 1 << 15;

/// Weight of a standard deviation of similarity, of two blocks side by side without any, of a block passed by, of an
/// anchor.
const SIMILARITY: f64 = 0.4;
const SIDE_BY_SIDE: f64 = -0.3;
const PASS: f64 = -0.4;
const ANCHOR: f64 = 4.0;
/// Standard deviations past which similarity says no more.
const CAP: (f64, f64) = (-2.0, 10.0);

/// The band of lines around the path that shorter documents take. `anchors` are lines known to be side by side.
pub(super) fn band(source: &Side<'_>, target: &Side<'_>, anchors: &[(usize, usize)]) -> Band {
    let (n, m) = (source.lines.len(), target.lines.len());
    let blocks = |level: u32| (n.div_ceil(1 << level), m.div_ceil(1 << level));
    let mut level = 1;
    while (blocks(level).0 + 1).saturating_mul(blocks(level).1 + 1) > WHOLE && blocks(level) != (1, 1) {
        level += 1;
    }
    let (rows, columns) = blocks(level);
    let mut band = Band::whole(rows, columns);
    loop {
        let path = path(source, target, level, &band, anchors);
        level -= 1;
        if level == 0 {
            return Band::around(&path, n, m, LAST_MARGIN);
        }
        let (rows, columns) = blocks(level);
        band = Band::around(&path, rows, columns, MARGIN);
    }
}

/// The best path of nodes through blocks of 2^level lines.
fn path(
    source: &Side<'_>,
    target: &Side<'_>,
    level: u32,
    band: &Band,
    anchors: &[(usize, usize)],
) -> Vec<(usize, usize)> {
    let (one, other) = (Blocks::new(source, level), Blocks::new(target, level));
    let (rows, columns) = (one.count, other.count);
    let spread = spread(&one, &other);
    let mut known: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    for (i, j) in anchors {
        *known.entry((i >> level, j >> level)).or_default() += ANCHOR;
    }
    let lines = band.of_lines(1);
    let cosines: Vec<Vec<f64>> =
        (0..rows).into_par_iter().map(|i| lines.columns(i).map(|j| dot(one.row(i), other.row(j))).collect()).collect();
    let weight = |i: usize, j: usize| {
        let deviations = (cosines[i][j - lines.columns(i).start()] / spread).clamp(CAP.0, CAP.1);
        SIMILARITY * deviations + SIDE_BY_SIDE + known.get(&(i, j)).copied().unwrap_or(0.0)
    };
    // Steps: 0 both, 1 source alone, 2 target alone.
    let mut steps = vec![0_u8; band.size()];
    let mut before: Vec<f64> = Vec::new();
    for i in 0..=rows {
        let mut row = Vec::with_capacity(before.len());
        for j in band.columns(i) {
            let mut best = if (i, j) == (0, 0) { 0.0 } else { f64::NEG_INFINITY };
            let mut step = 0;
            let above = |j: usize| before[j - band.columns(i - 1).start()];
            if i > 0 && j > 0 && band.contains(i - 1, j - 1) {
                best = above(j - 1) + weight(i - 1, j - 1);
            }
            if i > 0 && band.contains(i - 1, j) && above(j) + PASS > best {
                (best, step) = (above(j) + PASS, 1);
            }
            if let Some(left) = row.last().map(|left| left + PASS)
                && left > best
            {
                (best, step) = (left, 2);
            }
            steps[band.cell(i, j)] = step;
            row.push(best);
        }
        before = row;
    }
    let (mut i, mut j) = (rows, columns);
    let mut path = vec![(i, j)];
    while (i, j) != (0, 0) {
        (i, j) = match steps[band.cell(i, j)] {
            0 => (i - 1, j - 1),
            1 => (i - 1, j),
            _ => (i, j - 1),
        };
        path.push((i, j));
    }
    path.reverse();
    path
}

/// Sums of the vectors of neighbouring lines, less their mean, at unit length.
struct Blocks {
    dim: usize,
    count: usize,
    data: Vec<f32>,
}

impl Blocks {
    fn new(side: &Side<'_>, level: u32) -> Self {
        let (size, dim) = (1_usize << level, side.vectors.dim());
        let count = side.lines.len().div_ceil(size);
        let mut data = vec![0.0_f32; count * dim];
        data.par_chunks_exact_mut(dim).enumerate().for_each(|(block, sum)| {
            let lines = block * size..((block + 1) * size).min(side.lines.len());
            let scale = 1.0 / lines.len() as f32;
            for line in lines {
                sum.iter_mut().zip(side.vectors.row(line)).for_each(|(sum, x)| *sum += scale * x);
            }
        });
        let mut mean = vec![0.0_f64; dim];
        for row in data.chunks_exact(dim) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x) / count as f64);
        }
        data.par_chunks_exact_mut(dim).for_each(|row| {
            #[expect(clippy::cast_possible_truncation, reason = "back to the stored precision")]
            row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= *mean as f32);
            let norm = dot(row, row).sqrt();
            #[expect(clippy::cast_possible_truncation, reason = "back to the stored precision")]
            row.iter_mut().for_each(|x| *x = if norm > 1e-9 { (f64::from(*x) / norm) as f32 } else { 0.0 });
        });
        Self { dim, count, data }
    }

    fn row(&self, block: usize) -> &[f32] {
        &self.data[block * self.dim..(block + 1) * self.dim]
    }
}

/// The spread of chance: the negative cosines, mirrored, so that true pairs do not widen it.
fn spread(one: &Blocks, other: &Blocks) -> f64 {
    let negative: Vec<f64> = sample(one.count, other.count, SAMPLE)
        .into_par_iter()
        .map(|(i, j)| dot(one.row(i), other.row(j)))
        .filter(|cosine| *cosine < 0.0)
        .collect();
    let square: f64 = negative.iter().map(|cosine| cosine * cosine).sum();
    if negative.is_empty() { 0.01 } else { (square / negative.len() as f64).sqrt().max(0.01) }
}
