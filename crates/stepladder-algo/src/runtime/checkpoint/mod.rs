//! Checkpoints that survive a kill at any moment (docs/design.md D6) and detect damaged files.
//!
//! A checkpoint is a Hugging Face directory ([`stepladder_model::checkpoint`], the only copy of the weights) that also
//! contains `trainer.safetensors` (moments, other networks, the parts of factored embeddings) and `trainer.json`.
//!
//! A network `{name}` other than the policy is stored as the tensors `{name}s`, `{name}_targets` (if it has a target network),
//! `{name}_first_moment` and `{name}_second_moment`; its number of optimiser steps is `{name}_steps` in `trainer.json`.
//!
//! HiMAC's second optimiser state is `adapt_first_moment` and `adapt_second_moment`, its steps are `adapt_optimiser_steps`.
//!
//! A policy with adapters has the files of a PEFT directory in place of `config.json` and `model.safetensors`; `trainer.json` names
//! the pretrained model.
//!
//! * `directory`: atomically replaced directories; `state`: `trainer.json` and checksums

mod directory;
mod error;
mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use stepladder_data::PromptEncoder;
use stepladder_model::checkpoint::{self as model, Bases, Embeddings};
use stepladder_model::{Layout, ModelConfig, ModelError, Params, Weights};
use tch::{Device, Tensor};

use crate::AlgoError;
use crate::runtime::net::{Net, Nets};
use crate::runtime::optimiser::{AdamW, AdamWConfig};
use crate::runtime::trainer::{Identity, Trainer};

pub use directory::{latest, list, recover, replace_directory};
use error::fail;
pub use state::VERSION;
use state::{FULL_COPY, STATE, State};

const TENSORS: &str = "trainer.safetensors";
/// Prefix of the moments of HiMAC's phase B.
const ADAPT: &str = "adapt_";

fn params_of(name: &str) -> String {
    format!("{name}s")
}

fn target_of(name: &str) -> String {
    format!("{name}_targets")
}

fn steps_of(name: &str) -> String {
    format!("{name}_steps")
}

/// Saves a checkpoint as `root/step-NNNNNNNN` and removes all but the newest `keep` checkpoints.
///
/// # Errors
/// [`AlgoError::Checkpoint`]; the previous checkpoints are then unchanged.
pub fn save(
    root: &Path,
    trainer: &Trainer,
    encoder: &dyn PromptEncoder,
    keep: usize,
) -> Result<PathBuf, AlgoError> {
    let target = root.join(format!("step-{:08}", trainer.counters.step));
    replace_directory(&target, |directory| {
        let (weights, adam) = (&trainer.weights, &trainer.optimiser);
        let base = trainer.identity.base.as_ref();
        match base.filter(|_| weights.config().lora.is_some()) {
            Some(base) => {
                model::save_adapter(directory, weights, Some(&base.path.to_string_lossy()))?;
                encoder
                    .save(directory, weights.config().shape.max_positions as usize)
                    .map_err(ModelError::from)?;
            }
            None => model::save(directory, weights, encoder)?,
        }
        let embeddings = ["embed.own", "embed.factors"].map(|name| (name, weights.get(name)));
        let mut named =
            vec![("first_moment".to_owned(), &adam.first), ("second_moment".to_owned(), &adam.second)];
        if !weights.factors().is_empty() {
            named.extend(
                embeddings.iter().filter_map(|(name, part)| Some(((*name).to_owned(), part.as_ref()?))),
            );
        }
        named.extend(trainer.adapt.iter().flat_map(|adam| {
            [(format!("{ADAPT}first_moment"), &adam.first), (format!("{ADAPT}second_moment"), &adam.second)]
        }));
        for (name, net) in trainer.nets.iter() {
            named.extend([
                (params_of(name), &net.params),
                (format!("{name}_first_moment"), &net.optimiser.first),
                (format!("{name}_second_moment"), &net.optimiser.second),
            ]);
            named.extend(net.target.as_ref().map(|target| (target_of(name), target)));
        }
        let tensors: Vec<(String, Tensor)> =
            named.into_iter().map(|(name, tensor)| (name, tensor.shallow_clone())).collect();
        model::write_tensors(&directory.join(TENSORS), &tensors)?;
        let state = State {
            version: VERSION,
            counters: trainer.counters.clone(),
            model: weights.config().clone(),
            frozen: match weights.config().lora {
                Some(_) => BTreeSet::new(),
                None => weights.frozen().keys().cloned().collect(),
            },
            factors: weights.factors().clone(),
            agent: trainer.identity.agent.clone(),
            style: trainer.identity.style.clone(),
            data: trainer.identity.data.clone(),
            base: trainer.identity.base.clone(),
            optimiser_steps: trainer.optimiser.steps,
            adapt_optimiser_steps: trainer.adapt.as_ref().map(|adam| adam.steps),
            net_steps: trainer.nets.iter().map(|(name, net)| (steps_of(name), net.optimiser.steps)).collect(),
            files: BTreeMap::new(),
            checksum: String::new(),
        };
        state.write(directory)
    })?;
    let mut all = list(root);
    while all.len() > keep.max(1) {
        let oldest = all.remove(0);
        // Renamed first: a kill during removal must not leave a directory that looks complete.
        let hidden = oldest.file_name().map(|name| root.join(format!(".{}.removed", name.to_string_lossy())));
        if let Some(hidden) = hidden.filter(|hidden| fs_err::rename(&oldest, hidden).is_ok()) {
            let _ = fs_err::remove_dir_all(hidden);
        }
    }
    Ok(target)
}

/// Tensors of `trainer.safetensors`.
struct Tensors {
    path: PathBuf,
    found: HashMap<String, Tensor>,
    device: Device,
}

impl Tensors {
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor, AlgoError> {
        let tensor =
            self.found.remove(name).ok_or_else(|| fail(&self.path, format!("no tensor `{name}`")))?;
        if tensor.size() != shape {
            let (found, needed) = (tensor.numel(), shape.iter().product::<i64>());
            let reason = format!("`{name}` has {found} values, the model of {STATE} needs {needed}");
            return Err(fail(&self.path, reason));
        }
        model::check_finite(name, &tensor).map_err(|reason| fail(&self.path, reason))?;
        Ok(tensor.to_device(self.device))
    }

    fn optimiser(
        &mut self,
        prefix: &str,
        steps: u64,
        shape: &[i64],
        config: AdamWConfig,
    ) -> Result<AdamW, AlgoError> {
        let first = self.take(&format!("{prefix}first_moment"), shape)?;
        let second = self.take(&format!("{prefix}second_moment"), shape)?;
        Ok(AdamW { config, first, second, steps })
    }

    /// Reads a network other than the policy. Its algorithm checks the size.
    fn net(&mut self, name: &str, steps: u64, config: AdamWConfig) -> Result<Net, AlgoError> {
        let stored = params_of(name);
        let shape = self.found.get(&stored).map(Tensor::size).unwrap_or_default();
        let params = self.take(&stored, &shape)?;
        let target = target_of(name);
        let target = self.found.contains_key(&target).then(|| self.take(&target, &shape)).transpose()?;
        Ok(Net { params, target, optimiser: self.optimiser(&format!("{name}_"), steps, &shape, config)? })
    }
}

/// Reads the weights of a checkpoint.
fn weights(
    directory: &Path,
    state: &State,
    tensors: &mut Tensors,
    bases: &Bases,
) -> Result<Weights, AlgoError> {
    if state.model.lora.is_some() {
        let none = || fail(&directory.join(STATE), "it has adapters, but names no `base` below them");
        let base = bases.get(state.base.as_ref().ok_or_else(none)?, tensors.device)?;
        return limited(model::load_adapter(directory, &base)?, &state.model);
    }
    if state.factors.is_empty() {
        return limited(model::load(directory, &state.frozen, tensors.device)?, &state.model);
    }
    let (factors, width) = (&state.factors, state.model.shape.width);
    let own = tensors.take("embed.own", &[state.model.vocab, width])?;
    let shared = tensors.take("embed.factors", &[state.model.factors, width])?;
    let embeddings = Embeddings { factors, own: &own, shared: &shared };
    Ok(model::load_factored(directory, &embeddings, &state.frozen, tensors.device)?)
}

/// Applies the limits that the files of a model do not hold: the number of tokens and the context window.
fn limited(weights: Weights, model: &ModelConfig) -> Result<Weights, AlgoError> {
    let weights = match model.tokens {
        Some(tokens) => weights.with_tokens(tokens as usize)?,
        None => weights,
    };
    Ok(weights.with_context(model.shape.max_positions)?)
}

/// Reads the weights of a checkpoint of version 1, which stores them twice, and compares both copies.
fn weights_of_full_copy(
    directory: &Path,
    state: &State,
    tensors: &mut Tensors,
) -> Result<Weights, AlgoError> {
    let (model, factors) = (&state.model, state.factors.len());
    let config = ModelConfig::new(model.shape.clone(), model.vocab.max(0) as usize, factors)?;
    if config != *model {
        let path = directory.join(STATE);
        return Err(fail(&path, format!("it has {factors} factors, but its model has {}", model.factors)));
    }
    let layout = Layout::new(&config);
    let buffer = tensors.take("parameters", &[layout.total()])?;
    let weights = Weights::new(Params { layout, buffer }, BTreeMap::new())?;
    let weights = weights.with_factors(state.factors.clone())?;
    // This version has no checksums. Both copies were written from the same values; sums of factors may differ by rounding.
    let path = directory.join(model::WEIGHTS);
    let copy = model::read_tensors(&path)?;
    for (name, tensor) in model::export(&weights) {
        let tensor = tensor.to_device(Device::Cpu);
        let same = copy
            .get(&name)
            .is_some_and(|found| found.size() == tensor.size() && tensor.allclose(found, 1e-5, 1e-6, false));
        if !same {
            let reason = format!(
                "`{name}` differs from {TENSORS}: one of the files was damaged or edited since it was saved; restore both from an intact copy"
            );
            return Err(fail(&path, reason));
        }
    }
    Ok(weights)
}

/// Loads a checkpoint to resume training or to generate. `bases` holds the pretrained models below adapters.
///
/// # Errors
/// [`AlgoError::Checkpoint`] with the file and the reason: a file is missing, damaged, edited, or contains values that are
/// not finite, or the pretrained model is missing or another one.
pub fn load(
    directory: &Path,
    config: AdamWConfig,
    device: Device,
    bases: &Bases,
) -> Result<Trainer, AlgoError> {
    let state = State::read(directory)?;
    let path = directory.join(TENSORS);
    let mut tensors = Tensors { found: model::read_tensors(&path)?, path, device };
    let weights = match state.version {
        FULL_COPY => weights_of_full_copy(directory, &state, &mut tensors)?,
        _ => weights(directory, &state, &mut tensors, bases)?,
    };
    if *weights.config() != state.model {
        return Err(fail(&directory.join(model::CONFIG), format!("not the model of {STATE}")));
    }
    // Without factors, the state still lists the words; it is written again as it was read.
    let weights = if state.factors.is_empty() { weights.with_factors(state.factors)? } else { weights };
    let shape = [weights.trained.layout.total()];
    let optimiser = tensors.optimiser("", state.optimiser_steps, &shape, config)?;
    let own = state.adapt_optimiser_steps.map(|steps| tensors.optimiser(ADAPT, steps, &shape, config));
    let adapt = own.transpose()?;
    let mut nets = Nets::default();
    for (key, &steps) in &state.net_steps {
        let name = key.strip_suffix("_steps").ok_or_else(|| {
            fail(&directory.join(STATE), format!("unknown entry `{key}`; it was written by another version"))
        })?;
        nets.insert(name, tensors.net(name, steps, config)?);
    }
    let identity = Identity { agent: state.agent, style: state.style, data: state.data, base: state.base };
    let counters = state.counters;
    Ok(Trainer { weights, optimiser, adapt, nets, counters, identity })
}
