//! What the texts of the simulator say, read as an agent reads them: no hidden state.

mod thing;

pub use thing::Thing;

use stepladder_core::Observation;

/// The room and the inventory of one moment, and the answer to the last action.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scene {
    /// Answer to the last action; empty right after a reset.
    pub feedback: String,
    /// Name of the room: `kitchen`, `outside`.
    pub room: String,
    /// What stands in the room, outermost things only.
    pub things: Vec<Thing>,
    /// Rooms behind the doors, and whether the door is open.
    pub doors: Vec<(String, bool)>,
    /// What the agent carries.
    pub inventory: Vec<Thing>,
}

impl Scene {
    /// Reads an observation; what it does not say stays empty.
    pub fn read(observation: &Observation) -> Self {
        let mut scene = Self { feedback: observation.feedback.clone(), ..Self::default() };
        let mut part = Part::Room;
        for line in observation.context.lines() {
            if let Some(named) = ["This room is called the ", "This outside location is called the "]
                .iter()
                .find_map(|start| line.strip_prefix(start))
            {
                scene.room = named.split('.').next().unwrap_or_default().to_owned();
            } else if line.starts_with("You also see") {
                part = Part::Doors;
            } else if line.starts_with("In your inventory") {
                part = Part::Inventory;
            } else if let Some(text) = line.strip_prefix('\t') {
                match part {
                    Part::Room => scene.things.extend(thing::things(text)),
                    Part::Inventory => scene.inventory.extend(thing::things(text)),
                    Part::Doors => scene.doors.extend(door(text)),
                }
            }
        }
        scene
    }

    /// Everything in sight in the room, outermost first, each with what it is directly in.
    pub fn visible(&self) -> Vec<(&Thing, Option<&Thing>)> {
        flatten(&self.things)
    }

    /// Everything that the agent carries, each with what it is directly in.
    pub fn carried(&self) -> Vec<(&Thing, Option<&Thing>)> {
        flatten(&self.inventory)
    }

    /// The first thing in sight in the room with that name.
    pub fn find(&self, name: &str) -> Option<&Thing> {
        self.visible().into_iter().find(|(thing, _)| thing.is_called(name)).map(|(thing, _)| thing)
    }

    /// What a thing of that name in the room is directly in.
    pub fn around(&self, name: &str) -> Option<&Thing> {
        self.visible().into_iter().find(|(thing, _)| thing.is_called(name)).and_then(|(_, around)| around)
    }

    /// The thing of that name that the agent holds itself, not inside another thing.
    pub fn held(&self, name: &str) -> Option<&Thing> {
        self.inventory.iter().find(|thing| thing.is_called(name))
    }

    /// Whether a thing of that name is carried, also inside another thing.
    pub fn carries(&self, name: &str) -> bool {
        self.carried().iter().any(|(thing, _)| thing.is_called(name))
    }

    /// Whether the door to a room is open; none where there is no such door.
    pub fn door(&self, room: &str) -> Option<bool> {
        self.doors.iter().find(|(to, _)| to == room).map(|(_, open)| *open)
    }
}

#[derive(Clone, Copy)]
enum Part {
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
