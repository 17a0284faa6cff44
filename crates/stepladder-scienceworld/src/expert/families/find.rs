//! `find-animal`, `find-living-thing`, `find-non-living-thing`, `find-plant`: focus on a thing of a kind,
//! then put it in a box.
//!
//! | subtask | example |
//! |---|---|
//! | `find a KIND in the ROOM` | `find a plant in the greenhouse`, `find an animal outside` |
//! | `put the THING in the BOX in the ROOM` | `put the flower pot 3 in the red box in the kitchen` |

use super::super::plan::{Act, PlannerInput, TaskFamily};
use super::super::{common, map};
use crate::view::{Scene, Thing};

pub(super) struct Find;

/// Parses `kind`, `box` and `room` of the task text.
pub(super) fn goal(task: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = task.split_once("find a(n) ")?;
    let (kind, rest) = rest.split_once(". ")?;
    let (_, rest) = rest.split_once("move it to the ")?;
    let (target, room) = rest.trim_end_matches('.').split_once(" in the ")?;
    Some((kind, target, room))
}

/// Returns the room in which a kind of thing is found.
fn place<'a>(kind: &str, room: &'a str) -> &'a str {
    match kind {
        "plant" => "greenhouse",
        "non-living thing" => room,
        _ => "outside",
    }
}

pub(super) fn find(kind: &str, room: &str) -> String {
    let article = if kind.starts_with('a') { "an" } else { "a" };
    let place = if room == "outside" { "outside".to_owned() } else { format!("in the {room}") };
    format!("find {article} {kind} {place}")
}

/// Parses kind and room of a subtask.
fn parse_find(subtask: &str) -> Option<(&str, &str)> {
    let rest = subtask.strip_prefix("find a ").or_else(|| subtask.strip_prefix("find an "))?;
    rest.strip_suffix(" outside").map(|kind| (kind, "outside")).or_else(|| rest.rsplit_once(" in the "))
}

impl TaskFamily for Find {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let (kind, target, room) = goal(plan.task)?;
        let find = find(kind, place(kind, room));
        match plan.last() {
            Some(last) if last == find && !plan.failed() => {
                let name = plan.progress.split(" || ").next()?.strip_prefix("focused on ")?;
                // A plant is carried in its pot.
                let carried = name.split_once(" in ").map_or(name, |(_, pot)| pot);
                Some(common::put(carried, target, room))
            }
            Some(last) if last.starts_with("put the ") => Some(last.to_owned()),
            _ => Some(find),
        }
    }

    fn act(&self, subtask: &str, scene: &Scene, _: &str) -> Option<Act> {
        let (kind, room) = parse_find(subtask)?;
        if let Some(act) = map::towards(room, scene) {
            return Some(act);
        }
        let things = scene.visible();
        Some(match things.iter().find(|(thing, around)| is(kind, thing, *around)) {
            Some((plant, Some(pot))) if kind == "plant" => {
                let name = plant.name.split(" in the ").next().unwrap_or_default();
                Act::last(format!("focus on {name} in {}", pot.name))
            }
            Some((thing, _)) => Act::last(format!("focus on {}", thing.name)),
            None => Act::then("wait1"),
        })
    }
}

/// Lifeless things, at least one of them in every room. The simulator lets even furniture be moved.
const LIFELESS: [&str; 22] = [
    "picture",
    "painting",
    "drawing",
    "lighter",
    "thermometer",
    "axe",
    "shovel",
    "jug",
    "stopwatch",
    "white pillow",
    "wood cup",
    "glass cup",
    "battery",
    "metal pot",
    "table",
    "chair",
    "book shelf",
    "counter",
    "couch",
    "desk",
    "bed",
    "closet",
];

/// Words in the names of animals of every age.
const ANIMALS: [&str; 32] = [
    "ant",
    "baby",
    "beaver",
    "bee",
    "blue jay",
    "brown bear",
    "butterfly",
    "caterpillar",
    "chameleon",
    "chipmunk",
    "crocodile",
    "dove",
    "dragonfly",
    "egg",
    "elephant",
    "frog",
    "giant tortoise",
    "hatchling",
    "hedgehog",
    "larva",
    "mouse",
    "moth",
    "parrot",
    "pupa",
    "rabbit",
    "toad",
    "turtle",
    "wolf",
    "tadpole",
    "adult",
    "juvenile",
    "tortoise",
];

fn is_animal(name: &str) -> bool {
    let padded = format!(" {name} ");
    !name.contains(" in the ") && ANIMALS.iter().any(|word| padded.contains(&format!(" {word} ")))
}

fn is(kind: &str, thing: &Thing, around: Option<&Thing>) -> bool {
    let name = thing.name.as_str();
    let is_plant = name.contains(" in the ") && name.contains(" stage");
    match kind {
        "plant" => is_plant && around.is_some(),
        "animal" | "living thing" => is_animal(name),
        _ => around.is_none() && LIFELESS.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_names_kind_box_and_room() {
        let task = "Your task is to find a(n) living thing. First, focus on the thing. Then, move it to the red box in the kitchen.";
        assert_eq!(goal(task), Some(("living thing", "red box", "kitchen")));
        for (kind, room) in [("animal", "outside"), ("plant", "greenhouse"), ("non-living thing", "workshop")]
        {
            assert_eq!(parse_find(&find(kind, room)), Some((kind, room)));
        }
        assert_eq!(find("animal", "outside"), "find an animal outside");
    }

    #[test]
    fn animals_are_told_from_plants() {
        assert!(is_animal("blue jay egg") && is_animal("hatchling turtle") && !is_animal("axe"));
        assert!(!is_animal("apple tree in the adult stage"));
    }
}
