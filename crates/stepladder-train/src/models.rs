//! Directory of the pretrained models that are known by name.

use std::path::{Path, PathBuf};

/// Returns the directory of all models that are known by name: `models` below the data root. Without a data root it is
/// `stepladder/models` in the user's cache, `XDG_CACHE_HOME` or `~/.cache`; `None` for a user without home directory.
#[expect(clippy::disallowed_methods, reason = "this module finds the cache of the user")]
pub fn directory(data_root: Option<&Path>) -> Option<PathBuf> {
    if let Some(root) = data_root {
        return Some(root.join("models"));
    }
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = named.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(cache.join("stepladder/models"))
}
