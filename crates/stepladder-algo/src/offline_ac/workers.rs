//! Data-parallel step of offline actor-critic: each worker thread computes one shard in two rounds.
//!
//! *Forward*: one pass with gradient over prompts and replies computes log-probabilities and, detached, the features of the
//! critics; one pass without gradient covers the next prompts. Each worker returns the sums that normalise the actor's weights.
//! *Backward*: given the sums of all shards, one backward pass through actor and critics.
//! Workers keep their graph between the rounds, so nothing is computed twice and the result does not depend on their number. A shard
//! of several micro-batches keeps no graph: the second round computes the forward pass of each again.
//!
//! The algorithm passes the losses in as a function ([`LossFn`]).

use stepladder_data::offline_batch::Block;
use stepladder_data::{Level, OfflineBatch, PerLevel};
use stepladder_model::decoder::index;
use stepladder_model::{Decoder, Frame, Params, Weights};
use tch::{Device, Kind, TchError, Tensor};

use super::config::OfflineConfig;
use super::critics::{Heads, heads, no_target};
use super::level::{LevelBatch, LevelSums, Losses};
use crate::AlgoError;
use crate::ops::actor::Totals;
use crate::ops::logprob::nll;
use crate::runtime::net::Net;
use crate::runtime::passes::Passes;
use crate::runtime::pool::{Pool, sum_in_order};

/// Losses of the rows of one level, from its heads and their target networks.
pub(super) type LossFn = fn(&Heads, &Heads, &LevelBatch<'_>, &OfflineConfig) -> Result<Losses, AlgoError>;

/// Gradients and losses of all shards.
#[derive(Debug, Default)]
pub(super) struct Gradients {
    /// Gradient of the model; none while only critics are trained.
    pub(super) actor: Option<Tensor>,
    /// Gradient of the critics.
    pub(super) critics: Option<Tensor>,
    pub(super) actor_loss: f64,
    pub(super) critic_loss: f64,
}

impl Gradients {
    fn plus(self, next: Self) -> Self {
        Self {
            actor: sum_in_order(self.actor.into_iter().chain(next.actor)),
            critics: sum_in_order(self.critics.into_iter().chain(next.critics)),
            actor_loss: self.actor_loss + next.actor_loss,
            critic_loss: self.critic_loss + next.critic_loss,
        }
    }
}

struct Forward {
    buffer: Tensor,
    online: Tensor,
    target: Tensor,
    /// Micro-batches of the shard.
    batches: Vec<OfflineBatch>,
    /// Weight of a sample's critic loss.
    scales: PerLevel<f64>,
    actor: bool,
}

enum Round {
    Forward(Box<Forward>),
    /// Carries the actor's scales.
    Backward(PerLevel<f64>),
}

enum Answer {
    Sums(Box<PerLevel<LevelSums>>),
    Gradients(Gradients),
}

/// A shard between the rounds.
enum Pending {
    /// Its only batch.
    Graph(Box<Graph>),
    /// Its micro-batches, to be computed again.
    Again(Box<Forward>),
}

/// Computation graph of a batch.
struct Graph {
    decoder: Decoder,
    leaf: Tensor,
    online: Tensor,
    critic_loss: Tensor,
    /// Log-probability of each target: `[N]`, with gradient if the actor is trained.
    logprobs: Tensor,
    /// Level of each target's row, and its c f / |y|.
    tokens: Vec<(Level, f64)>,
    actor: bool,
}

/// Worker threads that compute shards of steps.
pub struct OfflineWorkers {
    pool: Pool<Round, Answer>,
    passes: Passes,
}

impl OfflineWorkers {
    /// Starts `count` workers for a model like `weights`.
    pub(super) fn new(
        count: usize,
        weights: &Weights,
        (config, passes): (&OfflineConfig, Passes),
        losses: LossFn,
    ) -> Self {
        let width = weights.config().shape.width;
        let pool = Pool::new(count, || {
            let frame = passes.frame(weights);
            let mut worker = Worker { frame, config: config.clone(), losses, width, pending: None };
            move |job| worker.answer(job)
        });
        Self { pool, passes }
    }

    /// Returns the number of workers.
    pub fn count(&self) -> usize {
        self.pool.count()
    }

    /// Returns the settings of the passes.
    pub(super) fn passes(&self) -> Passes {
        self.passes
    }

    /// Runs the first round on shards, each given as its micro-batches; returns the sums of each shard.
    pub(super) fn forward(
        &self,
        params: &Params,
        critic: &Net,
        shards: Vec<Vec<OfflineBatch>>,
        scales: PerLevel<f64>,
        actor: bool,
    ) -> Result<Vec<PerLevel<LevelSums>>, AlgoError> {
        let target = critic.target.as_ref().ok_or_else(no_target)?;
        let job = |batches| {
            let (buffer, online) = (params.buffer.detach(), critic.params.detach());
            let target = target.detach();
            Round::Forward(Box::new(Forward { buffer, online, target, batches, scales, actor }))
        };
        let answers = self.pool.run(shards.into_iter().map(job).collect())?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                Answer::Sums(sums) => Some(*sums),
                Answer::Gradients(_) => None,
            })
            .collect())
    }

    /// Runs the second round, after [`OfflineWorkers::forward`] with this number of shards.
    pub(super) fn backward(&self, shards: usize, scales: PerLevel<f64>) -> Result<Gradients, AlgoError> {
        let answers = self.pool.run((0..shards).map(|_| Round::Backward(scales)).collect())?;
        let (mut actor, mut critics) = (Vec::new(), Vec::new());
        let mut sum = Gradients::default();
        for answer in answers {
            if let Answer::Gradients(shard) = answer {
                actor.extend(shard.actor);
                critics.extend(shard.critics);
                sum.actor_loss += shard.actor_loss;
                sum.critic_loss += shard.critic_loss;
            }
        }
        Ok(Gradients { actor: sum_in_order(actor), critics: sum_in_order(critics), ..sum })
    }
}

struct Worker {
    frame: Frame,
    config: OfflineConfig,
    losses: LossFn,
    width: i64,
    pending: Option<Pending>,
}

pub(super) fn block(block: &Block, device: Device) -> Result<Tensor, TchError> {
    index(&block.ids).f_view([block.rows as i64, block.len as i64])?.f_to_device(device)
}

pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f64>, AlgoError> {
    Ok(Vec::try_from(tensor.f_detach()?.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?)?)
}

fn select(tensor: &Tensor, entries: &[i64]) -> Result<Tensor, TchError> {
    tensor.f_index_select(0, &Tensor::from_slice(entries).f_to_device(tensor.device())?)
}

/// Computes the features of the critics at some of the computed positions; no gradient reaches the model.
pub(super) fn features(decoder: &Decoder, hidden: &Tensor, entries: &[i64]) -> Result<Tensor, TchError> {
    tch::no_grad(|| decoder.features(&select(&hidden.f_detach()?, entries)?))
}

impl Worker {
    fn answer(&mut self, job: Round) -> Result<Answer, AlgoError> {
        match job {
            Round::Forward(job) => self.forward(*job).map(|sums| Answer::Sums(Box::new(sums))),
            Round::Backward(scales) => self.backward(scales).map(Answer::Gradients),
        }
    }

    fn forward(&mut self, job: Forward) -> Result<PerLevel<LevelSums>, AlgoError> {
        let mut sums = PerLevel::<LevelSums>::default();
        if let [batch] = job.batches.as_slice() {
            self.pending = Some(Pending::Graph(Box::new(self.graph(&job, batch, &mut sums)?)));
            return Ok(sums);
        }
        for batch in &job.batches {
            tch::no_grad(|| self.graph(&job, batch, &mut sums))?;
        }
        self.pending = Some(Pending::Again(Box::new(job)));
        Ok(sums)
    }

    /// Computes the forward pass of a batch and adds to the sums of its levels.
    fn graph(
        &self,
        job: &Forward,
        batch: &OfflineBatch,
        sums: &mut PerLevel<LevelSums>,
    ) -> Result<Graph, AlgoError> {
        let &Forward { scales, actor, .. } = job;
        let device = job.buffer.device();
        let to = |values: &[i64]| Tensor::from_slice(values).f_to_device(device);
        let leaf = job.buffer.detach().set_requires_grad(actor);
        let online = job.online.detach().set_requires_grad(true);
        let decoder = self.frame.decoder(&leaf);

        let ids = block(&batch.block, device)?; // [B, T]
        let hidden = decoder.hidden_at(&ids, &to(&batch.positions)?)?; // [N + B, d]
        let targets = select(&ids.f_reshape([-1])?, &batch.targets)?; // [N]
        let before = select(&hidden, &batch.before)?; // [N, d]
        let logprobs = decoder.token_logprobs(&before, &targets)?; // [N]
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
        let (online_heads, target_heads) = (heads(&online, self.width), heads(&job.target, self.width));
        let mut critic_loss = Tensor::zeros([], (Kind::Float, device));
        let mut rows = vec![(Level::Planner, 0.0); batch.block.rows];
        for (level, of_level) in batch.levels.iter().filter(|(_, of_level)| !of_level.rows.is_empty()) {
            let entries =
                |of: &[i64]| -> Vec<i64> { of_level.rows.iter().map(|&row| of[row as usize]).collect() };
            let level_batch = LevelBatch {
                state: features(&decoder, &hidden, &entries(&batch.states))?,
                action: features(&decoder, &hidden, &entries(&batch.actions))?,
                next: next.as_ref().map(|next| select(next, &of_level.next)).transpose()?,
                rewards: &of_level.rewards,
                dones: &of_level.dones,
                oracle: &of_level.oracle,
            };
            let losses =
                (self.losses)(&online_heads[level], &target_heads[level], &level_batch, &self.config)?;
            let weight = Tensor::from_slice(&of_level.weights).to_device(device);
            critic_loss = critic_loss + (&losses.critic * weight).sum(Kind::Float) * scales[level];

            let (critic, factor) = (floats(&losses.critic)?, floats(&losses.factor)?);
            let (q, v, advantage) = (floats(&losses.q)?, floats(&losses.v)?, floats(&losses.advantage)?);
            for (at, &row) in of_level.rows.iter().enumerate() {
                let (row, c, advantage) = (row as usize, f64::from(of_level.weights[at]), advantage[at]);
                // 0 for a row that only the critics learn from.
                let imitated = if of_level.imitated[at] { c } else { 0.0 };
                rows[row] = (level, imitated * factor[at] / f64::from(batch.lens[row]));
                sums[level].add(&LevelSums {
                    totals: Totals {
                        count: imitated,
                        factor: imitated * factor[at],
                        advantage: imitated * advantage,
                    },
                    count: c,
                    advantage: c * advantage,
                    critic_loss: c * critic[at],
                    q: c * q[at],
                    v: c * v[at],
                    advantage_square: c * advantage * advantage,
                    weight_max: factor[at],
                    weight_mean: 0.0,
                    logprob: imitated * row_logprobs[row],
                });
            }
        }
        let tokens = batch.owners.iter().map(|&owner| rows[owner as usize]).collect();
        Ok(Graph { decoder, leaf, online, critic_loss, logprobs, tokens, actor })
    }

    fn backward(&mut self, scales: PerLevel<f64>) -> Result<Gradients, AlgoError> {
        let reason = || "a backward round without its forward round".to_owned();
        let missing = || AlgoError::Shape { op: "offline_ac", reason: reason() };
        match self.pending.take().ok_or_else(missing)? {
            Pending::Graph(graph) => Self::gradients(*graph, scales),
            Pending::Again(job) => {
                let mut sum = Gradients::default();
                for batch in &job.batches {
                    let graph = self.graph(&job, batch, &mut PerLevel::default())?;
                    sum = sum.plus(Self::gradients(graph, scales)?);
                }
                Ok(sum)
            }
        }
    }

    fn gradients(graph: Graph, scales: PerLevel<f64>) -> Result<Gradients, AlgoError> {
        let Graph { decoder, leaf, online, critic_loss, logprobs, tokens, actor } = graph;
        let weights: Vec<f32> =
            tokens.iter().map(|&(level, weight)| (weight * scales[level]) as f32).collect();
        let weights = Tensor::from_slice(&weights).to_device(logprobs.device());
        let actor_loss = nll(&logprobs, &weights)?; // (6)
        let (actor_value, critic_value) = (actor_loss.f_double_value(&[])?, critic_loss.f_double_value(&[])?);
        let total = if actor { actor_loss + critic_loss } else { critic_loss };
        decoder.backward(&total)?;
        Ok(Gradients {
            actor: actor.then(|| leaf.grad()),
            critics: Some(online.grad()),
            actor_loss: actor_value,
            critic_loss: critic_value,
        })
    }
}
