//! JSON as other programs write it, repaired on the way to a reader that takes standard JSON alone.
//!
//! Repaired are: a byte order mark at the beginning (dropped); lone surrogates, escaped (`\ud83d`) or as bytes, and other
//! bytes that are no UTF-8 inside of strings (U+FFFD); the numbers `NaN`, `Infinity` and `-Infinity`, which Python writes
//! and JSON does not have (`null`). Everything else passes as it is, so that the reader names what is wrong with it.

use std::io::{self, Read};

/// Bytes read at once.
const PIECE: usize = 1 << 16;
/// No decision needs to see more bytes than this: two escaped surrogates are 12.
const AHEAD: usize = 16;
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// How much was repaired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Lone surrogates, and runs of bytes that are no UTF-8: each reads as one U+FFFD.
    pub characters: u64,
    /// Numbers that JSON does not have: each reads as `null`.
    pub numbers: u64,
}

/// A reader of JSON that repairs what the reader behind it holds. Elements of the outermost array, or values that follow
/// one another, may be limited in size: a parser builds each of them in memory.
#[derive(Debug)]
pub struct Repaired<R> {
    inner: R,
    /// Read and not yet looked at, from `at` on.
    input: Vec<u8>,
    at: usize,
    /// Looked at and not yet handed out, from `given` on.
    output: Vec<u8>,
    given: usize,
    is_ended: bool,
    is_begun: bool,
    in_string: bool,
    depth: u64,
    /// The depth at which elements stand: 1 in an array, 0 for values that follow one another.
    base: Option<u64>,
    /// Bytes of the present element.
    element: u64,
    limit: u64,
    repairs: Repairs,
}

impl<R: Read> Repaired<R> {
    /// Begins. An element of more than `limit` bytes is an error.
    pub fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            input: Vec::new(),
            at: 0,
            output: Vec::new(),
            given: 0,
            is_ended: false,
            is_begun: false,
            in_string: false,
            depth: 0,
            base: None,
            element: 0,
            limit,
            repairs: Repairs::default(),
        }
    }

    /// What was repaired so far.
    pub fn repairs(&self) -> Repairs {
        self.repairs
    }

    /// Reads more, and moves what can be decided to the output.
    fn advance(&mut self) -> io::Result<()> {
        self.output.clear();
        self.given = 0;
        self.input.drain(..self.at);
        self.at = 0;
        let held = self.input.len();
        self.input.resize(held + PIECE, 0);
        let count = loop {
            match self.inner.read(&mut self.input[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.input.truncate(held + count);
        self.is_ended = count == 0;
        if !self.is_begun && (self.input.len() >= 3 || self.is_ended) {
            self.is_begun = true;
            self.at = if self.input.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        }
        while self.is_begun && self.at < self.input.len() && (self.is_ended || self.input.len() - self.at >= AHEAD) {
            let before = self.at;
            if self.in_string {
                self.inside()
            } else {
                self.outside()
            }
            if self.base.is_some_and(|base| self.depth > base) {
                self.element += (self.at - before) as u64;
                if self.element > self.limit {
                    return Err(io::Error::other(format!("an element is larger than {} bytes", self.limit)));
                }
            } else {
                self.element = 0;
            }
        }
        Ok(())
    }

    /// One step outside of strings.
    fn outside(&mut self) {
        let rest = &self.input[self.at..];
        let wrong = ["NaN", "Infinity", "-Infinity"].into_iter().find(|number| rest.starts_with(number.as_bytes()));
        if let Some(number) = wrong {
            self.output.extend_from_slice(b"null");
            self.repairs.numbers += 1;
            self.at += number.len();
            return;
        }
        let byte = rest[0];
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.base.is_none() && !byte.is_ascii_whitespace() {
            self.base = Some(u64::from(byte == b'['));
        }
        self.output.push(byte);
        self.at += 1;
    }

    /// One step inside of a string: a run of plain text, an escape, or its end.
    fn inside(&mut self) {
        let rest = &self.input[self.at..];
        match rest[0] {
            b'"' => {
                self.in_string = false;
                self.pass(1);
            }
            b'\\' => match (escaped(rest), rest.len()) {
                (Some(0xd800..=0xdbff), _) if matches!(rest.get(6..).and_then(escaped), Some(0xdc00..=0xdfff)) => {
                    self.pass(12);
                }
                (Some(0xd800..=0xdfff), _) => {
                    self.output.extend_from_slice(b"\\ufffd");
                    self.repairs.characters += 1;
                    self.at += 6;
                }
                (Some(_), _) => self.pass(6),
                (None, length) => self.pass(length.min(2)),
            },
            _ => {
                let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
                self.text(end);
            }
        }
    }

    /// A run of a string without quotes and escapes, as far as it is complete.
    fn text(&mut self, end: usize) {
        let run = &self.input[self.at..self.at + end];
        let Err(error) = std::str::from_utf8(run) else { return self.pass(end) };
        let valid = error.valid_up_to();
        if valid > 0 {
            return self.pass(valid);
        }
        // The beginning of a character whose end is not read yet is at least AHEAD bytes away from here.
        let wrong = match run {
            // A surrogate written as if it were a character.
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            _ => error.error_len().unwrap_or(run.len()),
        };
        self.output.extend_from_slice(REPLACEMENT);
        self.repairs.characters += 1;
        self.at += wrong;
    }

    fn pass(&mut self, count: usize) {
        self.output.extend_from_slice(&self.input[self.at..self.at + count]);
        self.at += count;
    }
}

impl<R: Read> Read for Repaired<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() && !(self.is_ended && self.at == self.input.len()) {
            self.advance()?;
        }
        let count = buffer.len().min(self.output.len() - self.given);
        buffer[..count].copy_from_slice(&self.output[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// The code unit of an escape `\uXXXX` at the beginning.
fn escaped(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A whole JSON text, repaired.
pub fn repaired(json: &[u8]) -> (Vec<u8>, Repairs) {
    let mut reader = Repaired::new(json, u64::MAX);
    let mut out = Vec::with_capacity(json.len());
    // Bytes in memory are read without errors, and there is no limit.
    let _ = reader.read_to_end(&mut out);
    (out, reader.repairs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn both_ways(json: &[u8]) -> (String, Repairs) {
        let whole = repaired(json);
        for piece in [1, 2, 5, 17] {
            let mut reader = Repaired::new(Dripping(json, piece), u64::MAX);
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            assert_eq!((&out, reader.repairs()), (&whole.0, whole.1), "{piece} bytes at a time");
        }
        (String::from_utf8(whole.0).unwrap(), whole.1)
    }

    #[test]
    fn what_other_programs_write_is_repaired() {
        for (json, expected, characters, numbers) in [
            (&b"\xef\xbb\xbf[1]"[..], "[1]", 0, 0),
            (br#"["\ud83d\ude42","\ud83d","x\ude42y","\ud83d\n","\ud83d\ud83d\ude42"]"#, "", 4, 0),
            (br#"{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN -Infinity \" NaN"}"#, "", 0, 3),
            (b"[\"\xed\xa0\xbd|\xff|\xd0\"]", "[\"\u{fffd}|\u{fffd}|\u{fffd}\"]", 3, 0),
            ("[\"Ýaşyl — мост 🙂\", \"\\\\ud83d\"]".as_bytes(), "[\"Ýaşyl — мост 🙂\", \"\\\\ud83d\"]", 0, 0),
        ] {
            let (text, repairs) = both_ways(json);
            assert!(expected.is_empty() || text == expected, "{text}");
            assert_eq!(repairs, Repairs { characters, numbers }, "{text}");
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
        let (text, _) = both_ways(br#"["\ud83d\ude42","\ud83d","x\ude42y"]"#);
        let value: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(value, ["🙂", "\u{fffd}", "x\u{fffd}y"]);
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for json in [&b"a,b\n1,2"[..], b"[1", b"", b"[\"\\u12\"]", b"[\"\\", b"\xff\xfe[\0", b"[nan]"] {
            let (out, repairs) = repaired(json);
            assert!(serde_json::from_slice::<serde_json::Value>(&out).is_err(), "{out:?}");
            assert_eq!(repairs, Repairs::default());
        }
    }

    #[test]
    fn elements_are_limited_and_their_number_is_not() {
        let read = |json: &str, limit| io::read_to_string(Repaired::new(json.as_bytes(), limit));
        let many = format!("[{}{{}}]", r#"{"a":[1,2]},"#.repeat(100_000));
        assert_eq!(read(&many, 20).unwrap(), many);
        let lines = "{\"a\":1}\n".repeat(1000);
        assert_eq!(read(&lines, 20).unwrap(), lines);
        for json in [format!("[{{\"a\":\"{}\"}}]", "x".repeat(30)), format!("{{\"a\":\"{}\"}}", "x".repeat(30))] {
            assert!(read(&json, 20).unwrap_err().to_string().contains("larger than 20 bytes"), "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn sound_json_passes_as_it_is(text in proptest::prelude::any::<String>(), ascii in proptest::bool::ANY) {
            let mut json = serde_json::json!([{ "a": text, "b": [1.5, null, true] }]).to_string();
            if ascii {
                json = json.chars().flat_map(|c| {
                    let mut units = [0; 2];
                    let escape = |unit: &u16| format!("\\u{unit:04x}");
                    let text: String = if c.is_ascii() { c.to_string() } else { c.encode_utf16(&mut units).iter().map(escape).collect() };
                    text.chars().collect::<Vec<_>>()
                }).collect();
            }
            let (out, repairs) = repaired(json.as_bytes());
            proptest::prop_assert_eq!(String::from_utf8(out).unwrap(), json);
            proptest::prop_assert_eq!(repairs, Repairs::default());
        }
    }
}
