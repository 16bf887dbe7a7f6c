//! What libtorch says of itself and of the machine; for `kopri doctor`.

use std::path::PathBuf;

use super::cuda;
use crate::files;

/// The release that tch 0.24 is bound to.
pub const WANTED: &str = "2.11.0";

/// libtorch and the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The library that this program runs on, if the system tells.
    pub library: Option<PathBuf>,
    /// Its release, if a file beside it tells.
    pub version: Option<String>,
    /// Threads inside an operation.
    pub threads: i32,
    /// Whether it was built with oneDNN and MKL.
    pub onednn: bool,
    /// Whether it was built with MKL.
    pub mkl: bool,
    /// CUDA devices that can be used.
    pub cuda_devices: usize,
    /// Why there are none, or how many; one line.
    pub cuda: String,
    /// Of the CPU's abilities, those that decide how fast it multiplies.
    pub cpu: Vec<&'static str>,
}

/// The abilities that count.
const FEATURES: [&str; 8] =
    ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "asimd"];

/// Asks.
pub fn diagnose() -> Diagnosis {
    let library = cuda::library("libtorch_cpu.so");
    let root = library.as_ref().and_then(|path| path.parent()?.parent().map(PathBuf::from));
    let version = root.as_ref().and_then(|root| {
        // A wheel has version.py, a zip of pytorch.org build-version.
        let wheel = files::read_text(&root.join("version.py")).ok();
        let line = wheel.as_ref().and_then(|text| text.lines().find(|line| line.starts_with("__version__")));
        let named = line.and_then(|line| line.split(['\'', '"']).nth(1).map(str::to_owned));
        named.or_else(|| files::read_text(&root.join("build-version")).ok().map(|text| text.trim().to_owned()))
    });
    let flags = files::read_text(&PathBuf::from("/proc/cpuinfo")).unwrap_or_default();
    let line = flags.lines().find(|line| line.starts_with("flags") || line.starts_with("Features")).unwrap_or_default();
    let held: Vec<&str> = line.split_whitespace().collect();
    Diagnosis {
        version,
        library,
        threads: tch::get_num_threads(),
        onednn: tch::utils::has_mkldnn(),
        mkl: tch::utils::has_mkl(),
        cuda_devices: cuda::devices(),
        cuda: cuda::explain().to_owned(),
        cpu: FEATURES.into_iter().filter(|feature| held.contains(feature)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn it_finds_the_library_it_runs_on() {
        let found = diagnose();
        assert!(found.threads >= 1 && !found.cuda.is_empty());
        assert!(found.library.is_some_and(|path| path.is_file()));
    }
}
