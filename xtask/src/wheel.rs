//! The Python package: its wheel, and the virtual environment in which its tests run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::cache::Entry;
use crate::pip;
use crate::settings::Settings;
use crate::stage::{capture, execute};

/// Directory of the package in the workspace.
const PACKAGE: &str = "crates/stepladder-python";

/// Name of the crate.
pub(crate) const CRATE: &str = "stepladder-python";

/// Optimisation of a wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As for everything else that is given away.
    Release,
    /// As for tests: what they have compiled already is used again.
    Dev,
}

/// Builds the wheel into a directory, which it empties of other wheels; returns its path.
pub(crate) fn build(settings: &Settings, profile: Profile, directory: &Path) -> Result<PathBuf> {
    let packages = packages(settings)?;
    fs::create_dir_all(directory)?;
    for old in wheels(directory)? {
        fs::remove_file(old)?;
    }
    let program = packages.join(format!("bin/maturin{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command.args(["build", "--quiet", "--locked", "--interpreter", &settings.python]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    command.arg("--out").arg(directory).current_dir(settings.workspace.join(PACKAGE));
    command.env("CARGO", &settings.cargo);
    for name in &settings.package_variables {
        command.env_remove(name);
    }
    execute(&mut command)?;
    match &wheels(directory)?[..] {
        [wheel] => Ok(wheel.clone()),
        found => bail!("maturin left {} wheels in {}", found.len(), directory.display()),
    }
}

fn wheels(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("stepladder-") && name.ends_with(".whl") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Installs a wheel into a new virtual environment below `directory`, beside the packages that its tests need; returns the Python.
pub(crate) fn install(settings: &Settings, wheel: &Path, directory: &Path) -> Result<PathBuf> {
    let packages = packages(settings)?;
    let (venv, scratch) = (directory.join("venv"), directory.join("tmp"));
    for old in [&venv, &scratch] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    fs::create_dir_all(&scratch)?;
    // Without pip, which a Debian system may lack in virtual environments; the packages are found over a path file.
    execute(Command::new(&settings.python).args(["-m", "venv", "--without-pip"]).arg(&venv))?;
    let python = venv.join("bin/python");
    let site = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let site = PathBuf::from(capture(Command::new(&python).args(["-c", site]))?.trim());
    fs::write(site.join("stepladder-tests.pth"), format!("{}\n", packages.display()))?;
    let installer = pip::installer(&settings.python, &scratch, "install the wheel yourself")?;
    let mut command = pip::install_into(&installer, &python, &scratch);
    execute(command.args(["--no-deps", "--quiet"]).arg(wheel))?;
    fs::remove_dir_all(&scratch)?;
    Ok(python)
}

/// Prepares the command that runs the tests and writes a JUnit report.
pub(crate) fn pytest(settings: &Settings, python: &Path, report: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml"]).arg(report);
    command.current_dir(settings.workspace.join(PACKAGE)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Returns the directory with the pinned packages; installs them into the cache once per Python and list.
fn packages(settings: &Settings) -> Result<PathBuf> {
    let list = settings.workspace.join(PACKAGE).join("requirements.txt");
    let text = fs::read_to_string(&list)?;
    let version = "import sys, sysconfig; print(sys.version_info[:2], sysconfig.get_platform())";
    let mut asked = Command::new(&settings.python);
    let version = capture(asked.args(["-c", version]).stdin(Stdio::null()))
        .with_context(|| format!("`{}` is no Python; name one in STEPLADDER_PYTHON", settings.python))?;
    let digest = Sha256::digest(format!("{version}{text}"));
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("python-{name}");
    let essential = ["pytest/__init__.py", "gymnasium/__init__.py", "numpy/__init__.py", "bin/maturin"];
    let entry = Entry { root: &settings.cache, name: &name, what: "Python packages", essential: &essential };
    entry.prepare(|partial| {
        eprintln!("    installing maturin, pytest and Gymnasium, once for all clones");
        let scratch = partial.join("tmp");
        fs::create_dir(&scratch)?;
        let installer = pip::installer(&settings.python, partial, "install them yourself")?;
        let mut command = pip::install(&installer, partial, &scratch);
        execute(command.args(["--no-deps", "--quiet", "--requirement"]).arg(&list))?;
        for directory in [scratch, partial.join("venv")] {
            if directory.exists() {
                fs::remove_dir_all(directory)?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_of_other_packages_and_other_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["stepladder-0.1.0-cp310-abi3-linux_x86_64.whl", "numpy-2.0.whl", "stepladder-0.1.0.tar.gz"]
        {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let found = wheels(directory.path()).unwrap();
        assert_eq!(found, [directory.path().join("stepladder-0.1.0-cp310-abi3-linux_x86_64.whl")]);
    }

    #[test]
    fn without_python_the_error_names_the_variable() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings::for_tests(directory.path());
        let package = settings.workspace.join(PACKAGE);
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("requirements.txt"), "").unwrap();
        let error = format!("{:#}", packages(&settings).unwrap_err());
        assert!(
            error.starts_with("`no-python-in-tests` is no Python; name one in STEPLADDER_PYTHON"),
            "{error}"
        );
    }
}
