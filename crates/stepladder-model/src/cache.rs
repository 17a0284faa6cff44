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
use tch::{Device, Kind, TchError, Tensor};

use crate::decoder::{Decoder, normalise};

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
    /// Whether passes return keys and values.
    keep: bool,
    device: Device,
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
    /// Place of each token in the attended vectors of open rows and groups; none without joining prompts.
    places: Option<Tensor>,
    /// The token of each row whose output is needed, and its place.
    last: Tensor,
    last_places: Tensor,
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
        Self { rows: Vec::new(), layers: Vec::new(), slots: 0, positions: 0, keep, device, computed: 0 }
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
        (self.slots, self.positions) = (0, 0);
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
            let columns =
                self.rows.iter().chain(joins.iter().map(|join| &join.row)).map(Row::positions).max();
            let Some(columns) = columns else { return Ok(Passed::default()) };
            self.reserve(decoder, [open + joins.len(), columns], expected)?;
            let pack = self.pack(&joins)?;
            for Join { row, known } in joins {
                self.load(self.rows.len(), &known)?;
                self.rows.push(row);
            }
            self.computed += pack.ids.size()[0] as usize;
            let logits = self.forward(decoder, &pack)?;
            let mut passed = Passed::default();
            for (slot, &owned) in (open..).zip(&pack.owned) {
                let Prompt { ids, .. } = &self.rows[slot].prompt;
                if self.keep && owned < ids.len() {
                    passed.pieces.push((ids.clone(), owned, self.piece(slot, owned, ids.len())?));
                }
            }
            self.choose(&logits)?;
            self.finish(&mut passed)?;
            Ok(passed)
        })
    }

    /// Makes sure that the cache holds this number of rows and positions.
    fn reserve(
        &mut self,
        decoder: &Decoder,
        [rows, columns]: [usize; 2],
        expected: (usize, usize),
    ) -> Result<(), TchError> {
        if rows <= self.slots && columns <= self.positions {
            return Ok(());
        }
        let context = decoder.config().shape.max_positions as usize;
        let slots = if rows > self.slots { rows.max(expected.0) } else { self.slots };
        let positions = columns.max(expected.1).max(self.positions).min(context.max(columns));
        let (heads, head) = (decoder.config().shape.kv_heads, decoder.config().head_dim());
        let size = [2, slots as i64, positions as i64, heads, head];
        let used = [self.rows.len(), self.rows.iter().map(Row::len).max().unwrap_or(0)];
        for layer in 0..decoder.blocks.len() {
            // Zeros: attention multiplies what its mask hides with 0.
            let new = Tensor::f_zeros(size, (decoder.dtype(), self.device))?;
            match self.layers.get_mut(layer) {
                None => self.layers.push(new),
                Some(old) => {
                    let part =
                        |all: &Tensor| all.f_narrow(1, 0, used[0] as i64)?.f_narrow(2, 0, used[1] as i64);
                    part(&new)?.f_copy_(&part(old)?)?;
                    *old = new;
                }
            }
        }
        (self.slots, self.positions) = (slots, positions);
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
        let mut places = sources.clone();
        let (mut last, mut last_places) = (sources.clone(), sources.clone());
        let (mut groups, mut owned) = (Vec::new(), Vec::new());
        // Tokens of joining prompts by the token before them, or by the known prefix.
        let mut roots: FxHashMap<&[u32], i64> = FxHashMap::default();
        let mut next: FxHashMap<(i64, u32), i64> = FxHashMap::default();
        let (mut slot, mut base) = (open, open);
        for members in grouped(joins) {
            let width = members.iter().map(Join::new_tokens).max().unwrap_or(0);
            let columns = members.iter().map(|join| join.row.prompt.ids.len()).max().unwrap_or(0);
            let mut tokens = vec![0i64; members.len() * width];
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
                        places.push((base + place) as i64);
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
                last_places.push(places[token as usize]);
                owned.push(of_others);
            }
            let size = [members.len() as i64, 1, width as i64, columns as i64];
            groups.push(Group {
                slot: slot as i64,
                rows: size[0],
                width: size[2],
                columns: size[3],
                tokens: on_device(&tokens)?,
                mask: additive(&mask, &size)?,
            });
            slot += members.len();
            base += members.len() * width;
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
            places: if joins.is_empty() { None } else { Some(on_device(&places)?) },
            last: on_device(&last)?,
            last_places: on_device(&last_places)?,
            owned,
        })
    }

    /// Computes the logits after the last token of each row: `[rows, vocab]`.
    fn forward(&self, decoder: &Decoder, pack: &Pack) -> Result<Tensor, TchError> {
        let shape = &decoder.config().shape;
        let key_width = shape.kv_heads * decoder.config().head_dim();
        let mut x = decoder.embed(&pack.ids.f_unsqueeze(0)?)?; // [1, N, d]
        let rotation = decoder.rotation_at(&pack.positions)?.f_transpose(0, 1)?; // [1, N, 1, hd/2]
        for (index, (block, layer)) in decoder.blocks.iter().zip(&self.layers).enumerate() {
            let (q, k, v) = decoder.project(block, &x, &rotation)?;
            for (part, new) in (0..).zip([&k, &v]) {
                let new = new.f_transpose(1, 2)?.f_reshape([-1, key_width])?;
                let new = match &pack.sources {
                    None => new,
                    Some(sources) => new.f_index_select(0, sources)?,
                };
                let mut all = layer.f_select(0, part)?.f_view([-1, key_width])?;
                let _ = all.f_index_copy_(0, &pack.targets, &new)?;
            }
            let q = q.f_transpose(1, 2)?.f_squeeze_dim(0)?;
            let attended = attend(decoder, layer, &q, pack)?;
            // Nothing after the last attention mixes positions, and only the last position of a row is needed.
            let last = index + 1 == decoder.blocks.len();
            let attended = match &pack.places {
                None => attended,
                Some(places) => attended.f_index_select(0, if last { &pack.last_places } else { places })?,
            };
            if last {
                x = x.f_index_select(1, &pack.last)?;
            }
            x = decoder.transform(block, &x, &attended.f_unsqueeze(0)?)?;
        }
        decoder.logits(&normalise(&x.f_squeeze_dim(0)?, shape.norm_eps)?)
    }

    /// Selects the next token of every row that has a reply and records it with its log-probability.
    fn choose(&mut self, logits: &Tensor) -> Result<(), TchError> {
        let logprobs = logits.f_log_softmax(-1, Kind::Float)?;
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

/// Computes attention of the open rows, then of every place of the groups: `[open + places, H hd]`.
fn attend(decoder: &Decoder, layer: &Tensor, q: &Tensor, pack: &Pack) -> Result<Tensor, TchError> {
    let (heads, kv_heads) = (decoder.config().shape.heads, decoder.config().shape.kv_heads);
    let (head, open) = (decoder.config().head_dim(), pack.open as i64);
    let read = |part: i64, slot: i64, rows: i64, columns: i64| {
        layer.f_select(0, part)?.f_narrow(0, slot, rows)?.f_narrow(1, 0, columns)?.f_transpose(1, 2)
    };
    let mut parts = Vec::with_capacity(1 + pack.groups.len());
    if let Some(mask) = &pack.mask {
        let (keys, values) = (read(0, 0, open, pack.columns)?, read(1, 0, open, pack.columns)?);
        // The queries of a group of heads belong to one token; as rows of one product they read the keys once.
        let q = q.f_narrow(0, 0, open)?.f_reshape([open, kv_heads, heads / kv_heads, head])?;
        let attended =
            Tensor::f_scaled_dot_product_attention(&q, &keys, &values, Some(mask), 0.0, false, None, false)?;
        parts.push(attended.f_reshape([open, heads * head])?);
    }
    for Group { slot, rows, width, columns, tokens, mask } in &pack.groups {
        let (keys, values) = (read(0, *slot, *rows, *columns)?, read(1, *slot, *rows, *columns)?);
        let q = q.f_index_select(0, tokens)?.f_view([*rows, *width, heads, head])?.f_transpose(1, 2)?;
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
        parts.push(attended.f_transpose(1, 2)?.f_reshape([rows * width, heads * head])?);
    }
    if parts.len() == 1 { Ok(parts.swap_remove(0)) } else { Tensor::f_cat(&parts, 0) }
}
