//! Boards as text, in the published forms.

use std::str::FromStr;

use crate::board::{Board, BoardError, Tile};

/// Text form of a board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// RAGEN's: one character per cell, rows separated by line breaks.
    #[default]
    Ragen,
    /// verl-agent's: a space, the character, a space and a tab per cell; rows separated by line breaks.
    VerlAgent,
}

impl Tile {
    /// Returns the character in both published forms: `#` wall, `_` floor, `O` target, `√` box on target, `X` box, `P`
    /// player, `S` player on target.
    pub fn symbol(self) -> char {
        match self {
            Self::Wall => '#',
            Self::Floor => '_',
            Self::Target => 'O',
            Self::BoxOnTarget => '√',
            Self::Box => 'X',
            Self::Player => 'P',
            Self::PlayerOnTarget => 'S',
        }
    }

    /// Returns the tile of a character.
    pub fn from_symbol(symbol: char) -> Option<Self> {
        Self::ALL.into_iter().find(|tile| tile.symbol() == symbol)
    }
}

impl Board {
    /// Formats the board.
    ///
    /// ```
    /// use stepladder_sokoban::{Board, Form};
    /// let board: Board = "#####\n#PXO#\n#####".parse()?;
    /// assert!(board.text(Form::VerlAgent).ends_with("\n # \t P \t X \t O \t # \t\n # \t # \t # \t # \t # \t"));
    /// # Ok::<(), stepladder_sokoban::BoardError>(())
    /// ```
    pub fn text(&self, form: Form) -> String {
        let mut text = String::with_capacity(self.rows() * (1 + self.cols() * 5));
        self.write(form, &mut text);
        text
    }

    /// Appends the formatted board to `text`.
    pub fn write(&self, form: Form, text: &mut String) {
        for (number, tile) in self.tiles().enumerate() {
            if number > 0 && number % self.cols() == 0 {
                text.push('\n');
            }
            match form {
                Form::Ragen => text.push(tile.symbol()),
                Form::VerlAgent => {
                    text.push(' ');
                    text.push(tile.symbol());
                    text.push_str(" \t");
                }
            }
        }
    }
}

/// Parses both published forms.
impl FromStr for Board {
    type Err = BoardError;

    fn from_str(text: &str) -> Result<Self, BoardError> {
        from_rows(text.split('\n'), |symbol| match symbol {
            ' ' | '\t' => Ok(None),
            symbol => Tile::from_symbol(symbol).map(Some).ok_or(BoardError::Unknown(symbol.to_string())),
        })
    }
}

/// Parses rows of characters; `tile` returns `None` for characters to skip.
pub(crate) fn from_rows<'a>(
    lines: impl Iterator<Item = &'a str>,
    tile: impl Fn(char) -> Result<Option<Tile>, BoardError>,
) -> Result<Board, BoardError> {
    let (mut tiles, mut rows, mut cols) = (Vec::with_capacity(128), 0, None);
    for line in lines {
        let before = tiles.len();
        for symbol in line.chars() {
            tiles.extend(tile(symbol)?);
        }
        rows += 1;
        let width = tiles.len() - before;
        if *cols.get_or_insert(width) != width || rows > Board::MOST {
            return Err(BoardError::Size { rows, cols: cols.unwrap_or(0), cells: tiles.len() });
        }
    }
    Board::new(rows, cols.unwrap_or(0), &tiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_back_the_board() {
        let board: Board = "######\n#S_X√#\n#_OX_#\n######".parse().unwrap();
        for form in [Form::Ragen, Form::VerlAgent] {
            assert_eq!(board.text(form).parse(), Ok(board));
        }
    }

    #[test]
    fn what_is_no_board_is_refused_in_one_sentence() {
        let error = |text: &str| text.parse::<Board>().unwrap_err().to_string();
        assert_eq!(error("#####\n#PXO_\n#####"), "row 1, column 4 is at the border and must be a wall");
        assert_eq!(error("#####\n#_XO#\n#####"), "0 players: a board has exactly one");
        assert_eq!(
            error("#####\n#PXX#\n#####"),
            "2 boxes and 0 targets: a board has as many boxes as targets, at least one"
        );
        assert_eq!(error("#####\n#P?O#\n#####"), "`?` is not a tile");
        for text in ["", "###", "#####\n####\n#####", &"####\n".repeat(40)] {
            assert!(error(text).starts_with("a board of "), "{text}: {}", error(text));
        }
    }
}
