//! Two things with equal names: in some practice worlds the soap in the kitchen has the name of the thing
//! that the task asks for.
//!
//! In training tasks only seeds and fruits have equal names. The simulator asks which one is meant; this
//! module asks in the same words. Either answer selects the thing of the task.

use rand::RngExt;
use stepladder_core::seed::Rng;
use stepladder_core::{Observation, Start};

use super::rename::solids;
use crate::splits::MATTER;
use crate::view::{Scene, Thing};

/// Thing that takes the name of the wanted thing.
pub(crate) const OTHER: &str = "soap";

/// Beginning of the simulator's question.
const WHICH: &str =
    "Ambiguous request: Please enter the number for the action you intended (or blank to cancel):";

/// Probability of twins in a world of such a task.
const PROBABILITY: f64 = 0.5;

/// Two things with equal names. All names here are the simulator's.
#[derive(Debug)]
pub(crate) struct Twins {
    /// The thing that the task asks for.
    wanted: &'static str,
    /// Action about which a question is open.
    asked: Option<String>,
}

/// Interpretation of an action.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// The action to play, possibly on the other thing.
    Play(String),
    /// The question to ask.
    Ask(String),
}

impl Twins {
    /// Draws twins with probability [`PROBABILITY`]; `None` also in tasks that do not change a solid's state
    /// of matter.
    pub(crate) fn draw(start: &Start, rng: &mut Rng) -> Option<Self> {
        if !MATTER.contains(&start.family.as_str()) || !rng.random_bool(PROBABILITY) {
            return None;
        }
        let task = start.task.split_once('.').map_or(start.task.as_str(), |(task, _)| task);
        let wanted = solids().find(|name| task.ends_with(&format!(" {name}")))?;
        (wanted != OTHER).then_some(Self { wanted, asked: None })
    }

    /// Returns the thing that the task asks for.
    pub(crate) fn wanted(&self) -> &'static str {
        self.wanted
    }

    /// Interprets an action, given room and inventory.
    pub(crate) fn meant(&mut self, action: &str, context: &str) -> Meant {
        let answered = self.asked.take();
        if let (Some(action), Ok(0 | 1)) = (answered, action.trim().parse::<u32>()) {
            return Meant::Play(action);
        }
        if !mentions(action, self.wanted) {
            return Meant::Play(action.to_owned());
        }
        let scene = Scene::read(&Observation { feedback: String::new(), context: context.to_owned() });
        match (place(&scene, self.wanted), place(&scene, OTHER)) {
            (Some(place), Some(other)) => {
                let named = |place| action.replacen(self.wanted, &format!("{} ({place})", self.wanted), 1);
                self.asked = Some(action.to_owned());
                Meant::Ask(format!("{WHICH}\n0:\t{}\n1:\t{}\n", named(place), named(other)))
            }
            (None, Some(_)) => Meant::Play(action.replacen(self.wanted, OTHER, 1)),
            _ => Meant::Play(action.to_owned()),
        }
    }
}

/// Whether an action contains a name as whole words.
fn mentions(action: &str, name: &str) -> bool {
    action.match_indices(name).any(|(at, _)| {
        let ends = |text: &str, end: fn(&str) -> Option<char>| end(text).is_none_or(|c| c == ' ');
        ends(&action[..at], |before| before.chars().next_back())
            && ends(&action[at + name.len()..], |after| after.chars().next())
    })
}

/// Returns the place of the thing with this name, as printed in the simulator's questions.
fn place(scene: &Scene, name: &str) -> Option<String> {
    let is = |thing: &Thing| {
        let bare = ["liquid ", "solid "].iter().find_map(|state| thing.name.strip_prefix(state));
        bare.unwrap_or(&thing.name) == name
    };
    let inside = |around: Option<&Thing>, last: String| match around {
        Some(around) => format!("in {}, {last}", around.name),
        None => last,
    };
    let room = scene.visible().into_iter().find(|(thing, _)| is(thing));
    let hand = scene.carried().into_iter().find(|(thing, _)| is(thing));
    let room = room.map(|(_, around)| inside(around, format!("in {}", scene.room)));
    room.or_else(|| hand.map(|(_, around)| inside(around, "in inventory".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(things: &str) -> String {
        format!(
            "This room is called the kitchen. In it, you see: \n{things}You also see:\n\nIn your inventory, you see:\n\tan orange\n"
        )
    }

    fn play(action: &str) -> Meant {
        Meant::Play(action.to_owned())
    }

    #[test]
    fn where_both_are_in_sight_it_is_asked_which_one_is_meant() {
        let mut twins = Twins { wanted: "chocolate", asked: None };
        let both = context(
            "\ta fridge. The fridge door is open. In the fridge is: chocolate.\n\ta substance called soap\n",
        );
        let question = "Ambiguous request: Please enter the number for the action you intended (or blank to cancel):\n\
            0:\tfocus on chocolate (in fridge, in kitchen)\n1:\tfocus on chocolate (in kitchen)\n";
        assert_eq!(twins.meant("focus on chocolate", &both), Meant::Ask(question.to_owned()));
        assert_eq!(twins.meant("1", &both), play("focus on chocolate"));
        // Numbers without an answer, other things, and names that only begin alike.
        assert_eq!(twins.meant("0", &both), play("0"));
        for action in ["open fridge", "eat chocolates"] {
            assert_eq!(twins.meant(action, &both), play(action));
        }
        // An action other than a number is played, not taken as an answer.
        assert!(matches!(twins.meant("focus on chocolate", &both), Meant::Ask(_)));
        assert_eq!(twins.meant("look around", &both), play("look around"));
        assert_eq!(twins.meant("0", &both), play("0"));
    }

    #[test]
    fn where_one_is_in_sight_it_is_taken() {
        let mut twins = Twins { wanted: "chocolate", asked: None };
        let soap = context("\ta fridge. The fridge door is closed. \n\ta substance called soap\n");
        assert_eq!(twins.meant("pick up chocolate", &soap), play("pick up soap"));
        let chocolate = context("\tliquid chocolate\n");
        assert_eq!(twins.meant("pick up chocolate", &chocolate), play("pick up chocolate"));
    }
}
