//! The encoders of the BERT family: BERT (Devlin et al. 2019; LaBSE, multilingual MiniLM), RoBERTa (Liu et al. 2019)
//! and XLM-R (Conneau et al. 2020; multilingual-e5). They differ in how positions are counted and in nothing else here.

use std::path::Path;

use serde::Deserialize;
use tch::Tensor;

use super::attention::attend;
use super::batch::{Batch, Numbering};
use super::compute::Compute;
use super::config::read_config;
use super::layers::{Activation, LayerNorm, Linear, Matrix};
use super::weights::Checkpoint;
use crate::error::{Error, ErrorKind, Result};

/// What stands before the tensors' names: nothing in a file of the bare encoder, else the encoder's name inside a model
/// with a head.
const PREFIXES: [&str; 3] = ["", "bert.", "roberta."];

/// `config.json`, as far as it changes the numbers. What the file leaves out is as in transformers' own configuration
/// classes, so BERT-base; the weights' shapes are checked against it.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// `bert`, `roberta` or `xlm-roberta`.
    pub model_type: String,
    /// Rows of the word embedding.
    pub vocab_size: i64,
    /// Width d of the hidden states.
    pub hidden_size: i64,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads; they divide `hidden_size`.
    pub num_attention_heads: i64,
    /// Width of the feed-forward layer.
    pub intermediate_size: i64,
    /// Activation of the feed-forward layer.
    pub hidden_act: String,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f64,
    /// Rows of the position embedding.
    pub max_position_embeddings: i64,
    /// Rows of the token type embedding.
    pub type_vocab_size: i64,
    /// The padding token; 0 for BERT and 1 for the others when the file does not say.
    pub pad_token_id: Option<i64>,
    /// Only `absolute` is supported.
    pub position_embedding_type: Option<String>,
    /// A decoder would look only backwards.
    pub is_decoder: bool,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            model_type: String::new(),
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".to_owned(),
            layer_norm_eps: 1e-12,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            pad_token_id: None,
            position_embedding_type: None,
            is_decoder: false,
        }
    }
}

impl BertConfig {
    /// Reads `config.json` of a folder.
    ///
    /// # Errors
    /// Kind `Model`: the file cannot be read, or describes another architecture or a form of it that is not supported.
    pub fn read(folder: &Path) -> Result<Self> {
        read_config(folder, Self::check)
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Model, what));
        if !["bert", "roberta", "xlm-roberta"].contains(&self.model_type.as_str()) {
            return wrong(format!(
                "the model_type {:?} is not supported (bert, roberta, xlm-roberta are)",
                self.model_type
            ));
        }
        if let Some(other) = self.position_embedding_type.as_deref().filter(|name| *name != "absolute") {
            return wrong(format!("the position_embedding_type {other:?} is not supported (absolute is)"));
        }
        if self.is_decoder {
            return wrong("is_decoder is true: a decoder is not supported as an encoder".to_owned());
        }
        if self.num_attention_heads < 1 || self.hidden_size % self.num_attention_heads != 0 {
            return wrong(format!(
                "num_attention_heads {} does not divide hidden_size {}",
                self.num_attention_heads, self.hidden_size
            ));
        }
        Activation::from_name(&self.hidden_act)?;
        Ok(())
    }

    /// The padding token.
    pub fn pad(&self) -> i64 {
        self.pad_token_id.unwrap_or(i64::from(self.model_type != "bert"))
    }

    /// How many tokens a row may have: every one needs a row of the position embedding.
    pub fn max_tokens(&self) -> usize {
        let unused = match self.numbering() {
            Numbering::FromZero => 0,
            Numbering::AfterPadding(pad) => pad + 1,
        };
        usize::try_from(self.max_position_embeddings - unused).unwrap_or(0)
    }

    /// How the tokens of a row are numbered.
    pub fn numbering(&self) -> Numbering {
        if self.model_type == "bert" { Numbering::FromZero } else { Numbering::AfterPadding(self.pad()) }
    }
}

/// The encoder: token ids to one vector a token.
#[derive(Debug)]
pub struct Bert {
    words: Tensor,
    positions: Tensor,
    /// `[d]`: the row of the first token type. Single texts know no other, and RoBERTa has no other.
    first_type: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

/// One layer: attention, then a feed-forward network, each added to its input and normalised after that.
#[derive(Debug)]
struct Layer {
    heads: i64,
    /// Queries, keys and values side by side: one product of `[N, d]` and `[d, 3d]` is faster than three.
    queries_keys_values: Matrix,
    attended: Matrix,
    attended_norm: LayerNorm,
    inner: Matrix,
    activation: Activation,
    outer: Matrix,
    outer_norm: LayerNorm,
}

impl Bert {
    /// Takes the weights out of a checkpoint. Heads for other tasks and the pooler are left alone.
    ///
    /// # Errors
    /// Kind `Model`: names of all tensors that are missing or have another shape than `config` says.
    pub fn load(config: &BertConfig, checkpoint: &Checkpoint, compute: Compute) -> Result<Self> {
        let mut load = checkpoint.loader(&PREFIXES, compute.device).in_kind(compute.kind());
        let (d, eps) = (config.hidden_size, config.layer_norm_eps);
        let activation = Activation::from_name(&config.hidden_act)?;

        let words = load.tensor("embeddings.word_embeddings.weight", &[config.vocab_size, d])?;
        let positions = load.tensor("embeddings.position_embeddings.weight", &[config.max_position_embeddings, d])?;
        let types = load.tensor("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, d])?;
        let norm = load.layer_norm("embeddings.LayerNorm", d, eps)?;
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for number in 0..config.num_hidden_layers {
            let layer = format!("encoder.layer.{number}");
            let attention = ["query", "key", "value"]
                .map(|part| load.linear(&format!("{layer}.attention.self.{part}"), d, d, true))
                .into_iter()
                .collect::<Result<Vec<_>>>()?;
            let attended = load.linear(&format!("{layer}.attention.output.dense"), d, d, true)?;
            let inner = load.linear(&format!("{layer}.intermediate.dense"), d, config.intermediate_size, true)?;
            let outer = load.linear(&format!("{layer}.output.dense"), config.intermediate_size, d, true)?;
            let attended_norm = load.layer_norm(&format!("{layer}.attention.output.LayerNorm"), d, eps)?;
            let outer_norm = load.layer_norm(&format!("{layer}.output.LayerNorm"), d, eps)?;
            if !load.is_complete() {
                continue; // the error names what the other layers lack too
            }
            layers.push(Layer {
                heads: config.num_attention_heads,
                queries_keys_values: Linear::fused(attention)?.prepare(compute)?,
                attended: attended.prepare(compute)?,
                attended_norm,
                inner: inner.prepare(compute)?,
                activation,
                outer: outer.prepare(compute)?,
                outer_norm,
            });
        }
        load.finish()?;
        Ok(Self { words, positions, first_type: types.f_get(0)?, norm, layers })
    }

    /// The hidden states of the last layer: `[N, d]`. What stands at padding has no meaning.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails: an id outside the vocabulary, more tokens than positions, no memory.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        // The sums are taken in transformers' order: in f32, order shows.
        let words = Tensor::f_embedding(&self.words, &batch.ids, -1, false, false)?;
        let positions = Tensor::f_embedding(&self.positions, &batch.positions, -1, false, false)?;
        let mut hidden = self.norm.forward(&words.f_add(&self.first_type)?.f_add(&positions)?)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, batch)?;
        }
        Ok(hidden)
    }
}

impl Layer {
    /// `[N, d]` → `[N, d]`.
    fn forward(&self, hidden: &Tensor, batch: &Batch) -> Result<Tensor> {
        let projected = self.queries_keys_values.forward(hidden)?; // [N, 3d]
        let attended = self.attended.forward(&attend(&projected, self.heads, batch, None, &[])?)?;
        let hidden = self.attended_norm.forward(&attended.f_add(hidden)?)?;
        let inner = self.activation.forward(self.inner.forward(&hidden)?)?;
        self.outer_norm.forward(&self.outer.forward(&inner)?.f_add(&hidden)?)
    }
}

/// The size of the architecture in words: `bert-12x768`.
pub fn describe(config: &BertConfig) -> String {
    format!("{}-{}x{}", config.model_type, config.num_hidden_layers, config.hidden_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<BertConfig> {
        let config: BertConfig = serde_json::from_str(json).unwrap();
        config.check().map(|()| config)
    }

    #[test]
    fn positions_after_padding_cost_tokens() {
        let roberta = config(r#"{"model_type": "roberta", "max_position_embeddings": 514}"#).unwrap();
        assert_eq!((roberta.pad(), roberta.max_tokens()), (1, 512));
        let bert = config(r#"{"model_type": "bert"}"#).unwrap();
        assert_eq!((bert.pad(), bert.max_tokens()), (0, 512));
        assert_eq!(describe(&bert), "bert-12x768");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (json, part) in [
            (r#"{"model_type": "t5"}"#, "\"t5\""),
            (r#"{"model_type": "bert", "position_embedding_type": "relative_key"}"#, "relative_key"),
            (r#"{"model_type": "bert", "hidden_act": "swish"}"#, "swish"),
            (r#"{"model_type": "bert", "is_decoder": true}"#, "decoder"),
            (r#"{"model_type": "bert", "num_attention_heads": 7}"#, "7 does not divide hidden_size 768"),
        ] {
            let error = config(json).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
