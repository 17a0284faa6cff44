//! ScienceWorld as a set of tasks.

use std::path::Path;
use std::sync::Arc;

use stepladder_core::TaskKey;
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

use crate::env::ScienceWorldEnv;
use crate::gold::Cache;
use crate::jar::{Jar, RELEASES};
use crate::pool::{Pool, PoolOptions};
use crate::practice::Practice;
use crate::splits::{Listed, Split};
use crate::variations::Task;

/// What is known about ScienceWorld.
pub static SPEC: EnvSpec = EnvSpec {
    id: "scienceworld",
    summary: "elementary science in a text world: 30 kinds of tasks (needs Java; `stepladder data get scienceworld`)",
    version: 1,
    upstream: "ScienceWorld 1.2.3, its own simulator, with equal identity hashes",
    data_licence: "Apache-2.0",
    splits: &[
        "train",
        "dev",
        "test",
        "train_dev",
        "train_fit",
        "train_first",
        "train_last",
        "practice",
        "practice_first",
        "train-easy",
        "dev-easy",
        "test-easy",
        "train_dev-easy",
        "train_fit-easy",
        "all-train",
        "all-dev",
        "all-test",
        "all-train-easy",
        "all-dev-easy",
        "all-test-easy",
    ],
    max_steps: 50,
    reward_range: (-2.0, 1.0),
    score_range: Some((0.0, 1.0)),
    deterministic: true,
};

/// Choices about the simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Version of the simulator.
    pub version: String,
    /// How it is run.
    pub pool: PoolOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self { version: RELEASES[0].version.to_owned(), pool: PoolOptions::default() }
    }
}

/// ScienceWorld's tasks, called `boil/3`: a task and one of its variations; a practice world `boil/13#17`. Listing them needs no simulator.
///
/// ```
/// use stepladder_env::TaskSet;
/// use stepladder_scienceworld::ScienceWorld;
/// let set = ScienceWorld::new(None, Default::default());
/// assert_eq!(set.tasks("dev")?[0].id, "boil/14");
/// # Ok::<(), stepladder_env::EnvError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ScienceWorld {
    simulators: Option<(Pool, Arc<Cache>)>,
}

impl ScienceWorld {
    /// The tasks of the simulator below a data root. Nothing is started before an environment is reset.
    pub fn new(data_root: Option<&Path>, options: Options) -> Self {
        let simulators = data_root.map(|root| {
            let pool = Pool::new(Jar::below(root, &options.version), options.pool);
            let gold = Arc::new(Cache::new(&pool));
            (pool, gold)
        });
        Self { simulators }
    }

    /// The simulators.
    ///
    /// # Errors
    /// [`EnvError::Backend`] without a data root, [`EnvError::Data`] without a simulator in it.
    pub fn pool(&self) -> Result<&Pool, EnvError> {
        self.simulators().map(|(pool, _)| pool)
    }

    /// The simulators' solutions.
    ///
    /// # Errors
    /// As [`Self::pool`].
    pub fn gold(&self) -> Result<&Arc<Cache>, EnvError> {
        self.simulators().map(|(_, gold)| gold)
    }

    fn simulators(&self) -> Result<&(Pool, Arc<Cache>), EnvError> {
        let simulators = self.simulators.as_ref().ok_or_else(|| EnvError::Backend {
            env: SPEC.id,
            reason: "no data root with the simulator: set STEPLADDER_DATA or pass --data DIR, and fetch it there once with `stepladder data get scienceworld`".to_owned(),
        })?;
        simulators.0.jar().check().map_err(|failure| failure.into_env_error(""))?;
        Ok(simulators)
    }
}

/// A task key, read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    /// The task.
    pub task: &'static Task,
    /// Which variation.
    pub variation: u32,
    /// Number of the practice world that is made of it.
    pub world: Option<u32>,
    /// As the simulator is told.
    pub simplification: String,
}

impl Named {
    /// Reads a task key.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`].
    pub fn read(key: &TaskKey) -> Result<Self, EnvError> {
        let unknown = |reason: String| EnvError::UnknownTask { task: key.clone(), reason };
        let split = Split::named(&key.split).map_err(|error| unknown(error.to_string()))?;
        let (name, number) = key
            .id
            .rsplit_once('/')
            .ok_or_else(|| unknown("a task is named <task>/<variation>, for example boil/3".to_owned()))?;
        let task = Task::named(name).ok_or_else(|| unknown(format!("the simulator has no task `{name}`")))?;
        let (number, world) = match number.split_once('#') {
            Some(_) if !split.is_practice() => {
                return Err(unknown("only practice splits have numbered worlds".to_owned()));
            }
            Some((number, world)) => (number, Some(world)),
            None if split.is_practice() => {
                return Err(unknown(
                    "a practice world is named <task>/<variation>#<world>, for example boil/13#17".to_owned(),
                ));
            }
            None => (number, None),
        };
        let variation = exact(number)
            .filter(|variation| *variation < task.variations)
            .ok_or_else(|| unknown(format!("{name} has the variations 0 to {}", task.variations - 1)))?;
        let world = world.map(|world| {
            let number = exact(world).filter(|number| split.made_of(task, *number) == Some(variation));
            number.ok_or_else(|| unknown(format!("variation {variation} of {name} makes no world {world}")))
        });
        let world = world.transpose()?;
        let simplification = split.simplification().to_owned();
        let electrical = name.contains("power-component") || name.contains("conductivity");
        if electrical && simplification.split(',').any(|one| one == "noElectricalAction") {
            return Err(unknown("it cannot be solved with noElectricalAction".to_owned()));
        }
        Ok(Self { task, variation, world, simplification })
    }
}

/// `03` would be a second name of `3`.
fn exact(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

fn id((task, variation, world): Listed) -> String {
    let world = world.map(|world| format!("#{world}")).unwrap_or_default();
    format!("{}/{variation}{world}", task.name)
}

impl TaskSet for ScienceWorld {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        let tasks = Split::named(split)?.tasks();
        Ok(tasks.map(|listed| TaskKey::new(SPEC.id, split, id(listed))).collect())
    }

    /// The task's name without its variation.
    fn family(&self, task: &TaskKey) -> Option<String> {
        task.id.rsplit_once('/').map(|(name, _)| name.to_owned())
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        let (pool, gold) = self.simulators()?;
        Ok(Box::new(Practice::new(ScienceWorldEnv::new(pool, gold.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_names_are_read_exactly() {
        let read = |split: &str, id: &str| Named::read(&TaskKey::new("scienceworld", split, id));
        let named = read("dev-easy", "power-component/3").unwrap();
        assert_eq!(
            (named.task.name, named.variation, &*named.simplification),
            ("power-component", 3, "easy")
        );
        for (id, reason) in [
            ("boil", "a task is named <task>/<variation>"),
            ("fry/1", "the simulator has no task `fry`"),
            ("boil/30", "boil has the variations 0 to 29"),
            ("boil/03", "boil has the variations 0 to 29"),
            ("boil/-1", "boil has the variations 0 to 29"),
        ] {
            let error = read("dev", id).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let error = read("dev+noElectricalAction", "test-conductivity/1").unwrap_err().to_string();
        assert!(error.contains("noElectricalAction"), "{error}");
    }

    #[test]
    fn practice_worlds_have_numbers_and_others_have_none() {
        let set = ScienceWorld::new(None, Options::default());
        let read = |split: &str, id: &str| Named::read(&TaskKey::new("scienceworld", split, id));
        for split in ["practice", "practice_first"] {
            let keys = set.tasks(split).unwrap();
            assert_eq!(keys.len(), 24 * 200);
            assert!(
                keys.iter()
                    .all(|key| set.family(key).as_deref() == Some(Named::read(key).unwrap().task.name))
            );
            let worlds: std::collections::HashSet<Named> =
                keys.iter().map(|key| Named::read(key).unwrap()).collect();
            assert_eq!(worlds.len(), keys.len());
        }
        let named = read("practice", "boil/13#17").unwrap();
        assert_eq!((named.task.name, named.variation, named.world), ("boil", 13, Some(17)));
        assert_eq!(read("practice+openDoors", "boil/13#17").unwrap().simplification, "openDoors");
        for (split, id, reason) in [
            ("practice", "boil/3", "a practice world is named <task>/<variation>#<world>"),
            ("train", "boil/13#17", "only practice splits have numbered worlds"),
            ("practice", "boil/3#16", "variation 3 of boil makes no world 16"),
            ("practice", "boil/3#017", "variation 3 of boil makes no world 017"),
            ("practice", "boil/3#", "variation 3 of boil makes no world "),
            ("practice_first", "boil/11#11", "variation 11 of boil makes no world 11"),
            ("practice", "inclined-plane-determine-angle/0#0", "makes no world 0"),
        ] {
            let error = read(split, id).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = ScienceWorld::new(None, Options::default()).make().err().unwrap().to_string();
        assert!(error.contains("STEPLADDER_DATA") && error.contains("data get scienceworld"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error =
            ScienceWorld::new(Some(empty.path()), Options::default()).make().err().unwrap().to_string();
        assert!(error.contains("scienceworld.jar: the ScienceWorld simulator is not there"), "{error}");
    }
}
