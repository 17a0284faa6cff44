//! Attention over packed rows: groups of rows without padding, whose shared prefixes are there once (docs/design.md D10).
//!
//! ```text
//! ids:  prefix₁ rest₁₁ rest₁₂ … prefix₂ rest₂₁ …          each rest attends to its prefix and, causally, to itself
//! ```
//! Linear layers, norms and rotations see one sequence of all tokens. On the CPU attention is two plain products per row with a
//! softmax between them: the backward pass of libtorch's flash kernel is slow there (docs/benchmarks.md). Keys and values of a
//! prefix are copied beside those of each row, which is less than its scores would be. On a GPU, where many small products are slow,
//! and for short rows, rows are padded and the fused kernel is called once.

use stepladder_data::batch::Group;
use tch::{Device, Kind, TchError, Tensor};

use crate::config::ModelConfig;

/// Rows of at most this many tokens are padded on the CPU too: products of single rows would cost more to call than to compute.
const SHORT: usize = 32;

/// Rows of a pass over packed tokens.
pub(crate) enum Packing {
    /// Products row by row.
    Rows(Vec<Part>),
    /// Padded rows.
    Padded {
        rows: i64,
        /// Token of each place of the padded rows, `[rows · longest]`.
        tokens: Tensor,
        /// Place of each token, `[N]`.
        places: Tensor,
    },
}

/// Tokens of one group.
pub(crate) struct Part {
    prefix: i64,
    /// Tokens of each row after the prefix, without empty rows.
    rests: Vec<i64>,
    /// Added to the scores of the longest row: `[rest · H / Hkv, prefix + rest]`, -∞ where a key comes after the query. Shorter
    /// rows use its first rows and columns.
    mask: Tensor,
    /// The same for the prefix itself.
    prefix_mask: Tensor,
}

impl Packing {
    /// Arranges groups for a model on a device; `dtype` is that of queries.
    pub(crate) fn new(groups: &[Group], config: &ModelConfig, (device, dtype): (Device, Kind)) -> Self {
        let longest =
            groups.iter().flat_map(|group| group.rows.iter().map(|row| group.prefix + row.rest)).max();
        if device == Device::Cpu && longest > Some(SHORT) {
            return Self::Rows(groups.iter().map(|group| Part::new(group, config, dtype)).collect());
        }
        Self::padded(groups, device)
    }

    fn padded(groups: &[Group], device: Device) -> Self {
        let lens = groups.iter().flat_map(|group| group.rows.iter().map(|row| group.prefix + row.rest));
        let longest = lens.max().unwrap_or(0);
        let (mut tokens, mut places) = (Vec::new(), Vec::new());
        let (mut start, mut rows) = (0, 0);
        for group in groups {
            let mut rest = start + group.prefix;
            for (index, row) in group.rows.iter().enumerate() {
                let of_prefix = start..start + group.prefix;
                let own = rest..rest + row.rest;
                let first = rows * longest;
                if index == 0 {
                    places.extend((first..first + group.prefix).map(|place| place as i64));
                }
                places.extend((0..row.rest).map(|token| (first + group.prefix + token) as i64));
                // Any tokens fill the row up, since nothing before them attends to them. They are its own ones: gradients of a
                // token that is in many places are summed one after the other on a GPU.
                tokens.extend(of_prefix.chain(own).cycle().take(longest).map(|token| token as i64));
                rest += row.rest;
                rows += 1;
                // A row without tokens.
                tokens.resize(rows * longest, 0);
            }
            start = rest;
        }
        let to = |indices: &[i64]| Tensor::from_slice(indices).to_device(device);
        Self::Padded { rows: rows as i64, tokens: to(&tokens), places: to(&places) }
    }

    /// Computes attention. q: `[1, H, N, hd]` · k, v: `[1, Hkv, N, hd]` → `[1, N, H hd]`
    pub(crate) fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
        let sizes = q.size();
        let (heads, tokens, head) = (sizes[1], sizes[2], sizes[3]);
        match self {
            Self::Rows(parts) => {
                let kv_heads = k.size()[1];
                let of_group = heads / kv_heads;
                // [Hkv, N, H / Hkv, hd]: the queries of consecutive tokens are then one matrix per key head.
                let q = q.f_transpose(1, 2)?.f_reshape([tokens, kv_heads, of_group, head])?;
                let q =
                    q.f_permute([1, 0, 2, 3])?.f_contiguous()?.f_view([kv_heads, tokens * of_group, head])?;
                let keys = |all: &Tensor| all.f_squeeze_dim(0)?.f_contiguous();
                let attended = of_rows(parts, of_group, &q, &keys(k)?, &keys(v)?)?;
                let attended =
                    attended.f_view([kv_heads, tokens, of_group, head])?.f_permute([1, 0, 2, 3])?;
                attended.f_reshape([1, tokens, heads * head])
            }
            Self::Padded { rows, tokens: padded, places } => {
                let rows_of = |all: &Tensor| {
                    let (heads, head) = (all.size()[1], all.size()[3]);
                    let all = all.f_index_select(2, padded)?.f_view([heads, *rows, -1, head])?;
                    all.f_transpose(0, 1)
                };
                let (q, k, v) = (rows_of(q)?, rows_of(k)?, rows_of(v)?);
                let grouped = heads != k.size()[1];
                let attended = Tensor::f_scaled_dot_product_attention(
                    &q,
                    &k,
                    &v,
                    None::<Tensor>,
                    0.0,
                    true,
                    None,
                    grouped,
                )?;
                let attended = attended.f_transpose(1, 2)?.f_reshape([-1, heads * head])?;
                attended.f_index_select(0, places)?.f_unsqueeze(0)
            }
        }
    }
}

impl Part {
    fn new(group: &Group, config: &ModelConfig, dtype: Kind) -> Self {
        let of_group = config.shape.heads / config.shape.kv_heads;
        let prefix = group.prefix as i64;
        let rests: Vec<i64> = group.rows.iter().map(|row| row.rest as i64).filter(|&rest| rest > 0).collect();
        let mask = |prefix: i64, rest: i64| {
            let all = Tensor::full([rest, prefix + rest], f64::NEG_INFINITY, (Kind::Float, Device::Cpu));
            all.triu(prefix + 1).to_kind(dtype).repeat_interleave_self_int(of_group, 0, None)
        };
        let longest = rests.iter().copied().max().unwrap_or(0);
        Self { prefix, mask: mask(prefix, longest), prefix_mask: mask(0, prefix), rests }
    }
}

/// Computes attention row by row, with `of_group` queries per key. q: `[Hkv, N · of_group, hd]` · k, v: `[Hkv, N, hd]` →
/// `[Hkv, N · of_group, hd]`
fn of_rows(parts: &[Part], of_group: i64, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let sizes = parts.iter().flat_map(|part| std::iter::once(part.prefix).chain(part.rests.iter().copied()));
    let sizes: Vec<i64> = sizes.collect();
    let queries: Vec<i64> = sizes.iter().map(|size| size * of_group).collect();
    // The gradient of a split is one concatenation.
    let (q, k, v) = (
        q.f_split_with_sizes(queries, 1)?,
        k.f_split_with_sizes(sizes.as_slice(), 1)?,
        v.f_split_with_sizes(sizes, 1)?,
    );
    let mut attended = Vec::with_capacity(q.len());
    let mut at = 0;
    for part in parts {
        let prefix = at;
        if part.prefix > 0 {
            attended.push(of_row(&part.prefix_mask, &q[at], &k[at], &v[at])?);
        }
        at += 1;
        for _ in &part.rests {
            attended.push(if part.prefix > 0 {
                let keys = Tensor::f_cat(&[&k[prefix], &k[at]], 1)?;
                let values = Tensor::f_cat(&[&v[prefix], &v[at]], 1)?;
                of_row(&part.mask, &q[at], &keys, &values)?
            } else {
                of_row(&part.mask, &q[at], &k[at], &v[at])?
            });
            at += 1;
        }
    }
    Tensor::f_cat(&attended, 1)
}

/// Computes softmax(q kᵀ / √hd + mask) v in f32 products. q: `[Hkv, Q, hd]` · k, v: `[Hkv, T, hd]` · mask: at least `[Q, T]`
fn of_row(mask: &Tensor, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let (kv_heads, queries, tokens) = (k.size()[0], q.size()[1], k.size()[1]);
    let mask = mask.f_narrow(0, 0, queries)?.f_narrow(1, 0, tokens)?;
    let mask = mask.f_unsqueeze(0)?.f_expand([kv_heads, queries, tokens], false)?;
    let scale = 1.0 / (q.size()[2] as f64).sqrt();
    let scores = mask.f_baddbmm(q, &k.f_transpose(1, 2)?, 1.0, scale)?;
    scores.f_softmax(-1, Kind::Float)?.f_to_kind(v.kind())?.f_bmm(v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tiny;
    use stepladder_data::batch::PackedRow;

    /// Both ways on the CPU, with the gradient of a weighted sum.
    #[test]
    fn padded_rows_attend_as_single_rows_do() {
        let shape = tiny();
        let config = ModelConfig::new(shape.clone(), 10, 0).unwrap();
        let group = |prefix, rests: &[usize]| Group {
            prefix,
            rows: rests.iter().map(|&rest| PackedRow { rest, targets: 0 }).collect(),
        };
        let groups = [group(5, &[3, 0, 7]), group(0, &[2, 6, 1]), group(4, &[2])];
        let tokens: i64 = groups.iter().map(|group| group.len() as i64).sum();
        let head = config.head_dim();
        let values = |heads: i64, seed: f64| {
            let all = Tensor::arange(tokens * heads * head, (Kind::Float, Device::Cpu));
            let all = ((all + seed) * 1.7).sin().view([1, tokens, heads, head]);
            all.set_requires_grad(true)
        };
        let attend = |packing: &Packing| {
            let leaves = [values(shape.heads, 0.3), values(shape.kv_heads, 1.1), values(shape.kv_heads, 2.9)];
            let [q, k, v] = leaves.each_ref().map(|leaf| leaf.transpose(1, 2));
            let attended = packing.attend(&q, &k, &v).unwrap();
            assert_eq!(attended.size(), [1, tokens, shape.heads * head]);
            (&attended * (&attended * 3.0 + 0.4).cos()).sum(Kind::Float).backward();
            let [q, k, v] = leaves.map(|leaf| leaf.grad());
            [attended.detach(), q, k, v]
        };
        let parts = groups.iter().map(|group| Part::new(group, &config, Kind::Float)).collect();
        let rows = attend(&Packing::Rows(parts));
        let padded = attend(&Packing::padded(&groups, Device::Cpu));
        for (found, expected) in rows.iter().zip(&padded) {
            let off = (found - expected).abs().max().double_value(&[]);
            assert!(off < 1e-5 * expected.abs().max().double_value(&[]), "{off:e}");
        }
    }
}
