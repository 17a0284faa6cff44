//! Batch of replies that one worker writes, with its KV cache. Prompts join at any time; a reply leaves when it ends. A reply
//! does not depend on the other rows.
//!
//! A pass computes the last token of every open row and the new tokens of the prompts that join, packed into one sequence
//! without padding; a token that several of these prompts share is computed once. Only attention works on rows: those that
//! have one new token together, those that join in groups of similar length. Each row has a slot of the cache, in which its
//! tokens are at their own positions; a mask hides the rest. The last row takes the slot of one that leaves.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stepladder_cpu::prefixes::{Found, Stored};
use stepladder_rollout::engine::{Prompt, Reply};
use tch::{Device, TchError, Tensor};

use crate::buffers::{Buffers, Use};
use crate::decoder::Decoder;

/// Keys and values of consecutive tokens: `[layers, 2, tokens, Hkv, hd]`.
#[derive(Debug)]
pub(crate) struct Piece(pub(crate) Tensor);

impl Stored for Piece {
    /// Copies the handle, not the memory: tensors can be sent to other threads, references to them cannot.
    fn handle(&self) -> Self {
        Self(self.0.shallow_clone())
    }

    /// In tokens.
    fn size(&self) -> usize {
        self.0.size()[2] as usize
    }
}

/// Cached prefix of a prompt: pieces in order, each with its start and number of tokens.
pub(crate) type Known = Found<Piece>;

/// Returns the number of tokens in a cached prefix.
fn known_tokens(known: &Known) -> usize {
    known.iter().map(|(_, _, count)| *count as usize).sum()
}

/// Positions that a row gets beyond its tokens when the cache grows.
pub(crate) const MORE: usize = 32;

/// A reply that is written.
#[derive(Debug)]
pub(crate) struct Row {
    /// Identifier of the request; `None` for a prompt without a reply, whose keys and values are needed.
    pub(crate) id: Option<u64>,
    pub(crate) prompt: Prompt,
    pub(crate) reply: Reply,
    /// Ids that end the reply.
    pub(crate) end: Arc<[u32]>,
    /// Whether an end token or a stop string has ended the reply.
    pub(crate) ended: bool,
}

impl Row {
    /// Creates the row of a prompt, without a reply yet.
    pub(crate) fn new(id: Option<u64>, prompt: Prompt, end: Arc<[u32]>) -> Self {
        Self { id, prompt, reply: Reply::default(), end, ended: false }
    }

    /// Returns the number of tokens with keys and values: all but the last token of a reply.
    fn len(&self) -> usize {
        self.prompt.ids.len() + self.reply.ids.len().saturating_sub(1)
    }

    /// Returns the number of positions that the row needs in the next pass.
    fn needed(&self) -> usize {
        self.len() + usize::from(!self.reply.ids.is_empty())
    }

    /// Returns the number of positions that the row needs soon.
    fn positions(&self) -> usize {
        self.len() + 1 + (self.prompt.budget - self.reply.ids.len()).min(MORE)
    }
}

/// A prompt that joins a batch, with its cached prefix.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) row: Row,
    pub(crate) known: Known,
}

impl Join {
    /// Returns the number of tokens to compute, shared ones included.
    pub(crate) fn new_tokens(&self) -> usize {
        self.row.prompt.ids.len() - known_tokens(&self.known)
    }
}

/// Results of one pass.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Token sequences, each with the number of tokens before the piece, and the keys and values of the tokens after those.
    pub(crate) pieces: Vec<(Vec<u32>, usize, Piece)>,
    /// Replies that ended.
    pub(crate) done: Vec<(u64, Reply)>,
}

/// Rows of one worker.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The row of each slot.
    rows: Vec<Row>,
    /// Per layer `[2, slots, positions, Hkv, hd]`; empty while there are no rows.
    layers: Vec<Tensor>,
    slots: usize,
    positions: usize,
    /// Slots with values; the memory of the others is not touched, so that it takes no pages.
    filled: usize,
    /// Whether passes return keys and values.
    keep: bool,
    device: Device,
    buffers: Buffers,
    /// Tokens computed so far.
    computed: usize,
}

/// Tokens of one pass.
struct Pack {
    /// Rows that have one new token: those that were open.
    open: usize,
    /// Token ids and positions, `[N]` each: of the open rows, then of the joining prompts.
    ids: Tensor,
    positions: Tensor,
    /// Where keys and values go, as slot · positions + position, and the token that they are of; no `sources` where all tokens
    /// are written in order.
    targets: Tensor,
    sources: Option<Tensor>,
    /// Longest open row, and the additive mask `[open, 1, 1, columns]`.
    columns: i64,
    mask: Option<Tensor>,
    groups: Vec<Group>,
    /// The token of each row whose output is needed.
    last: Tensor,
    /// Of each joining prompt, the number of tokens that were known or that a prompt before it has.
    owned: Vec<usize>,
}

/// Joining prompts whose attention is computed together.
struct Group {
    /// Slot of the first.
    slot: i64,
    rows: i64,
    /// Largest number of new tokens.
    width: i64,
    /// Largest number of tokens.
    columns: i64,
    /// Token of each place of the padded group `[rows · width]`.
    tokens: Tensor,
    /// Place of each token that no row before has, in the order of the tokens of the pass.
    places: Tensor,
    /// Place of the last token of each row.
    last: Tensor,
    /// Additive mask `[rows, 1, width, columns]`.
    mask: Tensor,
}

/// Generates a reply for every prompt, in order, in one batch.
///
/// Each id in `end` ends a reply. Every prompt plus its budget must fit the model's context window.
///
/// # Errors
/// From libtorch: a prompt that does not fit, ids outside the vocabulary, out of memory.
pub fn generate(
    decoder: &Decoder,
    prompts: &[Prompt],
    end: &[u32],
    device: Device,
) -> Result<Vec<Reply>, TchError> {
    let mut batch = Batch::new(device, false);
    let end: Arc<[u32]> = end.into();
    let join = |(id, prompt): (u64, &Prompt)| Join {
        row: Row::new(Some(id), prompt.clone(), end.clone()),
        known: Known::new(),
    };
    let mut joins: Vec<Join> = (0..).zip(prompts).map(join).collect();
    let mut replies = vec![Reply::default(); prompts.len()];
    while !(joins.is_empty() && batch.rows().is_empty()) {
        for (id, reply) in batch.pass(decoder, std::mem::take(&mut joins), (0, 0))?.done {
            replies[id as usize] = reply;
        }
    }
    Ok(replies)
}

impl Batch {
    /// Creates a batch without rows; `keep` returns keys and values for a cache of prefixes.
    pub(crate) fn new(device: Device, keep: bool) -> Self {
        let buffers = Buffers::default();
        let (rows, layers) = (Vec::new(), Vec::new());
        Self { rows, layers, slots: 0, positions: 0, filled: 0, keep, device, buffers, computed: 0 }
    }

    /// Returns the open rows.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the number of tokens that were computed.
    #[cfg(test)]
    pub(crate) fn computed(&self) -> usize {
        self.computed
    }

    /// Removes a reply before its end, if it is in this batch.
    ///
    /// # Errors
    /// From libtorch.
    pub(crate) fn cancel(&mut self, id: u64) -> Result<(), TchError> {
        match self.rows.iter().position(|row| row.id == Some(id)) {
            Some(slot) => tch::no_grad(|| self.remove(slot)).map(drop),
            None => Ok(()),
        }
    }

    /// Drops all rows.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.layers.clear();
        self.buffers = Buffers::default();
        (self.slots, self.positions, self.filled) = (0, 0, 0);
    }

    /// Computes the prompts that join and one token of every reply. If the cache has to grow, it grows to at least this number of
    /// rows and positions.
    ///
    /// # Errors
    /// From libtorch: a prompt that does not fit, ids outside the vocabulary, out of memory.
    pub(crate) fn pass(
        &mut self,
        decoder: &Decoder,
        mut joins: Vec<Join>,
        expected: (usize, usize),
    ) -> Result<Passed, TchError> {
        tch::no_grad(|| {
            joins.sort_by_key(Join::new_tokens);
            let open = self.rows.len();
            if open + joins.len() == 0 {
                return Ok(Passed::default());
            }
            self.reserve(decoder, &joins, expected)?;
            let pack = self.pack(&joins)?;
            for Join { row, known } in joins {
                self.load(self.rows.len(), &known)?;
                self.rows.push(row);
            }
            self.computed += pack.ids.size()[0] as usize;
            let logprobs = self.forward(decoder, &pack)?;
            let mut passed = Passed::default();
            for (slot, &owned) in (open..).zip(&pack.owned) {
                let Prompt { ids, .. } = &self.rows[slot].prompt;
                if self.keep && owned < ids.len() {
                    passed.pieces.push((ids.clone(), owned, self.piece(slot, owned, ids.len())?));
                }
            }
            self.choose(&logprobs)?;
            self.finish(&mut passed)?;
            Ok(passed)
        })
    }

    /// Makes sure that the cache holds the rows with those that join, and the positions of the next pass.
    fn reserve(
        &mut self,
        decoder: &Decoder,
        joins: &[Join],
        expected: (usize, usize),
    ) -> Result<(), TchError> {
        let open = self.rows.len();
        let rows = || self.rows.iter().chain(joins.iter().map(|join| &join.row));
        let count = open + joins.len();
        if count > self.slots || rows().any(|row| row.needed() > self.positions) {
            let context = decoder.config().shape.max_positions as usize;
            let columns = rows().map(Row::positions).max().unwrap_or(0);
            let slots = if count > self.slots { count.max(expected.0) } else { self.slots };
            let positions = columns.max(expected.1).max(self.positions).min(context.max(columns));
            let (heads, head) = (decoder.config().shape.kv_heads, decoder.config().head_dim());
            let size = [2, slots as i64, positions as i64, heads, head];
            let used = self.rows.iter().map(Row::len).max().unwrap_or(0);
            for layer in 0..decoder.blocks.len() {
                let new = Tensor::f_empty(size, (decoder.dtype(), self.device))?;
                match self.layers.get_mut(layer) {
                    None => self.layers.push(new),
                    Some(old) => {
                        let rows = |all: &Tensor| all.f_narrow(1, 0, open as i64);
                        let _ = rows(&new)?.f_zero_()?;
                        let part = |all: &Tensor| rows(all)?.f_narrow(2, 0, used as i64);
                        part(&new)?.f_copy_(&part(old)?)?;
                        *old = new;
                    }
                }
            }
            (self.slots, self.positions, self.filled) = (slots, positions, open);
        }
        // Zeros: attention multiplies what its mask hides with 0.
        for layer in self.layers.iter().filter(|_| count > self.filled) {
            let new = (count - self.filled) as i64;
            let _ = layer.f_narrow(1, self.filled as i64, new)?.f_zero_()?;
        }
        self.filled = self.filled.max(count);
        Ok(())
    }

    /// Copies a cached prefix into a slot.
    fn load(&mut self, slot: usize, known: &Known) -> Result<(), TchError> {
        for (layer, all) in (0..).zip(&self.layers) {
            let (row, mut at) = (all.f_select(1, slot as i64)?, 0);
            for (Piece(values), start, count) in known {
                let values = values.f_select(0, layer)?.f_narrow(1, *start, *count)?;
                row.f_narrow(1, at, *count)?.f_copy_(&values)?;
                at += count;
            }
        }
        Ok(())
    }

    /// Copies keys and values of the tokens `from..to` of a row.
    fn piece(&self, slot: usize, from: usize, to: usize) -> Result<Piece, TchError> {
        let part = |layer: &Tensor| {
            layer.f_select(1, slot as i64)?.f_narrow(1, from as i64, to as i64 - from as i64)
        };
        let parts = self.layers.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        Ok(Piece(Tensor::f_stack(&parts, 0)?))
    }

    /// Lays out the tokens of a pass.
    fn pack(&self, joins: &[Join]) -> Result<Pack, TchError> {
        let on_device = |values: &[i64]| Tensor::from_slice(values).f_to_device(self.device);
        let additive = |mask: &[f32], size: &[i64]| {
            let mask = Tensor::from_slice(mask).f_view(size)?.f_to_device(self.device)?;
            mask.f_to_kind(self.layers[0].kind())
        };
        let (open, positions_of) = (self.rows.len(), self.positions);
        let target = |slot: usize, position: usize| (slot * positions_of + position) as i64;
        let (mut ids, mut positions, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (slot, row) in self.rows.iter().enumerate() {
            ids.extend(row.reply.ids.last().map(|&id| i64::from(id)));
            positions.push(row.len() as i64);
            targets.push(target(slot, row.len()));
        }
        let columns = self.rows.iter().map(|row| row.len() + 1).max().unwrap_or(0);
        let mut mask = vec![-f32::INFINITY; open * columns];
        for (line, row) in mask.chunks_mut(columns.max(1)).zip(&self.rows) {
            line[..=row.len()].fill(0.0);
        }
        let mut sources: Vec<i64> = (0..open as i64).collect();
        let mut last = sources.clone();
        let (mut groups, mut owned) = (Vec::new(), Vec::new());
        // Tokens of joining prompts by the token before them, or by the known prefix.
        let mut roots: FxHashMap<&[u32], i64> = FxHashMap::default();
        let mut next: FxHashMap<(i64, u32), i64> = FxHashMap::default();
        let mut slot = open;
        for members in grouped(joins) {
            let width = members.iter().map(Join::new_tokens).max().unwrap_or(0);
            let columns = members.iter().map(|join| join.row.prompt.ids.len()).max().unwrap_or(0);
            let mut tokens = vec![0i64; members.len() * width];
            let (mut places, mut last_places) = (Vec::new(), Vec::new());
            let mut mask = vec![-f32::INFINITY; members.len() * width * columns];
            for (member, Join { row, known }) in members.iter().enumerate() {
                let (all, known) = (&row.prompt.ids, known_tokens(known));
                let root = -1 - roots.len() as i64;
                let mut token = *roots.entry(&all[..known]).or_insert(root);
                let mut of_others = all.len();
                for (column, &id) in all.iter().enumerate().skip(known) {
                    let new = ids.len() as i64;
                    token = *next.entry((token, id)).or_insert(new);
                    let place = member * width + column - known;
                    if token == new {
                        ids.push(i64::from(id));
                        positions.push(column as i64);
                        places.push(place as i64);
                        of_others = of_others.min(column);
                    }
                    tokens[place] = token;
                    targets.push(target(slot + member, column));
                    sources.push(token);
                }
                for column in 0..width {
                    let line = (member * width + column) * columns;
                    mask[line..line + (known + column + 1).min(all.len())].fill(0.0);
                }
                last.push(token);
                last_places.push((member * width + all.len() - 1 - known) as i64);
                owned.push(of_others);
            }
            let size = [members.len() as i64, 1, width as i64, columns as i64];
            groups.push(Group {
                slot: slot as i64,
                rows: size[0],
                width: size[2],
                columns: size[3],
                tokens: on_device(&tokens)?,
                places: on_device(&places)?,
                last: on_device(&last_places)?,
                mask: additive(&mask, &size)?,
            });
            slot += members.len();
        }
        let in_order = sources.len() == ids.len();
        let size = [open as i64, 1, 1, columns as i64];
        Ok(Pack {
            open,
            ids: on_device(&ids)?,
            positions: on_device(&positions)?,
            targets: on_device(&targets)?,
            sources: if in_order { None } else { Some(on_device(&sources)?) },
            columns: columns as i64,
            mask: if open > 0 { Some(additive(&mask, &size)?) } else { None },
            groups,
            last: on_device(&last)?,
            owned,
        })
    }

    /// Computes the log-probabilities after the last token of each row: `[rows, vocab]`.
    fn forward(&mut self, decoder: &Decoder, pack: &Pack) -> Result<Tensor, TchError> {
        let key_width = decoder.config().shape.kv_heads * decoder.config().head_dim();
        let options = (decoder.dtype(), self.device);
        let buffers = &mut self.buffers;
        let mut x = decoder.embed(&pack.ids)?; // [N, d]
        let rotation = decoder.rotation_at(&pack.positions)?.f_squeeze_dim(1)?; // [N, 1, hd/2]
        for (index, (block, layer)) in decoder.blocks.iter().zip(&self.layers).enumerate() {
            let [q, k, v] = decoder.project_in(block, &x, &rotation, buffers)?;
            for (part, new) in (0..).zip([k, v]) {
                let mut new = new.f_reshape([-1, key_width])?;
                if let Some(sources) = &pack.sources {
                    let ordered = buffers.take(Use::Sources, &[sources.size()[0], key_width], options)?;
                    new = new.f_index_select_out(&ordered, 0, sources)?;
                }
                let mut all = layer.f_select(0, part)?.f_view([-1, key_width])?;
                let _ = all.f_index_copy_(0, &pack.targets, &new)?;
            }
            // Nothing after the last attention mixes positions, and only the last position of a row is needed.
            let last = index + 1 == decoder.blocks.len();
            let attended = attend(decoder, layer, &q, pack, last, buffers)?;
            if last {
                x = x.f_index_select(0, &pack.last)?;
            }
            decoder.transform_in(block, &mut x, &attended, buffers)?;
        }
        decoder.next_logprobs(&x, buffers)
    }

    /// Selects the next token of every row that has a reply and records it with its log-probability.
    fn choose(&mut self, logprobs: &Tensor) -> Result<(), TchError> {
        let (best, token) = logprobs.f_max_dim(-1, false)?;
        let best: Vec<f32> = Vec::try_from(best.f_to_device(Device::Cpu)?)?;
        let token: Vec<i64> = Vec::try_from(token.f_to_device(Device::Cpu)?)?;
        for (slot, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| row.id.is_some()) {
            let Prompt { sampling, constraint, stop, .. } = &mut row.prompt;
            let (id, logprob) = match (constraint, sampling) {
                (None, None) => (token[slot] as u32, best[slot]),
                (None, Some(sampling)) => {
                    let row = logprobs.f_get(slot as i64)?.f_to_device(Device::Cpu)?;
                    let (id, logprob) = sampling.draw(&Vec::<f32>::try_from(row)?);
                    (id as u32, logprob)
                }
                (Some(constraint), sampling) => {
                    let allowed: Vec<i64> = constraint.allowed().iter().copied().map(i64::from).collect();
                    let allowed = Tensor::from_slice(&allowed).f_to_device(logprobs.device())?;
                    let row = logprobs.f_get(slot as i64)?.f_index_select(0, &allowed)?;
                    let values = Vec::<f32>::try_from(row.f_to_device(Device::Cpu)?)?;
                    constraint.choose(&values, sampling)
                }
            };
            row.ended = row.end.contains(&id) || stop.as_mut().is_some_and(|stop| stop.push(id));
            row.reply.ids.push(id);
            row.reply.logprobs.push(logprob);
        }
        Ok(())
    }

    /// Removes the rows whose reply has ended.
    fn finish(&mut self, passed: &mut Passed) -> Result<(), TchError> {
        for slot in (0..self.rows.len()).rev() {
            let Row { id, prompt, reply, ended, .. } = &self.rows[slot];
            if id.is_some() && !ended && reply.ids.len() < prompt.budget {
                continue;
            }
            let (from, to) = (prompt.ids.len(), self.rows[slot].len());
            if self.keep && from < to {
                let ids = [&prompt.ids[..], &reply.ids[..to - from]].concat();
                passed.pieces.push((ids, from, self.piece(slot, from, to)?));
            }
            let Row { id, mut reply, ended, .. } = self.remove(slot)?;
            reply.cut = !ended;
            passed.done.extend(id.map(|id| (id, reply)));
        }
        if self.rows.is_empty() {
            self.clear();
        }
        Ok(())
    }

    /// Removes a row; the last row takes its slot.
    fn remove(&mut self, slot: usize) -> Result<Row, TchError> {
        let last = self.rows.len() - 1;
        if slot < last {
            let tokens = self.rows[last].len() as i64;
            for layer in &self.layers {
                let part = |slot: usize| layer.f_select(1, slot as i64)?.f_narrow(1, 0, tokens);
                part(slot)?.f_copy_(&part(last)?)?;
            }
        }
        Ok(self.rows.swap_remove(slot))
    }
}

/// Divides joining prompts, sorted by their number of new tokens, into groups that are at least half full.
fn grouped(joins: &[Join]) -> Vec<&[Join]> {
    let mut groups = Vec::new();
    let (mut first, mut sum) = (0, 0);
    for (at, join) in joins.iter().enumerate() {
        let new = join.new_tokens();
        if at > first && (at - first + 1) * new > 2 * (sum + new) {
            groups.push(&joins[first..at]);
            (first, sum) = (at, 0);
        }
        sum += new;
    }
    if first < joins.len() {
        groups.push(&joins[first..]);
    }
    groups
}

/// Computes attention of the tokens of a pass, `[N, H hd]`, or of the last token of each row, `[rows, H hd]`; q: `[N, H, hd]`.
fn attend(
    decoder: &Decoder,
    layer: &Tensor,
    q: &Tensor,
    pack: &Pack,
    last: bool,
    buffers: &mut Buffers,
) -> Result<Tensor, TchError> {
    let (heads, kv_heads) = (decoder.config().shape.heads, decoder.config().shape.kv_heads);
    let (head, open) = (decoder.config().head_dim(), pack.open as i64);
    let options = (layer.kind(), layer.device());
    let read = |part: i64, slot: i64, rows: i64, columns: i64| {
        layer.f_select(0, part)?.f_narrow(0, slot, rows)?.f_narrow(1, 0, columns)?.f_transpose(1, 2)
    };
    let count = if last { pack.last.size()[0] } else { q.size()[0] };
    let all = buffers.take(Use::Attended, &[count, heads * head], options)?;
    if let Some(mask) = &pack.mask {
        let (keys, values) = (read(0, 0, open, pack.columns)?, read(1, 0, open, pack.columns)?);
        // The queries of a group of heads belong to one token; as rows of one product they read the keys once.
        let q = q.f_narrow(0, 0, open)?.f_reshape([open, kv_heads, heads / kv_heads, head])?;
        let attended =
            Tensor::f_scaled_dot_product_attention(&q, &keys, &values, Some(mask), 0.0, false, None, false)?;
        all.f_narrow(0, 0, open)?.f_copy_(&attended.f_reshape([open, heads * head])?)?;
    }
    let mut at = open;
    for Group { slot, rows, width, columns, tokens, places, last: last_places, mask } in &pack.groups {
        let (keys, values) = (read(0, *slot, *rows, *columns)?, read(1, *slot, *rows, *columns)?);
        let padded = buffers.take(Use::Queries, &[rows * width, heads, head], options)?;
        let q = q.f_index_select_out(&padded, 0, tokens)?;
        let q = q.f_view([*rows, *width, heads, head])?.f_transpose(1, 2)?;
        let grouped = heads != kv_heads;
        let attended = Tensor::f_scaled_dot_product_attention(
            &q,
            &keys,
            &values,
            Some(mask),
            0.0,
            false,
            None,
            grouped,
        )?;
        let attended = attended.f_transpose(1, 2)?.f_reshape([rows * width, heads * head])?;
        let needed = if last { last_places } else { places };
        let part = all.f_narrow(0, at, needed.size()[0])?;
        let _ = attended.f_index_select_out(&part, 0, needed)?;
        at += needed.size()[0];
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, Shape, tiny};
    use crate::{Frame, Weights};

    /// A reply longer than what the cache reserves moves it once per [`MORE`] tokens, not in every pass.
    #[test]
    fn the_cache_grows_in_steps() {
        let shape = Shape { max_positions: 4 * MORE as i64, ..tiny() };
        let config = ModelConfig::new(shape, 20, 0).expect("a model");
        let weights = Weights::init(&config, 1, Device::Cpu);
        let decoder = Frame::new(&weights, tch::Kind::Float).decoder(&weights.trained.buffer);
        let budget = 3 * MORE;
        let prompt = Prompt { ids: vec![1, 2, 3], budget, sampling: None, constraint: None, stop: None };
        let row = Row::new(Some(0), prompt, [].into());
        let mut batch = Batch::new(Device::Cpu, false);
        let mut joins = vec![Join { row, known: Known::new() }];
        let mut sizes = Vec::new();
        for _ in 0..budget {
            batch.pass(&decoder, std::mem::take(&mut joins), (0, 0)).unwrap();
            sizes.push(batch.positions);
        }
        assert!(batch.rows().is_empty());
        sizes.pop();
        sizes.dedup();
        assert_eq!(sizes.len(), 3, "{sizes:?}");
    }
}
