//! Identity of a task.

use serde::{Deserialize, Serialize};

/// One task of one split of one environment.
///
/// `id` identifies it for the environment: a path below the data root for official games
/// (`valid_seen/pick_…/trial_…`), a seed for generated ones (`seed-17`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskKey {
    /// Environment id as registered, for example `alfworld` or `household`.
    pub env: String,
    /// Split name as registered, for example `valid_seen` or `dev`.
    pub split: String,
    /// Identity of the task inside its split.
    pub id: String,
}

impl TaskKey {
    /// Builds a key from its three parts.
    pub fn new(env: impl Into<String>, split: impl Into<String>, id: impl Into<String>) -> Self {
        Self { env: env.into(), split: split.into(), id: id.into() }
    }
}

impl std::fmt::Display for TaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.env, self.split, self.id)
    }
}
