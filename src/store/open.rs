//! Opening a workspace: settings, the lock, migrations.

use std::collections::BTreeSet;
use std::fs::TryLockError;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::Store;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;

/// Numbered migrations; `user_version` counts those applied.
const MIGRATIONS: [&str; 1] = [include_str!("../../schemas/0001_workspace.sql")];

/// Marks the file as ours: "kopr" in ASCII.
const APPLICATION_ID: i32 = 0x6b6f_7072;

/// What a caller wants to do with the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look only; works while a run is writing.
    Read,
    /// Write: one process at a time. Makes the workspace if there is none.
    Write,
}

impl Store {
    /// Opens the workspace in `folder`.
    ///
    /// # Errors
    /// Kind `Store`: another run holds the lock, the database belongs to another program or to a newer version, or
    /// is damaged (it is never deleted: the message says how to rescue it). Kind `Usage` when reading and there is none.
    pub fn open(folder: &Path, access: Access) -> Result<Self> {
        let path = folder.join("kopri.db");
        let lock = match access {
            Access::Read if !path.exists() => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("there is no workspace in {} yet: `kopri run PIPELINE` makes it", folder.display()),
                ));
            }
            Access::Read => None,
            Access::Write => {
                files::create_folder(folder)?;
                Some(lock(folder)?)
            }
        };
        let mut connection =
            Connection::open(&path).context(ErrorKind::Store, || format!("opening {}", path.display()))?;
        prepare(&connection, access).context(ErrorKind::Store, || format!("preparing {}", path.display()))?;
        if access == Access::Write {
            migrate(&mut connection, &path)?;
        } else {
            refuse_old(refuse_foreign(&connection, &path)?, &path)?;
        }
        Ok(Self { connection, folder: folder.to_path_buf(), _lock: lock })
    }
}

impl Store {
    /// Opens a connection that only reads, for one of many threads: with a small cache of pages. `log` takes down the
    /// name of every table that a statement reads; statements are then prepared anew each time.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_reader(folder: &Path, log: Option<TableLog>) -> Result<Self> {
        let mut store = Self::open(folder, Access::Read)?;
        let doing = || format!("preparing a reader of {}", folder.display());
        store.connection.pragma_update(None, "cache_size", -16_000).context(ErrorKind::Store, doing)?;
        if let Some(log) = log {
            store.connection.set_prepared_statement_cache_capacity(0);
            let record = move |context: rusqlite::hooks::AuthContext<'_>| {
                if let rusqlite::hooks::AuthAction::Read { table_name, .. } = context.action {
                    log.lock().unwrap_or_else(PoisonError::into_inner).insert(table_name.to_owned());
                }
                rusqlite::hooks::Authorization::Allow
            };
            store.connection.authorizer(Some(record)).context(ErrorKind::Store, doing)?;
        }
        Ok(store)
    }
}

/// Names of the tables that readers have read.
pub type TableLog = Arc<Mutex<BTreeSet<String>>>;

/// The lock dies with the process, so a killed run never blocks the next.
fn lock(folder: &Path) -> Result<std::fs::File> {
    let path = folder.join(LOCK);
    // Opening a FIFO would wait for its other end.
    if std::fs::metadata(&path).is_ok_and(|data| !data.is_file()) {
        return Err(Error::new(
            ErrorKind::Store,
            format!("{} is no regular file, so it cannot be the workspace's lock: remove it", path.display()),
        ));
    }
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .context(ErrorKind::Store, || format!("opening {}", path.display()))?;
    // A run that is just ending, or a child that it is just starting, may hold the lock a moment longer.
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => {
                return Err(Error::with_source(ErrorKind::Store, format!("locking {}", path.display()), error));
            }
        }
    }
    Err(Error::new(
        ErrorKind::Store,
        format!("another run is writing to {}: wait for it, or stop it", folder.display()),
    ))
}

/// Whether some process holds the workspace's lock, and so writes to it.
///
/// # Errors
/// Kind `Store`, with the path.
pub fn is_being_written(folder: &Path) -> Result<bool> {
    let path = folder.join(LOCK);
    // Without a regular file of that name nobody can hold it.
    if !path.is_file() {
        return Ok(false);
    }
    let file = std::fs::File::open(&path).context(ErrorKind::Store, || format!("opening {}", path.display()))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => {
            Err(Error::with_source(ErrorKind::Store, format!("asking for the lock {}", path.display()), error))
        }
    }
}

/// The lock's file inside the workspace.
const LOCK: &str = "lock";
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Settings of the connection; they must be made outside a transaction.
fn prepare(connection: &Connection, access: Access) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // 64 MB of pages: the largest index that a stage walks stays in memory.
    connection.pragma_update(None, "cache_size", -64_000)?;
    connection.set_prepared_statement_cache_capacity(128);
    match access {
        Access::Write => {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // A power cut may lose the last transactions, never tear one: the units are then simply done again, and what
            // the page archive got meanwhile is indexed again.
            connection.pragma_update(None, "synchronous", "NORMAL")
        }
        Access::Read => connection.pragma_update(None, "query_only", true),
    }
}

fn refuse_foreign(connection: &Connection, path: &Path) -> Result<i64> {
    let doing = || format!("reading {}", path.display());
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let version = pragma("user_version").map_err(|error| damaged(path, error))?;
    let application = pragma("application_id").context(ErrorKind::Store, doing)?;
    if version > 0 && application != i64::from(APPLICATION_ID) {
        return Err(Error::new(ErrorKind::Store, format!("{} belongs to another program", path.display())));
    }
    if version > MIGRATIONS.len() as i64 {
        return Err(Error::new(
            ErrorKind::Store,
            format!(
                "{} has schema version {version}, this kopri {} reads up to {}: use the newer kopri that wrote it",
                path.display(),
                env!("CARGO_PKG_VERSION"),
                MIGRATIONS.len()
            ),
        ));
    }
    Ok(version)
}

/// Who only looks must not change the file, and would look for columns that are not there yet.
fn refuse_old(version: i64, path: &Path) -> Result<()> {
    if version == MIGRATIONS.len() as i64 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Store,
        format!(
            "{} was last written by an older kopri (schema version {version}, now {}): the next `kopri run` brings it up to date",
            path.display(),
            MIGRATIONS.len()
        ),
    ))
}

fn damaged(path: &Path, error: rusqlite::Error) -> Error {
    Error::with_source(
        ErrorKind::Store,
        format!(
            "{} cannot be read as a database. It is left as it is; try `sqlite3 {0} .recover`, or a backup",
            path.display()
        ),
        error,
    )
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let version = refuse_foreign(connection, path)?;
    let doing = || format!("migrating {}", path.display());
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(|error| damaged(path, error))?;
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(usize::try_from(version).unwrap_or(0)) {
        transaction
            .execute_batch(sql)
            .context(ErrorKind::Store, || format!("migration {} of {}", index + 1, path.display()))?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).context(ErrorKind::Store, doing)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).context(ErrorKind::Store, doing)?;
    transaction.commit().context(ErrorKind::Store, doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_workspace_has_the_newest_schema_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), Access::Write).unwrap());
        let store = Store::open(folder.path(), Access::Read).unwrap();
        assert_eq!(store.number("", "SELECT count(*) FROM unit", []).unwrap(), 0);
    }

    #[test]
    fn two_writers_are_refused_and_a_reader_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path(), Access::Write).unwrap();
        let error = Store::open(folder.path(), Access::Write).unwrap_err();
        assert!(error.to_string().contains("another run"), "{error}");
        Store::open(folder.path(), Access::Read).unwrap();
    }

    #[test]
    fn who_looks_knows_whether_somebody_writes() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_being_written(folder.path()).unwrap(), "there is no lock yet");
        let writer = Store::open(folder.path(), Access::Write).unwrap();
        assert!(is_being_written(folder.path()).unwrap());
        drop(writer);
        assert!(!is_being_written(folder.path()).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_locks_place_is_an_error_and_no_wait() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join(LOCK);
        assert!(std::process::Command::new("mkfifo").arg(&lock).status().unwrap().success());
        let error = Store::open(folder.path(), Access::Write).unwrap_err();
        assert!(error.kind() == ErrorKind::Store && error.to_string().contains("lock is no regular file"), "{error}");
        assert!(!is_being_written(folder.path()).unwrap());
    }

    #[test]
    fn a_recording_reader_names_every_table_that_it_reads_each_time() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), Access::Write).unwrap());
        let log = TableLog::default();
        let store = Store::open_reader(folder.path(), Some(Arc::clone(&log))).unwrap();
        for _ in 0..2 {
            log.lock().unwrap().clear();
            store.verdict_counts("ru-tk").unwrap();
            store.producers("ru-tk").unwrap();
            let read = log.lock().unwrap().clone();
            assert!(read.contains("verdict") && read.contains("producer"), "views are seen through: {read:?}");
        }
    }

    #[test]
    fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), Access::Write).unwrap());
        let store = Store::open(folder.path(), Access::Read).unwrap();
        assert!(store.connection.execute("DELETE FROM unit", []).is_err());
    }

    #[test]
    fn newer_foreign_and_damaged_databases_are_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), Access::Write).unwrap());
        let path = folder.path().join("kopri.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = Store::open(folder.path(), Access::Write).unwrap_err();
        assert!(error.to_string().contains("schema version 99"), "{error}");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();
        Connection::open(&path).unwrap().pragma_update(None, "application_id", 7).unwrap();
        assert!(Store::open(folder.path(), Access::Write).unwrap_err().to_string().contains("another program"));

        let other = tempfile::tempdir().unwrap();
        let path = other.path().join("kopri.db");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        let error = Store::open(other.path(), Access::Write).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; 8192]);
    }

    #[test]
    fn reading_a_workspace_that_is_not_there_says_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Store::open(folder.path(), Access::Read).unwrap_err().kind(), ErrorKind::Usage);
    }
}
