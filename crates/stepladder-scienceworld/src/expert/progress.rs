//! Progress text: the result of the last action, and during a search the places that were checked.
//!
//! ```text
//! progress = fact [ " || [Checked: " place { ", " place } "]" ]
//! ```

use crate::view::Scene;

/// Prefix of a text after a refused action or an unsuccessful search.
pub(super) const FAILED: &str = "failed to ";

/// Whether the last action was refused.
pub(super) fn failed(progress: &str) -> bool {
    progress.starts_with(FAILED)
}

/// Returns the places of a `Checked` list.
pub(super) fn checked(progress: &str) -> Vec<&str> {
    let list = progress.split_once("|| [Checked: ").and_then(|(_, rest)| rest.strip_suffix(']'));
    list.map(|list| list.split(", ").collect()).unwrap_or_default()
}

/// Prefixes of answers to actions without effect.
const REFUSALS: [&str; 7] = [
    "No known action",
    "It's not clear",
    "can't be",
    "You can't",
    "is not",
    "not possible",
    "appears broken",
];

/// Whether the answer reports that the action had no effect.
pub(super) fn refused(feedback: &str) -> bool {
    REFUSALS.iter().any(|words| feedback.contains(words)) || feedback.starts_with("The door is not open")
}

/// Returns the usual text: the action in the past tense, or its failure.
pub(super) fn note(previous: &str, action: &str, scene: &Scene) -> String {
    if scene.feedback.starts_with("Ambiguous request") {
        return "asked which one".to_owned();
    }
    let mut places: Vec<&str> = checked(previous);
    let fact = if refused(&scene.feedback) {
        format!("{FAILED}{action}")
    } else {
        let past = |verb: &str, past: &str| action.strip_prefix(verb).map(|rest| format!("{past}{rest}"));
        if let Some(place) = action.strip_prefix("go to ") {
            if !places.contains(&place) {
                places.push(place);
            }
            format!("in the {place}")
        } else {
            past("open ", "opened ")
                .or_else(|| past("close ", "closed "))
                .or_else(|| past("pick up ", "holding "))
                .or_else(|| past("focus on ", "focused on "))
                .or_else(|| past("move ", "moved "))
                .or_else(|| past("pour ", "poured "))
                .or_else(|| past("activate ", "activated "))
                .or_else(|| past("deactivate ", "deactivated "))
                .or_else(|| past("connect ", "connected "))
                .or_else(|| past("mix ", "mixed "))
                .or_else(|| past("look ", "looked "))
                .or_else(|| past("read ", "read "))
                .or_else(|| past("wait", "waited"))
                .unwrap_or_else(|| format!("did {action}"))
        }
    };
    // Rooms matter to a search only, and a list with one entry repeats the current room.
    if places.len() < 2 { fact } else { format!("{fact} || [Checked: {}]", places.join(", ")) }
}

/// Returns the text of a search: the usual one, and every room visited, including the first.
pub(super) fn note_search(previous: &str, action: &str, scene: &Scene) -> String {
    let fact = note("None", action, scene);
    let mut places = checked(previous);
    if !scene.room.is_empty() && !places.contains(&scene.room.as_str()) {
        places.push(&scene.room);
    }
    if places.is_empty() { fact } else { format!("{fact} || [Checked: {}]", places.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(previous: &str, action: &str, feedback: &str) -> String {
        note(previous, action, &Scene { feedback: feedback.into(), ..Scene::default() })
    }

    #[test]
    fn a_text_says_what_was_done_or_that_it_failed() {
        assert_eq!(after("None", "pick up jug", "You move the jug to the inventory."), "holding jug");
        let text = after("None", "pick up moon", "No known action matches that input.");
        assert!(failed(&text), "{text}");
    }

    #[test]
    fn a_search_remembers_where_it_began() {
        let scene = |room: &str| Scene { room: room.into(), ..Scene::default() };
        let text = note_search("None", "open door to outside", &scene("kitchen"));
        assert_eq!(text, "opened door to outside || [Checked: kitchen]");
        let text = note_search(&text, "go to outside", &scene("outside"));
        assert_eq!(text, "in the outside || [Checked: kitchen, outside]");
        assert_eq!(checked(&text), ["kitchen", "outside"]);
    }
}
