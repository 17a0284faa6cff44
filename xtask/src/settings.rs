//! The only place where xtask reads its environment.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What the environment says, read once at the start.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Root of the workspace.
    pub(crate) workspace: PathBuf,
    /// Cache that all clones share: `$XDG_CACHE_HOME/stepladder` or `~/.cache/stepladder`.
    pub(crate) cache: PathBuf,
    /// `LIBTORCH`, where the user set it.
    pub(crate) libtorch: Option<PathBuf>,
    /// Python to look for torch in and to install it with: `STEPLADDER_PYTHON`, else `python3`.
    pub(crate) python: String,
    /// `STEPLADDER_DATA`, where the user set it.
    pub(crate) data: Option<PathBuf>,
}

impl Settings {
    /// Reads the environment.
    pub(crate) fn from_env() -> Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask does not lie inside a workspace")?
            .to_owned();
        let cache = match (path("XDG_CACHE_HOME"), path("HOME")) {
            (Some(cache), _) => cache,
            (None, Some(home)) => home.join(".cache"),
            (None, None) => anyhow::bail!("no place for the cache: set HOME or XDG_CACHE_HOME"),
        };
        Ok(Self {
            workspace,
            cache: cache.join("stepladder"),
            libtorch: path("LIBTORCH"),
            python: env::var("STEPLADDER_PYTHON").unwrap_or_else(|_| "python3".to_owned()),
            data: path("STEPLADDER_DATA"),
        })
    }
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
