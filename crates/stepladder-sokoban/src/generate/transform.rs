//! Symmetries of boards.

use crate::board::{Board, Tile};

/// Returns the smallest of a board's turned and mirrored forms, equal for boards that are symmetric to each other.
pub(crate) fn canonical(board: &Board) -> Board {
    let (rows, cols) = (board.rows(), board.cols());
    let tiles: Vec<Tile> = board.tiles().collect();
    let mut best = *board;
    let mut turned = tiles.clone();
    for number in 1..8 {
        // Bit 0 swaps rows and columns, bit 1 mirrors rows, bit 2 columns: together all eight symmetries of a square.
        let (height, width) = if number & 1 == 0 { (rows, cols) } else { (cols, rows) };
        for (place, tile) in turned.iter_mut().enumerate() {
            let (mut row, mut col) = (place / width, place % width);
            if number & 1 != 0 {
                (row, col) = (col, row);
            }
            if number & 2 != 0 {
                row = rows - 1 - row;
            }
            if number & 4 != 0 {
                col = cols - 1 - col;
            }
            *tile = tiles[row * cols + col];
        }
        // A turned board is always valid.
        if let Ok(other) = Board::new(height, width, &turned) {
            best = best.min(other);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turned_and_mirrored_boards_are_one() {
        let forms = [
            "#####\n#PXO#\n##__#\n#####",
            "#####\n#OXP#\n#__##\n#####",
            "#####\n##__#\n#PXO#\n#####",
            "####\n#P##\n#X_#\n#O_#\n####",
            "####\n#_O#\n#_X#\n##P#\n####",
        ];
        let all: Vec<Board> = forms.iter().map(|form| canonical(&form.parse().unwrap())).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
        assert_ne!(all[0], canonical(&"#####\n#XPO#\n##__#\n#####".parse().unwrap()));
    }
}
