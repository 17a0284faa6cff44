//! The compact encoding of Sokoban's texts (design D12): one word per cell.
//!
//! ```
//! use stepladder_env::Codec;
//! use stepladder_sokoban::SokobanCodec;
//! let board = "#####\n#PXO#\n#####";
//! assert_eq!(SokobanCodec.encode(board), "| # # # # # / # P X O # / # # # # # |");
//! assert_eq!(SokobanCodec.decode("| # # # # # / # P X O # / # # # # # |"), board);
//! assert_eq!(SokobanCodec.encode("push box from (2,3) to (2,5)"), "push 2 3 to 2 5");
//! assert_eq!(SokobanCodec.encode("left; True"), "left ;True");
//! ```

use stepladder_env::Codec;

use crate::board::{Board, Tile};
use crate::plan::{Place, Push};
use crate::text::Form;

/// Opens and closes a board.
const BOARD: &str = "|";
/// Between rows.
const ROW: &str = "/";
/// Opens a push.
const PUSH: &str = "push";
/// Between the two places of a push.
const TO: &str = "to";
/// Marks a word that stands for its own letters.
const ESCAPE: char = '\\';
/// The finished flag of an executor's reply, one word each.
const FLAGS: [(&str, &str); 2] = [("; True", ";True"), ("; False", ";False")];

/// Boards in RAGEN's form cell by cell, pushes by their numbers, everything else word by word.
#[derive(Debug, Clone, Copy, Default)]
pub struct SokobanCodec;

impl Codec for SokobanCodec {
    fn id(&self) -> &'static str {
        "sokoban/1"
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
            let Push { from, to } = push;
            return format!("{PUSH} {} {} {TO} {} {}", from.row, from.col, to.row, to.col);
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
        if let [BOARD, cells @ .., BOARD] = words.as_slice() {
            return cells.iter().map(|word| if *word == ROW { "\n" } else { word }).collect();
        }
        if let [PUSH, numbers @ ..] = words.as_slice()
            && let Some(push) = read_push(numbers)
        {
            return push.to_string();
        }
        let mut text = String::new();
        for (number, word) in words.iter().enumerate() {
            match FLAGS.iter().find(|(_, short)| short == word) {
                Some((long, _)) => text.push_str(long),
                None => {
                    if number > 0 {
                        text.push(' ');
                    }
                    text.push_str(&raw_text(word));
                }
            }
        }
        text
    }

    /// Rows and columns share their numbers already, so nothing else is shared.
    fn factors(&self, _word: &str) -> Vec<String> {
        Vec::new()
    }
}

fn board_words(board: &Board) -> String {
    let mut words = String::from(BOARD);
    for (number, tile) in board.tiles().enumerate() {
        if number > 0 && number % board.cols() == 0 {
            words.push_str(" /");
        }
        words.push(' ');
        words.push(tile.symbol());
    }
    words.push(' ');
    words.push_str(BOARD);
    words
}

fn read_push(words: &[&str]) -> Option<Push> {
    let [row, col, TO, to_row, to_col] = words else { return None };
    let place = |row: &str, col: &str| Some(Place { row: row.parse().ok()?, col: col.parse().ok()? });
    Some(Push { from: place(row, col)?, to: place(to_row, to_col)? })
}

/// Whether a word of text would be read as something else.
fn reserved(word: &str) -> bool {
    let mut symbols = word.chars();
    let cell =
        symbols.next().is_some_and(|symbol| Tile::from_symbol(symbol).is_some()) && symbols.next().is_none();
    cell || [BOARD, ROW, PUSH].contains(&word) || FLAGS.iter().any(|(_, short)| *short == word)
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

fn raw_text(word: &str) -> String {
    let Some(mut rest) = word.strip_prefix(ESCAPE) else { return word.to_owned() };
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once(ESCAPE) {
        text.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix(ESCAPE) {
            text.push(ESCAPE);
            rest = after;
        } else if let Some((hex, after)) = rest.strip_prefix("x{").and_then(|rest| rest.split_once('}'))
            && let Some(c) = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)
        {
            text.push(c);
            rest = after;
        }
    }
    text + rest
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
