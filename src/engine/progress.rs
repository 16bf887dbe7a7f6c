//! How far a unit is, and whether to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::job::Job;
use crate::error::{Error, ErrorKind, Result};

/// A flag that any thread may read, and that is set to end a run.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the run to end.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the run is to end; and asks it to.
    pub fn swap(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether the run is to end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Goes on, or not.
    ///
    /// # Errors
    /// Kind `Interrupted`.
    pub fn check(&self) -> Result<()> {
        if self.is_set() {
            return Err(Error::new(ErrorKind::Interrupted, "the run was interrupted: run again to go on"));
        }
        Ok(())
    }
}

/// What a unit that runs is told, and tells.
#[derive(Debug)]
pub struct Progress<'a> {
    stop: &'a Stop,
    job: Option<&'a Job>,
    done: AtomicU64,
}

impl<'a> Progress<'a> {
    /// Of a unit that ends when `stop` is set.
    pub fn new(stop: &'a Stop) -> Self {
        Self { stop, job: None, done: AtomicU64::new(0) }
    }

    /// Of a unit with a job folder.
    pub fn of_job(stop: &'a Stop, job: &'a Job) -> Self {
        Self { stop, job: Some(job), done: AtomicU64::new(0) }
    }

    /// Goes on, or not. Cheap: for every turn of a long loop.
    ///
    /// # Errors
    /// Kind `Interrupted`: the run is to end. What the unit did so far is lost, apart from its checkpoints.
    pub fn check(&self) -> Result<()> {
        self.stop.check()
    }

    /// Says how much there is to do.
    ///
    /// # Errors
    /// Kind `Store`, when the heartbeat cannot be written.
    pub fn expect(&self, total: u64) -> Result<()> {
        self.job.map_or(Ok(()), |job| job.beat(self.done.load(Ordering::SeqCst), Some(total)))
    }

    /// Says that so much more is done.
    ///
    /// # Errors
    /// Kind `Interrupted`, as [`Self::check`]; kind `Store`, when the heartbeat cannot be written.
    pub fn advance(&self, by: u64) -> Result<()> {
        let done = self.done.fetch_add(by, Ordering::SeqCst) + by;
        if let Some(job) = self.job {
            job.beat(done, None)?;
        }
        self.check()
    }

    /// The unit's job folder, if its stage is [`super::Stage::long_running`].
    pub fn job(&self) -> Option<&Job> {
        self.job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_reaches_every_thread() {
        let stop = Stop::default();
        let progress = Progress::new(&stop);
        progress.advance(3).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| stop.clone().set());
        });
        assert_eq!(progress.check().unwrap_err().kind(), ErrorKind::Interrupted);
        assert_eq!(progress.advance(1).unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(stop.swap());
    }
}
