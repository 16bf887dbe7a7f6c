//! The cache of downloaded models, laid out as Hugging Face's own tools lay it out, so that a model is fetched once for
//! Python and for us:
//!
//! ```text
//! HF_HOME/hub/models--ORG--NAME/refs/main                       the commit that `main` was
//!                               snapshots/COMMIT/config.json    links to
//!                               blobs/SHA                       the files' bytes, under their checksum
//! ```
//!
//! Only reading is here; nothing in this module reaches the network.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// The branch that is meant when nobody names one.
pub const MAIN: &str = "main";

/// A cache of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The folder of `models--ORG--NAME`.
    pub root: PathBuf,
}

/// A model's place in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `models--ORG--NAME`.
    pub folder: PathBuf,
}

/// A snapshot that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `org/name`.
    pub id: String,
    /// The commit.
    pub commit: String,
    /// Branches and tags that stand for it.
    pub refs: Vec<String>,
    /// The folder of its files.
    pub folder: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
}

impl Cache {
    /// Where the environment says: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, in `XDG_CACHE_HOME/huggingface` or in
    /// `~/.cache/huggingface`.
    pub fn from_environment() -> Self {
        Self::of(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    fn of(variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        if let Some(root) = variable("HF_HUB_CACHE") {
            return Self { root };
        }
        let home = variable("HF_HOME").unwrap_or_else(|| {
            let caches = variable("XDG_CACHE_HOME")
                .unwrap_or_else(|| variable("HOME").unwrap_or_else(|| PathBuf::from(".")).join(".cache"));
            caches.join("huggingface")
        });
        Self { root: home.join("hub") }
    }

    /// The place of a model, whether it is there or not.
    pub fn place(&self, id: &str) -> Place {
        Place { folder: self.root.join(format!("models--{}", id.replace('/', "--"))) }
    }

    /// The folder of a model's files, at a branch, tag or commit (`org/name@revision`; `main` when none is named).
    ///
    /// # Errors
    /// Kind `Model`: it is not there; the message says how to get it.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        let (id, revision) = split(name);
        self.place(id).snapshot(revision).ok_or_else(|| {
            let wanted = if revision == MAIN { String::new() } else { format!(" --revision {revision}") };
            Error::new(
                ErrorKind::Model,
                format!(
                    "the model {name} has not been downloaded (looked in {}): kopri models get {id}{wanted}",
                    self.root.display()
                ),
            )
        })
    }

    /// Every snapshot, by name. What is no model's folder is left out.
    ///
    /// # Errors
    /// Kind `Input`: a folder cannot be listed.
    pub fn list(&self) -> Result<Vec<Snapshot>> {
        if !self.root.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for folder in files::list_folders(&self.root)? {
            let Some(id) = name_of(&folder).strip_prefix("models--").map(|name| name.replacen("--", "/", 1)) else {
                continue;
            };
            let place = Place { folder };
            let refs = place.refs();
            let snapshots = place.folder.join("snapshots");
            if !snapshots.is_dir() {
                continue;
            }
            for folder in files::list_folders(&snapshots)? {
                let commit = name_of(&folder);
                let refs = refs.iter().filter(|(_, of)| *of == commit).map(|(name, _)| name.clone()).collect();
                found.push(Snapshot { id: id.clone(), commit, refs, bytes: size(&folder), folder });
            }
        }
        Ok(found)
    }
}

impl Place {
    /// The folder of a commit's files.
    pub fn of_commit(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The file that keeps what commit a branch or tag was.
    pub fn of_ref(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    /// Where the bytes of a file lie, under their checksum.
    pub fn blob(&self, checksum: &str) -> PathBuf {
        self.folder.join("blobs").join(checksum)
    }

    /// The files of a branch, tag or commit, if they are there.
    pub fn snapshot(&self, revision: &str) -> Option<PathBuf> {
        let commit = files::read_text(&self.of_ref(revision)).ok().map(|text| text.trim().to_owned());
        let folder = self.of_commit(commit.as_deref().unwrap_or(revision));
        // A download that was stopped early leaves a folder without what every model has.
        let whole = ["config.json", "modules.json", "adapter_config.json"];
        whole.iter().any(|file| folder.join(file).is_file()).then_some(folder)
    }

    /// Branches and tags with their commits. Names may hold slashes (`refs/pr/3`); those are left out.
    fn refs(&self) -> Vec<(String, String)> {
        let paths = files::list(&self.folder.join("refs")).unwrap_or_default();
        paths.iter().filter_map(|path| Some((name_of(path), files::read_text(path).ok()?.trim().to_owned()))).collect()
    }
}

/// Whether a name has the form of a Hub id: `org/name`, perhaps with `@revision`.
pub fn is_id(name: &str) -> bool {
    let (id, revision) = split(name);
    let word = |text: &str| {
        !text.is_empty()
            && text.len() <= 96
            && !text.starts_with(['.', '-'])
            && !text.contains("..")
            && !text.contains("--")
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let revision = revision.split('/').all(word);
    revision && id.split_once('/').is_some_and(|(org, name)| word(org) && word(name))
}

/// `org/name@revision` → id and revision.
pub fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, MAIN))
}

/// A model in the cache that the environment names.
///
/// # Errors
/// As [`Cache::find`].
pub fn find(name: &str) -> Result<PathBuf> {
    Cache::from_environment().find(name)
}

/// The folder of a model as people name it: a folder, relative to `from`, or else `org/name` in the cache.
///
/// # Errors
/// Kind `Model`: neither is there; the message says what to do.
pub fn resolve(name: &str, from: &Path) -> Result<PathBuf> {
    let folder = from.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    if is_id(name) {
        return find(name);
    }
    Err(Error::new(
        ErrorKind::Model,
        format!(
            "the model {name:?} is neither a folder ({}) nor the id of a model on the Hub (org/name)",
            folder.display()
        ),
    ))
}

/// The bytes of all files below a folder, links followed.
pub fn size(folder: &Path) -> u64 {
    let here: u64 = files::list(folder)
        .unwrap_or_default()
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|data| data.len())
        .sum();
    here + files::list_folders(folder).unwrap_or_default().iter().map(|folder| size(folder)).sum::<u64>()
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_where() {
        let cache = |pairs: &[(&str, &str)]| {
            Cache::of(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))).root
        };
        assert_eq!(cache(&[("HOME", "/h")]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(cache(&[("HOME", "/h"), ("HF_HOME", "/f")]), Path::new("/f/hub"));
        assert_eq!(cache(&[("HF_HOME", "/f"), ("HF_HUB_CACHE", "/c")]), Path::new("/c"));
    }

    #[test]
    fn ids_are_told_from_paths() {
        for id in ["sentence-transformers/LaBSE", "a/b@v1.0", "a/b@refs/pr/1"] {
            assert!(is_id(id), "{id}");
        }
        for path in ["LaBSE", "./a/b", "../a", "a/../b", "/a/b", "a/b/c", "a/", "a/b c", "a/b@", "a/b@../x", "a--b/c"] {
            assert!(!is_id(path), "{path}");
        }
    }

    #[test]
    fn a_model_is_found_by_branch_and_commit_or_the_error_says_how_to_get_it() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache { root: home.path().to_path_buf() };
        let message = cache.find("org/model@v2").unwrap_err().to_string();
        assert!(message.contains("kopri models get org/model --revision v2"), "{message}");
        assert!(cache.find("org/model").unwrap_err().to_string().ends_with("kopri models get org/model"));
        let place = cache.place("org/model");
        std::fs::create_dir_all(place.of_commit("abc")).unwrap();
        std::fs::create_dir_all(place.folder.join("refs")).unwrap();
        std::fs::write(place.of_ref("main"), "abc").unwrap();
        assert!(cache.find("org/model").is_err(), "an empty snapshot is none");
        std::fs::write(place.of_commit("abc").join("config.json"), "{}").unwrap();
        assert_eq!(cache.find("org/model").unwrap(), place.of_commit("abc"));
        assert_eq!(cache.find("org/model@abc").unwrap(), place.of_commit("abc"));
        let list = cache.list().unwrap();
        assert_eq!(
            (list[0].id.as_str(), list[0].bytes, list[0].refs.as_slice()),
            ("org/model", 2, &["main".to_owned()][..])
        );
    }

    #[test]
    fn a_name_is_a_folder_first() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("a/b")).unwrap();
        assert_eq!(resolve("a/b", home.path()).unwrap(), home.path().join("a/b"));
        let message = resolve("models/my model", home.path()).unwrap_err().to_string();
        assert!(message.contains("neither a folder"), "{message}");
    }
}
