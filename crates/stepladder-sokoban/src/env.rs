//! Sokoban as an environment.

use std::sync::Arc;

use stepladder_core::{End, Start, Step, TaskKey};
use stepladder_env::{Admissible, Env, EnvError, EnvSpec, Walkthrough};

use crate::action::{Action, Variant};
use crate::board::{Board, Direction};
use crate::episode::Episode;
use crate::solve::solve;
use crate::text::Form;

/// Task description, equal for all tasks.
pub const TASK: &str = "push every box onto a target.";

/// Source of an environment's levels.
pub trait LevelSource: Send + Sync {
    /// Specification of the environment that plays these levels.
    fn spec(&self) -> &EnvSpec;

    /// Returns the level of a task.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`], [`EnvError::Data`].
    fn level(&self, task: &TaskKey) -> Result<Level, EnvError>;
}

/// A start board and its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Start position.
    pub board: Board,
    /// Family in result tables: `6x6-1`, `boxoban-medium`.
    pub family: &'static str,
}

/// Settings in which published work differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Rule set.
    pub variant: Variant,
    /// Text form of boards.
    pub form: Form,
}

/// Sokoban environment. Every observation is the whole board. The episode ends when all boxes are on targets; rewards
/// are those of the original. An action that does not parse leaves the board unchanged (the original's action 0).
pub struct SokobanEnv {
    source: Arc<dyn LevelSource>,
    options: Options,
    episode: Option<Episode>,
    start: Option<Board>,
    over: bool,
}

impl SokobanEnv {
    /// Creates an environment that plays the levels of a source.
    pub fn new(source: Arc<dyn LevelSource>, options: Options) -> Self {
        Self { source, options, episode: None, start: None, over: false }
    }

    /// Current board, for pictures and planners. `None` before the first reset.
    pub fn board(&self) -> Option<&Board> {
        self.episode.as_ref().map(Episode::board)
    }
}

impl Env for SokobanEnv {
    fn spec(&self) -> &EnvSpec {
        self.source.spec()
    }

    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        let level = self.source.level(task)?;
        // The step limit is enforced by a wrapper.
        self.episode = Some(Episode::new(level.board, self.options.variant, u32::MAX));
        self.start = Some(level.board);
        self.over = false;
        let text = level.board.text(self.options.form);
        // Every answer is the whole board, so prompts need not keep the first one.
        let context = String::new();
        Ok(Start { text, task: TASK.to_owned(), context, family: level.family.to_owned() })
    }

    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let env = self.source.spec().id;
        let episode = self.episode.as_mut().ok_or(EnvError::StepBeforeReset { env })?;
        if self.over {
            return Err(EnvError::EpisodeOver { env });
        }
        let action = Action::parse(action, self.options.variant);
        let outcome = episode.step(action.unwrap_or(Action::Still));
        self.over = outcome.won;
        Ok(Step {
            observation: episode.board().text(self.options.form),
            reward: outcome.reward,
            won: outcome.won,
            unknown_action: action.is_none(),
            context: None,
            end: outcome.won.then_some(End::Terminated),
        })
    }

    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        self.episode.is_some().then_some(self)
    }

    fn walkthrough(&mut self) -> Option<&mut dyn Walkthrough> {
        self.episode.is_some().then_some(self)
    }
}

/// Always the four directions: moving into a wall is allowed and costs a step.
impl Admissible for SokobanEnv {
    fn admissible_actions(&mut self) -> Vec<String> {
        let mut names = Direction::ALL.map(|direction| direction.name().to_owned());
        names.sort_unstable();
        names.to_vec()
    }
}

/// A shortest solution, computed on request. Empty if the solver finds none.
impl Walkthrough for SokobanEnv {
    fn solution(&self) -> Vec<String> {
        let solution = self.start.as_ref().and_then(solve);
        solution.into_iter().flat_map(|solution| solution.moves).map(|one| one.name().to_owned()).collect()
    }
}
