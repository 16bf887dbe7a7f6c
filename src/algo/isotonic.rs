//! Isotonic regression: the rising step function nearest to labelled scores, by the pool-adjacent-violators algorithm
//! (Ayer et al. 1955; for calibration, Zadrozny & Elkan 2002).

/// A rising curve through the pooled blocks, straight between them and level beyond its ends.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Isotonic {
    /// Scores, ascending; where a block covers several, its first and its last.
    xs: Vec<f64>,
    /// Values at `xs`, never falling.
    ys: Vec<f64>,
}

impl Isotonic {
    /// The curve that minimises the squared error to examples (score, value, weight above 0), which must be finite.
    /// `None` without examples. Equal scores are one example with their mean. `O(n log n)`.
    pub fn fit(examples: &[(f64, f64, f64)]) -> Option<Self> {
        let mut sorted = examples.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut blocks: Vec<Block> = Vec::new();
        for (x, y, weight) in sorted {
            match blocks.last_mut().filter(|last| last.last == x) {
                Some(last) => last.absorb(&Block { first: x, last: x, sum: y * weight, weight }),
                None => blocks.push(Block { first: x, last: x, sum: y * weight, weight }),
            }
        }
        // Every block that is not above the one before it falls together with it.
        let mut pooled: Vec<Block> = Vec::with_capacity(blocks.len());
        for mut block in blocks {
            while let Some(before) = pooled.pop_if(|before| before.value() >= block.value()) {
                let mut joined = before;
                joined.absorb(&block);
                block = joined;
            }
            pooled.push(block);
        }
        let (mut xs, mut ys) = (Vec::new(), Vec::new());
        for block in &pooled {
            xs.push(block.first);
            ys.push(block.value());
            if block.last > block.first {
                xs.push(block.last);
                ys.push(block.value());
            }
        }
        (!xs.is_empty()).then_some(Self { xs, ys })
    }

    /// The value at a score.
    pub fn value(&self, x: f64) -> f64 {
        let after = self.xs.partition_point(|edge| *edge < x);
        if after == 0 {
            return self.ys[0];
        }
        if after == self.xs.len() {
            return self.ys[after - 1];
        }
        let share = (x - self.xs[after - 1]) / (self.xs[after] - self.xs[after - 1]);
        self.ys[after - 1] + share * (self.ys[after] - self.ys[after - 1])
    }
}

/// Neighbouring scores with one value.
#[derive(Debug, Clone)]
struct Block {
    first: f64,
    last: f64,
    sum: f64,
    weight: f64,
}

impl Block {
    fn value(&self) -> f64 {
        self.sum / self.weight
    }

    fn absorb(&mut self, next: &Self) {
        self.last = next.last;
        self.sum += next.sum;
        self.weight += next.weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(examples: &[(f64, f64)]) -> Isotonic {
        Isotonic::fit(&examples.iter().map(|(x, y)| (*x, *y, 1.0)).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn violators_are_pooled_by_hand() {
        // 1 3 2 4: the 3 and the 2 become 2.5 each. Then 0 after them pools 3, 2, 0 to 5/3, which is above 1.
        let curve = fit(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 4.0)]);
        let values: Vec<f64> = (1..=4).map(|x| curve.value(f64::from(x))).collect();
        assert_eq!(values, [1.0, 2.5, 2.5, 4.0]);
        let curve = fit(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 0.0)]);
        assert!((curve.value(3.0) - 5.0 / 3.0).abs() < 1e-12);
        assert_eq!((curve.value(-9.0), curve.value(9.0)), (1.0, curve.value(4.0)), "level beyond the ends");
        assert!((curve.value(1.5) - (1.0 + 5.0 / 3.0) / 2.0).abs() < 1e-12, "straight between");
    }

    #[test]
    fn equal_scores_are_one_example() {
        let curve = fit(&[(1.0, 0.0), (1.0, 1.0), (2.0, 1.0)]);
        assert_eq!((curve.value(1.0), curve.value(2.0)), (0.5, 1.0));
        assert_eq!(Isotonic::fit(&[]), None);
    }

    const GOLDEN_EXAMPLES: [(f64, f64, f64); 14] = [
        (1.65, 0.0, 1.1),
        (2.12, 1.0, 1.9),
        (0.87, 1.0, 2.0),
        (1.53, 0.0, 1.5),
        (2.68, 1.0, 1.9),
        (0.87, 0.0, 1.8),
        (0.38, 0.0, 1.1),
        (0.62, 0.0, 0.6),
        (0.15, 0.0, 1.5),
        (1.32, 1.0, 1.3),
        (0.09, 0.0, 1.0),
        (1.37, 0.0, 0.8),
        (1.95, 1.0, 1.1),
        (0.84, 1.0, 1.2),
    ];
    const GOLDEN_VALUES: [(f64, f64); 15] = [
        (-0.50, 0.0),
        (-0.21, 0.0),
        (0.07, 0.0),
        (0.36, 0.0),
        (0.64, 0.04217432052483603),
        (0.93, 0.46391752577319584),
        (1.21, 0.46391752577319584),
        (1.50, 0.46391752577319584),
        (1.79, 0.7140893470790379),
        (2.07, 1.0),
        (2.36, 1.0),
        (2.64, 1.0),
        (2.93, 1.0),
        (3.21, 1.0),
        (3.50, 1.0),
    ];

    /// `sklearn.isotonic.IsotonicRegression(out_of_bounds="clip")` 1.9.1 on these examples and weights.
    #[test]
    fn it_agrees_with_scikit_learn() {
        let examples = GOLDEN_EXAMPLES;
        let curve = Isotonic::fit(&examples).unwrap();
        for (x, expected) in GOLDEN_VALUES {
            assert!((curve.value(x) - expected).abs() < 1e-12, "{x}: {} {expected}", curve.value(x));
        }
    }

    proptest::proptest! {
        #[test]
        fn it_never_falls_and_keeps_the_mean(points in proptest::collection::vec((0_u8..20, 0_u8..2), 1..60)) {
            let examples: Vec<_> = points.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect();
            let curve = fit(&examples);
            let values: Vec<f64> = (0..40).map(|x| curve.value(f64::from(x) / 2.0)).collect();
            proptest::prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
            let (told, true_): (f64, f64) =
                examples.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + curve.value(*x), b + y));
            proptest::prop_assert!((told - true_).abs() < 1e-9);
        }
    }
}
