//! Everything that is known of one pair, gathered from the store: where its texts stand, which figures its score came
//! from, what every rule says, what it repeats, what people said, and which files hold it.

use std::path::Path;

use serde::Serialize;

use super::Look;
use super::export::{File, Which};
use super::filter::{Check, Rules};
use crate::algo::margin;
use crate::error::Result;
use crate::files;
use crate::record::{Adjudication, Annotation, Features, Pair, PairId, Sentence, SentenceId, Side, TextId};
use crate::store::pairs::{Direction, JudgedPair};
use crate::store::verdicts::Duplicate;

/// Sentences shown in front of a side and behind it.
const AROUND: usize = 2;

/// A pair with all that is known of it.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The pair.
    pub pair: Pair,
    /// The stage and the unit that made it.
    pub made_by: Option<(String, String)>,
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
        let holds = holds(&folder.join(&file.path), id)?;
        Ok(Exported { path: file.path.clone(), pairs: file.pairs, holds })
    };
    Ok(Some(Explanation {
        made_by: store.owners(std::iter::once(id))?.pop().map(|(_, owner)| owner),
        source: place(look, &pair.source, source_location)?,
        target: place(look, &pair.target, target_location)?,
        neighbours: neighbours(look, &pair)?,
        checks: rules.checks(&pair, &features, people.as_ref()),
        features,
        features_stored,
        people,
        annotations,
        dropped: drop,
        judged: store.is_judged(id)?,
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

/// Whether an export file names the pair: every format does so by its id.
fn holds(path: &Path, id: PairId) -> Result<Option<bool>> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = files::read_text(path)?;
    Ok(Some(text.contains(&id.to_string())))
}
