//! What asks the program to end: an interrupt, SIGTERM (a service manager, a cluster that takes its machine back) and SIGHUP
//! (the terminal is gone).

use super::say;
use crate::engine::Stop;
use crate::error::{Error, ErrorKind, Result, exit};

/// Sets `stop` at the first signal, and ends the process at the second; the store is safe whenever that is.
///
/// A SIGHUP that is ignored, as under `nohup`, stays ignored.
///
/// # Errors
/// Kind `Bug`: it was asked for twice, or the system refuses.
pub(super) fn listen(stop: Stop) -> Result<()> {
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::with_source(ErrorKind::Bug, "listening for interrupts", error)
    };
    #[cfg(unix)]
    let hangup_is_ignored = hangup::is_ignored().map_err(|error| wrong(error.into()))?;
    ctrlc::set_handler(move || {
        if stop.swap() {
            end();
        }
        say("\nstopping after the unit in hand; interrupt again to stop at once");
    })
    .map_err(|error| wrong(error.into()))?;
    #[cfg(unix)]
    if hangup_is_ignored {
        hangup::ignore().map_err(|error| wrong(error.into()))?;
    }
    Ok(())
}

#[expect(clippy::exit, reason = "the threads that work would not notice a return of this one")]
fn end() {
    std::process::exit(i32::from(exit::INTERRUPTED));
}

/// What SIGHUP does to this process.
#[cfg(unix)]
mod hangup {
    use nix::sys::signal::{SigHandler, Signal, signal};

    #[expect(
        unsafe_code,
        reason = "a signal's handler can be code that is unsafe to interrupt with; these two are none"
    )]
    fn set(handler: SigHandler) -> nix::Result<SigHandler> {
        // SAFETY: both callers pass what was set before or `SigIgn`, and none is a function of ours.
        unsafe { signal(Signal::SIGHUP, handler) }
    }

    pub(super) fn ignore() -> nix::Result<()> {
        set(SigHandler::SigIgn).map(drop)
    }

    /// The system tells the present handler only when another is set.
    pub(super) fn is_ignored() -> nix::Result<bool> {
        let before = set(SigHandler::SigIgn)?;
        set(before)?;
        Ok(matches!(before, SigHandler::SigIgn))
    }
}
