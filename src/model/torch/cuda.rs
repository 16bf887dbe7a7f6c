//! The CUDA half of libtorch: loaded at run time, where there is a GPU.
//!
//! This program is linked to the CPU half alone, which runs everywhere. Where there is a driver and `libtorch_cuda.so`
//! lies beside `libtorch_cpu.so` (as in PyPI's wheel of torch with its dependencies), loading it is enough: its
//! initialisers announce its kernels to the CPU half. That must happen before libtorch is first asked for GPUs, since it
//! remembers the answer; so everyone asks here.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::files;

/// The library that holds the kernels.
const LIBRARY: &str = "libtorch_cuda.so";

/// How many GPUs can be used. The first call loads what is needed.
pub fn devices() -> usize {
    state().devices
}

/// How many there are, or why there are none; one line.
pub fn explain() -> &'static str {
    &state().told
}

struct State {
    devices: usize,
    told: String,
}

fn state() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| {
        let folder = library("libtorch_cpu.so").and_then(|path| Some(path.parent()?.to_path_buf()));
        find(folder.as_deref())
    })
}

fn find(folder: Option<&Path>) -> State {
    let none = |told: String| State { devices: 0, told };
    if !Path::new("/dev/nvidiactl").exists() && !Path::new("/dev/dxg").exists() {
        return none("there is no NVIDIA driver on this machine (/dev/nvidiactl is missing)".to_owned());
    }
    let Some(path) = folder.map(|folder| folder.join(LIBRARY)).filter(|path| path.is_file()) else {
        return none(format!(
            "this libtorch has no CUDA half ({LIBRARY}): install torch 2.11.0 with its dependencies and set LIBTORCH to \
             its folder, for the build or through LD_LIBRARY_PATH"
        ));
    };
    if let Err(why) = load(&path) {
        return none(format!("{} cannot be loaded: {why}", path.display()));
    }
    match usize::try_from(tch::Cuda::device_count()) {
        Ok(devices) if devices > 0 && tch::Cuda::is_available() => {
            State { devices, told: format!("{devices} found, through {}", path.display()) }
        }
        _ => {
            none("CUDA is loaded and finds no GPU (is CUDA_VISIBLE_DEVICES set, is the driver new enough?)".to_owned())
        }
    }
}

/// Maps a library of libtorch into this process for good.
#[cfg(unix)]
fn load(path: &Path) -> Result<(), libloading::Error> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

    #[expect(
        unsafe_code,
        reason = "loading runs the library's initialisers; it lies beside the libtorch that this program already runs \
                  on and is of the same build"
    )]
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }?;
    // Its kernels are known to libtorch from now on, so it must never be unmapped.
    std::mem::forget(library);
    Ok(())
}

#[cfg(not(unix))]
fn load(_: &Path) -> Result<(), String> {
    Err("this system has no way for it here".to_owned())
}

/// Where a library lies that this process has loaded; Linux tells.
pub(super) fn library(name: &str) -> Option<PathBuf> {
    let maps = files::read_text(&PathBuf::from("/proc/self/maps")).ok()?;
    let path = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.ends_with(name))?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_gpus_or_a_reason_why_not() {
        assert!(!explain().is_empty());
        assert_eq!(devices() > 0, explain().contains("found, through"), "{}", explain());
    }

    #[test]
    fn a_library_that_is_none_is_an_error_and_no_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LIBRARY);
        std::fs::write(&path, "not a library").unwrap();
        assert!(load(&path).is_err());
    }
}
