//! The simulator's tasks and the number of their variations.

use std::ops::Range;

/// Task of the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Task {
    /// Name in the simulator.
    pub name: &'static str,
    /// Number of variations.
    pub variations: u32,
    /// Number of train, dev and test variations in the published evaluation: the first ones of each set.
    pub published: [u32; 3],
}

const fn task(name: &'static str, variations: u32, published: [u32; 3]) -> Task {
    Task { name, variations, published }
}

/// All tasks in the simulator's order. Numbers of variations are the package's (a test compares them with the
/// simulator); the published ones are those of STEP-HRL.
pub const TASKS: [Task; 30] = [
    task("boil", 30, [14, 7, 9]),
    task("change-the-state-of-matter-of", 30, [14, 7, 9]),
    task("chemistry-mix", 32, [16, 8, 8]),
    task("chemistry-mix-paint-secondary-color", 36, [18, 9, 9]),
    task("chemistry-mix-paint-tertiary-color", 36, [18, 9, 9]),
    task("find-animal", 300, [120, 10, 10]),
    task("find-living-thing", 300, [120, 10, 10]),
    task("find-non-living-thing", 300, [120, 10, 10]),
    task("find-plant", 300, [120, 10, 10]),
    task("freeze", 30, [14, 7, 9]),
    task("grow-fruit", 126, [62, 10, 10]),
    task("grow-plant", 126, [62, 10, 10]),
    task("identify-life-stages-1", 14, [6, 3, 5]),
    task("identify-life-stages-2", 10, [4, 2, 4]),
    task("inclined-plane-determine-angle", 168, [0, 0, 0]),
    task("inclined-plane-friction-named-surfaces", 1386, [0, 0, 0]),
    task("inclined-plane-friction-unnamed-surfaces", 162, [0, 0, 0]),
    task("lifespan-longest-lived", 125, [62, 10, 10]),
    task("lifespan-longest-lived-then-shortest-lived", 125, [62, 10, 10]),
    task("lifespan-shortest-lived", 125, [62, 10, 10]),
    task("measure-melting-point-known-substance", 436, [120, 10, 10]),
    task("measure-melting-point-unknown-substance", 300, [0, 0, 0]),
    task("melt", 30, [14, 7, 9]),
    task("mendelian-genetics-known-plant", 120, [0, 0, 0]),
    task("mendelian-genetics-unknown-plant", 480, [0, 0, 0]),
    task("power-component", 20, [8, 3, 5]),
    task("power-component-renewable-vs-nonrenewable-energy", 20, [8, 3, 5]),
    task("test-conductivity", 900, [120, 10, 10]),
    task("test-conductivity-of-unknown-substances", 600, [120, 10, 10]),
    task("use-thermometer", 540, [120, 10, 10]),
];

/// Set of variations of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subset {
    /// First half.
    Train,
    /// Third quarter.
    Dev,
    /// Last quarter.
    Test,
}

impl Task {
    /// Returns the task with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TASKS.iter().find(|task| task.name == name)
    }

    /// Returns the variations of a set as in the package: two quarters, one quarter, the rest. Quarters are
    /// rounded down.
    ///
    /// ```
    /// use stepladder_scienceworld::variations::{Subset, Task};
    /// let boil = Task::named("boil").expect("a task of that name");
    /// assert_eq!(boil.variations, 30);
    /// assert_eq!([Subset::Train, Subset::Dev, Subset::Test].map(|subset| boil.set(subset)), [0..14, 14..21, 21..30]);
    /// ```
    pub fn set(&self, subset: Subset) -> Range<u32> {
        // The package has a special rule for 4 or fewer variations; no task has that few.
        let quarter = self.variations / 4;
        match subset {
            Subset::Train => 0..2 * quarter,
            Subset::Dev => 2 * quarter..3 * quarter,
            Subset::Test => 3 * quarter..self.variations,
        }
    }

    /// Returns the variations of a set that the published evaluation uses.
    pub fn published_set(&self, subset: Subset) -> Range<u32> {
        let set = self.set(subset);
        set.start..set.end.min(set.start + self.published[subset as usize])
    }
}
