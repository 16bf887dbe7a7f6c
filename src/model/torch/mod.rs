//! Encoders and translators on libtorch: checkpoints as sentence-transformers and transformers publish them, computed
//! on the CPU in bf16, f32 or 8-bit integers, or on GPUs.
//!
//! ```text
//! texts ─ tokenizer ─▶ ids ─ batch ─▶ [N] ─ network ─▶ [N, d] ─ pooling ─▶ [B, dim] ─▶ unit rows, in input order
//!                                             (BERT family, M2M100 / NLLB, T5)
//! texts ─ tokenizer ─▶ ids ─ batch ─▶ [N] ─ M2M100's encoder ─▶ [B, T, d] ─ decoder, beam search ─▶ ids ─▶ texts
//! ```
//!
//! Only the fallible `f_*` methods of tch are used: its others panic, and a wrong checkpoint is no defect of ours.

pub mod attention;
pub mod batch;
pub mod bert;
pub mod compute;
pub mod config;
mod crew;
pub mod cuda;
pub mod decoder;
pub mod diagnose;
pub mod encoder;
pub mod generate;
pub mod int8;
pub mod languages;
pub mod layers;
pub mod lora;
pub mod m2m100;
pub mod nearest;
pub mod network;
pub mod pooling;
pub mod products;
pub mod save;
pub mod t5;
mod texts;
pub mod translator;
pub mod weights;

pub use compute::{Device, Dtype};
pub use encoder::{Options, TorchEncoder};
pub use translator::{NllbTranslator, TranslatorOptions};

use crate::error::{Error, ErrorKind};

impl From<tch::TchError> for Error {
    /// What libtorch reports is the model's failure; callers add what they were computing.
    fn from(error: tch::TchError) -> Self {
        Self::with_source(ErrorKind::Model, "libtorch failed", error)
    }
}
