//! Measures of quality. Pure; each says its range and which way is better.

pub mod agreement;
pub mod beads;
pub mod coverage;
pub mod mining;
pub mod overlap;
pub mod pairs;
pub mod reliability;

pub use beads::{BeadScores, bead_scores};
pub use overlap::shingle_f1;
pub use pairs::{PairScores, pair_scores};
