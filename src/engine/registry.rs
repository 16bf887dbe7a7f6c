//! The list of stages.

use super::{Grain, Stage};
use crate::error::{Error, Result};

/// The stages of the program, in the order in which they run.
#[derive(Clone, Copy)]
pub struct Registry(&'static [&'static dyn Stage]);

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|stage| stage.name())).finish()
    }
}

impl Registry {
    /// A registry of stages, each after those whose output it uses.
    pub const fn new(stages: &'static [&'static dyn Stage]) -> Self {
        Self(stages)
    }

    /// All, in order.
    pub fn stages(self) -> &'static [&'static dyn Stage] {
        self.0
    }

    /// Their names, in order.
    pub fn names(self) -> Vec<&'static str> {
        self.0.iter().map(|stage| stage.name()).collect()
    }

    /// A stage by its name.
    pub fn find(self, name: &str) -> Option<&'static dyn Stage> {
        self.0.iter().copied().find(|stage| stage.name() == name)
    }

    /// Whether names are unique and each stage stands behind those whose output it uses.
    ///
    /// # Errors
    /// Kind `Bug`, naming both stages.
    pub fn check(self) -> Result<()> {
        for (place, stage) in self.0.iter().enumerate() {
            let before = &self.0[..place];
            if before.iter().any(|other| other.name() == stage.name()) {
                return Err(Error::bug(format!("two stages are called {}", stage.name())));
            }
            for wanted in stage.after() {
                let known = before.iter().find(|other| other.name() == *wanted);
                let known = known.ok_or_else(|| {
                    Error::bug(format!("the stage {} uses {wanted}, which does not stand before it", stage.name()))
                })?;
                if stage.grain() == Grain::Workspace && known.grain() == Grain::Scope {
                    return Err(Error::bug(format!(
                        "the stage {} runs once for all language pairs and uses {wanted}, which runs for each",
                        stage.name()
                    )));
                }
            }
        }
        Ok(())
    }

    /// The order of a run over `scopes` language pairs: stages of the workspace once; those of a scope, as far as they
    /// follow each other, all for the first pair, then all for the second. A number is a scope's place.
    pub fn steps(self, scopes: usize) -> Vec<(&'static dyn Stage, Option<usize>)> {
        let mut steps = Vec::new();
        for group in self.0.chunk_by(|one, next| one.grain() == next.grain()) {
            if group.first().is_some_and(|stage| stage.grain() == Grain::Workspace) {
                steps.extend(group.iter().map(|stage| (*stage, None)));
            } else {
                steps.extend((0..scopes).flat_map(|scope| group.iter().map(move |stage| (*stage, Some(scope)))));
            }
        }
        steps
    }
}
