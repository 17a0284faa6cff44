//! The agent interface: events in, requests out.

use stepladder_core::trace::{Subtask, Turn};
use stepladder_core::{Query, Start, Step};

/// Next request of an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// Requests a reply to this prompt.
    Reply(Query),
    /// Requests this action in the environment.
    Act(String),
    /// Requests nothing: the episode is over.
    Finished,
}

/// A state machine without I/O (docs/design.md D2).
///
/// The driver calls [`Agent::start`] once, then answers every [`Want::Reply`] with [`Agent::on_reply`] and every
/// [`Want::Act`] with [`Agent::on_step`] until the agent is [`Want::Finished`].
pub trait Agent: Send {
    /// Begins the episode.
    fn start(&mut self, start: &Start) -> Want;

    /// Takes the requested reply; `turn.reply` is native text.
    fn on_reply(&mut self, turn: Turn) -> Want;

    /// Replaces the requested action by another one (noisy rollouts); call between `Want::Act` and `on_step`. The step
    /// is recorded with the original reply as its label. The reply's flag still counts: a policy that errs also ends
    /// subtasks too early, so the planner must learn from such states.
    fn substitute(&mut self, action: &str);

    /// Takes the environment's answer to the action.
    fn on_step(&mut self, step: &Step) -> Want;

    /// Takes out the episode so far, divided into subtasks.
    fn trace(&mut self) -> Vec<Subtask>;
}
