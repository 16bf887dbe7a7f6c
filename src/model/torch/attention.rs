//! Attention of each row to itself, in the networks that keep queries, keys and values in one matrix.

use tch::Tensor;

use super::batch::Batch;
use crate::error::Result;

/// softmax(q·kᵀ·scale + bias)·v (Vaswani et al. 2017), head by head, within each row.
///
/// `projected` is `[N, 3·inner]`: queries, keys and values side by side. `scale` is 1/√(inner / heads) when it is not
/// given. `bias` holds a `[1, heads, width, width]` for each group of the batch, or nothing. The result is
/// `[N, inner]`; what stands behind the last group is zero.
///
/// # Errors
/// Kind `Model`, when libtorch fails.
pub fn attend(projected: &Tensor, heads: i64, batch: &Batch, scale: Option<f64>, bias: &[Tensor]) -> Result<Tensor> {
    let (all, side_by_side) = projected.size2()?;
    let inner = side_by_side / 3;
    let mut parts = Vec::with_capacity(batch.groups.len() + 1);
    let mut done = 0;
    for (number, group) in batch.groups.iter().enumerate() {
        // [rows, T, 3, heads, inner / heads] → three of [rows, heads, T, inner / heads]
        let split = group.of(projected)?.f_view([group.rows, group.width, 3, heads, inner / heads])?;
        let part = |number| split.f_select(2, number)?.f_transpose(1, 2);
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        // [rows, T] → [rows, 1, 1, T]: the same for every head and every query.
        let seen = group.mask.as_ref().map(|mask| mask.f_unsqueeze(1)?.f_unsqueeze(1)).transpose()?;
        let mask = match (seen, bias.get(number)) {
            (seen, None) => seen,
            (None, Some(bias)) => Some(bias.shallow_clone()),
            (Some(seen), Some(bias)) => Some(bias.f_masked_fill(&seen.f_logical_not()?, f64::NEG_INFINITY)?),
        };
        let mixed =
            Tensor::f_scaled_dot_product_attention(&queries, &keys, &values, mask.as_ref(), 0.0, false, scale, false)?;
        done += group.rows * group.width;
        parts.push(mixed.f_transpose(1, 2)?.f_reshape([group.rows * group.width, inner])?);
    }
    if done < all {
        parts.push(Tensor::f_zeros([all - done, inner], (projected.f_kind()?, projected.device()))?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::f_cat(&parts, 0)? })
}
