//! Offline actor-critic per level: the second stage of STEP-HRL (arXiv:2604.05808; docs/spec/algorithms.md 3.4 to 3.6).
//!
//! Per level (planner, executor, progress), over the rows of a step, with h detached and s the model's parameters:
//!
//! ```text
//! (1) y      = r + (1 − d) γ V̄(h(x'))                        target of Q, clamped to ± c if c is given
//! (2) L_Q    = mean (Q(h(x,y)) − y)²
//! (3) L_V    = mean w(u) u²,  u = V(h(x)) − q,  w(u) = 1 − ω if u < 0 else ω
//!              q = Q̄(h(x,y)) (`action_end`)  or  Q̄(h(x)) (`state_end`)
//! (4) θ̄      ← (1 − τ') θ̄ + τ' θ                             both target networks, once per step
//! (5) A      = Q(h(x,y)) − V(h(x)),   w = min(exp(A/b), 20)
//! (6) L_π    = − mean w̃ LP(y|x),   w̃ = w / (m + 1e-8)         actor mode `awr`; the others: `ops::actor`
//! L = Σ_level ρ_level (L_π + L_Q + L_V),   ρ = 1 (mixture `levels`, `level_share = "equal"`) or the level's fraction of the samples
//! ```
//! m is the running mean of the level's w (`weight_mean = "running"`), or their mean in the step. L_π is over the rows that the policy
//! learns from, L_Q and L_V over all; the fractions ρ of both are of the same rows.
//!
//! **Departures from the released code** ([`OfflineConfig::profile`] has the settings of both): weights apply per row, not as
//! their mean over all rows; V regresses on Q of the recorded reply; the target networks move once, after the step; critics
//! compute in f32. In addition, `pooled` batches are bucketed by length and identical samples are merged with a weight. Means
//! are over all rows of a level in a step, across shards: workers exchange sums per level before the backward pass
//! (`offline_ac/workers.rs`).
//!
//! Metrics: those of [`bc`](crate::bc), and `actor_loss`, `critic_loss/…`, `q/…`, `v/…`, `advantage/…`, `advantage_std/…`,
//! `weight_max/…` per level.

use std::sync::atomic::AtomicBool;

use stepladder_core::Role;
use stepladder_data::offline_batch::collate;
use stepladder_data::{Level, OfflineRow, PerLevel};
use stepladder_model::{Params, Weights};
use tch::{TchError, Tensor};

use crate::AlgoError;
use crate::ops::actor::{ActorMode, RunningMean, advantage};
use crate::ops::critic::{expectile_loss, polyak, td_loss, td_target};
use crate::ops::returns::decision_return;
use crate::runtime::epochs::{self, Done};
use crate::runtime::net::Net;
use crate::runtime::observer::{Ending, Observer};
use crate::runtime::optimiser::AdamWConfig;
use crate::runtime::passes::Passes;
use crate::runtime::plan::{BatchPlan, Mixture, micro_batches, shards};
use crate::runtime::schedule::factor;
use crate::runtime::trainer::{Identity, Trainer};

mod config;
pub mod critics;
mod level;
pub mod quality;
mod workers;

pub use config::{LevelShare, OfflineConfig, TargetUpdate, VTarget, WeightMean};
use critics::{CRITIC, Heads, no_target};
use level::METRICS;
pub use level::{LevelBatch, LevelSums, Losses};
pub use workers::OfflineWorkers;

/// Creates a trainer with the model of another one, usually a behaviour-cloning checkpoint: new optimiser, new critics, no
/// progress.
pub fn start(from: Trainer, optimiser: AdamWConfig, identity: Identity, seed: u64) -> Trainer {
    let critic = critics::start(&from.weights.trained, seed, optimiser);
    let mut trainer = Trainer::new(from.weights, optimiser, identity);
    trainer.nets.insert(CRITIC, critic);
    trainer
}

/// Computes the losses of the rows of one level, equations (1) to (3) and (5). `heads` and `targets` belong to this level, so
/// (5) is the planner advantage, the executor advantage or the progress advantage.
///
/// ```text
/// (1) y   = Σᵢ γⁱ rᵢ + (1 − d) γⁿ V̄(h(x'))      TD target, clamped to ± c if c is given
/// (2) L_Q = (Q(h(x,y)) − y)²
/// (3) L_V = w(u) u²,  u = V(h(x)) − q            expectile loss
/// (5) A   = Q(h(x,y)) − V(h(x)),   f(A)           advantage and actor weight
/// ```
/// γ is applied only here; a decision has one reward per discounted step. Means over the rows of a level, and so (6), need all
/// shards of a step: see [`gradients`].
///
/// # Errors
/// From libtorch: vectors of another width, out of memory.
pub fn losses(
    heads: &Heads,
    targets: &Heads,
    rows: &LevelBatch<'_>,
    config: &OfflineConfig,
) -> Result<Losses, AlgoError> {
    let (v, q) = (heads.v.value(&rows.state)?, heads.q.value(&rows.action)?); // [B] twice
    let decisions = rows.rewards.iter().zip(rows.dones).map(|(rewards, &done)| {
        let (reward, discount) = decision_return(rewards, config.gamma);
        (reward as f32, if done { 0.0 } else { discount as f32 })
    });
    let (reward, discount): (Vec<f32>, Vec<f32>) = decisions.unzip();
    let column = |values: &[f32]| Tensor::from_slice(values).f_to_device(v.device());
    let (next_value, target_q) = tch::no_grad(|| -> Result<(Tensor, Tensor), TchError> {
        let next_value = match &rows.next {
            Some(next) => targets.v.value(next)?,
            None => v.f_zeros_like()?,
        };
        let target_q = match config.v_target_at {
            VTarget::ActionEnd => targets.q.value(&rows.action)?,
            VTarget::StateEnd => targets.q.value(&rows.state)?,
        };
        Ok((next_value, target_q))
    })?;
    let target = td_target(&column(&reward)?, &column(&discount)?, &next_value)?; // (1)
    let target = match config.value_bound {
        Some(c) => target.clamp(-c, c),
        None => target,
    };
    let critic = td_loss(&q, &target)? + expectile_loss(&v, &target_q, config.omega)?; // (2), (3)
    let advantage = advantage(&q, &v)?; // (5)
    let rule = config.rule();
    let factor = match rule.mode {
        ActorMode::Oracle => rule.factor(&column(rows.oracle)?, &q)?,
        _ => rule.factor(&advantage, &q)?,
    };
    Ok(Losses { critic, v, q, advantage, factor })
}

/// Starts `count` workers for a model like `weights`; critics compute in f32.
pub fn workers(
    count: usize,
    weights: &Weights,
    config: &OfflineConfig,
    passes: impl Into<Passes>,
) -> OfflineWorkers {
    OfflineWorkers::new(count, weights, (config, passes.into()), losses)
}

/// Splits a step into sets of rows that are normalised separately: the whole step, or its micro-steps with equal parts of each level.
fn micro_steps(config: &OfflineConfig, rows: &[&OfflineRow], group: &[usize]) -> Vec<Vec<usize>> {
    let count = match config.target_update {
        TargetUpdate::AfterStep => 1,
        TargetUpdate::BeforeStep => config.micro_steps.max(1) as usize,
    };
    let role = |index: usize| rows[index].row.role as usize;
    let mut sizes = [0usize; Role::COUNT];
    group.iter().for_each(|&index| sizes[role(index)] += 1);
    let mut seen = [0usize; Role::COUNT];
    let mut taken = vec![Vec::new(); count];
    for &index in group {
        taken[seen[role(index)] * count / sizes[role(index)]].push(index);
        seen[role(index)] += 1;
    }
    taken.retain(|members| !members.is_empty());
    taken
}

/// Losses and gradients of a step, or of a micro-step.
#[derive(Debug)]
pub struct StepGradients {
    /// Gradient of the model; zeros while only critics are trained.
    pub actor: Tensor,
    /// Gradient of the critics.
    pub critics: Tensor,
    /// L.
    pub loss: f64,
    /// Σ ρ L_π.
    pub actor_loss: f64,
    /// Sums by level.
    pub sums: PerLevel<LevelSums>,
    /// Tokens without padding.
    pub tokens: usize,
}

/// Computes losses and gradients of rows that share their means, with no step before them: weights are divided by their mean among
/// these rows. `workers` must have been created with the same `config`.
///
/// # Errors
/// From libtorch, [`AlgoError::Net`] for critics without target network, [`AlgoError::Worker`] if a worker panicked.
pub fn gradients(
    config: &OfflineConfig,
    rows: Vec<&OfflineRow>,
    pad: u32,
    nets: (&Params, &Net),
    train_actor: bool,
    workers: &OfflineWorkers,
) -> Result<StepGradients, AlgoError> {
    gradients_after(&PerLevel::default(), config, rows, pad, nets, train_actor, workers)
}

/// As [`gradients`], after steps with these running means of the weights.
///
/// # Errors
/// As [`gradients`].
pub fn gradients_after(
    means: &PerLevel<RunningMean>,
    config: &OfflineConfig,
    rows: Vec<&OfflineRow>,
    pad: u32,
    (params, critic): (&Params, &Net),
    train_actor: bool,
    workers: &OfflineWorkers,
) -> Result<StepGradients, AlgoError> {
    // Weights of all rows, and of those that the policy learns from.
    let (mut counts, mut imitated) = (PerLevel::<f64>::default(), PerLevel::<f64>::default());
    for row in rows.iter().filter(|row| row.counts()) {
        if let Some(level) = Level::of(row.row.role) {
            counts[level] += f64::from(row.row.weight);
            imitated[level] += if row.imitated { f64::from(row.row.weight) } else { 0.0 };
        }
    }
    let rho = |counts: &PerLevel<f64>| {
        let all: f64 = counts.iter().map(|(_, count)| count).sum();
        PerLevel::from_fn(|level| match (config.mixture, config.level_share) {
            (Mixture::Pooled, LevelShare::Rows) if all > 0.0 => counts[level] / all,
            _ => 1.0,
        })
    };
    let (critic_rho, actor_rho) = (rho(&counts), rho(&imitated));
    let scale = |level| if counts[level] > 0.0 { critic_rho[level] / counts[level] } else { 0.0 };
    let scales = PerLevel::from_fn(scale);
    let len = |row: &&OfflineRow| row.row.ids.len() + row.next.len();
    let micro = |shard| micro_batches(shard, workers.passes().limit(), len);
    let collated = |part: &Vec<&OfflineRow>| collate(part, pad, config.critic_reads);
    let batches: Vec<Vec<_>> = shards(rows, workers.count(), len)
        .into_iter()
        .map(|shard| micro(shard).iter().map(collated).collect::<Vec<_>>())
        .map(|shard| shard.into_iter().filter(|batch| batch.block.rows > 0).collect::<Vec<_>>())
        .filter(|shard| !shard.is_empty())
        .collect();
    let tokens = batches.iter().flatten().map(|batch| batch.tokens).sum();
    let shard_count = batches.len();
    let mut sums = PerLevel::<LevelSums>::default();
    for of_shard in workers.forward(params, critic, batches, scales, train_actor)? {
        for (level, part) in of_shard.iter() {
            sums[level].add(part);
        }
    }
    let rule = config.rule();
    let actor_scales = PerLevel::from_fn(|level| {
        let sums = &mut sums[level];
        let scale = match config.weight_mean {
            WeightMean::Running => rule.scale_over(&means[level], &sums.totals),
            WeightMean::Step => rule.scale(&sums.totals),
        };
        sums.weight_max *= scale * sums.totals.count;
        sums.weight_mean = scale * sums.totals.factor;
        actor_rho[level] * scale
    });
    let done = workers.backward(shard_count, actor_scales)?;
    Ok(StepGradients {
        loss: done.actor_loss + done.critic_loss,
        actor_loss: done.actor_loss,
        actor: done.actor.unwrap_or_else(|| params.buffer.zeros_like()),
        critics: done.critics.unwrap_or_else(|| critic.params.zeros_like()),
        sums,
        tokens,
    })
}

/// Takes one optimiser step; returns the gradient norm before clipping, and losses and gradients. A step whose gradient is not
/// finite changes neither model nor critics.
fn step(
    config: &OfflineConfig,
    rows: &[&OfflineRow],
    group: &[usize],
    pad: u32,
    trainer: &mut Trainer,
    workers: &OfflineWorkers,
    rate: f64,
) -> Result<(f64, StepGradients), AlgoError> {
    let train_actor = trainer.counters.step >= config.critic_warmup;
    let running = config.weight_mean == WeightMean::Running
        && matches!(config.actor_mode, ActorMode::Awr | ActorMode::Oracle);
    let means = PerLevel::from_fn(|level| trainer.counters.weight_means[level as usize]);
    let critic = trainer.nets.get_mut(CRITIC, critics::count_for(&trainer.weights.trained))?;
    let micro_steps = micro_steps(config, rows, group);
    let average = 1.0 / micro_steps.len() as f64;
    let mut sum: Option<StepGradients> = None;
    for micro_step in micro_steps {
        let members = micro_step.into_iter().map(|index| rows[index]).collect();
        let nets = (&trainer.weights.trained, &*critic);
        let next = gradients_after(&means, config, members, pad, nets, train_actor, workers)?;
        sum = Some(match sum {
            None => next,
            Some(before) => before.plus(next),
        });
        if config.target_update == TargetUpdate::BeforeStep {
            update_target(critic, config.tau)?;
        }
    }
    let total = sum.ok_or_else(|| AlgoError::NoData("a step without rows".to_owned()))?.times(average);
    let norm = |gradient: &Tensor| gradient.norm().double_value(&[]);
    let norm = norm(&total.actor).hypot(norm(&total.critics));
    if running && norm.is_finite() {
        // Also while only critics learn, so that the mean stands when the policy begins to.
        for (level, sums) in total.sums.iter() {
            let mean = &mut trainer.counters.weight_means[level as usize];
            *mean = mean.after(&sums.totals);
        }
    }
    if train_actor {
        let rate = rate * config.learning_rate;
        trainer.optimiser.step_within(&mut trainer.weights.trained.buffer, &total.actor, rate, norm);
    }
    let rate = rate * config.critic_learning_rate;
    critic.optimiser.step_within(&mut critic.params, &total.critics, rate, norm);
    if config.target_update == TargetUpdate::AfterStep && norm.is_finite() {
        update_target(critic, config.tau_per_step())?;
    }
    Ok((norm, total))
}

/// Moves the target networks of all heads, equation (4).
fn update_target(critic: &mut Net, tau: f64) -> Result<(), AlgoError> {
    polyak(critic.target.as_mut().ok_or_else(no_target)?, &critic.params, tau)
}

impl StepGradients {
    fn plus(self, other: Self) -> Self {
        let mut sums = self.sums;
        for (level, part) in other.sums.iter() {
            sums[level].add(part);
        }
        Self {
            actor: self.actor + other.actor,
            critics: self.critics + other.critics,
            loss: self.loss + other.loss,
            actor_loss: self.actor_loss + other.actor_loss,
            sums,
            tokens: self.tokens + other.tokens,
        }
    }

    fn times(self, factor: f64) -> Self {
        if factor == 1.0 {
            return self;
        }
        Self {
            actor: self.actor * factor,
            critics: self.critics * factor,
            loss: self.loss * factor,
            actor_loss: self.actor_loss * factor,
            sums: PerLevel::from_fn(|level| {
                let sums = self.sums[level];
                LevelSums { weight_mean: sums.weight_mean * factor, ..sums }
            }),
            ..self
        }
    }

    fn extra(&self) -> Vec<(&'static str, f64)> {
        let mut extra = vec![("actor_loss", self.actor_loss)];
        for (level, sums) in self.sums.iter().filter(|(_, sums)| sums.count > 0.0) {
            extra.extend(METRICS[level].into_iter().zip(sums.metrics()));
        }
        extra
    }
}

/// Trains until the budget is used up or `stop` is set, starting at `trainer.counters`.
///
/// `pad` fills short rows, and `seed` determines the order of rows. `trainer` comes from [`start`] or from a checkpoint of
/// [`train`]; `workers` must have been created with the same `config`. Rows without a reply and rows of a flat agent are skipped;
/// a level without rows is not trained.
///
/// # Errors
/// [`AlgoError::NoData`] without rows, [`AlgoError::Net`] for a trainer without critics, [`AlgoError::Window`] for a row longer
/// than the context window, [`AlgoError::NotFinite`] after
/// [`Divergence::LIMIT`](crate::runtime::optimiser::Divergence::LIMIT) steps in a row without a finite gradient, or any error of
/// the observer.
pub fn train(
    config: &OfflineConfig,
    rows: &[OfflineRow],
    (pad, seed): (u32, u64),
    trainer: &mut Trainer,
    workers: &OfflineWorkers,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Ending, AlgoError> {
    let rows: Vec<&OfflineRow> =
        rows.iter().filter(|row| row.counts() && Level::of(row.row.role).is_some()).collect();
    if rows.is_empty() {
        return Err(AlgoError::NoData("no episode has a transition".to_owned()));
    }
    trainer.nets.get(CRITIC, critics::count_for(&trainer.weights.trained))?;
    let window = trainer.weights.config().shape.max_positions as usize;
    let needed = rows.iter().map(|row| row.longest()).max().unwrap_or(0);
    if needed > window {
        return Err(AlgoError::Window { needed, window });
    }
    let &OfflineConfig { mixture, batch_tokens, batch_rows, .. } = config;
    let plan = BatchPlan { mixture, batch_tokens, batch_rows, seed };
    let measured: Vec<_> = rows.iter().map(|row| (row.row.role, row.row.ids.len())).collect();
    epochs::run(
        config.budget,
        trainer,
        stop,
        observer,
        |epoch| plan.epoch(&measured, epoch),
        |trainer, group, fraction| {
            let rate = factor(config.schedule, fraction, config.warmup, config.floor);
            let warming = trainer.counters.step < config.critic_warmup;
            let (gradient_norm, outcome) = step(config, &rows, group, pad, trainer, workers, rate)?;
            let mut per_role = [(0.0, 0.0); Role::COUNT];
            for (level, sums) in outcome.sums.iter() {
                per_role[level.role() as usize] = (sums.logprob, sums.totals.count);
            }
            let learning_rate = if warming { 0.0 } else { rate * config.learning_rate };
            let (loss, extra) = (outcome.loss, outcome.extra());
            Ok(Done { tokens: outcome.tokens, loss, gradient_norm, learning_rate, per_role, extra })
        },
    )
}
