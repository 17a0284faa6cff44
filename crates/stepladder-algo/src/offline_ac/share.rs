//! One worker's share of a step of offline actor-critic, in two halves.
//!
//! *Forward*: one pass with gradient over prompts and replies gives log-probabilities and, detached, what the critics
//! read; one pass without gradient over the next prompts. The sums that normalise the actor's weights go back.
//! *Backward*: with the sums of all shares known, one backward pass through actor and critics.
//! Between the halves a worker keeps its graph, so nothing is computed twice and the result is that of one worker.

use stepladder_data::OfflineBatch;
use stepladder_data::offline_batch::{Block, Level};
use stepladder_model::{Decoder, Factors, Frame, Params, Weights};
use tch::{Device, Kind, TchError, Tensor};

use super::config::{OfflineConfig, VTarget};
use super::critics::{Heads, heads, no_slow_copy};
use crate::AlgoError;
use crate::ops::actor::{ActorRule, Totals};
use crate::ops::critic::{expectile_loss, td_loss, td_target};
use crate::ops::logprob::nll;
use crate::runtime::net::Net;
use crate::runtime::pool::{Pool, sum_in_order};

/// Names of [`LevelSums::metrics`] by level.
pub(super) const METRICS: [[&str; 6]; 3] = [
    [
        "critic_loss/planner",
        "q/planner",
        "v/planner",
        "advantage/planner",
        "advantage_std/planner",
        "weight_max/planner",
    ],
    [
        "critic_loss/executor",
        "q/executor",
        "v/executor",
        "advantage/executor",
        "advantage_std/executor",
        "weight_max/executor",
    ],
    [
        "critic_loss/progress",
        "q/progress",
        "v/progress",
        "advantage/progress",
        "advantage_std/progress",
        "weight_max/progress",
    ],
];

/// Weighted sums over rows of one level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LevelSums {
    /// What the actor's scale needs.
    pub totals: Totals,
    /// Σ c (L_Q + L_V).
    pub critic_loss: f64,
    /// Σ c Q.
    pub q: f64,
    /// Σ c V.
    pub v: f64,
    /// Σ c A².
    pub advantage_square: f64,
    /// Largest factor f; once the scale is known, largest weight relative to 1 / Σ c.
    pub weight_max: f64,
    /// Σ c LP.
    pub logprob: f64,
}

impl LevelSums {
    pub(super) fn add(&mut self, other: &Self) {
        // The largest factor of nothing is not 0: advantages may all be negative.
        self.weight_max = match (self.totals.count > 0.0, other.totals.count > 0.0) {
            (true, true) => self.weight_max.max(other.weight_max),
            (true, false) => self.weight_max,
            _ => other.weight_max,
        };
        self.totals.count += other.totals.count;
        self.totals.factor += other.totals.factor;
        self.totals.advantage += other.totals.advantage;
        self.critic_loss += other.critic_loss;
        self.q += other.q;
        self.v += other.v;
        self.advantage_square += other.advantage_square;
        self.logprob += other.logprob;
    }

    /// Mean critic loss, Q, V, advantage; standard deviation of the advantage; largest weight.
    pub(super) fn metrics(&self) -> [f64; 6] {
        let mean = |sum: f64| sum / self.totals.count;
        let advantage = mean(self.totals.advantage);
        let variance = (mean(self.advantage_square) - advantage * advantage).max(0.0);
        [mean(self.critic_loss), mean(self.q), mean(self.v), advantage, variance.sqrt(), self.weight_max]
    }
}

/// Gradients and losses of all shares.
#[derive(Debug, Default)]
pub(super) struct Gradients {
    /// Of the model; none while critics learn alone.
    pub(super) actor: Option<Tensor>,
    /// Of the critics.
    pub(super) critics: Option<Tensor>,
    pub(super) actor_loss: f64,
    pub(super) critic_loss: f64,
}

struct Forward {
    flat: Tensor,
    online: Tensor,
    target: Tensor,
    batch: OfflineBatch,
    /// Weight of a sample's critic loss, by level.
    scales: [f64; 3],
    actor: bool,
}

enum Job {
    Forward(Box<Forward>),
    /// With the actor's scale by level.
    Backward([f64; 3]),
}

enum Answer {
    Sums([LevelSums; 3]),
    Gradients(Gradients),
}

/// What waits for the backward half.
struct Pending {
    leaf: Tensor,
    online: Tensor,
    critic_loss: Tensor,
    /// Log-probability of each target: `[N]`, with gradient if the actor learns.
    logprobs: Tensor,
    /// Level and c f / |y| of the row of each target.
    tokens: Vec<(usize, f64)>,
    actor: bool,
}

/// Worker threads that compute shares of steps.
pub struct Learners {
    pool: Pool<Job, Answer>,
}

impl Learners {
    /// `count` workers for a model like `weights`.
    pub fn new(count: usize, weights: &Weights, factors: &Factors, config: &OfflineConfig) -> Self {
        let width = weights.config().shape.width;
        let pool = Pool::new(count, || {
            let mut worker = Worker {
                frame: Frame::new(weights, factors, config.kind),
                rule: config.rule(),
                config: config.clone(),
                width,
                pending: None,
            };
            move |job| worker.answer(job)
        });
        Self { pool }
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.pool.count()
    }

    pub(super) fn forward(
        &self,
        params: &Params,
        critic: &Net,
        batches: Vec<OfflineBatch>,
        scales: [f64; 3],
        actor: bool,
    ) -> Result<Vec<[LevelSums; 3]>, AlgoError> {
        let target = critic.target.as_ref().ok_or_else(no_slow_copy)?;
        let job = |batch| {
            let (flat, online) = (params.flat.detach(), critic.params.detach());
            let target = target.detach();
            Job::Forward(Box::new(Forward { flat, online, target, batch, scales, actor }))
        };
        let answers = self.pool.run(batches.into_iter().map(job).collect())?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                Answer::Sums(sums) => Some(sums),
                Answer::Gradients(_) => None,
            })
            .collect())
    }

    /// Finishes what [`Learners::forward`] began with so many batches.
    pub(super) fn backward(&self, batches: usize, scales: [f64; 3]) -> Result<Gradients, AlgoError> {
        let answers = self.pool.run((0..batches).map(|_| Job::Backward(scales)).collect())?;
        let (mut actor, mut critics) = (Vec::new(), Vec::new());
        let mut sum = Gradients::default();
        for answer in answers {
            if let Answer::Gradients(part) = answer {
                actor.extend(part.actor);
                critics.extend(part.critics);
                sum.actor_loss += part.actor_loss;
                sum.critic_loss += part.critic_loss;
            }
        }
        Ok(Gradients { actor: sum_in_order(actor), critics: sum_in_order(critics), ..sum })
    }
}

struct Worker {
    frame: Frame,
    config: OfflineConfig,
    rule: ActorRule,
    width: i64,
    pending: Option<Pending>,
}

fn block(block: &Block, device: Device) -> Result<Tensor, TchError> {
    Tensor::from_slice(&block.ids).f_view([block.rows as i64, block.len as i64])?.f_to_device(device)
}

fn floats(tensor: &Tensor) -> Result<Vec<f64>, AlgoError> {
    Ok(Vec::try_from(tensor.f_detach()?.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?)?)
}

/// What critics read at some of the computed vectors; no gradient reaches the model.
fn features(decoder: &Decoder, hidden: &Tensor, entries: &[i64]) -> Result<Tensor, TchError> {
    let entries = Tensor::from_slice(entries).f_to_device(hidden.device())?;
    tch::no_grad(|| decoder.features(&hidden.f_detach()?.f_index_select(0, &entries)?))
}

impl Worker {
    fn answer(&mut self, job: Job) -> Result<Answer, AlgoError> {
        match job {
            Job::Forward(job) => self.forward(*job).map(Answer::Sums),
            Job::Backward(scales) => self.backward(scales).map(Answer::Gradients),
        }
    }

    fn forward(&mut self, job: Forward) -> Result<[LevelSums; 3], AlgoError> {
        let Forward { flat, online, target, batch, scales, actor } = job;
        let device = flat.device();
        let to = |values: &[i64]| Tensor::from_slice(values).f_to_device(device);
        let leaf = flat.set_requires_grad(actor);
        let online = online.set_requires_grad(true);
        let decoder = self.frame.decoder(&leaf);

        let ids = block(&batch.block, device)?; // [B, T]
        let hidden = decoder.hidden_at(&ids, &to(&batch.positions)?)?; // [N + B, d]
        let targets = ids.f_reshape([-1])?.f_index_select(0, &to(&batch.targets)?)?; // [N]
        let said = hidden.f_index_select(0, &to(&batch.before)?)?; // [N, d]
        let logprobs = decoder.token_logprobs(&said, &targets)?; // [N]
        let next = (batch.next.rows > 0).then(|| {
            tch::no_grad(|| {
                let ids = block(&batch.next, device)?; // [M, T']
                decoder.features(&decoder.hidden_at(&ids, &to(&batch.next_ends)?)?) // [M, d]
            })
        });
        let next = next.transpose()?;

        let mut row_logprobs = vec![0.0; batch.block.rows];
        for (&owner, logprob) in batch.owners.iter().zip(floats(&logprobs)?) {
            row_logprobs[owner as usize] += logprob / f64::from(batch.lens[owner as usize]);
        }
        let (now, slow) = (heads(&online, self.width), heads(&target, self.width));
        let mut critic_loss = Tensor::zeros([], (Kind::Float, device));
        let mut sums = [LevelSums::default(); 3];
        let mut rows = vec![(0, 0.0); batch.block.rows];
        for (index, level) in batch.levels.iter().enumerate().filter(|(_, level)| !level.rows.is_empty()) {
            let entries =
                |of: &[i64]| -> Vec<i64> { level.rows.iter().map(|&row| of[row as usize]).collect() };
            let state = features(&decoder, &hidden, &entries(&batch.states))?; // [B_l, d]
            let action = features(&decoder, &hidden, &entries(&batch.actions))?; // [B_l, d]
            let (v, q) = (now[index].v.value(&state)?, now[index].q.value(&action)?); // [B_l] twice
            let losses = self.critic_losses(level, &v, &q, [&state, &action], next.as_ref(), &slow[index])?;
            let weight = Tensor::from_slice(&level.weights).to_device(device);
            critic_loss = critic_loss + (&losses * weight).sum(Kind::Float) * scales[index];

            let factor = floats(&self.rule.factor(&q, &v)?)?;
            let (losses, q, v) = (floats(&losses)?, floats(&q)?, floats(&v)?);
            for (at, &row) in level.rows.iter().enumerate() {
                let (row, c, advantage) = (row as usize, f64::from(level.weights[at]), q[at] - v[at]);
                rows[row] = (index, c * factor[at] / f64::from(batch.lens[row]));
                sums[index].add(&LevelSums {
                    totals: Totals { count: c, factor: c * factor[at], advantage: c * advantage },
                    critic_loss: c * losses[at],
                    q: c * q[at],
                    v: c * v[at],
                    advantage_square: c * advantage * advantage,
                    weight_max: factor[at],
                    logprob: c * row_logprobs[row],
                });
            }
        }
        let tokens = batch.owners.iter().map(|&owner| rows[owner as usize]).collect();
        self.pending = Some(Pending { leaf, online, critic_loss, logprobs, tokens, actor });
        Ok(sums)
    }

    /// L_Q + L_V by row: `[B_l]`.
    fn critic_losses(
        &self,
        level: &Level,
        v: &Tensor,
        q: &Tensor,
        [state, action]: [&Tensor; 2],
        next: Option<&Tensor>,
        slow: &Heads,
    ) -> Result<Tensor, AlgoError> {
        let config = &self.config;
        let device = v.device();
        let discount: Vec<f32> = (level.dones.iter().zip(&level.steps))
            .map(|(&done, &steps)| if done { 0.0 } else { config.gamma.powi(steps as i32) as f32 })
            .collect();
        let (discount, reward) = (Tensor::from_slice(&discount), Tensor::from_slice(&level.rewards));
        let (next_value, reference) = tch::no_grad(|| -> Result<(Tensor, Tensor), TchError> {
            let next_value = match next {
                Some(next) => {
                    let rows = Tensor::from_slice(&level.next).f_to_device(device)?;
                    slow.v.value(&next.f_index_select(0, &rows)?)?
                }
                None => v.f_zeros_like()?,
            };
            let reference = match config.v_target_at {
                VTarget::ActionEnd => slow.q.value(action)?,
                VTarget::StateEnd => slow.q.value(state)?,
            };
            Ok((next_value, reference))
        })?;
        let target = td_target(&reward.to_device(device), &discount.to_device(device), &next_value)?;
        let target = match config.value_bound {
            Some(c) => target.clamp(-c, c),
            None => target,
        };
        Ok(td_loss(q, &target)? + expectile_loss(v, &reference, config.omega)?)
    }

    fn backward(&mut self, scales: [f64; 3]) -> Result<Gradients, AlgoError> {
        let reason = || "a backward half without its forward half".to_owned();
        let Pending { leaf, online, critic_loss, logprobs, tokens, actor } =
            self.pending.take().ok_or_else(|| AlgoError::Shape { op: "offline_ac", reason: reason() })?;
        let weights: Vec<f32> =
            tokens.iter().map(|&(level, weight)| (weight * scales[level]) as f32).collect();
        let weights = Tensor::from_slice(&weights).to_device(logprobs.device());
        let actor_loss = nll(&logprobs, &weights)?;
        let (actor_value, critic_value) = (actor_loss.f_double_value(&[])?, critic_loss.f_double_value(&[])?);
        let total = if actor { actor_loss + critic_loss } else { critic_loss };
        total.f_backward()?;
        Ok(Gradients {
            actor: actor.then(|| leaf.grad()),
            critics: Some(online.grad()),
            actor_loss: actor_value,
            critic_loss: critic_value,
        })
    }
}
