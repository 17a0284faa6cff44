//! A solver: fewest moves, by A* over pushes.
//!
//! A position is the places of the boxes and of the player after a push; going from one to the next costs the walk to the
//! box and one for the push, so the sum is moves. What is still needed is bounded from below by the cheapest assignment
//! of boxes to targets, each distance in pushes with the other boxes away. That bound never exceeds the truth and never
//! falls by more than a step costs, so the first solution found is the shortest.

mod bound;
mod paths;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::board::{Board, Direction};
use crate::cells::{Cell, Cells};
use bound::Bound;
use paths::Walks;

pub use paths::walk;

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Positions kept before giving up on the shortest solution.
    pub positions: usize,
    /// Then try again, weighing what is still needed this many times: quickly, but not the shortest. 1 for no second try.
    pub haste: u32,
}

impl Default for Limits {
    /// Half a million positions, then in haste.
    fn default() -> Self {
        Self { positions: 500_000, haste: 5 }
    }
}

/// Moves that solve a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// From the board's position on; empty if it is solved already.
    pub moves: Vec<Direction>,
    /// No solution has fewer moves.
    pub shortest: bool,
}

/// Solves a board with the default [`Limits`]. `None` if it has no solution, or none was found within the limits.
///
/// ```
/// use stepladder_sokoban::{Board, Direction::{Right, Up}, solve};
/// let board: Board = "######\n#__O_#\n#_PX_#\n######".parse()?;
/// assert_eq!(solve(&board), None);
/// let board: Board = "######\n#__O_#\n#__X_#\n#P___#\n######".parse()?;
/// let solution = solve(&board).ok_or("no solution")?;
/// assert_eq!((solution.moves, solution.shortest), (vec![Right, Right, Up], true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn solve(board: &Board) -> Option<Solution> {
    solve_within(board, Limits::default())
}

/// Solves a board within limits.
pub fn solve_within(board: &Board, limits: Limits) -> Option<Solution> {
    match search(board, limits.positions, 1) {
        Found::Moves(moves) => Some(Solution { moves, shortest: true }),
        Found::Nothing => None,
        Found::Limit if limits.haste <= 1 => None,
        Found::Limit => match search(board, limits.positions, limits.haste) {
            Found::Moves(moves) => Some(Solution { moves, shortest: false }),
            Found::Nothing | Found::Limit => None,
        },
    }
}

enum Found {
    Moves(Vec<Direction>),
    /// Every position was seen: there is no solution.
    Nothing,
    /// The limit was reached.
    Limit,
}

/// How a position was reached.
#[derive(Clone, Copy)]
struct Node {
    boxes: Cells,
    player: Cell,
    cost: u32,
    /// The node before and the direction of the push; none at the start.
    from: Option<(u32, Direction)>,
    done: bool,
}

fn search(board: &Board, most: usize, weight: u32) -> Found {
    let mut bound = Bound::new(board);
    let mut walks = Walks::default();
    let mut nodes =
        vec![Node { boxes: *board.boxes(), player: board.player(), cost: 0, from: None, done: false }];
    let mut known: FxHashMap<(Cells, Cell), u32> = FxHashMap::default();
    known.insert((*board.boxes(), board.player()), 0);
    // Least estimate first; then least left to do; then oldest, so that the result never varies.
    let mut open = BinaryHeap::new();
    if let Some(left) = bound.left(board.boxes()) {
        open.push(Reverse((left * weight, left, 0u32)));
    }
    while let Some(Reverse((_, _, number))) = open.pop() {
        let node = nodes[number as usize];
        if node.done {
            continue;
        }
        if node.boxes == *board.targets() {
            return Found::Moves(moves(board, &nodes, number));
        }
        nodes[number as usize].done = true;
        let Some(now) = board.with(node.player, node.boxes) else { continue };
        walks.fill(&now);
        for from in node.boxes.iter() {
            for direction in Direction::ALL {
                let to = now.next(from, direction);
                let Some(distance) = walks.to(now.next(from, direction.opposite())) else { continue };
                if !now.free(to) || bound.dead(to) {
                    continue;
                }
                let mut boxes = node.boxes;
                boxes.remove(from);
                boxes.add(to);
                let cost = node.cost + distance + 1;
                let reached =
                    Node { boxes, player: from, cost, from: Some((number, direction)), done: false };
                let place = match known.get(&(boxes, from)) {
                    Some(&place) if nodes[place as usize].cost <= cost => continue,
                    Some(&place) => {
                        nodes[place as usize] = reached;
                        place
                    }
                    None if bound.stuck(board, &boxes, to) => continue,
                    None => {
                        if nodes.len() >= most {
                            return Found::Limit;
                        }
                        nodes.push(reached);
                        known.insert((boxes, from), nodes.len() as u32 - 1);
                        nodes.len() as u32 - 1
                    }
                };
                if let Some(left) = bound.left(&boxes) {
                    open.push(Reverse((cost + left * weight, left, place)));
                }
            }
        }
    }
    Found::Nothing
}

/// The moves behind a chain of pushes.
fn moves(board: &Board, nodes: &[Node], last: u32) -> Vec<Direction> {
    let mut pushes = Vec::new();
    let mut node = &nodes[last as usize];
    while let Some((before, direction)) = node.from {
        let previous = &nodes[before as usize];
        pushes.push((previous, node.player, direction));
        node = previous;
    }
    let mut moves = Vec::new();
    for (before, pushed, direction) in pushes.into_iter().rev() {
        let side = board.next(pushed, direction.opposite());
        moves.extend(
            board.with(before.player, before.boxes).and_then(|now| walk(&now, side)).unwrap_or_default(),
        );
        moves.push(direction);
    }
    moves
}
