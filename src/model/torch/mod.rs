//! Encoders on libtorch: checkpoints as sentence-transformers publishes them, computed on the CPU in bf16 or f32.
//!
//! ```text
//! texts ─ tokenizer ─▶ ids ─ batch ─▶ [N] ─ bert ─▶ [N, d] ─ pooling ─▶ [B, dim] ─▶ unit rows, in input order
//! ```
//!
//! Only the fallible `f_*` methods of tch are used: its others panic, and a wrong checkpoint is no defect of ours.

pub mod batch;
pub mod bert;
pub mod compute;
pub mod encoder;
pub mod layers;
pub mod pooling;
pub mod weights;

pub use compute::{Device, Dtype};
pub use encoder::{Options, TorchEncoder};

use crate::error::{Error, ErrorKind};

impl From<tch::TchError> for Error {
    /// What libtorch reports is the model's failure; callers add what they were computing.
    fn from(error: tch::TchError) -> Self {
        Self::with_source(ErrorKind::Model, "libtorch failed", error)
    }
}
