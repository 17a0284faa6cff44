//! Training loop over fixed rows: epochs of optimiser steps until the budget is used up.

use std::sync::atomic::{AtomicBool, Ordering};

use stepladder_core::Role;

use crate::AlgoError;
use crate::runtime::clock::Stopwatch;
use crate::runtime::observer::{Ending, Observer, StepReport};
use crate::runtime::optimiser::Divergence;
use crate::runtime::progress::Budget;
use crate::runtime::trainer::Trainer;

/// Result of one optimiser step; the fields are those of [`StepReport`].
pub(crate) struct Done {
    /// Tokens of the step, without padding.
    pub(crate) tokens: usize,
    pub(crate) loss: f64,
    pub(crate) gradient_norm: f64,
    pub(crate) learning_rate: f64,
    pub(crate) per_role: [(f64, f64); Role::COUNT],
    pub(crate) extra: Vec<(&'static str, f64)>,
}

/// Takes steps until the budget is used up or `stop` is set, starting at `trainer.progress`.
///
/// `plan` returns the rows of each step of an epoch; `step` takes one step with these rows, given the used fraction of the
/// budget.
///
/// # Errors
/// [`AlgoError::NotFinite`] after [`Divergence::LIMIT`] steps in a row without a finite gradient, or any error of `step` or
/// the observer.
pub(crate) fn run(
    budget: Budget,
    trainer: &mut Trainer,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
    plan: impl Fn(u64) -> Vec<Vec<usize>>,
    step: impl Fn(&mut Trainer, &[usize], f64) -> Result<Done, AlgoError>,
) -> Result<Ending, AlgoError> {
    let mut divergence = Divergence::default();
    loop {
        let steps = plan(trainer.progress.epoch);
        for group in steps.iter().skip(trainer.progress.cursor as usize) {
            let fraction = budget.fraction(&trainer.progress, steps.len());
            if budget.is_over(fraction, &mut trainer.progress) {
                return Ok(Ending::Complete);
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Ending::Interrupted);
            }
            let clock = Stopwatch::resume(trainer.progress.seconds);
            let done = step(trainer, group, fraction)?;
            divergence.count(done.gradient_norm, trainer.progress.step)?;
            let progress = &mut trainer.progress;
            progress.step += 1;
            progress.cursor += 1;
            progress.tokens += done.tokens as u64;
            progress.seconds = clock.seconds();
            let report = StepReport {
                step: progress.step,
                epoch: progress.passes(steps.len()),
                fraction,
                seconds: progress.seconds,
                left: budget.left(fraction, progress),
                tokens: progress.tokens,
                loss: done.loss,
                gradient_norm: done.gradient_norm,
                learning_rate: done.learning_rate,
                per_role: done.per_role,
                extra: done.extra,
            };
            observer.on_step(trainer, &report)?;
        }
        trainer.progress.epoch += 1;
        trainer.progress.cursor = 0;
    }
}
