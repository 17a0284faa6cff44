//! Installation of Python packages into a directory of the cache.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Returns a program that understands `install --target`: the pip of Python, that of a new virtual environment below `partial`,
/// or uv. The error ends with the alternative `instead` of installing.
pub(crate) fn installer(python: &str, partial: &Path, instead: &str) -> Result<Vec<String>> {
    let works = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if works(python, &["-m", "pip", "--version"]) {
        return Ok(words(&[python, "-m", "pip"]));
    }
    let venv = partial.join("venv").display().to_string();
    if works(python, &["-m", "venv", &venv]) {
        return Ok(words(&[&format!("{venv}/bin/python"), "-m", "pip"]));
    }
    if works("uv", &["--version"]) {
        return Ok(words(&["uv", "pip"]));
    }
    bail!(
        "`{python}` has neither pip nor venv, and there is no uv: install one of them \
         (Debian, Ubuntu: `apt-get install python3-pip`), or {instead}"
    )
}

/// Prepares a command that installs into `target`; the caller adds the packages as arguments. `scratch` must exist.
pub(crate) fn install(installer: &[String], target: &Path, scratch: &Path) -> Command {
    let mut command = Command::new(&installer[0]);
    command.args(&installer[1..]).arg("install").arg("--target").arg(target);
    prepared(command, scratch)
}

/// Prepares a command that installs into the virtual environment of a Python, as [`install`] does into a directory.
pub(crate) fn install_into(installer: &[String], python: &Path, scratch: &Path) -> Command {
    let mut command = Command::new(&installer[0]);
    command.args(&installer[1..]);
    // An option of pip itself, of uv's `install` only.
    let uv = installer[0] == "uv";
    let order = if uv { ["install", "--python"] } else { ["--python", "install"] };
    for word in order {
        command.arg(word);
        if word == "--python" {
            command.arg(python);
        }
    }
    prepared(command, scratch)
}

fn prepared(mut command: Command, scratch: &Path) -> Command {
    // pip downloads and unpacks in TMPDIR and then moves the files, which is free on the same file system.
    command.env("TMPDIR", scratch).stdin(Stdio::null());
    // `user = true` in the user's configuration would contradict --target.
    command
        .env("PIP_USER", "0")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .env("PIP_ROOT_USER_ACTION", "ignore");
    command
}
