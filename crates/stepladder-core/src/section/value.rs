//! Types of the values of keys.

/// Type of a key's value, as messages and the reference page name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Whole number from 0 to this.
    Count(u64),
    /// Whole number of either sign.
    Integer,
    /// Number.
    Real,
    /// `true` or `false`.
    Flag,
    /// String.
    Text,
    /// List of strings.
    Texts,
    /// One of these strings.
    Choice(&'static [Choice]),
    /// Anything else: its short name, and the end of the sentence "expected …".
    Other(&'static str, &'static str),
}

/// One name that a key with a choice takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The name.
    pub name: &'static str,
    /// Documentation of the name; [`Choice::meaning`] has it without leading spaces.
    pub doc: &'static str,
}

impl Choice {
    /// Documentation of the name.
    pub fn meaning(&self) -> &'static str {
        self.doc.trim()
    }
}

// TOML has no integers above this.
const LARGE: u64 = i64::MAX as u64;

impl ValueType {
    /// Short name of the type, for the reference page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count(_) | Self::Integer => "whole number",
            Self::Real => "number",
            Self::Flag => "boolean",
            Self::Text => "string",
            Self::Texts => "list of strings",
            Self::Choice(_) => "name",
            Self::Other(name, _) => name,
        }
    }

    /// The values that the type allows, for a sentence "expected …".
    pub fn expected(self) -> String {
        match self {
            Self::Count(LARGE..) => "a whole number from 0 to 2^63 - 1".to_owned(),
            Self::Count(most) => format!("a whole number from 0 to {most}"),
            Self::Integer => "a whole number".to_owned(),
            Self::Real => "a number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Texts => "a list of strings".to_owned(),
            Self::Choice(choices) => {
                let quoted: Vec<String> = choices.iter().map(|choice| format!("{:?}", choice.name)).collect();
                match quoted.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    _ => quoted.concat(),
                }
            }
            Self::Other(_, expected) => expected.to_owned(),
        }
    }
}

/// A type that a key can have.
pub trait KeyType: serde::Serialize {
    /// What it is called.
    const TYPE: ValueType;
    /// A value may be absent.
    const OPTIONAL: bool = false;

    /// The numbers that bounds apply to, each with its text in messages; none where there is no order.
    fn measures(&self) -> Vec<(f64, String)> {
        Vec::new()
    }
}

macro_rules! key_types {
    ($($type:ty: $value:expr;)*) => { $( impl KeyType for $type { const TYPE: ValueType = $value; } )* };
    ($($type:ty: $value:expr => $form:literal;)*) => { $(
        impl KeyType for $type {
            const TYPE: ValueType = $value;

            fn measures(&self) -> Vec<(f64, String)> {
                vec![(*self as f64, format!($form, self))]
            }
        }
    )* };
}

key_types! {
    u32: ValueType::Count(u32::MAX as u64) => "{}";
    u64: ValueType::Count(LARGE) => "{}";
    usize: ValueType::Count(LARGE) => "{}";
    i64: ValueType::Integer => "{}";
    f64: ValueType::Real => "{:?}";
}
key_types! {
    bool: ValueType::Flag;
    String: ValueType::Text;
    Vec<String>: ValueType::Texts;
}

impl<T: KeyType> KeyType for Option<T> {
    const TYPE: ValueType = T::TYPE;
    const OPTIONAL: bool = true;

    fn measures(&self) -> Vec<(f64, String)> {
        self.as_ref().map(T::measures).unwrap_or_default()
    }
}
