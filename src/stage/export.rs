//! Export: kept pairs to files in the workspace's `export/` folder. A file is written anew, whole, when any verdict
//! behind it changed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::formats::{Format, PairWriter};
use super::{Listing, Look, Output, Records, Stage, Unit, Work, combined};
use crate::error::{Error, Result};
use crate::files;
use crate::store::pairs::Selection;

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
    /// Those nearest to a score of one half, kept or dropped for their score: where an annotator's time tells most.
    Uncertain,
}

impl Which {
    /// In words, as in "pairs that …".
    pub fn words(self) -> &'static str {
        match self {
            Self::Kept => "pairs that are kept",
            Self::Dropped => "pairs that are dropped",
            Self::All => "all pairs",
            Self::Uncertain => "pairs with a score near one half",
        }
    }

    fn selection(self) -> Selection {
        match self {
            Self::Kept => Selection::Kept,
            Self::Dropped => Selection::Dropped,
            Self::All | Self::Uncertain => Selection::All,
        }
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
pub fn units(look: &Look<'_>, params: &Params) -> Result<Listing> {
    let kept = look.store.stage_output(Stage::Dedup.name())?;
    let mut units = Vec::new();
    for file in &params.files {
        let lost = !path_of(look, file)?.exists();
        let input = combined(&[&kept, &super::fingerprint(file)?]);
        units.push(Unit { lost, ..Unit::new(&file.path, input) });
    }
    Ok(Listing::All(units))
}

/// Writes a file.
///
/// # Errors
/// Kind `Store`; kind `Config` for a name outside `export/`.
pub fn prepare(look: &Look<'_>, params: &Params, unit: &Unit) -> Result<Work> {
    let file =
        params.files.iter().find(|file| file.path == unit.name).ok_or_else(|| Error::bug("a file without settings"))?;
    let path = path_of(look, file)?;
    let rows = write(look, file, &path)?;
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
fn write(look: &Look<'_>, file: &File, path: &std::path::Path) -> Result<u64> {
    let mut rows = 0;
    let mut failed = None;
    files::write_atomically(path, |out| {
        let written = write_pairs(look, file, out);
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

enum Failure {
    Io(std::io::Error),
    Ours(Error),
}

/// Streams pairs of the store into a format. Also behind `kopri export`.
fn write_pairs(look: &Look<'_>, file: &File, out: &mut dyn std::io::Write) -> Result<u64, Failure> {
    let mut writer = PairWriter::begin(out, file.format, look.languages).map_err(Failure::Io)?;
    let limit = file.limit.unwrap_or(u64::MAX);
    let mut io_error = None;
    let mut count = 0;
    let mut each = |judged: crate::store::pairs::JudgedPair| {
        if count < limit && io_error.is_none() {
            count += 1;
            io_error = writer.write(&judged).err();
        }
        Ok(())
    };
    let walked = if file.pairs == Which::Uncertain {
        look.store.for_each_uncertain_pair(limit, &mut each)
    } else {
        look.store.for_each_pair(file.pairs.selection(), &mut each)
    };
    walked.map_err(Failure::Ours)?;
    match io_error {
        Some(error) => Err(Failure::Io(error)),
        None => writer.finish().map_err(Failure::Io),
    }
}

/// Writes pairs to any writer.
///
/// # Errors
/// Kind `Store`.
pub fn write_to(look: &Look<'_>, file: &File, out: &mut dyn std::io::Write) -> Result<u64> {
    write_pairs(look, file, out).map_err(|failure| match failure {
        Failure::Io(error) => Error::with_source(crate::error::ErrorKind::Store, "writing pairs", error),
        Failure::Ours(error) => error,
    })
}
