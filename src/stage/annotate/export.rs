//! A file that Label Studio exported, task by task: one JSON array, or JSON lines. What Label Studio and the programs
//! that people open its files with write beside the standard is repaired (`text::json`).

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::de::{Deserialize as _, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::text::json::{Repaired, Repairs};

/// The largest task in bytes. A parser makes up to twenty times as much of it in memory.
const LARGEST_TASK: u64 = 32_000_000;
/// Bytes that tell what a file is.
const HEAD: usize = 1 << 12;

/// Reads an export task by task, or row by row; answers what was repaired. Memory: one of them.
///
/// # Errors
/// Kind `Input` when the file holds no tasks, or breaks off; and what `each` answers.
pub fn for_each_task(path: &Path, each: &mut dyn FnMut(Value) -> Result<()>) -> Result<Repairs> {
    let mut file = BufReader::with_capacity(1 << 20, files::open(path)?);
    let wrong = |what: String| {
        let expected = "expected Label Studio's export as JSON or JSON_MIN, an array of tasks";
        Error::new(ErrorKind::Input, format!("reading {}: {what}; {expected}", path.display()))
    };
    let head = file.fill_buf().map_err(|error| wrong(error.to_string()))?;
    let kind = Kind::of(&head[..head.len().min(HEAD)]).map_err(wrong)?;
    let mut failed = None;
    let mut take = |task: Value| match each(task) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    };
    let mut text = Repaired::new(file, LARGEST_TASK);
    // The parser asks for single bytes.
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, &mut text));
    let read = match kind {
        Kind::Array => Tasks(&mut take).deserialize(&mut reader).and_then(|()| reader.end()),
        Kind::Lines => loop {
            match reader.end() {
                Ok(()) => break Ok(()),
                Err(error) if error.is_io() => break Err(error),
                Err(_) => {}
            }
            match Value::deserialize(&mut reader) {
                Ok(task) => {
                    if !take(task) {
                        break Err(serde::de::Error::custom("stopped"));
                    }
                }
                Err(error) => break Err(error),
            }
        },
    };
    drop(reader);
    if let Some(error) = failed {
        return Err(error);
    }
    read.map_err(|error| {
        let what = if error.is_eof() { "the file breaks off: " } else { "" };
        wrong(format!("{what}{error}; nothing of it was taken in"))
    })?;
    Ok(text.repairs())
}

/// How tasks stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Lines,
}

impl Kind {
    /// By the beginning of the file; else what the file seems to be.
    fn of(head: &[u8]) -> Result<Self, String> {
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err("it is UTF-16: save it as UTF-8".into());
        }
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"\x1f\x8b") {
            return Err("it is compressed (zip or gzip): unpack it first".into());
        }
        let text = String::from_utf8_lossy(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head));
        let text = text.trim_start();
        let line = text.lines().next().unwrap_or_default();
        match text.chars().next() {
            Some('[') => Ok(Self::Array),
            Some('{') => Ok(Self::Lines),
            None if head.is_empty() => Err("it is empty".into()),
            None => Ok(Self::Array),
            Some('<') => Err("it is an HTML or XML page, such as an error of the server".into()),
            _ if line.contains([',', '\t']) => {
                Err("it is a table (CSV or TSV), which loses what an annotation is made of: export JSON".into())
            }
            _ => Err(format!("it begins with {:?}", line.chars().take(40).collect::<String>())),
        }
    }
}

/// Hands on the elements of an array one by one, until one is refused.
struct Tasks<'a>(&'a mut dyn FnMut(Value) -> bool);

impl<'de> DeserializeSeed<'de> for Tasks<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Tasks<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tasks: A) -> Result<(), A::Error> {
        while let Some(task) = tasks.next_element()? {
            if !(self.0)(task) {
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
