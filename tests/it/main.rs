//! The one integration binary. Real SQLite files, a real HTTP server on loopback, no network, no model.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod agreement;
mod align;
mod annotations;
mod architecture;
mod archive;
mod books;
mod crawl;
mod demo;
mod engine;
mod example_stage;
mod harness;
mod imports;
mod incremental;
mod killed;
mod labelstudio;
mod labelstudio_faults;
mod languages;
mod mine;
mod models;
mod nights;
mod pages;
mod prune;
mod schemas;
mod seeds;
mod server;
mod site;
mod text_pairs;
mod vectorless;
