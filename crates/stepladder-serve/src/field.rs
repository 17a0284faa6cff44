//! Fields of messages. A wrong one is refused in plain words, without the names of Rust's types.

use serde::de::{Deserialize as _, Deserializer, Error};
use serde_json::{Map, Value};
use stepladder_env::session::TaskChoice;

/// Type of a field.
pub(crate) trait Field: Sized {
    /// Values that it takes.
    const WANTED: &'static str;

    /// Reads the field.
    ///
    /// # Errors
    /// The value, if it is none of those wanted.
    fn read(value: Value) -> Result<Self, Value>;
}

impl Field for u64 {
    const WANTED: &'static str = "a whole number from 0 to 2**64 - 1";

    fn read(value: Value) -> Result<Self, Value> {
        value.as_u64().ok_or(value)
    }
}

impl Field for bool {
    const WANTED: &'static str = "true or false";

    fn read(value: Value) -> Result<Self, Value> {
        value.as_bool().ok_or(value)
    }
}

impl Field for String {
    const WANTED: &'static str = "a text";

    fn read(value: Value) -> Result<Self, Value> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        }
    }
}

impl Field for Map<String, Value> {
    const WANTED: &'static str = "an object";

    fn read(value: Value) -> Result<Self, Value> {
        match value {
            Value::Object(fields) => Ok(fields),
            other => Err(other),
        }
    }
}

impl Field for TaskChoice {
    const WANTED: &'static str = "the id of a task or its position from 0";

    fn read(value: Value) -> Result<Self, Value> {
        match value {
            Value::String(id) => Ok(Self::Id(id)),
            other => other.as_u64().map(Self::Index).ok_or(other),
        }
    }
}

/// Reads a field that must be there.
pub(crate) fn required<'de, D: Deserializer<'de>, T: Field>(deserializer: D) -> Result<T, D::Error> {
    T::read(Value::deserialize(deserializer)?).map_err(wrong::<T, D::Error>)
}

/// Reads a field that may be null.
pub(crate) fn optional<'de, D: Deserializer<'de>, T: Field>(deserializer: D) -> Result<Option<T>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => T::read(value).map(Some).map_err(wrong::<T, D::Error>),
    }
}

fn wrong<T: Field, E: Error>(value: Value) -> E {
    let found = match value {
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        plain => plain.to_string(),
    };
    E::custom(format_args!("it must be {}, not {found}", T::WANTED))
}
