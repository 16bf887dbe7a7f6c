//! What people said of pairs, and what that comes to.

use serde::{Deserialize, Serialize};

use super::{PairId, TaskId};

/// An answer of one person to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// The pair. It may be one that the workspace does not have, or no longer.
    pub pair: PairId,
    /// The question; `None`: the tool did not say, as for tasks that were made by hand.
    pub task: Option<TaskId>,
    /// Who judged, as the annotation tool names them.
    pub annotator: String,
    /// The tool's own id of the annotation: importing it twice changes nothing.
    pub external_id: String,
    /// The annotation's number in the tool; it stands in every export, where the id may be missing.
    pub remote: Option<i64>,
    /// Whether the annotator passed the question by.
    pub skipped: bool,
    /// `yes`, `partly` or `no`; `None` when the question was skipped, or another one.
    pub verdict: Option<String>,
    /// Problems ticked.
    pub problems: Vec<String>,
    /// Similarity 0 to 5 of an STS task.
    pub sts: Option<u8>,
    /// The candidate that was chosen of two: this pair, or the other one of the question.
    pub preferred: Option<PairId>,
    /// The source as corrected; `None` when it is as it was.
    pub source_fix: Option<String>,
    /// The target as corrected; `None` when it is as it was.
    pub target_fix: Option<String>,
    /// Seconds spent, if known.
    pub lead_time: Option<f64>,
    /// When it was last changed.
    pub updated_at: Option<jiff::Timestamp>,
    /// Whether the annotation is a gold answer set by the project's owner.
    pub ground_truth: bool,
}

#[cfg(test)]
impl Annotation {
    /// An annotation for tests that says nothing yet.
    pub(crate) fn blank(pair: PairId, annotator: &str, external_id: &str) -> Self {
        Self {
            pair,
            task: None,
            annotator: annotator.to_owned(),
            external_id: external_id.to_owned(),
            remote: None,
            skipped: false,
            verdict: None,
            problems: Vec::new(),
            sts: None,
            preferred: None,
            source_fix: None,
            target_fix: None,
            lead_time: None,
            updated_at: None,
            ground_truth: false,
        }
    }
}

/// The verdicts of a translation check, from right to wrong.
pub const VERDICTS: [&str; 3] = ["yes", "partly", "no"];

/// What all annotations of a pair come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adjudication {
    /// The pair.
    pub pair: PairId,
    /// `yes`, `partly` or `no`; `None`: people disagree and nothing tells who is right, or nobody was asked this.
    pub verdict: Option<String>,
    /// How sure the verdict is, 0 to 1: the share of votes for it, or its posterior probability.
    pub confidence: f64,
    /// Mean similarity, 0 to 5.
    pub sts: Option<f64>,
    /// Votes for `yes`, `partly` and `no`: the newest of each person.
    pub votes: [u32; 3],
    /// Whether a gold answer of the project's owner decided.
    pub gold: bool,
    /// The pair with the corrected texts, which stands for this one.
    pub corrected: Option<PairId>,
}

impl Adjudication {
    /// Whether people found the pair right; `None` when they found it partly right, or do not say.
    pub fn is_right(&self) -> Option<bool> {
        match self.verdict.as_deref()? {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }

    /// How many people gave a verdict.
    pub fn people(&self) -> u32 {
        self.votes.iter().sum()
    }
}
