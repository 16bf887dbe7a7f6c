//! store

pub mod warc;
