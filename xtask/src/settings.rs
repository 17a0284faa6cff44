//! Settings from the environment; no other module reads it.

#![expect(clippy::disallowed_methods, reason = "this is where xtask reads the environment")]

use std::env;
use std::ffi::OsString;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// Settings, read once at the start.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Root of the workspace.
    pub(crate) workspace: PathBuf,
    /// Cache that all clones share: `$XDG_CACHE_HOME/stepladder` or `~/.cache/stepladder`.
    pub(crate) cache: PathBuf,
    /// `LIBTORCH`, set by the user or by `.cargo/libtorch.toml`.
    pub(crate) libtorch: Option<PathBuf>,
    /// Python in which torch is searched and with which it is installed: `STEPLADDER_PYTHON`, else `python3`.
    pub(crate) python: String,
    /// `STEPLADDER_DATA`, if the user set it.
    pub(crate) data: Option<PathBuf>,
    /// C++ compiler: `CXX`, else `c++`.
    pub(crate) compiler: OsString,
    /// The cargo that runs xtask.
    pub(crate) cargo: OsString,
    /// Whether this is CI, where no test may be skipped.
    pub(crate) ci: bool,
    /// Names of the variables by which cargo describes the xtask package to xtask.
    pub(crate) package_variables: Vec<OsString>,
}

impl Settings {
    /// Reads the environment.
    pub(crate) fn from_env() -> Result<Self> {
        // At run time, not with `env!`: clones that share a target directory also share the built xtask.
        let package = path("CARGO_MANIFEST_DIR").context("not run by cargo: use `cargo xtask`")?;
        let workspace = package.parent().context("xtask is not inside a workspace")?.to_owned();
        let cache = match (path("XDG_CACHE_HOME"), path("HOME").or_else(|| path("USERPROFILE"))) {
            (Some(cache), _) => cache,
            (None, Some(home)) => home.join(".cache"),
            (None, None) => anyhow::bail!("no directory for the cache: set HOME or XDG_CACHE_HOME"),
        };
        let describes_package = |name: &OsString| {
            let name = name.to_string_lossy();
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        };
        Ok(Self {
            workspace,
            cache: cache.join("stepladder"),
            libtorch: path("LIBTORCH"),
            python: env::var("STEPLADDER_PYTHON").unwrap_or_else(|_| "python3".to_owned()),
            data: path("STEPLADDER_DATA"),
            compiler: env::var_os("CXX").unwrap_or_else(|| "c++".into()),
            cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            ci: env::var_os("CI").is_some_and(|value| value == "true"),
            package_variables: env::vars_os().map(|(name, _)| name).filter(describes_package).collect(),
        })
    }

    /// Returns settings of an empty machine, with all paths below `root`.
    #[cfg(test)]
    pub(crate) fn for_tests(root: &Path) -> Self {
        Self {
            workspace: root.join("clone"),
            cache: root.join("cache"),
            libtorch: None,
            python: "no-python-in-tests".into(),
            data: None,
            compiler: "no-compiler-in-tests".into(),
            cargo: "no-cargo-in-tests".into(),
            ci: false,
            package_variables: Vec::new(),
        }
    }
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
