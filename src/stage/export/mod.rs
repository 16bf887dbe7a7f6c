//! Export: kept pairs to files in the workspace's `export/` folder. When verdicts behind a file change, its unchanged rows
//! are copied and the others written anew ([`patch`]); a file that is new, sorted otherwise or changed by somebody is
//! written whole.

pub mod patch;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ask::Asker;
use super::formats::{self, Format, PairWriter, TaskWriter};
use super::{Commit, Ctx, Inputs, Listing, Look, Progress, Settings, Stage, Unit, ask};
use crate::error::{Error, ErrorKind, Result};
use crate::files::Staged;
use crate::record::Task;
use crate::store::table::Table;
use crate::store::text_pairs::{JudgedPair, Selection};
pub use patch::rank;

/// Raised when the same pairs give another file.
pub const VERSION: u32 = 1;

/// The stage.
#[derive(Debug)]
pub struct Export;

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct File {
    /// Its format.
    pub format: Format,
    /// Its name, inside the workspace's `export/`.
    pub path: String,
    /// Which pairs.
    #[serde(default)]
    pub pairs: Which,
    /// The most pairs it may hold; all when absent.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Which pairs a file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// Those that passed the filter, best first.
    #[default]
    Kept,
    /// Those that the filter dropped, with the reason.
    Dropped,
    /// All that the filter saw.
    All,
    /// Those nearest to a score of one half, kept or dropped for their score.
    Uncertain,
    /// The questions that wait for an answer (`stage::ask`); for Label Studio only.
    Asked,
}

impl Which {
    /// In words, as in "pairs that …".
    pub fn words(self) -> &'static str {
        match self {
            Self::Kept => "pairs that are kept",
            Self::Dropped => "pairs that are dropped",
            Self::All => "all pairs",
            Self::Uncertain => "pairs with a score near one half",
            Self::Asked => "pairs that people are asked about",
        }
    }

    fn selection(self) -> Selection {
        match self {
            Self::Kept => Selection::Kept,
            Self::Dropped => Selection::Dropped,
            Self::All | Self::Uncertain | Self::Asked => Selection::All,
        }
    }
}

impl File {
    /// What types alone cannot say.
    ///
    /// # Errors
    /// Kind `Config`.
    pub fn check(&self) -> Result<()> {
        if self.pairs == Which::Asked && self.format != Format::LabelStudio {
            return Err(Error::config(format!(
                "the questions that wait are tasks for label-studio, and no pairs for {}",
                self.format.name()
            )));
        }
        Ok(())
    }

    /// What it holds, in words.
    pub fn holds(&self) -> &'static str {
        if self.format == Format::LabelStudio { "tasks" } else { "pairs" }
    }
}

/// What to write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// The files.
    pub files: Vec<File>,
}

impl Stage for Export {
    fn name(&self) -> &'static str {
        "export"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "file"
    }

    fn after(&self) -> &'static [&'static str] {
        &["dedup", "annotate"]
    }

    fn reads(&self) -> &'static [Table] {
        &[
            Table::TextPair,
            Table::Occurrence,
            Table::Verdict,
            Table::NearDuplicate,
            Table::Score,
            Table::Document,
            Table::Neighbours,
            Table::Sentence,
            Table::Task,
            Table::Annotation,
        ]
    }

    fn params(&self, _settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "export": null }))
    }

    /// Every file.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let questions = ctx.settings::<ask::Params>()?;
        let (store, scope) = (ctx.store()?, ctx.scope_name());
        let judged = store.judgement_stamp(&scope)?.to_string();
        let mut units = Vec::new();
        for file in &ctx.settings::<Params>()?.files {
            let lost = !path_of(ctx, file)?.exists();
            let mut inputs = Inputs::new().value("file", &super::fingerprint(file)?);
            let pairs = [
                Table::TextPair,
                Table::Occurrence,
                Table::Verdict,
                Table::NearDuplicate,
                Table::Score,
                Table::Document,
            ];
            let asked = [Table::Task, Table::Annotation];
            let bodies = [Table::Neighbours, Table::Sentence];
            if file.format == Format::LabelStudio {
                inputs = inputs.value("interface", &super::fingerprint(&(questions.interface, &questions.config))?);
                if let Some(path) = &questions.config {
                    inputs = inputs.value("config", &ctx.file_hash(&ctx.settings_folder().join(path))?);
                }
            }
            inputs = if file.pairs == Which::Asked {
                // Questions keep their texts; which are open depends on the answers.
                let open = super::combined(&[
                    &ctx.stage_output("annotate")?,
                    &store.annotations_fingerprint(&scope)?,
                    &questions.annotators.to_string(),
                ]);
                inputs.tables(&asked, &open).tables(&pairs, &judged).tables(&bodies, "")
            } else if file.format == Format::LabelStudio {
                // A task's name is that of a question that was asked, so which were is no part of it.
                ask::bodies(ctx, questions, inputs)?.tables(&asked, "")
            } else {
                inputs.tables(&pairs, &judged).tables(&asked, "").tables(&bodies, "")
            };
            units.push(Unit::new(&file.path, inputs).lost(lost));
        }
        Ok(Listing::All(units))
    }

    /// Writes a file: brings the one that is there up to date, or writes it whole.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let files = &ctx.settings::<Params>()?.files;
        let file =
            files.iter().find(|file| file.path == unit.name).ok_or_else(|| Error::bug("a file without settings"))?;
        let (store, path) = (ctx.store()?, path_of(ctx, file)?);
        let look = ctx.look(&store)?;
        let made = super::fingerprint(&(VERSION, env!("CARGO_PKG_VERSION"), file, look.languages))?;
        let stamp = store.judgement_stamp(&look.scope())?;
        let known = ctx.unit_output("export", &unit.name)?.as_deref().and_then(Written::parse);
        let updated = match known.filter(|known| known.made == made) {
            Some(known) => update(&look, file, &path, &known, stamp)?,
            None => None,
        };
        let Updated { staged, rows, hash, anew } = match updated {
            Some(updated) => updated,
            None => write(&look, file, (ctx.settings::<ask::Params>()?, ctx.settings_folder()), &path, progress)?,
        };
        let output = Written { rows, hash, stamp, made }.to_string();
        let counts = [("rows", rows as f64), ("rows written anew", anew as f64)];
        Ok(Commit::nothing(output).file(staged).counts(counts))
    }
}

/// A file that waits to be published.
struct Updated {
    staged: Staged,
    rows: u64,
    /// BLAKE3 of its bytes.
    hash: String,
    /// Rows that were not copied from the older file.
    anew: u64,
}

/// What is known of a file that was written, as its unit's output.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    rows: u64,
    /// BLAKE3 of its bytes.
    hash: String,
    /// The newest change that it holds.
    stamp: u64,
    /// Hash of how it was made.
    made: String,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows of {} {} {}", self.rows, self.stamp, self.made, self.hash)
    }
}

impl Written {
    fn parse(output: &str) -> Option<Self> {
        let (rows, rest) = output.split_once(" rows of ")?;
        let mut rest = rest.split(' ');
        let (stamp, made, hash) = (rest.next()?.parse().ok()?, rest.next()?.to_owned(), rest.next()?.to_owned());
        Some(Self { rows: rows.parse().ok()?, hash, stamp, made })
    }
}

/// How many pairs a file holds, from its unit's output.
pub fn rows_of(output: &str) -> Option<u64> {
    Written::parse(output).map(|written| written.rows)
}

/// The share of a file's rows that may change for it to be brought up to date rather than written whole.
const MOST_CHANGED: f64 = 0.25;

/// Brings a file up to date. `None`: it must be written whole, since too much changed, its pairs are not in the order of
/// their scores, or it is not as it was left.
fn update(
    look: &Look<'_>,
    file: &File,
    path: &std::path::Path,
    known: &Written,
    stamp: u64,
) -> Result<Option<Updated>> {
    let keeps = |judged: &JudgedPair| match file.pairs {
        Which::Kept => judged.drop.is_none(),
        Which::Dropped => judged.drop.is_some(),
        _ => true,
    };
    let in_order = matches!(file.pairs, Which::Kept | Which::Dropped | Which::All) && file.limit.is_none();
    if !in_order || file.format == Format::LabelStudio || !path.is_file() || stamp < known.stamp {
        return Ok(None);
    }
    let changed = look.store.changed_pairs(&look.scope(), known.stamp)?;
    if changed.len() as f64 > known.rows as f64 * MOST_CHANGED || look.store.pruned_stamp()? > known.stamp {
        return Ok(None);
    }
    let io = |error| Error::with_source(ErrorKind::Store, "updating an exported file", error);
    let mut new = Vec::new();
    for id in &changed {
        if let Some(judged) = look.store.judged_pair(*id)?.filter(keeps) {
            let bytes = formats::entry(&judged, file.format, look.languages).map_err(io)?;
            new.push((patch::Place::of(judged.pair.score, *id), bytes));
        }
    }
    new.sort_by_key(|(place, _)| *place);
    let changed = changed.into_iter().collect();
    let (mut rows, mut hash, anew) = (0, String::new(), new.len() as u64);
    let staged = Staged::file(path, |out| {
        let mut old = Hashing { inner: std::fs::File::open(path).map_err(io)?, hasher: blake3::Hasher::new() };
        let mut out = Hashing { inner: out, hasher: blake3::Hasher::new() };
        let mut writer = PairWriter::begin(&mut out, file.format, look.languages).map_err(io)?;
        rows = patch::merge(&mut old, file.format, &changed, new, writer.inner())?;
        writer.finish().map_err(io)?;
        std::io::copy(&mut old, &mut std::io::sink()).map_err(io)?;
        if old.hasher.finalize().to_hex().as_str() != known.hash {
            return Err(Error::input(format!("{} is not as it was left", path.display())));
        }
        hash = out.hasher.finalize().to_hex().to_string();
        Ok(())
    });
    match staged {
        Ok(staged) => Ok(Some(Updated { staged, rows, hash, anew })),
        // Somebody changed the file: it is written whole.
        Err(error) if error.kind() == ErrorKind::Input => Ok(None),
        Err(error) => Err(error),
    }
}

/// Hashes what goes through it.
struct Hashing<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<T: std::io::Read> std::io::Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

impl<T: std::io::Write> std::io::Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// The folder of a language pair's files: with several pairs, each has one of its own.
pub fn folder(workspace: &Path, languages: super::Languages, pairs: usize) -> PathBuf {
    let export = workspace.join("export");
    if pairs > 1 { export.join(languages.name()) } else { export }
}

fn path_of(ctx: &Ctx<'_>, file: &File) -> Result<PathBuf> {
    let name = Path::new(&file.path);
    if !name.components().all(|part| matches!(part, std::path::Component::Normal(_))) {
        return Err(Error::config(format!(
            "export.files names {:?}: a plain name inside the workspace's export folder is wanted",
            file.path
        )));
    }
    Ok(folder(ctx.folder(), ctx.pair()?, ctx.pair_count()).join(name))
}

/// Writes the pairs of a file's selection.
fn write(
    look: &Look<'_>,
    file: &File,
    questions: Questions<'_>,
    path: &std::path::Path,
    progress: &Progress<'_>,
) -> Result<Updated> {
    let (mut rows, mut hash) = (0, String::new());
    let staged = Staged::file(path, |out| {
        let mut out = Hashing { inner: out, hasher: blake3::Hasher::new() };
        rows = stream(look, file, questions, &mut out, progress).map_err(Failure::into_error)?;
        hash = out.hasher.finalize().to_hex().to_string();
        Ok(())
    })?;
    Ok(Updated { staged, rows, hash, anew: rows })
}

/// What tasks are made by: the settings of `[annotate]`, and the folder that its paths are relative to.
pub type Questions<'a> = (&'a ask::Params, &'a std::path::Path);

enum Failure {
    Io(std::io::Error),
    Ours(Error),
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::Io(error) => Error::with_source(ErrorKind::Store, "writing pairs", error),
            Self::Ours(error) => error,
        }
    }
}

fn stream(
    look: &Look<'_>,
    file: &File,
    questions: Questions<'_>,
    out: &mut dyn std::io::Write,
    progress: &Progress<'_>,
) -> Result<u64, Failure> {
    match file.format {
        Format::LabelStudio => write_tasks(look, file, questions, out, progress),
        _ => write_pairs(look, file, out, progress),
    }
}

/// Streams pairs of the store into a format.
fn write_pairs(
    look: &Look<'_>,
    file: &File,
    out: &mut dyn std::io::Write,
    progress: &Progress<'_>,
) -> Result<u64, Failure> {
    let mut writer = PairWriter::begin(out, file.format, look.languages).map_err(Failure::Io)?;
    let mut io_error = None;
    each_pair(look, file, &mut |judged| {
        progress.check()?;
        io_error = writer.write(&judged).err();
        Ok(io_error.is_none())
    })
    .map_err(Failure::Ours)?;
    match io_error {
        Some(error) => Err(Failure::Io(error)),
        None => writer.finish().map_err(Failure::Io),
    }
}

/// Streams tasks: the questions that wait, or one for each pair of a selection. A pair of which no task can be made (it
/// has no second candidate) is passed over.
fn write_tasks(
    look: &Look<'_>,
    file: &File,
    (params, folder): Questions<'_>,
    out: &mut dyn std::io::Write,
    progress: &Progress<'_>,
) -> Result<u64, Failure> {
    let labelling = params.labelling(folder).map_err(Failure::Ours)?.1;
    let mut writer = TaskWriter::begin(out).map_err(Failure::Io)?;
    let limit = file.limit.unwrap_or(u64::MAX);
    let (mut io_error, mut count) = (None, 0);
    let mut put = |task: Task| -> Result<bool> {
        progress.check()?;
        labelling.check(&task.body).map_err(|why| {
            Error::config(format!("the task of {} does not fit the labelling configuration: {why}", task.pair))
        })?;
        count += 1;
        io_error = writer.write(&task.body).err();
        Ok(io_error.is_none() && count < limit)
    };
    let walked = if file.pairs == Which::Asked {
        let mut more = limit > 0;
        look.store.for_each_open_task(&look.scope(), params.interface, params.annotators, |task| {
            more = more && put(task)?;
            Ok(())
        })
    } else {
        Asker::new(look, params).and_then(|asker| {
            each_pair(look, &File { limit: None, ..file.clone() }, &mut |judged| {
                let task = asker.by_hand(look, params.interface, &judged)?;
                task.map_or(Ok(limit > 0), &mut put)
            })
        })
    };
    walked.map_err(Failure::Ours)?;
    match io_error {
        Some(error) => Err(Failure::Io(error)),
        None => writer.finish().map_err(Failure::Io),
    }
}

/// Walks over the pairs of a file's selection, at most its limit, until `each` answers that it has enough.
fn each_pair(look: &Look<'_>, file: &File, each: &mut dyn FnMut(JudgedPair) -> Result<bool>) -> Result<()> {
    let limit = file.limit.unwrap_or(u64::MAX);
    let (mut count, mut more) = (0, true);
    let mut put = |judged: JudgedPair| {
        if more && count < limit {
            count += 1;
            more = each(judged)?;
        }
        Ok(())
    };
    if file.pairs == Which::Uncertain {
        look.store.for_each_uncertain_pair(&look.scope(), limit, &mut put)
    } else {
        look.store.for_each_pair(&look.scope(), file.pairs.selection(), &mut put)
    }
}

/// Writes pairs or tasks to any writer.
///
/// # Errors
/// Kind `Store`; kind `Config` when a task does not fit a labelling configuration of one's own.
pub fn write_to(
    look: &Look<'_>,
    file: &File,
    params: &ask::Params,
    folder: &std::path::Path,
    out: &mut dyn std::io::Write,
) -> Result<u64> {
    let stop = crate::engine::Stop::default();
    stream(look, file, (params, folder), out, &Progress::new(&stop)).map_err(Failure::into_error)
}
