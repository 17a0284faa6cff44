//! What an agent is: events in, wishes out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stepladder_core::trace::{Subtask, Turn};
use stepladder_core::{Query, Role, Start, Step};

use crate::flat::Flat;
use crate::himac::{HISTORY, Himac, HimacOptions, Limits};
use crate::scheduler::Blueprint;
use crate::step_hrl::{ProgressSlot, StepHrl, StepHrlOptions};

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

/// The agents this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// History-conditioned: one role sees task and all earlier actions and answers.
    Flat,
    /// Planner, executor and progress writer (STEP-HRL).
    StepHrl,
    /// A blueprint, then actions towards its active sub-goal (HiMAC).
    Himac,
}

impl AgentKind {
    /// The name used in traces and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::StepHrl => "step_hrl",
            Self::Himac => "himac",
        }
    }
}

/// Which agent plays, with the parts of its method that are switched off (ablations).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AgentSpec {
    /// The method.
    pub kind: AgentKind,
    /// How many of the latest pairs the prompt shows. Flat: none shows all; HiMAC: of the segment, none shows
    /// [`crate::himac::HISTORY`].
    pub history: Option<usize>,
    /// STEP-HRL: a planner issues subtasks. Without one, the task itself is the only subtask.
    pub planner: bool,
    /// STEP-HRL: what stands where the progress text stands.
    pub progress: ProgressSlot,
    /// HiMAC: a sub-goal ends when it is declared done. Otherwise each has a fixed share of the steps.
    pub sub_done: bool,
}

impl From<AgentKind> for AgentSpec {
    /// The whole method.
    fn from(kind: AgentKind) -> Self {
        Self { kind, history: None, planner: true, progress: ProgressSlot::Written, sub_done: true }
    }
}

impl fmt::Display for AgentSpec {
    /// `step_hrl`, `flat`, and what is different: `flat:history=4`, `step_hrl:planner=false,progress=false`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = [
            self.history.map(|pairs| format!("history={pairs}")),
            (!self.planner).then(|| "planner=false".to_owned()),
            match self.progress {
                ProgressSlot::Written => None,
                ProgressSlot::History => Some("progress=history".to_owned()),
                ProgressSlot::Empty => Some("progress=false".to_owned()),
            },
            (!self.sub_done).then(|| "sub_done=false".to_owned()),
        ];
        let options: Vec<String> = options.into_iter().flatten().collect();
        let colon = if options.is_empty() { "" } else { ":" };
        write!(f, "{}{colon}{}", self.kind.name(), options.join(","))
    }
}

impl FromStr for AgentSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("unknown agent `{text}`");
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        let kinds = [AgentKind::StepHrl, AgentKind::Flat, AgentKind::Himac];
        let kind = kinds.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)?;
        let mut spec = Self::from(kind);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("history", pairs)) => spec.history = Some(pairs.parse().map_err(|_| unknown())?),
                Some(("planner", "false")) => spec.planner = false,
                Some(("progress", "false")) => spec.progress = ProgressSlot::Empty,
                Some(("progress", "history")) => spec.progress = ProgressSlot::History,
                Some(("sub_done", "false")) => spec.sub_done = false,
                _ => return Err(unknown()),
            }
        }
        Ok(spec)
    }
}

impl AgentSpec {
    /// Whether anybody in it speaks in this role.
    pub fn has(self, role: Role) -> bool {
        match role {
            Role::Flat => self.kind == AgentKind::Flat,
            Role::Planner => self.kind == AgentKind::StepHrl && self.planner,
            Role::Executor => self.kind == AgentKind::StepHrl,
            Role::Progress => self.kind == AgentKind::StepHrl && self.progress == ProgressSlot::Written,
            Role::Macro | Role::Micro => self.kind == AgentKind::Himac,
        }
    }

    /// A new agent for one episode of at most `limit` steps, and where its blueprint comes from if it follows one.
    pub fn make(self, limit: u32, blueprint: &Blueprint) -> Box<dyn Agent> {
        match self.kind {
            AgentKind::Flat => Box::new(Flat::new(self.history)),
            AgentKind::StepHrl => Box::new(StepHrl::new(StepHrlOptions {
                planner: self.planner,
                progress: self.progress,
                ..StepHrlOptions::default()
            })),
            AgentKind::Himac => Box::new(Himac::new(HimacOptions {
                limit,
                history: self.history.unwrap_or(HISTORY),
                limits: if self.sub_done { Limits::Declared } else { Limits::Even },
                blueprint: blueprint.clone(),
            })),
        }
    }
}

/// A step as both agents record it: the reply that chose the action and the environment's answer.
pub(crate) fn record(
    turn: Turn,
    action: String,
    finished: bool,
    unparsable: bool,
    step: &Step,
) -> stepladder_core::trace::TraceStep {
    stepladder_core::trace::TraceStep {
        idle: Vec::new(),
        turn,
        action,
        finished,
        unparsable,
        observation: step.observation.clone(),
        reward: step.reward,
        won: step.won,
        unknown_action: step.unknown_action,
        context: step.context.clone(),
        end: step.end,
        progress: None,
        progress_turn: None,
        expert: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_back_from_its_text() {
        let whole = AgentSpec::from(AgentKind::StepHrl);
        let flat = AgentSpec::from(AgentKind::Flat);
        for (spec, text) in [
            (whole, "step_hrl"),
            (AgentSpec { history: Some(4), ..flat }, "flat:history=4"),
            (AgentSpec { progress: ProgressSlot::History, ..whole }, "step_hrl:progress=history"),
            (AgentSpec { sub_done: false, ..AgentSpec::from(AgentKind::Himac) }, "himac:sub_done=false"),
            (
                AgentSpec { planner: false, progress: ProgressSlot::Empty, ..whole },
                "step_hrl:planner=false,progress=false",
            ),
        ] {
            assert_eq!(spec.to_string(), text);
            assert_eq!(text.parse(), Ok(spec));
        }
        for text in ["react", "flat:history=x", "flat:window=3", "step_hrl:planner=true"] {
            assert_eq!(text.parse::<AgentSpec>(), Err(format!("unknown agent `{text}`")));
        }
    }
}
