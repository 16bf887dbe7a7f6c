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
    pooling: Vec<PoolingMode>,
    steps: Vec<Step>,
    dim: usize,
    /// Of the Dense modules' weights, in order.
    hashes: Vec<blake3::Hash>,
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
    /// Kind `Model`: an activation that is not supported, widths that do not fit, missing weights.
    pub fn load(pooling: &Pooling, modules: &[HeadModule], width: usize, device: Device) -> Result<Self> {
        let pooling = pooling.modes.clone();
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

    /// `[N, d]` hidden states → `[B, dim]` in f32, in the order of the batch's rows. The first `skip` tokens of each row
    /// take no part; every row has more.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, hidden: &Tensor, batch: &Batch, skip: usize) -> Result<Tensor> {
        let mut rows = Vec::with_capacity(batch.groups.len());
        for group in &batch.groups {
            // Sums over many tokens and lengths of vectors want more than the 8 bits of bf16.
            let states = group.of(hidden)?.f_to_kind(Kind::Float)?; // [rows, T, d]
            let parts = self
                .pooling
                .iter()
                .map(|mode| pool(*mode, &states, group.mask.as_ref(), signed(skip)))
                .collect::<Result<Vec<_>>>()?;
            rows.push(Tensor::f_cat(&parts, -1)?);
        }
        let mut pooled = Tensor::f_cat(&rows, 0)?;
        for step in &self.steps {
            pooled = match step {
                Step::Dense(linear, activation) => activation.forward(linear.forward(&pooled)?)?,
                Step::Normalize => normalize(&pooled)?,
            };
        }
        Ok(pooled)
    }
}

/// `[rows, T, d]` → `[rows, d]`, of the tokens from `skip` on where `mask` (`[rows, T]`) is true. As in
/// sentence-transformers' `Pooling`, the k-th token weighs k in the weighted mean, skipped ones counted.
fn pool(mode: PoolingMode, states: &Tensor, mask: Option<&Tensor>, skip: i64) -> Result<Tensor> {
    let width = states.size3()?.1;
    let states = states.f_narrow(1, skip, width - skip)?;
    if mode == PoolingMode::Cls {
        // Rows are filled up on the right, so the first token is the first column.
        return Ok(states.f_select(1, 0)?);
    }
    let over_tokens = Some([1].as_slice());
    let mask = mask.map(|mask| mask.f_narrow(1, skip, width - skip)).transpose()?;
    // [rows, T, 1], ones and zeros
    let weights = match &mask {
        Some(mask) => mask.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?,
        None => Tensor::f_ones([states.size3()?.0, width - skip, 1], (Kind::Float, states.device()))?,
    };
    // A row has a token that counts, so no sum of weights is zero.
    let sum = |weights: &Tensor| states.f_mul(weights)?.f_sum_dim_intlist(over_tokens, false, None::<Kind>);
    let total = |weights: &Tensor| weights.f_sum_dim_intlist(over_tokens, false, None::<Kind>);
    Ok(match mode {
        PoolingMode::Cls => states.f_select(1, 0)?,
        PoolingMode::Max => match &mask {
            Some(mask) => states.f_masked_fill(&mask.f_logical_not()?.f_unsqueeze(-1)?, f64::NEG_INFINITY)?,
            None => states,
        }
        .f_amax([1].as_slice(), false)?,
        PoolingMode::Mean if mask.is_none() => states.f_mean_dim(over_tokens, false, Kind::Float)?,
        PoolingMode::Mean => sum(&weights)?.f_div(&total(&weights)?)?,
        PoolingMode::MeanSqrt => sum(&weights)?.f_div(&total(&weights)?.f_sqrt()?)?,
        PoolingMode::WeightedMean => {
            let numbers = Tensor::f_arange_start(skip + 1, width + 1, (Kind::Float, states.device()))?;
            let weights = weights.f_mul(&numbers.f_view([1, -1, 1])?)?;
            sum(&weights)?.f_div(&total(&weights)?)?
        }
        PoolingMode::LastToken => {
            let last = total(&weights)?.f_sub_scalar(1.0)?.f_to_kind(Kind::Int64)?.f_unsqueeze(-1)?; // [rows, 1, 1]
            let (rows, _, d) = states.size3()?;
            states.f_gather(1, &last.f_expand([rows, 1, d], false)?, false)?.f_squeeze_dim(1)?
        }
    })
}

/// `[B, n]` → `[B, n]`, rows of unit length.
fn normalize(x: &Tensor) -> Result<Tensor> {
    let norm = x.f_norm_scalaropt_dim(2.0, [-1].as_slice(), true)?.f_clamp_min(SHORTEST)?;
    Ok(x.f_div(&norm)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::torch::batch::Numbering;

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap()
    }

    /// One group of rows, [rows, T] with 0 for padding, and their hidden states of one number a token.
    fn pooled(modes: &[PoolingMode], rows: &[&[i64]], states: &[f32], skip: usize) -> Vec<f32> {
        let pooling = Pooling { modes: modes.to_vec(), include_prompt: skip == 0 };
        let head = Head::load(&pooling, &[], 1, Device::Cpu).unwrap();
        let batch = Batch::padded(rows, 0, Numbering::FromZero, Device::Cpu).unwrap();
        let hidden = Tensor::from_slice(states).view([-1, 1]);
        numbers(&head.forward(&hidden, &batch, skip).unwrap())
    }

    #[test]
    fn padding_takes_no_part() {
        use PoolingMode::{Cls, LastToken, Max, Mean, MeanSqrt, WeightedMean};
        // Rows of 3 and 2 tokens; the padding holds 99.
        let (rows, states): ([&[i64]; 2], _) = ([&[1, 2, 3], &[4, 5]], [1.0, 2.0, 6.0, -3.0, -1.0, 99.0]);
        for (mode, expected) in [
            (Cls, [1.0, -3.0]),
            (Max, [6.0, -1.0]),
            (Mean, [3.0, -2.0]),
            (MeanSqrt, [9.0 / 3_f32.sqrt(), -4.0 / 2_f32.sqrt()]),
            (WeightedMean, [(1.0 + 4.0 + 18.0) / 6.0, (-3.0 - 2.0) / 3.0]),
            (LastToken, [6.0, -1.0]),
        ] {
            let found = pooled(&[mode], &rows, &states, 0);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{mode:?}: {found:?}");
            // The same rows without padding between them.
            let head = Head::load(&Pooling { modes: vec![mode], include_prompt: true }, &[], 1, Device::Cpu).unwrap();
            let batch = Batch::packed(&rows, 8, 0, Numbering::FromZero, Device::Cpu).unwrap();
            let hidden = Tensor::from_slice(&[1.0_f32, 2.0, 6.0, -3.0, -1.0, 99.0, 99.0, 99.0]).view([-1, 1]);
            let found = numbers(&head.forward(&hidden, &batch, 0).unwrap());
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{mode:?}, packed: {found:?}");
        }
    }

    #[test]
    fn a_skipped_prompt_takes_no_part() {
        use PoolingMode::{Cls, LastToken, Max, Mean, WeightedMean};
        let (rows, states): ([&[i64]; 2], _) = ([&[1, 2, 3], &[4, 5]], [50.0, 2.0, 6.0, 50.0, -1.0, 99.0]);
        for (mode, expected) in [
            (Cls, [2.0, -1.0]),
            (Max, [6.0, -1.0]),
            (Mean, [4.0, -1.0]),
            (WeightedMean, [(4.0 + 18.0) / 5.0, -1.0]),
            (LastToken, [6.0, -1.0]),
        ] {
            assert_eq!(pooled(&[mode], &rows, &states, 1), expected, "{mode:?}");
        }
    }

    #[test]
    fn modes_are_joined_and_then_normalised() {
        let pooling = Pooling { modes: vec![PoolingMode::Cls, PoolingMode::Mean], include_prompt: true };
        let head = Head::load(&pooling, &[HeadModule::Normalize], 1, Device::Cpu).unwrap();
        assert_eq!(head.dim(), 2);
        let batch = Batch::padded(&[&[1, 2]], 0, Numbering::FromZero, Device::Cpu).unwrap();
        let hidden = Tensor::from_slice(&[3.0_f32, 5.0]).view([2, 1]);
        assert_eq!(numbers(&head.forward(&hidden, &batch, 0).unwrap()), [0.6, 0.8]); // (3, 4) / 5
    }
}
