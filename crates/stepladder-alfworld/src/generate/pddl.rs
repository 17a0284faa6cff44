//! Writes a household and its tasks as a problem text, readable by the original engine and by Stepladder's.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::household::{Family, Household, Task};
use super::tables::Tables;
use crate::view::task::THEN;

const AGENT: &str = "agent1";

/// Formats the problem.
pub(super) fn write(name: &str, household: &Household, tasks: &[Task], tables: &Tables) -> String {
    let mut text = String::with_capacity(64 * 1024);
    objects(&mut text, name, household, tables);
    facts(&mut text, household, tables);
    let goal = match tasks {
        [task] => goal(task),
        chain => format!("(sequence\n{})", chain.iter().map(goal).collect::<Vec<_>>().join("\n")),
    };
    let _ = write!(text, "(:goal\n{goal})\n)\n");
    text
}

fn objects(text: &mut String, name: &str, household: &Household, tables: &Tables) {
    let _ = write!(text, "(define (problem {name})\n(:domain alfred)\n(:objects\n{AGENT} - agent\n");
    for kind in &tables.object_kinds {
        let _ = writeln!(text, "{kind}Type - otype");
    }
    for kind in &tables.receptacle_kinds {
        let _ = writeln!(text, "{kind}Type - rtype");
    }
    for object in &household.objects {
        let _ = writeln!(text, "{} - object", object.id);
    }
    for receptacle in &household.receptacles {
        let _ = writeln!(text, "{} - receptacle", receptacle.id);
    }
    for location in &household.locations {
        let _ = writeln!(text, "{location} - location");
    }
    text.push_str(")\n");
}

fn facts(text: &mut String, household: &Household, tables: &Tables) {
    text.push_str("(:init\n");
    for receptacle in &household.receptacles {
        let _ = writeln!(text, "(receptacleType {} {}Type)", receptacle.id, receptacle.kind);
    }
    for object in &household.objects {
        let _ = writeln!(text, "(objectType {} {}Type)", object.id, object.kind);
    }
    let object_kinds: BTreeSet<&str> = household.objects.iter().map(|object| object.kind.as_str()).collect();
    for receptacle in household.receptacle_counts().keys() {
        for object in tables.contains.get(*receptacle).into_iter().flatten() {
            if object_kinds.contains(object.as_str()) {
                let _ = writeln!(text, "(canContain {receptacle}Type {object}Type)");
            }
        }
    }
    for object in &household.objects {
        for property in tables.properties.get(&object.kind).into_iter().flatten() {
            let _ = writeln!(text, "({property} {})", object.id);
        }
        if object.cool {
            let _ = writeln!(text, "(isCool {})", object.id);
        }
    }
    for receptacle in household.receptacles.iter().filter(|receptacle| receptacle.openable) {
        let _ = writeln!(text, "(openable {})", receptacle.id);
    }
    let _ = writeln!(text, "(atLocation {AGENT} {})", household.locations[household.start]);
    for receptacle in &household.receptacles {
        let location = &household.locations[receptacle.location];
        let _ = writeln!(text, "(receptacleAtLocation {} {location})", receptacle.id);
    }
    for object in &household.objects {
        for &inside in &object.inside {
            let _ = writeln!(text, "(inReceptacle {} {})", object.id, household.receptacles[inside].id);
        }
        for &outer in &object.nested {
            let _ = writeln!(text, "(inReceptacleObject {} {})", object.id, household.objects[outer].id);
        }
        if let Some(location) = object.location {
            let _ = writeln!(text, "(objectAtLocation {} {})", object.id, household.locations[location]);
        }
    }
    text.push_str(")\n");
}

/// Formats one goal. Atoms are in the official order.
fn goal(task: &Task) -> String {
    let Task { family, target, place } = task;
    let with_state = |able: &str, state: &str| {
        format!(
            "(and (exists (?r - receptacle) (exists (?o - object) (and ({able} ?o) (objectType ?o {target}Type) \
             (receptacleType ?r {place}Type) ({state} ?o) (inReceptacle ?o ?r)))))"
        )
    };
    match family {
        Family::Pick => format!(
            "(and (exists (?r - receptacle) (exists (?o - object) (and (inReceptacle ?o ?r) \
             (objectType ?o {target}Type) (receptacleType ?r {place}Type)))))"
        ),
        Family::Look => format!(
            "(and (exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and (objectType ?ot {place}Type) \
             (toggleable ?ot) (isToggled ?ot) (receptacleAtLocation ?r ?l) (atLocation ?a ?l) (inReceptacle ?ot ?r))) \
             (exists (?o - object ?a - agent) (and (objectType ?o {target}Type) (holds ?a ?o))))"
        ),
        Family::Clean => with_state("cleanable", "isClean"),
        Family::Heat => with_state("heatable", "isHot"),
        Family::Cool => with_state("coolable", "isCool"),
        Family::Two => format!(
            "(and (exists (?r - receptacle) (exists (?o1 - object) (and (objectType ?o1 {target}Type) \
             (receptacleType ?r {place}Type) (inReceptacle ?o1 ?r) (exists (?o2 - object) (and (not (= ?o1 ?o2)) \
             (objectType ?o2 {target}Type) (receptacleType ?r {place}Type) (inReceptacle ?o2 ?r)))))))"
        ),
    }
}

/// Task sentence; for a chain, the official sentences of its goals in order, joined to one.
pub(super) fn sentences(tasks: &[Task], second_wording: &[bool]) -> String {
    let mut text = String::new();
    for (task, second) in tasks.iter().zip(second_wording) {
        if text.ends_with('.') {
            text.pop();
            text.push_str(THEN);
        }
        text.push_str(&sentence(task, *second));
    }
    text
}

/// Task sentence of one goal in one of the two official wordings of its family.
fn sentence(task: &Task, second_wording: bool) -> String {
    let target = task.target.to_ascii_lowercase();
    let place = task.place.to_ascii_lowercase();
    match (task.family, second_wording) {
        (Family::Pick, false) => format!("put a {target} in {place}."),
        (Family::Pick, true) => format!("put some {target} on {place}."),
        (Family::Look, false) => format!("look at {target} under the {place}."),
        (Family::Look, true) => format!("examine the {target} with the {place}."),
        (Family::Clean, false) => format!("put a clean {target} in {place}."),
        (Family::Clean, true) => format!("clean some {target} and put it in {place}."),
        (Family::Heat, false) => format!("put a hot {target} in {place}."),
        (Family::Heat, true) => format!("heat some {target} and put it in {place}."),
        (Family::Cool, false) => format!("put a cool {target} in {place}."),
        (Family::Cool, true) => format!("cool some {target} and put it in {place}."),
        (Family::Two, false) => format!("put two {target} in {place}."),
        (Family::Two, true) => format!("find two {target} and put them in {place}."),
    }
}
