//! Mining: pairs among all sentences, in whatever order and document they stand.
//!
//! Sentences that alignment has paired surely are taken; the rest compete by margin over the neighbour lists. A margin
//! means little by itself (it depends on the encoder and the texts), so it is turned into a probability: aligned
//! documents say which candidates are right and which are wrong, and a logistic curve is fitted to that. This
//! probability is a mined pair's score, on the same scale as an aligned pair's posterior.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Commit, Ctx, Inputs, Listing, Look, Progress, Settings, Shared, Stage, Unit, align, neighbours, table};
use crate::algo::assign::one_to_one;
use crate::algo::calibrate::Logistic;
use crate::algo::margin::{self, Candidate, Margin, Retrieval};
use crate::engine::shared::lock;
use crate::error::Result;
use crate::record::id::IdMap;
use crate::record::{Origin, Pair, Scores, SentenceId, TextId};
use crate::store::Writer;
use crate::store::table::Table;
use crate::text::dedup::text_pair;

/// Raised when the same neighbours give other pairs.
pub const VERSION: u32 = 1;

/// The stage.
#[derive(Debug)]
pub struct Mine;

/// What changes mined pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// Which margin.
    pub margin: Margin,
    /// From which side candidates are taken.
    pub retrieval: Retrieval,
    /// Candidates under this margin are not looked at.
    pub min_margin: f32,
    /// Candidates above it are suspicious (lists, repeated templates) and not taken.
    pub max_margin: f32,
    /// Mined pairs under this probability are not kept at all.
    pub min_score: f32,
    /// A sentence aligned with at least this score is taken.
    pub taken_score: f32,
    /// The margin that the curve's prior holds for even odds.
    pub prior_margin: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            margin: Margin::Ratio,
            retrieval: Retrieval::Intersect,
            min_margin: 1.06,
            max_margin: 10.0,
            min_score: 0.2,
            taken_score: 0.5,
            prior_margin: 1.5,
        }
    }
}

impl Stage for Mine {
    fn name(&self) -> &'static str {
        "mine"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "pool"
    }

    fn after(&self) -> &'static [&'static str] {
        &["segment", "align", "neighbours"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Neighbours, Table::Sentence, Table::Occurrence, Table::Producer]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::TextPair, Table::Occurrence, Table::Producer]
    }

    fn uses_model(&self) -> bool {
        true
    }

    fn parallel(&self) -> bool {
        false
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "mine": table(settings.get::<Params>()?)? }))
    }

    /// The one pool.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let Some(_) = ctx.model()? else { return Ok(Listing::Idle) };
        let pools = neighbours::pools(ctx)?;
        let pools = lock(&pools);
        if pools.sources.is_empty() || pools.targets.is_empty() {
            return Ok(Listing::All(Vec::new()));
        }
        let inputs = Inputs::new()
            .table(Table::Sentence, &super::combined(&[&pools.fingerprint, &pools.places]))
            // Lists follow from the pools and the key.
            .table(Table::Neighbours, &ctx.key_of("neighbours")?.key)
            .tables(&[Table::Occurrence, Table::Producer], &ctx.stage_output("align")?);
        Ok(Listing::All(vec![Unit::new("pool", inputs)]))
    }

    /// Chooses among the neighbours.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let (pools, store, params) = (neighbours::pools(ctx)?, ctx.store()?, ctx.settings::<Params>()?);
        let (mut pools, look) = (lock(&pools), ctx.look(&store)?);
        let k = ctx.settings::<neighbours::Params>()?.k;
        let (forward, backward) = pools.take_lists(&look, &ctx.key_of("neighbours")?.key, k)?;
        progress.check()?;
        let all = margin::candidates(&forward, &backward, params.margin, params.retrieval);
        drop((forward, backward));
        let aligned = Aligned::read(&look, params.taken_score)?;
        let candidates = Candidates { sources: &pools.sources, targets: &pools.targets, all };
        let curve = aligned.curve(&candidates, params);
        progress.check()?;
        let chosen = candidates.chosen(params, &aligned);
        // Only now are texts needed, and only those of the chosen. A sentence's id stands for its text and document: of the
        // same two sentences with the same figures, the last run made the same occurrence, which stays as it is.
        let row = store.units(&look.scope(), "mine")?.remove(&unit.name);
        let known = match row.filter(|row| row.key == look.key) {
            Some(_) => store.single_occurrences(&look.scope(), "mine", &unit.name)?,
            None => HashMap::new(),
        };
        let (mut pairs, mut kept, mut content) = (Vec::new(), Vec::new(), Vec::new());
        for candidate in chosen {
            progress.check()?;
            #[expect(clippy::cast_possible_truncation, reason = "a probability")]
            let score = curve.probability(f64::from(candidate.margin)) as f32;
            if score < params.min_score {
                continue;
            }
            let (source, target) = (candidates.sources[candidate.source], candidates.targets[candidate.target]);
            let (Some(source_id), Some(target_id)) =
                (store.first_sentence_id(source)?, store.first_sentence_id(target)?)
            else {
                continue;
            };
            content.push((source_id.0, target_id.0, [candidate.cosine, candidate.margin, score].map(f32::to_bits)));
            let scores = Scores::of_encoder(Some(candidate.cosine), Some(candidate.margin));
            let same = known.get(&(source_id, target_id)).filter(|one| one.score == score && one.scores == scores);
            match same {
                Some(same) => kept.push(same.id),
                None => pairs.extend(pair(&look, source, target, &candidate, score)?),
            }
        }
        let (count, evidence) = ((kept.len() + pairs.len()) as f64, aligned.examples(&candidates).len() as f64);
        let (scope, name) = (ctx.scope_name(), unit.name.clone());
        let write =
            move |writer: &Writer<'_>, _| writer.put_occurrences_beside(&scope, "mine", &name, &kept, &pairs).map(drop);
        Ok(Commit::of(&content, write)?.count("mined pairs", count).count("calibration examples", evidence))
    }

    fn retract(&self, writer: &Writer<'_>, scope: &str, unit: &str) -> Result<()> {
        writer.put_occurrences(scope, "mine", unit, &[]).map(drop)
    }

    fn invalidate(&self, shared: &Shared, scope: &str) {
        // The stages after it need the memory.
        shared.forget::<std::sync::Mutex<neighbours::Pools>>(scope);
    }
}

/// The pair of two texts, where each first stands.
fn pair(look: &Look<'_>, source: TextId, target: TextId, candidate: &Candidate, score: f32) -> Result<Option<Pair>> {
    let (Some(source), Some(target)) = (look.store.first_sentence(source)?, look.store.first_sentence(target)?) else {
        return Ok(None);
    };
    let source = align::side(std::slice::from_ref(&source), source.document);
    let target = align::side(std::slice::from_ref(&target), target.document);
    Ok(Some(Pair {
        id: text_pair(look.languages, &source.text, &target.text),
        source,
        target,
        origin: Origin::Mined,
        scores: Scores::of_encoder(Some(candidate.cosine), Some(candidate.margin)),
        score,
        parent: None,
    }))
}

/// Texts by row, and the candidates among them.
struct Candidates<'p> {
    sources: &'p [TextId],
    targets: &'p [TextId],
    all: Vec<Candidate>,
}

impl Candidates<'_> {
    /// One-to-one among texts that no sure pair has taken.
    fn chosen(&self, params: &Params, aligned: &Aligned) -> Vec<Candidate> {
        let free = self
            .all
            .iter()
            .filter(|candidate| (params.min_margin..=params.max_margin).contains(&candidate.margin))
            .filter(|candidate| {
                !aligned.sources.contains_key(&self.sources[candidate.source])
                    && !aligned.targets.contains(&self.targets[candidate.target])
            })
            .copied()
            .collect();
        one_to_one(free)
    }
}

/// Texts that alignment has paired surely.
struct Aligned {
    /// Source text → the target texts of its beads.
    sources: IdMap<TextId, Vec<TextId>>,
    targets: HashSet<TextId>,
}

impl Aligned {
    fn read(look: &Look<'_>, score: f32) -> Result<Self> {
        let texts: IdMap<SentenceId, TextId> = look.store.sentence_texts()?.into_iter().collect();
        let of = |ids: &[SentenceId]| ids.iter().filter_map(|id| texts.get(id)).copied().collect::<Vec<_>>();
        let mut aligned = Self { sources: IdMap::default(), targets: HashSet::new() };
        look.store.for_each_aligned(&look.scope(), score, |(sources, targets)| {
            let (sources, targets) = (of(&sources), of(&targets));
            for source in sources {
                aligned.sources.entry(source).or_default().extend(targets.iter().copied());
            }
            aligned.targets.extend(targets);
            Ok(())
        })?;
        Ok(aligned)
    }

    /// Candidates that alignment can judge: both texts are surely paired, with each other or with others.
    fn examples(&self, candidates: &Candidates<'_>) -> Vec<(f64, bool)> {
        candidates
            .all
            .iter()
            .filter_map(|candidate| {
                let partners = self.sources.get(&candidates.sources[candidate.source])?;
                let target = candidates.targets[candidate.target];
                self.targets.contains(&target).then(|| (f64::from(candidate.margin), partners.contains(&target)))
            })
            .collect()
    }

    /// The curve from margins to probabilities. The prior counts for 20 examples.
    fn curve(&self, candidates: &Candidates<'_>, params: &Params) -> Logistic {
        let mut examples = self.examples(candidates);
        // Texts outside paired documents have less often a translation at all. Each wrong candidate therefore counts
        // twice: the odds are halved, which is the least that caution asks for.
        let wrong: Vec<_> = examples.iter().filter(|(_, right)| !right).copied().collect();
        examples.extend(wrong);
        Logistic::through(params.prior_margin, 10.0).fitted(&examples, 20.0)
    }
}
