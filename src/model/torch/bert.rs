//! The encoders of the BERT family: BERT (Devlin et al. 2019; LaBSE, multilingual MiniLM), RoBERTa (Liu et al. 2019)
//! and XLM-R (Conneau et al. 2020; multilingual-e5). They differ in how positions are counted and in nothing else here.

use std::path::Path;

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::batch::Batch;
use super::layers::{Activation, LayerNorm, Linear};
use super::weights::Checkpoint;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;

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

/// How the tokens of a row are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Positions {
    /// 0, 1, 2, …
    FromZero,
    /// The k-th token that is not the padding token, k = 1, 2, …, has the number k + pad; padding itself has the number
    /// pad. RoBERTa inherits it from fairseq.
    AfterPadding(i64),
}

impl BertConfig {
    /// Reads `config.json` of a folder.
    ///
    /// # Errors
    /// Kind `Model`: the file cannot be read, or describes another architecture or a form of it that is not supported.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let doing = || format!("reading the model configuration {}", path.display());
        let text = files::read_text(&path).context(ErrorKind::Model, doing)?;
        let config: Self = serde_json::from_str(&text).context(ErrorKind::Model, doing)?;
        config.check().map_err(|error| error.while_doing(doing()))?;
        Ok(config)
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
        let unused = match self.positions() {
            Positions::FromZero => 0,
            Positions::AfterPadding(pad) => pad + 1,
        };
        usize::try_from(self.max_position_embeddings - unused).unwrap_or(0)
    }

    fn positions(&self) -> Positions {
        if self.model_type == "bert" { Positions::FromZero } else { Positions::AfterPadding(self.pad()) }
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
    numbering: Positions,
}

/// One layer: attention, then a feed-forward network, each added to its input and normalised after that.
#[derive(Debug)]
struct Layer {
    heads: i64,
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    inner: Linear,
    activation: Activation,
    outer: Linear,
    outer_norm: LayerNorm,
}

impl Bert {
    /// Takes the weights out of a checkpoint. Heads for other tasks and the pooler are left alone.
    ///
    /// # Errors
    /// Kind `Model`: names of all tensors that are missing or have another shape than `config` says.
    pub fn load(config: &BertConfig, checkpoint: &Checkpoint, device: Device) -> Result<Self> {
        let mut load = checkpoint.loader(&PREFIXES, device);
        let (d, eps) = (config.hidden_size, config.layer_norm_eps);
        let activation = Activation::from_name(&config.hidden_act)?;

        let words = load.tensor("embeddings.word_embeddings.weight", &[config.vocab_size, d])?;
        let positions = load.tensor("embeddings.position_embeddings.weight", &[config.max_position_embeddings, d])?;
        let types = load.tensor("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, d])?;
        let norm = load.layer_norm("embeddings.LayerNorm", d, eps)?;
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for number in 0..config.num_hidden_layers {
            let layer = format!("encoder.layer.{number}");
            layers.push(Layer {
                heads: config.num_attention_heads,
                query: load.linear(&format!("{layer}.attention.self.query"), d, d, true)?,
                key: load.linear(&format!("{layer}.attention.self.key"), d, d, true)?,
                value: load.linear(&format!("{layer}.attention.self.value"), d, d, true)?,
                attended: load.linear(&format!("{layer}.attention.output.dense"), d, d, true)?,
                attended_norm: load.layer_norm(&format!("{layer}.attention.output.LayerNorm"), d, eps)?,
                inner: load.linear(&format!("{layer}.intermediate.dense"), d, config.intermediate_size, true)?,
                activation,
                outer: load.linear(&format!("{layer}.output.dense"), config.intermediate_size, d, true)?,
                outer_norm: load.layer_norm(&format!("{layer}.output.LayerNorm"), d, eps)?,
            });
        }
        load.finish()?;
        Ok(Self { words, positions, first_type: types.f_get(0)?, norm, layers, numbering: config.positions() })
    }

    /// `[B, T]` token ids → `[B, T, d]` hidden states of the last layer. What stands at padding has no meaning.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails: an id outside the vocabulary, more tokens than positions, no memory.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let mut hidden = self.embed(&batch.ids)?;
        // [B, T] → [B, 1, 1, T]: the same for every head and every query.
        let mask = match &batch.mask {
            Some(mask) => Some(mask.f_unsqueeze(1)?.f_unsqueeze(1)?),
            None => None,
        };
        for layer in &self.layers {
            hidden = layer.forward(&hidden, mask.as_ref())?;
        }
        Ok(hidden)
    }

    /// `[B, T]` → `[B, T, d]`. The sums are taken in transformers' order: in f32, order shows.
    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let positions = match self.numbering {
            Positions::FromZero => self.positions.f_narrow(0, 0, ids.size()[1])?, // [T, d]
            Positions::AfterPadding(pad) => {
                let real = ids.f_ne(pad)?.f_to_kind(Kind::Int64)?;
                let numbers = real.f_cumsum(1, Kind::Int64)?.f_mul(&real)?.f_add_scalar(pad)?;
                Tensor::f_embedding(&self.positions, &numbers, -1, false, false)? // [B, T, d]
            }
        };
        let words = Tensor::f_embedding(&self.words, ids, -1, false, false)?;
        self.norm.forward(&words.f_add(&self.first_type)?.f_add(&positions)?)
    }
}

impl Layer {
    /// `[B, T, d]` → `[B, T, d]`; `mask` is `[B, 1, 1, T]`, true where attention may look.
    fn forward(&self, hidden: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let attended = self.attended.forward(&self.attend(hidden, mask)?)?;
        let hidden = self.attended_norm.forward(&attended.f_add(hidden)?)?;
        let inner = self.activation.forward(self.inner.forward(&hidden)?)?;
        self.outer_norm.forward(&self.outer.forward(&inner)?.f_add(&hidden)?)
    }

    /// softmax(q·kᵀ / √(d / heads))·v, head by head.
    fn attend(&self, hidden: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (rows, tokens, width) = hidden.size3()?;
        let split = |x: Tensor| -> Result<Tensor> {
            Ok(x.f_view([rows, tokens, self.heads, width / self.heads])?.f_transpose(1, 2)?) // [B, heads, T, d / heads]
        };
        let query = split(self.query.forward(hidden)?)?;
        let key = split(self.key.forward(hidden)?)?;
        let value = split(self.value.forward(hidden)?)?;
        let mixed = Tensor::f_scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, None, false)?;
        Ok(mixed.f_transpose(1, 2)?.f_reshape([rows, tokens, width])?)
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
