//! Which tasks a split holds.

use std::ops::Range;

use stepladder_env::EnvError;

use crate::spec::SPEC;
use crate::variations::{Part, TASKS, Task};

/// Of the published training variations, these are held out for tuning: one of 14.
const HELD_OUT: u32 = 14;

/// Practice worlds of every task.
pub const WORLDS: u32 = 200;

/// A task, a variation, the number of its practice world in a split of such.
pub type Listed = (&'static Task, u32, Option<u32>);

/// Simplifications that the simulator knows.
pub const SIMPLIFICATIONS: [&str; 6] =
    ["easy", "teleportAction", "openDoors", "openContainers", "selfWateringFlowerPots", "noElectricalAction"];

/// What a split name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    choice: Choice,
    simplification: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The first variations of 24 tasks, as published with STEP-HRL.
    Published(Part),
    /// Of the published training variations, those for tuning, or the others.
    Training { held_out: bool },
    /// Of the published training variations, the first three quarters of every task, or the last one, which asks for
    /// things that the first ones do not ask for, as development tasks do.
    Quarter { last: bool },
    /// The package's sets over all 30 tasks.
    All(Part),
    /// Worlds made of the published training variations, or of the first three quarters of them.
    Practice { first: bool },
}

impl Choice {
    fn range(self, task: &Task) -> Range<u32> {
        match self {
            Self::Published(part) => task.published_set(part),
            Self::Training { .. } | Self::Practice { first: false } => task.published_set(Part::Train),
            Self::Quarter { last } => {
                let all = task.published_set(Part::Train);
                let cut = all.start + (3 * all.len() as u32).div_ceil(4);
                if last { cut..all.end } else { all.start..cut }
            }
            Self::Practice { first: true } => Self::Quarter { last: false }.range(task),
            Self::All(part) => task.set(part),
        }
    }

    fn holds(self, variation: u32) -> bool {
        match self {
            Self::Training { held_out } => held_out == (variation % HELD_OUT == HELD_OUT / 2),
            _ => true,
        }
    }
}

/// Tasks that change a substance's state of matter.
pub(crate) const MATTER: [&str; 4] = ["boil", "melt", "freeze", "change-the-state-of-matter-of"];

/// Their training variations about solids: the others are about water, ice and juices, which cannot be carried elsewhere and
/// have few other names.
const SOLIDS: Range<u32> = 10..14;

/// How many more practice worlds than of another variation are made of these.
const OFTENER: usize = 3;

impl Split {
    /// Reads a name: a registered one, perhaps with `-easy` behind it, or with `+` and any simplifications, separated
    /// by commas: `dev+openDoors,teleportAction`.
    ///
    /// # Errors
    /// [`EnvError::UnknownSplit`].
    pub fn named(name: &str) -> Result<Self, EnvError> {
        let unknown = || EnvError::UnknownSplit {
            env: SPEC.id,
            split: name.to_owned(),
            known: format!("{}, and each with +{}", SPEC.split_list(), SIMPLIFICATIONS.join(", +")),
        };
        let (base, simplification) = match (name.strip_suffix("-easy"), name.split_once('+')) {
            (Some(base), _) => (base, "easy"),
            (None, Some((base, simplification))) => (base, simplification),
            (None, None) => (name, ""),
        };
        let known = |part: &str| SIMPLIFICATIONS.contains(&part);
        if name.contains('+') && !simplification.split(',').all(known) {
            return Err(unknown());
        }
        let choice = match base {
            "train" => Choice::Published(Part::Train),
            "dev" => Choice::Published(Part::Dev),
            "test" => Choice::Published(Part::Test),
            "train_dev" => Choice::Training { held_out: true },
            "train_fit" => Choice::Training { held_out: false },
            "train_first" => Choice::Quarter { last: false },
            "train_last" => Choice::Quarter { last: true },
            "all-train" => Choice::All(Part::Train),
            "all-dev" => Choice::All(Part::Dev),
            "all-test" => Choice::All(Part::Test),
            "practice" => Choice::Practice { first: false },
            "practice_first" => Choice::Practice { first: true },
            _ => return Err(unknown()),
        };
        Ok(Self { choice, simplification: simplification.to_owned() })
    }

    /// What makes its tasks easier, as the simulator is told; empty if nothing does.
    pub fn simplification(&self) -> &str {
        &self.simplification
    }

    /// Whether its tasks are practice worlds.
    pub fn is_practice(&self) -> bool {
        matches!(self.choice, Choice::Practice { .. })
    }

    /// The variation that a practice world of a task is made of, each in turn; none where there is no such world.
    pub fn made_of(&self, task: &Task, world: u32) -> Option<u32> {
        let mut turn: Vec<u32> = self.choice.range(task).collect();
        if MATTER.contains(&task.name) {
            let solids: Vec<u32> = turn.iter().copied().filter(|made_of| SOLIDS.contains(made_of)).collect();
            turn.extend(solids.repeat(OFTENER));
        }
        let there = self.is_practice() && world < WORLDS && !turn.is_empty();
        there.then(|| turn[world as usize % turn.len()])
    }

    /// Its tasks and their variations, in the simulator's order. Of practice worlds there is one of every task in turn.
    pub fn tasks(&self) -> impl Iterator<Item = Listed> + use<> {
        let split = self.clone();
        let rounds = if self.is_practice() { WORLDS } else { 1 };
        (0..rounds).flat_map(move |world| {
            let split = split.clone();
            TASKS.iter().flat_map(move |task| split.round(task, world))
        })
    }

    fn round(&self, task: &'static Task, world: u32) -> Vec<Listed> {
        if self.is_practice() {
            return self
                .made_of(task, world)
                .map(|made_of| (task, made_of, Some(world)))
                .into_iter()
                .collect();
        }
        let kept = self.choice.range(task).filter(|variation| self.choice.holds(*variation));
        kept.map(|variation| (task, variation, None)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn count(name: &str) -> usize {
        Split::named(name).unwrap().tasks().count()
    }

    #[test]
    fn the_published_numbers_come_out() {
        assert_eq!(["train", "dev", "test"].map(count), [1404, 195, 211]);
        assert_eq!(["all-train", "all-dev", "all-test"].map(count), [3592, 1796, 1819]);
        assert_eq!(["train_dev", "train_fit"].map(count), [101, 1303]);
        assert_eq!(["train_first", "train_last"].map(count), [1059, 345]);
    }

    #[test]
    fn every_registered_split_has_a_meaning_and_tuning_tasks_are_training_tasks() {
        for name in SPEC.splits {
            assert!(count(name) > 0, "{name}");
        }
        let list = |name: &str| Split::named(name).unwrap().tasks().collect::<Vec<_>>();
        let (train, held) = (list("train"), list("train_dev"));
        assert!(held.iter().all(|task| train.contains(task)));
        // Tasks with eight variations or more are represented.
        for task in TASKS.iter().filter(|task| task.published[0] >= 8) {
            assert!(held.iter().any(|(held, ..)| *held == task), "{}", task.name);
        }
    }

    #[test]
    fn practice_worlds_are_made_of_training_variations_in_turn() {
        for (name, of) in [("practice", "train"), ("practice_first", "train_first")] {
            let worlds: Vec<Listed> = Split::named(name).unwrap().tasks().collect();
            assert_eq!(worlds.len(), 24 * WORLDS as usize);
            let train: HashSet<_> =
                Split::named(of).unwrap().tasks().map(|(task, of, _)| (task, of)).collect();
            let used: HashSet<_> = worlds.iter().map(|(task, of, _)| (*task, *of)).collect();
            assert_eq!(used, train, "{name}");
            assert_eq!(worlds.iter().collect::<HashSet<_>>().len(), worlds.len());
            // One kind of solid after the other, more often than water.
            let solid = |(task, of, _): &&Listed| task.name == "boil" && SOLIDS.contains(of);
            let boiled = worlds.iter().filter(solid).count();
            assert!(
                if of == "train" { boiled > WORLDS as usize / 2 } else { boiled < 60 },
                "{name}: {boiled}"
            );
            // A short run meets all kinds of tasks.
            assert_eq!(worlds[..24].iter().map(|(task, ..)| task.name).collect::<HashSet<_>>().len(), 24);
        }
    }

    #[test]
    fn simplifications_stand_behind_the_name() {
        let of = |name: &str| Split::named(name).map(|split| split.simplification().to_owned());
        assert_eq!(of("dev").unwrap(), "");
        assert_eq!(of("all-dev-easy").unwrap(), "easy");
        assert_eq!(of("dev+openDoors,teleportAction").unwrap(), "openDoors,teleportAction");
        for wrong in ["dev+", "dev+open", "dev+openDoors,", "dev-hard", "training", ""] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("scienceworld has no split `{wrong}`; it has train, ")),
                "{error}"
            );
        }
    }
}
