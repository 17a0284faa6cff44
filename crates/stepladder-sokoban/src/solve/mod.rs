//! Solver for the fewest moves: A* over pushes.
//!
//! A position consists of the cells of the boxes and of the player after a push. An edge costs the walk to the box plus
//! one for the push, so path costs are moves. The heuristic is the cheapest assignment of boxes to targets, with
//! distances in pushes on a board without other boxes. It is admissible and consistent, so the first solution found is
//! the shortest.

mod bound;
mod paths;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::board::{Board, Direction};
use crate::cells::{Cell, Cells};
pub(crate) use bound::Bound;
use paths::Walks;

pub use paths::walk;

/// Limits of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Number of positions after which the search for the shortest solution ends.
    pub positions: usize,
    /// Weight of the heuristic in a second search (weighted A*), which is faster but not optimal. 1: no second search.
    pub haste: u32,
}

impl Default for Limits {
    /// Half a million positions, then a weighted search.
    fn default() -> Self {
        Self { positions: 500_000, haste: 5 }
    }
}

/// A solution of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// Moves from the board's current position; empty if it is already solved.
    pub moves: Vec<Direction>,
    /// Whether the solution is known to be optimal.
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

/// Solves a board within limits. `None` as for [`solve`].
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
    /// All positions were expanded: there is no solution.
    Nothing,
    /// The limit was reached.
    Limit,
}

/// Predecessor of a position.
#[derive(Clone, Copy)]
struct Node {
    boxes: Cells,
    player: Cell,
    cost: u32,
    /// Preceding node and direction of the push; `None` at the start.
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
    // Order: least estimate, then least remaining, then oldest, so that the result is deterministic.
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

/// Reconstructs the moves of a chain of pushes.
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
