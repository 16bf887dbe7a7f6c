//! Opening a PDF, shielded from what damaged files do to a parser.

use std::any::Any;

use lopdf::{Document, LoadOptions};

use super::Limits;
use crate::error::{Context, Error, ErrorKind, Result};

/// Stack of the parsing thread: lopdf descends into nested objects recursively.
const STACK: usize = 64 << 20;
/// What one object stream may inflate to while loading.
const MAX_INFLATED: usize = 256 << 20;

/// Loads a document on a thread of its own and hands it to `work` there; a panic of either becomes an error.
///
/// # Errors
/// Kind `Input`: the file is too large, damaged, or needs a password; or the parser panicked.
pub(super) fn with_document<T: Send>(
    bytes: &[u8],
    limits: &Limits,
    work: impl FnOnce(&Document) -> Result<T> + Send,
) -> Result<T> {
    if bytes.len() > limits.max_bytes {
        return Err(Error::input(format!(
            "the PDF has {} bytes, more than the {} allowed (max_bytes)",
            bytes.len(),
            limits.max_bytes
        )));
    }
    shielded(|| work(&load(bytes)?))
}

fn load(bytes: &[u8]) -> Result<Document> {
    let options = LoadOptions { max_decompressed_size: Some(MAX_INFLATED), ..LoadOptions::default() };
    let document =
        Document::load_mem_with_options(bytes, options).context(ErrorKind::Input, || "reading the PDF".to_owned())?;
    // lopdf has tried the empty password, with which files are encrypted that only restrict printing or copying.
    if document.trailer.has(b"Encrypt") && !document.was_encrypted() {
        return Err(Error::input(
            "the PDF is encrypted and the empty password does not open it; supply a decrypted copy",
        ));
    }
    Ok(document)
}

fn shielded<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("pdf".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .context(ErrorKind::Bug, || "starting the PDF thread".to_owned())?;
        thread.join().unwrap_or_else(|panic| {
            Err(Error::input(format!(
                "the PDF parser panicked ({}); the file is damaged in a way it does not foresee",
                cause(&*panic)
            )))
        })
    })
}

fn cause(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_names_its_cause() {
        let error = shielded::<()>(|| panic!("index {} out of bounds", 7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains("index 7 out of bounds"), "{error}");
    }

    #[test]
    fn a_file_over_the_limit_and_a_file_that_is_no_pdf() {
        let limits = Limits { max_bytes: 10, ..Limits::default() };
        let error = with_document(b"%PDF-1.4 and more", &limits, |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("max_bytes"), "{error}");
        let error = with_document(b"<html>", &limits, |_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("reading the PDF: "), "{error}");
    }
}
