//! `kopri` (Turkmen *köpri*, "bridge") turns the bilingual web and bilingual schoolbooks of a low-resource language into
//! a curated parallel corpus.
//!
//! ```text
//! sites ─ crawl ─▶ Page ─┐
//!                        ├ extract ─▶ Document ─ segment ─▶ Sentence ─ embed ─▶ Vectors
//! books ─────────────────┘     │                               │                   │
//!                              └─ match documents ─▶ DocumentPair ─ align ─▶ Pair ◀┴─ mine
//!                                                                             │
//!                        annotate (Label Studio) ─▶ adjudicate ─▶ dataset    ├─▶ filter ─▶ verdicts ─▶ export
//!                               └◀───────────────────────────────────────────┘
//! ```
//!
//! Records flow and stages are functions: a stage lists its units and turns one unit into a commit; only the
//! driver writes, a unit's records and its `done` in one transaction. So a run may be killed at any instant, and the
//! next one goes on where it stopped.
//!
//! Layers, each importing only from those before it (a test holds it): [`error`], [`files`], [`record`] · [`text`],
//! [`algo`], [`metric`] · [`index`], [`model`], [`net`], [`extract`], [`store`] · [`engine`] · [`stage`] · [`pipeline`] ·
//! [`report`], [`cli`].

pub mod error;
pub mod files;
pub mod record;

pub mod text;

pub mod algo;
pub mod metric;

pub mod extract;
pub mod index;
pub mod model;
pub mod net;
pub mod store;

pub mod engine;

pub mod stage;

pub mod pipeline;

pub mod cli;
pub mod report;
