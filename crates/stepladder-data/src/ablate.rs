//! Progress texts of agents that keep less of them than the method does.

use std::borrow::Cow;

use stepladder_agent::replay::unchecked;
use stepladder_agent::step_hrl::ProgressSlot;
use stepladder_core::trace::Episode;

stepladder_core::choices! {
    /// Content of the progress text that an agent sees.
    pub enum ProgressText {
        /// All of it.
        Full = "full",
        /// The fact, without the list of places that were looked into.
        Unchecked = "unchecked",
        /// The actions of the subtask and their observations instead, as GLIDER has them; no role writes it.
        History = "history",
        /// Nothing: the slot stays empty and no role is asked to fill it.
        None = "none",
    }
}

impl ProgressText {
    /// What the agent has in its progress slot.
    pub fn slot(self) -> ProgressSlot {
        match self {
            Self::Full | Self::Unchecked => ProgressSlot::Written,
            Self::History => ProgressSlot::History,
            Self::None => ProgressSlot::Empty,
        }
    }

    /// The demonstration of a progress writer that writes this much.
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
