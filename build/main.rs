//! Tells the linker where libtorch lies, so that the binary finds it again when it starts.
#![expect(clippy::print_stdout, reason = "a build script talks to cargo by printing")]

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=build/main.rs");
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
