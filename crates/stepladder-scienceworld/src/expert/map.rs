//! Map of the rooms and the doors between them. It is the same in all variations.

use super::plan::Act;
use crate::view::Scene;

const NEIGHBOURS: &[(&str, &[&str])] = &[
    ("hallway", &["kitchen", "greenhouse", "workshop", "living room", "bedroom", "art studio"]),
    ("kitchen", &["hallway", "outside", "bathroom"]),
    ("outside", &["kitchen", "greenhouse", "foundry"]),
    ("greenhouse", &["hallway", "outside"]),
    ("workshop", &["hallway"]),
    ("living room", &["hallway"]),
    ("bedroom", &["hallway"]),
    ("art studio", &["hallway"]),
    ("bathroom", &["kitchen"]),
    ("foundry", &["outside"]),
];

/// Whether the map has this room.
pub(super) fn known(room: &str) -> bool {
    NEIGHBOURS.iter().any(|(name, _)| *name == room)
}

fn neighbours(room: &str) -> &'static [&'static str] {
    NEIGHBOURS.iter().find(|(name, _)| *name == room).map_or(&[], |(_, rooms)| rooms)
}

/// Returns the number of doors between two rooms.
pub(crate) fn distance(from: &str, to: &str) -> usize {
    let mut reached = vec![from];
    for doors in 0..NEIGHBOURS.len() {
        if reached.contains(&to) {
            return doors;
        }
        let next: Vec<&str> = reached.iter().flat_map(|room| neighbours(room)).copied().collect();
        reached.extend(next);
    }
    usize::MAX
}

/// Lists all rooms.
pub(crate) fn rooms() -> impl Iterator<Item = &'static str> {
    NEIGHBOURS.iter().map(|(name, _)| *name)
}

/// Returns the next action on a shortest path to a room; `None` in the room itself.
pub(crate) fn way(room: &str, scene: &Scene) -> Option<String> {
    towards(room, scene).map(|act| act.action)
}

/// Returns the next action on a shortest path as an executor's reply; `None` in the room itself.
pub(super) fn towards(room: &str, scene: &Scene) -> Option<Act> {
    if scene.room == room {
        return None;
    }
    let next = neighbours(&scene.room).iter().min_by_key(|next| distance(next, room))?;
    Some(Act::then(match scene.door(next) {
        Some(false) => format!("open door to {next}"),
        _ => format!("go to {next}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_two_way() {
        for (room, neighbours) in NEIGHBOURS {
            for next in *neighbours {
                assert_eq!((distance(room, next), distance(next, room)), (1, 1), "{room} {next}");
            }
        }
        assert_eq!(distance("art studio", "foundry"), 4);
    }

    #[test]
    fn a_closed_door_is_opened_first() {
        let mut scene = Scene {
            room: "hallway".into(),
            doors: vec![("kitchen".into(), false), ("greenhouse".into(), true)],
            ..Scene::default()
        };
        let action = |room: &str, scene: &Scene| towards(room, scene).map(|act| act.action);
        assert_eq!(action("bathroom", &scene).as_deref(), Some("open door to kitchen"));
        assert_eq!(action("hallway", &scene), None);
        scene.doors[0].1 = true;
        assert_eq!(action("bathroom", &scene).as_deref(), Some("go to kitchen"));
    }
}
