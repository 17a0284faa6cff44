//! Where a value was written.

use std::collections::BTreeMap;
use std::fmt;

/// Where a value was written. Displays as people name the place: `preset demo`, `runs/x.toml:14`, `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The declaration of the key.
    Default,
    /// An embedded preset.
    Preset(String),
    /// A line of a file.
    File {
        /// Path as the user gave it.
        path: String,
        /// Line, from 1.
        line: usize,
    },
    /// A run directory, by the path that the user gave.
    Run(String),
    /// A `--set` argument.
    Set(String),
    /// `algo.offline_ac.profile = "code"`, which stands for more keys.
    Profile,
}

/// Origins by key; a key without one is absent.
pub type Origins = BTreeMap<String, Origin>;

impl Origin {
    /// The place at the head of an error message; unlike `Display` it repeats a `--set` argument.
    pub fn place(&self) -> String {
        match self {
            Self::Set(argument) => format!("--set {argument}"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Run(path) => write!(f, "run {path}"),
            Self::Set(_) => f.write_str("--set"),
            Self::Profile => f.write_str("algo.offline_ac.profile"),
        }
    }
}
