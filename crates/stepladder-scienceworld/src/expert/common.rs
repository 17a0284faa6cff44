//! Subtasks that several families use.
//!
//! | text | ends with |
//! |---|---|
//! | `go to the ROOM` | arriving |
//! | `focus on the THING in the ROOM` | `focus on THING` |
//! | `get the THING from the ROOM` | `pick up THING` |
//! | `put the THING in the PLACE in the ROOM` | `move THING to PLACE` |
//!
//! An unsuccessful search of a room ends with a look around, and the progress text reports it. Without a room
//! (`focus on the THING`, `get the THING`) the rooms are searched, nearest first, and the progress text lists
//! those that were checked. Closed containers are opened in the order in which they are listed.

use super::plan::Act;
use super::progress::FAILED;
use super::{map, progress};
use crate::view::{Scene, Thing};

/// Parsed subtask of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Common<'a> {
    GoTo { room: &'a str },
    Focus { thing: &'a str, room: Option<&'a str> },
    Get { thing: &'a str, room: Option<&'a str> },
    Put { thing: &'a str, place: &'a str, room: &'a str },
}

fn split_room<'a>(text: &'a str, word: &str) -> (&'a str, Option<&'a str>) {
    match text.rsplit_once(word) {
        Some((thing, room)) if map::known(room) => (thing, Some(room)),
        _ => (text, None),
    }
}

impl<'a> Common<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(room) = text.strip_prefix("go to the ") {
            return map::known(room).then_some(Self::GoTo { room });
        }
        if let Some(rest) = text.strip_prefix("focus on the ") {
            let (thing, room) = split_room(rest, " in the ");
            return Some(Self::Focus { thing, room });
        }
        if let Some(rest) = text.strip_prefix("get the ") {
            let (thing, room) = split_room(rest, " from the ");
            return Some(Self::Get { thing, room });
        }
        if let Some(rest) = text.strip_prefix("put the ") {
            let (rest, room) = split_room(rest, " in the ");
            let (thing, place) = rest.split_once(" in the ")?;
            return Some(Self::Put { thing, place, room: room? });
        }
        None
    }
}

pub(crate) fn go_to(room: &str) -> String {
    format!("go to the {room}")
}

pub(crate) fn focus(thing: &str, room: Option<&str>) -> String {
    room.map_or_else(|| format!("focus on the {thing}"), |room| format!("focus on the {thing} in the {room}"))
}

pub(crate) fn get(thing: &str, room: Option<&str>) -> String {
    room.map_or_else(|| format!("get the {thing}"), |room| format!("get the {thing} from the {room}"))
}

pub(crate) fn put(thing: &str, place: &str, room: &str) -> String {
    format!("put the {thing} in the {place} in the {room}")
}

/// Returns a thing's name in an action: its place distinguishes it from others with the same name.
pub(super) fn reference(name: &str, scene: &Scene) -> String {
    if scene.held(name).is_some() {
        return format!("{name} in inventory");
    }
    name.to_owned()
}

/// Returns the next closed container worth opening, in the order of the room's description.
pub(super) fn closed(scene: &Scene) -> Option<&Thing> {
    let shut = |thing: &Thing| thing.door == Some(false) && !NOT_OPENED.contains(&thing.name.as_str());
    scene.visible().into_iter().find(|(thing, _)| shut(thing)).map(|(thing, _)| thing)
}

/// Containers that never hold anything useful, or are better left closed.
const NOT_OPENED: [&str; 3] = ["bee hive", "blast furnace", "drain"];

/// Returns the next action of a search for a place where `found` holds; `None` at such a place.
pub(super) fn search(
    room: Option<&str>,
    scene: &Scene,
    progress: &str,
    found: impl Fn(&Scene) -> bool,
) -> Option<Act> {
    if found(scene) {
        return None;
    }
    if let Some(act) = room.and_then(|room| map::towards(room, scene)) {
        return Some(act);
    }
    if let Some(thing) = closed(scene) {
        return Some(Act::then(format!("open {}", thing.name)));
    }
    if room.is_some() {
        return Some(Act::last("look around"));
    }
    let seen = progress::checked(progress);
    let mut rooms: Vec<&str> =
        SEARCHED.iter().copied().filter(|room| *room != scene.room && !seen.contains(room)).collect();
    rooms.sort_by_key(|room| map::distance(&scene.room, room));
    let next = rooms.first()?;
    map::towards(next, scene)
}

/// Rooms that are searched for things.
const SEARCHED: [&str; 9] = [
    "kitchen",
    "workshop",
    "living room",
    "bedroom",
    "art studio",
    "greenhouse",
    "outside",
    "bathroom",
    "foundry",
];

/// Returns the next action of a subtask of this module; `None` for other texts.
pub(super) fn act(subtask: &str, scene: &Scene, progress: &str) -> Option<Act> {
    match Common::parse(subtask)? {
        Common::GoTo { room } => Some(map::towards(room, scene).map_or_else(
            || Act::last("look around"),
            |act| Act { finished: act.action == format!("go to {room}"), ..act },
        )),
        Common::Focus { thing, room } => {
            let there = |scene: &Scene| scene.find(thing).is_some() || scene.carries(thing);
            let here = room.is_none_or(|room| room == scene.room) || scene.carries(thing);
            Some(
                search(room, scene, progress, |scene| here && there(scene))
                    .unwrap_or_else(|| Act::last(format!("focus on {}", reference(thing, scene)))),
            )
        }
        Common::Get { thing, room } => {
            if scene.held(thing).is_some() {
                return Some(Act::last("look around"));
            }
            let here = room.is_none_or(|room| room == scene.room);
            Some(
                search(room, scene, progress, |scene| here && scene.find(thing).is_some())
                    .unwrap_or_else(|| Act::last(format!("pick up {thing}"))),
            )
        }
        Common::Put { thing, place, room } => {
            if scene.held(thing).is_none() && scene.find(thing).is_some() && scene.room != room {
                return Some(Act::then(format!("pick up {thing}")));
            }
            Some(
                map::towards(room, scene)
                    .unwrap_or_else(|| Act::last(format!("move {} to {place}", reference(thing, scene)))),
            )
        }
    }
}

/// Returns the progress text of a search through the rooms, or of an unsuccessful search of one room; `None`
/// for other subtasks.
pub(super) fn note(subtask: &str, previous: &str, action: &str, scene: &Scene) -> Option<String> {
    match Common::parse(subtask)? {
        Common::Focus { room: None, .. } | Common::Get { room: None, .. } => {
            Some(progress::note_search(previous, action, scene))
        }
        Common::Focus { thing, .. } | Common::Get { thing, .. }
            if action == "look around" && scene.find(thing).is_none() && !scene.carries(thing) =>
        {
            Some(format!("{FAILED}find {thing}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back() {
        let texts = [
            (go_to("kitchen"), Common::GoTo { room: "kitchen" }),
            (
                focus("blue jay egg", Some("outside")),
                Common::Focus { thing: "blue jay egg", room: Some("outside") },
            ),
            (focus("lead", None), Common::Focus { thing: "lead", room: None }),
            (
                get("seed jar", Some("living room")),
                Common::Get { thing: "seed jar", room: Some("living room") },
            ),
            (
                put("wood cup", "red box", "art studio"),
                Common::Put { thing: "wood cup", place: "red box", room: "art studio" },
            ),
        ];
        for (text, subtask) in &texts {
            assert_eq!(Common::parse(text).as_ref(), Some(subtask), "{text}");
        }
        assert_eq!(Common::parse("go to the moon"), None);
    }
}
