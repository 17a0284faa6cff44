//! Sub-goals of a solution: one per straight push.
//!
//! ```
//! use stepladder_sokoban::{Board, plan};
//! let board: Board = "#######\n#P____#\n#_X___#\n###_O_#\n#######".parse()?;
//! let plan = plan(&board).ok_or("no solution")?;
//! let texts: Vec<String> = plan.subgoals.iter().map(|subgoal| subgoal.to_string()).collect();
//! assert_eq!(texts, ["push box from (2,2) to (2,4)", "push box from (2,4) to (3,4)"]);
//! // The walk to a box belongs to the push it leads to.
//! assert_eq!(plan.subgoals[0].actions, 0..3);
//! assert_eq!(plan.subgoals[1].actions, 3..6);
//! assert_eq!(plan.moves.len(), 6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::ops::Range;

use crate::board::{Board, Direction, Moved};
use crate::solve::{solve, walk};

/// A row and a column, both from 0, border walls included: `(2,3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Row, from 0.
    pub row: usize,
    /// Column, from 0.
    pub col: usize,
}

/// Push of one box along a straight line: `push box from (2,3) to (2,5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Push {
    /// Start position of the box.
    pub from: Place,
    /// End position of the box, in the same row or column.
    pub to: Place,
}

/// A push and its actions in the solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubGoal {
    /// The push.
    pub push: Push,
    /// Range of its moves in [`Plan::moves`]: the walk to the box, then the pushes.
    pub actions: Range<usize>,
}

/// A solution and its sub-goals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// All moves.
    pub moves: Vec<Direction>,
    /// One per maximal straight push, in order. Their ranges are contiguous and cover all moves except those after the
    /// last push.
    pub subgoals: Vec<SubGoal>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.row, self.col)
    }
}

impl fmt::Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "push box from {} to {}", self.from, self.to)
    }
}

impl fmt::Display for SubGoal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.push.fmt(f)
    }
}

impl Place {
    /// Parses `(2,3)`; spaces around the numbers are accepted.
    pub fn parse(text: &str) -> Option<Self> {
        let (row, col) = text.trim().strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
        let number = |text: &str| text.trim().parse().ok().filter(|number| *number < Board::MOST);
        Some(Self { row: number(row)?, col: number(col)? })
    }
}

impl Push {
    /// Parses the text of a [`Push`]. `None` for any other text, for a push that is not straight, and for one without
    /// movement.
    ///
    /// ```
    /// use stepladder_sokoban::plan::Push;
    /// let push = Push::parse("push box from (2,3) to (2,5)").ok_or("no push")?;
    /// assert_eq!(push.to_string(), "push box from (2,3) to (2,5)");
    /// assert_eq!(Push::parse("push box from (2,3) to (4,5)"), None);
    /// # Ok::<(), &str>(())
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.trim().strip_prefix("push box from ")?.split_once(" to ")?;
        let push = Self { from: Place::parse(from)?, to: Place::parse(to)? };
        push.direction().map(|_| push)
    }

    /// Direction of the push. `None` unless the two positions differ in either row or column.
    pub fn direction(&self) -> Option<Direction> {
        let (from, to) = (self.from, self.to);
        match (from.row == to.row, from.col == to.col) {
            (true, false) => Some(if to.col > from.col { Direction::Right } else { Direction::Left }),
            (false, true) => Some(if to.row > from.row { Direction::Down } else { Direction::Up }),
            _ => None,
        }
    }

    /// Returns the next move on a board at any stage of the push, and whether that move completes the push. `None` if
    /// no box is left between the two positions, or the player cannot get behind it.
    pub fn next_move(&self, board: &Board) -> Option<(Direction, bool)> {
        let direction = self.direction()?;
        let end = board.cell(self.to.row, self.to.col)?;
        let mut cell = board.cell(self.from.row, self.from.col)?;
        while !board.boxes().has(cell) {
            if cell == end || board.walls().has(cell) {
                return None;
            }
            cell = board.next(cell, direction);
        }
        let next = board.next(cell, direction);
        if cell == end || !board.free(next) {
            return None;
        }
        let behind = board.next(cell, direction.opposite());
        match walk(board, behind)?.first() {
            Some(step) => Some((*step, false)),
            None => Some((direction, next == end)),
        }
    }
}

/// Cuts moves into sub-goals.
///
/// # Errors
/// Returns a sentence with the number of the first move that the board blocks.
pub fn segment(board: &Board, moves: &[Direction]) -> Result<Plan, String> {
    let mut now = *board;
    let place = |cell| {
        let (row, col) = board.position(cell);
        Place { row, col }
    };
    let mut subgoals: Vec<SubGoal> = Vec::new();
    // Direction of the push that includes the last move.
    let mut pushing = None;
    for (number, &direction) in moves.iter().enumerate() {
        match now.step(direction) {
            Moved::Blocked => {
                return Err(format!("move {} of {}, {direction}, is blocked", number + 1, moves.len()));
            }
            Moved::Walked => pushing = None,
            Moved::Pushed => {
                let to = place(now.next(now.player(), direction));
                match subgoals.last_mut() {
                    Some(last) if pushing == Some(direction) => {
                        last.push.to = to;
                        last.actions.end = number + 1;
                    }
                    last => {
                        let start = last.map_or(0, |last| last.actions.end);
                        let push = Push { from: place(now.player()), to };
                        subgoals.push(SubGoal { push, actions: start..number + 1 });
                    }
                }
                pushing = Some(direction);
            }
        }
    }
    Ok(Plan { moves: moves.to_vec(), subgoals })
}

/// Finds a shortest solution and cuts it into sub-goals. `None` if [`solve`] finds none.
pub fn plan(board: &Board) -> Option<Plan> {
    segment(board, &solve(board)?.moves).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Down, Left, Right, Up};

    fn board(text: &str) -> Board {
        text.parse().unwrap()
    }

    #[test]
    fn turns_and_walks_end_a_push() {
        let board = board("########\n#P_____#\n#_X____#\n#____O_#\n########");
        // Two pushes, a step back, a third push the same way, and a walk at the end.
        let plan = segment(&board, &[Down, Right, Right, Left, Right, Right, Up]).unwrap();
        let subgoals: Vec<_> =
            plan.subgoals.iter().map(|one| (one.to_string(), one.actions.clone())).collect();
        assert_eq!(
            subgoals,
            [
                ("push box from (2,2) to (2,4)".to_owned(), 0..3),
                ("push box from (2,4) to (2,5)".to_owned(), 3..6)
            ]
        );
        assert_eq!(segment(&board, &[Down, Left]).unwrap_err(), "move 2 of 2, left, is blocked");
        assert_eq!(segment(&board, &[]).unwrap().subgoals, []);
    }

    #[test]
    fn a_push_leads_its_player_from_anywhere() {
        let mut now = board("########\n#__S___#\n#_X____#\n#______#\n########");
        let push = Push::parse("push box from (2,2) to (2,5)").unwrap();
        let mut moves = Vec::new();
        while let Some((direction, done)) = push.next_move(&now) {
            assert_ne!(now.step(direction), Moved::Blocked);
            moves.push(direction);
            assert_eq!(done, now.boxes().has(now.cell(2, 5).unwrap()));
        }
        assert_eq!(moves, [Left, Left, Down, Right, Right, Right]);
        assert_eq!(Push::parse("push box from (1,1) to (1,5)").unwrap().next_move(&now), None);
        assert_eq!(Push::parse("push box from (2,5) to (2,9)").unwrap().next_move(&now), None);
    }

    #[test]
    fn what_is_no_push_is_refused() {
        for text in [
            "",
            "push",
            "push box from (1,1) to (1,1)",
            "push box from (1,1) to (2,2)",
            "push box from (1,1) to (1,16)",
            "push box from (1,-1) to (1,2)",
            "push box from 1,1 to 1,2",
            "push box from (1,99999999999999999999) to (1,2)",
        ] {
            assert_eq!(Push::parse(text), None, "{text}");
        }
    }
}
