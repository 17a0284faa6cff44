//! `identify-life-stages-1`, `identify-life-stages-2`: focus on an animal or plant in each of its life
//! stages, one after the other.
//!
//! | subtask | example |
//! |---|---|
//! | `focus on the STAGE stage of the ANIMAL outside` | `focus on the hatchling stage of the turtle outside` |
//! | `focus on the STAGE stage of the KIND plant outside` | `focus on the seedling stage of the apple plant outside` |
//!
//! The executor waits until the stage is reached. Animals stay in a stage for more than ten ticks, plants for
//! five or more.

use super::super::map;
use super::super::plan::{Act, PlannerInput, TaskFamily};
use crate::view::Scene;

pub(super) struct LifeStages;

const OUTSIDE: &str = "outside";

const PLANT: &[&str] = &["seed", "seedling", "adult", "reproducing"];
const INSECT: &[&str] = &["egg", "caterpillar", "pupa", "adult"];
const FROG: &[&str] = &["egg", "tadpole", "adult"];
const HATCHING: &[&str] = &["egg", "hatchling", "juvenile", "adult"];
const MAMMAL: &[&str] = &["baby", "juvenile", "adult"];

/// Parses the animal or plant of the task and returns its stages in order.
fn goal(task: &str) -> Option<(&str, &'static [&'static str])> {
    let (head, rest) = task.split_once(" life stages of the ")?;
    let (name, _) = rest.split_once(", starting")?;
    let stages = match name {
        _ if name.ends_with(" plant") => PLANT,
        "butterfly" | "moth" => INSECT,
        _ if name.ends_with("frog") || name.ends_with("toad") => FROG,
        _ if head.ends_with('4') => HATCHING,
        _ => MAMMAL,
    };
    Some((name, stages))
}

/// Lists the subtasks of a task in order.
pub(super) fn subtasks(task: &str) -> Option<impl Iterator<Item = String>> {
    let (name, stages) = goal(task)?;
    Some(stages.iter().map(move |stage| format!("focus on the {stage} stage of the {name} outside")))
}

/// Parses `name` and `stage` of a subtask.
fn parse(subtask: &str) -> Option<(&str, &str)> {
    let (stage, rest) = subtask.strip_prefix("focus on the ")?.split_once(" stage of the ")?;
    Some((rest.strip_suffix(" outside")?, stage))
}

/// Returns the printed name of an animal in a stage: moths are printed as butterflies and toads as frogs.
fn looks(animal: &str, stage: &str) -> String {
    let animal = match animal {
        "moth" => "butterfly",
        _ if animal.ends_with("toad") => "frog",
        _ => animal,
    };
    match stage {
        "egg" | "pupa" => format!("{animal} {stage}"),
        "caterpillar" | "tadpole" => stage.to_owned(),
        _ => format!("{stage} {animal}"),
    }
}

impl TaskFamily for LifeStages {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let mut subtasks = subtasks(plan.task)?;
        let next = |subtask: &String| {
            let again = plan.failed() && plan.last() == Some(subtask);
            again || !plan.earlier.contains(subtask)
        };
        subtasks.find(next)
    }

    fn act(&self, subtask: &str, scene: &Scene, _: &str) -> Option<Act> {
        let (name, stage) = parse(subtask)?;
        if let Some(act) = map::towards(OUTSIDE, scene) {
            return Some(act);
        }
        let Some(kind) = name.strip_suffix(" plant") else {
            let there = scene.find(&looks(name, stage)).is_some();
            return Some(if there {
                Act::last(format!("focus on {stage} {name}"))
            } else {
                Act::then("wait")
            });
        };
        let of_stage = |name: &str| match stage {
            "seed" => name.strip_prefix(kind) == Some(" seed"),
            _ => name.starts_with(kind) && name.ends_with(&format!(" in the {stage} stage")),
        };
        let plant =
            scene.visible().into_iter().find(|(thing, around)| around.is_some() && of_stage(&thing.name));
        Some(match plant {
            Some((plant, Some(pot))) => Act::last(format!("focus on {} in {}", plant.name, pot.name)),
            _ => Act::then("wait1"),
        })
    }

    fn note(&self, subtask: &str, _: &str, _: &str, scene: &Scene) -> Option<String> {
        parse(subtask)?;
        scene.feedback.starts_with("You decide to wait").then(|| "waited".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_names_what_goes_through_which_stages() {
        let task = |number: usize, name: &str| {
            format!(
                "Your task is to focus on the {number} life stages of the {name}, starting from earliest to latest."
            )
        };
        assert_eq!(goal(&task(4, "turtle")), Some(("turtle", HATCHING)));
        assert_eq!(goal(&task(4, "moth")), Some(("moth", INSECT)));
        assert_eq!(goal(&task(3, "common toad")), Some(("common toad", FROG)));
        assert_eq!(goal(&task(3, "brown bear")), Some(("brown bear", MAMMAL)));
        let plants = "Your task is to focus on the life stages of the apple plant, starting from earliest to latest. The plants are located outside.";
        assert_eq!(goal(plants), Some(("apple plant", PLANT)));
    }

    #[test]
    fn names_differ_from_looks() {
        assert_eq!(looks("turtle", "egg"), "turtle egg");
        assert_eq!(looks("moth", "adult"), "adult butterfly");
        assert_eq!(looks("common toad", "tadpole"), "tadpole");
    }
}
