//! Practice worlds: training variations with renamed things and some small things in other places.
//!
//! Training variations ask for few different things, always in the same places; development tasks ask for
//! others. Practice worlds show a policy new combinations, and the expert, which reads prompts only, labels
//! them as it labels everything. No development task is used.
//!
//! The differences are drawn from the world's number and the task's id: the names
//! ([`rename`](super::rename)), and the things that the agent carries elsewhere before the episode. In all
//! other splits this environment behaves as [`ScienceWorldEnv`].

use stepladder_core::seed::{fingerprint, stream};
use stepladder_core::{Start, Step, TaskKey};
use stepladder_env::{Admissible, Env, EnvError, EnvSpec, TaskSet, Walkthrough};

use super::prelude::Prelude;
use super::rename::Names;
use super::twins::{Meant, OTHER, Twins};
use crate::env::{ScienceWorldEnv, surroundings};
use crate::named::Named;
use crate::tasks::ScienceWorld;

/// Task set of ScienceWorld with playable practice worlds.
#[derive(Debug, Clone)]
pub struct WithPractice(pub ScienceWorld);

impl TaskSet for WithPractice {
    fn spec(&self) -> &EnvSpec {
        self.0.spec()
    }

    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        self.0.tasks(split)
    }

    fn family(&self, task: &TaskKey) -> Option<String> {
        self.0.family(task)
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Practice::new(self.0.env()?)))
    }
}

/// ScienceWorld with its practice worlds.
#[derive(Debug)]
pub struct Practice {
    world: ScienceWorldEnv,
    /// In a practice world: the mapping from the simulator's names to the displayed ones, and its inverse.
    names: Option<(Names, Names)>,
    /// The pair of things with equal names, if there is one.
    twins: Option<Twins>,
}

impl Practice {
    /// Wraps an environment.
    pub fn new(world: ScienceWorldEnv) -> Self {
        Self { world, names: None, twins: None }
    }

    fn shown(&self, text: String) -> String {
        match &self.names {
            Some((shown, _)) => shown.apply(&text),
            None => text,
        }
    }
}

impl Env for Practice {
    fn spec(&self) -> &EnvSpec {
        self.world.spec()
    }

    fn reset(&mut self, key: &TaskKey, seed: u64) -> Result<Start, EnvError> {
        (self.names, self.twins) = (None, None);
        let named = Named::read(key)?;
        let Some(number) = named.world else { return self.world.reset(key, seed) };
        let start = self.world.begin(key, named.clone())?;
        // Without the split, so that a world is the same in every split that has it.
        let random = |name: &str| stream(number.into(), name, &[fingerprint(&key.id)]);
        let mut prelude = Prelude::new(&mut self.world, &start);
        self.twins = match Twins::draw(&start, &mut random("practice twins")) {
            // If only one of them is visible, an agent cannot tell that it is the wrong one.
            Some(twins) => prelude.uncover(twins.wanted(), OTHER, &mut random("practice"))?.then_some(twins),
            None => {
                prelude.carry(&mut random("practice"))?;
                None
            }
        };
        if !prelude.harmless()? {
            self.twins = None;
            self.world.begin(key, named)?;
        }
        let shown = Names::draw(&start.family, &mut random("practice names"));
        let back = shown.inverse();
        let shown = match &self.twins {
            Some(twins) => shown.alike(twins.wanted(), OTHER),
            None => shown,
        };
        self.names = Some((shown, back));
        let Some(view) = self.world.view() else { return Ok(start) };
        Ok(Start {
            text: self.shown(view.look.clone()),
            task: self.shown(start.task),
            context: self.shown(surroundings(&view.look, &view.inventory)),
            family: start.family,
        })
    }

    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let Some((_, back)) = &self.names else { return self.world.step(action) };
        let mut action = back.apply(action);
        if let (Some(twins), Some(view)) = (&mut self.twins, self.world.view()) {
            let context = surroundings(&view.look, &view.inventory);
            match twins.meant(&action, &context) {
                Meant::Play(meant) => action = meant,
                Meant::Ask(question) => {
                    return Ok(Step {
                        observation: self.shown(question),
                        reward: 0.0,
                        won: false,
                        unknown_action: false,
                        context: Some(self.shown(context)),
                        end: None,
                    });
                }
            }
        }
        let step = self.world.step(&action)?;
        Ok(Step {
            observation: self.shown(step.observation),
            context: step.context.map(|context| self.shown(context)),
            ..step
        })
    }

    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        if self.names.is_some() { Some(self) } else { self.world.admissible() }
    }

    fn walkthrough(&mut self) -> Option<&mut dyn Walkthrough> {
        if self.names.is_some() { Some(self) } else { self.world.walkthrough() }
    }
}

impl Admissible for Practice {
    fn admissible_actions(&mut self) -> Vec<String> {
        let listed = self.world.admissible_actions();
        let mut listed: Vec<String> = listed.into_iter().map(|action| self.shown(action)).collect();
        listed.sort_unstable();
        listed.dedup();
        listed
    }
}

/// Empty in practice worlds: a gold path goes to the places of the original variation.
impl Walkthrough for Practice {
    fn solution(&self) -> Vec<String> {
        Vec::new()
    }
}
