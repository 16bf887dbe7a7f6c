//! Pairs that come in from files: TSV, JSON lines and TMX. An import is known by the canonical path of its file and by the
//! file's content: a path that is imported again replaces its pairs, and content comes in once.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Languages, fingerprint};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::extract::tmx;
use crate::files;
use crate::record::id::hash_parts;
use crate::record::{Origin, Pair, Scores, Side};
use crate::stage::formats::Format;
use crate::store::Store;
use crate::store::imports::Import;
use crate::text::dedup::text_pair;
use crate::text::json::repaired;
use crate::text::normalise;

/// Goes up when the same file gives other pairs.
const VERSION: u32 = 1;

/// The name under which imports stand in the ledger.
pub const STAGE: &str = "import";

/// The pairs of a file, and its rows that are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Source and target, normalised; each pair once, in the file's order.
    pub pairs: Vec<(String, String)>,
    /// What is wrong with a row, and where it stands.
    pub problems: Vec<String>,
    /// Pairs that come again.
    pub repeated: u64,
    known: HashSet<[u8; 32]>,
}

impl Rows {
    /// Reads a file.
    ///
    /// # Errors
    /// Kind `Input`: it cannot be read, or is of another form as a whole.
    pub fn read(path: &Path, bytes: &[u8], format: Format, languages: Languages) -> Result<Self> {
        if bytes.starts_with(b"\x1f\x8b") {
            return Err(Error::input(format!("{}: it is compressed by gzip: unpack it first", path.display())));
        }
        match format {
            Format::Tsv => Self::tsv(path, bytes),
            Format::Jsonl => Ok(Self::jsonl(path, bytes)),
            Format::Tmx => Self::tmx(path, bytes, languages),
            Format::LabelStudio => Err(Error::bug("annotations are no pairs")),
        }
    }

    /// TSV with a header line that names the columns `source` and `target`; others may stand beside them. There is no
    /// quoting.
    fn tsv(path: &Path, bytes: &[u8]) -> Result<Self> {
        let mut lines = lines(bytes);
        let header = lines.next().and_then(|(_, header)| std::str::from_utf8(header).ok()).unwrap_or_default();
        let columns: Vec<&str> = header.split('\t').map(str::trim).collect();
        let column = |name: &str| columns.iter().position(|column| *column == name);
        let (Some(source), Some(target)) = (column("source"), column("target")) else {
            return Err(Error::input(format!(
                "{}, line 1: expected a header line with the columns source and target, divided by tabs",
                path.display()
            )));
        };
        let mut rows = Self::default();
        for (number, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
            let at = || format!("{}, line {number}", path.display());
            let Ok(line) = std::str::from_utf8(line) else {
                rows.problems.push(format!("{}: it is not UTF-8", at()));
                continue;
            };
            let fields: Vec<&str> = line.split('\t').collect();
            if fields.len() != columns.len() {
                rows.problems.push(format!(
                    "{}: {} fields, and the header names {} columns",
                    at(),
                    fields.len(),
                    columns.len()
                ));
                continue;
            }
            rows.add(at, fields[source], fields[target]);
        }
        Ok(rows)
    }

    /// An object a line, with `source` and `target`; other members may stand beside them.
    fn jsonl(path: &Path, bytes: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Line {
            source: String,
            target: String,
        }
        let mut rows = Self::default();
        for (number, line) in lines(bytes).filter(|(_, line)| !line.trim_ascii().is_empty()) {
            let at = || format!("{}, line {number}", path.display());
            // What other programs write beside the standard: a byte order mark, NaN, half an emoji.
            match serde_json::from_slice::<Line>(&repaired(line).0) {
                Ok(Line { source, target }) => rows.add(at, &source, &target),
                Err(error) => rows.problems.push(format!("{}: {error}", at())),
            }
        }
        rows
    }

    fn tmx(path: &Path, bytes: &[u8], languages: Languages) -> Result<Self> {
        let memory = tmx::read(bytes, languages.source, languages.target)
            .map_err(|error| error.while_doing(format!("reading {}", path.display())))?;
        let at = |problem: &String| format!("{}: {problem}", path.display());
        let mut rows = Self { problems: memory.problems.iter().map(at).collect(), ..Self::default() };
        for (source, target) in &memory.pairs {
            rows.add(|| format!("{}: a unit", path.display()), source, target);
        }
        Ok(rows)
    }

    fn add(&mut self, at: impl Fn() -> String, source: &str, target: &str) {
        let (source, target) = (normalise(source), normalise(target));
        for (side, text) in [("source", &source), ("target", &target)] {
            if text.is_empty() {
                self.problems.push(format!("{}: the {side} is empty", at()));
                return;
            }
        }
        let hash = hash_parts(&[source.as_bytes(), target.as_bytes()]);
        if self.known.insert(*hash.as_bytes()) {
            self.pairs.push((source, target));
        } else {
            self.repeated += 1;
        }
    }
}

/// The lines of a file with their numbers, from 1, without a byte order mark and line ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    (1..).zip(bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
}

/// What became of an import.
#[derive(Debug, PartialEq, Eq)]
pub enum Imported {
    /// Its pairs came in; those of an earlier import of this path went.
    New(Import, Rows),
    /// The path was imported before and holds the same still. Nothing was done.
    Unchanged(Import),
    /// The same content came in from another path. Nothing was done.
    Elsewhere(Import),
}

/// Brings the pairs of a file in.
///
/// # Errors
/// Kind `Input`: the file cannot be read, or holds no pair; what it brought before stays. Kind `Store`.
pub fn import(
    store: &mut Store,
    pipeline: &str,
    path: &Path,
    format: Format,
    languages: Languages,
    licence: Option<&str>,
) -> Result<Imported> {
    let path = path.canonicalize().context(ErrorKind::Input, || format!("reading {}", path.display()))?;
    let bytes = files::read(&path)?;
    let content = blake3::hash(&bytes).to_hex().to_string();
    let reading = format!("{} {} {} {VERSION}", format.name(), languages.source, languages.target);
    let id = id_of(&path);
    if let Some(known) = store.import_of_content(&content)? {
        if known.id != id {
            return Ok(Imported::Elsewhere(known));
        }
        if known.reading == reading && (licence.is_none() || known.licence.as_deref() == licence) {
            return Ok(Imported::Unchanged(known));
        }
    }
    let rows = Rows::read(&path, &bytes, format, languages)?;
    if rows.pairs.is_empty() {
        let why = match rows.problems.as_slice() {
            [] => String::new(),
            [only] => format!(" ({only})"),
            [first, ..] => format!(" ({} rows were left out, the first: {first})", rows.problems.len()),
        };
        return Err(Error::input(format!("{}: no pair was found in it{why}", path.display())));
    }
    let pairs: Vec<Pair> = rows.pairs.iter().map(|(source, target)| pair(languages, source, target)).collect();
    let earlier = store.import(&id)?;
    let import = Import {
        path: path.display().to_string(),
        content,
        reading,
        format: format.name().into(),
        pairs: pairs.len() as u64,
        left_out: rows.problems.len() as u64,
        licence: licence.map(str::to_owned).or(earlier.and_then(|earlier| earlier.licence)),
        imported_at: Timestamp::now(),
        id,
    };
    let output = fingerprint(&serde_json::json!(pairs))?;
    let writer = store.writer()?;
    let run = writer.begin_run(import.imported_at, pipeline, &serde_json::json!({ "import": import.path }))?;
    writer.put_import(&import)?;
    writer.put_occurrences(&languages.name(), STAGE, &import.id, &pairs)?;
    writer.unit_done(&languages.name(), STAGE, &import.id, "", &output, &output, run, import.imported_at)?;
    writer.finish_run(run, Timestamp::now(), "done")?;
    writer.commit()?;
    Ok(Imported::New(import, rows))
}

/// Takes an import's pairs away, by its id or its path.
///
/// # Errors
/// Kind `Usage`: there is no such import. Kind `Store`.
pub fn remove(store: &mut Store, name: &str) -> Result<Import> {
    let by_path = || -> Result<Option<Import>> {
        let path = Path::new(name);
        // The file may be gone.
        let absolute = path.canonicalize().or_else(|_| std::path::absolute(path));
        let absolute = absolute.context(ErrorKind::Usage, || format!("the path {name:?}"))?;
        store.import(&id_of(&absolute))
    };
    let found = match store.import(name)? {
        Some(import) => Some(import),
        None => by_path()?,
    };
    let Some(import) = found else {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("no import has the id or the path {name:?}: `kopri import PIPELINE.toml --list` names them"),
        ));
    };
    let scopes = store.scopes_of_producer(STAGE, &import.id)?;
    let writer = store.writer()?;
    for scope in scopes {
        writer.put_occurrences(&scope, STAGE, &import.id, &[])?;
        writer.forget_unit(&scope, STAGE, &import.id)?;
    }
    writer.delete_import(&import.id)?;
    writer.commit()?;
    Ok(import)
}

/// The id of an import, by its canonical path.
fn id_of(path: &Path) -> String {
    let hash = hash_parts(&[STAGE.as_bytes(), path.as_os_str().as_encoded_bytes()]).to_hex();
    format!("i{}", &hash[..16])
}

/// A text pair that came as bare text.
fn pair(languages: Languages, source: &str, target: &str) -> Pair {
    let side = |text: &str| Side { document: None, sentences: Vec::new(), text: text.to_owned() };
    Pair {
        id: text_pair(languages, source, target),
        source: side(source),
        target: side(target),
        origin: Origin::Imported,
        scores: Scores::default(),
        score: 1.0,
        parent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Language;
    use crate::store::open::Access;

    const RU_TK: Languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };

    fn read(format: Format, bytes: &[u8]) -> Rows {
        Rows::read(Path::new("f"), bytes, format, RU_TK).unwrap()
    }

    fn texts(rows: &Rows) -> Vec<(&str, &str)> {
        rows.pairs.iter().map(|(source, target)| (source.as_str(), target.as_str())).collect()
    }

    #[test]
    fn bad_rows_are_named_by_line_and_the_others_read() {
        let tsv = b"\xef\xbb\xbfid\tsource\ttarget\r\n1\tone\tbir\r\n2\t\tiki\r\n\r\n3\tthree\n4\tf\xff\td\xff\n\
            5\ttwo\tiki\tmore\n6\ttwo\tiki\n7\tone\tbir";
        let rows = read(Format::Tsv, tsv);
        assert_eq!(texts(&rows), [("one", "bir"), ("two", "iki")]);
        assert_eq!(rows.repeated, 1);
        assert_eq!(
            rows.problems,
            [
                "f, line 3: the source is empty",
                "f, line 5: 2 fields, and the header names 3 columns",
                "f, line 6: it is not UTF-8",
                "f, line 7: 4 fields, and the header names 3 columns"
            ]
        );
        let jsonl = "\u{feff}{\"source\": \"one\", \"target\": \"bir\", \"more\": 1}\n{\"source\": null, \"target\": \"x\"}\n\n\
            {\"source\": \"\\ud83d\", \"target\": \"x\"}\n{\"source\": \"two\", \"target\": \" \"}\nrow\n{\"source\":\"two\",\"target\":\"iki\"}";
        let rows = read(Format::Jsonl, jsonl.as_bytes());
        assert_eq!(
            texts(&rows),
            [("one", "bir"), ("\u{fffd}", "x"), ("two", "iki")],
            "half an emoji is read as U+FFFD"
        );
        let lines: Vec<&str> = rows.problems.iter().map(|problem| problem.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["f, line 2", "f, line 5", "f, line 6"]);
        assert!(rows.problems[1].ends_with("the target is empty"));
    }

    #[test]
    fn what_is_of_another_form_is_refused_as_a_whole() {
        let error = |format, bytes: &[u8]| Rows::read(Path::new("f"), bytes, format, RU_TK).unwrap_err().to_string();
        assert!(error(Format::Tsv, b"one\tbir\n").contains("f, line 1: expected a header line"));
        assert!(error(Format::Tsv, b"").contains("expected a header line"));
        assert!(error(Format::Tmx, b"\x1f\x8b\x08").contains("compressed by gzip"));
    }

    #[test]
    fn texts_are_normalised() {
        // NFD, a no-break space, a soft hyphen, a zero-width space, a control character, a line separator.
        let jsonl =
            "{\"source\": \" Мост\\u00a0от\\u00adкры\\u0438\\u0306\\u200b\\u0007 \", \"target\": \"a\\u2028b\"}";
        let rows = read(Format::Jsonl, jsonl.as_bytes());
        assert_eq!(texts(&rows), [("Мост открый", "a b")]);
    }

    #[test]
    fn files_of_one_name_are_two_imports_and_content_comes_in_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b"] {
            files::create_folder(&at(name)).unwrap();
        }
        std::fs::write(at("a/ru-tk.tsv"), "source\ttarget\none\tbir\n").unwrap();
        std::fs::write(at("b/ru-tk.tsv"), "source\ttarget\none\tbir\nthree\tüç\n\tempty\n").unwrap();
        let mut store = Store::open(&at("work"), Access::Write).unwrap();
        let bring = |store: &mut Store, name: &str, licence| import(store, "p", &at(name), Format::Tsv, RU_TK, licence);
        let pairs = |store: &Store| -> u64 {
            let units = store.producers("ru-tk").unwrap();
            units.iter().map(|(stage, unit)| store.occurrence_count("ru-tk", stage, unit).unwrap()).sum()
        };
        let Imported::New(first, rows) = bring(&mut store, "a/ru-tk.tsv", Some("CC0-1.0")).unwrap() else { panic!() };
        assert_eq!((first.pairs, rows.pairs.len(), rows.problems.len()), (1, 1, 0));
        // Its instant as the store keeps it, in microseconds.
        let first = store.import(&first.id).unwrap().unwrap();
        let Imported::New(second, _) = bring(&mut store, "b/ru-tk.tsv", None).unwrap() else { panic!() };
        assert_eq!((second.pairs, second.left_out), (2, 1));
        assert_ne!(first.id, second.id);
        assert_eq!(pairs(&store), 3);

        assert_eq!(bring(&mut store, "a/ru-tk.tsv", None).unwrap(), Imported::Unchanged(first.clone()));
        std::fs::copy(at("a/ru-tk.tsv"), at("copy.tsv")).unwrap();
        assert_eq!(bring(&mut store, "copy.tsv", None).unwrap(), Imported::Elsewhere(first.clone()));
        assert_eq!(bring(&mut store, "a/../a/ru-tk.tsv", None).unwrap(), Imported::Unchanged(first.clone()));

        // A file without a pair changes nothing; one with other pairs replaces those of its path alone.
        std::fs::write(at("a/ru-tk.tsv"), "source\ttarget\n\tbir\n").unwrap();
        let error = bring(&mut store, "a/ru-tk.tsv", None).unwrap_err();
        assert!(error.kind() == ErrorKind::Input && error.to_string().contains("no pair was found"), "{error}");
        assert_eq!(pairs(&store), 3);
        std::fs::write(at("a/ru-tk.tsv"), "source\ttarget\none\tbir\nfour\tdört\n").unwrap();
        let Imported::New(again, _) = bring(&mut store, "a/ru-tk.tsv", None).unwrap() else { panic!() };
        assert_eq!((again.id.as_str(), again.licence.as_deref()), (first.id.as_str(), Some("CC0-1.0")));
        assert_eq!(pairs(&store), 4);

        std::fs::remove_file(at("b/ru-tk.tsv")).unwrap();
        let gone = remove(&mut store, at("b/ru-tk.tsv").to_str().unwrap()).unwrap();
        assert_eq!((gone.id, pairs(&store)), (second.id, 2));
        remove(&mut store, &again.id).unwrap();
        assert_eq!((store.imports().unwrap(), pairs(&store)), (Vec::new(), 0));
        assert!(store.units("ru-tk", STAGE).unwrap().is_empty());
        let error = remove(&mut store, &again.id).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("--list"), "{error}");
    }
}
