//! Output files of commands: existing targets and concurrent writers.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{command, episodes, files, folder, ok, refused, run};
use stepladder_core::trace::{self, Episode};

const DEMONSTRATE: [&str; 7] = ["demonstrate", "--env", "household", "--split", "dev", "--count", "3"];

/// Returns the arguments of `demonstrate` for three episodes, with additional arguments.
fn demonstrate<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&DEMONSTRATE[..], more].concat()
}

fn read(text: &str) -> Vec<Episode> {
    trace::read(text.as_bytes()).collect::<Result<_, _>>().unwrap()
}

fn temporaries(folder: &Path) -> Vec<String> {
    files(folder).into_iter().filter(|path| path.contains(".writing")).collect()
}

#[test]
fn a_link_stays_and_its_target_is_replaced() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::create_dir_all(folder.join("deep/er")).unwrap();
    fs_err::write(folder.join("deep/target.jsonl"), "old").unwrap();
    fs_err::set_permissions(folder.join("deep/target.jsonl"), PermissionsExt::from_mode(0o640)).unwrap();
    symlink("../target.jsonl", folder.join("deep/er/middle")).unwrap();
    symlink("deep/er/middle", folder.join("link.jsonl")).unwrap();
    symlink("deep/new.jsonl", folder.join("dangling.jsonl")).unwrap();
    for (link, target) in [("link.jsonl", "deep/target.jsonl"), ("dangling.jsonl", "deep/new.jsonl")] {
        ok(folder, &demonstrate(&["-o", link]));
        assert!(folder.join(link).is_symlink(), "{link}");
        assert!(!folder.join(target).is_symlink(), "{target}");
        assert_eq!(episodes(&folder.join(target)).len(), 3, "{target}");
    }
    let mode = fs_err::metadata(folder.join("deep/target.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    symlink("circle", folder.join("circle")).unwrap();
    let outcome = run(folder, &demonstrate(&["-o", "circle"]));
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.err.starts_with("error: cannot write circle: "), "{outcome:#?}");
    refused(folder, &demonstrate(&["-o", "deep"]), 1, "cannot write deep: it is a directory");
    assert_eq!(temporaries(folder), Vec::<String>::new());
}

#[test]
fn devices_and_pipes_are_written_through() {
    let temporary = folder();
    let folder = temporary.path();
    // Through a link, so that a mistake does not destroy a device.
    symlink("/dev/full", folder.join("device")).unwrap();
    let outcome = run(folder, &demonstrate(&["-o", "device"]));
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.err.contains("cannot write device: "), "{outcome:#?}");
    assert!(outcome.err.contains("No space left on device"), "{outcome:#?}");
    assert!(fs_err::metadata(folder.join("device")).unwrap().file_type().is_char_device());

    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    let reader = Command::new("cat").arg("pipe").current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
    ok(folder, &demonstrate(&["-o", "pipe"]));
    let received = String::from_utf8(reader.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(read(&received).len(), 3);
    assert!(fs_err::metadata(folder.join("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn a_dash_is_standard_output() {
    let temporary = folder();
    let folder = temporary.path();
    for name in ["-", "/dev/stdout"] {
        let outcome = run(folder, &demonstrate(&["-o", name]));
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        assert_eq!(read(&outcome.out).len(), 3, "{name}");
        assert!(outcome.err.starts_with("3 episodes"), "{name}: {}", outcome.err);
        let message =
            format!("the episodes go to standard output ({name}), and so would --json: omit one of them");
        refused(folder, &demonstrate(&["-o", name, "--json"]), 2, &message);
    }
    // A file that is also the standard output is not replaced.
    let redirected = fs_err::File::create(folder.join("all.jsonl")).unwrap().into_file();
    let mut both = command(folder, &demonstrate(&["-o", "all.jsonl"]));
    assert!(both.stdout(redirected).status().unwrap().success());
    assert_eq!(episodes(&folder.join("all.jsonl")).len(), 3);

    ok(folder, &["train", "tiny.toml", "--run-dir", "run", "--set", "agents.flat=false"]);
    let evaluated = run(folder, &["evaluate", "run", "--episodes", "2", "--trace", "-"]);
    assert_eq!((evaluated.code, read(&evaluated.out).len()), (Some(0), 2), "{evaluated:#?}");
    assert!(evaluated.err.contains("run/step_hrl/"), "{}", evaluated.err);
    let collected = run(folder, &["collect", "run", "--count", "2", "-o", "-"]);
    assert_eq!((collected.code, read(&collected.out).len()), (Some(0), 2), "{collected:#?}");
    let two = "-o - cannot be three files, a table (.md), a plot (.svg) and numbers (.json): name a path without extension";
    refused(folder, &["horizon", "run", "-o", "-"], 2, two);
    assert!(!files(folder).iter().any(|path| path.starts_with('-')), "{:?}", files(folder));
}

#[test]
fn two_writers_of_one_file_both_leave_it_whole() {
    let temporary = folder();
    let folder = temporary.path();
    let start = |count: &'static str| {
        let arguments =
            ["demonstrate", "--env", "household", "--split", "dev", "-o", "same.jsonl", "--count"];
        let mut program = command(folder, &[&arguments[..], &[count]].concat());
        program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let writers = [start("120"), start("150")];
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let count = episodes(&folder.join("same.jsonl")).len();
    assert!(count == 120 || count == 150, "{count}");
    assert_eq!(temporaries(folder), Vec::<String>::new());
}

#[test]
fn what_killed_writers_left_is_removed_and_what_lives_stays() {
    let temporary = folder();
    let folder = temporary.path();
    let dead = [".d.jsonl.writing", ".d.jsonl.4194305-0.writing"];
    let others = [".e.jsonl.writing", ".d.jsonl.notes.writing"];
    for name in dead.iter().chain(&others) {
        fs_err::write(folder.join(name), "half").unwrap();
    }
    let living = fs_err::File::create(folder.join(".d.jsonl.4194306-0.writing")).unwrap();
    living.file().lock().unwrap();
    ok(folder, &demonstrate(&["-o", "d.jsonl"]));
    let mut left = vec![others[1], ".d.jsonl.4194306-0.writing", others[0]];
    left.sort_unstable();
    assert_eq!(temporaries(folder), left);
}
