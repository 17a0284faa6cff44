//! `use-thermometer` and `measure-melting-point-known-substance`: measure, then choose one of two boxes.
//!
//! | subtask | ends with |
//! |---|---|
//! | `get the THING from the ROOM and focus on it` | `focus on THING in inventory` |
//! | `measure the temperature of the THING in the ROOM` | `use thermometer …` |
//! | `put the SUBSTANCE in the metal pot in the kitchen` | `pick up metal pot` |
//! | `heat the SUBSTANCE on the stove until it melts or passes N degrees celsius` (`in the blast furnace`) | `deactivate …` |
//! | `cool the SUBSTANCE in the freezer until it freezes or passes N degrees celsius` | `pick up metal pot` |
//!
//! The progress text holds the last reading: `solid at 48 degrees celsius`. A substance that is solid above N
//! degrees melts above N; one that is liquid below N melts below N.

use super::super::plan::{Act, PlannerInput, TaskFamily};
use super::super::{common, map};
use super::matter::{POT, in_device, is_liquid, put, seen};
use crate::view::Scene;

pub(super) struct Thermometer;

/// Parsed task text.
#[derive(Debug, PartialEq)]
pub(super) struct Goal<'a> {
    pub(super) thing: &'a str,
    room: &'a str,
    pub(super) melting: bool,
    pub(super) limit: i32,
    above: &'a str,
    below: &'a str,
    boxes: &'a str,
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inside, _)| inside)
}

pub(super) fn goal(task: &str) -> Option<Goal<'_>> {
    let melting = task.contains("measure the melting point of ");
    let what = if melting { "measure the melting point of " } else { "measure the temperature of " };
    let place = if melting { "focus on the " } else { "place it in the " };
    let (above, below) = (task.split_once(" is above ")?.1, task.split_once(" is below ")?.1);
    let place_is = ", which is located around the ";
    Some(Goal {
        thing: between(task, what, place_is)?,
        room: between(task, place_is, ".")?,
        melting,
        limit: above.split('.').next()?.parse().ok()?,
        above: between(above, place, ".")?,
        below: between(below, place, ".")?,
        boxes: between(task, "The boxes are located around the ", ".")?,
    })
}

pub(super) fn take(thing: &str, room: &str) -> String {
    format!("get the {thing} from the {room} and focus on it")
}

pub(super) fn measure(thing: &str, room: &str) -> String {
    format!("measure the temperature of the {thing} in the {room}")
}

/// Device and room of a subtask that heats or cools.
const DEVICES: [(&str, &str, &str); 3] = [
    (" on the stove until it melts or passes ", "stove", "kitchen"),
    (" in the blast furnace until it melts or passes ", "blast furnace", "foundry"),
    (" in the freezer until it freezes or passes ", "freezer", "kitchen"),
];

pub(super) fn change(thing: &str, device: usize, limit: i32) -> String {
    format!(
        "{} the {thing}{}{limit}.0 degrees celsius",
        if device == 2 { "cool" } else { "heat" },
        DEVICES[device].0
    )
}

/// Parses a subtask: the substance, the device's index and the limit.
fn parse_change(subtask: &str) -> Option<(&str, usize, i32)> {
    let rest = subtask.strip_prefix("heat the ").or_else(|| subtask.strip_prefix("cool the "))?;
    let rest = rest.strip_suffix(".0 degrees celsius")?;
    let (number, (thing, limit)) =
        DEVICES.iter().enumerate().find_map(|(number, device)| Some((number, rest.split_once(device.0)?)))?;
    Some((thing, number, limit.parse().ok()?))
}

/// Parses the reading of a progress text: whether the substance is liquid, and degrees Celsius.
fn read(progress: &str) -> Option<(bool, i32)> {
    let (state, degrees) = progress.strip_suffix(" degrees celsius")?.split_once(" at ")?;
    Some((state == "liquid", degrees.parse().ok()?))
}

/// Returns whether a substance melts above the limit; `None` if the reading does not decide it.
fn decided(liquid: bool, degrees: i32, limit: i32) -> Option<bool> {
    match (liquid, degrees > limit) {
        (false, true) => Some(true),
        (true, false) => Some(false),
        _ => None,
    }
}

impl TaskFamily for Thermometer {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let goal = goal(plan.task)?;
        let last = plan.last().unwrap_or_default();
        let (thermometer, thing) = (take("thermometer", "kitchen"), take(goal.thing, goal.room));
        if last.is_empty() || (last == thermometer && plan.failed()) {
            return Some(thermometer);
        }
        let reading = read(plan.progress);
        if !goal.melting {
            return Some(match reading {
                Some((_, degrees)) => common::put(
                    goal.thing,
                    if degrees > goal.limit { goal.above } else { goal.below },
                    goal.boxes,
                ),
                None if last == thermometer || (last == thing && plan.failed()) => thing,
                None if last.starts_with("put the ") => last.to_owned(),
                None => measure(goal.thing, goal.boxes),
            });
        }
        let focus = common::focus(goal.thing, Some(goal.room));
        if last == thermometer || (last == focus && plan.failed()) {
            return Some(focus);
        }
        if last == focus {
            return Some(measure(goal.thing, goal.room));
        }
        if let Some((liquid, degrees)) = reading {
            // If a reading skipped the limit, a substance that has just melted did so near it.
            let above =
                decided(liquid, degrees, goal.limit).or((!last.starts_with("measure ")).then_some(!liquid));
            if let Some(above) = above {
                return Some(common::focus(if above { goal.above } else { goal.below }, Some(goal.boxes)));
            }
            return Some(put(goal.thing));
        }
        Some(if last == put(goal.thing) {
            let liquid = seen(goal.thing, plan.scene).is_some_and(|(thing, _)| is_liquid(&thing.name));
            // The stove takes too long for more than some hundred degrees.
            let device = if liquid { 2 } else { usize::from(goal.limit > 100) };
            change(goal.thing, device, goal.limit)
        } else if plan.progress == "stove broken" {
            change(goal.thing, 1, goal.limit)
        } else {
            last.to_owned()
        })
    }

    fn act(&self, subtask: &str, scene: &Scene, progress: &str) -> Option<Act> {
        if let Some(rest) = subtask.strip_suffix(" and focus on it") {
            let (thing, room) = rest.strip_prefix("get the ")?.rsplit_once(" from the ")?;
            if scene.held(thing).is_some() {
                return Some(Act::last(format!("focus on {thing} in inventory")));
            }
            let here = scene.room == room && scene.find(thing).is_some();
            return Some(
                common::search(Some(room), scene, progress, |_| here)
                    .unwrap_or_else(|| Act::then(format!("pick up {thing}"))),
            );
        }
        if let Some(rest) = subtask.strip_prefix("measure the temperature of the ") {
            let (thing, room) = rest.rsplit_once(" in the ")?;
            return Some(map::towards(room, scene).unwrap_or_else(|| Act::last(apply(thing, scene))));
        }
        let (thing, number, limit) = parse_change(subtask)?;
        let (_, device, room) = DEVICES[number];
        if scene.feedback.contains("appears broken") && scene.held(POT).is_none() {
            return Some(Act::last(format!("pick up {POT}")));
        }
        if let Some(act) = in_device(device, room, thing, scene) {
            return Some(act);
        }
        let over = read(progress).is_some_and(|(liquid, degrees)| {
            decided(liquid, degrees, limit).is_some()
                || (liquid, degrees > limit) == (number != 2, number != 2)
        });
        Some(match (over, number) {
            (false, _) => Act::then(apply(thing, scene)),
            (true, 2) => Act::last(format!("pick up {POT}")),
            (true, _) => Act::last(format!("deactivate {device}")),
        })
    }

    fn note(&self, subtask: &str, previous: &str, _: &str, scene: &Scene) -> Option<String> {
        let thing = match subtask.strip_prefix("measure the temperature of the ") {
            Some(rest) => rest.rsplit_once(" in the ")?.0,
            None => parse_change(subtask)?.0,
        };
        if scene.feedback.contains("appears broken") || previous == "stove broken" {
            return Some("stove broken".to_owned());
        }
        let Some(degrees) = between(&scene.feedback, "measures a temperature of ", " degrees") else {
            return read(previous).map(|_| previous.to_owned());
        };
        let liquid = seen(thing, scene).is_some_and(|(thing, _)| is_liquid(&thing.name));
        Some(format!("{} at {degrees} degrees celsius", if liquid { "liquid" } else { "solid" }))
    }
}

/// Uses the thermometer on a thing.
fn apply(thing: &str, scene: &Scene) -> String {
    let name = seen(thing, scene).map_or(thing, |(thing, _)| thing.name.as_str());
    format!("use thermometer in inventory on {}", common::reference(name, scene))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_says_what_where_and_which_box() {
        let task = "Your task is to measure the melting point of lead, which is located around the kitchen. First, focus on the thermometer. Next, focus on the lead. If the melting point of lead is above -10.0 degrees celsius, focus on the red box. If the melting point of lead is below -10.0 degrees celsius, focus on the green box. The boxes are located around the workshop.";
        let read = Goal {
            thing: "lead",
            room: "kitchen",
            melting: true,
            limit: -10,
            above: "red box",
            below: "green box",
            boxes: "workshop",
        };
        assert_eq!(goal(task), Some(read));
        assert_eq!(goal("Your task is to boil lead."), None);
    }

    #[test]
    fn only_the_right_state_on_the_right_side_decides() {
        assert_eq!(decided(false, 60, 50), Some(true));
        assert_eq!(decided(true, 40, 50), Some(false));
        assert_eq!(decided(true, 60, 50), None);
        assert_eq!(decided(false, 40, 50), None);
        for number in 0..DEVICES.len() {
            assert_eq!(parse_change(&change("lead", number, -10)), Some(("lead", number, -10)));
        }
    }
}
