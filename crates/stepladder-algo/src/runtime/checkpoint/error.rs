//! Errors of checkpoint files and directories.

use std::path::Path;

use crate::AlgoError;

/// Creates an error with the file or directory and the reason.
pub(super) fn fail(path: &Path, reason: impl ToString) -> AlgoError {
    AlgoError::Checkpoint { path: path.display().to_string(), reason: reason.to_string() }
}
