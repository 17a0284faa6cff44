//! Hyperparameters of offline actor-critic.

use stepladder_core::reply::Profile;
use stepladder_core::section::Bound;
use stepladder_core::{choices, section};
use stepladder_data::labels::{ActorLevels, Intrinsic, Noise, Returns, Truncation};
use stepladder_data::offline::Rules;
use stepladder_data::offline_batch::CriticReads;

use crate::ops::actor::{ActorMode, ActorRule};
use crate::runtime::budget::Budget;
use crate::runtime::plan::Mixture;
use crate::runtime::schedule::Schedule;

choices! {
    /// Target of V.
    pub enum VTarget {
        /// Q̄ of the recorded reply, as in IQL.
        ActionEnd = "action_end",
        /// Q̄ at the end of the prompt, where Q is never trained (the released code).
        StateEnd = "state_end",
    }
}

choices! {
    /// Time of the target networks' update.
    pub enum TargetUpdate {
        /// Once, after the optimiser step, by τ' = 1 − (1 − τ)^micro_steps.
        AfterStep = "after_step",
        /// After every micro-step's backward pass, before the optimiser step, by τ (the released code).
        BeforeStep = "before_step",
    }
}

choices! {
    /// What the weights of `awr` are divided by.
    pub enum WeightMean {
        /// The running mean of the level over the last hundred steps or so, which stands for the mean over all data.
        Running = "running",
        /// The mean of the level's rows in the step (the released code, whose result it does not use).
        Step = "step",
    }
}

choices! {
    /// Share of the levels in the loss.
    pub enum LevelShare {
        /// The level's part of the step's rows.
        Rows = "rows",
        /// The same for every level.
        Equal = "equal",
    }
}

section! {
    /// Hyperparameters of offline actor-critic.
    pub struct OfflineConfig {
        /// End of training; overridden by an agent's own setting.
        pub budget: Budget = Budget::Epochs(0.5) => [Bound::Positive],
        /// Padded tokens of a step (mixture `pooled`); overridden by an agent's own setting.
        pub batch_tokens: usize = 1536 => [Bound::Between(16, 4_194_304)],
        /// Peak learning rate of the policy; overridden by an agent's own setting.
        pub learning_rate: f64 = 2e-4 => [Bound::Positive],
        /// `ENV/SPLIT` of the tasks for rollouts; the demonstrations' split if absent.
        pub tasks: Option<String> = None,
        /// Tasks that the starting policy plays before training; 0 takes all. Solved and unsolved episodes are used.
        pub games: usize = 1000,
        /// Sampling temperature of these episodes; 0 plays greedily, as the released code does (docs/spec/algorithms.md
        /// 3.6).
        pub collect_temperature: f64 = 1.0 => [Bound::NotNegative],
        /// Demonstrations used in addition to these episodes, drawn at random; 0 takes all.
        pub demonstrations: usize = 0,
        /// Episodes of each task that the starting policy plays, which differ in what it samples.
        pub samples: u64 = 1 => [Bound::AtLeast(1), Bound::AtMost(1000)],
        /// Labels of episodes that end inside a subtask: corrected, or as in the released code. "code" also sets every key
        /// below to its released value (no `value_bound`), in place of a default or a preset's value; keys set in a file or
        /// by `--set` take precedence.
        pub profile: Profile = Profile::Fixed,
        /// Fraction of the collected episodes, at least, that no agent of this table learns from: whole tasks, drawn at random. The quality
        /// of the critics is measured on them, before the policy learns and at the end (`gate.json`); 0 for none.
        pub held_out: f64 = 0.1 => [Bound::BelowOne],
        /// What the step limit means for a return: its end, with the value 0, or nothing, so that it goes on in the prompts that would have
        /// come next.
        pub truncation: Truncation = Truncation::Terminal,
        /// Returns that Q is fitted to: reward and value of the next prompt, or all later rewards.
        pub returns: Returns = Returns::Td,
        /// Reward of executor and progress writer: the executor's word that a subtask is finished, the same where nothing contradicts it, or
        /// the environment's reward.
        pub intrinsic: Intrinsic = Intrinsic::Declared,
        /// Who learns from a demonstration's step at which noise replaced the action: the critics alone, or the policy too.
        pub noise: Noise = Noise::Critics,
        /// Exponent of n in the weight of a prompt with a reply that occurs n times; 1 counts every occurrence, 0 counts it once. What
        /// followed the reply keeps its proportions.
        pub duplicates: f64 = 0.0 => [Bound::Between(0, 1)],
        /// Weights of the actor's log-probabilities (docs/spec/algorithms.md 3.5).
        pub actor_mode: ActorMode = ActorMode::Awr,
        /// Increase of the advantage that multiplies a weight by e (`awr`).
        pub temperature: f64 = 1.0 => [Bound::Positive],
        /// Largest weight before normalisation (`awr`).
        pub weight_clip: f64 = 20.0 => [Bound::Positive],
        /// What the weights are divided by (`awr`, `oracle`): a running mean of the level's weights, or that of the step's rows.
        pub weight_mean: WeightMean = WeightMean::Running,
        /// Share of a level's losses (mixture `pooled`): its part of the step's rows, or the same for every level.
        pub level_share: LevelShare = LevelShare::Rows,
        /// Token of the reply whose vector Q reads: END, or the last one before it.
        pub critic_reads: CriticReads = CriticReads::End,
        /// Target of V: Q of the recorded reply, or Q at the end of the prompt.
        pub v_target_at: VTarget = VTarget::ActionEnd,
        /// Discount per decision (docs/spec/algorithms.md 3.4).
        pub gamma: f64 = 0.99 => [Bound::Between(0, 1)],
        /// Discount a planner's decision by the number of its steps.
        pub smdp_gamma: bool = false,
        /// Weight of over-estimation by V: 0.95 is pessimistic, 0.05 optimistic.
        pub omega: f64 = 0.95 => [Bound::Inside],
        /// Bound on the absolute value of returns, to which targets of Q are clamped; none if absent.
        pub value_bound: Option<f64> = None => [Bound::Positive],
        /// Rate of the critics' target networks per micro-step.
        pub tau: f64 = 0.2 => [Bound::Rate],
        /// Time of the target networks' update: once after the step, or after every micro-step and before the step.
        pub target_update: TargetUpdate = TargetUpdate::AfterStep,
        /// Micro-steps of an optimiser step.
        pub micro_steps: u32 = 2 => [Bound::AtLeast(1), Bound::NewAtMost(10_000)],
        /// Peak learning rate of the critics.
        pub critic_learning_rate: f64 = 1e-3 => [Bound::Positive],
        /// First optimiser steps, in which only critics are trained.
        pub critic_warmup: u64 = 50,
        /// Schedule of both learning rates.
        pub schedule: Schedule = Schedule::Cosine,
        /// Fraction of the run for warm-up of the learning rates.
        pub warmup: f64 = 0.0 => [Bound::BelowOne],
        /// Final learning rates as a fraction of the peaks.
        pub floor: f64 = 0.1 => [Bound::Between(0, 1)],
        /// Composition of a step: rows of one pool in natural proportion, or the same number of rows of each level.
        pub mixture: Mixture = Mixture::Pooled,
        /// Rows of each level per step (mixture `levels`).
        pub batch_rows: usize = 16 => [Bound::AtLeast(1)],
        /// Levels whose replies the policy learns from; critics of all levels learn, and the controls clone all.
        pub actor_levels: ActorLevels = ActorLevels::All,
    }
}

impl OfflineConfig {
    /// Returns the hyperparameters of docs/spec/algorithms.md 3.4 to 3.6: `fixed` with its corrections, `code` as released.
    ///
    /// Batches have 128 rows per level; the released critics-only phase of 100 micro-steps is 50 optimiser steps. The labels of `fixed`
    /// are those of docs/spec/algorithms.md 9.1, the defaults.
    pub fn profile(profile: Profile) -> Self {
        let fixed = Self {
            profile,
            budget: Budget::Epochs(3.0),
            batch_tokens: 16_384,
            learning_rate: 1e-5,
            critic_learning_rate: 1e-4,
            schedule: Schedule::Constant,
            floor: 1.0,
            mixture: Mixture::Levels,
            batch_rows: 128,
            ..Self::default()
        };
        match profile {
            Profile::Fixed => fixed,
            Profile::Code => Self {
                actor_mode: ActorMode::LinearOuter,
                v_target_at: VTarget::StateEnd,
                target_update: TargetUpdate::BeforeStep,
                held_out: 0.0,
                truncation: Truncation::Bootstrap,
                noise: Noise::Imitated,
                duplicates: 1.0,
                weight_mean: WeightMean::Step,
                level_share: LevelShare::Equal,
                ..fixed
            },
        }
    }

    /// Returns τ' of one update after the step.
    pub fn tau_per_step(&self) -> f64 {
        1.0 - (1.0 - self.tau).powf(f64::from(self.micro_steps.max(1)))
    }

    /// Returns the rules by which transitions become rows.
    pub fn rules(&self) -> Rules {
        let &Self { smdp_gamma: per_step, returns, noise, actor_levels, .. } = self;
        Rules { per_step, returns, noise, actor_levels }
    }

    pub(super) fn rule(&self) -> ActorRule {
        ActorRule { mode: self.actor_mode, temperature: self.temperature, clip: self.weight_clip }
    }
}
