//! Matrices of 8-bit integers: a fifth of f32's time on a processor with instructions for them.
//!
//! Both sides of a product are whole numbers from −127 to 127 with a scale a row: the matrix's rows (one an output) when
//! it is loaded, the tokens' rows when they come (dynamic quantization, Zafrir et al. 2019). The sum is exact, in 32
//! bits; scales and bias make it bf16 again. What is lost is in the rounding to 255 steps of a row's largest number.

use tch::{Kind, Tensor};

use super::batch::signed;
use crate::error::{Error, Result};

/// The largest step.
const STEPS: f32 = 127.0;

/// y = x·Wᵀ + b with W and x in 8-bit integers.
#[derive(Debug)]
pub struct Int8Matrix {
    /// Wᵀ, `[in, out]`, i8, a view of a row-major `[out, in]`.
    weight: Tensor,
    /// What a step of each output is worth.
    scales: Vec<f32>,
    /// One number an output.
    bias: Vec<f32>,
}

impl Int8Matrix {
    /// Rounds `[out, in]`, with a bias `[out]`.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let weight = weight.f_to_kind(Kind::Float)?;
        let largest = weight.f_abs()?.f_amax([1].as_slice(), false)?; // [out]
        let scales = (largest.f_div_scalar(f64::from(STEPS))?).f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
        let rounded = weight.f_div(&scales.f_unsqueeze(1)?)?.f_round()?.f_to_kind(Kind::Int8)?;
        let scales = numbers(&scales)?;
        let bias = match bias {
            Some(bias) => numbers(bias)?,
            None => vec![0.0; scales.len()],
        };
        Ok(Self { weight: rounded.f_contiguous()?.f_transpose(0, 1)?, scales, bias })
    }

    /// `[N, in]` bf16 → `[N, out]` bf16.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.f_contiguous()?;
        let (rows, inputs) = x.size2()?;
        let mut steps = Tensor::f_empty([rows, inputs], (Kind::Int8, x.device()))?;
        let width = usize::try_from(inputs).unwrap_or(0).max(1);
        let scales: Vec<f32> = {
            let from = slice::<u16>(&x, Kind::BFloat16)?.chunks_exact(width);
            let to = slice_mut::<i8>(&mut steps, Kind::Int8)?.chunks_exact_mut(width);
            from.zip(to).map(|(numbers, steps)| quantize(numbers, steps)).collect()
        };
        let sums = steps.f_internal_int_mm(&self.weight)?; // [N, out], i32
        let width = self.scales.len().max(1);
        let mut y = Tensor::f_empty([rows, signed(self.scales.len())], (Kind::BFloat16, x.device()))?;
        let from = slice::<i32>(&sums, Kind::Int)?.chunks_exact(width);
        let to = slice_mut::<u16>(&mut y, Kind::BFloat16)?.chunks_exact_mut(width);
        for ((sums, numbers), scale) in from.zip(to).zip(scales) {
            restore(sums, scale, &self.scales, &self.bias, numbers);
        }
        Ok(y)
    }
}

/// As [`quantize`], of f32.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn quantize_f32(numbers: &[f32], steps: &mut [i8]) -> f32 {
    let largest = numbers.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    let factor = if largest > 0.0 { STEPS / largest } else { 0.0 };
    for (step, number) in steps.iter_mut().zip(numbers) {
        *step = round(number * factor);
    }
    largest / STEPS
}

/// Rounds a row of bf16 to steps, and answers what a step is worth. A row that holds no number (NaN) gives no number.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn quantize(numbers: &[u16], steps: &mut [i8]) -> f32 {
    // Without the sign, the order of the bits is the order of the numbers.
    let largest = widen(numbers.iter().fold(0_u16, |largest, bits| largest.max(bits & 0x7fff)));
    let factor = if largest > 0.0 { STEPS / largest } else { 0.0 };
    for (step, bits) in steps.iter_mut().zip(numbers) {
        *step = round(widen(*bits) * factor);
    }
    largest / STEPS
}

/// The nearest whole number from −127 to 127, ties to even: adding 1.5 · 2²³ leaves it in the lowest bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lowest byte is the number")]
fn round(value: f32) -> i8 {
    (value + 12_582_912.0).to_bits() as i8
}

/// A row of sums back to bf16, scaled and with the bias.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn restore(sums: &[i32], scale: f32, scales: &[f32], bias: &[f32], numbers: &mut [u16]) {
    for (((number, sum), column), bias) in numbers.iter_mut().zip(sums).zip(scales).zip(bias) {
        #[expect(clippy::cast_precision_loss, reason = "bf16 keeps fewer bits anyway")]
        let value = *sum as f32 * (scale * column) + bias;
        *number = narrow(value);
    }
}

/// bf16 to f32.
#[inline(always)]
fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// f32 to bf16, the nearest, ties to even.
#[inline(always)]
fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits.wrapping_add(0x7fff + ((bits >> 16) & 1))) >> 16) as u16
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    let tensor = tensor.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.f_copy_data(&mut numbers, tensor.numel())?;
    Ok(numbers)
}

/// The numbers of a tensor in place: copying them out and in would cost as much as the work on them.
pub(super) fn slice<T>(tensor: &Tensor, kind: Kind) -> Result<&[T]> {
    check::<T>(tensor, kind)?;
    #[expect(
        unsafe_code,
        reason = "checked: on the CPU, without gaps, of numbers of T's size; it lives as long as the tensor"
    )]
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr() as *const T, tensor.numel()) })
}

/// As [`slice`], of a tensor that nobody else holds.
pub(super) fn slice_mut<T>(tensor: &mut Tensor, kind: Kind) -> Result<&mut [T]> {
    check::<T>(tensor, kind)?;
    #[expect(unsafe_code, reason = "as above; made here and borrowed for writing, so no other view of it is in use")]
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr() as *mut T, tensor.numel()) })
}

fn check<T>(tensor: &Tensor, kind: Kind) -> Result<()> {
    let whole = tensor.is_contiguous() && tensor.device() == tch::Device::Cpu && tensor.numel() > 0;
    if !whole || tensor.f_kind()? != kind || kind.elt_size_in_bytes() != size_of::<T>() {
        return Err(Error::bug(format!("a product of 8-bit integers was given {tensor:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::torch::compute::multiplies_int8;

    fn bf16(values: &[f32]) -> Vec<u16> {
        values.iter().map(|value| narrow(*value)).collect()
    }

    #[test]
    fn a_row_becomes_steps_of_its_largest_number() {
        let mut steps = [0; 5];
        // 2 / 127 a step: 1 is 63.5 steps, which rounds to 64, the even one; 0.01 is 0.635.
        let scale = quantize(&bf16(&[2.0, -2.0, 1.0, 0.01, 0.0]), &mut steps);
        assert_eq!(steps, [127, -127, 64, 1, 0]);
        assert!((scale - 2.0 / 127.0).abs() < 1e-9);
        assert_eq!(quantize(&bf16(&[0.0, 0.0]), &mut [1, 1]), 0.0);
        assert!(quantize(&bf16(&[1.0, f32::NAN]), &mut [0, 0]).is_nan());
    }

    #[test]
    fn sums_become_numbers() {
        let mut numbers = [0; 2];
        restore(&[100, -7], 0.5, &[0.25, 2.0], &[1.0, 0.0], &mut numbers);
        assert_eq!(numbers.map(widen), [13.5, -7.0]);
    }

    #[test]
    fn f32_is_rounded_to_the_nearest_bf16_as_torch_does() {
        let values: Vec<f32> = (0..4000).map(|n| (n as f32 - 2000.0) * 0.013_37).collect();
        let torch = Tensor::from_slice(&values).to_kind(Kind::BFloat16).to_kind(Kind::Float);
        let ours: Vec<f32> = values.iter().map(|value| widen(narrow(*value))).collect();
        assert_eq!(Vec::<f32>::try_from(torch).unwrap(), ours);
        assert!(widen(narrow(f32::NAN)).is_nan());
    }

    #[test]
    fn a_product_is_that_of_f32_but_for_rounding() {
        if !multiplies_int8() {
            return; // The one place that computes in i8 refuses such a processor, which a test of it shows.
        }
        tch::manual_seed(3);
        let (weight, bias) = (
            Tensor::randn([40, 64], (Kind::Float, tch::Device::Cpu)),
            Tensor::randn([40], (Kind::Float, tch::Device::Cpu)),
        );
        let x = Tensor::randn([9, 64], (Kind::Float, tch::Device::Cpu));
        let expected = x.linear(&weight, Some(&bias));
        let found = Int8Matrix::new(&weight, Some(&bias))
            .unwrap()
            .forward(&x.to_kind(Kind::BFloat16))
            .unwrap()
            .to_kind(Kind::Float);
        let worst = (&found - &expected).abs().max().double_value(&[]);
        // 64 products, each rounded by at most 1/254 of a row's largest on either side.
        assert!(worst < 0.25, "{worst}");
        let cosine = Tensor::cosine_similarity(&found, &expected, 1, 1e-8).min().double_value(&[]);
        assert!(cosine > 0.9995, "{cosine}");
    }
}
