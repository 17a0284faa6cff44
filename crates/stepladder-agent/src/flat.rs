//! The flat baseline (docs/spec/algorithms.md 6.6): one role reads the task and all earlier (action, answer) pairs and
//! replies with the next action.

use stepladder_core::reply::NO_ACTION;
use stepladder_core::trace::{Subtask, TraceStep, Turn};
use stepladder_core::{Observation, Query, Start, Step};

use crate::agent::{Agent, Want};

/// One episode of the flat agent.
#[derive(Debug, Default)]
pub struct Flat {
    shown: Option<usize>,
    task: String,
    context: String,
    history: Vec<(String, String)>,
    pending: Option<(Turn, String, bool, bool)>,
    steps: Vec<TraceStep>,
}

impl Flat {
    /// Creates an agent whose prompts show the last `shown` pairs; all pairs for `None`.
    pub fn new(shown: Option<usize>) -> Self {
        Self { shown, ..Self::default() }
    }

    fn ask(&self) -> Want {
        let hidden = self.shown.map_or(0, |shown| self.history.len().saturating_sub(shown));
        Want::Reply(Query::Flat {
            task: self.task.clone(),
            context: self.context.clone(),
            history: self.history[hidden..].to_vec(),
        })
    }
}

impl Agent for Flat {
    fn start(&mut self, start: &Start) -> Want {
        *self = Self { task: start.task.clone(), context: start.context.clone(), ..Self::new(self.shown) };
        let opening = Observation::first(start).feedback;
        if !opening.is_empty() {
            self.history.push((String::new(), opening));
        }
        self.ask()
    }

    fn on_reply(&mut self, turn: Turn) -> Want {
        // Like an executor's reply, it ends at the first line break: text after it is not part of the action.
        let text = turn.reply.trim_start().lines().next().unwrap_or_default().trim_end();
        let unparsable = text.is_empty();
        let action = if unparsable { NO_ACTION } else { text }.to_owned();
        self.pending = Some((turn, action.clone(), unparsable, false));
        Want::Act(action)
    }

    fn substitute(&mut self, action: &str) {
        if let Some(pending) = &mut self.pending {
            pending.1 = action.to_owned();
            pending.3 = true;
        }
    }

    fn on_step(&mut self, step: &Step) -> Want {
        let Some((turn, action, unparsable, substituted)) = self.pending.take() else {
            return Want::Finished;
        };
        self.history.push((action.clone(), step.observation.clone()));
        if let Some(context) = &step.context {
            self.context.clone_from(context);
        }
        let label = substituted.then(|| turn.reply.clone());
        let mut recorded = TraceStep::new(turn, action, false, unparsable, step);
        recorded.expert = label;
        self.steps.push(recorded);
        if step.end.is_some() { Want::Finished } else { self.ask() }
    }

    fn trace(&mut self) -> Vec<Subtask> {
        vec![Subtask { text: String::new(), turn: None, steps: std::mem::take(&mut self.steps) }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::{End, Role};

    #[test]
    fn the_prompt_grows_by_one_pair_per_step() {
        play(None, [0, 1, 2]);
    }

    #[test]
    fn a_limited_history_shows_the_latest_pairs_only() {
        play(Some(1), [0, 1, 1]);
    }

    #[test]
    fn a_reply_ends_at_the_first_line_break() {
        let start = Start { text: "W".into(), task: "t".into(), context: "room".into(), family: "f".into() };
        for (reply, action) in [
            ("\n  open drawer 1 \r\nThen I take the mug.\n", "open drawer 1"),
            ("look\n\nlook", "look"),
            (" \n \n", NO_ACTION),
        ] {
            let mut agent = Flat::new(None);
            agent.start(&start);
            assert_eq!(agent.on_reply(Turn::said(Role::Flat, reply)), Want::Act(action.to_owned()));
        }
    }

    fn play(shown: Option<usize>, expected: [usize; 3]) {
        let mut agent = Flat::new(shown);
        let start = Start { text: "W".into(), task: "t".into(), context: "room".into(), family: "f".into() };
        let mut want = agent.start(&start);
        for (number, pairs) in expected.into_iter().enumerate() {
            let Want::Reply(Query::Flat { history, .. }) = &want else { panic!("no prompt: {want:?}") };
            assert_eq!(history.len(), pairs);
            if let Some((latest, _)) = history.last() {
                assert_eq!(*latest, format!("go {}", number - 1));
            }
            let reply = Turn::said(Role::Flat, format!(" go {number}\n"));
            assert_eq!(agent.on_reply(reply), Want::Act(format!("go {number}")));
            let end = (number == 2).then_some(End::Truncated);
            let step = Step {
                observation: "ok".into(),
                reward: 0.0,
                won: false,
                unknown_action: false,
                context: None,
                end,
            };
            want = agent.on_step(&step);
        }
        assert_eq!(want, Want::Finished);
        assert_eq!(agent.trace()[0].steps.len(), 3);
    }
}
