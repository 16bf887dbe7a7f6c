//! Measures of quality. Pure; each says its range and which way is better.

pub mod pairs;

pub use pairs::{PairScores, pair_scores};
