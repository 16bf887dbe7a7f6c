//! A pipeline: its file, its plan and its run.

pub mod config;
mod dispatch;
pub mod event;
pub mod key;
mod languages;
pub mod plan;
pub mod run;

pub use config::Pipeline;
pub use event::{Event, Observer};
pub use run::{RunOptions, RunReport, run};
