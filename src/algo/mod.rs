//! Numerics apart from I/O: margins, alignment inside a pair of documents, one-to-one choice, calibration, near duplicates, what two
//! lists share. Pure.

pub mod align;
pub mod assign;
pub mod calibrate;
pub mod dawid_skene;
pub mod isotonic;
pub mod lcs;
pub mod margin;
pub mod minhash;
pub mod regression;
