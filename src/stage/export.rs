//! Export: kept pairs to files in the workspace's `export/` folder. A file is written anew, whole, when any verdict
//! behind it changed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ask::Asker;
use super::formats::{Format, PairWriter, TaskWriter};
use super::{Listing, Look, Output, Records, Stage, Unit, Work, ask, combined};
use crate::error::{Error, Result};
use crate::files;
use crate::record::Task;
use crate::store::pairs::{JudgedPair, Selection};

/// Raised when the same pairs give another file.
pub const VERSION: u32 = 1;

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

/// Every file.
///
/// # Errors
/// Kind `Store`.
pub fn units(look: &Look<'_>, params: &Params, questions: &ask::Params) -> Result<Listing> {
    let kept = look.store.stage_output(Stage::Dedup.name())?;
    let asked = look.store.stage_output(Stage::Ask.name())?;
    let mut units = Vec::new();
    for file in &params.files {
        let lost = !path_of(look, file)?.exists();
        let of = if file.pairs == Which::Asked { &asked } else { &kept };
        let made_by = (file.format == Format::LabelStudio).then_some((questions.interface, &questions.config));
        let input = combined(&[of, &super::fingerprint(&(file, made_by))?]);
        units.push(Unit { lost, ..Unit::new(&file.path, input) });
    }
    Ok(Listing::All(units))
}

/// Writes a file.
///
/// # Errors
/// Kind `Store`; kind `Config` for a name outside `export/`.
pub fn prepare(look: &Look<'_>, params: &Params, questions: Questions<'_>, unit: &Unit) -> Result<Work> {
    let file =
        params.files.iter().find(|file| file.path == unit.name).ok_or_else(|| Error::bug("a file without settings"))?;
    let path = path_of(look, file)?;
    let rows = write(look, file, questions, &path)?;
    let fingerprint = format!("{rows} rows of {}", unit.input);
    Ok(Box::new(move || Ok(Output { records: Records::Nothing, fingerprint, counts: vec![("rows", rows as f64)] })))
}

/// How many pairs a file holds, from its unit's output.
pub fn rows_of(output: &str) -> Option<u64> {
    output.split_once(" rows of ")?.0.parse().ok()
}

fn path_of(look: &Look<'_>, file: &File) -> Result<PathBuf> {
    let name = std::path::Path::new(&file.path);
    if !name.components().all(|part| matches!(part, std::path::Component::Normal(_))) {
        return Err(Error::config(format!(
            "export.files names {:?}: a plain name inside the workspace's export folder is wanted",
            file.path
        )));
    }
    Ok(look.store.folder().join("export").join(name))
}

/// Writes the pairs of a file's selection; answers how many.
fn write(look: &Look<'_>, file: &File, questions: Questions<'_>, path: &std::path::Path) -> Result<u64> {
    let mut rows = 0;
    let mut failed = None;
    files::write_atomically(path, |out| {
        let written = stream(look, file, questions, out);
        match written {
            Ok(count) => rows = count,
            Err(Failure::Io(error)) => return Err(error),
            Err(Failure::Ours(error)) => {
                failed = Some(error);
                return Err(std::io::Error::other("reading pairs"));
            }
        }
        Ok(())
    })
    .map_err(|error| failed.take().unwrap_or(error))?;
    Ok(rows)
}

/// What tasks are made by: the settings of `[annotate]`, and the folder that its paths are relative to.
pub type Questions<'a> = (&'a ask::Params, &'a std::path::Path);

enum Failure {
    Io(std::io::Error),
    Ours(Error),
}

fn stream(
    look: &Look<'_>,
    file: &File,
    questions: Questions<'_>,
    out: &mut dyn std::io::Write,
) -> Result<u64, Failure> {
    match file.format {
        Format::LabelStudio => write_tasks(look, file, questions, out),
        _ => write_pairs(look, file, out),
    }
}

/// Streams pairs of the store into a format.
fn write_pairs(look: &Look<'_>, file: &File, out: &mut dyn std::io::Write) -> Result<u64, Failure> {
    let mut writer = PairWriter::begin(out, file.format, look.languages).map_err(Failure::Io)?;
    let mut io_error = None;
    each_pair(look, file, &mut |judged| {
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
) -> Result<u64, Failure> {
    let labelling = params.labelling(folder).map_err(Failure::Ours)?.1;
    let mut writer = TaskWriter::begin(out).map_err(Failure::Io)?;
    let limit = file.limit.unwrap_or(u64::MAX);
    let (mut io_error, mut count) = (None, 0);
    let mut put = |task: Task| -> Result<bool> {
        labelling.check(&task.body).map_err(|why| {
            Error::config(format!("the task of {} does not fit the labelling configuration: {why}", task.pair))
        })?;
        count += 1;
        io_error = writer.write(&task.body).err();
        Ok(io_error.is_none() && count < limit)
    };
    let walked = if file.pairs == Which::Asked {
        let mut more = limit > 0;
        look.store.for_each_open_task(params.interface, params.annotators, |task| {
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
        look.store.for_each_uncertain_pair(limit, &mut put)
    } else {
        look.store.for_each_pair(file.pairs.selection(), &mut put)
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
    stream(look, file, (params, folder), out).map_err(|failure| match failure {
        Failure::Io(error) => Error::with_source(crate::error::ErrorKind::Store, "writing pairs", error),
        Failure::Ours(error) => error,
    })
}
