//! Exact search against one cosine at a time.

use super::*;
use crate::index::cosine;
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
        let found = Exact::new(vectors.clone()).search(&vectors, k).unwrap();
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
    assert_eq!(Exact::new(vectors.clone()).search(&vectors, 5).unwrap()[0].len(), 1);
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
fn offers_are_what_a_search_the_other_way_finds_above_the_floors() {
    let (queries, rows) = (points(700, 40, 5), points(2_900, 40, 6));
    let (found, expected) = (one_by_one(&queries, &rows, 6), one_by_one(&rows, &queries, 6));
    // Of each row the third nearest is its floor; some have none, some are offered nothing.
    let floors: Vec<f32> = (expected.iter().enumerate())
        .map(|(row, list)| match row % 5 {
            0 => f32::NEG_INFINITY,
            1 => f32::INFINITY,
            _ => list[2].1,
        })
        .collect();
    let reaching = |(row, list): (usize, &Vec<(usize, f32)>)| {
        let list: Vec<_> = list.iter().copied().filter(|(_, cosine)| *cosine >= floors[row]).collect();
        (!list.is_empty()).then_some((row, list))
    };
    let expected: Offers = expected.iter().enumerate().filter_map(reaching).collect();
    assert!(expected.iter().any(|(_, list)| list.len() == 6) && expected.iter().any(|(_, list)| list.len() == 3));
    let index = Exact::new(Arc::new(rows));
    let sorted = |mut offers: Offers| {
        offers.sort_by_key(|(row, _)| *row);
        offers
    };
    let (own, offers) = index.search_and_offer(&queries, 6, &floors).unwrap();
    assert_eq!((own, sorted(offers)), (found, expected.clone()));
    assert_eq!(sorted(index.offer(&queries, 6, &floors).unwrap()), expected);
    assert_eq!(sorted(index.offer_by_search(&queries, 6, &floors).unwrap()), expected);
    // Few enough for one cosine at a time, and none at all.
    let few = queries.picked(0..9);
    let (own, offers) = index.search_and_offer(&few, 6, &vec![f32::NEG_INFINITY; 2_900]).unwrap();
    assert_eq!((own, offers.len()), (one_by_one(&few, &**index.rows(), 6), 2_900));
    assert_eq!(index.search_and_offer(&queries.picked([]), 6, &floors).unwrap(), (Vec::new(), Vec::new()));
    assert!(index.offer(&few, 6, &floors[1..]).is_err(), "a floor is missing");
}

#[test]
fn candidates_from_a_device_in_f16_lead_to_the_same_neighbours() {
    let (queries, rows) = (points(300, 40, 3), points(900, 40, 4));
    let f16 = Compute { multiply: Multiply::F16, ..Compute::choose(Device::Cpu, Dtype::F32).unwrap()[0] };
    let nearest = Nearest::new(&rows, f16).unwrap();
    let best = nearest.find(queries.data(), 6 + SLACK).unwrap();
    let candidates = Pools::found(&best.products, &best.rows, best.each, nearest.error());
    let found = settle(&queries, &rows, &candidates, 6, |unsure| in_f32(unsure, &rows, 6)).unwrap();
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
            let mut both = BothWays::in_form(right.clone(), 6, form).unwrap();
            let mut found = both.forward(&left.picked(0..cut)).unwrap();
            if cut < 700 {
                found.extend(both.forward(&left.picked(cut..700)).unwrap());
            }
            assert_eq!(found, expected.0, "{form:?}");
            assert_eq!(both.backward(&left).unwrap(), expected.1, "{form:?}");
        }
        assert_eq!(again(&left, &*right, None, 6, form).unwrap(), expected.0, "{form:?}");
    }
    assert_eq!(in_f32(&left, &*right, 6).unwrap(), expected.0);
    assert!(BothWays::new(right.clone(), 6).unwrap().backward(&left).is_err());
    let index = Exact::new(right);
    assert_eq!((index.search(&left, 6).unwrap(), index.search(&left, 6).unwrap()), (expected.0.clone(), expected.0));
}
