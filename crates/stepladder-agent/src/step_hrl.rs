//! The STEP-HRL agent (arXiv:2604.05808; docs/spec/algorithms.md 2.4): planner, executor and progress writer take turns.
//! Every prompt shows one augmented step (subtask, short progress text, observation) and never the history.
//!
//! ```text
//! observe ─► plan ─► execute ─► act ─► write progress ─► execute … until the executor's flag is True ─► plan …
//! ```
//! Progress is `None` at the start of every subtask; the last progress text of a subtask goes to the next planner call.
//! After a terminal step the agent requests no progress text. After a truncation it does: the text belongs to the sample
//! that bootstraps (docs/spec/algorithms.md 3.1, profile `fixed`).

use stepladder_core::query::NO_PROGRESS;
use stepladder_core::reply::{Profile, clean_progress, parse_action_done, remember};
use stepladder_core::trace::{Subtask, TraceStep, Turn};
use stepladder_core::{End, Observation, Query, Start, Step};

use crate::agent::{Agent, Want};

/// Content of the progress slot of STEP-HRL's prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProgressSlot {
    /// The text of the progress writer.
    #[default]
    Written,
    /// The actions of the subtask with their answers, without a progress writer (as GLIDER, arXiv:2505.19761).
    History,
    /// Ablation: always [`NO_PROGRESS`].
    Empty,
}

/// Options of STEP-HRL; the defaults are the published ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepHrlOptions {
    /// Whether a planner issues subtasks. Without one (ablation) the task is the only subtask of the episode.
    pub planner: bool,
    /// Content of the progress slot.
    pub progress: ProgressSlot,
}

impl Default for StepHrlOptions {
    fn default() -> Self {
        Self { planner: true, progress: ProgressSlot::default() }
    }
}

/// Builds the planner prompt that encodes the outcome of an episode: the progress slot holds `outcome`, all other slots
/// are empty (docs/spec/algorithms.md 3.1).
pub fn outcome_prompt(outcome: &str) -> Query {
    Query::Planner {
        task: String::new(),
        earlier: Vec::new(),
        progress: outcome.to_owned(),
        observation: Observation { feedback: String::new(), context: String::new() },
    }
}

#[derive(Debug, Default)]
enum Waiting {
    #[default]
    Start,
    Planner,
    Executor,
    Step(Pending),
    Progress,
    Nothing,
}

#[derive(Debug)]
struct Pending {
    turn: Turn,
    action: String,
    finished: bool,
    unparsable: bool,
    substituted: bool,
}

/// One episode of STEP-HRL.
#[derive(Debug, Default)]
pub struct StepHrl {
    options: StepHrlOptions,
    waiting: Waiting,
    task: String,
    context: String,
    feedback: String,
    progress: String,
    issued: Vec<String>,
    subtasks: Vec<Subtask>,
    over: bool,
}

impl StepHrl {
    /// Creates an agent with these options.
    pub fn new(options: StepHrlOptions) -> Self {
        Self { options, ..Self::default() }
    }

    fn observation(&self) -> Observation {
        Observation { feedback: self.feedback.clone(), context: self.context.clone() }
    }

    fn ask_planner(&mut self) -> Want {
        if !self.options.planner {
            if self.issued.is_empty() {
                self.begin(self.task.clone(), None);
            }
            return self.ask_executor();
        }
        self.waiting = Waiting::Planner;
        Want::Reply(Query::Planner {
            task: self.task.clone(),
            earlier: self.issued.clone(),
            progress: self.progress.clone(),
            observation: self.observation(),
        })
    }

    fn begin(&mut self, text: String, turn: Option<Turn>) {
        self.issued.push(text.clone());
        self.subtasks.push(Subtask { text, turn, steps: Vec::new() });
        self.progress = NO_PROGRESS.to_owned();
    }

    fn ask_executor(&mut self) -> Want {
        self.waiting = Waiting::Executor;
        Want::Reply(Query::Executor {
            subtask: self.issued.last().cloned().unwrap_or_default(),
            observation: self.observation(),
            progress: self.progress.clone(),
        })
    }

    fn finish(&mut self) -> Want {
        self.waiting = Waiting::Nothing;
        Want::Finished
    }

    fn on_progress(&mut self, turn: Turn) -> Want {
        let written = clean_progress(&turn.reply);
        if !written.is_empty() {
            self.progress = written;
        }
        if let Some(step) = self.subtasks.last_mut().and_then(|subtask| subtask.steps.last_mut()) {
            step.progress = Some(self.progress.clone());
            step.progress_turn = Some(turn);
        }
        self.go_on()
    }

    /// Continues after a step and, where one was requested, its progress text.
    fn go_on(&mut self) -> Want {
        let finished =
            self.subtasks.last().and_then(|subtask| subtask.steps.last()).is_some_and(|step| step.finished);
        if self.over {
            self.finish()
        } else if finished {
            self.ask_planner()
        } else {
            self.ask_executor()
        }
    }
}

impl Agent for StepHrl {
    fn start(&mut self, start: &Start) -> Want {
        let options = self.options;
        *self = Self::new(options);
        self.task = start.task.clone();
        let Observation { feedback, context } = Observation::first(start);
        (self.feedback, self.context) = (feedback, context);
        self.progress = NO_PROGRESS.to_owned();
        self.ask_planner()
    }

    fn on_reply(&mut self, turn: Turn) -> Want {
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Planner => {
                self.begin(turn.reply.trim().to_owned(), Some(turn));
                self.ask_executor()
            }
            Waiting::Executor => {
                let read = parse_action_done(&turn.reply, Profile::Fixed);
                let action = read.action.clone();
                self.waiting = Waiting::Step(Pending {
                    turn,
                    action: read.action,
                    finished: read.finished,
                    unparsable: read.unparsable,
                    substituted: false,
                });
                Want::Act(action)
            }
            Waiting::Progress => self.on_progress(turn),
            other => {
                self.waiting = other;
                Want::Finished
            }
        }
    }

    fn substitute(&mut self, action: &str) {
        if let Waiting::Step(pending) = &mut self.waiting {
            pending.action = action.to_owned();
            pending.substituted = true;
        }
    }

    fn on_step(&mut self, step: &Step) -> Want {
        let Waiting::Step(pending) = std::mem::replace(&mut self.waiting, Waiting::Nothing) else {
            return Want::Finished;
        };
        let label = pending.substituted.then(|| pending.turn.reply.clone());
        let action = pending.action.clone();
        let mut recorded =
            TraceStep::new(pending.turn, pending.action, pending.finished, pending.unparsable, step);
        recorded.expert = label;
        if let Some(context) = &step.context {
            self.context.clone_from(context);
        }
        if self.options.progress == ProgressSlot::History {
            self.progress = remember(&self.progress, &action, &step.observation);
            recorded.progress = Some(self.progress.clone());
        }
        let query = Query::Progress {
            subtask: self.issued.last().cloned().unwrap_or_default(),
            progress: self.progress.clone(),
            action,
            observation: Observation { feedback: step.observation.clone(), context: self.context.clone() },
        };
        self.feedback = step.observation.clone();
        if let Some(subtask) = self.subtasks.last_mut() {
            subtask.steps.push(recorded);
        }
        self.over = step.end.is_some();
        if step.end == Some(End::Terminated) {
            return self.finish();
        }
        if self.options.progress != ProgressSlot::Written {
            return self.go_on();
        }
        self.waiting = Waiting::Progress;
        Want::Reply(query)
    }

    fn trace(&mut self) -> Vec<Subtask> {
        std::mem::take(&mut self.subtasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::Role;

    fn turn(role: Role, reply: &str) -> Turn {
        Turn::said(role, reply)
    }

    fn step(observation: &str, end: Option<End>) -> Step {
        Step {
            observation: observation.to_owned(),
            reward: 0.0,
            won: false,
            unknown_action: false,
            context: None,
            end,
        }
    }

    fn begin() -> (StepHrl, Want) {
        let mut agent = StepHrl::default();
        let want = agent.start(&Start {
            text: "Welcome.".into(),
            task: "do it".into(),
            context: "A room.".into(),
            family: "toy".into(),
        });
        (agent, want)
    }

    fn progress_of(want: &Want) -> String {
        match want {
            Want::Reply(
                Query::Planner { progress, .. }
                | Query::Executor { progress, .. }
                | Query::Progress { progress, .. },
            ) => progress.clone(),
            other => panic!("no prompt: {other:?}"),
        }
    }

    #[test]
    fn progress_starts_as_none_and_is_forwarded_at_the_end_of_a_subtask() {
        let (mut agent, want) = begin();
        assert_eq!(progress_of(&want), "None");
        let want = agent.on_reply(turn(Role::Planner, "find it"));
        assert_eq!(progress_of(&want), "None");
        let want = agent.on_reply(turn(Role::Executor, "go; False"));
        assert_eq!(want, Want::Act("go".into()));
        let want = agent.on_step(&step("You go.", None));
        assert!(matches!(&want, Want::Reply(Query::Progress { action, observation, .. })
            if action == "go" && observation.feedback == "You go."));
        let want = agent.on_reply(turn(Role::Progress, "been there || [Checked: ]"));
        assert_eq!(progress_of(&want), "been there");
        agent.on_reply(turn(Role::Executor, "take; True"));
        agent.on_step(&step("Taken.", None));
        let want = agent.on_reply(turn(Role::Progress, "have it"));
        let Want::Reply(Query::Planner { earlier, progress, observation, .. }) = &want else {
            panic!("the planner must be asked after a finished subtask, got {want:?}")
        };
        assert_eq!((earlier.as_slice(), progress.as_str()), (["find it".to_owned()].as_slice(), "have it"));
        assert_eq!(observation.text(), "Taken. A room.");
        let want = agent.on_reply(turn(Role::Planner, "use it"));
        assert_eq!(progress_of(&want), "None");
    }

    #[test]
    fn a_terminal_step_asks_for_no_progress_but_a_truncated_one_does() {
        for (end, asked) in [(End::Terminated, false), (End::Truncated, true)] {
            let (mut agent, _) = begin();
            agent.on_reply(turn(Role::Planner, "find it"));
            agent.on_reply(turn(Role::Executor, "go; True"));
            let want = agent.on_step(&step("The end.", Some(end)));
            assert_eq!(matches!(want, Want::Reply(Query::Progress { .. })), asked);
            if asked {
                assert_eq!(agent.on_reply(turn(Role::Progress, "cut off")), Want::Finished);
            }
            let trace = agent.trace();
            assert_eq!(trace[0].steps[0].progress.is_some(), asked);
        }
    }

    #[test]
    fn an_unparsable_reply_costs_a_step_and_an_empty_progress_keeps_the_old_one() {
        let (mut agent, _) = begin();
        agent.on_reply(turn(Role::Planner, "find it"));
        let want = agent.on_reply(turn(Role::Executor, "I do not know"));
        assert_eq!(want, Want::Act("None".into()));
        agent.on_step(&step("Nothing happens.", None));
        let want = agent.on_reply(turn(Role::Progress, "  "));
        assert_eq!(progress_of(&want), "None");
        assert!(agent.trace()[0].steps[0].unparsable);
    }

    #[test]
    fn a_substituted_action_keeps_the_flag_of_the_reply() {
        let (mut agent, _) = begin();
        agent.on_reply(turn(Role::Planner, "find it"));
        agent.on_reply(turn(Role::Executor, "take it; True"));
        agent.substitute("look");
        agent.on_step(&step("You see nothing.", None));
        let want = agent.on_reply(turn(Role::Progress, "looked"));
        assert!(matches!(want, Want::Reply(Query::Planner { .. })));
        let trace = agent.trace();
        let step = &trace[0].steps[0];
        assert_eq!((step.action.as_str(), step.expert.as_deref()), ("look", Some("take it; True")));
    }

    #[test]
    fn without_a_planner_the_task_is_the_only_subtask() {
        let mut agent = StepHrl::new(StepHrlOptions { planner: false, ..Default::default() });
        let start = Start {
            text: String::new(),
            task: "do it".into(),
            context: String::new(),
            family: String::new(),
        };
        let mut want = agent.start(&start);
        for flag in ["True", "False"] {
            assert!(matches!(&want, Want::Reply(Query::Executor { subtask, .. }) if subtask == "do it"));
            agent.on_reply(turn(Role::Executor, &format!("go; {flag}")));
            agent.on_step(&step("You go.", None));
            want = agent.on_reply(turn(Role::Progress, "went"));
            assert_eq!(progress_of(&want), "went");
        }
        let trace = agent.trace();
        assert_eq!((trace.len(), trace[0].turn.is_none(), trace[0].steps.len()), (1, true, 2));
    }

    #[test]
    fn without_progress_none_is_asked_for() {
        let mut agent = StepHrl::new(StepHrlOptions { progress: ProgressSlot::Empty, ..Default::default() });
        let start = Start {
            text: String::new(),
            task: "do it".into(),
            context: String::new(),
            family: String::new(),
        };
        agent.start(&start);
        agent.on_reply(turn(Role::Planner, "find it"));
        agent.on_reply(turn(Role::Executor, "go; False"));
        let want = agent.on_step(&step("You go.", None));
        assert!(matches!(want, Want::Reply(Query::Executor { .. })));
        assert_eq!(progress_of(&want), "None");
        agent.on_reply(turn(Role::Executor, "take; True"));
        let want = agent.on_step(&step("Taken.", None));
        assert!(matches!(want, Want::Reply(Query::Planner { .. })));
        agent.on_reply(turn(Role::Planner, "use it"));
        agent.on_reply(turn(Role::Executor, "use; True"));
        assert_eq!(agent.on_step(&step("The end.", Some(End::Truncated))), Want::Finished);
    }

    #[test]
    fn a_history_fills_the_slot_without_a_progress_writer() {
        let options = StepHrlOptions { progress: ProgressSlot::History, ..Default::default() };
        let mut agent = StepHrl::new(options);
        agent.start(&Start {
            text: String::new(),
            task: "do it".into(),
            context: String::new(),
            family: String::new(),
        });
        agent.on_reply(turn(Role::Planner, "find it"));
        agent.on_reply(turn(Role::Executor, "go; False"));
        let want = agent.on_step(&step("You go.", None));
        assert!(matches!(want, Want::Reply(Query::Executor { .. })));
        assert_eq!(progress_of(&want), "go: You go.");
        agent.on_reply(turn(Role::Executor, "take; True"));
        let want = agent.on_step(&step("Taken.", None));
        assert!(matches!(want, Want::Reply(Query::Planner { .. })));
        assert_eq!(progress_of(&want), "go: You go. | take: Taken.");
        let want = agent.on_reply(turn(Role::Planner, "use it"));
        assert_eq!(progress_of(&want), "None");
        assert_eq!(agent.trace()[0].steps[1].progress.as_deref(), Some("go: You go. | take: Taken."));
    }
}
