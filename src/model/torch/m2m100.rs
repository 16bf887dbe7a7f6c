//! M2M100 (Fan et al. 2020), the architecture of NLLB (NLLB Team 2022): its configuration, its embedding and its
//! encoder. The decoder is in [`super::decoder`].
//!
//! ```text
//! ids ─ table · √d + sinusoids ─▶ [N, d] ─┬─ norm ─ attention ─ + ─ norm ─ feed-forward ─ + ─┬─▶ … ─ norm ─▶ [N, d]
//!                                         └────────────────────┘└────────────────────────────┘
//! ```
//!
//! Unlike BERT it normalises what goes into a layer's parts and not what comes out, learns no positions, and has no
//! norm behind the embedding. LayerDrop is of training alone.
//!
//! One matrix is the table of both sides and of the output; files hold it under up to four names.

use std::path::Path;

use serde::Deserialize;
use tch::{Kind, Tensor};

use super::attention::attend;
use super::batch::{Batch, Numbering};
use super::compute::Compute;
use super::config::read_config;
use super::layers::{Activation, LayerNorm, Linear, Matrix};
use super::weights::{Checkpoint, Loader};
use crate::error::{Error, ErrorKind, Result};

/// What stands before the tensors' names: nothing in a file of the bare model, else the model's name inside the one
/// that translates.
pub(super) const PREFIXES: [&str; 2] = ["", "model."];

/// Added to the variance in every LayerNorm: torch's own number, as no configuration says another.
pub(super) const EPS: f64 = 1e-5;

/// `config.json`, as far as it changes the numbers. What the file leaves out is as in transformers' own class.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct M2m100Config {
    /// `m2m_100`.
    pub model_type: String,
    /// Rows V of the embedding.
    pub vocab_size: i64,
    /// Width d of the hidden states.
    pub d_model: i64,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Attention heads of the encoder; they divide `d_model`.
    pub encoder_attention_heads: i64,
    /// Attention heads of the decoder; they divide `d_model`.
    pub decoder_attention_heads: i64,
    /// Width of the encoder's feed-forward layer.
    pub encoder_ffn_dim: i64,
    /// Width of the decoder's feed-forward layer.
    pub decoder_ffn_dim: i64,
    /// Activation of the feed-forward layers.
    pub activation_function: String,
    /// Whether the embedding is multiplied by √d.
    pub scale_embedding: bool,
    /// Tokens in a row, at most.
    pub max_position_embeddings: i64,
    /// The padding token.
    pub pad_token_id: i64,
    /// The token that ends a text.
    pub eos_token_id: i64,
    /// What the decoder is given before the first token.
    pub decoder_start_token_id: i64,
    /// Whether the output matrix is the embedding.
    pub tie_word_embeddings: bool,
}

impl Default for M2m100Config {
    fn default() -> Self {
        Self {
            model_type: String::new(),
            vocab_size: 128_112,
            d_model: 1024,
            encoder_layers: 12,
            decoder_layers: 12,
            encoder_attention_heads: 16,
            decoder_attention_heads: 16,
            encoder_ffn_dim: 4096,
            decoder_ffn_dim: 4096,
            activation_function: "relu".to_owned(),
            scale_embedding: true,
            max_position_embeddings: 1024,
            pad_token_id: 1,
            eos_token_id: 2,
            decoder_start_token_id: 2,
            tie_word_embeddings: true,
        }
    }
}

impl M2m100Config {
    /// Reads `config.json` of a folder.
    ///
    /// # Errors
    /// Kind `Model`: the file cannot be read, or describes another architecture or a form of it that is not supported.
    pub fn read(folder: &Path) -> Result<Self> {
        read_config(folder, Self::check)
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Model, what));
        if self.model_type != "m2m_100" {
            return wrong(format!("the model_type {:?} is not supported here (m2m_100 is)", self.model_type));
        }
        for (side, heads) in [("encoder", self.encoder_attention_heads), ("decoder", self.decoder_attention_heads)] {
            if heads < 1 || self.d_model % heads != 0 {
                return wrong(format!("{side}_attention_heads {heads} does not divide d_model {}", self.d_model));
            }
        }
        if self.d_model < 4 || self.d_model % 2 != 0 {
            return wrong(format!("d_model is {}: it must be even, and 4 or more", self.d_model));
        }
        Activation::from_name(&self.activation_function)?;
        Ok(())
    }

    /// How many tokens a text may have, language token and end included.
    pub fn max_tokens(&self) -> usize {
        usize::try_from(self.max_position_embeddings).unwrap_or(0)
    }

    /// How the tokens of a row are numbered.
    pub fn numbering(&self) -> Numbering {
        Numbering::AfterPadding(self.pad_token_id)
    }

    /// The size of the architecture in words.
    pub fn describe(&self) -> String {
        format!("{}-{}+{}x{}", self.model_type, self.encoder_layers, self.decoder_layers, self.d_model)
    }
}

/// Tokens and their places to vectors.
#[derive(Debug)]
pub struct Embedding {
    /// `[V, d]`.
    pub words: Tensor,
    /// `[max_position_embeddings + 2, d]`.
    positions: Tensor,
    scale: f64,
}

impl Embedding {
    pub(super) fn load(config: &M2m100Config, load: &mut Loader<'_>, compute: Compute) -> Result<Self> {
        let names = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"];
        let words = load.tensor_of(&names, &[config.vocab_size, config.d_model])?;
        #[expect(clippy::cast_precision_loss, reason = "a width")]
        let scale = if config.scale_embedding { (config.d_model as f64).sqrt() } else { 1.0 };
        let positions = sinusoids(config.max_position_embeddings + 2, config.d_model, config.pad_token_id)?;
        let positions = positions.f_to_kind(compute.kind())?.f_to_device(compute.device)?;
        Ok(Self { words, positions, scale })
    }

    /// The same tensors once more, for the other side.
    pub(super) fn share(&self) -> Self {
        Self { words: self.words.shallow_clone(), positions: self.positions.shallow_clone(), scale: self.scale }
    }

    /// `[N]` ids and positions, i64 → `[N, d]`.
    pub(super) fn forward(&self, ids: &Tensor, positions: &Tensor) -> Result<Tensor> {
        let words = Tensor::f_embedding(&self.words, ids, -1, false, false)?.f_mul_scalar(self.scale)?;
        Ok(words.f_add(&Tensor::f_embedding(&self.positions, positions, -1, false, false)?)?)
    }
}

/// `[rows, width]`, f32: row p is the sines of p·f, then the cosines, for frequencies f that fall from 1 to 1/10000
/// geometrically; the padding token's row is zero. As tensor2tensor has it: not interleaved as in the paper of the
/// transformer. Computed with torch's own operations in f32, because the files do not hold it and f64 would differ.
fn sinusoids(rows: i64, width: i64, pad: i64) -> Result<Tensor> {
    let half = width / 2;
    let on_cpu = (Kind::Float, tch::Device::Cpu);
    #[expect(clippy::cast_precision_loss, reason = "a width")]
    let step = 10000_f64.ln() / (half - 1) as f64;
    let frequencies = Tensor::f_arange(half, on_cpu)?.f_mul_scalar(-step)?.f_exp()?;
    let angles = Tensor::f_arange(rows, on_cpu)?.f_unsqueeze(1)?.f_mul(&frequencies.f_unsqueeze(0)?)?;
    let table = Tensor::f_cat(&[angles.f_sin()?, angles.f_cos()?], 1)?;
    let _: Tensor = table.f_get(pad)?.f_zero_()?; // a view of the row
    Ok(table)
}

/// The encoder: token ids to one vector a token.
#[derive(Debug)]
pub struct M2m100Encoder {
    embedding: Embedding,
    heads: i64,
    layers: Vec<Layer>,
    norm: LayerNorm,
}

/// One layer: attention, then a feed-forward network, each on the norm of what it is added to.
#[derive(Debug)]
struct Layer {
    attention_norm: LayerNorm,
    queries_keys_values: Matrix,
    attended: Matrix,
    feed_norm: LayerNorm,
    inner: Matrix,
    activation: Activation,
    outer: Matrix,
}

impl M2m100Encoder {
    /// Takes the encoder's weights out of a checkpoint of the encoder or the whole model.
    ///
    /// # Errors
    /// Kind `Model`: names of all tensors that are missing or have another shape than `config` says.
    pub fn load(config: &M2m100Config, checkpoint: &Checkpoint, compute: Compute) -> Result<Self> {
        let mut load = checkpoint.loader(&PREFIXES, compute.device).in_kind(compute.kind());
        let embedding = Embedding::load(config, &mut load, compute)?;
        let encoder = Self::load_behind(embedding, config, &mut load, compute)?;
        load.finish()?;
        Ok(encoder)
    }

    /// What is missing is an error of `load.finish`, before which nothing may be computed.
    pub(super) fn load_behind(
        embedding: Embedding,
        config: &M2m100Config,
        load: &mut Loader<'_>,
        compute: Compute,
    ) -> Result<Self> {
        let d = config.d_model;
        let activation = Activation::from_name(&config.activation_function)?;
        let mut layers = Vec::with_capacity(config.encoder_layers);
        for number in 0..config.encoder_layers {
            let layer = format!("encoder.layers.{number}");
            let attention = queries_keys_values(load, &format!("{layer}.self_attn"), d)?;
            let attended = load.linear(&format!("{layer}.self_attn.out_proj"), d, d, true)?;
            let attention_norm = load.layer_norm(&format!("{layer}.self_attn_layer_norm"), d, EPS)?;
            let inner = load.linear(&format!("{layer}.fc1"), d, config.encoder_ffn_dim, true)?;
            let outer = load.linear(&format!("{layer}.fc2"), config.encoder_ffn_dim, d, true)?;
            let feed_norm = load.layer_norm(&format!("{layer}.final_layer_norm"), d, EPS)?;
            if !load.is_complete() {
                continue; // the error names what the other layers lack too
            }
            layers.push(Layer {
                attention_norm,
                queries_keys_values: Linear::fused(attention)?.prepare(compute)?,
                attended: attended.prepare(compute)?,
                feed_norm,
                inner: inner.prepare(compute)?,
                activation,
                outer: outer.prepare(compute)?,
            });
        }
        let norm = load.layer_norm("encoder.layer_norm", d, EPS)?;
        Ok(Self { embedding, heads: config.encoder_attention_heads, layers, norm })
    }

    /// The hidden states behind the last layer and its norm: `[N, d]`. What stands at padding has no meaning.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails: an id outside the vocabulary, more tokens than positions, no memory.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let mut hidden = self.embedding.forward(&batch.ids, &batch.positions)?;
        for layer in &self.layers {
            let projected = layer.queries_keys_values.forward(&layer.attention_norm.forward(&hidden)?)?;
            let attended = attend(&projected, self.heads, batch, None, &[])?;
            hidden = hidden.f_add(&layer.attended.forward(&attended)?)?;
            let inner = layer.inner.forward(&layer.feed_norm.forward(&hidden)?)?;
            hidden = hidden.f_add(&layer.outer.forward(&layer.activation.forward(inner)?)?)?;
        }
        self.norm.forward(&hidden)
    }
}

/// The three matrices of one attention, `[d, d]` each with a bias, in the order of their product.
pub(super) fn queries_keys_values(load: &mut Loader<'_>, attention: &str, d: i64) -> Result<Vec<Linear>> {
    ["q_proj", "k_proj", "v_proj"].iter().map(|part| load.linear(&format!("{attention}.{part}"), d, d, true)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_positions_is_sines_then_cosines() {
        let table = sinusoids(4, 4, 1).unwrap();
        let numbers = |row| Vec::<f32>::try_from(table.get(row)).unwrap();
        assert_eq!(numbers(0), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(numbers(1), [0.0; 4], "the padding token's");
        let three: [f32; 4] = [3.0_f32.sin(), 3e-4_f32.sin(), 3.0_f32.cos(), 3e-4_f32.cos()];
        assert!(numbers(3).iter().zip(three).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (json, part) in [
            (r#"{"model_type": "mbart"}"#, "\"mbart\""),
            (r#"{"model_type": "m2m_100", "decoder_attention_heads": 7}"#, "decoder_attention_heads 7"),
            (r#"{"model_type": "m2m_100", "activation_function": "swish"}"#, "swish"),
        ] {
            let config: M2m100Config = serde_json::from_str(json).unwrap();
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
