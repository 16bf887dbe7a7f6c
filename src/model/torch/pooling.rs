//! From one vector a token to one vector a text: pooling, then any Dense and Normalize modules.

use tch::{Device, Kind, Tensor};

use super::batch::{Batch, signed};
use super::layers::{Activation, Linear};
use super::weights::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::model::sentence_transformers::{self, HeadModule, Pooling, PoolingMode};

/// Shorter vectors are scaled as if they were this long, as in torch's `normalize`.
const SHORTEST: f64 = 1e-12;

/// All that follows the transformer.
#[derive(Debug)]
pub struct Head {
    pooling: Vec<Mode>,
    steps: Vec<Step>,
    dim: usize,
    /// Of the Dense modules' weights, in order.
    hashes: Vec<blake3::Hash>,
}

/// The poolings that are computed here.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Cls,
    Mean,
}

#[derive(Debug)]
enum Step {
    Dense(Linear, Activation),
    Normalize,
}

impl Head {
    /// Reads the weights of the Dense modules that follow a transformer of `width` numbers a token.
    ///
    /// # Errors
    /// Kind `Model`: a pooling or activation that is not supported, widths that do not fit, missing weights.
    pub fn load(pooling: &Pooling, modules: &[HeadModule], width: usize, device: Device) -> Result<Self> {
        let pooling = pooling.modes.iter().map(|mode| Mode::of(*mode)).collect::<Result<Vec<_>>>()?;
        let mut head = Self { dim: width * pooling.len(), pooling, steps: Vec::new(), hashes: Vec::new() };
        for module in modules {
            match module {
                HeadModule::Dense(dense) => head.push_dense(dense, device)?,
                HeadModule::Normalize => head.steps.push(Step::Normalize),
            }
        }
        Ok(head)
    }

    fn push_dense(&mut self, dense: &sentence_transformers::Dense, device: Device) -> Result<()> {
        if dense.in_features != self.dim {
            return Err(Error::new(
                ErrorKind::Model,
                format!("{} takes {} numbers and is given {}", dense.folder.display(), dense.in_features, self.dim),
            ));
        }
        let activation = Activation::from_name(&dense.activation)
            .map_err(|error| error.while_doing(format!("loading {}", dense.folder.display())))?;
        let checkpoint = Checkpoint::open(&dense.folder)?;
        let mut load = checkpoint.loader(&[""], device);
        let linear = load.linear("linear", signed(dense.in_features), signed(dense.out_features), dense.bias)?;
        load.finish()?;
        self.hashes.push(checkpoint.hash());
        self.steps.push(Step::Dense(linear, activation));
        self.dim = dense.out_features;
        Ok(())
    }

    /// Numbers in a text's vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The hashes of the Dense modules' weights, in order.
    pub fn hashes(&self) -> &[blake3::Hash] {
        &self.hashes
    }

    /// `[B, T, d]` hidden states → `[B, dim]`.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, hidden: &Tensor, batch: &Batch) -> Result<Tensor> {
        let parts = self.pooling.iter().map(|mode| mode.forward(hidden, batch)).collect::<Result<Vec<_>>>()?;
        let mut pooled = Tensor::f_cat(&parts, -1)?;
        for step in &self.steps {
            pooled = match step {
                Step::Dense(linear, activation) => activation.forward(linear.forward(&pooled)?)?,
                Step::Normalize => normalize(&pooled)?,
            };
        }
        Ok(pooled)
    }
}

impl Mode {
    fn of(mode: PoolingMode) -> Result<Self> {
        match mode {
            PoolingMode::Cls => Ok(Self::Cls),
            PoolingMode::Mean => Ok(Self::Mean),
            other => Err(Error::new(
                ErrorKind::Model,
                format!("the pooling {:?} is not supported (cls and mean are)", other.name()),
            )),
        }
    }

    /// `[B, T, d]` → `[B, d]`.
    fn forward(self, hidden: &Tensor, batch: &Batch) -> Result<Tensor> {
        match (self, &batch.mask) {
            // Rows are filled up on the right, so the first token is the first column.
            (Self::Cls, _) => Ok(hidden.f_select(1, 0)?),
            (Self::Mean, None) => Ok(hidden.f_mean_dim(Some([1].as_slice()), false, hidden.f_kind()?)?),
            (Self::Mean, Some(mask)) => {
                let weights = mask.f_to_kind(hidden.f_kind()?)?.f_unsqueeze(-1)?; // [B, T, 1]
                let sum = hidden.f_mul(&weights)?.f_sum_dim_intlist(Some([1].as_slice()), false, None::<Kind>)?;
                // A batch has no empty rows, so no count is zero.
                let count = weights.f_sum_dim_intlist(Some([1].as_slice()), false, None::<Kind>)?; // [B, 1]
                Ok(sum.f_div(&count)?)
            }
        }
    }
}

/// `[B, n]` → `[B, n]`, rows of unit length.
fn normalize(x: &Tensor) -> Result<Tensor> {
    let norm = x.f_norm_scalaropt_dim(2.0, [-1].as_slice(), true)?.f_clamp_min(SHORTEST)?;
    Ok(x.f_div(&norm)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap()
    }

    #[test]
    fn padding_takes_no_part() {
        // Two texts of 2 and 1 tokens, 2 numbers each; the padding holds 99.
        let hidden = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 6.0, 5.0, 7.0, 99.0, 99.0]).view([2, 2, 2]);
        let batch = Batch::new(&[&[1, 2], &[3]], 0, Device::Cpu).unwrap();
        assert_eq!(numbers(&Mode::Mean.forward(&hidden, &batch).unwrap()), [2.0, 4.0, 5.0, 7.0]);
        assert_eq!(numbers(&Mode::Cls.forward(&hidden, &batch).unwrap()), [1.0, 2.0, 5.0, 7.0]);
        let full = Batch::new(&[&[1, 2], &[3, 4]], 0, Device::Cpu).unwrap();
        assert_eq!(numbers(&Mode::Mean.forward(&hidden, &full).unwrap()), [2.0, 4.0, 52.0, 53.0]);
    }

    #[test]
    fn modes_are_joined_and_then_normalised() {
        let pooling = Pooling { modes: vec![PoolingMode::Cls, PoolingMode::Mean], include_prompt: true };
        let head = Head::load(&pooling, &[HeadModule::Normalize], 1, Device::Cpu).unwrap();
        assert_eq!(head.dim(), 2);
        let batch = Batch::new(&[&[1, 2]], 0, Device::Cpu).unwrap();
        let hidden = Tensor::from_slice(&[3.0_f32, 5.0]).view([1, 2, 1]);
        assert_eq!(numbers(&head.forward(&hidden, &batch).unwrap()), [0.6, 0.8]); // (3, 4) / 5
    }

    #[test]
    fn a_pooling_that_is_not_computed_here_is_named() {
        let pooling = Pooling { modes: vec![PoolingMode::LastToken], include_prompt: true };
        let error = Head::load(&pooling, &[], 1, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("\"lasttoken\" is not supported"), "{error}");
    }
}
