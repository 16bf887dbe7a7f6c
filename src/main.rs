//! The program: parse, run, say what went wrong, choose the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kopri::cli::main()
}
