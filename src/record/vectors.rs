//! Embeddings: the one matrix type that crosses modules, and what reads such rows wherever they lie.

use std::fmt::Debug;

use crate::error::{Error, ErrorKind, Result};

/// `rows × dim` numbers, row-major; every row has unit length.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    dim: usize,
    data: Vec<f32>,
}

impl Vectors {
    /// No rows yet.
    pub fn empty(dim: usize) -> Self {
        Self { dim, data: Vec::new() }
    }

    /// Takes rows and scales each to unit length.
    ///
    /// # Errors
    /// Kind `Model` when the length is no multiple of `dim`, or a row is not finite or is all zero: such a vector
    /// would travel far before it did harm.
    pub fn normalised(dim: usize, mut data: Vec<f32>) -> Result<Self> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(Error::bug(format!("{} numbers do not make rows of {dim}", data.len())));
        }
        for (row, vector) in data.chunks_exact_mut(dim).enumerate() {
            let norm = norm(vector);
            if !norm.is_finite() || norm < NOTHING {
                return Err(unusable(row, norm));
            }
            scale(vector, norm);
        }
        Ok(Self { dim, data })
    }

    /// Takes rows, leaves out those that are all zero, and scales the others to unit length. Answers the numbers of the
    /// rows that were left out, ascending.
    ///
    /// # Errors
    /// Kind `Model` when a row is not finite; kind `Bug` when the length is no multiple of `dim`.
    pub fn normalised_without_zeros(dim: usize, mut data: Vec<f32>) -> Result<(Self, Vec<usize>)> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(Error::bug(format!("{} numbers do not make rows of {dim}", data.len())));
        }
        let (mut zeros, mut kept) = (Vec::new(), 0);
        for row in 0..data.len() / dim {
            let vector = &mut data[row * dim..(row + 1) * dim];
            let norm = norm(vector);
            if !norm.is_finite() {
                return Err(unusable(row, norm));
            }
            if norm < NOTHING {
                zeros.push(row);
                continue;
            }
            scale(vector, norm);
            if kept < row {
                data.copy_within(row * dim..(row + 1) * dim, kept * dim);
            }
            kept += 1;
        }
        data.truncate(kept * dim);
        Ok((Self { dim, data }, zeros))
    }

    /// Takes rows that are already of unit length (read back from shards).
    ///
    /// # Errors
    /// Kind `Bug` when the length is no multiple of `dim`.
    pub fn of_units(dim: usize, data: Vec<f32>) -> Result<Self> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(Error::bug(format!("{} numbers do not make rows of {dim}", data.len())));
        }
        Ok(Self { dim, data })
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.data.len() / self.dim.max(1)
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.dim)
    }

    /// All numbers, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Some of the rows, in the order given.
    pub fn picked(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let mut picked = Self::empty(self.dim);
        rows.into_iter().for_each(|row| picked.push_unit(self.row(row)));
        picked
    }

    /// Appends a row that is already of unit length (one read back from a shard).
    pub fn push_unit(&mut self, row: &[f32]) {
        debug_assert_eq!(row.len(), self.dim);
        self.data.extend_from_slice(row);
    }
}

/// A row of a smaller norm is taken for zero.
const NOTHING: f64 = 1e-12;

fn norm(row: &[f32]) -> f64 {
    row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}

#[expect(clippy::cast_possible_truncation, reason = "back to the stored precision")]
fn scale(row: &mut [f32], norm: f64) {
    row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
}

fn unusable(row: usize, norm: f64) -> Error {
    Error::new(
        ErrorKind::Model,
        format!("row {row} of the embeddings has the norm {norm}: the encoder gave no usable vector"),
    )
}

/// Rows of unit length, read one at a time.
pub trait Rows: Debug + Send + Sync {
    /// How many.
    fn rows(&self) -> usize;

    /// Numbers in a row.
    fn dim(&self) -> usize;

    /// One row; in `buffer`, if it does not lie in memory as it is asked for.
    fn read<'a>(&'a self, row: usize, buffer: &'a mut Vec<f32>) -> &'a [f32];

    /// Some of the rows, in the order given. Memory: 4 bytes a number.
    fn pick(&self, rows: &[usize]) -> Vectors {
        let (mut picked, mut buffer) = (Vectors::empty(self.dim()), Vec::new());
        rows.iter().for_each(|row| picked.push_unit(self.read(*row, &mut buffer)));
        picked
    }
}

impl Rows for Vectors {
    fn rows(&self) -> usize {
        self.rows()
    }

    fn dim(&self) -> usize {
        self.dim()
    }

    fn read<'a>(&'a self, row: usize, _buffer: &'a mut Vec<f32>) -> &'a [f32] {
        self.row(row)
    }
}

/// Numbers from −½ to ½ for tests, from a small linear congruential generator: no crate, the same everywhere.
#[cfg(test)]
pub(crate) fn random(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    }
}

#[cfg(test)]
impl Vectors {
    /// Points on a sphere, by [`random`].
    pub(crate) fn random(rows: usize, dim: usize, seed: u64) -> Self {
        Self::normalised(dim, std::iter::repeat_with(random(seed)).take(rows * dim).collect()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_scaled_to_unit_length() {
        let vectors = Vectors::normalised(2, vec![3.0, 4.0, 0.0, -2.0]).unwrap();
        assert_eq!(vectors.row(0), [0.6, 0.8]);
        assert_eq!(vectors.row(1), [0.0, -1.0]);
        assert_eq!(vectors.rows(), 2);
    }

    #[test]
    fn rows_of_zeros_are_left_out_and_named() {
        let (vectors, zeros) =
            Vectors::normalised_without_zeros(2, vec![0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, -2.0]).unwrap();
        assert_eq!((vectors.data(), zeros.as_slice()), ([0.6, 0.8, 0.0, -1.0].as_slice(), [0, 2].as_slice()));
        assert_eq!(Vectors::normalised_without_zeros(2, vec![0.0; 4]).unwrap().0.rows(), 0);
        let error = Vectors::normalised_without_zeros(1, vec![0.0, f32::INFINITY]).unwrap_err();
        assert!(error.to_string().contains("row 1 of the embeddings has the norm inf"), "{error}");
    }

    #[test]
    fn rows_are_picked_in_the_order_asked_for() {
        let vectors = Vectors::normalised(1, vec![1.0, -1.0, 1.0]).unwrap();
        assert_eq!(vectors.picked([1, 0, 1]).data(), [-1.0, 1.0, -1.0]);
    }

    #[test]
    fn rows_without_a_direction_are_refused() {
        assert_eq!(Vectors::normalised(2, vec![1.0, 0.0, 0.0, 0.0]).unwrap_err().kind(), ErrorKind::Model);
        assert_eq!(Vectors::normalised(1, vec![f32::NAN]).unwrap_err().kind(), ErrorKind::Model);
        assert!(Vectors::normalised(2, vec![1.0]).is_err());
    }
}
