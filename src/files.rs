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

/// The files of a folder (not of its sub-folders), sorted by name.
///
/// # Errors
/// Kind `Input`, with the path.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("listing {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).context(ErrorKind::Input, doing)? {
        let path = entry.context(ErrorKind::Input, doing)?.path();
        if path.is_file() {
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
