//! Origins of configuration values.

use std::collections::BTreeMap;
use std::fmt;

/// Origin of a value. Displays as a short place: `preset demo`, `runs/x.toml:14`, `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Declared default of the key.
    Default,
    /// An embedded preset.
    Preset(String),
    /// A line of a file.
    File {
        /// Path as the user wrote it.
        path: String,
        /// Line number, from 1.
        line: usize,
    },
    /// A run directory, by the path that the user wrote.
    Run(String),
    /// A `--set` argument.
    Set(String),
    /// `algo.offline_ac.profile = "code"`, which sets further keys.
    Profile,
}

/// Origins by key; a key without an origin is absent.
pub type Origins = BTreeMap<String, Origin>;

impl Origin {
    /// Whether the user wrote the value, in a file or as an argument.
    pub(super) fn is_of_user(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Set(_))
    }

    /// Returns the place for the head of an error message; unlike `Display` it repeats a `--set` argument.
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
