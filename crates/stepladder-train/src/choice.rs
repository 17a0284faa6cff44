//! Selection of tasks where a run does not use all tasks of a split.

use serde::{Deserialize, Serialize};
use stepladder_core::TaskKey;
use stepladder_env::{Draw, Subset};

use crate::envs::Registered;
use crate::error::Result;

/// Rule by which tasks are selected. Recorded in `run.json`, since a continued run must select the same tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The first tasks of the split. The default for a `run.json` of an older version, which lacks the field.
    #[default]
    First,
    /// A seeded sample, stratified by family.
    Sample,
}

impl Choice {
    /// Selects `count` tasks of a split; 0 selects all.
    ///
    /// # Errors
    /// If the split is unknown or its data are absent.
    pub fn tasks(self, env: &Registered, split: &str, count: usize, draw: Draw) -> Result<Subset> {
        Ok(match self {
            Self::First => Subset::first(env.tasks.tasks(split)?, count),
            Self::Sample => Subset::draw(&*env.tasks, split, count, draw)?,
        })
    }

    /// Selects `count` of the tasks that an evaluation plays; 0 selects all.
    pub fn among(self, env: &Registered, tasks: &[TaskKey], count: usize) -> Subset {
        match self {
            Self::First => Subset::first(tasks.to_vec(), count),
            Self::Sample => Subset::among(&*env.tasks, tasks.to_vec(), count, Draw::Evaluation),
        }
    }
}

/// Describes a subset after the name of its split: `, a sample of 24 of 200 tasks`. Empty for all tasks.
pub fn suffix(subset: &Subset) -> String {
    subset.text().map(|text| format!(", {text}")).unwrap_or_default()
}

/// Describes a subset after a number of episodes: ` (a sample of 24 of 200 tasks)`. Empty for all tasks.
pub fn behind(subset: &Subset) -> String {
    subset.text().map(|text| format!(" ({text})")).unwrap_or_default()
}
