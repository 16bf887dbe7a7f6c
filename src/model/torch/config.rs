//! `config.json` of a network.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Context, ErrorKind, Result};
use crate::files;

/// Reads `config.json` of a folder and looks whether it describes what is supported.
///
/// # Errors
/// Kind `Model`, with the file: it cannot be read, or `check` refuses it.
pub fn read_config<T: DeserializeOwned>(folder: &Path, check: impl FnOnce(&T) -> Result<()>) -> Result<T> {
    let path = folder.join("config.json");
    let doing = || format!("reading the model configuration {}", path.display());
    let text = files::read_text(&path).context(ErrorKind::Model, doing)?;
    let config = serde_json::from_str(&text).context(ErrorKind::Model, doing)?;
    check(&config).map_err(|error| error.while_doing(doing()))?;
    Ok(config)
}
