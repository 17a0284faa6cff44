//! Texts of the game.

use crate::action::Action;
use crate::dialect::Wording;
use crate::game::Game;
use crate::ids::{ObjectId, ReceptacleId};
use crate::state::{Property, State};

/// Answer to every impossible command.
pub const NOTHING_HAPPENS: &str = "Nothing happens.";

const WELCOME: &str = "-= Welcome to TextWorld, ALFRED! =-\n\n";
const ROOM: &str = "You are in the middle of a room. Looking quickly around you, you see ";

/// Commands of `help` with their explanations, aligned as in the original's table.
const HELP: [(&str, &str); 13] = [
    ("look:                             ", "look around your current location"),
    ("inventory:                        ", "check your current inventory"),
    ("go to (receptacle):               ", "move to a receptacle"),
    ("open (receptacle):                ", "open a receptacle"),
    ("close (receptacle):               ", "close a receptacle"),
    ("take (object) from (receptacle):  ", "take an object from a receptacle"),
    ("move (object) to (receptacle):  ", "place an object in or on a receptacle"),
    ("examine (something):              ", "examine a receptacle or an object"),
    ("use (object):                     ", "use an object"),
    ("heat (object) with (receptacle):  ", "heat an object using a receptacle"),
    ("clean (object) with (receptacle): ", "clean an object using a receptacle"),
    ("cool (object) with (receptacle):  ", "cool an object using a receptacle"),
    ("slice (object) with (object):     ", "slice an object using a sharp object"),
];

/// Writes "nothing", "a x", "a x, and a y" or "a x, a y, and a z".
fn list<'a>(out: &mut String, article: &str, names: impl Iterator<Item = &'a str>) {
    let mut names = names.peekable();
    if names.peek().is_none() {
        out.push_str("nothing");
    }
    let mut first = true;
    while let Some(name) = names.next() {
        if !first {
            out.push_str(if names.peek().is_some() { ", " } else { ", and " });
        }
        first = false;
        out.push_str(article);
        out.push_str(name);
    }
}

fn say(out: &mut String, pieces: &[&str]) {
    for piece in pieces {
        out.push_str(piece);
    }
}

/// Writes the first text of an episode.
pub(crate) fn intro(game: &Game, state: &State, out: &mut String) {
    out.push_str(WELCOME);
    context(game, state, out);
    out.push_str("\n\n");
    say(out, &game.task_line());
}

/// Writes the description of the room, the only text in which the original lists every receptacle.
pub(crate) fn context(game: &Game, state: &State, out: &mut String) {
    if !game.locations[state.location.index()].receptacles.is_empty() {
        return look(game, state, out);
    }
    out.push_str(ROOM);
    let standing = game.receptacles.iter().filter(|receptacle| receptacle.location.is_some());
    list(out, "a ", standing.map(|receptacle| &*receptacle.name));
    out.push('.');
}

fn look(game: &Game, state: &State, out: &mut String) {
    let here = &game.locations[state.location.index()].receptacles;
    if here.is_empty() {
        // Here the original uses the receptacles of a location that has none.
        return say(out, &[ROOM, "nothing."]);
    }
    out.push_str("You are facing the ");
    list(out, "", here.iter().map(|&receptacle| game.receptacle_name(receptacle)));
    out.push_str(". Next to it, you see ");
    let floor = state.lying.row(state.location.index()).flat_map(|object| {
        here.iter()
            .filter(move |receptacle| state.taken.get(receptacle.index(), object))
            .map(move |_| &*game.objects[object].name)
    });
    list(out, "a ", floor);
    out.push('.');
}

fn examine_receptacle(game: &Game, state: &State, receptacle: ReceptacleId, out: &mut String) {
    let name = game.receptacle_name(receptacle);
    match (game.receptacles[receptacle.index()].openable, state.is_open(receptacle)) {
        (true, false) => return say(out, &["The ", name, " is closed."]),
        (true, true) => say(out, &["The ", name, " is open. In it, you see "]),
        (false, _) => say(out, &["On the ", name, ", you see "]),
    }
    list(out, "a ", state.contents.row(receptacle.index()).map(|object| &*game.objects[object].name));
    out.push('.');
}

fn examine_object(game: &Game, state: &State, object: ObjectId, out: &mut String) {
    let about = &game.objects[object.index()];
    let name = &*about.name;
    if about.holds_objects {
        say(out, &["This is a normal ", name, ". In it, you see "]);
        list(out, "a ", about.inside.iter().map(|&inner| game.object_name(inner)));
        return out.push('.');
    }
    let is = |property| state.is(property, object);
    let (clean, hot, cool) = (is(Property::Clean), is(Property::Hot), is(Property::Cool));
    let sliced = is(Property::Sliced);
    let adjectives = match (clean, hot, cool) {
        (true, true, _) => "hot and clean ",
        (true, false, true) => "cool and clean ",
        (false, true, _) => "hot ",
        (true, false, false) => "clean ",
        (false, false, true) if sliced => "cool ",
        (false, false, true) => "cold ",
        (false, false, false) if about.toggleable && is(Property::Toggled) => {
            return say(out, &["This ", name, " is on."]);
        }
        (false, false, false) if about.sliceable && sliced => "",
        (false, false, false) => return say(out, &["There's nothing special about ", name, "."]),
    };
    say(out, &["This is a ", adjectives, if sliced { "sliced " } else { "" }, name, "."]);
}

/// Writes the answer to an action that has just been executed.
pub(crate) fn answer(game: &Game, state: &State, action: Action, out: &mut String) {
    let o = |object: ObjectId| game.object_name(object);
    let r = |receptacle: ReceptacleId| game.receptacle_name(receptacle);
    match action {
        Action::Look => look(game, state, out),
        Action::Help => {
            out.push_str("Available commands:\n");
            for (usage, explanation) in HELP {
                say(out, &["  ", usage, explanation, "\n"]);
            }
        }
        Action::Inventory => match state.holds {
            Some(held) => say(out, &["You are carrying: a ", o(held), "."]),
            None => out.push_str("You are not carrying anything."),
        },
        Action::GoTo(receptacle) => {
            let place = match game.dialect.wording {
                Wording::V04 => r(receptacle),
                Wording::V03 => &game.locations[state.location.index()].name,
            };
            say(out, &["You arrive at ", place, ". "]);
            examine_receptacle(game, state, receptacle, out);
        }
        Action::Open(receptacle) => {
            say(out, &["You open the ", r(receptacle), ". "]);
            examine_receptacle(game, state, receptacle, out);
        }
        Action::Close(receptacle) => say(out, &["You close the ", r(receptacle), "."]),
        Action::Take(object, from) => say(out, &["You pick up the ", o(object), " from the ", r(from), "."]),
        Action::Put(object, to) => match game.dialect.wording {
            Wording::V04 => say(out, &["You move the ", o(object), " to the ", r(to), "."]),
            Wording::V03 => say(out, &["You put the ", o(object), " in/on the ", r(to), "."]),
        },
        Action::Clean(object, with) => say(out, &["You clean the ", o(object), " using the ", r(with), "."]),
        Action::Heat(object, with) => say(out, &["You heat the ", o(object), " using the ", r(with), "."]),
        Action::Cool(object, with) => say(out, &["You cool the ", o(object), " using the ", r(with), "."]),
        Action::Use(object) => say(out, &["You turn on the ", o(object), "."]),
        Action::Slice(object, knife) => {
            say(out, &["You sliced the ", o(object), " with the ", o(knife), "."])
        }
        Action::ExamineObject(object) => examine_object(game, state, object, out),
        Action::ExamineReceptacle(receptacle) => examine_receptacle(game, state, receptacle, out),
    }
}
