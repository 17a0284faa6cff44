//! Keys, tables and violations of a section.

use std::fmt;

use super::bound::Bound;
use super::value::{KeyType, ValueType};

/// A struct that [`section!`](crate::section!) declares.
pub trait Section {
    /// Keys and tables of the section, without values.
    fn schema() -> Schema;

    /// Every key whose value its bounds refuse, in the order of declaration; keys of inner tables have dotted paths.
    fn violations(&self) -> Vec<Violation>;
}

/// Keys and tables of a section.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Documentation of the section; [`Schema::meaning`] has it without leading spaces.
    pub doc: &'static str,
    /// Keys, in the order of declaration.
    pub keys: Vec<Key>,
    /// Inner tables by name, in the order of declaration; they follow the keys.
    pub tables: Vec<(&'static str, Self)>,
    /// The section stands for any number of tables of this form, whose names the user chooses.
    pub named: bool,
}

/// One key of a section.
#[derive(Debug, Clone)]
pub struct Key {
    /// Name inside its table.
    pub name: &'static str,
    /// Type of its value.
    pub value_type: ValueType,
    /// The value may be absent.
    pub optional: bool,
    /// Allowed values.
    pub bounds: Vec<Bound>,
    /// Value of a configuration that does not set the key: `null` if it is then absent. None if the key must be set.
    pub default: Option<serde_json::Value>,
    /// Documentation of the key; [`Key::meaning`] has it without leading spaces.
    pub doc: &'static str,
}

impl Key {
    /// Documentation of the key.
    pub fn meaning(&self) -> &'static str {
        self.doc.trim()
    }
}

impl Schema {
    /// Documentation of the section.
    pub fn meaning(&self) -> &'static str {
        self.doc.trim()
    }
}

/// A value that the bounds of its key refuse.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Key, with a dotted path from the section that was checked.
    pub key: String,
    /// The value as a configuration file has it.
    pub value: String,
    /// The bound that it breaks.
    pub bound: Bound,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}; it must be {}", self.key, self.value, self.bound)
    }
}

/// The violations of one value; for [`section!`](crate::section!).
pub fn refused<T: KeyType>(key: &str, value: &T, bounds: &[Bound]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, shown) in value.measures() {
        for bound in bounds.iter().filter(|bound| !bound.holds(number)) {
            found.push(Violation { key: key.to_owned(), value: shown.clone(), bound: *bound });
        }
    }
    found
}

/// The violations of an inner table; for [`section!`](crate::section!).
pub fn refused_within<'a, S: Section>(
    table: &'a str,
    section: &'a S,
) -> impl Iterator<Item = Violation> + 'a {
    section.violations().into_iter().map(move |mut violation| {
        violation.key = format!("{table}.{}", violation.key);
        violation
    })
}

/// A default as JSON; for [`section!`](crate::section!).
pub fn written<T: serde::Serialize>(default: &T) -> serde_json::Value {
    serde_json::to_value(default).unwrap_or_default()
}
