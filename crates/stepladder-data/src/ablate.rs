//! Ablations of the progress text.

use std::borrow::Cow;

use stepladder_agent::replay::unchecked;
use stepladder_agent::step_hrl::ProgressSlot;
use stepladder_core::trace::Episode;

stepladder_core::choices! {
    /// Content of the progress text in an agent's prompts.
    pub enum ProgressText {
        /// The whole text of the progress writer.
        Full = "full",
        /// The text without its list of searched places.
        Unchecked = "unchecked",
        /// The actions of the subtask with their observations, without a progress writer (as GLIDER, arXiv:2505.19761).
        History = "history",
        /// Nothing: the slot is empty, and there is no progress writer.
        None = "none",
    }
}

impl ProgressText {
    /// Returns the content of the agent's progress slot.
    pub fn slot(self) -> ProgressSlot {
        match self {
            Self::Full | Self::Unchecked => ProgressSlot::Written,
            Self::History => ProgressSlot::History,
            Self::None => ProgressSlot::Empty,
        }
    }

    /// Returns the demonstration with progress texts of this content.
    pub fn demonstration(self, episode: &Episode) -> Cow<'_, Episode> {
        if self != Self::Unchecked {
            return Cow::Borrowed(episode);
        }
        let mut episode = episode.clone();
        for step in episode.subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps) {
            if let Some(text) = &mut step.progress {
                *text = unchecked(text).to_owned();
            }
            if let Some(turn) = &mut step.progress_turn {
                turn.reply = unchecked(&turn.reply).to_owned();
            }
        }
        Cow::Owned(episode)
    }
}
