//! `chemistry-mix-paint-secondary-color`, `chemistry-mix-paint-tertiary-color`: mix paints and focus on each
//! new colour.
//!
//! Its subtasks are those of `chemistry`:
//!
//! | subtask | example |
//! |---|---|
//! | `make COLOUR paint from COLOUR paint, COLOUR paint in the art studio` | `make green paint from blue paint, yellow paint in the art studio` |

use super::super::plan::{PlannerInput, TaskFamily};
use super::mixing::{self, ART_STUDIO};

pub(super) struct Paint;

/// Secondary colours and their primary colours, in alphabetical order, in which the simulator lists the
/// contents of a cup.
const SECONDARY: [(&str, [&str; 2]); 4] = [
    ("green", ["blue", "yellow"]),
    ("orange", ["red", "yellow"]),
    ("violet", ["blue", "red"]),
    ("purple", ["blue", "red"]),
];

/// Parses the colour of the task text.
pub(super) fn colour(task: &str) -> Option<&str> {
    let (_, rest) = task.split_once("use chemistry to create ")?;
    let (colour, _) = rest.split_once(" paint. ")?;
    Some(colour)
}

fn make(colour: &str, mut parts: [&str; 2]) -> String {
    parts.sort_unstable();
    let [first, second] = parts;
    mixing::make(&format!("{colour} paint"), &format!("{first} paint, {second} paint"), ART_STUDIO)
}

/// Lists the subtasks for a colour: one, or two with the secondary colour first.
pub(super) fn subtasks(colour: &str) -> Vec<String> {
    let secondary = |colour: &str| SECONDARY.iter().find(|(name, _)| *name == colour);
    let (primary, between) = match colour.split_once('-') {
        None => (None, colour),
        Some((first, second)) if secondary(first).is_some() => (Some(second), first),
        Some((first, second)) => (Some(first), second),
    };
    let parts = secondary(between).map(|(_, parts)| make(between, *parts));
    parts.into_iter().chain(primary.map(|primary| make(colour, [between, primary]))).collect()
}

impl TaskFamily for Paint {
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String> {
        let all = subtasks(colour(plan.task)?);
        let made = plan.progress.starts_with("focused on ");
        let at = plan.last().and_then(|last| all.iter().position(|subtask| subtask == last));
        let next = at.map_or(0, |at| at + usize::from(made));
        all.get(next).or(all.last()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_mixed_of_others() {
        let task = "Your task is to use chemistry to create green paint. When you are done, focus on the green paint.";
        assert_eq!(colour(task), Some("green"));
        assert_eq!(subtasks("green"), ["make green paint from blue paint, yellow paint in the art studio"]);
        let violet = "make violet paint from blue paint, red paint in the art studio";
        for colour in ["violet-red", "red-violet"] {
            let last = format!("make {colour} paint from red paint, violet paint in the art studio");
            assert_eq!(subtasks(colour), [violet.to_owned(), last]);
        }
        assert!(subtasks("grey").is_empty());
    }
}
