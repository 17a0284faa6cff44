//! Walks of the player without pushes.

use std::collections::VecDeque;

use crate::board::{Board, Direction};
use crate::cells::Cell;

const FAR: u16 = u16::MAX;

/// Distances from the player to every cell.
pub(super) struct Walks {
    distance: [u16; 256],
    queue: VecDeque<Cell>,
}

impl Default for Walks {
    fn default() -> Self {
        Self { distance: [FAR; 256], queue: VecDeque::new() }
    }
}

impl Walks {
    /// Computes the distances on a board.
    pub(super) fn fill(&mut self, board: &Board) {
        self.distance = [FAR; 256];
        self.distance[board.player().index()] = 0;
        self.queue.push_back(board.player());
        while let Some(cell) = self.queue.pop_front() {
            for direction in Direction::ALL {
                let next = board.next(cell, direction);
                if self.distance[next.index()] == FAR && board.free(next) {
                    self.distance[next.index()] = self.distance[cell.index()] + 1;
                    self.queue.push_back(next);
                }
            }
        }
    }

    /// Number of moves to a cell. `None` if it is unreachable.
    pub(super) fn to(&self, cell: Cell) -> Option<u32> {
        Some(self.distance[cell.index()]).filter(|distance| *distance != FAR).map(u32::from)
    }
}

/// Returns a shortest walk of the player to a cell without a push. Ties are broken deterministically. `None` if it is
/// unreachable.
pub fn walk(board: &Board, to: Cell) -> Option<Vec<Direction>> {
    let mut walks = Walks::default();
    walks.fill(board);
    let mut left = walks.to(to)?;
    let (mut moves, mut cell) = (Vec::with_capacity(left as usize), to);
    while left > 0 {
        let back = Direction::ALL
            .into_iter()
            .find(|direction| walks.to(board.next(cell, direction.opposite())) == Some(left - 1))?;
        moves.push(back);
        cell = board.next(cell, back.opposite());
        left -= 1;
    }
    moves.reverse();
    Some(moves)
}
