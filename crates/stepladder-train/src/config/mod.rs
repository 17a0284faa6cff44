//! Typed configuration: its keys, the origin of each value, and validation.
//!
//! Order of precedence: defaults → preset → user file → `--set key=value`. A preset or a file may name the preset it starts from
//! (`preset = "demo"`). Every key is declared once, with [`section!`](stepladder_core::section!): the keys of a run in this
//! module, those of an algorithm in the module of the algorithm.

mod agent;
mod algo;
mod check;
mod earlier;
mod error;
mod generation;
mod keys;
mod layer;
mod load;
mod origin;
mod presets;
mod profile;
mod reference;
mod show;
#[cfg(test)]
mod tests;

pub use agent::{AgentConfig, Algo, Weights};
pub use algo::AlgoConfig;
pub use check::check;
pub use error::ConfigError;
pub use generation::GenerationConfig;
pub use keys::current;
pub use load::{Loaded, from_resolved, load};
pub use origin::Origins;
pub(crate) use reference::purpose;
pub use reference::{preset_reference, reference};
pub use show::{default_text, earlier_text, effective, entries, inline, show};

use stepladder_core::section::{Bound, Named};
use stepladder_core::{choices, section};
use stepladder_data::instruct::Form;
use stepladder_model::checkpoint::Bases;
use stepladder_model::engine::Memory;
use stepladder_model::{Device, Kind, Lora, Shape};
use stepladder_rollout::local::DEFAULT_REMEMBERED_TOKENS;

section! {
    /// Top level.
    pub struct Config {
        /// Run seed, from which every random number of the run derives.
        pub seed: u64 = 1,
        /// Worker threads; 0 takes all cores. A continued run is bit-equal only with the same number of threads.
        pub threads: usize = 0 => [Bound::AtMost(1024)],
    }
    tables {
        /// Environment of demonstrations, training and final table.
        pub env: EnvConfig,
        /// Demonstrations of the expert.
        pub data: DataConfig,
        /// Model of the agents.
        pub model: ModelSection,
        /// Generation of the agents' replies, in training and evaluation.
        pub generation: GenerationConfig,
        /// Hyperparameters of the algorithms. The table of an agent in `[agents]` may override some of them.
        pub algo: AlgoConfig,
        /// Agents; each is trained and evaluated, in the order of the file.
        pub agents: Named<AgentConfig>,
        /// Evaluation.
        pub eval: EvalConfig,
        /// Status lines and checkpoints.
        pub log: LogConfig,
    }
}

section! {
    /// Environment.
    pub struct EnvConfig {
        /// Id of the environment; `stepladder env list` lists them.
        pub id: String = "household".to_owned(),
        /// Environment steps per episode, in demonstrations and evaluation (docs/spec/algorithms.md 2.4).
        pub max_steps: u32 = 50 => [Bound::AtLeast(1)],
        /// The same as `options = ["penalise_noop=true"]`: an action without effect counts as one that was not understood, so the
        /// executor's reward is -1 (`offline_ac`), and `algo.online.penalty` is subtracted.
        pub penalise_noop: bool = false,
        /// Options of the environment, each as `KEY=VALUE` like `--option`; `stepladder env list` lists them.
        pub options: Vec<String> = Vec::new(),
    }
}

section! {
    /// Demonstrations.
    pub struct DataConfig {
        /// Split whose tasks the expert plays.
        pub split: String = "train".to_owned(),
        /// Number of tasks: a sample drawn with the run seed, stratified by task family; 0 takes all tasks.
        pub games: usize = 4000,
        /// Additional passes over the tasks with noise on the played actions; the labels stay those of the expert.
        pub noisy_passes: u64 = 1 => [Bound::NewAtMost(1000)],
        /// Probability per step that a noisy pass plays another action.
        pub noise: f64 = 0.2 => [Bound::BelowOne],
        /// Additional split whose tasks the expert plays, with `data.noise`.
        pub practice: Option<String> = None,
        /// Number of tasks of `data.practice`, drawn like `data.games`; 0 takes all tasks.
        pub practice_games: usize = 0,
        /// Augmentation: renamed copies of the demonstrations of `data.split`, as a multiple of their number, balanced over task
        /// types. For environments that can rename.
        pub renamed: u64 = 0 => [Bound::NewAtMost(1000)],
        /// Number of tasks that the expert plays for their words alone, in each split of `algo.*.tasks` without demonstrations;
        /// 0 takes all tasks.
        pub word_games: usize = 500,
        /// What plays the demonstrations.
        pub demonstrator: Demonstrator = Demonstrator::Expert,
        /// Additional passes over the tasks in which random valid sub-goals are issued and the expert carries them out. Executors of agents of
        /// kind `himac` clone them, so that they carry out any sub-goal (docs/spec/algorithms.md 9.2); blueprints do not. For environments
        /// that have random sub-goals.
        pub wander: u64 = 0 => [Bound::NewAtMost(1000)],
    }
}

section! {
    /// Model.
    pub struct ModelSection {
        /// Pretrained model that the agents start from: a Hugging Face directory, or the name of a fetched model (`stepladder model list`).
        /// Random weights of the shape `model.scratch` if absent.
        pub from: Option<String> = None,
        /// Trained parameters of a pretrained model.
        pub tuning: Tuning = Tuning::Lora,
        /// Form of the prompts of a pretrained model; `chat` if absent and the model has a chat template, else `plain`.
        pub form: Option<Form> = None,
        /// Context window of a pretrained model in tokens, prompt and completion together; that of the model if absent.
        pub context: Option<u32> = None => [Bound::AtLeast(1)],
        /// Dtype of the frozen parameters below adapters, and of matrix products with them; `f32` on the CPU and `bf16` on a GPU if
        /// absent. Adapters are trained in f32 in any case. `bf16` halves the memory and changes losses by about 1 %.
        pub dtype: Option<BaseDtype> = None,
        /// Keeps only the inputs of the model's blocks and computes each block again for its gradient: less memory for long rows, about
        /// 40 % more time. It changes gradients by rounding, and nothing for models with random initial weights on the CPU.
        pub recompute: bool = false,
        /// Tokens of one pass: computed ones in cloning with `algo.bc.group_rows`, padded ones elsewhere. A worker's part of a batch with more
        /// is divided, and the gradients are summed: less memory for the same batch. 0 for no limit.
        pub micro_tokens: usize = 0 => [Bound::AtMost(4_194_304)],
        /// Tokenizer of a model with random initial weights, made from the demonstrations.
        pub tokenizer: Vocabulary = Vocabulary::Words,
        /// Largest number of tokens with `model.tokenizer = "bpe"`.
        pub tokens: usize = 2048 => [Bound::Between(512, 1 << 20)],
    }
    tables {
        /// Shape of a model with random initial weights. Its vocabulary comes from the demonstrations.
        pub scratch: Shape,
        /// Adapters of a pretrained model with `model.tuning = "lora"`.
        pub lora: Lora,
    }
}

choices! {
    /// What plays the demonstrations.
    pub enum Demonstrator {
        /// The expert.
        Expert = "expert",
        /// A demonstrator of mixed quality, whose detours are imitated. Its solved episodes are kept. For environments that have one.
        Careless = "careless",
    }
}

impl Demonstrator {
    /// Returns its name in a sentence.
    pub fn title(self) -> &'static str {
        match self {
            Self::Expert => "expert",
            Self::Careless => "careless demonstrator",
        }
    }
}

choices! {
    /// Tokenizer of a model with random initial weights.
    pub enum Vocabulary {
        /// One token per word of the compact prompt style; other words are unknown.
        Words = "words",
        /// Byte-pair encoding of the same prompts: no unknown words, longer prompts. For open vocabularies.
        Bpe = "bpe",
    }
}

choices! {
    /// Trained parameters of a pretrained model.
    pub enum Tuning {
        /// Low-rank adapters over the frozen model (`model.lora`).
        Lora = "lora",
        /// All parameters.
        Full = "full",
    }
}

choices! {
    /// Dtype of the frozen parameters of a pretrained model.
    pub enum BaseDtype {
        /// 32 bits.
        F32 = "f32",
        /// 16 bits, 8 of them for the exponent.
        Bf16 = "bf16",
    }
}

impl ModelSection {
    /// Returns a place for the pretrained models of a process, in the configured dtype.
    pub fn bases(&self) -> Bases {
        Bases::in_dtype(self.dtype.map(|dtype| match dtype {
            BaseDtype::F32 => Kind::Float,
            BaseDtype::Bf16 => Kind::BFloat16,
        }))
    }
}

section! {
    /// Evaluation.
    pub struct EvalConfig {
        /// Development split for probes and the first table of a run.
        pub split: String = "dev".to_owned(),
        /// Number of tasks in this table: a sample stratified by task family, the same for every run seed; 0 takes the whole
        /// split.
        pub episodes: usize = 200,
        /// Final split: the last checkpoints play it once, when every agent is trained, for a table of its own. Nothing may be chosen
        /// by it, so it is none of the other splits. No second table if absent.
        pub r#final: Option<String> = None,
        /// Number of tasks of the final split, selected like `eval.episodes`; as many as `eval.episodes` says if absent.
        pub final_episodes: Option<usize> = None,
        /// Number of concurrent episodes. It affects memory and speed, not results (on a GPU up to near-ties).
        pub slots: usize = 100 => [Bound::AtLeast(1)],
        /// Memory in MiB for the cached keys and values of earlier prompts, in rollouts and evaluation; 128 on the CPU and 1024
        /// on a GPU if absent.
        pub prefix_mib: Option<usize> = None => [Bound::AtMost(1 << 20)],
        /// Limit on the prompt tokens of cached greedy replies, in rollouts and evaluation; beyond it the cache is emptied.
        /// 4 million tokens take about 50 MB.
        pub remembered_tokens: usize = DEFAULT_REMEMBERED_TOKENS => [Bound::AtMost(1_000_000_000)],
        /// Number of probes (small evaluations during training), evenly spaced; 0 for none.
        pub probes: u32 = 0 => [Bound::NewAtMost(10_000)],
        /// Number of tasks per probe, a sample of those of the development split's table; at least 1 if there are probes.
        pub probe_episodes: usize = 24,
        /// Whether the tables also show every agent with constrained decoding, beside its line without: every action is an
        /// admissible one. For environments that list these.
        pub constrained: bool = false,
        /// Further `ENV/SPLIT` that the final checkpoints play without training on them, where their data are present.
        pub transfer: Vec<String> = Vec::new(),
    }
}

section! {
    /// Reports.
    pub struct LogConfig {
        /// Seconds between status lines and metrics.
        pub every_seconds: f64 = 5.0 => [Bound::Positive],
        /// Training seconds between checkpoints.
        pub checkpoint_seconds: f64 = 30.0 => [Bound::Positive],
        /// Number of checkpoints to keep per agent.
        pub keep: usize = 2 => [Bound::AtLeast(1)],
    }
}

impl EnvConfig {
    /// Returns the options of the environment as (key, value) pairs; an entry without `=` has an empty value, which no option
    /// accepts.
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
    /// Returns the cache limits of generators on this device.
    pub fn memory(&self, device: Device) -> Memory {
        let prefix_bytes = self.prefix_mib.map_or(Memory::on(device).prefix_bytes, |mib| mib << 20);
        Memory { prefix_bytes, remembered_tokens: self.remembered_tokens }
    }
}

impl Config {
    /// Returns the `ENV/SPLIT` of the development split.
    pub fn own_target(&self) -> String {
        format!("{}/{}", self.env.id, self.eval.split)
    }

    /// Returns the `ENV/SPLIT` of the final split, if there is one.
    pub fn final_target(&self) -> Option<String> {
        self.eval.r#final.as_ref().map(|split| format!("{}/{split}", self.env.id))
    }

    /// Returns every `ENV/SPLIT` that the trained agents play at the end of a run: development split, final split, other environments.
    pub fn targets(&self) -> Vec<String> {
        let others = self.eval.transfer.iter().cloned();
        std::iter::once(self.own_target()).chain(self.final_target()).chain(others).collect()
    }

    /// Returns the `ENV/SPLIT` that algorithms play in training, by the algorithm's table; only algorithms that an agent uses.
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
