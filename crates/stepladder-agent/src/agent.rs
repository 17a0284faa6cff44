//! What an agent is: events in, wishes out.

use stepladder_core::trace::{Subtask, Turn};
use stepladder_core::{Query, Start, Step};

/// What an agent wants next.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// A reply to this prompt.
    Reply(Query),
    /// This action played in the environment.
    Act(String),
    /// Nothing: the episode is over.
    Finished,
}

/// A state machine without I/O (design D2).
///
/// The driver calls [`Agent::start`] once, then answers every [`Want::Reply`] with [`Agent::on_reply`] and every
/// [`Want::Act`] with [`Agent::on_step`] until the agent is [`Want::Finished`].
pub trait Agent: Send {
    /// The episode begins.
    fn start(&mut self, start: &Start) -> Want;

    /// The reply that was asked for; `turn.reply` is native text.
    fn on_reply(&mut self, turn: Turn) -> Want;

    /// Another action than the wanted one is going to be played (noisy rollouts); call between `Want::Act` and
    /// `on_step`. The step is recorded with what the reply had said, and the reply's flag still counts: an agent that errs
    /// believes that it has finished, so its planner has to learn from such moments too.
    fn substitute(&mut self, action: &str);

    /// The environment's answer to the action.
    fn on_step(&mut self, step: &Step) -> Want;

    /// What happened so far, with the hierarchy in it.
    fn trace(&mut self) -> Vec<Subtask>;
}
