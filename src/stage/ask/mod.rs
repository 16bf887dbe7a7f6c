//! Which questions to put to people, so that their time tells most.
//!
//! Each morning at most `budget` questions wait: a night fills up what was answered, and asks nothing more while people
//! are behind. A question counts as answered once `annotators` people have answered it or passed it by. No pair is asked
//! about twice, with two exceptions that are told apart by their strategy: pairs on which people disagree
//! ([`Strategy::Disagreement`]), which one more person is asked about, and control items ([`Strategy::Gold`]), whose
//! answer is known.
//!
//! Questions are chosen in one walk over all pairs that people could still decide on (`choose`): those that are kept,
//! and those that a rule dropped, but neither duplicates nor copies. Memory: `budget` entries of some 60 bytes for each
//! strategy and stratum, and 40 bytes for each question ever asked.

mod choose;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use self::choose::{Chosen, choose};
use super::interface::{self, About, LabelConfig};
use super::{Commit, Ctx, Inputs, Listing, Look, Progress, Settings, Stage, Unit, neighbours, table};
use crate::error::{Error, Result};
use crate::record::{Bytes, Interface, PairId, Scorer, Strategy, Task, TaskId};
use crate::store::neighbours::Direction;
use crate::store::table::Table;
use crate::store::text_pairs::JudgedPair;
use crate::text::dedup::text_pair;

/// Raised when the same pairs lead to other questions.
pub const VERSION: u32 = 1;

/// The stage.
#[derive(Debug)]
pub struct Ask;

/// The one unit.
pub const UNIT: &str = "questions";

/// What to ask, whom and how much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// What is asked: `translation`, `similarity` or `pairwise`.
    pub interface: Interface,
    /// A labelling configuration of one's own, relative to the pipeline file; none: the one that ships.
    pub config: Option<PathBuf>,
    /// How many questions wait for people each morning; 0: none are asked.
    pub budget: u32,
    /// How many people are to answer each question.
    pub annotators: u32,
    /// Which share of the questions each strategy chooses. The shares need not sum to one.
    pub mix: Mix,
    /// Another seed draws other lots.
    pub seed: u64,
    /// Where the questions go.
    pub label_studio: Server,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            interface: Interface::default(),
            config: None,
            budget: 0,
            annotators: 1,
            mix: Mix::default(),
            seed: 1,
            label_studio: Server::default(),
        }
    }
}

/// The share of each strategy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Mix {
    /// Pairs whose probability of being right is nearest to one half.
    pub uncertain: f64,
    /// Pairs drawn by lot.
    pub random: f64,
    /// Pairs drawn by lot, as many from each source and each tenth of the scores.
    pub stratified: f64,
    /// Pairs on which people disagree; then those on which score, probability and rules disagree most.
    pub disagreement: f64,
    /// Control items: pairs whose answer is known.
    pub gold: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { uncertain: 0.6, random: 0.2, stratified: 0.0, disagreement: 0.1, gold: 0.1 }
    }
}

impl Mix {
    /// How many of `count` questions each strategy chooses. What is left of a question goes to the largest remainder; of
    /// equals, to the strategy that has less to choose from.
    fn split(self, count: usize) -> Vec<(Strategy, usize)> {
        let shares = [
            (Strategy::Disagreement, self.disagreement),
            (Strategy::Gold, self.gold),
            (Strategy::Stratified, self.stratified),
            (Strategy::Random, self.random),
            (Strategy::Uncertain, self.uncertain),
        ];
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        let wanted = shares.into_iter().filter(|(_, share)| *share > 0.0);
        let exact: Vec<(Strategy, f64)> =
            wanted.map(|(strategy, share)| (strategy, share / sum * count as f64)).collect();
        // A hair more, since 0.3 of 10 may come to 2.9999999.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `count`")]
        let whole = |exact: f64| (exact + 1e-9).floor() as usize;
        let mut split: Vec<(Strategy, usize)> =
            exact.iter().map(|(strategy, exact)| (*strategy, whole(*exact))).collect();
        let left = count.saturating_sub(split.iter().map(|(_, share)| share).sum());
        let mut by_remainder: Vec<usize> = (0..exact.len()).collect();
        let remainder = |place: usize| exact[place].1 - split[place].1 as f64;
        let rounded = by_remainder.iter().map(|place| (remainder(*place) * 1e6).round()).collect::<Vec<_>>();
        by_remainder.sort_by(|a, b| rounded[*b].total_cmp(&rounded[*a]));
        by_remainder.into_iter().take(left).for_each(|place| split[place].1 += 1);
        split
    }

    /// Whether the shares make sense.
    fn is_sound(self) -> bool {
        let all = [self.uncertain, self.random, self.stratified, self.disagreement, self.gold];
        all.iter().all(|share| share.is_finite() && *share >= 0.0) && all.iter().sum::<f64>() > 0.0
    }
}

/// A Label Studio server and the project there. The token comes from the environment: `LABEL_STUDIO_TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Server {
    /// Its URL, such as `http://localhost:8080`.
    pub url: Option<String>,
    /// The project's title, 3 to 50 characters; none: the pipeline's name and what is asked.
    pub title: Option<String>,
    /// The project's number, where it is there already.
    pub project: Option<u64>,
    /// Whether a whole run fetches answers before it begins and sends its questions when it has ended.
    pub nightly: bool,
    /// The largest answer in JSON that is read, decompressed. A parser makes up to twenty times as much of it in memory.
    pub max_answer: Bytes,
    /// The largest snapshot that is fetched.
    pub max_snapshot: Bytes,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            url: None,
            title: None,
            project: None,
            nightly: false,
            max_answer: Bytes(32_000_000),
            max_snapshot: Bytes(4_000_000_000),
        }
    }
}

impl Server {
    /// Its URL, if one is set. It may hold no credentials: settings are kept with every run.
    ///
    /// # Errors
    /// Kind `Config`. The message does not repeat the URL, which may hold a password.
    pub fn address(&self) -> Result<Option<url::Url>> {
        let Some(text) = &self.url else { return Ok(None) };
        let is_fit = |url: &url::Url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        url::Url::parse(text).ok().filter(is_fit).map(Some).ok_or_else(|| {
            Error::config(
                "annotate.label-studio.url: an http(s) URL without user name, password, query and fragment is wanted, such as http://localhost:8080",
            )
        })
    }
}

impl Params {
    /// What types alone cannot say.
    ///
    /// # Errors
    /// Kind `Config`.
    pub fn check(&self, folder: &std::path::Path) -> Result<()> {
        if !self.mix.is_sound() {
            return Err(Error::config("annotate.mix: shares of 0 and above are wanted, and one above 0"));
        }
        if self.annotators == 0 {
            return Err(Error::config("annotate.annotators = 0: at least one person must answer"));
        }
        if let Some(title) = &self.label_studio.title
            && !(3..=50).contains(&title.chars().count())
        {
            return Err(Error::config(format!(
                "annotate.label-studio.title = {title:?}: 3 to 50 characters are wanted"
            )));
        }
        if self.label_studio.address()?.is_none() && self.label_studio.nightly {
            return Err(Error::config("annotate.label-studio.nightly: the server's url is missing"));
        }
        self.labelling(folder).map(|_| ())
    }

    /// The settings that change a question: where questions go changes none of them.
    fn of_questions(&self) -> Self {
        Self { label_studio: Server::default(), ..self.clone() }
    }

    /// The labelling configuration: as XML, and read.
    ///
    /// # Errors
    /// Kind `Config` when it cannot be read or does not serve.
    pub fn labelling(&self, folder: &std::path::Path) -> Result<(String, LabelConfig)> {
        interface::load(self.interface, self.config.as_ref().map(|path| folder.join(path)).as_deref())
    }
}

impl Stage for Ask {
    fn name(&self) -> &'static str {
        "annotate"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "pool"
    }

    fn after(&self) -> &'static [&'static str] {
        &["neighbours", "adjudicate", "calibrate", "dedup"]
    }

    fn reads(&self) -> &'static [Table] {
        &[
            Table::TextPair,
            Table::Occurrence,
            Table::Verdict,
            Table::NearDuplicate,
            Table::Score,
            Table::Adjudication,
            Table::Annotation,
            Table::Document,
            Table::Neighbours,
            Table::Sentence,
        ]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Task]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "annotate": table(&settings.get::<Params>()?.of_questions())? }))
    }

    /// The questions, if any are to be asked.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let params = ctx.settings::<Params>()?;
        if params.budget == 0 {
            return Ok(Listing::All(Vec::new()));
        }
        let answers = ctx.store()?.annotations_fingerprint(&ctx.scope_name())?;
        let mut inputs = bodies(ctx, params, Inputs::new())?
            // What answers come to follows from them, and the filter's output holds it.
            .tables(&[Table::Annotation, Table::Adjudication], &answers);
        if let Some(path) = &params.config {
            // Questions must fit it.
            inputs = inputs.value("config", &ctx.file_hash(&ctx.settings_folder().join(path))?);
        }
        Ok(Listing::All(vec![Unit::new(UNIT, inputs)]))
    }

    /// Chooses as many questions as are wanting.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let (store, params) = (ctx.store()?, ctx.settings::<Params>()?);
        let look = ctx.look(&store)?;
        let labelling = params.labelling(ctx.settings_folder())?.1;
        let open = store.open_tasks(Some(&look.scope()), params.interface, params.annotators)?.len();
        let wanted = (params.budget as usize).saturating_sub(open);
        let asker = Asker::new(&look, params)?;
        progress.check()?;
        let mut tasks = Vec::new();
        if wanted > 0 {
            tasks = asker.tasks(&look, params, wanted)?;
        }
        for task in &tasks {
            labelling.check(&task.body).map_err(|why| {
                Error::config(format!(
                    "the question {} on {} does not fit the labelling configuration: {why}",
                    task.id, task.pair
                ))
            })?;
        }
        let mut counts: HashMap<Strategy, f64> = HashMap::new();
        tasks.iter().for_each(|task| *counts.entry(task.strategy).or_default() += 1.0);
        let output = super::fingerprint(&(&unit.input, tasks.iter().map(|task| task.id).collect::<Vec<_>>()))?;
        let waiting = (open + tasks.len()) as f64;
        let scope = ctx.scope_name();
        let commit =
            Commit::new(output, move |writer, _| writer.put_tasks(&scope, &tasks, jiff::Timestamp::now()).map(drop));
        let counted = COUNTED.iter().filter_map(|(strategy, name)| Some((*name, *counts.get(strategy)?)));
        Ok(commit.counts(counted).count("questions waiting", waiting))
    }
}

/// What the texts and figures of tasks depend on, beside the pairs' selection: verdicts, probabilities and, for a choice
/// between two, neighbour lists.
///
/// # Errors
/// Kind `Store`.
pub fn bodies(ctx: &Ctx<'_>, params: &Params, inputs: Inputs) -> Result<Inputs> {
    let judged = ctx.store()?.judgement_stamp(&ctx.scope_name())?.to_string();
    // A document's site and location hang on its pairs.
    let inputs = inputs.tables(
        &[Table::TextPair, Table::Occurrence, Table::Verdict, Table::NearDuplicate, Table::Score, Table::Document],
        &judged,
    );
    // Only a choice between two reads them.
    let lists = if params.interface == Interface::Pairwise { neighbours::lists(ctx)? } else { String::new() };
    Ok(inputs.tables(&[Table::Neighbours, Table::Sentence], &lists))
}

const COUNTED: [(Strategy, &str); 5] = [
    (Strategy::Uncertain, "uncertain"),
    (Strategy::Random, "random"),
    (Strategy::Stratified, "stratified"),
    (Strategy::Disagreement, "in dispute"),
    (Strategy::Gold, "control items"),
];

/// What is needed to make tasks of pairs.
pub struct Asker {
    /// The key of the neighbour lists, for second candidates.
    neighbours: Option<String>,
    asked: HashSet<TaskId>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("asked", &self.asked.len()).finish()
    }
}

impl Asker {
    /// Reads what it needs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn new(look: &Look<'_>, params: &Params) -> Result<Self> {
        Ok(Self {
            neighbours: look.store.stage_key(&look.scope(), "neighbours")?.map(|(key, _)| key),
            asked: look.store.asked(&look.scope(), params.interface)?.into_iter().map(|(id, ..)| id).collect(),
        })
    }

    fn tasks(&self, look: &Look<'_>, params: &Params, wanted: usize) -> Result<Vec<Task>> {
        let mut tasks: Vec<Task> = Vec::new();
        let mut taken: HashSet<PairId> = HashSet::new();
        let split = params.mix.split(wanted);
        let lists = choose(look, params, wanted)?;
        // Scarce ones first: what they cannot fill goes to the others.
        let order =
            [Strategy::Gold, Strategy::Disagreement, Strategy::Stratified, Strategy::Random, Strategy::Uncertain];
        for fill in [false, true] {
            for strategy in order {
                let share = split.iter().find(|(own, _)| *own == strategy).map(|(_, share)| *share);
                // Control items and disputes beyond their share would be asked without need.
                let Some(share) =
                    share.filter(|_| !fill || !matches!(strategy, Strategy::Gold | Strategy::Disagreement))
                else {
                    continue;
                };
                let want = if fill { wanted - tasks.len() } else { share.min(wanted - tasks.len()) };
                let mut got = 0;
                for chosen in lists.of(strategy) {
                    if got == want {
                        break;
                    }
                    if taken.contains(&chosen.pair) {
                        continue;
                    }
                    if let Some(task) = self.task(look, params.interface, strategy, chosen)? {
                        taken.insert(chosen.pair);
                        tasks.push(task);
                        got += 1;
                    }
                }
            }
        }
        tasks.sort_by_key(|task| task.id);
        Ok(tasks)
    }

    /// The task of a chosen pair; `None`: it was asked already, the pair is gone, or it has no second candidate.
    fn task(&self, look: &Look<'_>, interface: Interface, strategy: Strategy, chosen: &Chosen) -> Result<Option<Task>> {
        let id = task_id(interface, chosen.pair, &chosen.round);
        if self.asked.contains(&id) {
            return Ok(None);
        }
        let Some(judged) = look.store.judged_pair(chosen.pair)? else { return Ok(None) };
        let made = self.make(look, interface, id, &judged)?;
        Ok(made.map(|(body, other)| Task {
            id,
            interface,
            pair: chosen.pair,
            other,
            strategy,
            control: chosen.answer.clone(),
            body,
        }))
    }

    /// The task of a pair that somebody exports by hand.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn by_hand(&self, look: &Look<'_>, interface: Interface, judged: &JudgedPair) -> Result<Option<Task>> {
        let (id, pair) = (task_id(interface, judged.pair.id, ""), judged.pair.id);
        let made = self.make(look, interface, id, judged)?;
        Ok(made.map(|(body, other)| Task {
            id,
            interface,
            pair,
            other,
            strategy: Strategy::Export,
            control: None,
            body,
        }))
    }

    fn make(
        &self,
        look: &Look<'_>,
        interface: Interface,
        id: TaskId,
        judged: &JudgedPair,
    ) -> Result<Option<(serde_json::Value, Option<PairId>)>> {
        let about = About {
            task: id,
            languages: look.languages,
            source_location: judged.source_location.as_deref(),
            target_location: judged.target_location.as_deref(),
        };
        if interface != Interface::Pairwise {
            return Ok(Some((
                interface::body(interface, &about, &judged.pair, Self::probability(look, judged)?),
                None,
            )));
        }
        let Some((other, text, confidence)) = self.second_candidate(look, judged)? else { return Ok(None) };
        Ok(Some((interface::choice_body(&about, &judged.pair, (other, &text), confidence), Some(other))))
    }

    /// The probability that a pair is right; its score where there is no calibration.
    fn probability(look: &Look<'_>, judged: &JudgedPair) -> Result<f64> {
        let probability = look.store.score(judged.pair.id, Scorer::Probability)?;
        Ok(f64::from(probability.unwrap_or(judged.pair.score)))
    }

    /// The target text nearest to a pair's source beside its own: its id, its text, and how sure we are that the pair's
    /// own is the better one (its share of both cosines, .5 to 1).
    fn second_candidate(&self, look: &Look<'_>, judged: &JudgedPair) -> Result<Option<(PairId, String, f64)>> {
        let (Some(key), [only]) = (&self.neighbours, judged.pair.source.sentences.as_slice()) else { return Ok(None) };
        let Some(source) = look.store.sentence(*only)? else { return Ok(None) };
        let list =
            look.store.neighbour_list(&look.scope(), Direction::Forward, key, source.text_id)?.unwrap_or_default();
        for (text, cosine) in list {
            let Some(sentence) = look.store.first_sentence(text)? else { continue };
            if sentence.text != judged.pair.target.text && !sentence.text.trim().is_empty() {
                let (own, other) =
                    (f64::from(judged.pair.similarity().unwrap_or(cosine)).max(0.0), f64::from(cosine).max(0.0));
                let share = if own + other > 0.0 { own / (own + other) } else { 0.5 };
                let other = text_pair(look.languages, &judged.pair.source.text, &sentence.text);
                return Ok(Some((other, sentence.text, share.max(0.5))));
            }
        }
        Ok(None)
    }
}

/// The id of a question. `round` tells repetitions apart; it is empty the first time.
fn task_id(interface: Interface, pair: PairId, round: &str) -> TaskId {
    TaskId::of(&[interface.name().as_bytes(), &pair.0.to_be_bytes(), round.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_split_to_the_last_question() {
        let split = Mix::default().split(200);
        let of = |wanted: Strategy| split.iter().find(|(strategy, _)| *strategy == wanted).map(|(_, count)| *count);
        assert_eq!(of(Strategy::Uncertain), Some(120));
        assert_eq!((of(Strategy::Random), of(Strategy::Stratified), of(Strategy::Gold)), (Some(40), None, Some(20)));
        // 3.0, 1.0, 0.5 and 0.5: a dispute goes before a control item.
        let of_five = Mix::default().split(5);
        assert!(
            of_five.contains(&(Strategy::Disagreement, 1)) && of_five.contains(&(Strategy::Gold, 0)),
            "{of_five:?}"
        );
        for count in 0..30 {
            assert_eq!(Mix::default().split(count).iter().map(|(_, share)| share).sum::<usize>(), count);
        }
        assert!(!Mix { uncertain: 0.0, random: 0.0, disagreement: 0.0, gold: 0.0, stratified: 0.0 }.is_sound());
        assert!(!Mix { random: -1.0, ..Mix::default() }.is_sound());
    }

    #[test]
    fn a_server_is_named_without_credentials() {
        let at = |url: &str| Server { url: Some(url.to_owned()), ..Server::default() }.address();
        assert_eq!(at("http://localhost:8080/").unwrap().unwrap().port(), Some(8080));
        assert!(Server::default().address().unwrap().is_none());
        for wrong in ["ftp://a.test", "http://me:word@a.test", "https://a.test/?x=1", "ftp://me:word@a.test", "a.test"]
        {
            let error = at(wrong).unwrap_err().to_string();
            assert!(error.contains("http(s) URL without user name") && !error.contains("word@"), "{error}");
        }
    }

    #[test]
    fn a_question_is_known_by_what_it_asks() {
        let id = |interface, pair, round| task_id(interface, PairId(pair), round);
        assert_eq!(id(Interface::Translation, 1, ""), id(Interface::Translation, 1, ""));
        assert_ne!(id(Interface::Translation, 1, ""), id(Interface::Similarity, 1, ""));
        assert_ne!(id(Interface::Translation, 1, ""), id(Interface::Translation, 1, "control 1"));
    }
}
