//! PPO's critic: a copy of the policy's transformer with a linear head.
//!
//! ```text
//! V(t) = w · h(t) + b        h: last-layer vector after the final norm
//! ```

use stepladder_cpu::gradient::Scorer;
use stepladder_model::engine::is_native;
use stepladder_model::{Frame, Layout, Params, Weights};
use tch::{Kind, TchError, Tensor};

use super::config::PpoConfig;
use crate::AlgoError;
use crate::online::branches::{Node, PassTokens, pass_tokens};
use crate::online::samples::Sample;
use crate::online::work::{Work, shards};
use crate::ops::surrogate::{Aggregate, value_loss};
use crate::runtime::net::Net;
use crate::runtime::optimiser::AdamWConfig;
use crate::runtime::passes::Passes;
use crate::runtime::pool::{Pool, refreshed, sum_in_order};

/// Name of the network in a trainer and in checkpoints.
pub const VALUE: &str = "value";

/// Returns the number of parameters of the critic of a policy with this layout: the transformer in the same layout, then w `[d]`
/// and b `[1]`.
pub fn count(layout: &Layout) -> i64 {
    layout.total() + layout.config().shape.width + 1
}

/// Initialises the critic as a copy of the policy with a head of zeros.
pub fn start(params: &Params, optimiser: AdamWConfig) -> Net {
    let head = params.layout.config().shape.width + 1;
    let zeros = Tensor::zeros([head], (Kind::Float, params.buffer.device()));
    Net::new(tch::no_grad(|| Tensor::cat(&[&params.buffer, &zeros], 0)), optimiser)
}

struct Shard {
    buffer: Tensor,
    work: Work,
    /// Clip range, if the shard is trained on; then `old` holds the old values and `advantage` the returns.
    clip: Option<f64>,
}

struct Answer {
    values: Vec<f32>,
    loss: f64,
    gradient: Option<Tensor>,
}

/// Pool of worker threads for the critic.
pub struct ValueWorkers {
    pool: Pool<Shard, Answer>,
    /// Whether the CPU engine computes values and gradients.
    native: bool,
    passes: Passes,
}

impl ValueWorkers {
    /// Starts `count` workers for critics of models like `weights`.
    pub fn new(count: usize, weights: &Weights, passes: impl Into<Passes>) -> Self {
        let passes = passes.into();
        let (total, width) = (weights.trained.layout.total(), weights.config().shape.width);
        let native = is_native(weights, passes.dtype);
        let pool = Pool::new(count, || {
            let mut worker = ValueWorker { frame: passes.frame(weights), total, width, scorer: None };
            move |shard| worker.answer(shard)
        });
        Self { pool, native, passes }
    }

    /// Switches to libtorch on any device.
    pub fn with_libtorch(self) -> Self {
        Self { native: false, ..self }
    }

    /// Computes the value before each reply token of each sample. `layout` is the number of tokens per pass and the padding id.
    ///
    /// # Errors
    /// From libtorch or the CPU engine, or [`AlgoError::Worker`] if a worker panicked.
    pub fn evaluate(
        &self,
        net: &Net,
        samples: &[Sample],
        (tokens, pad): (usize, u32),
    ) -> Result<Vec<Vec<f32>>, AlgoError> {
        let layout = (tokens.min(self.passes.limit()), pad);
        // Shards sort rows by length; the same stable sort here restores the order of samples.
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by_key(|&index| samples[index].ids.len());
        let sorted: Vec<&Sample> = order.iter().map(|&index| &samples[index]).collect();
        let count = self.pool.count();
        let work = shards(self.native, &sorted, Aggregate::TokenMean, layout, count);
        if self.native {
            let entries = work.iter().flat_map(|work| match work {
                Work::Branches(passes) => passes.iter().flatten().flat_map(|node| &node.entries).collect(),
                Work::Rows(_) => Vec::new(),
            });
            order = entries.map(|entry| order[entry.sample]).collect();
        }
        let shard = |work| Shard { buffer: net.params.detach(), work, clip: None };
        let shards_of_step = work.into_iter().map(shard).collect();
        let mut found = self.pool.run(shards_of_step)?.into_iter().flat_map(|answer| answer.values);
        let mut values = vec![Vec::new(); samples.len()];
        for index in order {
            values[index] = found.by_ref().take(samples[index].len()).collect();
        }
        Ok(values)
    }

    /// Takes one optimiser step on samples, each with the old values and the returns of its reply tokens; returns the loss and
    /// the gradient norm before clipping.
    ///
    /// # Errors
    /// From libtorch or the CPU engine, or [`AlgoError::Worker`] if a worker panicked.
    pub fn step(
        &self,
        net: &mut Net,
        members: &[(&Sample, &[f32], &[f32])],
        config: &PpoConfig,
        (tokens, pad): (usize, u32),
    ) -> Result<(f64, f64), AlgoError> {
        let layout = (tokens.min(self.passes.limit()), pad);
        let targets: Vec<Sample> = members
            .iter()
            .map(|(sample, old, returns)| Sample {
                old: old.to_vec(),
                advantage: returns.to_vec(),
                ..(*sample).clone()
            })
            .collect();
        let targets: Vec<&Sample> = targets.iter().collect();
        let shard = |work| Shard { buffer: net.params.detach(), work, clip: Some(config.value_clip) };
        let count = self.pool.count();
        let work = shards(self.native, &targets, Aggregate::TokenMean, layout, count);
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

struct ValueWorker {
    frame: Frame,
    /// Number of parameters of the transformer.
    total: i64,
    width: i64,
    /// Reused between shards for its memory.
    scorer: Option<Scorer>,
}

/// Appends the values to the answer or, with a clip range, backpropagates their loss by `backward`.
fn collect_or_backpropagate(
    values: &Tensor,
    [old, returns, weights]: [&[f32]; 3],
    clip: Option<f64>,
    answer: &mut Answer,
    backward: impl FnOnce(&Tensor) -> Result<(), TchError>,
) -> Result<(), AlgoError> {
    let Some(clip) = clip else {
        answer.values.extend(Vec::<f32>::try_from(values)?);
        return Ok(());
    };
    let on_device = |tokens: &[f32]| Tensor::from_slice(tokens).to_device(values.device());
    let loss = value_loss(values, &on_device(old), &on_device(returns), &on_device(weights), clip)?;
    backward(&loss)?;
    answer.loss += loss.f_double_value(&[])?;
    Ok(())
}

impl ValueWorker {
    fn answer(&mut self, shard: Shard) -> Result<Answer, AlgoError> {
        let device = shard.buffer.device();
        let leaf = shard.buffer.set_requires_grad(shard.clip.is_some());
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
                    let values = if shard.clip.is_some() { compute() } else { tch::no_grad(compute) }?;
                    let given = [&chunk.old, &chunk.advantage, &chunk.weights].map(Vec::as_slice);
                    let backward = |loss: &Tensor| decoder.backward(loss);
                    collect_or_backpropagate(&values, given, shard.clip, &mut answer, backward)?;
                }
            }
            Work::Branches(passes) => {
                let decoder = decoder();
                let scorer = refreshed(&mut self.scorer, &decoder)?;
                for pass in passes {
                    let branches: Vec<_> = pass.iter().map(Node::branch).collect();
                    let PassTokens { place, old, advantage, weight } = pass_tokens(pass);
                    let hidden = Tensor::from_slice(&scorer.hidden(&branches)?).f_view([-1, self.width])?;
                    let hidden = hidden.set_requires_grad(shard.clip.is_some());
                    let place: Vec<i64> = place.iter().map(|&place| place as i64).collect();
                    let of_entries = hidden.f_index_select(0, &Tensor::from_slice(&place))?;
                    let values = decoder.features(&of_entries)?.f_mv(&w)?.f_add(&b)?;
                    let given = [&old, &advantage, &weight].map(Vec::as_slice);
                    collect_or_backpropagate(&values, given, shard.clip, &mut answer, Tensor::f_backward)?;
                    if shard.clip.is_some() {
                        scorer.backward_hidden(&Vec::<f32>::try_from(hidden.grad().view([-1]))?)?;
                    }
                }
                if shard.clip.is_some() {
                    decoder.pull_back(&scorer.gradient())?;
                }
            }
        }
        if shard.clip.is_some() {
            answer.gradient = Some(leaf.grad());
        }
        Ok(answer)
    }
}
