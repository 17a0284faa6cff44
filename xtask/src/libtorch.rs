//! Detection and installation of libtorch 2.11, the tensor library behind `tch`.
//!
//! The choice is written to `.cargo/libtorch.toml`, which the committed `.cargo/config.toml` includes. Every later cargo command
//! then finds libtorch without an exported variable, and switching between `cargo xtask` and plain `cargo` causes no rebuild,
//! since cargo sees the same value both ways.

mod install;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use fs_err as fs;

use crate::settings::Settings;

/// Version that the pinned `tch` binds.
const VERSION: &str = "2.11.0";

/// Patch releases have the same interface.
const SERIES: &str = "2.11.";

/// Header with the version, present in every distribution; the C++ part of `tch` compiles against it.
const VERSION_HEADER: &str = "include/torch/headeronly/version.h";

/// Variant of the libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Libraries for a CPU.
    Cpu,
    /// Libraries for a CPU and an NVIDIA GPU.
    Cuda,
}

/// Ensures that there is a libtorch and that cargo finds it.
pub(crate) fn choose(settings: &Settings, cuda: bool) -> Result<()> {
    let (home, origin) = find(settings, cuda)?;
    eprintln!("    {} ({origin})", home.display());
    let pointer = pointer(settings);
    let text = pointer_text(&home);
    if fs::read_to_string(&pointer).ok().as_ref() == Some(&text) {
        return Ok(());
    }
    if let Some(directory) = pointer.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(&pointer, text)?;
    Ok(())
}

/// Returns the variables by which other build tools find the chosen libtorch.
pub(crate) fn variables(settings: &Settings) -> Result<Vec<(&'static str, String)>> {
    let Some(home) = pointed(settings) else { bail!("{} names no libtorch", pointer(settings).display()) };
    Ok(vec![("LIBTORCH", home.display().to_string()), ("LIBTORCH_CXX11_ABI", "1".to_owned())])
}

/// Checks that there is a C++ compiler, which the build of `tch` needs.
pub(crate) fn compiler(settings: &Settings) -> Result<()> {
    let mut command = Command::new(&settings.compiler);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bail!(
        "no C++ compiler `{}`: install one (Debian, Ubuntu: `apt-get install g++`; macOS: `xcode-select --install`) or name it in CXX",
        settings.compiler.display()
    )
}

/// Finds a libtorch, in this order: the user's `LIBTORCH`, the earlier choice, the torch that Python would import, the cache.
fn find(settings: &Settings, cuda: bool) -> Result<(PathBuf, &'static str)> {
    let pointed = pointed(settings);
    // `cargo run` sets the variable to the pointer's value; only another value comes from the user.
    if let Some(home) = settings.libtorch.as_ref().filter(|home| pointed.as_ref() != Some(home)) {
        check(home)?;
        return Ok((home.clone(), "from LIBTORCH"));
    }
    if cuda {
        return Ok((install::cached(settings, Kind::Cuda)?, "from the cache"));
    }
    if let Some(home) = pointed {
        if let Some(kind) = install::kind_of(settings, &home) {
            return Ok((install::cached(settings, kind)?, "from the cache"));
        }
        if check(&home).is_ok() {
            return Ok((home, "chosen earlier"));
        }
    }
    if let Some(home) = of_python(&settings.python) {
        let usable = check(&home).and_then(|()| install::loads(&settings.python, &home));
        match usable {
            Ok(()) => return Ok((home, "from the torch of Python")),
            Err(error) => eprintln!("    not the torch of `{}`: {error:#}", settings.python),
        }
    }
    Ok((install::cached(settings, Kind::Cpu)?, "from the cache"))
}

fn pointer(settings: &Settings) -> PathBuf {
    settings.workspace.join(".cargo/libtorch.toml")
}

/// Returns the libtorch that an earlier run chose for this clone.
fn pointed(settings: &Settings) -> Option<PathBuf> {
    let text = fs::read_to_string(pointer(settings)).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("LIBTORCH = "))?;
    // A JSON string is a TOML string too, so the pointer is written and read as JSON.
    serde_json::from_str::<String>(value).ok().map(PathBuf::from)
}

fn pointer_text(home: &Path) -> String {
    let value = serde_json::Value::from(home.display().to_string());
    format!(
        "# Written by `cargo xtask`; remove this file to have libtorch looked for again.\n\
         [env]\nLIBTORCH = {value}\nLIBTORCH_CXX11_ABI = \"1\"\n"
    )
}

/// Checks that `home` is a libtorch of the right version.
fn check(home: &Path) -> Result<()> {
    let remedy = format!("unset LIBTORCH to have {VERSION} installed");
    match version(home) {
        Some(found) if found.starts_with(SERIES) => Ok(()),
        Some(found) => {
            bail!("{} holds libtorch {found}, but the build needs {SERIES}x; {remedy}", home.display())
        }
        None => bail!("{} is no libtorch: it has no `{VERSION_HEADER}`; {remedy}", home.display()),
    }
}

/// Returns the version in the C++ headers.
fn version(home: &Path) -> Option<String> {
    let text = fs::read_to_string(home.join(VERSION_HEADER)).ok()?;
    let number = |name: &str| {
        let prefix = format!("#define TORCH_VERSION_{name} ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::trim)
    };
    Some(format!("{}.{}.{}", number("MAJOR")?, number("MINOR")?, number("PATCH")?))
}

/// Returns the directory of the torch package that this Python would import, without importing it.
fn of_python(python: &str) -> Option<PathBuf> {
    let code = "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0])";
    let output = Command::new(python).args(["-c", code]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

#[cfg(test)]
mod tests;
