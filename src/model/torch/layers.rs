//! The layers that all encoders are made of.

use tch::Tensor;

use super::compute::{Compute, Multiply};
use super::int8::Int8Matrix;
use crate::error::{Error, ErrorKind, Result};

/// y = x·Wᵀ + b, and what adapters add to it.
#[derive(Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// What adapters add (Hu et al. 2022).
    pub low_rank: Vec<LowRank>,
}

/// x·Aᵀ·Bᵀ, added to some of the outputs.
#[derive(Debug)]
pub struct LowRank {
    /// A, `[r, in]`.
    pub down: Tensor,
    /// B with its scale, `[some outputs, r]`.
    pub up: Tensor,
    /// The first of these outputs.
    pub start: i64,
}

impl Linear {
    /// A matrix that nothing is added to.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias, low_rank: Vec::new() }
    }

    /// `[…, in]` → `[…, out]`.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        add_low_rank(x, x.f_linear(&self.weight, self.bias.as_ref())?, &self.low_rank)
    }

    /// Several matrices with the same input as one, their outputs side by side. All have a bias, or none has.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn fused(parts: Vec<Self>) -> Result<Self> {
        let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
        let biases: Vec<&Tensor> = parts.iter().filter_map(|part| part.bias.as_ref()).collect();
        let bias = if biases.is_empty() { None } else { Some(Tensor::f_cat(&biases, 0)?) };
        let weight = Tensor::f_cat(&weights, 0)?;
        let (mut low_rank, mut before) = (Vec::new(), 0);
        for part in parts {
            low_rank.extend(part.low_rank.into_iter().map(|low| LowRank { start: low.start + before, ..low }));
            before += part.weight.size().first().copied().unwrap_or(0);
        }
        Ok(Self { weight, bias, low_rank })
    }

    /// The form in which it is multiplied.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn prepare(self, compute: Compute) -> Result<Matrix> {
        let Self { weight, bias, low_rank } = self;
        let form = match compute.multiply {
            Multiply::OneDnn => {
                let bias = bias.map(|bias| bias.f_to_mkldnn(None)).transpose()?;
                Form::OneDnn(weight.f_to_mkldnn(None)?, bias)
            }
            Multiply::Int8 => Form::Int8(Int8Matrix::new(&weight, bias.as_ref())?),
            Multiply::Blas | Multiply::Bf16 | Multiply::F16 => Form::Plain(weight, bias),
        };
        Ok(Matrix { form, low_rank })
    }
}

/// y `[…, out]` with what is added to it for x `[…, in]`.
fn add_low_rank(x: &Tensor, y: Tensor, low_rank: &[LowRank]) -> Result<Tensor> {
    for LowRank { down, up, start } in low_rank {
        let more = x.f_linear(down, None::<&Tensor>)?.f_linear(up, None::<&Tensor>)?;
        let mut part = y.f_narrow(-1, *start, up.size().first().copied().unwrap_or(0))?;
        // A view: what is added to it is added to y, which nobody else holds yet.
        let _ = part.f_add_(&more)?;
    }
    Ok(y)
}

/// A [`Linear`] in the form in which this machine multiplies it fastest.
#[derive(Debug)]
pub struct Matrix {
    form: Form,
    low_rank: Vec<LowRank>,
}

#[derive(Debug)]
enum Form {
    /// As it is.
    Plain(Tensor, Option<Tensor>),
    /// Weight and bias are oneDNN's own tensors.
    OneDnn(Tensor, Option<Tensor>),
    /// Rounded to 8-bit integers.
    Int8(Int8Matrix),
}

impl Matrix {
    /// `[N, in]` → `[N, out]`.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = match &self.form {
            Form::Plain(weight, bias) => x.f_linear(weight, bias.as_ref())?,
            Form::OneDnn(weight, bias) => {
                let x = x.f_contiguous()?.f_to_mkldnn(None)?;
                x.f_mkldnn_linear(weight, bias.as_ref())?.f_to_dense(None, false)?
            }
            Form::Int8(matrix) => matrix.forward(x)?,
        };
        add_low_rank(x, y, &self.low_rank)
    }
}

/// (x − mean) / √(variance + eps) · w + b over the last dimension.
#[derive(Debug)]
pub struct LayerNorm {
    /// `[d]`.
    pub weight: Tensor,
    /// `[d]`.
    pub bias: Tensor,
    /// Added to the variance.
    pub eps: f64,
}

impl LayerNorm {
    /// `[…, d]` → `[…, d]`.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, false)?)
    }
}

/// What stands between two matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x.
    Identity,
    /// tanh x.
    Tanh,
    /// max(x, 0).
    Relu,
    /// x·Φ(x), with the exact normal distribution function (Hendrycks & Gimpel 2016).
    Gelu,
    /// Their approximation of it by tanh.
    GeluTanh,
}

impl Activation {
    /// Reads a name of transformers (`gelu_new`) or the last part of a class name of torch (`GELU`).
    ///
    /// # Errors
    /// Kind `Model`, with the name.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "Identity" | "linear" => Self::Identity,
            "Tanh" | "tanh" => Self::Tanh,
            "ReLU" | "relu" => Self::Relu,
            "GELU" | "gelu" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Self::GeluTanh,
            _ => {
                let known = "Identity, Tanh, ReLU, GELU, gelu, gelu_new, gelu_pytorch_tanh, relu, tanh, linear";
                return Err(Error::new(
                    ErrorKind::Model,
                    format!("the activation {name:?} is not supported (known are {known})"),
                ));
            }
        })
    }

    /// The same shape.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(self, x: Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Identity => x,
            Self::Tanh => x.f_tanh()?,
            Self::Relu => x.f_relu()?,
            Self::Gelu => x.f_gelu("none")?,
            Self::GeluTanh => x.f_gelu("tanh")?,
        })
    }
}
