//! Embedding: texts without a vector get one, batch by batch, into shards.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Finish, Grain, Inputs, Listing, Progress, Settings, Stage, Unit, combined, table};
use crate::engine::model::{ModelSource, OpenEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{FileHashes, Staged};
use crate::model::lexical::{Lexical, LexicalParams};
use crate::model::sentence_transformers::{Opening, PoolingMode};
use crate::model::torch::{Device, Dtype, Options};
use crate::model::{Encoder, ModelId};
use crate::model::{cache, identity};
use crate::record::{Language, TextId};
use crate::store::Store;
use crate::store::table::Table;
use crate::store::vectors::shard_bytes;

/// Raised when the same model gives other vectors.
pub const VERSION: u32 = 1;

/// The stage.
#[derive(Debug)]
pub struct Embed;

/// Which encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// `lexical`, a model folder relative to the pipeline file (sentence-transformers, a PEFT adapter, plain transformers
    /// with [`Self::pooling`]), or `org/name` of the Hub, perhaps with `@revision`, which `kopri models get` has fetched.
    pub model: String,
    /// How a plain transformers folder becomes one vector a text: `mean`, `cls`, …; a folder with modules.json says so
    /// itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<PoolingMode>,
    /// Whether such a model scales its vectors to unit length itself. (The stage always does.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Put before every text (multilingual-e5 wants `query: `); absent: what the folder names, if anything.
    pub prompt: Option<String>,
    /// The language that NLLB or M2M100 is told all texts are in, by its own name (`tuk_Latn`) or code (`tk`). Absent: each
    /// text's own. Other models are told none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// In what numbers the network computes: `auto`, `f32`, `bf16`, `f16` (GPU) or `i8` (CPU). `auto` is bf16 on a GPU
    /// and where the processor multiplies it natively, else f32.
    pub dtype: Dtype,
    /// Whether a LoRA adapter is multiplied beside its base's matrices instead of being merged: slower, and nothing of it
    /// is lost in the rounding of bf16 or i8.
    pub adapter_apart: bool,
    /// The lexical encoder's settings.
    pub lexical: LexicalParams,
    /// What cannot change a vector.
    pub limits: Limits,
}

/// What cannot change a vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Texts of a unit, and rows of a shard.
    pub batch: usize,
    /// Tokens that go through the network at once; 0: 512 on a CPU, 32,768 on a GPU.
    pub batch_tokens: usize,
    /// Threads on a CPU; 0: one a core.
    pub threads: usize,
    /// `auto` (all GPUs, else the CPU), `cpu`, `cuda` (all GPUs) or `cuda:N`.
    pub device: Device,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            model: LEXICAL.into(),
            pooling: None,
            normalize: None,
            prompt: None,
            lang: None,
            dtype: Dtype::Auto,
            adapter_apart: false,
            lexical: LexicalParams::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch: 4_096, batch_tokens: 0, threads: 0, device: Device::Auto }
    }
}

/// The name of the encoder without weights.
pub const LEXICAL: &str = "lexical";

impl Params {
    /// Whether the encoder is the lexical one.
    pub fn is_lexical(&self) -> bool {
        self.model == LEXICAL
    }
}

/// The encoder that the settings name.
#[derive(Debug, Clone)]
pub struct Source {
    /// The settings.
    pub params: Params,
    /// What a folder of theirs is relative to.
    pub folder: std::path::PathBuf,
}

impl Source {
    fn path(&self) -> Result<std::path::PathBuf> {
        cache::resolve(&self.params.model, &self.folder)
            .map_err(|error| error.while_doing(format!("embed.model = {:?}", self.params.model)))
    }

    fn options(&self) -> (Opening, Options) {
        let (params, limits) = (&self.params, &self.params.limits);
        let options = Options {
            device: limits.device,
            dtype: params.dtype,
            batch_tokens: (limits.batch_tokens > 0).then_some(limits.batch_tokens),
            threads: (limits.threads > 0).then_some(limits.threads),
            prompt: params.prompt.clone(),
            lang: params.lang.clone(),
            adapter_apart: params.adapter_apart,
        };
        let normalize = params.normalize.unwrap_or(false);
        (Opening { pooling: params.pooling, normalize, base: None }, options)
    }

    fn lexical(&self, store: &Store) -> Result<Option<Lexical>> {
        let Some(state) = store.artefact(super::fit::ARTEFACT)? else { return Ok(None) };
        Lexical::from_bytes(self.params.lexical, &state).map(Some)
    }
}

impl ModelSource for Source {
    fn id(&self, store: &Store, hashes: &mut FileHashes) -> Result<Option<ModelId>> {
        if self.params.is_lexical() {
            return Ok(self.lexical(store)?.map(|model| model.id().clone()));
        }
        let (opening, options) = self.options();
        identity::of_folder(&self.path()?, &opening, &options, hashes).map(Some)
    }

    fn open(&self, store: &Store) -> Result<Box<dyn Encoder>> {
        if self.params.is_lexical() {
            let model = self.lexical(store)?;
            return Ok(Box::new(model.ok_or_else(|| Error::bug("the lexical encoder is not fitted"))?));
        }
        let (opening, options) = self.options();
        crate::model::open_as(&self.path()?, &opening, &options)
    }
}

/// How far a run has come through the texts without a vector.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    after: Option<TextId>,
    left: u64,
    /// Texts that have a vector.
    done: u64,
}

/// A batch that was listed and waits to be run.
struct Batch {
    queue: Queue,
    texts: Vec<(TextId, Language, String)>,
}

/// The one row in the ledger: the batch that was embedded last. Which texts have a vector is known from the vectors.
const UNIT: &str = "texts";

fn batch_name(texts: &[(TextId, Language, String)]) -> String {
    let ids: Vec<String> = texts.iter().map(|(id, ..)| id.to_string()).collect();
    combined(&ids.iter().map(String::as_str).collect::<Vec<_>>())
}

impl Stage for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "batch"
    }

    fn grain(&self) -> Grain {
        Grain::Workspace
    }

    fn after(&self) -> &'static [&'static str] {
        &["segment", "fit"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Sentence, Table::Artefact, Table::Document]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Vector, Table::Shard, Table::NoVector]
    }

    fn uses_model(&self) -> bool {
        true
    }

    fn parallel(&self) -> bool {
        false
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "embed": table(settings.get::<Params>()?)? }))
    }

    /// The next batch of texts without a vector.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let Some(model) = ctx.model()? else { return Ok(Listing::Idle) };
        let store = ctx.store()?;
        let queue = *ctx.shared().get("", || {
            let (texts, done) = (store.text_count(ctx.languages())?, store.vector_count(&model.0)?);
            Ok(Queue { after: None, left: texts.saturating_sub(done), done })
        })?;
        let limit = ctx.settings::<Params>()?.limits.batch;
        let texts = store.texts_without_vector(&model.0, ctx.languages(), queue.after, limit)?;
        if texts.is_empty() {
            return Ok(Listing::Next { unit: None, left: 0, done: queue.done, noun: "text" });
        }
        let unit = Unit::new(
            UNIT,
            Inputs::new().tables(&[Table::Sentence, Table::Document], &batch_name(&texts)).model(&model),
        );
        let left = queue.left.max(texts.len() as u64);
        ctx.shared().set("", Batch { queue, texts });
        Ok(Listing::Next { unit: Some(unit), left, done: queue.done, noun: "text" })
    }

    /// Encodes a batch and writes its shard's file.
    fn run(&self, ctx: &Ctx<'_>, _unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let model = ctx.model()?.ok_or_else(|| Error::bug("embedding without an encoder"))?.0;
        let batch = ctx.shared().find::<Batch>("").ok_or_else(|| Error::bug("a batch that was not listed"))?;
        let texts: Vec<(Language, &str)> =
            batch.texts.iter().map(|(_, language, text)| (*language, text.as_str())).collect();
        let encoder = ctx.encoder()?;
        progress.check()?;
        let encoded = encoder.lock().encode_tagged(&texts)?;
        if encoded.texts() != texts.len() {
            return Err(Error::bug(format!(
                "{} texts went into the encoder, {} came out",
                texts.len(),
                encoded.texts()
            )));
        }
        let name = batch_name(&batch.texts);
        let file = format!("{model}/{name}.f16");
        let vectors = &encoded.vectors;
        let staged = match vectors.rows() {
            0 => None,
            _ => Some(Staged::file(&ctx.folder().join("vectors").join(&file), |out| {
                out.write_all(&shard_bytes(vectors))
                    .map_err(|error| Error::with_source(ErrorKind::Store, "writing vectors", error))
            })?),
        };
        let count = batch.texts.len() as u64;
        let queue = Queue {
            after: batch.texts.last().map(|(text, ..)| *text),
            left: batch.queue.left.saturating_sub(count),
            done: batch.queue.done + count,
        };
        ctx.shared().set("", queue);
        let with: Vec<TextId> = encoded.with().into_iter().map(|place| batch.texts[place].0).collect();
        let without: Vec<TextId> = encoded.without.iter().map(|place| batch.texts[*place].0).collect();
        if let Some(first) = encoded.without.first() {
            let noted = ctx.shared().get("", || Ok(Mutex::new(Without::default())))?;
            lock(&noted).note(&*ctx.store()?, without.len() as u64, &batch.texts[*first])?;
        }
        let (dim, found, none) = (vectors.dim(), with.len() as f64, without.len() as f64);
        let commit = Commit::new(name, move |writer, _| {
            writer.put_no_vector(&model, &without)?;
            // Without a row there is no file either.
            if with.is_empty() { Ok(()) } else { writer.put_shard(&model, &file, dim, &with) }
        });
        let commit = commit.count("texts", found).counts((none > 0.0).then_some(("texts without a vector", none)));
        Ok(staged.into_iter().fold(commit, Commit::file).advancing(count))
    }

    fn finish(&self, ctx: &Ctx<'_>) -> Result<Finish> {
        ctx.shared().forget::<Batch>("");
        let open = ctx.shared().find::<OpenEncoder>("");
        let remark = open.and_then(|encoder| encoder.lock().remark().map(str::to_owned));
        let without = ctx.shared().find::<Mutex<Without>>("").and_then(|without| lock(&without).in_words());
        ctx.shared().forget::<Mutex<Without>>("");
        Ok(Finish { notes: remark.into_iter().chain(without).collect(), write: None })
    }
}

/// Texts of a run in which the encoder found no token.
#[derive(Debug, Default)]
pub struct Without {
    count: u64,
    /// The first of them and where it stands.
    example: String,
}

impl Without {
    fn note(&mut self, store: &Store, count: u64, (id, _, text): &(TextId, Language, String)) -> Result<()> {
        if self.count == 0 {
            let place = match store.first_sentence(*id)? {
                Some(sentence) => store.document(sentence.document)?.map(|document| document.location),
                None => None,
            };
            // Such texts are often invisible: in their escaped form they are not.
            let shown: String = text.chars().take(SHOWN).flat_map(char::escape_default).collect();
            let cut = if text.chars().count() > SHOWN { "…" } else { "" };
            self.example = format!("\"{shown}{cut}\" in {}", place.as_deref().unwrap_or("a document that is gone"));
        }
        self.count += count;
        Ok(())
    }

    /// What a person should know of it; `None`: every text got its vector.
    pub fn in_words(&self) -> Option<String> {
        let texts = match self.count {
            0 => return None,
            1 => "1 text has".to_owned(),
            count => format!("{count} texts have"),
        };
        Some(format!(
            "{texts} no vector, since no token of the model is in it: not aligned and not mined; for example {}",
            self.example
        ))
    }
}

/// Characters of an example.
const SHOWN: usize = 40;

fn lock(without: &Mutex<Without>) -> MutexGuard<'_, Without> {
    without.lock().unwrap_or_else(PoisonError::into_inner)
}
