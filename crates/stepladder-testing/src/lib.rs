//! Test support: the data root, and skipped tests that are counted.
//!
//! Rust's test runner has no outcome "skipped" at run time: a test that returns early passes. A test that cannot run
//! therefore calls [`skip`] before it returns. The skip is printed and recorded in the directory named by [`RECORDS`];
//! `cargo xtask test` collects the records with [`read`].

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// Environment variable with the directory for records. If it is not set, nothing is recorded.
pub const RECORDS: &str = "STEPLADDER_SKIPS";

/// Environment variable with the data root.
const DATA: &str = "STEPLADDER_DATA";

/// A skipped test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skip {
    /// Test binary, named as by nextest: `CRATE::FILE`, or `CRATE` for unit tests.
    pub binary: String,
    /// Name of the test in its binary.
    pub test: String,
    /// Reason for the skip.
    pub reason: String,
}

/// Prints and records that the calling test is skipped. The test must return afterwards.
///
/// # Panics
/// If the record cannot be written: an uncounted skip would look like a pass.
pub fn skip(reason: impl Display) {
    let skip = Skip { binary: binary(), test: test(), reason: reason.to_string() };
    eprintln!("SKIPPED: {} {}: {}", skip.binary, skip.test, skip.reason);
    if let Some(directory) = variable(RECORDS)
        && let Err(error) = record(Path::new(&directory), &skip)
    {
        panic!("cannot record a skipped test in {}: {error}", Path::new(&directory).display());
    }
}

/// Returns the data root if it contains `what` (a relative path); otherwise records the calling test as skipped.
///
/// # Panics
/// If the record cannot be written, as in [`skip`].
pub fn data_root(what: &str) -> Option<PathBuf> {
    let root = variable(DATA).map(PathBuf::from);
    let found = root.filter(|root| root.join(what).exists());
    if found.is_none() {
        skip(format_args!("no {what} below the directory in {DATA}"));
    }
    found
}

/// Reads all skips recorded in a directory, sorted.
///
/// # Errors
/// If a record cannot be read, or is incomplete ([`ErrorKind::InvalidData`]).
pub fn read(directory: &Path) -> Result<Vec<Skip>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let text = fs::read_to_string(entry?.path())?;
        let mut fields = text.splitn(3, '\n').map(str::to_owned);
        let mut next = || fields.next().ok_or(ErrorKind::InvalidData);
        found.push(Skip { binary: next()?, test: next()?, reason: next()?.trim_end().to_owned() });
    }
    found.sort();
    Ok(found)
}

/// Writes a new file, so that tests in other processes and threads do not collide.
fn record(directory: &Path, skip: &Skip) -> Result<()> {
    let process = std::process::id();
    for number in 0.. {
        let path = directory.join(format!("{process}-{number}"));
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(mut file) => return write!(file, "{}\n{}\n{}\n", skip.binary, skip.test, skip.reason),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Name of the running test, from nextest or, under libtest, from the name of the thread.
fn test() -> String {
    let nextest = variable("NEXTEST_TEST_NAME").map(|name| name.to_string_lossy().into_owned());
    nextest.unwrap_or_else(|| std::thread::current().name().unwrap_or("unnamed").to_owned())
}

fn binary() -> String {
    if let Some(id) = variable("NEXTEST_BINARY_ID") {
        return id.to_string_lossy().into_owned();
    }
    let program = std::env::current_exe().unwrap_or_default();
    let file = program.file_stem().unwrap_or(OsStr::new("unknown")).to_string_lossy();
    let package = variable("CARGO_PKG_NAME").unwrap_or_default();
    identify(&package.to_string_lossy(), &file)
}

/// Returns nextest's name of a binary, given its package and its file name, which ends in a hash.
fn identify(package: &str, file: &str) -> String {
    let name = match file.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => file,
    };
    match package {
        "" => name.to_owned(),
        package if package.replace('-', "_") == name => package.to_owned(),
        package => format!("{package}::{name}"),
    }
}

/// Returns an environment variable that configures tests. An empty value counts as unset.
#[expect(clippy::disallowed_methods, reason = "tests read the environment here")]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back_sorted_and_nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let skip = |test: &str, reason: &str| Skip {
            binary: "stepladder-env::official".to_owned(),
            test: test.to_owned(),
            reason: reason.to_owned(),
        };
        let (second, first) = (skip("b", "no data"), skip("a", "no Java:\nnot found"));
        for skip in [&second, &first, &first] {
            record(directory.path(), skip).unwrap();
        }
        assert_eq!(read(directory.path()).unwrap(), [first.clone(), first, second]);
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("1-0"), "one line").unwrap();
        assert_eq!(read(directory.path()).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_binary_is_named_as_nextest_names_it() {
        assert_eq!(identify("stepladder-env", "stepladder_env-0123456789abcdef"), "stepladder-env");
        assert_eq!(identify("stepladder", "sokoban-0123456789abcdef"), "stepladder::sokoban");
        assert_eq!(identify("stepladder", "bad-input"), "stepladder::bad-input");
        assert_eq!(identify("", "codec-0123456789abcdef"), "codec");
    }

    #[test]
    fn a_skip_is_named_after_its_test() {
        assert!(test().ends_with("a_skip_is_named_after_its_test"), "{}", test());
        assert_eq!(binary(), "stepladder-testing");
    }
}
