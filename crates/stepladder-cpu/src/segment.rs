//! Keys and values of consecutive tokens.

use std::sync::Arc;

/// What a token leaves in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    /// Width of a head.
    pub(crate) head: usize,
    /// Tokens of a block: the numbers of a register.
    pub(crate) lanes: usize,
}

impl KvShape {
    /// Numbers from one token's values to the next: whole registers.
    #[inline]
    pub(crate) fn padded(&self) -> usize {
        self.head.next_multiple_of(self.lanes)
    }

    /// Numbers of one head in a block.
    pub(crate) fn of_head(&self) -> usize {
        self.lanes * (self.head + self.padded())
    }

    /// Numbers of a block in one layer.
    fn block(&self) -> usize {
        self.heads * self.of_head()
    }
}

/// Keys and values of consecutive tokens: in each layer blocks `[heads]` of keys `[head, lanes]` and values
/// `[lanes, padded]`. Keys stand side by side, so that a register holds one number of each; of values one token's do.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    shape: KvShape,
    /// `[layers, room, block]`
    numbers: Vec<f32>,
    /// Blocks that there is room for in each layer.
    room: usize,
    tokens: usize,
}

impl Segment {
    /// None yet; the first that come find room for `room` tokens.
    pub(crate) fn new(shape: KvShape, room: usize) -> Self {
        Self { shape, numbers: Vec::new(), room: room.div_ceil(shape.lanes), tokens: 0 }
    }

    pub(crate) fn shape(&self) -> KvShape {
        self.shape
    }

    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    pub(crate) fn bytes(&self) -> usize {
        self.numbers.len() * size_of::<f32>()
    }

    /// Makes room for `more` tokens, to be written in each layer.
    pub(crate) fn grow(&mut self, more: usize) {
        let (used, needed) = (self.tokens.div_ceil(self.shape.lanes), self.tokens + more);
        self.tokens = needed;
        let needed = needed.div_ceil(self.shape.lanes);
        if needed <= self.room && !self.numbers.is_empty() {
            return;
        }
        let before = self.room;
        self.room = if used == 0 { before.max(needed) } else { needed + before / 2 };
        let block = self.shape.block();
        let numbers = vec![0.0; self.shape.layers * self.room * block];
        let old = std::mem::replace(&mut self.numbers, numbers);
        if used > 0 {
            let layers =
                self.numbers.chunks_exact_mut(self.room * block).zip(old.chunks_exact(before * block));
            layers.for_each(|(new, old)| new[..used * block].copy_from_slice(&old[..used * block]));
        }
    }

    /// Writes one token: keys and values are `[heads, head]` each.
    pub(crate) fn write(&mut self, layer: usize, token: usize, keys: &[f32], values: &[f32]) {
        let KvShape { head, lanes, .. } = self.shape;
        let (padded, place) = (self.shape.padded(), token % lanes);
        let size = self.shape.block();
        let block = &mut self.numbers[(layer * self.room + token / lanes) * size..][..size];
        let of_heads = block.chunks_exact_mut(self.shape.of_head());
        for ((out, keys), values) in of_heads.zip(keys.chunks_exact(head)).zip(values.chunks_exact(head)) {
            let (out_keys, out_values) = out.split_at_mut(lanes * head);
            for (out, &key) in out_keys.chunks_exact_mut(lanes).zip(keys) {
                out[place] = key;
            }
            out_values[place * padded..][..head].copy_from_slice(values);
        }
    }

    /// Keys `[head, lanes]` and values `[lanes, padded]` of one head in one block.
    #[inline]
    pub(crate) fn block(&self, layer: usize, head: usize, block: usize) -> (&[f32], &[f32]) {
        let first = (layer * self.room + block) * self.shape.block() + head * self.shape.of_head();
        self.numbers[first..first + self.shape.of_head()].split_at(self.shape.lanes * self.shape.head)
    }
}

/// Where some consecutive tokens of a row were computed.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) source: Source,
    /// First of them in the segment.
    pub(crate) start: usize,
    pub(crate) count: usize,
}

/// A segment that a row reads.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Complete.
    Kept(Arc<Segment>),
    /// The one that another row of the same call fills, by its place there.
    Beside(usize),
}

/// The first `count` tokens of these.
pub(crate) fn beginning(spans: &[Span], count: usize) -> Vec<Span> {
    let mut left = count;
    let mut found = Vec::new();
    for span in spans {
        if left == 0 {
            break;
        }
        let count = span.count.min(left);
        left -= count;
        found.push(Span { count, ..span.clone() });
    }
    found
}
