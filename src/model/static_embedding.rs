//! Static embeddings: each token has one vector, whatever stands around it, and a text's vector is the mean of its
//! tokens' (model2vec, Tulkens & van Dongen 2024; sentence-transformers' `StaticEmbedding`).
//!
//! ```text
//! text ─ tokenizer, no special tokens ─▶ ids ─ rows of the table ─▶ mean ─▶ unit vector
//! ```
//!
//! There is no network, so libtorch takes no part: the table stays on disk under a memory map and is read row by row,
//! in the type it is stored in; the cores share the texts. That is some hundred times as fast as a transformer.

use std::path::Path;

use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use tokenizers::Tokenizer;

use super::sentence_transformers::StaticFolder;
use super::{Encoded, Encoder, ModelId};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;
use crate::record::id::hash_parts;

/// Goes up when the same folder begins to give other vectors, so that old ones are not mixed with new.
const VERSION: u32 = 1;

/// What the table is called: by sentence-transformers, and by model2vec.
const NAMES: [&str; 2] = ["embedding.weight", "embeddings"];

/// An encoder of a table and a tokenizer.
#[derive(Debug)]
pub struct StaticEmbedding {
    id: ModelId,
    tokenizer: Tokenizer,
    prompt: String,
    table: Table,
    dim: usize,
}

impl StaticEmbedding {
    /// Opens a folder of sentence-transformers whose first module is a `StaticEmbedding`. `None` when it is another.
    ///
    /// `prompt` is put before every text; without one it is what the folder names, if anything.
    ///
    /// # Errors
    /// Kind `Model`: a file that is missing or wrong, a module after it that is not `Normalize`.
    pub fn open(folder: &Path, prompt: Option<&str>) -> Result<Option<Self>> {
        let doing = || format!("opening the model {}", folder.display());
        let Some(model) = StaticFolder::read(folder).map_err(|error| error.while_doing(doing()))? else {
            return Ok(None);
        };
        Self::open_parts(&model, prompt).map(Some).map_err(|error| error.while_doing(doing()))
    }

    fn open_parts(model: &StaticFolder, prompt: Option<&str>) -> Result<Self> {
        let path = model.embedding.join("tokenizer.json");
        let doing = || format!("reading the tokenizer {}", path.display());
        let bytes = files::read(&path).context(ErrorKind::Model, doing)?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).context(ErrorKind::Model, doing)?;
        // A limit that the file carries stays: sentence-transformers too takes the file as it is, padding apart.
        tokenizer.with_padding(None);
        let table = Table::open(&model.embedding.join("model.safetensors"))?;
        let dim = match model.truncate_dim {
            Some(0) => return Err(Error::new(ErrorKind::Model, "truncate_dim is 0")),
            Some(first) => first.min(table.width),
            None => table.width,
        };
        let prompt = match prompt {
            Some(prompt) => prompt.to_owned(),
            None => model.default_prompt()?.to_owned(),
        };
        let settings = format!("{VERSION} dim={dim}");
        let hash = hash_parts(&[
            settings.as_bytes(),
            prompt.as_bytes(),
            blake3::hash(&bytes).as_bytes(),
            blake3::hash(&table.map).as_bytes(),
        ])
        .to_hex();
        let id = ModelId(format!("static-{}x{dim}-{}", table.rows, &hash[..16]));
        Ok(Self { id, tokenizer, prompt, table, dim })
    }

    /// The token ids of the text with this index, behind the prompt, without special tokens; none for a text that has no
    /// token of its own.
    fn read(&self, index: usize, text: &str) -> Result<Vec<u32>> {
        let tokenize = |text: &str| -> Result<Vec<u32>> {
            let encoding = self.tokenizer.encode_fast(text, false);
            Ok(encoding.context(ErrorKind::Model, || "tokenizing".to_owned())?.get_ids().to_vec())
        };
        // The mean of nothing would be a vector without a direction, and that of the prompt alone the same for many.
        if text.trim().is_empty() || (!self.prompt.is_empty() && tokenize(text)?.is_empty()) {
            return Ok(Vec::new());
        }
        let ids = if self.prompt.is_empty() { tokenize(text)? } else { tokenize(&format!("{}{text}", self.prompt))? };
        if let Some(unknown) = ids.iter().find(|&&id| id as usize >= self.table.rows) {
            return Err(Error::new(
                ErrorKind::Model,
                format!(
                    "text {index} has the token {unknown}, and the table has {} rows only: tokenizer.json is of \
                     another model",
                    self.table.rows
                ),
            ));
        }
        Ok(ids)
    }
}

impl Encoder for StaticEmbedding {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Encoded> {
        let this = &*self;
        let mut data = vec![0.0_f32; texts.len() * this.dim];
        data.par_chunks_exact_mut(this.dim).zip(texts).enumerate().try_for_each(|(index, (sum, text))| {
            // The length of a sum does not matter: rows are scaled to unit length below.
            for id in this.read(index, text)? {
                this.table.add_row(id as usize, sum);
            }
            Ok::<_, Error>(())
        })?;
        Encoded::of_rows(this.dim, data)
    }
}

/// One vector a token, on disk.
#[derive(Debug)]
struct Table {
    map: Mmap,
    /// Where in the file the first row begins.
    start: usize,
    rows: usize,
    width: usize,
    numbers: Numbers,
}

/// In what the table is stored, little-endian.
#[derive(Debug, Clone, Copy)]
enum Numbers {
    F32,
    F16,
    Bf16,
}

impl Table {
    fn open(path: &Path) -> Result<Self> {
        let doing = || format!("opening the weights {}", path.display());
        let wrong = |what: String| Err(Error::new(ErrorKind::Model, format!("{}: {what}", path.display())));
        if !path.is_file() {
            return wrong("there is no such file".to_owned());
        }
        let map = files::map(path).context(ErrorKind::Model, doing)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).context(ErrorKind::Model, doing)?;
        let Some(info) = NAMES.iter().find_map(|name| metadata.info(name)) else {
            return wrong(format!("holds no table called {}", NAMES.join(" or ")));
        };
        let numbers = match info.dtype {
            Dtype::F32 => Numbers::F32,
            Dtype::F16 => Numbers::F16,
            Dtype::BF16 => Numbers::Bf16,
            other => return wrong(format!("the table holds {other:?}; it must be f32, f16 or bf16")),
        };
        let [rows, width] = info.shape[..] else {
            return wrong(format!("the table has the shape {:?}; rows of numbers were expected", info.shape));
        };
        if rows == 0 || width == 0 {
            return wrong("the table is empty".to_owned());
        }
        // `read_metadata` has checked that the offsets lie inside the file and fit the shape.
        let start = 8 + header + info.data_offsets.0;
        Ok(Self { start, rows, width, numbers, map })
    }

    /// Adds the first numbers of a row to `sum`. The bytes may lie at any address, so they are not read as a slice of
    /// numbers.
    fn add_row(&self, row: usize, sum: &mut [f32]) {
        let size = match self.numbers {
            Numbers::F32 => 4,
            Numbers::F16 | Numbers::Bf16 => 2,
        };
        let bytes = &self.map[self.start + row * self.width * size..][..self.width * size];
        match self.numbers {
            Numbers::F32 => add(sum, bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b))),
            Numbers::F16 => add(sum, bytes.as_chunks::<2>().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32())),
            Numbers::Bf16 => add(sum, bytes.as_chunks::<2>().0.iter().map(|&b| half::bf16::from_le_bytes(b).to_f32())),
        }
    }
}

fn add(sum: &mut [f32], row: impl Iterator<Item = f32>) {
    for (sum, number) in sum.iter_mut().zip(row) {
        *sum += number;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use safetensors::tensor::TensorView;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        text: String,
        ids: Vec<u32>,
        vector: Vec<f32>,
    }

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/static-tiny")
    }

    fn golden() -> Vec<Golden> {
        serde_json::from_str(&files::read_text(&folder().join("golden.json")).unwrap()).unwrap()
    }

    fn open(path: &Path) -> StaticEmbedding {
        StaticEmbedding::open(path, None).unwrap().unwrap()
    }

    fn worst(left: &[f32], right: &[f32]) -> f32 {
        assert_eq!(left.len(), right.len());
        left.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// The golden folder again, with another table: its numbers are changed by `change`, its name and folder are new.
    fn changed(name: &str, dtype: Dtype, inner: &str, change: impl Fn(f32) -> Vec<u8>) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        let inside = copy.path().join(inner);
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::copy(folder().join("tokenizer.json"), inside.join("tokenizer.json")).unwrap();
        let bytes = std::fs::read(folder().join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let table = tensors.tensor("embedding.weight").unwrap();
        let data: Vec<u8> =
            table.data().as_chunks::<4>().0.iter().flat_map(|&b| change(f32::from_le_bytes(b))).collect();
        let view = TensorView::new(dtype, table.shape().to_vec(), &data).unwrap();
        std::fs::write(inside.join("model.safetensors"), safetensors::serialize([(name, view)], None).unwrap())
            .unwrap();
        let modules = serde_json::json!([{"path": inner, "type": "sentence_transformers.models.StaticEmbedding"}]);
        std::fs::write(copy.path().join("modules.json"), modules.to_string()).unwrap();
        copy
    }

    #[test]
    fn the_vectors_are_those_of_sentence_transformers() {
        let golden = golden();
        let texts: Vec<&str> = golden.iter().map(|entry| entry.text.as_str()).collect();
        let mut encoder = open(&folder());
        let vectors = encoder.encode(&texts).unwrap().vectors;
        assert_eq!((vectors.rows(), vectors.dim()), (texts.len(), 24));
        for (index, (entry, vector)) in golden.iter().zip(vectors.iter()).enumerate() {
            assert_eq!(encoder.read(index, &entry.text).unwrap(), entry.ids);
            let difference = worst(&entry.vector, vector);
            assert!(difference <= 1e-6, "{difference} for {:?}", entry.text);
        }
        for (text, vector) in texts.iter().zip(vectors.iter()) {
            assert_eq!(encoder.encode(&[text]).unwrap().vectors.row(0), vector, "alone as among others");
        }
        assert_eq!(encoder.encode(&[]).unwrap().vectors.rows(), 0);
    }

    #[test]
    fn half_precision_and_the_names_of_older_folders_and_of_model2vec_are_read() {
        let golden = golden();
        let texts: Vec<&str> = golden.iter().map(|entry| entry.text.as_str()).collect();
        let brain = changed("embedding.weight", Dtype::BF16, "0_StaticEmbedding", |x| {
            half::bf16::from_f32(x).to_le_bytes().to_vec()
        });
        let half = changed("embeddings", Dtype::F16, "", |x| half::f16::from_f32(x).to_le_bytes().to_vec());
        for (copy, bound) in [(brain, 1e-2), (half, 1e-3)] {
            let vectors = open(copy.path()).encode(&texts).unwrap().vectors;
            for (entry, vector) in golden.iter().zip(vectors.iter()) {
                assert!(worst(&entry.vector, vector) <= bound);
            }
        }
    }

    #[test]
    fn what_is_not_a_table_or_has_no_token_is_named() {
        for prompt in [None, Some("query: ")] {
            let mut encoder = StaticEmbedding::open(&folder(), prompt).unwrap().unwrap();
            let encoded = encoder.encode(&["köpri", " \n", "", "Mugallym"]).unwrap();
            assert_eq!((encoded.vectors.rows(), encoded.without.as_slice()), (2, [1, 2].as_slice()));
        }
        let other = changed("weight", Dtype::F32, "", |x| x.to_le_bytes().to_vec());
        let message = StaticEmbedding::open(other.path(), None).unwrap_err().to_string();
        assert!(message.contains("holds no table called embedding.weight or embeddings"), "{message}");
        let integers = changed("embeddings", Dtype::I32, "", |x| x.to_le_bytes().to_vec());
        let message = StaticEmbedding::open(integers.path(), None).unwrap_err().to_string();
        assert!(message.contains("the table holds I32"), "{message}");
        let transformer = folder().with_file_name("xlmr-mean");
        assert!(StaticEmbedding::open(&transformer, None).unwrap().is_none());
    }

    #[test]
    fn the_id_follows_what_changes_the_vectors() {
        let id = |path: &Path, prompt| StaticEmbedding::open(path, prompt).unwrap().unwrap().id().to_string();
        let original = id(&folder(), None);
        assert!(original.starts_with("static-") && original.contains("x24-"), "{original}");
        assert_ne!(id(&folder(), Some("query: ")), original);
        let same = changed("embedding.weight", Dtype::F32, "0_StaticEmbedding", |x| x.to_le_bytes().to_vec());
        std::fs::copy(folder().join("model.safetensors"), same.path().join("0_StaticEmbedding/model.safetensors"))
            .unwrap();
        assert_eq!(id(same.path(), None), original, "the same files elsewhere");
        std::fs::write(same.path().join("config_sentence_transformers.json"), r#"{"truncate_dim": 8}"#).unwrap();
        assert_ne!(id(same.path(), None), original);
        assert_eq!(open(same.path()).encode(&["köpri"]).unwrap().vectors.dim(), 8);
    }
}
