//! How a run chooses tasks where it does not use all tasks of a split.

use serde::{Deserialize, Serialize};
use stepladder_core::TaskKey;
use stepladder_env::{Draw, Subset};

use crate::envs::Registered;
use crate::error::Result;

/// Recorded in `run.json`: a continued run must find the tasks that it began with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The first tasks of the split. `run.json` of runs begun before samples were drawn says nothing, which means this.
    #[default]
    First,
    /// A seeded sample, stratified by family.
    Sample,
}

impl Choice {
    /// `count` tasks of a split; all of them for 0.
    ///
    /// # Errors
    /// If the split is unknown or its data are absent.
    pub fn tasks(self, env: &Registered, split: &str, count: usize, draw: Draw) -> Result<Subset> {
        Ok(match self {
            Self::First => Subset::first(env.tasks.tasks(split)?, count),
            Self::Sample => Subset::draw(&*env.tasks, split, count, draw)?,
        })
    }

    /// `count` of the tasks that an evaluation plays; all of them for 0.
    pub fn among(self, env: &Registered, tasks: &[TaskKey], count: usize) -> Subset {
        match self {
            Self::First => Subset::first(tasks.to_vec(), count),
            Self::Sample => Subset::among(&*env.tasks, tasks.to_vec(), count, Draw::Evaluation),
        }
    }
}

/// What a subset is, behind the name of what it is a part of: `, a sample of 24 of 200 tasks`.
pub fn suffix(subset: &Subset) -> String {
    subset.text().map(|text| format!(", {text}")).unwrap_or_default()
}

/// The same behind a number of episodes.
pub fn behind(subset: &Subset) -> String {
    subset.text().map(|text| format!(" ({text})")).unwrap_or_default()
}
