//! Forward pass of generation: no gradients, and in place in buffers that a worker keeps from layer to layer and from pass to
//! pass. A temporary tensor per operation would cost as much in page faults as all small operations (docs/benchmarks.md).

use tch::{Device, Kind, TchError, Tensor};

use crate::architecture::Activation;
use crate::config::Shape;
use crate::decoder::{Block, Decoder};
use crate::linear::Linear;

/// Use of a buffer. Its values are valid until the buffer is taken again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use {
    /// Normalised vectors in f32.
    Normal,
    /// The same in the dtype of the next matrix.
    Input,
    Qkv,
    /// Queries and keys in f32, where the product has another dtype.
    Rotated,
    /// Keys or values in the order of the cache.
    Sources,
    /// Queries of a padded group.
    Queries,
    Attended,
    GateUp,
    Gated,
    Output,
    /// Logits in f32, where the product has another dtype.
    Logits,
    Logprobs,
}

/// Number of uses.
const USES: usize = Use::Logprobs as usize + 1;

/// Memory of the passes of one worker. Each buffer grows to the largest pass.
#[derive(Debug, Default)]
pub(crate) struct Buffers([Option<Tensor>; USES]);

impl Buffers {
    /// Returns a contiguous tensor with arbitrary values.
    ///
    /// # Errors
    /// From libtorch: out of memory.
    pub(crate) fn take(
        &mut self,
        at: Use,
        size: &[i64],
        (kind, device): (Kind, Device),
    ) -> Result<Tensor, TchError> {
        let count: i64 = size.iter().product();
        let held = &mut self.0[at as usize];
        let fits = |buffer: &&Tensor| buffer.numel() as i64 >= count && buffer.kind() == kind;
        let buffer = match held.as_ref().filter(fits) {
            Some(buffer) => buffer.shallow_clone(),
            None => {
                *held = None;
                // An eighth more: the rows of a batch change a little from pass to pass.
                let new = Tensor::f_empty([count + count / 8], (kind, device))?;
                held.insert(new).shallow_clone()
            }
        };
        buffer.f_narrow(0, 0, count)?.f_view(size)
    }
}

/// Divides vectors by √(mean(x²) + ε) over the last dimension, in place; f32.
fn normalise(x: &mut Tensor, eps: f64) -> Result<(), TchError> {
    let scale = root_mean_square(x, eps)?;
    x.f_mul_(&scale).map(drop)
}

/// Computes 1 / √(mean(x²) + ε) over the last dimension: `[…, n]` → `[…, 1]`, f32. The norm needs no tensor of the size of x.
fn root_mean_square(x: &Tensor, eps: f64) -> Result<Tensor, TchError> {
    let width = x.size().last().copied().unwrap_or(1) as f64;
    let mut scale = x.f_norm_scalaropt_dim(2, [-1i64].as_slice(), true)?;
    let _ = scale.f_square_()?.f_mul_scalar_(1.0 / width)?.f_add_scalar_(eps)?.f_rsqrt_()?;
    Ok(scale)
}

impl Decoder {
    /// Computes the input of a layer after a norm, gain included: `[N, d]` → `[N, d]` in the dtype of its matrix.
    fn normalised(&self, x: &Tensor, linear: &Linear, buffers: &mut Buffers) -> Result<Tensor, TchError> {
        let (size, eps, device) = (x.size(), self.config().shape.norm_eps, x.device());
        let mut normal = buffers.take(Use::Normal, &size, (Kind::Float, device))?;
        if x.kind() == Kind::Float {
            let _ = x.f_mul_out(&normal, &root_mean_square(x, eps)?)?;
        } else {
            normal.f_copy_(x)?;
            normalise(&mut normal, eps)?;
        }
        if let Some(gain) = linear.gain() {
            let _ = normal.f_mul_(gain)?;
        }
        if linear.kind() == Kind::Float {
            return Ok(normal);
        }
        let mut input = buffers.take(Use::Input, &size, (linear.kind(), device))?;
        input.f_copy_(&normal)?;
        Ok(input)
    }

    /// Computes a block's queries `[N, H, hd]`, keys and values, `[N, Hkv, hd]` each, of x `[N, d]`, in the dtype of the vectors;
    /// queries and keys are rotated. `rotation`: `[N, 1, hd/2]` complex.
    pub(crate) fn project_in(
        &self,
        block: &Block,
        x: &Tensor,
        rotation: &Tensor,
        buffers: &mut Buffers,
    ) -> Result<[Tensor; 3], TchError> {
        let Shape { heads, kv_heads, norm_eps, .. } = self.config().shape;
        let (head, count, device) = (self.config().head_dim(), x.size()[0], x.device());
        let (rotated, all, kind) = (heads + kv_heads, heads + 2 * kv_heads, block.qkv.kind());
        let input = self.normalised(x, &block.qkv, buffers)?;
        let qkv = buffers.take(Use::Qkv, &[count, all * head], (kind, device))?;
        block.qkv.write(&input, &qkv)?;
        let parts = qkv.f_view([count, all, head])?.f_split_with_sizes([rotated, kv_heads], 1)?;
        let [mut qk, v] = [parts[0].shallow_clone(), parts[1].f_to_kind(self.dtype())?];
        let mut wide = qk.shallow_clone();
        if kind != Kind::Float {
            wide = buffers.take(Use::Rotated, &[count, rotated, head], (Kind::Float, device))?;
            wide.f_copy_(&qk)?;
        }
        if let Some((q_gain, k_gain)) = &block.qk_gains {
            normalise(&mut wide, norm_eps)?;
            let mut parts = wide.f_split_with_sizes([heads, kv_heads], 1)?;
            for (part, gain) in parts.iter_mut().zip([q_gain, k_gain]) {
                let _ = part.f_mul_(gain)?;
            }
        }
        let pairs = wide.f_view([count, rotated, head / 2, 2])?;
        let _ = pairs.f_view_as_complex()?.f_mul_(rotation)?;
        if kind != self.dtype() {
            qk = wide.f_to_kind(self.dtype())?;
        } else if kind != Kind::Float {
            qk.f_copy_(&wide)?;
        }
        let parts = qk.f_split_with_sizes([heads, kv_heads], 1)?;
        Ok([parts[0].shallow_clone(), parts[1].shallow_clone(), v])
    }

    /// Computes the position-wise part of a block in place: x ← x + W_out a, then x ← x + W_down (act(gate) ⊙ up). x: `[N, d]`;
    /// attended: `[N, H hd]`.
    pub(crate) fn transform_in(
        &self,
        block: &Block,
        x: &mut Tensor,
        attended: &Tensor,
        buffers: &mut Buffers,
    ) -> Result<(), TchError> {
        block.out.add_to(attended, x)?;
        let (count, device, kind) = (x.size()[0], x.device(), block.gate_up.kind());
        let input = self.normalised(x, &block.gate_up, buffers)?;
        let gate_up = buffers.take(Use::GateUp, &[count, block.gate_up.outputs()], (kind, device))?;
        block.gate_up.write(&input, &gate_up)?;
        let mut parts = gate_up.f_chunk(2, -1)?;
        let gate = match self.config().architecture.activation {
            Activation::Silu => parts[0].f_silu_()?,
            Activation::Gelu => parts[0].f_gelu_("none")?,
            Activation::GeluTanh => parts[0].f_gelu_("tanh")?,
        };
        let gated = buffers.take(Use::Gated, &gate.size(), (kind, device))?;
        let _ = gate.f_mul_out(&gated, &parts[1])?;
        block.down.add_to(&gated, x)
    }

    /// Computes log-probabilities of the token after each of the last layer's vectors: `[N, d]` → `[N, vocab]`, f32.
    pub(crate) fn next_logprobs(&self, x: &Tensor, buffers: &mut Buffers) -> Result<Tensor, TchError> {
        let (head, device) = (self.head(), x.device());
        let input = self.normalised(x, head, buffers)?;
        let size = [x.size()[0], head.outputs()];
        let mut logits = buffers.take(Use::Output, &size, (head.kind(), device))?;
        head.write(&input, &logits)?;
        if head.kind() != Kind::Float {
            let output = logits;
            logits = buffers.take(Use::Logits, &size, (Kind::Float, device))?;
            logits.f_copy_(&output)?;
        }
        let logprobs = buffers.take(Use::Logprobs, &size, (Kind::Float, device))?;
        logits.f_log_softmax_int_out(&logprobs, -1, None)
    }
}
