//! `grow-plant`, `grow-fruit`: plant seeds in flower pots, water them and let bees pollinate the flowers.
//!
//! | subtask | example |
//! |---|---|
//! | `fill the POT with soil` | `fill the flower pot 1 with soil` |
//! | `plant the KIND seed in the POT` | `plant the apple seed in the flower pot 1` |
//! | `focus on the KIND seed in the POT` | `focus on the apple seed in the flower pot 1` |
//! | `wait until the KIND tree reproduces` | `wait until the apple tree reproduces` |
//! | `let the bees out to the KIND trees` | `let the bees out to the apple trees` |
//! | `wait for the grown KIND` | `wait for the grown apple` |
//!
//! The pots are in the greenhouse; soil is in them, next to them, or only in the ground outside. A running
//! sink waters the pots in it at every tick, so a planted pot is put there and then only needs waiting. A
//! seed sprouts after ten watered ticks, is grown after ten more, and flowers after another ten. A flower
//! bears fruit once a bee brings pollen of another tree: this needs two pots, an open hive and closed doors.

use super::super::plan::{Act, PlannerInput, TaskFamily};
use super::super::{common, map};
use crate::view::{Scene, Thing};

pub(super) struct Growing;

const GREENHOUSE: &str = "greenhouse";
const OUTSIDE: &str = "outside";
const SINK: &str = "sink";
const JAR: &str = "seed jar";
const HIVE: &str = "bee hive";

/// Parsed task text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Goal<'a> {
    pub(super) kind: &'a str,
    seeds: &'a str,
    pub(super) fruit: bool,
}

pub(super) fn goal(task: &str) -> Option<Goal<'_>> {
    let what = task.split_once("Your task is to grow a ")?.1.split('.').next()?;
    let seeds = task.split_once("Seeds can be found in the ")?.1.split('.').next()?;
    let plant = what.strip_suffix(" plant from seed");
    Some(Goal { kind: plant.unwrap_or(what), seeds, fruit: plant.is_none() })
}

/// Parsed subtask of this family.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Fill { pot: &'a str },
    Plant { kind: &'a str, pot: &'a str },
    Focus { kind: &'a str, pot: &'a str },
    Reproduce,
    Bees { kind: &'a str },
    Fruit { kind: &'a str },
}

impl<'a> Step<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let between = |start: &str, end: &str| text.strip_prefix(start)?.strip_suffix(end);
        let seed = |start: &str| text.strip_prefix(start)?.split_once(" seed in the ");
        None.or_else(|| between("fill the ", " with soil").map(|pot| Self::Fill { pot }))
            .or_else(|| seed("plant the ").map(|(kind, pot)| Self::Plant { kind, pot }))
            .or_else(|| seed("focus on the ").map(|(kind, pot)| Self::Focus { kind, pot }))
            .or_else(|| between("wait until the ", " tree reproduces").map(|_| Self::Reproduce))
            .or_else(|| between("let the bees out to the ", " trees").map(|kind| Self::Bees { kind }))
            .or_else(|| between("wait for the grown ", "").map(|kind| Self::Fruit { kind }))
    }
}

/// Whether a pot contains soil.
fn has_soil(pot: &Thing) -> bool {
    pot.contents.iter().any(|thing| thing.name == "soil")
}

/// Whether a pot contains a seed or tree of a kind.
fn has_plant(pot: &Thing, kind: &str) -> bool {
    pot.contents.iter().any(|thing| thing.name.contains(kind))
}

/// Whether a pot is under running water.
fn watered(pot: &str, scene: &Scene) -> bool {
    scene.around(pot).is_some_and(|around| around.name == SINK && around.is_on())
}

/// Lists the visible flower pots, sorted by name.
fn pots(scene: &Scene) -> Vec<&Thing> {
    let mut pots: Vec<&Thing> = scene
        .visible()
        .into_iter()
        .map(|(thing, _)| thing)
        .filter(|thing| thing.name.starts_with("flower pot"))
        .collect();
    pots.sort_by_key(|pot| &pot.name);
    pots
}

impl TaskFamily for Growing {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let Goal { kind, seeds, fruit } = goal(plan.task)?;
        let scene = plan.scene;
        if scene.held(JAR).is_none() {
            return Some(common::get(JAR, Some(seeds)));
        }
        if scene.room != GREENHOUSE {
            return Some(common::go_to(GREENHOUSE));
        }
        let pots = pots(scene);
        for pot in pots.iter().take(if fruit { 2 } else { 1 }) {
            let name = &pot.name;
            if !has_soil(pot) {
                return Some(format!("fill the {name} with soil"));
            }
            if !has_plant(pot, kind) || !watered(name, scene) {
                return Some(format!("plant the {kind} seed in the {name}"));
            }
        }
        let focus = format!("focus on the {kind} seed in the {}", pots.first()?.name);
        let let_out = scene.find(HIVE).is_some_and(|hive| hive.door == Some(true));
        Some(match (fruit, let_out) {
            (true, false) => format!("let the bees out to the {kind} trees"),
            (true, true) => format!("wait for the grown {kind}"),
            (false, _) if plan.issued(&focus) && !(plan.failed() && plan.last() == Some(&focus)) => {
                format!("wait until the {kind} tree reproduces")
            }
            (false, _) => focus,
        })
    }

    fn act(&self, subtask: &str, scene: &Scene, _: &str) -> Option<Act> {
        let step = Step::parse(subtask)?;
        let way = map::towards(GREENHOUSE, scene);
        Some(match (step, way) {
            (Step::Fill { pot }, way) => fill(pot, scene, way),
            (_, Some(way)) => way,
            (Step::Plant { kind, pot }, None) => plant(kind, pot, scene),
            (Step::Focus { kind, pot }, None) => Act::last(format!("focus on {kind} seed in {pot}")),
            (Step::Reproduce, None) => Act::then("wait"),
            (Step::Bees { kind }, None) => let_out(kind, scene),
            (Step::Fruit { kind }, None) => pick_out(kind, scene),
        })
    }

    fn note(&self, subtask: &str, _: &str, _: &str, scene: &Scene) -> Option<String> {
        let said = |text: &str| scene.feedback.starts_with(text);
        Step::parse(subtask)?;
        if said("You dig") {
            Some("dug up soil".to_owned())
        } else if said("You decide to wait") {
            Some("waited".to_owned())
        } else if said("You move the") && scene.feedback.contains(" seed to the ") {
            Some("seed is in the pot".to_owned())
        } else {
            None
        }
    }
}

/// Fills a pot with soil from the greenhouse or from the ground outside, which yields soil for one pot at a
/// time; `way` leads to the greenhouse.
fn fill(pot: &str, scene: &Scene, way: Option<Act>) -> Act {
    let lies = |name: &str| scene.things.iter().any(|thing| thing.name == name);
    let carried = scene.held("soil").is_some();
    match way {
        None if carried => Act::last(format!("move soil in inventory to {pot}")),
        None if lies("soil") => Act::last(format!("move soil to {pot}")),
        None if lies("shovel") => Act::then("pick up shovel"),
        None => map::towards(OUTSIDE, scene).unwrap_or_else(|| Act::then("look around")),
        Some(way) if carried || scene.room != OUTSIDE => way,
        Some(_) if lies("soil") => Act::then("pick up soil"),
        Some(_) if scene.held("shovel").is_some() => Act::then("use shovel in inventory on ground"),
        Some(_) if lies("shovel") => Act::then("pick up shovel"),
        Some(way) => way,
    }
}

/// Puts a seed in the pot and the pot in the running sink.
fn plant(kind: &str, pot: &str, scene: &Scene) -> Act {
    let in_sink = scene.around(pot).is_some_and(|around| around.name == SINK);
    let running = scene.find(SINK).is_some_and(Thing::is_on);
    if !scene.find(pot).is_some_and(|pot| has_plant(pot, kind)) {
        // The seeds in the jar have equal names: the simulator asks which one, and any number is the answer.
        Act::then(format!("move {kind} seed in {JAR} to {pot}"))
    } else if !running {
        Act { action: format!("activate {SINK}"), finished: in_sink }
    } else {
        Act::last(format!("move {pot} to {SINK}"))
    }
}

/// Opens the hive once all visible trees can flower and all doors are closed.
fn let_out(kind: &str, scene: &Scene) -> Act {
    let mut plants = scene.visible().into_iter().filter(|(thing, around)| {
        thing.name.starts_with(kind) && around.is_some_and(|around| around.name.starts_with("flower pot"))
    });
    if plants.any(|(plant, _)| !plant.name.ends_with("reproducing stage")) {
        return Act::then("wait");
    }
    match scene.doors.iter().find(|(_, open)| *open) {
        Some((room, _)) => Act::then(format!("close door to {room}")),
        None => Act::last(format!("open {HIVE}")),
    }
}

/// Focuses on a fruit as soon as one hangs on a tree; if there are several, the simulator asks which one.
fn pick_out(kind: &str, scene: &Scene) -> Act {
    let on_tree = |around: Option<&Thing>| around.is_some_and(|tree| tree.name.ends_with(" stage"));
    let grown =
        scene.visible().into_iter().filter(|(thing, around)| thing.name.ends_with(kind) && on_tree(*around));
    match grown.count() {
        0 => Act::then("wait"),
        number => Act { action: format!("focus on {kind} on {kind} tree"), finished: number == 1 },
    }
}

#[cfg(test)]
mod tests {
    use stepladder_core::Observation;

    use super::*;

    #[test]
    fn a_task_names_what_is_grown_and_where_its_seeds_are() {
        let plant = "Your task is to grow a apple plant from seed. Seeds can be found in the living room. First, focus on a seed.";
        assert_eq!(goal(plant), Some(Goal { kind: "apple", seeds: "living room", fruit: false }));
        let fruit = "Your task is to grow a banana. This will require growing several plants.  Seeds can be found in the kitchen. To complete";
        assert_eq!(goal(fruit), Some(Goal { kind: "banana", seeds: "kitchen", fruit: true }));
    }

    #[test]
    fn texts_are_read_back() {
        assert_eq!(Step::parse("fill the flower pot 1 with soil"), Some(Step::Fill { pot: "flower pot 1" }));
        let seed = Some(Step::Plant { kind: "apple", pot: "flower pot 2" });
        assert_eq!(Step::parse("plant the apple seed in the flower pot 2"), seed);
        assert_eq!(Step::parse("let the bees out to the apple trees"), Some(Step::Bees { kind: "apple" }));
        assert_eq!(Step::parse("focus on the lead in the kitchen"), None);
    }

    #[test]
    fn bees_are_let_out_to_flowering_trees_behind_closed_doors() {
        let action = |stage: &str, door: &str| {
            let context = format!(
                "This room is called the greenhouse. In it, you see: \n\ta bee hive. The bee hive door is closed. \n\ta sink, which is turned on. In the sink is: a flower pot 1 (containing a apple tree in the {stage} stage, soil).\nYou also see:\n\tA door to the hallway (that is {door})\n\nIn your inventory, you see:\n\ta seed jar (containing a apple seed)\n"
            );
            let scene = Scene::read(&Observation { feedback: String::new(), context });
            Growing.act("let the bees out to the apple trees", &scene, "None").map(|act| act.action)
        };
        assert_eq!(action("adult", "closed").as_deref(), Some("wait"));
        assert_eq!(action("reproducing", "open").as_deref(), Some("close door to hallway"));
        assert_eq!(action("reproducing", "closed").as_deref(), Some("open bee hive"));
    }
}
