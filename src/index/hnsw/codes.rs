//! Vectors as 8-bit integers: a fourth of f32's memory, and a walk through a graph mostly waits for memory.

use rayon::prelude::*;

use crate::record::Rows;

/// The largest step.
pub(super) const STEPS: f32 = 127.0;

/// Appends a unit vector in steps of this size. What is beyond the last step is cut.
pub(super) fn code(vector: &[f32], step: f32, to: &mut Vec<i8>) {
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    to.extend(vector.iter().map(|number| (number / step).round().clamp(-STEPS, STEPS) as i8));
}

/// The size of a step with which the largest number of these rows just fits.
pub(super) fn step(rows: &dyn Rows) -> f32 {
    let of_row = |row: usize, buffer: &mut Vec<f32>| {
        rows.read(row, buffer).iter().fold(0.0_f32, |largest, number| largest.max(number.abs()))
    };
    let each = (0..rows.rows()).into_par_iter().map_init(Vec::new, |buffer, row| of_row(row, buffer));
    let largest = each.reduce(|| 0.0, f32::max);
    if largest > 0.0 { largest / STEPS } else { 1.0 }
}

/// Sum of products. The same on every processor.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Vectors;

    #[test]
    fn codes_and_their_products_by_hand() {
        let numbers = [0.5, -0.25, 0.0, 0.9];
        let step = step(&Vectors::of_units(3, numbers[..3].to_vec()).unwrap());
        assert!((step - 0.5 / 127.0).abs() < 1e-9);
        let mut codes = Vec::new();
        code(&numbers, step, &mut codes);
        assert_eq!(codes, [127, -64, 0, 127]);
        assert_eq!(dot(&codes, &codes), 127 * 127 * 2 + 64 * 64);
        assert_eq!(dot(&[-127; 300], &[127; 300]), -127 * 127 * 300);
        assert_eq!(super::step(&Vectors::empty(3)), 1.0);
    }
}
