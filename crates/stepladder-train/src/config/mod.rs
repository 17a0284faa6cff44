//! The typed configuration: its keys, the origin of each value, and whether the values make sense together.
//!
//! Chain: defaults → preset → user file → `--set key=value`. A preset or a file may name the preset it starts from
//! (`preset = "demo"`). Every key is declared once, with [`section!`](stepladder_core::section!): those of a run here, those of an
//! algorithm beside the code that uses them.

mod agent;
mod algo;
mod check;
mod error;
mod keys;
mod layer;
mod load;
mod origin;
mod presets;
mod profile;
mod reference;
mod shorten;
mod show;
#[cfg(test)]
mod tests;

pub use agent::{AgentConfig, Algo, Weights};
pub use algo::AlgoConfig;
pub use check::check;
pub use error::ConfigError;
pub use keys::{current, nearest};
pub use load::{Loaded, from_resolved, load};
pub use origin::Origins;
pub use reference::{preset_reference, reference};
pub use shorten::shorten;
pub use show::{default_text, effective, entries, inline, show};

use stepladder_core::section;
use stepladder_core::section::{Bound, Named};
use stepladder_data::Budgets;
use stepladder_model::engine::Memory;
use stepladder_model::{Device, Shape};

section! {
    /// Top level.
    pub struct Config {
        /// Run seed: every random number of the run derives from it.
        pub seed: u64 = 1,
        /// Worker threads; 0 takes all cores. A run continues bit for bit only with the number that it was started with.
        pub threads: usize = 0 => [Bound::AtMost(1024)],
    }
    tables {
        /// Environment of the demonstrations, the training and the final table.
        pub env: EnvConfig,
        /// Demonstrations of the expert.
        pub data: DataConfig,
        /// Model of the agents.
        pub model: ModelSection,
        /// Replies of the agents, in training and evaluation: the tokens that each may have.
        pub generation: Budgets,
        /// Hyperparameters of the algorithms. An agent has a table of its own in `[agents]`, which may override some of them.
        pub algo: AlgoConfig,
        /// Agents; each is trained and evaluated, in the order of the file.
        pub agents: Named<AgentConfig>,
        /// Evaluation.
        pub eval: EvalConfig,
        /// Progress lines and checkpoints.
        pub log: LogConfig,
    }
}

section! {
    /// Environment.
    pub struct EnvConfig {
        /// Id of the environment; `stepladder env list` names them.
        pub id: String = "household".to_owned(),
        /// Environment steps per episode, in demonstrations and evaluation (docs/spec/algorithms.md 2.4).
        pub max_steps: u32 = 50 => [Bound::AtLeast(1)],
        /// The same as `options = ["penalise_noop=true"]`: an action that changes nothing counts as one that was not understood, so
        /// the executor's reward is -1 (`offline_ac`), and `algo.online.penalty` is taken off.
        pub penalise_noop: bool = false,
        /// Options of the environment, each as `KEY=VALUE`, the form of `--option`; `stepladder env list` names them.
        pub options: Vec<String> = Vec::new(),
    }
}

section! {
    /// Demonstrations.
    pub struct DataConfig {
        /// Split whose tasks the expert plays.
        pub split: String = "train".to_owned(),
        /// Number of tasks: a sample drawn with the run seed, stratified by task family; 0 takes all.
        pub games: usize = 4000,
        /// Further passes over the tasks with noise on the played actions; labels stay the expert's.
        pub noisy_passes: u64 = 1 => [Bound::NewAtMost(1000)],
        /// Probability per step that another action is played in a noisy pass.
        pub noise: f64 = 0.2 => [Bound::BelowOne],
        /// Another split whose tasks the expert plays too, with `data.noise`.
        pub practice: Option<String> = None,
        /// Number of tasks of `data.practice`, drawn like `data.games`; 0 takes all.
        pub practice_games: usize = 0,
        /// Augmentation: copies of the demonstrations of `data.split` with other names, as a multiple of them; dealt so that rare
        /// task types catch up. For environments that can rename.
        pub renamed: u64 = 0 => [Bound::NewAtMost(1000)],
    }
}

section! {
    /// Model.
    pub struct ModelSection {}
    tables {
        /// Shape of a model that is trained from random weights. Its vocabulary comes from the demonstrations.
        pub scratch: Shape,
    }
}

section! {
    /// Evaluation.
    pub struct EvalConfig {
        /// Development split for probes and the final table.
        pub split: String = "dev".to_owned(),
        /// Tasks of the final table: a sample stratified by task family, the same for every run seed; 0 takes the whole split.
        pub episodes: usize = 200,
        /// Episodes running at once. It decides memory and speed: what is played does not depend on it (on a GPU up to near-ties).
        pub slots: usize = 100 => [Bound::AtLeast(1)],
        /// Memory for keys and values of earlier prompts in MiB, while training plays and in evaluation; 128 on the CPU and 1024 on a
        /// GPU if absent.
        pub prefix_mib: Option<usize> = None => [Bound::AtMost(1 << 20)],
        /// Small evaluations during training, evenly spaced; 0 for none.
        pub probes: u32 = 0 => [Bound::NewAtMost(10_000)],
        /// Tasks of each probe, a sample of those of the final table; at least 1 if there are probes.
        pub probe_episodes: usize = 24,
        /// Further `ENV/SPLIT` that the final checkpoints play without training on them, where their data are present.
        pub transfer: Vec<String> = Vec::new(),
    }
}

section! {
    /// Reports.
    pub struct LogConfig {
        /// Seconds between progress lines and metrics.
        pub every_seconds: f64 = 5.0 => [Bound::Positive],
        /// Training seconds between checkpoints.
        pub checkpoint_seconds: f64 = 30.0 => [Bound::Positive],
        /// Checkpoints to keep per agent.
        pub keep: usize = 2 => [Bound::AtLeast(1)],
    }
}

impl EnvConfig {
    /// Options of the environment as pairs of key and value; an entry without `=` has an empty value, which no option takes.
    pub fn options(&self) -> Vec<(String, String)> {
        let noop = self.penalise_noop.then_some("penalise_noop=true");
        let written = noop.into_iter().chain(self.options.iter().map(String::as_str));
        let pair = |entry: &str| {
            let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
            (key.to_owned(), value.to_owned())
        };
        written.map(pair).collect()
    }
}

impl EvalConfig {
    /// Limits on the results that generators on this device keep between calls.
    pub fn memory(&self, device: Device) -> Memory {
        let memory = Memory::on(device);
        Memory { prefix_bytes: self.prefix_mib.map_or(memory.prefix_bytes, |mib| mib << 20), ..memory }
    }
}

impl Config {
    /// The `ENV/SPLIT` that algorithms have their learners play, by the algorithm's table; of those that some agent uses.
    pub fn tasks(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let AlgoConfig { dagger, offline_ac, online, .. } = &self.algo;
        let tables =
            [("dagger", &dagger.tasks), ("offline_ac", &offline_ac.tasks), ("online", &online.tasks)];
        tables.into_iter().filter_map(|(table, tasks)| {
            let used = self.agents.values().any(|agent| agent.algo.table() == table);
            Some((table, tasks.as_deref().filter(|_| used)?))
        })
    }
}
