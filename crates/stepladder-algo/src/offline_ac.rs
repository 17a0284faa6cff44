//! Offline actor-critic per level: STEP-HRL's second stage (spec/algorithms 3.4 to 3.6).
//!
//! Per level (planner, executor, progress), over the rows of a step, with h detached and s the model's parameters:
//!
//! ```text
//! (1) y      = r + (1 − d) γ V̄(h(x'))                        target of Q, kept within ± c if c is given
//! (2) L_Q    = mean (Q(h(x,y)) − y)²
//! (3) L_V    = mean w(u) u²,  u = V(h(x)) − q,  w(u) = 1 − ω if u < 0 else ω
//!              q = Q̄(h(x,y)) (`action_end`)  or  Q̄(h(x)) (`state_end`)
//! (4) θ̄      ← (1 − τ') θ̄ + τ' θ                             both slow copies, once per step
//! (5) A      = Q(h(x,y)) − V(h(x)),   w = min(exp(A/b), 20)
//! (6) L_π    = − mean w̃ LP(y|x),   w̃ = w / (mean w + 1e-8)    actor mode `awr`; the others: `ops::actor`
//! L = Σ_level ρ_level (L_π + L_Q + L_V),   ρ = 1 (mixture `levels`) or the level's share of the samples (`pooled`)
//! ```
//!
//! **Departures from the released code** (each has a switch, all of them together are [`OfflineConfig::profile`]):
//! weights are applied row by row instead of their mean to all rows; V regresses on Q of the action that was taken; the
//! slow copies move once per step and after it; critics compute in f32. Beyond it: `pooled` batches are bucketed by
//! length and identical samples are merged with a weight. Means go over all rows of a level in a step, whoever computed
//! them: workers first exchange two sums per level, then go backward (`offline_ac/share.rs`).
//!
//! Metrics: those of `bc`, and `actor_loss`, `critic_loss/…`, `q/…`, `v/…`, `advantage/…`, `advantage_std/…`,
//! `weight_max/…` per level.

use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use stepladder_core::Role;
use stepladder_core::reply::Profile;
use stepladder_data::OfflineRow;
use stepladder_data::offline_batch::{LEVELS, collate, level_of};
use stepladder_model::Params;
use tch::{Kind, Tensor};

use crate::AlgoError;
use crate::bc::{Budget, Ending, Mixture, Observer};
use crate::critics::Critics;
use crate::ops::actor::{ActorMode, ActorRule};
use crate::ops::critic::polyak;
use crate::runtime::checkpoint::{Identity, Progress, Trainer};
use crate::runtime::epochs::{self, Done};
use crate::runtime::optimiser::{AdamW, AdamWConfig};
use crate::runtime::plan::{Plan, shares};
use crate::runtime::schedule::{Schedule, factor};

mod share;

pub use share::{Learners, LevelSums};

/// Which Q the value of a prompt is fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VTarget {
    /// Q̄ of the reply that was given, as IQL does.
    ActionEnd,
    /// Q̄ at the end of the prompt, where Q is never trained (the released code).
    StateEnd,
}

/// When the slow copies of the critics move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetUpdate {
    /// Once, after the optimiser step, by τ' = 1 − (1 − τ)^micro_steps.
    AfterStep,
    /// After every micro-step's backward pass, before the optimiser step, by τ (the released code).
    BeforeStep,
}

/// Numbers of offline actor-critic.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineConfig {
    /// Loss of the actor.
    pub actor_mode: ActorMode,
    /// b: the advantage that multiplies a weight by e (mode `awr`).
    pub temperature: f64,
    /// Largest weight before normalisation (mode `awr`).
    pub weight_clip: f64,
    /// What V is fitted to.
    pub v_target_at: VTarget,
    /// γ per decision.
    pub gamma: f64,
    /// Discount a planner's decision by γ^n_k and its rewards within; [`OfflineConfig::smdp`] goes to
    /// `stepladder_data::offline::rows`.
    pub smdp_gamma: bool,
    /// ω: weight of over-estimation by V. 0.95 is pessimistic, 0.05 optimistic, 0.5 neutral.
    pub omega: f64,
    /// c: what returns cannot exceed in size, so targets of Q do not either. A pessimistic V that learns from its own
    /// estimates sinks below every return where prompts follow themselves, as those of somebody who repeats one action do.
    pub value_bound: Option<f64>,
    /// τ per micro-step.
    pub tau: f64,
    /// When the slow copies move.
    pub target_update: TargetUpdate,
    /// Micro-steps of an optimiser step: with `before_step` its rows are taken in so many parts, each with means of its
    /// own; with `after_step` it only says how far the slow copies move.
    pub micro_steps: u32,
    /// Peak learning rate of the model.
    pub actor_learning_rate: f64,
    /// Peak learning rate of the critics.
    pub critic_learning_rate: f64,
    /// First optimiser steps, in which critics learn alone.
    pub critic_warmup: u64,
    /// Course of both learning rates.
    pub schedule: Schedule,
    /// Share of the run that warms up.
    pub warmup: f64,
    /// Final learning rates as a share of the peaks.
    pub floor: f64,
    /// How the levels share the steps.
    pub mixture: Mixture,
    /// Padded tokens of a step (mixture `pooled`).
    pub batch_tokens: usize,
    /// Rows of each level in a step (mixture `levels`).
    pub batch_rows: usize,
    /// When to stop.
    pub budget: Budget,
    /// Run seed.
    pub seed: u64,
    /// Kind of the model's matrix products; critics compute in f32.
    pub kind: Kind,
}

impl OfflineConfig {
    /// The numbers of spec/algorithms 3.4 to 3.6: profile `fixed` with their repairs, `code` as released.
    ///
    /// Batches have 128 rows per level; the released critics-only phase of 100 micro-steps is 50 optimiser steps.
    pub fn profile(profile: Profile, seed: u64, kind: Kind) -> Self {
        let (actor_mode, v_target_at, target_update) = match profile {
            Profile::Fixed => (ActorMode::Awr, VTarget::ActionEnd, TargetUpdate::AfterStep),
            Profile::Code => (ActorMode::LinearOuter, VTarget::StateEnd, TargetUpdate::BeforeStep),
        };
        Self {
            actor_mode,
            temperature: 1.0,
            weight_clip: 20.0,
            v_target_at,
            gamma: 0.99,
            smdp_gamma: false,
            omega: 0.95,
            value_bound: None,
            tau: 0.2,
            target_update,
            micro_steps: 2,
            actor_learning_rate: 1e-5,
            critic_learning_rate: 1e-4,
            critic_warmup: 50,
            schedule: Schedule::Constant,
            warmup: 0.0,
            floor: 1.0,
            mixture: Mixture::Levels,
            batch_tokens: 16_384,
            batch_rows: 128,
            budget: Budget::Epochs(3.0),
            seed,
            kind,
        }
    }

    /// What `stepladder_data::offline::rows` must know: γ if decisions are discounted by their length.
    pub fn smdp(&self) -> Option<f64> {
        self.smdp_gamma.then_some(self.gamma)
    }

    /// τ' of a move after the step.
    pub fn tau_per_step(&self) -> f64 {
        1.0 - (1.0 - self.tau).powf(f64::from(self.micro_steps.max(1)))
    }

    fn rule(&self) -> ActorRule {
        ActorRule { mode: self.actor_mode, temperature: self.temperature, clip: self.weight_clip }
    }
}

/// A trainer that starts from another one's model, usually a behaviour-cloning checkpoint: fresh optimiser, fresh
/// critics, no progress.
pub fn start(from: Trainer, optimiser: AdamWConfig, identity: Identity, seed: u64) -> Trainer {
    let width = from.params.layout.config().shape.width;
    Trainer {
        optimiser: AdamW::new(optimiser, &from.params.flat),
        critics: Some(Critics::init(width, seed, optimiser, from.params.flat.device())),
        values: None,
        progress: Progress::start(),
        identity,
        params: from.params,
        factors: from.factors,
    }
}

/// The parts of a step that are normalised by themselves: all of it, or its micro-steps with an even share of each level.
fn micro_steps(config: &OfflineConfig, rows: &[&OfflineRow], group: &[usize]) -> Vec<Vec<usize>> {
    let parts = match config.target_update {
        TargetUpdate::AfterStep => 1,
        TargetUpdate::BeforeStep => config.micro_steps.max(1) as usize,
    };
    let role = |index: usize| rows[index].row.role as usize;
    let mut sizes = [0usize; Role::COUNT];
    group.iter().for_each(|&index| sizes[role(index)] += 1);
    let mut seen = [0usize; Role::COUNT];
    let mut taken = vec![Vec::new(); parts];
    for &index in group {
        taken[seen[role(index)] * parts / sizes[role(index)]].push(index);
        seen[role(index)] += 1;
    }
    taken.retain(|part| !part.is_empty());
    taken
}

/// What a step, or a micro-step, came to.
#[derive(Debug)]
pub struct Outcome {
    /// Gradient of the model; zeros while critics learn alone.
    pub actor: Tensor,
    /// Gradient of the critics.
    pub critics: Tensor,
    /// L.
    pub loss: f64,
    /// Its part Σ ρ L_π.
    pub actor_loss: f64,
    /// Sums by level.
    pub sums: [LevelSums; 3],
    /// Tokens without padding.
    pub tokens: usize,
}

/// Losses and gradients of rows that share their means. `learners` were made with the same `config`.
///
/// # Errors
/// From libtorch.
pub fn gradients(
    config: &OfflineConfig,
    rows: Vec<&OfflineRow>,
    pad: u32,
    (params, critics): (&Params, &Critics),
    train_actor: bool,
    learners: &Learners,
) -> Result<Outcome, AlgoError> {
    let mut counts = [0.0f64; 3];
    for row in rows.iter().filter(|row| row.counts()) {
        if let Some(level) = level_of(row.row.role) {
            counts[level] += f64::from(row.row.weight);
        }
    }
    let all: f64 = counts.iter().sum();
    let portions = counts.map(|count| match config.mixture {
        Mixture::Pooled if all > 0.0 => count / all,
        _ => 1.0,
    });
    let mut scales = [0.0; 3];
    for level in 0..3 {
        scales[level] = if counts[level] > 0.0 { portions[level] / counts[level] } else { 0.0 };
    }
    let batches: Vec<_> = shares(rows, learners.count(), |row| row.row.ids.len() + row.next.len())
        .iter()
        .map(|share| collate(share, pad))
        .filter(|batch| batch.block.rows > 0)
        .collect();
    let tokens = batches.iter().map(|batch| batch.tokens).sum();
    let shares = batches.len();
    let mut sums = [LevelSums::default(); 3];
    for part in learners.forward(params, critics, batches, scales, train_actor)? {
        for (sum, part) in sums.iter_mut().zip(part) {
            sum.add(&part);
        }
    }
    let rule = config.rule();
    let mut actor_scales = [0.0; 3];
    for (level, sum) in sums.iter_mut().enumerate() {
        let scale = rule.scale(&sum.totals);
        sum.weight_max *= scale * sum.totals.count;
        actor_scales[level] = portions[level] * scale;
    }
    let done = learners.backward(shares, actor_scales)?;
    Ok(Outcome {
        loss: done.actor_loss + done.critic_loss,
        actor_loss: done.actor_loss,
        actor: done.actor.unwrap_or_else(|| params.flat.zeros_like()),
        critics: done.critics.unwrap_or_else(|| critics.online.zeros_like()),
        sums,
        tokens,
    })
}

/// One optimiser step; the norm before clipping, and what it came to. A step whose gradient is not finite moves neither
/// model nor critics.
fn step(
    config: &OfflineConfig,
    rows: &[&OfflineRow],
    group: &[usize],
    pad: u32,
    trainer: &mut Trainer,
    learners: &Learners,
    rate: f64,
) -> Result<(f64, Outcome), AlgoError> {
    let train_actor = trainer.progress.step >= config.critic_warmup;
    let critics = trainer.critics.as_mut().ok_or(AlgoError::NoCritics)?;
    let parts = micro_steps(config, rows, group);
    let share = 1.0 / parts.len() as f64;
    let mut sum: Option<Outcome> = None;
    for part in parts {
        let members = part.into_iter().map(|index| rows[index]).collect();
        let next = gradients(config, members, pad, (&trainer.params, critics), train_actor, learners)?;
        sum = Some(match sum {
            None => next,
            Some(before) => before.plus(next),
        });
        if config.target_update == TargetUpdate::BeforeStep {
            polyak(&mut critics.target, &critics.online, config.tau)?;
        }
    }
    let total = sum.ok_or_else(|| AlgoError::NoData("a step without rows".to_owned()))?.times(share);
    let norm = |gradient: &Tensor| gradient.norm().double_value(&[]);
    let norm = norm(&total.actor).hypot(norm(&total.critics));
    if train_actor {
        let rate = rate * config.actor_learning_rate;
        trainer.optimiser.step_within(&mut trainer.params.flat, &total.actor, rate, norm);
    }
    let rate = rate * config.critic_learning_rate;
    critics.optimiser.step_within(&mut critics.online, &total.critics, rate, norm);
    if config.target_update == TargetUpdate::AfterStep && norm.is_finite() {
        polyak(&mut critics.target, &critics.online, config.tau_per_step())?;
    }
    Ok((norm, total))
}

impl Outcome {
    fn plus(self, other: Self) -> Self {
        let mut sums = self.sums;
        for (sum, part) in sums.iter_mut().zip(&other.sums) {
            sum.add(part);
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

    fn times(self, share: f64) -> Self {
        if share == 1.0 {
            return self;
        }
        Self {
            actor: self.actor * share,
            critics: self.critics * share,
            loss: self.loss * share,
            actor_loss: self.actor_loss * share,
            ..self
        }
    }

    fn extra(&self) -> Vec<(&'static str, f64)> {
        let mut extra = vec![("actor_loss", self.actor_loss)];
        for (sums, names) in self.sums.iter().zip(share::METRICS) {
            extra.extend(names.into_iter().zip(sums.metrics()).filter(|_| sums.totals.count > 0.0));
        }
        extra
    }
}

/// Trains until the budget is used up or `stop` is set. Continues wherever `trainer.progress` stands.
///
/// `trainer` comes from [`start`] or from a checkpoint that [`train`] left, `learners` were made with the same `config`.
/// Rows without a reply and rows of a flat agent are left out; a level without rows is not trained.
///
/// # Errors
/// [`AlgoError::NoData`] without rows, [`AlgoError::NoCritics`] for a trainer without critics, [`AlgoError::Window`] for
/// a row that the model cannot read, [`AlgoError::NotFinite`] after
/// [`Divergence::LIMIT`](crate::runtime::optimiser::Divergence::LIMIT) steps in a row without a finite gradient, or what the observer answers.
pub fn train(
    config: &OfflineConfig,
    rows: &[OfflineRow],
    pad: u32,
    trainer: &mut Trainer,
    learners: &Learners,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Ending, AlgoError> {
    let rows: Vec<&OfflineRow> =
        rows.iter().filter(|row| row.counts() && level_of(row.row.role).is_some()).collect();
    if rows.is_empty() {
        return Err(AlgoError::NoData("no episode gave a transition".to_owned()));
    }
    if trainer.critics.is_none() {
        return Err(AlgoError::NoCritics);
    }
    let window = trainer.params.layout.config().shape.max_positions as usize;
    let needed = rows.iter().map(|row| row.longest()).max().unwrap_or(0);
    if needed > window {
        return Err(AlgoError::Window { needed, window });
    }
    let &OfflineConfig { mixture, batch_tokens, batch_rows, seed, .. } = config;
    let plan = Plan { mixture, batch_tokens, batch_rows, seed };
    let measured: Vec<_> = rows.iter().map(|row| (row.row.role, row.row.ids.len())).collect();
    epochs::run(
        config.budget,
        trainer,
        stop,
        observer,
        |epoch| plan.epoch(&measured, epoch),
        |trainer, group, fraction| {
            let rate = factor(config.schedule, fraction, config.warmup, config.floor);
            let warming = trainer.progress.step < config.critic_warmup;
            let (gradient_norm, outcome) = step(config, &rows, group, pad, trainer, learners, rate)?;
            let mut per_role = [(0.0, 0.0); Role::COUNT];
            for (level, sums) in LEVELS.into_iter().zip(&outcome.sums) {
                per_role[level as usize] = (sums.logprob, sums.totals.count);
            }
            let learning_rate = if warming { 0.0 } else { rate * config.actor_learning_rate };
            let (loss, extra) = (outcome.loss, outcome.extra());
            Ok(Done { tokens: outcome.tokens, loss, gradient_norm, learning_rate, per_role, extra })
        },
    )
}
