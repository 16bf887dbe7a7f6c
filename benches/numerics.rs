//! How fast the numerics are, each beside its limit or its alternative: `cargo bench`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kopri::algo::align::{Line, Params, Side, align};
use kopri::index::{Exact, Hnsw, HnswParams, VectorIndex as _};
use kopri::model::Encoder as _;
use kopri::model::lexical::{LexicalFit, LexicalParams};
use kopri::record::Vectors;

/// Points from a small generator: the same on every machine.
fn points(count: usize, dim: usize) -> Vectors {
    let mut state = 1_u64;
    let numbers = (0..count * dim).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    });
    Vectors::normalised(dim, numbers.collect()).unwrap_or_else(|error| panic!("{error}"))
}

/// Multiply-adds a second of exact search, against HNSW on the same queries.
fn neighbours(criterion: &mut Criterion) {
    let (rows, queries) = (Arc::new(points(10_000, 256)), points(256, 256));
    let mut group = criterion.benchmark_group("neighbours, 256 queries in 10,000 × 256, k = 8");
    group.throughput(Throughput::Elements((rows.rows() * queries.rows() * rows.dim()) as u64));
    let exact = Exact::new(Arc::clone(&rows));
    group.bench_function("exact", |bencher| bencher.iter(|| exact.search(black_box(&queries), 8)));
    let graph = Hnsw::build(Arc::clone(&rows), HnswParams::default());
    group.bench_function("hnsw", |bencher| bencher.iter(|| graph.search(black_box(&queries), 8)));
    group.finish();
}

/// Lattice cells a second.
fn alignment(criterion: &mut Criterion) {
    let lines: Vec<Line> = (0..300).map(|i| Line { chars: 60 + i % 90, ..Line::default() }).collect();
    let vectors = points(lines.len(), 256);
    let mut group = criterion.benchmark_group("alignment, 300 × 300 sentences");
    group.throughput(Throughput::Elements(301 * 301));
    group.sample_size(20);
    group.bench_function("whole lattice", |bencher| {
        bencher.iter(|| align(Side::new(&lines, &vectors), Side::new(&lines, &vectors), &Params::default(), 1 << 20));
    });
    group.finish();
}

/// Sentences a second of the lexical encoder.
fn lexical(criterion: &mut Criterion) {
    let texts = ["В Ашхабаде открылась новая библиотека на 120 мест.", "Aşgabatda 120 orunlyk täze kitaphana açyldy."];
    let texts: Vec<&str> = texts.iter().cycle().take(1_000).copied().collect();
    let mut fit = LexicalFit::new(LexicalParams::default()).unwrap_or_else(|error| panic!("{error}"));
    texts.iter().for_each(|text| fit.add(text));
    let mut model = fit.finish();
    let mut group = criterion.benchmark_group("lexical encoder");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| model.encode(black_box(&texts))));
    group.finish();
}

criterion_group!(benches, neighbours, alignment, lexical);
criterion_main!(benches);
