//! Plain texts in and files out, for the commands that need no pipeline.

use std::io::{self, Write};
use std::path::Path;

use super::written;
use crate::error::{Error, Result};
use crate::files;
use crate::model::lexical::{Lexical, LexicalFit, LexicalParams};

/// A whole text, without a byte order mark. One that is not UTF-8 is an error that names the line.
pub(super) fn read(path: &Path) -> Result<String> {
    let mut text = String::from_utf8(files::read(path)?).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::input(format!("{}, line {line}: it is not UTF-8", path.display()))
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Writes a file, which appears when it is whole, or with `-` to standard output.
pub(super) fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    if path != Path::new("-") {
        return files::write_atomically(path, write);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    written(write(&mut out).and_then(|()| out.flush()))
}

/// The encoder without weights, fitted to two texts.
pub(super) fn lexical(source: &[String], target: &[String]) -> Result<Lexical> {
    let mut fit = LexicalFit::new(LexicalParams::default())?;
    source.iter().chain(target).for_each(|text| fit.add(text));
    Ok(fit.finish())
}
