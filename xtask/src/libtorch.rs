//! Finding or installing libtorch 2.11, the tensor library behind `tch`.

mod install;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::settings::Settings;

/// The version that the pinned `tch` binds.
pub(crate) const VERSION: &str = "2.11.0";

/// A usable libtorch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Libtorch {
    /// Directory with `include/` and `lib/`, as the `LIBTORCH` variable of `tch` wants it.
    pub(crate) home: PathBuf,
    /// Where it came from, for the heading line.
    pub(crate) origin: &'static str,
}

/// The user's own libtorch (`LIBTORCH`, then the torch of `python3`), else the one in the cache, installed if need be.
pub(crate) fn prepare(settings: &Settings) -> Result<Libtorch> {
    if let Some(home) = &settings.libtorch {
        check(home)?;
        return Ok(Libtorch { home: home.clone(), origin: "LIBTORCH" });
    }
    if let Some(home) = of_python(&settings.python) {
        if check(&home).is_ok() && install::loads(&settings.python, &home).is_ok() {
            return Ok(Libtorch { home, origin: "the torch of python3" });
        }
    }
    let home = install::cached(settings)?;
    Ok(Libtorch { home, origin: "cache" })
}

/// Complains where `home` is not a libtorch of the right version.
fn check(home: &Path) -> Result<()> {
    let found = version(home);
    match found.as_deref() {
        Some(found) if found == VERSION || found.starts_with("2.11.") => Ok(()),
        Some(found) => bail!(
            "{} holds libtorch {found}, but Stepladder needs {VERSION}; unset LIBTORCH to have it installed",
            home.display()
        ),
        None => bail!(
            "{} is no libtorch (no include/torch/headeronly/version.h); unset LIBTORCH to have {VERSION} installed",
            home.display()
        ),
    }
}

/// Version according to the C++ headers, which are what the build sees.
fn version(home: &Path) -> Option<String> {
    let text = fs::read_to_string(home.join("include/torch/headeronly/version.h")).ok()?;
    let number = |name: &str| {
        let prefix = format!("#define TORCH_VERSION_{name} ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).map(|value| value.trim().to_owned())
    };
    Some(format!("{}.{}.{}", number("MAJOR")?, number("MINOR")?, number("PATCH")?))
}

/// Directory of the torch package that this Python would import, without importing it.
fn of_python(python: &str) -> Option<PathBuf> {
    let code = "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')";
    let output = Command::new(python).args(["-c", code]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let home = PathBuf::from(text.trim());
    (output.status.success() && home.join("lib").is_dir()).then_some(home)
}
