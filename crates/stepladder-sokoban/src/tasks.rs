//! The task set: generated boards and Boxoban levels.

use std::path::Path;
use std::sync::Arc;

use stepladder_core::TaskKey;
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

use crate::boxoban::{self, Boxoban};
use crate::env::{Level, LevelSource, Options, SokobanEnv};
use crate::generate;
use crate::splits::{self, HELD_OUT, LISTED, Subset};

/// Specification of Sokoban.
pub static SPEC: EnvSpec = EnvSpec {
    id: "sokoban",
    summary: "push boxes onto targets: generated boards (no download) and Boxoban levels",
    version: generate::VERSION,
    upstream: "gym-sokoban 0.0.6 and its variant in verl-agent",
    data_licence: "none needed for generated boards; Boxoban levels: Apache-2.0",
    splits: &[
        "train-6x6-1",
        "dev-6x6-1",
        "test-6x6-1",
        "train-7x7-2",
        "dev-7x7-2",
        "test-7x7-2",
        "train-8x8-2",
        "dev-8x8-2",
        "test-8x8-2",
        "train-10x10-3",
        "dev-10x10-3",
        "test-10x10-3",
        "boxoban-unfiltered-train",
        "boxoban-unfiltered-valid",
        "boxoban-unfiltered-test",
        "boxoban-medium-train",
        "boxoban-medium-valid",
        "boxoban-hard",
    ],
    max_steps: 120,
    reward_range: (-1.1, 10.9),
    score_range: None,
    deterministic: true,
};

/// Sokoban's tasks. Generated boards are named `level-17` in `dev` and `test`, which are finite, and `seed-17` in
/// `train`, which is not; Boxoban levels are named `000/17` (file and number).
///
/// ```
/// use stepladder_core::TaskKey;
/// use stepladder_env::TaskSet;
/// use stepladder_sokoban::Sokoban;
/// let mut env = Sokoban::default().make()?;
/// let start = env.reset(&TaskKey::new("sokoban", "dev-6x6-1", "level-0"), 0)?;
/// assert_eq!(start.text.lines().count(), 6);
/// assert_eq!(start.family, "6x6-1");
/// let step = env.step("up")?;
/// assert_eq!(step.observation.lines().count(), 6);
/// # Ok::<(), stepladder_env::EnvError>(())
/// ```
#[derive(Clone)]
pub struct Sokoban {
    levels: Arc<Levels>,
    options: Options,
}

impl Default for Sokoban {
    fn default() -> Self {
        Self::new(None, Options::default())
    }
}

struct Levels {
    boxoban: Boxoban,
}

/// Levels of a split.
enum Listing {
    Generated(&'static splits::BoardSize, Subset),
    Boxoban { folder: &'static str, family: &'static str },
}

fn listing(split: &str) -> Result<Listing, EnvError> {
    if let Some((size, subset)) = splits::named(split) {
        return Ok(Listing::Generated(size, subset));
    }
    match boxoban::SPLITS.iter().find(|(name, ..)| *name == split) {
        Some((_, folder, family)) => Ok(Listing::Boxoban { folder, family }),
        None => {
            Err(EnvError::UnknownSplit { env: SPEC.id, split: split.to_owned(), known: SPEC.split_list() })
        }
    }
}

impl Sokoban {
    /// Creates the task set with a rule set and text form. Boxoban levels are read below the data root on demand.
    pub fn new(data_root: Option<&Path>, options: Options) -> Self {
        Self { levels: Arc::new(Levels { boxoban: Boxoban::new(data_root) }), options }
    }

    /// Returns the level of a task.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`], [`EnvError::Data`].
    pub fn level(&self, task: &TaskKey) -> Result<Level, EnvError> {
        self.levels.level(task)
    }
}

impl TaskSet for Sokoban {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        let (count, name) = match listing(split)? {
            Listing::Boxoban { folder, .. } => return self.levels.boxoban.tasks(SPEC.id, split, folder),
            Listing::Generated(_, Subset::Train) => (LISTED, "seed"),
            Listing::Generated(..) => (HELD_OUT, "level"),
        };
        Ok((0..count).map(|number| TaskKey::new(SPEC.id, split, format!("{name}-{number}"))).collect())
    }

    /// All tasks of a split are of one family.
    fn family(&self, task: &TaskKey) -> Option<String> {
        let family = match listing(&task.split).ok()? {
            Listing::Generated(size, _) => size.name,
            Listing::Boxoban { family, .. } => family,
        };
        Some(family.to_owned())
    }

    /// Step limit: verl-agent's 15 for 6 × 6, 40 for 8 × 8, gym-sokoban's 120 for Boxoban levels.
    fn max_steps(&self, split: &str) -> u32 {
        splits::named(split).map_or(SPEC.max_steps, |(size, _)| size.max_steps)
    }

    fn has_fast_steps(&self) -> bool {
        true
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(SokobanEnv::new(self.levels.clone(), self.options)))
    }
}

impl LevelSource for Levels {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn level(&self, task: &TaskKey) -> Result<Level, EnvError> {
        let unknown = |reason: String| EnvError::UnknownTask { task: task.clone(), reason };
        let (size, subset) = match listing(&task.split).map_err(|error| unknown(error.to_string()))? {
            Listing::Boxoban { folder, family } => return self.boxoban.level(task, folder, family),
            Listing::Generated(size, subset) => (size, subset),
        };
        let name = if subset == Subset::Train { "seed" } else { "level" };
        let number = task
            .id
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-')?.parse::<u64>().ok())
            // Rejects `seed-007`, a second name of `seed-7`.
            .filter(|number| task.id == format!("{name}-{number}"))
            .ok_or_else(|| unknown(format!("a board of this split is named {name}-<number>")))?;
        let board = size
            .board(subset, number)
            .ok_or_else(|| unknown(format!("{} has level-0 to level-{}", task.split, HELD_OUT - 1)))?;
        Ok(Level { board, family: size.name })
    }
}
