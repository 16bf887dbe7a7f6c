//! What a run would do: for each stage how many units are done and pending, and why what is stale is stale.

use super::key::differences;
use super::run::is_pending;
use super::{Pipeline, dispatch};
use crate::error::Result;
use crate::stage::{Listing, Session, Stage};
use crate::store::Store;

/// A stage's part of the plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StagePlan {
    /// Its name.
    pub stage: &'static str,
    /// What a unit is called.
    pub unit_word: &'static str,
    /// Units that need nothing.
    pub done: u64,
    /// Units to do with what is there now. Stages before it may add to them.
    pub pending: u64,
    /// Units whose input is gone.
    pub retracted: u64,
    /// Why units that were done are pending: `mine.min-margin 1.06 → 1.2`.
    pub because: Vec<String>,
}

/// The plan of a pipeline in its workspace, stage by stage. Crawling is not in it: what is due is known to the web.
///
/// # Errors
/// Kind `Store`; kind `Model` when the encoder cannot be loaded.
pub fn plan(pipeline: &Pipeline, store: &Store) -> Result<Vec<StagePlan>> {
    let mut session = Session::default();
    Stage::ALL.into_iter().map(|stage| stage_plan(pipeline, store, stage, &mut session)).collect()
}

fn stage_plan(pipeline: &Pipeline, store: &Store, stage: Stage, session: &mut Session) -> Result<StagePlan> {
    let mut plan = StagePlan {
        stage: stage.name(),
        unit_word: stage.unit_word(),
        done: 0,
        pending: 0,
        retracted: 0,
        because: Vec::new(),
    };
    let (key, listing) = dispatch::listing(pipeline, store, stage, session)?;
    if let Some((_, parts)) = store.stage_key(stage.name())?.filter(|(old, _)| *old != key.key) {
        plan.because = differences(&parts, &key.parts);
    }
    let Some(listing) = listing else { return Ok(plan) };
    let mut ledger = store.units(stage.name())?;
    match listing {
        Listing::All(units) => {
            for unit in units {
                let pending = is_pending(&unit, ledger.remove(&unit.name).as_ref(), &key.key);
                *(if pending { &mut plan.pending } else { &mut plan.done }) += 1;
            }
            plan.retracted = ledger.len() as u64;
        }
        Listing::Next(next, left) => {
            plan.pending = left.max(u64::from(next.is_some()));
            plan.done = ledger.values().filter(|row| row.done && row.key == key.key).count() as u64;
        }
    }
    if plan.pending == 0 {
        plan.because.clear();
    }
    Ok(plan)
}
