//! `export`, `import`: pairs and annotations in and out.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Common, DONE, print, say, to_json};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::report::format::{plural, printable};
use crate::stage::export::{self, File, Which};
use crate::stage::formats::Format;
use crate::stage::pairs_in::{self, Imported, Rows};
use crate::stage::{Look, annotate};
use crate::store::Store;
use crate::store::imports::Import;
use crate::store::open::Access;

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kopri export pipelines/demo.toml --pair ru-tk tsv > pairs.tsv\n  kopri export pipelines/demo.toml --pair ru-tk label-studio > tasks.json      the questions that wait\n  kopri export pipelines/demo.toml --pair ru-tk label-studio --pairs dropped --limit 200 > tasks.json"
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
    /// The language pair, such as `ru-tk`, of a pipeline with several.
    #[arg(long, value_name = "PAIR")]
    pair: Option<String>,
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
    after_help = "Pairs and annotations take effect with the next `kopri run`, which filters them. A path that is imported again replaces its pairs; the same content under another path is not imported twice. Bad rows are named and left out (exit code 3).\n\nExamples:\n  kopri import pipelines/demo.toml label-studio export.json\n  kopri import pipelines/demo.toml --pair ru-tk tmx old-memory.tmx --licence CC-BY-4.0\n  kopri import pipelines/demo.toml --list\n  kopri import pipelines/demo.toml --remove old-memory.tmx"
)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    common: Common,
    /// What the file is: Label Studio's export (JSON, a snapshot or JSON_MIN), or pairs.
    #[arg(value_enum, required_unless_present_any = ["list", "remove"])]
    format: Option<FormatName>,
    /// The file.
    #[arg(required_unless_present_any = ["list", "remove"])]
    file: Option<PathBuf>,
    /// The language pair that imported pairs belong to, such as `ru-tk`, of a pipeline with several.
    #[arg(long, value_name = "PAIR")]
    pair: Option<String>,
    /// The licence of the pairs, such as CC-BY-4.0, to be kept with them.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["list", "remove"])]
    licence: Option<String>,
    /// List the imports of pairs: id, format, pairs, rows left out, day, licence, path.
    #[arg(long, conflicts_with_all = ["format", "file", "remove"])]
    list: bool,
    /// Take an import's pairs away, by its id or its path.
    #[arg(long, value_name = "ID|PATH", conflicts_with_all = ["format", "file"])]
    remove: Option<String>,
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
    let scope = pipeline.scope_named(arguments.pair.as_deref())?;
    let settings = pipeline.settings(scope);
    let look = Look { store: &store, languages: scope, key: "" };
    let format = Format::from(arguments.format);
    let pairs = match (arguments.pairs, format) {
        (Some(pairs), _) => pairs.into(),
        (None, Format::LabelStudio) => Which::Asked,
        (None, _) => Which::Kept,
    };
    let file = File { format, path: String::new(), pairs, limit: arguments.limit };
    file.check().map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = export::write_to(&look, &file, &settings.annotate, &pipeline.folder, &mut out).and_then(|rows| {
        std::io::Write::flush(&mut out)
            .map_err(|error| Error::with_source(ErrorKind::Store, "writing pairs", error))?;
        Ok(rows)
    });
    match written {
        Ok(rows) => say(&format!("{rows} {} written as {}", file.holds(), file.format.name())),
        // `| head` has seen enough.
        Err(error) if error.is_closed_pipe() => {}
        Err(error) => return Err(error),
    }
    Ok(DONE)
}

/// Bad rows that are named; the others are counted.
const NAMED: usize = 10;

pub(super) fn import(arguments: &ImportArgs) -> Result<u8> {
    let pipeline = arguments.common.load()?;
    let folder = pipeline.workspace_folder();
    if arguments.list {
        return list(&Store::open(&folder, Access::Read)?, arguments.common.json);
    }
    let mut store = Store::open(&folder, Access::Write)?;
    if let Some(name) = &arguments.remove {
        let gone = pairs_in::remove(&mut store, name)?;
        say(&format!("removed {}: {} of {}", gone.id, plural(gone.pairs, "pair"), gone.path));
        return Ok(DONE);
    }
    let (Some(format), Some(path)) = (arguments.format, &arguments.file) else {
        return Err(Error::new(ErrorKind::Usage, "name a format and a file, or give --list or --remove"));
    };
    let format = Format::from(format);
    if format == Format::LabelStudio {
        if arguments.licence.is_some() {
            return Err(Error::new(ErrorKind::Usage, "--licence is of pairs: annotations have none"));
        }
        return annotations(&mut store, path);
    }
    let licence = arguments.licence.as_deref();
    let scope = pipeline.scope_named(arguments.pair.as_deref())?;
    match pairs_in::import(&mut store, &pipeline.name, path, format, scope, licence)? {
        Imported::New(import, rows) => Ok(told(&import, &rows)),
        Imported::Unchanged(import) => {
            say(&format!("unchanged: {} was imported as {} on {}", import.path, import.id, day(&import)));
            Ok(DONE)
        }
        Imported::Elsewhere(import) => {
            say(&format!(
                "already imported: {} has the same content as {} ({}, {}); nothing was done",
                path.display(),
                import.path,
                import.id,
                day(&import)
            ));
            Ok(DONE)
        }
    }
}

/// Says what an import brought, and what it left out.
fn told(import: &Import, rows: &Rows) -> u8 {
    rows.problems.iter().take(NAMED).for_each(|problem| say(&format!("left out: {problem}")));
    let more = rows.problems.len().saturating_sub(NAMED);
    if more > 0 {
        say(&format!("left out: {} more", plural(more as u64, "row")));
    }
    let repeated = match rows.repeated {
        0 => String::new(),
        count => format!(", {count} that come again not counted"),
    };
    let left_out = match import.left_out {
        0 => String::new(),
        count => format!(", {} left out", plural(count, "bad row")),
    };
    say(&format!(
        "{} imported from {} as {}{repeated}{left_out}",
        plural(import.pairs, "pair"),
        import.path,
        import.id
    ));
    if rows.problems.is_empty() { DONE } else { exit::SOME_FAILED }
}

/// A table of the imports.
fn list(store: &Store, json: bool) -> Result<u8> {
    let imports = store.imports()?;
    if json {
        print(&to_json(&imports)?)?;
        return Ok(DONE);
    }
    if imports.is_empty() {
        say("nothing was imported yet");
        return Ok(DONE);
    }
    let mut text =
        format!("{:<17}  {:<6}{:>10}{:>9}  {:<10}  {:<14}  path\n", "id", "format", "pairs", "bad", "when", "licence");
    for import in imports {
        let licence = import.licence.as_deref().unwrap_or("not given");
        text += &format!(
            "{:<17}  {:<6}{:>10}{:>9}  {:<10}  {:<14}  {}\n",
            import.id,
            import.format,
            import.pairs,
            import.left_out,
            day(&import),
            printable(licence),
            printable(&import.path)
        );
    }
    print(&text)?;
    Ok(DONE)
}

fn day(import: &Import) -> String {
    import.imported_at.strftime("%Y-%m-%d").to_string()
}

/// Takes annotations in; a second import of the same file changes nothing.
fn annotations(store: &mut Store, path: &std::path::Path) -> Result<u8> {
    let tally = annotate::read_label_studio(store, path)?;
    tally.lines().iter().for_each(|line| say(&printable(line)));
    Ok(if tally.problems() == 0 { DONE } else { exit::SOME_FAILED })
}
