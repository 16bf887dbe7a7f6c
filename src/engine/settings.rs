//! Settings as a pipeline hands them over: values by their type, so that the engine needs to know none of them.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};

/// Settings of a scope, or of the workspace: at most one value of each type.
#[derive(Clone, Default)]
pub struct Settings {
    values: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    folder: PathBuf,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("values", &self.values.len()).field("folder", &self.folder).finish()
    }
}

impl Settings {
    /// None yet. Paths in settings are relative to `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { values: HashMap::new(), folder: folder.into() }
    }

    /// With a value more; it takes the place of another of its type.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.values.insert(TypeId::of::<T>(), Arc::new(value));
        self
    }

    /// The value of a type.
    ///
    /// # Errors
    /// Kind `Bug`: the pipeline hands none over.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<&T> {
        self.find().ok_or_else(|| Error::bug(format!("the pipeline hands no {} over", type_name::<T>())))
    }

    /// The value of a type, if there is one.
    pub fn find<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.values.get(&TypeId::of::<T>())?.downcast_ref()
    }

    /// The folder that paths in settings are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
