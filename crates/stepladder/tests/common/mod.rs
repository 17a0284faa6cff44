//! Runs the program as a process.
#![allow(unreachable_pub)]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

pub(crate) mod tiny_llama;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use stepladder_core::trace::{self, Episode};
use stepladder_testing::{data_root, skip};

/// Creates a folder with `tiny.toml` in which commands run.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny.toml");
    fs_err::copy(tiny, folder.path().join("tiny.toml")).unwrap();
    folder
}

/// Joins the ids of the built-in environments as messages do.
pub(crate) fn known_environments() -> String {
    stepladder_families::ids().join(", ")
}

/// Prepares `stepladder` in a folder, without the caller's environment variables.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepladder"));
    command.args(arguments).current_dir(folder);
    command.env_remove("STEPLADDER_DATA").env_remove("RUST_BACKTRACE");
    command.env("XDG_CACHE_HOME", folder.join("cache"));
    // Already set, so that the program need not restart itself.
    command.envs([("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "0"), ("OMP_NUM_THREADS", "1")]);
    command.env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
    command
}

/// Exit code and output of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Waits for a command, which must not panic.
pub(crate) fn finish(command: Command) -> Outcome {
    let output = assert_cmd::Command::from_std(command).timeout(Duration::from_secs(300)).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let outcome = Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!outcome.err.contains("panicked") && outcome.code.is_some(), "{outcome:#?}");
    outcome
}

/// Runs a command to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    finish(command(folder, arguments))
}

/// Runs a command with a limit on its address space in KiB.
#[cfg(target_os = "linux")]
pub(crate) fn within(kib: u64, folder: &Path, arguments: &[&str]) -> Outcome {
    let program = command(folder, arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -v {kib}; exec \"$0\" \"$@\"")]);
    shell.arg(program.get_program()).args(program.get_args()).current_dir(folder);
    shell
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env_remove("STEPLADDER_DATA");
    finish(shell)
}

/// Returns the standard output of a command that must succeed.
pub(crate) fn ok(folder: &Path, arguments: &[&str]) -> String {
    let outcome = run(folder, arguments);
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:#?}");
    outcome.out
}

/// Returns the one JSON value that a command prints.
pub(crate) fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(folder, arguments)).unwrap()
}

/// Expects a command to fail with this code and exactly this message at the end of standard error.
pub(crate) fn refused(folder: &Path, arguments: &[&str], code: i32, message: &str) {
    let outcome = run(folder, arguments);
    assert_eq!(outcome.code, Some(code), "{arguments:?}: {outcome:#?}");
    let start = outcome.err.find("error: ").unwrap_or(0);
    assert_eq!(outcome.err[start..], format!("error: {message}\n"), "{arguments:?}");
}

/// Reads the episodes of a trace, compressed or not.
pub(crate) fn episodes(path: &Path) -> Vec<Episode> {
    let bytes = fs_err::read(path).unwrap();
    let compressed = path.extension().is_some_and(|extension| extension == "zst");
    let text = if compressed { zstd::decode_all(bytes.as_slice()).unwrap() } else { bytes };
    trace::read(text.as_slice()).collect::<Result<_, _>>().unwrap()
}

/// Lists every file below a directory, sorted, as a relative path.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs_err::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(directory).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Lists the complete checkpoints of an agent of a run, oldest first.
pub(crate) fn checkpoints(run: &Path, agent: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs_err::read_dir(run.join(agent).join("checkpoints"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("step-"))
        .collect();
    found.sort();
    found
}

/// Reads the lines of `metrics.jsonl` of an agent.
pub(crate) fn metrics(run: &Path, agent: &str) -> Vec<Value> {
    let text = fs_err::read_to_string(run.join(agent).join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the data root if it holds a simulator and Java is installed; otherwise the test is skipped.
pub(crate) fn playable() -> Option<PathBuf> {
    let root = data_root("scienceworld/1.2.3/scienceworld.jar")?;
    if Command::new("java").arg("-version").output().is_err() {
        skip("there is no `java` to run the simulator");
        return None;
    }
    Some(root)
}
