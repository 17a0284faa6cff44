//! Errors of loading a game.

use std::path::PathBuf;

use stepladder_env::EnvError;

/// Why a game cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GameError {
    /// The file cannot be read.
    #[error("cannot read the game file: {0}")]
    Read(#[source] std::io::Error),
    /// The file is not the JSON of a game: truncated, corrupt, or without a required key.
    #[error("not a game file (truncated or corrupt?): {0}")]
    Json(#[from] serde_json::Error),
    /// The PDDL domain is not one of the supported ones.
    #[error(
        "unknown PDDL domain (fingerprint {fingerprint}): only the domains of alfworld 0.3 and 0.4 are supported"
    )]
    UnknownDomain {
        /// SHA-256 of the normalised text, in hexadecimal.
        fingerprint: String,
    },
    /// The text grammar is not one of the supported ones.
    #[error(
        "unknown text grammar (fingerprint {fingerprint}): only the grammars of alfworld 0.3 and 0.4 are supported"
    )]
    UnknownGrammar {
        /// SHA-256 of the normalised text, in hexadecimal.
        fingerprint: String,
    },
    /// A generated game names a dialect that does not exist.
    #[error("unknown dialect `{found}`: expected `alfworld-0.4` or `alfworld-0.3`")]
    UnknownDialect {
        /// Name in the file.
        found: String,
    },
    /// A required key is missing.
    #[error("the key `{key}` is missing: {why}")]
    MissingKey {
        /// Name of the JSON key.
        key: &'static str,
        /// Why the game needs it.
        why: &'static str,
    },
    /// The grammar has no task sentence.
    #[error("the grammar has no task sentence (`Your task is to: …`)")]
    NoTask,
    /// The PDDL problem is not well formed.
    #[error("line {line} of `pddl_problem`: {reason}")]
    Syntax {
        /// Line inside the PDDL text, from 1.
        line: usize,
        /// Expected token or construct.
        reason: String,
    },
    /// The family of a generated game names another number of goals than its problem.
    #[error("the family `{family}` does not match `pddl_problem`, whose number of goals is {goals}")]
    GoalCount {
        /// Family in the file.
        family: String,
        /// Number of goals of the problem.
        goals: usize,
    },
    /// The PDDL problem has a construct that ALFWorld's games never use.
    #[error("`pddl_problem` has {what}, which the engine does not support")]
    Unsupported {
        /// The unsupported construct.
        what: String,
    },
}

/// A loading error with its file.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub struct FileError {
    /// The game file.
    pub path: PathBuf,
    /// Why it cannot be loaded.
    #[source]
    pub error: GameError,
}

impl From<FileError> for EnvError {
    fn from(error: FileError) -> Self {
        Self::Data { path: error.path, reason: error.error.to_string() }
    }
}

/// Creates a [`GameError::Unsupported`].
pub(crate) fn unsupported(what: impl Into<String>) -> GameError {
    GameError::Unsupported { what: what.into() }
}
