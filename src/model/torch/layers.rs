//! The layers that all encoders are made of.

use tch::Tensor;

use super::compute::{Compute, Multiply};
use super::int8::Int8Matrix;
use crate::error::{Error, ErrorKind, Result};

/// y = x·Wᵀ + b.
#[derive(Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// `[…, in]` → `[…, out]`.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_linear(&self.weight, self.bias.as_ref())?)
    }

    /// Several matrices with the same input as one, their outputs side by side. All have a bias, or none has.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn fused(parts: &[Self]) -> Result<Self> {
        let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
        let biases: Vec<&Tensor> = parts.iter().filter_map(|part| part.bias.as_ref()).collect();
        let bias = if biases.is_empty() { None } else { Some(Tensor::f_cat(&biases, 0)?) };
        Ok(Self { weight: Tensor::f_cat(&weights, 0)?, bias })
    }

    /// The form in which it is multiplied.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn prepare(self, compute: Compute) -> Result<Matrix> {
        Ok(match compute.multiply {
            Multiply::OneDnn => {
                let bias = self.bias.map(|bias| bias.f_to_mkldnn(None)).transpose()?;
                Matrix::OneDnn(Self { weight: self.weight.f_to_mkldnn(None)?, bias })
            }
            Multiply::Int8 => Matrix::Int8(Int8Matrix::new(&self)?),
            Multiply::Blas | Multiply::Bf16 | Multiply::F16 => Matrix::Plain(self),
        })
    }
}

/// A [`Linear`] in the form in which this machine multiplies it fastest.
#[derive(Debug)]
pub enum Matrix {
    /// As it is.
    Plain(Linear),
    /// Weight and bias are oneDNN's own tensors.
    OneDnn(Linear),
    /// Rounded to 8-bit integers.
    Int8(Int8Matrix),
}

impl Matrix {
    /// `[N, in]` → `[N, out]`.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plain(linear) => linear.forward(x),
            Self::OneDnn(Linear { weight, bias }) => {
                let x = x.f_contiguous()?.f_to_mkldnn(None)?;
                Ok(x.f_mkldnn_linear(weight, bias.as_ref())?.f_to_dense(None, false)?)
            }
            Self::Int8(matrix) => matrix.forward(x),
        }
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
