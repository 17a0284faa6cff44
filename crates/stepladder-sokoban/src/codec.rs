//! Compact encoding of Sokoban's texts (docs/design.md D12): one word per cell that is not a wall, which includes its
//! position, and one word per position in a push. Cells and pushes share the embeddings of rows and columns, so a model
//! need not count words to find positions.
//!
//! ```
//! use stepladder_core::Codec;
//! use stepladder_sokoban::SokobanCodec;
//! let board = "#####\n#PXO#\n#####";
//! assert_eq!(SokobanCodec.encode(board), "|3.5 P1.1 X1.2 O1.3");
//! assert_eq!(SokobanCodec.decode("|3.5 P1.1 X1.2 O1.3"), board);
//! assert_eq!(SokobanCodec.encode("push box from (2,3) to (2,5)"), "@2.3 @2.5");
//! assert_eq!(SokobanCodec.encode("left; True"), "left ;True");
//! assert_eq!(SokobanCodec.factors("X1.2"), ["tile X", "row 1", "col 2"]);
//! ```

use stepladder_core::Codec;
use stepladder_core::codec::{Briefing, unescape};

use crate::board::{Board, Tile};
use crate::plan::{Place, Push};
use crate::text::Form;

/// Begins a board; rows and columns follow.
const BOARD: char = '|';
/// Begins a position.
const PLACE: char = '@';
/// Task description, equal for all tasks, and its word.
const TASKS: (&str, &str) = (crate::env::TASK, "solve");
/// Text before the position in a progress text.
const BOX_AT: &str = "box at ";
/// Begins a word that is spelled out literally.
const ESCAPE: char = '\\';
/// The completion flag of an executor's reply, one word each.
const FLAGS: [(&str, &str); 2] = [("; True", ";True"), ("; False", ";False")];

/// Codec of Sokoban: boards in RAGEN's form by their cells, pushes by their positions, all other text word by word.
#[derive(Debug, Clone, Copy, Default)]
pub struct SokobanCodec;

impl Codec for SokobanCodec {
    fn id(&self) -> &'static str {
        "sokoban/2"
    }

    fn briefing(&self) -> Briefing {
        Briefing {
            scene: "You solve a Sokoban puzzle; boxes can be pushed, not pulled.",
            actions: "Moves: up, down, left, right. Positions are (row,column), counted from 0 at the top left.",
            context: "Board",
            legend: "In boards # is a wall, _ floor, O a target, X a box, √ a box on a target, P you, S you on a target.",
        }
    }

    fn encode(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        if let Ok(board) = text.parse::<Board>()
            && board.text(Form::Ragen) == text
        {
            return board_words(&board);
        }
        if let Some(push) = Push::parse(text)
            && push.to_string() == text
        {
            return format!("{} {}", place_word(push.from), place_word(push.to));
        }
        if text == TASKS.0 {
            return TASKS.1.to_owned();
        }
        if let Some(place) = text.strip_prefix(BOX_AT).and_then(Place::parse)
            && format!("{BOX_AT}{place}") == text
        {
            return place_word(place);
        }
        let (body, flag) = FLAGS
            .iter()
            .find_map(|(long, short)| text.strip_suffix(long).map(|body| (body, Some(*short))))
            .unwrap_or((text, None));
        let words = body.split(' ').map(raw_word).chain(flag.map(str::to_owned));
        words.collect::<Vec<_>>().join(" ")
    }

    fn decode(&self, compact: &str) -> String {
        let words: Vec<&str> = compact.split(' ').filter(|word| !word.is_empty()).collect();
        if let Some(board) = read_board(&words) {
            return board;
        }
        match words.as_slice() {
            [from, to] => {
                if let (Some(from), Some(to)) = (read_place(from), read_place(to)) {
                    return Push { from, to }.to_string();
                }
            }
            [word] if *word == TASKS.1 => return TASKS.0.to_owned(),
            [place] => {
                if let Some(place) = read_place(place) {
                    return format!("{BOX_AT}{place}");
                }
            }
            _ => {}
        }
        let mut text = String::new();
        for (number, word) in words.iter().enumerate() {
            match FLAGS.iter().find(|(_, short)| short == word) {
                Some((long, _)) => text.push_str(long),
                None => {
                    if number > 0 {
                        text.push(' ');
                    }
                    text.push_str(&unescape(word));
                }
            }
        }
        text
    }

    fn factors(&self, word: &str) -> Vec<String> {
        let Some((tile, place)) = read_cell(word) else { return Vec::new() };
        vec![format!("tile {tile}"), format!("row {}", place.row), format!("col {}", place.col)]
    }
}

fn board_words(board: &Board) -> String {
    let mut words = format!("{BOARD}{}.{}", board.rows(), board.cols());
    for (number, tile) in board.tiles().enumerate().filter(|(_, tile)| *tile != Tile::Wall) {
        let (row, col) = (number / board.cols(), number % board.cols());
        words.push_str(&format!(" {}{row}.{col}", tile.symbol()));
    }
    words
}

/// Decodes a board to text. If two words name one cell, the later one counts; cells outside the board are ignored.
fn read_board(words: &[&str]) -> Option<String> {
    let (first, cells) = words.split_first()?;
    let size = read_pair(first.strip_prefix(BOARD)?)?;
    if size.row > MOST || size.col > MOST {
        return None;
    }
    let mut tiles = vec![vec![Tile::Wall.symbol(); size.col]; size.row];
    for word in cells {
        let (tile, place) = read_cell(word).filter(|(tile, _)| *tile != PLACE)?;
        if let Some(cell) = tiles.get_mut(place.row).and_then(|row| row.get_mut(place.col)) {
            *cell = tile;
        }
    }
    let rows: Vec<String> = tiles.into_iter().map(|row| row.into_iter().collect()).collect();
    Some(rows.join("\n"))
}

/// Limit on rows and columns of a decoded board, far above the size of any real board.
const MOST: usize = 64;

fn place_word(place: Place) -> String {
    format!("{PLACE}{}.{}", place.row, place.col)
}

fn read_place(word: &str) -> Option<Place> {
    read_cell(word).filter(|(tile, _)| *tile == PLACE).map(|(_, place)| place)
}

/// Splits a word into its leading character (a tile or [`PLACE`]) and its position.
fn read_cell(word: &str) -> Option<(char, Place)> {
    let mut symbols = word.chars();
    let symbol = symbols.next()?;
    let known = symbol == PLACE || Tile::from_symbol(symbol).is_some();
    let place = read_pair(symbols.as_str()).filter(|_| known)?;
    Some((symbol, place))
}

/// Parses two numbers in the form that the encoder writes, without leading zeros.
fn read_pair(text: &str) -> Option<Place> {
    let (row, col) = text.split_once('.')?;
    let number = |digits: &str| digits.parse::<usize>().ok().filter(|number| number.to_string() == digits);
    Some(Place { row: number(row)?, col: number(col)? })
}

/// Whether a word of plain text would decode to something else.
fn reserved(word: &str) -> bool {
    read_cell(word).is_some()
        || word.starts_with(BOARD)
        || word == TASKS.1
        || FLAGS.iter().any(|(_, short)| *short == word)
}

fn raw_word(word: &str) -> String {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if !word.is_empty() && !word.starts_with(ESCAPE) && !word.contains(odd) && !reserved(word) {
        return word.to_owned();
    }
    let mut escaped = String::from(ESCAPE);
    for c in word.chars() {
        match c {
            ESCAPE => escaped.push_str("\\\\"),
            c if odd(c) => escaped.push_str(&format!("\\x{{{:x}}}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) {
        let compact = SokobanCodec.encode(text);
        assert_eq!(SokobanCodec.decode(&compact), text, "{compact}");
        assert!(text.is_empty() || compact.split(' ').all(|word| !word.is_empty()));
        assert!(!compact.contains(|c: char| c.is_whitespace() && c != ' '), "{compact:?}");
    }

    #[test]
    fn what_only_resembles_a_form_is_spelled_out() {
        let board: Board = "#####\n#PXO#\n#####".parse().unwrap();
        let cells = board.text(Form::VerlAgent);
        for text in [
            "",
            " ",
            "|",
            "push",
            "push 1 2 to 1 4",
            "push box from (1,2) to (2,4)",
            "push box from (1,2) to (1,02)",
            "| # / # |",
            "|1.2 P0.0",
            "@1.2",
            "X1.2",
            "solve",
            "box at (1,2)",
            "box at (1, 2)",
            "; True",
            ";True",
            "a; True; False",
            "None",
            "\\x{41}",
            "two  spaces ",
            "#####\n#PXO#\n####",
            crate::env::TASK,
            &cells,
        ] {
            check(text);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "([a#P√|/\\\\x{}0-9;,() \n\t]|push|to|True|False|box){0,12}") {
            check(&text);
        }

        #[test]
        fn any_words_decode_to_something(words in "([#PO|/]|push|to|;True|[0-9]{1,30}| ){0,14}") {
            let _ = SokobanCodec.decode(&words);
        }
    }
}
