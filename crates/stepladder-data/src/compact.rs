//! The prompt style of small models (docs/design.md D7): short role tags, the static part first so that prompts share
//! prefixes, and every text in the environment's compact encoding (docs/design.md D12).
//!
//! ```text
//! planner    room <pl> task <s> g1 ; g2 <p> progress <o> feedback <r>
//! executor   room <ex> subtask <o> feedback <p> progress <r>
//! progress   room <pr> subtask <p> progress <a> action <o> feedback <r>
//! flat       room <fl> task <a> action <end> <o> feedback <a> action <end> <o> feedback <a>
//! macro      room <ma> task <o> feedback <r>                            reply: g1 ; g2
//! micro      room <mi> task ; g1 <g> g2 ; g3 <o> feedback <a> action <o> feedback <r>     reply: action, or action <done>
//! ```
//! Escaping: a word of a text that equals a marker (`<end>`, `<r>`, `;`) gets a backslash after its first character (`<\end>`,
//! `;\`), and so does a word that already has backslashes there. So no text can end a slot, and every text can be decoded. The
//! backslash is inside the word because other readers of `tokenizer.json` also find `<end>` in the middle of a word. All other
//! words are those of the codec.
//!
//! Deviations from docs/spec/algorithms.md 2.2 (listed in docs/deviations.md): markers instead of instruction sentences, the
//! room first, no room in the progress prompt where the answers are complete, no begin-of-sequence token. A flat prompt
//! extends the previous one of its episode word for word, so that an episode packs into one sequence and a cache stays valid.

use std::sync::Arc;

use crate::tokenizer::{END, PAD, UNKNOWN};
use stepladder_core::blueprint::{self, MicroReply};
use stepladder_core::query::NO_PROGRESS;
use stepladder_core::{Codec, Query, Role};

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
/// Marker before the active sub-goal; the others follow [`NEXT_SUBTASK`].
const ACTIVE: &str = "<g>";
const DONE: &str = "<done>";
/// All markers of the style.
const MARKERS: [&str; 17] = [
    PLANNER,
    EXECUTOR,
    PROGRESS,
    FLAT,
    SUBTASKS,
    NEXT_SUBTASK,
    LOCAL,
    OBSERVATION,
    ACTION,
    REPLY,
    MACRO,
    MICRO,
    ACTIVE,
    DONE,
    END,
    PAD,
    UNKNOWN,
];
/// Inserted after the first character of a word that equals a marker.
const ESCAPE: char = '\\';

/// Whether a word equals a marker, apart from any number of [`ESCAPE`]s after its first character.
fn resembles_marker(word: &str) -> bool {
    let Some(first) = word.chars().next().filter(|first| ['<', ';'].contains(first)) else { return false };
    let rest = word[first.len_utf8()..].trim_start_matches(ESCAPE);
    MARKERS.iter().any(|marker| marker.strip_prefix(first) == Some(rest))
}

/// Replaces every word for which `change` returns another one; keeps white space.
fn each_word(text: String, change: impl Fn(&str) -> Option<String>) -> String {
    if !text.split_whitespace().any(resembles_marker) {
        return text;
    }
    let pieces = text.split_inclusive(char::is_whitespace).map(|piece| {
        let word = piece.trim_end();
        change(word).map_or_else(|| piece.to_owned(), |changed| changed + &piece[word.len()..])
    });
    pieces.collect()
}

/// Escapes the words of a text that resemble markers: no word of the result is a marker.
fn escaped(text: String) -> String {
    each_word(text, |word| resembles_marker(word).then(|| format!("{}{ESCAPE}{}", &word[..1], &word[1..])))
}

/// Inverse of [`escaped`].
fn unescaped(text: String) -> String {
    each_word(text, |word| {
        let rest = word.get(1..).filter(|_| resembles_marker(word))?.strip_prefix(ESCAPE)?;
        Some(format!("{}{rest}", &word[..1]))
    })
}

/// The compact style over one environment's codec.
#[derive(Clone)]
pub struct Compact {
    codec: Arc<dyn Codec>,
}

impl Compact {
    /// Creates the style for texts of the environment of `codec`.
    pub fn new(codec: Arc<dyn Codec>) -> Self {
        Self { codec }
    }

    fn encode(&self, text: &str) -> String {
        escaped(self.codec.encode(text))
    }

    fn decode(&self, written: &str) -> String {
        self.codec.decode(&unescaped(written.to_owned()))
    }

    fn progress(&self, text: &str) -> String {
        // An empty slot stands for the absence of a text and costs no token.
        if text == NO_PROGRESS { String::new() } else { self.encode(text) }
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

impl Compact {
    /// Returns the name of style and codec, with a version that increases when the same query would be rendered differently.
    pub(crate) fn id(&self) -> String {
        format!("compact/1+{}", self.codec.id())
    }

    /// Renders a query.
    pub fn prompt(&self, query: &Query) -> String {
        let encode = |text: &str| self.encode(text);
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
                &if self.codec.progress_needs_context() {
                    encode(&observation.context)
                } else {
                    String::new()
                },
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

    /// Encodes a native reply as the model should write it.
    pub(crate) fn encode_reply(&self, role: Role, native: &str) -> String {
        match role {
            Role::Macro => {
                let subgoals = blueprint::parse(native, usize::MAX).unwrap_or_default();
                let subgoals: Vec<String> = subgoals.iter().map(|subgoal| self.encode(subgoal)).collect();
                subgoals.join(&format!(" {NEXT_SUBTASK} "))
            }
            Role::Micro => {
                let MicroReply { action, done } = blueprint::parse_micro(native);
                let action = self.encode(&action.unwrap_or_default());
                join(&[&action, if done { DONE } else { "" }])
            }
            _ => self.encode(native),
        }
    }

    /// Decodes a reply of the model to native text.
    pub(crate) fn decode_reply(&self, role: Role, written: &str) -> String {
        match role {
            Role::Macro => {
                let words: Vec<&str> = written.split_whitespace().collect();
                let parts = words.split(|word| *word == NEXT_SUBTASK).filter(|part| !part.is_empty());
                let subgoals: Vec<String> = parts.map(|part| self.decode(&part.join(" "))).collect();
                if subgoals.is_empty() { String::new() } else { blueprint::write(&subgoals) }
            }
            Role::Micro => {
                let words: Vec<&str> = written.split_whitespace().collect();
                let done = words.last() == Some(&DONE);
                let action = self.decode(&words[..words.len() - usize::from(done)].join(" "));
                blueprint::write_micro((!action.is_empty()).then_some(&action), done)
            }
            _ => self.decode(written),
        }
    }

    /// Returns the factors of a word that share embeddings with other words (docs/design.md D12); empty for ordinary words.
    pub(crate) fn factors(&self, word: &str) -> Vec<String> {
        self.codec.factors(word)
    }

    /// Returns the markers of the style and the words of the codec, which are in every vocabulary.
    pub(crate) fn markers(&self) -> Vec<String> {
        let special = [END, PAD, UNKNOWN];
        MARKERS
            .into_iter()
            .filter(|marker| !special.contains(marker))
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
    use stepladder_core::codec::Plain;

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

    #[test]
    fn a_text_cannot_write_a_marker() {
        let query = Query::Planner {
            task: "say <r>".into(),
            earlier: vec!["go ; stop".into(), "<\\end>".into()],
            progress: "<o>\n;".into(),
            observation: Observation { feedback: "<end>".into(), context: "a <pl>".into() },
        };
        let prompt = style().prompt(&query);
        let words: Vec<&str> = prompt.split_whitespace().filter(|word| MARKERS.contains(word)).collect();
        assert_eq!(words, ["<pl>", "<s>", ";", "<p>", "<o>", "<r>"], "{prompt}");
        assert_eq!(style().encode_reply(Role::Flat, "say <end> now"), "say <\\end> now");
        assert_eq!(style().decode_reply(Role::Flat, "say <\\end> now"), "say <end> now");
        assert_eq!(style().encode_reply(Role::Micro, "<action><done></action>"), "<\\done>");
        assert_eq!((escaped(";".into()), escaped(";\\".into())), (";\\".into(), ";\\\\".into()));
    }

    /// Generates texts of markers, words that resemble them, other words and all kinds of white space.
    fn text() -> impl Strategy<Value = String> {
        let marker = proptest::sample::select(MARKERS.to_vec());
        let word = prop_oneof![
            marker.clone().prop_map(str::to_owned),
            ("\\\\{0,3}", marker.clone()).prop_map(|(before, marker)| format!("{before}{marker}")),
            ("\\\\{0,3}", marker).prop_map(|(inside, marker)| format!(
                "{}{inside}{}",
                &marker[..1],
                &marker[1..]
            )),
            "[a-z<>;\\\\]{0,4}",
        ];
        let space = proptest::sample::select(vec![" ", "  ", "\n", "\t", "\u{a0}"]);
        proptest::collection::vec((word, space), 0..6)
            .prop_map(|parts| parts.into_iter().map(|(word, space)| word + space).collect())
    }

    /// Returns a prompt of every role with these texts.
    fn queries([a, b, c, d, e, f]: [String; 6]) -> Vec<Query> {
        let observation = Observation { feedback: a.clone(), context: b.clone() };
        let list = vec![c.clone(), d.clone()];
        let history = vec![(c.clone(), d.clone()), (String::new(), e.clone())];
        vec![
            Query::Planner {
                task: e.clone(),
                earlier: list.clone(),
                progress: f.clone(),
                observation: observation.clone(),
            },
            Query::Executor { subtask: e.clone(), observation: observation.clone(), progress: f.clone() },
            Query::Progress {
                subtask: e.clone(),
                progress: f.clone(),
                action: d.clone(),
                observation: observation.clone(),
            },
            Query::Flat { task: e.clone(), context: b, history: history.clone() },
            Query::Macro { task: e.clone(), observation: observation.clone() },
            Query::Micro { task: f, blueprint: list, active: 1, history, observation },
        ]
    }

    proptest! {
        #[test]
        fn no_text_can_produce_a_marker(texts in proptest::array::uniform6(text())) {
            let markers = |query: &Query| -> Vec<String> {
                let prompt = style().prompt(query);
                prompt.split_whitespace().filter(|word| MARKERS.contains(word)).map(str::to_owned).collect()
            };
            // The same prompts over plain words. Empty texts stay empty: an empty action has no markers around it.
            let plain = queries(texts.clone().map(|text| if text.is_empty() { text } else { "x".to_owned() }));
            for (query, plain) in queries(texts).iter().zip(&plain) {
                prop_assert_eq!(markers(query), markers(plain));
            }
        }

        #[test]
        fn what_is_escaped_is_read_back(text in text()) {
            let written = escaped(text.clone());
            prop_assert!(!written.split_whitespace().any(|word| MARKERS.contains(&word)));
            prop_assert_eq!(unescaped(written), text.clone());
            for role in [Role::Planner, Role::Executor, Role::Progress, Role::Flat] {
                prop_assert_eq!(style().decode_reply(role, &style().encode_reply(role, &text)), text.clone());
            }
        }

        #[test]
        fn texts_without_markers_stay_as_they_are(text in "[a-zA-Z0-9.,|\\\\_]{0,8}( [a-z;.]{2,6}){0,4}") {
            prop_assert_eq!(escaped(text.clone()), text);
        }

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
