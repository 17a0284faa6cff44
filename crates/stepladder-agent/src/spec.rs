//! Specification of an agent: its kind, and its ablations.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;

use stepladder_core::Role;

use crate::agent::Agent;
use crate::factory::AgentFactory;
use crate::flat::Flat;
use crate::himac::{
    Blueprint, HISTORY, Himac, HimacOptions, Limits, MAX_IDLE, MAX_SUBGOALS, MIN_SUBGOAL_STEPS, Numbers, Sees,
};
use crate::step_hrl::{ProgressSlot, StepHrl, StepHrlOptions};

stepladder_core::choices! {
    /// The kinds of agent in this crate.
    pub enum AgentKind {
        /// Planner, executor and progress writer (STEP-HRL).
        StepHrl = "step_hrl",
        /// History-conditioned: one role sees the task and all earlier actions and observations.
        Flat = "flat",
        /// Macro and micro: a blueprint, then actions towards its active sub-goal (HiMAC).
        Himac = "himac",
    }
}

/// Kind of an agent with its ablations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AgentSpec {
    /// Kind of the agent.
    pub kind: AgentKind,
    /// Number of latest pairs that the prompt shows. Flat: `None` shows all. HiMAC: pairs of the segment; `None` shows
    /// [`crate::himac::HISTORY`].
    pub history: Option<usize>,
    /// STEP-HRL: whether a planner issues subtasks. Without one, the task itself is the only subtask.
    pub planner: bool,
    /// STEP-HRL: content of the progress slot of its prompts.
    pub progress: ProgressSlot,
    /// HiMAC: whether a sub-goal ends when a reply declares it done. Otherwise each has a fixed number of steps.
    pub sub_done: bool,
    /// HiMAC: maximum number of sub-goals of a blueprint (K_max), at least 1; default [`MAX_SUBGOALS`].
    pub max_subgoals: usize,
    /// HiMAC: number of consecutive replies that only declare a sub-goal done, of which the last counts as invalid; at
    /// least 1; default [`MAX_IDLE`].
    pub max_idle: u32,
    /// HiMAC with `sub_done`: minimum step budget of a sub-goal, at least 1; default [`MIN_SUBGOAL_STEPS`].
    pub min_subgoal_steps: u32,
    /// HiMAC: what the micro role's prompt shows besides its segment and the observation.
    pub sees: Sees,
    /// HiMAC: which numbers of things the sub-goals of cloned blueprints keep.
    pub numbers: Numbers,
}

impl From<AgentKind> for AgentSpec {
    /// Returns the agent without ablations.
    fn from(kind: AgentKind) -> Self {
        Self {
            kind,
            history: None,
            planner: true,
            progress: ProgressSlot::Written,
            sub_done: true,
            max_subgoals: MAX_SUBGOALS,
            max_idle: MAX_IDLE,
            min_subgoal_steps: MIN_SUBGOAL_STEPS,
            sees: Sees::All,
            numbers: Numbers::All,
        }
    }
}

impl fmt::Display for AgentSpec {
    /// Writes the kind and the options that differ from the defaults: `flat:history=4`,
    /// `step_hrl:planner=false,progress=false`.
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
            (self.max_subgoals != MAX_SUBGOALS).then(|| format!("max_subgoals={}", self.max_subgoals)),
            (self.max_idle != MAX_IDLE).then(|| format!("max_idle={}", self.max_idle)),
            (self.min_subgoal_steps != MIN_SUBGOAL_STEPS)
                .then(|| format!("min_subgoal_steps={}", self.min_subgoal_steps)),
            (self.sees != Sees::All).then(|| format!("sees={}", self.sees.name())),
            (self.numbers != Numbers::All).then(|| format!("numbers={}", self.numbers.name())),
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
        let kind = AgentKind::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(unknown)?;
        let mut spec = Self::from(kind);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("history", pairs)) => spec.history = Some(pairs.parse().map_err(|_| unknown())?),
                Some(("planner", "false")) => spec.planner = false,
                Some(("progress", "false")) => spec.progress = ProgressSlot::Empty,
                Some(("progress", "history")) => spec.progress = ProgressSlot::History,
                Some(("sub_done", "false")) => spec.sub_done = false,
                Some(("max_subgoals", count)) => {
                    spec.max_subgoals = count.parse::<NonZeroUsize>().map_err(|_| unknown())?.get();
                }
                Some(("max_idle", count)) => {
                    spec.max_idle = count.parse::<NonZeroU32>().map_err(|_| unknown())?.get();
                }
                Some(("min_subgoal_steps", count)) => {
                    spec.min_subgoal_steps = count.parse::<NonZeroU32>().map_err(|_| unknown())?.get();
                }
                Some(("sees", "segment")) => spec.sees = Sees::Segment,
                Some(("numbers", "known")) => spec.numbers = Numbers::Known,
                _ => return Err(unknown()),
            }
        }
        Ok(spec)
    }
}

impl AgentSpec {
    /// Whether the agent plays this role.
    pub fn has(self, role: Role) -> bool {
        match role {
            Role::Flat => self.kind == AgentKind::Flat,
            Role::Planner => self.kind == AgentKind::StepHrl && self.planner,
            Role::Executor => self.kind == AgentKind::StepHrl,
            Role::Progress => self.kind == AgentKind::StepHrl && self.progress == ProgressSlot::Written,
            Role::Macro | Role::Micro => self.kind == AgentKind::Himac,
        }
    }

    /// Whether each prompt of the agent begins with the previous one while the context does not change, so that one
    /// sequence can hold all of them.
    pub fn prompts_grow(self) -> bool {
        self.kind == AgentKind::Flat && self.history.is_none()
    }
}

impl AgentFactory for AgentSpec {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn make(&self, limit: u32, blueprint: &Blueprint) -> Box<dyn Agent> {
        match self.kind {
            AgentKind::Flat => Box::new(Flat::new(self.history)),
            AgentKind::StepHrl => {
                Box::new(StepHrl::new(StepHrlOptions { planner: self.planner, progress: self.progress }))
            }
            AgentKind::Himac => Box::new(Himac::new(HimacOptions {
                limit,
                history: self.history.unwrap_or(HISTORY),
                limits: match self.sub_done {
                    true => Limits::Declared { min_steps: self.min_subgoal_steps },
                    false => Limits::Even,
                },
                max_subgoals: self.max_subgoals,
                max_idle: self.max_idle,
                sees: self.sees,
                blueprint: blueprint.clone(),
            })),
        }
    }
}

impl AgentFactory for AgentKind {
    fn name(&self) -> &str {
        (*self).name()
    }

    fn make(&self, limit: u32, blueprint: &Blueprint) -> Box<dyn Agent> {
        AgentSpec::from(*self).make(limit, blueprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_back_from_its_text() {
        for kind in AgentKind::ALL {
            assert_eq!(kind.name().parse(), Ok(AgentSpec::from(*kind)));
        }
        let whole = AgentSpec::from(AgentKind::StepHrl);
        let flat = AgentSpec::from(AgentKind::Flat);
        let himac = AgentSpec::from(AgentKind::Himac);
        for (spec, text) in [
            (whole, "step_hrl"),
            (AgentSpec { history: Some(4), ..flat }, "flat:history=4"),
            (AgentSpec { progress: ProgressSlot::History, ..whole }, "step_hrl:progress=history"),
            (AgentSpec { sub_done: false, ..himac }, "himac:sub_done=false"),
            (AgentSpec { max_subgoals: 12, max_idle: 5, ..himac }, "himac:max_subgoals=12,max_idle=5"),
            (AgentSpec { min_subgoal_steps: 1, ..himac }, "himac:min_subgoal_steps=1"),
            (
                AgentSpec { sees: Sees::Segment, numbers: Numbers::Known, ..himac },
                "himac:sees=segment,numbers=known",
            ),
            (
                AgentSpec { planner: false, progress: ProgressSlot::Empty, ..whole },
                "step_hrl:planner=false,progress=false",
            ),
        ] {
            assert_eq!(spec.to_string(), text);
            assert_eq!(text.parse(), Ok(spec));
        }
        for text in ["react", "flat:history=x", "flat:window=3", "step_hrl:planner=true", "himac:max_idle=0"]
        {
            assert_eq!(text.parse::<AgentSpec>(), Err(format!("unknown agent `{text}`")));
        }
    }
}
