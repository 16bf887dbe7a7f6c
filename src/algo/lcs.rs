//! The longest common subsequence of two lists: what both have, in the same order.

/// Cells that are computed at most; beyond, what is neither at both beginnings nor at both ends counts as different.
const MOST_CELLS: usize = 16_000_000;

/// Places of the elements that both lists have in the same order, as many as there can be. Where several answers are
/// as long, equal beginnings are paired first.
///
/// Time and memory: the product of the lengths of what is left between the common beginning and the common end.
pub fn common<T: PartialEq>(one: &[T], other: &[T]) -> Vec<(usize, usize)> {
    let start = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (left, right) = (&one[start..], &other[start..]);
    let end = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[..left.len() - end], &right[..right.len() - end]);
    let mut pairs: Vec<(usize, usize)> = (0..start).map(|place| (place, place)).collect();
    pairs.extend(middle(left, right).into_iter().map(|(a, b)| (start + a, start + b)));
    pairs.extend((0..end).rev().map(|back| (one.len() - 1 - back, other.len() - 1 - back)));
    pairs
}

fn middle<T: PartialEq>(left: &[T], right: &[T]) -> Vec<(usize, usize)> {
    let width = right.len() + 1;
    if left.is_empty() || right.is_empty() || (left.len() + 1) * width > MOST_CELLS {
        return Vec::new();
    }
    // lengths[a][b]: of the longest common subsequence of what follows a and b.
    let mut lengths = vec![0_u32; (left.len() + 1) * width];
    for a in (0..left.len()).rev() {
        for b in (0..right.len()).rev() {
            lengths[a * width + b] = if left[a] == right[b] {
                lengths[(a + 1) * width + b + 1] + 1
            } else {
                lengths[(a + 1) * width + b].max(lengths[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while a < left.len() && b < right.len() {
        if left[a] == right[b] {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if lengths[(a + 1) * width + b] >= lengths[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(one: &str, other: &str) -> String {
        let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
        let pairs = common(&one, &other);
        assert!(pairs.iter().all(|&(a, b)| one[a] == other[b]));
        assert!(pairs.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        pairs.iter().map(|&(a, _)| one[a]).collect()
    }

    #[test]
    fn values_worked_by_hand() {
        assert_eq!(shared("abcde", "abcde"), "abcde");
        assert_eq!(shared("xabcy", "abzc"), "abc");
        assert_eq!(shared("abab", "baba"), "bab");
        assert_eq!(shared("abc", ""), "");
        assert_eq!(shared("abc", "xyz"), "");
    }

    proptest::proptest! {
        #[test]
        fn as_long_either_way_round(one in "[abc]{0,12}", other in "[abc]{0,12}") {
            proptest::prop_assert_eq!(shared(&one, &other).len(), shared(&other, &one).len());
        }
    }
}
