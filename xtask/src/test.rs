//! `cargo xtask test`: documentation examples, tests and those of the Python package, and a summary with the skipped tests.

mod report;
mod summary;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use fs_err as fs;
use report::{Counts, Test};
use stepladder_testing::RECORDS;
use summary::Summary;

use crate::cargo::{cargo, has_library, metadata, program, target};
use crate::settings::Settings;
use crate::stage::{execute, now, relay, stage};
use crate::{data, edges, pretrained, run, scienceworld, wheel};

/// Profile in `.config/nextest.toml`, and the path of nextest's report.
const PROFILE: &str = "xtask";
const REPORT: &str = "target/nextest/xtask/junit.xml";

/// Packages with tests of the feature `hub`, all in test binaries of this name.
const HUB: [&str; 2] = ["stepladder-hub", "stepladder"];

/// Runs the tests of these packages, or of the whole workspace if none is named.
pub(crate) fn test(settings: &Settings, packages: &[String]) -> Result<()> {
    let started = now();
    // The tests of the feature include the program's.
    let with_hub = packages.is_empty() || packages.iter().any(|package| HUB.contains(&package.as_str()));
    if with_hub || packages.iter().any(|package| edges::needs_tensors(package)) {
        run::tensors(settings)?;
    }
    let root = stage("data", || data::prepare(settings))?;
    if let Some(root) = root.as_deref().filter(|_| scienceworld::concerns(packages)) {
        stage("ScienceWorld's simulator", || scienceworld::prepare(settings, root))?;
    }
    if let Some(root) = root.as_deref().filter(|_| pretrained::concerns(packages)) {
        stage("SmolLM2", || pretrained::prepare(settings, root))?;
    }
    let records = Records::new(settings)?;
    // The whole workspace is selected with `--workspace`: a list of its packages would unify features differently and rebuild.
    let command = |words: &[&str], packages: &[&str]| {
        let mut command = cargo(settings);
        command.args(words).args(packages.iter().flat_map(|package| ["--package", package]));
        if packages.is_empty() {
            command.arg("--workspace");
        }
        command.envs(root.iter().map(|root| ("STEPLADDER_DATA", root)));
        command.env(RECORDS, &records.0);
        command
    };
    let chosen: Vec<&str> = packages.iter().map(String::as_str).collect();
    let metadata = metadata(settings)?;
    let libraries: Vec<&str> =
        chosen.iter().copied().filter(|package| has_library(&metadata, package)).collect();
    let mut times = Vec::new();
    // The examples come first, so that the last lines before the summary are nextest's own.
    let examples = if chosen.is_empty() || !libraries.is_empty() {
        let name = "documentation examples";
        timed(name, &mut times, || {
            libtest(&mut command(&["test", "--doc", "--quiet", "--no-fail-fast"], &libraries))
        })
    } else {
        Run::default()
    };
    let with_nextest = has_nextest(settings);
    let run = |flags: &[&str], chosen: &[&str]| match with_nextest {
        true => {
            let words = ["nextest", "run", "--profile", PROFILE, "--no-fail-fast", "--no-tests", "pass"];
            reported(command(&words, chosen).args(flags), &settings.workspace.join(REPORT))
        }
        false => libtest(command(&["test", "--no-fail-fast"], chosen).args(flags)),
    };
    // Only these tests are built with the feature; the program is the only large part that is built twice.
    let hub = if with_hub {
        timed("tests of the feature hub", &mut times, || {
            run(&["--features", "stepladder/hub", "--test", "hub"], &[])
        })
    } else {
        Run::default()
    };
    let tests =
        timed("tests", &mut times, || run(if with_nextest { &[] } else { &["--tests"] }, &chosen)).and(hub);
    let python = if chosen.is_empty() || chosen.contains(&wheel::CRATE) {
        timed("tests of the Python package", &mut times, || {
            python_package(settings, root.as_deref(), chosen.is_empty())
        })
    } else {
        Run::default()
    };
    let mut skips =
        stepladder_testing::read(&records.0).context("cannot read the records of skipped tests")?;
    skips.extend(report::skips(python.tests.as_deref().unwrap_or_default()));
    let tests = tests.and(python);
    let summary = Summary {
        counts: tests.counts,
        tests: tests.tests,
        examples: examples.counts,
        skips,
        times,
        whole: started.elapsed(),
    };
    eprintln!("==> summary");
    eprint!("{}", summary.text());
    tests.ending?;
    examples.ending?;
    if settings.ci { summary.check_skips() } else { Ok(()) }
}

/// Results of one test runner; a failure is reported at the end.
struct Run {
    counts: Counts,
    tests: Option<Vec<Test>>,
    ending: Result<()>,
}

impl Default for Run {
    fn default() -> Self {
        Self { counts: Counts::default(), tests: None, ending: Ok(()) }
    }
}

impl Run {
    /// Adds the results of another run.
    fn and(self, other: Self) -> Self {
        let (ours, theirs) = (self.counts, other.counts);
        let mut tests = self.tests;
        if let Some(tests) = &mut tests {
            tests.extend(other.tests.into_iter().flatten());
        }
        Self {
            counts: Counts {
                passed: ours.passed + theirs.passed,
                failed: ours.failed + theirs.failed,
                ignored: ours.ignored + theirs.ignored,
            },
            tests,
            ending: self.ending.and(other.ending),
        }
    }
}

/// Runs a stage whose failure does not stop the task.
fn timed(name: &'static str, times: &mut Vec<(&'static str, Duration)>, work: impl FnOnce() -> Run) -> Run {
    let started = now();
    let mut run = Run::default();
    let ending = stage(name, || {
        run = work();
        std::mem::replace(&mut run.ending, Ok(()))
    });
    times.push((name, started.elapsed()));
    Run { ending, ..run }
}

/// Builds the wheel, installs it into a new virtual environment and runs its tests; those of the environment server only with
/// the program, which is built for them.
fn python_package(settings: &Settings, root: Option<&Path>, with_program: bool) -> Run {
    let prepare = || -> Result<(Command, PathBuf)> {
        let directory = target(settings)?.join("python");
        let wheel = wheel::build(settings, wheel::Profile::Dev, &directory.join("wheels"))?;
        let python = wheel::install(settings, &wheel, &directory)?;
        let report = directory.join("junit.xml");
        let mut command = wheel::pytest(settings, &python, &report);
        command.envs(root.map(|root| ("STEPLADDER_DATA", root)));
        if with_program {
            // Features unify as they do for the tests, and one build serves both.
            execute(cargo(settings).args(["build", "--workspace", "--bin", "stepladder"]))?;
            command.env("STEPLADDER_BIN", program(settings, "debug")?);
        }
        Ok((command, report))
    };
    match prepare() {
        Ok((mut command, report)) => reported(&mut command, &report),
        Err(error) => Run { ending: Err(error), ..Run::default() },
    }
}

/// Runs nextest or pytest and reads its report, which includes failed tests, but is missing where the build failed.
fn reported(command: &mut Command, report: &Path) -> Run {
    let none = Run { tests: Some(Vec::new()), ..Run::default() };
    if report.exists()
        && let Err(error) = fs::remove_file(report)
    {
        return Run { ending: Err(error.into()), ..none };
    }
    let ending = execute(command);
    let tests =
        match fs::read_to_string(report).map_err(anyhow::Error::from).and_then(|text| report::junit(&text)) {
            Ok(tests) => tests,
            Err(error) => return Run { ending: ending.and(Err(error)), ..none },
        };
    Run { counts: Counts::of(&tests), tests: Some(tests), ending }
}

/// Runs `cargo test`, shows its output and counts its results.
fn libtest(command: &mut Command) -> Run {
    let (text, ending) = relay(command);
    Run { counts: report::libtest(&text), tests: None, ending }
}

fn has_nextest(settings: &Settings) -> bool {
    let mut command = cargo(settings);
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Directory in which tests record that they were skipped; removed at the end.
struct Records(PathBuf);

impl Records {
    fn new(settings: &Settings) -> Result<Self> {
        let path = settings.workspace.join("target/skips").join(std::process::id().to_string());
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        // A failure leaves only a file in the build directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}
