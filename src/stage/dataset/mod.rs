//! Training data from what people said: a versioned dataset in the workspace's `dataset/` folder.
//!
//! A version is a folder named after the hash of all that it holds, so the same answers make the same version, and an
//! older one is never written over. It holds `train.jsonl`, `dev.jsonl` and `test.jsonl` (an [`Example`] a line, by id),
//! `preferences.jsonl` ([`Preference`]), the labelled figures in `dataset.json` and a card for people in `README.md`.
//! `dataset/LATEST` names the newest.
//!
//! What is in it:
//!
//! - pairs that people found right, and the pairs that they corrected, with label 1;
//! - pairs that people found wrong, with label 0;
//! - for each right pair the nearest other sentences of the target language, with label 0: what a model takes for its
//!   translation most easily. One that may be a translation all the same is left out: it is nearly the same text, or
//!   the two are a kept pair;
//! - similarities that people gave, 0 to 5;
//! - if asked for, kept pairs that nobody judged, for training alone.
//!
//! No document and no text stands in two parts ([`split`]).
//!
//! Memory: about a kilobyte for each example but those that nobody judged, which stream.

mod card;
mod preferences;
pub mod split;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::preferences::preferences;
pub use self::split::{Part, Splitter};
use super::{Listing, Look, Output, Records, Stage, Unit, Work, combined, filter};
use crate::algo::minhash::{grams, jaccard};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::record::{Adjudication, Origin, Pair, PairId};
use crate::store::pairs::{Direction, JudgedPair, Selection};
use crate::text::normalise::fold;

/// Raised when the same answers make other data.
pub const VERSION: u32 = 2;

/// The one unit.
pub const UNIT: &str = "dataset";

/// From this share of common 4-grams on, another sentence may be a translation too.
const NEARLY_SAME: f64 = 0.5;

/// What goes into the dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// Whether one is written at all.
    pub write: bool,
    /// The share of documents that goes to the development part, 0 to 1.
    pub dev: f64,
    /// The share of documents that goes to the test part, 0 to 1.
    pub test: f64,
    /// How many hard negatives each right pair gets.
    pub hard_negatives: usize,
    /// Whether kept pairs that nobody judged join the training part.
    pub silver: bool,
    /// Another seed splits otherwise.
    pub seed: u64,
    /// Under which licence each source may be used: the name of a site or shelf, or of an imported file, and the licence.
    pub licences: BTreeMap<String, String>,
}

impl Default for Params {
    fn default() -> Self {
        Self { write: false, dev: 0.1, test: 0.1, hard_negatives: 1, silver: false, seed: 1, licences: BTreeMap::new() }
    }
}

impl Params {
    /// What types alone cannot say.
    ///
    /// # Errors
    /// Kind `Config`.
    pub fn check(&self) -> Result<()> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        if share(self.dev) && share(self.test) && self.dev + self.test <= 1.0 {
            return Ok(());
        }
        Err(Error::config(format!(
            "dataset.dev = {}, dataset.test = {}: shares from 0 to 1 are wanted that leave something to train on",
            self.dev, self.test
        )))
    }
}

/// Why an example is in the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// People found it right.
    Right,
    /// People wrote it: another pair, corrected.
    Corrected,
    /// People found it wrong.
    Wrong,
    /// Near the source of a right pair, and not its translation.
    HardNegative,
    /// People gave it a similarity, and no verdict.
    Rated,
    /// Kept by the filter; nobody judged it.
    Silver,
}

/// A line of a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Example {
    /// Id of the pair: `p` and 16 hexadecimal digits. A hard negative has one of its own.
    #[schemars(with = "String")]
    pub id: PairId,
    /// Text in the source language.
    pub source: String,
    /// Text in the target language.
    pub target: String,
    /// 1: a translation; 0: none. Absent where people gave a similarity only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<u8>,
    /// Mean similarity that people gave, 0 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f64>,
    /// Why it is here.
    pub kind: Kind,
    /// How sure the label is, 0 to 1; absent where no person gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How many people gave a verdict.
    pub people: u32,
    /// The pair that this one corrects, or whose source this hard negative has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub parent: Option<PairId>,
    /// URL or book path of the source document; absent for imported pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_location: Option<String>,
    /// URL or book path of the target document; absent for imported pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_location: Option<String>,
    /// The site, shelf or file that it is from.
    pub from: String,
}

/// Two candidates for a source, and which of them people prefer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// Text in the source language.
    pub source: String,
    /// The better candidate.
    pub better: String,
    /// The worse one.
    pub worse: String,
    /// People who said so.
    pub votes_for: u32,
    /// People who said otherwise.
    pub votes_against: u32,
}

/// The dataset, if one is written.
///
/// # Errors
/// Kind `Store`.
pub fn units(look: &Look<'_>, params: &Params) -> Result<Listing> {
    if !params.write {
        return Ok(Listing::All(Vec::new()));
    }
    let parts = [
        look.store.stage_output(Stage::Adjudicate.name())?,
        look.store.stage_output(Stage::Dedup.name())?,
        look.store.stage_output(Stage::Match.name())?,
        look.store.annotations_fingerprint()?,
    ];
    let input = combined(&parts.each_ref().map(String::as_str));
    let output = look.store.unit_output(Stage::Dataset.name(), UNIT)?;
    let lost = match output.as_deref() {
        Some(EMPTY) | None => false,
        Some(version) => !folder(look).join(version).join("README.md").is_file(),
    };
    Ok(Listing::All(vec![Unit { lost, ..Unit::new(UNIT, input) }]))
}

/// The output of a unit that had nothing to write.
const EMPTY: &str = "no answers";

/// Where datasets lie.
pub fn folder(look: &Look<'_>) -> PathBuf {
    look.store.folder().join("dataset")
}

/// Gathers and writes.
///
/// # Errors
/// Kind `Store`.
pub fn prepare(look: &Look<'_>, params: &Params) -> Result<Work> {
    let gathered = gather(look, params)?;
    let (mut counts, mut fingerprint) = (Vec::new(), EMPTY.to_owned());
    if !gathered.examples.is_empty() || !gathered.preferences.is_empty() {
        let (version, totals) = write(look, params, &gathered)?;
        counts.push(("examples", totals.iter().map(|(_, count)| count).sum::<u64>() as f64));
        fingerprint = version;
    }
    Ok(Box::new(move || Ok(Output { records: Records::Nothing, fingerprint, counts })))
}

/// Everything but what nobody judged.
struct Gathered {
    examples: BTreeMap<PairId, (Part, Example)>,
    preferences: Vec<Preference>,
    splitter: Splitter,
    /// Pairs that people judged.
    judged: BTreeSet<PairId>,
    /// Answers on pairs that are gone.
    gone: u64,
}

fn gather(look: &Look<'_>, params: &Params) -> Result<Gathered> {
    let store = look.store;
    let mut splitter = Splitter::new(params.seed, params.dev, params.test);
    for pair in store.document_pairs()? {
        splitter.join_documents(pair.source, pair.target);
    }
    let mut words: Vec<(Adjudication, JudgedPair)> = Vec::new();
    let mut gone = 0;
    for word in store.adjudications()? {
        match store.judged_pair(word.pair)? {
            Some(judged) => words.push((word, judged)),
            None => gone += 1,
        }
    }
    words.iter().for_each(|(_, judged)| splitter.join(&judged.pair));
    let mut examples = BTreeMap::new();
    for (word, judged) in &words {
        let Some(example) = example(look, word, judged)? else { continue };
        examples.insert(example.id, (splitter.part_of(&judged.pair), example));
    }
    if params.hard_negatives > 0 {
        let right: HashMap<String, Vec<String>> = right_by_source(&words);
        for (word, judged) in &words {
            if examples.get(&word.pair).is_some_and(|(_, example)| example.label == Some(1)) {
                for (part, negative) in hard_negatives(look, params, &splitter, judged, &right)? {
                    examples.entry(negative.id).or_insert((part, negative));
                }
            }
        }
    }
    let judged = words.iter().map(|(word, _)| word.pair).collect();
    Ok(Gathered { examples, preferences: preferences(look)?, splitter, judged, gone })
}

/// The example of a judged pair; `None` when the answers make none: undecided, partly right, or corrected.
fn example(look: &Look<'_>, word: &Adjudication, judged: &JudgedPair) -> Result<Option<Example>> {
    let pair = &judged.pair;
    let (label, kind) = match (word.is_right(), pair.origin) {
        // What was corrected was not right as it stood, but how wrong it was nobody said.
        (Some(true), _) if word.corrected.is_some() => return Ok(None),
        (Some(true), Origin::Corrected) => (Some(1), Kind::Corrected),
        (Some(true), _) => (Some(1), Kind::Right),
        (Some(false), _) => (Some(0), Kind::Wrong),
        (None, _) if word.sts.is_some() => (None, Kind::Rated),
        (None, _) => return Ok(None),
    };
    Ok(Some(Example {
        id: pair.id,
        source: pair.source.text.clone(),
        target: pair.target.text.clone(),
        label,
        similarity: word.sts,
        kind,
        confidence: label.map(|_| word.confidence),
        people: word.people(),
        parent: pair.parent,
        source_location: judged.source_location.clone(),
        target_location: judged.target_location.clone(),
        from: look.store.source_of(pair.id)?.unwrap_or_default(),
    }))
}

/// Folded targets that are right for a folded source.
fn right_by_source(words: &[(Adjudication, JudgedPair)]) -> HashMap<String, Vec<String>> {
    let mut right: HashMap<String, Vec<String>> = HashMap::new();
    for (word, judged) in words {
        if word.verdict.as_deref() != Some("no") {
            right.entry(fold(&judged.pair.source.text)).or_default().push(judged.pair.target.text.clone());
        }
    }
    right
}

/// Targets near the source of a right pair that are no translations of it, in the pair's own part.
fn hard_negatives(
    look: &Look<'_>,
    params: &Params,
    splitter: &Splitter,
    judged: &JudgedPair,
    right: &HashMap<String, Vec<String>>,
) -> Result<Vec<(Part, Example)>> {
    let pair = &judged.pair;
    let [only] = pair.source.sentences.as_slice() else { return Ok(Vec::new()) };
    let Some((key, _)) = look.store.stage_key(Stage::Neighbours.name())? else { return Ok(Vec::new()) };
    let Some(source) = look.store.sentence(*only)? else { return Ok(Vec::new()) };
    let part = splitter.part_of(pair);
    let known: Vec<Vec<u64>> = right
        .get(&fold(&pair.source.text))
        .into_iter()
        .flatten()
        .chain([&pair.target.text])
        .map(|text| grams(&[&fold(text)], 4))
        .collect();
    let mut negatives = Vec::new();
    for (text, _) in look.store.neighbour_list(Direction::Forward, &key, source.text_id)?.unwrap_or_default() {
        if negatives.len() == params.hard_negatives {
            break;
        }
        let Some(sentence) = look.store.first_sentence(text)? else { continue };
        let own = grams(&[&fold(&sentence.text)], 4);
        let may_be_right = known.iter().any(|known| jaccard(known, &own) >= NEARLY_SAME)
            || look.store.is_kept_fold(filter::fold(&pair.source.text, &sentence.text))?;
        if may_be_right || splitter.part_of_text(&sentence.text, sentence.document) != part {
            continue;
        }
        let id = PairId::of(&[b"hard negative", &pair.id.0.to_be_bytes(), &text.0.to_be_bytes()]);
        negatives.push((
            part,
            Example {
                id,
                source: pair.source.text.clone(),
                target: sentence.text,
                label: Some(0),
                similarity: None,
                kind: Kind::HardNegative,
                confidence: None,
                people: 0,
                parent: Some(pair.id),
                source_location: judged.source_location.clone(),
                target_location: look.store.location(sentence.document)?,
                from: look.store.source_of(pair.id)?.unwrap_or_default(),
            },
        ));
    }
    Ok(negatives)
}

/// Writes a version; answers its name and how many examples each part has.
fn write(look: &Look<'_>, params: &Params, gathered: &Gathered) -> Result<(String, Vec<(Part, u64)>)> {
    let root = folder(look);
    files::create_folder(&root)?;
    let mut told = card::Told { gone: gathered.gone, ..card::Told::default() };
    let scratch = tempfile::tempdir_in(&root).context(ErrorKind::Store, || format!("writing in {}", root.display()))?;
    let mut hasher = blake3::Hasher::new();
    for part in Part::ALL {
        let path = scratch.path().join(part.file());
        let bytes = write_part(look, params, gathered, part, &path, &mut told)?;
        hasher.update(bytes.as_bytes());
    }
    let lines: Vec<String> = gathered
        .preferences
        .iter()
        .map(|preference| serde_json::to_string(preference).context(ErrorKind::Bug, || "writing a preference".into()))
        .collect::<Result<_>>()?;
    told.preferences = lines.len() as u64;
    let lines: String = lines.into_iter().map(|line| line + "\n").collect();
    hasher.update(lines.as_bytes());
    put(&scratch.path().join("preferences.jsonl"), &lines)?;
    // The card tells the settings, so they are part of what a version is.
    let settings = serde_json::to_string(params).context(ErrorKind::Bug, || "hashing the settings".into())?;
    hasher.update(settings.as_bytes());
    let version = hasher.finalize().to_hex()[..12].to_owned();
    told.version.clone_from(&version);
    put(&scratch.path().join("README.md"), &card::markdown(&told, params, look.languages))?;
    put(&scratch.path().join("dataset.json"), &card::json(&told, params, look.languages)?)?;

    let target = root.join(&version);
    if !target.join("README.md").is_file() {
        set_aside(&target)?;
        files::write_folder_atomically(&target, |folder| {
            for file in files::list(scratch.path())? {
                let name = file.file_name().ok_or_else(|| Error::bug("a file without a name"))?;
                std::fs::copy(&file, folder.join(name))
                    .context(ErrorKind::Store, || format!("writing {}", folder.join(name).display()))?;
            }
            Ok(())
        })?;
    }
    files::write_atomically(&root.join("LATEST"), |out| writeln!(out, "{version}"))?;
    Ok((version, told.totals()))
}

/// Moves away what stands under a version's name and is none: a broken copy, or what somebody put there. It may be the
/// only copy, so it is kept, with a note beside it that says what happened.
fn set_aside(target: &Path) -> Result<()> {
    // An empty folder gives way by itself.
    let is_empty = std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
    if is_empty || std::fs::symlink_metadata(target).is_err() {
        return Ok(());
    }
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = |number: u32, more: &str| target.with_file_name(format!("{name}.set-aside-{number}{more}"));
    let number = (1..).find(|number| std::fs::symlink_metadata(beside(*number, "")).is_err()).unwrap_or(1);
    let aside = beside(number, "");
    std::fs::rename(target, &aside)
        .context(ErrorKind::Store, || format!("moving {} to {}", target.display(), aside.display()))?;
    let note = format!(
        "{name} had no README.md, so it was no complete version of the dataset. It was moved here, and the version was\n\
         written again. Delete it when nothing in it is needed.\n"
    );
    put(&beside(number, ".txt"), &note)
}

fn put(path: &Path, text: &str) -> Result<()> {
    files::write_atomically(path, |out| out.write_all(text.as_bytes()))
}

/// Writes the examples of a part, by id, those that nobody judged behind the others; answers a hash of them.
fn write_part(
    look: &Look<'_>,
    params: &Params,
    gathered: &Gathered,
    part: Part,
    path: &Path,
    told: &mut card::Told,
) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut failed = None;
    let written = files::write_atomically(path, |out| {
        let mut line = |example: &Example| -> std::io::Result<()> {
            let line = serde_json::to_string(example)? + "\n";
            hasher.update(line.as_bytes());
            told.count(part, example);
            out.write_all(line.as_bytes())
        };
        for (_, example) in gathered.examples.values().filter(|(own, _)| *own == part) {
            line(example)?;
        }
        if params.silver && part == Part::Train {
            let walked = look.store.for_each_pair(Selection::Kept, |judged| {
                if let Some(example) = silver(look, gathered, &judged)? {
                    line(&example).context(ErrorKind::Store, || "writing an example".into())?;
                }
                Ok(())
            });
            if let Err(error) = walked {
                failed = Some(error);
                return Err(std::io::Error::other("reading pairs"));
            }
        }
        Ok(())
    });
    written.map_err(|error| failed.unwrap_or(error))?;
    Ok(hasher.finalize())
}

/// A kept pair that nobody judged, if nothing of it stands in the other parts.
fn silver(look: &Look<'_>, gathered: &Gathered, judged: &JudgedPair) -> Result<Option<Example>> {
    let pair: &Pair = &judged.pair;
    if gathered.judged.contains(&pair.id) || !gathered.splitter.may_train(pair) {
        return Ok(None);
    }
    Ok(Some(Example {
        id: pair.id,
        source: pair.source.text.clone(),
        target: pair.target.text.clone(),
        label: Some(1),
        similarity: None,
        kind: Kind::Silver,
        confidence: None,
        people: 0,
        parent: pair.parent,
        source_location: judged.source_location.clone(),
        target_location: judged.target_location.clone(),
        from: look.store.source_of(pair.id)?.unwrap_or_default(),
    }))
}
