//! The HiMAC agent (arXiv:2603.00977; docs/spec/algorithms.md 5): the macro role writes a blueprint once; the micro role
//! acts towards the active sub-goal and ends it with `<sub_done>`.
//!
//! The prompt of an action shows observations and actions since the active sub-goal began, and nothing before: the temporal
//! mask of the method.

mod follow;
mod numbers;
mod pointer;

pub use follow::{Followed, followed, given};
pub use numbers::{Numbers, without_unknown};
pub use pointer::{Effect, Limits, Pointer};

use stepladder_core::blueprint::{self, parse_micro};
use stepladder_core::reply::NO_ACTION;
use stepladder_core::trace::{Subtask, TraceStep, Turn};
use stepladder_core::{Observation, Query, Role, Start, Step};

use crate::agent::{Agent, Want};

/// Default number of pairs of a segment that the micro prompt shows (docs/spec/algorithms.md 5.2).
pub const HISTORY: usize = 5;
/// Default of K_max, the maximum number of sub-goals of a blueprint (docs/spec/algorithms.md 5.1).
pub const MAX_SUBGOALS: usize = 8;
/// Default number of consecutive replies that only declare a sub-goal done, of which the last counts as invalid
/// (docs/spec/algorithms.md 5.2).
pub const MAX_IDLE: u32 = 3;
/// Default of the minimum step budget of a sub-goal that a reply can end (docs/spec/algorithms.md 5.2).
pub const MIN_SUBGOAL_STEPS: u32 = 4;
/// Characters of an unusable reply that are sent to the environment (docs/spec/algorithms.md 4).
const RAW: usize = 64;

/// Source of an episode's blueprint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Blueprint {
    /// The agent writes it; where it cannot be parsed, the task itself is the only sub-goal.
    #[default]
    Own,
    /// The agent writes it; where it cannot be parsed, the episode ends before its first step.
    MustParse,
    /// These sub-goals; for an empty list the task itself is the only sub-goal.
    Follow(Vec<String>),
}

stepladder_core::choices! {
    /// What the micro role's prompt shows besides its segment and the observation.
    pub enum Sees {
        /// The task and the whole blueprint.
        All = "all",
        /// The active sub-goal alone, as STEP-HRL's executor.
        Segment = "segment",
    }
}

/// Options of HiMAC for one episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HimacOptions {
    /// Environment steps per episode (T_max).
    pub limit: u32,
    /// Number of pairs of a segment that the micro prompt shows.
    pub history: usize,
    /// Lengths of the sub-goals.
    pub limits: Limits,
    /// Maximum number of sub-goals of a blueprint (K_max); further ones are dropped.
    pub max_subgoals: usize,
    /// Number of consecutive replies that only declare a sub-goal done, of which the last counts as invalid.
    pub max_idle: u32,
    /// What the micro role's prompt shows besides its segment and the observation.
    pub sees: Sees,
    /// Source of the blueprint.
    pub blueprint: Blueprint,
}

struct Pending {
    turn: Turn,
    action: String,
    done: bool,
    invalid: bool,
    substituted: bool,
}

/// One episode of the HiMAC agent.
pub struct Himac {
    options: HimacOptions,
    task: String,
    observation: Observation,
    subgoals: Vec<String>,
    pointer: Pointer,
    /// (observation, action) pairs since the active sub-goal began.
    history: Vec<(String, String)>,
    idle: Vec<Turn>,
    pending: Option<Pending>,
    subtasks: Vec<Subtask>,
}

impl Himac {
    /// Creates an agent for one episode.
    pub fn new(options: HimacOptions) -> Self {
        Self {
            pointer: Pointer::new(1, options.limit, options.limits.clone(), options.max_idle),
            options,
            task: String::new(),
            observation: Observation { feedback: String::new(), context: String::new() },
            subgoals: Vec::new(),
            history: Vec::new(),
            idle: Vec::new(),
            pending: None,
            subtasks: Vec::new(),
        }
    }

    fn follow(&mut self, subgoals: Vec<String>, turn: Option<Turn>) -> Want {
        let HimacOptions { limit, limits, max_idle, .. } = &self.options;
        self.pointer = Pointer::new(subgoals.len(), *limit, limits.clone(), *max_idle);
        self.subgoals = subgoals;
        self.begin(turn);
        self.ask()
    }

    fn begin(&mut self, turn: Option<Turn>) {
        let text = self.subgoals[self.pointer.active()].clone();
        self.subtasks.push(Subtask { text, turn, steps: Vec::new() });
        self.history.clear();
    }

    fn ask(&self) -> Want {
        let hidden = self.history.len().saturating_sub(self.options.history);
        let active = self.pointer.active();
        let (task, blueprint, active) = match self.options.sees {
            Sees::All => (self.task.clone(), self.subgoals.clone(), active),
            Sees::Segment => (String::new(), vec![self.subgoals[active].clone()], 0),
        };
        Want::Reply(Query::Micro {
            task,
            blueprint,
            active,
            history: self.history[hidden..].to_vec(),
            observation: self.observation.clone(),
        })
    }

    fn advance(&mut self, done: bool) {
        let (moved, _) = self.pointer.advance(done);
        if moved {
            self.begin(None);
        }
    }

    fn on_micro(&mut self, turn: Turn) -> Want {
        let read = parse_micro(&turn.reply);
        let effect = self.pointer.reply(read.action.is_some(), read.done);
        if effect == Effect::Idle {
            self.idle.push(turn);
            self.advance(true);
            return self.ask();
        }
        let raw = || turn.reply.trim().chars().take(RAW).collect::<String>();
        let action = read.action.unwrap_or_else(raw);
        let action = if action.is_empty() { NO_ACTION.to_owned() } else { action };
        self.pending = Some(Pending {
            turn,
            action: action.clone(),
            done: read.done,
            invalid: effect == Effect::Invalid,
            substituted: false,
        });
        Want::Act(action)
    }
}

impl Agent for Himac {
    fn start(&mut self, start: &Start) -> Want {
        *self = Self::new(self.options.clone());
        self.task.clone_from(&start.task);
        self.observation = Observation::first(start);
        match self.options.blueprint.clone() {
            Blueprint::Follow(subgoals) => {
                let subgoals = if subgoals.is_empty() { vec![self.task.clone()] } else { subgoals };
                self.follow(subgoals, None)
            }
            _ => Want::Reply(Query::Macro { task: self.task.clone(), observation: self.observation.clone() }),
        }
    }

    fn on_reply(&mut self, turn: Turn) -> Want {
        if turn.role != Role::Macro {
            return self.on_micro(turn);
        }
        let parsed = blueprint::parse(&turn.reply, self.options.max_subgoals);
        if parsed.is_none() && self.options.blueprint == Blueprint::MustParse {
            self.subtasks.push(Subtask { text: String::new(), turn: Some(turn), steps: Vec::new() });
            return Want::Finished;
        }
        // docs/spec/algorithms.md 5.8 and 7: without a readable blueprint the task is the only sub-goal.
        self.follow(parsed.unwrap_or_else(|| vec![self.task.clone()]), Some(turn))
    }

    fn substitute(&mut self, action: &str) {
        if let Some(pending) = &mut self.pending {
            action.clone_into(&mut pending.action);
            pending.substituted = true;
        }
    }

    fn on_step(&mut self, step: &Step) -> Want {
        let Some(Pending { turn, action, done, invalid, substituted }) = self.pending.take() else {
            return Want::Finished;
        };
        let label = substituted.then(|| turn.reply.clone());
        let recorded = TraceStep {
            idle: std::mem::take(&mut self.idle),
            expert: label,
            ..TraceStep::new(turn, action.clone(), done, invalid, step)
        };
        if let Some(subtask) = self.subtasks.last_mut() {
            subtask.steps.push(recorded);
        }
        let seen = std::mem::replace(&mut self.observation.feedback, step.observation.clone());
        if let Some(context) = &step.context {
            self.observation.context.clone_from(context);
        }
        self.history.push((seen, action));
        if step.end.is_some() {
            return Want::Finished;
        }
        self.advance(done);
        self.ask()
    }

    fn trace(&mut self) -> Vec<Subtask> {
        std::mem::take(&mut self.subtasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::End;

    fn turn(role: Role, reply: &str) -> Turn {
        Turn::said(role, reply)
    }

    fn play(options: HimacOptions, plan: Option<&str>, replies: &[&str]) -> (Vec<Query>, Vec<Subtask>) {
        let mut agent = Himac::new(options);
        let start =
            Start { text: "Board 0".into(), task: "t".into(), context: String::new(), family: "f".into() };
        let mut want = agent.start(&start);
        let mut asked = Vec::new();
        if let Some(plan) = plan {
            assert!(
                matches!(&want, Want::Reply(Query::Macro { observation, .. }) if observation.text() == "Board 0")
            );
            want = agent.on_reply(turn(Role::Macro, plan));
        }
        for (number, reply) in replies.iter().enumerate() {
            let Want::Reply(query) = want else { panic!("{want:?}") };
            asked.push(query);
            want = agent.on_reply(turn(Role::Micro, reply));
            if let Want::Act(_) = want {
                let end = (number + 1 == replies.len()).then_some(End::Truncated);
                let observation = format!("Board {}", number + 1);
                want = agent.on_step(&Step {
                    observation,
                    reward: -0.1,
                    won: false,
                    unknown_action: false,
                    context: None,
                    end,
                });
            }
        }
        assert_eq!(want, Want::Finished);
        (asked, agent.trace())
    }

    fn options() -> HimacOptions {
        HimacOptions {
            limit: 15,
            history: 1,
            limits: Limits::Declared { min_steps: MIN_SUBGOAL_STEPS },
            max_subgoals: MAX_SUBGOALS,
            max_idle: MAX_IDLE,
            sees: Sees::All,
            blueprint: Blueprint::Own,
        }
    }

    #[test]
    fn an_executor_that_sees_its_segment_reads_neither_task_nor_other_sub_goals() {
        let plan = blueprint::write(&["first", "second"]);
        let replies = ["<action>up</action> <sub_done>", "<action>left</action>", "<action>up</action>"];
        let asked = |sees| play(HimacOptions { sees, ..options() }, Some(&plan), &replies).0;
        let shown = |query: &Query| match query {
            Query::Micro { task, blueprint, active, history, .. } => {
                (task.clone(), blueprint.join(" "), *active, history.len())
            }
            _ => panic!(),
        };
        let own = |text: &str, seen| (String::new(), text.to_owned(), 0, seen);
        let segment: Vec<_> = asked(Sees::Segment).iter().map(shown).collect();
        assert_eq!(segment, [own("first", 0), own("second", 0), own("second", 1)]);
        let all = |active, seen| ("t".to_owned(), "first second".to_owned(), active, seen);
        let whole: Vec<_> = asked(Sees::All).iter().map(shown).collect();
        assert_eq!(whole, [all(0, 0), all(1, 0), all(1, 1)]);
    }

    #[test]
    fn the_prompt_shows_the_segment_only() {
        let plan = blueprint::write(&["first", "second"]);
        let replies =
            ["<action>up</action>", "<action>up</action> <sub_done>", "<action>left</action>", "mumble"];
        let (asked, subtasks) = play(options(), Some(&plan), &replies);
        let shown: Vec<(usize, usize)> = asked
            .iter()
            .map(|query| match query {
                Query::Micro { active, history, .. } => (*active, history.len()),
                _ => panic!(),
            })
            .collect();
        assert_eq!(shown, [(0, 0), (0, 1), (1, 0), (1, 1)]);
        let Query::Micro { history, observation, .. } = &asked[3] else { panic!() };
        assert_eq!((history[0].0.as_str(), history[0].1.as_str()), ("Board 2", "left"));
        assert_eq!(observation.feedback, "Board 3");
        assert_eq!(subtasks.iter().map(|subtask| subtask.steps.len()).collect::<Vec<_>>(), [2, 2]);
        assert!(subtasks[0].turn.is_some() && subtasks[1].turn.is_none());
        let last = &subtasks[1].steps[1];
        assert!(last.unparsable);
        assert_eq!(last.action, "mumble");
    }

    #[test]
    fn declaring_done_alone_costs_no_step_until_the_third_time() {
        let blueprint = Blueprint::Follow(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        let replies = ["<sub_done>", "<sub_done>", "<sub_done>", "<action>up</action>"];
        let (_, subtasks) = play(HimacOptions { blueprint, ..options() }, None, &replies);
        let steps: Vec<_> = subtasks.iter().flat_map(|subtask| &subtask.steps).collect();
        assert_eq!(steps.len(), 2);
        assert_eq!(
            (steps[0].idle.len(), steps[0].unparsable, steps[0].action.as_str()),
            (2, true, "<sub_done>")
        );
        assert!(subtasks.iter().all(|subtask| subtask.turn.is_none()));
    }

    #[test]
    fn the_limits_of_sub_goals_and_of_idle_replies_are_options() {
        let plan = blueprint::write(&["a", "b", "c"]);
        let replies = ["<sub_done>", "<action>up</action>"];
        let (asked, subtasks) =
            play(HimacOptions { max_subgoals: 2, max_idle: 1, ..options() }, Some(&plan), &replies);
        let Query::Micro { blueprint, .. } = &asked[0] else { panic!() };
        assert_eq!(*blueprint, ["a", "b"]);
        let steps: Vec<_> = subtasks.iter().flat_map(|subtask| &subtask.steps).collect();
        assert_eq!((steps.len(), steps[0].idle.len(), steps[0].unparsable), (2, 0, true));
    }

    #[test]
    fn a_plan_that_cannot_be_read_is_the_task() {
        let (asked, subtasks) = play(options(), Some("go on"), &["<action>up</action>"]);
        assert!(matches!(&asked[0], Query::Micro { blueprint, .. } if *blueprint == ["t".to_owned()]));
        assert_eq!(subtasks[0].text, "t");
    }
}
