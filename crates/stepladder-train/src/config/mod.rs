//! The typed configuration: what can be set, where each value came from, and whether it makes sense.
//!
//! Chain: preset → user file → `--set key=value`. A user file may name the preset it starts from (`preset = "demo"`).

mod check;
mod error;
mod keys;
mod layer;
mod load;
mod origin;
mod profile;
mod reference;
mod show;
#[cfg(test)]
mod tests;

pub use check::check;
pub use error::ConfigError;
pub use keys::nearest;
pub use layer::shorten_name as shorten;
pub use load::{Loaded, from_resolved, load};
pub use origin::Origins;
pub use reference::reference;
pub use show::{entries, inline, show};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::himac::Selection;
use stepladder_algo::offline_ac::{TargetUpdate, VTarget};
use stepladder_algo::online::reward::Reward;
use stepladder_algo::ops::actor::ActorMode;
use stepladder_algo::ops::surrogate::Aggregate;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::progress::Budget;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_core::reply::Profile;
use stepladder_data::ablate::ProgressText;
use stepladder_data::batch::Reduction;
use stepladder_model::Shape;

/// Everything a training run needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Run seed: every random number of the run derives from it.
    pub seed: u64,
    /// Worker threads; 0 takes all cores.
    pub threads: usize,
    /// Environment.
    pub env: EnvConfig,
    /// Demonstrations.
    pub data: DataConfig,
    /// Model shape.
    pub model: Shape,
    /// Numbers of the learning algorithms that the agents name.
    pub algo: AlgoConfig,
    /// Agents by name; each is trained and evaluated, in this order.
    pub agents: IndexMap<String, AgentConfig>,
    /// Evaluation.
    pub eval: EvalConfig,
    /// Progress lines and checkpoints.
    pub log: LogConfig,
}

/// Which environment is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvConfig {
    /// Registered id: `household`, `alfworld`, `sokoban` or `scienceworld`.
    pub id: String,
    /// Environment steps per episode, in demonstrations and evaluation.
    pub max_steps: u32,
    /// ALFWorld and households: "Nothing happens." counts as an action that was not understood.
    #[serde(default, skip_serializing_if = "whole")]
    pub penalise_noop: bool,
}

impl EnvConfig {
    /// Options of the environment as `key=value` pairs.
    pub fn options(&self) -> Vec<(String, String)> {
        let noop = self.penalise_noop.then(|| ("penalise_noop".to_owned(), "true".to_owned()));
        noop.into_iter().collect()
    }
}

/// Where demonstrations come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Split whose tasks the expert plays.
    pub split: String,
    /// Number of tasks, drawn as a sample; 0 takes all.
    pub games: usize,
    /// Further passes over the tasks with noise on the played actions; labels stay the expert's.
    pub noisy_passes: u64,
    /// Chance per step that another action is played in a noisy pass.
    pub noise: f64,
    /// Another split whose tasks the expert plays too, with noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice: Option<String>,
    /// Number of its tasks; 0 takes all.
    #[serde(default, skip_serializing_if = "whole")]
    pub practice_games: usize,
    /// Further copies of the demonstrations in which things have other names.
    #[serde(default, skip_serializing_if = "whole")]
    pub renamed: u64,
}

/// Numbers of each algorithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlgoConfig {
    /// Behaviour cloning (spec/algorithms 3.3); its loss is also that of `dagger`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bc: Option<BcSection>,
    /// Interactive imitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dagger: Option<DaggerSection>,
    /// Offline actor-critic (spec/algorithms 3.4 to 3.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_ac: Option<OfflineSection>,
    /// Learning by playing (spec/algorithms 4 to 6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<OnlineSection>,
}

impl Config {
    /// The `ENV/SPLIT` that algorithms have their learners play, by the algorithm's name; of those that some agent uses.
    pub fn tasks(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let dagger = self.algo.dagger.as_ref().and_then(|numbers| numbers.tasks.as_deref());
        let offline = self.algo.offline_ac.as_ref().and_then(|numbers| numbers.tasks.as_deref());
        let online = self.algo.online.as_ref().and_then(|numbers| numbers.tasks.as_deref());
        let tables = [("dagger", dagger), ("offline_ac", offline), ("online", online)];
        tables.into_iter().filter_map(|(table, tasks)| {
            let used = self.agents.values().any(|agent| agent.algo.table() == table);
            Some((table, tasks.filter(|_| used)?))
        })
    }
}

/// Offline actor-critic per level. AdamW's numbers are those of `bc`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflineSection {
    /// `ENV/SPLIT` whose tasks the starting policy plays; none takes those of the demonstrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<String>,
    /// Tasks that the starting policy plays before training; 0 takes all.
    pub games: usize,
    /// Sampling temperature of these episodes; 0 is greedy.
    pub collect_temperature: f64,
    /// Demonstrations that are learnt from beside these episodes, drawn from all; 0 takes all.
    #[serde(default, skip_serializing_if = "whole")]
    pub demonstrations: usize,
    /// Labels of episodes that end inside a subtask; `code` sets the other switches too where nobody writes them.
    pub profile: Profile,
    /// Weights of the actor's log-probabilities.
    pub actor_mode: ActorMode,
    /// b of `awr`.
    pub temperature: f64,
    /// Largest weight of `awr` before normalisation.
    pub weight_clip: f64,
    /// Which Q the value is fitted to.
    pub v_target_at: VTarget,
    /// Discount per decision.
    pub gamma: f64,
    /// Discount a planner's decision by the number of its steps.
    pub smdp_gamma: bool,
    /// Weight of over-estimation by V.
    pub omega: f64,
    /// What returns cannot exceed in size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_bound: Option<f64>,
    /// Rate of the slow copies per micro-step.
    pub tau: f64,
    /// When the slow copies move.
    pub target_update: TargetUpdate,
    /// Micro-steps of an optimiser step.
    pub micro_steps: u32,
    /// Peak learning rate of the critics.
    pub critic_learning_rate: f64,
    /// First optimiser steps, in which critics learn alone.
    pub critic_warmup: u64,
    /// Course of both learning rates.
    pub schedule: Schedule,
    /// Share of the run that warms them up.
    pub warmup: f64,
    /// Final learning rates as a share of the peaks.
    pub floor: f64,
    /// How the levels share the steps.
    pub mixture: Mixture,
    /// Rows of each level per step (mixture `levels`).
    pub batch_rows: usize,
}

/// Interactive imitation (DAgger): the learner plays, the expert labels what it met, it learns from everything so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaggerSection {
    /// `ENV/SPLIT` whose tasks the learner plays; none takes those of the demonstrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<String>,
    /// Times that the learner plays and is trained again.
    pub rounds: u64,
    /// Tasks of a round; 0 takes all.
    pub games: usize,
    /// Sampling temperature while it plays; 0 is greedy.
    pub temperature: f64,
}

/// Learning by playing: what HiMAC and the methods beside it share, and what only some of them read. AdamW's numbers are
/// those of `bc`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlineSection {
    /// `ENV/SPLIT` whose tasks are played; none takes those of the demonstrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<String>,
    /// Tasks of an iteration.
    pub tasks_per_iteration: usize,
    /// Episodes of a task.
    pub group: usize,
    /// Sampling temperature.
    pub temperature: f64,
    /// What a task pays for.
    pub reward: Reward,
    /// Taken off for every invalid reply.
    pub penalty: f64,
    /// How episodes of a group are compared; RLOO has a way of its own.
    pub norm: Norm,
    /// Statistics of a group over steps instead of episodes.
    pub cross_step_stats: bool,
    /// How far a ratio may fall below 1.
    pub clip_low: f64,
    /// How far a ratio may rise above 1.
    pub clip_high: f64,
    /// Weight of the divergence from the starting policy.
    pub kl: f64,
    /// The mean behind the loss of a mini-batch.
    pub aggregate: Aggregate,
    /// Replies of an optimiser step.
    pub mini_batch: usize,
    /// GiGPO: discount of the steps' returns.
    pub gamma: f64,
    /// GiGPO: weight of the comparison of steps.
    pub omega: f64,
    /// PPO: discount.
    pub gae_gamma: f64,
    /// PPO: λ.
    pub gae_lambda: f64,
    /// PPO: how far a value may move from where it was.
    pub value_clip: f64,
    /// PPO: learning rate of the critic.
    pub critic_learning_rate: f64,
}

/// How the episodes of a group are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// Centred and divided by the standard deviation.
    MeanStd,
    /// Centred.
    Mean,
}

/// Numbers of behaviour cloning that all agents share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BcSection {
    /// `row_mean` (spec/algorithms 3.3) or `token_mean`.
    pub reduction: Reduction,
    /// `pooled` or `levels`.
    pub mixture: Mixture,
    /// `constant`, `cosine` or `linear`.
    pub schedule: Schedule,
    /// Share of the run that warms the learning rate up.
    pub warmup: f64,
    /// Final learning rate as a share of the peak.
    pub floor: f64,
    /// AdamW β₁.
    pub beta1: f64,
    /// AdamW β₂.
    pub beta2: f64,
    /// AdamW ε.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest global gradient norm.
    pub clip: f64,
    /// Rows of each level per step (mixture `levels`).
    pub batch_rows: usize,
    /// The planner's loss counts in every n-th step (mixture `levels`).
    pub planner_every: u64,
    /// Identical samples are merged into one row that weighs `multiplicity ^ duplicates`: 1 keeps the loss of the unmerged
    /// set, 0 counts every distinct sample once.
    pub duplicates: f64,
}

/// What trains an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algo {
    /// Behaviour cloning of demonstrations.
    Bc,
    /// Behaviour cloning of demonstrations and of expert replies to prompts that the learner met.
    Dagger,
    /// Offline actor-critic on demonstrations and collected episodes.
    OfflineAc,
    /// Macro exploration and micro adaptation in turns.
    Himac,
    /// Groups of episodes of a task, compared with each other.
    Grpo,
    /// Each episode against the mean of the others of its group.
    Rloo,
    /// GRPO and a comparison of steps taken in the same state.
    Gigpo,
    /// A token-level critic.
    Ppo,
}

impl Algo {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bc => "bc",
            Self::Dagger => "dagger",
            Self::OfflineAc => "offline_ac",
            Self::Himac => "himac",
            Self::Grpo => "grpo",
            Self::Rloo => "rloo",
            Self::Gigpo => "gigpo",
            Self::Ppo => "ppo",
        }
    }

    /// The table in `[algo]` that has its numbers.
    pub fn table(self) -> &'static str {
        if self.is_online() { "online" } else { self.name() }
    }

    /// Whether it learns by playing.
    pub fn is_online(self) -> bool {
        matches!(self, Self::Himac | Self::Grpo | Self::Rloo | Self::Gigpo | Self::Ppo)
    }
}

/// How the roles of an agent share parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// One model plays every role.
    #[default]
    Shared,
    /// Every role has a model of its own, trained on its own stream.
    PerRole,
}

fn whole<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn yes() -> bool {
    true
}

/// One agent: what it is, and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// Which agent.
    pub kind: AgentKind,
    /// What trains it.
    pub algo: Algo,
    /// The agent whose trained weights it starts from; none starts from random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When training ends: `{ minutes = 4.0 }`, `{ epochs = 5.0 }`, `{ steps = 1000 }`, `{ env_steps = 100000 }`,
    /// `{ tokens = 5000000 }`, or `{ tokens = 5000000, minutes = 4.0 }` with a cap.
    pub budget: Budget,
    /// Padded tokens of a step (mixture `pooled`, and flat episodes).
    pub batch_tokens: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Flat: latest (action, answer) pairs in the prompt; none shows all. HiMAC: of the active sub-goal; none shows 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<usize>,
    /// STEP-HRL: a planner issues subtasks.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub planner: bool,
    /// STEP-HRL: what is kept of the progress text.
    #[serde(default, skip_serializing_if = "whole")]
    pub progress: ProgressText,
    /// STEP-HRL: one model for all roles, or one for each.
    #[serde(default, skip_serializing_if = "whole")]
    pub weights: Weights,
    /// HiMAC: a sub-goal ends when it is declared done; otherwise each has a fixed share of the steps.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub sub_done: bool,
    /// HiMAC, cloned: learns a flat agent's replies too, shown the latest so many pairs, so that flat methods can start from
    /// the same weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_flat: Option<usize>,
    /// Offline actor-critic: this actor loss instead of that of `[algo.offline_ac]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_mode: Option<ActorMode>,
    /// Offline actor-critic: this weight of over-estimated values instead of that of `[algo.offline_ac]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omega: Option<f64>,
    /// HiMAC: blueprints and executions learn in turns.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub coevolution: bool,
    /// HiMAC: which blueprint is executed in the second phase.
    #[serde(default, skip_serializing_if = "whole")]
    pub selection: Selection,
}

impl AgentConfig {
    /// How it plays.
    pub fn spec(&self) -> AgentSpec {
        AgentSpec {
            kind: self.kind,
            history: self.history,
            planner: self.planner,
            progress: self.progress.slot(),
            sub_done: self.sub_done,
            ..AgentSpec::from(self.kind)
        }
    }

    /// Whether two agents make the same prompts and replies of the same demonstrations.
    pub fn reads_like(&self, other: &Self) -> bool {
        let reading = |agent: &Self| (agent.spec(), agent.progress, agent.also_flat);
        reading(self) == reading(other)
    }
}

/// How agents are evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalConfig {
    /// Development split for probes and the final table.
    pub split: String,
    /// Tasks of the final table, a sample; 0 takes the whole split.
    pub episodes: usize,
    /// Episodes running at once.
    pub slots: usize,
    /// Small evaluations during training, evenly spaced.
    pub probes: u32,
    /// Tasks of each, a sample of those of the final table.
    pub probe_episodes: usize,
    /// Further `ENV/SPLIT` that the final checkpoints play without training on them, where their data are present.
    pub transfer: Vec<String>,
}

/// How a run reports and saves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Seconds between progress lines and metrics.
    pub every_seconds: f64,
    /// Training seconds between checkpoints.
    pub checkpoint_seconds: f64,
    /// Checkpoints to keep per agent.
    pub keep: usize,
}
