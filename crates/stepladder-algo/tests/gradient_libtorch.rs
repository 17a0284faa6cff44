//! Loss and gradient against an independent plain decoder, differentiated by libtorch.
//!
//! The reference has separate matrices with transformers' names and half-split rotary order, and computes in f64, one unpadded
//! row and one head at a time, with an explicit causal mask. It shares no optimisation with the implementation: no merged
//! matrices, no gains multiplied into weights, no padding, no fused attention, no complex rotations.
#![allow(missing_docs, clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;

use common::{REDUCTIONS, compare, compare_all, factors, gradient, gradient_of, named, params, rows, shape};
use stepladder_algo::AlgoError;
use stepladder_algo::runtime::score::{Loss, LossParts, weighted_nll};
use stepladder_data::batch::{Reduction, collate_all};
use stepladder_data::{Batch, Row};
use stepladder_model::{Decoder, Factors, Params, Shape};
use tch::{Device, Kind, Tensor};

/// Tolerance relative to the largest entry of each tensor: f32 rounding over the few hundred terms of these sums is near 1e-6.
const TOLERANCE: f64 = 1e-5;

struct Reference {
    shape: Shape,
    leaves: BTreeMap<String, Tensor>,
    incidence: Option<Tensor>,
}

impl Reference {
    fn new(params: &Params, factors: &Factors) -> Self {
        let leaves = named(params)
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_kind(Kind::Double).copy().set_requires_grad(true)))
            .collect();
        let incidence = factors.matrix(Device::Cpu).map(|matrix| matrix.to_kind(Kind::Double));
        Self { shape: params.layout.config().shape.clone(), leaves, incidence }
    }

    fn layer(&self, layer: i64, name: &str) -> &Tensor {
        &self.leaves[&format!("model.layers.{layer}.{name}.weight")]
    }

    fn rms_norm(&self, x: &Tensor, gain: &Tensor) -> Tensor {
        let mean = x.square().mean_dim([-1i64].as_slice(), true, Kind::Double);
        x / (mean + self.shape.norm_eps).sqrt() * gain
    }

    /// One head [T, hd]: element i is rotated with element i + hd/2.
    fn rotate(&self, x: &Tensor) -> Tensor {
        let (len, half) = (x.size()[0], x.size()[1] / 2);
        let angles: Vec<f64> = (0..len)
            .flat_map(|t| (0..half).map(move |i| (t, i)))
            .map(|(t, i)| t as f64 * self.shape.rope_theta.powf(-(i as f64) / half as f64))
            .collect();
        let angles = Tensor::from_slice(&angles).view([len, half]);
        let (cos, sin) = (angles.cos(), angles.sin());
        let (a, b) = (x.narrow(1, 0, half), x.narrow(1, half, half));
        Tensor::cat(&[&a * &cos - &b * &sin, &b * &cos + &a * &sin], 1)
    }

    fn attention(&self, x: &Tensor, layer: i64) -> Tensor {
        let (len, head) = (x.size()[0], self.shape.head_dim());
        let project = |name: &str| x.matmul(&self.layer(layer, &format!("self_attn.{name}")).tr());
        let (q, k, v) = (project("q_proj"), project("k_proj"), project("v_proj"));
        let future = Tensor::ones([len, len], (Kind::Double, Device::Cpu)).triu(1).gt(0.0);
        let heads: Vec<Tensor> = (0..self.shape.heads)
            .map(|index| {
                let shared = index / (self.shape.heads / self.shape.kv_heads);
                let q = self.rotate(&q.narrow(1, index * head, head));
                let k = self.rotate(&k.narrow(1, shared * head, head));
                let scores = q.matmul(&k.tr()) / (head as f64).sqrt();
                let weights = scores.masked_fill(&future, f64::NEG_INFINITY).softmax(-1, Kind::Double);
                weights.matmul(&v.narrow(1, shared * head, head))
            })
            .collect();
        Tensor::cat(&heads, 1).matmul(&self.layer(layer, "self_attn.o_proj").tr())
    }

    fn table(&self) -> Tensor {
        let own = &self.leaves["model.embed_tokens.weight"];
        match &self.incidence {
            Some(matrix) => own + matrix.matmul(&self.leaves["factors"]),
            None => own.shallow_clone(),
        }
    }

    /// Log-probability of each token except the first.
    fn logprobs(&self, ids: &[u32]) -> Tensor {
        let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let ids = Tensor::from_slice(&ids);
        let table = self.table();
        let mut x = table.index_select(0, &ids);
        for layer in 0..self.shape.layers {
            x = &x + self.attention(&self.rms_norm(&x, self.layer(layer, "input_layernorm")), layer);
            let n = self.rms_norm(&x, self.layer(layer, "post_attention_layernorm"));
            let gate = n.matmul(&self.layer(layer, "mlp.gate_proj").tr());
            let up = n.matmul(&self.layer(layer, "mlp.up_proj").tr());
            let inner = &gate * gate.sigmoid() * up;
            x = &x + inner.matmul(&self.layer(layer, "mlp.down_proj").tr());
        }
        let n = self.rms_norm(&x, &self.leaves["model.norm.weight"]);
        let head = if self.shape.tied { table } else { self.leaves["lm_head.weight"].shallow_clone() };
        let logits = n.matmul(&head.tr());
        let normalised = &logits - logits.logsumexp([-1i64].as_slice(), true);
        let last = ids.size()[0] - 1;
        normalised.narrow(0, 0, last).gather(1, &ids.narrow(0, 1, last).unsqueeze(1), false).squeeze_dim(1)
    }

    /// −mean over replies of the mean over their tokens, or −mean over all reply tokens, each row counting `weight` times.
    fn loss(&self, rows: &[Row], reduction: Reduction) -> Tensor {
        let mut total = Tensor::zeros([], (Kind::Double, Device::Cpu));
        let mut count = 0.0;
        for row in rows {
            let logprobs = self.logprobs(&row.ids);
            let weight = f64::from(row.weight);
            for span in &row.replies {
                let tokens = logprobs.narrow(0, i64::from(span.start) - 1, i64::from(span.len));
                let (sum, len) = (tokens.sum(Kind::Double), f64::from(span.len));
                match reduction {
                    Reduction::RowMean => {
                        total = total + sum / len * weight;
                        count += weight;
                    }
                    Reduction::TokenMean => {
                        total = total + sum * weight;
                        count += len * weight;
                    }
                }
            }
        }
        -total / count
    }
}

/// Returns the largest relative error of loss and gradient against the reference.
fn check(
    shape: Shape,
    factors: &Factors,
    reduction: Reduction,
    rows: &[Row],
    way: impl Fn(&Params, Batch) -> (f64, Params),
) -> Result<f64, String> {
    let params = params(shape, factors, 3);
    let batch = collate_all(&rows.iter().collect::<Vec<_>>(), reduction);
    let (found, gradient) = way(&params, batch);
    let reference = Reference::new(&params, factors);
    let expected = reference.loss(rows, reduction);
    expected.backward();
    let expected_gradient: Vec<(String, Tensor)> =
        reference.leaves.iter().map(|(name, leaf)| (name.clone(), leaf.grad())).collect();
    for (name, tensor) in &expected_gradient {
        // A parameter without gradient would agree trivially.
        if tensor.abs().max().double_value(&[]) == 0.0 {
            return Err(format!("{name}: the reference has no gradient"));
        }
    }
    let value = compare("loss", &Tensor::from(found), &expected, TOLERANCE)?;
    Ok(value.max(compare_all(&named(&gradient), &expected_gradient, TOLERANCE)?))
}

fn checked(what: &str, shape: &Shape, factors: &Factors) {
    for reduction in REDUCTIONS {
        let by_libtorch = |params: &Params, batch: Batch| gradient_of(params, vec![batch], 1, weighted_nll);
        for (way, result) in [
            ("libtorch", check(shape.clone(), factors, reduction, &rows(11, 9), by_libtorch)),
            ("the CPU's own", check(shape.clone(), factors, reduction, &rows(11, 9), gradient)),
        ] {
            match result {
                Ok(error) => println!("{what} {reduction:?} by {way}: worst relative error {error:.1e}"),
                Err(error) => panic!("{what} {reduction:?} by {way}: {error}"),
            }
        }
    }
}

#[test]
fn factored_embeddings_with_a_tied_head() {
    checked("factored tied", &shape(), &factors());
}

#[test]
fn factored_embeddings_with_a_head_of_its_own() {
    checked("factored untied", &Shape { tied: false, ..shape() }, &factors());
}

#[test]
fn plain_embeddings() {
    checked("plain tied", &shape(), &Factors::default());
    checked("plain untied", &Shape { tied: false, ..shape() }, &Factors::default());
}

#[test]
fn every_number_of_key_heads() {
    for kv_heads in [1, 4] {
        checked(&format!("{kv_heads} key heads"), &Shape { kv_heads, ..shape() }, &factors());
    }
}

#[test]
fn one_block_and_three() {
    for layers in [1, 3] {
        checked(&format!("{layers} blocks"), &Shape { layers, ..shape() }, &factors());
    }
}

fn flipped(decoder: &Decoder, batch: &Batch, device: Device) -> Result<LossParts, AlgoError> {
    let parts = weighted_nll(decoder, batch, device)?;
    Ok(LossParts { loss: -parts.loss, logprobs: parts.logprobs })
}

/// The right value with a gradient of the wrong sign.
fn flipped_gradient(decoder: &Decoder, batch: &Batch, device: Device) -> Result<LossParts, AlgoError> {
    let parts = weighted_nll(decoder, batch, device)?;
    Ok(LossParts { loss: parts.loss.detach() * 2.0 - parts.loss, logprobs: parts.logprobs })
}

#[test]
fn mistakes_do_not_pass() {
    let rows = rows(11, 9);
    let fails = |rows: &[Row], loss: Loss, shape: Shape| {
        let way = |params: &Params, batch: Batch| gradient_of(params, vec![batch], 1, loss);
        check(shape, &factors(), Reduction::RowMean, rows, way).unwrap_err()
    };
    assert!(fails(&rows, flipped, shape()).starts_with("loss"));
    let message = fails(&rows, flipped_gradient, shape());
    assert!(!message.starts_with("loss"), "{message}");
    // The other reduction on the same rows.
    let params = params(shape(), &factors(), 3);
    let batch = collate_all(&rows.iter().collect::<Vec<_>>(), Reduction::TokenMean);
    let (_, gradient) = gradient_of(&params, vec![batch], 1, weighted_nll);
    let reference = Reference::new(&params, &factors());
    reference.loss(&rows, Reduction::RowMean).backward();
    let expected: Vec<(String, Tensor)> =
        reference.leaves.iter().map(|(name, leaf)| (name.clone(), leaf.grad())).collect();
    assert!(compare_all(&named(&gradient), &expected, TOLERANCE).is_err());
}
