//! Taking a network's tensors out of a checkpoint.

use tch::{Device, Kind, Tensor};

use super::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::model::torch::layers::{LayerNorm, Linear, LowRank};

/// How many names an error lists before it counts the rest.
const LISTED: usize = 12;

/// Takes tensors out of a checkpoint and remembers what was not there, so that one error can name everything.
///
/// A tensor that is missing or misshapen comes back empty; [`Loader::finish`] must be called before any is used.
#[derive(Debug)]
#[must_use = "what is missing is only reported by `finish`"]
pub struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    prefixes: &'a [&'a str],
    device: Device,
    kind: Kind,
    asked: usize,
    missing: Vec<String>,
    misshapen: Vec<String>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint, prefixes: &'a [&'a str], device: Device) -> Self {
        let (missing, misshapen) = (Vec::new(), Vec::new());
        Self { checkpoint, prefixes, device, kind: Kind::Float, asked: 0, missing, misshapen }
    }

    /// Gives tensors in numbers of this kind; without it, in f32.
    pub fn in_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Whether all that was asked for so far was there, in its shape.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty()
    }

    /// The tensor of a name and a shape.
    ///
    /// # Errors
    /// Kind `Model`: it is stored as integers, or libtorch fails. That it is missing is an error of [`Self::finish`].
    pub fn tensor(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        self.asked += 1;
        let Some(stored) = self.find(name) else {
            self.missing.push(name.to_owned());
            return Ok(Tensor::new());
        };
        let dims = self.checkpoint.shape(&stored).unwrap_or_default();
        if !dims.iter().map(|&n| i64::try_from(n).ok()).eq(shape.iter().map(|&n| Some(n))) {
            self.misshapen.push(format!("{name} is {dims:?} and should be {shape:?}"));
            return Ok(Tensor::new());
        }
        self.checkpoint.read(&stored, self.kind, self.device)
    }

    /// The tensor of a shape under the first of these names that is there: some models hold one tensor under several.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn tensor_of(&mut self, names: &[&str], shape: &[i64]) -> Result<Tensor> {
        let held = names.iter().find(|name| self.find(name).is_some()).or(names.first());
        self.tensor(held.copied().unwrap_or_default(), shape)
    }

    /// `NAME.weight` and, if there should be one, `NAME.bias`; and what an adapter adds, if that is kept apart.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn linear(&mut self, name: &str, inputs: i64, outputs: i64, bias: bool) -> Result<Linear> {
        let weight = self.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = if bias { Some(self.tensor(&format!("{name}.bias"), &[outputs])?) } else { None };
        let stored = self.find(&format!("{name}.weight"));
        let delta = stored.map(|stored| self.checkpoint.delta_apart(&stored, self.device)).transpose()?.flatten();
        let (kind, start) = (self.kind, 0);
        let low_rank = delta
            .map(|(down, up)| Ok::<_, Error>(LowRank { down: down.f_to_kind(kind)?, up: up.f_to_kind(kind)?, start }))
            .transpose()?;
        Ok(Linear { weight, bias, low_rank: low_rank.into_iter().collect() })
    }

    /// `NAME.weight` and `NAME.bias`.
    ///
    /// # Errors
    /// As [`Self::tensor`].
    pub fn layer_norm(&mut self, name: &str, width: i64, eps: f64) -> Result<LayerNorm> {
        let weight = self.tensor(&format!("{name}.weight"), &[width])?;
        let bias = self.tensor(&format!("{name}.bias"), &[width])?;
        Ok(LayerNorm { weight, bias, eps })
    }

    /// Under which name the file keeps it. Checkpoints converted from TensorFlow call a LayerNorm's weight and bias
    /// gamma and beta.
    fn find(&self, name: &str) -> Option<String> {
        let older = name
            .strip_suffix("LayerNorm.weight")
            .map(|start| format!("{start}LayerNorm.gamma"))
            .or_else(|| name.strip_suffix("LayerNorm.bias").map(|start| format!("{start}LayerNorm.beta")));
        std::iter::once(name.to_owned())
            .chain(older)
            .flat_map(|name| self.prefixes.iter().map(move |prefix| format!("{prefix}{name}")))
            .find(|stored| self.checkpoint.homes.contains_key(stored))
    }

    /// Ends the loading.
    ///
    /// # Errors
    /// Kind `Model`: names of all tensors that were not in the file or had another shape.
    pub fn finish(self) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        let mut message = self.checkpoint.place.display().to_string();
        if !self.missing.is_empty() {
            let prefixes: Vec<_> = self.prefixes.iter().map(|prefix| format!("{prefix:?}")).collect();
            message += &format!(
                ": {} of the {} tensors of this architecture are missing (looked for behind {}): {}",
                self.missing.len(),
                self.asked,
                prefixes.join(", "),
                listed(&self.missing)
            );
            let mut held: Vec<_> = self.checkpoint.homes.keys().cloned().collect();
            held.sort();
            message += &format!("; the file holds {} tensors: {}", held.len(), listed(&held));
        }
        if !self.misshapen.is_empty() {
            message += &format!(": other shapes than the configuration asks for: {}", listed(&self.misshapen));
        }
        Err(Error::new(ErrorKind::Model, message))
    }
}

/// The first few, and how many more there are.
fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(LISTED)].join(", ");
    if names.len() > LISTED {
        text += &format!(" and {} more", names.len() - LISTED);
    }
    text
}
