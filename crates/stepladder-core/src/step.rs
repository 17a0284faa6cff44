//! What an environment says: at the start of an episode and after every action.

use serde::{Deserialize, Serialize};

/// How an episode ended. Only `Terminated` means that no further reward was possible (discount 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The environment itself ended the episode.
    Terminated,
    /// A limit from outside (steps, budget) cut the episode off.
    Truncated,
}

/// What a reset gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The original's complete first text, byte for byte.
    pub text: String,
    /// The task sentence an agent is given ("put a hot mug in coffeemachine.").
    pub task: String,
    /// What is visible beside the answers and stands in every prompt, until a step replaces it (ALFWorld: the room
    /// description, all episode long; ScienceWorld: room and inventory). May be empty.
    pub context: String,
    /// The task family for tables per type (ALFWorld: `pick_heat_then_place_in_recep`).
    pub family: String,
}

/// What one action gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The environment's answer, byte for byte.
    pub observation: String,
    /// Reward of this step.
    pub reward: f64,
    /// Whether the task is solved now.
    pub won: bool,
    /// The environment did not understand the action (spec/algorithms 3.1, executor reward -1).
    pub unknown_action: bool,
    /// What stands in prompts beside the answer from now on, in place of [`Start::context`] (ScienceWorld: the room and
    /// the inventory after the action). None: it stays as it was.
    pub context: Option<String>,
    /// Set on the last step of the episode.
    pub end: Option<End>,
}

impl Step {
    /// Discount that multiplies the value of what follows: `gamma`, or 0 after a termination. A truncation keeps
    /// `gamma`, because the episode could have gone on.
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
