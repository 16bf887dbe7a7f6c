//! The engine: runs stages over the units that they list, and is the only one to write what they make.
//!
//! ```text
//! registry (the stages, in order) ─┐
//! settings (of the pipeline) ──────┼▶ driver: list ─ compare with the ledger ─ run on all cores ─ commit one by one
//! workspace (readers, ledger) ─────┘
//! ```
//!
//! No stage is known here: a registry is handed in from above. A unit is done for a scope (a language pair, or the whole
//! workspace), its stage's key and its input. Its records, its files and its row in the ledger are committed together, so
//! the process may die at any instant.

pub mod audit;
pub mod commit;
pub mod context;
pub mod driver;
pub mod event;
pub mod job;
pub mod key;
pub mod ledger;
pub mod model;
pub mod plan;
pub mod progress;
pub mod registry;
pub mod settings;
pub mod shared;
pub mod stage;
pub mod unit;

pub use commit::Commit;
pub use context::{Ctx, Engine, Look};
pub use driver::{Driver, StageReport, StageTally};
pub use event::{Event, Observer};
pub use key::{combined, fingerprint, table};
pub use progress::{Progress, Stop};
pub use registry::Registry;
pub use settings::Settings;
pub use shared::Shared;
pub use stage::{Finish, Grain, Stage};
pub use unit::{Inputs, Listing, Unit};
