//! From a raw score to a probability: logistic regression on one feature, with a prior that carries it where there is
//! little data (Platt 1999, with a Gaussian prior in place of his smoothed targets).

/// `P(correct | x) = 1 / (1 + exp(−(slope · x + offset)))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logistic {
    /// Steepness.
    pub slope: f64,
    /// Log-odds at 0.
    pub offset: f64,
}

impl Logistic {
    /// The curve that passes through one half at `middle`, with the steepness `slope` there.
    pub fn through(middle: f64, slope: f64) -> Self {
        Self { slope, offset: -slope * middle }
    }

    /// Probability, 0 to 1.
    pub fn probability(self, x: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * x + self.offset)).exp())
    }

    /// The most probable curve given labelled scores and a prior centred on `self`, worth about `weight` examples.
    /// Newton's method on the convex loss; stops when the step is below 1e-9.
    ///
    /// Deterministic. Scores must be finite.
    #[must_use]
    pub fn fitted(self, examples: &[(f64, bool)], weight: f64) -> Self {
        // Centred and scaled, so that the prior means the same whatever the score's unit.
        let middle = -self.offset / self.slope;
        let (mut a, mut b) = (1.0_f64, 0.0_f64); // in units of the prior's own slope, around its middle
        let scaled: Vec<(f64, f64)> =
            examples.iter().map(|(x, label)| ((x - middle) * self.slope, f64::from(u8::from(*label)))).collect();
        let loss = |a: f64, b: f64| -> f64 {
            let data: f64 = scaled.iter().map(|(x, y)| softplus(a * x + b) - y * (a * x + b)).sum();
            data + weight * ((a - 1.0) * (a - 1.0) + b * b) / 2.0
        };
        let mut now = loss(a, b);
        for _ in 0..100 {
            let (mut ga, mut gb) = (weight * (a - 1.0), weight * b);
            let (mut haa, mut hab, mut hbb) = (weight, 0.0, weight);
            for (x, y) in &scaled {
                let p = 1.0 / (1.0 + (-(a * x + b)).exp());
                let w = p * (1.0 - p);
                ga += (p - y) * x;
                gb += p - y;
                haa += w * x * x;
                hab += w * x;
                hbb += w;
            }
            let determinant = haa * hbb - hab * hab;
            let (da, db) = ((ga * hbb - gb * hab) / determinant, (gb * haa - ga * hab) / determinant);
            // A full step overshoots where the curve is flat: halve it until the loss falls.
            let mut step = 1.0;
            while step > 1e-9 && loss(a - step * da, b - step * db) > now {
                step /= 2.0;
            }
            a -= step * da;
            b -= step * db;
            now = loss(a, b);
            if (step * da).abs().max((step * db).abs()) < 1e-9 {
                break;
            }
        }
        // A score that is higher when wrong would be a defect elsewhere: never turn the curve around.
        let a = a.max(0.05);
        let slope = a * self.slope;
        Self { slope, offset: b - slope * middle }
    }
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_examples_the_prior_stands() {
        let prior = Logistic::through(1.2, 20.0);
        let fitted = prior.fitted(&[], 10.0);
        assert!((fitted.probability(1.2) - 0.5).abs() < 1e-9);
        assert!((fitted.slope - 20.0).abs() < 1e-6);
    }

    #[test]
    fn many_examples_move_the_middle() {
        // Right above 1.5, wrong below; the prior believed in 1.1.
        let examples: Vec<_> = (0..400).map(|i| (1.3 + f64::from(i) * 0.001, i >= 200)).collect();
        let fitted = Logistic::through(1.1, 20.0).fitted(&examples, 2.0);
        assert!((fitted.probability(1.5) - 0.5).abs() < 0.1, "{fitted:?}");
        assert!(fitted.probability(1.3) < 0.05);
        assert!(fitted.probability(1.7) > 0.95);
    }

    #[test]
    fn it_finds_the_rate_of_a_coin() {
        // At one x, 75 of 100 are right: with a weak prior the curve says 0.75 there.
        let examples: Vec<_> = (0..10_000).map(|i| (1.0, i % 4 != 0)).collect();
        let p = Logistic::through(1.0, 1.0).fitted(&examples, 0.01).probability(1.0);
        assert!((p - 0.75).abs() < 1e-3, "{p}");
    }
}
