//! Batched generation with a KV cache. A reply does not depend on the other prompts of the batch.
//!
//! A row's cache has three regions, each as wide as its widest row: the known prefix (computed in earlier calls), the rest
//! of the prompt, and the reply. A mask hides the columns that a row does not fill; rotary positions count the row's own
//! tokens. The rest of all prompts is computed as one packed sequence; only attention pads it. Replies end independently;
//! when many have ended, the cache is compacted to the open rows.

use stepladder_cpu::prefixes::{Found, Stored};
use stepladder_rollout::engine::{Prompt, Reply};
use tch::{Device, Kind, TchError, Tensor};

use crate::decoder::Decoder;

/// Keys and values of consecutive tokens: `[layers, 2, Hkv, tokens, hd]`.
#[derive(Debug)]
pub(crate) struct Piece(pub(crate) Tensor);

impl Stored for Piece {
    /// Copies the handle, not the memory: tensors can be sent to other threads, references to them cannot.
    fn handle(&self) -> Self {
        Self(self.0.shallow_clone())
    }

    /// In tokens.
    fn size(&self) -> usize {
        self.0.size()[3] as usize
    }
}

/// Cached prefix of a prompt: pieces in order, each with its start and number of tokens.
pub(crate) type Known = Found<Piece>;

/// Columns added when a reply outgrows the cache.
const MORE: i64 = 16;
/// The cache is compacted when the fraction of open rows is below this. Compacting after every ended reply would cost more
/// copies than it saves.
const DENSE: f64 = 0.75;

struct State {
    /// `[layers, 2, B, Hkv, capacity, hd]`
    cache: Tensor,
    /// Index of the prompt behind each row.
    rows: Vec<usize>,
    /// Whether the reply of each row is unfinished.
    open: Vec<bool>,
    /// Tokens in each row (prompt and reply), which is the next rotary position.
    lengths: Vec<i64>,
    /// Columns of the cache in use.
    columns: i64,
    /// Additive mask over all columns `[B, 1, 1, all]`: 0 visible, -inf not filled.
    mask: Tensor,
}

impl State {
    fn layer(&self, layer: usize) -> Result<(Tensor, Tensor), TchError> {
        let layer = self.cache.f_select(0, layer as i64)?;
        Ok((layer.f_select(0, 0)?, layer.f_select(0, 1)?))
    }

    /// Drops all rows but these.
    fn keep(&mut self, positions: &[i64]) -> Result<(), TchError> {
        let index = Tensor::from_slice(positions).f_to_device(self.mask.device())?;
        self.cache = self.cache.f_index_select(2, &index)?;
        self.mask = self.mask.f_index_select(0, &index)?;
        self.rows = positions.iter().map(|&position| self.rows[position as usize]).collect();
        self.lengths = positions.iter().map(|&position| self.lengths[position as usize]).collect();
        self.open = vec![true; positions.len()];
        Ok(())
    }

    /// Makes sure that the cache holds one more column.
    fn reserve(&mut self) -> Result<(), TchError> {
        let size = self.cache.size();
        if self.columns < size[4] {
            return Ok(());
        }
        let extra = [size[0], size[1], size[2], size[3], MORE, size[5]];
        let extra = Tensor::f_zeros(extra, (self.cache.kind(), self.cache.device()))?;
        self.cache = Tensor::f_cat(&[&self.cache, &extra], 4)?;
        Ok(())
    }
}

/// Regions of the cache and the tokens of each row in them.
struct Regions {
    known: Vec<i64>,
    new: Vec<i64>,
    /// Width of the prefix region; the rest of the prompts begins here.
    from: i64,
    /// Width of the prompt region; replies begin at `from + width`.
    width: i64,
}

/// Generates a reply for every prompt, in order.
///
/// Each id in `end` ends a reply; `pad` fills ended rows and is never read. Every prompt plus its budget must fit the
/// model's context window.
///
/// # Errors
/// From libtorch: a prompt that does not fit, ids outside the vocabulary, out of memory.
pub fn generate(
    decoder: &Decoder,
    prompts: &mut [Prompt],
    end: &[u32],
    pad: u32,
    device: Device,
) -> Result<Vec<Reply>, TchError> {
    let unknown: Vec<Known> = prompts.iter().map(|_| Known::new()).collect();
    Ok(generate_from(decoder, prompts, &unknown, (end, pad), device, false)?.0)
}

/// Like [`generate`], with cached prefixes. With `keep` it also returns the new keys and values of each row: the rest of
/// the prompt and the reply without its last token, for which none are computed.
pub(crate) fn generate_from(
    decoder: &Decoder,
    prompts: &mut [Prompt],
    known: &[Known],
    (end, pad): (&[u32], u32),
    device: Device,
    keep: bool,
) -> Result<(Vec<Reply>, Vec<Piece>), TchError> {
    if prompts.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    tch::no_grad(|| {
        let mut replies = vec![Reply::default(); prompts.len()];
        let mut pieces: Vec<Option<Piece>> = prompts.iter().map(|_| None).collect();
        let (mut state, regions, mut logits) = prefill(decoder, prompts, known, device)?;
        loop {
            let mut tokens = choose(&logits, &state, prompts, &mut replies, pad)?;
            for position in 0..state.rows.len() {
                let row = state.rows[position];
                let reply = &mut replies[row];
                if !state.open[position] {
                    continue;
                }
                let stop = &mut prompts[row].stop;
                let mut stops = |id| stop.as_mut().is_some_and(|stop| stop.push(id));
                let ended = reply.ids.last().is_some_and(|id| end.contains(id) || stops(*id));
                if !ended && reply.ids.len() < prompts[row].budget {
                    continue;
                }
                reply.cut = !ended;
                state.open[position] = false;
                if keep {
                    pieces[row] = Some(piece(&state, &regions, position)?);
                }
            }
            let open: Vec<i64> =
                (0..state.rows.len() as i64).filter(|&position| state.open[position as usize]).collect();
            if open.is_empty() {
                return Ok((replies, pieces.into_iter().flatten().collect()));
            }
            if (open.len() as f64) < DENSE * state.rows.len() as f64 {
                tokens = open.iter().map(|&position| tokens[position as usize]).collect();
                state.keep(&open)?;
            }
            logits = step(decoder, &mut state, &tokens, device)?;
        }
    })
}

/// Copies the new keys and values of a row out of the cache.
fn piece(state: &State, regions: &Regions, position: usize) -> Result<Piece, TchError> {
    let row = state.rows[position];
    let cache = state.cache.f_select(2, position as i64)?;
    let (known, new) = (regions.known[row], regions.new[row]);
    let prompt = cache.f_narrow(3, regions.from, new)?;
    let replied = state.lengths[position] - known - new;
    // `cat` always copies; a view would keep the whole cache alive.
    let reply = cache.f_narrow(3, regions.from + regions.width, replied)?;
    Ok(Piece(Tensor::f_cat(&[prompt, reply], 3)?))
}

fn prefill(
    decoder: &Decoder,
    prompts: &[Prompt],
    known: &[Known],
    device: Device,
) -> Result<(State, Regions, Tensor), TchError> {
    let (shape, head) = (decoder.config().shape.clone(), decoder.config().head_dim());
    let rows = prompts.len() as i64;
    let known_of = |pieces: &Known| pieces.iter().map(|(_, _, count)| count).sum::<i64>();
    let known_lens: Vec<i64> = known.iter().map(known_of).collect();
    let new: Vec<i64> =
        prompts.iter().zip(&known_lens).map(|(prompt, known)| prompt.ids.len() as i64 - known).collect();
    let from = known_lens.iter().copied().max().unwrap_or(0);
    let width = new.iter().copied().max().unwrap_or(1);
    let budget = prompts.iter().map(|prompt| prompt.budget).max().unwrap_or(1) as i64;
    let (used, all) = (from + width, from + width + budget);

    // All new tokens are packed into one sequence. `slots` maps positions of the padded batch to it, `places` the reverse.
    let (mut ids, mut positions, mut last) = (Vec::new(), Vec::new(), Vec::new());
    let mut slots = vec![0i64; (rows * width) as usize];
    let mut places = Vec::new();
    for (row, prompt) in prompts.iter().enumerate() {
        let (known, new) = (known_lens[row], new[row]);
        for column in 0..new {
            let slot = row as i64 * width + column;
            slots[slot as usize] = ids.len() as i64;
            places.push(slot);
            ids.push(i64::from(prompt.ids[(known + column) as usize]));
            positions.push(known + column);
        }
        last.push(ids.len() as i64 - 1);
    }
    let count = ids.len() as i64;
    let padded = count < rows * width;
    let on_device = |values: &[i64]| Tensor::from_slice(values).f_to_device(device);
    let (slots, places, last_index) = (on_device(&slots)?, on_device(&places)?, on_device(&last)?);

    let mut x = decoder.embed(&on_device(&ids)?.f_unsqueeze(0)?)?; // [1, N, d]
    let dtype = x.kind();
    let rotation = decoder.rotation_at(&on_device(&positions)?)?.f_transpose(0, 1)?; // [1, N, 1, hd/2]
    let size = [shape.layers, 2, rows, shape.kv_heads, used + budget.min(MORE), head];
    let cache = Tensor::f_zeros(size, (dtype, device))?;
    for (row, pieces) in known.iter().enumerate() {
        let of_row = cache.f_select(2, row as i64)?;
        let mut at = 0;
        for (Piece(values), start, count) in pieces {
            of_row.f_narrow(3, at, *count)?.f_copy_(&values.f_narrow(3, *start, *count)?)?;
            at += count;
        }
    }
    let hidden = -f32::INFINITY;
    let mut mask = vec![0f32; (rows * all) as usize];
    for (line, (known, new)) in mask.chunks_mut(all as usize).zip(known_lens.iter().zip(&new)) {
        line[*known as usize..from as usize].fill(hidden);
        line[(from + new) as usize..used as usize].fill(hidden);
    }
    // Without prefixes the causal mask is enough: padding follows all tokens that are read.
    let causal = (from > 0).then(|| -> Result<Tensor, TchError> {
        let mut causal = vec![hidden; (rows * width * used) as usize];
        for (row, known) in known_lens.iter().enumerate() {
            for column in 0..width {
                let start = (row as i64 * width + column) * used;
                causal[start as usize..(start + known) as usize].fill(0.0);
                causal[(start + from) as usize..=(start + from + column) as usize].fill(0.0);
            }
        }
        Tensor::from_slice(&causal).f_view([rows, 1, width, used])?.f_to_device(device)?.f_to_kind(dtype)
    });
    let causal = causal.transpose()?;
    let mask = Tensor::from_slice(&mask).f_view([rows, 1, 1, all])?.f_to_device(device)?.f_to_kind(dtype)?;
    let lengths = prompts.iter().map(|prompt| prompt.ids.len() as i64).collect();
    let open = vec![true; prompts.len()];
    let state = State { cache, rows: (0..prompts.len()).collect(), open, lengths, columns: used, mask };

    let pad = |packed: &Tensor| {
        let heads = packed.size()[1];
        let packed = packed.f_transpose(1, 2)?.f_reshape([count, heads * head])?;
        let batch = if padded { packed.f_index_select(0, &slots)? } else { packed };
        batch.f_view([rows, width, heads, head])?.f_transpose(1, 2)
    };
    for (index, block) in decoder.blocks.iter().enumerate() {
        let (q, k, v) = decoder.project(block, &x, &rotation)?;
        let (q, k, v) = (pad(&q)?, pad(&k)?, pad(&v)?);
        let (keys, values) = state.layer(index)?;
        keys.f_narrow(2, from, width)?.f_copy_(&k)?;
        values.f_narrow(2, from, width)?.f_copy_(&v)?;
        let grouped = shape.heads != shape.kv_heads;
        let attended = match &causal {
            None => {
                Tensor::f_scaled_dot_product_attention(&q, &k, &v, None::<Tensor>, 0.0, true, None, grouped)
            }
            Some(causal) => Tensor::f_scaled_dot_product_attention(
                &q,
                &keys.f_narrow(2, 0, used)?,
                &values.f_narrow(2, 0, used)?,
                Some(causal),
                0.0,
                false,
                None,
                grouped,
            ),
        }?;
        let attended = decoder.join(&attended)?.f_view([rows * width, -1])?;
        if index + 1 == decoder.blocks.len() {
            // Nothing after the last attention mixes positions, and only the last position is needed.
            let ends = places.f_index_select(0, &last_index)?;
            let attended = attended.f_index_select(0, &ends)?.f_unsqueeze(0)?;
            x = decoder.transform(block, &x.f_index_select(1, &last_index)?, &attended)?;
        } else {
            let attended = if padded { attended.f_index_select(0, &places)? } else { attended };
            x = decoder.transform(block, &x, &attended.f_unsqueeze(0)?)?;
        }
    }
    let logits = decoder.logits(&crate::decoder::normalise(&x.f_squeeze_dim(0)?, shape.norm_eps)?)?;
    Ok((state, Regions { known: known_lens, new, from, width }, logits))
}

fn step(decoder: &Decoder, state: &mut State, tokens: &[i64], device: Device) -> Result<Tensor, TchError> {
    let shape = decoder.config().shape.clone();
    let (rows, head) = (tokens.len() as i64, decoder.config().head_dim());
    let ids = Tensor::from_slice(tokens).f_view([rows, 1])?.f_to_device(device)?;
    let positions = Tensor::from_slice(&state.lengths).f_to_device(device)?;
    let rotation = decoder.rotation_at(&positions)?;
    state.reserve()?;
    let columns = state.columns + 1;
    let mask = state.mask.f_narrow(3, 0, columns)?;
    let mut x = decoder.embed(&ids)?;
    for (index, block) in decoder.blocks.iter().enumerate() {
        let (q, k, v) = decoder.project(block, &x, &rotation)?;
        let (keys, values) = state.layer(index)?;
        keys.f_narrow(2, state.columns, 1)?.f_copy_(&k)?;
        values.f_narrow(2, state.columns, 1)?.f_copy_(&v)?;
        // The queries of a group belong to one token; as rows of one product they read the keys once.
        let q = q.f_reshape([rows, shape.kv_heads, shape.heads / shape.kv_heads, head])?;
        let attended = Tensor::f_scaled_dot_product_attention(
            &q,
            &keys.f_narrow(2, 0, columns)?,
            &values.f_narrow(2, 0, columns)?,
            Some(&mask),
            0.0,
            false,
            None,
            false,
        )?;
        x = decoder.transform(block, &x, &attended.f_reshape([rows, 1, shape.heads * head])?)?;
    }
    state.columns = columns;
    for (length, open) in state.lengths.iter_mut().zip(&state.open) {
        *length += i64::from(*open);
    }
    decoder.logits(&crate::decoder::normalise(&x.f_squeeze_dim(1)?, shape.norm_eps)?)
}

/// Selects the next token of every open row and records it with its log-probability; returns `pad` for the other rows.
fn choose(
    logits: &Tensor,
    state: &State,
    prompts: &mut [Prompt],
    replies: &mut [Reply],
    pad: u32,
) -> Result<Vec<i64>, TchError> {
    let logprobs = logits.f_log_softmax(-1, Kind::Float)?;
    let (best, token) = logprobs.f_max_dim(-1, false)?;
    let best: Vec<f32> = Vec::try_from(best.f_to_device(Device::Cpu)?)?;
    let token: Vec<i64> = Vec::try_from(token.f_to_device(Device::Cpu)?)?;
    let mut chosen = Vec::with_capacity(state.rows.len());
    for (position, (&row, &open)) in state.rows.iter().zip(&state.open).enumerate() {
        if !open {
            chosen.push(i64::from(pad));
            continue;
        }
        let Prompt { sampling, constraint, .. } = &mut prompts[row];
        let (id, logprob) = match (constraint, sampling) {
            (None, None) => (token[position] as u32, best[position]),
            (None, Some(sampling)) => {
                let row = logprobs.f_get(position as i64)?.f_to_device(Device::Cpu)?;
                let (id, logprob) = sampling.draw(&Vec::<f32>::try_from(row)?);
                (id as u32, logprob)
            }
            (Some(constraint), sampling) => {
                let allowed: Vec<i64> = constraint.allowed().iter().copied().map(i64::from).collect();
                let allowed = Tensor::from_slice(&allowed).f_to_device(logprobs.device())?;
                let row = logprobs.f_get(position as i64)?.f_index_select(0, &allowed)?;
                let values = Vec::<f32>::try_from(row.f_to_device(Device::Cpu)?)?;
                constraint.choose(&values, sampling)
            }
        };
        replies[row].ids.push(id);
        replies[row].logprobs.push(logprob);
        chosen.push(i64::from(id));
    }
    Ok(chosen)
}
