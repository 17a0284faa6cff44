//! Where the agents of episodes come from.

use crate::agent::Agent;
use crate::himac::Blueprint;

/// Makes one agent per episode. [`AgentSpec`](crate::AgentSpec) makes those of this crate; implement it to have another
/// agent play.
pub trait AgentFactory: Send + Sync {
    /// Name in traces and tables.
    fn name(&self) -> &str;

    /// A new agent for one episode of at most `limit` steps, and where its blueprint comes from if it follows one.
    fn make(&self, limit: u32, blueprint: &Blueprint) -> Box<dyn Agent>;
}
