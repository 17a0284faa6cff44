//! The typed configuration: what can be set, where each value came from, and whether it makes sense.
//!
//! Chain: preset → user file → `--set key=value`. A user file may name the preset it starts from (`preset = "demo"`).

mod check;
mod error;
mod keys;
mod layer;
mod load;
mod origin;
mod reference;
mod show;
#[cfg(test)]
mod tests;

pub(crate) use check::check;
pub(crate) use error::ConfigError;
pub(crate) use keys::nearest;
pub(crate) use load::{Loaded, from_resolved, load};
pub(crate) use origin::Origins;
pub(crate) use reference::reference;
pub(crate) use show::show;

use serde::{Deserialize, Serialize};
use stepladder_algo::bc::{Budget, Mixture};
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_data::batch::Reduction;
use stepladder_model::Shape;

/// Everything a training run needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Run seed: every random number of the run derives from it.
    pub(crate) seed: u64,
    /// Worker threads; 0 takes all cores.
    pub(crate) threads: usize,
    /// Environment.
    pub(crate) env: EnvConfig,
    /// Demonstrations.
    pub(crate) data: DataConfig,
    /// Model shape.
    pub(crate) model: Shape,
    /// Learning algorithm.
    pub(crate) algo: AlgoConfig,
    /// Agents to train; each present one is trained and evaluated.
    pub(crate) agents: AgentsConfig,
    /// Evaluation.
    pub(crate) eval: EvalConfig,
    /// Progress lines and checkpoints.
    pub(crate) log: LogConfig,
}

/// Which environment is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvConfig {
    /// Registered id: `household` or `alfworld`.
    pub(crate) id: String,
    /// Environment steps per episode, in demonstrations and evaluation.
    pub(crate) max_steps: u32,
}

/// Where demonstrations come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataConfig {
    /// Split whose tasks the expert plays.
    pub(crate) split: String,
    /// Number of tasks; 0 takes all.
    pub(crate) games: usize,
    /// Further passes over the tasks with noise on the played actions; labels stay the expert's.
    pub(crate) noisy_passes: u64,
    /// Chance per step that another action is played in a noisy pass.
    pub(crate) noise: f64,
}

/// One algorithm, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum AlgoConfig {
    /// Behaviour cloning (spec/algorithms 3.3).
    Bc(BcSection),
}

/// Numbers of behaviour cloning that all agents share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BcSection {
    /// `row_mean` (spec/algorithms 3.3) or `token_mean`.
    pub(crate) reduction: Reduction,
    /// `pooled` or `levels`.
    pub(crate) mixture: Mixture,
    /// `constant`, `cosine` or `linear`.
    pub(crate) schedule: Schedule,
    /// Share of the run that warms the learning rate up.
    pub(crate) warmup: f64,
    /// Final learning rate as a share of the peak.
    pub(crate) floor: f64,
    /// AdamW β₁.
    pub(crate) beta1: f64,
    /// AdamW β₂.
    pub(crate) beta2: f64,
    /// AdamW ε.
    pub(crate) eps: f64,
    /// Decoupled weight decay.
    pub(crate) weight_decay: f64,
    /// Largest global gradient norm.
    pub(crate) clip: f64,
    /// Rows of each level per step (mixture `levels`).
    pub(crate) batch_rows: usize,
    /// The planner's loss counts in every n-th step (mixture `levels`).
    pub(crate) planner_every: u64,
    /// Identical samples are merged into one row that weighs `multiplicity ^ duplicates`: 1 keeps the loss of the unmerged
    /// set, 0 counts every distinct sample once.
    pub(crate) duplicates: f64,
}

/// The agents of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentsConfig {
    /// Planner, executor and progress writer on shared weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step_hrl: Option<AgentConfig>,
    /// History-conditioned behaviour cloning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flat: Option<AgentConfig>,
}

/// Numbers of one agent's training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentConfig {
    /// When training ends: `{ minutes = 4.0 }`, `{ epochs = 5.0 }` or `{ steps = 1000 }`.
    pub(crate) budget: Budget,
    /// Padded tokens of a step (mixture `pooled`, and flat episodes).
    pub(crate) batch_tokens: usize,
    /// Peak learning rate.
    pub(crate) learning_rate: f64,
}

/// How agents are evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvalConfig {
    /// Development split for probes and the final table.
    pub(crate) split: String,
    /// Episodes of the final table; 0 takes the whole split.
    pub(crate) episodes: usize,
    /// Episodes running at once.
    pub(crate) slots: usize,
    /// Small evaluations during training, evenly spaced.
    pub(crate) probes: u32,
    /// Episodes of each.
    pub(crate) probe_episodes: usize,
    /// Further `ENV/SPLIT` that the final checkpoints play without training on them, where their data are present.
    pub(crate) zero_shot: Vec<String>,
}

/// How a run reports and saves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// Seconds between progress lines and metrics.
    pub(crate) every_seconds: f64,
    /// Training seconds between checkpoints.
    pub(crate) checkpoint_seconds: f64,
    /// Checkpoints to keep per agent.
    pub(crate) keep: usize,
}
