//! Wrong actions for noisy expert rollouts (DART, arXiv:1703.09327): another action is played, the expert's
//! label is kept, and the following labels show how to recover.

use rand::seq::IndexedRandom;
use stepladder_core::Observation;
use stepladder_core::seed::Rng;

use crate::view::{Scene, Thing};

/// Proposes an action other than `action` that cannot lose the task: it does not focus, mix, pour, eat or
/// heat. `None` if there is none.
pub fn perturb(action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
    let scene = Scene::read(seen);
    if scene.feedback.starts_with("Ambiguous request") {
        return None;
    }
    let mut choices = vec!["look around".to_owned(), "wait1".to_owned()];
    for (room, open) in &scene.doors {
        choices.push(format!("{} {room}", if *open { "go to" } else { "open door to" }));
    }
    for (thing, _) in scene.visible().into_iter().filter(|(thing, _)| thing.door.is_some()) {
        choices.push(format!("{} {}", if thing.door == Some(true) { "close" } else { "open" }, thing.name));
    }
    choices.extend(
        scene.things.iter().filter(|thing| portable(thing)).map(|thing| format!("pick up {}", thing.name)),
    );
    choices.extend(scene.inventory.iter().map(|thing| format!("examine {}", thing.name)));
    choices.retain(|choice| choice != action);
    choices.choose(rng).cloned()
}

/// Whether a thing is small, lifeless and holds nothing.
fn portable(thing: &Thing) -> bool {
    const SMALL: [&str; 10] = [
        "lighter",
        "thermometer",
        "stopwatch",
        "axe",
        "shovel",
        "jug",
        "picture",
        "painting",
        "glass cup",
        "wood cup",
    ];
    thing.contents.is_empty() && SMALL.contains(&thing.name.as_str())
}

#[cfg(test)]
mod tests {
    use stepladder_core::seed::stream;

    use super::*;

    #[test]
    fn proposals_are_other_actions_that_are_possible() {
        let context = "This room is called the hallway. In it, you see: \n\tthe agent\n\ta picture\nYou also see:\n\tA door to the kitchen (that is open)\n\tA door to the workshop (that is closed)\n\nIn your inventory, you see:\n\tan orange\n";
        let seen = Observation { feedback: String::new(), context: context.into() };
        let all = [
            "look around",
            "wait1",
            "go to kitchen",
            "open door to workshop",
            "pick up picture",
            "examine orange",
        ];
        let mut met = std::collections::BTreeSet::new();
        for index in 0..100 {
            let proposed = perturb("go to kitchen", &seen, &mut stream(1, "noise", &[index])).unwrap();
            assert!(proposed != "go to kitchen" && all.contains(&proposed.as_str()), "{proposed}");
            met.insert(proposed);
        }
        assert_eq!(met.len(), all.len() - 1);
        let asked = Observation { feedback: "Ambiguous request: which?".into(), ..seen };
        assert_eq!(perturb("0", &asked, &mut stream(1, "noise", &[])), None);
    }
}
