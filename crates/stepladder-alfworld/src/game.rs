//! A game, compiled: things are numbers, names are rendered once, relations are bits.

use rustc_hash::FxHashMap;

use crate::bits::BitMatrix;
use crate::dialect::{Dialect, TASK_LABEL};
use crate::formula::Goal;
use crate::ids::{LocationId, Named, ObjectId, ReceptacleId};
use crate::list::CommandList;
use crate::state::State;

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

/// The family in the name of an official task directory, such as `pick_and_place_simple-Mug-None-Desk-308`.
pub(crate) fn family_in(directory: &str) -> Option<&'static str> {
    let name = directory.split('-').next().unwrap_or_default();
    FAMILIES.into_iter().find(|family| *family == name)
}
