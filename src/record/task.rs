//! Questions put to people.

use serde::{Deserialize, Serialize};

use super::{PairId, TaskId};

/// What is asked: one labelling interface each (`schemas/label-studio/`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    /// Are these translations of each other? Yes, partly, no; what is wrong; corrections of either side.
    #[default]
    Translation,
    /// How near are they in meaning, 0 to 5 (STS)?
    Similarity,
    /// Which of two candidates translates the source better?
    Pairwise,
}

impl Interface {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Translation, Self::Similarity, Self::Pairwise];

    /// Its name in the store and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Translation => "translation",
            Self::Similarity => "similarity",
            Self::Pairwise => "pairwise",
        }
    }

    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interface| interface.name() == name)
    }
}

/// Why a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The program is least sure of the pair.
    Uncertain,
    /// Drawn by lot: what an honest estimate of the whole needs.
    Random,
    /// Drawn by lot from every source and every range of scores alike.
    Stratified,
    /// What the program goes by disagrees, or people do.
    Disagreement,
    /// The answer is known: a control item, which tells how careful people are.
    Gold,
    /// Somebody exported it by hand.
    Export,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Uncertain, Self::Random, Self::Stratified, Self::Disagreement, Self::Gold, Self::Export];

    /// Its name in the store and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uncertain => "uncertain",
            Self::Random => "random",
            Self::Stratified => "stratified",
            Self::Disagreement => "disagreement",
            Self::Gold => "gold",
            Self::Export => "export",
        }
    }

    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }
}

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// Hash of the interface, of what is asked about and of how often it was asked before.
    pub id: TaskId,
    /// What is asked.
    pub interface: Interface,
    /// The pair asked about; of two candidates, the first by score.
    pub pair: PairId,
    /// The second candidate of a pairwise question.
    pub other: Option<PairId>,
    /// Why it is asked.
    pub strategy: Strategy,
    /// The answer that is known, of a control item: a verdict, a similarity or a pair's id.
    pub control: Option<String>,
    /// The task as it leaves for Label Studio: `data` and `predictions`.
    pub body: serde_json::Value,
}
