//! Levels of STEP-HRL, and one value per level.

use std::ops::{Index, IndexMut};

use stepladder_core::Role;

/// A level of STEP-HRL; each has its own critics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Planner: issues subtasks.
    Planner,
    /// Executor: names actions.
    Executor,
    /// Progress writer.
    Progress,
}

impl Level {
    /// All levels, in the order of every list of levels.
    pub const ALL: [Self; 3] = [Self::Planner, Self::Executor, Self::Progress];

    /// Returns the level of a role, or `None` for the roles of the flat agent and of HiMAC, which have no critics per level.
    pub fn of(role: Role) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.role() == role)
    }

    /// Returns the role of this level.
    pub fn role(self) -> Role {
        match self {
            Self::Planner => Role::Planner,
            Self::Executor => Role::Executor,
            Self::Progress => Role::Progress,
        }
    }
}

/// One value for each level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PerLevel<T> {
    /// Value of the planner.
    pub planner: T,
    /// Value of the executor.
    pub executor: T,
    /// Value of the progress writer.
    pub progress: T,
}

impl<T> PerLevel<T> {
    /// Creates the values with `make`, in the order of [`Level::ALL`].
    pub fn from_fn(mut make: impl FnMut(Level) -> T) -> Self {
        let [planner, executor, progress] = Level::ALL.map(&mut make);
        Self { planner, executor, progress }
    }

    /// Iterates over the values, in the order of [`Level::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Level, &T)> {
        Level::ALL.into_iter().map(|level| (level, &self[level]))
    }
}

impl<T> Index<Level> for PerLevel<T> {
    type Output = T;

    fn index(&self, level: Level) -> &T {
        match level {
            Level::Planner => &self.planner,
            Level::Executor => &self.executor,
            Level::Progress => &self.progress,
        }
    }
}

impl<T> IndexMut<Level> for PerLevel<T> {
    fn index_mut(&mut self, level: Level) -> &mut T {
        match level {
            Level::Planner => &mut self.planner,
            Level::Executor => &mut self.executor,
            Level::Progress => &mut self.progress,
        }
    }
}
