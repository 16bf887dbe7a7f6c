//! Sentences and tokens a second of an encoder, for each way of multiplying, beside the measured rate of its largest
//! product.
//!
//! `cargo bench --bench encoders -- FOLDER LINES.txt [--threads N]`; `benches/encoders.py` makes a folder and runs
//! sentence-transformers beside it.
#![expect(clippy::print_stdout, reason = "its table is what it is for")]

#[path = "memory.rs"]
mod memory;

use std::path::PathBuf;
use std::time::Instant;

use kopri::error::{Error, Result};
use kopri::model::Encoder as _;
use kopri::model::torch::compute::{Multiply, rate};
use kopri::model::torch::{Dtype, Options, TorchEncoder};
use memory::peak_mib;

/// The best of so many counts.
const ROUNDS: u32 = 2;

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let threads = match arguments.iter().position(|argument| argument == "--threads") {
        Some(at) if at + 1 < arguments.len() => {
            let threads = arguments.remove(at + 1).parse().map_err(|_| Error::config("--threads takes a number"))?;
            arguments.remove(at);
            Some(threads)
        }
        _ => None,
    };
    let [folder, lines] = arguments.as_slice() else {
        println!("encoders: give FOLDER LINES.txt to measure");
        return Ok(());
    };
    let text = std::fs::read_to_string(lines).map_err(|error| Error::config(format!("{lines}: {error}")))?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    for dtype in [Dtype::I8, Dtype::Bf16, Dtype::F32] {
        let began = Instant::now();
        let options = Options { dtype, threads, ..Options::default() };
        let mut encoder = TorchEncoder::open(&PathBuf::from(folder), &options)?;
        let opened = began.elapsed().as_secs_f64();
        encoder.encode(&lines[..lines.len().min(64)])?;
        let warm = encoder.tally().unwrap_or_default().tokens;
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            encoder.encode(&lines)?;
            best = best.min(began.elapsed().as_secs_f64());
        }
        let tokens = (encoder.tally().unwrap_or_default().tokens - warm) as f64 / f64::from(ROUNDS);
        println!(
            "kopri, {dtype:?}: {:.1} sentences/s  {:.0} tokens/s  {:.1} tokens a sentence  opened in {opened:.1} s  peak {} MiB so far",
            lines.len() as f64 / best,
            tokens / best,
            tokens / lines.len() as f64,
            peak_mib()
        );
    }
    for multiply in [Multiply::Int8, Multiply::Bf16, Multiply::OneDnn, Multiply::Blas] {
        println!("product of [256, 768] × [768, 3072] in {multiply}: {:.0} GFLOP/s", rate(multiply)? / 1e9);
    }
    Ok(())
}
