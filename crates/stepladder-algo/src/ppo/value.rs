//! PPO's critic: a copy of the policy's transformer with a linear head.
//!
//! ```text
//! V(t) = w · h(t) + b        h: last-layer vector after the final norm
//! ```

use stepladder_cpu::gradient::Scorer;
use stepladder_model::engine::is_native;
use stepladder_model::{Factors, Frame, Layout, Params, Weights};
use tch::{Kind, Tensor};

use crate::AlgoError;
use crate::online::OnlineConfig;
use crate::online::branches::{Node, PassTokens, pass_tokens};
use crate::online::samples::Sample;
use crate::online::work::{Work, shards};
use crate::ops::surrogate::{Aggregate, value_loss};
use crate::runtime::net::Net;
use crate::runtime::optimiser::AdamWConfig;
use crate::runtime::pool::{Pool, refreshed, sum_in_order};

/// Name of the network in a trainer and in checkpoints.
pub const VALUE: &str = "value";

/// Number of parameters of a critic for policies of this layout: the transformer's in the policy's layout, then w `[d]` and
/// b `[1]`.
pub fn count(layout: &Layout) -> i64 {
    layout.total() + layout.config().shape.width + 1
}

/// A critic that starts as a copy of the policy with a head of zeros.
pub fn start(params: &Params, optimiser: AdamWConfig) -> Net {
    let head = params.layout.config().shape.width + 1;
    let zeros = Tensor::zeros([head], (Kind::Float, params.flat.device()));
    Net::new(tch::no_grad(|| Tensor::cat(&[&params.flat, &zeros], 0)), optimiser)
}

struct Shard {
    flat: Tensor,
    work: Work,
    /// The clip range, if the chunks are to be learnt: then `old` holds the values before and `advantage` the returns.
    learn: Option<f64>,
}

struct Answer {
    values: Vec<f32>,
    loss: f64,
    gradient: Option<Tensor>,
}

/// A fixed set of worker threads for the critic.
pub struct ValueWorkers {
    pool: Pool<Shard, Answer>,
    /// Whether they are the CPU's own.
    native: bool,
}

impl ValueWorkers {
    /// `count` workers for critics of models like `weights`.
    pub fn new(count: usize, weights: &Weights, factors: &Factors, dtype: Kind) -> Self {
        let (total, width) = (weights.trained.layout.total(), weights.config().shape.width);
        let native = is_native(weights.device(), dtype);
        let pool = Pool::new(count, || {
            let mut worker =
                Worker { frame: Frame::new(weights, factors, dtype), total, width, scorer: None };
            move |shard| worker.answer(shard)
        });
        Self { pool, native }
    }

    /// The same by libtorch, whatever the device.
    pub fn with_libtorch(self) -> Self {
        Self { native: false, ..self }
    }

    /// The value before each reply token of each sample.
    ///
    /// # Errors
    /// From libtorch, or [`AlgoError::Worker`] if a worker died.
    pub fn evaluate(
        &self,
        net: &Net,
        samples: &[Sample],
        layout: (usize, u32),
    ) -> Result<Vec<Vec<f32>>, AlgoError> {
        // Rows are sorted by length: the samples' own order is found again through the same sort.
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by_key(|&index| samples[index].ids.len());
        let sorted: Vec<&Sample> = order.iter().map(|&index| &samples[index]).collect();
        let parts = self.pool.count();
        let work = shards(self.native, &sorted, Aggregate::TokenMean, layout, parts);
        if self.native {
            let entries = work.iter().flat_map(|work| match work {
                Work::Branches(passes) => passes.iter().flatten().flat_map(|node| &node.entries).collect(),
                Work::Rows(_) => Vec::new(),
            });
            order = entries.map(|entry| order[entry.sample]).collect();
        }
        let shard = |work| Shard { flat: net.params.detach(), work, learn: None };
        let shards_of_step = work.into_iter().map(shard).collect();
        let mut found = self.pool.run(shards_of_step)?.into_iter().flat_map(|answer| answer.values);
        let mut values = vec![Vec::new(); samples.len()];
        for index in order {
            values[index] = found.by_ref().take(samples[index].len()).collect();
        }
        Ok(values)
    }

    /// One optimiser step on samples with the values before and the returns of their reply tokens; its loss and the norm of
    /// its gradient.
    ///
    /// # Errors
    /// From libtorch, or [`AlgoError::Worker`] if a worker died.
    pub fn step(
        &self,
        net: &mut Net,
        members: &[(&Sample, &[f32], &[f32])],
        config: &OnlineConfig,
        layout: (usize, u32),
    ) -> Result<(f64, f64), AlgoError> {
        let targets: Vec<Sample> = members
            .iter()
            .map(|(sample, old, returns)| Sample {
                old: old.to_vec(),
                advantage: returns.to_vec(),
                ..(*sample).clone()
            })
            .collect();
        let targets: Vec<&Sample> = targets.iter().collect();
        let shard = |work| Shard { flat: net.params.detach(), work, learn: Some(config.value_clip) };
        let parts = self.pool.count();
        let work = shards(self.native, &targets, Aggregate::TokenMean, layout, parts);
        let shards_of_step = work.into_iter().map(shard).collect();
        let mut loss = 0.0;
        let mut gradients = Vec::new();
        for answer in self.pool.run(shards_of_step)? {
            loss += answer.loss;
            gradients.extend(answer.gradient);
        }
        let gradient = sum_in_order(gradients).unwrap_or_else(|| net.params.zeros_like());
        let norm = net.optimiser.step(&mut net.params, &gradient, config.critic_learning_rate);
        Ok((loss, norm))
    }
}

struct Worker {
    frame: Frame,
    /// Parameters of the transformer, and its width.
    total: i64,
    width: i64,
    /// Kept for its memory.
    scorer: Option<Scorer>,
}

/// The values before some tokens; with a clip range their loss is back-propagated.
fn value(
    values: &Tensor,
    [old, returns, weights]: [&[f32]; 3],
    learn: Option<f64>,
    answer: &mut Answer,
) -> Result<(), AlgoError> {
    let Some(clip) = learn else {
        answer.values.extend(Vec::<f32>::try_from(values)?);
        return Ok(());
    };
    let on_device = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(values.device());
    let loss = value_loss(values, &on_device(old), &on_device(returns), &on_device(weights), clip)?;
    loss.f_backward()?;
    answer.loss += loss.f_double_value(&[])?;
    Ok(())
}

impl Worker {
    fn answer(&mut self, shard: Shard) -> Result<Answer, AlgoError> {
        let device = shard.flat.device();
        let leaf = shard.flat.set_requires_grad(shard.learn.is_some());
        let decoder = || self.frame.decoder(&leaf.narrow(0, 0, self.total));
        let (w, b) = (leaf.narrow(0, self.total, self.width), leaf.narrow(0, self.total + self.width, 1));
        let mut answer = Answer { values: Vec::new(), loss: 0.0, gradient: None };
        match &shard.work {
            Work::Rows(chunks) => {
                for chunk in chunks {
                    let decoder = decoder();
                    let compute = || {
                        let hidden = decoder.hidden_at(&chunk.ids(device), &(chunk.targets(device) - 1))?;
                        decoder.features(&hidden)?.f_mv(&w)?.f_add(&b)
                    };
                    let values = if shard.learn.is_some() { compute() } else { tch::no_grad(compute) }?;
                    let given = [&chunk.old, &chunk.advantage, &chunk.weights].map(Vec::as_slice);
                    value(&values, given, shard.learn, &mut answer)?;
                }
            }
            Work::Branches(passes) => {
                let decoder = decoder();
                let scorer = refreshed(&mut self.scorer, &decoder)?;
                for pass in passes {
                    let branches: Vec<_> = pass.iter().map(Node::branch).collect();
                    let PassTokens { place, old, advantage, weight } = pass_tokens(pass);
                    let hidden = Tensor::from_slice(&scorer.hidden(&branches)?).f_view([-1, self.width])?;
                    let hidden = hidden.set_requires_grad(shard.learn.is_some());
                    let place: Vec<i64> = place.iter().map(|&place| place as i64).collect();
                    let of_entries = hidden.f_index_select(0, &Tensor::from_slice(&place))?;
                    let values = decoder.features(&of_entries)?.f_mv(&w)?.f_add(&b)?;
                    value(&values, [&old, &advantage, &weight], shard.learn, &mut answer)?;
                    if shard.learn.is_some() {
                        scorer.backward_hidden(&Vec::<f32>::try_from(hidden.grad().view([-1]))?)?;
                    }
                }
                if shard.learn.is_some() {
                    decoder.pull_back(&scorer.gradient())?;
                }
            }
        }
        if shard.learn.is_some() {
            answer.gradient = Some(leaf.grad());
        }
        Ok(answer)
    }
}
