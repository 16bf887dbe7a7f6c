//! `export`, `import`: pairs and annotations in and out.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{Common, DONE, say};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::files;
use crate::report::format::printable;
use crate::stage::export::{self, File, Which};
use crate::stage::formats::Format;
use crate::stage::{Look, annotate, fingerprint, pairs_in};
use crate::store::Store;
use crate::store::open::Access;

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kopri export pipelines/demo.toml tsv > pairs.tsv\n  kopri export pipelines/demo.toml label-studio > tasks.json      the questions that wait\n  kopri export pipelines/demo.toml label-studio --pairs dropped --limit 200 > tasks.json"
)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    common: Common,
    /// The format.
    #[arg(value_enum)]
    format: FormatName,
    /// Which pairs: kept ones unless it is said, and for Label Studio the questions that wait for an answer.
    #[arg(long, value_enum)]
    pairs: Option<WhichName>,
    /// The most pairs to write.
    #[arg(long)]
    limit: Option<u64>,
}

/// `Format` for clap.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    Tsv,
    Jsonl,
    Tmx,
    LabelStudio,
}

/// `Which` for clap.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum WhichName {
    Kept,
    Dropped,
    All,
    Uncertain,
    Asked,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Pairs and annotations take effect with the next `kopri run`, which filters them.\n\nExamples:\n  kopri import pipelines/demo.toml label-studio export.json\n  kopri import pipelines/demo.toml tmx old-memory.tmx"
)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    common: Common,
    /// What the file is: Label Studio's export (JSON, a snapshot or JSON_MIN), or pairs.
    #[arg(value_enum)]
    format: FormatName,
    /// The file.
    file: PathBuf,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Tsv => Self::Tsv,
            FormatName::Jsonl => Self::Jsonl,
            FormatName::Tmx => Self::Tmx,
            FormatName::LabelStudio => Self::LabelStudio,
        }
    }
}

impl From<WhichName> for Which {
    fn from(name: WhichName) -> Self {
        match name {
            WhichName::Kept => Self::Kept,
            WhichName::Dropped => Self::Dropped,
            WhichName::All => Self::All,
            WhichName::Uncertain => Self::Uncertain,
            WhichName::Asked => Self::Asked,
        }
    }
}

pub(super) fn export(arguments: &ExportArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let store = Store::open(&pipeline.workspace_folder(), Access::Read)?;
    let look = Look { store: &store, languages: pipeline.languages(), key: "" };
    let format = Format::from(arguments.format);
    let pairs = match (arguments.pairs, format) {
        (Some(pairs), _) => pairs.into(),
        (None, Format::LabelStudio) => Which::Asked,
        (None, _) => Which::Kept,
    };
    let file = File { format, path: String::new(), pairs, limit: arguments.limit };
    file.check().map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = export::write_to(&look, &file, &pipeline.annotate, &pipeline.folder, &mut out).and_then(|rows| {
        std::io::Write::flush(&mut out)
            .map_err(|error| Error::with_source(ErrorKind::Store, "writing pairs", error))?;
        Ok(rows)
    });
    match written {
        Ok(rows) => say(&format!("{rows} {} written as {}", file.holds(), file.format.name())),
        // `| head` has seen enough.
        Err(error) if error.to_string().contains("Broken pipe") => {}
        Err(error) => return Err(error),
    }
    Ok(DONE)
}

pub(super) fn import(arguments: &ImportArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let mut store = Store::open(&pipeline.workspace_folder(), Access::Write)?;
    let path = &arguments.file;
    match Format::from(arguments.format) {
        Format::LabelStudio => annotations(&mut store, path),
        Format::Tsv => pairs(&mut store, path, &pipeline.name, pairs_in::read_tsv(path)?),
        Format::Jsonl => pairs(&mut store, path, &pipeline.name, pairs_in::read_jsonl(path)?),
        Format::Tmx => {
            let memory = crate::extract::tmx::read(&files::read(path)?, pipeline.source, pipeline.target)
                .map_err(|error| error.while_doing(format!("reading {}", path.display())))?;
            memory.problems.iter().for_each(|problem| say(&format!("left out: {problem}")));
            let read = memory
                .pairs
                .iter()
                .map(|(source, target)| pairs_in::imported(&pairs_in::unit_name(path), source, target))
                .collect::<Result<_>>()?;
            pairs(&mut store, path, &pipeline.name, read)
        }
    }
}

/// Takes annotations in; a second import of the same file changes nothing.
fn annotations(store: &mut Store, path: &std::path::Path) -> Result<u8> {
    let tally = annotate::read_label_studio(store, path)?;
    tally.lines().iter().for_each(|line| say(&printable(line)));
    Ok(if tally.problems() == 0 { DONE } else { exit::SOME_FAILED })
}

/// Takes pairs in, as the work of a unit named after the file: importing it again replaces them.
fn pairs(store: &mut Store, path: &std::path::Path, pipeline: &str, mut pairs: Vec<crate::record::Pair>) -> Result<u8> {
    let unit = pairs_in::unit_name(path);
    // A file may hold a pair twice.
    let mut seen = std::collections::HashSet::new();
    pairs.retain(|pair| seen.insert(pair.id));
    let now = Timestamp::now();
    let output = fingerprint(&serde_json::json!(pairs))?;
    let writer = store.writer()?;
    let run = writer.begin_run(now, pipeline, &serde_json::json!({ "import": unit }))?;
    writer.put_pairs("import", &unit, &pairs)?;
    writer.unit_done("import", &unit, "", &output, &output, run, now)?;
    writer.finish_run(run, now, "done")?;
    writer.commit()?;
    say(&format!("{} pairs imported from {}", pairs.len(), path.display()));
    Ok(DONE)
}
