//! Checkpoints that survive a kill at any moment (design D6): written under a temporary name, synced, renamed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stepladder_data::WordTokenizer;
use stepladder_model::{Factors, Layout, ModelConfig, Params, checkpoint as model};
use tch::{Device, Tensor};

use crate::AlgoError;
use crate::critics::{self, Critics};
use crate::ppo::value::{self, ValueModel};
use crate::runtime::optimiser::{AdamW, AdamWConfig};

const STATE: &str = "trainer.json";
const TENSORS: &str = "trainer.safetensors";
/// Version of the trainer state's format.
pub const VERSION: u32 = 1;

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

#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    progress: Progress,
    model: ModelConfig,
    factors: Factors,
    agent: String,
    style: String,
    data: String,
    optimiser_steps: u64,
    /// Optimiser steps of the critics, whose tensors are there too; none without critics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    critic_steps: Option<u64>,
    /// Optimiser steps of the value model, whose tensors are there too; none without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_steps: Option<u64>,
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

/// Runs `write` on a temporary directory beside `target`, syncs every file, and renames it to `target`.
///
/// A kill at any moment leaves either the old state or the complete new one; left-over temporary directories are
/// removed by the next call.
///
/// # Errors
/// Whatever `write` or the file system answers; the temporary directory is removed then.
pub fn replace_directory(
    target: &Path,
    write: impl FnOnce(&Path) -> Result<(), AlgoError>,
) -> Result<(), AlgoError> {
    let parent = target.parent().ok_or_else(|| fail(target, "a checkpoint needs a parent directory"))?;
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    fs_err::create_dir_all(parent).map_err(|error| fail(parent, error))?;
    let temporary = parent.join(format!(".{name}.writing"));
    let old = parent.join(format!(".{name}.old"));
    for left in [&temporary, &old] {
        if left.exists() {
            fs_err::remove_dir_all(left).map_err(|error| fail(left, error))?;
        }
    }
    fs_err::create_dir(&temporary).map_err(|error| fail(&temporary, error))?;
    let done = write(&temporary).and_then(|()| sync(&temporary));
    if let Err(error) = done {
        let _ = fs_err::remove_dir_all(&temporary);
        return Err(error);
    }
    if target.exists() {
        fs_err::rename(target, &old).map_err(|error| fail(target, error))?;
    }
    fs_err::rename(&temporary, target).map_err(|error| fail(target, error))?;
    if old.exists() {
        fs_err::remove_dir_all(&old).map_err(|error| fail(&old, error))?;
    }
    sync_directory(parent)
}

fn sync(directory: &Path) -> Result<(), AlgoError> {
    for entry in fs_err::read_dir(directory).map_err(|error| fail(directory, error))? {
        let path = entry.map_err(|error| fail(directory, error))?.path();
        fs_err::File::open(&path).and_then(|file| file.sync_all()).map_err(|error| fail(&path, error))?;
    }
    sync_directory(directory)
}

fn sync_directory(directory: &Path) -> Result<(), AlgoError> {
    fs_err::File::open(directory).and_then(|file| file.sync_all()).map_err(|error| fail(directory, error))
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
        let mut tensors = vec![
            ("parameters", &trainer.params.flat),
            ("first_moment", &trainer.optimiser.first),
            ("second_moment", &trainer.optimiser.second),
        ];
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
        };
        let path = directory.join(STATE);
        let text = serde_json::to_string_pretty(&state).map_err(|error| fail(&path, error))?;
        fs_err::write(&path, text + "\n").map_err(|error| fail(&path, error))
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

/// Tidies up after a kill, before a run goes on: a checkpoint that was just being replaced is put back, and everything
/// half written is removed.
///
/// # Errors
/// [`AlgoError::Checkpoint`] if something cannot be renamed or removed.
pub fn recover(root: &Path) -> Result<(), AlgoError> {
    for entry in fs_err::read_dir(root).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let Some(name) = name.strip_prefix(".step-") else { continue };
        let replaced = name.strip_suffix(".old").map(|number| root.join(format!("step-{number}")));
        match replaced.filter(|target| !target.exists()) {
            Some(target) => fs_err::rename(&path, target).map_err(|error| fail(&path, error))?,
            None => fs_err::remove_dir_all(&path).map_err(|error| fail(&path, error))?,
        }
    }
    Ok(())
}

/// Complete checkpoints below `root`, oldest first.
pub fn list(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs_err::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-"))
                && path.join(STATE).exists()
        })
        .collect();
    found.sort();
    found
}

/// The newest complete checkpoint below `root`.
pub fn latest(root: &Path) -> Option<PathBuf> {
    list(root).pop()
}

/// Loads a checkpoint to continue from, or to generate with.
///
/// # Errors
/// [`AlgoError::Checkpoint`] naming the file and what does not fit.
pub fn load(
    directory: &Path,
    config: AdamWConfig,
    device: Device,
) -> Result<(Trainer, WordTokenizer), AlgoError> {
    let path = directory.join(STATE);
    let text = fs_err::read_to_string(&path).map_err(|error| fail(&path, error))?;
    let state: State = serde_json::from_str(&text).map_err(|error| fail(&path, error))?;
    if state.version != VERSION {
        return Err(fail(&path, format!("trainer state {}, this program reads {VERSION}", state.version)));
    }
    let tokenizer_path = directory.join(model::TOKENIZER);
    let tokenizer = WordTokenizer::load(&tokenizer_path).map_err(|error| fail(&tokenizer_path, error))?;
    let model_config = ModelConfig::new(state.model.shape.clone(), tokenizer.len(), state.factors.len())?;
    if model_config != state.model || state.factors.of_word.len() != tokenizer.len() {
        return Err(fail(&tokenizer_path, format!("its {} words are not those of {STATE}", tokenizer.len())));
    }
    let layout = Layout::new(&model_config);
    let path = directory.join(TENSORS);
    let mut tensors = model::read_tensors(&path)?;
    let mut take = |name: &str, needed: i64| -> Result<Tensor, AlgoError> {
        let tensor = tensors.remove(name).ok_or_else(|| fail(&path, format!("no tensor `{name}`")))?;
        if tensor.size() != [needed] {
            let found = tensor.numel();
            return Err(fail(
                &path,
                format!("`{name}` has {found} numbers, the model of {STATE} needs {needed}"),
            ));
        }
        Ok(tensor.to_device(device))
    };
    let total = layout.total();
    let optimiser = AdamW {
        config,
        first: take("first_moment", total)?,
        second: take("second_moment", total)?,
        steps: state.optimiser_steps,
    };
    let value_count = value::count(&layout);
    let params = Params { layout, flat: take("parameters", total)? };
    let width = model_config.shape.width;
    let count = critics::count(width);
    let critics = match state.critic_steps {
        None => None,
        Some(steps) => Some(Critics {
            width,
            online: take("critics", count)?,
            target: take("critic_targets", count)?,
            optimiser: AdamW {
                config,
                first: take("critic_first_moment", count)?,
                second: take("critic_second_moment", count)?,
                steps,
            },
        }),
    };
    let values = match state.value_steps {
        None => None,
        Some(steps) => Some(ValueModel {
            flat: take("values", value_count)?,
            optimiser: AdamW {
                config,
                first: take("value_first_moment", value_count)?,
                second: take("value_second_moment", value_count)?,
                steps,
            },
        }),
    };
    let identity = Identity { agent: state.agent, style: state.style, data: state.data };
    let (factors, progress) = (state.factors, state.progress);
    let trainer = Trainer { params, factors, optimiser, critics, values, progress, identity };
    Ok((trainer, tokenizer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_write_leaves_the_old_directory_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("step-1");
        let write = |text: &'static str| {
            move |directory: &Path| {
                fs_err::write(directory.join("a"), text).map_err(|error| fail(directory, error))?;
                if text == "bad" { Err(fail(directory, "disk full")) } else { Ok(()) }
            }
        };
        replace_directory(&target, write("one")).unwrap();
        assert!(replace_directory(&target, write("bad")).is_err());
        assert_eq!(fs_err::read_to_string(target.join("a")).unwrap(), "one");
        replace_directory(&target, write("two")).unwrap();
        assert_eq!(fs_err::read_to_string(target.join("a")).unwrap(), "two");
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn recovery_puts_a_replaced_checkpoint_back_and_removes_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for directory in
            ["step-1", ".step-1.old", ".step-2.old", ".step-2.writing", ".step-7.removed", "notes"]
        {
            fs_err::create_dir(root.join(directory)).unwrap();
            fs_err::write(root.join(directory).join(STATE), directory).unwrap();
        }
        recover(root).unwrap();
        let mut names: Vec<String> = fs_err::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["notes", "step-1", "step-2"]);
        assert_eq!(fs_err::read_to_string(root.join("step-1").join(STATE)).unwrap(), "step-1");
        assert_eq!(fs_err::read_to_string(root.join("step-2").join(STATE)).unwrap(), ".step-2.old");
        recover(&root.join("nowhere")).unwrap();
    }

    #[test]
    fn what_a_kill_left_behind_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("step-1");
        fs_err::create_dir_all(folder.path().join(".step-1.writing")).unwrap();
        fs_err::write(folder.path().join(".step-1.writing/half"), "x").unwrap();
        assert!(list(folder.path()).is_empty());
        replace_directory(&target, |directory| {
            fs_err::write(directory.join("a"), "whole").map_err(|error| fail(directory, error))
        })
        .unwrap();
        assert!(!target.join("half").exists());
    }
}
