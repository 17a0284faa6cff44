//! Installation with a fake Python, without a network.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use fs_err as fs;

use super::install::cached;
use super::*;

const HEADER: &str =
    "#define TORCH_VERSION_MAJOR 2\\n#define TORCH_VERSION_MINOR 11\\n#define TORCH_VERSION_PATCH 0\\n";

/// A machine below a temporary directory whose `python` runs `install` when pip is asked to install; `$5` is the target
/// directory. The file `installs` records every installation.
struct Machine {
    directory: tempfile::TempDir,
    settings: Settings,
}

impl Machine {
    fn new(install: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::for_tests(directory.path());
        settings.python = directory.path().join("python").display().to_string();
        let machine = Self { directory, settings };
        machine.reprogram(install);
        machine
    }

    fn reprogram(&self, install: &str) {
        let log = self.directory.path().join("installs");
        // `-c` is both the search for an installed torch, which fails, and the test load, which succeeds if the file exists.
        let script = format!(
            "#!/bin/sh\ncase \"$1 $3\" in\n'-c '*) test -s \"$3\";;\n'-m --version') true;;\n\
             '-m install') echo x >> '{}'; site=\"$5\"; {install};;\n*) false;;\nesac\n",
            log.display()
        );
        // Written under another name and renamed: a script that is being executed must not be open for writing.
        let path = PathBuf::from(&self.settings.python);
        fs::write(path.with_extension("new"), script).unwrap();
        fs::set_permissions(path.with_extension("new"), std::fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn installs(&self) -> usize {
        fs::read_to_string(self.directory.path().join("installs")).map_or(0, |text| text.lines().count())
    }

    fn leftovers(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.settings.cache) else { return vec![] };
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("partial")).collect()
    }

    fn cached(&self) -> Result<PathBuf> {
        cached(&self.settings, Kind::Cpu)
    }
}

/// Returns shell commands that install a complete torch with the given version header.
fn whole(header: &str) -> String {
    format!(
        "mkdir -p \"$site/torch/lib\" \"$site/torch/include/torch/headeronly\" && \
         printf '{header}' > \"$site/torch/include/torch/headeronly/version.h\" && \
         echo library > \"$site/torch/lib/libtorch_cpu.so\" && \
         echo library > \"$site/torch/lib/libtorch_cpu.dylib\""
    )
}

const HALF: &str = "mkdir -p \"$site/torch/lib\" && echo half > \"$site/torch/lib/libtorch_cpu.so\"";

#[test]
fn it_is_installed_once_and_then_reused() {
    let machine = Machine::new(&whole(HEADER));
    let home = machine.cached().unwrap();
    assert_eq!(version(&home).as_deref(), Some("2.11.0"));
    assert_eq!(machine.cached().unwrap(), home);
    assert_eq!(machine.installs(), 1);
    assert_eq!(machine.leftovers(), Vec::<String>::new());
}

#[test]
fn a_failing_download_leaves_nothing_and_can_be_repeated() {
    let machine = Machine::new(&format!("{HALF}; exit 1"));
    let error = format!("{:#}", machine.cached().unwrap_err());
    assert!(error.contains("failed") && error.contains("set LIBTORCH"), "{error}");
    assert_eq!(machine.leftovers(), Vec::<String>::new());
    machine.reprogram(&whole(HEADER));
    assert!(machine.cached().unwrap().join("lib/libtorch_cpu.so").exists());
    assert_eq!(machine.installs(), 2);
}

#[test]
fn an_installer_that_succeeds_with_half_a_torch_is_not_believed() {
    let machine = Machine::new(HALF);
    let error = format!("{:#}", machine.cached().unwrap_err());
    assert!(error.contains("is no libtorch"), "{error}");
    assert!(!machine.settings.cache.join("libtorch-2.11.0").exists());
}

#[test]
fn a_file_that_shrank_after_the_installation_is_noticed() {
    let machine = Machine::new(&whole(HEADER));
    let home = machine.cached().unwrap();
    fs::write(home.join("include/torch/headeronly/version.h"), "").unwrap();
    assert_eq!(machine.cached().unwrap(), home);
    assert_eq!(machine.installs(), 2);
    assert_eq!(version(&home).as_deref(), Some("2.11.0"));
}

#[test]
fn two_runs_at_once_install_once() {
    let machine = Machine::new(&format!("sleep 0.5; {}", whole(HEADER)));
    let homes: Vec<PathBuf> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| machine.cached().unwrap())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(homes.iter().all(|home| *home == homes[0]));
    assert_eq!(machine.installs(), 1);
}

#[test]
fn without_python_the_remedy_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::for_tests(directory.path());
    settings.python = "/no/such/python".into();
    // A machine with uv would start a real download here.
    if Command::new("uv").arg("--version").output().is_ok() {
        return;
    }
    let error = format!("{:#}", cached(&settings, Kind::Cpu).unwrap_err());
    assert!(error.contains("neither pip nor venv") && error.contains("apt-get install"), "{error}");
}

#[test]
fn a_torch_of_another_version_is_refused_with_the_remedy() {
    let machine = Machine::new("true");
    let home = machine.directory.path().join("other");
    fs::create_dir_all(home.join("include/torch/headeronly")).unwrap();
    let header = HEADER.replace("\\n", "\n").replace("MINOR 11", "MINOR 9");
    fs::write(home.join(VERSION_HEADER), header).unwrap();
    let mut settings = machine.settings.clone();
    settings.libtorch = Some(home.clone());
    let error = choose(&settings, false).unwrap_err().to_string();
    assert!(error.contains("holds libtorch 2.9.0") && error.contains("unset LIBTORCH"), "{error}");
    fs::write(home.join(VERSION_HEADER), HEADER.replace("\\n", "\n")).unwrap();
    choose(&settings, false).unwrap();
    assert_eq!(machine.installs(), 0);
}

#[test]
fn the_choice_is_written_where_cargo_finds_it_and_kept() {
    let machine = Machine::new(&whole(HEADER));
    choose(&machine.settings, false).unwrap();
    let home = machine.settings.cache.join("libtorch-2.11.0/site/torch");
    assert_eq!(pointed(&machine.settings), Some(home.clone()));
    assert_eq!(variables(&machine.settings).unwrap()[0], ("LIBTORCH", home.display().to_string()));

    // The next run gets the value back through cargo's environment, and repairs the cache if the entry is gone.
    let mut settings = machine.settings.clone();
    settings.libtorch = Some(home.clone());
    fs::remove_dir_all(machine.settings.cache.join("libtorch-2.11.0")).unwrap();
    choose(&settings, false).unwrap();
    assert!(home.join(VERSION_HEADER).exists());
    assert_eq!(machine.installs(), 2);
}

#[test]
fn a_missing_compiler_is_named_with_the_remedy() {
    let machine = Machine::new("true");
    let error = compiler(&machine.settings).unwrap_err().to_string();
    assert!(error.contains("no-compiler-in-tests") && error.contains("apt-get install g++"), "{error}");
}
