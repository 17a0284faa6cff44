//! The committed class files are compiled from the committed source.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::process::Command;

use fs_err as fs;
use stepladder_testing::{data_root, skip};

/// Compiler that built the committed class files.
const JAVAC: &str = "javac 17.";

#[test]
fn the_class_files_are_compiled_from_the_source() {
    let Some(root) = data_root("scienceworld/1.2.3/scienceworld.jar") else { return };
    let version = Command::new("javac").arg("-version").output();
    let version =
        version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if !version.starts_with(JAVAC) {
        return skip(format_args!(
            "the class files are compared with those of {JAVAC}x, and here is `{}`",
            version.trim()
        ));
    }
    let bridge = Path::new(env!("CARGO_MANIFEST_DIR")).join("bridge");
    let made = tempfile::tempdir().unwrap();
    let status = Command::new("javac")
        .args(["--release", "8", "-g:none", "-Xlint:-options", "-cp"])
        .arg(root.join("scienceworld/1.2.3/scienceworld.jar"))
        .arg("-d")
        .arg(made.path())
        .arg(bridge.join("Bridge.java"))
        .status()
        .unwrap();
    assert!(status.success());
    let names = |directory: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(made.path()), names(&bridge.join("classes")));
    for name in names(made.path()) {
        let [ours, theirs] = [bridge.join("classes"), made.path().to_owned()]
            .map(|folder| fs::read(folder.join(&name)).unwrap());
        assert!(ours == theirs, "{name:?} is not what Bridge.java compiles to: run bridge/compile.sh");
    }
}
