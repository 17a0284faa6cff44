//! Intervals over seeds and tasks, paired differences with p values, and Holm's adjustment (docs/statistics.md, docs/design.md D19).
//!
//! Every seed plays the same tasks, so results form a crossed layout, and an interval must hold for other seeds *and* other tasks. The
//! variance of the mean has a part of the seeds and a part of the tasks, from the mean squares of the two-way layout (Searle, Casella
//! and McCulloch 1992, chapter 4). The part of the seeds rests on few degrees of freedom, for which the t quantile accounts (`spread.rs`).
//! `tests/coverage.rs` simulates how often the intervals hold the truth.

mod difference;
mod grid;
mod holm;
mod mean;
mod spread;
mod student;

use std::fmt;

use serde::Serialize;

pub use difference::{Difference, difference};
pub use grid::{Grid, mean};
pub use holm::{adjust, holm};
pub use mean::{Estimate, of_runs, share, value};
pub use student::{quantile, two_sided};

/// Level of all intervals: 95 % of them hold the truth.
pub const ALPHA: f64 = 0.05;

/// What an interval generalises to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Scope {
    /// Other tasks, for the one seed that ran.
    #[serde(rename = "tasks")]
    Tasks,
    /// Other seeds, each on tasks of its own.
    #[serde(rename = "seeds")]
    Seeds,
    /// Other seeds and other tasks.
    #[serde(rename = "seeds and tasks")]
    SeedsAndTasks,
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tasks => "tasks",
            Self::Seeds => "seeds",
            Self::SeedsAndTasks => "seeds and tasks",
        })
    }
}

/// Range of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// From 0 to 1: solved or not, or a score as a fraction of its range.
    Unit,
    /// No bounds.
    None,
}
