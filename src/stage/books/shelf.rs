//! Shelves of schoolbooks: which files are which books, and which are editions of one book.
//!
//! A manifest says it row by row, or patterns read it off the files' names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::record::Language;
use crate::text::file_pattern::{BookName, FilePattern};

/// The manifest that is looked for when nothing else is said.
const MANIFEST: &str = "manifest.csv";
/// Folders inside folders that are searched.
const MAX_DEPTH: usize = 8;
/// Files that nothing names, of which the name is told.
const NAMED: usize = 3;

/// A folder of schoolbooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Shelf {
    /// A short name, used in reports.
    pub name: String,
    /// The folder, relative to the pipeline file.
    pub folder: PathBuf,
    /// CSV in the folder with the columns subject, grade, part, language, file (title and others are ignored).
    /// `manifest.csv`, unless there are patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Or patterns for the files' paths; the first that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<FilePattern>,
}

/// A book of a shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The shelf's name.
    pub shelf: String,
    /// The file.
    pub path: PathBuf,
    /// The language that the manifest or the file's name says.
    pub language: Language,
    /// Subject, grade and part: the same for all editions.
    pub twin_key: String,
    /// Who says so: the manifest and its line, or the pattern.
    pub named_by: String,
}

/// The books of all shelves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelves {
    /// By location: the shelf's name and the file's.
    pub books: BTreeMap<String, Book>,
    /// What a person should know: files that nothing names.
    pub notes: Vec<String>,
}

/// A row of a manifest.
#[derive(Debug, Deserialize)]
struct Row {
    subject: String,
    #[serde(default)]
    grade: String,
    #[serde(default)]
    part: String,
    language: String,
    file: String,
}

impl Shelf {
    /// The manifest's path; `None` when names are read by patterns.
    pub fn manifest_path(&self) -> Option<PathBuf> {
        match &self.manifest {
            Some(manifest) => Some(self.folder.join(manifest)),
            None if self.patterns.is_empty() => Some(self.folder.join(MANIFEST)),
            None => None,
        }
    }

    /// What types alone cannot say.
    ///
    /// # Errors
    /// Kind `Config`.
    pub fn check(&self) -> Result<()> {
        let name = &self.name;
        if self.manifest.is_some() && !self.patterns.is_empty() {
            return Err(Error::config(format!("the shelf {name} has a manifest and patterns: choose one")));
        }
        match self.manifest_path() {
            Some(path) if !path.is_file() => Err(Error::config(format!(
                "the shelf {name} has no manifest {}: a CSV with the columns subject, grade, part, language, file; \
                 or give patterns of file names",
                path.display()
            ))),
            None if !self.folder.is_dir() => {
                Err(Error::config(format!("the shelf {name}: {} is no folder", self.folder.display())))
            }
            _ => Ok(()),
        }
    }
}

impl Shelves {
    /// Reads the shelves' manifests, or the names of their files.
    ///
    /// # Errors
    /// Kind `Input`: a manifest cannot be read, or says something impossible; file and line are named. A file that a
    /// manifest names and that is not there is no error here: it is that book's failure.
    pub fn read(shelves: &[Shelf]) -> Result<Self> {
        let mut all = Self::default();
        for shelf in shelves {
            let mut present = Vec::new();
            pdfs(&shelf.folder, Path::new(""), MAX_DEPTH, &mut present)?;
            let (books, source) = match shelf.manifest_path() {
                Some(manifest) => (by_manifest(shelf, &manifest)?, manifest.display().to_string()),
                None => (by_patterns(shelf, &present)?, "no pattern".to_owned()),
            };
            let named: BTreeSet<&String> = books.keys().collect();
            let unnamed: Vec<&String> = present.iter().filter(|file| !named.contains(file)).collect();
            if !unnamed.is_empty() {
                let first: Vec<&str> = unnamed.iter().take(NAMED).map(|file| file.as_str()).collect();
                let more = if unnamed.len() > NAMED { ", …" } else { "" };
                let source = if shelf.manifest_path().is_some() {
                    format!("{source} does not name")
                } else {
                    format!("{source} fits")
                };
                all.notes.push(format!(
                    "shelf {}: {source} {} of its {} PDFs: {}{more}",
                    shelf.name,
                    unnamed.len(),
                    present.len(),
                    first.join(", ")
                ));
            }
            all.books.extend(books.into_iter().map(|(file, book)| (format!("{}/{file}", shelf.name), book)));
        }
        Ok(all)
    }
}

/// Books by the file's path below the shelf's folder.
type Books = BTreeMap<String, Book>;

fn by_manifest(shelf: &Shelf, path: &Path) -> Result<Books> {
    let text = files::read_text(path)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns = "columns: subject, grade, part, language, file";
    let doing = || format!("reading the manifest {} ({columns})", path.display());
    let header = reader.headers().context(ErrorKind::Input, doing)?.clone();
    for column in ["subject", "language", "file"] {
        if !header.iter().any(|name| name.trim_start_matches('\u{FEFF}') == column) {
            return Err(Error::input(format!("{}:1: there is no column {column:?} ({columns})", path.display())));
        }
    }
    let header: csv::StringRecord = header.iter().map(|name| name.trim_start_matches('\u{FEFF}')).collect();
    let mut books: Books = BTreeMap::new();
    for record in reader.records() {
        // The error of the reader names the line.
        let record = record.context(ErrorKind::Input, doing)?;
        let named_by =
            format!("{}:{}", path.display(), record.position().map_or(0, |position| line(&text, position.byte())));
        let wrong = |what: String| Error::input(format!("{named_by}: {what}"));
        let row: Row = record.deserialize(Some(&header)).map_err(|error| wrong(error.to_string()))?;
        let file = inside(&row.file)
            .ok_or_else(|| wrong(format!("{:?} lies outside the shelf's folder, or is no file's name", row.file)))?;
        let language = row.language.parse().map_err(|error: Error| wrong(error.to_string()))?;
        let name = BookName { subject: row.subject, grade: row.grade, part: row.part, language };
        if let Some(other) = books.get(&file) {
            return Err(wrong(format!("{file} is a book already, by {}", other.named_by)));
        }
        books.insert(file.clone(), book(shelf, &file, name, named_by));
    }
    Ok(books)
}

/// The line on which a row begins. A row's position may lie before empty lines, which the reader skips.
fn line(text: &str, byte: u64) -> usize {
    let at = usize::try_from(byte).map_or(text.len(), |byte| byte.min(text.len()));
    let empty = text.as_bytes()[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    1 + text.as_bytes()[..at + empty].iter().filter(|byte| **byte == b'\n').count()
}

fn by_patterns(shelf: &Shelf, present: &[String]) -> Result<Books> {
    let mut books: Books = BTreeMap::new();
    for file in present {
        let Some((pattern, name)) = shelf.patterns.iter().find_map(|pattern| Some((pattern, pattern.read(file)?)))
        else {
            continue;
        };
        books.insert(file.clone(), book(shelf, file, name, format!("the pattern {pattern}")));
    }
    Ok(books)
}

fn book(shelf: &Shelf, file: &str, name: BookName, named_by: String) -> Book {
    Book {
        shelf: shelf.name.clone(),
        path: shelf.folder.join(file),
        language: name.language,
        twin_key: format!("{}:{}:{}:{}", shelf.name, name.subject, name.grade, name.part),
        named_by,
    }
}

/// The PDFs of a folder and of those below it, as paths below it, sorted.
fn pdfs(folder: &Path, below: &Path, depth: usize, found: &mut Vec<String>) -> Result<()> {
    let here = folder.join(below);
    let doing = || format!("listing {}", here.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(&here).context(ErrorKind::Input, doing)? {
        let entry = entry.context(ErrorKind::Input, doing)?;
        entries.push((below.join(entry.file_name()), entry.path()));
    }
    entries.sort();
    for (name, path) in entries {
        let pdf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pdf"));
        if path.is_dir() && depth > 0 {
            pdfs(folder, &name, depth - 1, found)?;
        } else if pdf && path.is_file() {
            found.extend(inside(&name.to_string_lossy()));
        }
    }
    Ok(())
}

/// A path as it is written below a folder, with `/` between names; `None` when it climbs out of it or names nothing.
fn inside(file: &str) -> Option<String> {
    let mut names = Vec::new();
    for part in Path::new(file).components() {
        match part {
            Component::Normal(name) => names.push(name.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!names.is_empty()).then(|| names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(folder: &Path, patterns: &[&str]) -> Shelf {
        let patterns = patterns.iter().map(|pattern| FilePattern::parse(pattern).unwrap()).collect();
        Shelf { name: "s".into(), folder: folder.into(), manifest: None, patterns }
    }

    /// A shelf with a manifest and some files.
    fn with_manifest(manifest: &str, files: &[&str]) -> (tempfile::TempDir, Result<Shelves>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), manifest).unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let read = Shelves::read(&[shelf(folder.path(), &[])]);
        (folder, read)
    }

    #[test]
    fn editions_share_their_key_and_files_that_nothing_names_are_told() {
        let (_folder, read) = with_manifest(
            "\u{FEFF}title,language,subject,grade,file\nA,rus,math,5,a.pdf\nB,tm,math,5, sub/b.PDF\nC,tk,math,6,gone.pdf\n",
            &["a.pdf", "sub/b.PDF", "x.pdf", "notes.txt", "sub/y.pdf"],
        );
        let shelves = read.unwrap();
        let key = |file: &str| shelves.books[file].twin_key.as_str();
        assert_eq!(key("s/a.pdf"), key("s/sub/b.PDF"));
        assert_ne!(key("s/a.pdf"), key("s/gone.pdf"));
        assert!(shelves.books["s/gone.pdf"].named_by.ends_with("manifest.csv:4"));
        assert_eq!(shelves.notes.len(), 1);
        assert!(shelves.notes[0].ends_with("does not name 2 of its 4 PDFs: sub/y.pdf, x.pdf"), "{:?}", shelves.notes);
    }

    #[test]
    fn what_is_wrong_in_a_manifest_is_named_with_its_line() {
        let head = "subject,grade,part,language,file\nmath,5,,ru,a.pdf\n";
        for (manifest, word) in [
            (format!("{head}math,5,,klingon,b.pdf\n"), "manifest.csv:3: unknown language \"klingon\""),
            (format!("{head}math,5,,tk,../b.pdf\n"), "manifest.csv:3: \"../b.pdf\" lies outside"),
            (format!("{head}\n\nmath,5,,tk,./a.pdf\n"), "manifest.csv:5: a.pdf is a book already"),
            (format!("{head}math,5,tk,b.pdf\n"), "line: 3"),
            ("subject,grade,language\n".to_owned(), "manifest.csv:1: there is no column \"file\""),
        ] {
            let error = with_manifest(&manifest, &[]).1.unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn names_are_read_by_the_first_pattern_that_fits() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["ona-tili_2qism_3_uzb.pdf", "ona-tili_2qism_3_rus.pdf", "taryh_7_tm.pdf", "scan.pdf"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let patterns = ["{subject}_{part}qism_{grade}_{language}.pdf", "{subject}_{grade}_{language}.pdf"];
        let shelves = Shelves::read(&[shelf(folder.path(), &patterns)]).unwrap();
        assert_eq!(shelves.books["s/ona-tili_2qism_3_rus.pdf"].twin_key, "s:ona-tili:3:2");
        assert_eq!(shelves.books["s/taryh_7_tm.pdf"].language, Language::TURKMEN);
        assert_eq!(shelves.notes, ["shelf s: no pattern fits 1 of its 4 PDFs: scan.pdf"]);
    }

    #[test]
    fn a_path_that_climbs_out_of_its_folder_is_refused() {
        assert_eq!(inside("../secret.pdf"), None);
        assert_eq!(inside("/etc/passwd"), None);
        assert_eq!(inside("."), None);
        assert_eq!(inside("./a/b.pdf").as_deref(), Some("a/b.pdf"));
    }
}
