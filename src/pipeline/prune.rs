//! What a workspace may lose: which kinds, how many are kept, and the files that go with them.
//!
//! Rows are deleted in one transaction that a power cut does not undo; files only after it. A dry run makes the same
//! transaction, measures it and takes it back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Pipeline;
use crate::engine::job;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::record::Scope;
use crate::stage::calibrate;
use crate::store::prune::Deleted;
use crate::store::{Store, Writer};

/// Temporary files this old belong to no process that still writes them.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How temporary files and folders begin.
const TEMPORARY: &str = ".kopri-";

/// What is kept, and when the rest goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// Whether each whole run ends with pruning.
    pub nightly: bool,
    /// How many runs are kept, with their figures and reports; at least 1.
    pub keep_runs: u32,
    /// How many versions of a dataset are kept; the newest, which `LATEST` names, always is.
    pub keep_datasets: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { nightly: false, keep_runs: 30, keep_datasets: 3 }
    }
}

impl Params {
    /// What types alone cannot say.
    ///
    /// # Errors
    /// Kind `Config`.
    pub fn check(self) -> Result<()> {
        if self.keep_runs == 0 {
            return Err(Error::config("prune.keep-runs = 0: at least 1 is wanted, since the last run says what holds"));
        }
        Ok(())
    }
}

/// How to prune.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// What is kept.
    pub params: Params,
    /// Change nothing; say what would be deleted.
    pub dry_run: bool,
    /// Delete all of this language pair, which the pipeline names no longer.
    pub scope: Option<String>,
}

/// What was deleted of a kind, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// What it is.
    pub kind: &'static str,
    /// `row`, `file`, `folder` or `page`.
    pub noun: &'static str,
    /// How many.
    pub count: u64,
    /// Bytes on disk; of rows: bytes of whole database pages that became free.
    pub bytes: u64,
}

/// What pruning came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Kind by kind; all kinds that were looked at.
    pub pruned: Vec<Pruned>,
    /// What stays although it could go, and why.
    pub notes: Vec<String>,
    /// What could not be deleted, and why: the next pruning tries again.
    pub failures: Vec<String>,
}

impl PruneReport {
    fn rows(&mut self, kind: &'static str, deleted: Deleted) {
        self.pruned.push(Pruned { kind, noun: "row", count: deleted.rows, bytes: deleted.bytes });
    }

    /// Bytes of deleted files, and bytes that the database file lost.
    pub fn freed(&self) -> u64 {
        self.pruned.iter().filter(|pruned| pruned.noun != "row").map(|pruned| pruned.bytes).sum()
    }

    /// Rows, files and folders that were deleted.
    pub fn count(&self) -> u64 {
        self.pruned.iter().filter(|pruned| pruned.noun != "page").map(|pruned| pruned.count).sum()
    }
}

/// A file or folder that goes.
struct Doomed {
    path: PathBuf,
    bytes: u64,
}

/// Files and folders by kind.
type Files = BTreeMap<(&'static str, &'static str), Vec<Doomed>>;

/// Deletes what nothing in a workspace refers to.
///
/// # Errors
/// Kind `Usage`: the workspace belongs to another pipeline, or the language pair to delete is none that could be. Kind
/// `Model`: the encoder is not there, so that it is not known which vectors are in use. Kind `Store`.
pub fn prune(pipeline: &Pipeline, store: &mut Store, options: &PruneOptions) -> Result<PruneReport> {
    options.params.check()?;
    check_owner(pipeline, store)?;
    let model = model(pipeline, store)?;
    let (vectors, mut report) = (store.vectors_folder(), PruneReport::default());
    let folder = store.folder().to_path_buf();
    store.set_durable(true)?;
    let writer = store.writer()?;
    let own: Vec<String> = pipeline.scopes().iter().map(Scope::name).collect();
    if let Some(scope) = &options.scope {
        check_scope(scope, &own, &writer)?;
        let mut deleted = writer.delete_scope(scope)?;
        for name in calibrate::artefacts(scope) {
            let artefact = writer.delete_artefact(&name)?;
            deleted = Deleted { rows: deleted.rows + artefact.rows, bytes: deleted.bytes + artefact.bytes };
        }
        report.rows("language pair", deleted);
    }
    report.rows("text pairs without an occurrence", writer.prune_text_pairs()?);
    report.rows("former near duplicates", writer.prune_near_duplicates()?);
    report.rows("vectors of texts that are gone, or of other models", writer.prune_vectors(model.as_deref())?);
    report.rows("vector shards", writer.prune_shards()?);
    let mut lists = Deleted::default();
    for scope in &own {
        let deleted = writer.prune_neighbours(scope)?;
        lists = Deleted { rows: lists.rows + deleted.rows, bytes: lists.bytes + deleted.bytes };
    }
    report.rows("neighbour lists of other settings", lists);
    report.rows("runs and their figures", writer.prune_runs(options.params.keep_runs)?);

    let doomed = doomed(&folder, &writer, &own, options)?;
    for ((kind, noun), files) in &doomed {
        let bytes = files.iter().map(|file| file.bytes).sum();
        report.pruned.push(Pruned { kind, noun, count: files.len() as u64, bytes });
    }
    let sparse = writer.sparse_shards()?;
    let bytes = sparse.iter().map(crate::store::prune::SparseShard::unused_bytes).sum();
    report.pruned.push(Pruned {
        kind: "vector files rewritten without unused rows",
        noun: "file",
        count: sparse.len() as u64,
        bytes,
    });
    if model.is_none() {
        report
            .notes
            .push("vectors of all models stay: the encoder is not fitted yet, so none is known to be in use".into());
    }
    let gone: Vec<String> = writer.known_scopes()?.into_iter().filter(|scope| !own.contains(scope)).collect();
    for scope in gone {
        report.notes.push(format!(
            "{scope}, which the pipeline names no longer, stays: `kopri prune PIPELINE --scope {scope}` deletes it"
        ));
    }
    report.notes.sort();
    let pages = writer.pages()?;
    if pages.is_sparse() {
        let (count, bytes) = (pages.free, pages.free * pages.size);
        report.pruned.push(Pruned { kind: "free pages of the database", noun: "page", count, bytes });
    }
    if options.dry_run {
        drop(writer);
        store.set_durable(false)?;
        return Ok(report);
    }
    for shard in &sparse {
        // The shard's row says what is wrong with its file to whoever reads it; the rest is pruned all the same.
        if let Err(error) = writer.compact_shard(&vectors, shard) {
            return Err(error.while_doing("pruning vectors (nothing was deleted)"));
        }
    }
    let named = writer.shard_files()?;
    writer.commit()?;
    store.set_durable(false)?;
    for file in doomed.into_values().flatten() {
        report.failures.extend(delete(&file.path).err());
    }
    // Those that compaction replaced.
    for file in walk(&vectors)?.into_iter().filter(|file| is_unnamed(file, &vectors, &named)) {
        report.failures.extend(delete(&file).err());
    }
    remove_empty_folders(&vectors)?;
    if pages.is_sparse() {
        report.failures.extend(store.vacuum().err().map(|error| error.to_string()));
    }
    Ok(report)
}

fn check_owner(pipeline: &Pipeline, store: &Store) -> Result<()> {
    match store.owner()? {
        Some(owner) if owner != pipeline.name => Err(Error::new(
            ErrorKind::Usage,
            format!(
                "the workspace {} belongs to the pipeline {owner:?}, and this one is called {:?}: prune it with its own",
                store.folder().display(),
                pipeline.name
            ),
        )),
        _ => Ok(()),
    }
}

fn check_scope(scope: &str, own: &[String], writer: &Writer<'_>) -> Result<()> {
    let wrong = |why: String| Err(Error::new(ErrorKind::Usage, format!("--scope {scope}: {why}")));
    if own.iter().any(|name| name == scope) {
        return wrong("the pipeline names this language pair; take it out of the file first".into());
    }
    let mut known: Vec<String> = writer.known_scopes()?.into_iter().filter(|name| !own.contains(name)).collect();
    known.sort();
    if !known.iter().any(|name| name == scope) {
        let could = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return wrong(format!("the workspace holds no such language pair; those that could be deleted: {could}"));
    }
    Ok(())
}

/// The id of the model in use, known without opening its weights. `None`: it is not fitted yet.
fn model(pipeline: &Pipeline, store: &Store) -> Result<Option<String>> {
    let engine = pipeline.engine(store.folder())?;
    let embed = engine.registry().find("embed").ok_or_else(|| Error::bug("there is no stage embed"))?;
    let model = engine.context(embed, None)?.model()?;
    engine.save_hashes()?;
    Ok(model.map(|model| model.0))
}

/// Files and folders that go once the transaction is committed.
fn doomed(folder: &Path, writer: &Writer<'_>, own: &[String], options: &PruneOptions) -> Result<Files> {
    let mut doomed = Files::new();
    let mut add = |kind, noun, path: PathBuf| -> Result<()> {
        let bytes = size(&path)?;
        doomed.entry((kind, noun)).or_default().push(Doomed { path, bytes });
        Ok(())
    };
    let (vectors, named) = (folder.join("vectors"), writer.shard_files()?);
    for file in walk(&vectors)?.into_iter().filter(|file| is_unnamed(file, &vectors, &named)) {
        add("vector files that no text uses", "file", file)?;
    }
    let known = writer.known_scopes()?;
    for file in list(&folder.join("graphs"))? {
        let scope = graph_scope(&file);
        if scope.is_some_and(|scope| !own.contains(&scope) && !known.contains(&scope)) {
            add("search graphs of language pairs that are gone", "file", file)?;
        }
    }
    for file in list(&folder.join("report"))? {
        let run = name_of(&file).strip_prefix("run-").and_then(|name| name.strip_suffix(".html")?.parse().ok());
        if let Some(run) = run
            && !writer.has_run(run)?
        {
            add("reports of old runs", "file", file)?;
        }
    }
    for file in list(&folder.join("jobs"))? {
        let about = files::read(&file.join("job.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Some(job::About { scope, stage, unit, key, input }) = about else { continue };
        let gone = options.scope.as_ref() == Some(&scope);
        if gone || writer.is_done((&scope, &stage, &unit), &key, &input)? {
            add("folders of jobs that are done", "folder", file)?;
        }
    }
    let dataset = folder.join("dataset");
    let roots = list(&dataset)?.into_iter().filter(|path| path.join("LATEST").is_file());
    for root in roots.chain([dataset.clone()]) {
        for version in old_versions(&root, writer, options.params.keep_datasets)? {
            add("old versions of datasets", "folder", version)?;
        }
    }
    if let Some(scope) = &options.scope {
        for path in [folder.join("export").join(scope), dataset.join(scope)] {
            if path.is_dir() {
                add("files of the language pair", "folder", path)?;
            }
        }
    }
    let now = SystemTime::now();
    for path in temporary(folder)? {
        let changed = std::fs::symlink_metadata(&path).and_then(|data| data.modified());
        if changed.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > STALE_AFTER)) {
            add("temporary files of killed processes", "file", path)?;
        }
    }
    Ok(doomed)
}

/// The language pair of a search graph, from its file's name: `ru-tk-forward.hnsw`.
fn graph_scope(file: &Path) -> Option<String> {
    let stem = name_of(file).strip_suffix(".hnsw")?.to_owned();
    let scope = stem.strip_suffix("-forward").or_else(|| stem.strip_suffix("-backward"))?;
    Some(scope.to_owned())
}

/// Versions of a dataset but the newest few, that of `LATEST` and any that the ledger names. What is no version (a folder
/// that was set aside, or somebody's own) is none of ours.
fn old_versions(root: &Path, writer: &Writer<'_>, keep: u32) -> Result<Vec<PathBuf>> {
    let Ok(latest) = std::fs::read_to_string(root.join("LATEST")) else { return Ok(Vec::new()) };
    let mut versions: Vec<(SystemTime, PathBuf)> = Vec::new();
    for path in list(root)? {
        let is_version = path.join("dataset.json").is_file()
            && path.join("README.md").is_file()
            && name_of(&path).chars().all(|c| c.is_ascii_hexdigit());
        if is_version {
            let changed = std::fs::metadata(&path).and_then(|data| data.modified());
            versions.push((changed.context(ErrorKind::Store, || format!("reading {}", path.display()))?, path));
        }
    }
    versions.sort_by(|a, b| b.cmp(a));
    let mut old = Vec::new();
    for (_, path) in versions.into_iter().skip(keep as usize) {
        let name = name_of(&path);
        if name != latest.trim() && !writer.is_output("dataset", &name)? {
            old.push(path);
        }
    }
    Ok(old)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a file is a finished shard that no row names.
fn is_unnamed(file: &Path, vectors: &Path, named: &std::collections::HashSet<String>) -> bool {
    let own = file.extension().is_some_and(|extension| extension == "f16") && !name_of(file).starts_with(TEMPORARY);
    let relative = file.strip_prefix(vectors).map(|path| path.to_string_lossy().replace('\\', "/"));
    own && relative.is_ok_and(|relative| !named.contains(&relative))
}

/// What a folder holds, by name; nothing when it is not there.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("listing {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::with_source(ErrorKind::Store, doing(), error)),
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    if let Ok(paths) = &mut paths {
        paths.sort();
    }
    paths.context(ErrorKind::Store, doing)
}

/// Whether a path is a folder itself, and no link to one.
fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|data| data.is_dir())
}

/// All files below a folder; links are not followed.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in list(folder)? {
        if is_folder(&path) {
            found.extend(walk(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Temporary files and folders below a folder.
fn temporary(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in list(folder)? {
        if name_of(&path).starts_with(TEMPORARY) {
            found.push(path);
        } else if is_folder(&path) {
            found.extend(temporary(&path)?);
        }
    }
    Ok(found)
}

/// Bytes of a file, or of all files of a folder.
fn size(path: &Path) -> Result<u64> {
    let files = if is_folder(path) { walk(path)? } else { vec![path.to_path_buf()] };
    let mut bytes = 0;
    for file in files {
        let data = std::fs::symlink_metadata(&file);
        bytes += data.context(ErrorKind::Store, || format!("measuring {}", file.display()))?.len();
    }
    Ok(bytes)
}

/// Deletes a file or a folder; answers what is wrong, in words. One that is gone already is no failure.
fn delete(path: &Path) -> std::result::Result<(), String> {
    let result = if is_folder(path) { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{} cannot be deleted: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Folders of models without vectors.
fn remove_empty_folders(folder: &Path) -> Result<()> {
    for path in list(folder)?.into_iter().filter(|path| is_folder(path)) {
        // One that holds anything is not empty, and stays.
        if list(&path)?.is_empty() {
            std::fs::remove_dir(&path).context(ErrorKind::Store, || format!("deleting {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::Access;

    fn pipeline(folder: &Path, more: &str) -> Pipeline {
        let text = format!("version = 1\nname = \"t\"\nsource = \"ru\"\ntarget = \"tk\"\nworkspace = \".\"\n{more}");
        Pipeline::parse(&text, "t.toml", folder.to_path_buf(), &[]).unwrap()
    }

    fn put(path: &Path, text: &str, days_old: u64) {
        files::create_folder(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let at = SystemTime::now() - Duration::from_secs(days_old * 86_400);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    fn counts(report: &PruneReport) -> Vec<(&'static str, u64, u64)> {
        let some = report.pruned.iter().filter(|pruned| pruned.count > 0);
        some.map(|pruned| (pruned.kind, pruned.count, pruned.bytes)).collect()
    }

    #[test]
    fn files_that_nothing_refers_to_go_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (root, pipeline) = (folder.path(), pipeline(folder.path(), ""));
        let mut store = Store::open(root, Access::Write).unwrap();
        let about = |unit: &str| {
            format!(r#"{{"scope": "ru-tk", "stage": "train", "unit": "{unit}", "key": "k", "input": "i"}}"#)
        };
        let gone = [
            ("vectors/old/orphan.f16", "12345678", 0),
            ("graphs/uz-tk-forward.hnsw", "12", 0),
            ("report/run-00007.html", "123", 0),
            ("export/.kopri-abc", "1", 2),
        ];
        let stay = [
            ("graphs/ru-tk-backward.hnsw", "12", 0),
            ("report/latest.html", "123", 0),
            ("report/notes.html", "123", 0),
            ("export/.kopri-def", "1", 0),
            ("export/pairs.tsv", "1", 9),
            ("dataset/LATEST", "aa\n", 9),
            ("dataset/mine/README.md", "", 9),
        ];
        for (path, text, age) in gone.iter().chain(&stay) {
            put(&root.join(path), text, *age);
        }
        for version in ["aa", "bb", "cc"] {
            put(&root.join("dataset").join(version).join("README.md"), "1234", 0);
            put(&root.join("dataset").join(version).join("dataset.json"), "{}", 0);
            std::thread::sleep(Duration::from_millis(20));
        }
        put(&root.join("jobs/done/job.json"), &about("done"), 0);
        put(&root.join("jobs/open/job.json"), &about("open"), 0);
        let writer = store.writer().unwrap();
        let run = writer.begin_run(jiff::Timestamp::now(), "t", &serde_json::Value::Null).unwrap();
        writer.unit_done("ru-tk", "train", "done", "k", "i", "", run, jiff::Timestamp::now()).unwrap();
        writer.commit().unwrap();

        let params = Params { keep_datasets: 1, ..Params::default() };
        let dry = PruneOptions { params, dry_run: true, scope: None };
        let would = prune(&pipeline, &mut store, &dry).unwrap();
        assert!(gone.iter().all(|(path, ..)| root.join(path).exists()), "a dry run deletes nothing");
        let report = prune(&pipeline, &mut store, &PruneOptions { dry_run: false, ..dry.clone() }).unwrap();
        assert_eq!(would, report);
        assert_eq!(
            counts(&report),
            [
                ("folders of jobs that are done", 1, about("done").len() as u64),
                ("old versions of datasets", 1, 6),
                ("reports of old runs", 1, 3),
                ("search graphs of language pairs that are gone", 1, 2),
                ("temporary files of killed processes", 1, 1),
                ("vector files that no text uses", 1, 8),
            ]
        );
        for (path, ..) in gone {
            assert!(!root.join(path).exists(), "{path}");
        }
        for path in stay.iter().map(|(path, ..)| *path).chain(["dataset/aa", "dataset/cc", "jobs/open"]) {
            assert!(root.join(path).exists(), "{path}");
        }
        assert!(!root.join("vectors/old").exists() && !root.join("dataset/bb").exists());
        assert_eq!(prune(&pipeline, &mut store, &dry).unwrap().count(), 0);
    }

    #[test]
    fn a_foreign_workspace_and_a_scope_in_use_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = pipeline(folder.path(), "");
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        for (scope, why) in [("ru-tk", "take it out of the file first"), ("xx-yy", "could be deleted: none")] {
            let options = PruneOptions { scope: Some(scope.into()), ..PruneOptions::default() };
            let error = prune(&pipeline, &mut store, &options).unwrap_err();
            assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(why), "{error}");
        }
        let writer = store.writer().unwrap();
        writer.set_owner("another").unwrap();
        writer.commit().unwrap();
        let error = prune(&pipeline, &mut store, &PruneOptions::default()).unwrap_err();
        assert!(error.to_string().contains("belongs to the pipeline \"another\""), "{error}");
    }

    #[test]
    fn no_run_kept_is_refused_when_the_file_is_read() {
        let text =
            "version = 1\nname = \"t\"\nsource = \"ru\"\ntarget = \"tk\"\nworkspace = \".\"\n[prune]\nkeep-runs = 0\n";
        let error = Pipeline::parse(text, "t.toml", PathBuf::new(), &[]).unwrap_err().to_string();
        assert!(error.contains("t.toml") && error.contains("prune.keep-runs = 0"), "{error}");
    }
}
