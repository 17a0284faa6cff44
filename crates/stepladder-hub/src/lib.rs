//! Directories of pretrained models: by path, or by hub name through the cache that transformers and hf-hub use (feature
//! `hub`, off by default).

#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

#[cfg(feature = "hub")]
mod hub;
mod name;

use std::path::{Path, PathBuf};

#[cfg(feature = "hub")]
pub use hub::Hub;
use name::Name;

/// Error of [`resolve`]: one sentence with cause and remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Neither a directory nor a hub name.
    #[error(
        "{0} is not a directory; name the directory of a model, or a hub model as OWNER/NAME or OWNER/NAME@REVISION"
    )]
    Neither(String),
    /// A file, where a directory is needed.
    #[error("{0} is a file; name the directory that holds config.json and the weights{gguf}", gguf = gguf(.0))]
    File(String),
    /// A hub name in a build without the feature `hub`.
    #[error(
        "{0} is not a directory, and this build has no hub feature: name the directory of a model, or rebuild with `--features hub`"
    )]
    NoFeature(String),
    /// The hub did not answer, or the answer ended early.
    #[cfg(feature = "hub")]
    #[error(
        "cannot fetch {name} from the hub at {endpoint}: {reason}; try again (what was fetched is kept), or pass the directory of a model, which needs no network"
    )]
    Unreachable {
        /// Address of the hub; the environment variable `HF_ENDPOINT`.
        endpoint: String,
        /// Name of the model.
        name: String,
        /// Cause.
        reason: String,
    },
    /// The hub has no such model, or not for this account.
    #[cfg(feature = "hub")]
    #[error(
        "the hub at {endpoint} has no model {name} that may be read; check name and revision, or store an access token in {token}"
    )]
    Unknown {
        /// Address of the hub; the environment variable `HF_ENDPOINT`.
        endpoint: String,
        /// Name of the model.
        name: String,
        /// Path of the file with the access token.
        token: String,
    },
    /// The hub has the model, but without a file that is needed.
    #[cfg(feature = "hub")]
    #[error("{name} at the hub: {reason}")]
    Unusable {
        /// Name of the model.
        name: String,
        /// Cause.
        reason: String,
    },
}

/// Advice for GGUF files, which must be converted.
fn gguf(path: &str) -> String {
    let is = Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
    if is { format!(", or convert it first: stepladder model convert {path} DIR") } else { String::new() }
}

/// Finds the directory of a pretrained model: an existing directory is itself; `OWNER/NAME` or `OWNER/NAME@REVISION` is
/// a snapshot in hf-hub's cache, which is fetched where it is not complete.
///
/// The cache is below `HF_HOME` (default `~/.cache/huggingface`); the hub is at `HF_ENDPOINT` (default
/// <https://huggingface.co>). A complete snapshot is used without asking the hub.
///
/// # Errors
/// [`HubError`] if it is neither, or cannot be fetched.
pub fn resolve(name_or_path: &str) -> Result<PathBuf, HubError> {
    match local(name_or_path)? {
        Ok(directory) => Ok(directory),
        #[cfg(feature = "hub")]
        Err(name) => Hub::from_env().fetch(&name),
        #[cfg(not(feature = "hub"))]
        Err(_) => Err(HubError::NoFeature(name_or_path.to_owned())),
    }
}

/// Returns an existing directory, or a hub name.
fn local(name_or_path: &str) -> Result<Result<PathBuf, Name>, HubError> {
    let path = Path::new(name_or_path);
    if path.is_dir() {
        return Ok(Ok(path.to_owned()));
    }
    if path.exists() {
        return Err(HubError::File(name_or_path.to_owned()));
    }
    Name::parse(name_or_path).map(Err).ok_or_else(|| HubError::Neither(name_or_path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_itself_and_a_file_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().to_str().unwrap();
        assert_eq!(resolve(path).unwrap(), temporary.path());
        let file = temporary.path().join("model.gguf");
        fs_err::write(&file, "").unwrap();
        let file = file.to_str().unwrap();
        let error = resolve(file).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{file} is a file; name the directory that holds config.json and the weights, or convert it first: stepladder model convert {file} DIR"
            )
        );
        let absent = format!("{path}/absent");
        let error = resolve(&absent).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{absent} is not a directory; name ")), "{error}");
    }

    #[test]
    #[cfg(not(feature = "hub"))]
    fn a_hub_name_needs_the_feature() {
        let error = resolve("absent-owner/model@main").unwrap_err().to_string();
        let remedy = "name the directory of a model, or rebuild with `--features hub`";
        assert_eq!(
            error,
            format!(
                "absent-owner/model@main is not a directory, and this build has no hub feature: {remedy}"
            )
        );
    }
}
