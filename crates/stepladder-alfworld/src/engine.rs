//! Game play at the level of the original's core: no step limit, and play continues after the goal is reached.

use std::sync::Arc;

use crate::action::Action;
use crate::commands::{self, Scratch};
use crate::game::Game;
use crate::list::CommandList;
use crate::state::State;
use crate::text;

/// Result of a command, besides its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the command was possible. If not, nothing changed.
    pub possible: bool,
    /// Whether the goal is reached now; of a chain, the last goal. The original's reward is 1 on every such step,
    /// otherwise 0.
    pub won: bool,
}

/// A game in play.
#[derive(Debug, Clone)]
pub struct Engine {
    game: Arc<Game>,
    state: State,
    won: bool,
    scratch: Scratch,
}

impl Engine {
    /// Creates an engine at the start of a game.
    pub fn new(game: Arc<Game>) -> Self {
        let mut state = game.initial.clone();
        let won = judge(&game, &mut state);
        Self { game, state, won, scratch: Scratch::default() }
    }

    /// Game in play.
    pub fn game(&self) -> &Arc<Game> {
        &self.game
    }

    /// Returns to the start of the game.
    pub fn reset(&mut self) {
        self.state.copy_from(&self.game.initial);
        self.won = judge(&self.game, &mut self.state);
    }

    /// Switches to the start of another game.
    pub fn switch(&mut self, game: &Arc<Game>) {
        self.game.clone_from(game);
        self.reset();
    }

    /// Whether the goal is reached now. In a chain: all earlier goals have been reached, and the last one is reached
    /// now.
    pub fn won(&self) -> bool {
        self.won
    }

    /// Number of reached goals of a chain, each at or after the moment when the goals before it had been reached.
    pub fn goals_reached(&self) -> usize {
        self.state.reached + usize::from(self.won)
    }

    /// Appends the first text of an episode. Meaningful only at the start.
    pub fn write_intro(&self, out: &mut String) {
        text::intro(&self.game, &self.state, out);
    }

    /// Appends the description of the room, the middle part of the first text. Meaningful only at the start.
    pub fn write_context(&self, out: &mut String) {
        text::context(&self.game, &self.state, out);
    }

    /// Plays a command and appends the answer.
    pub fn step(&mut self, command: &str, answer: &mut String) -> Outcome {
        let action = Action::parse(&self.game, strip(command));
        match action.filter(|&action| self.state.allows(&self.game, action)) {
            Some(action) => {
                self.state.apply(&self.game, action);
                if self.game.goals[self.state.reached].may_change_with(action) {
                    self.won = judge(&self.game, &mut self.state);
                }
                text::answer(&self.game, &self.state, action, answer);
                Outcome { possible: true, won: self.won }
            }
            None => {
                answer.push_str(text::NOTHING_HAPPENS);
                Outcome { possible: false, won: self.won }
            }
        }
    }

    /// Fills a list with every admissible command, in code-point order.
    pub fn admissible(&mut self, list: &mut CommandList) {
        list.clear();
        commands::admissible(&self.game, &self.state, &mut self.scratch, list);
    }
}

/// Advances through the goals of a chain that hold, and returns whether the last one holds. Each goal before the last
/// counts permanently once it has held while it was current; the last one must hold now, like the only goal of an
/// official game.
fn judge(game: &Game, state: &mut State) -> bool {
    let last = game.goals.len() - 1;
    while game.goals[state.reached].is_reached(state) {
        if state.reached == last {
            return true;
        }
        state.reached += 1;
    }
    false
}

/// Strips the same characters as Python's `str.strip`: Unicode white space and the four ASCII separators.
fn strip(command: &str) -> &str {
    command.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}
