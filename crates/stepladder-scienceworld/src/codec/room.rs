//! Encoding of the room, its doors and the inventory.
//!
//! ```text
//! room  = ("room:" | "look:" | "room!" | "look!") name {run | line} {door | line} [("inv:" | "inv!") {run | line}]
//! door  = name ("+" | "-")
//! line  = "line:" text "end:"
//! ```
//! `room:` and `look:` omit the agent and the air, `inv:` the orange, which have a fixed place in the order
//! of names; with `!` nothing is omitted. `look:` is the answer to `look around`: no inventory, and no line
//! break at the end.

use super::lexicon::LEXICON;
use super::openers::{LINE_END, LOOK, ROOM};
use super::text;
use super::thing::{self, Thing};
use super::word;

const INVENTORY: [&str; 2] = ["inv:", "inv!"];
const LINE: &str = "line:";
const INSIDE: (&str, &str) = ("This room is called the ", ". In it, you see: \n");
const OUTSIDE: (&str, &str) = ("This outside location is called the ", ". Here you see: \n");
const OUTDOORS: &str = "outside";
const DOORS: &str = "You also see:\n";
const CARRIED: &str = "\nIn your inventory, you see:\n";
const DOOR: (&str, [&str; 2]) = ("A door to the ", [" (that is closed)", " (that is open)"]);
const MARKS: [char; 2] = ['-', '+'];
/// Always visible, and first in the order of names except for names before `agent`.
const HERE: [(&str, &str); 2] = [("agent", "the agent"), ("air", "a substance called air")];
const HELD: (&str, &str) = ("orange", "an orange");

enum Line<'a> {
    Thing(Box<Thing>),
    Raw(&'a str),
}

/// How defensively a room is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// Every line is encoded as a thing if it looks like one.
    None,
    /// Lines that would not be restored are spelled out.
    Lines,
    /// In addition, nothing is omitted.
    Full,
}

/// Encodes a room; `None` if the text is not one.
pub(super) fn encode(text: &str, care: Care) -> Option<String> {
    let short = care != Care::Full;
    let (name, rest) = [INSIDE, OUTSIDE].iter().find_map(|(before, after)| {
        let (name, rest) = text.strip_prefix(before)?.split_once(after)?;
        Some((name, rest))
    })?;
    let (things, rest) = rest.split_once(DOORS)?;
    let (doors, inventory) = match rest.split_once(CARRIED) {
        Some((doors, inventory)) => (doors, Some(inventory)),
        None => (rest, None),
    };
    let whole = inventory.is_some();
    let variant = usize::from(!short);
    let mut words = vec![if whole { ROOM } else { LOOK }[variant].to_owned(), word::name_word(name)?];
    let mut things: Vec<Line<'_>> = lines(things, care)?;
    if short {
        for (name, text) in HERE {
            let at = things.iter().position(|line| printed(line, name, text))?;
            things.remove(at);
        }
    }
    write(things, &mut words);
    let doors = if whole || doors.is_empty() { doors.to_owned() } else { format!("{doors}\n") };
    for line in doors.split_inclusive('\n') {
        let line = line.strip_suffix('\n')?.strip_prefix('\t')?;
        match door(line) {
            Some(word) => words.push(word),
            None => raw(line, &mut words),
        }
    }
    if let Some(inventory) = inventory {
        let mut held = lines(inventory, care)?;
        let orange = held.iter().position(|line| printed(line, HELD.0, HELD.1)).filter(|_| short);
        words.push(INVENTORY[usize::from(orange.is_none())].to_owned());
        if let Some(orange) = orange {
            held.remove(orange);
        }
        write(held, &mut words);
    }
    Some(words.join(" "))
}

fn door(line: &str) -> Option<String> {
    let rest = line.strip_prefix(DOOR.0)?;
    let (mark, room) =
        DOOR.1.iter().zip(MARKS).find_map(|(state, mark)| Some((mark, rest.strip_suffix(state)?)))?;
    word::name_word(room).map(|room| format!("{room}{mark}"))
}

/// Returns the room of a door word, and whether the door is open.
pub(super) fn door_of(word: &str) -> Option<(&str, bool)> {
    let room = word.strip_suffix(MARKS)?;
    (room.len() > 1 && word::name_word(&word::text_of(room)).is_some())
        .then_some((room, word.ends_with(MARKS[1])))
}

fn lines(text: &str, care: Care) -> Option<Vec<Line<'_>>> {
    text.split_inclusive('\n')
        .map(|line| line.strip_suffix('\n')?.strip_prefix('\t').map(|line| read_thing(line, care)))
        .collect()
}

/// Parses a line as a thing if printing restores the line and every part has a word.
fn read_thing(line: &str, care: Care) -> Line<'_> {
    let same = |thing: &Thing| {
        care == Care::None || {
            let mut text = String::with_capacity(line.len());
            thing.print(&mut text);
            text == line && thing.write(&mut Vec::new()).is_some()
        }
    };
    Thing::parse(line).filter(same).map_or(Line::Raw(line), |thing| Line::Thing(Box::new(thing)))
}

fn printed(line: &Line<'_>, name: &str, text: &str) -> bool {
    let prints = |thing: &Thing| {
        let mut own = String::new();
        thing.print(&mut own);
        own == text
    };
    matches!(line, Line::Thing(thing) if thing.name == name && prints(thing))
}

fn write(lines: Vec<Line<'_>>, words: &mut Vec<String>) {
    let mut things = Vec::new();
    // If a thing has no words, the text is not restored, and the next attempt encodes more defensively.
    let flush = |things: &mut Vec<Thing>, words: &mut Vec<String>| {
        let _ = thing::write_runs(things, words);
        things.clear();
    };
    for line in lines {
        match line {
            Line::Thing(thing) => things.push(*thing),
            Line::Raw(line) => {
                flush(&mut things, words);
                raw(line, words);
            }
        }
    }
    flush(&mut things, words);
}

fn raw(line: &str, words: &mut Vec<String>) {
    words.push(LINE.to_owned());
    text::encode(line, words);
    words.push(LINE_END.to_owned());
}

/// Decodes words that begin with the opening word of a room.
pub(super) fn decode(words: &[&str]) -> String {
    let (first, words) = words.split_first().map_or(("", words), |(first, words)| (*first, words));
    let (name, words) = words.split_first().map_or(("", words), |(name, words)| (*name, words));
    let name = word::text_of(name);
    let place = if name == OUTDOORS { OUTSIDE } else { INSIDE };
    let mut text = format!("{}{name}{}", place.0, place.1);
    let mut at = 0;
    let mut things = read(words, &mut at, |word| door_of(word).is_some() || INVENTORY.contains(&word));
    if [ROOM[0], LOOK[0]].contains(&first) {
        insert(&mut things, HERE[0].0, &HERE);
    }
    print(&things, &mut text);
    text.push_str(DOORS);
    while let Some(word) = words.get(at).filter(|word| !INVENTORY.contains(word)) {
        match door_of(word) {
            Some((room, open)) => {
                for part in ["\t", DOOR.0, &word::text_of(room), DOOR.1[usize::from(open)], "\n"] {
                    text.push_str(part);
                }
                at += 1;
            }
            None => print(&read_line(words, &mut at), &mut text),
        }
    }
    if LOOK.contains(&first) {
        text.truncate(text.len() - usize::from(!text.ends_with(DOORS)));
    }
    if let Some(held) = words.get(at) {
        at += 1;
        text.push_str(CARRIED);
        let mut things = read(words, &mut at, |_| false);
        if *held == INVENTORY[0] {
            insert(&mut things, HELD.0, &[HELD]);
        }
        print(&things, &mut text);
    }
    text
}

/// Printed line with the name that it is sorted by.
struct Printed {
    name: String,
    text: String,
}

/// Inserts the omitted lines before the first thing with a later name.
fn insert(lines: &mut Vec<Printed>, name: &str, left_out: &[(&str, &str)]) {
    let at = lines.iter().position(|line| LEXICON.order(&line.name) > name);
    let at = at.unwrap_or(lines.len());
    let printed =
        |(name, text): &(&str, &str)| Printed { name: (*name).to_owned(), text: (*text).to_owned() };
    lines.splice(at..at, left_out.iter().map(printed));
}

fn read(words: &[&str], at: &mut usize, ends: impl Fn(&str) -> bool) -> Vec<Printed> {
    let mut lines = Vec::new();
    while words.get(*at).is_some_and(|word| !ends(word)) {
        lines.extend(read_line(words, at));
    }
    lines
}

/// Decodes the line at `words[*at..]`, or the lines of a run.
fn read_line(words: &[&str], at: &mut usize) -> Vec<Printed> {
    if words[*at] == LINE {
        let rest = &words[*at + 1..];
        let len = rest.iter().position(|word| *word == LINE_END).unwrap_or(rest.len());
        *at += len + 2;
        *at = (*at).min(words.len());
        let text = text::decode(&rest[..len]);
        let name =
            ["a substance called ", "a ", "an ", "A "].iter().find_map(|article| text.strip_prefix(article));
        return vec![Printed { name: name.unwrap_or(&text).to_owned(), text }];
    }
    let printed = |thing: Thing| {
        let mut text = String::new();
        thing.print(&mut text);
        Printed { name: thing.name, text }
    };
    thing::read_run(words, at).into_iter().map(printed).collect()
}

fn print(lines: &[Printed], text: &mut String) {
    for line in lines {
        text.push('\t');
        text.push_str(&line.text);
        text.push('\n');
    }
}
