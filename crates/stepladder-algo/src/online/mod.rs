//! Learning by playing: the runtime that HiMAC, GRPO, RLOO, GiGPO and PPO share (docs/spec/algorithms.md 4 to 6).
//!
//! ```text
//! iteration:  draw tasks ─► play groups (rollouts) ─► advantages (the method's file) ─► samples ─► mini-batches ─► AdamW
//! ```
//! * [`rollouts`]: tasks, episodes, groups
//! * [`reward`]: reward of a step
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
mod config;
mod iteration;
pub mod reward;
pub mod rollouts;
pub(crate) mod rows;
pub mod samples;
pub mod update;
pub(crate) mod work;

pub use config::{Norm, OnlineConfig};
pub use iteration::{Iteration, Stats};

use std::sync::atomic::{AtomicBool, Ordering};

use stepladder_core::Role;
use tch::Tensor;

use crate::AlgoError;
use crate::runtime::clock::Stopwatch;
use crate::runtime::observer::{Ending, Observer, StepReport};
use crate::runtime::optimiser::Divergence;
use crate::runtime::trainer::Trainer;
use rollouts::Rollouts;
use update::SurrogateWorkers;

/// A method that learns by playing: one iteration of it, in a file of its own.
pub trait Method {
    /// Prepares networks and workers of its own, before the first iteration of a new or resumed run.
    ///
    /// # Errors
    /// From libtorch, or [`AlgoError::Net`] for a checkpoint of another model.
    fn start(&mut self, _trainer: &mut Trainer, _rollouts: &Rollouts<'_>) -> Result<(), AlgoError> {
        Ok(())
    }

    /// Plays one iteration and learns from it.
    ///
    /// # Errors
    /// From playing or from an update.
    fn iterate(&mut self, iteration: &mut Iteration<'_>) -> Result<(), AlgoError>;
}

/// Learns until the budget is used up or `stop` is set; `reference` holds the parameters that the policy may not leave far.
/// Continues wherever `trainer.progress` stands, at an iteration's beginning.
///
/// # Errors
/// [`AlgoError::NoData`] without tasks, [`AlgoError::NotFinite`] after [`Divergence::LIMIT`] optimiser steps in a row without a
/// finite gradient (such steps change nothing), from the model, or what the observer answers. Nothing of a failed iteration is
/// saved.
pub fn train(
    method: &mut dyn Method,
    config: &OnlineConfig,
    rollouts: &Rollouts<'_>,
    trainer: &mut Trainer,
    reference: &Tensor,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Ending, AlgoError> {
    if rollouts.pool.is_empty() {
        return Err(AlgoError::NoData("there is no task to play".to_owned()));
    }
    let workers = SurrogateWorkers::new(
        rollouts.workers,
        &trainer.weights,
        &trainer.factors,
        rollouts.dtype,
        config.temperature,
    );
    method.start(trainer, rollouts)?;
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
        let mut iteration =
            Iteration::new(config, rollouts, trainer, reference, &workers, &mut divergence, observer);
        method.iterate(&mut iteration)?;
        let stats = iteration.finish();
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
