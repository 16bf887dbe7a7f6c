//! Token ids to batches.
//!
//! The tokens of all rows stand one after another in one dimension: whatever works token by token (matrices, norms,
//! activations) runs over `[N, d]` without a place for padding. Only attention looks across tokens, so it goes group by
//! group: a *group* is rows of one width. On a CPU rows are packed, and a group is the rows of equal length; where
//! starting a kernel costs more than a little padding (a GPU, a decoder), a batch is one group with a mask.

use std::collections::{BTreeMap, VecDeque};

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// How the tokens of a row are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// 0, 1, 2, …
    FromZero,
    /// The k-th token that is not the padding token, k = 1, 2, …, has the number k + pad; padding itself has the number
    /// pad. RoBERTa and M2M100 inherit it from fairseq.
    AfterPadding(i64),
}

/// The tokens of some texts.
#[derive(Debug)]
pub struct Batch {
    /// `[N]`, i64: the rows' token ids, one row after another.
    pub ids: Tensor,
    /// `[N]`, i64: the number of each token in its row.
    pub positions: Tensor,
    /// The rows. What stands behind the last group is padding.
    pub groups: Vec<Group>,
}

/// Rows of one width that stand one after another.
#[derive(Debug)]
pub struct Group {
    /// The first token's place among the batch's N.
    pub start: i64,
    /// How many rows.
    pub rows: i64,
    /// Tokens in a row.
    pub width: i64,
    /// `[rows, width]`, bool: true where a token stands. `None` when all rows are full: attention without a mask is
    /// faster.
    pub mask: Option<Tensor>,
}

impl Batch {
    /// All rows in one group, filled up on the right.
    ///
    /// # Errors
    /// Kind `Bug` for a batch of no rows or an empty row (attention over nothing is not defined); kind `Model` when
    /// libtorch fails.
    pub fn padded(rows: &[&[i64]], pad: i64, numbering: Numbering, device: Device) -> Result<Self> {
        let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let mut tokens = Tokens::new(numbering, pad, rows)?;
        let mut mask = vec![false; rows.len() * width];
        for (row, at) in rows.iter().zip((0..mask.len()).step_by(width.max(1))) {
            tokens.push(row);
            tokens.fill(at + width);
            mask[at..at + row.len()].fill(true);
        }
        let shape = [signed(rows.len()), signed(width)];
        let mask = if mask.iter().all(|&token| token) {
            None
        } else {
            Some(Tensor::f_from_slice(&mask)?.f_view(shape)?.f_to_kind(Kind::Bool)?.f_to_device(device)?)
        };
        tokens.into_batch(vec![Group { start: 0, rows: shape[0], width: shape[1], mask }], device)
    }

    /// The rows without padding between them, neighbours of equal length in one group; behind the last one as many
    /// padding tokens as make the batch `size` long (kernels that are compiled for a shape see few shapes then).
    ///
    /// # Errors
    /// As [`Self::padded`].
    pub fn packed(rows: &[&[i64]], size: usize, pad: i64, numbering: Numbering, device: Device) -> Result<Self> {
        let mut tokens = Tokens::new(numbering, pad, rows)?;
        let mut groups: Vec<Group> = Vec::new();
        for row in rows {
            let width = signed(row.len());
            match groups.last_mut().filter(|group| group.width == width) {
                Some(group) => group.rows += 1,
                None => groups.push(Group { start: signed(tokens.ids.len()), rows: 1, width, mask: None }),
            }
            tokens.push(row);
        }
        tokens.fill(size);
        tokens.into_batch(groups, device)
    }

    /// How many rows.
    pub fn rows(&self) -> i64 {
        self.groups.iter().map(|group| group.rows).sum()
    }
}

impl Group {
    /// `[N, d]` → `[rows, width, d]`, without a copy.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails.
    pub fn of(&self, tokens: &Tensor) -> Result<Tensor> {
        Ok(tokens.f_narrow(0, self.start, self.rows * self.width)?.f_view([self.rows, self.width, -1])?)
    }
}

/// Ids and positions, while they are put together.
struct Tokens {
    ids: Vec<i64>,
    positions: Vec<i64>,
    numbering: Numbering,
    pad: i64,
}

impl Tokens {
    fn new(numbering: Numbering, pad: i64, rows: &[&[i64]]) -> Result<Self> {
        if rows.is_empty() || rows.iter().any(|row| row.is_empty()) {
            return Err(Error::bug("a batch without rows, or with a row without tokens"));
        }
        Ok(Self { ids: Vec::new(), positions: Vec::new(), numbering, pad })
    }

    fn push(&mut self, row: &[i64]) {
        self.ids.extend_from_slice(row);
        match self.numbering {
            Numbering::FromZero => self.positions.extend((0..).take(row.len())),
            Numbering::AfterPadding(pad) => {
                let mut number = pad;
                self.positions.extend(row.iter().map(|&id| {
                    number += i64::from(id != pad);
                    if id == pad { pad } else { number }
                }));
            }
        }
    }

    /// Padding up to this many tokens in all.
    fn fill(&mut self, count: usize) {
        let position = match self.numbering {
            Numbering::FromZero => 0,
            Numbering::AfterPadding(pad) => pad,
        };
        let count = count.max(self.ids.len());
        self.ids.resize(count, self.pad);
        self.positions.resize(count, position);
    }

    fn into_batch(self, groups: Vec<Group>, device: Device) -> Result<Batch> {
        Ok(Batch {
            ids: Tensor::f_from_slice(&self.ids)?.f_to_device(device)?,
            positions: Tensor::f_from_slice(&self.positions)?.f_to_device(device)?,
            groups,
        })
    }
}

/// How long a packed batch of this many tokens is made: a power of two from 64 up to `budget`, then multiples of it.
///
/// oneDNN compiles its kernels for each shape, 11 ms each, and keeps only so many: a few shapes that come again and
/// again are worth some empty rows.
pub fn rung(tokens: usize, budget: usize) -> usize {
    if tokens >= budget {
        tokens.next_multiple_of(budget.max(1))
    } else {
        tokens.next_power_of_two().clamp(64, budget.max(64))
    }
}

/// Splits texts of these token counts into batches of at most `budget` tokens; a longer text is a batch of its own.
/// With `padded`, each text counts as much as the longest of its batch. Longest first: a batch that does not fit the
/// memory shows at once, and texts of equal length stand together. Without padding, what room is left behind long texts
/// is filled with the longest ones that fit, so that little of a batch is computed for nothing.
pub fn plan(lengths: &[usize], budget: usize, padded: bool) -> Vec<Vec<usize>> {
    let mut waiting: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
    for (text, &length) in lengths.iter().enumerate() {
        waiting.entry(length).or_default().push_back(text);
    }
    // The longest waiting text of at most so many tokens.
    let mut take = |most: usize| {
        let mut lengths = waiting.range_mut(..=most);
        let (&length, texts) = lengths.next_back()?;
        let text = texts.pop_front();
        if texts.is_empty() {
            waiting.remove(&length);
        }
        text
    };
    let mut batches = Vec::new();
    while let Some(first) = take(usize::MAX) {
        let longest = lengths[first];
        let (mut batch, mut tokens) = (vec![first], longest);
        while tokens < budget {
            let room = budget - tokens;
            let most = if !padded {
                room
            } else if room >= longest {
                longest
            } else {
                break;
            };
            let Some(text) = take(most) else { break };
            tokens += if padded { longest } else { lengths[text] };
            batch.push(text);
        }
        batches.push(batch);
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

    fn numbers(tensor: &Tensor) -> Vec<i64> {
        Vec::<i64>::try_from(tensor.flatten(0, -1)).unwrap()
    }

    #[test]
    fn texts_of_like_length_share_a_batch() {
        // 12 tokens: 9 + 3; 5 + 5 + 2; what is left.
        assert_eq!(plan(&[3, 9, 5, 1, 5, 2], 12, false), [vec![1, 0], vec![2, 4, 5], vec![3]]);
        // 3 + 3 + 2 + 1 fit 9 packed; padded they would be 12.
        assert_eq!(plan(&[3, 3, 2, 1], 9, false), [vec![0, 1, 2, 3]]);
        assert_eq!(plan(&[3, 3, 2, 1], 9, true), [vec![0, 1, 2], vec![3]]);
        assert_eq!(plan(&[30, 2], 12, false), [vec![0], vec![1]]);
        assert_eq!(plan(&[5, 5, 1], 7, true), [vec![0], vec![1], vec![2]], "a short row costs as much as a long one");
        assert!(plan(&[], 12, true).is_empty());
    }

    #[test]
    fn rows_are_filled_up_on_the_right() {
        let batch = Batch::padded(&[&[7, 8, 9], &[5]], 1, Numbering::AfterPadding(1), Device::Cpu).unwrap();
        assert_eq!(numbers(&batch.ids), [7, 8, 9, 5, 1, 1]);
        assert_eq!(numbers(&batch.positions), [2, 3, 4, 2, 1, 1]);
        let mask = batch.groups[0].mask.as_ref().unwrap();
        assert_eq!(Vec::<bool>::try_from(mask.flatten(0, -1)).unwrap(), [true, true, true, true, false, false]);
        let full = Batch::padded(&[&[7], &[5]], 1, Numbering::FromZero, Device::Cpu).unwrap();
        assert!(full.groups[0].mask.is_none());
        assert!(Batch::padded(&[&[]], 1, Numbering::FromZero, Device::Cpu).is_err());
        assert!(Batch::packed(&[], 8, 1, Numbering::FromZero, Device::Cpu).is_err());
    }

    #[test]
    fn packed_rows_stand_one_after_another() {
        let rows: [&[i64]; 3] = [&[7, 8], &[5, 6], &[4]];
        let batch = Batch::packed(&rows, 8, 0, Numbering::FromZero, Device::Cpu).unwrap();
        assert_eq!(numbers(&batch.ids), [7, 8, 5, 6, 4, 0, 0, 0]);
        assert_eq!(numbers(&batch.positions), [0, 1, 0, 1, 0, 0, 0, 0]);
        let groups: Vec<_> = batch.groups.iter().map(|group| (group.start, group.rows, group.width)).collect();
        assert_eq!(groups, [(0, 2, 2), (4, 1, 1)]);
        assert_eq!(batch.rows(), 3);
        assert_eq!(numbers(&batch.groups[1].of(&batch.ids.unsqueeze(1)).unwrap()), [4]);
    }

    #[test]
    fn a_padding_token_in_a_text_has_no_number_of_its_own() {
        let batch = Batch::packed(&[&[7, 1, 8]], 4, 1, Numbering::AfterPadding(1), Device::Cpu).unwrap();
        assert_eq!(numbers(&batch.positions), [2, 1, 3, 1]);
    }

    #[test]
    fn few_lengths_of_batches() {
        assert_eq!(
            [1, 64, 65, 300, 512, 513, 1024].map(|tokens| rung(tokens, 512)),
            [64, 64, 128, 512, 512, 1024, 1024]
        );
        assert_eq!([10, 90, 110].map(|tokens| rung(tokens, 100)), [64, 100, 200]);
        assert_eq!([3, 20].map(|tokens| rung(tokens, 8)), [64, 24]);
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_and_no_batch_is_over_budget(
            lengths in proptest::collection::vec(1_usize..200, 0..300),
            budget in 1_usize..2000,
            padded in proptest::bool::ANY,
        ) {
            let batches = plan(&lengths, budget, padded);
            let mut seen: Vec<_> = batches.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in batches {
                let longest = batch.iter().map(|&text| lengths[text]).max().unwrap();
                let sum: usize = batch.iter().map(|&text| lengths[text]).sum();
                let cost = if padded { batch.len() * longest } else { sum };
                prop_assert!(batch.len() == 1 || cost <= budget);
                prop_assert!(rung(sum, budget) >= sum);
            }
        }
    }
}
