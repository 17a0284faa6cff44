//! Generated households as a set of tasks: nothing to download, as many as wanted.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use stepladder_core::TaskKey;
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

use crate::env::{self, AlfworldEnv, GameSource};
use crate::game::Game;
use crate::generate::{self, Split};

/// What is known about generated households.
pub static SPEC: EnvSpec = EnvSpec {
    id: "household",
    summary: "household tasks in text, generated after the official games (no download)",
    version: generate::VERSION,
    upstream: "alfworld 0.4.2 on textworld 1.7.0, which loads these games too",
    data_licence: "none needed",
    splits: &["train", "dev", "test"],
    max_steps: 50,
    reward_range: (0.0, 1.0),
    deterministic: true,
};

/// Compiled games kept in memory; when full, the memory starts anew.
const KEPT_GAMES: usize = 8192;

/// The generated games: split `train` lists 4000 of them, `dev` and `test` 200 each. They are called `seed-0` and so on,
/// and there is no last one: any `seed-N` can be played.
///
/// ```
/// use stepladder_alfworld::Households;
/// use stepladder_core::TaskKey;
/// use stepladder_env::TaskSet;
/// let mut env = Households::default().make()?;
/// let start = env.reset(&TaskKey::new("household", "train", "seed-5000"), 0)?;
/// assert!(start.text.ends_with(&start.task));
/// # Ok::<(), stepladder_env::EnvError>(())
/// ```
#[derive(Clone, Default)]
pub struct Households {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    options: Options,
    games: Mutex<FxHashMap<(Split, u64), Arc<Game>>>,
}

/// Choices of the generator and of the environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// What to draw.
    pub generate: generate::Options,
    /// How to play.
    pub env: env::Options,
}

impl Households {
    /// Households drawn with these choices.
    pub fn new(options: Options) -> Self {
        Self { shared: Arc::new(Shared { options, games: Mutex::default() }) }
    }

    /// How many tasks a split lists.
    pub fn listed(split: Split) -> u64 {
        match split {
            Split::Train => 4000,
            Split::Dev | Split::Test => 200,
        }
    }

    /// The game behind a task, compiled; kept in memory for the next who asks.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`], [`EnvError::Data`].
    pub fn game(&self, task: &TaskKey) -> Result<Arc<Game>, EnvError> {
        GameSource::game(&*self.shared, task)
    }
}

impl TaskSet for Households {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        let Ok(known) = split.parse::<Split>() else {
            return Err(EnvError::UnknownSplit {
                env: SPEC.id,
                split: split.to_owned(),
                known: SPEC.splits.join(", "),
            });
        };
        Ok((0..Self::listed(known))
            .map(|seed| TaskKey::new(SPEC.id, split, format!("seed-{seed}")))
            .collect())
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(AlfworldEnv::new(self.shared.clone(), self.shared.options.env)))
    }
}

impl GameSource for Shared {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn game(&self, task: &TaskKey) -> Result<Arc<Game>, EnvError> {
        let unknown = |reason: String| EnvError::UnknownTask { task: task.clone(), reason };
        let split: Split =
            task.split.parse().map_err(|error: generate::GenerateError| unknown(error.to_string()))?;
        let seed = task
            .id
            .strip_prefix("seed-")
            // `seed-007` would be a second name of `seed-7`.
            .and_then(|number| number.parse::<u64>().ok().filter(|seed| seed.to_string() == number))
            .ok_or_else(|| unknown("a generated household is named seed-<number>".to_owned()))?;
        if let Some(game) = self.games().get(&(split, seed)) {
            return Ok(game.clone());
        }
        // Drawn outside the lock: two threads may both draw a game, which does no harm.
        let backend =
            |reason: String| EnvError::Backend { env: SPEC.id, reason: format!("{task}: {reason}") };
        let text = generate::generate(split, seed, &self.options.generate)
            .to_json()
            .map_err(|error| backend(error.to_string()))?;
        let game = Arc::new(Game::from_json(&text).map_err(|error| backend(error.to_string()))?);
        let mut games = self.games();
        if games.len() >= KEPT_GAMES {
            games.clear();
        }
        games.insert((split, seed), game.clone());
        Ok(game)
    }
}

impl Shared {
    fn games(&self) -> std::sync::MutexGuard<'_, FxHashMap<(Split, u64), Arc<Game>>> {
        self.games.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
