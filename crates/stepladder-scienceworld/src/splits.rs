//! Splits and their tasks.

use std::ops::Range;

use stepladder_env::EnvError;

use crate::spec::SPEC;
use crate::variations::{Subset, TASKS, Task};

/// One of this number of published training variations is held out for tuning.
const HELD_OUT: u32 = 14;

/// Number of practice worlds per task.
pub const WORLDS: u32 = 200;

/// Task, variation and, in a practice split, number of the practice world.
pub type Listed = (&'static Task, u32, Option<u32>);

/// Simplifications that the simulator supports.
pub const SIMPLIFICATIONS: [&str; 6] =
    ["easy", "teleportAction", "openDoors", "openContainers", "selfWateringFlowerPots", "noElectricalAction"];

/// Parsed split name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    choice: Choice,
    simplification: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The first variations of 24 tasks, as published with STEP-HRL.
    Published(Subset),
    /// The published training variations that are held out for tuning, or the others.
    Training { held_out: bool },
    /// The first three quarters of every task's published training variations, or the last quarter, which
    /// like the development tasks names things that the first ones do not.
    Quarter { last: bool },
    /// The package's sets over all 30 tasks.
    All(Subset),
    /// Practice worlds made of the published training variations, or of their first three quarters.
    Practice { first: bool },
}

impl Choice {
    fn range(self, task: &Task) -> Range<u32> {
        match self {
            Self::Published(part) => task.published_set(part),
            Self::Training { .. } | Self::Practice { first: false } => task.published_set(Subset::Train),
            Self::Quarter { last } => {
                let all = task.published_set(Subset::Train);
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

/// Training variations of these tasks with solids. The others use water, ice and juices, which cannot be
/// carried elsewhere and can take few other names.
const SOLIDS: Range<u32> = 10..14;

/// Number of additional practice worlds per variation with a solid.
const EXTRA_SOLIDS: usize = 3;

impl Split {
    /// Parses a name: a registered split, optionally with `-easy`, or with `+` and simplifications separated
    /// by commas: `dev+openDoors,teleportAction`.
    ///
    /// # Errors
    /// [`EnvError::UnknownSplit`] with the known names.
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
            "train" => Choice::Published(Subset::Train),
            "dev" => Choice::Published(Subset::Dev),
            "test" => Choice::Published(Subset::Test),
            "train_dev" => Choice::Training { held_out: true },
            "train_fit" => Choice::Training { held_out: false },
            "train_first" => Choice::Quarter { last: false },
            "train_last" => Choice::Quarter { last: true },
            "all-train" => Choice::All(Subset::Train),
            "all-dev" => Choice::All(Subset::Dev),
            "all-test" => Choice::All(Subset::Test),
            "practice" => Choice::Practice { first: false },
            "practice_first" => Choice::Practice { first: true },
            _ => return Err(unknown()),
        };
        Ok(Self { choice, simplification: simplification.to_owned() })
    }

    /// Returns the simplifications in the simulator's notation; empty without any.
    pub fn simplification(&self) -> &str {
        &self.simplification
    }

    /// Whether its tasks are practice worlds.
    pub fn is_practice(&self) -> bool {
        matches!(self.choice, Choice::Practice { .. })
    }

    /// Returns the variation that a practice world of a task is made of, each in turn; `None` if there is no
    /// such world.
    pub fn made_of(&self, task: &Task, world: u32) -> Option<u32> {
        let mut turn: Vec<u32> = self.choice.range(task).collect();
        if MATTER.contains(&task.name) {
            let solids: Vec<u32> = turn.iter().copied().filter(|made_of| SOLIDS.contains(made_of)).collect();
            turn.extend(solids.repeat(EXTRA_SOLIDS));
        }
        let there = self.is_practice() && world < WORLDS && !turn.is_empty();
        there.then(|| turn[world as usize % turn.len()])
    }

    /// Lists the tasks and variations in the simulator's order. A practice split has one world of every task
    /// in turn.
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
        // Tasks with at least eight variations must be represented.
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
            // The solids take turns and are more frequent than water.
            let solid = |(task, of, _): &&Listed| task.name == "boil" && SOLIDS.contains(of);
            let boiled = worlds.iter().filter(solid).count();
            assert!(
                if of == "train" { boiled > WORLDS as usize / 2 } else { boiled < 60 },
                "{name}: {boiled}"
            );
            // A short run has every task type.
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
