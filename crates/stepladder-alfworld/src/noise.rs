//! Harmless wrong actions for noisy expert rollouts (DART): the expert's label is kept, another action is played, and
//! the following labels show how to recover.

use rand::RngExt;
use rand::seq::IndexedRandom;
use stepladder_core::seed::Rng;

use crate::view::{Command, Entity, Feedback, Room};

/// Proposes a wrong action in place of `action`, given the answer to the last action and the room description. `None`
/// if there is no suitable one.
///
/// Proposals resemble mistakes of small models: the right action on the wrong number (objects that are not there,
/// receptacles that do not exist), walking to or opening another receptacle, taking another object, and looking again.
/// They never put down, heat, clean or cool another object than the one in hand.
pub fn perturb(action: &str, feedback: &str, context: &str, rng: &mut Rng) -> Option<String> {
    let room = Room::parse(context);
    let feedback = Feedback::parse(feedback);
    let command = Command::parse(action)?;
    let proposal = match rng.random_range(0..8) {
        0..=2 => wrong_number(&command, &room, rng),
        3..=4 => room.receptacles.choose(rng).map(|place| Command::GoTo(*place)),
        5 => match feedback.here() {
            Some(here) if rng.random_bool(0.5) => Some(Command::Open(here)),
            _ => room.receptacles.choose(rng).map(|place| Command::Open(*place)),
        },
        6 => match &feedback {
            Feedback::Sight(sight) => {
                let object = sight.items.choose(rng)?;
                Some(Command::Take { object: *object, receptacle: sight.receptacle })
            }
            _ => None,
        },
        _ => match feedback.here() {
            Some(here) if rng.random_bool(0.5) => Some(Command::Examine(here)),
            _ => Some(if rng.random_bool(0.5) { Command::Inventory } else { Command::Look }),
        },
    }?;
    Some(proposal.to_string()).filter(|text| text != action)
}

/// Returns the same action with another number.
fn wrong_number<'a>(command: &Command<'a>, room: &Room<'a>, rng: &mut Rng) -> Option<Command<'a>> {
    let mut other = |entity: Entity<'a>, most: u32| {
        let number = rng.random_range(1..=most.max(entity.number) + 1);
        (number != entity.number).then_some(Entity { number, ..entity })
    };
    let most = |place: Entity<'_>| room.numbers(place.kind).last().copied().unwrap_or(0);
    Some(match *command {
        Command::GoTo(place) => Command::GoTo(other(place, most(place))?),
        Command::Open(place) => Command::Open(other(place, most(place))?),
        Command::Examine(place) => Command::Examine(other(place, most(place))?),
        Command::Take { object, receptacle } => Command::Take { object: other(object, 2)?, receptacle },
        Command::Place { object, receptacle, wording } => {
            Command::Place { object: other(object, 2)?, receptacle, wording }
        }
        Command::Treat { treatment, object, device } => {
            Command::Treat { treatment, object: other(object, 2)?, device }
        }
        Command::Use(thing) => Command::Use(other(thing, 2)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use stepladder_core::seed::stream;

    use super::*;

    #[test]
    fn proposals_are_other_actions_and_repeat_with_the_seed() {
        let context = "Looking quickly around you, you see a desk 2, a desk 1, and a bed 1.";
        let feedback = "You arrive at desk 1. On the desk 1, you see a mug 2, and a pen 1.";
        let propose =
            |index| perturb("take mug 2 from desk 1", feedback, context, &mut stream(1, "noise", &[index]));
        let proposals: Vec<Option<String>> = (0..200).map(propose).collect();
        assert_eq!(proposals, (0..200).map(propose).collect::<Vec<_>>());
        let some: Vec<&String> = proposals.iter().flatten().collect();
        assert!(some.len() > 100, "{}", some.len());
        for text in &some {
            assert_ne!(text.as_str(), "take mug 2 from desk 1");
            assert!(Command::parse(text).is_some(), "{text}");
        }
        for wanted in ["take mug 1 from desk 1", "take pen 1 from desk 1", "go to bed 1", "inventory"] {
            assert!(some.iter().any(|text| text.as_str() == wanted), "{wanted}");
        }
    }
}
