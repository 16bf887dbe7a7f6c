//! Encoders on libtorch: checkpoints as sentence-transformers publishes them, computed in f32 on the CPU.
//!
//! ```text
//! texts ─ tokenizer ─▶ ids ─ batch ─▶ [B, T] ─ bert ─▶ [B, T, d] ─ pooling ─▶ [B, dim] ─▶ unit rows, in input order
//! ```
//!
//! Only the fallible `f_*` methods of tch are used: its others panic, and a wrong checkpoint is no defect of ours.

pub mod batch;
pub mod bert;
pub mod diagnose;
pub mod encoder;
pub mod layers;
pub mod lora;
pub mod pooling;
pub mod save;
pub mod weights;

pub use encoder::{Device, Options, TorchEncoder};

use crate::error::{Error, ErrorKind};

impl From<tch::TchError> for Error {
    /// What libtorch reports is the model's failure; callers add what they were computing.
    fn from(error: tch::TchError) -> Self {
        Self::with_source(ErrorKind::Model, "libtorch failed", error)
    }
}
