//! Summary at the end of `cargo xtask test`.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use stepladder_testing::Skip;

use super::report::{Counts, Test, skipped};

/// Number of slowest tests that are listed.
const SLOWEST: usize = 10;

/// Tests that may be skipped in CI: binary, test, reason.
const ALLOWED_IN_CI: &[(&str, &str, &str)] = &[(
    "stepladder-scienceworld::bridge",
    "the_class_files_are_compiled_from_the_source",
    "needs javac 17; the default JDK of a Debian release may be another",
)];

/// A run of the tests.
#[derive(Debug)]
pub(super) struct Summary {
    /// All tests, where the runner names them.
    pub(super) tests: Option<Vec<Test>>,
    /// Results of the tests, without documentation examples.
    pub(super) counts: Counts,
    /// Results of the documentation examples.
    pub(super) examples: Counts,
    pub(super) skips: Vec<Skip>,
    /// Durations of the stages, including the build.
    pub(super) times: Vec<(&'static str, Duration)>,
    pub(super) whole: Duration,
}

impl Summary {
    /// Renders slowest tests, skipped tests, times, and last a line `N passed, N failed, N skipped`.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        match &self.tests {
            Some(tests) if tests.is_empty() => {}
            Some(tests) => {
                let mut slowest: Vec<&Test> = tests.iter().collect();
                slowest.sort_by(|left, right| right.seconds.total_cmp(&left.seconds));
                slowest.truncate(SLOWEST);
                writeln!(to, "    the slowest {} of {} tests:", slowest.len(), tests.len())?;
                for test in slowest {
                    writeln!(to, "    {:8.1} s  {} {}", test.seconds, test.binary, test.name)?;
                }
            }
            None => writeln!(
                to,
                "    no times of single tests, as there is no cargo-nextest (`cargo install --locked cargo-nextest`)"
            )?,
        }
        let mut skips = self.skips.clone();
        skips.dedup();
        for skip in &skips {
            writeln!(to, "    SKIPPED {} {}: {}", skip.binary, skip.test, skip.reason)?;
        }
        if self.counts.ignored + self.examples.ignored > 0 {
            let (tests, examples) = (self.counts.ignored, self.examples.ignored);
            writeln!(to, "    marked with `ignore`: {tests} tests, {examples} documentation examples")?;
        }
        write!(to, "    time: ")?;
        for (name, time) in &self.times {
            write!(to, "{name} {:.1} s, ", time.as_secs_f64())?;
        }
        writeln!(to, "in all {:.1} s, building included", self.whole.as_secs_f64())?;
        let skipped = skipped(&skips, self.tests.as_deref());
        let passed = (self.counts.passed + self.examples.passed).saturating_sub(skipped);
        let failed = self.counts.failed + self.examples.failed;
        writeln!(to, "{passed} passed, {failed} failed, {skipped} skipped")
    }

    /// Checks that no test was skipped in CI, except the allowed ones.
    pub(super) fn check_skips(&self) -> Result<()> {
        let allowed = |skip: &&Skip| {
            ALLOWED_IN_CI.iter().any(|(binary, test, _)| *binary == skip.binary && *test == skip.test)
        };
        let forbidden: Vec<String> = self
            .skips
            .iter()
            .filter(|skip| !allowed(skip))
            .map(|skip| format!("{} {}: {}", skip.binary, skip.test, skip.reason))
            .collect();
        if forbidden.is_empty() {
            return Ok(());
        }
        bail!(
            "skipped in CI, where no test may be skipped (exceptions: ALLOWED_IN_CI in xtask/src/test/summary.rs):\n  {}",
            forbidden.join("\n  ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(test: &str) -> Skip {
        Skip { binary: "stepladder::kills".into(), test: test.into(), reason: "no data".into() }
    }

    fn summary(count: usize, skips: Vec<Skip>) -> Summary {
        let test = |at: usize| Test {
            binary: "stepladder::kills".into(),
            name: format!("test_{at}"),
            seconds: at as f64,
            passed: at != 3,
            skipped: None,
        };
        let tests: Vec<Test> = (0..count).map(test).collect();
        Summary {
            counts: Counts::of(&tests),
            tests: Some(tests),
            examples: Counts { passed: 5, failed: 0, ignored: 1 },
            skips,
            times: vec![
                ("documentation examples", Duration::from_secs(2)),
                ("tests", Duration::from_secs(60)),
            ],
            whole: Duration::from_millis(63_500),
        }
    }

    #[test]
    fn the_slowest_and_the_skipped_are_named_and_all_are_counted() {
        let text = summary(12, vec![skip("test_1"), skip("test_1"), skip("test_7")]).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "    the slowest 10 of 12 tests:");
        assert_eq!(lines[1], "        11.0 s  stepladder::kills test_11");
        assert_eq!(lines[10], "         2.0 s  stepladder::kills test_2");
        assert_eq!(
            lines[11..],
            [
                "    SKIPPED stepladder::kills test_1: no data",
                "    SKIPPED stepladder::kills test_7: no data",
                "    marked with `ignore`: 0 tests, 1 documentation examples",
                "    time: documentation examples 2.0 s, tests 60.0 s, in all 63.5 s, building included",
                "14 passed, 1 failed, 2 skipped",
            ]
        );
    }

    #[test]
    fn without_nextest_there_are_counts_alone() {
        let text = Summary { tests: None, ..summary(12, vec![skip("test_1")]) }.text();
        assert!(text.starts_with("    no times of single tests, as there is no cargo-nextest"), "{text}");
        assert!(text.ends_with("\n15 passed, 1 failed, 1 skipped\n"), "{text}");
    }

    #[test]
    fn only_listed_tests_may_be_skipped_in_ci() {
        let (binary, test, _) = ALLOWED_IN_CI[0];
        let allowed = Skip { binary: binary.into(), test: test.into(), reason: "javac 21".into() };
        summary(1, vec![allowed.clone()]).check_skips().unwrap();
        let error = summary(1, vec![allowed, skip("test_0")]).check_skips().unwrap_err().to_string();
        assert!(error.ends_with("\n  stepladder::kills test_0: no data"), "{error}");
        let elsewhere = Skip { binary: "stepladder::kills".into(), test: test.into(), reason: "-".into() };
        summary(1, vec![elsewhere]).check_skips().unwrap_err();
    }
}
