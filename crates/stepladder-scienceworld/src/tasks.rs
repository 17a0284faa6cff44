//! ScienceWorld as a set of tasks.

use std::path::Path;
use std::sync::Arc;

use stepladder_core::TaskKey;
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

use crate::env::ScienceWorldEnv;
use crate::gold::Cache;
use crate::jar::{Jar, RELEASES};
use crate::pool::{Pool, PoolOptions};
use crate::spec::SPEC;
use crate::splits::{Listed, Split};

/// Version of the simulator and options of its JVMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatorOptions {
    /// Version of the simulator.
    pub version: String,
    /// Options of the JVMs.
    pub pool: PoolOptions,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self { version: RELEASES[0].version.to_owned(), pool: PoolOptions::default() }
    }
}

/// Tasks of ScienceWorld ([`Named`](crate::named::Named)). Listing them needs no simulator. Practice worlds
/// are listed here and played by [`WithPractice`](crate::augment::WithPractice).
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
    /// Creates the task set of the simulator below a data root. No JVM is started before an environment is
    /// reset.
    pub fn new(data_root: Option<&Path>, options: SimulatorOptions) -> Self {
        let simulators = data_root.map(|root| {
            let pool = Pool::new(Jar::below(root, &options.version), options.pool);
            let gold = Arc::new(Cache::new(&pool));
            (pool, gold)
        });
        Self { simulators }
    }

    /// Returns the JVMs.
    ///
    /// # Errors
    /// [`EnvError::Backend`] without a data root, [`EnvError::Data`] if the simulator's files are missing or
    /// damaged.
    pub fn pool(&self) -> Result<&Pool, EnvError> {
        self.simulators().map(|(pool, _)| pool)
    }

    /// Returns the cache of gold paths.
    ///
    /// # Errors
    /// As [`Self::pool`].
    pub fn gold(&self) -> Result<&Arc<Cache>, EnvError> {
        self.simulators().map(|(_, gold)| gold)
    }

    /// Creates an environment.
    ///
    /// # Errors
    /// As [`Self::pool`].
    pub fn env(&self) -> Result<ScienceWorldEnv, EnvError> {
        let (pool, gold) = self.simulators()?;
        Ok(ScienceWorldEnv::new(pool, gold.clone()))
    }

    fn simulators(&self) -> Result<&(Pool, Arc<Cache>), EnvError> {
        let simulators = self.simulators.as_ref().ok_or_else(|| EnvError::NoDataRoot {
            env: SPEC.id,
            reason: "no data root with the simulator: set STEPLADDER_DATA or pass --data DIR, and fetch it there once with `stepladder data get scienceworld`".to_owned(),
        })?;
        simulators.0.jar().check().map_err(|failure| failure.into_env_error(""))?;
        Ok(simulators)
    }
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

    /// Returns the task's name without its variation.
    fn family(&self, task: &TaskKey) -> Option<String> {
        task.id.rsplit_once('/').map(|(name, _)| name.to_owned())
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(self.env()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    #[test]
    fn practice_worlds_have_numbers_and_others_have_none() {
        let set = ScienceWorld::new(None, SimulatorOptions::default());
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
            ("practice", "boil/3#16", "variation 3 of boil has no practice world 16"),
            ("practice", "boil/3#017", "variation 3 of boil has no practice world 017"),
            ("practice", "boil/3#", "variation 3 of boil has no practice world "),
            ("practice_first", "boil/11#11", "variation 11 of boil has no practice world 11"),
            ("practice", "inclined-plane-determine-angle/0#0", "has no practice world 0"),
        ] {
            let error = read(split, id).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = ScienceWorld::new(None, SimulatorOptions::default()).make().err().unwrap().to_string();
        assert!(error.contains("STEPLADDER_DATA") && error.contains("data get scienceworld"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = ScienceWorld::new(Some(empty.path()), SimulatorOptions::default())
            .make()
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("scienceworld.jar: the ScienceWorld simulator is not there"), "{error}");
    }
}
