//! Generation of solvable boards by playing backwards, following the original implementations.
//!
//! A random walk digs a room. The player and the targets are put on random floor cells. Boxes are pulled off the
//! targets by depth-first search, and the position with the best score is the start. Every pull can be undone by a
//! push, so every board has a solution. A room without a scored position is drawn again *from the same stream*; the
//! originals restart from the state (or hash) of their process instead.

mod reverse;
mod room;
mod transform;

use stepladder_core::seed::Rng;

use crate::board::Board;
use reverse::Search;

pub(crate) use transform::canonical;

/// Version of the generator, raised when the same stream gives another board.
pub const VERSION: u32 = 1;

/// Rooms drawn for one board before giving up.
const TRIES: u32 = 10_000;

/// Variant of backward play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// gym-sokoban 0.0.6: pulls and plain moves, 300 moves deep; the score counts every pull.
    Gym,
    /// RAGEN and verl-agent: pulls only (plain moves where there is no box to pull), `depth` moves deep; the score
    /// counts changes of the pulled box. Finally the player walks a few cells at random.
    VerlAgent {
        /// The original's `search_depth`: 30 in verl-agent, 300 in RAGEN, 10 in RAGEN's larger boards.
        depth: u32,
    },
}

/// Settings of the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GeneratorOptions {
    /// Number of rows, border walls included.
    pub rows: usize,
    /// Number of columns, border walls included.
    pub cols: usize,
    /// Number of boxes.
    pub boxes: usize,
    /// Variant of backward play.
    pub recipe: Recipe,
}

/// Why no board was generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// No board with these settings exists.
    #[error("{rows} rows, {cols} columns, {boxes} boxes: a generated board has 5 to 16 rows and columns and 1 to {most} boxes", most = reverse::MOST_BOXES)]
    Options {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        cols: usize,
        /// Number of boxes.
        boxes: usize,
    },
    /// All tries failed: the board is too small for its boxes.
    #[error("no solvable board of {rows} rows, {cols} columns and {boxes} boxes in {TRIES} tries")]
    NoBoard {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        cols: usize,
        /// Number of boxes.
        boxes: usize,
    },
}

/// Draws boards. Reuses its buffers between boards; a board depends on the settings and the stream alone.
///
/// ```
/// use stepladder_core::seed::stream;
/// use stepladder_sokoban::generate::{Generator, GeneratorOptions, Recipe};
/// let options = GeneratorOptions { rows: 6, cols: 6, boxes: 1, recipe: Recipe::VerlAgent { depth: 30 } };
/// let mut generator = Generator::new(options)?;
/// let board = generator.board(&mut stream(7, "example", &[]))?;
/// assert_eq!((board.rows(), board.boxes().len(), board.on_target()), (6, 1, 0));
/// assert_eq!(generator.board(&mut stream(7, "example", &[]))?, board);
/// # Ok::<(), stepladder_sokoban::generate::GenerateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    options: GeneratorOptions,
    search: Search,
}

impl Generator {
    /// Creates a generator.
    ///
    /// # Errors
    /// [`GenerateError::Options`] if no board with these settings exists.
    pub fn new(options: GeneratorOptions) -> Result<Self, GenerateError> {
        let GeneratorOptions { rows, cols, boxes, .. } = options;
        let side = 5..=Board::MOST;
        if !side.contains(&rows) || !side.contains(&cols) || !(1..=reverse::MOST_BOXES).contains(&boxes) {
            return Err(GenerateError::Options { rows, cols, boxes });
        }
        Ok(Self { options, search: Search::default() })
    }

    /// Draws the next board of a stream.
    ///
    /// # Errors
    /// [`GenerateError::NoBoard`] if no try gave a solvable board.
    pub fn board(&mut self, rng: &mut Rng) -> Result<Board, GenerateError> {
        let GeneratorOptions { rows, cols, boxes, recipe } = self.options;
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
