//! The built xtask as a process: wrong usage, a download that is killed half way, and the end of a test run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;

fn xtask(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).env_remove("LIBTORCH").env_remove("STEPLADDER_DATA");
    command.env("CARGO_MANIFEST_DIR", root.join("clone/xtask")).env("XDG_CACHE_HOME", root.join("cache"));
    command.env("STEPLADDER_PYTHON", root.join("python"));
    command
}

fn output(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// Creates a Python whose pip installs half a torch and then runs `then`; `$5` is the target directory.
fn python(root: &Path, then: &str) {
    let script = format!(
        r#"#!/bin/sh
case "$1 $3" in
'-c '*) test -s "$3" ;;
'-m --version') true ;;
'-m install')
    mkdir -p "$5/torch/lib" "$5/torch/include/torch/headeronly"
    echo half > "$5/torch/lib/libtorch_cpu.so"
    echo half > "$5/torch/lib/libtorch_cpu.dylib"
    {then} ;;
*) false ;;
esac
"#
    );
    let path = root.join("python");
    fs::write(path.with_extension("new"), script).unwrap();
    fs::set_permissions(path.with_extension("new"), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Renamed into place: a script that is being executed must not be open for writing.
    fs::rename(path.with_extension("new"), path).unwrap();
}

const OTHER_HALF: &str = r##"printf '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0\n' > "$5/torch/include/torch/headeronly/version.h""##;

/// Lists the names in the cache that are neither lock files nor hidden.
fn cache(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join("cache/stepladder")) else { return vec![] };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[expect(clippy::disallowed_methods, reason = "waits for a limited time")]
/// Waits until the fake installer has written its process id.
fn installer(root: &Path, run: &Child) -> String {
    let pid = root.join(format!("cache/stepladder/libtorch-2.11.0.partial-{}/pid", run.id()));
    let started = Instant::now();
    loop {
        match fs::read_to_string(&pid) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(started.elapsed() < Duration::from_secs(60), "the download never began"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_typo_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    let (code, text) = output(&mut xtask(directory.path(), &["chekc"]));
    assert_eq!(code, Some(2));
    assert!(
        text.contains("unrecognized subcommand 'chekc'") && text.contains("Usage: cargo xtask"),
        "{text}"
    );
    let (code, text) = output(&mut xtask(directory.path(), &["check", "--fast"]));
    assert_eq!(code, Some(2));
    assert!(text.contains("unexpected argument '--fast'"), "{text}");
}

#[test]
fn a_killed_download_is_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    python(root, r#"echo $$ > "$TMPDIR/../pid"; exec sleep 600"#);
    let mut run = xtask(root, &["libtorch"]).stderr(Stdio::null()).spawn().unwrap();
    let installer = installer(root, &run);
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(cache(root), [format!("libtorch-2.11.0.partial-{}", run.id())]);

    python(root, OTHER_HALF);
    let (code, text) = output(&mut xtask(root, &["libtorch"]));
    // The installer of the killed run is still alive, and must not have interfered.
    assert!(Command::new("kill").arg(installer).status().unwrap().success());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("an earlier attempt at libtorch was interrupted"), "{text}");
    assert_eq!(cache(root), ["libtorch-2.11.0"]);
    let pointer = fs::read_to_string(root.join("clone/.cargo/libtorch.toml")).unwrap();
    assert!(pointer.contains("libtorch-2.11.0/site/torch"), "{pointer}");
}

#[test]
fn a_failed_download_says_what_to_do_and_the_next_run_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    python(root, "echo 'ERROR: no route to host' >&2; exit 1");
    let (code, text) = output(&mut xtask(root, &["libtorch"]));
    assert_eq!(code, Some(1));
    assert!(text.contains("no route to host") && text.contains("set LIBTORCH"), "{text}");
    assert_eq!(cache(root), Vec::<String>::new());

    python(root, OTHER_HALF);
    let (code, text) = output(&mut xtask(root, &["libtorch"]));
    assert_eq!(code, Some(0), "{text}");
}

/// Creates a cargo whose runners run `tests` and print one documentation example; `$STEPLADDER_SKIPS` is the file of skips.
fn cargo(root: &Path, has_nextest: bool, tests: &str) -> Command {
    fs::create_dir_all(root.join("clone/target/nextest/xtask")).unwrap();
    let metadata = r#"{"packages":[{"name":"stepladder-env","targets":[{"doctest":true}]}]}"#;
    let script = format!(
        r#"#!/bin/sh
case "$1 $2" in
'metadata '*) echo '{metadata}' ;;
'nextest --version') {has_nextest} ;;
'test --doc') echo 'test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out' ;;
'nextest run' | 'test '*) {tests} ;;
*) exit 9 ;;
esac
"#
    );
    let path = root.join("cargo");
    fs::write(path.with_extension("new"), script).unwrap();
    fs::set_permissions(path.with_extension("new"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    let mut command = xtask(root, &["test", "-p", "stepladder-env"]);
    command.env("CARGO", path).env_remove("CI");
    command
}

const JUNIT: &str = r#"cat > target/nextest/xtask/junit.xml <<'END'
<testsuites><testsuite>
<testcase name="slow" classname="stepladder-env" time="2.5"/>
<testcase name="left_out" classname="stepladder-env" time="0.5"/>
</testsuite></testsuites>
END
"#;

const SKIP: &str = r#"printf 'stepladder-env\nleft_out\nno data\n' > "$STEPLADDER_SKIPS/1-0"; "#;

#[test]
fn a_test_run_ends_with_the_slowest_and_the_skipped_tests_and_a_skip_fails_ci() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (code, text) = output(&mut cargo(root, true, &format!("{SKIP}{JUNIT}")));
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("\n    the slowest 2 of 2 tests:\n         2.5 s  stepladder-env slow\n"),
        "{text}"
    );
    assert!(text.contains("\n    SKIPPED stepladder-env left_out: no data\n"), "{text}");
    assert!(text.ends_with("\n2 passed, 0 failed, 1 skipped\n"), "{text}");
    // Records of an earlier run do not count.
    let (code, text) = output(cargo(root, true, JUNIT).env("CI", "true"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("\n3 passed, 0 failed, 0 skipped\n"), "{text}");

    let (code, text) = output(cargo(root, true, &format!("{SKIP}{JUNIT}")).env("CI", "true"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\n2 passed, 0 failed, 1 skipped\nerror: skipped in CI"), "{text}");
    assert!(text.ends_with("\n  stepladder-env left_out: no data\n"), "{text}");
}

#[test]
fn without_nextest_and_after_a_failure_tests_are_counted_too() {
    let directory = tempfile::tempdir().unwrap();
    let failing =
        "echo 'test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out'; exit 101";
    let (code, text) = output(&mut cargo(directory.path(), false, &format!("{SKIP}{failing}")));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\n    no times of single tests, as there is no cargo-nextest"), "{text}");
    assert!(text.contains("\n4 passed, 2 failed, 1 skipped\nerror: stage `tests`: "), "{text}");
    // The report of an earlier run is not taken for that of a run that did not start.
    let (code, text) = output(&mut cargo(directory.path(), true, JUNIT));
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = output(&mut cargo(directory.path(), true, "exit 101"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\n1 passed, 0 failed, 0 skipped\nerror: stage `tests`: "), "{text}");
    assert!(!text.contains("slowest") && !text.contains("no cargo-nextest"), "{text}");
}
