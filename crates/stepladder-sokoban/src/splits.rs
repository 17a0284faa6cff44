//! Generated boards in named, disjoint splits.
//!
//! `dev` and `test` are the first thousand different boards of their own streams; boards that are symmetric to each
//! other count as equal. Boards of `train` that occur in `dev` or `test` are drawn again.

use std::sync::OnceLock;

use rustc_hash::FxHashSet;
use stepladder_core::seed::stream;

use crate::board::Board;
use crate::generate::{Generator, GeneratorOptions, Recipe, canonical};

/// Number of boards of `dev`, and of `test`.
pub const HELD_OUT: usize = 1000;

/// Number of boards that `train` lists; higher numbers are playable too.
pub const LISTED: usize = 10_000;

/// Subset of the boards of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subset {
    /// Training: unbounded, without the boards of the other two.
    Train,
    /// Development: choices of hyperparameters.
    Dev,
    /// Final evaluation.
    Test,
}

/// A size of generated boards.
#[derive(Debug)]
pub struct BoardSize {
    /// Name after `train-`, `dev-` or `test-`: `6x6-1`.
    pub name: &'static str,
    /// Settings of the generator.
    pub options: GeneratorOptions,
    /// Step limit.
    pub max_steps: u32,
    held: OnceLock<Held>,
}

#[derive(Debug)]
struct Held {
    dev: Vec<Board>,
    test: Vec<Board>,
    /// Canonical forms of all boards of `dev` and `test`.
    taken: FxHashSet<Board>,
}

const DEPTH: Recipe = Recipe::VerlAgent { depth: 30 };

/// Registered sizes. 15 steps at 6 × 6 are verl-agent's, the other limits Stepladder's (docs/sokoban.md).
pub static SIZES: [BoardSize; 4] =
    [size("6x6-1", 6, 1, 15), size("7x7-2", 7, 2, 30), size("8x8-2", 8, 2, 40), size("10x10-3", 10, 3, 80)];

/// Size of square boards.
const fn size(name: &'static str, side: usize, boxes: usize, max_steps: u32) -> BoardSize {
    let options = GeneratorOptions { rows: side, cols: side, boxes, recipe: DEPTH };
    BoardSize { name, options, max_steps, held: OnceLock::new() }
}

/// Parses a split name into size and subset.
pub(crate) fn named(split: &str) -> Option<(&'static BoardSize, Subset)> {
    let (subset, name) = split.split_once('-')?;
    let subset = match subset {
        "train" => Subset::Train,
        "dev" => Subset::Dev,
        "test" => Subset::Test,
        _ => return None,
    };
    SIZES.iter().find(|size| size.name == name).map(|size| (size, subset))
}

impl BoardSize {
    /// Returns the board of a number. `None` past the end of `dev` and `test`.
    ///
    /// ```
    /// use stepladder_sokoban::splits::{HELD_OUT, SIZES, Subset};
    /// assert!(SIZES[0].board(Subset::Dev, HELD_OUT as u64 - 1).is_some());
    /// assert!(SIZES[0].board(Subset::Dev, HELD_OUT as u64).is_none());
    /// assert!(SIZES[0].board(Subset::Train, 123_456_789).is_some());
    /// ```
    pub fn board(&self, subset: Subset, number: u64) -> Option<Board> {
        let held = self.held();
        let list = match subset {
            Subset::Train => {
                let mut generator = self.generator()?;
                return self.training(&mut generator, number);
            }
            Subset::Dev => &held.dev,
            Subset::Test => &held.test,
        };
        list.get(usize::try_from(number).ok()?).copied()
    }

    /// Returns a training board, drawn with a reusable generator.
    pub fn training(&self, generator: &mut Generator, number: u64) -> Option<Board> {
        let name = format!("sokoban/train/{}", self.name);
        // Held-out boards are a small fraction of all, so this ends soon.
        (0..)
            .map_while(|attempt| generator.board(&mut stream(number, &name, &[attempt])).ok())
            .find(|board| !self.held().taken.contains(&canonical(board)))
    }

    /// Creates a generator of this size. `None` if its options are invalid.
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

    fn distinct(&self, subset: &str, taken: &mut FxHashSet<Board>) -> Vec<Board> {
        let name = format!("sokoban/{subset}/{}", self.name);
        let mut generator = self.generator();
        let drawn = (0..).map_while(|number| generator.as_mut()?.board(&mut stream(number, &name, &[])).ok());
        drawn.filter(|board| taken.insert(canonical(board))).take(HELD_OUT).collect()
    }
}
