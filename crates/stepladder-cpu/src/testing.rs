//! Random decoders for tests, and a plain forward pass in f64.

use pulp::Arch;
use rand::RngExt;
use stepladder_core::seed::stream;

use crate::weights::{BlockMatrices, Matrices, Shape, Weights, rotations};

/// Returns every instruction set that kernels are compiled for and this CPU has.
pub(crate) fn archs() -> Vec<Arch> {
    let mut found = vec![Arch::new(), Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    found.extend(pulp::x86::V3::try_new().map(Arch::V3));
    found
}

/// Base of the rotary positions.
pub(crate) const THETA: f64 = 100.0;

/// Returns shapes with grouped heads and one head, widths that fill no register, and heads wider and narrower than
/// `width / heads`.
pub(crate) fn shapes() -> Vec<Shape> {
    let shape = Shape {
        vocab: 19,
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        ffn: 21,
        max_positions: 96,
        norm_eps: 1e-5,
    };
    vec![
        shape,
        Shape { kv_heads: 4, head_dim: 16, layers: 1, ..shape },
        Shape { width: 18, heads: 3, kv_heads: 1, head_dim: 4, layers: 3, ..shape },
        Shape { width: 40, heads: 1, kv_heads: 1, head_dim: 40, ffn: 50, ..shape },
    ]
}

pub(crate) fn random(shape: &Shape, seed: u64) -> Matrices {
    let mut rng = stream(seed, "test-weights", &[]);
    let mut matrix = |rows: usize, columns: usize| -> Vec<f32> {
        let bound = 2.0 / (columns as f32).sqrt();
        (0..rows * columns).map(|_| rng.random_range(-bound..bound)).collect()
    };
    let Shape { vocab, width, layers, heads, kv_heads, head_dim, ffn, .. } = *shape;
    let blocks = (0..layers).map(|_| BlockMatrices {
        qkv: matrix((heads + 2 * kv_heads) * head_dim, width),
        out: matrix(width, heads * head_dim),
        gate_up: matrix(2 * ffn, width),
        down: matrix(width, ffn),
    });
    let blocks = blocks.collect();
    Matrices { table: matrix(vocab, width), blocks, head: matrix(vocab, width) }
}

pub(crate) fn checked(shape: &Shape, matrices: Matrices) -> Weights {
    Weights::new(*shape, matrices, &rotations(shape, THETA)).expect("matrices of this shape")
}

pub(crate) fn weights(shape: &Shape, seed: u64) -> Weights {
    checked(shape, random(shape, seed))
}

fn product(matrix: &[f32], x: &[f64]) -> Vec<f64> {
    let row = |row: &[f32]| row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum();
    matrix.chunks_exact(x.len()).map(row).collect()
}

fn normalised(x: &[f64], eps: f32) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean + f64::from(eps)).sqrt();
    x.iter().map(|x| x * scale).collect()
}

fn rotated(head: &[f64], position: usize) -> Vec<f64> {
    let half = head.len() / 2;
    let turn = |(pair, x): (usize, &[f64])| {
        let angle = position as f64 * THETA.powf(-(pair as f64) / half as f64);
        [x[0] * angle.cos() - x[1] * angle.sin(), x[0] * angle.sin() + x[1] * angle.cos()]
    };
    head.chunks_exact(2).enumerate().flat_map(turn).collect()
}

fn attended(query: &[f64], keys: &[Vec<f64>], values: &[&[f64]]) -> Vec<f64> {
    let dot = |key: &Vec<f64>| query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>();
    let scores: Vec<f64> = keys.iter().map(|key| (dot(key) / (query.len() as f64).sqrt()).exp()).collect();
    let total: f64 = scores.iter().sum();
    (0..query.len()).map(|at| scores.iter().zip(values).map(|(s, v)| s * v[at] / total).sum()).collect()
}

/// Computes the normalised last-layer vectors `[tokens][d]` by their definition, one sequence at a time.
pub(crate) fn hidden(shape: &Shape, matrices: &Matrices, ids: &[u32]) -> Vec<Vec<f64>> {
    let Shape { width, heads, kv_heads, head_dim: hd, ffn, norm_eps: eps, .. } = *shape;
    let embedded =
        |&id: &u32| matrices.table[id as usize * width..][..width].iter().map(|&x| f64::from(x)).collect();
    let mut x: Vec<Vec<f64>> = ids.iter().map(embedded).collect();
    for block in &matrices.blocks {
        let qkv: Vec<Vec<f64>> = x.iter().map(|x| product(&block.qkv, &normalised(x, eps))).collect();
        for at in 0..ids.len() {
            let mut joined = Vec::new();
            for head in 0..heads {
                let kv = head * kv_heads / heads;
                let (key, value) = ((heads + kv) * hd, (heads + kv_heads + kv) * hd);
                let keys: Vec<Vec<f64>> =
                    (0..=at).map(|before| rotated(&qkv[before][key..key + hd], before)).collect();
                let values: Vec<&[f64]> = qkv[..=at].iter().map(|qkv| &qkv[value..value + hd]).collect();
                joined.extend(attended(&rotated(&qkv[at][head * hd..][..hd], at), &keys, &values));
            }
            let add =
                |x: &mut Vec<f64>, more: Vec<f64>| x.iter_mut().zip(more).for_each(|(x, more)| *x += more);
            add(&mut x[at], product(&block.out, &joined));
            let gates = product(&block.gate_up, &normalised(&x[at], eps));
            let gated: Vec<f64> =
                (0..ffn).map(|i| gates[i] / (1.0 + (-gates[i]).exp()) * gates[ffn + i]).collect();
            add(&mut x[at], product(&block.down, &gated));
        }
    }
    x.iter().map(|x| normalised(x, eps)).collect()
}

/// Computes the log-probabilities of a reply to a prompt.
pub(crate) fn logprobs(shape: &Shape, matrices: &Matrices, prompt: &[u32], reply: &[u32]) -> Vec<f64> {
    let ids = [prompt, reply].concat();
    let hidden = hidden(shape, matrices, &ids[..ids.len() - 1]);
    let of = |(at, &id): (usize, &u32)| {
        let logits = product(&matrices.head, &hidden[prompt.len() - 1 + at]);
        logits[id as usize] - logits.iter().map(|logit| logit.exp()).sum::<f64>().ln()
    };
    reply.iter().enumerate().map(of).collect()
}
