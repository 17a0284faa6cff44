//! Unwritable standard output and standard error, and input that is not text.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;
use std::process::Stdio;

use common::{command, episodes, finish, folder, ok};

/// Opens a full device, on which every write fails.
fn full() -> Stdio {
    fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap().into_file().into()
}

/// Opens a pipe without a reader.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Returns exit code and standard output of a command with this standard error.
fn with_stderr(folder: &Path, arguments: &[&str], stderr: Stdio) -> (Option<i32>, String) {
    let output = command(folder, arguments).stderr(stderr).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn standard_error_that_cannot_be_written_ends_nothing() {
    let temporary = folder();
    let folder = temporary.path();
    for (name, stderr) in [("full", full()), ("closed", closed())] {
        let (code, table) = with_stderr(folder, &["train", "tiny.toml", "--run-dir", name], stderr);
        assert_eq!(code, Some(0), "{name}");
        assert!(table.starts_with("household/dev, greedy, 6 steps"), "{name}: {table}");
    }
    for stderr in [full(), closed()] {
        let evaluate = ["evaluate", "full", "--agent", "flat", "--episodes", "4", "--trace", "t.jsonl"];
        let (code, table) = with_stderr(folder, &evaluate, stderr);
        assert_eq!(code, Some(0));
        assert!(table.starts_with("household/dev") && table.contains("full/flat/"), "{table}");
        assert_eq!(episodes(&folder.join("t.jsonl")).len(), 4);
        fs_err::remove_file(folder.join("t.jsonl")).unwrap();
    }
    // A failure keeps its exit code.
    assert_eq!(with_stderr(folder, &["evaluate", "nowhere"], full()).0, Some(1));
    assert_eq!(with_stderr(folder, &["trian"], full()).0, Some(2));
}

#[test]
fn standard_output_that_cannot_be_written_is_an_error() {
    let temporary = folder();
    let folder = temporary.path();
    let train = ["train", "tiny.toml", "--run-dir", "run", "--set", "agents.flat=false"];
    let evaluate = ["evaluate", "run", "--episodes", "2", "--json"];
    let commands: [&[&str]; 9] = [
        &train,
        &evaluate,
        &["evaluate", "run", "--episodes", "2"],
        &["compare", "run"],
        &["config", "show", "demo"],
        &["env", "list"],
        &["data", "status"],
        &["help"],
        &["train", "--help"],
    ];
    for arguments in commands {
        let output = command(folder, arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        let sentence = "error: standard output cannot be written: No space left on device (os error 28)";
        assert_eq!(said.lines().last(), Some(sentence), "{arguments:?}");
    }
    // The run itself is complete.
    assert!(folder.join("run/table.txt").exists());
    // A closed pipe is not an error.
    for arguments in &commands[1..] {
        let output = command(folder, arguments).stdout(closed()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_an_unknown_action() {
    let temporary = folder();
    let mut play = assert_cmd::Command::from_std(command(temporary.path(), &["env", "play", "household"]));
    let output = play.write_stdin(&b"look\n\xff\xfe caf\xe9\nlook\n"[..]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown.matches("\n> ").count(), 4, "{shown}");
    assert!(shown.contains("> Nothing happens.\n"), "{shown}");
}

#[test]
fn a_working_directory_that_is_gone_is_named() {
    let temporary = folder();
    let program = command(temporary.path(), &["env", "list"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" \"$@\""]);
    shell.arg(program.get_program()).args(program.get_args()).current_dir(temporary.path());
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let outcome = finish(shell);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let sentence = "error: the working directory no longer exists; change to another one\n";
    assert!(outcome.err.ends_with(sentence) && outcome.out.is_empty(), "{outcome:#?}");
    ok(temporary.path(), &["env", "list"]);
}
