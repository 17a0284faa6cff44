//! `test-conductivity`, `test-conductivity-of-unknown-substances`: close a circuit through a thing, observe
//! whether a bulb lights, then put the thing in the box for the result. Known things are tested like unknown
//! ones.
//!
//! | subtask | example |
//! |---|---|
//! | `focus on the THING in the ROOM` | `focus on the apricot in the kitchen` |
//! | `open the JAR to reach the THING` | if it could not be focused on in the jar |
//! | `take the THING to the workshop` | unless it is there |
//! | `connect the battery to the BULB with the WIRE` | the first bulb and wires in sight |
//! | `connect the BULB to the THING with the WIRE` | |
//! | `connect the THING to the battery with the WIRE and watch the BULB` | ends with `BULB is on` or `BULB is off` |
//! | `put the THING in the BOX in the workshop` | |
//!
//! Subtasks of the circuit are those of [`super::circuit`].

use super::super::common;
use super::super::plan::{PlannerInput, TaskFamily};
use super::circuit::{self, BATTERY, Link, Subtask, WORKSHOP};

pub(super) struct Conductivity;

/// Parsed task text.
#[derive(Debug, PartialEq, Eq)]
struct Goal<'a> {
    thing: &'a str,
    room: &'a str,
    conductive: &'a str,
    nonconductive: &'a str,
}

impl<'a> Goal<'a> {
    fn read(task: &'a str) -> Option<Self> {
        let (thing, rest) =
            task.split_once("determine if ")?.1.split_once(" is electrically conductive. ")?;
        let (room, rest) = rest.split_once(" is located around the ")?.1.split_once(". ")?;
        let place = |condition: &str| {
            let (_, rest) = rest.split_once(condition)?;
            rest.split_once(", place it in the ")?.1.split('.').next()
        };
        let conductive = place("it is electrically conductive")?;
        Some(Self { thing, room, conductive, nonconductive: place("it is electrically nonconductive")? })
    }
}

impl TaskFamily for Conductivity {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let goal = Goal::read(plan.task)?;
        let thing = goal.thing;
        let focus = common::focus(thing, Some(goal.room));
        let Some(last) = plan.last() else { return Some(focus) };
        if last.starts_with("put the ") {
            // Things that cannot be moved alone, such as liquids, are moved with their container.
            let holder = plan.scene.around(thing).filter(|_| plan.failed() && last.contains(thing));
            return Some(
                holder.map_or_else(|| last.to_owned(), |holder| last.replacen(thing, &holder.name, 1)),
            );
        }
        if plan.failed() {
            if let Some(jar) = plan.scene.around(thing).filter(|_| last == focus) {
                return Some(circuit::open(&jar.name, thing));
            }
            return Some(last.to_owned());
        }
        let connect = || {
            if plan.scene.room != WORKSHOP {
                return Some(common::go_to(WORKSHOP));
            }
            let bulb = circuit::seen(plan.scene, |part| part.name.ends_with(" light bulb"))?;
            Some(Link { from: BATTERY, to: bulb, wire: circuit::wire(plan)?, watch: None }.text())
        };
        Some(match Subtask::parse(last) {
            Some(Subtask::Connect(link)) => {
                let wire = circuit::wire(plan).unwrap_or(link.wire);
                match link.watch {
                    Some(bulb) if plan.progress == format!("{bulb} is on") => {
                        common::put(thing, goal.conductive, WORKSHOP)
                    }
                    Some(bulb) if plan.progress == format!("{bulb} is off") => {
                        common::put(thing, goal.nonconductive, WORKSHOP)
                    }
                    Some(_) => last.to_owned(),
                    None if link.to == thing => {
                        Link { from: thing, to: BATTERY, wire, watch: Some(link.from) }.text()
                    }
                    None => Link { from: link.to, to: thing, wire, watch: None }.text(),
                }
            }
            _ if last == focus && goal.room != WORKSHOP => circuit::take(thing, WORKSHOP),
            Some(Subtask::Take { .. }) => connect().unwrap_or(focus),
            _ if last == focus || last == common::go_to(WORKSHOP) => connect().unwrap_or(focus),
            _ => focus,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Scene;

    const TASK: &str = "Your task is to determine if apricot is electrically conductive. The apricot is located around the workshop. First, focus on the apricot. If it is electrically conductive, place it in the red box. If it is electrically nonconductive, place it in the green box.";

    #[test]
    fn a_task_names_thing_room_and_boxes() {
        let goal =
            Goal { thing: "apricot", room: "workshop", conductive: "red box", nonconductive: "green box" };
        assert_eq!(Goal::read(TASK), Some(goal));
    }

    #[test]
    fn the_bulb_decides_the_box() {
        let last = "connect the apricot to the battery with the red wire and watch the blue light bulb";
        let scene = Scene::default();
        let next = |progress| {
            Conductivity
                .plan(&PlannerInput { task: TASK, earlier: &[last.to_owned()], progress, scene: &scene })
                .unwrap()
        };
        assert_eq!(next("blue light bulb is on"), "put the apricot in the red box in the workshop");
        assert_eq!(next("blue light bulb is off"), "put the apricot in the green box in the workshop");
    }
}
