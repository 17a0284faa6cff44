//! Standard output and standard error that cannot be written, and input that is no text.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;
use std::process::Stdio;

use common::{command, episodes, folder};

/// Every write to it fails: the device is full.
fn full() -> Stdio {
    fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap().into_file().into()
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Exit code and standard output of a command with this standard error.
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
        assert!(table.starts_with("household/dev, greedy, 6 steps\n"), "{name}: {table}");
    }
    for stderr in [full(), closed()] {
        let evaluate = ["evaluate", "full", "--agent", "flat", "--episodes", "4", "--trace", "t.jsonl"];
        let (code, table) = with_stderr(folder, &evaluate, stderr);
        assert_eq!(code, Some(0));
        assert!(table.starts_with("household/dev, full/flat/"), "{table}");
        assert_eq!(episodes(&folder.join("t.jsonl")).len(), 4);
        fs_err::remove_file(folder.join("t.jsonl")).unwrap();
    }
    // The code of a failure is that of the failure.
    assert_eq!(with_stderr(folder, &["evaluate", "nowhere"], full()).0, Some(1));
    assert_eq!(with_stderr(folder, &["trian"], full()).0, Some(2));
}
