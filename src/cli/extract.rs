//! `extract`: the text of HTML and PDF files, for people.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{DONE, print, say};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::extract::{charset, html, pdf};
use crate::files;
use crate::record::BlockKind;

/// Arguments of `extract`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kopri extract page.html\n  kopri extract --json book.pdf | jq .text")]
pub(super) struct ExtractArgs {
    /// HTML or PDF files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// One JSON object a block: file, kind, page, text.
    #[arg(long)]
    json: bool,
}

pub(super) fn extract(arguments: &ExtractArgs) -> Result<u8> {
    let mut code = DONE;
    for path in &arguments.files {
        match blocks(path) {
            Ok(blocks) => print(&render(path, &blocks, arguments.json)?)?,
            Err(error) => {
                say(&format!("error: {error}"));
                code = exit::SOME_FAILED;
            }
        }
    }
    Ok(code)
}

type Block = (BlockKind, Option<u32>, String);

fn blocks(path: &Path) -> Result<Vec<Block>> {
    let bytes = files::read(path)?;
    if bytes.starts_with(b"%PDF") {
        let book = pdf::extract(&bytes, &pdf::Limits::default())
            .map_err(|error| error.while_doing(format!("reading {}", path.display())))?;
        for page in &book.pages {
            if matches!(page.state, pdf::PageState::Garbled | pdf::PageState::Scanned) {
                say(&format!(
                    "{}: page {} is left out, {:?}: {}",
                    path.display(),
                    page.number,
                    page.state,
                    page.evidence
                ));
            }
        }
        return Ok(book.blocks.into_iter().map(|block| (block.kind, Some(block.page), block.text)).collect());
    }
    let decoded = charset::decode(&bytes, None);
    // Links of a file have nowhere to lead to; the text does not need them.
    let base = url::Url::parse("http://localhost/")
        .map_err(|error| Error::with_source(ErrorKind::Bug, "a fixed URL", error))?;
    let extracted = html::extract(&decoded.text, &base, None);
    let title = extracted.title.map(|title| (BlockKind::Title, None, title));
    Ok(title.into_iter().chain(extracted.blocks.into_iter().map(|(kind, text)| (kind, None, text))).collect())
}

fn render(path: &Path, blocks: &[Block], json: bool) -> Result<String> {
    let mut out = String::new();
    for (kind, page, text) in blocks {
        if json {
            let line =
                serde_json::json!({ "file": path.display().to_string(), "kind": kind, "page": page, "text": text });
            let _ = writeln!(out, "{line}");
        } else {
            let _ = writeln!(out, "{text}\n");
        }
    }
    Ok(out)
}
