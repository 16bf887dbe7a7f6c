//! What a process that reads a stranger's file is confined to. The process does it to itself, first of all; programs that
//! it starts inherit it.

use std::time::Duration;

use crate::error::Result;

/// Seconds of processor time that a process may use, for each second that it may last: it and the one program that it
/// starts. Whoever waits for it has ended it long before; this ends it when nobody waits any more.
#[cfg(unix)]
const PROCESSORS: u64 = 2;

/// Confines this process.
///
/// Memory is counted from what the process holds now: libtorch's own data is no part of a book. Linux counts all
/// private memory (`RLIMIT_DATA`); systems that count less hold the time limit alone.
///
/// # Errors
/// Kind `Bug` when the system refuses the limits.
#[cfg(unix)]
pub(super) fn confine(memory: u64, time: Duration) -> Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    use crate::error::{Context as _, ErrorKind};

    // Whoever started this process may be killed; then nobody wants the book any more.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context(ErrorKind::Bug, || "tying a book's process to the one that started it".into())?;
    let seconds = time.as_secs().saturating_add(1).saturating_mul(PROCESSORS);
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Cpu, seconds),
        (Resource::Data, held().saturating_add(memory)),
        // The images of a page, for character recognition.
        (Resource::Fsize, memory),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .context(ErrorKind::Bug, || format!("limiting the process of a book ({resource:?})"))?;
    }
    Ok(())
}

/// Without such limits the time limit alone holds.
#[cfg(not(unix))]
pub(super) fn confine(_: u64, _: Duration) -> Result<()> {
    Ok(())
}

/// Bytes of private memory that the process holds, as far as the system tells.
#[cfg(unix)]
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
