//! The prompt style of small models (design D7): short role tags, static part first so that prefixes can be shared, and
//! every text in the environment's compact encoding (design D12).
//!
//! ```text
//! planner    room <pl> task <s> g1 ; g2 <p> progress <o> feedback <r>
//! executor   room <ex> subtask <o> feedback <p> progress <r>
//! progress   room <pr> subtask <p> progress <a> action <o> feedback <r>
//! flat       room <fl> task <a> action <end> <o> feedback <a> action <end> <o> feedback <a>
//! macro      room <ma> task <o> feedback <r>                            reply: g1 ; g2
//! micro      room <mi> task ; g1 <g> g2 ; g3 <o> feedback <a> action <o> feedback <r>     reply: action, or action <done>
//! ```
//! Departures from spec/algorithms 2.2, listed in docs/deviations.md: markers instead of instruction sentences, the room
//! first, no room in the progress prompt where the answers say everything, no begin-of-sequence token. A flat prompt extends the previous one of its
//! episode word for word, so an episode packs into one sequence and a kept cache stays valid.

use std::sync::Arc;

use stepladder_core::query::NO_PROGRESS;
use stepladder_core::style::{END, PromptStyle};
use stepladder_core::{Query, Role};
use stepladder_env::Codec;

use stepladder_core::blueprint::{self, MicroReply};

const PLANNER: &str = "<pl>";
const EXECUTOR: &str = "<ex>";
const PROGRESS: &str = "<pr>";
const FLAT: &str = "<fl>";
const SUBTASKS: &str = "<s>";
const NEXT_SUBTASK: &str = ";";
const LOCAL: &str = "<p>";
const OBSERVATION: &str = "<o>";
const ACTION: &str = "<a>";
const REPLY: &str = "<r>";
const MACRO: &str = "<ma>";
const MICRO: &str = "<mi>";
/// Before the active sub-goal; the others follow [`NEXT_SUBTASK`].
const ACTIVE: &str = "<g>";
const DONE: &str = "<done>";

/// The compact style over one environment's codec.
#[derive(Clone)]
pub struct Compact {
    codec: Arc<dyn Codec>,
}

impl Compact {
    /// The style for texts of the environment behind `codec`.
    pub fn new(codec: Arc<dyn Codec>) -> Self {
        Self { codec }
    }

    fn progress(&self, text: &str) -> String {
        // The word for "nothing yet" costs no token: the empty slot says it.
        if text == NO_PROGRESS { String::new() } else { self.codec.encode(text) }
    }
}

/// Joins the non-empty parts with single spaces.
fn join(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(part);
    }
    text
}

impl PromptStyle for Compact {
    fn id(&self) -> String {
        format!("compact/1+{}", self.codec.id())
    }

    fn prompt(&self, query: &Query) -> String {
        let encode = |text: &str| self.codec.encode(text);
        match query {
            Query::Planner { task, earlier, progress, observation } => {
                let earlier: Vec<String> = earlier.iter().map(|subtask| encode(subtask)).collect();
                join(&[
                    &encode(&observation.context),
                    PLANNER,
                    &encode(task),
                    SUBTASKS,
                    &earlier.join(&format!(" {NEXT_SUBTASK} ")),
                    LOCAL,
                    &self.progress(progress),
                    OBSERVATION,
                    &encode(&observation.feedback),
                    REPLY,
                ])
            }
            Query::Executor { subtask, observation, progress } => join(&[
                &encode(&observation.context),
                EXECUTOR,
                &encode(subtask),
                OBSERVATION,
                &encode(&observation.feedback),
                LOCAL,
                &self.progress(progress),
                REPLY,
            ]),
            Query::Progress { subtask, progress, action, observation } => join(&[
                &if self.codec.answers_lie_around() { encode(&observation.context) } else { String::new() },
                PROGRESS,
                &encode(subtask),
                LOCAL,
                &self.progress(progress),
                ACTION,
                &encode(action),
                OBSERVATION,
                &encode(&observation.feedback),
                REPLY,
            ]),
            Query::Flat { task, context, history } => {
                let mut text = join(&[&encode(context), FLAT, &encode(task)]);
                for (action, answer) in history {
                    let acted = if action.is_empty() { ["", "", ""] } else { [ACTION, &encode(action), END] };
                    for part in acted.into_iter().chain([OBSERVATION, &encode(answer)]) {
                        if !part.is_empty() {
                            text.push(' ');
                            text.push_str(part);
                        }
                    }
                }
                text.push(' ');
                text.push_str(ACTION);
                text
            }
            Query::Macro { task, observation } => join(&[
                &encode(&observation.context),
                MACRO,
                &encode(task),
                OBSERVATION,
                &encode(&observation.feedback),
                REPLY,
            ]),
            Query::Micro { task, blueprint, active, history, observation } => {
                let mut text = join(&[&encode(&observation.context), MICRO, &encode(task)]);
                let mut add = |part: &str| {
                    if !part.is_empty() {
                        text.push(' ');
                        text.push_str(part);
                    }
                };
                for (index, subgoal) in blueprint.iter().enumerate() {
                    add(if index == *active { ACTIVE } else { NEXT_SUBTASK });
                    add(&encode(subgoal));
                }
                for (seen, action) in history {
                    [OBSERVATION, &encode(seen), ACTION, &encode(action)].into_iter().for_each(&mut add);
                }
                [OBSERVATION, &encode(&observation.feedback), REPLY].into_iter().for_each(&mut add);
                text
            }
        }
    }

    fn encode_reply(&self, role: Role, native: &str) -> String {
        match role {
            Role::Macro => {
                let subgoals = blueprint::parse(native).unwrap_or_default();
                let subgoals: Vec<String> =
                    subgoals.iter().map(|subgoal| self.codec.encode(subgoal)).collect();
                subgoals.join(&format!(" {NEXT_SUBTASK} "))
            }
            Role::Micro => {
                let MicroReply { action, done } = blueprint::parse_micro(native);
                let action = self.codec.encode(&action.unwrap_or_default());
                join(&[&action, if done { DONE } else { "" }])
            }
            _ => self.codec.encode(native),
        }
    }

    fn decode_reply(&self, role: Role, written: &str) -> String {
        match role {
            Role::Macro => {
                let words: Vec<&str> = written.split_whitespace().collect();
                let parts = words.split(|word| *word == NEXT_SUBTASK).filter(|part| !part.is_empty());
                let subgoals: Vec<String> = parts.map(|part| self.codec.decode(&part.join(" "))).collect();
                if subgoals.is_empty() { String::new() } else { blueprint::write(&subgoals) }
            }
            Role::Micro => {
                let words: Vec<&str> = written.split_whitespace().collect();
                let done = words.last() == Some(&DONE);
                let action = self.codec.decode(&words[..words.len() - usize::from(done)].join(" "));
                blueprint::write_micro((!action.is_empty()).then_some(&action), done)
            }
            _ => self.codec.decode(written),
        }
    }

    fn factors(&self, word: &str) -> Vec<String> {
        self.codec.factors(word)
    }

    fn markers(&self) -> Vec<String> {
        [PLANNER, EXECUTOR, PROGRESS, FLAT, SUBTASKS, NEXT_SUBTASK, LOCAL, OBSERVATION, ACTION, REPLY]
            .into_iter()
            .chain([MACRO, MICRO, ACTIVE, DONE])
            .map(str::to_owned)
            .chain(self.codec.words())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stepladder_core::Observation;
    use stepladder_env::codec::Plain;

    fn style() -> Compact {
        Compact::new(Arc::new(Plain))
    }

    #[test]
    fn each_role_has_its_layout() {
        let observation = Observation { feedback: "fb".into(), context: "room".into() };
        let show = |query: Query| style().prompt(&query);
        assert_eq!(
            show(Query::Planner {
                task: "t".into(),
                earlier: vec!["g1".into(), "g2".into()],
                progress: "None".into(),
                observation: observation.clone(),
            }),
            "room <pl> t <s> g1 ; g2 <p> <o> fb <r>"
        );
        assert_eq!(
            show(Query::Executor {
                subtask: "g".into(),
                observation: observation.clone(),
                progress: "p".into()
            }),
            "room <ex> g <o> fb <p> p <r>"
        );
        assert_eq!(
            show(Query::Progress {
                subtask: "g".into(),
                progress: "p".into(),
                action: "a".into(),
                observation
            }),
            "<pr> g <p> p <a> a <o> fb <r>"
        );
    }

    proptest! {
        #[test]
        fn a_flat_prompt_extends_the_previous_one(
            history in proptest::collection::vec(("[a-z]{1,5}( [a-z]{1,5})?", "[a-z]{1,5}( [a-z]{1,5})?"), 1..6)
        ) {
            let query = |pairs: &[(String, String)]| Query::Flat {
                task: "t".into(), context: "room".into(), history: pairs.to_vec(),
            };
            for end in 1..=history.len() {
                let before = style().prompt(&query(&history[..end - 1]));
                let after = style().prompt(&query(&history[..end]));
                let reply = style().encode_reply(Role::Flat, &history[end - 1].0);
                let expected = format!("{before} {reply} {END} ");
                prop_assert!(after.starts_with(&expected), "{after} / {expected}");
            }
        }
    }
}
