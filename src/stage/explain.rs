//! Everything that is known of one pair, gathered from the store: where its texts stand, which figures its score came
//! from, what every rule says, what it repeats, what people said, and which files hold it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Serialize;

use super::Look;
use super::export::{File, Which};
use super::filter::{Check, Rules};
use super::formats::Format;
use crate::algo::margin;
use crate::error::{Context as _, ErrorKind, Result};
use crate::files;
use crate::record::{Adjudication, Annotation, Features, Pair, PairId, Sentence, SentenceId, Side, TextId};
use crate::store::neighbours::Direction;
use crate::store::text_pairs::JudgedPair;
use crate::store::text_pairs::Occurrence;
use crate::store::verdicts::Duplicate;

/// Sentences shown in front of a side and behind it.
const AROUND: usize = 2;

/// A pair with all that is known of it.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The pair.
    pub pair: Pair,
    /// Where the text pair occurs, best first.
    pub occurrences: Vec<Occurrence>,
    /// Where the source side stands; `None` for bare imported text.
    pub source: Option<Place>,
    /// Where the target side stands.
    pub target: Option<Place>,
    /// The neighbour lists of both sides, if each is one sentence of the pools.
    pub neighbours: Option<Neighbours>,
    /// What was measured of it.
    pub features: Features,
    /// Whether the measurements come from the store; else they were made now.
    pub features_stored: bool,
    /// What every rule says, in the order in which they are asked.
    pub checks: Vec<Check>,
    /// What people said.
    pub annotations: Vec<Annotation>,
    /// What their answers come to; it outweighs the rules.
    pub people: Option<Adjudication>,
    /// Why it was dropped; `None`: kept, or not judged yet.
    pub dropped: Option<crate::record::Drop>,
    /// Whether the filter has judged it.
    pub judged: bool,
    /// The better pair that it repeats.
    pub duplicate_of: Option<Duplicate>,
    /// Pairs that repeat it.
    pub duplicates: Vec<Duplicate>,
    /// The export files, and whether each holds it.
    pub files: Vec<Exported>,
}

/// Where a side stands.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// URL or book.
    pub location: Option<String>,
    /// Its document's title.
    pub title: Option<String>,
    /// Page of a book, from 1.
    pub page: Option<u32>,
    /// The sentences before it.
    pub before: Vec<String>,
    /// Those after it.
    pub after: Vec<String>,
}

/// The lists that a margin is computed from.
#[derive(Debug, Clone, Serialize)]
pub struct Neighbours {
    /// The source's nearest targets.
    pub of_source: List,
    /// The target's nearest sources.
    pub of_target: List,
    /// The cosine of the pair, if either list holds it.
    pub cosine: Option<f32>,
    /// Ratio, distance and absolute margin of that cosine against both means.
    pub margins: Option<Margins>,
}

/// A neighbour list.
#[derive(Debug, Clone, Serialize)]
pub struct List {
    /// Mean cosine; `None`: the list is empty.
    pub mean: Option<f32>,
    /// Neighbours, best first.
    pub entries: Vec<Neighbour>,
}

/// A neighbour.
#[derive(Debug, Clone, Serialize)]
pub struct Neighbour {
    /// Its text.
    pub text: Option<String>,
    /// Its cosine, −1 to 1; higher is nearer.
    pub cosine: f32,
    /// Whether it is the pair's other side.
    pub own: bool,
}

/// The margins of [`margin::Margin`].
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Margins {
    /// Ratio.
    pub ratio: Option<f32>,
    /// Distance.
    pub distance: Option<f32>,
}

/// A file of the export and the pair.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    /// Its name.
    pub path: String,
    /// Which pairs it holds.
    pub pairs: Which,
    /// Whether the pair is in it; `None`: the file is not there.
    pub holds: Option<bool>,
}

/// Gathers, with the files of the export and the folder that they lie in; `None` when the workspace has no such pair.
///
/// # Errors
/// Kind `Store`.
pub fn explain(
    look: &Look<'_>,
    rules: &Rules,
    (folder, exports): (&Path, &[File]),
    id: PairId,
) -> Result<Option<Explanation>> {
    let store = look.store;
    let Some(JudgedPair { pair, drop, source_location, target_location }) = store.judged_pair(id)? else {
        return Ok(None);
    };
    let stored = store.features(id)?;
    let features_stored = stored.is_some();
    let features = stored.unwrap_or_else(|| rules.features(&pair));
    let annotations = store.annotations(id)?;
    let people = store.adjudication(id)?;
    let holding = |file: &File| {
        let holds = holds(&folder.join(&file.path), file.format, id)?;
        Ok(Exported { path: file.path.clone(), pairs: file.pairs, holds })
    };
    Ok(Some(Explanation {
        occurrences: store.occurrences(id)?,
        source: place(look, &pair.source, source_location)?,
        target: place(look, &pair.target, target_location)?,
        neighbours: neighbours(look, &pair)?,
        checks: rules.checks(&pair, &features, people.as_ref()),
        features,
        features_stored,
        people,
        annotations,
        dropped: drop,
        judged: true,
        duplicate_of: store.duplicate_of(id)?,
        duplicates: store.duplicates_of(id)?,
        files: exports.iter().map(holding).collect::<Result<_>>()?,
        pair,
    }))
}

fn place(look: &Look<'_>, side: &Side, location: Option<String>) -> Result<Option<Place>> {
    let Some(id) = side.document else { return Ok(None) };
    let document = look.store.document(id)?;
    let sentences = look.store.sentences(id)?;
    let at = |wanted: Option<&SentenceId>| sentences.iter().position(|sentence| Some(&sentence.id) == wanted);
    let (first, last) = (at(side.sentences.first()), at(side.sentences.last()));
    let texts = |some: &[Sentence]| some.iter().map(|sentence| sentence.text.clone()).collect::<Vec<_>>();
    let before = first.map(|first| texts(&sentences[first.saturating_sub(AROUND)..first])).unwrap_or_default();
    let after =
        last.map(|last| texts(&sentences[last + 1..sentences.len().min(last + 1 + AROUND)])).unwrap_or_default();
    let block = first.map(|first| sentences[first].block as usize);
    let page = document.as_ref().and_then(|document| document.blocks.get(block?)?.page);
    Ok(Some(Place { location, title: document.and_then(|document| document.title), page, before, after }))
}

fn neighbours(look: &Look<'_>, pair: &Pair) -> Result<Option<Neighbours>> {
    let Some((key, _)) = look.store.stage_key(&look.scope(), "neighbours")? else { return Ok(None) };
    let text = |side: &Side| -> Result<Option<TextId>> {
        let [only] = side.sentences.as_slice() else { return Ok(None) };
        Ok(look.store.sentence(*only)?.map(|sentence| sentence.text_id))
    };
    let (Some(source), Some(target)) = (text(&pair.source)?, text(&pair.target)?) else { return Ok(None) };
    let list = |direction, of: TextId, other: TextId| -> Result<Option<List>> {
        let Some(entries) = look.store.neighbour_list(&look.scope(), direction, &key, of)? else { return Ok(None) };
        let mean = margin::mean(entries.iter().map(|(_, cosine)| *cosine));
        let named = |(text, cosine): (TextId, f32)| {
            let sentence = look.store.first_sentence(text)?;
            Ok(Neighbour { text: sentence.map(|sentence| sentence.text), cosine, own: text == other })
        };
        Ok(Some(List { mean, entries: entries.into_iter().map(named).collect::<Result<_>>()? }))
    };
    let of_source = list(Direction::Forward, source, target)?;
    let of_target = list(Direction::Backward, target, source)?;
    let (Some(of_source), Some(of_target)) = (of_source, of_target) else { return Ok(None) };
    let own = |list: &List| list.entries.iter().find(|entry| entry.own).map(|entry| entry.cosine);
    let cosine = own(&of_source).or_else(|| own(&of_target));
    let margins = cosine.zip(of_source.mean.zip(of_target.mean)).map(|(cosine, (one, other))| Margins {
        ratio: margin::Margin::Ratio.score(cosine, one, other),
        distance: margin::Margin::Distance.score(cosine, one, other),
    });
    Ok(Some(Neighbours { of_source, of_target, cosine, margins }))
}

/// Whether an export file holds the pair, as a row of its own; that another row names it (as the pair that it repeats)
/// does not count. Memory: a line.
fn holds(path: &Path, format: Format, id: PairId) -> Result<Option<bool>> {
    if !path.is_file() {
        return Ok(None);
    }
    let wanted = id.to_string();
    let mut reader = BufReader::with_capacity(1 << 16, files::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line);
        if read.context(ErrorKind::Input, || format!("reading {}", path.display()))? == 0 {
            return Ok(Some(false));
        }
        if names(&line, format, &wanted) {
            return Ok(Some(true));
        }
    }
}

/// Whether a line of an export file is the row of this pair, or begins it.
fn names(line: &[u8], format: Format, id: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Row {
        id: String,
    }
    #[derive(serde::Deserialize)]
    struct Task {
        data: serde_json::Map<String, serde_json::Value>,
    }
    // Most lines do not hold it anywhere, and parsing is slower than looking.
    if !line.windows(id.len()).any(|piece| piece == id.as_bytes()) {
        return false;
    }
    match format {
        Format::Tsv => line.split(|byte| *byte == b'\t').next() == Some(id.as_bytes()),
        Format::Jsonl => serde_json::from_slice(line).is_ok_and(|row: Row| row.id == id),
        Format::Tmx => line.trim_ascii() == format!("<tu tuid=\"{id}\">").as_bytes(),
        Format::LabelStudio => {
            let line = line.trim_ascii();
            serde_json::from_slice(line.strip_suffix(b",").unwrap_or(line)).is_ok_and(|task: Task| {
                ID_FIELDS.iter().any(|field| task.data.get(*field).is_some_and(|own| own == id))
            })
        }
    }
}

/// The fields of a task's data that name its pairs.
const ID_FIELDS: [&str; 3] = ["pair_id", "a_id", "b_id"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_pair_that_has_a_row_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, named) = (PairId(0x10), PairId(0x20));
        let texts = [
            (Format::Tsv, format!("id\tsource\ttarget\tdetail\n{kept}\ta\tb\tsame text as {named}\n")),
            (
                Format::Jsonl,
                format!("{{\"id\":\"{kept}\",\"source\":\"{named}\",\"detail\":\"same text as {named}\"}}\n"),
            ),
            (Format::Tmx, format!("<body>\n<tu tuid=\"{kept}\">\n<prop type=\"x-detail\">{named}</prop>\n</tu>\n")),
            (
                Format::LabelStudio,
                format!("[\n{{\"data\":{{\"pair_id\":\"{kept}\",\"src_text\":\"{named}\"}}}},\n{{\"data\":{{}}}}\n]\n"),
            ),
        ];
        for (format, text) in texts {
            let path = folder.path().join(format.name());
            assert_eq!(holds(&path, format, kept).unwrap(), None, "{format:?} is not there yet");
            std::fs::write(&path, text).unwrap();
            assert_eq!(holds(&path, format, kept).unwrap(), Some(true), "{format:?}");
            assert_eq!(holds(&path, format, named).unwrap(), Some(false), "{format:?}");
        }
        let path = folder.path().join("choice");
        std::fs::write(&path, format!("[\n{{\"data\":{{\"a_id\":\"{named}\",\"b_id\":\"{kept}\"}}}}\n]\n")).unwrap();
        assert_eq!(holds(&path, Format::LabelStudio, kept).unwrap(), Some(true), "the second candidate of two");
    }
}
