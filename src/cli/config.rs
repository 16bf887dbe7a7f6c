//! `config show`: the configuration with the layer behind every value.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::{Common, DONE, print, to_json};
use crate::error::Result;
use crate::files;

/// Arguments of `config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show every value.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    common: Common,
    /// Say for each value whether the default, the file or --set gave it.
    #[arg(long)]
    origin: bool,
}

pub(super) fn config(arguments: &ConfigArgs) -> Result<u8> {
    let ConfigCommand::Show(show) = &arguments.command;
    let pipeline = show.common.load()?;
    if show.common.json {
        print(&to_json(&pipeline)?)?;
        return Ok(DONE);
    }
    let text = files::read_text(&show.common.pipeline)?;
    let mut out = String::new();
    for (key, value, layer) in pipeline.origins(&text, &show.common.set)? {
        let _ = if show.origin { writeln!(out, "{layer:<8}{key} = {value}") } else { writeln!(out, "{key} = {value}") };
    }
    print(&out)?;
    Ok(DONE)
}
