//! What an action came to, read from the action and its answer alone.

/// What an action achieved. Things are called as in the answers, which use one name where actions use many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed<'a> {
    /// Nothing: refused, asked back, or a door or a lid was opened or closed.
    Nothing,
    Walk,
    Look,
    Examine,
    Wait,
    Take {
        thing: &'a str,
        /// What is in it, as far as the action says so.
        content: Option<&'a str>,
    },
    Put {
        thing: &'a str,
        place: &'a str,
    },
    Drop(&'a str),
    Focus {
        thing: &'a str,
        action: &'a str,
    },
    On(&'a str),
    /// A device would not start.
    Broken,
    Off,
    /// Two parts now hang together.
    Connect([&'a str; 2]),
    Pour {
        from: &'a str,
        content: Option<&'a str>,
        into: &'a str,
    },
    Mix {
        product: &'a str,
        of: &'a str,
    },
    /// A recipe: its ingredients.
    Read(&'a str),
    Measure(&'a str),
    Dig,
    /// The bees are out.
    Hive,
}

impl Deed<'_> {
    /// Whether it can only lead to something.
    pub(super) fn is_way(&self) -> bool {
        matches!(self, Self::Nothing | Self::Walk | Self::Look | Self::Examine | Self::Wait | Self::Off)
    }
}

/// A deed and the room in which one was after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event<'a> {
    pub(super) deed: Deed<'a>,
    pub(super) room: &'a str,
}

/// All deeds of a path that begins in what `context` shows.
pub(super) fn events<'a>(context: &'a str, steps: &'a [(String, String)]) -> Vec<Event<'a>> {
    let called = context.split_once(" is called the ").map_or("", |(_, rest)| rest);
    let mut room = called.split('.').next().unwrap_or_default();
    let mut asked: Option<&str> = None;
    let mut held: Vec<&str> = Vec::new();
    let mut events = Vec::with_capacity(steps.len());
    for (action, answer) in steps {
        // A number answers the question that the action before it raised.
        let number = action.parse::<u32>().is_ok();
        let meant = asked.filter(|_| number).unwrap_or(action);
        asked = answer.starts_with("Ambiguous request").then_some(meant);
        let mut deed = deed(meant, answer.trim());
        match deed {
            Deed::Walk => room = name(answer.split_once(" to the ").map_or("", |(_, room)| room)),
            // Gold paths pick up again and again what they hold.
            Deed::Take { thing, .. } if held.contains(&thing) => deed = Deed::Nothing,
            Deed::Take { thing, .. } => held.push(thing),
            Deed::Put { thing, .. } | Deed::Drop(thing) => held.retain(|other| *other != thing),
            _ => {}
        }
        events.push(Event { deed, room });
    }
    events
}

/// A name at the end of an answer.
fn name(text: &str) -> &str {
    text.trim().trim_end_matches('.')
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(before)?.1.rsplit_once(after)
}

/// What an action says to be in the thing that it is about.
fn content(action: &str) -> Option<&str> {
    let (_, content) = action.split_once(" containing ")?;
    content.split(" in").next()
}

fn deed<'a>(action: &'a str, answer: &'a str) -> Deed<'a> {
    read(action, answer).unwrap_or(Deed::Nothing)
}

fn read<'a>(action: &'a str, answer: &'a str) -> Option<Deed<'a>> {
    let (verb, rest) = action.split_once(' ').unwrap_or((action, ""));
    // What hangs in a circuit is disconnected first.
    let moved = || {
        let (thing, place) = between(answer, "You move the ", " to the ")?;
        Some((thing, name(place)))
    };
    match verb {
        "go" | "teleport" => answer.starts_with("You ").then_some(Deed::Walk),
        "look" => Some(Deed::Look),
        "examine" => Some(Deed::Examine),
        "wait" | "wait1" => Some(Deed::Wait),
        "pick" => moved().map(|(thing, _)| Deed::Take { thing, content: content(action) }),
        "drop" => moved().map(|(thing, _)| Deed::Drop(thing)),
        "move" | "put" => moved().map(|(thing, place)| Deed::Put { thing, place }),
        "focus" => {
            let thing = name(answer.strip_prefix("You focus on the ")?);
            Some(Deed::Focus { thing, action })
        }
        "activate" if answer.contains("appears broken") => Some(Deed::Broken),
        "activate" => between(answer, "The ", " is now activated").map(|(device, _)| Deed::On(device)),
        "deactivate" => answer.contains(" is now deactivated").then_some(Deed::Off),
        "connect" => {
            let (one, other) = answer.split_once(" is now connected to ")?;
            Some(Deed::Connect([one.split_once(" on ")?.1, name(other.split_once(" on ")?.1)]))
        }
        "pour" => {
            let (from, into) = between(answer, "You pour the contents of the ", " into the ")?;
            let poured = rest.split(" in").next()?;
            Some(Deed::Pour { from, content: content(poured), into: name(into) })
        }
        "mix" => {
            let (of, product) = answer.split_once(" mix to produce ")?;
            let product = name(product);
            Some(Deed::Mix { product: product.strip_prefix("a ").unwrap_or(product), of })
        }
        "read" => answer.split_once("you need to mix ").map(|(_, list)| Deed::Read(name(list))),
        "use" if answer.contains("measures a temperature") => {
            let (_, thing) = rest.split_once(" on ")?;
            Some(Deed::Measure(thing.strip_suffix(" in inventory").unwrap_or(thing)))
        }
        "use" => answer.starts_with("You dig").then_some(Deed::Dig),
        "open" if rest == "bee hive" => answer.contains("now open").then_some(Deed::Hive),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(steps: &[(&str, &str)]) -> Vec<String> {
        let steps: Vec<(String, String)> =
            steps.iter().map(|(action, answer)| ((*action).to_owned(), (*answer).to_owned())).collect();
        let context = "This room is called the hallway. In it, you see: \n\tthe agent\n";
        events(context, &steps).iter().map(|event| format!("{:?} in {}", event.deed, event.room)).collect()
    }

    #[test]
    fn answers_say_what_was_done() {
        let ask = "Ambiguous request: Please enter the number for the action you intended (or blank to cancel):\n0: move";
        let events = all(&[
            ("open door to kitchen", "The door is now open."),
            ("go to kitchen", "You move to the kitchen."),
            ("move apple seed in seed jar to flower pot 3", ask),
            ("0", "You move the apple seed to the flower pot 3."),
            ("pick up cup containing blue paint in art studio", "You move the wood cup to the inventory."),
            ("pick up wood cup", "You move the wood cup to the inventory."),
            (
                "pour cup containing blue paint in inventory into jug",
                "You pour the contents of the wood cup into the jug.",
            ),
            ("pour jug into jug", "You can't move something into itself."),
            ("mix jug", "Bread and peanuts mix to produce a banana sandwich."),
            (
                "move foil to red box",
                "(disconnecting aluminum foil)You move the aluminum foil to the red box.",
            ),
            (
                "connect black wire terminal 2 to cathode in light",
                "terminal 2 on black wire is now connected to cathode on red light bulb",
            ),
        ]);
        assert_eq!(
            events,
            [
                "Nothing in hallway",
                "Walk in kitchen",
                "Nothing in kitchen",
                "Put { thing: \"apple seed\", place: \"flower pot 3\" } in kitchen",
                "Take { thing: \"wood cup\", content: Some(\"blue paint\") } in kitchen",
                "Nothing in kitchen",
                "Pour { from: \"wood cup\", content: Some(\"blue paint\"), into: \"jug\" } in kitchen",
                "Nothing in kitchen",
                "Mix { product: \"banana sandwich\", of: \"Bread and peanuts\" } in kitchen",
                "Put { thing: \"aluminum foil\", place: \"red box\" } in kitchen",
                "Connect([\"black wire\", \"red light bulb\"]) in kitchen",
            ]
        );
    }

    #[test]
    fn what_was_refused_is_no_deed() {
        let events = all(&[
            ("activate sink", "The sink appears broken, and can't be activated or deactivated."),
            ("focus on moon", "No known action matches that input."),
            (
                "use thermometer in inventory on lead in inventory",
                "the thermometer measures a temperature of 26 degrees celsius",
            ),
        ]);
        assert_eq!(events, ["Broken in hallway", "Nothing in hallway", "Measure(\"lead\") in hallway"]);
    }
}
