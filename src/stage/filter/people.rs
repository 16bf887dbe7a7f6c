//! What people said of a pair, and what most of them say.

use std::collections::HashMap;

use crate::record::Annotation;

/// The newest judgement of each annotator; skipped tasks say nothing.
pub(super) fn latest(annotations: &[Annotation]) -> Vec<&Annotation> {
    let mut by_annotator: HashMap<&str, &Annotation> = HashMap::new();
    for annotation in annotations.iter().filter(|annotation| annotation.verdict.is_some()) {
        let newest = by_annotator.entry(&annotation.annotator).or_insert(annotation);
        if annotation.updated_at >= newest.updated_at {
            *newest = annotation;
        }
    }
    by_annotator.into_values().collect()
}

pub(super) fn count(annotations: &[Annotation], verdict: &str) -> usize {
    latest(annotations).iter().filter(|annotation| annotation.verdict.as_deref() == Some(verdict)).count()
}

/// What most annotators say: `yes` is true, `no` is false; `partly` counts for neither, and a tie decides nothing. A
/// gold answer of the project's owner decides alone.
pub fn majority(annotations: &[Annotation]) -> Option<bool> {
    let gold = latest(annotations).into_iter().find(|annotation| annotation.ground_truth);
    if let Some(verdict) = gold.and_then(|annotation| annotation.verdict.as_deref()) {
        return match verdict {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
    }
    let (yes, no) = (count(annotations, "yes"), count(annotations, "no"));
    match yes.cmp(&no) {
        std::cmp::Ordering::Greater => Some(true),
        std::cmp::Ordering::Less => Some(false),
        std::cmp::Ordering::Equal => None,
    }
}

/// What most annotators say, where `partly` may count as `yes`.
pub fn opinion(annotations: &[Annotation], partly_is_right: bool) -> Option<bool> {
    if !partly_is_right {
        return majority(annotations);
    }
    let mut read = annotations.to_vec();
    for verdict in read.iter_mut().filter_map(|annotation| annotation.verdict.as_mut()) {
        if verdict == "partly" {
            "yes".clone_into(verdict);
        }
    }
    majority(&read)
}
