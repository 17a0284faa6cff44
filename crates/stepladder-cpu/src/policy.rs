//! Trained policies of a run or checkpoint directory, without libtorch.
//!
//! A run directory holds `AGENT/checkpoints/step-N`, or `AGENT/ROLE/checkpoints/step-N` where each role has its own model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use stepladder_agent::AgentSpec;
use stepladder_core::seed::Fingerprint;
use stepladder_core::{Codec, Role};
use stepladder_data::encoder::Overflow;
use stepladder_data::{Budgets, encoders};
use stepladder_rollout::Generator;
use stepladder_rollout::generator::ByRole;
use stepladder_rollout::local::{DEFAULT_REMEMBERED_TOKENS, LocalGenerator};

use crate::checkpoint::{self, WEIGHTS};
use crate::error::CpuError;
use crate::model::Model;
use crate::writer::{DEFAULT_PREFIX_BYTES, Writer};

/// File of a checkpoint with the state of its trainer.
const TRAINER: &str = "trainer.json";
/// File of a run directory with its resolved configuration.
const RUN: &str = "config.toml";

/// A trained policy.
#[derive(Debug, Clone)]
pub struct Policy {
    agent: AgentSpec,
    style: String,
    budgets: Budgets,
    /// Checkpoint of each role, or of all roles.
    models: Vec<(Option<Role>, PathBuf)>,
}

/// What a trainer's state says about its policy.
#[derive(Deserialize)]
struct Identity {
    agent: String,
    style: String,
}

/// Fields of a run's configuration that replies depend on.
#[derive(Deserialize)]
struct Run {
    generation: Option<Generation>,
}

#[derive(Deserialize)]
struct Generation {
    short: Option<u32>,
    long: Option<u32>,
    overflow: Option<Overflow>,
}

impl Policy {
    /// Opens a checkpoint directory, the directory of an agent, or a run directory, where `agent` names one of several agents.
    /// Of several checkpoints it takes the newest. Reads no weights.
    ///
    /// # Errors
    /// [`CpuError::Checkpoint`] for a missing or damaged directory, an absent agent, and a run with several agents of which none
    /// is named.
    pub fn open(path: &Path, agent: Option<&str>) -> Result<Self, CpuError> {
        let models = find(path, agent)?;
        let mut identity: Option<Identity> = None;
        for (_, directory) in &models {
            let file = directory.join(TRAINER);
            let found: Identity = read(&file, |text| serde_json::from_str(text))?;
            if let Some(first) = &identity
                && (&first.agent, &first.style) != (&found.agent, &found.style)
            {
                return Err(fail(
                    &file,
                    format!("its agent is {}, that of another role {}", found.agent, first.agent),
                ));
            }
            identity = Some(found);
        }
        let Identity { agent, style } = identity.ok_or_else(|| fail(path, "it holds no checkpoint"))?;
        let agent = agent.parse().map_err(|error: String| fail(path, error))?;
        Ok(Self { agent, style, budgets: budgets(path)?, models })
    }

    /// Returns the agent that the policy was trained for.
    pub fn agent(&self) -> AgentSpec {
        self.agent
    }

    /// Returns the prompt style that the policy was trained on.
    pub fn style(&self) -> &str {
        &self.style
    }

    /// Loads the weights and returns a generator with `workers` threads for an environment, given the codec of its texts.
    ///
    /// # Errors
    /// As [`checkpoint::load`]; [`CpuError::Checkpoint`] if the tokenizer cannot be read, or the policy was trained on prompts of
    /// another environment.
    pub fn generator(&self, codec: &Arc<dyn Codec>, workers: usize) -> Result<Box<dyn Generator>, CpuError> {
        let mut by_role: Vec<(Role, Box<dyn Generator>)> = Vec::new();
        for (role, directory) in &self.models {
            let weights = checkpoint::load(directory)?;
            let vocab = weights.shape().vocab;
            let encoder = encoders::open(directory, &self.style, codec.clone(), vocab, self.budgets)
                .map_err(|error| fail(directory, error))?;
            if encoder.id() != self.style {
                let (style, other) = (&self.style, encoder.id());
                let reason = format!(
                    "it was trained on prompts of style {style}; those of this environment have {other}"
                );
                return Err(fail(directory, reason));
            }
            let writer = Writer::new(Model::new(weights), workers, DEFAULT_PREFIX_BYTES);
            let name = fingerprint(directory)?;
            let generator = LocalGenerator::new(Box::new(writer), encoder, DEFAULT_REMEMBERED_TOKENS, name);
            match role {
                Some(role) => by_role.push((*role, Box::new(generator))),
                None => return Ok(Box::new(generator)),
            }
        }
        Ok(Box::new(ByRole::new(by_role)))
    }
}

fn fail(path: &Path, reason: impl ToString) -> CpuError {
    CpuError::Checkpoint { path: path.to_owned(), reason: reason.to_string() }
}

fn read<T: DeserializeOwned, E: ToString>(
    path: &Path,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, CpuError> {
    let text = fs_err::read_to_string(path).map_err(|error| fail(path, error))?;
    parse(&text).map_err(|error| fail(path, error.to_string()))
}

/// Finds the checkpoints of a policy.
fn find(path: &Path, agent: Option<&str>) -> Result<Vec<(Option<Role>, PathBuf)>, CpuError> {
    if path.join(TRAINER).is_file() {
        return Ok(vec![(None, path.to_owned())]);
    }
    // An agent of a run may have the name of a role.
    if !path.join(RUN).is_file()
        && let Some(models) = of_agent(path)
    {
        return Ok(models);
    }
    let folders = fs_err::read_dir(path).map_err(|error| fail(path, error))?;
    let folders = folders.filter_map(Result::ok).map(|entry| entry.path());
    let mut agents: Vec<(String, _)> = folders
        .filter_map(|folder| Some((folder.file_name()?.to_string_lossy().into_owned(), of_agent(&folder)?)))
        .collect();
    agents.sort();
    let names = agents.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    match agent {
        _ if agents.is_empty() => Err(fail(path, "it is no checkpoint, and no run with a checkpoint")),
        None if agents.len() > 1 => Err(fail(path, format!("it has several agents; choose one of {names}"))),
        None => Ok(agents.swap_remove(0).1),
        Some(agent) => match agents.into_iter().find(|(name, _)| name == agent) {
            Some((_, models)) => Ok(models),
            None => Err(fail(path, format!("it has no checkpoint of `{agent}`; it has {names}"))),
        },
    }
}

/// Finds the newest checkpoints in the directory of an agent.
fn of_agent(directory: &Path) -> Option<Vec<(Option<Role>, PathBuf)>> {
    if let Some(newest) = latest(&directory.join("checkpoints")) {
        return Some(vec![(None, newest)]);
    }
    let newest = |role: Role| Some((Some(role), latest(&directory.join(role.name()).join("checkpoints"))?));
    let models: Vec<_> = Role::ALL.into_iter().filter_map(newest).collect();
    (!models.is_empty()).then_some(models)
}

/// Returns the newest whole checkpoint of a directory.
fn latest(root: &Path) -> Option<PathBuf> {
    let entries = fs_err::read_dir(root).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let numbered = entries.filter_map(|path| {
        let number: u64 = path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()?;
        path.join(TRAINER).is_file().then_some((number, path))
    });
    numbered.max().map(|(_, path)| path)
}

/// Reads the token limits of the run around a directory; the defaults outside of a run.
fn budgets(path: &Path) -> Result<Budgets, CpuError> {
    let path = std::path::absolute(path).map_err(|error| fail(path, error))?;
    let Some(file) = path.ancestors().map(|folder| folder.join(RUN)).find(|file| file.is_file()) else {
        return Ok(Budgets::default());
    };
    let run: Run = read(&file, |text| toml::from_str(text))?;
    let Some(Generation { short, long, overflow }) = run.generation else { return Ok(Budgets::default()) };
    let default = Budgets::default();
    Ok(Budgets {
        short: short.unwrap_or(default.short),
        long: long.unwrap_or(default.long),
        overflow: overflow.unwrap_or(default.overflow),
    })
}

/// Returns the name of a policy in traces: a fingerprint of its weights.
fn fingerprint(directory: &Path) -> Result<String, CpuError> {
    let path = directory.join(WEIGHTS);
    let mut hash = Fingerprint::default();
    hash.add(&fs_err::read(&path).map_err(|error| fail(&path, error))?);
    Ok(format!("{:016x}", hash.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(directory: &Path, agent: &str) {
        fs_err::create_dir_all(directory).unwrap();
        let state = format!(r#"{{ "agent": "{agent}", "style": "words", "progress": {{}} }}"#);
        fs_err::write(directory.join(TRAINER), state).unwrap();
    }

    #[test]
    fn a_policy_is_found_in_a_checkpoint_an_agent_or_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        let said = |agent| Policy::open(run, agent).unwrap_err().to_string();
        assert!(said(None).ends_with("it is no checkpoint, and no run with a checkpoint"), "{}", said(None));
        fs_err::write(run.join(RUN), "seed = 1\n").unwrap();
        checkpoint(&run.join("flat/checkpoints/step-00000009"), "flat");
        checkpoint(&run.join("flat/checkpoints/step-00000010"), "flat");
        fs_err::create_dir_all(run.join("flat/checkpoints/step-00000011")).unwrap();
        for path in [run.to_owned(), run.join("flat"), run.join("flat/checkpoints/step-00000010")] {
            let policy = Policy::open(&path, None).unwrap();
            assert_eq!(policy.models, [(None, run.join("flat/checkpoints/step-00000010"))]);
            assert_eq!((policy.agent().to_string(), policy.style()), ("flat".to_owned(), "words"));
            assert_eq!(policy.budgets, Budgets::default());
        }
        for role in ["planner", "executor", "progress"] {
            checkpoint(&run.join(format!("mine/{role}/checkpoints/step-1")), "step_hrl");
        }
        assert!(said(None).ends_with("it has several agents; choose one of flat, mine"), "{}", said(None));
        assert!(said(Some("x")).ends_with("it has no checkpoint of `x`; it has flat, mine"));
        fs_err::write(run.join(RUN), "seed = 1\n[generation]\nshort = 5\noverflow = \"stop\"\n").unwrap();
        let policy = Policy::open(run, Some("mine")).unwrap();
        assert_eq!(policy.models.len(), 3);
        assert_eq!(policy.budgets, Budgets { short: 5, overflow: Overflow::Stop, ..Budgets::default() });
        checkpoint(&run.join("mine/progress/checkpoints/step-1"), "flat");
        assert!(said(Some("mine")).ends_with("its agent is flat, that of another role step_hrl"));
        fs_err::write(run.join("flat/checkpoints/step-00000010").join(TRAINER), "{").unwrap();
        assert!(said(Some("flat")).contains("trainer.json: EOF"), "{}", said(Some("flat")));
    }
}
