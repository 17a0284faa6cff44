//! Forward pass of a decoder (RMSNorm, RoPE, gated MLP, grouped-query attention), for all families of [`crate::architecture`].
//!
//! ```text
//! x ← E[ids]
//! x ← x + W_o · attention(rope(W_q n), rope(W_k n), W_v n),   n = rmsnorm(x; g)
//! x ← x + W_down · (silu(W_gate n) ⊙ W_up n),                 n = rmsnorm(x; g)
//! h = rmsnorm(x; g);   logits = h · Eᵀ (tied) or h · W_headᵀ
//! ```
//! rmsnorm(x; g) = g ⊙ x / √(mean(x²) + ε). The gain g is multiplied into the next matrix once per call instead of once
//! per token, unless that matrix is frozen; gradients reach both. Families differ as [`Architecture`] describes.
//!
//! Lengths, widths and tokens come from the user, so failures of libtorch (out of memory included) are errors, not panics.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};

use stepladder_core::seed::derive;
use tch::{Device, Kind, TchError, Tensor};

use crate::architecture::{Activation, Architecture, RotaryScaling};
use crate::config::{ModelConfig, Shape};
use crate::dropout::Dropout;
use crate::linear::{Adapter, Linear};
use crate::lora::{a_of, b_of};
use crate::packing::Packing;
use crate::params::Layout;
use crate::weights::Weights;

/// Converts token ids to the i64 tensor that libtorch indexes with: `[ids.len()]`, on the CPU.
pub fn index(ids: &[u32]) -> Tensor {
    let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    Tensor::from_slice(&ids)
}

/// Frozen matrices of at most this many bytes in all get a transposed copy for generation on a CPU: with it a step of 8 to 64
/// rows takes 0.5 to 0.7 of the time (docs/benchmarks.md).
const COPIED_BYTES: usize = 1 << 30;

/// Layers of one block.
pub(crate) struct Block {
    /// Query, key and value rows: `[(H + 2 Hkv) hd, d]`.
    pub(crate) qkv: Linear,
    /// Gains of the norms of queries and keys, each `[hd]`.
    pub(crate) qk_gains: Option<(Tensor, Tensor)>,
    pub(crate) out: Linear,
    /// Gate and up rows: `[2 ffn, d]`.
    pub(crate) gate_up: Linear,
    pub(crate) down: Linear,
}

impl Block {
    fn linears(&mut self) -> [&mut Linear; 4] {
        let Self { qkv, out, gate_up, down, .. } = self;
        [qkv, out, gate_up, down]
    }

    /// Returns a block over what `change` returns for each tensor.
    pub(crate) fn map(&self, change: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        Self {
            qkv: self.qkv.map(change),
            qk_gains: self.qk_gains.as_ref().map(|(q, k)| (change(q), change(k))),
            out: self.out.map(change),
            gate_up: self.gate_up.map(change),
            down: self.down.map(change),
        }
    }
}

/// Arrangement of the tokens of a forward pass.
pub(crate) struct Arrangement {
    /// Rotary factors, broadcastable to `[B, T, 1, hd/2]`.
    pub(crate) rotation: Tensor,
    /// Row-major indices of the tokens of the output, if it has some only.
    pub(crate) at: Option<Tensor>,
    /// Packed rows; none for right-padded rows.
    pub(crate) packing: Option<Packing>,
}

/// Inputs of the blocks in one forward pass with recomputation (`recompute`).
pub(crate) struct Pass {
    /// Input of the first block, with its graph.
    pub(crate) embedded: Tensor,
    /// Input of each block.
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) arrangement: Arrangement,
    /// Output: a leaf, `[…, d]`.
    pub(crate) hidden: Tensor,
}

/// Model prepared for the forward pass: parameters split, gains multiplied in where they are trained.
pub struct Decoder {
    config: ModelConfig,
    pub(crate) blocks: Vec<Block>,
    /// Embedding table `[vocab, d]`, factors summed in.
    table: Tensor,
    /// Dtype of the vectors.
    dtype: Kind,
    /// Output layer after the last norm: `[vocab, d]`.
    head: Linear,
    /// Gain of the last norm.
    norm: Tensor,
    /// e^{i·position·frequency}: `[max_positions, hd/2]`, complex.
    rotations: Tensor,
    /// A trained value, if blocks are computed again for their gradient.
    recomputed: Option<Tensor>,
    /// Forward passes whose gradient is not computed yet; only with recomputation.
    passes: RefCell<Vec<Pass>>,
}

/// Computes the rotary factors of all positions: `[max_positions, hd/2]`, complex.
fn rotations(config: &ModelConfig, device: Device) -> Tensor {
    #[cfg(target_arch = "x86_64")]
    crate::mkl::link();
    let shape = &config.shape;
    let half = config.head_dim() / 2;
    let options = (Kind::Double, Device::Cpu);
    let exponent = Tensor::arange(half, options) / half as f64;
    let mut frequency = (exponent * -shape.rope_theta.ln()).exp();
    if config.architecture.rotary != RotaryScaling::None {
        let scaled = |pair| config.architecture.rotary.apply(frequency.double_value(&[pair]));
        frequency = Tensor::from_slice(&(0..half).map(scaled).collect::<Vec<f64>>());
    }
    let angle = Tensor::arange(shape.max_positions, options).outer(&frequency);
    let parts = Tensor::stack(&[angle.cos(), angle.sin()], -1).to_kind(Kind::Float);
    parts.view_as_complex().to_device(device)
}

/// Computes x / √(mean(x²) + ε) over the last dimension; the gain is part of the next matrix.
pub(crate) fn normalise(x: &Tensor, eps: f64) -> Result<Tensor, TchError> {
    let mean = x.f_square()?.f_mean_dim([-1i64].as_slice(), true, Kind::Float)?;
    x.f_mul(&mean.f_add_scalar(eps)?.f_rsqrt()?.f_to_kind(x.kind())?)
}

/// Rotates pairs of neighbouring elements. x: `[B, T, heads, hd]`; rotation: broadcastable to `[B, T, 1, hd/2]` complex. The result
/// has dtype `kind`.
pub(crate) fn rope(x: &Tensor, rotation: &Tensor, kind: Kind) -> Result<Tensor, TchError> {
    let sizes = x.size();
    let (b, t, heads, head) = (sizes[0], sizes[1], sizes[2], sizes[3]);
    let pairs = x.f_to_kind(Kind::Float)?.f_reshape([b, t, heads, head / 2, 2])?.f_view_as_complex()?;
    pairs.f_mul(rotation)?.f_view_as_real()?.f_reshape([b, t, heads, head])?.f_to_kind(kind)
}

/// Parts shared by all decoders over the same weights: layout of the trained parameters, frozen parameters, rotary table.
#[derive(Debug)]
pub struct Frame {
    layout: Layout,
    frozen: BTreeMap<String, Tensor>,
    incidence: Option<Tensor>,
    rotations: Tensor,
    dtype: Kind,
    recompute: bool,
}

impl Frame {
    /// Creates the frame of models whose trained parameters have the layout of `weights`. `dtype` is the dtype of matrix
    /// products: f32, or bf16 on devices where that is faster.
    pub fn new(weights: &Weights, dtype: Kind) -> Self {
        let device = weights.device();
        let frozen = weights.frozen().iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        Self {
            layout: weights.trained.layout.clone(),
            frozen: frozen.collect(),
            incidence: weights.factors().matrix(device),
            rotations: rotations(weights.config(), device),
            dtype,
            recompute: false,
        }
    }

    /// Makes decoders for training keep the inputs of their blocks instead of the graphs, and compute each block again for its
    /// gradient ([`Decoder::backward`]).
    pub fn recomputing(self, recompute: bool) -> Self {
        Self { recompute, ..self }
    }

    /// Builds the decoder with the trained values `leaf` (`[layout.total()]`): a leaf tensor for training, plain values for
    /// inference. Without dropout.
    ///
    /// # Panics
    /// If `leaf` does not have the size of the layout.
    pub fn decoder(&self, leaf: &Tensor) -> Decoder {
        self.build(leaf, None)
    }

    /// Builds the decoder of one training pass, with dropout of the adapters' inputs ([`crate::Lora`]). The masks depend on `seed`,
    /// layer, matrix and size of the input.
    ///
    /// # Panics
    /// As [`Frame::decoder`].
    pub fn decoder_in_training(&self, leaf: &Tensor, seed: u64) -> Decoder {
        self.build(leaf, Some(seed))
    }

    fn build(&self, leaf: &Tensor, seed: Option<u64>) -> Decoder {
        let config = self.layout.config().clone();
        let (shape, dtype) = (&config.shape, self.dtype);
        let names = self.layout.entries.iter().map(|entry| entry.name.as_str());
        let trained: HashMap<&str, Tensor> = names.zip(self.layout.split(leaf)).collect();
        let find = |name: &str| {
            let found = trained.get(name).or_else(|| self.frozen.get(name));
            found.map(Tensor::shallow_clone).expect("weights have every parameter of their model")
        };
        let gain = |name: &str| match config.architecture.gemma_norm {
            true => find(name).to_kind(Kind::Float) + 1.0,
            false => find(name),
        };
        // Frozen matrices are used as they are, without a copy: in f32 beside products in f32, and in bf16 always.
        let shared = |matrix: Tensor| match matrix.kind() {
            Kind::BFloat16 => matrix,
            _ => matrix.to_kind(dtype),
        };
        // A trained matrix takes in the gain once per call.
        let after_norm = |name: &str, matrix: Tensor, gain: Tensor| match trained.contains_key(name) {
            true => Linear::new((matrix * gain).to_kind(dtype)),
            false => Linear::frozen(shared(matrix)).with_gain(Some(gain)),
        };
        let own = find("embed.own");
        let table = match &self.incidence {
            Some(matrix) if config.factors > 0 => {
                own + matrix.matmul(&find("embed.factors").to_kind(Kind::Float))
            }
            _ => own,
        };
        let bias = |given: bool, name: String| given.then(|| find(&name).to_kind(dtype));
        let Architecture { qkv_bias, out_bias, mlp_bias, qk_norm, .. } = config.architecture;
        // Adapters of the matrices that are fused into one.
        let adapters = |layer: i64, modules: &[&str]| -> Vec<Adapter> {
            let Some(lora) = &config.lora else { return Vec::new() };
            if !modules.iter().any(|module| lora.adapts(module)) {
                return Vec::new();
            }
            let factors = |module: &str| {
                let a = find(&a_of(layer, module)).to_kind(dtype);
                (a, (find(&b_of(layer, module)) * lora.scale()).to_kind(dtype))
            };
            let dropout = |seed, module: &str| {
                Dropout::new(lora.dropout, derive(seed, module, &[layer.unsigned_abs()]))
            };
            let adapter = |module: &&str| Adapter {
                rows: config.rows_of(module),
                factors: lora.adapts(module).then(|| factors(module)),
                dropout: seed.filter(|_| lora.dropout > 0.0).map(|seed| dropout(seed, module)),
            };
            modules.iter().map(adapter).collect()
        };
        let blocks = (0..shape.layers)
            .map(|layer| {
                let of = |name: &str| format!("layers.{layer}.{name}");
                let normed = |name: &str, norm: &str| after_norm(&of(name), find(&of(name)), gain(&of(norm)));
                let linear = |name: &str| match trained.contains_key(of(name).as_str()) {
                    true => Linear::new(find(&of(name)).to_kind(dtype)),
                    false => Linear::frozen(shared(find(&of(name)))),
                };
                Block {
                    qkv: normed("qkv", "norm_attention")
                        .with_bias(bias(qkv_bias, of("qkv_bias")))
                        .with_adapters(adapters(layer, &["q_proj", "k_proj", "v_proj"])),
                    qk_gains: qk_norm.then(|| (gain(&of("norm_q")), gain(&of("norm_k")))),
                    out: linear("out")
                        .with_bias(bias(out_bias, of("out_bias")))
                        .with_adapters(adapters(layer, &["o_proj"])),
                    gate_up: normed("gate_up", "norm_ffn")
                        .with_bias(bias(mlp_bias, of("gate_up_bias")))
                        .with_adapters(adapters(layer, &["gate_proj", "up_proj"])),
                    down: linear("down")
                        .with_bias(bias(mlp_bias, of("down_bias")))
                        .with_adapters(adapters(layer, &["down_proj"])),
                }
            })
            .collect();
        let norm = gain("norm");
        let head = match shape.tied {
            true => after_norm("embed.own", table.shallow_clone(), norm.shallow_clone()),
            false => after_norm("head", find("head"), norm.shallow_clone()),
        };
        let head = match config.tokens {
            Some(tokens) => head.first_rows(tokens),
            None => head,
        };
        Decoder {
            blocks,
            head,
            table: if trained.contains_key("embed.own") { table.to_kind(dtype) } else { shared(table) },
            dtype,
            norm,
            rotations: self.rotations.shallow_clone(),
            recomputed: (self.recompute && leaf.requires_grad()).then(|| leaf.narrow(0, 0, 1)),
            passes: RefCell::default(),
            config,
        }
    }
}

impl Decoder {
    /// Prepares the decoder for generation: products of few vectors become faster, and no gradient flows. Matrices get a transposed
    /// copy; frozen ones only if they have at most 1 GiB in all, because a larger model may fill the memory.
    pub fn for_replies(mut self) -> Self {
        tch::no_grad(|| {
            if self.table.device() != Device::Cpu {
                return;
            }
            let Self { blocks, head, .. } = &mut self;
            let mut linears: Vec<&mut Linear> =
                blocks.iter_mut().flat_map(Block::linears).chain([head]).collect();
            let frozen: usize = linears.iter().map(|linear| linear.frozen_bytes()).sum();
            let copied = |linear: &&mut &mut Linear| !linear.is_frozen() || frozen <= COPIED_BYTES;
            linears.iter_mut().filter(copied).for_each(|linear| linear.transpose());
        });
        self
    }

    /// Returns a decoder over the same tensors, for generation in another thread.
    pub(crate) fn handle(&self) -> Self {
        let mut handle = Tensor::shallow_clone;
        Self {
            config: self.config.clone(),
            blocks: self.blocks.iter().map(|block| block.map(&mut handle)).collect(),
            table: self.table.shallow_clone(),
            dtype: self.dtype,
            head: self.head.map(&mut handle),
            norm: self.norm.shallow_clone(),
            rotations: self.rotations.shallow_clone(),
            recomputed: None,
            passes: RefCell::default(),
        }
    }

    /// Divides logits by `temperature`, so that log-probabilities and their gradients are those of sampling at it.
    pub fn at_temperature(mut self, temperature: f64) -> Self {
        if temperature != 1.0 {
            self.head = self.head.divided(temperature);
        }
        self
    }

    /// Returns the configuration of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Returns the dtype of the vectors.
    pub(crate) fn dtype(&self) -> Kind {
        self.dtype
    }

    /// Returns the embedding table `[vocab, d]`, factors summed in.
    pub(crate) fn table(&self) -> &Tensor {
        &self.table
    }

    /// Returns the output layer after the last norm, `[vocab, d]`.
    pub(crate) fn head(&self) -> &Linear {
        &self.head
    }

    /// Returns the rotary factors `[max_positions, hd/2]`, complex.
    pub(crate) fn rotations(&self) -> &Tensor {
        &self.rotations
    }

    pub(crate) fn rotation(&self, from: i64, len: i64) -> Result<Tensor, TchError> {
        self.rotations.f_narrow(0, from, len)?.f_unsqueeze(0)?.f_unsqueeze(2)
    }

    pub(crate) fn rotation_at(&self, positions: &Tensor) -> Result<Tensor, TchError> {
        self.rotations.f_index_select(0, positions)?.f_unsqueeze(1)?.f_unsqueeze(2)
    }

    pub(crate) fn embed(&self, ids: &Tensor) -> Result<Tensor, TchError> {
        let x = Tensor::f_embedding(&self.table, ids, -1, false, false)?.f_to_kind(self.dtype)?;
        if !self.config.architecture.gemma_norm {
            return Ok(x);
        }
        // Rounded to the dtype of the embeddings before the product, as in the original.
        let scale = Tensor::from((self.config.shape.width as f64).sqrt()).f_to_kind(x.kind())?;
        x.f_mul(&scale.f_to_device(x.device())?)
    }

    /// Computes a block's queries `[B, H, T, hd]`, keys and values `[B, Hkv, T, hd]`; queries and keys are rotated. All
    /// have the dtype of x, whatever that of the matrices.
    pub(crate) fn project(
        &self,
        block: &Block,
        x: &Tensor,
        rotation: &Tensor,
    ) -> Result<(Tensor, Tensor, Tensor), TchError> {
        let Shape { heads, kv_heads, norm_eps, .. } = self.config.shape;
        let head = self.config.head_dim();
        let sizes = x.size();
        let (b, t) = (sizes[0], sizes[1]);
        let qkv = block.qkv.apply(&normalise(x, norm_eps)?)?.f_view([b, t, heads + 2 * kv_heads, head])?;
        // The gradient of a split is one concatenation; each slice would have a zero-filled gradient of full size to be summed.
        let mut parts = qkv.f_split_with_sizes([heads + kv_heads, kv_heads], 2)?;
        if let Some((q_gain, k_gain)) = &block.qk_gains {
            let normal = normalise(&parts[0].f_to_kind(x.kind())?, norm_eps)?
                .f_split_with_sizes([heads, kv_heads], 2)?;
            let scaled = [normal[0].f_mul(q_gain)?, normal[1].f_mul(k_gain)?];
            parts[0] = Tensor::f_cat(&scaled, 2)?.f_to_kind(x.kind())?;
        }
        let qk = rope(&parts[0], rotation, x.kind())?.f_split_with_sizes([heads, kv_heads], 2)?;
        let v = parts[1].f_to_kind(x.kind())?;
        Ok((qk[0].f_transpose(1, 2)?, qk[1].f_transpose(1, 2)?, v.f_transpose(1, 2)?))
    }

    /// Concatenates the heads of each position: `[B, H, T, hd]` → `[B, T, H hd]`.
    pub(crate) fn join(&self, attended: &Tensor) -> Result<Tensor, TchError> {
        let sizes = attended.size();
        attended.f_transpose(1, 2)?.f_reshape([sizes[0], sizes[2], sizes[1] * sizes[3]])
    }

    /// Computes the position-wise part of a block: x ← x + W_out a, then x ← x + W_down (act(gate) ⊙ up). The
    /// sums have the dtype of x; gate and up that of the matrices.
    pub(crate) fn transform(&self, block: &Block, x: &Tensor, attended: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_add(&block.out.apply(attended)?)?;
        let gate_up = block.gate_up.apply(&normalise(&x, self.config.shape.norm_eps)?)?;
        let parts = gate_up.f_chunk(2, -1)?;
        let gate = match self.config.architecture.activation {
            Activation::Silu => parts[0].f_silu()?,
            Activation::Gelu => parts[0].f_gelu("none")?,
            Activation::GeluTanh => parts[0].f_gelu("tanh")?,
        };
        x.f_add(&block.down.apply(&gate.f_mul(&parts[1])?)?)
    }

    /// Computes causal attention of a block over right-padded or packed rows: `[B, T, H hd]`.
    fn attend(&self, block: &Block, x: &Tensor, arrangement: &Arrangement) -> Result<Tensor, TchError> {
        let (q, k, v) = self.project(block, x, &arrangement.rotation)?;
        if let Some(packing) = &arrangement.packing {
            return packing.attend(&q, &k, &v);
        }
        let grouped = self.config.shape.heads != self.config.shape.kv_heads;
        let attended =
            Tensor::f_scaled_dot_product_attention(&q, &k, &v, None::<Tensor>, 0.0, true, None, grouped)?;
        self.join(&attended)
    }

    /// Computes last-layer vectors before the gain of the final norm, causal over right-padded rows.
    ///
    /// # Shapes
    /// ids: `[B, T]` (i64) → `[B, T, d]`
    ///
    /// # Errors
    /// From libtorch: rows longer than the context window, ids outside the vocabulary, out of memory.
    pub fn hidden(&self, ids: &Tensor) -> Result<Tensor, TchError> {
        self.forward(ids, None)
    }

    /// Computes [`Decoder::hidden`] at some positions only. Everything after the last attention, which mixes no positions, is
    /// computed for these alone (docs/design.md D10).
    ///
    /// # Shapes
    /// ids: `[B, T]` · positions: `[N]` row-major indices → `[N, d]`
    ///
    /// # Errors
    /// As [`Decoder::hidden`], and for positions outside `ids`.
    pub fn hidden_at(&self, ids: &Tensor, positions: &Tensor) -> Result<Tensor, TchError> {
        self.forward(ids, Some(positions))
    }

    fn forward(&self, ids: &Tensor, positions: Option<&Tensor>) -> Result<Tensor, TchError> {
        let rotation = self.rotation(0, ids.size()[1])?;
        self.arranged(ids, Arrangement { rotation, at: positions.map(Tensor::shallow_clone), packing: None })
    }

    /// Computes last-layer vectors of tokens in this arrangement. ids: `[B, T]`
    pub(crate) fn arranged(&self, ids: &Tensor, arrangement: Arrangement) -> Result<Tensor, TchError> {
        let mut x = self.embed(ids)?;
        // The product has no gradient inside `tch::no_grad`.
        let value = self.recomputed.as_ref().map(|value| value.f_mul_scalar(1.0)).transpose()?;
        if value.is_some_and(|value| value.requires_grad()) {
            return self.without_graph(x, arrangement);
        }
        for (index, block) in self.blocks.iter().enumerate() {
            x = self.block(index, block, &x, &arrangement)?;
        }
        normalise(&x, self.config.shape.norm_eps)
    }

    /// Computes block `index` with the layers of `block`; the last block at the tokens of the output only, if they are not all.
    pub(crate) fn block(
        &self,
        index: usize,
        block: &Block,
        x: &Tensor,
        arrangement: &Arrangement,
    ) -> Result<Tensor, TchError> {
        let attended = self.attend(block, x, arrangement)?;
        match &arrangement.at {
            Some(at) if index + 1 == self.blocks.len() => {
                let select = |all: &Tensor| all.f_reshape([-1, all.size()[2]])?.f_index_select(0, at);
                let (x, attended) = (select(x)?, select(&attended)?);
                self.transform(block, &x, &attended)
            }
            _ => self.transform(block, x, &attended),
        }
    }

    /// Returns the forward passes whose gradient is not computed yet.
    pub(crate) fn passes(&self) -> RefMut<'_, Vec<Pass>> {
        self.passes.borrow_mut()
    }

    /// Computes the features that critics read: [`Decoder::hidden`] times the gain of the final norm, in f32.
    ///
    /// # Shapes
    /// hidden: `[…, d]` → `[…, d]`
    ///
    /// # Errors
    /// From libtorch: vectors of another width, out of memory.
    pub fn features(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        hidden.f_to_kind(Kind::Float)?.f_mul(&self.norm)
    }

    /// Computes logits in f32.
    ///
    /// # Shapes
    /// hidden: `[N, d]` → `[N, vocab]`
    ///
    /// # Errors
    /// As [`Decoder::features`].
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        self.head.apply(hidden)?.f_to_kind(Kind::Float)
    }

    /// Computes log-probabilities of the tokens at row-major positions `targets` of `ids`, each conditioned on its row before it.
    /// Logits are computed for these positions only (docs/design.md D10).
    ///
    /// # Shapes
    /// ids: `[B, T]` · targets: `[N]` row-major indices, none at the start of a row → `[N]`
    ///
    /// # Errors
    /// As [`Decoder::hidden_at`].
    pub fn logprobs(&self, ids: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
        let before = self.hidden_at(ids, &targets.f_sub_scalar(1)?)?;
        self.token_logprobs(&before, &ids.f_reshape([-1])?.f_index_select(0, targets)?)
    }

    /// Computes the log-probability of one token after each hidden vector.
    ///
    /// # Shapes
    /// hidden: `[N, d]` · tokens: `[N]` (i64) → `[N]`
    ///
    /// # Errors
    /// From libtorch: vectors of another width, tokens outside the vocabulary, out of memory.
    pub fn token_logprobs(&self, hidden: &Tensor, tokens: &Tensor) -> Result<Tensor, TchError> {
        self.logits(hidden)?
            .f_log_softmax(-1, Kind::Float)?
            .f_gather(1, &tokens.f_unsqueeze(1)?, false)?
            .f_squeeze_dim(1)
    }
}
