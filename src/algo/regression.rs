//! Logistic regression on several features, by Newton's method with a Gaussian prior on the weights.

use serde::{Deserialize, Serialize};

/// `P(right | x) = 1 / (1 + exp(−(offset + Σ weight · (x − mean) / scale)))`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Mean of each feature among the examples.
    means: Vec<f64>,
    /// Standard deviation of each; 1 for one that never changes.
    scales: Vec<f64>,
    /// Weight of each, in log-odds a standard deviation.
    pub weights: Vec<f64>,
    /// Log-odds at the means.
    offset: f64,
}

impl Regression {
    /// The most probable weights of labelled examples, all with as many finite features, under a prior of variance
    /// `1 / prior` on each weight (none on the offset). `None` without examples of both kinds. Deterministic.
    pub fn fit(examples: &[(Vec<f64>, bool)], prior: f64) -> Option<Self> {
        let count = examples.len() as f64;
        let width = examples.first()?.0.len();
        if examples.iter().all(|(_, right)| *right) || !examples.iter().any(|(_, right)| *right) {
            return None;
        }
        let mean = |of: &dyn Fn(&[f64]) -> f64| examples.iter().map(|(x, _)| of(x)).sum::<f64>() / count;
        let means: Vec<f64> = (0..width).map(|place| mean(&|x| x[place])).collect();
        let scales: Vec<f64> = (0..width)
            .map(|place| mean(&|x| (x[place] - means[place]).powi(2)).sqrt())
            .map(|deviation| if deviation > 1e-9 { deviation } else { 1.0 })
            .collect();
        let mut fitted = Self { means, scales, weights: vec![0.0; width], offset: 0.0 };
        let rows: Vec<(Vec<f64>, f64)> = examples
            .iter()
            .map(|(x, right)| (fitted.scaled(x).chain([1.0]).collect(), f64::from(u8::from(*right))))
            .collect();
        let mut now = vec![0.0; width + 1];
        let mut loss = objective(&rows, &now, prior);
        for _ in 0..100 {
            let step = newton_step(&rows, &now, prior);
            // A full step overshoots where the curve is flat: halve it until the loss falls.
            let mut share = 1.0;
            let next = loop {
                let next: Vec<f64> = now.iter().zip(&step).map(|(now, step)| now - share * step).collect();
                if share < 1e-9 || objective(&rows, &next, prior) <= loss {
                    break next;
                }
                share /= 2.0;
            };
            let moved = next.iter().zip(&now).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            loss = objective(&rows, &next, prior);
            now = next;
            if moved < 1e-10 {
                break;
            }
        }
        fitted.offset = now.pop()?;
        fitted.weights = now;
        Some(fitted)
    }

    fn scaled<'a>(&'a self, x: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        x.iter().zip(&self.means).zip(&self.scales).map(|((x, mean), scale)| (x - mean) / scale)
    }

    /// The log-odds of an example.
    pub fn log_odds(&self, x: &[f64]) -> f64 {
        self.offset + self.scaled(x).zip(&self.weights).map(|(x, weight)| x * weight).sum::<f64>()
    }
}

/// The probability of log-odds, 0 to 1.
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The negative log posterior. The last weight is the offset, which has no prior.
fn objective(rows: &[(Vec<f64>, f64)], weights: &[f64], prior: f64) -> f64 {
    let data: f64 = rows
        .iter()
        .map(|(x, y)| {
            let z = dot(x, weights);
            z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z
        })
        .sum();
    data + prior * weights[..weights.len() - 1].iter().map(|weight| weight * weight).sum::<f64>() / 2.0
}

/// The inverse Hessian times the gradient.
fn newton_step(rows: &[(Vec<f64>, f64)], weights: &[f64], prior: f64) -> Vec<f64> {
    let width = weights.len();
    let mut hessian = vec![vec![0.0; width]; width];
    let mut gradient = vec![0.0; width];
    for place in 0..width {
        let own = if place + 1 < width { prior } else { 0.0 };
        // A trace of the prior on the offset keeps the matrix invertible whatever the examples.
        hessian[place][place] = own.max(1e-9);
        gradient[place] = own * weights[place];
    }
    for (x, y) in rows {
        let p = probability(dot(x, weights));
        for a in 0..width {
            gradient[a] += (p - y) * x[a];
            for b in 0..width {
                hessian[a][b] += p * (1.0 - p) * x[a] * x[b];
            }
        }
    }
    solved(hessian, gradient)
}

fn dot(x: &[f64], weights: &[f64]) -> f64 {
    x.iter().zip(weights).map(|(x, weight)| x * weight).sum()
}

/// Solves a positive definite system by Gaussian elimination with pivots.
fn solved(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let width = right.len();
    for column in 0..width {
        let pivot = (column..width)
            .max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))
            .unwrap_or(column);
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let (above, below) = matrix.split_at_mut(column + 1);
        for (place, row) in below.iter_mut().enumerate() {
            let factor = row[column] / above[column][column];
            row.iter_mut().zip(&above[column]).skip(column).for_each(|(own, other)| *own -= factor * other);
            right[column + 1 + place] -= factor * right[column];
        }
    }
    for row in (0..width).rev() {
        let known: f64 = (row + 1..width).map(|place| matrix[row][place] * right[place]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_rate_of_a_coin() {
        // A feature that says nothing: the offset alone must give 3 of 4.
        let examples: Vec<_> = (0..400).map(|i| (vec![f64::from(i % 2)], i % 4 < 3)).collect();
        let fitted = Regression::fit(&examples, 1.0).unwrap();
        let mean = examples.iter().map(|(x, _)| probability(fitted.log_odds(x))).sum::<f64>() / 400.0;
        assert!((mean - 0.75).abs() < 1e-6, "{mean}");
    }

    #[test]
    fn a_system_by_hand() {
        // 2x + y = 5, x + 3y = 10: x = 1, y = 3.
        let found = solved(vec![vec![2.0, 1.0], vec![1.0, 3.0]], vec![5.0, 10.0]);
        assert!((found[0] - 1.0).abs() < 1e-12 && (found[1] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_kind_of_example_teaches_nothing() {
        assert_eq!(Regression::fit(&[(vec![1.0], true)], 1.0), None);
        assert_eq!(Regression::fit(&[], 1.0), None);
    }

    const GOLDEN_EXAMPLES: [(f64, f64, bool); 12] = [
        (0.44, 1.35, true),
        (2.43, 1.74, true),
        (0.11, 10.91, true),
        (-0.91, 0.04, false),
        (0.19, 1.35, true),
        (-1.19, 1.98, false),
        (-0.36, 6.02, true),
        (-1.66, -0.5, false),
        (1.15, 12.29, true),
        (-1.51, 6.22, false),
        (-0.98, -1.28, false),
        (-0.87, 0.89, false),
    ];
    const GOLDEN_LOG_ODDS: [f64; 12] = [
        0.75605104,
        3.37188387,
        1.89187941,
        -1.18899913,
        0.43541902,
        -1.23172817,
        0.49162088,
        -2.23895940,
        3.45076160,
        -0.95067005,
        -1.49404416,
        -0.99907842,
    ];

    /// `sklearn.linear_model.LogisticRegression(C=1)` of 1.9.1 on the same examples, features standardised before.
    #[test]
    fn it_agrees_with_scikit_learn() {
        let examples = GOLDEN_EXAMPLES.map(|(a, b, right)| (vec![a, b], right));
        let fitted = Regression::fit(&examples, 1.0).unwrap();
        for ((x, _), expected) in examples.iter().zip(GOLDEN_LOG_ODDS) {
            assert!((fitted.log_odds(x) - expected).abs() < 1e-5, "{x:?}: {} {expected}", fitted.log_odds(x));
        }
    }
}
