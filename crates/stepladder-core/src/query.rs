//! Roles of an agent, and the prompt contents of each role.
//!
//! A [`Query`] is the structured content of a prompt before rendering. Experts reply to queries (docs/design.md D11), a prompt
//! encoder renders them for a model (docs/design.md D7), the data pipeline stores them. No code parses a rendered prompt.

use serde::{Deserialize, Serialize};

use crate::step::Start;

/// Role of an agent in an episode. STEP-HRL has planner, executor and progress writer on one model, HiMAC a macro and a micro policy; `Flat` is
/// the history-conditioned baseline's only role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Writes the next subtask.
    Planner,
    /// Chooses the next primitive action and says whether the subtask is finished.
    Executor,
    /// Rewrites the local progress text after an action.
    Progress,
    /// Chooses the next primitive action from the full history.
    Flat,
    /// Writes the blueprint of an episode (HiMAC).
    Macro,
    /// Chooses the next primitive action for the active sub-goal of a blueprint, and may say that it is done (HiMAC).
    Micro,
}

impl Role {
    /// Every role, in the order in which tables list them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Planner, Self::Executor, Self::Progress, Self::Flat, Self::Macro, Self::Micro];

    /// Number of roles.
    pub const COUNT: usize = 6;

    /// Name in traces, tables and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planner => "planner",
            Self::Executor => "executor",
            Self::Progress => "progress",
            Self::Flat => "flat",
            Self::Macro => "macro",
            Self::Micro => "micro",
        }
    }
}

/// What an agent sees of the environment at one step: the context and the last answer.
///
/// ALFWorld: `feedback` is the answer to the last action (empty at the start), `context` the room description of the
/// episode's start. ScienceWorld: `feedback` is the answer, `context` room and inventory as they are now
/// (docs/spec/algorithms.md 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Observation {
    /// Answer to the last action; empty right after a reset.
    pub feedback: String,
    /// Visible beside it: for the whole episode, or until a step changes it.
    pub context: String,
}

impl Observation {
    /// Observation before the first action: the context, or the reset's text where there is no context.
    pub fn first(start: &Start) -> Self {
        let shown = if start.context.is_empty() { start.text.clone() } else { String::new() };
        Self { feedback: shown, context: start.context.clone() }
    }

    /// Text as in docs/spec/algorithms.md 2.2: feedback, a space, context; only the context right after a reset.
    ///
    /// ```
    /// use stepladder_core::Observation;
    /// let at = |feedback: &str| Observation { feedback: feedback.into(), context: "A room.".into() };
    /// assert_eq!(at("").text(), "A room.");
    /// assert_eq!(at("You open it.").text(), "You open it. A room.");
    /// ```
    pub fn text(&self) -> String {
        match (self.feedback.is_empty(), self.context.is_empty()) {
            (true, _) => self.context.clone(),
            (false, true) => self.feedback.clone(),
            (false, false) => format!("{} {}", self.feedback, self.context),
        }
    }
}

/// Progress text at the start of every subtask (docs/spec/algorithms.md 2.1).
pub const NO_PROGRESS: &str = "None";

/// The contents of one prompt (docs/spec/algorithms.md 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Query {
    /// `H(c, G_{<k}, p̂_{k-1}, o)`: asks for the next subtask.
    Planner {
        /// Task text c.
        task: String,
        /// Subtasks issued so far, completed or not.
        earlier: Vec<String>,
        /// Last progress text of the previous subtask, [`NO_PROGRESS`] at the start.
        progress: String,
        /// Current observation.
        observation: Observation,
    },
    /// `L(g, p, o)`: asks for an action and the finished flag.
    Executor {
        /// Current subtask g.
        subtask: String,
        /// Current observation o.
        observation: Observation,
        /// Local progress p.
        progress: String,
    },
    /// `P(g, p, a, o')`: asks for the new progress text.
    Progress {
        /// Current subtask g.
        subtask: String,
        /// Progress p before the action.
        progress: String,
        /// The action just executed.
        action: String,
        /// Observation after the action.
        observation: Observation,
    },
    /// History-conditioned: asks for the next action.
    Flat {
        /// Task text.
        task: String,
        /// Current context.
        context: String,
        /// (action, answer) pairs so far, oldest first. Where an environment has no context, the reset's text is the answer
        /// to an empty first action.
        history: Vec<(String, String)>,
    },
    /// Asks for the blueprint of an episode (docs/spec/algorithms.md 5.1).
    Macro {
        /// Task instruction x.
        task: String,
        /// First observation o_0.
        observation: Observation,
    },
    /// Asks for an action towards the active sub-goal (docs/spec/algorithms.md 5.2).
    Micro {
        /// Task instruction x.
        task: String,
        /// All sub-goals of the blueprint.
        blueprint: Vec<String>,
        /// Index of the active sub-goal, from 0.
        active: usize,
        /// (answer, action) pairs since the active sub-goal began, oldest first.
        history: Vec<(String, String)>,
        /// Current observation.
        observation: Observation,
    },
}

impl Query {
    /// Role that replies to this query.
    pub fn role(&self) -> Role {
        match self {
            Self::Planner { .. } => Role::Planner,
            Self::Executor { .. } => Role::Executor,
            Self::Progress { .. } => Role::Progress,
            Self::Flat { .. } => Role::Flat,
            Self::Macro { .. } => Role::Macro,
            Self::Micro { .. } => Role::Micro,
        }
    }
}
