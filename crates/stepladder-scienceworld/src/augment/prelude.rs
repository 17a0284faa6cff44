//! Actions before a practice episode: the agent carries one or two small things elsewhere, or opens the
//! container that hides a thing.

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use stepladder_core::seed::Rng;
use stepladder_core::{Observation, Start};
use stepladder_env::{Env, EnvError};

use crate::env::ScienceWorldEnv;
use crate::expert::map;
use crate::splits::MATTER;
use crate::view::{Scene, Thing};

/// Maximum number of actions of a prelude, not counting those that put down a carried thing.
const ACTIONS: usize = 25;

/// Number of remaining actions at which the search stops: they are needed to carry the thing away.
const RESERVE: usize = 8;

/// Maximum number of doors between a thing's old and new room.
const FAR: usize = 3;

/// Prefixes of task types without prelude: plants and animals would grow meanwhile, and a hatched egg has
/// another name.
const STAYING: [&str; 5] =
    ["grow-", "identify-life-stages-", "lifespan-", "find-animal", "find-living-thing"];

/// Prefix of task types in which the agent changes rooms but carries nothing: paints are liquids in open
/// cups.
const PAINT: &str = "chemistry-mix-paint-";

/// Rooms of things for which the task names no room.
const USUAL: [&str; 2] = ["kitchen", "workshop"];

/// Names of things that may be carried, or the ends of their names.
const SMALL: [&str; 46] = [
    "aluminum foil",
    "almond",
    "apple",
    "apricot",
    "avocado",
    "axe",
    "banana",
    "bowl",
    "bread",
    "cashew",
    "cherry",
    "chocolate",
    "cup",
    "dough",
    "drawing",
    "electric buzzer",
    "electric motor",
    "flour",
    "fork",
    "glass jar",
    "grapefruit",
    "jam",
    "jug",
    "lemon",
    "light bulb",
    "lighter",
    "marshmallow",
    "metal pot",
    "orange",
    "paper",
    "paper clip",
    "peach",
    "peanut",
    "peanut butter",
    "pear",
    "picture",
    "pillow",
    "potato",
    "painting",
    "shovel",
    "sponge",
    "stopwatch",
    "tea",
    "thermometer",
    "wool",
    "yeast",
];

/// Substances that are not solid, or change their state at room temperature.
const NOT_SOLID: [&str; 8] = ["air", "water", "steam", "ice", "juice", "paint", "milk", "mercury"];

/// Furniture that things can be put on or in.
const PLACES: [&str; 9] =
    ["bed", "book shelf", "chair", "closet", "couch", "counter", "cupboard", "desk", "table"];

/// Room of the things that may have equal names.
const TWINS_ROOM: &str = "kitchen";

/// Containers that a search opens. Freezers stay closed, since their contents would melt.
const OPENED: [&str; 3] = ["cupboard", "closet", "fridge"];

/// Lists the required goals of the task and whether they are reached. Optional goals, such as opened doors or
/// visited rooms, are left out: almost any walk reaches some of them.
fn goals(world: &mut ScienceWorldEnv) -> Result<String, EnvError> {
    let all = world.goal_progress()?;
    let goals = all.split_once("Sequential Subgoals:").map_or("", |(_, goals)| goals);
    Ok(goals.split("Unordered and Optional Subgoals:").next().unwrap_or_default().to_owned())
}

/// Prelude under construction.
pub(crate) struct Prelude<'a> {
    world: &'a mut ScienceWorldEnv,
    start: &'a Start,
    /// Required goals before the first action; `None` before it.
    before: Option<String>,
    scene: Scene,
    /// Number of actions left.
    left: usize,
    /// Whether the episode has ended.
    over: bool,
}

impl<'a> Prelude<'a> {
    /// Begins in a world that has been reset.
    pub(crate) fn new(world: &'a mut ScienceWorldEnv, start: &'a Start) -> Self {
        let scene = Scene::read(&Observation { feedback: String::new(), context: start.context.clone() });
        Self { world, start, before: None, scene, left: ACTIONS, over: false }
    }

    /// Carries things elsewhere in two of three worlds, always in tasks of [`MATTER`].
    pub(crate) fn carry(&mut self, rng: &mut Rng) -> Result<(), EnvError> {
        let family = self.start.family.as_str();
        // Training variations of these tasks have all solids in the kitchen, so the unchanged placement is
        // frequent enough.
        let sure = MATTER.contains(&family);
        let stays = STAYING.iter().any(|staying| family.starts_with(staying));
        if stays || !(rng.random_bool(2.0 / 3.0) || sure) {
            return Ok(());
        }
        if family.starts_with(PAINT) {
            return self.leave(&self.scene.room.clone(), rng);
        }
        for number in 0..rng.random_range(1..=2) {
            let wanted = rng.random_bool(0.5) || (sure && number == 0);
            self.carry_one(wanted, rng)?;
        }
        Ok(())
    }

    /// Opens containers in the kitchen until `hidden` is visible, and goes elsewhere. Returns whether
    /// `hidden` and `open` were both visible.
    pub(crate) fn uncover(&mut self, hidden: &str, open: &str, rng: &mut Rng) -> Result<bool, EnvError> {
        self.go(TWINS_ROOM, 0)?;
        while let Some(shut) = self.shut().filter(|_| self.left > 0 && self.scene.find(hidden).is_none()) {
            self.play(&format!("open {shut}"))?;
        }
        let both = self.scene.find(hidden).is_some() && self.scene.find(open).is_some();
        self.leave(TWINS_ROOM, rng)?;
        Ok(both)
    }

    /// Whether the required goals are unchanged; if not, the task must be loaded again.
    pub(crate) fn harmless(self) -> Result<bool, EnvError> {
        match self.before {
            Some(before) => Ok(!self.over && goals(self.world)? == before),
            None => Ok(true),
        }
    }

    fn carry_one(&mut self, wanted: bool, rng: &mut Rng) -> Result<(), EnvError> {
        let Some(thing) = self.take(wanted, rng)? else { return Ok(()) };
        let from = self.scene.room.clone();
        // If the task names the room of a thing, the thing stays there.
        let task = &self.start.task;
        if !(says(task, &thing) && task.contains(&format!(" located around the {from}"))) {
            self.leave(&from, rng)?;
        }
        self.put_down(&thing, rng)
    }

    /// Goes to a random other room at most [`FAR`] doors away.
    fn leave(&mut self, from: &str, rng: &mut Rng) -> Result<(), EnvError> {
        let near = |room: &&str| *room != from && map::distance(from, room) <= FAR;
        let rooms: Vec<&str> = map::rooms().filter(near).collect();
        match rooms.choose(rng) {
            Some(room) => self.go(room, 0),
            None => Ok(()),
        }
    }

    /// Searches the rooms for a small thing and picks it up: any one, or with `wanted` one that the task
    /// names.
    fn take(&mut self, wanted: bool, rng: &mut Rng) -> Result<Option<String>, EnvError> {
        let mut rooms: Vec<&str> = map::rooms().collect();
        rooms.shuffle(rng);
        if wanted || rng.random_bool(0.5) {
            let task = &self.start.task;
            rooms.sort_by_key(|room| (!says(task, room), !USUAL.contains(room)));
        }
        for room in rooms {
            self.go(room, RESERVE)?;
            while let Some(shut) = self.shut().filter(|_| wanted && self.left > RESERVE) {
                self.play(&format!("open {shut}"))?;
            }
            let things =
                self.scene.visible().into_iter().map(|(thing, _)| thing).filter(|thing| small(thing));
            let names =
                things.map(|thing| thing.name.clone()).filter(|name| !wanted || says(&self.start.task, name));
            let names: Vec<String> = names.collect();
            if self.left <= RESERVE || self.over {
                break;
            }
            if let Some(name) = names.choose(rng) {
                self.play(&format!("pick up {name}"))?;
                if self.scene.held(name).is_some() {
                    return Ok(Some(name.clone()));
                }
            }
        }
        Ok(None)
    }

    /// Walks to a room while more than `reserve` actions are left.
    fn go(&mut self, room: &str, reserve: usize) -> Result<(), EnvError> {
        while let Some(action) = map::way(room, &self.scene).filter(|_| self.left > reserve && !self.over) {
            self.play(&action)?;
        }
        Ok(())
    }

    fn put_down(&mut self, thing: &str, rng: &mut Rng) -> Result<(), EnvError> {
        let free = |place: &&Thing| place.holds && place.door != Some(false) && ends(&place.name, &PLACES);
        let places: Vec<String> =
            self.scene.things.iter().filter(free).map(|place| place.name.clone()).collect();
        let place = places.choose(rng).filter(|_| rng.random_bool(0.5));
        if let Some(place) = place {
            self.play(&format!("move {thing} in inventory to {place}"))?;
        }
        if self.scene.held(thing).is_some() {
            self.play(&format!("drop {thing}"))?;
        }
        Ok(())
    }

    /// Returns the name of a closed container that may be opened.
    fn shut(&self) -> Option<String> {
        let shut = |thing: &&Thing| thing.door == Some(false) && ends(&thing.name, &OPENED);
        self.scene.things.iter().find(shut).map(|thing| thing.name.clone())
    }

    fn play(&mut self, action: &str) -> Result<(), EnvError> {
        let mut action = action;
        if self.before.is_none() {
            self.before = Some(goals(self.world)?);
        }
        while !self.over {
            self.left = self.left.saturating_sub(1);
            let step = self.world.step(action)?;
            self.over = step.end.is_some();
            let asked = step.observation.starts_with("Ambiguous request");
            let context = step.context.unwrap_or_default();
            self.scene = Scene::read(&Observation { feedback: step.observation, context });
            if !asked {
                break;
            }
            action = "0";
        }
        Ok(())
    }
}

/// Whether a name equals one of `words` or ends with one as a whole word.
fn ends(name: &str, words: &[&str]) -> bool {
    let is = |word: &&str| {
        name.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with(' '))
    };
    words.iter().any(is)
}

/// Whether a thing and its contents can be carried without harm.
fn small(thing: &Thing) -> bool {
    let name = thing.name.as_str();
    let solid = thing.substance || name.starts_with("unknown substance ");
    let liquid = name.starts_with("liquid ") || ends(name, &NOT_SOLID);
    !liquid && (solid || ends(name, &SMALL)) && thing.contents.iter().all(small)
}

/// Whether a text contains a name as a whole word.
fn says(text: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric();
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(word) && !text[at + name.len()..].starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_lifeless_solids_are_carried() {
        let context = "This room is called the kitchen. In it, you see: \n\tthe agent\n\ta substance called air\n\ta substance called soap\n\ta substance called water\n\ta adult bee\n\ta flower pot 3 (containing soil)\n\ta blue box (containing nothing)\n\ta glass cup (containing nothing)\n\ta tin cup (containing a substance called lead)\n\ta wood cup (containing orange juice)\n\tunknown substance B\n\tchocolate\n\ta table. On the table is: a red light bulb, which is off, a red wire.\n";
        let scene = Scene::read(&Observation { feedback: String::new(), context: context.into() });
        let carried = scene.visible().into_iter().map(|(thing, _)| thing).filter(|thing| small(thing));
        let names: Vec<&str> = carried.map(|thing| thing.name.as_str()).collect();
        assert_eq!(
            names,
            ["soap", "glass cup", "tin cup", "lead", "unknown substance B", "chocolate", "red light bulb"]
        );
    }

    #[test]
    fn names_are_whole_words() {
        assert!(says("find the tin.", "tin") && !says("find the tinder", "tin"));
        assert!(ends("paint cupboard", &OPENED) && !ends("teacup", &["cup"]));
    }
}
