//! Every file access of the program: errors carry the path, and what others may read appears whole or not at all.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Context, ErrorKind, Result};

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

/// Writes a file through a temporary neighbour, synced and renamed: a reader sees the old file or the whole new one.
///
/// # Errors
/// Kind `Store`, with the path.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    create_folder(&folder)?;
    let file = tempfile::NamedTempFile::new_in(&folder).context(ErrorKind::Store, doing)?;
    let mut buffered = std::io::BufWriter::with_capacity(1 << 16, file);
    write(&mut buffered).context(ErrorKind::Store, doing)?;
    buffered.flush().context(ErrorKind::Store, doing)?;
    let file = buffered.into_inner().map_err(std::io::IntoInnerError::into_error).context(ErrorKind::Store, doing)?;
    #[cfg(unix)]
    {
        // Temporary files are born private; what we publish follows the ordinary rule.
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).context(ErrorKind::Store, doing)?;
    }
    file.as_file().sync_all().context(ErrorKind::Store, doing)?;
    file.persist(path).map_err(|error| error.error).context(ErrorKind::Store, doing)?;
    // The rename itself must survive a power cut too.
    fs::File::open(&folder).and_then(|folder| folder.sync_all()).context(ErrorKind::Store, doing)
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

/// Writes a file that is mended before it is published (a header that must tell how much follows): through a temporary
/// neighbour, synced and renamed.
///
/// # Errors
/// Kind `Store`, with the path; and what `write` reports.
pub fn write_seekable<T>(path: &Path, write: impl FnOnce(&mut fs::File) -> Result<T>) -> Result<T> {
    let doing = || format!("writing {}", path.display());
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    create_folder(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder).context(ErrorKind::Store, doing)?;
    let answer = write(file.as_file_mut())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).context(ErrorKind::Store, doing)?;
    }
    file.as_file().sync_all().context(ErrorKind::Store, doing)?;
    file.persist(path).map_err(|error| error.error).context(ErrorKind::Store, doing)?;
    Ok(answer)
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
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        write_atomically(&path, |out| out.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |_| Err(std::io::Error::other("no space"))).unwrap_err();
        assert!(error.to_string().contains("file.txt: no space"), "{error}");
        assert_eq!(read_text(&path).unwrap(), "old");
    }
}
