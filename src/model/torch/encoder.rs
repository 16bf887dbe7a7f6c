//! The encoder that stages use: a folder of sentence-transformers, opened; texts in, unit vectors out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use rayon::prelude::*;

use super::compute::{Compute, Device, Dtype};
use super::crew::{Crew, Making, Replica};
use super::network::NetworkConfig;
use super::pooling::Head;
use super::texts::{Speech, TextReader};
use super::weights::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::model::sentence_transformers::{HeadModule, ModelFolder, Opening, PoolingMode};
use crate::model::{Encoded, Encoder, ModelId, Tally};
use crate::record::Language;
use crate::record::id::hash_parts;

/// Goes up when the same folder begins to give other vectors, so that old ones are not mixed with new.
const VERSION: u32 = 2;

/// How to open and run a model. Only `prompt`, `lang`, `dtype` and (by rounding)
/// `adapter_apart` change its vectors, and so its id.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where to compute.
    pub device: Device,
    /// In what numbers.
    pub dtype: Dtype,
    /// Tokens in a batch; `None` for 512 on a CPU and 32,768 on a GPU. More need more memory, not always less time.
    pub batch_tokens: Option<usize>,
    /// Threads that work on a CPU; `None` for one a core.
    pub threads: Option<usize>,
    /// Put before every text (multilingual-e5 wants `query: `); `None` takes the prompt that the folder names, if any.
    pub prompt: Option<String>,
    /// The language of all texts, as the model names it (`tuk_Latn`) or by its code (`tk`): NLLB and M2M100 want to know,
    /// the others do not. `None`: it comes with the texts or before them ([`Encoder::encode_tagged`],
    /// [`Encoder::read_as`]). The language's token and the end token count in the mean, as they do where transformers'
    /// hidden states are averaged.
    pub lang: Option<String>,
    /// Whether a LoRA adapter is multiplied beside its base's matrices instead of being added to them when they are
    /// read: slower, and nothing of it is lost in the rounding of bf16 or i8.
    pub adapter_apart: bool,
}

/// Texts that are tokenized while the ones before them are computed.
const AHEAD: usize = 16_384;

/// An encoder with its tokenizer and head.
#[derive(Debug)]
pub struct TorchEncoder {
    id: ModelId,
    texts: TextReader,
    crew: Crew,
    dim: usize,
    tally: Tally,
    /// What was converted to open it.
    conversion: Option<String>,
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
            .and_then(|computes| Self::open_on(&ModelFolder::open(folder, opening)?, options, &computes))
            .map_err(|error| error.while_doing(format!("opening the model {}", folder.display())))
    }

    fn open_on(model: &ModelFolder, options: &Options, computes: &[Compute]) -> Result<Self> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Model, what));
        let _no_grad = tch::no_grad_guard();
        let config = NetworkConfig::read(&model.transformer)?;
        let prompt = match &options.prompt {
            Some(prompt) => prompt.clone(),
            None => model.default_prompt()?.to_owned(),
        };
        let max_tokens = config.max_tokens(model.max_seq_length);
        let texts = TextReader::open(model, prompt, speech(&config, options)?, max_tokens, config.vocab_size())?;

        let mut checkpoint = Checkpoint::open_with(&model.transformer, model.adapter.as_deref())?;
        if options.adapter_apart {
            checkpoint.keep_adapter_apart();
        }
        let replicas = computes
            .iter()
            .map(|&compute| {
                let network = config.load(&checkpoint, compute)?;
                let head = Head::load(&model.pooling, &model.head, config.width(), compute.device)?;
                Ok(Replica { network, head, compute })
            })
            .collect::<Result<Vec<_>>>()?;
        let Some(Replica { head, compute, .. }) = replicas.first() else {
            return Err(Error::bug("no device to compute on"));
        };
        let dim = match model.truncate_dim {
            Some(0) => return wrong("truncate_dim is 0".to_owned()),
            Some(first) => first.min(head.dim()),
            None => head.dim(),
        };
        let id = identify(model, &config, &texts, &checkpoint, head, dim, *compute)?;
        let making = Making {
            pad: config.pad(),
            numbering: config.numbering(),
            dim,
            batch_tokens: options.batch_tokens,
            padded: !compute.is_cpu(),
            threads: options.threads,
        };
        let conversion = checkpoint.conversion().map(str::to_owned);
        Ok(Self { id, texts, crew: Crew::new(replicas, making)?, dim, tally: Tally::default(), conversion })
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

    fn remark(&self) -> Option<&str> {
        self.conversion.as_deref()
    }

    fn window(&self) -> usize {
        self.crew.window()
    }

    fn wants_language(&self) -> bool {
        matches!(self.texts.speech, Speech::Each { .. })
    }

    fn read_as(&mut self, language: &str) -> Result<()> {
        self.texts.read_as(language)
    }

    fn has_language(&self, language: &str) -> bool {
        self.texts.has(language)
    }

    fn encode_tagged(&mut self, texts: &[(Language, &str)]) -> Result<Encoded> {
        if !self.wants_language() {
            let texts: Vec<&str> = texts.iter().map(|(_, text)| *text).collect();
            return self.encode(&texts);
        }
        let mut parts: BTreeMap<Language, Vec<usize>> = BTreeMap::new();
        for (row, (language, _)) in texts.iter().enumerate() {
            parts.entry(*language).or_default().push(row);
        }
        let mut data = vec![0.0; texts.len() * self.dim];
        for (language, rows) in parts {
            self.texts.read_as(language.code())?;
            let part: Vec<&str> = rows.iter().map(|&row| texts[row].1).collect();
            for (row, vector) in rows.into_iter().zip(self.encode(&part)?.by_text()) {
                if let Some(vector) = vector {
                    data[row * self.dim..(row + 1) * self.dim].copy_from_slice(vector);
                }
            }
        }
        Encoded::of_rows(self.dim, data)
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Encoded> {
        self.texts.check()?;
        let mut data = Vec::with_capacity(texts.len() * self.dim);
        let (reader, crew, dim) = (&self.texts, &self.crew, self.dim);
        let mut tokens = 0;
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || {
                for (number, part) in texts.chunks(AHEAD).enumerate() {
                    let ids: Result<Vec<Option<Vec<i64>>>> = part
                        .par_iter()
                        .enumerate()
                        .map(|(index, text)| reader.read(number * AHEAD + index, text))
                        .collect();
                    // Nobody listens any more when a part has failed.
                    if sender.send(ids).is_err() {
                        break;
                    }
                }
            });
            for ids in receiver {
                let read = ids?;
                let has_tokens: Vec<bool> = read.iter().map(Option::is_some).collect();
                let ids: Vec<Vec<i64>> = read.into_iter().flatten().collect();
                tokens += ids.iter().map(Vec::len).sum::<usize>() as u64;
                let found = if ids.is_empty() { Vec::new() } else { crew.encode(&ids, reader.skipped)? };
                let mut rows = found.chunks_exact(dim);
                // A text without a token gets a row of zeros, which counts for none.
                for has_token in has_tokens {
                    match if has_token { rows.next() } else { None } {
                        Some(row) => data.extend_from_slice(row),
                        None => data.resize(data.len() + dim, 0.0),
                    }
                }
            }
            Ok(())
        })
        .map_err(|error: Error| error.while_doing(format!("encoding with {}", self.id)))?;
        self.tally.tokens += tokens;
        self.tally.truncated += self.texts.take_truncated();
        Encoded::of_rows(self.dim, data)
    }
}

/// What the network is told of languages.
fn speech(config: &NetworkConfig, options: &Options) -> Result<Speech> {
    match (config, &options.lang) {
        (NetworkConfig::M2m100(config), Some(lang)) => Ok(Speech::One { name: lang.clone(), end: config.eos_token_id }),
        (NetworkConfig::M2m100(config), None) => Ok(Speech::Each { end: config.eos_token_id }),
        (_, Some(lang)) => {
            Err(Error::config(format!("lang is {lang:?}, and {} knows no languages: leave it out", config.describe())))
        }
        (_, None) => Ok(Speech::Untold),
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
    if checkpoint.is_apart() {
        settings += " adapter=apart";
    }
    match &texts.speech {
        Speech::Untold => {}
        Speech::One { name, .. } => settings += &format!(" lang={name}"),
        Speech::Each { .. } => settings += " lang=each",
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
    let form = compute.suffix();
    Ok(ModelId(format!("{}-{}{form}-{}", config.describe(), modes.join("+"), &hash[..16])))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use safetensors::SafeTensors;
    use serde::Deserialize;

    use super::*;
    use crate::model::torch::compute::{Multiply, multiplies_int8};
    use crate::record::Vectors;

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
            let ways =
                [(Multiply::Blas, 1e-5), (Multiply::OneDnn, 1e-5), (Multiply::Bf16, 2e-2), (Multiply::Int8, 4e-2)];
            for (multiply, allowed) in ways.into_iter().filter(|way| way.0 != Multiply::Int8 || multiplies_int8()) {
                let compute = Compute { device: tch::Device::Cpu, multiply };
                let model = ModelFolder::read(&folder(name)).unwrap();
                let mut encoder = TorchEncoder::open_on(&model, &Options::default(), &[compute]).unwrap();
                // Packed as on a CPU, and padded as on a GPU.
                for padded in [false, true] {
                    encoder.crew.making.padded = padded;
                    let vectors = encoder.encode(&texts).unwrap().vectors;
                    assert_eq!((vectors.rows(), vectors.dim()), (texts.len(), encoder.dim()));
                    for (entry, vector) in golden.iter().zip(vectors.iter()) {
                        let difference = worst(&entry.vector, vector);
                        assert!(difference <= allowed, "{name}, {multiply}: {difference} for {:?}", entry.text);
                    }
                }
            }
        }
    }

    #[test]
    fn an_adapter_kept_apart_gives_the_vectors_of_a_merged_one() {
        let golden = golden("bert-lora");
        let texts: Vec<&str> = golden.iter().map(|entry| entry.text.as_str()).collect();
        for (dtype, allowed) in [(Dtype::F32, 1e-5), (Dtype::Bf16, 2e-2)] {
            let options = Options { dtype, adapter_apart: true, ..Options::default() };
            let mut encoder = TorchEncoder::open(&folder("bert-lora"), &options).unwrap();
            let vectors = encoder.encode(&texts).unwrap().vectors;
            for (entry, vector) in golden.iter().zip(vectors.iter()) {
                assert!(worst(&entry.vector, vector) <= allowed, "{dtype:?}: {}", worst(&entry.vector, vector));
            }
            let merged =
                TorchEncoder::open(&folder("bert-lora"), &Options { adapter_apart: false, ..options }).unwrap();
            assert_ne!(merged.id(), encoder.id());
        }
    }

    #[test]
    fn batches_change_nothing_and_order_is_kept() {
        for name in FOLDERS {
            let golden = golden(name);
            let texts: Vec<&str> = golden.iter().map(|entry| entry.text.as_str()).collect();
            let together = open(&folder(name)).encode(&texts).unwrap().vectors;
            for (batch_tokens, threads) in [(1, 1), (60, 3)] {
                let options = Options { batch_tokens: Some(batch_tokens), threads: Some(threads), ..exact() };
                let apart = TorchEncoder::open(&folder(name), &options).unwrap().encode(&texts).unwrap().vectors;
                assert!(worst(apart.data(), together.data()) <= 1e-6);
            }
            let backwards: Vec<&str> = texts.iter().rev().copied().collect();
            let reversed = open(&folder(name)).encode(&backwards).unwrap().vectors;
            for (row, vector) in together.iter().enumerate() {
                assert!(worst(reversed.row(texts.len() - 1 - row), vector) <= 1e-6);
            }
        }
        assert_eq!(open(&folder("xlmr-mean")).encode(&[]).unwrap().vectors.rows(), 0);
    }

    #[test]
    fn a_text_without_a_token_has_no_vector_and_the_others_have_theirs() {
        for name in FOLDERS {
            let mut encoder = open(&folder(name));
            let encoded = encoder.encode(&["", "köpri", " \n\t ", "Mugallym mekdebe irden gelýär."]).unwrap();
            assert_eq!((encoded.vectors.rows(), encoded.without.as_slice()), (2, [0, 2].as_slice()), "{name}");
            let alone = encoder.encode(&["köpri"]).unwrap();
            assert!(worst(encoded.vectors.row(0), alone.vectors.row(0)) <= 1e-6, "{name}");
            let none = encoder.encode(&["", " "]).unwrap();
            assert_eq!((none.vectors.rows(), none.without.as_slice()), (0, [0, 1].as_slice()), "{name}");
        }
        // A tokenizer of the BERT family drops what is no letter of any script.
        let encoded = open(&folder("bert-cls-dense")).encode(&["\u{fffd}", "\u{f0b7}", "Mugallym"]).unwrap();
        assert_eq!(encoded.with().last(), Some(&2));
        assert!(encoded.without.contains(&0), "{:?}", encoded.without);
    }

    #[test]
    fn the_id_follows_what_changes_the_vectors_and_nothing_else() {
        let id = |path: &Path, options: &Options| TorchEncoder::open(path, options).unwrap().id().to_string();
        let plain = Options::default();
        let original = id(&folder("xlmr-mean"), &plain);
        assert!(original.starts_with("xlm-roberta-2x32-mean-"), "{original}");

        let same = Options { batch_tokens: Some(7), prompt: Some("query: ".to_owned()), ..Options::default() };
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
        let vectors = open(short.path()).encode(&["köpri"]).unwrap().vectors;
        let whole = open(&folder("bert-cls-dense")).encode(&["köpri"]).unwrap().vectors;
        let first = Vectors::normalised(2, whole.row(0)[..2].to_vec()).unwrap();
        assert!(worst(vectors.data(), first.data()) <= 1e-6);
    }
}
