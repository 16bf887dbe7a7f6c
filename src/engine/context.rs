//! What a stage may look at: the workspace, read-only, from any thread; its settings; and resources that stages share.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::key::{StageKey, stage_key};
use super::model::{KnownModel, Model, OpenEncoder};
use super::shared::{Shared, lock};
use super::{Grain, Listing, Registry, Settings, Stage};
use crate::error::{Error, Result};
use crate::files::FileHashes;
use crate::model::ModelId;
use crate::record::{Language, Scope};
use crate::store::Store;
use crate::store::open::TableLog;

/// The stages, their settings and the workspace that they read.
#[derive(Debug)]
pub struct Engine {
    registry: Registry,
    settings: Settings,
    scopes: Vec<(Scope, Settings)>,
    languages: Vec<Language>,
    readers: Readers,
    shared: Shared,
}

/// Hashes of files, as a shared resource.
#[derive(Debug)]
struct Hashes(Mutex<FileHashes>);

impl Engine {
    /// Stages over a workspace that is there. `settings` are those of the workspace; each scope has its own.
    ///
    /// # Errors
    /// Kind `Bug`: the registry is out of order.
    pub fn new(registry: Registry, folder: &Path, settings: Settings, scopes: Vec<(Scope, Settings)>) -> Result<Self> {
        registry.check()?;
        let mut languages: Vec<Language> = scopes.iter().flat_map(|(scope, _)| scope.both()).collect();
        languages.sort();
        languages.dedup();
        let readers = Readers { folder: folder.to_path_buf(), idle: Mutex::default(), log: None };
        Ok(Self { registry, settings, scopes, languages, readers, shared: Shared::default() })
    }

    /// With every table noted that stages read. They then run one after the other.
    #[must_use]
    pub fn recording(mut self, log: TableLog) -> Self {
        self.readers.log = Some(log);
        self
    }

    /// The stages.
    pub fn registry(&self) -> Registry {
        self.registry
    }

    /// The language pairs, in the pipeline's order.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = Scope> + '_ {
        self.scopes.iter().map(|(scope, _)| *scope)
    }

    /// What stages share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Names of tables read so far, if they are noted, and forgets them.
    pub(super) fn take_log(&self) -> Vec<String> {
        let log = self.readers.log.as_ref().map(|log| std::mem::take(&mut *lock(log)));
        log.into_iter().flatten().collect()
    }

    /// The context of a stage in a scope, by the scope's place.
    ///
    /// # Errors
    /// Kind `Model`, when the encoder is none; kind `Store`.
    pub fn context(&self, stage: &'static dyn Stage, scope: Option<usize>) -> Result<Ctx<'_>> {
        let place = scope.map(|place| self.scopes.get(place).ok_or_else(|| Error::bug("no such scope"))).transpose()?;
        let settings = place.map_or(&self.settings, |(_, settings)| settings);
        let mut ctx = Ctx {
            engine: self,
            stage,
            scope: place.map(|(scope, _)| *scope),
            settings,
            key: StageKey { key: String::new(), parts: serde_json::Value::Null },
        };
        ctx.key = ctx.key_of(stage.name())?;
        Ok(ctx)
    }

    /// Keeps the hashes of files that were learned.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn save_hashes(&self) -> Result<()> {
        match self.shared.find::<Hashes>("") {
            Some(hashes) => lock(&hashes.0).save(),
            None => Ok(()),
        }
    }
}

/// Connections that only read, one for each thread that is at work.
#[derive(Debug)]
struct Readers {
    folder: PathBuf,
    idle: Mutex<Vec<Store>>,
    log: Option<TableLog>,
}

/// A connection that only reads, for as long as it is held.
#[derive(Debug)]
pub struct Reader<'a> {
    store: Option<Store>,
    readers: &'a Readers,
}

impl Deref for Reader<'_> {
    type Target = Store;

    #[expect(clippy::expect_used, reason = "it is taken out when the reader is dropped, and at no other time")]
    fn deref(&self) -> &Store {
        self.store.as_ref().expect("a reader holds its connection until it is dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        lock(&self.readers.idle).extend(self.store.take());
    }
}

/// What a stage may look at while it lists units or runs one.
#[derive(Debug)]
pub struct Ctx<'a> {
    engine: &'a Engine,
    stage: &'static dyn Stage,
    scope: Option<Scope>,
    settings: &'a Settings,
    key: StageKey,
}

impl std::fmt::Debug for dyn Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl<'a> Ctx<'a> {
    /// A connection to the workspace that only reads, for this thread. It sees what was committed when each of its
    /// queries begins; nothing is committed while a stage lists or runs.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn store(&self) -> Result<Reader<'a>> {
        let readers = &self.engine.readers;
        let idle = lock(&readers.idle).pop();
        let store = match idle {
            Some(store) => store,
            None => Store::open_reader(&readers.folder, readers.log.clone())?,
        };
        Ok(Reader { store: Some(store), readers })
    }

    /// The store, the languages and the key in one, for functions that are no stage's alone.
    ///
    /// # Errors
    /// Kind `Bug`: the stage belongs to no language pair.
    pub fn look<'s>(&'s self, store: &'s Store) -> Result<Look<'s>> {
        Ok(Look { store, languages: self.pair()?, key: &self.key.key })
    }

    /// The workspace's folder.
    pub fn folder(&self) -> &'a Path {
        &self.engine.readers.folder
    }

    /// The stage's settings, and those of others, by type.
    ///
    /// # Errors
    /// Kind `Bug`: the pipeline hands none over.
    pub fn settings<T: Send + Sync + 'static>(&self) -> Result<&'a T> {
        self.settings.get()
    }

    /// The folder that paths in settings are relative to.
    pub fn settings_folder(&self) -> &'a Path {
        self.settings.folder()
    }

    /// The language pair.
    ///
    /// # Errors
    /// Kind `Bug`: the stage runs once for all.
    pub fn pair(&self) -> Result<Scope> {
        self.scope.ok_or_else(|| Error::bug(format!("the stage {} belongs to no language pair", self.stage.name())))
    }

    /// The scope's name in the store: empty for a stage that runs once for all language pairs.
    pub fn scope_name(&self) -> String {
        self.scope.map_or_else(|| Scope::WORKSPACE.to_owned(), |scope| scope.name())
    }

    /// All languages of all pairs, sorted.
    pub fn languages(&self) -> &'a [Language] {
        &self.engine.languages
    }

    /// How many language pairs the pipeline has. With one, files need not tell them apart.
    pub fn pair_count(&self) -> usize {
        self.engine.scopes.len()
    }

    /// The stage's key.
    pub fn key(&self) -> &str {
        &self.key.key
    }

    /// The key and what was hashed into it.
    pub(super) fn stage_key(&self) -> &StageKey {
        &self.key
    }

    /// The key of a stage in this scope.
    ///
    /// # Errors
    /// Kind `Model`, when the encoder is none; kind `Bug`: there is no such stage.
    pub fn key_of(&self, stage: &str) -> Result<StageKey> {
        let stage = self.find(stage)?;
        let model = if stage.uses_model() { self.model()? } else { None };
        stage_key(stage, self.settings, self.scope.filter(|_| stage.grain() == Grain::Scope), model.as_ref())
    }

    fn find(&self, stage: &str) -> Result<&'static dyn Stage> {
        self.engine.registry.find(stage).ok_or_else(|| Error::bug(format!("there is no stage {stage:?}")))
    }

    fn scope_of(&self, stage: &str) -> Result<String> {
        Ok(match self.find(stage)?.grain() {
            Grain::Workspace => Scope::WORKSPACE.to_owned(),
            Grain::Scope => self.scope_name(),
        })
    }

    /// One fingerprint over the outputs of all units of a stage, in this scope.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn stage_output(&self, stage: &str) -> Result<String> {
        self.store()?.stage_output(&self.scope_of(stage)?, stage)
    }

    /// The output of a unit when it last succeeded.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn unit_output(&self, stage: &str, unit: &str) -> Result<Option<String>> {
        self.store()?.unit_output(&self.scope_of(stage)?, stage, unit)
    }

    /// The encoder's id, known without opening it. `None`: it is fitted on texts, and there are none yet.
    ///
    /// # Errors
    /// Kind `Model`.
    pub fn model(&self) -> Result<Option<ModelId>> {
        let Some(Model(source)) = self.engine.settings.find::<Model>() else { return Ok(None) };
        let hashes = self.hashes()?;
        let known = self.engine.shared.get("", || {
            let store = self.store()?;
            Ok(KnownModel(source.id(&store, &mut lock(&hashes.0))?))
        })?;
        Ok(known.0.clone())
    }

    /// The encoder, opened when it is first asked for.
    ///
    /// # Errors
    /// Kind `Model`.
    pub fn encoder(&self) -> Result<Arc<OpenEncoder>> {
        let Model(source) = self.engine.settings.get::<Model>()?;
        self.engine.shared.get("", || Ok(OpenEncoder(Mutex::new(source.open(&*self.store()?)?))))
    }

    /// What stages share.
    pub fn shared(&self) -> &'a Shared {
        &self.engine.shared
    }

    /// The hash of a file's bytes, kept from run to run by the file's size and time of change.
    ///
    /// # Errors
    /// Kind `Input`, with the path.
    pub fn file_hash(&self, path: &Path) -> Result<String> {
        lock(&self.hashes()?.0).of(path)
    }

    fn hashes(&self) -> Result<Arc<Hashes>> {
        let path = self.folder().join("hashes.json");
        self.engine.shared.get("", || Ok(Hashes(Mutex::new(FileHashes::open(&path)))))
    }

    /// The units of the stage. A panic is an error of the stage.
    ///
    /// # Errors
    /// What keeps the stage from working.
    pub fn list(&self) -> Result<Listing> {
        super::driver::guarded(|| self.stage.list(self)).map_err(|error| {
            if error.kind() == crate::error::ErrorKind::Interrupted {
                return error;
            }
            error.while_doing(format!("listing the units of {}", self.label()))
        })
    }

    /// The stage, and the language pair where the pipeline has several: `align ru-tk`.
    pub fn label(&self) -> String {
        match self.scope.filter(|_| self.engine.scopes.len() > 1) {
            Some(scope) => format!("{} {scope}", self.stage.name()),
            None => self.stage.name().to_owned(),
        }
    }
}

/// A workspace, seen from one language pair.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The store, for reading.
    pub store: &'a Store,
    /// The language pair.
    pub languages: Scope,
    /// The stage's key; empty outside a stage.
    pub key: &'a str,
}

impl Look<'_> {
    /// The scope's name in the store.
    pub fn scope(&self) -> String {
        self.languages.name()
    }
}
