//! Mixing of ingredients in one vessel: the executor's part of [`chemistry`](super::chemistry).

use super::super::plan::Act;
use super::super::{common, progress};
use crate::view::{Scene, Thing};

/// Room of the paints: one cup of each primary colour is in the open, another of each in the cupboard.
pub(super) const ART_STUDIO: &str = "art studio";

/// Returns the subtask of mixing ingredients in a room.
pub(super) fn make(product: &str, ingredients: &str, room: &str) -> String {
    format!("make {product} from {ingredients} in the {room}")
}

/// Ingredient that comes from a tap.
pub(super) const WATER: &str = "water";

/// Lists the things in the inventory and the room, each with its direct container.
pub(super) fn things(scene: &Scene) -> Vec<(&Thing, Option<&Thing>)> {
    // Carried things are preferred to others.
    scene.carried().into_iter().chain(scene.visible()).collect()
}

/// Whether a thing is the named ingredient: `red jam` is jam, `blank paper` is paper, `salt water` is not
/// water.
pub(super) fn is(thing: &Thing, name: &str) -> bool {
    let kind = |rest: &str| rest.strip_suffix(' ').is_some_and(|word| !word.contains(' ')) && !liquid(name);
    thing.name == name || thing.name.strip_suffix(name).is_some_and(kind)
}

/// Whether it must be poured.
fn liquid(name: &str) -> bool {
    ["paint", "juice", "milk", WATER].iter().any(|word| name.ends_with(word))
}

/// Whether things can be mixed in it.
fn vessel(thing: &Thing) -> bool {
    ["cup", "bowl", "jug", "metal pot", "beaker"].iter().any(|kind| thing.name.ends_with(kind))
}

/// Things available for mixing.
pub(super) struct Sight<'a> {
    scene: &'a Scene,
    progress: &'a str,
    things: Vec<(&'a Thing, Option<&'a Thing>)>,
}

impl<'a> Sight<'a> {
    pub(super) fn new(scene: &'a Scene, progress: &'a str) -> Self {
        Self { scene, progress, things: things(scene) }
    }

    pub(super) fn sees_recipe(&self) -> bool {
        self.things.iter().any(|(thing, _)| thing.name.starts_with("recipe "))
    }

    /// Opens a closed container; ends the subtask if there is none.
    pub(super) fn look_further(&self) -> Act {
        common::closed(self.scene)
            .map_or_else(|| Act::last("look around"), |thing| Act::then(format!("open {}", thing.name)))
    }

    /// Opens a closed jar: its contents are visible but cannot be taken.
    fn unlock(&self, around: Option<&Thing>) -> Option<Act> {
        let jar = around.filter(|thing| thing.name.ends_with("jar"))?;
        let opened = self.progress == format!("opened {}", jar.name);
        (!opened).then(|| Act::then(format!("open {}", jar.name)))
    }

    /// Picks up the next ingredient in the room; the last one ends the subtask.
    pub(super) fn pick_up(&self, ingredients: &[&str]) -> Act {
        let carried = self.scene.carried();
        let mut left = ingredients.iter().copied().filter_map(|name| {
            let (_, around) = self.things.iter().find(|(thing, _)| is(thing, name))?;
            (!carried.iter().any(|(thing, _)| is(thing, name))).then_some((name, *around))
        });
        let Some((name, around)) = left.next() else {
            return Act::last("look around");
        };
        if let Some(act) = self.unlock(around) {
            return act;
        }
        let action = match around.filter(|around| liquid(name) && vessel(around)) {
            Some(cup) => format!("pick up {} containing {name}", cup.name),
            None => format!("pick up {name}"),
        };
        Act { action, finished: left.next().is_none() }
    }

    /// Brings the ingredients into one vessel, water last, mixes them and focuses on the product.
    pub(super) fn make(&self, product: &str, ingredients: &[&str]) -> Act {
        if let Some((thing, _)) =
            self.things.iter().find(|(thing, _)| is(thing, product) || same(&thing.name, product))
        {
            let name = if is(thing, product) { product } else { &thing.name };
            return Act::last(format!("focus on {name}"));
        }
        let Some((cup, place)) = self.vessel(ingredients) else {
            return self.look_further();
        };
        let inside = |name: &str| cup.contents.iter().any(|thing| is(thing, name));
        let mut left: Vec<&str> = ingredients.iter().copied().filter(|name| !inside(name)).collect();
        left.sort_by_key(|name| *name == WATER);
        match left.first() {
            None => Act::then(format!("mix {}", reference(cup, &self.things, ingredients))),
            Some(&WATER) => self.fill(cup, place, ingredients),
            Some(name) => self.add(name, cup, ingredients),
        }
    }

    /// Returns the vessel with the most ingredients and nothing else; on a tie that of the ingredient named
    /// first.
    fn vessel(&self, ingredients: &[&str]) -> Option<(&'a Thing, Option<&'a Thing>)> {
        let index = |thing: &Thing| ingredients.iter().position(|name| is(thing, name));
        let fits = |(thing, _): &&(&Thing, _)| {
            vessel(thing) && thing.contents.iter().all(|inside| index(inside).is_some())
        };
        self.things.iter().filter(fits).copied().min_by_key(|(cup, _)| {
            let first = cup.contents.iter().filter_map(index).min();
            (usize::MAX - cup.contents.len(), first)
        })
    }

    /// Fills the vessel at the tap.
    fn fill(&self, cup: &Thing, place: Option<&Thing>, ingredients: &[&str]) -> Act {
        let tap = self.scene.visible().into_iter().map(|(thing, _)| thing).find(|thing| thing.name == "sink");
        match (tap, place) {
            (Some(sink), Some(place)) if sink == place && sink.is_on() => Act::then("wait1"),
            (Some(sink), Some(place)) if sink == place => Act::then("activate sink"),
            (Some(_), _) => Act::then(format!("move {} to sink", reference(cup, &self.things, ingredients))),
            (None, _) => self.look_further(),
        }
    }

    /// Brings one ingredient into the vessel.
    fn add(&self, name: &str, cup: &Thing, ingredients: &[&str]) -> Act {
        let Some((_, around)) = self.things.iter().find(|(thing, _)| is(thing, name)) else {
            return self.look_further();
        };
        if let Some(act) = self.unlock(*around) {
            return act;
        }
        let target = reference(cup, &self.things, ingredients);
        match around.filter(|around| vessel(around) && (liquid(name) || progress::failed(self.progress))) {
            Some(from) => {
                Act::then(format!("pour {} into {target}", reference(from, &self.things, ingredients)))
            }
            None if self.scene.inventory.iter().any(|thing| is(thing, name)) => {
                Act::then(format!("move {name} in inventory to {target}"))
            }
            None => Act::then(format!("move {name} to {target}")),
        }
    }
}

/// Returns a vessel's name in an action: its contents, named as in the recipe, distinguish it from others.
fn reference(cup: &Thing, all: &[(&Thing, Option<&Thing>)], ingredients: &[&str]) -> String {
    if all.iter().filter(|(thing, _)| thing.name == cup.name).count() < 2 {
        return cup.name.clone();
    }
    let called = |thing: &Thing| {
        let name = ingredients.iter().find(|name| is(thing, name));
        name.map_or_else(|| thing.name.clone(), |name| (*name).to_owned())
    };
    let contents: Vec<String> = cup.contents.iter().map(called).collect();
    let contents = if contents.is_empty() { "nothing".to_owned() } else { contents.join(" and ") };
    format!("{} containing {contents}", cup.name)
}

/// Whether two names have the same words: `blue-green paint`, `green blue paint`.
fn same(one: &str, other: &str) -> bool {
    let words = |name: &str| -> Vec<String> {
        let mut words: Vec<String> = name.split([' ', '-']).map(str::to_owned).collect();
        words.sort();
        words
    };
    words(one) == words(other)
}
