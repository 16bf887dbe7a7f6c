//! Building and searching indexes, on vectors that `benches/index.py` makes and gives to other libraries too.
//!
//! `cargo bench --bench index -- ROWS.f32 QUERIES.f32 DIM K [exact|hnsw EF…]`: raw little-endian f32, unit rows.
#![expect(clippy::print_stdout, reason = "its table is what it is for")]

#[path = "memory.rs"]
mod memory;

use std::sync::Arc;
use std::time::Instant;

use kopri::error::{Error, Result};
use kopri::index::{Exact, Hnsw, HnswParams, Neighbours, VectorIndex as _, both_ways, recall};
use kopri::model::torch::compute::rate;
use kopri::model::torch::products::Form;
use kopri::record::Vectors;
use memory::peak_mib;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [rows, queries, dim, k, which @ ..] = arguments.as_slice() else {
        println!("index: give ROWS.f32 QUERIES.f32 DIM K [exact|hnsw EF…]");
        return Ok(());
    };
    let number = |text: &String| text.parse::<usize>().map_err(|_| Error::config(format!("{text:?} is no number")));
    let (dim, k) = (number(dim)?, number(k)?);
    let (rows, queries) = (Arc::new(read(rows, dim)?), read(queries, dim)?);
    println!("{} rows, {} queries, {dim} dimensions, k = {k}; start {} MiB", rows.rows(), queries.rows(), peak_mib());
    let began = Instant::now();
    let exact = Exact::new(Arc::clone(&rows)).search(&queries, k)?;
    let seconds = began.elapsed().as_secs_f64();
    let products = 2.0 * (rows.rows() * queries.rows() * dim) as f64;
    let best = rate(Form::fastest().multiply())?;
    println!(
        "kopri exact: search {seconds:.2} s, {:.0} GFLOP/s of {:.0} measured ({:.0} %), peak {} MiB",
        products / seconds / 1e9,
        best / 1e9,
        100.0 * products / seconds / best,
        peak_mib()
    );
    if which.first().is_some_and(|which| which == "both") {
        let began = Instant::now();
        let (forward, backward) = both_ways(&queries, &rows, k)?;
        println!("kopri both ways: {:.2} s, peak {} MiB", began.elapsed().as_secs_f64(), peak_mib());
        assert_eq!(forward, exact, "one product or two, the same neighbours");
        assert_eq!(backward.len(), rows.rows());
    }
    if which.first().is_some_and(|which| which == "hnsw") {
        let began = Instant::now();
        let mut hnsw = Hnsw::build(Arc::clone(&rows), HnswParams::default());
        println!("kopri hnsw: build {:.2} s, peak {} MiB", began.elapsed().as_secs_f64(), peak_mib());
        for ef in &which[1..] {
            hnsw.set_ef_search(number(ef)?);
            let began = Instant::now();
            let found = hnsw.search(&queries, k)?;
            let seconds = began.elapsed().as_secs_f64();
            println!(
                "kopri hnsw: ef {ef}, search {seconds:.2} s, recall@1 {:.4}, recall@{k} {:.4}",
                first(&found, &exact),
                recall(&found, &exact).unwrap_or(1.0)
            );
        }
    }
    Ok(())
}

fn first(found: &Neighbours, exact: &Neighbours) -> f64 {
    let one = |lists: &Neighbours| lists.iter().map(|list| list[..list.len().min(1)].to_vec()).collect::<Neighbours>();
    recall(&one(found), &one(exact)).unwrap_or(1.0)
}

fn read(path: &str, dim: usize) -> Result<Vectors> {
    let bytes = std::fs::read(path).map_err(|error| Error::config(format!("{path}: {error}")))?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || numbers.len() % dim != 0 {
        return Err(Error::config(format!("{path} does not hold rows of {dim} numbers")));
    }
    Vectors::normalised(dim, numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
