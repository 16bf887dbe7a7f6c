//! What a fetched page says: its text as blocks, its title and date, its twins in other languages, and where it leads.
//!
//! ```text
//! bytes ─ charset ─▶ text ─┬ html ──▶ Extracted: title, date, author, tags, blocks, twins, images
//!                          │   ├ profile  the site's own selectors, tried first
//!                          │   └ generic  finds the body of a page that has no profile
//!                          │   └ agreement  how far the two come to the same text
//!                          │   └ examine    what each of the selectors finds
//!                          └ links ─▶ Link: what to crawl next
//! bytes ─ feeds ─▶ sitemaps and RSS/Atom items
//! bytes ─ pdf ────▶ Book: pages with their states, title, blocks; pictures of the pages that have none ─▶ ocr
//! ```
//!
//! Everything here is pure: no network, no files. Damaged and hostile input ends in less text, never in a panic, an
//! overflow of the stack or minutes of work.

pub mod agreement;
mod blocks;
pub mod charset;
mod credits;
mod dates;
mod dom;
pub mod examine;
pub mod feeds;
mod furniture;
mod generic;
pub mod html;
pub mod links;
mod measure;
mod metadata;
#[cfg(test)]
mod mutants;
mod names;
mod nesting;
pub mod ocr;
pub mod pdf;
pub mod profile;
pub mod tmx;
mod tree;
mod twins;
