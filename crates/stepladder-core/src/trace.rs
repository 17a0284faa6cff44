//! Record of an episode, one JSON object per line (docs/design.md D5).
//!
//! Source of training data, evaluation tables and replays. [`VERSION`] goes up when a reader of the former version would
//! misread the new one.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::query::Role;
use crate::reply::parses;
use crate::step::{End, Start, Step};
use crate::task::TaskKey;

/// Version of the trace format.
pub const VERSION: u32 = 1;

/// One reply of a model (or an expert) to one prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Role that replied.
    pub role: Role,
    /// The prompt as the model read it; empty for policies that read no text (experts).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// The reply as text, before it was parsed.
    pub reply: String,
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: u32,
    /// Tokens of the prompt that no earlier request of the episode had computed (a kept cache saves the rest).
    #[serde(default)]
    pub uncached_tokens: u32,
    /// New tokens, end token included.
    #[serde(default)]
    pub new_tokens: u32,
    /// Sum of the log-probabilities of the new tokens under the policy that sampled them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprob: Option<f64>,
    /// The generation budget ended the reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Number of parts that were removed from the prompt so that it fits into the context window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shortened: u32,
    /// The reply could not be parsed as an answer of its role ([`crate::reply::parses`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unparsable: bool,
    /// Token ids and log-probabilities, where they were requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Box<TurnTokens>>,
}

impl Turn {
    /// A reply without a model: an expert's, or a known solution's.
    pub fn said(role: Role, reply: impl Into<String>) -> Self {
        Self {
            role,
            prompt: String::new(),
            reply: reply.into(),
            prompt_tokens: 0,
            uncached_tokens: 0,
            new_tokens: 0,
            logprob: None,
            cut: false,
            shortened: 0,
            unparsable: false,
            tokens: None,
        }
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A reply as tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TurnTokens {
    /// The prompt.
    pub prompt: Vec<u32>,
    /// The reply, end token included where one was written.
    pub reply: Vec<u32>,
    /// Log-probability of each token of the reply under the policy that sampled it, at its temperature (greedy: 1); none
    /// from policies that do not say. Earlier versions wrote an empty list for none.
    #[serde(default, deserialize_with = "none_if_empty", skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<f32>>,
}

fn none_if_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f32>>, D::Error> {
    Ok(Option::<Vec<f32>>::deserialize(deserializer)?.filter(|logprobs| !logprobs.is_empty()))
}

/// One environment step with the replies around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceStep {
    /// Replies before it without an action (HiMAC: `<sub_done>` alone).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<Turn>,
    /// The reply that chose the action.
    pub turn: Turn,
    /// The action sent to the environment.
    pub action: String,
    /// The executor reported the subtask finished with this action.
    #[serde(default)]
    pub finished: bool,
    /// The reply was unparsable and the fallback action was sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unparsable: bool,
    /// The environment's answer.
    pub observation: String,
    /// Reward of the step; finite.
    #[serde(with = "finite")]
    pub reward: f64,
    /// The task is solved.
    pub won: bool,
    /// The environment did not understand the action.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown_action: bool,
    /// The context from this step on, where it changed ([`crate::Step::context`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Set on the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Cleaned progress text after this step, where one was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The reply behind `progress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_turn: Option<Turn>,
    /// Expert's reply where the episode deviates from it on purpose (noisy rollouts, DAgger).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expert: Option<String>,
}

impl TraceStep {
    /// The step that `turn` chose and `step` answered, without idle replies, progress text and expert label.
    pub fn new(turn: Turn, action: String, finished: bool, unparsable: bool, step: &Step) -> Self {
        Self {
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

    /// Returns the environment's answer.
    pub fn answer(&self) -> Step {
        Step {
            observation: self.observation.clone(),
            reward: self.reward,
            won: self.won,
            unknown_action: self.unknown_action,
            context: self.context.clone(),
            end: self.end,
        }
    }
}

/// A subtask and its steps. A flat agent's episode is one subtask with an empty text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subtask {
    /// The subtask text as issued.
    pub text: String,
    /// The planner's reply; none for flat agents. HiMAC's blueprint is the turn of the first subtask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// Steps taken under it, in order.
    pub steps: Vec<TraceStep>,
}

/// One episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Format version, [`VERSION`].
    pub version: u32,
    /// Task.
    pub task: TaskKey,
    /// Seed given to the environment's reset.
    pub seed: u64,
    /// Agent kind: `flat`, `step_hrl`, `himac`.
    pub agent: String,
    /// Fingerprint of the policy that played: a checkpoint hash or an expert's name.
    pub policy: String,
    /// Result of the reset.
    pub start: Start,
    /// The hierarchy of the episode.
    pub subtasks: Vec<Subtask>,
    /// The task was solved.
    pub won: bool,
    /// Sum of rewards; finite.
    #[serde(with = "finite")]
    pub score: f64,
    /// How it ended; none if an error ended it.
    pub end: Option<End>,
    /// Error that ended the episode, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Episode {
    /// Whether a reply issued subtasks, a planner's or a blueprint; false for flat agents and agents without planner.
    pub fn is_planned(&self) -> bool {
        self.subtasks.iter().any(|subtask| subtask.turn.is_some())
    }

    /// All environment steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &TraceStep> {
        self.subtasks.iter().flat_map(|subtask| subtask.steps.iter())
    }

    /// Number of environment steps.
    pub fn len(&self) -> usize {
        self.subtasks.iter().map(|subtask| subtask.steps.len()).sum()
    }

    /// Whether no step was taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Marks the replies that cannot be parsed, which traces of release 0.1.0 did not record.
    fn mark_unparsable(&mut self) {
        for subtask in &mut self.subtasks {
            let steps = subtask
                .steps
                .iter_mut()
                .flat_map(|step| step.idle.iter_mut().chain([&mut step.turn]).chain(&mut step.progress_turn));
            for turn in subtask.turn.iter_mut().chain(steps) {
                turn.unparsable |= !parses(turn.role, &turn.reply);
            }
        }
    }

    /// All replies in the order in which they were given.
    pub fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.subtasks.iter().flat_map(|subtask| {
            subtask.turn.iter().chain(
                subtask
                    .steps
                    .iter()
                    .flat_map(|step| step.idle.iter().chain([&step.turn]).chain(step.progress_turn.iter())),
            )
        })
    }
}

/// Rewards and scores in a trace. JSON has no NaN and no infinity; programs write them as `null`.
mod finite {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            return serializer.serialize_f64(*value);
        }
        Err(ser::Error::custom(format!("a reward or score is {value}; a trace holds finite numbers only")))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Option::<f64>::deserialize(deserializer)?.filter(|value| value.is_finite()).ok_or_else(|| {
            de::Error::custom("a reward or score is null, as NaN is written; it must be a finite number")
        })
    }
}

/// Error of reading a trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file could not be read.
    #[error("line {line}: {source}")]
    Io {
        /// Line number, from 1.
        line: usize,
        /// The cause.
        source: io::Error,
    },
    /// A line is not an episode.
    #[error("line {line} is not an episode of a Stepladder trace: {source}")]
    Json {
        /// Line number, from 1.
        line: usize,
        /// The cause.
        source: serde_json::Error,
    },
    /// Written in another version of the format.
    #[error("line {line}: trace format {found}, this program reads {VERSION}")]
    Version {
        /// Line number, from 1.
        line: usize,
        /// The version found.
        found: u32,
    },
}

/// Reads a trace, one episode per non-empty line.
///
/// # Errors
/// See [`TraceError`]; iteration can continue after one.
pub fn read(reader: impl BufRead) -> impl Iterator<Item = Result<Episode, TraceError>> {
    reader.lines().enumerate().filter_map(|(index, line)| {
        let line_number = index + 1;
        match line {
            Err(source) => Some(Err(TraceError::Io { line: line_number, source })),
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) => Some(match serde_json::from_str::<Episode>(&text) {
                Err(source) => Err(TraceError::Json { line: line_number, source }),
                Ok(episode) if episode.version != VERSION => {
                    Err(TraceError::Version { line: line_number, found: episode.version })
                }
                Ok(mut episode) => {
                    episode.mark_unparsable();
                    Ok(episode)
                }
            }),
        }
    })
}

/// Appends one episode as a line.
///
/// # Errors
/// Those of the writer.
pub fn write(writer: &mut impl Write, episode: &Episode) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, episode)?;
    writer.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_of_version_1_still_loads() {
        // One line written by the first release of the format; it must keep loading.
        let line = include_str!("../tests/trace-v1.jsonl");
        let episodes: Vec<_> = read(line.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(episodes.len(), 1);
        assert_eq!(episodes[0].len(), 2);
        assert_eq!(episodes[0].turns().count(), 4);
        let mut written = Vec::new();
        write(&mut written, &episodes[0]).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), line);
    }

    #[test]
    fn a_reward_that_is_not_finite_is_neither_read_nor_written() {
        let line = include_str!("../tests/trace-v1.jsonl");
        let text = line.replacen("\"reward\":0.0", "\"reward\":null", 1);
        assert_ne!(text, line);
        let error = read(text.as_bytes()).next().unwrap().unwrap_err().to_string();
        let expected = "a reward or score is null, as NaN is written; it must be a finite number";
        assert!(error.starts_with("line 1 is not an episode") && error.contains(expected), "{error}");
        let mut episode = read(line.as_bytes()).next().unwrap().unwrap();
        episode.subtasks[0].steps[0].reward = f64::NAN;
        let error = write(&mut Vec::new(), &episode).unwrap_err().to_string();
        assert!(error.contains("a reward or score is NaN"), "{error}");
    }

    #[test]
    fn rewards_are_read_back_to_the_last_bit() {
        use rand::RngExt;
        let line = include_str!("../tests/trace-v1.jsonl");
        let mut episode = read(line.as_bytes()).next().unwrap().unwrap();
        let mut rng = crate::seed::stream(1, "rewards of a test", &[]);
        for _ in 0..500 {
            episode.subtasks[0].steps[0].reward = rng.random::<f64>() * 200.0 - 100.0;
            let mut written = Vec::new();
            write(&mut written, &episode).unwrap();
            assert_eq!(read(written.as_slice()).next().unwrap().unwrap(), episode);
        }
    }

    #[test]
    fn tokens_are_written_where_there_are_some() {
        let line = include_str!("../tests/trace-v1.jsonl");
        let mut episode = read(line.as_bytes()).next().unwrap().unwrap();
        let tokens =
            TurnTokens { prompt: vec![3, 0], reply: vec![7, 2], logprobs: Some(vec![-0.1, -1.5e-7]) };
        episode.subtasks[0].steps[0].turn.tokens = Some(Box::new(tokens));
        let mut written = Vec::new();
        write(&mut written, &episode).unwrap();
        assert_eq!(read(written.as_slice()).next().unwrap().unwrap(), episode);
        assert_eq!(String::from_utf8(written).unwrap().matches("\"tokens\"").count(), 1);
    }

    #[test]
    fn log_probabilities_that_are_not_known_are_absent() {
        let line = include_str!("../tests/trace-v1.jsonl");
        let mut episode = read(line.as_bytes()).next().unwrap().unwrap();
        let tokens = TurnTokens { prompt: vec![3], reply: vec![7], logprobs: None };
        episode.subtasks[0].steps[0].turn.tokens = Some(Box::new(tokens));
        let mut written = Vec::new();
        write(&mut written, &episode).unwrap();
        let text = String::from_utf8(written).unwrap();
        assert!(!text.contains("\"logprobs\""), "{text}");
        assert_eq!(read(text.as_bytes()).next().unwrap().unwrap(), episode);
        // As earlier versions wrote it.
        let old = text.replacen("\"reply\":[7]", "\"reply\":[7],\"logprobs\":[]", 1);
        assert_ne!(old, text);
        assert_eq!(read(old.as_bytes()).next().unwrap().unwrap(), episode);
    }

    #[test]
    fn a_shortened_prompt_and_an_unparsable_reply_are_written_and_absent_fields_mean_neither() {
        let line = include_str!("../tests/trace-v1.jsonl");
        let mut episode = read(line.as_bytes()).next().unwrap().unwrap();
        assert!(episode.turns().all(|turn| turn.shortened == 0 && !turn.unparsable));
        let turn = &mut episode.subtasks[0].steps[0].turn;
        (turn.shortened, turn.unparsable) = (3, true);
        let mut written = Vec::new();
        write(&mut written, &episode).unwrap();
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text.matches("\"shortened\":3,\"unparsable\":true").count(), 1, "{text}");
        assert_eq!(text.matches("\"shortened\"").count(), 1, "{text}");
        assert_eq!(read(text.as_bytes()).next().unwrap().unwrap(), episode);
    }

    #[test]
    fn an_unparsable_reply_of_an_old_trace_is_found() {
        let line = include_str!("../tests/trace-v1.jsonl");
        let mut episode = read(line.as_bytes()).next().unwrap().unwrap();
        episode.subtasks[0].steps[0].turn.reply = "I do not know".to_owned();
        let mut written = Vec::new();
        write(&mut written, &episode).unwrap();
        let found = read(written.as_slice()).next().unwrap().unwrap();
        assert_eq!(found.turns().filter(|turn| turn.unparsable).count(), 1);
        assert!(found.subtasks[0].steps[0].turn.unparsable);
    }

    #[test]
    fn errors_name_the_line() {
        let text = "\n{\"version\": 1}\n";
        let error = read(text.as_bytes()).next().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("line 2 is not an episode"), "{error}");
        let good = include_str!("../tests/trace-v1.jsonl").replacen("\"version\":1", "\"version\":9", 1);
        let error = read(good.as_bytes()).next().unwrap().unwrap_err().to_string();
        assert_eq!(error, "line 1: trace format 9, this program reads 1");
    }
}
