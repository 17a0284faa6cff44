//! Generated households: games in the official file format, drawn from a seed with the distribution of the official
//! training games. No official game is copied: every room is composed from counts over all of them ([`Tables`]).
//!
//! A game is drawn in three steps with separate streams: the task, a room in which it is possible, and the names. The
//! task (or a chain) can therefore change without affecting the drawing of rooms.

mod chain;
mod contents;
pub mod distribution;
mod draw;
mod estimate;
mod household;
mod layout;
mod name;
mod pddl;
mod plan;
mod tables;
mod task;

use serde::{Deserialize, Serialize};
use stepladder_core::seed;

pub use chain::{GameFamily, GoalCount, read_chain};
pub use estimate::estimate;
pub use household::{
    Family, Household, Object, Receptacle, Room, Task, kind_of_id, read_problem, short_names,
};
pub use tables::{Combinations, Goals, Histogram, ObjectTables, Rate, RoomTables, Tables};

pub use crate::dialect::Wording;

/// Version of the generator, raised when a split and seed may give another game.
pub const VERSION: u32 = 1;

/// Rooms drawn for one task before giving up. The hardest task of the official table needs a few dozen.
const ATTEMPTS: u64 = 10_000;

/// Rooms of the split drawn for one chain before another chain is drawn, because few rooms suit several rare goals.
/// Rooms of other splits do not count, so the chains of all splits have the same distribution.
const ROOMS_PER_CHAIN: u64 = 100;

/// Why a household cannot be parsed, estimated or drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The text is not a problem of the ALFRED domain.
    #[error("not a household problem: {reason}")]
    Problem {
        /// Invalid part.
        reason: String,
    },
    /// The set of games is empty.
    #[error("no games to estimate the tables from")]
    NoGames,
    /// A table or game cannot be written.
    #[error("household tables: {0}")]
    Json(#[from] serde_json::Error),
    /// No room drawn from the tables allows the goals.
    #[error("no room was found for {tasks:?} after {attempts} attempts: the tables contradict each other")]
    Unsatisfiable {
        /// The goals tried last.
        tasks: Vec<Task>,
        /// Number of rooms drawn.
        attempts: u64,
    },
    /// The tables have no matching task.
    #[error("the tables name no task to draw")]
    NoTasks,
    /// The split does not exist.
    #[error("there is no split `{name}` of generated households; there are train, dev and test")]
    UnknownSplit {
        /// Requested name.
        name: String,
    },
}

/// Splits of generated households. Their games are disjoint, see [`Split::owns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Training.
    Train,
    /// Development: choices of hyperparameters.
    Dev,
    /// Final evaluation.
    Test,
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

    /// Registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }

    /// Whether a room belongs to this split. The fingerprint of the room decides, which covers everything observable up
    /// to numbering, but not the task: 8 of 10 rooms belong to train, 1 to dev, 1 to test. So no room occurs in two
    /// splits, for any seeds and tasks.
    pub fn owns(self, household: &Household) -> bool {
        self.owns_fingerprint(household.fingerprint())
    }

    fn owns_fingerprint(self, fingerprint: u64) -> bool {
        let bucket = fingerprint % 10;
        match self {
            Self::Train => bucket < 8,
            Self::Dev => bucket == 8,
            Self::Test => bucket == 9,
        }
    }
}

impl std::str::FromStr for Split {
    type Err = GenerateError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|split| split.name() == name)
            .ok_or_else(|| GenerateError::UnknownSplit { name: name.to_owned() })
    }
}

/// Settings besides split and seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratorOptions {
    /// Release of the original whose wording the game uses.
    pub wording: Wording,
    /// Restricts the task to one family; in a chain, the first goal.
    pub family: Option<Family>,
    /// Number of goals, to be reached in order.
    pub goals: GoalCount,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        Self { wording: Wording::V04, family: None, goals: GoalCount::ONE }
    }
}

/// A game in the official file format, with a few additional keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedGame {
    /// Empty: to be filled with the original's domain before the original plays the file.
    pub pddl_domain: String,
    /// Empty, like the domain.
    pub grammar: String,
    /// Objects, facts and goal.
    pub pddl_problem: String,
    /// Commands of a solution.
    pub walkthrough: Vec<String>,
    /// Always true.
    pub solvable: bool,
    /// Release of the original whose wording the game uses: `alfworld-0.4` or `alfworld-0.3`.
    pub dialect: String,
    /// Task sentence, the text after "Your task is to: ".
    pub task: String,
    /// Task family, or the length of the chain.
    pub family: GameFamily,
    /// Kind of room.
    pub room: Room,
    /// Version of the generator.
    pub generator: u32,
    /// Split.
    pub split: Split,
    /// Number of the game in its split.
    pub seed: u64,
}

impl GeneratedGame {
    /// Formats the game file.
    ///
    /// # Errors
    /// [`GenerateError::Json`] if serialisation fails.
    pub fn to_json(&self) -> Result<String, GenerateError> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Draws game number `seed` of a split from the tables of the official games.
///
/// # Panics
/// If the tables of the official games have no room for a task, which tests exclude.
///
/// ```
/// use stepladder_alfworld::generate::{GeneratorOptions, Split, generate};
/// let game = generate(Split::Dev, 7, &GeneratorOptions::default());
/// assert_eq!(game, generate(Split::Dev, 7, &GeneratorOptions::default()));
/// assert!(game.pddl_problem.contains("(:goal"));
/// ```
pub fn generate(split: Split, seed: u64, options: &GeneratorOptions) -> GeneratedGame {
    generate_from(Tables::official(), split, seed, options)
        .expect("the tables of the official games have a room for every one of their tasks")
}

/// Returns the family of [`generate`]'s game without drawing its rooms.
///
/// # Errors
/// [`GenerateError::NoTasks`] if the tables have no task of `options.family`.
pub fn family(split: Split, seed: u64, options: &GeneratorOptions) -> Result<GameFamily, GenerateError> {
    if options.goals != GoalCount::ONE {
        return Ok(GameFamily::Chain(options.goals));
    }
    let rng = &mut seed::stream(seed, &stream_name(split, options.goals, "task"), &[]);
    let drawn = task::draw(Tables::official(), options.family, options.goals, rng)?;
    Ok(GameFamily::Single(drawn.tasks[0].family))
}

/// Name of a stream. For one goal it has no number: those games must remain unchanged.
fn stream_name(split: Split, goals: GoalCount, part: &str) -> String {
    let chain = if goals == GoalCount::ONE { String::new() } else { format!("goals-{}/", goals.get()) };
    format!("household/{}/{chain}{part}", split.name())
}

/// Draws a game like [`generate`], from other tables.
///
/// # Errors
/// [`GenerateError::NoTasks`] and [`GenerateError::Unsatisfiable`] if nothing can be drawn from the tables.
pub fn generate_from(
    tables: &Tables,
    split: Split,
    seed: u64,
    options: &GeneratorOptions,
) -> Result<GeneratedGame, GenerateError> {
    let goals = options.goals;
    let chain = if goals == GoalCount::ONE { String::new() } else { format!("goals-{}/", goals.get()) };
    let stream = |part: &str, indices: &[u64]| seed::stream(seed, &stream_name(split, goals, part), indices);
    let draw = |indices: &[u64]| task::draw(tables, options.family, goals, &mut stream("task", indices));
    let mut drawn = draw(if chain.is_empty() { &[] } else { &[0] })?;
    let attempts = ATTEMPTS * goals.get() as u64;
    let mut unsuitable = 0;
    for attempt in 0..attempts {
        let Some(room) = tables.rooms.get(&drawn.room) else { continue };
        let tasks = &drawn.tasks;
        let rng = &mut stream("room", &[attempt]);
        let layout = layout::draw(room, tasks, rng);
        let items = contents::draw(tables, room, &layout, tasks, rng);
        let fingerprint = household::fingerprint(
            layout.receptacles.iter().map(|one| (one.kind.as_str(), one.openable, one.group)),
            items.iter().map(|one| (one.kind.as_str(), one.inside.as_slice())),
        );
        if !split.owns_fingerprint(fingerprint) {
            continue;
        }
        let mut household = name::name(drawn.room, room, &layout, &items, rng);
        let Some(plan) = plan::plan(&household, tasks, tables, options.wording) else {
            unsuitable += 1;
            if !chain.is_empty() && unsuitable % ROOMS_PER_CHAIN == 0 {
                drawn = draw(&[unsuitable / ROOMS_PER_CHAIN])?;
            }
            continue;
        };
        for (task, targets) in tasks.iter().zip(&plan.targets) {
            task::chill(&mut household, task, targets);
        }
        let name = format!("household_{}_{}{seed}", split.name(), chain.replace(['-', '/'], "_"));
        return Ok(GeneratedGame {
            pddl_domain: String::new(),
            grammar: String::new(),
            pddl_problem: pddl::write(&name, &household, tasks, tables),
            walkthrough: plan.commands,
            solvable: true,
            dialect: dialect_name(options.wording).to_owned(),
            task: pddl::sentences(tasks, &drawn.second_wording),
            family: match tasks.as_slice() {
                [task] => GameFamily::Single(task.family),
                _ => GameFamily::Chain(goals),
            },
            room: drawn.room,
            generator: VERSION,
            split,
            seed,
        });
    }
    Err(GenerateError::Unsatisfiable { tasks: drawn.tasks, attempts })
}

/// Name of a wording in game files.
fn dialect_name(wording: Wording) -> &'static str {
    match wording {
        Wording::V04 => "alfworld-0.4",
        Wording::V03 => "alfworld-0.3",
    }
}
