//! Samples of behaviour cloning: the prompts of each role in an episode, with their target replies.
//!
//! The agent replays the trace ([`stepladder_agent::replay`]), so samples exist for traces of policies, experts and labelled
//! demonstrations, and for every kind of agent.

use stepladder_agent::AgentSpec;
use stepladder_agent::replay::{ReplayError, replay};
use stepladder_core::reply::clean_progress;
use stepladder_core::trace::Episode;
use stepladder_core::{Query, Role};

/// One prompt and its target reply.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Prompt contents.
    pub query: Query,
    /// Target, as native text.
    pub reply: String,
}

impl Sample {
    /// Creates a sample. A progress text is cleaned, since agents keep it cleaned.
    pub fn new(query: Query, reply: String) -> Self {
        let reply = if query.role() == Role::Progress { clean_progress(&reply) } else { reply };
        Self { query, reply }
    }

    /// Returns the role that learns from it.
    pub fn role(&self) -> Role {
        self.query.role()
    }
}

/// Returns the samples of an episode that an agent of `spec` replays, in the order of the episode.
///
/// Where noise replaced the action, the target is the expert's label. The flat agent has no sample for such a step: its next
/// prompt continues with the played action.
///
/// # Errors
/// [`ReplayError`] if the trace does not fit the agent.
pub fn samples(spec: AgentSpec, episode: &Episode) -> Result<Vec<Sample>, ReplayError> {
    let decisions = replay(spec, episode)?.decisions.into_iter();
    let learnt = decisions.filter(|one| !(one.substituted && one.query.role() == Role::Flat));
    Ok(learnt.map(|one| Sample::new(one.query, one.reply)).collect())
}

/// Returns every prompt of an agent of `spec` in an episode, and the prompt that would follow its end.
///
/// # Errors
/// [`ReplayError`] if the trace does not fit the agent.
pub fn prompts(spec: AgentSpec, episode: &Episode) -> Result<Vec<Query>, ReplayError> {
    let replay = replay(spec, episode)?;
    Ok(replay.decisions.into_iter().map(|one| one.query).chain(replay.next).collect())
}
