//! Where and in which numbers a network is computed, and how its matrices are multiplied.
//!
//! On a CPU there are four ways, and which is fastest depends on the processor: f32 through `linear` (MKL: fast on
//! Intel, slow on AMD), f32 through oneDNN, bf16 through oneDNN (fast where the processor multiplies bf16 itself,
//! several times slower than f32 elsewhere), and 8-bit integers ([`super::int8`]). bf16 keeps 8 bits of a number:
//! cosines move by up to about 0.005. So the numbers' form is a property of the vectors and follows from the request
//! and the processor's abilities alone, the same in every run; between the two ways of f32, which differ by rounding, a
//! measurement at the start decides. i8 is never chosen, only asked for.
//!
//! On a GPU matrices are `linear`'s in bf16, f16 or f32.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::cuda;
use crate::error::{Error, ErrorKind, Result};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Device {
    /// All GPUs that this program finds, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// All GPUs, or the one of this number; the numbers are those that CUDA_VISIBLE_DEVICES leaves.
    Cuda(Option<usize>),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(number)) => write!(f, "cuda:{number}"),
        }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

impl TryFrom<String> for Device {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.strip_prefix("cuda:").map(str::parse::<usize>);
        match (text, number) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(None)),
            (_, Some(Ok(number))) => Ok(Self::Cuda(Some(number))),
            _ => Err(Error::config(format!("{text:?} is no device: expected auto, cpu, cuda (all GPUs) or cuda:N"))),
        }
    }
}

/// The form of the numbers between the embedding table and the pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// bf16 on a GPU and where the processor multiplies it natively (AVX512_BF16, Arm BF16), else f32.
    #[default]
    Auto,
    /// 24 bits of precision.
    F32,
    /// 8 bits of precision, the range of f32.
    Bf16,
    /// 11 bits of precision, numbers up to 65504; on a GPU only. T5 can overflow it.
    F16,
    /// Matrices and what they are multiplied with in 8-bit integers, a scale a row; all else in bf16. On a CPU only, and
    /// only one with instructions for it. About twice as fast as bf16; cosines move by some hundredths.
    I8,
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            "i8" => Ok(Self::I8),
            _ => Err(Error::config(format!("{text:?} is no dtype: expected auto, f32, bf16, f16 or i8"))),
        }
    }
}

/// How a matrix is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiply {
    /// `linear` on f32: libtorch's BLAS, MKL on a CPU.
    Blas,
    /// f32 in oneDNN's own tensors.
    OneDnn,
    /// `linear` on bf16; on a CPU, libtorch gives it to oneDNN.
    Bf16,
    /// `linear` on f16, on a GPU.
    F16,
    /// 8-bit integers, summed in 32 bits, by oneDNN.
    Int8,
}

impl fmt::Display for Multiply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blas => "f32, BLAS",
            Self::OneDnn => "f32, oneDNN",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "i8",
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
    /// Chooses for this machine: one for each GPU, or one for the CPU. On a CPU, the first call measures for some
    /// hundredths of a second, if there is a choice.
    ///
    /// # Errors
    /// Kind `Model`: a GPU that is not there, a form of numbers that the device does not have, a failure of libtorch.
    pub fn choose(device: Device, dtype: Dtype) -> Result<Vec<Self>> {
        let found = match device {
            Device::Cpu => 0,
            Device::Auto | Device::Cuda(_) => cuda::devices(),
        };
        let on_cpu = device == Device::Cpu || (device == Device::Auto && (found == 0 || dtype == Dtype::I8));
        if on_cpu {
            return Ok(vec![Self { device: tch::Device::Cpu, multiply: multiply_on_cpu(dtype)? }]);
        }
        let numbers = match device {
            Device::Cuda(Some(number)) if number >= found => {
                return Err(Error::new(
                    ErrorKind::Model,
                    format!("cuda:{number} is not there: {}; see `kopri doctor`", cuda::explain()),
                ));
            }
            Device::Cuda(Some(number)) => number..number + 1,
            _ if found == 0 => {
                return Err(Error::new(ErrorKind::Model, format!("no GPU: {}; see `kopri doctor`", cuda::explain())));
            }
            _ => 0..found,
        };
        let multiply = match dtype {
            Dtype::Auto | Dtype::Bf16 => Multiply::Bf16,
            Dtype::F16 => Multiply::F16,
            Dtype::F32 => Multiply::Blas,
            Dtype::I8 => return Err(Error::new(ErrorKind::Model, "i8 is computed on a CPU only: give the device cpu")),
        };
        Ok(numbers.map(|number| Self { device: tch::Device::Cuda(number), multiply }).collect())
    }

    /// The kind of hidden states, and of matrices unless they are integers.
    pub fn kind(&self) -> Kind {
        match self.multiply {
            Multiply::Blas | Multiply::OneDnn => Kind::Float,
            Multiply::Bf16 | Multiply::Int8 => Kind::BFloat16,
            Multiply::F16 => Kind::Half,
        }
    }

    /// What an id carries for numbers other than f32: `-bf16`.
    pub fn suffix(&self) -> &'static str {
        match self.multiply {
            Multiply::Blas | Multiply::OneDnn => "",
            Multiply::Bf16 => "-bf16",
            Multiply::F16 => "-f16",
            Multiply::Int8 => "-i8",
        }
    }

    /// Whether it is the CPU: rows without padding then, see [`super::batch`].
    pub fn is_cpu(&self) -> bool {
        self.device == tch::Device::Cpu
    }
}

fn multiply_on_cpu(dtype: Dtype) -> Result<Multiply> {
    let wrong = |what: &str| Err(Error::new(ErrorKind::Model, what));
    match dtype {
        Dtype::Bf16 => Ok(Multiply::Bf16),
        Dtype::Auto if multiplies_bf16() => Ok(Multiply::Bf16),
        Dtype::Auto | Dtype::F32 => fastest_f32(),
        Dtype::F16 => wrong("f16 is computed on a GPU only: give the dtype bf16 or f32"),
        Dtype::I8 if multiplies_int8() => Ok(Multiply::Int8),
        Dtype::I8 => wrong("this processor has no instructions for i8 (AVX512_VNNI): give the dtype auto"),
    }
}

/// Threads that an operation of libtorch has on this thread: one a core, unless told otherwise.
pub fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

/// Does work on several threads, each with so many for libtorch's operations on it. Ends when all have.
pub fn share_out(workers: usize, threads_each: usize, work: impl Fn(usize) + Sync) {
    let set = |count: usize| tch::set_num_threads(i32::try_from(count).unwrap_or(i32::MAX));
    let before = threads();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let work = &work;
            scope.spawn(move || {
                set(threads_each);
                work(worker);
            });
        }
    });
    // The number belongs to a thread, but libtorch hands the last one that was set on to new threads.
    set(before);
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

/// Whether the processor has instructions for products of 8-bit integers that sum in 32 bits without overflow.
pub fn multiplies_int8() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
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
/// The best of some tries, with the threads that libtorch has. They go on for some hundredths of a second, longer than
/// another program keeps a core for itself.
///
/// # Errors
/// Kind `Model`, when libtorch fails.
pub fn rate(multiply: Multiply) -> Result<f64> {
    const SHAPE: (i64, i64, i64) = (256, 768, 3072);
    const TRIES: usize = 4;
    const TRIED: Duration = Duration::from_millis(60);
    let (tokens, inputs, outputs) = SHAPE;
    let _no_grad = tch::no_grad_guard();
    let compute = Compute { device: tch::Device::Cpu, multiply };
    let options = (compute.kind(), compute.device);
    let weight = Tensor::f_ones([outputs, inputs], options)?;
    let matrix = super::layers::Linear::new(weight, None).prepare(compute)?;
    let x = Tensor::f_ones([tokens, inputs], options)?;
    let (mut best, began) = (Duration::MAX, Instant::now());
    for attempt in 0.. {
        if attempt >= TRIES && began.elapsed() >= TRIED {
            break;
        }
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
        let kind = |dtype| Compute::choose(Device::Cpu, dtype).unwrap()[0].kind();
        assert_eq!(kind(Dtype::F32), Kind::Float);
        assert_eq!(kind(Dtype::Bf16), Kind::BFloat16);
        assert_eq!(kind(Dtype::Auto) == Kind::BFloat16, multiplies_bf16());
        // Not on this device, and said so.
        let refused = |device, dtype| Compute::choose(device, dtype).unwrap_err().to_string();
        assert!(refused(Device::Cpu, Dtype::F16).contains("on a GPU only"));
        assert!(refused(Device::Cuda(Some(99)), Dtype::Auto).contains("cuda:99 is not there"));
        match Compute::choose(Device::Auto, Dtype::I8) {
            Ok(chosen) => assert_eq!((chosen[0].multiply, chosen[0].is_cpu()), (Multiply::Int8, true)),
            Err(error) => assert!(!multiplies_int8() && error.to_string().contains("AVX512_VNNI")),
        }
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
        for wrong in ["tpu", "cuda:", "cuda:x", "cuda:-1"] {
            let message = wrong.parse::<Device>().unwrap_err().to_string();
            assert!(message.contains(&format!("{wrong:?} is no device")), "{message}");
        }
        for device in [Device::Auto, Device::Cpu, Device::Cuda(None), Device::Cuda(Some(3))] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
    }
}
