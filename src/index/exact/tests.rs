//! Exact search against one cosine at a time.

use super::*;
use crate::model::torch::compute::{Multiply, multiplies_int8};

proptest::proptest! {
    #[test]
    fn it_equals_a_naive_search(
        numbers in proptest::collection::vec(-1.0_f32..1.0, 3 * 3..3 * 200),
        k in 0_usize..6,
    ) {
        let whole = numbers.len() / 3 * 3;
        let data: Vec<f32> = numbers[..whole].iter().map(|x| x + 2.0).collect();
        let vectors = Arc::new(Vectors::normalised(3, data).unwrap());
        let found = Exact::new(Arc::clone(&vectors)).search(&vectors, k).unwrap();
        for (query, found) in found.iter().enumerate() {
            let mut all: Vec<(usize, f32)> =
                (0..vectors.rows()).map(|row| (row, cosine(vectors.row(query), vectors.row(row)))).collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(k);
            proptest::prop_assert_eq!(found, &all);
        }
    }
}

#[test]
fn fewer_rows_than_asked_for_are_not_padded() {
    let vectors = Arc::new(Vectors::normalised(2, vec![1.0, 0.0]).unwrap());
    assert_eq!(Exact::new(Arc::clone(&vectors)).search(&vectors, 5).unwrap()[0].len(), 1);
    assert_eq!(Exact::new(Arc::new(Vectors::empty(2))).search(&vectors, 5).unwrap(), vec![vec![]]);
}

/// Random rows, some of them again and again with hardly a difference, as texts from one template are.
fn points(count: usize, dim: usize, seed: u64) -> Vectors {
    let mut random = crate::record::vectors::random(seed);
    let template: Vec<f32> = (0..dim).map(|_| random()).collect();
    let data = (0..count).flat_map(|row| {
        let alike = row % 5 == 0;
        (0..dim).map(|i| if alike { template[i] + 0.001 * random() } else { random() }).collect::<Vec<_>>()
    });
    Vectors::normalised(dim, data.collect()).unwrap()
}

#[test]
fn above_floors_nothing_is_missed() {
    let (queries, rows) = (points(700, 40, 5), points(900, 40, 6));
    let expected = one_by_one(&queries, &rows, 6);
    // Of each query the third nearest is its floor; some have none, some look for nothing.
    let floors: Vec<f32> = (expected.iter().enumerate())
        .map(|(query, list)| match query % 5 {
            0 => f32::NEG_INFINITY,
            1 => f32::INFINITY,
            _ => list[2].1,
        })
        .collect();
    let found = Exact::new(Arc::new(rows)).search_above(&Exact::new(Arc::new(queries.clone())), 6, &floors).unwrap();
    for (query, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let reach = |list: &[(usize, f32)]| -> Vec<(usize, f32)> {
            list.iter().copied().filter(|(_, cosine)| *cosine >= floors[query]).collect()
        };
        assert_eq!(reach(found), reach(expected), "{query}");
    }
}

#[test]
fn candidates_from_a_device_in_f16_lead_to_the_same_neighbours() {
    let (queries, rows) = (points(300, 40, 3), points(900, 40, 4));
    let f16 = Compute { multiply: Multiply::F16, ..Compute::choose(Device::Cpu, Dtype::F32).unwrap()[0] };
    let nearest = Nearest::new(rows.data(), 40, f16).unwrap();
    let best = nearest.find(queries.data(), 6 + SLACK).unwrap();
    let candidates = Pools::found(&best.products, &best.rows, best.each);
    let found = settle(&queries, &rows, &candidates, 6, nearest.error(), |unsure| in_f32(unsure, &rows, 6)).unwrap();
    assert_eq!(found, one_by_one(&queries, &rows, 6));
}

#[test]
fn products_find_what_one_by_one_finds_both_ways_even_among_near_copies() {
    // Ends of bands and blocks included; a fifth of the rows differ by less than integers can tell.
    let (left, right) = (points(700, 40, 1), points(2_300, 40, 2));
    let expected = (one_by_one(&left, &right, 6), one_by_one(&right, &left, 6));
    let forms = if multiplies_int8() { vec![Form::Int8, Form::F32] } else { vec![Form::F32] };
    let right = Arc::new(right);
    for form in forms {
        // In two parts, then whole.
        for cut in [300, 700] {
            let mut both = BothWays::in_form(Arc::clone(&right), 6, form).unwrap();
            let mut found = both.forward(&left.picked(0..cut)).unwrap();
            if cut < 700 {
                found.extend(both.forward(&left.picked(cut..700)).unwrap());
            }
            assert_eq!(found, expected.0, "{form:?}");
            assert_eq!(both.backward(&left).unwrap(), expected.1, "{form:?}");
        }
        assert_eq!(again(&left, &right, None, 6, form).unwrap(), expected.0, "{form:?}");
    }
    assert_eq!(in_f32(&left, &right, 6).unwrap(), expected.0);
    assert!(BothWays::new(Arc::clone(&right), 6).unwrap().backward(&left).is_err());
    let index = Exact::new(right);
    assert_eq!((index.search(&left, 6).unwrap(), index.search(&left, 6).unwrap()), (expected.0.clone(), expected.0));
}
