//! Numerics apart from I/O: margins, alignment inside a pair of documents, one-to-one choice, calibration. Pure.

pub mod align;
pub mod assign;
pub mod calibrate;
pub mod margin;
