//! What is still needed at least, and positions from which nothing leads to the goal.

use std::collections::VecDeque;

use crate::board::{Board, Direction};
use crate::cells::{Cell, Cells};

const NEVER: u16 = u16::MAX;

/// Boxes up to which the cheapest assignment is found exactly; with more, every box goes to its nearest target.
const EXACT: usize = 8;

pub(super) struct Bound {
    /// By target: pushes from every cell, with no other box on the board.
    pushes: Vec<[u16; 256]>,
    /// Cells from which a box reaches no target.
    dead: Cells,
    targets: Cells,
    /// Cheapest assignment of the boxes so far to each set of targets.
    costs: Vec<u32>,
}

impl Bound {
    pub(super) fn new(board: &Board) -> Self {
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

    /// Whether a box there is lost.
    pub(super) fn dead(&self, cell: Cell) -> bool {
        self.dead.has(cell)
    }

    /// Pushes needed at least; `None` if some box has no target left to go to.
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
            // Sets of `number` targets have been assigned; each is extended by one.
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

    /// Whether the box just pushed to `cell` stands in a square of four cells that are all wall or box, with a box that
    /// is on no target: none of them can ever move.
    pub(super) fn stuck(&self, board: &Board, boxes: &Cells, cell: Cell) -> bool {
        use Direction::{Down, Left, Right, Up};
        [(Up, Left), (Up, Right), (Down, Left), (Down, Right)].into_iter().any(|(one, other)| {
            let beside = board.next(cell, other);
            let square = [cell, board.next(cell, one), beside, board.next(beside, one)];
            square.iter().all(|cell| board.walls().has(*cell) || boxes.has(*cell))
                && square.iter().any(|cell| boxes.has(*cell) && !self.targets.has(*cell))
        })
    }
}

/// Pushes from every cell to a target, found by pulling a box away from it.
fn distances(board: &Board, target: Cell) -> [u16; 256] {
    let mut distance = [NEVER; 256];
    distance[target.index()] = 0;
    let mut queue = VecDeque::from([target]);
    while let Some(cell) = queue.pop_front() {
        for direction in Direction::ALL {
            // Before the push the box was here, and the player behind it.
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
