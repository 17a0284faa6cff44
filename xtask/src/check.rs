//! `cargo xtask check`: every check before a merge except the tests, cheapest first.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::cargo::{cargo, metadata};
use crate::settings::Settings;
use crate::stage::{execute, now, stage};
use crate::{cycles, edges, links, reference, run, terms, tools};

/// Time limit for fetching the database of security advisories.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stage: name for `--only`, heading in the log, function.
type Stage = (&'static str, &'static str, fn(&Settings) -> Result<()>);

/// Stages, cheapest first.
const STAGES: [Stage; 10] = [
    ("formatting", "formatting (mend with `cargo fmt`)", |settings| {
        execute(cargo(settings).args(["fmt", "--all", "--check"]))
    }),
    ("edges", "crate edges", |settings| edges::check(&metadata(settings)?)),
    ("cycles", "import cycles", cycles::check),
    ("terms", "terms (docs/glossary.md)", terms::check),
    ("links", "links", links::check),
    ("spelling", "spelling (words that are right go into typos.toml)", |settings| {
        let typos = tools::TYPOS.program(settings)?;
        run_tool(Command::new(typos).current_dir(&settings.workspace).args(["--format", "brief"]))
    }),
    ("dependencies", "dependencies (the first run builds cargo-deny, which takes minutes)", dependencies),
    ("references", "generated references (the first build takes minutes)", |settings| {
        run::tensors(settings)?;
        reference::generate(settings, true)
    }),
    ("lints", "lints", |settings| {
        run::tensors(settings)?;
        let words = ["clippy", "--workspace", "--all-features", "--all-targets", "--", "-D", "warnings"];
        execute(cargo(settings).args(words))
    }),
    ("documentation", "documentation", |settings| {
        run::tensors(settings)?;
        let doc = ["doc", "--workspace", "--all-features", "--no-deps", "--document-private-items"];
        execute(cargo(settings).env("RUSTDOCFLAGS", "-D warnings").args(doc))
    }),
];

/// Names of the stages, for `--only`.
pub(crate) const NAMES: [&str; STAGES.len()] = {
    let mut names = [""; STAGES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = STAGES[at].0;
        at += 1;
    }
    names
};

/// Runs the stages, or one of them, and stops at the first failure.
pub(crate) fn check(settings: &Settings, only: Option<&str>) -> Result<()> {
    for (name, title, run) in STAGES {
        if only.is_none_or(|only| only == name) {
            stage(title, || run(settings))?;
        }
    }
    match only {
        Some(name) => eprintln!("==> {name} passed"),
        None => eprintln!("==> all checks passed; the tests are `cargo xtask test`"),
    }
    Ok(())
}

/// Checks licences, forbidden crates and sources of all dependencies (`deny.toml`), and security advisories where they can be
/// fetched.
fn dependencies(settings: &Settings) -> Result<()> {
    let deny = tools::CARGO_DENY.program(settings)?;
    run_tool(at(&settings.workspace, &deny).args(["check", "licenses", "bans", "sources"]))?;
    advisories(&settings.workspace, &deny)
}

/// Checks advisories. Unlike the other checks, their result can change without a commit, and they need another host.
fn advisories(workspace: &Path, deny: &Path) -> Result<()> {
    match fetch(at(workspace, deny).args(["fetch", "db"])) {
        Ok(()) => run_tool(at(workspace, deny).args(["check", "advisories"])),
        Err(error) => {
            eprintln!("    SKIPPED: security advisories, as their database cannot be fetched: {error:#}");
            Ok(())
        }
    }
}

fn fetch(command: &mut Command) -> Result<()> {
    command.env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = now();
    let mut child = command.spawn()?;
    while child.try_wait()?.is_none() {
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("no answer after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    bail!("{}", text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given"))
}

/// Runs a tool and hides its exit code, since code 2 of xtask means wrong usage.
fn run_tool(command: &mut Command) -> Result<()> {
    execute(command).map_err(|error| anyhow!("{error:#}"))
}

fn at(workspace: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace);
    command
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::stage::exit_code;

    /// Runs the check with a fake cargo-deny that runs `fetch` to fetch the database and `check` to check; returns the recorded
    /// calls.
    fn advise(fetch: &str, check: &str) -> (Result<()>, String) {
        let directory = tempfile::tempdir().unwrap();
        let deny = directory.path().join("cargo-deny");
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> calls\ncase \"$1\" in\nfetch) {fetch};;\ncheck) {check};;\nesac\n"
        );
        fs_err::write(&deny, script).unwrap();
        fs_err::set_permissions(&deny, std::fs::Permissions::from_mode(0o755)).unwrap();
        let result = advisories(directory.path(), &deny);
        (result, fs_err::read_to_string(directory.path().join("calls")).unwrap())
    }

    #[test]
    fn advisories_are_checked_where_their_database_can_be_fetched() {
        let (result, calls) = advise("true", "true");
        result.unwrap();
        assert_eq!(calls, "fetch db\ncheck advisories\n");
        let (result, _) = advise("true", "exit 2");
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), "`cargo-deny check advisories` failed (exit code 2)");
        assert_eq!(exit_code(&error), 1);
    }

    #[test]
    fn without_the_database_nothing_is_checked_and_the_reason_is_known() {
        let (result, calls) = advise("exit 1", "exit 1");
        result.unwrap();
        assert_eq!(calls, "fetch db\n");
        let mut command = Command::new("sh");
        let error =
            fetch(command.args(["-c", "echo ERROR >&2; echo 'fatal: no host' >&2; echo >&2; exit 1"]));
        assert_eq!(error.unwrap_err().to_string(), "fatal: no host");
    }
}
