//! Jobs: units that take hours. Each has a folder in the workspace for a heartbeat and for checkpoints that survive an
//! interrupt, a kill and a power cut, until the unit commits.
//!
//! ```text
//! jobs/ru-tk-train-base-1f2e3d4c/
//!   job.json         scope, stage, unit, and the key and input that checkpoints belong to
//!   heartbeat.json   done, total, updated_at; written at most once a second
//!   …                whatever the stage keeps
//! ```

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::shared::lock;
use crate::error::{Context as _, ErrorKind, Result};
use crate::files;

/// Heartbeats are at least this far apart.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// What a job works on. Checkpoints of another key or input are of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The language pair; empty for stages that run once for all.
    pub scope: String,
    /// The stage.
    pub stage: String,
    /// The unit.
    pub unit: String,
    /// The stage's key.
    pub key: String,
    /// The unit's input.
    pub input: String,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// How much is done.
    pub done: u64,
    /// How much there is to do; absent: not known.
    pub total: Option<u64>,
    /// When that was.
    pub updated_at: Timestamp,
}

/// The folder of a unit that runs.
#[derive(Debug)]
pub struct Job {
    folder: PathBuf,
    beat: Mutex<Beat>,
}

#[derive(Debug, Default)]
struct Beat {
    total: Option<u64>,
    last: Option<Instant>,
}

impl Job {
    /// Opens a unit's folder below `jobs`. What lies there is kept if it belongs to the same key and input, and thrown
    /// away if not.
    ///
    /// # Errors
    /// Kind `Store`, with the path.
    pub fn open(jobs: &Path, about: &About) -> Result<Self> {
        let folder = jobs.join(name(about));
        let doing = || format!("preparing the job folder {}", folder.display());
        if read::<About>(&folder.join(ABOUT)).as_ref() != Some(about) {
            if folder.exists() {
                std::fs::remove_dir_all(&folder).context(ErrorKind::Store, doing)?;
            }
            files::create_folder(&folder)?;
            write(&folder.join(ABOUT), about)?;
        }
        Ok(Self { folder, beat: Mutex::default() })
    }

    /// Where checkpoints may lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the heartbeat, unless one was written within the last second.
    ///
    /// # Errors
    /// Kind `Store`, with the path.
    pub fn beat(&self, done: u64, total: Option<u64>) -> Result<()> {
        let mut beat = lock(&self.beat);
        beat.total = total.or(beat.total);
        if beat.last.is_some_and(|last| last.elapsed() < BEAT_EVERY) {
            return Ok(());
        }
        beat.last = Some(Instant::now());
        let heartbeat = Heartbeat { done, total: beat.total, updated_at: Timestamp::now() };
        write(&self.folder.join(HEARTBEAT), &heartbeat)
    }

    /// Deletes the folder: the unit is committed.
    ///
    /// # Errors
    /// Kind `Store`, with the path.
    pub fn remove(self) -> Result<()> {
        std::fs::remove_dir_all(&self.folder)
            .context(ErrorKind::Store, || format!("deleting the job folder {}", self.folder.display()))
    }
}

const ABOUT: &str = "job.json";
const HEARTBEAT: &str = "heartbeat.json";

/// A name for people, and a hash, since a unit's name may hold what no file's may.
fn name(about: &About) -> String {
    let hash = super::combined(&[&about.scope, &about.stage, &about.unit]);
    let unit: String =
        about.unit.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(40).collect();
    let scope = if about.scope.is_empty() { "all" } else { &about.scope };
    format!("{scope}-{}-{unit}-{}", about.stage, &hash[..8])
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).context(ErrorKind::Bug, || "writing a job's state".into())?;
    files::write_atomically(path, |out| out.write_all(&text))
}

/// A job that is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobStatus {
    /// What it works on.
    #[serde(flatten)]
    pub about: About,
    /// How far it is; `None`: it has not said so yet.
    pub heartbeat: Option<Heartbeat>,
    /// Its folder's name.
    pub folder: String,
}

/// The jobs below `jobs`, by name.
///
/// # Errors
/// Kind `Input`, when the folder cannot be listed.
pub fn jobs(jobs: &Path) -> Result<Vec<JobStatus>> {
    if !jobs.is_dir() {
        return Ok(Vec::new());
    }
    let status = |folder: PathBuf| {
        // A folder without this file is one that a kill left in the first moment; it is made anew by the next run.
        let about = read(&folder.join(ABOUT))?;
        let heartbeat = read(&folder.join(HEARTBEAT));
        Some(JobStatus { about, heartbeat, folder: folder.file_name()?.to_string_lossy().into_owned() })
    };
    Ok(files::list_folders(jobs)?.into_iter().filter_map(status).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(unit: &str, key: &str, input: &str) -> About {
        let [scope, stage, unit, key, input] = ["ru-tk", "train", unit, key, input].map(str::to_owned);
        About { scope, stage, unit, key, input }
    }

    #[test]
    fn checkpoints_survive_until_key_or_input_change_or_the_unit_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |job: &Job| job.folder().join("step-100");
        let job = Job::open(folder.path(), &about("a/b", "k", "i")).unwrap();
        std::fs::write(path(&job), "weights").unwrap();
        drop(job);
        let again = Job::open(folder.path(), &about("a/b", "k", "i")).unwrap();
        assert!(path(&again).exists(), "a run that goes on finds its checkpoint");
        let other = Job::open(folder.path(), &about("a_b", "k", "i")).unwrap();
        assert_ne!(other.folder(), again.folder(), "names that look alike in a path are two jobs");
        for (key, input) in [("k2", "i"), ("k2", "i2")] {
            let job = Job::open(folder.path(), &about("a/b", key, input)).unwrap();
            assert!(!path(&job).exists(), "a checkpoint of {key} {input} would be stale");
            std::fs::write(path(&job), "weights").unwrap();
        }
        let job = Job::open(folder.path(), &about("a/b", "k2", "i2")).unwrap();
        job.remove().unwrap();
        other.remove().unwrap();
        assert!(jobs(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn the_heartbeat_is_written_once_a_second_at_most_and_keeps_the_total() {
        let folder = tempfile::tempdir().unwrap();
        let job = Job::open(folder.path(), &about("a", "k", "i")).unwrap();
        assert_eq!(jobs(folder.path()).unwrap()[0].heartbeat, None);
        job.beat(0, Some(50)).unwrap();
        job.beat(7, None).unwrap();
        let beat = || jobs(folder.path()).unwrap()[0].heartbeat.clone().unwrap();
        assert_eq!((beat().done, beat().total), (0, Some(50)), "the second came at once");
        lock(&job.beat).last = None;
        job.beat(9, None).unwrap();
        assert_eq!((beat().done, beat().total), (9, Some(50)));
        assert_eq!(jobs(folder.path()).unwrap()[0].about, about("a", "k", "i"));
        assert!(jobs(&folder.path().join("none")).unwrap().is_empty());
    }
}
