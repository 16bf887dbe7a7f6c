//! Token ids to batches: texts of like length together, so that little is computed for padding.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// Padded token ids.
#[derive(Debug)]
pub struct Batch {
    /// `[B, T]`, i64: token ids, filled up on the right.
    pub ids: Tensor,
    /// `[B, T]`, bool: true where a token stands. `None` when all rows are full: attention without a mask is faster.
    pub mask: Option<Tensor>,
}

impl Batch {
    /// Rows of token ids, filled up with `pad`.
    ///
    /// # Errors
    /// Kind `Bug` for a batch of no rows or an empty row (attention over nothing is not defined); kind `Model` when
    /// libtorch fails.
    pub fn new(rows: &[&[i64]], pad: i64, device: Device) -> Result<Self> {
        let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        if rows.iter().any(|row| row.is_empty()) || width == 0 {
            return Err(Error::bug("a batch without rows, or with a row without tokens"));
        }
        let shape = [signed(rows.len()), signed(width)];
        let mut ids = vec![pad; rows.len() * width];
        let mut mask = vec![false; ids.len()];
        for (row, at) in rows.iter().zip((0..ids.len()).step_by(width)) {
            ids[at..at + row.len()].copy_from_slice(row);
            mask[at..at + row.len()].fill(true);
        }
        let ids = Tensor::f_from_slice(&ids)?.f_view(shape)?.f_to_device(device)?;
        let mask = if mask.iter().all(|&token| token) {
            None
        } else {
            Some(Tensor::f_from_slice(&mask)?.f_view(shape)?.f_to_kind(Kind::Bool)?.f_to_device(device)?)
        };
        Ok(Self { ids, mask })
    }
}

/// Splits texts of these token counts into batches of at most `budget` tokens, padding included; a longer text is a
/// batch of its own. Longest first: a batch that does not fit the memory shows at once.
pub fn plan(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&text| std::cmp::Reverse(lengths[text]));
    let mut batches = Vec::new();
    let mut rest = order.as_slice();
    while let Some(&longest) = rest.first() {
        let rows = (budget / lengths[longest].max(1)).clamp(1, rest.len());
        let (batch, after) = rest.split_at(rows);
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

/// A count as libtorch wants it. No vector is longer than `i64::MAX`.
pub(super) fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_like_length_share_a_batch() {
        // 12 tokens: one row of 9; then two rows of 5 would fit 10, and did; then four of 3 or less.
        assert_eq!(plan(&[3, 9, 5, 1, 5, 2], 12), [vec![1], vec![2, 4], vec![0, 5, 3]]);
        assert_eq!(plan(&[30, 2], 12), [vec![0], vec![1]]);
        assert!(plan(&[], 12).is_empty());
    }

    #[test]
    fn rows_are_filled_up_on_the_right() {
        let batch = Batch::new(&[&[7, 8, 9], &[5]], 1, Device::Cpu).unwrap();
        assert_eq!(Vec::<i64>::try_from(batch.ids.flatten(0, -1)).unwrap(), [7, 8, 9, 5, 1, 1]);
        let mask = batch.mask.unwrap();
        assert_eq!(Vec::<bool>::try_from(mask.flatten(0, -1)).unwrap(), [true, true, true, true, false, false]);
        assert!(Batch::new(&[&[7], &[5]], 1, Device::Cpu).unwrap().mask.is_none());
        assert!(Batch::new(&[&[]], 1, Device::Cpu).is_err());
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_and_no_batch_is_over_budget(
            lengths in proptest::collection::vec(1_usize..200, 0..300),
            budget in 1_usize..2000,
        ) {
            let batches = plan(&lengths, budget);
            let mut seen: Vec<_> = batches.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in batches {
                let longest = batch.iter().map(|&text| lengths[text]).max().unwrap();
                prop_assert!(batch.len() == 1 || batch.len() * longest <= budget);
            }
        }
    }
}
