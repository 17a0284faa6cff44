//! Why a game could not be loaded.

use std::path::PathBuf;

use stepladder_env::EnvError;

/// What is wrong with one game.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GameError {
    /// The file cannot be read.
    #[error("cannot read the game file: {0}")]
    Read(#[source] std::io::Error),
    /// Not the JSON of a game: truncated, corrupt, or without a needed key.
    #[error("not a game file (truncated or corrupt?): {0}")]
    Json(#[from] serde_json::Error),
    /// The PDDL domain is none of those whose rules the engine knows.
    #[error(
        "unknown PDDL domain (fingerprint {fingerprint}): only the domains of alfworld 0.3 and 0.4 can be played"
    )]
    UnknownDomain {
        /// SHA-256 of the normalised text, in hexadecimal.
        fingerprint: String,
    },
    /// The text grammar is none of those whose words the engine knows.
    #[error(
        "unknown text grammar (fingerprint {fingerprint}): only the grammars of alfworld 0.3 and 0.4 can be spoken"
    )]
    UnknownGrammar {
        /// SHA-256 of the normalised text, in hexadecimal.
        fingerprint: String,
    },
    /// A generated game names a dialect that does not exist.
    #[error("unknown dialect `{found}`: expected `alfworld-0.4` or `alfworld-0.3`")]
    UnknownDialect {
        /// What the file says.
        found: String,
    },
    /// A key that the game needs is absent.
    #[error("the key `{key}` is missing: {why}")]
    MissingKey {
        /// Name of the JSON key.
        key: &'static str,
        /// Why the game needs it.
        why: &'static str,
    },
    /// The grammar holds no task sentence.
    #[error("the grammar holds no task sentence (`Your task is to: …`)")]
    NoTask,
    /// The PDDL problem is not well formed.
    #[error("line {line} of `pddl_problem`: {reason}")]
    Syntax {
        /// Line inside the PDDL text, from 1.
        line: usize,
        /// What was expected.
        reason: String,
    },
    /// The family of a generated game speaks of another number of goals than its problem.
    #[error(
        "the family `{family}` does not fit the goal of `pddl_problem`, which is {goals} to be reached in order"
    )]
    GoalCount {
        /// What the file calls itself.
        family: String,
        /// Goals of the problem.
        goals: usize,
    },
    /// The PDDL problem says something that ALFWorld's games never say.
    #[error("`pddl_problem` has {what}, which the engine does not support")]
    Unsupported {
        /// The offending construct.
        what: String,
    },
}

/// An error with the file it concerns.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub struct FileError {
    /// The game file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub error: GameError,
}

impl From<FileError> for EnvError {
    fn from(error: FileError) -> Self {
        Self::Data { path: error.path, reason: error.error.to_string() }
    }
}

/// Error of a game that needs something that the engine does not have.
pub(crate) fn unsupported(what: impl Into<String>) -> GameError {
    GameError::Unsupported { what: what.into() }
}
