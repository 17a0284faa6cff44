//! Messages of a session: requests of the client, answers, errors.
//!
//! The names are those of OpenEnv 0.10.0 (PyPI `openenv`, `openenv/core/env_server/types.py`).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepladder_env::names::truncate;
use stepladder_env::session::{Reset, TaskChoice};

use crate::field::{optional, required};

/// Longest text of an error, in characters: it may repeat what the client sent.
const LONGEST: usize = 500;
/// Longest `episode_id` in characters, as in OpenEnv.
const LONGEST_ID: usize = 255;

/// Request of a client.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Reset(ResetData),
    Step(StepData),
    State,
    Close,
}

/// Data of a reset.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetData {
    #[serde(default, deserialize_with = "optional")]
    seed: Option<u64>,
    #[serde(default, deserialize_with = "optional")]
    pub(crate) episode_id: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    split: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    task: Option<TaskChoice>,
    #[serde(default, deserialize_with = "optional")]
    pub(crate) admissible: Option<bool>,
}

impl ResetData {
    /// Returns the choice of the episode.
    pub(crate) fn choice(&self) -> Reset {
        Reset { seed: self.seed, split: self.split.clone(), task: self.task.clone() }
    }
}

/// Data of a step.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepData {
    #[serde(deserialize_with = "required")]
    pub(crate) action: String,
    #[serde(default, deserialize_with = "optional")]
    pub(crate) admissible: Option<bool>,
    /// OpenEnv's base class of actions has it; nothing reads it here.
    #[serde(default, rename = "metadata", deserialize_with = "optional")]
    _metadata: Option<Map<String, Value>>,
}

/// Reads a message.
///
/// # Errors
/// [`Code::InvalidJson`], [`Code::UnknownType`], [`Code::ValidationError`].
pub(crate) fn read(text: &str) -> Result<Request, Failure> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Failure::new(Code::InvalidJson, format!("Invalid JSON: {error}")))?;
    let Value::Object(mut fields) = value else {
        return Err(Failure::invalid("", "a message is an object with a `type`"));
    };
    let kind = match fields.remove("type") {
        Some(Value::String(kind)) => kind,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let request = match &*kind {
        "reset" => Request::Reset(reset(fields.remove("data").unwrap_or_else(|| Value::Object(Map::new())))?),
        "step" => {
            let data = fields.remove("data").ok_or_else(|| Failure::invalid("data", "a step needs it"))?;
            Request::Step(parse("data", data)?)
        }
        "state" => Request::State,
        "close" => Request::Close,
        "mcp" => {
            let text =
                "Unknown message type: mcp. This environment has no tools; send reset, step, state or close";
            return Err(Failure::new(Code::UnknownType, text));
        }
        other => {
            let text =
                format!("Unknown message type: {}. Send reset, step, state or close", truncate(other, 60));
            return Err(Failure::new(Code::UnknownType, text));
        }
    };
    match fields.keys().next() {
        Some(extra) => Err(Failure::invalid(&truncate(extra, 60), "a message has only `type` and `data`")),
        None => Ok(request),
    }
}

/// Reads the data of a reset.
///
/// # Errors
/// [`Code::ValidationError`].
pub(crate) fn reset(data: Value) -> Result<ResetData, Failure> {
    let data: ResetData = parse("data", data)?;
    if data.episode_id.as_ref().is_some_and(|id| id.chars().count() > LONGEST_ID) {
        return Err(Failure::invalid(
            "data.episode_id",
            &format!("it is longer than {LONGEST_ID} characters"),
        ));
    }
    Ok(data)
}

/// Reads an object.
///
/// # Errors
/// [`Code::ValidationError`], with the path of the wrong field below `root`.
pub(crate) fn parse<T: DeserializeOwned>(root: &str, value: Value) -> Result<T, Failure> {
    // serde would read the fields from a list, too.
    if !value.is_object() {
        return Err(Failure::invalid(root, "it must be an object"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => root.to_owned(),
            path => format!("{root}.{path}"),
        };
        Failure::invalid(&path, &error.inner().to_string())
    })
}

/// Answer to a reset or a step, as OpenEnv lays it out: reward and end stand beside the observation.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome<'a> {
    pub(crate) observation: Observation<'a>,
    pub(crate) reward: Option<f64>,
    pub(crate) done: bool,
}

/// Observation as the client gets it.
#[derive(Debug, Serialize)]
pub(crate) struct Observation<'a> {
    pub(crate) text: &'a str,
    pub(crate) context: &'a str,
    pub(crate) task: Option<&'a str>,
    pub(crate) score: f64,
    pub(crate) won: bool,
    pub(crate) unknown_action: bool,
    pub(crate) terminated: bool,
    pub(crate) truncated: bool,
    pub(crate) steps: u32,
    pub(crate) admissible_actions: Option<Vec<String>>,
}

/// State of a session. Without an episode most of it is null.
#[derive(Debug, Serialize)]
pub(crate) struct SessionState<'a> {
    pub(crate) episode_id: Option<&'a str>,
    pub(crate) step_count: u32,
    pub(crate) env: &'a str,
    pub(crate) split: &'a str,
    pub(crate) task_id: Option<&'a str>,
    pub(crate) task_index: Option<usize>,
    pub(crate) family: Option<&'a str>,
    pub(crate) seed: Option<u64>,
    pub(crate) score: f64,
    pub(crate) won: bool,
    pub(crate) max_steps: u32,
}

/// Kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Code {
    /// The message is not JSON.
    InvalidJson,
    /// The message has no known type.
    UnknownType,
    /// A field is absent, unknown or wrong.
    ValidationError,
    /// The environment refused the request, or failed.
    ExecutionError,
    /// All sessions are taken.
    CapacityReached,
    /// The environment could not be made.
    FactoryError,
    /// The session could not be opened.
    SessionError,
}

/// Error that is sent to the client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: Code,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl AsRef<str>) -> Self {
        Self { message: truncate(message.as_ref(), LONGEST), code, more: Map::new() }
    }

    /// Creates the error of a field that is wrong.
    pub(crate) fn invalid(field: &str, problem: &str) -> Self {
        let named = if field.is_empty() { String::new() } else { format!("{field}: ") };
        let failure = Self::new(Code::ValidationError, format!("Invalid message: {named}{problem}"));
        let location: Vec<&str> = field.split('.').filter(|part| !part.is_empty()).collect();
        let error = serde_json::json!({ "loc": location, "msg": truncate(problem, LONGEST) });
        failure.with("errors", Value::Array(vec![error]))
    }

    /// Adds a fact.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }
}

/// Writes an answer of a type.
pub(crate) fn write(kind: &str, data: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        r#type: &'a str,
        data: &'a T,
    }
    // Maps with other keys than texts, which fail, are in none of the types.
    serde_json::to_string(&Envelope { r#type: kind, data }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> (Code, String) {
        let failure = read(text).unwrap_err();
        (failure.code, failure.message)
    }

    #[test]
    fn requests_are_read() {
        assert_eq!(read(r#"{"type":"reset"}"#).unwrap(), Request::Reset(ResetData::default()));
        let text = r#"{"type":"reset","data":{"seed":18446744073709551615,"episode_id":"e","split":"dev","task":3,"admissible":true}}"#;
        let Request::Reset(data) = read(text).unwrap() else { panic!("no reset") };
        assert_eq!((data.episode_id.as_deref(), data.admissible), (Some("e"), Some(true)));
        let choice =
            Reset { seed: Some(u64::MAX), split: Some("dev".into()), task: Some(TaskChoice::Index(3)) };
        assert_eq!(data.choice(), choice);
        let text = r#"{"type":"reset","data":{"seed":null,"task":"boil/3","split":null}}"#;
        let Request::Reset(data) = read(text).unwrap() else { panic!("no reset") };
        assert_eq!(data.choice().task, Some(TaskChoice::Id("boil/3".into())));
        let text = r#"{"type":"step","data":{"action":"look","metadata":{"a":1}}}"#;
        let Request::Step(step) = read(text).unwrap() else { panic!("no step") };
        assert_eq!((&*step.action, step.admissible), ("look", None));
        assert_eq!(read(r#"{"type":"state"}"#).unwrap(), Request::State);
        assert_eq!(read(r#"{"type":"close"}"#).unwrap(), Request::Close);
    }

    #[test]
    fn a_bad_message_is_refused_by_kind_and_field() {
        assert_eq!(refusal("{").0, Code::InvalidJson);
        assert_eq!(refusal(&"[".repeat(100_000)).0, Code::InvalidJson);
        for text in [r#"{"data":{}}"#, r#"{"type":7}"#, r#"{"type":"leap"}"#, r#"{"type":"mcp","data":{}}"#] {
            let (code, message) = refusal(text);
            assert_eq!(code, Code::UnknownType);
            assert!(message.ends_with("reset, step, state or close"), "{message}");
        }
        for (text, says) in [
            ("[]", "a message is an object"),
            (r#"{"type":"state","data":{}}"#, "data: a message has only"),
            (r#"{"type":"reset","seed":1}"#, "seed: a message has only"),
            (r#"{"type":"reset","data":[]}"#, "data: it must be an object"),
            (r#"{"type":"reset","data":{"sed":1}}"#, "unknown field `sed`"),
            (
                r#"{"type":"reset","data":{"seed":-1}}"#,
                "data.seed: it must be a whole number from 0 to 2**64 - 1, not -1",
            ),
            (
                r#"{"type":"reset","data":{"seed":18446744073709551616}}"#,
                "it must be a whole number from 0 to 2**64 - 1, not 1.8446744073709552e+19",
            ),
            (r#"{"type":"reset","data":{"seed":"1"}}"#, "2**64 - 1, not a text"),
            (r#"{"type":"reset","data":{"split":["a"]}}"#, "data.split: it must be a text, not a list"),
            (
                r#"{"type":"reset","data":{"task":1.5}}"#,
                "data.task: it must be the id of a task or its position from 0, not 1.5",
            ),
            (
                r#"{"type":"reset","data":{"admissible":1}}"#,
                "data.admissible: it must be true or false, not 1",
            ),
            (r#"{"type":"step"}"#, "data: a step needs it"),
            (r#"{"type":"step","data":{}}"#, "missing field `action`"),
            (r#"{"type":"step","data":{"action":5}}"#, "data.action: it must be a text, not 5"),
            (r#"{"type":"step","data":{"action":null}}"#, "data.action: it must be a text, not null"),
            (
                r#"{"type":"step","data":{"action":"a","metadata":[]}}"#,
                "data.metadata: it must be an object, not a list",
            ),
            (
                r#"{"type":"step","data":{"action":{"action":"look"}}}"#,
                "data.action: it must be a text, not an object",
            ),
            (r#"{"type":"step","data":{"action":"a","verb":"b"}}"#, "unknown field `verb`"),
        ] {
            let (code, message) = refusal(text);
            assert_eq!(code, Code::ValidationError, "{text}");
            assert!(message.contains(says), "{text}: {message}");
        }
        let long = format!(r#"{{"type":"reset","data":{{"episode_id":"{}"}}}}"#, "x".repeat(256));
        assert!(refusal(&long).1.contains("longer than 255"));
    }

    #[test]
    fn errors_stay_short_and_name_the_field() {
        let failure =
            read(&format!(r#"{{"type":"reset","data":{{"{}":1}}}}"#, "x".repeat(10_000))).unwrap_err();
        assert!(failure.message.chars().count() <= LONGEST + 1);
        let failure = read(r#"{"type":"reset","data":{"seed":-1}}"#).unwrap_err();
        let text = write("error", &failure);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["type"], "error");
        assert_eq!(value["data"]["code"], "VALIDATION_ERROR");
        assert_eq!(value["data"]["errors"][0]["loc"], serde_json::json!(["data", "seed"]));
    }
}
