//! The one integration binary. Real SQLite files, a real HTTP server on loopback, no network, no model.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod agreement;
mod align;
mod annotations;
mod architecture;
mod books;
mod crawl;
mod demo;
mod harness;
mod incremental;
mod killed;
mod labelstudio;
mod mine;
mod models;
mod pages;
mod schemas;
mod server;
mod site;
