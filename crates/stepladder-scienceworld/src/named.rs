//! Parsing of task keys: `boil/3` is a variation of a task, `boil/13#17` a practice world made of a
//! variation.

use stepladder_core::TaskKey;
use stepladder_env::EnvError;

use crate::splits::Split;
use crate::variations::Task;

/// Parsed task key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    /// The task.
    pub task: &'static Task,
    /// Number of the variation.
    pub variation: u32,
    /// Number of the practice world, if it is one.
    pub world: Option<u32>,
    /// Simplifications, in the simulator's notation.
    pub simplification: String,
}

impl Named {
    /// Parses a task key.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`] with the reason, [`EnvError::UnknownSplit`].
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
            number.ok_or_else(|| {
                unknown(format!("variation {variation} of {name} has no practice world {world}"))
            })
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

/// Rejects leading zeros: `03` would be a second name of `3`.
fn exact(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
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
}
