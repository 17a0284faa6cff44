//! `chemistry-mix`: read a recipe, collect its ingredients, mix them and focus on the product.
//!
//! | subtask | example |
//! |---|---|
//! | `read the recipe for PRODUCT in the ROOM` | `read the recipe for salt water in the workshop` |
//! | `collect INGREDIENTS in the ROOM` | `collect sodium chloride, water in the workshop` |
//! | `make PRODUCT from INGREDIENTS in the ROOM` | `make salt water from sodium chloride, water in the kitchen` |
//! | `get the INGREDIENT` ([`common`]) | `get the jam` |
//!
//! A recipe is not remembered after its subtask, so the following subtasks name all ingredients. Movable
//! ingredients are brought to the kitchen, which has a cup and a sink, or to the paints; ingredients that are
//! missing there are searched for.

use super::super::plan::{Act, PlannerInput, TaskFamily};
use super::super::{common, map, progress};
use super::mixing::{ART_STUDIO, Sight, WATER, is, make, things};
use crate::view::{Scene, Thing};

pub(super) struct Chemistry;

/// Room in which products other than paint are mixed.
const KITCHEN: &str = "kitchen";
const RECIPE: &str = "recipe: ";
const MISSING: &str = "missing ";
/// Maximum number of returns for ingredients that were left at the recipe.
const TRIES: usize = 3;

/// Parses `product` and `room of the recipe` of the task text.
pub(super) fn goal(task: &str) -> Option<(&str, &str)> {
    let (_, rest) = task.split_once("create the substance '")?;
    let (product, rest) = rest.split_once("'. ")?;
    let (_, rest) = rest.split_once("near the ")?;
    Some((product, rest.split_once('.')?.0))
}

fn collect(ingredients: &str, room: &str) -> String {
    format!("collect {ingredients} in the {room}")
}

/// Parsed subtask of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step<'a> {
    Read { room: &'a str },
    Collect { ingredients: Vec<&'a str>, room: &'a str },
    Make { product: &'a str, ingredients: Vec<&'a str>, room: &'a str },
}

/// Parses the ingredients of a subtask.
fn named(subtask: &str) -> Option<&str> {
    let (text, room) = subtask.rsplit_once(" in the ")?;
    let list = || Some(text.strip_prefix("make ")?.split_once(" from ")?.1);
    text.strip_prefix("collect ").or_else(list).filter(|_| map::known(room))
}

impl<'a> Step<'a> {
    fn parse(subtask: &'a str) -> Option<Self> {
        let (text, room) = subtask.rsplit_once(" in the ").filter(|(_, room)| map::known(room))?;
        if text.starts_with("read the recipe for ") {
            return Some(Self::Read { room });
        }
        let ingredients = named(subtask)?.split(", ").collect();
        Some(match text.strip_prefix("make ").and_then(|rest| rest.split_once(" from ")) {
            Some((product, _)) => Self::Make { product, ingredients, room },
            None => Self::Collect { ingredients, room },
        })
    }
}

impl TaskFamily for Chemistry {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let (product, recipe_room) = goal(plan.task)?;
        let read = format!("read the recipe for {product} in the {recipe_room}");
        let recalled = || plan.earlier.iter().rev().find_map(|subtask| named(subtask));
        let just_read = plan.progress.strip_prefix(RECIPE);
        let Some(ingredients) = just_read.or_else(recalled) else {
            return Some(read);
        };
        let room = if ingredients.contains(" paint") { ART_STUDIO } else { KITCHEN };
        let collect = collect(ingredients, recipe_room);
        let collected = plan.earlier.iter().filter(|subtask| **subtask == collect).count();
        if room != recipe_room && collected < TRIES {
            let missing = plan.progress.starts_with(MISSING);
            let left = plan.last() == Some(&collect) && lies(ingredients, plan.scene);
            if just_read.is_some() || missing || left {
                return Some(collect);
            }
        }
        Some(match plan.progress.strip_prefix(MISSING) {
            Some(ingredient) => common::get(ingredient, None),
            None => make(product, ingredients, room),
        })
    }

    fn act(&self, subtask: &str, scene: &Scene, progress: &str) -> Option<Act> {
        let step = Step::parse(subtask)?;
        let (Step::Read { room } | Step::Collect { room, .. } | Step::Make { room, .. }) = &step;
        if let Some(act) = map::towards(room, scene) {
            return Some(act);
        }
        let sight = Sight::new(scene, progress);
        Some(match step {
            Step::Read { .. } if sight.sees_recipe() => Act::last("read recipe"),
            Step::Read { .. } => sight.look_further(),
            Step::Collect { ingredients, .. } => sight.pick_up(&ingredients),
            Step::Make { product, ingredients, .. } => sight.make(product, &ingredients),
        })
    }

    fn note(&self, subtask: &str, _: &str, action: &str, scene: &Scene) -> Option<String> {
        let step = Step::parse(subtask)?;
        let feedback = scene.feedback.trim();
        if let Some((_, ingredients)) = feedback.split_once("you need to mix ") {
            return Some(format!("{RECIPE}{}", ingredients.trim_end_matches('.')));
        }
        if let Some((_, product)) = feedback.split_once(" mix to produce ") {
            let product = product.trim_end_matches('.');
            return Some(format!("made {}", product.strip_prefix("a ").unwrap_or(product)));
        }
        if let (Step::Make { ingredients, room, .. }, "look around") = (&step, action) {
            let all = things(scene);
            let missing = |name: &&&str| **name != WATER && !all.iter().any(|(thing, _)| is(thing, name));
            if let Some(name) = ingredients.iter().find(missing).filter(|_| scene.room == *room) {
                return Some(format!("{MISSING}{name}"));
            }
        }
        if let (Step::Make { .. }, false, Some(name)) = (&step, progress::refused(feedback), added(action)) {
            return Some(format!("added {name}"));
        }
        // These subtasks do not search rooms, so the visited rooms are dropped.
        Some(progress::note("None", action, scene))
    }
}

/// Returns the ingredient that an action brings into a vessel.
fn added(action: &str) -> Option<&str> {
    if let Some(rest) = action.strip_prefix("move ") {
        let (thing, place) = rest.split_once(" to ")?;
        return (place != "sink").then(|| thing.trim_end_matches(" in inventory"));
    }
    let (cup, _) = action.strip_prefix("pour ")?.split_once(" into ")?;
    Some(cup.split_once(" containing ").map_or(cup, |(_, thing)| thing))
}

/// Whether the room has an ingredient that is not carried.
fn lies(ingredients: &str, scene: &Scene) -> bool {
    let among = |things: Vec<(&Thing, _)>, name| things.iter().any(|(thing, _)| is(thing, name));
    ingredients.split(", ").any(|name| among(scene.visible(), name) && !among(scene.carried(), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::Observation;

    fn scene(feedback: &str, room: &str, things: &[&str], carried: &[&str]) -> Scene {
        let context = format!(
            "This room is called the {room}. In it, you see: \n\t{}\n\nIn your inventory, you see:\n\t{}\n",
            things.join("\n\t"),
            carried.join("\n\t")
        );
        Scene::read(&Observation { feedback: feedback.into(), context })
    }

    fn plan(earlier: &[&str], progress: &str) -> Option<String> {
        let task = "Your task is to use chemistry to create the substance 'salt water'. A recipe and some of the ingredients might be found near the workshop. When you are done, focus on the salt water.";
        let earlier: Vec<String> = earlier.iter().map(|subtask| (*subtask).to_owned()).collect();
        Chemistry.plan(&PlannerInput {
            task,
            earlier: &earlier,
            progress,
            scene: &scene("", "workshop", &["a table"], &[]),
        })
    }

    #[test]
    fn a_recipe_is_handed_on_in_the_subtasks() {
        let read = "read the recipe for salt water in the workshop";
        let collect = "collect sodium chloride, water in the workshop";
        let make = "make salt water from sodium chloride, water in the kitchen";
        assert_eq!(plan(&[], "None").as_deref(), Some(read));
        assert_eq!(plan(&[read], "failed to read recipe").as_deref(), Some(read));
        assert_eq!(plan(&[read], "recipe: sodium chloride, water").as_deref(), Some(collect));
        assert_eq!(plan(&[read, collect], "holding sodium chloride").as_deref(), Some(make));
        assert_eq!(plan(&[read, collect, make], "missing sodium chloride").as_deref(), Some(collect));
    }

    #[test]
    fn water_comes_last() {
        let act = |progress: &str, things: &[&str]| {
            let scene = scene("", "kitchen", things, &["an orange"]);
            let subtask = "make salt water from water, sodium chloride in the kitchen";
            Chemistry.act(subtask, &scene, progress).unwrap().action
        };
        let jar = "a glass jar (containing a substance called sodium chloride)";
        let cup = "a glass cup (containing a substance called sodium chloride)";
        let sink = "a sink, which is turned off. In the sink is: nothing.";
        assert_eq!(act("None", &[jar, "a glass cup (containing nothing)", sink]), "open glass jar");
        let action = act("opened glass jar", &[jar, "a glass cup (containing nothing)", sink]);
        assert_eq!(action, "move sodium chloride to glass cup");
        assert_eq!(act("None", &[cup, sink]), "move glass cup to sink");
        let off = format!("a sink, which is turned off. In the sink is: {cup}.");
        assert_eq!(act("None", &[&off]), "activate sink");
        let both = "a sink, which is turned on. In the sink is: a glass cup (containing a substance called sodium chloride, a substance called water).";
        assert_eq!(act("None", &[both]), "mix glass cup");
        let done = "a sink, which is turned on. In the sink is: a glass cup (containing a substance called salt water, a substance called water).";
        assert_eq!(act("None", &[done]), "focus on salt water");
    }

    #[test]
    fn cups_of_one_kind_are_told_apart_by_what_is_in_them() {
        let cups = ["a wood cup (containing red paint)", "a wood cup (containing blue paint, A blank paper)"];
        let scene = scene("", "art studio", &cups, &[]);
        let act = Chemistry.act("make blue paper from paper, blue paint in the art studio", &scene, "None");
        assert_eq!(act, Some(Act::then("mix wood cup containing blue paint and paper")));
    }

    #[test]
    fn notes_are_short() {
        let note = |action: &str, feedback: &str| {
            let scene = scene(feedback, "kitchen", &["a table"], &[]);
            Chemistry.note("make jam tea from jam, tea in the kitchen", "None", action, &scene).unwrap()
        };
        let reads = "The recipe reads:\nTo make jam tea, you need to mix jam, tea.";
        assert_eq!(note("read recipe", reads), "recipe: jam, tea");
        assert_eq!(note("mix glass cup", "Jam and tea mix to produce a jam tea."), "made jam tea");
        assert_eq!(
            note("move jam in inventory to glass cup", "You move the jam to the glass cup."),
            "added jam"
        );
        assert_eq!(note("pour tin cup containing tea into glass cup", "You pour."), "added tea");
        assert_eq!(note("look around", "This room"), "missing jam");
        let note = note("move tea to glass cup", "You can't pick up a liquid directly.");
        assert!(progress::failed(&note), "{note}");
    }
}
