//! Measures of quality. Pure; each says its range and which way is better.

pub mod overlap;
pub mod pairs;
pub mod reliability;

pub use overlap::shingle_f1;
pub use pairs::{PairScores, pair_scores};
