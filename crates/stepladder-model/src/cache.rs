//! Generation with a KV cache: many prompts at once, each reply as if it were alone.
//!
//! Prompts are padded on the right to a common length T; the keys of new tokens are appended from column T on for all
//! rows, while rotary positions continue from each row's own length. A mask hides the padding columns. Replies of
//! different lengths end independently; when most rows have ended, the rest is compacted.

use rand::RngExt;
use stepladder_core::seed::Rng;
use tch::{Device, Kind, Tensor};

use crate::decoder::Decoder;

/// One reply to write.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Token ids; at least one.
    pub ids: Vec<u32>,
    /// Limit on new tokens; at least one.
    pub budget: usize,
    /// Temperature and stream, or greedy.
    pub sampling: Option<(f64, Rng)>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    /// New ids, the end token included where one was written.
    pub ids: Vec<u32>,
    /// Log-probability of each at temperature 1.
    pub logprobs: Vec<f32>,
    /// No end token within the budget.
    pub cut: bool,
}

struct Layer {
    keys: Tensor,
    values: Tensor,
}

struct State {
    layers: Vec<Layer>,
    /// Index of the prompt behind each row.
    rows: Vec<usize>,
    /// Tokens so far in each row (prompt and reply): the next rotary position.
    lengths: Vec<i64>,
    /// Columns of the cache in use.
    columns: i64,
    /// Additive mask over all columns `[B, 1, 1, capacity]`: 0 visible, -inf padding.
    mask: Tensor,
}

impl State {
    fn keep(&mut self, positions: &[i64]) {
        let device = self.mask.device();
        let index = Tensor::from_slice(positions).to_device(device);
        for layer in &mut self.layers {
            layer.keys = layer.keys.index_select(0, &index);
            layer.values = layer.values.index_select(0, &index);
        }
        self.mask = self.mask.index_select(0, &index);
        self.rows = positions.iter().map(|&position| self.rows[position as usize]).collect();
        self.lengths = positions.iter().map(|&position| self.lengths[position as usize]).collect();
    }
}

/// Writes a reply to every prompt.
///
/// `end` stops a reply; `pad` fills short rows. The longest prompt plus its budget must fit the model's window.
pub fn generate(decoder: &Decoder, prompts: &mut [Prompt], end: u32, pad: u32, device: Device) -> Vec<Reply> {
    if prompts.is_empty() {
        return Vec::new();
    }
    tch::no_grad(|| {
        let mut replies = vec![Reply::default(); prompts.len()];
        let (mut state, mut logits) = prefill(decoder, prompts, pad, device);
        loop {
            let next = choose(&logits, &state.rows, prompts, &mut replies);
            let mut open = Vec::new();
            for (position, (&row, &token)) in state.rows.iter().zip(&next).enumerate() {
                let reply = &mut replies[row];
                if token == end {
                    continue;
                }
                if reply.ids.len() >= prompts[row].budget {
                    reply.cut = true;
                } else {
                    open.push(position as i64);
                }
            }
            if open.is_empty() {
                return replies;
            }
            let mut tokens: Vec<i64> = next.iter().map(|&token| i64::from(token)).collect();
            if open.len() < state.rows.len() {
                tokens = open.iter().map(|&position| tokens[position as usize]).collect();
                state.keep(&open);
            }
            logits = step(decoder, &mut state, &tokens, device);
        }
    })
}

fn prefill(decoder: &Decoder, prompts: &[Prompt], pad: u32, device: Device) -> (State, Tensor) {
    let rows = prompts.len() as i64;
    let len = prompts.iter().map(|prompt| prompt.ids.len()).max().unwrap_or(1) as i64;
    let budget = prompts.iter().map(|prompt| prompt.budget).max().unwrap_or(1) as i64;
    let capacity = len + budget;
    let mut ids = vec![i64::from(pad); (rows * len) as usize];
    let mut mask = vec![0f32; (rows * capacity) as usize];
    let mut lengths = Vec::with_capacity(prompts.len());
    for (row, prompt) in prompts.iter().enumerate() {
        let start = row * len as usize;
        for (slot, &id) in ids[start..].iter_mut().zip(&prompt.ids) {
            *slot = i64::from(id);
        }
        let hidden = row * capacity as usize;
        mask[hidden + prompt.ids.len()..hidden + len as usize].fill(f32::NEG_INFINITY);
        lengths.push(prompt.ids.len() as i64);
    }
    let shape = decoder.shape().clone();
    let ids = Tensor::from_slice(&ids).view([rows, len]).to_device(device);
    let rotation = decoder.rotation(0, len);
    let mut x = decoder.embed(&ids);
    let mut layers = Vec::with_capacity(decoder.blocks.len());
    for block in &decoder.blocks {
        let (q, k, v) = decoder.project(block, &x, &rotation);
        let room = [rows, shape.kv_heads, capacity, shape.head_dim()];
        let layer = Layer {
            keys: Tensor::zeros(room, (k.kind(), device)),
            values: Tensor::zeros(room, (v.kind(), device)),
        };
        layer.keys.narrow(2, 0, len).copy_(&k);
        layer.values.narrow(2, 0, len).copy_(&v);
        let attended = Tensor::scaled_dot_product_attention(
            &q,
            &k,
            &v,
            None::<Tensor>,
            0.0,
            true,
            None,
            shape.heads != shape.kv_heads,
        );
        x = decoder.transform(block, &x, &decoder.join(&attended));
        layers.push(layer);
    }
    let last: Vec<i64> =
        lengths.iter().enumerate().map(|(row, length)| row as i64 * len + length - 1).collect();
    let last = Tensor::from_slice(&last).to_device(device);
    let hidden = x.reshape([-1, shape.width]).index_select(0, &last);
    let logits = decoder.logits(&crate::decoder::normalise(&hidden, shape.norm_eps));
    let mask = Tensor::from_slice(&mask).view([rows, 1, 1, capacity]).to_device(device).to_kind(x.kind());
    let state = State { layers, rows: (0..prompts.len()).collect(), lengths, columns: len, mask };
    (state, logits)
}

fn step(decoder: &Decoder, state: &mut State, tokens: &[i64], device: Device) -> Tensor {
    let shape = decoder.shape().clone();
    let rows = tokens.len() as i64;
    let ids = Tensor::from_slice(tokens).view([rows, 1]).to_device(device);
    let positions = Tensor::from_slice(&state.lengths).to_device(device);
    let rotation = decoder.rotation_at(&positions);
    let columns = state.columns + 1;
    let mask = state.mask.narrow(3, 0, columns);
    let mut x = decoder.embed(&ids);
    for (block, layer) in decoder.blocks.iter().zip(&state.layers) {
        let (q, k, v) = decoder.project(block, &x, &rotation);
        layer.keys.narrow(2, state.columns, 1).copy_(&k);
        layer.values.narrow(2, state.columns, 1).copy_(&v);
        let attended = Tensor::scaled_dot_product_attention(
            &q,
            &layer.keys.narrow(2, 0, columns),
            &layer.values.narrow(2, 0, columns),
            Some(&mask),
            0.0,
            false,
            None,
            shape.heads != shape.kv_heads,
        );
        x = decoder.transform(block, &x, &decoder.join(&attended));
    }
    state.columns = columns;
    for length in &mut state.lengths {
        *length += 1;
    }
    decoder.logits(&crate::decoder::normalise(&x.squeeze_dim(1), shape.norm_eps))
}

/// Picks the next token of every open row and records it with its log-probability.
fn choose(logits: &Tensor, rows: &[usize], prompts: &mut [Prompt], replies: &mut [Reply]) -> Vec<u32> {
    let logprobs = logits.log_softmax(-1, Kind::Float);
    let (best, token) = logprobs.max_dim(-1, false);
    let best: Vec<f32> = Vec::try_from(best.to_device(Device::Cpu)).expect("a vector of f32");
    let token: Vec<i64> = Vec::try_from(token.to_device(Device::Cpu)).expect("a vector of i64");
    let mut chosen = Vec::with_capacity(rows.len());
    for (position, &row) in rows.iter().enumerate() {
        let (id, logprob) = match &mut prompts[row].sampling {
            None => (token[position] as u32, best[position]),
            Some((temperature, rng)) => {
                let values: Vec<f32> = Vec::try_from(logprobs.get(position as i64).to_device(Device::Cpu))
                    .expect("a vector of f32");
                sample(&values, *temperature, rng)
            }
        };
        replies[row].ids.push(id);
        replies[row].logprobs.push(logprob);
        chosen.push(id);
    }
    chosen
}

/// Draws from softmax(logprobs / temperature); returns the id and its log-probability at temperature 1.
fn sample(logprobs: &[f32], temperature: f64, rng: &mut Rng) -> (u32, f32) {
    let largest = logprobs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |value: f32| (f64::from(value - largest) / temperature).exp();
    let total: f64 = logprobs.iter().map(|&value| weight(value)).sum();
    let mut left = rng.random::<f64>() * total;
    for (id, &value) in logprobs.iter().enumerate() {
        left -= weight(value);
        if left <= 0.0 {
            return (id as u32, value);
        }
    }
    // Rounding may leave a crumb: the most likely token takes it.
    let id = logprobs.iter().position(|&value| value == largest).unwrap_or(0);
    (id as u32, largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::seed::stream;

    #[test]
    fn sampling_follows_the_tempered_distribution() {
        let probabilities = [0.5f32, 0.3, 0.2];
        let logprobs = probabilities.map(f32::ln);
        let mut rng = stream(1, "sampling", &[]);
        for temperature in [0.5, 1.0, 2.0] {
            let mut counts = [0f64; 3];
            const DRAWS: usize = 20_000;
            for _ in 0..DRAWS {
                counts[sample(&logprobs, temperature, &mut rng).0 as usize] += 1.0 / DRAWS as f64;
            }
            let tempered = probabilities.map(|p| f64::from(p).powf(1.0 / temperature));
            let total: f64 = tempered.iter().sum();
            for (count, expected) in counts.iter().zip(tempered) {
                assert!((count - expected / total).abs() < 0.015, "{temperature}: {counts:?}");
            }
        }
    }
}
