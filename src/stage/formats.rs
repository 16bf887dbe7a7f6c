//! The formats in which pairs leave: TSV, JSON lines, TMX 1.4 and Label Studio tasks. Each writer streams, and escapes
//! everything that its format gives a meaning.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::Languages;
use crate::record::{PairId, SentenceId};
use crate::store::text_pairs::JudgedPair;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Tab-separated values with a header line.
    Tsv,
    /// One JSON object a line; the schema is `schemas/pair.schema.json`.
    Jsonl,
    /// Translation Memory eXchange 1.4b.
    Tmx,
    /// Label Studio import: an array of tasks with predictions, for the configurations of `schemas/label-studio/`.
    LabelStudio,
}

impl Format {
    /// All, for help texts.
    pub const ALL: [Self; 4] = [Self::Tsv, Self::Jsonl, Self::Tmx, Self::LabelStudio];

    /// Its name in the configuration and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tsv => "tsv",
            Self::Jsonl => "jsonl",
            Self::Tmx => "tmx",
            Self::LabelStudio => "label-studio",
        }
    }

    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// A pair as a line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PairLine {
    /// Id: `p` and 16 hexadecimal digits.
    #[schemars(with = "String")]
    pub id: PairId,
    /// BCP 47 code of the source language.
    pub source_language: String,
    /// BCP 47 code of the target language.
    pub target_language: String,
    /// Text in the source language.
    pub source: String,
    /// Text in the target language.
    pub target: String,
    /// URL or book path of the source document; absent for imported pairs.
    pub source_location: Option<String>,
    /// URL or book path of the target document; absent for imported pairs.
    pub target_location: Option<String>,
    /// Ids of the source sentences.
    #[schemars(with = "Vec<String>")]
    pub source_sentences: Vec<SentenceId>,
    /// Ids of the target sentences.
    #[schemars(with = "Vec<String>")]
    pub target_sentences: Vec<SentenceId>,
    /// `aligned`, `mined`, `imported` or `corrected`.
    pub origin: String,
    /// Rank in the pool, 0 to 1; higher is surer.
    pub score: f32,
    /// Cosine of the two sides, −1 to 1; higher is nearer.
    pub similarity: Option<f32>,
    /// Ratio margin; 1 is no better than the neighbours, higher is better.
    pub margin: Option<f32>,
    /// Why the pair was dropped; absent when it was kept.
    pub dropped: Option<String>,
    /// What the rule saw.
    pub detail: Option<String>,
}

impl PairLine {
    /// The line of a pair.
    pub fn of(judged: &JudgedPair, languages: Languages) -> Self {
        let pair = &judged.pair;
        Self {
            id: pair.id,
            source_language: languages.source.code().into(),
            target_language: languages.target.code().into(),
            source: pair.source.text.clone(),
            target: pair.target.text.clone(),
            source_location: judged.source_location.clone(),
            target_location: judged.target_location.clone(),
            source_sentences: pair.source.sentences.clone(),
            target_sentences: pair.target.sentences.clone(),
            origin: pair.origin.name().into(),
            score: pair.score,
            similarity: pair.similarity(),
            margin: pair.margin(),
            dropped: judged.drop.as_ref().map(|drop| drop.reason.name().into()),
            detail: judged.drop.as_ref().map(|drop| drop.detail.clone()),
        }
    }
}

/// The columns of the TSV, in order.
pub const TSV_COLUMNS: [&str; 11] = [
    "id",
    "source",
    "target",
    "score",
    "origin",
    "similarity",
    "margin",
    "source_location",
    "target_location",
    "dropped",
    "detail",
];

/// Writes pairs in a format.
pub struct PairWriter<'w> {
    out: &'w mut dyn Write,
    format: Format,
    languages: Languages,
    written: u64,
}

impl std::fmt::Debug for PairWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairWriter").field("format", &self.format).field("written", &self.written).finish()
    }
}

impl<'w> PairWriter<'w> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: &'w mut dyn Write, format: Format, languages: Languages) -> io::Result<Self> {
        match format {
            Format::Tsv => writeln!(out, "{}", TSV_COLUMNS.join("\t"))?,
            Format::Jsonl => {}
            Format::Tmx => writeln!(
                out,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<tmx version=\"1.4\">\n<header creationtool=\"kopri\" creationtoolversion=\"{}\" segtype=\"sentence\" o-tmf=\"kopri\" adminlang=\"en\" srclang=\"{}\" datatype=\"plaintext\"/>\n<body>",
                env!("CARGO_PKG_VERSION"),
                languages.source
            )?,
            Format::LabelStudio => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "tasks are no pairs: TaskWriter writes them"));
            }
        }
        Ok(Self { out, format, languages, written: 0 })
    }

    /// Writes a pair.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, judged: &JudgedPair) -> io::Result<()> {
        let line = PairLine::of(judged, self.languages);
        match self.format {
            Format::Tsv => self.tsv(&line)?,
            Format::Jsonl => {
                serde_json::to_writer(&mut self.out, &line)?;
                writeln!(self.out)?;
            }
            Format::Tmx => self.tmx(&line)?,
            Format::LabelStudio => {}
        }
        self.written += 1;
        Ok(())
    }

    /// The writer underneath, for entries that are written already.
    pub fn inner(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Ends the file; answers how many pairs it holds.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(self) -> io::Result<u64> {
        match self.format {
            Format::Tsv | Format::Jsonl | Format::LabelStudio => {}
            Format::Tmx => writeln!(self.out, "</body>\n</tmx>")?,
        }
        Ok(self.written)
    }

    fn tsv(&mut self, line: &PairLine) -> io::Result<()> {
        let number = |number: Option<f32>| number.map(|number| format!("{number:.4}")).unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let fields = [
            line.id.to_string(),
            line.source.clone(),
            line.target.clone(),
            number(Some(line.score)),
            line.origin.clone(),
            number(line.similarity),
            number(line.margin),
            text(&line.source_location),
            text(&line.target_location),
            text(&line.dropped),
            text(&line.detail),
        ];
        writeln!(self.out, "{}", fields.map(|field| tsv_field(&field)).join("\t"))
    }

    fn tmx(&mut self, line: &PairLine) -> io::Result<()> {
        writeln!(self.out, "<tu tuid=\"{}\">", line.id)?;
        let props = [
            ("score", Some(format!("{:.4}", line.score))),
            ("origin", Some(line.origin.clone())),
            ("margin", line.margin.map(|margin| format!("{margin:.4}"))),
        ];
        for (name, value) in props {
            if let Some(value) = value {
                writeln!(self.out, "<prop type=\"x-{name}\">{}</prop>", xml(&value))?;
            }
        }
        let sides = [
            (&line.source_language, &line.source, &line.source_location),
            (&line.target_language, &line.target, &line.target_location),
        ];
        for (language, text, location) in sides {
            write!(self.out, "<tuv xml:lang=\"{}\">", xml(language))?;
            if let Some(location) = location {
                write!(self.out, "<prop type=\"x-url\">{}</prop>", xml(location))?;
            }
            writeln!(self.out, "<seg>{}</seg></tuv>", xml(text))?;
        }
        writeln!(self.out, "</tu>")
    }
}

/// A pair as an entry of a file, without the file's header and footer.
///
/// # Errors
/// Kind `Unsupported` for tasks.
pub fn entry(judged: &JudgedPair, format: Format, languages: Languages) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = PairWriter { out: &mut bytes, format, languages, written: 0 };
    if format == Format::LabelStudio {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "tasks are no pairs: TaskWriter writes them"));
    }
    writer.write(judged)?;
    Ok(bytes)
}

/// A field of a TSV: tabs and line ends, which sentences never need, become spaces.
pub fn tsv_field(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

/// Text or attribute of XML 1.0. Characters that XML cannot hold at all become U+FFFD.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Writes Label Studio tasks: one JSON array, a task a line.
pub struct TaskWriter<'w> {
    out: &'w mut dyn Write,
    written: u64,
}

impl std::fmt::Debug for TaskWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskWriter").field("written", &self.written).finish()
    }
}

impl<'w> TaskWriter<'w> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: &'w mut dyn Write) -> io::Result<Self> {
        write!(out, "[")?;
        Ok(Self { out, written: 0 })
    }

    /// Writes a task.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, body: &serde_json::Value) -> io::Result<()> {
        write!(self.out, "{}", if self.written == 0 { "\n" } else { ",\n" })?;
        serde_json::to_writer(&mut self.out, body)?;
        self.written += 1;
        Ok(())
    }

    /// Ends the file; answers how many tasks it holds.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(self) -> io::Result<u64> {
        writeln!(self.out, "\n]")?;
        Ok(self.written)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::{Drop, DropReason, Language, Origin, Pair, Scores, Side};

    pub(crate) fn judged(source: &str, target: &str) -> JudgedPair {
        let side = |text: &str| Side { document: None, sentences: vec![SentenceId(7)], text: text.into() };
        JudgedPair {
            pair: Pair {
                id: PairId(1),
                source: side(source),
                target: side(target),
                origin: Origin::Mined,
                scores: Scores::of_encoder(Some(0.5), Some(1.25)),
                score: 0.9,
                parent: None,
            },
            drop: Some(Drop { reason: DropReason::Numbers, detail: "7".into() }),
            source_location: Some("http://a.test/?x=1&y=\"2\"".into()),
            target_location: None,
        }
    }

    fn written(format: Format, pairs: &[JudgedPair]) -> String {
        let mut out = Vec::new();
        let languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };
        let mut writer = PairWriter::begin(&mut out, format, languages).unwrap();
        pairs.iter().for_each(|pair| writer.write(pair).unwrap());
        assert_eq!(writer.finish().unwrap(), pairs.len() as u64);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_tsv_line_stays_a_line() {
        let text = written(Format::Tsv, &[judged("a\tb\nc", "d")]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].split('\t').count(), TSV_COLUMNS.len());
        assert!(lines[1].contains("a b c\td\t0.9000\tmined\t0.5000\t1.2500"), "{}", lines[1]);
    }

    #[test]
    fn tmx_is_well_formed_whatever_the_text() {
        let text = written(Format::Tmx, &[judged("<b> & \"c\" ]]>\u{1}", "ýaşyl")]);
        assert!(text.contains("<seg>&lt;b&gt; &amp; &quot;c&quot; ]]&gt;\u{fffd}</seg>"), "{text}");
        assert!(text.contains("http://a.test/?x=1&amp;y=&quot;2&quot;"));
        assert!(text.ends_with("</tu>\n</body>\n</tmx>\n"));
    }

    #[test]
    fn json_lines_read_back() {
        let text = written(Format::Jsonl, &[judged("один\nдва", "bir")]);
        let line: PairLine = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((line.source.as_str(), line.dropped.as_deref()), ("один\nдва", Some("numbers")));
    }

    #[test]
    fn tasks_are_one_array() {
        for count in [0, 1, 3] {
            let mut out = Vec::new();
            let mut writer = TaskWriter::begin(&mut out).unwrap();
            (0..count).for_each(|id| writer.write(&serde_json::json!({ "data": { "id": id } })).unwrap());
            assert_eq!(writer.finish().unwrap(), count);
            let tasks: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
            assert_eq!(tasks.len() as u64, count);
        }
        let languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };
        assert!(PairWriter::begin(&mut Vec::new(), Format::LabelStudio, languages).is_err());
    }
}
