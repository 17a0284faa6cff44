//! The levels of STEP-HRL, and values that each of them has.

use std::ops::{Index, IndexMut};

use stepladder_core::Role;

/// A level of STEP-HRL; each has critics of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Writes subgoals.
    Planner,
    /// Writes actions.
    Executor,
    /// Writes progress texts.
    Progress,
}

impl Level {
    /// All levels, in the order in which they are listed everywhere.
    pub const ALL: [Self; 3] = [Self::Planner, Self::Executor, Self::Progress];

    /// The level that a role belongs to; none for a flat agent and for HiMAC, which have no critics per level.
    pub fn of(role: Role) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.role() == role)
    }

    /// The role that speaks at this level.
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
    /// Of the planner.
    pub planner: T,
    /// Of the executor.
    pub executor: T,
    /// Of the progress writer.
    pub progress: T,
}

impl<T> PerLevel<T> {
    /// The values of `make`, which is called in the order of [`Level::ALL`].
    pub fn from_fn(mut make: impl FnMut(Level) -> T) -> Self {
        let [planner, executor, progress] = Level::ALL.map(&mut make);
        Self { planner, executor, progress }
    }

    /// All values, in the order of [`Level::ALL`].
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
