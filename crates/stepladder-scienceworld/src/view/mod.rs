//! Parser of observations: structured rooms and things, without hidden state.

mod thing;

pub use thing::Thing;

use stepladder_core::Observation;

/// Room, inventory and last feedback at one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scene {
    /// Answer to the last action; empty right after a reset.
    pub feedback: String,
    /// Name of the room: `kitchen`, `outside`.
    pub room: String,
    /// Things in the room, outermost only.
    pub things: Vec<Thing>,
    /// Rooms behind the doors, and whether each door is open.
    pub doors: Vec<(String, bool)>,
    /// Things in the inventory, outermost only.
    pub inventory: Vec<Thing>,
}

impl Scene {
    /// Parses an observation. Fields without text stay empty.
    pub fn read(observation: &Observation) -> Self {
        let mut scene = Self { feedback: observation.feedback.clone(), ..Self::default() };
        let mut section = Section::Room;
        for line in observation.context.lines() {
            if let Some(named) = ["This room is called the ", "This outside location is called the "]
                .iter()
                .find_map(|start| line.strip_prefix(start))
            {
                scene.room = named.split('.').next().unwrap_or_default().to_owned();
            } else if line.starts_with("You also see") {
                section = Section::Doors;
            } else if line.starts_with("In your inventory") {
                section = Section::Inventory;
            } else if let Some(text) = line.strip_prefix('\t') {
                match section {
                    Section::Room => scene.things.extend(thing::things(text)),
                    Section::Inventory => scene.inventory.extend(thing::things(text)),
                    Section::Doors => scene.doors.extend(door(text)),
                }
            }
        }
        scene
    }

    /// Lists all visible things in the room, outermost first, each with its direct container.
    pub fn visible(&self) -> Vec<(&Thing, Option<&Thing>)> {
        flatten(&self.things)
    }

    /// Lists all carried things, each with its direct container.
    pub fn carried(&self) -> Vec<(&Thing, Option<&Thing>)> {
        flatten(&self.inventory)
    }

    /// Finds the first visible thing in the room with this name.
    pub fn find(&self, name: &str) -> Option<&Thing> {
        self.visible().into_iter().find(|(thing, _)| thing.is_called(name)).map(|(thing, _)| thing)
    }

    /// Returns the direct container of the thing with this name in the room.
    pub fn around(&self, name: &str) -> Option<&Thing> {
        self.visible().into_iter().find(|(thing, _)| thing.is_called(name)).and_then(|(_, around)| around)
    }

    /// Returns the thing with this name that is directly in the inventory.
    pub fn held(&self, name: &str) -> Option<&Thing> {
        self.inventory.iter().find(|thing| thing.is_called(name))
    }

    /// Whether a thing with this name is carried, also inside another thing.
    pub fn carries(&self, name: &str) -> bool {
        self.carried().iter().any(|(thing, _)| thing.is_called(name))
    }

    /// Whether the door to a room is open; `None` without such a door.
    pub fn door(&self, room: &str) -> Option<bool> {
        self.doors.iter().find(|(to, _)| to == room).map(|(_, open)| *open)
    }
}

#[derive(Clone, Copy)]
enum Section {
    Room,
    Doors,
    Inventory,
}

fn door(text: &str) -> Option<(String, bool)> {
    let (room, rest) = text.strip_prefix("A door to the ")?.split_once(" (that is ")?;
    Some((room.to_owned(), rest.starts_with("open")))
}

fn flatten(things: &[Thing]) -> Vec<(&Thing, Option<&Thing>)> {
    let mut all = Vec::new();
    for thing in things {
        thing.walk(None, &mut |thing, around| all.push((thing, around)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_has_room_doors_and_inventory() {
        let context = "This room is called the hallway. In it, you see: \n\tthe agent\n\ta substance called air\n\ta picture\nYou also see:\n\tA door to the kitchen (that is open)\n\tA door to the workshop (that is closed)\n\nIn your inventory, you see:\n\tan orange\n";
        let scene = Scene::read(&Observation { feedback: "ok".into(), context: context.into() });
        assert_eq!(scene.room, "hallway");
        assert!(scene.find("picture").is_some() && scene.held("orange").is_some());
        assert_eq!(
            (scene.door("kitchen"), scene.door("workshop"), scene.door("moon")),
            (Some(true), Some(false), None)
        );
    }
}
