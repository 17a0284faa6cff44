//! Online reinforcement learning: the common runtime of HiMAC, GRPO, RLOO, GiGPO and PPO (docs/spec/algorithms.md 4 to 6).
//!
//! ```text
//! iteration:  draw tasks ─► play groups (rollouts) ─► advantages (the method's file) ─► samples ─► mini-batches ─► AdamW
//! ```
//! * [`rollouts`]: tasks, episodes, groups
//! * [`reward`]: reward definition
//! * [`samples`]: replies with the log-probabilities recorded while sampling
//! * [`update`]: gradient of a mini-batch on all workers; `branches` for the CPU engine, `rows` for libtorch
//!
//! All random numbers come from streams named by (seed, iteration, task, sample, turn). State is saved only between
//! iterations; a run killed within an iteration replays it with the same episodes.
//!
//! **Departure.** lp_old are the log-probabilities recorded while sampling, which saves a pass. They agree with recomputed ones
//! up to rounding; `logprob_gap` measures the difference in every iteration.
//!
//! At a temperature τ, logits are divided by τ everywhere: in sampling, in the ratios and in the KL term.
//! Rollouts draw from all tokens. With top-p or top-k the recorded log-probabilities, which are those before truncation, would not
//! be of the distribution that was drawn from, so the gradient would have a bias; configurations with both are refused. Stop
//! strings are allowed: the end of a reply is a function of its tokens.

pub(crate) mod branches;
mod config;
mod iteration;
pub mod reward;
pub mod rollouts;
pub(crate) mod rows;
pub mod samples;
pub mod update;
pub(crate) mod work;

pub use config::{Norm, OnlineConfig};
pub use iteration::{Iteration, Phase, Stats, UpdateOptions};

use std::sync::atomic::Ordering;

use stepladder_core::Role;
use stepladder_rollout::GenerateError;
use tch::Tensor;

use crate::AlgoError;
use crate::runtime::clock::Stopwatch;
use crate::runtime::observer::{Ending, Observer, StepReport};
use crate::runtime::optimiser::Divergence;
use crate::runtime::trainer::Trainer;
use rollouts::Rollouts;
use update::SurrogateWorkers;

/// An online method.
pub trait Method {
    /// Prepares the method's own networks and workers before the first iteration of a new or resumed run.
    ///
    /// # Errors
    /// From libtorch, or [`AlgoError::Net`] for a checkpoint of another model.
    fn start(&mut self, _trainer: &mut Trainer, _rollouts: &Rollouts<'_>) -> Result<(), AlgoError> {
        Ok(())
    }

    /// Runs one iteration: rollouts and updates.
    ///
    /// # Errors
    /// From a rollout or an update.
    fn iterate(&mut self, iteration: &mut Iteration<'_>) -> Result<(), AlgoError>;
}

/// Trains until the budget is used up or [`Rollouts::stop`] is set, starting at `trainer.counters`, which is the beginning of an iteration.
/// `reference` holds the parameters of the reference policy.
/// A stop inside an iteration restores the trainer to the end of the previous iteration; a continuation plays the iteration again.
///
/// # Errors
/// [`AlgoError::NoData`] without tasks, [`AlgoError::NotFinite`] after [`Divergence::LIMIT`] optimiser steps in a row without a
/// finite gradient (such steps change nothing), or any error of the model or the observer. Nothing of a failed iteration is
/// saved.
pub fn train(
    method: &mut dyn Method,
    config: &OnlineConfig,
    rollouts: &Rollouts<'_>,
    trainer: &mut Trainer,
    reference: &Tensor,
    observer: &mut dyn Observer,
) -> Result<Ending, AlgoError> {
    if rollouts.pool.is_empty() {
        return Err(AlgoError::NoData("there is no task to play".to_owned()));
    }
    let workers =
        SurrogateWorkers::new(rollouts.workers, &trainer.weights, rollouts.passes, config.temperature);
    method.start(trainer, rollouts)?;
    let mut divergence = Divergence::default();
    loop {
        let fraction = config.budget.fraction(&trainer.counters, 1);
        if config.budget.is_over(fraction, &mut trainer.counters) {
            return Ok(Ending::Complete);
        }
        if rollouts.stop.load(Ordering::Relaxed) {
            return Ok(Ending::Interrupted);
        }
        let clock = Stopwatch::resume(trainer.counters.seconds);
        let mut iteration =
            Iteration::new(config, rollouts, trainer, reference, &workers, &mut divergence, observer);
        match method.iterate(&mut iteration) {
            Ok(()) => {}
            Err(AlgoError::Generate(GenerateError::Stopped)) => {
                iteration.undo();
                return Ok(Ending::Interrupted);
            }
            Err(error) => return Err(error),
        }
        let stats = iteration.finish();
        let counters = &mut trainer.counters;
        counters.epoch += 1;
        counters.env_steps += stats.env_steps;
        counters.generated += stats.generated;
        counters.seconds = clock.seconds();
        let mut extra = stats.metrics();
        extra.extend([
            ("iteration", counters.epoch as f64),
            ("env_steps", counters.env_steps as f64),
            ("generated_tokens", counters.generated as f64),
        ]);
        let fraction = config.budget.fraction(counters, 1);
        let report = StepReport {
            step: counters.step,
            epoch: counters.epoch as f64,
            fraction,
            seconds: counters.seconds,
            left: config.budget.left(fraction, counters),
            tokens: counters.tokens,
            loss: stats.loss(),
            gradient_norm: stats.gradient_norm,
            learning_rate: config.learning_rate,
            per_role: [(0.0, 0.0); Role::COUNT],
            extra,
        };
        observer.on_step(trainer, &report)?;
    }
}
