//! `doctor`: what this program finds of libtorch, the machine, its caches and a workspace.

use std::path::PathBuf;

use clap::Args;

use super::{DONE, print};
use crate::error::{Result, exit};
use crate::model::cache::{self, Cache};
use crate::model::torch::compute::{self, Compute, Multiply};
use crate::model::torch::diagnose::{WANTED, diagnose};
use crate::model::torch::weights::our_cache;
use crate::model::torch::{Device, Dtype};
use crate::pipeline::Pipeline;
use crate::report::format::{plural, printable};
use crate::report::meter::bytes;
use crate::store::Store;
use crate::store::open::Access;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopri doctor\n  kopri doctor pipelines/turkmen-russian.toml")]
pub(super) struct DoctorArgs {
    /// A pipeline, whose files and workspace are looked at as well.
    #[arg(value_name = "PIPELINE.toml")]
    pipeline: Option<PathBuf>,
}

pub(super) fn doctor(arguments: &DoctorArgs) -> Result<u8> {
    let mut healthy = true;
    let mut line = |name: &str, text: String, good: bool| {
        healthy &= good;
        let mark = if good { "" } else { "  <- look at this" };
        print(&format!("{name:<12} {}{mark}\n", printable(&text)))
    };
    let found = diagnose();
    let version = found.version.clone().unwrap_or_else(|| "of unknown release".to_owned());
    let place = found.library.as_ref().map_or_else(|| "an unknown place".to_owned(), |path| path.display().to_string());
    let right = found.version.as_ref().is_none_or(|version| version.starts_with(WANTED));
    line("kopri", env!("CARGO_PKG_VERSION").to_owned(), true)?;
    line("libtorch", format!("{version} at {place} (needed: {WANTED})"), right)?;
    let with = |yes: bool| if yes { "yes" } else { "no" };
    let libraries = format!("{}, oneDNN {}, MKL {}", found.threads, with(found.onednn), with(found.mkl));
    line("threads", libraries, true)?;
    let features = if found.cpu.is_empty() { "none that count".to_owned() } else { found.cpu.join(" ") };
    line("cpu", features, true)?;
    line("cuda", found.cuda, true)?;
    line("computing", computing()?, true)?;
    let hub = Cache::from_environment();
    let models = hub.list()?;
    let size: u64 = models.iter().map(|model| model.bytes).sum();
    line("models", format!("{} in {} ({})", models.len(), hub.root.display(), bytes(size)), true)?;
    let ours = our_cache();
    line("converted", format!("{} in {}", bytes(cache::size(&ours)), ours.display()), true)?;
    line(
        "formats",
        "safetensors 0.8, tokenizer.json of tokenizers 0.23, sentence-transformers 2 to 6, PEFT LoRA".into(),
        true,
    )?;
    if let Some(path) = &arguments.pipeline {
        match Pipeline::load(path, &[]) {
            Ok(pipeline) => {
                line("pipeline", format!("{} can be read", path.display()), true)?;
                if !pipeline.embed.is_lexical() {
                    match cache::resolve(&pipeline.embed.model, &pipeline.folder) {
                        Ok(folder) => line("model", folder.display().to_string(), true)?,
                        Err(error) => line("model", error.to_string(), false)?,
                    }
                }
                let workspace = pipeline.workspace_folder();
                match Store::open(&workspace, Access::Read) {
                    Ok(_) => line("workspace", format!("{} opens", workspace.display()), true)?,
                    Err(error) => line("workspace", error.to_string(), !workspace.exists())?,
                }
            }
            Err(error) => line("pipeline", error.to_string(), false)?,
        }
    }
    Ok(if healthy { DONE } else { exit::SOME_FAILED })
}

/// What `auto` chooses here and why: the measured rate of each way to multiply.
fn computing() -> Result<String> {
    let chosen = Compute::choose(Device::Auto, Dtype::Auto)?;
    let gpus = chosen.iter().filter(|compute| !compute.is_cpu()).count();
    let why = if gpus > 0 {
        format!("{} on {}", chosen[0].multiply, plural(gpus as u64, "GPU"))
    } else {
        let native = if compute::multiplies_bf16() { "multiplies bf16 natively" } else { "has no bf16 of its own" };
        format!("{} on the CPU: the processor {native}", chosen[0].multiply)
    };
    let rates: Vec<String> = [Multiply::Int8, Multiply::Bf16, Multiply::OneDnn, Multiply::Blas]
        .into_iter()
        .filter(|multiply| *multiply != Multiply::Int8 || compute::multiplies_int8())
        .map(|multiply| Ok(format!("{multiply}: {:.0} GFLOP/s", compute::rate(multiply)? / 1e9)))
        .collect::<Result<_>>()?;
    Ok(format!("auto chooses {why} (CPU, measured: {})", rates.join("; ")))
}
