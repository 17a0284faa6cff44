//! Rooms: the random walk that digs them, their player and targets, and the player's final walk.

use rand::RngExt;
use rand::seq::IndexedRandom;
use stepladder_core::seed::Rng;

use crate::board::{Board, Direction, Moved, Tile};

/// Probability per step of the walk of drawing a new direction.
const TURN: f64 = 0.35;

/// Steps of the walk per row and column.
const STEPS_PER_SIDE: f64 = 1.7;

/// Cells that one step of the walk digs, relative to its position: (rows down, columns right).
const SHAPES: [&[(i8, i8)]; 5] = [
    &[(0, -1), (0, 0), (0, 1)],
    &[(-1, 0), (0, 0), (1, 0)],
    &[(0, -1), (0, 0), (1, 0)],
    &[(0, -1), (0, 0), (1, -1), (1, 0)],
    &[(0, 0), (0, 1), (1, 0)],
];

/// Digs a room. Returns `true` for floor, in reading order. The border stays wall.
pub(super) fn dig(rows: usize, cols: usize, rng: &mut Rng) -> Vec<bool> {
    let mut floor = vec![false; rows * cols];
    let (last_row, last_col) = (rows as i8 - 1, cols as i8 - 1);
    let mut direction = rng.random_range(0..4);
    let (mut row, mut col) = (rng.random_range(1..=last_row), rng.random_range(1..=last_col));
    for _ in 0..(STEPS_PER_SIDE * (rows + cols) as f64) as usize {
        if rng.random_bool(TURN) {
            direction = rng.random_range(0..4);
        }
        let (down, right) = [(1, 0), (0, 1), (-1, 0), (0, -1)][direction];
        row = (row + down).clamp(1, last_row - 1);
        col = (col + right).clamp(1, last_col - 1);
        for (down, right) in SHAPES[rng.random_range(0..SHAPES.len())] {
            let (row, col) = (row + down, col + right);
            if (1..last_row).contains(&row) && (1..last_col).contains(&col) {
                floor[row as usize * cols + col as usize] = true;
            }
        }
    }
    floor
}

/// Puts the player and boxes on targets at random: a solved room. `None` if no floor cell is left.
pub(super) fn furnish(
    floor: &[bool],
    rows: usize,
    cols: usize,
    boxes: usize,
    rng: &mut Rng,
) -> Option<Board> {
    let mut free: Vec<usize> = (0..floor.len()).filter(|cell| floor[*cell]).collect();
    if free.len() <= boxes + 1 {
        return None;
    }
    let mut tiles: Vec<Tile> = floor.iter().map(|dug| if *dug { Tile::Floor } else { Tile::Wall }).collect();
    let mut take = |free: &mut Vec<usize>| free.remove(rng.random_range(0..free.len()));
    tiles[take(&mut free)] = Tile::Player;
    for _ in 0..boxes {
        tiles[take(&mut free)] = Tile::BoxOnTarget;
    }
    Board::new(rows, cols, &tiles).ok()
}

/// Walks the player one to three cells away without turning back, with probability 1/2, or 4/5 where a single box is
/// next to its target. `displacement` is the sum of distances between boxes and their targets.
pub(super) fn wander(mut board: Board, displacement: u32, rng: &mut Rng) -> Board {
    if !rng.random_bool(if displacement == 1 { 0.8 } else { 0.5 }) {
        return board;
    }
    let mut visited = vec![board.player()];
    for _ in 0..3 {
        let open = Direction::ALL.map(|direction| {
            let next = board.next(board.player(), direction);
            (board.free(next) && !visited.contains(&next)).then_some(direction)
        });
        let open: Vec<Direction> = open.into_iter().flatten().collect();
        let Some(direction) = open.choose(rng) else { break };
        if board.walk(*direction) == Moved::Walked {
            visited.push(board.player());
        }
        if !rng.random_bool(0.5) {
            break;
        }
    }
    board
}
