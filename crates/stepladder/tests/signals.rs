//! Commands that receive SIGINT, SIGTERM or SIGHUP while they work.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{checkpoints, command, files, folder, ok};
use stepladder_env::clock::Stopwatch;

const SIGNALS: [(&str, i32); 3] = [("-HUP", 1), ("-INT", 2), ("-TERM", 15)];

fn start(folder: &Path, arguments: &[&str]) -> Child {
    command(folder, arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn send(child: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.to_string()]).status().unwrap().success());
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Stopwatch::start();
    while !holds() {
        assert!(clock.elapsed() < Duration::from_secs(120), "{what}: it never happened");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether this process ignores SIGHUP, as under `nohup`; its children then ignore it, too.
fn ignores_hang_up() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}

fn temporaries(folder: &Path) -> usize {
    files(folder).iter().filter(|path| path.contains(".writing")).count()
}

#[test]
fn a_command_that_ends_by_a_signal_takes_its_temporary_files_along() {
    let temporary = folder();
    let folder = temporary.path();
    let small = ["--set", "agents.flat=false", "--set", "agents.step_hrl.budget={ steps = 1 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &small[..]].concat());
    let demonstrate = ["demonstrate", "--env", "household", "--split", "train", "-o", "d.jsonl"];
    let collect = ["collect", "run", "--max-steps", "50", "-o", "c.jsonl.zst"];
    let evaluate = ["evaluate", "run", "--split", "train", "--max-steps", "50", "--trace", "e.jsonl"];
    let before = files(folder);
    for arguments in [&demonstrate[..], &collect, &evaluate] {
        for (signal, number) in SIGNALS {
            if number == 1 && ignores_hang_up() {
                continue;
            }
            let child = start(folder, arguments);
            wait_until("a temporary file", || temporaries(folder) == 1);
            send(child.id(), signal);
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.signal(), Some(number), "{arguments:?} {signal}: {output:?}");
            assert_eq!(files(folder), before, "{arguments:?} {signal}");
        }
    }
}

/// Starts a study whose first seed trains for minutes, and waits until training has begun.
fn study(folder: &Path) -> Child {
    let endless = "agents.step_hrl.budget={ minutes = 5 }";
    let saving = "log.checkpoint_seconds=1000";
    let child = start(
        folder,
        &["study", "tiny.toml", "--seeds", "1,2", "--dir", "s", "--set", endless, "--set", saving],
    );
    let metrics = folder.join("s/seed-1/step_hrl/metrics.jsonl");
    wait_until("training", || fs_err::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 3));
    child
}

/// Whether no process trains in a run directory.
fn is_free(run: &Path) -> bool {
    fs_err::File::open(run.join("lock")).unwrap().file().try_lock().is_ok()
}

#[test]
fn a_study_ends_with_its_child() {
    for (signal, number) in SIGNALS {
        if number == 1 && ignores_hang_up() {
            continue;
        }
        let temporary = folder();
        let folder = temporary.path();
        let study = study(folder);
        send(study.id(), signal);
        let output = study.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(128 + number), "{signal}: {output:?}");
        let said = "stopped; continue with: stepladder train --resume s/seed-1\n\
                    stopped; the same command continues the study\n";
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said, "{signal}");
        assert!(is_free(&folder.join("s/seed-1")), "{signal}: the child still trains");
        assert_eq!(checkpoints(&folder.join("s/seed-1"), "step_hrl").len(), 1, "{signal}");
        assert!(!folder.join("s/seed-2").exists(), "{signal}");
    }
}

#[test]
fn a_study_that_is_killed_does_not_leave_its_child() {
    let temporary = folder();
    let folder = temporary.path();
    let study = study(folder);
    send(study.id(), "-KILL");
    assert_eq!(study.wait_with_output().unwrap().status.signal(), Some(9));
    wait_until("the end of the child", || is_free(&folder.join("s/seed-1")));
    assert_eq!(checkpoints(&folder.join("s/seed-1"), "step_hrl").len(), 1);
}

#[test]
fn a_horizon_ends_with_its_child() {
    let temporary = folder();
    let folder = temporary.path();
    let small = ["--set", "agents.flat=false", "--set", "agents.step_hrl.budget={ steps = 1 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &small[..]].concat());
    let before = files(folder);
    let horizon = start(folder, &["horizon", "run", "--goals", "8", "--episodes", "1000", "-o", "h"]);
    let children = format!("/proc/{0}/task/{0}/children", horizon.id());
    let mut child = String::new();
    wait_until("a child", || {
        child = fs_err::read_to_string(&children).unwrap().trim().to_owned();
        !child.is_empty()
    });
    send(horizon.id(), "-TERM");
    let output = horizon.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert!(!Path::new("/proc").join(&child).exists(), "{child} still plays");
    assert_eq!(files(folder), before);
}
