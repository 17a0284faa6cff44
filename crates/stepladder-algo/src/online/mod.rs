//! Learning by playing: the runtime that HiMAC, GRPO, RLOO, GiGPO and PPO share (spec/algorithms 4 to 6).
//!
//! ```text
//! iteration:  draw tasks ─► play groups (world) ─► advantages (the method's file) ─► samples ─► mini-batches ─► AdamW
//! ```
//! * [`world`]: tasks, episodes, groups
//! * [`samples`]: replies with the log-probabilities they were sampled with
//! * [`update`]: the gradient of a mini-batch on all workers; `branches` for the CPU, `rows` for libtorch
//!
//! Everything random is drawn from streams named by (seed, iteration, task, sample, turn), and state is saved between
//! iterations only: a run that is killed inside one plays it again, with the same episodes.
//!
//! **Departure.** lp_old are the log-probabilities recorded while sampling; they agree with recomputed ones to rounding,
//! which `logprob_gap` measures in every iteration, and cost no second pass.
//!
//! The policy is what episodes are sampled from: at a temperature τ its logits are divided by τ, in the ratios and in the
//! divergence too.

pub(crate) mod branches;
pub(crate) mod rows;
pub mod samples;
mod session;
pub mod update;
pub(crate) mod work;
pub mod world;

pub use session::{Session, Stats};

use std::sync::atomic::{AtomicBool, Ordering};

use stepladder_agent::AgentSpec;
use stepladder_core::Role;
use tch::Tensor;

use crate::AlgoError;
use crate::bc::{Budget, Ending, Observer, StepReport};
use crate::himac::Selection;
use crate::ops::group::GroupRule;
use crate::ops::surrogate::{Aggregate, SurrogateRule};
use crate::ppo::{PpoNumbers, Values};
use crate::runtime::checkpoint::Trainer;
use crate::runtime::clock::Stopwatch;
use crate::runtime::optimiser::Divergence;
use samples::Reward;
use update::Learners;
use world::World;

/// What is done with the episodes of an iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// GRPO or RLOO, by the rule's mode.
    Grpo,
    /// Episode and anchor-state advantages: discount γ, weight ω of the latter.
    Gigpo {
        /// γ.
        gamma: f64,
        /// ω.
        omega: f64,
    },
    /// A token-level critic.
    Ppo(PpoNumbers),
    /// Macro exploration and micro adaptation.
    Himac {
        /// Which blueprint phase B executes.
        selection: Selection,
        /// Phases in turns; otherwise one joint update.
        coevolution: bool,
    },
}

/// Numbers of learning by playing.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineConfig {
    /// What is done with the episodes.
    pub method: Method,
    /// Who plays.
    pub agent: AgentSpec,
    /// Tasks of an iteration (B).
    pub tasks: usize,
    /// Episodes of a task (N).
    pub group: usize,
    /// Sampling temperature; the logits of ratios and divergences are divided by it as well.
    pub temperature: f64,
    /// What a task pays for.
    pub reward: Reward,
    /// Taken off for every invalid reply.
    pub penalty: f64,
    /// How episodes of a group are compared.
    pub rule: GroupRule,
    /// Statistics of a group over steps instead of episodes (the reference code of GiGPO).
    pub cross_step_stats: bool,
    /// Clip ranges and weight of the divergence.
    pub surrogate: SurrogateRule,
    /// The mean behind the loss of a mini-batch.
    pub aggregate: Aggregate,
    /// Samples of an optimiser step.
    pub mini_batch: usize,
    /// Padded tokens of a forward pass.
    pub batch_tokens: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// When to stop.
    pub budget: Budget,
}

/// Learns until the budget is used up or `stop` is set; `reference` holds the parameters that the policy may not leave far.
/// Continues wherever `trainer.progress` stands, at an iteration's beginning.
///
/// # Errors
/// [`AlgoError::NoData`] without tasks, [`AlgoError::NotFinite`] after [`Divergence::LIMIT`] optimiser steps in a row without a
/// finite gradient (such steps change nothing), from the model, or what the observer answers. Nothing of a failed iteration is
/// saved.
pub fn train(
    config: &OnlineConfig,
    world: &World<'_>,
    trainer: &mut Trainer,
    reference: &Tensor,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Ending, AlgoError> {
    if world.pool.is_empty() {
        return Err(AlgoError::NoData("there is no task to play".to_owned()));
    }
    let workers =
        Learners::new(world.workers, &trainer.params, &trainer.factors, world.kind, config.temperature);
    let values = match config.method {
        Method::Ppo(_) => {
            trainer.start_values();
            Some(Values::new(world.workers, &trainer.params, &trainer.factors, world.kind))
        }
        _ => None,
    };
    let mut divergence = Divergence::default();
    loop {
        let fraction = config.budget.fraction(&trainer.progress, 1);
        if config.budget.is_over(fraction, &mut trainer.progress) {
            return Ok(Ending::Complete);
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(Ending::Interrupted);
        }
        let clock = Stopwatch::resume(trainer.progress.seconds);
        let mut session =
            Session::new(config, world, trainer, reference, &workers, values.as_ref(), &mut divergence);
        match config.method {
            Method::Grpo => crate::grpo::iterate(&mut session, config.rule)?,
            Method::Gigpo { gamma, omega } => crate::gigpo::iterate(&mut session, config.rule, gamma, omega)?,
            Method::Ppo(numbers) => crate::ppo::iterate(&mut session, numbers)?,
            Method::Himac { selection, coevolution } => {
                crate::himac::iterate(&mut session, config.rule, selection, coevolution)?;
            }
        }
        let stats = session.finish();
        let progress = &mut trainer.progress;
        progress.epoch += 1;
        progress.env_steps += stats.env_steps;
        progress.generated += stats.generated;
        progress.seconds = clock.seconds();
        let mut extra = stats.metrics();
        extra.extend([
            ("iteration", progress.epoch as f64),
            ("env_steps", progress.env_steps as f64),
            ("generated_tokens", progress.generated as f64),
        ]);
        let fraction = config.budget.fraction(progress, 1);
        let report = StepReport {
            step: progress.step,
            epoch: progress.epoch as f64,
            fraction,
            seconds: progress.seconds,
            left: config.budget.left(fraction, progress),
            tokens: progress.tokens,
            loss: stats.loss(),
            gradient_norm: stats.gradient_norm,
            learning_rate: config.learning_rate,
            per_role: [(0.0, 0.0); Role::COUNT],
            extra,
        };
        observer.on_step(trainer, &report)?;
    }
}
