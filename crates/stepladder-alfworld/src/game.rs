//! Compiled games: things are numbers, names are rendered once, relations are bit matrices.

use rustc_hash::FxHashMap;

use crate::bits::BitMatrix;
use crate::dialect::{Dialect, TASK_LABEL};
use crate::formula::Goal;
use crate::ids::{LocationId, Named, ObjectId, ReceptacleId};
use crate::list::CommandList;
use crate::state::State;

/// Constant properties of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    pub(crate) name: String,
    /// Rank in the alphabetical order of all names of objects and receptacles.
    pub(crate) rank: u16,
    /// PDDL object types.
    pub(crate) kinds: Vec<u16>,
    pub(crate) pickupable: bool,
    pub(crate) cleanable: bool,
    pub(crate) heatable: bool,
    pub(crate) coolable: bool,
    pub(crate) toggleable: bool,
    pub(crate) sliceable: bool,
    /// Whether it is a knife or butter knife.
    pub(crate) cuts: bool,
    pub(crate) holds_objects: bool,
    /// Objects inside it, if it is a bowl or the like; constant in the original.
    pub(crate) inside: Vec<ObjectId>,
}

/// Constant properties of a receptacle.
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

/// A location.
#[derive(Debug, Clone, Default)]
pub(crate) struct Location {
    pub(crate) name: String,
    /// Receptacles, in the order of listings.
    pub(crate) receptacles: Vec<ReceptacleId>,
    /// Receptacles, in alphabetical order.
    pub(crate) receptacles_by_name: Vec<ReceptacleId>,
    /// Positions of its commands in [`Game::goto`], ascending.
    pub(crate) goto: Vec<usize>,
}

/// A game ready to play. Immutable; share it between episodes with an `Arc`.
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
    /// One row: objects that can be switched on.
    pub(crate) toggleable: BitMatrix,
    /// One row: objects that can be taken.
    pub(crate) pickupable: BitMatrix,
    /// `go to …` for every receptacle with a location, sorted.
    pub(crate) goto: CommandList,
    pub(crate) names: FxHashMap<String, Named>,
    pub(crate) initial: State,
    /// Goals in order; never empty. Official games have one.
    pub(crate) goals: Vec<Goal>,
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
    /// Rules and wording.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Task sentence, the text after "Your task is to: ".
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Complete task line.
    pub(crate) fn task_line(&self) -> [&str; 2] {
        [TASK_LABEL, &self.task]
    }

    /// Number of goals, to be reached in order; 1 in every official game.
    pub fn goal_count(&self) -> usize {
        self.goals.len()
    }

    /// Task family, for example `pick_heat_then_place_in_recep`, or `goals_3` for a chain of three goals.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// Solution that came with the game.
    pub fn walkthrough(&self) -> &[String] {
        &self.walkthrough
    }

    /// Whether the game file is marked as solvable.
    pub fn solvable(&self) -> bool {
        self.solvable
    }

    /// Name of an object, such as `mug 1`.
    pub fn object_name(&self, object: ObjectId) -> &str {
        &self.objects[object.index()].name
    }

    /// Name of a receptacle, such as `fridge 1`.
    pub fn receptacle_name(&self, receptacle: ReceptacleId) -> &str {
        &self.receptacles[receptacle.index()].name
    }
}

/// Extracts the family from the name of an official task directory, such as `pick_and_place_simple-Mug-None-Desk-308`.
pub(crate) fn family_in(directory: &str) -> Option<&'static str> {
    let name = directory.split('-').next().unwrap_or_default();
    FAMILIES.into_iter().find(|family| *family == name)
}
