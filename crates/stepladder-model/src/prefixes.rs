//! What was computed of earlier prompts, by their tokens: a tree in which every path from the root is a sequence whose
//! keys and values are known. Prompts of an episode share their beginning (the room), a flat episode's prompts extend each
//! other, and a beginning is computed once (design D10).

use rustc_hash::FxHashMap;

use crate::cache::{Known, Piece};

/// Root of the tree.
const ROOT: u32 = u32::MAX;

/// Where a token's keys and values lie.
#[derive(Debug, Clone, Copy)]
struct Node {
    piece: u32,
    at: u32,
}

/// Keys and values by the tokens before them.
#[derive(Debug)]
pub(crate) struct Prefixes {
    nodes: Vec<Node>,
    /// (node, next token) → node
    next: FxHashMap<(u32, u32), u32>,
    pieces: Vec<Piece>,
    tokens: usize,
    limit: usize,
}

impl Prefixes {
    /// Holds at most `limit` tokens.
    pub(crate) fn new(limit: usize) -> Self {
        Self { nodes: Vec::new(), next: FxHashMap::default(), pieces: Vec::new(), tokens: 0, limit }
    }

    /// The longest known beginning of `ids`, without the last of them: its output is always wanted.
    pub(crate) fn find(&self, ids: &[u32]) -> Known {
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
            .map(|(piece, start, count)| (self.pieces[piece as usize].share(), start, count))
            .collect()
    }

    /// Adds a sequence whose first `known` tokens were found and whose others are in `piece`.
    pub(crate) fn insert(&mut self, ids: &[u32], known: usize, piece: Piece) {
        let mut at = ROOT;
        let mut fresh = 0;
        for (place, &id) in ids.iter().enumerate() {
            let new = self.nodes.len() as u32;
            let node = *self.next.entry((at, id)).or_insert(new);
            if node == new {
                // Where an equal prompt of the same batch came first, the others of this piece are never read.
                debug_assert!(place >= known, "a known token is gone");
                self.nodes.push(Node { piece: self.pieces.len() as u32, at: (place - known) as u32 });
                fresh += 1;
            }
            at = node;
        }
        if fresh > 0 {
            self.tokens += ids.len() - known;
            self.pieces.push(piece);
        }
    }

    /// Forgets everything once there is too much of it: what is still needed is soon computed again.
    pub(crate) fn trim(&mut self) {
        if self.tokens > self.limit {
            *self = Self::new(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    fn piece(count: i64) -> Piece {
        Piece(Tensor::zeros([1, 2, 1, count, 2], (Kind::Float, Device::Cpu)))
    }

    fn runs(prefixes: &Prefixes, ids: &[u32]) -> Vec<(i64, i64)> {
        prefixes.find(ids).into_iter().map(|(_, start, count)| (start, count)).collect()
    }

    #[test]
    fn the_longest_beginning_is_found_in_pieces() {
        let mut prefixes = Prefixes::new(100);
        assert!(prefixes.find(&[1, 2]).is_empty());
        prefixes.insert(&[1, 2, 3, 4], 0, piece(4));
        assert_eq!(runs(&prefixes, &[1, 2, 3, 4]), [(0, 3)]);
        assert_eq!(runs(&prefixes, &[1, 2, 9]), [(0, 2)]);
        assert!(runs(&prefixes, &[2, 1, 1]).is_empty());
        prefixes.insert(&[1, 2, 9, 8], 2, piece(2));
        assert_eq!(runs(&prefixes, &[1, 2, 9, 8, 7]), [(0, 2), (0, 2)]);
        // Twice in one batch: the second piece gives only what the first lacks.
        prefixes.insert(&[5, 6], 0, piece(2));
        prefixes.insert(&[5, 6, 7], 0, piece(3));
        assert_eq!(runs(&prefixes, &[5, 6, 7, 8]), [(0, 2), (2, 1)]);
    }

    #[test]
    fn too_much_is_forgotten() {
        let mut prefixes = Prefixes::new(5);
        prefixes.insert(&[1, 2, 3], 0, piece(3));
        prefixes.trim();
        assert_eq!(runs(&prefixes, &[1, 2, 3]), [(0, 2)]);
        prefixes.insert(&[4, 5, 6], 0, piece(3));
        prefixes.trim();
        assert!(prefixes.find(&[1, 2, 3]).is_empty());
    }
}
