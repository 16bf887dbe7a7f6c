//! What walks need, lent to threads: as many as ever walk at once.

use std::sync::{Mutex, PoisonError};

use super::graph::Walk;

/// Walks that wait to be used again.
#[derive(Debug, Default)]
pub(super) struct Walks(Mutex<Vec<Walk>>);

impl Walks {
    /// Lends one.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Walk) -> T) -> T {
        let mut walk = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let result = work(&mut walk);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(walk);
        result
    }
}
