//! Embedding: texts without a vector get one, batch by batch, into shards.

use serde::{Deserialize, Serialize};

use super::{Listing, Look, Output, Records, Session, Unit, Work, combined};
use crate::error::{Error, Result};
use crate::model::cache;
use crate::model::lexical::{Lexical, LexicalParams};
use crate::model::sentence_transformers::{Opening, PoolingMode};
use crate::model::torch::{Device, Dtype, Options};
use crate::model::{Encoder, ModelId};
use crate::record::{Language, TextId};

/// Raised when the same model gives other vectors.
pub const VERSION: u32 = 1;

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

/// Loads the encoder once a run, and answers what it is. `None`: it is fitted on texts, and there are none.
///
/// # Errors
/// Kind `Model`.
pub fn model_id(
    look: &Look<'_>,
    params: &Params,
    folder: &std::path::Path,
    session: &mut Session,
) -> Result<Option<ModelId>> {
    if session.encoder.is_none() {
        session.encoder = load(look, params, folder)?;
    }
    Ok(session.encoder.as_ref().map(|encoder| encoder.id().clone()))
}

fn load(look: &Look<'_>, params: &Params, folder: &std::path::Path) -> Result<Option<Box<dyn Encoder>>> {
    if params.is_lexical() {
        let Some(state) = look.store.artefact(super::fit::ARTEFACT)? else { return Ok(None) };
        return Ok(Some(Box::new(Lexical::from_bytes(params.lexical, &state)?)));
    }
    let path = cache::resolve(&params.model, folder)
        .map_err(|error| error.while_doing(format!("embed.model = {:?}", params.model)))?;
    let limits = &params.limits;
    let options = Options {
        device: limits.device,
        dtype: params.dtype,
        batch_tokens: (limits.batch_tokens > 0).then_some(limits.batch_tokens),
        threads: (limits.threads > 0).then_some(limits.threads),
        prompt: params.prompt.clone(),
        lang: params.lang.clone(),
        adapter_apart: params.adapter_apart,
    };
    let opening = Opening { pooling: params.pooling, normalize: params.normalize.unwrap_or(false), base: None };
    Ok(Some(crate::model::open_as(&path, &opening, &options)?))
}

/// The next batch of texts without a vector.
///
/// # Errors
/// Kind `Store`.
pub fn units(look: &Look<'_>, params: &Params, model: &ModelId, session: &mut Session) -> Result<Listing> {
    let languages = look.languages.both();
    if session.queue.is_none() {
        let left = look.store.text_count(languages)?.saturating_sub(look.store.vector_count(&model.0)?);
        session.queue = Some(Queue { after: None, left });
    }
    let Some(queue) = &session.queue else { return Err(Error::bug("the queue was just made")) };
    let texts = look.store.texts_without_vector(&model.0, languages, queue.after, params.limits.batch)?;
    if texts.is_empty() {
        return Ok(Listing::Next(None, 0));
    }
    let input = batch_name(&texts);
    Ok(Listing::Next(Some(Unit::new(format!("{}:{input}", model.0), input)), queue.left.max(texts.len() as u64)))
}

/// How far a run has come through the texts without a vector.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    after: Option<TextId>,
    left: u64,
}

fn batch_name(texts: &[(TextId, Language, String)]) -> String {
    let ids: Vec<String> = texts.iter().map(|(id, ..)| id.to_string()).collect();
    combined(&ids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Encodes a batch here (a model lives on one thread) and writes its shard's file.
///
/// # Errors
/// Kind `Model` or `Store`.
pub fn prepare(look: &Look<'_>, params: &Params, session: &mut Session) -> Result<Work> {
    let encoder = session.encoder.as_mut().ok_or_else(|| Error::bug("embedding without an encoder"))?;
    let model = encoder.id().0.clone();
    let queue = session.queue.as_mut().ok_or_else(|| Error::bug("embedding without a queue"))?;
    let batch = look.store.texts_without_vector(&model, look.languages.both(), queue.after, params.limits.batch)?;
    queue.after = batch.last().map(|(text, ..)| *text);
    queue.left = queue.left.saturating_sub(batch.len() as u64);
    let texts: Vec<(Language, &str)> = batch.iter().map(|(_, language, text)| (*language, text.as_str())).collect();
    let encoded = encoder.encode_tagged(&texts)?;
    if encoded.texts() != batch.len() {
        return Err(Error::bug(format!("{} texts went into the encoder, {} came out", batch.len(), encoded.texts())));
    }
    let name = batch_name(&batch);
    let file = format!("{model}/{name}.f16");
    let vectors = &encoded.vectors;
    if vectors.rows() > 0 {
        look.store.write_shard_file(&file, vectors)?;
    }
    let texts: Vec<TextId> = encoded.with().into_iter().map(|place| batch[place].0).collect();
    let without: Vec<TextId> = encoded.without.iter().map(|place| batch[*place].0).collect();
    if let Some(first) = encoded.without.first() {
        session.without_vector.note(look, without.len() as u64, &batch[*first])?;
    }
    let (dim, count, none) = (vectors.dim(), texts.len() as f64, without.len() as f64);
    Ok(Box::new(move || {
        let mut counts = vec![("texts", count)];
        if none > 0.0 {
            counts.push(("texts without a vector", none));
        }
        Ok(Output { records: Records::Shard { model, file, dim, texts, without }, fingerprint: name, counts })
    }))
}

/// Texts of a run in which the encoder found no token.
#[derive(Debug, Default)]
pub struct Without {
    count: u64,
    /// The first of them and where it stands.
    example: String,
}

impl Without {
    fn note(&mut self, look: &Look<'_>, count: u64, (id, _, text): &(TextId, Language, String)) -> Result<()> {
        if self.count == 0 {
            let place = match look.store.first_sentence(*id)? {
                Some(sentence) => look.store.document(sentence.document)?.map(|document| document.location),
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
