//! Quality of critics on held-out episodes: whether Q and V tell solved episodes from others (docs/spec/algorithms.md 9.1).
//!
//! A prompt and its reply predict "this episode will be solved". The rows of a level count 1 / (rows of the level in their episode), so
//! that every episode counts once, however long it is.

use serde::Serialize;
use stepladder_data::offline::HeldOut;
use stepladder_data::offline_batch::collate;
use stepladder_data::{Level, OfflineRow, PerLevel};
use tch::{Kind, Tensor};

use super::config::OfflineConfig;
use super::critics::{CRITIC, count_for, heads};
use super::workers::{block, features, floats};
use crate::AlgoError;
use crate::ops::actor::{advantage, awr_weight};
use crate::ops::ranking::{Bin, auc, calibration, calibration_error};
use crate::runtime::passes::Passes;
use crate::runtime::plan::micro_batches;
use crate::runtime::trainer::Trainer;

/// Padded tokens of a pass, where the passes of training have no limit.
const PASS_TOKENS: usize = 16_384;

/// Number of bins of the calibration.
const BINS: usize = 10;

/// How well one head predicts that an episode is solved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Head {
    /// Area under the ROC curve; NaN where all episodes ended alike.
    pub auc: f64,
    /// Mean |value − fraction solved| over the deciles.
    pub calibration_error: f64,
    /// Mean value in solved episodes; NaN without one.
    pub mean_solved: f64,
    /// Mean value in other episodes; NaN without one.
    pub mean_failed: f64,
    /// Deciles of the value, with the fraction of solved episodes in each.
    pub deciles: Vec<Bin>,
}

/// Quality of the critics of one level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Number of rows.
    pub rows: usize,
    /// Q of the recorded replies.
    pub q: Head,
    /// V of the prompts.
    pub v: Head,
    /// Mean weight of the actor (`awr`) in solved episodes, over the mean of all; NaN without one.
    pub weight_solved: f64,
    /// The same in other episodes.
    pub weight_failed: f64,
}

/// Values of the rows of a level.
#[derive(Debug, Default)]
struct Values {
    q: Vec<f64>,
    v: Vec<f64>,
    awr: Vec<f64>,
    solved: Vec<bool>,
    weights: Vec<f64>,
}

/// Measures the critics of `trainer` on held-out episodes; `None` for a level without rows.
///
/// # Errors
/// From libtorch, and [`AlgoError::Net`] for a trainer without critics.
pub fn quality(
    config: &OfflineConfig,
    episodes: &[HeldOut],
    pad: u32,
    trainer: &Trainer,
    passes: impl Into<Passes>,
) -> Result<PerLevel<Option<Quality>>, AlgoError> {
    let values = values(config, episodes, pad, trainer, passes.into())?;
    Ok(PerLevel::from_fn(|level| values[level].quality()))
}

fn values(
    config: &OfflineConfig,
    episodes: &[HeldOut],
    pad: u32,
    trainer: &Trainer,
    passes: Passes,
) -> Result<PerLevel<Values>, AlgoError> {
    let weights = &trainer.weights;
    let critic = trainer.nets.get(CRITIC, count_for(&weights.trained))?;
    let device = critic.params.device();
    let (frame, heads) = (passes.frame(weights), heads(&critic.params, weights.config().shape.width));
    let decoder = frame.decoder(&weights.trained.buffer);
    let mut rows: Vec<(&OfflineRow, bool, f64)> = Vec::new();
    for HeldOut { rows: of_episode, solved } in episodes {
        let counted = || of_episode.iter().filter(|row| row.counts());
        for row in counted() {
            let same = counted().filter(|other| other.row.role == row.row.role).count();
            rows.push((row, *solved, 1.0 / same as f64));
        }
    }
    rows.sort_by_key(|(row, ..)| row.row.ids.len());
    let limit = passes.limit().min(PASS_TOKENS);
    let mut all = PerLevel::<Values>::default();
    for part in micro_batches(rows, limit, |(row, ..)| row.row.ids.len()) {
        // Only prompts and replies are read, not what follows them.
        let alone: Vec<OfflineRow> = part
            .iter()
            .map(|(row, ..)| OfflineRow { done: true, next: Vec::new(), ..(*row).clone() })
            .collect();
        let batch = collate(&alone.iter().collect::<Vec<_>>(), pad, config.critic_reads);
        if batch.block.rows == 0 {
            continue;
        }
        // Rows of other roles are in no batch.
        let kept: Vec<_> = part.iter().filter(|(row, ..)| Level::of(row.row.role).is_some()).collect();
        let hidden = tch::no_grad(|| {
            let positions = Tensor::from_slice(&batch.positions).f_to_device(device)?;
            decoder.hidden_at(&block(&batch.block, device)?, &positions)
        })?;
        for (level, of_level) in batch.levels.iter().filter(|(_, of_level)| !of_level.rows.is_empty()) {
            let read = |entries: &[i64]| -> Result<Tensor, AlgoError> {
                let entries: Vec<i64> = of_level.rows.iter().map(|&row| entries[row as usize]).collect();
                Ok(features(&decoder, &hidden, &entries)?)
            };
            let (state, action) = (read(&batch.states)?, read(&batch.actions)?);
            let (v, q) = tch::no_grad(|| {
                Ok::<_, AlgoError>((heads[level].v.value(&state)?, heads[level].q.value(&action)?))
            })?;
            let awr = awr_weight(&advantage(&q, &v)?, config.temperature, config.weight_clip);
            let values = &mut all[level];
            values.q.extend(floats(&q)?);
            values.v.extend(floats(&v)?);
            values.awr.extend(floats(&awr.to_kind(Kind::Double))?);
            for &row in &of_level.rows {
                let (_, solved, weight) = kept[row as usize];
                values.solved.push(*solved);
                values.weights.push(*weight);
            }
        }
    }
    Ok(all)
}

impl Values {
    fn quality(&self) -> Option<Quality> {
        if self.q.is_empty() {
            return None;
        }
        let all = self.mean(&self.awr, |_| true);
        Some(Quality {
            rows: self.q.len(),
            q: self.head(&self.q),
            v: self.head(&self.v),
            weight_solved: self.mean(&self.awr, |solved| solved) / all,
            weight_failed: self.mean(&self.awr, |solved| !solved) / all,
        })
    }

    fn head(&self, values: &[f64]) -> Head {
        let deciles = calibration(values, &self.solved, &self.weights, BINS);
        Head {
            auc: auc(values, &self.solved, &self.weights),
            calibration_error: calibration_error(&deciles),
            mean_solved: self.mean(values, |solved| solved),
            mean_failed: self.mean(values, |solved| !solved),
            deciles,
        }
    }

    fn mean(&self, values: &[f64], of: impl Fn(bool) -> bool) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for ((value, solved), weight) in values.iter().zip(&self.solved).zip(&self.weights) {
            if of(*solved) {
                sum += value * weight;
                total += weight;
            }
        }
        sum / total
    }
}

/// Names of [`metrics`].
const METRICS: PerLevel<[&str; 4]> = PerLevel {
    planner: ["auc_q/planner", "auc_v/planner", "calibration_q/planner", "calibration_v/planner"],
    executor: ["auc_q/executor", "auc_v/executor", "calibration_q/executor", "calibration_v/executor"],
    progress: ["auc_q/progress", "auc_v/progress", "calibration_q/progress", "calibration_v/progress"],
};

/// Returns the metrics of a measurement, by their names in `runtime::metrics`.
pub fn metrics(found: &PerLevel<Option<Quality>>) -> Vec<(&'static str, f64)> {
    let of = |(level, quality): (Level, &Option<Quality>)| {
        let Quality { q, v, .. } = quality.as_ref()?;
        let values = [q.auc, v.auc, q.calibration_error, v.calibration_error];
        Some(METRICS[level].into_iter().zip(values))
    };
    found.iter().filter_map(of).flatten().collect()
}
