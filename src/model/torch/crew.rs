//! A network at work on all that a machine has: the batches of a call, shared out.
//!
//! ```text
//!              ┌▶ a thread of the CPU ─ one batch at a time, packed, each operation on this thread alone ┐
//! ids ─ plan ──┤                                                                                         ├▶ rows
//!              └▶ or a thread a GPU ─ one batch at a time, padded, from the replica that lies there ─────┘
//! ```
//!
//! On a CPU the cores take a batch each, rather than all of them a share of each operation: nobody waits for the
//! slowest at the end of every operation, and what an operation does on one core only costs nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::batch::{Batch, Numbering, plan, rung};
use super::compute::{Compute, share_out, threads};
use super::network::Network;
use super::pooling::Head;
use crate::error::{Error, ErrorKind, Result};

/// Tokens of a batch on a CPU: more are no faster, and need more memory.
const TOKENS_CPU: usize = 512;
/// Tokens of a batch on a GPU, padding counted.
const TOKENS_GPU: usize = 32_768;

/// A network and its head on one device.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) network: Network,
    pub(super) head: Head,
    pub(super) compute: Compute,
}

// Tensor is Send, and not Sync because it can be changed through a shared reference. Nothing here does: a forward pass
// reads the weights, and libtorch promises that reading from several threads is sound.
#[expect(unsafe_code, reason = "threads read one replica's weights; nothing writes to them after loading")]
unsafe impl Sync for Replica {}

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making {
    /// The padding token. Masked, so any would do.
    pub(super) pad: i64,
    pub(super) numbering: Numbering,
    /// Numbers of a vector that are kept.
    pub(super) dim: usize,
    /// Tokens of a batch; `None` for what suits the device.
    pub(super) batch_tokens: Option<usize>,
    /// Whether rows of a batch are filled up to the longest, rather than packed.
    pub(super) padded: bool,
    /// Threads of a CPU; `None` for libtorch's own choice, one a core.
    pub(super) threads: Option<usize>,
}

/// All replicas of a network.
#[derive(Debug)]
pub(super) struct Crew {
    replicas: Vec<Replica>,
    pub(super) making: Making,
}

impl Crew {
    pub(super) fn new(replicas: Vec<Replica>, making: Making) -> Result<Self> {
        if replicas.is_empty() {
            return Err(Error::bug("a network on no device"));
        }
        Ok(Self { replicas, making })
    }

    fn on_cpu(&self) -> bool {
        self.replicas[0].compute.is_cpu()
    }

    /// How many texts a call should have, for every device to have enough to do and texts of like length to meet.
    pub(super) fn window(&self) -> usize {
        if self.on_cpu() { 1_024 } else { 16_384 * self.replicas.len() }
    }

    /// The vectors of these rows of tokens, in order, not yet of unit length: `rows.len() · dim` numbers. The first
    /// `skipped` tokens of each take no part in the pooling.
    ///
    /// # Errors
    /// Kind `Model`, when libtorch fails, with the size of the batch that it failed on.
    pub(super) fn encode(&self, rows: &[Vec<i64>], skipped: usize) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        let threads = self.making.threads.unwrap_or_else(threads).max(1);
        let budget = self.budget(lengths.iter().sum(), threads);
        let batches = plan(&lengths, budget, self.making.padded);
        let dim = self.making.dim;
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let done = Mutex::new((vec![0.0_f32; rows.len() * dim], Vec::<(usize, Error)>::new()));
        let work = |replica: &Replica| {
            let _no_grad = tch::no_grad_guard(); // counts for this thread only
            while !failed.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(batch) = batches.get(number) else { break };
                let texts: Vec<&[i64]> = batch.iter().map(|&text| rows[text].as_slice()).collect();
                let vectors = self.forward(replica, &texts, budget, skipped);
                // Held for a copy only, which does not panic.
                let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                match vectors {
                    Ok(vectors) => {
                        for (&text, vector) in batch.iter().zip(vectors.chunks_exact(dim)) {
                            done.0[text * dim..(text + 1) * dim].copy_from_slice(vector);
                        }
                    }
                    Err(error) => {
                        failed.store(true, Ordering::Relaxed);
                        let (count, longest) = (texts.len(), texts.iter().map(|row| row.len()).max().unwrap_or(0));
                        let doing = format!("encoding {count} texts, the longest of {longest} tokens");
                        done.1.push((number, error.while_doing(doing)));
                    }
                }
            }
        };
        let workers = if self.on_cpu() { threads.min(batches.len()).max(1) } else { self.replicas.len() };
        share_out(workers, (threads / workers).max(1), |worker| work(&self.replicas[worker % self.replicas.len()]));
        let (vectors, mut errors) = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        errors.sort_by_key(|(batch, _)| *batch);
        errors.into_iter().next().map_or(Ok(vectors), |(_, error)| Err(error))
    }

    /// Tokens of a batch: as asked for, and on a CPU no more than gives every thread one.
    fn budget(&self, tokens: usize, threads: usize) -> usize {
        match (self.making.batch_tokens, self.on_cpu()) {
            (Some(asked), _) => asked.max(1),
            (None, true) => tokens.div_ceil(threads).next_power_of_two().clamp(64, TOKENS_CPU),
            (None, false) => TOKENS_GPU,
        }
    }

    /// The vectors of one batch.
    fn forward(&self, replica: &Replica, rows: &[&[i64]], budget: usize, skipped: usize) -> Result<Vec<f32>> {
        let Making { pad, numbering, dim, .. } = self.making;
        let device = replica.compute.device;
        let batch = if self.making.padded {
            Batch::padded(rows, pad, numbering, device)?
        } else {
            let size = rung(rows.iter().map(|row| row.len()).sum(), budget);
            Batch::packed(rows, size, pad, numbering, device)?
        };
        let hidden = replica.network.forward(&batch)?;
        let vectors = replica.head.forward(&hidden, &batch, skipped)?; // [B, head's dim]
        let vectors =
            vectors.f_slice(1, 0, i64::try_from(dim).ok(), 1)?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let mut numbers = vec![0.0_f32; rows.len() * dim];
        vectors.f_copy_data(&mut numbers, rows.len() * dim)?;
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(Error::new(
                ErrorKind::Model,
                format!(
                    "the vectors hold numbers that are none (NaN or infinite) in {}: try the dtype f32, and if it is no \
                     better, the weights are damaged",
                    replica.compute.multiply
                ),
            ));
        }
        Ok(numbers)
    }
}
