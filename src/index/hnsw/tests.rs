//! What a graph finds, and what of it outlives the night.

use super::*;
use crate::error::ErrorKind;
use crate::index::{Exact, recall};

fn points(count: usize, dim: usize) -> Vectors {
    Vectors::random(count, dim, 1)
}

fn some(rows: &Vectors, which: impl Iterator<Item = usize>) -> Arc<Vectors> {
    Arc::new(rows.picked(which))
}

#[test]
fn it_finds_nearly_all_that_exact_search_finds_and_is_the_same_with_any_number_of_threads() {
    let rows = Arc::new(points(2_000, 16));
    let queries = points(200, 16);
    let exact = Exact::new(rows.clone()).search(&queries, 5).unwrap();
    let build = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Hnsw::build(rows.clone(), HnswParams::default()))
    };
    let graph = build(1);
    let found = recall(&graph.search(&queries, 5).unwrap(), &exact).unwrap();
    assert!(found > 0.99, "{found}");
    assert!(graph.graph == build(3).graph, "another number of threads, another graph");
}

#[test]
fn sparse_vectors_of_few_large_numbers_are_found_too() {
    // Some ten of 400 numbers in each row, as words would be: far from evenly spread.
    let mut data = points(1_500, 400).data().to_vec();
    for row in data.chunks_exact_mut(400) {
        let largest = row.iter().fold(0.0_f32, |largest, number| largest.max(*number));
        row.iter_mut().for_each(|number| *number = (*number - 0.95 * largest).max(0.0));
    }
    let rows = Arc::new(Vectors::normalised(400, data).unwrap());
    let zeros = rows.data().iter().filter(|number| **number == 0.0).count();
    assert!(zeros > rows.data().len() * 9 / 10, "{zeros}");
    let found = Hnsw::build(rows.clone(), HnswParams::default()).search(&rows, 1).unwrap();
    let itself = found.iter().enumerate().filter(|(row, list)| list.first().is_some_and(|found| found.0 == *row));
    let share = itself.count() as f64 / 1_500.0;
    assert!(share > 0.95, "{share}");
}

#[test]
fn rows_that_are_copies_of_each_other_do_not_cut_the_graph() {
    // Each of 40 points fifty times, in a row: more of one kind than a node has links.
    let few = points(40, 16);
    let rows = some(&few, (0..2_000).map(|row| row / 50));
    let graph = Hnsw::build(rows.clone(), HnswParams::default());
    for (query, found) in graph.search(&few, 3).unwrap().iter().enumerate() {
        assert!(found.iter().all(|(row, cosine)| row / 50 == query && *cosine > 0.999), "{query}: {found:?}");
    }
}

#[test]
fn an_empty_index_answers_nothing() {
    let rows = Arc::new(Vectors::empty(16));
    let found = Hnsw::build(rows, HnswParams::default()).search(&points(2, 16), 5).unwrap();
    assert_eq!(found, vec![vec![], vec![]]);
}

#[test]
fn the_next_night_the_graph_is_read_grown_and_answers_only_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forward.hnsw");
    let (all, params) = (points(2_000, 16), HnswParams::default());
    let before: Vec<i64> = (0..1_800).collect();
    let graph = Hnsw::build_keyed(&before, some(&all, 0..1_800), params);
    graph.save(&path, "model", params).unwrap();
    // 100 rows go, 200 come, and all stand elsewhere.
    let keys: Vec<i64> = (100..2_000).collect();
    let rows = some(&all, 100..2_000);
    let (grown, what) = Hnsw::open(&path, "model", &keys, rows.clone(), params).unwrap().unwrap();
    assert_eq!(what, Grown { kept: 1_700, inserted: 200, gone: 100 });
    let exact = Exact::new(rows.clone()).search(&all, 5).unwrap();
    let found = recall(&grown.search(&all, 5).unwrap(), &exact).unwrap();
    assert!(found > 0.99, "{found}");
    // Read again as it was, it is as it was.
    let (same, what) = Hnsw::open(&path, "model", &before, some(&all, 0..1_800), params).unwrap().unwrap();
    assert_eq!(what, Grown { kept: 1_800, inserted: 0, gone: 0 });
    assert!(same.graph == graph.graph);
    assert_eq!([Hnsw::kept(&path, "model", params), Hnsw::kept(&path, "another", params)], [1_800, 0]);
    // And it is of use for these vectors and parameters only, and while most of its rows are there.
    let open = |of, keys: &[i64], params| Hnsw::open(&path, of, keys, rows.clone(), params).unwrap().is_some();
    assert!(open("model", &keys, params));
    assert!(!open("another", &keys, params));
    assert!(!open("model", &keys, HnswParams { links: 8, ..params }));
    assert!(!open("model", &keys, HnswParams { ef_construction: 100, ..params }));
    let moved: Vec<i64> = (1_000..2_900).collect();
    assert!(!open("model", &moved, params));
    assert!(Hnsw::open(&folder.path().join("none"), "model", &keys, rows.clone(), params).unwrap().is_none());
}

#[test]
fn a_damaged_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forward.hnsw");
    let rows = Arc::new(points(300, 16));
    let (params, keys) = (HnswParams::default(), (0..300).collect::<Vec<i64>>());
    Hnsw::build(rows.clone(), params).save(&path, "model", params).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut turned = whole.clone();
    turned[whole.len() / 2] ^= 1;
    for broken in [turned, whole[..whole.len() - 1].to_vec(), whole[..20].to_vec(), b"something else".to_vec()] {
        std::fs::write(&path, broken).unwrap();
        assert!([0, 300].contains(&Hnsw::kept(&path, "model", params)));
        let error = Hnsw::open(&path, "model", &keys, rows.clone(), params).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().contains("forward.hnsw"), "{error}");
    }
}
