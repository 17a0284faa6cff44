//! Checkpoints that survive a kill at any moment (design D6), and that say so if a file of theirs was damaged.
//!
//! A checkpoint is a Hugging Face directory ([`stepladder_model::checkpoint`], the only copy of the weights), with
//! `trainer.safetensors` (moments, critics, the parts of factored embeddings) and `trainer.json` beside it.
//!
//! * `directory`: directories that are whole or absent; `state`: `trainer.json` and checksums

mod directory;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stepladder_data::WordTokenizer;
use stepladder_model::checkpoint::{self as model, Embeddings};
use stepladder_model::{Factors, Layout, ModelConfig, Params};
use tch::{Device, Tensor};

use crate::AlgoError;
use crate::critics::{self, Critics};
use crate::ppo::value::{self, ValueModel};
use crate::runtime::optimiser::{AdamW, AdamWConfig};

pub use directory::{latest, list, recover, replace_directory};
pub use state::VERSION;
use state::{FULL_COPY, STATE, State};

const TENSORS: &str = "trainer.safetensors";

/// Where a run stands; with the tensors, all that a continuation needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// Current pass over the data.
    pub epoch: u64,
    /// Steps of the current pass that are done.
    pub cursor: u64,
    /// Training seconds used.
    pub seconds: f64,
    /// Tokens trained, without padding.
    pub tokens: u64,
    /// Phases that are complete; every phase has rows and a budget of its own.
    #[serde(default)]
    pub phase: u64,
    /// `step`, `epoch` and `seconds` at the beginning of the current phase.
    #[serde(default)]
    pub since: (u64, u64, f64),
    /// `tokens` at the beginning of the current phase.
    #[serde(default)]
    pub since_tokens: u64,
    /// A cap on minutes ended a phase before its budget was used up.
    #[serde(default)]
    pub capped: bool,
    /// Environment steps played to learn from; methods that learn by playing only.
    #[serde(default)]
    pub env_steps: u64,
    /// Tokens written while playing.
    #[serde(default)]
    pub generated: u64,
}

impl Progress {
    /// The beginning.
    pub fn start() -> Self {
        Self {
            step: 0,
            epoch: 0,
            cursor: 0,
            seconds: 0.0,
            tokens: 0,
            phase: 0,
            since: (0, 0, 0.0),
            since_tokens: 0,
            capped: false,
            env_steps: 0,
            generated: 0,
        }
    }

    /// The current phase is complete, the next one begins with a fresh pass over its rows.
    pub fn next_phase(&mut self) {
        self.phase += 1;
        self.epoch += u64::from(self.cursor > 0);
        self.cursor = 0;
        self.since = (self.step, self.epoch, self.seconds);
        self.since_tokens = self.tokens;
    }

    /// Passes over the data with fraction, where a pass has `steps` steps.
    pub fn passes(&self, steps: usize) -> f64 {
        self.epoch as f64 + self.cursor as f64 / steps.max(1) as f64
    }
}

/// What a checkpoint is about, besides numbers: used to refuse continuing with something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the agent it was trained as.
    pub agent: String,
    /// Prompt style id.
    pub style: String,
    /// Fingerprint of configuration and data that must not change in a continuation.
    pub data: String,
}

/// A loaded trainer.
#[derive(Debug)]
pub struct Trainer {
    /// Parameters.
    pub params: Params,
    /// Factors of the vocabulary.
    pub factors: Factors,
    /// Optimiser with its moments.
    pub optimiser: AdamW,
    /// Critics, where the algorithm has any.
    pub critics: Option<Critics>,
    /// PPO's critic.
    pub values: Option<ValueModel>,
    /// Where it stands.
    pub progress: Progress,
    /// What it is about.
    pub identity: Identity,
}

impl Trainer {
    /// Starts the critic of PPO from the policy, unless there is one.
    pub fn start_values(&mut self) {
        if self.values.is_none() {
            self.values = Some(ValueModel::of(&self.params, self.optimiser.config));
        }
    }
}

fn fail(path: &Path, reason: impl ToString) -> AlgoError {
    AlgoError::Checkpoint { path: path.display().to_string(), reason: reason.to_string() }
}

/// Saves everything below `root` as `step-NNNNNNNN` and removes all but the newest `keep` complete checkpoints.
///
/// # Errors
/// [`AlgoError::Checkpoint`]; the previous checkpoints are untouched then.
pub fn save(
    root: &Path,
    trainer: &Trainer,
    tokenizer: &WordTokenizer,
    keep: usize,
) -> Result<PathBuf, AlgoError> {
    let target = root.join(format!("step-{:08}", trainer.progress.step));
    replace_directory(&target, |directory| {
        model::save(directory, &trainer.params, &trainer.factors, tokenizer)?;
        let (params, adam) = (&trainer.params, &trainer.optimiser);
        let embeddings = ["embed.own", "embed.factors"].map(|name| (name, params.get(name)));
        let mut tensors = vec![("first_moment", &adam.first), ("second_moment", &adam.second)];
        if !trainer.factors.is_empty() {
            tensors.extend(embeddings.iter().filter_map(|(name, part)| Some((*name, part.as_ref()?))));
        }
        if let Some(critics) = &trainer.critics {
            tensors.extend([
                ("critics", &critics.online),
                ("critic_targets", &critics.target),
                ("critic_first_moment", &critics.optimiser.first),
                ("critic_second_moment", &critics.optimiser.second),
            ]);
        }
        if let Some(values) = &trainer.values {
            tensors.extend([
                ("values", &values.flat),
                ("value_first_moment", &values.optimiser.first),
                ("value_second_moment", &values.optimiser.second),
            ]);
        }
        let tensors: Vec<(String, Tensor)> =
            tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect();
        model::write_tensors(&directory.join(TENSORS), &tensors)?;
        let state = State {
            version: VERSION,
            progress: trainer.progress.clone(),
            model: trainer.params.layout.config().clone(),
            factors: trainer.factors.clone(),
            agent: trainer.identity.agent.clone(),
            style: trainer.identity.style.clone(),
            data: trainer.identity.data.clone(),
            optimiser_steps: trainer.optimiser.steps,
            critic_steps: trainer.critics.as_ref().map(|critics| critics.optimiser.steps),
            value_steps: trainer.values.as_ref().map(|values| values.optimiser.steps),
            files: BTreeMap::new(),
            checksum: String::new(),
        };
        state.write(directory)
    })?;
    let mut all = list(root);
    while all.len() > keep.max(1) {
        let oldest = all.remove(0);
        // Renamed first: a kill half way must not leave a directory that looks complete.
        let hidden = oldest.file_name().map(|name| root.join(format!(".{}.removed", name.to_string_lossy())));
        if let Some(hidden) = hidden.filter(|hidden| fs_err::rename(&oldest, hidden).is_ok()) {
            let _ = fs_err::remove_dir_all(hidden);
        }
    }
    Ok(target)
}

/// The tensors of a trainer.
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
            let reason = format!("`{name}` has {found} numbers, the model of {STATE} needs {needed}");
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
}

/// The weights of a checkpoint.
fn weights(
    directory: &Path,
    state: &State,
    tensors: &mut Tensors,
) -> Result<(Params, WordTokenizer), AlgoError> {
    if state.factors.is_empty() {
        return Ok(model::load(directory, tensors.device)?);
    }
    let (factors, width) = (&state.factors, state.model.shape.width);
    let own = tensors.take("embed.own", &[state.model.vocab, width])?;
    let shared = tensors.take("embed.factors", &[state.model.factors, width])?;
    let embeddings = Embeddings { factors, own: &own, shared: &shared };
    Ok(model::load_factored(directory, &embeddings, tensors.device)?)
}

/// The weights of a checkpoint of the version that had them twice.
fn weights_of_full_copy(
    directory: &Path,
    state: &State,
    tensors: &mut Tensors,
) -> Result<(Params, WordTokenizer), AlgoError> {
    let path = directory.join(model::TOKENIZER);
    let tokenizer = WordTokenizer::load(&path).map_err(|error| fail(&path, error))?;
    let config = ModelConfig::new(state.model.shape.clone(), tokenizer.len(), state.factors.len())?;
    if config != state.model {
        return Err(fail(&path, format!("its {} words are not those of {STATE}", tokenizer.len())));
    }
    let layout = Layout::new(&config);
    let flat = tensors.take("parameters", &[layout.total()])?;
    let params = Params { layout, flat };
    // This version has no checksums. Both copies were written from the same numbers; sums of factors may differ in the last bits.
    let path = directory.join(model::WEIGHTS);
    let copy = model::read_tensors(&path)?;
    for (name, tensor) in model::export(&params, &state.factors) {
        let tensor = tensor.to_device(Device::Cpu);
        let same = copy
            .get(&name)
            .is_some_and(|found| found.size() == tensor.size() && tensor.allclose(found, 1e-5, 1e-6, false));
        if !same {
            let reason = format!(
                "`{name}` is not that of {TENSORS}: damaged or edited since it was saved; copy both files back from where they are whole"
            );
            return Err(fail(&path, reason));
        }
    }
    Ok((params, tokenizer))
}

/// Loads a checkpoint to continue from, or to generate with.
///
/// # Errors
/// [`AlgoError::Checkpoint`] naming the file and what does not fit: a file is missing, was damaged or edited, or holds
/// numbers that are not finite.
pub fn load(
    directory: &Path,
    config: AdamWConfig,
    device: Device,
) -> Result<(Trainer, WordTokenizer), AlgoError> {
    let state = State::read(directory)?;
    let path = directory.join(TENSORS);
    let mut tensors = Tensors { found: model::read_tensors(&path)?, path, device };
    let (params, tokenizer) = match state.version {
        FULL_COPY => weights_of_full_copy(directory, &state, &mut tensors)?,
        _ => weights(directory, &state, &mut tensors)?,
    };
    if *params.layout.config() != state.model {
        return Err(fail(&directory.join(model::CONFIG), format!("not the model of {STATE}")));
    }
    let optimiser = tensors.optimiser("", state.optimiser_steps, &[params.layout.total()], config)?;
    let width = state.model.shape.width;
    let critics = match state.critic_steps {
        None => None,
        Some(steps) => {
            let shape = [critics::count(width)];
            Some(Critics {
                width,
                online: tensors.take("critics", &shape)?,
                target: tensors.take("critic_targets", &shape)?,
                optimiser: tensors.optimiser("critic_", steps, &shape, config)?,
            })
        }
    };
    let values = match state.value_steps {
        None => None,
        Some(steps) => {
            let shape = [value::count(&params.layout)];
            Some(ValueModel {
                flat: tensors.take("values", &shape)?,
                optimiser: tensors.optimiser("value_", steps, &shape, config)?,
            })
        }
    };
    let identity = Identity { agent: state.agent, style: state.style, data: state.data };
    let (factors, progress) = (state.factors, state.progress);
    let trainer = Trainer { params, factors, optimiser, critics, values, progress, identity };
    Ok((trainer, tokenizer))
}
