//! Keys and values of consecutive tokens.

use std::sync::Arc;

/// Dimensions of cached keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    /// Width of a head.
    pub(crate) head: usize,
    /// Number of tokens per block: the lanes of a register.
    pub(crate) lanes: usize,
}

impl KvShape {
    /// Returns the stride of a token's values: whole registers.
    #[inline]
    pub(crate) fn padded(&self) -> usize {
        self.head.next_multiple_of(self.lanes)
    }

    /// Returns the number of elements of one head in a block.
    pub(crate) fn of_head(&self) -> usize {
        self.lanes * (self.head + self.padded())
    }

    /// Returns the number of elements of a block in one layer.
    fn block(&self) -> usize {
        self.heads * self.of_head()
    }
}

/// Keys and values of consecutive tokens: in each layer blocks `[heads]` of keys `[head, lanes]` and values
/// `[lanes, padded]`. A register holds one element of several tokens' keys, but several elements of one token's values.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    shape: KvShape,
    /// `[layers, capacity, block]`
    elements: Vec<f32>,
    /// Capacity of each layer in blocks.
    capacity: usize,
    tokens: usize,
}

impl Segment {
    /// Creates an empty segment with an initial capacity of at least `capacity` tokens.
    pub(crate) fn new(shape: KvShape, capacity: usize) -> Self {
        Self { shape, elements: Vec::new(), capacity: capacity.div_ceil(shape.lanes), tokens: 0 }
    }

    pub(crate) fn shape(&self) -> KvShape {
        self.shape
    }

    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    pub(crate) fn bytes(&self) -> usize {
        self.elements.len() * size_of::<f32>()
    }

    /// Adds `more` tokens, to be written in each layer.
    pub(crate) fn grow(&mut self, more: usize) {
        let (used, needed) = (self.tokens.div_ceil(self.shape.lanes), self.tokens + more);
        self.tokens = needed;
        let needed = needed.div_ceil(self.shape.lanes);
        if needed <= self.capacity && !self.elements.is_empty() {
            return;
        }
        let before = self.capacity;
        self.capacity = if used == 0 { before.max(needed) } else { needed + before / 2 };
        let block = self.shape.block();
        let elements = vec![0.0; self.shape.layers * self.capacity * block];
        let old = std::mem::replace(&mut self.elements, elements);
        if used > 0 {
            let layers =
                self.elements.chunks_exact_mut(self.capacity * block).zip(old.chunks_exact(before * block));
            layers.for_each(|(new, old)| new[..used * block].copy_from_slice(&old[..used * block]));
        }
    }

    /// Writes one token; keys and values are `[heads, head]` each.
    pub(crate) fn write(&mut self, layer: usize, token: usize, keys: &[f32], values: &[f32]) {
        let KvShape { head, lanes, .. } = self.shape;
        let (padded, place) = (self.shape.padded(), token % lanes);
        let size = self.shape.block();
        let block = &mut self.elements[(layer * self.capacity + token / lanes) * size..][..size];
        let of_heads = block.chunks_exact_mut(self.shape.of_head());
        for ((out, keys), values) in of_heads.zip(keys.chunks_exact(head)).zip(values.chunks_exact(head)) {
            let (out_keys, out_values) = out.split_at_mut(lanes * head);
            for (out, &key) in out_keys.chunks_exact_mut(lanes).zip(keys) {
                out[place] = key;
            }
            out_values[place * padded..][..head].copy_from_slice(values);
        }
    }

    /// Returns the keys `[head, lanes]` and values `[lanes, padded]` of one head in one block.
    #[inline]
    pub(crate) fn block(&self, layer: usize, head: usize, block: usize) -> (&[f32], &[f32]) {
        let first = (layer * self.capacity + block) * self.shape.block() + head * self.shape.of_head();
        self.elements[first..first + self.shape.of_head()].split_at(self.shape.lanes * self.shape.head)
    }
}

/// Consecutive tokens of a row in a segment.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) source: Source,
    /// Index of the first token in the segment.
    pub(crate) start: usize,
    pub(crate) count: usize,
}

/// A segment that a row reads.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A complete segment.
    Kept(Arc<Segment>),
    /// The segment that another row of the same call fills, by the index of the row.
    Row(usize),
}

/// Returns the first `count` tokens of these spans.
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
