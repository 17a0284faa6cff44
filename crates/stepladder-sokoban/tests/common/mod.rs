//! Helpers for several tests.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests; each test takes what it needs")]

use std::collections::{HashMap, VecDeque};

use stepladder_core::TaskKey;
use stepladder_sokoban::{Board, Cell, Cells, Direction, Moved, Sokoban};

/// Returns the first boards of a split.
pub(crate) fn boards(split: &str, count: usize) -> Vec<Board> {
    use stepladder_env::TaskSet;
    let set = Sokoban::default();
    let tasks: Vec<TaskKey> = set.tasks(split).unwrap();
    tasks.iter().take(count).map(|task| set.level(task).unwrap().board).collect()
}

/// Fewest moves by plain breadth-first search over player and boxes: no bound, no pruning, no code shared with the
/// solver. `None` if the goal is unreachable.
pub(crate) fn fewest_moves(board: &Board) -> Option<usize> {
    let mut seen: HashMap<(Cell, Cells), usize> = HashMap::new();
    let mut queue = VecDeque::from([*board]);
    seen.insert((board.player(), *board.boxes()), 0);
    while let Some(now) = queue.pop_front() {
        let moves = seen[&(now.player(), *now.boxes())];
        if now.solved() {
            return Some(moves);
        }
        for direction in Direction::ALL {
            let mut next = now;
            if next.step(direction) != Moved::Blocked {
                seen.entry((next.player(), *next.boxes())).or_insert_with(|| {
                    queue.push_back(next);
                    moves + 1
                });
            }
        }
    }
    None
}
