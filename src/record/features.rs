//! What was measured of a pair's texts, apart from what was decided on it.

use serde::{Deserialize, Serialize};

use super::Language;

/// What the filter's rules and the calibration look at. All of it follows from the two texts and their languages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// The source side alone.
    pub source: SideFeatures,
    /// The target side alone.
    pub target: SideFeatures,
    /// Whether both sides are the same text but for case and punctuation.
    pub identical: bool,
    /// How many times longer one side is, counted in characters with 15 added to each; 1 and above.
    pub length_ratio: f32,
    /// Numbers that one side alone names, sorted.
    pub numbers: Vec<String>,
    /// The share of the shorter side that stands on the other untranslated, 0 to 1; `None`: too little text to tell.
    pub copied: Option<f32>,
    /// Names of both sides, each counted once a side.
    pub names: u32,
    /// Of them, those that the other side lacks.
    pub names_missing: Vec<String>,
}

/// What was measured of one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideFeatures {
    /// Characters.
    pub chars: usize,
    /// Characters of the longest word.
    pub longest_word: usize,
    /// The share of letters among the visible characters, 0 to 1; `None` for a text of nothing.
    pub letters: Option<f32>,
    /// The share of its letters that belong to the script of its language, 0 to 1; `None`: it has no letters.
    pub script: Option<f32>,
    /// Whether most of its letters are of another script than its language has, and which.
    pub other_script: Option<String>,
    /// What language it is in by its words, and how sure that is, 0 to 1; `None`: nothing can be said.
    pub language: Option<(Language, f32)>,
    /// Whether it ends as a question.
    pub question: bool,
    /// How often its most repeated phrase follows itself without a break, and the phrase; `None`: no phrase does.
    pub repetition: Option<(usize, String)>,
}
