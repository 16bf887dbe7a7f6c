//! Export: kept pairs to files in the workspace's `export/` folder. A file is written anew, whole, when any verdict
//! behind it changed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ask::Asker;
use super::formats::{Format, PairWriter, TaskWriter};
use super::{Commit, Ctx, Inputs, Listing, Look, Progress, Settings, Stage, Unit, ask};
use crate::error::{Error, ErrorKind, Result};
use crate::files::Staged;
use crate::record::Task;
use crate::store::pairs::{JudgedPair, Selection};
use crate::store::table::Table;

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
        &["calibrate", "dedup", "annotate"]
    }

    fn reads(&self) -> &'static [Table] {
        &[
            Table::Pair,
            Table::Verdict,
            Table::PairFeatures,
            Table::Document,
            Table::Artefact,
            Table::Neighbours,
            Table::Sentence,
            Table::Task,
            Table::Annotation,
        ]
    }

    fn params(&self, _settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({  "export": null  }))
    }

    /// Every file.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let questions = ctx.settings::<ask::Params>()?;
        let mut units = Vec::new();
        for file in &ctx.settings::<Params>()?.files {
            let lost = !path_of(ctx, file)?.exists();
            let mut inputs = Inputs::new().value("file", &super::fingerprint(file)?);
            let pairs = [Table::Pair, Table::Verdict, Table::Document];
            let asked = [Table::Task, Table::Annotation];
            let bodies = [Table::PairFeatures, Table::Artefact, Table::Neighbours, Table::Sentence];
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
                    &ctx.store()?.annotations_fingerprint()?,
                    &questions.annotators.to_string(),
                ]);
                inputs.tables(&asked, &open).tables(&pairs, &ctx.stage_output("dedup")?).tables(&bodies, "")
            } else if file.format == Format::LabelStudio {
                // A task's name is that of a question that was asked, so which were is no part of it.
                ask::bodies(ctx, questions, inputs)?.tables(&asked, "")
            } else {
                inputs.tables(&pairs, &ctx.stage_output("dedup")?).tables(&asked, "").tables(&bodies, "")
            };
            units.push(Unit::new(&file.path, inputs).lost(lost));
        }
        Ok(Listing::All(units))
    }

    /// Writes a file.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let files = &ctx.settings::<Params>()?.files;
        let file =
            files.iter().find(|file| file.path == unit.name).ok_or_else(|| Error::bug("a file without settings"))?;
        let store = ctx.store()?;
        let questions = (ctx.settings::<ask::Params>()?, ctx.settings_folder());
        let mut rows = 0;
        let staged = Staged::file(&path_of(ctx, file)?, |out| {
            rows = stream(&ctx.look(&store)?, file, questions, out, progress).map_err(Failure::into_error)?;
            Ok(())
        })?;
        let commit = Commit::nothing(format!("{rows} rows of {}", unit.input)).file(staged);
        Ok(commit.count("rows", rows as f64))
    }
}

/// How many pairs a file holds, from its unit's output.
pub fn rows_of(output: &str) -> Option<u64> {
    output.split_once(" rows of ")?.0.parse().ok()
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
