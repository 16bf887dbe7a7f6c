//! What a fetched page says: its text as blocks, its title and date, its twins in other languages, and where it leads.
//!
//! ```text
//! bytes ─ charset ─▶ text ─┬ html ──▶ Extracted: title, date, blocks, twins, images
//!                          │   ├ profile  the site's own selectors, tried first
//!                          │   └ generic  finds the body of a page that has no profile
//!                          └ links ─▶ Link: what to crawl next
//! bytes ─ feeds ─▶ sitemaps and RSS/Atom items
//! bytes ─ pdf ────▶ Book: pages with their states, title, blocks
//! ```
//!
//! Everything here is pure: no network, no files. Damaged and hostile input ends in less text, never in a panic, an
//! overflow of the stack or minutes of work.

mod blocks;
pub mod charset;
mod dates;
mod dom;
pub mod feeds;
mod furniture;
mod generic;
pub mod html;
pub mod links;
mod measure;
mod metadata;
mod names;
mod nesting;
pub mod pdf;
pub mod profile;
pub mod tmx;
mod twins;
