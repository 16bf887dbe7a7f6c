//! Every file access of the program: errors carry the path, and what others may read appears whole or not at all.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, ErrorKind, Result};

/// Reads a whole file.
///
/// # Errors
/// Kind `Input`, with the path.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context(ErrorKind::Input, || format!("reading {}", path.display()))
}

/// Reads a whole UTF-8 file.
///
/// # Errors
/// Kind `Input`, with the path; also when the file is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).context(ErrorKind::Input, || format!("reading {}", path.display()))
}

/// Opens a file for reading.
///
/// # Errors
/// Kind `Input`, with the path.
pub fn open(path: &Path) -> Result<fs::File> {
    fs::File::open(path).context(ErrorKind::Input, || format!("opening {}", path.display()))
}

/// Makes a folder and its parents.
///
/// # Errors
/// Kind `Store`, with the path.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).context(ErrorKind::Store, || format!("making the folder {}", path.display()))
}

/// Writes a file of the program's own (workspace, cache, model folder), and makes its folder: through a temporary
/// neighbour, synced and renamed, so that a reader sees the old file or the whole new one. A device, FIFO or socket of
/// that name is written through, and a symbolic link followed.
///
/// # Errors
/// Kind `Store`, with the path.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<()> {
    create_folder(&folder_of(path))?;
    write_out(path, write)
}

/// Writes a file that the user named, as [`write_atomically`] does, but makes no folder: a name that is mistyped would
/// make one.
///
/// # Errors
/// Kind `Usage`: the folder does not exist, or the name is a folder's. Kind `Store`, with the path.
pub fn write_out(path: &Path, write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    match destination(path)? {
        Destination::Through => {
            let file = fs::OpenOptions::new().append(true).open(path).context(ErrorKind::Store, doing)?;
            let mut buffered = std::io::BufWriter::with_capacity(1 << 16, file);
            let written = write(&mut buffered).and_then(|()| buffered.flush());
            // What is left in the buffer would be written once more when it is dropped.
            drop(buffered.into_parts());
            no_reader(written).context(ErrorKind::Store, doing)
        }
        Destination::Replace(target) => replace(&target, |file| {
            let mut buffered = std::io::BufWriter::with_capacity(1 << 16, file);
            write(&mut buffered).and_then(|()| buffered.flush()).context(ErrorKind::Store, doing)
        }),
    }
}

/// Writes a file that the user named and that is changed before it is published (a header that must say how much
/// follows). As [`write_out`]; for a device, FIFO or socket, which cannot be rewound, it is made in a temporary file and
/// copied.
///
/// # Errors
/// As [`write_out`]; and what `write` reports.
pub fn write_seekable<T>(path: &Path, write: impl FnOnce(&mut fs::File) -> Result<T>) -> Result<T> {
    let doing = || format!("writing {}", path.display());
    match destination(path)? {
        Destination::Through => {
            let mut file = tempfile::tempfile().context(ErrorKind::Store, doing)?;
            let answer = write(&mut file)?;
            file.seek(std::io::SeekFrom::Start(0)).context(ErrorKind::Store, doing)?;
            let mut out = fs::OpenOptions::new().append(true).open(path).context(ErrorKind::Store, doing)?;
            no_reader(std::io::copy(&mut file, &mut out).map(drop)).context(ErrorKind::Store, doing)?;
            Ok(answer)
        }
        Destination::Replace(target) => replace(&target, write),
    }
}

/// Where bytes for a path go.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    /// Into what stands there, which is no regular file: a rename would put a regular file in its place.
    Through,
    /// Into a new file that is renamed to this path, behind all symbolic links.
    Replace(PathBuf),
}

/// Symbolic links that are followed one after the other: as many as Linux follows.
const MOST_LINKS: usize = 40;

fn destination(path: &Path) -> Result<Destination> {
    let doing = || format!("writing {}", path.display());
    let usage = |what: &str| Err(Error::new(ErrorKind::Usage, format!("{}: {what}", doing())));
    let existing = fs::metadata(path);
    match &existing {
        Ok(data) if data.is_dir() => return usage("it is a folder: name a file"),
        Ok(data) if !data.is_file() => return Ok(Destination::Through),
        _ => {}
    }
    let mut target = path.to_path_buf();
    for _ in 0..=MOST_LINKS {
        if !fs::symlink_metadata(&target).is_ok_and(|data| data.is_symlink()) {
            let folder = folder_of(&target);
            if !folder.is_dir() {
                return usage(&format!("there is no folder {}: make it first", folder.display()));
            }
            return Ok(Destination::Replace(target));
        }
        // Such a link (/dev/stdout leads to one) stands for an open file, which its owner goes on writing to.
        if existing.is_ok() && folder_of(&target).canonicalize().is_ok_and(|folder| folder.starts_with("/proc")) {
            return Ok(Destination::Through);
        }
        let link = fs::read_link(&target).context(ErrorKind::Store, doing)?;
        target = folder_of(&target).join(link);
    }
    usage("its symbolic links lead in a circle")
}

/// The folder that a file lies in.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// A reader of a pipe that has seen enough is no error.
fn no_reader(written: std::io::Result<()>) -> std::io::Result<()> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a temporary neighbour of `target` and renames it. A file that is replaced passes its permissions on.
fn replace<T>(target: &Path, write: impl FnOnce(&mut fs::File) -> Result<T>) -> Result<T> {
    let doing = || format!("writing {}", target.display());
    let folder = folder_of(target);
    let mut file = tempfile::NamedTempFile::new_in(&folder).context(ErrorKind::Store, doing)?;
    let answer = write(file.as_file_mut())?;
    #[cfg(unix)]
    {
        // Temporary files are born private; a new file follows the ordinary rule.
        use std::os::unix::fs::PermissionsExt as _;
        let permissions =
            fs::metadata(target).map_or_else(|_| fs::Permissions::from_mode(0o644), |data| data.permissions());
        file.as_file().set_permissions(permissions).context(ErrorKind::Store, doing)?;
    }
    file.as_file().sync_all().context(ErrorKind::Store, doing)?;
    file.persist(target).map_err(|error| error.error).context(ErrorKind::Store, doing)?;
    // The rename itself must survive a power cut too.
    fs::File::open(&folder).and_then(|folder| folder.sync_all()).context(ErrorKind::Store, doing)?;
    Ok(answer)
}

/// A file or folder that is written, under a temporary name beside its own, and not yet published. Dropped, it is deleted.
#[derive(Debug)]
pub struct Staged {
    temporary: PathBuf,
    target: PathBuf,
    published: bool,
}

impl Staged {
    /// Writes a file beside `path`, and syncs it.
    ///
    /// # Errors
    /// Kind `Store`, with the path; and what `write` reports.
    pub fn file(path: &Path, write: impl FnOnce(&mut dyn std::io::Write) -> Result<()>) -> Result<Self> {
        let doing = || format!("writing {}", path.display());
        let folder = parent_of(path);
        create_folder(&folder)?;
        let file = tempfile::Builder::new().prefix(".kopri-").tempfile_in(&folder).context(ErrorKind::Store, doing)?;
        let mut buffered = std::io::BufWriter::with_capacity(1 << 16, file);
        write(&mut buffered)?;
        buffered.flush().context(ErrorKind::Store, doing)?;
        let file =
            buffered.into_inner().map_err(std::io::IntoInnerError::into_error).context(ErrorKind::Store, doing)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).context(ErrorKind::Store, doing)?;
        }
        file.as_file().sync_all().context(ErrorKind::Store, doing)?;
        let (_, temporary) = file.keep().map_err(|error| error.error).context(ErrorKind::Store, doing)?;
        Ok(Self { temporary, target: path.to_path_buf(), published: false })
    }

    /// Writes a folder beside `path`.
    ///
    /// # Errors
    /// Kind `Store`, with the path; and what `write` reports.
    pub fn folder(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let doing = || format!("writing the folder {}", path.display());
        let parent = parent_of(path);
        create_folder(&parent)?;
        let beside = tempfile::Builder::new().prefix(".kopri-").tempdir_in(&parent).context(ErrorKind::Store, doing)?;
        write(beside.path())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(beside.path(), fs::Permissions::from_mode(0o755)).context(ErrorKind::Store, doing)?;
        }
        Ok(Self { temporary: beside.keep(), target: path.to_path_buf(), published: false })
    }

    /// The same under another name in the same folder: for a folder named after what is in it.
    #[must_use]
    pub fn named(mut self, path: &Path) -> Self {
        self.target = path.to_path_buf();
        self
    }

    /// Where it lies until it is published.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Where it will lie.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives it its name: a file takes the place of an older one, a folder that of one that is there.
    ///
    /// # Errors
    /// Kind `Store`, with the path.
    pub fn publish(mut self) -> Result<()> {
        let doing = || format!("writing {}", self.target.display());
        if self.temporary.is_dir() && self.target.is_dir() {
            fs::remove_dir_all(&self.target).context(ErrorKind::Store, doing)?;
        }
        fs::rename(&self.temporary, &self.target).context(ErrorKind::Store, doing)?;
        // The rename itself must survive a power cut too.
        fs::File::open(parent_of(&self.target))
            .and_then(|folder| folder.sync_all())
            .context(ErrorKind::Store, doing)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // A leftover costs space and is read by nobody.
            let _ = if self.temporary.is_dir() {
                fs::remove_dir_all(&self.temporary)
            } else {
                fs::remove_file(&self.temporary)
            };
        }
    }
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Hashes of files, kept by path, size and time of change, so that gigabytes are not read again to know that they are
/// the same. A file written twice within the clock's grain with the same size is taken for unchanged.
#[derive(Debug, Default)]
pub struct FileHashes {
    path: Option<PathBuf>,
    known: std::collections::BTreeMap<String, (u64, u128, String)>,
    changed: bool,
}

impl FileHashes {
    /// Hashes kept in a file; none when it is not there or cannot be read, since it is a cache.
    pub fn open(path: &Path) -> Self {
        let known = fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { path: Some(path.to_path_buf()), known, changed: false }
    }

    /// The hash of a file's bytes: 32 hexadecimal digits.
    ///
    /// # Errors
    /// Kind `Input`, with the path.
    pub fn of(&mut self, path: &Path) -> Result<String> {
        let doing = || format!("reading {}", path.display());
        // Links of a model cache lead to the files' bytes.
        let real = fs::canonicalize(path).context(ErrorKind::Input, doing)?;
        let data = fs::metadata(&real).context(ErrorKind::Input, doing)?;
        let changed = data.modified().context(ErrorKind::Input, doing)?;
        let at = changed.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = real.display().to_string();
        if let Some((_, _, hash)) = self.known.get(&name).filter(|(size, time, _)| (*size, *time) == (data.len(), at)) {
            return Ok(hash.clone());
        }
        let mut hasher = blake3::Hasher::new();
        let mut file = open(&real)?;
        std::io::copy(&mut file, &mut hasher).context(ErrorKind::Input, doing)?;
        let hash = hasher.finalize().to_hex()[..32].to_owned();
        self.known.insert(name, (data.len(), at, hash.clone()));
        self.changed = true;
        Ok(hash)
    }

    /// Keeps what was learned.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn save(&mut self) -> Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| self.changed) else { return Ok(()) };
        let text = serde_json::to_vec(&self.known).context(ErrorKind::Bug, || "writing hashes".into())?;
        write_atomically(path, |out| out.write_all(&text))?;
        self.changed = false;
        Ok(())
    }
}

/// Writes a folder through a temporary neighbour, renamed when `write` is done: a reader sees the whole folder or none.
/// An empty folder of that name gives way.
///
/// # Errors
/// Kind `Store`, with the path; and what `write` reports.
pub fn write_folder_atomically(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let doing = || format!("writing the folder {}", path.display());
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    create_folder(&parent)?;
    let beside = tempfile::Builder::new().prefix(".kopri-").tempdir_in(&parent).context(ErrorKind::Store, doing)?;
    write(beside.path())?;
    #[cfg(unix)]
    {
        // Temporary folders are born private.
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(beside.path(), fs::Permissions::from_mode(0o755)).context(ErrorKind::Store, doing)?;
    }
    fs::rename(beside.path(), path).context(ErrorKind::Store, doing)?;
    // It lies elsewhere now, and must not be taken away.
    let _ = beside.keep();
    Ok(())
}

/// Maps a file into memory, read-only.
///
/// # Errors
/// Kind `Store`, with the path.
#[expect(
    unsafe_code,
    reason = "memory maps are unsafe only if the file shrinks under them; ours are written once and renamed into place"
)]
pub fn map(path: &Path) -> Result<memmap2::Mmap> {
    let file = fs::File::open(path).context(ErrorKind::Store, || format!("opening {}", path.display()))?;
    // SAFETY: see the reason above.
    unsafe { memmap2::Mmap::map(&file) }.context(ErrorKind::Store, || format!("mapping {}", path.display()))
}

/// Tells the kernel that these bytes of a map are not needed for now: their pages leave this process's memory, and come
/// back from the file when they are read again. Advice: where it is not taken, nothing changes but the memory in use.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "pages of a private map may hold what the file does not; those of a read-only map cannot"
)]
pub fn release(map: &memmap2::Mmap, offset: usize, length: usize) {
    // SAFETY: see the reason above.
    let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, length) };
}

/// Advice that this system does not take.
#[cfg(not(unix))]
pub fn release(_map: &memmap2::Mmap, _offset: usize, _length: usize) {}

/// The files of a folder (not of its sub-folders), sorted by name.
///
/// # Errors
/// Kind `Input`, with the path.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    list_if(folder, Path::is_file)
}

/// The folders of a folder, sorted by name.
///
/// # Errors
/// Kind `Input`, with the path.
pub fn list_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    list_if(folder, Path::is_dir)
}

fn list_if(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let doing = || format!("listing {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).context(ErrorKind::Input, doing)? {
        let path = entry.context(ErrorKind::Input, doing)?.path();
        if wanted(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_write_replaces_the_whole_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file.txt");
        write_atomically(&path, |out| out.write_all(b"long first version")).unwrap();
        write_atomically(&path, |out| out.write_all(b"second")).unwrap();
        assert_eq!(read_text(&path).unwrap(), "second");
        assert_eq!(list(path.parent().unwrap()).unwrap().len(), 1);
    }

    #[test]
    fn what_is_staged_appears_when_it_is_published_and_goes_when_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let write = |text: &'static str| {
            Staged::file(&path, |out| out.write_all(text.as_bytes()).context(ErrorKind::Store, || "writing".into()))
        };
        let staged = write("one").unwrap();
        assert!(!path.exists() && staged.temporary().exists());
        staged.publish().unwrap();
        drop(write("two").unwrap());
        assert_eq!(read_text(&path).unwrap(), "one");
        assert_eq!(list(folder.path()).unwrap(), std::slice::from_ref(&path), "nothing is left beside it");
        let of = |text: &'static str| {
            let fill = |folder: &Path| write_atomically(&folder.join("f"), |out| out.write_all(text.as_bytes()));
            Staged::folder(&folder.path().join("x"), fill).unwrap().named(&folder.path().join("y"))
        };
        of("1").publish().unwrap();
        of("2").publish().unwrap();
        assert_eq!(read_text(&folder.path().join("y/f")).unwrap(), "2");
        assert_eq!(list_folders(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_hash_is_kept_until_size_or_time_change() {
        let folder = tempfile::tempdir().unwrap();
        let (path, cache) = (folder.path().join("a"), folder.path().join("hashes.json"));
        fs::write(&path, "one").unwrap();
        let mut hashes = FileHashes::open(&cache);
        let first = hashes.of(&path).unwrap();
        assert_eq!(first, blake3::hash(b"one").to_hex()[..32]);
        hashes.save().unwrap();
        // The same size and time: known from the file, not read again.
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert_eq!(FileHashes::open(&cache).of(&path).unwrap(), first);
        fs::write(&path, "three").unwrap();
        assert_eq!(FileHashes::open(&cache).of(&path).unwrap(), blake3::hash(b"three").to_hex()[..32]);
        assert!(FileHashes::open(&cache).of(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        write_atomically(&path, |out| out.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |_| Err(std::io::Error::other("no space"))).unwrap_err();
        assert!(error.to_string().contains("file.txt: no space"), "{error}");
        assert_eq!(read_text(&path).unwrap(), "old");
    }

    #[test]
    fn a_named_file_needs_its_folder_and_no_folder_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_out(&folder.path().join("none/file.txt"), |out| out.write_all(b"x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            error.to_string().contains("there is no folder") && error.to_string().contains("/none: make"),
            "{error}"
        );
        let error = write_out(folder.path(), |out| out.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("it is a folder"), "{error}");
        assert_eq!(list(folder.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_the_file_behind_it_is_replaced_with_its_permissions() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        create_folder(&at("deep")).unwrap();
        fs::write(at("deep/file.txt"), "old").unwrap();
        fs::set_permissions(at("deep/file.txt"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("deep/file.txt", at("first")).unwrap();
        symlink("first", at("second")).unwrap();
        write_out(&at("second"), |out| out.write_all(b"new")).unwrap();
        assert_eq!(read_text(&at("deep/file.txt")).unwrap(), "new");
        assert_eq!(fs::metadata(at("deep/file.txt")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_link(at("second")).unwrap(), Path::new("first"));
        assert_eq!(fs::read_link(at("first")).unwrap(), Path::new("deep/file.txt"));

        // A link to a file that is not there yet makes it.
        symlink("deep/other.txt", at("third")).unwrap();
        write_seekable(&at("third"), |file| {
            file.write_all(b"made").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(read_text(&at("deep/other.txt")).unwrap(), "made");
        assert!(fs::symlink_metadata(at("third")).unwrap().is_symlink());
        symlink("circle", at("circle")).unwrap();
        let error = write_out(&at("circle"), |out| out.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("in a circle"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_and_a_device_are_written_through_and_stay() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read_text(&pipe).unwrap());
            write_out(&pipe, |out| out.write_all(b"first")).unwrap();
            assert_eq!(reader.join().unwrap(), "first");
            let reader = scope.spawn(|| read_text(&pipe).unwrap());
            write_seekable(&pipe, |file| {
                file.write_all(b"second text").unwrap();
                file.seek(std::io::SeekFrom::Start(0)).unwrap();
                file.write_all(b"SECOND").unwrap();
                Ok(())
            })
            .unwrap();
            assert_eq!(reader.join().unwrap(), "SECOND text");
        });
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());

        let device = folder.path().join("null");
        let made = std::process::Command::new("mknod").arg(&device).args(["c", "1", "3"]).output().unwrap();
        if !made.status.success() {
            eprintln!("no device was made, so none is tested: {}", String::from_utf8_lossy(&made.stderr).trim());
            return;
        }
        match fs::OpenOptions::new().write(true).open(&device) {
            Ok(_) => write_out(&device, |out| out.write_all(b"gone")).unwrap(),
            // A container may let devices be made and not opened.
            Err(error) => eprintln!("the device cannot be opened, so none is written: {error}"),
        }
        assert!(fs::symlink_metadata(&device).unwrap().file_type().is_char_device());
    }
}
