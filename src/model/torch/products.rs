//! Products of many rows with many rows, tile by tile: what exact search is made of.
//!
//! On a processor with instructions for it, rows are rounded to 8-bit integers with a scale each ([`super::int8`]): twice
//! the rate of bf16, a quarter of the memory of f32, and an error of a cosine that is known ([`Packed::slack`]). Else,
//! and where that is too coarse, they are f32.

use std::ops::Range;

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::batch::signed;
use super::compute::{Multiply, multiplies_int8};
use super::int8;
use crate::error::{Error, Result};
use crate::record::Rows;

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
    /// Their mean; 0 for f32.
    typical: f32,
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
    /// Packs rows, on all cores.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails (no memory).
    pub fn new(rows: &dyn Rows, form: Form) -> Result<Self> {
        let (shape, dim) = ([signed(rows.rows()), signed(rows.dim())], rows.dim().max(1));
        let mut scales = Vec::new();
        let numbers = match form {
            Form::F32 => {
                let mut numbers = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
                let places = int8::slice_mut::<f32>(&mut numbers, Kind::Float)?.par_chunks_exact_mut(dim).enumerate();
                places.for_each_init(Vec::new, |buffer, (row, to)| to.copy_from_slice(rows.read(row, buffer)));
                numbers
            }
            Form::Int8 => {
                let mut numbers = Tensor::f_empty(shape, (Kind::Int8, Device::Cpu))?;
                let places = int8::slice_mut::<i8>(&mut numbers, Kind::Int8)?.par_chunks_exact_mut(dim).enumerate();
                let packed = |buffer: &mut Vec<f32>, (row, to): (usize, &mut [i8])| {
                    int8::quantize_f32(rows.read(row, buffer), to)
                };
                places.map_init(Vec::new, packed).collect_into_vec(&mut scales);
                numbers
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "a mean of f32")]
        let typical = (scales.iter().map(|scale| f64::from(*scale)).sum::<f64>() / scales.len().max(1) as f64) as f32;
        Ok(Self { numbers, scales, typical, form })
    }

    /// What they are made of.
    pub fn form(&self) -> Form {
        self.form
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.numbers.size().first().map_or(0, |rows| usize::try_from(*rows).unwrap_or(0))
    }

    /// What a step of each row is worth; empty for f32.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// By how much cosines with `other` may be wrong: a number for each row of this side and for each of the other's; that
    /// of a cosine is no more than the sum of its two.
    ///
    /// The rounding errors of integers are even within half a step of either row. The bound is six standard deviations of
    /// their sum, `6 · √((a² + b²) / 12)` for steps a and b: more than that happens once in 10⁹ cosines. It is parted
    /// between the rows by `√x ≤ x / 2t + t / 2`, which is nearly equal where t is what √x is like.
    pub fn slack(&self, other: &Self) -> (Vec<f32>, Vec<f32>) {
        let t = self.typical.hypot(other.typical).max(f32::MIN_POSITIVE);
        let of = |side: &Self| match side.form {
            Form::Int8 => {
                let deviations = 6.0 / 12.0_f32.sqrt();
                side.scales.iter().map(|scale| deviations * (scale * scale / (2.0 * t) + t / 4.0)).collect()
            }
            // Half of what the sum of a thousand products of unit rows loses, each rounded to 24 bits.
            Form::F32 => vec![5e-6; side.rows()],
        };
        (of(self), of(other))
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
    use crate::record::Vectors;

    #[test]
    fn products_are_cosines_within_the_error_that_is_told() {
        tch::manual_seed(5);
        let unit = |rows: i64| {
            let rows = Tensor::randn([rows, 96], (Kind::Float, Device::Cpu));
            Vectors::normalised(96, Vec::<f32>::try_from(rows.flatten(0, 1)).unwrap()).unwrap()
        };
        let (left, right) = (unit(70), unit(200));
        let forms = if multiplies_int8() { vec![Form::Int8, Form::F32] } else { vec![Form::F32] };
        for form in forms {
            let (a, b) = (Packed::new(&left, form).unwrap(), Packed::new(&right, form).unwrap());
            let (own, theirs) = a.slack(&b);
            let tile = a.tile(3..70, &b, 10..190).unwrap();
            let mut worst = 0.0_f32;
            for (row, sums) in (3..70).zip(tile.rows().unwrap()) {
                for column in 10..190 {
                    let exact: f32 = left.row(row).iter().zip(right.row(column)).map(|(x, y)| x * y).sum();
                    let found = match sums {
                        Sums::Int(sums) => sums[column - 10] as f32 * a.scales()[row] * b.scales()[column],
                        Sums::Float(sums) => sums[column - 10],
                    };
                    worst = worst.max((exact - found).abs() / (own[row] + theirs[column]));
                }
            }
            assert!(worst <= 1.0, "{form:?}: {worst}");
            assert!(form == Form::F32 || worst > 0.05, "the bound says something: {worst}");
            if form == Form::Int8 {
                // Never less than the bound itself, and hardly more where rows are alike.
                for (row, column) in [(0, 0), (5, 100), (69, 199)] {
                    let whole = 6.0 * a.scales()[row].hypot(b.scales()[column]) / 12.0_f32.sqrt();
                    let parted = own[row] + theirs[column];
                    assert!((whole * 0.999..whole * 1.1).contains(&parted), "{parted} of {whole}");
                }
            }
        }
    }
}
