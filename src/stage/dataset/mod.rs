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
use super::{Commit, Ctx, Inputs, Languages, Listing, Look, Progress, Settings, Stage, Unit, neighbours, table};
use crate::algo::minhash::{grams, jaccard};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files::{self, Staged};
use crate::record::{Adjudication, Origin, Pair, PairId};
use crate::store::Store;
use crate::store::neighbours::Direction;
use crate::store::table::Table;
use crate::store::text_pairs::{JudgedPair, KeptText};
use crate::text::dedup::text_pair;
use crate::text::normalise::fold;

/// Raised when the same answers make other data.
pub const VERSION: u32 = 3;

/// The stage.
#[derive(Debug)]
pub struct Dataset;

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
    /// Id of the text pair: `p` and 16 hexadecimal digits.
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

impl Stage for Dataset {
    fn name(&self) -> &'static str {
        "dataset"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "dataset"
    }

    fn after(&self) -> &'static [&'static str] {
        &["match", "neighbours", "adjudicate", "dedup"]
    }

    fn reads(&self) -> &'static [Table] {
        &[
            Table::Adjudication,
            Table::TextPair,
            Table::Occurrence,
            Table::Verdict,
            Table::NearDuplicate,
            Table::Document,
            Table::DocumentPair,
            Table::Annotation,
            Table::Task,
            Table::Neighbours,
            Table::Sentence,
        ]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::TextPair]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "dataset": table(settings.get::<Params>()?)? }))
    }

    /// The dataset, if one is written.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let params = ctx.settings::<Params>()?;
        if !params.write {
            return Ok(Listing::All(Vec::new()));
        }
        // Hard negatives come from neighbour lists, and say where their text stands; groups need the frequency of texts.
        let lists = if params.hard_negatives == 0 { String::new() } else { neighbours::lists(ctx)? };
        let (store, scope) = (ctx.store()?, ctx.scope_name());
        let judged = store.judgement_stamp(&scope)?.to_string();
        let pairs = [Table::TextPair, Table::Occurrence, Table::Verdict, Table::NearDuplicate, Table::Document];
        let inputs = Inputs::new()
            .output("adjudicate", &ctx.stage_output("adjudicate")?)
            // A document's site and location hang on its pairs.
            .tables(&pairs, &judged)
            .output("match", &ctx.stage_output("match")?)
            // Answers to a choice between two, and the questions' texts: a question does not change once it is asked.
            .tables(&[Table::Annotation, Table::Task], &store.annotations_fingerprint(&scope)?)
            .table(Table::Neighbours, &lists)
            .table(Table::Sentence, &ctx.stage_output("segment")?);
        let output = ctx.unit_output("dataset", UNIT)?;
        let lost = match output.as_deref() {
            Some(EMPTY) | None => false,
            Some(version) => !folder_of(ctx)?.join(version).join("README.md").is_file(),
        };
        Ok(Listing::All(vec![Unit::new(UNIT, inputs).lost(lost)]))
    }

    /// Gathers and writes.
    fn run(&self, ctx: &Ctx<'_>, _unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let (store, params) = (ctx.store()?, ctx.settings::<Params>()?);
        let look = ctx.look(&store)?;
        let gathered = gather(&look, params, progress)?;
        if gathered.examples.is_empty() && gathered.preferences.is_empty() {
            return Ok(Commit::nothing(EMPTY));
        }
        let written = write(&look, params, &gathered, &folder_of(ctx)?, progress)?;
        let real = gathered.examples.values().filter(|(_, example)| example.kind != Kind::HardNegative);
        let mut splits: Vec<(PairId, &'static str)> = real.map(|(part, example)| (example.id, part.name())).collect();
        splits.extend(written.silver.iter().map(|pair| (*pair, Part::Train.name())));
        let leaking = (gathered.leaking > 0).then_some(("left out between splits", gathered.leaking as f64));
        let commit = Commit::new(written.version, move |writer, _| writer.put_splits(&splits));
        let commit = commit.count("examples", written.examples as f64).counts(leaking);
        Ok(written.files.into_iter().fold(commit, Commit::file))
    }
}

/// The output of a unit that had nothing to write.
const EMPTY: &str = "no answers";

/// Where a language pair's datasets lie: with several pairs, each has a folder of its own.
pub fn folder(workspace: &Path, languages: Languages, pairs: usize) -> PathBuf {
    let dataset = workspace.join("dataset");
    if pairs > 1 { dataset.join(languages.name()) } else { dataset }
}

fn folder_of(ctx: &Ctx<'_>) -> Result<PathBuf> {
    Ok(folder(ctx.folder(), ctx.pair()?, ctx.pair_count()))
}

/// Everything but what nobody judged.
struct Gathered {
    examples: BTreeMap<PairId, (Part, Example)>,
    preferences: Vec<Preference>,
    splitter: Splitter,
    /// Pairs that people judged.
    judged: BTreeSet<PairId>,
    /// Answers on text pairs that occur nowhere any more.
    gone: u64,
    /// Judged text pairs that join several splits, and are therefore in none.
    leaking: u64,
}

/// A text that stands in more documents than this joins them to no group.
const FREQUENT: u64 = 5;

fn gather(look: &Look<'_>, params: &Params, progress: &Progress<'_>) -> Result<Gathered> {
    let store = look.store;
    let mut splitter = Splitter::new(params.seed, params.dev, params.test);
    for pair in store.document_pairs(&look.scope())? {
        splitter.join_documents(pair.source, pair.target);
    }
    let scope = look.scope();
    let mut words: Vec<(Adjudication, JudgedPair)> = Vec::new();
    let mut gone = 0;
    for word in store.adjudications(&scope)? {
        match store.judged_pair(word.pair)? {
            Some(judged) => words.push((word, judged)),
            None => gone += 1,
        }
    }
    let assigned = group(store, &scope, &words, &mut splitter)?;
    let part_of = |pair: &Pair| assigned.get(&pair.id).copied().or_else(|| splitter.part_of(pair));
    let (mut examples, mut leaking) = (BTreeMap::new(), 0);
    for (word, judged) in &words {
        progress.check()?;
        let Some(example) = example(look, word, judged)? else { continue };
        match part_of(&judged.pair) {
            Some(part) => {
                examples.insert(example.id, (part, example));
            }
            None => leaking += 1,
        }
    }
    if params.hard_negatives > 0 {
        let right: HashMap<String, Vec<String>> = right_by_source(&words);
        for (word, judged) in &words {
            let example = examples.get(&word.pair).filter(|(_, example)| example.label == Some(1));
            if let Some(part) = example.map(|(part, _)| *part) {
                for negative in hard_negatives(look, params, &splitter, (judged, part), &right)? {
                    examples.entry(negative.id).or_insert((part, negative));
                }
            }
        }
    }
    let judged = words.iter().map(|(word, _)| word.pair).collect();
    Ok(Gathered { examples, preferences: preferences(look)?, splitter, judged, gone, leaking })
}

/// Joins judged text pairs, their documents and their near duplicates into groups; answers the splits that are assigned.
fn group(
    store: &Store,
    scope: &str,
    words: &[(Adjudication, JudgedPair)],
    splitter: &mut Splitter,
) -> Result<HashMap<PairId, Part>> {
    let mut assigned = HashMap::new();
    for (_, judged) in words {
        let pair = &judged.pair;
        let is_frequent = store.frequency(pair)? > FREQUENT;
        splitter.join(pair, is_frequent);
        if !is_frequent {
            for document in store.documents_of_pair(pair.id)? {
                splitter.join_occurrence(pair, document);
            }
        }
        if let Some(part) = store.split(pair.id)?.as_deref().and_then(Part::from_name) {
            splitter.assign(pair, part);
            assigned.insert(pair.id, part);
        }
    }
    let ids: BTreeSet<PairId> = words.iter().map(|(word, _)| word.pair).collect();
    for duplicate in store.duplicates(scope)?.into_values() {
        if !ids.contains(&duplicate.pair) && !ids.contains(&duplicate.of) {
            continue;
        }
        if let (Some(one), Some(other)) = (store.texts(duplicate.pair)?, store.texts(duplicate.of)?) {
            splitter.join_near((&one.0, &one.1), (&other.0, &other.1));
        }
    }
    Ok(assigned)
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
    (judged, part): (&JudgedPair, Part),
    right: &HashMap<String, Vec<String>>,
) -> Result<Vec<Example>> {
    let pair = &judged.pair;
    let [only] = pair.source.sentences.as_slice() else { return Ok(Vec::new()) };
    let Some((key, _)) = look.store.stage_key(&look.scope(), "neighbours")? else { return Ok(Vec::new()) };
    let Some(source) = look.store.sentence(*only)? else { return Ok(Vec::new()) };
    let known: Vec<Vec<u64>> = right
        .get(&fold(&pair.source.text))
        .into_iter()
        .flatten()
        .chain([&pair.target.text])
        .map(|text| grams(&[&fold(text)], 4))
        .collect();
    let mut negatives = Vec::new();
    for (text, _) in
        look.store.neighbour_list(&look.scope(), Direction::Forward, &key, source.text_id)?.unwrap_or_default()
    {
        if negatives.len() == params.hard_negatives {
            break;
        }
        let Some(sentence) = look.store.first_sentence(text)? else { continue };
        let id = text_pair(look.languages, &pair.source.text, &sentence.text);
        let own = grams(&[&fold(&sentence.text)], 4);
        let may_be_right = known.iter().any(|known| jaccard(known, &own) >= NEARLY_SAME) || look.store.is_kept(id)?;
        if may_be_right || splitter.part_of_text(&sentence.text, sentence.document) != Some(part) {
            continue;
        }
        negatives.push(Example {
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
        });
    }
    Ok(negatives)
}

/// A version that is written and waits to be published.
struct Written {
    version: String,
    examples: u64,
    /// Text pairs in it that nobody judged.
    silver: Vec<PairId>,
    /// Its folder, unless it is there already, and the file that names it.
    files: Vec<Staged>,
}

/// Writes a version below `root`.
fn write(
    look: &Look<'_>,
    params: &Params,
    gathered: &Gathered,
    root: &Path,
    progress: &Progress<'_>,
) -> Result<Written> {
    let mut told = card::Told { gone: gathered.gone, ..card::Told::default() };
    let (mut version, mut silver) = (String::new(), Vec::new());
    let staged = Staged::folder(&root.join("new"), |scratch| {
        let mut hasher = blake3::Hasher::new();
        for part in Part::ALL {
            let bytes = write_part(
                look,
                params,
                gathered,
                part,
                &scratch.join(part.file()),
                (&mut told, &mut silver),
                progress,
            )?;
            hasher.update(bytes.as_bytes());
        }
        let line = |preference| serde_json::to_string(preference);
        let lines: Vec<String> = gathered
            .preferences
            .iter()
            .map(|preference| line(preference).context(ErrorKind::Bug, || "writing a preference".into()))
            .collect::<Result<_>>()?;
        told.preferences = lines.len() as u64;
        let lines: String = lines.into_iter().map(|line| line + "\n").collect();
        hasher.update(lines.as_bytes());
        put(&scratch.join("preferences.jsonl"), &lines)?;
        // The card tells the settings, so they are part of what a version is.
        let settings = serde_json::to_string(params).context(ErrorKind::Bug, || "hashing the settings".into())?;
        hasher.update(settings.as_bytes());
        version = hasher.finalize().to_hex()[..12].to_owned();
        told.version.clone_from(&version);
        put(&scratch.join("README.md"), &card::markdown(&told, params, look.languages))?;
        put(&scratch.join("dataset.json"), &card::json(&told, params, look.languages)?)
    })?;
    let target = root.join(&version);
    let examples = told.totals().iter().map(|(_, count)| count).sum();
    let mut files = Vec::new();
    // The same answers make the same version: one that is whole stays as it is.
    if !target.join("README.md").is_file() {
        set_aside(&target)?;
        files.push(staged.named(&target));
    }
    files.push(Staged::file(&root.join("LATEST"), |out| {
        writeln!(out, "{version}").context(ErrorKind::Store, || "naming the newest dataset".into())
    })?);
    Ok(Written { version, examples, silver, files })
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
    (told, taken): (&mut card::Told, &mut Vec<PairId>),
    progress: &Progress<'_>,
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
            let walked = look.store.for_each_kept(&look.scope(), |kept| {
                progress.check()?;
                if let Some(example) = silver(gathered, kept) {
                    taken.push(example.id);
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
fn silver(gathered: &Gathered, kept: KeptText) -> Option<Example> {
    let elsewhere = kept.split.as_deref().is_some_and(|split| split != Part::Train.name());
    if elsewhere || gathered.judged.contains(&kept.id) || !gathered.splitter.may_train(&kept.texts, kept.documents) {
        return None;
    }
    let ([source, target], [source_location, target_location]) = (kept.texts, kept.locations);
    Some(Example {
        id: kept.id,
        source,
        target,
        label: Some(1),
        similarity: None,
        kind: Kind::Silver,
        confidence: None,
        people: 0,
        parent: kept.parent,
        source_location,
        target_location,
        from: kept.from,
    })
}
