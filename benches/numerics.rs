//! How fast the numerics are, each beside its limit or its alternative: `cargo bench`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kopri::algo::align::{Line, Params, Side, align};
use kopri::algo::minhash::{Lsh, grams};
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
    let exact = Exact::new(rows.clone());
    group.bench_function("exact", |bencher| bencher.iter(|| exact.search(black_box(&queries), 8)));
    let graph = Hnsw::build(rows.clone(), HnswParams::default());
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

/// Pairs a second of the search for near duplicates: n-grams, sketches, candidates. Linear, as the two sizes show;
/// `KOPRI_BENCH_PAIRS=1000000` takes another largest size.
fn near_duplicates(criterion: &mut Criterion) {
    let largest = std::env::var("KOPRI_BENCH_PAIRS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let words = ["китап", "мугаллым", "täze", "şäher", "сегодня", "прошла", "açyldy", "выставка", "ýyl", "республика"];
    let mut state = 1_u64;
    let mut side = || {
        let mut text = String::new();
        for _ in 0..6 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += words[(state >> 33) as usize % words.len()];
            // Words of their own, so that the texts are no near duplicates of each other but for one in ten.
            text += &((state >> 40) % 1_000_000).to_string();
            text.push(' ');
        }
        text
    };
    let mut pairs: Vec<(String, String)> = (0..largest * 9 / 10).map(|_| (side(), side())).collect();
    pairs.extend((0..largest / 10).map(|row| (pairs[row].0.clone(), format!("{}!", pairs[row].1))).collect::<Vec<_>>());
    let mut group = criterion.benchmark_group("near duplicates of short pairs");
    group.sample_size(10);
    for count in [largest / 10, largest] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(count.to_string(), |bencher| {
            bencher.iter(|| {
                let mut lsh = Lsh::new(0.9);
                for (source, target) in &pairs[pairs.len() - count..] {
                    lsh.add(&grams(&[source, target], 4));
                }
                lsh.candidates().len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, neighbours, alignment, lexical, near_duplicates);
criterion_main!(benches);
