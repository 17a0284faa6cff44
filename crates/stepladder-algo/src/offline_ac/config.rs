//! Hyperparameters of offline actor-critic.

use stepladder_core::choices;
use stepladder_core::reply::Profile;
use tch::Kind;

use crate::ops::actor::{ActorMode, ActorRule};
use crate::runtime::plan::Mixture;
use crate::runtime::progress::Budget;
use crate::runtime::schedule::Schedule;

choices! {
    /// Q that the value of a prompt is fitted to.
    pub enum VTarget {
        /// Q̄ of the reply that was given, as IQL does.
        ActionEnd = "action_end",
        /// Q̄ at the end of the prompt, where Q is never trained (the released code).
        StateEnd = "state_end",
    }
}

choices! {
    /// When the target networks of the critics move.
    pub enum TargetUpdate {
        /// Once, after the optimiser step, by τ' = 1 − (1 − τ)^micro_steps.
        AfterStep = "after_step",
        /// After every micro-step's backward pass, before the optimiser step, by τ (the released code).
        BeforeStep = "before_step",
    }
}

/// Hyperparameters of offline actor-critic.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineConfig {
    /// Loss of the actor.
    pub actor_mode: ActorMode,
    /// b: the advantage that multiplies a weight by e (mode `awr`).
    pub temperature: f64,
    /// Largest weight before normalisation (mode `awr`).
    pub weight_clip: f64,
    /// What V is fitted to.
    pub v_target_at: VTarget,
    /// γ per decision.
    pub gamma: f64,
    /// Discount a planner's decision by γ^n_k and its rewards within: the dataset has the reward of each step
    /// (`stepladder_data::offline::rows`).
    pub smdp_gamma: bool,
    /// ω: weight of over-estimation by V. 0.95 is pessimistic, 0.05 optimistic, 0.5 neutral.
    pub omega: f64,
    /// c: bound on the size of returns, and so on the targets of Q. A pessimistic V that learns from its own
    /// estimates sinks below every return where prompts follow themselves, as those of an agent that repeats one action do.
    pub value_bound: Option<f64>,
    /// τ per micro-step.
    pub tau: f64,
    /// When the target networks move.
    pub target_update: TargetUpdate,
    /// Micro-steps of an optimiser step: with `before_step` its rows are split into this number of parts, each with means of its
    /// own; with `after_step` it only says how far the target networks move.
    pub micro_steps: u32,
    /// Peak learning rate of the model.
    pub actor_learning_rate: f64,
    /// Peak learning rate of the critics.
    pub critic_learning_rate: f64,
    /// First optimiser steps, in which critics learn alone.
    pub critic_warmup: u64,
    /// Schedule of both learning rates.
    pub schedule: Schedule,
    /// Fraction of the run that warms up.
    pub warmup: f64,
    /// Final learning rates as a fraction of the peaks.
    pub floor: f64,
    /// How a step mixes the levels.
    pub mixture: Mixture,
    /// Padded tokens of a step (mixture `pooled`).
    pub batch_tokens: usize,
    /// Rows of each level in a step (mixture `levels`).
    pub batch_rows: usize,
    /// When to stop.
    pub budget: Budget,
    /// Run seed.
    pub seed: u64,
    /// Dtype of the model's matrix products; critics compute in f32.
    pub kind: Kind,
}

impl OfflineConfig {
    /// The hyperparameters of docs/spec/algorithms.md 3.4 to 3.6: profile `fixed` with their repairs, `code` as released.
    ///
    /// Batches have 128 rows per level; the released critics-only phase of 100 micro-steps is 50 optimiser steps.
    pub fn profile(profile: Profile, seed: u64, kind: Kind) -> Self {
        let (actor_mode, v_target_at, target_update) = match profile {
            Profile::Fixed => (ActorMode::Awr, VTarget::ActionEnd, TargetUpdate::AfterStep),
            Profile::Code => (ActorMode::LinearOuter, VTarget::StateEnd, TargetUpdate::BeforeStep),
        };
        Self {
            actor_mode,
            temperature: 1.0,
            weight_clip: 20.0,
            v_target_at,
            gamma: 0.99,
            smdp_gamma: false,
            omega: 0.95,
            value_bound: None,
            tau: 0.2,
            target_update,
            micro_steps: 2,
            actor_learning_rate: 1e-5,
            critic_learning_rate: 1e-4,
            critic_warmup: 50,
            schedule: Schedule::Constant,
            warmup: 0.0,
            floor: 1.0,
            mixture: Mixture::Levels,
            batch_tokens: 16_384,
            batch_rows: 128,
            budget: Budget::Epochs(3.0),
            seed,
            kind,
        }
    }

    /// τ' of a move after the step.
    pub fn tau_per_step(&self) -> f64 {
        1.0 - (1.0 - self.tau).powf(f64::from(self.micro_steps.max(1)))
    }

    pub(super) fn rule(&self) -> ActorRule {
        ActorRule { mode: self.actor_mode, temperature: self.temperature, clip: self.weight_clip }
    }
}
