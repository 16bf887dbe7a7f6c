//! A pipeline: its file, and a run of it: the crawl, then the engine with the stages' settings from the file.

pub mod config;
mod languages;
pub mod prune;
pub mod run;
mod scopes;
mod settings;

pub use crate::engine::{Event, Observer};
pub use config::Pipeline;
pub use run::{RunOptions, RunReport, run};
