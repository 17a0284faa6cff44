//! Reconstructs the prompt of every reply in a recorded episode by running the agent through the episode again.
//!
//! ```text
//! trace ─► convert (same steps, replies of another agent) ─► replay (the agent builds the prompts) ─► (prompt, reply) …
//! ```
//! Only an agent's state machine builds a [`Query`] (docs/design.md D15), so training and rollout use the same prompts by
//! construction.

mod convert;
mod error;

pub use convert::unchecked;
pub use error::{Fault, Place, ReplayError};

use std::borrow::Cow;

use stepladder_core::trace::{Episode, Subtask, TraceStep, Turn};
use stepladder_core::{Query, Step};

use crate::agent::{Agent, Want};
use crate::spec::AgentSpec;

/// One prompt of a recorded episode with its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The prompt.
    pub query: Query,
    /// The recorded reply. Where noise replaced the action, the expert's label.
    pub reply: String,
    /// Whether noise replaced the reply's action.
    pub substituted: bool,
    /// Place of the reply in [`Replay::episode`].
    pub place: Place,
}

/// A replayed episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay<'e> {
    /// The episode that the agent replayed: the recorded one, or its conversion where another agent recorded it.
    pub episode: Cow<'e, Episode>,
    /// Prompts and replies, in the order of the episode.
    pub decisions: Vec<Decision>,
    /// The prompt that would have followed the last recorded event; `None` if the agent itself finished, or if the episode
    /// was aborted before the environment answered.
    pub next: Option<Query>,
}

/// Replays an episode with an agent of `spec`.
///
/// An episode of another agent is converted first: a flat agent gets the steps without their hierarchy, HiMAC gets the
/// subtasks as its blueprint, STEP-HRL without planner or progress writer gets the episode without their replies. STEP-HRL
/// and HiMAC need an episode with subtasks, since a conversion cannot invent them.
///
/// ```
/// use stepladder_agent::replay::replay;
/// use stepladder_agent::AgentKind;
/// # let line = include_str!("../../../stepladder-core/tests/trace-v1.jsonl");
/// # let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
/// let replay = replay(AgentKind::StepHrl.into(), &episode)?;
/// let roles: Vec<&str> = replay.decisions.iter().map(|decision| decision.query.role().name()).collect();
/// assert_eq!(roles, ["planner", "executor", "progress", "executor"]);
/// # Ok::<(), stepladder_agent::replay::ReplayError>(())
/// ```
///
/// # Errors
/// [`ReplayError`] if the trace does not fit the agent, with the place of the mismatch.
pub fn replay(spec: AgentSpec, episode: &Episode) -> Result<Replay<'_>, ReplayError> {
    let (mut agent, episode) = convert::convert(spec, episode)?;
    let (decisions, next) = go_through(&mut *agent, &episode)?;
    Ok(Replay { episode, decisions, next })
}

/// Drives `agent` through an episode that an agent with the same options recorded.
///
/// # Errors
/// [`ReplayError`] if the trace does not fit the agent, with the place of the mismatch.
pub fn drive<'e>(agent: &mut dyn Agent, episode: &'e Episode) -> Result<Replay<'e>, ReplayError> {
    let (decisions, next) = go_through(agent, episode)?;
    Ok(Replay { episode: Cow::Borrowed(episode), decisions, next })
}

/// An event of a trace.
enum Event<'e> {
    Reply { turn: &'e Turn, label: Option<&'e str> },
    Step { step: &'e TraceStep, last: bool },
}

/// Iterates over the events of a trace in the order in which they happened.
fn events(episode: &Episode) -> impl Iterator<Item = (Place, Event<'_>)> {
    let mut left = episode.len();
    episode.subtasks.iter().enumerate().flat_map(move |(subtask, held)| {
        let issued = held
            .turn
            .iter()
            .map(move |turn| (Place { subtask, step: None }, Event::Reply { turn, label: None }));
        let end = left - held.steps.len();
        left = end;
        let count = held.steps.len();
        let steps = held.steps.iter().enumerate().flat_map(move |(number, step)| {
            let place = Place { subtask, step: Some(number) };
            let reply = |turn| Event::Reply { turn, label: None };
            let idle = step.idle.iter().map(reply);
            let acted = [
                Event::Reply { turn: &step.turn, label: step.expert.as_deref() },
                Event::Step { step, last: end == 0 && number + 1 == count },
            ];
            let events = idle.chain(acted).chain(step.progress_turn.iter().map(reply));
            events.map(move |event| (place, event))
        });
        issued.chain(steps)
    })
}

fn go_through(
    agent: &mut dyn Agent,
    episode: &Episode,
) -> Result<(Vec<Decision>, Option<Query>), ReplayError> {
    let error = |place, fault| ReplayError { task: episode.task.to_string(), place, fault };
    let mut decisions = Vec::new();
    let mut want = agent.start(&episode.start);
    for (place, event) in events(episode) {
        want = match (event, want) {
            (Event::Reply { turn, label }, Want::Reply(query)) if query.role() == turn.role => {
                let reply = label.unwrap_or(&turn.reply);
                decisions.push(Decision {
                    query,
                    reply: reply.to_owned(),
                    substituted: label.is_some(),
                    place,
                });
                agent.on_reply(Turn::said(turn.role, reply))
            }
            (Event::Reply { turn, .. }, Want::Reply(query)) => {
                return Err(error(place, Fault::Role { found: turn.role, asked: query.role() }));
            }
            (Event::Reply { turn, .. }, Want::Act(_) | Want::Finished) => {
                return Err(error(place, Fault::Unasked { found: turn.role }));
            }
            (Event::Step { step, last }, Want::Act(action)) => {
                if step.expert.is_some() {
                    agent.substitute(&step.action);
                } else if action != step.action {
                    return Err(error(place, Fault::Action { said: action, played: step.action.clone() }));
                }
                if step.end.is_some() && !last {
                    return Err(error(place, Fault::Over));
                }
                // Without the end, the agent builds the prompt that would have followed.
                agent.on_step(&Step { end: None, ..step.answer() })
            }
            (Event::Step { .. }, Want::Reply(query)) => {
                return Err(error(place, Fault::Missing { asked: query.role() }));
            }
            (Event::Step { .. }, Want::Finished) => return Err(error(place, Fault::Over)),
        };
    }
    compare(&episode.subtasks, &agent.trace()).map_err(|(place, fault)| error(place, fault))?;
    let next = match want {
        Want::Reply(query) => Some(query),
        Want::Act(_) | Want::Finished => None,
    };
    Ok((decisions, next))
}

/// Compares the subtasks that the replay recorded with those of the trace.
fn compare(recorded: &[Subtask], replayed: &[Subtask]) -> Result<(), (Place, Fault)> {
    let differs = |what, found: &dyn ToString, recorded: &dyn ToString| Fault::Differs {
        what,
        found: found.to_string(),
        recorded: recorded.to_string(),
    };
    for (subtask, (recorded, replayed)) in recorded.iter().zip(replayed).enumerate() {
        let place = Place { subtask, step: None };
        if recorded.text != replayed.text {
            return Err((place, differs("subtask", &replayed.text, &recorded.text)));
        }
        for (step, (recorded, replayed)) in recorded.steps.iter().zip(&replayed.steps).enumerate() {
            let place = Place { subtask, step: Some(step) };
            if recorded.finished != replayed.finished {
                return Err((place, differs("flag of the reply", &replayed.finished, &recorded.finished)));
            }
            let kept = replayed.progress.as_deref().unwrap_or_default();
            if let Some(text) = recorded.progress.as_ref().filter(|text| *text != kept) {
                return Err((place, differs("progress text", &kept, text)));
            }
        }
        let (held, found) = (recorded.steps.len(), replayed.steps.len());
        if held != found {
            return Err((place, differs("number of steps", &found, &held)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
