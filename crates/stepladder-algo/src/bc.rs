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
//! level (`golden:level_mixing`). `token_mean` is an alternative to the row mean. Batches are bucketed by length; those of pretrained
//! models are made of groups of rows with a common beginning, which is computed once (`group_rows`). Small models train all parameters,
//! not adapters. Adapters may have dropout here and in `dagger`, nowhere else; the tokens that a group shares have one mask.
//!
//! Metrics: `loss`, `loss/<role>`, `gradient_norm`, `learning_rate`, `tokens_per_second`, `epoch`, `seconds`, and `computed_tokens` with groups.
//! Run it: `stepladder train demo`.

use std::sync::atomic::AtomicBool;

use stepladder_core::Role;
use stepladder_core::seed::{derive, stream};
use stepladder_data::batch::{collate, collate_shared, mass};
use stepladder_data::sharing::{self, Shared};
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
    let &BcConfig { mixture, batch_tokens, batch_rows, group_rows, .. } = config;
    if group_rows > 0 && mixture == Mixture::Pooled {
        let ids: Vec<&[u32]> = rows.iter().map(|row| row.ids.as_slice()).collect();
        return sharing::epoch(&ids, group_rows, batch_tokens, &mut stream(seed, "shuffle", &[epoch]));
    }
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

/// Divides the rows of a step among at most `count` workers, and the rows of each worker into the batches of its passes.
///
/// With groups, rows that begin alike share their beginning, and shards and passes are of similar numbers of computed tokens.
/// Without, rows of similar length are together.
///
/// # Panics
/// If `count` is 0 and there are rows.
pub fn batches(config: &BcConfig, rows: Vec<(&Row, f64)>, count: usize, passes: Passes) -> Vec<Vec<Batch>> {
    let reduction = config.reduction;
    if config.group_rows == 0 {
        let len = |(row, _): &(&Row, f64)| row.ids.len();
        let parts = |shard| plan::micro_batches(shard, passes.limit(), len);
        let batches = |shard| parts(shard).iter().map(|part| collate(part, reduction)).collect();
        return plan::shards(rows, count, len).into_iter().map(batches).collect();
    }
    let ids: Vec<&[u32]> = rows.iter().map(|(row, _)| row.ids.as_slice()).collect();
    let shards = sharing::divide(sharing::share(&ids), |row| ids[row].len(), count, passes.limit());
    let batch = |groups: &Vec<Shared>| collate_shared(&rows, groups, reduction);
    shards.iter().map(|passes| passes.iter().map(batch).collect()).collect()
}

/// Trains until the budget is used up, the observer's goal is reached or `stop` is set, starting at `trainer.counters`. `seed` determines the order of rows and the masks of dropout.
///
/// # Errors
/// [`AlgoError::NoData`] without rows, [`AlgoError::NotFinite`] after
/// [`Divergence::LIMIT`](crate::runtime::optimiser::Divergence::LIMIT) steps in a row without a finite gradient (such steps change
/// nothing), or any error of the observer.
pub fn train(
    config: &BcConfig,
    rows: &[Row],
    seed: u64,
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
        step(config, rows, group, seed, trainer, workers, fraction)
    })
}

/// Takes one optimiser step.
fn step(
    config: &BcConfig,
    rows: &[Row],
    group: &[usize],
    seed: u64,
    trainer: &mut Trainer,
    workers: &Workers,
    fraction: f64,
) -> Result<Done, AlgoError> {
    let learning_rate = config.learning_rate * factor(config.schedule, fraction, config.warmup, config.floor);
    let scaled = scaled(config, rows, group, trainer.counters.step);
    let batches = batches(config, scaled, workers.count(), workers.passes());
    let computed: usize = batches.iter().flatten().map(|batch| batch.ids.len()).sum();
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
    let extra = if config.group_rows > 0 { vec![("computed_tokens", computed as f64)] } else { Vec::new() };
    Ok(Done { tokens, loss, gradient_norm, learning_rate, per_role, extra })
}
