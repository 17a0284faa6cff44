//! Lower bound on the remaining pushes, and detection of dead positions.

use std::collections::VecDeque;

use crate::board::{Board, Direction};
use crate::cells::{Cell, Cells};

const NEVER: u16 = u16::MAX;

/// Largest number of boxes with an exact cheapest assignment. With more, every box is assigned to its nearest target.
const EXACT: usize = 8;

pub(crate) struct Bound {
    /// Per target: number of pushes from every cell on a board without other boxes.
    pushes: Vec<[u16; 256]>,
    /// Cells from which a box cannot reach any target.
    dead: Cells,
    targets: Cells,
    /// Cost of the cheapest assignment of the boxes so far, per set of targets.
    costs: Vec<u32>,
}

impl Bound {
    pub(crate) fn new(board: &Board) -> Self {
        let pushes: Vec<_> = board.targets().iter().map(|target| distances(board, target)).collect();
        let mut dead = Cells::default();
        for row in 0..board.rows() {
            for col in 0..board.cols() {
                if let Some(cell) = board.cell(row, col)
                    && pushes.iter().all(|distance| distance[cell.index()] == NEVER)
                {
                    dead.add(cell);
                }
            }
        }
        Self { pushes, dead, targets: *board.targets(), costs: Vec::new() }
    }

    /// Whether a box on this cell can never reach a target.
    pub(crate) fn dead(&self, cell: Cell) -> bool {
        self.dead.has(cell)
    }

    /// Lower bound on the remaining pushes. `None` if no assignment of boxes to targets exists.
    pub(super) fn left(&mut self, boxes: &Cells) -> Option<u32> {
        let count = self.pushes.len();
        if count > EXACT {
            let nearest = |cell: Cell| self.pushes.iter().map(|from| from[cell.index()]).min();
            return boxes.iter().map(|cell| nearest(cell).filter(|best| *best != NEVER).map(u32::from)).sum();
        }
        self.costs.clear();
        self.costs.resize(1 << count, u32::MAX);
        self.costs[0] = 0;
        for (number, cell) in boxes.iter().enumerate() {
            // Extends every assignment of `number` targets by one.
            for set in 0..1usize << count {
                if set.count_ones() as usize != number || self.costs[set] == u32::MAX {
                    continue;
                }
                for (target, from) in self.pushes.iter().enumerate() {
                    let distance = from[cell.index()];
                    if set >> target & 1 == 0 && distance != NEVER {
                        let cost = self.costs[set] + u32::from(distance);
                        let entry = &mut self.costs[set | 1 << target];
                        *entry = cost.min(*entry);
                    }
                }
            }
        }
        self.costs.last().copied().filter(|cost| *cost != u32::MAX)
    }

    /// Whether the box just pushed to `cell` is part of a 2 × 2 square of walls and boxes with at least one box off
    /// target: none of these boxes can ever move.
    pub(super) fn stuck(&self, board: &Board, boxes: &Cells, cell: Cell) -> bool {
        use Direction::{Down, Left, Right, Up};
        [(Up, Left), (Up, Right), (Down, Left), (Down, Right)].into_iter().any(|(one, other)| {
            let side = board.next(cell, other);
            let square = [cell, board.next(cell, one), side, board.next(side, one)];
            square.iter().all(|cell| board.walls().has(*cell) || boxes.has(*cell))
                && square.iter().any(|cell| boxes.has(*cell) && !self.targets.has(*cell))
        })
    }
}

/// Number of pushes from every cell to a target, computed by pulling a box away from it.
fn distances(board: &Board, target: Cell) -> [u16; 256] {
    let mut distance = [NEVER; 256];
    distance[target.index()] = 0;
    let mut queue = VecDeque::from([target]);
    while let Some(cell) = queue.pop_front() {
        for direction in Direction::ALL {
            // Before the push the box was on `before`, and the player behind it.
            let before = board.next(cell, direction.opposite());
            if board.walls().has(before) || distance[before.index()] != NEVER {
                continue;
            }
            if !board.walls().has(board.next(before, direction.opposite())) {
                distance[before.index()] = distance[cell.index()] + 1;
                queue.push_back(before);
            }
        }
    }
    distance
}
