//! What training one model needs.

use std::path::PathBuf;
use std::sync::Arc;

use stepladder_data::PromptEncoder;
use stepladder_env::Subset;
use stepladder_model::{Device, GeneratorSource};

use crate::config::{AgentConfig, Config};
use crate::envs::Registered;
use crate::report::Reporter;
use crate::rows::DataId;
use crate::scratch::Scratch;

/// One model of an agent of a run, about to be trained.
pub(crate) struct AgentRun<'a> {
    pub(crate) config: &'a Config,
    pub(crate) env: &'a Registered,
    /// As progress lines name it.
    pub(crate) name: &'a str,
    /// Where its checkpoints and metrics go.
    pub(crate) directory: PathBuf,
    pub(crate) numbers: &'a AgentConfig,
    /// Trained weights to start from.
    pub(crate) from: Option<PathBuf>,
    /// Start of policies that are made from scratch.
    pub(crate) scratch: &'a Scratch,
    pub(crate) encoder: Arc<dyn PromptEncoder>,
    pub(crate) generators: Arc<dyn GeneratorSource>,
    /// What it learns from.
    pub(crate) data: DataId<'a>,
    pub(crate) probe_tasks: &'a Subset,
    pub(crate) workers: usize,
    pub(crate) device: Device,
    pub(crate) reporter: &'a dyn Reporter,
}

impl AgentRun<'_> {
    /// Its checkpoints.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.directory.join("checkpoints")
    }
}
