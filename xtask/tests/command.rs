//! The built xtask as a process: wrong usage, and a download that is killed half way.

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

/// A Python whose pip makes half a torch and then runs `then`; `$5` is the directory to install into.
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

/// The names in the cache that are neither lock files nor hidden.
fn cache(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join("cache/stepladder")) else { return vec![] };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[expect(clippy::disallowed_methods, reason = "waits for a limited time")]
/// Waits until the pretended installer has written its process id.
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
    // The installer of the killed run is still alive, and must not have been in the way.
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
