//! Generated boards in named splits that never overlap.
//!
//! `dev` and `test` are the first thousand different boards of their own streams; a board counts as the same when it
//! can be turned or mirrored into the other. Boards of `train` that occur in `dev` or `test` are drawn again.

use std::sync::OnceLock;

use rustc_hash::FxHashSet;
use stepladder_core::seed::stream;

use crate::board::Board;
use crate::generate::{Generator, Options, Recipe, canonical};

/// Boards of `dev`, and of `test`.
pub const HELD_OUT: usize = 1000;

/// Boards that `train` lists; any number can be played.
pub const LISTED: usize = 10_000;

/// The three parts of every size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// As many boards as wanted, none of the other two parts.
    Train,
    /// For choices during development.
    Dev,
    /// For the end.
    Test,
}

/// A size of generated boards.
#[derive(Debug)]
pub struct Kind {
    /// What stands behind `train-`, `dev-` and `test-`: `6x6-1`.
    pub name: &'static str,
    /// What is drawn.
    pub options: Options,
    /// Step limit.
    pub max_steps: u32,
    held: OnceLock<Held>,
}

#[derive(Debug)]
struct Held {
    dev: Vec<Board>,
    test: Vec<Board>,
    /// Canonical forms of both.
    taken: FxHashSet<Board>,
}

const DEPTH: Recipe = Recipe::VerlAgent { depth: 30 };

/// The registered sizes. 15 steps at 6 × 6 are verl-agent's; 40 at 8 × 8 are ours and leave the same room: 99 of
/// 100 shortest solutions have at most 9 and 22 moves (docs/sokoban.md).
pub static KINDS: [Kind; 2] = [
    Kind {
        name: "6x6-1",
        options: Options { rows: 6, cols: 6, boxes: 1, recipe: DEPTH },
        max_steps: 15,
        held: OnceLock::new(),
    },
    Kind {
        name: "8x8-2",
        options: Options { rows: 8, cols: 8, boxes: 2, recipe: DEPTH },
        max_steps: 40,
        held: OnceLock::new(),
    },
];

/// Size and part of a split name.
pub(crate) fn named(split: &str) -> Option<(&'static Kind, Part)> {
    let (part, name) = split.split_once('-')?;
    let part = match part {
        "train" => Part::Train,
        "dev" => Part::Dev,
        "test" => Part::Test,
        _ => return None,
    };
    KINDS.iter().find(|kind| kind.name == name).map(|kind| (kind, part))
}

impl Kind {
    /// The board of a number. `None` beyond the end of `dev` and `test`.
    ///
    /// ```
    /// use stepladder_sokoban::splits::{HELD_OUT, KINDS, Part};
    /// assert!(KINDS[0].board(Part::Dev, HELD_OUT as u64 - 1).is_some());
    /// assert!(KINDS[0].board(Part::Dev, HELD_OUT as u64).is_none());
    /// assert!(KINDS[0].board(Part::Train, 123_456_789).is_some());
    /// ```
    pub fn board(&self, part: Part, number: u64) -> Option<Board> {
        let held = self.held();
        let list = match part {
            Part::Train => {
                let mut generator = self.generator()?;
                return self.training(&mut generator, number);
            }
            Part::Dev => &held.dev,
            Part::Test => &held.test,
        };
        list.get(usize::try_from(number).ok()?).copied()
    }

    /// A training board; the generator keeps its memory from one to the next.
    pub fn training(&self, generator: &mut Generator, number: u64) -> Option<Board> {
        let name = format!("sokoban/train/{}", self.name);
        // Held-out boards are a small part of all, so this ends soon.
        (0..)
            .map_while(|attempt| generator.board(&mut stream(number, &name, &[attempt])).ok())
            .find(|board| !self.held().taken.contains(&canonical(board)))
    }

    /// A generator of this size.
    pub fn generator(&self) -> Option<Generator> {
        Generator::new(self.options).ok()
    }

    fn held(&self) -> &Held {
        self.held.get_or_init(|| {
            let mut taken = FxHashSet::default();
            let dev = self.distinct("dev", &mut taken);
            let test = self.distinct("test", &mut taken);
            Held { dev, test, taken }
        })
    }

    fn distinct(&self, part: &str, taken: &mut FxHashSet<Board>) -> Vec<Board> {
        let name = format!("sokoban/{part}/{}", self.name);
        let mut generator = self.generator();
        let drawn = (0..).map_while(|number| generator.as_mut()?.board(&mut stream(number, &name, &[])).ok());
        drawn.filter(|board| taken.insert(canonical(board))).take(HELD_OUT).collect()
    }
}
