//! How much two texts share.

use std::collections::HashMap;

/// F1 of the runs of `n` words that two texts share, each run counted as often as it stands there: 0 to 1, higher is
/// more alike. 1 only for texts of the same runs. `None` when neither text has a word; a text with fewer than `n`
/// words has no run, and so shares nothing.
pub fn shingle_f1(one: &[&str], other: &[&str], n: usize) -> Option<f64> {
    if one.is_empty() && other.is_empty() {
        return None;
    }
    let n = n.max(1);
    let mut counts: HashMap<&[&str], usize> = HashMap::new();
    for run in one.windows(n) {
        *counts.entry(run).or_default() += 1;
    }
    let mut shared = 0_usize;
    for run in other.windows(n) {
        if let Some(left) = counts.get_mut(run).filter(|left| **left > 0) {
            *left -= 1;
            shared += 1;
        }
    }
    let runs = one.len().saturating_sub(n - 1) + other.len().saturating_sub(n - 1);
    Some(if runs == 0 { 0.0 } else { 2.0 * shared as f64 / runs as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f1(one: &str, other: &str, n: usize) -> Option<f64> {
        let words = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
        shingle_f1(&words(one.to_owned().leak()), &words(other.to_owned().leak()), n)
    }

    #[test]
    fn values_worked_by_hand() {
        assert_eq!(f1("a b c", "a b c", 2), Some(1.0));
        // {ab, bc} and {ab, bd}: one shared of two each.
        assert_eq!(f1("a b c", "a b d", 2), Some(0.5));
        // {a, a, b} and {a, b}: two shared of three and two.
        assert_eq!(f1("a a b", "a b", 1), Some(0.8));
        assert_eq!(f1("a b c", "d e", 1), Some(0.0));
        assert_eq!(f1("a b", "", 1), Some(0.0));
        assert_eq!(f1("a b", "a b", 4), Some(0.0), "no run of four words");
        assert_eq!(f1("", "", 1), None);
    }

    proptest::proptest! {
        #[test]
        fn it_is_symmetric_and_within_its_range(one in "[abc ]{0,30}", other in "[abc ]{0,30}", n in 1_usize..4) {
            let forward = f1(&one, &other, n);
            proptest::prop_assert_eq!(forward, f1(&other, &one, n));
            proptest::prop_assert!(forward.is_none_or(|value| (0.0..=1.0).contains(&value)));
        }
    }
}
