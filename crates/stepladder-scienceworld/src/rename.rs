//! The same episode with other names: what is done to chocolate is done to lead likewise.
//!
//! The training variations heat two foods and a few metals, look for some animals, wire some colours; development and test
//! variations have others. A model from scratch that has met a name only as part of the furniture does not copy it, it writes
//! one that it knows. Renaming teaches it to copy: every thing of a group is called by the name of another one, all through an
//! episode, in tasks, rooms, answers, actions and labels alike.
//!
//! | group | renamed |
//! |---|---|
//! | solid substances, small things, products of recipes, letters of unknown substances | always |
//! | colours of light bulbs and wires, of boxes | always |
//! | kinds of animals | not where lifespans are compared |
//! | kinds of fruit trees | always; not their juices |
//!
//! What stays is what a label depends on: paints that mix, liquids and ice, power sources, rooms, tools.

use stepladder_core::seed::Rng;
use stepladder_core::trace::{Episode, Turn};

use rand::seq::SliceRandom;

/// Solids that a room shows by their bare name.
const BARE: [&str; 3] = ["chocolate", "marshmallow", "ice cream"];

/// Solids that a room shows as `a substance called NAME`.
const CALLED: [&str; 16] = [
    "soap", "rubber", "lead", "tin", "gallium", "caesium", "gold", "silver", "copper", "iron", "zinc",
    "bronze", "brass", "platinum", "titanium", "silicon",
];

/// Groups of names that are shown alike.
const GROUPS: [&[&str]; 4] = [
    &["aluminum foil", "metal fork", "plastic fork", "paper clip"],
    &[
        "soapy water",
        "salt water",
        "sugar water",
        "sodium acetate",
        "smores",
        "fruit salad",
        "mixed nuts",
        "rust",
        "banana sandwich",
        "jam sandwich",
        "peanut butter sandwich",
    ],
    &["apple", "avocado", "banana", "cherry", "lemon", "peach", "pear", "grapefruit"],
    ANIMALS,
];

const ANIMALS: &[&str] = &[
    "ant",
    "beaver",
    "bee",
    "blue jay",
    "brown bear",
    "butterfly",
    "chameleon",
    "chipmunk",
    "toad",
    "crocodile",
    "dove",
    "dragonfly",
    "elephant",
    "frog",
    "giant tortoise",
    "hedgehog",
    "moth",
    "mouse",
    "parrot",
    "rabbit",
    "turtle",
    "wolf",
];

/// Names in which a name of a group is something else.
const KEPT: [&str; 7] =
    ["apple juice", "orange juice", "bee hive", "lemon juice", "banana juice", "adult bee", "peach juice"];

const BULBS: [&str; 8] = ["red", "blue", "green", "yellow", "orange", "violet", "black", "white"];
const BOXES: [&str; 6] = ["red", "blue", "green", "yellow", "orange", "purple"];

const SUBSTANCE: &str = "a substance called ";
const UNKNOWN: &str = "unknown substance ";

/// Who is called what.
#[derive(Default)]
struct Names {
    /// Old name, new name.
    pairs: Vec<(&'static str, &'static str)>,
    /// Old colour, new colour of bulbs and wires.
    bulbs: Vec<(&'static str, &'static str)>,
    /// The same of boxes.
    boxes: Vec<(&'static str, &'static str)>,
    /// New letters of `unknown substance A` and so on.
    letters: Vec<u8>,
}

fn shuffled(names: &[&'static str], rng: &mut Rng) -> Vec<(&'static str, &'static str)> {
    let mut renamed = names.to_vec();
    renamed.shuffle(rng);
    names.iter().copied().zip(renamed).collect()
}

impl Names {
    fn draw(family: &str, rng: &mut Rng) -> Self {
        let solids: Vec<&str> = BARE.into_iter().chain(CALLED).collect();
        let mut pairs = shuffled(&solids, rng);
        for group in GROUPS {
            let group = shuffled(group, rng);
            if !(family.starts_with("lifespan") && group.iter().any(|(name, _)| ANIMALS.contains(name))) {
                pairs.extend(group);
            }
        }
        // The longest first: `jam sandwich` is no `jam`.
        pairs.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        let mut letters: Vec<u8> = (b'A'..=b'Z').collect();
        letters.shuffle(rng);
        Self { pairs, bulbs: shuffled(&BULBS, rng), boxes: shuffled(&BOXES, rng), letters }
    }

    /// A text with the new names. In a list of what is seen, a name also takes on the words that go before it.
    fn apply(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len() + 32);
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let starts = !text[..at].ends_with(|before: char| before.is_alphanumeric());
            let taken = starts
                .then(|| {
                    kept(rest, &mut written)
                        .or_else(|| self.letter(rest, &mut written))
                        .or_else(|| self.colour(rest, &mut written))
                        .or_else(|| self.name(rest, &mut written))
                })
                .flatten();
            at += taken.unwrap_or_else(|| {
                let next = rest.chars().next().unwrap_or(' ');
                written.push(next);
                next.len_utf8()
            });
        }
        written
    }

    fn colour(&self, rest: &str, written: &mut String) -> Option<usize> {
        let (colour, after) = rest.split_once(' ')?;
        let names = if after.starts_with("light bulb") || after.starts_with("wire") {
            &self.bulbs
        } else if after.starts_with("box") {
            &self.boxes
        } else {
            return None;
        };
        let (_, new) = names.iter().find(|(old, _)| *old == colour)?;
        written.push_str(new);
        Some(colour.len())
    }

    fn letter(&self, rest: &str, written: &mut String) -> Option<usize> {
        let letter = *rest.strip_prefix(UNKNOWN)?.as_bytes().first()?;
        let alone = !rest[UNKNOWN.len() + 1..].starts_with(|after: char| after.is_alphanumeric());
        let renamed = self.letters.get(usize::from(letter.checked_sub(b'A')?)).filter(|_| alone)?;
        written.push_str(UNKNOWN);
        written.push(char::from(*renamed));
        Some(UNKNOWN.len() + 1)
    }

    fn name(&self, rest: &str, written: &mut String) -> Option<usize> {
        let called = rest.strip_prefix(SUBSTANCE);
        let bare = called.unwrap_or(rest);
        let state = ["liquid ", "solid "].into_iter().find(|state| bare.starts_with(state)).unwrap_or("");
        let named = &bare[state.len()..];
        let ends = |name: &str| !named[name.len()..].starts_with(|after: char| after.is_alphanumeric());
        let (old, new) = self.pairs.iter().find(|(old, _)| named.starts_with(old) && ends(old))?;
        // Outside of lists both kinds are called by their names alone.
        let listed = called.is_some() || (BARE.contains(old) && listed(written));
        if listed && CALLED.contains(new) {
            written.push_str(SUBSTANCE);
        }
        written.push_str(state);
        written.push_str(new);
        Some(rest.len() - named.len() + old.len())
    }
}

fn kept(rest: &str, written: &mut String) -> Option<usize> {
    let name = KEPT.iter().find(|name| rest.starts_with(**name))?;
    written.push_str(name);
    Some(name.len())
}

/// Whether what comes next is an entry of a list of things in sight.
fn listed(before: &str) -> bool {
    before.ends_with('\t') || before.ends_with("(containing ") || before.ends_with(" is: ") || {
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.starts_with('\t') && before.ends_with(", ")
    }
}

/// The episode with other names, drawn from `rng`.
pub fn rename(episode: &Episode, rng: &mut Rng) -> Episode {
    let names = Names::draw(&episode.start.family, rng);
    let mut episode = episode.clone();
    let set = |text: &mut String| *text = names.apply(text);
    let say = |turn: &mut Option<Turn>| {
        if let Some(turn) = turn {
            set(&mut turn.reply);
        }
    };
    [&mut episode.start.text, &mut episode.start.task, &mut episode.start.context].into_iter().for_each(set);
    for subtask in &mut episode.subtasks {
        set(&mut subtask.text);
        say(&mut subtask.turn);
        for step in &mut subtask.steps {
            [&mut step.action, &mut step.observation, &mut step.turn.reply].into_iter().for_each(set);
            [&mut step.context, &mut step.progress, &mut step.expert].into_iter().flatten().for_each(set);
            say(&mut step.progress_turn);
        }
    }
    episode
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut letters: Vec<u8> = (b'A'..=b'Z').collect();
        letters.swap(1, 10);
        Names {
            pairs: vec![
                ("blue jay", "moth"),
                ("chocolate", "lead"),
                ("apple", "pear"),
                ("lead", "ice cream"),
            ],
            bulbs: vec![("red", "blue"), ("blue", "red")],
            boxes: vec![("red", "green")],
            letters,
        }
    }

    #[test]
    fn names_change_everywhere_and_take_their_words_with_them() {
        let cases = [
            ("Your task is to boil chocolate. First,", "Your task is to boil lead. First,"),
            (
                "\ta fridge. In the fridge is: a cup (containing chocolate), chocolate.",
                "\ta fridge. In the fridge is: a cup (containing a substance called lead), a substance called lead.",
            ),
            ("\ta substance called liquid lead\n", "\tliquid ice cream\n"),
            ("You focus on the liquid chocolate.", "You focus on the liquid lead."),
            ("focus on chocolate", "focus on lead"),
            (
                "use thermometer on unknown substance B in inventory",
                "use thermometer on unknown substance K in inventory",
            ),
            ("leading the misleading", "leading the misleading"),
            (
                "connect red wire terminal 1 to cathode in blue light bulb",
                "connect blue wire terminal 1 to cathode in red light bulb",
            ),
            ("move blue jay egg to red box", "move moth egg to green box"),
            ("a apple tree, apple juice, red paint", "a pear tree, apple juice, red paint"),
        ];
        for (text, renamed) in cases {
            assert_eq!(names().apply(text), renamed);
        }
    }
}
