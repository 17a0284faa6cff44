//! Behaviour cloning: the first stage of STEP-HRL (arXiv:2604.05808; docs/spec/algorithms.md 3.3), also of the flat baseline
//! (6.6).
//!
//! ```text
//! L_level = − mean over rows of LP(y|x),   LP = mean over reply tokens, END included        (row mean)
//! L       = L_executor + L_progress (+ L_planner every 4th step)                            (mixture `levels`)
//! L       = − mean over all rows of LP(y|x)                                                 (mixture `pooled`)
//! ```
//!
//! **Departures from the released code.** The default mixture pools the three levels in their natural proportion and merges
//! identical samples into one row with a weight, which saves forward passes; `levels` is the released pairing of one row per
//! level (`golden:level_mixing`). `token_mean` is an alternative to the row mean. Batches are bucketed by length. Small models
//! train all parameters, not adapters. Adapters may have dropout here and in `dagger`, nowhere else.
//!
//! Metrics: `loss`, `loss/<role>`, `gradient_norm`, `learning_rate`, `tokens_per_second`, `epoch`, `seconds`.
//! Run it: `stepladder train demo`.

use std::sync::atomic::AtomicBool;

use stepladder_core::Role;
use stepladder_core::seed::derive;
use stepladder_data::batch::{Reduction, collate, mass};
use stepladder_data::{Batch, Row};

use crate::AlgoError;
use crate::runtime::epochs::{self, Done};
use crate::runtime::observer::{Ending, Observer};
use crate::runtime::passes::Passes;
use crate::runtime::plan::{self, BatchPlan, Mixture};
use crate::runtime::schedule::factor;
use crate::runtime::trainer::Trainer;
use crate::runtime::workers::Workers;

mod config;

pub use config::BcConfig;

/// Returns the indices of the rows of each step of an epoch; a pure function of its arguments.
pub fn plan_epoch(config: &BcConfig, rows: &[Row], seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let &BcConfig { mixture, batch_tokens, batch_rows, .. } = config;
    let measured: Vec<_> = rows.iter().map(|row| (row.role, row.ids.len())).collect();
    BatchPlan { mixture, batch_tokens, batch_rows, seed }.epoch(&measured, epoch)
}

/// Returns the rows of a step with their scales: one over the total weight of the mean that each row belongs to.
pub fn scaled<'a>(config: &BcConfig, rows: &'a [Row], group: &[usize], step: u64) -> Vec<(&'a Row, f64)> {
    let skip_planner = config.mixture == Mixture::Levels && !step.is_multiple_of(config.planner_every.max(1));
    let members: Vec<&Row> = group
        .iter()
        .map(|&index| &rows[index])
        .filter(|row| !(skip_planner && row.role == Role::Planner))
        .collect();
    let mut masses = [0.0f64; Role::COUNT];
    for row in &members {
        match config.mixture {
            Mixture::Pooled => masses.iter_mut().for_each(|total| *total += mass(row, config.reduction)),
            Mixture::Levels => masses[row.role as usize] += mass(row, config.reduction),
        }
    }
    members
        .into_iter()
        .map(|row| {
            let total = masses[row.role as usize];
            (row, if total > 0.0 { 1.0 / total } else { 0.0 })
        })
        .collect()
}

/// Splits the rows of a step into at most `count` shards of similar total length, with rows of similar length together.
///
/// # Panics
/// If `count` is 0 and there are rows.
pub fn shards(rows: Vec<(&Row, f64)>, count: usize) -> Vec<Vec<(&Row, f64)>> {
    plan::shards(rows, count, |(row, _)| row.ids.len())
}

/// Collates a shard: one batch, or its micro-batches.
pub fn batches(shard: Vec<(&Row, f64)>, passes: Passes, pad: u32, reduction: Reduction) -> Vec<Batch> {
    let parts = plan::micro_batches(shard, passes.limit(), |(row, _)| row.ids.len());
    parts.iter().map(|part| collate(part, pad, reduction)).collect()
}

/// Trains until the budget is used up or `stop` is set, starting at `trainer.counters`. `pad` fills short rows, and `seed`
/// determines the order of rows and the masks of dropout.
///
/// # Errors
/// [`AlgoError::NoData`] without rows, [`AlgoError::NotFinite`] after
/// [`Divergence::LIMIT`](crate::runtime::optimiser::Divergence::LIMIT) steps in a row without a finite gradient (such steps change
/// nothing), or any error of the observer.
pub fn train(
    config: &BcConfig,
    rows: &[Row],
    (pad, seed): (u32, u64),
    trainer: &mut Trainer,
    workers: &Workers,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Ending, AlgoError> {
    if rows.is_empty() {
        return Err(AlgoError::NoData("no demonstration was accepted".to_owned()));
    }
    let plan = |epoch| plan_epoch(config, rows, seed, epoch);
    epochs::run(config.budget, trainer, stop, observer, plan, |trainer, group, fraction| {
        step(config, rows, group, (pad, seed), trainer, workers, fraction)
    })
}

/// Takes one optimiser step.
fn step(
    config: &BcConfig,
    rows: &[Row],
    group: &[usize],
    (pad, seed): (u32, u64),
    trainer: &mut Trainer,
    workers: &Workers,
    fraction: f64,
) -> Result<Done, AlgoError> {
    let learning_rate = config.learning_rate * factor(config.schedule, fraction, config.warmup, config.floor);
    let scaled = scaled(config, rows, group, trainer.counters.step);
    let batches: Vec<Vec<Batch>> = shards(scaled, workers.count())
        .into_iter()
        .map(|shard| batches(shard, workers.passes(), pad, config.reduction))
        .collect();
    let tokens = batches.iter().flatten().map(|batch| batch.tokens).sum();
    let replies: Vec<Vec<_>> =
        batches.iter().map(|shard| shard.iter().flat_map(|batch| batch.replies.clone()).collect()).collect();
    let dropout = derive(seed, "dropout", &[trainer.counters.step]);
    let (scored, gradient) = workers.gradient(&trainer.weights.trained, batches, dropout)?;
    let gradient_norm = trainer.optimiser.step(&mut trainer.weights.trained.buffer, &gradient, learning_rate);
    let mut per_role = [(0.0, 0.0); Role::COUNT];
    for (infos, shard) in replies.iter().zip(&scored) {
        let mut at = 0;
        for info in infos {
            let len = info.len as usize;
            let row: f64 = shard.logprobs[at..at + len].iter().map(|&lp| f64::from(lp)).sum();
            let slot: &mut (f64, f64) = &mut per_role[info.role as usize];
            slot.0 += row / len as f64 * f64::from(info.weight);
            slot.1 += f64::from(info.weight);
            at += len;
        }
    }
    let loss = scored.iter().map(|shard| shard.loss).sum();
    Ok(Done { tokens, loss, gradient_norm, learning_rate, per_role, extra: Vec::new() })
}
