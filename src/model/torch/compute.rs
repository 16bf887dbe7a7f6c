//! Where and in which numbers a network is computed, and how its matrices are multiplied.
//!
//! On a CPU there are three ways, and which is fastest depends on the processor: f32 through `linear` (MKL: fast on
//! Intel, slow on AMD), f32 through oneDNN, and bf16 through oneDNN (fast where the processor multiplies bf16 itself,
//! several times slower than f32 elsewhere). bf16 keeps 8 bits of a number: cosines move by up to about 0.005. So the
//! numbers' form is a property of the vectors and follows from the processor's abilities alone, the same in every run;
//! between the two ways of f32, which differ by rounding, a measurement at the start decides.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// Whatever is fastest of what this program can use: at present the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => Err(Error::config(format!("{text:?} is no device: expected auto or cpu"))),
        }
    }
}

/// The form of the numbers between the embedding table and the pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// bf16 where the processor multiplies it natively (AVX512_BF16, Arm BF16), else f32.
    #[default]
    Auto,
    /// 24 bits of precision.
    F32,
    /// 8 bits of precision, the range of f32.
    Bf16,
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(Error::config(format!("{text:?} is no dtype: expected auto, f32 or bf16"))),
        }
    }
}

/// How a matrix is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiply {
    /// `linear` on f32: libtorch's BLAS, here MKL.
    Blas,
    /// f32 in oneDNN's own tensors.
    OneDnn,
    /// `linear` on bf16: libtorch gives it to oneDNN.
    Bf16,
}

impl fmt::Display for Multiply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blas => "f32, MKL",
            Self::OneDnn => "f32, oneDNN",
            Self::Bf16 => "bf16, oneDNN",
        })
    }
}

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    /// Where tensors live.
    pub device: tch::Device,
    /// How matrices are multiplied.
    pub multiply: Multiply,
}

impl Compute {
    /// Chooses for this machine. The first call measures for some hundredths of a second, if there is a choice.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn choose(device: Device, dtype: Dtype) -> Result<Self> {
        let device = match device {
            Device::Auto | Device::Cpu => tch::Device::Cpu,
        };
        let multiply = match dtype {
            Dtype::Bf16 => Multiply::Bf16,
            Dtype::Auto if multiplies_bf16() => Multiply::Bf16,
            Dtype::Auto | Dtype::F32 => fastest_f32()?,
        };
        Ok(Self { device, multiply })
    }

    /// The kind of hidden states and matrices.
    pub fn kind(&self) -> Kind {
        match self.multiply {
            Multiply::Blas | Multiply::OneDnn => Kind::Float,
            Multiply::Bf16 => Kind::BFloat16,
        }
    }
}

/// Whether the processor has instructions for products of bf16.
pub fn multiplies_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// The faster way of f32, measured once a process.
fn fastest_f32() -> Result<Multiply> {
    static CHOSEN: OnceLock<Multiply> = OnceLock::new();
    if let Some(multiply) = CHOSEN.get() {
        return Ok(*multiply);
    }
    let [blas, one_dnn] = [rate(Multiply::Blas)?, rate(Multiply::OneDnn)?];
    Ok(*CHOSEN.get_or_init(|| if one_dnn > blas { Multiply::OneDnn } else { Multiply::Blas }))
}

/// Measured multiply-adds a second, times two, of `[256, 768] × [768, 3072]`: the largest product of a BERT-base layer.
/// The best of a few tries, with the threads that libtorch has.
///
/// # Errors
/// Kind `Model`, when libtorch fails.
pub fn rate(multiply: Multiply) -> Result<f64> {
    const SHAPE: (i64, i64, i64) = (256, 768, 3072);
    let (tokens, inputs, outputs) = SHAPE;
    let _no_grad = tch::no_grad_guard();
    let compute = Compute { device: tch::Device::Cpu, multiply };
    let options = (compute.kind(), compute.device);
    let weight = Tensor::f_ones([outputs, inputs], options)?;
    let matrix = super::layers::Linear { weight, bias: None }.prepare(compute)?;
    let x = Tensor::f_ones([tokens, inputs], options)?;
    let mut best = Duration::MAX;
    for _ in 0..4 {
        let start = Instant::now();
        let _ = matrix.forward(&x)?;
        best = best.min(start.elapsed());
    }
    Ok(2.0 * (tokens * inputs * outputs) as f64 / best.as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_numbers_follows_from_the_request_and_the_processor() {
        let kind = |dtype| Compute::choose(Device::Auto, dtype).unwrap().kind();
        assert_eq!(kind(Dtype::F32), Kind::Float);
        assert_eq!(kind(Dtype::Bf16), Kind::BFloat16);
        assert_eq!(kind(Dtype::Auto) == Kind::BFloat16, multiplies_bf16());
        assert_eq!(
            Compute::choose(Device::Cpu, Dtype::F32).unwrap(),
            Compute::choose(Device::Auto, Dtype::F32).unwrap()
        );
    }

    #[test]
    fn rates_are_those_of_a_machine() {
        for multiply in [Multiply::Blas, Multiply::OneDnn, Multiply::Bf16] {
            let rate = rate(multiply).unwrap();
            assert!((1e7..1e15).contains(&rate), "{multiply}: {rate}");
        }
    }

    #[test]
    fn names_are_read_and_others_named() {
        assert_eq!("bf16".parse::<Dtype>().unwrap(), Dtype::Bf16);
        assert!("fp8".parse::<Dtype>().unwrap_err().to_string().contains("\"fp8\" is no dtype"));
        assert!("tpu".parse::<Device>().unwrap_err().to_string().contains("\"tpu\" is no device"));
    }
}
