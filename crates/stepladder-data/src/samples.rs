//! Samples of behaviour cloning: what each role was shown in an episode, and what it should reply.
//!
//! The agent itself goes through the trace again ([`stepladder_agent::replay`]), so a trace of any policy, expert or
//! labelled demonstration serves alike, and every kind of agent has its samples.

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
    /// A sample whose target is a reply as it was given. Progress texts are learnt as agents keep them: cleaned.
    pub fn new(query: Query, reply: String) -> Self {
        let reply = if query.role() == Role::Progress { clean_progress(&reply) } else { reply };
        Self { query, reply }
    }

    /// The role that learns from it.
    pub fn role(&self) -> Role {
        self.query.role()
    }
}

/// Returns the samples of an episode as an agent of `spec` goes through it, in the order in which the roles spoke.
///
/// Where noise replaced the action, the target is what the expert had said. A flat agent reads such an action and does not
/// learn the label: its prompts go on with what was played.
///
/// # Errors
/// [`ReplayError`] if the trace does not fit the agent.
pub fn samples(spec: AgentSpec, episode: &Episode) -> Result<Vec<Sample>, ReplayError> {
    let decisions = replay(spec, episode)?.decisions.into_iter();
    let learnt = decisions.filter(|one| !(one.substituted && one.query.role() == Role::Flat));
    Ok(learnt.map(|one| Sample::new(one.query, one.reply)).collect())
}

/// Returns every prompt that an agent of `spec` is shown in an episode, and the one that would follow its end.
///
/// # Errors
/// [`ReplayError`] if the trace does not fit the agent.
pub fn prompts(spec: AgentSpec, episode: &Episode) -> Result<Vec<Query>, ReplayError> {
    let replay = replay(spec, episode)?;
    Ok(replay.decisions.into_iter().map(|one| one.query).chain(replay.next).collect())
}
