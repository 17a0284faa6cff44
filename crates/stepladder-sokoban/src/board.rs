//! A board and what the player can do on it.

use std::fmt;

use crate::cells::{Cell, Cells};

/// What a cell shows. The numbers are gym-sokoban's, with 6 for a player on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tile {
    /// A wall.
    Wall = 0,
    /// Free floor.
    Floor = 1,
    /// A target without a box.
    Target = 2,
    /// A box on a target.
    BoxOnTarget = 3,
    /// A box elsewhere.
    Box = 4,
    /// The player.
    Player = 5,
    /// The player on a target.
    PlayerOnTarget = 6,
}

impl Tile {
    /// Every tile, in the order of the numbers.
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

/// A way to go. The order is that of gym-sokoban's actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Direction {
    /// One row less.
    Up,
    /// One row more.
    Down,
    /// One column less.
    Left,
    /// One column more.
    Right,
}

impl Direction {
    /// All four, in the order of gym-sokoban's actions.
    pub const ALL: [Self; 4] = [Self::Up, Self::Down, Self::Left, Self::Right];

    /// `up`, `down`, `left` or `right`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    /// The way back.
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

/// What a move did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// Nothing: a wall, or a box that does not give way.
    Blocked,
    /// The player went one cell.
    Walked,
    /// The player went one cell and pushed the box that was there.
    Pushed,
}

/// Why cells are no board.
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
        /// Cells altogether.
        cells: usize,
    },
    /// The outermost ring has a cell that is no wall.
    #[error("row {row}, column {col} lies at the border and is no wall")]
    Open {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        col: usize,
    },
    /// Not exactly one player.
    #[error("a board has one player, this one has {0}")]
    Players(usize),
    /// Boxes and targets do not pair up, or there are none.
    #[error("{boxes} boxes and {targets} targets: a board has equally many, at least one")]
    Boxes {
        /// Boxes.
        boxes: usize,
        /// Targets.
        targets: usize,
    },
    /// A character or number that stands for no cell.
    #[error("`{0}` stands for no cell")]
    Unknown(String),
}

/// Walls, targets, boxes and the player. The outermost ring is wall, so nothing ever leaves the board.
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
    /// Most rows, and most columns.
    pub const MOST: usize = 16;

    /// A board from its cells in reading order.
    ///
    /// # Errors
    /// [`BoardError`] unless the cells are a walled rectangle with one player and a target for every box.
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

    /// Rows, the walls at the border included.
    pub fn rows(&self) -> usize {
        usize::from(self.rows)
    }

    /// Columns, the walls at the border included.
    pub fn cols(&self) -> usize {
        usize::from(self.cols)
    }

    /// Where the player is.
    pub fn player(&self) -> Cell {
        self.player
    }

    /// Where walls are.
    pub fn walls(&self) -> &Cells {
        &self.walls
    }

    /// Where targets are, with or without a box.
    pub fn targets(&self) -> &Cells {
        &self.targets
    }

    /// Where boxes are.
    pub fn boxes(&self) -> &Cells {
        &self.boxes
    }

    /// The same walls and targets with other boxes and another place of the player. Nothing is checked but that these
    /// are free cells: `None` if one is a wall, or the player stands where a box is.
    pub fn with(&self, player: Cell, boxes: Cells) -> Option<Self> {
        let inside = |cell: Cell| cell.index() < self.rows() * self.cols() && !self.walls.has(cell);
        let fits = inside(player) && !boxes.has(player) && boxes.iter().all(inside);
        fits.then_some(Self { player, boxes, ..*self })
    }

    /// The cell of a row and a column, both from 0.
    pub fn cell(&self, row: usize, col: usize) -> Option<Cell> {
        (row < self.rows() && col < self.cols()).then(|| Cell((row * self.cols() + col) as u8))
    }

    /// Row and column of a cell, both from 0.
    pub fn position(&self, cell: Cell) -> (usize, usize) {
        (cell.index() / self.cols(), cell.index() % self.cols())
    }

    /// The cell next to one that is not at the border. (Cells at the border are walls, where nothing ever stands; from
    /// there the result is some cell of the board or beyond its last.)
    #[inline]
    pub fn next(&self, cell: Cell, direction: Direction) -> Cell {
        Cell(match direction {
            Direction::Up => cell.0.wrapping_sub(self.cols),
            Direction::Down => cell.0.wrapping_add(self.cols),
            Direction::Left => cell.0.wrapping_sub(1),
            Direction::Right => cell.0.wrapping_add(1),
        })
    }

    /// Whether neither wall nor box is there.
    #[inline]
    pub fn free(&self, cell: Cell) -> bool {
        !self.walls.has(cell) && !self.boxes.has(cell)
    }

    /// What a cell shows.
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

    /// What all cells show, in reading order.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        (0..self.rows() * self.cols()).map(|number| self.tile(Cell(number as u8)))
    }

    /// Goes one cell, pushing a box that is there if the cell behind it is free.
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

    /// Goes one cell if it is free; pushes nothing.
    #[inline]
    pub fn walk(&mut self, direction: Direction) -> Moved {
        let next = self.next(self.player, direction);
        if !self.free(next) {
            return Moved::Blocked;
        }
        self.player = next;
        Moved::Walked
    }

    /// How many boxes are on targets.
    pub fn on_target(&self) -> usize {
        self.targets.common(&self.boxes)
    }

    /// Whether every box is on a target.
    #[inline]
    pub fn solved(&self) -> bool {
        self.targets == self.boxes
    }
}
