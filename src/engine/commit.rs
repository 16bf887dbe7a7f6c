//! What a unit became, ready to be written.

use super::fingerprint;
use super::stage::Write;
use crate::error::Result;
use crate::files::Staged;
use crate::store::Writer;

/// Records and files of a unit. The driver writes them in one transaction with the unit's row in the ledger; files are
/// given their names just before it ends.
#[must_use = "a commit does nothing until the driver writes it"]
pub struct Commit {
    pub(super) write: Write,
    /// Fingerprint of the output: all that later stages read of it.
    pub output: String,
    /// Counts, added up over the units of a run.
    pub counts: Vec<(&'static str, f64)>,
    /// Figures, each the newest.
    pub figures: Vec<(&'static str, f64)>,
    pub(super) files: Vec<Staged>,
    /// How much of what the progress counts it was.
    pub advance: u64,
}

impl std::fmt::Debug for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commit").field("output", &self.output).field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Commit {
    /// Records, and the fingerprint of what later stages read of them.
    pub fn new(output: impl Into<String>, write: impl FnOnce(&Writer<'_>, i64) -> Result<()> + Send + 'static) -> Self {
        Self {
            write: Box::new(write),
            output: output.into(),
            counts: Vec::new(),
            figures: Vec::new(),
            files: Vec::new(),
            advance: 1,
        }
    }

    /// Nothing but the unit's row, files and figures.
    pub fn nothing(output: impl Into<String>) -> Self {
        Self::new(output, |_, _| Ok(()))
    }

    /// Records whose fingerprint is the hash of a JSON value.
    ///
    /// # Errors
    /// Kind `Bug` only.
    pub fn of(
        content: &impl serde::Serialize,
        write: impl FnOnce(&Writer<'_>, i64) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        Ok(Self::new(fingerprint(content)?, write))
    }

    /// With a count for the summary.
    pub fn count(mut self, name: &'static str, value: f64) -> Self {
        self.counts.push((name, value));
        self
    }

    /// With counts for the summary.
    pub fn counts(mut self, counts: impl IntoIterator<Item = (&'static str, f64)>) -> Self {
        self.counts.extend(counts);
        self
    }

    /// With figures of the run.
    pub fn figures(mut self, figures: impl IntoIterator<Item = (&'static str, f64)>) -> Self {
        self.figures.extend(figures);
        self
    }

    /// With a file or folder to publish.
    pub fn file(mut self, file: Staged) -> Self {
        self.files.push(file);
        self
    }

    /// Worth so much of what the progress counts.
    pub fn advancing(mut self, by: u64) -> Self {
        self.advance = by;
        self
    }
}
