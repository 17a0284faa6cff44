//! Cache of prefixes: a radix tree in which every path from the root is a token sequence with known keys and values. Prompts of
//! an episode share a prefix (the room), the prompts of a flat episode extend each other, and each prefix is computed once
//! (docs/design.md D10). When the cache exceeds its limit, the sequences that were used least recently go first, from their ends.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

/// Keys and values of consecutive tokens.
pub trait Stored {
    /// Returns another handle to the same memory.
    fn handle(&self) -> Self;
    /// Returns its size, in the unit of the limit.
    fn size(&self) -> usize;
}

/// Consecutive tokens of a piece: its index, the first token, the number of tokens.
type Run = (usize, i64, i64);

/// Tokens between two branching points.
#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    /// At least one token.
    ids: Vec<u32>,
    /// Keys and values of `ids`, in order.
    runs: Vec<Run>,
    /// Nodes that continue this one, by their first token.
    next: FxHashMap<u32, usize>,
    /// Number of tokens before this node.
    depth: usize,
    /// Time of the last use. A path is used as a whole, so a node was used at least as late as those that continue it.
    used: u64,
}

/// Keys and values by token sequence.
#[derive(Debug)]
pub struct Prefixes<P> {
    nodes: Slab<Node>,
    /// Nodes at the beginning of sequences, by their first token.
    first: FxHashMap<u32, usize>,
    /// Pieces, each with the number of runs in it.
    pieces: Slab<(P, usize)>,
    /// All nodes, least recently used first; of those used at the same time, the deepest first.
    order: BTreeSet<(u64, Reverse<usize>, usize)>,
    time: u64,
    size: usize,
    limit: usize,
}

/// Prefix of a sequence: pieces, each with its first token and the number of consecutive tokens.
pub type Found<P> = Vec<(P, i64, i64)>;

impl<P: Stored> Prefixes<P> {
    /// Creates a cache with this limit on the total size of its pieces.
    pub fn new(limit: usize) -> Self {
        Self {
            nodes: Slab::default(),
            first: FxHashMap::default(),
            pieces: Slab::default(),
            order: BTreeSet::new(),
            time: 0,
            size: 0,
            limit,
        }
    }

    /// Returns the total size of the pieces, at most the limit except between [`Prefixes::insert`] and [`Prefixes::trim`].
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the longest known prefix of `ids`, without the last token, whose output is always needed. It counts as used.
    pub fn find(&mut self, ids: &[u32]) -> Found<P> {
        let mut found: Vec<Run> = Vec::new();
        let ids = &ids[..ids.len().saturating_sub(1)];
        self.time += 1;
        let (mut at, mut len) = (None, 0);
        while let Some(node) = self.child(at, &ids[len..]) {
            self.touch(node);
            let Node { ids: own, runs, .. } = self.nodes.get(node);
            let common = common(own, &ids[len..]);
            for run in clipped(runs, 0, common) {
                push(&mut found, run);
            }
            (at, len) = (Some(node), len + common);
            if common < own.len() {
                break;
            }
        }
        let handle = |(piece, start, count): Run| (self.pieces.get(piece).0.handle(), start, count);
        found.into_iter().map(handle).collect()
    }

    /// Adds a sequence whose first `known` tokens were found and whose others are in `pieces`, in order. Tokens that the cache
    /// has already are not added again; a sequence whose known tokens are no longer in the cache is not added.
    pub fn insert(&mut self, ids: &[u32], known: usize, pieces: impl IntoIterator<Item = (P, i64, i64)>) {
        self.time += 1;
        let (mut at, mut len) = (None, 0);
        while let Some(node) = self.child(at, &ids[len..]) {
            let common = common(&self.nodes.get(node).ids, &ids[len..]);
            let whole = common == self.nodes.get(node).ids.len();
            len += common;
            let node = if whole || len == ids.len() { node } else { self.split(node, common) };
            self.touch(node);
            at = Some(node);
            if !whole {
                break;
            }
        }
        if len < known || len == ids.len() {
            return;
        }
        let mut place = known;
        let mut runs: Vec<Run> = Vec::new();
        for (piece, start, count) in pieces {
            let skipped = len.saturating_sub(place).min(count as usize);
            place += count as usize;
            if skipped < count as usize {
                self.size += piece.size();
                let piece = self.pieces.add((piece, 1));
                runs.push((piece, start + skipped as i64, count - skipped as i64));
            }
        }
        let node = Node {
            parent: at,
            ids: ids[len..place].to_vec(),
            runs,
            next: FxHashMap::default(),
            depth: len,
            used: self.time,
        };
        let node = self.nodes.add(node);
        self.order.insert((self.time, Reverse(len), node));
        self.children(at).insert(ids[len], node);
    }

    /// Removes the sequences that were used least recently, from their ends, until the cache is within its limit.
    pub fn trim(&mut self) {
        while self.size > self.limit {
            let Some((_, _, node)) = self.order.pop_first() else { return };
            let Node { parent, ids, runs, .. } = self.nodes.remove(node);
            self.children(parent).remove(&ids[0]);
            for (piece, _, _) in runs {
                let (kept, uses) = self.pieces.get_mut(piece);
                *uses -= 1;
                if *uses == 0 {
                    self.size -= kept.size();
                    self.pieces.remove(piece);
                }
            }
        }
    }

    /// Returns the node after `at` (the root without one) that begins with the first of these ids.
    fn child(&self, at: Option<usize>, ids: &[u32]) -> Option<usize> {
        let children = at.map_or(&self.first, |node| &self.nodes.get(node).next);
        children.get(ids.first()?).copied()
    }

    fn children(&mut self, at: Option<usize>) -> &mut FxHashMap<u32, usize> {
        match at {
            Some(node) => &mut self.nodes.get_mut(node).next,
            None => &mut self.first,
        }
    }

    fn touch(&mut self, node: usize) {
        let time = self.time;
        let Node { used, depth, .. } = self.nodes.get_mut(node);
        let entry = (*used, Reverse(*depth), node);
        *used = time;
        self.order.remove(&entry);
        self.order.insert((time, entry.1, node));
    }

    /// Moves the first `count` tokens of a node, not all, into a new node before it; returns the new one.
    fn split(&mut self, node: usize, count: usize) -> usize {
        let Node { parent, ids, runs, depth, used, .. } = self.nodes.get_mut(node);
        let (parent, depth, used) = (*parent, *depth, *used);
        let rest = ids.split_off(count);
        let head = std::mem::replace(ids, rest);
        let tail = clipped(runs, count, ids.len());
        let runs = clipped(&std::mem::replace(runs, tail), 0, count);
        let (begin, next) = (head[0], FxHashMap::from_iter([(ids[0], node)]));
        // A piece on both sides of the border is now in two runs.
        let (last, first) =
            (runs.last().map(|run| run.0), self.nodes.get(node).runs.first().map(|run| run.0));
        if let Some(piece) = last.filter(|_| last == first) {
            self.pieces.get_mut(piece).1 += 1;
        }
        let new = self.nodes.add(Node { parent, ids: head, runs, next, depth, used });
        let node_depth = depth + count;
        let Node { parent: above, depth: below, .. } = self.nodes.get_mut(node);
        (*above, *below) = (Some(new), node_depth);
        self.order.remove(&(used, Reverse(depth), node));
        self.order.insert((used, Reverse(node_depth), node));
        self.order.insert((used, Reverse(depth), new));
        self.children(parent).insert(begin, new);
        new
    }
}

/// Number of tokens at the beginning of both.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns `count` tokens of these runs, after the first `skipped`.
fn clipped(runs: &[Run], skipped: usize, count: usize) -> Vec<Run> {
    let (mut skipped, mut left) = (skipped as i64, count as i64);
    let mut found = Vec::new();
    for &(piece, start, all) in runs {
        let before = skipped.min(all);
        let taken = (all - before).min(left);
        if taken > 0 {
            found.push((piece, start + before, taken));
        }
        (skipped, left) = (skipped - before, left - taken);
    }
    found
}

/// Adds a run, as part of the last one where it continues that.
fn push(runs: &mut Vec<Run>, (piece, start, count): Run) {
    match runs.last_mut() {
        Some((last, from, before)) if *last == piece && *from + *before == start => *before += count,
        _ => runs.push((piece, start, count)),
    }
}

/// Values by an index that is used again after a removal.
#[derive(Debug)]
struct Slab<T> {
    values: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    fn add(&mut self, value: T) -> usize {
        match self.free.pop() {
            Some(index) => {
                self.values[index] = Some(value);
                index
            }
            None => {
                self.values.push(Some(value));
                self.values.len() - 1
            }
        }
    }

    fn get(&self, index: usize) -> &T {
        self.values[index].as_ref().expect("an index is dropped with its value")
    }

    fn get_mut(&mut self, index: usize) -> &mut T {
        self.values[index].as_mut().expect("an index is dropped with its value")
    }

    fn remove(&mut self, index: usize) -> T {
        self.free.push(index);
        self.values[index].take().expect("an index is dropped with its value")
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use rand::RngExt;
    use stepladder_core::seed::stream;

    use super::*;

    /// A piece of tokens, each stored with the sequence that ends with it.
    #[derive(Clone)]
    struct Tokens(Rc<Vec<Vec<u32>>>);

    impl Stored for Tokens {
        fn handle(&self) -> Self {
            self.clone()
        }

        fn size(&self) -> usize {
            self.0.len()
        }
    }

    /// Keys and values of `ids` from `known` on.
    fn rest(ids: &[u32], known: usize) -> [(Tokens, i64, i64); 1] {
        let tokens: Vec<Vec<u32>> = (known..ids.len()).map(|end| ids[..=end].to_vec()).collect();
        let count = tokens.len() as i64;
        [(Tokens(Rc::new(tokens)), 0, count)]
    }

    fn runs(prefixes: &mut Prefixes<Tokens>, ids: &[u32]) -> Vec<(i64, i64)> {
        prefixes.find(ids).into_iter().map(|(_, start, count)| (start, count)).collect()
    }

    /// Number of known tokens of a sequence that would go on; checks that each is stored with its own beginning.
    fn known(prefixes: &mut Prefixes<Tokens>, ids: &[u32]) -> usize {
        let longer = [ids, &[u32::MAX]].concat();
        let mut len = 0;
        for (Tokens(tokens), start, count) in prefixes.find(&longer) {
            for token in &tokens[start as usize..(start + count) as usize] {
                len += 1;
                assert_eq!(token, &ids[..len]);
            }
        }
        len
    }

    #[test]
    fn the_longest_beginning_is_found_in_pieces() {
        let mut prefixes = Prefixes::new(100);
        assert!(prefixes.find(&[1, 2]).is_empty());
        prefixes.insert(&[1, 2, 3, 4], 0, rest(&[1, 2, 3, 4], 0));
        assert_eq!(runs(&mut prefixes, &[1, 2, 3, 4]), [(0, 3)]);
        assert_eq!(runs(&mut prefixes, &[1, 2, 9]), [(0, 2)]);
        assert!(runs(&mut prefixes, &[2, 1, 1]).is_empty());
        prefixes.insert(&[1, 2, 9, 8], 2, rest(&[1, 2, 9, 8], 2));
        assert_eq!(runs(&mut prefixes, &[1, 2, 9, 8, 7]), [(0, 2), (0, 2)]);
        // Twice in one batch: the second piece adds only the tokens that the first lacks.
        prefixes.insert(&[5, 6], 0, rest(&[5, 6], 0));
        prefixes.insert(&[5, 6, 7], 0, rest(&[5, 6, 7], 0));
        assert_eq!(runs(&mut prefixes, &[5, 6, 7, 8]), [(0, 2), (2, 1)]);
        // Several pieces at once; the first is already known and not added again.
        let longer = [1, 2, 3, 7, 8];
        let [(whole, ..)] = rest(&longer, 0);
        prefixes.insert(&longer, 0, [(whole.clone(), 0, 3), (whole, 3, 2)]);
        assert_eq!(runs(&mut prefixes, &[1, 2, 3, 7, 8, 9]), [(0, 3), (3, 2)]);
        assert_eq!(prefixes.size(), 4 + 2 + 2 + 3 + 5);
    }

    #[test]
    fn the_least_recently_used_goes_first_from_its_end() {
        let mut prefixes = Prefixes::new(8);
        for ids in [[1, 2, 3], [4, 5, 6]] {
            prefixes.insert(&ids, 0, rest(&ids, 0));
        }
        prefixes.insert(&[1, 2, 7, 8], 2, rest(&[1, 2, 7, 8], 2));
        prefixes.trim();
        assert_eq!(prefixes.size(), 8);
        assert_eq!(known(&mut prefixes, &[4, 5, 6]), 3);
        assert_eq!(known(&mut prefixes, &[1, 2, 3]), 3);
        prefixes.insert(&[9], 0, rest(&[9], 0));
        prefixes.trim();
        // `7, 8` was used before the others.
        assert_eq!(prefixes.size(), 7);
        assert_eq!(known(&mut prefixes, &[1, 2, 7, 8]), 2);
        assert_eq!((known(&mut prefixes, &[4, 5, 6]), known(&mut prefixes, &[1, 2, 3])), (3, 3));
        // More than the limit: nothing else stays, and not all of it.
        let long: Vec<u32> = (10..20).collect();
        prefixes.insert(&long, 0, rest(&long, 0));
        prefixes.trim();
        assert_eq!((prefixes.size(), known(&mut prefixes, &long)), (0, 0));
    }

    #[test]
    fn a_sequence_whose_beginning_is_gone_is_not_added() {
        let mut prefixes = Prefixes::new(100);
        prefixes.insert(&[1, 2, 3], 2, rest(&[1, 2, 3], 2));
        assert_eq!((prefixes.size(), known(&mut prefixes, &[1, 2, 3])), (0, 0));
    }

    /// Random sequences over a small alphabet, against a list of all of them.
    #[test]
    fn every_prefix_is_that_of_the_sequences_themselves() {
        let mut rng = stream(1, "test-prefixes", &[]);
        for limit in [10, 60, 100_000] {
            let mut prefixes = Prefixes::new(limit);
            let mut all: Vec<Vec<u32>> = Vec::new();
            for _ in 0..400 {
                let len = rng.random_range(1..12);
                let ids: Vec<u32> = (0..len).map(|_| rng.random_range(0..3)).collect();
                let longest = all.iter().map(|other| common(other, &ids)).max().unwrap_or(0);
                let found = known(&mut prefixes, &ids);
                assert!(found <= longest);
                assert!(limit < 100_000 || found == longest, "{ids:?}: {found} of {longest}");
                let from = rng.random_range(0..=found);
                prefixes.insert(&ids, from, rest(&ids, from));
                assert_eq!(known(&mut prefixes, &ids), ids.len());
                prefixes.trim();
                assert!(prefixes.size() <= limit);
                let kept: usize =
                    prefixes.pieces.values.iter().flatten().map(|(piece, _)| piece.size()).sum();
                assert_eq!(prefixes.size(), kept);
                let nodes = prefixes.nodes.values.iter().flatten();
                assert_eq!(nodes.count(), prefixes.order.len());
                all.push(ids);
            }
        }
    }
}
