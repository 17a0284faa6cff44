//! Boards and the moves of the player.

use std::fmt;

use crate::cells::{Cell, Cells};

/// Content of a cell. The numbers are gym-sokoban's; 6, a player on a target, is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tile {
    /// A wall.
    Wall = 0,
    /// Empty floor.
    Floor = 1,
    /// A target without a box.
    Target = 2,
    /// A box on a target.
    BoxOnTarget = 3,
    /// A box that is not on a target.
    Box = 4,
    /// The player.
    Player = 5,
    /// The player on a target.
    PlayerOnTarget = 6,
}

impl Tile {
    /// All tiles, ordered by number.
    pub const ALL: [Self; 7] = [
        Self::Wall,
        Self::Floor,
        Self::Target,
        Self::BoxOnTarget,
        Self::Box,
        Self::Player,
        Self::PlayerOnTarget,
    ];
}

/// Direction of a move, in the order of gym-sokoban's actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Direction {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// One column to the left.
    Left,
    /// One column to the right.
    Right,
}

impl Direction {
    /// All directions, in the order of gym-sokoban's actions.
    pub const ALL: [Self; 4] = [Self::Up, Self::Down, Self::Left, Self::Right];

    /// Returns `up`, `down`, `left` or `right`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    /// Returns the opposite direction.
    pub fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Effect of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// None: a wall or an immovable box is in the way.
    Blocked,
    /// The player moved one cell.
    Walked,
    /// The player moved one cell and pushed a box.
    Pushed,
}

/// Why a list of cells is not a board.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// Too small, too large, or not a rectangle.
    #[error(
        "a board of {rows} rows and {cols} columns with {cells} cells: it must be a rectangle of 3 to 16 rows and columns"
    )]
    Size {
        /// Rows.
        rows: usize,
        /// Columns of the first row.
        cols: usize,
        /// Number of cells.
        cells: usize,
    },
    /// The outermost ring has a cell that is not a wall.
    #[error("row {row}, column {col} is at the border and must be a wall")]
    Open {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        col: usize,
    },
    /// The number of players is not one.
    #[error("{0} players: a board has exactly one")]
    Players(usize),
    /// The numbers of boxes and targets differ or are zero.
    #[error("{boxes} boxes and {targets} targets: a board has as many boxes as targets, at least one")]
    Boxes {
        /// Number of boxes.
        boxes: usize,
        /// Number of targets.
        targets: usize,
    },
    /// A character or number that is not a tile.
    #[error("`{0}` is not a tile")]
    Unknown(String),
}

/// Walls, targets, boxes and the player. The outermost ring is wall, so nothing can leave the board.
///
/// ```
/// use stepladder_sokoban::{Board, Direction, Form, Moved};
/// let mut board: Board = "######\n#P_XO#\n######".parse()?;
/// assert_eq!(board.step(Direction::Up), Moved::Blocked);
/// assert_eq!(board.step(Direction::Right), Moved::Walked);
/// assert_eq!(board.step(Direction::Right), Moved::Pushed);
/// assert!(board.solved());
/// assert_eq!(board.text(Form::Ragen), "######\n#__P√#\n######");
/// # Ok::<(), stepladder_sokoban::BoardError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Board {
    rows: u8,
    cols: u8,
    player: Cell,
    walls: Cells,
    targets: Cells,
    boxes: Cells,
}

impl Board {
    /// Largest number of rows and of columns.
    pub const MOST: usize = 16;

    /// Builds a board from its cells in reading order.
    ///
    /// # Errors
    /// Returns a [`BoardError`] unless the cells form a walled rectangle with one player and as many boxes as targets.
    pub fn new(rows: usize, cols: usize, tiles: &[Tile]) -> Result<Self, BoardError> {
        if rows * cols != tiles.len()
            || !(3..=Self::MOST).contains(&rows)
            || !(3..=Self::MOST).contains(&cols)
        {
            return Err(BoardError::Size { rows, cols, cells: tiles.len() });
        }
        let mut board = Self {
            rows: rows as u8,
            cols: cols as u8,
            player: Cell(0),
            walls: Cells::default(),
            targets: Cells::default(),
            boxes: Cells::default(),
        };
        let mut players = 0;
        for (number, tile) in tiles.iter().enumerate() {
            let cell = Cell(number as u8);
            let (row, col) = (number / cols, number % cols);
            let at_border = row == 0 || col == 0 || row + 1 == rows || col + 1 == cols;
            if at_border && *tile != Tile::Wall {
                return Err(BoardError::Open { row, col });
            }
            match tile {
                Tile::Wall => board.walls.add(cell),
                Tile::Box | Tile::BoxOnTarget => board.boxes.add(cell),
                Tile::Player | Tile::PlayerOnTarget => {
                    board.player = cell;
                    players += 1;
                }
                Tile::Floor | Tile::Target => {}
            }
            if matches!(tile, Tile::Target | Tile::BoxOnTarget | Tile::PlayerOnTarget) {
                board.targets.add(cell);
            }
        }
        if players != 1 {
            return Err(BoardError::Players(players));
        }
        let (boxes, targets) = (board.boxes.len(), board.targets.len());
        if boxes != targets || boxes == 0 {
            return Err(BoardError::Boxes { boxes, targets });
        }
        Ok(board)
    }

    /// Number of rows, border walls included.
    pub fn rows(&self) -> usize {
        usize::from(self.rows)
    }

    /// Number of columns, border walls included.
    pub fn cols(&self) -> usize {
        usize::from(self.cols)
    }

    /// Cell of the player.
    pub fn player(&self) -> Cell {
        self.player
    }

    /// Cells with a wall.
    pub fn walls(&self) -> &Cells {
        &self.walls
    }

    /// Cells with a target, with or without a box.
    pub fn targets(&self) -> &Cells {
        &self.targets
    }

    /// Cells with a box.
    pub fn boxes(&self) -> &Cells {
        &self.boxes
    }

    /// Returns a board with the same walls and targets, other boxes and another player cell. `None` if a box or the
    /// player would be on a wall, or the player on a box. Nothing else is checked.
    pub fn with(&self, player: Cell, boxes: Cells) -> Option<Self> {
        let inside = |cell: Cell| cell.index() < self.rows() * self.cols() && !self.walls.has(cell);
        let fits = inside(player) && !boxes.has(player) && boxes.iter().all(inside);
        fits.then_some(Self { player, boxes, ..*self })
    }

    /// Returns the cell in a row and a column, both from 0. `None` outside the board.
    pub fn cell(&self, row: usize, col: usize) -> Option<Cell> {
        (row < self.rows() && col < self.cols()).then(|| Cell((row * self.cols() + col) as u8))
    }

    /// Returns row and column of a cell, both from 0.
    pub fn position(&self, cell: Cell) -> (usize, usize) {
        (cell.index() / self.cols(), cell.index() % self.cols())
    }

    /// Returns the neighbour of a cell that is not at the border. For a border cell, which is always a wall, the result
    /// is an arbitrary cell or one past the last.
    #[inline]
    pub fn next(&self, cell: Cell, direction: Direction) -> Cell {
        Cell(match direction {
            Direction::Up => cell.0.wrapping_sub(self.cols),
            Direction::Down => cell.0.wrapping_add(self.cols),
            Direction::Left => cell.0.wrapping_sub(1),
            Direction::Right => cell.0.wrapping_add(1),
        })
    }

    /// Whether a cell has neither wall nor box.
    #[inline]
    pub fn free(&self, cell: Cell) -> bool {
        !self.walls.has(cell) && !self.boxes.has(cell)
    }

    /// Returns the content of a cell.
    pub fn tile(&self, cell: Cell) -> Tile {
        let target = self.targets.has(cell);
        if self.walls.has(cell) {
            Tile::Wall
        } else if self.boxes.has(cell) {
            if target { Tile::BoxOnTarget } else { Tile::Box }
        } else if self.player == cell {
            if target { Tile::PlayerOnTarget } else { Tile::Player }
        } else if target {
            Tile::Target
        } else {
            Tile::Floor
        }
    }

    /// Iterates over the content of all cells, in reading order.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        (0..self.rows() * self.cols()).map(|number| self.tile(Cell(number as u8)))
    }

    /// Moves the player one cell. Pushes a box in the way if the cell behind it is free.
    #[inline]
    pub fn step(&mut self, direction: Direction) -> Moved {
        let next = self.next(self.player, direction);
        if self.boxes.has(next) {
            let behind = self.next(next, direction);
            if !self.free(behind) {
                return Moved::Blocked;
            }
            self.boxes.remove(next);
            self.boxes.add(behind);
            self.player = next;
            return Moved::Pushed;
        }
        self.walk(direction)
    }

    /// Moves the player one cell if that cell is free. Never pushes.
    #[inline]
    pub fn walk(&mut self, direction: Direction) -> Moved {
        let next = self.next(self.player, direction);
        if !self.free(next) {
            return Moved::Blocked;
        }
        self.player = next;
        Moved::Walked
    }

    /// Number of boxes on targets.
    pub fn on_target(&self) -> usize {
        self.targets.common(&self.boxes)
    }

    /// Whether every box is on a target.
    #[inline]
    pub fn solved(&self) -> bool {
        self.targets == self.boxes
    }
}
