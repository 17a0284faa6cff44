//! Inputs of the training of one model.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use stepladder_data::PromptEncoder;
use stepladder_env::Subset;
use stepladder_model::checkpoint::Bases;
use stepladder_model::{Device, GeneratorSource};

use crate::config::{AgentConfig, Config};
use crate::envs::Registered;
use crate::initial::Initial;
use crate::report::Reporter;
use crate::rows::DataId;

/// Context for training one model of an agent.
pub(crate) struct AgentRun<'a> {
    pub(crate) config: &'a Config,
    pub(crate) env: &'a Registered,
    /// Name in status lines.
    pub(crate) name: &'a str,
    /// Directory of checkpoints and metrics.
    pub(crate) directory: PathBuf,
    /// Configuration of the agent.
    pub(crate) agent: &'a AgentConfig,
    /// Checkpoint with the initial weights.
    pub(crate) from: Option<PathBuf>,
    /// Source of initial policies.
    pub(crate) initial: &'a Initial,
    pub(crate) bases: &'a Bases,
    pub(crate) encoder: Arc<dyn PromptEncoder>,
    pub(crate) generators: Arc<dyn GeneratorSource>,
    /// Identity of the training data.
    pub(crate) data: DataId<'a>,
    pub(crate) probe_tasks: &'a Subset,
    pub(crate) workers: usize,
    pub(crate) device: Device,
    pub(crate) reporter: &'a dyn Reporter,
    /// The caller's flag.
    pub(crate) stop: &'a AtomicBool,
}

impl AgentRun<'_> {
    /// Returns the directory of its checkpoints.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.directory.join("checkpoints")
    }
}
