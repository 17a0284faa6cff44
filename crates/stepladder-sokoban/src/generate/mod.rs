//! Solvable boards by playing backwards, after the originals.
//!
//! A random walk digs a room; the player and the targets are put on random floor; boxes are pulled off the targets, depth
//! first, and the position with the best score is the start. Whatever was pulled there can be pushed back, so every
//! board has a solution. Positions without a score are drawn again *from the same stream*: that is our rule, where the
//! originals start anew from whatever state (or hash) their process has.

mod reverse;
mod room;
mod transform;

use stepladder_core::seed::Rng;

use crate::board::Board;
use reverse::Search;

pub(crate) use transform::canonical;

/// Raised when the same stream gives another board.
pub const VERSION: u32 = 1;

/// Rooms drawn for one board before giving up.
const TRIES: u32 = 10_000;

/// Whose way of playing backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// gym-sokoban 0.0.6: pulls and plain moves, 300 moves deep; the score counts every pull.
    Gym,
    /// RAGEN and verl-agent: pulls only (which are moves where there is nothing to pull), `depth` moves deep; the score
    /// counts changes of the pulled box. Then the player walks off a few cells at random.
    VerlAgent {
        /// The original's `search_depth`: 30 in verl-agent, 300 in RAGEN, 10 in RAGEN's larger boards.
        depth: u32,
    },
}

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    /// Rows, the walls at the border included.
    pub rows: usize,
    /// Columns, the walls at the border included.
    pub cols: usize,
    /// Boxes.
    pub boxes: usize,
    /// How.
    pub recipe: Recipe,
}

/// Why no board could be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The options can never give a board.
    #[error("{rows} rows, {cols} columns, {boxes} boxes: a board is generated with 5 to 16 rows and columns and 1 to {most} boxes", most = reverse::MOST_BOXES)]
    Options {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
        /// Boxes.
        boxes: usize,
    },
    /// All tries failed: too many boxes for the room.
    #[error("no solvable board of {rows} rows, {cols} columns and {boxes} boxes in {TRIES} tries")]
    NoBoard {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
        /// Boxes.
        boxes: usize,
    },
}

/// Draws boards. Keeps its memory from one board to the next; what it draws depends on the options and the stream alone.
///
/// ```
/// use stepladder_core::seed::stream;
/// use stepladder_sokoban::generate::{Generator, Options, Recipe};
/// let options = Options { rows: 6, cols: 6, boxes: 1, recipe: Recipe::VerlAgent { depth: 30 } };
/// let mut generator = Generator::new(options)?;
/// let board = generator.board(&mut stream(7, "example", &[]))?;
/// assert_eq!((board.rows(), board.boxes().len(), board.on_target()), (6, 1, 0));
/// assert_eq!(generator.board(&mut stream(7, "example", &[]))?, board);
/// # Ok::<(), stepladder_sokoban::generate::GenerateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    options: Options,
    search: Search,
}

impl Generator {
    /// A generator for these options.
    ///
    /// # Errors
    /// [`GenerateError::Options`].
    pub fn new(options: Options) -> Result<Self, GenerateError> {
        let Options { rows, cols, boxes, .. } = options;
        let side = 5..=Board::MOST;
        if !side.contains(&rows) || !side.contains(&cols) || !(1..=reverse::MOST_BOXES).contains(&boxes) {
            return Err(GenerateError::Options { rows, cols, boxes });
        }
        Ok(Self { options, search: Search::default() })
    }

    /// The next board of a stream.
    ///
    /// # Errors
    /// [`GenerateError::NoBoard`].
    pub fn board(&mut self, rng: &mut Rng) -> Result<Board, GenerateError> {
        let Options { rows, cols, boxes, recipe } = self.options;
        for _ in 0..TRIES {
            let Some(solved) = room::furnish(&room::dig(rows, cols, rng), rows, cols, boxes, rng) else {
                continue;
            };
            let Some((board, displacement)) = self.search.best(&solved, recipe) else { continue };
            return Ok(match recipe {
                Recipe::Gym => board,
                Recipe::VerlAgent { .. } => room::wander(board, displacement, rng),
            });
        }
        Err(GenerateError::NoBoard { rows, cols, boxes })
    }
}
