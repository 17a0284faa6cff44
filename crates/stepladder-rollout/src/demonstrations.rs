//! Episodes of an expert.

use stepladder_core::label::Expert;
use stepladder_core::trace::Episode;
use stepladder_env::TaskSet;

use crate::generator::{Blocking, ExpertGenerator, GenerateError};
use crate::scheduler::{Job, Options, Scheduler};

/// Number of episodes of an expert that run at once.
const SLOTS: usize = 256;

/// Plays episodes with an expert of this name, in the order of the jobs; `on_episode` sees each episode as it ends.
///
/// # Errors
/// [`GenerateError::Unplayed`] if the expert does not play a role of the agent, [`GenerateError::Stopped`] if the options' flag was set.
pub fn demonstrate(
    tasks: &dyn TaskSet,
    (name, expert): (&str, &dyn Expert),
    jobs: &[Job],
    options: Options<'_>,
    on_episode: impl FnMut(&Episode),
) -> Result<Vec<Episode>, GenerateError> {
    let name = format!("{name}/{}", tasks.spec().id);
    let mut generator = Blocking::new(ExpertGenerator::new(expert, name));
    let options = Options { slots: SLOTS, ..options };
    Scheduler::new(tasks, &mut generator, options).run(jobs, on_episode)
}
