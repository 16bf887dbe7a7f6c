//! The encoder that stages use: a folder of sentence-transformers, opened; texts in, unit vectors out.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use tokenizers::{PostProcessor as _, Tokenizer, TruncationDirection, TruncationParams};

use super::batch::{Batch, Numbering, plan, rung};
use super::compute::{Compute, Device, Dtype};
use super::languages;
use super::network::{Network, NetworkConfig};
use super::pooling::Head;
use super::weights::Checkpoint;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;
use crate::model::sentence_transformers::{HeadModule, ModelFolder, Opening, PoolingMode};
use crate::model::{Encoder, ModelId, Tally};
use crate::record::Vectors;
use crate::record::id::hash_parts;

/// Goes up when the same folder begins to give other vectors, so that old ones are not mixed with new.
const VERSION: u32 = 2;

/// How to open and run a model. Only `prompt`, `lang` and `dtype` change its vectors (beyond rounding), and so its id.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to compute.
    pub device: Device,
    /// In what numbers.
    pub dtype: Dtype,
    /// Tokens in a batch. More need more memory, not always less time.
    pub batch_tokens: usize,
    /// Threads inside libtorch's operations, for the whole process; `None` leaves libtorch's own choice.
    pub threads: Option<usize>,
    /// Put before every text (multilingual-e5 wants `query: `); `None` takes the prompt that the folder names, if any.
    pub prompt: Option<String>,
    /// The language of the texts, as the model names it (`tuk_Latn`): NLLB and M2M100 want one, the others none. Its
    /// token and the end token count in the mean, as they do where transformers' hidden states are averaged.
    pub lang: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { device: Device::Auto, dtype: Dtype::Auto, batch_tokens: 512, threads: None, prompt: None, lang: None }
    }
}

/// An encoder with its tokenizer and head.
#[derive(Debug)]
pub struct TorchEncoder {
    id: ModelId,
    texts: TextReader,
    network: Network,
    head: Head,
    /// The padding token. Masked, so any would do.
    pad: i64,
    numbering: Numbering,
    compute: Compute,
    batch_tokens: usize,
    dim: usize,
    tally: Tally,
}

impl TorchEncoder {
    /// Opens a folder of sentence-transformers. For NLLB, M2M100 and T5, which are not published so, a folder of
    /// transformers does too: the vector is the mean over the tokens of the encoder then.
    ///
    /// # Errors
    /// Kind `Model`: a file that is missing or wrong, an architecture, pooling or activation that is not supported,
    /// weights that do not fit the configuration.
    pub fn open(folder: &Path, options: &Options) -> Result<Self> {
        Self::open_as(folder, &Opening::default(), options)
    }

    /// Opens a model folder, helped by what the caller knows (the pooling of a plain folder, an adapter's base).
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as(folder: &Path, opening: &Opening, options: &Options) -> Result<Self> {
        Compute::choose(options.device, options.dtype)
            .and_then(|compute| Self::open_on(&ModelFolder::open(folder, opening)?, options, compute))
            .map_err(|error| error.while_doing(format!("opening the model {}", folder.display())))
    }

    fn open_on(model: &ModelFolder, options: &Options, compute: Compute) -> Result<Self> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Model, what));
        if let Some(threads) = options.threads {
            tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
        }
        let _no_grad = tch::no_grad_guard();
        let config = NetworkConfig::read(&model.transformer)?;
        let prompt = match &options.prompt {
            Some(prompt) => prompt.clone(),
            None => model.default_prompt()?.to_owned(),
        };
        let max_tokens = config.max_tokens(model.max_seq_length);
        let texts = TextReader::open(model, prompt, language(&config, options)?, max_tokens, config.vocab_size())?;

        let checkpoint = Checkpoint::open_with(&model.transformer, model.adapter.as_deref())?;
        let network = config.load(&checkpoint, compute)?;
        let head = Head::load(&model.pooling, &model.head, config.width(), compute.device)?;
        let dim = match model.truncate_dim {
            Some(0) => return wrong("truncate_dim is 0".to_owned()),
            Some(first) => first.min(head.dim()),
            None => head.dim(),
        };
        let id = identify(model, &config, &texts, &checkpoint, &head, dim, compute)?;
        let (pad, numbering) = (config.pad(), config.numbering());
        Ok(Self {
            id,
            texts,
            network,
            head,
            pad,
            numbering,
            compute,
            batch_tokens: options.batch_tokens.max(1),
            dim,
            tally: Tally::default(),
        })
    }

    /// The vectors of one batch, row by row, not yet of unit length.
    fn encode_batch(&self, rows: &[&[i64]]) -> Result<Vec<f32>> {
        let size = rung(rows.iter().map(|row| row.len()).sum(), self.batch_tokens);
        let batch = Batch::packed(rows, size, self.pad, self.numbering, self.compute.device)?;
        let hidden = self.network.forward(&batch)?;
        let vectors = self.head.forward(&hidden, &batch, self.texts.skipped)?; // [B, head's dim]
        let vectors =
            vectors.f_slice(1, 0, i64::try_from(self.dim).ok(), 1)?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let mut numbers = vec![0.0; rows.len() * self.dim];
        vectors.f_copy_data(&mut numbers, rows.len() * self.dim)?;
        Ok(numbers)
    }
}

impl Encoder for TorchEncoder {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn tally(&self) -> Option<Tally> {
        Some(self.tally)
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Vectors> {
        let _no_grad = tch::no_grad_guard(); // counts for this thread only, so not once at opening
        let ids: Vec<Vec<i64>> =
            texts.par_iter().enumerate().map(|(index, text)| self.texts.read(index, text)).collect::<Result<_>>()?;
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        self.tally.tokens += lengths.iter().sum::<usize>() as u64;
        self.tally.truncated += self.texts.truncated.swap(0, Ordering::Relaxed);
        let mut data = vec![0.0_f32; texts.len() * self.dim];
        for batch in plan(&lengths, self.batch_tokens, false) {
            let rows: Vec<&[i64]> = batch.iter().map(|&text| ids[text].as_slice()).collect();
            let vectors = self.encode_batch(&rows).map_err(|error| {
                error.while_doing(format!(
                    "encoding {} texts, the longest of {} tokens, with {}",
                    rows.len(),
                    rows[0].len(),
                    self.id
                ))
            })?;
            for (&text, vector) in batch.iter().zip(vectors.chunks_exact(self.dim)) {
                data[text * self.dim..(text + 1) * self.dim].copy_from_slice(vector);
            }
        }
        Vectors::normalised(self.dim, data)
    }
}

/// The language to read texts in and the token that ends them, for a network that knows languages.
fn language<'a>(config: &NetworkConfig, options: &'a Options) -> Result<Option<(&'a str, i64)>> {
    match (config, options.lang.as_deref()) {
        (NetworkConfig::M2m100(config), Some(lang)) => Ok(Some((lang, config.eos_token_id))),
        (NetworkConfig::M2m100(_), None) => Err(Error::config(
            "this model must know the language of its texts: set lang to its name for it, such as \"tuk_Latn\"",
        )),
        (_, Some(lang)) => {
            Err(Error::config(format!("lang is {lang:?}, and {} knows no languages: leave it out", config.describe())))
        }
        (_, None) => Ok(None),
    }
}

/// Texts to token ids.
#[derive(Debug)]
struct TextReader {
    tokenizer: Tokenizer,
    /// Hash of tokenizer.json.
    hash: blake3::Hash,
    prompt: String,
    /// The language token's name, or nothing.
    language: String,
    /// How many tokens the prompt alone has, special tokens not counted.
    prompt_tokens: usize,
    /// How many tokens at the start of each row the pooling leaves out: none, or the prompt's, the special ones before
    /// it included.
    skipped: usize,
    lower_case: bool,
    max_tokens: usize,
    vocab_size: i64,
    /// Texts that were cut since it was last asked.
    truncated: AtomicU64,
}

impl TextReader {
    fn open(
        model: &ModelFolder,
        prompt: String,
        language: Option<(&str, i64)>,
        max_tokens: usize,
        vocab_size: i64,
    ) -> Result<Self> {
        let path = model.tokenizer.join("tokenizer.json");
        let doing = || format!("reading the tokenizer {}", path.display());
        let bytes = files::read(&path).context(ErrorKind::Model, doing)?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).context(ErrorKind::Model, doing)?;
        // Files carry the padding and truncation of their last use; ours is by batch and by the model's limit.
        tokenizer.with_padding(None);
        if let Some((language, end)) = language {
            languages::read_as(&mut tokenizer, language, end)?;
        }
        let special = tokenizer.get_post_processor().map_or(0, |template| template.added_tokens(false));
        if max_tokens <= special {
            return Err(Error::new(
                ErrorKind::Model,
                format!("its limit of {max_tokens} tokens leaves no room beside {special} special tokens"),
            ));
        }
        let direction = if model.truncate_left { TruncationDirection::Left } else { TruncationDirection::Right };
        let limit = TruncationParams { max_length: max_tokens, direction, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(limit)).context(ErrorKind::Model, doing)?;

        let hash = blake3::hash(&bytes);
        let language = language.map_or_else(String::new, |(name, _)| name.to_owned());
        let lower_case = model.lower_case;
        let mut texts = Self {
            tokenizer,
            hash,
            prompt,
            language,
            prompt_tokens: 0,
            skipped: 0,
            lower_case,
            max_tokens,
            vocab_size,
            truncated: AtomicU64::new(0),
        };
        // Without the space at its end, which may be a token of its own or go into the text's first.
        texts.prompt_tokens = texts.tokenize(texts.prompt.trim_end())?.1;
        if !model.pooling.include_prompt && !texts.prompt.is_empty() {
            texts.skipped = texts.prompt_length()?;
        }
        Ok(texts)
    }

    /// The ids of a text, special tokens included, and how many others there are. The prompt is not added.
    fn tokenize(&self, text: &str) -> Result<(Vec<i64>, usize)> {
        let lower: String;
        let text = if self.lower_case {
            lower = text.chars().flat_map(char::to_lowercase).collect();
            &lower
        } else {
            text
        };
        let encoding = self.tokenizer.encode_fast(text, true).context(ErrorKind::Model, || "tokenizing".to_owned())?;
        // What was cut off comes back as further pieces.
        self.truncated.fetch_add(u64::from(!encoding.get_overflowing().is_empty()), Ordering::Relaxed);
        let own = encoding.get_special_tokens_mask().iter().filter(|&&special| special == 0).count();
        Ok((encoding.get_ids().iter().map(|&id| i64::from(id)).collect(), own))
    }

    /// As sentence-transformers counts it: the prompt's tokens with its special ones, less the one at the end.
    fn prompt_length(&self) -> Result<usize> {
        let encoding = self
            .tokenizer
            .encode_fast(self.prompt.as_str(), true)
            .context(ErrorKind::Model, || "tokenizing".to_owned())?;
        let ends_special = encoding.get_special_tokens_mask().last() == Some(&1);
        Ok(encoding.len() - usize::from(ends_special))
    }

    /// The ids of the text with this index, after the prompt. A text without a token of its own is an error: its vector
    /// would be that of the special tokens, the same for all such texts.
    fn read(&self, index: usize, text: &str) -> Result<Vec<i64>> {
        let (ids, own) = if self.prompt.is_empty() {
            self.tokenize(text)?
        } else {
            self.tokenize(&format!("{}{text}", self.prompt))?
        };
        // Some tokenizers make a token of white space. Behind a prompt, tokens may merge: when there are no more than
        // the prompt's, the text is looked at alone.
        let none = own <= self.prompt_tokens && (self.prompt_tokens == 0 || self.tokenize(text)?.1 == 0);
        if none || text.trim().is_empty() {
            return Err(Error::new(ErrorKind::Model, format!("text {index} has no token: {text:?}")));
        }
        if ids.len() <= self.skipped {
            return Err(Error::new(
                ErrorKind::Model,
                format!("text {index} has no token behind the prompt's {} that counts: {text:?}", self.skipped),
            ));
        }
        if let Some(unknown) = ids.iter().find(|&&id| id >= self.vocab_size) {
            return Err(Error::new(
                ErrorKind::Model,
                format!(
                    "text {index} has the token {unknown}, and the model knows {} only: tokenizer.json is of another \
                     model",
                    self.vocab_size
                ),
            ));
        }
        Ok(ids)
    }
}

/// The name of all that the vectors depend on. Where the folder lies and what it is called is not part of it.
fn identify(
    model: &ModelFolder,
    config: &NetworkConfig,
    texts: &TextReader,
    checkpoint: &Checkpoint,
    head: &Head,
    dim: usize,
    compute: Compute,
) -> Result<ModelId> {
    let modes: Vec<_> = model.pooling.modes.iter().copied().map(PoolingMode::name).collect();
    let mut settings = format!(
        "{VERSION} {} lower={} left={} pooling={} skipped={} dim={dim}",
        texts.max_tokens,
        texts.lower_case,
        model.truncate_left,
        modes.join("+"),
        texts.skipped
    );
    if !texts.language.is_empty() {
        settings += &format!(" lang={}", texts.language);
    }
    for module in &model.head {
        settings += &match module {
            HeadModule::Dense(dense) => format!(" dense={}", dense.activation),
            HeadModule::Normalize => " normalize".to_owned(),
        };
    }
    let configuration = files::read(&model.transformer.join("config.json"))?;
    let weights = checkpoint.hash();
    let mut parts: Vec<&[u8]> =
        vec![settings.as_bytes(), texts.prompt.as_bytes(), texts.hash.as_bytes(), &configuration, weights.as_bytes()];
    parts.extend(head.hashes().iter().map(|hash| hash.as_bytes().as_slice()));
    let hash = hash_parts(&parts).to_hex();
    let form = match compute.kind() {
        tch::Kind::BFloat16 => "-bf16",
        _ => "",
    };
    Ok(ModelId(format!("{}-{}{form}-{}", config.describe(), modes.join("+"), &hash[..16])))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use safetensors::SafeTensors;
    use serde::Deserialize;

    use super::*;
    use crate::model::torch::compute::Multiply;

    const FOLDERS: [&str; 3] = ["bert-cls-dense", "xlmr-mean", "bert-lora"];

    #[derive(Deserialize)]
    struct Golden {
        text: String,
        vector: Vec<f32>,
    }

    fn folder(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
    }

    fn golden(name: &str) -> Vec<Golden> {
        serde_json::from_str(&files::read_text(&folder(name).join("golden.json")).unwrap()).unwrap()
    }

    fn exact() -> Options {
        Options { dtype: Dtype::F32, ..Options::default() }
    }

    fn open(path: &Path) -> TorchEncoder {
        TorchEncoder::open(path, &exact()).unwrap()
    }

    fn worst(left: &[f32], right: &[f32]) -> f32 {
        assert_eq!(left.len(), right.len());
        left.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// A copy of a golden folder, to change something in.
    fn copy(name: &str) -> tempfile::TempDir {
        fn copy_into(from: &Path, to: &Path) {
            std::fs::create_dir_all(to).unwrap();
            for entry in std::fs::read_dir(from).unwrap() {
                let path = entry.unwrap().path();
                let target = to.join(path.file_name().unwrap());
                if path.is_dir() {
                    copy_into(&path, &target)
                } else {
                    std::fs::write(target, std::fs::read(&path).unwrap()).unwrap()
                }
            }
        }
        let copy = tempfile::tempdir().unwrap();
        copy_into(&folder(name), copy.path());
        copy
    }

    #[test]
    fn the_vectors_are_those_of_sentence_transformers_whichever_way_matrices_are_multiplied() {
        for name in FOLDERS {
            let golden = golden(name);
            let texts: Vec<&str> = golden.iter().map(|entry| entry.text.as_str()).collect();
            for (multiply, allowed) in [(Multiply::Blas, 1e-5), (Multiply::OneDnn, 1e-5), (Multiply::Bf16, 2e-2)] {
                let compute = Compute { device: tch::Device::Cpu, multiply };
                let mut encoder =
                    TorchEncoder::open_on(&ModelFolder::read(&folder(name)).unwrap(), &Options::default(), compute)
                        .unwrap();
                let vectors = encoder.encode(&texts).unwrap();
                assert_eq!((vectors.rows(), vectors.dim()), (texts.len(), encoder.dim()));
                for (entry, vector) in golden.iter().zip(vectors.iter()) {
                    let difference = worst(&entry.vector, vector);
                    assert!(difference <= allowed, "{name}, {multiply}: {difference} for {:?}", entry.text);
                }
            }
        }
    }

    #[test]
    fn batches_change_nothing_and_order_is_kept() {
        for name in FOLDERS {
            let golden = golden(name);
            let texts: Vec<&str> = golden.iter().map(|entry| entry.text.as_str()).collect();
            let together = open(&folder(name)).encode(&texts).unwrap();
            for batch_tokens in [1, 60] {
                let options = Options { batch_tokens, ..exact() };
                let apart = TorchEncoder::open(&folder(name), &options).unwrap().encode(&texts).unwrap();
                assert!(worst(apart.data(), together.data()) <= 1e-6);
            }
            let backwards: Vec<&str> = texts.iter().rev().copied().collect();
            let reversed = open(&folder(name)).encode(&backwards).unwrap();
            for (row, vector) in together.iter().enumerate() {
                assert!(worst(reversed.row(texts.len() - 1 - row), vector) <= 1e-6);
            }
        }
        assert_eq!(open(&folder("xlmr-mean")).encode(&[]).unwrap().rows(), 0);
    }

    #[test]
    fn a_text_without_a_token_is_an_error_that_names_it() {
        for name in FOLDERS {
            let mut encoder = open(&folder(name));
            for empty in ["", " \n\t "] {
                let error = encoder.encode(&["köpri", empty]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Model);
                assert!(error.to_string().contains("text 1 has no token"), "{name}: {error}");
            }
        }
    }

    #[test]
    fn the_id_follows_what_changes_the_vectors_and_nothing_else() {
        let id = |path: &Path, options: &Options| TorchEncoder::open(path, options).unwrap().id().to_string();
        let plain = Options::default();
        let original = id(&folder("xlmr-mean"), &plain);
        assert!(original.starts_with("xlm-roberta-2x32-mean-"), "{original}");

        let same = Options { batch_tokens: 7, prompt: Some("query: ".to_owned()), ..Options::default() };
        assert_eq!(id(&folder("xlmr-mean"), &same), original, "the default prompt, given by hand");
        let other = Options { prompt: Some("passage: ".to_owned()), ..Options::default() };
        assert_ne!(id(&folder("xlmr-mean"), &other), original);

        let changed = copy("xlmr-mean");
        assert_eq!(id(changed.path(), &plain), original, "the same files elsewhere");
        std::fs::write(changed.path().join("sentence_bert_config.json"), r#"{"max_seq_length": 8}"#).unwrap();
        assert_ne!(id(changed.path(), &plain), original);
        let changed = copy("xlmr-mean");
        let weights = changed.path().join("model.safetensors");
        let mut bytes = std::fs::read(&weights).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&weights, bytes).unwrap();
        assert_ne!(id(changed.path(), &plain), original);
    }

    #[test]
    fn a_checkpoint_of_a_model_with_a_head_and_old_names_gives_the_same_vectors() {
        let old = copy("bert-cls-dense");
        let path = old.path().join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let renamed = tensors.iter().map(|(name, view)| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            (format!("bert.{name}"), view)
        });
        let renamed = safetensors::serialize(renamed, None).unwrap();
        std::fs::write(&path, renamed).unwrap();
        let texts = ["Mugallym mekdebe irden gelýär."];
        let mut encoder = open(old.path());
        let original = open(&folder("bert-cls-dense")).encode(&texts).unwrap();
        assert_eq!(encoder.encode(&texts).unwrap(), original);
    }

    #[test]
    fn a_tokenizer_of_another_model_is_noticed() {
        let mixed = copy("xlmr-mean");
        std::fs::copy(folder("bert-cls-dense").join("tokenizer.json"), mixed.path().join("tokenizer.json")).unwrap();
        let message = open(mixed.path()).encode(&["Iki kitap bar"]).unwrap_err().to_string();
        assert!(message.contains("text 0 has the token") && message.contains("the model knows 200 only"), "{message}");
    }

    #[test]
    fn truncated_dimensions_are_unit_vectors_of_the_first_numbers() {
        let short = copy("bert-cls-dense");
        std::fs::write(short.path().join("config_sentence_transformers.json"), r#"{"truncate_dim": 2}"#).unwrap();
        let vectors = open(short.path()).encode(&["köpri"]).unwrap();
        let whole = open(&folder("bert-cls-dense")).encode(&["köpri"]).unwrap();
        let first = Vectors::normalised(2, whole.row(0)[..2].to_vec()).unwrap();
        assert!(worst(vectors.data(), first.data()) <= 1e-6);
    }
}
