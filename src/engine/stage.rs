//! What a stage is.

use serde_json::Value;

use super::{Commit, Ctx, Listing, Progress, Settings, Shared, Unit};
use crate::error::Result;
use crate::store::Writer;
use crate::store::table::Table;

/// What a stage runs once for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// The workspace: pages, documents, sentences and vectors serve all language pairs.
    Workspace,
    /// Each language pair.
    Scope,
}

/// Writes records in a transaction, for the run of this number.
pub type Write = Box<dyn FnOnce(&Writer<'_>, i64) -> Result<()> + Send>;

/// What is left to do when a stage is through.
#[derive(Default)]
pub struct Finish {
    /// What a person should know, and no failure.
    pub notes: Vec<String>,
    /// What to write.
    pub write: Option<Write>,
}

/// A step of the pipeline: lists units and turns each into a commit. It has no state of its own; what it keeps between
/// units lies in [`Ctx::shared`].
pub trait Stage: Sync {
    /// Its name in the store, in the configuration and on the screen.
    fn name(&self) -> &'static str;

    /// Raised when the same input gives other results.
    fn version(&self) -> u32;

    /// What one of its units is called, in the singular.
    fn unit_noun(&self) -> &'static str;

    /// What it runs once for.
    fn grain(&self) -> Grain {
        Grain::Scope
    }

    /// Stages whose output it uses. They stand before it in the registry.
    fn after(&self) -> &'static [&'static str] {
        &[]
    }

    /// Tables that it reads. Each is covered by a part of its units' inputs ([`super::Inputs`]).
    fn reads(&self) -> &'static [Table] {
        &[]
    }

    /// Tables that it writes. It may read them too.
    fn writes(&self) -> &'static [Table] {
        &[]
    }

    /// Whether its results depend on the encoder: its id is part of the key then.
    fn uses_model(&self) -> bool {
        false
    }

    /// Whether its units may run on several threads at once. A stage that uses all cores inside a unit, or that takes its
    /// units from a queue, says no: they run one by one on the calling thread.
    fn parallel(&self) -> bool {
        true
    }

    /// Whether a unit may take hours: it then has a job folder for a heartbeat and checkpoints ([`Progress::job`]).
    fn long_running(&self) -> bool {
        false
    }

    /// What changes its results, as tables by name: its own settings under its name, and those of others that it uses.
    /// Tables called `limits` are left out by the engine.
    ///
    /// # Errors
    /// Kind `Bug` only.
    fn params(&self, settings: &Settings) -> Result<Value>;

    /// Its units.
    ///
    /// # Errors
    /// What keeps the stage from working at all.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing>;

    /// Computes a unit. Called on any thread; long loops ask `progress` whether to go on.
    ///
    /// # Errors
    /// The unit's failure; of a fatal kind, the run's.
    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, progress: &Progress<'_>) -> Result<Commit>;

    /// Deletes what a unit wrote whose input is gone.
    ///
    /// # Errors
    /// Kind `Store`.
    fn retract(&self, _writer: &Writer<'_>, _scope: &str, _unit: &str) -> Result<()> {
        Ok(())
    }

    /// Drops shared resources that a commit of this stage has made stale, or that no later stage needs.
    fn invalidate(&self, _shared: &Shared, _scope: &str) {}

    /// Called once a run when its units are through, whether there were any or not.
    ///
    /// # Errors
    /// What ends the run.
    fn finish(&self, _ctx: &Ctx<'_>) -> Result<Finish> {
        Ok(Finish::default())
    }
}
