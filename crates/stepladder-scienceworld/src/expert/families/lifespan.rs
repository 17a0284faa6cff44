//! `lifespan-longest-lived`, `lifespan-shortest-lived`, `lifespan-longest-lived-then-shortest-lived`: focus
//! on the animal outside with the longest or shortest lifespan.
//!
//! | subtask |
//! |---|
//! | `focus on the longest-lived animal outside` |
//! | `focus on the shortest-lived animal outside` |

use super::super::map;
use super::super::plan::{Act, PlannerInput, TaskFamily};
use crate::view::Scene;

pub(super) struct Lifespan;

pub(super) const LONGEST: &str = "focus on the longest-lived animal outside";
pub(super) const SHORTEST: &str = "focus on the shortest-lived animal outside";

/// Species in the order of their lifespans, shortest first.
const KINDS: [&str; 22] = [
    "ant",
    "dragonfly",
    "bee",
    "butterfly",
    "moth",
    "mouse",
    "chameleon",
    "hedgehog",
    "chipmunk",
    "frog",
    "rabbit",
    "blue jay",
    "wolf",
    "beaver",
    "dove",
    "toad",
    "brown bear",
    "turtle",
    "elephant",
    "crocodile",
    "parrot",
    "giant tortoise",
];

/// Returns the position of an animal in [`KINDS`]. Matches whole words: `ant` is not in `elephant` or
/// `giant`.
fn rank(name: &str) -> Option<usize> {
    let padded = format!(" {name} ");
    KINDS.iter().position(|kind| padded.contains(&format!(" {kind} ")))
}

impl TaskFamily for Lifespan {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let (_, wanted) = plan.task.split_once("find the animal with the ")?;
        let both = wanted.contains("then the shortest");
        let first = if wanted.starts_with("longest") { LONGEST } else { SHORTEST };
        let next = if both && plan.last().is_some() && !plan.failed() { SHORTEST } else { first };
        Some(next.to_owned())
    }

    fn act(&self, subtask: &str, scene: &Scene, _: &str) -> Option<Act> {
        if subtask != LONGEST && subtask != SHORTEST {
            return None;
        }
        if let Some(act) = map::towards("outside", scene) {
            return Some(act);
        }
        let ranked = scene.things.iter().filter_map(|thing| Some((rank(&thing.name)?, thing.name.as_str())));
        let chosen = if subtask == LONGEST { ranked.max() } else { ranked.min() };
        Some(chosen.map_or_else(|| Act::then("wait1"), |(_, name)| Act::last(format!("focus on {name}"))))
    }
}
