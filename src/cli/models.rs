//! `models`: what models are here, and bringing more.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{DONE, json_line, print, say};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Encoder;
use crate::model::cache::{self, Cache};
use crate::model::inspect::{architecture, tokenize};
use crate::model::sentence_transformers::{HeadModule, ModelFolder, Opening, PoolingMode};
use crate::model::static_embedding::StaticEmbedding;
use crate::model::torch::weights::Checkpoint;
use crate::model::torch::{Options, TorchEncoder, save};
use crate::record::Language;
use crate::report::format::{count, measure, printable};
use crate::report::meter::{Meter, bytes, left};
use crate::report::progress::View;
use crate::stage::hub::{Hub, HubSettings, Step};

/// Arguments of `models`.
#[derive(Debug, Args)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// Fetch a model of the Hugging Face Hub into the cache that its own tools use.
    Get(GetArgs),
    /// List the models of the cache.
    List(ListArgs),
    /// Open a model and say what it is, what its tokenizer does, and whether its vectors make sense.
    Check(CheckArgs),
    /// Write a model of any form as one folder of sentence-transformers: an adapter merged into its base, several files
    /// as one, torch's own format as safetensors, a plain folder with its pooling.
    Save(SaveArgs),
}

/// Which model, and what its folder does not say.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// A folder, or org/name of the Hub that `kopri models get` has fetched.
    #[arg(long, value_name = "FOLDER|ID")]
    model: String,
    #[command(flatten)]
    opening: OpeningArgs,
}

/// What a model's folder does not say.
#[derive(Debug, Args)]
pub(super) struct OpeningArgs {
    /// How a plain transformers folder becomes one vector a text: cls, mean, max, …
    #[arg(long, value_name = "MODE")]
    pooling: Option<PoolingMode>,
    /// The base of an adapter's folder, instead of the one that it names.
    #[arg(long, value_name = "FOLDER|ID")]
    base: Option<String>,
}

impl ModelArgs {
    /// The model's folder, and how to open it.
    pub(super) fn open(&self) -> Result<(PathBuf, Opening)> {
        Ok((cache::resolve(&self.model, Path::new(""))?, self.opening.read()?))
    }
}

impl OpeningArgs {
    pub(super) fn read(&self) -> Result<Opening> {
        let base = self.base.as_deref().map(|base| cache::resolve(base, Path::new(""))).transpose()?;
        Ok(Opening { pooling: self.pooling, normalize: false, base })
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Fetched are the configuration, the tokenizer and one form of the weights (safetensors before pytorch_model.bin); what is
here already is not fetched again, what broke off is taken up, every file's checksum is tested. The environment is that
of Hugging Face's tools: HF_HOME or HF_HUB_CACHE (where), HF_ENDPOINT (a mirror), HF_TOKEN (for models that not everybody
may have; sent to the endpoint alone), HF_HUB_OFFLINE=1 (never ask).

Examples:
  kopri models get sentence-transformers/LaBSE
  kopri models get intfloat/multilingual-e5-base --revision main
  HF_ENDPOINT=https://mirror.example.org kopri models get org/name")]
struct GetArgs {
    /// org/name.
    id: String,
    /// A branch, tag or commit.
    #[arg(long, default_value = cache::MAIN)]
    revision: String,
    /// Show no progress; the folder is still printed.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// One JSON object a model: id, commit, refs, bytes, folder.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kopri models check sentence-transformers/LaBSE
  kopri models check models/mine
  kopri models check xlm-roberta-base-folder --pooling mean")]
struct CheckArgs {
    /// A folder, or org/name of the cache.
    #[arg(value_name = "FOLDER|ID")]
    model: String,
    #[command(flatten)]
    opening: OpeningArgs,
    /// The language that NLLB is told the samples are in, whichever they are: tuk_Latn.
    #[arg(long, value_name = "NAME")]
    lang: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kopri models save adapters/turkmen models/merged
  kopri models save ~/xlm-roberta-base models/xlmr-mean --pooling mean --normalize")]
struct SaveArgs {
    /// A folder, or org/name of the cache.
    #[arg(value_name = "FOLDER|ID")]
    model: String,
    /// The folder to make.
    target: PathBuf,
    #[command(flatten)]
    opening: OpeningArgs,
    /// Let a plain folder's model scale its vectors to unit length.
    #[arg(long, requires = "pooling")]
    normalize: bool,
}

pub(super) fn models(arguments: &ModelsArgs) -> Result<u8> {
    match &arguments.command {
        ModelsCommand::Get(arguments) => get(arguments),
        ModelsCommand::List(arguments) => list(arguments),
        ModelsCommand::Check(arguments) => check(arguments),
        ModelsCommand::Save(arguments) => save_as(arguments),
    }
}

fn get(arguments: &GetArgs) -> Result<u8> {
    let hub = Hub::new(HubSettings::from_environment()?)?;
    let mut meter = Meter::new(View::of_stderr(arguments.quiet));
    let (mut name, mut total, mut done, mut came) = (String::new(), 0, 0, 0);
    let got = hub.get(&arguments.id, &arguments.revision, &mut |step| match step {
        Step::Begin { id, files, bytes: all, here } => {
            (name, total, done, came) = (id.to_owned(), all, here, 0);
            if !arguments.quiet {
                meter.note(&format!("{id}: {files} files, {}, {} of them here", bytes(all), bytes(here)));
            }
        }
        Step::Bytes(count) => {
            done += count;
            came += count;
            meter.show(|elapsed| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a rate for people"
                )]
                let rate = (came as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
                let still = left(came, Some(total.saturating_sub(done) + came), elapsed);
                format!("{name}: {} of {}, {}/s{still}", bytes(done), bytes(total), bytes(rate))
            });
        }
        Step::Note(text) => meter.note(text),
    })?;
    meter.clear();
    drop(meter);
    // Weights of a pickle are made ready now, with a word on it, rather than in the night.
    if let Ok(checkpoint) = ModelFolder::open(&got.folder, &Opening::default())
        .and_then(|model| Checkpoint::open_with(&model.transformer, model.adapter.as_deref()))
        && let Some(told) = checkpoint.conversion()
    {
        say(told);
    }
    print(&format!("{}\n", got.folder.display()))?;
    Ok(DONE)
}

fn list(arguments: &ListArgs) -> Result<u8> {
    let cache = Cache::from_environment();
    let found = cache.list()?;
    if found.is_empty() && !arguments.json {
        say(&format!("no models in {}: kopri models get org/name", cache.root.display()));
    }
    for snapshot in found {
        print(&if arguments.json {
            json_line(&serde_json::json!({
                "id": snapshot.id,
                "commit": snapshot.commit,
                "refs": snapshot.refs,
                "bytes": snapshot.bytes,
                "folder": snapshot.folder,
            }))?
        } else {
            let refs =
                if snapshot.refs.is_empty() { String::new() } else { format!(" ({})", snapshot.refs.join(", ")) };
            let commit: String = snapshot.commit.chars().take(8).collect();
            format!("{}\t{}\t{commit}{refs}\n", printable(&snapshot.id), bytes(snapshot.bytes))
        })?;
    }
    Ok(DONE)
}

/// A sentence, and one that has nothing to do with it, in languages that models of ours must know.
const SAMPLES: [(&str, &str, &str); 5] = [
    ("ru", "Учитель утром приходит в школу.", "Железо плавится при 1538 градусах."),
    ("tk", "Mugallym irden mekdebe gelýär.", "Demir 1538 gradusda ereýär."),
    ("kk", "Мұғалім таңертең мектепке келеді.", "Темір 1538 градуста балқиды."),
    ("tr", "Öğretmen sabah okula gelir.", "Demir 1538 derecede erir."),
    ("en", "The teacher comes to school in the morning.", "Iron melts at 1538 degrees."),
];

fn check(arguments: &CheckArgs) -> Result<u8> {
    let folder = cache::resolve(&arguments.model, Path::new(""))?;
    if let Some(mut encoder) = StaticEmbedding::open(&folder, None)? {
        print(&format!("folder        {}\narchitecture  StaticEmbedding\n", folder.display()))?;
        return sense(&mut encoder);
    }
    let model = ModelFolder::open(&folder, &arguments.opening.read()?)?;
    let mut text = format!("folder        {}\n", folder.display());
    let about = architecture(&model.transformer)?;
    let sizes: Vec<String> = about.sizes.iter().map(|(name, value)| format!("{name} {value}")).collect();
    text += &format!("architecture  {}: {}\n", about.name, sizes.join(", "));
    if let Some(adapter) = &model.adapter {
        text += &format!("adapter       {} over {}\n", adapter.display(), model.transformer.display());
    }
    let checkpoint = Checkpoint::open_with(&model.transformer, model.adapter.as_deref())?;
    if let Some(told) = checkpoint.conversion() {
        say(told);
    }
    let (tensors, _) = checkpoint.distinct()?;
    let numbers: u64 =
        tensors.iter().map(|entry| u64::try_from(entry.shape.iter().product::<i64>()).unwrap_or(0)).sum();
    let stored: u64 = tensors
        .iter()
        .map(|entry| {
            let numbers = u64::try_from(entry.shape.iter().product::<i64>()).unwrap_or(0);
            numbers * entry.kind.elt_size_in_bytes() as u64
        })
        .sum();
    text += &format!("weights       {} tensors, {} numbers, {}\n", tensors.len(), count(numbers), bytes(stored));
    let modes: Vec<&str> = model.pooling.modes.iter().map(|mode| mode.name()).collect();
    let mut steps = vec![modes.join(" + ")];
    steps.extend(model.head.iter().map(|head| match head {
        HeadModule::Dense(dense) => {
            format!("Dense {} → {} {}", dense.in_features, dense.out_features, dense.activation)
        }
        HeadModule::Normalize => "Normalize".to_owned(),
    }));
    text += &format!("pooling       {}\n", steps.join(", "));
    for (name, prompt) in &model.prompts {
        let default = if model.default_prompt_name.as_ref() == Some(name) { " (used when none is named)" } else { "" };
        text += &format!("prompt        {name}: {prompt:?}{default}\n");
    }
    let limit = model.max_seq_length.map_or_else(|| "as many as it has positions".to_owned(), |max| max.to_string());
    text += &format!("length limit  {limit} tokens\n");
    print(&text)?;

    let sentences: Vec<&str> = SAMPLES.iter().map(|(_, sentence, _)| *sentence).collect();
    for ((language, sentence, _), found) in SAMPLES.iter().zip(tokenize(&model, &sentences)?) {
        let bare =
            |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        let back = if found.again.trim() == *sentence {
            "the same text back".to_owned()
        } else if bare(&found.again) == bare(sentence) {
            "the same letters back".to_owned()
        } else {
            format!("back as {:?}", found.again)
        };
        print(&format!("tokenizer     {language}: {} tokens, {} unknown, {back}\n", found.tokens, found.unknown))?;
    }

    let options = Options { lang: arguments.lang.clone(), ..Options::default() };
    sense(&mut TorchEncoder::open_as(&folder, &arguments.opening.read()?, &options)?)
}

/// Whether a sentence is nearer to itself in lower case than to another.
fn sense(encoder: &mut dyn Encoder) -> Result<u8> {
    print(&format!("vectors       {} numbers, id {}\n", encoder.dim(), encoder.id()))?;
    let mut doubtful = 0;
    for (language, sentence, other) in SAMPLES {
        let (own, lower) = (language.parse::<Language>()?, sentence.to_lowercase());
        // Others may be there: a model of a few languages is no wrong one.
        if !encoder.has_language(own.code()) {
            print(&format!("sense         {language}: the model does not have this language\n"))?;
            continue;
        }
        let encoded = encoder.encode_tagged(&[(own, sentence), (own, &lower), (own, other)])?;
        if !encoded.without.is_empty() {
            print(&format!("sense         {language}: no token of the model is in a sentence of it\n"))?;
            doubtful += 1;
            continue;
        }
        let vectors = encoded.vectors;
        let cosine = |row: usize| -> f64 {
            vectors.row(0).iter().zip(vectors.row(row)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let (same, different) = (cosine(1), cosine(2));
        doubtful += usize::from(same <= different);
        let word = if same > different { "" } else { "  <- wrong way round" };
        print(&format!(
            "sense         {language}: itself in lower case {}, another sentence {}{word}\n",
            measure(same),
            measure(different)
        ))?;
    }
    if doubtful > 0 {
        say(&format!(
            "in {doubtful} of {} languages an unrelated sentence is nearer than the same in lower case: the model does not know them, or its pooling is wrong",
            SAMPLES.len()
        ));
    }
    Ok(DONE)
}

fn save_as(arguments: &SaveArgs) -> Result<u8> {
    let folder = cache::resolve(&arguments.model, Path::new(""))?;
    let opening = Opening { normalize: arguments.normalize, ..arguments.opening.read()? };
    let model = ModelFolder::open(&folder, &opening)?;
    save::save(&model, &arguments.target)
        .map_err(|error| error.while_doing(format!("saving {} as {}", folder.display(), arguments.target.display())))?;
    // What cannot be opened again was not saved.
    TorchEncoder::open(&arguments.target, &Options::default()).map_err(|error| {
        Error::with_source(ErrorKind::Model, "the saved folder was written and cannot be opened", error)
    })?;
    print(&format!("{}\n", arguments.target.display()))?;
    Ok(DONE)
}
