//! The one error type: what kind it is (and so the exit code), what was being done, and why it failed.

use std::fmt;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller or a shell script needs to tell cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The command line is wrong.
    Usage,
    /// The pipeline file is wrong.
    Config,
    /// A page, book, corpus or annotation file is wrong; the rest of the run goes on.
    Input,
    /// The network or a server failed; trying later may help.
    Network,
    /// The workspace (database, page archive, vectors) failed.
    Store,
    /// A model or libtorch is missing or wrong.
    Model,
    /// A measured quality lies under the floor that the pipeline sets.
    Gate,
    /// The user interrupted the run; finished units are kept.
    Interrupted,
    /// A broken promise inside the program.
    Bug,
}

/// Exit codes of the program. Scripts may rely on them.
pub mod exit {
    /// Everything was done.
    pub const DONE: u8 = 0;
    /// A defect of the program.
    pub const BUG: u8 = 1;
    /// The command line or the pipeline file is wrong; nothing was done.
    pub const USAGE: u8 = 2;
    /// The run ended, but some units failed, a site's layout has moved away from its profile, or a site gave nothing;
    /// `kopri status` lists failures.
    pub const SOME_FAILED: u8 = 3;
    /// A quality gate is under its floor, or cannot be checked.
    pub const GATE: u8 = 4;
    /// The workspace failed.
    pub const STORE: u8 = 5;
    /// A model or libtorch failed.
    pub const MODEL: u8 = 6;
    /// Interrupted; run again to go on.
    pub const INTERRUPTED: u8 = 130;
}

impl ErrorKind {
    /// The name under which the store keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Config => "config",
            Self::Input => "input",
            Self::Network => "network",
            Self::Store => "store",
            Self::Model => "model",
            Self::Gate => "gate",
            Self::Interrupted => "interrupted",
            Self::Bug => "bug",
        }
    }

    /// The exit code of a program that ends with it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Config => exit::USAGE,
            Self::Input | Self::Network => exit::SOME_FAILED,
            Self::Store => exit::STORE,
            Self::Model => exit::MODEL,
            Self::Gate => exit::GATE,
            Self::Interrupted => exit::INTERRUPTED,
            Self::Bug => exit::BUG,
        }
    }

    /// Whether the run must stop, rather than note the failed unit and go on.
    pub fn is_fatal(self) -> bool {
        !matches!(self, Self::Input | Self::Network)
    }
}

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// An error: a message in words that read after "failed: ", outermost first, with its causes below it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    lasting: bool,
    source: Option<Source>,
}

impl Error {
    /// An error without a deeper cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), lasting: false, source: None }
    }

    /// An error with a cause.
    pub fn with_source(kind: ErrorKind, message: impl Into<String>, source: impl Into<Source>) -> Self {
        Self { kind, message: message.into(), lasting: false, source: Some(source.into()) }
    }

    /// Wrong input data.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// Wrong configuration.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// A broken promise inside the program.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// The same error, whose reason lies in the input itself: to try again is in vain until that has changed.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self { lasting: true, ..self }
    }

    /// Whether to try again is in vain.
    pub fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether a pipe was closed by its reader, who has seen enough.
    pub fn is_closed_pipe(&self) -> bool {
        let mut cause = self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static));
        while let Some(error) = cause {
            if error.downcast_ref().is_some_and(|io: &std::io::Error| io.kind() == std::io::ErrorKind::BrokenPipe) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// The same error under a message that says what was being done.
    #[must_use]
    pub fn while_doing(self, doing: impl Into<String>) -> Self {
        Self { kind: self.kind, message: doing.into(), lasting: self.lasting, source: Some(Box::new(self)) }
    }
}

impl fmt::Display for Error {
    /// The whole chain on one line: `reading a.toml: permission denied`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(error) = cause {
            if let Some(ours) = error.downcast_ref::<Error>() {
                write!(f, ": {}", ours.message)?;
            } else {
                write!(f, ": {error}")?;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Says, on the way up, what was being done and what kind of failure it is.
pub trait Context<T> {
    /// Wraps a foreign error.
    ///
    /// # Errors
    /// The wrapped error, when `self` is one.
    fn context(self, kind: ErrorKind, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Source>> Context<T> for std::result::Result<T, E> {
    fn context(self, kind: ErrorKind, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::with_source(kind, doing(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_reads_outermost_first() {
        let inner = std::io::Error::other("disk full");
        let error =
            Error::with_source(ErrorKind::Store, "writing a shard", inner).while_doing("embedding 12 sentences");
        assert_eq!(error.to_string(), "embedding 12 sentences: writing a shard: disk full");
        assert_eq!(error.kind().exit_code(), exit::STORE);
    }
}
