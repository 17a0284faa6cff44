//! What can be wrong with a configuration, in one sentence each: where, what, what is allowed, what to do.

use std::path::PathBuf;

use super::origin::Origin;
use super::shorten::shorten;

/// A configuration that cannot be used; exit code 2.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither a preset nor a file.
    #[error(
        "{}unknown preset {:?}{}presets are {}, and a file is given by a path that ends in .toml or contains /",
        place(at), shorten(name), meant(nearest), known.join(", ")
    )]
    UnknownPreset {
        /// Where it was asked for, if not on the command line.
        at: Option<Origin>,
        /// What was asked for.
        name: String,
        /// The most similar preset.
        nearest: Option<String>,
        /// Every preset.
        known: Vec<&'static str>,
    },
    /// No such file.
    #[error("{}: no such file{}presets are {}", path.display(), meant(nearest), known.join(", "))]
    NoSuchFile {
        /// Path as given.
        path: PathBuf,
        /// `the preset demo`, if the name is like that.
        nearest: Option<String>,
        /// Every preset.
        known: Vec<&'static str>,
    },
    /// A file that cannot be read.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(
        /// Why; names the path.
        std::io::Error,
    ),
    /// Not TOML.
    #[error("{}: not valid TOML: {message}{}", at.place(), excerpt_line(excerpt))]
    Syntax {
        /// Where.
        at: Origin,
        /// What the parser says.
        message: String,
        /// The line.
        excerpt: Option<String>,
    },
    /// `--set` without a key or a value.
    #[error("--set {argument}: {problem}; write --set KEY=VALUE, for example --set algo.adamw.clip=0.5")]
    Set {
        /// The argument.
        argument: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Keys that do not exist.
    #[error("{}", .0.iter().map(UnknownKey::to_string).collect::<Vec<_>>().join("\n"))]
    UnknownKeys(Vec<UnknownKey>),
    /// A value that does not fit its key.
    #[error("{0}")]
    WrongType(Box<WrongType>),
    /// Keys that nothing sets.
    #[error("{name}: missing {}; {remedy}", keys.join(", "))]
    Missing {
        /// The configuration.
        name: String,
        /// Dotted paths; `[table]` where a whole table is missing.
        keys: Vec<String>,
        /// What to do.
        remedy: String,
    },
    /// Values that cannot work, all of them.
    #[error("{name}: {}{}", match violations.len() { 1 => String::new(), n => format!("{n} problems\n  ") }, violations.join("\n  "))]
    Invalid {
        /// The configuration.
        name: String,
        /// One sentence each.
        violations: Vec<String>,
    },
}

/// A key that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: unknown key {key}{}{allowed}{}", at.place(), meant(nearest), excerpt_line(excerpt))]
pub struct UnknownKey {
    /// Where.
    pub at: Origin,
    /// Dotted path.
    pub key: String,
    /// The key that was probably meant.
    pub nearest: Option<String>,
    /// What its table takes, as a clause.
    pub allowed: String,
    /// The line.
    pub excerpt: Option<String>,
}

/// A value that does not fit its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {key} is {found}; expected {expected}{}{}", at.place(), suggest(nearest), excerpt_line(excerpt))]
pub struct WrongType {
    /// Where.
    pub at: Origin,
    /// Dotted path.
    pub key: String,
    /// The value and what it is.
    pub found: String,
    /// What the key takes.
    pub expected: String,
    /// The most similar allowed string.
    pub nearest: Option<String>,
    /// The line.
    pub excerpt: Option<String>,
}

fn place(at: &Option<Origin>) -> String {
    at.as_ref().map(|at| format!("{}: ", at.place())).unwrap_or_default()
}

/// A suggestion between two clauses.
fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(|| "; ".to_owned(), |name| format!("; did you mean {name}? "))
}

fn suggest(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn excerpt_line(excerpt: &Option<String>) -> String {
    excerpt.as_ref().map(|line| format!("\n    {line}")).unwrap_or_default()
}
