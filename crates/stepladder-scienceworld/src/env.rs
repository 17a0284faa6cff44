//! ScienceWorld as an [`Env`].

use std::sync::Arc;

use stepladder_core::{End, Start, Step, TaskKey};
use stepladder_env::{Admissible, Env, EnvError, EnvSpec, Walkthrough};

use crate::failure::Failure;
use crate::gold::Cache;
use crate::instance::{Instance, View};
use crate::named::Named;
use crate::pool::Pool;
use crate::spec::SPEC;

/// Observation after an action that the simulator does not know.
pub const UNKNOWN_ACTION: &str = "No known action matches that input.";

/// First action of every episode in the package.
pub const FIRST_ACTION: &str = "look around";

/// Converts the simulator's score (-1 to 1) to the package's score (-100 to 100).
///
/// ```
/// use stepladder_scienceworld::env::points;
/// assert_eq!([0.0, 0.365, 1.0, -1.0].map(points), [0, 36, 100, -100]);
/// ```
pub fn points(score: f64) -> i32 {
    // As Python's `round`, which the package uses: halves to the even number.
    (100.0 * score).round_ties_even() as i32
}

/// Joins room and inventory to the context of a step.
pub fn surroundings(look: &str, inventory: &str) -> String {
    format!("{look}\n{inventory}")
}

/// ScienceWorld as an environment. An episode starts as in the package's `reset`, with a look around. It
/// terminates when the simulator ends it or the score falls below 0. The reward is the change of the score,
/// divided by 100.
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
    /// Failure of a method that cannot return an error; the next step returns it.
    failed: Option<Failure>,
}

impl ScienceWorldEnv {
    /// Creates an environment on the JVMs of `pool`. No JVM is started yet.
    pub fn new(pool: &Pool, gold: Arc<Cache>) -> Self {
        Self { gold, instance: Instance::new(pool), playing: None }
    }

    /// Starts an episode of a parsed task. Unlike [`Env::reset`], it accepts practice worlds and plays the
    /// variation that they are made of.
    ///
    /// # Errors
    /// [`EnvError::Backend`] if the simulator fails, [`EnvError::Data`] if its files are missing or damaged.
    pub fn begin(&mut self, task: &TaskKey, named: Named) -> Result<Start, EnvError> {
        self.playing = None;
        let begin = |instance: &mut Instance| {
            let description = instance.load(named.task.name, named.variation, &named.simplification)?;
            Ok((description, instance.step(FIRST_ACTION)?))
        };
        let (description, view) = begin(&mut self.instance)
            .map_err(|failure: Failure| failure.into_env_error(&format!("{task}, reset")))?;
        let start = Start {
            text: view.observation.clone(),
            task: description,
            context: surroundings(&view.look, &view.inventory),
            family: named.task.name.to_owned(),
        };
        // Points of the first look are part of the first step's reward, so that the rewards of an episode add
        // up to its score.
        self.playing = Some(Playing { key: task.clone(), named, view, points: 0, over: false, failed: None });
        Ok(start)
    }

    /// Returns the current observation, room, inventory and score; `None` before a reset.
    pub fn view(&self) -> Option<&View> {
        self.playing.as_ref().map(|playing| &playing.view)
    }

    /// Lists which goals of the task are reached, as the simulator prints them.
    ///
    /// # Errors
    /// [`EnvError::StepBeforeReset`] before a reset, [`EnvError::Backend`] if the simulator fails.
    pub fn goal_progress(&mut self) -> Result<String, EnvError> {
        let playing = self.playing.as_ref().ok_or(EnvError::StepBeforeReset { env: SPEC.id })?;
        self.instance.goal_progress().map_err(|failure| failure.into_env_error(&playing.key.to_string()))
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
            let reason =
                "practice worlds are played by `augment::Practice`, not by this environment".to_owned();
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
            // After a failure the state of the world is unknown.
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

/// The simulator's list, computed on request. Empty if the simulator fails; the next step returns the error.
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

/// The simulator's gold path, cached on disk. Empty if the simulator has none.
impl Walkthrough for ScienceWorldEnv {
    fn solution(&self) -> Vec<String> {
        let Some(Playing { named, .. }) = &self.playing else { return Vec::new() };
        self.gold.get(named).unwrap_or_default()
    }
}
