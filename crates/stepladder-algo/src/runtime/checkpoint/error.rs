//! Errors about a file or directory of a checkpoint.

use std::path::Path;

use crate::AlgoError;

/// An error that names the file or directory and the reason.
pub(super) fn fail(path: &Path, reason: impl ToString) -> AlgoError {
    AlgoError::Checkpoint { path: path.display().to_string(), reason: reason.to_string() }
}
