//! Text as text: one spelling, one alphabet, sentences, languages, numbers. Pure functions, no I/O.
//!
//! * [`normalise`](normalise()) is what every text of the store has gone through; [`fold`] is what duplicates share.
//! * [`to_latin`] and [`respell`] bring the two sides of a pair to one alphabet, for matching;
//!   [`turkmen_cyrillic_to_latin`] and [`turkmen_latin_to_cyrillic`] are the official alphabets, for reading.
//! * [`split`](sentences::split) finds the sentences of a block, [`identify`] the language of a text.
//! * [`numbers`](numbers()) and [`disagreement`] compare the numbers that two sentences name; [`names`] does so with
//!   names.
//! * [`copies`], [`repetition`] and [`signs`] measure what marks a pair as no translation, or a text as none.

mod abbreviations;
pub mod confusables;
pub mod copies;
pub mod dedup;
pub mod file_pattern;
pub mod json;
pub mod labels;
pub mod language;
pub mod names;
pub mod normalise;
pub mod numbers;
pub mod printable;
mod profiles;
mod prose;
pub mod repetition;
pub mod sentences;
pub mod signs;
pub mod transliterate;
pub mod url_pattern;

pub use language::{Guess, identify};
pub use normalise::{fold, normalise};
pub use numbers::{disagreement, numbers};
pub use transliterate::{respell, skeleton, to_latin, turkmen_cyrillic_to_latin, turkmen_latin_to_cyrillic};
