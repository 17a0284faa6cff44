//! Renaming: episodes with the names of things exchanged.
//!
//! Training variations use few substances, animals and colours; development and test variations use others. A
//! word-level model does not copy a name that it has seen as furniture only, but writes one that it knows.
//! Renaming teaches it to copy: within an episode each name of a group is replaced by another one of the
//! group, in tasks, rooms, observations, actions and labels alike.
//!
//! | group | renamed |
//! |---|---|
//! | solid substances and foods; juices; small things of metal and plastic; products of recipes; letters of unknown substances | always |
//! | colours of light bulbs and wires, of boxes | always |
//! | numbers of flower pots | except in planting tasks |
//! | paints: the primary colours are permuted, mixed colours follow | always |
//! | species of animals, mammals and hatching ones separately | except in lifespan tasks |
//! | species of fruit trees, not their juices | always |
//!
//! Names that labels depend on are kept: water and ice, power sources, rooms, tools.

use stepladder_core::Start;
use stepladder_core::seed::Rng;
use stepladder_core::trace::{Episode, Turn};

use super::readings::Readings;

use rand::seq::SliceRandom;

/// Solids that are printed as `a substance called NAME`.
const CALLED: [&str; 19] = [
    "soap",
    "rubber",
    "lead",
    "tin",
    "gallium",
    "caesium",
    "gold",
    "silver",
    "copper",
    "iron",
    "zinc",
    "bronze",
    "brass",
    "platinum",
    "titanium",
    "silicon",
    "sugar",
    "sodium chloride",
    "sodium bicarbonate",
];

/// Solids that are printed by their bare names.
const BARE: [&str; 8] =
    ["chocolate", "marshmallow", "ice cream", "bread", "flour", "peanut", "almond", "cashew"];

/// Products of recipes that are printed as substances.
const CALLED_PRODUCTS: [&str; 5] = ["soapy water", "salt water", "sugar water", "sodium acetate", "rust"];

/// Products of recipes that are printed by their bare names.
const BARE_PRODUCTS: [&str; 9] = [
    "dough",
    "smores",
    "fruit salad",
    "mixed nuts",
    "banana sandwich",
    "jam sandwich",
    "peanut butter sandwich",
    "peanut butter with jam sandwich",
    "peanut butter with banana sandwich",
];

/// Whether it is printed as `a substance called NAME`.
fn is_called(name: &str) -> bool {
    CALLED.contains(&name) || CALLED_PRODUCTS.contains(&name)
}

/// Whether it is printed by its bare name.
fn is_bare(name: &str) -> bool {
    BARE.contains(&name) || BARE_PRODUCTS.contains(&name)
}

/// Lists the solids that tasks can ask for.
pub(crate) fn solids() -> impl Iterator<Item = &'static str> {
    BARE.into_iter().chain(CALLED)
}

/// Other groups of names with equal notation.
const GROUPS: [&[&str]; 5] = [
    &["aluminum foil", "metal fork", "plastic fork", "paper clip"],
    &["apple juice", "orange juice"],
    &["apple", "apricot", "avocado", "banana", "cherry", "grapefruit", "lemon", "peach", "pear"],
    MAMMALS,
    HATCHING,
];

/// Animals whose first stage is a baby.
const MAMMALS: &[&str] =
    &["beaver", "brown bear", "chipmunk", "elephant", "hedgehog", "mouse", "rabbit", "wolf"];

/// Animals that hatch from eggs. Without moths and toads, which are printed as butterflies and frogs.
const HATCHING: &[&str] = &[
    "ant",
    "bee",
    "blue jay",
    "chameleon",
    "crocodile",
    "dove",
    "dragonfly",
    "giant tortoise",
    "parrot",
    "turtle",
];

/// Names that contain a name of a group but are something else.
const KEPT: [&str; 10] = [
    "bee hive",
    "lemon juice",
    "banana juice",
    "peach juice",
    "pear juice",
    "adult bee",
    "peanut butter",
    "red jam",
    "tin cup",
    "iron block",
];

const BULBS: [&str; 8] = ["red", "blue", "green", "yellow", "orange", "violet", "black", "white"];
const BOXES: [&str; 6] = ["red", "blue", "green", "yellow", "orange", "purple"];

const PRIMARY: [&str; 3] = ["red", "blue", "yellow"];
/// Secondary colours of paint and the indices of their primary colours.
const SECONDARY: [(&str, [usize; 2]); 3] = [("orange", [0, 2]), ("green", [1, 2]), ("violet", [0, 1])];
/// Tertiary colours of paint, with their secondary colour and the index of their primary one.
const TERTIARY: [(&str, &str, usize); 6] = [
    ("red-orange", "orange", 0),
    ("yellow-orange", "orange", 2),
    ("yellow-green", "green", 2),
    ("green-blue", "green", 1),
    ("violet-red", "violet", 0),
    ("blue-violet", "violet", 1),
];

const SUBSTANCE: &str = "a substance called ";
const UNKNOWN: &str = "unknown substance ";
const POT: &str = "flower pot ";

type Pairs = Vec<(&'static str, &'static str)>;

/// Mapping from old to new names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// Old and new name, the longest old names first.
    pairs: Pairs,
    /// Old and new colour of bulbs and wires.
    bulbs: Pairs,
    /// Old and new colour of boxes.
    boxes: Pairs,
    /// Old and new colour of paints.
    paints: Pairs,
    /// New letters of `unknown substance A` and following.
    letters: Vec<u8>,
    /// New numbers of `flower pot 1` and following.
    pots: Vec<u8>,
}

fn shuffled(names: &[&'static str], rng: &mut Rng) -> Pairs {
    let mut renamed = names.to_vec();
    renamed.shuffle(rng);
    names.iter().copied().zip(renamed).collect()
}

/// Permutes the primary colours at random. Returns the old and new name of every colour of paint.
fn paints(rng: &mut Rng) -> Pairs {
    let mut place: Vec<usize> = (0..PRIMARY.len()).collect();
    place.shuffle(rng);
    let primary = PRIMARY.iter().zip(&place).map(|(old, new)| (*old, PRIMARY[*new]));
    let secondary = SECONDARY.map(|(old, [first, second])| {
        let mut parts = [place[first], place[second]];
        parts.sort_unstable();
        let new = SECONDARY.iter().find(|(_, of)| *of == parts).map_or(old, |(new, _)| *new);
        (old, new)
    });
    let tertiary = TERTIARY.iter().map(|(old, between, part)| {
        let between = secondary.iter().find(|(old, _)| old == between).map_or(*between, |(_, new)| *new);
        let new = TERTIARY.iter().find(|(_, of, with)| *of == between && *with == place[*part]);
        (*old, new.map_or(*old, |(new, ..)| *new))
    });
    primary.chain(secondary).chain(tertiary).collect()
}

fn swapped(pairs: &Pairs) -> Pairs {
    let mut pairs: Pairs = pairs.iter().map(|(old, new)| (*new, *old)).collect();
    longest_first(&mut pairs);
    pairs
}

/// Sorts longer names first, so that `jam sandwich` is not read as `jam`.
fn longest_first(pairs: &mut Pairs) {
    pairs.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
}

/// Inverts a permutation of consecutive characters.
fn inverse(order: &[u8]) -> Vec<u8> {
    let first = order.iter().min().copied().unwrap_or_default();
    let mut back = order.to_vec();
    for (old, new) in order.iter().enumerate() {
        back[usize::from(new - first)] = first + old as u8;
    }
    back
}

impl Names {
    pub(crate) fn draw(family: &str, rng: &mut Rng) -> Self {
        let mut pairs = shuffled(&solids().collect::<Vec<_>>(), rng);
        let products: Vec<&str> = CALLED_PRODUCTS.into_iter().chain(BARE_PRODUCTS).collect();
        pairs.extend(shuffled(&products, rng));
        pairs.extend(KEPT.map(|name| (name, name)));
        for group in GROUPS {
            let renamed = shuffled(group, rng);
            if !(family.starts_with("lifespan") && [MAMMALS, HATCHING].contains(&group)) {
                pairs.extend(renamed);
            }
        }
        longest_first(&mut pairs);
        let mut letters: Vec<u8> = (b'A'..=b'Z').collect();
        letters.shuffle(rng);
        let mut pots: Vec<u8> = (b'1'..=b'9').collect();
        // The expert plants in the first pot, so pots keep their order.
        if !family.starts_with("grow-") {
            pots.shuffle(rng);
        }
        let mut paints = paints(rng);
        longest_first(&mut paints);
        Self { pairs, bulbs: shuffled(&BULBS, rng), boxes: shuffled(&BOXES, rng), paints, letters, pots }
    }

    /// Gives `other` the new name of `one`.
    pub(crate) fn alike(mut self, one: &str, other: &str) -> Self {
        if let Some((_, name)) = self.pairs.iter().find(|(old, _)| *old == one).copied() {
            self.pairs.iter_mut().filter(|(old, _)| *old == other).for_each(|pair| pair.1 = name);
        }
        self
    }

    /// Whether the colours that a task mixes keep their alphabetical order, in which the expert names them.
    fn keeps_order(&self, task: &str) -> bool {
        let Some((_, wanted)) = task.split_once("create ") else { return true };
        let Some((wanted, _)) = wanted.split_once(" paint") else { return true };
        let last = TERTIARY.iter().find(|(name, ..)| *name == wanted);
        let first = last.map_or(wanted, |(_, between, _)| between);
        let last = last.map(|(_, between, part)| [between, PRIMARY[*part]]);
        let first = SECONDARY.iter().find(|(name, _)| *name == first);
        let first = first.map(|(_, parts)| parts.map(|part| PRIMARY[part]));
        let new = |colour: &str| self.paints.iter().find(|(old, _)| *old == colour).map(|(_, new)| *new);
        first.into_iter().chain(last).all(|[one, other]| (one < other) == (new(one) < new(other)))
    }

    /// Returns the inverse mapping.
    pub(crate) fn inverse(&self) -> Self {
        Self {
            pairs: swapped(&self.pairs),
            bulbs: swapped(&self.bulbs),
            boxes: swapped(&self.boxes),
            paints: swapped(&self.paints),
            letters: inverse(&self.letters),
            pots: inverse(&self.pots),
        }
    }

    /// Replaces the names in a text. In a list of visible things, the notation changes with the name (`a
    /// substance called NAME` or the bare name).
    pub(crate) fn apply(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len() + 32);
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let starts = !text[..at].ends_with(|before: char| before.is_alphanumeric());
            let taken = starts
                .then(|| {
                    numbered(UNKNOWN, &self.letters, rest, &mut written)
                        .or_else(|| numbered(POT, &self.pots, rest, &mut written))
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
        } else if after.starts_with("paint") {
            &self.paints
        } else {
            return None;
        };
        let (_, new) = names.iter().find(|(old, _)| *old == colour)?;
        written.push_str(new);
        Some(colour.len())
    }

    fn name(&self, rest: &str, written: &mut String) -> Option<usize> {
        let called = rest.strip_prefix(SUBSTANCE);
        let bare = called.unwrap_or(rest);
        let state = ["liquid ", "solid "].into_iter().find(|state| bare.starts_with(state)).unwrap_or("");
        let named = &bare[state.len()..];
        let ends = |name: &str| !named[name.len()..].starts_with(|after: char| after.is_alphanumeric());
        let (old, new) = self.pairs.iter().find(|(old, _)| named.starts_with(old) && ends(old))?;
        // Outside lists, both groups are printed by their bare names.
        let listed = called.is_some() || (is_bare(old) && listed(written));
        if listed && is_called(new) {
            written.push_str(SUBSTANCE);
        }
        written.push_str(state);
        written.push_str(new);
        Some(rest.len() - named.len() + old.len())
    }
}

/// Replaces the letter or digit after a name.
fn numbered(name: &str, order: &[u8], rest: &str, written: &mut String) -> Option<usize> {
    let behind = rest.strip_prefix(name)?;
    let alone = !behind.get(1..).is_some_and(|after| after.starts_with(|c: char| c.is_alphanumeric()));
    let first = order.iter().min()?;
    let new = order.get(usize::from(behind.as_bytes().first()?.checked_sub(*first)?)).filter(|_| alone)?;
    written.push_str(name);
    written.push(char::from(*new));
    Some(name.len() + 1)
}

/// Whether the text continues with an entry of a list of visible things.
fn listed(before: &str) -> bool {
    before.ends_with('\t') || before.ends_with("(containing ") || before.ends_with(" is: ") || {
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.starts_with('\t') && before.ends_with(", ")
    }
}

/// Draws names under which the expert would give the same labels.
fn draw_kept(start: &Start, rng: &mut Rng) -> Names {
    loop {
        let names = Names::draw(&start.family, rng);
        if names.keeps_order(&start.task) {
            return names;
        }
    }
}

/// Renames the things of an episode and changes its readings; the mapping is drawn from `rng`.
pub fn rename(episode: &Episode, rng: &mut Rng) -> Episode {
    let names = draw_kept(&episode.start, rng);
    let readings = Readings::draw(episode, rng);
    let mut episode = episode.clone();
    let set = |text: &mut String| {
        *text = names.apply(text);
        if let Some(readings) = &readings {
            *text = readings.apply(text);
        }
    };
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
    use stepladder_core::seed::stream;

    use super::*;

    #[test]
    fn mixing_is_the_same_with_other_paints_and_names_can_be_taken_back() {
        let text = "\ta substance called lead\n\tchocolate, flower pot 3, red light bulb, blue box, unknown substance Q, jam sandwich, a wolf";
        for number in 0..50 {
            let names = Names::draw("boil", &mut stream(number, "rename", &[]));
            assert_eq!(names.inverse().apply(&names.apply(text)), text);
            let of = |colour: &str| names.paints.iter().find(|(old, _)| *old == colour).unwrap().1;
            for (mixed, parts) in SECONDARY {
                let mut new =
                    parts.map(|part| PRIMARY.iter().position(|name| *name == of(PRIMARY[part])).unwrap());
                new.sort_unstable();
                assert!(SECONDARY.contains(&(of(mixed), new)), "{mixed} is called {}", of(mixed));
            }
            for (mixed, between, part) in TERTIARY {
                let renamed = TERTIARY.iter().find(|(name, ..)| *name == of(mixed)).unwrap();
                assert_eq!((renamed.1, PRIMARY[renamed.2]), (of(between), of(PRIMARY[part])));
            }
        }
    }

    fn names() -> Names {
        let mut letters: Vec<u8> = (b'A'..=b'Z').collect();
        letters.swap(1, 10);
        Names {
            pairs: vec![
                ("apple juice", "orange juice"),
                ("blue jay", "turtle"),
                ("chocolate", "lead"),
                ("apple", "pear"),
                ("lead", "ice cream"),
            ],
            bulbs: vec![("red", "blue"), ("blue", "red")],
            boxes: vec![("red", "green")],
            letters,
            pots: b"213456789".to_vec(),
            paints: vec![("red", "blue"), ("blue", "red"), ("orange", "green"), ("red-orange", "green-blue")],
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
            ("move blue jay egg to red box", "move turtle egg to green box"),
            ("a apple tree, apple juice, red paint", "a pear tree, orange juice, blue paint"),
            ("red and blue paint, red-orange paint", "red and red paint, green-blue paint"),
            ("flower pot 1, self watering flower pot 2", "flower pot 2, self watering flower pot 1"),
            ("flower pot 12, flower pot", "flower pot 12, flower pot"),
        ];
        for (text, renamed) in cases {
            assert_eq!(names().apply(text), renamed);
        }
    }
}
