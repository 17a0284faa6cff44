//! Generated households: games in the official file form, drawn from a seed, distributed as the official training games
//! are. No official game is copied: every room is composed anew from counts over all of them ([`Tables`]).
//!
//! A game is made in three steps that draw from streams of their own: the task, a room in which it can be done, and the
//! names. So another task (or a chain of tasks) can be drawn without touching how rooms are drawn.

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
pub use tables::{Goals, Histogram, Numbers, ObjectTables, RoomTables, Share, Tables};

pub use crate::dialect::Wording;

/// Goes up when the same split and seed may give another game.
pub const VERSION: u32 = 1;

/// Rooms drawn for one task before giving up. The worst task of the official table needs a few dozen.
const ATTEMPTS: u64 = 10_000;

/// Rooms of the split drawn for one chain before another chain is drawn: hardly any room suits several rare goals at
/// once. Rooms of other splits do not count, so that the chains of all splits are alike.
const ROOMS_PER_CHAIN: u64 = 100;

/// Why a household could not be read, estimated or drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The text is not a problem of the ALFRED domain.
    #[error("not a household problem: {reason}")]
    Problem {
        /// What does not fit.
        reason: String,
    },
    /// Nothing to count.
    #[error("no games to estimate the tables from")]
    NoGames,
    /// A table or game could not be written.
    #[error("household tables: {0}")]
    Json(#[from] serde_json::Error),
    /// The tables leave no room in which the goals can be reached.
    #[error("no room was found for {tasks:?} after {attempts} attempts: the tables contradict each other")]
    Unsatisfiable {
        /// The goals tried last.
        tasks: Vec<Task>,
        /// Rooms drawn.
        attempts: u64,
    },
    /// The tables name no task.
    #[error("the tables name no task to draw")]
    NoTasks,
    /// Not the name of a split.
    #[error("there is no split `{name}` of generated households; there are train, dev and test")]
    UnknownSplit {
        /// What was asked for.
        name: String,
    },
}

/// The splits of generated households. Their games are disjoint: see [`Split::owns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose by.
    Dev,
    /// To report on, once.
    Test,
}

impl Split {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

    /// Name as registered.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }

    /// Whether a room belongs to this split. Its fingerprint (everything a player can tell about it up to numbering, not
    /// the task) decides: 8 of 10 belong to train, 1 to dev, 1 to test. So no room of one split ever occurs in another,
    /// whatever the seeds and tasks.
    pub fn owns(self, household: &Household) -> bool {
        self.owns_fingerprint(household.fingerprint())
    }

    fn owns_fingerprint(self, fingerprint: u64) -> bool {
        let share = fingerprint % 10;
        match self {
            Self::Train => share < 8,
            Self::Dev => share == 8,
            Self::Test => share == 9,
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

/// Choices besides split and seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which release of the original words the game.
    pub wording: Wording,
    /// Only this family; of a chain, its first goal.
    pub family: Option<Family>,
    /// How many goals have to be reached one after another.
    pub goals: GoalCount,
}

impl Default for Options {
    fn default() -> Self {
        Self { wording: Wording::V04, family: None, goals: GoalCount::ONE }
    }
}

/// A game in the official file form, with a few keys of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedGame {
    /// Empty: the domain is the original's, whoever plays the file there fills it in.
    pub pddl_domain: String,
    /// Empty, as the domain.
    pub grammar: String,
    /// Objects, facts and goal.
    pub pddl_problem: String,
    /// Commands that win.
    pub walkthrough: Vec<String>,
    /// Always true.
    pub solvable: bool,
    /// Which release of the original words the game: `alfworld-0.4` or `alfworld-0.3`.
    pub dialect: String,
    /// What follows "Your task is to: ".
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
    /// The file's text.
    ///
    /// # Errors
    /// [`GenerateError::Json`].
    pub fn to_json(&self) -> Result<String, GenerateError> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Game number `seed` of a split, drawn from the tables of the official games.
///
/// ```
/// use stepladder_alfworld::generate::{Options, Split, generate};
/// let game = generate(Split::Dev, 7, &Options::default());
/// assert_eq!(game, generate(Split::Dev, 7, &Options::default()));
/// assert!(game.pddl_problem.contains("(:goal"));
/// ```
pub fn generate(split: Split, seed: u64, options: &Options) -> GeneratedGame {
    generate_from(Tables::official(), split, seed, options)
        .expect("the tables of the official games have a room for every one of their tasks")
}

/// What the results of [`generate`]'s game are filed under, without drawing its rooms.
///
/// # Errors
/// [`GenerateError::NoTasks`], if the tables have no task of `options.family`.
pub fn family(split: Split, seed: u64, options: &Options) -> Result<GameFamily, GenerateError> {
    if options.goals != GoalCount::ONE {
        return Ok(GameFamily::Chain(options.goals));
    }
    let rng = &mut seed::stream(seed, &stream_name(split, options.goals, "task"), &[]);
    let drawn = task::draw(Tables::official(), options.family, options.goals, rng)?;
    Ok(GameFamily::Single(drawn.tasks[0].family))
}

/// The streams of games with one goal have no number in their names: those games must stay what they are.
fn stream_name(split: Split, goals: GoalCount, part: &str) -> String {
    let chain = if goals == GoalCount::ONE { String::new() } else { format!("goals-{}/", goals.get()) };
    format!("household/{}/{chain}{part}", split.name())
}

/// As [`generate`], from other tables.
///
/// # Errors
/// [`GenerateError::NoTasks`] and [`GenerateError::Unsatisfiable`], if the tables leave nothing to draw.
pub fn generate_from(
    tables: &Tables,
    split: Split,
    seed: u64,
    options: &Options,
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

/// The name that stands in a game file.
fn dialect_name(wording: Wording) -> &'static str {
    match wording {
        Wording::V04 => "alfworld-0.4",
        Wording::V03 => "alfworld-0.3",
    }
}
