//! The decoder of M2M100: what has been written so far and the encoded source, to the scores of the next token.
//!
//! It is called once a token, so it keeps what it computed: the keys and values of the tokens written, a row a
//! hypothesis, and those of the source, computed once a sentence. All hypotheses of a sentence ask the same source, so
//! its keys are not copied for them: to the source they are queries of one row, side by side.
//!
//! Few rows go through at a time, and their number falls as sentences end. So matrices are multiplied as they are
//! stored: oneDNN's own form gains nothing on few rows, is compiled for each number of them, and would double the
//! memory of the output matrix, the largest of all.

use tch::{Kind, Tensor};

use super::batch::signed;
use super::compute::Compute;
use super::layers::{Activation, LayerNorm, Linear};
use super::m2m100::{EPS, Embedding, M2m100Config, M2m100Encoder, PREFIXES, queries_keys_values};
use super::weights::{Checkpoint, Loader};
use crate::error::{Error, Result};

/// The whole model: both sides.
#[derive(Debug)]
pub struct M2m100 {
    /// The side that reads.
    pub encoder: M2m100Encoder,
    /// The side that writes.
    pub decoder: Decoder,
}

impl M2m100 {
    /// Takes the weights out of a checkpoint.
    ///
    /// # Errors
    /// Kind `Model`: names of all tensors that are missing or have another shape than `config` says.
    pub fn load(config: &M2m100Config, checkpoint: &Checkpoint, compute: Compute) -> Result<Self> {
        let mut load = checkpoint.loader(&PREFIXES, compute.device).in_kind(compute.kind());
        let embedding = Embedding::load(config, &mut load, compute)?;
        let shared = embedding.share();
        let encoder = M2m100Encoder::load_behind(embedding, config, &mut load, compute)?;
        let decoder = Decoder::load_behind(shared, config, &mut load)?;
        load.finish()?;
        Ok(Self { encoder, decoder })
    }
}

/// The decoder.
#[derive(Debug)]
pub struct Decoder {
    embedding: Embedding,
    pad: i64,
    heads: i64,
    layers: Vec<Layer>,
    norm: LayerNorm,
    output: Linear,
}

/// One layer: attention to what is written, attention to the source, then a feed-forward network.
#[derive(Debug)]
struct Layer {
    own_norm: LayerNorm,
    own: Linear,
    own_out: Linear,
    source_norm: LayerNorm,
    source_queries: Linear,
    source_keys_values: Linear,
    source_out: Linear,
    feed_norm: LayerNorm,
    inner: Linear,
    activation: Activation,
    outer: Linear,
}

/// What the decoder keeps between tokens.
#[derive(Debug)]
pub struct Cache {
    layers: Vec<Kept>,
    /// `[B, 1, 1, S]`, true where a source token stands.
    mask: Option<Tensor>,
    sentences: i64,
    /// Hypotheses in all: as many for each sentence, those of a sentence one after another.
    rows: i64,
    /// Tokens written in each.
    length: i64,
}

/// Keys and values of one layer.
#[derive(Debug)]
struct Kept {
    /// `[rows, heads, length, d / heads]` each, once a token is written.
    own: Option<(Tensor, Tensor)>,
    /// `[B, heads, S, d / heads]` each.
    source: (Tensor, Tensor),
}

impl Decoder {
    fn load_behind(embedding: Embedding, config: &M2m100Config, load: &mut Loader<'_>) -> Result<Self> {
        let d = config.d_model;
        let activation = Activation::from_name(&config.activation_function)?;
        let mut layers = Vec::with_capacity(config.decoder_layers);
        for number in 0..config.decoder_layers {
            let layer = format!("decoder.layers.{number}");
            let own = queries_keys_values(load, &format!("{layer}.self_attn"), d)?;
            let own_out = load.linear(&format!("{layer}.self_attn.out_proj"), d, d, true)?;
            let own_norm = load.layer_norm(&format!("{layer}.self_attn_layer_norm"), d, EPS)?;
            let mut source = queries_keys_values(load, &format!("{layer}.encoder_attn"), d)?;
            let source_out = load.linear(&format!("{layer}.encoder_attn.out_proj"), d, d, true)?;
            let source_norm = load.layer_norm(&format!("{layer}.encoder_attn_layer_norm"), d, EPS)?;
            let inner = load.linear(&format!("{layer}.fc1"), d, config.decoder_ffn_dim, true)?;
            let outer = load.linear(&format!("{layer}.fc2"), config.decoder_ffn_dim, d, true)?;
            let feed_norm = load.layer_norm(&format!("{layer}.final_layer_norm"), d, EPS)?;
            if !load.is_complete() {
                continue; // the error names what the other layers lack too
            }
            let source_queries = source.remove(0);
            layers.push(Layer {
                own_norm,
                own: Linear::fused(own)?,
                own_out,
                source_norm,
                source_queries,
                source_keys_values: Linear::fused(source)?,
                source_out,
                feed_norm,
                inner,
                activation,
                outer,
            });
        }
        let norm = load.layer_norm("decoder.layer_norm", d, EPS)?;
        let output = if config.tie_word_embeddings {
            Linear::new(embedding.words.shallow_clone(), None)
        } else {
            load.linear("lm_head", d, config.vocab_size, false)?
        };
        let (pad, heads) = (config.pad_token_id, config.decoder_attention_heads);
        Ok(Self { embedding, pad, heads, layers, norm, output })
    }

    /// Starts on encoded sources, `[B, S, d]`, with one hypothesis each in which nothing is written. `mask` is `[B, S]`,
    /// true where a source token stands; `None` when all rows are full.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn begin(&self, source: &Tensor, mask: Option<&Tensor>) -> Result<Cache> {
        let (sentences, tokens, width) = source.size3()?;
        let layers = self.layers.iter().map(|layer| {
            let both = layer.source_keys_values.forward(source)?;
            let both = both.f_view([sentences, tokens, 2, self.heads, width / self.heads])?;
            let part = |number| both.f_select(2, number)?.f_transpose(1, 2)?.f_contiguous();
            Ok(Kept { own: None, source: (part(0)?, part(1)?) })
        });
        let layers = layers.collect::<Result<_>>()?;
        let mask = mask.map(|mask| mask.f_unsqueeze(1)?.f_unsqueeze(1)).transpose()?;
        Ok(Cache { layers, mask, sentences, rows: sentences, length: 0 })
    }

    /// Writes tokens, as many in each row of the cache (`tokens` is row by row): the hidden states of each of them,
    /// `[rows, n, d]`. Several tokens at once can only be the first.
    ///
    /// # Errors
    /// Kind `Bug` for several tokens later, or a number of them that does not fit; kind `Model`, when libtorch fails.
    pub fn write(&self, tokens: &[i64], cache: &mut Cache) -> Result<Tensor> {
        let many = signed(tokens.len()) / cache.rows.max(1);
        if many < 1 || many * cache.rows != signed(tokens.len()) || (many > 1 && cache.length > 0) {
            return Err(Error::bug(format!("{} tokens for {} rows of {}", tokens.len(), cache.rows, cache.length)));
        }
        let device = self.device();
        let ids = Tensor::f_from_slice(tokens)?.f_to_device(device)?;
        let positions = Tensor::f_from_slice(&self.positions(tokens, many, cache.length))?.f_to_device(device)?;
        let mut hidden = self.embedding.forward(&ids, &positions)?; // [rows · n, d]
        for (layer, kept) in self.layers.iter().zip(&mut cache.layers) {
            let own = layer.own.forward(&layer.own_norm.forward(&hidden)?)?;
            let own = kept.attend_to_own(&own, cache.rows, many, self.heads)?;
            hidden = hidden.f_add(&layer.own_out.forward(&own)?)?;
            let asked = layer.source_queries.forward(&layer.source_norm.forward(&hidden)?)?;
            let source = kept.attend_to_source(&asked, cache.sentences, self.heads, cache.mask.as_ref())?;
            hidden = hidden.f_add(&layer.source_out.forward(&source)?)?;
            let inner = layer.inner.forward(&layer.feed_norm.forward(&hidden)?)?;
            hidden = hidden.f_add(&layer.outer.forward(&layer.activation.forward(inner)?)?)?;
        }
        cache.length += many;
        let hidden = self.norm.forward(&hidden)?;
        let width = hidden.size2()?.1;
        Ok(hidden.f_view([cache.rows, many, width])?)
    }

    /// Hidden states `[…, d]` → the scores of every token, before softmax: `[…, V]`, f32.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn scores(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.output.forward(hidden)?.f_to_kind(Kind::Float)?)
    }

    /// Where its weights are.
    pub fn device(&self) -> tch::Device {
        self.embedding.words.device()
    }

    /// As in the encoder; the tokens written before count, whatever they were.
    fn positions(&self, tokens: &[i64], many: i64, before: i64) -> Vec<i64> {
        let mut positions = Vec::with_capacity(tokens.len());
        for row in tokens.chunks(usize::try_from(many).unwrap_or(1)) {
            let mut number = before + self.pad;
            positions.extend(row.iter().map(|&id| {
                number += i64::from(id != self.pad);
                if id == self.pad { self.pad } else { number }
            }));
        }
        positions
    }
}

impl Kept {
    /// `[rows · n, 3d]` → `[rows · n, d]`; keeps the keys and values.
    fn attend_to_own(&mut self, projected: &Tensor, rows: i64, many: i64, heads: i64) -> Result<Tensor> {
        let width = projected.size2()?.1 / 3;
        let split = projected.f_view([rows, many, 3, heads, width / heads])?;
        let part = |number| split.f_select(2, number)?.f_transpose(1, 2);
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let (keys, values) = match &self.own {
            Some((before, _)) if before.size()[0] != rows => return Err(Error::bug("a cache of other rows")),
            Some((k, v)) => (Tensor::f_cat(&[k, &keys], 2)?, Tensor::f_cat(&[v, &values], 2)?),
            None => (keys, values),
        };
        // The first tokens must not look at later ones; a single last one sees all there are.
        let none: Option<&Tensor> = None;
        let mixed = Tensor::f_scaled_dot_product_attention(&queries, &keys, &values, none, 0.0, many > 1, None, false)?;
        self.own = Some((keys, values));
        Ok(mixed.f_transpose(1, 2)?.f_reshape([rows * many, width])?)
    }

    /// `[rows · n, d]` → `[rows · n, d]`.
    fn attend_to_source(&self, queries: &Tensor, sentences: i64, heads: i64, mask: Option<&Tensor>) -> Result<Tensor> {
        let (all, width) = queries.size2()?;
        let queries = queries.f_view([sentences, all / sentences, heads, width / heads])?.f_transpose(1, 2)?;
        let (keys, values) = &self.source;
        let mixed = Tensor::f_scaled_dot_product_attention(&queries, keys, values, mask, 0.0, false, None, false)?;
        Ok(mixed.f_transpose(1, 2)?.f_reshape([all, width])?)
    }
}

impl Cache {
    /// Makes hypotheses of others: the new i-th is the old one with the number `rows[i]`. With `sentences`, only these
    /// sentences stay, in this order, and `rows` are theirs.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn rearrange(&mut self, rows: &[i64], sentences: Option<&[i64]>) -> Result<()> {
        let same = sentences.is_none() && rows.iter().copied().eq(0..self.rows);
        if same {
            return Ok(());
        }
        let Some(first) = self.layers.first() else { return Ok(()) };
        let device = first.source.0.device();
        let index = |numbers: &[i64]| Tensor::f_from_slice(numbers)?.f_to_device(device);
        let (by_row, by_sentence) = (index(rows)?, sentences.map(index).transpose()?);
        for kept in &mut self.layers {
            if let Some((keys, values)) = &mut kept.own {
                *keys = keys.f_index_select(0, &by_row)?;
                *values = values.f_index_select(0, &by_row)?;
            }
            if let Some(by_sentence) = &by_sentence {
                kept.source.0 = kept.source.0.f_index_select(0, by_sentence)?;
                kept.source.1 = kept.source.1.f_index_select(0, by_sentence)?;
            }
        }
        if let (Some(mask), Some(by_sentence)) = (&mut self.mask, &by_sentence) {
            *mask = mask.f_index_select(0, by_sentence)?;
        }
        self.rows = signed(rows.len());
        self.sentences = sentences.map_or(self.sentences, |sentences| signed(sentences.len()));
        Ok(())
    }
}
