//! The engine as an environment.

use std::sync::Arc;

use stepladder_core::{End, Start, Step, TaskKey};
use stepladder_env::{Admissible, Env, EnvError, EnvSpec, Walkthrough};

use crate::engine::Engine;
use crate::game::Game;
use crate::list::CommandList;

/// Source of an environment's games: official files, a generator, or a directory of generated files.
pub trait GameSource: Send + Sync {
    /// Specification of the environment that plays these games.
    fn spec(&self) -> &EnvSpec;

    /// Returns the game of a task. Several environments may share a game.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`], [`EnvError::Data`].
    fn game(&self, task: &TaskKey) -> Result<Arc<Game>, EnvError>;
}

/// Settings in which published work differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether every command answered by "Nothing happens." is reported as an unknown action.
    pub penalise_noop: bool,
}

/// ALFWorld environment. The episode ends when the goal is reached, with reward 1; every other step has reward 0.
pub struct AlfworldEnv {
    source: Arc<dyn GameSource>,
    options: Options,
    engine: Option<Engine>,
    over: bool,
    commands: CommandList,
}

impl AlfworldEnv {
    /// Creates an environment that plays the games of a source.
    pub fn new(source: Arc<dyn GameSource>, options: Options) -> Self {
        Self { source, options, engine: None, over: false, commands: CommandList::new() }
    }

    /// Engine of the current episode. `None` before the first reset.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }
}

impl Env for AlfworldEnv {
    fn spec(&self) -> &EnvSpec {
        self.source.spec()
    }

    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        let game = self.source.game(task)?;
        let engine = match &mut self.engine {
            Some(engine) => {
                engine.switch(&game);
                engine
            }
            none => none.insert(Engine::new(game)),
        };
        self.over = false;
        let (mut text, mut context) = (String::with_capacity(1024), String::with_capacity(1024));
        engine.write_intro(&mut text);
        engine.write_context(&mut context);
        let game = engine.game();
        Ok(Start { text, task: game.task().to_owned(), context, family: game.family().to_owned() })
    }

    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let env = self.source.spec().id;
        let engine = self.engine.as_mut().ok_or(EnvError::StepBeforeReset { env })?;
        if self.over {
            return Err(EnvError::EpisodeOver { env });
        }
        let mut observation = String::with_capacity(128);
        let outcome = engine.step(action, &mut observation);
        self.over = outcome.won;
        Ok(Step {
            observation,
            reward: if outcome.won { 1.0 } else { 0.0 },
            won: outcome.won,
            unknown_action: self.options.penalise_noop && !outcome.possible,
            context: None,
            end: outcome.won.then_some(End::Terminated),
        })
    }

    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        self.engine.is_some().then_some(self)
    }

    fn walkthrough(&mut self) -> Option<&mut dyn Walkthrough> {
        self.engine.is_some().then_some(self)
    }
}

impl Admissible for AlfworldEnv {
    fn admissible_actions(&mut self) -> Vec<String> {
        let Some(engine) = &mut self.engine else { return Vec::new() };
        engine.admissible(&mut self.commands);
        self.commands.iter().map(str::to_owned).collect()
    }
}

impl Walkthrough for AlfworldEnv {
    fn solution(&self) -> Vec<String> {
        self.engine.as_ref().map(|engine| engine.game().walkthrough().to_vec()).unwrap_or_default()
    }
}
