//! Behaviour cloning (STEP-HRL's first stage; spec/algorithms 3.3), also for the flat baseline (6.6).
//!
//! ```text
//! L_level = − mean over rows of LP(y|x),   LP = mean over reply tokens, END included        (row mean)
//! L       = L_executor + L_progress (+ L_planner every 4th step)                            (mixture `levels`)
//! L       = − mean over all rows of LP(y|x)                                                 (mixture `pooled`)
//! ```
//!
//! **Departures from the released code.** The default mixture pools the three streams in their natural proportion and
//! merges identical samples into one with a weight, so no forward pass is spent twice; `levels` is the released pairing
//! of one row per level (`golden:level_mixing`). `token_mean` replaces the row mean on request. Batches are bucketed by
//! length. Small models train all their parameters, not adapters.
//!
//! Metrics: `loss`, `loss/<role>`, `gradient_norm`, `learning_rate`, `tokens_per_second`, `epoch`, `seconds`.
//! Run it: `stepladder train demo`.

use std::sync::atomic::AtomicBool;

use stepladder_core::Role;
use stepladder_data::batch::{Reduction, collate, mass};
use stepladder_data::{Batch, Row};
use stepladder_model::Decoder;
use tch::{Device, Kind, Tensor};

use crate::AlgoError;
use crate::ops::logprob::nll;
use crate::runtime::checkpoint::Trainer;
use crate::runtime::epochs::{self, Done};
use crate::runtime::plan::{self, Plan};
use crate::runtime::schedule::{Schedule, factor};
use crate::runtime::workers::{LossParts, Workers};

pub use crate::runtime::plan::{Budget, Mixture};

/// Numbers of behaviour cloning.
#[derive(Debug, Clone, PartialEq)]
pub struct BcConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Its course.
    pub schedule: Schedule,
    /// Share of the run that warms up.
    pub warmup: f64,
    /// Final learning rate as a share of the peak.
    pub floor: f64,
    /// Averaging inside a loss.
    pub reduction: Reduction,
    /// How the streams share the steps.
    pub mixture: Mixture,
    /// Padded tokens of a step (mixture `pooled`).
    pub batch_tokens: usize,
    /// Rows of each level in a step (mixture `levels`).
    pub batch_rows: usize,
    /// The planner's loss counts in every n-th step (mixture `levels`).
    pub planner_every: u64,
    /// When to stop.
    pub budget: Budget,
    /// Run seed.
    pub seed: u64,
    /// Kind of the matrix products.
    pub kind: Kind,
}

/// What an observer hears after every step.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Steps taken.
    pub step: u64,
    /// Passes over the data, with fraction.
    pub epoch: f64,
    /// Share of the budget that is used.
    pub fraction: f64,
    /// Training seconds used.
    pub seconds: f64,
    /// Seconds that the current phase will probably take from here.
    pub left: f64,
    /// Tokens trained so far.
    pub tokens: u64,
    /// Loss of the step.
    pub loss: f64,
    /// Gradient norm before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Sum of row log-probabilities and of weights in this step, by role.
    pub per_role: [(f64, f64); Role::COUNT],
    /// Further metrics of the algorithm, under the names of `runtime::metrics`.
    pub extra: Vec<(&'static str, f64)>,
}

/// Hears of steps; may save, evaluate, print. Its time does not count.
pub trait Observer {
    /// After every step. `trainer.progress` is up to date.
    ///
    /// # Errors
    /// Ends training with this error.
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<(), AlgoError>;
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The budget is used up.
    Complete,
    /// Somebody asked to stop; the trainer can be saved and continued.
    Interrupted,
}

/// The weighted loss over the targets of a batch: −Σ wₜ lpₜ; with the batch's weights this is the row mean or token mean.
///
/// # Errors
/// From libtorch.
pub fn weighted_nll(decoder: &Decoder, batch: &Batch, device: Device) -> Result<LossParts, AlgoError> {
    let ids = Tensor::from_slice(&batch.ids).view([batch.rows as i64, batch.len as i64]).to_device(device); // [B, T]
    let targets = Tensor::from_slice(&batch.targets).to_device(device); // [N]
    let weights = Tensor::from_slice(&batch.weights).to_device(device); // [N]
    let logprobs = decoder.logprobs(&ids, &targets)?; // [N]
    let loss = nll(&logprobs, &weights)?;
    let logprobs = Vec::try_from(logprobs.detach().to_device(Device::Cpu))?;
    Ok(LossParts { loss, logprobs })
}

/// Steps of one epoch: which rows each takes. A function of (rows, configuration, seed, epoch) alone.
pub fn plan_epoch(config: &BcConfig, rows: &[Row], epoch: u64) -> Vec<Vec<usize>> {
    let &BcConfig { mixture, batch_tokens, batch_rows, seed, .. } = config;
    let measured: Vec<_> = rows.iter().map(|row| (row.role, row.ids.len())).collect();
    Plan { mixture, batch_tokens, batch_rows, seed }.epoch(&measured, epoch)
}

/// The rows of a step with their scales: 1 / mass of the mean each belongs to.
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

/// Splits the rows of a step into at most `parts` shares of similar padded size, keeping neighbours of similar length
/// together.
pub fn shares(rows: Vec<(&Row, f64)>, parts: usize) -> Vec<Vec<(&Row, f64)>> {
    plan::shares(rows, parts, |(row, _)| row.ids.len())
}

/// Trains until the budget is used up or `stop` is set. Continues wherever `trainer.progress` stands.
///
/// # Errors
/// [`AlgoError::NoData`] without rows, [`AlgoError::NotFinite`] after [`Divergence::LIMIT`](crate::runtime::optimiser::Divergence::LIMIT) steps in a row
/// without a finite gradient
/// (such steps change nothing), or what the observer answers.
pub fn train(
    config: &BcConfig,
    rows: &[Row],
    pad: u32,
    trainer: &mut Trainer,
    workers: &Workers,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Ending, AlgoError> {
    if rows.is_empty() {
        return Err(AlgoError::NoData("no demonstration was accepted".to_owned()));
    }
    let plan = |epoch| plan_epoch(config, rows, epoch);
    epochs::run(config.budget, trainer, stop, observer, plan, |trainer, group, fraction| {
        step(config, rows, group, pad, trainer, workers, fraction)
    })
}

/// One optimiser step.
fn step(
    config: &BcConfig,
    rows: &[Row],
    group: &[usize],
    pad: u32,
    trainer: &mut Trainer,
    workers: &Workers,
    fraction: f64,
) -> Result<Done, AlgoError> {
    let learning_rate = config.learning_rate * factor(config.schedule, fraction, config.warmup, config.floor);
    let batches: Vec<Batch> = shares(scaled(config, rows, group, trainer.progress.step), workers.count())
        .iter()
        .map(|share| collate(share, pad, config.reduction))
        .collect();
    let tokens = batches.iter().map(|batch| batch.tokens).sum();
    let replies: Vec<_> = batches.iter().map(|batch| batch.replies.clone()).collect();
    let (parts, gradient) = workers.gradient(&trainer.params, batches)?;
    let gradient_norm = trainer.optimiser.step(&mut trainer.params.flat, &gradient, learning_rate);
    let mut per_role = [(0.0, 0.0); Role::COUNT];
    for (infos, part) in replies.iter().zip(&parts) {
        let mut at = 0;
        for info in infos {
            let len = info.len as usize;
            let row: f64 = part.logprobs[at..at + len].iter().map(|&lp| f64::from(lp)).sum();
            let slot: &mut (f64, f64) = &mut per_role[info.role as usize];
            slot.0 += row / len as f64 * f64::from(info.weight);
            slot.1 += f64::from(info.weight);
            at += len;
        }
    }
    let loss = parts.iter().map(|part| part.loss).sum();
    Ok(Done { tokens, loss, gradient_norm, learning_rate, per_role, extra: Vec::new() })
}
