//! What a process that reads strangers' files is confined to. The process does it to itself, before the first of them;
//! programs that it starts inherit it.
//!
//! Each book may use as much memory and time as the first: both are counted from what the process holds, or has used, when
//! the book begins. What it still holds when the book is done is lost to all that come after; so a process that has grown
//! makes room for a new one, and what the largest could come to lies fast from the beginning.

use super::request::Confines;
use crate::error::Result;

/// The part of a book's memory that a process may keep from book to book.
const KEPT: u64 = 4;

/// The limits of this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Confined {
    limits: Confines,
    /// What the process held before the first book: libtorch's own data is no part of a book.
    held: u64,
}

impl Confined {
    /// Confines this process for good, to what the largest book after the last could come to.
    ///
    /// Linux counts all private memory (`RLIMIT_DATA`); systems that count less hold the time limit alone.
    ///
    /// # Errors
    /// Kind `Bug` when the system refuses the limits.
    pub(super) fn new(limits: Confines) -> Result<Self> {
        let confined = Self { limits, held: held() };
        #[cfg(unix)]
        {
            use rustix::process::Resource;

            // Whoever started this process may be killed; then nobody wants its books any more.
            #[cfg(target_os = "linux")]
            {
                use crate::error::{Context as _, ErrorKind};
                rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
                    .context(ErrorKind::Bug, || "tying a process that reads books to the one that started it".into())?;
            }
            limit(Resource::Core, 0, 0)?;
            // The images of a page, for character recognition.
            limit(Resource::Fsize, limits.memory, limits.memory)?;
            confined.begin()?;
        }
        Ok(confined)
    }

    /// Gives the next book its memory and time.
    ///
    /// # Errors
    /// Kind `Bug` when the system refuses the limits.
    #[cfg(unix)]
    pub(super) fn begin(&self) -> Result<()> {
        use rustix::process::Resource;

        let seconds = self.limits.processor_seconds();
        let most = seconds.saturating_add(1).saturating_mul(self.limits.kind.most().into());
        let memory = self.limits.memory;
        limit(Resource::Cpu, used().map_or(most, |used| used.saturating_add(seconds)), most)?;
        let largest = self.held.saturating_add(memory).saturating_add(memory / KEPT);
        limit(Resource::Data, held().saturating_add(memory), largest)
    }

    /// Without such limits the time limit of whoever waits holds alone.
    #[cfg(not(unix))]
    pub(super) fn begin(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the process keeps so much memory that the next book might not get its own.
    pub(super) fn is_grown(&self) -> bool {
        held().saturating_sub(self.held) > self.limits.memory / KEPT
    }
}

/// Sets what holds now, and what it may be raised to at most. Once set, the latter can only be lowered: it is the same
/// each time.
#[cfg(unix)]
fn limit(resource: rustix::process::Resource, now: u64, most: u64) -> Result<()> {
    use rustix::process::{Rlimit, setrlimit};

    use crate::error::{Context as _, ErrorKind};

    setrlimit(resource, Rlimit { current: Some(now.min(most)), maximum: Some(most) })
        .context(ErrorKind::Bug, || format!("limiting a process that reads books ({resource:?})"))
}

/// Bytes of private memory that the process holds, as far as the system tells.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kibibytes.map_or(0, |kibibytes| kibibytes.saturating_mul(1024))
}

/// Makes a command the first of a group of its own, so that what it starts can be ended with it.
pub(super) fn in_own_group(command: &mut std::process::Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Ends a child that was started [`in_own_group`], and all that it started; then waits for it, so that nothing of it
/// stays in the system's tables.
pub(super) fn end(child: &mut std::process::Child) -> std::io::Result<std::process::ExitStatus> {
    #[cfg(unix)]
    {
        // It may have ended by itself just now: then there is nothing to end.
        let _ =
            rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = child.kill();
    child.wait()
}

/// Seconds of processor time that the process has used, as far as the system tells.
#[cfg(unix)]
fn used() -> Option<u64> {
    /// Linux tells times in hundredths of a second.
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name, in brackets; of those after it, the 12th and 13th are meant.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    Some(times.next()??.saturating_add(times.next()??).div_ceil(TICKS))
}
