//! The encoder of a pipeline, as the engine knows it: a name before it is opened, and a place once it is.

use std::sync::{Arc, Mutex, MutexGuard};

use super::shared::lock;
use crate::error::Result;
use crate::files::FileHashes;
use crate::model::{Encoder, ModelId};
use crate::store::Store;

/// Where the encoder comes from.
pub trait ModelSource: Send + Sync {
    /// What its vectors depend on, known without opening its weights. `None`: it is fitted on texts, and there are none.
    ///
    /// # Errors
    /// Kind `Model`.
    fn id(&self, store: &Store, hashes: &mut FileHashes) -> Result<Option<ModelId>>;

    /// Opens it.
    ///
    /// # Errors
    /// Kind `Model`.
    fn open(&self, store: &Store) -> Result<Box<dyn Encoder>>;
}

/// A model source among the settings.
#[derive(Clone)]
pub struct Model(pub Arc<dyn ModelSource>);

/// The id of the encoder, once it is known.
#[derive(Debug)]
pub struct KnownModel(pub Option<ModelId>);

/// An open encoder. A network computes on all cores by itself, so one user at a time is enough.
pub struct OpenEncoder(pub(super) Mutex<Box<dyn Encoder>>);

impl OpenEncoder {
    /// The encoder, for one user.
    pub fn lock(&self) -> MutexGuard<'_, Box<dyn Encoder>> {
        lock(&self.0)
    }
}

impl std::fmt::Debug for OpenEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenEncoder")
    }
}
