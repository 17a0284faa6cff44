//! Training loop over fixed rows: epochs of optimiser steps until the budget is used up.

use std::sync::atomic::{AtomicBool, Ordering};

use stepladder_core::Role;

use crate::AlgoError;
use crate::runtime::budget::Budget;
use crate::runtime::clock::Stopwatch;
use crate::runtime::observer::{Ending, Observer, StepReport};
use crate::runtime::optimiser::Divergence;
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

/// Takes steps until the budget is used up, the observer's goal is reached or `stop` is set, starting at `trainer.counters`.
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
        let steps = plan(trainer.counters.epoch);
        for group in steps.iter().skip(trainer.counters.cursor as usize) {
            let fraction = budget.fraction(&trainer.counters, steps.len());
            if observer.is_reached() || budget.is_over(fraction, &mut trainer.counters) {
                return Ok(Ending::Complete);
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Ending::Interrupted);
            }
            let clock = Stopwatch::resume(trainer.counters.seconds);
            let done = step(trainer, group, fraction)?;
            divergence.count(done.gradient_norm, trainer.counters.step)?;
            let counters = &mut trainer.counters;
            counters.step += 1;
            counters.cursor += 1;
            counters.tokens += done.tokens as u64;
            counters.seconds = clock.seconds();
            let report = StepReport {
                step: counters.step,
                epoch: counters.passes(steps.len()),
                fraction,
                seconds: counters.seconds,
                left: budget.left(fraction, counters),
                tokens: counters.tokens,
                loss: done.loss,
                gradient_norm: done.gradient_norm,
                learning_rate: done.learning_rate,
                per_role: done.per_role,
                extra: done.extra,
            };
            observer.on_step(trainer, &report)?;
        }
        trainer.counters.epoch += 1;
        trainer.counters.cursor = 0;
    }
}
