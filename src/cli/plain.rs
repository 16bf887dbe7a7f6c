//! Plain texts in and files out, for the commands that need no pipeline.

use std::io::{self, Write};
use std::path::Path;

use super::{say, written};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::model::Encoder;
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
        return files::write_out(path, write);
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

/// Lines that are named one by one.
const NAMED: usize = 10;

/// Says which lines of a file (counted from 0) have no vector, so that they are left alone.
pub(super) fn tell_without_vector(file: &str, lines: &[usize]) {
    for line in lines.iter().take(NAMED) {
        say(&format!("{file}, line {}: no token of the model is in it; it is left alone", line + 1));
    }
    if lines.len() > NAMED {
        say(&format!("{file}: {} such lines in all", lines.len()));
    }
}

/// Nothing of a file has a vector.
pub(super) fn without_vectors(file: &str, model: &crate::model::ModelId) -> Error {
    Error::input(format!("{file}: no line of it has a token of {model}: is the text in a script that the model knows?"))
}

/// The language of a side, as its option gives it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    /// `--source-lang` or `--target-lang`.
    pub(super) option: &'a str,
    /// What it says.
    pub(super) lang: Option<&'a str>,
    /// Whether it has a use beside the model's.
    pub(super) used: bool,
}

impl Told<'_> {
    /// Makes an encoder read what follows in this language. Asked of both sides before either is encoded, it finds what
    /// is wrong while nothing is lost.
    ///
    /// # Errors
    /// Kind `Usage`: the model wants a language and none is given, or one is given that is of no use.
    pub(super) fn tell(self, encoder: &mut dyn Encoder) -> Result<()> {
        let (option, usage) = (self.option, |what: String| Err(Error::new(ErrorKind::Usage, what)));
        match (encoder.wants_language(), self.lang) {
            (true, Some(lang)) => encoder.read_as(lang).map_err(|error| error.while_doing(format!("{option} {lang}"))),
            (true, None) => usage(format!(
                "{} must know the language of its texts: give {option}, such as tk or tuk_Latn",
                encoder.id()
            )),
            (false, Some(lang)) if !self.used => {
                usage(format!("{option} is {lang:?}, and {} knows no languages: leave it out", encoder.id()))
            }
            (false, _) => Ok(()),
        }
    }
}
