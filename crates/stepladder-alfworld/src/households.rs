//! Generated households as a task set: no download, unlimited games.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use stepladder_core::TaskKey;
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

use crate::env::{self, AlfworldEnv, GameSource};
use crate::game::Game;
use crate::generate::{self, GameFamily, GoalCount, Split};

/// Specification of generated households.
pub static SPEC: EnvSpec = EnvSpec {
    id: "household",
    summary: "household tasks in text, generated after the official games (no download)",
    version: generate::VERSION,
    upstream: "alfworld 0.4.2 on textworld 1.7.0, which loads these games too",
    data_licence: "none needed",
    splits: &[
        "train",
        "dev",
        "test",
        "train-goals-1",
        "train-goals-2",
        "train-goals-3",
        "train-goals-4",
        "train-goals-5",
        "train-goals-6",
        "train-goals-7",
        "train-goals-8",
        "dev-goals-1",
        "dev-goals-2",
        "dev-goals-3",
        "dev-goals-4",
        "dev-goals-5",
        "dev-goals-6",
        "dev-goals-7",
        "dev-goals-8",
        "test-goals-1",
        "test-goals-2",
        "test-goals-3",
        "test-goals-4",
        "test-goals-5",
        "test-goals-6",
        "test-goals-7",
        "test-goals-8",
        "train-goals-1-3",
        "test-500",
    ],
    max_steps: 50,
    reward_range: (0.0, 1.0),
    score_range: None,
    deterministic: true,
};

/// Capacity of the cache of compiled games; the cache is cleared when full.
const KEPT_GAMES: usize = 8192;

/// Games of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Listing {
    /// Split of the generator.
    split: Split,
    /// Smallest and largest number of goals; `None`: as in the generator's options.
    goals: Option<(GoalCount, GoalCount)>,
    /// Number of games that it lists.
    listed: u64,
}

impl Listing {
    /// Parses the name of a registered split.
    fn parse(name: &str) -> Result<Self, EnvError> {
        let unknown =
            || EnvError::UnknownSplit { env: SPEC.id, split: name.to_owned(), known: SPEC.split_list() };
        if !SPEC.splits.contains(&name) {
            return Err(unknown());
        }
        if name == "test-500" {
            return Ok(Self { split: Split::Test, goals: None, listed: 500 });
        }
        let (split, goals) = match name.split_once("-goals-") {
            None => (name, None),
            Some((split, numbers)) => {
                let (fewest, most) = numbers.split_once('-').unwrap_or((numbers, numbers));
                let count = |number: &str| number.parse().ok().and_then(GoalCount::new).ok_or_else(unknown);
                (split, Some((count(fewest)?, count(most)?)))
            }
        };
        let split = split.parse().map_err(|_| unknown())?;
        Ok(Self { split, goals, listed: Households::listed(split) })
    }

    /// Returns the game of a number. A mixed split alternates its lengths, so that every prefix of it is mixed.
    fn game(self, number: u64) -> Key {
        let Some((fewest, most)) = self.goals else {
            return Key { split: self.split, goals: None, seed: number };
        };
        let kinds = (most.get() - fewest.get() + 1) as u64;
        let goals = GoalCount::all().nth(fewest.get() - 1 + (number % kinds) as usize);
        Key { split: self.split, goals, seed: number / kinds }
    }
}

/// Parameters of a generated game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    split: Split,
    goals: Option<GoalCount>,
    seed: u64,
}

/// Generated games. Split `train` lists 4000 of them, `dev` and `test` 200 each. They are named `seed-0` and so on,
/// without upper limit: any `seed-N` can be played.
///
/// Splits such as `train-goals-3` contain chains of three goals and list the same number of games as the split without
/// goals. `train-goals-1` has the games of `train` with the family `goals_1`. `train-goals-1-3` alternates one, two and
/// three goals. `test-500` has the first 500 games of `test`, whose first 200 that split lists.
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
    games: Mutex<FxHashMap<Key, Arc<Game>>>,
}

/// Settings of the generator and of the environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Settings of the generator.
    pub generate: generate::GeneratorOptions,
    /// Settings of the environment.
    pub env: env::Options,
}

impl Households {
    /// Creates the task set.
    pub fn new(options: Options) -> Self {
        Self { shared: Arc::new(Shared { options, games: Mutex::default() }) }
    }

    /// Number of tasks that a split lists.
    pub fn listed(split: Split) -> u64 {
        match split {
            Split::Train => 4000,
            Split::Dev | Split::Test => 200,
        }
    }

    /// Returns the compiled game of a task; recent games are cached.
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
        let listed = Listing::parse(split)?.listed;
        Ok((0..listed).map(|seed| TaskKey::new(SPEC.id, split, format!("seed-{seed}"))).collect())
    }

    fn family(&self, task: &TaskKey) -> Option<String> {
        let key = key(task).ok()?;
        let family = match key.goals {
            Some(goals) => GameFamily::Chain(goals),
            None => generate::family(key.split, key.seed, &self.shared.options.generate).ok()?,
        };
        Some(family.to_string())
    }

    /// Step limit: 50 per goal.
    fn max_steps(&self, split: &str) -> u32 {
        let goals = match Listing::parse(split) {
            Ok(Listing { goals: Some((_, most)), .. }) => most,
            _ => self.shared.options.generate.goals,
        };
        SPEC.max_steps * goals.get() as u32
    }

    fn has_fast_steps(&self) -> bool {
        true
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(AlfworldEnv::new(self.shared.clone(), self.shared.options.env)))
    }
}

/// Parses the name of a task.
fn key(task: &TaskKey) -> Result<Key, EnvError> {
    let unknown = |reason: String| EnvError::UnknownTask { task: task.clone(), reason };
    let listing = Listing::parse(&task.split).map_err(|error| unknown(error.to_string()))?;
    let seed = task
        .id
        .strip_prefix("seed-")
        // Rejects `seed-007`, a second name of `seed-7`.
        .and_then(|number| number.parse::<u64>().ok().filter(|seed| seed.to_string() == number))
        .ok_or_else(|| unknown("a generated household is named seed-<number>".to_owned()))?;
    Ok(listing.game(seed))
}

impl GameSource for Shared {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn game(&self, task: &TaskKey) -> Result<Arc<Game>, EnvError> {
        let key = key(task)?;
        if let Some(game) = self.games().get(&key) {
            return Ok(game.clone());
        }
        // Drawn outside the lock: two threads may draw the same game, which is harmless.
        let backend =
            |reason: String| EnvError::Backend { env: SPEC.id, reason: format!("{task}: {reason}") };
        let mut options = self.options.generate;
        options.goals = key.goals.unwrap_or(options.goals);
        let mut drawn = generate::generate(key.split, key.seed, &options);
        if let Some(goals) = key.goals {
            drawn.family = GameFamily::Chain(goals);
        }
        let text = drawn.to_json().map_err(|error| backend(error.to_string()))?;
        let game = Arc::new(Game::from_json(&text).map_err(|error| backend(error.to_string()))?);
        let mut games = self.games();
        if games.len() >= KEPT_GAMES {
            games.clear();
        }
        games.insert(key, game.clone());
        Ok(game)
    }
}

impl Shared {
    fn games(&self) -> std::sync::MutexGuard<'_, FxHashMap<Key, Arc<Game>>> {
        self.games.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
