//! Programs for checks, in pinned versions: from `PATH` if it has that version, else from the cache.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::cache::Entry;
use crate::cargo::cargo;
use crate::pip;
use crate::settings::Settings;
use crate::stage::execute;

/// Spell checker.
pub(crate) const TYPOS: Tool = Tool { name: "typos", version: "1.52.0", origin: Origin::PyPi };

/// Checker of licences, sources and advisories of dependencies.
pub(crate) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", origin: Origin::CratesIo };

/// Source of a tool.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// A wheel that contains the program.
    PyPi,
    /// A crate to build.
    CratesIo,
}

/// A program in one version.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    origin: Origin,
}

impl Tool {
    /// Returns the path of the program; installs it into the cache if this version is not available.
    pub(crate) fn program(&self, settings: &Settings) -> Result<PathBuf> {
        if self.version_of(Path::new(self.name)).as_deref() == Some(self.version) {
            return Ok(self.name.into());
        }
        let file = format!("bin/{}{}", self.name, std::env::consts::EXE_SUFFIX);
        // The version is part of the name: another version in the cache, of an older clone, is neither used nor changed.
        let name = format!("{}-{}", self.name, self.version);
        let entry = Entry { root: &settings.cache, name: &name, what: self.name, essential: &[&file] };
        let path = entry.prepare(|partial| {
            self.install(settings, partial)?;
            match self.version_of(&partial.join(&file)) {
                Some(version) if version == self.version => Ok(()),
                Some(version) => bail!("the installed {} is of version {version}", self.name),
                None => bail!("the installed {} does not run", self.name),
            }
        });
        let path = path.with_context(|| {
            format!(
                "{} {} could not be installed into {}: run the same command again with a network, or put this version on \
                 PATH (`{}`)",
                self.name,
                self.version,
                settings.cache.display(),
                self.remedy()
            )
        })?;
        Ok(path.join(file))
    }

    fn remedy(&self) -> String {
        match self.origin {
            Origin::PyPi => format!("pip install {}=={}", self.name, self.version),
            Origin::CratesIo => format!("cargo install --locked {}@{}", self.name, self.version),
        }
    }

    /// Returns the last word that `--version` prints, if the program runs.
    fn version_of(&self, program: &Path) -> Option<String> {
        let mut command = Command::new(program);
        let output = command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        text.split_whitespace().last().map(str::to_owned)
    }

    fn install(&self, settings: &Settings, partial: &Path) -> Result<()> {
        eprintln!("    installing {} {}, once for all clones", self.name, self.version);
        let scratch = partial.join("tmp");
        fs::create_dir(&scratch)?;
        match self.origin {
            Origin::PyPi => {
                let installer = pip::installer(&settings.python, partial, "install it yourself")?;
                let mut command = pip::install(&installer, partial, &scratch);
                command.args(["--no-deps", "--quiet"]).arg(format!("{}=={}", self.name, self.version));
                execute(&mut command)?;
            }
            Origin::CratesIo => {
                let mut command = cargo(settings);
                command.args(["install", "--locked", "--quiet", "--root"]).arg(partial);
                command.arg("--target-dir").arg(&scratch).arg(format!("{}@{}", self.name, self.version));
                // The tool runs for a second, so its build time matters.
                for (key, value) in
                    [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16"), ("DEBUG", "0")]
                {
                    command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
                }
                execute(&mut command)?;
            }
        }
        for directory in [scratch, partial.join("venv")] {
            if directory.exists() {
                fs::remove_dir_all(directory)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TOOL: Tool = Tool { name: "tool-in-tests", version: "2.0.0", origin: Origin::PyPi };

    fn script(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Written under another name and renamed: a script that is being executed must not be open for writing.
        fs::write(path.with_extension("new"), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path.with_extension("new"), std::fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    /// Creates a machine whose pip installs a program of this version and records that it did.
    fn machine(root: &Path, version: &str) -> Settings {
        let mut settings = Settings::for_tests(root);
        settings.python = root.join("python").display().to_string();
        let install = format!(
            "[ \"$2\" = pip ] || exit 1\n[ \"$3\" = install ] || exit 0\necho \"$*\" >> '{}/installs'\nmkdir -p \"$5/bin\"\n\
             printf '#!/bin/sh\\necho tool {version}\\n' > \"$5/bin/tool-in-tests\"\nchmod +x \"$5/bin/tool-in-tests\"",
            root.display()
        );
        script(&root.join("python"), &install);
        settings
    }

    fn installs(root: &Path) -> usize {
        fs::read_to_string(root.join("installs")).map_or(0, |text| text.lines().count())
    }

    #[test]
    fn a_tool_is_installed_once_and_another_version_is_not_taken_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let settings = machine(root, "1.0.0");
        let older = Tool { version: "1.0.0", ..TOOL }.program(&settings).unwrap();
        let settings = machine(root, "2.0.0");
        let program = TOOL.program(&settings).unwrap();
        assert_ne!(program, older);
        assert_eq!(TOOL.version_of(&program).as_deref(), Some("2.0.0"));
        assert_eq!(TOOL.program(&settings).unwrap(), program);
        assert_eq!(installs(root), 2);
        assert!(!root.join("cache/tool-in-tests-2.0.0/tmp").exists());
        // A replaced program is noticed by its size.
        script(&program, "echo tool 1.0.0 or something else");
        assert_eq!(TOOL.program(&settings).unwrap(), program);
        assert_eq!(TOOL.version_of(&program).as_deref(), Some("2.0.0"));
        assert_eq!(installs(root), 3);
    }

    #[test]
    fn an_installer_that_brings_another_version_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let settings = machine(directory.path(), "1.9.0");
        let error = format!("{:#}", TOOL.program(&settings).unwrap_err());
        assert!(error.ends_with("the installed tool-in-tests is of version 1.9.0"), "{error}");
        assert!(!directory.path().join("cache/tool-in-tests-2.0.0").exists());
    }

    #[test]
    fn without_a_network_the_error_says_how_to_get_the_tool() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = machine(directory.path(), "2.0.0");
        script(Path::new(&settings.python), "[ \"$3\" = install ] && exit 1; exit 0");
        let error = format!("{:#}", TOOL.program(&settings).unwrap_err());
        let remedy = "run the same command again with a network, or put this version on PATH (`pip install tool-in-tests==2.0.0`)";
        assert!(error.contains(remedy), "{error}");
        settings.cargo = "false".into();
        let error =
            format!("{:#}", Tool { origin: Origin::CratesIo, ..TOOL }.program(&settings).unwrap_err());
        assert!(error.contains("(`cargo install --locked tool-in-tests@2.0.0`)"), "{error}");
    }
}
