//! Factories of agents.

use crate::agent::Agent;
use crate::himac::Blueprint;

/// Creates one agent per episode. [`AgentSpec`](crate::AgentSpec) creates those of this crate; implement the trait for other
/// agents.
pub trait AgentFactory: Send + Sync {
    /// Returns the name of the agent in traces and tables.
    fn name(&self) -> &str;

    /// Creates an agent for one episode of at most `limit` steps; `blueprint` is the source of its blueprint if it follows
    /// one.
    fn make(&self, limit: u32, blueprint: &Blueprint) -> Box<dyn Agent>;
}
