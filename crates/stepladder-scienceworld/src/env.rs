//! ScienceWorld behind the environment contract.

use std::sync::Arc;

use stepladder_core::{End, Start, Step, TaskKey};
use stepladder_env::{Admissible, Env, EnvError, EnvSpec, Walkthrough};

use crate::failure::Failure;
use crate::gold::Cache;
use crate::instance::{Instance, View};
use crate::named::Named;
use crate::pool::Pool;
use crate::spec::SPEC;

/// What the simulator says to an action that it does not know.
pub const UNKNOWN_ACTION: &str = "No known action matches that input.";

/// The package's first move of every episode.
pub const FIRST_ACTION: &str = "look around";

/// The package's score, -100 to 100, of the simulator's, -1 to 1.
///
/// ```
/// use stepladder_scienceworld::env::points;
/// assert_eq!([0.0, 0.365, 1.0, -1.0].map(points), [0, 36, 100, -100]);
/// ```
pub fn points(score: f64) -> i32 {
    // Python's `round`: to the nearest, halves to the even one.
    (100.0 * score).round_ties_even() as i32
}

/// What stands beside an answer: what can be seen, and what is carried.
pub fn surroundings(look: &str, inventory: &str) -> String {
    format!("{look}\n{inventory}")
}

/// ScienceWorld as an environment. An episode starts as the package's `reset` starts it, with a look around;
/// it ends when the simulator says so or the score falls below 0. The reward is the change of the score.
#[derive(Debug)]
pub struct ScienceWorldEnv {
    gold: Arc<Cache>,
    instance: Instance,
    playing: Option<Playing>,
}

#[derive(Debug)]
struct Playing {
    key: TaskKey,
    named: Named,
    view: View,
    points: i32,
    over: bool,
    /// What went wrong where no error could be returned; the next step returns it.
    failed: Option<Failure>,
}

impl ScienceWorldEnv {
    /// An environment in these simulators.
    pub fn new(pool: &Pool, gold: Arc<Cache>) -> Self {
        Self { gold, instance: Instance::new(pool), playing: None }
    }

    /// Starts an episode of a task that was read, as the simulator has it: [`Env::reset`] without a check of the name.
    ///
    /// # Errors
    /// [`EnvError::Backend`], [`EnvError::Data`].
    pub fn begin(&mut self, task: &TaskKey, named: Named) -> Result<Start, EnvError> {
        self.playing = None;
        let begin = |instance: &mut Instance| {
            let description = instance.load(named.task.name, named.variation, &named.simplification)?;
            Ok((description, instance.step(FIRST_ACTION)?))
        };
        let (description, view) = begin(&mut self.instance)
            .map_err(|failure: Failure| failure.into_env_error(&format!("{task}, at its start")))?;
        let start = Start {
            text: view.observation.clone(),
            task: description,
            context: surroundings(&view.look, &view.inventory),
            family: named.task.name.to_owned(),
        };
        // What the first look earned is paid with the first step, so that an episode's rewards add up to its score.
        self.playing = Some(Playing { key: task.clone(), named, view, points: 0, over: false, failed: None });
        Ok(start)
    }

    /// What there is to see now: the last answer, the room, what is carried, the score.
    pub fn view(&self) -> Option<&View> {
        self.playing.as_ref().map(|playing| &playing.view)
    }

    /// Which goals of the task are reached, in the simulator's words.
    ///
    /// # Errors
    /// [`EnvError::StepBeforeReset`], [`EnvError::Backend`].
    pub fn progress(&mut self) -> Result<String, EnvError> {
        let playing = self.playing.as_ref().ok_or(EnvError::StepBeforeReset { env: SPEC.id })?;
        self.instance.progress().map_err(|failure| failure.into_env_error(&playing.key.to_string()))
    }
}

impl Env for ScienceWorldEnv {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        self.playing = None;
        let named = Named::read(task)?;
        if named.world.is_some() {
            let reason = "the bare simulator has no practice worlds".to_owned();
            return Err(EnvError::UnknownTask { task: task.clone(), reason });
        }
        self.begin(task, named)
    }

    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let playing = self.playing.as_mut().ok_or(EnvError::StepBeforeReset { env: SPEC.id })?;
        if playing.over {
            return Err(EnvError::EpisodeOver { env: SPEC.id });
        }
        let result = playing.failed.take().map_or_else(|| self.instance.step(action), Err);
        playing.view = result.map_err(|failure| {
            // The world is in no state that could be gone on with.
            playing.over = true;
            failure.into_env_error(&format!("{}, action `{action}`", playing.key))
        })?;
        let view = &playing.view;
        let before = std::mem::replace(&mut playing.points, points(view.score));
        playing.over = view.completed || playing.points < 0;
        Ok(Step {
            observation: view.observation.clone(),
            reward: f64::from(playing.points - before) / 100.0,
            won: playing.points >= 100,
            unknown_action: view.observation == UNKNOWN_ACTION,
            context: Some(surroundings(&view.look, &view.inventory)),
            end: playing.over.then_some(End::Terminated),
        })
    }

    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        self.playing.is_some().then_some(self)
    }

    fn walkthrough(&mut self) -> Option<&mut dyn Walkthrough> {
        self.playing.is_some().then_some(self)
    }
}

/// The simulator's list, computed when it is asked for. Empty if the simulator fails; the next step says why.
impl Admissible for ScienceWorldEnv {
    fn admissible_actions(&mut self) -> Vec<String> {
        let Some(playing) = &mut self.playing else { return Vec::new() };
        match self.instance.valid() {
            Ok(actions) => {
                let mut actions: Vec<&str> = actions.iter().collect();
                actions.sort_unstable();
                actions.dedup();
                actions.into_iter().map(str::to_owned).collect()
            }
            Err(failure) => {
                playing.failed = Some(failure);
                Vec::new()
            }
        }
    }
}

/// The simulator's gold path, from the cache if it is there. Empty if the simulator has none.
impl Walkthrough for ScienceWorldEnv {
    fn solution(&self) -> Vec<String> {
        let Some(Playing { named, .. }) = &self.playing else { return Vec::new() };
        self.gold.get(named).unwrap_or_default()
    }
}
