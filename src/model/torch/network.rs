//! The networks that an encoder can be made of, told apart by `model_type` in config.json.

use std::path::Path;

use serde::Deserialize;
use tch::Tensor;

use super::batch::{Batch, Numbering};
use super::bert::{self, Bert, BertConfig};
use super::compute::Compute;
use super::config::read_config;
use super::m2m100::{M2m100Config, M2m100Encoder};
use super::t5::{T5Config, T5Encoder};
use super::weights::Checkpoint;
use crate::error::{Error, ErrorKind, Result};

/// All that is supported.
const SUPPORTED: [&str; 5] = ["bert", "roberta", "xlm-roberta", "m2m_100", "t5"];

/// `config.json` of one of them.
#[derive(Debug, Clone)]
pub enum NetworkConfig {
    /// BERT, RoBERTa, XLM-R.
    Bert(BertConfig),
    /// M2M100 and NLLB.
    M2m100(M2m100Config),
    /// T5.
    T5(T5Config),
}

/// The weights, ready.
#[derive(Debug)]
pub enum Network {
    /// BERT, RoBERTa, XLM-R.
    Bert(Bert),
    /// M2M100 and NLLB.
    M2m100(M2m100Encoder),
    /// T5.
    T5(T5Encoder),
}

impl NetworkConfig {
    /// Reads `config.json` of a folder.
    ///
    /// # Errors
    /// Kind `Model`: the file cannot be read, or describes an architecture or a form of one that is not supported.
    pub fn read(folder: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Which {
            #[serde(default)]
            model_type: String,
        }

        let which: Which = read_config(folder, |_| Ok(()))?;
        match which.model_type.as_str() {
            "bert" | "roberta" | "xlm-roberta" => BertConfig::read(folder).map(Self::Bert),
            "m2m_100" => M2m100Config::read(folder).map(Self::M2m100),
            "t5" => T5Config::read(folder).map(Self::T5),
            other => Err(Error::new(
                ErrorKind::Model,
                format!(
                    "{}: the model_type {other:?} is not supported ({} are)",
                    folder.join("config.json").display(),
                    SUPPORTED.join(", ")
                ),
            )),
        }
    }

    /// Takes the weights out of a checkpoint.
    ///
    /// # Errors
    /// Kind `Model`: names of all tensors that are missing or misshapen.
    pub fn load(&self, checkpoint: &Checkpoint, compute: Compute) -> Result<Network> {
        Ok(match self {
            Self::Bert(config) => Network::Bert(Bert::load(config, checkpoint, compute)?),
            Self::M2m100(config) => Network::M2m100(M2m100Encoder::load(config, checkpoint, compute)?),
            Self::T5(config) => Network::T5(T5Encoder::load(config, checkpoint, compute)?),
        })
    }

    /// The padding token.
    pub fn pad(&self) -> i64 {
        match self {
            Self::Bert(config) => config.pad(),
            Self::M2m100(config) => config.pad_token_id,
            Self::T5(config) => config.pad_token_id,
        }
    }

    /// How the tokens of a row are numbered.
    pub fn numbering(&self) -> Numbering {
        match self {
            Self::Bert(config) => config.numbering(),
            Self::M2m100(config) => config.numbering(),
            Self::T5(config) => config.numbering(),
        }
    }

    /// How many tokens a row may have, where the folder wants at most `wanted`.
    pub fn max_tokens(&self, wanted: Option<usize>) -> usize {
        match self {
            Self::Bert(config) => config.max_tokens().min(wanted.unwrap_or(usize::MAX)),
            Self::M2m100(config) => config.max_tokens().min(wanted.unwrap_or(usize::MAX)),
            // It knows distances only, however far.
            Self::T5(config) => wanted.unwrap_or(config.max_tokens()),
        }
    }

    /// Rows of the word embedding.
    pub fn vocab_size(&self) -> i64 {
        match self {
            Self::Bert(config) => config.vocab_size,
            Self::M2m100(config) => config.vocab_size,
            Self::T5(config) => config.vocab_size,
        }
    }

    /// Width d of the hidden states.
    pub fn width(&self) -> usize {
        let width = match self {
            Self::Bert(config) => config.hidden_size,
            Self::M2m100(config) => config.d_model,
            Self::T5(config) => config.d_model,
        };
        usize::try_from(width).unwrap_or(0)
    }

    /// The size of the architecture in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Bert(config) => bert::describe(config),
            Self::M2m100(config) => config.describe(),
            Self::T5(config) => config.describe(),
        }
    }
}

impl Network {
    /// The hidden states of the last layer: `[N, d]`. What stands at padding has no meaning.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        match self {
            Self::Bert(network) => network.forward(batch),
            Self::M2m100(network) => network.forward(batch),
            Self::T5(network) => network.forward(batch),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokenizers::{Tokenizer, TruncationParams};

    use super::*;
    use crate::files;
    use crate::model::Encoder;
    use crate::model::torch::{Dtype, Options, TorchEncoder, languages};
    use crate::record::Language;

    #[derive(Deserialize)]
    struct Golden {
        text: String,
        language: Option<String>,
        ids: Vec<u32>,
        vector: Vec<f32>,
    }

    fn folder(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
    }

    fn golden(name: &str) -> Vec<Golden> {
        let mut read: serde_json::Value =
            serde_json::from_str(&files::read_text(&folder(name).join("golden.json")).unwrap()).unwrap();
        let entries = if read.is_array() { read } else { read["texts"].take() };
        serde_json::from_value(entries).unwrap()
    }

    /// The texts of each language, or all of them where there are no languages.
    fn by_language(golden: Vec<Golden>) -> Vec<(Option<String>, Vec<Golden>)> {
        let mut parts: Vec<(Option<String>, Vec<Golden>)> = Vec::new();
        for entry in golden {
            match parts.iter_mut().find(|(language, _)| *language == entry.language) {
                Some((_, entries)) => entries.push(entry),
                None => parts.push((entry.language.clone(), vec![entry])),
            }
        }
        parts
    }

    fn worst(left: &[f32], right: &[f32]) -> f32 {
        assert_eq!(left.len(), right.len());
        left.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// The largest difference from the golden vectors, and of texts alone from texts among others.
    fn differences(name: &str, dtype: Dtype) -> (f32, f32) {
        let (mut from_golden, mut alone) = (0.0_f32, 0.0_f32);
        for (lang, entries) in by_language(golden(name)) {
            let options = Options { lang, dtype, ..Options::default() };
            let mut encoder = TorchEncoder::open(&folder(name), &options).unwrap();
            let texts: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
            let vectors = encoder.encode(&texts).unwrap().vectors;
            for (entry, vector) in entries.iter().zip(vectors.iter()) {
                from_golden = from_golden.max(worst(&entry.vector, vector));
                alone = alone.max(worst(encoder.encode(&[&entry.text]).unwrap().vectors.row(0), vector));
            }
        }
        (from_golden, alone)
    }

    #[test]
    fn the_vectors_are_those_of_the_reference() {
        for name in ["roberta-tiny", "t5-tiny", "m2m100-tiny"] {
            let (from_golden, alone) = differences(name, Dtype::F32);
            eprintln!("{name}: {from_golden:e} from the reference, {alone:e} alone");
            assert!(from_golden <= 1e-5 && alone <= 1e-5, "{name}: {from_golden} {alone}");
        }
    }

    #[test]
    fn bf16_stays_near() {
        for name in ["roberta-tiny", "t5-tiny", "m2m100-tiny"] {
            let (from_golden, _) = differences(name, Dtype::Bf16);
            eprintln!("{name}: {from_golden:e} from the reference in bf16");
            assert!(from_golden <= 5e-2, "{name}: {from_golden}");
        }
    }

    #[test]
    fn the_tokens_are_those_of_the_reference() {
        for (name, limit) in [("roberta-tiny", 60), ("t5-tiny", 150), ("m2m100-tiny", 64)] {
            let mut tokenizer = Tokenizer::from_file(folder(name).join("tokenizer.json")).unwrap();
            for entry in golden(name) {
                if let Some(language) = &entry.language {
                    languages::read_as(&mut tokenizer, language, 2).unwrap();
                }
                let limit = TruncationParams { max_length: limit, ..TruncationParams::default() };
                tokenizer.with_truncation(Some(limit)).unwrap();
                assert_eq!(tokenizer.encode(entry.text, true).unwrap().get_ids(), entry.ids, "{name}");
            }
        }
    }

    #[test]
    fn a_language_is_asked_for_where_there_are_any() {
        let open = |name: &str, lang: Option<&str>| {
            let options = Options { lang: lang.map(str::to_owned), dtype: Dtype::F32, ..Options::default() };
            TorchEncoder::open(&folder(name), &options)
        };
        let error = |name: &str, lang: &str| open(name, Some(lang)).unwrap_err().to_string();
        let untold = open("m2m100-tiny", None).unwrap().encode(&["köpri"]).unwrap_err().to_string();
        assert!(untold.contains("must know the language"), "{untold}");
        assert!(error("m2m100-tiny", "tuk_Cyrl").contains("no language \"tuk_Cyrl\""));
        assert!(error("t5-tiny", "tuk_Latn").contains("t5-2x32 knows no languages"));
        let id = |lang| open("m2m100-tiny", lang).unwrap().id().to_string();
        assert!(id(Some("tuk_Latn")).starts_with("m2m_100-2+2x32-mean-"), "{}", id(Some("tuk_Latn")));
        assert_ne!(id(Some("tuk_Latn")), id(Some("rus_Cyrl")));
        assert_ne!(id(Some("tuk_Latn")), id(None));
        assert_eq!(id(Some("tuk_Latn")), id(Some("tk")), "a code is a name");
    }

    #[test]
    fn texts_of_several_languages_are_each_read_in_their_own() {
        let options =
            |lang: Option<&str>| Options { lang: lang.map(str::to_owned), dtype: Dtype::F32, ..Options::default() };
        let texts = ["köpri gurlar", "мост построен", "mugallym"];
        let alone = |lang: &str, text: &str| {
            TorchEncoder::open(&folder("m2m100-tiny"), &options(Some(lang))).unwrap().encode(&[text]).unwrap().vectors
        };
        let tagged: Vec<(Language, &str)> =
            [Language::TURKMEN, Language::RUSSIAN, Language::TURKMEN].into_iter().zip(texts).collect();
        let mut encoder = TorchEncoder::open(&folder("m2m100-tiny"), &options(None)).unwrap();
        let vectors = encoder.encode_tagged(&tagged).unwrap().vectors;
        for (row, (lang, text)) in ["tuk_Latn", "rus_Cyrl", "tuk_Latn"].into_iter().zip(texts).enumerate() {
            assert!(worst(vectors.row(row), alone(lang, text).row(0)) <= 1e-6, "{text}");
        }
        assert!(worst(vectors.row(1), alone("tuk_Latn", texts[1]).row(0)) > 1e-3, "the language counts");
        let unknown = encoder.encode_tagged(&[(Language::TURKMEN_CYRILLIC, "көпри")]).unwrap_err().to_string();
        assert!(unknown.contains("no language \"tk-Cyrl\""), "{unknown}");
    }

    #[test]
    fn an_architecture_that_is_not_supported_is_named() {
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
        let message = NetworkConfig::read(other.path()).unwrap_err().to_string();
        assert!(
            message.contains("\"llama\" is not supported (bert, roberta, xlm-roberta, m2m_100, t5 are)"),
            "{message}"
        );
    }
}
