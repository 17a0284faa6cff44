//! Configuration errors, each one sentence: place, problem, allowed values, remedy.

use std::path::PathBuf;

use super::origin::Origin;
use stepladder_env::names::shorten;

/// Error in a configuration; exit code 2.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither a preset nor a file.
    #[error(
        "{}unknown preset {:?}{}presets are {}, and a file is given by a path that ends in .toml or contains /",
        place(at), shorten(name), meant(nearest), known.join(", ")
    )]
    UnknownPreset {
        /// Place that names the preset, if it is not the command line.
        at: Option<Origin>,
        /// Unknown name.
        name: String,
        /// The most similar preset.
        nearest: Option<String>,
        /// All presets.
        known: Vec<&'static str>,
    },
    /// No such file.
    #[error("{}: no such file{}presets are {}", path.display(), meant(nearest), known.join(", "))]
    NoSuchFile {
        /// Path as given.
        path: PathBuf,
        /// `the preset demo`, if a preset has a similar name.
        nearest: Option<String>,
        /// All presets.
        known: Vec<&'static str>,
    },
    /// A file that cannot be read.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(
        /// Cause; names the path.
        std::io::Error,
    ),
    /// Not TOML.
    #[error("{}: not valid TOML: {message}{}", at.place(), excerpt_line(excerpt))]
    Syntax {
        /// Place.
        at: Origin,
        /// Message of the parser.
        message: String,
        /// Line of the file.
        excerpt: Option<String>,
    },
    /// `--set` without a key or a value.
    #[error("--set {argument}: {problem}; write --set KEY=VALUE, for example --set algo.adamw.clip=0.5")]
    Set {
        /// The argument.
        argument: String,
        /// Problem with the argument.
        problem: String,
    },
    /// Keys that do not exist.
    #[error("{}", .0.iter().map(UnknownKey::to_string).collect::<Vec<_>>().join("\n"))]
    UnknownKeys(Vec<UnknownKey>),
    /// A value that does not fit its key.
    #[error("{0}")]
    WrongType(Box<WrongType>),
    /// Required keys that no layer sets.
    #[error("{name}: missing {}; {remedy}", keys.join(", "))]
    Missing {
        /// Name of the configuration.
        name: String,
        /// Dotted paths; `[table]` where a whole table is missing.
        keys: Vec<String>,
        /// Remedy.
        remedy: String,
    },
    /// Values outside the allowed ranges or combinations.
    #[error("{name}: {}{}", match violations.len() { 1 => String::new(), n => format!("{n} problems\n  ") }, violations.join("\n  "))]
    Invalid {
        /// Name of the configuration.
        name: String,
        /// Violations, one sentence each.
        violations: Vec<String>,
    },
}

/// A key that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: unknown key {key}{}{allowed}{}", at.place(), meant(nearest), excerpt_line(excerpt))]
pub struct UnknownKey {
    /// Place.
    pub at: Origin,
    /// Dotted path.
    pub key: String,
    /// Most similar key.
    pub nearest: Option<String>,
    /// Names that its table accepts, as a clause.
    pub allowed: String,
    /// Line of the file.
    pub excerpt: Option<String>,
}

/// A value that does not fit its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {key} is {found}; expected {expected}{}{}", at.place(), suggest(nearest), excerpt_line(excerpt))]
pub struct WrongType {
    /// Place.
    pub at: Origin,
    /// Dotted path.
    pub key: String,
    /// The value and its type.
    pub found: String,
    /// Values that the key accepts.
    pub expected: String,
    /// Most similar allowed string.
    pub nearest: Option<String>,
    /// Line of the file.
    pub excerpt: Option<String>,
}

fn place(at: &Option<Origin>) -> String {
    at.as_ref().map(|at| format!("{}: ", at.place())).unwrap_or_default()
}

/// Renders a suggestion between two clauses.
fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(|| "; ".to_owned(), |name| format!("; did you mean {name}? "))
}

fn suggest(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn excerpt_line(excerpt: &Option<String>) -> String {
    excerpt.as_ref().map(|line| format!("\n    {line}")).unwrap_or_default()
}
