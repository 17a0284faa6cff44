//! Results of a reset and of a step.

use serde::{Deserialize, Serialize};

/// How an episode ended. Only `Terminated` rules out further reward (discount 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The environment ended the episode.
    Terminated,
    /// A limit (steps, budget) ended the episode.
    Truncated,
}

/// Result of a reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The original's complete first text, byte for byte.
    pub text: String,
    /// The task sentence an agent is given ("put a hot mug in coffeemachine.").
    pub task: String,
    /// Context: part of every prompt until a step replaces it (ALFWorld: the room description, for the whole episode;
    /// ScienceWorld: room and inventory). May be empty.
    pub context: String,
    /// The task family for tables per type (ALFWorld: `pick_heat_then_place_in_recep`).
    pub family: String,
}

/// Result of one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The environment's answer, byte for byte.
    pub observation: String,
    /// Reward of this step.
    pub reward: f64,
    /// The task is solved.
    pub won: bool,
    /// The environment did not understand the action (docs/spec/algorithms.md 3.1, executor reward -1).
    pub unknown_action: bool,
    /// New context, in place of [`Start::context`] (ScienceWorld: room and inventory after the action). None: unchanged.
    pub context: Option<String>,
    /// Set on the last step of the episode.
    pub end: Option<End>,
}

impl Step {
    /// Discount of the next state's value: `gamma`, or 0 after a termination. A truncation keeps `gamma`, because the
    /// episode could have continued.
    ///
    /// ```
    /// use stepladder_core::{End, Step};
    /// let step = |end| Step { observation: String::new(), reward: 0.0, won: false, unknown_action: false, context: None, end };
    /// assert_eq!(step(None).discount(0.99), 0.99);
    /// assert_eq!(step(Some(End::Truncated)).discount(0.99), 0.99);
    /// assert_eq!(step(Some(End::Terminated)).discount(0.99), 0.0);
    /// ```
    pub fn discount(&self, gamma: f64) -> f64 {
        if self.end == Some(End::Terminated) { 0.0 } else { gamma }
    }
}
