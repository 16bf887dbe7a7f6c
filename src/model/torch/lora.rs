//! LoRA (Hu et al. 2022): W + scale·B·A in place of W, with A `[r, in]` and B `[out, r]`. Here: which tensors of a PEFT
//! file change which matrices of a base, and such files written.

use std::collections::HashMap;
use std::path::Path;

use tch::Tensor;

use super::weights::write_tensors;
use crate::error::{Error, ErrorKind, Result};
use crate::model::adapter::{AdapterConfig, WEIGHTS};

/// What is added to a matrix: scale·B·A. The names are those of the adapter's file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Delta {
    /// A, `[r, in]`.
    pub(super) down: String,
    /// B, `[out, r]`.
    pub(super) up: String,
    /// alpha / r, or alpha / √r.
    pub(super) scale: f64,
}

/// What an adapter does to a base.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// By the base's names.
    pub(super) deltas: HashMap<String, Delta>,
    /// The base's name (or a new one), and the adapter's: tensors stored whole.
    pub(super) replaced: Vec<(String, String)>,
}

/// Reads an adapter's tensor names against those of a base, which come with their shapes.
///
/// # Errors
/// Kind `Model`: a tensor that is neither A, B nor a whole module, half of a pair, a module that the base does not have
/// or has twice, shapes that do not fit.
pub(super) fn changes(
    config: &AdapterConfig,
    names: &[String],
    shape: impl Fn(&str) -> Vec<usize>,
    base: &HashMap<String, Vec<usize>>,
) -> Result<Changes> {
    let mut halves: HashMap<String, (Option<&String>, Option<&String>)> = HashMap::new();
    let mut changes = Changes::default();
    for name in names {
        let path = name.strip_prefix("base_model.").unwrap_or(name);
        let path = path.strip_prefix("model.").filter(|_| name.starts_with("base_model.model.")).unwrap_or(path);
        // The adapter's name, which peft takes away on saving and other tools leave.
        let path = path.replace(".default.", ".");
        if let Some(module) = path.strip_suffix(".lora_A.weight") {
            halves.entry(module.to_owned()).or_default().0 = Some(name);
        } else if let Some(module) = path.strip_suffix(".lora_B.weight") {
            halves.entry(module.to_owned()).or_default().1 = Some(name);
        } else if path.contains(".lora_") {
            return Err(wrong(format!("the tensor {name} is of a kind that is not supported (lora_A and lora_B are)")));
        } else if !path.contains(".original_module.") {
            let whole = path.replace(".modules_to_save.", ".");
            changes.replaced.push((place(&whole, base)?.unwrap_or(whole), name.clone()));
        }
    }
    for (module, halves) in halves {
        let (Some(down), Some(up)) = halves else {
            return Err(wrong(format!("of lora_A and lora_B of {module} only one is there")));
        };
        let Some(matrix) = place(&format!("{module}.weight"), base)? else {
            return Err(wrong(format!("it changes {module}, which the base does not have: it is of another model")));
        };
        let (a, b, w) = (shape(down), shape(up), &base[&matrix]);
        let fits = a.len() == 2 && b.len() == 2 && a[0] == b[1] && *w == [b[0], a[1]];
        if !fits {
            return Err(wrong(format!("{module}: A {a:?} and B {b:?} do not make the base's {w:?}")));
        }
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        if (a[0] as f64 - config.rank_of(&module)).abs() > 0.5 {
            let told = config.rank_of(&module);
            return Err(wrong(format!("{module}: A has {} rows, and adapter_config.json says r = {told}", a[0])));
        }
        let delta = Delta { down: down.clone(), up: up.clone(), scale: config.scale(&module) };
        changes.deltas.insert(matrix, delta);
    }
    Ok(changes)
}

/// Under which name the base keeps a tensor: its own, or with one part more or less before it (`bert.`, `model.`), since
/// an adapter may have been trained on the bare encoder and be laid over a model with a head, or the other way round.
fn place(name: &str, base: &HashMap<String, Vec<usize>>) -> Result<Option<String>> {
    if base.contains_key(name) {
        return Ok(Some(name.to_owned()));
    }
    let without = name.split_once('.').map(|(_, rest)| rest).filter(|rest| base.contains_key(*rest));
    if let Some(without) = without {
        return Ok(Some(without.to_owned()));
    }
    let more = |held: &str| {
        held.strip_suffix(name).and_then(|start| start.strip_suffix('.')).is_some_and(|first| !first.contains('.'))
    };
    let mut found: Vec<&String> = base.keys().filter(|held| more(held)).collect();
    found.sort();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        several => Err(wrong(format!("{name} may be {} or {}", several[0], several[1]))),
    }
}

/// The two matrices of a changed module.
#[derive(Debug)]
pub struct Pair {
    /// The module's path in the model of transformers (`encoder.layer.0.attention.self.query`).
    pub module: String,
    /// A, `[r, in]`.
    pub down: Tensor,
    /// B, `[out, r]`.
    pub up: Tensor,
}

/// Writes an adapter's folder, which peft reads: its settings, the pairs, and tensors that are stored whole, by their
/// names in the model.
///
/// # Errors
/// Kind `Model`: shapes that do not fit the settings' rank. Kind `Store`: the folder cannot be written.
pub fn write_adapter(folder: &Path, config: &AdapterConfig, pairs: &[Pair], whole: &[(String, Tensor)]) -> Result<()> {
    let mut tensors = Vec::with_capacity(2 * pairs.len() + whole.len());
    for Pair { module, down, up } in pairs {
        let rank = down.size().first().copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        if up.size().get(1) != Some(&rank) || (rank as f64 - config.rank_of(module)).abs() > 0.5 {
            let told = config.rank_of(module);
            return Err(wrong(format!("{module}: A {:?} and B {:?} have not the rank {told}", down.size(), up.size())));
        }
        tensors.push((format!("base_model.model.{module}.lora_A.weight"), down.shallow_clone()));
        tensors.push((format!("base_model.model.{module}.lora_B.weight"), up.shallow_clone()));
    }
    tensors.extend(whole.iter().map(|(name, tensor)| (format!("base_model.model.{name}"), tensor.shallow_clone())));
    write_tensors(&folder.join(WEIGHTS), &tensors)?;
    // Last: a folder with settings is a whole one.
    config.write(folder)
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Model, message)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tch::{Device, Kind};

    use super::super::weights::Checkpoint;
    use super::*;

    fn base() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bert-cls-dense")
    }

    fn config() -> AdapterConfig {
        AdapterConfig {
            base: Some("bert-cls-dense".into()),
            rank: 2,
            alpha: 6.0,
            rslora: false,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            target_modules: vec!["query".into()],
            modules_to_save: Vec::new(),
            task: Some("FEATURE_EXTRACTION".into()),
            dropout: 0.0,
        }
    }

    fn pair(module: &str, inputs: i64) -> Pair {
        let down = Tensor::ones([2, inputs], (Kind::Float, Device::Cpu));
        let up = Tensor::ones([32, 2], (Kind::Float, Device::Cpu)) * 0.5;
        Pair { module: module.into(), down, up }
    }

    #[test]
    fn an_adapter_that_is_written_changes_its_base_by_alpha_over_r_times_ba() {
        let kept = std::env::var_os("KOPRI_KEEP_ADAPTER").map(PathBuf::from);
        let temporary = tempfile::tempdir().unwrap();
        let folder = kept.unwrap_or_else(|| temporary.path().to_path_buf());
        let name = "encoder.layer.1.attention.self.query";
        write_adapter(&folder, &config(), &[pair(name, 32)], &[]).unwrap();
        let (plain, adapted) =
            (Checkpoint::open(&base()).unwrap(), Checkpoint::open_adapted(&base(), &folder).unwrap());
        let weight = format!("{name}.weight");
        let difference = adapted.tensor(&weight).unwrap() - plain.tensor(&weight).unwrap();
        // Two columns of 0.5 times two rows of 1 make 1 everywhere; times 6 / 2.
        assert!(difference.allclose(&Tensor::from(3.0_f32), 1e-5, 1e-5, false));
        let other = "encoder.layer.0.attention.self.query.weight";
        assert!(adapted.tensor(other).unwrap().equal(&plain.tensor(other).unwrap()));
        assert_ne!(adapted.hash(), plain.hash());
    }

    #[test]
    fn an_adapter_of_another_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (pair, part) in [
            (pair("encoder.layer.7.attention.self.query", 32), "which the base does not have"),
            (pair("encoder.layer.1.attention.self.query", 31), "do not make the base's"),
        ] {
            write_adapter(folder.path(), &config(), &[pair], &[]).unwrap();
            let error = Checkpoint::open_adapted(&base(), folder.path()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let wrong = AdapterConfig { rank: 3, ..config() };
        let error = write_adapter(folder.path(), &wrong, &[pair("a", 32)], &[]).unwrap_err().to_string();
        assert!(error.contains("have not the rank 3"), "{error}");
    }
}
