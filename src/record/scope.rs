//! A language pair that a pipeline works on, and its name in the workspace.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Language;

/// A language pair: what matching and all stages after it run once for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Source language.
    pub source: Language,
    /// Target language.
    pub target: Language,
}

impl Scope {
    /// The name under which the store keeps what belongs to no single pair: pages, documents, sentences, vectors.
    pub const WORKSPACE: &'static str = "";

    /// Its name: both codes, such as `ru-tk`. Names the scope in the store, in settings and in paths.
    pub fn name(&self) -> String {
        format!("{}-{}", self.source.code(), self.target.code())
    }

    /// Both languages, source first.
    pub fn both(self) -> [Language; 2] {
        [self.source, self.target]
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_named_after_both_codes() {
        let scope = Scope { source: Language::UZBEK_CYRILLIC, target: Language::TURKMEN };
        assert_eq!(scope.name(), "uz-Cyrl-tk");
        assert_eq!(scope.to_string(), scope.name());
    }
}
