//! Building and searching indexes, on vectors that `benches/index.py` makes and gives to other libraries too.
//!
//! `cargo bench --bench index -- ROWS.f32 QUERIES.f32 DIM K [exact|both|hnsw EF…|hnsw_rs EF…|mine INDEX]`: raw
//! little-endian f32, unit rows. `hnsw_rs` is that crate's graph on the same f32.
#![expect(clippy::print_stdout, reason = "its table is what it is for")]

#[path = "memory.rs"]
mod memory;

use std::sync::Arc;
use std::time::Instant;

use hnsw_rs::anndists::dist::distances::Distance;
use kopri::algo::assign::one_to_one;
use kopri::algo::margin::{Margin, Retrieval, candidates};
use kopri::error::{Error, Result};
use kopri::index::both::{Kind, Search};
use kopri::index::{Exact, Hnsw, HnswParams, Neighbours, VectorIndex as _, both_ways, cosine, recall};
use kopri::model::torch::compute::{Device, rate};
use kopri::model::torch::products::Form;
use kopri::record::Vectors;
use memory::peak_mib;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [rows, queries, dim, k, which @ ..] = arguments.as_slice() else {
        println!("index: give ROWS.f32 QUERIES.f32 DIM K [exact|both|hnsw EF…|hnsw_rs EF…|mine INDEX]");
        return Ok(());
    };
    let number = |text: &String| text.parse::<usize>().map_err(|_| Error::config(format!("{text:?} is no number")));
    let (dim, k) = (number(dim)?, number(k)?);
    let (rows, queries) = (Arc::new(read(rows, dim)?), read(queries, dim)?);
    println!("{} rows, {} queries, {dim} dimensions, k = {k}; start {} MiB", rows.rows(), queries.rows(), peak_mib());
    if which.first().is_some_and(|which| which == "mine") {
        return mine(&Arc::new(queries), &rows, k, which.get(1).map_or("auto", String::as_str));
    }
    let began = Instant::now();
    let exact = Exact::new(rows.clone()).search(&queries, k)?;
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
    let report = |name: &str, ef: &str, began: Instant, found: &Neighbours| {
        let (seconds, at_one, at_k) =
            (began.elapsed().as_secs_f64(), first(found, &exact), recall(found, &exact).unwrap_or(1.0));
        println!("{name}: ef {ef}, search {seconds:.2} s, recall@1 {at_one:.4}, recall@{k} {at_k:.4}");
    };
    if which.first().is_some_and(|which| which == "hnsw") {
        let began = Instant::now();
        let mut hnsw = Hnsw::build(rows.clone(), HnswParams::default());
        println!("kopri hnsw: build {:.2} s, peak {} MiB", began.elapsed().as_secs_f64(), peak_mib());
        for ef in &which[1..] {
            hnsw.set_ef_search(number(ef)?);
            let began = Instant::now();
            let found = hnsw.search(&queries, k)?;
            report("kopri hnsw", ef, began, &found);
        }
    }
    if which.first().is_some_and(|which| which == "hnsw_rs") {
        let params = HnswParams::default();
        let began = Instant::now();
        let graph = hnsw_rs::hnsw::Hnsw::new(params.links, rows.rows(), 16, params.ef_construction, OneMinusCosine);
        let numbered: Vec<(&[f32], usize)> = rows.iter().zip(0..).collect();
        graph.parallel_insert_slice(&numbered);
        println!("hnsw_rs: build {:.2} s, peak {} MiB", began.elapsed().as_secs_f64(), peak_mib());
        let all: Vec<Vec<f32>> = queries.iter().map(<[f32]>::to_vec).collect();
        for ef in &which[1..] {
            let began = Instant::now();
            let found = graph.parallel_search(&all, k, number(ef)?);
            let lists = found.into_iter().map(|list| list.iter().map(|one| (one.d_id, 1.0 - one.distance)).collect());
            report("hnsw_rs", ef, began, &lists.collect());
        }
    }
    Ok(())
}

/// Neighbours both ways, margins, and each sentence in one pair at most.
fn mine(left: &Arc<Vectors>, right: &Arc<Vectors>, k: usize, index: &str) -> Result<()> {
    let kind = match index {
        "exact" => Kind::Exact,
        "hnsw" => Kind::Hnsw,
        _ => Kind::Auto,
    };
    let search = Search { kind, graph: HnswParams::default(), min_recall: 0.995, device: Device::Cpu };
    let began = Instant::now();
    let found = search.mutual(left, right, k)?;
    let searched = began.elapsed().as_secs_f64();
    let how = found.recall.map_or("exact".to_owned(), |recall| format!("graph, recall {recall:.4}"));
    let pairs = one_to_one(candidates(&found.forward, &found.backward, Margin::Ratio, Retrieval::Max));
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "kopri mine {index}: {} pairs in {seconds:.1} s, neighbours in {searched:.1} s ({how}), peak {} MiB",
        pairs.len(),
        peak_mib()
    );
    Ok(())
}

/// hnsw_rs refuses negative distances, which rounding gives.
#[derive(Clone, Copy)]
struct OneMinusCosine;

impl Distance<f32> for OneMinusCosine {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - cosine(a, b)).max(0.0)
    }
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
