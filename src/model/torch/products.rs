//! Products of many rows with many rows, tile by tile: what exact search is made of.
//!
//! On a processor with instructions for it, rows are rounded to 8-bit integers with a scale each ([`super::int8`]): twice
//! the rate of bf16, a quarter of the memory of f32, and an error of a cosine that is known ([`Packed::error`]). Else,
//! and where that is too coarse, they are f32.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::batch::signed;
use super::compute::{Multiply, multiplies_int8};
use super::int8;
use crate::error::{Error, Result};

/// The numbers that products are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 8-bit integers, a scale a row.
    Int8,
    /// f32.
    F32,
}

impl Form {
    /// The fastest here.
    pub fn fastest() -> Self {
        if multiplies_int8() { Self::Int8 } else { Self::F32 }
    }

    /// How its products are multiplied, for those who ask at which rate.
    pub fn multiply(self) -> Multiply {
        match self {
            Self::Int8 => Multiply::Int8,
            Self::F32 => Multiply::Blas,
        }
    }
}

/// Rows ready for products. Memory: 1 byte a number as integers, 4 as f32.
#[derive(Debug)]
pub struct Packed {
    /// `[rows, dim]`.
    numbers: Tensor,
    /// What a step of each row is worth; empty for f32.
    scales: Vec<f32>,
    form: Form,
}

#[expect(unsafe_code, reason = "several threads read the numbers; nothing writes to them once they are packed")]
unsafe impl Sync for Packed {}

/// The sums of one row of a tile.
#[derive(Debug, Clone, Copy)]
pub enum Sums<'a> {
    /// To be multiplied with both rows' scales.
    Int(&'a [i32]),
    /// Cosines, of unit rows.
    Float(&'a [f32]),
}

impl Packed {
    /// Packs rows of `dim` numbers.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails (no memory).
    pub fn new(rows: &[f32], dim: usize, form: Form) -> Result<Self> {
        let shape = [signed(rows.len() / dim.max(1)), signed(dim)];
        if form == Form::F32 {
            return Ok(Self { numbers: Tensor::f_from_slice(rows)?.f_view(shape)?, scales: Vec::new(), form });
        }
        let mut numbers = Tensor::f_empty(shape, (Kind::Int8, Device::Cpu))?;
        let scales = int8::quantize_rows(rows, dim, &mut numbers)?;
        Ok(Self { numbers, scales, form })
    }

    /// What a step of each row is worth; empty for f32.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// By how much a cosine of one of these unit rows with one of `other` may be wrong. For integers, six standard
    /// deviations of the sum of the rounding errors, which are even within half a step of either row: more than that
    /// happens once in 10⁹ cosines.
    pub fn error(&self, other: &Self) -> f32 {
        let largest = |scales: &[f32]| scales.iter().copied().fold(0.0_f32, f32::max);
        match self.form {
            Form::Int8 => 6.0 * largest(&self.scales).hypot(largest(&other.scales)) / 12.0_f32.sqrt(),
            // A sum of a thousand products of unit rows, each rounded to 24 bits.
            Form::F32 => 1e-5,
        }
    }

    /// The products of some of these rows with some of `other`.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails; kind `Bug` for two forms.
    pub fn tile(&self, own: Range<usize>, other: &Self, theirs: Range<usize>) -> Result<Tile> {
        if self.form != other.form {
            return Err(Error::bug("a product of integers with f32"));
        }
        let part = |tensor: &Tensor, range: &Range<usize>| tensor.f_narrow(0, signed(range.start), signed(range.len()));
        let (left, right) = (part(&self.numbers, &own)?, part(&other.numbers, &theirs)?.f_transpose(0, 1)?);
        let sums = match self.form {
            Form::Int8 => left.f_internal_int_mm(&right)?,
            Form::F32 => left.f_matmul(&right)?,
        };
        Ok(Tile { sums: sums.f_contiguous()?, width: theirs.len(), form: self.form })
    }
}

/// Products of rows with rows.
#[derive(Debug)]
pub struct Tile {
    /// `[own rows, their rows]`.
    sums: Tensor,
    width: usize,
    form: Form,
}

impl Tile {
    /// Row by row, those of the left in order.
    ///
    /// # Errors
    /// Kind `Bug`.
    pub fn rows(&self) -> Result<impl Iterator<Item = Sums<'_>>> {
        let (ints, floats) = match self.form {
            Form::Int8 => (int8::slice::<i32>(&self.sums, Kind::Int)?, &[][..]),
            Form::F32 => (&[][..], int8::slice::<f32>(&self.sums, Kind::Float)?),
        };
        let width = self.width.max(1);
        Ok(ints.chunks_exact(width).map(Sums::Int).chain(floats.chunks_exact(width).map(Sums::Float)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_cosines_within_the_error_that_is_told() {
        tch::manual_seed(5);
        let unit = |rows: i64| {
            let rows = Tensor::randn([rows, 96], (Kind::Float, Device::Cpu));
            let rows = &rows / rows.norm_scalaropt_dim(2.0, [1].as_slice(), true);
            Vec::<f32>::try_from(rows.flatten(0, 1)).unwrap()
        };
        let (left, right) = (unit(70), unit(200));
        let forms = if multiplies_int8() { vec![Form::Int8, Form::F32] } else { vec![Form::F32] };
        for form in forms {
            let (a, b) = (Packed::new(&left, 96, form).unwrap(), Packed::new(&right, 96, form).unwrap());
            let tile = a.tile(3..70, &b, 10..190).unwrap();
            let mut worst = 0.0_f32;
            for (row, sums) in (3..70).zip(tile.rows().unwrap()) {
                for column in 10..190 {
                    let exact: f32 =
                        left[row * 96..][..96].iter().zip(&right[column * 96..][..96]).map(|(x, y)| x * y).sum();
                    let found = match sums {
                        Sums::Int(sums) => sums[column - 10] as f32 * a.scales()[row] * b.scales()[column],
                        Sums::Float(sums) => sums[column - 10],
                    };
                    worst = worst.max((exact - found).abs());
                }
            }
            assert!(worst <= a.error(&b), "{form:?}: {worst} > {}", a.error(&b));
            assert!(form == Form::F32 || worst > a.error(&b) / 20.0, "the bound says something: {worst}");
        }
    }
}
