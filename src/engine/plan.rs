//! What a run would do: for each stage how many units are done and pending, and why what is stale is stale.

use super::key::differences;
use super::{Engine, Listing, Stage, ledger};
use crate::error::Result;
use crate::store::Store;

/// A stage's part of the plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StagePlan {
    /// Its name, with the language pair where there are several.
    pub stage: String,
    /// The language pair; empty for stages that run once for all.
    pub scope: String,
    /// What a unit is called.
    pub unit_noun: &'static str,
    /// Units that need nothing.
    pub done: u64,
    /// Units to do with what is there now. Stages before it may add to them.
    pub pending: u64,
    /// Units whose input is gone.
    pub retracted: u64,
    /// Why units that were done are pending: `mine.min-margin 1.06 → 1.2`.
    pub because: Vec<String>,
}

/// The plan of all stages, step by step. No model is opened.
///
/// # Errors
/// Kind `Store`; kind `Model` when the encoder's folder is none.
pub fn plan(engine: &Engine, store: &Store) -> Result<Vec<StagePlan>> {
    let steps = engine.registry().steps(engine.scopes().len());
    steps.into_iter().map(|(stage, scope)| stage_plan(engine, store, stage, scope)).collect()
}

fn stage_plan(engine: &Engine, store: &Store, stage: &'static dyn Stage, scope: Option<usize>) -> Result<StagePlan> {
    let ctx = engine.context(stage, scope)?;
    let mut plan = StagePlan {
        stage: ctx.label(),
        scope: ctx.scope_name(),
        unit_noun: stage.unit_noun(),
        done: 0,
        pending: 0,
        retracted: 0,
        because: Vec::new(),
    };
    let key = ctx.stage_key();
    if let Some((_, parts)) = store.stage_key(&plan.scope, stage.name())?.filter(|(old, _)| *old != key.key) {
        plan.because = differences(&parts, &key.parts);
    }
    match ctx.list()? {
        Listing::Idle => {}
        Listing::All(units) => {
            let compared = ledger::compare(units, store.units(&plan.scope, stage.name())?, &key.key);
            plan.pending = compared.pending.len() as u64;
            plan.done = compared.unchanged + compared.given_up.len() as u64;
            plan.retracted = compared.gone.len() as u64;
        }
        Listing::Next { unit, left, done, noun } => {
            plan.pending = left.max(u64::from(unit.is_some()));
            (plan.done, plan.unit_noun) = (done, noun);
        }
    }
    if plan.pending == 0 {
        plan.because.clear();
    }
    Ok(plan)
}
