//! What a run tells people: progress while it runs, a summary on the terminal or in the log when it ends, and a
//! self-contained HTML report to keep and to pass on.
//!
//! ```text
//! driver ─ stage, advance, failed_unit ─▶ progress ─▶ stderr
//! store ──▶ summary::Summary ─┬▶ terminal ─▶ text
//!                             └▶ html ─────▶ one file (chart and tables draw its parts, escape guards it)
//! ```
//!
//! [`summary::Summary`] is plain data which [`collect`] alone fills from the store, so everything that draws it is tested
//! from values written by hand.

pub mod alignment;
pub mod collect;
pub mod format;
pub mod html;
pub mod meter;
pub mod progress;
pub mod summary;
pub mod terminal;

mod agreement;
mod chart;
mod diagram;
mod escape;
mod tables;

#[cfg(test)]
mod sample;

pub use progress::Progress;
pub use summary::Summary;
