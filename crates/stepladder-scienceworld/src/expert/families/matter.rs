//! `boil`, `freeze`, `melt`, `change-the-state-of-matter-of`: change the state of matter of a substance.
//!
//! | subtask | ends with |
//! |---|---|
//! | `focus on the SUBSTANCE in the kitchen`, or if it is not there `focus on the SUBSTANCE` | `focus on …` |
//! | `put the SUBSTANCE in the metal pot in the kitchen` | `pick up metal pot` |
//! | `fill the metal pot with water in the ROOM` | `pick up metal pot` |
//! | `heat the SUBSTANCE in the blast furnace until it melts` (`boils`, `changes`) | the episode, or `pick up metal pot` |
//! | `heat the SUBSTANCE on the stove until it melts` | `pick up metal pot` |
//! | `cool the SUBSTANCE in the freezer until it freezes` | the episode, or `pick up metal pot` |
//!
//! The blast furnace is never broken and boils everything within about ten ticks; the stove may be broken and
//! takes a hundred. A substance to be melted is frozen first, one to be frozen is melted first, if possible
//! on the stove, since food catches fire in the furnace.

use super::super::plan::{Act, PlannerInput, TaskFamily};
use super::super::{common, map};
use crate::view::{Scene, Thing};

pub(super) struct Matter;

pub(super) const POT: &str = "metal pot";

/// Substances that are liquid at room temperature under their plain names.
const LIQUIDS: [&str; 6] = ["water", "orange juice", "apple juice", "mercury", "milk", "salt water"];

/// Whether a substance is liquid when printed under this name.
pub(super) fn is_liquid(name: &str) -> bool {
    name.starts_with("liquid ") || LIQUIDS.contains(&name)
}

/// Whether a printed name denotes a substance, in any state.
pub(super) fn same(substance: &str, name: &str) -> bool {
    let water = ["water", "ice", "steam"];
    name == substance
        || ["liquid ", "solid "].iter().any(|state| name.strip_prefix(state) == Some(substance))
        || (water.contains(&substance) && water.contains(&name))
}

/// Returns the visible or carried substance, with its direct container.
pub(super) fn seen<'a>(substance: &str, scene: &'a Scene) -> Option<(&'a Thing, Option<&'a Thing>)> {
    let all = || scene.visible().into_iter().chain(scene.carried());
    let inside = all().find(|(thing, around)| same(substance, &thing.name) && around.is_some_and(is_pot));
    inside.or_else(|| all().find(|(thing, _)| same(substance, &thing.name)))
}

/// Whether it is the pot, also after it has melted in the furnace.
fn is_pot(thing: &Thing) -> bool {
    thing.name == POT || thing.name == "liquid steel"
}

/// Parses `task` and substance.
pub(super) fn goal(task: &str) -> Option<(&str, &str)> {
    let (_, rest) = task.split_once("Your task is to ")?;
    let (what, _) = rest.split_once(". ")?;
    ["boil ", "melt ", "freeze ", "change the state of matter of "]
        .iter()
        .find_map(|verb| Some((verb.trim_end(), what.strip_prefix(verb)?)))
}

pub(super) fn put(substance: &str) -> String {
    common::put(substance, POT, "kitchen")
}

fn fill(room: &str) -> String {
    format!("fill the {POT} with water in the {room}")
}

fn warm(substance: &str) -> String {
    format!("heat the {substance} on the stove until it melts")
}

pub(super) fn heat(substance: &str, until: &str) -> String {
    format!("heat the {substance} in the blast furnace until it {until}")
}

pub(super) fn cool(substance: &str) -> String {
    format!("cool the {substance} in the freezer until it freezes")
}

impl TaskFamily for Matter {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let (verb, substance) = goal(plan.task)?;
        let last = plan.last().unwrap_or_default();
        let focus = if substance == "water" {
            format!("focus on the water in the {POT}")
        } else {
            common::focus(substance, Some("kitchen"))
        };
        let anywhere = common::focus(substance, None);
        let ready = plan.issued("heat the ") || plan.issued("cool the ");
        let focusing = last == focus || last == anywhere;
        let focused = (plan.issued(&focus) || plan.issued(&anywhere)) && !(focusing && plan.failed());
        Some(if substance == "water" && !plan.issued("fill the ") {
            fill("kitchen")
        } else if last.starts_with("fill the ") && plan.progress.contains("broken") {
            fill(if verb == "freeze" || verb == "melt" { "bathroom" } else { "foundry" })
        } else if !focused && focusing && substance != "water" {
            anywhere
        } else if !focused {
            focus
        } else if !ready && substance != "water" && focusing {
            put(substance)
        } else if last == put(substance)
            && plan.scene.carried().iter().all(|(thing, _)| !same(substance, &thing.name))
        {
            last.to_owned()
        } else {
            let now = seen(substance, plan.scene).map_or(substance, |(thing, _)| thing.name.as_str());
            match verb {
                "boil" => heat(substance, "boils"),
                "melt" if is_liquid(now) => cool(substance),
                "melt" => heat(substance, "melts"),
                "freeze" if is_liquid(now) => cool(substance),
                "freeze" if last == warm(substance) => heat(substance, "melts"),
                "freeze" => warm(substance),
                _ => heat(substance, "changes"),
            }
        })
    }

    fn act(&self, subtask: &str, scene: &Scene, progress: &str) -> Option<Act> {
        if let Some(rest) = subtask.strip_prefix("put the ") {
            let substance = rest.strip_suffix(" in the metal pot in the kitchen")?;
            return Some(into_pot(substance, scene));
        }
        if subtask == "focus on the water in the metal pot" {
            return Some(Act::last("focus on water in metal pot"));
        }
        if let Some(room) = subtask.strip_prefix("fill the metal pot with water in the ") {
            return Some(filled(room, scene));
        }
        if let Some((substance, until)) = subtask
            .strip_prefix("heat the ")
            .and_then(|rest| rest.split_once(" in the blast furnace until it "))
            && ["boils", "melts", "changes"].contains(&until)
        {
            let now = seen(substance, scene).map_or("", |(thing, _)| thing.name.as_str());
            if until == "melts" && is_liquid(now) && scene.held(POT).is_none() {
                return Some(Act::last(pick_up(scene, substance)));
            }
            return Some(
                in_device("blast furnace", "foundry", substance, scene)
                    .unwrap_or_else(|| Act::then(if until == "melts" { "wait1" } else { "wait" })),
            );
        }
        if let Some(rest) = subtask.strip_prefix("heat the ") {
            let substance = rest.strip_suffix(" on the stove until it melts")?;
            return Some(warmed(substance, scene, progress));
        }
        let substance =
            subtask.strip_prefix("cool the ")?.strip_suffix(" in the freezer until it freezes")?;
        let now = seen(substance, scene).map_or("", |(thing, _)| thing.name.as_str());
        if !is_liquid(now) && scene.held(POT).is_none() && scene.room == "kitchen" {
            return Some(Act::last(pick_up(scene, substance)));
        }
        Some(in_device("freezer", "kitchen", substance, scene).unwrap_or_else(|| Act::then("wait")))
    }

    fn note(&self, subtask: &str, previous: &str, action: &str, scene: &Scene) -> Option<String> {
        if subtask.starts_with("fill the ")
            && (scene.feedback.contains("appears broken") || previous == "sink broken")
        {
            return Some("sink broken".to_owned());
        }
        let (substance, _) = subtask
            .strip_prefix("heat the ")
            .and_then(|rest| rest.split_once(" in the blast furnace until"))
            .filter(|(_, until)| !until.contains("passes"))
            .or_else(|| {
                subtask.strip_prefix("heat the ").and_then(|rest| rest.split_once(" on the stove until"))
            })
            .filter(|(_, until)| !until.contains("passes"))
            .or_else(|| {
                subtask.strip_prefix("cool the ").and_then(|rest| rest.split_once(" in the freezer until"))
            })
            .filter(|(_, until)| !until.contains("passes"))?;
        if subtask.contains(" on the stove until it melts")
            && (scene.feedback.contains("appears broken") || previous == "stove broken")
        {
            return Some("stove broken".to_owned());
        }
        if !action.starts_with("wait") {
            return None;
        }
        let (now, _) = seen(substance, scene)?;
        let state = if is_liquid(&now.name) { "liquid" } else { "solid" };
        Some(if subtask.contains(" on the stove ") {
            format!("{} is {state} after {}", now.name, ticks(previous) + 1)
        } else {
            format!("{} is {state}", now.name)
        })
    }
}

/// Number of ticks on the stove after which a substance will not melt there any more.
const TICKS: usize = 12;

/// Parses the number of ticks on the stove from the progress text.
fn ticks(progress: &str) -> usize {
    progress.rsplit_once(" after ").and_then(|(_, ticks)| ticks.parse().ok()).unwrap_or(0)
}

fn warmed(substance: &str, scene: &Scene, progress: &str) -> Act {
    let now = seen(substance, scene).map_or("", |(thing, _)| thing.name.as_str());
    let over = is_liquid(now) || scene.feedback.contains("appears broken") || ticks(progress) >= TICKS;
    if over && scene.held(POT).is_none() {
        return Act::last(pick_up(scene, substance));
    }
    in_device("stove", "kitchen", substance, scene).unwrap_or_else(|| Act::then("wait1"))
}

/// Returns the pot that contains a substance, or else an empty one, with its direct container; there may be
/// several pots.
fn pot<'a>(substance: &str, scene: &'a Scene) -> Option<(&'a Thing, Option<&'a Thing>)> {
    let holds = |pot: &Thing| pot.contents.iter().any(|thing| same(substance, &thing.name));
    let pots = || scene.visible().into_iter().filter(|(thing, _)| thing.name == POT);
    pots().find(|(pot, _)| holds(pot)).or_else(|| pots().find(|(pot, _)| pot.contents.is_empty()))
}

fn pot_name(substance: &str, scene: &Scene) -> String {
    let count = scene.visible().into_iter().filter(|(thing, _)| thing.name == POT).count();
    if scene.held(POT).is_some() {
        return if count > 0 { format!("{POT} in inventory") } else { POT.to_owned() };
    }
    match pot(substance, scene) {
        Some((_, Some(around))) if count > 1 => format!("{POT} in {}", around.name),
        _ => POT.to_owned(),
    }
}

fn pick_up(scene: &Scene, substance: &str) -> String {
    format!("pick up {}", pot_name(substance, scene))
}

/// Puts a substance in the pot, and picks the pot up.
pub(super) fn into_pot(substance: &str, scene: &Scene) -> Act {
    if let Some(pot) = scene.held(POT)
        && pot.contents.iter().any(|thing| same(substance, &thing.name))
    {
        return Act::last("look around");
    }
    let Some((thing, around)) = seen(substance, scene) else {
        return common::search(Some("kitchen"), scene, "None", |_| false)
            .unwrap_or_else(|| Act::last("look around"));
    };
    if around.is_some_and(is_pot) {
        return Act::last(format!("pick up {POT}"));
    }
    if scene.find(POT).is_none() && scene.held(POT).is_none() {
        // If it was found in another room, it is carried to the pot.
        if scene.room != "kitchen" && scene.held(&thing.name).is_none() && !is_liquid(&thing.name) {
            return Act::then(format!("pick up {}", thing.name));
        }
        return match scene.find("cupboard") {
            Some(cupboard) if cupboard.door == Some(false) => Act::then("open cupboard"),
            _ => common::search(Some("kitchen"), scene, "None", |_| false)
                .unwrap_or_else(|| Act::last("look around")),
        };
    }
    let verb = if is_liquid(&thing.name) || scene.feedback.contains("pick up a liquid") {
        ("pour", "into")
    } else {
        ("move", "to")
    };
    Act::then(format!("{} {} {} {POT}", verb.0, thing.name, verb.1))
}

/// Fills the pot at the sink of a room, and picks it up.
fn filled(room: &str, scene: &Scene) -> Act {
    let full = |pot: &Thing| pot.contents.iter().any(|thing| thing.name == "water");
    if scene.held(POT).is_some_and(full) {
        return Act::last("look around");
    }
    if scene.find(POT).is_none() && scene.held(POT).is_none() {
        if let Some(act) = map::towards("kitchen", scene) {
            return act;
        }
        return match scene.find("cupboard") {
            Some(cupboard) if cupboard.door == Some(false) => Act::then("open cupboard"),
            _ => common::search(Some("kitchen"), scene, "None", |_| false)
                .unwrap_or_else(|| Act::last("look around")),
        };
    }
    if scene.held(POT).is_none() && scene.around(POT).is_none_or(|around| around.name != "sink") {
        return Act::then(format!("pick up {POT}"));
    }
    if let Some(act) = map::towards(room, scene) {
        return if scene.held(POT).is_some() { act } else { Act::then(format!("pick up {POT}")) };
    }
    if scene.held(POT).is_some() {
        return Act::then(format!("move {POT} to sink"));
    }
    if scene.find(POT).is_some_and(full) || scene.feedback.contains("appears broken") {
        return Act::last(format!("pick up {POT}"));
    }
    Act::then("activate sink")
}

/// Puts the pot in a device and starts the device; `None` once it works.
pub(super) fn in_device(device: &str, room: &str, substance: &str, scene: &Scene) -> Option<Act> {
    let holds = |pot: &Thing| is_pot(pot) && pot.contents.iter().any(|thing| same(substance, &thing.name));
    let inside = scene
        .visible()
        .into_iter()
        .any(|(thing, around)| holds(thing) && around.is_some_and(|around| around.name == device));
    if !inside {
        if scene.held(POT).is_none() && scene.find(POT).is_some() {
            return Some(Act::then(pick_up(scene, substance)));
        }
        if let Some(act) = map::towards(room, scene) {
            return Some(act);
        }
        if scene.find(device).is_some_and(|device| device.door == Some(false)) {
            return Some(Act::then(format!("open {device}")));
        }
        return Some(Act::then(format!("move {} to {device}", pot_name(substance, scene))));
    }
    let off = scene.find(device).is_some_and(|device| !device.is_on());
    (device != "freezer" && off).then(|| Act::then(format!("activate {device}")))
}
