//! Cache of prefixes: a tree in which every path from the root is a token sequence with known keys and values. Prompts of an
//! episode share a prefix (the room), the prompts of a flat episode extend each other, and each prefix is computed once
//! (docs/design.md D10).

use rustc_hash::FxHashMap;

/// Root of the tree.
const ROOT: u32 = u32::MAX;

/// Position of a token's keys and values.
#[derive(Debug, Clone, Copy)]
struct Node {
    piece: u32,
    at: u32,
}

/// Keys and values of consecutive tokens.
pub trait Stored {
    /// Returns another handle to the same memory.
    fn handle(&self) -> Self;
    /// Returns its size, in the unit of the limit.
    fn size(&self) -> usize;
}

/// Keys and values by token sequence.
#[derive(Debug)]
pub struct Prefixes<P> {
    nodes: Vec<Node>,
    /// (node, next token) → node
    next: FxHashMap<(u32, u32), u32>,
    pieces: Vec<P>,
    size: usize,
    limit: usize,
}

/// Prefix of a sequence: pieces, each with its first token and the number of consecutive tokens.
pub type Found<P> = Vec<(P, i64, i64)>;

impl<P: Stored> Prefixes<P> {
    /// Creates a cache with this limit on the total size of its pieces.
    pub fn new(limit: usize) -> Self {
        Self { nodes: Vec::new(), next: FxHashMap::default(), pieces: Vec::new(), size: 0, limit }
    }

    /// Returns the longest known prefix of `ids`, without the last token, whose output is always needed.
    pub fn find(&self, ids: &[u32]) -> Found<P> {
        let mut found: Vec<(u32, i64, i64)> = Vec::new();
        let mut at = ROOT;
        for &id in &ids[..ids.len().saturating_sub(1)] {
            let Some(&node) = self.next.get(&(at, id)) else { break };
            let Node { piece, at: place } = self.nodes[node as usize];
            match found.last_mut() {
                Some((last, start, count)) if *last == piece && *start + *count == i64::from(place) => {
                    *count += 1
                }
                _ => found.push((piece, i64::from(place), 1)),
            }
            at = node;
        }
        found
            .into_iter()
            .map(|(piece, start, count)| (self.pieces[piece as usize].handle(), start, count))
            .collect()
    }

    /// Adds a sequence whose first `known` tokens were found and whose others are in `pieces`, in order.
    pub fn insert(&mut self, ids: &[u32], known: usize, pieces: impl IntoIterator<Item = (P, i64, i64)>) {
        let mut at = ROOT;
        for id in &ids[..known] {
            let Some(&node) = self.next.get(&(at, *id)) else {
                debug_assert!(false, "a known token is gone");
                return;
            };
            at = node;
        }
        let mut place = known;
        for (piece, start, count) in pieces {
            let mut fresh = false;
            for offset in 0..count {
                let new = self.nodes.len() as u32;
                let node = *self.next.entry((at, ids[place])).or_insert(new);
                if node == new {
                    // Tokens of this piece that an equal prompt of the same batch has already added are never read.
                    self.nodes.push(Node { piece: self.pieces.len() as u32, at: (start + offset) as u32 });
                    fresh = true;
                }
                at = node;
                place += 1;
            }
            if fresh {
                self.size += piece.size();
                self.pieces.push(piece);
            }
        }
    }

    /// Clears the cache once it exceeds the limit; prefixes still in use are soon computed again.
    pub fn trim(&mut self) {
        if self.size > self.limit {
            *self = Self::new(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece of this many tokens.
    struct Tokens(usize);

    impl Stored for Tokens {
        fn handle(&self) -> Self {
            Self(self.0)
        }

        fn size(&self) -> usize {
            self.0
        }
    }

    fn all(count: usize) -> [(Tokens, i64, i64); 1] {
        [(Tokens(count), 0, count as i64)]
    }

    fn runs(prefixes: &Prefixes<Tokens>, ids: &[u32]) -> Vec<(i64, i64)> {
        prefixes.find(ids).into_iter().map(|(_, start, count)| (start, count)).collect()
    }

    #[test]
    fn the_longest_beginning_is_found_in_pieces() {
        let mut prefixes = Prefixes::new(100);
        assert!(prefixes.find(&[1, 2]).is_empty());
        prefixes.insert(&[1, 2, 3, 4], 0, all(4));
        assert_eq!(runs(&prefixes, &[1, 2, 3, 4]), [(0, 3)]);
        assert_eq!(runs(&prefixes, &[1, 2, 9]), [(0, 2)]);
        assert!(runs(&prefixes, &[2, 1, 1]).is_empty());
        prefixes.insert(&[1, 2, 9, 8], 2, all(2));
        assert_eq!(runs(&prefixes, &[1, 2, 9, 8, 7]), [(0, 2), (0, 2)]);
        // Twice in one batch: the second piece adds only the tokens that the first lacks.
        prefixes.insert(&[5, 6], 0, all(2));
        prefixes.insert(&[5, 6, 7], 0, all(3));
        assert_eq!(runs(&prefixes, &[5, 6, 7, 8]), [(0, 2), (2, 1)]);
        // Several pieces at once; the first is already known and not added again.
        prefixes.insert(&[1, 2, 3, 7, 8], 0, [(Tokens(50), 20, 3), (Tokens(6), 4, 2)]);
        assert_eq!(runs(&prefixes, &[1, 2, 3, 7, 8, 9]), [(0, 3), (4, 2)]);
        assert_eq!(prefixes.size, 4 + 2 + 2 + 3 + 6);
    }

    #[test]
    fn too_much_is_forgotten() {
        let mut prefixes = Prefixes::new(5);
        prefixes.insert(&[1, 2, 3], 0, all(3));
        prefixes.trim();
        assert_eq!(runs(&prefixes, &[1, 2, 3]), [(0, 2)]);
        prefixes.insert(&[4, 5, 6], 0, all(3));
        prefixes.trim();
        assert!(prefixes.find(&[1, 2, 3]).is_empty());
    }
}
