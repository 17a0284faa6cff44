//! Hyperparameters of the algorithms.

use stepladder_algo::offline_ac::{TargetUpdate, VTarget};
use stepladder_algo::online::reward::Reward;
use stepladder_algo::ops::actor::ActorMode;
use stepladder_algo::ops::surrogate::Aggregate;
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::progress::Budget;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_core::reply::Profile;
use stepladder_core::section::Bound;
use stepladder_core::{choices, section};
use stepladder_data::batch::Reduction;

section! {
    /// Algorithms.
    pub struct AlgoConfig {}
    tables {
        /// The optimiser of all algorithms.
        pub adamw: AdamWConfig,
        /// Behaviour cloning (docs/spec/algorithms.md 3.3); its loss is also that of `dagger`.
        pub bc: BcSection,
        /// Interactive imitation: the learner plays, the expert labels the prompts that it met, and it is trained on all of them.
        pub dagger: DaggerSection,
        /// Offline actor-critic per level (docs/spec/algorithms.md 3.4 to 3.6).
        pub offline_ac: OfflineSection,
        /// Algorithms that learn by playing: `himac`, `grpo`, `rloo`, `gigpo` and `ppo` (docs/spec/algorithms.md 4 to 6).
        pub online: OnlineSection,
    }
}

section! {
    /// Behaviour cloning.
    pub struct BcSection {
        /// End of training, of agents that do not set their own.
        pub budget: Budget = Budget::Tokens { tokens: 9_000_000, cap: None } => [Bound::Positive],
        /// Padded tokens of a step (mixture `pooled`, and flat episodes), of agents that do not set their own.
        pub batch_tokens: usize = 1536 => [Bound::Between(16, 4_194_304)],
        /// Peak learning rate of agents that do not set their own.
        pub learning_rate: f64 = 2e-3 => [Bound::Positive],
        /// Averaging inside the loss: over a reply's tokens and then over rows, or over all reply tokens
        /// (docs/spec/algorithms.md 3.3).
        pub reduction: Reduction = Reduction::RowMean,
        /// Composition of a step: rows of one pool in natural proportion, or the same number of rows of each level.
        pub mixture: Mixture = Mixture::Pooled,
        /// Course of the learning rate after warm-up.
        pub schedule: Schedule = Schedule::Cosine,
        /// Fraction of the run that warms the learning rate up.
        pub warmup: f64 = 0.03 => [Bound::BelowOne],
        /// Final learning rate as a fraction of the peak.
        pub floor: f64 = 0.02 => [Bound::Between(0, 1)],
        /// Rows of each level per step (mixture `levels`).
        pub batch_rows: usize = 16 => [Bound::AtLeast(1)],
        /// The planner's loss counts in every n-th step (mixture `levels`; docs/spec/algorithms.md 3.3).
        pub planner_every: u64 = 4 => [Bound::AtLeast(1)],
        /// A row merged from n identical samples weighs n to this power; 1 keeps the unmerged loss, 0 counts distinct samples once.
        pub duplicates: f64 = 0.0 => [Bound::Between(0, 1)],
    }
}

section! {
    /// Interactive imitation.
    pub struct DaggerSection {
        /// End of each round's training, of agents that do not set their own.
        pub budget: Budget = Budget::Epochs(0.5) => [Bound::Positive],
        /// Padded tokens of a step (mixture `pooled`, and flat episodes), of agents that do not set their own.
        pub batch_tokens: usize = 1536 => [Bound::Between(16, 4_194_304)],
        /// Peak learning rate of agents that do not set their own.
        pub learning_rate: f64 = 1e-3 => [Bound::Positive],
        /// Times that the learner plays and is trained again.
        pub rounds: u64 = 4 => [Bound::AtLeast(1), Bound::NewAtMost(1000)],
        /// `ENV/SPLIT` whose tasks the learner plays; the demonstrations' split if absent.
        pub tasks: Option<String> = None,
        /// Tasks that the learner plays in a round, others in each; 0 takes all.
        pub games: usize = 2000,
        /// Sampling temperature of the learner while it collects; 0 plays greedily.
        pub temperature: f64 = 0.0 => [Bound::NotNegative],
    }
}

section! {
    /// Offline actor-critic.
    pub struct OfflineSection {
        /// End of training, of agents that do not set their own.
        pub budget: Budget = Budget::Epochs(0.5) => [Bound::Positive],
        /// Padded tokens of a step (mixture `pooled`), of agents that do not set their own.
        pub batch_tokens: usize = 1536 => [Bound::Between(16, 4_194_304)],
        /// Peak learning rate of the model, of agents that do not set their own.
        pub learning_rate: f64 = 2e-4 => [Bound::Positive],
        /// `ENV/SPLIT` whose tasks the learner plays; the demonstrations' split if absent.
        pub tasks: Option<String> = None,
        /// Tasks that the starting policy plays once before training, kept whether solved or not; 0 takes all.
        pub games: usize = 1000,
        /// Sampling temperature of these episodes; 0 plays greedily, as the released code does (docs/spec/algorithms.md
        /// 3.6).
        pub collect_temperature: f64 = 1.0 => [Bound::NotNegative],
        /// Demonstrations that are learnt from beside these episodes, drawn at random; 0 takes all.
        pub demonstrations: usize = 0,
        /// Labels of episodes that end inside a subtask: repaired, or as the released code has them. "code" also sets every key
        /// below to its released value (no `value_bound`), in place of a default or a preset's value; keys that a file or `--set`
        /// writes win.
        pub profile: Profile = Profile::Fixed,
        /// Weights of the actor's log-probabilities (docs/spec/algorithms.md 3.5).
        pub actor_mode: ActorMode = ActorMode::Awr,
        /// The advantage that multiplies a weight by e (`awr`).
        pub temperature: f64 = 1.0 => [Bound::Positive],
        /// Largest weight before normalisation (`awr`).
        pub weight_clip: f64 = 20.0 => [Bound::Positive],
        /// Q that the value is fitted to: of the reply that was given, or at the end of the prompt.
        pub v_target_at: VTarget = VTarget::ActionEnd,
        /// Discount per decision (docs/spec/algorithms.md 3.4).
        pub gamma: f64 = 0.99 => [Bound::Between(0, 1)],
        /// Discount a planner's decision by the number of its steps.
        pub smdp_gamma: bool = false,
        /// Weight of over-estimation by V: 0.95 is pessimistic, 0.05 optimistic.
        pub omega: f64 = 0.95 => [Bound::Inside],
        /// Largest size of a return: targets of Q are kept within plus and minus this. Not kept if absent.
        pub value_bound: Option<f64> = None => [Bound::Positive],
        /// Rate of the critics' target networks per micro-step.
        pub tau: f64 = 0.2 => [Bound::Rate],
        /// When the target networks move: once after the step, or after every micro-step and before it.
        pub target_update: TargetUpdate = TargetUpdate::AfterStep,
        /// Micro-steps of an optimiser step.
        pub micro_steps: u32 = 2 => [Bound::AtLeast(1), Bound::NewAtMost(10_000)],
        /// Peak learning rate of the critics.
        pub critic_learning_rate: f64 = 1e-3 => [Bound::Positive],
        /// First optimiser steps, in which critics learn alone.
        pub critic_warmup: u64 = 50,
        /// Course of both learning rates.
        pub schedule: Schedule = Schedule::Cosine,
        /// Fraction of the run that warms them up.
        pub warmup: f64 = 0.0 => [Bound::BelowOne],
        /// Final learning rates as a fraction of the peaks.
        pub floor: f64 = 0.1 => [Bound::Between(0, 1)],
        /// Composition of a step: rows of one pool in natural proportion, or the same number of rows of each level.
        pub mixture: Mixture = Mixture::Pooled,
        /// Rows of each level per step (mixture `levels`).
        pub batch_rows: usize = 16 => [Bound::AtLeast(1)],
    }
}

choices! {
    /// Comparison of the episodes of a group.
    pub enum Norm {
        /// Centred and divided by the standard deviation.
        MeanStd = "mean_std",
        /// Centred.
        Mean = "mean",
    }
}

section! {
    /// Learning by playing.
    pub struct OnlineSection {
        /// End of training, of agents that do not set their own. Iterations count as `epochs`.
        pub budget: Budget = Budget::EnvSteps(300_000) => [Bound::Positive],
        /// Padded tokens of a forward pass, of agents that do not set their own.
        pub batch_tokens: usize = 2048 => [Bound::Between(16, 4_194_304)],
        /// Learning rate of agents that do not set their own.
        pub learning_rate: f64 = 5e-4 => [Bound::Positive],
        /// `ENV/SPLIT` whose tasks the learner plays; the demonstrations' split if absent.
        pub tasks: Option<String> = None,
        /// Tasks that are played in an iteration (docs/spec/algorithms.md 5.6).
        pub tasks_per_iteration: usize = 16 => [Bound::AtLeast(1), Bound::NewAtMost(10_000)],
        /// Episodes of each task.
        pub group: usize = 8 => [Bound::AtLeastSince(2, "one episode cannot be compared"), Bound::NewAtMost(1000)],
        /// Sampling temperature while playing, and of the probabilities that are learnt.
        pub temperature: f64 = 1.0 => [Bound::Positive],
        /// Return of an episode: 10 if solved, or the rewards of the environment (docs/spec/algorithms.md 4).
        pub reward: Reward = Reward::Success,
        /// Taken off for every reply that cannot be read or is not understood.
        pub penalty: f64 = 0.1 => [Bound::NotNegative],
        /// Advantages inside a group; RLOO has a rule of its own.
        pub norm: Norm = Norm::MeanStd,
        /// Mean and deviation of a group over steps, so that long episodes weigh more, as a released code has it.
        pub cross_step_stats: bool = false,
        /// How far a ratio of probabilities may fall below 1 (docs/spec/algorithms.md 5.5).
        pub clip_low: f64 = 0.2 => [Bound::BelowOne],
        /// How far it may rise above 1.
        pub clip_high: f64 = 0.2 => [Bound::Positive],
        /// Weight of the divergence from the starting policy.
        pub kl: f64 = 0.01 => [Bound::NotNegative],
        /// The mean behind the loss of a mini-batch.
        pub aggregate: Aggregate = Aggregate::TokenMean,
        /// Replies of an optimiser step; by default one step per phase, since a small model needs a clear gradient more than many.
        pub mini_batch: usize = 2048 => [Bound::AtLeast(1)],
        /// `gigpo`: discount of the steps' returns (docs/spec/algorithms.md 6.4).
        pub gamma: f64 = 0.95 => [Bound::Between(0, 1)],
        /// `gigpo`: weight of the comparison of steps.
        pub omega: f64 = 1.0 => [Bound::NotNegative],
        /// `ppo`: discount (docs/spec/algorithms.md 6.3).
        pub gae_gamma: f64 = 1.0 => [Bound::Between(0, 1)],
        /// `ppo`: λ of the advantages.
        pub gae_lambda: f64 = 1.0 => [Bound::Between(0, 1)],
        /// `ppo`: how far a value may move from where it was.
        pub value_clip: f64 = 0.5 => [Bound::Positive],
        /// `ppo`: learning rate of the critic.
        pub critic_learning_rate: f64 = 5e-4 => [Bound::Positive],
    }
}
