//! What libtorch says of itself and of the machine; for `kopri doctor`.

use std::path::PathBuf;

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
    pub cuda_devices: i64,
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
    let library = mapped("libtorch_cpu.so");
    let root = library.as_ref().and_then(|path| path.parent()?.parent().map(PathBuf::from));
    let version = root.as_ref().and_then(|root| {
        // A wheel has version.py, a zip of pytorch.org build-version.
        let wheel = files::read_text(&root.join("version.py")).ok();
        let line = wheel.as_ref().and_then(|text| text.lines().find(|line| line.starts_with("__version__")));
        let named = line.and_then(|line| line.split(['\'', '"']).nth(1).map(str::to_owned));
        named.or_else(|| files::read_text(&root.join("build-version")).ok().map(|text| text.trim().to_owned()))
    });
    let devices = tch::Cuda::device_count();
    let usable = tch::Cuda::is_available() && devices > 0;
    let cuda_library = root.is_some_and(|root| root.join("lib/libtorch_cuda.so").is_file());
    let cuda = if usable {
        format!("{devices} device(s)")
    } else if !PathBuf::from("/dev/nvidiactl").exists() {
        "none: no NVIDIA driver on this machine (/dev/nvidiactl is not there)".to_owned()
    } else if !cuda_library {
        "none: this libtorch has no CUDA half (lib/libtorch_cuda.so)".to_owned()
    } else {
        "none: libtorch's CUDA half is there and was not loaded, or its libraries are missing".to_owned()
    };
    let flags = files::read_text(&PathBuf::from("/proc/cpuinfo")).unwrap_or_default();
    let line = flags.lines().find(|line| line.starts_with("flags") || line.starts_with("Features")).unwrap_or_default();
    let held: Vec<&str> = line.split_whitespace().collect();
    Diagnosis {
        version,
        library,
        threads: tch::get_num_threads(),
        onednn: tch::utils::has_mkldnn(),
        mkl: tch::utils::has_mkl(),
        cuda_devices: if usable { devices } else { 0 },
        cuda,
        cpu: FEATURES.into_iter().filter(|feature| held.contains(feature)).collect(),
    }
}

/// Where a library lies that this process has loaded.
fn mapped(name: &str) -> Option<PathBuf> {
    let maps = files::read_text(&PathBuf::from("/proc/self/maps")).ok()?;
    let path = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.ends_with(name))?;
    Some(PathBuf::from(path))
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
