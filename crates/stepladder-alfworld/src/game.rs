//! A game, compiled: things are numbers, names are rendered once, relations are bits.

use std::borrow::Cow;
use std::path::Path;

use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::bits::BitMatrix;
use crate::build;
use crate::dialect::{Dialect, TASK_LABEL};
use crate::error::{FileError, GameError};
use crate::goal::Goal;
use crate::list::CommandList;
use crate::problem::Problem;
use crate::rules::State;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        ///
        /// Numbers follow the order of the PDDL names, which is the order in which the original lists things.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u16);

        impl $name {
            /// Position in the game's list of such things.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    )*};
}

ids! {
    /// An object of a game.
    ObjectId,
    /// A receptacle of a game.
    ReceptacleId,
    /// A place of a game where the agent can stand.
    LocationId,
}

/// An object, a receptacle or a place, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Object(ObjectId),
    Receptacle(ReceptacleId),
}

/// What does not change about an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    pub(crate) name: String,
    /// Place in the alphabetical order of all names of objects and receptacles.
    pub(crate) rank: u16,
    /// PDDL object types.
    pub(crate) kinds: Vec<u16>,
    pub(crate) pickupable: bool,
    pub(crate) cleanable: bool,
    pub(crate) heatable: bool,
    pub(crate) coolable: bool,
    pub(crate) toggleable: bool,
    pub(crate) sliceable: bool,
    /// A knife or a butter knife.
    pub(crate) cuts: bool,
    pub(crate) holds_objects: bool,
    /// What lies in it, when it is a bowl or the like; constant in the original.
    pub(crate) inside: Vec<ObjectId>,
}

/// What does not change about a receptacle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receptacle {
    pub(crate) name: String,
    pub(crate) rank: u16,
    /// PDDL receptacle types.
    pub(crate) kinds: Vec<u16>,
    pub(crate) location: Option<LocationId>,
    pub(crate) openable: bool,
    pub(crate) is_sink_basin: bool,
    pub(crate) cleans: bool,
    pub(crate) heats: bool,
    pub(crate) cools: bool,
}

/// A place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Location {
    pub(crate) name: String,
    /// In the order of the listings.
    pub(crate) receptacles: Vec<ReceptacleId>,
    /// The same in alphabetical order.
    pub(crate) receptacles_by_name: Vec<ReceptacleId>,
    /// Their positions in [`Game::goto`], ascending.
    pub(crate) goto: Vec<usize>,
}

/// A game ready to be played. Never changes; share it between episodes with an `Arc`.
#[derive(Debug)]
pub struct Game {
    pub(crate) dialect: Dialect,
    pub(crate) task: String,
    pub(crate) family: String,
    pub(crate) walkthrough: Vec<String>,
    pub(crate) solvable: bool,
    pub(crate) objects: Vec<Object>,
    pub(crate) receptacles: Vec<Receptacle>,
    pub(crate) locations: Vec<Location>,
    /// (receptacle, object): the receptacle's type may contain the object's type.
    pub(crate) accepts: BitMatrix,
    /// One row: what can be switched on.
    pub(crate) toggleable: BitMatrix,
    /// One row: what can be taken.
    pub(crate) pickupable: BitMatrix,
    /// `go to …` for every receptacle that stands somewhere, sorted.
    pub(crate) goto: CommandList,
    pub(crate) names: FxHashMap<String, Named>,
    pub(crate) initial: State,
    /// What has to be reached, in this order; never empty. Official games have one goal.
    pub(crate) goals: Vec<Goal>,
}

/// A game file. Generated games leave out the two texts and name their dialect and task instead.
#[derive(Deserialize)]
struct GameFile<'a> {
    #[serde(borrow)]
    pddl_domain: Cow<'a, str>,
    #[serde(borrow)]
    grammar: Cow<'a, str>,
    #[serde(borrow)]
    pddl_problem: Cow<'a, str>,
    #[serde(default)]
    walkthrough: Vec<String>,
    #[serde(default = "yes")]
    solvable: bool,
    dialect: Option<String>,
    task: Option<String>,
    family: Option<String>,
}

fn yes() -> bool {
    true
}

/// The part of `traj_data.json` that names the task family.
#[derive(Deserialize)]
struct Trajectory {
    task_type: String,
}

/// The six task families of the official games.
pub const FAMILIES: [&str; 6] = [
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
];

impl Game {
    /// Loads a game file, official or generated.
    ///
    /// # Errors
    /// [`FileError`] naming the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let wrap = |error| FileError { path: path.to_owned(), error };
        let text = std::str::from_utf8;
        let bytes = fs_err::read(path).map_err(|error| wrap(GameError::Read(plain(error))))?;
        let text = text(&bytes).map_err(|error| {
            wrap(GameError::Read(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
        })?;
        let mut game = Self::from_json(text).map_err(wrap)?;
        if game.family.is_empty() {
            game.family = family_of(path).unwrap_or_else(|| "unknown".to_owned());
        }
        Ok(game)
    }

    /// Compiles the text of a game file. The family of an official game is not in its text and stays empty.
    ///
    /// # Errors
    /// [`GameError`].
    pub fn from_json(text: &str) -> Result<Self, GameError> {
        let file: GameFile<'_> = serde_json::from_str(text)?;
        let (dialect, task) = if file.pddl_domain.is_empty() && file.grammar.is_empty() {
            let why = "a game without domain and grammar text must name it";
            let dialect = file.dialect.as_deref().ok_or(GameError::MissingKey { key: "dialect", why })?;
            let task = file.task.ok_or(GameError::MissingKey { key: "task", why })?;
            (Dialect::named(dialect)?, task)
        } else {
            Dialect::recognise(&file.pddl_domain, &file.grammar)?
        };
        let lower = file.pddl_problem.to_ascii_lowercase();
        let about = build::About {
            dialect,
            task,
            family: file.family.unwrap_or_default(),
            walkthrough: file.walkthrough,
            solvable: file.solvable,
        };
        build::game(&Problem::parse(&lower)?, about)
    }

    /// Rules and wording.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What follows "Your task is to: ".
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The complete task line.
    pub(crate) fn task_line(&self) -> [&str; 2] {
        [TASK_LABEL, &self.task]
    }

    /// Number of goals that have to be reached one after another; 1 in every official game.
    pub fn goal_count(&self) -> usize {
        self.goals.len()
    }

    /// Task family, for example `pick_heat_then_place_in_recep`, or `goals_3` for a chain of three goals.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The solution that came with the game.
    pub fn walkthrough(&self) -> &[String] {
        &self.walkthrough
    }

    /// Whether the game's makers found it solvable.
    pub fn solvable(&self) -> bool {
        self.solvable
    }

    /// Name of an object, as in `mug 1`.
    pub fn object_name(&self, object: ObjectId) -> &str {
        &self.objects[object.index()].name
    }

    /// Name of a receptacle, as in `fridge 1`.
    pub fn receptacle_name(&self, receptacle: ReceptacleId) -> &str {
        &self.receptacles[receptacle.index()].name
    }
}

/// The operating system's reason without the path, which the message names already.
fn plain(error: std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or(error, std::io::Error::from_raw_os_error)
}

/// The family in the name of an official task directory, such as `pick_and_place_simple-Mug-None-Desk-308`.
pub(crate) fn family_in(directory: &str) -> Option<&'static str> {
    let name = directory.split('-').next().unwrap_or_default();
    FAMILIES.into_iter().find(|family| *family == name)
}

/// Family of an official game: from the task directory's name, else from the trajectory file beside the game.
fn family_of(path: &Path) -> Option<String> {
    let directory = path.parent()?;
    let task =
        directory.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(family) = family_in(task) {
        return Some(family.to_owned());
    }
    let text = fs_err::read_to_string(directory.join("traj_data.json")).ok()?;
    serde_json::from_str::<Trajectory>(&text).ok().map(|trajectory| trajectory.task_type)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::Engine;

    const KITCHEN: &str = include_str!("../tests/kitchen/kitchen.tw-pddl");

    proptest! {
        /// Any damage to a game is an error or another game, never a panic.
        #[test]
        fn damaged_games_do_not_panic(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..3), 1..4),
        ) {
            let mut file: serde_json::Value = serde_json::from_str(KITCHEN).unwrap();
            let problem = file["pddl_problem"].as_str().unwrap();
            let mut words: Vec<String> = problem.split_inclusive(['(', ')', ' ']).map(str::to_owned).collect();
            for (one, other, kind) in edits {
                let (one, other) = (one.index(words.len()), other.index(words.len()));
                match kind {
                    0 => words.swap(one, other),
                    1 => words[one] = words[other].clone(),
                    _ => words.truncate(one.max(1)),
                }
            }
            file["pddl_problem"] = words.concat().into();
            if let Ok(game) = Game::from_json(&file.to_string()) {
                let mut engine = Engine::new(Arc::new(game));
                let (mut commands, mut text) = (CommandList::new(), String::new());
                engine.write_intro(&mut text);
                for choice in 0..20 {
                    engine.admissible(&mut commands);
                    let command = commands.get(choice * 7 % commands.len()).unwrap();
                    prop_assert!(engine.step(command, &mut text).possible, "{}", command);
                }
            }
        }
    }
}
