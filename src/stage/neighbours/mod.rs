//! Neighbours: for each text the k nearest in the other language, kept in the store and mended as texts come and go.
//!
//! ```text
//! texts that are new ─┐ one product with all texts of the other language
//!                     ├▶ their own lists
//!                     └▶ the old lists that they enter, from each list's last cosine on
//! ```
//!
//! A night that adds 1 % of texts multiplies those alone, 1 % of either language with all of the other: a search from
//! scratch makes one product for both directions, so this is 2 % of it. A text is *known* once it has a list of its own:
//! that is written together with the lists that it enters, so that a killed run leaves none half done.
//!
//! Before that, one *refresh* takes vanished texts out of the lists. A list keeps some more than k neighbours, and with
//! one less it is still right; only a text that is left with fewer than k searches again.
//!
//! With exact search the lists are those of a search from scratch, whatever the order of nights; with a graph, its recall
//! against exact search is measured on a sample of every batch, and the graph searches more widely until that reaches a
//! floor. A graph is kept in a file of the workspace and grows from night to night. Where old lists are there, `auto` is
//! always exact: new texts are multiplied with everything for the old lists' sake, and have their own neighbours by that.
//!
//! A run from scratch searches both directions with one product; a run that is killed in it searches the second one anew.
//!
//! Memory: both pools' vectors as 8-bit integers, a byte a number (their half floats are read where they lie, in mapped
//! files); the lists, 16 bytes a neighbour; and for each target text 12 bytes for each of k + 36 candidates in a run from
//! scratch, or 200 bytes for each text in a graph.

mod pools;
mod search;

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

pub use self::pools::Pools;
use self::search::{REFRESH, refresh, search};
use super::{Commit, Ctx, Inputs, Listing, Progress, Settings, Stage, Unit, combined, table};
use crate::engine::shared::lock;
use crate::error::{Error, Result};
use crate::index::HnswParams;
use crate::index::both::{Kind, Search};
use crate::model::torch::compute::Device;
use crate::record::TextId;
use crate::store::neighbours::Direction;
use crate::store::table::Table;

/// Raised when the same vectors give other lists.
pub const VERSION: u32 = 2;

/// The stage.
#[derive(Debug)]
pub struct Neighbours;

/// What changes neighbour lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// Neighbours of a text, in either direction.
    pub k: usize,
    /// Which index.
    pub index: Kind,
    /// The graph's settings.
    pub hnsw: HnswParams,
    /// Share of the exact neighbours that a graph must find on the sample, 0 to 1; under it, it searches more widely.
    pub min_recall: f64,
    /// What cannot change a list.
    pub limits: Limits,
}

/// What cannot change a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Texts of a unit.
    pub batch: usize,
    /// Texts of a batch whose neighbours are also looked for exactly, to measure recall.
    pub recall_sample: usize,
    /// Where exact search multiplies.
    pub device: Device,
}

impl Default for Params {
    fn default() -> Self {
        Self { k: 8, index: Kind::Auto, hnsw: HnswParams::default(), min_recall: 0.995, limits: Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch: 4_096, recall_sample: 200, device: Device::Auto }
    }
}

/// Neighbours kept behind the k, for when some vanish.
const SPARE: usize = 4;

impl Params {
    fn search(&self) -> Search {
        Search { kind: self.index, graph: self.hnsw, min_recall: self.min_recall, device: self.limits.device }
    }

    /// Neighbours that a list has room for.
    fn room(&self) -> usize {
        self.k + SPARE
    }
}

/// The pools of a language pair, listed when they are first asked for.
///
/// # Errors
/// Kind `Store`; kind `Bug` without an encoder.
pub fn pools(ctx: &Ctx<'_>) -> Result<Arc<Mutex<Pools>>> {
    let model = ctx.model()?.ok_or_else(|| Error::bug("pools without an encoder"))?;
    ctx.shared().get(&ctx.scope_name(), || {
        let store = ctx.store()?;
        Ok(Mutex::new(Pools::list(&ctx.look(&store)?, &model)?))
    })
}

/// One fingerprint of the neighbour lists of a language pair: the key, the pools and the searches that they came from.
///
/// # Errors
/// Kind `Store`.
pub fn lists(ctx: &Ctx<'_>) -> Result<String> {
    let (store, scope) = (ctx.store()?, ctx.scope_name());
    let key = store.stage_key(&scope, "neighbours")?.map(|(key, _)| key).unwrap_or_default();
    let pools = store.unit_input(&scope, "neighbours", REFRESH)?.unwrap_or_default();
    Ok(combined(&[&key, &pools, &store.stage_output(&scope, "neighbours")?]))
}

impl Stage for Neighbours {
    fn name(&self) -> &'static str {
        "neighbours"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "batch"
    }

    fn after(&self) -> &'static [&'static str] {
        &["segment", "embed"]
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Sentence, Table::Vector, Table::Shard, Table::NoVector]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Neighbours]
    }

    fn uses_model(&self) -> bool {
        true
    }

    fn parallel(&self) -> bool {
        false
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "neighbours": table(settings.get::<Params>()?)? }))
    }

    /// First the refresh of the lists that exist, then batches of texts without a list. Three rows in the ledger: the
    /// refresh, and the last batch of either direction.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let Some(model) = ctx.model()? else { return Ok(Listing::Idle) };
        let (pools, store) = (pools(ctx)?, ctx.store()?);
        let (mut pools, look, params) = (lock(&pools), ctx.look(&store)?, ctx.settings::<Params>()?);
        let next = |unit, left, done| Ok(Listing::Next { unit, left, done, noun: "text" });
        if pools.sources.is_empty() || pools.targets.is_empty() {
            return next(None, 0, 0);
        }
        let unit = |name: &str, of: &str| Unit::new(name, Inputs::new().table(Table::Sentence, of).model(&model));
        let refresh = unit(REFRESH, &pools.fingerprint);
        let row = store.units(&look.scope(), "neighbours")?.remove(REFRESH);
        let Some(row) = row.filter(|row| row.done && row.key == look.key && row.input == refresh.input) else {
            return next(Some(refresh), 0, 0);
        };
        pools.refreshed(&row.output);
        let mut done = 0;
        for direction in [Direction::Forward, Direction::Backward] {
            let texts = pools.texts(direction).0.len() as u64;
            let waiting = pools.waiting(&look, direction)?;
            done += texts - waiting.len() as u64;
            if !waiting.is_empty() {
                let ids: Vec<String> = waiting.iter().take(params.limits.batch).map(TextId::to_string).collect();
                let input = combined(&ids.iter().map(String::as_str).collect::<Vec<_>>());
                return next(Some(unit(direction.name(), &input)), waiting.len() as u64, done);
            }
        }
        next(None, 0, done)
    }

    /// The index is built once a run, and its search uses all threads by itself.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit> {
        let model = ctx.model()?.ok_or_else(|| Error::bug("neighbours without an encoder"))?;
        let (pools, store) = (pools(ctx)?, ctx.store()?);
        let (mut pools, look, params) = (lock(&pools), ctx.look(&store)?, ctx.settings::<Params>()?);
        progress.check()?;
        if unit.name == REFRESH {
            refresh(&look, params, &mut pools)
        } else {
            search(&look, params, &model, &mut pools, unit)
        }
    }
}
