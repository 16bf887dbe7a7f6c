//! The encoder of T5 (Raffel et al. 2020) in its form 1.1, which flan-t5 has, and in the first.
//!
//! ```text
//! ids ─ table ─▶ [N, d] ─┬─ norm ─ attention ─ + ─ norm ─ feed-forward ─ + ─┬─▶ … ─ norm ─▶ [N, d]
//!                        └────────────────────┘└────────────────────────────┘
//! ```
//!
//! Nothing has a bias, a norm only scales, and a token does not know its place: instead each head adds to the score of
//! two tokens a number that depends on how far apart they are. The distances fall into *buckets*, one for each of the
//! short ones and ever wider ones behind; the first layer's numbers serve all layers. Scores are not scaled by the
//! heads' width, which is not d / heads either.

use std::path::Path;

use serde::Deserialize;
use tch::{Kind, Tensor};

use super::attention::attend;
use super::batch::{Batch, Numbering};
use super::compute::Compute;
use super::config::read_config;
use super::layers::{Activation, Linear, Matrix};
use super::weights::{Checkpoint, Loader};
use crate::error::{Error, ErrorKind, Result};

/// Files of the encoder and of the whole model name it alike.
const PREFIXES: [&str; 1] = [""];

/// Tokens of a text when nothing says a limit: what T5 was trained on.
const MAX_TOKENS: usize = 512;

/// `config.json`, as far as it changes the encoder's numbers. What the file leaves out is as in transformers' own class.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct T5Config {
    /// `t5`.
    pub model_type: String,
    /// Rows of the embedding.
    pub vocab_size: i64,
    /// Width d of the hidden states.
    pub d_model: i64,
    /// Width of a head.
    pub d_kv: i64,
    /// Width of the feed-forward layer.
    pub d_ff: i64,
    /// Layers of the encoder.
    pub num_layers: usize,
    /// Attention heads.
    pub num_heads: i64,
    /// Buckets of distances, both directions together.
    pub relative_attention_num_buckets: i64,
    /// The distance from which on all fall into the last bucket.
    pub relative_attention_max_distance: i64,
    /// Added to the mean square in every norm.
    pub layer_norm_epsilon: f64,
    /// The activation of the feed-forward layers; behind `gated-` they have two input matrices.
    pub feed_forward_proj: String,
    /// The padding token.
    pub pad_token_id: i64,
}

impl Default for T5Config {
    fn default() -> Self {
        Self {
            model_type: String::new(),
            vocab_size: 32_128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: "relu".to_owned(),
            pad_token_id: 0,
        }
    }
}

impl T5Config {
    /// Reads `config.json` of a folder.
    ///
    /// # Errors
    /// Kind `Model`: the file cannot be read, or describes another architecture or a form of it that is not supported.
    pub fn read(folder: &Path) -> Result<Self> {
        read_config(folder, Self::check)
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Model, what));
        if self.model_type != "t5" {
            return wrong(format!("the model_type {:?} is not supported here (t5 is)", self.model_type));
        }
        if self.num_heads < 1 || self.d_kv < 1 {
            return wrong(format!("{} heads of width {}", self.num_heads, self.d_kv));
        }
        let (buckets, distance) = (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        if buckets < 4 || buckets % 4 != 0 || distance <= buckets / 4 {
            return wrong(format!("{buckets} buckets for distances up to {distance}"));
        }
        self.activation().map(|_| ())
    }

    /// The activation, and whether a second matrix is multiplied by what comes out of it.
    fn activation(&self) -> Result<(Activation, bool)> {
        Ok(match self.feed_forward_proj.strip_prefix("gated-") {
            // transformers too reads this one name as the approximation, as T5 1.1 was trained.
            Some("gelu") => (Activation::GeluTanh, true),
            Some(name) => (Activation::from_name(name)?, true),
            None => (Activation::from_name(&self.feed_forward_proj)?, false),
        })
    }

    /// How many tokens a text has at most when the folder does not say.
    pub fn max_tokens(&self) -> usize {
        MAX_TOKENS
    }

    /// Tokens have no numbers; any will do.
    pub fn numbering(&self) -> Numbering {
        Numbering::FromZero
    }

    /// The size of the architecture in words.
    pub fn describe(&self) -> String {
        format!("{}-{}x{}", self.model_type, self.num_layers, self.d_model)
    }
}

/// The encoder: token ids to one vector a token.
#[derive(Debug)]
pub struct T5Encoder {
    words: Tensor,
    distances: Distances,
    heads: i64,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

/// One layer: attention, then a feed-forward network, each on the norm of what it is added to.
#[derive(Debug)]
struct Layer {
    attention_norm: RmsNorm,
    queries_keys_values: Matrix,
    attended: Matrix,
    feed_norm: RmsNorm,
    inner: Matrix,
    /// Multiplied by what the activation makes of `inner`.
    gate: Option<Matrix>,
    activation: Activation,
    outer: Matrix,
}

/// x / √(mean of squares + eps) · w over the last dimension (Zhang & Sennrich 2019).
#[derive(Debug)]
struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// `[…, d]` → `[…, d]`. The mean is taken in f32, whatever the numbers are.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let wide = x.f_to_kind(Kind::Float)?;
        let square = wide.f_square()?.f_mean_dim(Some([-1].as_slice()), true, Kind::Float)?;
        let scaled = wide.f_mul(&square.f_add_scalar(self.eps)?.f_rsqrt()?)?.f_to_kind(self.weight.f_kind()?)?;
        Ok(scaled.f_mul(&self.weight)?)
    }
}

/// What each head adds to the score of two tokens by their distance.
#[derive(Debug)]
struct Distances {
    /// `[buckets, heads]`.
    table: Tensor,
    buckets: i64,
    farthest: i64,
}

impl Distances {
    /// `[1, heads, width, width]`: row the token that asks, column the one that is asked.
    fn bias(&self, width: i64) -> Result<Tensor> {
        let numbers: Vec<i64> =
            (0..width).flat_map(|from| (0..width).map(move |to| to - from)).map(|way| self.bucket(way)).collect();
        let numbers = Tensor::f_from_slice(&numbers)?.f_to_device(self.table.device())?;
        let values = Tensor::f_embedding(&self.table, &numbers, -1, false, false)?; // [width², heads]
        Ok(values.f_view([width, width, -1])?.f_permute([2, 0, 1])?.f_unsqueeze(0)?.f_contiguous()?)
    }

    /// Half of the buckets are for tokens before, half for those after. Of a half, the first half has a bucket a
    /// distance; the others grow with the logarithm.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "distances, in f32 as torch has")]
    fn bucket(&self, way: i64) -> i64 {
        let half = self.buckets / 2;
        let exact = half / 2;
        let distance = way.abs();
        let after = if way > 0 { half } else { 0 };
        if distance < exact {
            return after + distance;
        }
        let times = (distance as f32 / exact as f32).ln();
        let all = (self.farthest as f64 / exact as f64).ln() as f32;
        let further = (times / all * (half - exact) as f32) as i64;
        after + (exact + further).min(half - 1)
    }
}

impl T5Encoder {
    /// Takes the encoder's weights out of a checkpoint of the encoder or the whole model.
    ///
    /// # Errors
    /// Kind `Model`: names of all tensors that are missing or have another shape than `config` says.
    pub fn load(config: &T5Config, checkpoint: &Checkpoint, compute: Compute) -> Result<Self> {
        let mut load = checkpoint.loader(&PREFIXES, compute.device).in_kind(compute.kind());
        let (d, inner, wide) = (config.d_model, config.num_heads * config.d_kv, config.d_ff);
        let (activation, gated) = config.activation()?;
        let eps = config.layer_norm_epsilon;
        let words = load.tensor_of(&["shared.weight", "encoder.embed_tokens.weight"], &[config.vocab_size, d])?;
        let buckets = config.relative_attention_num_buckets;
        let table = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        let table = load.tensor(table, &[buckets, config.num_heads])?;
        let mut layers = Vec::with_capacity(config.num_layers);
        for number in 0..config.num_layers {
            let [attention, feed] = [0, 1].map(|part| format!("encoder.block.{number}.layer.{part}"));
            let three = ["q", "k", "v"]
                .map(|part| load.linear(&format!("{attention}.SelfAttention.{part}"), d, inner, false))
                .into_iter()
                .collect::<Result<Vec<_>>>()?;
            let attended = load.linear(&format!("{attention}.SelfAttention.o"), inner, d, false)?;
            let attention_norm = norm(&mut load, &format!("{attention}.layer_norm"), d, eps)?;
            let first = if gated { "wi_0" } else { "wi" };
            let inner = load.linear(&format!("{feed}.DenseReluDense.{first}"), d, wide, false)?;
            let gate =
                if gated { Some(load.linear(&format!("{feed}.DenseReluDense.wi_1"), d, wide, false)?) } else { None };
            let outer = load.linear(&format!("{feed}.DenseReluDense.wo"), wide, d, false)?;
            let feed_norm = norm(&mut load, &format!("{feed}.layer_norm"), d, eps)?;
            if !load.is_complete() {
                continue; // the error names what the other layers lack too
            }
            layers.push(Layer {
                attention_norm,
                queries_keys_values: Linear::fused(three)?.prepare(compute)?,
                attended: attended.prepare(compute)?,
                feed_norm,
                inner: inner.prepare(compute)?,
                gate: gate.map(|gate| gate.prepare(compute)).transpose()?,
                activation,
                outer: outer.prepare(compute)?,
            });
        }
        let norm = norm(&mut load, "encoder.final_layer_norm", d, eps)?;
        load.finish()?;
        let distances = Distances { table, buckets, farthest: config.relative_attention_max_distance };
        Ok(Self { words, distances, heads: config.num_heads, layers, norm })
    }

    /// The hidden states behind the last layer and its norm: `[N, d]`. What stands at padding has no meaning.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails: an id outside the vocabulary, no memory.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let mut hidden = Tensor::f_embedding(&self.words, &batch.ids, -1, false, false)?;
        // Once for all layers.
        let bias = batch.groups.iter().map(|group| self.distances.bias(group.width)).collect::<Result<Vec<_>>>()?;
        for layer in &self.layers {
            let projected = layer.queries_keys_values.forward(&layer.attention_norm.forward(&hidden)?)?;
            let attended = attend(&projected, self.heads, batch, Some(1.0), &bias)?;
            hidden = hidden.f_add(&layer.attended.forward(&attended)?)?;
            let normed = layer.feed_norm.forward(&hidden)?;
            let mut inner = layer.activation.forward(layer.inner.forward(&normed)?)?;
            if let Some(gate) = &layer.gate {
                inner = inner.f_mul(&gate.forward(&normed)?)?;
            }
            hidden = hidden.f_add(&layer.outer.forward(&inner)?)?;
        }
        self.norm.forward(&hidden)
    }
}

fn norm(load: &mut Loader<'_>, name: &str, width: i64, eps: f64) -> Result<RmsNorm> {
    Ok(RmsNorm { weight: load.tensor(&format!("{name}.weight"), &[width])?, eps })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_fall_into_ever_wider_buckets() {
        let distances = Distances { table: Tensor::new(), buckets: 32, farthest: 128 };
        // As transformers' `_relative_position_bucket` has them.
        let ways = [0, -1, -7, -8, -11, -12, -15, -16, -32, -64, -127, -128, -500, 1, 7, 8, 16, 31, 32, 64, 128];
        let buckets = [0, 1, 7, 8, 8, 9, 9, 10, 12, 14, 15, 15, 15, 17, 23, 24, 26, 27, 28, 30, 31];
        assert_eq!(ways.map(|way| distances.bucket(way)), buckets);
        let few =
            Distances { table: Tensor::from_slice(&[0.0_f32, 1.0, 2.0, 3.0]).view([4, 1]), buckets: 4, farthest: 8 };
        let bias = Vec::<f32>::try_from(few.bias(2).unwrap().flatten(0, -1)).unwrap();
        assert_eq!(bias, [0.0, 3.0, 1.0, 0.0], "after, then before");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (json, part) in [
            (r#"{"model_type": "umt5"}"#, "\"umt5\""),
            (r#"{"model_type": "t5", "feed_forward_proj": "gated-silu"}"#, "silu"),
            (r#"{"model_type": "t5", "relative_attention_num_buckets": 3}"#, "3 buckets"),
        ] {
            let config: T5Config = serde_json::from_str(json).unwrap();
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
