//! The official games as a task set.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;
use stepladder_core::TaskKey;
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

use crate::env::{AlfworldEnv, GameSource, Options};
use crate::error::{FileError, GameError};
use crate::game::{Game, family_in};

/// Specification of ALFWorld.
pub static SPEC: EnvSpec = EnvSpec {
    id: "alfworld",
    summary: "household tasks in text: find, clean, heat, cool, examine, place (official games)",
    version: 1,
    upstream: "alfworld 0.4.2 on textworld 1.7.0, games of release 2.1.3",
    data_licence: "MIT",
    splits: &["train", "train_dev", "valid_seen", "valid_unseen"],
    max_steps: 50,
    reward_range: (0.0, 1.0),
    score_range: None,
    deterministic: true,
};

/// Directory of the official games below the data root.
pub const GAMES_DIRECTORY: &str = "alfworld/json_2.1.1";

const GAME_FILE: &str = "game.tw-pddl";

/// Capacity of the cache of compiled games; the oldest are evicted.
const KEPT_GAMES: usize = 4096;

/// The games of `train` that are held out for tuning, as `train/<task>/<trial>`, one per line, sorted.
///
/// Drawn once: task directories in random order (a test repeats the draw) until 5 % of the games are included. All
/// trials of a task directory are held out together, because they have the same room, goal and object types.
pub const TRAIN_DEV: &str = include_str!("../data/train_dev.txt");

/// Official games below a data root.
#[derive(Clone)]
pub struct Alfworld {
    shared: Arc<Shared>,
    options: Options,
}

struct Shared {
    games_directory: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    games: FxHashMap<String, Arc<Game>>,
    oldest_first: VecDeque<String>,
}

impl Alfworld {
    /// Creates the task set of `<data root>/alfworld/json_2.1.1`. Reads nothing yet.
    pub fn new(data_root: &Path, options: Options) -> Self {
        let games_directory = data_root.join(GAMES_DIRECTORY);
        Self { shared: Arc::new(Shared { games_directory, cache: Mutex::default() }), options }
    }

    /// Returns the compiled game of a task; recent games are cached.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`], [`EnvError::Data`].
    pub fn game(&self, task: &TaskKey) -> Result<Arc<Game>, EnvError> {
        GameSource::game(&*self.shared, task)
    }
}

impl TaskSet for Alfworld {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        if !SPEC.splits.contains(&split) {
            return Err(EnvError::UnknownSplit {
                env: SPEC.id,
                split: split.to_owned(),
                known: SPEC.split_list(),
            });
        }
        let held_out: FxHashSet<&str> = TRAIN_DEV.lines().collect();
        let mut ids = match split {
            "train_dev" => {
                let mut ids = self.shared.list("train")?;
                ids.retain(|id| held_out.contains(id.as_str()));
                ids
            }
            "train" => {
                let mut ids = self.shared.list("train")?;
                ids.retain(|id| !held_out.contains(id.as_str()));
                ids
            }
            other => self.shared.list(other)?,
        };
        let solvable: Vec<bool> = ids
            .par_iter()
            .map(|id| is_solvable(&self.shared.path_of(id)))
            .collect::<Result<_, FileError>>()?;
        let mut keep = solvable.into_iter();
        ids.retain(|_| keep.next().unwrap_or(false));
        if ids.is_empty() {
            let part = self.shared.games_directory.join(split);
            return Err(missing(&part, "this split has no solvable game"));
        }
        Ok(ids.into_iter().map(|id| TaskKey::new(SPEC.id, split, id)).collect())
    }

    fn family(&self, task: &TaskKey) -> Option<String> {
        task.id.split('/').nth(1).and_then(family_in).map(str::to_owned)
    }

    fn has_fast_steps(&self) -> bool {
        true
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(AlfworldEnv::new(self.shared.clone(), self.options)))
    }
}

impl GameSource for Shared {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn game(&self, task: &TaskKey) -> Result<Arc<Game>, EnvError> {
        if let Some(game) = self.cache().games.get(&task.id) {
            return Ok(game.clone());
        }
        let plain = task.id.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        if !plain || task.id.contains('\\') || task.id.split('/').count() != 3 {
            let reason = "a task is named <directory of the split>/<task>/<trial>".to_owned();
            return Err(EnvError::UnknownTask { task: task.clone(), reason });
        }
        let path = self.path_of(&task.id);
        if !path.is_file() {
            self.check_directory()?;
            let reason = format!("{} does not exist", path.display());
            return Err(EnvError::UnknownTask { task: task.clone(), reason });
        }
        // Loaded outside the lock: two threads may load the same game, which is harmless.
        let game = Arc::new(Game::load(&path)?);
        self.cache().keep(&task.id, &game);
        Ok(game)
    }
}

impl Shared {
    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path_of(&self, id: &str) -> PathBuf {
        self.games_directory.join(id).join(GAME_FILE)
    }

    fn check_directory(&self) -> Result<(), EnvError> {
        absent(&self.games_directory, "the official ALFWorld games are missing")
    }

    /// Lists the ids of all games below a directory of the data, sorted.
    fn list(&self, directory: &str) -> Result<Vec<String>, EnvError> {
        self.check_directory()?;
        let root = self.games_directory.join(directory);
        absent(&root, "this split of the official ALFWorld games is missing")?;
        let mut ids = Vec::new();
        for task in subdirectories(&root)? {
            for trial in subdirectories(&root.join(&task))? {
                let id = format!("{directory}/{task}/{trial}");
                if self.path_of(&id).is_file() {
                    ids.push(id);
                }
            }
        }
        if ids.is_empty() {
            return Err(missing(&root, "this directory has no ALFWorld game"));
        }
        ids.sort_unstable();
        Ok(ids)
    }
}

impl Cache {
    fn keep(&mut self, id: &str, game: &Arc<Game>) {
        if self.games.len() >= KEPT_GAMES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.games.remove(&oldest);
        }
        if self.games.insert(id.to_owned(), game.clone()).is_none() {
            self.oldest_first.push_back(id.to_owned());
        }
    }
}

fn absent(directory: &Path, what: &str) -> Result<(), EnvError> {
    if directory.is_dir() { Ok(()) } else { Err(missing(directory, what)) }
}

fn missing(directory: &Path, what: &str) -> EnvError {
    let reason = format!(
        "{what}; name the data root with --data or STEPLADDER_DATA (`stepladder data status` shows where they come from)"
    );
    EnvError::Data { path: directory.to_owned(), reason }
}

fn subdirectories(directory: &Path) -> Result<Vec<String>, EnvError> {
    let data = |error: std::io::Error| EnvError::Data {
        path: directory.to_owned(),
        reason: format!("cannot list the directory: {error}"),
    };
    let mut names = Vec::new();
    for entry in fs_err::read_dir(directory).map_err(data)? {
        let entry = entry.map_err(data)?;
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().map_err(|_| EnvError::Data {
                path: entry.path(),
                reason: "the name of a task's directory must be UTF-8: rename it".to_owned(),
            })?;
            names.push(name);
        }
    }
    Ok(names)
}

/// Key of a game file that decides whether the original offers the game.
#[derive(Deserialize)]
struct Solvable {
    #[serde(default)]
    solvable: bool,
}

fn is_solvable(path: &Path) -> Result<bool, FileError> {
    let wrap = |error| FileError { path: path.to_owned(), error };
    let bytes = fs_err::read(path).map_err(|error| wrap(GameError::Read(error)))?;
    let file: Solvable = serde_json::from_slice(&bytes).map_err(|error| wrap(GameError::Json(error)))?;
    Ok(file.solvable)
}
