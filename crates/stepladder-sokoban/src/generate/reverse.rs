//! Backward play: from a solved room to the start with the best score.

use rustc_hash::FxHashSet;

use super::Recipe;
use crate::board::{Board, Direction};
use crate::cells::{Cell, Cells};

/// Largest number of boxes of a generated board, limited by the key of a position.
pub(super) const MOST_BOXES: usize = 12;

/// Limit on the positions of one search.
const MOST_POSITIONS: usize = 300_000;

/// gym-sokoban's depth.
const GYM_DEPTH: u32 = 300;

/// A position of backward play.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reverse {
    player: Cell,
    boxes: Cells,
    /// Cell of the box of each target, targets in reading order.
    at: [Cell; MOST_BOXES],
    /// Bit set of the boxes that were ever pulled. The original distinguishes a box that returned from one that never
    /// moved.
    pulled: u16,
}

impl Reverse {
    /// Returns the solved position of a board.
    fn solved(board: &Board) -> Self {
        let mut at = [Cell(0); MOST_BOXES];
        for (place, target) in at.iter_mut().zip(board.targets().iter()) {
            *place = target;
        }
        Self { player: board.player(), boxes: *board.boxes(), at, pulled: 0 }
    }

    /// Moves the player one cell and drags the box behind it if `pull` is set and there is one. Also returns the index
    /// of that box. `None` if the player cannot move.
    fn step(mut self, board: &Board, direction: Direction, pull: bool) -> Option<(Self, Option<usize>)> {
        let next = board.next(self.player, direction);
        if board.walls().has(next) || self.boxes.has(next) {
            return None;
        }
        let behind = board.next(self.player, direction.opposite());
        let mut dragged = None;
        if pull && self.boxes.has(behind) {
            self.boxes.remove(behind);
            self.boxes.add(self.player);
            dragged = self.at.iter().position(|place| *place == behind);
            if let Some(number) = dragged {
                self.at[number] = self.player;
                self.pulled |= 1 << number;
            }
        }
        self.player = next;
        Some((self, dragged))
    }

    /// Returns the board of this position.
    fn board(&self, board: &Board) -> Option<Board> {
        board.with(self.player, self.boxes)
    }

    /// Identity of a position: the cells of player and boxes, and the set of pulled boxes.
    fn key(&self, count: usize) -> u128 {
        let mut places = [u16::MAX; MOST_BOXES];
        for (number, place) in places.iter_mut().enumerate().take(count) {
            *place = u16::from(self.at[number].0) << 1 | self.pulled >> number & 1;
        }
        places[..count].sort_unstable();
        places[..count].iter().fold(u128::from(self.player.0), |key, place| key << 9 | u128::from(*place))
    }
}

/// Depth-first search and its buffers.
#[derive(Debug, Clone, Default)]
pub(super) struct Search {
    seen: FxHashSet<u128>,
}

impl Search {
    /// Returns the best start for a solved room and the sum of distances between boxes and their targets there. `None`
    /// if no position has a score.
    pub(super) fn best(&mut self, solved: &Board, recipe: Recipe) -> Option<(Board, u32)> {
        self.seen.clear();
        let targets: Vec<Cell> = solved.targets().iter().collect();
        let mut run = Run { board: solved, targets, recipe, seen: &mut self.seen, best: None, score: 0 };
        let depth = match recipe {
            Recipe::Gym => GYM_DEPTH,
            Recipe::VerlAgent { depth } => depth,
        };
        run.visit(&Reverse::solved(solved), 0, None, depth);
        let best = run.best?;
        Some((best.board(solved)?, run.displacement(&best)))
    }
}

struct Run<'a> {
    board: &'a Board,
    targets: Vec<Cell>,
    recipe: Recipe,
    seen: &'a mut FxHashSet<u128>,
    best: Option<Reverse>,
    score: u32,
}

impl Run<'_> {
    /// Sum of Manhattan distances between boxes and their targets.
    fn displacement(&self, position: &Reverse) -> u32 {
        let distance = |(target, place): (&Cell, &Cell)| {
            let (row, col) = self.board.position(*target);
            let (other_row, other_col) = self.board.position(*place);
            (row.abs_diff(other_row) + col.abs_diff(other_col)) as u32
        };
        self.targets.iter().zip(&position.at).map(distance).sum()
    }

    /// `swaps`: the recipe's count so far; `last`: the box pulled last; `left`: the number of moves left.
    fn visit(&mut self, position: &Reverse, swaps: u32, last: Option<usize>, left: u32) {
        let Some(left) = left.checked_sub(1).filter(|left| *left > 0) else { return };
        if self.seen.len() >= MOST_POSITIONS || !self.seen.insert(position.key(self.targets.len())) {
            return;
        }
        let targets_open =
            position.boxes.common(self.board.targets()) == 0 && !self.board.targets().has(position.player);
        if targets_open && swaps > 0 {
            let score = swaps * self.displacement(position);
            if score > self.score {
                self.score = score;
                self.best = Some(*position);
            }
        }
        for pull in [true, false] {
            if !pull && self.recipe != Recipe::Gym {
                return;
            }
            for direction in Direction::ALL {
                let Some((next, dragged)) = position.step(self.board, direction, pull) else { continue };
                let (swaps, last) = match (self.recipe, dragged) {
                    (_, None) => (swaps, last),
                    (Recipe::Gym, Some(_)) => (swaps + 1, None),
                    (Recipe::VerlAgent { .. }, Some(_)) => (swaps + u32::from(dragged != last), dragged),
                };
                self.visit(&next, swaps, last, left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::board::Moved;

    proptest! {
        /// Whatever is pulled can be pushed back: the moves in reverse order, each the other way.
        #[test]
        fn backward_play_is_undone_by_playing_it_forwards(
            moves in proptest::collection::vec((0usize..4, any::<bool>()), 0..60),
        ) {
            let solved: Board = "########\n#__√___#\n#_P_#√_#\n#_____##\n########".parse().unwrap();
            let mut position = Reverse::solved(&solved);
            let mut forwards = Vec::new();
            for (direction, pull) in moves {
                let direction = Direction::ALL[direction];
                if let Some((next, dragged)) = position.step(&solved, direction, pull) {
                    position = next;
                    forwards.push((direction.opposite(), dragged.is_some()));
                }
            }
            let mut board = position.board(&solved).unwrap();
            for (direction, pushed) in forwards.into_iter().rev() {
                prop_assert_eq!(board.step(direction), if pushed { Moved::Pushed } else { Moved::Walked });
            }
            prop_assert_eq!(board, solved);
        }
    }

    #[test]
    fn a_box_that_came_back_is_not_one_that_never_left() {
        let solved: Board = "######\n#√P__#\n#____#\n######".parse().unwrap();
        let start = Reverse::solved(&solved);
        let (pulled, dragged) = start.step(&solved, Direction::Right, true).unwrap();
        assert_eq!((dragged, pulled.pulled), (Some(0), 1));
        let mut back = start;
        back.pulled = 1;
        assert_ne!(start.key(1), back.key(1));
        assert!(start.step(&solved, Direction::Left, true).is_none());
    }
}
