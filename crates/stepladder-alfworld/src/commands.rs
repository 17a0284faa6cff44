//! Commands: parsing them, and listing the admissible ones.

use crate::action::Action;
use crate::dialect::Wording;
use crate::game::Game;
use crate::ids::Named;
use crate::list::CommandList;
use crate::state::State;

impl Action {
    /// Parses a command to an action of a game, possible or not. As in the original, only exact words match.
    pub fn parse(game: &Game, command: &str) -> Option<Self> {
        let object = |name: &str| match game.names.get(name) {
            Some(&Named::Object(object)) => Some(object),
            _ => None,
        };
        let receptacle = |name: &str| match game.names.get(name) {
            Some(&Named::Receptacle(receptacle)) => Some(receptacle),
            _ => None,
        };
        let pair = |names: &str, between: &str| {
            let (first, second) = names.split_once(between)?;
            Some((object(first)?, receptacle(second)?))
        };
        let Some((verb, rest)) = command.split_once(' ') else {
            return match command {
                "look" => Some(Self::Look),
                "inventory" => Some(Self::Inventory),
                "help" => Some(Self::Help),
                _ => None,
            };
        };
        match (verb, game.dialect.wording) {
            ("go", _) => receptacle(rest.strip_prefix("to ")?).map(Self::GoTo),
            ("take", _) => pair(rest, " from ").map(|(o, r)| Self::Take(o, r)),
            ("move", Wording::V04) => pair(rest, " to ").map(|(o, r)| Self::Put(o, r)),
            ("put", Wording::V03) => pair(rest, " in/on ").map(|(o, r)| Self::Put(o, r)),
            ("open", _) => receptacle(rest).map(Self::Open),
            ("close", _) => receptacle(rest).map(Self::Close),
            ("clean", _) => pair(rest, " with ").map(|(o, r)| Self::Clean(o, r)),
            ("heat", _) => pair(rest, " with ").map(|(o, r)| Self::Heat(o, r)),
            ("cool", _) => pair(rest, " with ").map(|(o, r)| Self::Cool(o, r)),
            ("use", _) => object(rest).map(Self::Use),
            ("slice", _) => {
                let (first, second) = rest.split_once(" with ")?;
                Some(Self::Slice(object(first)?, object(second)?))
            }
            ("examine", _) => match game.names.get(rest)? {
                Named::Object(object) => Some(Self::ExamineObject(*object)),
                Named::Receptacle(receptacle) => Some(Self::ExamineReceptacle(*receptacle)),
            },
            _ => None,
        }
    }
}

/// Reusable buffer of [`admissible`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch(Vec<(u16, u16, u16)>);

/// Appends every admissible command in code-point order.
///
/// The groups follow the alphabetical order of the verbs; within a group the rank of the names decides. Names are
/// `<word> <number>` with one space, so names and the commands that contain them sort equally.
pub(crate) fn admissible(game: &Game, state: &State, scratch: &mut Scratch, list: &mut CommandList) {
    let place = &game.locations[state.location.index()];
    let here = || place.receptacles_by_name.iter().map(|r| (*r, &game.receptacles[r.index()]));
    let held = state.holds.map(|held| &game.objects[held.index()]);

    if let Some(held) = held.filter(|held| held.cleanable) {
        here()
            .filter(|(_, r)| r.cleans)
            .for_each(|(_, r)| list.push(&["clean ", &held.name, " with ", &r.name]));
    }
    for (_, r) in here().filter(|(id, r)| r.openable && state.is_open(*id)) {
        list.push(&["close ", &r.name]);
    }
    if let Some(held) = held.filter(|held| held.coolable) {
        here()
            .filter(|(_, r)| r.cools)
            .for_each(|(_, r)| list.push(&["cool ", &held.name, " with ", &r.name]));
    }
    let mut held_to_examine = held;
    for (_, r) in here() {
        if let Some(held) = held_to_examine.take_if(|held| held.rank < r.rank) {
            list.push(&["examine ", &held.name]);
        }
        list.push(&["examine ", &r.name]);
    }
    if let Some(held) = held_to_examine {
        list.push(&["examine ", &held.name]);
    }
    let mut next = 0;
    for &skipped in &place.goto {
        list.extend(&game.goto, next, skipped);
        next = skipped + 1;
    }
    list.extend(&game.goto, next, game.goto.len());
    if let Some(held) = held.filter(|held| held.heatable) {
        here()
            .filter(|(_, r)| r.heats)
            .for_each(|(_, r)| list.push(&["heat ", &held.name, " with ", &r.name]));
    }
    if game.dialect.help {
        list.push(&["help"]);
    }
    list.push(&["inventory"]);
    list.push(&["look"]);
    let put = |list: &mut CommandList, verb: &str, between: &str| {
        let (Some(id), Some(held)) = (state.holds, held) else { return };
        for (r, receptacle) in here() {
            if state.is_accessible(game, r) && game.accepts.get(r.index(), id.index()) {
                list.push(&[verb, &held.name, between, &receptacle.name]);
            }
        }
    };
    if game.dialect.wording == Wording::V04 {
        put(list, "move ", " to ");
    }
    for (_, r) in here().filter(|(id, r)| r.openable && !state.is_open(*id)) {
        list.push(&["open ", &r.name]);
    }
    if game.dialect.wording == Wording::V03 {
        put(list, "put ", " in/on ");
    }
    let found = &mut scratch.0;
    if let Some(knife) = held.filter(|held| held.cuts) {
        found.clear();
        for object in state.lying.row(state.location.index()) {
            if game.objects[object].sliceable {
                found.push((game.objects[object].rank, 0, object as u16));
            }
        }
        found.sort_unstable();
        for &(.., object) in &*found {
            list.push(&["slice ", &game.objects[usize::from(object)].name, " with ", &knife.name]);
        }
    }
    if held.is_none() {
        found.clear();
        for &r in place.receptacles.iter().filter(|r| state.is_accessible(game, **r)) {
            for object in state.contents.common(r.index(), &game.pickupable, 0) {
                found.push((game.objects[object].rank, game.receptacles[r.index()].rank, object as u16));
            }
        }
        found.sort_unstable();
        for &(_, rank, object) in &*found {
            let receptacle = here().find(|(_, r)| r.rank == rank).map_or("", |(_, r)| &*r.name);
            list.push(&["take ", &game.objects[usize::from(object)].name, " from ", receptacle]);
        }
    }
    found.clear();
    for &r in &place.receptacles {
        for object in state.contents.common(r.index(), &game.toggleable, 0) {
            found.push((game.objects[object].rank, 0, object as u16));
        }
    }
    found.sort_unstable();
    found.dedup();
    for &(.., object) in &*found {
        list.push(&["use ", &game.objects[usize::from(object)].name]);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::generate::{self, Split};
    use crate::ids::{ObjectId, ReceptacleId};

    /// Lists every action that a game can express, with its command.
    fn universe(game: &Game) -> Vec<(Action, String)> {
        let objects = || (0..game.objects.len()).map(|index| ObjectId(index as u16));
        let receptacles = || (0..game.receptacles.len()).map(|index| ReceptacleId(index as u16));
        let mut all = vec![(Action::Look, "look".to_owned()), (Action::Inventory, "inventory".to_owned())];
        all.push((Action::Help, "help".to_owned()));
        for r in receptacles() {
            let name = game.receptacle_name(r);
            all.push((Action::GoTo(r), format!("go to {name}")));
            all.push((Action::Open(r), format!("open {name}")));
            all.push((Action::Close(r), format!("close {name}")));
            all.push((Action::ExamineReceptacle(r), format!("examine {name}")));
        }
        for o in objects() {
            let name = game.object_name(o);
            all.push((Action::Use(o), format!("use {name}")));
            all.push((Action::ExamineObject(o), format!("examine {name}")));
            for knife in objects() {
                all.push((Action::Slice(o, knife), format!("slice {name} with {}", game.object_name(knife))));
            }
            for r in receptacles() {
                let with = game.receptacle_name(r);
                all.push((Action::Take(o, r), format!("take {name} from {with}")));
                all.push((Action::Clean(o, r), format!("clean {name} with {with}")));
                all.push((Action::Heat(o, r), format!("heat {name} with {with}")));
                all.push((Action::Cool(o, r), format!("cool {name} with {with}")));
                all.push((
                    Action::Put(o, r),
                    match game.dialect.wording {
                        Wording::V04 => format!("move {name} to {with}"),
                        Wording::V03 => format!("put {name} in/on {with}"),
                    },
                ));
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_list_holds_exactly_what_the_rules_allow(seed in 0u64..1000, old: bool, choices in prop::collection::vec(any::<prop::sample::Index>(), 25)) {
            let wording = if old { Wording::V03 } else { Wording::V04 };
            let options = generate::GeneratorOptions { wording, ..Default::default() };
            let generated = generate::generate(Split::Train, seed, &options);
            let game = Arc::new(Game::from_json(&generated.to_json().unwrap()).unwrap());
            let all = universe(&game);
            for (action, words) in &all {
                prop_assert_eq!(Action::parse(&game, words), Some(*action), "{}", words);
            }
            let mut state = game.initial.clone();
            let (mut list, mut scratch) = (CommandList::new(), Scratch::default());
            for choice in choices {
                let mut allowed: Vec<&str> =
                    all.iter().filter(|(action, _)| state.allows(&game, *action)).map(|(_, words)| &**words).collect();
                allowed.sort_unstable();
                list.clear();
                admissible(&game, &state, &mut scratch, &mut list);
                prop_assert_eq!(list.iter().collect::<Vec<_>>(), allowed);
                // Prefers commands other than `go to`, so that more state changes occur.
                let doing: Vec<&str> = list.iter().filter(|command| !command.starts_with("go to")).collect();
                let command = if choice.index(3) == 0 { choice.get(&doing) } else { list.get(choice.index(list.len())).unwrap() };
                state.apply(&game, Action::parse(&game, command).unwrap());
            }
        }
    }
}
