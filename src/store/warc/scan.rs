//! Reads an archive file record by record, and finds where it is damaged.
//!
//! The index of the archive is in the store. Where the two disagree, the file is read: what is whole is indexed again,
//! what is damaged inside stays where it is, and only an end without any whole record after it may be cut off.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind as IoKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::{ArchivedResponse, parse_response, path_in, split_head};
use crate::error::{Context as _, ErrorKind, Result};
use crate::files;
use crate::record::WarcRef;

/// Archive files end so.
const EXTENSION: &str = ".warc.gz";

/// The largest record that is read, in bytes after decompression: 1 GiB.
const MAX_RECORD: u64 = 1 << 30;

/// What lies at a place of an archive file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The body of a page, as fetched or as a feed carried it.
    Page {
        /// Its place.
        at: WarcRef,
        /// What it says.
        page: ArchivedResponse,
        /// Whether it is the copy that a feed carried.
        is_feed_copy: bool,
    },
    /// A whole record of another kind: a request, a revisit, the file's own description. It ends at this byte.
    Other(u64),
    /// Bytes that are no record, with whole records after them.
    Damaged {
        /// The first of them.
        from: u64,
        /// The first byte of the next whole record.
        to: u64,
    },
    /// The file's end is no whole record: writing it was cut short.
    Torn {
        /// Its first byte.
        from: u64,
    },
}

/// Walks over an archive file.
#[derive(Debug)]
pub struct Scanner {
    reader: BufReader<File>,
    path: PathBuf,
    name: String,
    at: u64,
    end: u64,
}

impl Scanner {
    /// Begins at a byte at which a record begins.
    ///
    /// # Errors
    /// Kind `Store`: the file cannot be read.
    pub fn open(folder: &Path, name: &str, from: u64) -> Result<Self> {
        let path = path_in(folder, name)?;
        let doing = || format!("reading the page archive {}", path.display());
        let file = File::open(&path).context(ErrorKind::Store, doing)?;
        let end = file.metadata().context(ErrorKind::Store, doing)?.len();
        Ok(Self { reader: BufReader::with_capacity(1 << 16, file), path, name: name.to_owned(), at: from, end })
    }

    /// The next record or damage; `None` at the end.
    ///
    /// # Errors
    /// Kind `Store`: the file cannot be read. Damage is no error.
    #[expect(clippy::should_implement_trait, reason = "it fails")]
    pub fn next(&mut self) -> Result<Option<Item>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let from = self.at;
        let Some((record, end)) = self.member(from)? else {
            return Ok(Some(match self.next_whole(from + 1)? {
                Some(to) => {
                    self.at = to;
                    Item::Damaged { from, to }
                }
                None => {
                    self.at = self.end;
                    Item::Torn { from }
                }
            }));
        };
        self.at = end;
        let at = WarcRef { file: self.name.clone(), offset: from, length: end - from };
        Ok(Some(match parse_response(&record) {
            Ok(page) => Item::Page { at, page, is_feed_copy: is_resource(&record) },
            Err(_) => Item::Other(end),
        }))
    }

    /// The record at a byte, decompressed, and where it ends; `None` when none is whole there.
    fn member(&mut self, at: u64) -> Result<Option<(Vec<u8>, u64)>> {
        let doing = || format!("reading the page archive {} at byte {at}", self.path.display());
        // Going to another place throws away what is read ahead.
        if self.reader.stream_position().context(ErrorKind::Store, doing)? != at {
            self.reader.seek(SeekFrom::Start(at)).context(ErrorKind::Store, doing)?;
        }
        let mut counted = Counted { inner: &mut self.reader, consumed: 0 };
        let mut decoder = GzDecoder::new(&mut counted);
        let mut record = Vec::new();
        let result = decoder.by_ref().take(MAX_RECORD + 1).read_to_end(&mut record);
        match result {
            Ok(_) if record.len() as u64 <= MAX_RECORD && record.starts_with(b"WARC/1.") => {
                Ok(Some((record, at + counted.consumed)))
            }
            Ok(_) => Ok(None),
            Err(error)
                if matches!(error.kind(), IoKind::InvalidInput | IoKind::InvalidData | IoKind::UnexpectedEof) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).context(ErrorKind::Store, doing),
        }
    }

    /// Where the first whole record at or after a byte begins.
    fn next_whole(&mut self, from: u64) -> Result<Option<u64>> {
        const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
        const BLOCK: usize = 1 << 16;
        let mut block = vec![0; BLOCK];
        let mut start = from;
        while start < self.end {
            let doing = || format!("reading the page archive {} at byte {start}", self.path.display());
            self.reader.seek(SeekFrom::Start(start)).context(ErrorKind::Store, doing)?;
            let mut filled = 0;
            while filled < BLOCK {
                let read = self.reader.read(&mut block[filled..]).context(ErrorKind::Store, doing)?;
                if read == 0 {
                    break;
                }
                filled += read;
            }
            for place in 0..filled.saturating_sub(MAGIC.len() - 1) {
                if block[place..].starts_with(&MAGIC) {
                    let at = start + place as u64;
                    if self.member(at)?.is_some() {
                        return Ok(Some(at));
                    }
                }
            }
            if filled < BLOCK {
                break;
            }
            // A header may lie across the border of two blocks.
            start += (BLOCK - MAGIC.len() + 1) as u64;
        }
        Ok(None)
    }
}

/// Whether a record is a `resource`.
fn is_resource(record: &[u8]) -> bool {
    split_head(record).is_some_and(|(_, fields, _)| {
        fields.iter().any(|(name, value)| name.eq_ignore_ascii_case("WARC-Type") && value == "resource")
    })
}

/// Counts the bytes that are taken from a reader.
struct Counted<'a, R> {
    inner: &'a mut R,
    consumed: u64,
}

impl<R: BufRead> std::io::Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.consumed += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount as u64;
        self.inner.consume(amount);
    }
}

/// The names of the archive files in a folder, and their lengths in bytes, in order of their names. No folder holds none.
///
/// # Errors
/// Kind `Store`: the folder cannot be read.
pub fn archive_files(folder: &Path) -> Result<Vec<(String, u64)>> {
    let doing = || format!("listing the page archive {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == IoKind::NotFound => return Ok(Vec::new()),
        other => other.context(ErrorKind::Store, doing)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.context(ErrorKind::Store, doing)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.ends_with(EXTENSION) && !name.starts_with('.') {
            // Through links, as the files are read.
            let metadata = std::fs::metadata(entry.path()).context(ErrorKind::Store, doing)?;
            if metadata.is_file() {
                found.push((name, metadata.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a torn end to a file beside the archive, and only then cuts it off. Answers the copy's name.
///
/// # Errors
/// Kind `Store`; the archive is then as before.
pub fn set_aside(folder: &Path, name: &str, from: u64) -> Result<String> {
    let path = path_in(folder, name)?;
    let doing = || format!("setting the torn end of {} aside", path.display());
    let copy = (1..)
        .map(|number| if number == 1 { format!("{name}.torn") } else { format!("{name}.torn.{number}") })
        .find(|copy| !folder.join(copy).exists())
        .unwrap_or_default();
    let mut file = OpenOptions::new().read(true).write(true).open(&path).context(ErrorKind::Store, doing)?;
    file.seek(SeekFrom::Start(from)).context(ErrorKind::Store, doing)?;
    files::write_atomically(&folder.join(&copy), |out| std::io::copy(&mut file, out).map(|_| ()))?;
    file.set_len(from).and_then(|()| file.sync_all()).context(ErrorKind::Store, doing)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NAME, append};
    use super::super::{WarcWriter, read};
    use super::*;

    fn items(folder: &Path, from: u64) -> Vec<Item> {
        let mut scanner = Scanner::open(folder, NAME, from).unwrap();
        std::iter::from_fn(|| scanner.next().unwrap()).collect()
    }

    /// The pages of some items: URL and place.
    fn pages(items: &[Item]) -> Vec<(String, WarcRef)> {
        let page = |item: &Item| match item {
            Item::Page { at, page, .. } => Some((page.url.clone(), at.clone())),
            _ => None,
        };
        items.iter().filter_map(page).collect()
    }

    fn archive(folder: &Path) -> (Vec<WarcRef>, Vec<u8>) {
        let mut writer = WarcWriter::open(folder, NAME).unwrap();
        let places = (1..=3)
            .map(|id| {
                let body = format!("body {id} ").repeat(30);
                append(&mut writer, &format!("http://bossan.test/{id}"), &[("etag", "x")], body.as_bytes()).unwrap()
            })
            .collect();
        (places, files::read(&folder.join(NAME)).unwrap())
    }

    #[test]
    fn every_page_is_found_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (places, _) = archive(folder.path());
        let found = items(folder.path(), 0);
        assert_eq!(found.len(), 7, "warcinfo, and three times a request and a response");
        assert_eq!(pages(&found).into_iter().map(|(_, at)| at).collect::<Vec<_>>(), places);
        let end = places[0].offset + places[0].length;
        assert_eq!(pages(&items(folder.path(), end)).len(), 2);
        assert_eq!(archive_files(folder.path()).unwrap().len(), 1);
        assert!(archive_files(&folder.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn feed_copies_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = WarcWriter::open(folder.path(), NAME).unwrap();
        writer.append_resource("http://bossan.test/1", jiff::Timestamp::UNIX_EPOCH, "text/html", b"copy").unwrap();
        let found = items(folder.path(), 0);
        assert!(matches!(&found[1], Item::Page { page, is_feed_copy: true, .. } if page.body == b"copy"), "{found:?}");
    }

    #[test]
    fn a_torn_end_is_copied_before_it_is_cut_whatever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (places, whole) = archive(folder.path());
        let path = folder.path().join(NAME);
        let last = usize::try_from(places[2].offset).unwrap();
        let mut zeros = whole[..last].to_vec();
        zeros.resize(whole.len(), 0);
        for (number, torn) in [&whole[..whole.len() - 1], &whole[..last + 5], zeros.as_slice()].into_iter().enumerate()
        {
            std::fs::write(&path, torn).unwrap();
            let found = items(folder.path(), 0);
            assert_eq!(found.last(), Some(&Item::Torn { from: places[2].offset }), "{number}");
            assert_eq!(pages(&found).len(), 2);
            let copy = set_aside(folder.path(), NAME, places[2].offset).unwrap();
            assert_eq!(copy, [".torn", ".torn.2", ".torn.3"].map(|end| format!("{NAME}{end}"))[number]);
            assert_eq!(files::read(&folder.path().join(copy)).unwrap(), torn[last..]);
            assert_eq!(files::read(&path).unwrap(), whole[..last]);
        }
    }

    #[test]
    fn damage_inside_costs_its_record_only() {
        let folder = tempfile::tempdir().unwrap();
        let (places, whole) = archive(folder.path());
        let mut damaged = whole;
        let middle = usize::try_from(places[1].offset + places[1].length / 2).unwrap();
        damaged[middle] ^= 0x55;
        std::fs::write(folder.path().join(NAME), damaged).unwrap();
        let found = items(folder.path(), 0);
        let urls: Vec<String> = pages(&found).into_iter().map(|(url, _)| url).collect();
        assert_eq!(urls, ["http://bossan.test/1", "http://bossan.test/3"]);
        let to = places[1].offset + places[1].length;
        assert!(found.contains(&Item::Damaged { from: places[1].offset, to }), "{found:?}");
        assert!(read(folder.path(), &places[2]).is_ok());
    }
}
